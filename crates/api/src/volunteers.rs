//! Volunteers as their station sees them: who never reads, and handing on the work of somebody who leaves.

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use xingfuma_app::transfer::TransferRequest;

use crate::State;
use crate::extract::{Body, Items, LoggedIn, Page, id, once_silently, query, respond};
use crate::problem::{Problem, ProblemBody};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UnreadParams {
    /// Most items, at most 100.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u64>,
    /// Where the page before ended.
    cursor: Option<String>,
    /// Only this subtree.
    area_code: Option<String>,
}

/// Somebody whose messages stay unread.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct UnreadJson {
    volunteer_id: Uuid,
    surname: String,
    team_id: Uuid,
    team_name: String,
    /// Messages older than a day that he has not read.
    #[schema(example = 5)]
    messages: i64,
    /// How many of them offer him an order.
    #[schema(example = 4)]
    offers: i64,
    /// When the oldest of them came.
    since: DateTime<Utc>,
}

/// Volunteers of the caller's areas with three or more messages that stayed unread for a day: for the station to phone.
/// It is information; nothing else follows from it.
#[utoipa::path(get, path = "/api/v1/volunteers/unread", tag = "dispatch", params(UnreadParams),
    security(("bearer" = [])),
    responses((status = 200, body = Items<UnreadJson>), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody)))]
#[get("/api/v1/volunteers/unread")]
async fn unread(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let params: UnreadParams = query(&request)?;
    let page = Page { limit: params.limit, cursor: params.cursor };
    let (limit, after) = (page.limit()?, page.before()?);
    let bad = |_| Problem::new(400, "malformed_request").with_detail("areaCode");
    let area = params.area_code.map(|code| code.parse().map_err(bad)).transpose()?;
    let app = state.app.clone();
    let rows = state.app.run(async move { app.never_read(&caller, area, after, limit).await }).await?;
    let last = rows.last().map(|row| row.person_id);
    let directory = state.app.directory();
    let item = |row: xingfuma_store::inbox::Unread| UnreadJson {
        volunteer_id: row.person_id,
        surname: row.surname,
        team_id: row.team_id,
        team_name: directory.team(row.team_id).map(|team| team.name.clone()).unwrap_or_default(),
        messages: row.messages,
        offers: row.offers,
        since: row.since,
    };
    let items: Vec<UnreadJson> = rows.into_iter().map(item).collect();
    Ok(HttpResponse::Ok().json(Items::page(items, limit, last)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct TransferBody {
    /// Who takes over; left out, each order goes back to his team.
    to_volunteer_id: Option<Uuid>,
    /// Why; at most 200 characters.
    #[schema(example = "外出务工，不再担任志愿者")]
    reason: String,
    /// He is suspended with it: offered nothing any more, and his roles end.
    #[serde(default)]
    suspend: bool,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TransferJson {
    id: Uuid,
    /// Orders handed on.
    handed_on: i32,
    /// Orders that he still holds; they are tried again.
    left: usize,
}

/// Hand on all open orders of a volunteer who leaves: his team's leader, a dispatcher over his grid, or an administrator
/// of the county.
#[utoipa::path(post, path = "/api/v1/volunteers/{id}/transfer", tag = "dispatch", params(("id" = Uuid, Path)),
    request_body = TransferBody, security(("bearer" = [])),
    responses((status = 200, body = TransferJson), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "transfer_open"), (status = 422, body = ProblemBody)))]
#[post("/api/v1/volunteers/{id}/transfer")]
async fn transfer(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    volunteer: web::Path<String>,
    body: Body<TransferBody>,
) -> Result<HttpResponse, Problem> {
    let volunteer = id(&volunteer)?;
    let TransferBody { to_volunteer_id: to, reason, suspend } = body.read;
    let app = state.app.clone();
    let request = TransferRequest { volunteer, to, reason, suspend };
    let done = state.app.run(async move { app.transfer_work(&caller, request).await }).await?;
    Ok(HttpResponse::Ok().json(TransferJson { id: done.id, handed_on: done.handed_on, left: done.left }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReinstateBody {
    /// Why; at most 200 characters.
    #[schema(example = "外出务工返乡，恢复服务")]
    reason: String,
}

/// Take the suspension of a volunteer back: whoever could have suspended him. He is a volunteer of the team and the grid
/// that he had; orders that were handed on stay with the others.
#[utoipa::path(post, path = "/api/v1/volunteers/{id}/reinstate", tag = "dispatch",
    params(("id" = Uuid, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = ReinstateBody, security(("bearer" = [])),
    responses((status = 204), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "not_suspended"), (status = 422, body = ProblemBody)))]
#[post("/api/v1/volunteers/{id}/reinstate")]
async fn reinstate(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    volunteer: web::Path<String>,
    body: Body<ReinstateBody>,
) -> Result<HttpResponse, Problem> {
    let once = once_silently(&state, &caller, &request, &body.bytes)?;
    let volunteer = id(&volunteer)?;
    let app = state.app.clone();
    let work = async move { app.reinstate_volunteer(&caller, volunteer, &body.read.reason, &once).await };
    Ok(respond(state.app.run(work).await?))
}
