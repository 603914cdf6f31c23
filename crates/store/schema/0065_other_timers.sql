-- While a backlog of orders waits for the queue, the sweep looks for what else is due without walking past all of them.
CREATE INDEX due_but_dispatch ON due (wake_at) WHERE wake_at IS NOT NULL AND dead IS NULL AND kind <> 'dispatch'
--;
