//! Handing on all open work of somebody who leaves: the wish, kept until every order has been handed on.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;

use crate::sql::{self, Rows};
use crate::{StoreError, directory, unreadable};

/// A volunteer, as far as he can be asked to do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volunteer {
    /// His team.
    pub team: Uuid,
    /// His grid.
    pub grid: AreaCode,
    /// He is in good standing.
    pub active: bool,
}

/// A volunteer of a county, in whatever standing.
///
/// # Errors
/// When the database fails or the row cannot be read.
pub async fn volunteer(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    person: Uuid,
) -> Result<Option<Volunteer>, StoreError> {
    #[derive(FromQueryResult)]
    struct Found {
        team_id: Uuid,
        grid_code: String,
        status: String,
    }
    let text = "SELECT team_id, grid_code, status FROM volunteer WHERE person_id = $1 AND county = $2";
    let found: Option<Found> = sql::one(conn, text, vec![person.into(), county.to_string().into()]).await?;
    let read = |found: Found| {
        let grid = found.grid_code.parse().map_err(unreadable)?;
        Ok(Volunteer { team: found.team_id, grid, active: found.status == "active" })
    };
    found.map(read).transpose()
}

/// A wish that somebody's work be handed on.
#[derive(Clone, Debug, FromQueryResult)]
pub struct TransferRow {
    /// The id.
    pub id: Uuid,
    /// Who leaves.
    pub volunteer_id: Uuid,
    /// Who takes over, if somebody is named.
    pub to_id: Option<Uuid>,
    /// Why, masked.
    pub reason: String,
    /// He was suspended with it.
    pub suspended: bool,
    /// Who arranged it.
    pub asked_by: Uuid,
    /// When.
    pub asked_at: DateTime<Utc>,
    /// Orders handed on so far.
    pub handed_on: i32,
    /// When the last one was.
    pub ended_at: Option<DateTime<Utc>>,
}

const COLUMNS: &str = "id, volunteer_id, to_id, reason, suspended, asked_by, asked_at, handed_on, ended_at";

/// Writes a wish down. Answers `false` when one for the same volunteer is under way.
///
/// # Errors
/// When the database fails.
pub async fn begin(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    transfer: &TransferRow,
) -> Result<bool, StoreError> {
    let mut rows = Rows::new(9);
    rows.push([
        transfer.id.into(),
        county.to_string().into(),
        transfer.volunteer_id.into(),
        transfer.to_id.into(),
        transfer.reason.as_str().into(),
        transfer.suspended.into(),
        transfer.asked_by.into(),
        transfer.asked_at.into(),
        transfer.handed_on.into(),
    ]);
    let into = "transfer (id, county, volunteer_id, to_id, reason, suspended, asked_by, asked_at, handed_on)";
    Ok(rows.insert(conn, into, "ON CONFLICT DO NOTHING").await? == 1)
}

/// Suspends a volunteer: he is offered nothing any more, and his roles end with his next request.
///
/// # Errors
/// When the database fails.
pub async fn suspend(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    volunteer: Uuid,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let status = "UPDATE volunteer SET status = 'suspended' WHERE person_id = $1 AND status = 'active'";
    sql::run(conn, status, vec![volunteer.into()]).await?;
    let roles = "UPDATE role_grant SET revoked_at = $2 WHERE person_id = $1 AND revoked_at IS NULL \
                 AND role IN ('volunteer', 'grid_leader')";
    sql::run(conn, roles, vec![volunteer.into(), now.into()]).await?;
    let led = "UPDATE team SET leader_id = NULL WHERE leader_id = $1";
    sql::run(conn, led, vec![volunteer.into()]).await?;
    directory::touch(conn, county).await
}

/// Makes a suspended volunteer one in good standing again, and ends the handing on of what he still holds. His role is
/// given anew by whoever calls this. Answers `false` for somebody who is not suspended.
///
/// # Errors
/// When the database fails.
pub async fn reinstate(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    volunteer: Uuid,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let status = "UPDATE volunteer SET status = 'active' WHERE person_id = $1 AND status = 'suspended'";
    if sql::run(conn, status, vec![volunteer.into()]).await? != 1 {
        return Ok(false);
    }
    let wishes = "UPDATE transfer SET ended_at = $2 WHERE volunteer_id = $1 AND ended_at IS NULL";
    sql::run(conn, wishes, vec![volunteer.into(), now.into()]).await?;
    directory::touch(conn, county).await?;
    Ok(true)
}

/// Wishes of a county that are not done, written down before `before`, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn unfinished(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    before: DateTime<Utc>,
) -> Result<Vec<TransferRow>, StoreError> {
    let text = format!(
        "SELECT {COLUMNS} FROM transfer WHERE county = $1 AND ended_at IS NULL AND asked_at < $2 ORDER BY id"
    );
    sql::all(conn, &text, vec![county.to_string().into(), before.into()]).await
}

/// The open orders that name a volunteer or that he has promised to come to.
///
/// # Errors
/// When the database fails.
pub async fn held_by(conn: &impl ConnectionTrait, volunteer: Uuid) -> Result<Vec<Uuid>, StoreError> {
    #[derive(FromQueryResult)]
    struct Held {
        order_id: Uuid,
    }
    // The row of an order names who holds it only while the order is open.
    let text = "SELECT order_id FROM due WHERE volunteer_id = $1 ORDER BY order_id";
    let held: Vec<Held> = sql::all(conn, text, vec![volunteer.into()]).await?;
    Ok(held.into_iter().map(|held| held.order_id).collect())
}

/// Notes that more orders were handed on, and, if `ended`, that these were the last. Answers how many they are in all.
///
/// # Errors
/// When the database fails.
pub async fn note(
    conn: &impl ConnectionTrait,
    transfer: Uuid,
    more: i32,
    ended: Option<DateTime<Utc>>,
) -> Result<i32, StoreError> {
    #[derive(FromQueryResult)]
    struct Count {
        handed_on: i32,
    }
    let text = "UPDATE transfer SET handed_on = handed_on + $2, ended_at = coalesce(ended_at, $3) WHERE id = $1 \
                RETURNING handed_on";
    let count: Option<Count> = sql::one(conn, text, vec![transfer.into(), more.into(), ended.into()]).await?;
    Ok(count.map_or(more, |count| count.handed_on))
}
