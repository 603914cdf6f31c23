//! Signs that are revoked and replaced, and what people report about them.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;

use crate::scope::area_condition;
use crate::sql::{self, Rows};
use crate::{StoreError, directory};

/// Puts a sign in force.
///
/// # Errors
/// A unique violation when the code is taken.
pub async fn insert(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    code: &str,
    area: AreaCode,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut rows = Rows::new(5);
    rows.push([code.into(), county.to_string().into(), area.to_string().into(), "active".into(), now.into()]);
    rows.insert(conn, "sign (code, county, area_code, status, created_at)", "").await?;
    directory::touch(conn, county).await
}

/// What somebody said about a sign.
#[derive(Clone, Debug, FromQueryResult)]
pub struct ReportRow {
    /// The id.
    pub id: Uuid,
    /// The county's code.
    pub county: String,
    /// The sign's code.
    pub code: String,
    /// Where the sign belongs.
    pub area_code: String,
    /// What is wrong.
    pub kind: String,
    /// In his words, masked.
    pub note: Option<String>,
    /// When.
    pub reported_at: DateTime<Utc>,
}

/// Keeps a report.
///
/// # Errors
/// When the database fails.
pub async fn report(conn: &impl ConnectionTrait, report: &ReportRow) -> Result<(), StoreError> {
    let mut rows = Rows::new(7);
    rows.push([
        report.id.into(),
        report.county.clone().into(),
        report.code.clone().into(),
        report.area_code.clone().into(),
        report.kind.clone().into(),
        report.note.clone().into(),
        report.reported_at.into(),
    ]);
    rows.insert(conn, "sign_report (id, county, code, area_code, kind, note, reported_at)", "").await?;
    Ok(())
}

const COLUMNS: &str = "id, county, code, area_code, kind, note, reported_at";

/// Reports of these areas that nobody has closed, newest first.
///
/// # Errors
/// When the database fails.
pub async fn open_reports(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    areas: &[AreaCode],
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<ReportRow>, StoreError> {
    if areas.is_empty() {
        return Ok(Vec::new());
    }
    let mut values: Vec<Value> = vec![county.to_string().into()];
    let any: Vec<String> = areas.iter().map(|area| area_condition("area_code", *area, &mut values)).collect();
    let mut text = format!(
        "SELECT {COLUMNS} FROM sign_report WHERE county = $1 AND closed_at IS NULL AND ({})",
        any.join(" OR ")
    );
    sql::newest_first(&mut text, &mut values, before, limit);
    sql::all(conn, &text, values).await
}

/// A report, open or closed.
///
/// # Errors
/// When the database fails.
pub async fn find_report(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    id: Uuid,
) -> Result<Option<ReportRow>, StoreError> {
    let text = format!("SELECT {COLUMNS} FROM sign_report WHERE id = $1 AND county = $2");
    sql::one(conn, &text, vec![id.into(), county.to_string().into()]).await
}

/// Closes a report; answers `false` when somebody else did.
///
/// # Errors
/// When the database fails.
pub async fn close_report(
    conn: &impl ConnectionTrait,
    id: Uuid,
    by: Uuid,
    outcome: &str,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let text = "UPDATE sign_report SET closed_at = $2, closed_by = $3, outcome = $4 \
                WHERE id = $1 AND closed_at IS NULL";
    let values = vec![id.into(), now.into(), by.into(), outcome.into()];
    Ok(sql::run(conn, text, values).await? == 1)
}
