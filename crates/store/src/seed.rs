//! Filling a county in: multi-row inserts of the directory.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;

use crate::sql::{self, Rows};
use crate::{Store, StoreError};

/// Whether the county was filled in completely.
///
/// # Errors
/// When the database fails.
pub async fn is_done(conn: &impl ConnectionTrait, county: AreaCode) -> Result<bool, StoreError> {
    #[derive(FromQueryResult)]
    struct Seeded {
        seeded_at: Option<DateTime<Utc>>,
    }
    let text = "SELECT seeded_at FROM county WHERE code = $1";
    let row: Option<Seeded> = sql::one(conn, text, vec![county.to_string().into()]).await?;
    Ok(row.is_some_and(|row| row.seeded_at.is_some()))
}

/// The tables that hold a county before its first order.
const FILLED: &str =
    "county, area, department, person, role_grant, team, team_area, volunteer, badge, sign, category";

/// Has PostgreSQL look at what was filled in, so that it plans well from the first order on and not only when it comes
/// round to it by itself. At nothing else: of a table that it has never looked at it expects some pages and takes the
/// index, of one that it has seen empty it expects nothing, and reads all of it. SQLite plans by its indexes.
///
/// # Errors
/// When the database fails.
pub async fn know_the_tables(store: &Store) -> Result<(), StoreError> {
    if store.is_postgres() {
        store.pool().execute_unprepared(&format!("ANALYZE {FILLED}")).await?;
    }
    Ok(())
}

/// Stores the county itself.
///
/// # Errors
/// When the database fails.
pub async fn county(
    conn: &impl ConnectionTrait,
    code: AreaCode,
    name: &str,
    hotline: &str,
    seeded_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut rows = Rows::new(4);
    rows.push([code.to_string().into(), name.into(), hotline.into(), seeded_at.into()]);
    rows.insert(conn, "county (code, name, hotline, seeded_at)", "").await?;
    Ok(())
}

/// Stores areas: code, name, whether the name is invented.
///
/// # Errors
/// When the database fails.
pub async fn areas(
    conn: &impl ConnectionTrait,
    areas: &[(AreaCode, String, bool)],
) -> Result<(), StoreError> {
    let mut rows = Rows::new(6);
    for (code, name, sample) in areas {
        rows.push([
            code.to_string().into(),
            code.county().to_string().into(),
            code.parent().map(|parent| parent.to_string()).into(),
            name.clone().into(),
            (*sample).into(),
            true.into(),
        ]);
    }
    rows.insert(conn, "area (code, county, parent, name, sample, active)", "").await?;
    Ok(())
}

/// A team to be stored.
#[derive(Clone, Debug)]
pub struct NewTeam {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: &'static str,
    /// Its skills.
    pub skills: Vec<String>,
    /// Its leader.
    pub leader: Option<Uuid>,
    /// What it covers.
    pub areas: Vec<AreaCode>,
}

/// Stores teams with what they cover.
///
/// # Errors
/// When the database fails.
pub async fn teams(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    teams: &[NewTeam],
) -> Result<(), StoreError> {
    let (mut rows, mut coverage) = (Rows::new(7), Rows::new(2));
    for team in teams {
        rows.push([
            team.id.into(),
            county.to_string().into(),
            team.name.clone().into(),
            team.kind.into(),
            team.skills.join(",").into(),
            team.leader.into(),
            true.into(),
        ]);
        for area in &team.areas {
            coverage.push([team.id.into(), area.to_string().into()]);
        }
    }
    rows.insert(conn, "team (id, county, name, kind, skills, leader_id, active)", "").await?;
    coverage.insert(conn, "team_area (team_id, area_code)", "").await?;
    Ok(())
}

/// A volunteer to be stored, whose person exists.
#[derive(Clone, Debug)]
pub struct NewVolunteer {
    /// The person.
    pub person: Uuid,
    /// The team.
    pub team: Uuid,
    /// The grid.
    pub grid: AreaCode,
    /// The badge's number.
    pub badge: String,
    /// Skills.
    pub skills: Vec<String>,
}

/// Stores volunteers in good standing, with their badges.
///
/// # Errors
/// When the database fails.
pub async fn volunteers(
    conn: &impl ConnectionTrait,
    volunteers: &[NewVolunteer],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let (mut rows, mut badges) = (Rows::new(7), Rows::new(5));
    for volunteer in volunteers {
        let county = volunteer.grid.county().to_string();
        rows.push([
            volunteer.person.into(),
            county.clone().into(),
            volunteer.team.into(),
            volunteer.grid.to_string().into(),
            "active".into(),
            volunteer.skills.join(",").into(),
            now.into(),
        ]);
        badges.push([
            county.into(),
            volunteer.badge.clone().into(),
            volunteer.person.into(),
            "active".into(),
            now.into(),
        ]);
    }
    let into = "volunteer (person_id, county, team_id, grid_code, status, skills, registered_at)";
    rows.insert(conn, into, "").await?;
    badges.insert(conn, "badge (county, number, person_id, status, issued_at)", "").await?;
    Ok(())
}

/// Stores signs in force.
///
/// # Errors
/// When the database fails.
pub async fn signs(
    conn: &impl ConnectionTrait,
    signs: &[(String, AreaCode)],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut rows = Rows::new(5);
    for (code, area) in signs {
        rows.push([
            code.clone().into(),
            area.county().to_string().into(),
            area.to_string().into(),
            "active".into(),
            now.into(),
        ]);
    }
    rows.insert(conn, "sign (code, county, area_code, status, created_at)", "").await?;
    Ok(())
}

/// A category to be stored.
#[derive(Clone, Debug)]
pub struct NewCategory {
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

/// Stores categories in their order.
///
/// # Errors
/// When the database fails.
pub async fn categories(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    categories: &[NewCategory],
) -> Result<(), StoreError> {
    let mut rows = Rows::new(12);
    for (position, category) in (0i32..).zip(categories) {
        rows.push([
            county.to_string().into(),
            category.code.clone().into(),
            position.into(),
            category.name.clone().into(),
            category.kind.clone().into(),
            category.urgency.clone().into(),
            category.skill.clone().into(),
            category.assign.clone().into(),
            category.needs_arrival.into(),
            category.needs_photo.into(),
            category.limits.clone().into(),
            true.into(),
        ]);
    }
    let into = "category (county, code, position, name, kind, urgency, skill, assign, needs_arrival, needs_photo, \
                limits, active)";
    rows.insert(conn, into, "").await?;
    Ok(())
}
