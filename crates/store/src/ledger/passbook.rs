//! What a person reads of the ledger: his balances and his lines.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::scoring::Inputs;

use crate::sql;
use crate::{StoreError, unreadable};

/// Balances of a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balances {
    /// Assessment points; spending does not touch them.
    pub assessment: i64,
    /// Points that can be spent.
    pub spendable: i64,
    /// Assessment points on hold.
    pub held: i64,
    /// Spendable points that are put aside for goods.
    pub reserved: i64,
}

/// The balances of a person.
///
/// # Errors
/// When the database fails.
pub async fn balances(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    person: Uuid,
) -> Result<Balances, StoreError> {
    #[derive(FromQueryResult)]
    struct Balance {
        kind: String,
        purse: String,
        balance: i64,
    }
    let text = "SELECT kind, purse, balance FROM score_account WHERE county = $1 AND owner_id = $2";
    let rows: Vec<Balance> = sql::all(conn, text, vec![county.to_string().into(), person.into()]).await?;
    let of = |kind: &str, purse: &str| {
        rows.iter().find(|row| row.kind == kind && row.purse == purse).map_or(0, |row| row.balance)
    };
    let held = of("hold", "assessment");
    Ok(Balances {
        assessment: of("person", "assessment"),
        spendable: of("person", "spendable"),
        held,
        // An award on hold lies there in both purses alike; what is there besides was reserved in a shop.
        reserved: of("hold", "spendable") - held,
    })
}

/// A line of a passbook.
#[derive(Clone, Debug, FromQueryResult)]
pub struct PassbookRow {
    /// The transaction.
    pub id: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// Its cause.
    pub cause: String,
    /// What it came from.
    pub source_type: String,
    /// Which of them.
    pub source_id: Uuid,
    /// The rule.
    pub rule_code: String,
    /// The rule's version.
    pub rule_version: i32,
    /// Assessment points.
    pub points: i64,
    /// Points that can be spent.
    pub spendable: i64,
    /// Points that are on hold at this moment.
    pub held: bool,
    /// What the points were computed from, as JSON.
    pub inputs: String,
}

impl PassbookRow {
    /// What the points were computed from.
    ///
    /// # Errors
    /// When the row cannot be read.
    pub fn inputs(&self) -> Result<Inputs, StoreError> {
        serde_json::from_str(&self.inputs).map_err(unreadable)
    }
}

/// A person's lines, newest first. Movements between his account and his hold are not lines of their own: those of an
/// award show as `held`, those for goods become a line when the goods are handed over.
///
/// # Errors
/// When the database fails.
pub async fn passbook(
    conn: &impl ConnectionTrait,
    person: Uuid,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<PassbookRow>, StoreError> {
    let mut values: Vec<sea_orm::Value> = vec![person.into()];
    let page = match before {
        Some(before) => {
            values.push(before.into());
            "AND e.transaction_id < $2"
        }
        None => "",
    };
    // On hold: put there by the line itself, or by a later answer; and not yet released or lost.
    let text = format!(
        "SELECT t.id, t.at, t.cause, t.source_type, t.source_id, t.rule_code, t.rule_version, t.inputs, l.points, l.spendable, \
         (EXISTS (SELECT 1 FROM score_transaction h WHERE h.reverses = t.id AND h.cause = 'hold' \
         AND NOT EXISTS (SELECT 1 FROM score_transaction r WHERE r.reverses = h.id)) \
         OR (l.on_hold > 0 AND NOT EXISTS (SELECT 1 FROM score_transaction a WHERE a.reverses = t.id))) AS held \
         FROM (SELECT e.transaction_id, \
         CAST(sum(CASE WHEN e.purse = 'assessment' THEN e.points ELSE 0 END) AS bigint) AS points, \
         CAST(sum(CASE WHEN e.purse = 'spendable' THEN e.points ELSE 0 END) AS bigint) AS spendable, \
         CAST(sum(CASE WHEN e.purse = 'assessment' AND e.kind = 'hold' THEN e.points ELSE 0 END) AS bigint) AS on_hold \
         FROM score_entry e WHERE e.owner_id = $1 {page} \
         GROUP BY e.transaction_id) l JOIN score_transaction t ON t.id = l.transaction_id \
         WHERE t.cause NOT IN ('hold', 'release', 'reserve') ORDER BY t.id DESC LIMIT {limit}"
    );
    sql::all(conn, &text, values).await
}
