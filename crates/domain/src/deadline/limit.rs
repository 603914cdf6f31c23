//! How long something may take: how pressing an order is, the clock that it runs by, and its limits.

use std::fmt;
use std::str::FromStr;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::day::DAY_SECONDS;

/// How pressing an order is. Ordered from the least (`Urgent`, dispatched first) to the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// 紧急: somebody has to be there within hours, day and night.
    Urgent,
    /// 优先: done within a working day.
    Priority,
    /// 普通.
    Normal,
    /// 疑难: needs several hands or an inquiry; may be extended once.
    Complex,
}

impl Urgency {
    /// All urgencies, the most pressing first.
    pub const ALL: [Urgency; 4] = [Urgency::Urgent, Urgency::Priority, Urgency::Normal, Urgency::Complex];

    /// Urgent orders run by the wall clock, all others by the working calendar.
    pub fn pace(self) -> Pace {
        match self {
            Urgency::Urgent => Pace::Wall,
            Urgency::Priority | Urgency::Normal | Urgency::Complex => Pace::Working,
        }
    }

    /// A limit of `seconds` at this urgency's pace.
    pub fn limit(self, seconds: i64) -> Limit {
        Limit::new(seconds, self.pace())
    }

    /// The name in JSON and in the database, for example `urgent`.
    pub fn as_str(self) -> &'static str {
        match self {
            Urgency::Urgent => "urgent",
            Urgency::Priority => "priority",
            Urgency::Normal => "normal",
            Urgency::Complex => "complex",
        }
    }
}

impl fmt::Display for Urgency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Urgency {
    type Err = UnknownUrgency;

    fn from_str(text: &str) -> Result<Urgency, UnknownUrgency> {
        Urgency::ALL.into_iter().find(|urgency| urgency.as_str() == text).ok_or(UnknownUrgency)
    }
}

/// A text is not the name of an [`Urgency`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an urgency: expected urgent, priority, normal or complex")]
pub struct UnknownUrgency;

/// Which clock a limit runs by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// Every second counts.
    Wall,
    /// Only seconds of working days count.
    Working,
}

/// How long something may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Limit {
    /// Seconds at `pace`. Below zero counts as zero, above [`Limit::MAX_SECONDS`] as that.
    pub seconds: i64,
    /// The clock it runs by.
    pub pace: Pace,
}

impl Limit {
    /// The longest limit, ten years: far above any in use, and a bound on the work of [`add`](super::add).
    pub const MAX_SECONDS: i64 = 3660 * DAY_SECONDS;

    /// A limit of `seconds` at `pace`.
    pub fn new(seconds: i64, pace: Pace) -> Limit {
        Limit { seconds, pace }
    }

    pub(super) fn duration(self) -> TimeDelta {
        TimeDelta::seconds(self.seconds.clamp(0, Self::MAX_SECONDS))
    }
}

/// The limits of an order, all in seconds at its urgency's pace. They are data, by category and urgency; these are the
/// defaults' shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TimeLimits {
    /// From placed to dispatched.
    pub dispatch: i64,
    /// From dispatched to accepted. For complex orders this is the answer that the resident waits for.
    pub accept: i64,
    /// From accepted to being on site, where that is asked for.
    pub arrive: Option<i64>,
    /// The completion clock. It runs on when the order is handed over and stands still while it waits.
    pub complete: i64,
    /// The one extension of `complete`, where there is one; it needs a reason.
    pub extension: Option<i64>,
}

impl TimeLimits {
    /// The limits that hold where the county has set no others.
    pub fn default_for(urgency: Urgency) -> TimeLimits {
        const MINUTE: i64 = 60;
        const HOUR: i64 = 60 * MINUTE;
        const DAY: i64 = DAY_SECONDS;
        match urgency {
            Urgency::Urgent => TimeLimits {
                dispatch: 5 * MINUTE,
                accept: 15 * MINUTE,
                arrive: Some(2 * HOUR),
                complete: 24 * HOUR,
                extension: None,
            },
            Urgency::Priority => TimeLimits {
                dispatch: 30 * MINUTE,
                accept: 2 * HOUR,
                arrive: None,
                complete: 24 * HOUR,
                extension: None,
            },
            Urgency::Normal => TimeLimits {
                dispatch: 2 * HOUR,
                accept: 24 * HOUR,
                arrive: None,
                complete: 3 * DAY,
                extension: None,
            },
            Urgency::Complex => TimeLimits {
                dispatch: 2 * HOUR,
                accept: DAY,
                arrive: None,
                complete: 7 * DAY,
                extension: Some(7 * DAY),
            },
        }
    }

    /// Checks limits that somebody entered: each above zero and at most [`Limit::MAX_SECONDS`].
    pub fn check(&self) -> Result<(), TimeLimitsError> {
        let fields = [
            ("dispatch", Some(self.dispatch)),
            ("accept", Some(self.accept)),
            ("arrive", self.arrive),
            ("complete", Some(self.complete)),
            ("extension", self.extension),
        ];
        let wrong = |seconds: i64| !(1..=Limit::MAX_SECONDS).contains(&seconds);
        match fields.into_iter().find(|(_, seconds)| seconds.is_some_and(wrong)) {
            Some((field, _)) => Err(TimeLimitsError { field }),
            None => Ok(()),
        }
    }
}

/// A limit that cannot be kept: not above zero, or longer than ten years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the limit `{field}` has to be above zero and at most ten years")]
pub struct TimeLimitsError {
    /// The field of [`TimeLimits`].
    pub field: &'static str,
}
