-- What was hidden in a post's text (kinds and places, as JSON), and what WeChat said of it.
ALTER TABLE showcase_post ADD COLUMN hidden text
--;
ALTER TABLE showcase_post ADD COLUMN checked text
--;
