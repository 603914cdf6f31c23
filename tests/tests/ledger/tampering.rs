//! Somebody with the rights of a database administrator changes rows of the ledger behind its back: each of 1,000 random
//! tamperings is found, and what is named is the first bad row of every account that it touched.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, FromQueryResult, TransactionTrait, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_store::DatabaseTransaction;
use xingfuma_store::ledger::roots::{self, Root};
use xingfuma_store::ledger::{Fault, Verdict, verify};

use crate::world::{COUNTY, Chance, Database, World, all, moment, run};

const TAMPERINGS: usize = 1_000;

#[derive(Clone, Debug, FromQueryResult)]
pub(super) struct Entry {
    pub(super) id: Uuid,
    pub(super) transaction_id: Uuid,
    pub(super) kind: String,
    pub(super) purse: String,
    pub(super) owner_id: Option<Uuid>,
    pub(super) points: i64,
    pub(super) seq: Option<i64>,
    pub(super) hash: Option<Vec<u8>>,
}

type Account = (Uuid, String, String);

impl Entry {
    fn account(&self) -> Option<Account> {
        Some((self.owner_id?, self.kind.clone(), self.purse.clone()))
    }
}

/// What a tampering touched: the first number of each account, and the transactions.
#[derive(Clone, Debug, Default)]
pub(super) struct Touched {
    accounts: BTreeMap<Account, i64>,
    transactions: Vec<Uuid>,
}

impl Touched {
    pub(super) fn entries<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Touched {
        let mut touched = Touched::default();
        for entry in entries {
            touched.transactions.push(entry.transaction_id);
            if let (Some(account), Some(seq)) = (entry.account(), entry.seq) {
                let first = touched.accounts.entry(account).or_insert(seq);
                *first = seq.min(*first);
            }
        }
        touched
    }

    /// The first bad row of every account that was touched is named, and no other account is.
    pub(super) fn assert_located(&self, faults: &[Fault], what: &str) {
        let of_accounts: BTreeMap<Account, i64> = faults
            .iter()
            .filter(|fault| fault.root.is_none())
            .filter_map(|fault| {
                let account = fault.account.as_ref()?;
                Some(((account.owner, account.kind.clone(), account.purse.clone()), fault.seq?))
            })
            .collect();
        assert_eq!(of_accounts, self.accounts, "{what}: {faults:#?}");
    }
}

/// The books that are tampered with: a history, and the roots of two days, written outside.
pub(super) struct Books {
    entries: Vec<Entry>,
    pub(super) outside: Vec<Root>,
    /// How many transactions there were when the last root was taken.
    rooted: usize,
    pub(super) transactions: Vec<Uuid>,
}

impl Books {
    pub(super) async fn write(database: &Database) -> Books {
        let mut world = World::new(99, 5);
        let (mut outside, mut rooted) = (Vec::new(), 0);
        for number in 1..=240 {
            let operation = world.operation();
            let _ = database.book(operation.clone()).await;
            world.expect(&operation);
            if number % 100 == 0 {
                let (day, at) = (moment(number * 48).date_naive(), moment(number * 48));
                let root = roots::take(&database.store, county(), day, at).await.expect("a root");
                assert_eq!(roots::take(&database.store, county(), day, at).await.expect("none"), None);
                outside.push(root.expect("the first of its day"));
                rooted = world.model.posted().len();
            }
        }
        let text = "SELECT id, transaction_id, kind, purse, owner_id, points, seq, hash FROM score_entry \
                    ORDER BY transaction_id, id";
        let entries = all(database.store.pool(), text, Vec::new()).await;
        let transactions = world.model.posted().iter().map(|posted| posted.id).collect();
        Books { entries, outside, rooted, transactions }
    }

    pub(super) fn of(&self, transaction: Uuid) -> Vec<&Entry> {
        self.entries.iter().filter(|entry| entry.transaction_id == transaction).collect()
    }

    fn of_account(&self, account: &Account) -> Vec<&Entry> {
        let mut found: Vec<&Entry> =
            self.entries.iter().filter(|entry| entry.account().as_ref() == Some(account)).collect();
        found.sort_by_key(|entry| entry.seq);
        found
    }

    fn any<'a>(&'a self, chance: &mut Chance, wanted: impl Fn(&Entry) -> bool) -> &'a Entry {
        let wanted: Vec<&Entry> = self.entries.iter().filter(|entry| wanted(entry)).collect();
        wanted[chance.below(wanted.len())]
    }
}

fn county() -> AreaCode {
    COUNTY.parse().expect("a county")
}

pub(super) async fn verdict(conn: &impl ConnectionTrait, outside: &[Root]) -> Verdict {
    let mut verdict = verify(conn).await.expect("a verdict");
    roots::verify(conn, county(), Some(outside), &mut verdict).await.expect("a verdict of the roots");
    verdict
}

/// A transaction that will be rolled back.
pub(super) async fn begin(database: &Database) -> DatabaseTransaction {
    database.behind.begin().await.expect("a transaction")
}

/// Takes the triggers away, as only somebody can who owns the tables.
pub(super) async fn disarm(conn: &DatabaseTransaction, postgres: bool) {
    let tables = ["score_transaction", "score_entry", "score_root", "score_root_head"];
    for table in tables {
        if postgres {
            run(conn, &format!("ALTER TABLE {table} DISABLE TRIGGER USER"), Vec::new()).await;
        } else {
            for what in ["update", "delete", "replace"] {
                run(conn, &format!("DROP TRIGGER IF EXISTS {table}_no_{what}"), Vec::new()).await;
            }
        }
    }
}

async fn delete(conn: &impl ConnectionTrait, transaction: Uuid) {
    run(conn, "DELETE FROM score_entry WHERE transaction_id = $1", vec![transaction.into()]).await;
    assert_eq!(run(conn, "DELETE FROM score_transaction WHERE id = $1", vec![transaction.into()]).await, 1);
}

/// One column of a transaction gets another value.
async fn edit_transaction(conn: &impl ConnectionTrait, books: &Books, chance: &mut Chance) -> Touched {
    let transaction = books.transactions[chance.below(books.transactions.len())];
    let changes: [(&str, Value); 9] = [
        ("source_type", "claim".into()),
        ("source_id", Uuid::from_u128(0xF00D + chance.below(1_000_000) as u128).into()),
        ("rule_code", "B06".into()),
        ("rule_version", 7.into()),
        ("inputs", r#"{"month":"2026-01","usedInMonth":0,"facts":{"kind":"featured"}}"#.into()),
        ("area_code", "140724105".into()),
        ("decided_by", Uuid::from_u128(5).into()),
        ("at", (moment(1) + chrono::TimeDelta::milliseconds(1)).into()),
        ("cause", format!("B0{}", 1 + chance.below(9)).into()),
    ];
    let (column, value) = changes[chance.below(changes.len())].clone();
    let text = format!("UPDATE score_transaction SET {column} = $2 WHERE id = $1");
    assert_eq!(run(conn, &text, vec![transaction.into(), value]).await, 1);
    Touched::entries(books.of(transaction))
}

/// One column of an entry gets another value; in half the cases the counter-entry is changed to fit.
async fn edit_entry(conn: &impl ConnectionTrait, books: &Books, chance: &mut Chance) -> Touched {
    let entry = books.any(chance, |_| true);
    let of_it = books.of(entry.transaction_id);
    let more = 1 + chance.points(50);
    let set = "UPDATE score_entry SET points = points + $2 WHERE id = $1";
    assert_eq!(run(conn, set, vec![entry.id.into(), more.into()]).await, 1);
    let counter = of_it.iter().find(|other| other.id != entry.id && other.purse == entry.purse);
    if let (0, Some(counter)) = (chance.below(2), counter) {
        assert_eq!(run(conn, set, vec![counter.id.into(), (-more).into()]).await, 1);
    }
    // A thorough forger moves the balance too.
    if let (0, Some((owner, kind, purse))) = (chance.below(2), entry.account()) {
        let text = "UPDATE score_account SET balance = balance + $4 WHERE owner_id = $1 AND kind = $2 AND purse = $3";
        run(conn, text, vec![owner.into(), kind.into(), purse.into(), more.into()]).await;
    }
    Touched::entries(of_it)
}

/// One entry is taken out; or the whole transaction, and the chain is left with a hole.
async fn delete_some(conn: &impl ConnectionTrait, books: &Books, chance: &mut Chance) -> Touched {
    let entry = books.any(chance, |_| true);
    if chance.below(2) == 0 {
        assert_eq!(run(conn, "DELETE FROM score_entry WHERE id = $1", vec![entry.id.into()]).await, 1);
    } else {
        delete(conn, entry.transaction_id).await;
    }
    Touched::entries(books.of(entry.transaction_id))
}

/// A forged award: a copy of a transaction under another cause, with entries that claim the next number, the number of
/// another, or none; or one more entry for a transaction that stands.
async fn insert(conn: &impl ConnectionTrait, books: &Books, chance: &mut Chance) -> Touched {
    let model = books.any(chance, |entry| entry.owner_id.is_some());
    let account = model.account().expect("an owner");
    let length = i64::try_from(books.of_account(&account).len()).expect("a length");
    let id = Uuid::from_u128(model.transaction_id.as_u128() ^ (0x55 << 20));
    let columns = "county, kind, purse, owner_id, points";
    if chance.below(3) == 0 {
        let text = format!(
            "INSERT INTO score_entry (id, transaction_id, {columns}, seq, hash) \
             SELECT $2, transaction_id, county, kind, purse, NULL, points, NULL, NULL FROM score_entry WHERE id = $1"
        );
        assert_eq!(run(conn, &text, vec![model.id.into(), id.into()]).await, 1);
        return Touched::entries(books.of(model.transaction_id));
    }
    let text = "INSERT INTO score_transaction (id, county, cause, source_type, source_id, rule_code, rule_version, \
                inputs, area_code, decided_by, at) SELECT $2, county, cause, source_type, $3, rule_code, \
                rule_version, inputs, area_code, decided_by, at FROM score_transaction WHERE id = $1";
    let values = vec![model.transaction_id.into(), id.into(), Uuid::from_u128(id.as_u128() ^ 9).into()];
    assert_eq!(run(conn, text, values).await, 1);
    let seq = if chance.below(2) == 0 { Some(length + 1) } else { None };
    for (n, (points, owned)) in [(-model.points, false), (model.points, true)].into_iter().enumerate() {
        let text = format!(
            "INSERT INTO score_entry (id, transaction_id, {columns}, seq, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        );
        let kind = if owned { model.kind.clone() } else { "issuance".to_owned() };
        let values = vec![
            Uuid::from_u128(id.as_u128() + 1 + n as u128).into(),
            id.into(),
            COUNTY.into(),
            kind.into(),
            model.purse.clone().into(),
            model.owner_id.filter(|_| owned).into(),
            points.into(),
            seq.filter(|_| owned).into(),
            model.hash.clone().filter(|_| owned).into(),
        ];
        assert_eq!(run(conn, &text, values).await, 1);
    }
    let mut touched = Touched { transactions: vec![id], ..Touched::default() };
    if seq.is_some() {
        touched.accounts.insert(account, length + 1);
    }
    touched
}

/// Two entries of an account change places, with or without their hashes.
async fn reorder(conn: &impl ConnectionTrait, books: &Books, chance: &mut Chance) -> Touched {
    let account = loop {
        let account = books.any(chance, |entry| entry.owner_id.is_some()).account().expect("an owner");
        if books.of_account(&account).len() > 1 {
            break account;
        }
    };
    let of_it = books.of_account(&account);
    let first = chance.below(of_it.len() - 1);
    let second = first + 1 + chance.below(of_it.len() - first - 1);
    let (one, other) = (of_it[first], of_it[second]);
    let hashes = chance.below(2) == 0;
    let place = "UPDATE score_entry SET seq = $2, hash = $3 WHERE id = $1";
    let place = async |entry: &Entry, at: &Entry, seq: Option<i64>| {
        let hash = if hashes { at.hash.clone() } else { entry.hash.clone() };
        assert_eq!(run(conn, place, vec![entry.id.into(), seq.into(), hash.into()]).await, 1);
    };
    place(one, other, Some(-1)).await;
    place(other, one, one.seq).await;
    place(one, other, other.seq).await;
    Touched { accounts: BTreeMap::from([(account, one.seq.expect("a number"))]), ..Touched::default() }
}

/// The last transactions of an account are taken out, with their entries.
async fn cut(conn: &impl ConnectionTrait, books: &Books, chance: &mut Chance) -> Touched {
    let account = books.any(chance, |entry| entry.owner_id.is_some()).account().expect("an owner");
    let of_it = books.of_account(&account);
    let from = chance.below(of_it.len());
    let mut gone = Vec::new();
    for entry in &of_it[from..] {
        delete(conn, entry.transaction_id).await;
        gone.extend(books.of(entry.transaction_id));
    }
    Touched::entries(gone)
}

/// Everything after a moment is taken out, and heads and balances are made to fit: only a root can tell.
async fn turn_back(conn: &impl ConnectionTrait, books: &Books, chance: &mut Chance) -> Touched {
    let from = chance.below(books.rooted);
    for transaction in &books.transactions[from..] {
        delete(conn, *transaction).await;
    }
    let text = "UPDATE score_account SET \
                seq = coalesce((SELECT max(e.seq) FROM score_entry e WHERE e.owner_id = score_account.owner_id \
                AND e.kind = score_account.kind AND e.purse = score_account.purse), 0), \
                balance = coalesce((SELECT sum(e.points) FROM score_entry e WHERE e.owner_id = score_account.owner_id \
                AND e.kind = score_account.kind AND e.purse = score_account.purse), 0)";
    run(conn, text, Vec::new()).await;
    let text = "UPDATE score_account SET head = (SELECT e.hash FROM score_entry e \
                WHERE e.owner_id = score_account.owner_id AND e.kind = score_account.kind \
                AND e.purse = score_account.purse AND e.seq = score_account.seq)";
    run(conn, text, Vec::new()).await;
    run(conn, "DELETE FROM score_account WHERE seq = 0", Vec::new()).await;
    Touched::default()
}

async fn thousand_tamperings(database: Database) -> BTreeMap<&'static str, usize> {
    let books = Books::write(&database).await;
    let (pool, postgres) = (database.store.pool(), database.store.is_postgres());
    assert_eq!(verdict(pool, &books.outside).await.faults, [], "the books are in order before");
    let (mut chance, mut counts) = (Chance::new(4_711), BTreeMap::new());
    for number in 0..TAMPERINGS {
        let conn = begin(&database).await;
        disarm(&conn, postgres).await;
        let (name, touched) = match number % 7 {
            0 => ("edit a transaction", edit_transaction(&conn, &books, &mut chance).await),
            1 => ("edit an entry", edit_entry(&conn, &books, &mut chance).await),
            2 => ("delete", delete_some(&conn, &books, &mut chance).await),
            3 => ("insert", insert(&conn, &books, &mut chance).await),
            4 => ("reorder", reorder(&conn, &books, &mut chance).await),
            5 => ("cut the tail", cut(&conn, &books, &mut chance).await),
            _ => ("turn back to before a root", turn_back(&conn, &books, &mut chance).await),
        };
        let what = format!("tampering {number}, {name}");
        let faults = verdict(&conn, &books.outside).await.faults;
        assert!(!faults.is_empty(), "{what} was not found");
        match name {
            "turn back to before a root" => {
                assert!(faults.iter().all(|fault| fault.root.is_some()), "{what}: {faults:#?}");
                assert!(faults.iter().any(|fault| fault.account.is_some() && fault.seq.is_some()), "{what}");
            }
            "insert" if touched.accounts.is_empty() => {
                let named = |fault: &Fault| fault.transaction == Some(touched.transactions[0]);
                assert!(faults.iter().any(named), "{what}: {faults:#?}");
            }
            _ => touched.assert_located(&faults, &what),
        }
        conn.rollback().await.expect("a roll-back");
        *counts.entry(name).or_default() += 1;
    }
    assert_eq!(verdict(pool, &books.outside).await.faults, [], "and after");
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_tamperings_are_found_and_located() {
    println!("SQLite: {:?}", thousand_tamperings(Database::sqlite().await).await);
    println!("PostgreSQL: {:?}", thousand_tamperings(Database::postgres("ledger_tampering").await).await);
}

/// Roots, too, can be forged: then the lines outside tell.
#[tokio::test(flavor = "multi_thread")]
async fn a_forged_root_is_found_by_its_heads_or_by_the_line_outside() {
    for database in [Database::sqlite().await, Database::postgres("ledger_roots").await] {
        let books = Books::write(&database).await;
        let postgres = database.store.is_postgres();
        let forgeries = [
            "UPDATE score_root SET accounts = accounts + 1 WHERE number = 1",
            "UPDATE score_root_head SET seq = seq + 1 WHERE number = 2",
            "DELETE FROM score_root_head WHERE number = 1",
            "DELETE FROM score_root WHERE number = 1",
        ];
        for forgery in forgeries {
            let conn = begin(&database).await;
            disarm(&conn, postgres).await;
            run(&conn, forgery, Vec::new()).await;
            let faults = verdict(&conn, &books.outside).await.faults;
            assert!(faults.iter().any(|fault| fault.root.is_some()), "{forgery}: {faults:?}");
            conn.rollback().await.expect("a roll-back");
        }
        // The last root and its heads vanish: the database alone is in order, the line outside is not.
        let conn = begin(&database).await;
        disarm(&conn, postgres).await;
        run(&conn, "DELETE FROM score_root WHERE number = 2", Vec::new()).await;
        run(&conn, "DELETE FROM score_root_head WHERE number = 2", Vec::new()).await;
        let mut alone = verify(&conn).await.expect("a verdict");
        roots::verify(&conn, county(), None, &mut alone).await.expect("a verdict");
        assert_eq!(alone.faults, []);
        let faults = verdict(&conn, &books.outside).await.faults;
        assert_eq!(faults.iter().map(|fault| fault.root).collect::<Vec<_>>(), [Some(2)]);
        conn.rollback().await.expect("a roll-back");
    }
}
