//! 星级: rounds with their lines and objections, and what was conferred. What is reached is decided in
//! `xingfuma_domain::scoring`.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseBackend, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::scoring::{StarLine, StarLineStatus, star_list_hash};

use crate::scope::own_or_in;
use crate::sql::{self, Decided, Rows};
use crate::{StoreError, unreadable};

/// A round.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct RoundRow {
    /// The id.
    pub id: Uuid,
    /// The county.
    pub county: String,
    /// The area that was gone through.
    pub area_code: String,
    /// The day by whose end hours and points were counted, `YYYY-MM-DD` in China time.
    pub as_of: String,
    /// The version of the scale.
    pub rule_version: i32,
    /// `notice` or `conferred`.
    pub status: String,
    /// Working days of its public notice.
    pub working_days: i32,
    /// Who proposed it.
    pub proposed_by: Uuid,
    /// When its list was published.
    pub published_at: DateTime<Utc>,
    /// When the notice ends.
    pub notice_ends_at: DateTime<Utc>,
    /// Lines.
    pub line_count: i64,
    /// The hash of the list as it was published.
    pub list_hash: Vec<u8>,
    /// Who conferred.
    pub conferred_by: Option<Uuid>,
    /// When.
    pub conferred_at: Option<DateTime<Utc>>,
}

const ROUND: &str = "id, county, area_code, as_of, rule_version, status, working_days, proposed_by, published_at, \
                     notice_ends_at, line_count, list_hash, conferred_by, conferred_at";

impl RoundRow {
    /// The area.
    ///
    /// # Errors
    /// When the row says something that is none.
    pub fn area(&self) -> Result<AreaCode, StoreError> {
        self.area_code.parse().map_err(unreadable)
    }

    /// Whether its stars are conferred.
    pub fn is_conferred(&self) -> bool {
        self.status == "conferred"
    }
}

/// A line of a round.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct StarLineRow {
    /// Its number, from 1.
    pub number: i64,
    /// Whose.
    pub person_id: Uuid,
    /// His grid then.
    pub area_code: String,
    /// Minutes of service.
    pub minutes: i64,
    /// Points.
    pub points: i64,
    /// Stars before.
    pub stars_before: i32,
    /// Stars that are proposed.
    pub stars: i32,
    /// See [`StarLineStatus`].
    pub status: String,
}

const LINE: &str = "number, person_id, area_code, minutes, points, stars_before, stars, status";

impl StarLineRow {
    fn listed(&self) -> StarLine {
        StarLine {
            number: self.number,
            person: self.person_id,
            minutes: self.minutes,
            points: self.points,
            before: u8::try_from(self.stars_before).unwrap_or(u8::MAX),
            stars: u8::try_from(self.stars).unwrap_or(u8::MAX),
        }
    }
}

/// The hash of a round's lines.
///
/// # Errors
/// When the round's day cannot be read.
pub fn hash(round: &RoundRow, lines: &[StarLineRow]) -> Result<Vec<u8>, StoreError> {
    let listed: Vec<StarLine> = lines.iter().map(StarLineRow::listed).collect();
    let as_of = round.as_of.parse().map_err(unreadable)?;
    Ok(star_list_hash(&round.county, round.id, as_of, round.rule_version, &listed).to_vec())
}

/// Publishes a round with its lines.
///
/// # Errors
/// [`StoreError::Conflict`] when a round that holds this area, or lies in it, runs already.
pub async fn publish(
    conn: &impl ConnectionTrait,
    round: &RoundRow,
    lines: &[StarLineRow],
) -> Result<(), StoreError> {
    if conn.get_database_backend() == DatabaseBackend::Postgres {
        // Two who propose at the same moment: the second sees the first. SQLite has one writer.
        let text = "SELECT code FROM county WHERE code = $1 FOR UPDATE";
        conn.query_one_raw(sql::statement(conn, text, vec![round.county.clone().into()])).await?;
    }
    let text = "SELECT 1 AS found FROM star_round WHERE county = $1 AND status = 'notice' \
                AND (substr(area_code, 1, length($2)) = $2 OR substr($2, 1, length(area_code)) = area_code)";
    let values: Vec<Value> = vec![round.county.clone().into(), round.area_code.clone().into()];
    if conn.query_one_raw(sql::statement(conn, text, values)).await?.is_some() {
        return Err(StoreError::Conflict);
    }
    let mut rows = Rows::new(14);
    rows.push([
        round.id.into(),
        round.county.clone().into(),
        round.area_code.clone().into(),
        round.as_of.clone().into(),
        round.rule_version.into(),
        round.status.clone().into(),
        round.working_days.into(),
        round.proposed_by.into(),
        round.published_at.into(),
        round.notice_ends_at.into(),
        round.line_count.into(),
        round.list_hash.clone().into(),
        round.conferred_by.into(),
        round.conferred_at.into(),
    ]);
    rows.insert(conn, &format!("star_round ({ROUND})"), "").await?;
    let mut rows = Rows::new(10);
    for line in lines {
        rows.push([
            line.number.into(),
            line.person_id.into(),
            line.area_code.clone().into(),
            line.minutes.into(),
            line.points.into(),
            line.stars_before.into(),
            line.stars.into(),
            line.status.clone().into(),
            round.id.into(),
            round.county.clone().into(),
        ]);
    }
    rows.insert(conn, &format!("star_line ({LINE}, round_id, county)"), "").await?;
    Ok(())
}

/// A round of the county.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    id: Uuid,
) -> Result<Option<RoundRow>, StoreError> {
    let text = format!("SELECT {ROUND} FROM star_round WHERE id = $1 AND county = $2");
    sql::one(conn, &text, vec![id.into(), county.to_string().into()]).await
}

/// As [`find`], locked against being conferred or objected to meanwhile.
///
/// # Errors
/// When the database fails.
pub async fn lock(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    id: Uuid,
) -> Result<Option<RoundRow>, StoreError> {
    let locking = if conn.get_database_backend() == DatabaseBackend::Postgres { "FOR UPDATE" } else { "" };
    let text = format!("SELECT {ROUND} FROM star_round WHERE id = $1 AND county = $2 {locking}");
    sql::one(conn, &text, vec![id.into(), county.to_string().into()]).await
}

/// Rounds of the county, newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<RoundRow>, StoreError> {
    let mut values: Vec<Value> = vec![county.to_string().into()];
    let mut text = format!("SELECT {ROUND} FROM star_round WHERE county = $1");
    sql::newest_first(&mut text, &mut values, before, limit);
    sql::all(conn, &text, values).await
}

/// Lines of a round by number, behind `after`.
///
/// # Errors
/// When the database fails.
pub async fn lines(
    conn: &impl ConnectionTrait,
    round: Uuid,
    after: i64,
    limit: u64,
) -> Result<Vec<StarLineRow>, StoreError> {
    let text = format!(
        "SELECT {LINE} FROM star_line WHERE round_id = $1 AND number > $2 ORDER BY number LIMIT {limit}"
    );
    sql::all(conn, &text, vec![round.into(), after.into()]).await
}

/// The line of a person in a round.
///
/// # Errors
/// When the database fails.
pub async fn line_of(
    conn: &impl ConnectionTrait,
    round: Uuid,
    person: Uuid,
) -> Result<Option<StarLineRow>, StoreError> {
    let text = format!("SELECT {LINE} FROM star_line WHERE round_id = $1 AND person_id = $2");
    sql::one(conn, &text, vec![round.into(), person.into()]).await
}

/// Sets where a line stands.
///
/// # Errors
/// When the database fails.
pub async fn mark_line(
    conn: &impl ConnectionTrait,
    round: Uuid,
    number: i64,
    status: StarLineStatus,
) -> Result<(), StoreError> {
    let text = "UPDATE star_line SET status = $3 WHERE round_id = $1 AND number = $2";
    sql::run(conn, text, vec![round.into(), number.into(), status.as_str().into()]).await?;
    Ok(())
}

/// Confers the stars of every line that stands; what is contested is paused. Answers who got how many.
///
/// # Errors
/// [`StoreError::Conflict`] when it was conferred already.
pub async fn confer(
    conn: &impl ConnectionTrait,
    round: Uuid,
    by: Uuid,
    now: DateTime<Utc>,
) -> Result<Vec<(Uuid, i32)>, StoreError> {
    #[derive(FromQueryResult)]
    struct Given {
        person_id: Uuid,
        stars: i32,
    }
    let text = "UPDATE star_round SET status = 'conferred', conferred_by = $2, conferred_at = $3 \
                WHERE id = $1 AND status = 'notice'";
    sql::change_one(conn, text, vec![round.into(), by.into(), now.into()]).await?;
    // Each star once, whatever two rounds propose.
    let text = "INSERT INTO star_award (person_id, stars, county, round_id, as_of, minutes, points, conferred_by, \
                conferred_at) SELECT l.person_id, l.stars, l.county, l.round_id, r.as_of, l.minutes, l.points, \
                r.conferred_by, r.conferred_at FROM star_line l JOIN star_round r ON r.id = l.round_id \
                WHERE l.round_id = $1 AND l.status = 'standing' ON CONFLICT DO NOTHING";
    sql::run(conn, text, vec![round.into()]).await?;
    for (from, to) in [("standing", "conferred"), ("contested", "paused")] {
        let text = "UPDATE star_line SET status = $3 WHERE round_id = $1 AND status = $2";
        sql::run(conn, text, vec![round.into(), from.into(), to.into()]).await?;
    }
    let text = "SELECT person_id, stars FROM star_award WHERE round_id = $1";
    let given: Vec<Given> = sql::all(conn, text, vec![round.into()]).await?;
    Ok(given.into_iter().map(|one| (one.person_id, one.stars)).collect())
}

/// What was conferred on somebody last: the most stars he has.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct AwardRow {
    /// 1 to 5.
    pub stars: i32,
    /// The day by which hours and points were counted.
    pub as_of: String,
    /// When it was conferred.
    pub conferred_at: DateTime<Utc>,
}

/// The stars of a person.
///
/// # Errors
/// When the database fails.
pub async fn of_person(conn: &impl ConnectionTrait, person: Uuid) -> Result<Option<AwardRow>, StoreError> {
    let text =
        "SELECT stars, as_of, conferred_at FROM star_award WHERE person_id = $1 ORDER BY stars DESC LIMIT 1";
    sql::one(conn, text, vec![person.into()]).await
}

/// An objection against a line.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct StarObjectionRow {
    /// The id.
    pub id: Uuid,
    /// The county.
    pub county: String,
    /// The round.
    pub round_id: Uuid,
    /// The line.
    pub number: i64,
    /// The line's area.
    pub area_code: String,
    /// Whose line.
    pub person_id: Uuid,
    /// Who objects.
    pub objector_id: Uuid,
    /// Why, masked.
    pub reason: String,
    /// When.
    pub made_at: DateTime<Utc>,
    /// `pending`, `upheld` or `dismissed`.
    pub status: String,
    /// Who decided.
    pub decided_by: Option<Uuid>,
    /// When.
    pub decided_at: Option<DateTime<Utc>>,
    /// Why, masked.
    pub decision: Option<String>,
}

const OBJECTION: &str = "id, county, round_id, number, area_code, person_id, objector_id, reason, made_at, status, \
                         decided_by, decided_at, decision";

impl StarObjectionRow {
    /// The line's area.
    ///
    /// # Errors
    /// When the row says something that is none.
    pub fn area(&self) -> Result<AreaCode, StoreError> {
        self.area_code.parse().map_err(unreadable)
    }
}

/// Stores an objection.
///
/// # Errors
/// [`StoreError::Conflict`] when this person has objected to this line before.
pub async fn insert_objection(
    conn: &impl ConnectionTrait,
    made: &StarObjectionRow,
) -> Result<(), StoreError> {
    let mut rows = Rows::new(13);
    rows.push([
        made.id.into(),
        made.county.clone().into(),
        made.round_id.into(),
        made.number.into(),
        made.area_code.clone().into(),
        made.person_id.into(),
        made.objector_id.into(),
        made.reason.clone().into(),
        made.made_at.into(),
        made.status.clone().into(),
        made.decided_by.into(),
        made.decided_at.into(),
        made.decision.clone().into(),
    ]);
    let into = format!("star_objection ({OBJECTION})");
    if rows.insert(conn, &into, "ON CONFLICT DO NOTHING").await? == 1 {
        Ok(())
    } else {
        Err(StoreError::Conflict)
    }
}

/// An objection of the county.
///
/// # Errors
/// When the database fails.
pub async fn find_objection(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    id: Uuid,
) -> Result<Option<StarObjectionRow>, StoreError> {
    let text = format!("SELECT {OBJECTION} FROM star_objection WHERE id = $1 AND county = $2");
    sql::one(conn, &text, vec![id.into(), county.to_string().into()]).await
}

/// Objections that somebody made, that are about him, or that lie in his areas; newest first.
///
/// # Errors
/// When the database fails.
pub async fn objections(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    person: Uuid,
    areas: &[AreaCode],
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<StarObjectionRow>, StoreError> {
    let mut values: Vec<Value> = vec![county.to_string().into(), person.into()];
    let reached = own_or_in("objector_id = $2 OR person_id = $2", areas, &mut values);
    let mut text = format!("SELECT {OBJECTION} FROM star_objection WHERE county = $1 AND {reached}");
    sql::newest_first(&mut text, &mut values, before, limit);
    sql::all(conn, &text, values).await
}

/// Writes the decision of an objection that waits for one.
///
/// # Errors
/// [`StoreError::Conflict`] when it is decided already.
pub async fn decide_objection(
    conn: &impl ConnectionTrait,
    decided: &StarObjectionRow,
) -> Result<(), StoreError> {
    let decision = Decided {
        id: decided.id,
        status: &decided.status,
        by: decided.decided_by,
        at: decided.decided_at,
        why: decided.decision.as_deref(),
    };
    sql::decide_pending(conn, "star_objection", decision).await
}

/// What other objections against the same line came to: whether one waits, and whether one was upheld.
///
/// # Errors
/// When the database fails.
pub async fn other_objections(
    conn: &impl ConnectionTrait,
    objection: &StarObjectionRow,
) -> Result<(bool, bool), StoreError> {
    #[derive(FromQueryResult)]
    struct Row {
        status: String,
    }
    let text = "SELECT status FROM star_objection WHERE round_id = $1 AND number = $2 AND id <> $3";
    let values: Vec<Value> = vec![objection.round_id.into(), objection.number.into(), objection.id.into()];
    let rows: Vec<Row> = sql::all(conn, text, values).await?;
    let any = |status: &str| rows.iter().any(|row| row.status == status);
    Ok((any("pending"), any("upheld")))
}

/// Rounds whose lines are not those that were published, in words.
///
/// # Errors
/// When the database fails.
pub async fn faults(conn: &impl ConnectionTrait, county: AreaCode) -> Result<Vec<String>, StoreError> {
    let text = format!("SELECT {ROUND} FROM star_round WHERE county = $1 ORDER BY id");
    let rounds: Vec<RoundRow> = sql::all(conn, &text, vec![county.to_string().into()]).await?;
    let mut faults = Vec::new();
    for round in rounds {
        let lines = lines(conn, round.id, 0, i64::MAX.unsigned_abs()).await?;
        if hash(&round, &lines)? != round.list_hash {
            faults.push(format!("round of stars {}: its list is not what was published", round.id));
        }
    }
    Ok(faults)
}
