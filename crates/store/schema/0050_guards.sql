-- Where the minutes of a completed service lie. Times are milliseconds since 1970: those of one person are read as one
-- text together with the order.
CREATE TABLE served (
    order_id {uuid} NOT NULL,
    round integer NOT NULL,
    county {code} NOT NULL,
    person_id {uuid} NOT NULL,
    from_ms bigint NOT NULL,
    to_ms bigint NOT NULL,
    minutes bigint NOT NULL,
    reason text,
    PRIMARY KEY (order_id, round)
)
--;
CREATE INDEX served_person ON served (person_id, to_ms)
--;
-- How many services a person has completed: the lock under which the next one is placed among them.
CREATE TABLE served_count (
    person_id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    services bigint NOT NULL
)
--;
-- When two people last rated each other's services; the one whose id sorts first is the low one.
CREATE TABLE rated_pair (
    low_id {uuid} NOT NULL,
    high_id {uuid} NOT NULL,
    county {code} NOT NULL,
    low_ms bigint,
    high_ms bigint,
    PRIMARY KEY (low_id, high_id)
)
--;
-- Points on hold until somebody has looked at them.
CREATE TABLE score_hold (
    transaction_id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    area_code {code} NOT NULL,
    person_id {uuid} NOT NULL,
    reason text NOT NULL,
    made_at {time} NOT NULL,
    status text NOT NULL,
    decided_by {uuid},
    decided_at {time},
    decision text
)
--;
CREATE INDEX score_hold_area ON score_hold (area_code, transaction_id)
--;
CREATE INDEX score_hold_person ON score_hold (person_id, transaction_id)
--;
