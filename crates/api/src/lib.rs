//! The REST API of 幸福+码: `/api/v1`, its problems and its document.
//!
//! One small file an endpoint group. Every handler is named once, in `operations!`: that list both serves it and puts
//! it into the specification, so that no served route can be missing there.

use std::sync::Arc;

use actix_web::web::{self, ServiceConfig};
use actix_web::{App as ActixApp, HttpServer, dev::Server, middleware};
use ipnet::IpNet;
use utoipa::OpenApi;
use utoipa::openapi::{Content, RefOr};
use utoipa_swagger_ui::{Config, SwaggerUi};
use xingfuma_app::App;
use xingfuma_wechat::push::PushGate;

mod activities;
mod address;
mod audit;
pub mod auth;
mod beside;
mod board;
mod certificates;
mod claims;
mod consents;
mod cors;
pub mod cursor;
mod dead_letters;
mod duty;
mod exports;
mod extract;
mod hazards;
mod holds;
mod leaderboards;
mod me;
mod media;
mod order_commands;
mod order_json;
pub mod orders;
mod own_data;
mod own_records;
mod parts_json;
mod patrols;
mod periods;
mod plates;
mod preferences;
mod problem;
mod redemptions;
mod request_id;
mod room;
mod scan;
mod score;
mod shapes;
mod shop;
mod showcase;
mod stars;
mod stream;
mod token;
mod totp;
mod trainings;
mod volunteers;
mod wechat_push;

use shapes::{Names, Shapes};

pub use address::address;
pub use cors::is_origin;
pub use token::Tokens;

/// What every handler works with.
#[derive(Clone, Debug)]
pub struct State {
    /// The use cases.
    pub app: App,
    /// Access tokens.
    pub tokens: Tokens,
    /// Proxies whose word on where a request comes from is taken.
    pub trusted_proxies: Arc<[IpNet]>,
    /// Origins whose pages may speak with the API.
    pub origins: Arc<[String]>,
    /// Opens what WeChat pushes; none where no push is configured.
    pub push_gate: Option<Arc<PushGate>>,
}

macro_rules! operations {
    ($($module:ident :: $name:ident),+ $(,)?) => {
        fn serve_operations(config: &mut ServiceConfig) {
            $(config.service($module::$name);)+
        }

        #[derive(OpenApi)]
        #[openapi(
            info(
                title = "幸福+码",
                version = "1.0.0",
                description = "点派接评晒: place, dispatch, accept, rate, show. Errors are `application/problem+json` with a stable `code`. Lists are paged by an opaque `cursor`. An order's `version` is its `ETag`."
            ),
            paths($($module::$name),+),
            components(schemas(problem::ProblemBody)),
            modifiers(&Bearer, &ProblemType, &Shapes, &Names),
        )]
        struct Document;
    };
}

operations!(
    auth::log_in_wechat,
    auth::bind_phone,
    auth::log_in_password,
    auth::refresh,
    auth::log_out,
    me::who_am_i,
    me::inbox,
    me::mark_inbox_read,
    preferences::read,
    preferences::keep,
    preferences::subscribe,
    me::passbook,
    own_data::export,
    own_data::erase,
    totp::enrol,
    totp::confirm,
    totp::reset,
    audit::accesses,
    consents::list,
    consents::give,
    consents::take_back,
    consents::state_age,
    consents::guardian_code,
    consents::agree_as_guardian,
    consents::end_guardianship,
    duty::enter_leave,
    duty::leaves,
    duty::end_leave,
    duty::read_roster,
    duty::keep_roster,
    scan::sign,
    scan::badge,
    scan::categories,
    plates::report,
    plates::reports,
    plates::close_report,
    plates::revoke_sign,
    plates::replace_sign,
    plates::issue_badge,
    plates::revoke_badge,
    orders::place,
    orders::list,
    // Before the one order: its path would be an id otherwise.
    beside::similar,
    orders::one,
    orders::events,
    orders::decision,
    orders::contact,
    order_commands::dispatch,
    order_commands::accept,
    order_commands::decline,
    order_commands::hand_over,
    order_commands::arrive,
    order_commands::complete,
    order_commands::wait,
    order_commands::answer,
    order_commands::rate,
    order_commands::reopen,
    order_commands::cancel,
    order_commands::escalate,
    order_commands::urge,
    order_commands::merge,
    order_commands::help,
    order_commands::extend,
    order_commands::revisit,
    order_commands::whistle,
    order_commands::correct,
    beside::corrections,
    beside::inspect,
    beside::departments,
    hazards::list,
    hazards::answer,
    volunteers::transfer,
    volunteers::reinstate,
    volunteers::unread,
    beside::check_in,
    beside::conclude,
    beside::rate_whistle,
    media::upload,
    media::show,
    media::of_order,
    showcase::show,
    showcase::list,
    showcase::pending,
    showcase::consent,
    showcase::approve,
    showcase::reject,
    showcase::feature,
    showcase::withdraw,
    board::board,
    dead_letters::list,
    dead_letters::replay,
    stream::listen,
    score::rules,
    score::why,
    score::reverse,
    claims::make,
    claims::list,
    claims::one,
    claims::decide,
    claims::make_appeal,
    claims::appeals,
    claims::decide_appeal,
    holds::list_holds,
    holds::read_hold,
    holds::decide_hold,
    leaderboards::read_board,
    activities::announce,
    activities::list_activities,
    activities::read_activity,
    activities::join,
    activities::notice,
    activities::check_in_code,
    activities::check_in,
    activities::feedback,
    activities::people,
    patrols::begin,
    patrols::list_patrols,
    patrols::read_patrol,
    patrols::visit,
    patrols::hazard,
    patrols::end,
    leaderboards::own_rank,
    stars::where_i_stand,
    stars::rounds,
    stars::propose,
    stars::lines,
    stars::confer,
    stars::make_objection,
    stars::objections,
    stars::decide_objection,
    certificates::ask,
    certificates::list,
    certificates::one,
    certificates::sign,
    certificates::refuse,
    certificates::revoke,
    certificates::print,
    trainings::record,
    trainings::list_trainings,
    trainings::read_training,
    trainings::void,
    trainings::own_trainings,
    exports::volunteer_record,
    periods::list_periods,
    periods::close_claims,
    periods::seal,
    periods::notices,
    periods::notice_lines,
    periods::make_objection,
    periods::list_objections,
    periods::read_objection,
    periods::decide_objection,
    shop::open,
    shop::shops,
    shop::keepers,
    shop::reconciliation,
    shop::offer,
    shop::list_goods,
    shop::change_goods,
    shop::count,
    shop::donate,
    shop::donations,
    redemptions::redeem,
    redemptions::list,
    redemptions::hand_over,
    redemptions::one,
    redemptions::void,
    wechat_push::verify,
    wechat_push::deliver,
    room::livez,
    room::readyz,
    room::metrics,
    room::openapi,
);

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

/// The macro calls every body `application/json`; a problem is sent as what it is.
struct ProblemType;

impl utoipa::Modify for ProblemType {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let operations = document.paths.paths.values_mut().flat_map(shapes::operations_mut);
        for response in operations.flat_map(|operation| operation.responses.responses.values_mut()) {
            let RefOr::T(response) = response else { continue };
            if response.content.get(JSON).is_some_and(is_problem)
                && let Some(content) = response.content.shift_remove(JSON)
            {
                response.content.insert("application/problem+json".to_owned(), content);
            }
        }
    }
}

const JSON: &str = "application/json";

fn is_problem(content: &RefOr<Content>) -> bool {
    let RefOr::T(content) = content else { return false };
    matches!(&content.schema, Some(RefOr::Ref(schema)) if schema.ref_location.ends_with("/ProblemBody"))
}

/// What is served as the specification is what is committed. Put together at each start, once a thread, it was more than
/// half of the memory of a server.
const SPECIFICATION: &str = include_str!("../../../openapi/xingfuma.json");

/// The specification, put together from the operations: what has to be committed in `openapi/`.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn document() -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(&Document::openapi())?;
    text.push('\n');
    Ok(text)
}

/// Serves nothing but the machine room (alive, ready, metrics) on an address until it is stopped: for a process that has
/// no other requests to answer.
///
/// # Errors
/// When the address cannot be listened on.
pub fn serve_machine_room(state: State, listen: &str) -> std::io::Result<Server> {
    let shared = web::Data::new(state);
    let server = HttpServer::new(move || {
        ActixApp::new()
            .app_data(shared.clone())
            .service(room::livez)
            .service(room::readyz)
            .service(room::metrics)
            .default_service(web::to(problem::nothing_else))
    });
    // Signals are for the worker, which finishes what is in hand.
    Ok(server.workers(1).disable_signals().bind(listen)?.run())
}

/// Serves the API on an address until it is stopped, and beside it what `pages` adds.
///
/// # Errors
/// When the address cannot be listened on.
pub fn serve(
    state: State,
    listen: &str,
    workers: usize,
    pages: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> std::io::Result<Server> {
    let shared = web::Data::new(state);
    let server = HttpServer::new(move || {
        ActixApp::new()
            .app_data(shared.clone())
            .wrap(middleware::from_fn(request_id::finish))
            .configure(shapes::serve_written_out)
            .configure(serve_operations)
            .configure(&pages)
            .service(web::redirect("/docs", "/docs/"))
            .service(SwaggerUi::new("/docs/{_:.*}").config(Config::from("/api/v1/openapi.json")))
            .default_service(web::to(problem::nothing_here))
    });
    Ok(server.workers(workers).shutdown_timeout(10).bind(listen)?.run())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_served_is_what_is_built() {
        let built = document().expect("JSON");
        assert!(
            built == SPECIFICATION,
            "renew it: xingfuma openapi > openapi/xingfuma.json, then build again"
        );
    }
}
