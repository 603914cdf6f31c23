//! The ledger's rows as they stand, a piece at a time, for those who check them.
//!
//! A piece of two thousand transactions comes as one row: the database puts columns, entries and transactions together
//! into one text. Ten million entries as rows of nine columns each cost several times as much, nearly all of it for
//! handing over rows and columns. What stands between the parts are control characters. JSON has none, and no column
//! that the program writes; a forged one that has makes the parts more than there are rows, and they are counted against
//! the rows: nothing inside a field can pass for a field, an entry or a transaction. What cannot be read is an answer
//! like any other: whoever forged it must not be able to stop the check.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseBackend, FromQueryResult, QueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::scoring::chain::{self, EntryContent, Hash, TransactionContent};

use crate::sql;
use crate::{StoreError, unreadable};

/// Transactions read at once.
pub(super) const BATCH: u64 = 2_000;

/// What stands between transactions.
const TRANSACTIONS: char = '\u{1c}';
/// What stands between a transaction's own columns and its entries.
const ENTRIES: char = '\u{1d}';
/// What stands between entries, and behind their number.
const LINES: char = '\u{1e}';
/// What stands between columns.
const FIELDS: char = '\u{1f}';

/// A transaction as it stands, with its entries.
#[derive(Debug, Default)]
pub(super) struct Whole<'a> {
    pub(super) id: Uuid,
    content: Option<TransactionContent<'a>>,
    lines: Option<Vec<Line<'a>>>,
}

impl<'a> Whole<'a> {
    /// Takes in the text of a transaction; answers whether it is known at least which one it is.
    fn read(&mut self, text: &'a str) -> bool {
        let Some((facts, entries)) = text.split_once(ENTRIES) else { return false };
        let Some((id, facts)) = facts.split_once(FIELDS) else { return false };
        let Ok(id) = Uuid::try_parse(id) else { return false };
        // The room of the lines before is used again.
        let mut lines = self.lines.take().unwrap_or_default();
        let read = read_lines(entries, &mut lines).is_some();
        *self = Whole { id, content: content(id, facts), lines: read.then_some(lines) };
        true
    }

    /// The entries, in the order of their ids; nothing when one of them cannot be read.
    pub(super) fn entries(&self) -> Option<&[Line<'a>]> {
        self.lines.as_deref()
    }

    /// The digest of the transaction with its entries; nothing when it cannot be read.
    pub(super) fn digest(&self) -> Option<Hash> {
        let (content, lines) = (self.content.as_ref()?, self.entries()?);
        Some(chain::digest(content, lines.iter().map(|line| line.content)))
    }
}

fn content(id: Uuid, facts: &str) -> Option<TransactionContent<'_>> {
    let [
        county,
        cause,
        source_type,
        source_id,
        rule_code,
        rule_version,
        inputs,
        area,
        decided_by,
        reverses,
        at,
    ] = fields(facts)?;
    Some(TransactionContent {
        id,
        county,
        cause,
        source_type,
        source_id: Uuid::try_parse(source_id).ok()?,
        rule_code,
        rule_version: rule_version.parse().ok()?,
        inputs,
        area,
        decided_by: optional(decided_by)?,
        reverses: optional(reverses)?,
        at: instant(at)?,
    })
}

/// The entries of a transaction: how many rows there are, then the text of each.
fn read_lines<'a>(text: &'a str, lines: &mut Vec<Line<'a>>) -> Option<()> {
    lines.clear();
    let (rows, text) = text.split_once(LINES)?;
    let rows: usize = rows.parse().ok()?;
    if !text.is_empty() {
        for line in text.split(LINES) {
            lines.push(Line::read(line)?);
        }
    }
    lines.sort_unstable_by_key(|line| line.content.id);
    (lines.len() == rows).then_some(())
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
    let mut parts = text.split(FIELDS);
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

/// A moment as SQLite keeps it, or as PostgreSQL prints it.
fn instant(text: &str) -> Option<DateTime<Utc>> {
    let kept = DateTime::parse_from_rfc3339(text);
    kept.or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z")).ok().map(|at| at.to_utc())
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

/// The text of a transaction with its entries, in the database's own words.
fn whole(backend: DatabaseBackend) -> String {
    let postgres = backend == DatabaseBackend::Postgres;
    let known = |column: &str| format!("coalesce({column}::text, '')");
    // SQLite's `hex` of nothing is empty.
    let id = |column: &str| if postgres { known(column) } else { format!("hex({column})") };
    let number = |column: &str| if postgres { known(column) } else { format!("coalesce({column}, '')") };
    let (hash, together, text) = match postgres {
        true => ("coalesce(encode(e.hash, 'hex'), '')", "string_agg", "::text"),
        false => ("hex(e.hash)", "group_concat", ""),
    };
    let facts = [
        id("t.id"),
        "t.county".to_owned(),
        "t.cause".to_owned(),
        "t.source_type".to_owned(),
        id("t.source_id"),
        "t.rule_code".to_owned(),
        number("t.rule_version"),
        "t.inputs".to_owned(),
        "t.area_code".to_owned(),
        id("t.decided_by"),
        id("t.reverses"),
        format!("t.at{text}"),
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
        "concat_ws('{FIELDS}', {}) || '{ENTRIES}' || (SELECT count(*){text} || '{LINES}' || \
         coalesce({together}(concat_ws('{FIELDS}', {}), '{LINES}'), '') \
         FROM score_entry e WHERE e.transaction_id = t.id)",
        facts.join(", "),
        line.join(", "),
    )
}

/// A piece of the ledger.
pub(super) struct Piece {
    /// Transactions in it.
    pub(super) rows: u64,
    /// The last of them; none where none can be read.
    pub(super) last: Option<Uuid>,
    text: Vec<u8>,
}

impl Piece {
    /// Nothing that can be read at all is an empty text for its rows.
    fn read(row: &QueryResult) -> Result<Piece, StoreError> {
        let rows: i64 = row.try_get_by_index(0)?;
        let text: Option<Vec<u8>> = row.try_get_by_index(2).unwrap_or_default();
        Ok(Piece {
            rows: rows.unsigned_abs(),
            last: row.try_get_by_index(1).unwrap_or_default(),
            text: text.unwrap_or_default(),
        })
    }

    /// Whether there may be more behind it.
    pub(super) fn is_full(&self) -> bool {
        self.rows >= BATCH
    }

    /// Hands on each transaction; answers how many could not be read at all.
    pub(super) fn each(&self, take: impl FnMut(&Whole<'_>)) -> u64 {
        if self.rows == 0 {
            return 0;
        }
        let (parts, read) = match str::from_utf8(&self.text) {
            Ok(text) => hand_on(text.split(TRANSACTIONS).map(Some), take),
            // One of them is no text: the others are.
            Err(_) => {
                let parts = self.text.split(|byte| char::from(*byte) == TRANSACTIONS);
                hand_on(parts.map(|part| str::from_utf8(part).ok()), take)
            }
        };
        self.rows.abs_diff(read).max(u64::from(parts != self.rows))
    }
}

/// Hands on each transaction; answers how many parts there were, and how many could be read.
fn hand_on<'a>(parts: impl Iterator<Item = Option<&'a str>>, mut take: impl FnMut(&Whole<'a>)) -> (u64, u64) {
    let (mut whole, mut count, mut read) = (Whole::default(), 0, 0);
    for part in parts {
        count += 1;
        if part.is_some_and(|part| whole.read(part)) {
            read += 1;
            take(&whole);
        }
    }
    (count, read)
}

/// The transactions that `which` says, as one piece.
async fn piece(conn: &impl ConnectionTrait, which: &str, values: Vec<Value>) -> Result<Piece, StoreError> {
    let backend = conn.get_database_backend();
    let (last, text) = match backend {
        DatabaseBackend::Postgres => (
            "max(page.id::text COLLATE \"C\")::uuid",
            format!("convert_to(string_agg(page.whole, '{TRANSACTIONS}'), 'UTF8')"),
        ),
        // An id that was forged into something else is not gone on from.
        _ => (
            "max(CASE WHEN typeof(page.id) = 'blob' AND length(page.id) = 16 THEN page.id END)",
            format!("CAST(group_concat(page.whole, '{TRANSACTIONS}') AS blob)"),
        ),
    };
    let whole = whole(backend);
    let text = format!(
        "SELECT count(*), {last}, {text} \
         FROM (SELECT t.id AS id, {whole} AS whole FROM score_transaction t {which}) AS page"
    );
    let row = conn.query_one_raw(sql::statement(conn, &text, values)).await?;
    row.as_ref().map(Piece::read).unwrap_or_else(|| Err(unreadable("a count that is none")))
}

/// Transactions behind `after`, by id.
pub(super) async fn after(conn: &impl ConnectionTrait, after: Option<Uuid>) -> Result<Piece, StoreError> {
    let (condition, values) = match after {
        Some(after) => ("WHERE t.id > $1", vec![after.into()]),
        None => ("", Vec::new()),
    };
    piece(conn, &format!("{condition} ORDER BY t.id LIMIT {BATCH}"), values).await
}

/// The digests of transactions, where they are there and can be read, by id.
pub(super) async fn digests(
    conn: &impl ConnectionTrait,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Hash>, StoreError> {
    let mut found = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(500) {
        let list = sql::list(1, ids.len());
        let values = ids.iter().map(|id| Value::from(*id)).collect();
        let piece = piece(conn, &format!("WHERE t.id IN ({list})"), values).await?;
        piece.each(|whole| found.extend(whole.digest().map(|digest| (whole.id, digest))));
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
