//! Hazards: what comes back again and again in a grid, and what its station says about it.

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use xingfuma_app::directory::Directory;
use xingfuma_store::hazards::HazardRow;

use crate::State;
use crate::extract::{Body, Items, LoggedIn, Page, id, query};
use crate::problem::{Problem, ProblemBody};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HazardParams {
    /// Most items, at most 100.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u64>,
    /// Where the page before ended.
    cursor: Option<String>,
    /// Only this subtree.
    area_code: Option<String>,
    /// Only those that nobody has answered.
    open: Option<bool>,
}

/// The same category in the same grid again and again.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct HazardJson {
    id: Uuid,
    #[schema(example = "140724100001001")]
    area_code: String,
    area_name: String,
    #[schema(example = "environment")]
    category_code: String,
    category_name: String,
    /// Which one of this grid and category it is, from 1.
    number: i32,
    /// How many orders made it.
    #[schema(example = 4)]
    times: i32,
    first_at: DateTime<Utc>,
    last_at: DateTime<Utc>,
    found_at: DateTime<Utc>,
    /// Where it comes from; absent while nobody has said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    /// What is done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    measure: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_at: Option<DateTime<Utc>>,
}

impl HazardJson {
    fn of(row: HazardRow, directory: &Directory) -> HazardJson {
        let area = row.area_code.parse().ok().and_then(|code| directory.area(code));
        HazardJson {
            id: row.id,
            area_name: area.map(|area| area.name.clone()).unwrap_or_default(),
            category_name: directory
                .category(&row.category)
                .map(|category| category.name.clone())
                .unwrap_or_default(),
            area_code: row.area_code,
            category_code: row.category,
            number: row.number,
            times: row.times,
            first_at: row.first_at,
            last_at: row.last_at,
            found_at: row.found_at,
            cause: row.cause,
            measure: row.measure,
            answered_at: row.answered_at,
        }
    }
}

/// Hazards of the caller's areas, newest first.
#[utoipa::path(get, path = "/api/v1/hazards", tag = "dispatch", params(HazardParams), security(("bearer" = [])),
    responses((status = 200, body = Items<HazardJson>), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody)))]
#[get("/api/v1/hazards")]
async fn list(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let params: HazardParams = query(&request)?;
    let page = Page { limit: params.limit, cursor: params.cursor };
    let (limit, before, open) = (page.limit()?, page.before()?, params.open.unwrap_or(false));
    let bad = |_| Problem::new(400, "malformed_request").with_detail("areaCode");
    let area = params.area_code.map(|code| code.parse().map_err(bad)).transpose()?;
    let app = state.app.clone();
    let rows = state.app.run(async move { app.hazards(&caller, area, open, before, limit).await }).await?;
    let last = rows.last().map(|row| row.id);
    let directory = state.app.directory();
    let items: Vec<HazardJson> = rows.into_iter().map(|row| HazardJson::of(row, &directory)).collect();
    Ok(HttpResponse::Ok().json(Items::page(items, limit, last)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct HazardAnswerBody {
    /// Where it comes from; at most 500 characters.
    #[schema(example = "垃圾清运每周只有一次")]
    cause: String,
    /// What is done about it; at most 500 characters.
    #[schema(example = "改为每周三次，村站每周一检查")]
    measure: String,
}

/// Say where a hazard comes from and what is done about it, once: the village's or the township's dispatcher.
#[utoipa::path(post, path = "/api/v1/hazards/{id}/answer", tag = "dispatch", params(("id" = Uuid, Path)),
    request_body = HazardAnswerBody, security(("bearer" = [])),
    responses((status = 200, body = HazardJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "hazard_answered"), (status = 422, body = ProblemBody)))]
#[post("/api/v1/hazards/{id}/answer")]
async fn answer(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    hazard: web::Path<String>,
    body: Body<HazardAnswerBody>,
) -> Result<HttpResponse, Problem> {
    let hazard = id(&hazard)?;
    let app = state.app.clone();
    let HazardAnswerBody { cause, measure } = body.read;
    let work = async move { app.answer_hazard(&caller, hazard, &cause, &measure).await };
    let row = state.app.run(work).await?;
    Ok(HttpResponse::Ok().json(HazardJson::of(row, &state.app.directory())))
}
