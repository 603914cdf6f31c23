//! Badges that are issued and revoked: a number is never given out twice.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::badge::BadgeNumber;

use crate::sql::{self, Rows};
use crate::{StoreError, unreadable};

/// Whose a badge is, and where he serves.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Bearer {
    /// The volunteer.
    pub person_id: Uuid,
    /// His grid.
    pub grid_code: String,
    /// `active`, `lost` or `void`.
    pub status: String,
}

/// The bearer of a badge.
///
/// # Errors
/// When the database fails.
pub async fn bearer(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    number: &str,
) -> Result<Option<Bearer>, StoreError> {
    let text = "SELECT b.person_id, v.grid_code, b.status FROM badge b \
                JOIN volunteer v ON v.person_id = b.person_id WHERE b.county = $1 AND b.number = $2";
    sql::one(conn, text, vec![county.to_string().into(), number.into()]).await
}

#[derive(FromQueryResult)]
struct Highest {
    number: Option<String>,
}

/// The number that follows the highest of the township: its plate, its last sequence and one. A township without badges
/// takes the plate after the county's highest.
///
/// # Errors
/// When the database fails, a number cannot be read, or there are no more.
pub async fn next_number(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    township: &str,
) -> Result<BadgeNumber, StoreError> {
    let of_township = "SELECT max(b.number) AS number FROM badge b JOIN volunteer v ON v.person_id = b.person_id \
                       WHERE b.county = $1 AND substr(v.grid_code, 1, 9) = $2";
    let values = vec![county.to_string().into(), township.into()];
    let known: Option<Highest> = sql::one(conn, of_township, values).await?;
    let next = match known.and_then(|found| found.number) {
        Some(number) => {
            // Somebody may have moved here with a badge of his old township: the plate's own last number counts.
            let plate = parse(&number)?.plate();
            let last = highest(conn, county, &format!("{plate:02}-%")).await?;
            let sequence = last.as_deref().map(parse).transpose()?.map_or(0, |last| last.sequence());
            BadgeNumber::new(plate, sequence + 1)
        }
        None => {
            let last = highest(conn, county, "%").await?;
            let plate = last.as_deref().map(parse).transpose()?.map_or(0, |last| last.plate());
            BadgeNumber::new(plate.saturating_add(1), 1)
        }
    };
    next.map_err(unreadable)
}

async fn highest(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    like: &str,
) -> Result<Option<String>, StoreError> {
    let text = "SELECT max(number) AS number FROM badge WHERE county = $1 AND number LIKE $2";
    let found: Option<Highest> = sql::one(conn, text, vec![county.to_string().into(), like.into()]).await?;
    Ok(found.and_then(|found| found.number))
}

fn parse(number: &str) -> Result<BadgeNumber, StoreError> {
    number.parse().map_err(unreadable)
}

/// Issues a badge.
///
/// # Errors
/// A unique violation when the number was given out at this very moment.
pub async fn issue(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    number: &BadgeNumber,
    person: Uuid,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut rows = Rows::new(5);
    rows.push([
        county.to_string().into(),
        number.to_string().into(),
        person.into(),
        "active".into(),
        now.into(),
    ]);
    rows.insert(conn, "badge (county, number, person_id, status, issued_at)", "").await?;
    Ok(())
}

/// Takes a badge out of force; answers whether it was in force.
///
/// # Errors
/// When the database fails.
pub async fn revoke(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    number: &str,
    status: &str,
) -> Result<bool, StoreError> {
    let text = "UPDATE badge SET status = $3 WHERE county = $1 AND number = $2 AND status = 'active'";
    let values = vec![county.to_string().into(), number.into(), status.into()];
    Ok(sql::run(conn, text, values).await? == 1)
}
