//! Logging in and out.

use actix_web::{HttpRequest, HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use xingfuma_app::log_in::{LoggedIn as Opened, Me};
use xingfuma_app::once::Once;
use xingfuma_domain::access::Grant;

use crate::State;
use crate::address::CalledFrom;
use crate::extract::{Body, LoggedIn, Unproved, keyed, respond};
use crate::me::MeJson;
use crate::problem::{Problem, ProblemBody};
use crate::token::ACCESS_SECONDS;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CodeRequest {
    /// The code that WeChat gave the mini-program.
    #[schema(example = "demo-resident-1")]
    code: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordRequest {
    #[schema(example = "dispatcher-140724100")]
    username: String,
    password: String,
    /// The code of the second factor, where one is in force.
    totp: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RefreshRequest {
    refresh_token: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LogOutRequest {
    /// End all sessions of the person.
    #[serde(default)]
    everywhere: bool,
}

/// A role in an area.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RoleJson {
    #[schema(example = "volunteer")]
    role: String,
    #[schema(example = "140724100001001")]
    area_code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    team_id: Option<Uuid>,
}

pub(crate) fn roles(grants: &[Grant]) -> Vec<RoleJson> {
    grants
        .iter()
        .map(|grant| RoleJson {
            role: grant.role.as_str().to_owned(),
            area_code: grant.area.to_string(),
            team_id: grant.team,
        })
        .collect()
}

#[derive(Serialize, ToSchema)]
struct UserJson {
    id: Uuid,
    name: String,
    roles: Vec<RoleJson>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SessionJson {
    access_token: String,
    refresh_token: String,
    /// Seconds.
    #[schema(example = 300)]
    expires_in: i64,
    user: UserJson,
    /// The county insists on a second factor, and none was shown: everything but setting one up is refused (403
    /// `second_factor_required`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    second_factor_required: bool,
}

fn session(state: &State, opened: Opened) -> Result<HttpResponse, Problem> {
    let signed = state.tokens.sign(opened.person, opened.session, state.app.clock.now());
    let access_token = signed.map_err(|_| Problem::new(500, "internal"))?;
    Ok(HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(SessionJson {
        access_token,
        refresh_token: opened.refresh_token,
        expires_in: ACCESS_SECONDS,
        second_factor_required: opened.unproved,
        user: UserJson { id: opened.person, name: opened.name, roles: roles(&opened.grants) },
    }))
}

/// Log in with a code of `wx.login`; somebody new becomes a resident.
#[utoipa::path(post, path = "/api/v1/auth/wechat", tag = "auth", request_body = CodeRequest,
    responses((status = 200, body = SessionJson), (status = 400, body = ProblemBody, description = "malformed_json"),
        (status = 401, body = ProblemBody, description = "bad_code, high_risk_user"),
        (status = 429, body = ProblemBody), (status = 503, body = ProblemBody)))]
#[post("/api/v1/auth/wechat")]
async fn log_in_wechat(
    state: web::Data<State>,
    CalledFrom(from): CalledFrom,
    body: Body<CodeRequest>,
) -> Result<HttpResponse, Problem> {
    state.app.count_log_in(from).await?;
    let app = state.app.clone();
    let opened = state.app.run(async move { app.log_in_wechat(&body.read.code).await }).await?;
    session(&state, opened)
}

/// Bind the phone behind a code of `getPhoneNumber`.
#[utoipa::path(post, path = "/api/v1/auth/wechat/phone", tag = "auth", request_body = CodeRequest,
    params(("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 200, body = MeJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody, description = "high_risk_user"),
        (status = 422, body = ProblemBody, description = "phone_code_refused"),
        (status = 409, body = ProblemBody, description = "phone_taken"),
        (status = 429, body = ProblemBody, description = "too_many_requests"), (status = 503, body = ProblemBody)))]
#[post("/api/v1/auth/wechat/phone")]
async fn bind_phone(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    body: Body<CodeRequest>,
) -> Result<HttpResponse, Problem> {
    let keyed = keyed(&state, &caller, &request, &body.bytes)?;
    let once = Once::json(keyed, 200, |me: &Me| MeJson::from(me.clone()));
    let app = state.app.clone();
    let reply = state.app.run(async move { app.bind_phone(&caller, &body.read.code, &once).await }).await?;
    Ok(respond(reply))
}

/// Log staff in.
#[utoipa::path(post, path = "/api/v1/auth/password", tag = "auth", request_body = PasswordRequest,
    responses((status = 200, body = SessionJson), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody, description = "bad_credentials, totp_required, totp_wrong"),
        (status = 429, body = ProblemBody, description = "too_many_requests"), (status = 503, body = ProblemBody)))]
#[post("/api/v1/auth/password")]
async fn log_in_password(
    state: web::Data<State>,
    CalledFrom(from): CalledFrom,
    body: Body<PasswordRequest>,
) -> Result<HttpResponse, Problem> {
    state.app.count_log_in(from).await?;
    let app = state.app.clone();
    let PasswordRequest { username, password, totp } = body.read;
    let work = async move { app.log_in_password(&username, &password, totp.as_deref()).await };
    let opened = state.app.run(work).await?;
    session(&state, opened)
}

/// Change a refresh token for fresh tokens; one that was used before ends the session.
#[utoipa::path(post, path = "/api/v1/auth/refresh", tag = "auth", request_body = RefreshRequest,
    responses((status = 200, body = SessionJson), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody, description = "unauthenticated"), (status = 503, body = ProblemBody)))]
#[post("/api/v1/auth/refresh")]
async fn refresh(state: web::Data<State>, body: Body<RefreshRequest>) -> Result<HttpResponse, Problem> {
    let app = state.app.clone();
    let opened = state.app.run(async move { app.refresh(&body.read.refresh_token).await }).await?;
    session(&state, opened)
}

/// End this session, or all.
#[utoipa::path(post, path = "/api/v1/auth/logout", tag = "auth", request_body = LogOutRequest,
    security(("bearer" = [])),
    responses((status = 204), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody)))]
#[post("/api/v1/auth/logout")]
async fn log_out(
    state: web::Data<State>,
    Unproved(caller): Unproved,
    body: Body<LogOutRequest>,
) -> Result<HttpResponse, Problem> {
    let app = state.app.clone();
    state.app.run(async move { app.log_out(&caller, body.read.everywhere).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}
