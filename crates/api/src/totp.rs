//! The second factor of staff.

use actix_web::{HttpRequest, HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use xingfuma_app::once::Once;
use xingfuma_app::totp::Enrolment;

use crate::State;
use crate::extract::{Body, LoggedIn, Unproved, id, keyed, once_silently, respond};
use crate::problem::{Problem, ProblemBody};

/// A fresh secret; it is shown once, and again to whoever repeats the request under its key.
#[derive(Serialize, ToSchema)]
struct EnrolmentJson {
    /// To be typed into an authenticator app.
    #[schema(example = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")]
    secret: String,
    /// To be scanned by it.
    #[schema(
        example = "otpauth://totp/xingfuma:140724?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=xingfuma"
    )]
    uri: String,
}

/// Make a second factor for the caller, who is staff. It is asked for once it was confirmed.
#[utoipa::path(post, path = "/api/v1/me/totp", tag = "me", params(("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 200, body = EnrolmentJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 409, body = ProblemBody, description = "totp_active"),
        (status = 422, body = ProblemBody, description = "idempotency_key_reused")))]
#[post("/api/v1/me/totp")]
async fn enrol(
    state: web::Data<State>,
    Unproved(caller): Unproved,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let shape = |made: &Enrolment| EnrolmentJson { secret: made.secret.clone(), uri: made.uri.clone() };
    let once = Once::json(keyed(&state, &caller, &request, b"")?, 200, shape);
    let app = state.app.clone();
    let reply = state.app.run(async move { app.enrol_totp(&caller, &once).await }).await?;
    Ok(respond(reply))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ConfirmBody {
    /// What the app shows now.
    #[schema(example = "287082")]
    code: String,
}

/// Show that the secret is in the app: from now on the log-in asks for a code of it.
#[utoipa::path(post, path = "/api/v1/me/totp/confirm", tag = "me", request_body = ConfirmBody,
    params(("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 204), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 409, body = ProblemBody, description = "totp_active"),
        (status = 422, body = ProblemBody, description = "totp_wrong"), (status = 429, body = ProblemBody)))]
#[post("/api/v1/me/totp/confirm")]
async fn confirm(
    state: web::Data<State>,
    Unproved(caller): Unproved,
    request: HttpRequest,
    body: Body<ConfirmBody>,
) -> Result<HttpResponse, Problem> {
    let once = once_silently(&state, &caller, &request, &body.bytes)?;
    let (app, code) = (state.app.clone(), body.read.code);
    let reply = state.app.run(async move { app.confirm_totp(&caller, &code, &once).await }).await?;
    Ok(respond(reply))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ResetBody {
    /// Why.
    reason: String,
}

/// Take the second factor of somebody away who has lost it. For the county's administrator, not for himself; the
/// person's sessions end.
#[utoipa::path(post, path = "/api/v1/staff/{id}/totp/reset", tag = "directory", request_body = ResetBody,
    params(("id" = Uuid, Path), ("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 204), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody, description = "forbidden, own_decision"), (status = 404, body = ProblemBody),
        (status = 422, body = ProblemBody)))]
#[post("/api/v1/staff/{id}/totp/reset")]
async fn reset(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    person: web::Path<String>,
    body: Body<ResetBody>,
) -> Result<HttpResponse, Problem> {
    let once = once_silently(&state, &caller, &request, &body.bytes)?;
    let person = id(&person)?;
    let app = state.app.clone();
    let work = async move { app.reset_totp(&caller, person, &body.read.reason, &once).await };
    Ok(respond(state.app.run(work).await?))
}
