//! Which days are worked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use chrono::{Datelike, NaiveDate};

use super::day::{date_of_day, day_of_date, is_weekday, weekdays_before};

/// The files of [`Calendar::china`].
const CALENDAR_FILES: [(i32, &str); 3] = [
    (2024, include_str!("../../data/calendar/2024.csv")),
    (2025, include_str!("../../data/calendar/2025.csv")),
    (2026, include_str!("../../data/calendar/2026.csv")),
];

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

    pub(super) fn is_worked(&self, day: i64) -> bool {
        self.announced.get(&day).copied().unwrap_or_else(|| is_weekday(day))
    }

    pub(super) fn next_worked(&self, after: i64) -> i64 {
        // At most two days a weekend and finitely many announced ones are off: this ends.
        (after + 1..).find(|day| self.is_worked(*day)).unwrap_or(after)
    }

    /// How many of the days `from <= day < to` are worked, counted without walking through them.
    pub(super) fn worked_between(&self, from: i64, to: i64) -> i64 {
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
