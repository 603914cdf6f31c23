//! The audit log: who did or read what, and why; whose data it was. Only ids stand in it, no personal data.
//!
//! Rows are appended in the transaction of what they tell of, or right after a refusal. A moment later [`seal`] makes
//! them links of the county's chain: sealing needs the row before, and nobody who writes waits for that. A row that was
//! never sealed, a changed one and a missing one are found by [`verify`].

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseBackend, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::audit::{RowContent, digest};
use xingfuma_domain::scoring::chain::{Chain, Hash};

use crate::sql::{self, Rows};
use crate::{Store, StoreError, transact, unreadable};

/// Rows that are sealed in one transaction.
pub const SEALED_AT_ONCE: u64 = 500;
/// Rows that are checked at once.
const PIECE: i64 = 2_000;

/// One line of the audit log; no personal data inside.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    /// The id.
    pub id: Uuid,
    /// The county.
    pub county: AreaCode,
    /// When.
    pub at: DateTime<Utc>,
    /// Who did it.
    pub person: Option<Uuid>,
    /// What.
    pub action: &'static str,
    /// To what.
    pub resource: Uuid,
    /// Whose data it was.
    pub subject: Option<Uuid>,
    /// Why, masked.
    pub reason: Option<String>,
}

/// The columns of a row, as [`rows`] fills them.
pub(crate) const INTO: &str = "audit (id, county, at, person_id, action, resource_id, subject_id, reason)";

pub(crate) fn rows(entries: &[AuditEntry]) -> Rows {
    let mut rows = Rows::new(8);
    for entry in entries {
        rows.push([
            entry.id.into(),
            entry.county.to_string().into(),
            entry.at.into(),
            entry.person.into(),
            entry.action.into(),
            entry.resource.into(),
            entry.subject.into(),
            entry.reason.clone().into(),
        ]);
    }
    rows
}

/// Appends lines.
///
/// # Errors
/// When the database fails.
pub async fn append(conn: &impl ConnectionTrait, entries: &[AuditEntry]) -> Result<(), StoreError> {
    rows(entries).insert(conn, INTO, "").await?;
    Ok(())
}

/// A line as it was stored.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct AuditRow {
    /// The id.
    pub id: Uuid,
    /// The county's code.
    pub county: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub person_id: Option<Uuid>,
    /// What.
    pub action: String,
    /// To what.
    pub resource_id: Uuid,
    /// Whose data it was.
    pub subject_id: Option<Uuid>,
    /// Why, masked.
    pub reason: Option<String>,
}

impl AuditRow {
    fn content(&self) -> RowContent<'_> {
        RowContent {
            id: self.id,
            county: &self.county,
            at: self.at,
            person: self.person_id,
            action: &self.action,
            resource: self.resource_id,
            subject: self.subject_id,
            reason: self.reason.as_deref(),
        }
    }
}

const COLUMNS: &str = "a.id, a.county, a.at, a.person_id, a.action, a.resource_id, a.subject_id, a.reason";

/// Who did what with a person's data, newest first: one range of an index, however long the log is.
///
/// # Errors
/// When the database fails.
pub async fn about(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    subject: Uuid,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<AuditRow>, StoreError> {
    let mut values: Vec<Value> = vec![subject.into(), county.to_string().into()];
    let mut text = format!("SELECT {COLUMNS} FROM audit a WHERE a.subject_id = $1 AND a.county = $2");
    if let Some(before) = before {
        values.push(before.into());
        text.push_str(" AND a.id < $3");
    }
    text.push_str(&format!(" ORDER BY a.id DESC LIMIT {limit}"));
    sql::all(conn, &text, values).await
}

#[derive(FromQueryResult)]
struct HeadRow {
    seq: i64,
    hash: Vec<u8>,
}

fn as_chain(row: &HeadRow) -> Result<Chain, StoreError> {
    let head: Hash = row.hash.as_slice().try_into().map_err(|_| unreadable("no hash"))?;
    Ok(Chain { seq: row.seq, head })
}

/// How far the county's chain goes.
///
/// # Errors
/// When the database fails.
pub async fn head(conn: &impl ConnectionTrait, county: AreaCode) -> Result<Chain, StoreError> {
    let text = "SELECT seq, hash FROM audit_head WHERE county = $1";
    let row: Option<HeadRow> = sql::one(conn, text, vec![county.to_string().into()]).await?;
    row.as_ref().map_or(Ok(Chain::default()), as_chain)
}

/// Seals what waits for it, at most [`SEALED_AT_ONCE`] rows; answers how many. Of several processes one does it at a time.
///
/// # Errors
/// When the database fails; then nothing was sealed.
pub async fn seal(store: &Store, county: AreaCode) -> Result<u64, StoreError> {
    // A look without a lock first: mostly nothing waits.
    let text = "SELECT a.id, a.county, a.at, a.person_id, a.action, a.resource_id, a.subject_id, a.reason \
                FROM audit_unsealed u JOIN audit a ON a.id = u.audit_id WHERE u.county = $1 LIMIT 1";
    let waits: Option<AuditRow> = sql::one(store.pool(), text, vec![county.to_string().into()]).await?;
    if waits.is_none() {
        return Ok(0);
    }
    transact(store, move |conn| Box::pin(async move { seal_in(conn, county).await })).await
}

#[derive(FromQueryResult)]
struct Sealed {
    audit_id: Uuid,
}

/// The number of a row in its slot; none for rows that are older than the numbers.
#[derive(FromQueryResult)]
struct Numbered {
    audit_id: Uuid,
    slot: Option<i64>,
    n: Option<i64>,
}

async fn seal_in(conn: &impl ConnectionTrait, county: AreaCode) -> Result<u64, StoreError> {
    let name = county.to_string();
    let mut chain = locked_head(conn, county).await?;
    let text = format!(
        "SELECT {COLUMNS} FROM audit_unsealed u JOIN audit a ON a.id = u.audit_id WHERE u.county = $1 \
         ORDER BY u.audit_id LIMIT {SEALED_AT_ONCE}"
    );
    let waiting: Vec<AuditRow> = sql::all(conn, &text, vec![name.clone().into()]).await?;
    if waiting.is_empty() {
        return Ok(0);
    }
    let ids: Vec<Value> = waiting.iter().map(|row| row.id.into()).collect();
    let list = sql::list(1, ids.len());
    // A row that was taken out and put back is in the chain already; it must not keep the others waiting.
    let text = format!("SELECT audit_id FROM audit_seal WHERE audit_id IN ({list})");
    let sealed: Vec<Sealed> = sql::all(conn, &text, ids.clone()).await?;
    let text = format!("SELECT audit_id, slot, n FROM audit_unsealed WHERE audit_id IN ({list})");
    let numbers: Vec<Numbered> = sql::all(conn, &text, ids.clone()).await?;
    let mut seals = Rows::new(6);
    for row in waiting.iter().filter(|row| !sealed.iter().any(|one| one.audit_id == row.id)) {
        chain = chain.next(&digest(&row.content()));
        let number = numbers.iter().find(|number| number.audit_id == row.id);
        seals.push([
            name.clone().into(),
            chain.seq.into(),
            row.id.into(),
            chain.head.to_vec().into(),
            number.and_then(|number| number.slot).into(),
            number.and_then(|number| number.n).into(),
        ]);
    }
    seals.insert(conn, "audit_seal (county, seq, audit_id, hash, slot, n)", "").await?;
    sql::run(conn, &format!("DELETE FROM audit_unsealed WHERE audit_id IN ({list})"), ids).await?;
    let text = "UPDATE audit_head SET seq = $2, hash = $3 WHERE county = $1";
    sql::run(conn, text, vec![name.into(), chain.seq.into(), chain.head.to_vec().into()]).await?;
    Ok(waiting.len() as u64)
}

/// The head, held until the transaction ends.
async fn locked_head(conn: &impl ConnectionTrait, county: AreaCode) -> Result<Chain, StoreError> {
    let mut first = Rows::new(3);
    first.push([county.to_string().into(), 0_i64.into(), vec![0_u8; 32].into()]);
    first.insert(conn, "audit_head (county, seq, hash)", "ON CONFLICT DO NOTHING").await?;
    let lock = match conn.get_database_backend() {
        DatabaseBackend::Postgres => " FOR UPDATE",
        _ => "",
    };
    let text = format!("SELECT seq, hash FROM audit_head WHERE county = $1{lock}");
    let row: Option<HeadRow> = sql::one(conn, &text, vec![county.to_string().into()]).await?;
    as_chain(&row.ok_or_else(|| unreadable("no head of the audit log"))?)
}

/// What a check of the audit log found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditVerdict {
    /// Sealed rows that were checked.
    pub sealed: u64,
    /// Rows that wait to be sealed.
    pub waiting: u64,
    /// The first thing that is wrong; none is good.
    pub fault: Option<String>,
    /// How far the chain goes.
    pub head: Chain,
}

#[derive(FromQueryResult)]
struct SealedRow {
    seq: i64,
    hash: Vec<u8>,
    audit_id: Uuid,
    id: Option<Uuid>,
    county: Option<String>,
    at: Option<DateTime<Utc>>,
    person_id: Option<Uuid>,
    action: Option<String>,
    resource_id: Option<Uuid>,
    subject_id: Option<Uuid>,
    reason: Option<String>,
}

impl SealedRow {
    fn row(&self) -> Option<AuditRow> {
        Some(AuditRow {
            id: self.id?,
            county: self.county.clone()?,
            at: self.at?,
            person_id: self.person_id,
            action: self.action.clone()?,
            resource_id: self.resource_id?,
            subject_id: self.subject_id,
            reason: self.reason.clone(),
        })
    }

    /// The chain with this row, or what is wrong with it.
    fn follow(&self, chain: &Chain) -> Result<Chain, String> {
        let place = format!("audit row {} (number {})", self.audit_id, self.seq);
        if self.seq != chain.seq + 1 {
            return Err(format!("{place}: number {} is missing before it", chain.seq + 1));
        }
        let Some(row) = self.row() else { return Err(format!("{place}: the row is gone")) };
        let next = chain.next(&digest(&row.content()));
        if next.head.as_slice() == self.hash.as_slice() {
            Ok(next)
        } else {
            Err(format!("{place}: not what was sealed"))
        }
    }
}

/// Walks the county's chain from its first row and stops at the first that is not what was sealed; then asks whether
/// every row of the log is in the chain or waits for it. `kept` are heads that were written down outside the database.
///
/// # Errors
/// When the database fails.
pub async fn verify(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    kept: &[(i64, Hash)],
) -> Result<AuditVerdict, StoreError> {
    let mut verdict = AuditVerdict::default();
    loop {
        let piece = piece(conn, county, verdict.head.seq).await?;
        for row in &piece {
            match row.follow(&verdict.head) {
                Ok(next) => verdict.head = next,
                Err(fault) => return Ok(AuditVerdict { fault: Some(fault), ..verdict }),
            }
            verdict.sealed += 1;
            if let Some((seq, _)) =
                kept.iter().find(|(seq, hash)| *seq == row.seq && *hash != verdict.head.head)
            {
                let fault =
                    format!("audit row {} (number {seq}): not what was written down outside", row.audit_id);
                return Ok(AuditVerdict { fault: Some(fault), ..verdict });
            }
        }
        if piece.is_empty() {
            break;
        }
    }
    verdict.fault = the_rest(conn, county, kept, &verdict.head).await?;
    verdict.waiting =
        count(conn, "SELECT count(*) AS n FROM audit_unsealed WHERE county = $1", county).await?;
    Ok(verdict)
}

async fn piece(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    after: i64,
) -> Result<Vec<SealedRow>, StoreError> {
    let text = format!(
        "SELECT s.seq, s.hash, s.audit_id, {COLUMNS} FROM audit_seal s LEFT JOIN audit a ON a.id = s.audit_id \
         WHERE s.county = $1 AND s.seq > $2 ORDER BY s.seq LIMIT {PIECE}"
    );
    sql::all(conn, &text, vec![county.to_string().into(), after.into()]).await
}

async fn the_rest(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    kept: &[(i64, Hash)],
    walked: &Chain,
) -> Result<Option<String>, StoreError> {
    if head(conn, county).await? != *walked {
        return Ok(Some(format!(
            "audit log: it ends with number {}, before its head: its tail was cut",
            walked.seq
        )));
    }
    if let Some((seq, _)) = kept.iter().find(|(seq, _)| *seq > walked.seq) {
        return Ok(Some(format!(
            "audit log: it ends with number {}, and number {seq} was written down outside",
            walked.seq
        )));
    }
    #[derive(FromQueryResult)]
    struct Loose {
        id: Uuid,
    }
    let text = "SELECT a.id FROM audit a WHERE a.county = $1 \
                AND NOT EXISTS (SELECT 1 FROM audit_seal s WHERE s.audit_id = a.id) \
                AND NOT EXISTS (SELECT 1 FROM audit_unsealed u WHERE u.audit_id = a.id) ORDER BY a.id LIMIT 1";
    let loose: Option<Loose> = sql::one(conn, text, vec![county.to_string().into()]).await?;
    if let Some(loose) = loose {
        return Ok(Some(format!("audit row {}: never sealed", loose.id)));
    }
    gap(conn, county).await
}

/// The first row that was taken out before it was sealed: numbers are handed out in the transaction that writes a row,
/// and go on without a gap in each slot.
async fn gap(conn: &impl ConnectionTrait, county: AreaCode) -> Result<Option<String>, StoreError> {
    #[derive(FromQueryResult)]
    struct Gone {
        audit_id: Uuid,
    }
    #[derive(FromQueryResult)]
    struct Uneven {
        slot: i64,
        counted: i64,
    }
    #[derive(FromQueryResult)]
    struct Missing {
        number: i64,
    }
    let name = || Value::from(county.to_string());
    let text = "SELECT u.audit_id FROM audit_unsealed u WHERE u.county = $1 \
                AND NOT EXISTS (SELECT 1 FROM audit a WHERE a.id = u.audit_id) ORDER BY u.audit_id LIMIT 1";
    let gone: Option<Gone> = sql::one(conn, text, vec![name()]).await?;
    if let Some(gone) = gone {
        return Ok(Some(format!("audit row {}: taken out before it was sealed", gone.audit_id)));
    }
    // The numbers of a slot are exactly those from one to what it counts.
    let text = "SELECT slot, CAST(sum(counted) AS bigint) AS counted FROM (\
                SELECT slot, n AS counted, 0 AS kept, CAST(NULL AS bigint) AS n FROM audit_slot WHERE county = $1 UNION ALL \
                SELECT slot, 0, 1, n FROM audit_seal WHERE county = $1 AND slot IS NOT NULL UNION ALL \
                SELECT slot, 0, 1, n FROM audit_unsealed WHERE county = $1 AND slot IS NOT NULL) rows_of_slots \
                GROUP BY slot HAVING sum(counted) <> sum(kept) OR sum(counted) <> count(DISTINCT n) \
                OR sum(counted) <> coalesce(max(n), 0) ORDER BY slot LIMIT 1";
    let uneven: Option<Uneven> = sql::one(conn, text, vec![name()]).await?;
    let Some(Uneven { slot, counted }) = uneven else { return Ok(None) };
    let text = "WITH taken AS (SELECT n FROM audit_seal WHERE county = $1 AND slot = $2 UNION ALL \
                SELECT n FROM audit_unsealed WHERE county = $1 AND slot = $2) \
                SELECT min(next.number) AS number FROM (SELECT CAST(1 AS bigint) AS number UNION ALL \
                SELECT n + 1 FROM taken) next WHERE NOT EXISTS (SELECT 1 FROM taken t WHERE t.n = next.number)";
    let missing: Option<Missing> = sql::one(conn, text, vec![name(), slot.into()]).await?;
    let number = missing.map_or(1, |missing| missing.number);
    Ok(Some(if number > counted {
        format!("audit log: slot {slot} counts {counted} rows and has more: its counter was set back")
    } else {
        format!("audit log: row {number} of slot {slot} was taken out before it was sealed")
    }))
}

async fn count(conn: &impl ConnectionTrait, text: &str, county: AreaCode) -> Result<u64, StoreError> {
    #[derive(FromQueryResult)]
    struct Count {
        n: i64,
    }
    let count: Option<Count> = sql::one(conn, text, vec![county.to_string().into()]).await?;
    Ok(count.map_or(0, |count| count.n.unsigned_abs()))
}

/// Whose orders these are, of those that are orders.
///
/// # Errors
/// When the database fails.
pub async fn requesters(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    orders: &[Uuid],
) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
    #[derive(FromQueryResult)]
    struct Pair {
        id: Uuid,
        requester_id: Uuid,
    }
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let mut values: Vec<Value> = orders.iter().map(|id| Value::from(*id)).collect();
    let list = sql::list(1, values.len());
    values.push(county.to_string().into());
    let text = format!(
        "SELECT id, requester_id FROM orders WHERE id IN ({list}) AND county = ${}",
        orders.len() + 1
    );
    let pairs: Vec<Pair> = sql::all(conn, &text, values).await?;
    Ok(pairs.into_iter().map(|pair| (pair.id, pair.requester_id)).collect())
}
