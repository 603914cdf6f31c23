-- 爱心超市: one shop an area at most. Its points lie on the ledger's account of its id.
CREATE TABLE shop (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    area_code {code} NOT NULL,
    name text NOT NULL,
    opened_by {uuid} NOT NULL,
    opened_at {time} NOT NULL
)
--;
CREATE UNIQUE INDEX shop_area ON shop (county, area_code)
--;
-- What can be had for points. `stock` is what is left for others: reserved goods have left it already. It is the sum of
-- the movements below, and no statement takes it below zero.
CREATE TABLE shop_goods (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    shop_id {uuid} NOT NULL,
    area_code {code} NOT NULL,
    name text NOT NULL,
    price bigint NOT NULL CHECK (price > 0),
    stock bigint NOT NULL CHECK (stock >= 0),
    active boolean NOT NULL,
    created_at {time} NOT NULL
) {fill}
--;
CREATE INDEX shop_goods_county ON shop_goods (county, id)
--;
CREATE INDEX shop_goods_shop ON shop_goods (shop_id, id)
--;
-- Every change of a stock, and what it came from.
CREATE TABLE shop_movement (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    shop_id {uuid} NOT NULL,
    goods_id {uuid} NOT NULL,
    kind text NOT NULL,
    quantity bigint NOT NULL,
    source_id {uuid} NOT NULL,
    at {time} NOT NULL,
    moved_by {uuid},
    reason text
)
--;
-- A donation comes in once; a redemption takes goods once and gives them back at most once.
CREATE UNIQUE INDEX shop_movement_once ON shop_movement (source_id, kind)
--;
CREATE INDEX shop_movement_shop ON shop_movement (shop_id, goods_id, at)
--;
--postgres
CREATE TRIGGER shop_movement_append_only BEFORE UPDATE OR DELETE ON shop_movement FOR EACH ROW EXECUTE FUNCTION append_only()
--;
--postgres
CREATE TRIGGER shop_movement_not_emptied BEFORE TRUNCATE ON shop_movement FOR EACH STATEMENT EXECUTE FUNCTION append_only()
--;
--sqlite
CREATE TRIGGER shop_movement_no_update BEFORE UPDATE ON shop_movement BEGIN SELECT RAISE(ABORT, 'rows of shop_movement are appended, never changed'); END
--;
--sqlite
CREATE TRIGGER shop_movement_no_delete BEFORE DELETE ON shop_movement BEGIN SELECT RAISE(ABORT, 'rows of shop_movement are appended, never changed'); END
--;
-- 捐赠簿: goods that somebody gave. A person is named by the first character of his name only.
CREATE TABLE shop_donation (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    shop_id {uuid} NOT NULL,
    area_code {code} NOT NULL,
    goods_id {uuid} NOT NULL,
    donor text NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    received_by {uuid} NOT NULL,
    received_at {time} NOT NULL
)
--;
CREATE INDEX shop_donation_county ON shop_donation (county, id)
--;
CREATE INDEX shop_donation_shop ON shop_donation (shop_id, id)
--;
-- 兑换簿: who reserved what, and what became of it. The code itself is nowhere: it follows from the id under a key.
CREATE TABLE shop_redemption (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    shop_id {uuid} NOT NULL,
    area_code {code} NOT NULL,
    goods_id {uuid} NOT NULL,
    goods_name text NOT NULL,
    person_id {uuid} NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    price bigint NOT NULL CHECK (price > 0),
    status text NOT NULL,
    code_hash {bytes} NOT NULL,
    transaction_id {uuid} NOT NULL,
    made_at {time} NOT NULL,
    expires_at {time} NOT NULL,
    ended_at {time},
    ended_by {uuid},
    reason text
) {fill}
--;
CREATE UNIQUE INDEX shop_redemption_code ON shop_redemption (county, code_hash)
--;
CREATE INDEX shop_redemption_person ON shop_redemption (person_id, id)
--;
CREATE INDEX shop_redemption_area ON shop_redemption (area_code, id)
--;
CREATE INDEX shop_redemption_shop ON shop_redemption (shop_id, id)
--;
CREATE INDEX shop_redemption_expires ON shop_redemption (expires_at) WHERE status = 'reserved'
--;
