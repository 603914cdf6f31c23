//! PostgreSQL plans the statements of a placement and of a round once a connection, and the first of those plans are made
//! while there are no orders yet. What one more order reads must not grow with all that was stored since.

use std::{collections::BTreeMap, time::Duration};

use sea_orm::{FromQueryResult, Statement};
use tokio::time::sleep;
use xingfuma_store::ConnectionTrait;

use crate::small_county::{Database, SmallCounty};

/// Orders before anything is counted, and those that are counted.
const BEFORE: usize = 40;
const COUNTED: usize = 80;
/// The most rows of a table that an order may read on its way to the people who are told of it.
const ROWS_AN_ORDER: i64 = 20;
/// Each backend writes its statistics down a second after its work at the latest.
const WRITTEN_DOWN: Duration = Duration::from_secs(2);

/// Places them one by one, so that each has a round of its own, and tells people of each.
async fn dispatch(county: &SmallCounty, from: usize, orders: usize) {
    for number in from..from + orders {
        let order = county.place(&format!("order {number}")).await;
        county.work_until_dispatched(order).await;
        county.app.notify_waiting().await.expect("the database is there");
    }
}

/// Rows that were read of each table that grows with the orders.
async fn rows_read(county: &SmallCounty) -> BTreeMap<String, i64> {
    #[derive(FromQueryResult)]
    struct Table {
        relname: String,
        read: i64,
    }
    sleep(WRITTEN_DOWN).await;
    let pool = county.app.store.pool();
    let text = "SELECT relname::text, (coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::int8 AS read \
                FROM pg_stat_user_tables WHERE relname IN ('orders', 'order_event', 'due', 'notification', 'inbox', \
                'dispatch_decision')";
    let rows =
        pool.query_all_raw(Statement::from_string(pool.get_database_backend(), text)).await.expect("rows");
    rows.iter()
        .map(|row| Table::from_query_result(row, "").expect("a table"))
        .map(|table| (table.relname, table.read))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_order_reads_does_not_grow_with_what_is_stored() {
    let county = SmallCounty::open(Database::Postgres).await;
    dispatch(&county, 0, BEFORE).await;
    let before = rows_read(&county).await;
    dispatch(&county, BEFORE, COUNTED).await;
    let after = rows_read(&county).await;
    assert_eq!(after.len(), 6, "{after:?}");
    assert!(after["orders"] > before["orders"], "nothing was counted: {before:?} {after:?}");
    for (table, read) in &after {
        let an_order = (read - before[table]) / COUNTED as i64;
        assert!(an_order <= ROWS_AN_ORDER, "{an_order} rows of {table} an order: {before:?} {after:?}");
    }
}
