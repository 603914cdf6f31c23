//! Caps: how much of what a rule gives one person may have, in a month, in a day, and of one order.
//!
//! What is used up is counted by the store, inside the transaction that books; here is what it leaves.

use chrono::NaiveDate;
use uuid::Uuid;

use super::month::YearMonth;

/// What a count is kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Span {
    /// A month (China time).
    Month,
    /// A day (China time).
    Day,
    /// An order, with all that it brings: its completion and its rating count together.
    Order,
}

/// The caps of a rule; none where there is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Caps {
    /// Points of the rule for one person in a month.
    pub month: Option<i64>,
    /// Points of the rule for one person in a day.
    pub day: Option<i64>,
    /// Points that one order may have brought one person once this rule has given its share.
    pub order: Option<i64>,
}

/// Points that were given before, as far as caps count them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// Of the rule, in the month.
    pub month: i64,
    /// Of the rule, on the day.
    pub day: i64,
    /// Of the order, by all rules with a cap per order.
    pub order: i64,
}

impl Used {
    /// So many in the month, nothing on the day or of the order.
    pub fn in_month(month: i64) -> Self {
        Self { month, ..Self::default() }
    }

    /// What was used of one span.
    pub fn of(&self, span: Span) -> i64 {
        match span {
            Span::Month => self.month,
            Span::Day => self.day,
            Span::Order => self.order,
        }
    }

    /// Notes what was used of one span.
    pub fn note(&mut self, span: Span, points: i64) {
        match span {
            Span::Month => self.month = points,
            Span::Day => self.day = points,
            Span::Order => self.order = points,
        }
    }
}

impl Caps {
    /// What they leave of `points`: all, a part or nothing. Deductions are never cut.
    pub fn within(&self, points: i64, used: Used) -> i64 {
        if points <= 0 {
            return points;
        }
        let spans = [(self.month, used.month), (self.day, used.day), (self.order, used.order)];
        let left = spans.into_iter().filter_map(|(cap, used)| cap.map(|cap| cap.saturating_sub(used)));
        left.fold(points, i64::min).max(0)
    }
}

/// One count in which an award is noted: code and window are its key beside the person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counter {
    /// The rule's code; for an order the one word that no code is ([`OF_ORDER`]).
    pub code: String,
    /// `2026-03`, `2026-03-05`, or the order's id.
    pub window: String,
    /// What it is kept for.
    pub span: Span,
}

/// In place of a rule's code, for counts of an order: codes are in capitals.
pub const OF_ORDER: &str = "order";

/// The counts that these caps look at, in the order in which their rows are locked.
pub(super) fn counters(
    caps: &Caps,
    code: &str,
    month: YearMonth,
    day: NaiveDate,
    order: Option<Uuid>,
) -> Vec<Counter> {
    let of = |code: &str, window: String, span| Counter { code: code.to_owned(), window, span };
    let mut counters = Vec::new();
    counters.extend(caps.month.map(|_| of(code, month.to_string(), Span::Month)));
    counters.extend(caps.day.map(|_| of(code, day.to_string(), Span::Day)));
    if let (Some(_), Some(order)) = (caps.order, order) {
        counters.push(of(OF_ORDER, order.to_string(), Span::Order));
    }
    counters.sort();
    counters
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_narrowest_cap_decides() {
        let caps = Caps { month: Some(30), day: Some(6), order: Some(4) };
        let table = [
            ((0, 0, 0), 3),
            ((27, 0, 0), 3),
            ((28, 0, 0), 2),
            ((0, 4, 0), 2),
            ((0, 6, 0), 0),
            ((0, 0, 2), 2),
            ((0, 0, 4), 0),
            ((0, 0, 5), 0),
            ((29, 5, 3), 1),
            ((30, 0, 0), 0),
            ((i64::MAX, 0, 0), 0),
            ((i64::MIN, i64::MIN, i64::MIN), 3),
        ];
        for ((month, day, order), left) in table {
            assert_eq!(caps.within(3, Used { month, day, order }), left, "{month} {day} {order}");
            assert_eq!(caps.within(-2, Used { month, day, order }), -2, "deductions are never cut");
            assert_eq!(Caps::default().within(3, Used { month, day, order }), 3);
        }
    }

    #[test]
    fn an_award_is_counted_only_where_it_has_a_cap() {
        let (month, day) = ("2026-03".parse().expect("a month"), "2026-03-05".parse().expect("a day"));
        let order = Uuid::from_u128(7);
        let all = Caps { month: Some(1), day: Some(1), order: Some(1) };
        let keys = |caps: &Caps, order| -> Vec<(String, String)> {
            let counters = counters(caps, "609", month, day, order);
            counters.into_iter().map(|counter| (counter.code, counter.window)).collect()
        };
        let key = |code: &str, window: &str| (code.to_owned(), window.to_owned());
        let (of_month, of_day) = (key("609", "2026-03"), key("609", "2026-03-05"));
        let of_order = key("order", "00000000-0000-0000-0000-000000000007");
        assert_eq!(keys(&all, Some(order)), [of_month.clone(), of_day.clone(), of_order]);
        assert_eq!(keys(&all, None), [of_month, of_day]);
        assert_eq!(keys(&Caps::default(), Some(order)), []);
    }

    proptest! {
        #[test]
        fn what_is_left_never_exceeds_any_cap(
            points in 0_i64..100, month in 0_i64..100, day in 0_i64..100, order in 0_i64..100,
            used in (0_i64..120, 0_i64..120, 0_i64..120),
        ) {
            let caps = Caps { month: Some(month), day: Some(day), order: Some(order) };
            let used = Used { month: used.0, day: used.1, order: used.2 };
            let left = caps.within(points, used);
            prop_assert!((0..=points).contains(&left));
            for (cap, used) in [(month, used.month), (day, used.day), (order, used.order)] {
                prop_assert!(left == 0 || used + left <= cap);
            }
        }
    }
}
