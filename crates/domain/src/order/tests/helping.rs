//! Helping teams, and work that is handed on when somebody leaves.

use super::*;

const HELPER: Uuid = Uuid::from_u128(60);
const NEXT_HELPER: Uuid = Uuid::from_u128(61);
const THIRD_TEAM: Uuid = Uuid::from_u128(12);

fn ended(order: Uuid, completed: bool) -> Command {
    Command::HelpEnded { order, completed }
}

/// A helping order of this lead, as it is made.
fn helper_of(lead: &Story) -> Story {
    let by = By { person: Some(DISPATCHER), hat: Hat::Dispatcher };
    let records = super::super::helping(&lead.order, NEXT_TEAM, by, "请带工具来", &lead.context());
    let order = Order::fold(HELPER, &records).unwrap();
    Story { order, records, ..lead.clone() }
}

#[test]
fn a_helping_order_is_offered_to_its_team_at_once_and_knows_its_lead() {
    let lead = Story::new().promised();
    let helper = helper_of(&lead);
    assert_eq!((helper.status(), helper.order.epoch, helper.order.version), (Status::Dispatched, 1, 3));
    assert_eq!(helper.order.helps, Some(ORDER));
    assert_eq!(helper.open_offer().to, TO_NEXT_TEAM);
    assert_eq!(helper.order.placed.area, lead.order.placed.area);
    assert_eq!(helper.order.placed.requester, RESIDENT);
    assert_eq!(helper.order.asked, [NEXT_TEAM]);
    assert!(lead.order.helpers.is_empty(), "the lead knows of it by an event of its own");
}

/// Every state of helping orders, and what the lead may do then.
#[test]
fn the_lead_is_completed_when_nobody_helps_any_more() {
    let open = |story: Story| story.then(Hat::Dispatcher, help(HELPER, NEXT_TEAM));
    let two = |story: Story| open(story).then(Hat::Dispatcher, help(NEXT_HELPER, THIRD_TEAM));
    let table: [(&str, Story, usize); 7] = [
        ("nobody", Story::new().promised(), 0),
        ("one at work", open(Story::new().promised()), 1),
        ("two at work", two(Story::new().promised()), 2),
        ("one of two done", two(Story::new().promised()).then(Hat::Sweep, ended(HELPER, true)), 1),
        (
            "one done, one called off",
            two(Story::new().promised())
                .then(Hat::Sweep, ended(HELPER, true))
                .then(Hat::Sweep, ended(NEXT_HELPER, false)),
            0,
        ),
        (
            "asked before anybody promised",
            open(Story::new()).offered().then(Hat::Offered, Command::Accept),
            1,
        ),
        ("called off", open(Story::new().promised()).then(Hat::Sweep, ended(HELPER, false)), 0),
    ];
    for (what, story, at_work) in table {
        assert_eq!(story.order.open_helpers().count(), at_work, "{what}");
        assert_eq!(story.allows(Hat::Worker, Verb::Complete), at_work == 0, "{what}");
        if at_work == 0 {
            assert_eq!(story.completed_by_worker().status(), Status::Completed, "{what}");
        } else {
            let refusal = Refusal::HelpersAtWork { open: at_work };
            assert_eq!(story.refusal(Hat::Worker, complete(30)), refusal, "{what}");
        }
    }
}

impl Story {
    fn completed_by_worker(self) -> Story {
        self.then(Hat::Worker, complete(30))
    }
}

#[test]
fn a_team_helps_once_at_a_time_and_never_itself() {
    let lead = Story::new().promised().then(Hat::Dispatcher, help(HELPER, NEXT_TEAM));
    assert_eq!(lead.refusal(Hat::Dispatcher, help(NEXT_HELPER, NEXT_TEAM)), Refusal::AlreadyHelps);
    assert_eq!(lead.refusal(Hat::Dispatcher, help(NEXT_HELPER, TEAM)), Refusal::AlreadyHelps);
    let again =
        lead.then(Hat::Sweep, ended(HELPER, false)).then(Hat::Dispatcher, help(NEXT_HELPER, NEXT_TEAM));
    assert_eq!(again.order.helpers.len(), 2);
    assert_eq!(again.refusal(Hat::Sweep, ended(HELPER, true)), Refusal::NotYours, "that one has ended");
    let mut many = Story::new();
    for n in 0..HELPERS_AT_MOST as u128 {
        many = many.then(Hat::Dispatcher, help(Uuid::from_u128(100 + n), Uuid::from_u128(200 + n)));
    }
    assert_eq!(many.refusal(Hat::Dispatcher, help(HELPER, NEXT_TEAM)), Refusal::TooManyHelpers);
    assert!(!many.allows(Hat::Dispatcher, Verb::Help));
}

#[test]
fn what_is_the_leads_is_not_the_helpers() {
    let helper = helper_of(&Story::new().promised());
    assert_eq!(helper.refusal(Hat::Dispatcher, help(NEXT_HELPER, THIRD_TEAM)), Refusal::HelpsAnother);
    assert_eq!(helper.refusal(Hat::Dispatcher, merge()), Refusal::HelpsAnother);
    let done = helper.clone().then(Hat::Offered, Command::Accept).then(Hat::Worker, complete(10));
    assert_eq!(done.refusal(Hat::Requester, rate(5)), Refusal::HelpsAnother);
    assert_eq!(done.refusal(Hat::Requester, reopen()), Refusal::HelpsAnother);
    assert!(!done.allows(Hat::Requester, Verb::Rate) && !done.allows(Hat::Requester, Verb::Reopen));
    assert_eq!(done.after(WEEK).then(Hat::Sweep, Command::Close).status(), Status::Closed);
    // It can lead nobody, and a lead with helpers at work follows nobody.
    let stranger = Story::new();
    let into_helper = Command::Merge { parent: Box::new(helper.order.clone()) };
    let cannot = Refusal::CannotLead { status: Status::Dispatched };
    let other = Story { order: Order { id: PARENT, ..stranger.order.clone() }, ..stranger.clone() };
    assert_eq!(other.refusal(Hat::Dispatcher, into_helper), cannot);
    let led = stranger.then(Hat::Dispatcher, help(HELPER, NEXT_TEAM));
    assert_eq!(led.refusal(Hat::Dispatcher, merge()), Refusal::HelpersAtWork { open: 1 });
}

#[test]
fn helpers_go_with_their_lead_and_only_with_it() {
    let lead = Story::new().promised().then(Hat::Dispatcher, help(HELPER, NEXT_TEAM));
    let off = lead.clone().then(Hat::Requester, cancel(Some("不用了")));
    assert_eq!(off.order.open_helpers().count(), 0);
    let helper = helper_of(&lead);
    let released = helper.clone().then(Hat::Sweep, Command::Release { reason: None });
    assert_eq!(released.status(), Status::Cancelled);
    let alone = Refusal::Illegal { verb: Verb::Release, status: Status::Placed };
    assert_eq!(Story::new().refusal(Hat::Sweep, Command::Release { reason: None }), alone);
    // What a helping order tells its lead.
    let told = |story: &Story| ends_help(&story.order, &story.records.last().unwrap().event);
    assert_eq!(told(&released), Some((ORDER, false)));
    let done = helper.then(Hat::Offered, Command::Accept);
    assert_eq!(told(&done), None);
    assert_eq!(told(&done.then(Hat::Worker, complete(10))), Some((ORDER, true)));
    assert_eq!(told(&off), None, "an order that helps nobody");
}

#[test]
fn a_lead_that_is_reopened_keeps_what_was_done_and_can_be_helped_again() {
    let lead = Story::new().promised().then(Hat::Dispatcher, help(HELPER, NEXT_TEAM));
    let done = lead.then(Hat::Sweep, ended(HELPER, true)).completed_by_worker();
    let again = done.then(Hat::Requester, reopen());
    assert!(again.order.helpers[0].completed);
    let again = again.then(Hat::Dispatcher, help(NEXT_HELPER, NEXT_TEAM));
    assert_eq!(again.order.open_helpers().count(), 1);
}

#[test]
fn work_is_handed_on_to_somebody_to_the_team_or_to_be_placed_again() {
    let held = [
        Story::new().then(Hat::Dispatcher, offer(to_named(WORKER))),
        Story::new().promised(),
        Story::new().arrived(),
        Story::new().promised().then(Hat::Worker, ask()),
    ];
    for story in held {
        let (status, epoch) = (story.status(), story.order.epoch);
        let runs_on = match &story.order.state {
            State::Accepted { engagement } | State::InService { engagement } => Some(engagement.complete_by),
            _ => None,
        };
        let named = story.clone().then(Hat::Sweep, transfer(WORKER, Some(to_named(TEAMMATE)), true));
        assert_eq!(named.open_offer().to, to_named(TEAMMATE), "{status:?}");
        assert_eq!(named.order.epoch, epoch + 1);
        assert!(runs_on.is_none_or(|due| named.open_offer().complete_by == Some(due)), "{status:?}");
        let back = story.clone().then(Hat::Sweep, transfer(WORKER, None, true));
        assert_eq!(back.open_offer().to, TO_TEAM, "{status:?}");
        let last = story.clone().then(Hat::Sweep, transfer(WORKER, None, false));
        assert_eq!(last.status(), Status::Placed, "{status:?}");
        assert!(last.order.invited.contains(&WORKER), "he is not asked again");
        // Nobody gets his own wish, or his own work, handed to him.
        for nobody in [RESIDENT, WORKER] {
            let own = story.clone().then(Hat::Sweep, transfer(WORKER, Some(to_named(nobody)), true));
            assert_eq!(own.open_offer().to, TO_TEAM, "{status:?}");
        }
        assert_eq!(story.refusal(Hat::Sweep, transfer(TEAMMATE, None, true)), Refusal::NotYours);
    }
    let offered = Story::new().offered();
    assert_eq!(
        offered.refusal(Hat::Sweep, transfer(WORKER, None, true)),
        Refusal::NotYours,
        "nobody holds it"
    );
}

#[test]
fn the_pause_does_not_count_against_whoever_takes_over() {
    let asked = Story::new().promised().then(Hat::Worker, ask());
    let State::Waiting { engagement, .. } = &asked.order.state else { panic!("it waits") };
    let due = engagement.complete_by;
    let later = asked.after(TimeDelta::days(2)).then(Hat::Sweep, transfer(WORKER, None, true));
    assert!(later.open_offer().complete_by.unwrap() > due);
}
