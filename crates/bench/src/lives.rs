//! 接 and 评 against a floor that writes the same rows, step by step, and whole lives from placing to rating.

use std::time::{Duration, Instant};

use tokio_postgres::Row;
use uuid::Uuid;

use crate::duel::Duel;
use crate::http::Request;
use crate::load::{Outcome, closed};
use crate::place::{forget_waiting, placements, target, used};
use crate::report::Report;
use crate::requests::{Prepared, Side, fresh_key};
use crate::sample::{COMPLETE_BODY, RATE_BODY};
use crate::stage::Stage;
use crate::usage::Seconds;

const CONNECTIONS: usize = 32;
/// Nothing here takes as long, unless it hangs.
pub(crate) const AT_MOST: Duration = Duration::from_secs(600);
/// The share of the floor's speed that the issue wants.
const WANTED: f64 = 0.8;
/// The three steps of the volunteer and the resident: the word in the address, the body, and the name in tables.
pub(crate) const STEPS: [(&str, &str, &str); 3] =
    [("accept", "{}", "accept 接"), ("complete", COMPLETE_BODY, "complete"), ("rate", RATE_BODY, "rate 评")];

/// An order that waits for its next step.
#[derive(Clone, Copy)]
pub(crate) struct Open {
    order: Uuid,
    requester: Uuid,
    team: Uuid,
}

/// Accept, complete and rate: so many orders a round, the worker at rest.
pub(crate) async fn measure_steps(stage: &mut Stage, rounds: usize, orders: usize, report: &mut Report) {
    let mut prepared = [Vec::new(), Vec::new()];
    for (side, open) in [Side::Product, Side::Floor].into_iter().zip(&mut prepared) {
        *open = dispatched(stage, side, (rounds + 1) * orders).await;
    }
    stage.stop_worker();
    stage.settle().await;
    let mut duels = STEPS.map(|(_, _, name)| Duel::new(name, CONNECTIONS, WANTED));
    for round in 0..=rounds {
        stage.people.renew();
        for ((verb, body, _), duel) in STEPS.into_iter().zip(&mut duels) {
            for side in Side::in_turn(round) {
                let all = &prepared[usize::from(side == Side::Floor)][round * orders..(round + 1) * orders];
                let before = used(stage, side);
                let outcome = step(stage, side, verb, body, all).await;
                let seconds = used(stage, side).since(before);
                match side {
                    // The first round prepares statements and touches pages.
                    _ if round == 0 => {}
                    Side::Product => duel.product.note(&outcome, seconds),
                    Side::Floor => duel.floor.note(&outcome, seconds),
                }
            }
        }
    }
    for duel in duels {
        println!("{}", crate::report::line(&duel));
        report.duels.push(duel);
    }
    stage.start_worker();
}

/// Whole lives: place, dispatch, accept, complete, rate, by 32 at a time. The product's queue and worker dispatch; the
/// floor is told to.
pub(crate) async fn measure_whole(stage: &mut Stage, rounds: usize, lives: usize, report: &mut Report) {
    forget_waiting(stage).await;
    let mut duel = Duel::new("whole lives 点派接评", CONNECTIONS, WANTED);
    for round in 0..=rounds {
        stage.people.renew();
        for side in [Side::Product, Side::Floor] {
            let before = used(stage, side);
            let begun = Instant::now();
            let open = dispatched(stage, side, lives).await;
            for (verb, body, _) in STEPS {
                step(stage, side, verb, body, &open).await;
            }
            let took = begun.elapsed();
            let outcome = Outcome { took, latencies: vec![took; lives], ids: Vec::new() };
            let seconds: Seconds = used(stage, side).since(before);
            match side {
                _ if round == 0 => {}
                Side::Product => duel.product.note(&outcome, seconds),
                Side::Floor => duel.floor.note(&outcome, seconds),
            }
            told(stage).await;
        }
    }
    println!("{}", crate::report::line(&duel));
    report.duels.push(duel);
}

/// Waits until everybody was told, so that the notifier works in nobody else's time.
async fn told(stage: &Stage) {
    let query = "SELECT count(*) FROM notification WHERE expanded_at IS NULL";
    stage.wait_until_none("notifications wait", query, AT_MOST).await;
}

/// So many fresh orders, placed and dispatched.
pub(crate) async fn dispatched(stage: &Stage, side: Side, orders: usize) -> Vec<Open> {
    let since: Uuid = newest(stage, side).await;
    let mut source = placements(stage, side, 0, orders);
    closed(target(stage, side), CONNECTIONS, AT_MOST, &mut source).await;
    match side {
        Side::Product => drop(stage.wait_until_dispatched(AT_MOST).await),
        Side::Floor => dispatch_on_floor(stage, since).await,
    }
    let text = "SELECT o.id, o.requester_id, d.team_id FROM orders o JOIN due d ON d.order_id = o.id \
        WHERE o.id > $1 AND d.team_id IS NOT NULL ORDER BY o.id";
    let rows = database(stage, side).query(text, &[&since]).await.expect("the orders");
    let open = |row: &Row| Open { order: row.get(0), requester: row.get(1), team: row.get(2) };
    let open: Vec<Open> = rows.iter().map(open).collect();
    assert_eq!(open.len(), orders, "every order has a team");
    open
}

async fn newest(stage: &Stage, side: Side) -> Uuid {
    let row = database(stage, side).query_one("SELECT id FROM orders ORDER BY id DESC LIMIT 1", &[]).await;
    row.expect("the sample order").get(0)
}

async fn dispatch_on_floor(stage: &Stage, since: Uuid) {
    let rows = stage.floor_database.query("SELECT id FROM orders WHERE id > $1", &[&since]).await;
    let teams = &stage.people.team_ids;
    let request = |(n, row): (usize, &Row)| {
        let (order, team): (Uuid, Uuid) = (row.get(0), teams[n % teams.len()]);
        Request::post(&format!("/api/v1/orders/{order}/dispatch?team={team}"), "", "", "{}")
    };
    let requests: Vec<Request> = rows.expect("orders").iter().enumerate().map(request).collect();
    let mut source = Prepared(requests.into_iter());
    closed(stage.floor.address, CONNECTIONS, AT_MOST, &mut source).await;
}

fn database(stage: &Stage, side: Side) -> &tokio_postgres::Client {
    match side {
        Side::Product => &stage.county,
        Side::Floor => &stage.floor_database,
    }
}

/// One step of all these orders, as fast as it goes.
pub(crate) async fn step(stage: &Stage, side: Side, verb: &str, body: &str, all: &[Open]) -> Outcome {
    let mut source = requests(stage, side, verb, body, all);
    closed(target(stage, side), CONNECTIONS, AT_MOST, &mut source).await
}

/// One step of all these orders. The volunteer of an order is the same in every step.
pub(crate) fn requests(stage: &Stage, side: Side, verb: &str, body: &str, all: &[Open]) -> Prepared {
    let request = |(n, open): (usize, &Open)| {
        let person = match verb {
            "rate" => stage.people.find(open.requester),
            _ => stage.people.of_team(open.team, n, open.requester),
        };
        let path = format!("/api/v1/orders/{}/{verb}", open.order);
        Request::post(&path, &side.shown(person), &fresh_key(), body)
    };
    Prepared(all.iter().enumerate().map(request).collect::<Vec<_>>().into_iter())
}
