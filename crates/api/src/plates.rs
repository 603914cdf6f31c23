//! Signs and badges in use: reports about a sign, revoking and replacing it; issuing and revoking badges.

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use xingfuma_app::once::Once;
use xingfuma_app::plates::{BadgeEnd, NewSign};
use xingfuma_domain::badge::BadgeNumber;
use xingfuma_store::signs::ReportRow;

use crate::State;
use crate::address::CalledFrom;
use crate::extract::{Body, Items, LoggedIn, Page, id, key, keyed, once_silently, query, respond};
use crate::problem::{Problem, ProblemBody};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReportBody {
    /// `wrong_place`, `foreign_code` (another code was pasted over it), `damaged` or `other`.
    #[schema(example = "foreign_code")]
    kind: String,
    /// In one's own words, at most 300 characters.
    note: Option<String>,
}

/// This code looks wrong. Nobody has to say who he is; an `Idempotency-Key` is good at the address it was sent from.
#[utoipa::path(post, path = "/api/v1/signs/{code}/report", tag = "scan", request_body = ReportBody,
    params(("code" = String, Path, description = "in any case"), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 204), (status = 400, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 422, body = ProblemBody), (status = 429, body = ProblemBody, description = "too_many_requests")))]
#[post("/api/v1/signs/{code}/report")]
async fn report(
    state: web::Data<State>,
    CalledFrom(from): CalledFrom,
    request: HttpRequest,
    code: web::Path<String>,
    body: Body<ReportBody>,
) -> Result<HttpResponse, Problem> {
    // Strangers who think of the same key are told apart by where they call from.
    let route = format!("{from:?} {} {}", request.method(), request.path());
    let keyed = key(&request)?.map(|key| state.app.keyed(Uuid::nil(), &route, &key, &body.bytes));
    let (app, code, once) = (state.app.clone(), code.into_inner(), Once::silently(keyed));
    let ReportBody { kind, note } = body.read;
    let work = async move { app.report_sign(from, &code, &kind, note.as_deref(), &once).await };
    Ok(respond(state.app.run(work).await?))
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ReportJson {
    id: Uuid,
    /// The sign's code.
    code: String,
    area_code: String,
    #[schema(example = "foreign_code")]
    kind: String,
    /// Masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    reported_at: DateTime<Utc>,
}

impl From<ReportRow> for ReportJson {
    fn from(row: ReportRow) -> ReportJson {
        ReportJson {
            id: row.id,
            code: row.code,
            area_code: row.area_code,
            kind: row.kind,
            note: row.note,
            reported_at: row.reported_at,
        }
    }
}

/// Reports about signs of the caller's areas that nobody has closed, newest first.
#[utoipa::path(get, path = "/api/v1/sign-reports", tag = "directory", params(Page), security(("bearer" = [])),
    responses((status = 200, body = Items<ReportJson>), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody)))]
#[get("/api/v1/sign-reports")]
async fn reports(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let page: Page = query(&request)?;
    let (limit, before) = (page.limit()?, page.before()?);
    let app = state.app.clone();
    let rows = state.app.run(async move { app.sign_reports(&caller, before, limit).await }).await?;
    let last = rows.last().map(|row| row.id);
    let items: Vec<ReportJson> = rows.into_iter().map(ReportJson::from).collect();
    Ok(HttpResponse::Ok().json(Items::page(items, limit, last)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CloseSignReportBody {
    /// `in_order`, `replaced` or `revoked`.
    #[schema(example = "in_order")]
    outcome: String,
}

/// Close a report: somebody has looked at the sign.
#[utoipa::path(post, path = "/api/v1/sign-reports/{id}/close", tag = "directory", request_body = CloseSignReportBody,
    params(("id" = Uuid, Path), ("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 204), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[post("/api/v1/sign-reports/{id}/close")]
async fn close_report(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    of: web::Path<String>,
    body: Body<CloseSignReportBody>,
) -> Result<HttpResponse, Problem> {
    let once = once_silently(&state, &caller, &request, &body.bytes)?;
    let (app, of) = (state.app.clone(), id(&of)?);
    let work = async move { app.close_sign_report(&caller, of, &body.read.outcome, &once).await };
    Ok(respond(state.app.run(work).await?))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignReasonBody {
    /// Why.
    reason: String,
}

/// Take a sign out of force: scanning it says so, and nothing can be ordered by it.
#[utoipa::path(post, path = "/api/v1/signs/{code}/revoke", tag = "directory", request_body = SignReasonBody,
    params(("code" = String, Path), ("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 204), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 410, body = ProblemBody, description = "sign_revoked"), (status = 422, body = ProblemBody)))]
#[post("/api/v1/signs/{code}/revoke")]
async fn revoke_sign(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    code: web::Path<String>,
    body: Body<SignReasonBody>,
) -> Result<HttpResponse, Problem> {
    let once = once_silently(&state, &caller, &request, &body.bytes)?;
    let (app, code) = (state.app.clone(), code.into_inner());
    let work = async move { app.revoke_sign(&caller, &code, &body.read.reason, &once).await };
    Ok(respond(state.app.run(work).await?))
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct NewSignJson {
    /// To be printed on the new plate.
    #[schema(example = "7K2M9Q4Z")]
    code: String,
    area_code: String,
}

/// Put another sign in the place of one, which is out of force from now on.
#[utoipa::path(post, path = "/api/v1/signs/{code}/replace", tag = "directory", request_body = SignReasonBody,
    params(("code" = String, Path), ("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 201, body = NewSignJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 410, body = ProblemBody, description = "sign_revoked"), (status = 422, body = ProblemBody)))]
#[post("/api/v1/signs/{code}/replace")]
async fn replace_sign(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    code: web::Path<String>,
    body: Body<SignReasonBody>,
) -> Result<HttpResponse, Problem> {
    let once = Once::json(keyed(&state, &caller, &request, &body.bytes)?, 201, |sign: &NewSign| {
        NewSignJson { code: sign.code.to_string(), area_code: sign.area.to_string() }
    });
    let (app, code) = (state.app.clone(), code.into_inner());
    let work = async move { app.replace_sign(&caller, &code, &body.read.reason, &once).await };
    Ok(respond(state.app.run(work).await?))
}

#[derive(Serialize, ToSchema)]
struct NewBadgeJson {
    #[schema(example = "05-00127-3")]
    number: String,
}

/// Issue a badge to a volunteer, under the next number of his township.
#[utoipa::path(post, path = "/api/v1/volunteers/{id}/badge", tag = "directory",
    params(("id" = Uuid, Path), ("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 201, body = NewBadgeJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "badge_active"),
        (status = 422, body = ProblemBody, description = "idempotency_key_reused")))]
#[post("/api/v1/volunteers/{id}/badge")]
async fn issue_badge(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    volunteer: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let once = Once::json(keyed(&state, &caller, &request, b"")?, 201, |number: &BadgeNumber| NewBadgeJson {
        number: number.to_string(),
    });
    let (app, volunteer) = (state.app.clone(), id(&volunteer)?);
    let work = async move { app.issue_badge(&caller, volunteer, &once).await };
    Ok(respond(state.app.run(work).await?))
}

/// Why a badge is no more.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum EndParam {
    /// 挂失: its bearer lost it.
    Lost,
    /// 作废
    Void,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RevokeBadgeBody {
    status: EndParam,
    /// Why.
    reason: String,
}

/// Take a badge out of force: whoever scans it is told. A volunteer may say himself that he lost his.
#[utoipa::path(post, path = "/api/v1/badges/{number}/revoke", tag = "directory", request_body = RevokeBadgeBody,
    params(("number" = String, Path), ("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 204), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 410, body = ProblemBody, description = "gone"), (status = 422, body = ProblemBody)))]
#[post("/api/v1/badges/{number}/revoke")]
async fn revoke_badge(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    number: web::Path<String>,
    body: Body<RevokeBadgeBody>,
) -> Result<HttpResponse, Problem> {
    let once = once_silently(&state, &caller, &request, &body.bytes)?;
    let (app, number) = (state.app.clone(), number.into_inner());
    let RevokeBadgeBody { status, reason } = body.read;
    let end = match status {
        EndParam::Lost => BadgeEnd::Lost,
        EndParam::Void => BadgeEnd::Void,
    };
    let work = async move { app.revoke_badge(&caller, &number, end, &reason, &once).await };
    Ok(respond(state.app.run(work).await?))
}
