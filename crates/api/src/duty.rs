//! Leave and rosters: when somebody can be asked.

use actix_web::{HttpRequest, HttpResponse, delete, get, post, put, web};
use chrono::{DateTime, NaiveTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use xingfuma_app::once::Once;
use xingfuma_domain::deadline::QuietHours;
use xingfuma_domain::dispatch::{Roster, Shift};
use xingfuma_store::duty::LeaveRow;

use crate::State;
use crate::extract::{Body, Items, LoggedIn, id, keyed, respond};
use crate::problem::{Problem, ProblemBody};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LeaveBody {
    /// The first moment.
    from: DateTime<Utc>,
    /// The first moment after it.
    to: DateTime<Utc>,
}

#[derive(Serialize, ToSchema)]
struct LeaveJson {
    id: Uuid,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
}

impl From<LeaveRow> for LeaveJson {
    fn from(row: LeaveRow) -> LeaveJson {
        LeaveJson { id: row.id, from: row.from_at, to: row.to_at }
    }
}

/// Enter one's own leave: no order is offered while it lasts.
#[utoipa::path(post, path = "/api/v1/me/leave", tag = "me", request_body = LeaveBody,
    params(("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 201, body = LeaveJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 409, body = ProblemBody, description = "too_many_leaves"),
        (status = 422, body = ProblemBody)))]
#[post("/api/v1/me/leave")]
async fn enter_leave(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    body: Body<LeaveBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = keyed(&state, &caller, &request, &body.bytes)?;
    let once = Once::json(keyed, 201, |row: &LeaveRow| LeaveJson::from(row.clone()));
    let app = state.app.clone();
    let (from, to) = (body.read.from, body.read.to);
    let work = async move { app.enter_leave(&caller, from, to, &once).await };
    Ok(respond(state.app.run(work).await?))
}

/// One's own leaves that are not over, the soonest first.
#[utoipa::path(get, path = "/api/v1/me/leave", tag = "me", security(("bearer" = [])),
    responses((status = 200, body = Items<LeaveJson>), (status = 401, body = ProblemBody)))]
#[get("/api/v1/me/leave")]
async fn leaves(state: web::Data<State>, LoggedIn(caller): LoggedIn) -> Result<HttpResponse, Problem> {
    let app = state.app.clone();
    let leaves = state.app.run(async move { app.leaves(&caller).await }).await?;
    let items: Vec<LeaveJson> = leaves.into_iter().map(LeaveJson::from).collect();
    Ok(HttpResponse::Ok().json(Items { items, next_cursor: None }))
}

/// End one's own leave now.
#[utoipa::path(delete, path = "/api/v1/me/leave/{id}", tag = "me", params(("id" = Uuid, Path)),
    security(("bearer" = [])),
    responses((status = 204), (status = 401, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[delete("/api/v1/me/leave/{id}")]
async fn end_leave(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    leave: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let leave = id(&leave)?;
    let app = state.app.clone();
    state.app.run(async move { app.end_leave(&caller, leave).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Hours in which nobody is disturbed.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuietJson {
    #[schema(value_type = String, example = "21:00:00")]
    from: NaiveTime,
    #[schema(value_type = String, example = "07:00:00")]
    to: NaiveTime,
}

impl From<QuietHours> for QuietJson {
    fn from(quiet: QuietHours) -> QuietJson {
        QuietJson { from: quiet.from, to: quiet.to }
    }
}

impl From<QuietJson> for QuietHours {
    fn from(quiet: QuietJson) -> QuietHours {
        QuietHours { from: quiet.from, to: quiet.to }
    }
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ShiftJson {
    /// 1 (Monday) to 7 (Sunday): the day on which it begins, China time.
    #[schema(example = 1, minimum = 1, maximum = 7)]
    weekday: u32,
    #[schema(value_type = String, example = "08:00:00")]
    from: NaiveTime,
    /// Not after `from` means on the next day.
    #[schema(value_type = String, example = "18:00:00")]
    to: NaiveTime,
    /// Volunteers of the team.
    people: Vec<Uuid>,
}

/// A team's roster.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RosterJson {
    /// As many open orders as one of the team may hold, 1 to 100; 20 where it is left out.
    #[schema(example = 20, minimum = 1, maximum = 100)]
    #[serde(default = "usual_open_orders")]
    open_orders_at_most: i64,
    /// When urgent orders come last to this team's people.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    quiet_hours: Option<QuietJson>,
    /// Who is on duty when; without any everybody always is.
    #[serde(default)]
    shifts: Vec<ShiftJson>,
}

fn usual_open_orders() -> i64 {
    xingfuma_domain::dispatch::roster::OPEN_ORDERS_AT_MOST
}

impl From<Roster> for RosterJson {
    fn from(kept: Roster) -> RosterJson {
        let shift = |shift: Shift| ShiftJson {
            weekday: shift.weekday,
            from: shift.from,
            to: shift.to,
            people: shift.people,
        };
        RosterJson {
            open_orders_at_most: kept.open_orders_at_most,
            quiet_hours: kept.quiet_hours.map(QuietJson::from),
            shifts: kept.shifts.into_iter().map(shift).collect(),
        }
    }
}

impl From<RosterJson> for Roster {
    fn from(json: RosterJson) -> Roster {
        let shift = |shift: ShiftJson| Shift {
            weekday: shift.weekday,
            from: shift.from,
            to: shift.to,
            people: shift.people,
        };
        Roster {
            open_orders_at_most: json.open_orders_at_most,
            quiet_hours: json.quiet_hours.map(QuietHours::from),
            shifts: json.shifts.into_iter().map(shift).collect(),
        }
    }
}

/// A team's roster, for its people and those who keep it.
#[utoipa::path(get, path = "/api/v1/teams/{id}/roster", tag = "teams", params(("id" = Uuid, Path)),
    security(("bearer" = [])),
    responses((status = 200, body = RosterJson), (status = 401, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[get("/api/v1/teams/{id}/roster")]
async fn read_roster(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    team: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(RosterJson::from(state.app.roster(&caller, id(&team)?)?)))
}

/// Keep a team's roster: its leader, or a dispatcher over all that it serves.
#[utoipa::path(put, path = "/api/v1/teams/{id}/roster", tag = "teams", params(("id" = Uuid, Path)),
    request_body = RosterJson, security(("bearer" = [])),
    responses((status = 200, body = RosterJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[put("/api/v1/teams/{id}/roster")]
async fn keep_roster(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    team: web::Path<String>,
    body: Body<RosterJson>,
) -> Result<HttpResponse, Problem> {
    let team = id(&team)?;
    let app = state.app.clone();
    let work = async move { app.keep_roster(&caller, team, body.read.into()).await };
    Ok(HttpResponse::Ok().json(RosterJson::from(state.app.run(work).await?)))
}
