//! Leave, rosters, the cap of open orders, and decisions that can be looked at: over HTTP, on both sizes.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use xingfuma_tests::{
    client::{Accounts, Client},
    program::{Demo, Fleet},
};

/// How long the queue may take from placing to dispatching, and a roster to reach every process.
const WITHIN: Duration = Duration::from_secs(15);

#[test]
fn duty_alone() {
    let demo = Demo::start();
    story(demo.base(), demo.accounts());
}

#[test]
fn duty_in_a_fleet() {
    let fleet = Fleet::start(1, 1);
    story(&fleet.bases()[0], fleet.accounts());
}

fn story(base: &str, accounts: &Accounts) {
    let volunteer = Client::log_in(base, accounts.all("volunteer")[0]);
    let leader = Client::log_in(base, accounts.one("grid_leader"));
    let resident = Client::log_in(base, accounts.one("resident"));
    let village = Client::log_in(base, accounts.village_dispatcher());
    let foreign = Client::log_in(base, accounts.foreign_dispatcher());
    leave(base, &volunteer, &resident);

    let order = dispatched(&resident, accounts.sign(), "errand");
    let team = resident.get(&format!("/orders/{order}")).expect(200)["team"]["id"].clone();
    let path = format!("/teams/{}/roster", team.as_str().expect("a team"));
    let decision = village.get(&format!("/orders/{order}/decision")).expect(200);
    assert_eq!(decision["replays"], true, "{decision}");
    let told = |one: &&Value| one["invited"] == json!(true);
    let people = decision["people"].as_array().expect("people");
    assert!(people.iter().any(|one| told(&one)), "{decision}");
    assert!(
        people.iter().all(|one| one["reasons"].as_array().is_some_and(|all| !all.is_empty())),
        "{decision}"
    );
    assert_eq!(decision.get("volunteer"), None, "the whole team may take an errand: {decision}");

    assert_eq!(resident.get(&path).problem(404), "not_found");
    assert_eq!(foreign.get(&path).problem(404), "not_found");
    assert_eq!(volunteer.get(&path).expect(200)["openOrdersAtMost"], 20);
    assert_eq!(put(&volunteer, &path, &json!({})).problem(403), "forbidden");
    assert_eq!(put(&leader, &path, &json!({ "openOrdersAtMost": 0 })).problem(422), "invalid_fields");
    let stranger = json!({ "shifts": [{ "weekday": 1, "from": "08:00:00", "to": "18:00:00",
        "people": ["00000000-0000-0000-0000-000000000001"] }] });
    assert_eq!(put(&leader, &path, &stranger).problem(422), "invalid_fields");
    let kept = json!({ "openOrdersAtMost": 1, "quietHours": { "from": "22:00:00", "to": "06:00:00" }, "shifts": [] });
    assert_eq!(put(&village, &path, &kept).expect(200), kept);
    assert_eq!(leader.get(&path).expect(200), kept);

    let second = dispatched(&resident, accounts.sign(), "errand");
    volunteer.post(&format!("/orders/{order}/accept"), &json!({})).expect(200);
    let refused = volunteer.post(&format!("/orders/{second}/accept"), &json!({}));
    assert_eq!(refused.problem(409), "open_orders_full");
    leader.post(&format!("/orders/{second}/accept"), &json!({})).expect(200);

    named_and_in_turn(&resident, &village, &volunteer, accounts.sign());
}

/// A leave is one's own: entered, seen, ended once, and by nobody else.
fn leave(base: &str, volunteer: &Client, resident: &Client) {
    let body = json!({ "from": "2030-01-01T00:00:00Z", "to": "2030-01-01T00:00:00Z" });
    assert_eq!(Client::anonymous(base).post("/me/leave", &body).problem(401), "unauthenticated");
    assert_eq!(resident.post("/me/leave", &body).problem(403), "forbidden");
    assert_eq!(volunteer.post("/me/leave", &body).problem(422), "invalid_fields");
    let far = json!({ "from": "2090-01-01T00:00:00Z", "to": "2090-01-02T00:00:00Z" });
    assert_eq!(volunteer.post("/me/leave", &far).problem(422), "invalid_fields");
    let tonight = json!({ "from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z" });
    assert_eq!(volunteer.post("/me/leave", &tonight).problem(422), "invalid_fields");
    let begun = volunteer.get("/me").expect(200);
    assert!(begun["id"].is_string(), "{begun}");
    let soon = soon(volunteer);
    let entered = volunteer.post("/me/leave", &soon).expect(201);
    assert_eq!(volunteer.get("/me/leave").expect(200)["items"], json!([entered]));
    let path = format!("/me/leave/{}", entered["id"].as_str().expect("an id"));
    assert_eq!(resident.send("DELETE", &path, &[], b"").expect("an answer").problem(404), "not_found");
    assert_eq!(volunteer.send("DELETE", &path, &[], b"").expect("an answer").status, 204);
    assert_eq!(volunteer.send("DELETE", &path, &[], b"").expect("an answer").problem(404), "not_found");
    assert_eq!(volunteer.get("/me/leave").expect(200)["items"], json!([]));
}

/// A week that begins with the day of the server's own clock, as it stands in its answers.
fn soon(volunteer: &Client) -> Value {
    let answer = volunteer.get("/me");
    let date = answer.header("date").expect("an HTTP date");
    let year: i32 = date.split(' ').nth(3).and_then(|year| year.parse().ok()).expect("a year");
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = date.split(' ').nth(2).expect("a month");
    let month = months.iter().position(|name| *name == month).expect("one of twelve") + 1;
    let (next_year, next) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    json!({ "from": format!("{next_year}-{next:02}-01T00:00:00Z"), "to": format!("{next_year}-{next:02}-08T00:00:00Z") })
}

/// 指派 and 轮派: one person is named, nobody else may take it, and the dispatcher may name another with a reason.
fn named_and_in_turn(resident: &Client, village: &Client, volunteer: &Client, sign: &str) {
    for category in ["complaint", "meal_delivery"] {
        let order = dispatched(resident, sign, category);
        let decision = village.get(&format!("/orders/{order}/decision")).expect(200);
        assert_eq!(decision["replays"], true, "{decision}");
        let named = decision["volunteer"].as_str().unwrap_or_else(|| panic!("nobody is named: {decision}"));
        let told =
            decision["people"].as_array().expect("people").iter().filter(|one| one["invited"] == json!(true));
        assert_eq!(told.map(|one| one["id"].clone()).collect::<Vec<_>>(), [json!(named)], "{decision}");
        let me = volunteer.get("/me").expect(200)["id"].clone();
        if me != json!(named) {
            let accept = volunteer.post(&format!("/orders/{order}/accept"), &json!({}));
            assert!([403, 404, 409].contains(&accept.status), "{}", accept.text());
        }
    }
    let order = dispatched(resident, sign, "complaint");
    let team = resident.get(&format!("/orders/{order}")).expect(200)["team"]["id"].clone();
    let me = volunteer.get("/me").expect(200)["id"].clone();
    let body = json!({ "teamId": team, "volunteerId": me, "reason": "他熟悉情况" });
    village.post(&format!("/orders/{order}/dispatch"), &body).expect(200);
    let accepted = volunteer.post(&format!("/orders/{order}/accept"), &json!({})).expect(200);
    assert_eq!(accepted["status"], "accepted", "a dispatcher overrules, also the cap: {accepted}");
}

fn put(client: &Client, path: &str, body: &Value) -> xingfuma_tests::client::Answer {
    client.send("PUT", path, &[], body.to_string().as_bytes()).expect("an answer")
}

fn dispatched(resident: &Client, sign: &str, category: &str) -> String {
    let body = json!({ "signCode": sign, "categoryCode": category, "description": "请帮忙",
        "contact": { "name": "王秀英", "phone": "15419999876" } });
    let order = resident.post("/orders", &body).expect(201)["id"].as_str().expect("an id").to_owned();
    let begun = Instant::now();
    loop {
        let seen = resident.get(&format!("/orders/{order}")).expect(200);
        if seen["status"] == "dispatched" {
            return order;
        }
        assert!(begun.elapsed() < WITHIN, "nobody was sought: {seen}");
        sleep(Duration::from_millis(20));
    }
}
