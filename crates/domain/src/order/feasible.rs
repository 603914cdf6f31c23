//! The guards of the commands: whether time and the order's own facts allow what the table of moves has a row for.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::command::Context;
use super::following;
use super::hat::Hat;
use super::promise::Offer;
use super::refusal::Refusal;
use super::state::{Kind, Order, State};
use super::status::Status;
use super::verb::Verb;
use super::{AFTERCARE_SECONDS, REOPENINGS_AT_MOST, URGE_EVERY_SECONDS, helping};

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

/// Whether an offer may still be taken by this person.
pub fn may_take(offer: &Offer, person: Uuid) -> bool {
    offer.to.volunteer.is_none_or(|named| named == person) && !offer.declined.contains(&person)
}
