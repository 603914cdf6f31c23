//! A person's own data: a copy of all of it, and its erasure, on both databases.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use xingfuma_tests::{
    client::{Accounts, Client},
    program::{Demo, Fleet},
};

const PHONE: &str = "15419999876";
const NAME: &str = "欧阳秀英";

#[test]
fn a_copy_and_an_erasure_alone() {
    let demo = Demo::start();
    story(demo.base(), demo.accounts(), |statement| demo.sql(statement));
}

#[test]
fn a_copy_and_an_erasure_in_a_fleet() {
    let fleet = Fleet::start(1, 1);
    story(&fleet.bases()[0], fleet.accounts(), |statement| fleet.sql(statement));
}

/// A code that gives no phone says nothing about the session.
fn binds_a_phone(resident: &Client) {
    let bind = |code: &str| resident.post("/auth/wechat/phone", &json!({ "code": code }));
    for bad in ["no-such-code", ""] {
        assert_eq!(bind(bad).problem(422), "phone_code_refused");
    }
    let own = resident.get("/me").expect(200)["phone"].clone();
    let bound = resident.post_twice("/auth/wechat/phone", &json!({ "code": "demo-resident-1" }));
    assert_eq!(bound.expect(200)["phone"], own, "his own, as WeChat knows it");
    assert_eq!(bind("demo-resident-2").problem(409), "phone_taken");
}

fn story(base: &str, accounts: &Accounts, sql: impl Fn(&str) -> String) {
    let log_in = |account| Client::log_in(base, account);
    let (resident, volunteer) = (log_in(accounts.one("resident")), log_in(accounts.all("volunteer")[0]));
    let village = log_in(accounts.village_dispatcher());
    binds_a_phone(&resident);
    let order = placed(&resident, accounts);
    assert_eq!(delete(&resident).problem(409), "open_orders");
    serve(&resident, &volunteer, &order);
    let post = publish(&resident, &volunteer, &village, &order);
    village.post(&format!("/orders/{order}/contact"), &json!({ "reason": "回访" })).expect(200);

    let copy = resident.post("/me/export", &json!({})).expect(200);
    assert_eq!(copy["orders"][0]["contact"], json!({ "name": NAME, "phone": PHONE }), "{copy}");
    assert_eq!(copy["posts"][0]["id"], json!(post), "{copy}");
    let shown: Vec<&Value> = copy["disclosures"].as_array().expect("disclosures").iter().collect();
    let by_others = |action: &str| shown.iter().any(|one| one["action"] == action && one["by"] == "other");
    assert!(by_others("contact_opened") && by_others("contact_revealed"), "{copy}");
    let of_volunteer = volunteer.post("/me/export", &json!({})).expect(200);
    assert!(!of_volunteer.to_string().contains(PHONE), "somebody else's phone: {of_volunteer}");
    let points = of_volunteer["points"]["assessment"].as_i64().expect("points");
    assert!(points > 0, "{of_volunteer}");

    assert_eq!(delete(&resident).status, 204);
    resident.get("/me").problem(401);
    assert_eq!(
        village.post(&format!("/orders/{order}/contact"), &json!({ "reason": "回访" })).problem(410),
        "gone"
    );
    let kept = village.get(&format!("/orders/{order}")).expect(200);
    assert_eq!((&kept["status"], &kept["description"]), (&json!("rated"), &json!("")), "{kept}");
    let public = Client::anonymous(base).get("/showcase").expect(200);
    assert_eq!(public["items"], json!([]), "his post is gone at once");
    let after = volunteer.get("/me/passbook").expect(200);
    assert_eq!(after["assessment"], points, "what the volunteer earned stays");
    assert_eq!(sql("SELECT count(*) FROM person WHERE erased_at IS NOT NULL AND data_key IS NULL"), "1");
    // The same WeChat user is a new person now.
    let again = log_in(accounts.one("resident"));
    assert_eq!(again.get("/orders").expect(200)["items"], json!([]));
}

fn delete(client: &Client) -> xingfuma_tests::client::Answer {
    client.send("DELETE", "/me", &[], b"").expect("an answer")
}

fn placed(resident: &Client, accounts: &Accounts) -> String {
    let body = json!({
        "signCode": accounts.sign(),
        "categoryCode": "errand",
        "description": format!("代取快递，电话{PHONE}"),
        "contact": { "name": NAME, "phone": PHONE },
    });
    let order = resident.post("/orders", &body).expect(201)["id"].as_str().expect("an id").to_owned();
    let begun = Instant::now();
    while resident.get(&format!("/orders/{order}")).expect(200)["status"] != "dispatched" {
        assert!(begun.elapsed() < Duration::from_secs(10), "not dispatched");
        sleep(Duration::from_millis(10));
    }
    order
}

fn serve(resident: &Client, volunteer: &Client, order: &str) {
    volunteer.post(&format!("/orders/{order}/accept"), &json!({})).expect(200);
    let done = json!({ "summary": "已送到", "minutes": 20 });
    volunteer.post(&format!("/orders/{order}/complete"), &done).expect(200);
    resident.post(&format!("/orders/{order}/rate"), &json!({ "stars": 5, "solved": true })).expect(200);
}

fn publish(resident: &Client, volunteer: &Client, village: &Client, order: &str) -> String {
    let shown = resident.post(&format!("/orders/{order}/show"), &json!({ "text": "谢谢", "consent": true }));
    let post = shown.expect(201)["id"].as_str().expect("an id").to_owned();
    volunteer.post(&format!("/showcase/{post}/consent"), &json!({})).expect(200);
    village.post(&format!("/showcase/{post}/approve"), &json!({})).expect(200);
    post
}
