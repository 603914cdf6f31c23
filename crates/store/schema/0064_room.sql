--postgres
-- A round dispatches orders that were placed one after another and lie in the same pages: half of their later states had to
-- move to other pages, with an entry in each index, while an order was placed with room for two thirds of another.
ALTER TABLE orders SET (fillfactor = 50)
--;
--postgres
-- As the question: written once, hardly ever read.
DO $$
BEGIN
    ALTER TABLE dispatch_decision ALTER COLUMN answer SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported OR invalid_parameter_value THEN
    NULL;
END $$
--;
