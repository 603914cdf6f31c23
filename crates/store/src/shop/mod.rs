//! The shop's rows: goods and their stock, donations, redemptions, and the books of a month.
//!
//! Stock is taken by one conditional statement, as caps and balances are: whoever finds too little touches nothing, and
//! no race can sell what is not there. Each change of a stock leaves a movement, so that the stock can be added up
//! again ([`books`]).

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::shop::STOCK_LARGEST;

use crate::sql::{self, Rows};
use crate::{StoreError, unreadable};

pub mod books;
pub mod redemptions;

/// A shop.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct ShopRow {
    /// The id; also of its account in the ledger.
    pub id: Uuid,
    /// The county.
    pub county: String,
    /// Its area.
    pub area_code: String,
    /// Its name.
    pub name: String,
    /// Who opened it.
    pub opened_by: Uuid,
    /// When.
    pub opened_at: DateTime<Utc>,
}

/// Goods of a shop.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct GoodsRow {
    /// The id.
    pub id: Uuid,
    /// The county.
    pub county: String,
    /// The shop.
    pub shop_id: Uuid,
    /// The shop's area.
    pub area_code: String,
    /// What it is.
    pub name: String,
    /// Points for one piece.
    pub price: i64,
    /// Pieces that can still be reserved.
    pub stock: i64,
    /// Whether it is offered.
    pub active: bool,
    /// When it was first offered.
    pub created_at: DateTime<Utc>,
}

/// A line of the donation book.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct DonationRow {
    /// The id.
    pub id: Uuid,
    /// The county.
    pub county: String,
    /// The shop.
    pub shop_id: Uuid,
    /// The shop's area.
    pub area_code: String,
    /// Which goods.
    pub goods_id: Uuid,
    /// Who gave it, as everybody may read it.
    pub donor: String,
    /// The person under whose key the whole name is sealed; none for lines from before.
    pub donor_id: Option<Uuid>,
    /// Pieces.
    pub quantity: i64,
    /// Who took it in.
    pub received_by: Uuid,
    /// When.
    pub received_at: DateTime<Utc>,
}

/// Why a stock changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MovementKind {
    /// Somebody gave goods.
    Donation,
    /// Somebody counted, and there was more or less.
    Count,
    /// Goods were reserved.
    Reservation,
    /// Reserved goods went back.
    Return,
}

impl MovementKind {
    /// The word for it in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            MovementKind::Donation => "donation",
            MovementKind::Count => "count",
            MovementKind::Reservation => "reservation",
            MovementKind::Return => "return",
        }
    }
}

/// A change of a stock.
#[derive(Clone, Debug)]
pub struct Movement {
    /// The id.
    pub id: Uuid,
    /// The shop.
    pub shop: Uuid,
    /// The goods.
    pub goods: Uuid,
    /// Why.
    pub kind: MovementKind,
    /// Pieces: more, or less.
    pub quantity: i64,
    /// The donation or the redemption it came from; its own id for a count.
    pub source: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// Who; none for the sweep.
    pub by: Option<Uuid>,
    /// Why, masked.
    pub reason: Option<String>,
}

const SHOP: &str = "id, county, area_code, name, opened_by, opened_at";
const GOODS: &str = "id, county, shop_id, area_code, name, price, stock, active, created_at";
const DONATION: &str =
    "id, county, shop_id, area_code, goods_id, donor, donor_id, quantity, received_by, received_at";

pub(crate) fn area(code: &str) -> Result<AreaCode, StoreError> {
    code.parse().map_err(unreadable)
}

impl ShopRow {
    /// The area.
    ///
    /// # Errors
    /// When the row says something that is none.
    pub fn area(&self) -> Result<AreaCode, StoreError> {
        area(&self.area_code)
    }
}

impl GoodsRow {
    /// The shop's area.
    ///
    /// # Errors
    /// When the row says something that is none.
    pub fn area(&self) -> Result<AreaCode, StoreError> {
        area(&self.area_code)
    }
}

/// Opens a shop.
///
/// # Errors
/// [`StoreError::Conflict`] when its area has one.
pub async fn open(conn: &impl ConnectionTrait, shop: &ShopRow) -> Result<(), StoreError> {
    let mut rows = Rows::new(6);
    rows.push([
        shop.id.into(),
        shop.county.clone().into(),
        shop.area_code.clone().into(),
        shop.name.clone().into(),
        shop.opened_by.into(),
        shop.opened_at.into(),
    ]);
    let opened = rows.insert(conn, &format!("shop ({SHOP})"), "ON CONFLICT DO NOTHING").await?;
    if opened == 1 { Ok(()) } else { Err(StoreError::Conflict) }
}

/// A shop of the county.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    id: Uuid,
) -> Result<Option<ShopRow>, StoreError> {
    let text = format!("SELECT {SHOP} FROM shop WHERE id = $1 AND county = $2");
    sql::one(conn, &text, vec![id.into(), county.to_string().into()]).await
}

/// Shops of the county, newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<ShopRow>, StoreError> {
    page(conn, &format!("SELECT {SHOP} FROM shop WHERE county = $1"), county, None, before, limit).await
}

/// A page of a county's rows, of one shop where one is named; newest first.
async fn page<T: FromQueryResult>(
    conn: &impl ConnectionTrait,
    text: &str,
    county: AreaCode,
    shop: Option<Uuid>,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<T>, StoreError> {
    let mut text = text.to_owned();
    let mut values: Vec<Value> = vec![county.to_string().into()];
    if let Some(shop) = shop {
        values.push(shop.into());
        text.push_str(&format!(" AND shop_id = ${}", values.len()));
    }
    sql::newest_first(&mut text, &mut values, before, limit);
    sql::all(conn, &text, values).await
}

/// Who keeps the shop of an area: those who hold the role for exactly this area.
///
/// # Errors
/// When the database fails.
pub async fn keepers(conn: &impl ConnectionTrait, area: AreaCode) -> Result<Vec<Uuid>, StoreError> {
    #[derive(FromQueryResult)]
    struct Keeper {
        person_id: Uuid,
    }
    let text = "SELECT person_id FROM role_grant WHERE role = 'shopkeeper' AND area_code = $1 \
                AND team_id IS NULL AND revoked_at IS NULL ORDER BY id";
    let found: Vec<Keeper> = sql::all(conn, text, vec![area.to_string().into()]).await?;
    Ok(found.into_iter().map(|keeper| keeper.person_id).collect())
}

/// Takes the role of a keeper from somebody; counts at his next request.
///
/// # Errors
/// When the database fails.
pub async fn dismiss_keeper(
    conn: &impl ConnectionTrait,
    area: AreaCode,
    person: Uuid,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let text = "UPDATE role_grant SET revoked_at = $3 WHERE role = 'shopkeeper' AND area_code = $1 \
                AND person_id = $2 AND team_id IS NULL AND revoked_at IS NULL";
    sql::run(conn, text, vec![area.to_string().into(), person.into(), now.into()]).await?;
    Ok(())
}

/// Offers goods, with nothing in stock.
///
/// # Errors
/// When the database fails.
pub async fn insert_goods(conn: &impl ConnectionTrait, goods: &GoodsRow) -> Result<(), StoreError> {
    let mut rows = Rows::new(9);
    rows.push([
        goods.id.into(),
        goods.county.clone().into(),
        goods.shop_id.into(),
        goods.area_code.clone().into(),
        goods.name.clone().into(),
        goods.price.into(),
        goods.stock.into(),
        goods.active.into(),
        goods.created_at.into(),
    ]);
    rows.insert(conn, &format!("shop_goods ({GOODS})"), "").await?;
    Ok(())
}

/// Names and prices goods anew, or takes them off the shelf. What is reserved keeps its price.
///
/// # Errors
/// When the database fails.
pub async fn change_goods(
    conn: &impl ConnectionTrait,
    id: Uuid,
    name: &str,
    price: i64,
    active: bool,
) -> Result<(), StoreError> {
    let text = "UPDATE shop_goods SET name = $2, price = $3, active = $4 WHERE id = $1";
    sql::run(conn, text, vec![id.into(), name.into(), price.into(), active.into()]).await?;
    Ok(())
}

/// Goods of the county.
///
/// # Errors
/// When the database fails.
pub async fn find_goods(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    id: Uuid,
) -> Result<Option<GoodsRow>, StoreError> {
    let text = format!("SELECT {GOODS} FROM shop_goods WHERE id = $1 AND county = $2");
    sql::one(conn, &text, vec![id.into(), county.to_string().into()]).await
}

/// Goods of the county, or of one shop; newest first.
///
/// # Errors
/// When the database fails.
pub async fn list_goods(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    shop: Option<Uuid>,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<GoodsRow>, StoreError> {
    page(conn, &format!("SELECT {GOODS} FROM shop_goods WHERE county = $1"), county, shop, before, limit)
        .await
}

/// Changes a stock and writes down why. `price` is the one that somebody was told: goods that were priced anew or taken
/// off the shelf meanwhile are not reserved.
///
/// # Errors
/// [`StoreError::Stock`] when the stock would fall below zero or grow beyond what a shop keeps, or the goods are not
/// offered at that price; the transaction must then be rolled back.
pub async fn move_stock(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    movement: &Movement,
    price: Option<i64>,
) -> Result<(), StoreError> {
    let mut values: Vec<Value> = vec![movement.goods.into(), movement.quantity.into(), STOCK_LARGEST.into()];
    let mut text = "UPDATE shop_goods SET stock = stock + $2 WHERE id = $1 AND stock + $2 >= 0 \
                    AND (stock + $2 <= $3 OR $2 < 0)"
        .to_owned();
    // Goods that come back are taken in whatever is there meanwhile.
    if movement.kind == MovementKind::Return {
        values.truncate(2);
        text = "UPDATE shop_goods SET stock = stock + $2 WHERE id = $1".to_owned();
    }
    if let Some(price) = price {
        values.push(price.into());
        text.push_str(&format!(" AND active AND price = ${}", values.len()));
    }
    if sql::run(conn, &text, values).await? != 1 {
        return Err(StoreError::Stock);
    }
    let mut rows = Rows::new(10);
    rows.push([
        movement.id.into(),
        county.to_string().into(),
        movement.shop.into(),
        movement.goods.into(),
        movement.kind.as_str().into(),
        movement.quantity.into(),
        movement.source.into(),
        movement.at.into(),
        movement.by.into(),
        movement.reason.clone().into(),
    ]);
    let into =
        "shop_movement (id, county, shop_id, goods_id, kind, quantity, source_id, at, moved_by, reason)";
    rows.insert(conn, into, "").await?;
    Ok(())
}

/// Writes a line into the donation book.
///
/// # Errors
/// When the database fails.
pub async fn insert_donation(conn: &impl ConnectionTrait, donation: &DonationRow) -> Result<(), StoreError> {
    let mut rows = Rows::new(10);
    rows.push([
        donation.id.into(),
        donation.county.clone().into(),
        donation.shop_id.into(),
        donation.area_code.clone().into(),
        donation.goods_id.into(),
        donation.donor.clone().into(),
        donation.donor_id.into(),
        donation.quantity.into(),
        donation.received_by.into(),
        donation.received_at.into(),
    ]);
    rows.insert(conn, &format!("shop_donation ({DONATION})"), "").await?;
    Ok(())
}

/// The donation book of the county, or of one shop; newest first.
///
/// # Errors
/// When the database fails.
pub async fn donations(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    shop: Option<Uuid>,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<DonationRow>, StoreError> {
    let text = format!("SELECT {DONATION} FROM shop_donation WHERE county = $1");
    page(conn, &text, county, shop, before, limit).await
}
