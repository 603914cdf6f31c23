//! The books of a shop, added up: goods from their movements, points from the ledger and from the exchange book.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use uuid::Uuid;

use crate::StoreError;
use crate::sql;

/// The goods of a shop over a span of time, in pieces.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct GoodsBook {
    /// The goods.
    pub goods_id: Uuid,
    /// What they are called now.
    pub name: String,
    /// The stock now, as the goods' row says.
    pub stock: i64,
    /// The stock now, as all movements add up to.
    pub stock_by_movements: i64,
    /// The stock when the span began.
    pub opening: i64,
    /// Given in it.
    pub donated: i64,
    /// Found more, or less, when somebody counted.
    pub counted: i64,
    /// Reserved in it, whatever became of that.
    pub reserved: i64,
    /// Gone back in it: called off, or not fetched in time.
    pub returned: i64,
    /// The stock when the span ended.
    pub closing: i64,
}

/// The points of a shop over a span of time: by the ledger, and by the exchange book.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromQueryResult)]
pub struct PointsBook {
    /// Spent here in the span, as the ledger's entries add up to.
    pub spent_by_ledger: i64,
    /// Spent here in the span, as the redemptions handed over add up to.
    pub spent_by_redemptions: i64,
    /// The shop's account now, as the ledger's entries add up to.
    pub balance_by_ledger: i64,
    /// The shop's account now, as all redemptions handed over add up to.
    pub balance_by_redemptions: i64,
    /// Redemptions handed over in the span.
    pub handed_over: i64,
    /// Redemptions that wait at this moment.
    pub waiting: i64,
}

/// The goods of a shop from `from` to before `to`.
///
/// # Errors
/// When the database fails.
pub async fn goods(
    conn: &impl ConnectionTrait,
    shop: Uuid,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<GoodsBook>, StoreError> {
    let sum = |condition: &str, sign: &str| {
        format!("CAST(coalesce(sum(CASE WHEN {condition} THEN {sign}m.quantity ELSE 0 END), 0) AS bigint)")
    };
    let within =
        |kind: &str, sign: &str| sum(&format!("m.kind = '{kind}' AND m.at >= $2 AND m.at < $3"), sign);
    let text = format!(
        "SELECT g.id AS goods_id, g.name, g.stock, CAST(coalesce(sum(m.quantity), 0) AS bigint) AS stock_by_movements, \
         {} AS opening, {} AS donated, {} AS counted, {} AS reserved, {} AS returned, {} AS closing \
         FROM shop_goods g LEFT JOIN shop_movement m ON m.goods_id = g.id AND m.shop_id = g.shop_id \
         WHERE g.shop_id = $1 GROUP BY g.id, g.name, g.stock ORDER BY g.id",
        sum("m.at < $2", ""),
        within("donation", ""),
        within("count", ""),
        within("reservation", "-"),
        within("return", ""),
        sum("m.at < $3", ""),
    );
    sql::all(conn, &text, vec![shop.into(), from.into(), to.into()]).await
}

/// The points of a shop from `from` to before `to`.
///
/// # Errors
/// When the database fails.
pub async fn points(
    conn: &impl ConnectionTrait,
    shop: Uuid,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<PointsBook, StoreError> {
    let entries = "FROM score_entry e JOIN score_transaction t ON t.id = e.transaction_id \
                   WHERE e.owner_id = $1 AND e.kind = 'shop' AND e.purse = 'spendable'";
    let handed = "FROM shop_redemption WHERE shop_id = $1 AND status = 'handed_over'";
    let text = format!(
        "SELECT (SELECT CAST(coalesce(sum(e.points), 0) AS bigint) {entries} AND t.at >= $2 AND t.at < $3) \
         AS spent_by_ledger, \
         (SELECT CAST(coalesce(sum(price * quantity), 0) AS bigint) {handed} AND ended_at >= $2 AND ended_at < $3) \
         AS spent_by_redemptions, \
         (SELECT CAST(coalesce(sum(e.points), 0) AS bigint) {entries}) AS balance_by_ledger, \
         (SELECT CAST(coalesce(sum(price * quantity), 0) AS bigint) {handed}) AS balance_by_redemptions, \
         (SELECT count(*) {handed} AND ended_at >= $2 AND ended_at < $3) AS handed_over, \
         (SELECT count(*) FROM shop_redemption WHERE shop_id = $1 AND status = 'reserved') AS waiting"
    );
    let found: Option<PointsBook> = sql::one(conn, &text, vec![shop.into(), from.into(), to.into()]).await?;
    Ok(found.unwrap_or_default())
}
