//! Boards (排行): the lines of a published list, added up by team or by area, or one by one for those persons who have
//! agreed to be named. Ranks are counted among all, so that who is left out does not lift those behind him.

use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::{AreaCode, Level};
use xingfuma_domain::consent::ConsentKind;
use xingfuma_domain::scoring::YearMonth;

use crate::StoreError;
use crate::sql;

/// What lines are added up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The team.
    Team,
    /// The area of this level.
    Area(Level),
}

/// A line of a board.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct BoardRow {
    /// The team; none on boards of areas.
    pub team_id: Option<Uuid>,
    /// The area; none on the board of teams.
    pub area_code: Option<String>,
    /// People with points in that month.
    pub people: i64,
    /// Their points.
    pub points: i64,
    /// Of these, points that were typed in by hand (手工录入).
    pub hand_made: i64,
}

/// Points of a line that were typed in by hand.
const HAND_MADE: &str = "coalesce((SELECT sum(c.points) FROM score_period_entry c JOIN score_transaction t \
    ON t.id = c.transaction_id WHERE c.person_id = score_period_line.person_id AND c.month = score_period_line.month \
    AND t.source_type = 'claim'), 0)";

/// The board of a month: most points first, at most `limit`. Lines that are paused or carried do not count; what was
/// corrected does.
///
/// # Errors
/// When the database fails.
pub async fn board(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    month: YearMonth,
    by: By,
    limit: u64,
) -> Result<Vec<BoardRow>, StoreError> {
    let (columns, group, belongs) = match by {
        By::Team => (
            "team_id, CAST(NULL AS text) AS area_code".to_owned(),
            "team_id".to_owned(),
            "team_id IS NOT NULL".to_owned(),
        ),
        By::Area(level) => {
            let digits = level.digits();
            (
                format!(
                    "CAST(NULL AS {}) AS team_id, substr(area_code, 1, {digits}) AS area_code",
                    id_type(conn)
                ),
                format!("substr(area_code, 1, {digits})"),
                format!("length(area_code) >= {digits}"),
            )
        }
    };
    let text = format!(
        "SELECT {columns}, count(*) AS people, CAST(sum(points + corrected) AS bigint) AS points, \
         CAST(sum({HAND_MADE}) AS bigint) AS hand_made \
         FROM score_period_line WHERE county = $1 AND month = $2 AND status IN ('standing', 'contested') AND {belongs} \
         GROUP BY {group} ORDER BY points DESC, {group} LIMIT {limit}"
    );
    let values: Vec<Value> = vec![county.to_string().into(), month.to_string().into()];
    sql::all(conn, &text, values).await
}

/// A person on a board.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct PersonRow {
    /// Who.
    pub person_id: Uuid,
    /// One more than there are people with more points; equal points share a rank.
    pub rank: i64,
    /// Points.
    pub points: i64,
    /// Of these, points that were typed in by hand (手工录入).
    pub hand_made: i64,
    /// His team then.
    pub team_id: Option<Uuid>,
    /// His data key, wrapped; none once he is erased.
    pub data_key: Option<Vec<u8>>,
    /// His name, sealed.
    pub private: Option<Vec<u8>>,
}

/// Everybody's rank in a month: lines that count, as corrected.
const RANKED: &str = "SELECT person_id, team_id, points + corrected AS points, \
    rank() OVER (ORDER BY points + corrected DESC) AS rank FROM score_period_line \
    WHERE county = $1 AND month = $2 AND status IN ('standing', 'contested')";

/// The persons of a month who agree now that their names stand in rankings, most points first, at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn persons(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    month: YearMonth,
    limit: u64,
) -> Result<Vec<PersonRow>, StoreError> {
    let agreed = crate::consents::in_force("r.person_id", ConsentKind::RankingByName);
    let text = format!(
        "SELECT r.person_id, r.rank, r.points, r.team_id, p.data_key, p.private, (SELECT CAST({HAND_MADE} AS bigint) \
         FROM score_period_line WHERE county = $1 AND month = $2 AND person_id = r.person_id) AS hand_made \
         FROM ({RANKED}) r JOIN person p ON p.id = r.person_id AND p.erased_at IS NULL \
         WHERE {agreed} ORDER BY r.rank, r.person_id LIMIT {limit}"
    );
    sql::all(conn, &text, vec![county.to_string().into(), month.to_string().into()]).await
}

/// Where one person stands in a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromQueryResult)]
pub struct OwnRank {
    /// One more than there are people with more points.
    pub rank: i64,
    /// Points.
    pub points: i64,
    /// How many people have a line that counts.
    pub people: i64,
}

/// The rank of a person; none where he has no line that counts.
///
/// # Errors
/// When the database fails.
pub async fn own_rank(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    month: YearMonth,
    person: Uuid,
) -> Result<Option<OwnRank>, StoreError> {
    let text = format!(
        "SELECT rank, points, people FROM (SELECT r.*, count(*) OVER () AS people FROM ({RANKED}) r) q \
         WHERE person_id = $3"
    );
    sql::one(conn, &text, vec![county.to_string().into(), month.to_string().into(), person.into()]).await
}

fn id_type(conn: &impl ConnectionTrait) -> &'static str {
    if conn.get_database_backend() == sea_orm::DatabaseBackend::Postgres { "uuid" } else { "blob" }
}
