//! 志愿者培训 (`/trainings`): recorded by the station, with everybody who attended; taken back when it was a mistake.

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use xingfuma_app::once::Once;
use xingfuma_app::training::NewTraining;
use xingfuma_store::trainings::{TraineeRow, TrainingRow};

use crate::State;
use crate::extract::{Body, Items, LoggedIn, Page, id, query, required_key, respond};
use crate::problem::{Problem, ProblemBody};

/// A training.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TrainingJson {
    id: Uuid,
    /// For which county, township or village it was held.
    #[schema(example = "140724100")]
    area_code: String,
    #[schema(example = "急救知识培训")]
    title: String,
    #[schema(example = "县红十字会")]
    organizer: String,
    /// The day in China.
    #[schema(example = "2026-11-20")]
    held_on: String,
    minutes: i64,
    /// How many attended.
    attended: i64,
    recorded_by: Uuid,
    recorded_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    voided_by: Option<Uuid>,
    /// When it was taken back: it counts for nobody since.
    #[serde(skip_serializing_if = "Option::is_none")]
    voided_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    void_reason: Option<String>,
    /// Who attended, where one training is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    people: Option<Vec<TraineeJson>>,
}

impl From<&TrainingRow> for TrainingJson {
    fn from(row: &TrainingRow) -> TrainingJson {
        TrainingJson {
            id: row.id,
            area_code: row.area_code.clone(),
            title: row.title.clone(),
            organizer: row.organizer.clone(),
            held_on: row.held_on.clone(),
            minutes: row.minutes,
            attended: row.attended,
            recorded_by: row.recorded_by,
            recorded_at: row.recorded_at,
            voided_by: row.voided_by,
            voided_at: row.voided_at,
            void_reason: row.void_reason.clone(),
            people: None,
        }
    }
}

/// Somebody who attended.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TraineeJson {
    person_id: Uuid,
    /// Empty once he is erased.
    surname: String,
    /// His badge in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "05-00127-3")]
    badge: Option<String>,
}

impl From<TraineeRow> for TraineeJson {
    fn from(row: TraineeRow) -> TraineeJson {
        TraineeJson { person_id: row.person_id, surname: row.surname, badge: row.badge }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct TrainingBody {
    /// For which county, township or village it was held: one of the caller's areas.
    #[schema(example = "140724100")]
    area_code: String,
    /// At most 60 characters.
    #[schema(example = "急救知识培训")]
    title: String,
    /// Who held it; at most 60 characters.
    #[schema(example = "县红十字会")]
    organizer: String,
    /// The day in China; not in the future, and at most 366 days ago.
    #[schema(example = "2026-11-20")]
    held_on: NaiveDate,
    /// 1 to 1,440.
    #[schema(minimum = 1, maximum = 1440)]
    minutes: i64,
    /// Volunteers of that area, in whatever standing: 1 to 500, each once.
    #[schema(min_items = 1, max_items = 500)]
    person_ids: Vec<Uuid>,
}

/// Record a training that was held, with everybody who attended: dispatchers and the county, in their areas. It gives
/// neither points nor hours of service. `Idempotency-Key` is required.
#[utoipa::path(post, path = "/api/v1/trainings", tag = "trainings", request_body = TrainingBody,
    params(("Idempotency-Key" = String, Header)), security(("bearer" = [])),
    responses((status = 201, body = TrainingJson), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 422, body = ProblemBody,
            description = "somebody who cannot be recorded is named by his place, `personIds[3]`: not_a_volunteer, given_twice")))]
#[post("/api/v1/trainings")]
async fn record(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    body: Body<TrainingBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = required_key(&state, &caller, &request, &body.bytes)?;
    let TrainingBody { area_code, title, organizer, held_on, minutes, person_ids } = body.read;
    let new = NewTraining { area: area_code, title, organizer, held_on, minutes, people: person_ids };
    let once = Once::json(Some(keyed), 201, |row: &TrainingRow| TrainingJson::from(row));
    let app = state.app.clone();
    Ok(respond(state.app.run(async move { app.record_training(&caller, &new, &once).await }).await?))
}

fn page_of(rows: &[TrainingRow], limit: u64) -> HttpResponse {
    let last = rows.last().map(|row| row.id);
    let items: Vec<TrainingJson> = rows.iter().map(TrainingJson::from).collect();
    HttpResponse::Ok().json(Items::page(items, limit, last))
}

/// Trainings of the areas that one watches over, those that were taken back among them; the last recorded first.
#[utoipa::path(get, path = "/api/v1/trainings", tag = "trainings", params(Page), security(("bearer" = [])),
    responses((status = 200, body = Items<TrainingJson>), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody)))]
#[get("/api/v1/trainings")]
async fn list_trainings(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let page: Page = query(&request)?;
    let (limit, before) = (page.limit()?, page.before()?);
    let app = state.app.clone();
    let rows = state.app.run(async move { app.trainings(&caller, before, limit).await }).await?;
    Ok(page_of(&rows, limit))
}

/// One training, with everybody who attended.
#[utoipa::path(get, path = "/api/v1/trainings/{id}", tag = "trainings", params(("id" = Uuid, Path)),
    security(("bearer" = [])),
    responses((status = 200, body = TrainingJson), (status = 401, body = ProblemBody),
        (status = 404, body = ProblemBody)))]
#[get("/api/v1/trainings/{id}")]
async fn read_training(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    training: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let training = id(&training)?;
    let app = state.app.clone();
    let (row, people) = state.app.run(async move { app.whole_training(&caller, training).await }).await?;
    let people = people.into_iter().map(TraineeJson::from).collect();
    Ok(HttpResponse::Ok().json(TrainingJson { people: Some(people), ..TrainingJson::from(&row) }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TrainingVoidBody {
    reason: String,
}

/// Take back a training that was recorded by mistake: it stays, and counts for nobody. `Idempotency-Key` is required.
#[utoipa::path(post, path = "/api/v1/trainings/{id}/void", tag = "trainings", request_body = TrainingVoidBody,
    params(("id" = Uuid, Path), ("Idempotency-Key" = String, Header)), security(("bearer" = [])),
    responses((status = 200, body = TrainingJson), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "training_voided"), (status = 422, body = ProblemBody)))]
#[post("/api/v1/trainings/{id}/void")]
async fn void(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    training: web::Path<String>,
    body: Body<TrainingVoidBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = required_key(&state, &caller, &request, &body.bytes)?;
    let training = id(&training)?;
    let once = Once::json(Some(keyed), 200, |row: &TrainingRow| TrainingJson::from(row));
    let (app, reason) = (state.app.clone(), body.read.reason);
    Ok(respond(
        state.app.run(async move { app.void_training(&caller, training, &reason, &once).await }).await?,
    ))
}

/// A training that the caller attended.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OwnTrainingJson {
    id: Uuid,
    area_code: String,
    title: String,
    organizer: String,
    /// The day in China.
    #[schema(example = "2026-11-20")]
    held_on: String,
    minutes: i64,
    /// When it was taken back: it counts for nobody since.
    #[serde(skip_serializing_if = "Option::is_none")]
    voided_at: Option<DateTime<Utc>>,
}

impl From<TrainingRow> for OwnTrainingJson {
    fn from(row: TrainingRow) -> OwnTrainingJson {
        OwnTrainingJson {
            id: row.id,
            area_code: row.area_code,
            title: row.title,
            organizer: row.organizer,
            held_on: row.held_on,
            minutes: row.minutes,
            voided_at: row.voided_at,
        }
    }
}

/// The trainings that one attended, those that were taken back among them; the last recorded first.
#[utoipa::path(get, path = "/api/v1/me/trainings", tag = "me", params(Page), security(("bearer" = [])),
    responses((status = 200, body = Items<OwnTrainingJson>), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody)))]
#[get("/api/v1/me/trainings")]
async fn own_trainings(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let page: Page = query(&request)?;
    let (limit, before) = (page.limit()?, page.before()?);
    let app = state.app.clone();
    let rows = state.app.run(async move { app.own_trainings(&caller, before, limit).await }).await?;
    let last = rows.last().map(|row| row.id);
    let items: Vec<OwnTrainingJson> = rows.into_iter().map(OwnTrainingJson::from).collect();
    Ok(HttpResponse::Ok().json(Items::page(items, limit, last)))
}
