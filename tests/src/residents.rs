//! Residents who place orders all the time, whatever breaks: each sends the same order under the same key, to one server
//! after the other, until somebody acknowledges it. What was acknowledged is written down, so that afterwards the database
//! can be asked for exactly that.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{scope, sleep},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    client::{Account, Accounts, Client, IDEMPOTENCY_KEY, fresh_key},
    program::Fleet,
};

/// Residents at once.
const RESIDENTS: usize = 3;
/// What a resident does between two orders, and between two attempts of one.
const PAUSE: Duration = Duration::from_millis(25);
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// An order that nobody acknowledges for so long has failed.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(90);
/// A session's access token is fresh for five minutes; residents log in again well before.
const LOG_IN_EVERY: Duration = Duration::from_secs(120);
/// The beginning of every description, by which the database is asked for these orders.
const MARK: &str = "停电演练";
/// How long after the recovery an order that was acknowledged before may wait for a team.
pub const DISPATCHED_WITHIN: Duration = Duration::from_secs(10);

/// What was acknowledged, and how it went.
#[derive(Debug, Default)]
pub struct Acknowledged {
    ids: Mutex<BTreeSet<String>>,
    /// Attempts that nobody answered, or that were answered with a problem that is worth another.
    retried: AtomicU64,
}

impl Acknowledged {
    fn add(&self, id: &str) {
        let is_new = self.lock().insert(id.to_owned());
        assert!(is_new, "two keys, one order: {id}");
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether nobody has acknowledged anything yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ids of the orders.
    pub fn ids(&self) -> BTreeSet<String> {
        self.lock().clone()
    }

    /// How often a resident had to try again.
    pub fn retried(&self) -> u64 {
        self.retried.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `story` while residents place orders, at these addresses in turn.
pub fn under_load(bases: &[String], accounts: &Accounts, acknowledged: &Acknowledged, story: impl FnOnce()) {
    let over = AtomicBool::new(false);
    scope(|threads| {
        // Set also when a check of this thread fails: the residents end then, and the failure is told.
        let _ending = Ending(&over);
        for account in accounts.all("resident").into_iter().take(RESIDENTS) {
            let resident = Resident { account, sign: accounts.sign(), bases, acknowledged };
            let over = &over;
            threads.spawn(move || resident.place_until(over));
        }
        story();
    });
}

struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// What was acknowledged until now is dispatched soon, and life goes on.
///
/// # Panics
/// When it is not, or something took another process with it.
pub fn recover(fleet: &mut Fleet, acknowledged: &Acknowledged, what: &str) {
    let (until_now, begun) = (acknowledged.ids(), Instant::now());
    loop {
        let waiting = orders(fleet, "AND epoch = 0");
        let left = waiting.intersection(&until_now).count();
        if left == 0 {
            break;
        }
        let waited = begun.elapsed();
        assert!(waited < DISPATCHED_WITHIN, "{left} orders wait {waited:?} after {what}");
        sleep(Duration::from_millis(200));
    }
    let before = acknowledged.len();
    while acknowledged.len() == before {
        assert!(begun.elapsed() < ACKNOWLEDGED_WITHIN, "no orders are taken since {what}");
        sleep(Duration::from_millis(50));
    }
    let Fleet { servers, workers, .. } = fleet;
    for process in servers.iter_mut().chain(workers) {
        assert!(process.is_running(), "{what} took another with it:\n{}", process.last_lines());
    }
    println!("{what}: healed after {:?}", begun.elapsed());
}

/// The ids of the residents' orders in the database that meet a condition.
#[must_use]
pub fn orders(fleet: &Fleet, condition: &str) -> BTreeSet<String> {
    let ids = fleet.sql(&format!("SELECT id FROM orders WHERE description LIKE '{MARK}%' {condition}"));
    ids.lines().map(str::to_owned).collect()
}

/// Everything that was acknowledged is there once and was dispatched once, and nothing else is there.
///
/// # Panics
/// When it is not so.
pub fn check(fleet: &Fleet, acknowledged: &Acknowledged) {
    // Each key was sent until it was acknowledged: an order besides those was placed twice, one less is lost.
    let in_database = orders(fleet, "");
    assert_eq!(in_database, acknowledged.ids());
    let begun = Instant::now();
    while orders(fleet, "AND status = 'dispatched'") != in_database {
        assert!(
            begun.elapsed() < DISPATCHED_WITHIN,
            "waiting: {:?}",
            orders(fleet, "AND status <> 'dispatched'")
        );
        sleep(Duration::from_millis(200));
    }
    // A second epoch would be a timer that came early: nobody's patience is over yet.
    assert_eq!(orders(fleet, "AND epoch = 1"), in_database);
    let total = in_database.len();
    println!("{total} orders were placed, {} attempts were repeated", acknowledged.retried());
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
    // By the database's clock: nothing happened in its future, and no offer before its order. A process knows that clock as
    // well as it can read it, which on a busy machine takes a part of a second.
    let odd = "SELECT count(*) FROM order_event e JOIN order_event p ON p.order_id = e.order_id AND p.seq = 1 \
               WHERE e.at < p.at - interval '1 second' OR e.at > clock_timestamp() + interval '1 second'";
    assert_eq!(fleet.sql(odd), "0", "events at odd times");
}

/// Somebody who needs something all the time.
struct Resident<'a> {
    account: &'a Account,
    sign: &'a str,
    bases: &'a [String],
    acknowledged: &'a Acknowledged,
}

impl Resident<'_> {
    fn place_until(&self, over: &AtomicBool) {
        let mut session = self.log_in();
        let mut logged_in_at = Instant::now();
        for number in 0.. {
            if over.load(Ordering::Acquire) {
                return;
            }
            if logged_in_at.elapsed() > LOG_IN_EVERY {
                (session, logged_in_at) = (self.log_in(), Instant::now());
            }
            self.acknowledged.add(&self.place(&session, number));
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
            self.acknowledged.retried.fetch_add(1, Ordering::AcqRel);
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
