//! Whether a photo proved something before: an order that was completed, or a claim that was not refused.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseBackend};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::media::Purpose;
use xingfuma_domain::picture::Look;

use crate::StoreError;
use crate::media::near;
use crate::sql;

/// Photos that are to prove something.
#[derive(Clone, Copy, Debug)]
pub struct Proof<'a> {
    /// The county.
    pub county: AreaCode,
    /// The order or the claim: its own photos do not count against it.
    pub of: Uuid,
    /// How the photos look, those that show something.
    pub looks: &'a [Look],
    /// From when on other photos count.
    pub since: DateTime<Utc>,
    /// When it was made. Claims that were made later do not count: they are the ones that are looked at.
    pub at: DateTime<Utc>,
}

/// Waits until every other transaction of the county that came here before has committed, so that of two that prove
/// something with one photo at one moment the second finds the first. To be asked for before anything else is locked.
/// Nothing to do on SQLite, which has one writer.
///
/// # Errors
/// When the database fails.
pub(crate) async fn queue_up(conn: &impl ConnectionTrait, county: AreaCode) -> Result<(), StoreError> {
    if conn.get_database_backend() != DatabaseBackend::Postgres {
        return Ok(());
    }
    let text = "SELECT pg_advisory_xact_lock(hashtextextended('photos that prove ' || $1, 0))";
    sql::run(conn, text, vec![county.to_string().into()]).await.map(drop)
}

/// Whether one of the photos looks like one that proved something else, whoever did that.
///
/// # Errors
/// When the database fails.
pub async fn proved_before(conn: &impl ConnectionTrait, proof: Proof<'_>) -> Result<bool, StoreError> {
    let which = "m.purpose IN ($3, $4) AND m.attached_at >= $5 AND (m.order_id IS NULL OR m.order_id <> $2) \
                 AND (m.claim_id IS NULL OR (m.claim_id <> $2 AND m.attached_at <= $6 \
                 AND EXISTS (SELECT 1 FROM score_claim c WHERE c.id = m.claim_id AND c.status <> 'refused')))";
    for look in proof.looks {
        let values = vec![
            proof.of.into(),
            Purpose::Completed.as_str().into(),
            Purpose::Claimed.as_str().into(),
            proof.since.into(),
            proof.at.into(),
        ];
        if !near(conn, proof.county, *look, which, values).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}
