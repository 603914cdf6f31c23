//! What a step costs, counted and not timed: round trips to the database, commits, bytes of write-ahead log, updates in
//! place, scans. Wall-clock figures swing by tens of percent on a small machine; these do not.
//!
//! No worker runs while something is counted, unless it is the worker's own; orders are dispatched by hand, which
//! writes the same rows as the queue does.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use xingfuma_tests::{
    client::Client,
    program::{Fleet, Process},
    wire::{Traffic, Wire},
};

/// The database of a fleet.
const DATABASE: &str = "county";
/// Lives before anything is counted: statements get prepared on every connection.
const WARM_UP: usize = 3;
/// Lives that are counted, a quarter a volunteer: below what a month's cap on points allows each.
const LIVES: usize = 24;
/// The most round trips of a step, from the request to its answer, with the look at the session. Statements are
/// prepared once a connection; that is not counted.
///
/// One reads the session, and the order with it; the other writes.
const ROUND_TRIPS: u64 = 2;
/// The most bytes of write-ahead log, as a multiple of what the bare rows cost.
const LOG_AT_MOST: f64 = 1.3;
/// The least share of an order's updates that stay in their page.
const IN_PLACE_AT_LEAST: f64 = 0.95;
/// How long statistics may take to be written down.
const SOON: Duration = Duration::from_secs(20);

const STEPS: [&str; 5] = ["place", "dispatch", "accept", "complete", "rate"];

#[test]
fn a_step_costs_what_it_should() {
    let mut stage = Stage::set();
    let begun = Instant::now();
    for n in 0..WARM_UP {
        stage.live(n);
    }
    round_trips_and_commits(&mut stage);
    log_and_updates_in_place(&mut stage);
    dispatch_by_the_queue(&mut stage);
    no_scans(&mut stage);
    eprintln!("counted for {} s", begun.elapsed().as_secs());
}

/// A server whose way to the database is tapped, and the people of one order.
struct Stage {
    resident: Client,
    volunteers: Vec<Client>,
    dispatcher: Client,
    sign: String,
    team: String,
    category: String,
    server_wire: Wire,
    server: Process,
    fleet: Fleet,
}

impl Stage {
    fn set() -> Self {
        let fleet = Fleet::start(0, 0);
        // Full pages and vacuums come when they come; without them the log holds nothing but what a step writes.
        for setting in ["full_page_writes = off", "autovacuum = off", "checkpoint_timeout = '1h'"] {
            let done = fleet.postgres.sql("postgres", &format!("ALTER SYSTEM SET {setting}"));
            assert_eq!(done, "");
        }
        assert_eq!(fleet.postgres.sql("postgres", "SELECT pg_reload_conf()"), "t");
        let wire = Wire::to(&fleet.postgres);
        let server = fleet.start_server("tapped", &by(&wire, &fleet));
        let base = server.base().to_owned();
        let accounts = fleet.accounts();
        let dispatcher = Client::log_in(&base, accounts.village_dispatcher());
        let team = fleet.sql(&format!(
            "SELECT a.team_id FROM team_area a JOIN team t ON t.id = a.team_id WHERE a.area_code = '{}' \
             AND t.kind = 'grid'",
            accounts.grid()
        ));
        let resident = Client::log_in(&base, accounts.one("resident"));
        let scanned = resident.get(&format!("/signs/{}", accounts.sign())).expect(200);
        let categories = scanned["categories"].as_array().expect("categories");
        let plain = categories.iter().find(|category| category["kind"] == "service").expect("a service");
        Self {
            volunteers: accounts.team().into_iter().map(|account| Client::log_in(&base, account)).collect(),
            sign: accounts.sign().to_owned(),
            category: plain["code"].as_str().expect("a code").to_owned(),
            resident,
            dispatcher,
            team,
            server_wire: wire,
            server,
            fleet,
        }
    }

    fn place(&self) -> String {
        let body = json!({
            "signCode": self.sign,
            "categoryCode": self.category,
            "description": "家里没有米了，麻烦帮忙买一袋，另外取一个快递。",
            "contact": { "name": "王大娘", "phone": "15400001234" },
            "address": "村委会对面第二家",
        });
        let order = self.resident.post("/orders", &body).expect(201);
        order["id"].as_str().expect("an id").to_owned()
    }

    /// One step of an order's life; `n` picks the volunteer.
    fn step(&self, step: &str, order: &str, n: usize) {
        let volunteer = &self.volunteers[n % self.volunteers.len()];
        let (who, body) = match step {
            "dispatch" => (&self.dispatcher, json!({ "teamId": self.team, "reason": "按网格指定" })),
            "accept" => (volunteer, json!({})),
            "complete" => (volunteer, json!({ "summary": "米买好了，快递也送到家了。", "minutes": 40 })),
            "rate" => (&self.resident, json!({ "stars": 5, "solved": true, "comment": "来得很快，谢谢！" })),
            other => panic!("no step: {other}"),
        };
        let answer = who.post(&format!("/orders/{order}/{step}"), &body);
        assert_eq!(answer.status, 200, "{step}: {}", answer.text());
    }

    fn live(&self, n: usize) -> String {
        let order = self.place();
        STEPS[1..].iter().for_each(|step| self.step(step, &order, n));
        order
    }

    fn number(&self, query: &str) -> i64 {
        let answer = self.fleet.sql(query);
        answer.parse().unwrap_or_else(|_| panic!("{query}: {answer}"))
    }

    /// Bytes of write-ahead log so far.
    fn log(&self) -> i64 {
        self.number("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
    }

    /// Transactions that wrote something so far: each of them, and nobody else, took a number.
    fn commits(&self) -> i64 {
        self.number("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
    }
}

/// What makes a process go by the tapped way.
fn by(wire: &Wire, fleet: &Fleet) -> Vec<(String, String)> {
    vec![("XINGFUMA_DATABASE__URL".to_owned(), wire.url(fleet.setting("XINGFUMA_DATABASE__URL")))]
}

/// Each step alone: how often it asks the database and waits, and how often it commits.
fn round_trips_and_commits(stage: &mut Stage) {
    // Every second some housekeeping goes along, so each step is done a few times and the least of them counts.
    let mut least: [Traffic; STEPS.len()] = Default::default();
    let mut fewest_commits = [i64::MAX; STEPS.len()];
    for n in 0..6 {
        let mut order = String::new();
        for ((step, least), fewest) in STEPS.into_iter().zip(&mut least).zip(&mut fewest_commits) {
            let commits = stage.commits();
            drop(stage.server_wire.take());
            if step == "place" {
                order = stage.place()
            } else {
                stage.step(step, &order, n)
            }
            let traffic = stage.server_wire.take();
            // A block of order numbers is reserved once in 500 placements.
            let reserved = traffic.statements.iter().filter(|text| text.contains("'order_number'")).count();
            let commits = stage.commits() - commits - i64::try_from(reserved).expect("few");
            // Once a day the ledger's root is taken, beside whatever step is under way.
            assert!(commits >= 1, "{step} commits: {traffic:#?}");
            *fewest = commits.min(*fewest);
            if n == 0 || steady(&traffic) < steady(least) {
                *least = traffic;
            }
        }
    }
    assert_eq!(fewest_commits, [1; STEPS.len()], "each step commits once");
    for (step, least) in STEPS.into_iter().zip(&least) {
        eprintln!("{step}: {} round trips, 1 commit", steady(least));
    }
    for (step, least) in STEPS.into_iter().zip(&least) {
        assert!(steady(least) <= ROUND_TRIPS, "{step} takes more than {ROUND_TRIPS} round trips: {least:#?}");
    }
}

/// Round trips once every statement is prepared.
fn steady(traffic: &Traffic) -> u64 {
    traffic.round_trips - traffic.preparing
}

/// Many lives side by side, step by step, against the same rows written bare.
fn log_and_updates_in_place(stage: &mut Stage) {
    stage.fleet.postgres.sql(DATABASE, SAMPLE);
    sample_a_life(stage);
    let (before, _) = updates_of_orders(stage, 0);
    let begun = stage.log();
    let orders: Vec<String> = (0..LIVES).map(|_| stage.place()).collect();
    let placed = stage.log();
    let step_all = |step: &str| orders.iter().enumerate().for_each(|(n, order)| stage.step(step, order, n));
    step_all("dispatch");
    let (updates, in_place) = updates_of_orders(stage, before + LIVES as i64);
    ["accept", "complete", "rate"].iter().for_each(|step| step_all(step));
    let lived = stage.log();
    let floor = |steps: &str| {
        let before = stage.log();
        let done = stage.fleet.sql(&REPLAY.replace(":lives", &LIVES.to_string()).replace(":steps", steps));
        assert_eq!(done, "");
        stage.log() - before
    };
    let (floor_placed, floor_rest) = (floor("1, 1"), floor("2, 5"));
    ratio("a placement", placed - begun, floor_placed);
    ratio("a whole life", lived - begun, floor_placed + floor_rest);
    let expected = LIVES as i64 * 3;
    let (after, in_place_after) = updates_of_orders(stage, updates + expected);
    let share = (in_place_after - in_place) as f64 / (after - updates) as f64;
    eprintln!("updates by accept, complete, rate that stay in their page: {:.1} %", share * 100.0);
    assert!(share >= IN_PLACE_AT_LEAST, "only {share:.2} of the updates stay in their page");
}

fn ratio(what: &str, ours: i64, floor: i64) {
    let lives = LIVES as i64;
    let times = ours as f64 / floor as f64;
    eprintln!(
        "{what}: {} bytes of log, {times:.2} times the {} of the bare rows",
        ours / lives,
        floor / lives
    );
    assert!(times <= LOG_AT_MOST, "{what} writes {times:.2} times the log of its rows");
    assert!(times > 0.5, "{what}: the floor writes less than the product, or it is no floor: {times:.2}");
}

/// Updates of orders so far, and those in place; waits until at least `known` are written down.
fn updates_of_orders(stage: &Stage, known: i64) -> (i64, i64) {
    let begun = Instant::now();
    loop {
        let text = "SELECT n_tup_upd || ' ' || n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'orders' \
                    AND schemaname = 'public'";
        let answer = stage.fleet.sql(text);
        let (all, in_place) = answer.split_once(' ').expect("two numbers");
        let (all, in_place) = (all.parse().expect("a number"), in_place.parse().expect("a number"));
        if all >= known && known > 0 || known == 0 && begun.elapsed() > Duration::from_secs(3) {
            return (all, in_place);
        }
        assert!(begun.elapsed() < SOON, "{all} updates are known, not {known}");
        sleep(Duration::from_millis(100));
    }
}

/// The rows of one life, each as it was after each step.
const SAMPLE: &str = "
CREATE SCHEMA floor;
CREATE TABLE floor.sample (step int, rank int, name text, content jsonb);
CREATE FUNCTION floor.read(the_step int, the_order uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE what record;
BEGIN
    FOR what IN SELECT * FROM (VALUES (1, 'idempotency', 'resource_id = $1'), (2, 'orders', 'id = $1'),
        (3, 'order_event', 'order_id = $1'), (4, 'due', 'order_id = $1'), (5, 'dispatch_decision', 'order_id = $1'),
        (6, 'engagement', 'order_id = $1'), (7, 'notification', 'order_id = $1'), (8, 'audit', 'resource_id = $1'),
        (9, 'score_transaction', 'source_id = $1'), (10, 'score_entry',
        'transaction_id IN (SELECT id FROM score_transaction WHERE source_id = $1)'),
        (11, 'served', 'order_id = $1')) AS v (rank, name, mine)
    LOOP
        EXECUTE format('INSERT INTO floor.sample SELECT $2, $3, $4, to_jsonb(t) FROM %I t WHERE %s AND NOT EXISTS
            (SELECT FROM floor.sample s WHERE s.name = $4 AND s.content = to_jsonb(t))', what.name, what.mine)
            USING the_order, the_step, what.rank, what.name;
    END LOOP;
END $$;
";

fn sample_a_life(stage: &Stage) {
    let order = stage.place();
    for (n, step) in (1..).zip(STEPS) {
        if n > 1 {
            stage.step(step, &order, 0);
        }
        assert_eq!(stage.fleet.sql(&format!("SELECT floor.read({n}, '{order}')")), "");
    }
    let tables = "idempotency orders order_event due dispatch_decision engagement notification audit \
                  score_transaction score_entry score_account score_cap served";
    for table in tables.split_whitespace() {
        // With the indexes, without the rows.
        let text = format!("CREATE TABLE floor.{table} (LIKE public.{table} INCLUDING ALL)");
        assert_eq!(stage.fleet.sql(&text), "");
    }
}

/// Writes the sample's rows again under fresh ids, a commit a step: an insert a row, and an update where the row is
/// there. Balances and caps move as in the product: by the points of the sample's entries.
const REPLAY: &str = r#"
DO $$
DECLARE
    s int; n int; r record; ids jsonb; fresh uuid; person uuid; sum bigint;
BEGIN
    SET search_path = floor, public;
    FOR s IN SELECT generate_series(:steps) LOOP
        FOR n IN 1..:lives LOOP
            fresh := (lpad(to_hex(1790000000000 + n), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid;
            FOR r IN SELECT * FROM floor.sample WHERE step = s ORDER BY rank LOOP
                ids := r.content || CASE r.name
                    WHEN 'orders' THEN jsonb_build_object('id', fresh, 'number', 900000000 + n)
                    WHEN 'idempotency' THEN jsonb_build_object('resource_id', fresh,
                        'key', sha256((s || '-' || n)::bytea))
                    WHEN 'audit' THEN jsonb_build_object('id', fresh, 'resource_id', fresh)
                    WHEN 'score_transaction' THEN jsonb_build_object('source_id', fresh,
                        'id', overlay(r.content->>'id' placing lpad(to_hex(n), 8, '0') from 1 for 8))
                    WHEN 'score_entry' THEN jsonb_build_object(
                        'id', overlay(r.content->>'id' placing lpad(to_hex(n), 8, '0') from 1 for 8),
                        'transaction_id', overlay(r.content->>'transaction_id' placing lpad(to_hex(n), 8, '0')
                        from 1 for 8), 'seq', (r.content->>'seq')::bigint + 1000 * n)
                    ELSE jsonb_build_object('order_id', fresh) END;
                IF r.name = 'orders' AND s > 1 THEN
                    UPDATE floor.orders o SET status = v.status, version = v.version, epoch = v.epoch,
                        snapshot = v.snapshot FROM jsonb_populate_record(NULL::floor.orders, ids) v WHERE o.id = fresh;
                ELSIF r.name = 'due' THEN
                    INSERT INTO floor.due SELECT * FROM jsonb_populate_record(NULL::floor.due, ids)
                        ON CONFLICT (order_id) DO UPDATE SET kind = excluded.kind, wake_at = excluded.wake_at,
                        epoch = excluded.epoch, team_id = excluded.team_id, volunteer_id = excluded.volunteer_id;
                ELSE
                    EXECUTE format('INSERT INTO floor.%I SELECT * FROM jsonb_populate_record(NULL::floor.%I, $1)',
                        r.name, r.name) USING ids;
                END IF;
                IF r.name = 'score_entry' AND r.content->>'owner_id' IS NOT NULL THEN
                    INSERT INTO floor.score_account (county, owner_id, kind, purse, balance, seq, head) VALUES
                        (ids->>'county', (ids->>'owner_id')::uuid, ids->>'kind', ids->>'purse',
                        (ids->>'points')::bigint, (ids->>'seq')::bigint, sha256(ids::text::bytea))
                        ON CONFLICT (county, owner_id, kind, purse) DO UPDATE
                        SET balance = score_account.balance + excluded.balance, seq = excluded.seq, head = excluded.head;
                ELSIF r.name = 'score_transaction' THEN
                    INSERT INTO floor.score_cap (person_id, rule_code, month, county, points, granted) VALUES
                        ('00000000-0000-7000-8000-000000000001', ids->>'rule_code', '2026-01', ids->>'county', 1, 1)
                        ON CONFLICT (person_id, rule_code, month) DO UPDATE SET points = score_cap.points + 1;
                END IF;
            END LOOP;
            COMMIT;
        END LOOP;
    END LOOP;
END $$
"#;

/// What a worker does beside dispatching.
const BESIDE: [&str; 8] = [
    "FROM counter",
    "clock_timestamp",
    "UPDATE due SET leased_until",
    "FROM due WHERE wake_at IS NOT NULL",
    "expanded_at",
    "FROM volunteer WHERE team_id IN",
    "BEGIN",
    "COMMIT",
];

/// The queue's own dispatch: read the order, read the teams' loads, write; in one commit.
fn dispatch_by_the_queue(stage: &mut Stage) {
    let wire = Wire::to(&stage.fleet.postgres);
    let worker = stage.fleet.start_worker("tapped", &by(&wire, &stage.fleet));
    let mut least = usize::MAX;
    for _ in 0..4 {
        drop(wire.take());
        let order = stage.place();
        wait_until_dispatched(stage, &order);
        let Traffic { statements, .. } = wire.take();
        let own = statements.iter().filter(|text| BESIDE.iter().all(|beside| !text.contains(beside)));
        least = own.count().min(least);
        let commits = format!(
            "SELECT count(DISTINCT xmin::text) FROM (SELECT xmin FROM orders WHERE id = '{order}' UNION ALL \
             SELECT xmin FROM order_event WHERE order_id = '{order}' AND seq = 2 UNION ALL \
             SELECT xmin FROM dispatch_decision WHERE order_id = '{order}') AS all_rows"
        );
        assert_eq!(stage.number(&commits), 1, "a dispatch commits once");
    }
    eprintln!("dispatch by the queue: {least} round trips, 1 commit");
    assert!((1..=3).contains(&least), "a dispatch by the queue takes {least} round trips");
    drop(worker);
}

fn wait_until_dispatched(stage: &Stage, order: &str) {
    let begun = Instant::now();
    while stage.resident.get(&format!("/orders/{order}")).expect(200)["status"] != "dispatched" {
        assert!(begun.elapsed() < SOON, "nobody was sought");
        sleep(Duration::from_millis(20));
    }
}

/// Tables that grow for ever, or with the work.
const GROWING: &str = "'orders', 'order_event', 'score_entry', 'score_transaction', 'score_account', 'score_cap', 'due', \
                       'idempotency', 'dispatch_decision', 'engagement', 'notification', 'inbox', 'audit', 'session', 'served', \
                       'served_count', 'rated_pair', 'score_hold'";

/// Whatever people do reads by an index. PostgreSQL is told to scan only where it has nothing else, so that the small
/// tables of a test show what large ones would suffer.
fn no_scans(stage: &mut Stage) {
    assert_eq!(stage.fleet.postgres.sql("postgres", "ALTER SYSTEM SET enable_seqscan = off"), "");
    assert_eq!(stage.fleet.postgres.sql("postgres", "SELECT pg_reload_conf()"), "t");
    // Plans that are kept were made before: new connections plan anew.
    stage.server.restart();
    let worker = stage.fleet.start_worker("scanning", &[]);
    let before = scans(stage);
    let order = stage.live_by_the_queue();
    read_everything(stage, &order);
    // Statistics are written down a second after the work at the latest.
    sleep(Duration::from_secs(2));
    let after = scans(stage);
    let new: Vec<_> = after.iter().zip(&before).filter(|(after, before)| after != before).collect();
    assert!(new.is_empty(), "tables were scanned: {new:?}");
    drop(worker);
}

impl Stage {
    fn live_by_the_queue(&self) -> String {
        let order = self.place();
        wait_until_dispatched(self, &order);
        STEPS[2..].iter().for_each(|step| self.step(step, &order, 1));
        order
    }
}

fn read_everything(stage: &Stage, order: &str) {
    let seen = stage.resident.get(&format!("/orders/{order}")).expect(200);
    assert_eq!(seen["status"], "rated", "{seen}");
    for path in ["/orders", "/orders?scope=own", "/me/inbox", "/showcase"] {
        list(&stage.resident, path);
    }
    for path in ["/orders", "/orders?scope=team&limit=20", "/orders?status=rated", "/me/passbook"] {
        list(&stage.volunteers[1], path);
    }
    for path in ["/orders", "/orders?scope=area&limit=20", "/orders?categoryCode=errand", "/dispatch/board"] {
        list(&stage.dispatcher, path);
    }
    stage.dispatcher.get(&format!("/orders/{order}/decision")).expect(200);
    stage.dispatcher.get(&format!("/orders/{order}/events")).expect(200);
}

fn list(who: &Client, path: &str) -> Value {
    who.get(path).expect(200)
}

fn scans(stage: &Stage) -> Vec<String> {
    let text = format!(
        "SELECT relname || ' ' || seq_scan FROM pg_stat_user_tables WHERE schemaname = 'public' \
         AND relname IN ({GROWING}) ORDER BY relname"
    );
    stage.fleet.sql(&text).lines().map(str::to_owned).collect()
}
