//! The second factor of staff: one secret a person, sealed.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;

use crate::StoreError;
use crate::sql;

/// A secret as it is stored.
#[derive(Clone, Debug, FromQueryResult)]
pub struct TotpRow {
    /// Sealed under the person's data key.
    pub secret: Vec<u8>,
    /// When its owner showed that he has it; before that it is not asked for.
    pub confirmed_at: Option<DateTime<Utc>>,
    /// The newest span of 30 seconds whose code was used.
    pub last_step: i64,
}

/// The secret of a person, if there is one.
///
/// # Errors
/// When the database fails.
pub async fn find(conn: &impl ConnectionTrait, person: Uuid) -> Result<Option<TotpRow>, StoreError> {
    let text = "SELECT secret, confirmed_at, last_step FROM totp WHERE person_id = $1";
    sql::one(conn, text, vec![person.into()]).await
}

/// Stores a secret in the place of one that was never confirmed. Answers whether it did: a confirmed one stays.
///
/// # Errors
/// When the database fails.
pub async fn begin(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    person: Uuid,
    secret: Vec<u8>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let text = "INSERT INTO totp (person_id, county, secret, created_at, last_step) VALUES ($1, $2, $3, $4, 0) \
                ON CONFLICT (person_id) DO UPDATE SET secret = excluded.secret, created_at = excluded.created_at, \
                last_step = 0 WHERE totp.confirmed_at IS NULL";
    let values = vec![person.into(), county.to_string().into(), secret.into(), now.into()];
    Ok(sql::run(conn, text, values).await? == 1)
}

/// Uses the code of a span up, and confirms the secret if it was not yet. Answers `false` for a span that was used, or
/// that lies before one.
///
/// # Errors
/// When the database fails.
pub async fn use_up(
    conn: &impl ConnectionTrait,
    person: Uuid,
    step: i64,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let text = "UPDATE totp SET last_step = $2, confirmed_at = coalesce(confirmed_at, $3) \
                WHERE person_id = $1 AND last_step < $2";
    Ok(sql::run(conn, text, vec![person.into(), step.into(), now.into()]).await? == 1)
}

/// Forgets the secret of a person; answers whether there was one.
///
/// # Errors
/// When the database fails.
pub async fn forget(conn: &impl ConnectionTrait, person: Uuid) -> Result<bool, StoreError> {
    Ok(sql::run(conn, "DELETE FROM totp WHERE person_id = $1", vec![person.into()]).await? == 1)
}

/// Whether the person is staff, who logs in with a password.
///
/// # Errors
/// When the database fails.
pub async fn is_staff(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    person: Uuid,
) -> Result<bool, StoreError> {
    #[derive(FromQueryResult)]
    struct Count {
        n: i64,
    }
    let text = "SELECT count(*) AS n FROM account WHERE county = $1 AND person_id = $2";
    let count: Option<Count> = sql::one(conn, text, vec![county.to_string().into(), person.into()]).await?;
    Ok(count.is_some_and(|count| count.n > 0))
}
