//! Redis hangs, or is gone: residents notice nothing. Placing an order neither fails nor slows down, and what was placed
//! meanwhile is dispatched: by the sweep while Redis is away, and in any case soon after it is back.

use std::{
    collections::BTreeSet,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::json;
use xingfuma_tests::{client::Client, program::Fleet};

/// Orders placed for one figure.
const PLACEMENTS: usize = 50;
/// Orders placed before anything is measured: connections and caches are cold then.
const WARM_UP: usize = 10;
/// Placing may become slower by this factor and this much, and no more.
const SLOWER: u32 = 3;
const LATER: Duration = Duration::from_millis(20);
/// How long an order may wait for a team.
const DISPATCHED_WITHIN: Duration = Duration::from_secs(10);

/// The tests break the same fleet one after the other.
static FLEET: LazyLock<Mutex<Fleet>> = LazyLock::new(|| Mutex::new(Fleet::start(1, 1)));

fn fleet() -> MutexGuard<'static, Fleet> {
    FLEET.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Places orders one after the other; answers their ids and the median of how long each took.
fn place(fleet: &Fleet, resident: &Client, what: &str, count: usize) -> (BTreeSet<String>, Duration) {
    let mut took = Vec::with_capacity(count);
    let mut ids = BTreeSet::new();
    for number in 0..count {
        let body = json!({
            "signCode": fleet.accounts().sign(),
            "categoryCode": "errand",
            "description": format!("{what} {number}"),
        });
        let begun = Instant::now();
        let answer = resident.post("/orders", &body);
        took.push(begun.elapsed());
        ids.insert(answer.expect(201)["id"].as_str().expect("an id").to_owned());
    }
    took.sort_unstable();
    (ids, took[count / 2])
}

/// Waits until all of them have left `placed`.
fn wait_until_dispatched(fleet: &Fleet, ids: &BTreeSet<String>, when: &str) {
    let begun = Instant::now();
    let list = ids.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", ");
    let left =
        || fleet.sql(&format!("SELECT count(*) FROM orders WHERE id IN ({list}) AND status = 'placed'"));
    while left() != "0" {
        assert!(begun.elapsed() < DISPATCHED_WITHIN, "{} of {} wait {when}", left(), ids.len());
        sleep(Duration::from_millis(50));
    }
    let found =
        fleet.sql(&format!("SELECT count(*), min(epoch), max(epoch) FROM orders WHERE id IN ({list})"));
    assert_eq!(found, format!("{}|1|1", ids.len()), "each is there and was dispatched once");
}

/// The whole story: `leave` takes Redis away, `come_back` brings it back.
fn redis_is_away(name: &str, leave: fn(&mut Fleet), come_back: fn(&mut Fleet)) {
    let mut fleet = fleet();
    let resident = Client::log_in(&fleet.bases()[0], fleet.accounts().one("resident"));
    place(&fleet, &resident, &format!("{name}：热身"), WARM_UP);
    let (before, before_took) = place(&fleet, &resident, &format!("{name}：之前"), PLACEMENTS);
    wait_until_dispatched(&fleet, &before, "with Redis there");

    leave(&mut fleet);
    let (seen_by_the_sweep, _) = place(&fleet, &resident, &format!("{name}：巡检"), 1);
    let (meanwhile, meanwhile_took) = place(&fleet, &resident, &format!("{name}：期间"), PLACEMENTS);
    println!("{name}: the median placement took {before_took:?} before and {meanwhile_took:?} meanwhile");
    let at_most = before_took * SLOWER + LATER;
    assert!(meanwhile_took <= at_most, "{meanwhile_took:?} instead of {before_took:?}");
    wait_until_dispatched(&fleet, &seen_by_the_sweep, "while Redis is away");

    come_back(&mut fleet);
    wait_until_dispatched(&fleet, &meanwhile, "after Redis came back");
    let (after, _) = place(&fleet, &resident, &format!("{name}：之后"), WARM_UP);
    wait_until_dispatched(&fleet, &after, "with Redis there again");
    let Fleet { servers, workers, .. } = &mut *fleet;
    for process in servers.iter_mut().chain(workers) {
        assert!(process.is_running(), "Redis took another with it:\n{}", process.last_lines());
    }
}

#[test]
fn a_hung_redis_slows_nobody_down() {
    redis_is_away("停住", |fleet| fleet.redis.stop(), |fleet| fleet.redis.cont());
}

#[test]
fn a_dead_redis_slows_nobody_down() {
    redis_is_away("断开", |fleet| fleet.redis.kill(), |fleet| fleet.redis.restart());
}
