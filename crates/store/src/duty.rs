//! What the policy needs to know about teams and people: who is away, what they hold, how they answered so far.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;

use crate::sql::{self, Rows};
use crate::{StoreError, directory};

/// What is known of a team, or of one of its members.
#[derive(Clone, Debug, FromQueryResult)]
pub struct KnownRow {
    /// The team.
    pub team_id: Uuid,
    /// The member; absent in the team's own row.
    pub person_id: Option<Uuid>,
    /// Open orders that it or he holds.
    pub open_orders: i64,
    /// 1 when he is on leave.
    pub on_leave: i64,
    /// Offers accepted.
    pub accepts: i64,
    /// Seconds for which offers waited.
    pub waited_seconds: i64,
    /// When he was last told of an order.
    pub offered_at: Option<DateTime<Utc>>,
}

/// What is known of these teams, and of the active members of `asked` who have the skill: one round trip.
///
/// # Errors
/// When the database fails.
pub async fn known(
    conn: &impl ConnectionTrait,
    teams: &[Uuid],
    asked: &[Uuid],
    skill: &str,
    now: DateTime<Utc>,
) -> Result<Vec<KnownRow>, StoreError> {
    if teams.is_empty() {
        return Ok(Vec::new());
    }
    let mut values: Vec<Value> = teams.iter().map(|team| Value::from(*team)).collect();
    let mut text = format!(
        "SELECT t.id AS team_id, CAST(NULL AS uuid) AS person_id, (SELECT count(*) FROM due d WHERE d.team_id = t.id) AS open_orders, \
         CAST(0 AS bigint) AS on_leave, coalesce(h.accepts, 0) AS accepts, coalesce(h.waited_seconds, 0) AS waited_seconds, \
         h.offered_at AS offered_at FROM team t LEFT JOIN answer_history h ON h.owner_id = t.id WHERE t.id IN ({})",
        sql::list(1, teams.len())
    );
    if !asked.is_empty() {
        let list = sql::list(values.len() + 1, asked.len());
        values.extend(asked.iter().map(|team| Value::from(*team)));
        values.extend([format!("%,{skill},%").into(), now.into()]);
        let (skill, now) = (values.len() - 1, values.len());
        text.push_str(&format!(
            " UNION ALL SELECT v.team_id, v.person_id, (SELECT count(*) FROM due d WHERE d.volunteer_id = v.person_id), \
             CAST(CASE WHEN EXISTS (SELECT 1 FROM on_leave l WHERE l.person_id = v.person_id AND l.to_at > ${now} \
             AND l.from_at <= ${now} AND l.ended_at IS NULL) THEN 1 ELSE 0 END AS bigint), coalesce(h.accepts, 0), \
             coalesce(h.waited_seconds, 0), h.offered_at FROM volunteer v \
             LEFT JOIN answer_history h ON h.owner_id = v.person_id WHERE v.team_id IN ({list}) \
             AND v.status = 'active' AND ',' || v.skills || ',' LIKE ${skill}"
        ));
    }
    sql::all(conn, &text, values).await
}

/// What an ended or a new offer adds to somebody's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The team or the volunteer.
    pub owner: Uuid,
    /// Offers accepted.
    pub accepts: i64,
    /// Seconds for which an offer waited.
    pub waited_seconds: i64,
    /// When he was told of a new one.
    pub offered_at: Option<DateTime<Utc>>,
}

/// The rows that add to the histories. No owner comes twice; they come sorted, so that two writers never wait for each
/// other.
pub(crate) fn answers(county: AreaCode, answered: &[Answered]) -> Rows {
    let mut rows = Rows::new(5);
    for one in answered {
        rows.push([
            one.owner.into(),
            county.to_string().into(),
            one.accepts.into(),
            one.waited_seconds.into(),
            one.offered_at.into(),
        ]);
    }
    rows
}

/// Where [`answers`] go, and how they add to what is there.
pub(crate) const ANSWERS: &str = "answer_history (owner_id, county, accepts, waited_seconds, offered_at)";
pub(crate) const ADD_ANSWERS: &str = "ON CONFLICT (owner_id) DO UPDATE SET accepts = answer_history.accepts + excluded.accepts, \
    waited_seconds = answer_history.waited_seconds + excluded.waited_seconds, \
    offered_at = coalesce(excluded.offered_at, answer_history.offered_at)";

/// Whether somebody who takes on `taken` would hold more than `at_most`. For SQLite, where nobody else writes meanwhile;
/// on PostgreSQL the function `would_hold_too_many` says it inside the statement that writes.
pub(crate) async fn would_hold_too_many(
    conn: &impl ConnectionTrait,
    taker: Uuid,
    taken: Uuid,
    at_most: i64,
) -> Result<bool, StoreError> {
    #[derive(FromQueryResult)]
    struct Held {
        orders: i64,
    }
    let text = "SELECT count(*) AS orders FROM due WHERE volunteer_id = $1 AND order_id <> $2";
    let held: Option<Held> = sql::one(conn, text, vec![taker.into(), taken.into()]).await?;
    Ok(held.is_some_and(|held| held.orders >= at_most))
}

/// A leave.
#[derive(Clone, Debug, FromQueryResult)]
pub struct LeaveRow {
    /// The id.
    pub id: Uuid,
    /// The first moment.
    pub from_at: DateTime<Utc>,
    /// The first moment after it.
    pub to_at: DateTime<Utc>,
}

/// Enters a leave.
///
/// # Errors
/// When the database fails.
pub async fn enter_leave(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    person: Uuid,
    leave: &LeaveRow,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut rows = Rows::new(6);
    rows.push([
        leave.id.into(),
        county.to_string().into(),
        person.into(),
        leave.from_at.into(),
        leave.to_at.into(),
        now.into(),
    ]);
    rows.insert(conn, "on_leave (id, county, person_id, from_at, to_at, created_at)", "").await?;
    Ok(())
}

/// Somebody's leaves that are not over, the soonest first.
///
/// # Errors
/// When the database fails.
pub async fn leaves(
    conn: &impl ConnectionTrait,
    person: Uuid,
    now: DateTime<Utc>,
) -> Result<Vec<LeaveRow>, StoreError> {
    let text = "SELECT id, from_at, to_at FROM on_leave WHERE person_id = $1 AND to_at > $2 AND ended_at IS NULL \
                ORDER BY from_at, id";
    sql::all(conn, text, vec![person.into(), now.into()]).await
}

/// Ends somebody's own leave. Answers whether there was one to end.
///
/// # Errors
/// When the database fails.
pub async fn end_leave(
    conn: &impl ConnectionTrait,
    person: Uuid,
    leave: Uuid,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let text = "UPDATE on_leave SET ended_at = $3 WHERE id = $1 AND person_id = $2 AND to_at > $3 AND ended_at IS NULL";
    Ok(sql::run(conn, text, vec![leave.into(), person.into(), now.into()]).await? == 1)
}

/// Keeps a team's roster; the directory's stamp moves, so that every process reads it.
///
/// # Errors
/// When the database fails.
pub async fn keep_roster(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    team: Uuid,
    roster: &str,
    by: Uuid,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut rows = Rows::new(5);
    rows.push([team.into(), county.to_string().into(), roster.into(), by.into(), now.into()]);
    let tail = "ON CONFLICT (team_id) DO UPDATE SET roster = excluded.roster, updated_by = excluded.updated_by, \
                updated_at = excluded.updated_at";
    rows.insert(conn, "team_roster (team_id, county, roster, updated_by, updated_at)", tail).await?;
    directory::touch(conn, county).await
}
