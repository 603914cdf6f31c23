//! Where an order stands, without the facts: its status, and the last of the five steps.

use serde::{Deserialize, Serialize};

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Waits to be dispatched.
    Placed,
    /// Offered to a team or to one of its volunteers.
    Dispatched,
    /// A volunteer promised to come.
    Accepted,
    /// The volunteer is there.
    InService,
    /// Waits for the resident's answer; clocks stand still.
    Waiting,
    /// Done; to be rated.
    Completed,
    /// Rated; may be reopened for a while.
    Rated,
    /// Over.
    Closed,
    /// Called off.
    Cancelled,
    /// Follows another order.
    Merged,
}

impl Status {
    /// Every status, in the order of the life.
    pub const ALL: [Status; 10] = [
        Status::Placed,
        Status::Dispatched,
        Status::Accepted,
        Status::InService,
        Status::Waiting,
        Status::Completed,
        Status::Rated,
        Status::Closed,
        Status::Cancelled,
        Status::Merged,
    ];

    /// The name in JSON and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Placed => "placed",
            Status::Dispatched => "dispatched",
            Status::Accepted => "accepted",
            Status::InService => "in_service",
            Status::Waiting => "waiting",
            Status::Completed => "completed",
            Status::Rated => "rated",
            Status::Closed => "closed",
            Status::Cancelled => "cancelled",
            Status::Merged => "merged",
        }
    }

    /// Work is still owed: not completed and not ended.
    pub const fn is_open(self) -> bool {
        matches!(
            self,
            Status::Placed | Status::Dispatched | Status::Accepted | Status::InService | Status::Waiting
        )
    }

    /// Nothing comes of it by itself any more.
    pub const fn has_ended(self) -> bool {
        matches!(self, Status::Closed | Status::Cancelled | Status::Merged)
    }
}

/// The last of the five steps done (点派接评晒).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Step {
    /// 点: placed.
    #[serde(rename = "点")]
    Place,
    /// 派: dispatched.
    #[serde(rename = "派")]
    Dispatch,
    /// 接: accepted, in service, waiting, completed.
    #[serde(rename = "接")]
    Accept,
    /// 评: rated, closed.
    #[serde(rename = "评")]
    Rate,
    /// 晒: with a published post.
    #[serde(rename = "晒")]
    Show,
}
