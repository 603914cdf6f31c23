//! What an order is. A state carries its own facts.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::clocks::Told;
use super::correction::Correction;
use super::event::{Event, Placed, Record};
use super::following::{Follower, Revisit};
use super::helping::Helper;
use super::promise::{Assignment, Completion, Engagement, Offer, Rating};
use super::status::{Status, Step};
use super::whistle::Whistle;
use crate::area::{AreaCode, Level};
use crate::deadline::{TimeLimits, Urgency};

/// What is asked for: help (`service`) or that something be put right (`report`, 问题上报).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Somebody needs help.
    Service,
    /// A hazard, dispute or complaint.
    Report,
}

/// The way an order came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// By the sign in a grid.
    Scan,
    /// In the mini-program, with a chosen area.
    App,
    /// Entered by an operator for a caller.
    Hotline,
    /// By a volunteer on patrol.
    Patrol,
}

/// Where an order stands, with the facts that belong to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum State {
    /// Waits to be dispatched.
    Placed {
        /// Since when.
        since: DateTime<Utc>,
        /// Until when a team should have it.
        dispatch_by: DateTime<Utc>,
        /// Why no team can be found; such an order stands on the board.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        stuck: Option<String>,
        /// Since when the clock runs towards `dispatch_by`, where that is not since it was placed: from level to level.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        clock_from: Option<DateTime<Utc>>,
    },
    /// Offered.
    Dispatched {
        /// The offer.
        #[serde(flatten)]
        offer: Offer,
    },
    /// Promised.
    Accepted {
        /// The promise.
        #[serde(flatten)]
        engagement: Engagement,
    },
    /// Being done.
    InService {
        /// The promise.
        #[serde(flatten)]
        engagement: Engagement,
    },
    /// Waits for the resident.
    Waiting {
        /// The promise, whose clocks stand still.
        #[serde(flatten)]
        engagement: Engagement,
        /// Since when.
        since: DateTime<Utc>,
        /// When the sweep goes back to the state before.
        until: DateTime<Utc>,
        /// What is asked, masked.
        question: String,
    },
    /// Done.
    Completed {
        /// The promise kept.
        #[serde(flatten)]
        completion: Completion,
    },
    /// Rated.
    Rated {
        /// The promise kept.
        #[serde(flatten)]
        completion: Completion,
        /// What the resident thought.
        rating: Rating,
    },
    /// Over.
    Closed {
        /// The promise kept.
        #[serde(flatten)]
        completion: Completion,
        /// What the resident thought; absent counts as *unrated*, never as satisfied.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        rating: Option<Rating>,
        /// When.
        closed_at: DateTime<Utc>,
    },
    /// Called off.
    Cancelled {
        /// When.
        cancelled_at: DateTime<Utc>,
        /// Why, masked.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reason: Option<String>,
        /// Who was engaged at that moment.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        released: Option<Assignment>,
    },
    /// Follows another order.
    Merged {
        /// The order that leads.
        into: Uuid,
        /// When.
        merged_at: DateTime<Utc>,
        /// Who held an offer of it at that moment.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        released: Option<Assignment>,
    },
}

/// An order (服务单) with all that its next decision rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// The id (UUIDv7).
    pub id: Uuid,
    /// What never changes after placing.
    pub placed: Placed,
    /// When it was placed.
    pub placed_at: DateTime<Utc>,
    /// Where it stands.
    pub state: State,
    /// Counts events; every change is guarded by it.
    pub version: i64,
    /// Counts dispatches; fences late writes of an earlier one.
    pub epoch: i64,
    /// How far up it has climbed.
    pub level: Level,
    /// Teams that were asked since it was placed or reopened, in order.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub asked: Vec<Uuid>,
    /// Teams that were ever asked before the last reopening: they keep a masked view.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub asked_before: Vec<Uuid>,
    /// People who were told of it or gave it back since it was placed or reopened: they are not asked again.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub invited: Vec<Uuid>,
    /// Teams that said no as a whole since it was placed or reopened.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub refused: Vec<Uuid>,
    /// How often it was reopened.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub reopened: u32,
    /// When the resident last urged.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub urged_at: Option<DateTime<Utc>>,
    /// A post of it is published.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub shown: bool,
    /// What was told of the clocks that run.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub told: Vec<Told>,
    /// Its one extension was given.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub extended: bool,
    /// The order that it followed when the work was done; absent again once it is reopened.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub merged_into: Option<Uuid>,
    /// Orders that follow this one.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub followers: Vec<Follower>,
    /// The order that this one helps.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub helps: Option<Uuid>,
    /// Orders that help this one.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub helpers: Vec<Helper>,
    /// What the township owes a resident who was not content.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub revisit: Option<Revisit>,
    /// Departments that were called.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub whistles: Vec<Whistle>,
    /// Corrective notices.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub corrections: Vec<Correction>,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Order {
    /// Builds an order from its first event.
    ///
    /// # Panics
    /// Never; a first record that is not `Placed` gives `None`.
    pub fn from_first(id: Uuid, record: &Record) -> Option<Order> {
        let Event::Placed(placed) = &record.event else { return None };
        Some(Order {
            id,
            placed_at: record.at,
            state: State::Placed {
                since: record.at,
                dispatch_by: placed.dispatch_by,
                stuck: None,
                clock_from: None,
            },
            version: 1,
            epoch: 0,
            level: placed.area.level(),
            asked: Vec::new(),
            asked_before: Vec::new(),
            invited: Vec::new(),
            refused: Vec::new(),
            reopened: 0,
            urged_at: None,
            shown: false,
            told: Vec::new(),
            extended: false,
            merged_into: None,
            followers: Vec::new(),
            helps: None,
            helpers: Vec::new(),
            revisit: None,
            whistles: Vec::new(),
            corrections: Vec::new(),
            placed: placed.clone(),
        })
    }

    /// Rebuilds an order from all its records; `None` where the first is not `Placed`.
    pub fn fold(id: Uuid, records: &[Record]) -> Option<Order> {
        let (first, rest) = records.split_first()?;
        let mut order = Order::from_first(id, first)?;
        for record in rest {
            order.apply(record);
        }
        Some(order)
    }

    /// Where it stands, without facts.
    pub fn status(&self) -> Status {
        match self.state {
            State::Placed { .. } => Status::Placed,
            State::Dispatched { .. } => Status::Dispatched,
            State::Accepted { .. } => Status::Accepted,
            State::InService { .. } => Status::InService,
            State::Waiting { .. } => Status::Waiting,
            State::Completed { .. } => Status::Completed,
            State::Rated { .. } => Status::Rated,
            State::Closed { .. } => Status::Closed,
            State::Cancelled { .. } => Status::Cancelled,
            State::Merged { .. } => Status::Merged,
        }
    }

    /// The last of the five steps done.
    pub fn step(&self) -> Step {
        if self.shown {
            return Step::Show;
        }
        match &self.state {
            State::Placed { .. } | State::Merged { .. } => Step::Place,
            State::Dispatched { .. } => Step::Dispatch,
            State::Accepted { .. }
            | State::InService { .. }
            | State::Waiting { .. }
            | State::Completed { .. } => Step::Accept,
            State::Rated { .. } | State::Closed { .. } => Step::Rate,
            State::Cancelled { released: None, .. } => Step::Place,
            State::Cancelled { released: Some(Assignment { volunteer: None, .. }), .. } => Step::Dispatch,
            State::Cancelled { .. } => Step::Accept,
        }
    }

    /// The county it belongs to.
    pub fn county(&self) -> AreaCode {
        self.placed.area.county()
    }

    /// The promise, kept or not, while there is one.
    pub fn engagement(&self) -> Option<&Engagement> {
        match &self.state {
            State::Accepted { engagement }
            | State::InService { engagement }
            | State::Waiting { engagement, .. } => Some(engagement),
            _ => self.completion().map(|completion| &completion.engagement),
        }
    }

    /// The last completion, unless the order was reopened.
    pub fn completion(&self) -> Option<&Completion> {
        match &self.state {
            State::Completed { completion }
            | State::Rated { completion, .. }
            | State::Closed { completion, .. } => Some(completion),
            _ => None,
        }
    }

    /// The rating of the last completion.
    pub fn rating(&self) -> Option<&Rating> {
        match &self.state {
            State::Rated { rating, .. } => Some(rating),
            State::Closed { rating, .. } => rating.as_ref(),
            _ => None,
        }
    }

    /// Who holds it: offered to or engaged (also after completion).
    pub fn assignment(&self) -> Option<Assignment> {
        match &self.state {
            State::Dispatched { offer } => Some(offer.to),
            State::Cancelled { released, .. } | State::Merged { released, .. } => *released,
            _ => self
                .engagement()
                .map(|promise| Assignment { team: promise.team, volunteer: Some(promise.volunteer) }),
        }
    }

    /// The limits that this order was placed under.
    pub fn limits(&self) -> &TimeLimits {
        &self.placed.limits
    }

    /// How pressing it is.
    pub fn urgency(&self) -> Urgency {
        self.placed.urgency
    }
}
