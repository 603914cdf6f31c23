//! Objections (异议) against lines of a public notice.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::scoring::YearMonth;

use crate::scope::own_or_in;
use crate::sql::{self, Decided, Rows};
use crate::{StoreError, unreadable};

/// An objection.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct ObjectionRow {
    /// The id.
    pub id: Uuid,
    /// The county.
    pub county: String,
    /// The area of the line.
    pub area_code: String,
    /// The month of the notice.
    pub month: String,
    /// Whose line.
    pub person_id: Uuid,
    /// The line's number.
    pub number: i64,
    /// Who objects.
    pub objector_id: Uuid,
    /// Why, masked.
    pub reason: String,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// `pending`, `upheld` or `dismissed`.
    pub status: String,
    /// Who decided.
    pub decided_by: Option<Uuid>,
    /// When.
    pub decided_at: Option<DateTime<Utc>>,
    /// Why, masked.
    pub decision: Option<String>,
}

const OBJECTION: &str = "id, county, area_code, month, person_id, number, objector_id, reason, made_at, status, \
                         decided_by, decided_at, decision";

impl ObjectionRow {
    /// The area of the line.
    ///
    /// # Errors
    /// When the row says something that is none.
    pub fn area(&self) -> Result<AreaCode, StoreError> {
        self.area_code.parse().map_err(unreadable)
    }

    /// The month of the notice.
    ///
    /// # Errors
    /// When the row says something that is none.
    pub fn month(&self) -> Result<YearMonth, StoreError> {
        self.month.parse().map_err(unreadable)
    }
}

/// Stores an objection.
///
/// # Errors
/// [`StoreError::Conflict`] when this person has objected to this line before.
pub async fn insert(conn: &impl ConnectionTrait, objection: &ObjectionRow) -> Result<(), StoreError> {
    let mut rows = Rows::new(13);
    rows.push([
        objection.id.into(),
        objection.county.clone().into(),
        objection.area_code.clone().into(),
        objection.month.clone().into(),
        objection.person_id.into(),
        objection.number.into(),
        objection.objector_id.into(),
        objection.reason.clone().into(),
        objection.made_at.into(),
        objection.status.clone().into(),
        objection.decided_by.into(),
        objection.decided_at.into(),
        objection.decision.clone().into(),
    ]);
    let into = format!("score_objection ({OBJECTION})");
    let written = rows.insert(conn, &into, "ON CONFLICT DO NOTHING").await?;
    if written == 1 { Ok(()) } else { Err(StoreError::Conflict) }
}

/// Writes the decision of an objection that waits for one.
///
/// # Errors
/// [`StoreError::Conflict`] when it is decided already.
pub async fn decide(conn: &impl ConnectionTrait, objection: &ObjectionRow) -> Result<(), StoreError> {
    let decision = Decided {
        id: objection.id,
        status: &objection.status,
        by: objection.decided_by,
        at: objection.decided_at,
        why: objection.decision.as_deref(),
    };
    sql::decide_pending(conn, "score_objection", decision).await
}

/// An objection of the county.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    id: Uuid,
) -> Result<Option<ObjectionRow>, StoreError> {
    let text = format!("SELECT {OBJECTION} FROM score_objection WHERE id = $1 AND county = $2");
    sql::one(conn, &text, vec![id.into(), county.to_string().into()]).await
}

/// Objections of a month that somebody made, that are about him, or that lie in his areas; newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    month: YearMonth,
    person: Uuid,
    areas: &[AreaCode],
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<ObjectionRow>, StoreError> {
    let mut values: Vec<Value> = vec![county.to_string().into(), person.into(), month.to_string().into()];
    let reached = own_or_in("objector_id = $2 OR person_id = $2", areas, &mut values);
    let mut text =
        format!("SELECT {OBJECTION} FROM score_objection WHERE county = $1 AND month = $3 AND {reached}");
    sql::newest_first(&mut text, &mut values, before, limit);
    sql::all(conn, &text, values).await
}

/// Whether another objection against the same line waits for its decision.
///
/// # Errors
/// When the database fails.
pub async fn others_wait(conn: &impl ConnectionTrait, objection: &ObjectionRow) -> Result<bool, StoreError> {
    let text = "SELECT 1 AS found FROM score_objection WHERE county = $1 AND month = $2 AND person_id = $3 \
                AND status = 'pending' AND id <> $4";
    let values: Vec<Value> = vec![
        objection.county.clone().into(),
        objection.month.clone().into(),
        objection.person_id.into(),
        objection.id.into(),
    ];
    Ok(conn.query_one_raw(sql::statement(conn, text, values)).await?.is_some())
}

/// Counts what an upheld objection reversed into the period that it was made in: marks the entries of these
/// transactions as counted there, and adds them to the line's correction.
///
/// # Errors
/// When the database fails.
pub async fn count_correction(
    conn: &impl ConnectionTrait,
    objection: &ObjectionRow,
    transactions: &[Uuid],
) -> Result<(), StoreError> {
    if transactions.is_empty() {
        return Ok(());
    }
    let mut values: Vec<Value> =
        vec![objection.county.clone().into(), objection.month.clone().into(), objection.person_id.into()];
    values.extend(transactions.iter().map(|id| Value::from(*id)));
    let list = sql::list(4, transactions.len());
    let text = format!(
        "INSERT INTO score_period_entry (entry_id, county, month, person_id, transaction_id, points, links_to) \
         SELECT id, county, CAST($2 AS text), owner_id, transaction_id, points, NULL FROM score_entry \
         WHERE county = $1 AND owner_id = $3 AND kind = 'person' AND purse = 'assessment' AND transaction_id IN ({list})"
    );
    sql::run(conn, &text, values.clone()).await?;
    let text = format!(
        "UPDATE score_period_line SET corrected = corrected + (SELECT CAST(coalesce(sum(e.points), 0) AS bigint) \
         FROM score_entry e WHERE e.county = $1 AND e.owner_id = $3 AND e.kind = 'person' AND e.purse = 'assessment' \
         AND e.transaction_id IN ({list})) WHERE county = $1 AND month = $2 AND person_id = $3"
    );
    sql::run(conn, &text, values).await?;
    Ok(())
}

/// Lets go of the entries of a paused line: the next period counts them.
///
/// # Errors
/// When the database fails.
pub async fn let_go(conn: &impl ConnectionTrait, objection: &ObjectionRow) -> Result<(), StoreError> {
    let text = "DELETE FROM score_period_entry WHERE county = $1 AND month = $2 AND person_id = $3";
    let values: Vec<Value> =
        vec![objection.county.clone().into(), objection.month.clone().into(), objection.person_id.into()];
    sql::run(conn, text, values).await?;
    Ok(())
}
