//! 爱心超市: shops, goods, the donation book, and the month that adds up. Points buy goods, never cash.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, get, post, put, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use xingfuma_app::shop::{DonationRequest, DonationSeen, GoodsRequest, Reconciliation, Render, ShopPart};
use xingfuma_domain::area::AreaCode;
use xingfuma_store::shop::books::GoodsBook;
use xingfuma_store::shop::{GoodsRow, ShopRow};

use crate::State;
use crate::extract::{Body, Items, LoggedIn, Page, id, query, required_key, respond};
use crate::problem::{Problem, ProblemBody};

/// A page of a shop's list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ShopPage {
    /// Only this shop's.
    shop_id: Option<Uuid>,
    /// Most items, at most 100.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u64>,
    /// Where the page before ended.
    cursor: Option<String>,
}

impl ShopPage {
    pub(crate) fn part(self) -> Result<ShopPart, Problem> {
        let page = Page { limit: self.limit, cursor: self.cursor };
        Ok(ShopPart { shop: self.shop_id, before: page.before()?, limit: page.limit()? })
    }
}

/// How a row is answered.
fn render<T, J>(status: u16) -> Render<T>
where
    J: for<'a> From<&'a T> + Serialize,
{
    Arc::new(move |row| (status, serde_json::to_vec(&J::from(row)).unwrap_or_default()))
}

/// A shop.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ShopJson {
    id: Uuid,
    #[schema(example = "140724104003")]
    area_code: String,
    name: String,
    opened_at: DateTime<Utc>,
}

impl From<&ShopRow> for ShopJson {
    fn from(row: &ShopRow) -> ShopJson {
        ShopJson {
            id: row.id,
            area_code: row.area_code.clone(),
            name: row.name.clone(),
            opened_at: row.opened_at,
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct OpenBody {
    #[schema(value_type = String, example = "140724104003")]
    area_code: AreaCode,
    name: String,
}

/// Open the shop of an area: its dispatcher or the county. `Idempotency-Key` is required.
#[utoipa::path(post, path = "/api/v1/shop/shops", tag = "shop", request_body = OpenBody,
    params(("Idempotency-Key" = String, Header)), security(("bearer" = [])),
    responses((status = 201, body = ShopJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 409, body = ProblemBody, description = "shop_exists"),
        (status = 422, body = ProblemBody)))]
#[post("/api/v1/shop/shops")]
async fn open(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    body: Body<OpenBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = required_key(&state, &caller, &request, &body.bytes)?;
    let OpenBody { area_code, name } = body.read;
    let app = state.app.clone();
    let render = render::<ShopRow, ShopJson>(201);
    let work = async move { app.open_shop(&caller, area_code, &name, &keyed, render).await };
    Ok(respond(state.app.run(work).await?))
}

/// Shops of the county, newest first.
#[utoipa::path(get, path = "/api/v1/shop/shops", tag = "shop", params(Page), security(("bearer" = [])),
    responses((status = 200, body = Items<ShopJson>), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody)))]
#[get("/api/v1/shop/shops")]
async fn shops(
    state: web::Data<State>,
    LoggedIn(_caller): LoggedIn,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let page = query::<Page>(&request)?;
    let part = ShopPart { shop: None, before: page.before()?, limit: page.limit()? };
    let app = state.app.clone();
    let rows = state.app.run(async move { app.shops(part).await }).await?;
    let last = rows.last().map(|row| row.id);
    let items: Vec<ShopJson> = rows.iter().map(ShopJson::from).collect();
    Ok(HttpResponse::Ok().json(Items::page(items, part.limit, last)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct KeepersBody {
    /// Everybody who keeps the shop; whoever is not named does not any more.
    person_ids: Vec<Uuid>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct KeepersJson {
    person_ids: Vec<Uuid>,
}

/// Say who keeps a shop: the area's dispatcher or the county.
#[utoipa::path(put, path = "/api/v1/shop/shops/{id}/keepers", tag = "shop", request_body = KeepersBody,
    params(("id" = Uuid, Path)), security(("bearer" = [])),
    responses((status = 200, body = KeepersJson), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 422, body = ProblemBody)))]
#[put("/api/v1/shop/shops/{id}/keepers")]
async fn keepers(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    shop: web::Path<String>,
    body: Body<KeepersBody>,
) -> Result<HttpResponse, Problem> {
    let shop = id(&shop)?;
    let app = state.app.clone();
    let work = async move { app.keep_shop(&caller, shop, body.read.person_ids).await };
    Ok(HttpResponse::Ok().json(KeepersJson { person_ids: state.app.run(work).await? }))
}

/// Goods of a shop.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct GoodsJson {
    id: Uuid,
    shop_id: Uuid,
    #[schema(example = "大米 5kg")]
    name: String,
    /// Points for one piece.
    #[schema(example = 20)]
    price: i64,
    /// Pieces that can still be reserved.
    stock: i64,
    /// Whether it is offered.
    active: bool,
}

impl From<&GoodsRow> for GoodsJson {
    fn from(row: &GoodsRow) -> GoodsJson {
        GoodsJson {
            id: row.id,
            shop_id: row.shop_id,
            name: row.name.clone(),
            price: row.price,
            stock: row.stock,
            active: row.active,
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct OfferBody {
    shop_id: Uuid,
    name: String,
    /// Points for one piece: 1 to 1,000,000.
    #[schema(minimum = 1, maximum = 1000000)]
    price: i64,
}

/// Offer goods, with nothing in stock: the shopkeeper. `Idempotency-Key` is required.
#[utoipa::path(post, path = "/api/v1/shop/goods", tag = "shop", request_body = OfferBody,
    params(("Idempotency-Key" = String, Header)), security(("bearer" = [])),
    responses((status = 201, body = GoodsJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody, description = "no such shop"),
        (status = 422, body = ProblemBody)))]
#[post("/api/v1/shop/goods")]
async fn offer(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    body: Body<OfferBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = required_key(&state, &caller, &request, &body.bytes)?;
    let OfferBody { shop_id, name, price } = body.read;
    let asked = GoodsRequest { name, price, active: true };
    let app = state.app.clone();
    let render = render::<GoodsRow, GoodsJson>(201);
    let work = async move { app.offer_goods(&caller, shop_id, &asked, &keyed, render).await };
    Ok(respond(state.app.run(work).await?))
}

/// Goods of the county or of one shop, newest first.
#[utoipa::path(get, path = "/api/v1/shop/goods", tag = "shop", params(ShopPage), security(("bearer" = [])),
    responses((status = 200, body = Items<GoodsJson>), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody)))]
#[get("/api/v1/shop/goods")]
async fn list_goods(
    state: web::Data<State>,
    LoggedIn(_caller): LoggedIn,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let part = query::<ShopPage>(&request)?.part()?;
    let app = state.app.clone();
    let rows = state.app.run(async move { app.goods(part).await }).await?;
    let last = rows.last().map(|row| row.id);
    let items: Vec<GoodsJson> = rows.iter().map(GoodsJson::from).collect();
    Ok(HttpResponse::Ok().json(Items::page(items, part.limit, last)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GoodsBody {
    name: String,
    /// Points for one piece: 1 to 1,000,000. What is reserved keeps the price it was reserved at.
    #[schema(minimum = 1, maximum = 1000000)]
    price: i64,
    /// Whether it is offered.
    active: bool,
}

/// Name and price goods anew, or take them off the shelf: the shopkeeper.
#[utoipa::path(put, path = "/api/v1/shop/goods/{id}", tag = "shop", request_body = GoodsBody,
    params(("id" = Uuid, Path)), security(("bearer" = [])),
    responses((status = 200, body = GoodsJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[put("/api/v1/shop/goods/{id}")]
async fn change_goods(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    goods: web::Path<String>,
    body: Body<GoodsBody>,
) -> Result<HttpResponse, Problem> {
    let goods = id(&goods)?;
    let GoodsBody { name, price, active } = body.read;
    let asked = GoodsRequest { name, price, active };
    let app = state.app.clone();
    let row = state.app.run(async move { app.change_goods(&caller, goods, &asked).await }).await?;
    Ok(HttpResponse::Ok().json(GoodsJson::from(&row)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CountBody {
    /// Pieces more, or less (negative), than the stock says.
    #[schema(minimum = -1000000, maximum = 1000000)]
    change: i64,
    reason: String,
}

/// Write down what a count of the shelf found: the shopkeeper. `Idempotency-Key` is required.
#[utoipa::path(post, path = "/api/v1/shop/goods/{id}/count", tag = "shop", request_body = CountBody,
    params(("id" = Uuid, Path), ("Idempotency-Key" = String, Header)), security(("bearer" = [])),
    responses((status = 200, body = GoodsJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "stock_out_of_range"), (status = 422, body = ProblemBody)))]
#[post("/api/v1/shop/goods/{id}/count")]
async fn count(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    goods: web::Path<String>,
    body: Body<CountBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = required_key(&state, &caller, &request, &body.bytes)?;
    let goods = id(&goods)?;
    let CountBody { change, reason } = body.read;
    let app = state.app.clone();
    let render = render::<GoodsRow, GoodsJson>(200);
    let work = async move { app.count_goods(&caller, goods, change, &reason, &keyed, render).await };
    Ok(respond(state.app.run(work).await?))
}

/// A line of the donation book (捐赠簿).
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DonationJson {
    id: Uuid,
    shop_id: Uuid,
    goods_id: Uuid,
    /// The whole name for the shopkeeper and the dispatchers of the area, one character for everybody else.
    #[schema(example = "王**")]
    donor: String,
    quantity: i64,
    received_at: DateTime<Utc>,
}

impl From<&DonationSeen> for DonationJson {
    fn from(seen: &DonationSeen) -> DonationJson {
        let row = &seen.row;
        DonationJson {
            id: row.id,
            shop_id: row.shop_id,
            goods_id: row.goods_id,
            donor: seen.donor.clone(),
            quantity: row.quantity,
            received_at: row.received_at,
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct DonateBody {
    goods_id: Uuid,
    /// Pieces. There is no field for money: points never become cash, nor cash points.
    #[schema(minimum = 1, maximum = 1000000)]
    quantity: i64,
    donor: String,
    /// The donor is a person, not an organisation.
    donor_is_person: bool,
}

/// Take a donation in: the shopkeeper. The answer is the goods with their new stock. `Idempotency-Key` is required.
#[utoipa::path(post, path = "/api/v1/shop/donations", tag = "shop", request_body = DonateBody,
    params(("Idempotency-Key" = String, Header)), security(("bearer" = [])),
    responses((status = 201, body = GoodsJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 409, body = ProblemBody, description = "stock_out_of_range"),
        (status = 422, body = ProblemBody)))]
#[post("/api/v1/shop/donations")]
async fn donate(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    body: Body<DonateBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = required_key(&state, &caller, &request, &body.bytes)?;
    let DonateBody { goods_id, quantity, donor, donor_is_person } = body.read;
    let asked = DonationRequest { goods: goods_id, quantity, donor, donor_is_person };
    let app = state.app.clone();
    let render = render::<GoodsRow, GoodsJson>(201);
    let work = async move { app.donate(&caller, &asked, &keyed, render).await };
    Ok(respond(state.app.run(work).await?))
}

/// The donation book of the county or of one shop, newest first.
#[utoipa::path(get, path = "/api/v1/shop/donations", tag = "shop", params(ShopPage), security(("bearer" = [])),
    responses((status = 200, body = Items<DonationJson>), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody)))]
#[get("/api/v1/shop/donations")]
async fn donations(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let part = query::<ShopPage>(&request)?.part()?;
    let app = state.app.clone();
    let rows = state.app.run(async move { app.donations(&caller, part).await }).await?;
    let last = rows.last().map(|seen| seen.row.id);
    let items: Vec<DonationJson> = rows.iter().map(DonationJson::from).collect();
    Ok(HttpResponse::Ok().json(Items::page(items, part.limit, last)))
}

/// The goods of a month, in pieces.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct GoodsMonthJson {
    goods_id: Uuid,
    name: String,
    opening: i64,
    donated: i64,
    /// Found more, or less, when somebody counted.
    counted: i64,
    reserved: i64,
    /// Called off, or not fetched in time.
    returned: i64,
    closing: i64,
    /// The stock at this moment.
    stock: i64,
}

impl From<&GoodsBook> for GoodsMonthJson {
    fn from(book: &GoodsBook) -> GoodsMonthJson {
        GoodsMonthJson {
            goods_id: book.goods_id,
            name: book.name.clone(),
            opening: book.opening,
            donated: book.donated,
            counted: book.counted,
            reserved: book.reserved,
            returned: book.returned,
            closing: book.closing,
            stock: book.stock,
        }
    }
}

/// A month of a shop, added up.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ReconciliationJson {
    #[schema(example = "2026-10")]
    month: String,
    goods: Vec<GoodsMonthJson>,
    /// Redemptions handed over in the month.
    handed_over: i64,
    /// Redemptions that wait at this moment.
    waiting: i64,
    /// Points spent here in the month, by the exchange book.
    points: i64,
    /// The same by the ledger.
    points_by_ledger: i64,
    /// All points ever spent here, by the exchange book.
    balance: i64,
    /// The same by the ledger.
    balance_by_ledger: i64,
    /// Whether goods and points come out.
    agrees: bool,
}

impl From<&Reconciliation> for ReconciliationJson {
    fn from(book: &Reconciliation) -> ReconciliationJson {
        ReconciliationJson {
            month: book.month.to_string(),
            goods: book.goods.iter().map(GoodsMonthJson::from).collect(),
            handed_over: book.points.handed_over,
            waiting: book.points.waiting,
            points: book.points.spent_by_redemptions,
            points_by_ledger: book.points.spent_by_ledger,
            balance: book.points.balance_by_redemptions,
            balance_by_ledger: book.points.balance_by_ledger,
            agrees: book.agrees(),
        }
    }
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct MonthQuery {
    /// `YYYY-MM`, in China time.
    #[param(example = "2026-10")]
    month: String,
}

/// A month of a shop added up from its books and from the ledger: whoever keeps it or watches over it.
#[utoipa::path(get, path = "/api/v1/shop/shops/{id}/reconciliation", tag = "shop",
    params(("id" = Uuid, Path), MonthQuery), security(("bearer" = [])),
    responses((status = 200, body = ReconciliationJson), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[get("/api/v1/shop/shops/{id}/reconciliation")]
async fn reconciliation(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    shop: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let shop = id(&shop)?;
    let month = query::<MonthQuery>(&request)?.month;
    let month = month.parse().map_err(|_| Problem::new(400, "malformed_request").with_detail("month"))?;
    let app = state.app.clone();
    let book = state.app.run(async move { app.reconcile_shop(&caller, shop, month).await }).await?;
    Ok(HttpResponse::Ok().json(ReconciliationJson::from(&book)))
}
