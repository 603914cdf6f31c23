//! Orders: their rows and their events. What one command changes of them is a [`Change`]; how it is written stands in
//! `writing`, `placing`, `moving` and `joining`.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::order::{Order, Record};

use crate::scope::Scope;
use crate::{StoreError, sql, unreadable};

mod change;
mod decision;
mod listing;
mod whole;

pub use change::{Change, Known, Notification};
pub use decision::{DecisionRow, StoredDecision, latest_decision};
pub use listing::{Filter, Part, list};
pub use whole::{Earning, Engaged, SERVICE_LONGEST, WholeOrder, find_whole};
pub(crate) use whole::{Places, WHOLE, WholeRow, whole_columns};

/// An order with what is stored beside its decisions.
#[derive(Clone, Debug)]
pub struct StoredOrder {
    /// What decisions rest on.
    pub order: Order,
    /// The number that is read over the phone.
    pub number: i64,
    /// The description, masked.
    pub description: String,
    /// Description, contact and address, sealed under the requester's data key.
    pub private: Vec<u8>,
    /// When the resident would like it.
    pub wished_from: Option<DateTime<Utc>>,
    /// Until when.
    pub wished_to: Option<DateTime<Utc>>,
}

#[derive(FromQueryResult)]
pub(crate) struct Row {
    number: i64,
    snapshot: String,
    description: String,
    private: Vec<u8>,
    wished_from: Option<DateTime<Utc>>,
    wished_to: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for StoredOrder {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<StoredOrder, StoreError> {
        Ok(StoredOrder {
            order: serde_json::from_str(&row.snapshot).map_err(unreadable)?,
            number: row.number,
            description: row.description,
            private: row.private,
            wished_from: row.wished_from,
            wished_to: row.wished_to,
        })
    }
}

pub(crate) const COLUMNS: &str = "o.number, o.snapshot, o.description, o.private, o.wished_from, o.wished_to";

/// One order, if the scope reaches it.
///
/// # Errors
/// When the database fails or the row cannot be read.
pub async fn find(
    conn: &impl ConnectionTrait,
    scope: &Scope,
    id: Uuid,
) -> Result<Option<StoredOrder>, StoreError> {
    let mut values = vec![id.into()];
    let condition = scope.condition(&mut values);
    let text = format!("SELECT {COLUMNS} FROM orders o WHERE o.id = $1 AND {condition}");
    sql::one::<Row>(conn, &text, values).await?.map(StoredOrder::try_from).transpose()
}

/// Those of these orders that the scope reaches, in no order.
///
/// # Errors
/// When the database fails or a row cannot be read.
pub async fn find_all(
    conn: &impl ConnectionTrait,
    scope: &Scope,
    ids: &[Uuid],
) -> Result<Vec<StoredOrder>, StoreError> {
    by_ids(conn, scope, ids).await?.into_iter().map(StoredOrder::try_from).collect()
}

/// As [`find_all`], without those that cannot be read: for lists, in which one bad row must not hide the others. What is
/// left out is logged, and ends as a dead letter when something is due of it.
///
/// # Errors
/// When the database fails.
pub async fn find_readable(
    conn: &impl ConnectionTrait,
    scope: &Scope,
    ids: &[Uuid],
) -> Result<Vec<StoredOrder>, StoreError> {
    Ok(readable(by_ids(conn, scope, ids).await?))
}

async fn by_ids(conn: &impl ConnectionTrait, scope: &Scope, ids: &[Uuid]) -> Result<Vec<Row>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let (text, values) = by_ids_text(scope, ids);
    sql::all(conn, &text, values).await
}

pub(crate) fn by_ids_text(scope: &Scope, ids: &[Uuid]) -> (String, Vec<Value>) {
    let mut values: Vec<Value> = ids.iter().map(|id| Value::from(*id)).collect();
    let list = sql::list(1, ids.len());
    let condition = scope.condition(&mut values);
    (format!("SELECT {COLUMNS} FROM orders o WHERE o.id IN ({list}) AND {condition}"), values)
}

fn readable(rows: Vec<Row>) -> Vec<StoredOrder> {
    let read = |row: Row| {
        let number = row.number;
        let stored = StoredOrder::try_from(row);
        stored.inspect_err(|error| tracing::error!(number, %error, "an order cannot be read")).ok()
    };
    rows.into_iter().filter_map(read).collect()
}

/// The events of an order, oldest first.
///
/// # Errors
/// When the database fails or a row cannot be read.
pub async fn records(conn: &impl ConnectionTrait, id: Uuid) -> Result<Vec<Record>, StoreError> {
    #[derive(FromQueryResult)]
    struct EventRow {
        record: String,
    }
    let text = "SELECT record FROM order_event WHERE order_id = $1 ORDER BY seq";
    let rows: Vec<EventRow> = sql::all(conn, text, vec![id.into()]).await?;
    rows.iter().map(|row| serde_json::from_str(&row.record).map_err(unreadable)).collect()
}

/// Reserves `size` order numbers and answers the first. Numbers of a block that is not used up are lost, never reused.
///
/// # Errors
/// When the database fails.
pub async fn reserve_numbers(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    size: i64,
) -> Result<i64, StoreError> {
    #[derive(FromQueryResult)]
    struct Counter {
        value: i64,
    }
    let text = "INSERT INTO counter (county, name, value) VALUES ($1, 'order_number', $2) \
                ON CONFLICT (county, name) DO UPDATE SET value = counter.value + $2 RETURNING value";
    let counter: Option<Counter> = sql::one(conn, text, vec![county.to_string().into(), size.into()]).await?;
    counter.map(|counter| counter.value - size).ok_or_else(|| unreadable("no counter"))
}

/// How many orders stand in each status, for the metrics.
///
/// # Errors
/// When the database fails.
pub async fn open_by_kind(conn: &impl ConnectionTrait) -> Result<HashMap<String, i64>, StoreError> {
    #[derive(FromQueryResult)]
    struct Count {
        kind: String,
        orders: i64,
    }
    let text = "SELECT kind, count(*) AS orders FROM due GROUP BY kind";
    let rows: Vec<Count> = sql::all(conn, text, Vec::new()).await?;
    Ok(rows.into_iter().map(|row| (row.kind, row.orders)).collect())
}
