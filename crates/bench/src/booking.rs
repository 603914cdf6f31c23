//! What booking a completed order's points adds to the completing request: the same server, once with the sample's rules and
//! once with rules by which completing scores nothing. Guards note the service both times, and what is left of caps is read
//! with the order both times.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::duel::median;
use crate::lives::{AT_MOST, STEPS, dispatched, requests, step};
use crate::load::closed;
use crate::report::{Figure, Limit, Report};
use crate::requests::Side;
use crate::stage::{Stage, address};
use crate::usage::Seconds;

/// Connections, and orders a round of either server: over one it takes as long for less.
const LEVELS: [(usize, usize); 2] = [(1, 200), (32, 1_000)];
/// How much longer the request may take, in percent.
const ADDS_AT_MOST: f64 = 15.0;
/// What completing scores in the sample's sheet of base tasks.
const SCORED_BY: &str = "609,";
const BASE_TASKS: &str = include_str!("../../domain/data/rules/base_tasks.csv");
const BONUSES: &str = include_str!("../../domain/data/rules/bonuses_and_deductions.csv");

/// Completing over one connection and over many, with booking and without it in turn.
pub(crate) async fn measure(stage: &mut Stage, rounds: usize, short: bool, report: &mut Report) {
    let home = tempfile::tempdir().expect("a temporary directory");
    write_rules(home.path());
    let rules = [("XINGFUMA_SCORE__RULES".to_owned(), home.path().display().to_string())];
    let unscored = stage.fleet.start_server("unscored", &rules);
    let servers = [
        (stage.product(), stage.server_process()),
        (address(unscored.base()), unscored.process_id().expect("it runs")),
    ];
    for (connections, orders) in LEVELS {
        let orders = if short { 20 } else { orders };
        let added = level(stage, servers, connections, rounds, orders).await;
        let name = format!("booking points, added to completing over {connections} connections");
        report.add(Figure::new(&name, added.percent, "%", Limit::AtMost(ADDS_AT_MOST)));
        for (whose, seconds) in [("the server's", added.used.server), ("PostgreSQL's", added.used.database)] {
            let each = seconds * 1e6 / (orders * rounds) as f64;
            report.add(Figure::new(&format!("{name}: {whose} processor"), each, "µs", Limit::None));
        }
    }
}

/// The sample's sheets, without what completing scores.
fn write_rules(home: &Path) {
    let kept: Vec<&str> = BASE_TASKS.lines().filter(|line| !line.starts_with(SCORED_BY)).collect();
    assert_eq!(kept.len() + 1, BASE_TASKS.lines().count(), "completing scores by one line");
    for (name, text) in
        [("base_tasks.csv", kept.join("\n")), ("bonuses_and_deductions.csv", BONUSES.to_owned())]
    {
        std::fs::write(home.join(name), text).expect("a sheet is written");
    }
}

/// What booking adds.
struct Added {
    /// To the time of a request, in percent: the median of the rounds.
    percent: f64,
    /// To the processor time of all requests that count.
    used: Seconds,
}

/// One server beside the other: each is an address and a process.
async fn level(
    stage: &mut Stage,
    servers: [(SocketAddr, u32); 2],
    connections: usize,
    rounds: usize,
    orders: usize,
) -> Added {
    let open = dispatched(stage, Side::Product, 2 * orders * (rounds + 1)).await;
    stage.stop_worker();
    stage.settle().await;
    let before = booked(stage).await;
    let ([accept, complete, _], mut adds) = (STEPS, Vec::new());
    let mut used = [Seconds::default(); 2];
    for (round, both) in open.chunks(2 * orders).enumerate() {
        stage.people.renew();
        let (of_one, of_other) = both.split_at(orders);
        let mut took = [Duration::ZERO; 2];
        // Who goes first changes with the round.
        let mut turns = [(0, of_one), (1, of_other)];
        turns.rotate_left(round % 2);
        // Whose an order is follows from its place among these: both steps get the same ones.
        for (_, open) in turns {
            step(stage, Side::Product, accept.0, accept.1, open).await;
        }
        for (server, open) in turns {
            let mut source = requests(stage, Side::Product, complete.0, complete.1, open);
            let (address, process) = servers[server];
            let before = Seconds::now(process, stage.database_process());
            took[server] = closed(address, connections, AT_MOST, &mut source).await.took;
            // The first round prepares statements and touches pages.
            if round > 0 {
                used[server].add(Seconds::now(process, stage.database_process()).since(before));
            }
        }
        if round > 0 {
            adds.push((took[0].as_secs_f64() / took[1].as_secs_f64() - 1.0) * 100.0);
        }
    }
    let wanted = (orders * (rounds + 1)) as i64;
    assert_eq!(booked(stage).await - before, wanted, "one server books each order, the other books none");
    stage.start_worker();
    Added { percent: median(&adds), used: used[0].since(used[1]) }
}

async fn booked(stage: &Stage) -> i64 {
    let text = "SELECT count(*) FROM score_transaction WHERE source_type = 'order'";
    stage.county.query_one(text, &[]).await.expect("a count").get(0)
}
