-- The foundation: people, places, orders, the queue's shadow, the ledger, posts.
-- Every table that grows carries `county`, which can become the distribution column of a sharded PostgreSQL.
CREATE TABLE county (
    code {code} PRIMARY KEY,
    name text NOT NULL,
    hotline text NOT NULL,
    seeded_at {time}
)
--;
-- One row a counter: the directory's stamp, the next block of order numbers.
CREATE TABLE counter (
    county {code} NOT NULL,
    name text NOT NULL,
    value bigint NOT NULL,
    PRIMARY KEY (county, name)
)
--;
-- The area tree. The code is the path: a subtree is the range of codes that start with it.
CREATE TABLE area (
    code {code} PRIMARY KEY,
    county {code} NOT NULL,
    parent {code},
    name text NOT NULL,
    sample boolean NOT NULL,
    active boolean NOT NULL
)
--;
-- Names and phones are in `private`, sealed under `data_key`, which is itself wrapped by a key outside the database.
CREATE TABLE person (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    surname text NOT NULL,
    data_key {bytes},
    private {bytes},
    phone_index {bytes},
    created_at {time} NOT NULL,
    erased_at {time}
)
--;
CREATE UNIQUE INDEX person_phone ON person (county, phone_index) WHERE phone_index IS NOT NULL
--;
CREATE TABLE wechat_identity (
    county {code} NOT NULL,
    openid text NOT NULL,
    person_id {uuid} NOT NULL,
    unionid text,
    created_at {time} NOT NULL,
    PRIMARY KEY (county, openid)
)
--;
CREATE TABLE account (
    county {code} NOT NULL,
    username text NOT NULL,
    person_id {uuid} NOT NULL,
    password_hash text NOT NULL,
    failed_count integer NOT NULL,
    locked_until {time},
    created_at {time} NOT NULL,
    PRIMARY KEY (county, username)
)
--;
CREATE TABLE role_grant (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    person_id {uuid} NOT NULL,
    role text NOT NULL,
    area_code {code} NOT NULL,
    team_id {uuid},
    granted_at {time} NOT NULL,
    revoked_at {time}
)
--;
CREATE INDEX role_grant_person ON role_grant (person_id)
--;
CREATE INDEX role_grant_area ON role_grant (role, area_code) WHERE team_id IS NULL
--;
CREATE INDEX role_grant_team ON role_grant (team_id) WHERE team_id IS NOT NULL
--;
CREATE TABLE session (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    person_id {uuid} NOT NULL,
    created_at {time} NOT NULL,
    expires_at {time} NOT NULL,
    revoked_at {time},
    refresh_hash {bytes} NOT NULL,
    previous_hash {bytes},
    rotated_at {time}
)
--;
CREATE INDEX session_person ON session (person_id)
--;
CREATE TABLE category (
    county {code} NOT NULL,
    code text NOT NULL,
    position integer NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    urgency text NOT NULL,
    skill text NOT NULL,
    assign text NOT NULL,
    needs_arrival boolean NOT NULL,
    needs_photo boolean NOT NULL,
    limits text,
    active boolean NOT NULL,
    PRIMARY KEY (county, code)
)
--;
CREATE TABLE team (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    skills text NOT NULL,
    leader_id {uuid},
    active boolean NOT NULL
)
--;
CREATE TABLE team_area (
    team_id {uuid} NOT NULL,
    area_code {code} NOT NULL,
    PRIMARY KEY (team_id, area_code)
)
--;
CREATE TABLE volunteer (
    person_id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    team_id {uuid} NOT NULL,
    grid_code {code} NOT NULL,
    status text NOT NULL,
    skills text NOT NULL,
    registered_at {time} NOT NULL
)
--;
CREATE INDEX volunteer_team ON volunteer (team_id)
--;
CREATE TABLE badge (
    county {code} NOT NULL,
    number text NOT NULL,
    person_id {uuid} NOT NULL,
    status text NOT NULL,
    issued_at {time} NOT NULL,
    PRIMARY KEY (county, number)
)
--;
CREATE INDEX badge_person ON badge (person_id)
--;
CREATE TABLE sign (
    code text PRIMARY KEY,
    county {code} NOT NULL,
    area_code {code} NOT NULL,
    status text NOT NULL,
    created_at {time} NOT NULL,
    revoked_at {time}
)
--;
-- An order. No index on a column that every step changes: updates stay in their page (HOT).
CREATE TABLE orders (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    number bigint NOT NULL,
    requester_id {uuid} NOT NULL,
    placed_by {uuid} NOT NULL,
    area_code {code} NOT NULL,
    category text NOT NULL,
    placed_at {time} NOT NULL,
    wished_from {time},
    wished_to {time},
    status text NOT NULL,
    version bigint NOT NULL,
    epoch bigint NOT NULL,
    snapshot text NOT NULL,
    description text NOT NULL,
    private {bytes} NOT NULL
) {fill}
--;
CREATE UNIQUE INDEX orders_number ON orders (county, number)
--;
CREATE INDEX orders_requester ON orders (requester_id, id)
--;
CREATE INDEX orders_area ON orders (area_code, id)
--;
CREATE TABLE order_event (
    order_id {uuid} NOT NULL,
    seq bigint NOT NULL,
    county {code} NOT NULL,
    at {time} NOT NULL,
    record text NOT NULL,
    PRIMARY KEY (order_id, seq)
)
--;
-- One row per order that can still change: outbox, timer and the list of open work in one.
CREATE TABLE due (
    order_id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    area_code {code} NOT NULL,
    kind text NOT NULL,
    wake_at {time},
    epoch bigint NOT NULL,
    team_id {uuid},
    volunteer_id {uuid},
    leased_until {time},
    failures integer NOT NULL,
    dead text
) {fill}
--;
CREATE INDEX due_wake ON due (wake_at) WHERE wake_at IS NOT NULL AND dead IS NULL
--;
CREATE INDEX due_team ON due (team_id) WHERE team_id IS NOT NULL
--;
CREATE INDEX due_area ON due (area_code, order_id)
--;
-- Why this team: the question and the answer of the policy, or a hand's reason.
CREATE TABLE dispatch_decision (
    order_id {uuid} NOT NULL,
    seq bigint NOT NULL,
    county {code} NOT NULL,
    epoch bigint NOT NULL,
    team_id {uuid},
    volunteer_id {uuid},
    decided_by {uuid},
    decided_at {time} NOT NULL,
    question text,
    answer text NOT NULL,
    PRIMARY KEY (order_id, seq)
)
--;
CREATE INDEX dispatch_decision_team ON dispatch_decision (team_id, order_id)
--;
-- Who promised to come, each time.
CREATE TABLE engagement (
    person_id {uuid} NOT NULL,
    order_id {uuid} NOT NULL,
    epoch bigint NOT NULL,
    county {code} NOT NULL,
    team_id {uuid} NOT NULL,
    accepted_at {time} NOT NULL,
    PRIMARY KEY (person_id, order_id, epoch)
)
--;
CREATE TABLE idempotency (
    key {bytes} PRIMARY KEY,
    county {code} NOT NULL,
    fingerprint {bytes} NOT NULL,
    status integer NOT NULL,
    body {bytes} NOT NULL,
    resource_id {uuid},
    created_at {time} NOT NULL
)
--;
CREATE INDEX idempotency_age ON idempotency (created_at)
--;
-- One row per (event, audience); the notifier expands it to people.
CREATE TABLE notification (
    order_id {uuid} NOT NULL,
    seq bigint NOT NULL,
    audience text NOT NULL,
    county {code} NOT NULL,
    topic text NOT NULL,
    data text NOT NULL,
    created_at {time} NOT NULL,
    expanded_at {time},
    PRIMARY KEY (order_id, seq, audience, topic)
)
--;
CREATE INDEX notification_open ON notification (created_at) WHERE expanded_at IS NULL
--;
CREATE TABLE inbox (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    person_id {uuid} NOT NULL,
    order_id {uuid} NOT NULL,
    seq bigint NOT NULL,
    topic text NOT NULL,
    data text NOT NULL,
    created_at {time} NOT NULL,
    read_at {time}
)
--;
CREATE UNIQUE INDEX inbox_once ON inbox (person_id, order_id, seq, topic)
--;
CREATE INDEX inbox_person ON inbox (person_id, id)
--;
-- The ledger: cached balances (none for issuance, which every award touches), transactions with a cause that is unique
-- for ever, entries that sum to 0 in each purse.
CREATE TABLE score_account (
    county {code} NOT NULL,
    owner_id {uuid} NOT NULL,
    kind text NOT NULL,
    purse text NOT NULL,
    balance bigint NOT NULL,
    PRIMARY KEY (county, owner_id, kind, purse)
) {fill}
--;
CREATE TABLE score_transaction (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    cause text NOT NULL,
    source_type text NOT NULL,
    source_id {uuid} NOT NULL,
    rule_code text NOT NULL,
    rule_version integer NOT NULL,
    inputs text NOT NULL,
    area_code {code} NOT NULL,
    decided_by {uuid},
    reverses {uuid},
    at {time} NOT NULL
)
--;
CREATE UNIQUE INDEX score_transaction_cause ON score_transaction (source_id, source_type, cause)
--;
CREATE UNIQUE INDEX score_transaction_reverses ON score_transaction (reverses) WHERE reverses IS NOT NULL
--;
CREATE TABLE score_entry (
    id {uuid} PRIMARY KEY,
    transaction_id {uuid} NOT NULL,
    county {code} NOT NULL,
    kind text NOT NULL,
    purse text NOT NULL,
    owner_id {uuid},
    points bigint NOT NULL
)
--;
CREATE INDEX score_entry_owner ON score_entry (owner_id, transaction_id) WHERE owner_id IS NOT NULL
--;
CREATE INDEX score_entry_transaction ON score_entry (transaction_id)
--;
-- What one person has earned by one rule in one month, against the rule's cap.
CREATE TABLE score_cap (
    person_id {uuid} NOT NULL,
    rule_code text NOT NULL,
    month text NOT NULL,
    county {code} NOT NULL,
    points bigint NOT NULL,
    granted bigint NOT NULL,
    PRIMARY KEY (person_id, rule_code, month)
)
--;
-- 晒: a post about an order.
CREATE TABLE showcase_post (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    order_id {uuid} NOT NULL,
    area_code {code} NOT NULL,
    category text NOT NULL,
    author_id {uuid} NOT NULL,
    resident_id {uuid} NOT NULL,
    volunteer_id {uuid} NOT NULL,
    team_id {uuid} NOT NULL,
    text text NOT NULL,
    private {bytes} NOT NULL,
    status text NOT NULL,
    version bigint NOT NULL,
    resident_consent_at {time},
    volunteer_consent_at {time},
    moderated_by {uuid},
    published_at {time},
    withdrawn_by {uuid},
    featured_at {time},
    reason text,
    created_at {time} NOT NULL
)
--;
CREATE UNIQUE INDEX showcase_post_one ON showcase_post (order_id) WHERE status IN ('pending', 'published')
--;
CREATE INDEX showcase_post_public ON showcase_post (county, id) WHERE status = 'published'
--;
CREATE INDEX showcase_post_pending ON showcase_post (area_code, id) WHERE status = 'pending'
--;
-- Who was shown what of somebody, and why. No personal data inside.
CREATE TABLE audit (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    at {time} NOT NULL,
    person_id {uuid},
    action text NOT NULL,
    resource_id {uuid} NOT NULL,
    subject_id {uuid},
    reason text
)
--;
CREATE INDEX audit_subject ON audit (subject_id, id)
--;
--postgres
CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are appended, never changed', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$
--;
--postgres
CREATE TRIGGER order_event_append_only BEFORE UPDATE OR DELETE ON order_event FOR EACH ROW EXECUTE FUNCTION append_only()
--;
--postgres
CREATE TRIGGER score_transaction_append_only BEFORE UPDATE OR DELETE ON score_transaction FOR EACH ROW EXECUTE FUNCTION append_only()
--;
--postgres
CREATE TRIGGER score_entry_append_only BEFORE UPDATE OR DELETE ON score_entry FOR EACH ROW EXECUTE FUNCTION append_only()
--;
--postgres
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION append_only()
--;
--sqlite
CREATE TRIGGER order_event_no_update BEFORE UPDATE ON order_event BEGIN SELECT RAISE(ABORT, 'rows of order_event are appended, never changed'); END
--;
--sqlite
CREATE TRIGGER order_event_no_delete BEFORE DELETE ON order_event BEGIN SELECT RAISE(ABORT, 'rows of order_event are appended, never changed'); END
--;
--sqlite
CREATE TRIGGER score_transaction_no_update BEFORE UPDATE ON score_transaction BEGIN SELECT RAISE(ABORT, 'rows of score_transaction are appended, never changed'); END
--;
--sqlite
CREATE TRIGGER score_transaction_no_delete BEFORE DELETE ON score_transaction BEGIN SELECT RAISE(ABORT, 'rows of score_transaction are appended, never changed'); END
--;
--sqlite
CREATE TRIGGER score_entry_no_update BEFORE UPDATE ON score_entry BEGIN SELECT RAISE(ABORT, 'rows of score_entry are appended, never changed'); END
--;
--sqlite
CREATE TRIGGER score_entry_no_delete BEFORE DELETE ON score_entry BEGIN SELECT RAISE(ABORT, 'rows of score_entry are appended, never changed'); END
--;
--sqlite
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'rows of audit are appended, never changed'); END
--;
--sqlite
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'rows of audit are appended, never changed'); END
--;
