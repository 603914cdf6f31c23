//! Claims (申报) with evidence and a second person, and appeals (申诉) against deductions.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use xingfuma_app::claim::{ClaimDecision, ClaimRequest, Part, RenderAppeal, RenderClaim};
use xingfuma_store::claims::{AppealRow, ClaimRow};

use crate::State;
use crate::extract::{Body, Items, LoggedIn, Page, id, query, required_key, respond};
use crate::problem::{Problem, ProblemBody};

/// A claim.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ClaimJson {
    id: Uuid,
    /// The grid of the person, as of the claim.
    #[schema(example = "140724104003001")]
    area_code: String,
    #[schema(example = "701")]
    rule: String,
    /// Whose points.
    person_id: Uuid,
    claimed_by: Uuid,
    happened_at: DateTime<Utc>,
    /// Where the rule leaves a choice: the points asked for, later those decided. A monthly cap may cut them: the entry
    /// tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    points: Option<i64>,
    /// Numbers of persons are masked.
    evidence: String,
    /// Photos that show it; whoever sees the claim sees them (`GET /media/{id}`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    media_ids: Vec<Uuid>,
    made_at: DateTime<Utc>,
    #[schema(example = "pending")]
    status: String,
    /// 手工录入: every claim is typed in by hand.
    hand_made: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_by: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<String>,
    /// The entry that came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry_id: Option<Uuid>,
}

impl From<&ClaimRow> for ClaimJson {
    fn from(row: &ClaimRow) -> ClaimJson {
        ClaimJson {
            id: row.id,
            area_code: row.area_code.clone(),
            rule: row.rule_code.clone(),
            person_id: row.person_id,
            claimed_by: row.claimed_by,
            happened_at: row.happened_at,
            points: row.points,
            evidence: row.evidence.clone(),
            media_ids: row.photos(),
            made_at: row.made_at,
            status: row.status.clone(),
            hand_made: true,
            decided_by: row.decided_by,
            decided_at: row.decided_at,
            decision: row.decision.clone(),
            entry_id: row.transaction_id,
        }
    }
}

/// An appeal against a deduction.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AppealJson {
    id: Uuid,
    /// The area of the deduction.
    #[schema(example = "140724104003001")]
    area_code: String,
    /// The deduction.
    entry_id: Uuid,
    /// Who appeals.
    person_id: Uuid,
    reason: String,
    made_at: DateTime<Utc>,
    /// `pending`, `upheld` or `dismissed`.
    #[schema(example = "pending")]
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_by: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<String>,
}

impl From<&AppealRow> for AppealJson {
    fn from(row: &AppealRow) -> AppealJson {
        AppealJson {
            id: row.id,
            area_code: row.area_code.clone(),
            entry_id: row.transaction_id,
            person_id: row.person_id,
            reason: row.reason.clone(),
            made_at: row.made_at,
            status: row.status.clone(),
            decided_by: row.decided_by,
            decided_at: row.decided_at,
            decision: row.decision.clone(),
        }
    }
}

fn render_claim(status: u16) -> RenderClaim {
    Arc::new(move |row| (status, serde_json::to_vec(&ClaimJson::from(row)).unwrap_or_default()))
}

fn render_appeal(status: u16) -> RenderAppeal {
    Arc::new(move |row| (status, serde_json::to_vec(&AppealJson::from(row)).unwrap_or_default()))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ClaimBody {
    /// A base task, a bonus or a deduction that does not score by itself.
    #[schema(example = "701")]
    rule_code: String,
    /// Whose points; the caller's own where nobody is named.
    person_id: Option<Uuid>,
    /// When it took place: at most 31 days ago.
    happened_at: DateTime<Utc>,
    /// Where the rule leaves a choice.
    #[schema(minimum = -1000000, maximum = 1000000)]
    points: Option<i64>,
    /// What shows it, in words.
    evidence: String,
    /// Photos of one's own that were uploaded before and not attached yet, at most 9.
    #[serde(default)]
    media_ids: Vec<Uuid>,
}

/// Claim points with evidence; somebody else decides. `Idempotency-Key` is required.
#[utoipa::path(post, path = "/api/v1/score/claims", tag = "score", request_body = ClaimBody,
    params(("Idempotency-Key" = String, Header)), security(("bearer" = [])),
    responses((status = 201, body = ClaimJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[post("/api/v1/score/claims")]
async fn make(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    body: Body<ClaimBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = required_key(&state, &caller, &request, &body.bytes)?;
    let asked = ClaimRequest {
        rule_code: body.read.rule_code,
        person: body.read.person_id,
        happened_at: body.read.happened_at,
        points: body.read.points,
        evidence: body.read.evidence,
        media: body.read.media_ids,
    };
    let app = state.app.clone();
    let work = async move { app.claim(&caller, &asked, &keyed, render_claim(201)).await };
    Ok(respond(state.app.run(work).await?))
}

/// A page of a list of matters that wait for a decision, or waited for one.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Matters {
    /// Only those that wait for a decision.
    pending: Option<bool>,
    /// Most items, at most 100.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u64>,
    /// Where the page before ended.
    cursor: Option<String>,
}

impl Matters {
    pub(crate) fn part(self) -> Result<Part, Problem> {
        let page = Page { limit: self.limit, cursor: self.cursor };
        Ok(Part { pending: self.pending.unwrap_or(false), before: page.before()?, limit: page.limit()? })
    }
}

/// Claims that the caller made, that are about him, or that lie in his areas; newest first.
#[utoipa::path(get, path = "/api/v1/score/claims", tag = "score", params(Matters), security(("bearer" = [])),
    responses((status = 200, body = Items<ClaimJson>), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody)))]
#[get("/api/v1/score/claims")]
async fn list(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let part = query::<Matters>(&request)?.part()?;
    let app = state.app.clone();
    let rows = state.app.run(async move { app.claims(&caller, part).await }).await?;
    let last = rows.last().map(|row| row.id);
    let items: Vec<ClaimJson> = rows.iter().map(ClaimJson::from).collect();
    Ok(HttpResponse::Ok().json(Items::page(items, part.limit, last)))
}

/// One claim.
#[utoipa::path(get, path = "/api/v1/score/claims/{id}", tag = "score", params(("id" = Uuid, Path)),
    security(("bearer" = [])),
    responses((status = 200, body = ClaimJson), (status = 401, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[get("/api/v1/score/claims/{id}")]
async fn one(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    claim: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let claim = id(&claim)?;
    let app = state.app.clone();
    let row = state.app.run(async move { app.visible_claim(&caller, claim).await }).await?;
    Ok(HttpResponse::Ok().json(ClaimJson::from(&row)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DecideBody {
    /// Granted or refused.
    grant: bool,
    /// Where the rule leaves a choice; those that were asked for where none are named.
    #[schema(minimum = -1000000, maximum = 1000000)]
    points: Option<i64>,
    reason: String,
}

/// Decide a claim in which one has no part. `Idempotency-Key` is required: points move.
#[utoipa::path(post, path = "/api/v1/score/claims/{id}/decide", tag = "score", request_body = DecideBody,
    params(("id" = Uuid, Path), ("Idempotency-Key" = String, Header)), security(("bearer" = [])),
    responses((status = 200, body = ClaimJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody, description = "own_decision, forbidden"), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "claim_not_pending"), (status = 422, body = ProblemBody)))]
#[post("/api/v1/score/claims/{id}/decide")]
async fn decide(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    claim: web::Path<String>,
    body: Body<DecideBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = required_key(&state, &caller, &request, &body.bytes)?;
    let claim = id(&claim)?;
    let DecideBody { grant, points, reason } = body.read;
    let decision = ClaimDecision { grant, points, reason };
    let app = state.app.clone();
    let work = async move { app.decide_claim(&caller, claim, &decision, &keyed, render_claim(200)).await };
    Ok(respond(state.app.run(work).await?))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct AppealBody {
    /// The deduction.
    entry_id: Uuid,
    reason: String,
}

/// Appeal against a deduction of one's own, within seven days. `Idempotency-Key` is required.
#[utoipa::path(post, path = "/api/v1/score/appeals", tag = "score", request_body = AppealBody,
    params(("Idempotency-Key" = String, Header)), security(("bearer" = [])),
    responses((status = 201, body = AppealJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody,
            description = "not_appealable, appeal_too_late, already_appealed, already_answered"),
        (status = 422, body = ProblemBody)))]
#[post("/api/v1/score/appeals")]
async fn make_appeal(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    body: Body<AppealBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = required_key(&state, &caller, &request, &body.bytes)?;
    let AppealBody { entry_id, reason } = body.read;
    let app = state.app.clone();
    let work = async move { app.appeal(&caller, entry_id, &reason, &keyed, render_appeal(201)).await };
    Ok(respond(state.app.run(work).await?))
}

/// Appeals of the caller, and those of his areas; newest first.
#[utoipa::path(get, path = "/api/v1/score/appeals", tag = "score", params(Matters), security(("bearer" = [])),
    responses((status = 200, body = Items<AppealJson>), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody)))]
#[get("/api/v1/score/appeals")]
async fn appeals(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let part = query::<Matters>(&request)?.part()?;
    let app = state.app.clone();
    let rows = state.app.run(async move { app.appeals(&caller, part).await }).await?;
    let last = rows.last().map(|row| row.id);
    let items: Vec<AppealJson> = rows.iter().map(AppealJson::from).collect();
    Ok(HttpResponse::Ok().json(Items::page(items, part.limit, last)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DecideAppealBody {
    /// Upheld: the deduction is reversed. Otherwise dismissed.
    uphold: bool,
    reason: String,
}

/// Decide an appeal in which one has no part. `Idempotency-Key` is required: points move.
#[utoipa::path(post, path = "/api/v1/score/appeals/{id}/decide", tag = "score", request_body = DecideAppealBody,
    params(("id" = Uuid, Path), ("Idempotency-Key" = String, Header)), security(("bearer" = [])),
    responses((status = 200, body = AppealJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody, description = "own_decision, forbidden"), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "appeal_not_pending, already_answered"),
        (status = 422, body = ProblemBody)))]
#[post("/api/v1/score/appeals/{id}/decide")]
async fn decide_appeal(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    appeal: web::Path<String>,
    body: Body<DecideAppealBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = required_key(&state, &caller, &request, &body.bytes)?;
    let appeal = id(&appeal)?;
    let DecideAppealBody { uphold, reason } = body.read;
    let app = state.app.clone();
    let work =
        async move { app.decide_appeal(&caller, appeal, uphold, &reason, &keyed, render_appeal(200)).await };
    Ok(respond(state.app.run(work).await?))
}
