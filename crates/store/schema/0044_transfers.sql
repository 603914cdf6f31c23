-- Handing on all open work of somebody who leaves: the wish, and whether it is done. Orders are handed on one by one.
CREATE TABLE transfer (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    volunteer_id {uuid} NOT NULL,
    to_id {uuid},
    reason text NOT NULL,
    suspended boolean NOT NULL,
    asked_by {uuid} NOT NULL,
    asked_at {time} NOT NULL,
    handed_on integer NOT NULL,
    ended_at {time}
)
--;
CREATE UNIQUE INDEX transfer_open ON transfer (volunteer_id) WHERE ended_at IS NULL
--;
