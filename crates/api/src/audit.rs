//! The audit log: who read somebody's data.

use actix_web::{HttpRequest, HttpResponse, get, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use xingfuma_app::witness::AccessedBy;
use xingfuma_store::audit::AuditRow;

use crate::State;
use crate::extract::{Items, LoggedIn, Page, query};
use crate::problem::{Problem, ProblemBody};

/// A line of the audit log. Ids only; nothing in it tells who somebody is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AccessJson {
    id: Uuid,
    at: DateTime<Utc>,
    /// Who did it; absent for the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    person_id: Option<Uuid>,
    /// What: `contact_opened`, `contact_read`, `contact_revealed`, `data_exported`, `person_erased`, `audit_read`, and
    /// `refused` for an attempt that was not let through.
    #[schema(example = "contact_revealed")]
    action: String,
    resource_id: Uuid,
    /// Why, masked; for what was refused, what was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<AuditRow> for AccessJson {
    fn from(row: AuditRow) -> AccessJson {
        AccessJson {
            id: row.id,
            at: row.at,
            person_id: row.person_id,
            action: row.action,
            resource_id: row.resource_id,
            reason: row.reason,
        }
    }
}

/// Whose data, and which page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct AccessesOf {
    /// This person's data; either this or `orderId`.
    person_id: Option<Uuid>,
    /// The data of whoever ordered this.
    order_id: Option<Uuid>,
    /// Most items, at most 100.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u64>,
    /// Where the page before ended.
    cursor: Option<String>,
}

/// Who read or touched somebody's data, and who tried to, newest first. For the county's administrators and auditors;
/// asking is logged too.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(AccessesOf), security(("bearer" = [])),
    responses((status = 200, body = Items<AccessJson>), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[get("/api/v1/audit")]
async fn accesses(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let AccessesOf { person_id, order_id, limit, cursor } = query(&request)?;
    let of = match (person_id, order_id) {
        (Some(person), None) => AccessedBy::Person(person),
        (None, Some(order)) => AccessedBy::Order(order),
        _ => return Err(Problem::new(400, "malformed_request").with_detail("either personId or orderId")),
    };
    let page = Page { limit, cursor };
    let (limit, before) = (page.limit()?, page.before()?);
    let app = state.app.clone();
    let found = state.app.run(async move { app.accesses(&caller, of, before, limit).await }).await?;
    let last = found.rows.last().map(|row| row.id);
    let items: Vec<AccessJson> = found.rows.into_iter().map(AccessJson::from).collect();
    Ok(HttpResponse::Ok().json(Items::page(items, limit, last)))
}
