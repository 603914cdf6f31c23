//! Why a command is refused.

use chrono::{DateTime, Utc};
use thiserror::Error;

use super::REOPENINGS_AT_MOST;
use super::status::Status;
use super::verb::Verb;

/// Why a command is refused. The API maps each to one problem (`xingfuma-api`, `problem.rs`).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The table has no such move from this state.
    #[error("{verb:?} is not possible while {status:?}")]
    Illegal {
        /// The command.
        verb: Verb,
        /// Where the order stands.
        status: Status,
    },
    /// Somebody else was faster.
    #[error("somebody else has it; it is {status:?} now")]
    Taken {
        /// Where the order stands.
        status: Status,
    },
    /// The caller may see it but not do this.
    #[error("not yours to do")]
    NotYours,
    /// Nobody serves his own order.
    #[error("own order")]
    OwnOrder,
    /// The member already declined this offer.
    #[error("already declined")]
    AlreadyDeclined,
    /// A reason is required here.
    #[error("a reason is required")]
    ReasonRequired,
    /// The category asks for an arrival first.
    #[error("arrive first")]
    ArrivalRequired,
    /// The time for it is over.
    #[error("too late for {verb:?}")]
    TooLate {
        /// The command.
        verb: Verb,
    },
    /// It was reopened as often as possible.
    #[error("reopened {REOPENINGS_AT_MOST} times already")]
    ReopenedTooOften,
    /// Not yet again.
    #[error("not again before {retry_at}")]
    TooSoon {
        /// When it is possible again.
        retry_at: DateTime<Utc>,
    },
    /// It is at the county already.
    #[error("there is no higher level")]
    TopLevel,
    /// Somebody holds as many open orders as he may.
    #[error("{at_most} open orders already")]
    Full {
        /// How many he may hold.
        at_most: i64,
    },
    /// It leads other orders, and cannot follow one.
    #[error("it leads other orders")]
    LeadsOthers,
    /// The other order cannot lead: it is over, follows another, or leads as many as it may.
    #[error("the other order cannot lead while {status:?}")]
    CannotLead {
        /// Where the other order stands.
        status: Status,
    },
    /// It helps another order; that one is rated, reopened, merged and helped, not this one.
    #[error("it helps another order")]
    HelpsAnother,
    /// Teams that help have not come to an end.
    #[error("{open} helping orders are open")]
    HelpersAtWork {
        /// How many.
        open: usize,
    },
    /// The team has it, or helps already.
    #[error("the team has it, or helps already")]
    AlreadyHelps,
    /// As many helping orders as one order ever gets.
    #[error("as many helping orders as possible")]
    TooManyHelpers,
    /// The limits of this order have no extension.
    #[error("no extension for this urgency")]
    NotExtendable,
    /// The one extension was given.
    #[error("extended already")]
    AlreadyExtended,
    /// No revisit is owed.
    #[error("no revisit is owed")]
    NothingToRevisit,
    /// A department that is called has not come to a result yet.
    #[error("called already")]
    AlreadyWhistled,
    /// The call was answered in this way before.
    #[error("answered already")]
    WhistleAnswered,
    /// A department checks in before it has a result.
    #[error("check in first")]
    CheckInRequired,
    /// There is no result to rate.
    #[error("no result yet")]
    NothingConcluded,
    /// Corrective notices are given about reports.
    #[error("not a report")]
    NotAReport,
    /// The notice was settled by a re-inspection.
    #[error("settled already")]
    CorrectionSettled,
    /// A corrective notice waits for its re-inspection.
    #[error("a corrective notice is open")]
    CorrectionOpen,
    /// A number is out of its range.
    #[error("{field} is out of range")]
    OutOfRange {
        /// The field's name.
        field: &'static str,
    },
}
