//! Claims (申报) and appeals: what may be claimed, and who may decide. Two persons, always.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::cause::CauseKind;
use super::month::china_date;
use super::posting::PostedTransaction;
use crate::area::AreaCode;

use super::rules::{Rule, RuleBook};

/// A claim is made at the latest so long after what it claims: nobody adds to months that are long past.
pub const CLAIM_WITHIN: TimeDelta = TimeDelta::days(31);
/// A deduction can be appealed against for so long after it was booked and its person told.
pub const APPEAL_WITHIN: TimeDelta = TimeDelta::days(7);

/// What can be wrong with a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimFault {
    /// No such rule was in force when it happened.
    #[error("no such rule was in force")]
    RuleUnknown,
    /// The rule scores by itself.
    #[error("the rule scores by itself")]
    RuleAutomatic,
    /// It has not happened yet.
    #[error("it has not happened yet")]
    InTheFuture,
    /// It happened longer ago than [`CLAIM_WITHIN`].
    #[error("it is too long ago")]
    TooLongAgo,
    /// The rule does not allow so many points.
    #[error("the rule does not allow so many points")]
    PointsNotAllowed,
}

/// The rule that a claim would score by, for somebody of this area.
///
/// # Errors
/// Everything that is wrong with the claim, in one list.
pub fn check_claim<'a>(
    rulebook: &'a RuleBook,
    code: &str,
    area: AreaCode,
    happened_at: DateTime<Utc>,
    points: Option<i64>,
    now: DateTime<Utc>,
) -> Result<&'a Rule, Vec<ClaimFault>> {
    let mut faults = Vec::new();
    let rule = rulebook.in_force(code, china_date(happened_at), area);
    match rule {
        None => faults.push(ClaimFault::RuleUnknown),
        // What a rule gives by itself is not claimed a second time.
        Some(rule) if rule.trigger.is_some() => faults.push(ClaimFault::RuleAutomatic),
        Some(rule) if points.is_some_and(|points| !rule.points.allows(points)) => {
            faults.push(ClaimFault::PointsNotAllowed);
        }
        Some(_) => {}
    }
    if happened_at > now {
        faults.push(ClaimFault::InTheFuture);
    } else if now - happened_at > CLAIM_WITHIN {
        faults.push(ClaimFault::TooLongAgo);
    }
    match rule {
        Some(rule) if faults.is_empty() => Ok(rule),
        _ => Err(faults),
    }
}

/// Whether somebody may decide a matter in which these people have a part: only when he is none of them.
pub fn may_decide(decider: Uuid, parties: &[Option<Uuid>]) -> bool {
    !parties.contains(&Some(decider))
}

/// Why an appeal is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppealRefusal {
    /// It took nothing from this person, or is itself an answer to another entry.
    #[error("not a deduction of this person")]
    NotADeduction,
    /// The seven days are over.
    #[error("the time for an appeal is over")]
    TooLate,
}

/// When a posting was booked: its id carries the moment (UUIDv7). It may have *happened* earlier, and the time for an
/// appeal runs from when its person could know.
pub fn booked_at(id: Uuid) -> DateTime<Utc> {
    let millis = i64::try_from(id.as_u128() >> 80).unwrap_or(i64::MAX);
    DateTime::from_timestamp_millis(millis).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

/// Whether a person may appeal against a posting.
///
/// # Errors
/// [`AppealRefusal`].
pub fn check_appeal(of: &PostedTransaction, person: Uuid, now: DateTime<Utc>) -> Result<(), AppealRefusal> {
    let taken = of.posting.legs.iter().any(|leg| leg.account.owner == Some(person) && leg.points < 0);
    if !taken || !matches!(of.posting.cause.kind, CauseKind::Rule { .. }) {
        return Err(AppealRefusal::NotADeduction);
    }
    if now - booked_at(of.id) > APPEAL_WITHIN { Err(AppealRefusal::TooLate) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::super::award::tests::{completed, utc};
    use super::super::award::{CompletedFacts, on_completed};
    use super::super::caps::Used;
    use super::super::correction::reversal;
    use super::super::rules::{FEATURED_POST, FIVE_STARS, LATE, ON_TIME};
    use super::*;

    fn check(code: &str, at: &str, points: Option<i64>) -> Result<String, Vec<ClaimFault>> {
        let book = RuleBook::sample();
        let now = utc("2026-03-31T12:00:00Z");
        check_claim(&book, code, "140724104".parse().expect("a township"), utc(at), points, now)
            .map(|rule| rule.code.clone())
    }

    #[test]
    fn a_claim_names_a_rule_in_force_a_time_within_a_month_and_points_within_the_rule() {
        use ClaimFault::{InTheFuture, PointsNotAllowed, RuleAutomatic, RuleUnknown, TooLongAgo};
        let recent = "2026-03-20T00:00:00Z";
        assert_eq!(check("701", recent, None), Ok("701".into()));
        assert_eq!(check("B06", recent, Some(30)), Ok("B06".into()));
        assert_eq!(check("D01", recent, None), Ok("D01".into()));
        assert_eq!(check("999", recent, None), Err(vec![RuleUnknown]));
        for code in [ON_TIME, FIVE_STARS, FEATURED_POST, LATE] {
            assert_eq!(check(code, recent, None), Err(vec![RuleAutomatic]), "{code}");
        }
        for points in [19, 51, i64::MAX, i64::MIN, 0, -1] {
            assert_eq!(check("B06", recent, Some(points)), Err(vec![PointsNotAllowed]), "{points}");
        }
        assert_eq!(check("701", "2026-03-31T12:00:00Z", None), Ok("701".into()));
        assert_eq!(check("701", "2026-03-31T12:00:01Z", None), Err(vec![InTheFuture]));
        assert_eq!(check("701", "2026-02-28T12:00:00Z", None), Ok("701".into()));
        assert_eq!(check("701", "2026-02-28T11:59:59Z", None), Err(vec![TooLongAgo]));
        assert_eq!(check("999", "2027-01-01T00:00:00Z", None), Err(vec![RuleUnknown, InTheFuture]));
    }

    #[test]
    fn nobody_decides_a_matter_of_his_own() {
        let [one, two, three] = [1, 2, 3].map(Uuid::from_u128);
        assert!(may_decide(three, &[Some(one), Some(two), None]));
        assert!(!may_decide(one, &[Some(one), Some(two)]));
        assert!(!may_decide(two, &[Some(one), Some(two)]));
    }

    #[test]
    fn a_deduction_is_appealed_within_seven_days_by_its_person() {
        let booked = utc("2026-03-07T01:00:00Z");
        let millis = u128::try_from(booked.timestamp_millis()).expect("after 1970");
        let id = Uuid::from_u128(millis << 80 | 0x7000 << 64);
        assert_eq!(booked_at(id), booked);
        let (person, other) = (Uuid::from_u128(7), Uuid::from_u128(8));
        let posted = |facts: &CompletedFacts| PostedTransaction {
            id,
            posting: on_completed(&RuleBook::sample(), facts)[0].posting(Used::default()).expect("a posting"),
        };
        let deduction = posted(&CompletedFacts { at: booked, ..completed(1, 7) });
        let award = posted(&completed(1, 7));
        let last = booked + APPEAL_WITHIN;
        assert_eq!(check_appeal(&deduction, person, last), Ok(()));
        let late = last + TimeDelta::milliseconds(1);
        assert_eq!(check_appeal(&deduction, person, late), Err(AppealRefusal::TooLate));
        assert_eq!(check_appeal(&deduction, other, booked), Err(AppealRefusal::NotADeduction));
        assert_eq!(check_appeal(&award, person, booked), Err(AppealRefusal::NotADeduction));
        let back = reversal(&award, "wrong", booked, None).expect("a reversal");
        let back = PostedTransaction { id, posting: back };
        assert_eq!(check_appeal(&back, person, booked), Err(AppealRefusal::NotADeduction));
    }
}
