//! 星级, 证明, 志愿者档案 and the board of persons, over HTTP and by the command line, on both sizes.

use std::{
    fs,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use xingfuma_tests::{
    client::{Accounts, Answer, Client},
    program::{Demo, Fleet, Told},
};

const DISPATCHED_WITHIN: Duration = Duration::from_secs(30);

/// A directory of rules in which an hour makes a star, two make two, and so on.
fn rules() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/domain/data/rules");
    for sheet in ["base_tasks.csv", "bonuses_and_deductions.csv"] {
        fs::copy(format!("{sample}/{sheet}"), directory.path().join(sheet)).expect("the sample's sheets");
    }
    let scale = "stars,hours,points,version,effective_from\n1,1,0,1,\n2,2,4,1,\n3,600,0,1,\n4,1000,0,1,\n5,1500,0,1,\n";
    fs::write(
        directory.path().join("stars.csv"),
        scale.replace("3,600,0", "3,600,4").replace("4,1000,0", "4,1000,4").replace("5,1500,0", "5,1500,4"),
    )
    .expect("written");
    directory
}

struct People {
    anonymous: Client,
    resident: Client,
    first: Client,
    second: Client,
    village: Client,
    township: Client,
    foreign: Client,
    admin: Client,
    auditor: Client,
    sign: String,
}

impl People {
    fn log_in(bases: &[String], accounts: &Accounts) -> People {
        let at = |account, number: usize| Client::log_in(&bases[0], account).at(&bases[number % bases.len()]);
        let volunteers = accounts.all("volunteer");
        People {
            anonymous: Client::anonymous(&bases[0]),
            resident: at(accounts.all("resident")[0], 0),
            first: at(volunteers[0], 0),
            second: at(volunteers[1], 1),
            village: at(accounts.village_dispatcher(), 1),
            township: at(accounts.township_dispatcher(), 0),
            foreign: at(accounts.foreign_dispatcher(), 1),
            admin: at(accounts.one("county_admin"), 0),
            auditor: at(accounts.one("auditor"), 1),
            sign: accounts.sign().to_owned(),
        }
    }

    fn now(&self) -> chrono::DateTime<chrono::FixedOffset> {
        let probe = self.first.get("/me");
        let date = probe.header("date").expect("a date");
        let at = chrono::DateTime::parse_from_rfc2822(date).expect("a date");
        at.with_timezone(&chrono::FixedOffset::east_opt(8 * 3600).expect("China"))
    }

    fn today(&self) -> String {
        self.now().format("%Y-%m-%d").to_string()
    }

    /// An order that `worker` serves for so many minutes; answers its id.
    fn serve(&self, worker: &Client, minutes: i64) -> String {
        let wanted = json!({ "signCode": self.sign, "categoryCode": "errand", "description": "代取快递" });
        let order = text(&self.resident.post("/orders", &wanted).expect(201), "id");
        let path = format!("/orders/{order}");
        let until = Instant::now() + DISPATCHED_WITHIN;
        while self.resident.get(&path).expect(200)["status"] != "dispatched" {
            assert!(Instant::now() < until, "not dispatched");
            sleep(Duration::from_millis(20));
        }
        worker.post(&format!("{path}/accept"), &json!({})).expect(200);
        let done = json!({ "summary": "已送到", "minutes": minutes });
        worker.post(&format!("{path}/complete"), &done).expect(200);
        order
    }
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_else(|| panic!("no {member}: {value}")).to_owned()
}

fn items(value: &Value) -> &[Value] {
    value["items"].as_array().unwrap_or_else(|| panic!("no items: {value}"))
}

fn id_of(person: &Client) -> String {
    text(&person.get("/me").expect(200), "id")
}

const SETTINGS: [(&str, &str); 1] = [("XINGFUMA_SCORE__BOARD_OF_PERSONS", "true")];

#[test]
fn results_alone() {
    let rules = rules();
    let rules = rules.path().display().to_string();
    let settings = [SETTINGS[0], ("XINGFUMA_SCORE__RULES", rules.as_str())];
    let demo = Demo::start_with(&settings);
    let people = People::log_in(&[demo.base().to_owned()], demo.accounts());
    story(&people, |words| demo.score(words), |sql| demo.sql(sql));
    let told = demo.audit(&["verify"]);
    assert!(told.success, "{told:?}");
    // What is changed behind the program's back is found.
    let _ = demo.sql("UPDATE star_line SET minutes = minutes + 1");
    let _ = demo.sql("DROP TRIGGER certificate_frozen");
    let _ =
        demo.sql("UPDATE certificate SET content = replace(content, '\"minutes\":60', '\"minutes\":600')");
    let told = demo.audit(&["verify"]);
    assert!(!told.success, "{told:?}");
    for word in ["round of stars", "not what was published", "certificate", "not what was signed"] {
        assert!(told.printed.contains(word), "{word}: {told:?}");
    }
}

#[test]
fn results_in_a_fleet() {
    let rules = rules();
    let rules = rules.path().display().to_string();
    let settings = [SETTINGS[0], ("XINGFUMA_SCORE__RULES", rules.as_str())];
    let fleet = Fleet::start_with(2, 1, &settings);
    let people = People::log_in(&fleet.bases(), fleet.accounts());
    story(&people, |words| fleet.score(words), |sql| fleet.sql(sql));
    // Servers took the day's root already; the command writes it down outside the database.
    let told = fleet.audit(&["root"]);
    assert!(told.success, "{told:?}");
    let told = fleet.audit(&["verify"]);
    assert!(told.success, "{told:?}");
}

fn story(people: &People, score: impl Fn(&[&str]) -> Told, sql: impl Fn(&str) -> String) {
    let order = people.serve(&people.first, 60);
    people.serve(&people.second, 125);
    let rated = json!({ "stars": 5, "solved": true });
    people.resident.post(&format!("/orders/{order}/rate"), &rated).expect(200);
    certified(people, &order);
    stars(people, &sql);
    exported(people, &score, &sql);
    ranked(people, &score, &sql);
}

/// Asked for, signed by a second person, checked by anybody, frozen, superseded, revoked and issued again.
fn certified(people: &People, order: &str) {
    let today = people.today();
    let wanted = json!({ "from": today, "to": today });
    let of_first = json!({ "personId": id_of(&people.first), "from": today, "to": today });
    assert_eq!(people.anonymous.post("/certificates", &wanted).problem(401), "unauthenticated");
    assert_eq!(people.resident.post("/certificates", &wanted).problem(404), "not_found", "no volunteer");
    for stranger in [&people.resident, &people.second, &people.foreign, &people.auditor] {
        assert_eq!(stranger.post("/certificates", &of_first).problem(404), "not_found");
    }
    for (bad, field) in [
        (json!({ "from": "2026-02-02", "to": "2026-02-01" }), "from"),
        (json!({ "from": "1990-01-01", "to": today }), "from"),
        (json!({ "from": today, "to": "2999-01-01" }), "to"),
        (
            json!({ "from": today, "to": today, "replaces": "01900000-0000-7000-8000-000000000000" }),
            "replaces",
        ),
    ] {
        let answer = people.first.post("/certificates", &bad);
        assert_eq!(answer.problem(422), "invalid_fields", "{bad}");
        assert!(
            answer.json()["errors"].as_array().expect("faults").iter().any(|one| one["field"] == field),
            "{bad}"
        );
    }
    let before = json!({ "from": "2020-01-01", "to": "2020-12-31" });
    assert_eq!(people.first.post("/certificates", &before).problem(409), "nothing_served");
    let id = text(&people.first.post("/certificates", &wanted).expect(201), "id");
    let path = format!("/certificates/{id}");
    assert_eq!(people.first.post(&format!("{path}/sign"), &json!({})).problem(403), "own_decision");
    assert_eq!(people.auditor.post(&format!("{path}/sign"), &json!({})).problem(403), "forbidden");
    assert_eq!(people.foreign.post(&format!("{path}/sign"), &json!({})).problem(404), "not_found");
    // Who asks on somebody's behalf does not sign.
    let on_behalf = text(&people.village.post("/certificates", &of_first).expect(201), "id");
    let sign_it = format!("/certificates/{on_behalf}/sign");
    assert_eq!(people.village.post(&sign_it, &json!({})).problem(403), "own_decision");
    let refuse = format!("/certificates/{on_behalf}/refuse");
    assert_eq!(people.township.post(&refuse, &json!({ "reason": "" })).problem(422), "invalid_fields");
    assert_eq!(people.township.post(&refuse, &json!({ "reason": "重复" })).expect(200)["status"], "refused");
    assert_eq!(people.township.post(&sign_it, &json!({})).problem(409), "certificate_not_requested");

    let signed = people.village.post(&format!("{path}/sign"), &json!({})).expect(200);
    assert_eq!((&signed["status"], &signed["minutes"]), (&json!("issued"), &json!(60)));
    assert!(signed["holderCode"].is_null(), "for the holder alone");
    assert_eq!(
        people.township.post(&format!("{path}/sign"), &json!({})).problem(409),
        "certificate_not_requested"
    );
    let own = people.first.get(&path).expect(200);
    assert_eq!((&own["standing"], &own["services"][0]["times"]), (&json!("valid"), &json!(1)));
    assert_eq!(own["badge"], people.first.get("/me").expect(200)["badge"]);
    let (number, code) = (text(&own, "number"), text(&own, "holderCode"));
    checked(people, &number, &code);
    printed(people, &path, &number);

    // The points of its order are reversed: it stays what it was, and says that it is superseded.
    let passbook = people.first.get("/me/passbook").expect(200);
    let of_order = |entry: &&Value| entry["orderId"] == order;
    let entry =
        text(passbook["entries"].as_array().expect("entries").iter().find(of_order).expect("points"), "id");
    let reverse = format!("/score/entries/{entry}/reverse");
    people.admin.post(&reverse, &json!({ "reason": "核查不实" })).expect(201);
    let after = people.first.get(&path).expect(200);
    assert_eq!(
        (&after["standing"], &after["minutes"], &after["seal"]),
        (&json!("superseded"), &json!(60), &own["seal"])
    );
    assert!(page(people, &format!("/c/{number}")).contains("更正"));
    assert_eq!(people.first.get(&format!("{path}/print")).problem(409), "certificate_not_issued");

    // Issued again in its place; then taken back.
    let again = json!({ "from": today, "to": today, "replaces": id });
    let second = text(&people.first.post("/certificates", &again).expect(201), "id");
    let signed = people.township.post(&format!("/certificates/{second}/sign"), &json!({})).expect(200);
    assert_ne!(text(&signed, "number"), number);
    assert_eq!(people.first.get(&path).expect(200)["status"], "replaced");
    assert_eq!(people.first.get(&format!("/certificates/{second}")).expect(200)["standing"], "valid");
    let revoke = format!("/certificates/{second}/revoke");
    assert_eq!(people.first.post(&revoke, &json!({ "reason": "不要了" })).problem(403), "own_decision");
    assert_eq!(people.village.post(&revoke, &json!({ "reason": "有误" })).expect(200)["standing"], "revoked");
    assert_eq!(
        people.village.post(&revoke, &json!({ "reason": "有误" })).problem(409),
        "certificate_not_issued"
    );
    assert!(page(people, &format!("/c/{}", text(&signed, "number"))).contains("已撤销"));
    assert_eq!(items(&people.first.get("/certificates").expect(200)).len(), 3);
    assert_eq!(items(&people.second.get("/certificates").expect(200)).len(), 0);
    assert_eq!(items(&people.auditor.get("/certificates").expect(200)).len(), 3);
}

fn outside(people: &People, path: &str) -> Answer {
    people.anonymous.get_outside(path).expect("an answer")
}

fn page(people: &People, path: &str) -> String {
    let answer = outside(people, path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.text()
}

/// Strangers see the name masked, whoever has the holder's code sees it whole; the page loads nothing.
fn checked(people: &People, number: &str, code: &str) {
    let name = text(&people.first.get("/me").expect(200), "name");
    let masked = page(people, &format!("/c/{number}"));
    assert!(
        masked.contains("证明有效") && masked.contains("1 小时 0 分") && !masked.contains(&name),
        "{masked}"
    );
    assert!(masked.contains(&format!("{}**", name.chars().next().expect("a surname"))), "{masked}");
    for word in ["<script", "<img", "<link", "src=", "url(", "http"] {
        assert!(!masked.contains(word), "{word}: {masked}");
    }
    let typed = number.to_lowercase().replace('-', "");
    assert!(page(people, &format!("/c/{typed}?code={}", code.to_lowercase())).contains(&name));
    for wrong in ["00000000", "x", "", "%00"] {
        assert!(!page(people, &format!("/c/{number}?code={wrong}")).contains(&name), "{wrong}");
    }
    let mut bent = number.to_owned();
    bent.replace_range(0..1, if number.starts_with('Z') { "Y" } else { "Z" });
    for nothing in [bent.as_str(), "", "1", "AAAA-AAAA-AAAAA", "%F0%9F%98%80"] {
        assert_eq!(outside(people, &format!("/c/{nothing}")).status, 404, "{nothing}");
    }
}

fn printed(people: &People, path: &str, number: &str) {
    let name = text(&people.first.get("/me").expect(200), "name");
    let print = format!("{path}/print");
    let own = people.first.get(&print);
    assert_eq!((own.status, own.header("content-type")), (200, Some("image/svg+xml; charset=utf-8")));
    let page = own.text();
    assert!(page.contains(number) && page.contains(&name) && page.contains("不含路途"), "{page}");
    assert!(page.contains(&format!("/c/{number}")) && !page.contains("<script"), "{page}");
    assert_eq!(people.village.get(&print).status, 200);
    assert_eq!(people.auditor.get(&print).problem(403), "forbidden");
    assert_eq!(people.second.get(&print).problem(404), "not_found");
}

/// Proposed by the township, shown without names, objected to, conferred by the county; never twice, never lowered.
fn stars(people: &People, sql: &impl Fn(&str) -> String) {
    let own = people.second.get("/stars").expect(200);
    assert_eq!((&own["stars"], &own["minutes"]), (&json!(0), &json!(125)));
    assert_eq!(own["next"], json!({ "stars": 1, "hours": 1, "points": 0 }));
    assert_eq!(own["steps"].as_array().map(Vec::len), Some(5));
    let (today, yesterday) =
        (people.today(), (people.now() - chrono::TimeDelta::days(1)).format("%Y-%m-%d").to_string());
    let township = text(&people.township.get("/me").expect(200)["roles"][0], "areaCode");
    let body = |area: &str, day: &str| json!({ "areaCode": area, "asOf": day, "workingDays": 1 });
    for stranger in [&people.first, &people.foreign, &people.auditor] {
        assert_eq!(stranger.post("/stars/rounds", &body(&township, &yesterday)).problem(403), "forbidden");
    }
    assert_eq!(
        people.township.post("/stars/rounds", &body(&township, &today)).problem(422),
        "invalid_fields"
    );
    let village = text(&people.village.get("/me").expect(200)["roles"][0], "areaCode");
    assert_eq!(
        people.village.post("/stars/rounds", &body(&village, &yesterday)).problem(422),
        "invalid_fields"
    );
    let late = json!({ "areaCode": township, "asOf": yesterday, "workingDays": 61 });
    assert_eq!(people.township.post("/stars/rounds", &late).problem(422), "invalid_fields");
    // Nobody had served by the end of yesterday: a list is as of its day.
    assert_eq!(
        people.township.post("/stars/rounds", &body(&township, &yesterday)).problem(409),
        "nobody_rises"
    );
    yesterdays(people, sql);
    let made = people.township.post_twice("/stars/rounds", &body(&township, &yesterday)).expect(201);
    assert_eq!(sql("SELECT count(*) FROM star_round"), "1");
    assert_eq!((&made["lines"], &made["status"]), (&json!(2), &json!("notice")));
    for area in [township.as_str(), "140724"] {
        assert_eq!(
            people.admin.post("/stars/rounds", &body(area, &yesterday)).problem(409),
            "round_runs",
            "{area}"
        );
    }
    let round = format!("/stars/rounds/{}", text(&made, "id"));
    let lines = people.anonymous.get(&format!("{round}/lines")).expect(200);
    for line in items(&lines) {
        let members: Vec<&String> = line.as_object().expect("a line").keys().collect();
        assert_eq!(members, ["areaCode", "minutes", "number", "points", "stars", "starsBefore", "status"]);
        assert_eq!(text(line, "areaCode").len(), 12);
    }
    let of = |minutes: i64| {
        items(&lines).iter().find(|line| line["minutes"] == minutes).expect("the line").clone()
    };
    // Two hours, but not the points that two stars ask for.
    assert_eq!([&of(60)["stars"], &of(125)["stars"]], [&json!(1), &json!(1)]);
    let confer = format!("{round}/confer");
    assert_eq!(people.admin.post(&confer, &json!({})).problem(409), "notice_runs");
    let object = |by: &Client, line: i64| {
        by.post(&format!("{round}/objections"), &json!({ "line": line, "reason": "时长不实" }))
    };
    for line in [0, -1, 3, i64::MAX, i64::MIN] {
        assert_eq!(object(&people.resident, line).problem(422), "invalid_fields", "{line}");
    }
    let line = of(60)["number"].as_i64().expect("a number");
    let objection = text(&object(&people.resident, line).expect(201), "id");
    assert_eq!(object(&people.resident, line).problem(409), "already_objected");
    let second = of(125)["number"].as_i64().expect("a number");
    let dismissed = text(&object(&people.resident, second).expect(201), "id");
    let decide = |id: &str| format!("/stars/objections/{id}/decide");
    let uphold = |uphold: bool| json!({ "uphold": uphold, "reason": "已核查" });
    assert_eq!(people.resident.post(&decide(&objection), &uphold(true)).problem(403), "own_decision");
    assert_eq!(
        people.township.post(&decide(&objection), &uphold(true)).problem(403),
        "own_decision",
        "proposed it"
    );
    assert_eq!(people.foreign.post(&decide(&objection), &uphold(true)).problem(404), "not_found");
    people.village.post(&decide(&objection), &uphold(true)).expect(200);
    assert_eq!(people.village.post(&decide(&objection), &uphold(true)).problem(409), "objection_not_pending");
    people.village.post(&decide(&dismissed), &uphold(false)).expect(200);
    let _ = sql("UPDATE star_round SET notice_ends_at = '2026-01-01T00:00:00+00:00'");
    assert_eq!(object(&people.second, line).problem(409), "notice_over");
    for (stranger, code) in [(&people.township, "forbidden"), (&people.auditor, "forbidden")] {
        assert_eq!(stranger.post(&confer, &json!({})).problem(403), code);
    }
    assert_eq!(people.admin.post_keyed_only(&confer).expect(200)["status"], "conferred");
    assert_eq!(sql("SELECT count(*) FROM star_award"), "1");
    assert_eq!(people.admin.post(&confer, &json!({})).problem(409), "round_conferred");
    assert_eq!(people.first.get("/stars").expect(200)["stars"], 0, "struck");
    assert_eq!(people.second.get("/stars").expect(200)["stars"], 1);
    assert_eq!(people.second.get("/me/passbook").expect(200)["stars"], 1);
    on_the_badge(people);
}

/// Puts what was served today a day back, as if it had been yesterday.
fn yesterdays(people: &People, sql: &impl Fn(&str) -> String) {
    let (today, before) = (people.now(), people.now() - chrono::TimeDelta::days(1));
    let utc = |at: chrono::DateTime<chrono::FixedOffset>| at.to_utc().format("%Y-%m-%d").to_string();
    let (from, to) = (utc(today), utc(before));
    let _ = sql(&format!(
        "UPDATE orders SET snapshot = replace(snapshot, '\"completedAt\":\"{from}T', '\"completedAt\":\"{to}T')"
    ));
    let _ = sql("UPDATE engagement SET accepted_at = '2026-01-01T00:00:00+00:00'");
}

/// On the badge only as long as its bearer agrees.
fn on_the_badge(people: &People) {
    let badge = text(&people.second.get("/me").expect(200), "badge");
    let shown = || {
        let api = people.anonymous.get(&format!("/badges/{badge}")).expect(200);
        (api["stars"].clone(), page(people, &format!("/b/{badge}")).contains('★'))
    };
    assert_eq!(shown(), (Value::Null, false));
    let consent = json!({ "kind": "stars_on_badge", "version": 1 });
    assert_eq!(people.second.post("/me/consents", &consent).status, 200);
    assert_eq!(shown(), (json!(1), true));
    let withdraw = json!({ "kind": "stars_on_badge" });
    assert_eq!(people.second.post("/me/consents/withdraw", &withdraw).status, 200);
    assert_eq!(shown(), (Value::Null, false));
}

/// The record: for the county alone, every export in the audit log, names only with a reason.
fn exported(people: &People, score: &impl Fn(&[&str]) -> Told, sql: &impl Fn(&str) -> String) {
    let today = people.today();
    let span = |part: &str, more: &Value| {
        let mut body = json!({ "part": part, "from": "2026-01-01", "to": today });
        for (member, value) in more.as_object().expect("an object") {
            body[member] = value.clone();
        }
        body
    };
    let path = "/exports/volunteer-record";
    for stranger in [&people.first, &people.village, &people.township, &people.auditor] {
        assert_eq!(stranger.post(path, &span("hours", &json!({}))).problem(403), "forbidden");
    }
    for bad in [
        json!({ "part": "money" }),
        json!({ "format": "xml" }),
        json!({ "from": "2999-01-01" }),
        json!({ "from": "1900-01-01" }),
        json!({ "withNames": true }),
        json!({ "withNames": true, "reason": "  " }),
    ] {
        assert_eq!(people.admin.post(path, &span("people", &bad)).problem(422), "invalid_fields", "{bad}");
    }
    let hours = people.admin.post(path, &span("hours", &json!({})));
    assert_eq!((hours.status, hours.header("content-type")), (200, Some("text/csv; charset=utf-8")));
    let table = hours.text();
    assert!(table.starts_with('\u{feff}') && table.lines().count() == 3, "{table}");
    assert!(table.contains(",60\r\n") && table.contains(",125\r\n"), "{table}");
    let ratings = people.admin.post(path, &span("ratings", &json!({ "format": "json" }))).expect(200);
    assert_eq!((&ratings["rows"][0]["stars"], &ratings["rows"][0]["solved"]), (&json!(5), &json!(true)));
    let awards = people.admin.post(path, &span("awards", &json!({ "format": "json" }))).expect(200);
    assert_eq!(awards["rows"].as_array().map(Vec::len), Some(1), "{awards}");
    assert_eq!((&awards["rows"][0]["kind"], &awards["rows"][0]["name"]), (&json!("stars"), &json!("1星")));
    let (name, township) = (
        text(&people.first.get("/me").expect(200), "name"),
        text(&people.township.get("/me").expect(200)["roles"][0], "areaCode"),
    );
    let of_area = |more: &Value| {
        let mut body = span("people", more);
        body["areaCode"] = json!(township);
        people.admin.post(path, &body).text()
    };
    assert!(!of_area(&json!({})).contains(&name), "masked");
    let whole = of_area(&json!({ "withNames": true, "reason": "按部门要求填报" }));
    assert!(whole.contains(&name), "as it is asked for");
    let elsewhere = text(&people.foreign.get("/me").expect(200)["roles"][0], "areaCode");
    let other = people.admin.post(path, &span("hours", &json!({ "areaCode": elsewhere }))).text();
    assert_eq!(other.lines().count(), 1, "{other}");
    let log = || sql("SELECT action, reason FROM audit WHERE action LIKE 'record_exported%'");
    let noted = log();
    assert!(noted.contains("record_exported_with_names") && noted.contains("按部门要求填报"), "{noted}");
    // Those that were refused are not among them.
    assert_eq!(noted.lines().count(), 6, "{noted}");

    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("record");
    let words = ["record", "--from", "2026-01-01", "--to", &today, "--out", &out.display().to_string()];
    let told = score(&words);
    assert!(told.success, "{told:?}");
    for part in ["people", "teams", "projects", "training", "awards", "hours", "ratings"] {
        let text = fs::read_to_string(out.join(format!("{part}.csv"))).expect("a file");
        assert!(text.starts_with('\u{feff}') && text.ends_with("\r\n"), "{part}");
    }
    assert_eq!(log().lines().count(), 6 + 7, "a line a file");
    assert_eq!(fs::read_to_string(out.join("hours.csv")).expect("a file"), table, "the same as over HTTP");
    let told = score(&[&words[..], &["--with-names"]].concat());
    assert!(!told.success, "{told:?}");
    let told = score(&[&words[..], &["--json", "--area", &township]].concat());
    assert!(told.success, "{told:?}");
    let people: Value =
        serde_json::from_slice(&fs::read(out.join("people.json")).expect("a file")).expect("JSON");
    assert!(people["rows"].as_array().is_some_and(|rows| rows.len() > 100), "a township");
}

/// Who agreed to be named stands on the board with his rank among all, and is gone with the next request.
fn ranked(people: &People, score: &impl Fn(&[&str]) -> Told, sql: &impl Fn(&str) -> String) {
    assert_eq!(people.first.get("/me/rank").problem(404), "not_found", "no month is published");
    let first_day = chrono::Datelike::with_day(&people.now().date_naive(), 1).expect("the first");
    let end = first_day.and_hms_opt(0, 0, 0).expect("midnight") - chrono::TimeDelta::seconds(1);
    let (month, at) = (end.format("%Y-%m").to_string(), end.format("%Y-%m-%dT%H:%M:%S+08:00").to_string());
    for (person, points) in [(&people.first, 30), (&people.second, 20)] {
        let claim = json!({ "ruleCode": "B06", "happenedAt": at, "evidence": "救起落水儿童" });
        let id = text(&person.post("/score/claims", &claim).expect(201), "id");
        let grant = json!({ "grant": true, "points": points, "reason": "属实" });
        people.township.post(&format!("/score/claims/{id}/decide"), &grant).expect(200);
    }
    let told = score(&["close", &month, "--working-days", "3"]);
    assert!(told.success, "{told:?}");
    let board = || people.first.get("/leaderboards?by=person").expect(200);
    assert_eq!(items(&board()).len(), 0, "nobody has agreed");
    let agree = |person: &Client| {
        let consent = json!({ "kind": "ranking_by_name", "version": 1 });
        assert_eq!(person.post("/me/consents", &consent).status, 200);
    };
    let take_back = |person: &Client| {
        assert_eq!(person.post("/me/consents/withdraw", &json!({ "kind": "ranking_by_name" })).status, 200);
    };
    agree(&people.second);
    let found = board();
    let [line] = items(&found) else { panic!("one agreed: {found}") };
    let name = text(&people.second.get("/me").expect(200), "name");
    assert_eq!((&line["rank"], &line["name"], &line["points"]), (&json!(2), &json!(name), &json!(20)));
    assert!(line["people"].is_null() && line["team"].is_string(), "{line}");
    agree(&people.first);
    assert_eq!(items(&board()).iter().map(|line| line["rank"].clone()).collect::<Vec<_>>(), [1, 2]);
    // Equal points share a rank.
    let _ = sql("UPDATE score_period_line SET corrected = corrected - 10 WHERE points = 30");
    assert_eq!(items(&board()).iter().map(|line| line["rank"].clone()).collect::<Vec<_>>(), [1, 1]);
    let own = people.second.get("/me/rank").expect(200);
    assert_eq!((&own["rank"], &own["points"], &own["people"]), (&json!(1), &json!(20), &json!(2)));
    assert!(people.resident.get("/me/rank").expect(200)["rank"].is_null());
    let _ = sql("UPDATE score_period_line SET corrected = corrected + 10 WHERE points = 30");
    take_back(&people.first);
    assert_eq!(items(&board()).len(), 1, "at the next request");
    // A child's consent counts with a guardian's alone.
    let under = json!({ "under14": true }).to_string().into_bytes();
    assert_eq!(people.second.send("PUT", "/me/age", &[], &under).expect("an answer").status, 200);
    assert_eq!(items(&board()).len(), 0);
    assert_eq!(people.second.get("/me/rank").expect(200)["rank"], 2, "his own stays his");
}
