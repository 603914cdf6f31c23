//! Many at once, over two servers: exactly one wins, and nobody learns anything else.

use std::{
    collections::BTreeMap,
    sync::{
        Barrier, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{scope, sleep},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use xingfuma_tests::{
    client::{Client, IDEMPOTENCY_KEY, fresh_key},
    program::Fleet,
};

/// Attempts of each volunteer, each in a thread of its own.
const ATTEMPTS: usize = 25;
/// Orders that are raced for.
const ROUNDS: usize = 3;
/// How often one placement is sent, and by how many threads.
const SUBMITS: usize = 1_000;
const THREADS: usize = 64;

static FLEET: LazyLock<Fleet> = LazyLock::new(|| Fleet::start(2, 2));

fn order_body(description: &str) -> Value {
    let sign = FLEET.accounts().sign();
    json!({ "signCode": sign, "categoryCode": "errand", "description": description })
}

fn resident() -> Client {
    Client::log_in(&FLEET.bases()[0], FLEET.accounts().one("resident"))
}

#[test]
fn one_of_a_hundred_accepts_wins() {
    let bases = FLEET.bases();
    let team: Vec<Client> =
        FLEET.accounts().team().into_iter().map(|account| Client::log_in(&bases[0], account)).collect();
    assert_eq!(team.len(), 4);
    for round in 0..ROUNDS {
        let order = dispatched_order(&format!("抢单第{round}轮"));
        let path = format!("/orders/{order}/accept");
        let start = Barrier::new(team.len() * ATTEMPTS);
        let (start, path, bases) = (&start, &path, &bases);
        let counts = scope(|threads| {
            let attempts: Vec<_> = (0..team.len() * ATTEMPTS)
                .map(|number| {
                    let volunteer = team[number % team.len()].at(&bases[number / team.len() % bases.len()]);
                    threads.spawn(move || {
                        start.wait();
                        let answer = volunteer.post_with(path, &[], &json!({}));
                        if answer.status != 200 {
                            answer.problem(409);
                        }
                        answer.status
                    })
                })
                .collect();
            count(attempts.into_iter().map(|attempt| attempt.join().expect("no panic")))
        });
        assert_eq!(counts, BTreeMap::from([(200, 1), (409, team.len() * ATTEMPTS - 1)]));
        let promises = FLEET.sql(&format!("SELECT count(*) FROM engagement WHERE order_id = '{order}'"));
        assert_eq!(promises, "1");
    }
}

fn count(statuses: impl Iterator<Item = u16>) -> BTreeMap<u16, usize> {
    let mut counts = BTreeMap::new();
    for status in statuses {
        *counts.entry(status).or_default() += 1;
    }
    counts
}

#[test]
fn a_thousand_submits_of_one_key_place_one_order() {
    let (resident, bases, key) = (resident(), FLEET.bases(), fresh_key());
    let body = order_body("同一单提交千次");
    let (next, start) = (AtomicUsize::new(0), Barrier::new(THREADS));
    let submit_all = || {
        let mut answers = Vec::new();
        start.wait();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= SUBMITS {
                return answers;
            }
            let resident = resident.at(&bases[number % bases.len()]);
            let answer = resident.post_with("/orders", &[(IDEMPOTENCY_KEY, &key)], &body);
            assert_eq!(answer.status, 201, "{}", answer.text());
            answers.push((answer.header("idempotent-replayed") == Some("true"), answer.text()));
        }
    };
    let answers: Vec<(bool, String)> = scope(|threads| {
        let all: Vec<_> = (0..THREADS).map(|_| threads.spawn(submit_all)).collect();
        all.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(answers.len(), SUBMITS);
    assert!(answers.iter().all(|(_, body)| *body == answers[0].1), "two answers to one key");
    assert_eq!(answers.iter().filter(|(replayed, _)| !replayed).count(), 1, "one is the first");
    assert_eq!(FLEET.sql("SELECT count(*) FROM orders WHERE description = '同一单提交千次'"), "1");
}

fn dispatched_order(description: &str) -> String {
    let resident = resident();
    let order = resident.post("/orders", &order_body(description)).expect(201);
    let id = order["id"].as_str().expect("an id").to_owned();
    let begun = Instant::now();
    while resident.get(&format!("/orders/{id}")).expect(200)["status"] != "dispatched" {
        assert!(begun.elapsed() < Duration::from_secs(10), "not dispatched");
        sleep(Duration::from_millis(20));
    }
    id
}
