//! `GET /stream`: scoped like the lists, across two servers, resumed by `Last-Event-ID`, and over when the session is.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use xingfuma_tests::{
    client::{Accounts, Client},
    events::{Event, Events},
    program::{Demo, Fleet},
};

/// How long an event may take on a busy machine.
const WITHIN: Duration = Duration::from_secs(15);
/// Who listens and never reads, how much happens meanwhile, and what that may cost: a connection with its buffers, and 64
/// words each.
const STALLED: usize = 200;
const CHANGES: usize = 300;
const GROWN_AT_MOST_KIB: u64 = 40 << 10;
/// Longer than a heartbeat, at which a session is looked at again.
const LONGER_THAN_A_HEARTBEAT: Duration = Duration::from_secs(25);

#[test]
fn streams_alone() {
    let demo = Demo::start();
    story([demo.base(), demo.base()], demo.accounts());
}

#[test]
fn streams_of_two_servers() {
    let fleet = Fleet::start(2, 1);
    story([&fleet.bases()[0], &fleet.bases()[1]], fleet.accounts());
}

/// Redis is wiped: what was missed is not known any more, and the listener is told so; what comes next is heard again.
#[test]
fn a_wiped_redis_resets_those_who_come_back() {
    let fleet = Fleet::start(1, 1);
    let (base, accounts) = (&fleet.bases()[0], fleet.accounts());
    let village = Client::log_in(base, accounts.village_dispatcher());
    let resident = Client::log_in(base, accounts.one("resident"));
    let mut events = Events::listen(&village, None);
    let order = place(&resident, accounts);
    let heard = changed(&mut events, &order).id;
    fleet.redis.command(&["FLUSHALL"]).expect("Redis answers");
    let mut again = Events::listen(&village, heard.as_deref());
    assert_eq!(again.next_within(WITHIN).expect("an event").name, "reset");
    let order = place(&resident, accounts);
    for listener in [&mut events, &mut again] {
        changed(listener, &order);
    }
}

fn place(resident: &Client, accounts: &Accounts) -> String {
    let order = json!({ "signCode": accounts.sign(), "categoryCode": "errand", "description": "代买一袋米" });
    let placed = resident.post("/orders", &order).expect(201);
    placed["id"].as_str().expect("an id").to_owned()
}

/// The next event about this order.
fn changed(events: &mut Events, order: &str) -> Event {
    loop {
        let event = events.next_within(WITHIN).unwrap_or_else(|| panic!("no event about {order}"));
        if event.name == "changed" && event.data["orderId"] == order {
            return event;
        }
    }
}

fn statuses(events: &mut Events, order: &str, last: &str) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    while seen.last().map(String::as_str) != Some(last) {
        seen.push(changed(events, order).data["status"].as_str().expect("a status").to_owned());
    }
    seen
}

fn story([one, other]: [&str; 2], accounts: &Accounts) {
    assert_eq!(Events::listen(&Client::anonymous(one), None).status, 401);
    let resident = Client::log_in(one, accounts.all("resident")[0]);
    let stranger = Client::log_in(other, accounts.all("resident")[1]);
    let village = Client::log_in(other, accounts.village_dispatcher());
    let foreign = Client::log_in(other, accounts.foreign_dispatcher());
    let volunteer = Client::log_in(one, accounts.all("volunteer")[0]);
    let mut own = Events::listen(&resident, None);
    let (mut seeing, mut not_theirs) =
        (Events::listen(&village, None), [Events::listen(&stranger, None), Events::listen(&foreign, None)]);
    for events in [&mut own, &mut seeing].into_iter().chain(&mut not_theirs) {
        assert_eq!(events.status, 200);
        assert_eq!(events.next_within(WITHIN).expect("an event").name, "begins");
    }

    // Placed at one server, seen at the other; what it says is no personal data.
    let order = place(&resident, accounts);
    let first = changed(&mut seeing, &order);
    let members: Vec<&String> = first.data.as_object().expect("an object").keys().collect();
    assert_eq!(members, ["areaCode", "categoryCode", "number", "orderId", "status", "step", "version"]);
    statuses(&mut own, &order, "dispatched");
    let heard = first.id.expect("a change has an id");
    drop(seeing);

    // What happens while nobody listens there is heard on coming back, at another server, once and in its order.
    volunteer.post(&format!("/orders/{order}/accept"), &json!({})).expect(200);
    let done = json!({ "summary": "已送到", "minutes": 20 });
    volunteer.post(&format!("/orders/{order}/complete"), &done).expect(200);
    assert_eq!(statuses(&mut own, &order, "completed").last().map(String::as_str), Some("completed"));
    let village_here = Client::log_in(one, accounts.village_dispatcher());
    let mut resumed = Events::listen(&village_here, Some(&heard));
    let mut versions: Vec<Value> = Vec::new();
    let mut ids: Vec<String> = Vec::new();
    while versions.last() != Some(&json!(4)) || ids.len() < 3 {
        let event = changed(&mut resumed, &order);
        versions.push(event.data["version"].clone());
        ids.push(event.id.expect("an id"));
    }
    ids.dedup();
    assert_eq!(ids.len(), versions.len(), "each word once: {ids:?}");
    assert!(ids.iter().all(|id| *id != heard), "after the last that was heard");

    // An id that nobody knows: read everything again.
    let mut lost = Events::listen(&village_here, Some("1-1"));
    assert_eq!(lost.next_within(WITHIN).expect("an event").name, "reset");
    let mut odd = Events::listen(&village_here, Some("no id at all"));
    assert_eq!(odd.next_within(WITHIN).expect("an event").name, "reset");

    // Others heard nothing of it, though their connections live.
    for events in &mut not_theirs {
        let event = events.next_within(Duration::from_secs(1));
        assert!(event.as_ref().is_none_or(|event| event.data["orderId"] != order.as_str()), "{event:?}");
    }

    // A published post is a change of its order, and so is its end.
    resident.post(&format!("/orders/{order}/rate"), &json!({ "stars": 5, "solved": true })).expect(200);
    let shown = json!({ "text": "谢谢", "consent": true });
    let post = resident.post(&format!("/orders/{order}/show"), &shown).expect(201);
    let post = post["id"].as_str().expect("an id");
    volunteer.post(&format!("/showcase/{post}/consent"), &json!({})).expect(200);
    village_here.post(&format!("/showcase/{post}/approve"), &json!({})).expect(200);
    while changed(&mut own, &order).data["step"] != "晒" {}
    resident.post(&format!("/showcase/{post}/withdraw"), &json!({})).expect(200);
    assert_eq!(changed(&mut own, &order).data["step"], "评");

    // A session that is ended ends its stream.
    assert_eq!(stranger.post("/auth/logout", &json!({})).status, 204);
    assert!(not_theirs[0].ends_within(LONGER_THAN_A_HEARTBEAT), "the session is over");
    slow_readers(one, accounts);
}

/// Two hundred who listen and never read, while much happens: they cost a bounded amount of memory, and those who read, and
/// those who place orders, do not notice them.
#[test]
fn two_hundred_who_do_not_read_hold_nobody_up() {
    let demo = Demo::start_with(&[("XINGFUMA_LIMITS__FACTOR", "100000")]);
    let (base, accounts) = (demo.base(), demo.accounts());
    let village = Client::log_in(base, accounts.village_dispatcher());
    let resident = Client::log_in(base, accounts.one("resident"));
    let mut reading = Events::listen(&village, None);
    // Warm: what the program needs for itself is in memory.
    for _ in 0..20 {
        let order = place(&resident, accounts);
        changed(&mut reading, &order);
    }
    let before = resident_kib(&demo);
    let stalled: Vec<Events> = (0..STALLED).map(|_| Events::listen(&village, None)).collect();
    assert!(stalled.iter().all(|one| one.status == 200));
    let mut longest = Duration::ZERO;
    for _ in 0..CHANGES {
        let begun = Instant::now();
        let order = place(&resident, accounts);
        longest = longest.max(begun.elapsed());
        changed(&mut reading, &order);
    }
    let grown = resident_kib(&demo).saturating_sub(before);
    println!(
        "{STALLED} stalled readers, {CHANGES} orders: {grown} KiB more, the slowest placement took {longest:?}"
    );
    assert!(grown < GROWN_AT_MOST_KIB, "{grown} KiB");
    assert!(longest < WITHIN, "{longest:?}");
    drop(stalled);
    let begun = Instant::now();
    let listeners = || {
        let metrics = Client::anonymous(base).get_outside("/metrics").expect("an answer").text();
        let line = metrics.lines().find(|line| line.contains("listeners")).map(str::to_owned);
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u32>().ok()).expect("a number")
    };
    // The one who reads is left; who is gone is noticed at the latest with the next sign of life.
    while listeners() > 1 {
        assert!(begun.elapsed() < LONGER_THAN_A_HEARTBEAT * 2, "{} listen still", listeners());
        sleep(Duration::from_millis(200));
    }
}

/// What a process holds in memory, in KiB.
fn resident_kib(demo: &Demo) -> u64 {
    let process = demo.process_id().expect("it runs");
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Whoever does not read is let go, and nobody waits for him.
fn slow_readers(base: &str, accounts: &Accounts) {
    let village = Client::log_in(base, accounts.village_dispatcher());
    let silent: Vec<Events> = (0..20).map(|_| Events::listen(&village, None)).collect();
    let mut reading = Events::listen(&village, None);
    let resident = Client::log_in(base, accounts.all("resident")[2]);
    for _ in 0..10 {
        let order = place(&resident, accounts);
        changed(&mut reading, &order);
    }
    drop(silent);
    sleep(Duration::from_millis(100));
    assert_eq!(village.get("/dispatch/board").status, 200);
}
