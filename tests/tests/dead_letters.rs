//! An order that cannot be dispatched however often it is tried: it holds nobody up, is set aside, can be looked at, and
//! finishes when it is given back after the cause was mended. On both sizes, by the API and by the command.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use xingfuma_tests::{
    client::{Accounts, Client, IDEMPOTENCY_KEY, fresh_key},
    program::{Demo, Fleet, Told},
};

/// By this word the database knows which orders it is to refuse.
const POISON: &str = "投毒演练";
/// How long a good neighbour may take meanwhile.
const NEIGHBOUR_WITHIN: Duration = Duration::from_secs(10);
/// Five deliveries, three seconds apart, on a busy machine.
const SET_ASIDE_WITHIN: Duration = Duration::from_secs(60);

/// Refuses every event but the first of a poisoned order, as a rule of the database would.
const POISON_SQLITE: &str = "CREATE TRIGGER poison BEFORE INSERT ON order_event WHEN NEW.seq > 1 AND EXISTS \
    (SELECT 1 FROM orders o WHERE o.id = NEW.order_id AND o.description LIKE '投毒演练%') \
    BEGIN SELECT RAISE(ABORT, 'poisoned'); END";
const POISON_POSTGRES: &str = "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
    IF NEW.seq > 1 AND EXISTS (SELECT 1 FROM orders o WHERE o.id = NEW.order_id AND o.description LIKE '投毒演练%') \
    THEN RAISE EXCEPTION 'poisoned'; END IF; RETURN NEW; END $$; \
    CREATE TRIGGER poison BEFORE INSERT ON order_event FOR EACH ROW EXECUTE FUNCTION poison()";

#[test]
fn poison_alone() {
    let demo = Demo::start();
    let sql = |statement: &str| demo.sql(statement);
    let _ = sql(POISON_SQLITE);
    let mend = || _ = sql("DROP TRIGGER poison");
    story(demo.base(), demo.accounts(), &mend, &|words| demo.run(words, &[]));
}

#[test]
fn poison_in_a_fleet() {
    let mut fleet = Fleet::start(1, 0);
    let metrics = free_address();
    let listen = [("XINGFUMA_METRICS__LISTEN".to_owned(), metrics.clone())];
    let worker = fleet.start_worker("told", &listen);
    fleet.workers.push(worker);
    let _ = fleet.sql(POISON_POSTGRES);
    let mend = || _ = fleet.sql("DROP TRIGGER poison ON order_event");
    let command = |words: &[&str]| fleet.run(words, &[]);
    story(&fleet.bases()[0], fleet.accounts(), &mend, &command);
    let server = |name: &str| value(&fleet.bases()[0], name);
    assert_eq!(server("xingfuma_dead_letters "), 0.0, "all were given back");
    assert_eq!(server("xingfuma_waiting_orders "), 0.0);
    assert_eq!(server("xingfuma_oldest_waiting_seconds "), 0.0);
    assert_eq!(server("xingfuma_queue{state=\"dead\"}"), 0.0, "the queue forgot them, too");
    // What a worker did, told by itself.
    let worker = format!("http://{metrics}");
    assert_eq!(value(&worker, "xingfuma_dead_letters_total "), 2.0);
    assert!(value(&worker, "xingfuma_reclaims_total ") >= 8.0, "four times each");
    assert!(
        value(&worker, "xingfuma_dispatch_seconds_count ") >= 7.0,
        "two that were given back and their neighbours"
    );
    assert_eq!(Client::anonymous(&worker).get_outside("/livez").expect("an answer").status, 200);
    assert_eq!(Client::anonymous(&worker).get_outside("/api/v1/categories").expect("an answer").status, 404);
}

/// The value of a metric as a process tells it.
fn value(base: &str, name: &str) -> f64 {
    let metrics = Client::anonymous(base).get_outside("/metrics").expect("an answer").text();
    let line = metrics.lines().find(|line| line.starts_with(name));
    let line = line.unwrap_or_else(|| panic!("no {name}: {metrics}"));
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
}

/// An address at which nobody listened a moment ago.
fn free_address() -> String {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free loopback port");
    listener.local_addr().expect("its address").to_string()
}

fn place(resident: &Client, accounts: &Accounts, text: &str) -> String {
    let order = json!({ "signCode": accounts.sign(), "categoryCode": "errand", "description": text });
    resident.post("/orders", &order).expect(201)["id"].as_str().expect("an id").to_owned()
}

fn wait_for(what: &str, within: Duration, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < within, "{what}: not within {within:?}");
        sleep(Duration::from_millis(50));
    }
}

fn status(client: &Client, order: &str) -> String {
    client.get(&format!("/orders/{order}")).expect(200)["status"].as_str().expect("a status").to_owned()
}

fn letters(admin: &Client) -> Vec<Value> {
    admin.get("/dispatch/dead-letters").expect(200)["items"].as_array().expect("items").clone()
}

fn story(base: &str, accounts: &Accounts, mend: &dyn Fn(), command: &dyn Fn(&[&str]) -> Told) {
    let resident = Client::log_in(base, accounts.one("resident"));
    let admin = Client::log_in(base, accounts.one("county_admin"));
    let village = Client::log_in(base, accounts.village_dispatcher());
    let poisoned = [place(&resident, accounts, POISON), place(&resident, accounts, &format!("{POISON} 二"))];

    // Neighbours that come with it and after it are dispatched as ever.
    for number in 0..5 {
        let good = place(&resident, accounts, &format!("代买一袋米 {number}"));
        wait_for("a neighbour", NEIGHBOUR_WITHIN, || status(&resident, &good) == "dispatched");
    }
    wait_for("set aside", SET_ASIDE_WITHIN, || letters(&admin).len() == 2);
    let found = letters(&admin);
    for (letter, order) in found.iter().zip(&poisoned) {
        assert_eq!(letter["orderId"], *order, "oldest first");
        assert_eq!(letter["kind"], "dispatch");
        assert!(letter["reason"].as_str().expect("a reason").contains("poisoned"), "{letter}");
        assert!(letter["deadAt"].is_string(), "{letter}");
    }
    let page = admin.get("/dispatch/dead-letters?limit=1").expect(200);
    let cursor = page["nextCursor"].as_str().expect("another page");
    let second = admin.get(&format!("/dispatch/dead-letters?limit=1&cursor={cursor}")).expect(200);
    assert_eq!(second["items"][0]["orderId"], *poisoned[1]);

    // The board says why, too; only administrators and auditors see the letters, only administrators replay.
    let board = village.get("/dispatch/board?limit=100").expect(200);
    let item =
        board["items"].as_array().expect("items").iter().find(|item| item["order"]["id"] == *poisoned[0]);
    assert!(item.expect("on the board")["stuck"].as_str().is_some_and(|stuck| stuck.contains("poisoned")));
    let path = format!("/dispatch/dead-letters/{}/replay", poisoned[0]);
    assert_eq!(village.get("/dispatch/dead-letters").status, 403);
    assert_eq!(village.post(&path, &json!({})).status, 403);
    let auditor = Client::log_in(base, accounts.one("auditor"));
    assert_eq!(letters(&auditor).len(), 2);
    assert_eq!(auditor.post(&path, &json!({})).status, 403);

    let listed = command(&["dead-letters", "list"]);
    assert!(listed.success && listed.printed.contains(&poisoned[1]), "{listed:?}");
    assert!(listed.printed.contains("2 dead letters"), "{listed:?}");
    mend();

    // By the API, twice under one key: one effect, one line in the audit log.
    let key = fresh_key();
    let replay = || admin.send("POST", &path, &[(IDEMPOTENCY_KEY, &key)], b"{}").expect("an answer");
    let first = replay();
    assert_eq!(first.status, 200, "{}", first.text());
    admin.is_kept(&path, &key, b"{}", true, &first);
    assert_eq!(admin.post(&path, &json!({})).status, 404, "it is no dead letter any more");
    wait_for("after the replay", NEIGHBOUR_WITHIN, || status(&resident, &poisoned[0]) == "dispatched");
    let log = admin.get(&format!("/audit?orderId={}", poisoned[0])).expect(200);
    let lines = log["items"].as_array().expect("items").iter();
    assert_eq!(lines.filter(|line| line["action"] == "dead_letter_replayed").count(), 1, "{log}");

    // By the command.
    let replayed = command(&["dead-letters", "replay", &poisoned[1]]);
    assert!(replayed.success && replayed.printed.contains("given back"), "{replayed:?}");
    wait_for("after the command", NEIGHBOUR_WITHIN, || status(&resident, &poisoned[1]) == "dispatched");
    let twice = command(&["dead-letters", "replay", &poisoned[1]]);
    assert!(!twice.success && twice.complained.contains("no dead letters"), "{twice:?}");
    assert!(command(&["dead-letters", "list"]).printed.contains("0 dead letters"));
    assert_eq!(letters(&admin), Vec::<Value>::new());
}
