//! Periods (归档), public notices (公示) and objections (异议).

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use xingfuma_app::notice::{ObjectionDecision, ObjectionSeen, RenderObjection};
use xingfuma_app::once::Once;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::scoring::{NOTICE_WORKING_DAYS, NOTICE_WORKING_DAYS_MOST, YearMonth};
use xingfuma_store::periods::objections::ObjectionRow;
use xingfuma_store::periods::{CountedRow, LineRow, PeriodRow};

use crate::State;
use crate::extract::{Body, Items, LoggedIn, Page, id, keyed, query, required_key, respond};
use crate::problem::{Problem, ProblemBody};

/// A period.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PeriodJson {
    #[schema(example = "2026-10")]
    month: String,
    /// `review`, `freezing`, `notice` or `sealed`.
    #[schema(example = "notice")]
    status: String,
    claims_closed_at: DateTime<Utc>,
    /// Working days of the public notice.
    working_days: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    published_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice_ends_at: Option<DateTime<Utc>>,
    /// Lines of the list, as far as it is made.
    lines: i64,
    /// Points of all of them.
    points: i64,
    /// SHA-256 of the list as it was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    list_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed_at: Option<DateTime<Utc>>,
    /// SHA-256 of the list as it was sealed, behind the seal of the period before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    seal: Option<String>,
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl From<&PeriodRow> for PeriodJson {
    fn from(row: &PeriodRow) -> PeriodJson {
        PeriodJson {
            month: row.month.clone(),
            status: row.status.clone(),
            claims_closed_at: row.claims_closed_at,
            working_days: row.working_days,
            published_at: row.published_at,
            notice_ends_at: row.notice_ends_at,
            lines: row.line_count,
            points: row.points,
            list_hash: row.list_hash.as_deref().map(hex),
            sealed_at: row.sealed_at,
            seal: row.seal.as_deref().map(hex),
        }
    }
}

fn month_of(path: &str) -> Result<YearMonth, Problem> {
    path.parse().map_err(|_| Problem::new(404, "not_found"))
}

#[derive(Serialize, ToSchema)]
struct PeriodsJson {
    items: Vec<PeriodJson>,
}

/// Periods, the latest first; at most a hundred.
#[utoipa::path(get, path = "/api/v1/score/periods", tag = "score", security(("bearer" = [])),
    responses((status = 200, body = PeriodsJson), (status = 401, body = ProblemBody)))]
#[get("/api/v1/score/periods")]
async fn list_periods(state: web::Data<State>, LoggedIn(_caller): LoggedIn) -> Result<HttpResponse, Problem> {
    let app = state.app.clone();
    let rows = state.app.run(async move { app.periods().await }).await?;
    Ok(HttpResponse::Ok().json(PeriodsJson { items: rows.iter().map(PeriodJson::from).collect() }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CloseBody {
    #[schema(value_type = String, example = "2026-10")]
    month: YearMonth,
    /// Working days of the public notice: 1 to 60, 5 where nobody says otherwise.
    #[schema(minimum = 1, maximum = 60)]
    working_days: Option<u32>,
}

/// Close the claims about a month that is over: from now on it is reviewed. Its list is made by `xingfuma score close`.
/// Sending it again changes nothing as long as the list is not published.
#[utoipa::path(post, path = "/api/v1/score/periods", tag = "score", request_body = CloseBody,
    params(("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 200, body = PeriodJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "period_not_over, period_closed, period_not_next"),
        (status = 422, body = ProblemBody)))]
#[post("/api/v1/score/periods")]
async fn close_claims(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    body: Body<CloseBody>,
) -> Result<HttpResponse, Problem> {
    let once = Once::json(keyed(&state, &caller, &request, &body.bytes)?, 200, |row| PeriodJson::from(row));
    let CloseBody { month, working_days } = body.read;
    let days = working_days.unwrap_or(NOTICE_WORKING_DAYS);
    if !(1..=NOTICE_WORKING_DAYS_MOST).contains(&days) {
        return Err(xingfuma_app::AppError::invalid("workingDays", "out_of_range").into());
    }
    let app = state.app.clone();
    let work = async move { app.close_period_claims(&caller, month, days, &once).await };
    Ok(respond(state.app.run(work).await?))
}

/// Seal a month whose notice is over. What is contested still is paused and counts in a later period.
#[utoipa::path(post, path = "/api/v1/score/periods/{month}/seal", tag = "score", params(("month" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    security(("bearer" = [])),
    responses((status = 200, body = PeriodJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 422, body = ProblemBody, description = "idempotency_key_reused"),
        (status = 409, body = ProblemBody,
            description = "period_closed, notice_runs, period_not_frozen, period_not_next")))]
#[post("/api/v1/score/periods/{month}/seal")]
async fn seal(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    month: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let once = Once::json(keyed(&state, &caller, &request, b"")?, 200, |row| PeriodJson::from(row));
    let month = month_of(&month)?;
    let app = state.app.clone();
    let work = async move { app.seal_period(&caller, month, &once).await };
    Ok(respond(state.app.run(work).await?))
}

/// Public notices, the latest first. Public.
#[utoipa::path(get, path = "/api/v1/score/notices", tag = "score",
    responses((status = 200, body = PeriodsJson)))]
#[get("/api/v1/score/notices")]
async fn notices(state: web::Data<State>) -> Result<HttpResponse, Problem> {
    let app = state.app.clone();
    let rows = state.app.run(async move { app.periods().await }).await?;
    let published = rows.iter().filter(|row| row.published_at.is_some()).map(PeriodJson::from);
    Ok(HttpResponse::Ok().json(PeriodsJson { items: published.collect() }))
}

/// A line of a public notice: no name and no id, because nobody has agreed to be named.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct NoticeLineJson {
    /// Its number: the passbook of its person says which one is his.
    number: i64,
    /// The village; the county for whoever belongs to none.
    #[schema(example = "140724104003")]
    area_code: String,
    points: i64,
    entries: i64,
    /// Entries that belong to an earlier period.
    late: i64,
    /// What objections that were upheld have changed.
    corrected: i64,
    /// `standing`, `contested`, `paused` or `carried`.
    #[schema(example = "standing")]
    status: String,
}

impl From<&LineRow> for NoticeLineJson {
    fn from(row: &LineRow) -> NoticeLineJson {
        NoticeLineJson {
            number: row.number,
            area_code: row.area_code.chars().take(12).collect(),
            points: row.points,
            entries: row.entries,
            late: row.late,
            corrected: row.corrected,
            status: row.status.clone(),
        }
    }
}

/// A page of a notice.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct NoticePage {
    /// Only this area: a township or a village.
    area_code: Option<String>,
    /// Most items, at most 100.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u64>,
    /// Where the page before ended.
    cursor: Option<String>,
}

impl NoticePage {
    fn area(&self) -> Result<Option<AreaCode>, Problem> {
        let bad = |_| Problem::new(400, "malformed_request").with_detail("areaCode");
        self.area_code.as_deref().map(|code| code.parse().map_err(bad)).transpose()
    }
}

/// The lines of a public notice, by number. Public.
#[utoipa::path(get, path = "/api/v1/score/notices/{month}/lines", tag = "score",
    params(("month" = String, Path), NoticePage),
    responses((status = 200, body = Items<NoticeLineJson>), (status = 400, body = ProblemBody),
        (status = 404, body = ProblemBody)))]
#[get("/api/v1/score/notices/{month}/lines")]
async fn notice_lines(
    state: web::Data<State>,
    request: HttpRequest,
    month: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let month = month_of(&month)?;
    let page = query::<NoticePage>(&request)?;
    let area = page.area()?;
    let page = Page { limit: page.limit, cursor: page.cursor };
    let (limit, after) = (page.limit()?, page.after_line()?);
    let app = state.app.clone();
    let rows = state.app.run(async move { app.notice_lines(month, area, after, limit).await }).await?;
    let last = rows.last().map(|row| row.number);
    let items: Vec<NoticeLineJson> = rows.iter().map(NoticeLineJson::from).collect();
    Ok(HttpResponse::Ok().json(Items::lines(items, limit, last)))
}

/// An objection.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ObjectionJson {
    id: Uuid,
    #[schema(example = "2026-10")]
    month: String,
    /// The number of the line.
    line: i64,
    objector_id: Uuid,
    reason: String,
    made_at: DateTime<Utc>,
    /// `pending`, `upheld` or `dismissed`.
    #[schema(example = "pending")]
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_by: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<String>,
}

impl From<&ObjectionRow> for ObjectionJson {
    fn from(row: &ObjectionRow) -> ObjectionJson {
        ObjectionJson {
            id: row.id,
            month: row.month.clone(),
            line: row.number,
            objector_id: row.objector_id,
            reason: row.reason.clone(),
            made_at: row.made_at,
            status: row.status.clone(),
            decided_by: row.decided_by,
            decided_at: row.decided_at,
            decision: row.decision.clone(),
        }
    }
}

fn render_objection(status: u16) -> RenderObjection {
    Arc::new(move |row| (status, serde_json::to_vec(&ObjectionJson::from(row)).unwrap_or_default()))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ObjectBody {
    /// The number of the line.
    #[schema(minimum = 1, maximum = 1000000)]
    line: i64,
    reason: String,
}

/// Object to a line of a running notice; it pauses that line and no other. `Idempotency-Key` is required.
#[utoipa::path(post, path = "/api/v1/score/notices/{month}/objections", tag = "score", request_body = ObjectBody,
    params(("month" = String, Path), ("Idempotency-Key" = String, Header)), security(("bearer" = [])),
    responses((status = 201, body = ObjectionJson), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "notice_over, already_objected"),
        (status = 422, body = ProblemBody)))]
#[post("/api/v1/score/notices/{month}/objections")]
async fn make_objection(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    month: web::Path<String>,
    body: Body<ObjectBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = required_key(&state, &caller, &request, &body.bytes)?;
    let month = month_of(&month)?;
    let ObjectBody { line, reason } = body.read;
    let app = state.app.clone();
    let render = render_objection(201);
    let work = async move { app.object(&caller, month, line, &reason, &keyed, render).await };
    Ok(respond(state.app.run(work).await?))
}

/// Objections of a notice: one's own, those against one's own line, and those of one's areas; newest first.
#[utoipa::path(get, path = "/api/v1/score/notices/{month}/objections", tag = "score",
    params(("month" = String, Path), Page), security(("bearer" = [])),
    responses((status = 200, body = Items<ObjectionJson>), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[get("/api/v1/score/notices/{month}/objections")]
async fn list_objections(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    month: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let month = month_of(&month)?;
    let page = query::<Page>(&request)?;
    let (limit, before) = (page.limit()?, page.before()?);
    let app = state.app.clone();
    let rows = state.app.run(async move { app.objections(&caller, month, before, limit).await }).await?;
    let last = rows.last().map(|row| row.id);
    let items: Vec<ObjectionJson> = rows.iter().map(ObjectionJson::from).collect();
    Ok(HttpResponse::Ok().json(Items::page(items, limit, last)))
}

/// An entry that a line was added up from.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CountedJson {
    entry_id: Uuid,
    points: i64,
    /// The period that it belongs to, when that is an earlier one.
    #[serde(skip_serializing_if = "Option::is_none")]
    links_to: Option<String>,
}

impl From<&CountedRow> for CountedJson {
    fn from(row: &CountedRow) -> CountedJson {
        CountedJson { entry_id: row.transaction_id, points: row.points, links_to: row.links_to.clone() }
    }
}

/// An objection with what it is against.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ObjectionSeenJson {
    objection: ObjectionJson,
    line: NoticeLineJson,
    /// Whose line.
    person_id: Uuid,
    entries: Vec<CountedJson>,
}

impl From<&ObjectionSeen> for ObjectionSeenJson {
    fn from(seen: &ObjectionSeen) -> ObjectionSeenJson {
        ObjectionSeenJson {
            objection: ObjectionJson::from(&seen.row),
            line: NoticeLineJson::from(&seen.line),
            person_id: seen.row.person_id,
            entries: seen.entries.iter().map(CountedJson::from).collect(),
        }
    }
}

/// An objection with its line and what that was added up from: for those who watch over its area.
#[utoipa::path(get, path = "/api/v1/score/objections/{id}", tag = "score", params(("id" = Uuid, Path)),
    security(("bearer" = [])),
    responses((status = 200, body = ObjectionSeenJson), (status = 401, body = ProblemBody),
        (status = 404, body = ProblemBody)))]
#[get("/api/v1/score/objections/{id}")]
async fn read_objection(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    of: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let of = id(&of)?;
    let app = state.app.clone();
    let seen = state.app.run(async move { app.objection(&caller, of).await }).await?;
    Ok(HttpResponse::Ok().json(ObjectionSeenJson::from(&seen)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct DecideObjectionBody {
    /// Upheld: the entries that are named are reversed. Otherwise dismissed.
    uphold: bool,
    /// Entries of the line; none where the line stands as it is.
    entry_ids: Option<Vec<Uuid>>,
    reason: String,
}

/// Decide an objection in which one has no part. `Idempotency-Key` is required: points move.
#[utoipa::path(post, path = "/api/v1/score/objections/{id}/decide", tag = "score",
    request_body = DecideObjectionBody, params(("id" = Uuid, Path), ("Idempotency-Key" = String, Header)),
    security(("bearer" = [])),
    responses((status = 200, body = ObjectionJson), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody, description = "own_decision, forbidden"),
        (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "objection_not_pending, already_answered, not_reversible"),
        (status = 422, body = ProblemBody)))]
#[post("/api/v1/score/objections/{id}/decide")]
async fn decide_objection(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    of: web::Path<String>,
    body: Body<DecideObjectionBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = required_key(&state, &caller, &request, &body.bytes)?;
    let of = id(&of)?;
    let DecideObjectionBody { uphold, entry_ids, reason } = body.read;
    let decision = ObjectionDecision { uphold, entries: entry_ids.unwrap_or_default(), reason };
    let app = state.app.clone();
    let render = render_objection(200);
    let work = async move { app.decide_objection(&caller, of, &decision, &keyed, render).await };
    Ok(respond(state.app.run(work).await?))
}
