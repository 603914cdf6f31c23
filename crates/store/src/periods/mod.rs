//! Periods, their lists and their objections. What counts where is decided in `xingfuma_domain::scoring`.
//!
//! A list is made in pieces of people, each in a transaction of its own that also moves the period's cursor: a kill
//! between two pieces leaves whole pieces, and two who make one list at once do each piece once. Which entries a piece
//! has counted is written down entry by entry, under a key that lets each count once for ever.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::scoring::{LineStatus, PeriodStatus, YearMonth};

use crate::sql;
use crate::{StoreError, unreadable};

pub mod boards;
pub mod check;
pub mod freezing;
pub mod objections;

/// A period.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct PeriodRow {
    /// The county.
    pub county: String,
    /// `YYYY-MM`.
    pub month: String,
    /// See [`PeriodStatus`].
    pub status: String,
    /// When claims about it were closed.
    pub claims_closed_at: DateTime<Utc>,
    /// Who closed them; none for the command line.
    pub closed_by: Option<Uuid>,
    /// The last person of the list as far as it is made.
    pub cursor_id: Option<Uuid>,
    /// Working days of its public notice.
    pub working_days: i32,
    /// When its list was published.
    pub published_at: Option<DateTime<Utc>>,
    /// When the public notice ends.
    pub notice_ends_at: Option<DateTime<Utc>>,
    /// Lines of the list.
    pub line_count: i64,
    /// Points of all lines.
    pub points: i64,
    /// The hash of the list as it was published.
    pub list_hash: Option<Vec<u8>>,
    /// When it was sealed.
    pub sealed_at: Option<DateTime<Utc>>,
    /// The hash of the list as it was sealed.
    pub seal: Option<Vec<u8>>,
}

const PERIOD: &str = "county, month, status, claims_closed_at, closed_by, cursor_id, working_days, published_at, \
                      notice_ends_at, line_count, points, list_hash, sealed_at, seal";

impl PeriodRow {
    /// The month.
    ///
    /// # Errors
    /// When the row says something that is none.
    pub fn month(&self) -> Result<YearMonth, StoreError> {
        self.month.parse().map_err(unreadable)
    }

    /// Where it stands.
    ///
    /// # Errors
    /// When the row says something that is none.
    pub fn status(&self) -> Result<PeriodStatus, StoreError> {
        self.status.parse().map_err(unreadable)
    }
}

/// A line of a list.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct LineRow {
    /// The month.
    pub month: String,
    /// The person.
    pub person_id: Uuid,
    /// Its number in the list, from 1.
    pub number: i64,
    /// The person's grid when the list was made; the county where he has none.
    pub area_code: String,
    /// His team then.
    pub team_id: Option<Uuid>,
    /// Points as they were published.
    pub points: i64,
    /// Entries.
    pub entries: i64,
    /// Those of them that belong to an earlier period.
    pub late: i64,
    /// What objections that were upheld have changed since.
    pub corrected: i64,
    /// See [`LineStatus`].
    pub status: String,
}

const LINE: &str = "month, person_id, number, area_code, team_id, points, entries, late, corrected, status";

/// Begins a period: claims about its month are closed from now on.
///
/// # Errors
/// [`StoreError::Conflict`] when it has begun already.
pub async fn begin(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    month: YearMonth,
    working_days: i32,
    by: Option<Uuid>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let text = "INSERT INTO score_period (county, month, status, claims_closed_at, closed_by, working_days, line_count, \
                points) VALUES ($1, $2, 'review', $3, $4, $5, 0, 0) ON CONFLICT DO NOTHING";
    let values: Vec<Value> =
        vec![county.to_string().into(), month.to_string().into(), now.into(), by.into(), working_days.into()];
    sql::change_one(conn, text, values).await
}

/// A period of the county.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    month: YearMonth,
) -> Result<Option<PeriodRow>, StoreError> {
    let text = format!("SELECT {PERIOD} FROM score_period WHERE county = $1 AND month = $2");
    sql::one(conn, &text, vec![county.to_string().into(), month.to_string().into()]).await
}

/// Whether claims about a month are closed: its own period has begun, or a later one.
///
/// # Errors
/// When the database fails.
pub async fn claims_closed(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    month: YearMonth,
) -> Result<bool, StoreError> {
    let text = "SELECT 1 AS found FROM score_period WHERE county = $1 AND month >= $2 LIMIT 1";
    let values: Vec<Value> = vec![county.to_string().into(), month.to_string().into()];
    Ok(conn.query_one_raw(sql::statement(conn, text, values)).await?.is_some())
}

/// Periods of the county, the latest first.
///
/// # Errors
/// When the database fails.
pub async fn list(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    limit: u64,
) -> Result<Vec<PeriodRow>, StoreError> {
    let text =
        format!("SELECT {PERIOD} FROM score_period WHERE county = $1 ORDER BY month DESC LIMIT {limit}");
    sql::all(conn, &text, vec![county.to_string().into()]).await
}

/// Claims about what happened before `until` that wait for a decision.
///
/// # Errors
/// When the database fails.
pub async fn claims_waiting(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    until: DateTime<Utc>,
) -> Result<i64, StoreError> {
    #[derive(FromQueryResult)]
    struct Count {
        waiting: i64,
    }
    let text = "SELECT count(*) AS waiting FROM score_claim \
                WHERE county = $1 AND status = 'pending' AND happened_at < $2";
    let found: Option<Count> = sql::one(conn, text, vec![county.to_string().into(), until.into()]).await?;
    Ok(found.map_or(0, |count| count.waiting))
}

/// Lines of a list by number, behind `after`; of one area's subtree where one is named.
///
/// # Errors
/// When the database fails.
pub async fn lines(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    month: YearMonth,
    area: Option<AreaCode>,
    after: i64,
    limit: u64,
) -> Result<Vec<LineRow>, StoreError> {
    let mut values: Vec<Value> = vec![county.to_string().into(), month.to_string().into(), after.into()];
    let within = match area {
        Some(area) => format!("AND {}", crate::scope::area_condition("area_code", area, &mut values)),
        None => String::new(),
    };
    let text = format!(
        "SELECT {LINE} FROM score_period_line WHERE county = $1 AND month = $2 AND number > $3 {within} \
         ORDER BY number LIMIT {limit}"
    );
    sql::all(conn, &text, values).await
}

/// The line of a number.
///
/// # Errors
/// When the database fails.
pub async fn line(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    month: YearMonth,
    number: i64,
) -> Result<Option<LineRow>, StoreError> {
    let text =
        format!("SELECT {LINE} FROM score_period_line WHERE county = $1 AND month = $2 AND number = $3");
    sql::one(conn, &text, vec![county.to_string().into(), month.to_string().into(), number.into()]).await
}

/// A counted entry.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct CountedRow {
    /// Its transaction: what the passbook calls an entry.
    pub transaction_id: Uuid,
    /// Points.
    pub points: i64,
    /// The period that it belongs to, when that is an earlier one.
    pub links_to: Option<String>,
}

/// What a line was added up from.
///
/// # Errors
/// When the database fails.
pub async fn counted(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    month: YearMonth,
    person: Uuid,
) -> Result<Vec<CountedRow>, StoreError> {
    let text = "SELECT transaction_id, points, links_to FROM score_period_entry \
                WHERE person_id = $1 AND month = $2 AND county = $3 ORDER BY entry_id";
    sql::all(conn, text, vec![person.into(), month.to_string().into(), county.to_string().into()]).await
}

/// Seals a period: contested lines are paused, and the hash is kept.
///
/// # Errors
/// [`StoreError::Conflict`] when it is no notice any more.
pub async fn seal(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    month: YearMonth,
    now: DateTime<Utc>,
    hash: &[u8],
) -> Result<(), StoreError> {
    let text = "UPDATE score_period SET status = 'sealed', sealed_at = $3, seal = $4 \
                WHERE county = $1 AND month = $2 AND status = 'notice'";
    let values: Vec<Value> =
        vec![county.to_string().into(), month.to_string().into(), now.into(), hash.to_vec().into()];
    sql::change_one(conn, text, values).await
}

/// Pauses what is contested; done before the lines are hashed, in the same transaction.
///
/// # Errors
/// When the database fails.
pub async fn pause_contested(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    month: YearMonth,
) -> Result<u64, StoreError> {
    let text = "UPDATE score_period_line SET status = 'paused' \
                WHERE county = $1 AND month = $2 AND status = 'contested'";
    sql::run(conn, text, vec![county.to_string().into(), month.to_string().into()]).await
}

/// Sets where a line stands.
///
/// # Errors
/// When the database fails.
pub async fn mark_line(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    month: YearMonth,
    person: Uuid,
    status: LineStatus,
) -> Result<(), StoreError> {
    let text = "UPDATE score_period_line SET status = $4 WHERE county = $1 AND month = $2 AND person_id = $3";
    let values: Vec<Value> =
        vec![county.to_string().into(), month.to_string().into(), person.into(), status.as_str().into()];
    sql::run(conn, text, values).await?;
    Ok(())
}

/// Locks a period against being sealed or published meanwhile, and answers it: the row on PostgreSQL; on SQLite nobody
/// else writes anyway.
///
/// # Errors
/// When the database fails.
pub async fn lock(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    month: YearMonth,
) -> Result<Option<PeriodRow>, StoreError> {
    let locking =
        if conn.get_database_backend() == sea_orm::DatabaseBackend::Postgres { "FOR UPDATE" } else { "" };
    let text = format!("SELECT {PERIOD} FROM score_period WHERE county = $1 AND month = $2 {locking}");
    sql::one(conn, &text, vec![county.to_string().into(), month.to_string().into()]).await
}
