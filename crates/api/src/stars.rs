//! Stars (星级): the scale, where the caller stands, rounds with their public notice, objections, conferring.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use xingfuma_app::AppError;
use xingfuma_app::star::{RenderRound, RenderStarObjection, RoundRequest};
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::scoring::{NOTICE_WORKING_DAYS, NOTICE_WORKING_DAYS_MOST, StarStep};
use xingfuma_store::stars::{RoundRow, StarLineRow, StarObjectionRow};

use crate::State;
use crate::extract::{Body, Items, LoggedIn, Page, id, query, required_key, respond};
use crate::problem::{Problem, ProblemBody};

/// What one star asks for.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct StepJson {
    /// 1 to 5.
    stars: u8,
    /// Hours of service, without travel.
    hours: i64,
    /// Assessment points.
    points: i64,
}

impl From<&StarStep> for StepJson {
    fn from(step: &StarStep) -> StepJson {
        StepJson { stars: step.stars, hours: step.minutes / 60, points: step.points }
    }
}

/// The scale, and where the caller stands.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct StarsJson {
    /// The scale's version.
    version: i32,
    steps: Vec<StepJson>,
    /// Stars that were conferred on the caller; 0 for none.
    stars: i32,
    /// By the end of which day they were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    as_of: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conferred_at: Option<DateTime<Utc>>,
    /// Minutes of service until now, without travel.
    minutes: i64,
    /// Assessment points until now.
    points: i64,
    /// What the next star asks for; absent after the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<StepJson>,
}

/// The scale of stars in force, and where the caller stands.
#[utoipa::path(get, path = "/api/v1/stars", tag = "score", security(("bearer" = [])),
    responses((status = 200, body = StarsJson), (status = 401, body = ProblemBody),
        (status = 404, body = ProblemBody, description = "no scale is in force")))]
#[get("/api/v1/stars")]
async fn where_i_stand(state: web::Data<State>, LoggedIn(caller): LoggedIn) -> Result<HttpResponse, Problem> {
    let app = state.app.clone();
    let own = state.app.run(async move { app.own_stars(&caller).await }).await?;
    let scale = state.app.star_scale()?;
    let stars = own.award.as_ref().map_or(0, |award| award.stars);
    Ok(HttpResponse::Ok().json(StarsJson {
        version: scale.version,
        steps: scale.steps.iter().map(StepJson::from).collect(),
        stars,
        as_of: own.award.as_ref().map(|award| award.as_of.clone()),
        conferred_at: own.award.map(|award| award.conferred_at),
        minutes: own.minutes,
        points: own.points,
        next: scale.after(u8::try_from(stars).unwrap_or(u8::MAX - 1)).map(StepJson::from),
    }))
}

/// A round: one list of proposals.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RoundJson {
    id: Uuid,
    #[schema(example = "140724104")]
    area_code: String,
    /// By the end of which day hours and points were counted.
    #[schema(example = "2026-10-31")]
    as_of: String,
    /// The version of the scale.
    version: i32,
    /// `notice` or `conferred`.
    #[schema(example = "notice")]
    status: String,
    published_at: DateTime<Utc>,
    notice_ends_at: DateTime<Utc>,
    lines: i64,
    /// SHA-256 of the list as it was published.
    list_hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    conferred_at: Option<DateTime<Utc>>,
}

impl From<&RoundRow> for RoundJson {
    fn from(row: &RoundRow) -> RoundJson {
        RoundJson {
            id: row.id,
            area_code: row.area_code.clone(),
            as_of: row.as_of.clone(),
            version: row.rule_version,
            status: row.status.clone(),
            published_at: row.published_at,
            notice_ends_at: row.notice_ends_at,
            lines: row.line_count,
            list_hash: row.list_hash.iter().map(|byte| format!("{byte:02x}")).collect(),
            conferred_at: row.conferred_at,
        }
    }
}

fn render_round(status: u16) -> RenderRound {
    Arc::new(move |row| (status, serde_json::to_vec(&RoundJson::from(row)).unwrap_or_default()))
}

/// Rounds, newest first. Public.
#[utoipa::path(get, path = "/api/v1/stars/rounds", tag = "score", params(Page),
    responses((status = 200, body = Items<RoundJson>), (status = 400, body = ProblemBody)))]
#[get("/api/v1/stars/rounds")]
async fn rounds(state: web::Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let page = query::<Page>(&request)?;
    let (limit, before) = (page.limit()?, page.before()?);
    let app = state.app.clone();
    let rows = state.app.run(async move { app.star_rounds(before, limit).await }).await?;
    let last = rows.last().map(|row| row.id);
    let items: Vec<RoundJson> = rows.iter().map(RoundJson::from).collect();
    Ok(HttpResponse::Ok().json(Items::page(items, limit, last)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ProposeBody {
    /// A township, or the county.
    #[schema(value_type = String, example = "140724104")]
    area_code: AreaCode,
    /// By the end of which day hours and points are counted; a day that is over.
    #[schema(example = "2026-10-31")]
    as_of: NaiveDate,
    /// Working days of the public notice: 1 to 60, 5 where nobody says otherwise.
    #[schema(minimum = 1, maximum = 60)]
    working_days: Option<u32>,
}

/// Propose who has reached more stars than he has: the list is published at once. `Idempotency-Key` is required.
#[utoipa::path(post, path = "/api/v1/stars/rounds", tag = "score", request_body = ProposeBody,
    params(("Idempotency-Key" = String, Header)), security(("bearer" = [])),
    responses((status = 201, body = RoundJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 409, body = ProblemBody, description = "round_runs, nobody_rises"),
        (status = 422, body = ProblemBody)))]
#[post("/api/v1/stars/rounds")]
async fn propose(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    body: Body<ProposeBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = required_key(&state, &caller, &request, &body.bytes)?;
    let ProposeBody { area_code, as_of, working_days } = body.read;
    let working_days = working_days.unwrap_or(NOTICE_WORKING_DAYS);
    if !(1..=NOTICE_WORKING_DAYS_MOST).contains(&working_days) {
        return Err(AppError::invalid("workingDays", "out_of_range").into());
    }
    let wanted = RoundRequest { area: area_code, as_of, working_days };
    let app = state.app.clone();
    let work = async move { app.propose_stars(&caller, wanted, &keyed, render_round(201)).await };
    Ok(respond(state.app.run(work).await?))
}

/// A line of a round: no name and no id, because nobody has agreed to be named.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct StarLineJson {
    number: i64,
    /// The village.
    #[schema(example = "140724104003")]
    area_code: String,
    /// Minutes of service, without travel.
    minutes: i64,
    points: i64,
    stars_before: i32,
    stars: i32,
    /// `standing`, `contested`, `struck`, `paused` or `conferred`.
    #[schema(example = "standing")]
    status: String,
}

impl From<&StarLineRow> for StarLineJson {
    fn from(row: &StarLineRow) -> StarLineJson {
        StarLineJson {
            number: row.number,
            area_code: row.area_code.chars().take(12).collect(),
            minutes: row.minutes,
            points: row.points,
            stars_before: row.stars_before,
            stars: row.stars,
            status: row.status.clone(),
        }
    }
}

/// The lines of a round, by number. Public.
#[utoipa::path(get, path = "/api/v1/stars/rounds/{id}/lines", tag = "score", params(("id" = Uuid, Path), Page),
    responses((status = 200, body = Items<StarLineJson>), (status = 400, body = ProblemBody),
        (status = 404, body = ProblemBody)))]
#[get("/api/v1/stars/rounds/{id}/lines")]
async fn lines(
    state: web::Data<State>,
    request: HttpRequest,
    round: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let round = id(&round)?;
    let page = query::<Page>(&request)?;
    let (limit, after) = (page.limit()?, page.after_line()?);
    let app = state.app.clone();
    let rows = state.app.run(async move { app.star_lines(round, after, limit).await }).await?;
    let last = rows.last().map(|row| row.number);
    let items: Vec<StarLineJson> = rows.iter().map(StarLineJson::from).collect();
    Ok(HttpResponse::Ok().json(Items::lines(items, limit, last)))
}

/// Confer what stands when the notice is over: by somebody else than who proposed it. `Idempotency-Key` is required.
#[utoipa::path(post, path = "/api/v1/stars/rounds/{id}/confer", tag = "score",
    params(("id" = Uuid, Path), ("Idempotency-Key" = String, Header)), security(("bearer" = [])),
    responses((status = 200, body = RoundJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody, description = "forbidden, own_decision"), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "notice_runs, round_conferred")))]
#[post("/api/v1/stars/rounds/{id}/confer")]
async fn confer(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    round: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let keyed = required_key(&state, &caller, &request, &[])?;
    let round = id(&round)?;
    let app = state.app.clone();
    let work = async move { app.confer_stars(&caller, round, &keyed, render_round(200)).await };
    Ok(respond(state.app.run(work).await?))
}

/// An objection to a line of a round.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct StarObjectionJson {
    id: Uuid,
    round_id: Uuid,
    /// The number of the line.
    line: i64,
    reason: String,
    made_at: DateTime<Utc>,
    /// `pending`, `upheld` or `dismissed`.
    #[schema(example = "pending")]
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<String>,
}

impl From<&StarObjectionRow> for StarObjectionJson {
    fn from(row: &StarObjectionRow) -> StarObjectionJson {
        StarObjectionJson {
            id: row.id,
            round_id: row.round_id,
            line: row.number,
            reason: row.reason.clone(),
            made_at: row.made_at,
            status: row.status.clone(),
            decided_at: row.decided_at,
            decision: row.decision.clone(),
        }
    }
}

fn render_objection(status: u16) -> RenderStarObjection {
    Arc::new(move |row| (status, serde_json::to_vec(&StarObjectionJson::from(row)).unwrap_or_default()))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StarObjectBody {
    /// The number of the line.
    #[schema(minimum = 1, maximum = 1000000)]
    line: i64,
    reason: String,
}

/// Object to a line of a round whose notice runs; it pauses that line and no other. `Idempotency-Key` is required.
#[utoipa::path(post, path = "/api/v1/stars/rounds/{id}/objections", tag = "score", request_body = StarObjectBody,
    params(("id" = Uuid, Path), ("Idempotency-Key" = String, Header)), security(("bearer" = [])),
    responses((status = 201, body = StarObjectionJson), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "notice_over, already_objected"),
        (status = 422, body = ProblemBody)))]
#[post("/api/v1/stars/rounds/{id}/objections")]
async fn make_objection(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    round: web::Path<String>,
    body: Body<StarObjectBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = required_key(&state, &caller, &request, &body.bytes)?;
    let round = id(&round)?;
    let StarObjectBody { line, reason } = body.read;
    let app = state.app.clone();
    let render = render_objection(201);
    let work = async move { app.object_to_stars(&caller, round, line, &reason, &keyed, render).await };
    Ok(respond(state.app.run(work).await?))
}

/// Objections: one's own, those against one's own lines, and those of one's areas; newest first.
#[utoipa::path(get, path = "/api/v1/stars/objections", tag = "score", params(Page), security(("bearer" = [])),
    responses((status = 200, body = Items<StarObjectionJson>), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody)))]
#[get("/api/v1/stars/objections")]
async fn objections(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let page = query::<Page>(&request)?;
    let (limit, before) = (page.limit()?, page.before()?);
    let app = state.app.clone();
    let rows = state.app.run(async move { app.star_objections(&caller, before, limit).await }).await?;
    let last = rows.last().map(|row| row.id);
    let items: Vec<StarObjectionJson> = rows.iter().map(StarObjectionJson::from).collect();
    Ok(HttpResponse::Ok().json(Items::page(items, limit, last)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StarDecisionBody {
    uphold: bool,
    reason: String,
}

/// Decide an objection in which one has no part; upheld, the line is struck. `Idempotency-Key` is required.
#[utoipa::path(post, path = "/api/v1/stars/objections/{id}/decide", tag = "score", request_body = StarDecisionBody,
    params(("id" = Uuid, Path), ("Idempotency-Key" = String, Header)), security(("bearer" = [])),
    responses((status = 200, body = StarObjectionJson), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody, description = "forbidden, own_decision"), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "objection_not_pending"), (status = 422, body = ProblemBody)))]
#[post("/api/v1/stars/objections/{id}/decide")]
async fn decide_objection(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    objection: web::Path<String>,
    body: Body<StarDecisionBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = required_key(&state, &caller, &request, &body.bytes)?;
    let objection = id(&objection)?;
    let StarDecisionBody { uphold, reason } = body.read;
    let app = state.app.clone();
    let render = render_objection(200);
    let work =
        async move { app.decide_star_objection(&caller, objection, uphold, &reason, &keyed, render).await };
    Ok(respond(state.app.run(work).await?))
}
