//! Scoring: the rules, why an entry is what it is, and its reversal.

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use xingfuma_domain::scoring::{Points, PostedTransaction, Rule, Trigger};

use crate::State;
use crate::extract::{Body, LoggedIn, id, required_key, respond};
use crate::problem::{Problem, ProblemBody};

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RuleJson {
    #[schema(example = "609")]
    code: String,
    #[schema(example = "base")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<String>,
    name: String,
    points: PointsJson,
    version: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    monthly_cap: Option<i64>,
    /// At most so many points of it for one person on one day.
    #[serde(skip_serializing_if = "Option::is_none")]
    daily_cap: Option<i64>,
    /// One order brings one person at most so many points, those of this rule being the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    order_cap: Option<i64>,
    /// What it scores on by itself: `completed`, `rated`, `featured`, `activity` or `patrol`; absent where it is claimed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "completed")]
    trigger: Option<&'static str>,
    /// What must hold beside the trigger: `onTime`, `minStars`, `minMinutes`, `urgency`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    conditions: Option<serde_json::Value>,
    evidence_required: bool,
    /// The first day on which this version holds, in China time; absent: always.
    #[serde(skip_serializing_if = "Option::is_none")]
    effective_from: Option<String>,
    /// It holds in this area only, and overrules what holds around it.
    #[serde(skip_serializing_if = "Option::is_none")]
    area_code: Option<String>,
}

/// A number, or the least and the most that may be decided.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum PointsJson {
    Fixed(i64),
    Range { min: i64, max: i64 },
}

impl From<Points> for PointsJson {
    fn from(points: Points) -> PointsJson {
        match points {
            Points::Fixed(points) => PointsJson::Fixed(points),
            Points::Range { min, max } => PointsJson::Range { min, max },
        }
    }
}

impl From<&Rule> for RuleJson {
    fn from(rule: &Rule) -> RuleJson {
        RuleJson {
            code: rule.code.clone(),
            kind: rule.kind.as_str(),
            category: rule.category.clone(),
            name: rule.name.clone(),
            points: PointsJson::from(rule.points),
            version: rule.version,
            monthly_cap: rule.monthly_cap,
            daily_cap: rule.daily_cap,
            order_cap: rule.order_cap,
            trigger: rule.trigger.map(Trigger::as_str),
            conditions: (!rule.conditions.is_empty())
                .then(|| serde_json::to_value(&rule.conditions).unwrap_or_default()),
            evidence_required: rule.evidence_required,
            effective_from: rule.effective_from.map(|day| day.to_string()),
            area_code: rule.area.map(|area| area.to_string()),
        }
    }
}

#[derive(Serialize, ToSchema)]
struct RulesJson {
    items: Vec<RuleJson>,
}

/// The rules in all their versions.
#[utoipa::path(get, path = "/api/v1/score/rules", tag = "score", security(("bearer" = [])),
    responses((status = 200, body = RulesJson), (status = 401, body = ProblemBody)))]
#[get("/api/v1/score/rules")]
async fn rules(state: web::Data<State>, LoggedIn(_caller): LoggedIn) -> Result<HttpResponse, Problem> {
    let items = state.app.rules.iter().map(RuleJson::from).collect();
    Ok(HttpResponse::Ok().json(RulesJson { items }))
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EntryJson {
    id: Uuid,
    at: DateTime<Utc>,
    points: i64,
    cause: String,
    rule: String,
    rule_version: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    reverses: Option<Uuid>,
    /// 手工录入: typed in by hand, as a claim is, and decided by a second person.
    hand_made: bool,
}

impl From<&PostedTransaction> for EntryJson {
    fn from(posted: &PostedTransaction) -> EntryJson {
        let posting = &posted.posting;
        EntryJson {
            id: posted.id,
            at: posting.at,
            points: posting.points(),
            cause: posting.cause.kind.to_string(),
            rule: posting.rule_code.clone(),
            rule_version: posting.rule_version,
            reverses: posting.reverses,
            hand_made: posting.inputs.is_hand_made(),
        }
    }
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct WhyJson {
    entry: EntryJson,
    /// The rule; absent where goods of a shop were paid for, whose price gave the number.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<RuleJson>,
    /// What the rule was applied to.
    #[schema(value_type = Object)]
    inputs: serde_json::Value,
    /// The number again, from these inputs and that version.
    recomputed: i64,
    /// Whether that is the number of the entry.
    agrees: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_by: Option<Uuid>,
    /// Why the points are, or were, on hold for review.
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<WhyHeldJson>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct WhyHeldJson {
    #[schema(example = "too_quick")]
    reason: String,
    /// `pending`, `released`, `voided` or `settled`.
    #[schema(example = "pending")]
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_by: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<String>,
}

/// Why an entry is what it is.
#[utoipa::path(get, path = "/api/v1/score/entries/{id}/why", tag = "score", params(("id" = Uuid, Path)),
    security(("bearer" = [])),
    responses((status = 200, body = WhyJson), (status = 401, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[get("/api/v1/score/entries/{id}/why")]
async fn why(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    entry: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let entry = id(&entry)?;
    let app = state.app.clone();
    let why = state.app.run(async move { app.why(&caller, entry).await }).await?;
    Ok(HttpResponse::Ok().json(WhyJson {
        entry: EntryJson::from(&why.posted),
        rule: why.rule.as_ref().map(RuleJson::from),
        inputs: serde_json::to_value(&why.posted.posting.inputs).unwrap_or_default(),
        recomputed: why.recomputed,
        agrees: why.recomputed == why.posted.posting.points(),
        decided_by: why.posted.posting.decided_by,
        hold: why.hold.map(|hold| WhyHeldJson {
            reason: hold.reason,
            status: hold.status,
            decided_by: hold.decided_by,
            decision: hold.decision,
        }),
    }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReverseBody {
    reason: String,
}

/// Reverse one entry exactly, with a reason; each entry once.
#[utoipa::path(post, path = "/api/v1/score/entries/{id}/reverse", tag = "score", request_body = ReverseBody,
    params(("id" = Uuid, Path), ("Idempotency-Key" = String, Header)), security(("bearer" = [])),
    responses((status = 201, body = EntryJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "already_answered"), (status = 422, body = ProblemBody)))]
#[post("/api/v1/score/entries/{id}/reverse")]
async fn reverse(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    entry: web::Path<String>,
    body: Body<ReverseBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = required_key(&state, &caller, &request, &body.bytes)?;
    let entry = id(&entry)?;
    let app = state.app.clone();
    let render =
        |posted: &PostedTransaction| (201, serde_json::to_vec(&EntryJson::from(posted)).unwrap_or_default());
    let work = async move { app.reverse(&caller, entry, &body.read.reason, &keyed, render).await };
    Ok(respond(state.app.run(work).await?))
}
