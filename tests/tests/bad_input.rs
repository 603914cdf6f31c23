//! Requests that are not as they should be: each is answered with a problem of its own kind, and none breaks anything.

use std::{
    sync::LazyLock,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use xingfuma_tests::{
    client::{Answer, Client, IDEMPOTENCY_KEY, fresh_key},
    program::Demo,
};

static DEMO: LazyLock<Demo> = LazyLock::new(Demo::start);

fn resident(number: usize) -> Client {
    Client::log_in(DEMO.base(), DEMO.accounts().all("resident")[number])
}

/// An order that is as it should be.
fn good() -> Value {
    json!({
        "signCode": DEMO.accounts().sign(),
        "categoryCode": "errand",
        "description": "代取快递",
        "contact": { "name": "王秀英", "phone": "15419999876" },
    })
}

fn good_with(member: &str, value: Value) -> Value {
    let mut body = good();
    body[member] = value;
    body
}

/// Posts bytes as an order.
fn place(bytes: &[u8]) -> Answer {
    resident(0).post_bytes("/orders", &[(IDEMPOTENCY_KEY, &fresh_key())], bytes)
}

/// What is wrong with a field of a body that is otherwise understood.
#[track_caller]
fn field_code(body: &Value, field: &str) -> String {
    let answer = place(body.to_string().as_bytes());
    assert_eq!(answer.problem(422), "invalid_fields");
    let problem = answer.json();
    let errors = problem["errors"].as_array().expect("errors");
    let error = errors.iter().find(|error| error["field"] == field);
    error.unwrap_or_else(|| panic!("nothing about {field}: {problem}"))["code"]
        .as_str()
        .expect("a code")
        .to_owned()
}

#[test]
fn what_is_no_json_is_refused() {
    let surrogate = good().to_string().replace("代取快递", r"\ud800");
    let not_utf8 = [br#"{"description":""#.as_slice(), &[0xFF, 0xFE], br#""}"#].concat();
    let deep = "[".repeat(20_000);
    let bodies: [&[u8]; 7] =
        [b"{", b"null", b"[]", b"\"order\"", surrogate.as_bytes(), &not_utf8, deep.as_bytes()];
    for body in bodies {
        let answer = place(body);
        assert_eq!(answer.problem(400), "malformed_json", "{:.60}", String::from_utf8_lossy(body));
    }
}

#[test]
fn what_the_contract_does_not_know_is_refused() {
    for body in [
        good_with("colour", json!("red")),
        good_with("urgency", json!("at once")),
        good_with("channel", json!("telepathy")),
        good_with("description", json!(17)),
        good_with("wishedFrom", json!("tomorrow")),
        good_with("contact", json!({ "phone": "15419999876", "colour": "red" })),
    ] {
        let answer = place(body.to_string().as_bytes());
        assert!((400..500).contains(&answer.status), "{body}: {} {}", answer.status, answer.text());
        answer.problem(answer.status);
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let large = good_with("description", json!("a".repeat(2 * 1024 * 1024)));
    assert_eq!(place(large.to_string().as_bytes()).problem(413), "payload_too_large");
    assert_eq!(field_code(&good_with("description", json!("长".repeat(1_001))), "description"), "too_long");
    let longest_key = "k".repeat(4_096);
    let answer = resident(0).post_with("/orders", &[(IDEMPOTENCY_KEY, &longest_key)], &good());
    assert_eq!(answer.problem(400), "idempotency_key_invalid");
}

#[test]
fn fields_say_what_is_wrong_with_them() {
    assert!(!field_code(&good_with("signCode", json!("ZZZZZZZZ")), "signCode").is_empty());
    assert_eq!(field_code(&good_with("categoryCode", json!("no_such")), "categoryCode"), "category_unknown");
    assert_eq!(field_code(&good_with("description", json!("  ")), "description"), "required");
    assert_eq!(field_code(&good_with("description", json!("取\u{0}件")), "description"), "control_character");
    let phone = |phone: &str| field_code(&good_with("contact", json!({ "phone": phone })), "contact.phone");
    assert_eq!(phone("１３８００００１１１１"), "phone_fullwidth");
    assert_eq!(phone("12"), "phone_invalid");
    assert_eq!(resident(0).get("/signs/ZZZZZZZZ").problem(404), "not_found");
    assert_eq!(resident(0).get("/signs/%00").problem(404), "not_found");
}

#[test]
fn nobody_in_particular_is_told_to_log_in() {
    let anonymous = Client::anonymous(DEMO.base());
    assert_eq!(anonymous.post("/orders", &good()).problem(401), "unauthenticated");
    assert_eq!(anonymous.get("/orders").problem(401), "unauthenticated");
    assert_eq!(anonymous.post("/auth/wechat", &json!({ "code": "no such code" })).problem(401), "bad_code");
    let wrong = json!({ "username": "nobody", "password": "guess" });
    assert_eq!(anonymous.post("/auth/password", &wrong).problem(401), "bad_credentials");
    let forged = Client::log_in(DEMO.base(), DEMO.accounts().one("resident")).with_token("e30.e30.e30");
    assert_eq!(forged.get("/orders").problem(401), "unauthenticated");
}

/// "Not yours" and "not there" differ in nothing but the request's id.
#[test]
fn a_foreign_order_is_not_there() {
    let order = placed();
    let without_id = |answer: Answer| {
        assert_eq!(answer.problem(404), "not_found");
        let mut problem = answer.json();
        problem["requestId"].take();
        problem
    };
    let stranger = resident(1);
    let foreign = without_id(stranger.get(&format!("/orders/{order}")));
    let missing = without_id(stranger.get("/orders/01900000-0000-7000-8000-000000000000"));
    assert_eq!(foreign, missing);
    without_id(stranger.get("/orders/no-id"));
    without_id(stranger.post(&format!("/orders/{order}/cancel"), &json!({ "reason": "不要了" })));
    without_id(stranger.post("/showcase/01900000-0000-7000-8000-000000000000/approve", &json!({})));
    without_id(stranger.get("/no/such/path"));
}

#[test]
fn what_has_moved_on_is_not_moved_twice() {
    let (order, owner) = (placed(), resident(0));
    let path = format!("/orders/{order}");
    let stale = "\"1\"";
    wait_until_dispatched(&owner, &path);
    let rating = json!({ "stars": 5, "solved": true });
    assert_eq!(owner.post(&format!("{path}/rate"), &rating).problem(409), "illegal_move");
    let cancel = |headers: &[(&str, &str)]| {
        owner.post_with(&format!("{path}/cancel"), headers, &json!({ "reason": "不要了" }))
    };
    let keys = [fresh_key(), fresh_key()];
    assert_eq!(cancel(&[(IDEMPOTENCY_KEY, &keys[0]), ("If-Match", stale)]).problem(412), "stale_version");
    assert_eq!(cancel(&[(IDEMPOTENCY_KEY, &keys[0]), ("If-Match", "new")]).problem(400), "malformed_request");
    let fresh = owner.get(&path);
    let fresh = fresh.header("etag").expect("an ETag");
    let cancelled = cancel(&[(IDEMPOTENCY_KEY, &keys[1]), ("If-Match", fresh)]).expect(200);
    assert_eq!(cancelled["status"], "cancelled", "{cancelled}");
    owner.post(&format!("{path}/cancel"), &json!({ "reason": "不要了" })).problem(409);
}

#[test]
fn pages_have_limits() {
    for query in ["limit=0", "limit=101", "limit=-1", "limit=many", "cursor=%FF", "cursor=abc", "colour=red"]
    {
        assert_eq!(resident(0).get(&format!("/orders?{query}")).problem(400), "malformed_request", "{query}");
    }
}

fn placed() -> String {
    let order = resident(0).post("/orders", &good()).expect(201);
    order["id"].as_str().expect("an id").to_owned()
}

fn wait_until_dispatched(owner: &Client, path: &str) {
    let begun = Instant::now();
    while owner.get(path).expect(200)["status"] == "placed" {
        assert!(begun.elapsed() < Duration::from_secs(10), "not dispatched");
        sleep(Duration::from_millis(20));
    }
}
