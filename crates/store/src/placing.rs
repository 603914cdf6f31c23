//! Writing new orders that arrived together: one commit for all of them.
//!
//! PostgreSQL gets one statement with an array a column. Its text is the same for two orders and for 256, so that it is
//! prepared once a connection, and it is a transaction by itself: one round trip. An order that comes alone gets a
//! statement of plain values, because arrays cost more than its rows do. SQLite gets a statement a table in a
//! transaction. An order whose idempotency key is taken is left out, so that one duplicate never fails its neighbours.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sea_orm::ConnectionTrait;
use sqlx::Row as _;
use uuid::Uuid;

use crate::idempotency::Answer;
use crate::lanes::{Bound, Lanes};
use crate::orders::{Change, StoredOrder};
use crate::sql::{Rows, Together};
use crate::writing::{self, Part};
use crate::{Store, StoreError, due, idempotency, media, transact, unreadable};

/// Writes new orders in one transaction and answers the places of those whose key was taken.
///
/// # Errors
/// When the database fails; then nothing is written.
pub async fn place_all(store: &Store, changes: Vec<Change>) -> Result<Vec<usize>, StoreError> {
    if let Some(lanes) = store.lanes() {
        return match changes.as_slice() {
            [Change { answer: Some(answer), .. }] => place_alone(lanes, &changes[0], answer).await,
            _ => place_together(lanes, changes).await,
        };
    }
    transact(store, move |conn| Box::pin(async move { place_one_by_one(conn, &changes).await })).await
}

/// Writes one new order, with its decision, inside a transaction.
pub(crate) async fn place(conn: &impl ConnectionTrait, change: &Change) -> Result<(), StoreError> {
    if !place_one_by_one(conn, std::slice::from_ref(change)).await?.is_empty() {
        return Err(StoreError::Twin);
    }
    let decision = writing::decisions([change]);
    decision.rows.insert(conn, decision.into, decision.tail).await?;
    Ok(())
}

/// Writes a new order with its photos, apart from the others: whether the photos can be had is known only then. Answers
/// whether it was written; its key may be taken.
///
/// # Errors
/// [`StoreError::MediaTaken`], or when the database fails; then nothing is written.
pub async fn place_with_media(store: &Store, change: Change) -> Result<bool, StoreError> {
    transact(store, move |conn| {
        Box::pin(async move {
            let changes = std::slice::from_ref(&change);
            if !place_one_by_one(conn, changes).await?.is_empty() {
                return Ok(false);
            }
            if let Some(attachment) = &change.media {
                let order = &change.after.order;
                media::attach(conn, order.county(), order.id, attachment).await?;
            }
            Ok(true)
        })
    })
    .await
}

async fn place_one_by_one(conn: &impl ConnectionTrait, changes: &[Change]) -> Result<Vec<usize>, StoreError> {
    let taken = idempotency::insert_all(conn, changes.iter().map(|change| change.answer.as_ref())).await?;
    let fresh = || changes.iter().enumerate().filter(|(n, _)| !taken.contains(n)).map(|(_, change)| change);
    for part in parts(fresh)? {
        part.rows.insert(conn, part.into, part.tail).await?;
    }
    Ok(taken)
}

/// The rows of new orders, without the answers under their keys.
fn parts<'a, I: Iterator<Item = &'a Change>>(fresh: impl Fn() -> I) -> Result<[Part; 4], StoreError> {
    let (mut orders, mut next) = (Rows::new(16), Rows::new(9));
    for change in fresh() {
        orders.push(order_values(&change.after)?);
        if let Some(row) = due::row(&change.after.order) {
            next.push(row);
        }
    }
    Ok([
        Part { rows: orders, into: ORDERS, tail: "" },
        writing::events(fresh())?,
        writing::notifications(fresh()),
        Part { rows: next, into: due::INTO, tail: "" },
    ])
}

const ORDERS: &str = "orders (id, county, number, requester_id, placed_by, area_code, category, placed_at, wished_from, \
    wished_to, status, version, epoch, snapshot, description, private)";

fn order_values(stored: &StoredOrder) -> Result<[sea_orm::Value; 16], StoreError> {
    let order = &stored.order;
    Ok([
        order.id.into(),
        order.county().to_string().into(),
        stored.number.into(),
        order.placed.requester.into(),
        order.placed.placed_by.into(),
        order.placed.area.to_string().into(),
        order.placed.category.clone().into(),
        order.placed_at.into(),
        stored.wished_from.into(),
        stored.wished_to.into(),
        order.status().as_str().into(),
        order.version.into(),
        order.epoch.into(),
        serde_json::to_string(order).map_err(unreadable)?.into(),
        stored.description.clone().into(),
        stored.private.clone().into(),
    ])
}

/// Keys first; what follows is for the orders whose key was free, or who have none.
const TOGETHER: &str = "WITH kept AS (INSERT INTO idempotency (key, county, fingerprint, status, body, resource_id, \
    created_at) SELECT * FROM unnest($1::bytea[], $2::text[], $3::bytea[], $4::int4[], $5::bytea[], $6::uuid[], \
    $7::timestamptz[]) ON CONFLICT DO NOTHING RETURNING resource_id), \
    fresh AS (SELECT resource_id AS id FROM kept UNION ALL SELECT unnest($8::uuid[])), \
    placed AS (INSERT INTO orders (id, county, number, requester_id, placed_by, area_code, category, placed_at, \
    wished_from, wished_to, status, version, epoch, snapshot, description, private) SELECT o.* FROM unnest($9::uuid[], \
    $10::text[], $11::int8[], $12::uuid[], $13::uuid[], $14::text[], $15::text[], $16::timestamptz[], \
    $17::timestamptz[], $18::timestamptz[], $19::text[], $20::int8[], $21::int8[], $22::text[], $23::text[], \
    $24::bytea[]) AS o (id) WHERE o.id IN (SELECT id FROM fresh)), \
    told AS (INSERT INTO order_event (order_id, seq, county, at, record) SELECT e.* FROM unnest($25::uuid[], $26::int8[], \
    $27::text[], $28::timestamptz[], $29::text[]) AS e (order_id) WHERE e.order_id IN (SELECT id FROM fresh)), \
    next AS (INSERT INTO due (order_id, county, area_code, kind, wake_at, epoch, team_id, volunteer_id, failures) \
    SELECT d.*, 0 FROM unnest($30::uuid[], $31::text[], $32::text[], $33::text[], $34::timestamptz[], $35::int8[], \
    $36::uuid[], $37::uuid[]) AS d (order_id) WHERE d.order_id IN (SELECT id FROM fresh)), \
    notices AS (INSERT INTO notification (order_id, seq, audience, county, topic, data, created_at) SELECT n.* FROM \
    unnest($38::uuid[], $39::int8[], $40::text[], $41::text[], $42::text[], $43::text[], $44::timestamptz[]) \
    AS n (order_id) WHERE n.order_id IN (SELECT id FROM fresh) ON CONFLICT DO NOTHING) SELECT id FROM fresh";

/// The same for one order, whose key is the guard of its rows.
async fn place_alone(lanes: &Lanes, change: &Change, answer: &Answer) -> Result<Vec<usize>, StoreError> {
    let mut together = Together::guarded_by_row(idempotency::rows(Some(answer)), idempotency::INTO);
    for part in parts(|| std::iter::once(change))? {
        together.insert(part.rows, part.into, part.tail);
    }
    Ok(if together.run(lanes).await? { Vec::new() } else { vec![0] })
}

async fn place_together(lanes: &Lanes, changes: Vec<Change>) -> Result<Vec<usize>, StoreError> {
    let query = bind_all(&changes)?;
    let fresh: HashSet<Uuid> = lanes.fetch_all(query).await?.iter().map(|row| row.get(0)).collect();
    let taken = |change: &Change| !fresh.contains(&change.after.order.id);
    Ok(changes.iter().enumerate().filter(|(_, change)| taken(change)).map(|(n, _)| n).collect())
}

pub(crate) fn texts<'a, T: serde::Serialize + 'a>(
    all: impl Iterator<Item = &'a T>,
) -> Result<Vec<String>, StoreError> {
    all.map(|one| serde_json::to_string(one).map_err(unreadable)).collect()
}

fn bind_all(changes: &[Change]) -> Result<Bound, StoreError> {
    let snapshots = texts(changes.iter().map(|change| &change.after.order))?;
    let records = texts(changes.iter().flat_map(|change| &change.records))?;
    // By key, so that two batches with the same keys never wait for each other in a circle.
    let mut answers: Vec<&Answer> = changes.iter().filter_map(|change| change.answer.as_ref()).collect();
    answers.sort_by(|one, other| one.key.cmp(&other.key));
    let keyless = changes.iter().filter(|change| change.answer.is_none());
    let query = sqlx::query(TOGETHER)
        .bind(answers.iter().map(|answer| answer.key.as_slice()).collect::<Vec<_>>())
        .bind(answers.iter().map(|answer| answer.county.to_string()).collect::<Vec<_>>())
        .bind(answers.iter().map(|answer| answer.fingerprint.as_slice()).collect::<Vec<_>>())
        .bind(answers.iter().map(|answer| i32::from(answer.status)).collect::<Vec<_>>())
        .bind(answers.iter().map(|answer| answer.body.as_slice()).collect::<Vec<_>>())
        .bind(answers.iter().map(|answer| answer.resource).collect::<Vec<_>>())
        .bind(answers.iter().map(|answer| answer.created_at).collect::<Vec<_>>())
        .bind(keyless.map(|change| change.after.order.id).collect::<Vec<_>>());
    let query = bind_orders(query, changes, snapshots);
    let query = bind_events(query, changes, records);
    let query = bind_due(query, changes);
    Ok(bind_notices(query, changes))
}

fn bind_orders(query: Bound, changes: &[Change], snapshots: Vec<String>) -> Bound {
    let all = || changes.iter().map(|change| &change.after);
    query
        .bind(all().map(|stored| stored.order.id).collect::<Vec<_>>())
        .bind(all().map(|stored| stored.order.county().to_string()).collect::<Vec<_>>())
        .bind(all().map(|stored| stored.number).collect::<Vec<_>>())
        .bind(all().map(|stored| stored.order.placed.requester).collect::<Vec<_>>())
        .bind(all().map(|stored| stored.order.placed.placed_by).collect::<Vec<_>>())
        .bind(all().map(|stored| stored.order.placed.area.to_string()).collect::<Vec<_>>())
        .bind(all().map(|stored| stored.order.placed.category.as_str()).collect::<Vec<_>>())
        .bind(all().map(|stored| stored.order.placed_at).collect::<Vec<_>>())
        .bind(all().map(|stored| stored.wished_from).collect::<Vec<_>>())
        .bind(all().map(|stored| stored.wished_to).collect::<Vec<_>>())
        .bind(all().map(|stored| stored.order.status().as_str()).collect::<Vec<_>>())
        .bind(all().map(|stored| stored.order.version).collect::<Vec<_>>())
        .bind(all().map(|stored| stored.order.epoch).collect::<Vec<_>>())
        .bind(snapshots)
        .bind(all().map(|stored| stored.description.as_str()).collect::<Vec<_>>())
        .bind(all().map(|stored| stored.private.as_slice()).collect::<Vec<_>>())
}

pub(crate) fn bind_events(query: Bound, changes: &[Change], records: Vec<String>) -> Bound {
    let all = || {
        changes.iter().flat_map(|change| {
            (change.before_version + 1..).zip(&change.records).map(move |(seq, record)| (change, seq, record))
        })
    };
    query
        .bind(all().map(|(change, ..)| change.after.order.id).collect::<Vec<_>>())
        .bind(all().map(|(_, seq, _)| seq).collect::<Vec<_>>())
        .bind(all().map(|(change, ..)| change.after.order.county().to_string()).collect::<Vec<_>>())
        .bind(all().map(|(_, _, record)| record.at).collect::<Vec<_>>())
        .bind(records)
}

pub(crate) fn bind_due(query: Bound, changes: &[Change]) -> Bound {
    let all: Vec<_> = changes
        .iter()
        .filter_map(|change| Some((&change.after.order, due::Next::of(&change.after.order)?)))
        .collect();
    let wakes: Vec<Option<DateTime<Utc>>> = all.iter().map(|(_, next)| next.wake_at).collect();
    query
        .bind(all.iter().map(|(order, _)| order.id).collect::<Vec<_>>())
        .bind(all.iter().map(|(order, _)| order.county().to_string()).collect::<Vec<_>>())
        .bind(all.iter().map(|(order, _)| order.placed.area.to_string()).collect::<Vec<_>>())
        .bind(all.iter().map(|(_, next)| next.kind).collect::<Vec<_>>())
        .bind(wakes)
        .bind(all.iter().map(|(order, _)| order.epoch).collect::<Vec<_>>())
        .bind(all.iter().map(|(_, next)| next.team).collect::<Vec<_>>())
        .bind(all.iter().map(|(_, next)| next.volunteer).collect::<Vec<_>>())
}

pub(crate) fn bind_notices(query: Bound, changes: &[Change]) -> Bound {
    let all = || {
        changes.iter().flat_map(|change| {
            let at = change.records.last().map(|record| record.at);
            change.notifications.iter().filter_map(move |told| Some((&change.after.order, told, at?)))
        })
    };
    query
        .bind(all().map(|(order, ..)| order.id).collect::<Vec<_>>())
        .bind(all().map(|(order, ..)| order.version).collect::<Vec<_>>())
        .bind(all().map(|(_, told, _)| told.audience.as_str()).collect::<Vec<_>>())
        .bind(all().map(|(order, ..)| order.county().to_string()).collect::<Vec<_>>())
        .bind(all().map(|(_, told, _)| told.topic).collect::<Vec<_>>())
        .bind(all().map(|(_, told, _)| told.data.as_str()).collect::<Vec<_>>())
        .bind(all().map(|(_, _, at)| at).collect::<Vec<_>>())
}
