//! 点, against the floor: at 1, 32 and 128 connections. No worker runs: dispatching is measured by itself.

use std::time::Duration;

use crate::duel::Duel;
use crate::load::{Outcome, closed, closed_over, open};
use crate::report::{Figure, Limit, Report};
use crate::requests::{Placements, Side};
use crate::stage::{Stage, address};
use crate::usage::Seconds;

/// How many connections, and what the issue wants there.
const LEVELS: &[(usize, f64)] = &[(1, 0.8), (32, 1.5), (128, 2.0)];
/// The share of the floor's throughput at which latency is compared.
const OPEN_SHARE: f64 = 0.5;

/// How long it may take, and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) rounds: usize,
    pub(crate) round: Duration,
}

/// All levels.
pub(crate) async fn measure(stage: &mut Stage, pace: Pace, wanted_at_32: f64, report: &mut Report) {
    stage.stop_worker();
    let mut done = 0;
    for (connections, wanted) in LEVELS {
        let wanted = if *connections == 32 { wanted_at_32 } else { *wanted };
        let duel = level(stage, pace, *connections, wanted, &mut done).await;
        println!("{}", crate::report::line(&duel));
        report.duels.push(duel);
    }
    latency(stage, pace, &mut done, report).await;
    forget_waiting(stage).await;
    stage.start_worker();
}

async fn level(stage: &mut Stage, pace: Pace, connections: usize, wanted: f64, done: &mut usize) -> Duel {
    let mut duel = Duel::new("place 点", connections, wanted);
    for side in [Side::Product, Side::Floor] {
        // Statements are prepared and pages touched before anything counts.
        one_round(stage, side, connections, pace.round / 2, done).await;
    }
    for round in 0..pace.rounds {
        stage.people.renew();
        for side in Side::in_turn(round) {
            let before = used(stage, side);
            let outcome = one_round(stage, side, connections, pace.round, done).await;
            let seconds = used(stage, side).since(before);
            match side {
                Side::Product => duel.product.note(&outcome, seconds),
                Side::Floor => duel.floor.note(&outcome, seconds),
            }
        }
    }
    duel
}

async fn one_round(
    stage: &Stage,
    side: Side,
    connections: usize,
    round: Duration,
    done: &mut usize,
) -> Outcome {
    let mut source = placements(stage, side, *done, usize::MAX);
    let outcome = closed(target(stage, side), connections, round, &mut source).await;
    *done = source.done;
    outcome
}

/// Two server processes against one, over as many connections.
pub(crate) async fn measure_two_servers(stage: &mut Stage, pace: Pace, report: &mut Report) {
    stage.stop_worker();
    let second = stage.fleet.start_server("second", &[]);
    let servers = [stage.product(), address(second.base())];
    let (mut done, mut ratios) = (0, Vec::new());
    for round in 0..=pace.rounds {
        stage.people.renew();
        let mut per_second = [0.0; 2];
        // Who goes first changes with the round.
        for many in if round % 2 == 0 { [1, 2] } else { [2, 1] } {
            let mut source = placements(stage, Side::Product, done, usize::MAX);
            let outcome = closed_over(&servers[..many], 32, pace.round, &mut source).await;
            done = source.done;
            per_second[many - 1] = outcome.per_second();
        }
        // The first round prepares statements and touches pages.
        if round > 0 {
            ratios.push(per_second[1] / per_second[0]);
        }
    }
    drop(second);
    let name = "place over 32 connections, two servers against one";
    report.add(Figure::new(name, crate::duel::median(&ratios), "×", Limit::None));
    forget_waiting(stage).await;
    stage.start_worker();
}

/// Placements from where the walk stands.
pub(crate) fn placements(stage: &Stage, side: Side, done: usize, left: usize) -> Placements<'_> {
    Placements { side, people: &stage.people, signs: &stage.signs, done, left, keep: false }
}

/// Where a side answers.
pub(crate) fn target(stage: &Stage, side: Side) -> std::net::SocketAddr {
    match side {
        Side::Product => stage.product(),
        Side::Floor => stage.floor.address,
    }
}

/// What the three parties have used, with this side as the server.
pub(crate) fn used(stage: &Stage, side: Side) -> Seconds {
    let server = match side {
        Side::Product => stage.server_process(),
        Side::Floor => stage.floor.process_id(),
    };
    Seconds::now(server, stage.database_process())
}

/// Both sides at one fixed rate, from the moment at which each request was due.
async fn latency(stage: &mut Stage, pace: Pace, done: &mut usize, report: &mut Report) {
    let floor = report.duels.iter().find(|duel| duel.connections == 32).expect("measured before");
    let rate = (crate::duel::median(&floor.floor.per_second) * OPEN_SHARE) as u32;
    let mut p99 = [Vec::new(), Vec::new()];
    for round in 0..pace.rounds.div_ceil(3) * 2 {
        stage.people.renew();
        for side in Side::in_turn(round) {
            // A moment first: whoever stood still has pages and statements to fetch, and that is not what is asked here.
            for (during, counts) in [(pace.round / 4, false), (pace.round, true)] {
                let mut source = placements(stage, side, *done, usize::MAX);
                let outcome = open(target(stage, side), 32, rate.max(1), during, &mut source).await;
                *done = source.done;
                if counts {
                    p99[usize::from(side == Side::Floor)].push(outcome.quantile_ms(0.99));
                }
            }
        }
    }
    let [ours, theirs] = p99.map(|values| crate::duel::median(&values));
    report.add(Figure::new(
        &format!("place, {rate}/s over 32 connections, p99"),
        ours,
        "ms",
        Limit::AtMost(theirs),
    ));
    report.add(Figure::new("the same, floor, p99", theirs, "ms", Limit::None));
}

/// The orders that were placed for the measurement wait for nobody any more, and nobody has to be told of them. No product
/// deletes so many rows at once: what is left of them is cleared away, as whatever is measured next would walk past it.
pub(crate) async fn forget_waiting(stage: &Stage) {
    stage.fleet.redis.command(&["FLUSHALL"]).expect("Redis forgets");
    for database in [&stage.county, &stage.floor_database] {
        database.batch_execute("DELETE FROM due").await.expect("the rows go");
        let told = "DELETE FROM notification WHERE expanded_at IS NULL";
        database.batch_execute(told).await.expect("the rows go");
        database.batch_execute("VACUUM (ANALYZE)").await.expect("a vacuum");
    }
    stage.settle().await;
}
