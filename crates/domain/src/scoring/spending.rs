//! Points into goods: the reservation of spendable points. What becomes of it is an answer like any other: spent
//! ([`super::spend`]) or given back ([`super::release`]), exactly one of the two, because answers are unique.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::account::{AccountRef, Purse};
use super::cause::{Cause, CauseKind, SourceType};
use super::facts::{Facts, Inputs};
use super::month::month_of;
use super::posting::{Draft, Posting, ScoringFault, movement};
use crate::area::AreaCode;

/// What stands in the place of a rule's code where goods are paid for: their price gives the number. Lower case, as no
/// rule's code is.
pub const SHOP_RULE: &str = "shop";

/// Goods that somebody wants, at the price of this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// The redemption; it reserves once, whatever is retried.
    pub redemption: Uuid,
    /// Who pays.
    pub person: Uuid,
    /// The shop's area.
    pub area: AreaCode,
    /// Points for one piece; above zero.
    pub price: i64,
    /// Pieces; above zero.
    pub quantity: i64,
    /// When.
    pub at: DateTime<Utc>,
}

/// Puts spendable points aside. Assessment points are not touched: nobody is assessed lower for what he buys.
///
/// # Errors
/// [`ScoringFault::NothingToMove`] for a price or a quantity that is not above zero, [`ScoringFault::Overflow`] where
/// their product leaves the range of `i64`.
pub fn reserve(reservation: &Reservation) -> Result<Posting, ScoringFault> {
    let Reservation { redemption, person, area, price, quantity, at } = *reservation;
    if price < 1 || quantity < 1 {
        return Err(ScoringFault::NothingToMove);
    }
    let points = price.checked_mul(quantity).ok_or(ScoringFault::Overflow)?;
    let (own, hold) =
        (AccountRef::person(Purse::Spendable, person), AccountRef::hold(Purse::Spendable, person));
    Posting::new(Draft {
        cause: Cause { kind: CauseKind::Reserve, source_type: SourceType::Redemption, source_id: redemption },
        rule_code: SHOP_RULE.to_owned(),
        rule_version: 0,
        inputs: Inputs {
            month: month_of(at),
            used_in_month: 0,
            used_in_day: None,
            used_of_order: None,
            held: None,
            facts: Facts::Reserved { price, quantity },
        },
        area,
        decided_by: None,
        at,
        legs: movement(own, hold, points)?.to_vec(),
        reverses: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::award::on_completed;
    use super::super::award::tests::{completed, utc};
    use super::super::caps::Used;
    use super::super::correction::{hold, release, spend, void};
    use super::super::facts::recompute;
    use super::super::ledger::Ledger;
    use super::super::posting::PostedTransaction;
    use super::super::rules::RuleBook;
    use super::super::{AccountKind, HoldReason};
    use super::*;

    const PERSON: Uuid = Uuid::from_u128(7);
    const SHOP: Uuid = Uuid::from_u128(99);
    const KEEPER: Uuid = Uuid::from_u128(8);

    fn wanted(redemption: u128, price: i64, quantity: i64) -> Reservation {
        Reservation {
            redemption: Uuid::from_u128(redemption),
            person: PERSON,
            area: "140724104003".parse().expect("a village"),
            price,
            quantity,
            at: utc("2026-03-05T01:00:00Z"),
        }
    }

    /// A ledger in which the person has 3 points in each purse.
    fn with_three_points() -> Ledger {
        let mut ledger = Ledger::default();
        let award = on_completed(&RuleBook::sample(), &completed(1, 7))[0]
            .posting(Used::default())
            .expect("a posting");
        ledger.post(Uuid::from_u128(1), award).expect("an award");
        ledger
    }

    fn balances(ledger: &Ledger) -> [i64; 4] {
        [
            AccountRef::person(Purse::Assessment, PERSON),
            AccountRef::person(Purse::Spendable, PERSON),
            AccountRef::hold(Purse::Spendable, PERSON),
            AccountRef::shop(SHOP),
        ]
        .map(|account| ledger.balance(account))
    }

    #[test]
    fn reserved_points_are_spent_or_given_back_and_never_both() {
        let mut ledger = with_three_points();
        let reserved = ledger
            .post(Uuid::from_u128(2), reserve(&wanted(10, 1, 2)).expect("a posting"))
            .expect("covered")
            .clone();
        assert_eq!(balances(&ledger), [3, 1, 2, 0]);
        let again =
            ledger.post(Uuid::from_u128(3), reserve(&wanted(10, 1, 1)).expect("a posting")).map(|_| ());
        assert_eq!(again, Err(ScoringFault::DuplicateCause), "a redemption reserves once");
        let more =
            ledger.post(Uuid::from_u128(3), reserve(&wanted(11, 2, 1)).expect("a posting")).map(|_| ());
        assert_eq!(more, Err(ScoringFault::Overdrawn(AccountRef::person(Purse::Spendable, PERSON))));
        let at = utc("2026-03-06T01:00:00Z");
        let spent = spend(&reserved, SHOP, at, KEEPER).expect("a posting");
        let back = release(&reserved, "expired", at, None).expect("a posting");
        ledger.post(Uuid::from_u128(4), spent).expect("spent");
        assert_eq!(balances(&ledger), [3, 1, 0, 2]);
        let late = ledger.post(Uuid::from_u128(5), back).map(|_| ());
        assert_eq!(late, Err(ScoringFault::AlreadyAnswered(reserved.id)));
    }

    #[test]
    fn what_is_given_back_can_be_spent_again() {
        let mut ledger = with_three_points();
        let reserved = ledger
            .post(Uuid::from_u128(2), reserve(&wanted(10, 3, 1)).expect("a posting"))
            .expect("covered")
            .clone();
        let at = utc("2026-03-06T01:00:00Z");
        ledger
            .post(Uuid::from_u128(3), release(&reserved, "expired", at, None).expect("a posting"))
            .expect("given back");
        assert_eq!(balances(&ledger), [3, 3, 0, 0]);
        let late = ledger.post(Uuid::from_u128(4), spend(&reserved, SHOP, at, KEEPER).expect("a posting"));
        assert_eq!(late.map(|_| ()), Err(ScoringFault::AlreadyAnswered(reserved.id)));
    }

    #[test]
    fn only_a_reservation_is_spent() {
        let ledger = with_three_points();
        let award = &ledger.posted()[0];
        let at = utc("2026-03-06T01:00:00Z");
        assert_eq!(spend(award, SHOP, at, KEEPER), Err(ScoringFault::NotReserved(award.id)));
        let held = hold(award, HoldReason::TooQuick, at, None).expect("a hold");
        let held = PostedTransaction { id: Uuid::from_u128(3), posting: held };
        assert_eq!(spend(&held, SHOP, at, KEEPER), Err(ScoringFault::NotReserved(held.id)));
    }

    #[test]
    fn prices_and_quantities_at_the_edges() {
        for (price, quantity) in [(0, 1), (1, 0), (-1, 1), (1, -1), (i64::MIN, 1), (1, i64::MIN)] {
            assert_eq!(reserve(&wanted(1, price, quantity)), Err(ScoringFault::NothingToMove));
        }
        assert_eq!(reserve(&wanted(1, i64::MAX, 2)), Err(ScoringFault::Overflow));
        let all = reserve(&wanted(1, i64::MAX, 1)).expect("the largest amount");
        assert_eq!(all.points(), -i64::MAX);
    }

    #[test]
    fn why_recomputes_every_link_without_a_rule() {
        let at = utc("2026-03-06T01:00:00Z");
        let posting = reserve(&wanted(1, 4, 3)).expect("a posting");
        let reserved = PostedTransaction { id: Uuid::from_u128(1), posting };
        let answers = [
            spend(&reserved, SHOP, at, KEEPER).expect("spent"),
            release(&reserved, "expired", at, None).expect("given back"),
            void(&reserved, "lost", at, None).expect("lost"),
        ];
        assert_eq!(recompute(&reserved.posting.inputs, None), Some(-12));
        for answer in answers {
            assert!(answer.inputs.is_of_shop() && answer.rule_code == SHOP_RULE);
            assert_eq!(recompute(&answer.inputs, None), Some(answer.points()), "{}", answer.cause.kind);
        }
        let award = on_completed(&RuleBook::sample(), &completed(1, 7))[0]
            .posting(Used::default())
            .expect("a posting");
        assert!(!award.inputs.is_of_shop());
        assert_eq!(recompute(&award.inputs, None), None, "an award needs its rule");
        assert!(reserved.posting.legs.iter().all(|leg| leg.account.purse == Purse::Spendable));
        assert!(reserved.posting.legs.iter().any(|leg| leg.account.kind == AccountKind::Hold));
    }
}
