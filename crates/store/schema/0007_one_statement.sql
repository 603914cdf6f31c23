--postgres
-- Fails the statement that asks, and so takes back all that it writes, when what it was written for does not hold.
CREATE FUNCTION insist(held boolean) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF held THEN
        RETURN true;
    END IF;
    RAISE EXCEPTION 'what the statement was written for does not hold' USING ERRCODE = 'XF001';
END $$
--;
-- Who promised an order, and under which name the others know him: asked with every order that is read.
CREATE INDEX engagement_order ON engagement (order_id, epoch)
--;
--postgres
-- Questions of the policy are long and alike, and each is written once and hardly ever read: lz4 packs them several
-- times faster than PostgreSQL's own way. A server that was built without it keeps its own.
DO $$
BEGIN
    ALTER TABLE dispatch_decision ALTER COLUMN question SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported OR invalid_parameter_value THEN
    NULL;
END $$
--;
