//! The ledger's rows as they stand, a piece at a time, for those who check them. A row that cannot be read is an answer
//! like any other: whoever forged it must not be able to stop the check.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::scoring::chain::{self, EntryContent, Hash, TransactionContent};

use crate::StoreError;
use crate::sql;

/// Transactions read at once.
pub(super) const BATCH: u64 = 2_000;

/// A transaction as it stands.
#[derive(Clone, Debug, FromQueryResult)]
pub(super) struct TransactionRow {
    pub(super) id: Uuid,
    county: String,
    cause: String,
    source_type: String,
    source_id: Uuid,
    rule_code: String,
    rule_version: i32,
    inputs: String,
    area_code: String,
    decided_by: Option<Uuid>,
    reverses: Option<Uuid>,
    at: DateTime<Utc>,
}

/// An entry as it stands.
#[derive(Clone, Debug, FromQueryResult)]
pub(super) struct EntryRow {
    pub(super) id: Uuid,
    pub(super) transaction_id: Uuid,
    pub(super) county: String,
    pub(super) kind: String,
    pub(super) purse: String,
    pub(super) owner_id: Option<Uuid>,
    pub(super) points: i64,
    pub(super) seq: Option<i64>,
    pub(super) hash: Option<Vec<u8>>,
}

impl EntryRow {
    fn content(&self) -> EntryContent<'_> {
        EntryContent {
            id: self.id,
            county: &self.county,
            kind: &self.kind,
            purse: &self.purse,
            owner: self.owner_id,
            points: self.points,
        }
    }
}

const TRANSACTION: &str = "id, county, cause, source_type, source_id, rule_code, rule_version, inputs, area_code, \
                           decided_by, reverses, at";
const ENTRY: &str = "id, transaction_id, county, kind, purse, owner_id, points, seq, hash";

/// The digest of a transaction with its entries, which are in the order of their ids.
pub(super) fn digest(transaction: &TransactionRow, entries: &[EntryRow]) -> Hash {
    let content = TransactionContent {
        id: transaction.id,
        county: &transaction.county,
        cause: &transaction.cause,
        source_type: &transaction.source_type,
        source_id: transaction.source_id,
        rule_code: &transaction.rule_code,
        rule_version: transaction.rule_version,
        inputs: &transaction.inputs,
        area: &transaction.area_code,
        decided_by: transaction.decided_by,
        reverses: transaction.reverses,
        at: transaction.at,
    };
    chain::digest(&content, entries.iter().map(EntryRow::content))
}

/// Rows that could be read, and how many could not.
pub(super) struct Read<T> {
    pub(super) rows: Vec<T>,
    pub(super) unreadable: u64,
    pub(super) full: bool,
}

async fn read<T: FromQueryResult>(
    conn: &impl ConnectionTrait,
    text: &str,
    values: Vec<Value>,
) -> Result<Read<T>, StoreError> {
    let found = conn.query_all_raw(sql::statement(conn, text, values)).await?;
    let mut read = Read { rows: Vec::with_capacity(found.len()), unreadable: 0, full: false };
    for row in &found {
        match T::from_query_result(row, "") {
            Ok(row) => read.rows.push(row),
            Err(_) => read.unreadable += 1,
        }
    }
    read.full = found.len() as u64 >= BATCH;
    Ok(read)
}

/// Transactions behind `after`, by id.
pub(super) async fn transactions(
    conn: &impl ConnectionTrait,
    after: Option<Uuid>,
) -> Result<Read<TransactionRow>, StoreError> {
    let (condition, values) = match after {
        Some(after) => ("WHERE id > $1", vec![after.into()]),
        None => ("", Vec::new()),
    };
    let text = format!("SELECT {TRANSACTION} FROM score_transaction {condition} ORDER BY id LIMIT {BATCH}");
    read(conn, &text, values).await
}

/// The entries of the transactions behind `after` up to `last`; without a bound where there is none.
pub(super) async fn entries(
    conn: &impl ConnectionTrait,
    after: Option<Uuid>,
    last: Option<Uuid>,
) -> Result<Read<EntryRow>, StoreError> {
    let mut values: Vec<Value> = Vec::new();
    let mut conditions = vec!["1 = 1".to_owned()];
    for (bound, sign) in [(after, ">"), (last, "<=")] {
        if let Some(bound) = bound {
            values.push(bound.into());
            conditions.push(format!("transaction_id {sign} ${}", values.len()));
        }
    }
    let text = format!(
        "SELECT {ENTRY} FROM score_entry WHERE {} ORDER BY transaction_id, id",
        conditions.join(" AND ")
    );
    read(conn, &text, values).await
}

/// Entries of one account behind number `after`, by number.
pub(super) async fn entries_of_account(
    conn: &impl ConnectionTrait,
    account: (&str, Uuid, &str, &str),
    after: i64,
) -> Result<Read<EntryRow>, StoreError> {
    let text = format!(
        "SELECT {ENTRY} FROM score_entry WHERE owner_id = $1 AND kind = $2 AND purse = $3 AND county = $4 \
         AND seq > $5 ORDER BY seq, id LIMIT {BATCH}"
    );
    let (county, owner, kind, purse) = account;
    read(conn, &text, vec![owner.into(), kind.into(), purse.into(), county.into(), after.into()]).await
}

/// An entry of the account that has no number.
pub(super) async fn unnumbered(
    conn: &impl ConnectionTrait,
    account: (&str, Uuid, &str, &str),
) -> Result<Option<EntryRow>, StoreError> {
    let text = format!(
        "SELECT {ENTRY} FROM score_entry WHERE owner_id = $1 AND kind = $2 AND purse = $3 AND county = $4 \
         AND (seq IS NULL OR seq < 1) ORDER BY id LIMIT 1"
    );
    let (county, owner, kind, purse) = account;
    let values = vec![owner.into(), kind.into(), purse.into(), county.into()];
    Ok(read(conn, &text, values).await?.rows.into_iter().next())
}

/// The digests of transactions, where they are there and can be read, by id.
pub(super) async fn digests(
    conn: &impl ConnectionTrait,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Hash>, StoreError> {
    let mut found = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(500) {
        let list = sql::list(1, ids.len());
        let values: Vec<Value> = ids.iter().map(|id| Value::from(*id)).collect();
        let text = format!("SELECT {TRANSACTION} FROM score_transaction WHERE id IN ({list})");
        let transactions: Read<TransactionRow> = read(conn, &text, values.clone()).await?;
        let text = format!(
            "SELECT {ENTRY} FROM score_entry WHERE transaction_id IN ({list}) ORDER BY transaction_id, id"
        );
        let entries: Read<EntryRow> = read(conn, &text, values).await?;
        for transaction in &transactions.rows {
            let first = entries.rows.partition_point(|entry| entry.transaction_id < transaction.id);
            let end = entries.rows.partition_point(|entry| entry.transaction_id <= transaction.id);
            found.insert(transaction.id, digest(transaction, &entries.rows[first..end]));
        }
    }
    Ok(found)
}
