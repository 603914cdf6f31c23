//! An order as JSON.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use xingfuma_app::directory::Directory;
use xingfuma_app::view::OrderSeen;
use xingfuma_domain::order::{Event, Helper, Kind, Order, Record, State, Step};

use crate::parts_json::{CorrectionJson, RevisitJson, WhistleJson, corrections_of, whistles_of};

#[derive(Serialize, ToSchema)]
struct CategoryRef {
    #[schema(example = "errand")]
    code: String,
    name: String,
}

#[derive(Serialize, ToSchema)]
struct AreaRef {
    #[schema(example = "140724100001001")]
    code: String,
    name: String,
    path: Vec<String>,
}

#[derive(Serialize, ToSchema)]
struct TeamRef {
    id: Uuid,
    name: String,
}

#[derive(Serialize, ToSchema)]
struct VolunteerRef {
    id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    surname: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct ContactJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
}

/// An order that helps another one.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct HelperJson {
    /// The helping order; there for those who may see it.
    order_id: Uuid,
    team: TeamRef,
    /// `open`, `completed` or `called_off`.
    #[schema(example = "open")]
    status: &'static str,
}

fn helper_json(helper: &Helper, directory: &Directory) -> HelperJson {
    let name = directory.team(helper.team).map(|team| team.name.clone()).unwrap_or_default();
    HelperJson {
        order_id: helper.order,
        team: TeamRef { id: helper.team, name },
        status: match (helper.ended_at, helper.completed) {
            (None, _) => "open",
            (Some(_), true) => "completed",
            (Some(_), false) => "called_off",
        },
    }
}

#[derive(Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Deadlines {
    #[serde(skip_serializing_if = "Option::is_none")]
    dispatch_by: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accept_by: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arrive_by: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    complete_by: Option<DateTime<Utc>>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CompletionJson {
    completed_at: DateTime<Utc>,
    on_time: bool,
    minutes: i64,
    summary: String,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RatingJson {
    stars: u8,
    solved: bool,
    tags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    rated_at: DateTime<Utc>,
}

/// One event of an order.
#[derive(Serialize, ToSchema)]
pub(crate) struct EventJson {
    at: DateTime<Utc>,
    #[schema(example = "accepted")]
    event: &'static str,
    /// What the author was to the order.
    #[schema(example = "offered")]
    by: &'static str,
    /// In words, where there are some.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// An order (服务单) as the caller may see it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OrderJson {
    id: Uuid,
    /// To be read over the phone.
    #[schema(example = "100001")]
    number: String,
    #[schema(example = "service")]
    kind: &'static str,
    category: CategoryRef,
    /// The last of the five steps done.
    #[schema(example = "点")]
    step: &'static str,
    #[schema(example = "placed")]
    status: &'static str,
    version: i64,
    epoch: i64,
    /// How far up it has climbed.
    #[schema(example = "grid")]
    level: &'static str,
    #[schema(example = "normal")]
    urgency: &'static str,
    /// What the caller may do now: path segments.
    allowed_actions: Vec<&'static str>,
    area: AreaRef,
    #[serde(skip_serializing_if = "Option::is_none")]
    team: Option<TeamRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    volunteer: Option<VolunteerRef>,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<ContactJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    placed_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wished_from: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wished_to: Option<DateTime<Utc>>,
    deadlines: Deadlines,
    #[serde(skip_serializing_if = "Option::is_none")]
    completion: Option<CompletionJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rating: Option<RatingJson>,
    reopened: u32,
    /// Why no team can be found.
    #[serde(skip_serializing_if = "Option::is_none")]
    stuck: Option<String>,
    /// The order that this one follows, or followed when the work was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    merged_into: Option<Uuid>,
    /// How many orders follow this one.
    followers: usize,
    /// The order that this one helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    helps: Option<Uuid>,
    /// Orders of other teams that help with this one; it is completed after them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    helpers: Vec<HelperJson>,
    /// 回访 that a poor rating has opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    revisit: Option<RevisitJson>,
    /// Departments that were called; for those who work on it or watch over it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    whistles: Vec<WhistleJson>,
    /// Corrective notices; for the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    corrections: Vec<CorrectionJson>,
    /// What happened, oldest first; left out of lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    timeline: Vec<EventJson>,
}

impl From<&OrderSeen> for OrderJson {
    fn from(seen: &OrderSeen) -> OrderJson {
        let order = &seen.order;
        let directory = &seen.directory;
        let category = &order.placed.category;
        let contact = seen.contact.as_ref();
        let path = seen.area_path();
        OrderJson {
            id: order.id,
            number: seen.number.to_string(),
            kind: match order.placed.kind {
                Kind::Service => "service",
                Kind::Report => "report",
            },
            category: CategoryRef {
                code: category.clone(),
                name: directory.category(category).map(|known| known.name.clone()).unwrap_or_default(),
            },
            step: step(order.step()),
            status: order.status().as_str(),
            version: order.version,
            epoch: order.epoch,
            level: order.level.as_str(),
            urgency: order.urgency().as_str(),
            allowed_actions: seen.allowed.iter().map(|verb| verb.segment()).collect(),
            area: AreaRef {
                code: order.placed.area.to_string(),
                name: path.last().cloned().unwrap_or_default(),
                path,
            },
            team: order.assignment().map(|held| TeamRef {
                id: held.team,
                name: directory.team(held.team).map(|team| team.name.clone()).unwrap_or_default(),
            }),
            volunteer: order
                .assignment()
                .and_then(|held| held.volunteer)
                .map(|id| VolunteerRef { id, surname: seen.volunteer_surname.clone() }),
            description: seen.description.clone(),
            address: contact.and_then(|contact| contact.address.clone()),
            contact: contact
                .map(|contact| ContactJson { name: contact.name.clone(), phone: contact.phone.clone() }),
            placed_at: order.placed_at,
            wished_from: seen.wished_from,
            wished_to: seen.wished_to,
            deadlines: deadlines(order),
            completion: order.completion().map(|done| CompletionJson {
                completed_at: done.completed_at,
                on_time: done.on_time,
                minutes: done.minutes,
                summary: done.summary.clone(),
            }),
            rating: order.rating().map(|rating| RatingJson {
                stars: rating.stars,
                solved: rating.solved,
                tags: rating.tags.clone(),
                comment: rating.comment.clone(),
                rated_at: rating.rated_at,
            }),
            reopened: order.reopened,
            stuck: stuck(order),
            merged_into: match order.state {
                State::Merged { into, .. } => Some(into),
                _ => order.merged_into,
            },
            followers: order.followers.len(),
            helps: order.helps,
            helpers: order.helpers.iter().map(|helper| helper_json(helper, directory)).collect(),
            revisit: order.revisit.as_ref().map(RevisitJson::from),
            whistles: whistles_of(seen),
            corrections: corrections_of(seen),
            timeline: seen.records.iter().map(event).collect(),
        }
    }
}

pub(crate) fn step(step: Step) -> &'static str {
    match step {
        Step::Place => "点",
        Step::Dispatch => "派",
        Step::Accept => "接",
        Step::Rate => "评",
        Step::Show => "晒",
    }
}

fn stuck(order: &Order) -> Option<String> {
    match &order.state {
        State::Placed { stuck, .. } => stuck.clone(),
        _ => None,
    }
}

fn deadlines(order: &Order) -> Deadlines {
    match &order.state {
        State::Placed { dispatch_by, .. } => {
            Deadlines { dispatch_by: Some(*dispatch_by), ..Deadlines::default() }
        }
        State::Dispatched { offer } => Deadlines {
            accept_by: Some(offer.accept_by),
            complete_by: offer.complete_by,
            ..Deadlines::default()
        },
        _ => order.engagement().map_or_else(Deadlines::default, |promise| Deadlines {
            arrive_by: promise.arrive_by,
            complete_by: Some(promise.complete_by),
            ..Deadlines::default()
        }),
    }
}

/// An event as it is shown.
pub(crate) fn event(record: &Record) -> EventJson {
    let note = match &record.event {
        Event::Dispatched { reason, .. } | Event::Declined { reason, .. } | Event::Cancelled { reason } => {
            reason.clone()
        }
        Event::NoTeamLeft { reason, .. }
        | Event::Reopened { reason, .. }
        | Event::Escalated { reason, .. } => Some(reason.clone()),
        Event::WaitStarted { question, .. } => Some(question.clone()),
        Event::Answered { answer, .. } => answer.clone(),
        Event::Arrived { proof } => proof.clone(),
        Event::Completed { completion } => Some(completion.summary.clone()),
        Event::Rated { rating, .. } => rating.comment.clone(),
        Event::Extended { reason, .. } => Some(reason.clone()),
        Event::Helped { task, .. } => Some(task.clone()),
        Event::Warned { clock } | Event::Overdue { clock } => Some(clock.stage.as_str().to_owned()),
        Event::Revisited { note, .. } => note.clone(),
        _ => None,
    };
    EventJson { at: record.at, event: record.event.name(), by: record.by.hat.as_str(), note }
}
