//! The short table in `docs/simulation.md` is what the command prints, and the model is the one that is written down.

use xingfuma_simulation::{model::Model, policy::Policy, report, simulate};

const DOCUMENT: &str = include_str!("../../../docs/simulation.md");
/// The short run: so many days, of seed 1 alone.
const DAYS: usize = 7;

#[test]
fn the_short_run_gives_the_table_of_the_documentation() {
    let rows = simulate(DAYS, 1, 1);
    let table = report::markdown(&rows);
    assert!(DOCUMENT.contains(table.trim_end()), "docs/simulation.md lacks what this run gives:\n{table}");
    let picture = report::svg(&rows);
    assert!(Policy::ALL.iter().all(|policy| picture.contains(policy.name())), "{picture}");
}

#[test]
fn the_number_of_threads_changes_nothing() {
    assert_eq!(simulate(1, 2, 1), simulate(1, 2, 3));
}

#[test]
fn the_model_is_as_it_was_frozen() {
    let model = Model::new(1);
    let demand = model.demand(7);
    assert_eq!(model.people.len(), 30_000);
    let mean = model.people.iter().map(|one| one.willingness).sum::<f64>() / 30_000.0;
    assert!((0.30..0.33).contains(&mean), "willingness is {mean} on average");
    let mut glances: Vec<f64> = model.people.iter().map(|one| one.glance).collect();
    glances.sort_by(f64::total_cmp);
    assert!((28.0..32.0).contains(&(glances[15_000] / 60.0)), "{}", glances[15_000]);
    assert_eq!(demand.len(), 1_968, "the orders of the first week");
}
