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

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, Timelike, Utc};
use serde::{Deserialize, Serialize};

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// China time is this many seconds ahead of UTC.
const CHINA_OFFSET_SECONDS: i64 = 8 * 60 * 60;

/// The files of [`Calendar::china`].
const CALENDAR_FILES: [(i32, &str); 3] = [
    (2024, include_str!("../data/calendar/2024.csv")),
    (2025, include_str!("../data/calendar/2025.csv")),
    (2026, include_str!("../data/calendar/2026.csv")),
];

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
    /// The longest limit, ten years: far above any in use, and a bound on the work of [`add`].
    pub const MAX_SECONDS: i64 = 3660 * DAY_SECONDS;

    /// A limit of `seconds` at `pace`.
    pub fn new(seconds: i64, pace: Pace) -> Limit {
        Limit { seconds, pace }
    }

    fn duration(self) -> TimeDelta {
        TimeDelta::seconds(self.seconds.clamp(0, Self::MAX_SECONDS))
    }
}

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

/// Why a calendar file cannot be read. Lines are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// The first line that is not a comment is not `date,kind,name`.
    #[error("a calendar file begins with the line date,kind,name")]
    Header,
    /// A row is not a date (2026-02-15), `holiday` or `work`, and a name.
    #[error("line {line}: expected a date, holiday or work, and a name")]
    Row {
        /// The line.
        line: usize,
    },
    /// A date of another year.
    #[error("line {line}: the date is not in {year}")]
    Year {
        /// The line.
        line: usize,
        /// The year that the file is for.
        year: i32,
    },
    /// A date for the second time.
    #[error("line {line}: the date was there already")]
    Twice {
        /// The line.
        line: usize,
    },
}

/// Which days are worked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Calendar {
    /// Announced days, true if worked.
    announced: BTreeMap<i64, bool>,
    years: BTreeSet<i32>,
}

impl Calendar {
    /// The calendar of mainland China as announced so far, built into the program.
    pub fn china() -> &'static Calendar {
        static CHINA: LazyLock<Calendar> = LazyLock::new(|| {
            let mut calendar = Calendar::weekends_only();
            for (year, file) in CALENDAR_FILES {
                calendar.learn(year, file).expect("a test reads the built-in files");
            }
            calendar
        });
        &CHINA
    }

    /// A calendar that knows no announced days.
    pub fn weekends_only() -> Calendar {
        Calendar::default()
    }

    /// Takes the days of `year` from the text of a calendar file; what was known of that year is forgotten. After an
    /// error nothing has changed.
    ///
    /// Lines are `date,kind,name` with kind `holiday` or `work`; lines that begin with `#` are comments.
    pub fn learn(&mut self, year: i32, file: &str) -> Result<(), CalendarError> {
        let mut lines = file
            .trim_start_matches('\u{feff}')
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line.trim()))
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        if lines.next().is_none_or(|(_, header)| header != "date,kind,name") {
            return Err(CalendarError::Header);
        }
        let mut days = BTreeMap::new();
        for (line, row) in lines {
            let (date, worked) = read_row(row).ok_or(CalendarError::Row { line })?;
            if date.year() != year {
                return Err(CalendarError::Year { line, year });
            }
            if days.insert(day_of_date(date), worked).is_some() {
                return Err(CalendarError::Twice { line });
            }
        }
        self.forget(year);
        self.announced.append(&mut days);
        self.years.insert(year);
        Ok(())
    }

    fn forget(&mut self, year: i32) {
        self.announced.retain(|day, _| date_of_day(*day).is_none_or(|date| date.year() != year));
        self.years.remove(&year);
    }

    /// Whether the announced days of `year` are known. If not, only Saturdays and Sundays are off.
    pub fn knows(&self, year: i32) -> bool {
        self.years.contains(&year)
    }

    /// Whether `date` (of China time) is worked.
    pub fn is_working_day(&self, date: NaiveDate) -> bool {
        self.is_worked(day_of_date(date))
    }

    fn is_worked(&self, day: i64) -> bool {
        self.announced.get(&day).copied().unwrap_or_else(|| is_weekday(day))
    }

    fn next_worked(&self, after: i64) -> i64 {
        // At most two days a weekend and finitely many announced ones are off: this ends.
        (after + 1..).find(|day| self.is_worked(*day)).unwrap_or(after)
    }

    /// How many of the days `from <= day < to` are worked, counted without walking through them.
    fn worked_between(&self, from: i64, to: i64) -> i64 {
        let by_week = weekdays_before(to) - weekdays_before(from);
        let differing = self.announced.range(from..to).filter(|(day, worked)| is_weekday(**day) != **worked);
        by_week + differing.map(|(_, worked)| if *worked { 1 } else { -1 }).sum::<i64>()
    }
}

fn read_row(row: &str) -> Option<(NaiveDate, bool)> {
    let mut cells = row.split(',');
    let date = cells.next()?.parse().ok()?;
    let worked = match cells.next()? {
        "holiday" => false,
        "work" => true,
        _ => return None,
    };
    let name = cells.next()?;
    (!name.is_empty() && cells.next().is_none()).then_some((date, worked))
}

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
    /// matter here; where they do, use [`next_working_moment`].
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

/// The day of `at` and the whole seconds passed in it.
fn split_seconds(at: DateTime<Utc>) -> (i64, i64) {
    let seconds = local_seconds(at);
    (seconds.div_euclid(DAY_SECONDS), seconds.rem_euclid(DAY_SECONDS))
}

fn local_seconds(at: DateTime<Utc>) -> i64 {
    at.timestamp() + CHINA_OFFSET_SECONDS
}

fn day_start(day: i64) -> DateTime<Utc> {
    let end_of_time = if day < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
    DateTime::from_timestamp(day * DAY_SECONDS - CHINA_OFFSET_SECONDS, 0).unwrap_or(end_of_time)
}

fn day_of_date(date: NaiveDate) -> i64 {
    date.signed_duration_since(NaiveDate::default()).num_days() // the default is 1970-01-01
}

fn date_of_day(day: i64) -> Option<NaiveDate> {
    NaiveDate::default().checked_add_signed(TimeDelta::try_days(day)?)
}

/// Monday 1969-12-29 is day -3.
const SOME_MONDAY: i64 = -3;

fn is_weekday(day: i64) -> bool {
    (day - SOME_MONDAY).rem_euclid(7) < 5
}

/// Mondays to Fridays from [`SOME_MONDAY`] up to `day`, that one excluded; below zero before it.
fn weekdays_before(day: i64) -> i64 {
    let days = day - SOME_MONDAY;
    days.div_euclid(7) * 5 + days.rem_euclid(7).min(5)
}

#[cfg(test)]
mod tests;
