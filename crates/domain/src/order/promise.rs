//! From the offer to the rating: who is offered an order, who promised to come, how the promise was kept, and what the
//! resident thought of it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Who holds an offer: a whole team, or one named volunteer of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assignment {
    /// The team.
    pub team: Uuid,
    /// The named volunteer; absent where the whole team may take it (抢单).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub volunteer: Option<Uuid>,
}

/// An open offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Offer {
    /// To whom.
    #[serde(flatten)]
    pub to: Assignment,
    /// Since when.
    pub at: DateTime<Utc>,
    /// Until when it may be accepted before it goes elsewhere.
    pub accept_by: DateTime<Utc>,
    /// The completion clock of a promise that was handed over: it runs on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub complete_by: Option<DateTime<Utc>>,
    /// The breach of that `complete_by` was told upwards before the hand-over.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub overdue_told: bool,
    /// Members who said no to this offer; it stands for the others.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub declined: Vec<Uuid>,
    /// Members who were told of it; empty where all of them were.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub invited: Vec<Uuid>,
}

/// A promise: one volunteer of one team is on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Engagement {
    /// The team.
    pub team: Uuid,
    /// The volunteer.
    pub volunteer: Uuid,
    /// When he accepted.
    pub accepted_at: DateTime<Utc>,
    /// When he should be there, where the urgency has such a limit.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub arrive_by: Option<DateTime<Utc>>,
    /// When he was there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub arrived_at: Option<DateTime<Utc>>,
    /// When it should be done.
    pub complete_by: DateTime<Utc>,
    /// Since when its clocks run towards these ends, where that is not since it was accepted: after a pause, or with more
    /// time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub clock_from: Option<DateTime<Utc>>,
    /// The breach of `complete_by` was told upwards.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub overdue_told: bool,
}

/// A promise kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Completion {
    /// Who did it, and by which clock.
    #[serde(flatten)]
    pub engagement: Engagement,
    /// When.
    pub completed_at: DateTime<Utc>,
    /// Not after `complete_by`.
    pub on_time: bool,
    /// Minutes of service, without travel.
    pub minutes: i64,
    /// What was done, masked.
    pub summary: String,
}

/// What the resident thought of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rating {
    /// 1 to 5.
    pub stars: u8,
    /// Whether the matter is solved.
    pub solved: bool,
    /// Chosen words.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub tags: Vec<String>,
    /// Free words, masked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub comment: Option<String>,
    /// When.
    pub rated_at: DateTime<Utc>,
}
