//! What may follow from another order or after the work: merging and following, one extension, a revisit.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::command::Context;
use super::event::Event;
use super::promise::Completion;
use super::refusal::Refusal;
use super::state::{Order, State};
use super::status::Status;
use super::verb::Verb;
use crate::deadline::{self, Limit, Pace};

/// How long the township may take to ask a dissatisfied resident, in working seconds: two working days.
pub const REVISIT_WITHIN_SECONDS: i64 = 2 * 24 * 3_600;
/// The most orders that one order leads.
pub const FOLLOWERS_AT_MOST: usize = 50;

/// An order that follows this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Follower {
    /// The order.
    pub order: Uuid,
    /// The resident who ordered it: he is told how the leading one goes on.
    pub requester: Uuid,
}

/// What a revisit came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is solved by now.
    Solved,
    /// It is not.
    Unsolved,
    /// Nobody could be reached: counts neither way.
    Unreachable,
}

/// 回访: the township asks a resident who was not content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Revisit {
    /// Since when it is owed.
    pub opened_at: DateTime<Utc>,
    /// Until when.
    pub revisit_by: DateTime<Utc>,
    /// What it came to; absent while it is owed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub outcome: Option<Outcome>,
    /// In words, masked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
    /// When it was recorded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub recorded_at: Option<DateTime<Utc>>,
}

/// Until when the township has to ask, where the rating calls for it.
pub(super) fn revisit_by(stars: u8, solved: bool, context: &Context<'_>) -> Option<DateTime<Utc>> {
    let limit = Limit::new(REVISIT_WITHIN_SECONDS, Pace::Working);
    (stars <= 2 || !solved).then(|| deadline::add(context.now, limit, context.calendar, context.quiet))
}

pub(super) fn revisited(order: &Order, outcome: Outcome, note: Option<String>) -> Result<Event, Refusal> {
    match &order.revisit {
        Some(Revisit { outcome: None, .. }) => Ok(Event::Revisited { outcome, note }),
        _ => Err(Refusal::NothingToRevisit),
    }
}

/// Whether a revisit is owed.
pub(super) fn may_revisit(order: &Order) -> Result<(), Refusal> {
    match &order.revisit {
        Some(Revisit { outcome: None, .. }) => Ok(()),
        _ => Err(Refusal::NothingToRevisit),
    }
}

/// Whether the promise can be given more time.
pub(super) fn may_extend(order: &Order, now: DateTime<Utc>) -> Result<(), Refusal> {
    let Some(promise) = order.engagement() else { return Ok(()) };
    if order.limits().extension.is_none() {
        return Err(Refusal::NotExtendable);
    }
    if order.extended {
        return Err(Refusal::AlreadyExtended);
    }
    if promise.complete_by <= now {
        return Err(Refusal::TooLate { verb: Verb::Extend });
    }
    Ok(())
}

pub(super) fn extended(order: &Order, reason: String, context: &Context<'_>) -> Result<Event, Refusal> {
    let promise = order.engagement().ok_or(Refusal::NotYours)?;
    let more = order.limits().extension.ok_or(Refusal::NotExtendable)?;
    let limit = Limit::new(more, order.urgency().pace());
    let complete_by = deadline::add(promise.complete_by, limit, context.calendar, context.quiet);
    Ok(Event::Extended { reason, complete_by })
}

/// Whether this order can follow another one at all.
pub(super) fn may_merge(order: &Order) -> Result<(), Refusal> {
    super::helping::leads_itself(order)?;
    super::helping::no_helper_at_work(order)?;
    // No chains: whoever follows, follows somebody who leads.
    if order.followers.is_empty() { Ok(()) } else { Err(Refusal::LeadsOthers) }
}

pub(super) fn merged(order: &Order, parent: &Order) -> Result<Event, Refusal> {
    let room = parent.followers.len() < FOLLOWERS_AT_MOST;
    if parent.id == order.id || parent.county() != order.county() {
        return Err(Refusal::OutOfRange { field: "into" });
    }
    if !parent.status().is_open() || !room || parent.helps.is_some() {
        return Err(Refusal::CannotLead { status: parent.status() });
    }
    Ok(Event::Merged { into: parent.id })
}

/// What becomes of an order that follows when the leading one is changed by `event`; none where it just goes on waiting.
///
/// When the work is done it is done for everybody: each resident may rate, say that it is not solved, and his order closes
/// when the leading one does. When the leading order is called off, the wish of those who follow is still there: they are
/// placed again, each with a fresh clock.
pub fn follow(follower: &Order, event: &Event, context: &Context<'_>) -> Option<Event> {
    if follower.status() != Status::Merged {
        return None;
    }
    match event {
        Event::Completed { completion } => Some(Event::Completed { completion: completion.clone() }),
        Event::Cancelled { .. } => {
            Some(Event::Parted { dispatch_by: context.after(follower, follower.limits().dispatch) })
        }
        _ => None,
    }
}

impl Order {
    /// The promise that was kept for the order that this one followed is the promise of this one.
    pub(super) fn complete_with(&mut self, completion: Completion) {
        self.state = State::Completed { completion };
    }
}
