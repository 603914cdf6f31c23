//! What people served, and where they stand: what stars, certificates and the volunteer record are made of.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::order::Order;
use xingfuma_domain::service::{Service, service_of};

use crate::scope::area_condition;
use crate::{StoreError, sql, unreadable};

/// Services that these people did in orders from `from` to before `to`, by person and time, each with its order's
/// number. Completions that stand now count: what was reopened counts again when it is done again.
///
/// # Errors
/// When the database fails or a row cannot be read.
pub async fn of_orders(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    people: &[Uuid],
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<(Service, i64)>, StoreError> {
    #[derive(FromQueryResult)]
    struct Row {
        person_id: Uuid,
        number: i64,
        snapshot: String,
    }
    if people.is_empty() {
        return Ok(Vec::new());
    }
    // Whoever completed before `to` had accepted before it.
    let mut values: Vec<Value> = vec![county.to_string().into(), to.into()];
    values.extend(people.iter().map(|id| Value::from(*id)));
    let text = format!(
        "SELECT g.person_id, o.number, o.snapshot FROM (SELECT DISTINCT person_id, order_id FROM engagement \
         WHERE county = $1 AND accepted_at < $2 AND person_id IN ({})) g JOIN orders o ON o.id = g.order_id \
         WHERE o.status IN ('completed', 'rated', 'closed')",
        sql::list(3, people.len())
    );
    let rows: Vec<Row> = sql::all(conn, &text, values).await?;
    let mut services = Vec::with_capacity(rows.len());
    for row in rows {
        let order: Order = serde_json::from_str(&row.snapshot).map_err(unreadable)?;
        let service = service_of(&order, row.person_id).filter(|done| done.at >= from && done.at < to);
        services.extend(service.map(|service| (service, row.number)));
    }
    services.sort_by_key(|(service, number)| (service.person, service.at, *number));
    Ok(services)
}

/// Assessment points of these people as of a moment: what was booked before it.
///
/// # Errors
/// When the database fails.
pub async fn points_before(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    people: &[Uuid],
    before: DateTime<Utc>,
) -> Result<Vec<(Uuid, i64)>, StoreError> {
    #[derive(FromQueryResult)]
    struct Row {
        owner_id: Uuid,
        points: i64,
    }
    if people.is_empty() {
        return Ok(Vec::new());
    }
    let mut values: Vec<Value> = vec![county.to_string().into(), before.into()];
    values.extend(people.iter().map(|id| Value::from(*id)));
    let text = format!(
        "SELECT e.owner_id, CAST(sum(e.points) AS bigint) AS points FROM score_entry e \
         JOIN score_transaction t ON t.id = e.transaction_id \
         WHERE e.county = $1 AND e.kind = 'person' AND e.purse = 'assessment' AND t.at < $2 \
         AND e.owner_id IN ({}) GROUP BY e.owner_id",
        sql::list(3, people.len())
    );
    let rows: Vec<Row> = sql::all(conn, &text, values).await?;
    Ok(rows.into_iter().map(|row| (row.owner_id, row.points)).collect())
}

/// A volunteer, as far as lists need him.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct VolunteerRow {
    /// Who.
    pub person_id: Uuid,
    /// His grid.
    pub grid_code: String,
    /// His team.
    pub team_id: Uuid,
    /// `active` or another word.
    pub status: String,
    /// When he registered.
    pub registered_at: DateTime<Utc>,
    /// His badge in force.
    pub badge: Option<String>,
    /// The stars that were conferred on him.
    pub stars: Option<i32>,
}

const VOLUNTEER: &str = "v.person_id, v.grid_code, v.team_id, v.status, v.registered_at, \
    (SELECT max(b.number) FROM badge b WHERE b.person_id = v.person_id AND b.status = 'active') AS badge, \
    (SELECT max(a.stars) FROM star_award a WHERE a.person_id = v.person_id) AS stars";

/// Volunteers of an area by id, behind `after`; only active ones unless `all`.
///
/// # Errors
/// When the database fails.
pub async fn volunteers(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    area: AreaCode,
    all: bool,
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<VolunteerRow>, StoreError> {
    let mut values: Vec<Value> = vec![county.to_string().into(), after.unwrap_or(Uuid::nil()).into()];
    let within = area_condition("v.grid_code", area, &mut values);
    let active = if all { "" } else { "AND v.status = 'active'" };
    let text = format!(
        "SELECT {VOLUNTEER} FROM volunteer v WHERE v.county = $1 AND v.person_id > $2 AND {within} {active} \
         ORDER BY v.person_id LIMIT {limit}"
    );
    sql::all(conn, &text, values).await
}

/// One volunteer, active or not.
///
/// # Errors
/// When the database fails.
pub async fn volunteer(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    person: Uuid,
) -> Result<Option<VolunteerRow>, StoreError> {
    let text = format!("SELECT {VOLUNTEER} FROM volunteer v WHERE v.county = $1 AND v.person_id = $2");
    sql::one(conn, &text, vec![county.to_string().into(), person.into()]).await
}
