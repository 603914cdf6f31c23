-- 志愿服务记录证明. `content` and `seal` are written once, when it is signed; names are in `private`, sealed under the
-- person's own key, so that erasing him takes them away.
CREATE TABLE certificate (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    area_code {code} NOT NULL,
    person_id {uuid} NOT NULL,
    from_day text NOT NULL,
    to_day text NOT NULL,
    replaces {uuid},
    requested_by {uuid} NOT NULL,
    requested_at {time} NOT NULL,
    status text NOT NULL,
    number text,
    content text,
    seal {bytes},
    private {bytes},
    signed_by {uuid},
    signed_at {time},
    ended_by {uuid},
    ended_at {time},
    reason text
)
--;
CREATE UNIQUE INDEX certificate_number ON certificate (number) WHERE number IS NOT NULL
--;
CREATE INDEX certificate_person ON certificate (person_id, id)
--;
CREATE INDEX certificate_area ON certificate (area_code, id)
--;
--postgres
CREATE TRIGGER certificate_frozen BEFORE UPDATE OF content, seal, number, person_id, from_day, to_day ON certificate FOR EACH ROW WHEN (OLD.seal IS NOT NULL) EXECUTE FUNCTION append_only()
--;
--postgres
CREATE TRIGGER certificate_kept BEFORE DELETE ON certificate FOR EACH ROW EXECUTE FUNCTION append_only()
--;
--sqlite
CREATE TRIGGER certificate_frozen BEFORE UPDATE OF content, seal, number, person_id, from_day, to_day ON certificate WHEN OLD.seal IS NOT NULL BEGIN SELECT RAISE(ABORT, 'a signed certificate is never changed'); END
--;
--sqlite
CREATE TRIGGER certificate_kept BEFORE DELETE ON certificate BEGIN SELECT RAISE(ABORT, 'a certificate is never deleted'); END
--;
