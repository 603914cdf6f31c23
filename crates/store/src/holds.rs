//! Points on hold for review. A decision is a guarded update, and the ledger answers each hold once.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::scoring::{Award, HoldReason};

use crate::scope::area_condition;
use crate::sql::{self, Rows};
use crate::{StoreError, unreadable};

/// Points that wait for somebody to look at them, or waited.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct HoldRow {
    /// The entry that is on hold.
    pub transaction_id: Uuid,
    /// The area as of the event.
    pub area_code: String,
    /// Whose points.
    pub person_id: Uuid,
    /// Why.
    pub reason: String,
    /// Since when.
    pub made_at: DateTime<Utc>,
    /// `pending`, `released` or `voided`; `settled` where the entry was answered without a review, as by a reversal.
    pub status: String,
    /// Who decided.
    pub decided_by: Option<Uuid>,
    /// When.
    pub decided_at: Option<DateTime<Utc>>,
    /// Why, masked.
    pub decision: Option<String>,
    /// The rule of the entry.
    pub rule_code: String,
    /// What it came from.
    pub source_type: String,
    /// Which of them.
    pub source_id: Uuid,
    /// The points.
    pub points: i64,
}

impl HoldRow {
    /// The area.
    ///
    /// # Errors
    /// When the row says something that is none.
    pub fn area(&self) -> Result<AreaCode, StoreError> {
        self.area_code.parse().map_err(unreadable)
    }
}

pub(crate) const INTO: &str =
    "score_hold (transaction_id, county, area_code, person_id, reason, made_at, status)";

/// The row of an award that goes on hold for this reason.
pub(crate) fn row(id: Uuid, award: &Award, reason: HoldReason) -> Rows {
    let mut rows = Rows::new(7);
    rows.push([
        id.into(),
        award.area.county().to_string().into(),
        award.area.to_string().into(),
        award.person.into(),
        reason.as_str().into(),
        award.at.into(),
        "pending".into(),
    ]);
    rows
}

const ANSWERED: &str = "EXISTS (SELECT 1 FROM score_transaction r WHERE r.reverses = h.transaction_id)";

fn select() -> String {
    format!(
        "SELECT h.transaction_id, h.area_code, h.person_id, h.reason, h.made_at, \
         CASE WHEN h.status = 'pending' AND {ANSWERED} THEN 'settled' ELSE h.status END AS status, \
         h.decided_by, h.decided_at, h.decision, t.rule_code, t.source_type, t.source_id, \
         (SELECT CAST(sum(e.points) AS bigint) FROM score_entry e WHERE e.transaction_id = t.id \
         AND e.kind = 'hold' AND e.purse = 'assessment') AS points \
         FROM score_hold h JOIN score_transaction t ON t.id = h.transaction_id"
    )
}

/// One of the county's.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    id: Uuid,
) -> Result<Option<HoldRow>, StoreError> {
    let text = format!("{} WHERE h.transaction_id = $1 AND h.county = $2", select());
    sql::one(conn, &text, vec![id.into(), county.to_string().into()]).await
}

/// Those of somebody's own points and those of these areas, newest first: at most `limit` behind `before`.
///
/// # Errors
/// When the database fails.
pub async fn list(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    person: Uuid,
    areas: &[AreaCode],
    pending: bool,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<HoldRow>, StoreError> {
    let mut values: Vec<Value> = vec![county.to_string().into(), person.into()];
    let mut reached = vec!["h.person_id = $2".to_owned()];
    reached.extend(areas.iter().map(|area| area_condition("h.area_code", *area, &mut values)));
    let mut text = format!("{} WHERE h.county = $1 AND ({})", select(), reached.join(" OR "));
    if pending {
        text.push_str(&format!(" AND h.status = 'pending' AND NOT {ANSWERED}"));
    }
    if let Some(before) = before {
        values.push(before.into());
        text.push_str(&format!(" AND h.transaction_id < ${}", values.len()));
    }
    text.push_str(&format!(" ORDER BY h.transaction_id DESC LIMIT {limit}"));
    sql::all(conn, &text, values).await
}

/// Writes the decision of a hold that waits for one.
///
/// # Errors
/// [`StoreError::Conflict`] when it is decided already.
pub async fn decide(conn: &impl ConnectionTrait, hold: &HoldRow) -> Result<(), StoreError> {
    let text = "UPDATE score_hold SET status = $2, decided_by = $3, decided_at = $4, decision = $5 \
                WHERE transaction_id = $1 AND status = 'pending'";
    let values = vec![
        hold.transaction_id.into(),
        hold.status.clone().into(),
        hold.decided_by.into(),
        hold.decided_at.into(),
        hold.decision.clone().into(),
    ];
    sql::change_one(conn, text, values).await
}
