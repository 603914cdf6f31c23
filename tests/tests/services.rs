//! The services themselves: what the fault tests do to them is what they undergo.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use xingfuma_tests::services::{Postgres, Redis};

const MEANWHILE: Duration = Duration::from_millis(300);

#[test]
fn redis_is_empty_after_a_crash() {
    let mut redis = Redis::start();
    let url = redis.url();
    redis.command(&["SET", "name", "昔阳"]).unwrap();
    assert_eq!(redis.command(&["GET", "name"]).unwrap(), "昔阳");
    assert!(redis.command(&["NO", "such"]).unwrap_err().starts_with("ERR unknown command"));

    redis.kill();
    assert_eq!(redis.process_id(), None);
    redis.restart();
    assert_eq!(redis.url(), url);
    assert_eq!(redis.command(&["DBSIZE"]).unwrap(), "0");
}

#[test]
fn redis_with_aof_survives_a_crash() {
    let mut redis = Redis::start_with_aof();
    redis.command(&["SET", "name", "value"]).unwrap();
    redis.kill();
    redis.restart();
    assert_eq!(redis.command(&["GET", "name"]).unwrap(), "value");
    assert!(redis.home().join("appendonlydir").is_dir());
}

#[test]
fn a_stopped_redis_answers_when_it_goes_on() {
    let mut redis = Redis::start();
    redis.stop();
    thread::scope(|scope| {
        let answer = scope.spawn(|| redis.command(&["PING"]));
        sleep(MEANWHILE);
        assert!(!answer.is_finished(), "it answered while it was stopped");
        signal_cont(redis.process_id().unwrap());
        assert_eq!(answer.join().unwrap().unwrap(), "PONG");
    });
    redis.stop();
    redis.cont();
    assert_eq!(redis.command(&["PING"]).unwrap(), "PONG");
}

/// `cont` takes `&mut`, which a running scope does not give.
fn signal_cont(process: u32) {
    let process = nix::unistd::Pid::from_raw(i32::try_from(process).unwrap());
    nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGCONT).unwrap();
}

#[test]
fn postgres_keeps_what_was_committed_through_a_crash() {
    let mut postgres = Postgres::start();
    let url = postgres.create_database("county_140724");
    assert!(url.ends_with("/county_140724"));
    let sql = |postgres: &Postgres, statements: &str| postgres.sql("county_140724", statements);
    sql(&postgres, "CREATE TABLE orders (number bigint PRIMARY KEY)");
    sql(&postgres, "INSERT INTO orders SELECT generate_series(1, 1000)");
    assert_eq!(postgres.sql("postgres", "SHOW fsync"), "on");

    for round in 1..=2 {
        let before = postgres.process_id();
        postgres.kill();
        assert_eq!(postgres.process_id(), None);
        postgres.restart();
        assert_ne!(postgres.process_id(), before);
        assert_eq!(sql(&postgres, "SELECT count(*) FROM orders"), (999 + round).to_string());
        sql(&postgres, &format!("INSERT INTO orders VALUES ({})", 1000 + round));
    }
    // Restarting one that runs is a crash too, at once.
    postgres.restart();
    assert_eq!(sql(&postgres, "SELECT count(*) FROM orders"), "1002");
}

#[test]
fn a_stopped_postgres_hangs_in_the_midst_of_its_sessions_and_goes_on() {
    let mut postgres = Postgres::start();
    let url = postgres.url();
    let mut session = Command::new("psql")
        .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--dbname", &url])
        .args([
            "--command",
            "SELECT 'begun'",
            "--command",
            "SELECT pg_sleep(0.2)",
            "--command",
            "SELECT 'ended'",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(session.stdout.take().unwrap()).lines();
    // An answer of the session says that its process exists.
    assert_eq!(lines.next().unwrap().unwrap(), "begun");
    postgres.stop();
    sleep(MEANWHILE * 2);
    assert!(session.try_wait().unwrap().is_none(), "the session went on while the server was stopped");
    postgres.cont();
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(rest, ["", "ended"]);
    assert!(session.wait().unwrap().success());
    assert_eq!(postgres.sql("postgres", "SELECT 1"), "1");
}

#[test]
fn the_shared_ones_outlive_the_thread_that_first_asked() {
    let ask = || (Redis::shared().process_id(), Postgres::shared().process_id());
    let first = thread::spawn(ask).join().unwrap();
    sleep(MEANWHILE);
    assert_eq!(ask(), first);
    assert_eq!(Redis::shared().command(&["PING"]).unwrap(), "PONG");
    assert_eq!(Postgres::shared().sql("postgres", "SELECT 1"), "1");
}

#[test]
fn dropping_removes_everything() {
    let (redis, postgres) = (Redis::start(), Postgres::start());
    let processes = [redis.process_id().unwrap(), postgres.process_id().unwrap()];
    let homes = [redis.home().to_owned(), postgres.home().to_owned()];
    drop((redis, postgres));
    assert!(processes.iter().all(|process| !runs(*process)));
    assert!(homes.iter().all(|home| !home.exists()));
}

#[test]
fn servers_and_homes_go_with_a_test_process_that_is_killed() {
    let mut other = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "hold_services_until_killed", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(other.stdout.take().unwrap()).lines();
    let facts = lines
        .map(Result::unwrap)
        .find_map(|line| line.split_once("holding ").map(|(_, facts)| facts.to_owned()));
    let facts = facts.expect("it says what it holds");
    let words: Vec<&str> = facts.split(' ').collect();
    let [redis, redis_home, postgres, postgres_home] = words[..] else { panic!("{facts}") };
    let processes = [redis, postgres].map(|process| process.parse::<u32>().unwrap());
    assert!(processes.iter().all(|process| runs(*process)));
    assert!([redis_home, postgres_home].iter().all(|home| Path::new(home).exists()));

    other.kill().unwrap();
    other.wait().unwrap();
    let is_left = || {
        processes.iter().any(|process| runs(*process))
            || [redis_home, postgres_home].iter().any(|home| Path::new(home).exists())
    };
    let begun = Instant::now();
    while is_left() {
        assert!(begun.elapsed() < Duration::from_secs(20), "left behind: {facts}");
        sleep(Duration::from_millis(50));
    }
}

#[test]
#[ignore = "the other process of the test above"]
fn hold_services_until_killed() {
    let (redis, postgres) = (Redis::shared(), Postgres::shared());
    let (redis_process, postgres_process) = (redis.process_id().unwrap(), postgres.process_id().unwrap());
    let (redis_home, postgres_home) = (redis.home().display(), postgres.home().display());
    println!("holding {redis_process} {redis_home} {postgres_process} {postgres_home}");
    sleep(Duration::from_secs(60));
}

/// Whether a process runs; one that has ended and that nobody has waited for (state `Z`) does not.
fn runs(process: u32) -> bool {
    let facts = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    facts.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}
