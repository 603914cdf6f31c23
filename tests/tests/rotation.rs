//! The key that wraps all data keys is changed while the county goes on, on both sizes.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::json;
use xingfuma_app::{clock::Ids, keys::KeyTexts};
use xingfuma_tests::{
    client::{Accounts, Client},
    program::{Demo, Fleet},
};

const PHONE: &str = "15419999876";

fn other_key() -> String {
    KeyTexts::generate(&Ids::from_system()).data
}

fn pair(data: &str, old: &str) -> Vec<(String, String)> {
    vec![
        ("XINGFUMA_KEYS__DATA".to_owned(), data.to_owned()),
        ("XINGFUMA_KEYS__DATA_OLD".to_owned(), old.to_owned()),
    ]
}

fn placed(base: &str, accounts: &Accounts) -> String {
    let resident = Client::log_in(base, accounts.one("resident"));
    let body = json!({
        "signCode": accounts.sign(), "categoryCode": "errand", "description": "代取快递",
        "contact": { "name": "王秀英", "phone": PHONE },
    });
    resident.post("/orders", &body).expect(201)["id"].as_str().expect("an id").to_owned()
}

fn reads(base: &str, accounts: &Accounts, order: &str) {
    let resident = Client::log_in(base, accounts.one("resident"));
    assert_eq!(resident.get(&format!("/orders/{order}")).expect(200)["contact"]["phone"], PHONE);
}

#[test]
fn keys_are_rotated_in_a_fleet() {
    let fleet = Fleet::start(1, 1);
    let here = fleet.bases()[0].clone();
    let old = fleet.setting("XINGFUMA_KEYS__DATA").to_owned();
    let new = other_key();
    let order = placed(&here, fleet.accounts());

    // First every process learns both keys; those that know only the old one go last.
    let both = pair(&new, &old);
    let second = fleet.start_server("both", &both);
    reads(second.base(), fleet.accounts(), &order);
    let early = placed(second.base(), fleet.accounts());
    reads(second.base(), fleet.accounts(), &early);

    // A run that is killed once it has changed something, and then a whole one.
    let keys = || fleet.sql("SELECT md5(string_agg(data_key::text, '' ORDER BY id)) FROM person");
    let before = keys();
    let mut killed = fleet.start_command(&["keys", "rotate"], &both);
    let begun = Instant::now();
    while keys() == before {
        assert!(begun.elapsed() < Duration::from_secs(30), "nothing was rotated: {}", killed.last_lines());
        sleep(Duration::from_millis(5));
    }
    killed.kill();
    let whole = fleet.run(&["keys", "rotate"], &both);
    assert!(whole.success && whole.printed.contains("no data key is under the old key"), "{whole:?}");
    let again = fleet.run(&["keys", "rotate"], &both);
    assert!(again.success && again.printed.starts_with("0 rewrapped"), "{again:?}");

    // Now the old key is not needed any more, and alone it opens nothing.
    let third = fleet.start_server("new", &pair(&new, ""));
    reads(third.base(), fleet.accounts(), &order);
    reads(third.base(), fleet.accounts(), &early);
    let refused = fleet.run(&["keys", "rotate"], &pair(&other_key(), &old));
    assert!(!refused.success && refused.complained.contains("under neither key"), "{refused:?}");
    reads(third.base(), fleet.accounts(), &order);
    let without = fleet.run(&["keys", "rotate"], &pair(&new, ""));
    assert!(
        !without.success && without.complained.contains("XINGFUMA_KEYS__DATA_OLD is missing"),
        "{without:?}"
    );
    let same = fleet.run(&["keys", "rotate"], &pair(&new, &new));
    assert!(!same.success && same.complained.contains("are the same"), "{same:?}");
}

#[test]
fn keys_are_rotated_alone() {
    let demo = Demo::start();
    let order = placed(demo.base(), demo.accounts());
    let old = demo.key("DATA");
    let new = other_key();
    let rotate = |data: &str, old: &str| {
        let mut settings = pair(data, old);
        for name in ["TOKEN", "INDEX"] {
            settings.push((format!("XINGFUMA_KEYS__{name}"), demo.key(name)));
        }
        demo.run(&["keys", "rotate"], &settings)
    };
    let sealed = || {
        demo.sql("SELECT group_concat(hex(data_key)) FROM (SELECT data_key FROM person ORDER BY id LIMIT 5)")
    };
    let before = sealed();
    let there = rotate(&new, &old);
    assert!(there.success && there.printed.contains("no data key is under the old key"), "{there:?}");
    assert_ne!(sealed(), before);
    // The demo runs on under its old key, so everything goes back under it, and can be read again.
    let back = rotate(&old, &new);
    assert!(back.success && back.printed.contains(" 0 were under the new key"), "{back:?}");
    reads(demo.base(), demo.accounts(), &order);
}
