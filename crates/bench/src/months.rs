//! What partitions by month would bring to the tables that only grow: a year of events in one table, and the same year in
//! twelve partitions. Appending, reading one order's events, and letting the oldest month go.

use std::time::{Duration, Instant};

use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use crate::load::quantile;
use crate::report::{Figure, Limit, Report};
use crate::stage::Stage;

const MONTHS: u64 = 12;
/// Events of one order, as many as a whole life has.
const EVENTS: u64 = 5;
/// Orders of the year, at most: the two ways differ by then, and more only take longer to fill in.
const ORDERS_AT_MOST: u64 = 400_000;
/// Orders appended, and orders read, one after the other.
const APPENDED: u64 = 2_000;
const READ: u64 = 2_000;
/// The two ways.
const WAYS: [(&str, &str); 2] = [("one_table", "one table"), ("by_month", "a partition a month")];

/// Ids sort by time, so a month's bounds are bounds of ids; the order with number `n` stands for its moment.
fn id(number: u64) -> Uuid {
    let stirred = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Uuid::from_u64_pair(((1_600_000_000_000 + number) << 16) | 0x7000, (1 << 63) | (stirred >> 2))
}

/// Both ways with as many events as so many orders have.
pub(crate) async fn measure(stage: &Stage, orders: u64, report: &mut Report) {
    let county = &stage.county;
    let a_month = (orders.min(ORDERS_AT_MOST) / MONTHS).max(1);
    create(county, a_month).await;
    for month in 0..MONTHS {
        for (table, _) in WAYS {
            fill(county, table, month * a_month, a_month).await;
        }
    }
    // One by one: several statements at once are a transaction, and a vacuum cannot be inside one.
    for statement in ["VACUUM ANALYZE one_table", "VACUUM ANALYZE by_month", "CHECKPOINT"] {
        county.batch_execute(statement).await.expect("a vacuum");
    }
    let (mut appends, mut reads) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    // In turn, so that neither has the quieter machine.
    let ways = [Way::prepare(county, WAYS[0].0).await, Way::prepare(county, WAYS[1].0).await];
    for n in 0..APPENDED {
        for (way, took) in ways.iter().zip(&mut appends) {
            took.push(way.append(county, MONTHS * a_month + n).await);
        }
    }
    for n in 0..READ {
        let order = id(n.wrapping_mul(7_919) % (MONTHS * a_month));
        for (way, took) in ways.iter().zip(&mut reads) {
            took.push(way.read(county, order).await);
        }
    }
    for (n, (table, words)) in WAYS.iter().enumerate() {
        let name = |what: &str| format!("{} events, {words}: {what}", MONTHS * a_month * EVENTS);
        let millis = |name: String, value: f64| Figure::new(&name, value, "ms", Limit::None);
        report.add(millis(name("appending an order's, p50"), quantile(&appends[n], 0.5)));
        report.add(millis(name("appending an order's, p99"), quantile(&appends[n], 0.99)));
        report.add(millis(name("reading an order's, p99"), quantile(&reads[n], 0.99)));
        let (took, bytes) = let_go(county, table, a_month).await;
        report.add(Figure::new(&name("letting a month go"), took.as_secs_f64(), "s", Limit::None));
        report.add(Figure::new(&name("log written for that"), bytes / 1_048_576.0, "MiB", Limit::None));
    }
    county.batch_execute("DROP TABLE one_table, by_month").await.expect("the tables go");
}

async fn create(county: &Client, a_month: u64) {
    let mut text = "CREATE TABLE one_table (LIKE order_event INCLUDING ALL); \
        CREATE TABLE by_month (LIKE order_event INCLUDING ALL) PARTITION BY RANGE (order_id);"
        .to_owned();
    for month in 0..MONTHS {
        let (from, to) = (id(month * a_month), id((month + 1) * a_month));
        // The last one takes what is appended.
        let to = if month + 1 == MONTHS { "MAXVALUE".to_owned() } else { format!("'{}'", bound(to)) };
        let from = if month == 0 { "MINVALUE".to_owned() } else { format!("'{}'", bound(from)) };
        text += &format!(
            "CREATE TABLE by_month_{month} PARTITION OF by_month FOR VALUES FROM ({from}) TO ({to});"
        );
    }
    county.batch_execute(&text).await.expect("the tables");
}

/// The first id of the moment of this one.
fn bound(id: Uuid) -> Uuid {
    Uuid::from_u64_pair(id.as_u64_pair().0, 0)
}

async fn fill(county: &Client, table: &str, from: u64, orders: u64) {
    const AT_ONCE: u64 = 20_000;
    let text = format!(
        "INSERT INTO {table} SELECT o.id, e.seq, r.county, r.at, r.record FROM unnest($1::uuid[]) AS o (id), \
         generate_series(1, {EVENTS}) AS e (seq), (SELECT county, at, record FROM order_event LIMIT 1) AS r"
    );
    for begun in (0..orders).step_by(AT_ONCE as usize) {
        let ids: Vec<Uuid> = (begun..orders.min(begun + AT_ONCE)).map(|n| id(from + n)).collect();
        county.execute(&text, &[&ids]).await.expect("events");
    }
}

/// The two statements of a table, prepared once.
struct Way {
    append: Statement,
    read: Statement,
}

impl Way {
    async fn prepare(county: &Client, table: &str) -> Way {
        let append = format!(
            "INSERT INTO {table} SELECT $1, e.seq, r.county, r.at, r.record FROM generate_series(1, {EVENTS}) AS e (seq), \
             (SELECT county, at, record FROM order_event LIMIT 1) AS r"
        );
        let read = format!("SELECT record FROM {table} WHERE order_id = $1 ORDER BY seq");
        Way {
            append: county.prepare(&append).await.expect("a statement"),
            read: county.prepare(&read).await.expect("a statement"),
        }
    }

    async fn append(&self, county: &Client, number: u64) -> Duration {
        let begun = Instant::now();
        county.execute(&self.append, &[&id(number)]).await.expect("events");
        begun.elapsed()
    }

    async fn read(&self, county: &Client, order: Uuid) -> Duration {
        let begun = Instant::now();
        let rows = county.query(&self.read, &[&order]).await.expect("events");
        let took = begun.elapsed();
        assert_eq!(rows.len() as u64, EVENTS, "the order is there");
        took
    }
}

/// Lets the oldest month go, room and all; how long it took, and how many bytes of log it wrote.
async fn let_go(county: &Client, table: &str, a_month: u64) -> (Duration, f64) {
    let before = log(county).await;
    let begun = Instant::now();
    if table == "by_month" {
        county.batch_execute("DROP TABLE by_month_0").await.expect("the partition goes");
    } else {
        let text = format!("DELETE FROM {table} WHERE order_id < $1");
        county.execute(&text, &[&bound(id(a_month))]).await.expect("the month goes");
        county.batch_execute(&format!("VACUUM {table}")).await.expect("a vacuum");
    }
    (begun.elapsed(), log(county).await - before)
}

async fn log(county: &Client) -> f64 {
    let text = "SELECT (pg_current_wal_insert_lsn() - '0/0')::float8";
    county.query_one(text, &[]).await.expect("the log's end").get(0)
}
