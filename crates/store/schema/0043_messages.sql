-- Messages out of the house. How somebody wants to be told: no row, the usual way. Quiet hours in seconds from midnight.
CREATE TABLE preference (
    person_id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    wechat boolean NOT NULL,
    sms boolean NOT NULL,
    quiet_from integer,
    quiet_to integer,
    updated_at {time} NOT NULL
)
--;
-- Messages of a template that somebody has agreed to, as far as anybody told us; WeChat's own ledger decides.
CREATE TABLE subscription (
    person_id {uuid} NOT NULL,
    template text NOT NULL,
    county {code} NOT NULL,
    remaining integer NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (person_id, template)
)
--;
-- The outbox: one row a message of an inbox and a channel. No address and no text: both are looked up when it is sent.
CREATE TABLE delivery (
    message_id {uuid} NOT NULL,
    channel text NOT NULL,
    county {code} NOT NULL,
    person_id {uuid} NOT NULL,
    status text NOT NULL,
    send_at {time},
    leased_until {time},
    attempts integer NOT NULL,
    outcome text,
    ended_at {time},
    PRIMARY KEY (message_id, channel)
) {fill}
--;
CREATE INDEX delivery_open ON delivery (send_at) WHERE status = 'waiting'
--;
-- One message at a time to one person, whoever sends.
CREATE UNIQUE INDEX delivery_turn ON delivery (person_id) WHERE status = 'sending'
--;
CREATE INDEX delivery_person ON delivery (person_id)
--;
CREATE INDEX inbox_unread ON inbox (person_id, created_at) WHERE read_at IS NULL
--;
