//! Warnings and reminders: each comes at its moment, once, to those whom it concerns, on both databases; and what hangs
//! together is changed together.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use xingfuma_app::{AppError, command::Request, place::PlaceRequest};
use xingfuma_domain::{
    area::Level,
    deadline::Urgency,
    order::{Event, Outcome, Refusal, Stage, State, Status},
};

use crate::{on_both_databases, small_county::SmallCounty};

const MILLISECOND: TimeDelta = TimeDelta::milliseconds(1);

on_both_databases!(
    an_offer_reminds_those_who_were_told_once,
    a_promise_is_warned_of_and_told_of_once_across_downtime,
    departments_are_called_and_each_is_timed,
    a_follower_is_done_with_its_parent,
    a_follower_is_on_its_own_again_when_its_parent_is_called_off,
    two_who_merge_into_each_other_do_not_both,
    a_poor_rating_is_asked_after_by_the_township,
    an_order_is_extended_once_under_two_hands,
);

fn moment(text: &str) -> DateTime<Utc> {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Sweeps at this moment until nothing is due; returns how many events that made of the order.
async fn sweep_at(county: &SmallCounty, order: Uuid, at: DateTime<Utc>) -> i64 {
    county.advance_to(at);
    let before = county.order(order).await.version;
    while county.sweep().await > 0 {}
    county.order(order).await.version - before
}

async fn told_people(county: &SmallCounty, topic: &str) -> i64 {
    while county.app.notify_waiting().await.expect("the database is there") > 0 {}
    county.number(&format!("SELECT count(*) FROM inbox WHERE topic = '{topic}'")).await
}

async fn promised(county: &SmallCounty, key: &str, urgency: Urgency) -> Uuid {
    let request = PlaceRequest {
        sign: Some(county.sign()),
        category: "errand".to_owned(),
        description: format!("路灯坏了 {key}"),
        urgency: Some(urgency),
        ..PlaceRequest::default()
    };
    let order = county.place_as(&county.people.resident, request, key).await.expect("a good order");
    county.work_until_dispatched(order).await;
    county.command(&county.people.volunteers[0], order, Request::Accept).await.expect("it is his to take");
    order
}

/// Told at 09:00 with twenty minutes of patience: reminded at 09:15, and at 09:20 others are asked.
async fn an_offer_reminds_those_who_were_told_once(county: SmallCounty) {
    let order = county.place("reminded").await;
    county.work_until_dispatched(order).await;
    let State::Dispatched { offer } = county.order(order).await.state else { panic!("no offer") };
    let told = i64::try_from(offer.invited.len()).expect("few");
    assert!(told > 0);
    let remind = moment("2026-03-09T01:15:00Z");
    assert_eq!(sweep_at(&county, order, remind - MILLISECOND).await, 0, "not early");
    assert_eq!(sweep_at(&county, order, remind).await, 1);
    assert_eq!(told_people(&county, "reminded").await, told, "each of them once");
    assert_eq!(sweep_at(&county, order, offer.accept_by - MILLISECOND).await, 0, "not twice");
    assert_eq!(sweep_at(&county, order, offer.accept_by).await, 1);
    assert_eq!(county.order(order).await.epoch, 2, "then others are asked");
}

async fn a_promise_is_warned_of_and_told_of_once_across_downtime(county: SmallCounty) {
    let (order, other) = (
        promised(&county, "warned", Urgency::Normal).await,
        promised(&county, "late", Urgency::Urgent).await,
    );
    // Three days from Monday 09:00; three quarters of them are over on Wednesday at 15:00.
    let warn = moment("2026-03-11T07:00:00Z");
    // The urgent one ran late long before that: on site within two hours, done within a day, and nobody swept.
    assert_eq!(sweep_at(&county, order, warn - MILLISECOND).await, 0);
    let records = county.records(other).await;
    let told: Vec<_> = records.iter().skip(3).map(|record| record.event.clone()).collect();
    let is_arrival =
        |event: &Event| matches!(event, Event::Overdue { clock } if clock.stage == Stage::Arrive);
    assert_eq!(told.iter().filter(|event| is_arrival(event)).count(), 1, "{told:?}");
    let climbed = |event: &Event| matches!(event, Event::Escalated { level: Level::Village, .. });
    assert_eq!(told.iter().filter(|event| climbed(event)).count(), 1, "{told:?}");
    assert_eq!(told.len(), 2, "no warning of what is over already: {told:?}");

    let another = county.another_app().await;
    county.advance_to(warn);
    another.clock.advance(warn - another.clock.now());
    let swept = tokio::join!(county.app.sweep_once(), another.sweep_once());
    swept.0.expect("the database is there");
    swept.1.expect("the database is there");
    assert_eq!(sweep_at(&county, order, warn).await, 0, "two processes told it once");
    let last = county.records(order).await.pop().expect("an event");
    assert!(matches!(last.event, Event::Warned { clock } if clock.stage == Stage::Complete), "{last:?}");
    // The worker and the station of the village.
    assert_eq!(told_people(&county, "warned").await, 2);
    assert_eq!(sweep_at(&county, order, moment("2026-03-12T01:00:00Z") - MILLISECOND).await, 0);
}

async fn departments_are_called_and_each_is_timed(county: SmallCounty) {
    let order = promised(&county, "whistle", Urgency::Normal).await;
    let departments: Vec<Uuid> = county.app.directory().departments().iter().map(|one| one.id).collect();
    assert_eq!(departments.len(), 2, "the county has two");
    let people = &county.people;
    let own = people.department.actor.departments()[0];
    let unseen = county.app.order(&people.department, order, None).await;
    assert!(matches!(unseen, Err(AppError::NotFound)), "not called yet");
    let request = Request::Whistle { departments: departments.clone(), demand: "请到场核查".to_owned() };
    county.command(&people.village, order, request.clone()).await.expect("the village may call");
    let again = county.command(&people.village, order, request).await;
    assert!(matches!(again, Err(AppError::Refused(Refusal::AlreadyWhistled))), "{again:?}");
    let seen = county.app.order(&people.department, order, None).await.expect("it was called");
    assert!(seen.contact.is_none() && seen.coordination);
    let whistles = county.order(order).await.whistles;
    let mine = whistles.iter().find(|one| one.department == own).expect("one each").id;
    let theirs = whistles.iter().find(|one| one.department != own).expect("one each").id;
    let refused = county.command(&people.department, order, Request::CheckIn { whistle: theirs }).await;
    assert!(matches!(refused, Err(AppError::Forbidden)), "another department's call: {refused:?}");
    let early = Request::Conclude { whistle: mine, result: "已处理".to_owned() };
    let refused = county.command(&people.department, order, early.clone()).await;
    assert!(matches!(refused, Err(AppError::Refused(Refusal::CheckInRequired))), "{refused:?}");
    county.command(&people.department, order, Request::CheckIn { whistle: mine }).await.expect("its call");
    county.command(&people.department, order, early).await.expect("it has checked in");
    // Tuesday 09:00: the other one is a day late; warned before, told now.
    assert_eq!(sweep_at(&county, order, moment("2026-03-09T19:00:00Z")).await, 1);
    assert_eq!(sweep_at(&county, order, moment("2026-03-10T01:00:00Z")).await, 1);
    assert_eq!(told_people(&county, "whistled").await, 2);
    // The department itself, whoever called, and the township.
    assert_eq!(told_people(&county, "overdue").await, 3);
    let rate = Request::RateWhistle { whistle: mine, stars: 5, comment: None };
    let refused = county.command(&people.township, order, rate.clone()).await;
    assert!(matches!(refused, Err(AppError::Forbidden)), "whoever called: {refused:?}");
    county.command(&people.village, order, rate).await.expect("whoever called rates");
    let found = county.app.whistle_command(
        xingfuma_app::command::Ask {
            caller: people.stranger.clone(),
            order: mine,
            found: None,
            keyed: None,
            if_match: None,
            render: crate::small_county::version(),
        },
        Request::CheckIn { whistle: mine },
    );
    assert!(matches!(found.await, Err(AppError::NotFound)), "not there for a stranger");
}

/// Two residents tell of the same lamp.
async fn two_of_the_same(county: &SmallCounty) -> (Uuid, Uuid) {
    let leading = county.place("leading").await;
    county.work_until_dispatched(leading).await;
    let request = PlaceRequest {
        sign: Some(county.sign()),
        category: "errand".to_owned(),
        description: "代买一袋米".to_owned(),
        ..PlaceRequest::default()
    };
    let follower = county.place_as(&county.people.stranger, request, "follower").await.expect("a good order");
    county.work_until_dispatched(follower).await;
    (leading, follower)
}

async fn a_follower_is_done_with_its_parent(county: SmallCounty) {
    let (leading, follower) = two_of_the_same(&county).await;
    let (people, merge) = (&county.people, Request::Merge { into: leading });
    let refused = county.command(&people.stranger, follower, merge.clone()).await;
    assert!(matches!(refused, Err(AppError::Forbidden)), "{refused:?}");
    county.command(&people.village, follower, merge).await.expect("the village may");
    let merged = county.order(follower).await;
    assert_eq!((merged.status(), merged.next_due()), (Status::Merged, None));
    assert_eq!(county.order(leading).await.followers.len(), 1);
    let volunteer = &people.volunteers[0];
    county.command(volunteer, leading, Request::Accept).await.expect("it is his to take");
    assert_eq!(told_people(&county, "followed_accepted").await, 1);
    let about = county.rows("SELECT order_id FROM inbox WHERE topic = 'followed_accepted'").await;
    assert_eq!(about[0].try_get::<Uuid>("", "order_id").expect("an id"), follower, "under his own number");
    let done = Request::Complete { summary: "买好送到".to_owned(), minutes: 30 };
    county.command(volunteer, leading, done).await.expect("his to complete");
    let (one, other) = (county.order(leading).await, county.order(follower).await);
    assert_eq!((other.status(), other.completion()), (Status::Completed, one.completion()));
    assert_eq!(other.next_due(), one.next_due(), "they close together");
    let scored = county.number("SELECT count(DISTINCT source_id) FROM score_transaction").await;
    assert_eq!(scored, 1, "the work was done once");
    let unseen = county.app.order(volunteer, follower, None).await.map(|seen| seen.contact.is_none());
    assert!(!matches!(unseen, Ok(false)), "he has no business with the other one's contact");
    let rate = Request::Rate { stars: 5, solved: true, tags: Vec::new(), comment: None };
    for (resident, order) in [(&people.resident, leading), (&people.stranger, follower)] {
        county.command(resident, order, rate.clone()).await.expect("each may rate");
    }
    let scored = county.number("SELECT count(DISTINCT source_id) FROM score_transaction").await;
    assert_eq!(scored, 1, "what was done once scores once");
    county.advance_to(moment("2026-03-17T01:00:00Z"));
    while county.sweep().await > 0 {}
    for order in [leading, follower] {
        assert_eq!(county.order(order).await.status(), Status::Closed);
    }
}

async fn a_follower_is_on_its_own_again_when_its_parent_is_called_off(county: SmallCounty) {
    let (leading, follower) = two_of_the_same(&county).await;
    let merge = Request::Merge { into: leading };
    county.command(&county.people.village, follower, merge).await.expect("the village may");
    county.advance_to(moment("2026-03-09T02:00:00Z"));
    county
        .command(&county.people.resident, leading, Request::Cancel { reason: None })
        .await
        .expect("his own");
    let parted = county.order(follower).await;
    let State::Placed { dispatch_by, stuck: None, .. } = parted.state else { panic!("{parted:?}") };
    assert_eq!(dispatch_by, moment("2026-03-09T04:00:00Z"), "a fresh clock");
    // The hint of the commit, or the sweep: somebody is asked again.
    sweep_at(&county, follower, moment("2026-03-09T02:00:02Z")).await;
    assert_eq!(county.order(follower).await.status(), Status::Dispatched);
    assert_eq!(told_people(&county, "parted").await, 1);
}

/// Each of two orders is merged into the other at the same moment, again and again: one follows and one leads.
async fn two_who_merge_into_each_other_do_not_both(county: SmallCounty) {
    for round in 0..10 {
        let (one, other) =
            (county.place(&format!("one {round}")).await, county.place(&format!("other {round}")).await);
        let (village, township) = (&county.people.village, &county.people.township);
        let there = county.command(village, one, Request::Merge { into: other });
        let back = county.command(township, other, Request::Merge { into: one });
        let (there, back) = tokio::join!(there, back);
        assert_eq!(u32::from(there.is_ok()) + u32::from(back.is_ok()), 1, "{there:?} {back:?}");
        let orders = [county.order(one).await, county.order(other).await];
        let merged = orders.iter().filter(|order| order.status() == Status::Merged).count();
        let leading = orders.iter().filter(|order| order.followers.len() == 1).count();
        assert_eq!((merged, leading), (1, 1), "round {round}");
        let _left_in_the_queue = county.app.work_once("by hand", std::time::Duration::from_secs(1)).await;
    }
}

async fn a_poor_rating_is_asked_after_by_the_township(county: SmallCounty) {
    let order = promised(&county, "poor", Urgency::Normal).await;
    let people = &county.people;
    let done = Request::Complete { summary: "买好送到".to_owned(), minutes: 30 };
    county.command(&people.volunteers[0], order, done).await.expect("his to complete");
    let rate = Request::Rate { stars: 4, solved: false, tags: Vec::new(), comment: None };
    county.command(&people.resident, order, rate).await.expect("his to rate");
    let solved = Request::Revisit { outcome: Outcome::Solved, note: None };
    let refused = county.command(&people.village, order, solved.clone()).await;
    assert!(matches!(refused, Err(AppError::Forbidden)), "{refused:?}");
    let unsolved = Request::Revisit { outcome: Outcome::Unsolved, note: None };
    let refused = county.command(&people.township, order, unsolved).await;
    assert!(matches!(refused, Err(AppError::Invalid(_))), "what is not solved is told in words: {refused:?}");
    // Two working days from Monday 09:00.
    assert_eq!(sweep_at(&county, order, moment("2026-03-10T13:00:00Z")).await, 1);
    assert_eq!(sweep_at(&county, order, moment("2026-03-11T01:00:00Z")).await, 1);
    assert_eq!(told_people(&county, "overdue").await, 2, "the township and the county");
    county.command(&people.township, order, solved.clone()).await.expect("the township asked");
    let refused = county.command(&people.township, order, solved).await;
    assert!(matches!(refused, Err(AppError::Refused(Refusal::NothingToRevisit))), "{refused:?}");
}

async fn an_order_is_extended_once_under_two_hands(county: SmallCounty) {
    let order = promised(&county, "complex", Urgency::Complex).await;
    let due = county.order(order).await.engagement().expect("a promise").complete_by;
    let request = || Request::Extend { reason: "需要多方协调".to_owned() };
    let people = &county.people;
    let both = tokio::join!(
        county.command(&people.leader, order, request()),
        county.command(&people.township, order, request()),
    );
    assert_eq!(u32::from(both.0.is_ok()) + u32::from(both.1.is_ok()), 1, "{both:?}");
    let later = county.order(order).await.engagement().expect("a promise").complete_by;
    // Seven working days and a weekend from Wednesday to Friday of the week after.
    assert_eq!((due, later), (moment("2026-03-18T01:00:00Z"), moment("2026-03-27T01:00:00Z")));
}
