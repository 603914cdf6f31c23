//! What WeChat tells us: one address of ours, in safe mode.
//!
//! With `GET` it asks once whether we are who we say; with `POST` it delivers events. A delivery that is not WeChat's is
//! refused before anything of it is read; one that cannot be handled at the moment is refused too, and comes again.

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use serde::Deserialize;
use utoipa::IntoParams;
use xingfuma_wechat::push::{Event, EventKind, PushGate};

use crate::State;
use crate::extract::query;
use crate::problem::{Problem, ProblemBody};

/// Largest delivery, in bytes.
const DELIVERY_LARGEST: usize = 64 * 1024;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PushParams {
    #[serde(default)]
    signature: String,
    /// Covers the body, unlike `signature`.
    #[serde(default)]
    msg_signature: String,
    #[serde(default)]
    timestamp: String,
    #[serde(default)]
    nonce: String,
    /// To be answered as it is, once.
    #[serde(default)]
    echostr: String,
}

fn gate(state: &State) -> Result<&PushGate, Problem> {
    state.push_gate.as_deref().ok_or_else(|| Problem::new(404, "not_found"))
}

/// WeChat asks whether this address is ours.
#[utoipa::path(get, path = "/api/v1/wechat/push", tag = "wechat", params(PushParams),
    responses((status = 200, body = String, content_type = "text/plain", description = "echostr"),
        (status = 400, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody, description = "no push is configured")))]
#[get("/api/v1/wechat/push")]
async fn verify(state: web::Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let asked: PushParams = query(&request)?;
    gate(&state)?
        .verify(&asked.signature, &asked.timestamp, &asked.nonce)
        .map_err(|_| Problem::new(403, "forbidden"))?;
    Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(asked.echostr))
}

/// WeChat delivers an event.
#[utoipa::path(post, path = "/api/v1/wechat/push", tag = "wechat", params(PushParams),
    request_body(content = String, content_type = "application/json", description = "sealed by WeChat"),
    responses((status = 200, body = String, content_type = "text/plain", description = "success"),
        (status = 400, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody, description = "no push is configured"), (status = 413, body = ProblemBody),
        (status = 503, body = ProblemBody, description = "to be delivered again")))]
#[post("/api/v1/wechat/push")]
async fn deliver(
    state: web::Data<State>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let asked: PushParams = query(&request)?;
    let gate = gate(&state)?;
    let body = payload
        .to_bytes_limited(DELIVERY_LARGEST)
        .await
        .map_err(|_| Problem::new(413, "payload_too_large"))?
        .map_err(|_| Problem::new(400, "malformed_request"))?;
    let refused = |_| Problem::new(403, "forbidden");
    let message = gate.open(&asked.msg_signature, &asked.timestamp, &asked.nonce, &body).map_err(refused)?;
    let event = Event::parse(&message).map_err(refused)?;
    if let EventKind::MediaChecked { trace_id, suggest, .. } = event.kind {
        let app = state.app.clone();
        state.app.run(async move { app.picture_checked(trace_id, suggest).await }).await?;
    }
    Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("success"))
}
