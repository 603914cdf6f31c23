//! What one command changes, and what goes with it.

use uuid::Uuid;
use xingfuma_domain::order::{Event, Record};
use xingfuma_domain::scoring::{Guards, Used};

use super::StoredOrder;
use super::decision::StoredDecision;
use crate::audit::AuditEntry;
use crate::media::Attachment;
use crate::served::{SoFar, Watched};
use crate::{duty, idempotency, ledger};

/// All that one command changes, written in one transaction ([`crate::writing`], [`crate::placing`]).
#[derive(Clone, Debug)]
pub struct Change {
    /// The order after it.
    pub after: StoredOrder,
    /// The version before; 0 for a new order.
    pub before_version: i64,
    /// The events, in order; their sequence numbers are `before_version + 1 …`.
    pub records: Vec<Record>,
    /// Why this team.
    pub decision: Option<StoredDecision>,
    /// Who is to be told.
    pub notifications: Vec<Notification>,
    /// What it adds to the histories of teams and people.
    pub answered: Vec<duty::Answered>,
    /// Somebody who takes the order on, and how many he may hold with it.
    pub at_most: Option<(Uuid, i64)>,
    /// Points.
    pub scoring: Vec<ledger::Booking>,
    /// What guards note of it.
    pub watched: Option<Watched>,
    /// From which point on guards look at something.
    pub guards: Guards,
    /// What was used up of the one award's caps, and what guards go by, when the order was read, if that is known.
    pub known: Option<Known>,
    /// The answer to keep under the caller's key.
    pub answer: Option<idempotency::Answer>,
    /// Personal data that the command opens to somebody.
    pub disclosure: Option<AuditEntry>,
    /// Photos that go with it.
    pub media: Option<Attachment>,
}

impl Change {
    /// Nothing hangs on it but the order's own rows, its decision, its messages and the histories: it can be written
    /// together with others ([`crate::writing::write_all`]).
    pub fn is_plain(&self) -> bool {
        // A promise and a call have rows of their own; the others may change orders that follow or lead.
        let more = |record: &Record| {
            matches!(
                record.event,
                Event::Accepted { .. }
                    | Event::Whistled { .. }
                    | Event::Merged { .. }
                    | Event::Helped { .. }
                    | Event::Completed { .. }
                    | Event::Cancelled { .. }
            )
        };
        self.at_most.is_none()
            && self.scoring.is_empty()
            && self.watched.is_none()
            && self.answer.is_none()
            && self.disclosure.is_none()
            && self.media.is_none()
            && !self.records.iter().any(more)
    }
}

/// Somebody to be told; expanded to people by the notifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// `person:ID`, `people:ID,ID`, `team:ID`, `station:AREA` (the dispatchers of that area) or `department:ID`.
    pub audience: String,
    /// What it is about, e.g. `dispatched`.
    pub topic: &'static str,
    /// Facts for the text, as JSON without personal data.
    pub data: String,
    /// The order that it is about for them, where that is another one: theirs follows the one that changed.
    pub about: Option<Uuid>,
}

/// What was read with an order for a command that scores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// What was used up of the award's caps.
    pub used: Used,
    /// Whether any of its counts stands in the ledger already; a person's first in a month has none.
    pub counted: bool,
    /// What guards go by.
    pub so_far: SoFar,
}
