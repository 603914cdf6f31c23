-- A session of staff in which a code of the second factor was shown. A county may insist on one.
ALTER TABLE session ADD COLUMN proved boolean NOT NULL DEFAULT FALSE
--;
CREATE INDEX account_person ON account (person_id)
--;
-- Every row of the audit log has a number in the transaction that writes it, so that one which is taken out before it is
-- sealed leaves a gap. A counter that all share would make all wait for each other: each connection of the server has
-- one of its own (its slot), and only one transaction at a time runs on a connection.
CREATE TABLE audit_slot (
    county {code} NOT NULL,
    slot bigint NOT NULL,
    n bigint NOT NULL,
    PRIMARY KEY (county, slot)
) {fill}
--;
-- None for rows that are older than the numbers.
ALTER TABLE audit_unsealed ADD COLUMN slot bigint
--;
ALTER TABLE audit_unsealed ADD COLUMN n bigint
--;
ALTER TABLE audit_seal ADD COLUMN slot bigint
--;
ALTER TABLE audit_seal ADD COLUMN n bigint
--;
CREATE INDEX audit_seal_number ON audit_seal (county, slot, n)
--;
--postgres
DROP TRIGGER audit_sealing ON audit
--;
--postgres
-- Once a statement, however many rows it brings. A row that was taken out and is put back has its number and its seal.
CREATE OR REPLACE FUNCTION audit_to_be_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    one record;
    last bigint;
BEGIN
    FOR one IN SELECT f.county, count(*) AS many FROM fresh f
        WHERE NOT EXISTS (SELECT 1 FROM audit_seal x WHERE x.audit_id = f.id) GROUP BY f.county
    LOOP
        INSERT INTO audit_slot AS s (county, slot, n) VALUES (one.county, pg_backend_pid(), one.many)
            ON CONFLICT (county, slot) DO UPDATE SET n = s.n + one.many RETURNING s.n INTO last;
        INSERT INTO audit_unsealed (audit_id, county, slot, n)
            SELECT f.id, f.county, pg_backend_pid(), last - one.many + row_number() OVER (ORDER BY f.id)
            FROM fresh f WHERE f.county = one.county
            AND NOT EXISTS (SELECT 1 FROM audit_seal x WHERE x.audit_id = f.id);
    END LOOP;
    RETURN NULL;
END $$
--;
--postgres
CREATE TRIGGER audit_sealing AFTER INSERT ON audit REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION audit_to_be_sealed()
--;
--sqlite
DROP TRIGGER audit_sealing
--;
--sqlite
CREATE TRIGGER audit_sealing AFTER INSERT ON audit WHEN NOT EXISTS (SELECT 1 FROM audit_seal WHERE audit_id = NEW.id) BEGIN
    INSERT INTO audit_slot (county, slot, n) VALUES (NEW.county, 0, 1)
        ON CONFLICT (county, slot) DO UPDATE SET n = audit_slot.n + 1;
    INSERT INTO audit_unsealed (audit_id, county, slot, n)
        SELECT NEW.id, NEW.county, slot, n FROM audit_slot WHERE county = NEW.county AND slot = 0;
END
--;
