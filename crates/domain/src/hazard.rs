//! What comes back again and again: the same category in the same grid so many times in so many days is a hazard, which
//! asks for its cause and not for one more repair.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::area::{AreaCode, Level};
use crate::order::{Order, Status};

/// So many times in so many days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Threshold {
    /// The category's code.
    pub category: String,
    /// At least so many orders.
    pub times: u32,
    /// Within so many days, wherever they begin.
    pub days: u32,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The first of these orders.
    pub first_at: DateTime<Utc>,
    /// The last of them.
    pub last_at: DateTime<Utc>,
    /// How many.
    pub times: u32,
}

impl Threshold {
    /// Reads lines `category,times,days`; `#` begins a remark.
    ///
    /// # Errors
    /// The first line that is none, in words.
    pub fn read_all(text: &str) -> Result<Vec<Threshold>, String> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut all: Vec<Threshold> = Vec::new();
        for line in lines.filter(|line| *line != "category,times,days") {
            let one = Threshold::read(line).ok_or_else(|| format!("no threshold: {line}"))?;
            if all.iter().any(|known| known.category == one.category) {
                return Err(format!("twice: {}", one.category));
            }
            all.push(one);
        }
        Ok(all)
    }

    fn read(line: &str) -> Option<Threshold> {
        let mut parts = line.split(',').map(str::trim);
        let category = parts.next().filter(|category| !category.is_empty())?.to_owned();
        let (times, days): (u32, u32) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let good = times >= 2 && (1..=366).contains(&days) && parts.next().is_none();
        good.then_some(Threshold { category, times, days })
    }

    /// Its days as a span.
    pub fn span(&self) -> TimeDelta {
        TimeDelta::days(i64::from(self.days))
    }

    /// Whether these orders make a hazard: some `times` of them lie within `days`, and all of them after the last hazard
    /// that was found (`after`), so that each order counts for one hazard at most. Answers the earliest such run, with
    /// everything of its window that is there.
    pub fn found(&self, placed: &[DateTime<Utc>], after: Option<DateTime<Utc>>) -> Option<Found> {
        let mut placed: Vec<DateTime<Utc>> =
            placed.iter().copied().filter(|at| after.is_none_or(|after| *at > after)).collect();
        placed.sort_unstable();
        let times = usize::try_from(self.times.max(1)).ok()?;
        let run = placed.windows(times).find(|run| run[times - 1] - run[0] < self.span())?;
        let first_at = run[0];
        let of_window = placed.iter().filter(|at| **at >= first_at && **at - first_at < self.span());
        let (mut last_at, mut count) = (first_at, 0);
        for at in of_window {
            (last_at, count) = (*at, count + 1);
        }
        Some(Found { first_at, last_at, times: count })
    }
}

/// The grid that an order counts for; none for one that lies in no grid, that was called off, or that is the same as
/// another one.
pub fn counts_for(order: &Order) -> Option<AreaCode> {
    let void = matches!(order.status(), Status::Cancelled | Status::Merged) || order.merged_into.is_some();
    order.placed.area.ancestor_at(Level::Grid).filter(|_| !void)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(days: i64) -> DateTime<Utc> {
        "2026-03-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::days(days)
    }

    fn threshold(times: u32, days: u32) -> Threshold {
        Threshold { category: "environment".to_owned(), times, days }
    }

    #[test]
    fn lines_are_read_and_bad_ones_named() {
        let text = "# a remark\ncategory,times,days\n\nhazard, 3, 30\ndispute,4,60\n";
        let read = Threshold::read_all(text).unwrap();
        assert_eq!(read[0], Threshold { category: "hazard".to_owned(), times: 3, days: 30 });
        assert_eq!(read.len(), 2);
        for bad in
            ["hazard", "hazard,1,30", "hazard,3,0", "hazard,3,367", ",3,30", "hazard,3,30,1", "hazard,x,30"]
        {
            assert!(Threshold::read_all(bad).unwrap_err().contains(bad), "{bad}");
        }
        assert!(Threshold::read_all("hazard,3,30\nhazard,4,30").unwrap_err().contains("twice"));
    }

    #[test]
    fn so_many_in_so_many_days_and_not_one_fewer() {
        let three_in_thirty = threshold(3, 30);
        assert_eq!(three_in_thirty.found(&[day(0), day(1)], None), None);
        let found = three_in_thirty.found(&[day(29), day(0), day(1)], None).unwrap();
        assert_eq!(found, Found { first_at: day(0), last_at: day(29), times: 3 });
        assert_eq!(
            three_in_thirty.found(&[day(0), day(1), day(30)], None),
            None,
            "thirty days later is too late"
        );
        // The window slides: it begins with any order.
        let found = three_in_thirty.found(&[day(0), day(20), day(35), day(45)], None).unwrap();
        assert_eq!(found, Found { first_at: day(20), last_at: day(45), times: 3 });
    }

    #[test]
    fn an_order_counts_for_one_hazard_at_most() {
        let two_in_ten = threshold(2, 10);
        let placed = [day(0), day(1), day(2), day(3)];
        let first = two_in_ten.found(&placed, None).unwrap();
        assert_eq!(first.times, 4);
        assert_eq!(two_in_ten.found(&placed, Some(first.last_at)), None);
        let more = [placed.as_slice(), &[day(4), day(5)]].concat();
        let second = two_in_ten.found(&more, Some(first.last_at)).unwrap();
        assert_eq!(second, Found { first_at: day(4), last_at: day(5), times: 2 });
    }

    proptest! {
        /// A hazard is found exactly when some window holds enough orders, and what it says of itself is true.
        #[test]
        fn it_is_found_exactly_when_a_window_holds_enough(
            hours in prop::collection::vec(0_i64..(60 * 24), 0..40), times in 2_u32..6, days in 1_u32..40,
            after in prop::option::of(0_i64..(60 * 24))
        ) {
            let at = |hour: i64| day(0) + TimeDelta::hours(hour);
            let placed: Vec<_> = hours.iter().map(|hour| at(*hour)).collect();
            let after = after.map(at);
            let threshold = threshold(times, days);
            let counted = |from: DateTime<Utc>| {
                placed.iter().filter(|one| {
                    **one >= from && **one - from < threshold.span() && after.is_none_or(|after| **one > after)
                }).count()
            };
            let enough = placed.iter().any(|from| {
                after.is_none_or(|after| *from > after) && counted(*from) >= times as usize
            });
            let found = threshold.found(&placed, after);
            prop_assert_eq!(found.is_some(), enough);
            if let Some(found) = found {
                prop_assert_eq!(found.times as usize, counted(found.first_at));
                prop_assert!(found.times >= times && found.last_at - found.first_at < threshold.span());
                prop_assert!(placed.contains(&found.first_at) && placed.contains(&found.last_at));
            }
        }

        /// However often it is looked, no order counts twice, and no two hazards overlap.
        #[test]
        fn looking_again_and_again_counts_nothing_twice(
            hours in prop::collection::btree_set(0_i64..(120 * 24), 0..60), times in 2_u32..5, days in 1_u32..40
        ) {
            let threshold = threshold(times, days);
            let (mut last, mut counted) = (None, 0);
            for look in 1..=120 {
                let placed: Vec<_> = hours.iter().map(|hour| day(0) + TimeDelta::hours(*hour))
                    .filter(|at| *at < day(look)).collect();
                while let Some(found) = threshold.found(&placed, last) {
                    prop_assert!(last.is_none_or(|last| found.first_at > last));
                    counted += found.times as usize;
                    last = Some(found.last_at);
                }
            }
            prop_assert!(counted <= hours.len());
        }
    }
}
