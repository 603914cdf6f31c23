-- 志愿者培训: a title, a day in China, so many minutes, for several people at once. A mistake is voided and stays.
CREATE TABLE training (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    area_code {code} NOT NULL,
    title text NOT NULL,
    organizer text NOT NULL,
    held_on text NOT NULL,
    minutes bigint NOT NULL,
    attended bigint NOT NULL,
    recorded_by {uuid} NOT NULL,
    recorded_at {time} NOT NULL,
    voided_by {uuid},
    voided_at {time},
    void_reason text
)
--;
CREATE INDEX training_area ON training (area_code, id)
--;
-- Who attended.
CREATE TABLE trainee (
    training_id {uuid} NOT NULL,
    person_id {uuid} NOT NULL,
    county {code} NOT NULL,
    PRIMARY KEY (training_id, person_id)
)
--;
CREATE INDEX trainee_person ON trainee (person_id, training_id)
--;
--postgres
CREATE TRIGGER training_kept BEFORE DELETE ON training FOR EACH ROW EXECUTE FUNCTION append_only()
--;
--postgres
CREATE TRIGGER training_frozen BEFORE UPDATE OF title, organizer, area_code, held_on, minutes, attended, recorded_by, recorded_at ON training FOR EACH ROW EXECUTE FUNCTION append_only()
--;
--postgres
CREATE TRIGGER training_voided_once BEFORE UPDATE ON training FOR EACH ROW WHEN (OLD.voided_at IS NOT NULL) EXECUTE FUNCTION append_only()
--;
--postgres
CREATE TRIGGER trainee_kept BEFORE UPDATE OR DELETE ON trainee FOR EACH ROW EXECUTE FUNCTION append_only()
--;
--sqlite
CREATE TRIGGER training_kept BEFORE DELETE ON training BEGIN SELECT RAISE(ABORT, 'a training is never deleted'); END
--;
--sqlite
CREATE TRIGGER training_frozen BEFORE UPDATE OF title, organizer, area_code, held_on, minutes, attended, recorded_by, recorded_at ON training BEGIN SELECT RAISE(ABORT, 'a training is never changed'); END
--;
--sqlite
CREATE TRIGGER training_voided_once BEFORE UPDATE ON training WHEN OLD.voided_at IS NOT NULL BEGIN SELECT RAISE(ABORT, 'a training is taken back once'); END
--;
--sqlite
CREATE TRIGGER trainee_frozen BEFORE UPDATE ON trainee BEGIN SELECT RAISE(ABORT, 'who attended a training is never changed'); END
--;
--sqlite
CREATE TRIGGER trainee_kept BEFORE DELETE ON trainee BEGIN SELECT RAISE(ABORT, 'who attended a training is never deleted'); END
--;
