//! A team's roster: who is on duty when, when nobody should be disturbed, and how many orders one person may hold.

use chrono::{DateTime, Datelike, FixedOffset, NaiveTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::deadline::QuietHours;

/// As many open orders as one person may hold where his team has set no other number.
pub const OPEN_ORDERS_AT_MOST: i64 = 20;
/// The most that a team may set.
pub const OPEN_ORDERS_HIGHEST: i64 = 100;
/// The most shifts of a roster.
pub const SHIFTS_AT_MOST: usize = 50;
/// The most people of a shift.
pub const SHIFT_LARGEST: usize = 200;

/// A part of a day of the week on which some people are on duty, China time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Shift {
    /// 1 (Monday) to 7 (Sunday): the day on which it begins.
    pub weekday: u32,
    /// The first moment.
    pub from: NaiveTime,
    /// The first moment after it; not after `from` means on the next day.
    pub to: NaiveTime,
    /// Who is on duty.
    pub people: Vec<Uuid>,
}

/// A team's roster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Roster {
    /// As many open orders as one of the team may hold: 1 to [`OPEN_ORDERS_HIGHEST`].
    #[serde(default = "usual_open_orders")]
    pub open_orders_at_most: i64,
    /// When urgent orders come last to this team's people; absent for never.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub quiet_hours: Option<QuietHours>,
    /// Who is on duty when; without any everybody always is.
    #[serde(default)]
    pub shifts: Vec<Shift>,
}

fn usual_open_orders() -> i64 {
    OPEN_ORDERS_AT_MOST
}

impl Default for Roster {
    fn default() -> Roster {
        Roster { open_orders_at_most: OPEN_ORDERS_AT_MOST, quiet_hours: None, shifts: Vec::new() }
    }
}

impl Roster {
    /// Whether somebody is on duty at a moment.
    pub fn is_on_duty(&self, person: Uuid, at: DateTime<Utc>) -> bool {
        self.shifts.is_empty()
            || self.shifts.iter().any(|shift| shift.runs(at) && shift.people.contains(&person))
    }

    /// Whether the team wants quiet at a moment.
    pub fn is_quiet(&self, at: DateTime<Utc>) -> bool {
        self.quiet_hours.is_some_and(|quiet| quiet.is_quiet(at))
    }

    /// The first field that is not as it should be, and why.
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        if !(1..=OPEN_ORDERS_HIGHEST).contains(&self.open_orders_at_most) {
            return Some(("openOrdersAtMost", "out_of_range"));
        }
        if self.shifts.len() > SHIFTS_AT_MOST
            || self.shifts.iter().any(|shift| shift.people.len() > SHIFT_LARGEST)
        {
            return Some(("shifts", "too_long"));
        }
        let odd = self.shifts.iter().any(|shift| !(1..=7).contains(&shift.weekday));
        odd.then_some(("shifts", "weekday_unknown"))
    }
}

impl Shift {
    fn runs(&self, at: DateTime<Utc>) -> bool {
        let Some(china) = FixedOffset::east_opt(8 * 3_600) else { return false };
        let local = at.with_timezone(&china);
        let (weekday, time) = (local.weekday().number_from_monday(), local.time());
        if self.from < self.to {
            return weekday == self.weekday && (self.from..self.to).contains(&time);
        }
        let next = self.weekday % 7 + 1;
        (weekday == self.weekday && time >= self.from) || (weekday == next && time < self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: Uuid = Uuid::from_u128(1);
    const BERT: Uuid = Uuid::from_u128(2);

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).expect("a moment").to_utc()
    }

    fn roster() -> Roster {
        let text = r#"{"quietHours":{"from":"21:00:00","to":"07:00:00"},"shifts":[
            {"weekday":7,"from":"20:00:00","to":"08:00:00","people":["00000000-0000-0000-0000-000000000001"]}]}"#;
        serde_json::from_str(text).expect("a roster")
    }

    #[test]
    fn a_night_shift_runs_into_the_next_day_and_week() {
        let roster = roster();
        for (moment, on) in [
            ("2026-06-07T19:59:59+08:00", false),
            ("2026-06-07T20:00:00+08:00", true),
            ("2026-06-08T07:59:59+08:00", true),
            ("2026-06-08T08:00:00+08:00", false),
            ("2026-06-08T20:30:00+08:00", false),
        ] {
            assert_eq!(roster.is_on_duty(ANNA, at(moment)), on, "{moment}");
            assert!(!roster.is_on_duty(BERT, at(moment)), "{moment}");
        }
        assert!(Roster::default().is_on_duty(BERT, at("2026-06-08T03:00:00+08:00")));
    }

    #[test]
    fn quiet_hours_are_the_teams_own() {
        assert!(roster().is_quiet(at("2026-06-08T22:00:00+08:00")));
        assert!(!roster().is_quiet(at("2026-06-08T12:00:00+08:00")));
        assert!(!Roster::default().is_quiet(at("2026-06-08T22:00:00+08:00")));
    }

    #[test]
    fn a_roster_that_cannot_be_kept_says_why() {
        assert_eq!(roster().fault(), None);
        assert_eq!(
            Roster { open_orders_at_most: 0, ..roster() }.fault(),
            Some(("openOrdersAtMost", "out_of_range"))
        );
        let mut odd = roster();
        odd.shifts[0].weekday = 8;
        assert_eq!(odd.fault(), Some(("shifts", "weekday_unknown")));
        odd.shifts = vec![odd.shifts[0].clone(); SHIFTS_AT_MOST + 1];
        assert_eq!(odd.fault(), Some(("shifts", "too_long")));
    }
}
