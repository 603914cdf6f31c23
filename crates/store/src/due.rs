//! What is due next: one row per order that can still change. Outbox, timer and the list of open work in one.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::order::Order;

use crate::scope::area_condition;
use crate::sql;
use crate::{Store, StoreError};

/// A row that is due now and is ours until the lease ends.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Leased {
    /// The order.
    pub order_id: Uuid,
    /// What is due (`xingfuma_domain::order::DueKind`).
    pub kind: String,
    /// The epoch it belongs to.
    pub epoch: i64,
    /// How often it failed before.
    pub failures: i32,
}

/// What is due next of an order, as its row says it.
pub(crate) struct Next {
    pub(crate) kind: &'static str,
    pub(crate) wake_at: Option<DateTime<Utc>>,
    pub(crate) team: Option<Uuid>,
    pub(crate) volunteer: Option<Uuid>,
}

impl Next {
    /// None when nothing can become of the order any more.
    pub(crate) fn of(order: &Order) -> Option<Next> {
        let due = order.next_due()?;
        let held = order.assignment().filter(|_| order.status().is_open());
        Some(Next {
            kind: due.kind.as_str(),
            wake_at: due.wake_at,
            team: held.map(|held| held.team),
            volunteer: held.and_then(|held| held.volunteer),
        })
    }
}

/// The columns of a row, as [`row`] fills them.
pub(crate) const INTO: &str =
    "due (order_id, county, area_code, kind, wake_at, epoch, team_id, volunteer_id, failures)";
/// What becomes of a row that is there.
pub(crate) const FOLLOW: &str = "ON CONFLICT (order_id) DO UPDATE SET kind = excluded.kind, wake_at = excluded.wake_at, \
     epoch = excluded.epoch, team_id = excluded.team_id, volunteer_id = excluded.volunteer_id, \
     leased_until = NULL, failures = 0, dead = NULL";
/// The row goes when nothing is due any more.
pub(crate) const END: &str = "DELETE FROM due WHERE order_id = $1";

/// The order's row; none when nothing can become of it any more.
pub(crate) fn row(order: &Order) -> Option<[Value; 9]> {
    let next = Next::of(order)?;
    Some([
        order.id.into(),
        order.county().to_string().into(),
        order.placed.area.to_string().into(),
        next.kind.into(),
        next.wake_at.into(),
        order.epoch.into(),
        next.team.into(),
        next.volunteer.into(),
        0.into(),
    ])
}

/// Leases up to `limit` rows that are due, oldest first. Several processes never lease the same row at once; a lease
/// that its holder does not live to use ends by itself. Orders that wait to be dispatched are left alone where they fall
/// due after `hinted_after`: the queue has not come to their hints yet; `limit` then holds for them and for all others, each.
///
/// # Errors
/// When the database fails.
pub async fn lease(
    store: &Store,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
    hinted_after: Option<DateTime<Utc>>,
    limit: u64,
) -> Result<Vec<Leased>, StoreError> {
    // Two walks instead of one: each finds its rows side by side in an index, however many are left alone.
    let walk = |kinds, wakes_by| (lease_text(store, kinds, limit), wakes_by);
    let walks = match hinted_after {
        None => vec![walk("", now)],
        Some(hinted_after) => {
            vec![walk(BUT_DISPATCH, now), walk(" AND kind = 'dispatch'", hinted_after.min(now))]
        }
    };
    crate::transact(store, move |conn| {
        Box::pin(async move {
            let mut leased: Vec<Leased> = Vec::new();
            for (text, wakes_by) in walks {
                let values = vec![now.into(), until.into(), wakes_by.into()];
                leased.extend(sql::all::<Leased>(conn, &text, values).await?);
            }
            Ok(leased)
        })
    })
    .await
}

/// Rows of which the queue knows nothing; an index holds just these.
const BUT_DISPATCH: &str = " AND kind <> 'dispatch'";

fn lease_text(store: &Store, kinds: &str, limit: u64) -> String {
    let choice = format!(
        "SELECT order_id FROM due WHERE wake_at <= $3 AND dead IS NULL \
         AND (leased_until IS NULL OR leased_until <= $1){kinds} ORDER BY wake_at LIMIT {limit}"
    );
    let next = sql::next_free(store, &choice, "due");
    format!(
        "{next} UPDATE due SET leased_until = $2 WHERE order_id IN (SELECT order_id FROM next) \
         RETURNING order_id, kind, epoch, failures"
    )
}

/// Gives leases back before they end, so that what could not be done now is done as soon as it can be.
///
/// # Errors
/// When the database fails; the leases end by themselves then.
pub async fn give_back(store: &Store, orders: &[Uuid]) -> Result<(), StoreError> {
    if orders.is_empty() {
        return Ok(());
    }
    let text = format!(
        "UPDATE due SET leased_until = NULL WHERE leased_until IS NOT NULL AND order_id IN ({})",
        sql::list(1, orders.len())
    );
    let values: Vec<Value> = orders.iter().map(|order| Value::from(*order)).collect();
    crate::transact(store, move |conn| {
        Box::pin(async move { sql::run(conn, &text, values).await.map(|_| ()) })
    })
    .await
}

/// When the next row is due, if any; `but_dispatch` leaves out orders that wait to be dispatched.
///
/// # Errors
/// When the database fails.
pub async fn next_wake(
    conn: &impl ConnectionTrait,
    but_dispatch: bool,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    #[derive(FromQueryResult)]
    struct Next {
        wake_at: Option<DateTime<Utc>>,
    }
    let kinds = if but_dispatch { BUT_DISPATCH } else { "" };
    let text = format!(
        "SELECT wake_at FROM due WHERE wake_at IS NOT NULL AND dead IS NULL{kinds} ORDER BY wake_at LIMIT 1"
    );
    Ok(sql::one::<Next>(conn, &text, Vec::new()).await?.and_then(|next| next.wake_at))
}

/// Notes that handling failed; after `at_most` failures the row is marked dead, which the board shows and the sweep
/// leaves alone. Answers whether it is dead now.
///
/// # Errors
/// When the database fails.
pub async fn fail(
    store: &Store,
    order: Uuid,
    reason: &str,
    at_most: i32,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    #[derive(FromQueryResult)]
    struct Mark {
        dead: Option<String>,
    }
    let values = vec![order.into(), at_most.into(), reason.to_owned().into(), now.into()];
    let mark: Option<Mark> = crate::transact(store, move |conn| {
        Box::pin(async move {
            let text = "UPDATE due SET failures = failures + 1, \
                        dead = CASE WHEN failures + 1 >= $2 THEN $3 ELSE dead END, \
                        dead_at = CASE WHEN failures + 1 >= $2 THEN $4 ELSE dead_at END \
                        WHERE order_id = $1 RETURNING dead";
            sql::one(conn, text, values).await
        })
    })
    .await?;
    Ok(mark.is_some_and(|mark| mark.dead.is_some()))
}

/// An order that was set aside because handling it failed again and again. Told without reading the order, which may be
/// what cannot be done.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct DeadRow {
    /// The order.
    pub order_id: Uuid,
    /// Its number.
    pub number: i64,
    /// Where it is.
    pub area_code: String,
    /// What was due.
    pub kind: String,
    /// The epoch it belongs to.
    pub epoch: i64,
    /// How often it failed.
    pub failures: i32,
    /// The last failure, in words.
    pub reason: String,
    /// When it was set aside.
    pub dead_at: Option<DateTime<Utc>>,
}

/// Orders of these areas that were set aside, oldest first, after `after`.
///
/// # Errors
/// When the database fails.
pub async fn dead(
    conn: &impl ConnectionTrait,
    areas: &[AreaCode],
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<DeadRow>, StoreError> {
    let mut values: Vec<Value> = Vec::new();
    let Some(any) = any_of("d.area_code", areas, &mut values) else { return Ok(Vec::new()) };
    let mut text = format!(
        "SELECT d.order_id, o.number, d.area_code, d.kind, d.epoch, d.failures, d.dead AS reason, d.dead_at \
         FROM due d JOIN orders o ON o.id = d.order_id WHERE d.dead IS NOT NULL AND ({any})"
    );
    if let Some(after) = after {
        values.push(after.into());
        text.push_str(&format!(" AND d.order_id > ${}", values.len()));
    }
    text.push_str(&format!(" ORDER BY d.order_id LIMIT {limit}"));
    sql::all(conn, &text, values).await
}

/// Gives an order that was set aside back to the sweep, at once and with a clean slate. Answers its epoch; none when it
/// is not among those of these areas.
///
/// # Errors
/// When the database fails.
pub async fn revive(
    conn: &impl ConnectionTrait,
    areas: &[AreaCode],
    order: Uuid,
) -> Result<Option<i64>, StoreError> {
    #[derive(FromQueryResult)]
    struct Revived {
        epoch: i64,
    }
    let mut values: Vec<Value> = vec![order.into()];
    let Some(any) = any_of("area_code", areas, &mut values) else { return Ok(None) };
    let text = format!(
        "UPDATE due SET dead = NULL, dead_at = NULL, failures = 0, leased_until = NULL \
         WHERE order_id = $1 AND dead IS NOT NULL AND ({any}) RETURNING epoch"
    );
    Ok(sql::one::<Revived>(conn, &text, values).await?.map(|row| row.epoch))
}

/// Which of these orders are set aside.
///
/// # Errors
/// When the database fails.
pub async fn dead_among(conn: &impl ConnectionTrait, orders: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
    #[derive(FromQueryResult)]
    struct Dead {
        order_id: Uuid,
    }
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let list = sql::list(1, orders.len());
    let text = format!("SELECT order_id FROM due WHERE dead IS NOT NULL AND order_id IN ({list})");
    let values = orders.iter().map(|order| Value::from(*order)).collect();
    Ok(sql::all::<Dead>(conn, &text, values).await?.into_iter().map(|row| row.order_id).collect())
}

/// How things stand with what waits.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromQueryResult)]
pub struct Standing {
    /// Orders that wait for a team to be sought.
    pub waiting: i64,
    /// Since when the queue should have dispatched the one that waits longest; it is given a moment's grace first.
    pub oldest: Option<DateTime<Utc>>,
    /// Rows that are overdue, whatever is due, besides those that were set aside.
    pub overdue: i64,
    /// Since when the one that is overdue longest is so.
    pub overdue_since: Option<DateTime<Utc>>,
    /// Orders that were set aside.
    pub dead: i64,
}

/// How things stand with what waits in a county at this moment.
///
/// # Errors
/// When the database fails.
pub async fn standing(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    now: DateTime<Utc>,
) -> Result<Standing, StoreError> {
    // Each part reads a range of an index; `count(*)` over all rows would read everything that can still change.
    let live = "FROM due WHERE county = $1 AND dead IS NULL AND wake_at IS NOT NULL";
    let text = format!(
        "SELECT (SELECT count(*) {live} AND kind = 'dispatch') AS waiting, \
         (SELECT min(wake_at) {live} AND kind = 'dispatch') AS oldest, \
         (SELECT count(*) {live} AND wake_at <= $2) AS overdue, \
         (SELECT min(wake_at) {live} AND wake_at <= $2) AS overdue_since, \
         (SELECT count(*) FROM due WHERE county = $1 AND dead IS NOT NULL) AS dead"
    );
    let row = sql::one(conn, &text, vec![county.to_string().into(), now.into()]).await?;
    Ok(row.unwrap_or_default())
}

fn any_of(column: &str, areas: &[AreaCode], values: &mut Vec<Value>) -> Option<String> {
    let any: Vec<String> = areas.iter().map(|area| area_condition(column, *area, values)).collect();
    (!any.is_empty()).then(|| any.join(" OR "))
}

/// A row of the board.
#[derive(Clone, Debug, FromQueryResult)]
pub struct BoardRow {
    /// The order.
    pub order_id: Uuid,
    /// Why handling it failed for good.
    pub dead: Option<String>,
}

/// Open orders of these areas, oldest first, after `after`.
///
/// # Errors
/// When the database fails.
pub async fn board(
    conn: &impl ConnectionTrait,
    areas: &[AreaCode],
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<BoardRow>, StoreError> {
    let mut values: Vec<Value> = Vec::new();
    let Some(any) = any_of("area_code", areas, &mut values) else { return Ok(Vec::new()) };
    let mut text = format!("SELECT order_id, dead FROM due WHERE ({any}) AND kind <> 'close'");
    if let Some(after) = after {
        values.push(after.into());
        text.push_str(&format!(" AND order_id > ${}", values.len()));
    }
    text.push_str(&format!(" ORDER BY order_id LIMIT {limit}"));
    sql::all(conn, &text, values).await
}
