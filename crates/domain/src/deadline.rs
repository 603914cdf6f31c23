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
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;

    /// A moment of China time.
    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(&format!("{}:00+08:00", text.replace(' ', "T"))).unwrap().to_utc()
    }

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn working(start: &str, seconds: i64) -> DateTime<Utc> {
        add(at(start), Limit::new(seconds, Pace::Working), Calendar::china(), &QuietHours::default())
    }

    #[test]
    fn knows_the_announced_years_only() {
        let known: Vec<i32> = (2000..2100).filter(|year| Calendar::china().knows(*year)).collect();
        assert_eq!(known, [2024, 2025, 2026]);
    }

    #[test]
    fn announced_days() {
        let table = [
            ("2024-02-09", true), // the eve of 春节 2024 was worked (that notice left it to the employers)
            ("2024-02-16", false), // Friday in 春节
            ("2024-02-18", true), // Sunday made up
            ("2024-09-14", true), // Saturday made up for 中秋节
            ("2025-01-26", true),
            ("2025-01-28", false),
            ("2025-10-08", false),
            ("2026-01-04", true),
            ("2026-02-14", true),
            ("2026-02-15", false),
            ("2026-02-23", false),
            ("2026-02-24", true),
            ("2026-02-28", true),
            ("2026-10-07", false),
            ("2026-10-10", true),
            ("2026-11-20", true),
            ("2026-11-21", false),
            ("2027-10-01", true), // not announced: an ordinary Friday
            ("2027-10-02", false),
        ];
        for (day, worked) in table {
            assert_eq!(Calendar::china().is_working_day(date(day)), worked, "{day}");
        }
    }

    #[test]
    fn a_years_working_days_add_up() {
        // 2024 has 366 days, 2025 and 2026 have 365; days off are weekends and holidays less the made-up ones.
        for (year, expected) in [(2024, 251), (2025, 248), (2026, 248)] {
            let (from, to) = (date(&format!("{year}-01-01")), date(&format!("{}-01-01", year + 1)));
            let counted = from
                .iter_days()
                .take_while(|day| *day < to)
                .filter(|day| Calendar::china().is_working_day(*day));
            assert_eq!(counted.count(), expected, "{year}");
        }
    }

    #[test]
    fn working_deadlines() {
        let table = [
            // within a day, over a night, over a weekend
            ("2026-11-18 09:00", 2 * HOUR, "2026-11-18 11:00"),
            ("2026-11-18 15:00", 24 * HOUR, "2026-11-19 15:00"),
            ("2026-11-19 15:00", 3 * DAY, "2026-11-24 15:00"),
            ("2026-11-20 15:00", 24 * HOUR, "2026-11-23 15:00"),
            // into the quiet hours: the end of them, on a working day
            ("2026-11-18 20:00", 2 * HOUR, "2026-11-19 07:00"),
            ("2026-11-18 19:00", 2 * HOUR, "2026-11-19 07:00"),
            ("2026-11-18 18:59", 2 * HOUR, "2026-11-18 20:59"),
            ("2026-11-20 20:00", 2 * HOUR, "2026-11-23 07:00"),
            ("2026-11-20 20:00", 4 * HOUR, "2026-11-23 07:00"),
            // started at night, on a Saturday, exactly at midnight
            ("2026-11-18 02:00", 2 * HOUR, "2026-11-18 07:00"),
            ("2026-11-18 02:00", 6 * HOUR, "2026-11-18 08:00"),
            ("2026-11-21 12:00", 8 * HOUR, "2026-11-23 08:00"),
            ("2026-11-21 00:00", 24 * HOUR, "2026-11-24 07:00"),
            ("2026-11-21 12:00", 0, "2026-11-23 07:00"),
            ("2026-11-18 12:00", 0, "2026-11-18 12:00"),
            ("2026-11-18 12:00", -5, "2026-11-18 12:00"),
            // 春节 2026: 14 (Saturday) is made up, 15 to 23 are off
            ("2026-02-13 10:00", 24 * HOUR, "2026-02-14 10:00"),
            ("2026-02-14 10:00", 24 * HOUR, "2026-02-24 10:00"),
            ("2026-02-12 10:00", 7 * DAY, "2026-02-28 10:00"),
            // 国庆节 2026, and Saturday 10 October made up
            ("2026-09-30 10:00", 3 * DAY, "2026-10-10 10:00"),
        ];
        for (start, seconds, expected) in table {
            assert_eq!(working(start, seconds), at(expected), "{start} + {seconds} s");
        }
    }

    #[test]
    fn urgent_runs_through_everything() {
        let limit = Urgency::Urgent.limit(2 * HOUR);
        for (start, expected) in
            [("2026-11-20 23:00", "2026-11-21 01:00"), ("2026-02-17 02:00", "2026-02-17 04:00")]
        {
            assert_eq!(add(at(start), limit, Calendar::china(), &QuietHours::default()), at(expected));
        }
    }

    #[test]
    fn other_quiet_hours() {
        let noon = QuietHours { from: "12:00:00".parse().unwrap(), to: "14:30:00".parse().unwrap() };
        assert_eq!(noon.next_allowed(at("2026-11-18 11:59")), at("2026-11-18 11:59"));
        assert_eq!(noon.next_allowed(at("2026-11-18 12:00")), at("2026-11-18 14:30"));
        assert_eq!(noon.next_allowed(at("2026-11-18 14:30")), at("2026-11-18 14:30"));
        assert_eq!(QuietHours::NONE.next_allowed(at("2026-11-18 00:00")), at("2026-11-18 00:00"));
        let night = QuietHours::default();
        assert_eq!(night.next_allowed(at("2026-11-20 21:00")), at("2026-11-21 07:00"));
        assert_eq!(night.next_allowed(at("2026-11-21 00:30")), at("2026-11-21 07:00"));
        assert_eq!(night.next_allowed(at("2026-11-21 07:00")), at("2026-11-21 07:00"));
        let none =
            add(at("2026-11-20 00:00"), Limit::new(DAY, Pace::Working), Calendar::china(), &QuietHours::NONE);
        assert_eq!(none, at("2026-11-23 00:00"));
        let json = serde_json::to_value(night).unwrap();
        assert_eq!(json, serde_json::json!({"from": "21:00:00", "to": "07:00:00"}));
    }

    #[test]
    fn warns_at_three_quarters() {
        let warn = |start, deadline, pace| warn_at(at(start), at(deadline), pace, Calendar::china());
        assert_eq!(warn("2026-11-20 12:00", "2026-11-23 12:00", Pace::Working), at("2026-11-23 06:00"));
        assert_eq!(warn("2026-11-20 12:00", "2026-11-20 14:00", Pace::Wall), at("2026-11-20 13:30"));
        assert_eq!(warn("2026-11-20 12:00", "2026-11-20 12:00", Pace::Wall), at("2026-11-20 12:00"));
        assert_eq!(warn("2026-11-20 12:00", "2026-11-20 11:00", Pace::Working), at("2026-11-20 12:00"));
    }

    #[test]
    fn a_pause_keeps_what_was_left() {
        let resumed = |deadline, paused, resumed, pace| {
            resume(at(deadline), at(paused), at(resumed), pace, Calendar::china(), &QuietHours::default())
        };
        let work = Pace::Working;
        // 6 hours were left
        let deadline = "2026-11-18 18:00";
        assert_eq!(resumed(deadline, "2026-11-18 12:00", "2026-11-19 09:00", work), at("2026-11-19 15:00"));
        // over a weekend, and into the quiet hours
        assert_eq!(resumed(deadline, "2026-11-18 12:00", "2026-11-21 09:00", work), at("2026-11-23 07:00"));
        assert_eq!(resumed(deadline, "2026-11-18 12:00", "2026-11-19 16:00", work), at("2026-11-20 07:00"));
        assert_eq!(
            resumed(deadline, "2026-11-18 12:00", "2026-11-21 09:00", Pace::Wall),
            at("2026-11-21 15:00")
        );
        // already missed
        assert_eq!(resumed(deadline, "2026-11-18 18:30", "2026-11-19 09:00", work), at(deadline));
    }

    #[test]
    fn default_limits() {
        let table = [
            (Urgency::Urgent, Pace::Wall, (300, 900, Some(7200), 86_400, None)),
            (Urgency::Priority, Pace::Working, (1800, 7200, None, 86_400, None)),
            (Urgency::Normal, Pace::Working, (7200, 86_400, None, 259_200, None)),
            (Urgency::Complex, Pace::Working, (7200, 86_400, None, 604_800, Some(604_800))),
        ];
        for (urgency, pace, expected) in table {
            let limits = TimeLimits::default_for(urgency);
            let TimeLimits { dispatch, accept, arrive, complete, extension } = limits;
            assert_eq!((dispatch, accept, arrive, complete, extension), expected, "{urgency}");
            assert_eq!(urgency.pace(), pace);
            assert_eq!(limits.check(), Ok(()));
            assert_eq!(urgency.as_str().parse(), Ok(urgency));
            assert_eq!(serde_json::to_value(urgency).unwrap(), urgency.as_str());
        }
        let limits = TimeLimits::default_for(Urgency::Normal);
        let wrong = TimeLimits { arrive: Some(0), ..limits };
        assert_eq!(wrong.check(), Err(TimeLimitsError { field: "arrive" }));
        let wrong = TimeLimits { complete: Limit::MAX_SECONDS + 1, ..limits };
        assert_eq!(wrong.check(), Err(TimeLimitsError { field: "complete" }));
    }

    #[test]
    fn reads_a_new_year_or_changes_nothing() {
        let mut calendar = Calendar::china().clone();
        calendar
            .learn(2027, "# test\ndate,kind,name\n2027-01-01,holiday,元旦\n2027-01-03,work,元旦\n")
            .unwrap();
        assert!(calendar.knows(2027));
        assert!(!calendar.is_working_day(date("2027-01-01")) && calendar.is_working_day(date("2027-01-03")));

        let before = calendar.clone();
        let table = [
            ("", CalendarError::Header),
            ("2027-01-01,holiday,元旦", CalendarError::Header),
            ("date,kind,name\n2027-01-32,holiday,元旦", CalendarError::Row { line: 2 }),
            ("date,kind,name\n\n2027-01-01,off,元旦", CalendarError::Row { line: 3 }),
            ("date,kind,name\n2027-01-01,holiday", CalendarError::Row { line: 2 }),
            ("date,kind,name\n2027-01-01,holiday,a,b", CalendarError::Row { line: 2 }),
            ("date,kind,name\n2026-12-31,holiday,元旦", CalendarError::Year { line: 2, year: 2027 }),
            (
                "date,kind,name\n2027-01-01,holiday,元旦\n2027-01-01,work,元旦",
                CalendarError::Twice { line: 3 },
            ),
        ];
        for (file, error) in table {
            assert_eq!(calendar.learn(2027, file), Err(error), "{file}");
            assert_eq!(calendar, before);
        }

        calendar.learn(2027, "date,kind,name\n").unwrap();
        assert!(calendar.is_working_day(date("2027-01-01")), "the second reading replaces the first");
        assert!(!calendar.is_working_day(date("2026-10-01")), "other years stay");
    }

    #[test]
    fn the_ends_of_time_do_not_panic() {
        let (least, most) = (DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC);
        for start in [least, most] {
            for pace in [Pace::Wall, Pace::Working] {
                let end = add(start, Limit::new(i64::MAX, pace), Calendar::china(), &QuietHours::default());
                assert!(end >= start);
                assert!(warn_at(least, start, pace, Calendar::china()) <= most);
                assert!(running_between(least, start, pace, Calendar::china()) >= 0);
                resume(most, least, start, pace, Calendar::china(), &QuietHours::default());
            }
        }
    }

    /// Moments of 2024 to 2028: known and unknown years, whole milliseconds as the clock gives them.
    fn moment() -> impl Strategy<Value = DateTime<Utc>> {
        (1_704_038_400_000_i64..1_830_268_800_000)
            .prop_map(|millis| DateTime::from_timestamp_millis(millis).unwrap())
            .prop_flat_map(|any| {
                let (day, _) = split_seconds(any);
                // Half of them at a full hour, where the edges are.
                prop_oneof![Just(any), (0i64..24).prop_map(move |h| day_start(day) + TimeDelta::hours(h))]
            })
    }

    fn seconds() -> impl Strategy<Value = i64> {
        prop_oneof![0i64..20 * DAY, (0i64..20 * 24).prop_map(|hours| hours * HOUR), Just(0)]
    }

    fn pace() -> impl Strategy<Value = Pace> {
        prop_oneof![Just(Pace::Wall), Just(Pace::Working)]
    }

    fn quiet() -> impl Strategy<Value = QuietHours> {
        let hour = |hour: u32| NaiveTime::from_hms_opt(hour, 0, 0).unwrap();
        prop_oneof![
            Just(QuietHours::default()),
            Just(QuietHours::NONE),
            (0u32..24, 0u32..24).prop_map(move |(from, to)| QuietHours { from: hour(from), to: hour(to) }),
        ]
    }

    fn is_working_moment(at: DateTime<Utc>, quiet: &QuietHours) -> bool {
        let day = date_of_day(split_seconds(at).0).unwrap();
        Calendar::china().is_working_day(day) && !quiet.is_quiet(at)
    }

    proptest! {
        #[test]
        fn grows_with_start_and_limit(s in moment(), t in moment(), a in seconds(), b in seconds(), pace in pace(), quiet in quiet()) {
            let china = Calendar::china();
            let end = |start, seconds| add(start, Limit::new(seconds, pace), china, &quiet);
            prop_assert!(end(s.min(t), a) <= end(s.max(t), a));
            prop_assert!(end(s, a.min(b)) <= end(s, a.max(b)));
            prop_assert!(end(s, a) >= s + TimeDelta::seconds(a), "earlier than the wall clock");
        }

        #[test]
        fn working_deadlines_are_working_moments(s in moment(), a in seconds(), quiet in quiet()) {
            let end = add(s, Limit::new(a, Pace::Working), Calendar::china(), &quiet);
            prop_assert!(is_working_moment(end, &quiet));
            prop_assert_eq!(add(end, Limit::new(0, Pace::Working), Calendar::china(), &quiet), end);
        }

        #[test]
        fn two_limits_are_their_sum_unless_the_night_came_between(s in moment(), a in seconds(), b in seconds(), pace in pace(), quiet in quiet()) {
            let china = Calendar::china();
            let end = |start, seconds| add(start, Limit::new(seconds, pace), china, &quiet);
            let first = end(s, a);
            let (twice, once) = (end(first, b), end(s, a + b));
            prop_assert!(twice >= once);
            let ran = running_between(s, first, pace, china);
            prop_assert!(ran >= a);
            if ran == a {
                prop_assert_eq!(twice, once);
            }
            if pace == Pace::Wall {
                prop_assert_eq!(ran, a);
            }
        }

        #[test]
        fn running_time_is_additive(s in moment(), t in moment(), u in moment(), pace in pace()) {
            let mut moments = [s, t, u];
            moments.sort();
            let [s, t, u] = moments;
            let china = Calendar::china();
            let parts = running(s, t, pace, china) + running(t, u, pace, china);
            prop_assert_eq!(parts, running(s, u, pace, china));
            prop_assert!(running(s, t, pace, china) <= t - s);
            prop_assert_eq!(running_between(t, s, pace, china), 0);
        }

        /// Counting by weeks agrees with walking through the days.
        #[test]
        fn counts_the_days_that_a_walk_counts(from in 19_700i64..21_200, length in 0i64..400) {
            let china = Calendar::china();
            let walked = (from..from + length).filter(|day| china.is_worked(*day)).count() as i64;
            prop_assert_eq!(china.worked_between(from, from + length), walked);
        }

        #[test]
        fn weekdays_are_chronos(day in -1_000_000i64..1_000_000) {
            use chrono::Weekday::{Sat, Sun};
            let date = date_of_day(day).unwrap();
            prop_assert_eq!(is_weekday(day), ![Sat, Sun].contains(&date.weekday()));
            prop_assert_eq!(day_of_date(date), day);
        }

        #[test]
        fn a_pause_without_length_changes_nothing(s in moment(), a in seconds(), into in 0i64..20 * DAY, pace in pace(), quiet in quiet()) {
            let china = Calendar::china();
            let deadline = add(s, Limit::new(a, pace), china, &quiet);
            let paused = s + TimeDelta::seconds(into);
            prop_assert_eq!(resume(deadline, paused, paused, pace, china, &quiet), deadline);
            // Nor does one of a millisecond change more than a millisecond of running time or one night can explain.
            let after = resume(deadline, paused, paused + TimeDelta::milliseconds(1), pace, china, &quiet);
            prop_assert!(after >= deadline);
        }

        #[test]
        fn a_pause_never_takes_running_time_away(s in moment(), a in seconds(), into in 0i64..20 * DAY, length in 1i64..20 * DAY, pace in pace(), quiet in quiet()) {
            let china = Calendar::china();
            let deadline = add(s, Limit::new(a, pace), china, &quiet);
            let paused = s + TimeDelta::seconds(into);
            let resumed = paused + TimeDelta::seconds(length);
            let after = resume(deadline, paused, resumed, pace, china, &quiet);
            prop_assert!(after >= deadline);
            if deadline > paused {
                let (left, now) = (running(paused, deadline, pace, china), running(resumed, after, pace, china));
                prop_assert!(now >= left);
                prop_assert!(pace == Pace::Working || now == left);
                prop_assert!(pace == Pace::Wall || is_working_moment(after, &quiet));
            }
        }

        #[test]
        fn warnings_come_in_time(s in moment(), a in seconds(), pace in pace(), quiet in quiet()) {
            let china = Calendar::china();
            let deadline = add(s, Limit::new(a, pace), china, &quiet);
            let warning = warn_at(s, deadline, pace, china);
            prop_assert!(s <= warning && warning <= deadline);
            let (ran, all) = (running(s, warning, pace, china), running(s, deadline, pace, china));
            prop_assert!((ran - all * 3 / 4).abs() < TimeDelta::microseconds(1));
            prop_assert!(all.is_zero() || warning < deadline);
        }

        #[test]
        fn messages_wait_for_the_end_of_the_quiet_hours(s in moment(), quiet in quiet()) {
            let sent = quiet.next_allowed(s);
            prop_assert!(!quiet.is_quiet(sent));
            prop_assert!(sent >= s && sent - s < TimeDelta::days(1));
            prop_assert_eq!(sent == s, !quiet.is_quiet(s));
            prop_assert!(next_working_moment(s, Calendar::china(), &quiet) >= sent);
        }

        #[test]
        fn reading_a_calendar_never_panics(file in "(date,kind,name\n)?(2027-0[0-9]-[0-3][0-9],(holiday|work|x),.{0,3}\n){0,5}|.{0,40}") {
            let mut calendar = Calendar::weekends_only();
            let read = calendar.learn(2027, &file).is_ok();
            prop_assert_eq!(calendar.knows(2027), read);
        }
    }
}
