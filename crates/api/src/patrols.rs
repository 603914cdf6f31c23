//! 走访巡查 (`/patrols`): visits, and hazards that become orders of kind `report`.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use xingfuma_app::patrol::{Hazard, RenderNote, RenderPatrol};
use xingfuma_store::patrols::{NoteRow, PatrolRow};

use crate::State;
use crate::address::CalledFrom;
use crate::extract::{Body, Items, LoggedIn, Page, id, keyed, query, required_key, respond};
use crate::order_json::OrderJson;
use crate::problem::{Problem, ProblemBody};

/// A patrol.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PatrolJson {
    id: Uuid,
    /// The grid that is walked.
    #[schema(example = "140724104003001")]
    area_code: String,
    person_id: Uuid,
    began_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minutes: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    /// Places visited.
    visits: i64,
    /// Hazards reported.
    hazards: i64,
    /// What was seen, where one patrol is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    notes: Option<Vec<PatrolNoteJson>>,
}

impl From<&PatrolRow> for PatrolJson {
    fn from(row: &PatrolRow) -> PatrolJson {
        PatrolJson {
            id: row.id,
            area_code: row.area_code.clone(),
            person_id: row.person_id,
            began_at: row.began_at,
            ended_at: row.ended_at,
            minutes: row.minutes,
            summary: row.summary.clone(),
            visits: row.visits,
            hazards: row.hazards,
            notes: None,
        }
    }
}

/// A visit, or a hazard with its order.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PatrolNoteJson {
    id: Uuid,
    at: DateTime<Utc>,
    place: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<Uuid>,
}

impl From<&NoteRow> for PatrolNoteJson {
    fn from(row: &NoteRow) -> PatrolNoteJson {
        PatrolNoteJson {
            id: row.id,
            at: row.at,
            place: row.place.clone(),
            note: row.note.clone(),
            order_id: row.order_id,
        }
    }
}

fn render(status: u16) -> RenderPatrol {
    Arc::new(move |row| (status, serde_json::to_vec(&PatrolJson::from(row)).unwrap_or_default()))
}

/// Nothing but `{}`: one walks one's own grid.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PatrolBeginBody {}

/// Begin a patrol of one's own grid.
#[utoipa::path(post, path = "/api/v1/patrols", tag = "patrols", request_body = PatrolBeginBody,
    params(("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 201, body = PatrolJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 409, body = ProblemBody, description = "on_patrol"),
        (status = 422, body = ProblemBody)))]
#[post("/api/v1/patrols")]
async fn begin(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    body: Body<PatrolBeginBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = keyed(&state, &caller, &request, &body.bytes)?;
    let app = state.app.clone();
    let work = async move { app.begin_patrol(&caller, keyed.as_ref(), render(201)).await };
    Ok(respond(state.app.run(work).await?))
}

/// One's own patrols, and those of the areas that one watches over; newest first.
#[utoipa::path(get, path = "/api/v1/patrols", tag = "patrols", params(Page), security(("bearer" = [])),
    responses((status = 200, body = Items<PatrolJson>), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody)))]
#[get("/api/v1/patrols")]
async fn list_patrols(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let page: Page = query(&request)?;
    let (limit, before) = (page.limit()?, page.before()?);
    let app = state.app.clone();
    let rows = state.app.run(async move { app.patrols(&caller, before, limit).await }).await?;
    let last = rows.last().map(|row| row.id);
    let items: Vec<PatrolJson> = rows.iter().map(PatrolJson::from).collect();
    Ok(HttpResponse::Ok().json(Items::page(items, limit, last)))
}

/// One patrol, with what was seen on it.
#[utoipa::path(get, path = "/api/v1/patrols/{id}", tag = "patrols", params(("id" = Uuid, Path)),
    security(("bearer" = [])),
    responses((status = 200, body = PatrolJson), (status = 401, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[get("/api/v1/patrols/{id}")]
async fn read_patrol(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    patrol: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let patrol = id(&patrol)?;
    let app = state.app.clone();
    let (row, notes) = state.app.run(async move { app.whole_patrol(&caller, patrol).await }).await?;
    let notes = notes.iter().map(PatrolNoteJson::from).collect();
    Ok(HttpResponse::Ok().json(PatrolJson { notes: Some(notes), ..PatrolJson::from(&row) }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PatrolVisitBody {
    /// Whom or what, at most 200 characters.
    place: String,
    /// How it was, at most 500 characters.
    note: Option<String>,
}

/// Note a visit on one's own patrol.
#[utoipa::path(post, path = "/api/v1/patrols/{id}/visits", tag = "patrols", request_body = PatrolVisitBody,
    params(("id" = Uuid, Path), ("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 201, body = PatrolNoteJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "patrol_ended"), (status = 422, body = ProblemBody)))]
#[post("/api/v1/patrols/{id}/visits")]
async fn visit(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    patrol: web::Path<String>,
    body: Body<PatrolVisitBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = keyed(&state, &caller, &request, &body.bytes)?;
    let patrol = id(&patrol)?;
    let (app, asked) = (state.app.clone(), body.read);
    let render: RenderNote =
        Arc::new(|row| (201, serde_json::to_vec(&PatrolNoteJson::from(row)).unwrap_or_default()));
    let work = async move {
        app.visit_on_patrol(&caller, patrol, &asked.place, asked.note.as_deref(), keyed.as_ref(), render)
            .await
    };
    Ok(respond(state.app.run(work).await?))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct HazardBody {
    /// A category of kind `report`.
    #[schema(example = "hazard")]
    category_code: String,
    /// What it is; at most 1,000 characters.
    description: String,
    /// Where exactly.
    address: Option<String>,
}

/// Report a hazard that was found on one's own patrol: it becomes an order of kind `report`. `Idempotency-Key` is
/// required: an order is placed.
#[utoipa::path(post, path = "/api/v1/patrols/{id}/hazards", tag = "patrols", request_body = HazardBody,
    params(("id" = Uuid, Path), ("Idempotency-Key" = String, Header)), security(("bearer" = [])),
    responses((status = 201, body = OrderJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "patrol_ended"),
        (status = 422, body = ProblemBody, description = "not_a_report and what placing refuses"),
        (status = 429, body = ProblemBody)))]
#[post("/api/v1/patrols/{id}/hazards")]
async fn hazard(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    CalledFrom(from): CalledFrom,
    request: HttpRequest,
    patrol: web::Path<String>,
    body: Body<HazardBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = required_key(&state, &caller, &request, &body.bytes)?;
    let patrol = id(&patrol)?;
    let found = Hazard {
        category: body.read.category_code,
        description: body.read.description,
        address: body.read.address,
    };
    let app = state.app.clone();
    let render = crate::orders::render(201);
    let work = async move { app.hazard_on_patrol(&caller, from, patrol, found, keyed, render).await };
    Ok(respond(state.app.run(work).await?))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PatrolEndBody {
    /// What came of it, at most 500 characters.
    summary: String,
}

/// End one's own patrol. `Idempotency-Key` is required: points may move.
#[utoipa::path(post, path = "/api/v1/patrols/{id}/end", tag = "patrols", request_body = PatrolEndBody,
    params(("id" = Uuid, Path), ("Idempotency-Key" = String, Header)), security(("bearer" = [])),
    responses((status = 200, body = PatrolJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "patrol_ended"), (status = 422, body = ProblemBody)))]
#[post("/api/v1/patrols/{id}/end")]
async fn end(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    patrol: web::Path<String>,
    body: Body<PatrolEndBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = required_key(&state, &caller, &request, &body.bytes)?;
    let patrol = id(&patrol)?;
    let (app, summary) = (state.app.clone(), body.read.summary);
    let work = async move { app.end_patrol(&caller, patrol, &summary, &keyed, render(200)).await };
    Ok(respond(state.app.run(work).await?))
}
