//! The pages that people open in a browser: what the code on a sign (`/q/{code}`), on a badge (`/b/{number}`) and on a
//! certificate (`/c/{number}`) leads to when no mini-program opens it.
//!
//! One answer each, with nothing to load after it: the style is inside, there is no script, no font, no picture. A
//! phone with one bar of signal shows it at once, and a page without script has nothing to be injected into. The pages
//! ask for nothing: no ID number, no payment, no password.

mod certificate;
mod page;
mod scan;

use actix_web::HttpRequest;
use actix_web::web::{Data, ServiceConfig};
use xingfuma_app::App;
use xingfuma_app::limits::Address;

/// Finds the caller's address, as limits count it.
pub type FindAddress = fn(&HttpRequest) -> Option<Address>;

/// What serves the pages, to be configured into each thread of the server.
pub fn pages(app: App, find: FindAddress) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
    let (app, find) = (Data::new(app), Data::new(find));
    move |config| {
        config.app_data(app.clone()).app_data(find.clone()).service(scan::sign).service(scan::badge);
        config.service(certificate::check);
    }
}
