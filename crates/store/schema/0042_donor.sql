-- A donor is a person like a caller: his name is sealed under a data key of his own, so that he can be erased. `donor` is
-- what everybody may see of it. Lines from before have no such person, and keep what they had.
ALTER TABLE shop_donation ADD COLUMN donor_id {uuid}
--;
