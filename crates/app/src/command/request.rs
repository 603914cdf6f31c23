//! What a person may ask of an order, as it was sent.

use uuid::Uuid;
use xingfuma_domain::order::{Outcome, Verb};

/// What is asked for, as it was sent: each step's file turns its own into a
/// [`Command`](xingfuma_domain::order::Command).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// 派, by hand.
    Dispatch {
        /// The team.
        team: Uuid,
        /// The volunteer of it, if one is named.
        volunteer: Option<Uuid>,
        /// Why.
        reason: Option<String>,
    },
    /// 接
    Accept,
    /// 退单
    Decline {
        /// Why.
        reason: Option<String>,
        /// For the whole team; a leader's default.
        whole_team: Option<bool>,
    },
    /// 转单
    HandOver {
        /// To whom.
        volunteer: Uuid,
        /// Why.
        reason: String,
    },
    /// The volunteer is there.
    Arrive {
        /// Shown by the sign of the place.
        sign: Option<String>,
        /// Shown by his badge.
        badge: Option<String>,
    },
    /// Done.
    Complete {
        /// What was done.
        summary: String,
        /// Minutes of service.
        minutes: i64,
        /// Photos that were uploaded before.
        media: Vec<Uuid>,
    },
    /// Ask the resident.
    Wait {
        /// What.
        question: String,
    },
    /// The resident's answer.
    Answer {
        /// What he says.
        answer: String,
    },
    /// 评
    Rate {
        /// 1 to 5.
        stars: i64,
        /// Whether it is solved.
        solved: bool,
        /// Chosen words.
        tags: Vec<String>,
        /// Free words.
        comment: Option<String>,
    },
    /// 返工
    Reopen {
        /// Why.
        reason: String,
    },
    /// Call off.
    Cancel {
        /// Why.
        reason: Option<String>,
    },
    /// Up a level.
    Escalate {
        /// Why.
        reason: String,
    },
    /// 催单
    Urge,
    /// It is the same as another order, and follows that one.
    Merge {
        /// The order that leads.
        into: Uuid,
    },
    /// Another team is to help.
    Help {
        /// The team.
        team: Uuid,
        /// What it is to do.
        task: String,
    },
    /// More time, once.
    Extend {
        /// Why.
        reason: String,
    },
    /// 回访
    Revisit {
        /// What it came to.
        outcome: Outcome,
        /// In words; required where it is not solved.
        note: Option<String>,
    },
    /// 吹哨
    Whistle {
        /// The departments.
        departments: Vec<Uuid>,
        /// What is needed of them.
        demand: String,
    },
    /// 报到
    CheckIn {
        /// The call.
        whistle: Uuid,
    },
    /// A department's result.
    Conclude {
        /// The call.
        whistle: Uuid,
        /// What was done.
        result: String,
    },
    /// The rating of a department's result.
    RateWhistle {
        /// The call.
        whistle: Uuid,
        /// 1 to 5.
        stars: i64,
        /// Free words.
        comment: Option<String>,
    },
    /// 限期整改
    Correct {
        /// Who is to put it right.
        addressee: String,
        /// What is to be put right.
        demand: String,
        /// Within how many working days.
        term_days: i64,
    },
    /// 复查
    Inspect {
        /// The notice.
        correction: Uuid,
        /// It is put right.
        passed: bool,
        /// What was found.
        findings: String,
        /// A new term in working days, where it is not.
        term_days: Option<i64>,
    },
}

impl Request {
    pub(super) fn verb(&self) -> Verb {
        match self {
            Request::Dispatch { .. } => Verb::Dispatch,
            Request::Accept => Verb::Accept,
            Request::Decline { .. } => Verb::Decline,
            Request::HandOver { .. } => Verb::HandOver,
            Request::Arrive { .. } => Verb::Arrive,
            Request::Complete { .. } => Verb::Complete,
            Request::Wait { .. } => Verb::Wait,
            Request::Answer { .. } => Verb::Answer,
            Request::Rate { .. } => Verb::Rate,
            Request::Reopen { .. } => Verb::Reopen,
            Request::Cancel { .. } => Verb::Cancel,
            Request::Escalate { .. } => Verb::Escalate,
            Request::Urge => Verb::Urge,
            Request::Merge { .. } => Verb::Merge,
            Request::Help { .. } => Verb::Help,
            Request::Extend { .. } => Verb::Extend,
            Request::Revisit { .. } => Verb::Revisit,
            Request::Whistle { .. } => Verb::Whistle,
            Request::CheckIn { .. } => Verb::CheckIn,
            Request::Conclude { .. } => Verb::Conclude,
            Request::RateWhistle { .. } => Verb::RateWhistle,
            Request::Correct { .. } => Verb::Correct,
            Request::Inspect { .. } => Verb::Inspect,
        }
    }

    /// Whether points may come of it.
    pub(super) fn earns(&self) -> bool {
        EARNING.contains(&self.verb())
    }

    /// Whether it brings free text.
    pub(super) fn has_words(&self) -> bool {
        !matches!(self, Request::Accept | Request::Arrive { .. } | Request::Urge)
    }
}

/// The steps of which points may come; what they rest on is read along with the order.
const EARNING: [Verb; 2] = [Verb::Complete, Verb::Rate];

/// Whether points may come of the step that an address ends with.
pub fn earns(path: &str) -> bool {
    path.rsplit_once('/').is_some_and(|(_, step)| EARNING.iter().any(|verb| verb.segment() == step))
}
