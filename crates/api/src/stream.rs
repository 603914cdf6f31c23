//! `GET /stream`: server-sent events.

use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, get, web};
use futures_util::stream;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use xingfuma_app::stream::{Heard, Told};

use crate::State;
use crate::extract::LoggedIn;
use crate::order_json::step;
use crate::problem::{Problem, ProblemBody};

/// How long a client waits before it comes back, in milliseconds.
const COME_BACK_AFTER: u32 = 2_000;

/// An order that has changed. What else there is to know is read as always.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChangedJson {
    order_id: Uuid,
    number: String,
    version: i64,
    #[schema(example = "accepted")]
    status: &'static str,
    #[schema(example = "接")]
    step: &'static str,
    category_code: String,
    area_code: String,
}

fn changed(told: &Told) -> ChangedJson {
    let order = &told.order;
    ChangedJson {
        order_id: order.id,
        number: told.number.to_string(),
        version: order.version,
        status: order.status().as_str(),
        step: step(order.step()),
        category_code: order.placed.category.clone(),
        area_code: order.placed.area.to_string(),
    }
}

fn written(heard: &Heard) -> String {
    match heard {
        Heard::Begins(id) => {
            let id = id.as_ref().map(|id| format!("id: {id}\n")).unwrap_or_default();
            format!("retry: {COME_BACK_AFTER}\nevent: begins\n{id}data: {{}}\n\n")
        }
        Heard::Changed(told) => {
            let data = serde_json::to_string(&changed(told)).unwrap_or_default();
            format!("id: {}\nevent: changed\ndata: {data}\n\n", told.word.id)
        }
        Heard::Reset => format!("retry: {COME_BACK_AFTER}\nevent: reset\ndata: {{}}\n\n"),
        Heard::Alive => ": alive\n\n".to_owned(),
    }
}

/// Orders that the caller may see, as they change. Event `changed` carries a `ChangedJson`; `begins` comes first; `reset`
/// says that what was missed is not kept any more, and that lists should be read again. Comes back with `Last-Event-ID`.
#[utoipa::path(get, path = "/api/v1/stream", tag = "orders", security(("bearer" = [])),
    params(("Last-Event-ID" = Option<String>, Header, description = "the last event that was heard")),
    responses((status = 200, body = ChangedJson, content_type = "text/event-stream"),
        (status = 401, body = ProblemBody), (status = 503, body = ProblemBody)))]
#[get("/api/v1/stream")]
async fn listen(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let header = request.headers().get("last-event-id").and_then(|value| value.to_str().ok());
    let last_heard = header.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty());
    let app = state.app.clone();
    let heard = state.app.run(async move { app.listen(caller, last_heard).await }).await?;
    let body = stream::unfold(heard, |mut heard| async move {
        let next = heard.recv().await?;
        Some((Ok::<_, actix_web::Error>(Bytes::from(written(&next))), heard))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("cache-control", "no-store"))
        // A proxy that gathers what it passes on would hold events back.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(body))
}
