//! Boards (排行) of teams and areas, from published lists; of persons where the county wants it and they agreed; and one's
//! own rank.

use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use xingfuma_app::notice::{Board, Ranked};
use xingfuma_domain::area::Level;
use xingfuma_store::periods::PeriodRow;
use xingfuma_store::periods::boards::By;

use crate::State;
use crate::extract::{LoggedIn, Page, query};
use crate::problem::{Problem, ProblemBody};

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct BoardQuery {
    /// `team`, `grid`, `village` or `township`; `person` where the county has such a board: it names those who agree to it
    /// at this moment, with their rank among all.
    #[param(example = "township")]
    by: String,
    /// `YYYY-MM`; without it the last month whose list is published.
    #[param(example = "2026-10")]
    month: Option<String>,
    /// Most items, at most 100.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u64>,
}

impl BoardQuery {
    /// What it is by; nothing for persons.
    fn by(&self) -> Result<Option<By>, Problem> {
        Ok(match self.by.as_str() {
            "person" => None,
            "team" => Some(By::Team),
            "grid" => Some(By::Area(Level::Grid)),
            "village" => Some(By::Area(Level::Village)),
            "township" => Some(By::Area(Level::Township)),
            _ => return Err(Problem::new(400, "malformed_request").with_detail("by")),
        })
    }
}

/// A line of a board.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct BoardLineJson {
    /// Equal points share a rank.
    rank: u64,
    /// The team of a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    team: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    team_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    area_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// People with points in that month; absent on the board of persons.
    #[serde(skip_serializing_if = "Option::is_none")]
    people: Option<i64>,
    points: i64,
    /// 手工录入: so many of the points were typed in by hand, as claims are, and decided by a second person.
    hand_made: i64,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LeaderboardJson {
    #[schema(example = "2026-10")]
    month: String,
    /// Whether the month is sealed; as long as its notice runs, objections may change it.
    sealed: bool,
    items: Vec<BoardLineJson>,
}

impl From<Board> for LeaderboardJson {
    fn from(board: Board) -> LeaderboardJson {
        let mut items: Vec<BoardLineJson> = Vec::with_capacity(board.lines.len());
        for (place, (row, name)) in (1..).zip(board.lines) {
            let rank = items.last().filter(|last| last.points == row.points).map_or(place, |last| last.rank);
            let (people, points) = (Some(row.people), row.points);
            items.push(BoardLineJson {
                rank,
                team: None,
                team_id: row.team_id,
                area_code: row.area_code,
                name,
                people,
                points,
                hand_made: row.hand_made,
            });
        }
        LeaderboardJson { month: board.month.to_string(), sealed: board.sealed, items }
    }
}

/// The board of a published month: by team or by area; by person where the county has that board.
#[utoipa::path(get, path = "/api/v1/leaderboards", tag = "score", params(BoardQuery), security(("bearer" = [])),
    responses((status = 200, body = LeaderboardJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 404, body = ProblemBody, description = "no month is published, or not this one; no board of persons")))]
#[get("/api/v1/leaderboards")]
async fn read_board(
    state: web::Data<State>,
    LoggedIn(_caller): LoggedIn,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let asked = query::<BoardQuery>(&request)?;
    let by = asked.by()?;
    let bad = |_| Problem::new(400, "malformed_request").with_detail("month");
    let month = asked.month.as_deref().map(|month| month.parse().map_err(bad)).transpose()?;
    let limit = Page { limit: asked.limit, cursor: None }.limit()?;
    let app = state.app.clone();
    let Some(by) = by else {
        let work = async move { app.board_of_persons(month, limit).await };
        let (period, ranked) = state.app.run(work).await?;
        return Ok(HttpResponse::Ok().json(of_persons(&period, ranked)));
    };
    let found = state.app.run(async move { app.board_of(month, by, limit).await }).await?;
    Ok(HttpResponse::Ok().json(LeaderboardJson::from(found)))
}

fn of_persons(period: &PeriodRow, ranked: Vec<Ranked>) -> LeaderboardJson {
    let line = |one: Ranked| BoardLineJson {
        rank: one.rank.unsigned_abs(),
        team: one.team,
        team_id: None,
        area_code: None,
        name: Some(one.name),
        people: None,
        points: one.points,
        hand_made: one.hand_made,
    };
    LeaderboardJson {
        month: period.month.clone(),
        sealed: period.sealed_at.is_some(),
        items: ranked.into_iter().map(line).collect(),
    }
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct RankQuery {
    /// `YYYY-MM`; without it the last month whose list is published.
    #[param(example = "2026-10")]
    month: Option<String>,
}

/// The caller's own rank.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RankJson {
    #[schema(example = "2026-10")]
    month: String,
    /// Whether the month is sealed.
    sealed: bool,
    /// One more than there are people with more points; absent where the caller has no line that counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    rank: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    points: Option<i64>,
    /// How many people have a line that counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    people: Option<i64>,
}

/// Where the caller himself stands in a published month: for him alone, whatever boards there are.
#[utoipa::path(get, path = "/api/v1/me/rank", tag = "score", params(RankQuery), security(("bearer" = [])),
    responses((status = 200, body = RankJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 404, body = ProblemBody, description = "no month is published, or not this one")))]
#[get("/api/v1/me/rank")]
async fn own_rank(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let asked = query::<RankQuery>(&request)?;
    let bad = |_| Problem::new(400, "malformed_request").with_detail("month");
    let month = asked.month.as_deref().map(|month| month.parse().map_err(bad)).transpose()?;
    let app = state.app.clone();
    let (period, own) = state.app.run(async move { app.own_rank(&caller, month).await }).await?;
    Ok(HttpResponse::Ok().json(RankJson {
        month: period.month,
        sealed: period.sealed_at.is_some(),
        rank: own.map(|own| own.rank),
        points: own.map(|own| own.points),
        people: own.map(|own| own.people),
    }))
}
