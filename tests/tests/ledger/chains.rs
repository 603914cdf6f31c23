//! What is appended stays: the databases refuse to change it, and a ledger from before the chains gets them.

use sea_orm::{ConnectionTrait, FromQueryResult};
use xingfuma_store::ledger::Booked;
use xingfuma_store::ledger::verify;

use crate::world::{Database, World, all, answer, run};

async fn filled(database: &Database, operations: usize) {
    let mut world = World::new(3, 4);
    for _ in 0..operations {
        let operation = world.operation();
        let expected = world.expect(&operation);
        assert_eq!(answer(database.book(operation).await), expected);
    }
}

#[derive(Debug, PartialEq, Eq, FromQueryResult)]
struct Count {
    rows: i64,
}

async fn rows(database: &Database, table: &str) -> i64 {
    let counted: Vec<Count> =
        all(database.store.pool(), &format!("SELECT count(*) AS rows FROM {table}"), Vec::new()).await;
    counted[0].rows
}

#[tokio::test(flavor = "multi_thread")]
async fn both_databases_refuse_to_change_the_ledger() {
    for database in [Database::sqlite().await, Database::postgres("ledger_append_only").await] {
        filled(&database, 30).await;
        let (pool, postgres) = (database.owner.pool(), database.owner.is_postgres());
        let mut statements = vec![
            "UPDATE score_transaction SET rule_version = 2",
            "DELETE FROM score_transaction",
            "UPDATE score_entry SET points = points + 1",
            "UPDATE score_entry SET seq = seq",
            "DELETE FROM score_entry",
        ];
        if postgres {
            statements.extend(["TRUNCATE score_entry", "TRUNCATE score_transaction", "TRUNCATE score_root"]);
        } else {
            statements.push("INSERT OR REPLACE INTO score_entry SELECT * FROM score_entry");
        }
        for statement in statements {
            let refused = pool.execute_unprepared(statement).await.expect_err(statement).to_string();
            assert!(refused.contains("appended, never changed"), "{statement}: {refused}");
        }
        if !postgres {
            // Replacing a transaction is not even an error: nothing is inserted.
            let replace = "INSERT OR REPLACE INTO score_transaction SELECT id, county, cause, source_type, source_id, \
                           rule_code, 9, inputs, area_code, decided_by, reverses, at FROM score_transaction";
            assert_eq!(run(pool, replace, Vec::new()).await, 0);
        }
        assert_eq!(verify(pool).await.expect("a verdict").faults, []);
    }
}

/// The step of the schema that brings the chains is taken back by hand, and done again over a filled ledger.
#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_from_before_is_numbered_and_sealed() {
    for database in [Database::sqlite().await, Database::postgres("ledger_from_before").await] {
        filled(&database, 60).await;
        let (pool, postgres) = (database.owner.pool(), database.owner.is_postgres());
        let mut back =
            vec!["DROP TABLE score_root_head", "DROP TABLE score_root", "DROP INDEX score_entry_chain"];
        if postgres {
            back.extend([
                "DROP TRIGGER score_entry_not_emptied ON score_entry",
                "DROP TRIGGER score_transaction_not_emptied ON score_transaction",
            ]);
        } else {
            back.extend(["DROP TRIGGER score_transaction_no_replace", "DROP TRIGGER score_entry_no_replace"]);
        }
        back.extend([
            "ALTER TABLE score_entry DROP COLUMN seq",
            "ALTER TABLE score_entry DROP COLUMN hash",
            "ALTER TABLE score_account DROP COLUMN seq",
            "ALTER TABLE score_account DROP COLUMN head",
            "DELETE FROM seaql_migrations WHERE version = 'm0004_chain'",
        ]);
        for statement in back {
            pool.execute_unprepared(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        let entries = rows(&database, "score_entry").await;
        // The step again, and the grants: columns that come anew come without.
        database.bring_up_to_date().await;
        let verdict = verify(pool).await.expect("a verdict");
        assert_eq!((verdict.faults.as_slice(), verdict.entries), (&[][..], entries.unsigned_abs()));
        // And the chains go on.
        let mut world = World::new(8, 2);
        let operation = world.operation();
        assert_eq!(database.book(operation).await.expect("booked"), Booked::New);
        assert_eq!(verify(pool).await.expect("a verdict").faults, []);
    }
}
