//! Random operations, each repeated 1 to 5 times: after every one of them the model of the ledger and the database
//! agree, on what was answered and on every balance; and both databases end with the same rows.

use std::collections::BTreeMap;
use std::time::Instant;

use sea_orm::FromQueryResult;
use uuid::Uuid;
use xingfuma_domain::scoring::AccountRef;
use xingfuma_store::ledger::verify;

use crate::long;
use crate::world::{Database, TRANSACTIONS, Transaction, World, all, answer};

const SEED: u64 = 140_724;
/// All balances are compared after every operation. The whole books are read again, every balance is rebuilt from all
/// entries, and every chain is checked so many times in a history: each time it costs as much as all that was booked so far.
const CHECKS: usize = 20;

#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
struct Account {
    owner_id: Uuid,
    kind: String,
    purse: String,
    balance: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
struct Line {
    transaction_id: Uuid,
    kind: String,
    purse: String,
    owner_id: Option<Uuid>,
    points: i64,
    seq: Option<i64>,
    hash: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
struct Head {
    county: String,
    owner_id: Uuid,
    kind: String,
    purse: String,
    balance: i64,
    seq: i64,
    head: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
struct Cap {
    person_id: Uuid,
    rule_code: String,
    month: String,
    points: i64,
    granted: i64,
}

type Balances = BTreeMap<(Uuid, String, String), i64>;

async fn table(database: &Database) -> Balances {
    let text = "SELECT owner_id, kind, purse, balance FROM score_account";
    let rows: Vec<Account> = all(database.store.pool(), text, Vec::new()).await;
    rows.into_iter().map(|row| ((row.owner_id, row.kind, row.purse), row.balance)).collect()
}

async fn lines(database: &Database) -> Vec<Line> {
    let text = "SELECT transaction_id, kind, purse, owner_id, points, seq, hash FROM score_entry \
                ORDER BY transaction_id, id";
    all(database.store.pool(), text, Vec::new()).await
}

fn of_model(world: &World) -> Balances {
    let owned = |(account, points): (AccountRef, i64)| {
        let owner = account.owner?;
        Some(((owner, account.kind.as_str().to_owned(), account.purse.as_str().to_owned()), points))
    };
    world.model.balances().filter_map(owned).collect()
}

/// Balances again, from nothing but the entries.
fn rebuilt(lines: &[Line]) -> Balances {
    let mut balances = Balances::new();
    for line in lines {
        if let Some(owner) = line.owner_id {
            *balances.entry((owner, line.kind.clone(), line.purse.clone())).or_default() += line.points;
        }
    }
    balances
}

async fn check_books(world: &World, database: &Database) {
    let lines = lines(database).await;
    let legs: usize = world.model.posted().iter().map(|posted| posted.posting.legs.len()).sum();
    assert_eq!(lines.len(), legs, "entries");
    assert_eq!(rebuilt(&lines), table(database).await, "balances rebuilt from entries");
    let verdict = verify(database.store.pool()).await.expect("a verdict");
    assert_eq!(verdict.faults, [], "{}", verdict.faults[0]);
    assert_eq!(verdict.transactions, world.model.posted().len() as u64);
}

/// Every row of the ledger, in an order that both databases have.
async fn everything(database: &Database) -> (Vec<Transaction>, Vec<Line>, Vec<Head>, Vec<Cap>) {
    let pool = database.store.pool();
    let heads = "SELECT county, owner_id, kind, purse, balance, seq, head FROM score_account \
                 ORDER BY county, owner_id, kind, purse";
    let caps = "SELECT person_id, rule_code, month, points, granted FROM score_cap \
                ORDER BY person_id, rule_code, month";
    (
        all(pool, TRANSACTIONS, Vec::new()).await,
        lines(database).await,
        all(pool, heads, Vec::new()).await,
        all(pool, caps, Vec::new()).await,
    )
}

/// Runs a history on one database; the model decides what is right.
async fn history(database: &Database, operations: usize) -> World {
    let mut world = World::new(SEED, 6);
    for number in 1..=operations {
        let operation = world.operation();
        let expected = world.expect(&operation);
        assert_eq!(
            answer(database.book(operation.clone()).await),
            expected,
            "operation {number}: {operation:?}"
        );
        for _ in 0..world.chance.below(5) {
            let again = world.again(&operation);
            let expected = world.expect(&again);
            assert_eq!(answer(database.book(again).await), expected, "operation {number}, repeated");
        }
        assert_eq!(table(database).await, of_model(&world), "operation {number}: {operation:?}");
        if number % operations.div_ceil(CHECKS) == 0 || number == operations {
            check_books(&world, database).await;
        }
    }
    world
}

/// A history with the database on which it ran, and how long it took.
async fn run_through(database: Database, name: &'static str, operations: usize) -> Database {
    let begun = Instant::now();
    let world = history(&database, operations).await;
    let posted = world.model.posted().len();
    println!("{name}: {operations} operations, {posted} transactions, {:.1?}", begun.elapsed());
    assert!(posted > operations / 4, "most of the history was refused: {posted}");
    database
}

#[tokio::test(flavor = "multi_thread")]
async fn the_model_and_both_databases_agree_after_every_operation() {
    let operations = if long() { 100_000 } else { 1_500 };
    let (sqlite, postgres) = (Database::sqlite().await, Database::postgres("ledger_model").await);
    let sqlite = tokio::spawn(run_through(sqlite, "SQLite", operations));
    let postgres = tokio::spawn(run_through(postgres, "PostgreSQL", operations));
    let (sqlite, postgres) = (sqlite.await.expect("a history"), postgres.await.expect("a history"));
    let (one, other) = (everything(&sqlite).await, everything(&postgres).await);
    assert!(one == other, "the same transactions, entries, hashes, heads, balances and caps");
    println!("row for row the same: {} transactions, {} entries", one.0.len(), one.1.len());
}
