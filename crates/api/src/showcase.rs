//! 晒: posts.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use xingfuma_app::show::{PhotoLink, PostCommand, PostSeen, RenderPost, ShowRequest};
use xingfuma_store::posts::PostRow;

use crate::State;
use crate::extract::{Body, Items, LoggedIn, Page, id, keyed, query, required_key, respond};
use crate::order_commands::Nothing;
use crate::problem::{Problem, ProblemBody};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ShowBody {
    /// At most 1,000 characters; phones and numbers are masked before anybody else sees it.
    #[schema(example = "小李送药上门，真是帮了大忙")]
    text: String,
    /// Photos of one's own that were uploaded before and not attached yet, at most 9.
    #[serde(default)]
    media_ids: Vec<Uuid>,
    /// The author agrees to publication.
    #[serde(default)]
    consent: bool,
}

/// A post.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PostJson {
    id: Uuid,
    order_id: Uuid,
    #[schema(example = "pending")]
    status: String,
    version: i64,
    text: String,
    resident_consents: bool,
    volunteer_consents: bool,
    featured: bool,
    /// What was hidden in the text before anybody saw it: kinds and places, never what it was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hidden: Vec<SpanJson>,
    /// What WeChat said of the text: `passed`, or `review` where a person has to look with care.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "passed")]
    check: Option<String>,
    /// Its photos; what is known of each stands with the order's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    media_ids: Vec<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    created_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    published_at: Option<DateTime<Utc>>,
}

/// A place in a text where something was hidden, in characters.
#[derive(Serialize, Deserialize, ToSchema)]
struct SpanJson {
    /// `mobile`, `landline`, `id_number`, `house_number`, `long_number`, `name` or `address`.
    #[schema(example = "mobile")]
    kind: String,
    start: usize,
    length: usize,
}

impl From<&PostRow> for PostJson {
    fn from(post: &PostRow) -> PostJson {
        PostJson {
            id: post.id,
            order_id: post.order_id,
            status: post.status.clone(),
            version: post.version,
            text: post.text.clone(),
            resident_consents: post.resident_consent_at.is_some(),
            volunteer_consents: post.volunteer_consent_at.is_some(),
            featured: post.featured_at.is_some(),
            hidden: post
                .hidden
                .as_deref()
                .and_then(|spans| serde_json::from_str(spans).ok())
                .unwrap_or_default(),
            check: post.checked.clone(),
            media_ids: post.photos(),
            reason: post.reason.clone(),
            created_at: post.created_at,
            published_at: post.published_at,
        }
    }
}

/// A published post as everybody sees it: no person, no order.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ShowcaseJson {
    id: Uuid,
    text: String,
    category: String,
    /// Names from the county down to the village.
    area: Vec<String>,
    team: String,
    featured: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    photos: Vec<PhotoLinkJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    published_at: Option<DateTime<Utc>>,
}

/// A photo of a published post.
#[derive(Serialize, ToSchema)]
struct PhotoLinkJson {
    /// Where it can be fetched without logging in, for ten minutes and as long as the post is published.
    url: String,
    width: i64,
    height: i64,
}

impl From<PhotoLink> for PhotoLinkJson {
    fn from(link: PhotoLink) -> PhotoLinkJson {
        PhotoLinkJson { url: link.url, width: link.width, height: link.height }
    }
}

impl From<PostSeen> for ShowcaseJson {
    fn from(seen: PostSeen) -> ShowcaseJson {
        ShowcaseJson {
            id: seen.post.id,
            category: seen.category,
            area: seen.path.into_iter().take(3).collect(),
            team: seen.team,
            featured: seen.post.featured_at.is_some(),
            photos: seen.photos.into_iter().map(PhotoLinkJson::from).collect(),
            published_at: seen.post.published_at,
            text: seen.post.text,
        }
    }
}

fn render(status: u16) -> RenderPost {
    Arc::new(move |post: &PostRow| (status, serde_json::to_vec(&PostJson::from(post)).unwrap_or_default()))
}

/// 晒: write a post about an order that was done.
#[utoipa::path(post, path = "/api/v1/orders/{id}/show", tag = "showcase", request_body = ShowBody,
    params(("id" = Uuid, Path), ("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 201, body = PostJson), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "illegal_move, post_exists"), (status = 422, body = ProblemBody)))]
#[post("/api/v1/orders/{id}/show")]
async fn show(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    order: web::Path<String>,
    body: Body<ShowBody>,
) -> Result<HttpResponse, Problem> {
    let keyed = keyed(&state, &caller, &request, &body.bytes)?;
    let order = id(&order)?;
    let app = state.app.clone();
    let read = body.read;
    let shown = ShowRequest { text: read.text, media: read.media_ids, consent: read.consent };
    let work = async move { app.show(&caller, order, &shown, keyed.as_ref(), render(201)).await };
    Ok(respond(state.app.run(work).await?))
}

/// Published posts, newest first; open to everybody.
#[utoipa::path(get, path = "/api/v1/showcase", tag = "showcase", params(Page),
    responses((status = 200, body = Items<ShowcaseJson>), (status = 400, body = ProblemBody)))]
#[get("/api/v1/showcase")]
async fn list(state: web::Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let page: Page = query(&request)?;
    let (limit, before) = (page.limit()?, page.before()?);
    let app = state.app.clone();
    let posts = state.app.run(async move { app.showcase(before, limit).await }).await?;
    let last = posts.last().map(|seen| seen.post.id);
    let items: Vec<ShowcaseJson> = posts.into_iter().map(ShowcaseJson::from).collect();
    Ok(HttpResponse::Ok().json(Items::page(items, limit, last)))
}

/// Posts that wait for the caller: for his consent, or for his word as a moderator.
#[utoipa::path(get, path = "/api/v1/showcase/pending", tag = "showcase", params(Page), security(("bearer" = [])),
    responses((status = 200, body = Items<PostJson>), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody)))]
#[get("/api/v1/showcase/pending")]
async fn pending(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let page: Page = query(&request)?;
    let (limit, before) = (page.limit()?, page.before()?);
    let app = state.app.clone();
    let posts = state.app.run(async move { app.pending_posts(&caller, before, limit).await }).await?;
    let last = posts.last().map(|seen| seen.post.id);
    let items: Vec<PostJson> = posts.iter().map(|seen| PostJson::from(&seen.post)).collect();
    Ok(HttpResponse::Ok().json(Items::page(items, limit, last)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RejectBody {
    reason: String,
}

async fn command(
    state: web::Data<State>,
    caller: xingfuma_app::Caller,
    request: &HttpRequest,
    post: &str,
    bytes: &[u8],
    asked: PostCommand,
) -> Result<HttpResponse, Problem> {
    let keyed = match asked {
        // Points move here.
        PostCommand::Feature => Some(required_key(&state, &caller, request, bytes)?),
        _ => keyed(&state, &caller, request, bytes)?,
    };
    let post = id(post)?;
    let app = state.app.clone();
    let work = async move { app.post_command(&caller, post, asked, keyed.as_ref(), render(200)).await };
    Ok(respond(state.app.run(work).await?))
}

/// One command: `[..]` is the type of its key, which the specification calls required where it is no `Option`.
macro_rules! post_command {
    ([$($key:tt)+] $(#[$about:meta])* $name:ident $path:tt $body:ident $read:expr;) => {
        $(#[$about])*
        #[utoipa::path(post, path = $path, tag = "showcase", request_body = $body, security(("bearer" = [])),
            params(("id" = Uuid, Path), ("Idempotency-Key" = $($key)+, Header)),
            responses((status = 200, body = PostJson), (status = 400, body = ProblemBody),
                (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
                (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
                (status = 422, body = ProblemBody)))]
        #[post($path)]
        async fn $name(
            state: web::Data<State>,
            LoggedIn(caller): LoggedIn,
            request: HttpRequest,
            post: web::Path<String>,
            body: Body<$body>,
        ) -> Result<HttpResponse, Problem> {
            let read: fn($body) -> PostCommand = $read;
            let asked = read(body.read);
            command(state, caller, &request, &post, &body.bytes, asked).await
        }
    };
}

/// Commands that take a key, and can do without.
macro_rules! commands {
    ($($(#[$about:meta])* $name:ident $path:tt $body:ident $read:expr;)+) => {
        $(post_command! { [Option<String>] $(#[$about])* $name $path $body $read; })+
    };
}

commands! {
    /// The resident or the volunteer agrees to publication.
    consent "/api/v1/showcase/{id}/consent" Nothing |_| PostCommand::Consent;
    /// The moderator agrees; before both consents: 409 `consent_missing`.
    approve "/api/v1/showcase/{id}/approve" Nothing |_| PostCommand::Approve;
    /// The moderator does not agree.
    reject "/api/v1/showcase/{id}/reject" RejectBody |body| PostCommand::Reject { reason: body.reason };
    /// Resident, volunteer or moderator take it back, at once.
    withdraw "/api/v1/showcase/{id}/withdraw" Nothing |_| PostCommand::Withdraw;
}

post_command! { [String]
    /// Put it among the best (精选). `Idempotency-Key` is required: points move.
    feature "/api/v1/showcase/{id}/feature" Nothing |_| PostCommand::Feature;
}
