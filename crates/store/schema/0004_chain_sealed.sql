--postgres
CREATE TRIGGER score_entry_append_only BEFORE UPDATE OR DELETE ON score_entry FOR EACH ROW EXECUTE FUNCTION append_only()
--;
--postgres
CREATE TRIGGER score_root_append_only BEFORE UPDATE OR DELETE ON score_root FOR EACH ROW EXECUTE FUNCTION append_only()
--;
--postgres
CREATE TRIGGER score_root_head_append_only BEFORE UPDATE OR DELETE ON score_root_head FOR EACH ROW EXECUTE FUNCTION append_only()
--;
--postgres
CREATE TRIGGER score_entry_not_emptied BEFORE TRUNCATE ON score_entry FOR EACH STATEMENT EXECUTE FUNCTION append_only()
--;
--postgres
CREATE TRIGGER score_transaction_not_emptied BEFORE TRUNCATE ON score_transaction FOR EACH STATEMENT EXECUTE FUNCTION append_only()
--;
--postgres
CREATE TRIGGER score_root_not_emptied BEFORE TRUNCATE ON score_root FOR EACH STATEMENT EXECUTE FUNCTION append_only()
--;
--postgres
CREATE TRIGGER score_root_head_not_emptied BEFORE TRUNCATE ON score_root_head FOR EACH STATEMENT EXECUTE FUNCTION append_only()
--;
--sqlite
CREATE TRIGGER score_entry_no_update BEFORE UPDATE ON score_entry BEGIN SELECT RAISE(ABORT, 'rows of score_entry are appended, never changed'); END
--;
--sqlite
CREATE TRIGGER score_root_no_update BEFORE UPDATE ON score_root BEGIN SELECT RAISE(ABORT, 'rows of score_root are appended, never changed'); END
--;
--sqlite
CREATE TRIGGER score_root_no_delete BEFORE DELETE ON score_root BEGIN SELECT RAISE(ABORT, 'rows of score_root are appended, never changed'); END
--;
--sqlite
CREATE TRIGGER score_root_head_no_update BEFORE UPDATE ON score_root_head BEGIN SELECT RAISE(ABORT, 'rows of score_root_head are appended, never changed'); END
--;
--sqlite
CREATE TRIGGER score_root_head_no_delete BEFORE DELETE ON score_root_head BEGIN SELECT RAISE(ABORT, 'rows of score_root_head are appended, never changed'); END
--;
--sqlite
-- INSERT OR REPLACE deletes without asking the triggers of DELETE; so what stands there already is never inserted.
CREATE TRIGGER score_transaction_no_replace BEFORE INSERT ON score_transaction
WHEN EXISTS (SELECT 1 FROM score_transaction WHERE id = NEW.id)
    OR EXISTS (SELECT 1 FROM score_transaction WHERE source_id = NEW.source_id AND source_type = NEW.source_type AND cause = NEW.cause)
    OR EXISTS (SELECT 1 FROM score_transaction WHERE reverses = NEW.reverses)
BEGIN SELECT RAISE(IGNORE); END
--;
--sqlite
CREATE TRIGGER score_entry_no_replace BEFORE INSERT ON score_entry
WHEN EXISTS (SELECT 1 FROM score_entry WHERE id = NEW.id)
    OR EXISTS (SELECT 1 FROM score_entry WHERE owner_id = NEW.owner_id AND kind = NEW.kind AND purse = NEW.purse AND seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'rows of score_entry are appended, never changed'); END
--;
