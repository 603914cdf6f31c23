//! 吹哨报到: departments, and the rows by which a department finds what it was called for.

use sea_orm::{ConnectionTrait, FromQueryResult};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::order::Event;

use crate::orders::Change;
use crate::sql::{self, Rows};
use crate::writing::Part;
use crate::{StoreError, directory};

/// A department.
#[derive(Clone, Debug, FromQueryResult)]
pub struct DepartmentRow {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
}

/// Active departments of a county, by name.
///
/// # Errors
/// When the database fails.
pub async fn departments(
    conn: &impl ConnectionTrait,
    county: AreaCode,
) -> Result<Vec<DepartmentRow>, StoreError> {
    let text = "SELECT id, name FROM department WHERE county = $1 AND active ORDER BY name, id";
    sql::all(conn, text, vec![county.to_string().into()]).await
}

/// Adds departments; the directory's stamp moves.
///
/// # Errors
/// When the database fails.
pub async fn insert_departments(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    departments: &[(Uuid, String)],
) -> Result<(), StoreError> {
    let mut rows = Rows::new(4);
    for (id, name) in departments {
        rows.push([(*id).into(), county.to_string().into(), name.as_str().into(), true.into()]);
    }
    rows.insert(conn, "department (id, county, name, active)", "").await?;
    directory::touch(conn, county).await
}

/// The people of a department.
///
/// # Errors
/// When the database fails.
pub async fn people_of(conn: &impl ConnectionTrait, department: Uuid) -> Result<Vec<Uuid>, StoreError> {
    #[derive(FromQueryResult)]
    struct Found {
        person_id: Uuid,
    }
    let text =
        "SELECT person_id FROM role_grant WHERE role = 'department' AND team_id = $1 AND revoked_at IS NULL";
    let found: Vec<Found> = sql::all(conn, text, vec![department.into()]).await?;
    Ok(found.into_iter().map(|found| found.person_id).collect())
}

/// The order that a department was called to.
///
/// # Errors
/// When the database fails.
pub async fn order_of(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    whistle: Uuid,
) -> Result<Option<Uuid>, StoreError> {
    #[derive(FromQueryResult)]
    struct Found {
        order_id: Uuid,
    }
    let text = "SELECT order_id FROM whistle WHERE id = $1 AND county = $2";
    let found: Option<Found> = sql::one(conn, text, vec![whistle.into(), county.to_string().into()]).await?;
    Ok(found.map(|found| found.order_id))
}

/// The rows of the calls that a change makes.
pub(crate) fn rows(change: &Change) -> Part {
    let order = &change.after.order;
    let mut rows = Rows::new(5);
    let called = change.records.iter().filter_map(|record| match &record.event {
        Event::Whistled { whistles } => Some(whistles),
        _ => None,
    });
    for whistle in called.flatten() {
        rows.push([
            whistle.id.into(),
            order.id.into(),
            order.county().to_string().into(),
            whistle.department.into(),
            whistle.called_at.into(),
        ]);
    }
    Part { rows, into: "whistle (id, order_id, county, department_id, called_at)", tail: "" }
}
