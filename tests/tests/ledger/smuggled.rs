//! A row that was written into a field of another, with the marks that stand between rows when the check reads them.

use sea_orm::ConnectionTrait;
use uuid::Uuid;
use xingfuma_store::ledger::verify::What;

use crate::tampering::{Books, Entry, Touched, begin, disarm, verdict};
use crate::world::{COUNTY, Database, TRANSACTIONS, Transaction, all, run};

/// Whoever knows how the check reads the rows writes one row into a field of another, with the marks that stand between
/// them, and takes it out: read as a text, nothing has changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_stands_inside_a_field_of_another_is_found() {
    for database in [Database::sqlite().await, Database::postgres("ledger_smuggled").await] {
        let books = Books::write(&database).await;
        let postgres = database.store.is_postgres();
        let conn = begin(&database).await;
        disarm(&conn, postgres).await;
        let transaction = entry_inside_an_entry(&conn, &books).await;
        let faults = verdict(&conn, &books.outside).await.faults;
        assert!(faults.iter().any(|fault| fault.transaction == Some(transaction)), "{faults:#?}");
        conn.rollback().await.expect("a roll-back");

        let conn = begin(&database).await;
        disarm(&conn, postgres).await;
        transaction_inside_a_transaction(&conn, &books).await;
        let faults = verdict(&conn, &books.outside).await.faults;
        assert!(faults.iter().any(|fault| fault.what == What::Unreadable), "{faults:#?}");
        conn.rollback().await.expect("a roll-back");
        if !postgres {
            no_text_in_a_text(&database, &books).await;
        }
        assert_eq!(verdict(database.store.pool(), &books.outside).await.faults, []);
    }
}

/// SQLite keeps bytes that are no text where a text should be: that row alone cannot be read.
async fn no_text_in_a_text(database: &Database, books: &Books) {
    let conn = begin(database).await;
    disarm(&conn, false).await;
    let transaction = books.transactions[5];
    let text = "UPDATE score_transaction SET cause = CAST(x'fffe' AS text) WHERE id = $1";
    assert_eq!(run(&conn, text, vec![transaction.into()]).await, 1);
    let faults = verdict(&conn, &books.outside).await.faults;
    Touched::entries(books.of(transaction)).assert_located(&faults, "no text");
    assert!(faults.iter().any(|fault| fault.what == What::Unreadable), "{faults:#?}");
    conn.rollback().await.expect("a roll-back");
}

/// An entry as it is read, from its kind on: its last fields are those of the row in which it stands.
fn written_out(entry: &Entry) -> String {
    let hash: String = entry.hash.iter().flatten().map(|byte| format!("{byte:02x}")).collect();
    let owner = entry.owner_id.map(|owner| owner.simple().to_string()).unwrap_or_default();
    let seq = entry.seq.map(|seq| seq.to_string()).unwrap_or_default();
    [entry.kind.clone(), entry.purse.clone(), owner, entry.points.to_string(), seq, hash].join("\u{1f}")
}

/// The second entry of a transaction moves into the kind of the first.
async fn entry_inside_an_entry(conn: &impl ConnectionTrait, books: &Books) -> Uuid {
    let of_it = books.of(books.transactions[3]);
    let (one, other) = (of_it[0], of_it[1]);
    let kind = format!("{}\u{1e}{}\u{1f}{COUNTY}\u{1f}{}", written_out(one), other.id.simple(), other.kind);
    assert_eq!(run(conn, "DELETE FROM score_entry WHERE id = $1", vec![other.id.into()]).await, 1);
    let text = "UPDATE score_entry SET kind = $2, purse = $3, owner_id = $4, points = $5, seq = $6, hash = $7 \
                WHERE id = $1";
    let values = vec![
        one.id.into(),
        kind.into(),
        other.purse.clone().into(),
        other.owner_id.into(),
        other.points.into(),
        other.seq.into(),
        other.hash.clone().into(),
    ];
    assert_eq!(run(conn, text, values).await, 1);
    one.transaction_id
}

/// An award moves, with all its entries but those that are left to carry it, into the inputs of the one before it.
async fn transaction_inside_a_transaction(conn: &impl ConnectionTrait, books: &Books) {
    let mut stored: Vec<Transaction> = all(conn, TRANSACTIONS, Vec::new()).await;
    stored.retain(|one| one.decided_by.is_none() && one.reverses.is_none());
    let next = |one: &Uuid| books.transactions.iter().position(|id| id == one).expect("it is there") + 1;
    let pair = stored.windows(2).find(|pair| books.transactions.get(next(&pair[0].id)) == Some(&pair[1].id));
    let [one, other] = pair.expect("two awards in a row") else { panic!("a pair") };
    let entries: Vec<String> = books
        .of(one.id)
        .into_iter()
        .map(|entry| format!("{}\u{1f}{COUNTY}\u{1f}{}", entry.id.simple(), written_out(entry)))
        .collect();
    let rest = [one.area_code.clone(), String::new(), String::new(), one.at.to_rfc3339()].join("\u{1f}");
    let begun = [
        other.id.simple().to_string(),
        COUNTY.to_owned(),
        other.cause.clone(),
        other.source_type.clone(),
        other.source_id.simple().to_string(),
        other.rule_code.clone(),
        other.rule_version.to_string(),
        other.inputs.clone(),
    ];
    let inputs = format!(
        "{}\u{1f}{rest}\u{1d}{}\u{1e}{}\u{1c}{}",
        one.inputs,
        entries.len(),
        entries.join("\u{1e}"),
        begun.join("\u{1f}"),
    );
    run(conn, "DELETE FROM score_entry WHERE transaction_id = $1", vec![one.id.into()]).await;
    let text = "UPDATE score_entry SET transaction_id = $2 WHERE transaction_id = $1";
    assert!(run(conn, text, vec![other.id.into(), one.id.into()]).await > 0);
    assert_eq!(run(conn, "DELETE FROM score_transaction WHERE id = $1", vec![other.id.into()]).await, 1);
    let text = "UPDATE score_transaction SET inputs = $2, area_code = $3, at = $4 WHERE id = $1";
    let values = vec![one.id.into(), inputs.into(), other.area_code.clone().into(), other.at.into()];
    assert_eq!(run(conn, text, values).await, 1);
}
