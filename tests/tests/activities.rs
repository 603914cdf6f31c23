//! 志愿服务活动 with its four steps, and 走访巡查, over HTTP and on both sizes.

use std::{
    thread::{scope, sleep},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use xingfuma_tests::{
    client::{Accounts, Client, IDEMPOTENCY_KEY, fresh_key},
    program::{Demo, Fleet},
};

const SOON: Duration = Duration::from_secs(40);

struct People {
    resident: Client,
    volunteers: Vec<Client>,
    village: Client,
    foreign: Client,
    auditor: Client,
    grid: String,
}

impl People {
    fn log_in(bases: &[String], accounts: &Accounts) -> Self {
        let at = |account, number: usize| Client::log_in(&bases[0], account).at(&bases[number % bases.len()]);
        Self {
            resident: at(accounts.one("resident"), 0),
            volunteers: accounts.all("volunteer").into_iter().zip(0..).map(|(one, n)| at(one, n)).collect(),
            village: at(accounts.village_dispatcher(), 1),
            foreign: at(accounts.foreign_dispatcher(), 0),
            auditor: at(accounts.one("auditor"), 1),
            grid: accounts.grid().to_owned(),
        }
    }

    fn ahead(&self, milliseconds: i64) -> String {
        let probe = self.village.get("/me");
        let now =
            chrono::DateTime::parse_from_rfc2822(probe.header("date").expect("a date")).expect("a date");
        (now + chrono::TimeDelta::milliseconds(milliseconds)).to_rfc3339()
    }

    fn activity(&self, from: i64, to: i64, capacity: i64) -> Value {
        json!({ "areaCode": self.grid, "title": "河道清理", "content": "清理河道垃圾", "place": "村口广场",
            "startsAt": self.ahead(from), "endsAt": self.ahead(to), "capacity": capacity })
    }
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_else(|| panic!("no {member}: {value}")).to_owned()
}

#[test]
fn activities_and_patrols_alone() {
    let demo = Demo::start();
    story(&People::log_in(&[demo.base().to_owned()], demo.accounts()));
}

#[test]
fn activities_and_patrols_in_a_fleet() {
    let fleet = Fleet::start(2, 1);
    story(&People::log_in(&fleet.bases(), fleet.accounts()));
}

fn story(people: &People) {
    bad_input(people);
    room(people);
    four_steps(people);
    patrol(people);
}

fn bad_input(people: &People) {
    const HOUR: i64 = 3_600_000;
    let good = people.activity(HOUR, 2 * HOUR, 3);
    let with = |member: &str, value: Value| {
        let mut body = good.clone();
        body[member] = value;
        body
    };
    for (body, field, code) in [
        (with("startsAt", json!(people.ahead(-HOUR))), "startsAt", "in_the_past"),
        (with("endsAt", json!(people.ahead(HOUR / 2))), "endsAt", "not_after_start"),
        (with("endsAt", json!(people.ahead(30 * HOUR))), "endsAt", "too_long"),
        (with("travelMinutes", json!(60)), "travelMinutes", "out_of_range"),
        (with("travelMinutes", json!(-1)), "travelMinutes", "out_of_range"),
        (with("capacity", json!(0)), "capacity", "out_of_range"),
        (with("capacity", json!(i64::MAX)), "capacity", "out_of_range"),
        (with("areaCode", json!("140724")), "areaCode", "area_unknown"),
        (with("areaCode", json!("乐平")), "areaCode", "area_unknown"),
        (with("title", json!(" ")), "title", "required"),
        (with("content", json!("长".repeat(1_001))), "content", "too_long"),
    ] {
        let answer = people.village.post("/activities", &body);
        assert_eq!(answer.problem(422), "invalid_fields", "{body}");
        let problem = answer.json();
        let errors = problem["errors"].as_array().expect("errors");
        assert_eq!(errors.len(), 1, "{problem}");
        assert_eq!((&errors[0]["field"], &errors[0]["code"]), (&json!(field), &json!(code)), "{problem}");
    }
    assert_eq!(people.volunteers[0].post("/activities", &good).problem(403), "forbidden");
    assert_eq!(people.resident.post("/activities", &good).problem(403), "forbidden");
}

/// Three want the two places at one moment; once it is over there is nothing to join.
fn room(people: &People) {
    let announced =
        || people.village.get("/activities?limit=100").expect(200)["items"].as_array().map(Vec::len);
    let before = announced();
    let made =
        people.village.post_twice("/activities", &people.activity(3_600_000, 7_200_000, 2)).expect(201);
    assert_eq!(announced(), before.map(|count| count + 1), "one activity");
    let path = format!("/activities/{}", text(&made, "id"));
    for stranger in [&people.resident, &people.foreign] {
        assert_eq!(stranger.get(&path).problem(404), "not_found");
        assert_eq!(stranger.post(&format!("{path}/join"), &json!({})).problem(404), "not_found");
    }
    assert_eq!(people.auditor.post(&format!("{path}/join"), &json!({})).problem(403), "forbidden");
    let join = format!("{path}/join");
    let answers: Vec<u16> = scope(|scope| {
        let ask = |one: &Client| one.post(&join, &json!({})).status;
        let asks: Vec<_> = people.volunteers[..3].iter().map(|one| scope.spawn(move || ask(one))).collect();
        asks.into_iter().map(|ask| ask.join().expect("an answer")).collect()
    });
    let mut sorted = answers.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [200, 200, 409], "two places");
    for (one, status) in people.volunteers.iter().zip(&answers) {
        let again = one.post(&format!("{path}/join"), &json!({}));
        assert_eq!(again.problem(409), if *status == 200 { "already_joined" } else { "activity_full" });
    }
    assert_eq!(people.village.get(&path).expect(200)["joined"], 2);
    let code = text(&people.village.get(&format!("{path}/code")).expect(200), "code");
    let inside = people.volunteers.iter().zip(&answers).find(|(_, status)| **status == 200).expect("one").0;
    let early = inside.post(&format!("{path}/check-in"), &json!({ "code": code }));
    assert_eq!(early.problem(409), "activity_not_begun");
    let nothing = inside.post(&format!("{path}/feedback"), &json!({ "text": "很好" }));
    assert_eq!(nothing.problem(409), "was_not_there");
}

/// 报到、预告、签到、反馈, in an activity of twelve seconds.
fn four_steps(people: &People) {
    let [first, second, third] = [0, 1, 2].map(|n| &people.volunteers[n]);
    let made = people.village.post("/activities", &people.activity(8_000, 20_000, 10)).expect(201);
    let id = text(&made, "id");
    let path = format!("/activities/{id}");
    let step = |who: &Client, step: &str, body: Value| who.post(&format!("{path}/{step}"), &body);
    let parts = [first, second].map(|one| text(&step(one, "join", json!({})).expect(200)["part"], "id"));
    assert_eq!(step(first, "notice", json!({ "text": "请带手套" })).problem(403), "forbidden");
    let told = step(&people.village, "notice", json!({ "text": "请带手套" })).expect(200);
    assert!(told["noticedAt"].is_string(), "{told}");
    let begun = Instant::now();
    while !first.get("/me/inbox").text().contains("activity_notice") {
        assert!(begun.elapsed() < SOON, "nobody was told");
        sleep(Duration::from_millis(50));
    }
    assert!(!third.get("/me/inbox").text().contains(&id), "who has not joined is not told");

    assert_eq!(first.get(&format!("{path}/code")).problem(403), "forbidden");
    let code = json!({ "code": people.village.get(&format!("{path}/code")).expect(200)["code"] });
    assert_eq!(step(first, "check-in", json!({ "code": "?" })).problem(422), "invalid_fields");
    let begun = Instant::now();
    let (check_in, key) = (format!("{path}/check-in"), fresh_key());
    let checked_in = loop {
        let answer = first.post_with(&check_in, &[(IDEMPOTENCY_KEY, &key)], &code);
        if answer.status == 200 {
            break answer;
        }
        assert_eq!(answer.problem(409), "activity_not_begun");
        assert!(begun.elapsed() < SOON, "it never began");
        sleep(Duration::from_millis(50));
    };
    first.is_kept(&check_in, &key, code.to_string().as_bytes(), true, &checked_in);
    assert!(checked_in.json()["part"]["checkedInAt"].is_string(), "{}", checked_in.text());
    assert_eq!(step(first, "check-in", code.clone()).problem(409), "already_checked_in");
    assert_eq!(step(third, "check-in", code.clone()).problem(409), "not_joined");
    assert_eq!(step(third, "join", json!({})).problem(409), "activity_begun");
    assert_eq!(step(&people.village, "notice", json!({ "text": "晚了" })).problem(409), "activity_begun");
    assert_eq!(step(first, "feedback", json!({ "text": "很好" })).problem(409), "activity_not_over");

    let before = first.get("/me/passbook").expect(200)["assessment"].as_i64().expect("points");
    let (begun, key, words) = (Instant::now(), fresh_key(), json!({ "text": "大家干得很好" }));
    let feed = |who: &Client, key: &str| {
        who.post_with(&format!("{path}/feedback"), &[(IDEMPOTENCY_KEY, key)], &words)
    };
    assert_eq!(
        first.post_with(&format!("{path}/feedback"), &[], &words).problem(400),
        "idempotency_key_required"
    );
    let done = loop {
        let answer = feed(first, &key);
        if answer.status == 200 {
            break answer;
        }
        assert_eq!(answer.problem(409), "activity_not_over");
        assert!(begun.elapsed() < SOON, "it never ended");
        sleep(Duration::from_millis(50));
    };
    assert_eq!(done.json()["part"]["minutes"], 0, "a few seconds are no minute: {}", done.text());
    first.is_kept(&format!("{path}/feedback"), &key, words.to_string().as_bytes(), true, &done);
    assert_eq!(feed(first, &fresh_key()).problem(409), "already_fed_back");
    assert_eq!(feed(second, &fresh_key()).problem(409), "was_not_there");
    assert_eq!(feed(third, &fresh_key()).problem(409), "not_joined");
    assert_eq!(step(second, "check-in", code).problem(409), "activity_over");
    let book = first.get("/me/passbook").expect(200);
    assert_eq!(book["assessment"], before + 2, "B01 gives two points, once: {book}");
    let line = &book["entries"][0];
    assert_eq!((&line["rule"], &line["handMade"]), (&json!("B01"), &json!(false)), "{line}");
    let why = first.get(&format!("/score/entries/{}/why", text(line, "id"))).expect(200);
    assert_eq!(
        (&why["agrees"], &why["inputs"]["facts"]["kind"]),
        (&json!(true), &json!("attended")),
        "{why}"
    );
    let listed = people.village.get(&format!("{path}/people")).expect(200);
    let items = listed["items"].as_array().expect("items");
    assert_eq!(items.len(), 2, "{listed}");
    // Each by his part: who joined first is not known where servers' clocks differ by some milliseconds.
    let there = parts.map(|part| {
        let one = items.iter().find(|one| one["id"] == part).unwrap_or_else(|| panic!("{part} in {listed}"));
        one["feedback"] == "大家干得很好" && one["checkedInAt"].is_string()
    });
    assert_eq!(there, [true, false], "{listed}");
    assert_eq!(first.get(&format!("{path}/people")).problem(403), "forbidden");
}

fn patrol(people: &People) {
    let [first, second] = [0, 1].map(|n| &people.volunteers[n]);
    assert_eq!(people.resident.post("/patrols", &json!({})).problem(403), "forbidden");
    let before = first.get("/me/passbook").expect(200)["assessment"].as_i64().expect("points");
    let patrol = first.post("/patrols", &json!({})).expect(201);
    assert_eq!(patrol["areaCode"], people.grid, "{patrol}");
    assert_eq!(first.post("/patrols", &json!({})).problem(409), "on_patrol");
    let path = format!("/patrols/{}", text(&patrol, "id"));
    assert_eq!(second.get(&path).problem(404), "not_found");
    let visit = json!({ "place": "三组张大爷家", "note": "一切正常" });
    assert_eq!(second.post(&format!("{path}/visits"), &visit).problem(404), "not_found");
    assert_eq!(people.village.post(&format!("{path}/visits"), &visit).problem(403), "forbidden");
    first.post(&format!("{path}/visits"), &visit).expect(201);
    assert_eq!(first.post(&format!("{path}/visits"), &json!({ "place": "" })).problem(422), "invalid_fields");

    let categories = first.get("/categories").expect(200);
    let code = |kind: &str| {
        let items = categories["items"].as_array().expect("items");
        text(items.iter().find(|one| one["kind"] == kind).unwrap_or_else(|| panic!("no {kind}")), "code")
    };
    let hazard = |category: String| json!({ "categoryCode": category, "description": "电线老化，有火花" });
    let service = first.post(&format!("{path}/hazards"), &hazard(code("service")));
    assert_eq!(service.problem(422), "invalid_fields");
    let key = fresh_key();
    let (hazards, found) = (format!("{path}/hazards"), hazard(code("report")));
    let report = |key: &str| first.post_with(&hazards, &[(IDEMPOTENCY_KEY, key)], &found);
    let placed = report(&key);
    assert_eq!((&placed.expect(201)["kind"], &placed.json()["step"]), (&json!("report"), &json!("点")));
    first.is_kept(&hazards, &key, found.to_string().as_bytes(), true, &placed);
    let order = text(&placed.json(), "id");
    assert_eq!(first.get(&format!("/orders/{order}")).expect(200)["kind"], "report");
    let seen = people.village.get(&path).expect(200);
    assert_eq!((&seen["visits"], &seen["hazards"]), (&json!(1), &json!(1)), "{seen}");
    assert_eq!(seen["notes"][1]["orderId"], order, "{seen}");

    let summary = json!({ "summary": "发现一处隐患" });
    let ended = first.post_twice(&format!("{path}/end"), &summary).expect(200);
    assert_eq!((&ended["visits"], &ended["minutes"]), (&json!(1), &json!(0)), "{ended}");
    assert_eq!(first.post(&format!("{path}/end"), &summary).problem(409), "patrol_ended");
    assert_eq!(first.post(&format!("{path}/visits"), &visit).problem(409), "patrol_ended");
    assert_eq!(report(&fresh_key()).problem(409), "patrol_ended");
    scored(first, before);
}

/// 301 gives a point for a patrol with a visit, once, and none for one that visited nothing; nobody claims it beside that.
fn scored(first: &Client, before: i64) {
    let book = first.get("/me/passbook").expect(200);
    assert_eq!(book["assessment"], before + 1, "{book}");
    let line = &book["entries"][0];
    assert_eq!(
        (&line["rule"], &line["points"], &line["handMade"]),
        (&json!("301"), &json!(1), &json!(false)),
        "{line}"
    );
    let why = first.get(&format!("/score/entries/{}/why", text(line, "id"))).expect(200);
    let facts = json!({ "kind": "patrolled", "minutes": 0, "visits": 1, "hazards": 1 });
    assert_eq!((&why["agrees"], &why["inputs"]["facts"]), (&json!(true), &facts), "{why}");
    let claim = json!({ "ruleCode": "301", "happenedAt": text(&why["entry"], "at"), "evidence": "日常巡查" });
    let refused = first.post("/score/claims", &claim);
    assert_eq!(refused.problem(422), "invalid_fields");
    assert_eq!(refused.json()["errors"][0]["code"], "rule_automatic", "{}", refused.text());

    let idle = first.post("/patrols", &json!({})).expect(201);
    let end = format!("/patrols/{}/end", text(&idle, "id"));
    let ended = first.post(&end, &json!({ "summary": "一切正常" })).expect(200);
    assert_eq!(ended["visits"], 0, "{ended}");
    assert_eq!(first.get("/me/passbook").expect(200)["assessment"], before + 1, "nothing was visited");
    first.post("/patrols", &json!({})).expect(201);
}
