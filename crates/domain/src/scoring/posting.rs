//! The vocabulary of the ledger: accounts, causes, and postings that sum to zero.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::award::HoldReason;
use super::caps::{Caps, Used};
use super::conditions::applies;
use super::month::YearMonth;
use super::rules::Rule;
use crate::area::AreaCode;
use crate::deadline::Urgency;

/// A text is none of the words of its list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is not a {list}")]
pub struct UnknownWord {
    /// The list: the name of the type.
    pub list: &'static str,
    /// The text.
    pub word: String,
}

/// Gives an enum one word per variant, in the database, in JSON and in print.
macro_rules! words {
    ($name:ident { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $name {
            /// The word for it in the database and in JSON.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownWord { list: stringify!($name), word: word.to_owned() }),
                }
            }
        }
    };
}
pub(super) use words;

/// What sort of account points lie on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    /// Where points come from; its balance is minus everything that is out. It has no owner.
    Issuance,
    /// A person's own points.
    Person,
    /// A team's points.
    Team,
    /// A person's points on hold. The owner is the person, so that the passbook shows what is his but not yet sure.
    Hold,
    /// Points spent in a shop. The owner is the shop.
    Shop,
    /// Points that were on hold and lost. It has no owner.
    Void,
}

words!(AccountKind {
    Issuance => "issuance",
    Person => "person",
    Team => "team",
    Hold => "hold",
    Shop => "shop",
    Void => "void",
});

impl AccountKind {
    /// True for the accounts of somebody; issuance and void belong to nobody.
    pub fn has_owner(self) -> bool {
        !matches!(self, Self::Issuance | Self::Void)
    }
}

/// The two purses. Every posting sums to zero in each, so points never pass from one purse to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purse {
    /// 赋分考核: what a person is assessed by. Never falls by spending; a deduction may take it below zero.
    Assessment,
    /// 存折: what can be spent in the shop.
    Spendable,
}

words!(Purse { Assessment => "assessment", Spendable => "spendable" });

impl Purse {
    /// Both purses.
    pub const ALL: [Self; 2] = [Self::Assessment, Self::Spendable];
}

/// One account: kind, purse and owner together are its identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccountRef {
    /// What sort of account.
    pub kind: AccountKind,
    /// Which purse.
    pub purse: Purse,
    /// Whose; none for issuance and void.
    pub owner: Option<Uuid>,
}

impl AccountRef {
    /// The account that points come from.
    pub fn issuance(purse: Purse) -> Self {
        Self { kind: AccountKind::Issuance, purse, owner: None }
    }

    /// The account of points that were on hold and lost.
    pub fn void(purse: Purse) -> Self {
        Self { kind: AccountKind::Void, purse, owner: None }
    }

    /// A person's own account.
    pub fn person(purse: Purse, person: Uuid) -> Self {
        Self { kind: AccountKind::Person, purse, owner: Some(person) }
    }

    /// The account of a person's points on hold.
    pub fn hold(purse: Purse, person: Uuid) -> Self {
        Self { kind: AccountKind::Hold, purse, owner: Some(person) }
    }

    /// A team's account.
    pub fn team(purse: Purse, team: Uuid) -> Self {
        Self { kind: AccountKind::Team, purse, owner: Some(team) }
    }

    /// A shop's account. Only spendable points are ever spent, so it has no choice of purse.
    pub fn shop(shop: Uuid) -> Self {
        Self { kind: AccountKind::Shop, purse: Purse::Spendable, owner: Some(shop) }
    }
}

impl fmt::Display for AccountRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.purse)?;
        self.owner.map_or(Ok(()), |owner| write!(f, "/{owner}"))
    }
}

/// The ways to answer an earlier posting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CorrectionKind {
    /// A person's points go on hold.
    Hold,
    /// Points on hold go to the person.
    Release,
    /// Points on hold are lost.
    Void,
    /// The posting is taken back as a whole.
    Reversal,
    /// Points that were reserved in a shop are spent there.
    Spend,
}

words!(CorrectionKind {
    Hold => "hold",
    Release => "release",
    Void => "void",
    Reversal => "reversal",
    Spend => "spend",
});

/// What a posting is for. Prints as `609`, as `609.1` in an order's first round after a reopening, as `reserve`, or as
/// `reversal`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum CauseKind {
    /// An award of a rule.
    Rule {
        /// The rule: upper-case ASCII letters and digits, which no correction's word is made of.
        code: String,
        /// How often the order had been reopened; 0 for everything but orders.
        round: u32,
    },
    /// Points are put aside for goods of a shop.
    Reserve,
    /// The answer to an earlier posting.
    Correction(CorrectionKind),
}

/// The word of [`CauseKind::Reserve`].
const RESERVE: &str = "reserve";

impl fmt::Display for CauseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule { code, round: 0 } => f.write_str(code),
            Self::Rule { code, round } => write!(f, "{code}.{round}"),
            Self::Reserve => f.write_str(RESERVE),
            Self::Correction(kind) => f.write_str(kind.as_str()),
        }
    }
}

impl FromStr for CauseKind {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(kind) = text.parse() {
            return Ok(Self::Correction(kind));
        }
        if text == RESERVE {
            return Ok(Self::Reserve);
        }
        let unknown = || UnknownWord { list: "CauseKind", word: text.to_owned() };
        let (code, round) = match text.split_once('.') {
            Some((code, round)) => (code, round.parse().ok().filter(|round| *round > 0).ok_or_else(unknown)?),
            None => (text, 0),
        };
        let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        if code.is_empty() || !code.bytes().all(plain) {
            return Err(unknown());
        }
        Ok(Self::Rule { code: code.to_owned(), round })
    }
}

impl TryFrom<String> for CauseKind {
    type Error = UnknownWord;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CauseKind> for String {
    fn from(kind: CauseKind) -> Self {
        kind.to_string()
    }
}

/// What sort of thing a cause's source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceType {
    /// 服务单.
    Order,
    /// A post of the showcase.
    Showcase,
    /// 申报: a claim that was decided.
    Claim,
    /// 活动: that somebody took part in an activity.
    Activity,
    /// 走访巡查.
    Patrol,
    /// 兑换: goods of a shop, for points.
    Redemption,
    /// An earlier posting.
    Entry,
}

words!(SourceType {
    Order => "order",
    Showcase => "showcase",
    Claim => "claim",
    Activity => "activity",
    Patrol => "patrol",
    Redemption => "redemption",
    Entry => "entry",
});

/// Why a posting exists. The store holds it unique for ever: whatever is retried, a cause scores once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// What it is for.
    pub kind: CauseKind,
    /// What sort of thing it came from.
    pub source_type: SourceType,
    /// Which one.
    pub source_id: Uuid,
}

/// Everything that the number of a posting was computed from, kept with it for [`recompute`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inputs {
    /// The month that the cap is counted in. A correction keeps the month of the award it corrects.
    pub month: YearMonth,
    /// Points of this rule that the person had been given in that month before, by which the cap was applied.
    pub used_in_month: i64,
    /// The same for the day, where the rule has a cap for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_in_day: Option<i64>,
    /// What the order had brought the person before, where the rule has a cap for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_of_order: Option<i64>,
    /// Set when the award went on hold at once, with the reason that is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<HoldReason>,
    /// What happened.
    pub facts: Facts,
}

/// What happened, as far as points depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Facts {
    /// An order was completed.
    Completed {
        /// When.
        at: DateTime<Utc>,
        /// Until when it was to be; none where the order had no limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due: Option<DateTime<Utc>>,
        /// Minutes of service, as they were reported; not known of entries from before they were kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        minutes: Option<i64>,
        /// How pressing it was; not known of older entries.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        urgency: Option<Urgency>,
    },
    /// An order was rated.
    Rated {
        /// 1 to 5.
        stars: u8,
        /// The resident said so.
        solved: bool,
        /// Whether it was completed in time; not known of older entries.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        on_time: Option<bool>,
        /// Minutes of service, as they were reported; not known of older entries.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        minutes: Option<i64>,
        /// How pressing it was; not known of older entries.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        urgency: Option<Urgency>,
    },
    /// A post was featured.
    Featured,
    /// A claim was decided in favour.
    Claimed {
        /// The choice of the decider where the rule is a range.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        points: Option<i64>,
    },
    /// Somebody took part in an activity.
    Attended {
        /// Minutes of service, without travel.
        minutes: i64,
        /// Minutes on the way, which count for nothing.
        travel_minutes: i64,
    },
    /// A patrol was ended.
    Patrolled {
        /// Minutes from its beginning to its end.
        minutes: i64,
        /// Places that were visited.
        visits: i64,
        /// Hazards that were found and reported.
        hazards: i64,
    },
    /// Goods were reserved in a shop.
    Reserved {
        /// Points for one piece, as of the reservation.
        price: i64,
        /// Pieces.
        quantity: i64,
    },
    /// An earlier posting was answered.
    Corrected {
        /// How.
        correction: CorrectionKind,
        /// Why, in words.
        reason: String,
        /// The inputs of the posting that was answered.
        original: Box<Inputs>,
    },
}

impl Inputs {
    /// What its caps had used up.
    pub fn used(&self) -> Used {
        Used {
            month: self.used_in_month,
            day: self.used_in_day.unwrap_or(0),
            order: self.used_of_order.unwrap_or(0),
        }
    }

    /// The same inputs after this much was used up, as far as these caps count it.
    pub(super) fn after(&self, used: Used, caps: &Caps) -> Self {
        Self {
            used_in_month: used.month,
            used_in_day: caps.day.map(|_| used.day),
            used_of_order: caps.order.map(|_| used.order),
            ..self.clone()
        }
    }

    /// 手工录入: somebody typed it in, and a second person decided.
    pub fn is_hand_made(&self) -> bool {
        matches!(self.origin(), Facts::Claimed { .. })
    }

    /// What happened first, before anything answered it.
    pub fn origin(&self) -> &Facts {
        match &self.facts {
            Facts::Corrected { original, .. } => original.origin(),
            facts => facts,
        }
    }

    /// Goods were reserved, or what became of that: no rule gave the number.
    pub fn is_of_shop(&self) -> bool {
        matches!(self.origin(), Facts::Reserved { .. })
    }
}

/// The number again: the points that a posting with these inputs moves under `rule`, as [`Posting::points`] counts
/// them. `rule` is the version that the posting names; what is [of a shop](Inputs::is_of_shop) needs none. Nothing
/// where a rule is needed and not given.
pub fn recompute(inputs: &Inputs, rule: Option<&Rule>) -> Option<i64> {
    match &inputs.facts {
        Facts::Corrected { correction, original, .. } => {
            let original = recompute(original, rule)?;
            Some(match correction {
                CorrectionKind::Release => original.saturating_abs(),
                CorrectionKind::Hold | CorrectionKind::Void | CorrectionKind::Spend => {
                    original.saturating_abs().saturating_neg()
                }
                CorrectionKind::Reversal => original.saturating_neg(),
            })
        }
        Facts::Reserved { price, quantity } => Some(price.saturating_mul(*quantity).saturating_neg()),
        facts => {
            let rule = rule?;
            Some(rule.caps().within(earned(facts, rule), inputs.used()))
        }
    }
}

/// The points that a rule gives for what happened, before any cap.
pub(super) fn earned(facts: &Facts, rule: &Rule) -> i64 {
    match facts {
        Facts::Claimed { points } => rule.points.decided(*points),
        facts if applies(rule.trigger, &rule.conditions, facts) => rule.points.decided(None),
        _ => 0,
    }
}

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
