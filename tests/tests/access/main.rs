//! Who may do what: every operation of the specification, asked by everybody, against one committed table.
//!
//! `tests/access_table.tsv` has a row an operation and a column a person; a cell is the status of the answer. An
//! operation without a row fails, and so does a row without an operation. `XINGFUMA_RENEW=1` writes the table anew:
//! read the difference before it is committed. The table is the same on both databases.

mod trials;
mod who;
mod world;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use xingfuma_tests::{
    client::{Accounts, Client, IDEMPOTENCY_KEY},
    program::{Demo, Fleet, NO_GUARDS},
};

use who::{EVERYBODY, Who, log_in_everybody};
use world::World;

/// Operations that end the session, or the person, that asks: tried last, each with fresh sessions.
const ENDINGS: [&str; 3] =
    ["POST /api/v1/auth/logout", "POST /api/v1/staff/{id}/totp/reset", "DELETE /api/v1/me"];

/// POSTs without an `Idempotency-Key`: what is done anew each time, and why.
const DONE_ANEW: [(&str, &str); 12] = [
    ("POST /api/v1/auth/wechat", "a log-in: the code is good once"),
    ("POST /api/v1/auth/password", "a log-in: nobody's session is kept for somebody else"),
    ("POST /api/v1/auth/refresh", "gives the same successor again for 30 seconds by itself"),
    ("POST /api/v1/auth/logout", "ending what has ended is no harm, and who repeats it is nobody any more"),
    ("POST /api/v1/me/export", "an export: never kept, because it is everything"),
    ("POST /api/v1/me/guardian-code", "stores nothing: the code follows from who and when"),
    ("POST /api/v1/orders/{id}/contact", "a disclosure: each one is logged by itself, and none is kept"),
    ("POST /api/v1/media", "an upload: the same file is the same file"),
    ("POST /api/v1/exports/volunteer-record", "an export: each one is logged by itself, and none is kept"),
    ("POST /api/v1/hazards/{id}/answer", "answered once: whoever repeats it is told so (hazard_answered)"),
    (
        "POST /api/v1/volunteers/{id}/transfer",
        "goes on with what is left: whoever repeats it hands on the rest, and suspends nobody twice",
    ),
    ("POST /api/v1/wechat/push", "WeChat repeats it by itself, and the same event changes nothing twice"),
];

/// Keyed POSTs that are never done here, because who may gets a refusal, and the tests in which they are done twice.
const DONE_ELSEWHERE: [(&str, &str); 23] = [
    ("POST /api/v1/activities", "activities"),
    ("POST /api/v1/activities/{id}/check-in", "activities"),
    ("POST /api/v1/activities/{id}/feedback", "activities"),
    ("POST /api/v1/auth/wechat/phone", "own_data"),
    ("POST /api/v1/badges/{number}/revoke", "plates"),
    ("POST /api/v1/dispatch/dead-letters/{id}/replay", "dead_letters"),
    ("POST /api/v1/me/subscriptions", "telling"),
    ("POST /api/v1/me/totp/confirm", "second_factor"),
    ("POST /api/v1/me/wards", "consents"),
    ("POST /api/v1/orders/{id}/corrections", "beside"),
    ("POST /api/v1/orders/{id}/corrections/{correction}/inspect", "beside"),
    ("POST /api/v1/orders/{id}/extend", "beside"),
    ("POST /api/v1/orders/{id}/help", "beside"),
    ("POST /api/v1/orders/{id}/revisit", "beside"),
    ("POST /api/v1/patrols/{id}/end", "activities"),
    ("POST /api/v1/patrols/{id}/hazards", "activities"),
    ("POST /api/v1/score/periods/{month}/seal", "periods"),
    ("POST /api/v1/signs/{code}/replace", "plates"),
    ("POST /api/v1/signs/{code}/revoke", "plates"),
    ("POST /api/v1/stars/rounds", "results"),
    ("POST /api/v1/stars/rounds/{id}/confer", "results"),
    ("POST /api/v1/volunteers/{id}/badge", "plates"),
    ("POST /api/v1/volunteers/{id}/reinstate", "beside"),
];

/// Claims about something long past are held for review, and nothing else is.
fn one_guard() -> [(&'static str, &'static str); 6] {
    let at_once = |(name, value): (&'static str, &'static str)| {
        (name, if name.ends_with("BACK_DATED_CLAIMS") { "1" } else { value })
    };
    NO_GUARDS.map(at_once)
}

/// Every operation that is served, from the served specification.
fn operations(client: &Client) -> Vec<String> {
    let document = client.get("/openapi.json").expect(200);
    let mut operations: Vec<String> = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        let methods = methods.as_object().expect("methods").keys();
        operations.extend(methods.map(|method| format!("{} {path}", method.to_uppercase())));
    }
    operations.sort_by_key(|operation| {
        operation.split_once(' ').map(|(method, path)| (path.to_owned(), method.to_owned()))
    });
    operations
}

fn table_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("access_table.tsv")
}

fn written(rows: &[(String, Vec<u16>)]) -> String {
    let names: Vec<String> = EVERYBODY.iter().map(|who| format!("{who:?}")).collect();
    let mut table = format!("operation\t{}\n", names.join("\t"));
    for (operation, statuses) in rows {
        let cells: Vec<String> = statuses.iter().map(u16::to_string).collect();
        table.push_str(&format!("{operation}\t{}\n", cells.join("\t")));
    }
    table
}

/// Asks everything of everybody and compares with the table, line by line.
fn meets_the_table(base: &str, accounts: &Accounts, sql: impl Fn(&str) -> String, is_postgres: bool) {
    let mut world = World::new(base, accounts, sql, is_postgres);
    let all = operations(&world.people[&Who::Anonymous]);
    let ends_something = |operation: &String| ENDINGS.contains(&operation.as_str());
    let mut rows: Vec<(String, Vec<u16>)> = Vec::new();
    for operation in all.iter().filter(|operation| !ends_something(operation)) {
        rows.push((operation.clone(), world.try_all(operation)));
    }
    for operation in ENDINGS {
        world.people = log_in_everybody(base, accounts);
        rows.push((operation.to_owned(), world.try_all(operation)));
    }
    rows.sort_by_key(|(operation, _)| {
        operation.split_once(' ').map(|(method, path)| (path.to_owned(), method.to_owned()))
    });
    everything_effectful_is_done_once(&world, &all);
    let found = written(&rows);
    if std::env::var_os("XINGFUMA_RENEW").is_some() {
        fs::write(table_path(), &found).expect("the table is written");
    }
    let wanted = fs::read_to_string(table_path()).expect("tests/access_table.tsv");
    let differences: Vec<String> = wanted
        .lines()
        .filter(|line| !found.lines().any(|other| other == *line))
        .map(|line| format!("- {line}"))
        .chain(
            found
                .lines()
                .filter(|line| !wanted.lines().any(|other| other == *line))
                .map(|line| format!("+ {line}")),
        )
        .collect();
    assert!(
        differences.is_empty(),
        "the table is another (- committed, + found):\n{}",
        differences.join("\n")
    );
}

/// Every POST of the specification takes an `Idempotency-Key` and was done twice under one, here or in another test, or
/// stands in the list of those that are done anew.
fn everything_effectful_is_done_once(world: &World, all: &[String]) {
    let names =
        |list: &[(&str, &str)]| list.iter().map(|(name, _)| (*name).to_owned()).collect::<BTreeSet<_>>();
    let (anew, elsewhere) = (names(&DONE_ANEW), names(&DONE_ELSEWHERE));
    let takes_key = |operation: &str| {
        let parameters = world.specification(operation)["parameters"].as_array().cloned();
        parameters.unwrap_or_default().iter().any(|parameter| parameter["name"] == IDEMPOTENCY_KEY)
    };
    let mut untried = BTreeSet::new();
    for operation in all.iter().filter(|operation| operation.starts_with("POST ")) {
        let (is_anew, is_kept) = (anew.contains(operation), world.kept.contains(operation));
        assert_eq!(takes_key(operation), !is_anew, "{operation}: a key, or a reason in DONE_ANEW");
        if !(is_anew || is_kept || elsewhere.contains(operation)) {
            untried.insert(operation.as_str());
        }
        assert!(!(is_kept && elsewhere.contains(operation)), "{operation} is done here by now");
    }
    assert!(untried.is_empty(), "keys that were never tried: {untried:?}");
    let known: BTreeSet<String> = all.iter().cloned().collect();
    let gone: Vec<&String> = elsewhere.iter().filter(|operation| !known.contains(*operation)).collect();
    assert!(gone.is_empty(), "not served: {gone:?}");
    println!("{} POSTs were done twice under one key", world.kept.len());
}

#[test]
fn everybody_alone() {
    let demo = Demo::start_with(&one_guard());
    let sql = |statement: &str| demo.sql(statement);
    meets_the_table(demo.base(), demo.accounts(), sql, false);
}

#[test]
fn everybody_in_a_fleet() {
    let limits = [("XINGFUMA_LIMITS__FACTOR", "100000")];
    let fleet = Fleet::start_with(1, 1, &[&limits[..], &one_guard()].concat());
    let sql = |statement: &str| fleet.sql(statement);
    meets_the_table(&fleet.bases()[0], fleet.accounts(), sql, true);
}
