//! What somebody served: the facts that hours, stars, certificates and the volunteer record are made of.
//!
//! Minutes are service time without travel. An order counts while its completion stands: one that was reopened counts
//! again when it is completed again, for whoever completes it then. An order that follows another was not served by
//! itself and counts nothing: the work was done once.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::area::AreaCode;
use crate::order::Order;

/// What sort of thing somebody served in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceSource {
    /// 服务单.
    Order,
}

impl ServiceSource {
    /// The word for it in JSON and in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            ServiceSource::Order => "order",
        }
    }
}

/// One service of one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Who served.
    pub person: Uuid,
    /// What sort of thing it was.
    pub source: ServiceSource,
    /// Which one.
    pub id: Uuid,
    /// When it was done.
    pub at: DateTime<Utc>,
    /// Minutes of service, without travel.
    pub minutes: i64,
    /// The category's code.
    pub category: String,
    /// Where.
    pub area: AreaCode,
    /// The team that he served for.
    pub team: Uuid,
    /// What the resident thought, if he said so: stars, and whether the matter is solved.
    pub rating: Option<(u8, bool)>,
}

/// What `person` served in an order, as it stands now.
pub fn service_of(order: &Order, person: Uuid) -> Option<Service> {
    let completion = order.completion().filter(|done| done.engagement.volunteer == person)?;
    if order.merged_into.is_some() {
        return None;
    }
    Some(Service {
        person,
        source: ServiceSource::Order,
        id: order.id,
        at: completion.completed_at,
        minutes: completion.minutes,
        category: order.placed.category.clone(),
        area: order.placed.area,
        team: completion.engagement.team,
        rating: order.rating().map(|rating| (rating.stars, rating.solved)),
    })
}

/// Minutes in all; saturates.
pub fn minutes_of<'a>(services: impl IntoIterator<Item = &'a Service>) -> i64 {
    services.into_iter().fold(0, |sum, service| i64::saturating_add(sum, service.minutes))
}
