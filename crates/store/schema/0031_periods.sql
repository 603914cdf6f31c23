-- Periods: a month from the end of its claims to its seal. `cursor_id` is the last person of the list as far as it is
-- made: pieces are whole, so whoever goes on after a kill goes on behind it.
CREATE TABLE score_period (
    county {code} NOT NULL,
    month text NOT NULL,
    status text NOT NULL,
    claims_closed_at {time} NOT NULL,
    closed_by {uuid},
    cursor_id {uuid},
    working_days integer NOT NULL,
    published_at {time},
    notice_ends_at {time},
    line_count bigint NOT NULL,
    points bigint NOT NULL,
    list_hash {bytes},
    sealed_at {time},
    seal {bytes},
    PRIMARY KEY (county, month)
)
--;
-- One line a person. `points` are those that were published, `corrected` what objections that were upheld took or gave.
CREATE TABLE score_period_line (
    county {code} NOT NULL,
    month text NOT NULL,
    person_id {uuid} NOT NULL,
    number bigint NOT NULL,
    area_code {code} NOT NULL,
    team_id {uuid},
    points bigint NOT NULL,
    entries bigint NOT NULL,
    late bigint NOT NULL,
    corrected bigint NOT NULL,
    status text NOT NULL,
    PRIMARY KEY (county, month, person_id)
)
--;
CREATE UNIQUE INDEX score_period_line_number ON score_period_line (county, month, number)
--;
-- Which period counted an entry: one at most. `links_to` names the period that a late one belongs to.
CREATE TABLE score_period_entry (
    entry_id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    month text NOT NULL,
    person_id {uuid} NOT NULL,
    transaction_id {uuid} NOT NULL,
    points bigint NOT NULL,
    links_to text
)
--;
CREATE INDEX score_period_entry_line ON score_period_entry (person_id, month)
--;
CREATE INDEX score_period_entry_transaction ON score_period_entry (transaction_id)
--;
-- 异议: against one line of a public notice.
CREATE TABLE score_objection (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    area_code {code} NOT NULL,
    month text NOT NULL,
    person_id {uuid} NOT NULL,
    number bigint NOT NULL,
    objector_id {uuid} NOT NULL,
    reason text NOT NULL,
    made_at {time} NOT NULL,
    status text NOT NULL,
    decided_by {uuid},
    decided_at {time},
    decision text
)
--;
CREATE UNIQUE INDEX score_objection_once ON score_objection (county, month, person_id, objector_id)
--;
CREATE INDEX score_objection_area ON score_objection (area_code, id)
--;
CREATE INDEX score_objection_objector ON score_objection (objector_id, id)
--;
-- What waits for a decision is asked for a whole month.
CREATE INDEX score_claim_waiting ON score_claim (county, happened_at) WHERE status = 'pending'
--;
