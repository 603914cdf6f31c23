//! 志愿者培训: recorded by the station, taken back once, in the volunteer record and in nobody's hours; over HTTP and on
//! both sizes.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    thread::scope,
};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use xingfuma_tests::{
    client::{Accounts, Client},
    program::{Demo, Fleet, Told},
};

const NOTHING: &str = "01900000-0000-7000-8000-000000000000";
/// A range that was never given to a carrier.
const PHONE: &str = "15400001234";

struct People {
    anonymous: Client,
    resident: Client,
    volunteers: Vec<Client>,
    /// The ids of the volunteers.
    ids: Vec<String>,
    village: Client,
    township: Client,
    foreign: Client,
    admin: Client,
    auditor: Client,
    grid: String,
}

impl People {
    fn log_in(bases: &[String], accounts: &Accounts) -> People {
        let at = |account, number: usize| Client::log_in(&bases[0], account).at(&bases[number % bases.len()]);
        let volunteers: Vec<Client> =
            accounts.all("volunteer").into_iter().zip(0..).map(|(one, n)| at(one, n)).collect();
        People {
            anonymous: Client::anonymous(&bases[0]),
            resident: at(accounts.one("resident"), 0),
            ids: volunteers.iter().map(|one| text(&one.get("/me").expect(200), "id")).collect(),
            volunteers,
            village: at(accounts.village_dispatcher(), 1),
            township: at(accounts.township_dispatcher(), 0),
            foreign: at(accounts.foreign_dispatcher(), 1),
            admin: at(accounts.one("county_admin"), 0),
            auditor: at(accounts.one("auditor"), 1),
            grid: accounts.grid().to_owned(),
        }
    }

    fn of_village(&self) -> &str {
        &self.grid[..12]
    }

    fn of_township(&self) -> &str {
        &self.grid[..9]
    }

    /// A day in China, by the server's clock: tests have none.
    fn day(&self, ahead: i64) -> String {
        let probe = self.village.get("/me");
        let now =
            chrono::DateTime::parse_from_rfc2822(probe.header("date").expect("a date")).expect("a date");
        (now + chrono::TimeDelta::hours(8) + chrono::TimeDelta::days(ahead)).format("%Y-%m-%d").to_string()
    }

    /// Yesterday's training for the village, which the first two attended.
    fn training(&self) -> Value {
        json!({ "areaCode": self.of_village(), "title": "急救知识培训", "organizer": "县红十字会",
            "heldOn": self.day(-1), "minutes": 90, "personIds": self.ids[..2] })
    }
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_else(|| panic!("no {member}: {value}")).to_owned()
}

fn items(value: &Value) -> &[Value] {
    value["items"].as_array().unwrap_or_else(|| panic!("no items: {value}"))
}

fn with(body: &Value, member: &str, value: Value) -> Value {
    let mut body = body.clone();
    body[member] = value;
    body
}

fn ids(page: &Value) -> Vec<String> {
    items(page).iter().map(|one| text(one, "id")).collect()
}

#[test]
fn trainings_alone() {
    let demo = Demo::start();
    let people = People::log_in(&[demo.base().to_owned()], demo.accounts());
    story(&people, |words| demo.score(words), |sql| demo.sql(sql));
}

#[test]
fn trainings_in_a_fleet() {
    let fleet = Fleet::start(2, 1);
    let people = People::log_in(&fleet.bases(), fleet.accounts());
    story(&people, |words| fleet.score(words), |sql| fleet.sql(sql));
}

fn story(people: &People, score: impl Fn(&[&str]) -> Told, sql: impl Fn(&str) -> String) {
    bad_input(people);
    assert_eq!(sql("SELECT count(*) FROM training"), "0", "nothing of what was refused was kept");
    let training = recorded(people);
    who_sees_it(people, &training);
    in_the_record(people, &training, &score);
    taken_back(people, &training, &sql);
    pages(people);
    is_never_deleted(&sql);
}

/// The faults of a body that is understood, field and code.
#[track_caller]
fn faults(who: &Client, body: &Value) -> Vec<(String, String)> {
    let answer = who.post("/trainings", body);
    assert_eq!(answer.problem(422), "invalid_fields", "{body}");
    let problem = answer.json();
    let errors = problem["errors"].as_array().expect("errors");
    errors.iter().map(|error| (text(error, "field"), text(error, "code"))).collect()
}

fn bad_input(people: &People) {
    let good = people.training();
    let (first, outsider) = (people.ids[0].as_str(), text(&people.resident.get("/me").expect(200), "id"));
    let crowd: Vec<String> = (0..501).map(|n| format!("00000000-0000-0000-0000-{n:012x}")).collect();
    for (member, value, field, code) in [
        ("heldOn", json!(people.day(2)), "heldOn", "in_the_future"),
        ("heldOn", json!(people.day(-368)), "heldOn", "too_long_ago"),
        ("heldOn", json!("0001-01-01"), "heldOn", "too_long_ago"),
        ("minutes", json!(0), "minutes", "out_of_range"),
        ("minutes", json!(1_441), "minutes", "out_of_range"),
        ("minutes", json!(i64::MIN), "minutes", "out_of_range"),
        ("areaCode", json!("乐平"), "areaCode", "area_unknown"),
        ("areaCode", json!(people.grid), "areaCode", "area_unknown"),
        ("areaCode", json!("140724"), "areaCode", "area_unknown"),
        ("areaCode", json!(format!("{}999", people.of_township())), "areaCode", "area_unknown"),
        ("title", json!(" "), "title", "required"),
        ("title", json!("长".repeat(61)), "title", "too_long"),
        ("organizer", json!("县\u{0}红十字会"), "organizer", "control_character"),
        ("personIds", json!([]), "personIds", "required"),
        ("personIds", json!(crowd), "personIds", "too_many"),
        ("personIds", json!([first, first]), "personIds[1]", "given_twice"),
        ("personIds", json!([first, NOTHING]), "personIds[1]", "not_a_volunteer"),
        ("personIds", json!([outsider]), "personIds[0]", "not_a_volunteer"),
    ] {
        let found = faults(&people.township, &with(&good, member, value));
        assert_eq!(found, [(field.to_owned(), code.to_owned())]);
    }
    // All of it is told at once, and everybody who cannot be recorded by his place.
    let mut bad = with(&good, "minutes", json!(-1));
    bad["personIds"] = json!([NOTHING, first, first, outsider]);
    let named = |field: &str, code: &str| (field.to_owned(), code.to_owned());
    let expected = [
        named("minutes", "out_of_range"),
        named("personIds[0]", "not_a_volunteer"),
        named("personIds[2]", "given_twice"),
        named("personIds[3]", "not_a_volunteer"),
    ];
    assert_eq!(faults(&people.township, &bad), expected);
    // To another township neither the area nor its people are there.
    let expected = [
        named("areaCode", "area_unknown"),
        named("personIds[0]", "not_a_volunteer"),
        named("personIds[1]", "not_a_volunteer"),
    ];
    assert_eq!(faults(&people.foreign, &good), expected);
    // A village keeps none for its township.
    let wide = with(&good, "areaCode", json!(people.of_township()));
    assert_eq!(faults(&people.village, &wide), [named("areaCode", "area_unknown")]);

    for bad in [
        with(&good, "heldOn", json!("2026-02-30")),
        with(&good, "minutes", json!("90")),
        with(&good, "personIds", json!(["王小明"])),
        with(&good, "points", json!(5)),
    ] {
        assert_eq!(people.township.post("/trainings", &bad).problem(400), "malformed_json", "{bad}");
    }
    let keyless = people.township.post_with("/trainings", &[], &good);
    assert_eq!(keyless.problem(400), "idempotency_key_required");
    assert_eq!(people.anonymous.post("/trainings", &good).problem(401), "unauthenticated");
    for stranger in [&people.resident, &people.volunteers[0], &people.auditor] {
        assert_eq!(stranger.post("/trainings", &good).problem(403), "forbidden");
    }
}

/// Once under one key, with what could give somebody away hidden; a suspended volunteer is recorded like any other.
fn recorded(people: &People) -> String {
    let suspended = json!({ "reason": "离队", "suspend": true });
    let path = format!("/volunteers/{}/transfer", people.ids[1]);
    assert_eq!(people.township.post(&path, &suspended).status, 200);
    let points = people.volunteers[0].get("/me/passbook").expect(200);
    let mut body = people.training();
    body["organizer"] = json!(format!("县红十字会 {PHONE}"));
    let made = people.township.post_twice("/trainings", &body).expect(201);
    assert_eq!((&made["attended"], &made["minutes"]), (&json!(2), &json!(90)), "{made}");
    assert_eq!(made["heldOn"], body["heldOn"], "{made}");
    let organizer = text(&made, "organizer");
    assert!(organizer.starts_with("县红十字会") && !organizer.contains(PHONE), "{organizer}");
    for absent in ["people", "voidedAt", "voidedBy", "voidReason"] {
        assert_eq!(made.get(absent), None, "{made}");
    }
    assert_eq!(ids(&people.township.get("/trainings").expect(200)), [text(&made, "id")], "one training");

    // Neither points nor hours come of it.
    assert_eq!(people.volunteers[0].get("/me/passbook").expect(200), points);
    assert_eq!(people.volunteers[0].get("/stars").expect(200)["minutes"], 0);
    text(&made, "id")
}

fn who_sees_it(people: &People, training: &str) {
    let path = format!("/trainings/{training}");
    for reader in [&people.village, &people.township, &people.admin, &people.auditor] {
        assert_eq!(ids(&reader.get("/trainings").expect(200)), [training]);
        let whole = reader.get(&path).expect(200);
        let attended = whole["people"].as_array().expect("people");
        let mut expected = people.ids[..2].to_vec();
        expected.sort();
        assert_eq!(attended.iter().map(|one| text(one, "personId")).collect::<Vec<_>>(), expected, "{whole}");
        for (one, id) in people.volunteers.iter().zip(&people.ids).take(2) {
            let me = one.get("/me").expect(200);
            let seen = attended.iter().find(|seen| seen["personId"] == **id).expect("he attended");
            assert_eq!(seen["badge"], me["badge"], "{whole}");
            assert!(!whole.to_string().contains(&text(&me, "name")), "no whole name: {whole}");
        }
    }
    assert_eq!(ids(&people.foreign.get("/trainings").expect(200)), Vec::<String>::new());
    for stranger in [&people.foreign, &people.volunteers[0], &people.resident] {
        assert_eq!(stranger.get(&path).problem(404), "not_found");
        let void = stranger.post(&format!("{path}/void"), &json!({ "reason": "有误" }));
        assert_eq!(void.problem(404), "not_found");
    }
    for stranger in [&people.volunteers[0], &people.resident] {
        assert_eq!(stranger.get("/trainings").problem(403), "forbidden");
    }
    assert_eq!(people.village.get("/trainings/x").problem(404), "not_found");
    assert_eq!(people.village.get(&format!("/trainings/{NOTHING}")).problem(404), "not_found");
    for bad in ["limit=0", "limit=101", "cursor=x", "colour=red"] {
        assert_eq!(people.village.get(&format!("/trainings?{bad}")).problem(400), "malformed_request");
        assert_eq!(people.village.get(&format!("/me/trainings?{bad}")).problem(400), "malformed_request");
    }
    let own = people.volunteers[0].get("/me/trainings").expect(200);
    assert_eq!(ids(&own), [training]);
    let members: Vec<&String> = items(&own)[0].as_object().expect("a training").keys().collect();
    assert_eq!(members, ["areaCode", "heldOn", "id", "minutes", "organizer", "title"], "{own}");
    for nobody in [&people.volunteers[2], &people.village, &people.resident] {
        assert_eq!(ids(&nobody.get("/me/trainings").expect(200)), Vec::<String>::new());
    }

    // What is held for the township is not the village's to see, though its people attended.
    let wide = with(&people.training(), "areaCode", json!(people.of_township()));
    let wide = text(&people.township.post("/trainings", &wide).expect(201), "id");
    assert_eq!(people.village.get(&format!("/trainings/{wide}")).problem(404), "not_found");
    assert_eq!(ids(&people.village.get("/trainings").expect(200)), [training]);
    let mistaken = json!({ "reason": "试录" });
    people.township.post(&format!("/trainings/{wide}/void"), &mistaken).expect(200);
}

/// The rows of the part `training`, as JSON.
fn rows(people: &People, more: Value) -> Vec<Value> {
    let mut body =
        json!({ "part": "training", "format": "json", "from": people.day(-30), "to": people.day(0) });
    for (member, value) in more.as_object().expect("an object") {
        body[member] = value.clone();
    }
    let told = people.admin.post("/exports/volunteer-record", &body).expect(200);
    told["rows"].as_array().expect("rows").clone()
}

/// A row for each who attended, of the area and the days that are asked for; what was taken back is not among them.
fn in_the_record(people: &People, training: &str, score: &impl Fn(&[&str]) -> Told) {
    let whole = people.village.get(&format!("/trainings/{training}")).expect(200);
    let found = rows(people, json!({}));
    assert_eq!(found.len(), 2, "{found:?}");
    for (one, row) in whole["people"].as_array().expect("people").iter().zip(&found) {
        let expected = json!({
            "volunteerNumber": one["badge"], "name": "急救知识培训", "on": whole["heldOn"], "minutes": 90,
            "organizer": whole["organizer"], "areaCode": people.of_village(),
        });
        assert_eq!(*row, expected);
    }
    assert_eq!(rows(people, json!({ "areaCode": people.grid })).len(), 2);
    let elsewhere = text(&people.foreign.get("/me").expect(200)["roles"][0], "areaCode");
    let none =
        [json!({ "areaCode": elsewhere }), json!({ "from": people.day(0) }), json!({ "to": people.day(-2) })];
    for more in none {
        assert_eq!(rows(people, more.clone()), Vec::<Value>::new(), "{more}");
    }
    assert_eq!(
        rows(people, json!({ "from": people.day(-1), "to": people.day(-1) })).len(),
        2,
        "that day alone"
    );

    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("record");
    let (from, to, path) = (people.day(-30), people.day(0), out.display().to_string());
    let told = score(&["record", "--from", &from, "--to", &to, "--out", &path]);
    assert!(told.success, "{told:?}");
    let table = fs::read_to_string(out.join("training.csv")).expect("a file");
    let number = text(&found[0], "volunteerNumber");
    let line = format!("\"{number}\",\"急救知识培训\",\"{}\",90,", people.day(-1));
    assert!(table.lines().count() == 3 && table.contains(&line), "{table}");
    let hours = fs::read_to_string(out.join("hours.csv")).expect("a file");
    assert_eq!(hours.lines().count(), 1, "no hours of service: {hours}");
}

/// By who keeps it, with a reason, once: of several at one moment one.
fn taken_back(people: &People, training: &str, sql: &impl Fn(&str) -> String) {
    let void = format!("/trainings/{training}/void");
    let reason = json!({ "reason": format!("重复录入，问{PHONE}") });
    assert_eq!(people.auditor.post(&void, &reason).problem(403), "forbidden");
    assert_eq!(people.village.post(&void, &json!({ "reason": " " })).problem(422), "invalid_fields");
    assert_eq!(people.village.post(&void, &json!({})).problem(400), "malformed_json");
    assert_eq!(people.village.post_with(&void, &[], &reason).problem(400), "idempotency_key_required");
    let gone = people.village.post_twice(&void, &reason).expect(200);
    let why = text(&gone, "voidReason");
    assert!(why.starts_with("重复录入") && !why.contains(PHONE), "{gone}");
    assert_eq!(gone["voidedBy"], people.village.get("/me").expect(200)["id"]);
    for again in [&people.village, &people.township, &people.admin] {
        assert_eq!(again.post(&void, &reason).problem(409), "training_voided");
    }
    let kept = people.auditor.get(&format!("/trainings/{training}")).expect(200);
    assert_eq!((&kept["voidedAt"], &kept["voidReason"]), (&gone["voidedAt"], &gone["voidReason"]));
    assert_eq!(kept["people"].as_array().map(Vec::len), Some(2), "it stays: {kept}");
    let own = people.volunteers[0].get("/me/trainings").expect(200);
    let taken = items(&own).iter().find(|one| one["id"] == training).expect("it stays");
    assert_eq!((&taken["voidedAt"], taken.get("voidReason")), (&gone["voidedAt"], None), "{own}");
    assert_eq!(rows(people, json!({})), Vec::<Value>::new());

    let another = text(&people.village.post("/trainings", &people.training()).expect(201), "id");
    let path = format!("/trainings/{another}/void");
    let mut statuses: Vec<u16> = scope(|scope| {
        let askers = [&people.village, &people.township, &people.admin, &people.village];
        let ask = |who: &Client| who.post(&path, &reason).status;
        let asks: Vec<_> = askers.into_iter().map(|who| scope.spawn(move || ask(who))).collect();
        asks.into_iter().map(|ask| ask.join().expect("an answer")).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409]);

    let log = |action: &str| sql(&format!("SELECT reason FROM audit WHERE action = '{action}'"));
    assert_eq!(sql("SELECT count(*) FROM audit WHERE action = 'training_recorded'"), "3");
    let noted = log("training_voided");
    assert_eq!(noted.lines().count(), 3, "{noted}");
    assert!(noted.contains("重复录入") && !noted.contains(PHONE), "{noted}");
}

/// The last recorded first, without gaps and without repetition.
fn pages(people: &People) {
    let before = ids(&people.village.get("/trainings?limit=100").expect(200));
    let body = with(&people.training(), "heldOn", json!(people.day(-365)));
    let mut all: Vec<String> =
        (0..5).map(|_| text(&people.village.post("/trainings", &body).expect(201), "id")).collect();
    all.extend(before);
    // Ids sort by time, to the millisecond.
    all.sort_by(|one, other| other.cmp(one));
    let listed = people.village.get("/trainings?limit=100").expect(200);
    let moment = |one: &Value| text(one, "recordedAt").parse::<DateTime<Utc>>().expect("a moment");
    let moments: Vec<DateTime<Utc>> = items(&listed).iter().map(moment).collect();
    assert!(moments.is_sorted_by(|one, next| one >= next), "{listed}");
    let reads = |who: &Client, path: &str| {
        let (mut found, mut page) = (Vec::new(), who.get(&format!("{path}?limit=2")).expect(200));
        loop {
            assert!(items(&page).len() <= 2, "{page}");
            found.extend(ids(&page));
            let Some(cursor) = page["nextCursor"].as_str() else { return found };
            page = who.get(&format!("{path}?limit=2&cursor={cursor}")).expect(200);
        }
    };
    assert_eq!(reads(&people.village, "/trainings"), all);
    let own = reads(&people.volunteers[0], "/me/trainings");
    assert_eq!(own.iter().filter(|id| all.contains(id)).cloned().collect::<Vec<_>>(), all);
    assert_eq!(own.len(), all.len() + 1, "the township's is his as well");
}

fn is_never_deleted(sql: &impl Fn(&str) -> String) {
    for table in ["trainee", "training"] {
        let before = sql(&format!("SELECT count(*) FROM {table}"));
        assert_ne!(before, "0");
        let deleted = catch_unwind(AssertUnwindSafe(|| sql(&format!("DELETE FROM {table}"))));
        assert!(deleted.is_err(), "{table} can be emptied");
        assert_eq!(sql(&format!("SELECT count(*) FROM {table}")), before);
    }
}
