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

/// A word that stands in whatever is said here by the volunteer or about him, and nowhere else.
const WORD: &str = "墨绿雨伞";
/// Texts of the newer books, in which it stands before he is erased.
const SAID: [&str; 9] = [
    "attendance.feedback",
    "patrol.summary",
    "patrol_note.place",
    "patrol_note.note",
    "score_claim.evidence",
    "score_claim.decision",
    "score_appeal.reason",
    "certificate.reason",
    "transfer.reason",
];

#[test]
fn the_newer_books_alone() {
    let demo = Demo::start();
    books(demo.base(), demo.accounts(), |statement| demo.sql(statement));
    let verified = demo.audit(&["verify"]);
    assert!(verified.success, "{verified:?}");
}

#[test]
fn the_newer_books_in_a_fleet() {
    let fleet = Fleet::start(1, 1);
    books(&fleet.bases()[0], fleet.accounts(), |statement| fleet.sql(statement));
    let rooted = fleet.audit(&["root"]);
    assert!(rooted.success, "{rooted:?}");
    let verified = fleet.audit(&["verify"]);
    assert!(verified.success, "{verified:?}");
}

struct Book {
    resident: Client,
    volunteer: Client,
    village: Client,
    township: Client,
    grid: String,
    id: String,
}

impl Book {
    /// By the server's clock: tests have none.
    fn ahead(&self, hours: i64) -> chrono::DateTime<chrono::FixedOffset> {
        let probe = self.village.get("/me");
        let date = probe.header("date").expect("every answer has a date");
        chrono::DateTime::parse_from_rfc2822(date).expect("a date") + chrono::TimeDelta::hours(hours)
    }

    fn today(&self) -> String {
        self.ahead(8).format("%Y-%m-%d").to_string()
    }

    /// A training of today that he attended.
    fn training(&self) -> Value {
        json!({ "areaCode": self.grid[..12], "title": "急救知识培训", "organizer": "县红十字会", "heldOn": self.today(),
            "minutes": 90, "personIds": [self.id] })
    }

    fn activity(&self) -> String {
        let activity = json!({ "areaCode": self.grid, "title": "河道清理", "content": "清理河道垃圾",
            "place": "村口广场", "startsAt": self.ahead(24).to_rfc3339(), "endsAt": self.ahead(26).to_rfc3339(),
            "capacity": 9 });
        let id = text(&self.village.post("/activities", &activity).expect(201), "id");
        self.volunteer.post(&format!("/activities/{id}/join"), &json!({})).expect(200);
        id
    }
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_else(|| panic!("no {member}: {value}")).to_owned()
}

/// How often the word stands in each of these columns.
fn standing(sql: &impl Fn(&str) -> String) -> Vec<(&'static str, i64)> {
    let count = |column: &'static str| {
        let (table, name) = column.split_once('.').expect("a table and a column");
        let found = sql(&format!("SELECT count(*) FROM {table} WHERE {name} LIKE '%{WORD}%'"));
        (column, found.parse().expect("a number"))
    };
    SAID.into_iter().map(count).collect()
}

fn books(base: &str, accounts: &Accounts, sql: impl Fn(&str) -> String) {
    let log_in = |account| Client::log_in(base, account);
    let volunteer = log_in(accounts.all("volunteer")[1]);
    let me = volunteer.get("/me").expect(200);
    let book = Book {
        resident: log_in(accounts.one("resident")),
        village: log_in(accounts.village_dispatcher()),
        township: log_in(accounts.township_dispatcher()),
        grid: accounts.grid().to_owned(),
        id: text(&me, "id"),
        volunteer,
    };
    let order = placed(&book.resident, accounts);
    serve(&book.resident, &book.volunteer, &order);
    write_books(&book, &sql);
    assert!(standing(&sql).iter().all(|(_, count)| *count > 0), "{:?}", standing(&sql));
    whole_copy(&book, &me);

    let totals = || {
        sql(
            "SELECT (SELECT count(*) FROM score_entry), (SELECT sum(points) FROM score_entry WHERE points > 0), \
             (SELECT sum(minutes) FROM attendance), (SELECT count(*) FROM patrol), (SELECT count(*) FROM patrol_note), \
             (SELECT count(*) FROM score_claim WHERE status = 'granted'), (SELECT count(*) FROM trainee)",
        )
    };
    let before = totals();
    assert_eq!(delete(&book.volunteer).status, 204);
    let left: Vec<_> = standing(&sql).into_iter().filter(|(_, count)| *count > 0).collect();
    assert!(left.is_empty(), "the word still stands in {left:?}");
    assert_eq!(totals(), before, "what counts for others stays");
    assert_eq!(sql("SELECT count(*) FROM patrol WHERE ended_at IS NULL"), "0", "nobody walks");
    assert_eq!(sql("SELECT count(*) FROM activity WHERE joined > 0"), "1", "his place is free again");
    assert_eq!(sql("SELECT count(*) FROM attendance"), "1", "what he did stays");
    book.village.get("/patrols").expect(200);
    let training = text(&book.village.get("/trainings").expect(200)["items"][0], "id");
    let training = book.village.get(&format!("/trainings/{training}")).expect(200);
    assert_eq!(
        training["people"],
        json!([{ "personId": book.id, "surname": "" }]),
        "he attended: {training}"
    );
    // Nothing more is recorded of him.
    let refused = book.village.post("/trainings", &book.training());
    assert_eq!(refused.problem(422), "invalid_fields");
    assert_eq!(refused.json()["errors"][0]["code"], "not_a_volunteer", "{}", refused.text());
    let claims = book.township.get("/score/claims").expect(200);
    assert!(!claims.to_string().contains(WORD), "{claims}");
}

/// Something of everything.
fn write_books(book: &Book, sql: &impl Fn(&str) -> String) {
    let done = book.activity();
    // It was held long ago, and he said how it was.
    let is_done = sql("SELECT count(*) FROM activity");
    assert_eq!(is_done, "1");
    let _ = sql(
        "UPDATE activity SET starts_at = '2026-01-03T00:00:00+00:00', ends_at = '2026-01-03T01:00:00+00:00'",
    );
    let _ = sql(&format!(
        "UPDATE attendance SET checked_in_at = '2026-01-03T00:00:00+00:00', feedback_at = \
         '2026-01-03T02:00:00+00:00', feedback = '{WORD}', minutes = 60"
    ));
    assert_ne!(book.activity(), done, "another one, ahead");

    let patrol = text(&book.volunteer.post("/patrols", &json!({})).expect(201), "id");
    let visit = json!({ "place": format!("{WORD}旁"), "note": format!("看到{WORD}") });
    book.volunteer.post(&format!("/patrols/{patrol}/visits"), &visit).expect(201);
    book.volunteer.post(&format!("/patrols/{patrol}/end"), &json!({ "summary": WORD })).expect(200);
    book.volunteer.post("/patrols", &json!({})).expect(201);

    let claim = |rule: &str| json!({ "ruleCode": rule, "happenedAt": book.ahead(-1).to_rfc3339(), "evidence": WORD, "personId": book.id });
    let grant = json!({ "grant": true, "reason": WORD });
    let own = text(&book.volunteer.post("/score/claims", &claim("701")).expect(201), "id");
    book.village.post(&format!("/score/claims/{own}/decide"), &grant).expect(200);
    let deduction = text(&book.village.post("/score/claims", &claim("D01")).expect(201), "id");
    let taken = book.township.post(&format!("/score/claims/{deduction}/decide"), &grant).expect(200);
    let appeal = json!({ "entryId": taken["entryId"], "reason": WORD });
    book.volunteer.post("/score/appeals", &appeal).expect(201);

    let span = json!({ "from": book.today(), "to": book.today() });
    let certificate = text(&book.volunteer.post("/certificates", &span).expect(201), "id");
    let refuse = json!({ "reason": WORD });
    book.village.post(&format!("/certificates/{certificate}/refuse"), &refuse).expect(200);
    book.village.post(&format!("/volunteers/{}/transfer", book.id), &refuse).expect(200);

    book.village.post("/trainings", &book.training()).expect(201);

    let preferences = json!({ "wechat": false, "sms": true }).to_string();
    let kept = book.volunteer.send("PUT", "/me/preferences", &[], preferences.as_bytes()).expect("an answer");
    assert_eq!(kept.status, 200, "{}", kept.text());
    let leave = json!({ "from": book.ahead(2_400).to_rfc3339(), "to": book.ahead(2_424).to_rfc3339() });
    book.volunteer.post("/me/leave", &leave).expect(201);
}

/// His copy has all of it, and nothing of anybody else.
fn whole_copy(book: &Book, me: &Value) {
    let copy = book.volunteer.post("/me/export", &json!({})).expect(200);
    let records = &copy["records"];
    let lengths: Vec<(&String, usize)> = records
        .as_object()
        .expect("records")
        .iter()
        .map(|(name, list)| (name, list.as_array().expect("a list").len()))
        .collect();
    let wanted = [
        ("activities", 2),
        ("appeals", 1),
        ("badges", 1),
        ("certificates", 1),
        ("claims", 2),
        ("holds", 0),
        ("leaves", 1),
        ("objections", 0),
        ("patrols", 2),
        ("redemptions", 0),
        ("stars", 0),
        ("trainings", 1),
    ];
    let lengths: Vec<(&str, usize)> = lengths.iter().map(|(name, length)| (name.as_str(), *length)).collect();
    assert_eq!(lengths, wanted, "{records}");
    let held = &records["activities"][0];
    assert_eq!((&held["feedback"], &held["minutes"]), (&json!(WORD), &json!(60)), "{held}");
    assert_eq!(records["patrols"][0]["notes"][0]["note"], format!("看到{WORD}"), "{records}");
    assert_eq!(records["patrols"][1].get("endedAt"), None, "{records}");
    assert_eq!(records["claims"][0]["evidence"], WORD, "{records}");
    assert_eq!(records["certificates"][0]["status"], "refused", "{records}");
    assert_eq!(records["badges"][0]["number"], me["badge"], "{records}");
    let training = &records["trainings"][0];
    assert_eq!((&training["title"], &training["minutes"]), (&json!("急救知识培训"), &json!(90)), "{records}");
    assert_eq!(training.get("voidedAt"), None, "{records}");
    assert_eq!(copy["preferences"]["wechat"], false, "{copy}");
    assert!(copy["points"]["held"].is_i64(), "{copy}");
    let others = [text(&book.village.get("/me").expect(200), "id"), PHONE.to_owned(), NAME.to_owned()];
    for other in others {
        assert!(!records.to_string().contains(&other), "{other} in {records}");
    }
}
