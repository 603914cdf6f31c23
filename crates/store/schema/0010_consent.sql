-- Who agreed to what, and took it back: appended, never changed. `given_by` is the guardian where he says it for a child.
CREATE TABLE consent (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    person_id {uuid} NOT NULL,
    kind text NOT NULL,
    version bigint NOT NULL,
    given boolean NOT NULL,
    given_by {uuid} NOT NULL,
    at {time} NOT NULL
)
--;
CREATE INDEX consent_person ON consent (person_id, id)
--;
-- The last word on each kind: what the showcase asks about every post that it shows.
CREATE TABLE consent_standing (
    person_id {uuid} NOT NULL,
    kind text NOT NULL,
    county {code} NOT NULL,
    version bigint NOT NULL,
    given boolean NOT NULL,
    given_by {uuid} NOT NULL,
    at {time} NOT NULL,
    PRIMARY KEY (person_id, kind)
)
--;
--postgres
CREATE TRIGGER consent_append_only BEFORE UPDATE OR DELETE ON consent FOR EACH ROW EXECUTE FUNCTION append_only()
--;
--sqlite
CREATE TRIGGER consent_no_update BEFORE UPDATE ON consent BEGIN SELECT RAISE(ABORT, 'rows of consent are appended, never changed'); END
--;
--sqlite
CREATE TRIGGER consent_no_delete BEFORE DELETE ON consent BEGIN SELECT RAISE(ABORT, 'rows of consent are appended, never changed'); END
--;
