//! Points on hold for review (`/score/holds`).

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use xingfuma_app::holds::RenderHold;
use xingfuma_store::holds::HoldRow;

use crate::State;
use crate::claims::Matters;
use crate::extract::{Body, Items, LoggedIn, id, query, required_key, respond};
use crate::problem::{Problem, ProblemBody};

/// Points on hold until somebody has looked at them.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct HoldJson {
    /// The entry that is on hold.
    entry_id: Uuid,
    #[schema(example = "140724104003001")]
    area_code: String,
    /// Whose points.
    person_id: Uuid,
    #[schema(example = "609")]
    rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_name: Option<String>,
    points: i64,
    /// `self_order`, `overlap`, `too_quick`, `rating_ring`, `photo_reused`, `claim_split` or `back_dated`.
    #[schema(example = "too_quick")]
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claim_id: Option<Uuid>,
    /// 手工录入: typed in by hand, as a claim is, and decided by a second person.
    hand_made: bool,
    /// Since when.
    at: DateTime<Utc>,
    /// `pending`, `released` or `voided`; `settled` where the entry was answered without a review, as by a reversal.
    #[schema(example = "pending")]
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_by: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<String>,
}

fn json(row: &HoldRow, state: &State) -> HoldJson {
    let county = row.area().ok();
    let name = county.and_then(|area| state.app.rules.newest(&row.rule_code, area));
    HoldJson {
        entry_id: row.transaction_id,
        area_code: row.area_code.clone(),
        person_id: row.person_id,
        rule: row.rule_code.clone(),
        rule_name: name.map(|rule| rule.name.clone()),
        points: row.points,
        reason: row.reason.clone(),
        order_id: (row.source_type == "order").then_some(row.source_id),
        claim_id: (row.source_type == "claim").then_some(row.source_id),
        hand_made: row.source_type == "claim",
        at: row.made_at,
        status: row.status.clone(),
        decided_by: row.decided_by,
        decided_at: row.decided_at,
        decision: row.decision.clone(),
    }
}

/// Points on hold for review: one's own, and those of the areas that one watches over; newest first.
#[utoipa::path(get, path = "/api/v1/score/holds", tag = "score", params(Matters), security(("bearer" = [])),
    responses((status = 200, body = Items<HoldJson>), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody)))]
#[get("/api/v1/score/holds")]
async fn list_holds(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let part = query::<Matters>(&request)?.part()?;
    let app = state.app.clone();
    let rows = state.app.run(async move { app.holds(&caller, part).await }).await?;
    let last = rows.last().map(|row| row.transaction_id);
    let items: Vec<HoldJson> = rows.iter().map(|row| json(row, &state)).collect();
    Ok(HttpResponse::Ok().json(Items::page(items, part.limit, last)))
}

/// One of them, by its entry.
#[utoipa::path(get, path = "/api/v1/score/holds/{id}", tag = "score", params(("id" = Uuid, Path)),
    security(("bearer" = [])),
    responses((status = 200, body = HoldJson), (status = 401, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[get("/api/v1/score/holds/{id}")]
async fn read_hold(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    entry: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let entry = id(&entry)?;
    let app = state.app.clone();
    let row = state.app.run(async move { app.hold(&caller, entry).await }).await?;
    Ok(HttpResponse::Ok().json(json(&row, &state)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct HoldDecision {
    /// True gives the points to the person, false takes them away for good.
    release: bool,
    reason: String,
}

/// Release or void points on hold in which one has no part. `Idempotency-Key` is required: points move.
#[utoipa::path(post, path = "/api/v1/score/holds/{id}/decide", tag = "score", request_body = HoldDecision,
    params(("id" = Uuid, Path), ("Idempotency-Key" = String, Header)), security(("bearer" = [])),
    responses((status = 200, body = HoldJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody, description = "own_decision, forbidden"), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "hold_not_pending, order_not_ended, already_answered"),
        (status = 422, body = ProblemBody)))]
#[post("/api/v1/score/holds/{id}/decide")]
async fn decide_hold(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    entry: web::Path<String>,
    body: Body<HoldDecision>,
) -> Result<HttpResponse, Problem> {
    let keyed = required_key(&state, &caller, &request, &body.bytes)?;
    let entry = id(&entry)?;
    let (app, inner) = (state.app.clone(), state.clone());
    let render: RenderHold =
        Arc::new(move |row| (200, serde_json::to_vec(&json(row, &inner)).unwrap_or_default()));
    let HoldDecision { release, reason } = body.read;
    let work = async move { app.decide_hold(&caller, entry, release, &reason, &keyed, render).await };
    Ok(respond(state.app.run(work).await?))
}
