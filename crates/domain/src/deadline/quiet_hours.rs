//! The part of the day in which nobody is disturbed.

use chrono::{DateTime, NaiveTime, TimeDelta, Timelike, Utc};
use serde::{Deserialize, Serialize};

use super::day::{DAY_SECONDS, day_start, local_seconds, split_seconds};

/// The part of the day in which nobody is disturbed and no deadline falls, in China time. It may span midnight; if both
/// ends are the same there is none. Parts of seconds are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct QuietHours {
    /// The first quiet moment.
    pub from: NaiveTime,
    /// The first moment that is not quiet any more.
    pub to: NaiveTime,
}

impl Default for QuietHours {
    /// 21:00 to 07:00.
    fn default() -> QuietHours {
        QuietHours {
            from: NaiveTime::MIN.with_hour(21).unwrap_or_default(),
            to: NaiveTime::MIN.with_hour(7).unwrap_or_default(),
        }
    }
}

impl QuietHours {
    /// No quiet hours at all.
    pub const NONE: QuietHours = QuietHours { from: NaiveTime::MIN, to: NaiveTime::MIN };

    /// Whether `at` is quiet.
    pub fn is_quiet(&self, at: DateTime<Utc>) -> bool {
        let (from, to) = self.bounds();
        let second = local_seconds(at).rem_euclid(DAY_SECONDS);
        if from <= to { (from..to).contains(&second) } else { second >= from || second < to }
    }

    /// `at` itself, or the end of the quiet hours if it is in them: when a message of `at` may be sent. Days off do not
    /// matter here; where they do, use [`next_working_moment`](super::next_working_moment).
    pub fn next_allowed(&self, at: DateTime<Utc>) -> DateTime<Utc> {
        if !self.is_quiet(at) {
            return at;
        }
        let (from, to) = self.bounds();
        let (day, second) = split_seconds(at);
        let ends_tomorrow = from > to && second >= from;
        let end = day_start(day + i64::from(ends_tomorrow)).checked_add_signed(TimeDelta::seconds(to));
        end.unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    fn bounds(&self) -> (i64, i64) {
        (i64::from(self.from.num_seconds_from_midnight()), i64::from(self.to.num_seconds_from_midnight()))
    }
}
