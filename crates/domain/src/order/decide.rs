//! `decide(order, command, by, context)`: which events follow from a command, or why it is refused.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use super::event::Event;
use super::following::{self, Outcome};
use super::moves::{Hat, Hats, Verb, legal};
use super::state::{Assignment, Completion, Engagement, Kind, Offer, Order, Rating, State, Status};
use super::{AFTERCARE_SECONDS, REOPENINGS_AT_MOST, URGE_EVERY_SECONDS, WAITING_SECONDS};
use super::{correction, helping, whistle};
use crate::area::Level;
use crate::deadline::{self, Calendar, Limit, QuietHours};

/// Longest service that one completion may claim, in minutes.
pub const MINUTES_AT_MOST: i64 = 24 * 60;

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

/// Whether time and the order's own facts allow the command; the state itself is the table's business.
///
/// # Errors
/// The refusal that the command would meet.
pub fn feasible(
    order: &Order,
    verb: Verb,
    hat: Hat,
    who: Option<Uuid>,
    context: &Context<'_>,
) -> Result<(), Refusal> {
    match verb {
        Verb::Accept => may_accept(order, who),
        Verb::Decline if hat == Hat::Offered => may_decline(order, who),
        Verb::Complete if order.placed.needs_arrival && order.status() == Status::Accepted => {
            Err(Refusal::ArrivalRequired)
        }
        Verb::Complete if order.status().is_open() && has_open_correction(order) => {
            Err(Refusal::CorrectionOpen)
        }
        Verb::Complete if order.status().is_open() => helping::no_helper_at_work(order),
        Verb::Help => helping::may_help(order),
        Verb::HelpEnded => match order.open_helpers().next() {
            Some(_) => Ok(()),
            None => Err(Refusal::Illegal { verb, status: order.status() }),
        },
        Verb::Release if order.helps.is_none() => Err(Refusal::Illegal { verb, status: order.status() }),
        Verb::Transfer => helping::may_transfer(order),
        Verb::Extend => following::may_extend(order, context.now),
        Verb::Revisit => following::may_revisit(order),
        Verb::Merge => following::may_merge(order),
        Verb::Correct if order.placed.kind != Kind::Report => Err(Refusal::NotAReport),
        Verb::Inspect if !has_open_correction(order) => Err(Refusal::CorrectionSettled),
        Verb::CheckIn if !order.whistles.iter().any(|one| one.checked_in.is_none()) => {
            Err(Refusal::WhistleAnswered)
        }
        Verb::Conclude if !order.whistles.iter().any(|one| one.concluded.is_none()) => {
            Err(Refusal::WhistleAnswered)
        }
        Verb::RateWhistle if !order.whistles.iter().any(|one| one.called_by == who.unwrap_or_default()) => {
            Err(Refusal::NotYours)
        }
        Verb::Warn if order.to_tell(context.now).is_none() => {
            Err(Refusal::Illegal { verb, status: order.status() })
        }
        Verb::Reopen => helping::leads_itself(order).and_then(|()| may_reopen(order, context.now)),
        Verb::Rate if order.helps.is_some() => helping::leads_itself(order),
        Verb::Rate if aftercare_over(order, context.now) => Err(Refusal::TooLate { verb }),
        Verb::Close if !aftercare_over(order, context.now) => {
            Err(Refusal::Illegal { verb, status: order.status() })
        }
        Verb::Escalate if order.level.up().is_none() && !tells_overdue(order, hat, context.now) => {
            Err(Refusal::TopLevel)
        }
        Verb::Urge => may_urge(order, context.now),
        _ => Ok(()),
    }
}

fn has_open_correction(order: &Order) -> bool {
    order.corrections.iter().any(|correction| !correction.is_settled())
}

fn may_accept(order: &Order, who: Option<Uuid>) -> Result<(), Refusal> {
    let State::Dispatched { offer } = &order.state else { return Ok(()) };
    if who == Some(order.placed.requester) {
        return Err(Refusal::OwnOrder);
    }
    if offer.to.volunteer.is_some() && offer.to.volunteer != who {
        return Err(Refusal::Taken { status: order.status() });
    }
    Ok(())
}

fn may_decline(order: &Order, who: Option<Uuid>) -> Result<(), Refusal> {
    let State::Dispatched { offer } = &order.state else { return Ok(()) };
    if offer.to.volunteer.is_some() && offer.to.volunteer != who {
        return Err(Refusal::NotYours);
    }
    match who {
        Some(person) if offer.declined.contains(&person) => Err(Refusal::AlreadyDeclined),
        _ => Ok(()),
    }
}

fn aftercare_over(order: &Order, now: DateTime<Utc>) -> bool {
    order.completion().is_some_and(|done| now >= done.completed_at + TimeDelta::seconds(AFTERCARE_SECONDS))
}

fn may_reopen(order: &Order, now: DateTime<Utc>) -> Result<(), Refusal> {
    if aftercare_over(order, now) {
        return Err(Refusal::TooLate { verb: Verb::Reopen });
    }
    if order.reopened >= REOPENINGS_AT_MOST {
        return Err(Refusal::ReopenedTooOften);
    }
    Ok(())
}

/// There is nothing above the county, yet a broken promise is told there once: refused, it would fall due for ever.
fn tells_overdue(order: &Order, hat: Hat, now: DateTime<Utc>) -> bool {
    let (State::Accepted { engagement } | State::InService { engagement }) = &order.state else {
        return false;
    };
    hat == Hat::Sweep && !engagement.overdue_told && engagement.complete_by <= now
}

fn may_urge(order: &Order, now: DateTime<Utc>) -> Result<(), Refusal> {
    match order.urged_at.map(|last| last + TimeDelta::seconds(URGE_EVERY_SECONDS)) {
        Some(retry_at) if now < retry_at => Err(Refusal::TooSoon { retry_at }),
        _ => Ok(()),
    }
}

/// Which events follow from a command.
///
/// `hats` is all that the caller is to this order; the answer's [`By`] says in which of them it was done.
///
/// # Errors
/// A [`Refusal`]; nothing has changed then.
pub fn decide(
    order: &Order,
    command: Command,
    person: Option<Uuid>,
    hats: Hats,
    context: &Context<'_>,
) -> Result<(By, Vec<Event>), Refusal> {
    let verb = command.verb();
    let status = order.status();
    if let Command::Show { post } | Command::Unshow { post } = &command {
        return decide_show(order, &command, *post, person, hats);
    }
    let Some((_, mut hat)) = legal(verb, status, hats) else {
        return Err(refuse_illegal(order, verb, hats));
    };
    if let Command::Decline { whole_team: false, .. } = command {
        // A leader may also decline for himself alone, as a member like any other.
        if hat == Hat::Leader && hats.has(Hat::Offered) {
            hat = Hat::Offered;
        }
    }
    feasible(order, verb, hat, person, context)?;
    let by = By { person, hat };
    Ok((by, events_of(order, command, by, context)?))
}

fn refuse_illegal(order: &Order, verb: Verb, hats: Hats) -> Refusal {
    let status = order.status();
    let anybody = Hat::ALL.into_iter().collect::<Hats>();
    if !super::moves::ever(verb, hats) {
        return Refusal::NotYours;
    }
    if verb == Verb::Accept && matches!(status, Status::Accepted | Status::InService | Status::Waiting) {
        return Refusal::Taken { status };
    }
    match legal(verb, status, anybody) {
        // The move exists, but for somebody else.
        Some(_) => Refusal::NotYours,
        None => Refusal::Illegal { verb, status },
    }
}

fn decide_show(
    order: &Order,
    command: &Command,
    post: Uuid,
    person: Option<Uuid>,
    hats: Hats,
) -> Result<(By, Vec<Event>), Refusal> {
    let among = [Hat::Requester, Hat::Worker, Hat::Dispatcher, Hat::Sweep];
    let hat = hats.first_of(&among).ok_or(Refusal::NotYours)?;
    let by = By { person, hat };
    match command {
        Command::Show { .. } if order.completion().is_none() => {
            Err(Refusal::Illegal { verb: Verb::Show, status: order.status() })
        }
        Command::Show { .. } => Ok((by, vec![Event::Shown { post }])),
        _ => Ok((by, vec![Event::Unshown { post }])),
    }
}

fn events_of(order: &Order, command: Command, by: By, context: &Context<'_>) -> Result<Vec<Event>, Refusal> {
    let event = match command {
        Command::Dispatch { to, reason } => dispatched(order, to, reason, by, context)?,
        // These two are the policy's words; a dispatcher names a team or waits.
        Command::Invite { .. } | Command::DispatchFailed { .. } if by.hat == Hat::Dispatcher => {
            return Err(Refusal::NotYours);
        }
        Command::Invite { to, invited, patience_seconds } => {
            invited_to(order, to, invited, patience_seconds, context)?
        }
        Command::DispatchFailed { reason } => {
            let level = order.level.up().unwrap_or(Level::County);
            Event::NoTeamLeft { reason, level, dispatch_by: context.after(order, order.limits().dispatch) }
        }
        Command::Accept => accepted(order, by, context)?,
        Command::Decline { reason, whole_team, others_left } => {
            declined(order, reason, whole_team, others_left, by, context)?
        }
        Command::HandOver { to, reason } => handed_over(order, to, reason, context)?,
        Command::Arrive { proof } => Event::Arrived { proof },
        Command::Complete { summary, minutes } => completed(order, summary, minutes, context)?,
        Command::Wait { question } => {
            Event::WaitStarted { question, until: context.now + TimeDelta::seconds(WAITING_SECONDS) }
        }
        Command::Answer { answer } => answered(order, answer, context)?,
        Command::Rate { stars, solved, tags, comment } => rated(stars, solved, tags, comment, context)?,
        Command::Merge { parent } => following::merged(order, &parent)?,
        Command::Lead { order, requester } => Event::Followed { order, requester },
        Command::Follow { event } => {
            let refusal = Refusal::Illegal { verb: Verb::Part, status: order.status() };
            following::follow(order, &event, context).ok_or(refusal)?
        }
        Command::Help { order: helper, team, task } => helping::helped(order, helper, team, task)?,
        Command::HelpEnded { order: helper, completed } => helping::help_ended(order, helper, completed)?,
        Command::Release { reason } => Event::Cancelled { reason },
        Command::Transfer { from, to, others_left, reason } => {
            helping::transferred(order, from, to, others_left, reason, context)?
        }
        Command::Extend { reason } => following::extended(order, reason, context)?,
        Command::Revisit { outcome, note } => following::revisited(order, outcome, note)?,
        Command::Whistle { calls, demand } => whistle::whistled(order, calls, demand, by, context)?,
        Command::CheckIn { whistle } => whistle::checked_in(order, whistle)?,
        Command::Conclude { whistle, result } => whistle::concluded(order, whistle, result)?,
        Command::RateWhistle { whistle, stars, comment } => {
            whistle::whistle_rated(order, whistle, stars, comment, by)?
        }
        Command::Correct { id, addressee, demand, term_days } => {
            correction::ordered(order, id, addressee, demand, term_days, by, context)?
        }
        Command::Inspect { id, passed, findings, term_days } => {
            correction::inspected(order, id, passed, findings, term_days, context)?
        }
        Command::Warn => warned(order, context)?,
        Command::Reopen { reason } => {
            Event::Reopened { reason, dispatch_by: context.after(order, order.limits().dispatch) }
        }
        Command::Cancel { reason } => cancelled(order, reason, by)?,
        Command::Close => Event::Closed,
        Command::Escalate { reason } => escalated(order, reason, context),
        Command::Urge => Event::Urged,
        Command::Show { post } => Event::Shown { post },
        Command::Unshow { post } => Event::Unshown { post },
    };
    Ok(vec![event])
}

fn dispatched(
    order: &Order,
    to: Assignment,
    reason: Option<String>,
    by: By,
    context: &Context<'_>,
) -> Result<Event, Refusal> {
    if by.hat == Hat::Dispatcher && reason.is_none() {
        return Err(Refusal::ReasonRequired);
    }
    if to.volunteer == Some(order.placed.requester) {
        return Err(Refusal::OwnOrder);
    }
    let accept_by = context.after(order, order.limits().accept);
    Ok(Event::Dispatched { to, accept_by, complete_by: None, reason, invited: Vec::new() })
}

fn invited_to(
    order: &Order,
    to: Assignment,
    invited: Vec<Uuid>,
    patience_seconds: i64,
    context: &Context<'_>,
) -> Result<Event, Refusal> {
    let requester = order.placed.requester;
    if to.volunteer == Some(requester) || invited.contains(&requester) {
        return Err(Refusal::OwnOrder);
    }
    let limit = context.after(order, order.limits().accept);
    let accept_by = context.ask_others_at(order.urgency(), patience_seconds).min(limit);
    // A clock that was handed over runs on, also while the offer goes round.
    let complete_by = match &order.state {
        State::Dispatched { offer } => offer.complete_by,
        _ => None,
    };
    Ok(Event::Dispatched { to, accept_by, complete_by, reason: None, invited })
}

fn accepted(order: &Order, by: By, context: &Context<'_>) -> Result<Event, Refusal> {
    let (State::Dispatched { offer }, Some(volunteer)) = (&order.state, by.person) else {
        return Err(Refusal::NotYours);
    };
    let limits = order.limits();
    let engagement = Engagement {
        team: offer.to.team,
        volunteer,
        accepted_at: context.now,
        arrive_by: limits.arrive.map(|seconds| context.after(order, seconds)),
        arrived_at: None,
        complete_by: offer.complete_by.unwrap_or_else(|| context.after(order, limits.complete)),
        clock_from: None,
        overdue_told: offer.overdue_told,
    };
    Ok(Event::Accepted { engagement })
}

fn declined(
    order: &Order,
    reason: Option<String>,
    whole_team: bool,
    others_left: bool,
    by: By,
    context: &Context<'_>,
) -> Result<Event, Refusal> {
    let person = by.person.ok_or(Refusal::NotYours)?;
    let again = || context.after(order, order.limits().dispatch);
    match &order.state {
        State::Dispatched { offer } => {
            let whole_team = whole_team && by.hat == Hat::Leader;
            let told_left = offer.invited.is_empty()
                || offer.invited.iter().any(|told| *told != person && !offer.declined.contains(told));
            let offer_stands = others_left && told_left && !whole_team && offer.to.volunteer.is_none();
            let returned_by = (!offer_stands).then(again);
            Ok(Event::Declined { by: person, whole_team, reason, returned_by })
        }
        _ if reason.is_none() => Err(Refusal::ReasonRequired),
        _ => Ok(Event::Declined { by: person, whole_team: false, reason, returned_by: Some(again()) }),
    }
}

fn handed_over(
    order: &Order,
    to: Assignment,
    reason: String,
    context: &Context<'_>,
) -> Result<Event, Refusal> {
    let promise = order.engagement().ok_or(Refusal::NotYours)?;
    if to.volunteer == Some(order.placed.requester) {
        return Err(Refusal::OwnOrder);
    }
    if to.volunteer.is_none() || to.volunteer == Some(promise.volunteer) {
        return Err(Refusal::OutOfRange { field: "volunteerId" });
    }
    Ok(Event::Dispatched {
        to,
        accept_by: context.after(order, order.limits().accept),
        complete_by: Some(promise.complete_by),
        reason: Some(reason),
        invited: Vec::new(),
    })
}

fn completed(order: &Order, summary: String, minutes: i64, context: &Context<'_>) -> Result<Event, Refusal> {
    if !(1..=MINUTES_AT_MOST).contains(&minutes) {
        return Err(Refusal::OutOfRange { field: "minutes" });
    }
    let engagement = order.engagement().ok_or(Refusal::NotYours)?.clone();
    let on_time = context.now <= engagement.complete_by;
    Ok(Event::Completed {
        completion: Completion { engagement, completed_at: context.now, on_time, minutes, summary },
    })
}

fn answered(order: &Order, answer: Option<String>, context: &Context<'_>) -> Result<Event, Refusal> {
    let State::Waiting { engagement, since, .. } = &order.state else {
        return Err(Refusal::NotYours);
    };
    let moved = |due: DateTime<Utc>| {
        deadline::resume(due, *since, context.now, order.urgency().pace(), context.calendar, context.quiet)
    };
    Ok(Event::Answered {
        answer,
        arrive_by: engagement.arrive_by.map(moved),
        complete_by: moved(engagement.complete_by),
    })
}

fn rated(
    stars: u8,
    solved: bool,
    tags: Vec<String>,
    comment: Option<String>,
    context: &Context<'_>,
) -> Result<Event, Refusal> {
    if !(1..=5).contains(&stars) {
        return Err(Refusal::OutOfRange { field: "stars" });
    }
    let revisit_by = following::revisit_by(stars, solved, context);
    Ok(Event::Rated { rating: Rating { stars, solved, tags, comment, rated_at: context.now }, revisit_by })
}

fn warned(order: &Order, context: &Context<'_>) -> Result<Event, Refusal> {
    let told = order.to_tell(context.now);
    let told = told.ok_or(Refusal::Illegal { verb: Verb::Warn, status: order.status() })?;
    let clock = order.clocks().into_iter().find(|clock| (clock.stage, clock.of) == (told.stage, told.of));
    let clock = clock.ok_or(Refusal::NotYours)?;
    Ok(if told.over { Event::Overdue { clock } } else { Event::Warned { clock } })
}

fn cancelled(order: &Order, reason: Option<String>, by: By) -> Result<Event, Refusal> {
    let promised = matches!(order.status(), Status::Accepted | Status::InService | Status::Waiting);
    if reason.is_none() && (by.hat == Hat::Dispatcher || promised) {
        return Err(Refusal::ReasonRequired);
    }
    Ok(Event::Cancelled { reason })
}

/// [`feasible`] has made sure that there is a level above, or that the county itself is to be told.
fn escalated(order: &Order, reason: String, context: &Context<'_>) -> Event {
    let level = order.level.up().unwrap_or(Level::County);
    let dispatch_by =
        matches!(order.state, State::Placed { .. }).then(|| context.after(order, order.limits().dispatch));
    Event::Escalated { level, reason, dispatch_by }
}

/// Whether an offer may still be taken by this person.
pub fn may_take(offer: &Offer, person: Uuid) -> bool {
    offer.to.volunteer.is_none_or(|named| named == person) && !offer.declined.contains(&person)
}
