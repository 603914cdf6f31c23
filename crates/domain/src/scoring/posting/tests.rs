use super::super::facts::Facts;
use super::super::month::month_of;
use super::*;

fn draft(legs: Vec<Leg>) -> Draft {
    let at: DateTime<Utc> = "2026-03-05T01:00:00Z".parse().expect("an instant");
    Draft {
        cause: Cause {
            kind: CauseKind::Rule { code: "609".into(), round: 0 },
            source_type: SourceType::Order,
            source_id: Uuid::from_u128(1),
        },
        rule_code: "609".into(),
        rule_version: 1,
        inputs: Inputs {
            month: month_of(at),
            used_in_month: 0,
            used_in_day: None,
            used_of_order: None,
            held: None,
            facts: Facts::Featured,
        },
        area: "140724104".parse().expect("a township"),
        decided_by: None,
        at,
        legs,
        reverses: None,
    }
}

fn leg(account: AccountRef, points: i64) -> Leg {
    Leg { account, points }
}

#[test]
fn a_posting_sums_to_zero_in_each_purse() {
    let person = Uuid::from_u128(7);
    let (a, s) = (Purse::Assessment, Purse::Spendable);
    let across = vec![leg(AccountRef::issuance(a), -3), leg(AccountRef::person(s, person), 3)];
    assert_eq!(Posting::new(draft(across)), Err(ScoringFault::Unbalanced { purse: a, sum: -3 }));
    let three = vec![
        leg(AccountRef::issuance(s), -3),
        leg(AccountRef::person(s, person), 2),
        leg(AccountRef::void(s), 1),
    ];
    assert!(Posting::new(draft(three)).is_ok());
}

#[test]
fn accounts_are_checked() {
    let person = Uuid::from_u128(7);
    let (a, s) = (Purse::Assessment, Purse::Spendable);
    assert_eq!(Posting::new(draft(vec![])), Err(ScoringFault::NoLegs));
    let ownerless = AccountRef { kind: AccountKind::Person, purse: s, owner: None };
    assert_eq!(Posting::new(draft(vec![leg(ownerless, 0)])), Err(ScoringFault::WrongOwner(ownerless)));
    let owned = AccountRef { kind: AccountKind::Void, purse: s, owner: Some(person) };
    assert_eq!(Posting::new(draft(vec![leg(owned, 0)])), Err(ScoringFault::WrongOwner(owned)));
    let own = AccountRef::person(s, person);
    assert_eq!(Posting::new(draft(vec![leg(own, 1), leg(own, -1)])), Err(ScoringFault::AccountTwice(own)));
    let shop = AccountRef { purse: a, ..AccountRef::shop(person) };
    assert_eq!(Posting::new(draft(vec![leg(shop, 0)])), Err(ScoringFault::AssessmentSpent));
}

#[test]
fn sums_beyond_the_edge_of_i64_are_refused() {
    let (a, one, two) = (Purse::Assessment, Uuid::from_u128(1), Uuid::from_u128(2));
    // Wrapping around, these would sum to zero.
    let legs = vec![
        leg(AccountRef::person(a, one), i64::MAX),
        leg(AccountRef::person(a, two), i64::MAX),
        leg(AccountRef::issuance(a), 2),
    ];
    assert_eq!(Posting::new(draft(legs)), Err(ScoringFault::Overflow));
    let moved = movement(AccountRef::issuance(a), AccountRef::person(a, one), i64::MIN);
    assert_eq!(moved, Err(ScoringFault::Overflow));
}

#[test]
fn a_correction_names_what_it_answers_and_an_award_names_nothing() {
    let legs = vec![leg(AccountRef::void(Purse::Spendable), 0)];
    let original = Uuid::from_u128(5);
    let correction = |source_type| Cause {
        kind: CauseKind::Correction(CorrectionKind::Reversal),
        source_type,
        source_id: original,
    };
    let with = |cause: Option<Cause>, reverses| {
        let plain = draft(legs.clone());
        Posting::new(Draft { cause: cause.unwrap_or(plain.cause.clone()), reverses, ..plain }).map(|_| ())
    };
    assert_eq!(with(Some(correction(SourceType::Entry)), Some(original)), Ok(()));
    assert_eq!(with(Some(correction(SourceType::Entry)), None), Err(ScoringFault::CauseMismatch));
    assert_eq!(
        with(Some(correction(SourceType::Entry)), Some(Uuid::from_u128(6))),
        Err(ScoringFault::CauseMismatch)
    );
    assert_eq!(with(Some(correction(SourceType::Order)), Some(original)), Err(ScoringFault::CauseMismatch));
    assert_eq!(with(None, Some(original)), Err(ScoringFault::CauseMismatch));
}

#[test]
fn a_passbook_shows_what_moves_on_ones_own_account() {
    use Purse::{Assessment, Spendable};
    let owner = Uuid::from_u128(7);
    let points = |legs: Vec<Leg>| Posting::new(draft(legs)).expect("balanced").points();
    let person = |purse, points| leg(AccountRef::person(purse, owner), points);
    let hold = |purse, points| leg(AccountRef::hold(purse, owner), points);
    let out = |purse, points| leg(AccountRef::issuance(purse), points);
    // Purses that differ, in either order: assessment points are those that show.
    let both = vec![person(Assessment, 5), out(Assessment, -5), person(Spendable, 3), out(Spendable, -3)];
    let mut turned = both.clone();
    turned.reverse();
    assert_eq!([points(both), points(turned)], [5, 5]);
    assert_eq!(points(vec![person(Spendable, 3), out(Spendable, -3)]), 3);
    assert_eq!(points(vec![hold(Assessment, 4), out(Assessment, -4)]), 4);
    assert_eq!(points(vec![hold(Assessment, 4), person(Assessment, -4)]), -4);
    let team = leg(AccountRef::team(Assessment, owner), 6);
    assert_eq!(points(vec![out(Assessment, -6), team]), 6);
    let void = leg(AccountRef::void(Assessment), 2);
    assert_eq!(points(vec![void, out(Assessment, -2)]), 0);
}
