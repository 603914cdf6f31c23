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
    client::{Account, Answer, Client, IDEMPOTENCY_KEY, LogIn, fresh_key},
    program::Fleet,
};

/// Attempts of each volunteer, each in a thread of its own.
const ATTEMPTS: usize = 25;
/// Volunteers who race, each once.
const RACERS: usize = 100;
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

/// A hundred members of the grid's team, each with a session of his own. The demo gives an account to four of them; the
/// others get one here, with the password of all demo staff.
fn hundred_volunteers() -> Vec<Client> {
    let team = FLEET.accounts().grid();
    let inserted = FLEET.sql(&format!(
        "WITH member AS (SELECT v.person_id, v.county, row_number() OVER (ORDER BY v.person_id) AS number \
         FROM volunteer v JOIN team t ON t.id = v.team_id AND t.kind = 'grid' \
         WHERE v.grid_code = '{team}' AND v.status = 'active'), \
         made AS (INSERT INTO account (county, username, person_id, password_hash, failed_count, created_at) \
         SELECT m.county, 'racer-' || m.number, m.person_id, \
         (SELECT min(password_hash) FROM account WHERE county = m.county), 0, now() \
         FROM member m WHERE m.number <= {RACERS} RETURNING person_id) SELECT count(DISTINCT person_id) FROM made"
    ));
    assert_eq!(inserted, RACERS.to_string(), "the grid's team has so many members");
    let LogIn::Password { password, .. } = &FLEET.accounts().village_dispatcher().log_in else {
        panic!("a dispatcher logs in with a password")
    };
    let account = |number: usize| Account {
        role: "volunteer".to_owned(),
        area_code: team.to_owned(),
        name: format!("racer {number}"),
        log_in: LogIn::Password { username: format!("racer-{number}"), password: password.clone() },
    };
    let bases = FLEET.bases();
    // Not all at once: a log-in hashes a password, which is meant to be slow.
    let log_in = |number: usize| Client::log_in(&bases[number % bases.len()], &account(number));
    let quarters = 4;
    scope(|threads| {
        let logged_in: Vec<_> = (0..quarters)
            .map(|quarter| {
                let mine = (1..=RACERS).filter(move |number| number % quarters == quarter);
                threads.spawn(move || mine.map(log_in).collect::<Vec<_>>())
            })
            .collect();
        logged_in.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    })
}

#[test]
fn one_of_a_hundred_volunteers_wins() {
    let (volunteers, bases) = (hundred_volunteers(), FLEET.bases());
    assert_eq!(volunteers.len(), RACERS);
    for round in 0..ROUNDS {
        let order = dispatched_order(&format!("百人抢单第{round}轮"));
        let path = format!("/orders/{order}/accept");
        let start = Barrier::new(RACERS);
        let (start, path) = (&start, &path);
        let answers: Vec<Answer> = scope(|threads| {
            let attempts: Vec<_> = volunteers
                .iter()
                .enumerate()
                .map(|(number, volunteer)| {
                    // Everybody is at one server in this round and at the other in the next.
                    let volunteer = volunteer.at(&bases[(number + round) % bases.len()]);
                    threads.spawn(move || {
                        start.wait();
                        volunteer.post_with(path, &[], &json!({}))
                    })
                })
                .collect();
            attempts.into_iter().map(|attempt| attempt.join().expect("no panic")).collect()
        });
        let (won, lost): (Vec<&Answer>, Vec<&Answer>) =
            answers.iter().partition(|answer| answer.status == 200);
        assert_eq!((won.len(), lost.len()), (1, RACERS - 1));
        assert_eq!(won[0].expect(200)["status"], "accepted");
        for answer in lost {
            assert_eq!(answer.problem(409), "order_taken");
        }
        let promises = FLEET.sql(&format!(
            "SELECT count(*), count(*) FILTER (WHERE o.status = 'accepted' AND o.version = 3) \
             FROM engagement e JOIN orders o ON o.id = e.order_id WHERE e.order_id = '{order}'"
        ));
        assert_eq!(promises, "1|1", "one promise, and nothing else happened to the order");
    }
}

#[test]
fn four_volunteers_who_tap_again_and_again_make_one_promise() {
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
