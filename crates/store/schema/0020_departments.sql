-- 吹哨报到: departments, and who was called to what. What a call is about stands in the order itself; this row is how a
-- department finds it, and is written with the event.
CREATE TABLE department (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    name text NOT NULL,
    active boolean NOT NULL
)
--;
CREATE TABLE whistle (
    id {uuid} PRIMARY KEY,
    order_id {uuid} NOT NULL,
    county {code} NOT NULL,
    department_id {uuid} NOT NULL,
    called_at {time} NOT NULL
)
--;
CREATE INDEX whistle_department ON whistle (department_id, order_id)
