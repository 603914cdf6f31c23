//! Canaries: phones, names and addresses of invented residents go through every flow over HTTP, typed into fields of
//! their own and into every free text, on both sizes. Afterwards not one byte of them may lie anywhere: database files,
//! write-ahead logs, Redis, logs, metrics, bodies of errors, answers to people who may not see them.
//!
//! That the search looks at the right places is part of the test: each of them has to hold something that is known to
//! have gone there.

mod beside;
mod birds;
mod flows;
mod search;

use std::{
    fs,
    path::Path,
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use birds::{Bird, CANARIES, MARKER, flock};
use flows::{Heard, fly};
use search::{Needles, Place};
use xingfuma_tests::{
    client::Client,
    notice,
    program::{Demo, Fleet},
};

/// Everything that the program itself has to say.
const LOG: (&str, &str) = ("XINGFUMA_LOG", "debug");
const LIMITS: (&str, &str) = ("XINGFUMA_LIMITS__FACTOR", "100000");

#[test]
fn no_canary_is_found_alone() {
    // The folder of text messages stands for telephones, which know their own number.
    let phones = tempfile::tempdir().expect("a temporary directory");
    let folder = phones.path().display().to_string();
    let demo = Demo::start_with(&[LOG, LIMITS, ("XINGFUMA_SMS__FOLDER", &folder)]);
    let _ = demo.sql(&notice::running());
    let _ = demo.sql(&notice::lines(demo.accounts().grid(), false));
    let (birds, heard) = let_fly(&[demo.base().to_owned()], demo.accounts());
    let needles = Needles::of(&birds);
    let home = demo.data().parent().expect("data lies in a home").to_owned();
    let mut places = files(&home);
    places.extend(heard.places());
    places.extend(words_of_text_messages(phones.path()));
    must_hold(&places, "xingfuma.db", MARKER);
    // Its pages are those of the file, and which of them it holds depends on the last checkpoint.
    let log = places.iter().find(|place| place.name.ends_with("xingfuma.db-wal"));
    assert!(log.is_some_and(|log| !log.bytes.is_empty()), "the log is searched, too");
    must_hold(&places, "log", "answered");
    nothing_found(&needles, &places);
}

#[test]
fn no_canary_is_found_in_a_fleet() {
    let fleet = Fleet::start_with(2, 2, &[LOG, LIMITS]);
    fleet.redis.command(&["CONFIG", "SET", "appendonly", "yes"]).expect("it keeps a log from here on");
    wait_for_append_only(&fleet);
    let _ = fleet.sql(&notice::running());
    let _ = fleet.sql(&notice::lines(fleet.accounts().grid(), true));
    let (birds, heard) = let_fly(&fleet.bases(), fleet.accounts());
    let needles = Needles::of(&birds);
    let _ = fleet.sql("CHECKPOINT");
    fleet.redis.command(&["SAVE"]).expect("it writes its picture");
    let mut places = files(fleet.home());
    places.extend(files(fleet.postgres.home()));
    places.extend(files(fleet.redis.home()));
    places.extend(rows(&fleet));
    places.extend(heard.places());
    must_hold(&places, "/base/", MARKER);
    must_hold(&places, "/pg_wal/", MARKER);
    must_hold(&places, "table orders", MARKER);
    must_hold(&places, "appendonly", "xfm-");
    must_hold(&places, "serve-1.log", "answered");
    must_hold(&places, "worker-1.log", "working");
    nothing_found(&needles, &places);
}

fn let_fly(bases: &[String], accounts: &xingfuma_tests::client::Accounts) -> (Vec<Arc<Bird>>, Heard) {
    let birds = flock();
    assert!(birds.len() * 3 >= CANARIES, "{} canaries", birds.len() * 3);
    let mut heard = fly(bases, accounts, &birds);
    for base in bases {
        let metrics = Client::anonymous(base).get_outside("/metrics").expect("metrics");
        heard.note("/metrics", &metrics);
    }
    (birds, heard)
}

fn wait_for_append_only(fleet: &Fleet) {
    let begun = Instant::now();
    loop {
        let told = fleet.redis.command(&["INFO", "persistence"]).expect("facts");
        let on = told.contains("aof_enabled:1") && told.contains("aof_rewrite_in_progress:0");
        if on && !told.contains("aof_rewrite_scheduled:1") {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{told}");
        sleep(Duration::from_millis(20));
    }
}

/// Every file below a directory.
fn files(directory: &Path) -> Vec<Place> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory").map_while(Result::ok) {
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file()
            && let Ok(bytes) = fs::read(entry.path())
        {
            found.push(Place { name: entry.path().display().to_string(), bytes });
        }
    }
    found
}

/// What text messages say, without the number that they go to.
fn words_of_text_messages(folder: &Path) -> Vec<Place> {
    let word = |file: Place| {
        let message: serde_json::Value = serde_json::from_slice(&file.bytes).expect("a message is JSON");
        Place { bytes: message["text"].to_string().into_bytes(), ..file }
    };
    files(folder).into_iter().filter(|file| file.name.ends_with(".json")).map(word).collect()
}

/// Every row of the database as text: long values lie compressed in its files.
fn rows(fleet: &Fleet) -> Vec<Place> {
    let tables = fleet.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1");
    let of = |table: &str| Place {
        name: format!("table {table}"),
        bytes: fleet.sql(&format!("SELECT t::text FROM \"{table}\" t")).into_bytes(),
    };
    tables.lines().map(of).collect()
}

fn must_hold(places: &[Place], name: &str, known: &str) {
    let there: Vec<&Place> = places.iter().filter(|place| place.name.contains(name)).collect();
    assert!(!there.is_empty(), "no place is called {name}");
    let held = there.iter().any(|place| search::contains(&place.bytes, known.as_bytes()));
    assert!(held, "{name} does not hold {known:?}: the search looks at the wrong place");
}

fn nothing_found(needles: &Needles, places: &[Place]) {
    let bytes: usize = places.iter().map(|place| place.bytes.len()).sum();
    let found: Vec<String> = places.iter().flat_map(|place| needles.find(place)).collect();
    println!("{} needles were not found in {} places of {bytes} bytes", needles.count(), places.len());
    let told = found.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
    assert!(found.is_empty(), "{} findings:\n{told}", found.len());
}
