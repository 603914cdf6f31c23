//! What a scan shows: the sign in a grid, the badge of a volunteer; open to everybody.

use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;
use xingfuma_app::directory::Category;
use xingfuma_domain::order::Kind;

use crate::State;
use crate::address::CalledFrom;
use crate::problem::{Problem, ProblemBody};

#[derive(Serialize, ToSchema)]
struct GridJson {
    #[schema(example = "140724100001001")]
    code: String,
    name: String,
    /// Names from the county down.
    path: Vec<String>,
}

/// A category.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CategoryJson {
    #[schema(example = "errand")]
    code: String,
    name: String,
    #[schema(example = "service")]
    kind: &'static str,
    #[schema(example = "normal")]
    urgency: &'static str,
    needs_arrival: bool,
    needs_photo: bool,
}

fn category(category: &Category) -> CategoryJson {
    CategoryJson {
        code: category.code.clone(),
        name: category.name.clone(),
        kind: match category.kind {
            Kind::Service => "service",
            Kind::Report => "report",
        },
        urgency: category.urgency.as_str(),
        needs_arrival: category.needs_arrival,
        needs_photo: category.needs_photo,
    }
}

#[derive(Serialize, ToSchema)]
struct SignJson {
    code: String,
    grid: GridJson,
    hotline: String,
    categories: Vec<CategoryJson>,
}

/// The sign of a grid: all that the scan page needs.
#[utoipa::path(get, path = "/api/v1/signs/{code}", tag = "scan", params(("code" = String, Path, description = "in any case")),
    responses((status = 200, body = SignJson), (status = 404, body = ProblemBody),
        (status = 410, body = ProblemBody, description = "sign_revoked"),
        (status = 429, body = ProblemBody, description = "too_many_requests")))]
#[get("/api/v1/signs/{code}")]
async fn sign(
    state: web::Data<State>,
    CalledFrom(from): CalledFrom,
    code: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    state.app.count_lookup(from).await?;
    let directory = state.app.directory();
    let missing = || Problem::new(404, "not_found");
    let code = code.parse().map_err(|_| missing())?;
    let sign = directory.sign(&code).ok_or_else(missing)?;
    if !sign.active {
        return Err(Problem::new(410, "sign_revoked"));
    }
    let area = directory.area(sign.area).ok_or_else(missing)?;
    Ok(HttpResponse::Ok().json(SignJson {
        code: code.to_string(),
        grid: GridJson {
            code: sign.area.to_string(),
            name: area.name.clone(),
            path: directory.path(sign.area),
        },
        hotline: directory.hotline.clone(),
        categories: directory.categories().iter().map(category).collect(),
    }))
}

#[derive(Serialize, ToSchema)]
struct BadgeJson {
    number: String,
    /// Its bearer is a volunteer in good standing.
    valid: bool,
    surname: String,
    team: String,
    #[schema(example = "active")]
    status: String,
    /// His stars, where he agreed that they stand here.
    #[serde(skip_serializing_if = "Option::is_none")]
    stars: Option<i32>,
}

/// A volunteer's badge: that he is one, in good standing, and no more.
#[utoipa::path(get, path = "/api/v1/badges/{number}", tag = "scan", params(("number" = String, Path)),
    responses((status = 200, body = BadgeJson), (status = 404, body = ProblemBody),
        (status = 429, body = ProblemBody, description = "too_many_requests")))]
#[get("/api/v1/badges/{number}")]
async fn badge(
    state: web::Data<State>,
    CalledFrom(from): CalledFrom,
    number: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    state.app.count_lookup(from).await?;
    let app = state.app.clone();
    let number = number.into_inner();
    let (number, row) = state.app.run(async move { app.badge(&number).await }).await?;
    let valid = row.badge_status == "active" && row.volunteer_status == "active";
    let status = if row.badge_status == "active" { row.volunteer_status } else { row.badge_status };
    let (surname, team, stars) = (row.surname, row.team, row.stars);
    Ok(HttpResponse::Ok().json(BadgeJson { number, valid, surname, team, status, stars }))
}

#[derive(Serialize, ToSchema)]
struct CategoriesJson {
    items: Vec<CategoryJson>,
}

/// What can be ordered.
#[utoipa::path(get, path = "/api/v1/categories", tag = "directory", responses((status = 200, body = CategoriesJson)))]
#[get("/api/v1/categories")]
async fn categories(state: web::Data<State>) -> Result<HttpResponse, Problem> {
    let items = state.app.directory().categories().iter().map(category).collect();
    Ok(HttpResponse::Ok().json(CategoriesJson { items }))
}
