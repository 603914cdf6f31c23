//! Why and when an order wakes by itself.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The one thing that is due next for an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// What.
    pub kind: DueKind,
    /// When; absent where it waits for people alone.
    pub wake_at: Option<DateTime<Utc>>,
}

/// Why an order wakes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DueKind {
    /// It waits for a team: the queue's hint may be lost.
    Dispatch,
    /// No team was found in time: it goes up a level.
    DispatchOverdue,
    /// Nobody accepted in time.
    AcceptOverdue,
    /// It should be done by now.
    CompleteOverdue,
    /// The resident did not answer.
    AnswerOverdue,
    /// The time for rating and reopening is over.
    Close,
    /// Three quarters of a clock's time are over: somebody is told, or reminded.
    Warn,
    /// A clock is over from whose end nothing follows but that it is told.
    Overdue,
}

impl DueKind {
    /// The name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            DueKind::Dispatch => "dispatch",
            DueKind::DispatchOverdue => "dispatch_overdue",
            DueKind::AcceptOverdue => "accept_overdue",
            DueKind::CompleteOverdue => "complete_overdue",
            DueKind::AnswerOverdue => "answer_overdue",
            DueKind::Close => "close",
            DueKind::Warn => "warn",
            DueKind::Overdue => "overdue",
        }
    }
}
