//! The five steps 点派接评晒, told once over HTTP and run on both sizes: alone on SQLite, and as a fleet on PostgreSQL
//! and Redis, where every call may reach another server than the one before.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use xingfuma_tests::{
    client::{Account, Accounts, Answer, Client, IDEMPOTENCY_KEY, fresh_key},
    program::{Demo, Fleet},
};

/// How long the queue may take from placing to dispatching.
const DISPATCHED_WITHIN: Duration = Duration::from_secs(10);
/// A number of a range that was never given to a carrier.
const PHONE: &str = "15419999876";
/// What 便民代办 scores when it is done on time (task 609), and when it is rated five stars (task 610).
const ON_TIME: (&str, i64) = ("609", 3);
const FIVE_STARS: (&str, i64) = ("610", 1);

#[test]
fn five_steps_alone() {
    let demo = Demo::start();
    story(&[demo.base().to_owned()], demo.accounts());
}

#[test]
fn five_steps_in_a_fleet() {
    let fleet = Fleet::start(2, 2);
    story(&fleet.bases(), fleet.accounts());
}

/// Everybody in the story. Each is at a server of his own, as far as there are several.
struct People {
    resident: Client,
    first: Client,
    second: Client,
    village: Client,
    foreign: Client,
}

impl People {
    fn log_in(bases: &[String], accounts: &Accounts) -> Self {
        let at = |number: usize, account: &Account| {
            Client::log_in(&bases[0], account).at(&bases[number % bases.len()])
        };
        let volunteers = accounts.all("volunteer");
        Self {
            resident: at(0, accounts.one("resident")),
            first: at(1, volunteers[0]),
            second: at(0, volunteers[1]),
            village: at(1, accounts.village_dispatcher()),
            foreign: at(0, accounts.foreign_dispatcher()),
        }
    }
}

fn story(bases: &[String], accounts: &Accounts) {
    let people = People::log_in(bases, accounts);
    let order = place(&people, accounts.sign());
    dispatch(&people, &order);
    accept(&people, &order);
    complete_and_rate(&people, &order);
    let post = show(&people, &order);
    withdraw(&people, &order, &post);
    tell_all(&people, &order);
}

/// 点: the sign is scanned, and the order is placed once however often it is sent.
fn place(people: &People, sign: &str) -> String {
    let scanned = people.resident.get(&format!("/signs/{sign}")).expect(200);
    assert_eq!(scanned["code"], sign, "{scanned}");
    assert!(scanned["hotline"].as_str().is_some_and(|hotline| !hotline.is_empty()), "{scanned}");
    let categories = scanned["categories"].as_array().expect("categories");
    let plain = categories.iter().find(|category| category["kind"] == "service").expect("a service");
    let body = json!({
        "signCode": sign.to_lowercase(),
        "categoryCode": plain["code"],
        "description": format!("代取快递，到了请打{PHONE}"),
        "contact": { "name": "王秀英", "phone": PHONE },
        "address": "村委会对面",
    });
    let key = fresh_key();
    let placed = people.resident.post_with("/orders", &[(IDEMPOTENCY_KEY, &key)], &body);
    let order = placed.expect(201);
    assert_eq!((&order["step"], &order["status"]), (&json!("点"), &json!("placed")), "{order}");
    let number = order["number"].as_str().expect("a number");
    assert!(!number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()), "{order}");
    assert_eq!(order["contact"]["phone"], PHONE, "one's own phone is shown: {order}");
    assert_eq!(placed.header("etag"), Some(format!("\"{}\"", order["version"]).as_str()));
    assert_eq!(placed.header("idempotent-replayed"), None);
    place_again(people, &key, &body, &placed);
    text(&order, "id")
}

fn place_again(people: &People, key: &str, body: &Value, first: &Answer) {
    let again = people.resident.post_with("/orders", &[(IDEMPOTENCY_KEY, key)], body);
    assert_eq!(again.status, 201, "{}", again.text());
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.text(), first.text(), "the same answer, byte for byte");

    let mut other = body.clone();
    other["description"] = json!("另一件事");
    let other = people.resident.post_with("/orders", &[(IDEMPOTENCY_KEY, key)], &other);
    assert_eq!(other.problem(422), "idempotency_key_reused");
    let keyless = people.resident.post_with("/orders", &[], body);
    assert_eq!(keyless.problem(400), "idempotency_key_required");
}

/// 派: the queue gives it to the grid's team, and says why to those who may know.
fn dispatch(people: &People, order: &str) {
    let path = format!("/orders/{order}");
    let begun = Instant::now();
    let seen = loop {
        let seen = people.resident.get(&path).expect(200);
        if seen["status"] == "dispatched" {
            break seen;
        }
        assert_eq!(seen["status"], "placed", "{seen}");
        assert!(begun.elapsed() < DISPATCHED_WITHIN, "nobody was sought: {seen}");
        sleep(Duration::from_millis(20));
    };
    assert_eq!(seen["step"], "派", "{seen}");
    people.foreign.get(&path).problem(404);
    people.foreign.get(&format!("{path}/decision")).problem(404);
    let decision = people.village.get(&format!("{path}/decision")).expect(200);
    assert_eq!(decision["epoch"], 1, "{decision}");
    assert!(decision["candidates"].as_array().is_some_and(|all| !all.is_empty()), "{decision}");
    let village = people.village.get(&path).expect(200);
    assert_hidden(&village);
}

/// 接: one of the team takes it and learns the phone; the other learns that it is taken.
fn accept(people: &People, order: &str) {
    let path = format!("/orders/{order}");
    for volunteer in [&people.first, &people.second] {
        let offered = volunteer.get("/orders").expect(200);
        let item = offered["items"].as_array().expect("items").iter().find(|item| item["id"] == order);
        let item = item.unwrap_or_else(|| panic!("the offer is not in the list: {offered}"));
        assert_hidden(item);
        let alone = volunteer.get(&path).expect(200);
        assert_hidden(&alone);
        assert!(allows(&alone, "accept"), "{alone}");
    }
    let accepted = people.first.post(&format!("{path}/accept"), &json!({})).expect(200);
    assert_eq!((&accepted["step"], &accepted["status"]), (&json!("接"), &json!("accepted")), "{accepted}");
    assert_eq!(accepted["contact"]["phone"], PHONE, "{accepted}");
    assert_eq!(people.first.get(&path).expect(200)["contact"]["phone"], PHONE);

    let late = people.second.post(&format!("{path}/accept"), &json!({}));
    assert_eq!(late.problem(409), "order_taken");
    let masked = people.second.get(&path).expect(200);
    assert_hidden(&masked);
    assert!(!allows(&masked, "accept"), "{masked}");
}

/// Done and 评: the resident is content, and the points of both rules stand in the passbook.
fn complete_and_rate(people: &People, order: &str) {
    let before = people.first.get("/me/passbook").expect(200);
    let path = format!("/orders/{order}");
    let done = json!({ "summary": "快递已送到家", "minutes": 25 });
    let completed = people.first.post(&format!("{path}/complete"), &done).expect(200);
    assert_eq!(completed["status"], "completed", "{completed}");
    let rating = json!({ "stars": 5, "solved": true, "comment": "很及时" });
    people.second.post(&format!("{path}/rate"), &rating).problem(403);
    let rated = people.resident.post(&format!("{path}/rate"), &rating).expect(200);
    assert_eq!((&rated["step"], &rated["status"]), (&json!("评"), &json!("rated")), "{rated}");
    people.resident.post(&format!("{path}/rate"), &rating).problem(409);
    let closed = people.first.get(&path).expect(200);
    assert!(closed.get("contact").is_none(), "the phone is open still: {closed}");

    let after = people.first.get("/me/passbook").expect(200);
    let entries = after["entries"].as_array().expect("entries");
    for (rule, points) in [ON_TIME, FIVE_STARS] {
        let of_rule = |entry: &&Value| entry["orderId"] == order && entry["rule"] == rule;
        let found: Vec<&Value> = entries.iter().filter(of_rule).collect();
        assert_eq!(found.len(), 1, "rule {rule}: {after}");
        assert_eq!(found[0]["points"], points, "rule {rule}: {after}");
    }
    let free = entries.iter().filter(|entry| entry["orderId"] == order && entry["held"] != true);
    let free: i64 = free.filter_map(|entry| entry["points"].as_i64()).sum();
    let balance = |passbook: &Value| passbook["assessment"].as_i64().expect("a balance");
    assert_eq!(balance(&after) - balance(&before), free, "{before} {after}");
}

/// 晒: published when the resident, the volunteer and the moderator have agreed, and not before.
fn show(people: &People, order: &str) -> String {
    let body = json!({ "text": format!("谢谢志愿者，电话{PHONE}"), "consent": true });
    let shown = people.resident.post(&format!("/orders/{order}/show"), &body);
    assert!((200..=201).contains(&shown.status), "{}", shown.text());
    let post = shown.json();
    assert_eq!(post["status"], "pending", "{post}");
    let id = text(&post, "id");
    let path = format!("/showcase/{id}");
    assert!(!is_in_showcase(people, &id));
    assert_eq!(people.village.post(&format!("{path}/approve"), &json!({})).problem(409), "consent_missing");
    people.first.post(&format!("{path}/consent"), &json!({})).expect(200);
    people.foreign.post(&format!("{path}/approve"), &json!({})).problem(404);
    let approved = people.village.post(&format!("{path}/approve"), &json!({})).expect(200);
    assert_eq!(approved["status"], "published", "{approved}");

    assert!(is_in_showcase(people, &id));
    let public = people.resident.get("/showcase").text();
    assert!(!public.contains(PHONE), "a phone in the showcase: {public}");
    assert_eq!(people.resident.get(&format!("/orders/{order}")).expect(200)["step"], "晒");
    id
}

/// Taken back: gone at once, for everybody.
fn withdraw(people: &People, order: &str, post: &str) {
    let withdrawn = people.resident.post(&format!("/showcase/{post}/withdraw"), &json!({})).expect(200);
    assert_eq!(withdrawn["status"], "withdrawn", "{withdrawn}");
    assert!(!is_in_showcase(people, post));
    assert_eq!(people.resident.get(&format!("/orders/{order}")).expect(200)["step"], "评");
}

/// The timeline has everything that happened, in its order.
fn tell_all(people: &People, order: &str) {
    let seen = people.resident.get(&format!("/orders/{order}")).expect(200);
    let timeline = seen["timeline"].as_array().expect("a timeline");
    let events: Vec<&str> = timeline.iter().filter_map(|event| event["event"].as_str()).collect();
    let told = ["placed", "dispatched", "accepted", "completed", "rated", "shown", "unshown"];
    assert_eq!(events, told, "{seen}");
}

fn is_in_showcase(people: &People, post: &str) -> bool {
    // The showcase is public: nobody logs in for it. Both servers must agree at once.
    [&people.resident, &people.village].iter().any(|person| {
        let page = person.get("/showcase").expect(200);
        page["items"].as_array().expect("items").iter().any(|item| item["id"] == post)
    })
}

fn allows(order: &Value, action: &str) -> bool {
    order["allowedActions"].as_array().expect("actions").iter().any(|allowed| allowed == action)
}

/// Neither the contact nor the phone in the description is shown.
#[track_caller]
fn assert_hidden(order: &Value) {
    assert!(order.get("contact").is_none(), "{order}");
    assert!(!order.to_string().contains(PHONE), "{order}");
}

#[track_caller]
fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_else(|| panic!("no {member}: {value}")).to_owned()
}
