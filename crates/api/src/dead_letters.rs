//! Orders that were set aside because handling them failed again and again.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use xingfuma_app::dead_letters::{RenderReplayed, Replayed};
use xingfuma_store::due::DeadRow;

use crate::State;
use crate::extract::{Body, Items, LoggedIn, Page, id, keyed, query, respond};
use crate::problem::{Problem, ProblemBody};

/// An order that was set aside.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DeadLetterJson {
    order_id: Uuid,
    /// As it is read over the phone.
    number: String,
    area_code: String,
    /// What was due.
    #[schema(example = "dispatch")]
    kind: String,
    epoch: i64,
    /// How often handling it failed.
    failures: i32,
    /// The last failure; for whoever mends it.
    reason: String,
    /// When it was set aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_at: Option<DateTime<Utc>>,
}

impl From<DeadRow> for DeadLetterJson {
    fn from(row: DeadRow) -> DeadLetterJson {
        DeadLetterJson {
            order_id: row.order_id,
            number: row.number.to_string(),
            area_code: row.area_code,
            kind: row.kind,
            epoch: row.epoch,
            failures: row.failures,
            reason: row.reason,
            dead_at: row.dead_at,
        }
    }
}

/// Orders that were set aside because handling them failed again and again, oldest first. Neither queue nor sweep touches
/// them until somebody gives them back. For the county's administrators and auditors.
#[utoipa::path(get, path = "/api/v1/dispatch/dead-letters", tag = "dispatch", params(Page), security(("bearer" = [])),
    responses((status = 200, body = Items<DeadLetterJson>), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody)))]
#[get("/api/v1/dispatch/dead-letters")]
async fn list(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let page: Page = query(&request)?;
    let (limit, after) = (page.limit()?, page.before()?);
    let app = state.app.clone();
    let rows = state.app.run(async move { app.dead_letters(&caller, after, limit).await }).await?;
    let last = rows.last().map(|row| row.order_id);
    let items: Vec<DeadLetterJson> = rows.into_iter().map(DeadLetterJson::from).collect();
    Ok(HttpResponse::Ok().json(Items::page(items, limit, last)))
}

/// Nothing has to be said.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReplayBody {}

/// An order that was given back.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ReplayedJson {
    order_id: Uuid,
    /// The epoch at which it waits.
    epoch: i64,
}

/// Give an order that was set aside back to queue and sweep, once its cause is mended. What fails again is set aside again.
/// The audit log notes who did it. For the county's administrators.
#[utoipa::path(post, path = "/api/v1/dispatch/dead-letters/{id}/replay", tag = "dispatch", request_body = ReplayBody,
    params(("id" = Uuid, Path, description = "the order"),
        ("Idempotency-Key" = Option<String>, Header, description = "the same key gives the same answer")),
    security(("bearer" = [])),
    responses((status = 200, body = ReplayedJson), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody, description = "no dead letter of the caller's areas"),
        (status = 422, body = ProblemBody)))]
#[post("/api/v1/dispatch/dead-letters/{id}/replay")]
async fn replay(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    order: web::Path<String>,
    body: Body<ReplayBody>,
) -> Result<HttpResponse, Problem> {
    let ReplayBody {} = body.read;
    let (app, order) = (state.app.clone(), id(&order)?);
    let keyed = keyed(&state, &caller, &request, &body.bytes)?;
    let render: RenderReplayed = Arc::new(|replayed: &Replayed| {
        let shown = ReplayedJson { order_id: replayed.order_id, epoch: replayed.epoch };
        (200, serde_json::to_vec(&shown).unwrap_or_default())
    });
    let work = async move { app.replay_dead_letter(&caller, order, keyed, render).await };
    Ok(respond(state.app.run(work).await?))
}
