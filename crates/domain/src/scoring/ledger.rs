//! The ledger in memory: the same refusals as the store's, small enough to be checked against arithmetic.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::account::{AccountRef, Purse};
use super::cause::{Cause, CauseKind, CorrectionKind};
use super::correction::negated;
use super::posting::{PostedTransaction, Posting, ScoringFault};

/// Postings in the order in which they came, and the balances that follow from them.
///
/// It is the model that both databases are tested against: whatever they accept or refuse, this does too.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    posted: Vec<PostedTransaction>,
    /// Where a posting stands among them, by its id.
    places: BTreeMap<Uuid, usize>,
    balances: BTreeMap<AccountRef, i64>,
    causes: BTreeSet<Cause>,
    answered: BTreeSet<Uuid>,
}

impl Ledger {
    /// Adds a posting, wholly or not at all.
    ///
    /// # Errors
    /// [`ScoringFault::DuplicateCause`], [`ScoringFault::UnknownPosting`], [`ScoringFault::AlreadyAnswered`],
    /// [`ScoringFault::NotTheNegation`], [`ScoringFault::Overdrawn`] or [`ScoringFault::Overflow`]; the ledger is
    /// then as it was.
    pub fn post(&mut self, id: Uuid, posting: Posting) -> Result<&PostedTransaction, ScoringFault> {
        if self.causes.contains(&posting.cause) {
            return Err(ScoringFault::DuplicateCause);
        }
        self.check_answer(&posting)?;
        let changed = self.changed(&posting)?;
        self.balances.extend(changed);
        self.causes.insert(posting.cause.clone());
        self.answered.extend(posting.reverses);
        self.places.entry(id).or_insert(self.posted.len());
        self.posted.push(PostedTransaction { id, posting });
        Ok(&self.posted[self.posted.len() - 1])
    }

    /// What lies on an account; zero for one that was never moved.
    pub fn balance(&self, account: AccountRef) -> i64 {
        self.balances.get(&account).copied().unwrap_or(0)
    }

    /// Every account that was ever moved, with its balance.
    pub fn balances(&self) -> impl Iterator<Item = (AccountRef, i64)> {
        self.balances.iter().map(|(account, points)| (*account, *points))
    }

    /// The sum of all balances of a purse: always zero. Wider than a balance, so that it cannot overflow.
    pub fn total(&self, purse: Purse) -> i128 {
        self.balances()
            .filter(|(account, _)| account.purse == purse)
            .map(|(_, points)| i128::from(points))
            .sum()
    }

    /// Everything posted, in order.
    pub fn posted(&self) -> &[PostedTransaction] {
        &self.posted
    }

    /// The (first) posting with this id.
    pub fn get(&self, id: Uuid) -> Option<&PostedTransaction> {
        self.posted.get(*self.places.get(&id)?)
    }

    fn check_answer(&self, posting: &Posting) -> Result<(), ScoringFault> {
        let Some(id) = posting.reverses else { return Ok(()) };
        let original = self.get(id).ok_or(ScoringFault::UnknownPosting(id))?;
        if self.answered.contains(&id) {
            return Err(ScoringFault::AlreadyAnswered(id));
        }
        let reversal = posting.cause.kind == CauseKind::Correction(CorrectionKind::Reversal);
        if reversal && !same_legs(posting, &negated(&original.posting.legs)?) {
            return Err(ScoringFault::NotTheNegation(id));
        }
        Ok(())
    }

    /// The balances after a posting, of the accounts that it moves.
    fn changed(&self, posting: &Posting) -> Result<Vec<(AccountRef, i64)>, ScoringFault> {
        let mut changed = Vec::with_capacity(posting.legs.len());
        for leg in &posting.legs {
            let after = self.balance(leg.account).checked_add(leg.points).ok_or(ScoringFault::Overflow)?;
            if after < 0 && posting.needs_cover(leg) {
                return Err(ScoringFault::Overdrawn(leg.account));
            }
            changed.push((leg.account, after));
        }
        Ok(changed)
    }
}

/// The same legs, in whatever order.
fn same_legs(posting: &Posting, legs: &[super::posting::Leg]) -> bool {
    let sorted = |legs: &[super::posting::Leg]| legs.iter().copied().collect::<BTreeSet<_>>();
    sorted(&posting.legs) == sorted(legs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::award::tests::{completed, rated, utc};
    use super::super::award::{CompletedFacts, HoldReason, on_completed, on_rated};
    use super::super::caps::Used;
    use super::super::correction::{hold, release, reversal, void};
    use super::super::posting::{Draft, Leg};
    use super::super::rules::RuleBook;
    use super::super::spending::{Reservation, reserve};
    use super::*;

    fn award(order: u128, volunteer: u128) -> Posting {
        on_completed(&RuleBook::sample(), &completed(order, volunteer))[0]
            .posting(Used::default())
            .expect("a posting")
    }

    fn correct(ledger: &Ledger, kind: CorrectionKind, id: Uuid) -> Result<Posting, ScoringFault> {
        let of = ledger.get(id).expect("the posting");
        let at = utc("2026-04-01T00:00:00Z");
        match kind {
            CorrectionKind::Hold => hold(of, HoldReason::Reopened, at, None),
            CorrectionKind::Release => release(of, "closed", at, None),
            CorrectionKind::Void => void(of, "cancelled", at, None),
            CorrectionKind::Reversal => reversal(of, "wrong", at, None),
            CorrectionKind::Spend => super::super::spend(of, Uuid::from_u128(99), at, Uuid::from_u128(98)),
        }
    }

    /// Points of a person in the shop: the movement that must never overdraw.
    fn spend(person: u128, points: i64, source: u128) -> Posting {
        let plain = award(source, person);
        let (own, shop) =
            (AccountRef::person(Purse::Spendable, Uuid::from_u128(person)), Uuid::from_u128(99));
        let legs =
            vec![Leg { account: own, points: -points }, Leg { account: AccountRef::shop(shop), points }];
        Posting::new(Draft { legs, ..(*plain).clone() }).expect("a posting")
    }

    #[test]
    fn a_cause_is_posted_once() {
        let mut ledger = Ledger::default();
        ledger.post(Uuid::from_u128(1), award(1, 7)).expect("the first time");
        let before = ledger.clone();
        assert_eq!(ledger.post(Uuid::from_u128(2), award(1, 7)), Err(ScoringFault::DuplicateCause));
        // The cause alone decides: another person does not make it another cause.
        assert_eq!(ledger.post(Uuid::from_u128(3), award(1, 8)), Err(ScoringFault::DuplicateCause));
        assert_eq!(ledger, before);
        let late = CompletedFacts { at: utc("2026-03-07T01:00:00Z"), ..completed(1, 7) };
        let other = on_completed(&RuleBook::sample(), &late)[0].posting(Used::default()).expect("a posting");
        assert!(ledger.post(Uuid::from_u128(4), other).is_ok(), "another kind is another cause");
    }

    #[test]
    fn a_total_shows_what_no_posting_can_do() {
        let mut ledger = Ledger::default();
        ledger.post(Uuid::from_u128(1), award(1, 7)).expect("an award");
        assert_eq!(Purse::ALL.map(|purse| ledger.total(purse)), [0, 0]);
        // Behind its back: points from nowhere.
        let own = AccountRef::person(Purse::Assessment, Uuid::from_u128(7));
        let forged = ledger.balance(own) + 11;
        ledger.balances.insert(own, forged);
        assert_eq!([ledger.total(Purse::Assessment), ledger.total(Purse::Spendable)], [11, 0]);
    }

    #[test]
    fn a_posting_is_answered_once_whatever_the_answer() {
        use CorrectionKind::{Hold, Release, Reversal, Void};
        let (award_id, hold_id) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut ledger = Ledger::default();
        ledger.post(award_id, award(1, 7)).expect("an award");
        ledger.post(hold_id, correct(&ledger, Hold, award_id).expect("a hold")).expect("on hold");
        for (kind, id) in [(Reversal, award_id), (Void, hold_id)] {
            if kind == Void {
                ledger
                    .post(Uuid::from_u128(3), correct(&ledger, Release, id).expect("a release"))
                    .expect("released");
            }
            let refused = ledger
                .clone()
                .post(Uuid::from_u128(4), correct(&ledger, kind, id).expect("an answer"))
                .map(|_| ());
            assert_eq!(refused, Err(ScoringFault::AlreadyAnswered(id)));
        }
        let twice = ledger
            .clone()
            .post(Uuid::from_u128(5), correct(&ledger, Hold, award_id).expect("a hold"))
            .map(|_| ());
        assert_eq!(twice, Err(ScoringFault::DuplicateCause));
    }

    #[test]
    fn an_answer_to_nothing_and_a_false_negation_are_refused() {
        let mut ledger = Ledger::default();
        ledger.post(Uuid::from_u128(1), award(1, 7)).expect("an award");
        let good = correct(&ledger, CorrectionKind::Reversal, Uuid::from_u128(1)).expect("a reversal");
        let refused = Ledger::default().post(Uuid::from_u128(2), good.clone()).map(|_| ());
        assert_eq!(refused, Err(ScoringFault::UnknownPosting(Uuid::from_u128(1))));
        let legs = vec![Leg { account: AccountRef::issuance(Purse::Spendable), points: 0 }];
        let short = Posting::new(Draft { legs, ..(*good).clone() }).expect("balanced, but not the negation");
        let refused = ledger.post(Uuid::from_u128(3), short).map(|_| ());
        assert_eq!(refused, Err(ScoringFault::NotTheNegation(Uuid::from_u128(1))));
    }

    #[test]
    fn nothing_is_spent_that_is_not_there_but_forged_points_that_were_spent_are_a_debt() {
        let mut ledger = Ledger::default();
        let own = AccountRef::person(Purse::Spendable, Uuid::from_u128(7));
        ledger.post(Uuid::from_u128(1), award(1, 7)).expect("an award");
        let refused = ledger.post(Uuid::from_u128(2), spend(7, 4, 100)).map(|_| ());
        assert_eq!(refused, Err(ScoringFault::Overdrawn(own)));
        ledger.post(Uuid::from_u128(3), spend(7, 3, 101)).expect("all of it");
        let assessment = AccountRef::person(Purse::Assessment, Uuid::from_u128(7));
        assert_eq!(ledger.balance(assessment), 3, "spending does not touch the assessment");
        let back = correct(&ledger, CorrectionKind::Reversal, Uuid::from_u128(1)).expect("a reversal");
        ledger.post(Uuid::from_u128(4), back).expect("spending does not protect a forged entry");
        assert_eq!((ledger.balance(own), ledger.balance(assessment)), (-3, 0));
        ledger.post(Uuid::from_u128(5), award(2, 7)).expect("a later award works the debt off");
        assert_eq!(ledger.balance(own), 0);
    }

    #[test]
    fn a_balance_beyond_the_edge_of_i64_is_refused() {
        let huge = |source| {
            let (a, person) = (Purse::Assessment, Uuid::from_u128(7));
            let legs = vec![
                Leg { account: AccountRef::issuance(a), points: -i64::MAX },
                Leg { account: AccountRef::person(a, person), points: i64::MAX },
            ];
            Posting::new(Draft { legs, ..(*award(source, 7)).clone() }).expect("it balances")
        };
        let mut ledger = Ledger::default();
        ledger.post(Uuid::from_u128(1), huge(1)).expect("just within");
        let before = ledger.clone();
        assert_eq!(ledger.post(Uuid::from_u128(2), huge(2)), Err(ScoringFault::Overflow));
        assert_eq!(ledger, before);
    }

    /// A step of a made-up history.
    #[derive(Debug, Clone)]
    enum Step {
        Complete { order: u128, volunteer: u128, late: bool, reopened: u32, used: i64 },
        Rate { order: u128, volunteer: u128, used: i64 },
        Spend { person: u128, points: i64, source: u128 },
        Reserve { person: u128, price: i64, quantity: i64, source: u128 },
        Correct { kind: CorrectionKind, target: prop::sample::Index },
    }

    fn step() -> impl Strategy<Value = Step> {
        let kinds = [
            CorrectionKind::Hold,
            CorrectionKind::Release,
            CorrectionKind::Void,
            CorrectionKind::Reversal,
            CorrectionKind::Spend,
        ];
        prop_oneof![
            3 => (0_u128..8, 1_u128..4, any::<bool>(), 0_u32..3, 0_i64..32).prop_map(
                |(order, volunteer, late, reopened, used)| Step::Complete { order, volunteer, late, reopened, used }
            ),
            2 => (0_u128..8, 1_u128..4, 0_i64..22)
                .prop_map(|(order, volunteer, used)| Step::Rate { order, volunteer, used }),
            1 => (1_u128..4, 1_i64..6, 1000_u128..1004)
                .prop_map(|(person, points, source)| Step::Spend { person, points, source }),
            2 => (1_u128..4, 1_i64..4, 1_i64..3, 2000_u128..2008).prop_map(
                |(person, price, quantity, source)| Step::Reserve { person, price, quantity, source }
            ),
            4 => (prop::sample::select(kinds.to_vec()), any::<prop::sample::Index>())
                .prop_map(|(kind, target)| Step::Correct { kind, target }),
        ]
    }

    /// The posting of a step; none where the step has nothing to post.
    fn posting(ledger: &Ledger, book: &RuleBook, step: &Step) -> Option<Posting> {
        match *step {
            Step::Complete { order, volunteer, late, reopened, used } => {
                let at = if late { utc("2026-03-07T01:00:00Z") } else { utc("2026-03-04T01:00:00Z") };
                let facts = CompletedFacts { at, reopened, ..completed(order, volunteer) };
                on_completed(book, &facts)[0].posting(Used::in_month(used)).ok()
            }
            Step::Rate { order, volunteer, used } => {
                on_rated(book, &rated(order, volunteer))[0].posting(Used::in_month(used)).ok()
            }
            Step::Spend { person, points, source } => Some(spend(person, points, source)),
            Step::Reserve { person, price, quantity, source } => {
                let wanted = Reservation {
                    redemption: Uuid::from_u128(source),
                    person: Uuid::from_u128(person),
                    area: "140724104".parse().expect("a township"),
                    price,
                    quantity,
                    at: utc("2026-03-05T01:00:00Z"),
                };
                reserve(&wanted).ok()
            }
            Step::Correct { .. } if ledger.posted().is_empty() => None,
            Step::Correct { kind, target } => {
                correct(ledger, kind, ledger.posted()[target.index(ledger.posted().len())].id).ok()
            }
        }
    }

    fn history(steps: &[Step]) -> Ledger {
        let book = RuleBook::sample();
        let mut ledger = Ledger::default();
        for (at, step) in steps.iter().enumerate() {
            if let Some(posting) = posting(&ledger, &book, step) {
                // Refusals belong to the history: the properties hold whatever was refused.
                let _ = ledger.post(Uuid::from_u128(1 + at as u128), posting);
            }
        }
        ledger
    }

    fn fold(ledger: &Ledger) -> BTreeMap<AccountRef, i64> {
        let mut balances = BTreeMap::new();
        for leg in ledger.posted().iter().flat_map(|posted| &posted.posting.legs) {
            *balances.entry(leg.account).or_default() += leg.points;
        }
        balances
    }

    proptest! {
        #[test]
        fn every_purse_sums_to_zero_and_balances_are_the_fold_of_the_legs(
            steps in prop::collection::vec(step(), 0..60)
        ) {
            let ledger = history(&steps);
            for purse in Purse::ALL {
                prop_assert_eq!(ledger.total(purse), 0);
            }
            prop_assert_eq!(ledger.balances().collect::<BTreeMap<_, _>>(), fold(&ledger));
        }

        #[test]
        fn no_hold_and_no_shop_is_ever_below_zero(steps in prop::collection::vec(step(), 0..60)) {
            use super::super::account::AccountKind::{Hold, Shop};
            for (account, points) in history(&steps).balances() {
                prop_assert!(points >= 0 || !matches!(account.kind, Hold | Shop), "{account}: {points}");
            }
        }

        #[test]
        fn a_history_repeated_changes_nothing(steps in prop::collection::vec(step(), 0..60)) {
            let mut ledger = history(&steps);
            let once = ledger.clone();
            for posted in once.posted() {
                let again = ledger.post(Uuid::from_u128(1_000_000), posted.posting.clone()).map(|_| ());
                prop_assert_eq!(again, Err(ScoringFault::DuplicateCause));
            }
            prop_assert_eq!(ledger, once);
        }

        #[test]
        fn a_reversal_restores_every_balance(steps in prop::collection::vec(step(), 0..40), next in step()) {
            let mut ledger = history(&steps);
            let before = ledger.clone();
            let id = Uuid::from_u128(1_000_000);
            let Some(posting) = posting(&ledger, &RuleBook::sample(), &next) else { return Ok(()) };
            if ledger.post(id, posting).is_err() {
                return Ok(());
            }
            let back = correct(&ledger, CorrectionKind::Reversal, id).expect("a reversal");
            ledger.post(Uuid::from_u128(1_000_001), back).expect("the last posting can be taken back");
            for (account, points) in ledger.balances() {
                prop_assert_eq!(points, before.balance(account), "{}", account);
            }
        }
    }
}
