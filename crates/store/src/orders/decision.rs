//! Decisions of the dispatch: why an order went to this team.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use uuid::Uuid;

use crate::{StoreError, sql};

/// The policy's question and answer, or a hand's reason; kept for ever.
#[derive(Clone, Debug)]
pub struct StoredDecision {
    /// The epoch that it led to, or the one it left alone.
    pub epoch: i64,
    /// The team chosen.
    pub team: Option<Uuid>,
    /// The volunteer named.
    pub volunteer: Option<Uuid>,
    /// Who overruled; absent for the policy.
    pub decided_by: Option<Uuid>,
    /// When.
    pub decided_at: DateTime<Utc>,
    /// The policy's question, as JSON.
    pub question: Option<String>,
    /// The policy's answer, as JSON.
    pub answer: String,
}

/// A decision as it was stored.
#[derive(Clone, Debug, FromQueryResult)]
pub struct DecisionRow {
    /// The epoch that it led to.
    pub epoch: i64,
    /// The team chosen.
    pub team_id: Option<Uuid>,
    /// The volunteer named.
    pub volunteer_id: Option<Uuid>,
    /// Who overruled.
    pub decided_by: Option<Uuid>,
    /// When.
    pub decided_at: DateTime<Utc>,
    /// The policy's question, as JSON.
    pub question: Option<String>,
    /// The policy's answer, as JSON.
    pub answer: String,
}

/// The latest decision about an order.
///
/// # Errors
/// When the database fails.
pub async fn latest_decision(
    conn: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<DecisionRow>, StoreError> {
    let text = "SELECT epoch, team_id, volunteer_id, decided_by, decided_at, question, answer \
                FROM dispatch_decision WHERE order_id = $1 ORDER BY seq DESC LIMIT 1";
    sql::one(conn, text, vec![id.into()]).await
}
