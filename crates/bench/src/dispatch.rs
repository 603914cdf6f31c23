//! 派: from the scan to the commit that offers the order to a team, through Redis and through memory; and a backlog.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::listener::Listener;
use crate::load::{closed, open, quantile};
use crate::place::{forget_waiting, placements};
use crate::report::{Figure, Limit, Report};
use crate::requests::{Placements, Side};
use crate::stage::{Stage, address};

const CONNECTIONS: usize = 64;
/// How long a listener is given to hear of the last order.
const TOLD_WITHIN: Duration = Duration::from_millis(500);
/// How long the notifier is watched.
const TELLING: Duration = Duration::from_secs(5);
/// Orders a second, and the longest p50 and p99 that are allowed, in milliseconds.
const RATES: [Rate; 4] = [
    Rate { per_second: 50, p50: None, p99: None },
    Rate { per_second: 200, p50: None, p99: None },
    Rate { per_second: 1_000, p50: Some(2.0), p99: Some(10.0) },
    Rate { per_second: 3_000, p50: None, p99: Some(10.0) },
];

#[derive(Clone, Copy)]
struct Rate {
    per_second: u32,
    p50: Option<f64>,
    p99: Option<f64>,
}

/// From the moment at which a placement was due to be sent until the commit of its dispatch.
pub(crate) async fn measure_latency(stage: &mut Stage, during: Duration, report: &mut Report) {
    forget_waiting(stage).await;
    for rate in RATES {
        let target = stage.product();
        one_rate(stage, target, "Redis", rate, during, report).await;
    }
    stage.stop_worker();
    let besides = [("XINGFUMA_REDIS__URL".to_owned(), String::new())];
    let alone = stage.fleet.start_server("memory", &besides);
    for rate in RATES {
        one_rate(stage, address(alone.base()), "memory", rate, during, report).await;
    }
    drop(alone);
    stage.start_worker();
}

async fn one_rate(
    stage: &mut Stage,
    target: std::net::SocketAddr,
    queue: &str,
    rate: Rate,
    during: Duration,
    report: &mut Report,
) {
    stage.people.renew();
    // A moment to prepare statements on every connection.
    for (during, counts) in [(during.min(Duration::from_secs(1)), false), (during, true)] {
        let listener = Listener::listen(target, &stage.people.dispatcher.0);
        let mut source = Placements { keep: true, ..placements(stage, Side::Product, 0, usize::MAX) };
        let outcome = open(target, CONNECTIONS, rate.per_second, during, &mut source).await;
        stage.wait_until_dispatched(Duration::from_secs(300)).await;
        // The last of them are on their way to him.
        tokio::time::sleep(TOLD_WITHIN).await;
        let told = listener.hang_up();
        if counts {
            let dispatched = dispatched_after(stage, &outcome.ids).await;
            note(report, "dispatched", queue, rate, &dispatched);
            let untold = Rate { p50: None, p99: None, ..rate };
            note(report, "told at a township's desk", queue, untold, &told_after(&outcome.ids, &told));
        }
        forget_waiting(stage).await;
    }
}

/// Where nothing was heard in a short run, nothing is said.
fn note(report: &mut Report, what: &str, queue: &str, rate: Rate, latencies: &[Duration]) {
    if latencies.is_empty() {
        return;
    }
    for (share, name, limit) in [(0.5, "p50", rate.p50), (0.99, "p99", rate.p99)] {
        let name = format!("scan → {what}, {}/s through {queue}, {name}", rate.per_second);
        let limit = limit.map_or(Limit::None, Limit::AtMost);
        report.add(Figure::new(&name, quantile(latencies, share), "ms", limit));
    }
}

/// How long after its moment somebody who listens was told of each order; he hears of those of his township.
fn told_after(asked: &[(Uuid, Instant)], told: &HashMap<Uuid, Instant>) -> Vec<Duration> {
    let heard =
        asked.iter().filter_map(|(id, since)| told.get(id).map(|at| at.saturating_duration_since(*since)));
    let heard: Vec<Duration> = heard.collect();
    assert!(!heard.is_empty() || asked.len() < 100, "nobody was told of {} orders", asked.len());
    heard
}

/// How long after its moment each order's dispatch was committed, by PostgreSQL's own record of the commit.
pub(crate) async fn dispatched_after(stage: &Stage, asked: &[(Uuid, Instant)]) -> Vec<Duration> {
    let ids: Vec<Uuid> = asked.iter().map(|(id, _)| *id).collect();
    let text =
        "SELECT order_id, pg_xact_commit_timestamp(xmin) FROM dispatch_decision WHERE order_id = ANY ($1)";
    let rows = stage.county.query(text, &[&ids]).await.expect("the decisions");
    let committed: HashMap<Uuid, DateTime<Utc>> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let (here, there) = same_moment(stage).await;
    asked
        .iter()
        .map(|(id, since)| {
            let committed = committed.get(id).unwrap_or_else(|| panic!("{id} was not dispatched"));
            let asked_at = there - TimeDelta::from_std(here - *since).expect("not that long ago");
            (*committed - asked_at).to_std().unwrap_or_default()
        })
        .collect()
}

/// One moment on this process's clock and on the database's: the middle of the shortest of some round trips.
async fn same_moment(stage: &Stage) -> (Instant, DateTime<Utc>) {
    let mut best: Option<(Duration, Instant, DateTime<Utc>)> = None;
    for _ in 0..20 {
        let before = Instant::now();
        let row = stage.county.query_one("SELECT clock_timestamp()", &[]).await.expect("the time");
        let took = before.elapsed();
        if best.is_none_or(|(shortest, ..)| took < shortest) {
            best = Some((took, before + took / 2, row.get(0)));
        }
    }
    let (_, here, there) = best.expect("asked");
    (here, there)
}

/// A backlog that one worker dispatches.
pub(crate) async fn measure_backlog(stage: &mut Stage, orders: usize, report: &mut Report) {
    forget_waiting(stage).await;
    stage.stop_worker();
    stage.people.renew();
    let mut source = placements(stage, Side::Product, 0, orders);
    closed(stage.product(), 64, Duration::from_secs(600), &mut source).await;
    stage.settle().await;
    let begun = Instant::now();
    stage.start_worker();
    stage.wait_until_dispatched(Duration::from_secs(1_800)).await;
    let took = begun.elapsed().as_secs_f64();
    // The 100,000 in 20 s, for as many as there are.
    let limit = Limit::AtMost(20.0 * orders as f64 / 100_000.0);
    report.add(Figure::new(&format!("{orders} waiting orders dispatched by one worker"), took, "s", limit));
    note_telling(stage, report).await;
}

/// How fast people are told.
async fn note_telling(stage: &Stage, report: &mut Report) {
    const WAITING: &str = "SELECT count(*) FROM notification WHERE expanded_at IS NULL";
    let (waited, begun) = (count(stage, WAITING).await, Instant::now());
    tokio::time::sleep(TELLING).await;
    let told = waited - count(stage, WAITING).await;
    let per_second = told as f64 / begun.elapsed().as_secs_f64();
    report.add(Figure::new("notifications expanded, with nothing else to do", per_second, "/s", Limit::None));
}

async fn count(stage: &Stage, query: &str) -> i64 {
    stage.county.query_one(query, &[]).await.expect("a count").get(0)
}
