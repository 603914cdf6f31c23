-- The column that tells rows apart comes first. A database holds one county, so an index that begins with the county finds
-- every row by it; SQLite, which knows no better, takes ten rows for granted, and read all orders where a few ids were
-- asked for.
DROP INDEX orders_number
--;
CREATE UNIQUE INDEX orders_number ON orders (number, county)
--;
DROP INDEX shop_redemption_code
--;
CREATE UNIQUE INDEX shop_redemption_code ON shop_redemption (code_hash, county)
--;
-- Each message that goes out by WeChat asks for it.
CREATE INDEX wechat_identity_person ON wechat_identity (person_id, county)
--;
