//! What may be done to an order: the [`Command`], who gives it ([`By`]), and what its decision needs from outside
//! ([`Context`]).

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::event::Event;
use super::following::Outcome;
use super::hat::Hat;
use super::promise::Assignment;
use super::state::Order;
use super::verb::Verb;
use crate::deadline::{self, Calendar, Limit, QuietHours};

/// Longest service that one completion may claim, in minutes.
pub const MINUTES_AT_MOST: i64 = 24 * 60;

/// A command to an order that exists. Free text is masked already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// 派: offer it to this team, or to this volunteer of it.
    Dispatch {
        /// To whom.
        to: Assignment,
        /// Why; required from a dispatcher.
        reason: Option<String>,
    },
    /// 派, as the policy answers: these people of the team are told now, and others later if none of them answers.
    Invite {
        /// To whom; with a volunteer only he may take it, else the whole team may.
        to: Assignment,
        /// Who is told now.
        invited: Vec<Uuid>,
        /// Seconds until others are asked.
        patience_seconds: i64,
    },
    /// 派, when the policy found no team.
    DispatchFailed {
        /// Why, in words.
        reason: String,
    },
    /// 接
    Accept,
    /// 退单
    Decline {
        /// Why; required once accepted.
        reason: Option<String>,
        /// The leader speaks for the team.
        whole_team: bool,
        /// Other members who could still take the offer.
        others_left: bool,
    },
    /// 转单
    HandOver {
        /// To whom.
        to: Assignment,
        /// Why.
        reason: String,
    },
    /// The volunteer is there.
    Arrive {
        /// How that was shown.
        proof: Option<String>,
    },
    /// Done.
    Complete {
        /// What was done.
        summary: String,
        /// Minutes of service, without travel: 1 to [`MINUTES_AT_MOST`].
        minutes: i64,
    },
    /// Ask the resident.
    Wait {
        /// What is asked.
        question: String,
    },
    /// Go on.
    Answer {
        /// The answer; absent when the time ran out.
        answer: Option<String>,
    },
    /// 评
    Rate {
        /// 1 to 5.
        stars: u8,
        /// Whether the matter is solved.
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
        /// Why; required from a dispatcher, and from the resident once accepted.
        reason: Option<String>,
    },
    /// The end.
    Close,
    /// Up a level.
    Escalate {
        /// Why.
        reason: String,
    },
    /// 催单
    Urge,
    /// 晒: a post was published.
    Show {
        /// The post.
        post: Uuid,
    },
    /// The post was taken back.
    Unshow {
        /// The post.
        post: Uuid,
    },
    /// It is the same as another order, and follows that one.
    Merge {
        /// The order that is to lead, as it stands.
        parent: Box<Order>,
    },
    /// Another order follows this one.
    Lead {
        /// The order that follows.
        order: Uuid,
        /// The resident who ordered that one.
        requester: Uuid,
    },
    /// What becomes of it because the order that it follows was changed by this event.
    Follow {
        /// What happened to the order that leads.
        event: Box<Event>,
    },
    /// Another team is to help, by an order of its own.
    Help {
        /// The helping order.
        order: Uuid,
        /// The team.
        team: Uuid,
        /// What it is to do.
        task: String,
    },
    /// A helping order has come to its end.
    HelpEnded {
        /// The helping order.
        order: Uuid,
        /// It was completed, and not called off.
        completed: bool,
    },
    /// The order that it helps was called off.
    Release {
        /// Why that was.
        reason: Option<String>,
    },
    /// Handed on, because the volunteer who holds it leaves.
    Transfer {
        /// Who leaves.
        from: Uuid,
        /// To whom, if somebody is named; else back to his team.
        to: Option<Assignment>,
        /// Somebody else of his team is left.
        others_left: bool,
        /// Why.
        reason: String,
    },
    /// More time.
    Extend {
        /// Why.
        reason: String,
    },
    /// 回访
    Revisit {
        /// What it came to.
        outcome: Outcome,
        /// In words.
        note: Option<String>,
    },
    /// 吹哨
    Whistle {
        /// Departments, each with the id of its call.
        calls: Vec<(Uuid, Uuid)>,
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
        stars: u8,
        /// Free words.
        comment: Option<String>,
    },
    /// 限期整改
    Correct {
        /// The notice's id.
        id: Uuid,
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
        id: Uuid,
        /// It is put right.
        passed: bool,
        /// What was found.
        findings: String,
        /// A new term in working days, where it is not.
        term_days: Option<i64>,
    },
    /// Tells of the clock that is to be told of.
    Warn,
}

impl Command {
    /// The row of the table that governs it. Publishing and taking back are governed by the post's own consents.
    pub const fn verb(&self) -> Verb {
        match self {
            Command::Dispatch { .. } | Command::Invite { .. } | Command::DispatchFailed { .. } => {
                Verb::Dispatch
            }
            Command::Accept => Verb::Accept,
            Command::Decline { .. } => Verb::Decline,
            Command::HandOver { .. } => Verb::HandOver,
            Command::Arrive { .. } => Verb::Arrive,
            Command::Complete { .. } => Verb::Complete,
            Command::Wait { .. } => Verb::Wait,
            Command::Answer { .. } => Verb::Answer,
            Command::Rate { .. } => Verb::Rate,
            Command::Reopen { .. } => Verb::Reopen,
            Command::Cancel { .. } => Verb::Cancel,
            Command::Close => Verb::Close,
            Command::Escalate { .. } => Verb::Escalate,
            Command::Urge => Verb::Urge,
            Command::Show { .. } | Command::Unshow { .. } => Verb::Show,
            Command::Merge { .. } => Verb::Merge,
            Command::Lead { .. } => Verb::Lead,
            Command::Follow { event } => match **event {
                Event::Completed { .. } => Verb::Complete,
                _ => Verb::Part,
            },
            Command::Help { .. } => Verb::Help,
            Command::HelpEnded { .. } => Verb::HelpEnded,
            Command::Release { .. } => Verb::Release,
            Command::Transfer { .. } => Verb::Transfer,
            Command::Extend { .. } => Verb::Extend,
            Command::Revisit { .. } => Verb::Revisit,
            Command::Whistle { .. } => Verb::Whistle,
            Command::CheckIn { .. } => Verb::CheckIn,
            Command::Conclude { .. } => Verb::Conclude,
            Command::RateWhistle { .. } => Verb::RateWhistle,
            Command::Correct { .. } => Verb::Correct,
            Command::Inspect { .. } => Verb::Inspect,
            Command::Warn => Verb::Warn,
        }
    }
}

/// Who does something, and as what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct By {
    /// The person; absent for the queue and the sweep.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub person: Option<Uuid>,
    /// In which hat.
    pub hat: Hat,
}

impl By {
    /// Time passing.
    pub const SWEEP: By = By { person: None, hat: Hat::Sweep };
    /// The dispatch queue's worker.
    pub const QUEUE: By = By { person: None, hat: Hat::Queue };
}

/// What every decision needs from outside: the moment, and how time runs.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The moment.
    pub now: DateTime<Utc>,
    /// The working calendar.
    pub calendar: &'a Calendar,
    /// When nobody should be disturbed.
    pub quiet: &'a QuietHours,
}

impl Context<'_> {
    /// The moment `seconds` of the order's own pace from now.
    pub fn after(&self, order: &Order, seconds: i64) -> DateTime<Utc> {
        self.after_at(order.urgency(), seconds)
    }

    /// The moment `seconds` from now at an urgency's pace.
    pub fn after_at(&self, urgency: deadline::Urgency, seconds: i64) -> DateTime<Utc> {
        deadline::add(self.now, Limit { seconds, pace: urgency.pace() }, self.calendar, self.quiet)
    }

    /// When others are asked if nobody answers for so many seconds. It is a waking, not a deadline: it runs on days off
    /// too, where people do read their messages, but for an order that is not urgent not in the quiet hours.
    pub fn ask_others_at(&self, urgency: deadline::Urgency, patience_seconds: i64) -> DateTime<Utc> {
        let patience = TimeDelta::seconds(patience_seconds.clamp(1, Limit::MAX_SECONDS));
        if urgency == deadline::Urgency::Urgent {
            return self.now + patience;
        }
        self.quiet.next_allowed(self.quiet.next_allowed(self.now) + patience)
    }

    /// For how long an offer has waited for an answer, in seconds, from the end of the quiet hours if it was made in
    /// them.
    pub fn waited_seconds(&self, urgency: deadline::Urgency, offered_at: DateTime<Utc>) -> i64 {
        let told_at = match urgency {
            deadline::Urgency::Urgent => offered_at,
            _ => self.quiet.next_allowed(offered_at),
        };
        (self.now - told_at).num_seconds().max(0)
    }
}
