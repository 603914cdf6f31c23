//! Very many open timers: each fires within a second of its time, once and never early, while all the others wait.
//!
//! Nearly all open timers of a county are of orders that were done and close a week later, so these are: copies of one that
//! the use cases made, each with its own id and its own moment. They fall due during the test, faster than in any county;
//! the clock is the machine's, and the sweep the one that runs in a worker.
//!
//! The short form has 2,000, of which a part falls due; with `XINGFUMA_TESTS_LONG=1` the 200,000 of the contract do.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, Statement};
use tokio::sync::watch;
use uuid::Uuid;
use xingfuma_app::clock::Clock;
use xingfuma_domain::order::{Order, State};

use crate::{
    on_both_databases,
    small_county::{SmallCounty, serve_one},
};

on_both_databases!(each_of_many_timers_fires_within_a_second);

/// What a timer may be late by.
const LATE_AT_MOST: TimeDelta = TimeDelta::seconds(1);
/// The least time between the last copy and the first timer that falls due, and what a copy may take.
const LEAD: TimeDelta = TimeDelta::seconds(2);
const A_COPY: TimeDelta = TimeDelta::milliseconds(1);

struct Size {
    /// Open timers in all.
    open: usize,
    /// Of these, how many fall due a second, and for how long.
    a_second: usize,
    seconds: usize,
}

fn size() -> Size {
    match std::env::var("XINGFUMA_TESTS_LONG").is_ok_and(|long| long == "1") {
        true => Size { open: 210_000, a_second: 1_000, seconds: 200 },
        false => Size { open: 2_000, a_second: 20, seconds: 5 },
    }
}

/// The moment at which something happens to an order by itself.
fn wakes_at(order: &Order) -> DateTime<Utc> {
    order.next_due().and_then(|due| due.wake_at).expect("it has a timer")
}

/// The order, as it would be if everything had happened so much later.
fn later(order: &Order, id: Uuid, by: TimeDelta) -> Order {
    let mut copy = order.clone();
    copy.id = id;
    match &mut copy.state {
        State::Completed { completion } => completion.completed_at += by,
        other => panic!("no template: {other:?}"),
    }
    copy
}

async fn run(county: &SmallCounty, sql: &str) {
    let pool = county.owner.pool();
    let statement = Statement::from_string(pool.get_database_backend(), sql);
    pool.execute_raw(statement)
        .await
        .unwrap_or_else(|error| panic!("{error}: {}", &sql[..sql.len().min(300)]));
}

/// A moment as a value in SQL.
fn in_sql(at: DateTime<Utc>, is_postgres: bool) -> String {
    let at = at.to_rfc3339_opts(chrono::SecondsFormat::Millis, false);
    if is_postgres { format!("'{at}'::timestamptz") } else { format!("'{at}'") }
}

/// Copies of an order, so many in one statement.
async fn copy(county: &SmallCounty, template: &Order, wakes: &[(Uuid, DateTime<Utc>)], first_number: usize) {
    let is_postgres = county.app.store.is_postgres();
    let id = |id: Uuid| {
        if is_postgres { format!("'{id}'::uuid") } else { format!("X'{}'", id.simple()) }
    };
    let from = wakes_at(template);
    for (piece, wakes) in wakes.chunks(500).enumerate() {
        let given: Vec<String> = wakes
            .iter()
            .enumerate()
            .map(|(place, (one, at))| {
                let order = later(template, *one, *at - from);
                assert_eq!(wakes_at(&order), *at, "the copy's own word");
                let snapshot = serde_json::to_string(&order).expect("it is written").replace('\'', "''");
                let number = first_number + piece * 500 + place;
                format!("({}, {number}, '{snapshot}', {})", id(*one), in_sql(*at, is_postgres))
            })
            .collect();
        let given = format!("WITH given (id, number, snapshot, at) AS (VALUES {})", given.join(", "));
        let template = id(template.id);
        run(
            county,
            &format!(
                "{given} INSERT INTO orders (id, county, number, requester_id, placed_by, area_code, category, placed_at, \
                 wished_from, wished_to, status, version, epoch, snapshot, description, private) \
                 SELECT given.id, o.county, given.number, o.requester_id, o.placed_by, o.area_code, o.category, o.placed_at, \
                 o.wished_from, o.wished_to, o.status, o.version, o.epoch, given.snapshot, o.description, o.private \
                 FROM given, orders o WHERE o.id = {template}"
            ),
        )
        .await;
        run(
            county,
            &format!(
                "{given} INSERT INTO due (order_id, county, area_code, kind, wake_at, epoch, team_id, volunteer_id, \
                 failures) SELECT given.id, d.county, d.area_code, d.kind, given.at, d.epoch, d.team_id, d.volunteer_id, 0 \
                 FROM given, due d WHERE d.order_id = {template}"
            ),
        )
        .await;
    }
}

async fn each_of_many_timers_fires_within_a_second(county: SmallCounty) {
    let size = size();
    let done = county.order(serve_one(&county).await).await;
    let clock = Clock::system();
    let app = county.app_with(Clock::system()).await;

    // Those that wait, over a week; then those that fall due now.
    let due = size.a_second * size.seconds;
    let begun = Instant::now();
    let week = TimeDelta::days(7).num_milliseconds();
    let waits = |place: usize| {
        let millis = week * i64::try_from(place).expect("small") / i64::try_from(size.open).expect("small");
        clock.now() + TimeDelta::hours(1) + TimeDelta::milliseconds(millis)
    };
    let resting: Vec<(Uuid, DateTime<Utc>)> =
        (0..size.open - due).map(|place| (app.new_id(), waits(place))).collect();
    copy(&county, &done, &resting, 1_000_000).await;
    println!("{} timers made in {:?}", resting.len(), begun.elapsed());

    let start = clock.now() + LEAD + A_COPY * i32::try_from(due).expect("small");
    let falls_due = |place: usize| {
        let millis =
            1_000 * i64::try_from(place).expect("small") / i64::try_from(size.a_second).expect("small");
        start + TimeDelta::milliseconds(millis)
    };
    let falling: Vec<(Uuid, DateTime<Utc>)> =
        (0..due).map(|place| (app.new_id(), falls_due(place))).collect();
    copy(&county, &done, &falling, 3_000_000).await;
    // The original's own timer was over in March.
    run(&county, &delete_due(&county, done.id)).await;
    assert!(clock.now() < start, "the copies took too long to be made: {:?}", clock.now() - start);

    let (stop, stopped) = watch::channel(false);
    let sweep = tokio::spawn({
        let app = app.clone();
        async move { app.run_sweep(stopped).await }
    });
    let last = falling.last().expect("some").1;
    let until = last + LATE_AT_MOST * 5;
    let at = in_sql(last, county.app.store.is_postgres());
    let waiting = format!("SELECT count(*) FROM due WHERE wake_at <= {at}");
    while clock.now() < last || county.number(&waiting).await > 0 {
        assert!(clock.now() < until, "{} of {due} have not fired", county.number(&waiting).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stop.send(true).expect("it listens");
    sweep.await.expect("it ends well");
    let mut late: Vec<TimeDelta> = Vec::with_capacity(due);
    for (order, at) in &falling {
        let records = county.records(*order).await;
        assert_eq!(records.len(), 1, "once: {records:?}");
        late.push(records[0].at - *at);
    }
    late.sort_unstable();
    let (first, p99, most) = (late[0], late[(due * 99).div_ceil(100) - 1], late[due - 1]);
    println!(
        "{} open timers, {due} fell due: median {} ms late, p99 {} ms, most {} ms",
        size.open,
        late[due / 2].num_milliseconds(),
        p99.num_milliseconds(),
        most.num_milliseconds()
    );
    assert!(first >= TimeDelta::zero(), "not early: {first}");
    assert!(most <= LATE_AT_MOST, "the latest by {most}");
    let others = "SELECT count(*) FROM order_event e JOIN orders o ON o.id = e.order_id WHERE o.number BETWEEN 1000000 AND 2999999";
    assert_eq!(county.number(others).await, 0, "and nothing before its time");
}

fn delete_due(county: &SmallCounty, order: Uuid) -> String {
    match county.app.store.is_postgres() {
        true => format!("DELETE FROM due WHERE order_id = '{order}'"),
        false => format!("DELETE FROM due WHERE order_id = X'{}'", order.simple()),
    }
}
