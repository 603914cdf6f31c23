//! Growth: the same steps and reads at the same rate, with few orders stored and with many.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::dispatch::dispatched_after;
use crate::duel::median;
use crate::lives::{STEPS, dispatched, requests};
use crate::load::{Outcome, open, quantile};
use crate::place::{forget_waiting, placements};
use crate::reads::{fill, lists, of_placed_orders};
use crate::report::{Figure, Limit, Report};
use crate::requests::{InTurn, Placements, Side};
use crate::stage::Stage;

/// Orders stored at first.
const FEW: u64 = 10_000;
/// Requests a second, far from what the machine can bear: growth is asked for here, not load.
const PER_SECOND: u32 = 100;
const CONNECTIONS: usize = 16;
/// How much longer a step may take with many, and how long one order, a list and the board may, in milliseconds.
const STEPS_GROW: f64 = 1.3;
const READS_MS: f64 = 3.0;

/// The p99 of each thing in each round, in milliseconds.
type Rounds = BTreeMap<String, Vec<f64>>;

/// What was measured with so many orders stored.
#[derive(Default)]
struct Measured {
    steps: Rounds,
    reads: Rounds,
}

/// Steps and reads with [`FEW`] orders and with so many.
pub(crate) async fn measure(
    stage: &mut Stage,
    (rounds, during): (usize, Duration),
    orders: u64,
    report: &mut Report,
) {
    let few = FEW.min(orders / 2);
    fill(stage, 0, few).await;
    let before = measured(stage, rounds, during).await;
    fill(stage, few, orders).await;
    note_size(stage, orders, report).await;
    let after = measured(stage, rounds, during).await;
    let p99 = |name: &str, orders: u64| format!("{name}, {PER_SECOND}/s with {orders} orders stored, p99");
    for (name, rounds) in &after.steps {
        let (few_ms, many_ms) = (median(&before.steps[name]), median(rounds));
        report.add(Figure::new(&p99(name, few), few_ms, "ms", Limit::None));
        report.add(Figure::new(&p99(name, orders), many_ms, "ms", Limit::None));
        let grown = format!("{name}, p99 with {orders} orders against that with {few}");
        report.add(Figure::new(&grown, many_ms / few_ms, "×", Limit::AtMost(STEPS_GROW)));
    }
    for (name, rounds) in &after.reads {
        report.add(Figure::new(&p99(name, few), median(&before.reads[name]), "ms", Limit::None));
        report.add(Figure::new(&p99(name, orders), median(rounds), "ms", Limit::AtMost(READS_MS)));
    }
}

/// What the orders take on the disk, so that the storage of a county can be reckoned.
async fn note_size(stage: &Stage, orders: u64, report: &mut Report) {
    let row = stage.county.query_one("SELECT pg_database_size(current_database())", &[]).await;
    let bytes: i64 = row.expect("the size").get(0);
    let name = format!("the database with {orders} ended orders, for each of them");
    report.add(Figure::new(&name, bytes as f64 / 1_024.0 / orders as f64, "KiB", Limit::None));
}

/// The first round is not counted: it prepares statements and touches pages.
async fn measured(stage: &mut Stage, rounds: usize, during: Duration) -> Measured {
    forget_waiting(stage).await;
    let (mut unheeded, mut measured) = (Measured::default(), Measured::default());
    for round in 0..=rounds {
        stage.people.renew();
        let into = if round == 0 { &mut unheeded } else { &mut measured };
        steps(stage, during, &mut into.steps).await;
        reads(stage, during, &mut into.reads).await;
    }
    measured
}

fn note(rounds: &mut Rounds, name: &str, p99: f64) {
    rounds.entry(name.to_owned()).or_default().push(p99);
}

async fn steps(stage: &mut Stage, during: Duration, into: &mut Rounds) {
    let mut source = Placements { keep: true, ..placements(stage, Side::Product, 0, usize::MAX) };
    let placed = at_rate(stage, during, &mut source).await;
    stage.wait_until_dispatched(Duration::from_secs(60)).await;
    note(into, "place", placed.quantile_ms(0.99));
    note(into, "dispatch", quantile(&dispatched_after(stage, &placed.ids).await, 0.99));
    forget_waiting(stage).await;
    let orders = (f64::from(PER_SECOND) * during.as_secs_f64()).ceil() as usize;
    let open = dispatched(stage, Side::Product, orders).await;
    for (verb, body, _) in STEPS {
        let mut source = requests(stage, Side::Product, verb, body, &open);
        let outcome = at_rate(stage, during, &mut source).await;
        note(into, verb, outcome.quantile_ms(0.99));
    }
    forget_waiting(stage).await;
}

async fn reads(stage: &Stage, during: Duration, into: &mut Rounds) {
    let one = of_placed_orders(stage, Side::Product).await;
    for (name, requests) in [("one order", one)].into_iter().chain(lists(stage)) {
        let outcome = at_rate(stage, during, &mut InTurn::new(requests)).await;
        note(into, name, outcome.quantile_ms(0.99));
    }
}

async fn at_rate(stage: &Stage, during: Duration, source: &mut dyn crate::load::Source) -> Outcome {
    open(stage.product(), CONNECTIONS, PER_SECOND, during, source).await
}
