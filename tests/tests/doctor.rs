//! `xingfuma doctor` finds nothing wrong with a healthy county, and names each fault that is brought about here.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use xingfuma_tests::{
    client::Client,
    program::{Demo, Fleet, RUNTIME_ROLE, Told},
};

/// A sweep gives a sign of life every ten seconds; the first one with its first round.
const SIGN_WITHIN: Duration = Duration::from_secs(30);

/// What the doctor said.
struct Findings(Value);

impl Findings {
    fn of(told: &Told) -> Findings {
        let found: Value =
            serde_json::from_str(&told.printed).unwrap_or_else(|error| panic!("{error}: {told:?}"));
        let any_bad =
            found["findings"].as_array().expect("findings").iter().any(|one| one["health"] == "bad");
        assert_eq!(told.success, !any_bad, "the exit code follows from what was found: {told:?}");
        assert_eq!(found["ok"], !any_bad);
        Findings(found)
    }

    /// What a check says of itself.
    fn health(&self, check: &str) -> &str {
        let mut all = self.0["findings"].as_array().expect("findings").iter();
        let one = all.find(|one| one["check"] == check).unwrap_or_else(|| panic!("no {check}: {}", self.0));
        let health = one["health"].as_str().expect("a health");
        assert_eq!(
            one["advice"].is_string(),
            health != "ok",
            "whoever is told of a fault is told what to do: {one}"
        );
        health
    }

    fn bad(&self) -> Vec<&str> {
        let all = self.0["findings"].as_array().expect("findings").iter();
        all.filter(|one| one["health"] == "bad").map(|one| one["check"].as_str().expect("a name")).collect()
    }
}

fn own(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn a_demo_is_well_and_a_broken_one_is_not() {
    let demo = Demo::start();
    let ask = |settings: &[(String, String)]| Findings::of(&demo.run(&["doctor", "--json"], settings));
    let begun = Instant::now();
    while !ask(&[]).bad().is_empty() {
        assert!(begun.elapsed() < SIGN_WITHIN, "{:?}", ask(&[]).0);
        sleep(Duration::from_millis(500));
    }
    let well = ask(&[]);
    for check in
        ["keys", "database", "schema", "county", "writes", "sweep", "dead letters", "redis", "audit roots"]
    {
        assert_eq!(well.health(check), "ok", "{check}");
    }
    assert_eq!(well.health("wechat"), "warning", "a demo has the stand-in");
    let table = demo.run(&["doctor"], &[]);
    assert!(table.success && table.printed.contains("0 wrong"), "{table:?}");

    // Each fault by itself, and nothing else with it.
    let zeros = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    assert_eq!(ask(&[own("XINGFUMA_KEYS__DATA", zeros)]).bad(), ["keys"]);
    assert_eq!(ask(&[own("XINGFUMA_AUDIT__ROOTS", "/proc/no/roots.jsonl")]).health("audit roots"), "bad");
    assert_eq!(ask(&[own("XINGFUMA_PUBLIC_URL", "https://fu.example.gov.cn/")]).bad(), ["public address"]);
    assert_eq!(ask(&[own("XINGFUMA_SCORE__RULES", "/nowhere")]).bad(), ["scoring rules"]);
    assert_eq!(ask(&[own("XINGFUMA_COUNTY__CODE", "110101")]).health("county"), "bad");
    assert_eq!(ask(&[own("XINGFUMA_NO_SUCH_SETTING", "1")]).bad(), ["configuration"]);

    // An order in trouble.
    let resident = Client::log_in(demo.base(), demo.accounts().one("resident"));
    let placed =
        json!({ "signCode": demo.accounts().sign(), "categoryCode": "errand", "description": "代买一袋米" });
    resident.post("/orders", &placed).expect(201);
    let begun = Instant::now();
    while demo.sql("SELECT count(*) FROM orders WHERE status = 'dispatched'") != "1" {
        assert!(begun.elapsed() < SIGN_WITHIN, "not dispatched");
        sleep(Duration::from_millis(50));
    }
    let _ = demo.sql("UPDATE due SET dead = 'told to fail'");
    assert_eq!(ask(&[]).bad(), ["dead letters"]);
    // Overdue for long, and in the hands of somebody who will not let go.
    let _ = demo.sql(
        "UPDATE due SET dead = NULL, kind = 'dispatch', wake_at = '2026-01-01T00:00:00+00:00', \
         leased_until = '2999-01-01T00:00:00+00:00'",
    );
    assert_eq!(ask(&[]).bad(), ["waiting orders", "overdue timers"]);
    let _ = demo.sql("DELETE FROM due");
    let _ = demo.sql("ALTER TABLE seaql_migrations RENAME TO not_there");
    assert_eq!(ask(&[]).health("schema"), "bad");
    let _ = demo.sql("ALTER TABLE not_there RENAME TO seaql_migrations");
}

#[test]
fn each_fault_of_a_fleet_is_named() {
    let mut fleet = Fleet::start(0, 1);
    let ask = |fleet: &Fleet, settings: &[(String, String)]| {
        Findings::of(&fleet.run(&["doctor", "--json"], settings))
    };
    let begun = Instant::now();
    while !ask(&fleet, &[]).bad().is_empty() {
        assert!(begun.elapsed() < SIGN_WITHIN, "{:?}", ask(&fleet, &[]).0);
        sleep(Duration::from_millis(500));
    }
    for check in ["redis", "redis writes", "redis eviction", "queue", "clock", "sweep"] {
        assert_eq!(ask(&fleet, &[]).health(check), "ok", "{check}");
    }
    assert_eq!(ask(&fleet, &[]).health("redis on disk"), "warning", "the tests' Redis keeps nothing");

    // As the owner of the tables, who can change the past; and with less than the program works with.
    assert_eq!(ask(&fleet, &[]).health("privileges"), "ok");
    let owner = fleet.owner()[0].1.clone();
    let mighty = ask(&fleet, &[own("XINGFUMA_DATABASE__URL", &owner)]);
    assert_eq!((mighty.health("privileges"), mighty.bad()), ("warning", Vec::new()), "it goes on as ever");
    assert_eq!(ask(&fleet, fleet.owner()).health("privileges"), "warning", "the owner's address lies about");
    let _ = fleet.sql(&format!("REVOKE INSERT ON orders FROM {RUNTIME_ROLE}"));
    assert_eq!(ask(&fleet, &[]).bad(), ["privileges"]);
    let _ = fleet.sql(&format!(
        "GRANT INSERT ON orders TO {RUNTIME_ROLE}; GRANT DELETE ON score_entry TO {RUNTIME_ROLE}"
    ));
    assert_eq!(ask(&fleet, &[]).health("privileges"), "warning");
    let migrated = fleet.run(&["migrate"], fleet.owner());
    assert!(migrated.success, "{migrated:?}");
    assert_eq!(ask(&fleet, &[]).health("privileges"), "ok", "migrate grants anew");
    let _ = fleet.sql("ALTER TABLE score_entry DISABLE TRIGGER score_entry_append_only");
    assert_eq!(ask(&fleet, &[]).bad(), ["triggers"]);
    let _ = fleet.sql("ALTER TABLE score_entry ENABLE TRIGGER score_entry_append_only");

    // WeChat in earnest.
    let real = own("XINGFUMA_SANDBOX", "false");
    assert_eq!(ask(&fleet, std::slice::from_ref(&real)).bad(), ["wechat"]);
    let appid = own("XINGFUMA_WECHAT__APPID", "wx0123456789abcdef");
    let secret = own("XINGFUMA_WECHAT__SECRET", "0123456789abcdef0123456789abcdef");
    assert_eq!(ask(&fleet, &[real, appid, secret]).health("wechat"), "ok");

    // Redis.
    fleet.redis.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).expect("Redis answers");
    assert_eq!(ask(&fleet, &[]).bad(), ["redis eviction"]);
    fleet.redis.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).expect("Redis answers");
    fleet.redis.command(&["CONFIG", "SET", "maxmemory", "1"]).expect("Redis answers");
    assert_eq!(ask(&fleet, &[]).bad(), ["redis writes"]);
    fleet.redis.command(&["CONFIG", "SET", "maxmemory", "0"]).expect("Redis answers");
    fleet.redis.stop();
    assert_eq!(ask(&fleet, &[]).bad(), ["redis"]);
    fleet.redis.cont();

    // The worker is gone: nobody sweeps, and nobody makes the group that a wiped Redis has lost.
    fleet.workers[0].kill();
    fleet.redis.command(&["FLUSHALL"]).expect("Redis answers");
    assert_eq!(ask(&fleet, &[]).health("queue"), "warning");
    let _ = fleet.sql("UPDATE heartbeat SET at = at - interval '1 minute'");
    assert_eq!(ask(&fleet, &[]).bad(), ["sweep"]);
    let _ = fleet.sql("UPDATE heartbeat SET at = now()");
    // A hint in the hands of somebody who is dead for longer than any worker would let it be.
    fleet
        .redis
        .command(&["XGROUP", "CREATE", "{xfm-140724:dispatch}:stream", "workers", "0", "MKSTREAM"])
        .expect("made");
    let id = "01900000-0000-7000-8000-000000000001";
    let entry = ["XADD", "{xfm-140724:dispatch}:stream", "*", "order", id, "epoch", "0"];
    let entry = fleet.redis.command(&entry).expect("an entry");
    let claim = "return redis.call('XREADGROUP', 'GROUP', 'workers', 'dead', 'STREAMS', KEYS[1], '>') and 1";
    fleet.redis.command(&["EVAL", claim, "1", "{xfm-140724:dispatch}:stream"]).expect("claimed");
    let old = "return redis.call('XCLAIM', KEYS[1], 'workers', 'dead', 0, ARGV[1], 'IDLE', 60000) and 1";
    fleet.redis.command(&["EVAL", old, "1", "{xfm-140724:dispatch}:stream", &entry]).expect("aged");
    assert_eq!(ask(&fleet, &[]).bad(), ["queue"]);

    // The database: only to be read, of another schema, gone.
    let _ = fleet.sql("ALTER DATABASE county SET default_transaction_read_only = on");
    assert!(ask(&fleet, &[]).bad().contains(&"writes"));
    let _ = fleet.sql("BEGIN READ WRITE; ALTER DATABASE county RESET default_transaction_read_only; COMMIT");
    let _ = fleet.sql("DELETE FROM seaql_migrations WHERE version = 'm0047_dead_letters'");
    assert!(ask(&fleet, &[]).bad().contains(&"schema"));
    fleet.postgres.kill();
    assert!(ask(&fleet, &[]).bad().contains(&"database"));
}
