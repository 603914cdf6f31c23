//! What stands beside the five steps: merging, extension, revisits, departments, corrective notices; and the clocks.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::triples::lives;
use super::*;
use crate::deadline::{self, Pace};

fn complex() -> Story {
    Story::of(wish(Urgency::Complex))
}

fn report() -> Story {
    Story::of(Placed { kind: Kind::Report, ..wish(Urgency::Normal) })
}

fn told_of(story: &Story) -> Vec<(&'static str, Stage, DateTime<Utc>)> {
    let telling = story.records.iter().filter_map(|record| match &record.event {
        Event::Warned { clock } => Some(("warned", clock.stage, record.at)),
        Event::Overdue { clock } => Some(("overdue", clock.stage, record.at)),
        _ => None,
    });
    telling.collect()
}

/// Lets time pass until then, the sweep doing what is due at its moment; nobody takes offers.
fn sweep_until(mut story: Story, until: DateTime<Utc>) -> Story {
    while let Some(Due { wake_at: Some(wake_at), .. }) = story.order.next_due() {
        if wake_at > until {
            break;
        }
        story = story.at(wake_at);
        let command = match story.order.due_at(wake_at).expect("something is due") {
            DueKind::Dispatch | DueKind::AcceptOverdue => no_team(),
            DueKind::DispatchOverdue | DueKind::CompleteOverdue => escalate(),
            DueKind::AnswerOverdue => Command::Answer { answer: None },
            DueKind::Close => Command::Close,
            DueKind::Warn | DueKind::Overdue => Command::Warn,
        };
        story.act(Hat::Sweep, command).expect("what is due can be done");
    }
    story.at(until)
}

#[test]
fn a_merged_order_waits_for_nothing_and_is_done_with_its_parent() {
    let follower = Story::new().offered().then(Hat::Dispatcher, merge());
    assert_eq!(follower.order.next_due(), None);
    assert_eq!(follower.order.assignment(), Some(TO_TEAM), "who is told that it is not theirs any more");
    let Event::Completed { completion } = done_elsewhere() else { unreachable!() };
    let done = follower.after(TimeDelta::days(1)).then(Hat::Sweep, follow(done_elsewhere()));
    assert_eq!(done.order.completion(), Some(&completion), "the same work, by the same person");
    assert_eq!(done.order.merged_into, Some(PARENT));
    let close = Due { kind: DueKind::Close, wake_at: Some(completion.completed_at + WEEK) };
    assert_eq!(done.order.next_due(), Some(close), "it closes when its parent does");
    assert!(done.allows(Hat::Requester, Verb::Rate) && done.allows(Hat::Requester, Verb::Reopen));
    let reopened = done.then(Hat::Requester, reopen());
    assert_eq!(
        (reopened.status(), reopened.order.merged_into),
        (Status::Placed, None),
        "it is on its own now"
    );
}

#[test]
fn who_followed_an_order_that_is_called_off_is_placed_again() {
    let follower = Story::new().then(Hat::Dispatcher, merge()).after(TimeDelta::hours(5));
    let parted = follower.then(Hat::Sweep, follow(Event::Cancelled { reason: None }));
    let State::Placed { since, dispatch_by, stuck: None, .. } = parted.order.state else { panic!("placed") };
    assert_eq!((since, dispatch_by), (parted.now, parted.now + TimeDelta::hours(2)), "with a fresh clock");
    assert_eq!(parted.order.next_due().map(|due| due.kind), Some(DueKind::Dispatch));
}

#[test]
fn who_follows_follows_an_open_order_that_follows_nobody() {
    let cannot = |parent: Order, expected: Refusal| {
        let command = Command::Merge { parent: Box::new(parent) };
        assert_eq!(Story::new().refusal(Hat::Dispatcher, command), expected);
    };
    cannot(Story::new().order, Refusal::OutOfRange { field: "into" });
    for status in [Status::Completed, Status::Rated, Status::Closed, Status::Cancelled, Status::Merged] {
        for story in lives(status) {
            cannot(Order { id: PARENT, ..story.order }, Refusal::CannotLead { status });
        }
    }
    let mut crowded = parent();
    let follower = Follower { order: ORDER, requester: RESIDENT };
    crowded.followers = vec![follower; FOLLOWERS_AT_MOST];
    cannot(crowded, Refusal::CannotLead { status: Status::Dispatched });
    let leading = Story::new().then(Hat::Dispatcher, Command::Lead { order: NOTICE, requester: RESIDENT });
    assert_eq!(leading.refusal(Hat::Dispatcher, merge()), Refusal::LeadsOthers);
    assert!(!leading.allows(Hat::Dispatcher, Verb::Merge));
}

#[test]
fn a_complex_order_is_extended_once_by_seven_days() {
    let story = complex().promised();
    let due = story.promise().complete_by;
    let story = story.then(Hat::Dispatcher, extend());
    let later = deadline::add(
        due,
        deadline::Limit::new(7 * 86_400, Pace::Working),
        Calendar::china(),
        &QuietHours::default(),
    );
    assert_eq!(
        (story.promise().complete_by, later > due + TimeDelta::days(7)),
        (later, true),
        "working days"
    );
    assert_eq!(story.refusal(Hat::Leader, extend()), Refusal::AlreadyExtended);
    let handed = story.clone().then(Hat::Leader, hand_over(to_named(TEAMMATE)));
    let handed = handed.then_by(TEAMMATE, Hat::Offered, Command::Accept);
    assert_eq!(handed.promise().complete_by, later, "a hand-over keeps it");
    assert_eq!(handed.refusal(Hat::Leader, extend()), Refusal::AlreadyExtended, "and does not give another");
    let again = story.then(Hat::Worker, complete(60)).then(Hat::Requester, reopen());
    assert!(again.promised().allows(Hat::Leader, Verb::Extend), "reopened, it begins afresh");
    let late = complex().promised();
    let due = late.promise().complete_by;
    assert_eq!(late.at(due).refusal(Hat::Leader, extend()), Refusal::TooLate { verb: Verb::Extend });
    assert_eq!(Story::new().promised().refusal(Hat::Leader, extend()), Refusal::NotExtendable);
}

#[test]
fn a_poor_rating_opens_a_revisit() {
    let rated = |stars, solved| {
        let tags = Vec::new();
        Story::new().completed().then(Hat::Requester, Command::Rate { stars, solved, tags, comment: None })
    };
    for (stars, solved, owed) in [(1, true, true), (2, true, true), (3, true, false), (5, false, true)] {
        let story = rated(stars, solved);
        assert_eq!(story.order.revisit.is_some(), owed, "{stars} {solved}");
        assert_eq!(story.allows(Hat::Township, Verb::Revisit), owed);
        assert!(!story.allows(Hat::Dispatcher, Verb::Revisit), "the village does not ask about its own work");
    }
    // Rated on Wednesday at 10:04: two working days.
    let story = rated(1, true);
    assert_eq!(story.order.revisit.as_ref().unwrap().revisit_by, china("2026-03-06 10:04"));
    let done = story.clone().then(Hat::Township, revisit());
    let revisit_of = done.order.revisit.as_ref().unwrap();
    assert_eq!((revisit_of.outcome, revisit_of.recorded_at), (Some(Outcome::Solved), Some(done.now)));
    assert_eq!(done.refusal(Hat::Township, revisit()), Refusal::NothingToRevisit, "once");
    let close = done.order.completion().unwrap().completed_at + WEEK;
    assert_eq!(done.order.next_due(), Some(Due { kind: DueKind::Close, wake_at: Some(close) }));
    let swept = sweep_until(story.clone(), china("2026-03-10 10:00"));
    let told = [
        ("warned", Stage::Revisit, china("2026-03-05 22:04")),
        ("overdue", Stage::Revisit, china("2026-03-06 10:04")),
    ];
    assert_eq!(told_of(&swept), told);
    let closed = sweep_until(story, china("2026-03-20 10:00"));
    assert_eq!(closed.status(), Status::Closed);
    assert!(closed.allows(Hat::Township, Verb::Revisit), "late is better than never");
    assert_eq!(rated(1, true).then(Hat::Requester, reopen()).order.revisit, None, "the work goes on instead");
}

#[test]
fn departments_are_called_timed_and_rated() {
    let both = |first: Uuid, second: Uuid| Command::Whistle {
        calls: vec![(CALL, first), (NEXT_CALL, second)],
        demand: words("请派人到场"),
    };
    let story = Story::new().promised().at(china("2026-03-04 11:00"));
    let twice = Refusal::OutOfRange { field: "departmentIds" };
    assert_eq!(story.refusal(Hat::Dispatcher, both(DEPARTMENT, DEPARTMENT)), twice);
    assert_eq!(story.refusal(Hat::Dispatcher, Command::Whistle { calls: vec![], demand: words("x") }), twice);
    let mut story = story;
    story.act(Hat::Dispatcher, both(DEPARTMENT, NEXT_DEPARTMENT)).unwrap();
    assert_eq!(story.refusal(Hat::Dispatcher, whistle()), Refusal::AlreadyWhistled);
    let [called, other] = story.order.whistles.as_slice() else { panic!("two") };
    assert_eq!(
        (called.check_in_by, called.conclude_by),
        (china("2026-03-05 11:00"), china("2026-03-09 11:00"))
    );
    assert_eq!(called.check_in_by, other.check_in_by);
    let result = || Command::Conclude { whistle: CALL, result: words("已处理") };
    let rating = || Command::RateWhistle { whistle: CALL, stars: 4, comment: None };
    assert_eq!(story.refusal(Hat::Department, result()), Refusal::CheckInRequired);
    assert_eq!(story.refusal(Hat::Dispatcher, rating()), Refusal::NothingConcluded);
    let story = story.then(Hat::Department, Command::CheckIn { whistle: CALL });
    assert_eq!(story.order.whistles[0].checked_in_on_time(), Some(true));
    assert_eq!(story.order.whistles[1].checked_in_on_time(), None, "each has its own clock");
    let again = Command::CheckIn { whistle: CALL };
    assert_eq!(story.refusal(Hat::Department, again), Refusal::WhistleAnswered);
    // The other one never comes: warned at three quarters, told at the end, once each.
    let story = sweep_until(story, china("2026-03-05 12:00"));
    let told = [
        ("warned", Stage::CheckIn, china("2026-03-05 05:00")),
        ("overdue", Stage::CheckIn, china("2026-03-05 11:00")),
    ];
    assert_eq!(told_of(&story), told);
    let story = story.then(Hat::Department, result());
    let mut stranger = story.clone();
    let refused = stranger.by(Some(OPERATOR), &[Hat::Dispatcher], rating());
    assert_eq!(refused, Err(Refusal::NotYours), "whoever called");
    let story = story.then(Hat::Dispatcher, rating());
    assert_eq!(story.order.whistles[0].rating.as_ref().map(|rating| rating.stars), Some(4));
    assert_eq!(story.refusal(Hat::Dispatcher, rating()), Refusal::WhistleAnswered);
    assert!(story.then(Hat::Dispatcher, whistle()).order.whistles.len() == 3, "it may be called again");
}

#[test]
fn what_a_notice_demands_is_looked_at_before_the_order_is_done() {
    assert_eq!(Story::new().promised().refusal(Hat::Worker, correct(7)), Refusal::NotAReport);
    let story = report().promised();
    for days in [i64::MIN, 0, TERM_DAYS_AT_MOST + 1] {
        assert_eq!(story.refusal(Hat::Worker, correct(days)), Refusal::OutOfRange { field: "termDays" });
    }
    let story = story.then(Hat::Worker, correct(7)); // Wednesday 10:03
    assert_eq!(story.order.corrections[0].due_by, china("2026-03-13 10:03"));
    assert_eq!(story.promise().complete_by, china("2026-03-16 10:03"), "nobody is late for the term");
    assert_eq!(story.refusal(Hat::Worker, complete(60)), Refusal::CorrectionOpen);
    assert!(!story.allows(Hat::Worker, Verb::Complete));
    let story = sweep_until(story, china("2026-03-13 12:00"));
    assert_eq!(told_of(&story).last(), Some(&("overdue", Stage::Correct, china("2026-03-13 10:03"))));
    let without =
        Command::Inspect { id: NOTICE, passed: false, findings: words("未整改"), term_days: None };
    assert_eq!(story.refusal(Hat::Worker, without), Refusal::OutOfRange { field: "termDays" });
    let story = story.then(Hat::Dispatcher, inspect(false)); // Friday 12:01
    assert_eq!(story.order.corrections[0].due_by, china("2026-03-18 12:01"), "three days more");
    assert_eq!(story.promise().complete_by, china("2026-03-19 12:01"));
    let story = story.then(Hat::Department, inspect(true));
    assert!(story.order.corrections[0].is_settled());
    assert_eq!(story.refusal(Hat::Worker, inspect(true)), Refusal::CorrectionSettled);
    assert_eq!(story.then(Hat::Worker, complete(60)).status(), Status::Completed);
}

#[test]
fn those_who_were_told_of_an_offer_are_reminded_once() {
    let invite = Command::Invite { to: TO_TEAM, invited: vec![WORKER, TEAMMATE], patience_seconds: 1_200 };
    let story = Story::new().then(Hat::Queue, invite); // Wednesday 10:01
    let story = story.then(Hat::Offered, decline(None, false, true));
    assert_eq!(story.open_offer().unanswered().collect::<Vec<_>>(), [TEAMMATE]);
    let remind = Due { kind: DueKind::Warn, wake_at: Some(china("2026-03-04 10:16")) };
    assert_eq!(story.order.next_due(), Some(remind));
    let story = story.at(china("2026-03-04 10:16"));
    let mut story = story;
    story.act(Hat::Sweep, Command::Warn).unwrap();
    assert_eq!(told_of(&story), [("warned", Stage::Accept, china("2026-03-04 10:16"))]);
    let others = Due { kind: DueKind::AcceptOverdue, wake_at: Some(china("2026-03-04 10:21")) };
    assert_eq!(story.order.next_due(), Some(others), "then others are asked");
}

#[test]
fn nobody_is_reminded_at_night_of_what_can_wait() {
    let invite = || Command::Invite { to: TO_TEAM, invited: vec![WORKER], patience_seconds: 1_200 };
    let late = |urgency| {
        let mut story = Story::of(wish(urgency)).at(china("2026-03-04 20:50"));
        story.act(Hat::Queue, invite()).unwrap();
        story.order.next_due().unwrap()
    };
    let normal = late(Urgency::Normal);
    assert!(
        normal.kind == DueKind::AcceptOverdue || normal.wake_at >= Some(china("2026-03-05 07:00")),
        "{normal:?}"
    );
    let urgent = late(Urgency::Urgent);
    assert_eq!((urgent.kind, urgent.wake_at < Some(china("2026-03-04 21:10"))), (DueKind::Warn, true));
}

#[test]
fn on_site_late_is_told_once_and_not_after_a_pause_again() {
    let story = Story::of(wish(Urgency::Urgent)).promised(); // Wednesday 10:02, there by 12:02
    let story = sweep_until(story, china("2026-03-04 13:00"));
    let told = [
        ("warned", Stage::Arrive, china("2026-03-04 11:32")),
        ("overdue", Stage::Arrive, china("2026-03-04 12:02")),
    ];
    assert_eq!(told_of(&story), told);
    let story = story.then(Hat::Worker, ask()).then(Hat::Requester, answer());
    let story = sweep_until(story, china("2026-03-04 16:00"));
    assert_eq!(told_of(&story), told, "it was told of that end before");
    let there = story.then(Hat::Worker, arrive());
    assert!(there.order.clocks().iter().all(|clock| clock.stage != Stage::Arrive));
}

#[test]
fn a_breach_climbs_from_level_to_level_with_a_warning_before_each() {
    let story = sweep_until(Story::new(), china("2026-03-06 10:00")); // placed on Wednesday at 10:00
    let steps: Vec<_> = story.records.iter().skip(1).map(|record| (record.event.name(), record.at)).collect();
    let first = china("2026-03-04 10:00") + TimeDelta::seconds(HINT_GRACE_SECONDS);
    let hours = |hours: i64| first + TimeDelta::hours(hours);
    let wanted = [
        ("no_team_left", first),
        ("warned", first + TimeDelta::minutes(90)),
        ("escalated", hours(2)),
        ("warned", hours(2) + TimeDelta::minutes(90)),
        ("escalated", hours(4)),
        ("warned", hours(4) + TimeDelta::minutes(90)),
        ("overdue", hours(6)),
    ];
    assert_eq!(steps, wanted);
    assert_eq!(story.order.level, Level::County);
    assert_eq!(story.order.next_due(), Some(Due { kind: DueKind::DispatchOverdue, wake_at: None }));
}

/// What may happen to a promise while its clock runs.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Pause(i64),
    HandOver,
    Extend,
}

fn turns_of_a_promise() -> impl Strategy<Value = Vec<(i64, Turn)>> {
    let turn =
        prop_oneof![(0i64..6 * 86_400).prop_map(Turn::Pause), Just(Turn::HandOver), Just(Turn::Extend),];
    prop::collection::vec((0i64..86_400, turn), 0..6)
}

fn left_of(story: &Story) -> i64 {
    let (now, due) = (story.now, story.promise().complete_by);
    deadline::running_between(now, due, story.order.urgency().pace(), Calendar::china())
}

proptest! {
    /// Over pauses, hand-overs and an extension no time of the promise is lost. What rounding to working hours can add is
    /// less than a night at each turn.
    #[test]
    fn no_time_of_a_promise_is_lost(urgency in prop::sample::select(Urgency::ALL.to_vec()), turns in turns_of_a_promise()) {
        let mut story = Story::of(wish(urgency)).promised();
        for (span, turn) in turns {
            let before = left_of(&story);
            let was_due = story.promise().complete_by;
            story = story.after(TimeDelta::seconds(span));
            let ran = deadline::running_between(
                story.now - TimeDelta::seconds(span), story.now, urgency.pace(), Calendar::china(),
            );
            prop_assert!((left_of(&story) - (before - ran).max(0)).abs() <= 1);
            let left = left_of(&story);
            let night = if urgency == Urgency::Urgent { 0 } else { 10 * 3_600 };
            let mut more = 0;
            match turn {
                Turn::Pause(_) | Turn::HandOver if story.now >= was_due => {}
                Turn::Pause(pause) => {
                    story.act(Hat::Worker, ask()).unwrap();
                    prop_assert!(story.order.clocks().is_empty(), "clocks stand still");
                    story = story.after(TimeDelta::seconds(pause));
                    story.act(Hat::Requester, answer()).unwrap();
                }
                Turn::HandOver => {
                    let holder = story.promise().volunteer;
                    let next = if holder == WORKER { TEAMMATE } else { WORKER };
                    story.act(Hat::Leader, hand_over(to_named(next))).unwrap();
                    story.by(Some(next), &[Hat::Offered], Command::Accept).unwrap();
                    prop_assert_eq!(story.promise().complete_by, was_due, "the clock runs on");
                }
                Turn::Extend => {
                    let first = !story.order.extended && urgency == Urgency::Complex && story.now < was_due;
                    prop_assert_eq!(story.act(Hat::Leader, extend()).is_ok(), first);
                    more = if first { 7 * 86_400 } else { 0 };
                }
            }
            let after = left_of(&story);
            prop_assert!(after + 1 >= left + more, "{} seconds were lost", left + more - after);
            prop_assert!(after <= left + more + night + 1, "{} seconds were given", after - left - more);
        }
    }

    /// A warning comes at most once for each end, before it, with a quarter of the running time still to go; whatever was
    /// done in between.
    #[test]
    fn warnings_come_once_and_in_time(urgency in prop::sample::select(Urgency::ALL.to_vec()), turns in turns_of_a_promise()) {
        let mut story = Story::of(wish(urgency)).promised();
        for (span, turn) in turns {
            story = sweep_until(story.clone(), story.now + TimeDelta::seconds(span));
            let refused = match turn {
                Turn::Pause(pause) => {
                    story.act(Hat::Worker, ask()).unwrap();
                    story = story.after(TimeDelta::seconds(pause.min(WAITING_SECONDS - 1)));
                    story.act(Hat::Requester, answer()).is_err()
                }
                Turn::HandOver => {
                    let holder = story.promise().volunteer;
                    let next = if holder == WORKER { TEAMMATE } else { WORKER };
                    story.act(Hat::Leader, hand_over(to_named(next))).unwrap();
                    story.by(Some(next), &[Hat::Offered], Command::Accept).is_err()
                }
                Turn::Extend => {
                    let _refused_where_it_is_not_possible = story.act(Hat::Leader, extend());
                    false
                }
            };
            prop_assert!(!refused);
        }
        let story = sweep_until(story.clone(), story.now + TimeDelta::days(60));
        let mut seen = BTreeSet::new();
        for record in &story.records {
            let (over, clock) = match &record.event {
                Event::Warned { clock } => (false, clock),
                Event::Overdue { clock } => (true, clock),
                _ => continue,
            };
            prop_assert_eq!(over, record.at >= clock.due);
            // A hand-over lets the same end be told of again: to somebody else.
            prop_assert!(seen.insert((over, clock.stage, clock.of, clock.due, clock.from)), "{:?} twice", clock);
            if !over && clock.stage == Stage::Complete {
                let running = |from, to| deadline::running_between(from, to, urgency.pace(), Calendar::china());
                let (whole, left) = (running(clock.from, clock.due), running(record.at, clock.due));
                prop_assert!((whole / 4 - left).abs() <= 2, "{} of {} left", left, whole);
            }
        }
    }

    /// A follower's clock does not run, and what it is given afterwards is a whole one.
    #[test]
    fn a_follower_has_a_whole_clock_again(span in 0i64..60 * 86_400) {
        let follower = Story::new().then(Hat::Dispatcher, merge()).after(TimeDelta::seconds(span));
        prop_assert!(follower.order.clocks().is_empty());
        let called_off = follow(Event::Cancelled { reason: None });
        let mut parted = follower;
        parted.act(Hat::Sweep, called_off).unwrap();
        let State::Placed { dispatch_by, .. } = parted.order.state else { panic!("placed") };
        prop_assert_eq!(dispatch_by, parted.context().after(&parted.order, parted.order.limits().dispatch));
    }

    /// Right after a reopening the clocks are those of a new order.
    #[test]
    fn a_reopened_order_has_whole_clocks(span in 0i64..7 * 86_400 - 120) {
        let story = Story::new().completed().after(TimeDelta::seconds(span)).then(Hat::Requester, reopen());
        let State::Placed { since, dispatch_by, .. } = story.order.state else { panic!("placed") };
        prop_assert_eq!(since, story.now);
        prop_assert_eq!(dispatch_by, story.context().after(&story.order, story.order.limits().dispatch));
        prop_assert!(story.order.told.is_empty());
    }
}
