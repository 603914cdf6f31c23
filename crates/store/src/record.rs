//! What the volunteer record takes from tables of their own; people and services come from [`crate::services`].

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;

use crate::scope::area_condition;
use crate::{StoreError, sql};

/// Something that somebody was awarded.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct AwardedRow {
    /// To whom.
    pub person_id: Uuid,
    /// His badge in force.
    pub badge: Option<String>,
    /// The rule of a bonus; none for stars.
    pub rule_code: Option<String>,
    /// The version of that rule.
    pub rule_version: Option<i32>,
    /// Stars; none for a bonus.
    pub stars: Option<i32>,
    /// Points of a bonus; none for stars.
    pub points: Option<i64>,
    /// What a bonus came from: `claim` is typed in by hand.
    pub source_type: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

const BADGE: &str =
    "(SELECT max(b.number) FROM badge b WHERE b.person_id = v.person_id AND b.status = 'active') AS badge";

/// Stars and awards of rules whose code begins with `B` of these people, from `from` to before `to`, by person and time;
/// what was reversed or lost is left out.
///
/// # Errors
/// When the database fails.
pub async fn awarded(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    area: AreaCode,
    people: (Uuid, Uuid),
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<AwardedRow>, StoreError> {
    let mut values: Vec<Value> =
        vec![county.to_string().into(), people.0.into(), people.1.into(), from.into(), to.into()];
    let within = area_condition("v.grid_code", area, &mut values);
    let stars = format!(
        "SELECT v.person_id, {BADGE}, NULL AS rule_code, NULL AS rule_version, a.stars, NULL AS points, \
         NULL AS source_type, a.conferred_at AS at FROM volunteer v JOIN star_award a ON a.person_id = v.person_id \
         WHERE v.county = $1 AND v.person_id >= $2 AND v.person_id <= $3 AND a.conferred_at >= $4 \
         AND a.conferred_at < $5 AND {within} ORDER BY v.person_id, a.conferred_at"
    );
    let bonuses = format!(
        "SELECT v.person_id, {BADGE}, t.rule_code, t.rule_version, NULL AS stars, e.points, t.source_type, t.at \
         FROM volunteer v JOIN score_entry e ON e.owner_id = v.person_id AND e.kind = 'person' \
         AND e.purse = 'assessment' JOIN score_transaction t ON t.id = e.transaction_id \
         WHERE v.county = $1 AND v.person_id >= $2 AND v.person_id <= $3 AND t.at >= $4 AND t.at < $5 \
         AND t.rule_code LIKE 'B%' AND t.reverses IS NULL AND NOT EXISTS (SELECT 1 FROM score_transaction r \
         WHERE r.reverses = t.id AND r.cause IN ('reversal', 'void')) AND {within} ORDER BY v.person_id, t.at"
    );
    let mut rows: Vec<AwardedRow> = sql::all(conn, &typed(conn, &stars), values.clone()).await?;
    rows.extend(sql::all::<AwardedRow>(conn, &typed(conn, &bonuses), values).await?);
    rows.sort_by_key(|row| (row.person_id, row.at));
    Ok(rows)
}

/// PostgreSQL wants to know what a column is that is always empty.
fn typed(conn: &impl ConnectionTrait, text: &str) -> String {
    if conn.get_database_backend() != sea_orm::DatabaseBackend::Postgres {
        return text.to_owned();
    }
    let types = [
        ("rule_code", "text"),
        ("rule_version", "int4"),
        ("stars", "int4"),
        ("points", "int8"),
        ("source_type", "text"),
    ];
    types.iter().fold(text.to_owned(), |text, (column, of)| {
        text.replace(&format!("NULL AS {column}"), &format!("NULL::{of} AS {column}"))
    })
}

/// How many active people a team has.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct TeamSize {
    /// The team.
    pub team_id: Uuid,
    /// Its active volunteers.
    pub people: i64,
}

/// Teams with active volunteers in an area.
///
/// # Errors
/// When the database fails.
pub async fn team_sizes(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    area: AreaCode,
) -> Result<Vec<TeamSize>, StoreError> {
    let mut values: Vec<Value> = vec![county.to_string().into()];
    let within = area_condition("grid_code", area, &mut values);
    let text = format!(
        "SELECT team_id, count(*) AS people FROM volunteer WHERE county = $1 AND status = 'active' AND {within} \
         GROUP BY team_id ORDER BY team_id"
    );
    sql::all(conn, &text, values).await
}
