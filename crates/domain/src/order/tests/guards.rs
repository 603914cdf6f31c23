//! The guards, one by one.

use super::triples::{lives, told_overdue};
use super::*;

#[test]
fn reopen_within_seven_days_of_completion() {
    for story in [Story::new().completed(), Story::new().rated()] {
        let over = story.order.completion().unwrap().completed_at + WEEK;
        for hat in [Hat::Requester, Hat::Operator, Hat::Dispatcher] {
            assert_eq!(story.clone().at(over - MILLISECOND).act(hat, reopen()).map(|by| by.hat), Ok(hat));
            for late in [over, over + MILLISECOND] {
                let story = story.clone().at(late);
                assert_eq!(story.refusal(hat, reopen()), Refusal::TooLate { verb: Verb::Reopen });
                assert!(!story.allows(hat, Verb::Reopen));
            }
        }
    }
}

#[test]
fn reopen_at_most_twice_and_each_time_afresh() {
    let mut story = Story::new().then(Hat::Queue, no_team());
    assert_eq!(story.order.level, Level::Village);
    for time in 1..=REOPENINGS_AT_MOST {
        story = story.completed().then(Hat::Requester, Command::Show { post: POST });
        story = story.then(Hat::Requester, reopen());
        let order = &story.order;
        assert_eq!((order.status(), order.reopened, order.level), (Status::Placed, time, Level::Grid));
        assert!(order.asked.is_empty() && order.engagement().is_none());
        assert_eq!(order.asked_before, [TEAM]);
        let dispatch_by = story.now + TimeDelta::hours(2);
        assert_eq!(
            order.state,
            State::Placed { since: story.now, dispatch_by, stuck: None, clock_from: None }
        );
    }
    let story = story.completed();
    assert_eq!(story.refusal(Hat::Requester, reopen()), Refusal::ReopenedTooOften);
    assert!(!story.allows(Hat::Requester, Verb::Reopen));
}

#[test]
fn rate_once_per_completion() {
    let story = Story::new().rated();
    assert_eq!(story.order.rating().map(|rating| rating.stars), Some(5));
    let again = Refusal::Illegal { verb: Verb::Rate, status: Status::Rated };
    assert_eq!(story.refusal(Hat::Requester, rate(1)), again);
    assert_eq!(story.refusal(Hat::Operator, rate(1)), again);
    let story = story.then(Hat::Requester, reopen()).completed();
    assert_eq!(story.order.rating(), None);
    let story = story.then(Hat::Requester, rate(2));
    assert_eq!(story.order.rating().map(|rating| rating.stars), Some(2));
}

#[test]
fn rate_within_seven_days_of_completion() {
    let story = Story::new().completed();
    let over = story.order.completion().unwrap().completed_at + WEEK;
    assert!(story.clone().at(over - MILLISECOND).act(Hat::Requester, rate(5)).is_ok());
    let late = story.at(over);
    assert_eq!(late.refusal(Hat::Requester, rate(5)), Refusal::TooLate { verb: Verb::Rate });
    assert!(!late.allows(Hat::Requester, Verb::Rate));
}

#[test]
fn complete_needs_an_arrival_where_the_category_asks_for_it() {
    let story = Story::of(Placed { needs_arrival: true, ..wish(Urgency::Normal) }).promised();
    assert_eq!(story.refusal(Hat::Worker, complete(30)), Refusal::ArrivalRequired);
    assert!(!story.allows(Hat::Worker, Verb::Complete) && story.allows(Hat::Worker, Verb::Arrive));
    let answered = story.clone().then(Hat::Worker, ask()).then(Hat::Requester, answer());
    assert_eq!(answered.refusal(Hat::Worker, complete(30)), Refusal::ArrivalRequired);
    let there = story.then(Hat::Worker, arrive());
    let arrived_at = there.now;
    let done = there.then(Hat::Worker, ask()).then(Hat::Requester, answer()).then(Hat::Worker, complete(30));
    assert_eq!(done.promise().arrived_at, Some(arrived_at));
    assert_eq!(done.status(), Status::Completed);
    assert_eq!(Story::new().completed().promise().arrived_at, None);
}

#[test]
fn nobody_serves_his_own_order() {
    let mut story = Story::new().offered();
    assert_eq!(
        story.by(Some(RESIDENT), &[Hat::Requester, Hat::Offered], Command::Accept),
        Err(Refusal::OwnOrder)
    );
    let both = Hats::of(&[Hat::Requester, Hat::Offered]);
    assert!(!allowed_actions(&story.order, both, RESIDENT, &story.context()).contains(&Verb::Accept));
    assert_eq!(story.refusal(Hat::Dispatcher, offer(to_named(RESIDENT))), Refusal::OwnOrder);
    let promised = Story::new().promised();
    for hat in [Hat::Worker, Hat::Leader, Hat::Dispatcher] {
        assert_eq!(promised.refusal(hat, hand_over(to_named(RESIDENT))), Refusal::OwnOrder);
    }
}

#[test]
fn hand_over_names_somebody_else() {
    let nobody = Refusal::OutOfRange { field: "volunteerId" };
    for story in [Story::new().promised(), Story::new().arrived()] {
        for hat in [Hat::Worker, Hat::Leader, Hat::Dispatcher] {
            assert_eq!(story.refusal(hat, hand_over(to_named(WORKER))), nobody);
            assert_eq!(story.refusal(hat, hand_over(TO_TEAM)), nobody);
            let handed = story.clone().then(hat, hand_over(to_named(TEAMMATE)));
            assert_eq!(handed.open_offer().to, to_named(TEAMMATE));
        }
    }
}

#[test]
fn a_named_offer_is_for_the_named_alone() {
    let story = Story::new().then(Hat::Dispatcher, offer(to_named(TEAMMATE)));
    let taken = Refusal::Taken { status: Status::Dispatched };
    assert_eq!(story.refusal(Hat::Offered, Command::Accept), taken);
    assert_eq!(story.refusal(Hat::Offered, decline(None, false, true)), Refusal::NotYours);
    assert!(!story.allows(Hat::Offered, Verb::Accept) && !story.allows(Hat::Offered, Verb::Decline));
    let mut of_leader = story.clone();
    assert_eq!(of_leader.by(Some(LEADER), &[Hat::Leader, Hat::Offered], Command::Accept), Err(taken));
    assert!(may_take(story.open_offer(), TEAMMATE) && !may_take(story.open_offer(), WORKER));
    let accepted = story.then_by(TEAMMATE, Hat::Offered, Command::Accept);
    assert_eq!((accepted.promise().team, accepted.promise().volunteer), (TEAM, TEAMMATE));
}

#[test]
fn exactly_one_wins() {
    let mut story = Story::new().promised();
    let second = story.by(Some(TEAMMATE), &[Hat::Offered], Command::Accept);
    assert_eq!(second, Err(Refusal::Taken { status: Status::Accepted }));
    assert_eq!(story.promise().volunteer, WORKER);
}

#[test]
fn decline_is_free_before_accepting_and_takes_a_reason_after() {
    let free = Story::new().offered().then(Hat::Offered, decline(None, false, false));
    assert_eq!(free.status(), Status::Placed);
    let promised = Story::new().promised();
    assert_eq!(promised.refusal(Hat::Worker, decline(None, false, false)), Refusal::ReasonRequired);
    let back = promised.then(Hat::Worker, decline(Some("生病"), false, true));
    let dispatch_by = back.now + TimeDelta::hours(2);
    assert_eq!(
        back.order.state,
        State::Placed { since: back.now, dispatch_by, stuck: None, clock_from: None }
    );
    assert_eq!(back.order.asked, [TEAM], "the team is not asked again");
    assert_eq!(Story::new().arrived().refusal(Hat::Worker, decline(Some("生病"), false, true)), {
        Refusal::Illegal { verb: Verb::Decline, status: Status::InService }
    });
}

#[test]
fn a_declined_offer_stands_for_the_others() {
    let story = Story::new().offered();
    let before = story.open_offer().clone();
    let story = story.then(Hat::Offered, decline(None, false, true));
    assert_eq!(*story.open_offer(), Offer { declined: vec![WORKER], ..before });
    assert_eq!(story.order.epoch, 1);
    assert!(!may_take(story.open_offer(), WORKER) && may_take(story.open_offer(), TEAMMATE));
    assert_eq!(story.refusal(Hat::Offered, decline(None, false, true)), Refusal::AlreadyDeclined);
    assert!(!story.allows(Hat::Offered, Verb::Decline));
    let last = story.then_by(TEAMMATE, Hat::Offered, decline(None, false, false));
    assert_eq!((last.status(), last.order.epoch), (Status::Placed, 1));
}

#[test]
fn a_declined_named_offer_stands_for_nobody() {
    let story = Story::new().then(Hat::Dispatcher, offer(to_named(WORKER)));
    assert_eq!(story.then(Hat::Offered, decline(None, false, true)).status(), Status::Placed);
}

#[test]
fn a_leader_declines_for_his_team_or_for_himself() {
    let hats = [Hat::Leader, Hat::Offered];
    let mut for_team = Story::new().offered();
    let by = for_team.by(Some(LEADER), &hats, decline(None, true, true)).unwrap();
    assert_eq!((by.hat, for_team.status()), (Hat::Leader, Status::Placed));
    let mut for_himself = Story::new().offered();
    let by = for_himself.by(Some(LEADER), &hats, decline(None, false, true)).unwrap();
    assert_eq!((by.hat, for_himself.open_offer().declined.as_slice()), (Hat::Offered, [LEADER].as_slice()));
    let member = Story::new().offered().then(Hat::Offered, decline(None, true, true));
    assert_eq!(member.open_offer().declined, [WORKER], "a member speaks for himself alone, whatever he says");
}

#[test]
fn the_completion_clock_runs_on_when_handed_over() {
    let story = Story::new().offered().at(china("2026-03-04 11:59")).then(Hat::Offered, Command::Accept);
    let due = china("2026-03-09 12:00"); // three working days from Wednesday noon
    assert_eq!(story.promise().complete_by, due);
    let story = story.at(china("2026-03-06 09:00")).then(Hat::Worker, hand_over(to_named(TEAMMATE)));
    assert_eq!((story.order.epoch, story.open_offer().complete_by), (2, Some(due)));
    let story = story.then_by(TEAMMATE, Hat::Offered, Command::Accept);
    assert_eq!((story.promise().complete_by, story.promise().accepted_at), (due, story.now));
    let fresh = story.then(Hat::Dispatcher, offer(TO_NEXT_TEAM));
    assert_eq!(fresh.open_offer().complete_by, None, "a promise that was overruled is over, clock and all");
}

/// A breach is told once, whoever holds the promise by then.
#[test]
fn a_breach_is_told_once_across_a_hand_over() {
    let told = told_overdue(Story::new().promised()).then(Hat::Leader, hand_over(to_named(TEAMMATE)));
    let told = told.then_by(TEAMMATE, Hat::Offered, Command::Accept);
    assert_eq!(told.order.next_due(), Some(Due { kind: DueKind::CompleteOverdue, wake_at: None }));
    let promised = Story::new().promised();
    let due = promised.promise().complete_by;
    let untold = promised.at(due - TimeDelta::minutes(5)).then(Hat::Leader, hand_over(to_named(TEAMMATE)));
    let untold = untold.at(due).then_by(TEAMMATE, Hat::Offered, Command::Accept);
    assert_eq!(untold.order.due_at(due), Some(DueKind::CompleteOverdue));
}

#[test]
fn an_urgent_orders_clocks_stand_still_for_exactly_the_pause() {
    let story = Story::of(wish(Urgency::Urgent)).offered();
    let story = story.at(china("2026-03-06 19:59")).then(Hat::Offered, Command::Accept);
    let (arrive_by, complete_by) = (china("2026-03-06 22:00"), china("2026-03-07 20:00"));
    assert_eq!((story.promise().arrive_by, story.promise().complete_by), (Some(arrive_by), complete_by));
    let story = story.then(Hat::Worker, ask());
    let pause = TimeDelta::milliseconds(2 * 86_400_000 + 7_531_123); // over a weekend, into the night
    let mut story = story.after(pause);
    story.act(Hat::Requester, answer()).unwrap();
    assert_eq!(story.promise().arrive_by, Some(arrive_by + pause));
    assert_eq!(story.promise().complete_by, complete_by + pause);
}

#[test]
fn other_clocks_stand_still_in_working_time_and_never_end_at_night() {
    let story = Story::new().offered().at(china("2026-03-04 11:59")).then(Hat::Offered, Command::Accept);
    let asked = story.at(china("2026-03-05 11:59")).then(Hat::Dispatcher, ask());
    let due_after = |answered: &str| {
        let mut story = asked.clone().at(china(answered));
        story.act(Hat::Operator, answer()).unwrap();
        story.promise().complete_by
    };
    // Two of the three working days are left, whenever the answer comes.
    assert_eq!(due_after("2026-03-05 12:00"), china("2026-03-09 12:00"));
    assert_eq!(due_after("2026-03-06 12:00"), china("2026-03-10 12:00"));
    assert_eq!(due_after("2026-03-09 12:00"), china("2026-03-11 12:00"));
    assert_eq!(due_after("2026-03-07 15:00"), china("2026-03-11 07:00"), "Saturday is no working time");
    assert_eq!(due_after("2026-03-09 22:30"), china("2026-03-12 07:00"), "not at night");
}

#[test]
fn a_deadline_that_had_passed_stays_passed() {
    let story = Story::new().promised();
    let due = story.promise().complete_by;
    let story =
        story.at(due).then(Hat::Worker, ask()).after(TimeDelta::days(1)).then(Hat::Requester, answer());
    assert_eq!(story.promise().complete_by, due);
    assert!(!story.then(Hat::Worker, complete(60)).order.completion().unwrap().on_time);
}

#[test]
fn without_an_answer_work_goes_on_after_seven_days() {
    for (story, before) in
        [(Story::new().promised(), Status::Accepted), (Story::new().arrived(), Status::InService)]
    {
        let story = story.then(Hat::Worker, ask());
        let until = story.now + WEEK;
        assert_eq!(story.order.next_due(), Some(Due { kind: DueKind::AnswerOverdue, wake_at: Some(until) }));
        let mut story = story.at(until);
        assert_eq!(story.act(Hat::Sweep, Command::Answer { answer: None }), Ok(By::SWEEP));
        assert_eq!(story.status(), before);
        assert!(story.promise().complete_by > until);
    }
}

#[test]
fn who_cancels_says_why_once_somebody_counts_on_it() {
    let waiting = Story::new().arrived().then(Hat::Worker, ask());
    let engaged = [Story::new().promised(), Story::new().arrived(), waiting];
    for story in [Story::new(), Story::new().offered()] {
        assert_eq!(story.refusal(Hat::Dispatcher, cancel(None)), Refusal::ReasonRequired);
        let released = story.order.assignment();
        let gone = story.then(Hat::Requester, cancel(None));
        assert_eq!(gone.order.state, State::Cancelled { cancelled_at: gone.now, reason: None, released });
    }
    for story in engaged {
        for hat in [Hat::Requester, Hat::Dispatcher] {
            assert_eq!(story.refusal(hat, cancel(None)), Refusal::ReasonRequired);
            let gone = story.clone().then(hat, cancel(Some("不用了")));
            assert_eq!(gone.order.assignment(), Some(to_named(WORKER)), "who is told that he is released");
        }
    }
}

#[test]
fn escalation_climbs_to_the_county_and_no_higher() {
    let placed = Placed { area: "140724104003001002".parse().unwrap(), ..wish(Urgency::Normal) };
    for hat in [Hat::Leader, Hat::Dispatcher] {
        let mut story = Story::of(placed.clone());
        for level in [Level::Grid, Level::Village, Level::Township, Level::County] {
            story = story.then(hat, escalate());
            assert_eq!((story.order.level, story.status()), (level, Status::Placed));
            let State::Placed { dispatch_by, .. } = story.order.state else { panic!("it is still placed") };
            assert_eq!(dispatch_by, story.now + TimeDelta::hours(2), "each level gets its own time");
        }
        assert_eq!(story.refusal(hat, escalate()), Refusal::TopLevel);
        assert!(!story.allows(hat, Verb::Escalate));
    }
}

fn at_the_county(mut story: Story) -> Story {
    while story.order.level != Level::County {
        story = story.then(Hat::Dispatcher, escalate());
    }
    story
}

#[test]
fn an_overdue_promise_is_told_once_at_the_county_too() {
    for story in [at_the_county(Story::new().promised()), at_the_county(Story::new().arrived())] {
        let (status, due) = (story.status(), story.promise().complete_by);
        assert_eq!(story.clone().at(due - MILLISECOND).refusal(Hat::Sweep, escalate()), Refusal::TopLevel);
        let mut story = story.at(due);
        for hat in [Hat::Leader, Hat::Dispatcher] {
            assert_eq!(story.refusal(hat, escalate()), Refusal::TopLevel);
        }
        assert_eq!(story.order.due_at(due), Some(DueKind::CompleteOverdue));
        assert_eq!(story.act(Hat::Sweep, escalate()), Ok(By::SWEEP));
        assert_eq!((story.order.level, story.status()), (Level::County, status));
        assert_eq!(story.order.next_due(), Some(Due { kind: DueKind::CompleteOverdue, wake_at: None }));
        assert_eq!(story.refusal(Hat::Sweep, escalate()), Refusal::TopLevel);
    }
    for story in [at_the_county(Story::new()), at_the_county(Story::new().offered())] {
        assert_eq!(
            story.after(WEEK).refusal(Hat::Sweep, escalate()),
            Refusal::TopLevel,
            "nothing is promised"
        );
    }
}

#[test]
fn urge_every_thirty_minutes() {
    let story = Story::new().then(Hat::Requester, Command::Urge);
    let retry_at = story.now + TimeDelta::minutes(30);
    for hat in [Hat::Requester, Hat::Operator] {
        let early = story.clone().at(retry_at - MILLISECOND);
        assert_eq!(early.refusal(hat, Command::Urge), Refusal::TooSoon { retry_at });
        assert!(!early.allows(hat, Verb::Urge));
        assert!(story.clone().at(retry_at).act(hat, Command::Urge).is_ok());
    }
    let reopened = story.completed().then(Hat::Requester, reopen());
    assert!(reopened.allows(Hat::Requester, Verb::Urge), "reopened, it may be urged at once");
}

#[test]
fn close_after_seven_days_and_not_before() {
    for story in [Story::new().completed(), Story::new().rated()] {
        let status = story.status();
        let over = story.order.completion().unwrap().completed_at + WEEK;
        assert_eq!(story.order.next_due(), Some(Due { kind: DueKind::Close, wake_at: Some(over) }));
        let early = story.clone().at(over - MILLISECOND);
        assert_eq!(early.refusal(Hat::Sweep, Command::Close), Refusal::Illegal { verb: Verb::Close, status });
        let rating = story.order.rating().cloned();
        let mut story = story.at(over);
        story.act(Hat::Sweep, Command::Close).unwrap();
        assert_eq!((story.status(), story.order.rating()), (Status::Closed, rating.as_ref()));
        assert_eq!(story.order.next_due(), None);
    }
}

#[test]
fn only_a_dispatcher_overrules_a_promise_and_says_why() {
    let story = Story::new().promised();
    let without = Command::Dispatch { to: TO_NEXT_TEAM, reason: None };
    assert_eq!(story.refusal(Hat::Dispatcher, without.clone()), Refusal::ReasonRequired);
    for hat in [Hat::Queue, Hat::Sweep] {
        assert_eq!(story.refusal(hat, offer(TO_NEXT_TEAM)), Refusal::NotYours);
        assert!(Story::new().act(hat, without.clone()).is_ok(), "the policy's reasons are stored elsewhere");
    }
    let there = Refusal::Illegal { verb: Verb::Dispatch, status: Status::InService };
    assert_eq!(Story::new().arrived().refusal(Hat::Dispatcher, offer(TO_NEXT_TEAM)), there);
    let story = story.then(Hat::Dispatcher, offer(TO_NEXT_TEAM));
    assert_eq!((story.open_offer().to, story.order.epoch), (TO_NEXT_TEAM, 2));
    assert_eq!(story.order.asked, [TEAM, NEXT_TEAM]);
}

#[test]
fn the_epoch_counts_dispatches_and_nothing_else() {
    let epochs = |story: &Story| story.order.epoch;
    let story = Story::new();
    assert_eq!(epochs(&story), 0);
    let story = story.offered();
    assert_eq!(epochs(&story), 1);
    let story = story.then(Hat::Sweep, offer(TO_NEXT_TEAM));
    assert_eq!(epochs(&story), 2);
    let story = story.then(Hat::Sweep, no_team()).then(Hat::Dispatcher, offer(to_named(WORKER)));
    assert_eq!(epochs(&story), 3);
    let story = story.then(Hat::Offered, Command::Accept).then(Hat::Worker, hand_over(to_named(TEAMMATE)));
    assert_eq!(epochs(&story), 4);
    let story = story.then_by(TEAMMATE, Hat::Offered, Command::Accept).then(Hat::Dispatcher, offer(TO_TEAM));
    assert_eq!(epochs(&story), 5);
    let story = story.then(Hat::Offered, Command::Accept).then(Hat::Worker, complete(5));
    assert_eq!(epochs(&story.then(Hat::Requester, reopen())), 5);
}

#[test]
fn numbers_stay_in_their_ranges() {
    let story = Story::new().promised();
    for minutes in [i64::MIN, -1, 0, MINUTES_AT_MOST + 1, i64::MAX] {
        assert_eq!(story.refusal(Hat::Worker, complete(minutes)), Refusal::OutOfRange { field: "minutes" });
    }
    for minutes in [1, MINUTES_AT_MOST] {
        let done = story.clone().then(Hat::Worker, complete(minutes));
        assert_eq!(done.order.completion().unwrap().minutes, minutes);
    }
    let story = Story::new().completed();
    for stars in [0, 6, u8::MAX] {
        assert_eq!(story.refusal(Hat::Requester, rate(stars)), Refusal::OutOfRange { field: "stars" });
    }
    for stars in 1..=5 {
        let rated = story.clone().then(Hat::Requester, rate(stars));
        assert_eq!(rated.order.rating().unwrap().stars, stars);
    }
}

#[test]
fn on_time_is_up_to_the_last_moment() {
    let story = Story::new().promised();
    let due = story.promise().complete_by;
    for (at, on_time) in [(due - MILLISECOND, true), (due, true), (due + MILLISECOND, false)] {
        let mut story = story.clone().at(at);
        story.act(Hat::Worker, complete(60)).unwrap();
        assert_eq!(
            story.order.completion().map(|done| (done.completed_at, done.on_time)),
            Some((at, on_time))
        );
    }
}

#[test]
fn without_a_team_it_goes_up_a_level_and_stands_with_the_reason() {
    let mut story = Story::new();
    for level in [Level::Village, Level::Township, Level::County] {
        story = story.then(Hat::Queue, no_team());
        let dispatch_by = story.now + TimeDelta::hours(2);
        let stuck = Some(words("没有可派的队伍"));
        assert_eq!(
            story.order.state,
            State::Placed { since: story.now, dispatch_by, stuck, clock_from: None }
        );
        assert_eq!((story.order.level, story.order.epoch), (level, 0));
        let warning = story.order.next_due().unwrap();
        assert_eq!(warning.kind, DueKind::Warn);
        assert!(warning.wake_at < Some(dispatch_by));
        // The county has nobody above it: it is told, and then it waits for people.
        let at_its_end = if level == Level::County { DueKind::Overdue } else { DueKind::DispatchOverdue };
        assert_eq!(story.order.due_at(dispatch_by), Some(at_its_end));
    }
    let story = story.then(Hat::Queue, no_team());
    assert_eq!(story.order.level, Level::County, "there is nothing above");
    assert_eq!(story.refusal(Hat::Dispatcher, no_team()), Refusal::NotYours);
    assert_eq!(story.then(Hat::Dispatcher, offer(TO_TEAM)).status(), Status::Dispatched);
    let expired = Story::new().offered().then(Hat::Sweep, no_team());
    assert_eq!((expired.status(), expired.order.level), (Status::Placed, Level::Village));
}

#[test]
fn an_offer_and_a_promise_have_the_limits_of_their_urgency() {
    let clocks = |urgency| {
        let offered = Story::of(wish(urgency)).offered(); // Wednesday 10:01
        let accept_by = offered.open_offer().accept_by;
        let promise = offered.then(Hat::Offered, Command::Accept).promise().clone(); // Wednesday 10:02
        (accept_by, promise.arrive_by, promise.complete_by)
    };
    let urgent = (china("2026-03-04 10:16"), Some(china("2026-03-04 12:02")), china("2026-03-05 10:02"));
    assert_eq!(clocks(Urgency::Urgent), urgent);
    assert_eq!(clocks(Urgency::Priority), (china("2026-03-04 12:01"), None, china("2026-03-05 10:02")));
    assert_eq!(clocks(Urgency::Normal), (china("2026-03-05 10:01"), None, china("2026-03-09 10:02")));
    assert_eq!(clocks(Urgency::Complex), (china("2026-03-05 10:01"), None, china("2026-03-13 10:02")));
}

#[test]
fn the_step_is_the_last_one_done() {
    let steps = [
        (Status::Placed, "点"),
        (Status::Dispatched, "派"),
        (Status::Accepted, "接"),
        (Status::InService, "接"),
        (Status::Waiting, "接"),
        (Status::Completed, "接"),
        (Status::Rated, "评"),
        (Status::Closed, "评"),
        (Status::Merged, "点"),
    ];
    for (status, step) in steps {
        for story in lives(status) {
            assert_eq!(serde_json::to_value(story.order.step()).unwrap(), step, "{status:?}");
        }
    }
    let cancelled: Vec<Step> = lives(Status::Cancelled).iter().map(|story| story.order.step()).collect();
    assert_eq!(cancelled, [Step::Place, Step::Dispatch, Step::Accept], "as far as it had come");
    let shown = Story::new().rated().then(Hat::Dispatcher, Command::Show { post: POST });
    assert_eq!(shown.order.step(), Step::Show);
    assert_eq!(shown.then(Hat::Requester, Command::Unshow { post: POST }).order.step(), Step::Rate);
}

#[test]
fn a_life_begins_with_placed() {
    assert_eq!(Order::fold(ORDER, &[]), None);
    let records = Story::new().offered().records;
    assert_eq!(Order::fold(ORDER, &records[1..]), None);
}
