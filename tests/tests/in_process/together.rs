//! What is written together: a round of the worker in one commit, and points inside the statement of the command that
//! earns them. Neither may be felt: each order is decided as if it were alone, and nothing is lost or doubled in a race.

use std::collections::HashMap;

use uuid::Uuid;
use xingfuma_app::command::{Ask, Request};
use xingfuma_domain::order::{Event, Status};
use xingfuma_queue::Hint;
use xingfuma_store::{ConnectionTrait, ledger};

use crate::{
    on_both_databases,
    small_county::{SmallCounty, version},
};

on_both_databases!(
    a_round_offers_each_order_and_leaves_out_what_has_moved_on,
    an_unreadable_order_holds_nobody_up,
    completions_at_the_same_moment_are_all_booked_under_the_cap,
);

async fn placed(county: &SmallCounty, count: usize) -> Vec<Hint> {
    let mut hints = Vec::with_capacity(count);
    for number in 0..count {
        hints.push(Hint { order_id: county.place(&format!("round {number}")).await, epoch: 0 });
    }
    hints
}

/// Whom the policy told of an order.
async fn invited(county: &SmallCounty, order: Uuid) -> Vec<Uuid> {
    let records = county.records(order).await;
    let mut dispatched = records.iter().filter_map(|record| match &record.event {
        Event::Dispatched { invited, .. } => Some(invited.clone()),
        _ => None,
    });
    dispatched.next_back().unwrap_or_default()
}

async fn a_round_offers_each_order_and_leaves_out_what_has_moved_on(county: SmallCounty) {
    let hints = placed(&county, 12).await;
    let (gone, old) = (hints[3].order_id, hints[7].order_id);
    let cancel = Request::Cancel { reason: None };
    county.command(&county.people.resident, gone, cancel).await.expect("his own order");
    let mut given = hints.clone();
    given[7].epoch = -1;
    given.push(hints[0]);
    given.push(Hint { order_id: Uuid::nil(), epoch: 0 });
    assert_eq!(county.app.dispatch_all(&given).await.expect("the database is there"), 10);
    // The same again finds nothing to do, but for the one whose hint was old.
    assert_eq!(county.app.dispatch_all(&hints).await.expect("the database is there"), 1);
    let mut told: HashMap<Uuid, usize> = HashMap::new();
    for hint in &hints {
        let order = county.order(hint.order_id).await;
        let expected = if hint.order_id == gone { (Status::Cancelled, 0) } else { (Status::Dispatched, 1) };
        assert_eq!((order.status(), order.epoch), expected);
        assert_eq!(order.version, 2);
        assert_eq!(county.records(hint.order_id).await.len(), 2);
        for person in invited(&county, hint.order_id).await {
            *told.entry(person).or_default() += 1;
        }
    }
    assert_eq!(county.number("SELECT count(*) FROM dispatch_decision").await, 11);
    // Decided one after the other: whoever was just told of one stands behind the others for the next.
    assert!(told.len() >= 5, "not in turns: {told:?}");
    assert_eq!(county.order(old).await.epoch, 1);
}

/// One row of many cannot be read: its neighbours are dispatched all the same, and it becomes a dead letter in the end.
async fn an_unreadable_order_holds_nobody_up(county: SmallCounty) {
    let hints = placed(&county, 5).await;
    let poison = hints[2].order_id;
    let id = match county.app.store.is_postgres() {
        true => format!("'{poison}'"),
        false => format!("x'{}'", poison.simple()),
    };
    let spoil = format!("UPDATE orders SET snapshot = 'no order' WHERE id = {id}");
    county.owner.pool().execute_unprepared(&spoil).await.expect("a row");
    let mut worked = 0;
    while worked < hints.len() {
        worked += county.app.work_once("by hand", std::time::Duration::from_secs(10)).await.expect("hints");
    }
    for hint in hints.iter().filter(|hint| hint.order_id != poison) {
        assert_eq!(county.order(hint.order_id).await.status(), Status::Dispatched);
    }
    assert_eq!(county.number("SELECT count(*) FROM dispatch_decision").await, 4);
}

/// One volunteer completes all that he holds at once. Each award was decided on what was left of the month's cap when
/// its order was read; all but one of them were wrong about it when they were written.
async fn completions_at_the_same_moment_are_all_booked_under_the_cap(county: SmallCounty) {
    const ORDERS: usize = 12;
    let volunteer = county.people.volunteers[0].clone();
    let hints = placed(&county, ORDERS).await;
    county.app.dispatch_all(&hints).await.expect("the database is there");
    for hint in &hints {
        if !invited(&county, hint.order_id).await.contains(&volunteer.actor.person) {
            let by_hand = Request::Dispatch {
                team: volunteer.actor.teams()[0],
                volunteer: Some(volunteer.actor.person),
                reason: Some("由他来办".to_owned()),
            };
            county.command(&county.people.village, hint.order_id, by_hand).await.expect("his to overrule");
        }
        county.command(&volunteer, hint.order_id, Request::Accept).await.expect("his to take");
    }
    let done = || Request::Complete { summary: "已送到".to_owned(), minutes: 20, media: Vec::new() };
    let ask = |order: Uuid| Ask {
        caller: volunteer.clone(),
        order,
        found: None,
        keyed: None,
        if_match: None,
        render: version(),
    };
    let mut all = tokio::task::JoinSet::new();
    for hint in &hints {
        let (app, ask, done) = (county.app.clone(), ask(hint.order_id), done());
        all.spawn(async move { app.command(ask, done).await });
    }
    while let Some(done) = all.join_next().await {
        done.expect("no panic").expect("each is his to complete");
    }
    let person = match county.app.store.is_postgres() {
        true => format!("'{}'", volunteer.actor.person),
        false => format!("x'{}'", volunteer.actor.person.simple()),
    };
    let transactions = county.number("SELECT count(*) FROM score_transaction").await;
    assert_eq!(transactions, ORDERS as i64, "each completion is booked once");
    let used = county
        .number(&format!("SELECT CAST(sum(points) AS bigint) FROM score_cap WHERE person_id = {person}"))
        .await;
    let earned = format!(
        "SELECT CAST(sum(points) AS bigint) FROM score_entry WHERE owner_id = {person} AND purse = 'assessment'"
    );
    let earned = county.number(&earned).await;
    assert_eq!(used, earned, "what is used of the cap is what was given");
    let balance = format!(
        "SELECT CAST(sum(balance) AS bigint) FROM score_account WHERE owner_id = {person} AND purse = 'assessment'"
    );
    assert_eq!(county.number(&balance).await, earned);
    let verdict = ledger::verify(county.app.store.pool()).await.expect("readable");
    assert!(verdict.faults.is_empty(), "{verdict:?}");
}
