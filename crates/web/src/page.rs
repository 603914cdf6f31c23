//! How a page is answered: its headers, and its style, which is inside it.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The style of all pages, written into each.
pub(crate) const STYLE: &str = include_str!("../templates/style.css");

/// Nothing may be loaded, sent or framed; the one style is known by its hash.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

/// A page that says in one sentence what is the matter.
#[derive(Template)]
#[template(path = "notice.html")]
struct Notice<'a> {
    style: &'a str,
    title: &'a str,
    text: &'a str,
    hotline: &'a str,
}

/// A page with a heading, a sentence, and the hotline.
pub(crate) fn notice(status: StatusCode, title: &str, text: &str, hotline: &str) -> HttpResponse {
    answer(status, &Notice { style: STYLE, title, text, hotline })
}

/// A page.
pub(crate) fn answer(status: StatusCode, page: &impl Template) -> HttpResponse {
    match page.render() {
        Ok(text) => HttpResponse::build(status)
            .content_type("text/html; charset=utf-8")
            .insert_header(("content-security-policy", POLICY.as_str()))
            .insert_header(("cache-control", "no-cache"))
            .body(text),
        Err(error) => {
            tracing::error!(%error, "a page cannot be written");
            HttpResponse::InternalServerError().finish()
        }
    }
}
