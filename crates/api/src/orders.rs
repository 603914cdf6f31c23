//! Orders: place, read, and every command of the five steps.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use xingfuma_app::command::{Ask, Render, Request};
use xingfuma_app::place::{ContactGiven, PlaceRequest};
use xingfuma_app::view::OrderSeen;
use xingfuma_domain::deadline::Urgency;
use xingfuma_domain::order::{Channel, Outcome, Status};
use xingfuma_store::orders::{Filter, Part};

use crate::State;
use crate::address::CalledFrom;
use crate::extract::{
    Body, Items, LoggedIn, LoggedInFor, Page, id, if_match, keyed, query, required_key, respond,
};
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

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReasonBody {
    /// Why; at most 200 characters.
    #[serde(default)]
    reason: String,
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

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct DispatchBody {
    team_id: Uuid,
    /// A volunteer of the team.
    volunteer_id: Option<Uuid>,
    reason: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct DeclineBody {
    /// Required once accepted.
    reason: Option<String>,
    /// For the whole team; a leader's default.
    whole_team: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct HandOverBody {
    volunteer_id: Uuid,
    reason: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ArriveBody {
    /// Shown by the sign of the place.
    sign_code: Option<String>,
    /// Shown by one's own badge.
    badge: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CompleteBody {
    /// What was done.
    #[schema(example = "药已送到")]
    summary: String,
    /// Minutes of service without travel, 1 to 1,440.
    #[schema(example = 25, minimum = 1, maximum = 1440)]
    minutes: i64,
    /// Photos of one's own that were uploaded before and not attached yet, at most 9.
    #[serde(default)]
    media_ids: Vec<Uuid>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WaitBody {
    question: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AnswerBody {
    answer: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RateBody {
    /// 1 to 5.
    #[schema(example = 5, minimum = 1, maximum = 5)]
    stars: i64,
    solved: bool,
    #[serde(default)]
    tags: Vec<String>,
    comment: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CancelBody {
    /// Required from a dispatcher, and from the resident once accepted.
    reason: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct HelpBody {
    /// The team that is to help.
    team_id: Uuid,
    /// What it is to do; at most 500 characters.
    #[schema(example = "请带抽水泵到场协助")]
    task: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MergeBody {
    /// The order that leads.
    into: Uuid,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RevisitBody {
    /// `solved`, `unsolved` or `unreachable`.
    #[schema(value_type = String, example = "solved")]
    outcome: Outcome,
    /// In words; required where it is not solved.
    note: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct WhistleBody {
    /// One to eight departments, each called once.
    department_ids: Vec<Uuid>,
    /// What is needed of them; at most 500 characters.
    #[schema(example = "请派人到场核查")]
    demand: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CorrectBody {
    /// Who is to put it right; at most 60 characters.
    #[schema(example = "某超市")]
    addressee: String,
    /// What is to be put right; at most 500 characters.
    #[schema(example = "清理消防通道")]
    demand: String,
    /// Within how many working days: 1 to 90.
    #[schema(example = 7, minimum = 1, maximum = 90)]
    term_days: i64,
}

pub(crate) async fn command(
    state: web::Data<State>,
    LoggedInFor(caller, found): LoggedInFor,
    request: &HttpRequest,
    order: &str,
    bytes: &[u8],
    asked: Request,
) -> Result<HttpResponse, Problem> {
    let keyed = match &asked {
        // Points move here.
        Request::Complete { .. } | Request::Rate { .. } => {
            Some(required_key(&state, &caller, request, bytes)?)
        }
        _ => keyed(&state, &caller, request, bytes)?,
    };
    let if_match = if_match(request)?;
    let ask = Ask { caller, order: id(order)?, found, keyed, if_match, render: render(200) };
    let app = state.app.clone();
    Ok(respond(state.app.run(async move { app.command(ask, asked).await }).await?))
}

/// One command: `[..]` is the type of its key, which the specification calls required where it is no `Option`.
macro_rules! order_command {
    ([$($key:tt)+] $(#[$about:meta])* $name:ident $path:tt $body:ident $read:expr;) => {
        $(#[$about])*
        #[utoipa::path(post, path = $path, tag = "orders", request_body = $body, security(("bearer" = [])),
            params(("id" = Uuid, Path), ("Idempotency-Key" = $($key)+, Header), ("If-Match" = Option<String>, Header)),
            responses((status = 200, body = OrderJson), (status = 400, body = ProblemBody),
                (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
                (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
                (status = 412, body = ProblemBody), (status = 422, body = ProblemBody),
                (status = 429, body = ProblemBody), (status = 503, body = ProblemBody)))]
        #[post($path)]
        async fn $name(
            state: web::Data<State>,
            caller: LoggedInFor,
            request: HttpRequest,
            order: web::Path<String>,
            body: Body<$body>,
        ) -> Result<HttpResponse, Problem> {
            let read: fn($body) -> Result<Request, Problem> = $read;
            let asked = read(body.read)?;
            command(state, caller, &request, &order, &body.bytes, asked).await
        }
    };
}

/// Commands that take a key, and can do without.
macro_rules! commands {
    ($($(#[$about:meta])* $name:ident $path:tt $body:ident $read:expr;)+) => {
        $(order_command! { [Option<String>] $(#[$about])* $name $path $body $read; })+
    };
}

commands! {
    /// 派: dispatch by hand, with a reason.
    dispatch "/api/v1/orders/{id}/dispatch" DispatchBody |body| {
        Ok(Request::Dispatch { team: body.team_id, volunteer: body.volunteer_id, reason: body.reason })
    };
    /// 接: accept; exactly one wins, the others get 409 `order_taken`.
    accept "/api/v1/orders/{id}/accept" Nothing |_| Ok(Request::Accept);
    /// 退单: decline; free before accepting.
    decline "/api/v1/orders/{id}/decline" DeclineBody |body| {
        Ok(Request::Decline { reason: body.reason, whole_team: body.whole_team })
    };
    /// 转单: hand over to a named volunteer.
    hand_over "/api/v1/orders/{id}/hand-over" HandOverBody |body| {
        Ok(Request::HandOver { volunteer: body.volunteer_id, reason: body.reason })
    };
    /// Say that one is there: by sign, badge or word.
    arrive "/api/v1/orders/{id}/arrive" ArriveBody |body| {
        Ok(Request::Arrive { sign: body.sign_code, badge: body.badge })
    };
    /// Ask the resident; clocks stand still.
    wait "/api/v1/orders/{id}/wait" WaitBody |body| Ok(Request::Wait { question: body.question });
    /// Answer; work goes on.
    answer "/api/v1/orders/{id}/answer" AnswerBody |body| Ok(Request::Answer { answer: body.answer });
    /// 返工: reopen, within 7 days and at most twice.
    reopen "/api/v1/orders/{id}/reopen" ReasonBody |body| Ok(Request::Reopen { reason: body.reason });
    /// Call off.
    cancel "/api/v1/orders/{id}/cancel" CancelBody |body| Ok(Request::Cancel { reason: body.reason });
    /// Send up a level.
    escalate "/api/v1/orders/{id}/escalate" ReasonBody |body| Ok(Request::Escalate { reason: body.reason });
    /// 催单: urge, at most every 30 minutes.
    urge "/api/v1/orders/{id}/urge" Nothing |_| Ok(Request::Urge);
    /// Follow another order that is the same: the resident stays informed, may rate when that one is done, and his order
    /// closes with it.
    merge "/api/v1/orders/{id}/merge" MergeBody |body| Ok(Request::Merge { into: body.into });
    /// Ask another team to help: it gets a helping order of its own, and this one is completed after it.
    help "/api/v1/orders/{id}/help" HelpBody |body| Ok(Request::Help { team: body.team_id, task: body.task });
    /// More time for a complex order, once, with a reason.
    extend "/api/v1/orders/{id}/extend" ReasonBody |body| Ok(Request::Extend { reason: body.reason });
    /// 回访: what asking a dissatisfied resident came to; for the township.
    revisit "/api/v1/orders/{id}/revisit" RevisitBody |body| {
        Ok(Request::Revisit { outcome: body.outcome, note: body.note })
    };
    /// 吹哨: call departments, each with its own clock.
    whistle "/api/v1/orders/{id}/whistle" WhistleBody |body| {
        Ok(Request::Whistle { departments: body.department_ids, demand: body.demand })
    };
    /// 限期整改: a corrective notice with a term, about a report. It is not completed before the re-inspection.
    correct "/api/v1/orders/{id}/corrections" CorrectBody |body| {
        Ok(Request::Correct { addressee: body.addressee, demand: body.demand, term_days: body.term_days })
    };
}

order_command! { [String]
    /// Say that it is done. `Idempotency-Key` is required: points move.
    complete "/api/v1/orders/{id}/complete" CompleteBody |body| {
        Ok(Request::Complete { summary: body.summary, minutes: body.minutes, media: body.media_ids })
    };
}

order_command! { [String]
    /// 评: rate. `Idempotency-Key` is required: points move.
    rate "/api/v1/orders/{id}/rate" RateBody |body| {
        Ok(Request::Rate { stars: body.stars, solved: body.solved, tags: body.tags, comment: body.comment })
    };
}
