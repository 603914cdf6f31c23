//! Changing one's mind: hold, release, void and reversal. Each answers exactly one earlier posting.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::account::{AccountKind, AccountRef};
use super::award::HoldReason;
use super::cause::{Cause, CauseKind, CorrectionKind, SourceType};
use super::facts::{Facts, Inputs};
use super::posting::{Draft, Leg, PostedTransaction, Posting, ScoringFault, movement};

/// What becomes of points on hold when their order ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldEnd {
    /// They go to the person.
    Release,
    /// They are lost.
    Void,
}

/// What becomes of an award to `person` that is on hold, when its reopened order ends.
///
/// The last round counts: the award stands when the order ended by this person's completion, and that round earned
/// it too, in time or with five stars. `closed_by` is the volunteer of the last completion, none when the order was
/// cancelled; `earned` are the codes of the rules that the last round scores by, which is not satisfied when unrated.
pub fn held_end(rule_code: &str, person: Uuid, closed_by: Option<Uuid>, earned: &[String]) -> HeldEnd {
    let earned = earned.iter().any(|code| code == rule_code);
    if closed_by == Some(person) && earned { HeldEnd::Release } else { HeldEnd::Void }
}

/// Puts the points of an award (or of a release, when an order is reopened again) on hold, in both purses.
///
/// # Errors
/// [`ScoringFault::NothingToMove`] when `of` gave a person no points: a deduction, or an award cut to zero.
pub fn hold(
    of: &PostedTransaction,
    reason: HoldReason,
    at: DateTime<Utc>,
    decided_by: Option<Uuid>,
) -> Result<Posting, ScoringFault> {
    let legs = moved(of, AccountKind::Person, |account| AccountRef { kind: AccountKind::Hold, ..account })?;
    answer(of, CorrectionKind::Hold, reason.as_str(), at, decided_by, legs)
}

/// Gives points on hold to the person. `of` is the hold, or the award that went on hold at once.
///
/// # Errors
/// [`ScoringFault::NothingToMove`] when `of` put no points on hold.
pub fn release(
    of: &PostedTransaction,
    reason: &str,
    at: DateTime<Utc>,
    decided_by: Option<Uuid>,
) -> Result<Posting, ScoringFault> {
    let legs = moved(of, AccountKind::Hold, |account| AccountRef { kind: AccountKind::Person, ..account })?;
    answer(of, CorrectionKind::Release, reason, at, decided_by, legs)
}

/// Takes points on hold away for good. `of` is the hold, or the award that went on hold at once.
///
/// # Errors
/// [`ScoringFault::NothingToMove`] when `of` put no points on hold.
pub fn void(
    of: &PostedTransaction,
    reason: &str,
    at: DateTime<Utc>,
    decided_by: Option<Uuid>,
) -> Result<Posting, ScoringFault> {
    let legs = moved(of, AccountKind::Hold, |account| AccountRef::void(account.purse))?;
    answer(of, CorrectionKind::Void, reason, at, decided_by, legs)
}

/// Spends what was reserved: the points go from the hold to the shop.
///
/// # Errors
/// [`ScoringFault::NothingToMove`] when `of` put no points on hold, [`ScoringFault::NotReserved`] when it is no
/// reservation.
pub fn spend(
    of: &PostedTransaction,
    shop: Uuid,
    at: DateTime<Utc>,
    decided_by: Uuid,
) -> Result<Posting, ScoringFault> {
    if of.posting.cause.kind != CauseKind::Reserve {
        return Err(ScoringFault::NotReserved(of.id));
    }
    let legs = moved(of, AccountKind::Hold, |_| AccountRef::shop(shop))?;
    answer(of, CorrectionKind::Spend, "handed_over", at, Some(decided_by), legs)
}

/// Takes a posting back as a whole: the exact negation of its legs.
///
/// # Errors
/// [`ScoringFault::Overflow`] when a leg has no negation in `i64`.
pub fn reversal(
    of: &PostedTransaction,
    reason: &str,
    at: DateTime<Utc>,
    decided_by: Option<Uuid>,
) -> Result<Posting, ScoringFault> {
    answer(of, CorrectionKind::Reversal, reason, at, decided_by, negated(&of.posting.legs)?)
}

/// The same legs with every sign turned.
pub(super) fn negated(legs: &[Leg]) -> Result<Vec<Leg>, ScoringFault> {
    let negate = |leg: &Leg| {
        leg.points
            .checked_neg()
            .map(|points| Leg { account: leg.account, points })
            .ok_or(ScoringFault::Overflow)
    };
    legs.iter().map(negate).collect()
}

/// Moves on what a posting had put onto accounts of one kind.
fn moved(
    of: &PostedTransaction,
    from: AccountKind,
    to: impl Fn(AccountRef) -> AccountRef,
) -> Result<Vec<Leg>, ScoringFault> {
    let mut legs = Vec::new();
    for leg in of.posting.legs.iter().filter(|leg| leg.account.kind == from && leg.points > 0) {
        legs.extend(movement(leg.account, to(leg.account), leg.points)?);
    }
    if legs.is_empty() { Err(ScoringFault::NothingToMove) } else { Ok(legs) }
}

/// The answer keeps the rule, the area and the month of its original, so that every link of a chain is explained by
/// the same version of the same rule.
fn answer(
    of: &PostedTransaction,
    correction: CorrectionKind,
    reason: &str,
    at: DateTime<Utc>,
    decided_by: Option<Uuid>,
    legs: Vec<Leg>,
) -> Result<Posting, ScoringFault> {
    let original = &of.posting;
    let facts = Facts::Corrected {
        correction,
        reason: reason.to_owned(),
        original: Box::new(original.inputs.clone()),
    };
    Posting::new(Draft {
        cause: Cause {
            kind: CauseKind::Correction(correction),
            source_type: SourceType::Entry,
            source_id: of.id,
        },
        rule_code: original.rule_code.clone(),
        rule_version: original.rule_version,
        inputs: Inputs {
            month: original.inputs.month,
            used_in_month: 0,
            used_in_day: None,
            used_of_order: None,
            held: None,
            facts,
        },
        area: original.area,
        decided_by,
        at,
        legs,
        reverses: Some(of.id),
    })
}

#[cfg(test)]
mod tests {
    use super::super::account::Purse;
    use super::super::award::tests::{completed, utc};
    use super::super::award::{Award, CompletedFacts, on_completed};
    use super::super::caps::Used;
    use super::super::facts::recompute;
    use super::super::rules::{FIVE_STARS, LATE, ON_TIME, RuleBook};
    use super::*;

    fn later() -> DateTime<Utc> {
        utc("2026-04-01T00:00:00Z")
    }

    fn award(facts: &CompletedFacts) -> Award {
        on_completed(&RuleBook::sample(), facts).pop().expect("an award")
    }

    fn posted(id: u128, posting: Posting) -> PostedTransaction {
        PostedTransaction { id: Uuid::from_u128(id), posting }
    }

    fn leg(account: AccountRef, points: i64) -> Leg {
        Leg { account, points }
    }

    #[test]
    fn a_hold_moves_both_purses_to_the_hold_and_a_release_back() {
        let person = Uuid::from_u128(7);
        let award = posted(1, award(&completed(1, 7)).posting(Used::default()).expect("a posting"));
        let held = posted(2, hold(&award, HoldReason::Reopened, later(), None).expect("a hold"));
        let (a, s) = (Purse::Assessment, Purse::Spendable);
        let expected = [
            leg(AccountRef::person(a, person), -3),
            leg(AccountRef::hold(a, person), 3),
            leg(AccountRef::person(s, person), -3),
            leg(AccountRef::hold(s, person), 3),
        ];
        assert_eq!(held.posting.legs, expected);
        assert_eq!((held.posting.reverses, held.posting.points()), (Some(award.id), -3));
        let back = release(&held, "order closed", later(), None).expect("a release");
        assert_eq!((back.reverses, back.points()), (Some(held.id), 3));
        assert_eq!(
            back.inputs.month, award.posting.inputs.month,
            "the month of the award, not of the release"
        );
        let lost = void(&held, "order cancelled", later(), None).expect("a void");
        let expected = [
            leg(AccountRef::hold(a, person), -3),
            leg(AccountRef::void(a), 3),
            leg(AccountRef::hold(s, person), -3),
            leg(AccountRef::void(s), 3),
        ];
        assert_eq!((lost.legs.as_slice(), lost.points()), (expected.as_slice(), -3));
    }

    #[test]
    fn an_award_that_went_on_hold_at_once_is_released_to_its_person() {
        let facts = CompletedFacts { reopened: 1, ..completed(1, 7) };
        let award = posted(1, award(&facts).posting(Used::default()).expect("a posting"));
        let given = release(&award, "order closed", later(), None).expect("a release");
        assert!(given.legs.contains(&leg(AccountRef::person(Purse::Spendable, Uuid::from_u128(7)), 3)));
        assert_eq!(hold(&award, HoldReason::Reopened, later(), None), Err(ScoringFault::NothingToMove));
    }

    #[test]
    fn a_deduction_and_an_award_of_nothing_cannot_go_on_hold() {
        let late = CompletedFacts { at: utc("2026-03-07T01:00:00Z"), ..completed(1, 7) };
        let deduction = posted(1, award(&late).posting(Used::default()).expect("a posting"));
        assert_eq!(hold(&deduction, HoldReason::Reopened, later(), None), Err(ScoringFault::NothingToMove));
        let nothing = posted(2, award(&completed(1, 7)).posting(Used::in_month(30)).expect("a posting"));
        assert_eq!(hold(&nothing, HoldReason::Reopened, later(), None), Err(ScoringFault::NothingToMove));
        assert_eq!(release(&nothing, "", later(), None), Err(ScoringFault::NothingToMove));
        assert_eq!(void(&nothing, "", later(), None), Err(ScoringFault::NothingToMove));
    }

    #[test]
    fn a_reversal_is_the_exact_negation_and_names_its_original() {
        let late = CompletedFacts { at: utc("2026-03-07T01:00:00Z"), ..completed(1, 7) };
        let deduction = posted(1, award(&late).posting(Used::default()).expect("a posting"));
        let decider = Some(Uuid::from_u128(9));
        let back = reversal(&deduction, "appeal upheld", later(), decider).expect("a reversal");
        let turned: Vec<i64> = back.legs.iter().map(|leg| leg.points).collect();
        assert_eq!((turned, back.points()), (vec![-2, 2], 2));
        assert_eq!((back.cause.kind.to_string(), back.cause.source_id), ("reversal".into(), deduction.id));
        assert_eq!((back.rule_code.as_str(), back.decided_by), (LATE, decider));
    }

    #[test]
    fn why_recomputes_every_link_of_a_chain() {
        let book = RuleBook::sample();
        let rule = book.version(ON_TIME, 1).expect("the rule");
        let mut chain =
            vec![posted(1, award(&completed(1, 7)).posting(Used::in_month(28)).expect("a posting"))];
        for step in 0_u128..3 {
            let held =
                hold(chain.last().expect("a link"), HoldReason::Reopened, later(), None).expect("a hold");
            chain.push(posted(10 + step, held));
            let given = release(chain.last().expect("a link"), "closed", later(), None).expect("a release");
            chain.push(posted(20 + step, given));
        }
        let back = reversal(chain.last().expect("a link"), "forged", later(), None).expect("a reversal");
        chain.push(posted(30, back));
        chain.push(posted(31, void(chain.last().expect("a link"), "forged", later(), None).expect("a void")));
        let shown: Vec<i64> = chain.iter().map(|link| link.posting.points()).collect();
        assert_eq!(shown, [2, -2, 2, -2, 2, -2, 2, -2, -2]);
        let again: Vec<i64> =
            chain.iter().map(|link| recompute(&link.posting.inputs, Some(rule)).expect("a rule")).collect();
        assert_eq!(again, shown);
    }

    #[test]
    fn points_on_hold_are_released_only_when_the_last_round_earned_them() {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let (on_time, both) = ([ON_TIME.to_owned()], [ON_TIME.to_owned(), FIVE_STARS.to_owned()]);
        assert_eq!(held_end(ON_TIME, one, Some(one), &on_time), HeldEnd::Release);
        assert_eq!(held_end(ON_TIME, one, Some(one), &both[1..]), HeldEnd::Void, "the rework was late");
        assert_eq!(held_end(ON_TIME, one, Some(two), &both), HeldEnd::Void, "somebody else did it");
        assert_eq!(held_end(ON_TIME, one, None, &both), HeldEnd::Void, "the order was cancelled");
        assert_eq!(held_end(FIVE_STARS, one, Some(one), &both), HeldEnd::Release);
        assert_eq!(held_end(FIVE_STARS, one, Some(one), &on_time), HeldEnd::Void, "unrated is not satisfied");
    }
}
