//! The machine room: alive, ready, metrics, the specification.

use actix_web::{HttpResponse, get, web};

use crate::problem::{Problem, ProblemBody};
use crate::{SPECIFICATION, State};

/// The process lives.
#[utoipa::path(get, path = "/livez", tag = "machine room", responses((status = 200, description = "alive")))]
#[get("/livez")]
async fn livez() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("ok\n")
}

/// The process can do its work: the database answers, and the clocks agree. The queue is not asked: without it the
/// sweep dispatches.
#[utoipa::path(get, path = "/readyz", tag = "machine room",
    responses((status = 200, description = "ready"), (status = 503, body = ProblemBody)))]
#[get("/readyz")]
async fn readyz(state: web::Data<State>) -> Result<HttpResponse, Problem> {
    let app = state.app.clone();
    state.app.run(async move { app.ready().await }).await?;
    Ok(HttpResponse::Ok().content_type("text/plain").body("ok\n"))
}

/// Metrics in the text format of Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "machine room", responses((status = 200, description = "metrics")))]
#[get("/metrics")]
async fn metrics(state: web::Data<State>) -> Result<HttpResponse, Problem> {
    let app = state.app.clone();
    let text = state.app.run(async move { app.metrics_text().await }).await?;
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(text))
}

/// This document.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "machine room",
    responses((status = 200, description = "the specification")))]
#[get("/api/v1/openapi.json")]
async fn openapi() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(SPECIFICATION)
}
