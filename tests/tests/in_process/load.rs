//! Many at once: workers that race for the same orders, people who do three things with one order at the same moment,
//! somebody who takes on more than he may hold, and everything that fell due in a day of downtime.
//!
//! The short form runs always; `XINGFUMA_TESTS_LONG=1` gives the sizes of the contract.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use tokio::task::JoinSet;
use uuid::Uuid;
use xingfuma_app::{
    AppError,
    command::{Ask, Request},
    place::PlaceRequest,
};
use xingfuma_domain::order::{Order, Refusal, State, Status};
use xingfuma_queue::Hint;

use crate::{
    on_both_databases,
    small_county::{SmallCounty, version},
};

on_both_databases!(
    workers_who_race_assign_each_order_once,
    accept_cancel_and_dispatch_at_the_same_moment,
    nobody_takes_on_more_than_he_may_hold,
    a_day_of_downtime_is_made_up_for_within_a_minute,
);

/// Placements under way at the same time.
const AT_ONCE: usize = 256;
/// What may fall due in a day has to be done within this time.
const MADE_UP_WITHIN: Duration = Duration::from_secs(60);
/// As many open orders as one may hold where the roster says nothing else.
const HELD_AT_MOST: usize = 20;

fn size(short: usize, long: usize) -> usize {
    let is_long = std::env::var("XINGFUMA_TESTS_LONG").is_ok_and(|long| long == "1");
    if is_long { long } else { short }
}

/// So many orders, placed side by side.
async fn place_many(county: &SmallCounty, count: usize) -> Vec<Uuid> {
    let (mut placing, mut placed) = (JoinSet::new(), Vec::with_capacity(count));
    for number in 0..count {
        if placing.len() == AT_ONCE {
            placed.push(placing.join_next().await.expect("some are under way").expect("it ends well"));
        }
        let (app, caller) = (county.app.clone(), county.people.resident.clone());
        let request = PlaceRequest {
            sign: Some(county.sign()),
            category: "errand".to_owned(),
            description: "代买一袋米".to_owned(),
            ..PlaceRequest::default()
        };
        placing.spawn(async move {
            let key = format!("load {number}");
            let keyed = app.keyed(caller.actor.person, "/orders", &key, key.as_bytes());
            let id: xingfuma_app::command::Render =
                std::sync::Arc::new(|seen| (201, seen.order.id.as_bytes().to_vec()));
            let reply = app.place(&caller, None, request, keyed, id).await.expect("a good order");
            Uuid::from_slice(&reply.body).expect("an id")
        });
    }
    while let Some(id) = placing.join_next().await {
        placed.push(id.expect("it ends well"));
    }
    placed
}

/// 32 workers have the same hints in hand, each begins elsewhere: a thousand orders, a thousand assignments.
async fn workers_who_race_assign_each_order_once(county: SmallCounty) {
    let (workers, count) = (size(8, 32), size(120, 1_000));
    let orders = place_many(&county, count).await;
    let hints: Vec<Hint> = orders.iter().map(|order| Hint { order_id: *order, epoch: 0 }).collect();
    let mut racing = JoinSet::new();
    for worker in 0..workers {
        let (app, mut hints) = (county.app.clone(), hints.clone());
        hints.rotate_left(worker * count / workers);
        racing.spawn(async move {
            let mut done = 0;
            for some in hints.chunks(16) {
                done += app.dispatch_all(some).await.expect("the database is there");
            }
            done
        });
    }
    let mut done = 0;
    while let Some(one) = racing.join_next().await {
        done += one.expect("a worker ends well");
    }
    assert_eq!(done, count, "each was done by one of them");
    let wanted = i64::try_from(count).expect("few");
    assert_eq!(
        county.number("SELECT count(*) FROM orders WHERE status = 'dispatched' AND epoch = 1").await,
        wanted
    );
    assert_eq!(county.number("SELECT count(*) FROM dispatch_decision").await, wanted);
    assert_eq!(
        county.number("SELECT count(*) FROM due WHERE kind = 'warn'").await,
        wanted,
        "a reminder each"
    );
}

/// A hundred times: a volunteer accepts, the resident calls off, the station sends it elsewhere. Whatever comes first, the
/// others see it: one history, at most one promise.
async fn accept_cancel_and_dispatch_at_the_same_moment(county: SmallCounty) {
    let people = &county.people;
    let other_team = people.of_township.actor.teams()[0];
    let (mut accepted, mut cancelled) = (0, 0);
    for round in 0..size(40, 100) {
        let order = county.place(&format!("at once {round}")).await;
        county.work_until_dispatched(order).await;
        let elsewhere =
            Request::Dispatch { team: other_team, volunteer: None, reason: Some("就近".to_owned()) };
        let (accept, cancel, dispatch) = tokio::join!(
            county.command(&people.volunteers[0], order, Request::Accept),
            county.command(&people.resident, order, Request::Cancel { reason: Some("不用了".to_owned()) }),
            county.command(&people.village, order, elsewhere),
        );
        let stored = county.order(order).await;
        let records = county.records(order).await;
        assert_eq!(Order::fold(order, &records).as_ref(), Some(&stored), "round {round}");
        let done = [accept.is_ok(), cancel.is_ok(), dispatch.is_ok()];
        let events = done.iter().filter(|done| **done).count();
        assert_eq!(records.len(), 2 + events, "round {round}: {done:?} {accept:?} {cancel:?} {dispatch:?}");
        // Calling off is possible before and after the others, so it always comes through in the end.
        assert!(cancel.is_ok(), "round {round}: {cancel:?}");
        assert_eq!(stored.status(), Status::Cancelled);
        assert!(stored.next_due().is_none());
        accepted += u32::from(accept.is_ok());
        cancelled += 1;
        let promises = county.number("SELECT count(*) FROM engagement").await;
        assert_eq!(promises, i64::from(accepted), "one promise for each acceptance");
    }
    assert_eq!(county.number("SELECT count(*) FROM due").await, 0, "{cancelled} were called off");
}

/// Somebody accepts thirty orders at once: twenty are his, and the others hear why not.
async fn nobody_takes_on_more_than_he_may_hold(county: SmallCounty) {
    let orders = place_many(&county, HELD_AT_MOST + 10).await;
    let hints: Vec<Hint> = orders.iter().map(|order| Hint { order_id: *order, epoch: 0 }).collect();
    county.app.dispatch_all(&hints).await.expect("the database is there");
    let mut accepting = JoinSet::new();
    for order in orders {
        let (app, caller) = (county.app.clone(), county.people.volunteers[0].clone());
        let ask = Ask { caller, order, found: None, keyed: None, if_match: None, render: version() };
        accepting.spawn(async move { app.command(ask, Request::Accept).await });
    }
    let (mut taken, mut full) = (0, 0);
    while let Some(outcome) = accepting.join_next().await {
        match outcome.expect("it ends well") {
            Ok(_) => taken += 1,
            Err(AppError::Refused(Refusal::Full { .. })) => full += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!((taken, full), (HELD_AT_MOST, 10));
    let held = "SELECT count(*) FROM due WHERE volunteer_id IS NOT NULL";
    assert_eq!(county.number(held).await, i64::try_from(HELD_AT_MOST).expect("few"));
}

/// Nobody worked or swept for a day. Then one process sweeps: everything is done, once, within a minute; and what was
/// offered then is reminded of and offered on at its own moments, each order once a moment.
async fn a_day_of_downtime_is_made_up_for_within_a_minute(county: SmallCounty) {
    let count = size(1_000, 200_000);
    let orders = place_many(&county, count).await;
    county.app.clock.advance(TimeDelta::hours(24));
    let begun = Instant::now();
    while county.sweep().await > 0 {}
    let took = begun.elapsed();
    println!("{count} overdue timers took {} ms", took.as_millis());
    assert!(took < MADE_UP_WITHIN, "{count} overdue timers took {took:?}");
    let wanted = i64::try_from(count).expect("few");
    let once = "SELECT count(*) FROM orders WHERE version = 2 AND epoch = 1 AND status = 'dispatched'";
    assert_eq!(county.number(once).await, wanted, "each once");
    let State::Dispatched { offer } = county.order(orders[0]).await.state else { panic!("no offer") };
    // Three quarters of the patience: all of them at this moment, and none a millisecond before.
    let remind = offer.at + (offer.accept_by - offer.at) / 4 * 3;
    county.advance_to(remind - TimeDelta::milliseconds(1));
    assert_eq!(county.sweep().await, 0, "not early");
    county.advance_to(remind);
    while county.sweep().await > 0 {}
    assert_eq!(county.number("SELECT count(*) FROM orders WHERE version = 3").await, wanted, "each once");
    assert_eq!(county.sweep().await, 0, "not twice");
}
