//! Who may do what: every operation of the specification, asked by everybody, against one committed table.
//!
//! `tests/access_table.tsv` has a row an operation and a column a person; a cell is the status of the answer. An
//! operation without a row fails, and so does a row without an operation. `XINGFUMA_RENEW=1` writes the table anew:
//! read the difference before it is committed. The table is the same on both databases.

use std::{
    cell::{Cell, OnceCell},
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use xingfuma_tests::{
    client::{Accounts, Answer, Client, IDEMPOTENCY_KEY, fresh_key},
    events::Events,
    notice,
    program::{Demo, Fleet, NO_GUARDS},
};

const DISPATCHED_WITHIN: Duration = Duration::from_secs(15);
/// The id of the grant that makes a resident a volunteer.
const NEW_GRANT: &str = "01900000-0000-7000-8000-000000000001";
/// The id of a hazard.
const HAZARD: &str = "01900000-0000-7000-8000-000000000002";
/// The month of the notice.
const NOTICE: &str = notice::MONTH;
/// The round of stars.
const ROUND: &str = "01900000-0000-7000-8000-000000000055";
/// An id that nothing has.
const NOTHING: &str = "01900000-0000-7000-8000-000000000000";

/// Everybody who asks, and what he is to the order that he asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    /// Nobody has logged in.
    Anonymous,
    /// The resident who ordered, in a session that was ended.
    LoggedOut,
    /// The resident who ordered.
    Requester,
    /// Another resident.
    Resident,
    /// The volunteer who accepts, or the first of the team before somebody has.
    Worker,
    /// Another volunteer of the same team.
    Teammate,
    /// The leader of that team.
    Leader,
    /// A volunteer of a sibling grid's team.
    Sibling,
    /// The dispatcher of the village.
    Village,
    /// The dispatcher of the township.
    Township,
    /// A dispatcher of another township.
    Foreign,
    /// An operator who did not enter it.
    Operator,
    /// The county's administrator.
    Admin,
    /// The auditor.
    Auditor,
    /// Somebody of a department, which is called to orders only where that is what is tried.
    Department,
}

const EVERYBODY: [Who; 15] = [
    Who::Anonymous,
    Who::LoggedOut,
    Who::Requester,
    Who::Resident,
    Who::Worker,
    Who::Teammate,
    Who::Leader,
    Who::Sibling,
    Who::Village,
    Who::Township,
    Who::Foreign,
    Who::Operator,
    Who::Admin,
    Who::Auditor,
    Who::Department,
];

/// Operations that end the session, or the person, that asks: tried last, each with fresh sessions.
const ENDINGS: [&str; 3] =
    ["POST /api/v1/auth/logout", "POST /api/v1/staff/{id}/totp/reset", "DELETE /api/v1/me"];

/// POSTs without an `Idempotency-Key`: what is done anew each time, and why.
const DONE_ANEW: [(&str, &str); 12] = [
    ("POST /api/v1/auth/wechat", "a log-in: the code is good once"),
    ("POST /api/v1/auth/password", "a log-in: nobody's session is kept for somebody else"),
    ("POST /api/v1/auth/refresh", "gives the same successor again for 30 seconds by itself"),
    ("POST /api/v1/auth/logout", "ending what has ended is no harm, and who repeats it is nobody any more"),
    ("POST /api/v1/me/export", "an export: never kept, because it is everything"),
    ("POST /api/v1/me/guardian-code", "stores nothing: the code follows from who and when"),
    ("POST /api/v1/orders/{id}/contact", "a disclosure: each one is logged by itself, and none is kept"),
    ("POST /api/v1/media", "an upload: the same file is the same file"),
    ("POST /api/v1/exports/volunteer-record", "an export: each one is logged by itself, and none is kept"),
    ("POST /api/v1/hazards/{id}/answer", "answered once: whoever repeats it is told so (hazard_answered)"),
    (
        "POST /api/v1/volunteers/{id}/transfer",
        "goes on with what is left: whoever repeats it hands on the rest, and suspends nobody twice",
    ),
    ("POST /api/v1/wechat/push", "WeChat repeats it by itself, and the same event changes nothing twice"),
];

/// Keyed POSTs that are never done here, because who may gets a refusal, and the tests in which they are done twice.
const DONE_ELSEWHERE: [(&str, &str); 23] = [
    ("POST /api/v1/activities", "activities"),
    ("POST /api/v1/activities/{id}/check-in", "activities"),
    ("POST /api/v1/activities/{id}/feedback", "activities"),
    ("POST /api/v1/auth/wechat/phone", "own_data"),
    ("POST /api/v1/badges/{number}/revoke", "plates"),
    ("POST /api/v1/dispatch/dead-letters/{id}/replay", "dead_letters"),
    ("POST /api/v1/me/subscriptions", "telling"),
    ("POST /api/v1/me/totp/confirm", "second_factor"),
    ("POST /api/v1/me/wards", "consents"),
    ("POST /api/v1/orders/{id}/corrections", "beside"),
    ("POST /api/v1/orders/{id}/corrections/{correction}/inspect", "beside"),
    ("POST /api/v1/orders/{id}/extend", "beside"),
    ("POST /api/v1/orders/{id}/help", "beside"),
    ("POST /api/v1/orders/{id}/revisit", "beside"),
    ("POST /api/v1/patrols/{id}/end", "activities"),
    ("POST /api/v1/patrols/{id}/hazards", "activities"),
    ("POST /api/v1/score/periods/{month}/seal", "periods"),
    ("POST /api/v1/signs/{code}/replace", "plates"),
    ("POST /api/v1/signs/{code}/revoke", "plates"),
    ("POST /api/v1/stars/rounds", "results"),
    ("POST /api/v1/stars/rounds/{id}/confer", "results"),
    ("POST /api/v1/volunteers/{id}/badge", "plates"),
    ("POST /api/v1/volunteers/{id}/reinstate", "beside"),
];

/// How far an order has come before the operation is tried on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Dispatched,
    Accepted,
    Waiting,
    Completed,
    Rated,
    /// A post of the requester's that the worker has not agreed to.
    Shown,
    /// A post with both consents.
    Agreed,
    /// A post that is published.
    Published,
}

/// Claims about something long past are held for review, and nothing else is.
fn one_guard() -> [(&'static str, &'static str); 6] {
    let at_once = |(name, value): (&'static str, &'static str)| {
        (name, if name.ends_with("BACK_DATED_CLAIMS") { "1" } else { value })
    };
    NO_GUARDS.map(at_once)
}

/// What an operation is tried on.
enum Target {
    /// Nothing that belongs to somebody.
    None,
    /// An order at this stage.
    Order(Stage),
    /// The post of an order at this stage.
    Post(Stage),
    /// The worker's entry for a completed order.
    Entry,
    /// A claim of the worker's that waits for a decision.
    Claim,
    /// Points taken from the worker: claimed by the village, decided by the township.
    Deduction,
    /// The worker's appeal against that.
    Appeal,
    /// A leave of the worker's, years ahead.
    Leave,
    /// The team of the worker.
    Team,
    /// A report about the sign that nobody has closed.
    SignReport,
    /// The worker, who has a badge.
    Volunteer,
    /// Somebody of the staff, who has no second factor.
    Staff,
    /// The requester, for whom the worker agreed as his guardian.
    Ward,
    /// The village's call to the department, which has answered it so far.
    Whistle(Answered),
    /// The requester's objection to a line of the notice, which is somebody else's.
    Objection,
    /// A hazard of the worker's grid that was answered long ago.
    Hazard,
    /// The shop of the village; the teammate keeps it.
    Shop,
    /// Its goods.
    Goods,
    /// What the worker has reserved there.
    Redemption,
    /// Points of the worker that are held for review, claimed by himself and granted by the county.
    Hold,
    /// An activity in the worker's village that nobody has joined.
    Activity,
    /// A patrol of the worker's that runs.
    Patrol,
    /// The requester's photo of an order that the worker has accepted.
    Photo,
    /// A round of stars that runs for ever.
    Round,
    /// The requester's objection to a line of it.
    StarObjection,
    /// What the worker asked to have certified.
    Certificate,
    /// What was certified.
    Signed,
    /// A training in the worker's village, which he attended.
    Training,
}

/// How far a department has come with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Answered {
    Called,
    CheckedIn,
    Concluded,
}

/// How an operation is tried: on what, and with which good body.
struct Trial {
    target: Target,
    body: fn(&World) -> Value,
}

const fn on(target: Target, body: fn(&World) -> Value) -> Trial {
    Trial { target, body }
}

/// The one place that has to learn of a new operation.
fn trial(operation: &str) -> Option<Trial> {
    use Stage::{Accepted, Agreed, Completed, Dispatched, Published, Rated, Shown, Waiting};
    use Target::{
        Activity, Appeal, Certificate, Claim, Deduction, Entry, Goods, Hazard, Hold, Leave, None as Nowhere,
        Objection, Order, Patrol, Photo, Post, Redemption, Round, Shop, SignReport, Signed, Staff,
        StarObjection, Team, Training, Volunteer, Ward, Whistle,
    };
    let nothing: fn(&World) -> Value = |_| json!({});
    let reason: fn(&World) -> Value = |_| json!({ "reason": "核对情况" });
    let trial = match operation {
        "POST /api/v1/auth/wechat" => on(Nowhere, |_| json!({ "code": "demo-resident-2" })),
        "POST /api/v1/auth/wechat/phone" => on(Nowhere, |_| json!({ "code": "no-such-code" })),
        "POST /api/v1/auth/password" => on(Nowhere, |_| json!({ "username": "nobody", "password": "wrong" })),
        "POST /api/v1/auth/refresh" => on(Nowhere, |_| json!({ "refreshToken": "wrong" })),
        "POST /api/v1/auth/logout" | "POST /api/v1/me/export" | "DELETE /api/v1/me" => on(Nowhere, nothing),
        "PUT /api/v1/me/inbox" => on(Nowhere, |_| json!({ "upTo": NOTHING })),
        "POST /api/v1/orders" => on(Nowhere, |world| world.order()),
        "PUT /api/v1/me/preferences" => on(Nowhere, |_| json!({ "wechat": true, "sms": true })),
        // None is named: 422 is for everybody who has logged in.
        "POST /api/v1/me/subscriptions" => on(Nowhere, |_| json!({ "templates": [] })),
        // The team has it: 409 is for those who may.
        "POST /api/v1/orders/{id}/help" => {
            on(Order(Accepted), |world| json!({ "teamId": world.team, "task": "请协助" }))
        }
        // Without a reason, so that nothing is handed on: who may is told 422.
        "POST /api/v1/volunteers/{id}/transfer" => on(Volunteer, |_| json!({ "reason": "" })),
        // He is not suspended: 409 is for those who may.
        "POST /api/v1/volunteers/{id}/reinstate" => on(Volunteer, reason),
        // It was answered before: 409 is for those who may.
        "POST /api/v1/hazards/{id}/answer" => {
            on(Hazard, |_| json!({ "cause": "清运太少", "measure": "每周三次" }))
        }
        "GET /api/v1/hazards" | "GET /api/v1/volunteers/unread" | "GET /api/v1/me/preferences" => {
            on(Nowhere, nothing)
        }
        "GET /api/v1/me"
        | "GET /api/v1/me/inbox"
        | "GET /api/v1/me/passbook"
        | "GET /api/v1/orders"
        | "GET /api/v1/dispatch/board"
        | "GET /api/v1/dispatch/dead-letters"
        | "GET /api/v1/stream"
        | "GET /api/v1/score/appeals"
        | "GET /api/v1/score/claims"
        | "GET /api/v1/score/rules"
        | "GET /api/v1/showcase"
        | "GET /api/v1/showcase/pending"
        | "GET /api/v1/categories"
        | "GET /api/v1/openapi.json"
        | "GET /livez"
        | "GET /readyz"
        | "GET /metrics"
        | "GET /api/v1/signs/{code}"
        | "GET /api/v1/badges/{number}" => on(Nowhere, nothing),
        "GET /api/v1/orders/{id}" | "GET /api/v1/orders/{id}/events" | "GET /api/v1/orders/{id}/decision" => {
            on(Order(Accepted), nothing)
        }
        "POST /api/v1/orders/{id}/contact" => on(Order(Accepted), reason),
        "POST /api/v1/orders/{id}/dispatch" => {
            on(Order(Dispatched), |world| json!({ "teamId": world.team, "reason": "就近" }))
        }
        "POST /api/v1/orders/{id}/accept" | "POST /api/v1/orders/{id}/urge" => on(Order(Dispatched), nothing),
        "POST /api/v1/orders/{id}/decline"
        | "POST /api/v1/orders/{id}/escalate"
        | "POST /api/v1/orders/{id}/cancel" => on(Order(Dispatched), reason),
        "POST /api/v1/orders/{id}/arrive" => on(Order(Accepted), nothing),
        "POST /api/v1/orders/{id}/hand-over" => {
            on(Order(Accepted), |world| json!({ "volunteerId": world.teammate, "reason": "临时有事" }))
        }
        "POST /api/v1/orders/{id}/complete" => {
            on(Order(Accepted), |_| json!({ "summary": "已送到", "minutes": 20 }))
        }
        "POST /api/v1/orders/{id}/wait" => on(Order(Accepted), |_| json!({ "question": "几点在家？" })),
        "POST /api/v1/orders/{id}/answer" => on(Order(Waiting), |_| json!({ "answer": "下午三点" })),
        "POST /api/v1/orders/{id}/rate" => on(Order(Completed), |_| json!({ "stars": 5, "solved": true })),
        "POST /api/v1/orders/{id}/reopen" => on(Order(Rated), reason),
        "POST /api/v1/orders/{id}/show" => on(Order(Rated), |_| json!({ "text": "谢谢", "consent": true })),
        "POST /api/v1/showcase/{id}/consent" => on(Post(Shown), nothing),
        "POST /api/v1/showcase/{id}/approve" => on(Post(Agreed), nothing),
        "POST /api/v1/showcase/{id}/reject" => on(Post(Agreed), reason),
        "POST /api/v1/showcase/{id}/feature" | "POST /api/v1/showcase/{id}/withdraw" => {
            on(Post(Published), nothing)
        }
        "POST /api/v1/media" => on(Nowhere, nothing),
        "GET /api/v1/media/{id}" => on(Photo, nothing),
        "GET /api/v1/orders/{id}/media" => on(Order(Accepted), nothing),
        // Sealed by WeChat or refused.
        "GET /api/v1/wechat/push" | "POST /api/v1/wechat/push" => on(Nowhere, nothing),
        "POST /api/v1/signs/{code}/report" => on(Nowhere, |_| json!({ "kind": "damaged" })),
        "GET /api/v1/sign-reports" => on(Nowhere, nothing),
        "POST /api/v1/sign-reports/{id}/close" => on(SignReport, |_| json!({ "outcome": "in_order" })),
        // Without a reason, so that the sign and the badge stay: who may is told 422.
        "POST /api/v1/signs/{code}/revoke" | "POST /api/v1/signs/{code}/replace" => {
            on(Nowhere, |_| json!({ "reason": "" }))
        }
        "POST /api/v1/volunteers/{id}/badge" => on(Volunteer, nothing),
        "POST /api/v1/badges/{number}/revoke" => on(Nowhere, |_| json!({ "status": "lost", "reason": "" })),
        "POST /api/v1/me/totp" => on(Nowhere, nothing),
        "POST /api/v1/me/totp/confirm" => on(Nowhere, |_| json!({ "code": "000000" })),
        "POST /api/v1/staff/{id}/totp/reset" => on(Staff, reason),
        "GET /api/v1/audit" => on(Nowhere, nothing),
        "GET /api/v1/me/consents" | "POST /api/v1/me/guardian-code" => on(Nowhere, nothing),
        "POST /api/v1/me/consents" => on(Nowhere, |_| json!({ "kind": "ranking_by_name", "version": 1 })),
        "POST /api/v1/me/consents/withdraw" => on(Nowhere, |_| json!({ "kind": "ranking_by_name" })),
        "PUT /api/v1/me/age" => on(Nowhere, |_| json!({ "under14": false })),
        "POST /api/v1/me/wards" => on(Nowhere, |_| json!({ "code": "no-such-code" })),
        "DELETE /api/v1/me/wards/{id}" => on(Ward, nothing),
        "GET /api/v1/departments" | "GET /api/v1/orders/similar" => on(Nowhere, nothing),
        "POST /api/v1/orders/{id}/merge" => {
            on(Order(Dispatched), |world| json!({ "into": world.make(Dispatched).order }))
        }
        // Possible for a complex order alone: 409 is for those who may.
        "POST /api/v1/orders/{id}/extend" => on(Order(Accepted), reason),
        // Nothing is owed after five stars: 409 is for those who may.
        "POST /api/v1/orders/{id}/revisit" => on(Order(Rated), |_| json!({ "outcome": "solved" })),
        "POST /api/v1/orders/{id}/whistle" => {
            on(Order(Dispatched), |world| json!({ "departmentIds": [world.department], "demand": "请到场" }))
        }
        "GET /api/v1/orders/{id}/corrections" => on(Order(Accepted), nothing),
        // An errand is no report: 409 is for those who may.
        "POST /api/v1/orders/{id}/corrections" => {
            on(Order(Accepted), |_| json!({ "addressee": "某超市", "demand": "清理通道", "termDays": 7 }))
        }
        // There is none: 404 is for those who may, too.
        "POST /api/v1/orders/{id}/corrections/{correction}/inspect" => {
            on(Order(Accepted), |_| json!({ "passed": true, "findings": "已清理" }))
        }
        // It is no dead letter: 404 is for those who may, too.
        "POST /api/v1/dispatch/dead-letters/{id}/replay" => on(Order(Dispatched), nothing),
        "POST /api/v1/whistles/{id}/check-in" => on(Whistle(Answered::Called), nothing),
        "POST /api/v1/whistles/{id}/conclude" => {
            on(Whistle(Answered::CheckedIn), |_| json!({ "result": "已处理" }))
        }
        "POST /api/v1/whistles/{id}/rate" => on(Whistle(Answered::Concluded), |_| json!({ "stars": 5 })),
        "POST /api/v1/me/leave" => on(Nowhere, |world| world.leave()),
        "GET /api/v1/me/leave" => on(Nowhere, nothing),
        "DELETE /api/v1/me/leave/{id}" => on(Leave, nothing),
        "GET /api/v1/teams/{id}/roster" => on(Team, nothing),
        "PUT /api/v1/teams/{id}/roster" => on(Team, |_| json!({ "openOrdersAtMost": 50, "shifts": [] })),
        "GET /api/v1/score/entries/{id}/why" => on(Entry, nothing),
        "POST /api/v1/score/entries/{id}/reverse" => on(Entry, reason),
        "POST /api/v1/score/claims" => on(Nowhere, |world| world.claim("701", None)),
        "GET /api/v1/score/claims/{id}" => on(Claim, nothing),
        "POST /api/v1/score/claims/{id}/decide" => on(Claim, |_| json!({ "grant": true, "reason": "属实" })),
        "GET /api/v1/me/rank"
        | "GET /api/v1/stars"
        | "GET /api/v1/stars/rounds"
        | "GET /api/v1/stars/objections"
        | "GET /api/v1/certificates" => on(Nowhere, nothing),
        // Of a day that is not over: 422 is for those who may.
        "POST /api/v1/stars/rounds" => {
            on(Nowhere, |world| json!({ "areaCode": world.area()[..9], "asOf": "2999-01-01" }))
        }
        "GET /api/v1/stars/rounds/{id}/lines" => on(Round, nothing),
        // Its notice runs: 409 is for those who may.
        "POST /api/v1/stars/rounds/{id}/confer" => on(Round, nothing),
        "POST /api/v1/stars/rounds/{id}/objections" => {
            on(Round, |_| json!({ "line": 1, "reason": "与事实不符" }))
        }
        "POST /api/v1/stars/objections/{id}/decide" => {
            on(StarObjection, |_| json!({ "uphold": false, "reason": "经核查属实" }))
        }
        // For the worker: who is not his station finds nobody.
        "POST /api/v1/certificates" => on(Nowhere, |world| world.certificate_body()),
        "GET /api/v1/certificates/{id}" | "POST /api/v1/certificates/{id}/sign" => on(Certificate, nothing),
        "POST /api/v1/certificates/{id}/refuse" => on(Certificate, reason),
        "POST /api/v1/certificates/{id}/revoke" => on(Signed, reason),
        "GET /api/v1/certificates/{id}/print" => on(Signed, nothing),
        "POST /api/v1/trainings" => on(Nowhere, |world| world.training_body()),
        "GET /api/v1/trainings" | "GET /api/v1/me/trainings" => on(Nowhere, nothing),
        "GET /api/v1/trainings/{id}" => on(Training, nothing),
        "POST /api/v1/trainings/{id}/void" => on(Training, reason),
        "POST /api/v1/exports/volunteer-record" => {
            on(Nowhere, |_| json!({ "part": "hours", "from": "2026-01-01", "to": "2026-12-31" }))
        }
        "GET /api/v1/leaderboards"
        | "GET /api/v1/score/periods"
        | "GET /api/v1/score/notices"
        | "GET /api/v1/score/notices/{month}/lines"
        | "GET /api/v1/score/notices/{month}/objections"
        | "POST /api/v1/score/periods/{month}/seal" => on(Nowhere, nothing),
        "POST /api/v1/score/periods" => on(Nowhere, |_| json!({ "month": "2025-12" })),
        "POST /api/v1/score/notices/{month}/objections" => {
            on(Nowhere, |_| json!({ "line": 1, "reason": "与事实不符" }))
        }
        "GET /api/v1/score/objections/{id}" => on(Objection, nothing),
        "POST /api/v1/score/objections/{id}/decide" => {
            on(Objection, |_| json!({ "uphold": false, "reason": "经核查属实" }))
        }
        "GET /api/v1/shop/shops"
        | "GET /api/v1/shop/goods"
        | "GET /api/v1/shop/donations"
        | "GET /api/v1/shop/redemptions" => on(Nowhere, nothing),
        "POST /api/v1/shop/shops" => {
            on(Nowhere, |world| json!({ "areaCode": world.free_area(), "name": "爱心超市（试）" }))
        }
        "PUT /api/v1/shop/shops/{id}/keepers" => on(Shop, |world| json!({ "personIds": [world.teammate] })),
        "GET /api/v1/shop/shops/{id}/reconciliation" => on(Shop, nothing),
        "POST /api/v1/shop/goods" => {
            on(Nowhere, |world| json!({ "shopId": world.shop().shop, "name": "肥皂", "price": 2 }))
        }
        "PUT /api/v1/shop/goods/{id}" => on(Goods, |_| json!({ "name": "毛巾", "price": 1, "active": true })),
        "POST /api/v1/shop/goods/{id}/count" => on(Goods, |_| json!({ "change": 1, "reason": "盘点" })),
        "POST /api/v1/shop/donations" => on(
            Nowhere,
            |world| json!({ "goodsId": world.shop().goods, "quantity": 1, "donor": "村委会", "donorIsPerson": false }),
        ),
        "POST /api/v1/shop/redemptions" => {
            on(Nowhere, |world| json!({ "goodsId": world.shop().goods, "quantity": 1 }))
        }
        "POST /api/v1/shop/redemptions/hand-over" => {
            on(Nowhere, |world| json!({ "code": text(&world.redeemed(), "code") }))
        }
        "GET /api/v1/shop/redemptions/{id}" => on(Redemption, nothing),
        "POST /api/v1/shop/redemptions/{id}/void" => on(Redemption, reason),
        "GET /api/v1/score/holds" | "GET /api/v1/activities" | "GET /api/v1/patrols" => on(Nowhere, nothing),
        "GET /api/v1/score/holds/{id}" => on(Hold, nothing),
        "POST /api/v1/score/holds/{id}/decide" => {
            on(Hold, |_| json!({ "release": true, "reason": "已核实" }))
        }
        // In the past: 422 is for those who may.
        "POST /api/v1/activities" => on(Nowhere, |world| {
            let past = |hours| (world.now() - chrono::TimeDelta::hours(hours)).to_rfc3339();
            let area = world.area();
            json!({ "areaCode": area, "title": "河道清理", "content": "清理垃圾", "place": "村口",
                "startsAt": past(2), "endsAt": past(1), "capacity": 9 })
        }),
        "GET /api/v1/activities/{id}"
        | "GET /api/v1/activities/{id}/code"
        | "GET /api/v1/activities/{id}/people" => on(Activity, nothing),
        "POST /api/v1/activities/{id}/join" => on(Activity, nothing),
        "POST /api/v1/activities/{id}/notice" => on(Activity, |_| json!({ "text": "请带手套" })),
        // Nobody has joined: 409 is for those who may see it.
        "POST /api/v1/activities/{id}/check-in" => on(Activity, |_| json!({ "code": "00000000" })),
        "POST /api/v1/activities/{id}/feedback" => on(Activity, |_| json!({ "text": "很好" })),
        // The worker walks one already, once another operation was tried: 409 is for those who may.
        "POST /api/v1/patrols" => on(Patrol, nothing),
        "GET /api/v1/patrols/{id}" => on(Patrol, nothing),
        "POST /api/v1/patrols/{id}/visits" => on(Patrol, |_| json!({ "place": "三组李大爷家" })),
        // An errand is no report: 422 is for those who may.
        "POST /api/v1/patrols/{id}/hazards" => {
            on(Patrol, |_| json!({ "categoryCode": "errand", "description": "电线老化" }))
        }
        "POST /api/v1/patrols/{id}/end" => on(Patrol, |_| json!({ "summary": "" })),
        "POST /api/v1/score/appeals" => on(Deduction, reason),
        "POST /api/v1/score/appeals/{id}/decide" => {
            on(Appeal, |_| json!({ "uphold": true, "reason": "属实" }))
        }
        _ => return None,
    };
    Some(trial)
}

/// A county in which everybody is logged in.
struct World {
    people: BTreeMap<Who, Client>,
    sign: String,
    badge: String,
    team: String,
    department: String,
    teammate: String,
    operator: String,
    /// What was made and not used up, by stage.
    ready: BTreeMap<Stage, Made>,
    /// The village's shop, once somebody asked for it.
    shop: OnceCell<MadeShop>,
    /// A photo, once somebody asked for it.
    photo: OnceCell<String>,
    /// Lines of the notice that were objected to.
    objected: Cell<i64>,
    /// The served specification.
    document: Value,
    /// Operations whose answers were given again under their keys.
    kept: BTreeSet<String>,
}

#[derive(Clone, Debug)]
struct MadeShop {
    shop: String,
    goods: String,
}

#[derive(Clone, Debug)]
struct Made {
    order: String,
    post: Option<String>,
}

impl World {
    /// Logs everybody in. The third resident is made a volunteer of a sibling grid by `sql`, which speaks the
    /// database's dialect: SQLite's ids are bytes.
    fn new(base: &str, accounts: &Accounts, sql: impl Fn(&str) -> String, is_postgres: bool) -> World {
        let people = log_in_everybody(base, accounts);
        let _ = sql(&become_volunteer(&id_of(&people[&Who::Sibling]), accounts.grid(), is_postgres));
        let roles = people[&Who::Sibling].get("/me").expect(200);
        assert_eq!(roles["roles"][0]["role"], "volunteer", "counts at the next request: {roles}");
        let me = people[&Who::Worker].get("/me").expect(200);
        let _ = sql(&notice::running());
        let _ = sql(&notice::lines(accounts.grid(), is_postgres));
        let _ = sql(&answered_hazard(accounts.grid(), is_postgres));
        for statement in round_of_stars(accounts.grid(), is_postgres) {
            let _ = sql(&statement);
        }
        let mut world = World {
            sign: accounts.sign().to_owned(),
            badge: text(&me, "badge"),
            team: text(&me["roles"][0], "teamId"),
            department: text(&people[&Who::Department].get("/me").expect(200)["roles"][0], "teamId"),
            teammate: id_of(&people[&Who::Teammate]),
            operator: id_of(&people[&Who::Operator]),
            document: people[&Who::Anonymous].get("/openapi.json").expect(200),
            people,
            kept: BTreeSet::new(),
            ready: BTreeMap::new(),
            shop: OnceCell::new(),
            photo: OnceCell::new(),
            objected: Cell::new(1),
        };
        // The worker has served today: that can be certified.
        let made = world.at(Stage::Completed);
        world.ready.insert(Stage::Completed, made);
        world
    }

    /// An objection to a line that nobody has objected to.
    fn objection(&self) -> String {
        self.objected.set(self.objected.get() + 1);
        let objection = json!({ "line": self.objected.get(), "reason": "与事实不符" });
        let path = format!("/score/notices/{NOTICE}/objections");
        text(&self.post(Who::Requester, &path, &objection), "id")
    }

    /// The village's shop, kept by the teammate, with goods for a point; the worker has points to spend.
    fn shop(&self) -> &MadeShop {
        self.shop.get_or_init(|| {
            let village = &self.area()[..12];
            let shop =
                self.post(Who::Village, "/shop/shops", &json!({ "areaCode": village, "name": "爱心超市" }));
            let shop = text(&shop, "id");
            let keepers = json!({ "personIds": [self.teammate] }).to_string().into_bytes();
            let path = format!("/shop/shops/{shop}/keepers");
            let appointed = self.people[&Who::Village].send("PUT", &path, &[], &keepers).expect("an answer");
            assert_eq!(appointed.status, 200, "{}", appointed.text());
            let goods = json!({ "shopId": shop, "name": "毛巾", "price": 1 });
            let goods = text(&self.post(Who::Teammate, "/shop/goods", &goods), "id");
            let given =
                json!({ "goodsId": goods, "quantity": 500, "donor": "村委会", "donorIsPerson": false });
            self.post(Who::Teammate, "/shop/donations", &given);
            let claim = text(&self.post(Who::Worker, "/score/claims", &self.claim("B06", None)), "id");
            let granted = json!({ "grant": true, "points": 50, "reason": "属实" });
            self.post(Who::Township, &format!("/score/claims/{claim}/decide"), &granted);
            MadeShop { shop, goods }
        })
    }

    /// A photo of an order that the worker has accepted: one for all who ask.
    fn photo(&self) -> String {
        self.photo
            .get_or_init(|| {
                let picture = image::RgbImage::from_fn(90, 80, |x, y| image::Rgb([x as u8, y as u8, 0]));
                let mut file = std::io::Cursor::new(Vec::new());
                picture.write_to(&mut file, image::ImageFormat::Png).expect("it is encoded");
                let photo = text(&self.people[&Who::Requester].upload(&file.into_inner()).expect(201), "id");
                let mut order = self.order();
                order["mediaIds"] = json!([photo]);
                let order = text(&self.post(Who::Requester, "/orders", &order), "id");
                self.wait_until_dispatched(&order);
                self.post(Who::Worker, &format!("/orders/{order}/accept"), &json!({}));
                photo
            })
            .clone()
    }

    /// What the worker has just reserved.
    fn redeemed(&self) -> Value {
        let wanted = json!({ "goodsId": self.shop().goods, "quantity": 1 });
        self.post(Who::Worker, "/shop/redemptions", &wanted)
    }

    /// The area of the worker's role: his grid.
    fn area(&self) -> String {
        text(&self.people[&Who::Worker].get("/me").expect(200)["roles"][0], "areaCode")
    }

    /// The worker's grid, which has no shop until the first who may opens it.
    fn free_area(&self) -> String {
        self.shop();
        self.area()
    }

    fn order(&self) -> Value {
        json!({ "signCode": self.sign, "categoryCode": "errand", "description": "代取快递" })
    }

    fn post(&self, who: Who, path: &str, body: &Value) -> Value {
        let answer = self.people[&who].post(path, body);
        assert!((200..300).contains(&answer.status), "{who:?} {path}: {}", answer.text());
        answer.json()
    }

    /// An order at a stage: one that a refused operation left as it was, or a new one.
    fn at(&mut self, stage: Stage) -> Made {
        match self.ready.remove(&stage) {
            Some(made) => made,
            None => self.make(stage),
        }
    }

    fn make(&self, stage: Stage) -> Made {
        let placed = self.post(Who::Requester, "/orders", &self.order());
        let order = text(&placed, "id");
        self.wait_until_dispatched(&order);
        let mut made = Made { order, post: None };
        for step in [
            Stage::Accepted,
            Stage::Waiting,
            Stage::Completed,
            Stage::Rated,
            Stage::Shown,
            Stage::Agreed,
            Stage::Published,
        ] {
            if step <= stage && !(step == Stage::Waiting && stage != Stage::Waiting) {
                self.advance(&mut made, step);
            }
        }
        made
    }

    /// A call of the village's to the department.
    fn whistle(&self, answered: Answered) -> String {
        let order = self.make(Stage::Dispatched).order;
        let call = json!({ "departmentIds": [self.department], "demand": "请到场" });
        let called = self.post(Who::Village, &format!("/orders/{order}/whistle"), &call);
        let whistle = text(&called["whistles"][0], "id");
        if answered >= Answered::CheckedIn {
            self.post(Who::Department, &format!("/whistles/{whistle}/check-in"), &json!({}));
        }
        if answered >= Answered::Concluded {
            let result = json!({ "result": "已处理" });
            self.post(Who::Department, &format!("/whistles/{whistle}/conclude"), &result);
        }
        whistle
    }

    fn advance(&self, made: &mut Made, to: Stage) {
        let path = |verb: &str| format!("/orders/{}/{verb}", made.order);
        let of_post = |verb: &str| format!("/showcase/{}/{verb}", made.post.as_deref().unwrap_or_default());
        match to {
            Stage::Dispatched => {}
            Stage::Accepted => _ = self.post(Who::Worker, &path("accept"), &json!({})),
            Stage::Waiting => _ = self.post(Who::Worker, &path("wait"), &json!({ "question": "在家吗？" })),
            Stage::Completed => {
                let done = json!({ "summary": "已送到", "minutes": 20 });
                self.post(Who::Worker, &path("complete"), &done);
            }
            Stage::Rated => {
                _ = self.post(Who::Requester, &path("rate"), &json!({ "stars": 5, "solved": true }))
            }
            Stage::Shown => {
                let shown = json!({ "text": "谢谢", "consent": true });
                made.post = Some(text(&self.post(Who::Requester, &path("show"), &shown), "id"));
            }
            Stage::Agreed => _ = self.post(Who::Worker, &of_post("consent"), &json!({})),
            Stage::Published => _ = self.post(Who::Village, &of_post("approve"), &json!({})),
        }
    }

    fn wait_until_dispatched(&self, order: &str) {
        let begun = Instant::now();
        let path = format!("/orders/{order}");
        while self.people[&Who::Requester].get(&path).expect(200)["status"] != "dispatched" {
            assert!(begun.elapsed() < DISPATCHED_WITHIN, "not dispatched");
            sleep(Duration::from_millis(5));
        }
    }

    /// The worker's points for a completed order.
    fn entry(&self, order: &str) -> String {
        let passbook = self.people[&Who::Worker].get("/me/passbook?limit=100").expect(200);
        let entries = passbook["items"].as_array().or(passbook["entries"].as_array()).expect("entries");
        let entry = entries.iter().find(|entry| entry["orderId"] == order);
        text(entry.unwrap_or_else(|| panic!("nothing for {order}: {passbook}")), "id")
    }

    fn sign_report(&self) -> String {
        let report = format!("/signs/{}/report", self.sign);
        let reported = self.people[&Who::Anonymous].post(&report, &json!({ "kind": "damaged" }));
        assert_eq!(reported.status, 204, "{}", reported.text());
        let open = self.people[&Who::Admin].get("/sign-reports").expect(200);
        text(&open["items"][0], "id")
    }

    fn ward(&self) -> String {
        let code = self.post(Who::Requester, "/me/guardian-code", &json!({}));
        text(&self.post(Who::Worker, "/me/wards", &json!({ "code": code["code"] })), "id")
    }

    /// A claim about what happened an hour ago, by the server's clock: tests have none.
    /// A leave in a hundred days, which keeps nobody from serving now.
    fn leave(&self) -> Value {
        let from = self.now() + chrono::TimeDelta::days(100);
        json!({ "from": from.to_rfc3339(), "to": (from + chrono::TimeDelta::days(1)).to_rfc3339() })
    }

    /// The server's own word on the time: tests have no clock of their own.
    fn now(&self) -> chrono::DateTime<chrono::FixedOffset> {
        let probe = self.people[&Who::Worker].get("/me");
        let date = probe.header("date").expect("every answer has a date");
        chrono::DateTime::parse_from_rfc2822(date).expect("a date")
    }

    fn claim(&self, rule: &str, person: Option<String>) -> Value {
        let happened_at = (self.now() - chrono::TimeDelta::hours(1)).to_rfc3339();
        let mut claim = json!({ "ruleCode": rule, "happenedAt": happened_at, "evidence": "走访记录" });
        if let Some(person) = person {
            claim["personId"] = json!(person);
        }
        claim
    }

    fn made_claim(&self) -> String {
        text(&self.post(Who::Worker, "/score/claims", &self.claim("701", None)), "id")
    }

    fn held(&self) -> String {
        let mut claim = self.claim("B08", None);
        claim["happenedAt"] = json!((self.now() - chrono::TimeDelta::days(10)).to_rfc3339());
        let claim = text(&self.post(Who::Worker, "/score/claims", &claim), "id");
        let granted = json!({ "grant": true, "reason": "属实" });
        // Whoever has decided the claim does not decide the hold: the county does it.
        text(&self.post(Who::Admin, &format!("/score/claims/{claim}/decide"), &granted), "entryId")
    }

    fn activity(&self) -> String {
        let ahead = |hours| (self.now() + chrono::TimeDelta::hours(hours)).to_rfc3339();
        let activity = json!({ "areaCode": self.area(), "title": "河道清理", "content": "清理垃圾", "place": "村口",
            "startsAt": ahead(24), "endsAt": ahead(26), "capacity": 9 });
        text(&self.post(Who::Village, "/activities", &activity), "id")
    }

    /// The worker's patrol that runs, begun where he walks none.
    fn patrol(&self) -> String {
        let begun = self.people[&Who::Worker].post("/patrols", &json!({}));
        if begun.status == 201 {
            return text(&begun.json(), "id");
        }
        let walked = self.people[&Who::Worker].get("/patrols").expect(200);
        text(&walked["items"][0], "id")
    }

    fn deduction(&self) -> String {
        let worker = id_of(&self.people[&Who::Worker]);
        let claim = text(&self.post(Who::Village, "/score/claims", &self.claim("D01", Some(worker))), "id");
        let granted = json!({ "grant": true, "reason": "属实" });
        text(&self.post(Who::Township, &format!("/score/claims/{claim}/decide"), &granted), "entryId")
    }

    fn appeal(&self) -> String {
        let appeal = json!({ "entryId": self.deduction(), "reason": "已改期" });
        text(&self.post(Who::Worker, "/score/appeals", &appeal), "id")
    }

    /// A span in which the worker has served.
    fn certificate_body(&self) -> Value {
        let today = (self.now() + chrono::TimeDelta::hours(8)).format("%Y-%m-%d").to_string();
        json!({ "personId": id_of(&self.people[&Who::Worker]), "from": today, "to": today })
    }

    fn certificate(&self) -> String {
        text(&self.post(Who::Worker, "/certificates", &self.certificate_body()), "id")
    }

    fn signed(&self) -> String {
        let id = self.certificate();
        self.post(Who::Village, &format!("/certificates/{id}/sign"), &json!({}));
        id
    }

    /// Today's training for the worker's village.
    fn training_body(&self) -> Value {
        let today = (self.now() + chrono::TimeDelta::hours(8)).format("%Y-%m-%d").to_string();
        json!({ "areaCode": self.area()[..12], "title": "急救知识培训", "organizer": "县红十字会", "heldOn": today,
            "minutes": 90, "personIds": [id_of(&self.people[&Who::Worker])] })
    }

    fn training(&self) -> String {
        text(&self.post(Who::Village, "/trainings", &self.training_body()), "id")
    }

    /// An objection to a line of the round that nobody has objected to.
    fn star_objection(&self) -> String {
        self.objected.set(self.objected.get() + 1);
        let objection = json!({ "line": self.objected.get(), "reason": "与事实不符" });
        let path = format!("/stars/rounds/{ROUND}/objections");
        text(&self.post(Who::Requester, &path, &objection), "id")
    }

    /// Tries an operation as everybody; answers the statuses in the order of [`EVERYBODY`].
    fn try_all(&mut self, operation: &str) -> Vec<u16> {
        let trial = trial(operation).unwrap_or_else(|| {
            panic!("{operation} is served, and nobody says here who may do it: add it to `trial` and to the table")
        });
        if operation == "GET /api/v1/stream" {
            // Its answer never ends.
            return self.try_stream();
        }
        EVERYBODY.into_iter().map(|who| self.try_one(operation, &trial, who)).collect()
    }

    fn try_stream(&self) -> Vec<u16> {
        EVERYBODY.into_iter().map(|who| Events::listen(&self.people[&who], None).status).collect()
    }

    fn try_one(&mut self, operation: &str, trial: &Trial, who: Who) -> u16 {
        let mut body = (trial.body)(self);
        let (stage, id) = match trial.target {
            Target::None => (None, String::new()),
            Target::Claim => (None, self.made_claim()),
            Target::Deduction => (None, self.deduction()),
            Target::Appeal => (None, self.appeal()),
            Target::Leave => (None, text(&self.post(Who::Worker, "/me/leave", &self.leave()), "id")),
            Target::Team => (None, self.team.clone()),
            Target::Staff => (None, self.operator.clone()),
            Target::SignReport => (None, self.sign_report()),
            Target::Volunteer => (None, id_of(&self.people[&Who::Worker])),
            Target::Ward => (None, self.ward()),
            Target::Whistle(answered) => (None, self.whistle(answered)),
            Target::Objection => (None, self.objection()),
            Target::Hazard => (None, HAZARD.to_owned()),
            Target::Shop => (None, self.shop().shop.clone()),
            Target::Goods => (None, self.shop().goods.clone()),
            Target::Redemption => (None, text(&self.redeemed(), "id")),
            Target::Hold => (None, self.held()),
            Target::Activity => (None, self.activity()),
            Target::Patrol => (None, self.patrol()),
            Target::Photo => (None, self.photo()),
            Target::Round => (None, ROUND.to_owned()),
            Target::StarObjection => (None, self.star_objection()),
            Target::Certificate => (None, self.certificate()),
            Target::Signed => (None, self.signed()),
            Target::Training => (None, self.training()),
            Target::Order(stage) => (Some(stage), String::new()),
            Target::Post(stage) => (Some(stage), String::new()),
            Target::Entry => (Some(Stage::Completed), String::new()),
        };
        let made = stage.map(|stage| self.at(stage));
        let id = match (&trial.target, &made) {
            (Target::Order(_), Some(made)) => made.order.clone(),
            (Target::Post(_), Some(made)) => made.post.clone().expect("a post"),
            (Target::Entry, Some(made)) => self.entry(&made.order),
            _ => id,
        };
        if matches!(trial.target, Target::Deduction) {
            body["entryId"] = json!(id);
        }
        let key = fresh_key();
        let answer = self.ask(operation, who, &id, &body, &key);
        if operation.starts_with("POST ")
            && answer.status < 300
            && !DONE_ANEW.iter().any(|(one, _)| *one == operation)
        {
            self.is_kept(operation, who, &id, &body, &key, &answer);
        }
        if let (Some(stage), Some(made)) = (stage, made) {
            if answer.status >= 300 || operation.starts_with("GET ") || operation.ends_with("/contact") {
                self.ready.insert(stage, made);
            } else {
                // A volunteer holds only so many orders at once.
                self.people[&Who::Township]
                    .post(&format!("/orders/{}/cancel", made.order), &json!({ "reason": "试完" }));
            }
        }
        if !id.is_empty() && (answer.status == 404 || answer.status == 401) {
            self.looks_like_nothing(operation, who, &id, &body, &answer);
        }
        answer.status
    }

    /// Asked again under its key, the answer is the same.
    fn is_kept(&mut self, operation: &str, who: Who, id: &str, body: &Value, key: &str, answer: &Answer) {
        let path = self.path(operation, id);
        let path = path.strip_prefix("/api/v1").expect("a path of the contract");
        let reads_body = self.specification(operation)["requestBody"].is_object();
        self.people[&who].is_kept(path, key, body.to_string().as_bytes(), reads_body, answer);
        self.kept.insert(operation.to_owned());
    }

    /// What the served specification says of an operation.
    fn specification(&self, operation: &str) -> &Value {
        let (method, path) = operation.split_once(' ').expect("a method and a path");
        &self.document["paths"][path][method.to_lowercase()]
    }

    fn path(&self, operation: &str, id: &str) -> String {
        let (_, path) = operation.split_once(' ').expect("a method and a path");
        let path =
            if path == "/api/v1/audit" { format!("{path}?personId={NOTHING}") } else { path.to_owned() };
        let path = path.replace("{id}", id).replace("{code}", &self.sign).replace("{number}", &self.badge);
        // A question that can be answered.
        let path = match operation {
            "GET /api/v1/orders/similar" => format!("{path}?categoryCode=errand&signCode={}", self.sign),
            _ => path.replace("{correction}", NOTHING),
        };
        path.replace("{id}", id)
            .replace("{code}", &self.sign)
            .replace("{number}", &self.badge)
            .replace("{month}", NOTICE)
            .replace("/reconciliation", "/reconciliation?month=2026-10")
            .replace("/leaderboards", "/leaderboards?by=township")
    }

    fn ask(&self, operation: &str, who: Who, id: &str, body: &Value, key: &str) -> Answer {
        let method = operation.split(' ').next().expect("a method");
        let path = self.path(operation, id);
        let client = &self.people[&who];
        match path.strip_prefix("/api/v1") {
            Some(path) if method == "GET" => client.get(path),
            Some(path) => {
                let bytes = body.to_string().into_bytes();
                client.send(method, path, &[(IDEMPOTENCY_KEY, key)], &bytes).expect("an answer")
            }
            None => client.get_outside(&path).expect("an answer"),
        }
    }

    /// "Not yours" and "not there" are the same answer but for the request's id.
    fn looks_like_nothing(&self, operation: &str, who: Who, id: &str, body: &Value, answer: &Answer) {
        let nothing = self.ask(operation, who, NOTHING, body, &fresh_key());
        let bare = |answer: &Answer| {
            let mut problem = answer.json();
            problem["requestId"] = Value::Null;
            (answer.status, problem)
        };
        assert_eq!(bare(answer), bare(&nothing), "{operation} as {who:?}, {id}");
    }
}

/// Everybody with a session of his own; one of them ended.
fn log_in_everybody(base: &str, accounts: &Accounts) -> BTreeMap<Who, Client> {
    let log_in = |account| Client::log_in(base, account);
    let (residents, volunteers) = (accounts.all("resident"), accounts.all("volunteer"));
    let logged_out = log_in(residents[0]);
    assert_eq!(logged_out.post("/auth/logout", &json!({})).status, 204);
    BTreeMap::from([
        (Who::Anonymous, Client::anonymous(base)),
        (Who::LoggedOut, logged_out),
        (Who::Requester, log_in(residents[0])),
        (Who::Resident, log_in(residents[1])),
        (Who::Worker, log_in(volunteers[0])),
        (Who::Teammate, log_in(volunteers[1])),
        (Who::Leader, log_in(accounts.one("grid_leader"))),
        (Who::Sibling, log_in(residents[2])),
        (Who::Village, log_in(accounts.village_dispatcher())),
        (Who::Township, log_in(accounts.township_dispatcher())),
        (Who::Foreign, log_in(accounts.foreign_dispatcher())),
        (Who::Operator, log_in(accounts.one("operator"))),
        (Who::Admin, log_in(accounts.one("county_admin"))),
        (Who::Auditor, log_in(accounts.one("auditor"))),
        (Who::Department, log_in(accounts.one("department"))),
    ])
}

/// SQL that makes a person a volunteer of the team of another grid.
fn become_volunteer(person: &str, grid: &str, is_postgres: bool) -> String {
    let bytes =
        |id: &str| if is_postgres { format!("'{id}'") } else { format!("X'{}'", id.replace('-', "")) };
    let (grant, person) = (bytes(NEW_GRANT), bytes(person));
    format!(
        "INSERT INTO role_grant (id, county, person_id, role, area_code, team_id, granted_at) \
         SELECT {grant}, t.county, {person}, 'volunteer', a.area_code, t.id, '2026-01-01 00:00:00+00:00' \
         FROM team t JOIN team_area a ON a.team_id = t.id \
         WHERE t.kind = 'grid' AND a.area_code <> '{grid}' ORDER BY a.area_code LIMIT 1"
    )
}

/// SQL that writes a hazard that its station has answered.
fn answered_hazard(grid: &str, is_postgres: bool) -> String {
    let bytes =
        |id: &str| if is_postgres { format!("'{id}'") } else { format!("X'{}'", id.replace('-', "")) };
    let (id, nobody, at) = (bytes(HAZARD), bytes(NOTHING), "'2026-01-01T00:00:00+00:00'");
    format!(
        "INSERT INTO hazard (id, county, area_code, category, number, times, first_at, last_at, found_at, cause, \
         measure, answered_by, answered_at) VALUES ({id}, '140724', '{grid}', 'environment', 1, 4, {at}, {at}, {at}, \
         '清运太少', '每周三次', {nobody}, {at})"
    )
}

/// SQL that shows a round of stars with a hundred lines of people whom nobody knows, for ever.
fn round_of_stars(grid: &str, is_postgres: bool) -> [String; 2] {
    let bytes =
        |id: &str| if is_postgres { format!("'{id}'") } else { format!("X'{}'", id.replace('-', "")) };
    let (round, nobody) = (bytes(ROUND), bytes(NOTHING));
    let hash = if is_postgres { "''::bytea" } else { "X''" };
    let lines = (1..=100).map(|number| {
        let person = bytes(&format!("00000000-0000-0000-0000-{number:012x}"));
        format!("({round}, {number}, '140724', {person}, '{grid}', 6000, 0, 0, 1, 'standing')")
    });
    [
        format!(
            "INSERT INTO star_round (id, county, area_code, as_of, rule_version, status, working_days, proposed_by, \
             published_at, notice_ends_at, line_count, list_hash) VALUES ({round}, '140724', '{}', '2025-11-30', 1, \
             'notice', 5, {nobody}, '2025-12-01T00:00:00+00:00', '2999-01-01T00:00:00+00:00', 100, {hash})",
            &grid[..9]
        ),
        format!(
            "INSERT INTO star_line (round_id, number, county, person_id, area_code, minutes, points, stars_before, \
             stars, status) VALUES {}",
            lines.collect::<Vec<_>>().join(", ")
        ),
    ]
}

fn id_of(client: &Client) -> String {
    text(&client.get("/me").expect(200), "id")
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_else(|| panic!("no {member}: {value}")).to_owned()
}

/// Every operation that is served, from the served specification.
fn operations(client: &Client) -> Vec<String> {
    let document = client.get("/openapi.json").expect(200);
    let mut operations: Vec<String> = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        let methods = methods.as_object().expect("methods").keys();
        operations.extend(methods.map(|method| format!("{} {path}", method.to_uppercase())));
    }
    operations.sort_by_key(|operation| {
        operation.split_once(' ').map(|(method, path)| (path.to_owned(), method.to_owned()))
    });
    operations
}

fn table_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("access_table.tsv")
}

fn written(rows: &[(String, Vec<u16>)]) -> String {
    let names: Vec<String> = EVERYBODY.iter().map(|who| format!("{who:?}")).collect();
    let mut table = format!("operation\t{}\n", names.join("\t"));
    for (operation, statuses) in rows {
        let cells: Vec<String> = statuses.iter().map(u16::to_string).collect();
        table.push_str(&format!("{operation}\t{}\n", cells.join("\t")));
    }
    table
}

/// Asks everything of everybody and compares with the table, line by line.
fn meets_the_table(base: &str, accounts: &Accounts, sql: impl Fn(&str) -> String, is_postgres: bool) {
    let mut world = World::new(base, accounts, sql, is_postgres);
    let all = operations(&world.people[&Who::Anonymous]);
    let ends_something = |operation: &String| ENDINGS.contains(&operation.as_str());
    let mut rows: Vec<(String, Vec<u16>)> = Vec::new();
    for operation in all.iter().filter(|operation| !ends_something(operation)) {
        rows.push((operation.clone(), world.try_all(operation)));
    }
    for operation in ENDINGS {
        world.people = log_in_everybody(base, accounts);
        rows.push((operation.to_owned(), world.try_all(operation)));
    }
    rows.sort_by_key(|(operation, _)| {
        operation.split_once(' ').map(|(method, path)| (path.to_owned(), method.to_owned()))
    });
    everything_effectful_is_done_once(&world, &all);
    let found = written(&rows);
    if std::env::var_os("XINGFUMA_RENEW").is_some() {
        fs::write(table_path(), &found).expect("the table is written");
    }
    let wanted = fs::read_to_string(table_path()).expect("tests/access_table.tsv");
    let differences: Vec<String> = wanted
        .lines()
        .filter(|line| !found.lines().any(|other| other == *line))
        .map(|line| format!("- {line}"))
        .chain(
            found
                .lines()
                .filter(|line| !wanted.lines().any(|other| other == *line))
                .map(|line| format!("+ {line}")),
        )
        .collect();
    assert!(
        differences.is_empty(),
        "the table is another (- committed, + found):\n{}",
        differences.join("\n")
    );
}

/// Every POST of the specification takes an `Idempotency-Key` and was done twice under one, here or in another test, or
/// stands in the list of those that are done anew.
fn everything_effectful_is_done_once(world: &World, all: &[String]) {
    let names =
        |list: &[(&str, &str)]| list.iter().map(|(name, _)| (*name).to_owned()).collect::<BTreeSet<_>>();
    let (anew, elsewhere) = (names(&DONE_ANEW), names(&DONE_ELSEWHERE));
    let takes_key = |operation: &str| {
        let parameters = world.specification(operation)["parameters"].as_array().cloned();
        parameters.unwrap_or_default().iter().any(|parameter| parameter["name"] == IDEMPOTENCY_KEY)
    };
    let mut untried = BTreeSet::new();
    for operation in all.iter().filter(|operation| operation.starts_with("POST ")) {
        let (is_anew, is_kept) = (anew.contains(operation), world.kept.contains(operation));
        assert_eq!(takes_key(operation), !is_anew, "{operation}: a key, or a reason in DONE_ANEW");
        if !(is_anew || is_kept || elsewhere.contains(operation)) {
            untried.insert(operation.as_str());
        }
        assert!(!(is_kept && elsewhere.contains(operation)), "{operation} is done here by now");
    }
    assert!(untried.is_empty(), "keys that were never tried: {untried:?}");
    let known: BTreeSet<String> = all.iter().cloned().collect();
    let gone: Vec<&String> = elsewhere.iter().filter(|operation| !known.contains(*operation)).collect();
    assert!(gone.is_empty(), "not served: {gone:?}");
    println!("{} POSTs were done twice under one key", world.kept.len());
}

#[test]
fn everybody_alone() {
    let demo = Demo::start_with(&one_guard());
    let sql = |statement: &str| demo.sql(statement);
    meets_the_table(demo.base(), demo.accounts(), sql, false);
}

#[test]
fn everybody_in_a_fleet() {
    let limits = [("XINGFUMA_LIMITS__FACTOR", "100000")];
    let fleet = Fleet::start_with(1, 1, &[&limits[..], &one_guard()].concat());
    let sql = |statement: &str| fleet.sql(statement);
    meets_the_table(&fleet.bases()[0], fleet.accounts(), sql, true);
}
