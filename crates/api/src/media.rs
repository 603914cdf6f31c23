//! Photos: uploaded, shown, listed.

use std::time::Duration;

use actix_web::http::header::{ETAG, IF_NONE_MATCH};
use actix_web::{FromRequest, HttpRequest, HttpResponse, get, post, web};
use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use xingfuma_app::media::links::Link;
use xingfuma_app::media::reception::{SMALL, Upload};
use xingfuma_app::media::{AlikeSeen, PhotoSeen};
use xingfuma_domain::multipart::{self, FRAME_LONGEST};
use xingfuma_store::media::MediaRow;

use crate::State;
use crate::extract::{Items, LoggedIn, id, query};
use crate::problem::{Problem, ProblemBody};

/// A whole file comes in within this time; `wx.uploadFile` waits no longer either.
const WHOLE_WITHIN: Duration = Duration::from_secs(60);
/// In each of these spans a file that is not complete grows by so many bytes: a slow phone's four kilobytes a second.
const SPAN: Duration = Duration::from_secs(10);
const SPAN_BYTES: usize = 40 * 1024;

/// A picture that nobody's browser takes for anything else.
const AS_PICTURE: [(&str, &str); 4] = [
    ("content-security-policy", "default-src 'none'; sandbox"),
    ("content-disposition", "inline; filename=\"photo.jpg\""),
    ("cross-origin-resource-policy", "cross-origin"),
    // Kept by the phone that fetched it, and asked about each time: what is withdrawn is gone at once.
    ("cache-control", "private, no-cache"),
];

/// A file in a multipart body.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body in the specification; read by hand")]
struct UploadBody {
    /// JPEG, PNG or WebP; at most 8 MiB and 24 million pixels unless the county says otherwise.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// A photo.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MediaJson {
    id: Uuid,
    #[schema(example = 1920)]
    width: i64,
    #[schema(example = 1440)]
    height: i64,
    bytes: i64,
    created_at: DateTime<Utc>,
}

impl From<&MediaRow> for MediaJson {
    fn from(row: &MediaRow) -> MediaJson {
        MediaJson {
            id: row.id,
            width: row.width,
            height: row.height,
            bytes: row.bytes,
            created_at: row.created_at,
        }
    }
}

/// A photo of an order.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PhotoJson {
    id: Uuid,
    width: i64,
    height: i64,
    /// What it was attached with: `placed`, `completed` or `shown`.
    #[schema(example = "completed")]
    purpose: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    post_id: Option<Uuid>,
    /// Of a post's photo: `wanted` or `asked` while WeChat looks at it, then `passed`, `review` or `risky`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "passed")]
    check: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attached_at: Option<DateTime<Utc>>,
    /// Whether a photo on another order looks the same; for those who watch over the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    reused: Option<bool>,
    /// Those photos, nearest first; for the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    look_alikes: Option<Vec<LookAlikeJson>>,
}

/// A photo on another order that looks the same.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LookAlikeJson {
    /// That order, where the caller may see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<Uuid>,
    /// In how many of 64 bits the two differ.
    distance: u32,
}

impl From<PhotoSeen> for PhotoJson {
    fn from(seen: PhotoSeen) -> PhotoJson {
        let alike = |alike: AlikeSeen| LookAlikeJson { order_id: alike.order, distance: alike.distance };
        let look_alikes: Option<Vec<LookAlikeJson>> =
            seen.look_alikes.map(|found| found.into_iter().map(alike).collect());
        PhotoJson {
            id: seen.row.id,
            width: seen.row.width,
            height: seen.row.height,
            purpose: seen.row.purpose.unwrap_or_default(),
            post_id: seen.row.post_id,
            check: seen.row.check_state,
            attached_at: seen.row.attached_at,
            reused: look_alikes.as_ref().map(|found| !found.is_empty()),
            look_alikes,
        }
    }
}

/// Upload a photo, one file a call. It is made anew from its pixels: nothing else of the file is kept. It is the caller's
/// until he names it in `mediaIds`, and is swept after 24 hours if he does not.
#[utoipa::path(post, path = "/api/v1/media", tag = "media", security(("bearer" = [])),
    request_body(content = UploadBody, content_type = "multipart/form-data"),
    responses((status = 201, body = MediaJson),
        (status = 400, body = ProblemBody, description = "malformed_multipart: not exactly one part named `file`"),
        (status = 401, body = ProblemBody),
        (status = 408, body = ProblemBody, description = "upload_too_slow"),
        (status = 413, body = ProblemBody, description = "payload_too_large"),
        (status = 415, body = ProblemBody, description = "unsupported_media: no JPEG, PNG or WebP by its first bytes"),
        (status = 422, body = ProblemBody, description = "invalid_fields: picture_broken, picture_too_large"),
        (status = 429, body = ProblemBody, description = "too_many_requests, with Retry-After"),
        (status = 503, body = ProblemBody, description = "unavailable, with Retry-After")))]
#[post("/api/v1/media")]
async fn upload(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let boundary = multipart::boundary(header("content-type").unwrap_or_default())
        .map_err(xingfuma_app::AppError::Malformed)?;
    let most = state.app.settings.media.bytes_most + FRAME_LONGEST;
    if header("content-length")
        .and_then(|length| length.parse::<usize>().ok())
        .is_some_and(|length| length > 2 * most)
    {
        return Err(Problem::new(413, "payload_too_large"));
    }
    let (app, admitted) = (state.app.clone(), caller.clone());
    let mut place = state.app.run(async move { app.admit_upload(&admitted).await }).await?;
    let body = received(payload, most, &mut place).await?;
    let app = state.app.clone();
    let work = async move {
        let made = app.upload(&caller, &boundary, body).await;
        // Its memory counts until here.
        drop(place);
        made
    };
    let made = state.app.run(work).await?;
    Ok(HttpResponse::Created().json(MediaJson::from(&made)))
}

/// Reads a body of at most so many bytes, from somebody who keeps sending. Of a larger one as much again is read and
/// thrown away, because a client that is still sending does not hear the answer.
async fn received(mut payload: web::Payload, most: usize, place: &mut Upload) -> Result<Vec<u8>, Problem> {
    let mut pace = Pace::new();
    let (mut body, mut length) = (Vec::new(), 0_usize);
    loop {
        match tokio::time::timeout_at(pace.next_look(), payload.next()).await {
            Ok(None) if length > most => return Err(Problem::new(413, "payload_too_large")),
            Ok(None) => return Ok(body),
            Ok(Some(Err(_))) => return Err(Problem::new(400, "malformed_request")),
            Ok(Some(Ok(chunk))) => {
                length += chunk.len();
                pace.came(chunk.len());
                if length > 2 * most {
                    return Err(Problem::new(413, "payload_too_large"));
                }
                if length > most {
                    body = Vec::new();
                } else {
                    if length > SMALL {
                        let waited = Instant::now();
                        place.grows().await?;
                        pace.excused(waited.elapsed());
                        // Grown step by step it would take twice its size.
                        body.reserve_exact(most.saturating_sub(body.len()));
                    }
                    body.extend_from_slice(&chunk);
                }
            }
            Err(_) => {}
        }
        pace.check()?;
    }
}

/// How fast a body comes in.
struct Pace {
    end: Instant,
    span_end: Instant,
    in_span: usize,
}

impl Pace {
    fn new() -> Pace {
        let now = Instant::now();
        Pace { end: now + WHOLE_WITHIN, span_end: now + SPAN, in_span: 0 }
    }

    fn next_look(&self) -> Instant {
        self.span_end.min(self.end)
    }

    fn came(&mut self, bytes: usize) {
        self.in_span += bytes;
    }

    /// Waiting for a place was our doing.
    fn excused(&mut self, waited: Duration) {
        self.span_end += waited;
        self.end += waited;
    }

    /// # Errors
    /// 408 when it is too slow.
    fn check(&mut self) -> Result<(), Problem> {
        let now = Instant::now();
        if now >= self.end || (now >= self.span_end && self.in_span < SPAN_BYTES) {
            return Err(Problem::new(408, "upload_too_slow"));
        }
        if now >= self.span_end {
            (self.span_end, self.in_span) = (now + SPAN, 0);
        }
        Ok(())
    }
}

/// What a signed link says.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct LinkParams {
    /// What the link is for; comes with the link.
    #[serde(rename = "for")]
    what: Option<String>,
    /// Until when it is good; comes with the link.
    #[param(minimum = 0, maximum = 253402300799_i64)]
    until: Option<i64>,
    /// Its signature; comes with the link.
    signature: Option<String>,
}

/// A photo, as JPEG: for its uploader, for those who may see the photos of its order, and by a signed link (from the
/// showcase) for everybody.
#[utoipa::path(get, path = "/api/v1/media/{id}", tag = "media", params(("id" = Uuid, Path), LinkParams),
    security((), ("bearer" = [])),
    responses((status = 200, body = String, content_type = "image/jpeg"),
        (status = 304, description = "it is the one that the caller has"),
        (status = 400, body = ProblemBody), (status = 401, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 410, body = ProblemBody, description = "gone: the link has run out"),
        (status = 503, body = ProblemBody)))]
#[get("/api/v1/media/{id}")]
async fn show(
    state: web::Data<State>,
    request: HttpRequest,
    media: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let asked: LinkParams = query(&request)?;
    let app = state.app.clone();
    let bytes = match asked {
        LinkParams { what: None, until: None, signature: None } => {
            let LoggedIn(caller) = LoggedIn::extract(&request).await?;
            let media = id(&media)?;
            state.app.run(async move { app.picture(&caller, media).await }).await?
        }
        LinkParams { what: Some(what), until: Some(until), signature: Some(signature) } => {
            let media = id(&media)?;
            let link = Link { what, until, signature };
            state.app.run(async move { app.linked_picture(media, &link).await }).await?
        }
        _ => return Err(Problem::new(400, "malformed_request").with_detail("for, until, signature")),
    };
    Ok(picture(&request, &media, bytes))
}

/// A photo never changes under its id, so the id is its tag.
fn picture(request: &HttpRequest, media: &str, bytes: Vec<u8>) -> HttpResponse {
    let tag = format!("\"{}\"", media.to_ascii_lowercase());
    let known = request.headers().get(IF_NONE_MATCH).is_some_and(|given| given.as_bytes() == tag.as_bytes());
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    for header in AS_PICTURE {
        response.insert_header(header);
    }
    response.insert_header((ETAG, tag));
    if known { response.finish() } else { response.content_type("image/jpeg").body(bytes) }
}

/// The photos of an order; 404 where the order, or its photos, are not the caller's to see.
#[utoipa::path(get, path = "/api/v1/orders/{id}/media", tag = "media", params(("id" = Uuid, Path)),
    security(("bearer" = [])),
    responses((status = 200, body = Items<PhotoJson>), (status = 401, body = ProblemBody),
        (status = 404, body = ProblemBody)))]
#[get("/api/v1/orders/{id}/media")]
async fn of_order(
    state: web::Data<State>,
    LoggedIn(caller): LoggedIn,
    order: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let order = id(&order)?;
    let app = state.app.clone();
    let photos = state.app.run(async move { app.photos_of_order(&caller, order).await }).await?;
    let items: Vec<PhotoJson> = photos.into_iter().map(PhotoJson::from).collect();
    Ok(HttpResponse::Ok().json(Items::page(items, u64::MAX, None)))
}
