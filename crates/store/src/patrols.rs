//! Patrols (走访巡查): who walks where, what he visited, and the hazards that became orders.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;

use crate::scope::area_condition;
use crate::sql::{self, Rows};
use crate::{StoreError, unreadable};

/// A patrol.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct PatrolRow {
    /// The id.
    pub id: Uuid,
    /// Where.
    pub area_code: String,
    /// Who.
    pub person_id: Uuid,
    /// Since when.
    pub began_at: DateTime<Utc>,
    /// Until when; absent while it runs.
    pub ended_at: Option<DateTime<Utc>>,
    /// How long it was.
    pub minutes: Option<i64>,
    /// What came of it, masked.
    pub summary: Option<String>,
    /// Places visited.
    pub visits: i64,
    /// Hazards reported.
    pub hazards: i64,
}

impl PatrolRow {
    /// The area.
    ///
    /// # Errors
    /// When the row says something that is none.
    pub fn area(&self) -> Result<AreaCode, StoreError> {
        self.area_code.parse().map_err(unreadable)
    }
}

/// Something that was seen on a patrol.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct NoteRow {
    /// The id.
    pub id: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// Where, masked.
    pub place: String,
    /// What, masked.
    pub note: Option<String>,
    /// The order that a hazard became.
    pub order_id: Option<Uuid>,
}

const SELECT: &str = "SELECT q.id, q.area_code, q.person_id, q.began_at, q.ended_at, q.minutes, q.summary, \
                      (SELECT count(*) FROM patrol_note n WHERE n.patrol_id = q.id AND n.order_id IS NULL) AS visits, \
                      (SELECT count(*) FROM patrol_note n WHERE n.patrol_id = q.id AND n.order_id IS NOT NULL) \
                      AS hazards FROM patrol q WHERE q.county = $1";

/// Begins a patrol.
///
/// # Errors
/// [`StoreError::Conflict`] when the person walks another one.
pub async fn begin(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    patrol: &PatrolRow,
) -> Result<(), StoreError> {
    let mut rows = Rows::new(5);
    rows.push([
        patrol.id.into(),
        county.to_string().into(),
        patrol.area_code.clone().into(),
        patrol.person_id.into(),
        patrol.began_at.into(),
    ]);
    let into = "patrol (id, county, area_code, person_id, began_at)";
    match rows.insert(conn, into, "ON CONFLICT DO NOTHING").await? {
        1 => Ok(()),
        _ => Err(StoreError::Conflict),
    }
}

/// One of the county's.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    id: Uuid,
) -> Result<Option<PatrolRow>, StoreError> {
    let text = format!("{SELECT} AND q.id = $2");
    sql::one(conn, &text, vec![county.to_string().into(), id.into()]).await
}

/// Somebody's own, and those of these areas; newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    person: Uuid,
    areas: &[AreaCode],
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<PatrolRow>, StoreError> {
    let mut values: Vec<Value> = vec![county.to_string().into(), person.into()];
    let mut reached = vec!["q.person_id = $2".to_owned()];
    reached.extend(areas.iter().map(|area| area_condition("q.area_code", *area, &mut values)));
    let mut text = format!("{SELECT} AND ({})", reached.join(" OR "));
    if let Some(before) = before {
        values.push(before.into());
        text.push_str(&format!(" AND q.id < ${}", values.len()));
    }
    text.push_str(&format!(" ORDER BY q.id DESC LIMIT {limit}"));
    sql::all(conn, &text, values).await
}

/// What was seen on it, in order.
///
/// # Errors
/// When the database fails.
pub async fn notes(conn: &impl ConnectionTrait, patrol: Uuid) -> Result<Vec<NoteRow>, StoreError> {
    let text =
        "SELECT id, at, place, note, order_id FROM patrol_note WHERE patrol_id = $1 ORDER BY id LIMIT 1000";
    sql::all(conn, text, vec![patrol.into()]).await
}

/// Notes what was seen on a patrol that runs; what is noted already, under its id, is left alone.
///
/// # Errors
/// [`StoreError::Conflict`] when the patrol was ended meanwhile.
pub async fn note(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    patrol: Uuid,
    row: &NoteRow,
) -> Result<(), StoreError> {
    // The patrol's row is locked, so that its end counts every note.
    let text = "UPDATE patrol SET ended_at = ended_at WHERE id = $1 AND ended_at IS NULL";
    sql::change_one(conn, text, vec![patrol.into()]).await?;
    let mut rows = Rows::new(7);
    rows.push([
        row.id.into(),
        county.to_string().into(),
        patrol.into(),
        row.at.into(),
        row.place.clone().into(),
        row.note.clone().into(),
        row.order_id.into(),
    ]);
    let into = "patrol_note (id, county, patrol_id, at, place, note, order_id)";
    rows.insert(conn, into, "ON CONFLICT DO NOTHING").await?;
    Ok(())
}

/// Ends a patrol that runs; answers it with what was counted behind its lock.
///
/// # Errors
/// [`StoreError::Conflict`] when it was ended before.
pub async fn end(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    patrol: &PatrolRow,
) -> Result<PatrolRow, StoreError> {
    let text =
        "UPDATE patrol SET ended_at = $2, minutes = $3, summary = $4 WHERE id = $1 AND ended_at IS NULL";
    let values =
        vec![patrol.id.into(), patrol.ended_at.into(), patrol.minutes.into(), patrol.summary.clone().into()];
    sql::change_one(conn, text, values).await?;
    find(conn, county, patrol.id).await?.ok_or(StoreError::Conflict)
}
