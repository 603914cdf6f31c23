//! Orders: place and read. The commands to those that exist are in `order_commands`.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use xingfuma_app::command::Render;
use xingfuma_app::place::{ContactGiven, PlaceRequest};
use xingfuma_app::view::OrderSeen;
use xingfuma_domain::deadline::Urgency;
use xingfuma_domain::order::{Channel, Status};
use xingfuma_store::orders::{Filter, Part};

use crate::State;
use crate::address::CalledFrom;
use crate::extract::{Body, Items, LoggedIn, LoggedInFor, Page, id, query, required_key, respond};
use crate::order_commands::ReasonBody;
use crate::order_json::{EventJson, OrderJson, event};
use crate::problem::{Problem, ProblemBody};

pub(crate) fn render(status: u16) -> Render {
    Arc::new(move |seen: &OrderSeen| (status, serde_json::to_vec(&OrderJson::from(seen)).unwrap_or_default()))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ContactRequest {
    #[schema(example = "王大娘")]
    name: Option<String>,
    #[schema(example = "13800138000")]
    phone: Option<String>,
}

impl From<ContactRequest> for ContactGiven {
    fn from(request: ContactRequest) -> ContactGiven {
        ContactGiven { name: request.name, phone: request.phone }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PlaceBody {
    /// The scanned sign; it or `areaCode`, not both.
    sign_code: Option<String>,
    /// The chosen area.
    area_code: Option<String>,
    #[schema(example = "errand")]
    category_code: String,
    /// What is needed; at most 1,000 characters.
    #[schema(example = "帮忙代买降压药")]
    description: String,
    contact: Option<ContactRequest>,
    #[schema(example = "三单元二楼")]
    address: Option<String>,
    /// `urgent`, `priority`, `normal` or `complex`; the category's own where it is left out.
    #[schema(value_type = Option<String>)]
    urgency: Option<Urgency>,
    wished_from: Option<DateTime<Utc>>,
    wished_to: Option<DateTime<Utc>>,
    /// Photos of one's own that were uploaded before and not attached yet, at most 9.
    #[serde(default)]
    media_ids: Vec<Uuid>,
    /// `scan`, `app`, `hotline` or `patrol`.
    #[schema(value_type = Option<String>)]
    channel: Option<Channel>,
    /// The caller for whom an operator enters it; `contact` where it is left out.
    on_behalf_of: Option<ContactRequest>,
}

impl From<PlaceBody> for PlaceRequest {
    fn from(body: PlaceBody) -> PlaceRequest {
        PlaceRequest {
            sign: body.sign_code,
            area: body.area_code,
            category: body.category_code,
            description: body.description,
            contact: body.contact.map(ContactGiven::from),
            address: body.address,
            urgency: body.urgency,
            wished_from: body.wished_from,
            wished_to: body.wished_to,
            media: body.media_ids,
            channel: body.channel,
            on_behalf_of: body.on_behalf_of.map(ContactGiven::from),
        }
    }
}

/// 点: place an order.
#[utoipa::path(post, path = "/api/v1/orders", tag = "orders", request_body = PlaceBody, security(("bearer" = [])),
    params(("Idempotency-Key" = String, Header, description = "required")),
    responses((status = 201, body = OrderJson),
        (status = 400, body = ProblemBody, description = "malformed_json, idempotency_key_required"),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody, description = "forbidden"),
        (status = 413, body = ProblemBody),
        (status = 422, body = ProblemBody, description = "invalid_fields, idempotency_key_reused"),
        (status = 429, body = ProblemBody, description = "too_many_requests, with Retry-After"),
        (status = 503, body = ProblemBody)))]
#[post("/api/v1/orders")]
async fn place(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    CalledFrom(from): CalledFrom,
    request: HttpRequest,
    body: Body<PlaceBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = required_key(&state, &caller, &request, &body.bytes)?;
    let app = state.app.clone();
    let work = async move { app.place(&caller, from, body.read.into(), keyed, render(201)).await };
    Ok(respond(state.app.run(work).await?))
}

/// Which of the caller's orders a list shows.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum PartParam {
    /// Everything he may see.
    All,
    /// What he ordered or entered.
    Own,
    /// What his team was asked, and what he promised.
    Team,
    /// What lies in his areas.
    Area,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListParams {
    /// Most items, at most 100.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u64>,
    /// Where the page before ended.
    cursor: Option<String>,
    /// `all` (the default), `own`, `team` or `area`.
    #[param(value_type = Option<String>)]
    scope: Option<PartParam>,
    /// Only this status.
    #[param(value_type = Option<String>)]
    status: Option<Status>,
    /// Only this category.
    category_code: Option<String>,
    /// Only this subtree.
    area_code: Option<String>,
}

/// The caller's orders, newest first.
#[utoipa::path(get, path = "/api/v1/orders", tag = "orders", params(ListParams), security(("bearer" = [])),
    responses((status = 200, body = Items<OrderJson>), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody)))]
#[get("/api/v1/orders")]
async fn list(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let params: ListParams = query(&request)?;
    let page = Page { limit: params.limit, cursor: params.cursor };
    let (limit, before) = (page.limit()?, page.before()?);
    let bad_area = |_| Problem::new(400, "malformed_request").with_detail("areaCode");
    let filter = Filter {
        status: params.status,
        category: params.category_code,
        area: params.area_code.map(|code| code.parse().map_err(bad_area)).transpose()?,
    };
    let part = match params.scope {
        None | Some(PartParam::All) => Part::All,
        Some(PartParam::Own) => Part::Own,
        Some(PartParam::Team) => Part::Team,
        Some(PartParam::Area) => Part::Area,
    };
    let app = state.app.clone();
    let seen = state.app.run(async move { app.orders(&caller, part, &filter, before, limit).await }).await?;
    let last = seen.last().map(|seen| seen.order.id);
    let items = seen.iter().map(OrderJson::from).collect();
    Ok(HttpResponse::Ok().json(Items::page(items, limit, last)))
}

/// One order.
#[utoipa::path(get, path = "/api/v1/orders/{id}", tag = "orders", params(("id" = Uuid, Path)),
    security(("bearer" = [])),
    responses((status = 200, body = OrderJson), (status = 401, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[get("/api/v1/orders/{id}")]
async fn one(
    state: web::Data<State>,
    LoggedInFor(caller, found): LoggedInFor,
    order: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let order = id(&order)?;
    let app = state.app.clone();
    let seen = state.app.run(async move { app.order(&caller, order, found).await }).await?;
    let etag = format!("\"{}\"", seen.order.version);
    Ok(HttpResponse::Ok().insert_header(("etag", etag)).json(OrderJson::from(&seen)))
}

/// What happened to an order, oldest first.
#[utoipa::path(get, path = "/api/v1/orders/{id}/events", tag = "orders", params(("id" = Uuid, Path)),
    security(("bearer" = [])),
    responses((status = 200, body = Items<EventJson>), (status = 401, body = ProblemBody),
        (status = 404, body = ProblemBody)))]
#[get("/api/v1/orders/{id}/events")]
async fn events(
    state: web::Data<State>,
    LoggedInFor(caller, found): LoggedInFor,
    order: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let order = id(&order)?;
    let app = state.app.clone();
    let seen = state.app.run(async move { app.order(&caller, order, found).await }).await?;
    let items: Vec<EventJson> = seen.records.iter().map(event).collect();
    Ok(HttpResponse::Ok().json(Items { items, next_cursor: None }))
}

#[derive(Serialize, ToSchema)]
struct CandidateTeam {
    id: Uuid,
    name: String,
}

#[derive(Serialize, ToSchema)]
struct CandidateJson {
    team: CandidateTeam,
    /// Lower is better; absent for a team that could not be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<i64>,
    reasons: Vec<String>,
}

#[derive(Serialize, ToSchema)]
struct PersonJson {
    id: Uuid,
    /// He was told.
    invited: bool,
    /// Lower is better.
    score: i64,
    reasons: Vec<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DecisionJson {
    epoch: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    chosen: Option<Uuid>,
    /// The one who is named; only he may take it.
    #[serde(skip_serializing_if = "Option::is_none")]
    volunteer: Option<Uuid>,
    by_hand: bool,
    decided_at: DateTime<Utc>,
    /// The policy, asked again with the stored facts, gives this very answer; absent for a hand's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    replays: Option<bool>,
    /// After how many seconds without an answer others are asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    patience_seconds: Option<i64>,
    candidates: Vec<CandidateJson>,
    /// People of the chosen team: those who were told, and the next few after them.
    people: Vec<PersonJson>,
    shortfalls: Vec<String>,
}

/// Why this team.
#[utoipa::path(get, path = "/api/v1/orders/{id}/decision", tag = "orders", params(("id" = Uuid, Path)),
    security(("bearer" = [])),
    responses((status = 200, body = DecisionJson), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "not_decided: the queue has not come to it yet")))]
#[get("/api/v1/orders/{id}/decision")]
async fn decision(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    order: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let order = id(&order)?;
    let app = state.app.clone();
    let seen = state.app.run(async move { app.decision(&caller, order).await }).await?;
    let candidates = seen.decision.candidates.into_iter().map(|candidate| CandidateJson {
        team: CandidateTeam { id: candidate.team, name: candidate.name },
        score: candidate.score,
        reasons: candidate.reasons,
    });
    let people = seen.decision.people.into_iter().map(|person| PersonJson {
        id: person.person,
        invited: person.invited,
        score: person.score,
        reasons: person.reasons,
    });
    Ok(HttpResponse::Ok().json(DecisionJson {
        epoch: seen.epoch,
        chosen: seen.decision.chosen,
        volunteer: seen.decision.volunteer,
        by_hand: seen.by_hand,
        decided_at: seen.decided_at,
        replays: seen.replays,
        patience_seconds: seen.decision.patience_seconds,
        candidates: candidates.collect(),
        people: people.collect(),
        shortfalls: seen.decision.shortfalls,
    }))
}

#[derive(Serialize, ToSchema)]
struct RevealedJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
}

/// Show contact and address, with a reason; it is noted who looked.
#[utoipa::path(post, path = "/api/v1/orders/{id}/contact", tag = "orders", params(("id" = Uuid, Path)),
    request_body = ReasonBody, security(("bearer" = [])),
    responses((status = 200, body = RevealedJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 410, body = ProblemBody),
        (status = 422, body = ProblemBody), (status = 429, body = ProblemBody)))]
#[post("/api/v1/orders/{id}/contact")]
async fn contact(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    order: web::Path<String>,
    body: Body<ReasonBody>,
) -> Result<HttpResponse, Problem> {
    let order = id(&order)?;
    let app = state.app.clone();
    let work = async move { app.reveal_contact(&caller, order, &body.read.reason).await };
    let shown = state.app.run(work).await?;
    let shown = RevealedJson { name: shown.name, phone: shown.phone, address: shown.address };
    Ok(HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(shown))
}
