//! PostgreSQL plans the statements of a round once a connection, and the first of those plans are made while there are no
//! orders yet, or one. What one more dispatch reads must not grow with all that was stored since.

use std::{collections::BTreeMap, time::Duration};

use sea_orm::{FromQueryResult, Statement};
use tokio::time::sleep;
use uuid::Uuid;
use xingfuma_queue::Hint;
use xingfuma_store::ConnectionTrait;

use crate::small_county::{Database, SmallCounty};

/// Orders that wait, and are dispatched one after the other.
const COUNTED: usize = 80;
/// The most rows of a table that a dispatch may read on its way to the people who are told of it.
const ROWS_AN_ORDER: i64 = 20;
/// A backend writes its statistics down with its work when it has not done so for a second, and ten seconds after it at
/// the latest (PostgreSQL's `PGSTAT_IDLE_INTERVAL`).
const WRITTEN_DOWN: Duration = Duration::from_secs(11);

/// Gives each a round of its own, and tells people of it.
async fn dispatch(county: &SmallCounty, orders: &[Uuid]) {
    for order in orders {
        let hint = Hint { order_id: *order, epoch: 0 };
        assert_eq!(county.app.dispatch_all(&[hint]).await.expect("the database is there"), 1);
        county.app.notify_waiting().await.expect("the database is there");
    }
}

/// Rows that were read of each table that grows with the orders. Not of `due`: the policy counts what a team holds.
async fn rows_read(county: &SmallCounty) -> BTreeMap<String, i64> {
    #[derive(FromQueryResult)]
    struct Table {
        relname: String,
        read: i64,
    }
    sleep(WRITTEN_DOWN).await;
    let pool = county.app.store.pool();
    let text = "SELECT relname::text, (coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::int8 AS read \
                FROM pg_stat_user_tables WHERE relname IN ('orders', 'order_event', 'notification', 'inbox', \
                'dispatch_decision', 'answer_history')";
    let rows =
        pool.query_all_raw(Statement::from_string(pool.get_database_backend(), text)).await.expect("rows");
    rows.iter()
        .map(|row| Table::from_query_result(row, "").expect("a table"))
        .map(|table| (table.relname, table.read))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dispatch_reads_does_not_grow_with_what_is_stored() {
    let county = SmallCounty::open(Database::Postgres).await;
    let first = county.place("the first").await;
    dispatch(&county, &[first]).await;
    let mut orders = Vec::new();
    for number in 0..COUNTED {
        orders.push(county.place(&format!("order {number}")).await);
    }
    let before = rows_read(&county).await;
    dispatch(&county, &orders).await;
    let after = rows_read(&county).await;
    assert_eq!(after.len(), 6, "{after:?}");
    let counted = after["orders"] - before["orders"];
    assert!(counted >= COUNTED as i64, "not all of it was counted: {before:?} {after:?}");
    for (table, read) in &after {
        let an_order = (read - before[table]) / COUNTED as i64;
        assert!(an_order <= ROWS_AN_ORDER, "{an_order} rows of {table} an order: {before:?} {after:?}");
    }
}
