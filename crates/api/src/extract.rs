//! What handlers take from a request: who calls, the body, the key, the version he has seen, the page.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::HeaderMap;
use actix_web::rt::time::timeout;
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, web};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use xingfuma_app::command::{Keyed, Reply, earns};
use xingfuma_app::once::Once;
use xingfuma_app::{App, Caller, OrderFound};

use crate::State;
use crate::cursor;
use crate::problem::Problem;

/// Largest JSON body, in bytes.
const BODY_LARGEST: usize = 64 * 1024;
/// A body is there within this time, or its sender is let go: a slow one must not hold a connection for ever. Heads have
/// the server's own limit.
const BODY_WITHIN: Duration = Duration::from_secs(15);
/// Longest idempotency key, in bytes.
const KEY_LONGEST: usize = 128;

/// Somebody who has logged in; without him the answer is 401. Staff that owes a second factor gets 403.
pub(crate) struct LoggedIn(pub(crate) Caller);

/// As [`LoggedIn`], with or without a second factor: for what sets one up, and for logging out.
pub(crate) struct Unproved(pub(crate) Caller);

/// Lies with a request until it is known who it is from: its body is not even read before, so that 401 and 403 come
/// before what may be wrong with it.
struct Unknown;

/// It is known now; and he may ask.
fn admit(request: &HttpRequest, caller: &Caller, unproved_too: bool) -> Result<(), Problem> {
    let mut extensions = request.extensions_mut();
    extensions.remove::<Unknown>();
    extensions.insert(Asking(caller.actor.person));
    let owes_proof = caller.unproved && !unproved_too;
    if owes_proof { Err(Problem::new(403, "second_factor_required")) } else { Ok(()) }
}

async fn identify(request: &HttpRequest, unproved_too: bool) -> Result<Caller, Problem> {
    let (app, session) = session_of(request)?;
    // It reads; if its client hangs up, nothing is left half done.
    let caller = app.caller(session).await?;
    admit(request, &caller, unproved_too)?;
    Ok(caller)
}

/// Who asks, for what is noted when he is refused.
#[derive(Clone, Copy)]
pub(crate) struct Asking(pub(crate) Uuid);

impl FromRequest for LoggedIn {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<LoggedIn, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        request.extensions_mut().insert(Unknown);
        let asked = request.clone();
        Box::pin(async move { identify(&asked, false).await.map(LoggedIn) })
    }
}

impl FromRequest for Unproved {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Unproved, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        request.extensions_mut().insert(Unknown);
        let asked = request.clone();
        Box::pin(async move { identify(&asked, true).await.map(Unproved) })
    }
}

/// The same of a request that names an order by its path's `{id}`, with that order: one look at the database for both.
pub(crate) struct LoggedInFor(pub(crate) Caller, pub(crate) Option<OrderFound>);

impl FromRequest for LoggedInFor {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<LoggedInFor, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        request.extensions_mut().insert(Unknown);
        let asked = request.clone();
        Box::pin(async move {
            let (app, session) = session_of(&asked)?;
            // What is no id names no order; the handler says so to whoever has logged in.
            let order: Option<Uuid> = asked.match_info().get("id").and_then(|id| id.parse().ok());
            let earns = earns(asked.path());
            let (caller, found) = match order {
                Some(order) => {
                    let (caller, found) = app.caller_with_order(session, order, earns).await?;
                    (caller, Some(found))
                }
                None => (app.caller(session).await?, None),
            };
            admit(&asked, &caller, false)?;
            Ok(LoggedInFor(caller, found))
        })
    }
}

/// The session that a request's token names; it is not looked up yet.
fn session_of(request: &HttpRequest) -> Result<(App, Uuid), Problem> {
    let refused = || Problem::new(401, "unauthenticated");
    let state = request.app_data::<web::Data<State>>().ok_or_else(refused)?;
    let token = bearer(request.headers()).ok_or_else(refused)?;
    let session = state.tokens.read(token, state.app.clock.now()).ok_or_else(refused)?;
    Ok((state.app.clone(), session))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get("authorization")?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// A JSON body as it was sent, with what was read from it.
pub(crate) struct Body<T> {
    pub(crate) read: T,
    pub(crate) bytes: Vec<u8>,
}

impl<T: DeserializeOwned + 'static> FromRequest for Body<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Body<T>, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let payload = web::Payload::from_request(request, payload);
        // Whoever takes a body names first who sends it, so that this is asked after.
        let sender = request.extensions().contains::<Unknown>().then(|| request.clone());
        Box::pin(async move {
            if let Some(request) = sender {
                known(&request).await;
            }
            let payload = payload.await.map_err(|_| Problem::new(400, "malformed_request"))?;
            let bytes = timeout(BODY_WITHIN, payload.to_bytes_limited(BODY_LARGEST))
                .await
                .map_err(|_| Problem::new(408, "request_timeout"))?
                .map_err(|_| Problem::new(413, "payload_too_large"))?
                .map_err(|_| Problem::new(400, "malformed_request"))?
                .to_vec();
            // Nothing at all means an empty object: `{}` of a command that takes none.
            let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
            // serde would read an array, too, as the fields in their order.
            if text.trim_ascii_start().first() == Some(&b'[') {
                return Err(
                    Problem::new(400, "malformed_json").with_detail("an object is expected, not an array")
                );
            }
            Ok(Body { read: read(text)?, bytes })
        })
    }
}

fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    let malformed = |error| Problem::new(400, "malformed_json").with_detail(where_it_fails(&error));
    let error = match serde_json::from_slice(text) {
        Ok(read) => return Ok(read),
        Err(error) => error,
    };
    // `5.0` is an integer, in JSON and in the specification; what reads numbers here says that it is none.
    let mut value: Value = serde_json::from_slice(text).map_err(malformed)?;
    if make_whole(&mut value) {
        serde_json::from_value(value).map_err(malformed)
    } else {
        Err(malformed(error))
    }
}

/// Writes numbers that are whole without their fraction; answers whether there was one.
fn make_whole(value: &mut Value) -> bool {
    /// Up to here every whole number is exact as it was read.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(given) if given.fract() == 0.0 && given.abs() <= EXACT => {
                *value = Value::from(given as i64);
                true
            }
            _ => false,
        },
        Value::Array(items) => items.iter_mut().map(make_whole).fold(false, |any, made| any | made),
        Value::Object(members) => members.values_mut().map(make_whole).fold(false, |any, made| any | made),
        _ => false,
    }
}

/// Waits until it is known who sends a request. Nothing has to wake this: both are parts of one task, and who it is from
/// is looked at first each time.
async fn known(request: &HttpRequest) {
    std::future::poll_fn(|_| {
        if request.extensions().contains::<Unknown>() { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
}

/// Where a body fails; what stands there is not repeated, because it may be personal.
fn where_it_fails(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Data => "unexpected field or value",
        serde_json::error::Category::Eof => "it ends too early",
        _ => "syntax",
    };
    format!("{kind}, line {}, column {}", error.line(), error.column())
}

/// The caller's key; `None` where he gave none.
pub(crate) fn key(request: &HttpRequest) -> Result<Option<String>, Problem> {
    let Some(value) = request.headers().get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().unwrap_or_default().trim().trim_matches('"');
    let plain = key.bytes().all(|byte| byte.is_ascii_graphic());
    if key.is_empty() || key.len() > KEY_LONGEST || !plain {
        return Err(Problem::new(400, "idempotency_key_invalid"));
    }
    Ok(Some(key.to_owned()))
}

/// The caller's key, hashed with the route and the body.
pub(crate) fn keyed(
    state: &State,
    caller: &Caller,
    request: &HttpRequest,
    body: &[u8],
) -> Result<Option<Keyed>, Problem> {
    let route = format!("{} {}", request.method(), request.path());
    Ok(key(request)?.map(|key| state.app.keyed(caller.actor.person, &route, &key, body)))
}

/// As [`keyed`], where a key is required.
pub(crate) fn required_key(
    state: &State,
    caller: &Caller,
    request: &HttpRequest,
    body: &[u8],
) -> Result<Keyed, Problem> {
    keyed(state, caller, request, body)?.ok_or_else(|| Problem::new(400, "idempotency_key_required"))
}

/// For what is answered with nothing, and done once where the caller gave a key.
pub(crate) fn once_silently(
    state: &State,
    caller: &Caller,
    request: &HttpRequest,
    body: &[u8],
) -> Result<Once<()>, Problem> {
    Ok(Once::silently(keyed(state, caller, request, body)?))
}

/// The version that the caller insists on.
pub(crate) fn if_match(request: &HttpRequest) -> Result<Option<i64>, Problem> {
    let Some(value) = request.headers().get("if-match") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let version = text.trim_start_matches("W/").trim_matches('"').parse();
    version.map(Some).map_err(|_| Problem::new(400, "malformed_request").with_detail("If-Match"))
}

/// An id in a path; what is none is not there.
pub(crate) fn id(text: &str) -> Result<Uuid, Problem> {
    text.parse().map_err(|_| Problem::new(404, "not_found"))
}

/// A page of a list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    /// Most items, at most 100.
    #[param(minimum = 1, maximum = 100)]
    pub(crate) limit: Option<u64>,
    /// Where the page before ended.
    pub(crate) cursor: Option<String>,
}

impl Page {
    pub(crate) fn limit(&self) -> Result<u64, Problem> {
        match self.limit {
            None => Ok(20),
            Some(limit @ 1..=100) => Ok(limit),
            Some(_) => Err(Problem::new(400, "malformed_request").with_detail("limit")),
        }
    }

    pub(crate) fn before(&self) -> Result<Option<Uuid>, Problem> {
        let bad = || Problem::new(400, "malformed_request").with_detail("cursor");
        let Some(cursor) = &self.cursor else { return Ok(None) };
        cursor::decode(cursor).map(Some).ok_or_else(bad)
    }

    /// The number of the line before the page; 0 before the first.
    pub(crate) fn after_line(&self) -> Result<i64, Problem> {
        let bad = || Problem::new(400, "malformed_request").with_detail("cursor");
        let Some(cursor) = &self.cursor else { return Ok(0) };
        cursor::decode_number(cursor).ok_or_else(bad)
    }
}

/// The query of a request.
pub(crate) fn query<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, Problem> {
    let read = web::Query::<T>::from_query(request.query_string());
    read.map(web::Query::into_inner).map_err(|_| Problem::new(400, "malformed_request").with_detail("query"))
}

/// A page as it is answered.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Items<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_cursor: Option<String>,
}

impl<T> Items<T> {
    /// A page; a full one has a next, which begins after `last`.
    pub(crate) fn page(items: Vec<T>, limit: u64, last: Option<Uuid>) -> Items<T> {
        let full = items.len() as u64 >= limit;
        let next_cursor = last.filter(|_| full).map(cursor::encode);
        Items { items, next_cursor }
    }

    /// A page of numbered lines; a full one has a next, which begins after line `last`.
    pub(crate) fn lines(items: Vec<T>, limit: u64, last: Option<i64>) -> Items<T> {
        let full = items.len() as u64 >= limit;
        let next_cursor = last.filter(|_| full).map(cursor::encode_number);
        Items { items, next_cursor }
    }
}

/// A use case's reply as an HTTP answer.
pub(crate) fn respond(reply: Reply) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(reply.status);
    let mut response = HttpResponse::build(status.unwrap_or(actix_web::http::StatusCode::OK));
    if !reply.body.is_empty() {
        response.content_type("application/json");
    }
    if reply.replayed {
        response.insert_header(("idempotent-replayed", "true"));
    }
    if let Some(version) = version_in(&reply.body) {
        response.insert_header(("etag", format!("\"{version}\"")));
    }
    response.body(reply.body)
}

fn version_in(body: &[u8]) -> Option<i64> {
    #[derive(Deserialize)]
    struct Versioned {
        version: i64,
    }
    serde_json::from_slice::<Versioned>(body).ok().map(|versioned| versioned.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Counted {
        count: i64,
        inner: Option<Vec<u32>>,
    }

    #[test]
    fn a_whole_number_is_an_integer_however_it_is_written() {
        let counted = |text: &str| read::<Counted>(text.as_bytes()).ok();
        for (text, count) in [("5", 5), ("5.0", 5), ("5e0", 5), ("-0.0", 0), ("-3.00", -3), ("1.5e1", 15)] {
            let wanted = Counted { count, inner: None };
            assert_eq!(counted(&format!("{{\"count\": {text}}}")), Some(wanted), "{text}");
        }
        assert_eq!(
            counted("{\"count\": 1, \"inner\": [2.0, 3]}"),
            Some(Counted { count: 1, inner: Some(vec![2, 3]) })
        );
        for bad in ["5.5", "1e300", "-1e300", "9007199254740994.0", "\"5\"", "null", "[5]", ""] {
            assert_eq!(counted(&format!("{{\"count\": {bad}}}")), None, "{bad}");
        }
        assert_eq!(counted("{\"count\": 5.0, \"other\": 1}"), None, "an unknown field stays unknown");
        assert_eq!(counted("{\"count\": 5.0, \"inner\": [-1.0]}"), None);
    }
}
