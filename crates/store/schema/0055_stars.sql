-- 星级: rounds of proposals, each a public notice of its own, and what was conferred. `area_code` is the township or the
-- county that was gone through; rounds of areas that lie in one another do not run at once.
CREATE TABLE star_round (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    area_code {code} NOT NULL,
    as_of text NOT NULL,
    rule_version integer NOT NULL,
    status text NOT NULL,
    working_days integer NOT NULL,
    proposed_by {uuid} NOT NULL,
    published_at {time} NOT NULL,
    notice_ends_at {time} NOT NULL,
    line_count bigint NOT NULL,
    list_hash {bytes} NOT NULL,
    conferred_by {uuid},
    conferred_at {time}
)
--;
CREATE INDEX star_round_county ON star_round (county, id)
--;
CREATE TABLE star_line (
    round_id {uuid} NOT NULL,
    number bigint NOT NULL,
    county {code} NOT NULL,
    person_id {uuid} NOT NULL,
    area_code {code} NOT NULL,
    minutes bigint NOT NULL,
    points bigint NOT NULL,
    stars_before integer NOT NULL,
    stars integer NOT NULL,
    status text NOT NULL,
    PRIMARY KEY (round_id, number)
)
--;
CREATE UNIQUE INDEX star_line_person ON star_line (round_id, person_id)
--;
-- What was conferred, for ever: each star once a person. His stars are the most of them.
CREATE TABLE star_award (
    person_id {uuid} NOT NULL,
    stars integer NOT NULL,
    county {code} NOT NULL,
    round_id {uuid} NOT NULL,
    as_of text NOT NULL,
    minutes bigint NOT NULL,
    points bigint NOT NULL,
    conferred_by {uuid} NOT NULL,
    conferred_at {time} NOT NULL,
    PRIMARY KEY (person_id, stars)
)
--;
CREATE INDEX star_award_county ON star_award (county, conferred_at)
--;
CREATE TABLE star_objection (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    round_id {uuid} NOT NULL,
    number bigint NOT NULL,
    area_code {code} NOT NULL,
    person_id {uuid} NOT NULL,
    objector_id {uuid} NOT NULL,
    reason text NOT NULL,
    made_at {time} NOT NULL,
    status text NOT NULL,
    decided_by {uuid},
    decided_at {time},
    decision text
)
--;
CREATE UNIQUE INDEX star_objection_once ON star_objection (round_id, number, objector_id)
--;
CREATE INDEX star_objection_area ON star_objection (area_code, id)
--;
CREATE INDEX star_objection_objector ON star_objection (objector_id, id)
--;
--postgres
CREATE TRIGGER star_award_append_only BEFORE UPDATE OR DELETE ON star_award FOR EACH ROW EXECUTE FUNCTION append_only()
--;
--sqlite
CREATE TRIGGER star_award_no_update BEFORE UPDATE ON star_award BEGIN SELECT RAISE(ABORT, 'rows of star_award are appended, never changed'); END
--;
--sqlite
CREATE TRIGGER star_award_no_delete BEFORE DELETE ON star_award BEGIN SELECT RAISE(ABORT, 'rows of star_award are appended, never changed'); END
--;
