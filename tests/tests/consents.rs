//! What somebody agrees to, takes back, and may not decide alone; told over HTTP on both sizes.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use xingfuma_tests::{
    client::{Accounts, Answer, Client},
    program::{Demo, Fleet},
};

#[test]
fn consents_alone() {
    let demo = Demo::start();
    story(&[demo.base().to_owned()], demo.accounts(), &|statement| demo.sql(statement));
}

#[test]
fn consents_in_a_fleet() {
    let fleet = Fleet::start(2, 1);
    story(&fleet.bases(), fleet.accounts(), &|statement| fleet.sql(statement));
}

struct People {
    resident: Client,
    volunteer: Client,
    village: Client,
    guardian: Client,
    elsewhere: String,
    sign: String,
}

fn story(bases: &[String], accounts: &Accounts, sql: &dyn Fn(&str) -> String) {
    let log_in = |account| Client::log_in(&bases[0], account);
    let people = People {
        resident: log_in(accounts.one("resident")),
        volunteer: log_in(accounts.all("volunteer")[0]),
        village: log_in(accounts.village_dispatcher()),
        guardian: log_in(accounts.all("resident")[1]),
        elsewhere: bases[bases.len() - 1].clone(),
        sign: accounts.sign().to_owned(),
    };
    given_and_taken_back(&people);
    publishing(&people);
    under_14(&people);
    kept_for_ever(&people, sql);
}

fn give(who: &Client, kind: &str) -> Answer {
    who.post("/me/consents", &json!({ "kind": kind, "version": 1 }))
}

fn take_back(who: &Client, kind: &str) -> Answer {
    who.post("/me/consents/withdraw", &json!({ "kind": kind }))
}

fn in_force(consents: &Value, kind: &str) -> bool {
    let items = consents["items"].as_array().expect("items");
    let item =
        items.iter().find(|item| item["kind"] == kind).unwrap_or_else(|| panic!("no {kind}: {consents}"));
    item["inForce"] == true
}

fn given_and_taken_back(people: &People) {
    let who = &people.resident;
    let first = who.get("/me/consents").expect(200);
    assert_eq!(first["history"], json!([]));
    for kind in ["privacy_notice", "publishing", "ranking_by_name"] {
        assert!(!in_force(&first, kind), "{first}");
        assert!(in_force(&give(who, kind).expect(200), kind));
        let again = give(who, kind).expect(200);
        let said = again["history"].as_array().expect("history").iter().filter(|word| word["kind"] == kind);
        assert_eq!(said.count(), 1, "agreeing twice is agreeing once: {again}");
        assert!(!in_force(&take_back(who, kind).expect(200), kind));
        assert!(!in_force(&who.at(&people.elsewhere).get("/me/consents").expect(200), kind));
    }
    let code = |answer: Answer| answer.json()["errors"][0]["code"].as_str().map(str::to_owned);
    for kind in ["guardian", "under_14", "everything", ""] {
        let refused = give(who, kind);
        assert_eq!(refused.problem(422), "invalid_fields", "{kind}");
        assert_eq!(code(refused).as_deref(), Some("consent_unknown"));
        assert_eq!(take_back(who, kind).problem(422), "invalid_fields");
    }
    let old = who.post("/me/consents", &json!({ "kind": "publishing", "version": 0 }));
    assert_eq!(code(old).as_deref(), Some("not_the_current_version"));
}

/// A published post goes from every page at the next request, when either of the two takes his consent back.
fn publishing(people: &People) {
    for by in [&people.resident, &people.volunteer] {
        let post = published(people);
        assert!(
            in_force(&people.resident.get("/me/consents").expect(200), "publishing"),
            "said with the post"
        );
        assert!(in_force(&people.volunteer.get("/me/consents").expect(200), "publishing"));
        assert!(is_public(people, &post));
        take_back(by, "publishing").expect(200);
        assert!(!is_public(people, &post));
        let pending = people.village.get("/showcase/pending").expect(200);
        assert!(!pending.to_string().contains(&post), "{pending}");
        give(by, "publishing").expect(200);
        assert!(!is_public(people, &post), "what was taken back does not come back by itself");
    }
}

fn under_14(people: &People) {
    let (child, guardian) = (&people.resident, &people.guardian);
    let post = published(people);
    let age = |under14: bool| {
        child
            .send("PUT", "/me/age", &[], json!({ "under14": under14 }).to_string().as_bytes())
            .expect("an answer")
    };
    assert_eq!(age(true).expect(200)["under14"], true);
    assert!(!is_public(people, &post));
    assert_eq!(give(child, "publishing").problem(403), "guardian_consent_missing");
    assert_eq!(give(child, "ranking_by_name").problem(403), "guardian_consent_missing");
    give(child, "privacy_notice").expect(200);
    let order = completed(people);
    let shown = json!({ "text": "谢谢", "consent": true });
    let show = format!("/orders/{order}/show");
    assert_eq!(child.post(&show, &shown).problem(403), "guardian_consent_missing");

    let code = child.post("/me/guardian-code", &json!({})).expect(200)["code"].clone();
    assert_eq!(child.post("/me/wards", &json!({ "code": code })).problem(403), "own_decision");
    let mut bent = code.as_str().expect("a code").to_owned();
    bent.replace_range(30..31, if &bent[30..31] == "A" { "B" } else { "A" });
    for bad in [bent.as_str(), "", "AAAA", "一"] {
        assert_eq!(guardian.post("/me/wards", &json!({ "code": bad })).problem(422), "invalid_fields");
    }
    let ward = guardian.post_twice("/me/wards", &json!({ "code": code })).expect(200)["id"].clone();
    assert_eq!(child.get("/me/consents").expect(200)["guardian"], true);
    let post = published_of(people, &order);
    assert!(is_public(people, &post), "the guardian agreed");

    let ward = format!("/me/wards/{}", ward.as_str().expect("an id"));
    let end = |who: &Client| who.send("DELETE", &ward, &[], b"").expect("an answer");
    assert_eq!(end(&people.volunteer).problem(404), "not_found");
    assert_eq!(end(guardian).status, 204);
    assert!(!is_public(people, &post), "the guardian does not agree any more");
    assert_eq!(end(guardian).problem(404), "not_found");
    assert_eq!(age(false).expect(200)["under14"], false);
}

fn kept_for_ever(people: &People, sql: &dyn Fn(&str) -> String) {
    let told = people.resident.get("/me/consents").expect(200);
    let copy = people.resident.post("/me/export", &json!({})).expect(200);
    assert_eq!(copy["consents"], told["history"], "one's own copy has every word");
    let words = told["history"].as_array().expect("history");
    assert!(words.iter().any(|word| word["kind"] == "guardian" && word["by"] == "guardian"), "{told}");
    let moments: Vec<&str> = words.iter().map(|word| word["at"].as_str().expect("a moment")).collect();
    assert!(moments.is_sorted(), "{moments:?}");
    for change in ["UPDATE consent SET given = given", "DELETE FROM consent"] {
        let changed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| sql(change)));
        assert!(changed.is_err(), "{change} was let through");
    }
}

fn is_public(people: &People, post: &str) -> bool {
    let public = Client::anonymous(&people.elsewhere).get("/showcase").expect(200);
    public["items"].as_array().expect("items").iter().any(|item| item["id"] == post)
}

fn id(of: &Value) -> String {
    of["id"].as_str().unwrap_or_else(|| panic!("no id: {of}")).to_owned()
}

fn completed(people: &People) -> String {
    let body = json!({ "signCode": people.sign, "categoryCode": "errand", "description": "代取快递" });
    let order = id(&people.resident.post("/orders", &body).expect(201));
    let begun = Instant::now();
    while people.resident.get(&format!("/orders/{order}")).expect(200)["status"] != "dispatched" {
        assert!(begun.elapsed() < Duration::from_secs(20), "not dispatched");
        sleep(Duration::from_millis(10));
    }
    people.volunteer.post(&format!("/orders/{order}/accept"), &json!({})).expect(200);
    let done = json!({ "summary": "已送到", "minutes": 20 });
    people.volunteer.post(&format!("/orders/{order}/complete"), &done).expect(200);
    order
}

fn published_of(people: &People, order: &str) -> String {
    let shown = json!({ "text": "谢谢", "consent": true });
    let post = id(&people.resident.post(&format!("/orders/{order}/show"), &shown).expect(201));
    people.volunteer.post(&format!("/showcase/{post}/consent"), &json!({})).expect(200);
    people.village.post(&format!("/showcase/{post}/approve"), &json!({})).expect(200);
    post
}

fn published(people: &People) -> String {
    published_of(people, &completed(people))
}
