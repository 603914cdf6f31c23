//! Postings: movements of points between accounts that sum to zero in each purse.

use std::collections::BTreeSet;
use std::ops::Deref;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::account::{AccountKind, AccountRef, Purse};
use super::cause::{Cause, CauseKind, CorrectionKind, SourceType};
use super::facts::Inputs;
use crate::area::AreaCode;

/// Points moved on one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Leg {
    /// The account.
    pub account: AccountRef,
    /// Positive onto the account, negative off it. Zero is allowed: an award that its cap cut to nothing still shows
    /// on the passbook.
    pub points: i64,
}

/// A posting before it is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Why it exists; unique for ever.
    pub cause: Cause,
    /// The rule that gave the number. A correction keeps the rule of what it corrects.
    pub rule_code: String,
    /// The version of that rule.
    pub rule_version: i32,
    /// What the number was computed from.
    pub inputs: Inputs,
    /// The area as of the event; a later move of the person or the grid does not change it.
    pub area: AreaCode,
    /// The person who decided; none where the rule alone did.
    pub decided_by: Option<Uuid>,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// The points moved.
    pub legs: Vec<Leg>,
    /// The one earlier posting that this one answers: reverses, puts on hold, releases or voids. The store holds it
    /// unique, so each posting is answered at most once. Answers form a chain (award, hold, release …) of which only
    /// the last link can be answered: points cannot be released and voided both, or be reversed while on hold.
    pub reverses: Option<Uuid>,
}

/// A checked movement of points: its legs sum to zero in each purse. Reads like its [`Draft`]; cannot be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting(Draft);

/// A posting that stands in the ledger, with its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostedTransaction {
    /// The id that a correction names.
    pub id: Uuid,
    /// What was posted.
    pub posting: Posting,
}

/// Why something cannot be posted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScoringFault {
    /// A posting without legs.
    #[error("a posting needs legs")]
    NoLegs,
    /// An account of somebody without owner, or an account of nobody with one.
    #[error("the owner of {0} is missing or too much")]
    WrongOwner(AccountRef),
    /// Two legs on one account.
    #[error("{0} stands in two legs")]
    AccountTwice(AccountRef),
    /// Assessment points on a shop's account.
    #[error("assessment points cannot be spent")]
    AssessmentSpent,
    /// The legs of a purse do not sum to zero.
    #[error("the legs of {purse} sum to {sum}")]
    Unbalanced {
        /// The purse.
        purse: Purse,
        /// What they sum to.
        sum: i64,
    },
    /// A sum leaves the range of `i64`.
    #[error("a sum is too large")]
    Overflow,
    /// A correction that does not name the posting it answers, or an award that names one.
    #[error("the cause and the answered posting do not belong together")]
    CauseMismatch,
    /// No version of the rule is in force.
    #[error("no rule {0} is in force")]
    UnknownRule(String),
    /// The decider chose points that the rule does not allow.
    #[error("rule {code} does not allow {points} points")]
    PointsNotAllowed {
        /// The rule.
        code: String,
        /// The choice.
        points: i64,
    },
    /// A person decided on his own points: two persons, always.
    #[error("nobody decides on his own points")]
    OwnDecision,
    /// A hold, release or void of a posting that has no points there: a deduction, or an award cut to zero.
    #[error("there are no points to move")]
    NothingToMove,
    /// The cause has been posted before.
    #[error("the cause has been posted before")]
    DuplicateCause,
    /// The posting has been answered before.
    #[error("posting {0} has been answered before")]
    AlreadyAnswered(Uuid),
    /// The posting that is to be answered does not exist.
    #[error("there is no posting {0}")]
    UnknownPosting(Uuid),
    /// A reversal that is not the exact negation of its original.
    #[error("not the exact negation of posting {0}")]
    NotTheNegation(Uuid),
    /// Something that is no reservation cannot be spent.
    #[error("posting {0} is no reservation")]
    NotReserved(Uuid),
    /// The account does not hold what is to be taken off it.
    #[error("{0} does not hold that much")]
    Overdrawn(AccountRef),
}

impl Posting {
    /// Checks a draft.
    ///
    /// # Errors
    /// A [`ScoringFault`] when legs are missing, an account stands there twice or with a wrong owner, assessment
    /// points reach a shop, a purse does not sum to zero, a sum overflows, or a correction names no original.
    pub fn new(draft: Draft) -> Result<Self, ScoringFault> {
        check_accounts(&draft.legs)?;
        for purse in Purse::ALL {
            match sum(draft.legs.iter().filter(|leg| leg.account.purse == purse))? {
                0 => {}
                sum => return Err(ScoringFault::Unbalanced { purse, sum }),
            }
        }
        let answers = match draft.cause.kind {
            CauseKind::Correction(_) if draft.cause.source_type == SourceType::Entry => {
                Some(draft.cause.source_id)
            }
            CauseKind::Correction(_) => return Err(ScoringFault::CauseMismatch),
            CauseKind::Rule { .. } | CauseKind::Reserve => None,
        };
        if draft.reverses == answers { Ok(Self(draft)) } else { Err(ScoringFault::CauseMismatch) }
    }

    /// The points that the passbook shows for it: what it moves on a person's own account, or on his hold where his
    /// own account is not touched; in assessment points if there are any.
    pub fn points(&self) -> i64 {
        let of = |kinds: &[AccountKind], purse| {
            let wanted = |leg: &&Leg| kinds.contains(&leg.account.kind) && leg.account.purse == purse;
            self.legs.iter().find(wanted).map(|leg| leg.points)
        };
        let own = [AccountKind::Person, AccountKind::Team];
        let hold = [AccountKind::Hold];
        Purse::ALL.into_iter().find_map(|purse| of(&own, purse).or_else(|| of(&hold, purse))).unwrap_or(0)
    }

    /// True when the account of `leg` must not be below zero after this posting.
    ///
    /// Nothing is spent that is not there, and nothing leaves a hold twice. Assessment points may fall below zero,
    /// because a deduction stands whatever a person has. A hold or a reversal may leave a person's spendable points
    /// below zero: points that were spent before they turned out to be wrong are a debt, worked off by later awards;
    /// otherwise spending fast would protect a forged entry.
    pub fn needs_cover(&self, leg: &Leg) -> bool {
        if leg.points >= 0 {
            return false;
        }
        let takes_back =
            matches!(self.cause.kind, CauseKind::Correction(CorrectionKind::Hold | CorrectionKind::Reversal));
        match (leg.account.kind, leg.account.purse) {
            (AccountKind::Issuance | AccountKind::Void, _) => false,
            (AccountKind::Hold | AccountKind::Shop, _) => true,
            (AccountKind::Person | AccountKind::Team, Purse::Assessment) => false,
            (AccountKind::Person | AccountKind::Team, Purse::Spendable) => !takes_back,
        }
    }
}

impl Deref for Posting {
    type Target = Draft;

    fn deref(&self) -> &Draft {
        &self.0
    }
}

fn check_accounts(legs: &[Leg]) -> Result<(), ScoringFault> {
    if legs.is_empty() {
        return Err(ScoringFault::NoLegs);
    }
    let mut seen = BTreeSet::new();
    for Leg { account, .. } in legs {
        if account.owner.is_some() != account.kind.has_owner() {
            return Err(ScoringFault::WrongOwner(*account));
        }
        if account.kind == AccountKind::Shop && account.purse == Purse::Assessment {
            return Err(ScoringFault::AssessmentSpent);
        }
        if !seen.insert(*account) {
            return Err(ScoringFault::AccountTwice(*account));
        }
    }
    Ok(())
}

fn sum<'a>(legs: impl Iterator<Item = &'a Leg>) -> Result<i64, ScoringFault> {
    legs.map(|leg| leg.points).try_fold(0_i64, i64::checked_add).ok_or(ScoringFault::Overflow)
}

/// The two legs that move `points` from one account to another.
pub(super) fn movement(from: AccountRef, to: AccountRef, points: i64) -> Result<[Leg; 2], ScoringFault> {
    let taken = points.checked_neg().ok_or(ScoringFault::Overflow)?;
    Ok([Leg { account: from, points: taken }, Leg { account: to, points }])
}

#[cfg(test)]
mod tests;
