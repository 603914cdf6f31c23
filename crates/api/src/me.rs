//! The caller himself: his account, his messages, his passbook.

use actix_web::{HttpRequest, HttpResponse, get, put, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use xingfuma_app::AppError;
use xingfuma_app::log_in::Me;
use xingfuma_domain::scoring::HoldReason;
use xingfuma_store::inbox::Message;
use xingfuma_store::ledger::PassbookRow;

use crate::State;
use crate::auth::{RoleJson, roles};
use crate::extract::{Body, Items, LoggedIn, Page, query};
use crate::problem::{Problem, ProblemBody};

/// The caller's own account.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MeJson {
    id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    roles: Vec<RoleJson>,
    /// The badge in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    badge: Option<String>,
}

impl From<Me> for MeJson {
    fn from(me: Me) -> MeJson {
        MeJson { id: me.person, name: me.name, phone: me.phone, roles: roles(&me.grants), badge: me.badge }
    }
}

/// Who am I?
#[utoipa::path(get, path = "/api/v1/me", tag = "me", security(("bearer" = [])),
    responses((status = 200, body = MeJson), (status = 401, body = ProblemBody)))]
#[get("/api/v1/me")]
async fn who_am_i(state: web::Data<State>, LoggedIn(caller): LoggedIn) -> Result<HttpResponse, Problem> {
    let app = state.app.clone();
    let me = state.app.run(async move { app.me(&caller).await }).await?;
    Ok(HttpResponse::Ok().json(MeJson::from(me)))
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MessageJson {
    id: Uuid,
    /// The order that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<Uuid>,
    /// The claim that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    claim_id: Option<Uuid>,
    /// The appeal that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    appeal_id: Option<Uuid>,
    /// The redemption that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    redemption_id: Option<Uuid>,
    /// The objection that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    objection_id: Option<Uuid>,
    /// The hazard that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    hazard_id: Option<Uuid>,
    /// The round of stars that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    round_id: Option<Uuid>,
    /// The certificate that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_id: Option<Uuid>,
    #[schema(example = "accepted")]
    topic: String,
    /// Facts for the text.
    #[schema(value_type = Object)]
    data: serde_json::Value,
    created_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_at: Option<DateTime<Utc>>,
}

impl From<Message> for MessageJson {
    fn from(message: Message) -> MessageJson {
        let kinds = ["claim_", "appeal_", "redemption_", "objection_", "hazard_", "stars_", "certificate_"];
        let [claim, appeal, redemption, objection, hazard, stars, certificate] =
            kinds.map(|word| message.topic.starts_with(word));
        let order = ![claim, appeal, redemption, objection, hazard, stars, certificate].contains(&true);
        MessageJson {
            id: message.id,
            order_id: order.then_some(message.order_id),
            hazard_id: hazard.then_some(message.order_id),
            claim_id: claim.then_some(message.order_id),
            appeal_id: appeal.then_some(message.order_id),
            redemption_id: redemption.then_some(message.order_id),
            objection_id: objection.then_some(message.order_id),
            round_id: stars.then_some(message.order_id),
            certificate_id: certificate.then_some(message.order_id),
            topic: message.topic,
            data: serde_json::from_str(&message.data).unwrap_or_default(),
            created_at: message.created_at,
            read_at: message.read_at,
        }
    }
}

/// Messages, newest first.
#[utoipa::path(get, path = "/api/v1/me/inbox", tag = "me", params(Page), security(("bearer" = [])),
    responses((status = 200, body = Items<MessageJson>), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody)))]
#[get("/api/v1/me/inbox")]
async fn inbox(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let page: Page = query(&request)?;
    let (limit, before) = (page.limit()?, page.before()?);
    let app = state.app.clone();
    let messages = state.app.run(async move { app.inbox(&caller, before, limit).await }).await?;
    let last = messages.last().map(|message| message.id);
    let items = messages.into_iter().map(MessageJson::from).collect();
    Ok(HttpResponse::Ok().json(Items::page(items, limit, last)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ReadRequest {
    /// The newest message that was read.
    up_to: Uuid,
}

#[derive(Serialize, ToSchema)]
struct ReadJson {
    /// Messages that were new.
    marked: u64,
}

/// Mark messages as read.
#[utoipa::path(put, path = "/api/v1/me/inbox", tag = "me", request_body = ReadRequest, security(("bearer" = [])),
    responses((status = 200, body = ReadJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody)))]
#[put("/api/v1/me/inbox")]
async fn mark_inbox_read(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    body: Body<ReadRequest>,
) -> Result<HttpResponse, Problem> {
    let app = state.app.clone();
    let marked = state.app.run(async move { app.mark_inbox_read(&caller, body.read.up_to).await }).await?;
    Ok(HttpResponse::Ok().json(ReadJson { marked }))
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LineJson {
    id: Uuid,
    at: DateTime<Utc>,
    /// Assessment points.
    #[schema(example = 3)]
    points: i64,
    /// Points that can be spent: those of an award, or those paid for goods that were handed over.
    #[schema(example = 3)]
    spendable: i64,
    /// The points are on hold for review.
    held: bool,
    /// Why: `reopened`, `self_order`, `overlap`, `too_quick`, `rating_ring`, `photo_reused`, `claim_split` or
    /// `back_dated`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "too_quick")]
    held_reason: Option<&'static str>,
    #[schema(example = "609")]
    cause: String,
    #[schema(example = "609")]
    rule: String,
    rule_version: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<Uuid>,
    /// The claim that it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    claim_id: Option<Uuid>,
    /// 手工录入: typed in by hand, as a claim is, and decided by a second person.
    hand_made: bool,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PassbookJson {
    /// Points for assessment; spending does not touch them.
    assessment: i64,
    /// Points that can be spent.
    spendable: i64,
    /// Points on hold.
    held: i64,
    /// Points put aside for goods that wait in a shop.
    reserved: i64,
    /// Stars that were conferred; 0 for none.
    stars: i32,
    entries: Vec<LineJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// The caller's passbook (存折), newest line first.
#[utoipa::path(get, path = "/api/v1/me/passbook", tag = "score", params(Page), security(("bearer" = [])),
    responses((status = 200, body = PassbookJson), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody)))]
#[get("/api/v1/me/passbook")]
async fn passbook(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let page: Page = query(&request)?;
    let (limit, before) = (page.limit()?, page.before()?);
    let app = state.app.clone();
    let book = state.app.run(async move { app.passbook(&caller, before, limit).await }).await?;
    let last = book.lines.last().map(|line| line.id);
    let rules = &state.app.rules;
    let line = |line: PassbookRow| -> Result<LineJson, AppError> {
        let inputs = line.inputs()?;
        Ok(LineJson {
            rule_name: rules.version(&line.rule_code, line.rule_version).map(|rule| rule.name.clone()),
            order_id: (line.source_type == "order").then_some(line.source_id),
            claim_id: (line.source_type == "claim").then_some(line.source_id),
            hand_made: inputs.is_hand_made(),
            held_reason: line.held.then(|| inputs.held.unwrap_or(HoldReason::Reopened).as_str()),
            id: line.id,
            at: line.at,
            points: line.points,
            spendable: line.spendable,
            held: line.held,
            cause: line.cause,
            rule: line.rule_code,
            rule_version: line.rule_version,
        })
    };
    let entries = book.lines.into_iter().map(line).collect::<Result<Vec<_>, _>>()?;
    let Items { items: entries, next_cursor } = Items::page(entries, limit, last);
    let balances = book.balances;
    Ok(HttpResponse::Ok().json(PassbookJson {
        assessment: balances.assessment,
        spendable: balances.spendable,
        held: balances.held,
        reserved: balances.reserved,
        stars: book.stars,
        entries,
        next_cursor,
    }))
}
