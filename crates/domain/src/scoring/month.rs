//! Calendar months in China time, in which caps are counted.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// China has one time zone, UTC+8, and no summer time.
const CHINA: FixedOffset = match FixedOffset::east_opt(8 * 3600) {
    Some(offset) => offset,
    None => panic!("eight hours are less than a day"),
};

/// A calendar month such as `2026-03`: the period in which a monthly cap is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct YearMonth {
    year: i32,
    month: u32,
}

/// The text is not a month of the form `YYYY-MM`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a month of the form YYYY-MM")]
pub struct ParseMonthError;

impl YearMonth {
    /// The month that `date` lies in.
    pub fn of(date: NaiveDate) -> Self {
        Self { year: date.year(), month: date.month() }
    }

    /// The year, for example 2026.
    pub fn year(self) -> i32 {
        self.year
    }

    /// The month of the year, 1 to 12.
    pub fn month(self) -> u32 {
        self.month
    }

    /// The month after it.
    #[must_use]
    pub fn next(self) -> Self {
        if self.month == 12 {
            Self { year: self.year + 1, month: 1 }
        } else {
            Self { year: self.year, month: self.month + 1 }
        }
    }

    /// The month before it.
    #[must_use]
    pub fn before(self) -> Self {
        if self.month == 1 {
            Self { year: self.year - 1, month: 12 }
        } else {
            Self { year: self.year, month: self.month - 1 }
        }
    }

    /// Its first day.
    pub fn first_day(self) -> NaiveDate {
        NaiveDate::from_ymd_opt(self.year, self.month, 1).unwrap_or_default()
    }

    /// The moment at which it begins: midnight in China.
    pub fn begins(self) -> DateTime<Utc> {
        self.first_day().and_time(NaiveTime::MIN).and_utc() - TimeDelta::hours(8)
    }
}

impl fmt::Display for YearMonth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl FromStr for YearMonth {
    type Err = ParseMonthError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let well_formed = text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if at == 4 { byte == b'-' } else { byte.is_ascii_digit() });
        if text.len() != 7 || !well_formed {
            return Err(ParseMonthError);
        }
        let year = text[..4].parse().map_err(|_| ParseMonthError)?;
        let month = text[5..].parse().map_err(|_| ParseMonthError)?;
        NaiveDate::from_ymd_opt(year, month, 1).map(Self::of).ok_or(ParseMonthError)
    }
}

impl TryFrom<String> for YearMonth {
    type Error = ParseMonthError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<YearMonth> for String {
    fn from(month: YearMonth) -> Self {
        month.to_string()
    }
}

/// The date in China at the instant `at`. It decides which version of a rule is in force.
pub fn china_date(at: DateTime<Utc>) -> NaiveDate {
    at.with_timezone(&CHINA).date_naive()
}

/// The moment at which a date begins in China.
pub fn china_day_begins(date: NaiveDate) -> DateTime<Utc> {
    date.and_time(NaiveTime::MIN).and_utc() - TimeDelta::hours(8)
}

/// The month in China at the instant `at`. It decides which monthly cap an award counts towards.
pub fn month_of(at: DateTime<Utc>) -> YearMonth {
    YearMonth::of(china_date(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().expect("an instant")
    }

    #[test]
    fn a_month_turns_at_midnight_in_china() {
        assert_eq!(month_of(utc("2026-02-28T15:59:59.999Z")).to_string(), "2026-02");
        assert_eq!(month_of(utc("2026-02-28T16:00:00Z")).to_string(), "2026-03");
        assert_eq!(month_of(utc("2025-12-31T16:00:00Z")).to_string(), "2026-01");
        assert_eq!(
            china_date(utc("2026-05-04T20:00:00Z")),
            NaiveDate::from_ymd_opt(2026, 5, 5).expect("a date")
        );
    }

    #[test]
    fn a_month_begins_where_the_one_before_it_ends() {
        let month = |text: &str| text.parse::<YearMonth>().expect("a month");
        assert_eq!(month("2025-12").next(), month("2026-01"));
        assert_eq!(month("2026-11").next(), month("2026-12"));
        assert_eq!(
            (month("2026-01").before(), month("2026-12").before()),
            (month("2025-12"), month("2026-11"))
        );
        assert_eq!(month("2026-03").begins(), utc("2026-02-28T16:00:00Z"));
        for text in ["2025-12", "2026-02", "2024-02"] {
            let end = month(text).next().begins();
            assert_eq!(month_of(end - TimeDelta::milliseconds(1)), month(text));
            assert_eq!(month_of(end), month(text).next());
            assert_eq!(month_of(month(text).begins()), month(text));
            assert_eq!(month(text).first_day(), china_date(month(text).begins()));
        }
    }

    #[test]
    fn a_month_reads_back_what_it_prints_and_refuses_the_rest() {
        let march: YearMonth = "2026-03".parse().expect("a month");
        assert_eq!((march.year(), march.month()), (2026, 3));
        assert_eq!(serde_json::to_string(&march).expect("json"), "\"2026-03\"");
        assert_eq!(serde_json::from_str::<YearMonth>("\"2026-03\"").expect("a month"), march);
        for bad in ["", "2026", "2026-13", "2026-00", "2026-3", "2026/03", "+026-03", "2026-+3", "二〇二-三"]
        {
            assert_eq!(bad.parse::<YearMonth>(), Err(ParseMonthError), "{bad}");
        }
    }

    #[test]
    fn months_are_in_the_order_of_time() {
        let months: Vec<YearMonth> =
            ["2025-12", "2026-01", "2026-10"].iter().map(|text| text.parse().expect("a month")).collect();
        assert!(months.is_sorted());
    }
}
