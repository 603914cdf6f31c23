-- When an order was set aside because handling it failed again and again; without meaning while `dead` is empty.
ALTER TABLE due ADD COLUMN dead_at {time}
--;
CREATE INDEX due_dead ON due (county, order_id) WHERE dead IS NOT NULL
--;
-- Signs of life: a row a process and what it does. Whether anybody sweeps can be told even when nothing is due.
CREATE TABLE heartbeat (
    process text NOT NULL,
    role text NOT NULL,
    county {code} NOT NULL,
    at {time} NOT NULL,
    PRIMARY KEY (process, role)
)
--;
