//! Exports: the volunteer record as files.

use actix_web::web::Bytes;
use actix_web::{HttpResponse, post, web};
use chrono::NaiveDate;
use futures_util::StreamExt as _;
use serde::Deserialize;
use utoipa::ToSchema;
use xingfuma_app::AppError;
use xingfuma_app::record::RecordRequest;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::record::{Format, Part};

use crate::State;
use crate::extract::{Body, LoggedIn};
use crate::problem::{Problem, ProblemBody};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RecordBody {
    /// `people`, `teams`, `projects`, `training`, `awards`, `hours` or `ratings`.
    #[schema(example = "hours")]
    part: String,
    /// `csv` (UTF-8 with a byte order mark, for Excel) or `json`; `csv` where nothing is said.
    #[schema(example = "csv")]
    format: Option<String>,
    /// Only this area; the county where none is named.
    #[schema(value_type = Option<String>, example = "140724104")]
    area_code: Option<AreaCode>,
    /// The first day.
    #[schema(example = "2026-01-01")]
    from: NaiveDate,
    /// The last day.
    #[schema(example = "2026-12-31")]
    to: NaiveDate,
    /// Open names and phones (part `people`); asks for a reason.
    with_names: Option<bool>,
    /// Why; kept in the audit log.
    reason: Option<String>,
}

/// The file as JSON.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the file in the specification; it is written in pieces")]
struct RecordJson {
    /// The part.
    #[schema(example = "hours")]
    part: String,
    /// One object a row; what is empty is absent.
    #[schema(value_type = Vec<Object>)]
    rows: Vec<serde_json::Value>,
}

/// Take out a part of the volunteer record. Each export is in the audit log; it is not repeated under a key.
#[utoipa::path(post, path = "/api/v1/exports/volunteer-record", tag = "figures", request_body = RecordBody,
    security(("bearer" = [])),
    responses((status = 200, description = "the file, in pieces",
            content((String = "text/csv"), (RecordJson = "application/json"))),
        (status = 400, body = ProblemBody), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 422, body = ProblemBody), (status = 429, body = ProblemBody, description = "too_many_requests")))]
#[post("/api/v1/exports/volunteer-record")]
async fn volunteer_record(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    body: Body<RecordBody>,
) -> Result<HttpResponse, Problem> {
    let asked = body.read;
    let part: Part = asked.part.parse().map_err(|_| AppError::invalid("part", "unknown"))?;
    let format = match asked.format.as_deref() {
        None | Some("csv") => Format::Csv,
        Some("json") => Format::Json,
        Some(_) => return Err(AppError::invalid("format", "unknown").into()),
    };
    let request = RecordRequest {
        part,
        format,
        area: asked.area_code.unwrap_or(state.app.settings.county),
        from: asked.from,
        to: asked.to,
        with_names: asked.with_names.unwrap_or(false),
        reason: asked.reason.unwrap_or_default(),
    };
    let name = format!("{}-{}-{}.{}", part.as_str(), request.from, request.to, format.as_str());
    let app = state.app.clone();
    let pieces = state.app.run(async move { app.export_record(&caller, request).await }).await?;
    let kind = if format == Format::Csv { "text/csv; charset=utf-8" } else { "application/json" };
    Ok(HttpResponse::Ok()
        .content_type(kind)
        .insert_header(("content-disposition", format!("attachment; filename=\"{name}\"")))
        .insert_header(("cache-control", "no-store"))
        .streaming(pieces.map(|piece| piece.map(Bytes::from))))
}
