//! 限期整改、复查: a notice that demands that something be put right within a term, and the re-inspection after it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::clocks::{Clock, Stage};
use super::command::{By, Context};
use super::event::Event;
use super::refusal::Refusal;
use super::state::{Kind, Order};
use crate::deadline::{self, Limit, Pace};

/// The longest term, in working days.
pub const TERM_DAYS_AT_MOST: i64 = 90;
/// How long after the end of a term there is to look again, in working seconds: the promise runs on until then.
const INSPECT_WITHIN_SECONDS: i64 = 24 * 3_600;
const DAY_SECONDS: i64 = 24 * 3_600;

/// A re-inspection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// When.
    pub at: DateTime<Utc>,
    /// By whom.
    pub by: Uuid,
    /// It is put right.
    pub passed: bool,
    /// What was found, masked.
    pub findings: String,
}

/// A corrective notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Correction {
    /// The id.
    pub id: Uuid,
    /// Who gave it.
    pub issued_by: Uuid,
    /// When.
    pub issued_at: DateTime<Utc>,
    /// Who is to put it right, masked.
    pub addressee: String,
    /// What is to be put right, masked.
    pub demand: String,
    /// Since when the present term runs.
    pub term_from: DateTime<Utc>,
    /// When the present term ends.
    pub due_by: DateTime<Utc>,
    /// Every time that somebody looked again, the first one first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub inspections: Vec<Inspection>,
}

impl Correction {
    /// A re-inspection found it put right.
    pub fn is_settled(&self) -> bool {
        self.inspections.last().is_some_and(|last| last.passed)
    }

    /// Its term.
    pub(super) fn clock(&self) -> Option<Clock> {
        let clock =
            Clock { stage: Stage::Correct, of: Some(self.id), from: self.term_from, due: self.due_by };
        (!self.is_settled()).then_some(clock)
    }
}

/// The end of a term that begins now, and the end of the promise that has to outlast it.
fn term(
    order: &Order,
    days: i64,
    context: &Context<'_>,
) -> Result<(DateTime<Utc>, Option<DateTime<Utc>>), Refusal> {
    if !(1..=TERM_DAYS_AT_MOST).contains(&days) {
        return Err(Refusal::OutOfRange { field: "termDays" });
    }
    let after = |from, seconds| {
        deadline::add(from, Limit::new(seconds, Pace::Working), context.calendar, context.quiet)
    };
    let due_by = after(context.now, days * DAY_SECONDS);
    let inspected_by = after(due_by, INSPECT_WITHIN_SECONDS);
    let promise = order.engagement().filter(|_| order.status().is_open());
    Ok((due_by, promise.map(|promise| promise.complete_by.max(inspected_by))))
}

pub(super) fn ordered(
    order: &Order,
    id: Uuid,
    addressee: String,
    demand: String,
    term_days: i64,
    by: By,
    context: &Context<'_>,
) -> Result<Event, Refusal> {
    if order.placed.kind != Kind::Report {
        return Err(Refusal::NotAReport);
    }
    let issued_by = by.person.ok_or(Refusal::NotYours)?;
    let (due_by, complete_by) = term(order, term_days, context)?;
    let correction = Correction {
        id,
        issued_by,
        issued_at: context.now,
        addressee,
        demand,
        term_from: context.now,
        due_by,
        inspections: Vec::new(),
    };
    Ok(Event::CorrectionOrdered { correction, complete_by })
}

pub(super) fn inspected(
    order: &Order,
    id: Uuid,
    passed: bool,
    findings: String,
    term_days: Option<i64>,
    context: &Context<'_>,
) -> Result<Event, Refusal> {
    let found = order.corrections.iter().find(|correction| correction.id == id);
    if found.ok_or(Refusal::NotYours)?.is_settled() {
        return Err(Refusal::CorrectionSettled);
    }
    let again = match (passed, term_days) {
        (true, None) => None,
        (false, Some(days)) => Some(term(order, days, context)?),
        // A new term where one is needed, and none where nothing is left to do.
        _ => return Err(Refusal::OutOfRange { field: "termDays" }),
    };
    let (due_by, complete_by) = again.map_or((None, None), |(due_by, by)| (Some(due_by), by));
    Ok(Event::CorrectionInspected { correction: id, passed, findings, due_by, complete_by })
}
