//! How each operation is tried: on what, and with which good body.

use serde_json::{Value, json};

use crate::world::rows::NOTHING;
use crate::world::{World, text};

/// How far an order has come before the operation is tried on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
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

/// What an operation is tried on.
pub(crate) enum Target {
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
pub(crate) enum Answered {
    Called,
    CheckedIn,
    Concluded,
}

/// How an operation is tried: on what, and with which good body.
pub(crate) struct Trial {
    pub(crate) target: Target,
    pub(crate) body: fn(&World) -> Value,
}

pub(crate) const fn on(target: Target, body: fn(&World) -> Value) -> Trial {
    Trial { target, body }
}

/// The one place that has to learn of a new operation.
pub(crate) fn trial(operation: &str) -> Option<Trial> {
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
