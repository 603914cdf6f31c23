//! What stands beside the five steps, over HTTP and on both sizes: suggestions of duplicates and merging, departments that
//! are called (吹哨报到), corrective notices (限期整改), a revisit (回访).

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use xingfuma_tests::{
    client::{Accounts, Client},
    program::{Demo, Fleet},
};

/// How long the queue may take from placing to dispatching.
const WITHIN: Duration = Duration::from_secs(15);

#[test]
fn beside_alone() {
    let demo = Demo::start();
    story(demo.base(), demo.accounts(), |statement| demo.sql(statement));
}

#[test]
fn beside_in_a_fleet() {
    let fleet = Fleet::start(1, 1);
    story(&fleet.bases()[0], fleet.accounts(), |statement| {
        // Ids are bytes in SQLite, and text there only in hexadecimal digits.
        fleet.sql(&statement.replace("hex(id)", "id"))
    });
}

struct People {
    residents: Vec<Client>,
    volunteer: Client,
    village: Client,
    township: Client,
    operator: Client,
    department: Client,
    admin: Client,
    sign: String,
}

fn story(base: &str, accounts: &Accounts, sql: impl Fn(&str) -> String) {
    let log_in = |account| Client::log_in(base, account);
    let people = People {
        residents: accounts.all("resident").into_iter().map(log_in).collect(),
        volunteer: log_in(accounts.all("volunteer")[0]),
        village: log_in(accounts.village_dispatcher()),
        township: log_in(accounts.township_dispatcher()),
        operator: log_in(accounts.one("operator")),
        department: log_in(accounts.one("department")),
        admin: log_in(accounts.one("county_admin")),
        sign: accounts.sign().to_owned(),
    };
    duplicates(&people);
    help(&people, &sql);
    whistle(&people);
    correction(&people);
    revisit(&people);
    suspension(&people);
}

fn place(people: &People, resident: usize, category: &str, description: &str) -> String {
    let order = json!({ "signCode": people.sign, "categoryCode": category, "description": description });
    text(&people.residents[resident].post("/orders", &order).expect(201), "id")
}

fn place_and_wait(people: &People, resident: usize, description: &str) -> String {
    let order = place(people, resident, "errand", description);
    let begun = Instant::now();
    while people.village.get(&format!("/orders/{order}")).expect(200)["status"] != "dispatched" {
        assert!(begun.elapsed() < WITHIN, "not dispatched");
        sleep(Duration::from_millis(10));
    }
    order
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_else(|| panic!("no {member}: {value}")).to_owned()
}

fn actions(value: &Value) -> Vec<&str> {
    value["allowedActions"].as_array().expect("actions").iter().filter_map(Value::as_str).collect()
}

fn duplicates(people: &People) {
    let leading = place_and_wait(people, 0, "村口的路灯坏了，晚上看不见路");
    let follower = place_and_wait(people, 1, "村口路灯坏了好几天，看不见路。");
    let similar = |client: &Client, order: &str| -> Vec<Value> {
        let found = client.get(&format!("/orders/similar?orderId={order}")).expect(200);
        found["items"].as_array().expect("items").clone()
    };
    let found = similar(&people.village, &follower);
    let likely = found.iter().find(|one| one["order"]["id"] == leading.as_str());
    let likely = likely.unwrap_or_else(|| panic!("not suggested: {found:?}"));
    assert!(likely["score"].as_u64() >= Some(50), "{likely}");
    assert!(likely["reasons"].as_array().is_some_and(|all| all.len() >= 3), "{likely}");
    // A resident sees nobody else's.
    let own = similar(&people.residents[1], &follower);
    assert!(own.iter().all(|one| one["order"]["id"] != leading.as_str()), "{own:?}");
    assert_eq!(
        people.residents[2].get(&format!("/orders/similar?orderId={follower}")).problem(404),
        "not_found"
    );
    let wish = format!("/orders/similar?signCode={}&categoryCode=errand&phone=15400001234", people.sign);
    assert_eq!(people.residents[1].get(&wish).problem(403), "forbidden");
    assert_eq!(people.operator.get(&wish).status, 200);
    assert_eq!(people.operator.get("/orders/similar?categoryCode=none").problem(422), "invalid_fields");

    let path = format!("/orders/{follower}/merge");
    let merged = people.village.post(&path, &json!({ "into": leading })).expect(200);
    assert_eq!((&merged["status"], &merged["mergedInto"]), (&json!("merged"), &json!(leading)));
    let again = place_and_wait(people, 2, "路灯");
    let circle = people.village.post(&format!("/orders/{leading}/merge"), &json!({ "into": again }));
    assert_eq!(circle.problem(409), "leads_others");
    let chain = people.village.post(&format!("/orders/{again}/merge"), &json!({ "into": follower }));
    assert_eq!(chain.problem(409), "cannot_lead");
    let itself = people.village.post(&format!("/orders/{again}/merge"), &json!({ "into": again }));
    assert_eq!(itself.problem(422), "invalid_fields");
    assert_eq!(people.village.get(&format!("/orders/{leading}")).expect(200)["followers"], 1);

    people.volunteer.post(&format!("/orders/{leading}/accept"), &json!({})).expect(200);
    let done = json!({ "summary": "已换灯泡", "minutes": 40 });
    people.volunteer.post(&format!("/orders/{leading}/complete"), &done).expect(200);
    let seen = people.residents[1].get(&format!("/orders/{follower}")).expect(200);
    assert_eq!((&seen["status"], &seen["completion"]["summary"]), (&json!("completed"), &json!("已换灯泡")));
    let rated = json!({ "stars": 5, "solved": true });
    people.residents[1].post(&format!("/orders/{follower}/rate"), &rated).expect(200);
}

/// Another team is asked to help, twice under one key: one helping order.
fn help(people: &People, sql: &impl Fn(&str) -> String) {
    let order = place_and_wait(people, 0, "院子积水，请帮忙抽水");
    let path = format!("/orders/{order}");
    people.volunteer.post(&format!("{path}/accept"), &json!({})).expect(200);
    let own = text(&people.volunteer.get("/me").expect(200)["roles"][0], "teamId");
    let teams = sql("SELECT hex(id) FROM team ORDER BY id LIMIT 2").to_lowercase();
    let other =
        teams.lines().find(|team| team.replace('-', "") != own.replace('-', "")).expect("another team");
    let wanted = json!({ "teamId": other, "task": "请带抽水泵到场协助" });
    let orders = || sql("SELECT count(*) FROM orders").parse::<i64>().expect("a number");
    let before = orders();
    let helped = people.village.post_twice(&format!("{path}/help"), &wanted).expect(200);
    assert_eq!(helped["helpers"].as_array().map(Vec::len), Some(1), "{helped}");
    assert_eq!(orders(), before + 1, "one helping order");
    assert_eq!(people.village.post(&format!("{path}/help"), &wanted).problem(409), "already_helps");
}

/// A suspended volunteer has no role and is offered nothing; reinstated he has both again, once.
fn suspension(people: &People) {
    let order = place_and_wait(people, 1, "代交水费");
    let accept = format!("/orders/{order}/accept");
    let before = people.volunteer.get("/me").expect(200);
    let path = |verb: &str| format!("/volunteers/{}/{verb}", before["id"].as_str().expect("an id"));
    let (reason, reinstate) = (json!({ "reason": "外出务工返乡" }), path("reinstate"));
    assert_eq!(people.village.post(&reinstate, &reason).problem(409), "not_suspended");
    let leaves = json!({ "reason": "外出务工", "suspend": true });
    people.village.post(&path("transfer"), &leaves).expect(200);
    assert_eq!(people.volunteer.get("/me").expect(200)["roles"], json!([]));
    assert_eq!(people.volunteer.post(&accept, &json!({})).problem(404), "not_found");
    assert_eq!(
        people.volunteer.post(&reinstate, &reason).problem(404),
        "not_found",
        "he is nobody there now"
    );
    assert_eq!(people.residents[0].post(&reinstate, &reason).problem(404), "not_found");
    assert_eq!(people.village.post(&reinstate, &json!({ "reason": " " })).problem(422), "invalid_fields");

    assert_eq!(people.village.post_twice(&reinstate, &reason).status, 204);
    let after = people.volunteer.get("/me").expect(200);
    assert_eq!(after["roles"], before["roles"], "one role, with the team and the grid that he had");
    assert_eq!(people.village.post(&reinstate, &reason).problem(409), "not_suspended");
    let log =
        people.admin.get(&format!("/audit?personId={}", before["id"].as_str().expect("an id"))).expect(200);
    let times = |action: &str| {
        log["items"].as_array().expect("items").iter().filter(|line| line["action"] == action).count()
    };
    assert_eq!([times("volunteer_suspended"), times("volunteer_reinstated")], [1, 1], "{log}");
    people.volunteer.post(&accept, &json!({})).expect(200);
}

fn whistle(people: &People) {
    let order = place_and_wait(people, 0, "井盖松动，请部门处理");
    let path = format!("/orders/{order}");
    assert_eq!(people.department.get(&path).problem(404), "not_found");
    let departments = people.village.get("/departments").expect(200);
    let ids: Vec<&Value> =
        departments["items"].as_array().expect("items").iter().map(|one| &one["id"]).collect();
    let call = json!({ "departmentIds": ids, "demand": "请到场，联系13800138000" });
    let unknown = json!({ "departmentIds": [order], "demand": "请到场" });
    let whistle_path = format!("{path}/whistle");
    assert_eq!(people.village.post(&whistle_path, &unknown).problem(422), "invalid_fields");
    assert_eq!(people.residents[0].post(&whistle_path, &call).problem(403), "forbidden");
    people.village.post(&whistle_path, &call).expect(200);
    assert_eq!(people.village.post(&whistle_path, &call).problem(409), "already_whistled");

    let seen = people.department.get(&path).expect(200);
    let demand = seen["whistles"][0]["demand"].as_str().expect("a demand");
    assert!(!demand.contains("13800138000"), "masked: {demand}");
    assert_eq!(seen.get("contact"), None);
    let listed = people.department.get("/orders?scope=team").expect(200);
    assert_eq!(listed["items"].as_array().expect("items").len(), 1, "what it was whistled for: {listed}");
    let whistles = seen["whistles"].as_array().expect("whistles");
    let mine = whistles.iter().find(|one| actions(one) == ["check-in"]).expect("one call is its own");
    let other = whistles.iter().find(|one| one["id"] != mine["id"]).expect("the other department's");
    let of = |one: &Value, verb: &str| format!("/whistles/{}/{verb}", text(one, "id"));
    assert_eq!(people.department.post(&of(other, "check-in"), &json!({})).problem(403), "forbidden");
    assert_eq!(people.residents[1].post(&of(mine, "check-in"), &json!({})).problem(404), "not_found");
    let result = json!({ "result": "井盖已加固" });
    assert_eq!(people.department.post(&of(mine, "conclude"), &result).problem(409), "check_in_required");
    people.department.post(&of(mine, "check-in"), &json!({})).expect(200);
    assert_eq!(people.department.post(&of(mine, "check-in"), &json!({})).problem(409), "whistle_answered");
    let rating = json!({ "stars": 5 });
    assert_eq!(people.village.post(&of(mine, "rate"), &rating).problem(409), "nothing_concluded");
    let concluded = people.department.post(&of(mine, "conclude"), &result).expect(200);
    let told = concluded["whistles"].as_array().expect("whistles");
    let told = told.iter().find(|one| one["id"] == mine["id"]).expect("the call");
    assert_eq!((&told["concludedOnTime"], &told["result"]), (&json!(true), &json!("井盖已加固")));
    assert_eq!(people.village.post(&of(mine, "rate"), &json!({ "stars": 6 })).problem(422), "invalid_fields");
    people.village.post(&of(mine, "rate"), &rating).expect(200);
    let resident = people.residents[0].get(&path).expect(200);
    assert_eq!(resident.get("whistles"), None, "not the resident's business");
    let revealed = people.department.post(&format!("{path}/contact"), &json!({ "reason": "上门核查" }));
    assert_eq!(revealed.status, 200, "with a reason that is logged");
}

fn correction(people: &People) {
    let order = place(people, 0, "violation", "某超市堵塞消防通道");
    let path = format!("/orders/{order}/corrections");
    let notice = json!({ "addressee": "某超市", "demand": "清理消防通道", "termDays": 7 });
    let service = place(people, 0, "errand", "代买一袋米");
    let about_service = people.village.post(&format!("/orders/{service}/corrections"), &notice);
    assert_eq!(about_service.problem(409), "not_a_report");
    let endless = json!({ "addressee": "某超市", "demand": "清理", "termDays": 91 });
    assert_eq!(people.village.post(&path, &endless).problem(422), "invalid_fields");
    people.village.post_twice(&path, &notice).expect(200);
    assert_eq!(people.residents[0].get(&path).problem(403), "forbidden");
    let listed = people.township.get(&path).expect(200);
    let given = &listed["items"][0];
    assert_eq!((&given["settled"], actions(given)), (&json!(false), vec!["inspect"]));
    let inspect = format!("{path}/{}/inspect", text(given, "id"));
    let without = json!({ "passed": false, "findings": "仍有堆物" });
    assert_eq!(people.village.post(&inspect, &without).problem(422), "invalid_fields");
    let again = json!({ "passed": false, "findings": "仍有堆物", "termDays": 3 });
    people.village.post_twice(&inspect, &again).expect(200);
    let passed = json!({ "passed": true, "findings": "已清理" });
    let settled = people.township.post(&inspect, &passed).expect(200);
    let notice = &settled["corrections"][0];
    assert_eq!((&notice["settled"], notice["inspections"].as_array().map(Vec::len)), (&json!(true), Some(2)));
    assert_eq!(people.township.post(&inspect, &passed).problem(409), "correction_settled");
}

/// Once, and sent again under its key it is still once.
fn extended(people: &People) {
    let complex = json!({
        "signCode": people.sign, "categoryCode": "errand", "description": "协调邻里用水", "urgency": "complex",
    });
    let order = text(&people.residents[1].post("/orders", &complex).expect(201), "id");
    let begun = Instant::now();
    while people.village.get(&format!("/orders/{order}")).expect(200)["status"] != "dispatched" {
        assert!(begun.elapsed() < WITHIN, "not dispatched");
        sleep(Duration::from_millis(10));
    }
    people.volunteer.post(&format!("/orders/{order}/accept"), &json!({})).expect(200);
    let path = format!("/orders/{order}/extend");
    let reason = json!({ "reason": "需要两家到场" });
    people.village.post_twice(&path, &reason).expect(200);
    assert_eq!(people.village.post(&path, &reason).problem(409), "already_extended");
}

fn revisit(people: &People) {
    let order = place_and_wait(people, 0, "代取快递");
    people.volunteer.post(&format!("/orders/{order}/accept"), &json!({})).expect(200);
    let extend = people.village.post(&format!("/orders/{order}/extend"), &json!({ "reason": "人手不足" }));
    assert_eq!(extend.problem(409), "not_extendable");
    extended(people);
    let done = json!({ "summary": "已送到", "minutes": 20 });
    people.volunteer.post(&format!("/orders/{order}/complete"), &done).expect(200);
    let rated = json!({ "stars": 2, "solved": false });
    let seen = people.residents[0].post(&format!("/orders/{order}/rate"), &rated).expect(200);
    assert!(seen["revisit"]["revisitBy"].is_string(), "{seen}");
    let path = format!("/orders/{order}/revisit");
    let outcome = json!({ "outcome": "solved", "note": "已电话回访" });
    assert_eq!(people.village.post(&path, &outcome).problem(403), "forbidden");
    let board = people.township.get("/dispatch/board?limit=100").expect(200);
    let waits =
        board["items"].as_array().expect("items").iter().any(|one| one["order"]["id"] == order.as_str());
    assert!(waits, "what is owed stands on the board");
    let seen = people.township.post_twice(&path, &outcome).expect(200);
    assert_eq!(seen["revisit"]["outcome"], "solved");
    assert_eq!(people.township.post(&path, &outcome).problem(409), "nothing_to_revisit");
}
