//! What happened to an order. Events are appended and never edited; the timeline and the row are both made of them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::clocks::Clock;
use super::command::By;
use super::correction::Correction;
use super::following::Outcome;
use super::promise::{Assignment, Completion, Engagement, Rating};
use super::state::{Channel, Kind};
use super::whistle::Whistle;
use crate::area::{AreaCode, Level};
use crate::deadline::{TimeLimits, Urgency};

/// What is fixed when an order is placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Placed {
    /// Service or report.
    pub kind: Kind,
    /// The category's code.
    pub category: String,
    /// The skill that the category asks for.
    pub skill: String,
    /// The volunteer has to arrive before he completes.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub needs_arrival: bool,
    /// Where help is needed.
    pub area: AreaCode,
    /// How pressing.
    pub urgency: Urgency,
    /// How it came in.
    pub channel: Channel,
    /// The resident for whom it is.
    pub requester: Uuid,
    /// Who entered it.
    pub placed_by: Uuid,
    /// The time limits at that moment.
    pub limits: TimeLimits,
    /// Until when a team should have it.
    pub dispatch_by: DateTime<Utc>,
}

/// One event of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Event {
    /// 点: it was placed.
    Placed(Placed),
    /// 派: it was offered (also when it was handed over).
    Dispatched {
        /// To whom.
        to: Assignment,
        /// Until when it may be accepted.
        accept_by: DateTime<Utc>,
        /// A completion clock that runs on.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        complete_by: Option<DateTime<Utc>>,
        /// Why, in words.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reason: Option<String>,
        /// Who is told of it; empty where the whole of `to` is.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        invited: Vec<Uuid>,
    },
    /// No team is left: it stands on the board, one level up.
    NoTeamLeft {
        /// Why, in words.
        reason: String,
        /// The level that has it now.
        level: Level,
        /// Until when that level should have found a team.
        dispatch_by: DateTime<Utc>,
    },
    /// 接: a volunteer promised to come.
    Accepted {
        /// The promise.
        engagement: Engagement,
    },
    /// A volunteer, or the leader for his team, said no.
    Declined {
        /// Who.
        by: Uuid,
        /// For the whole team.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        whole_team: bool,
        /// Why, if he says so; free before accepting.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reason: Option<String>,
        /// Set when nobody holds the offer any more: until when the next team should have it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        returned_by: Option<DateTime<Utc>>,
    },
    /// The volunteer is there.
    Arrived {
        /// How it was shown: by the sign, a badge, or his word.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        proof: Option<String>,
    },
    /// Done.
    Completed {
        /// The promise kept.
        completion: Completion,
    },
    /// The resident was asked something; clocks stand still.
    WaitStarted {
        /// The question.
        question: String,
        /// When work goes on without an answer.
        until: DateTime<Utc>,
    },
    /// Work goes on, with an answer or without.
    Answered {
        /// The answer; absent when the time ran out.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        answer: Option<String>,
        /// The arrival clock, moved by the pause.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        arrive_by: Option<DateTime<Utc>>,
        /// The completion clock, moved by the pause.
        complete_by: DateTime<Utc>,
    },
    /// 评: the resident rated it.
    Rated {
        /// What he thought.
        rating: Rating,
        /// Until when the township has to ask him, where he was not content.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        revisit_by: Option<DateTime<Utc>>,
    },
    /// Not solved: it starts again, with fresh clocks.
    Reopened {
        /// Why.
        reason: String,
        /// Until when a team should have it.
        dispatch_by: DateTime<Utc>,
    },
    /// Called off.
    Cancelled {
        /// Why.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reason: Option<String>,
    },
    /// The time for rating and reopening is over.
    Closed,
    /// It went up a level.
    Escalated {
        /// The level that has it now.
        level: Level,
        /// Why.
        reason: String,
        /// For an order without a team: until when that level should have found one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        dispatch_by: Option<DateTime<Utc>>,
    },
    /// The resident asked where it is.
    Urged,
    /// 晒: a post of it was published.
    Shown {
        /// The post.
        post: Uuid,
    },
    /// The post was taken back.
    Unshown {
        /// The post.
        post: Uuid,
    },
    /// Three quarters of a clock's time are over; of an offer's: those who were told are reminded.
    Warned {
        /// The clock.
        clock: Clock,
    },
    /// A clock is over from whose end nothing follows but that it is told.
    Overdue {
        /// The clock.
        clock: Clock,
    },
    /// The promise was given more time, once.
    Extended {
        /// Why.
        reason: String,
        /// Until when it should be done now.
        complete_by: DateTime<Utc>,
    },
    /// It is the same as another order, and follows that one.
    Merged {
        /// The order that leads.
        into: Uuid,
    },
    /// Another order follows this one.
    Followed {
        /// The order that follows.
        order: Uuid,
        /// The resident who ordered that one.
        requester: Uuid,
    },
    /// The order that led was called off: this one is on its own again.
    Parted {
        /// Until when a team should have it.
        dispatch_by: DateTime<Utc>,
    },
    /// It helps another order.
    Helps {
        /// The order that leads.
        lead: Uuid,
    },
    /// Another team was asked to help, by an order of its own.
    Helped {
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
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        completed: bool,
    },
    /// 回访: the township asked the resident.
    Revisited {
        /// What it came to.
        outcome: Outcome,
        /// In words.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        note: Option<String>,
    },
    /// 吹哨: departments were called.
    Whistled {
        /// One call each.
        whistles: Vec<Whistle>,
    },
    /// 报到: a department checked in.
    CheckedIn {
        /// The call.
        whistle: Uuid,
    },
    /// A department has a result.
    Concluded {
        /// The call.
        whistle: Uuid,
        /// What was done.
        result: String,
    },
    /// Whoever called rated what the department did.
    WhistleRated {
        /// The call.
        whistle: Uuid,
        /// 1 to 5.
        stars: u8,
        /// Free words.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        comment: Option<String>,
    },
    /// 限期整改: something has to be put right within a term.
    CorrectionOrdered {
        /// The notice.
        correction: Correction,
        /// The end of the promise, which outlasts the term; absent where nobody has promised.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        complete_by: Option<DateTime<Utc>>,
    },
    /// 复查: somebody looked again.
    CorrectionInspected {
        /// The notice.
        correction: Uuid,
        /// It is put right.
        passed: bool,
        /// What was found.
        findings: String,
        /// The end of a new term, where it is not.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        due_by: Option<DateTime<Utc>>,
        /// The end of the promise, which outlasts the new term.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        complete_by: Option<DateTime<Utc>>,
    },
}

impl Event {
    /// The name in JSON and in the database.
    pub const fn name(&self) -> &'static str {
        match self {
            Event::Placed(_) => "placed",
            Event::Dispatched { .. } => "dispatched",
            Event::NoTeamLeft { .. } => "no_team_left",
            Event::Accepted { .. } => "accepted",
            Event::Declined { .. } => "declined",
            Event::Arrived { .. } => "arrived",
            Event::Completed { .. } => "completed",
            Event::WaitStarted { .. } => "wait_started",
            Event::Answered { .. } => "answered",
            Event::Rated { .. } => "rated",
            Event::Reopened { .. } => "reopened",
            Event::Cancelled { .. } => "cancelled",
            Event::Closed => "closed",
            Event::Escalated { .. } => "escalated",
            Event::Urged => "urged",
            Event::Shown { .. } => "shown",
            Event::Unshown { .. } => "unshown",
            Event::Warned { .. } => "warned",
            Event::Overdue { .. } => "overdue",
            Event::Extended { .. } => "extended",
            Event::Merged { .. } => "merged",
            Event::Followed { .. } => "followed",
            Event::Parted { .. } => "parted",
            Event::Helps { .. } => "helps",
            Event::Helped { .. } => "helped",
            Event::HelpEnded { .. } => "help_ended",
            Event::Revisited { .. } => "revisited",
            Event::Whistled { .. } => "whistled",
            Event::CheckedIn { .. } => "checked_in",
            Event::Concluded { .. } => "concluded",
            Event::WhistleRated { .. } => "whistle_rated",
            Event::CorrectionOrdered { .. } => "correction_ordered",
            Event::CorrectionInspected { .. } => "correction_inspected",
        }
    }
}

/// An event with its moment and its author.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// When it happened.
    pub at: DateTime<Utc>,
    /// Who did it, and as what.
    pub by: By,
    /// What happened.
    pub event: Event,
}
