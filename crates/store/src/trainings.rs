//! 志愿者培训: what was held, and who attended. Nothing of it is deleted; a mistake is voided, once.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;

use crate::scope::{area_condition, own_or_in};
use crate::sql::{self, Rows};
use crate::{StoreError, unreadable};

/// A training.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct TrainingRow {
    /// The id.
    pub id: Uuid,
    /// For which area it was held.
    pub area_code: String,
    /// What it is called, masked.
    pub title: String,
    /// Who held it, masked.
    pub organizer: String,
    /// The day in China, `YYYY-MM-DD`.
    pub held_on: String,
    /// How long it was.
    pub minutes: i64,
    /// How many attended.
    pub attended: i64,
    /// Who recorded it.
    pub recorded_by: Uuid,
    /// When.
    pub recorded_at: DateTime<Utc>,
    /// Who took it back.
    pub voided_by: Option<Uuid>,
    /// When.
    pub voided_at: Option<DateTime<Utc>>,
    /// Why, masked.
    pub void_reason: Option<String>,
}

impl TrainingRow {
    /// The area.
    ///
    /// # Errors
    /// When the row says something that is none.
    pub fn area(&self) -> Result<AreaCode, StoreError> {
        self.area_code.parse().map_err(unreadable)
    }
}

const COLUMNS: &str = "g.id, g.area_code, g.title, g.organizer, g.held_on, g.minutes, g.attended, g.recorded_by, \
                       g.recorded_at, g.voided_by, g.voided_at, g.void_reason";

/// Stores a training with those who attended.
///
/// # Errors
/// When the database fails.
pub async fn insert(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    training: &TrainingRow,
    people: &[Uuid],
) -> Result<(), StoreError> {
    let mut rows = Rows::new(10);
    rows.push([
        training.id.into(),
        county.to_string().into(),
        training.area_code.clone().into(),
        training.title.clone().into(),
        training.organizer.clone().into(),
        training.held_on.clone().into(),
        training.minutes.into(),
        training.attended.into(),
        training.recorded_by.into(),
        training.recorded_at.into(),
    ]);
    let into = "training (id, county, area_code, title, organizer, held_on, minutes, attended, recorded_by, \
                recorded_at)";
    rows.insert(conn, into, "").await?;
    let mut rows = Rows::new(3);
    for person in people {
        rows.push([training.id.into(), (*person).into(), county.to_string().into()]);
    }
    rows.insert(conn, "trainee (training_id, person_id, county)", "").await?;
    Ok(())
}

/// One of the county's.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    id: Uuid,
) -> Result<Option<TrainingRow>, StoreError> {
    let text = format!("SELECT {COLUMNS} FROM training g WHERE g.id = $1 AND g.county = $2");
    sql::one(conn, &text, vec![id.into(), county.to_string().into()]).await
}

/// Trainings for these areas; the last recorded first.
///
/// # Errors
/// When the database fails.
pub async fn list(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    areas: &[AreaCode],
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<TrainingRow>, StoreError> {
    let mut values: Vec<Value> = vec![county.to_string().into()];
    let within = own_or_in("1 = 0", areas, &mut values);
    let mut text = format!("SELECT {COLUMNS} FROM training g WHERE g.county = $1 AND {within}");
    sql::newest_first(&mut text, &mut values, before, limit);
    sql::all(conn, &text, values).await
}

/// Trainings that somebody attended, those that were taken back among them; the last recorded first.
///
/// # Errors
/// When the database fails.
pub async fn of_person(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    person: Uuid,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<TrainingRow>, StoreError> {
    let mut values: Vec<Value> = vec![county.to_string().into(), person.into()];
    let mut text = format!(
        "SELECT {COLUMNS} FROM trainee n JOIN training g ON g.id = n.training_id \
         WHERE g.county = $1 AND n.person_id = $2"
    );
    sql::newest_first(&mut text, &mut values, before, limit);
    sql::all(conn, &text, values).await
}

/// Takes a training back. Answers whether it still stood.
///
/// # Errors
/// When the database fails.
pub async fn void(conn: &impl ConnectionTrait, training: &TrainingRow) -> Result<bool, StoreError> {
    let text = "UPDATE training SET voided_by = $2, voided_at = $3, void_reason = $4 \
                WHERE id = $1 AND voided_at IS NULL";
    let values = vec![
        training.id.into(),
        training.voided_by.into(),
        training.voided_at.into(),
        training.void_reason.clone().into(),
    ];
    Ok(sql::run(conn, text, values).await? == 1)
}

/// Somebody who attended.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct TraineeRow {
    /// Who.
    pub person_id: Uuid,
    /// The name by which the others know him; empty once he is erased.
    pub surname: String,
    /// His badge in force.
    pub badge: Option<String>,
}

/// Those who attended, by id.
///
/// # Errors
/// When the database fails.
pub async fn people(conn: &impl ConnectionTrait, training: Uuid) -> Result<Vec<TraineeRow>, StoreError> {
    let text = "SELECT n.person_id, p.surname, (SELECT max(b.number) FROM badge b WHERE b.person_id = n.person_id \
                AND b.status = 'active') AS badge FROM trainee n JOIN person p ON p.id = n.person_id \
                WHERE n.training_id = $1 ORDER BY n.person_id";
    sql::all(conn, text, vec![training.into()]).await
}

/// The grids of those of these people who are volunteers, in whatever standing. Who was erased is nobody any more.
///
/// # Errors
/// When the database fails or a row cannot be read.
pub async fn grids_of(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    people: &[Uuid],
) -> Result<Vec<(Uuid, AreaCode)>, StoreError> {
    #[derive(FromQueryResult)]
    struct Found {
        person_id: Uuid,
        grid_code: String,
    }
    if people.is_empty() {
        return Ok(Vec::new());
    }
    let mut values: Vec<Value> = vec![county.to_string().into()];
    values.extend(people.iter().map(|id| Value::from(*id)));
    let text = format!(
        "SELECT v.person_id, v.grid_code FROM volunteer v JOIN person p ON p.id = v.person_id AND p.erased_at IS NULL \
         WHERE v.county = $1 AND v.person_id IN ({})",
        sql::list(2, people.len())
    );
    let found: Vec<Found> = sql::all(conn, &text, values).await?;
    found.into_iter().map(|row| Ok((row.person_id, row.grid_code.parse().map_err(unreadable)?))).collect()
}

/// That somebody attended a training that stands.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct TrainedRow {
    /// His badge in force.
    pub badge: Option<String>,
    /// What the training is called.
    pub title: String,
    /// Who held it.
    pub organizer: String,
    /// For which area.
    pub area_code: String,
    /// The day in China.
    pub held_on: String,
    /// How long it was.
    pub minutes: i64,
}

/// What volunteers of an area, from one id to another, attended from the day `from` to the day `to`, by person and
/// day; what was taken back is left out.
///
/// # Errors
/// When the database fails.
pub async fn attended(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    area: AreaCode,
    people: (Uuid, Uuid),
    from: String,
    to: String,
) -> Result<Vec<TrainedRow>, StoreError> {
    let mut values: Vec<Value> =
        vec![county.to_string().into(), people.0.into(), people.1.into(), from.into(), to.into()];
    let within = area_condition("v.grid_code", area, &mut values);
    let text = format!(
        "SELECT (SELECT max(b.number) FROM badge b WHERE b.person_id = v.person_id AND b.status = 'active') AS badge, \
         g.title, g.organizer, g.area_code, g.held_on, g.minutes FROM volunteer v \
         JOIN trainee n ON n.person_id = v.person_id JOIN training g ON g.id = n.training_id \
         WHERE v.county = $1 AND v.person_id >= $2 AND v.person_id <= $3 AND g.held_on >= $4 AND g.held_on <= $5 \
         AND g.voided_at IS NULL AND {within} ORDER BY v.person_id, g.held_on, g.id"
    );
    sql::all(conn, &text, values).await
}
