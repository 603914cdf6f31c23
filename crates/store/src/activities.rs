//! Activities and who takes part in them. Room is taken by one conditional update; each step of a person is a guarded one.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;

use crate::scope::area_condition;
use crate::sql::{self, Rows};
use crate::{StoreError, unreadable};

/// An activity, with the part of whoever asks.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct ActivityRow {
    /// The id.
    pub id: Uuid,
    /// Where: whoever belongs to this area may join.
    pub area_code: String,
    /// What it is called.
    pub title: String,
    /// What is done.
    pub content: String,
    /// Where one meets.
    pub place: String,
    /// Its beginning.
    pub starts_at: DateTime<Utc>,
    /// Its end.
    pub ends_at: DateTime<Utc>,
    /// Minutes of it that are spent on the way.
    pub travel_minutes: i64,
    /// Room for so many.
    pub capacity: i64,
    /// How many have joined.
    pub joined: i64,
    /// Who announced it.
    pub made_by: Uuid,
    /// When.
    pub made_at: DateTime<Utc>,
    /// When those who joined were told last.
    pub noticed_at: Option<DateTime<Utc>>,
    /// The part of whoever asks.
    pub attendance_id: Option<Uuid>,
    /// When he checked in.
    pub checked_in_at: Option<DateTime<Utc>>,
    /// When he gave his feedback.
    pub feedback_at: Option<DateTime<Utc>>,
    /// His minutes of service.
    pub minutes: Option<i64>,
}

impl ActivityRow {
    /// The area.
    ///
    /// # Errors
    /// When the row says something that is none.
    pub fn area(&self) -> Result<AreaCode, StoreError> {
        self.area_code.parse().map_err(unreadable)
    }
}

/// Stores an activity.
///
/// # Errors
/// When the database fails.
pub async fn insert(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    activity: &ActivityRow,
) -> Result<(), StoreError> {
    let mut rows = Rows::new(13);
    rows.push([
        activity.id.into(),
        county.to_string().into(),
        activity.area_code.clone().into(),
        activity.title.clone().into(),
        activity.content.clone().into(),
        activity.place.clone().into(),
        activity.starts_at.into(),
        activity.ends_at.into(),
        activity.travel_minutes.into(),
        activity.capacity.into(),
        activity.joined.into(),
        activity.made_by.into(),
        activity.made_at.into(),
    ]);
    let into = "activity (id, county, area_code, title, content, place, starts_at, ends_at, travel_minutes, capacity, \
                joined, made_by, made_at)";
    rows.insert(conn, into, "").await?;
    Ok(())
}

/// `$1` is the county, `$2` who asks.
const SELECT: &str = "SELECT a.id, a.area_code, a.title, a.content, a.place, a.starts_at, a.ends_at, a.travel_minutes, \
                      a.capacity, a.joined, a.made_by, a.made_at, a.noticed_at, p.id AS attendance_id, \
                      p.checked_in_at, p.feedback_at, p.minutes FROM activity a \
                      LEFT JOIN attendance p ON p.activity_id = a.id AND p.person_id = $2 WHERE a.county = $1";

/// One of the county's, with the part of whoever asks.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    person: Uuid,
    id: Uuid,
) -> Result<Option<ActivityRow>, StoreError> {
    let values = vec![county.to_string().into(), person.into(), id.into()];
    sql::one(conn, &format!("{SELECT} AND a.id = $3"), values).await
}

/// Activities in these areas, those of the areas around `around`, and those that somebody has joined; newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    person: Uuid,
    within: &[AreaCode],
    around: &[AreaCode],
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<ActivityRow>, StoreError> {
    let mut values: Vec<Value> = vec![county.to_string().into(), person.into()];
    let mut reached = vec!["p.id IS NOT NULL".to_owned()];
    reached.extend(within.iter().map(|area| area_condition("a.area_code", *area, &mut values)));
    for area in around {
        values.push(area.to_string().into());
        reached.push(format!("a.area_code = ${}", values.len()));
    }
    let mut text = format!("{SELECT} AND ({})", reached.join(" OR "));
    if let Some(before) = before {
        values.push(before.into());
        text.push_str(&format!(" AND a.id < ${}", values.len()));
    }
    text.push_str(&format!(" ORDER BY a.id DESC LIMIT {limit}"));
    sql::all(conn, &text, values).await
}

/// Takes a place, if there is room and he has none yet.
///
/// # Errors
/// [`StoreError::Full`] when there is no room, [`StoreError::Conflict`] when he has joined before.
pub async fn join(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    activity: Uuid,
    attendance: Uuid,
    person: Uuid,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    // The activity's row is the lock behind which places are counted.
    let text = "UPDATE activity SET joined = joined + 1 WHERE id = $1 AND joined < capacity";
    let room = sql::run(conn, text, vec![activity.into()]).await? == 1;
    let mut rows = Rows::new(5);
    rows.push([attendance.into(), county.to_string().into(), activity.into(), person.into(), at.into()]);
    let into = "attendance (id, county, activity_id, person_id, joined_at)";
    let joined = rows.insert(conn, into, "ON CONFLICT DO NOTHING").await? == 1;
    match (joined, room) {
        (false, _) => Err(StoreError::Conflict),
        (true, false) => Err(StoreError::Full),
        (true, true) => Ok(()),
    }
}

/// Notes that somebody is there, once.
///
/// # Errors
/// [`StoreError::Conflict`] when he has checked in before.
pub async fn check_in(
    conn: &impl ConnectionTrait,
    attendance: Uuid,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let text = "UPDATE attendance SET checked_in_at = $2 WHERE id = $1 AND checked_in_at IS NULL";
    sql::change_one(conn, text, vec![attendance.into(), at.into()]).await
}

/// Notes how it was, and what counts of it, once.
///
/// # Errors
/// [`StoreError::Conflict`] when he has said so before.
pub async fn feed_back(
    conn: &impl ConnectionTrait,
    attendance: Uuid,
    words: &str,
    minutes: i64,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let text = "UPDATE attendance SET feedback_at = $2, feedback = $3, minutes = $4 \
                WHERE id = $1 AND feedback_at IS NULL AND checked_in_at IS NOT NULL";
    sql::change_one(conn, text, vec![attendance.into(), at.into(), words.into(), minutes.into()]).await
}

/// Notes that those who joined are told.
///
/// # Errors
/// When the database fails.
pub async fn notice(
    conn: &impl ConnectionTrait,
    activity: Uuid,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let text = "UPDATE activity SET noticed_at = $2 WHERE id = $1";
    sql::change_one(conn, text, vec![activity.into(), at.into()]).await
}

/// Somebody who takes part.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct AttendanceRow {
    /// His part in it.
    pub id: Uuid,
    /// Who.
    pub person_id: Uuid,
    /// The name by which the others know him.
    pub surname: String,
    /// When he joined.
    pub joined_at: DateTime<Utc>,
    /// When he checked in.
    pub checked_in_at: Option<DateTime<Utc>>,
    /// When he said how it was.
    pub feedback_at: Option<DateTime<Utc>>,
    /// How it was, masked.
    pub feedback: Option<String>,
    /// His minutes of service.
    pub minutes: Option<i64>,
}

/// Those who take part, in the order in which they joined: at most `limit` behind `after`.
///
/// # Errors
/// When the database fails.
pub async fn people(
    conn: &impl ConnectionTrait,
    activity: Uuid,
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<AttendanceRow>, StoreError> {
    let mut values: Vec<Value> = vec![activity.into()];
    let mut text =
        "SELECT p.id, p.person_id, v.surname, p.joined_at, p.checked_in_at, p.feedback_at, p.feedback, \
                    p.minutes FROM attendance p JOIN person v ON v.id = p.person_id WHERE p.activity_id = $1"
            .to_owned();
    if let Some(after) = after {
        values.push(after.into());
        text.push_str(" AND p.id > $2");
    }
    text.push_str(&format!(" ORDER BY p.id LIMIT {limit}"));
    sql::all(conn, &text, values).await
}
