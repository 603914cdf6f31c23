//! `decide(order, command, by, context)`: which events follow from a command, or why it is refused.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::command::{By, Command, Context, MINUTES_AT_MOST};
use super::event::Event;
use super::feasible::feasible;
use super::following;
use super::hat::{Hat, Hats};
use super::moves::legal;
use super::promise::{Assignment, Completion, Engagement, Rating};
use super::refusal::Refusal;
use super::state::{Order, State};
use super::status::Status;
use super::verb::Verb;
use super::{WAITING_SECONDS, correction, helping, whistle};
use crate::area::Level;
use crate::deadline;

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
