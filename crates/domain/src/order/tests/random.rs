//! Random lives.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::triples::{commands, lives};
use super::*;

/// One turn of a random life.
#[derive(Clone, Debug)]
struct Turn {
    /// Picks the command: most turns among those that the table allows, so that lives get somewhere.
    pick: usize,
    guided: bool,
    /// The hats beside the one that was picked, as bits.
    beside: u8,
    /// Picks the person.
    person: usize,
    /// Picks among the forms of the command.
    form: usize,
    /// How long after the turn before.
    pause: TimeDelta,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let pause = prop_oneof![
        4 => 0i64..60_000,
        3 => 0i64..24 * 3_600_000,
        1 => 0i64..9 * 24 * 3_600_000,
    ];
    let turn =
        (any::<usize>(), prop::bool::weighted(0.8), any::<u8>(), any::<usize>(), any::<usize>(), pause);
    let turn = turn.prop_map(|(pick, guided, beside, person, form, pause)| {
        let beside = if beside % 4 == 0 { beside / 4 } else { 0 };
        Turn { pick, guided, beside, person, form, pause: TimeDelta::milliseconds(pause) }
    });
    prop::collection::vec(turn, 1..60)
}

fn wishes() -> impl Strategy<Value = Placed> {
    let areas = ["140724", "140724104", "140724104003001", "140724104003001002"];
    let kinds = prop::sample::select(vec![Kind::Service, Kind::Report]);
    (prop::sample::select(Urgency::ALL.to_vec()), any::<bool>(), prop::sample::select(areas.to_vec()), kinds)
        .prop_map(|(urgency, needs_arrival, area, kind)| Placed {
            kind,
            needs_arrival,
            area: area.parse().unwrap(),
            ..wish(urgency)
        })
}

/// The hats that people wear; the queue and the sweep are nobody.
const WORN: [Hat; 8] = [
    Hat::Requester,
    Hat::Operator,
    Hat::Offered,
    Hat::Worker,
    Hat::Leader,
    Hat::Dispatcher,
    Hat::Township,
    Hat::Department,
];

fn hats_of_bits(bits: u8) -> Vec<Hat> {
    WORN.into_iter().enumerate().filter(|(n, _)| bits & (1 << n) != 0).map(|(_, hat)| hat).collect()
}

/// A command that has all that it can need: reasons, numbers in their ranges, somebody else to hand over to.
fn well_formed(order: &Order, verb: Verb, hats: &[Hat], form: usize) -> Option<Command> {
    let others_left = form.is_multiple_of(2);
    Some(match verb {
        Verb::Dispatch => offer([TO_TEAM, TO_NEXT_TEAM, to_named(WORKER)][form % 3]),
        Verb::Decline => decline(Some("没空"), hats.contains(&Hat::Leader), others_left),
        Verb::HandOver => {
            let holds = order.engagement().map(|promise| promise.volunteer);
            hand_over(to_named(if holds == Some(WORKER) { TEAMMATE } else { WORKER }))
        }
        Verb::Complete if order.status() == Status::Merged => follow(done_elsewhere()),
        Verb::Complete => complete(30),
        Verb::Help => help(fresh(order), Uuid::from_u128(3_000 + order.version as u128)),
        Verb::HelpEnded => {
            let open = order.open_helpers().next().map_or(PARENT, |one| one.order);
            Command::HelpEnded { order: open, completed: others_left }
        }
        Verb::Transfer => {
            let from = order.assignment().and_then(|held| held.volunteer).unwrap_or(WORKER);
            let to = to_named(if from == WORKER { TEAMMATE } else { WORKER });
            transfer(from, form.is_multiple_of(3).then_some(to), others_left)
        }
        Verb::Whistle => {
            let department = [DEPARTMENT, NEXT_DEPARTMENT][form % 2];
            let free = |of: &Uuid| {
                !order.whistles.iter().any(|one| one.department == *of && one.concluded.is_none())
            };
            let of = [department, DEPARTMENT, NEXT_DEPARTMENT].into_iter().find(free);
            let calls = vec![(fresh(order), of.unwrap_or(Uuid::from_u128(1_000 + order.version as u128)))];
            Command::Whistle { calls, demand: words("请派人到场") }
        }
        Verb::CheckIn => {
            let open = order.whistles.iter().find(|one| one.checked_in.is_none());
            Command::CheckIn { whistle: open.map_or(CALL, |one| one.id) }
        }
        Verb::Conclude => {
            let open = order.whistles.iter().find(|one| one.checked_in.is_some() && one.concluded.is_none());
            Command::Conclude { whistle: open.map_or(CALL, |one| one.id), result: words("已处理") }
        }
        Verb::RateWhistle => {
            let open = order.whistles.iter().find(|one| one.concluded.is_some() && one.rating.is_none());
            Command::RateWhistle { whistle: open.map_or(CALL, |one| one.id), stars: 4, comment: None }
        }
        Verb::Correct => Command::Correct {
            id: fresh(order),
            addressee: words("某超市"),
            demand: words("清理"),
            term_days: 7,
        },
        Verb::Inspect => {
            let open = order.corrections.iter().find(|one| !one.is_settled());
            let (id, passed) = (open.map_or(NOTICE, |one| one.id), !form.is_multiple_of(4));
            let term_days = (!passed).then_some(3);
            Command::Inspect { id, passed, findings: words("已查看"), term_days }
        }
        _ => {
            let forms = commands(verb);
            forms.get(form % forms.len().max(1))?.clone()
        }
    })
}

/// An id that nothing of this order has.
fn fresh(order: &Order) -> Uuid {
    Uuid::from_u128(2_000 + order.version as u128)
}

impl Story {
    /// Plays a turn; most refusals are part of it.
    fn play(&mut self, turn: &Turn) {
        self.now += turn.pause;
        let legal_here = |row: &&Move| row.from.contains(&self.status());
        let rare = |row: &&Move| row.verb != Verb::Cancel || turn.form.is_multiple_of(8);
        let all: Vec<(Verb, Hat)> = MOVES
            .iter()
            .filter(|row| !turn.guided || legal_here(row))
            .filter(rare)
            .flat_map(|row| row.who.iter().map(|hat| (row.verb, *hat)))
            .collect();
        let Some((verb, hat)) = all.get(turn.pick % all.len().max(1)).copied() else { return };
        let machine = wearer(hat).is_none();
        let beside = if machine { Vec::new() } else { hats_of_bits(turn.beside) };
        let hats: Vec<Hat> = std::iter::once(hat).chain(beside).collect();
        let person = (!machine).then(|| [WORKER, TEAMMATE, RESIDENT][turn.person % 3]);
        let command = match verb {
            Verb::Dispatch if machine && turn.form.is_multiple_of(5) => Some(no_team()),
            _ => well_formed(&self.order, verb, &hats, turn.form),
        };
        if let Some(command) = command {
            let _refused = self.by(person, &hats, command);
        }
    }
}

/// What `allowed_actions` promises is what `decide` keeps, both ways.
fn promises_are_kept(story: &Story, person: Option<Uuid>, hats: &[Hat]) -> Result<(), TestCaseError> {
    let set = Hats::of(hats);
    let allowed = allowed_actions(&story.order, set, person.unwrap_or_default(), &story.context());
    for verb in Verb::ALL.into_iter().filter(|verb| !verb.is_asked_elsewhere()) {
        let Some(command) = well_formed(&story.order, verb, hats, 0) else {
            prop_assert!(!allowed.contains(&verb), "{verb:?} is no command of an order");
            continue;
        };
        let outcome = decide(&story.order, command, person, set, &story.context());
        // Publishing is done for others by those who carry it out, who need not be allowed to ask for it.
        let asks = verb != Verb::Show || set.first_of(&[Hat::Requester, Hat::Worker]).is_some();
        if allowed.contains(&verb) || asks {
            prop_assert_eq!(outcome.is_ok(), allowed.contains(&verb), "{:?} {:?} {:?}", verb, hats, outcome);
        }
    }
    Ok(())
}

/// Lets the sweep do all that falls due, with no team to be found, until the order has ended or waits for people.
fn leave_alone(mut story: Story) -> Result<Story, TestCaseError> {
    for _ in 0..200 {
        let Some(Due { wake_at: Some(wake_at), .. }) = story.order.next_due() else { return Ok(story) };
        let early = wake_at - MILLISECOND;
        prop_assert!(
            early < story.now || story.order.due_at(early).is_none(),
            "nothing is due before its time"
        );
        story.now = story.now.max(wake_at);
        let kind = story.order.due_at(story.now);
        let before = (story.order.next_due(), story.order.told.len());
        let command = match kind {
            Some(DueKind::Dispatch | DueKind::AcceptOverdue) => no_team(),
            Some(DueKind::DispatchOverdue | DueKind::CompleteOverdue) => escalate(),
            Some(DueKind::AnswerOverdue) => Command::Answer { answer: None },
            Some(DueKind::Close) => Command::Close,
            Some(DueKind::Warn | DueKind::Overdue) => Command::Warn,
            None => return Err(TestCaseError::fail(format!("it wakes for nothing: {before:?}"))),
        };
        let hat = if kind == Some(DueKind::Dispatch) { Hat::Queue } else { Hat::Sweep };
        let outcome = story.act(hat, command);
        prop_assert!(outcome.is_ok(), "{:?} {:?}", kind, outcome);
        // What ends a clock goes first, while an earlier warning waits; that it ends at all is for the bound to say.
        let told = matches!(kind, Some(DueKind::Warn | DueKind::Overdue));
        let after = (story.order.next_due(), story.order.told.len());
        prop_assert!(!told || before != after, "it would be told for ever: {:?}", after);
    }
    Err(TestCaseError::fail(format!("it never comes to rest: {:?}", story.order.state)))
}

proptest! {
    /// The records are the order: folded again, also after a trip through JSON, they give the same row.
    #[test]
    fn the_records_are_the_order(wish in wishes(), turns in turns()) {
        let mut story = Story::of(wish);
        for turn in &turns {
            story.play(turn);
        }
        let json = serde_json::to_string(&story.records).unwrap();
        let records: Vec<Record> = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(&records, &story.records);
        let folded = Order::fold(ORDER, &records);
        prop_assert_eq!(folded.as_ref(), Some(&story.order));
        prop_assert_eq!(story.order.version, story.records.len() as i64);
        let dispatches = story.records.iter().filter(|record| record.event.name() == "dispatched").count();
        prop_assert_eq!(story.order.epoch, dispatches as i64);
    }

    #[test]
    fn an_order_survives_json(wish in wishes(), turns in turns()) {
        let mut story = Story::of(wish);
        for turn in &turns {
            story.play(turn);
            let json = serde_json::to_string(&story.order).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Order>(&json).unwrap(), &story.order);
        }
    }

    #[test]
    fn what_is_allowed_is_what_goes_through(wish in wishes(), turns in turns(), span in 0i64..9 * 86_400) {
        let mut story = Story::of(wish);
        for turn in &turns {
            story.play(turn);
        }
        story.now += TimeDelta::seconds(span);
        for bits in (0..64).chain([64, 128, 64 + 32, 128 + 32, 128 + 8]) {
            for person in [RESIDENT, WORKER, TEAMMATE] {
                promises_are_kept(&story, Some(person), &hats_of_bits(bits))?;
            }
        }
        for machine in [Hat::Queue, Hat::Sweep] {
            promises_are_kept(&story, None, &[machine])?;
        }
    }

    /// Whatever falls due, the sweep can do, and then something else is due: nothing fires for ever.
    #[test]
    fn left_alone_every_order_comes_to_rest(wish in wishes(), turns in turns()) {
        let mut story = Story::of(wish);
        for turn in &turns {
            story.play(turn);
            let ended = [Status::Closed, Status::Cancelled, Status::Merged].contains(&story.status());
            prop_assert_eq!(story.order.next_due().is_none(), ended);
        }
        let rest = leave_alone(story)?;
        prop_assert!(rest.order.next_due().is_none_or(|due| due.wake_at.is_none()));
    }

    /// An event that does not fit its state changes nothing but the version (and what it itself counts): no panic.
    #[test]
    fn every_event_counts_even_out_of_place(one in turns(), other in turns()) {
        let (mut story, mut stranger) = (Story::new(), Story::new());
        one.iter().for_each(|turn| story.play(turn));
        other.iter().for_each(|turn| stranger.play(turn));
        let mut order = story.order.clone();
        for record in &stranger.records {
            order.apply(record);
        }
        prop_assert_eq!(order.version, story.order.version + stranger.records.len() as i64);
    }
}

#[test]
fn a_merged_order_waits_for_nothing() {
    for story in lives(Status::Merged) {
        assert_eq!(story.order.next_due(), None);
    }
}

/// The properties above mean something only if random lives get everywhere.
#[test]
fn random_lives_get_everywhere() {
    let mut runner = TestRunner::deterministic();
    let (mut states, mut events) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..1_000 {
        let wish = wishes().new_tree(&mut runner).unwrap().current();
        let turns = turns().new_tree(&mut runner).unwrap().current();
        let mut story = Story::of(wish);
        for turn in &turns {
            story.play(turn);
            states.insert(story.status());
        }
        events.extend(story.records.iter().map(|record| record.event.name()));
    }
    assert_eq!(Status::ALL.into_iter().collect::<BTreeSet<_>>(), states);
    // Only a helping order begins with "helps".
    assert_eq!(events.len(), 32, "every kind of event: {events:?}");
}
