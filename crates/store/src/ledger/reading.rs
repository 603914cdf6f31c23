//! The ledger's rows as they stand, a piece at a time, for those who check them.
//!
//! A transaction comes as one row, its small columns and its entries put together into two texts by the database: ten
//! million entries are read a multiple faster so than as rows of nine columns each. Fields are separated by `|`, entries
//! by `;`, and their number is checked, so that a separator inside a forged field cannot pass for another field. What
//! cannot be read is an answer like any other: whoever forged it must not be able to stop the check.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseBackend, DbErr, FromQueryResult, QueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::scoring::chain::{self, EntryContent, Hash, TransactionContent};

use crate::StoreError;
use crate::sql;

/// Transactions read at once.
pub(super) const BATCH: u64 = 2_000;

/// A transaction as it stands, with its entries.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) id: Uuid,
    facts: String,
    inputs: String,
    at: DateTime<Utc>,
    entries: Option<String>,
}

impl Whole {
    fn read(row: &QueryResult) -> Result<Whole, DbErr> {
        Ok(Whole {
            id: row.try_get_by_index(0)?,
            facts: row.try_get_by_index(1)?,
            inputs: row.try_get_by_index(2)?,
            at: row.try_get_by_index(3)?,
            entries: row.try_get_by_index(4)?,
        })
    }

    fn content(&self) -> Option<TransactionContent<'_>> {
        let [county, cause, source_type, source_id, rule_code, rule_version, area, decided_by, reverses] =
            fields(&self.facts)?;
        Some(TransactionContent {
            id: self.id,
            county,
            cause,
            source_type,
            source_id: Uuid::try_parse(source_id).ok()?,
            rule_code,
            rule_version: rule_version.parse().ok()?,
            inputs: &self.inputs,
            area,
            decided_by: optional(decided_by)?,
            reverses: optional(reverses)?,
            at: self.at,
        })
    }

    /// The entries, in the order of their ids; nothing when one of them cannot be read.
    pub(super) fn entries(&self) -> Option<Vec<Line<'_>>> {
        let Some(text) = &self.entries else { return Some(Vec::new()) };
        let mut lines = text.split(';').map(Line::read).collect::<Option<Vec<_>>>()?;
        lines.sort_by_key(|line| line.content.id);
        Some(lines)
    }

    /// The digest of the transaction with these entries of it; nothing when it cannot be read.
    pub(super) fn digest(&self, lines: &[Line<'_>]) -> Option<Hash> {
        Some(chain::digest(&self.content()?, lines.iter().map(|line| line.content)))
    }
}

/// An entry as it stands: what it says, and its place in its account's chain.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) content: EntryContent<'a>,
    pub(super) seq: Option<i64>,
    pub(super) hash: Option<Hash>,
}

impl<'a> Line<'a> {
    fn read(text: &'a str) -> Option<Line<'a>> {
        let [id, county, kind, purse, owner, points, seq, hash] = fields(text)?;
        Some(Line {
            content: EntryContent {
                id: Uuid::try_parse(id).ok()?,
                county,
                kind,
                purse,
                owner: optional(owner)?,
                points: points.parse().ok()?,
            },
            seq: if seq.is_empty() { None } else { Some(seq.parse().ok()?) },
            hash: if hash.is_empty() { None } else { Some(unhex(hash)?) },
        })
    }
}

/// The fields of a text, when there are as many as there should be.
fn fields<const N: usize>(text: &str) -> Option<[&str; N]> {
    let mut parts = text.split('|');
    let mut fields = [""; N];
    for field in &mut fields {
        *field = parts.next()?;
    }
    parts.next().is_none().then_some(fields)
}

/// Unreadable, absent, or an id.
fn optional(text: &str) -> Option<Option<Uuid>> {
    if text.is_empty() { Some(None) } else { Uuid::try_parse(text).ok().map(Some) }
}

fn unhex(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    let bytes = text.as_bytes();
    if bytes.len() != 64 {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(bytes.chunks_exact(2)) {
        let [high, low] = [digit(pair[0])?, digit(pair[1])?];
        *byte = high << 4 | low;
    }
    Some(hash)
}

fn digit(letter: u8) -> Option<u8> {
    match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        b'A'..=b'F' => Some(letter - b'A' + 10),
        _ => None,
    }
}

/// The columns of [`Whole`], in the database's own words.
fn columns(backend: DatabaseBackend) -> String {
    let postgres = backend == DatabaseBackend::Postgres;
    let id = |column: &str| {
        if postgres {
            format!("coalesce({column}::text, '')")
        } else {
            format!("coalesce(hex({column}), '')")
        }
    };
    let hash = if postgres { "coalesce(encode(e.hash, 'hex'), '')" } else { "coalesce(hex(e.hash), '')" };
    let aggregate = if postgres { "string_agg" } else { "group_concat" };
    let number = |column: &str| {
        if postgres { format!("coalesce({column}::text, '')") } else { format!("coalesce({column}, '')") }
    };
    let facts = [
        "t.county".to_owned(),
        "t.cause".to_owned(),
        "t.source_type".to_owned(),
        id("t.source_id"),
        "t.rule_code".to_owned(),
        number("t.rule_version"),
        "t.area_code".to_owned(),
        id("t.decided_by"),
        id("t.reverses"),
    ];
    let line = [
        id("e.id"),
        "e.county".to_owned(),
        "e.kind".to_owned(),
        "e.purse".to_owned(),
        id("e.owner_id"),
        number("e.points"),
        number("e.seq"),
        hash.to_owned(),
    ];
    format!(
        "t.id, {}, t.inputs, t.at, (SELECT {aggregate}({}, ';') FROM score_entry e WHERE e.transaction_id = t.id)",
        facts.join(" || '|' || "),
        line.join(" || '|' || "),
    )
}

/// A piece of the ledger.
pub(super) struct Piece {
    pub(super) transactions: Vec<Whole>,
    /// Transactions that could not be read at all.
    pub(super) unreadable: u64,
    /// There may be more behind it.
    pub(super) full: bool,
}

async fn piece(conn: &impl ConnectionTrait, text: &str, values: Vec<Value>) -> Result<Piece, StoreError> {
    let rows = conn.query_all_raw(sql::statement(conn, text, values)).await?;
    let transactions: Vec<Whole> = rows.iter().filter_map(|row| Whole::read(row).ok()).collect();
    let unreadable = (rows.len() - transactions.len()) as u64;
    Ok(Piece { transactions, unreadable, full: rows.len() as u64 >= BATCH })
}

/// Transactions behind `after`, by id.
pub(super) async fn after(conn: &impl ConnectionTrait, after: Option<Uuid>) -> Result<Piece, StoreError> {
    let (condition, values) = match after {
        Some(after) => ("WHERE t.id > $1", vec![after.into()]),
        None => ("", Vec::new()),
    };
    let columns = columns(conn.get_database_backend());
    let text = format!("SELECT {columns} FROM score_transaction t {condition} ORDER BY t.id LIMIT {BATCH}");
    piece(conn, &text, values).await
}

/// The digests of transactions, where they are there and can be read, by id.
pub(super) async fn digests(
    conn: &impl ConnectionTrait,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Hash>, StoreError> {
    let columns = columns(conn.get_database_backend());
    let mut found = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(500) {
        let list = sql::list(1, ids.len());
        let values = ids.iter().map(|id| Value::from(*id)).collect();
        let text = format!("SELECT {columns} FROM score_transaction t WHERE t.id IN ({list})");
        for whole in piece(conn, &text, values).await?.transactions {
            let digest = whole.entries().and_then(|lines| whole.digest(&lines));
            found.extend(digest.map(|digest| (whole.id, digest)));
        }
    }
    Ok(found)
}

/// An entry of one account.
#[derive(Clone, Debug, FromQueryResult)]
pub(super) struct EntryRow {
    pub(super) id: Uuid,
    pub(super) transaction_id: Uuid,
    pub(super) points: i64,
    pub(super) seq: Option<i64>,
    pub(super) hash: Option<Vec<u8>>,
}

/// Entries of one account, and how many could not be read.
pub(super) type Entries = (Vec<EntryRow>, u64);

async fn entries(conn: &impl ConnectionTrait, text: &str, values: Vec<Value>) -> Result<Entries, StoreError> {
    let found = conn.query_all_raw(sql::statement(conn, text, values)).await?;
    let rows: Vec<EntryRow> =
        found.iter().filter_map(|row| EntryRow::from_query_result(row, "").ok()).collect();
    let unreadable = (found.len() - rows.len()) as u64;
    Ok((rows, unreadable))
}

/// County, owner, kind and purse of an account.
pub(super) type Parts<'a> = (&'a str, Uuid, &'a str, &'a str);

const OF_ACCOUNT: &str = "SELECT id, transaction_id, points, seq, hash FROM score_entry \
                          WHERE owner_id = $1 AND kind = $2 AND purse = $3 AND county = $4";

/// Entries of one account behind number `after`, by number.
pub(super) async fn of_account(
    conn: &impl ConnectionTrait,
    (county, owner, kind, purse): Parts<'_>,
    after: i64,
) -> Result<Entries, StoreError> {
    let text = format!("{OF_ACCOUNT} AND seq > $5 ORDER BY seq, id LIMIT {BATCH}");
    entries(conn, &text, vec![owner.into(), kind.into(), purse.into(), county.into(), after.into()]).await
}

/// An entry of the account that has no number.
pub(super) async fn unnumbered(
    conn: &impl ConnectionTrait,
    (county, owner, kind, purse): Parts<'_>,
) -> Result<Option<EntryRow>, StoreError> {
    let text = format!("{OF_ACCOUNT} AND (seq IS NULL OR seq < 1) ORDER BY id LIMIT 1");
    let values = vec![owner.into(), kind.into(), purse.into(), county.into()];
    Ok(entries(conn, &text, values).await?.0.into_iter().next())
}

/// An entry without its transaction.
#[derive(Clone, Debug, FromQueryResult)]
pub(super) struct Orphan {
    pub(super) id: Uuid,
    pub(super) transaction_id: Uuid,
    pub(super) county: String,
    pub(super) kind: String,
    pub(super) purse: String,
    pub(super) owner_id: Option<Uuid>,
}

/// How many entries there are.
pub(super) async fn count(conn: &impl ConnectionTrait) -> Result<i64, StoreError> {
    #[derive(FromQueryResult)]
    struct Count {
        rows: i64,
    }
    let counted: Option<Count> =
        sql::one(conn, "SELECT count(*) AS rows FROM score_entry", Vec::new()).await?;
    Ok(counted.map_or(0, |count| count.rows))
}

/// Entries without their transaction.
pub(super) async fn orphans(conn: &impl ConnectionTrait) -> Result<Vec<Orphan>, StoreError> {
    let text = "SELECT e.id, e.transaction_id, e.county, e.kind, e.purse, e.owner_id FROM score_entry e \
                WHERE NOT EXISTS (SELECT 1 FROM score_transaction t WHERE t.id = e.transaction_id) \
                ORDER BY e.id LIMIT 1000";
    sql::all(conn, text, Vec::new()).await
}
