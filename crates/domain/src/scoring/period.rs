//! Periods: a month's points, from the end of claims to the seal.
//!
//! month → claims close → review → frozen list → public notice of n working days → sealed. An entry counts in one period
//! at most, and in the first that is frozen after it was booked and not before the month in which it happened. So what
//! comes late (a claim decided after the list was frozen, a reversal) lands in the next period, linked to the one that
//! it belongs to.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::chain::Hash;
use super::month::{YearMonth, china_date};
use super::word::{UnknownWord, words};
use crate::deadline::Calendar;

/// Working days of a public notice where nobody says otherwise.
pub const NOTICE_WORKING_DAYS: u32 = 5;
/// The most that somebody may ask for.
pub const NOTICE_WORKING_DAYS_MOST: u32 = 60;

/// Where a period stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeriodStatus {
    /// Claims about its month are closed; those that were made are decided.
    Review,
    /// Its list is being made, in pieces; a kill leaves whole pieces.
    Freezing,
    /// Its list is frozen and shown; objections are open.
    Notice,
    /// Closed for ever.
    Sealed,
}

words!(PeriodStatus {
    Review => "review",
    Freezing => "freezing",
    Notice => "notice",
    Sealed => "sealed",
});

/// Where a line of a period's list stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineStatus {
    /// It counts.
    Standing,
    /// An objection waits for its decision; the line alone waits with it.
    Contested,
    /// It was contested when the period was sealed, and does not count there. When the objection is decided its entries
    /// count in the next period.
    Paused,
    /// It was paused, and its entries count in a later period.
    Carried,
}

words!(LineStatus {
    Standing => "standing",
    Contested => "contested",
    Paused => "paused",
    Carried => "carried",
});

/// Why a period cannot be taken a step further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PeriodRefusal {
    /// The month has not ended.
    #[error("the month is not over")]
    NotOver,
    /// Its list is frozen already.
    #[error("the period is closed already")]
    AlreadyClosed,
    /// Periods are closed one after the other; this one is not next.
    #[error("periods are closed in their order; the next one is {0}")]
    NotTheNext(YearMonth),
    /// The public notice is not over.
    #[error("the public notice is not over")]
    NoticeRuns,
    /// Its list is not frozen yet.
    #[error("there is no list yet")]
    NotFrozen,
}

/// Whether claims about a month can be closed and its list be made, when `latest` is the last period there is.
///
/// # Errors
/// [`PeriodRefusal`].
pub fn check_close(
    month: YearMonth,
    now: DateTime<Utc>,
    latest: Option<(YearMonth, PeriodStatus)>,
) -> Result<(), PeriodRefusal> {
    if now < month.next().begins() {
        return Err(PeriodRefusal::NotOver);
    }
    let Some((last, status)) = latest else { return Ok(()) };
    let frozen = status >= PeriodStatus::Notice;
    let next = if frozen { last.next() } else { last };
    match month {
        month if month < next => Err(PeriodRefusal::AlreadyClosed),
        month if month > next => Err(PeriodRefusal::NotTheNext(next)),
        _ => Ok(()),
    }
}

/// Whether a period can be sealed.
///
/// # Errors
/// [`PeriodRefusal`].
pub fn check_seal(
    status: PeriodStatus,
    notice_ends_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<(), PeriodRefusal> {
    match (status, notice_ends_at) {
        (PeriodStatus::Sealed, _) => Err(PeriodRefusal::AlreadyClosed),
        (PeriodStatus::Notice, Some(end)) if end <= now => Ok(()),
        (PeriodStatus::Notice, _) => Err(PeriodRefusal::NoticeRuns),
        (PeriodStatus::Review | PeriodStatus::Freezing, _) => Err(PeriodRefusal::NotFrozen),
    }
}

/// When a public notice of so many working days ends: at the end of the last of them, counted from the day after it was
/// published, in China time.
pub fn notice_ends_at(published: DateTime<Utc>, working_days: u32, calendar: &Calendar) -> DateTime<Utc> {
    let (mut day, mut left) = (china_date(published), working_days);
    while left > 0 {
        day = following(day);
        left -= u32::from(calendar.is_working_day(day));
    }
    following(day).and_time(NaiveTime::MIN).and_utc() - TimeDelta::hours(8)
}

fn following(day: NaiveDate) -> NaiveDate {
    day.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX)
}

/// An entry on a person's own assessment account that no period has counted yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uncounted {
    /// Points.
    pub points: i64,
    /// The month in which it happened.
    pub happened: YearMonth,
    /// The period that counted what it answers, if it answers something that was counted.
    pub answers: Option<YearMonth>,
}

impl Uncounted {
    /// The period that it belongs to, when it is not the one of `month`: what it answers was counted there, or it
    /// happened then and was booked late.
    pub fn link(&self, month: YearMonth) -> Option<YearMonth> {
        self.answers.filter(|of| *of != month).or_else(|| (self.happened < month).then_some(self.happened))
    }
}

/// What a list says of one person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PersonSum {
    /// Points.
    pub points: i64,
    /// Entries.
    pub entries: i64,
    /// Those of them that belong to an earlier period.
    pub late: i64,
}

/// Adds up what counts for one person; nothing where nothing does.
///
/// Sums far from the edge of `i64` by the ledger's own checks; saturates, so that nothing can stop a closing.
pub fn add_up(entries: &[Uncounted], month: YearMonth) -> Option<PersonSum> {
    let add = |sum: PersonSum, entry: &Uncounted| PersonSum {
        points: sum.points.saturating_add(entry.points),
        entries: sum.entries + 1,
        late: sum.late + i64::from(entry.link(month).is_some()),
    };
    (!entries.is_empty()).then(|| entries.iter().fold(PersonSum::default(), add))
}

/// A line as it is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedLine {
    /// Its number in the list, from 1.
    pub number: i64,
    /// The person.
    pub person: Uuid,
    /// Points.
    pub points: i64,
    /// Entries.
    pub entries: i64,
}

/// Hashes a list, line by line, so that it need not be in memory at once.
#[derive(Debug, Clone)]
pub struct ListHasher(Sha256);

impl ListHasher {
    /// Begins the list of a period behind the seal of the one before it; zeros for the first.
    pub fn new(county: &str, month: YearMonth, before: &Hash) -> ListHasher {
        let mut sha = Sha256::new();
        sha.update(b"xingfuma score period 1\0");
        sha.update((county.len() as u64).to_be_bytes());
        sha.update(county.as_bytes());
        sha.update(month.to_string().as_bytes());
        sha.update(before);
        ListHasher(sha)
    }

    /// Adds the next line.
    pub fn line(&mut self, line: &ListedLine) {
        self.0.update(line.number.to_be_bytes());
        self.0.update(line.person.as_bytes());
        self.0.update(line.points.to_be_bytes());
        self.0.update(line.entries.to_be_bytes());
    }

    /// The hash of all lines.
    pub fn finish(self) -> Hash {
        self.0.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().expect("an instant")
    }

    fn month(text: &str) -> YearMonth {
        text.parse().expect("a month")
    }

    #[test]
    fn a_month_is_closed_once_after_its_end_and_in_its_order() {
        use PeriodRefusal::{AlreadyClosed, NotOver, NotTheNext};
        use PeriodStatus::{Freezing, Notice, Review, Sealed};
        let (march, after) = (month("2026-03"), utc("2026-03-31T16:00:00Z"));
        assert_eq!(check_close(march, after, None), Ok(()));
        assert_eq!(check_close(march, after - TimeDelta::milliseconds(1), None), Err(NotOver));
        for status in [Review, Freezing] {
            assert_eq!(check_close(march, after, Some((march, status))), Ok(()), "goes on where it was");
            assert_eq!(
                check_close(march, after, Some((month("2026-02"), status))),
                Err(NotTheNext(month("2026-02")))
            );
            assert_eq!(check_close(month("2026-02"), after, Some((march, status))), Err(AlreadyClosed));
        }
        for status in [Notice, Sealed] {
            assert_eq!(check_close(march, after, Some((march, status))), Err(AlreadyClosed));
            assert_eq!(check_close(march, after, Some((month("2026-02"), status))), Ok(()));
            assert_eq!(
                check_close(march, after, Some((month("2026-01"), status))),
                Err(NotTheNext(month("2026-02")))
            );
        }
    }

    #[test]
    fn a_period_is_sealed_when_its_notice_is_over() {
        let end = utc("2026-04-09T16:00:00Z");
        let seal = |status, now| check_seal(status, Some(end), now);
        assert_eq!(seal(PeriodStatus::Notice, end), Ok(()));
        let early = end - TimeDelta::milliseconds(1);
        assert_eq!(seal(PeriodStatus::Notice, early), Err(PeriodRefusal::NoticeRuns));
        assert_eq!(check_seal(PeriodStatus::Notice, None, end), Err(PeriodRefusal::NoticeRuns));
        assert_eq!(seal(PeriodStatus::Sealed, end), Err(PeriodRefusal::AlreadyClosed));
        for status in [PeriodStatus::Review, PeriodStatus::Freezing] {
            assert_eq!(seal(status, end), Err(PeriodRefusal::NotFrozen));
        }
    }

    #[test]
    fn a_notice_runs_through_whole_working_days() {
        // Wednesday 2026-04-01; 清明 is from Saturday the 4th to Monday the 6th.
        let published = utc("2026-04-01T02:00:00Z");
        let end = |days| notice_ends_at(published, days, Calendar::china());
        assert_eq!(end(1), utc("2026-04-02T16:00:00Z"));
        assert_eq!(end(2), utc("2026-04-03T16:00:00Z"));
        assert_eq!(end(3), utc("2026-04-07T16:00:00Z"));
        assert_eq!(end(5), utc("2026-04-09T16:00:00Z"));
        let plain = |days| notice_ends_at(published, days, &Calendar::weekends_only());
        assert_eq!(plain(3), utc("2026-04-06T16:00:00Z"));
        // Late in the evening of UTC it is the next day in China.
        assert_eq!(
            notice_ends_at(utc("2026-04-01T17:00:00Z"), 1, Calendar::china()),
            utc("2026-04-03T16:00:00Z")
        );
    }

    #[test]
    fn what_comes_late_is_linked_to_where_it_belongs() {
        let entry = |happened: &str, answers: Option<&str>| Uncounted {
            points: 1,
            happened: month(happened),
            answers: answers.map(month),
        };
        let link = |entry: Uncounted| entry.link(month("2026-03")).map(|link| link.to_string());
        assert_eq!(link(entry("2026-03", None)), None);
        assert_eq!(link(entry("2026-02", None)).as_deref(), Some("2026-02"));
        assert_eq!(link(entry("2026-03", Some("2026-01"))).as_deref(), Some("2026-01"));
        assert_eq!(link(entry("2026-03", Some("2026-03"))), None);
        assert_eq!(link(entry("2026-02", Some("2026-01"))).as_deref(), Some("2026-01"));
        let sum = add_up(&[entry("2026-03", None), entry("2026-02", None)], month("2026-03"));
        assert_eq!(sum, Some(PersonSum { points: 2, entries: 2, late: 1 }));
        assert_eq!(add_up(&[], month("2026-03")), None);
    }

    #[test]
    fn every_part_of_a_list_is_in_its_hash() {
        let lines =
            [1, 2].map(|n| ListedLine { number: n, person: Uuid::from_u128(7), points: 3, entries: 2 });
        let hash = |county: &str, of: &str, before: Hash, lines: &[ListedLine]| {
            let mut hasher = ListHasher::new(county, month(of), &before);
            lines.iter().for_each(|line| hasher.line(line));
            hasher.finish()
        };
        let good = hash("140724", "2026-03", [0; 32], &lines);
        assert_eq!(good, hash("140724", "2026-03", [0; 32], &lines));
        let [one, two] = lines;
        for other in [
            hash("140725", "2026-03", [0; 32], &lines),
            hash("140724", "2026-04", [0; 32], &lines),
            hash("140724", "2026-03", [1; 32], &lines),
            hash("140724", "2026-03", [0; 32], &lines[..1]),
            hash("140724", "2026-03", [0; 32], &[two, one]),
            hash("140724", "2026-03", [0; 32], &[one, ListedLine { points: 4, ..two }]),
            hash("140724", "2026-03", [0; 32], &[one, ListedLine { entries: 3, ..two }]),
            hash("140724", "2026-03", [0; 32], &[one, ListedLine { person: Uuid::nil(), ..two }]),
        ] {
            assert_ne!(good, other);
        }
    }

    proptest! {
        #[test]
        fn a_sum_is_the_sum(points in prop::collection::vec(-1_000_000_i64..1_000_000, 1..50)) {
            let entries: Vec<Uncounted> = points
                .iter()
                .map(|points| Uncounted { points: *points, happened: month("2026-03"), answers: None })
                .collect();
            let sum = add_up(&entries, month("2026-03")).expect("entries");
            prop_assert_eq!(sum.points, points.iter().sum::<i64>());
            prop_assert_eq!((sum.entries, sum.late), (points.len() as i64, 0));
        }
    }
}
