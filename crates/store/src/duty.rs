//! What the policy needs to know about teams and people: who is away, what they hold, how they answered so far.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, QueryResult, Value};
use sqlx::postgres::PgRow;
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;

use crate::lanes::Lanes;
use crate::sql::{self, Rows};
use crate::{Store, StoreError, directory};

/// What is known of a team, or of one of its members who has a skill. A county's are tens of thousands, so they are small:
/// a number says which team, or which pair of team and skill, they are about.
#[derive(Clone, Debug, FromQueryResult)]
pub struct KnownRow {
    /// The member; absent in the team's own row.
    pub person_id: Option<Uuid>,
    /// The place among the pairs for which the member was asked; in a team's own row its place among the teams.
    pub place: i32,
    /// He is on leave.
    pub on_leave: bool,
    /// Open orders that it or he holds.
    pub open_orders: i64,
    /// Offers accepted.
    pub accepts: i64,
    /// Seconds for which offers waited.
    pub waited_seconds: i64,
    /// When he was last told of an order.
    pub offered_at: Option<DateTime<Utc>>,
}

/// What is known of these teams, and for each pair of `able` of the active members who have that skill: one round trip,
/// for however many orders.
///
/// # Errors
/// When the database fails.
pub async fn known(
    store: &Store,
    teams: &[Uuid],
    able: &[(Uuid, String)],
    now: DateTime<Utc>,
) -> Result<Vec<KnownRow>, StoreError> {
    if teams.is_empty() {
        return Ok(Vec::new());
    }
    if let Some(lanes) = store.lanes() {
        return known_together(lanes, teams.to_vec(), able.to_vec(), now).await;
    }
    let mut values = Vec::with_capacity(2 * teams.len() + 3 * able.len() + 1);
    let own = given(&mut values, teams.iter().map(|team| vec![(*team).into()]));
    let mut text = format!("WITH own (team_id, place) AS (VALUES {own})");
    let mut members = String::new();
    if !able.is_empty() {
        let pairs = able.iter().map(|(team, skill)| vec![(*team).into(), skill.as_str().into()]);
        let pairs = given(&mut values, pairs);
        text.push_str(&format!(", asked (team_id, skill, place) AS (VALUES {pairs})"));
        values.push(now.into());
        members = format!(" UNION ALL {}", of_members("asked", values.len()));
    }
    sql::all(store.pool(), &format!("{text} {}{members}", of_teams("own")), values).await
}

/// Rows for `VALUES`, each with its number, as `WITH ORDINALITY` counts.
fn given(values: &mut Vec<Value>, rows: impl Iterator<Item = Vec<Value>>) -> String {
    let rows = (1_i32..).zip(rows).map(|(number, row)| {
        let first = values.len() + 1;
        values.extend(row);
        values.push(number.into());
        format!("({})", sql::list(first, values.len() + 1 - first))
    });
    rows.collect::<Vec<_>>().join(", ")
}

async fn known_together(
    lanes: &Lanes,
    teams: Vec<Uuid>,
    able: Vec<(Uuid, String)>,
    now: DateTime<Utc>,
) -> Result<Vec<KnownRow>, StoreError> {
    let text = format!(
        "{} UNION ALL {}",
        of_teams("unnest($1::uuid[]) WITH ORDINALITY AS own (team_id, place)"),
        of_members("unnest($2::uuid[], $3::text[]) WITH ORDINALITY AS asked (team_id, skill, place)", 4)
            + " AND v.team_id = ANY ($2::uuid[])"
    );
    // A long queue asks for all teams of a county at once: each of tens of thousands of rows is read as it comes, and let go.
    let rows = lanes.run(move |connection| {
        Box::pin(async move {
            let (able, skills): (Vec<Uuid>, Vec<String>) = able.into_iter().unzip();
            let query = sqlx::query(sqlx::AssertSqlSafe(text)).bind(teams).bind(able).bind(skills).bind(now);
            query.try_map(known_row).fetch_all(connection).await
        })
    });
    Ok(rows.await?)
}

fn known_row(row: PgRow) -> Result<KnownRow, sqlx::Error> {
    let row = KnownRow::from_query_result(&QueryResult::from(row), "");
    row.map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

fn of_teams(own: &str) -> String {
    format!(
        "SELECT CAST(NULL AS uuid) AS person_id, CAST(own.place - 1 AS integer) AS place, \
         (SELECT count(*) FROM due d WHERE d.team_id = own.team_id) AS open_orders, FALSE AS on_leave, \
         coalesce(h.accepts, 0) AS accepts, coalesce(h.waited_seconds, 0) AS waited_seconds, h.offered_at AS offered_at \
         FROM {own} LEFT JOIN answer_history h ON h.owner_id = own.team_id"
    )
}

/// Members who have the skill of a row of `asked`; the moment is the parameter `now`. Who is on leave is looked up once, not
/// once a member: they are few.
fn of_members(asked: &str, now: usize) -> String {
    format!(
        "SELECT v.person_id, CAST(asked.place - 1 AS integer), (SELECT count(*) FROM due d WHERE d.volunteer_id = v.person_id), \
         v.person_id IN (SELECT l.person_id FROM on_leave l WHERE l.to_at > ${now} \
         AND l.from_at <= ${now} AND l.ended_at IS NULL), coalesce(h.accepts, 0), \
         coalesce(h.waited_seconds, 0), h.offered_at FROM {asked} JOIN volunteer v ON v.team_id = asked.team_id \
         LEFT JOIN answer_history h ON h.owner_id = v.person_id \
         WHERE v.status = 'active' AND ',' || v.skills || ',' LIKE '%,' || asked.skill || ',%'"
    )
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
