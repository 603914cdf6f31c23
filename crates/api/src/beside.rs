//! What stands beside the five steps: departments that are called (吹哨报到), corrective notices (限期整改), and
//! suggestions of duplicates.

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use xingfuma_app::command::{Ask, Request};
use xingfuma_app::similar::LikeWhat;

use crate::State;
use crate::extract::{Body, Items, LoggedIn, LoggedInFor, id, if_match, keyed, query, respond};
use crate::order_commands::{Nothing, command};
use crate::order_json::OrderJson;
use crate::orders::render;
use crate::parts_json::{CorrectionJson, corrections_of};
use crate::problem::{Problem, ProblemBody};

#[derive(Serialize, ToSchema)]
struct DepartmentJson {
    id: Uuid,
    #[schema(example = "应急管理局")]
    name: String,
}

/// The departments that can be called.
#[utoipa::path(get, path = "/api/v1/departments", tag = "orders", security(("bearer" = [])),
    responses((status = 200, body = Items<DepartmentJson>), (status = 401, body = ProblemBody)))]
#[get("/api/v1/departments")]
async fn departments(state: web::Data<State>, _caller: LoggedIn) -> Result<HttpResponse, Problem> {
    let directory = state.app.directory();
    let items = directory.departments().iter();
    let items: Vec<DepartmentJson> =
        items.map(|one| DepartmentJson { id: one.id, name: one.name.clone() }).collect();
    Ok(HttpResponse::Ok().json(Items { items, next_cursor: None }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ConcludeBody {
    /// What was done; at most 500 characters.
    #[schema(example = "已到场排除隐患")]
    result: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RateWhistleBody {
    /// 1 to 5.
    #[schema(example = 4, minimum = 1, maximum = 5)]
    stars: i64,
    comment: Option<String>,
}

macro_rules! whistle_commands {
    ($($(#[$about:meta])* $name:ident $path:tt $body:ident $read:expr;)+) => {$(
        $(#[$about])*
        #[utoipa::path(post, path = $path, tag = "orders", request_body = $body, security(("bearer" = [])),
            params(("id" = Uuid, Path), ("Idempotency-Key" = Option<String>, Header), ("If-Match" = Option<String>, Header)),
            responses((status = 200, body = OrderJson), (status = 400, body = ProblemBody),
                (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
                (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
                (status = 412, body = ProblemBody), (status = 422, body = ProblemBody),
                (status = 503, body = ProblemBody)))]
        #[post($path)]
        async fn $name(
            state: web::Data<State>,
            LoggedIn(caller): LoggedIn,
            request: HttpRequest,
            whistle: web::Path<String>,
            body: Body<$body>,
        ) -> Result<HttpResponse, Problem> {
            let whistle = id(&whistle)?;
            let read: fn(Uuid, $body) -> Request = $read;
            let asked = read(whistle, body.read);
            let keyed = keyed(&state, &caller, &request, &body.bytes)?;
            let if_match = if_match(&request)?;
            let ask = Ask { caller, order: whistle, found: None, keyed, if_match, render: render(200) };
            let app = state.app.clone();
            Ok(respond(state.app.run(async move { app.whistle_command(ask, asked).await }).await?))
        }
    )+};
}

whistle_commands! {
    /// 报到: a department that was called checks in. Answers with the order.
    check_in "/api/v1/whistles/{id}/check-in" Nothing |whistle, _| Request::CheckIn { whistle };
    /// A department's result, after checking in.
    conclude "/api/v1/whistles/{id}/conclude" ConcludeBody |whistle, body| {
        Request::Conclude { whistle, result: body.result }
    };
    /// Whoever called rates the result, once.
    rate_whistle "/api/v1/whistles/{id}/rate" RateWhistleBody |whistle, body| {
        Request::RateWhistle { whistle, stars: body.stars, comment: body.comment }
    };
}

/// An order's corrective notices, the first one first; for those who work on it or watch over it.
#[utoipa::path(get, path = "/api/v1/orders/{id}/corrections", tag = "orders", params(("id" = Uuid, Path)),
    security(("bearer" = [])),
    responses((status = 200, body = Items<CorrectionJson>), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[get("/api/v1/orders/{id}/corrections")]
async fn corrections(
    state: web::Data<State>,
    LoggedInFor(caller, found): LoggedInFor,
    order: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let order = id(&order)?;
    let app = state.app.clone();
    let seen = state.app.run(async move { app.order(&caller, order, found).await }).await?;
    if !seen.coordination {
        return Err(Problem::new(403, "forbidden"));
    }
    Ok(HttpResponse::Ok().json(Items { items: corrections_of(&seen), next_cursor: None }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct InspectBody {
    /// It is put right.
    passed: bool,
    /// What was found; at most 500 characters.
    #[schema(example = "通道仍有堆物")]
    findings: String,
    /// A new term in working days, where it is not put right: 1 to 90.
    #[schema(example = 3, minimum = 1, maximum = 90)]
    term_days: Option<i64>,
}

/// 复查: look again whether it was put right; if not, within a new term.
#[utoipa::path(post, path = "/api/v1/orders/{id}/corrections/{correction}/inspect", tag = "orders",
    request_body = InspectBody, security(("bearer" = [])),
    params(("id" = Uuid, Path), ("correction" = Uuid, Path), ("Idempotency-Key" = Option<String>, Header),
        ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = OrderJson), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody), (status = 412, body = ProblemBody), (status = 422, body = ProblemBody),
        (status = 503, body = ProblemBody)))]
#[post("/api/v1/orders/{id}/corrections/{correction}/inspect")]
async fn inspect(
    state: web::Data<State>,
    caller: LoggedInFor,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    body: Body<InspectBody>,
) -> Result<HttpResponse, Problem> {
    let (order, correction) = path.into_inner();
    let InspectBody { passed, findings, term_days } = body.read;
    let asked = Request::Inspect { correction: id(&correction)?, passed, findings, term_days };
    command(state, caller, &request, &order, &body.bytes, asked).await
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SimilarParams {
    /// An order that is there; then nothing else is needed.
    order_id: Option<String>,
    /// The scanned sign; it or `areaCode`.
    sign_code: Option<String>,
    /// The chosen area.
    area_code: Option<String>,
    category_code: Option<String>,
    /// What is needed.
    description: Option<String>,
    /// A caller's phone; for operators and dispatchers.
    phone: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct SimilarJson {
    order: OrderJson,
    /// 50 to 100: how alike it is.
    #[schema(example = 80)]
    score: u32,
    /// Why, in words.
    reasons: Vec<String>,
}

/// Orders of the last two weeks that may be the same, of those that the caller may see; the likeliest first, at most 10.
/// Nothing is dropped or merged by it.
#[utoipa::path(get, path = "/api/v1/orders/similar", tag = "orders", params(SimilarParams), security(("bearer" = [])),
    responses((status = 200, body = Items<SimilarJson>), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 422, body = ProblemBody)))]
#[get("/api/v1/orders/similar")]
async fn similar(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let params: SimilarParams = query(&request)?;
    let what = LikeWhat {
        order: params.order_id.as_deref().map(id).transpose()?,
        sign: params.sign_code,
        area: params.area_code,
        category: params.category_code,
        description: params.description,
        phone: params.phone,
    };
    let app = state.app.clone();
    let found = state.app.run(async move { app.similar(&caller, what).await }).await?;
    let items: Vec<SimilarJson> = found
        .into_iter()
        .map(|one| SimilarJson {
            order: OrderJson::from(&one.seen),
            score: one.alike.score,
            reasons: one.alike.reasons,
        })
        .collect();
    Ok(HttpResponse::Ok().json(Items { items, next_cursor: None }))
}
