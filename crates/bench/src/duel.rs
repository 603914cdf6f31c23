//! Product against floor, in adjacent rounds. On small machines the same binary runs in speed modes far apart, so the
//! verdict is the median of the rounds' ratios, never the ratio of two totals.

use serde::Serialize;

use crate::load::Outcome;
use crate::usage::Seconds;

/// The figures of one side, a value a round.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Side {
    pub(crate) per_second: Vec<f64>,
    pub(crate) p50_ms: Vec<f64>,
    pub(crate) p99_ms: Vec<f64>,
    /// Processor seconds over all rounds.
    pub(crate) seconds: Seconds,
    /// Answers over all rounds.
    pub(crate) answers: usize,
}

impl Side {
    /// Adds a round.
    pub(crate) fn note(&mut self, outcome: &Outcome, seconds: Seconds) {
        self.per_second.push(outcome.per_second());
        self.p50_ms.push(outcome.quantile_ms(0.5));
        self.p99_ms.push(outcome.quantile_ms(0.99));
        self.seconds.add(seconds);
        self.answers += outcome.latencies.len();
    }
}

/// One comparison.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Duel {
    pub(crate) name: String,
    pub(crate) connections: usize,
    pub(crate) product: Side,
    pub(crate) floor: Side,
    /// The least ratio that the issue wants.
    pub(crate) wanted: f64,
}

impl Duel {
    pub(crate) fn new(name: &str, connections: usize, wanted: f64) -> Duel {
        let (product, floor) = (Side::default(), Side::default());
        Duel { name: name.to_owned(), connections, product, floor, wanted }
    }

    /// Product's throughput over floor's, a ratio a round.
    pub(crate) fn ratios(&self) -> Vec<f64> {
        self.product
            .per_second
            .iter()
            .zip(&self.floor.per_second)
            .map(|(ours, theirs)| ours / theirs)
            .collect()
    }

    /// The verdict.
    pub(crate) fn ratio(&self) -> f64 {
        median(&self.ratios())
    }

    /// Whether it is as wanted.
    pub(crate) fn holds(&self) -> bool {
        self.ratio() >= self.wanted
    }
}

/// The middle value; of an even number the lower one of the two; 0 of nothing.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

/// Smallest and largest.
pub(crate) fn range(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, 0.0), |(low, high), value| (value.min(low), value.max(high)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_is_the_median_of_the_ratios() {
        let mut duel = Duel::new("x", 1, 2.0);
        duel.product.per_second = vec![10.0, 40.0, 30.0];
        duel.floor.per_second = vec![10.0, 10.0, 15.0];
        assert_eq!(duel.ratios(), [1.0, 4.0, 2.0]);
        assert_eq!((duel.ratio(), duel.holds()), (2.0, true));
        assert_eq!(range(&duel.ratios()), (1.0, 4.0));
        assert_eq!(median(&[]), 0.0);
    }
}
