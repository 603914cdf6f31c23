-- A photo is attached to an order, to a post about one, or to a claim (申报).
ALTER TABLE media ADD COLUMN claim_id {uuid}
--;
-- The photos of a claim, as a JSON list of ids.
ALTER TABLE score_claim ADD COLUMN media text
--;
