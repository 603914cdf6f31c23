//! `xingfuma simulate`: the default county at work in memory, with a virtual clock.

use std::fs;
use std::path::Path;

use xingfuma_simulation::{report, simulate};

use crate::configuration::StartError;

/// Runs every policy, prints the table, and writes the picture where one is asked for.
pub(crate) fn run(days: usize, seeds: u64, threads: usize, svg: Option<&Path>) -> Result<(), StartError> {
    if !(1..=366).contains(&days) || !(1..=1_000).contains(&seeds) {
        return Err(StartError::Other("1 to 366 days and 1 to 1,000 seeds can be simulated".to_owned()));
    }
    let rows = simulate(days, seeds, threads);
    print!("{}", report::markdown(&rows));
    if let Some(path) = svg {
        fs::write(path, report::svg(&rows)).map_err(|error| StartError::file(path, &error))?;
    }
    Ok(())
}
