//! Answers kept under their callers' keys, so that a repeated request gets the same one.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use sqlx::error::DatabaseError;
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;

use crate::sql::{self, Rows};
use crate::{Store, StoreError};

/// A successful answer, sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Keyed hash of person, route and the caller's key.
    pub key: Vec<u8>,
    /// The county.
    pub county: AreaCode,
    /// Keyed hash of the request's body.
    pub fingerprint: Vec<u8>,
    /// The HTTP status.
    pub status: u16,
    /// The body, sealed.
    pub body: Vec<u8>,
    /// What it was about: access to it is checked again before a replay.
    pub resource: Option<Uuid>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// An answer found again.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Kept {
    /// Keyed hash of the request's body.
    pub fingerprint: Vec<u8>,
    /// The HTTP status.
    pub status: i32,
    /// The body, sealed.
    pub body: Vec<u8>,
    /// What it was about.
    pub resource_id: Option<Uuid>,
}

/// The answer under a key.
///
/// # Errors
/// When the database fails.
pub async fn find(conn: &impl ConnectionTrait, key: &[u8]) -> Result<Option<Kept>, StoreError> {
    let text = "SELECT fingerprint, status, body, resource_id FROM idempotency WHERE key = $1";
    sql::one(conn, text, vec![key.to_vec().into()]).await
}

/// The columns of a row, as [`rows`] fills them.
pub(crate) const INTO: &str = "idempotency (key, county, fingerprint, status, body, resource_id, created_at)";

/// The row of an answer, if there is one to keep.
pub(crate) fn rows(answer: Option<&Answer>) -> Rows {
    let mut rows = Rows::new(7);
    if let Some(answer) = answer {
        rows.push(values_of(answer));
    }
    rows
}

fn values_of(answer: &Answer) -> [Value; 7] {
    [
        answer.key.clone().into(),
        answer.county.to_string().into(),
        answer.fingerprint.clone().into(),
        i32::from(answer.status).into(),
        answer.body.clone().into(),
        answer.resource.into(),
        answer.created_at.into(),
    ]
}

/// Whether a statement failed because a key is taken.
pub(crate) fn is_taken(error: &StoreError) -> bool {
    sql::refusal(error).and_then(DatabaseError::constraint) == Some("idempotency_pkey")
}

/// Stores answers and gives the indexes of those whose key was taken. A twin that is not committed yet is waited for.
/// Rows go in by key, so that two batches with the same keys never wait for each other in a circle.
pub(crate) async fn insert_all<'a>(
    conn: &impl ConnectionTrait,
    answers: impl IntoIterator<Item = Option<&'a Answer>>,
) -> Result<Vec<usize>, StoreError> {
    #[derive(FromQueryResult)]
    struct Inserted {
        key: Vec<u8>,
    }
    let mut keyed: Vec<(usize, &Answer)> =
        answers.into_iter().enumerate().filter_map(|(n, answer)| Some((n, answer?))).collect();
    if keyed.is_empty() {
        return Ok(Vec::new());
    }
    keyed.sort_by(|(_, one), (_, other)| one.key.cmp(&other.key));
    let mut values = Vec::with_capacity(keyed.len() * 7);
    for (_, answer) in &keyed {
        values.extend(values_of(answer));
    }
    let rows =
        (0..keyed.len()).map(|n| format!("({})", sql::list(n * 7 + 1, 7))).collect::<Vec<_>>().join(", ");
    let text = format!("INSERT INTO {INTO} VALUES {rows} ON CONFLICT DO NOTHING RETURNING key");
    let inserted: std::collections::HashSet<Vec<u8>> =
        sql::all::<Inserted>(conn, &text, values).await?.into_iter().map(|row| row.key).collect();
    let mut seen = std::collections::HashSet::new();
    // Of two equal keys in one batch only the first is ours.
    Ok(keyed
        .into_iter()
        .filter(|(_, answer)| !inserted.contains(&answer.key) || !seen.insert(answer.key.as_slice()))
        .map(|(n, _)| n)
        .collect())
}

/// Forgets answers older than `before`; answers how many.
///
/// # Errors
/// When the database fails.
pub async fn forget(store: &Store, before: DateTime<Utc>) -> Result<u64, StoreError> {
    crate::transact(store, move |conn| {
        Box::pin(async move {
            sql::run(conn, "DELETE FROM idempotency WHERE created_at < $1", vec![before.into()]).await
        })
    })
    .await
}

/// Stores the answer of a command that is not about an order.
///
/// # Errors
/// [`StoreError::Twin`] when the key is taken.
pub async fn keep(conn: &impl ConnectionTrait, answer: Option<&Answer>) -> Result<(), StoreError> {
    if insert_all(conn, [answer]).await?.is_empty() { Ok(()) } else { Err(StoreError::Twin) }
}
