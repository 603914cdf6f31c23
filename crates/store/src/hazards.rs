//! Hazards: what comes back again and again, with the cause and the measure that the station gives for it.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::{AreaCode, Level};
use xingfuma_domain::order::Order;

use crate::scope::area_condition;
use crate::sql::{self, Rows};
use crate::{StoreError, unreadable};

/// A hazard.
#[derive(Clone, Debug, FromQueryResult)]
pub struct HazardRow {
    /// The id.
    pub id: Uuid,
    /// The grid.
    pub area_code: String,
    /// The category.
    pub category: String,
    /// Which one of this grid and category it is, from 1.
    pub number: i32,
    /// How many orders made it.
    pub times: i32,
    /// The first of them.
    pub first_at: DateTime<Utc>,
    /// The last of them.
    pub last_at: DateTime<Utc>,
    /// When it was found.
    pub found_at: DateTime<Utc>,
    /// What it comes from, masked; absent while nobody has said so.
    pub cause: Option<String>,
    /// What is done about it, masked.
    pub measure: Option<String>,
    /// When that was said.
    pub answered_at: Option<DateTime<Utc>>,
}

const COLUMNS: &str =
    "id, area_code, category, number, times, first_at, last_at, found_at, cause, measure, answered_at";

/// Areas in which something of these categories was placed since the order with this id.
///
/// # Errors
/// When the database fails or a row cannot be read.
pub async fn touched(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    categories: &[String],
    since: Uuid,
) -> Result<Vec<(AreaCode, String)>, StoreError> {
    #[derive(FromQueryResult)]
    struct Touched {
        area_code: String,
        category: String,
    }
    if categories.is_empty() {
        return Ok(Vec::new());
    }
    let mut values: Vec<Value> = vec![since.into(), county.to_string().into()];
    values.extend(categories.iter().map(|category| Value::from(category.as_str())));
    let text = format!(
        "SELECT DISTINCT area_code, category FROM orders WHERE id >= $1 AND county = $2 AND category IN ({})",
        sql::list(3, categories.len())
    );
    let found: Vec<Touched> = sql::all(conn, &text, values).await?;
    found.into_iter().map(|one| Ok((one.area_code.parse().map_err(unreadable)?, one.category))).collect()
}

/// The orders of a category that were placed in a grid since the order with this id.
///
/// # Errors
/// When the database fails or a row cannot be read.
pub async fn orders(
    conn: &impl ConnectionTrait,
    grid: AreaCode,
    category: &str,
    since: Uuid,
) -> Result<Vec<Order>, StoreError> {
    #[derive(FromQueryResult)]
    struct Snapshot {
        snapshot: String,
    }
    let (text, values) = orders_text(grid, category, since);
    let found: Vec<Snapshot> = sql::all(conn, &text, values).await?;
    found.into_iter().map(|one| serde_json::from_str(&one.snapshot).map_err(unreadable)).collect()
}

/// The village is named beside the grid because orders have an index by it.
pub(crate) fn orders_text(grid: AreaCode, category: &str, since: Uuid) -> (String, Vec<Value>) {
    let village = grid.ancestor_at(Level::Village).unwrap_or(grid);
    let mut values: Vec<Value> = vec![category.into(), since.into(), village.to_string().into()];
    let within = area_condition("area_code", grid, &mut values);
    let text = format!(
        "SELECT snapshot FROM orders WHERE substr(area_code, 1, 12) = $3 AND id >= $2 AND category = $1 AND {within}"
    );
    (text, values)
}

/// The last hazard of a grid and category.
///
/// # Errors
/// When the database fails.
pub async fn last(
    conn: &impl ConnectionTrait,
    grid: AreaCode,
    category: &str,
) -> Result<Option<HazardRow>, StoreError> {
    let text = format!(
        "SELECT {COLUMNS} FROM hazard WHERE area_code = $1 AND category = $2 ORDER BY number DESC LIMIT 1"
    );
    sql::one(conn, &text, vec![grid.to_string().into(), category.into()]).await
}

/// Writes a hazard down. Answers `false` when somebody else has found it at the same moment.
///
/// # Errors
/// When the database fails.
pub async fn insert(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    hazard: &HazardRow,
) -> Result<bool, StoreError> {
    let mut rows = Rows::new(9);
    rows.push([
        hazard.id.into(),
        county.to_string().into(),
        hazard.area_code.as_str().into(),
        hazard.category.as_str().into(),
        hazard.number.into(),
        hazard.times.into(),
        hazard.first_at.into(),
        hazard.last_at.into(),
        hazard.found_at.into(),
    ]);
    let into = "hazard (id, county, area_code, category, number, times, first_at, last_at, found_at)";
    Ok(rows.insert(conn, into, "ON CONFLICT DO NOTHING").await? == 1)
}

/// Hazards of these areas, newest first; the unanswered ones only, if `open`.
///
/// # Errors
/// When the database fails.
pub async fn list(
    conn: &impl ConnectionTrait,
    areas: &[AreaCode],
    open: bool,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<HazardRow>, StoreError> {
    let mut values: Vec<Value> = Vec::new();
    let any: Vec<String> = areas.iter().map(|area| area_condition("area_code", *area, &mut values)).collect();
    if any.is_empty() {
        return Ok(Vec::new());
    }
    let mut text = format!("SELECT {COLUMNS} FROM hazard WHERE ({})", any.join(" OR "));
    if open {
        text.push_str(" AND answered_at IS NULL");
    }
    sql::newest_first(&mut text, &mut values, before, limit);
    sql::all(conn, &text, values).await
}

/// One hazard.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    id: Uuid,
) -> Result<Option<HazardRow>, StoreError> {
    let text = format!("SELECT {COLUMNS} FROM hazard WHERE id = $1 AND county = $2");
    sql::one(conn, &text, vec![id.into(), county.to_string().into()]).await
}

/// Writes down where a hazard comes from and what is done about it, once. Answers `false` when it was answered before.
///
/// # Errors
/// When the database fails.
pub async fn answer(
    conn: &impl ConnectionTrait,
    id: Uuid,
    cause: &str,
    measure: &str,
    by: Uuid,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let text = "UPDATE hazard SET cause = $2, measure = $3, answered_by = $4, answered_at = $5 \
                WHERE id = $1 AND answered_at IS NULL";
    let values = vec![id.into(), cause.into(), measure.into(), by.into(), now.into()];
    Ok(sql::run(conn, text, values).await? == 1)
}

/// Until which moment (milliseconds since 1970) hazards were looked for.
///
/// # Errors
/// When the database fails.
pub async fn looked_until(conn: &impl ConnectionTrait, county: AreaCode) -> Result<Option<i64>, StoreError> {
    #[derive(FromQueryResult)]
    struct Counter {
        value: i64,
    }
    let text = "SELECT value FROM counter WHERE county = $1 AND name = 'hazards_looked_until'";
    let found: Option<Counter> = sql::one(conn, text, vec![county.to_string().into()]).await?;
    Ok(found.map(|counter| counter.value))
}

/// Notes until when hazards were looked for; it never goes back.
///
/// # Errors
/// When the database fails.
pub async fn note_looked(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    until_millis: i64,
) -> Result<(), StoreError> {
    let mut rows = Rows::new(3);
    rows.push([county.to_string().into(), "hazards_looked_until".into(), until_millis.into()]);
    let tail = "ON CONFLICT (county, name) DO UPDATE SET value = CASE WHEN excluded.value > counter.value \
                THEN excluded.value ELSE counter.value END";
    rows.insert(conn, "counter (county, name, value)", tail).await?;
    Ok(())
}
