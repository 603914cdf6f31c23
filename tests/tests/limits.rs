//! Limits are exact, whoever asks, over whatever server, however many at once.

use std::{
    sync::{
        Barrier, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{scope, sleep},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use xingfuma_tests::{
    client::{Accounts, Client, IDEMPOTENCY_KEY, fresh_key},
    program::{Demo, Fleet},
};

/// Ten orders an hour from one account, and three contacts revealed.
const LIMITS: [(&str, &str); 2] = [
    ("XINGFUMA_LIMITS__ORDERS_PER_ACCOUNT", "{most=10, minutes=60}"),
    ("XINGFUMA_LIMITS__REVEALS_PER_ACCOUNT", "{most=3, minutes=60}"),
];
const MOST: usize = 10;
const AT_ONCE: usize = 64;

static DEMO: LazyLock<Demo> = LazyLock::new(|| Demo::start_with(&LIMITS));

fn order(accounts: &Accounts) -> Value {
    json!({ "signCode": accounts.sign(), "categoryCode": "errand", "description": "限次" })
}

fn resident(base: &str, accounts: &Accounts, number: usize) -> Client {
    Client::log_in(base, accounts.all("resident")[number])
}

/// Sends 64 placements at once, spread over the servers; answers how many were placed.
fn race(bases: &[String], accounts: &Accounts, number: usize) -> usize {
    let resident = resident(&bases[0], accounts, number);
    let (placed, start, body) = (AtomicUsize::new(0), Barrier::new(AT_ONCE), order(accounts));
    scope(|threads| {
        for number in 0..AT_ONCE {
            let resident = resident.at(&bases[number % bases.len()]);
            let (placed, start, body) = (&placed, &start, &body);
            threads.spawn(move || {
                start.wait();
                let answer = resident.post_with("/orders", &[(IDEMPOTENCY_KEY, &fresh_key())], body);
                if answer.status == 201 {
                    placed.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                assert_eq!(answer.problem(429), "too_many_requests");
                let seconds: u64 = answer.header("retry-after").expect("a time").parse().expect("seconds");
                assert!((1..=3_600).contains(&seconds), "{seconds}");
            });
        }
    });
    placed.into_inner()
}

#[test]
fn sixty_four_at_once_are_counted_exactly_in_memory() {
    assert_eq!(race(&[DEMO.base().to_owned()], DEMO.accounts(), 0), MOST);
}

#[test]
fn sixty_four_at_once_are_counted_exactly_over_two_servers() {
    let mut fleet = Fleet::start_with(2, 1, &LIMITS);
    assert_eq!(race(&fleet.bases(), fleet.accounts(), 0), MOST);
    without_redis_each_server_counts_alone(&mut fleet);
}

fn without_redis_each_server_counts_alone(fleet: &mut Fleet) {
    fleet.redis.kill();
    let bases = fleet.bases();
    let placed = race(&bases, fleet.accounts(), 1);
    // Nobody is turned away for Redis' sake, and each server still keeps its own limit.
    assert!((MOST..=2 * MOST).contains(&placed), "{placed}");
    wait_until_shared(&bases[0], 0);
    fleet.redis.restart();
    wait_until_shared(&bases[0], 1);
    wait_until_shared(&bases[1], 1);
    assert_eq!(race(&bases, fleet.accounts(), 2), MOST);
}

fn wait_until_shared(base: &str, wanted: u8) {
    let line = format!("xingfuma_limits_shared {wanted}");
    let begun = Instant::now();
    loop {
        let metrics = Client::anonymous(base).get_outside("/metrics").expect("an answer").text();
        if metrics.lines().any(|told| told == line) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "never {line}");
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_request_that_is_sent_again_counts_once() {
    let resident = resident(DEMO.base(), DEMO.accounts(), 1);
    let (key, body) = (fresh_key(), order(DEMO.accounts()));
    for _ in 0..3 * MOST {
        let answer = resident.post_with("/orders", &[(IDEMPOTENCY_KEY, &key)], &body);
        assert_eq!(answer.status, 201);
    }
    for _ in 1..MOST {
        resident.post("/orders", &body).expect(201);
    }
    assert_eq!(resident.post("/orders", &body).problem(429), "too_many_requests");
    // Above the limit, what was answered before is answered again.
    let again = resident.post_with("/orders", &[(IDEMPOTENCY_KEY, &key)], &body);
    assert_eq!((again.status, again.header("idempotent-replayed")), (201, Some("true")));
}

#[test]
fn contacts_are_revealed_so_often_and_no_more() {
    let accounts = DEMO.accounts();
    let resident = resident(DEMO.base(), accounts, 2);
    let mut body = order(accounts);
    body["contact"] = json!({ "name": "王秀英", "phone": "15419999876" });
    let placed = resident.post("/orders", &body).expect(201);
    let path = format!("/orders/{}/contact", placed["id"].as_str().expect("an id"));
    let dispatcher = Client::log_in(DEMO.base(), accounts.township_dispatcher());
    for _ in 0..3 {
        let shown = dispatcher.post(&path, &json!({ "reason": "联系不上志愿者，代为通知" })).expect(200);
        assert_eq!(shown["phone"], "15419999876");
    }
    let refused = dispatcher.post(&path, &json!({ "reason": "再看一次" }));
    assert_eq!(refused.problem(429), "too_many_requests");
}
