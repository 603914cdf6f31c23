//! A person's own copy of his data, and its erasure.

use actix_web::{HttpResponse, delete, post, web};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use xingfuma_app::own_data::{OwnData, is_own};

use crate::State;
use crate::consents::{WordJson, words};
use crate::extract::LoggedIn;
use crate::me::MeJson;
use crate::order_json::OrderJson;
use crate::own_records::RecordsCopyJson;
use crate::preferences::{PreferencesJson, preferences_json};
use crate::problem::{Problem, ProblemBody};

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PostCopyJson {
    id: Uuid,
    order_id: Uuid,
    text: String,
    status: String,
    created_at: DateTime<Utc>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PhotoCopyJson {
    id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<Uuid>,
    created_at: DateTime<Utc>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LineCopyJson {
    id: Uuid,
    at: DateTime<Utc>,
    points: i64,
    rule: String,
    rule_version: i32,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PointsCopyJson {
    assessment: i64,
    spendable: i64,
    held: i64,
    entries: Vec<LineCopyJson>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MessageCopyJson {
    id: Uuid,
    order_id: Uuid,
    topic: String,
    created_at: DateTime<Utc>,
}

/// Somebody was shown something of this person.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DisclosureJson {
    at: DateTime<Utc>,
    /// `self`, or `other`: a volunteer who had accepted, or staff, who is known to the county.
    by: &'static str,
    #[schema(example = "contact_revealed")]
    action: String,
    resource_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Everything that is kept about a person.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OwnDataJson {
    person: MeJson,
    orders: Vec<OrderJson>,
    posts: Vec<PostCopyJson>,
    /// Each is fetched by `GET /media/{id}`.
    photos: Vec<PhotoCopyJson>,
    points: PointsCopyJson,
    messages: Vec<MessageCopyJson>,
    /// How he wants to be told.
    preferences: PreferencesJson,
    /// Activities, trainings, patrols, stars, certificates, held points, claims, appeals, objections, redemptions, leaves,
    /// badges.
    records: RecordsCopyJson,
    /// What he agreed to, and took back.
    consents: Vec<WordJson>,
    /// Who was shown what, and why.
    disclosures: Vec<DisclosureJson>,
}

impl From<OwnData> for OwnDataJson {
    fn from(own: OwnData) -> OwnDataJson {
        let person = own.me.person;
        let posts = own.posts.into_iter().map(|post| PostCopyJson {
            id: post.id,
            order_id: post.order_id,
            text: post.text,
            status: post.status,
            created_at: post.created_at,
        });
        let photos = own.photos.into_iter().map(|row| PhotoCopyJson {
            id: row.id,
            order_id: row.order_id,
            created_at: row.created_at,
        });
        let entries = own.lines.into_iter().map(|line| LineCopyJson {
            id: line.id,
            at: line.at,
            points: line.points,
            rule: line.rule_code,
            rule_version: line.rule_version,
        });
        let messages = own.messages.into_iter().map(|message| MessageCopyJson {
            id: message.id,
            order_id: message.order_id,
            topic: message.topic,
            created_at: message.created_at,
        });
        let disclosures = own.disclosures.into_iter().map(|disclosure| DisclosureJson {
            at: disclosure.at,
            by: if is_own(&disclosure, person) { "self" } else { "other" },
            action: disclosure.action,
            resource_id: disclosure.resource_id,
            reason: disclosure.reason,
        });
        OwnDataJson {
            orders: own.orders.iter().map(OrderJson::from).collect(),
            posts: posts.collect(),
            photos: photos.collect(),
            points: PointsCopyJson {
                assessment: own.balances.assessment,
                spendable: own.balances.spendable,
                held: own.balances.held,
                entries: entries.collect(),
            },
            messages: messages.collect(),
            preferences: preferences_json(&own.preferences),
            records: RecordsCopyJson::from(own.records),
            consents: words(person, own.consents),
            disclosures: disclosures.collect(),
            person: MeJson::from(own.me),
        }
    }
}

/// A copy of all that is kept about the caller.
#[utoipa::path(post, path = "/api/v1/me/export", tag = "me", security(("bearer" = [])),
    responses((status = 200, body = OwnDataJson), (status = 401, body = ProblemBody),
        (status = 429, body = ProblemBody, description = "too_many_requests")))]
#[post("/api/v1/me/export")]
async fn export(state: web::Data<State>, LoggedIn(caller): LoggedIn) -> Result<HttpResponse, Problem> {
    let app = state.app.clone();
    let own = state.app.run(async move { app.export_own_data(&caller).await }).await?;
    Ok(HttpResponse::Ok()
        .insert_header(("content-disposition", "attachment; filename=\"xingfuma.json\""))
        .json(OwnDataJson::from(own)))
}

/// Erase the caller: nobody can open his data any more. It cannot be undone.
#[utoipa::path(delete, path = "/api/v1/me", tag = "me", security(("bearer" = [])),
    responses((status = 204), (status = 401, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "open_orders")))]
#[delete("/api/v1/me")]
async fn erase(state: web::Data<State>, LoggedIn(caller): LoggedIn) -> Result<HttpResponse, Problem> {
    let app = state.app.clone();
    state.app.run(async move { app.erase_own_data(&caller).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}
