//! Every command to an order that exists: what it takes, and the request that it becomes.

use actix_web::{HttpRequest, HttpResponse, post, web};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;
use xingfuma_app::command::{Ask, Request};
use xingfuma_domain::order::Outcome;

use crate::State;
use crate::extract::{Body, LoggedInFor, id, if_match, keyed, required_key, respond};
use crate::order_json::OrderJson;
use crate::orders::render;
use crate::problem::{Problem, ProblemBody};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReasonBody {
    /// Why; at most 200 characters.
    #[serde(default)]
    pub(crate) reason: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct DispatchBody {
    team_id: Uuid,
    /// A volunteer of the team.
    volunteer_id: Option<Uuid>,
    reason: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct DeclineBody {
    /// Required once accepted.
    reason: Option<String>,
    /// For the whole team; a leader's default.
    whole_team: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct HandOverBody {
    volunteer_id: Uuid,
    reason: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ArriveBody {
    /// Shown by the sign of the place.
    sign_code: Option<String>,
    /// Shown by one's own badge.
    badge: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CompleteBody {
    /// What was done.
    #[schema(example = "药已送到")]
    summary: String,
    /// Minutes of service without travel, 1 to 1,440.
    #[schema(example = 25, minimum = 1, maximum = 1440)]
    minutes: i64,
    /// Photos of one's own that were uploaded before and not attached yet, at most 9.
    #[serde(default)]
    media_ids: Vec<Uuid>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WaitBody {
    question: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AnswerBody {
    answer: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RateBody {
    /// 1 to 5.
    #[schema(example = 5, minimum = 1, maximum = 5)]
    stars: i64,
    solved: bool,
    #[serde(default)]
    tags: Vec<String>,
    comment: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CancelBody {
    /// Required from a dispatcher, and from the resident once accepted.
    reason: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct HelpBody {
    /// The team that is to help.
    team_id: Uuid,
    /// What it is to do; at most 500 characters.
    #[schema(example = "请带抽水泵到场协助")]
    task: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MergeBody {
    /// The order that leads.
    into: Uuid,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RevisitBody {
    /// `solved`, `unsolved` or `unreachable`.
    #[schema(value_type = String, example = "solved")]
    outcome: Outcome,
    /// In words; required where it is not solved.
    note: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct WhistleBody {
    /// One to eight departments, each called once.
    department_ids: Vec<Uuid>,
    /// What is needed of them; at most 500 characters.
    #[schema(example = "请派人到场核查")]
    demand: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CorrectBody {
    /// Who is to put it right; at most 60 characters.
    #[schema(example = "某超市")]
    addressee: String,
    /// What is to be put right; at most 500 characters.
    #[schema(example = "清理消防通道")]
    demand: String,
    /// Within how many working days: 1 to 90.
    #[schema(example = 7, minimum = 1, maximum = 90)]
    term_days: i64,
}

pub(crate) async fn command(
    state: web::Data<State>,
    LoggedInFor(caller, found): LoggedInFor,
    request: &HttpRequest,
    order: &str,
    bytes: &[u8],
    asked: Request,
) -> Result<HttpResponse, Problem> {
    let keyed = match &asked {
        // Points move here.
        Request::Complete { .. } | Request::Rate { .. } => {
            Some(required_key(&state, &caller, request, bytes)?)
        }
        _ => keyed(&state, &caller, request, bytes)?,
    };
    let if_match = if_match(request)?;
    let ask = Ask { caller, order: id(order)?, found, keyed, if_match, render: render(200) };
    let app = state.app.clone();
    Ok(respond(state.app.run(async move { app.command(ask, asked).await }).await?))
}

/// One command: `[..]` is the type of its key, which the specification calls required where it is no `Option`.
macro_rules! order_command {
    ([$($key:tt)+] $(#[$about:meta])* $name:ident $path:tt $body:ident $read:expr;) => {
        $(#[$about])*
        #[utoipa::path(post, path = $path, tag = "orders", request_body = $body, security(("bearer" = [])),
            params(("id" = Uuid, Path), ("Idempotency-Key" = $($key)+, Header), ("If-Match" = Option<String>, Header)),
            responses((status = 200, body = OrderJson), (status = 400, body = ProblemBody),
                (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
                (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
                (status = 412, body = ProblemBody), (status = 422, body = ProblemBody),
                (status = 429, body = ProblemBody), (status = 503, body = ProblemBody)))]
        #[post($path)]
        async fn $name(
            state: web::Data<State>,
            caller: LoggedInFor,
            request: HttpRequest,
            order: web::Path<String>,
            body: Body<$body>,
        ) -> Result<HttpResponse, Problem> {
            let read: fn($body) -> Result<Request, Problem> = $read;
            let asked = read(body.read)?;
            command(state, caller, &request, &order, &body.bytes, asked).await
        }
    };
}

/// Commands that take a key, and can do without.
macro_rules! commands {
    ($($(#[$about:meta])* $name:ident $path:tt $body:ident $read:expr;)+) => {
        $(order_command! { [Option<String>] $(#[$about])* $name $path $body $read; })+
    };
}

commands! {
    /// 派: dispatch by hand, with a reason.
    dispatch "/api/v1/orders/{id}/dispatch" DispatchBody |body| {
        Ok(Request::Dispatch { team: body.team_id, volunteer: body.volunteer_id, reason: body.reason })
    };
    /// 接: accept; exactly one wins, the others get 409 `order_taken`.
    accept "/api/v1/orders/{id}/accept" Nothing |_| Ok(Request::Accept);
    /// 退单: decline; free before accepting.
    decline "/api/v1/orders/{id}/decline" DeclineBody |body| {
        Ok(Request::Decline { reason: body.reason, whole_team: body.whole_team })
    };
    /// 转单: hand over to a named volunteer.
    hand_over "/api/v1/orders/{id}/hand-over" HandOverBody |body| {
        Ok(Request::HandOver { volunteer: body.volunteer_id, reason: body.reason })
    };
    /// Say that one is there: by sign, badge or word.
    arrive "/api/v1/orders/{id}/arrive" ArriveBody |body| {
        Ok(Request::Arrive { sign: body.sign_code, badge: body.badge })
    };
    /// Ask the resident; clocks stand still.
    wait "/api/v1/orders/{id}/wait" WaitBody |body| Ok(Request::Wait { question: body.question });
    /// Answer; work goes on.
    answer "/api/v1/orders/{id}/answer" AnswerBody |body| Ok(Request::Answer { answer: body.answer });
    /// 返工: reopen, within 7 days and at most twice.
    reopen "/api/v1/orders/{id}/reopen" ReasonBody |body| Ok(Request::Reopen { reason: body.reason });
    /// Call off.
    cancel "/api/v1/orders/{id}/cancel" CancelBody |body| Ok(Request::Cancel { reason: body.reason });
    /// Send up a level.
    escalate "/api/v1/orders/{id}/escalate" ReasonBody |body| Ok(Request::Escalate { reason: body.reason });
    /// 催单: urge, at most every 30 minutes.
    urge "/api/v1/orders/{id}/urge" Nothing |_| Ok(Request::Urge);
    /// Follow another order that is the same: the resident stays informed, may rate when that one is done, and his order
    /// closes with it.
    merge "/api/v1/orders/{id}/merge" MergeBody |body| Ok(Request::Merge { into: body.into });
    /// Ask another team to help: it gets a helping order of its own, and this one is completed after it.
    help "/api/v1/orders/{id}/help" HelpBody |body| Ok(Request::Help { team: body.team_id, task: body.task });
    /// More time for a complex order, once, with a reason.
    extend "/api/v1/orders/{id}/extend" ReasonBody |body| Ok(Request::Extend { reason: body.reason });
    /// 回访: what asking a dissatisfied resident came to; for the township.
    revisit "/api/v1/orders/{id}/revisit" RevisitBody |body| {
        Ok(Request::Revisit { outcome: body.outcome, note: body.note })
    };
    /// 吹哨: call departments, each with its own clock.
    whistle "/api/v1/orders/{id}/whistle" WhistleBody |body| {
        Ok(Request::Whistle { departments: body.department_ids, demand: body.demand })
    };
    /// 限期整改: a corrective notice with a term, about a report. It is not completed before the re-inspection.
    correct "/api/v1/orders/{id}/corrections" CorrectBody |body| {
        Ok(Request::Correct { addressee: body.addressee, demand: body.demand, term_days: body.term_days })
    };
}

order_command! { [String]
    /// Say that it is done. `Idempotency-Key` is required: points move.
    complete "/api/v1/orders/{id}/complete" CompleteBody |body| {
        Ok(Request::Complete { summary: body.summary, minutes: body.minutes, media: body.media_ids })
    };
}

order_command! { [String]
    /// 评: rate. `Idempotency-Key` is required: points move.
    rate "/api/v1/orders/{id}/rate" RateBody |body| {
        Ok(Request::Rate { stars: body.stars, solved: body.solved, tags: body.tags, comment: body.comment })
    };
}
