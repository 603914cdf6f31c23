//! What changes rarely: the county, its areas, teams, categories and signs. Every process keeps them in memory and
//! reads them again when the stamp has moved.

use sea_orm::{ConnectionTrait, FromQueryResult};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;

use crate::whistles::{self, DepartmentRow};
use crate::{StoreError, sql};

/// The county.
#[derive(Clone, Debug, FromQueryResult)]
pub struct CountyRow {
    /// Its code.
    pub code: String,
    /// Its name.
    pub name: String,
    /// The hotline's number.
    pub hotline: String,
}

/// An area.
#[derive(Clone, Debug, FromQueryResult)]
pub struct AreaRow {
    /// Its code.
    pub code: String,
    /// Its name.
    pub name: String,
    /// Whether the name is invented.
    pub sample: bool,
}

/// A team.
#[derive(Clone, Debug, FromQueryResult)]
pub struct TeamRow {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Its skills, separated by commas.
    pub skills: String,
    /// Its leader.
    pub leader_id: Option<Uuid>,
    /// Active volunteers.
    pub volunteers: i64,
    /// Its roster, as JSON.
    pub roster: Option<String>,
}

/// An area that a team covers.
#[derive(Clone, Debug, FromQueryResult)]
pub struct CoverageRow {
    /// The team.
    pub team_id: Uuid,
    /// The area.
    pub area_code: String,
}

/// A category.
#[derive(Clone, Debug, FromQueryResult)]
pub struct CategoryRow {
    /// Its code.
    pub code: String,
    /// Its name.
    pub name: String,
    /// `service` or `report`.
    pub kind: String,
    /// Its usual urgency.
    pub urgency: String,
    /// The skill it asks for.
    pub skill: String,
    /// Who may take it.
    pub assign: String,
    /// Whether one has to arrive before completing.
    pub needs_arrival: bool,
    /// Whether photos are asked for.
    pub needs_photo: bool,
    /// Its own time limits, as JSON.
    pub limits: Option<String>,
}

/// A sign.
#[derive(Clone, Debug, FromQueryResult)]
pub struct SignRow {
    /// Its code.
    pub code: String,
    /// The grid that it stands for.
    pub area_code: String,
    /// `active` or `revoked`.
    pub status: String,
}

/// All of it.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The stamp that it was read under.
    pub stamp: i64,
    /// The county.
    pub county: CountyRow,
    /// Active areas.
    pub areas: Vec<AreaRow>,
    /// Active teams.
    pub teams: Vec<TeamRow>,
    /// What they cover.
    pub coverage: Vec<CoverageRow>,
    /// Active categories, in order.
    pub categories: Vec<CategoryRow>,
    /// All signs.
    pub signs: Vec<SignRow>,
    /// Active departments.
    pub departments: Vec<DepartmentRow>,
}

/// The stamp: it moves with each change of what is read here.
///
/// # Errors
/// When the database fails.
pub async fn stamp(conn: &impl ConnectionTrait, county: AreaCode) -> Result<i64, StoreError> {
    #[derive(FromQueryResult)]
    struct Counter {
        value: i64,
    }
    let text = "SELECT value FROM counter WHERE county = $1 AND name = 'directory'";
    let counter: Option<Counter> = sql::one(conn, text, vec![county.to_string().into()]).await?;
    Ok(counter.map_or(0, |counter| counter.value))
}

/// Moves the stamp; in the transaction of the change.
///
/// # Errors
/// When the database fails.
pub async fn touch(conn: &impl ConnectionTrait, county: AreaCode) -> Result<(), StoreError> {
    let text = "INSERT INTO counter (county, name, value) VALUES ($1, 'directory', 1) \
                ON CONFLICT (county, name) DO UPDATE SET value = counter.value + 1";
    sql::run(conn, text, vec![county.to_string().into()]).await?;
    Ok(())
}

/// Reads everything; `None` where the county was never set up.
///
/// # Errors
/// When the database fails.
pub async fn load(conn: &impl ConnectionTrait, county: AreaCode) -> Result<Option<Rows>, StoreError> {
    let mine = || vec![county.to_string().into()];
    let stamp = stamp(conn, county).await?;
    let text = "SELECT code, name, hotline FROM county WHERE code = $1";
    let Some(row) = sql::one(conn, text, mine()).await? else { return Ok(None) };
    Ok(Some(Rows {
        stamp,
        county: row,
        areas: sql::all(conn, "SELECT code, name, sample FROM area WHERE county = $1 AND active", mine()).await?,
        teams: sql::all(
            conn,
            "SELECT t.id, t.name, t.kind, t.skills, t.leader_id, coalesce(v.volunteers, 0) AS volunteers, r.roster FROM team t \
             LEFT JOIN (SELECT team_id, count(*) AS volunteers FROM volunteer WHERE status = 'active' \
             GROUP BY team_id) v ON v.team_id = t.id LEFT JOIN team_roster r ON r.team_id = t.id WHERE t.county = $1 AND t.active",
            mine(),
        )
        .await?,
        coverage: sql::all(
            conn,
            "SELECT a.team_id, a.area_code FROM team_area a JOIN team t ON t.id = a.team_id WHERE t.county = $1",
            mine(),
        )
        .await?,
        categories: sql::all(
            conn,
            "SELECT code, name, kind, urgency, skill, assign, needs_arrival, needs_photo, limits FROM category \
             WHERE county = $1 AND active ORDER BY position",
            mine(),
        )
        .await?,
        signs: sql::all(conn, "SELECT code, area_code, status FROM sign WHERE county = $1", mine()).await?,
        departments: whistles::departments(conn, county).await?,
    }))
}

/// Revokes a sign. Answers whether it was in force.
///
/// # Errors
/// When the database fails.
pub async fn revoke_sign(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    code: &str,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<bool, StoreError> {
    let text = "UPDATE sign SET status = 'revoked', revoked_at = $3 \
                WHERE code = $1 AND county = $2 AND status = 'active'";
    let touched = sql::run(conn, text, vec![code.into(), county.to_string().into(), now.into()]).await?;
    touch(conn, county).await?;
    Ok(touched == 1)
}
