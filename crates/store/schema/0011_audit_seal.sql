-- The seal of the audit log: a chain over its rows, a county each. Rows are sealed a moment after their commit, so that
-- nobody who writes one waits for another; until then they stand in `audit_unsealed`, put there by a trigger.
CREATE TABLE audit_seal (
    county {code} NOT NULL,
    seq bigint NOT NULL,
    audit_id {uuid} NOT NULL,
    hash {bytes} NOT NULL,
    PRIMARY KEY (county, seq)
)
--;
CREATE UNIQUE INDEX audit_seal_row ON audit_seal (audit_id)
--;
CREATE TABLE audit_head (
    county {code} PRIMARY KEY,
    seq bigint NOT NULL,
    hash {bytes} NOT NULL
)
--;
CREATE TABLE audit_unsealed (
    audit_id {uuid} PRIMARY KEY,
    county {code} NOT NULL
)
--;
INSERT INTO audit_unsealed (audit_id, county) SELECT id, county FROM audit
--;
-- Who did what: the other question that is put to the log, beside whose data it was.
CREATE INDEX audit_person ON audit (person_id, id)
--;
--postgres
CREATE FUNCTION audit_to_be_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_unsealed (audit_id, county) VALUES (NEW.id, NEW.county);
    RETURN NULL;
END $$
--;
--postgres
CREATE TRIGGER audit_sealing AFTER INSERT ON audit FOR EACH ROW EXECUTE FUNCTION audit_to_be_sealed()
--;
--postgres
CREATE TRIGGER audit_seal_append_only BEFORE UPDATE OR DELETE ON audit_seal FOR EACH ROW EXECUTE FUNCTION append_only()
--;
--sqlite
CREATE TRIGGER audit_sealing AFTER INSERT ON audit BEGIN INSERT INTO audit_unsealed (audit_id, county) VALUES (NEW.id, NEW.county); END
--;
--sqlite
CREATE TRIGGER audit_seal_no_update BEFORE UPDATE ON audit_seal BEGIN SELECT RAISE(ABORT, 'rows of audit_seal are appended, never changed'); END
--;
--sqlite
CREATE TRIGGER audit_seal_no_delete BEFORE DELETE ON audit_seal BEGIN SELECT RAISE(ABORT, 'rows of audit_seal are appended, never changed'); END
--;
