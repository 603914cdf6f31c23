//! Which pages of other origins may speak with the API: exactly those that the configuration names, and by default none.
//!
//! The mini-program is no browser and needs nothing of this. Cookies are not used, so credentials are never allowed: a
//! page shows its token like everybody.

use actix_web::HttpResponse;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};

/// Seconds for which a browser remembers what it was told.
const REMEMBERED: &str = "600";
const METHODS: &str = "GET, POST, PUT, DELETE";
const HEADERS: &str = "authorization, content-type, idempotency-key, if-match, x-request-id, accept-language";
/// What a page may read of an answer besides its body.
const EXPOSED: &str = "etag, idempotent-replayed, retry-after, x-request-id";

/// The request's origin, if it is one of these, letter by letter.
pub(crate) fn allowed_origin(headers: &HeaderMap, origins: &[String]) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    let text = origin.to_str().ok()?;
    origins.iter().any(|one| one == text).then(|| origin.clone())
}

/// The answer to a browser that asks beforehand; `None` for any other request.
pub(crate) fn preflight(request: &ServiceRequest, origin: Option<&HeaderValue>) -> Option<HttpResponse> {
    let asks = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    origin.filter(|_| request.method() == Method::OPTIONS && asks)?;
    Some(
        HttpResponse::NoContent()
            .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, METHODS))
            .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS))
            .insert_header((header::ACCESS_CONTROL_MAX_AGE, REMEMBERED))
            .finish(),
    )
}

/// Says on an answer who may read it. Where any origin is allowed, every answer depends on who asks.
pub(crate) fn mark<B: MessageBody>(
    response: &mut ServiceResponse<B>,
    origin: Option<HeaderValue>,
    any_allowed: bool,
) {
    let headers = response.headers_mut();
    if any_allowed {
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }
}

/// Whether this can be an origin: scheme and host, a port perhaps, and nothing after it.
pub fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte);
        !host.is_empty() && host.bytes().all(plain)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for good in ["https://desk.example.gov.cn", "http://localhost:3000", "http://[::1]:8080"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in
            ["*", "null", "https://", "https://a.cn/", "https://A.cn", "desk.example.gov.cn", "ftp://a.cn"]
        {
            assert!(!is_origin(bad), "{bad}");
        }
    }

    #[test]
    fn only_the_very_origin_is_allowed() {
        let origins = ["https://desk.example.gov.cn".to_owned()];
        let asked = |origin: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            allowed_origin(&headers, &origins).is_some()
        };
        assert!(asked("https://desk.example.gov.cn"));
        for other in [
            "http://desk.example.gov.cn",
            "https://desk.example.gov.cn:444",
            "https://desk.example.gov.cn.evil.example",
            "https://evil.example/https://desk.example.gov.cn",
            "null",
        ] {
            assert!(!asked(other), "{other}");
        }
        assert!(allowed_origin(&HeaderMap::new(), &origins).is_none());
    }
}
