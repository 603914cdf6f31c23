//! Arithmetic on days since 1970-01-01 of China time, and on the time passed in them.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

pub(super) const DAY_SECONDS: i64 = 24 * 60 * 60;

/// China time is this many seconds ahead of UTC.
const CHINA_OFFSET_SECONDS: i64 = 8 * 60 * 60;

/// The day of `at` and the whole seconds passed in it.
pub(crate) fn split_seconds(at: DateTime<Utc>) -> (i64, i64) {
    let seconds = local_seconds(at);
    (seconds.div_euclid(DAY_SECONDS), seconds.rem_euclid(DAY_SECONDS))
}

pub(super) fn local_seconds(at: DateTime<Utc>) -> i64 {
    at.timestamp() + CHINA_OFFSET_SECONDS
}

pub(super) fn day_start(day: i64) -> DateTime<Utc> {
    let end_of_time = if day < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
    DateTime::from_timestamp(day * DAY_SECONDS - CHINA_OFFSET_SECONDS, 0).unwrap_or(end_of_time)
}

pub(super) fn day_of_date(date: NaiveDate) -> i64 {
    date.signed_duration_since(NaiveDate::default()).num_days() // the default is 1970-01-01
}

pub(super) fn date_of_day(day: i64) -> Option<NaiveDate> {
    NaiveDate::default().checked_add_signed(TimeDelta::try_days(day)?)
}

/// Monday 1969-12-29 is day -3.
const SOME_MONDAY: i64 = -3;

pub(super) fn is_weekday(day: i64) -> bool {
    (day - SOME_MONDAY).rem_euclid(7) < 5
}

/// Mondays to Fridays from [`SOME_MONDAY`] up to `day`, that one excluded; below zero before it.
pub(super) fn weekdays_before(day: i64) -> i64 {
    let days = day - SOME_MONDAY;
    days.div_euclid(7) * 5 + days.rem_euclid(7).min(5)
}
