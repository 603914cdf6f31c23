//! Power cuts under load: a server, a worker, Redis and PostgreSQL are killed in turn while residents go on placing
//! orders. A resident sends the same order under the same key until somebody acknowledges it. Afterwards every
//! acknowledged order is there once, and was dispatched once.
//!
//! One cycle takes half a minute; with `XINGFUMA_TESTS_LONG=1` there are five.

use std::{thread::sleep, time::Duration};

use xingfuma_tests::{
    program::Fleet,
    residents::{Acknowledged, check, recover, under_load},
};

/// How long something stays dead, and how long it then runs before the next thing is killed.
const OUTAGE: Duration = Duration::from_secs(2);
const CALM: Duration = Duration::from_secs(1);

#[test]
fn no_acknowledged_order_is_lost_or_doubled() {
    let cycles = if std::env::var_os("XINGFUMA_TESTS_LONG").is_some_and(|long| long == "1") { 5 } else { 1 };
    let mut fleet = Fleet::start(2, 2);
    let acknowledged = Acknowledged::default();
    let (bases, accounts) = (fleet.bases(), fleet.accounts().clone());
    under_load(&bases, &accounts, &acknowledged, || {
        for _ in 0..cycles {
            cut_each_in_turn(&mut fleet, &acknowledged);
        }
    });
    check(&fleet, &acknowledged);
}

fn cut_each_in_turn(fleet: &mut Fleet, acknowledged: &Acknowledged) {
    for number in 0..fleet.servers.len() {
        let before = acknowledged.len();
        fleet.servers[number].kill();
        sleep(OUTAGE);
        assert!(acknowledged.len() > before, "the other server takes no orders");
        fleet.servers[number].restart();
        calm(fleet, acknowledged, "a server came back");
    }
    for number in 0..fleet.workers.len() {
        fleet.workers[number].kill();
        sleep(OUTAGE);
        fleet.workers[number].restart();
        calm(fleet, acknowledged, "a worker came back");
    }
    let before = acknowledged.len();
    fleet.redis.kill();
    sleep(OUTAGE);
    assert!(acknowledged.len() > before, "without Redis no orders are taken");
    fleet.redis.restart();
    calm(fleet, acknowledged, "Redis came back");

    fleet.postgres.kill();
    sleep(OUTAGE);
    fleet.postgres.restart();
    calm(fleet, acknowledged, "PostgreSQL came back");
}

fn calm(fleet: &mut Fleet, acknowledged: &Acknowledged, what: &str) {
    recover(fleet, acknowledged, what);
    sleep(CALM);
}
