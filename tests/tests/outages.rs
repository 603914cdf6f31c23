//! One fault after the other under load, on two servers and two workers: workers killed at the worst moments or stopped for
//! a while, Redis flushed, full or hung, PostgreSQL hung, without its sessions or without room on its disk, clocks a day off.
//! After each of them everything that was acknowledged has a team within ten seconds, and in the end everything is there
//! once, was dispatched once, and nothing came before its time.
//!
//! The order of the faults is drawn from a seed, which is printed; `XINGFUMA_TESTS_SEED` gives it. Short, each fault lasts
//! a few seconds; with `XINGFUMA_TESTS_LONG=1` as long as the contract says, three times over.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;
use xingfuma_tests::{
    client::{Client, IDEMPOTENCY_KEY, fresh_key},
    program::{Demo, Fleet, Process},
    residents::{Acknowledged, check, orders, recover, under_load},
    services::Postgres,
    shim::{Disk, clock_off_by},
    trap::{Moment, Trap},
};

/// How long a trap may wait for its word.
const SPRINGS_WITHIN: Duration = Duration::from_secs(30);
/// A dead worker's orders have to be dispatched again within this time, of a hundred ninety-nine.
const AGAIN_WITHIN_MS: i64 = 5_000;

fn is_long() -> bool {
    std::env::var_os("XINGFUMA_TESTS_LONG").is_some_and(|long| long == "1")
}

fn lasts(short: u64, long: u64) -> Duration {
    Duration::from_secs(if is_long() { long } else { short })
}

/// The seed of this run, and draws from it (SplitMix64).
struct Draws(u64);

impl Draws {
    fn new() -> Draws {
        let given = std::env::var("XINGFUMA_TESTS_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| u64::from(std::process::id()));
        println!("XINGFUMA_TESTS_SEED={seed}");
        Draws(seed)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((bits ^ (bits >> 31)) % bound as u64).expect("below a small bound")
    }

    fn shuffle<T>(&mut self, all: &mut [T]) {
        for end in (1..all.len()).rev() {
            all.swap(end, self.below(end + 1));
        }
    }
}

/// A fleet whose first worker speaks through traps, on a disk that can be filled.
struct Stage {
    fleet: Fleet,
    to_postgres: Trap,
    to_redis: Trap,
    disk: Disk,
    sprung: (u64, u64),
}

impl Stage {
    fn set() -> Stage {
        let disk = Disk::default();
        let postgres = Postgres::start_with(&disk.settings());
        let mut fleet = Fleet::start_on(postgres, 2, 1, &[("XINGFUMA_LIMITS__FACTOR", "100000")]);
        let (database, redis) = (
            fleet.setting("XINGFUMA_DATABASE__URL").to_owned(),
            fleet.setting("XINGFUMA_REDIS__URL").to_owned(),
        );
        let (to_postgres, to_redis) = (Trap::to_postgres(&database), Trap::to_redis(&redis));
        let through = [
            ("XINGFUMA_DATABASE__URL".to_owned(), to_postgres.url(&database)),
            ("XINGFUMA_REDIS__URL".to_owned(), to_redis.url(&redis)),
        ];
        let trapped = fleet.start_worker("trapped", &through);
        fleet.workers.insert(0, trapped);
        Stage { fleet, to_postgres, to_redis, disk, sprung: (0, 0) }
    }

    /// Kills the first worker when it says this word to the database, or has its answer; returns once it is dead.
    fn kill_at_statement(&mut self, word: &str, moment: Moment) {
        let process = self.fleet.workers[0].process_id().expect("it runs");
        self.to_postgres.arm(word, moment, move || kill_process(process));
        self.sprung.0 += 1;
        self.to_postgres.wait_until_sprung(self.sprung.0, SPRINGS_WITHIN);
    }

    /// As [`Stage::kill_at_statement`], at a word to Redis.
    fn kill_at_command(&mut self, word: &str, moment: Moment) {
        let process = self.fleet.workers[0].process_id().expect("it runs");
        self.to_redis.arm(word, moment, move || kill_process(process));
        self.sprung.1 += 1;
        self.to_redis.wait_until_sprung(self.sprung.1, SPRINGS_WITHIN);
    }
}

fn kill_process(process: u32) {
    let process = Pid::from_raw(i32::try_from(process).expect("a process number"));
    // It may have ended by itself, which the next restart mends.
    let _ = kill(process, Signal::SIGKILL);
}

/// A fault: its name, and what happens from its beginning to its end.
type Fault = (&'static str, fn(&mut Stage, &Acknowledged));

const FAULTS: [Fault; 13] = [
    ("a worker was killed before its claim", |stage, _| {
        stage.kill_at_command("XREADGROUP", Moment::Before);
        stage.fleet.workers[0].start_again();
    }),
    ("a worker was killed after its claim", |stage, _| {
        stage.kill_at_statement("dispatch_decision", Moment::Before);
        stage.fleet.workers[0].start_again();
    }),
    ("a worker was killed after its commit", |stage, _| {
        stage.kill_at_statement("dispatch_decision", Moment::After);
        stage.fleet.workers[0].start_again();
    }),
    ("a worker was killed after its acknowledgement", |stage, _| {
        stage.kill_at_command("XACK", Moment::After);
        stage.fleet.workers[0].start_again();
    }),
    ("a worker was stopped and went on", |stage, _| {
        // Longer than a hint is left in a worker's hands.
        stage.fleet.workers[0].stop();
        sleep(lasts(5, 30));
        stage.fleet.workers[0].cont();
    }),
    ("Redis was flushed", |stage, _| {
        stage.fleet.redis.command(&["FLUSHALL"]).expect("Redis answers");
    }),
    ("Redis was full", |stage, acknowledged| {
        let before = acknowledged.len();
        stage.fleet.redis.command(&["CONFIG", "SET", "maxmemory", "1"]).expect("Redis answers");
        sleep(lasts(3, 20));
        assert!(acknowledged.len() > before, "with a full Redis no orders are taken");
        stage.fleet.redis.command(&["CONFIG", "SET", "maxmemory", "0"]).expect("Redis answers");
    }),
    ("Redis hung", |stage, acknowledged| {
        let before = acknowledged.len();
        stage.fleet.redis.stop();
        sleep(lasts(4, 60));
        stage.fleet.redis.cont();
        assert!(acknowledged.len() > before, "with a hung Redis no orders are taken");
    }),
    ("PostgreSQL hung", |stage, _| {
        stage.fleet.postgres.stop();
        sleep(lasts(4, 30));
        stage.fleet.postgres.cont();
    }),
    ("PostgreSQL's sessions were terminated", |stage, _| {
        for _ in 0..5 {
            let others = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                          WHERE pid <> pg_backend_pid() AND datname = current_database()";
            let _ = stage.fleet.sql(others);
            sleep(Duration::from_millis(200));
        }
    }),
    ("PostgreSQL's disk was full", |stage, _| {
        stage.disk.fill();
        sleep(lasts(3, 20));
        stage.disk.make_room();
        // A full disk can end PostgreSQL itself; whoever makes room starts it again.
        stage.fleet.postgres.restart();
    }),
    ("clocks went a day ahead", |stage, acknowledged| clocks_off(stage, acknowledged, 86_400)),
    ("clocks went a day back", |stage, acknowledged| clocks_off(stage, acknowledged, -86_400)),
];

/// A server and a worker whose clocks are off join the others.
fn clocks_off(stage: &mut Stage, acknowledged: &Acknowledged, seconds: i64) {
    let mut wrong = clock_off_by(seconds);
    wrong.push(("XINGFUMA_LIMITS__FACTOR".to_owned(), "100000".to_owned()));
    let worker = stage.fleet.start_worker(&format!("off{seconds}"), &wrong);
    let server = stage.fleet.start_server_unready(&format!("off{seconds}"), &wrong);
    let says = wait_for_answer(&server, "/readyz");
    assert_eq!(says.0, 503, "a process with a wrong clock is not ready: {}", says.1);
    assert!(says.1.contains("clock"), "{}", says.1);
    // The other workers stand still: it is the one with the wrong clock that dispatches.
    for process in &stage.fleet.workers {
        process.stop();
    }
    let before = orders(&stage.fleet, "AND epoch = 1").len();
    let begun = Instant::now();
    while orders(&stage.fleet, "AND epoch = 1").len() <= before {
        assert!(begun.elapsed() < SPRINGS_WITHIN, "it dispatches nothing:\n{}", worker.last_lines());
        sleep(Duration::from_millis(50));
    }
    sleep(lasts(2, 20));
    for process in &stage.fleet.workers {
        process.cont();
    }
    assert!(!acknowledged.is_empty());
}

/// The status and the text of a server's first answer.
fn wait_for_answer(server: &Process, path: &str) -> (u16, String) {
    let (anonymous, begun) = (Client::anonymous(server.base()), Instant::now());
    loop {
        if let Ok(answer) = anonymous.get_outside(path) {
            return (answer.status, answer.text());
        }
        assert!(begun.elapsed() < SPRINGS_WITHIN, "no answer:\n{}", server.last_lines());
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn whatever_breaks_nothing_acknowledged_is_lost_doubled_or_early() {
    let mut stage = Stage::set();
    let (acknowledged, mut draws) = (Acknowledged::default(), Draws::new());
    let (bases, accounts) = (stage.fleet.bases(), stage.fleet.accounts().clone());
    under_load(&bases, &accounts, &acknowledged, || {
        for _ in 0..if is_long() { 3 } else { 1 } {
            let mut faults = FAULTS;
            draws.shuffle(&mut faults);
            for (name, fault) in faults {
                fault(&mut stage, &acknowledged);
                stage.fleet.workers.iter_mut().for_each(Process::wait_until_working);
                recover(&mut stage.fleet, &acknowledged, name);
            }
        }
    });
    check(&stage.fleet, &acknowledged);
}

/// Killed with hints in its hands, again and again: how long their orders wait for another worker.
#[test]
fn the_orders_of_a_dead_worker_are_soon_dispatched_again() {
    let mut stage = Stage::set();
    let acknowledged = Acknowledged::default();
    let (bases, accounts) = (stage.fleet.bases(), stage.fleet.accounts().clone());
    let mut waited: Vec<i64> = Vec::new();
    under_load(&bases, &accounts, &acknowledged, || {
        for _ in 0..if is_long() { 40 } else { 8 } {
            stage.kill_at_statement("dispatch_decision", Moment::Before);
            let dead_at = stage.fleet.sql("SELECT extract(epoch FROM clock_timestamp()) * 1000");
            let left = orders(&stage.fleet, "AND epoch = 0");
            stage.fleet.workers[0].start_again();
            stage.fleet.workers[0].wait_until_working();
            recover(&mut stage.fleet, &acknowledged, "a worker died with hints in its hands");
            let list = left.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", ");
            if !left.is_empty() {
                let lags = stage.fleet.sql(&format!(
                    "SELECT (extract(epoch FROM at) * 1000 - {dead_at})::int8 FROM order_event WHERE seq = 2 \
                     AND order_id IN ({list})"
                ));
                waited.extend(lags.lines().map(|lag| lag.parse::<i64>().expect("milliseconds")));
            }
        }
    });
    waited.sort_unstable();
    assert!(!waited.is_empty(), "no worker died with anything in its hands");
    let p99 = waited[(waited.len() * 99).div_ceil(100) - 1];
    println!("{} orders of dead workers: median {} ms, p99 {p99} ms", waited.len(), waited[waited.len() / 2]);
    assert!(p99 <= AGAIN_WITHIN_MS, "{waited:?}");
    check(&stage.fleet, &acknowledged);
}

/// Everything in Redis is gone again and again, and nobody notices.
#[test]
fn redis_wiped_again_and_again_loses_nothing() {
    let mut fleet = Fleet::start(2, 2);
    let acknowledged = Acknowledged::default();
    let (bases, accounts) = (fleet.bases(), fleet.accounts().clone());
    let (every, whole) = (lasts(1, 10), lasts(10, 300));
    under_load(&bases, &accounts, &acknowledged, || {
        let begun = Instant::now();
        while begun.elapsed() < whole {
            sleep(every);
            fleet.redis.command(&["FLUSHALL"]).expect("Redis answers");
        }
        recover(&mut fleet, &acknowledged, "Redis was wiped for the last time");
    });
    check(&fleet, &acknowledged);
}

/// Each process is asked to end and started again, one after the other: whoever repeats his request under its key is
/// served, and nothing is lost.
#[test]
fn a_rolling_restart_under_load_fails_nobody_who_repeats_himself() {
    let mut fleet = Fleet::start(2, 2);
    let acknowledged = Acknowledged::default();
    let (bases, accounts) = (fleet.bases(), fleet.accounts().clone());
    under_load(&bases, &accounts, &acknowledged, || {
        for number in 0..2 {
            for process in [&mut fleet.servers[number], &mut fleet.workers[number]] {
                process.terminate();
                process.restart();
            }
            recover(&mut fleet, &acknowledged, "a server and a worker were started anew");
        }
    });
    check(&fleet, &acknowledged);
}

/// The one process with SQLite has no room to write: it says so, and goes on when there is some again.
#[test]
fn a_full_disk_under_sqlite_costs_nothing_but_time() {
    let disk = Disk::default();
    let settings = disk.settings();
    let settings: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let demo = Demo::start_with(&settings);
    let resident = Client::log_in(demo.base(), demo.accounts().one("resident"));
    let order = |text: &str| {
        json!({ "signCode": demo.accounts().sign(), "categoryCode": "errand", "description": text })
            .to_string()
    };
    let place = |key: &str, text: &str| {
        let (key, body) = ([(IDEMPOTENCY_KEY, key)], order(text));
        resident.send("POST", "/orders", &key, body.as_bytes()).expect("the server answers")
    };
    let (before, during) = (fresh_key(), fresh_key());
    assert_eq!(place(&before, "之前").status, 201);
    disk.fill();
    for _ in 0..5 {
        assert_eq!(place(&during, "期间").problem(503), "unavailable");
    }
    assert_eq!(resident.get("/orders").status, 200, "what is there can be read");
    disk.make_room();
    let begun = Instant::now();
    while place(&during, "期间").status != 201 {
        assert!(begun.elapsed() < SPRINGS_WITHIN, "it takes no orders any more:\n{}", demo.last_lines());
        sleep(Duration::from_millis(50));
    }
    let dispatched = "SELECT count(*), count(DISTINCT id) FROM orders WHERE status = 'dispatched'";
    while demo.sql(dispatched) != "2|2" {
        assert!(begun.elapsed() < SPRINGS_WITHIN, "{}", demo.sql(dispatched));
        sleep(Duration::from_millis(50));
    }
    assert_eq!(demo.sql("SELECT count(*) FROM orders"), "2", "each once");
    assert!(demo.audit(&["verify"]).success);
}
