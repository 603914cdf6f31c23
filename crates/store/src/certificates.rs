//! 志愿服务记录证明: requested, signed, ended. What is signed is frozen by a trigger, and bound by its seal.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::certificate::{self, CertificateStatus, Content};

use crate::scope::own_or_in;
use crate::sql::{self, Rows};
use crate::{StoreError, unreadable};

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct CertificateRow {
    /// The id.
    pub id: Uuid,
    /// The county.
    pub county: String,
    /// The person's grid when it was asked for.
    pub area_code: String,
    /// Whose services.
    pub person_id: Uuid,
    /// The first day, `YYYY-MM-DD`.
    pub from_day: String,
    /// The last day.
    pub to_day: String,
    /// The certificate that it is to stand in for.
    pub replaces: Option<Uuid>,
    /// Who asked for it.
    pub requested_by: Uuid,
    /// When.
    pub requested_at: DateTime<Utc>,
    /// See [`CertificateStatus`].
    pub status: String,
    /// The number, once it is signed.
    pub number: Option<String>,
    /// What it says, frozen: a [`Content`] as JSON.
    pub content: Option<String>,
    /// The hash of that.
    pub seal: Option<Vec<u8>>,
    /// Names, sealed under the person's key.
    pub private: Option<Vec<u8>>,
    /// Who signed: the handler.
    pub signed_by: Option<Uuid>,
    /// When.
    pub signed_at: Option<DateTime<Utc>>,
    /// Who refused or revoked it.
    pub ended_by: Option<Uuid>,
    /// When.
    pub ended_at: Option<DateTime<Utc>>,
    /// Why, masked.
    pub reason: Option<String>,
}

const COLUMNS: &str = "id, county, area_code, person_id, from_day, to_day, replaces, requested_by, requested_at, \
                       status, number, content, seal, private, signed_by, signed_at, ended_by, ended_at, reason";

impl CertificateRow {
    /// The person's grid.
    ///
    /// # Errors
    /// When the row says something that is none.
    pub fn area(&self) -> Result<AreaCode, StoreError> {
        self.area_code.parse().map_err(unreadable)
    }

    /// Where it stands.
    ///
    /// # Errors
    /// When the row says something that is none.
    pub fn status(&self) -> Result<CertificateStatus, StoreError> {
        CertificateStatus::parse(&self.status).ok_or_else(|| unreadable("the status of a certificate"))
    }

    /// What it says, once it is signed; and whether that still has its hash.
    ///
    /// # Errors
    /// When the content cannot be read.
    pub fn content(&self) -> Result<Option<(Content, bool)>, StoreError> {
        let Some(text) = &self.content else { return Ok(None) };
        let sealed = self.seal.as_deref() == Some(&certificate::seal(text)[..]);
        Ok(Some((serde_json::from_str(text).map_err(unreadable)?, sealed)))
    }
}

/// Stores a request.
///
/// # Errors
/// When the database fails.
pub async fn insert(conn: &impl ConnectionTrait, row: &CertificateRow) -> Result<(), StoreError> {
    let mut rows = Rows::new(10);
    rows.push([
        row.id.into(),
        row.county.clone().into(),
        row.area_code.clone().into(),
        row.person_id.into(),
        row.from_day.clone().into(),
        row.to_day.clone().into(),
        row.replaces.into(),
        row.requested_by.into(),
        row.requested_at.into(),
        row.status.clone().into(),
    ]);
    let into = "certificate (id, county, area_code, person_id, from_day, to_day, replaces, requested_by, \
                requested_at, status)";
    rows.insert(conn, into, "").await?;
    Ok(())
}

/// Freezes what a request says, and takes the one that it replaces out of force.
///
/// # Errors
/// [`StoreError::Conflict`] when it does not wait any more.
pub async fn sign(conn: &impl ConnectionTrait, row: &CertificateRow) -> Result<(), StoreError> {
    let text = "UPDATE certificate SET status = 'issued', number = $2, content = $3, seal = $4, private = $5, \
                signed_by = $6, signed_at = $7 WHERE id = $1 AND status = 'requested'";
    let values = vec![
        row.id.into(),
        row.number.clone().into(),
        row.content.clone().into(),
        row.seal.clone().into(),
        row.private.clone().into(),
        row.signed_by.into(),
        row.signed_at.into(),
    ];
    sql::change_one(conn, text, values).await?;
    if let Some(before) = row.replaces {
        let text = "UPDATE certificate SET status = 'replaced' WHERE id = $1 AND status = 'issued'";
        sql::run(conn, text, vec![before.into()]).await?;
    }
    Ok(())
}

/// Refuses a request, or revokes what was issued: whichever its new status is.
///
/// # Errors
/// [`StoreError::Conflict`] when it stands elsewhere by now.
pub async fn end(conn: &impl ConnectionTrait, row: &CertificateRow) -> Result<(), StoreError> {
    let from = if row.status == "refused" { "('requested')" } else { "('issued', 'replaced')" };
    let text = format!(
        "UPDATE certificate SET status = $2, ended_by = $3, ended_at = $4, reason = $5 \
         WHERE id = $1 AND status IN {from}"
    );
    let values = vec![
        row.id.into(),
        row.status.clone().into(),
        row.ended_by.into(),
        row.ended_at.into(),
        row.reason.clone().into(),
    ];
    sql::change_one(conn, &text, values).await
}

/// A certificate of the county.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    id: Uuid,
) -> Result<Option<CertificateRow>, StoreError> {
    let text = format!("SELECT {COLUMNS} FROM certificate WHERE id = $1 AND county = $2");
    sql::one(conn, &text, vec![id.into(), county.to_string().into()]).await
}

/// The certificate of a number.
///
/// # Errors
/// When the database fails.
pub async fn by_number(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    number: &str,
) -> Result<Option<CertificateRow>, StoreError> {
    let text = format!("SELECT {COLUMNS} FROM certificate WHERE number = $1 AND county = $2");
    sql::one(conn, &text, vec![number.into(), county.to_string().into()]).await
}

/// Certificates of a person, and of his areas; newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    person: Uuid,
    areas: &[AreaCode],
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<CertificateRow>, StoreError> {
    let mut values: Vec<Value> = vec![county.to_string().into(), person.into()];
    let reached = own_or_in("person_id = $2", areas, &mut values);
    let mut text = format!("SELECT {COLUMNS} FROM certificate WHERE county = $1 AND {reached}");
    sql::newest_first(&mut text, &mut values, before, limit);
    sql::all(conn, &text, values).await
}

/// Whether points that one of these orders gave were reversed after a moment.
///
/// # Errors
/// When the database fails.
pub async fn reversed_since(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    orders: &[Uuid],
    since: DateTime<Utc>,
) -> Result<bool, StoreError> {
    const AT_ONCE: usize = 500;
    for piece in orders.chunks(AT_ONCE) {
        let mut values: Vec<Value> = vec![county.to_string().into(), since.into()];
        values.extend(piece.iter().map(|id| Value::from(*id)));
        let text = format!(
            "SELECT 1 AS found FROM score_transaction t JOIN score_transaction r ON r.reverses = t.id \
             WHERE t.county = $1 AND r.cause = 'reversal' AND r.at >= $2 AND t.source_type = 'order' \
             AND t.source_id IN ({}) LIMIT 1",
            sql::list(3, piece.len())
        );
        if conn.query_one_raw(sql::statement(conn, &text, values)).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Signed certificates whose content has another hash, in words.
///
/// # Errors
/// When the database fails.
pub async fn faults(conn: &impl ConnectionTrait, county: AreaCode) -> Result<Vec<String>, StoreError> {
    const PIECE: usize = 500;
    let (mut faults, mut after) = (Vec::new(), Uuid::nil());
    loop {
        let text = format!(
            "SELECT {COLUMNS} FROM certificate WHERE county = $1 AND seal IS NOT NULL AND id > $2 \
             ORDER BY id LIMIT {PIECE}"
        );
        let rows: Vec<CertificateRow> =
            sql::all(conn, &text, vec![county.to_string().into(), after.into()]).await?;
        for row in &rows {
            after = row.id;
            let whole = row.content().ok().flatten().filter(|(content, sealed)| {
                *sealed
                    && Some(content.number.as_str()) == row.number.as_deref()
                    && content.from.to_string() == row.from_day
                    && content.to.to_string() == row.to_day
            });
            if whole.is_none() {
                faults.push(format!("certificate {}: not what was signed", row.id));
            }
        }
        if rows.len() < PIECE {
            return Ok(faults);
        }
    }
}
