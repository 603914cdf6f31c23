//! Time limits: the one place that turns "within 3 days" into a moment.
//!
//! Two clocks ([`Pace`]):
//! * *Wall*: time as it passes. Urgent orders run by it.
//! * *Working*: stands still on days that are not worked, from 00:00 to 24:00 China time, and runs 24 hours on days that
//!   are; nights count. So "3 days" are 3 × 24 hours of working time: from Thursday 15:00 to Tuesday 15:00. A deadline
//!   that would fall into the quiet hours (21:00 to 07:00) moves to the next working moment, see
//!   [`next_working_moment`]: nobody is expected to finish something at 3 in the morning.
//!
//! Which days are worked is data: Monday to Friday, but for the days that the State Council announces each November for
//! the next year, days off and make-up working days (调休). `data/calendar/<year>.csv` has them; a year without a file
//! is weekends only and [`Calendar::knows`] says so. `tests/check_calendar.py` compares them with an independent source.
//!
//! China time is UTC+8 throughout, without summer time. Everything here is arithmetic on days since 1970-01-01 of China
//! time ("day") and the time passed in that day. At the ends of what chrono can represent, results stick to the end.

use chrono::{DateTime, TimeDelta, Utc};

use self::day::{DAY_SECONDS, day_start, split_seconds};

mod calendar;
pub(crate) mod day;
mod limit;
mod quiet_hours;

pub use calendar::{Calendar, CalendarError};
pub use limit::{Limit, Pace, TimeLimits, TimeLimitsError, UnknownUrgency, Urgency};
pub use quiet_hours::QuietHours;

/// The moment at which `limit` from `start` is over.
///
/// At working pace the result is always a moment of a working day outside the quiet hours. It is never before
/// `start + limit`, and grows with `start` and with `limit`.
pub fn add(start: DateTime<Utc>, limit: Limit, calendar: &Calendar, quiet: &QuietHours) -> DateTime<Utc> {
    match limit.pace {
        Pace::Wall => later(start, limit.duration()),
        Pace::Working => {
            next_working_moment(after_working(start, limit.duration(), calendar), calendar, quiet)
        }
    }
}

/// The first moment from `at` on that is on a working day and outside the quiet hours. Friday 22:00 gives Monday 07:00.
pub fn next_working_moment(at: DateTime<Utc>, calendar: &Calendar, quiet: &QuietHours) -> DateTime<Utc> {
    let mut at = at;
    loop {
        let (day, _) = split_seconds(at);
        let moved = if calendar.is_worked(day) {
            quiet.next_allowed(at)
        } else {
            day_start(calendar.next_worked(day))
        };
        if moved <= at {
            return at;
        }
        at = moved;
    }
}

/// The moment at which three quarters of the running time from `start` to `deadline` are over: time for a warning.
///
/// It is a moment for the board and may fall into the quiet hours (the message waits for [`QuietHours::next_allowed`]).
/// Never after `deadline`. After a pause ask again with the moment of the resumption as `start`.
pub fn warn_at(
    start: DateTime<Utc>,
    deadline: DateTime<Utc>,
    pace: Pace,
    calendar: &Calendar,
) -> DateTime<Utc> {
    let running = running(start, deadline, pace, calendar);
    let until_warning = running / 4 * 3; // in this order nothing overflows
    match pace {
        Pace::Wall => later(start, until_warning),
        Pace::Working => after_working(start, until_warning, calendar).min(deadline.max(start)),
    }
}

/// Seconds that ran at `pace` between two moments, cut to whole ones; 0 if `to` is not after `from`.
pub fn running_between(from: DateTime<Utc>, to: DateTime<Utc>, pace: Pace, calendar: &Calendar) -> i64 {
    running(from, to, pace, calendar).num_seconds()
}

/// The deadline after a pause (the order was `waiting`): what was left of the running time at `paused_at` is left again at
/// `resumed_at`.
///
/// A deadline that had passed when the pause began stays, and so does one whose pause took no time.
pub fn resume(
    deadline: DateTime<Utc>,
    paused_at: DateTime<Utc>,
    resumed_at: DateTime<Utc>,
    pace: Pace,
    calendar: &Calendar,
    quiet: &QuietHours,
) -> DateTime<Utc> {
    if resumed_at <= paused_at || deadline <= paused_at {
        return deadline;
    }
    let left = running(paused_at, deadline, pace, calendar);
    match pace {
        Pace::Wall => later(resumed_at, left),
        Pace::Working => next_working_moment(after_working(resumed_at, left, calendar), calendar, quiet),
    }
}

fn running(from: DateTime<Utc>, to: DateTime<Utc>, pace: Pace, calendar: &Calendar) -> TimeDelta {
    if to <= from {
        return TimeDelta::zero();
    }
    match pace {
        Pace::Wall => to.signed_duration_since(from),
        Pace::Working => {
            let ((from_day, from_passed), (to_day, to_passed)) =
                (split_working(from, calendar), split_working(to, calendar));
            TimeDelta::days(calendar.worked_between(from_day, to_day)) - from_passed + to_passed
        }
    }
}

/// `duration` of working time (ten years at most: it walks through the days) after `start`, on a working day; possibly in
/// the quiet hours.
fn after_working(start: DateTime<Utc>, duration: TimeDelta, calendar: &Calendar) -> DateTime<Utc> {
    let (mut day, passed) = split_working(start, calendar);
    if !calendar.is_worked(day) {
        day = calendar.next_worked(day);
    }
    let mut left = passed + duration.min(TimeDelta::seconds(Limit::MAX_SECONDS));
    // The end of a working day is the beginning of the next one: `>=`, so that no result lies on a day off.
    while left >= TimeDelta::seconds(DAY_SECONDS) {
        left -= TimeDelta::seconds(DAY_SECONDS);
        day = calendar.next_worked(day);
    }
    later(day_start(day), left).max(start)
}

fn later(at: DateTime<Utc>, by: TimeDelta) -> DateTime<Utc> {
    at.checked_add_signed(by).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// The day of `at` and the working time that has passed in it, which is none on a day off.
fn split_working(at: DateTime<Utc>, calendar: &Calendar) -> (i64, TimeDelta) {
    let (day, second) = split_seconds(at);
    let passed = if calendar.is_worked(day) {
        TimeDelta::seconds(second) + TimeDelta::nanoseconds(i64::from(at.timestamp_subsec_nanos()))
    } else {
        TimeDelta::zero()
    };
    (day, passed)
}

#[cfg(test)]
mod tests;
