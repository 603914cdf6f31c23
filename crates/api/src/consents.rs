//! Consents: what somebody agreed to, and a guardian's word for a child.

use actix_web::{HttpRequest, HttpResponse, delete, get, post, put, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use xingfuma_app::Caller;
use xingfuma_app::consents::Consents;
use xingfuma_app::once::Once;
use xingfuma_domain::consent::ConsentKind;

use crate::State;
use crate::extract::{Body, LoggedIn, id, keyed, respond};
use crate::problem::{Problem, ProblemBody};

/// What stands of one kind of consent.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ConsentJson {
    #[schema(example = "publishing")]
    kind: &'static str,
    /// The version of the text that is agreed to now.
    current_version: i64,
    /// Whether it is in force.
    in_force: bool,
}

/// One word, as it was said.
#[derive(Serialize, ToSchema)]
pub(crate) struct WordJson {
    #[schema(example = "publishing")]
    kind: String,
    version: i64,
    /// Agreed, or taken back.
    given: bool,
    /// `self`, or `guardian`.
    #[schema(example = "self")]
    by: &'static str,
    at: DateTime<Utc>,
}

/// What the caller agreed to.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ConsentsJson {
    /// He said that he is under 14.
    under14: bool,
    /// A guardian's consent is in force.
    guardian: bool,
    items: Vec<ConsentJson>,
    /// Every word, oldest first.
    history: Vec<WordJson>,
}

/// The words of a person as JSON.
pub(crate) fn words(person: Uuid, history: Vec<xingfuma_store::consents::WordRow>) -> Vec<WordJson> {
    let word = |row: xingfuma_store::consents::WordRow| WordJson {
        by: if row.given_by == person { "self" } else { "guardian" },
        kind: row.kind,
        version: row.version,
        given: row.given,
        at: row.at,
    };
    history.into_iter().map(word).collect()
}

fn shape(person: Uuid, consents: &Consents) -> ConsentsJson {
    let standing = &consents.standing;
    let item = |kind: ConsentKind| ConsentJson {
        kind: kind.as_str(),
        current_version: kind.current_version(),
        in_force: standing.has(kind),
    };
    ConsentsJson {
        under14: standing.is_under_14(),
        guardian: standing.has(ConsentKind::Guardian),
        items: ConsentKind::ALL.into_iter().filter(|kind| kind.is_own()).map(item).collect(),
        history: words(person, consents.history.clone()),
    }
}

fn json(person: Uuid, consents: &Consents) -> HttpResponse {
    HttpResponse::Ok().json(shape(person, consents))
}

/// Done once where the caller gave a key; answered with what stands then.
fn once(
    state: &State,
    caller: &Caller,
    request: &HttpRequest,
    body: &[u8],
) -> Result<Once<Consents>, Problem> {
    let person = caller.actor.person;
    Ok(Once::json(keyed(state, caller, request, body)?, 200, move |consents| shape(person, consents)))
}

/// What the caller agreed to, and every word that he said about it.
#[utoipa::path(get, path = "/api/v1/me/consents", tag = "me", security(("bearer" = [])),
    responses((status = 200, body = ConsentsJson), (status = 401, body = ProblemBody)))]
#[get("/api/v1/me/consents")]
async fn list(state: web::Data<State>, LoggedIn(caller): LoggedIn) -> Result<HttpResponse, Problem> {
    let (app, person) = (state.app.clone(), caller.actor.person);
    let consents = state.app.run(async move { app.consents(&caller).await }).await?;
    Ok(json(person, &consents))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GiveBody {
    /// `privacy_notice`, `publishing` or `ranking_by_name`.
    #[schema(example = "publishing")]
    kind: String,
    /// The version of the text that was shown.
    #[schema(example = 1, minimum = 1, maximum = 1000000)]
    version: i64,
}

/// Agree. Agreeing twice is agreeing once.
#[utoipa::path(post, path = "/api/v1/me/consents", tag = "me", request_body = GiveBody,
    params(("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 200, body = ConsentsJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody, description = "guardian_consent_missing"),
        (status = 422, body = ProblemBody, description = "consent_unknown, not_the_current_version")))]
#[post("/api/v1/me/consents")]
async fn give(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    body: Body<GiveBody>,
) -> Result<HttpResponse, Problem> {
    let once = once(&state, &caller, &request, &body.bytes)?;
    let app = state.app.clone();
    let GiveBody { kind, version } = body.read;
    let work = async move { app.give_consent(&caller, &kind, version, &once).await };
    Ok(respond(state.app.run(work).await?))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TakeBackBody {
    /// `privacy_notice`, `publishing` or `ranking_by_name`.
    #[schema(example = "publishing")]
    kind: String,
}

/// Take a consent back, with effect at once: posts of somebody who does not want to be published are on no page any more.
#[utoipa::path(post, path = "/api/v1/me/consents/withdraw", tag = "me", request_body = TakeBackBody,
    params(("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 200, body = ConsentsJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 422, body = ProblemBody, description = "consent_unknown")))]
#[post("/api/v1/me/consents/withdraw")]
async fn take_back(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    body: Body<TakeBackBody>,
) -> Result<HttpResponse, Problem> {
    let once = once(&state, &caller, &request, &body.bytes)?;
    let app = state.app.clone();
    let kind = body.read.kind;
    let work = async move { app.take_back_consent(&caller, &kind, &once).await };
    Ok(respond(state.app.run(work).await?))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AgeBody {
    /// Whether one is under 14. Nothing else about age is asked or kept.
    under14: bool,
}

/// Say whether one is under 14: then nothing of oneself is published without a guardian's consent.
#[utoipa::path(put, path = "/api/v1/me/age", tag = "me", request_body = AgeBody, security(("bearer" = [])),
    responses((status = 200, body = ConsentsJson), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody)))]
#[put("/api/v1/me/age")]
async fn state_age(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    body: Body<AgeBody>,
) -> Result<HttpResponse, Problem> {
    let (app, person, under_14) = (state.app.clone(), caller.actor.person, body.read.under14);
    let consents = state.app.run(async move { app.state_age(&caller, under_14).await }).await?;
    Ok(json(person, &consents))
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct GuardianCodeJson {
    /// To be read in by the guardian's phone.
    code: String,
    /// Not good from this moment on.
    expires_at: DateTime<Utc>,
}

/// A code that a child shows to his guardian, who agrees with it in his own account.
#[utoipa::path(post, path = "/api/v1/me/guardian-code", tag = "me", security(("bearer" = [])),
    responses((status = 200, body = GuardianCodeJson), (status = 401, body = ProblemBody)))]
#[post("/api/v1/me/guardian-code")]
async fn guardian_code(state: web::Data<State>, LoggedIn(caller): LoggedIn) -> HttpResponse {
    let (code, expires_at) = state.app.guardian_code(&caller);
    HttpResponse::Ok().json(GuardianCodeJson { code, expires_at })
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WardBody {
    /// What the child's phone shows.
    code: String,
}

#[derive(Serialize, ToSchema)]
struct WardJson {
    /// The child; by this id the consent is taken back.
    id: Uuid,
}

/// Agree, as the guardian of a child under 14, to what the child agrees to.
#[utoipa::path(post, path = "/api/v1/me/wards", tag = "me", request_body = WardBody,
    params(("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 200, body = WardJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody, description = "own_decision, guardian_consent_missing"),
        (status = 422, body = ProblemBody, description = "code_unknown")))]
#[post("/api/v1/me/wards")]
async fn agree_as_guardian(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    body: Body<WardBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = keyed(&state, &caller, &request, &body.bytes)?;
    let once = Once::json(keyed, 200, |child: &Uuid| WardJson { id: *child });
    let (app, code) = (state.app.clone(), body.read.code);
    let work = async move { app.agree_as_guardian(&caller, &code, &once).await };
    Ok(respond(state.app.run(work).await?))
}

/// Take a guardian's consent back, with effect at once.
#[utoipa::path(delete, path = "/api/v1/me/wards/{id}", tag = "me", params(("id" = Uuid, Path)),
    security(("bearer" = [])),
    responses((status = 204), (status = 401, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[delete("/api/v1/me/wards/{id}")]
async fn end_guardianship(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    child: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (app, child) = (state.app.clone(), id(&child)?);
    state.app.run(async move { app.end_guardianship(&caller, child).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}
