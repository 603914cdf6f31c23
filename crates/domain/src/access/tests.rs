//! Who sees what of an order, and in which hats. What roles may do is in `roles`.

use chrono::{DateTime, TimeDelta, Utc};

use super::*;
use crate::deadline::{Calendar, QuietHours, TimeLimits, Urgency};
use crate::order::{Assignment, By, Command, Context, Event, Kind, Placed, Record, Status, decide};

mod roles;

const COUNTY: &str = "140724";
const TOWNSHIP: &str = "140724104";
const SIBLING_TOWNSHIP: &str = "140724105";
const VILLAGE: &str = "140724104003";
const GRID: &str = "140724104003001";
const SIBLING_GRID: &str = "140724104003002";
const MICRO_GRID: &str = "140724104003001001";
const OTHER_COUNTY: &str = "140725";

const TEAM: Uuid = Uuid::from_u128(10);
const NEXT_TEAM: Uuid = Uuid::from_u128(11);
const RESIDENT: Uuid = Uuid::from_u128(20);
const OPERATOR: Uuid = Uuid::from_u128(21);
const WORKER: Uuid = Uuid::from_u128(22);
const TEAMMATE: Uuid = Uuid::from_u128(23);
const SOMEBODY: Uuid = Uuid::from_u128(24);

const MASKED: View = View {
    description: Words::Masked,
    contact: false,
    contact_masked: false,
    log_contact: false,
    decision: false,
    reveal: false,
    coordination: false,
};
const OWN: View = View { description: Words::Whole, contact: true, ..MASKED };
const AT_WORK: View =
    View { description: Words::Whole, contact: true, log_contact: true, coordination: true, ..MASKED };
const AFTER_WORK: View = View { description: Words::Whole, coordination: true, ..MASKED };
const ENTERED: View = View { description: Words::Whole, contact_masked: true, ..MASKED };
const OF_LEADER: View = View { decision: true, coordination: true, ..MASKED };
const OF_DISPATCHER: View = View { decision: true, reveal: true, coordination: true, ..MASKED };
const OF_DEPARTMENT: View = View { reveal: true, coordination: true, ..MASKED };

fn area(code: &str) -> AreaCode {
    code.parse().unwrap()
}

fn actor(person: Uuid, grants: &[Grant]) -> Actor {
    Actor { person, county: area(COUNTY), grants: grants.to_vec() }
}

fn resident(person: Uuid) -> Actor {
    actor(person, &[])
}

fn with_role(role: Role, code: &str) -> Actor {
    actor(SOMEBODY, &[Grant { role, area: area(code), team: None }])
}

fn of_team(person: Uuid, role: Role, team: Uuid) -> Actor {
    actor(person, &[Grant { role, area: area(GRID), team: Some(team) }])
}

fn volunteer(person: Uuid) -> Actor {
    of_team(person, Role::Volunteer, TEAM)
}

fn start() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2026-03-04T10:00:00+08:00").unwrap().to_utc()
}

fn placed(channel: Channel, placed_by: Uuid) -> Order {
    let placed = Placed {
        kind: Kind::Service,
        category: "errand".to_owned(),
        skill: "便民".to_owned(),
        needs_arrival: false,
        area: area(GRID),
        urgency: Urgency::Normal,
        channel,
        requester: RESIDENT,
        placed_by,
        limits: TimeLimits::default_for(Urgency::Normal),
        dispatch_by: start(),
    };
    let by = By { person: Some(placed_by), hat: Hat::Requester };
    Order::from_first(Uuid::from_u128(1), &Record { at: start(), by, event: Event::Placed(placed) }).unwrap()
}

fn then(mut order: Order, person: Option<Uuid>, hat: Hat, command: Command) -> Order {
    let now = start() + TimeDelta::minutes(order.version);
    let now = if hat == Hat::Sweep { now + TimeDelta::days(7) } else { now };
    let context = Context { now, calendar: Calendar::china(), quiet: &QuietHours::NONE };
    let (by, events) = decide(&order, command, person, Hats::of(&[hat]), &context).unwrap();
    for event in events {
        order.apply(&Record { at: now, by, event });
    }
    order
}

fn offer(team: Uuid, volunteer: Option<Uuid>) -> Command {
    Command::Dispatch { to: Assignment { team, volunteer }, reason: Some("最近".to_owned()) }
}

fn offered() -> Order {
    then(placed(Channel::Scan, RESIDENT), None, Hat::Queue, offer(TEAM, None))
}

fn accepted() -> Order {
    then(offered(), Some(WORKER), Hat::Offered, Command::Accept)
}

fn completed(order: Order) -> Order {
    let done = Command::Complete { summary: "已办好".to_owned(), minutes: 30 };
    then(order, Some(WORKER), Hat::Worker, done)
}

fn cancelled(order: Order) -> Order {
    let reason = Some("不用了".to_owned());
    then(order, Some(RESIDENT), Hat::Requester, Command::Cancel { reason })
}

fn reopened(order: Order) -> Order {
    then(order, Some(RESIDENT), Hat::Requester, Command::Reopen { reason: "又坏了".to_owned() })
}

fn handed_to(volunteer: Uuid) -> Order {
    let to = Assignment { team: TEAM, volunteer: Some(volunteer) };
    let reason = "临时有事".to_owned();
    then(accepted(), Some(WORKER), Hat::Worker, Command::HandOver { to, reason })
}

/// One order in every state that people meet, from its beginning to its ends.
fn a_life() -> Vec<Order> {
    let asked = Command::Wait { question: "几点方便？".to_owned() };
    let rate = Command::Rate { stars: 5, solved: true, tags: vec![], comment: None };
    let life = vec![
        placed(Channel::Scan, RESIDENT),
        offered(),
        accepted(),
        then(accepted(), Some(WORKER), Hat::Worker, Command::Arrive { proof: None }),
        then(accepted(), Some(WORKER), Hat::Worker, asked),
        completed(accepted()),
        then(completed(accepted()), Some(RESIDENT), Hat::Requester, rate),
        then(completed(accepted()), None, Hat::Sweep, Command::Close),
        cancelled(accepted()),
    ];
    let states: Vec<Status> = life.iter().map(Order::status).collect();
    assert_eq!(
        states,
        Status::ALL.into_iter().filter(|status| *status != Status::Merged).collect::<Vec<_>>()
    );
    life
}

#[test]
fn the_resident_who_ordered_sees_all_of_his_own_but_the_decision() {
    for order in a_life() {
        assert_eq!(view(&resident(RESIDENT), &order), Some(OWN), "{:?}", order.status());
    }
    assert_eq!(view(&resident(RESIDENT), &placed(Channel::Hotline, OPERATOR)), Some(OWN), "as a caller too");
}

#[test]
fn volunteers_who_were_offered_it_see_it_masked() {
    assert_eq!(view(&volunteer(TEAMMATE), &placed(Channel::Scan, RESIDENT)), None, "not yet");
    for order in a_life().into_iter().skip(1) {
        assert_eq!(view(&volunteer(TEAMMATE), &order), Some(MASKED), "{:?}", order.status());
    }
    let of_next = of_team(TEAMMATE, Role::Volunteer, NEXT_TEAM);
    assert_eq!(view(&of_next, &offered()), None);
    assert_eq!(view(&volunteer(TEAMMATE), &reopened(completed(accepted()))), Some(MASKED));
}

/// A team that was asked before sees who was faster, but cannot take what is offered to the next one.
#[test]
fn an_offer_that_went_on_is_seen_but_worn_no_more() {
    let order = then(offered(), None, Hat::Sweep, offer(NEXT_TEAM, None));
    for former in [volunteer(WORKER), of_team(WORKER, Role::GridLeader, TEAM)] {
        assert_eq!(hats(&former, &order), Hats::NONE);
        assert_eq!(view(&former, &order), Some(MASKED));
    }
    let next = of_team(TEAMMATE, Role::Volunteer, NEXT_TEAM);
    assert_eq!(hats(&next, &order), Hats::of(&[Hat::Offered]));
    let taken = then(order, Some(TEAMMATE), Hat::Offered, Command::Accept);
    assert_eq!(hats(&volunteer(WORKER), &taken), Hats::of(&[Hat::Offered]), "to be told that it is taken");
}

#[test]
fn a_named_offer_is_worn_by_the_named_and_the_leader() {
    let order = handed_to(TEAMMATE);
    assert_eq!(hats(&volunteer(TEAMMATE), &order), Hats::of(&[Hat::Offered]));
    let leader = of_team(SOMEBODY, Role::GridLeader, TEAM);
    assert_eq!(hats(&leader, &order), Hats::of(&[Hat::Offered, Hat::Leader]));
    assert_eq!(hats(&volunteer(WORKER), &order), Hats::NONE);
    assert_eq!(view(&volunteer(WORKER), &order), Some(MASKED), "he finds what he has handed over");
}

#[test]
fn the_volunteer_who_accepted_sees_the_contact_until_the_order_ends() {
    let worker = volunteer(WORKER);
    for order in a_life() {
        let expected = match order.status() {
            Status::Placed => None,
            Status::Dispatched => Some(MASKED),
            Status::Accepted | Status::InService | Status::Waiting => Some(AT_WORK),
            Status::Completed | Status::Rated | Status::Closed => Some(AFTER_WORK),
            Status::Cancelled | Status::Merged => Some(MASKED),
        };
        assert_eq!(view(&worker, &order), expected, "{:?}", order.status());
    }
    assert_eq!(view(&worker, &reopened(completed(accepted()))), Some(MASKED));
    let overruled = then(accepted(), Some(SOMEBODY), Hat::Dispatcher, offer(NEXT_TEAM, None));
    assert_eq!(view(&worker, &overruled), Some(MASKED));
}

#[test]
fn the_leader_of_the_team_sees_the_decision_and_no_contact() {
    let leader = of_team(SOMEBODY, Role::GridLeader, TEAM);
    for order in a_life().into_iter().skip(1) {
        assert_eq!(view(&leader, &order), Some(OF_LEADER), "{:?}", order.status());
    }
    assert_eq!(view(&of_team(SOMEBODY, Role::GridLeader, NEXT_TEAM), &accepted()), None);
    let at_work = of_team(WORKER, Role::GridLeader, TEAM);
    assert_eq!(view(&at_work, &accepted()), Some(View { decision: true, ..AT_WORK }), "he went himself");
}

#[test]
fn a_dispatcher_sees_his_subtree_and_nothing_beside_it() {
    for order in a_life() {
        for above in [COUNTY, TOWNSHIP, VILLAGE, GRID] {
            assert_eq!(view(&with_role(Role::Dispatcher, above), &order), Some(OF_DISPATCHER), "{above}");
        }
        for beside in [SIBLING_TOWNSHIP, SIBLING_GRID, MICRO_GRID, OTHER_COUNTY] {
            assert_eq!(view(&with_role(Role::Dispatcher, beside), &order), None, "{beside}");
        }
    }
}

#[test]
fn an_operator_sees_what_he_entered_and_the_contact_masked() {
    let entered = placed(Channel::Hotline, OPERATOR);
    let grant = |code| Grant { role: Role::Operator, area: area(code), team: None };
    assert_eq!(view(&actor(OPERATOR, &[grant(COUNTY)]), &entered), Some(ENTERED));
    assert_eq!(hats(&actor(OPERATOR, &[grant(COUNTY)]), &entered), Hats::of(&[Hat::Operator]));
    assert_eq!(view(&with_role(Role::Operator, COUNTY), &entered), None, "another operator's");
    assert_eq!(view(&resident(OPERATOR), &entered), None, "he is no operator any more");
    assert_eq!(view(&actor(OPERATOR, &[grant(SIBLING_TOWNSHIP)]), &entered), None);
    let patrol = placed(Channel::Patrol, OPERATOR);
    assert_eq!(view(&actor(OPERATOR, &[grant(COUNTY)]), &patrol), None, "not entered for a caller");
}

#[test]
fn a_department_sees_what_it_was_whistled_for() {
    const DEPARTMENT: Uuid = Uuid::from_u128(40);
    let grant = |id| Grant { role: Role::Department, area: area(COUNTY), team: Some(id) };
    let (called, other) =
        (actor(SOMEBODY, &[grant(DEPARTMENT)]), actor(SOMEBODY, &[grant(Uuid::from_u128(41))]));
    let whistle = || Command::Whistle {
        calls: vec![(Uuid::from_u128(50), DEPARTMENT)],
        demand: "请到场".to_owned(),
    };
    for order in a_life() {
        assert_eq!(view(&called, &order), None, "not called yet");
        if !order.status().is_open() {
            continue;
        }
        let order = then(order, Some(SOMEBODY), Hat::Dispatcher, whistle());
        assert_eq!(hats(&called, &order), Hats::of(&[Hat::Department]));
        assert_eq!(view(&called, &order), Some(OF_DEPARTMENT), "{:?}", order.status());
        assert_eq!(view(&other, &order), None, "{:?}", order.status());
    }
    assert_eq!((called.departments(), called.teams()), (vec![DEPARTMENT], vec![]));
}

#[test]
fn photos_are_for_those_who_read_it_whole_work_on_it_or_watch_over_it() {
    for (view, photos) in [
        (MASKED, false),
        (OWN, true),
        (ENTERED, true),
        (AT_WORK, true),
        (AFTER_WORK, true),
        (OF_LEADER, true),
        (OF_DISPATCHER, true),
        (OF_DEPARTMENT, true),
    ] {
        assert_eq!(view.photos(), photos, "{view:?}");
    }
}

#[test]
fn a_township_wears_a_hat_that_its_villages_do_not() {
    for (code, township) in [(COUNTY, true), (TOWNSHIP, true), (VILLAGE, false), (GRID, false)] {
        let worn = hats(&with_role(Role::Dispatcher, code), &accepted());
        assert_eq!((worn.has(Hat::Dispatcher), worn.has(Hat::Township)), (true, township), "{code}");
    }
    assert!(!hats(&with_role(Role::Dispatcher, SIBLING_TOWNSHIP), &accepted()).has(Hat::Township));
}

#[test]
fn the_county_sees_all_of_it_masked() {
    for order in a_life() {
        assert_eq!(view(&with_role(Role::CountyAdmin, COUNTY), &order), Some(OF_DISPATCHER));
        assert_eq!(
            view(&with_role(Role::Auditor, COUNTY), &order),
            Some(OF_LEADER),
            "no reveal for auditors"
        );
        assert_eq!(hats(&with_role(Role::CountyAdmin, COUNTY), &order), Hats::NONE, "to see is not to do");
        assert_eq!(hats(&with_role(Role::Auditor, COUNTY), &order), Hats::NONE);
    }
}

#[test]
fn for_everybody_else_it_is_not_there() {
    let strangers = [
        resident(SOMEBODY),
        with_role(Role::Department, COUNTY), // until it is whistled for
        with_role(Role::Operator, COUNTY),
        with_role(Role::Volunteer, GRID),
        with_role(Role::GridLeader, GRID),
        of_team(SOMEBODY, Role::Volunteer, NEXT_TEAM),
    ];
    for order in a_life() {
        for stranger in &strangers {
            assert_eq!(view(stranger, &order), None, "{stranger:?}");
            assert_eq!(hats(stranger, &order), Hats::NONE);
        }
    }
}

/// Even grants that point into this county open nothing to somebody of another.
#[test]
fn for_another_county_it_is_not_there() {
    let people = Role::ALL.into_iter().flat_map(|role| {
        [RESIDENT, WORKER, OPERATOR].map(|person| {
            let here = Grant { role, area: area(COUNTY), team: Some(TEAM) };
            Actor { county: area(OTHER_COUNTY), ..actor(person, &[here]) }
        })
    });
    for somebody in people {
        for order in a_life() {
            assert_eq!(view(&somebody, &order), None, "{somebody:?}");
            assert_eq!(hats(&somebody, &order), Hats::NONE);
        }
    }
}

#[test]
fn roles_of_one_person_add_up() {
    let dispatcher = Grant { role: Role::Dispatcher, area: area(TOWNSHIP), team: None };
    let member = Grant { role: Role::Volunteer, area: area(GRID), team: Some(TEAM) };
    let own = actor(RESIDENT, &[dispatcher]);
    assert_eq!(
        view(&own, &accepted()),
        Some(View { decision: true, reveal: true, coordination: true, ..OWN })
    );
    assert_eq!(hats(&own, &accepted()), Hats::of(&[Hat::Requester, Hat::Dispatcher, Hat::Township]));
    let at_work = actor(WORKER, &[member, dispatcher]);
    assert_eq!(view(&at_work, &accepted()), Some(View { decision: true, reveal: true, ..AT_WORK }));
    assert_eq!(
        view(&at_work, &completed(accepted())),
        Some(View { description: Words::Whole, ..OF_DISPATCHER })
    );
}
