//! Messages out of the house: who is told how, when, and at most once whatever dies in between. The sandbox stands for
//! WeChat and refuses two messages to one person at once; text messages are written into a folder.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;
use uuid::Uuid;
use xingfuma_app::{
    App, Caller,
    command::Request,
    message::{
        Outside, Template,
        sending::{LEASE, Turn},
        texts::{Facts, Texts},
    },
    once::Once,
    place::PlaceRequest,
};
use xingfuma_domain::{
    deadline::{QuietHours, Urgency},
    message::{Channel, Preferences},
};
use xingfuma_sms::FolderSms;
use xingfuma_store::{
    deliveries::{self, Claim, Claimed},
    people,
};

use crate::{on_both_databases, small_county::SmallCounty};

/// A county with a process that tells people outside, and where its text messages lie.
struct Telling<'a> {
    county: &'a SmallCounty,
    app: App,
    sms: TempDir,
}

fn outside(sms: &TempDir, offer: &str) -> Outside {
    let template = |id: &str, long_term| Template { id: id.to_owned(), long_term };
    let templates = [
        ("offer".to_owned(), template(offer, false)),
        ("progress".to_owned(), template("progress-id", false)),
        ("duty".to_owned(), template("duty-id", true)),
    ];
    let sender = FolderSms::new(sms.path()).expect("a folder");
    Outside { texts: Texts::default(), templates: templates.into(), sms: Some(Arc::new(sender)) }
}

impl<'a> Telling<'a> {
    async fn of(county: &'a SmallCounty, offer: &str) -> Telling<'a> {
        // Each with chance and a clock of its own: two with the same would give the same ids to different messages.
        static NEXT: AtomicU64 = AtomicU64::new(1_000);
        let seed = NEXT.fetch_add(1, Ordering::Relaxed);
        let sms = tempfile::tempdir().expect("a temporary directory");
        let app = county.telling_app(seed, outside(&sms, offer)).await;
        app.clock.advance(TimeDelta::milliseconds(10 * (seed as i64 - 999)));
        let silent = Preferences { wechat: false, sms: false, quiet: None };
        app.keep_preferences(&county.people.resident, silent).await.expect("kept");
        Telling { county, app, sms }
    }

    /// Sends until nothing is due; answers how many turns had a message in hand.
    async fn send_all(&self) -> usize {
        let mut had = 0;
        while self.app.send_next().await.expect("the database is there") == Turn::Had {
            had += 1;
        }
        had
    }

    async fn expand(&self) {
        while self.app.notify_waiting().await.expect("the database is there") > 0 {}
    }

    async fn openid(&self, person: &Caller) -> String {
        let found =
            people::openid_of(self.app.store.pool(), self.county.county.code, person.actor.person).await;
        found.expect("a readable row").expect("he logs in by WeChat")
    }

    /// What became of the messages to somebody: channel, status, outcome, tries; oldest first.
    async fn fates(&self, person: &Caller) -> Vec<(String, String, Option<String>, i32)> {
        let sql = "SELECT person_id, channel, status, outcome, attempts FROM delivery ORDER BY message_id, channel DESC";
        let rows = self.county.rows(sql).await;
        let of_him =
            rows.iter().filter(|row| row.try_get_by_index::<Uuid>(0).expect("an id") == person.actor.person);
        of_him
            .map(|row| {
                let text = |index| row.try_get_by_index::<Option<String>>(index).expect("a text");
                let attempts = row.try_get_by_index(4).expect("a number");
                (text(1).unwrap_or_default(), text(2).unwrap_or_default(), text(3), attempts)
            })
            .collect()
    }

    /// Channel and status alone.
    async fn ends(&self, person: &Caller) -> Vec<String> {
        self.fates(person).await.iter().map(|(channel, status, ..)| format!("{channel} {status}")).collect()
    }

    fn texts(&self) -> Vec<serde_json::Value> {
        let files = fs::read_dir(self.sms.path()).expect("the folder is there");
        let read =
            |file: std::io::Result<fs::DirEntry>| fs::read(file.expect("a file").path()).expect("readable");
        files.map(|file| serde_json::from_slice(&read(file)).expect("JSON")).collect()
    }

    fn wechat_messages(&self, openid: &str) -> usize {
        self.county.sandbox().messages().iter().filter(|one| one.openid == openid).count()
    }

    /// The village's dispatcher offers a fresh order to this volunteer by name.
    async fn offer(&self, volunteer: &Caller, urgency: Option<Urgency>) -> Uuid {
        let county = self.county;
        let request = PlaceRequest {
            sign: Some(county.sign()),
            category: "errand".to_owned(),
            description: "代买一袋米，家住幸福巷5号，电话13912345678".to_owned(),
            urgency,
            ..PlaceRequest::default()
        };
        let key = county.app.new_id().to_string();
        let order = county.place_as(&county.people.resident, request, &key).await.expect("a good order");
        let team = volunteer.actor.teams()[0];
        let (volunteer, reason) = (Some(volunteer.actor.person), Some("熟悉情况".to_owned()));
        let named = Request::Dispatch { team, volunteer, reason };
        county.command(&county.people.village, order, named).await.expect("he may dispatch");
        // Ids sort by their moments.
        self.app.clock.advance(TimeDelta::milliseconds(1));
        self.expand().await;
        order
    }
}

on_both_databases!(
    whoever_agreed_is_told_by_wechat_and_consents_are_counted,
    without_consent_it_goes_by_sms_and_then_nowhere,
    a_sender_that_dies_sends_nothing_twice,
    sixteen_senders_send_to_one_person_one_after_the_other,
    the_night_delays_what_can_wait,
    preferences_are_honoured_also_for_what_waits,
    what_was_read_or_is_moot_does_not_go,
    refusals_for_good_are_named_and_transient_ones_tried_again,
    one_message_is_claimed_at_a_time_however_the_database_plans,
    the_same_event_told_twice_goes_out_once,
);

async fn whoever_agreed_is_told_by_wechat_and_consents_are_counted(county: SmallCounty) {
    let telling = Telling::of(&county, "offer-id").await;
    let volunteer = &county.people.volunteers[0];
    let openid = telling.openid(volunteer).await;
    county.sandbox().grant_consent(&openid, "offer-id", 2);
    let names = vec!["offer".to_owned()];
    let once = Once::json(None, 200, |_| ());
    telling.app.subscribe(volunteer, names.clone(), &once).await.expect("a template");
    telling.app.subscribe(volunteer, names, &once).await.expect("a template");
    let order = telling.offer(volunteer, None).await;
    telling.send_all().await;
    assert_eq!(telling.ends(volunteer).await, ["wechat sent"]);
    let sent = county.sandbox().messages();
    let message = sent.iter().find(|one| one.openid == openid).expect("it arrived");
    let stored = county.stored(order).await;
    assert_eq!(message.template_id, "offer-id");
    assert_eq!(message.page.as_deref(), Some(format!("pages/order/index?id={order}").as_str()));
    assert_eq!(message.data["character_string3"], stored.number.to_string());
    assert_eq!(message.data["thing1"], "便民代办");
    assert_eq!(message.data["time4"], "2026年03月09日 09:00");
    let all = format!("{:?}", message.data);
    for secret in ["幸福巷", "13912345678", "一袋米"] {
        assert!(!all.contains(secret), "{all}");
    }
    let (_, templates) = telling.app.preferences(volunteer).await.expect("the database is there");
    let offer = templates.iter().find(|one| one.name == "offer").expect("it is configured");
    assert_eq!(offer.remaining, Some(1), "one of two consents is used up");
    // The resident wants to be told in his inbox only.
    let fates = telling.fates(&county.people.resident).await;
    let why: Vec<_> = fates.iter().map(|one| one.2.as_deref()).collect();
    assert_eq!(why, [Some("not_wanted"), Some("not_wanted")], "{fates:?}");
}

async fn without_consent_it_goes_by_sms_and_then_nowhere(county: SmallCounty) {
    let telling = Telling::of(&county, "offer-id").await;
    let volunteer = &county.people.volunteers[0];
    telling.offer(volunteer, None).await;
    telling.send_all().await;
    assert_eq!(telling.ends(volunteer).await, ["wechat fallen", "sms sent"]);
    let phone = county.county.volunteers.iter().map(|one| one.phone.as_str().to_owned());
    let texts = telling.texts();
    let to: Vec<&str> = texts.iter().filter_map(|text| text["phone"].as_str()).collect();
    assert_eq!(to.len(), 1, "{texts:?}");
    assert!(phone.collect::<Vec<_>>().contains(&to[0].to_owned()));
    let words = texts[0]["text"].as_str().expect("a text");
    assert!(words.contains("便民代办") && !words.contains("13912345678"), "{words}");
    // WeChat said 43101, so it is not asked again for the next one.
    let (_, templates) = telling.app.preferences(volunteer).await.expect("the database is there");
    assert_eq!(templates.iter().find(|one| one.name == "offer").and_then(|one| one.remaining), Some(0));
    let silent = Preferences { sms: false, ..Preferences::default() };
    telling.app.keep_preferences(volunteer, silent).await.expect("kept");
    telling.offer(volunteer, None).await;
    telling.send_all().await;
    let fates = telling.fates(volunteer).await;
    assert_eq!(fates[2..].iter().map(|one| one.1.as_str()).collect::<Vec<_>>(), ["fallen", "fallen"]);
    assert_eq!(fates[3].2.as_deref(), Some("not_wanted"));
    assert_eq!(telling.texts().len(), 1);
    let inbox = telling.app.inbox(volunteer, None, 10).await.expect("the database is there");
    assert_eq!(inbox.iter().filter(|one| one.topic == "offered").count(), 2, "the inbox has both");
}

/// Exactly what a sender does before it would note the result, and no more: what `SIGKILL` leaves.
async fn claim(telling: &Telling<'_>) -> Claimed {
    let now = telling.app.clock.now();
    match deliveries::claim(&telling.app.store, now, now + LEASE).await.expect("the database is there") {
        Claim::One(claimed) => claimed,
        other => panic!("a message is due: {other:?}"),
    }
}

async fn a_sender_that_dies_sends_nothing_twice(county: SmallCounty) {
    let telling = Telling::of(&county, "offer-id").await;
    let (first, second) = (&county.people.volunteers[0], &county.people.volunteers[1]);
    for volunteer in [first, second] {
        county.sandbox().grant_consent(&telling.openid(volunteer).await, "offer-id", 5);
    }
    // Killed after the claim, before the call.
    telling.offer(first, None).await;
    let mut killed = claim(&telling).await;
    while killed.person != first.actor.person {
        killed = claim(&telling).await;
    }
    // Killed after the call, before the note: WeChat has it.
    let order = telling.offer(second, None).await;
    let mut sent = claim(&telling).await;
    while sent.person != second.actor.person {
        sent = claim(&telling).await;
    }
    let openid = telling.openid(second).await;
    let facts = Facts {
        order,
        number: 7,
        category: "便民代办".to_owned(),
        area: "网格".to_owned(),
        at: telling.app.clock.now(),
    };
    let fields = Texts::default().fields("offered", &facts).expect("a topic").expect("good fields");
    telling.app.wechat.send_message(&openid, "offer-id", None, &fields).await.expect("he has agreed");
    // While the lease lasts nobody touches either; afterwards both are given up, and neither is sent again.
    assert_eq!(telling.app.give_up_lost_messages().await.expect("the database is there"), 0);
    telling.send_all().await;
    telling.app.clock.advance(LEASE + TimeDelta::seconds(1));
    assert!(telling.app.give_up_lost_messages().await.expect("the database is there") >= 2);
    telling.send_all().await;
    assert_eq!(telling.ends(first).await, ["wechat unknown"]);
    assert_eq!(telling.ends(second).await, ["wechat unknown"]);
    assert_eq!(telling.wechat_messages(&telling.openid(first).await), 0);
    assert_eq!(telling.wechat_messages(&openid), 1, "once, and not twice");
    assert!(telling.texts().is_empty(), "what may have arrived goes no other way");
    // The one who was only slow may still say that it is out; whatever else he says is void.
    let code = county.county.code;
    let late = deliveries::note(
        &telling.app.store,
        code,
        &sent,
        deliveries::Note::Failed("late".to_owned()),
        telling.app.clock.now(),
    );
    assert!(!late.await.expect("the database is there"));
    let late = deliveries::Note::Sent { used_up: None };
    let counted = deliveries::note(&telling.app.store, code, &sent, late, telling.app.clock.now()).await;
    assert!(counted.expect("the database is there"));
    assert_eq!(telling.ends(second).await, ["wechat sent"]);
    // His next message is not held up by the one that was lost.
    telling.offer(first, None).await;
    telling.send_all().await;
    assert_eq!(telling.wechat_messages(&telling.openid(first).await), 1);
}

async fn sixteen_senders_send_to_one_person_one_after_the_other(county: SmallCounty) {
    const MESSAGES: usize = 24;
    let telling = Telling::of(&county, "offer-id").await;
    let volunteer = &county.people.volunteers[0];
    let openid = telling.openid(volunteer).await;
    county.sandbox().grant_consent(&openid, "offer-id", MESSAGES as u32);
    for _ in 0..MESSAGES {
        telling.offer(volunteer, None).await;
    }
    // Four processes with four senders each.
    let mut senders = Vec::new();
    for seed in 100..104 {
        let app = county.telling_app(seed, outside(&telling.sms, "offer-id")).await;
        app.clock.advance(TimeDelta::minutes(1));
        for _ in 0..4 {
            let app = app.clone();
            senders.push(tokio::spawn(async move {
                let begun = Instant::now();
                let mut nothing = 0;
                // Somebody else may have the only message in hand: nothing due is believed after a while.
                while nothing < 40 && begun.elapsed() < Duration::from_secs(120) {
                    match app.send_next().await.expect("the database is there") {
                        Turn::Had => nothing = 0,
                        Turn::Taken => tokio::time::sleep(Duration::from_millis(3)).await,
                        Turn::Nothing => {
                            nothing += 1;
                            tokio::time::sleep(Duration::from_millis(25)).await;
                        }
                    }
                }
            }));
        }
    }
    for sender in senders {
        sender.await.expect("a sender does not panic");
    }
    assert_eq!(telling.wechat_messages(&openid), MESSAGES);
    let fates = telling.fates(volunteer).await;
    assert_eq!(fates.len(), MESSAGES);
    for (channel, status, outcome, attempts) in fates {
        // A second try would mean that WeChat had said 43108.
        assert_eq!((channel.as_str(), status.as_str(), outcome, attempts), ("wechat", "sent", None, 1));
    }
}

fn china(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).expect("a moment").to_utc()
}

async fn the_night_delays_what_can_wait(county: SmallCounty) {
    let telling = Telling::of(&county, "offer-id").await;
    let volunteer = &county.people.volunteers[0];
    let openid = telling.openid(volunteer).await;
    county.sandbox().grant_consent(&openid, "offer-id", 5);
    let night = china("2026-03-09T22:30:00+08:00");
    county.advance_to(night);
    telling.app.clock.advance(night - telling.app.clock.now());
    telling.offer(volunteer, None).await;
    telling.send_all().await;
    assert_eq!(telling.ends(volunteer).await, ["wechat waiting"]);
    assert_eq!(telling.wechat_messages(&openid), 0);
    // An urgent one does not wait, and does not wake the other.
    telling.offer(volunteer, Some(Urgency::Urgent)).await;
    telling.send_all().await;
    assert_eq!(telling.ends(volunteer).await, ["wechat waiting", "wechat sent"]);
    assert_eq!(telling.wechat_messages(&openid), 1);
    telling.app.clock.advance(china("2026-03-10T06:59:59+08:00") - telling.app.clock.now());
    assert_eq!(telling.send_all().await, 0, "not a second before seven");
    telling.app.clock.advance(TimeDelta::seconds(1));
    telling.send_all().await;
    let fates = telling.fates(volunteer).await;
    assert_eq!(telling.ends(volunteer).await, ["wechat sent", "wechat sent"]);
    assert_eq!(fates[0].3, 1, "waiting for the morning is no try");
}

async fn preferences_are_honoured_also_for_what_waits(county: SmallCounty) {
    let telling = Telling::of(&county, "offer-id").await;
    let volunteer = &county.people.volunteers[0];
    let openid = telling.openid(volunteer).await;
    county.sandbox().grant_consent(&openid, "offer-id", 5);
    let night = china("2026-03-09T22:30:00+08:00");
    county.advance_to(night);
    telling.app.clock.advance(night - telling.app.clock.now());
    let awake = QuietHours::NONE;
    let wants = Preferences { wechat: true, sms: true, quiet: Some(awake) };
    telling.app.keep_preferences(volunteer, wants).await.expect("kept");
    assert_eq!(telling.app.preferences(volunteer).await.expect("kept").0, wants);
    telling.offer(volunteer, None).await;
    telling.send_all().await;
    assert_eq!(telling.wechat_messages(&openid), 1, "he has no quiet hours");
    telling.app.keep_preferences(volunteer, Preferences::default()).await.expect("kept");
    telling.offer(volunteer, None).await;
    telling.send_all().await;
    assert_eq!(telling.ends(volunteer).await, ["wechat sent", "wechat waiting"]);
    // In the night he changes his mind.
    let by_sms = Preferences { wechat: false, ..Preferences::default() };
    telling.app.keep_preferences(volunteer, by_sms).await.expect("kept");
    telling.app.clock.advance(china("2026-03-10T07:00:00+08:00") - telling.app.clock.now());
    telling.send_all().await;
    assert_eq!(telling.ends(volunteer).await, ["wechat sent", "wechat fallen", "sms sent"]);
    assert_eq!(telling.wechat_messages(&openid), 1);
}

async fn what_was_read_or_is_moot_does_not_go(county: SmallCounty) {
    let telling = Telling::of(&county, "offer-id").await;
    let (volunteer, other) = (&county.people.volunteers[0], &county.people.volunteers[1]);
    for one in [volunteer, other] {
        county.sandbox().grant_consent(&telling.openid(one).await, "offer-id", 5);
    }
    telling.offer(volunteer, None).await;
    let newest = telling.app.inbox(volunteer, None, 1).await.expect("the database is there")[0].id;
    telling.app.mark_inbox_read(volunteer, newest).await.expect("marked");
    let order = telling.offer(other, None).await;
    county.command(other, order, Request::Accept).await.expect("it is offered to him");
    telling.send_all().await;
    assert_eq!(telling.fates(volunteer).await[0].2.as_deref(), Some("read"));
    assert_eq!(telling.fates(other).await[0].2.as_deref(), Some("moot"));
    assert!(telling.texts().is_empty());
}

async fn refusals_for_good_are_named_and_transient_ones_tried_again(county: SmallCounty) {
    let volunteer = &county.people.volunteers[0];
    let wrong = Telling::of(&county, "another-id").await;
    let openid = wrong.openid(volunteer).await;
    county.sandbox().grant_consent(&openid, "another-id", 5);
    county.sandbox().grant_consent(&openid, "offer-id", 5);
    wrong.offer(volunteer, None).await;
    wrong.send_all().await;
    let fates = wrong.fates(volunteer).await;
    assert_eq!(fates.len(), 1, "no other way is tried: {fates:?}");
    let why = fates[0].2.clone().unwrap_or_default();
    assert!(fates[0].1 == "failed" && why.contains("47003") && why.contains("thing9"), "{fates:?}");
    let unknown = Telling::of(&county, "nobody-knows-it").await;
    unknown.offer(volunteer, None).await;
    unknown.send_all().await;
    let fates = unknown.fates(volunteer).await;
    let why = fates[1].2.clone().unwrap_or_default();
    assert!(fates[1].1 == "failed" && why.contains("40037"), "{fates:?}");
    // This server's address is not allowed, for a while: nothing was sent, and it is tried again, later and later.
    county.sandbox().allow_address(false);
    county.sandbox().revoke_tokens();
    let good = Telling::of(&county, "offer-id").await;
    good.offer(volunteer, None).await;
    for (attempt, pause) in [(1, 2), (2, 4), (3, 8)] {
        good.send_all().await;
        let fates = good.fates(volunteer).await;
        assert_eq!((fates[2].1.as_str(), fates[2].3), ("waiting", attempt), "{fates:?}");
        good.app.clock.advance(TimeDelta::seconds(pause) - TimeDelta::milliseconds(1));
        good.send_all().await;
        assert_eq!(good.fates(volunteer).await[2].3, attempt, "not before its pause is over");
        good.app.clock.advance(TimeDelta::milliseconds(1));
    }
    county.sandbox().allow_address(true);
    good.send_all().await;
    let fates = good.fates(volunteer).await;
    assert_eq!((fates[2].0.as_str(), fates[2].1.as_str(), fates[2].3), ("wechat", "sent", 4));
    assert_eq!(good.wechat_messages(&openid), 1);
    assert_eq!(Channel::parse(&fates[2].0), Some(Channel::Wechat));
}

async fn the_same_event_told_twice_goes_out_once(county: SmallCounty) {
    let telling = Telling::of(&county, "offer-id").await;
    let volunteer = &county.people.volunteers[0];
    let openid = telling.openid(volunteer).await;
    county.sandbox().grant_consent(&openid, "offer-id", 5);
    telling.offer(volunteer, None).await;
    // The notifier that expanded it died before it could say so.
    let undone = "UPDATE notification SET expanded_at = NULL";
    let backend = xingfuma_store::ConnectionTrait::get_database_backend(telling.app.store.pool());
    let statement = sea_orm::Statement::from_string(backend, undone);
    let pool = telling.app.store.pool();
    xingfuma_store::ConnectionTrait::execute_raw(pool, statement).await.expect("the database is there");
    telling.expand().await;
    telling.send_all().await;
    telling.send_all().await;
    assert_eq!(telling.ends(volunteer).await, ["wechat sent"]);
    assert_eq!(telling.wechat_messages(&openid), 1);
}

/// With statistics PostgreSQL may look for the next message anew for every row that waits.
async fn one_message_is_claimed_at_a_time_however_the_database_plans(county: SmallCounty) {
    let telling = Telling::of(&county, "offer-id").await;
    for volunteer in &county.people.volunteers[..3] {
        telling.offer(volunteer, None).await;
    }
    telling.expand().await;
    let store = &telling.app.store;
    let now = telling.app.clock.now();
    for statistics in ["", "ANALYZE"] {
        if store.is_postgres() && !statistics.is_empty() {
            let done =
                xingfuma_store::ConnectionTrait::execute_unprepared(county.owner.pool(), statistics).await;
            done.expect("the database is there");
        }
        let before = county.number("SELECT count(*) FROM delivery WHERE status = 'sending'").await;
        let claim = deliveries::claim(store, now, now + LEASE).await.expect("the database is there");
        assert!(matches!(claim, Claim::One(_)), "{claim:?}");
        let after = county.number("SELECT count(*) FROM delivery WHERE status = 'sending'").await;
        assert_eq!(after - before, 1);
    }
}
