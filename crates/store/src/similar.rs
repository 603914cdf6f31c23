//! What may be the same as an order that is about to be placed.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;

use crate::StoreError;
use crate::orders::{COLUMNS, Row, StoredOrder};
use crate::scope::Scope;
use crate::sql;

/// Orders that could be the same: of this village, or of this requester, placed since then, and not called off. At most
/// `limit`, the newest first, and only what the scope reaches.
///
/// # Errors
/// When the database fails or a row cannot be read.
pub async fn candidates(
    conn: &impl ConnectionTrait,
    scope: &Scope,
    village: AreaCode,
    requester: Option<Uuid>,
    since: DateTime<Utc>,
    limit: u64,
) -> Result<Vec<StoredOrder>, StoreError> {
    let mut values: Vec<Value> = vec![since.into(), village.to_string().into()];
    let mut near = "substr(o.area_code, 1, 12) = $2".to_owned();
    if let Some(requester) = requester {
        values.push(requester.into());
        near = format!("({near} OR o.requester_id = ${})", values.len());
    }
    let condition = scope.condition(&mut values);
    let text = format!(
        "SELECT {COLUMNS} FROM orders o WHERE {near} AND o.placed_at >= $1 AND o.status <> 'cancelled' AND {condition} \
         ORDER BY o.id DESC LIMIT {limit}"
    );
    sql::all::<Row>(conn, &text, values).await?.into_iter().map(StoredOrder::try_from).collect()
}
