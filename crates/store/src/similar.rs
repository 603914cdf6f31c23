//! What may be the same as an order that is about to be placed.

use sea_orm::{ConnectionTrait, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;

use crate::StoreError;
use crate::orders::{COLUMNS, Row, StoredOrder};
use crate::scope::Scope;
use crate::sql;

/// Orders that could be the same: of this village, or of this requester, not called off, with an id from `since` on. At
/// most `limit`, the newest first, and only what the scope reaches.
///
/// # Errors
/// When the database fails or a row cannot be read.
pub async fn candidates(
    conn: &impl ConnectionTrait,
    scope: &Scope,
    village: AreaCode,
    requester: Option<Uuid>,
    since: Uuid,
    limit: u64,
) -> Result<Vec<StoredOrder>, StoreError> {
    let (text, values) = candidates_text(scope, village, requester, since, limit);
    sql::all::<Row>(conn, &text, values).await?.into_iter().map(StoredOrder::try_from).collect()
}

/// A union of two walks, each from `since` on in an index of its own: an `OR` of both would walk all orders.
pub(crate) fn candidates_text(
    scope: &Scope,
    village: AreaCode,
    requester: Option<Uuid>,
    since: Uuid,
    limit: u64,
) -> (String, Vec<Value>) {
    let mut values: Vec<Value> = vec![since.into(), village.to_string().into()];
    let mut near = "SELECT id FROM orders WHERE substr(area_code, 1, 12) = $2 AND id >= $1".to_owned();
    if let Some(requester) = requester {
        values.push(requester.into());
        near.push_str(" UNION SELECT id FROM orders WHERE requester_id = $3 AND id >= $1");
    }
    let condition = scope.condition(&mut values);
    let text = format!(
        "SELECT {COLUMNS} FROM orders o WHERE o.id IN ({near}) AND o.status <> 'cancelled' AND {condition} \
         ORDER BY o.id DESC LIMIT {limit}"
    );
    (text, values)
}
