//! 兑换: reserve goods for points, fetch them with a one-time code.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use xingfuma_app::App;
use xingfuma_app::shop::Render;
use xingfuma_store::shop::redemptions::RedemptionRow;

use crate::State;
use crate::extract::{Body, Items, LoggedIn, id, query, required_key, respond};
use crate::problem::{Problem, ProblemBody};
use crate::shop::ShopPage;

/// A redemption.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RedemptionJson {
    id: Uuid,
    shop_id: Uuid,
    goods_id: Uuid,
    goods_name: String,
    person_id: Uuid,
    quantity: i64,
    /// Points for one piece, as of the reservation.
    price: i64,
    /// Points in all.
    points: i64,
    /// `reserved`, `handed_over`, `voided` or `expired`.
    #[schema(example = "reserved")]
    status: String,
    /// What is shown in the shop; only to the person himself, and only as long as it is good for something.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "7Q2M9KXA")]
    code: Option<String>,
    made_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// A redemption as `reader` may see it.
fn json(app: &App, row: &RedemptionRow, reader: Uuid) -> RedemptionJson {
    let shown = row.person_id == reader && row.status == "reserved";
    RedemptionJson {
        id: row.id,
        shop_id: row.shop_id,
        goods_id: row.goods_id,
        goods_name: row.goods_name.clone(),
        person_id: row.person_id,
        quantity: row.quantity,
        price: row.price,
        points: row.price.saturating_mul(row.quantity),
        status: row.status.clone(),
        code: shown.then(|| app.redemption_code(row.id).to_string()),
        made_at: row.made_at,
        expires_at: row.expires_at,
        ended_at: row.ended_at,
        reason: row.reason.clone(),
    }
}

fn render(app: &App, status: u16, reader: Uuid) -> Render<RedemptionRow> {
    let app = app.clone();
    Arc::new(move |row| (status, serde_json::to_vec(&json(&app, row, reader)).unwrap_or_default()))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RedeemBody {
    goods_id: Uuid,
    /// Pieces: 1 to 100.
    #[schema(minimum = 1, maximum = 100)]
    quantity: i64,
}

/// Reserve goods for one's own points; the answer has the code. `Idempotency-Key` is required.
#[utoipa::path(post, path = "/api/v1/shop/redemptions", tag = "shop", request_body = RedeemBody,
    params(("Idempotency-Key" = String, Header)), security(("bearer" = [])),
    responses((status = 201, body = RedemptionJson), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "insufficient_points, out_of_stock"),
        (status = 422, body = ProblemBody)))]
#[post("/api/v1/shop/redemptions")]
async fn redeem(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    body: Body<RedeemBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = required_key(&state, &caller, &request, &body.bytes)?;
    let RedeemBody { goods_id, quantity } = body.read;
    let app = state.app.clone();
    let render = render(&app, 201, caller.actor.person);
    let work = async move { app.redeem(&caller, goods_id, quantity, &keyed, render).await };
    Ok(respond(state.app.run(work).await?))
}

/// The exchange book (兑换簿): the caller's redemptions, and those of the shops whose books he may read.
#[utoipa::path(get, path = "/api/v1/shop/redemptions", tag = "shop", params(ShopPage), security(("bearer" = [])),
    responses((status = 200, body = Items<RedemptionJson>), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody)))]
#[get("/api/v1/shop/redemptions")]
async fn list(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let part = query::<ShopPage>(&request)?.part()?;
    let (app, me) = (state.app.clone(), caller.actor.person);
    let rows = state.app.run(async move { app.redemptions(&caller, part).await }).await?;
    let last = rows.last().map(|row| row.id);
    let items: Vec<RedemptionJson> = rows.iter().map(|row| json(&state.app, row, me)).collect();
    Ok(HttpResponse::Ok().json(Items::page(items, part.limit, last)))
}

/// One redemption.
#[utoipa::path(get, path = "/api/v1/shop/redemptions/{id}", tag = "shop", params(("id" = Uuid, Path)),
    security(("bearer" = [])),
    responses((status = 200, body = RedemptionJson), (status = 401, body = ProblemBody),
        (status = 404, body = ProblemBody)))]
#[get("/api/v1/shop/redemptions/{id}")]
async fn one(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    redemption: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let redemption = id(&redemption)?;
    let (app, me) = (state.app.clone(), caller.actor.person);
    let row = state.app.run(async move { app.redemption(&caller, redemption).await }).await?;
    Ok(HttpResponse::Ok().json(json(&state.app, &row, me)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CodeBody {
    /// As the person shows it; either case, hyphens and spaces do not matter.
    code: String,
}

/// Hand goods over for a code: the shopkeeper, to somebody else. `Idempotency-Key` is required.
#[utoipa::path(post, path = "/api/v1/shop/redemptions/hand-over", tag = "shop", request_body = CodeBody,
    params(("Idempotency-Key" = String, Header)), security(("bearer" = [])),
    responses((status = 200, body = RedemptionJson), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody, description = "forbidden, own_decision"),
        (status = 409, body = ProblemBody, description = "code_used, code_expired, code_voided, code_foreign"),
        (status = 422, body = ProblemBody)))]
#[post("/api/v1/shop/redemptions/hand-over")]
async fn hand_over(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    body: Body<CodeBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = required_key(&state, &caller, &request, &body.bytes)?;
    let app = state.app.clone();
    let render = render(&app, 200, caller.actor.person);
    let work = async move { app.hand_over_goods(&caller, &body.read.code, &keyed, render).await };
    Ok(respond(state.app.run(work).await?))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct VoidBody {
    reason: String,
}

/// Call a redemption off: points and goods go back. The person, or the shopkeeper. `Idempotency-Key` is required.
#[utoipa::path(post, path = "/api/v1/shop/redemptions/{id}/void", tag = "shop", request_body = VoidBody,
    params(("id" = Uuid, Path), ("Idempotency-Key" = String, Header)), security(("bearer" = [])),
    responses((status = 200, body = RedemptionJson), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "redemption_ended"), (status = 422, body = ProblemBody)))]
#[post("/api/v1/shop/redemptions/{id}/void")]
async fn void(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    redemption: web::Path<String>,
    body: Body<VoidBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = required_key(&state, &caller, &request, &body.bytes)?;
    let redemption = id(&redemption)?;
    let app = state.app.clone();
    let render = render(&app, 200, caller.actor.person);
    let work =
        async move { app.void_redemption(&caller, redemption, &body.read.reason, &keyed, render).await };
    Ok(respond(state.app.run(work).await?))
}
