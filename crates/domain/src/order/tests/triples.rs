//! Every (state, command, hat).

use std::collections::BTreeSet;

use super::super::moves::legal;
use super::table::{Way, agreed};
use super::*;

/// A team-mate promised, and handed it over to the worker of these stories.
fn handed_to_worker(story: Story) -> Story {
    let promised = story.offered().then_by(TEAMMATE, Hat::Offered, Command::Accept);
    promised.then_by(TEAMMATE, Hat::Worker, hand_over(to_named(WORKER)))
}

/// The promise was not kept in time, and the sweep has told so.
pub(super) fn told_overdue(story: Story) -> Story {
    let due = story.promise().complete_by;
    story.at(due).then(Hat::Sweep, escalate())
}

/// The order with all that this command needs beside its state: who is called, what is owed, what is open.
fn ready_for(mut story: Story, verb: Verb) -> Story {
    let (now, order) = (story.now, &mut story.order);
    let called = Whistle {
        id: CALL,
        department: DEPARTMENT,
        called_by: DISPATCHER,
        called_at: now - TimeDelta::hours(1),
        demand: words("请派人到场"),
        check_in_by: now,
        conclude_by: now,
        checked_in: None,
        concluded: None,
        rating: None,
    };
    match verb {
        Verb::Close => return story.after(WEEK),
        Verb::HelpEnded => {
            order.helpers.push(Helper { order: PARENT, team: NEXT_TEAM, ended_at: None, completed: false });
        }
        Verb::Release => order.helps = Some(PARENT),
        Verb::Transfer => {
            if let State::Dispatched { offer } = &mut order.state {
                offer.to.volunteer = Some(WORKER);
            }
        }
        Verb::Extend => {
            order.placed.limits = TimeLimits::default_for(Urgency::Complex);
            if let State::Accepted { engagement } | State::InService { engagement } = &mut order.state {
                engagement.complete_by = engagement.complete_by.max(now + WEEK);
            }
        }
        Verb::Revisit => {
            let (opened_at, revisit_by) = (now, now + WEEK);
            order.revisit =
                Some(Revisit { opened_at, revisit_by, outcome: None, note: None, recorded_at: None });
        }
        Verb::CheckIn | Verb::Warn => order.whistles.push(called),
        Verb::Conclude => order.whistles.push(Whistle { checked_in: Some((now, OFFICIAL)), ..called }),
        Verb::RateWhistle => {
            let concluded = Some(Conclusion { at: now, by: OFFICIAL, result: words("已处理") });
            order.whistles.push(Whistle { concluded, ..called });
        }
        Verb::Correct => order.placed.kind = Kind::Report,
        Verb::Inspect => {
            order.placed.kind = Kind::Report;
            order.corrections.push(Correction {
                id: NOTICE,
                issued_by: DISPATCHER,
                issued_at: now,
                addressee: words("某超市"),
                demand: words("清理消防通道"),
                term_from: now,
                due_by: now + WEEK,
                inspections: Vec::new(),
            });
        }
        _ => {}
    }
    story
}

/// Orders in this state, each led there by commands, by different ways.
pub(super) fn lives(status: Status) -> Vec<Story> {
    let new = Story::new;
    let asked = |story: Story| story.then(Hat::Worker, ask());
    match status {
        Status::Placed => vec![
            new(),
            new().then(Hat::Queue, no_team()),
            new().offered().then(Hat::Offered, decline(None, false, false)),
            new().promised().then(Hat::Worker, decline(Some("生病"), false, false)),
            new().rated().then(Hat::Requester, reopen()),
        ],
        Status::Dispatched => vec![
            new().offered(),
            new().then(Hat::Dispatcher, offer(to_named(WORKER))),
            new().offered().then(Hat::Sweep, offer(TO_NEXT_TEAM)),
            handed_to_worker(new()),
        ],
        Status::Accepted => {
            let answered = asked(new().promised()).then(Hat::Operator, answer());
            vec![
                new().promised(),
                answered,
                told_overdue(new().promised()),
                handed_to_worker(new()).then(Hat::Offered, Command::Accept),
            ]
        }
        Status::InService => vec![new().arrived(), asked(new().arrived()).then(Hat::Requester, answer())],
        Status::Waiting => vec![asked(new().promised()), asked(new().arrived())],
        Status::Completed => vec![
            new().completed(),
            new().arrived().then(Hat::Worker, complete(1)),
            new().completed().then(Hat::Operator, reopen()).completed(),
        ],
        Status::Rated => vec![new().rated(), new().completed().then(Hat::Operator, rate(1))],
        Status::Closed => vec![new().completed().closed(), new().rated().closed()],
        Status::Cancelled => vec![
            new().then(Hat::Requester, cancel(None)),
            new().offered().then(Hat::Dispatcher, cancel(Some("重复"))),
            asked(new().arrived()).then(Hat::Requester, cancel(Some("不用了"))),
        ],
        Status::Merged => {
            vec![new().then(Hat::Dispatcher, merge()), new().offered().then(Hat::Dispatcher, merge())]
        }
    }
}

/// All commands under this verb, well formed; none under `place`, which no existing order takes.
pub(super) fn commands(verb: Verb) -> Vec<Command> {
    match verb {
        Verb::Place => vec![],
        Verb::Dispatch => vec![offer(TO_NEXT_TEAM), offer(to_named(WORKER)), no_team()],
        Verb::Accept => vec![Command::Accept],
        Verb::Decline => vec![
            decline(Some("太远"), false, true),
            decline(Some("太远"), false, false),
            decline(Some("都没空"), true, true),
        ],
        Verb::HandOver => vec![hand_over(to_named(TEAMMATE))],
        Verb::Arrive => vec![arrive(), Command::Arrive { proof: None }],
        Verb::Complete => vec![complete(1), complete(MINUTES_AT_MOST), follow(done_elsewhere())],
        Verb::Wait => vec![ask()],
        Verb::Answer => vec![answer(), Command::Answer { answer: None }],
        Verb::Rate => vec![rate(1), rate(5)],
        Verb::Reopen => vec![reopen()],
        Verb::Cancel => vec![cancel(Some("不用了"))],
        Verb::Close => vec![Command::Close],
        Verb::Escalate => vec![escalate()],
        Verb::Urge => vec![Command::Urge],
        Verb::Show => vec![Command::Show { post: POST }, Command::Unshow { post: POST }],
        Verb::Merge => vec![merge()],
        Verb::Lead => vec![Command::Lead { order: PARENT, requester: RESIDENT }],
        Verb::Part => vec![follow(Event::Cancelled { reason: None })],
        Verb::Help => vec![help(PARENT, Uuid::from_u128(12))],
        Verb::HelpEnded => vec![Command::HelpEnded { order: PARENT, completed: true }],
        Verb::Release => vec![Command::Release { reason: None }],
        Verb::Transfer => vec![
            transfer(WORKER, Some(to_named(TEAMMATE)), true),
            transfer(WORKER, None, true),
            transfer(WORKER, None, false),
        ],
        Verb::Extend => vec![extend()],
        Verb::Revisit => vec![revisit()],
        Verb::Whistle => vec![whistle()],
        Verb::CheckIn => vec![Command::CheckIn { whistle: CALL }],
        Verb::Conclude => vec![Command::Conclude { whistle: CALL, result: words("已处理") }],
        Verb::RateWhistle => vec![Command::RateWhistle { whistle: CALL, stars: 4, comment: None }],
        Verb::Correct => vec![correct(7)],
        Verb::Inspect => vec![inspect(true), inspect(false)],
        Verb::Warn => vec![Command::Warn],
    }
}

/// What the design says about one (state, verb, hat): where it leads, and how it is refused.
struct Triple {
    status: Status,
    verb: Verb,
    hat: Hat,
    /// Where the table leads; empty where it forbids.
    ends: BTreeSet<&'static str>,
    /// The refusal of a forbidden one.
    forbidden: Refusal,
}

impl Triple {
    fn of(table: &BTreeSet<Way>, status: Status, verb: Verb, hat: Hat) -> Triple {
        let of_verb: Vec<&Way> = table.iter().filter(|way| way[0] == verb.segment()).collect();
        let from_here: Vec<&Way> = of_verb.iter().copied().filter(|way| way[1] == status.as_str()).collect();
        let mine = from_here.iter().filter(|way| way[3] == hat.as_str());
        let somebody_has_it = [Status::Accepted, Status::InService, Status::Waiting].contains(&status);
        let forbidden = if of_verb.iter().all(|way| way[3] != hat.as_str()) {
            Refusal::NotYours
        } else if verb == Verb::Accept && somebody_has_it {
            Refusal::Taken { status }
        } else if from_here.is_empty() {
            Refusal::Illegal { verb, status }
        } else {
            Refusal::NotYours
        };
        Triple { status, verb, hat, ends: mine.map(|way| way[2]).collect(), forbidden }
    }

    /// A closed order is a week old, and so too old to be reopened: the design has this move, but time forbids it.
    fn is_too_late(&self) -> bool {
        self.verb == Verb::Reopen && self.status == Status::Closed && !self.ends.is_empty()
    }

    fn refusal(&self, command: &Command) -> Option<Refusal> {
        let (verb, status) = (self.verb, self.status);
        match command {
            // To publish is not to ask for it: the post's consents govern it, whoever carries it out.
            Command::Show { .. } | Command::Unshow { .. } => {
                let publishes =
                    [Hat::Requester, Hat::Worker, Hat::Dispatcher, Hat::Sweep].contains(&self.hat);
                let done = [Status::Completed, Status::Rated, Status::Closed].contains(&status);
                let possible = done || matches!(command, Command::Unshow { .. });
                match (publishes, possible) {
                    (false, _) => Some(Refusal::NotYours),
                    (true, false) => Some(Refusal::Illegal { verb, status }),
                    (true, true) => None,
                }
            }
            _ if self.ends.is_empty() => Some(self.forbidden.clone()),
            // What follows is done with what leads, and only then.
            Command::Complete { .. } if status == Status::Merged => Some(Refusal::NotYours),
            Command::Follow { .. } if status != Status::Merged => {
                Some(Refusal::Illegal { verb: Verb::Part, status })
            }
            // The policy's word is nobody else's.
            Command::DispatchFailed { .. } if self.hat == Hat::Dispatcher => Some(Refusal::NotYours),
            _ => self.is_too_late().then_some(Refusal::TooLate { verb }),
        }
    }

    /// Tries the command on a copy; answers with the state that it led to.
    fn check(&self, story: &Story, command: Command) -> Option<Status> {
        let hint = format!("{} {command:?} by {:?}", self.status.as_str(), self.hat);
        let mut story = story.clone();
        match (story.act(self.hat, command.clone()), self.refusal(&command)) {
            (Ok(by), None) => {
                assert_eq!(by, By { person: wearer(self.hat), hat: self.hat }, "{hint}");
                Some(story.status())
            }
            (Err(refusal), expected) => {
                assert_eq!(Some(refusal), expected, "{hint}");
                None
            }
            (Ok(_), Some(expected)) => panic!("{hint} went through, but should meet {expected:?}"),
        }
    }
}

#[test]
fn every_state_command_and_hat() {
    let table = agreed();
    let (mut walked, mut allowed, mut tried) = (0, 0, 0);
    let mut reached = BTreeSet::new();
    for status in Status::ALL {
        let stories = lives(status);
        for story in &stories {
            assert_eq!(story.status(), status);
        }
        for (verb, hat) in Verb::ALL.into_iter().flat_map(|verb| Hat::ALL.map(|hat| (verb, hat))) {
            let triple = Triple::of(&table, status, verb, hat);
            walked += 1;
            allowed += usize::from(!triple.ends.is_empty());
            let row = legal(verb, status, Hats::of(&[hat]));
            assert_eq!(
                row.map(|(_, hat)| hat),
                (!triple.ends.is_empty()).then_some(hat),
                "{verb:?} {status:?}"
            );
            for story in &stories {
                let story = ready_for(story.clone(), verb);
                let possible = !triple.ends.is_empty() && !triple.is_too_late() && !verb.is_asked_elsewhere();
                assert_eq!(story.allows(hat, verb), possible, "{status:?} {verb:?} {hat:?}");
                for command in commands(verb) {
                    tried += 1;
                    let Some(end) = triple.check(&story, command) else { continue };
                    let stays = verb == Verb::Show && end == status;
                    assert!(
                        stays || triple.ends.contains(end.as_str()),
                        "{status:?} {verb:?} {hat:?} → {end:?}"
                    );
                    if !triple.ends.is_empty() {
                        reached.insert([verb.segment(), status.as_str(), end.as_str(), hat.as_str()]);
                    }
                }
            }
        }
    }
    // 10 states × 32 commands × 10 hats; 179 of them are legal.
    assert_eq!((walked, allowed), (3200, 179));
    // 44 forms of commands in 29 lives under 10 hats.
    assert_eq!(tried, 44 * 29 * 10);
    every_end_was_reached(&table, &reached);
}

/// The table promises nothing that no command does.
fn every_end_was_reached(table: &BTreeSet<Way>, reached: &BTreeSet<Way>) {
    let nobody_can = |way: &Way| {
        let [verb, from, to, who] = *way;
        verb == "place"
            || (verb == "reopen" && from == "closed")
            // That no team is left is for the policy to say.
            || (verb == "dispatch" && to == "placed" && who == "dispatcher")
    };
    let expected: BTreeSet<Way> = table.iter().copied().filter(|way| !nobody_can(way)).collect();
    let missing: Vec<_> = expected.difference(reached).collect();
    let extra: Vec<_> = reached.difference(&expected).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "never reached: {missing:?}
not in the table: {extra:?}"
    );
}
