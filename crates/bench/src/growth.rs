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
    for (name, rounds) in &after {
        let (few_ms, many_ms) = (median(&before[name]), median(rounds));
        let p99 = |orders: u64| format!("{name}, {PER_SECOND}/s with {orders} orders stored, p99");
        let is_step = name == "place" || name == "dispatch" || STEPS.iter().any(|(verb, ..)| verb == name);
        let at_most = if is_step { Limit::None } else { Limit::AtMost(READS_MS) };
        report.add(Figure::new(&p99(few), few_ms, "ms", Limit::None));
        report.add(Figure::new(&p99(orders), many_ms, "ms", at_most));
        if is_step {
            let grown = format!("{name}, p99 with {orders} orders against that with {few}");
            report.add(Figure::new(&grown, many_ms / few_ms, "×", Limit::AtMost(STEPS_GROW)));
        }
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
async fn measured(stage: &mut Stage, rounds: usize, during: Duration) -> Rounds {
    forget_waiting(stage).await;
    let mut all = Rounds::new();
    for round in 0..=rounds {
        stage.people.renew();
        let mut of_round = BTreeMap::new();
        steps(stage, during, &mut of_round).await;
        reads(stage, during, &mut of_round).await;
        if round > 0 {
            for (name, p99) in of_round {
                all.entry(name).or_default().push(p99);
            }
        }
    }
    all
}

async fn steps(stage: &mut Stage, during: Duration, p99: &mut BTreeMap<String, f64>) {
    let mut source = Placements { keep: true, ..placements(stage, Side::Product, 0, usize::MAX) };
    let placed = at_rate(stage, during, &mut source).await;
    stage.wait_until_dispatched(Duration::from_secs(60)).await;
    p99.insert("place".to_owned(), placed.quantile_ms(0.99));
    p99.insert("dispatch".to_owned(), quantile(&dispatched_after(stage, &placed.ids).await, 0.99));
    forget_waiting(stage).await;
    let orders = (f64::from(PER_SECOND) * during.as_secs_f64()).ceil() as usize;
    let open = dispatched(stage, Side::Product, orders).await;
    for (verb, body, _) in STEPS {
        let mut source = requests(stage, Side::Product, verb, body, &open);
        let outcome = at_rate(stage, during, &mut source).await;
        p99.insert(verb.to_owned(), outcome.quantile_ms(0.99));
    }
    forget_waiting(stage).await;
}

async fn reads(stage: &Stage, during: Duration, p99: &mut BTreeMap<String, f64>) {
    let one = of_placed_orders(stage).await;
    for (name, requests) in [("one order", one)].into_iter().chain(lists(stage)) {
        let outcome = at_rate(stage, during, &mut InTurn::new(requests)).await;
        p99.insert(name.to_owned(), outcome.quantile_ms(0.99));
    }
}

async fn at_rate(stage: &Stage, during: Duration, source: &mut dyn crate::load::Source) -> Outcome {
    open(stage.product(), CONNECTIONS, PER_SECOND, during, source).await
}
