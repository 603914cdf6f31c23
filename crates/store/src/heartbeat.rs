//! Signs of life of the processes that work: so that one can tell a county in which nothing is due from one in which
//! nobody looks.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use xingfuma_domain::area::AreaCode;

use crate::sql::{self, Rows};
use crate::{Store, StoreError, transact};

/// Whoever has been silent for so long is forgotten: each start brings a new name.
const FORGOTTEN_AFTER: TimeDelta = TimeDelta::hours(1);

/// Who does what, as it is told by its latest sign of life.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Beat {
    /// The process.
    pub process: String,
    /// What it does.
    pub role: String,
    /// When it said so last, by the database's clock as the process knows it.
    pub at: DateTime<Utc>,
}

/// Says that a process does this now, and forgets who was silent for long.
///
/// # Errors
/// When the database fails.
pub async fn beat(
    store: &Store,
    county: AreaCode,
    process: &str,
    role: &'static str,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut rows = Rows::new(4);
    rows.push([process.into(), role.into(), county.to_string().into(), at.into()]);
    transact(store, move |conn| {
        Box::pin(async move {
            let tail = "ON CONFLICT (process, role) DO UPDATE SET at = excluded.at";
            rows.insert(conn, "heartbeat (process, role, county, at)", tail).await?;
            let before = (at - FORGOTTEN_AFTER).into();
            sql::run(conn, "DELETE FROM heartbeat WHERE at < $1", vec![before]).await?;
            Ok(())
        })
    })
    .await
}

/// The latest sign of life of each process that does this, the freshest first.
///
/// # Errors
/// When the database fails.
pub async fn of_role(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    role: &str,
) -> Result<Vec<Beat>, StoreError> {
    let text =
        "SELECT process, role, at FROM heartbeat WHERE county = $1 AND role = $2 ORDER BY at DESC, process";
    sql::all(conn, text, vec![county.to_string().into(), role.into()]).await
}

/// Tries to write, and takes it back: a database that is full or only lets itself be read says so here.
///
/// # Errors
/// What the database says against it.
pub async fn try_to_write(store: &Store, county: AreaCode, at: DateTime<Utc>) -> Result<(), StoreError> {
    let mut rows = Rows::new(4);
    rows.push(["trial".into(), "trial".into(), county.to_string().into(), at.into()]);
    let tried: Result<(), StoreError> = transact(store, move |conn| {
        Box::pin(async move {
            rows.insert(conn, "heartbeat (process, role, county, at)", "").await?;
            // Rolls back what was written.
            Err(StoreError::Conflict)
        })
    })
    .await;
    match tried {
        Err(StoreError::Conflict) => Ok(()),
        other => other,
    }
}
