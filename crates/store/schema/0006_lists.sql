-- What lists need. None of these columns ever changes after the row is written, so updates of an order stay in place (HOT).
-- Orders that somebody entered for another one: an operator's callers. A small index; most orders are one's own.
CREATE INDEX orders_entered ON orders (placed_by, id) WHERE placed_by <> requester_id
--;
-- A village's and a township's orders from the newest on: the code is the path, and a subtree's orders lie together in
-- the order of their ids only under the prefix itself.
CREATE INDEX orders_village ON orders (substr(area_code, 1, 12), id)
--;
CREATE INDEX orders_township ON orders (substr(area_code, 1, 9), id)
--;
DROP INDEX orders_area
--;
--postgres
-- Room in each page for the later states of its orders: at 70 % one update in eighteen had to move to another page.
ALTER TABLE orders SET (fillfactor = 60)
--;
