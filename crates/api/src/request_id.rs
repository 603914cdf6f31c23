//! The outermost room: gives each request its id, writes problems, counts and logs. No query, no body, no personal data
//! is logged.

use actix_web::HttpMessage;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, web};
use uuid::Uuid;
use xingfuma_domain::masking::mask_text;

use crate::State;
use crate::cors;
use crate::extract::Asking;
use crate::problem::Problem;

/// Longest id that is taken over from the caller.
const LONGEST: usize = 64;

pub(crate) async fn finish(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let start = std::time::Instant::now();
    let state = request.app_data::<web::Data<State>>().cloned();
    let id = given_id(&request)
        .unwrap_or_else(|| state.as_ref().map(|state| state.app.new_id().to_string()).unwrap_or_default());
    let english = prefers_english(&request);
    let method = request.method().to_string();
    let origins = state.as_ref().map(|state| state.origins.clone()).unwrap_or_default();
    let origin = cors::allowed_origin(request.headers(), &origins);
    if let Some(answer) = cors::preflight(&request, origin.as_ref()) {
        let mut answer = request.into_response(answer);
        cors::mark(&mut answer, origin, true);
        return Ok(answer);
    }
    let called = next.call(request).await?;
    // The pattern, not the path: a path may hold what belongs to somebody.
    let route = called.request().match_pattern().unwrap_or_default();
    if let Some(state) = &state {
        note_refusal(state, &called, &method, &route);
    }
    let mut response = called.map_into_boxed_body();
    let problem = response.response().extensions().get::<Problem>().cloned();
    if let Some(problem) = problem {
        let (request, _) = response.into_parts();
        let written = problem.response(&id, english);
        response = ServiceResponse::new(request, written);
    }
    cors::mark(&mut response, origin, !origins.is_empty());
    let headers = response.headers_mut();
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("x-request-id", &id);
    set("x-content-type-options", "nosniff");
    set("x-frame-options", "DENY");
    set("referrer-policy", "no-referrer");
    // Nobody's orders lie in the cache of a shared phone or of a proxy.
    if !headers.contains_key("cache-control") && route.starts_with("/api/") {
        headers.insert(HeaderName::from_static("cache-control"), HeaderValue::from_static("no-store"));
    }
    let status = response.status().as_u16();
    if let Some(state) = state {
        state.app.metrics.count_request(&method, status);
    }
    let millis = start.elapsed().as_millis();
    tracing::info!(request = %id, method, route, status, millis, "answered");
    Ok(response)
}

fn given_id(request: &ServiceRequest) -> Option<String> {
    let id = request.headers().get("x-request-id")?.to_str().ok()?;
    is_harmless(id).then(|| id.to_owned())
}

/// Whoever is logged in and asks for what is not his leaves a line in the audit log.
fn note_refusal<B>(state: &State, answer: &ServiceResponse<B>, method: &str, route: &str) {
    let status = answer.status();
    let asking = answer.request().extensions().get::<Asking>().copied();
    if let Some(Asking(person)) = asking
        && (status == StatusCode::FORBIDDEN || status == StatusCode::NOT_FOUND)
    {
        let named = answer.request().match_info().get("id").and_then(|id| Uuid::try_parse(id).ok());
        state.app.note_refusal(person, named, format!("{} {method} {route}", status.as_u16()));
    }
}

/// An id is logged and repeated, so it must not be what is logged nowhere: a caller may put a phone there.
fn is_harmless(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let shaped = !id.is_empty() && id.len() <= LONGEST && id.bytes().all(plain);
    let random = Uuid::try_parse(id).is_ok();
    shaped && (random || mask_text(id).found.is_empty())
}

fn prefers_english(request: &ServiceRequest) -> bool {
    let accepted = request.headers().get("accept-language").and_then(|value| value.to_str().ok());
    accepted.is_some_and(|languages| languages.trim_start().to_ascii_lowercase().starts_with("en"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_over_unless_it_could_be_somebodys_number() {
        for good in ["wanted-id", "abc-123_DEF.45", "0193a1b2-0000-7000-8000-123456789012", &"7".repeat(32)] {
            assert!(is_harmless(good), "{good}");
        }
        for bad in ["", "15412345678", "x-154-1234-5678", "a b", "140724199001011234", &"x".repeat(65)] {
            assert!(!is_harmless(bad), "{bad}");
        }
    }
}
