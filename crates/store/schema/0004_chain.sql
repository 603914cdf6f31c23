-- The ledger's chains: each account of somebody numbers its entries, and each entry seals all before it. What is hashed
-- is in docs/scoring.md. The head of a chain stands beside the balance and moves in the same statement.
ALTER TABLE score_account ADD COLUMN seq bigint NOT NULL DEFAULT 0
--;
ALTER TABLE score_account ADD COLUMN head {bytes}
--;
ALTER TABLE score_entry ADD COLUMN seq bigint
--;
ALTER TABLE score_entry ADD COLUMN hash {bytes}
--;
CREATE UNIQUE INDEX score_entry_chain ON score_entry (owner_id, kind, purse, seq) WHERE owner_id IS NOT NULL
--;
-- The daily roots: the heads of all chains that have grown since the root before, summed up in one hash, which is also
-- written outside the database.
CREATE TABLE score_root (
    county {code} NOT NULL,
    number bigint NOT NULL,
    day text NOT NULL,
    at {time} NOT NULL,
    accounts bigint NOT NULL,
    hash {bytes} NOT NULL,
    PRIMARY KEY (county, number)
)
--;
CREATE UNIQUE INDEX score_root_day ON score_root (county, day)
--;
CREATE TABLE score_root_head (
    county {code} NOT NULL,
    number bigint NOT NULL,
    owner_id {uuid} NOT NULL,
    kind text NOT NULL,
    purse text NOT NULL,
    seq bigint NOT NULL,
    head {bytes} NOT NULL,
    PRIMARY KEY (county, number, owner_id, kind, purse)
)
--;
CREATE INDEX score_root_head_account ON score_root_head (owner_id, kind, purse, seq)
--;
--postgres
-- Entries from before are numbered and sealed by this same step; until that is done they may be written to.
DROP TRIGGER score_entry_append_only ON score_entry
--;
--sqlite
DROP TRIGGER score_entry_no_update
--;
