//! How the caller wants to be told.

use actix_web::{HttpRequest, HttpResponse, get, post, put, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use xingfuma_app::message::Offered;
use xingfuma_app::once::Once;
use xingfuma_domain::deadline::QuietHours;
use xingfuma_domain::message::Preferences;

use crate::State;
use crate::duty::QuietJson;
use crate::extract::{Body, LoggedIn, keyed, respond};
use crate::problem::{Problem, ProblemBody};

/// A template of WeChat, for `wx.requestSubscribeMessage`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TemplateJson {
    #[schema(example = "offer")]
    name: String,
    /// What WeChat calls it.
    template_id: String,
    /// One consent is for ever; otherwise it is for one message.
    long_term: bool,
    /// Messages that the caller would still take, as far as anybody told us.
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining: Option<i32>,
}

/// How somebody wants to be told; the inbox has every message in any case.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PreferencesJson {
    /// By WeChat.
    wechat: bool,
    /// By SMS, where WeChat cannot be.
    sms: bool,
    /// His own quiet hours; absent while the county's hold. They delay what is not urgent.
    #[serde(skip_serializing_if = "Option::is_none")]
    quiet_hours: Option<QuietJson>,
    /// What he can agree to in WeChat.
    templates: Vec<TemplateJson>,
}

/// As the caller is told of them.
pub(crate) fn preferences_json((kept, offered): &(Preferences, Vec<Offered>)) -> PreferencesJson {
    let template = |one: &Offered| TemplateJson {
        name: one.name.clone(),
        template_id: one.template.id.clone(),
        long_term: one.template.long_term,
        remaining: one.remaining,
    };
    PreferencesJson {
        wechat: kept.wechat,
        sms: kept.sms,
        quiet_hours: kept.quiet.map(QuietJson::from),
        templates: offered.iter().map(template).collect(),
    }
}

fn json(known: &(Preferences, Vec<Offered>)) -> HttpResponse {
    HttpResponse::Ok().json(preferences_json(known))
}

/// How the caller is told.
#[utoipa::path(get, path = "/api/v1/me/preferences", tag = "me", security(("bearer" = [])),
    responses((status = 200, body = PreferencesJson), (status = 401, body = ProblemBody)))]
#[get("/api/v1/me/preferences")]
async fn read(state: web::Data<State>, LoggedIn(caller): LoggedIn) -> Result<HttpResponse, Problem> {
    let app = state.app.clone();
    Ok(json(&state.app.run(async move { app.preferences(&caller).await }).await?))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PreferencesBody {
    wechat: bool,
    sms: bool,
    /// Left out: the county's. Beginning and end at the same time: none at all.
    quiet_hours: Option<QuietJson>,
}

/// Say how one wants to be told. It holds for messages that wait, too.
#[utoipa::path(put, path = "/api/v1/me/preferences", tag = "me", request_body = PreferencesBody,
    security(("bearer" = [])),
    responses((status = 200, body = PreferencesJson), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody)))]
#[put("/api/v1/me/preferences")]
async fn keep(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    body: Body<PreferencesBody>,
) -> Result<HttpResponse, Problem> {
    let app = state.app.clone();
    let PreferencesBody { wechat, sms, quiet_hours } = body.read;
    let wanted = Preferences { wechat, sms, quiet: quiet_hours.map(QuietHours::from) };
    let work = async move {
        app.keep_preferences(&caller, wanted).await?;
        app.preferences(&caller).await
    };
    Ok(json(&state.app.run(work).await?))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SubscribeBody {
    /// Names of the templates that were accepted, each for one message more.
    #[schema(example = json!(["offer"]))]
    templates: Vec<String>,
}

/// Tell that the caller has just accepted messages in WeChat. WeChat's own ledger decides; this one spares it calls, and
/// tells the mini-program when to ask again.
#[utoipa::path(post, path = "/api/v1/me/subscriptions", tag = "me", request_body = SubscribeBody,
    params(("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 200, body = PreferencesJson), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 422, body = ProblemBody, description = "template_unknown")))]
#[post("/api/v1/me/subscriptions")]
async fn subscribe(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    body: Body<SubscribeBody>,
) -> Result<HttpResponse, Problem> {
    let once = Once::json(keyed(&state, &caller, &request, &body.bytes)?, 200, preferences_json);
    let app = state.app.clone();
    let work = async move { app.subscribe(&caller, body.read.templates, &once).await };
    Ok(respond(state.app.run(work).await?))
}
