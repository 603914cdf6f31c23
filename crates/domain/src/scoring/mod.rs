//! 赋分: rules into ledger postings.
//!
//! Points are integers that move between accounts and are never made or lost on the way: each [`Posting`] sums to
//! zero in each purse, and what a person earns comes out of the issuance account.
//!
//! The road of a point:
//! 1. [`RuleBook`]: the rules as data, with versions. A rule that changes never changes the past, because every
//!    posting names the version that it was made by.
//! 2. [`on_completed`], [`on_rated`], [`on_featured`], [`on_claim_decided`]: facts into [`Award`]s.
//! 3. [`Award::posting`]: the award after its caps, as a [`Posting`] that can be stored.
//! 4. [`hold`], [`release`], [`void`], [`reversal`]: the only ways to change one's mind. Each is a new posting which
//!    answers exactly one earlier posting; nothing is edited.
//! 5. [`chain`]: each posting becomes a link of the chains of the accounts that it moves.
//! 6. [`recompute`]: the number again, from the stored inputs and rule. A posting whose number differs is forged.
//!
//! What makes a double or a forged entry impossible is two unique columns of the store, which the in-memory
//! [`Ledger`] shows in small: the [`Cause`] (one order scores once, whatever is retried) and
//! [`Draft::reverses`] (each posting is answered at most once).

mod account;
mod award;
mod caps;
mod cause;
pub mod chain;
mod claim;
mod conditions;
mod correction;
mod facts;
mod guard;
mod ledger;
mod month;
mod period;
mod posting;
mod replay;
mod rules;
mod scheme;
mod sheet;
mod spending;
mod star;
mod word;

pub use account::{AccountKind, AccountRef, Purse};
pub use award::{
    AttendedFacts, Award, ClaimFacts, CompletedFacts, FeaturedFacts, HoldReason, PatrolledFacts, RatedFacts,
    on_attended, on_claim_decided, on_completed, on_featured, on_patrolled, on_rated,
};
pub use caps::{Caps, Counter, OF_ORDER, Span, Used};
pub use cause::{Cause, CauseKind, CorrectionKind, SourceType};
pub use claim::{
    APPEAL_WITHIN, AppealRefusal, CLAIM_WITHIN, ClaimFault, booked_at, check_appeal, check_claim, may_decide,
};
pub use conditions::{Conditions, Trigger};
pub use correction::{HeldEnd, held_end, hold, release, reversal, spend, void};
pub use facts::{Facts, Inputs, recompute};
pub use guard::{Alike, Guards, Mark, Stretch, after_rating, fit, judge_claim, judge_service};
pub use ledger::Ledger;
pub use month::{ParseMonthError, YearMonth, china_date, china_day_begins, month_of};
pub use period::{
    LineStatus, ListHasher, ListedLine, NOTICE_WORKING_DAYS, NOTICE_WORKING_DAYS_MOST, PeriodRefusal,
    PeriodStatus, PersonSum, Uncounted, add_up, check_close, check_seal, notice_ends_at,
};
pub use posting::{Draft, Leg, PostedTransaction, Posting, ScoringFault};
pub use replay::{Replay, Replayed, RuleChange};
pub use rules::{
    CATEGORIES, FEATURED_POST, FIVE_STARS, LATE, ON_TIME, POINTS_LIMIT, Points, Rule, RuleBook, RuleConflict,
    RuleKind,
};
pub use scheme::{
    Deed, DeedFault, Scheme, SchemeFault, SchemeItem, SchemeLevel, SchemePart, SchemeProblem, SchemeScore,
};
pub use sheet::{Fault, RuleFault, Sheet};
pub use spending::{Reservation, SHOP_RULE, reserve};
pub use star::{
    STARS_MOST, StarBook, StarFault, StarLine, StarLineStatus, StarProblem, StarScale, StarStep,
    after_star_decision, rise, star_list_hash,
};
pub use word::UnknownWord;
