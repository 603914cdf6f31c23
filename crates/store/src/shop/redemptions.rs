//! The exchange book (兑换簿). A redemption ends by one guarded update: of several who end it at one moment one wins, and
//! what he does with points and goods stands in the same transaction.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::shop::RedemptionStatus;

use crate::scope::own_or_in;
use crate::sql::{self, Rows};
use crate::{StoreError, unreadable};

/// A redemption.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct RedemptionRow {
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
    /// What they were called.
    pub goods_name: String,
    /// Who reserved them.
    pub person_id: Uuid,
    /// Pieces.
    pub quantity: i64,
    /// Points for one piece, as of the reservation.
    pub price: i64,
    /// See [`RedemptionStatus`].
    pub status: String,
    /// A keyed hash of the code.
    pub code_hash: Vec<u8>,
    /// The transaction that reserved the points.
    pub transaction_id: Uuid,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Who ended it; none for the sweep.
    pub ended_by: Option<Uuid>,
    /// Why it was called off, masked.
    pub reason: Option<String>,
}

const REDEMPTION: &str = "id, county, shop_id, area_code, goods_id, goods_name, person_id, quantity, price, status, \
                          code_hash, transaction_id, made_at, expires_at, ended_at, ended_by, reason";

impl RedemptionRow {
    /// The shop's area.
    ///
    /// # Errors
    /// When the row says something that is none.
    pub fn area(&self) -> Result<AreaCode, StoreError> {
        super::area(&self.area_code)
    }

    /// Where it stands.
    ///
    /// # Errors
    /// When the row says something that is none.
    pub fn status(&self) -> Result<RedemptionStatus, StoreError> {
        RedemptionStatus::parse(&self.status).ok_or_else(|| unreadable(&self.status))
    }
}

/// Writes a line into the exchange book.
///
/// # Errors
/// [`StoreError::Conflict`] when another redemption has the same code.
pub async fn insert(conn: &impl ConnectionTrait, redemption: &RedemptionRow) -> Result<(), StoreError> {
    let mut rows = Rows::new(17);
    rows.push([
        redemption.id.into(),
        redemption.county.clone().into(),
        redemption.shop_id.into(),
        redemption.area_code.clone().into(),
        redemption.goods_id.into(),
        redemption.goods_name.clone().into(),
        redemption.person_id.into(),
        redemption.quantity.into(),
        redemption.price.into(),
        redemption.status.clone().into(),
        redemption.code_hash.clone().into(),
        redemption.transaction_id.into(),
        redemption.made_at.into(),
        redemption.expires_at.into(),
        redemption.ended_at.into(),
        redemption.ended_by.into(),
        redemption.reason.clone().into(),
    ]);
    let into = format!("shop_redemption ({REDEMPTION})");
    let written = rows.insert(conn, &into, "ON CONFLICT DO NOTHING").await?;
    if written == 1 { Ok(()) } else { Err(StoreError::Conflict) }
}

/// Ends a redemption that is reserved.
///
/// # Errors
/// [`StoreError::Conflict`] when it has ended already.
pub async fn end(conn: &impl ConnectionTrait, redemption: &RedemptionRow) -> Result<(), StoreError> {
    let text = "UPDATE shop_redemption SET status = $2, ended_at = $3, ended_by = $4, reason = $5 \
                WHERE id = $1 AND status = 'reserved'";
    let values = vec![
        redemption.id.into(),
        redemption.status.clone().into(),
        redemption.ended_at.into(),
        redemption.ended_by.into(),
        redemption.reason.clone().into(),
    ];
    sql::change_one(conn, text, values).await
}

/// A redemption of the county.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    id: Uuid,
) -> Result<Option<RedemptionRow>, StoreError> {
    let text = format!("SELECT {REDEMPTION} FROM shop_redemption WHERE id = $1 AND county = $2");
    sql::one(conn, &text, vec![id.into(), county.to_string().into()]).await
}

/// The redemption of a code, by its keyed hash.
///
/// # Errors
/// When the database fails.
pub async fn find_by_code(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    code_hash: &[u8],
) -> Result<Option<RedemptionRow>, StoreError> {
    let text = format!("SELECT {REDEMPTION} FROM shop_redemption WHERE county = $1 AND code_hash = $2");
    sql::one(conn, &text, vec![county.to_string().into(), code_hash.to_vec().into()]).await
}

/// Redemptions whose time is over, the oldest first.
///
/// # Errors
/// When the database fails.
pub async fn overdue(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    now: DateTime<Utc>,
    limit: u64,
) -> Result<Vec<RedemptionRow>, StoreError> {
    let text = format!(
        "SELECT {REDEMPTION} FROM shop_redemption WHERE status = 'reserved' AND expires_at <= $1 AND county = $2 \
         ORDER BY expires_at LIMIT {limit}"
    );
    sql::all(conn, &text, vec![now.into(), county.to_string().into()]).await
}

/// Which part of the exchange book somebody asks for, and reaches.
#[derive(Clone, Debug)]
pub struct Filter<'a> {
    /// The county.
    pub county: AreaCode,
    /// His own are among them.
    pub person: Uuid,
    /// So are those of the shops of these areas.
    pub areas: &'a [AreaCode],
    /// Only those of this shop.
    pub shop: Option<Uuid>,
    /// Only those behind this one.
    pub before: Option<Uuid>,
    /// Most.
    pub limit: u64,
}

/// Redemptions of somebody, or of the shops of his areas; newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(
    conn: &impl ConnectionTrait,
    filter: &Filter<'_>,
) -> Result<Vec<RedemptionRow>, StoreError> {
    let mut values: Vec<Value> = vec![filter.county.to_string().into(), filter.person.into()];
    let reached = own_or_in("person_id = $2", filter.areas, &mut values);
    let mut text = format!("SELECT {REDEMPTION} FROM shop_redemption WHERE county = $1 AND {reached}");
    if let Some(shop) = filter.shop {
        values.push(shop.into());
        text.push_str(&format!(" AND shop_id = ${}", values.len()));
    }
    sql::newest_first(&mut text, &mut values, filter.before, filter.limit);
    sql::all(conn, &text, values).await
}
