//! Nobody accepts: whatever refusals and silences come, the order climbs a step per breach, each step is told to the
//! station that has it now, no level has it twice, and the end is the county and never a loop.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use uuid::Uuid;
use xingfuma_domain::area::{AreaCode, Level};
use xingfuma_domain::deadline::{Calendar, QuietHours, TimeLimits, Urgency};
use xingfuma_domain::order::{
    Assignment, By, Channel, Command, Context, DueKind, Event, Hat, Hats, Kind, Order, Placed, Record, State,
    decide,
};

use super::of;

const RESIDENT: Uuid = Uuid::from_u128(1);

/// What those who are offered an order do.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// Nothing.
    Silence,
    /// Whoever was told says no.
    Refusal,
    /// The leader says no for his team.
    TeamRefusal,
}

/// An order of which nobody wants to know, and what was told.
struct Ladder {
    order: Order,
    now: DateTime<Utc>,
    quiet: QuietHours,
    /// The levels that it came to, one a step, each with the audiences that were told of the step.
    steps: Vec<(Level, Vec<String>)>,
}

impl Ladder {
    fn of(area: AreaCode, urgency: Urgency) -> Ladder {
        let now = "2026-03-04T02:00:00Z".parse().unwrap();
        let limits = TimeLimits::default_for(urgency);
        let placed = Placed {
            kind: Kind::Service,
            category: "errand".to_owned(),
            skill: "便民".to_owned(),
            needs_arrival: false,
            area,
            urgency,
            channel: Channel::Scan,
            requester: RESIDENT,
            placed_by: RESIDENT,
            limits,
            dispatch_by: now + TimeDelta::seconds(limits.dispatch),
        };
        let by = By { person: Some(RESIDENT), hat: Hat::Requester };
        let first = Record { at: now, by, event: Event::Placed(placed) };
        let order = Order::from_first(Uuid::from_u128(2), &first).unwrap();
        Ladder { order, now, quiet: QuietHours::default(), steps: Vec::new() }
    }

    fn act(&mut self, person: Option<Uuid>, hat: Hat, command: Command) {
        let context = Context { now: self.now, calendar: Calendar::china(), quiet: &self.quiet };
        let (by, events) = decide(&self.order, command, person, Hats::of(&[hat]), &context).unwrap();
        for event in events {
            let record = Record { at: self.now, by, event };
            self.order.apply(&record);
            let told: Vec<String> =
                of(&self.order, std::slice::from_ref(&record)).into_iter().map(|one| one.audience).collect();
            if let Event::NoTeamLeft { level, .. } | Event::Escalated { level, .. } = record.event {
                self.steps.push((level, told));
            }
        }
    }

    /// The policy: the next team that was not asked, two of its people told; none is left after `teams`.
    fn dispatch(&mut self, hat: Hat, teams: usize) {
        let next = self.order.asked.len();
        let command = if next < teams {
            let team = Uuid::from_u128(100 + next as u128);
            let person = |n| Uuid::from_u128(1_000 + 10 * next as u128 + n);
            Command::Invite {
                to: Assignment { team, volunteer: None },
                invited: vec![person(0), person(1)],
                patience_seconds: 600,
            }
        } else {
            Command::DispatchFailed { reason: "没有服务队可派".to_owned() }
        };
        self.act(None, hat, command);
    }

    fn answer(&mut self, answer: Answer) {
        let State::Dispatched { offer } = &self.order.state else { return };
        let told = offer.invited.clone();
        let refuse = |whole_team, others_left| Command::Decline { reason: None, whole_team, others_left };
        match answer {
            Answer::Silence => {}
            Answer::TeamRefusal => self.act(Some(Uuid::from_u128(9)), Hat::Leader, refuse(true, true)),
            Answer::Refusal => {
                for (n, person) in told.iter().enumerate() {
                    self.act(Some(*person), Hat::Offered, refuse(false, n + 1 < told.len()));
                }
            }
        }
    }

    /// Lets time pass to the next thing that falls due, and does it; answers `false` when nothing does any more.
    fn fire(&mut self, teams: usize) -> bool {
        let Some(wake_at) = self.order.next_due().and_then(|due| due.wake_at) else { return false };
        self.now = self.now.max(wake_at);
        match self.order.due_at(self.now).expect("it wakes for something") {
            DueKind::Dispatch => self.dispatch(Hat::Queue, teams),
            DueKind::AcceptOverdue => self.dispatch(Hat::Sweep, teams),
            DueKind::Warn | DueKind::Overdue => self.act(None, Hat::Sweep, Command::Warn),
            DueKind::DispatchOverdue => {
                self.act(None, Hat::Sweep, Command::Escalate { reason: "规定时间内没有派出".to_owned() });
            }
            other => panic!("nobody has accepted, and yet {other:?}"),
        }
        true
    }
}

fn areas() -> impl Strategy<Value = AreaCode> {
    let codes = ["140724", "140724104", "140724104003", "140724104003001", "140724104003001002"];
    prop::sample::select(codes.to_vec()).prop_map(|code| code.parse().unwrap())
}

fn answers() -> impl Strategy<Value = Vec<Answer>> {
    let one = prop::sample::select(vec![Answer::Silence, Answer::Refusal, Answer::TeamRefusal]);
    prop::collection::vec(one, 0..12)
}

proptest! {
    #[test]
    fn refusals_and_silences_end_at_the_county_one_step_a_breach(
        area in areas(), urgency in prop::sample::select(Urgency::ALL.to_vec()), teams in 0_usize..6,
        answers in answers()
    ) {
        let mut ladder = Ladder::of(area, urgency);
        let mut answers = answers.into_iter();
        let mut fired = 0;
        while ladder.fire(teams) {
            fired += 1;
            prop_assert!(fired < 200, "it never comes to rest: {:?}", ladder.order.state);
            ladder.answer(answers.next().unwrap_or(Answer::Silence));
        }
        // The end: at the county, on the board, with a reason.
        prop_assert_eq!(ladder.order.level, Level::County);
        let stuck = matches!(&ladder.order.state, State::Placed { stuck: Some(_), .. });
        prop_assert!(stuck, "{:?}", ladder.order.state);
        // One step up a breach, no level twice, none left out.
        let levels: Vec<Level> = ladder.steps.iter().map(|(level, _)| *level).collect();
        let climbed: Vec<Level> = std::iter::successors(area.level().up(), |level| level.up()).collect();
        let expected = if climbed.is_empty() { vec![Level::County] } else { climbed };
        prop_assert_eq!(&levels, &expected);
        // Each step is told to the station that has the order now; a grid has none of its own, so its village's.
        for (level, told) in &ladder.steps {
            let station = area.ancestor_at((*level).min(Level::Village)).unwrap_or(area);
            prop_assert!(told.contains(&format!("station:{station}")), "{:?}: {:?}", level, told);
        }
        // Every team was asked once, before anything climbed.
        prop_assert_eq!(ladder.order.asked.len(), teams);
    }
}
