//! A county at work, in memory: the default county, a stream of orders, people who answer or do not, and a policy that
//! decides who is asked. `docs/simulation.md` has the model in words and the figures.
//!
//! * [`model`]: who orders what and how people answer. Frozen.
//! * [`policy`]: whom each policy asks; ours is the server's own.
//! * [`run`]: the virtual clock, a heap of events.
//! * [`measure`]: what came of it.
//! * [`report`]: the figures as a table (Markdown) and as a picture (SVG).

pub mod chance;
pub mod measure;
pub mod model;
pub mod policy;
pub mod report;
pub mod run;

use measure::Figures;
use policy::Policy;

/// Every policy over so many days, for the seeds `1..=seeds`: one row a seed, in the order of [`Policy::ALL`]. The seeds
/// are shared out over so many threads; the answer does not depend on how many there are.
pub fn simulate(days: usize, seeds: u64, threads: usize) -> Vec<Vec<Figures>> {
    let threads = threads.max(1) as u64;
    let of_seed = |seed: u64| {
        let model = model::Model::new(seed);
        let demand = model.demand(days);
        Policy::ALL.into_iter().map(|policy| Figures::of(&run::run(&model, &demand, policy))).collect()
    };
    let mut rows: Vec<(u64, Vec<Figures>)> = std::thread::scope(|scope| {
        let share = |first: u64| {
            scope.spawn(move || {
                (first..=seeds)
                    .step_by(threads as usize)
                    .map(|seed| (seed, of_seed(seed)))
                    .collect::<Vec<_>>()
            })
        };
        let shares: Vec<_> = (1..=threads).map(share).collect();
        shares
            .into_iter()
            .flat_map(|share| share.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    rows.sort_unstable_by_key(|(seed, _)| *seed);
    rows.into_iter().map(|(_, row)| row).collect()
}
