//! The dispatcher's board.

use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::State;
use crate::extract::{Items, LoggedIn, Page, query};
use crate::order_json::OrderJson;
use crate::problem::{Problem, ProblemBody};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BoardParams {
    /// Most items, at most 100.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u64>,
    /// Where the page before ended.
    cursor: Option<String>,
    /// Only this subtree.
    area_code: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct BoardJson {
    order: OrderJson,
    /// It is past what is due.
    late: bool,
    /// Why it stands still.
    #[serde(skip_serializing_if = "Option::is_none")]
    stuck: Option<String>,
}

/// What waits, what is late, what stands still and why; oldest first.
#[utoipa::path(get, path = "/api/v1/dispatch/board", tag = "dispatch", params(BoardParams), security(("bearer" = [])),
    responses((status = 200, body = Items<BoardJson>), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody)))]
#[get("/api/v1/dispatch/board")]
async fn board(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let params: BoardParams = query(&request)?;
    let page = Page { limit: params.limit, cursor: params.cursor };
    let (limit, after) = (page.limit()?, page.before()?);
    let bad = |_| Problem::new(400, "malformed_request").with_detail("areaCode");
    let area = params.area_code.map(|code| code.parse().map_err(bad)).transpose()?;
    let app = state.app.clone();
    let rows = state.app.run(async move { app.board(&caller, area, after, limit).await }).await?;
    let last = rows.last().map(|row| row.seen.order.id);
    let items: Vec<BoardJson> = rows
        .into_iter()
        .map(|row| BoardJson { order: OrderJson::from(&row.seen), late: row.late, stuck: row.stuck })
        .collect();
    Ok(HttpResponse::Ok().json(Items::page(items, limit, last)))
}
