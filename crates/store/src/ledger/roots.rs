//! The daily roots: one hash a day over the heads of all chains that have grown since the root before. It is kept here,
//! with the heads that it sums up, and a line of it outside the database. Whoever cuts the tail of a chain, with head
//! and balance, then contradicts the root of an earlier day; and whoever changes the root too, the line outside.

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::{ConnectionTrait, DatabaseBackend, FromQueryResult, Value};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::scoring::chain::{Chain, Hash, RootHasher, hex};

use super::post::as_hash;
use super::reading::BATCH;
use super::verify::{AccountName, Fault, Verdict, What};
use crate::sql::{self, Rows};
use crate::{Store, StoreError, transact};

/// A daily root: the line that is written outside the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Root {
    /// The county.
    pub county: AreaCode,
    /// 1, 2, 3 …, in each county.
    pub number: i64,
    /// The day (China time) on which it was taken; each day has one at most.
    pub day: NaiveDate,
    /// When it was taken.
    pub at: DateTime<Utc>,
    /// How many accounts have grown since the root before.
    pub accounts: i64,
    /// The root, in hexadecimal digits.
    pub hash: String,
}

#[derive(FromQueryResult)]
struct RootRow {
    county: String,
    number: i64,
    day: String,
    at: DateTime<Utc>,
    accounts: i64,
    hash: Vec<u8>,
}

impl RootRow {
    fn root(&self) -> Result<Root, StoreError> {
        Ok(Root {
            county: self.county.parse().map_err(crate::unreadable)?,
            number: self.number,
            day: self.day.parse().map_err(crate::unreadable)?,
            at: self.at,
            accounts: self.accounts,
            hash: hex(&self.hash),
        })
    }
}

#[derive(FromQueryResult)]
struct RootHeadRow {
    owner_id: Uuid,
    kind: String,
    purse: String,
    seq: i64,
    head: Vec<u8>,
}

impl RootHeadRow {
    fn chain(&self) -> Result<Chain, StoreError> {
        Ok(Chain { seq: self.seq, head: as_hash(&self.head)? })
    }
}

const ROOT: &str = "county, number, day, at, accounts, hash";

/// Takes the root of a day, unless that day or a later one has one already.
///
/// # Errors
/// When the database fails.
pub async fn take(
    store: &Store,
    county: AreaCode,
    day: NaiveDate,
    at: DateTime<Utc>,
) -> Result<Option<Root>, StoreError> {
    transact(store, move |conn| Box::pin(async move { take_in(conn, county, day, at).await })).await
}

async fn take_in(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    day: NaiveDate,
    at: DateTime<Utc>,
) -> Result<Option<Root>, StoreError> {
    if conn.get_database_backend() == DatabaseBackend::Postgres {
        // Two processes that begin a day together: the second waits, and finds the root of the first.
        sql::run(conn, "SELECT code FROM county WHERE code = $1 FOR UPDATE", vec![county.to_string().into()])
            .await?;
    }
    let last = last(conn, county).await?;
    if last.as_ref().is_some_and(|last| last.day >= day.to_string()) {
        return Ok(None);
    }
    let previous = last.as_ref().map_or(Ok([0; 32]), |last| as_hash(&last.hash))?;
    let number = last.map_or(1, |last| last.number + 1);
    let mut hasher = RootHasher::new(county.as_str(), number, at, &previous);
    let accounts = add_heads(conn, county, number, &mut hasher).await?;
    let hash = hasher.finish();
    let mut rows = Rows::new(6);
    rows.push([
        county.to_string().into(),
        number.into(),
        day.to_string().into(),
        at.into(),
        accounts.into(),
        hash.to_vec().into(),
    ]);
    rows.insert(conn, &format!("score_root ({ROOT})"), "").await?;
    Ok(Some(Root { county, number, day, at, accounts, hash: hex(&hash) }))
}

async fn last(conn: &impl ConnectionTrait, county: AreaCode) -> Result<Option<RootRow>, StoreError> {
    let text = format!("SELECT {ROOT} FROM score_root WHERE county = $1 ORDER BY number DESC LIMIT 1");
    sql::one(conn, &text, vec![county.to_string().into()]).await
}

/// Writes the heads that have grown, and adds them to the root; answers how many.
async fn add_heads(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    number: i64,
    hasher: &mut RootHasher,
) -> Result<i64, StoreError> {
    let (mut after, mut count) = ((Uuid::nil(), String::new(), String::new()), 0);
    loop {
        let text = format!(
            "SELECT a.owner_id, a.kind, a.purse, a.seq, a.head FROM score_account a WHERE a.county = $1 \
             AND (a.owner_id, a.kind, a.purse) > ($2, $3, $4) \
             AND NOT EXISTS (SELECT 1 FROM score_root_head r WHERE r.owner_id = a.owner_id AND r.kind = a.kind \
             AND r.purse = a.purse AND r.seq >= a.seq AND r.county = a.county) \
             ORDER BY a.owner_id, a.kind, a.purse LIMIT {BATCH}"
        );
        let values =
            vec![county.to_string().into(), after.0.into(), after.1.clone().into(), after.2.clone().into()];
        let grown: Vec<RootHeadRow> = sql::all(conn, &text, values).await?;
        let Some(last) = grown.last() else { return Ok(count) };
        after = (last.owner_id, last.kind.clone(), last.purse.clone());
        let mut rows = Rows::new(7);
        for row in &grown {
            hasher.add(row.owner_id, &row.kind, &row.purse, &row.chain()?);
            rows.push([
                county.to_string().into(),
                number.into(),
                row.owner_id.into(),
                row.kind.clone().into(),
                row.purse.clone().into(),
                row.seq.into(),
                row.head.clone().into(),
            ]);
            count += 1;
        }
        rows.insert(conn, "score_root_head (county, number, owner_id, kind, purse, seq, head)", "").await?;
    }
}

/// Roots of the county with a number above `after`, in order.
///
/// # Errors
/// When the database fails.
pub async fn after(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    after: i64,
) -> Result<Vec<Root>, StoreError> {
    let text = format!("SELECT {ROOT} FROM score_root WHERE county = $1 AND number > $2 ORDER BY number");
    let rows: Vec<RootRow> = sql::all(conn, &text, vec![county.to_string().into(), after.into()]).await?;
    rows.iter().map(RootRow::root).collect()
}

/// Checks the county's roots: each against its heads and the root before it, its heads against the entries, and all of
/// them against the lines that were kept outside, where there are any.
///
/// # Errors
/// When the database fails.
pub async fn verify(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    outside: Option<&[Root]>,
    verdict: &mut Verdict,
) -> Result<(), StoreError> {
    let text = format!("SELECT {ROOT} FROM score_root WHERE county = $1 ORDER BY number");
    let rows: Vec<RootRow> = sql::all(conn, &text, vec![county.to_string().into()]).await?;
    let mut previous = [0; 32];
    for (expected, row) in (1_i64..).zip(&rows) {
        let holds = row.number == expected && hash_again(conn, row, &previous).await? == row.hash;
        if !holds {
            verdict.add(Fault { root: Some(row.number), what: What::RootAltered, ..Fault::default() });
        }
        previous = as_hash(&row.hash).unwrap_or_default();
    }
    broken_heads(conn, county, verdict).await?;
    if let Some(outside) = outside {
        compare(&rows, outside, verdict);
    }
    Ok(())
}

async fn hash_again(
    conn: &impl ConnectionTrait,
    row: &RootRow,
    previous: &Hash,
) -> Result<Vec<u8>, StoreError> {
    let mut hasher = RootHasher::new(&row.county, row.number, row.at, previous);
    let (mut after, mut count) = ((Uuid::nil(), String::new(), String::new()), 0_i64);
    loop {
        let text = format!(
            "SELECT owner_id, kind, purse, seq, head FROM score_root_head WHERE county = $1 AND number = $2 \
             AND (owner_id, kind, purse) > ($3, $4, $5) ORDER BY owner_id, kind, purse LIMIT {BATCH}"
        );
        let values: Vec<Value> = vec![
            row.county.clone().into(),
            row.number.into(),
            after.0.into(),
            after.1.clone().into(),
            after.2.clone().into(),
        ];
        let heads: Vec<RootHeadRow> = sql::all(conn, &text, values).await?;
        let Some(last) = heads.last() else { break };
        after = (last.owner_id, last.kind.clone(), last.purse.clone());
        for head in &heads {
            hasher.add(head.owner_id, &head.kind, &head.purse, &head.chain()?);
            count += 1;
        }
    }
    Ok(if count == row.accounts { hasher.finish().to_vec() } else { Vec::new() })
}

/// Heads of roots which no entry bears out any more: the first number of each account.
async fn broken_heads(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    verdict: &mut Verdict,
) -> Result<(), StoreError> {
    #[derive(FromQueryResult)]
    struct Broken {
        number: i64,
        owner_id: Uuid,
        kind: String,
        purse: String,
        seq: i64,
    }
    let text = "SELECT r.number, r.owner_id, r.kind, r.purse, r.seq FROM score_root_head r WHERE r.county = $1 \
                AND NOT EXISTS (SELECT 1 FROM score_entry e WHERE e.owner_id = r.owner_id AND e.kind = r.kind \
                AND e.purse = r.purse AND e.seq = r.seq AND e.hash = r.head) \
                ORDER BY r.owner_id, r.kind, r.purse, r.seq LIMIT 10000";
    let broken: Vec<Broken> = sql::all(conn, text, vec![county.to_string().into()]).await?;
    let mut before: Option<(Uuid, String, String)> = None;
    for row in broken {
        let account = (row.owner_id, row.kind.clone(), row.purse.clone());
        if before.as_ref() != Some(&account) {
            verdict.add(Fault {
                account: Some(AccountName {
                    county: county.to_string(),
                    owner: row.owner_id,
                    kind: row.kind,
                    purse: row.purse,
                }),
                seq: Some(row.seq),
                root: Some(row.number),
                what: What::RootBroken,
                ..Fault::default()
            });
        }
        before = Some(account);
    }
    Ok(())
}

fn compare(rows: &[RootRow], outside: &[Root], verdict: &mut Verdict) {
    let mut fault = |number, what| verdict.add(Fault { root: Some(number), what, ..Fault::default() });
    for line in outside {
        let here = rows.iter().find(|row| row.number == line.number);
        if here.is_none_or(|row| hex(&row.hash) != line.hash) {
            fault(line.number, What::RootForeign);
        }
    }
    for row in rows.iter().filter(|row| !outside.iter().any(|line| line.number == row.number)) {
        fault(row.number, What::RootNotOutside);
    }
}
