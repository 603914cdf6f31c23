//! Several teams at one order: the order that leads gets helping orders, one a team, each with a life of its own.
//!
//! | what happens | what follows, in the same transaction |
//! | --- | --- |
//! | a dispatcher asks a team to help | a helping order at once offered to that team; the lead knows of it |
//! | the helping order is completed or called off | the lead is told; the last one opens the way to its completion |
//! | the lead is called off | helping orders that are open are called off with it |
//! | the lead is reopened | nothing: their work is done; teams can be asked to help again |
//!
//! A helping order is not rated, reopened, merged, and has no helpers: all of that is the lead's. The lead is completed
//! last and so is closed last. Work that is handed on when somebody leaves is here too.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::command::{By, Context};
use super::event::{Event, Placed, Record};
use super::promise::Assignment;
use super::refusal::Refusal;
use super::state::{Order, State};
use super::status::Status;
use crate::deadline;

/// The most helping orders that one order ever gets.
pub const HELPERS_AT_MOST: usize = 10;

/// A helping order, as its lead knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Helper {
    /// The helping order.
    pub order: Uuid,
    /// The team that was asked.
    pub team: Uuid,
    /// When it was completed or called off; absent while it is open.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ended_at: Option<DateTime<Utc>>,
    /// It was completed.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub completed: bool,
}

impl Order {
    /// Helping orders that have not ended.
    pub fn open_helpers(&self) -> impl Iterator<Item = &Helper> {
        self.helpers.iter().filter(|helper| helper.ended_at.is_none())
    }

    pub(super) fn end_helpers(
        &mut self,
        which: impl Fn(&Helper) -> bool,
        completed: bool,
        at: DateTime<Utc>,
    ) {
        for helper in self.helpers.iter_mut().filter(|one| one.ended_at.is_none() && which(one)) {
            (helper.ended_at, helper.completed) = (Some(at), completed);
        }
    }
}

/// Whether a team can be asked to help at all.
pub(super) fn may_help(order: &Order) -> Result<(), Refusal> {
    if order.helps.is_some() {
        return Err(Refusal::HelpsAnother);
    }
    if order.helpers.len() >= HELPERS_AT_MOST {
        return Err(Refusal::TooManyHelpers);
    }
    Ok(())
}

/// What is the lead's alone.
pub(super) fn leads_itself(order: &Order) -> Result<(), Refusal> {
    if order.helps.is_some() { Err(Refusal::HelpsAnother) } else { Ok(()) }
}

/// Nobody is at work for it beside its own volunteer.
pub(super) fn no_helper_at_work(order: &Order) -> Result<(), Refusal> {
    match order.open_helpers().count() {
        0 => Ok(()),
        open => Err(Refusal::HelpersAtWork { open }),
    }
}

pub(super) fn helped(order: &Order, helper: Uuid, team: Uuid, task: String) -> Result<Event, Refusal> {
    let holds = order.assignment().is_some_and(|held| held.team == team);
    if holds || order.open_helpers().any(|one| one.team == team) {
        return Err(Refusal::AlreadyHelps);
    }
    Ok(Event::Helped { order: helper, team, task })
}

pub(super) fn help_ended(order: &Order, helper: Uuid, completed: bool) -> Result<Event, Refusal> {
    match order.open_helpers().any(|one| one.order == helper) {
        true => Ok(Event::HelpEnded { order: helper, completed }),
        false => Err(Refusal::NotYours),
    }
}

/// The first records of a helping order: what it is, whom it helps, and the offer to its team. It is where its lead is,
/// and as pressing; its clocks begin now.
pub fn helping(lead: &Order, team: Uuid, by: By, reason: &str, context: &Context<'_>) -> Vec<Record> {
    let limits = *lead.limits();
    let placed = Placed {
        placed_by: by.person.unwrap_or(lead.placed.placed_by),
        dispatch_by: context.after(lead, limits.dispatch),
        ..lead.placed.clone()
    };
    let offered = Event::Dispatched {
        to: Assignment { team, volunteer: None },
        accept_by: context.after(lead, limits.accept),
        complete_by: None,
        reason: Some(reason.to_owned()),
        invited: Vec::new(),
    };
    [Event::Placed(placed), Event::Helps { lead: lead.id }, offered]
        .into_iter()
        .map(|event| Record { at: context.now, by, event })
        .collect()
}

/// What a change of a helping order means for its lead; none where it just goes on.
pub fn ends_help(helper: &Order, event: &Event) -> Option<(Uuid, bool)> {
    let lead = helper.helps?;
    match event {
        Event::Completed { .. } => Some((lead, true)),
        Event::Cancelled { .. } => Some((lead, false)),
        _ => None,
    }
}

/// Whether somebody named holds it, whose work could be handed on.
pub(super) fn may_transfer(order: &Order) -> Result<(), Refusal> {
    let named = order.assignment().and_then(|held| held.volunteer);
    if named.is_some() { Ok(()) } else { Err(Refusal::NotYours) }
}

/// Hands on what somebody holds who leaves: to a named volunteer, else back to his team, else to be placed again where he
/// was the last of it. A clock that runs towards a completion runs on.
pub(super) fn transferred(
    order: &Order,
    from: Uuid,
    to: Option<Assignment>,
    others_left: bool,
    reason: String,
    context: &Context<'_>,
) -> Result<Event, Refusal> {
    let held = order.assignment().filter(|held| held.volunteer == Some(from)).ok_or(Refusal::NotYours)?;
    // Nobody serves his own order, and nobody is handed his own work.
    let named = to.filter(|to| to.volunteer != Some(order.placed.requester) && to.volunteer != Some(from));
    let back = others_left.then_some(Assignment { team: held.team, volunteer: None });
    let Some(to) = named.or(back) else {
        let returned_by = Some(context.after(order, order.limits().dispatch));
        return Ok(Event::Declined { by: from, whole_team: false, reason: Some(reason), returned_by });
    };
    let accept_by = context.after(order, order.limits().accept);
    let complete_by = complete_by(order, context);
    Ok(Event::Dispatched { to, accept_by, complete_by, reason: Some(reason), invited: Vec::new() })
}

/// The completion clock as it stands: while the resident was asked it stood still.
fn complete_by(order: &Order, context: &Context<'_>) -> Option<DateTime<Utc>> {
    match &order.state {
        State::Dispatched { offer } => offer.complete_by,
        State::Waiting { engagement, since, .. } => Some(deadline::resume(
            engagement.complete_by,
            *since,
            context.now,
            order.urgency().pace(),
            context.calendar,
            context.quiet,
        )),
        _ => order.engagement().filter(|_| order.status() != Status::Completed).map(|held| held.complete_by),
    }
}
