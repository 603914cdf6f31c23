-- The same thing in the same grid again and again: asks for its cause. `number` counts those of a grid and category, so
-- that two who find the same one at the same moment write it once.
CREATE TABLE hazard (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    area_code {code} NOT NULL,
    category text NOT NULL,
    number integer NOT NULL,
    times integer NOT NULL,
    first_at {time} NOT NULL,
    last_at {time} NOT NULL,
    found_at {time} NOT NULL,
    cause text,
    measure text,
    answered_by {uuid},
    answered_at {time}
)
--;
CREATE UNIQUE INDEX hazard_once ON hazard (area_code, category, number)
--;
CREATE INDEX hazard_area ON hazard (area_code, id)
--;
