//! Guards over HTTP, as they are set by default, on both sizes: what looks too good to be true goes on hold with its
//! reason, and a second person releases or voids it. Then rules with conditions and caps, from a sheet.

use std::{
    fs,
    io::Cursor,
    path::Path,
    thread::{scope, sleep},
    time::{Duration, Instant},
};

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use serde_json::{Value, json};
use xingfuma_tests::{
    client::{Accounts, Client, IDEMPOTENCY_KEY, fresh_key},
    program::{Demo, Fleet, NO_GUARDS},
};

const SOON: Duration = Duration::from_secs(15);
const LIMITS: (&str, &str) = ("XINGFUMA_LIMITS__FACTOR", "100000");

struct Stage<'a> {
    resident: Client,
    first: Client,
    second: Client,
    village: Client,
    township: Client,
    foreign: Client,
    auditor: Client,
    sign: String,
    sql: &'a dyn Fn(&str) -> String,
    postgres: bool,
}

impl<'a> Stage<'a> {
    fn set(bases: &[String], accounts: &Accounts, sql: &'a dyn Fn(&str) -> String, postgres: bool) -> Self {
        let at = |account, number: usize| Client::log_in(&bases[0], account).at(&bases[number % bases.len()]);
        let volunteers = accounts.all("volunteer");
        Self {
            resident: at(accounts.one("resident"), 0),
            first: at(volunteers[0], 1),
            second: at(volunteers[1], 0),
            village: at(accounts.village_dispatcher(), 1),
            township: at(accounts.township_dispatcher(), 0),
            foreign: at(accounts.foreign_dispatcher(), 1),
            auditor: at(accounts.one("auditor"), 0),
            sign: accounts.sign().to_owned(),
            sql,
            postgres,
        }
    }

    /// An order of `by`, accepted by `worker`.
    fn accepted(&self, by: &Client, worker: &Client, urgency: &str) -> String {
        let scanned = by.get(&format!("/signs/{}", self.sign)).expect(200);
        let categories = scanned["categories"].as_array().expect("categories");
        let plain = categories.iter().find(|category| category["kind"] == "service").expect("a service");
        let body = json!({ "signCode": self.sign, "categoryCode": plain["code"], "description": "代取快递",
            "urgency": urgency, "contact": { "name": "王秀英", "phone": "15419999876" } });
        let order = text(&by.post("/orders", &body).expect(201), "id");
        let path = format!("/orders/{order}");
        let begun = Instant::now();
        let team = loop {
            let seen = self.village.get(&path).expect(200);
            if seen["status"] == "dispatched" {
                break text(&seen["team"], "id");
            }
            assert!(begun.elapsed() < SOON, "nobody was sought: {seen}");
            sleep(Duration::from_millis(20));
        };
        let named = json!({ "teamId": team, "volunteerId": id_of(worker), "reason": "由他来办" });
        self.village.post(&format!("{path}/dispatch"), &named).expect(200);
        worker.post(&format!("{path}/accept"), &json!({})).expect(200);
        order
    }

    /// As if the order had been accepted so many hours ago: an hour of service fits in then.
    fn long_ago(&self, order: &str, hours: i64) {
        let id = if self.postgres { format!("'{order}'") } else { format!("x'{}'", order.replace('-', "")) };
        let snapshot = (self.sql)(&format!("SELECT snapshot FROM orders WHERE id = {id}"));
        let read: Value = serde_json::from_str(&snapshot).expect("a snapshot");
        let accepted = find(&read, "acceptedAt").expect("when it was accepted");
        let at = chrono::DateTime::parse_from_rfc3339(&accepted).expect("a time");
        let before = (at - chrono::TimeDelta::hours(hours)).to_utc().to_rfc3339();
        let changed = snapshot.replace(&accepted, &before).replace('\'', "''");
        let _ = (self.sql)(&format!("UPDATE orders SET snapshot = '{changed}' WHERE id = {id}"));
    }

    fn complete(&self, order: &str, worker: &Client, minutes: i64) {
        let done = json!({ "summary": "已送到", "minutes": minutes });
        worker.post(&format!("/orders/{order}/complete"), &done).expect(200);
    }

    fn rate(&self, order: &str, by: &Client) {
        by.post(&format!("/orders/{order}/rate"), &json!({ "stars": 5, "solved": true })).expect(200);
    }

    fn ago(&self, seconds: i64) -> String {
        let probe = self.first.get("/me/passbook");
        let now =
            chrono::DateTime::parse_from_rfc2822(probe.header("date").expect("a date")).expect("a date");
        (now - chrono::TimeDelta::seconds(seconds)).to_rfc3339()
    }

    fn granted(&self, by: &Client, rule: &str, seconds_ago: i64, evidence: &str) -> Value {
        let claim = json!({ "ruleCode": rule, "happenedAt": self.ago(seconds_ago), "evidence": evidence });
        let claim = text(&by.post("/score/claims", &claim).expect(201), "id");
        let grant = json!({ "grant": true, "reason": "属实" });
        self.village.post(&format!("/score/claims/{claim}/decide"), &grant).expect(200)
    }
}

fn find(value: &Value, member: &str) -> Option<String> {
    match value {
        Value::Object(all) => all.iter().find_map(|(name, value)| {
            if name == member { value.as_str().map(str::to_owned) } else { find(value, member) }
        }),
        Value::Array(all) => all.iter().find_map(|value| find(value, member)),
        _ => None,
    }
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_else(|| panic!("no {member}: {value}")).to_owned()
}

fn id_of(person: &Client) -> String {
    text(&person.get("/me").expect(200), "id")
}

/// The line of an order and a rule in somebody's passbook.
fn line(person: &Client, order: &str, rule: &str) -> Option<Value> {
    let book = person.get("/me/passbook?limit=100").expect(200);
    let entries = book["entries"].as_array().expect("entries");
    entries
        .iter()
        .find(|line| line["orderId"] == order && line["rule"] == rule && line["cause"] == rule)
        .cloned()
}

fn standing(person: &Client) -> (i64, i64, i64) {
    let book = person.get("/me/passbook").expect(200);
    let of = |member: &str| book[member].as_i64().expect("points");
    (of("assessment"), of("spendable"), of("held"))
}

#[test]
fn guards_alone() {
    let demo = Demo::start_with(&[LIMITS]);
    let sql = |statement: &str| demo.sql(statement);
    story(&Stage::set(&[demo.base().to_owned()], demo.accounts(), &sql, false));
    let told = demo.audit(&["verify"]);
    assert!(told.success && told.printed.contains("the ledger is in order"), "{told:?}");
}

#[test]
fn guards_in_a_fleet() {
    let fleet = Fleet::start_with(2, 1, &[LIMITS]);
    let sql = |statement: &str| fleet.sql(statement);
    story(&Stage::set(&fleet.bases(), fleet.accounts(), &sql, true));
    let told = fleet.audit(&["root"]);
    assert!(told.success, "{told:?}");
    let told = fleet.audit(&["verify"]);
    assert!(told.success && told.printed.contains("the ledger is in order"), "{told:?}");
}

fn story(stage: &Stage<'_>) {
    too_quick(stage);
    overlap(stage);
    ring(stage);
    split(stage);
    back_dated(stage);
    photos(stage);
}

/// Forty minutes of service within a second: on hold, with the rating's points, until somebody has looked at both.
fn too_quick(stage: &Stage<'_>) {
    let first = &stage.first;
    let before = standing(first);
    let order = stage.accepted(&stage.resident, first, "normal");
    stage.complete(&order, first, 40);
    stage.rate(&order, &stage.resident);
    let done = line(first, &order, "609").expect("a line");
    let rated = line(first, &order, "610").expect("a line");
    for (line, points) in [(&done, 3), (&rated, 1)] {
        assert_eq!((&line["held"], &line["heldReason"]), (&json!(true), &json!("too_quick")), "{line}");
        assert_eq!((&line["points"], &line["handMade"]), (&json!(points), &json!(false)), "{line}");
    }
    assert_eq!(standing(first), (before.0, before.1, before.2 + 4));
    let entry = text(&done, "id");
    let why = first.get(&format!("/score/entries/{entry}/why")).expect(200);
    assert_eq!(
        (&why["hold"]["reason"], &why["hold"]["status"]),
        (&json!("too_quick"), &json!("pending")),
        "{why}"
    );
    assert_eq!(why["agrees"], true, "{why}");

    let (path, decide) = (format!("/score/holds/{entry}"), format!("/score/holds/{entry}/decide"));
    let release = json!({ "release": true, "reason": "电话核实，确已送到" });
    for stranger in [&stage.resident, &stage.second, &stage.foreign] {
        assert_eq!(stranger.get(&path).problem(404), "not_found");
        assert_eq!(stranger.post(&decide, &release).problem(404), "not_found");
        assert_eq!(stranger.get("/score/holds?pending=true").expect(200)["items"], json!([]));
    }
    assert_eq!(first.get(&path).expect(200)["reason"], "too_quick");
    assert_eq!(first.post(&decide, &release).problem(403), "own_decision");
    assert_eq!(stage.auditor.post(&decide, &release).problem(403), "forbidden");
    let blank = json!({ "release": true, "reason": " " });
    assert_eq!(stage.village.post(&decide, &blank).problem(422), "invalid_fields");
    assert_eq!(stage.village.post_with(&decide, &[], &release).problem(400), "idempotency_key_required");
    let waits = stage.village.get("/score/holds?pending=true").expect(200);
    let waiting: Vec<&Value> = waits["items"].as_array().expect("items").iter().collect();
    assert_eq!(waiting.len(), 2, "{waits}");

    let key = fresh_key();
    let released = stage.village.post_with(&decide, &[(IDEMPOTENCY_KEY, &key)], &release);
    assert_eq!(released.expect(200)["status"], "released");
    let again = stage.village.post_with(&decide, &[(IDEMPOTENCY_KEY, &key)], &release);
    assert_eq!((again.text(), again.header("idempotent-replayed")), (released.text(), Some("true")));
    assert_eq!(stage.township.post(&decide, &release).problem(409), "hold_not_pending");
    assert_eq!(standing(first), (before.0 + 3, before.1 + 3, before.2 + 1));
    let now = line(first, &order, "609").expect("a line");
    assert_eq!((&now["held"], now.get("heldReason")), (&json!(false), None), "{now}");

    let rated = text(&rated, "id");
    let void = json!({ "release": false, "reason": "评价不实" });
    let voided = stage.township.post(&format!("/score/holds/{rated}/decide"), &void).expect(200);
    assert_eq!((&voided["status"], &voided["decision"]), (&json!("voided"), &json!("评价不实")), "{voided}");
    assert_eq!(standing(first), (before.0 + 3, before.1 + 3, before.2));
    let why = first.get(&format!("/score/entries/{rated}/why")).expect(200);
    assert_eq!(
        (&why["hold"]["status"], &why["hold"]["decision"]),
        (&json!("voided"), &json!("评价不实")),
        "{why}"
    );
}

/// Two services of nearly two hours each do not fit into two hours; a short one beside the first does.
fn overlap(stage: &Stage<'_>) {
    let second = &stage.second;
    let orders: Vec<String> = (0..3).map(|_| stage.accepted(&stage.resident, second, "normal")).collect();
    orders.iter().for_each(|order| stage.long_ago(order, 2));
    for (order, minutes, reason) in
        [(&orders[0], 110, None), (&orders[1], 110, Some("overlap")), (&orders[2], 5, None)]
    {
        stage.complete(order, second, minutes);
        let line = line(second, order, "609").expect("a line");
        assert_eq!(line.get("heldReason").and_then(Value::as_str), reason, "{line}");
    }
}

/// Two volunteers who order from each other and praise each other: the second praise is looked at.
fn ring(stage: &Stage<'_>) {
    for (orders, serves, reason) in
        [(&stage.first, &stage.second, None), (&stage.second, &stage.first, Some("rating_ring"))]
    {
        let order = stage.accepted(orders, serves, "normal");
        stage.long_ago(&order, 30);
        stage.complete(&order, serves, 5);
        stage.rate(&order, orders);
        let line = line(serves, &order, "610").expect("a line");
        assert_eq!(line.get("heldReason").and_then(Value::as_str), reason, "{line}");
    }
}

/// One visit claimed twice: the second is held, by hand as it is; whoever decided the claim does not decide that.
fn split(stage: &Stage<'_>) {
    let words = "上午走访三组独居老人张大爷家，测量血压，打扫院子";
    let whole = stage.granted(&stage.first, "701", 3_600, words);
    let piece = stage.granted(&stage.first, "701", 3_600, &format!("{words}，聊天"));
    let hold = |granted: &Value| stage.township.get(&format!("/score/holds/{}", text(granted, "entryId")));
    assert_eq!(hold(&whole).problem(404), "not_found");
    let held = hold(&piece).expect(200);
    assert_eq!((&held["reason"], &held["handMade"]), (&json!("claim_split"), &json!(true)), "{held}");
    let entry = text(&piece, "entryId");
    let why = stage.first.get(&format!("/score/entries/{entry}/why")).expect(200);
    assert_eq!(
        (&why["entry"]["handMade"], &why["hold"]["reason"]),
        (&json!(true), &json!("claim_split")),
        "{why}"
    );
    let decide = format!("/score/holds/{entry}/decide");
    let void = json!({ "release": false, "reason": "同一次走访" });
    assert_eq!(stage.village.post(&decide, &void).problem(403), "own_decision");
    stage.township.post(&decide, &void).expect(200);
    // What answers it is by hand, too: the line of the loss says so.
    let book = stage.first.get("/me/passbook?limit=100").expect(200);
    let lost = book["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .find(|line| line["cause"] == "void" && line["rule"] == "701");
    assert_eq!(lost.expect("a line")["handMade"], true, "{book}");
}

/// The fifth claim within a day about days long past.
fn back_dated(stage: &Stage<'_>) {
    let entries = ["702", "703", "704", "705", "706"].map(|rule| {
        let granted = stage.granted(&stage.second, rule, 10 * 86_400, &format!("任务{rule}"));
        text(&granted, "entryId")
    });
    for (n, entry) in entries.iter().enumerate() {
        let hold = stage.township.get(&format!("/score/holds/{entry}"));
        if n < 4 {
            assert_eq!(hold.problem(404), "not_found");
        } else {
            assert_eq!(hold.expect(200)["reason"], "back_dated");
        }
    }
}

/// A photo; each seed shows something else, whatever its size and its kind of file.
fn photo(seed: u64, width: u32, kind: ImageFormat) -> Vec<u8> {
    let height = width * 3 / 4;
    let square = |x: u32, y: u32| {
        let mut mixed = seed * 1_000 + u64::from(x * 9 / width) * 10 + u64::from(y * 8 / height);
        for _ in 0..3 {
            mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
        (mixed >> 56) as u8
    };
    let picture = RgbImage::from_fn(width, height, |x, y| Rgb([square(x, y); 3]));
    let mut file = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(picture).write_to(&mut file, kind).expect("it is encoded");
    file.into_inner()
}

/// An order of the resident's that was accepted days ago: five minutes fit in whatever else was served.
fn accepted_days_ago(stage: &Stage<'_>, worker: &Client) -> String {
    let order = stage.accepted(&stage.resident, worker, "normal");
    stage.long_ago(&order, 90);
    order
}

/// Completes an order with a photo; answers why its points are held.
fn complete_with(order: &str, worker: &Client, file: &[u8]) -> Option<String> {
    let photo = text(&worker.upload(file).expect(201), "id");
    let done = json!({ "summary": "已送到", "minutes": 5, "mediaIds": [photo] });
    worker.post(&format!("/orders/{order}/complete"), &done).expect(200);
    let line = line(worker, order, "609").expect("a line");
    assert_eq!(line["held"], line.get("heldReason").is_some(), "{line}");
    line.get("heldReason").and_then(Value::as_str).map(str::to_owned)
}

/// A photo proves one service: used again, whole or made smaller, by the same person or another, it holds the points.
fn photos(stage: &Stage<'_>) {
    let (first, second) = (&stage.first, &stage.second);
    let reused = Some("photo_reused".to_owned());
    let served = |worker: &Client, file: &[u8]| {
        let order = accepted_days_ago(stage, worker);
        let held = complete_with(&order, worker, file);
        (order, held)
    };
    let (proved, held) = served(first, &photo(1, 640, ImageFormat::Jpeg));
    assert_eq!(held, None, "nobody used it before");
    let (again, held) = served(second, &photo(1, 320, ImageFormat::Png));
    assert_eq!(held, reused, "another person, another size, another kind of file");
    assert_eq!(served(first, &photo(1, 640, ImageFormat::Jpeg)).1, reused, "the same person");
    assert_eq!(served(first, &photo(2, 640, ImageFormat::Jpeg)).1, None, "another photo");

    // Who reviews it sees what it is about.
    let seen = stage.township.get(&format!("/orders/{again}/media")).expect(200);
    let alike = seen["items"][0]["lookAlikes"].as_array().expect("look-alikes");
    assert!(alike.iter().any(|other| other["orderId"] == proved), "{seen}");
    let entry = text(&line(second, &again, "609").expect("a line"), "id");
    let hold = stage.township.get(&format!("/score/holds/{entry}")).expect(200);
    assert_eq!((&hold["reason"], &hold["status"]), (&json!("photo_reused"), &json!("pending")), "{hold}");
    let release = json!({ "release": true, "reason": "同一院墙，两次服务" });
    let released = stage.township.post(&format!("/score/holds/{entry}/decide"), &release).expect(200);
    assert_eq!(released["status"], "released", "{released}");

    // What the resident photographed is no proof.
    let wished = photo(3, 640, ImageFormat::Jpeg);
    let order = accepted_days_ago(stage, first);
    let id = text(&stage.resident.upload(&wished).expect(201), "id");
    let scanned = stage.resident.get(&format!("/signs/{}", stage.sign)).expect(200);
    let categories = scanned["categories"].as_array().expect("categories");
    let service = categories.iter().find(|category| category["kind"] == "service").expect("a service");
    let placed = json!({ "signCode": stage.sign, "categoryCode": service["code"], "description": "院门坏了",
        "contact": { "name": "王秀英", "phone": "15419999876" }, "mediaIds": [id] });
    stage.resident.post("/orders", &placed).expect(201);
    assert_eq!(complete_with(&order, first, &wished), None);

    at_one_moment(stage);
    claimed_with_photos(stage);
    // A year and more later it is another matter.
    let _ =
        (stage.sql)("UPDATE media SET attached_at = '2020-01-01T00:00:00+00:00' WHERE purpose = 'completed'");
    assert_eq!(served(second, &photo(1, 640, ImageFormat::Jpeg)).1, None, "long ago");
}

/// A claim shows photos as well: one that completed an order, or that another claim shows, holds the claim's points.
fn claimed_with_photos(stage: &Stage<'_>) {
    let (first, second) = (&stage.first, &stage.second);
    let claim = |by: &Client, rule: &str, file: &[u8]| {
        let id = text(&by.upload(file).expect(201), "id");
        let body = json!({ "ruleCode": rule, "happenedAt": stage.ago(3_600), "evidence": "走访记录",
            "mediaIds": [id] });
        let made = by.post("/score/claims", &body).expect(201);
        assert_eq!(made["mediaIds"], json!([id]), "{made}");
        let again = by.post("/score/claims", &body);
        assert_eq!(again.problem(422), "invalid_fields");
        assert_eq!(again.json()["errors"][0]["code"], "media_attached");
        (text(&made, "id"), id)
    };
    let decide = |claim: &str, grant: bool| {
        let body = json!({ "grant": grant, "reason": "已看照片" });
        stage.village.post(&format!("/score/claims/{claim}/decide"), &body).expect(200)
    };
    let reason = |granted: &Value| {
        let hold = stage.township.get(&format!("/score/holds/{}", text(granted, "entryId")));
        if hold.status == 404 { None } else { Some(text(&hold.expect(200), "reason")) }
    };
    let reused = Some("photo_reused".to_owned());
    let (of_order, _) = claim(second, "707", &photo(1, 480, ImageFormat::Jpeg));
    assert_eq!(reason(&decide(&of_order, true)), reused, "it completed an order");

    let (own, shown) = claim(first, "708", &photo(40, 640, ImageFormat::Jpeg));
    // Who sees the claim sees its photo; nobody else does.
    assert_eq!(stage.village.get(&format!("/media/{shown}")).status, 200);
    for stranger in [second, &stage.foreign, &stage.resident] {
        assert_eq!(stranger.get(&format!("/media/{shown}")).problem(404), "not_found");
    }
    let (copied, _) = claim(second, "708", &photo(40, 320, ImageFormat::Png));
    assert_eq!(reason(&decide(&own, true)), None, "the first of the two");
    assert_eq!(reason(&decide(&copied, true)), reused, "the second");
    let order = accepted_days_ago(stage, second);
    assert_eq!(complete_with(&order, second, &photo(40, 640, ImageFormat::Jpeg)), reused, "and an order");

    // What was refused proved nothing.
    let (refused, _) = claim(first, "709", &photo(41, 640, ImageFormat::Jpeg));
    decide(&refused, false);
    let (honest, _) = claim(second, "709", &photo(41, 640, ImageFormat::Jpeg));
    assert_eq!(reason(&decide(&honest, true)), None);
}

/// Two who complete two orders with one photo at one moment: one of them is held, never both, never none.
fn at_one_moment(stage: &Stage<'_>) {
    for seed in 10..14 {
        let orders = [&stage.first, &stage.second].map(|worker| (accepted_days_ago(stage, worker), worker));
        let file = photo(seed, 640, ImageFormat::Jpeg);
        let held: Vec<Option<String>> = scope(|threads| {
            let each = orders.each_ref().map(|(order, worker)| {
                let file = &file;
                threads.spawn(move || complete_with(order, worker, file))
            });
            each.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        let reasons: Vec<&str> = held.iter().flatten().map(String::as_str).collect();
        assert_eq!(reasons, ["photo_reused"], "photo {seed}: {held:?}");
    }
}

/// The sample's rules, with a cap for the day on 609 and a bonus for pressing orders beside it.
fn own_rules(directory: &Path) {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/domain/data/rules");
    let read = |name: &str| fs::read_to_string(rules.join(name)).expect("the sample's sheet");
    let each = |sheet: String, heading: &str, change: &dyn Fn(&str) -> String| {
        let lines = sheet.lines().map(|line| match line {
            comment if comment.starts_with('#') || comment.is_empty() => comment.to_owned(),
            head if head.starts_with("code,") => format!("{head},{heading}"),
            line => change(line),
        });
        lines.collect::<Vec<_>>().join("\n") + "\n"
    };
    let base = each(read("base_tasks.csv"), "daily_cap", &|line| {
        if line.starts_with("609,") { format!("{line},4") } else { format!("{line},") }
    });
    let mut bonus = each(read("bonuses_and_deductions.csv"), "order_cap,min_minutes,urgency", &|line| {
        format!("{line},,,")
    });
    bonus.push_str("B11,bonus,紧急服务,2,20,no,completed,2,30,urgent|priority\n");
    fs::write(directory.join("base_tasks.csv"), base).expect("written");
    fs::write(directory.join("bonuses_and_deductions.csv"), bonus).expect("written");
}

fn conditions_and_caps(stage: &Stage<'_>) {
    let first = &stage.first;
    let score = |urgency: &str, minutes: i64| {
        let order = stage.accepted(&stage.resident, first, urgency);
        stage.complete(&order, first, minutes);
        let points = |rule| line(first, &order, rule).map(|line| line["points"].as_i64().expect("points"));
        (points("609"), points("B11"))
    };
    assert_eq!(score("normal", 40), (Some(3), None), "not pressing");
    assert_eq!(score("priority", 29), (Some(1), None), "too short; and four points are all of a day");
    assert_eq!(score("priority", 30), (Some(0), Some(2)));
    let rules = first.get("/score/rules").expect(200);
    let items = rules["items"].as_array().expect("items");
    let rule = items.iter().find(|rule| rule["code"] == "B11").expect("the rule");
    assert_eq!(rule["trigger"], "completed");
    assert_eq!(rule["conditions"], json!({ "minMinutes": 30, "urgency": ["urgent", "priority"] }));
    let book = first.get("/me/passbook").expect(200);
    for line in book["entries"].as_array().expect("entries") {
        let why = first.get(&format!("/score/entries/{}/why", text(line, "id"))).expect(200);
        assert_eq!((&why["agrees"], &why["recomputed"]), (&json!(true), &line["points"]), "{why}");
    }
}

#[test]
fn rules_with_conditions_and_caps_alone() {
    let own = tempfile::tempdir().expect("a directory");
    own_rules(own.path());
    let directory = own.path().display().to_string();
    let settings = [&NO_GUARDS[..], &[LIMITS, ("XINGFUMA_SCORE__RULES", directory.as_str())]].concat();
    let demo = Demo::start_with(&settings);
    let sql = |statement: &str| demo.sql(statement);
    conditions_and_caps(&Stage::set(&[demo.base().to_owned()], demo.accounts(), &sql, false));
}

#[test]
fn rules_with_conditions_and_caps_in_a_fleet() {
    let own = tempfile::tempdir().expect("a directory");
    own_rules(own.path());
    let directory = own.path().display().to_string();
    let settings = [&NO_GUARDS[..], &[LIMITS, ("XINGFUMA_SCORE__RULES", directory.as_str())]].concat();
    let fleet = Fleet::start_with(2, 1, &settings);
    let sql = |statement: &str| fleet.sql(statement);
    conditions_and_caps(&Stage::set(&fleet.bases(), fleet.accounts(), &sql, true));
}
