//! Claims (申报) and appeals. A decision is a guarded update: whoever decides what is decided already touches nothing.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;

use crate::scope::own_or_in;
use crate::sql::{self, Decided, Rows};
use crate::{StoreError, unreadable};

/// A claim.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct ClaimRow {
    /// The id.
    pub id: Uuid,
    /// The county.
    pub county: String,
    /// The area as of the event: the grid of the person.
    pub area_code: String,
    /// The rule that it claims.
    pub rule_code: String,
    /// Whose points.
    pub person_id: Uuid,
    /// Who made it.
    pub claimed_by: Uuid,
    /// When what it claims took place.
    pub happened_at: DateTime<Utc>,
    /// The points it asks for, later those that were decided; absent where the rule has one number only.
    pub points: Option<i64>,
    /// What shows it, in words, masked.
    pub evidence: String,
    /// Its photos, as a JSON list of ids.
    pub media: Option<String>,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// `pending`, `granted` or `refused`.
    pub status: String,
    /// Who decided.
    pub decided_by: Option<Uuid>,
    /// When.
    pub decided_at: Option<DateTime<Utc>>,
    /// Why, masked.
    pub decision: Option<String>,
    /// The transaction that came of it.
    pub transaction_id: Option<Uuid>,
}

/// An appeal against a deduction.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct AppealRow {
    /// The id.
    pub id: Uuid,
    /// The county.
    pub county: String,
    /// The area of the deduction.
    pub area_code: String,
    /// The deduction.
    pub transaction_id: Uuid,
    /// Who appeals: the person from whom points were taken.
    pub person_id: Uuid,
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

fn area(code: &str) -> Result<AreaCode, StoreError> {
    code.parse().map_err(unreadable)
}

impl ClaimRow {
    /// The area.
    ///
    /// # Errors
    /// When the row says something that is none.
    pub fn area(&self) -> Result<AreaCode, StoreError> {
        area(&self.area_code)
    }

    /// Its photos.
    pub fn photos(&self) -> Vec<Uuid> {
        self.media.as_deref().and_then(|list| serde_json::from_str(list).ok()).unwrap_or_default()
    }
}

impl AppealRow {
    /// The area.
    ///
    /// # Errors
    /// When the row says something that is none.
    pub fn area(&self) -> Result<AreaCode, StoreError> {
        area(&self.area_code)
    }
}

const CLAIM: &str = "id, county, area_code, rule_code, person_id, claimed_by, happened_at, points, evidence, media, \
                     made_at, status, decided_by, decided_at, decision, transaction_id";
const APPEAL: &str = "id, county, area_code, transaction_id, person_id, reason, made_at, status, decided_by, \
                      decided_at, decision";

/// Stores a claim.
///
/// # Errors
/// When the database fails.
pub async fn insert(conn: &impl ConnectionTrait, claim: &ClaimRow) -> Result<(), StoreError> {
    let mut rows = Rows::new(16);
    rows.push([
        claim.id.into(),
        claim.county.clone().into(),
        claim.area_code.clone().into(),
        claim.rule_code.clone().into(),
        claim.person_id.into(),
        claim.claimed_by.into(),
        claim.happened_at.into(),
        claim.points.into(),
        claim.evidence.clone().into(),
        claim.media.clone().into(),
        claim.made_at.into(),
        claim.status.clone().into(),
        claim.decided_by.into(),
        claim.decided_at.into(),
        claim.decision.clone().into(),
        claim.transaction_id.into(),
    ]);
    rows.insert(conn, &format!("score_claim ({CLAIM})"), "").await?;
    Ok(())
}

/// Writes the decision of a claim that waits for one.
///
/// # Errors
/// [`StoreError::Conflict`] when it is decided already.
pub async fn decide(conn: &impl ConnectionTrait, claim: &ClaimRow) -> Result<(), StoreError> {
    let text = "UPDATE score_claim SET status = $2, points = $3, decided_by = $4, decided_at = $5, decision = $6, \
                transaction_id = $7 WHERE id = $1 AND status = 'pending'";
    let values = vec![
        claim.id.into(),
        claim.status.clone().into(),
        claim.points.into(),
        claim.decided_by.into(),
        claim.decided_at.into(),
        claim.decision.clone().into(),
        claim.transaction_id.into(),
    ];
    sql::change_one(conn, text, values).await
}

/// A claim of the county.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    id: Uuid,
) -> Result<Option<ClaimRow>, StoreError> {
    let text = format!("SELECT {CLAIM} FROM score_claim WHERE id = $1 AND county = $2");
    sql::one(conn, &text, vec![id.into(), county.to_string().into()]).await
}

/// Claims about one person or made by another: a union, because each of the two has its index.
fn about_or_by(person: &str, claimant: &str) -> String {
    format!(
        "id IN (SELECT id FROM score_claim WHERE person_id = {person} \
         UNION SELECT id FROM score_claim WHERE claimed_by = {claimant})"
    )
}

/// Other claims for the same person about the days around it, and those for him or by the same claimant that were made
/// within a day of it; none that were refused.
///
/// # Errors
/// When the database fails.
pub async fn others(conn: &impl ConnectionTrait, claim: &ClaimRow) -> Result<Vec<ClaimRow>, StoreError> {
    let day = TimeDelta::days(1);
    let text = format!(
        "SELECT {CLAIM} FROM score_claim WHERE {} AND id <> $3 AND status <> 'refused' AND ((person_id = $1 AND happened_at > $4 AND happened_at < $5) \
         OR (made_at >= $6 AND made_at <= $7)) ORDER BY id LIMIT 1000",
        about_or_by("$1", "$2")
    );
    let values = vec![
        claim.person_id.into(),
        claim.claimed_by.into(),
        claim.id.into(),
        (claim.happened_at - day).into(),
        (claim.happened_at + day).into(),
        (claim.made_at - day).into(),
        (claim.made_at + day).into(),
    ];
    sql::all(conn, &text, values).await
}

/// Stores an appeal; answers whether it is the first against its deduction.
///
/// # Errors
/// When the database fails.
pub async fn insert_appeal(conn: &impl ConnectionTrait, appeal: &AppealRow) -> Result<bool, StoreError> {
    let mut rows = Rows::new(11);
    rows.push([
        appeal.id.into(),
        appeal.county.clone().into(),
        appeal.area_code.clone().into(),
        appeal.transaction_id.into(),
        appeal.person_id.into(),
        appeal.reason.clone().into(),
        appeal.made_at.into(),
        appeal.status.clone().into(),
        appeal.decided_by.into(),
        appeal.decided_at.into(),
        appeal.decision.clone().into(),
    ]);
    let touched = rows.insert(conn, &format!("score_appeal ({APPEAL})"), "ON CONFLICT DO NOTHING").await?;
    Ok(touched == 1)
}

/// Writes the decision of an appeal that waits for one.
///
/// # Errors
/// [`StoreError::Conflict`] when it is decided already.
pub async fn decide_appeal(conn: &impl ConnectionTrait, appeal: &AppealRow) -> Result<(), StoreError> {
    let decision = Decided {
        id: appeal.id,
        status: &appeal.status,
        by: appeal.decided_by,
        at: appeal.decided_at,
        why: appeal.decision.as_deref(),
    };
    sql::decide_pending(conn, "score_appeal", decision).await
}

/// An appeal of the county.
///
/// # Errors
/// When the database fails.
pub async fn find_appeal(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    id: Uuid,
) -> Result<Option<AppealRow>, StoreError> {
    let text = format!("SELECT {APPEAL} FROM score_appeal WHERE id = $1 AND county = $2");
    sql::one(conn, &text, vec![id.into(), county.to_string().into()]).await
}

/// Which part of a list somebody asks for, and reaches.
#[derive(Clone, Debug)]
pub struct Filter<'a> {
    /// The county.
    pub county: AreaCode,
    /// His own are among them.
    pub person: Uuid,
    /// So are those of these areas.
    pub areas: &'a [AreaCode],
    /// Only those that wait for a decision.
    pub pending: bool,
    /// Only those behind this one.
    pub before: Option<Uuid>,
    /// Most.
    pub limit: u64,
}

impl Filter<'_> {
    /// The condition, where `own` says what is his in terms of `$2`.
    fn condition(&self, own: &str) -> (String, Vec<Value>) {
        let mut values: Vec<Value> = vec![self.county.to_string().into(), self.person.into()];
        let reached = own_or_in(own, self.areas, &mut values);
        let mut text = format!("county = $1 AND {reached}");
        if self.pending {
            text.push_str(" AND status = 'pending'");
        }
        sql::newest_first(&mut text, &mut values, self.before, self.limit);
        (text, values)
    }
}

/// Claims that somebody made, that are about him, or that lie in his areas; newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &impl ConnectionTrait, filter: &Filter<'_>) -> Result<Vec<ClaimRow>, StoreError> {
    let (condition, values) = filter.condition(&about_or_by("$2", "$2"));
    sql::all(conn, &format!("SELECT {CLAIM} FROM score_claim WHERE {condition}"), values).await
}

/// Appeals of somebody, or of his areas; newest first.
///
/// # Errors
/// When the database fails.
pub async fn appeals(conn: &impl ConnectionTrait, filter: &Filter<'_>) -> Result<Vec<AppealRow>, StoreError> {
    let (condition, values) = filter.condition("person_id = $2");
    sql::all(conn, &format!("SELECT {APPEAL} FROM score_appeal WHERE {condition}"), values).await
}
