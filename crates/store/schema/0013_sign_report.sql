-- "This code looks wrong": what passers-by say about a sign. Nothing tells who said it.
CREATE TABLE sign_report (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    code text NOT NULL,
    area_code {code} NOT NULL,
    kind text NOT NULL,
    note text,
    reported_at {time} NOT NULL,
    closed_at {time},
    closed_by {uuid},
    outcome text
)
--;
CREATE INDEX sign_report_open ON sign_report (county, id) WHERE closed_at IS NULL
--;
