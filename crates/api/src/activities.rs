//! 志愿服务活动 (`/activities`) and its four steps: 报到 join, 预告 notice, 签到 check-in, 反馈 feedback.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use xingfuma_app::activity::{NewActivity, RenderActivity};
use xingfuma_store::activities::{ActivityRow, AttendanceRow};

use crate::State;
use crate::extract::{Body, Items, LoggedIn, Page, id, keyed, query, required_key, respond};
use crate::problem::{Problem, ProblemBody};

/// An activity, with the caller's part in it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ActivityJson {
    id: Uuid,
    /// Volunteers who serve in this area may join.
    #[schema(example = "140724104003")]
    area_code: String,
    #[schema(example = "河道清理")]
    title: String,
    content: String,
    place: String,
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    /// Minutes of it that are spent on the way and count for nothing.
    travel_minutes: i64,
    capacity: i64,
    joined: i64,
    /// When those who joined were told last.
    #[serde(skip_serializing_if = "Option::is_none")]
    noticed_at: Option<DateTime<Utc>>,
    /// The caller's part; absent where he has not joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<ActivityPartJson>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ActivityPartJson {
    id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_in_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    feedback_at: Option<DateTime<Utc>>,
    /// Minutes of service, without travel; known with the feedback.
    #[serde(skip_serializing_if = "Option::is_none")]
    minutes: Option<i64>,
}

impl From<&ActivityRow> for ActivityJson {
    fn from(row: &ActivityRow) -> ActivityJson {
        ActivityJson {
            id: row.id,
            area_code: row.area_code.clone(),
            title: row.title.clone(),
            content: row.content.clone(),
            place: row.place.clone(),
            starts_at: row.starts_at,
            ends_at: row.ends_at,
            travel_minutes: row.travel_minutes,
            capacity: row.capacity,
            joined: row.joined,
            noticed_at: row.noticed_at,
            part: row.attendance_id.map(|id| ActivityPartJson {
                id,
                checked_in_at: row.checked_in_at,
                feedback_at: row.feedback_at,
                minutes: row.minutes,
            }),
        }
    }
}

fn render(status: u16) -> RenderActivity {
    Arc::new(move |row| (status, serde_json::to_vec(&ActivityJson::from(row)).unwrap_or_default()))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ActivityBody {
    /// Volunteers who serve in this area may join.
    #[schema(example = "140724104003")]
    area_code: String,
    title: String,
    content: String,
    /// Where one meets.
    place: String,
    starts_at: DateTime<Utc>,
    /// At most 16 hours later.
    ends_at: DateTime<Utc>,
    /// Minutes of it that are spent on the way; none where it is left out.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 960)]
    travel_minutes: i64,
    /// 1 to 10,000.
    #[schema(minimum = 1, maximum = 10000)]
    capacity: i64,
}

/// Announce an activity: grid leaders, dispatchers and the county, in their areas.
#[utoipa::path(post, path = "/api/v1/activities", tag = "activities", request_body = ActivityBody,
    params(("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 201, body = ActivityJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[post("/api/v1/activities")]
async fn announce(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    body: Body<ActivityBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = keyed(&state, &caller, &request, &body.bytes)?;
    let new = NewActivity {
        area: body.read.area_code,
        title: body.read.title,
        content: body.read.content,
        place: body.read.place,
        starts_at: body.read.starts_at,
        ends_at: body.read.ends_at,
        travel_minutes: body.read.travel_minutes,
        capacity: body.read.capacity,
    };
    let app = state.app.clone();
    let work = async move { app.announce_activity(&caller, &new, keyed.as_ref(), render(201)).await };
    Ok(respond(state.app.run(work).await?))
}

/// The activities that the caller may join, has joined, or watches over; newest first.
#[utoipa::path(get, path = "/api/v1/activities", tag = "activities", params(Page), security(("bearer" = [])),
    responses((status = 200, body = Items<ActivityJson>), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody)))]
#[get("/api/v1/activities")]
async fn list_activities(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let page: Page = query(&request)?;
    let (limit, before) = (page.limit()?, page.before()?);
    let app = state.app.clone();
    let rows = state.app.run(async move { app.activities(&caller, before, limit).await }).await?;
    let last = rows.last().map(|row| row.id);
    let items: Vec<ActivityJson> = rows.iter().map(ActivityJson::from).collect();
    Ok(HttpResponse::Ok().json(Items::page(items, limit, last)))
}

/// One activity.
#[utoipa::path(get, path = "/api/v1/activities/{id}", tag = "activities", params(("id" = Uuid, Path)),
    security(("bearer" = [])),
    responses((status = 200, body = ActivityJson), (status = 401, body = ProblemBody),
        (status = 404, body = ProblemBody)))]
#[get("/api/v1/activities/{id}")]
async fn read_activity(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    activity: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let activity = id(&activity)?;
    let app = state.app.clone();
    let row = state.app.run(async move { app.activity(&caller, activity).await }).await?;
    Ok(HttpResponse::Ok().json(ActivityJson::from(&row)))
}

/// 报到: take a place, as a volunteer of the area, before it begins.
#[utoipa::path(post, path = "/api/v1/activities/{id}/join", tag = "activities", request_body = ActivityJoinBody,
    params(("id" = Uuid, Path), ("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 200, body = ActivityJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "activity_begun, activity_full, already_joined"),
        (status = 422, body = ProblemBody)))]
#[post("/api/v1/activities/{id}/join")]
async fn join(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    activity: web::Path<String>,
    body: Body<ActivityJoinBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = keyed(&state, &caller, &request, &body.bytes)?;
    let activity = id(&activity)?;
    let app = state.app.clone();
    let work = async move { app.join_activity(&caller, activity, keyed.as_ref(), render(200)).await };
    Ok(respond(state.app.run(work).await?))
}

/// Nothing but `{}`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ActivityJoinBody {}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ActivityWordsBody {
    /// At most 1,000 characters.
    text: String,
}

/// 预告: tell those who have joined, before it begins.
#[utoipa::path(post, path = "/api/v1/activities/{id}/notice", tag = "activities", request_body = ActivityWordsBody,
    params(("id" = Uuid, Path), ("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 200, body = ActivityJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "activity_begun"), (status = 422, body = ProblemBody)))]
#[post("/api/v1/activities/{id}/notice")]
async fn notice(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    activity: web::Path<String>,
    body: Body<ActivityWordsBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = keyed(&state, &caller, &request, &body.bytes)?;
    let activity = id(&activity)?;
    let (app, text) = (state.app.clone(), body.read.text);
    let work =
        async move { app.notice_activity(&caller, activity, &text, keyed.as_ref(), render(200)).await };
    Ok(respond(state.app.run(work).await?))
}

#[derive(Serialize, ToSchema)]
struct ActivityCodeJson {
    /// Shown at the place, for checking in.
    #[schema(example = "7K3MPQ2X")]
    code: String,
}

/// The code for checking in, for those who hold activities in the area: shown at the place.
#[utoipa::path(get, path = "/api/v1/activities/{id}/code", tag = "activities", params(("id" = Uuid, Path)),
    security(("bearer" = [])),
    responses((status = 200, body = ActivityCodeJson), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody)))]
#[get("/api/v1/activities/{id}/code")]
async fn check_in_code(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    activity: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let activity = id(&activity)?;
    let app = state.app.clone();
    let code = state.app.run(async move { app.activity_check_in_code(&caller, activity).await }).await?;
    Ok(HttpResponse::Ok().json(ActivityCodeJson { code }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ActivityCodeBody {
    /// What is shown at the place.
    code: String,
}

/// 签到: by the code at the place, between beginning and end.
#[utoipa::path(post, path = "/api/v1/activities/{id}/check-in", tag = "activities", request_body = ActivityCodeBody,
    params(("id" = Uuid, Path), ("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 200, body = ActivityJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 409, body = ProblemBody,
            description = "not_joined, activity_not_begun, activity_over, already_checked_in"),
        (status = 422, body = ProblemBody, description = "code_invalid, code_unknown")))]
#[post("/api/v1/activities/{id}/check-in")]
async fn check_in(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    activity: web::Path<String>,
    body: Body<ActivityCodeBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = keyed(&state, &caller, &request, &body.bytes)?;
    let activity = id(&activity)?;
    let (app, code) = (state.app.clone(), body.read.code);
    let work =
        async move { app.check_in_to_activity(&caller, activity, &code, keyed.as_ref(), render(200)).await };
    Ok(respond(state.app.run(work).await?))
}

/// 反馈: who was there says how it was, within seven days of its end; hours and points come with it. `Idempotency-Key` is
/// required: points move.
#[utoipa::path(post, path = "/api/v1/activities/{id}/feedback", tag = "activities", request_body = ActivityWordsBody,
    params(("id" = Uuid, Path), ("Idempotency-Key" = String, Header)), security(("bearer" = [])),
    responses((status = 200, body = ActivityJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 409, body = ProblemBody,
            description = "not_joined, was_not_there, activity_not_over, activity_over, already_fed_back"),
        (status = 422, body = ProblemBody)))]
#[post("/api/v1/activities/{id}/feedback")]
async fn feedback(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    activity: web::Path<String>,
    body: Body<ActivityWordsBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = required_key(&state, &caller, &request, &body.bytes)?;
    let activity = id(&activity)?;
    let (app, text) = (state.app.clone(), body.read.text);
    let work = async move { app.feed_back_on_activity(&caller, activity, &text, &keyed, render(200)).await };
    Ok(respond(state.app.run(work).await?))
}

/// Somebody who takes part.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AttendanceJson {
    id: Uuid,
    person_id: Uuid,
    surname: String,
    joined_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_in_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    feedback_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    feedback: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minutes: Option<i64>,
}

impl From<AttendanceRow> for AttendanceJson {
    fn from(row: AttendanceRow) -> AttendanceJson {
        AttendanceJson {
            id: row.id,
            person_id: row.person_id,
            surname: row.surname,
            joined_at: row.joined_at,
            checked_in_at: row.checked_in_at,
            feedback_at: row.feedback_at,
            feedback: row.feedback,
            minutes: row.minutes,
        }
    }
}

/// Who takes part, for those who watch over activities of the area; in the order in which they joined.
#[utoipa::path(get, path = "/api/v1/activities/{id}/people", tag = "activities", params(("id" = Uuid, Path), Page),
    security(("bearer" = [])),
    responses((status = 200, body = Items<AttendanceJson>), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[get("/api/v1/activities/{id}/people")]
async fn people(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    activity: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let activity = id(&activity)?;
    let page: Page = query(&request)?;
    let (limit, after) = (page.limit()?, page.before()?);
    let app = state.app.clone();
    let work = async move { app.activity_people(&caller, activity, after, limit).await };
    let rows = state.app.run(work).await?;
    let last = rows.last().map(|row| row.id);
    let items: Vec<AttendanceJson> = rows.into_iter().map(AttendanceJson::from).collect();
    Ok(HttpResponse::Ok().json(Items::page(items, limit, last)))
}
