//! Somebody leaves, and all that he holds is handed on: to somebody named, to his team, or to be placed again; also when
//! whoever began it did not live to end it.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use uuid::Uuid;
use xingfuma_app::{AppError, Caller, command::Request, once::Once, transfer::TransferRequest};
use xingfuma_domain::order::{Hat, State, Status};

use crate::{on_both_databases, small_county::SmallCounty};

on_both_databases!(
    everything_open_goes_to_the_named_one,
    without_a_name_it_goes_back_to_the_team_and_the_last_of_a_team_leaves_it_to_the_queue,
    what_was_interrupted_is_gone_on_with,
    who_may_and_who_may_not,
    who_was_suspended_comes_back,
);

/// Orders of this volunteer in every state in which he can hold one, and one that he has completed.
async fn hold_some(county: &SmallCounty, volunteer: &Caller) -> Vec<Uuid> {
    let mut held = Vec::new();
    for how in ["named", "accepted", "in_service", "waiting", "completed"] {
        let order = county.place(&format!("{how} {}", county.app.new_id())).await;
        let named = Request::Dispatch {
            team: volunteer.actor.teams()[0],
            volunteer: Some(volunteer.actor.person),
            reason: Some("熟悉情况".to_owned()),
        };
        county.command(&county.people.village, order, named).await.expect("he may dispatch");
        let arrive = Request::Arrive { sign: None, badge: None };
        let steps = match how {
            "named" => vec![],
            "accepted" => vec![Request::Accept],
            "in_service" => vec![Request::Accept, arrive],
            "waiting" => vec![Request::Accept, Request::Wait { question: "几点方便？".to_owned() }],
            _ => vec![
                Request::Accept,
                Request::Complete { summary: "已办好".to_owned(), minutes: 10, media: Vec::new() },
            ],
        };
        for step in steps {
            county.command(volunteer, order, step).await.expect("it is his");
        }
        held.push(order);
    }
    held
}

fn wish(volunteer: &Caller, to: Option<&Caller>, suspend: bool) -> TransferRequest {
    TransferRequest {
        volunteer: volunteer.actor.person,
        to: to.map(|to| to.actor.person),
        reason: "外出务工，不再担任志愿者".to_owned(),
        suspend,
    }
}

async fn expand(county: &SmallCounty) {
    while county.app.notify_waiting().await.expect("the database is there") > 0 {}
}

async fn topics(county: &SmallCounty, person: &Caller, topic: &str) -> usize {
    let inbox = county.app.inbox(person, None, 100).await.expect("the database is there");
    inbox.iter().filter(|one| one.topic == topic).count()
}

async fn everything_open_goes_to_the_named_one(county: SmallCounty) {
    let (leaves, takes) = (&county.people.volunteers[0], &county.people.volunteers[1]);
    let held = hold_some(&county, leaves).await;
    expand(&county).await;
    let offered_before = topics(&county, takes, "offered").await;
    let done = county.app.transfer_work(&county.people.village, wish(leaves, Some(takes), true)).await;
    let done = done.expect("the village may");
    assert_eq!((done.handed_on, done.left), (4, 0));
    for order in &held[..4] {
        let stored = county.order(*order).await;
        assert_eq!(stored.status(), Status::Dispatched);
        assert_eq!(stored.assignment().and_then(|to| to.volunteer), Some(takes.actor.person));
        let last = county.records(*order).await.pop().expect("a record");
        assert_eq!(last.by.person, Some(county.people.village.actor.person), "in whose name");
        assert_eq!(last.by.hat, Hat::Sweep);
        assert_eq!(last.event.name(), "dispatched");
        county.command(takes, *order, Request::Accept).await.expect("it is his now");
    }
    assert_eq!(county.order(held[4]).await.status(), Status::Completed, "what is done stays his");
    expand(&county).await;
    assert_eq!(topics(&county, leaves, "transferred").await, 4);
    assert_eq!(topics(&county, takes, "offered").await, offered_before + 4);
    // Suspended: his roles are gone with the next request.
    let again = county.app.caller(leaves.session).await.expect("he is a resident still");
    assert!(again.actor.teams().is_empty());
    let pending = county.number("SELECT count(*) FROM transfer WHERE ended_at IS NULL").await;
    assert_eq!(pending, 0);
}

async fn without_a_name_it_goes_back_to_the_team_and_the_last_of_a_team_leaves_it_to_the_queue(
    county: SmallCounty,
) {
    let leaves = &county.people.volunteers[0];
    let held = hold_some(&county, leaves).await;
    let done = county.app.transfer_work(&county.people.leader, wish(leaves, None, false)).await;
    assert_eq!(done.expect("his leader may").handed_on, 4);
    for order in &held[..4] {
        let stored = county.order(*order).await;
        let offer = stored.assignment().expect("it is offered");
        assert_eq!((offer.team, offer.volunteer), (leaves.actor.teams()[0], None));
    }
    let taker = &county.people.volunteers[1];
    county.command(taker, held[0], Request::Accept).await.expect("anybody of the team may take it");
    // He leaves as well, and all others of the team have left already.
    let team = taker.actor.teams()[0];
    let sql = format!(
        "UPDATE volunteer SET status = 'left' WHERE person_id <> {}",
        literal(&county, taker.actor.person)
    );
    run(&county, &sql).await;
    let done = county.app.transfer_work(&county.people.village, wish(taker, None, true)).await;
    assert_eq!(done.expect("the village may").handed_on, 1);
    let stored = county.order(held[0]).await;
    assert_eq!(stored.status(), Status::Placed);
    assert!(stored.asked.contains(&team));
    // The queue looks for another team, and says that there is none.
    let begun = Instant::now();
    while !matches!(county.order(held[0]).await.state, State::Placed { stuck: Some(_), .. }) {
        assert!(begun.elapsed() < Duration::from_secs(20), "the queue did not hear of it");
        county.app.work_once("by hand", Duration::from_millis(200)).await.expect("a queue in memory");
    }
}

async fn what_was_interrupted_is_gone_on_with(county: SmallCounty) {
    let (leaves, takes) = (&county.people.volunteers[0], &county.people.volunteers[1]);
    let held = hold_some(&county, leaves).await;
    // The process dies after it has written the wish down.
    county
        .app
        .begin_transfer(&county.people.township, wish(leaves, Some(takes), true))
        .await
        .expect("the township may");
    let twice = county.app.begin_transfer(&county.people.village, wish(leaves, None, false)).await;
    assert!(matches!(twice, Err(AppError::Conflict("transfer_open"))), "{twice:?}");
    let other = county.another_app().await;
    assert_eq!(other.resume_transfers().await.expect("the database is there"), 0, "it may still be at work");
    other.clock.advance(TimeDelta::seconds(11));
    // Two processes find it at the same moment; each order is handed on once.
    let third = county.telling_app(9, xingfuma_app::message::Outside::default()).await;
    third.clock.advance(TimeDelta::seconds(11));
    let (one, two) = tokio::join!(other.resume_transfers(), third.resume_transfers());
    one.expect("the database is there");
    two.expect("the database is there");
    for order in &held[..4] {
        let stored = county.order(*order).await;
        assert_eq!(stored.assignment().and_then(|to| to.volunteer), Some(takes.actor.person));
        let handed = county.records(*order).await;
        let times = handed.iter().filter(|record| record.by.hat == Hat::Sweep).count();
        assert_eq!(times, 1, "handed on once");
    }
    assert_eq!(county.number("SELECT count(*) FROM transfer WHERE ended_at IS NULL").await, 0);
}

async fn who_may_and_who_may_not(county: SmallCounty) {
    let people = &county.people;
    let volunteer = &people.volunteers[0];
    for nobody in [&people.resident, &people.foreign, &people.operator] {
        let refused = county.app.transfer_work(nobody, wish(volunteer, None, false)).await;
        assert!(matches!(refused, Err(AppError::NotFound)), "{refused:?}");
    }
    let refused = county.app.transfer_work(&people.volunteers[1], wish(volunteer, None, false)).await;
    assert!(matches!(refused, Err(AppError::Forbidden)), "{refused:?}");
    let refused = county.app.transfer_work(&people.leader, wish(&people.leader, None, false)).await;
    assert!(matches!(refused, Err(AppError::Forbidden)), "not his own: {refused:?}");
    let stranger = county.app.transfer_work(&people.village, wish(&people.resident, None, false)).await;
    assert!(matches!(stranger, Err(AppError::NotFound)), "no volunteer: {stranger:?}");
    let to = |to| county.app.transfer_work(&people.village, wish(volunteer, Some(to), false));
    for bad in [volunteer, &people.resident] {
        assert!(matches!(to(bad).await, Err(AppError::Invalid(_))));
    }
    let wordless = TransferRequest { reason: "  ".to_owned(), ..wish(volunteer, None, false) };
    let refused = county.app.transfer_work(&people.village, wordless).await;
    assert!(matches!(refused, Err(AppError::Invalid(_))), "{refused:?}");
}

/// Reinstated he keeps what he still holds, has one role of a volunteer, and does not lead.
async fn who_was_suspended_comes_back(county: SmallCounty) {
    let (people, leaves) = (&county.people, &county.people.volunteers[0]);
    let held = hold_some(&county, leaves).await;
    let reinstate = async |by: &Caller, whom: &Caller, why: &str| {
        county.app.reinstate_volunteer(by, whom.actor.person, why, &Once::silently(None)).await
    };
    let refused = reinstate(&people.village, leaves, "返乡").await;
    assert!(matches!(refused, Err(AppError::Conflict("not_suspended"))), "{refused:?}");
    // Whoever suspends him has not come to hand anything on.
    county.app.begin_transfer(&people.village, wish(leaves, None, true)).await.expect("the village may");
    for nobody in [&people.resident, &people.foreign, &people.operator] {
        let refused = reinstate(nobody, leaves, "返乡").await;
        assert!(matches!(refused, Err(AppError::NotFound)), "{refused:?}");
    }
    let refused = reinstate(&people.volunteers[1], leaves, "返乡").await;
    assert!(matches!(refused, Err(AppError::Forbidden)), "{refused:?}");
    let refused = reinstate(&people.leader, leaves, "  ").await;
    assert!(matches!(refused, Err(AppError::Invalid(_))), "{refused:?}");
    let stranger = reinstate(&people.village, &people.resident, "返乡").await;
    assert!(matches!(stranger, Err(AppError::NotFound)), "no volunteer: {stranger:?}");

    let back = reinstate(&people.leader, leaves, "返乡").await.expect("the team's leader may");
    assert_eq!(back.status, 204);
    let other = county.another_app().await;
    other.clock.advance(TimeDelta::seconds(11));
    assert_eq!(other.resume_transfers().await.expect("the database is there"), 0, "he stays");
    for order in &held[..4] {
        let holder = county.order(*order).await.assignment().and_then(|to| to.volunteer);
        assert_eq!(holder, Some(leaves.actor.person));
    }
    let roles = format!(
        "SELECT count(*) FROM role_grant WHERE revoked_at IS NULL AND role = 'volunteer' AND person_id = {}",
        literal(&county, leaves.actor.person)
    );
    assert_eq!(county.number(&roles).await, 1);
    // A leader who was suspended comes back as a volunteer.
    county.app.begin_transfer(&people.township, wish(&people.leader, None, true)).await.expect("it may");
    reinstate(&people.township, &people.leader, "返乡").await.expect("it may");
    let led = format!(
        "SELECT count(*) FROM team WHERE leader_id = {}",
        literal(&county, people.leader.actor.person)
    );
    assert_eq!(county.number(&led).await, 0);
    let leading = format!(
        "SELECT count(*) FROM role_grant WHERE revoked_at IS NULL AND role = 'grid_leader' AND person_id = {}",
        literal(&county, people.leader.actor.person)
    );
    assert_eq!(county.number(&leading).await, 0);
    // Of what nobody has looked at yet there is no decision; and that is another answer than that it is not there.
    let order = county.place("代买米").await;
    let undecided = county.app.decision(&people.village, order).await;
    assert!(matches!(undecided, Err(AppError::Conflict("not_decided"))), "{undecided:?}");
    let hidden = county.app.decision(&people.foreign, order).await;
    assert!(matches!(hidden, Err(AppError::NotFound)), "{hidden:?}");
}

fn literal(county: &SmallCounty, id: Uuid) -> String {
    match county.app.store.is_postgres() {
        true => format!("'{id}'"),
        false => format!("x'{}'", id.simple()),
    }
}

async fn run(county: &SmallCounty, sql: &str) {
    use xingfuma_store::ConnectionTrait as _;
    let pool = county.owner.pool();
    let statement = sea_orm::Statement::from_string(pool.get_database_backend(), sql);
    pool.execute_raw(statement).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}
