//! Certificates of service (志愿服务记录证明): asked for, signed by a second person, printed, revoked.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use xingfuma_app::certificate::{CertificateRequest, CertificateSeen, RenderCertificate};
use xingfuma_domain::certificate::Subtotal;
use xingfuma_sheets::certificate as sheet;

use crate::State;
use crate::extract::{Body, Items, LoggedIn, Page, id, query, required_key, respond};
use crate::problem::{Problem, ProblemBody};

/// One sort of service, added up.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SubtotalJson {
    name: String,
    /// How often.
    times: u64,
    /// Minutes of service, without travel.
    minutes: i64,
}

impl From<Subtotal> for SubtotalJson {
    fn from(sum: Subtotal) -> SubtotalJson {
        SubtotalJson { name: sum.name, times: sum.times, minutes: sum.minutes }
    }
}

/// A certificate.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CertificateJson {
    id: Uuid,
    person_id: Uuid,
    #[schema(example = "2026-01-01")]
    from: String,
    #[schema(example = "2026-12-31")]
    to: String,
    /// `requested`, `issued`, `refused`, `revoked` or `replaced`.
    #[schema(example = "issued")]
    status: String,
    /// `valid`, `superseded` (services of it were corrected since, or another one stands in its place), `revoked` or
    /// `broken`; once it is signed, where one certificate is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    standing: Option<&'static str>,
    requested_by: Uuid,
    requested_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<Uuid>,
    /// By which anybody can check it at `/c/{number}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "7K2M-9Q4Z-1X5TB")]
    number: Option<String>,
    /// The volunteer's number: his badge.
    #[serde(skip_serializing_if = "Option::is_none")]
    badge: Option<String>,
    /// Minutes of service in all, without travel.
    #[serde(skip_serializing_if = "Option::is_none")]
    minutes: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    services: Vec<SubtotalJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    /// The handler.
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_by: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_at: Option<DateTime<Utc>>,
    /// Why it was refused or revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// SHA-256 of what it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    seal: Option<String>,
    /// For its holder alone: who has it too sees the name whole at `/c/{number}?code=…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    holder_code: Option<String>,
}

impl From<&CertificateSeen> for CertificateJson {
    fn from(seen: &CertificateSeen) -> CertificateJson {
        let row = &seen.row;
        let content = seen.content.as_ref();
        CertificateJson {
            id: row.id,
            person_id: row.person_id,
            from: row.from_day.clone(),
            to: row.to_day.clone(),
            status: row.status.clone(),
            standing: seen.standing.map(|standing| standing.as_str()),
            requested_by: row.requested_by,
            requested_at: row.requested_at,
            replaces: row.replaces,
            number: row.number.clone(),
            badge: content.map(|content| content.badge.clone()),
            minutes: content.map(|content| content.minutes),
            services: content
                .map(|content| content.subtotals().into_iter().map(Into::into).collect())
                .unwrap_or_default(),
            issuer: content.map(|content| content.issuer.clone()),
            signed_by: row.signed_by,
            signed_at: row.signed_at,
            reason: row.reason.clone(),
            seal: row.seal.as_ref().map(|seal| seal.iter().map(|byte| format!("{byte:02x}")).collect()),
            holder_code: seen.holder_code.clone(),
        }
    }
}

fn render(status: u16) -> RenderCertificate {
    Arc::new(move |seen| (status, serde_json::to_vec(&CertificateJson::from(seen)).unwrap_or_default()))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RequestBody {
    /// Whose services; the caller's own where nobody is named.
    person_id: Option<Uuid>,
    /// The first day.
    #[schema(example = "2026-01-01")]
    from: NaiveDate,
    /// The last day; not in the future.
    #[schema(example = "2026-06-30")]
    to: NaiveDate,
    /// A certificate in force that the new one is to stand in for.
    replaces: Option<Uuid>,
}

/// Ask for a certificate, for oneself or, as a station, for one of its volunteers. `Idempotency-Key` is required.
#[utoipa::path(post, path = "/api/v1/certificates", tag = "score", request_body = RequestBody,
    params(("Idempotency-Key" = String, Header)), security(("bearer" = [])),
    responses((status = 201, body = CertificateJson), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "nothing_served"), (status = 422, body = ProblemBody)))]
#[post("/api/v1/certificates")]
async fn ask(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    body: Body<RequestBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = required_key(&state, &caller, &request, &body.bytes)?;
    let RequestBody { person_id, from, to, replaces } = body.read;
    let wanted = CertificateRequest { person: person_id, from, to, replaces };
    let app = state.app.clone();
    let work = async move { app.request_certificate(&caller, wanted, &keyed, render(201)).await };
    Ok(respond(state.app.run(work).await?))
}

/// One's own certificates, and those of one's areas; newest first.
#[utoipa::path(get, path = "/api/v1/certificates", tag = "score", params(Page), security(("bearer" = [])),
    responses((status = 200, body = Items<CertificateJson>), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody)))]
#[get("/api/v1/certificates")]
async fn list(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let page = query::<Page>(&request)?;
    let (limit, before) = (page.limit()?, page.before()?);
    let app = state.app.clone();
    let rows = state.app.run(async move { app.certificates(&caller, before, limit).await }).await?;
    let last = rows.last().map(|seen| seen.row.id);
    let items: Vec<CertificateJson> = rows.iter().map(CertificateJson::from).collect();
    Ok(HttpResponse::Ok().json(Items::page(items, limit, last)))
}

/// One certificate, with what it is worth now.
#[utoipa::path(get, path = "/api/v1/certificates/{id}", tag = "score", params(("id" = Uuid, Path)),
    security(("bearer" = [])),
    responses((status = 200, body = CertificateJson), (status = 401, body = ProblemBody),
        (status = 404, body = ProblemBody)))]
#[get("/api/v1/certificates/{id}")]
async fn one(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    of: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let of = id(&of)?;
    let app = state.app.clone();
    let seen = state.app.run(async move { app.certificate(&caller, of).await }).await?;
    Ok(HttpResponse::Ok().json(CertificateJson::from(&seen)))
}

/// Sign a request that somebody else made: what it says is frozen, and it gets a number. `Idempotency-Key` is required.
#[utoipa::path(post, path = "/api/v1/certificates/{id}/sign", tag = "score",
    params(("id" = Uuid, Path), ("Idempotency-Key" = String, Header)), security(("bearer" = [])),
    responses((status = 200, body = CertificateJson), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody, description = "forbidden, own_decision"), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody,
            description = "certificate_not_requested, nothing_served, badge_missing, name_missing")))]
#[post("/api/v1/certificates/{id}/sign")]
async fn sign(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    of: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let keyed = required_key(&state, &caller, &request, &[])?;
    let of = id(&of)?;
    let app = state.app.clone();
    let work = async move { app.sign_certificate(&caller, of, &keyed, render(200)).await };
    Ok(respond(state.app.run(work).await?))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CertificateReasonBody {
    reason: String,
}

async fn end(
    state: &State,
    caller: xingfuma_app::Caller,
    request: &HttpRequest,
    of: &str,
    take_back: bool,
    body: Body<CertificateReasonBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = required_key(state, &caller, request, &body.bytes)?;
    let of = id(of)?;
    let app = state.app.clone();
    let reason = body.read.reason;
    let work = async move { app.end_certificate(&caller, of, take_back, &reason, &keyed, render(200)).await };
    Ok(respond(state.app.run(work).await?))
}

/// Refuse a request that somebody else made. `Idempotency-Key` is required.
#[utoipa::path(post, path = "/api/v1/certificates/{id}/refuse", tag = "score", request_body = CertificateReasonBody,
    params(("id" = Uuid, Path), ("Idempotency-Key" = String, Header)), security(("bearer" = [])),
    responses((status = 200, body = CertificateJson), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody, description = "forbidden, own_decision"), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "certificate_not_requested"),
        (status = 422, body = ProblemBody)))]
#[post("/api/v1/certificates/{id}/refuse")]
async fn refuse(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    of: web::Path<String>,
    body: Body<CertificateReasonBody>,
) -> Result<HttpResponse, Problem> {
    end(&state, caller, &request, &of, false, body).await
}

/// Take back what was issued. `Idempotency-Key` is required.
#[utoipa::path(post, path = "/api/v1/certificates/{id}/revoke", tag = "score", request_body = CertificateReasonBody,
    params(("id" = Uuid, Path), ("Idempotency-Key" = String, Header)), security(("bearer" = [])),
    responses((status = 200, body = CertificateJson), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody, description = "forbidden, own_decision"), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "certificate_not_issued"), (status = 422, body = ProblemBody)))]
#[post("/api/v1/certificates/{id}/revoke")]
async fn revoke(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    of: web::Path<String>,
    body: Body<CertificateReasonBody>,
) -> Result<HttpResponse, Problem> {
    end(&state, caller, &request, &of, true, body).await
}

/// The certificate as a page (A4) to be printed, for its holder and for his station.
#[utoipa::path(get, path = "/api/v1/certificates/{id}/print", tag = "score", params(("id" = Uuid, Path)),
    security(("bearer" = [])),
    responses((status = 200, content_type = "image/svg+xml", body = String), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "certificate_not_issued, name_missing")))]
#[get("/api/v1/certificates/{id}/print")]
async fn print(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    of: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let of = id(&of)?;
    let app = state.app.clone();
    let printed = state.app.run(async move { app.print_certificate(&caller, of).await }).await?;
    let content = &printed.content;
    let lines: Vec<sheet::Line<'_>> = printed
        .subtotals
        .iter()
        .map(|sum| sheet::Line { name: &sum.name, times: sum.times, minutes: sum.minutes })
        .collect();
    let page = sheet::svg(&sheet::Certificate {
        number: &content.number,
        name: &printed.name,
        badge: &content.badge,
        from: &content.from.to_string(),
        to: &content.to.to_string(),
        minutes: content.minutes,
        lines: &lines,
        issuer: &content.issuer,
        handler: &printed.handler,
        issued_on: &xingfuma_domain::scoring::china_date(content.issued_at).to_string(),
        url: &printed.url,
    });
    let page = page.map_err(|error| {
        tracing::error!(%error, "a certificate cannot be drawn");
        Problem::new(500, "internal")
    })?;
    Ok(HttpResponse::Ok()
        .content_type("image/svg+xml; charset=utf-8")
        .insert_header(("content-security-policy", "default-src 'none'; frame-ancestors 'none'"))
        .insert_header(("cache-control", "no-store"))
        .body(page))
}
