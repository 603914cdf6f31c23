//! What is taken away is gone at the next request, at whatever server: a session, a role, a published post.

use std::{
    sync::LazyLock,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::json;
use xingfuma_tests::{
    client::{Answer, Client},
    program::Fleet,
};

static FLEET: LazyLock<Fleet> = LazyLock::new(|| Fleet::start(2, 1));

fn both() -> (String, String) {
    let bases = FLEET.bases();
    (bases[0].clone(), bases[1].clone())
}

#[test]
fn a_session_that_was_ended_is_unknown_everywhere() {
    let (here, there) = both();
    let account = FLEET.accounts().all("resident")[1];
    let (phone, tablet) = (Client::log_in(&here, account), Client::log_in(&there, account));
    tablet.at(&here).get("/me").expect(200);
    phone.get("/me").expect(200);
    assert_eq!(phone.post("/auth/logout", &json!({ "everywhere": true })).status, 204);
    for client in [&phone, &phone.at(&there), &tablet, &tablet.at(&here)] {
        assert_eq!(client.get("/me").problem(401), "unauthenticated");
    }
}

#[test]
fn who_is_demoted_may_no_more() {
    let (here, there) = both();
    let dispatcher = Client::log_in(&here, FLEET.accounts().foreign_dispatcher());
    let board = |client: &Client| -> Answer { client.get("/dispatch/board") };
    board(&dispatcher).expect(200);
    board(&dispatcher.at(&there)).expect(200);
    let person = dispatcher.get("/me").expect(200)["id"].as_str().expect("an id").to_owned();
    let _ = FLEET.sql(&format!("UPDATE role_grant SET revoked_at = now() WHERE person_id = '{person}'"));
    assert_eq!(board(&dispatcher).problem(403), "forbidden");
    assert_eq!(board(&dispatcher.at(&there)).problem(403), "forbidden");
}

#[test]
fn a_post_that_is_withdrawn_is_published_nowhere() {
    let (here, there) = both();
    let accounts = FLEET.accounts();
    let (resident, volunteer) = (
        Client::log_in(&here, accounts.one("resident")),
        Client::log_in(&here, accounts.all("volunteer")[0]),
    );
    let village = Client::log_in(&here, accounts.village_dispatcher());
    let body = json!({ "signCode": accounts.sign(), "categoryCode": "errand", "description": "代取快递" });
    let order = resident.post("/orders", &body).expect(201)["id"].as_str().expect("an id").to_owned();
    wait_until_dispatched(&resident, &order);
    let path = |verb: &str| format!("/orders/{order}/{verb}");
    volunteer.post(&path("accept"), &json!({})).expect(200);
    volunteer.post(&path("complete"), &json!({ "summary": "已送到", "minutes": 20 })).expect(200);
    let shown = resident.post(&path("show"), &json!({ "text": "谢谢", "consent": true })).expect(201);
    let post = shown["id"].as_str().expect("an id").to_owned();
    let on_post = |verb: &str| format!("/showcase/{post}/{verb}");
    volunteer.post(&on_post("consent"), &json!({})).expect(200);
    village.post(&on_post("approve"), &json!({})).expect(200);
    let public = |base: &str| {
        let page = Client::anonymous(base).get("/showcase").expect(200);
        page["items"].as_array().expect("items").iter().any(|one| one["id"] == json!(post))
    };
    assert!(public(&here) && public(&there));
    volunteer.at(&there).post(&on_post("withdraw"), &json!({})).expect(200);
    assert!(!public(&here) && !public(&there));
}

fn wait_until_dispatched(resident: &Client, order: &str) {
    let begun = Instant::now();
    while resident.get(&format!("/orders/{order}")).expect(200)["status"] != "dispatched" {
        assert!(begun.elapsed() < Duration::from_secs(10), "not dispatched");
        sleep(Duration::from_millis(20));
    }
}
