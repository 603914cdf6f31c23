//! Power cuts under load: a server, a worker, Redis and PostgreSQL are killed in turn while residents go on placing
//! orders. A resident sends the same order under the same key until somebody acknowledges it. Afterwards every
//! acknowledged order is there once, and was dispatched once.
//!
//! One cycle takes half a minute; with `XINGFUMA_TESTS_LONG=1` there are five.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{scope, sleep},
    time::{Duration, Instant},
};

use serde_json::json;
use xingfuma_tests::{
    client::{Account, Client, IDEMPOTENCY_KEY, fresh_key},
    program::Fleet,
};

/// Residents who place orders all the time.
const RESIDENTS: usize = 3;
/// What a resident does between two orders, and between two attempts of one.
const PAUSE: Duration = Duration::from_millis(25);
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// How long something stays dead, and how long it then runs before the next thing is killed.
const OUTAGE: Duration = Duration::from_secs(2);
const CALM: Duration = Duration::from_secs(1);
/// How long after the recovery an order that was acknowledged before may wait for a team.
const DISPATCHED_WITHIN: Duration = Duration::from_secs(10);
/// An order that nobody acknowledges for so long has failed.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(90);
/// A session's access token is fresh for five minutes; residents log in again well before.
const LOG_IN_EVERY: Duration = Duration::from_secs(120);
/// The beginning of every description, by which the database is asked for these orders.
const MARK: &str = "停电演练";

/// What was acknowledged: the ids of the orders.
#[derive(Debug, Default)]
struct Acknowledged(Mutex<BTreeSet<String>>);

impl Acknowledged {
    fn add(&self, id: &str) {
        let is_new = self.ids().insert(id.to_owned());
        assert!(is_new, "two keys, one order: {id}");
    }

    fn len(&self) -> usize {
        self.ids().len()
    }

    fn ids(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[test]
fn no_acknowledged_order_is_lost_or_doubled() {
    let cycles = if std::env::var_os("XINGFUMA_TESTS_LONG").is_some_and(|long| long == "1") { 5 } else { 1 };
    let mut fleet = Fleet::start(2, 2);
    let (acknowledged, over) = (Acknowledged::default(), AtomicBool::new(false));
    let (bases, accounts) = (fleet.bases(), fleet.accounts().clone());
    scope(|threads| {
        // Set also when a check of this thread fails: the residents end then, and the failure is told.
        let _ending = Ending(&over);
        for account in accounts.all("resident").into_iter().take(RESIDENTS) {
            let resident = Resident { account, sign: accounts.sign(), bases: &bases };
            let (acknowledged, over) = (&acknowledged, &over);
            threads.spawn(move || resident.place_until(over, acknowledged));
        }
        for _ in 0..cycles {
            cut_each_in_turn(&mut fleet, &acknowledged);
        }
    });
    check(&fleet, &acknowledged);
}

struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn cut_each_in_turn(fleet: &mut Fleet, acknowledged: &Acknowledged) {
    for number in 0..fleet.servers.len() {
        let before = acknowledged.len();
        fleet.servers[number].kill();
        sleep(OUTAGE);
        assert!(acknowledged.len() > before, "the other server takes no orders");
        fleet.servers[number].restart();
        recover(fleet, acknowledged, "a server");
    }
    for number in 0..fleet.workers.len() {
        fleet.workers[number].kill();
        sleep(OUTAGE);
        fleet.workers[number].restart();
        recover(fleet, acknowledged, "a worker");
    }
    let before = acknowledged.len();
    fleet.redis.kill();
    sleep(OUTAGE);
    assert!(acknowledged.len() > before, "without Redis no orders are taken");
    fleet.redis.restart();
    recover(fleet, acknowledged, "Redis");

    fleet.postgres.kill();
    sleep(OUTAGE);
    fleet.postgres.restart();
    recover(fleet, acknowledged, "PostgreSQL");
}

/// What was acknowledged until now is dispatched soon, and life goes on.
fn recover(fleet: &mut Fleet, acknowledged: &Acknowledged, what: &str) {
    let (until_now, begun) = (acknowledged.ids().clone(), Instant::now());
    loop {
        let waiting = orders(fleet, "AND epoch = 0");
        let left = waiting.intersection(&until_now).count();
        if left == 0 {
            break;
        }
        let waited = begun.elapsed();
        assert!(waited < DISPATCHED_WITHIN, "{left} orders wait {waited:?} after {what} came back");
        sleep(Duration::from_millis(200));
    }
    let before = acknowledged.len();
    while acknowledged.len() == before {
        assert!(begun.elapsed() < ACKNOWLEDGED_WITHIN, "no orders are taken since {what} came back");
        sleep(Duration::from_millis(50));
    }
    sleep(CALM);
    let Fleet { servers, workers, .. } = fleet;
    for process in servers.iter_mut().chain(workers) {
        assert!(process.is_running(), "{what} took another with it:\n{}", process.last_lines());
    }
}

/// The ids of the residents' orders in the database that meet a condition.
fn orders(fleet: &Fleet, condition: &str) -> BTreeSet<String> {
    let ids = fleet.sql(&format!("SELECT id FROM orders WHERE description LIKE '{MARK}%' {condition}"));
    ids.lines().map(str::to_owned).collect()
}

fn check(fleet: &Fleet, acknowledged: &Acknowledged) {
    // Each key was sent until it was acknowledged: an order besides those was placed twice, one less is lost.
    let in_database = orders(fleet, "");
    assert_eq!(in_database, *acknowledged.ids());
    let begun = Instant::now();
    while orders(fleet, "AND status = 'dispatched'") != in_database {
        assert!(
            begun.elapsed() < DISPATCHED_WITHIN,
            "waiting: {:?}",
            orders(fleet, "AND status <> 'dispatched'")
        );
        sleep(Duration::from_millis(200));
    }
    assert_eq!(orders(fleet, "AND epoch = 1"), in_database);
    let total = in_database.len();
    println!("{total} orders were placed");
    let sql = |figures: &str, table: &str| {
        let on_order = format!("JOIN orders ON orders.id = {table}.order_id");
        fleet.sql(&format!("SELECT {figures} FROM {table} {on_order} WHERE description LIKE '{MARK}%'"))
    };
    let numbers = format!("SELECT count(DISTINCT number) FROM orders WHERE description LIKE '{MARK}%'");
    assert_eq!(fleet.sql(&numbers), total.to_string(), "one number was given twice");
    let decisions = "count(*), min(dispatch_decision.epoch), max(dispatch_decision.epoch)";
    assert_eq!(sql(decisions, "dispatch_decision"), format!("{total}|1|1"), "one decision for each");
    let placed_and_dispatched = format!("{}|1|2", total * 2);
    assert_eq!(sql("count(*), min(seq), max(seq)", "order_event"), placed_and_dispatched, "and nothing else");
}

/// Somebody who needs something all the time.
struct Resident<'a> {
    account: &'a Account,
    sign: &'a str,
    bases: &'a [String],
}

impl Resident<'_> {
    fn place_until(&self, over: &AtomicBool, acknowledged: &Acknowledged) {
        let mut session = self.log_in();
        let mut logged_in_at = Instant::now();
        for number in 0.. {
            if over.load(Ordering::Acquire) {
                return;
            }
            if logged_in_at.elapsed() > LOG_IN_EVERY {
                (session, logged_in_at) = (self.log_in(), Instant::now());
            }
            acknowledged.add(&self.place(&session, number));
            sleep(PAUSE);
        }
    }

    /// Sends one order, to one server after the other, until one acknowledges it.
    fn place(&self, session: &Client, number: usize) -> String {
        let key = fresh_key();
        let body = json!({ "signCode": self.sign, "categoryCode": "errand", "description": format!("{MARK} {number}") });
        let begun = Instant::now();
        for attempt in number.. {
            let server = session.at(&self.bases[attempt % self.bases.len()]);
            let sent =
                server.send("POST", "/orders", &[(IDEMPOTENCY_KEY, &key)], body.to_string().as_bytes());
            match sent {
                Ok(answer) if answer.status == 201 => {
                    return answer.json()["id"].as_str().expect("an id").to_owned();
                }
                Ok(answer) => assert_eq!(answer.problem(503), "unavailable"),
                // Nobody answered: it may have been placed or not.
                Err(_) => {}
            }
            assert!(begun.elapsed() < ACKNOWLEDGED_WITHIN, "nobody acknowledges");
            sleep(RETRY_PAUSE);
        }
        unreachable!("attempts are not counted")
    }

    fn log_in(&self) -> Client {
        let begun = Instant::now();
        loop {
            let mut refusals = Vec::new();
            for base in self.bases {
                match Client::try_log_in(base, self.account) {
                    Ok(session) => return session,
                    Err(refusal) => refusals.push(refusal),
                }
            }
            assert!(begun.elapsed() < ACKNOWLEDGED_WITHIN, "no log-in: {refusals:?}");
            sleep(RETRY_PAUSE);
        }
    }
}
