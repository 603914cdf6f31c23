//! Time passing: what is due happens at its moment and not a millisecond earlier, once, and once also after downtime or
//! under several sweeps. The moments are written out here by hand, from the time limits and the working calendar.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use xingfuma_app::{command::Request, place::PlaceRequest};
use xingfuma_domain::{
    area::Level,
    deadline::Urgency,
    order::{Event, HINT_GRACE_SECONDS, Hat, Record, State, Status},
};
use xingfuma_queue::Hint;
use xingfuma_store::due;

use crate::{on_both_databases, small_county::SmallCounty};

const MILLISECOND: TimeDelta = TimeDelta::milliseconds(1);

on_both_databases!(
    an_offer_that_nobody_takes_climbs_to_the_county,
    a_day_of_downtime_fires_each_once,
    a_lost_hint_is_found_after_its_grace,
    a_question_and_a_promise_run_out_once,
    what_a_dead_sweep_had_leased_comes_again,
    the_sweep_leaves_to_the_queue_what_the_queue_will_come_to,
    the_sweep_hears_how_far_the_queue_has_come,
    an_urgent_order_does_not_wait_for_the_morning,
);

fn moment(text: &str) -> DateTime<Utc> {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Checks that something happens to the order at this moment: nothing but warnings until a millisecond before, one event
/// then, nothing more after it. Returns the event.
async fn fires_at(county: &SmallCounty, order: Uuid, at: DateTime<Utc>) -> Record {
    let before = county.records(order).await.len();
    county.advance_to(at - MILLISECOND);
    while county.sweep().await > 0 {}
    let records = county.records(order).await;
    let warnings = records[before..].iter().filter(|record| matches!(record.event, Event::Warned { .. }));
    assert_eq!(warnings.count(), records.len() - before, "too early: {records:?}");
    let before = county.order(order).await.version;
    county.advance_to(at);
    assert_eq!(county.sweep().await, 1, "it is due at {at}");
    assert_eq!(county.sweep().await, 0, "it is not due twice");
    assert_eq!(county.order(order).await.version, before + 1, "one event");
    let last = county.records(order).await.pop().expect("an event");
    assert_eq!(last.at, at);
    last
}

/// Nothing is due for a long time.
async fn rests(county: &SmallCounty, order: Uuid) {
    let before = county.order(order).await.version;
    county.app.clock.advance(TimeDelta::days(60));
    assert_eq!(county.sweep().await, 0, "nothing is due any more");
    assert_eq!(county.order(order).await.version, before);
}

/// The team that holds the offer, and until when.
async fn offer(county: &SmallCounty, order: Uuid) -> (Uuid, DateTime<Utc>) {
    match county.order(order).await.state {
        State::Dispatched { offer } => (offer.to.team, offer.accept_by),
        other => panic!("no offer: {other:?}"),
    }
}

fn team_of(caller: &xingfuma_app::Caller) -> Uuid {
    caller.actor.teams()[0]
}

async fn told(county: &SmallCounty, topic: &str) -> i64 {
    county.number(&format!("SELECT count(*) FROM notification WHERE topic = '{topic}'")).await
}

/// Where nobody answers, people are told in rounds: those of the grid's team first, then of the township's; after the
/// last round they have the whole limit of 24 hours, and then the stations are told, two hours each.
async fn an_offer_that_nobody_takes_climbs_to_the_county(county: SmallCounty) {
    let order = county.place("climbing").await;
    county.work_until_dispatched(order).await;
    let (own, township) = (team_of(&county.people.leader), team_of(&county.people.of_township));
    let mut rounds = Vec::new();
    let nobody = loop {
        let (team, until) = offer(&county, order).await;
        rounds.push((team == own, until.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)));
        assert!(team == own || team == township);
        let next = fires_at(&county, order, until).await;
        assert_eq!(next.by.hat, Hat::Sweep);
        match next.event {
            Event::Dispatched { .. } => {}
            event => break event,
        }
    };
    let wanted = [
        (true, "2026-03-09T01:20:00Z"),
        (true, "2026-03-09T01:40:00Z"),
        (true, "2026-03-09T02:00:00Z"),
        (true, "2026-03-09T02:20:00Z"),
        (true, "2026-03-09T02:40:00Z"),
        (false, "2026-03-09T03:00:00Z"),
        (false, "2026-03-09T03:20:00Z"),
        (false, "2026-03-10T03:20:00Z"),
    ];
    let wanted = wanted.map(|(team, until)| (team, until.to_owned()));
    assert_eq!(rounds, wanted, "twenty minutes a round, and the whole limit for the last");
    assert!(matches!(nobody, Event::NoTeamLeft { level: Level::Village, .. }), "{nobody:?}");
    let stuck = county.order(order).await;
    assert!(
        matches!(&stuck.state, State::Placed { stuck: Some(reason), .. } if !reason.is_empty()),
        "{stuck:?}"
    );
    let mut told_people = stuck.invited.clone();
    told_people.sort_unstable();
    told_people.dedup();
    assert_eq!(told_people.len(), stuck.invited.len(), "nobody was told twice");
    assert_eq!(told(&county, "stuck").await, 1);
    let stuck_at = county.app.clock.now();
    for (hours, level) in [(2, Level::Township), (4, Level::County)] {
        let higher = fires_at(&county, order, stuck_at + TimeDelta::hours(hours)).await;
        assert!(matches!(higher.event, Event::Escalated { level: to, .. } if to == level), "{higher:?}");
    }
    assert_eq!(told(&county, "escalated").await, 2);
    // There is nobody above the county: it is told that its own time is over, and then the order waits for people.
    let over = fires_at(&county, order, stuck_at + TimeDelta::hours(6)).await;
    assert!(matches!(over.event, Event::Overdue { .. }), "{over:?}");
    rests(&county, order).await;
    let rounds = i64::try_from(rounds.len()).expect("few");
    assert_eq!(county.order(order).await.epoch, rounds, "no further round");
}

/// Nobody swept for a day after the time was over. Then several processes sweep at once: each order goes to the next
/// people once, and those have their whole time.
async fn a_day_of_downtime_fires_each_once(county: SmallCounty) {
    let mut orders = Vec::new();
    for number in 0..20 {
        let order = county.place(&format!("downtime {number}")).await;
        county.work_until_dispatched(order).await;
        orders.push(order);
    }
    county.advance_to(moment("2026-03-11T01:00:00Z"));
    let (one, other) = (county.another_app().await, county.another_app().await);
    for _ in 0..2 {
        let swept = tokio::join!(county.app.sweep_once(), one.sweep_once(), other.sweep_once());
        for swept in [swept.0, swept.1, swept.2] {
            swept.expect("the database is there");
        }
    }
    for order in orders {
        assert_eq!(offer(&county, order).await.1, moment("2026-03-11T01:20:00Z"), "twenty minutes from now");
        let order = county.order(order).await;
        assert_eq!((order.version, order.epoch), (3, 2), "placed, offered, offered: {order:?}");
    }
    assert_eq!(told(&county, "offered").await, 40);
    assert_eq!(county.number("SELECT count(*) FROM dispatch_decision").await, 40);
    assert_eq!(county.sweep().await, 0);
}

async fn a_lost_hint_is_found_after_its_grace(county: SmallCounty) {
    let order = county.place("lost").await;
    let found = fires_at(&county, order, moment("2026-03-09T01:00:02Z")).await;
    assert!(matches!(found.event, Event::Dispatched { .. }), "{found:?}");
    assert_eq!(found.by.hat, Hat::Queue);
    // The hint comes after all, and is void.
    county.work_until_dispatched(order).await;
    assert_eq!(county.order(order).await.version, 2);
}

async fn a_question_and_a_promise_run_out_once(county: SmallCounty) {
    let order = county.place("promise").await;
    county.work_until_dispatched(order).await;
    let volunteer = &county.people.volunteers[0];
    county.command(volunteer, order, Request::Accept).await.expect("it is his to take");
    let due = county.order(order).await.engagement().expect("a promise").complete_by;
    assert_eq!(due, moment("2026-03-12T01:00:00Z"), "three days");

    // Asked after one hour of 72; without an answer for a week, the other 71 begin on Monday at 10.
    county.advance_to(moment("2026-03-09T02:00:00Z"));
    let question = Request::Wait { question: "哪一天方便？".to_owned() };
    county.command(volunteer, order, question).await.expect("he may ask");
    let back = fires_at(&county, order, moment("2026-03-16T02:00:00Z")).await;
    assert!(matches!(back.event, Event::Answered { answer: None, .. }), "{back:?}");
    let after = county.order(order).await;
    assert_eq!(after.status(), Status::Accepted);
    assert_eq!(after.engagement().expect("a promise").complete_by, moment("2026-03-19T01:00:00Z"));

    let late = fires_at(&county, order, moment("2026-03-19T01:00:00Z")).await;
    assert!(matches!(late.event, Event::Escalated { level: Level::Village, .. }), "{late:?}");
    rests(&county, order).await;

    let done = Request::Complete { summary: "买好送到".to_owned(), minutes: 30, media: Vec::new() };
    county.command(volunteer, order, done).await.expect("late is not too late");
    let completed = county.order(order).await;
    assert!(!completed.completion().expect("completed").on_time);
    let week_later = county.app.clock.now() + TimeDelta::days(7);
    let closed = fires_at(&county, order, week_later).await;
    assert_eq!(closed.event, Event::Closed);
    assert_eq!(county.order(order).await.rating(), None, "unrated is not satisfied");
    assert_eq!(county.number("SELECT count(*) FROM due").await, 0);
    rests(&county, order).await;
}

async fn what_a_dead_sweep_had_leased_comes_again(county: SmallCounty) {
    let order = county.place("leased").await;
    county.work_until_dispatched(order).await;
    let tuesday = moment("2026-03-10T01:00:00Z");
    county.advance_to(tuesday);
    let until = tuesday + TimeDelta::seconds(10);
    let leased =
        due::lease(&county.app.store, tuesday, until, None, 10).await.expect("the database is there");
    assert_eq!(leased.len(), 1);
    assert_eq!(county.sweep().await, 0, "another has it");
    fires_at(&county, order, until).await;
}

/// While the queue is long, orders whose hints it has not come to are its own; one that is older, and everything else that
/// is due, are not.
async fn the_sweep_leaves_to_the_queue_what_the_queue_will_come_to(county: SmallCounty) {
    let dispatched = county.place("dispatched").await;
    let hint = Hint { order_id: dispatched, epoch: 0 };
    assert_eq!(county.app.dispatch_all(&[hint]).await.expect("the database is there"), 1);
    let older = county.place("older").await;
    let reached = county.app.clock.now() + TimeDelta::seconds(HINT_GRACE_SECONDS);
    county.advance_to(county.app.clock.now() + MILLISECOND);
    let newer = county.place("newer").await;
    let tuesday = moment("2026-03-10T01:00:00Z");
    county.advance_to(tuesday);
    let until = tuesday + TimeDelta::seconds(10);
    let leased = due::lease(&county.app.store, tuesday, until, Some(reached), 10).await;
    let leased: BTreeSet<Uuid> =
        leased.expect("the database is there").iter().map(|row| row.order_id).collect();
    assert_eq!(leased, BTreeSet::from([dispatched, older]));
    assert_eq!(county.sweep().await, 1, "nobody has seen a long queue");
    assert_eq!(county.order(newer).await.status(), Status::Dispatched);
}

/// The worker says how far it has come: the sweep beside it leaves what is behind, as long as the queue is long.
async fn the_sweep_hears_how_far_the_queue_has_come(county: SmallCounty) {
    let a_round = if county.app.store.is_postgres() { 128 } else { 16 };
    for number in 0..2 * a_round {
        county.place(&format!("in a full round {number}")).await;
    }
    county.advance_to(county.app.clock.now() + MILLISECOND);
    let behind = county.place("behind").await;
    let work = async || county.app.work_once("by hand", Duration::from_secs(10)).await.expect("a queue");
    assert_eq!(work().await, a_round);
    // By now the grace of all hints is over.
    county.advance_to(county.app.clock.now() + TimeDelta::seconds(HINT_GRACE_SECONDS + 1));
    assert_eq!(work().await, a_round);
    assert_eq!(county.sweep().await, 0, "its hint is still in the queue");
    county.advance_to(county.app.clock.now() + TimeDelta::seconds(1));
    assert_eq!(county.sweep().await, 1, "nobody has come to it for a second");
    assert_eq!(county.order(behind).await.status(), Status::Dispatched);
}

/// On a Saturday at 23:00 in China.
async fn an_urgent_order_does_not_wait_for_the_morning(county: SmallCounty) {
    county.advance_to(moment("2026-03-14T15:00:00Z"));
    let normal = county.place("normal").await;
    county.work_until_dispatched(normal).await;
    let request = PlaceRequest {
        sign: Some(county.sign()),
        category: "errand".to_owned(),
        description: "老人摔倒，需要有人马上过来。".to_owned(),
        urgency: Some(Urgency::Urgent),
        ..PlaceRequest::default()
    };
    let urgent = county.place_as(&county.people.resident, request, "urgent").await.expect("a good order");
    county.work_until_dispatched(urgent).await;
    let next = fires_at(&county, urgent, moment("2026-03-14T15:03:00Z")).await;
    assert!(matches!(next.event, Event::Dispatched { .. }), "{next:?}");
    // At 07:20 on Sunday in China: twenty minutes after the quiet hours, in which nobody is woken for it.
    assert_eq!(offer(&county, normal).await.1, moment("2026-03-14T23:20:00Z"));
    assert_eq!(county.order(normal).await.version, 2);
}
