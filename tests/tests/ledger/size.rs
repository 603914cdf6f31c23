//! A large ledger: 10 million entries are to be verified within 60 seconds. The short form takes 64,000 and only
//! shows that it works; `XINGFUMA_TESTS_ENTRIES` takes another number, a multiple of 64.

use std::time::{Duration, Instant};

use sea_orm::Value;
use uuid::Uuid;
use xingfuma_domain::scoring::chain::{self, Chain, EntryContent, TransactionContent};
use xingfuma_store::ledger::verify;
use xingfuma_store::transact;

use crate::long;
use crate::world::{COUNTY, Database, moment, run};

const WITHIN: Duration = Duration::from_secs(60);
/// The county's volunteers.
const PEOPLE: u64 = 30_000;
const INPUTS: &str = r#"{"month":"2026-03","usedInMonth":27,"facts":{"kind":"completed","at":"2026-03-05T01:00:00Z","due":"2026-03-06T01:00:00Z"}}"#;

fn person(n: u64) -> Uuid {
    Uuid::from_u128(u128::from(n) << 70 | 0xABCD)
}

/// One award, four entries, in the form in which the ledger books them.
fn award(number: u64, chains: &mut [[Chain; 2]]) -> (Vec<Value>, Vec<Value>) {
    let who = number * 7 % PEOPLE;
    let id = Uuid::from_u128((u128::from(number + 1) << 72) | (u128::from(number) << 16));
    let source = Uuid::from_u128(u128::from(number) << 64 | 0x99);
    let at = moment(number % 40_000);
    let content = TransactionContent {
        id,
        county: COUNTY,
        cause: "609",
        source_type: "order",
        source_id: source,
        rule_code: "609",
        rule_version: 1,
        inputs: INPUTS,
        area: "140724104003001",
        decided_by: None,
        reverses: None,
        at,
    };
    let entries: Vec<EntryContent<'_>> = [("issuance", None, -3), ("person", Some(person(who)), 3)]
        .iter()
        .flat_map(|leg| [(leg, "assessment"), (leg, "spendable")])
        .enumerate()
        .map(|(n, ((kind, owner, points), purse))| EntryContent {
            id: Uuid::from_u128(id.as_u128() ^ (1 + n as u128)),
            county: COUNTY,
            kind,
            purse,
            owner: *owner,
            points: *points,
        })
        .collect();
    let digest = chain::digest(&content, entries.iter().copied());
    let mut rows = Vec::with_capacity(36);
    for entry in &entries {
        let chain = entry.owner.map(|_| {
            let purse = usize::from(entry.purse == "spendable");
            let chain = &mut chains[usize::try_from(who).expect("a person")][purse];
            *chain = chain.next(&chain::leaf(&digest, entry.id));
            *chain
        });
        let place: [Value; 9] = [
            entry.id.into(),
            id.into(),
            COUNTY.into(),
            entry.kind.into(),
            entry.purse.into(),
            entry.owner.into(),
            entry.points.into(),
            chain.map(|chain| chain.seq).into(),
            chain.map(|chain| chain.head.to_vec()).into(),
        ];
        rows.extend(place);
    }
    let transaction: [Value; 10] = [
        id.into(),
        COUNTY.into(),
        "609".into(),
        "order".into(),
        source.into(),
        "609".into(),
        1.into(),
        INPUTS.into(),
        "140724104003001".into(),
        at.into(),
    ];
    (transaction.to_vec(), rows)
}

fn values(rows: usize, columns: usize) -> String {
    let row =
        |row: usize| (1..=columns).map(|n| format!("${}", row * columns + n)).collect::<Vec<_>>().join(", ");
    (0..rows).map(|n| format!("({})", row(n))).collect::<Vec<_>>().join(", ")
}

/// What only slows the filling down: it is taken away before, and the indexes are made again behind it.
const INDEXES: [(&str, &str); 3] = [
    (
        "score_entry_chain",
        "UNIQUE INDEX score_entry_chain ON score_entry (owner_id, kind, purse, seq) WHERE owner_id IS NOT NULL",
    ),
    (
        "score_entry_owner",
        "INDEX score_entry_owner ON score_entry (owner_id, transaction_id) WHERE owner_id IS NOT NULL",
    ),
    (
        "score_transaction_cause",
        "UNIQUE INDEX score_transaction_cause ON score_transaction (source_id, source_type, cause)",
    ),
];

async fn fill(database: &Database, awards: u64) {
    const AT_ONCE: u64 = 16;
    let pool = database.owner.pool();
    for (index, _) in INDEXES {
        run(pool, &format!("DROP INDEX {index}"), Vec::new()).await;
    }
    if !database.store.is_postgres() {
        run(pool, "DROP TRIGGER score_entry_no_replace", Vec::new()).await;
        run(pool, "DROP TRIGGER score_transaction_no_replace", Vec::new()).await;
    }
    let mut chains = vec![[Chain::default(); 2]; usize::try_from(PEOPLE).expect("people")];
    let transactions = format!(
        "INSERT INTO score_transaction (id, county, cause, source_type, source_id, rule_code, rule_version, inputs, \
         area_code, at) VALUES {}",
        values(16, 10)
    );
    let entries = format!(
        "INSERT INTO score_entry (id, transaction_id, county, kind, purse, owner_id, points, seq, hash) VALUES {}",
        values(64, 9)
    );
    let mut number = 0;
    while number < awards {
        let until = (number + 8_000).min(awards);
        let mut pieces = Vec::new();
        while number < until {
            let (mut one, mut other) = (Vec::new(), Vec::new());
            for _ in 0..AT_ONCE {
                let (transaction, rows) = award(number, &mut chains);
                one.extend(transaction);
                other.extend(rows);
                number += 1;
            }
            pieces.push((one, other));
        }
        let (transactions, entries) = (transactions.clone(), entries.clone());
        let written: Result<(), xingfuma_store::StoreError> = transact(&database.store, move |conn| {
            Box::pin(async move {
                for (one, other) in pieces {
                    run(conn, &transactions, one).await;
                    run(conn, &entries, other).await;
                }
                Ok(())
            })
        })
        .await;
        written.expect("written");
    }
    for (_, index) in INDEXES {
        run(pool, &format!("CREATE {index}"), Vec::new()).await;
    }
    heads(database, &chains).await;
}

async fn heads(database: &Database, chains: &[[Chain; 2]]) {
    let chains = chains.to_vec();
    let written: Result<(), xingfuma_store::StoreError> = transact(&database.store, move |conn| {
        Box::pin(async move {
            for (n, purses) in chains.iter().enumerate() {
                for (purse, chain) in ["assessment", "spendable"].into_iter().zip(purses) {
                    if chain.seq > 0 {
                        let text = "INSERT INTO score_account (county, owner_id, kind, purse, balance, seq, head) \
                                    VALUES ($1, $2, 'person', $3, $4, $5, $6)";
                        let values = vec![
                            COUNTY.into(),
                            person(n as u64).into(),
                            purse.into(),
                            (chain.seq * 3).into(),
                            chain.seq.into(),
                            chain.head.to_vec().into(),
                        ];
                        run(conn, text, values).await;
                    }
                }
            }
            Ok(())
        })
    })
    .await;
    written.expect("written");
}

/// Seconds for which this process has had a processor: what a busy machine does not change. Linux counts in hundredths.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux tells");
    let fields: Vec<&str> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
    let ticks = |field: usize| fields[field].parse::<f64>().expect("ticks");
    (ticks(11) + ticks(12)) / 100.0
}

async fn measure(database: Database, name: &str, entries: u64) {
    let filling = Instant::now();
    fill(&database, entries / 4).await;
    let (begun, busy) = (Instant::now(), processor_seconds());
    let snapshot = database.store.snapshot().await.expect("a snapshot");
    let verdict = verify(&snapshot).await.expect("a verdict");
    let (took, busy) = (begun.elapsed(), processor_seconds() - busy);
    let filled = begun - filling;
    println!("{name}: {} entries of {} accounts written in {filled:.1?}", verdict.entries, verdict.accounts);
    println!("{name}: verified in {took:.1?}, {busy:.1} s of one processor");
    assert_eq!(verdict.faults, []);
    assert_eq!(verdict.entries, entries);
    // The limit is that of the large ledger; a small one only shows that it works.
    assert!(took < WITHIN, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_million_entries_are_verified_in_a_minute() {
    let asked = std::env::var("XINGFUMA_TESTS_ENTRIES").ok().and_then(|entries| entries.parse().ok());
    let entries = asked.unwrap_or(if long() { 10_000_000 } else { 64_000 });
    measure(Database::sqlite().await, "SQLite", entries).await;
    measure(Database::postgres("ledger_size").await, "PostgreSQL", entries).await;
}
