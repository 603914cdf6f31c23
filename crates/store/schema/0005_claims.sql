-- 申报: what somebody claims, and what another person decided about it.
CREATE TABLE score_claim (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    area_code {code} NOT NULL,
    rule_code text NOT NULL,
    person_id {uuid} NOT NULL,
    claimed_by {uuid} NOT NULL,
    happened_at {time} NOT NULL,
    points bigint,
    evidence text NOT NULL,
    made_at {time} NOT NULL,
    status text NOT NULL,
    decided_by {uuid},
    decided_at {time},
    decision text,
    transaction_id {uuid}
)
--;
CREATE INDEX score_claim_pending ON score_claim (area_code, id) WHERE status = 'pending'
--;
CREATE INDEX score_claim_area ON score_claim (area_code, id)
--;
CREATE INDEX score_claim_person ON score_claim (person_id, id)
--;
CREATE INDEX score_claim_claimant ON score_claim (claimed_by, id)
--;
-- An appeal against a deduction; each deduction has one at most.
CREATE TABLE score_appeal (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    area_code {code} NOT NULL,
    transaction_id {uuid} NOT NULL,
    person_id {uuid} NOT NULL,
    reason text NOT NULL,
    made_at {time} NOT NULL,
    status text NOT NULL,
    decided_by {uuid},
    decided_at {time},
    decision text
)
--;
CREATE UNIQUE INDEX score_appeal_once ON score_appeal (transaction_id)
--;
CREATE INDEX score_appeal_area ON score_appeal (area_code, id)
--;
CREATE INDEX score_appeal_person ON score_appeal (person_id, id)
--;
