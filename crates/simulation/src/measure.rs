//! What came of a run, in a few figures.

use crate::run::Run;

/// The figures of one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// Orders placed.
    pub orders: usize,
    /// Orders that nobody ever accepted.
    pub left_over: usize,
    /// Seconds to accept, in the middle of those that were.
    pub median_seconds: i64,
    /// Seconds in which nine of ten of those that were accepted at all were.
    pub p90_seconds: i64,
    /// Part of the orders that were accepted within their limit.
    pub on_time: f64,
    /// How unevenly the accepted orders lie on all volunteers: 0 even, 1 all on one.
    pub gini: f64,
    /// Messages for one accepted order.
    pub offers_per_accept: f64,
}

impl Figures {
    /// The figures of a run.
    pub fn of(run: &Run) -> Figures {
        let orders = run.outcomes.len();
        let mut times: Vec<i64> =
            run.outcomes.iter().map(|outcome| outcome.accepted_after.unwrap_or(i64::MAX)).collect();
        times.sort_unstable();
        let accepted = times.partition_point(|time| *time < i64::MAX);
        let on_time = run.outcomes.iter().filter(|outcome| outcome.on_time).count();
        Figures {
            orders,
            left_over: orders - accepted,
            median_seconds: quantile(&times[..accepted], 50),
            p90_seconds: quantile(&times[..accepted], 90),
            on_time: on_time as f64 / orders.max(1) as f64,
            gini: gini(&run.shares),
            offers_per_accept: run.offers as f64 / accepted.max(1) as f64,
        }
    }
}

/// The smallest time within which `percent` of all were accepted (nearest rank).
fn quantile(sorted: &[i64], percent: usize) -> i64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// The Gini coefficient: half the mean difference of two of them, as a part of their mean.
fn gini(shares: &[i64]) -> f64 {
    let mut sorted = shares.to_vec();
    sorted.sort_unstable();
    let total: i64 = sorted.iter().sum();
    if total == 0 {
        return 0.0;
    }
    let count = sorted.len() as i64;
    let weighted: i64 = sorted.iter().zip(1..).map(|(share, rank)| share * (2 * rank - count - 1)).sum();
    weighted as f64 / (count * total) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gini_is_that_of_the_textbook() {
        assert_eq!(gini(&[5, 5, 5, 5]), 0.0);
        assert_eq!(gini(&[0, 0, 0, 8]), 0.75);
        assert_eq!(gini(&[1, 3]), 0.25);
        assert_eq!(gini(&[]), 0.0);
    }

    #[test]
    fn quantiles_are_of_the_nearest_rank() {
        let times: Vec<i64> = (1..=10).collect();
        assert_eq!((quantile(&times, 50), quantile(&times, 90)), (5, 9));
        assert_eq!(quantile(&[7], 90), 7);
        assert_eq!(quantile(&[], 90), 0);
    }
}
