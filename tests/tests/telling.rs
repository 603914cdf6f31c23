//! How people want to be told, who never reads, and hazards: over HTTP, with the demo's text messages in a folder.

use std::{
    fs,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use xingfuma_tests::{client::Client, program::Demo};

const WITHIN: Duration = Duration::from_secs(20);

fn put(client: &Client, path: &str, body: &Value) -> xingfuma_tests::client::Answer {
    client.send("PUT", path, &[], &body.to_string().into_bytes()).expect("an answer")
}

/// Somebody's messages as the demo's database and its folder of text messages have them.
struct Messages<'a> {
    demo: &'a Demo,
    /// The person's id, as the database writes bytes.
    person: String,
}

impl Messages<'_> {
    fn count(&self, of: &str) -> usize {
        let found =
            self.demo.sql(&format!("SELECT count(*) FROM {of} AND hex(person_id) = '{}'", self.person));
        found.parse().expect("a number")
    }

    /// How often an order was offered to him, once nothing waits to be sent to him.
    fn offers_when_sent(&self) -> Option<usize> {
        let offers = self.count("inbox WHERE topic = 'offered'");
        (self.count("delivery WHERE status IN ('waiting', 'sending')") == 0).then_some(offers)
    }

    /// His text messages so far. Their files are named by the messages: in the hours of the day that are not quiet,
    /// others are told as well.
    fn texts(&self) -> Vec<Value> {
        let his = format!("SELECT hex(message_id) FROM delivery WHERE hex(person_id) = '{}'", self.person);
        let his = self.demo.sql(&his);
        let folder = self.demo.data().join("sms");
        let Ok(files) = fs::read_dir(folder) else { return Vec::new() };
        let name = |file: &Path| Some(file.file_stem()?.to_str()?.replace('-', "").to_uppercase());
        let is_his = |file: &Path| name(file).is_some_and(|name| his.lines().any(|line| line == name));
        let whole = |file: &Path| file.extension().is_some_and(|end| end == "json");
        let files = files.flatten().map(|file| file.path()).filter(|file| whole(file) && is_his(file));
        files.map(|file| serde_json::from_slice(&fs::read(file).expect("readable")).expect("JSON")).collect()
    }
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < WITHIN, "{what}");
        sleep(Duration::from_millis(30));
    }
}

struct People {
    resident: Client,
    volunteer: Client,
    village: Client,
    foreign: Client,
}

/// The village's dispatcher offers a fresh order to the volunteer by name.
fn offer(demo: &Demo, people: &People) -> String {
    let order =
        json!({ "signCode": demo.accounts().sign(), "categoryCode": "errand", "description": "代取快递" });
    let order = people.resident.post("/orders", &order).expect(201);
    let me = people.volunteer.get("/me").expect(200);
    let named = json!({ "teamId": me["roles"][0]["teamId"], "volunteerId": me["id"], "reason": "熟悉情况" });
    let path = format!("/orders/{}/dispatch", order["id"].as_str().expect("an id"));
    people.village.post(&path, &named).expect(200);
    order["number"].as_str().expect("a number").to_owned()
}

#[test]
fn told_as_they_want_it() {
    let demo = Demo::start();
    let log_in = |account| Client::log_in(demo.base(), account);
    let people = People {
        resident: log_in(demo.accounts().one("resident")),
        volunteer: log_in(demo.accounts().all("volunteer")[0]),
        village: log_in(demo.accounts().village_dispatcher()),
        foreign: log_in(demo.accounts().foreign_dispatcher()),
    };
    preferences(&people.volunteer);
    let me = people.volunteer.get("/me").expect(200);
    let person = me["id"].as_str().expect("an id").replace('-', "").to_uppercase();
    let his = Messages { demo: &demo, person };
    // He has agreed to nothing in WeChat: a text message, at any hour.
    let number = offer(&demo, &people);
    let text = wait_for("no text message came", || {
        his.texts().into_iter().find(|one| one["text"].as_str().is_some_and(|text| text.contains(&number)))
    });
    assert!(text["text"].as_str().expect("a text").contains("便民代办"), "{text}");
    let offers = wait_for("the outbox was not worked off", || his.offers_when_sent());
    // Neither way: the inbox alone.
    let body =
        json!({ "wechat": false, "sms": false, "quietHours": { "from": "00:00:00", "to": "00:00:00" } });
    put(&people.volunteer, "/me/preferences", &body).expect(200);
    let before = his.texts().len();
    offer(&demo, &people);
    wait_for("he was not offered the second", || his.offers_when_sent().filter(|told| *told > offers));
    assert_eq!(his.texts().len(), before);
    never_read(&demo, &people);
    hazards(&demo, &people);
}

fn preferences(volunteer: &Client) {
    let kept = volunteer.get("/me/preferences").expect(200);
    assert_eq!((&kept["wechat"], &kept["sms"]), (&json!(true), &json!(true)), "{kept}");
    assert_eq!(kept.get("quietHours"), None, "the county's: {kept}");
    let names: Vec<&str> = kept["templates"]
        .as_array()
        .expect("templates")
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    assert_eq!(names, ["duty", "offer", "progress"]);
    let body = json!({ "wechat": true, "sms": true, "quietHours": { "from": "00:00:00", "to": "00:00:00" } });
    let kept = put(volunteer, "/me/preferences", &body).expect(200);
    assert_eq!(kept["quietHours"], body["quietHours"], "{kept}");
    assert_eq!(volunteer.get("/me/preferences").expect(200), kept);
    for bad in
        [json!({}), json!({ "wechat": 1, "sms": true }), json!({ "wechat": true, "sms": true, "mail": true })]
    {
        assert_eq!(put(volunteer, "/me/preferences", &bad).status, 400, "{bad}");
    }
    let subscribed =
        volunteer.post_twice("/me/subscriptions", &json!({ "templates": ["progress"] })).expect(200);
    let after = volunteer.get("/me/preferences").expect(200);
    assert_eq!(after, subscribed, "agreed to once, though it was told twice");
    let progress = subscribed["templates"]
        .as_array()
        .expect("templates")
        .iter()
        .find(|one| one["name"] == "progress")
        .expect("it is there")
        .clone();
    assert_eq!(progress["remaining"], 1, "{progress}");
    for bad in [json!(["news"]), json!([])] {
        let refused = volunteer.post("/me/subscriptions", &json!({ "templates": bad }));
        assert_eq!(refused.problem(422), "invalid_fields");
    }
}

fn never_read(demo: &Demo, people: &People) {
    offer(demo, people);
    wait_for("he was not told", || {
        let inbox = people.volunteer.get("/me/inbox").expect(200);
        (inbox["items"].as_array().expect("items").len() >= 3).then_some(())
    });
    let me = people.volunteer.get("/me").expect(200)["id"].clone();
    let find = |list: &Value| {
        let items = list["items"].as_array().expect("items");
        items.iter().find(|one| one["volunteerId"] == me).cloned()
    };
    let fresh = people.village.get("/volunteers/unread").expect(200);
    assert_eq!(find(&fresh), None, "a day has not passed: {fresh}");
    let _ = demo.sql("UPDATE inbox SET created_at = '2026-01-01T00:00:00+00:00'");
    let late = people.village.get("/volunteers/unread?limit=100").expect(200);
    let him = find(&late).unwrap_or_else(|| panic!("he never reads: {late}"));
    assert!(him["messages"].as_i64() >= Some(3) && him["offers"].as_i64() >= Some(3), "{him}");
    assert!(him["surname"].as_str().is_some_and(|surname| surname.chars().count() <= 2), "{him}");
    assert_eq!(him.get("phone"), None);
    assert_eq!(find(&people.foreign.get("/volunteers/unread?limit=100").expect(200)), None);
    assert_eq!(people.volunteer.get("/volunteers/unread").problem(403), "forbidden");
    let grid = demo.accounts().grid();
    assert_eq!(people.foreign.get(&format!("/volunteers/unread?areaCode={grid}")).problem(403), "forbidden");
    let newest = people.volunteer.get("/me/inbox?limit=1").expect(200)["items"][0]["id"].clone();
    put(&people.volunteer, "/me/inbox", &json!({ "upTo": newest })).expect(200);
    assert_eq!(
        find(&people.village.get("/volunteers/unread?limit=100").expect(200)),
        None,
        "he has read them"
    );
}

fn hazards(demo: &Demo, people: &People) {
    for n in 0..4 {
        let order = json!({
            "signCode": demo.accounts().sign(), "categoryCode": "environment",
            "description": format!("垃圾没有清运，第{n}次"),
        });
        people.resident.post("/orders", &order).expect(201);
    }
    // The housekeeping looks once a minute.
    let begun = Instant::now();
    let hazard = loop {
        let list = people.village.get("/hazards?open=true").expect(200);
        if let Some(hazard) = list["items"].as_array().expect("items").first() {
            break hazard.clone();
        }
        assert!(begun.elapsed() < Duration::from_secs(100), "no hazard was found");
        sleep(Duration::from_millis(500));
    };
    assert_eq!((&hazard["times"], &hazard["categoryCode"]), (&json!(4), &json!("environment")), "{hazard}");
    assert_eq!(hazard["areaCode"], demo.accounts().grid());
    let path = format!("/hazards/{}/answer", hazard["id"].as_str().expect("an id"));
    let body = json!({ "cause": "清运太少", "measure": "改为每周三次" });
    assert_eq!(people.foreign.post(&path, &body).problem(404), "not_found");
    assert_eq!(
        people.village.post(&path, &json!({ "cause": "", "measure": "x" })).problem(422),
        "invalid_fields"
    );
    let answered = people.village.post(&path, &body).expect(200);
    assert_eq!((&answered["cause"], &answered["measure"]), (&body["cause"], &body["measure"]));
    assert_eq!(people.village.post(&path, &body).problem(409), "hazard_answered");
    assert_eq!(people.village.get("/hazards?open=true").expect(200)["items"], json!([]));
    // The notifier tells it, a moment after the hazard is there.
    let begun = Instant::now();
    let told = loop {
        let inbox = people.village.get("/me/inbox?limit=100").expect(200);
        let mut items = inbox["items"].as_array().expect("items").iter();
        if let Some(told) = items.find(|one| one["topic"] == "hazard_found") {
            break told.clone();
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "the station is not told");
        sleep(Duration::from_millis(100));
    };
    assert_eq!(told["hazardId"], hazard["id"]);
}
