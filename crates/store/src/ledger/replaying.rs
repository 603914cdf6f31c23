//! The awards of a month as they stand, in the order in which they were booked, for a replay under other rules.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::scoring::{Replayed, SHOP_RULE};

use crate::sql;
use crate::{StoreError, unreadable};

/// Awards read at once.
pub const PIECE: u64 = 2_000;

/// Awards of what happened from `from` to before `to`, behind transaction `after`, that nothing has taken back. Answers
/// them with their ids.
///
/// # Errors
/// When the database fails or a row cannot be read.
pub async fn awards(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    after: Option<Uuid>,
) -> Result<Vec<(Uuid, Replayed)>, StoreError> {
    #[derive(FromQueryResult)]
    struct Row {
        id: Uuid,
        owner_id: Uuid,
        area_code: String,
        at: DateTime<Utc>,
        source_type: String,
        source_id: Uuid,
        rule_code: String,
        inputs: String,
        points: i64,
    }
    let mut values: Vec<Value> = vec![county.to_string().into(), from.into(), to.into(), SHOP_RULE.into()];
    let mut behind = "";
    if let Some(after) = after {
        values.push(after.into());
        behind = "AND t.id > $5";
    }
    let text = format!(
        "SELECT t.id, e.owner_id, t.area_code, t.at, t.source_type, t.source_id, t.rule_code, \
         t.inputs, e.points FROM score_transaction t \
         JOIN score_entry e ON e.transaction_id = t.id AND e.purse = 'assessment' AND e.owner_id IS NOT NULL \
         WHERE t.county = $1 AND t.at >= $2 AND t.at < $3 AND t.reverses IS NULL AND t.rule_code <> $4 \
         AND NOT EXISTS (SELECT 1 FROM score_transaction r WHERE r.reverses = t.id AND r.cause IN ('reversal', 'void')) \
         {behind} ORDER BY t.id LIMIT {PIECE}"
    );
    let rows: Vec<Row> = sql::all(conn, &text, values).await?;
    rows.into_iter()
        .map(|row| {
            let replayed = Replayed {
                person: row.owner_id,
                area: row.area_code.parse().map_err(unreadable)?,
                at: row.at,
                source_type: row.source_type.parse().map_err(unreadable)?,
                source_id: row.source_id,
                rule_code: row.rule_code,
                inputs: serde_json::from_str(&row.inputs).map_err(unreadable)?,
                points: row.points,
            };
            Ok((row.id, replayed))
        })
        .collect()
}
