//! What people served, from every source there is: the one place that hours, stars, certificates and the volunteer
//! record are counted from. Orders are the only source yet; another one is added here and in
//! `xingfuma_domain::service::ServiceSource`.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::service::{Service, minutes_of};
use xingfuma_store::{ConnectionTrait, StoreError, services};

/// People whose services are read at once.
pub const PIECE: u64 = 200;

/// What these people served from `from` to before `to`, by person and time, each with the number that people know it by.
///
/// # Errors
/// When the database fails.
pub async fn services_of(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    people: &[Uuid],
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<(Service, i64)>, StoreError> {
    services::of_orders(conn, county, people, from, to).await
}

/// Minutes and assessment points of people as of a moment.
///
/// # Errors
/// When the database fails.
pub(crate) async fn reached_before(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    people: &[Uuid],
    before: DateTime<Utc>,
) -> Result<HashMap<Uuid, (i64, i64)>, StoreError> {
    let mut reached: HashMap<Uuid, (i64, i64)> = HashMap::with_capacity(people.len());
    for (service, _) in services_of(conn, county, people, DateTime::UNIX_EPOCH, before).await? {
        let minutes = &mut reached.entry(service.person).or_default().0;
        *minutes = minutes.saturating_add(minutes_of([&service]));
    }
    for (person, points) in services::points_before(conn, county, people, before).await? {
        reached.entry(person).or_default().1 = points;
    }
    Ok(reached)
}
