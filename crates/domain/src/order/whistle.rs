//! 吹哨报到: a lower level calls departments. Each has its own clock, checks in, has a result, and is rated by whoever
//! called.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::clocks::{Clock, Stage};
use super::command::{By, Context};
use super::event::Event;
use super::refusal::Refusal;
use super::state::Order;
use crate::deadline::Urgency;

/// The most departments that may be called to one order at the same time.
pub const WHISTLES_AT_MOST: usize = 8;

/// What a department did about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conclusion {
    /// When.
    pub at: DateTime<Utc>,
    /// The member of the department who says so.
    pub by: Uuid,
    /// What was done, masked.
    pub result: String,
}

/// What the caller thought of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WhistleRating {
    /// 1 to 5.
    pub stars: u8,
    /// Free words, masked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub comment: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

/// A call to one department.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Whistle {
    /// The id.
    pub id: Uuid,
    /// The department.
    pub department: Uuid,
    /// Who called.
    pub called_by: Uuid,
    /// When.
    pub called_at: DateTime<Utc>,
    /// What is needed of it, masked.
    pub demand: String,
    /// Until when it should check in.
    pub check_in_by: DateTime<Utc>,
    /// Until when it should have a result.
    pub conclude_by: DateTime<Utc>,
    /// When it checked in, and who of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub checked_in: Option<(DateTime<Utc>, Uuid)>,
    /// Its result.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub concluded: Option<Conclusion>,
    /// The caller's rating.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rating: Option<WhistleRating>,
}

impl Whistle {
    /// Its clock: until it checks in, then until it has a result.
    pub(super) fn clock(&self) -> Option<Clock> {
        let (stage, from, due) = match (&self.concluded, self.checked_in) {
            (Some(_), _) => return None,
            (None, None) => (Stage::CheckIn, self.called_at, self.check_in_by),
            (None, Some((at, _))) => (Stage::Conclude, at, self.conclude_by),
        };
        Some(Clock { stage, of: Some(self.id), from, due })
    }

    /// It checked in, and not after the time for it.
    pub fn checked_in_on_time(&self) -> Option<bool> {
        self.checked_in.map(|(at, _)| at <= self.check_in_by)
    }

    /// It had a result, and not after the time for it.
    pub fn concluded_on_time(&self) -> Option<bool> {
        self.concluded.as_ref().map(|done| done.at <= self.conclude_by)
    }
}

/// How long a department may take to check in, in seconds of the order's own pace.
pub const fn check_in_seconds(urgency: Urgency) -> i64 {
    match urgency {
        Urgency::Urgent => 30 * 60,
        Urgency::Priority => 2 * 3_600,
        Urgency::Normal | Urgency::Complex => 24 * 3_600,
    }
}

pub(super) fn whistled(
    order: &Order,
    calls: Vec<(Uuid, Uuid)>,
    demand: String,
    by: By,
    context: &Context<'_>,
) -> Result<Event, Refusal> {
    let called_by = by.person.ok_or(Refusal::NotYours)?;
    let open = || order.whistles.iter().filter(|whistle| whistle.concluded.is_none());
    let too_many = open().count() + calls.len() > WHISTLES_AT_MOST;
    let twice =
        calls.iter().enumerate().any(|(n, (_, one))| calls[..n].iter().any(|(_, other)| other == one));
    if calls.is_empty() || too_many || twice {
        return Err(Refusal::OutOfRange { field: "departmentIds" });
    }
    if calls.iter().any(|(_, department)| open().any(|whistle| whistle.department == *department)) {
        return Err(Refusal::AlreadyWhistled);
    }
    let check_in_by = context.after(order, check_in_seconds(order.urgency()));
    let conclude_by = context.after(order, order.limits().complete).max(check_in_by);
    let whistle = |(id, department)| Whistle {
        id,
        department,
        called_by,
        called_at: context.now,
        demand: demand.clone(),
        check_in_by,
        conclude_by,
        checked_in: None,
        concluded: None,
        rating: None,
    };
    Ok(Event::Whistled { whistles: calls.into_iter().map(whistle).collect() })
}

fn find(order: &Order, id: Uuid) -> Result<&Whistle, Refusal> {
    order.whistles.iter().find(|whistle| whistle.id == id).ok_or(Refusal::NotYours)
}

pub(super) fn checked_in(order: &Order, id: Uuid) -> Result<Event, Refusal> {
    let whistle = find(order, id)?;
    if whistle.checked_in.is_some() || whistle.concluded.is_some() {
        return Err(Refusal::WhistleAnswered);
    }
    Ok(Event::CheckedIn { whistle: id })
}

pub(super) fn concluded(order: &Order, id: Uuid, result: String) -> Result<Event, Refusal> {
    let whistle = find(order, id)?;
    if whistle.concluded.is_some() {
        return Err(Refusal::WhistleAnswered);
    }
    if whistle.checked_in.is_none() {
        return Err(Refusal::CheckInRequired);
    }
    Ok(Event::Concluded { whistle: id, result })
}

pub(super) fn whistle_rated(
    order: &Order,
    id: Uuid,
    stars: u8,
    comment: Option<String>,
    by: By,
) -> Result<Event, Refusal> {
    let whistle = find(order, id)?;
    if by.person != Some(whistle.called_by) {
        return Err(Refusal::NotYours);
    }
    if whistle.rating.is_some() {
        return Err(Refusal::WhistleAnswered);
    }
    if whistle.concluded.is_none() {
        return Err(Refusal::NothingConcluded);
    }
    if !(1..=5).contains(&stars) {
        return Err(Refusal::OutOfRange { field: "stars" });
    }
    Ok(Event::WhistleRated { whistle: id, stars, comment })
}
