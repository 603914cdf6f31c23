//! Boards (排行) of teams and areas, from published lists.

use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use xingfuma_app::notice::Board;
use xingfuma_domain::area::Level;
use xingfuma_store::periods::boards::By;

use crate::State;
use crate::extract::{LoggedIn, Page, query};
use crate::problem::{Problem, ProblemBody};

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct BoardQuery {
    /// `team`, `grid`, `village` or `township`. There is no board of persons: nobody has agreed to be on one.
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
    fn by(&self) -> Result<By, Problem> {
        Ok(match self.by.as_str() {
            "team" => By::Team,
            "grid" => By::Area(Level::Grid),
            "village" => By::Area(Level::Village),
            "township" => By::Area(Level::Township),
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
    #[serde(skip_serializing_if = "Option::is_none")]
    team_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    area_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// People with points in that month.
    people: i64,
    points: i64,
    /// 手工录入: so many of the points were typed in by hand, as claims are, and decided by a second person.
    hand_made: i64,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct BoardJson {
    #[schema(example = "2026-10")]
    month: String,
    /// Whether the month is sealed; as long as its notice runs, objections may change it.
    sealed: bool,
    items: Vec<BoardLineJson>,
}

impl From<Board> for BoardJson {
    fn from(board: Board) -> BoardJson {
        let mut items: Vec<BoardLineJson> = Vec::with_capacity(board.lines.len());
        for (place, (row, name)) in (1..).zip(board.lines) {
            let rank = items.last().filter(|last| last.points == row.points).map_or(place, |last| last.rank);
            let (people, points) = (row.people, row.points);
            items.push(BoardLineJson {
                rank,
                team_id: row.team_id,
                area_code: row.area_code,
                name,
                people,
                points,
                hand_made: row.hand_made,
            });
        }
        BoardJson { month: board.month.to_string(), sealed: board.sealed, items }
    }
}

/// The board of a published month, by team or by area.
#[utoipa::path(get, path = "/api/v1/leaderboards", tag = "score", params(BoardQuery), security(("bearer" = [])),
    responses((status = 200, body = BoardJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 404, body = ProblemBody, description = "no month is published, or not this one")))]
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
    let found = state.app.run(async move { app.board_of(month, by, limit).await }).await?;
    Ok(HttpResponse::Ok().json(BoardJson::from(found)))
}
