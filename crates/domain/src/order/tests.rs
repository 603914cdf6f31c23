//! The lifecycle: the table against the design, every (state, command, hat), every guard, and random lives.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use uuid::Uuid;

use super::moves::{as_markdown, legal, moves_of};
use super::*;
use crate::area::Level;
use crate::deadline::{Calendar, QuietHours, TimeLimits, Urgency};

const ORDER: Uuid = Uuid::from_u128(1);
const POST: Uuid = Uuid::from_u128(2);
const TEAM: Uuid = Uuid::from_u128(10);
const NEXT_TEAM: Uuid = Uuid::from_u128(11);
const RESIDENT: Uuid = Uuid::from_u128(20);
const OPERATOR: Uuid = Uuid::from_u128(21);
const WORKER: Uuid = Uuid::from_u128(22);
const TEAMMATE: Uuid = Uuid::from_u128(23);
const LEADER: Uuid = Uuid::from_u128(24);
const DISPATCHER: Uuid = Uuid::from_u128(25);
const OFFICIAL: Uuid = Uuid::from_u128(26);
const DEPARTMENT: Uuid = Uuid::from_u128(40);
const NEXT_DEPARTMENT: Uuid = Uuid::from_u128(41);
const CALL: Uuid = Uuid::from_u128(50);
const NEXT_CALL: Uuid = Uuid::from_u128(51);
const NOTICE: Uuid = Uuid::from_u128(52);
const PARENT: Uuid = Uuid::from_u128(99);

const TO_TEAM: Assignment = Assignment { team: TEAM, volunteer: None };
const TO_NEXT_TEAM: Assignment = Assignment { team: NEXT_TEAM, volunteer: None };

const MILLISECOND: TimeDelta = TimeDelta::milliseconds(1);
const WEEK: TimeDelta = TimeDelta::days(7);

fn to_named(volunteer: Uuid) -> Assignment {
    Assignment { team: TEAM, volunteer: Some(volunteer) }
}

/// A moment of China time.
fn china(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(&format!("{}:00+08:00", text.replace(' ', "T"))).unwrap().to_utc()
}

fn words(text: &str) -> String {
    text.to_owned()
}

/// What somebody asks for in a grid, entered by himself.
fn wish(urgency: Urgency) -> Placed {
    let limits = TimeLimits::default_for(urgency);
    Placed {
        kind: Kind::Service,
        category: words("errand"),
        skill: words("便民"),
        needs_arrival: false,
        area: "140724104003001".parse().unwrap(),
        urgency,
        channel: Channel::Scan,
        requester: RESIDENT,
        placed_by: RESIDENT,
        limits,
        dispatch_by: china("2026-03-04 10:00") + TimeDelta::seconds(limits.dispatch),
    }
}

/// Who wears this hat in these stories.
fn wearer(hat: Hat) -> Option<Uuid> {
    match hat {
        Hat::Requester => Some(RESIDENT),
        Hat::Operator => Some(OPERATOR),
        Hat::Offered | Hat::Worker => Some(WORKER),
        Hat::Leader => Some(LEADER),
        Hat::Dispatcher | Hat::Township => Some(DISPATCHER),
        Hat::Department => Some(OFFICIAL),
        Hat::Queue | Hat::Sweep => None,
    }
}

/// An order, all that ever happened to it, and the moment up to which it is told.
#[derive(Clone)]
struct Story {
    order: Order,
    records: Vec<Record>,
    now: DateTime<Utc>,
    quiet: QuietHours,
}

impl Story {
    /// Begins on a Wednesday of a month without holidays.
    fn of(placed: Placed) -> Story {
        let now = china("2026-03-04 10:00");
        let by = By { person: Some(placed.placed_by), hat: Hat::Requester };
        let records = vec![Record { at: now, by, event: Event::Placed(placed) }];
        Story { order: Order::fold(ORDER, &records).unwrap(), records, now, quiet: QuietHours::default() }
    }

    fn new() -> Story {
        Story::of(wish(Urgency::Normal))
    }

    fn context(&self) -> Context<'_> {
        Context { now: self.now, calendar: Calendar::china(), quiet: &self.quiet }
    }

    /// A command of a person with these hats. A refusal leaves no trace.
    fn by(&mut self, person: Option<Uuid>, hats: &[Hat], command: Command) -> Result<By, Refusal> {
        let (by, events) = decide(&self.order, command, person, Hats::of(hats), &self.context())?;
        for event in events {
            let record = Record { at: self.now, by, event };
            self.order.apply(&record);
            self.records.push(record);
        }
        Ok(by)
    }

    fn act(&mut self, hat: Hat, command: Command) -> Result<By, Refusal> {
        self.by(wearer(hat), &[hat], command)
    }

    /// What the refusal is; panics where the command goes through.
    fn refusal(&self, hat: Hat, command: Command) -> Refusal {
        self.clone().act(hat, command).expect_err("this has to be refused")
    }

    /// The story with one command more, a minute later.
    fn then(mut self, hat: Hat, command: Command) -> Story {
        self.now += TimeDelta::minutes(1);
        self.act(hat, command).unwrap();
        self
    }

    fn then_by(mut self, person: Uuid, hat: Hat, command: Command) -> Story {
        self.now += TimeDelta::minutes(1);
        self.by(Some(person), &[hat], command).unwrap();
        self
    }

    fn at(mut self, now: DateTime<Utc>) -> Story {
        self.now = now;
        self
    }

    fn after(self, span: TimeDelta) -> Story {
        let now = self.now + span;
        self.at(now)
    }

    fn offered(self) -> Story {
        self.then(Hat::Queue, offer(TO_TEAM))
    }

    fn promised(self) -> Story {
        self.offered().then(Hat::Offered, Command::Accept)
    }

    fn arrived(self) -> Story {
        self.promised().then(Hat::Worker, arrive())
    }

    fn completed(self) -> Story {
        self.promised().then(Hat::Worker, complete(60))
    }

    fn rated(self) -> Story {
        self.completed().then(Hat::Requester, rate(5))
    }

    fn closed(self) -> Story {
        self.after(WEEK).then(Hat::Sweep, Command::Close)
    }

    fn status(&self) -> Status {
        self.order.status()
    }

    fn promise(&self) -> &Engagement {
        self.order.engagement().unwrap()
    }

    fn open_offer(&self) -> &Offer {
        match &self.order.state {
            State::Dispatched { offer } => offer,
            other => panic!("no open offer: {other:?}"),
        }
    }

    fn allows(&self, hat: Hat, verb: Verb) -> bool {
        let who = wearer(hat).unwrap_or_default();
        allowed_actions(&self.order, Hats::of(&[hat]), who, &self.context()).contains(&verb)
    }
}

fn offer(to: Assignment) -> Command {
    Command::Dispatch { to, reason: Some(words("最近")) }
}

fn no_team() -> Command {
    Command::DispatchFailed { reason: words("没有可派的队伍") }
}

fn decline(reason: Option<&str>, whole_team: bool, others_left: bool) -> Command {
    Command::Decline { reason: reason.map(words), whole_team, others_left }
}

fn hand_over(to: Assignment) -> Command {
    Command::HandOver { to, reason: words("临时有事") }
}

fn arrive() -> Command {
    Command::Arrive { proof: Some(words("sign")) }
}

fn complete(minutes: i64) -> Command {
    Command::Complete { summary: words("已办好"), minutes }
}

fn ask() -> Command {
    Command::Wait { question: words("几点方便？") }
}

fn answer() -> Command {
    Command::Answer { answer: Some(words("下午")) }
}

fn rate(stars: u8) -> Command {
    Command::Rate { stars, solved: true, tags: vec![words("热情")], comment: Some(words("谢谢")) }
}

fn reopen() -> Command {
    Command::Reopen { reason: words("又坏了") }
}

fn cancel(reason: Option<&str>) -> Command {
    Command::Cancel { reason: reason.map(words) }
}

/// An order like these, that was offered to a team, and may lead others.
fn parent() -> Order {
    Order { id: PARENT, ..Story::new().offered().order }
}

fn merge() -> Command {
    Command::Merge { parent: Box::new(parent()) }
}

fn follow(event: Event) -> Command {
    Command::Follow { event: Box::new(event) }
}

fn done_elsewhere() -> Event {
    Event::Completed { completion: Story::new().completed().order.completion().unwrap().clone() }
}

fn whistle() -> Command {
    Command::Whistle { calls: vec![(CALL, DEPARTMENT)], demand: words("请派人到场") }
}

fn correct(term_days: i64) -> Command {
    Command::Correct {
        id: NOTICE, addressee: words("某超市"), demand: words("清理消防通道"), term_days
    }
}

fn inspect(passed: bool) -> Command {
    let term_days = (!passed).then_some(3);
    Command::Inspect { id: NOTICE, passed, findings: words("已查看"), term_days }
}

fn revisit() -> Command {
    Command::Revisit { outcome: Outcome::Solved, note: Some(words("已电话回访")) }
}

fn extend() -> Command {
    Command::Extend { reason: words("需要多方协调") }
}

fn help(order: Uuid, team: Uuid) -> Command {
    Command::Help { order, team, task: words("请带工具来") }
}

fn transfer(from: Uuid, to: Option<Assignment>, others_left: bool) -> Command {
    Command::Transfer { from, to, others_left, reason: words("他不再担任志愿者") }
}

fn escalate() -> Command {
    Command::Escalate { reason: words("超过办结时限") }
}

// ---- The table against the design ----

/// The design's table, copied by hand: command, from, to, who. One line of it may be several here; "unchanged" is a way
/// back to where one came from.
const DESIGN: &[[&str; 4]] = &[
    ["place", "–", "placed", "requester operator"],
    ["dispatch", "placed dispatched", "dispatched placed", "queue dispatcher"],
    ["dispatch", "accepted", "dispatched", "queue dispatcher"],
    ["accept", "dispatched", "accepted", "offered"],
    ["decline", "dispatched", "dispatched placed", "offered leader"],
    ["decline", "accepted", "placed", "worker leader"],
    ["hand-over", "accepted in_service", "dispatched", "worker leader dispatcher"],
    ["arrive", "accepted", "in_service", "worker"],
    ["complete", "accepted in_service", "completed", "worker"],
    ["wait", "accepted in_service", "waiting", "worker dispatcher"],
    ["answer", "waiting", "accepted in_service", "requester operator sweep"],
    ["rate", "completed", "rated", "requester operator"],
    ["reopen", "completed rated closed", "placed", "requester operator dispatcher"],
    ["cancel", "placed dispatched accepted in_service waiting", "cancelled", "requester dispatcher"],
    ["merge", "placed dispatched", "merged", "dispatcher"],
    ["close", "completed rated", "closed", "sweep"],
    ["escalate", "placed dispatched accepted in_service waiting", "unchanged", "sweep leader dispatcher"],
    ["urge", "placed dispatched accepted in_service waiting", "unchanged", "requester operator"],
    ["show", "completed rated closed", "unchanged", "requester worker"],
    // "show, urge, whistle, revisit, extend: as told below; unchanged; events and records of their own."
    ["extend", "accepted in_service", "unchanged", "leader dispatcher"],
    ["revisit", "rated closed", "unchanged", "township"],
    ["whistle", "placed dispatched accepted in_service waiting", "unchanged", "dispatcher"],
];

/// What the program adds to the design, and why.
const ADDED: &[[&str; 4]] = &[
    // "Nobody accepts in time → the next team": it is the sweep that notices.
    ["dispatch", "placed dispatched", "dispatched placed", "sweep"],
    // "Follows its parent": done when that one is done, on its own again when that one is called off.
    ["complete", "merged", "completed", "sweep"],
    ["lead", "placed dispatched accepted in_service waiting", "unchanged", "dispatcher"],
    ["part", "merged", "placed", "sweep"],
    // 报到: "each must check in on time, is timed, and is rated by the caller".
    ["check-in", "placed dispatched accepted in_service waiting completed rated", "unchanged", "department"],
    ["conclude", "placed dispatched accepted in_service waiting completed rated", "unchanged", "department"],
    [
        "rate-whistle",
        "placed dispatched accepted in_service waiting completed rated closed",
        "unchanged",
        "dispatcher",
    ],
    // "Corrective notices with a term and a re-inspection (限期整改、复查)".
    [
        "corrections",
        "placed dispatched accepted in_service waiting",
        "unchanged",
        "worker dispatcher department",
    ],
    ["inspect", "placed dispatched accepted in_service waiting", "unchanged", "worker dispatcher department"],
    // "Lead with helping teams (parent closes when the children do), transfer of all open work when somebody leaves".
    ["help", "placed dispatched accepted in_service waiting", "unchanged", "dispatcher"],
    ["help-ended", "placed dispatched accepted in_service waiting", "unchanged", "sweep"],
    ["release", "placed dispatched accepted in_service waiting", "cancelled", "sweep"],
    ["transfer", "dispatched accepted in_service waiting", "dispatched placed", "sweep"],
    // "Warn at 75 %"; "a step per breach, visible to all below, each with its notification".
    ["warn", "placed dispatched accepted in_service waiting completed rated", "unchanged", "sweep"],
];

/// What the program leaves out of the design, and why.
const LEFT_OUT: &[[&str; 4]] = &[
    // To overrule a promise takes a reason, and only people have one.
    ["dispatch", "accepted", "dispatched", "queue"],
    // A promise is given back by him who made it; the leader hands it over instead.
    ["decline", "accepted", "placed", "leader"],
];

/// One way through the table: command, from, to, who.
type Way = [&'static str; 4];

fn ways(rows: &[Way]) -> BTreeSet<Way> {
    let mut ways = BTreeSet::new();
    for [verb, froms, tos, whos] in rows {
        for from in froms.split(' ') {
            for to in tos.split(' ') {
                let to = if to == "unchanged" { from } else { to };
                ways.extend(whos.split(' ').map(|who| [*verb, from, to, who]));
            }
        }
    }
    ways
}

/// The ways of the design with the program's deviations.
fn agreed() -> BTreeSet<Way> {
    let (added, left_out) = (ways(ADDED), ways(LEFT_OUT));
    ways(DESIGN).union(&added).copied().collect::<BTreeSet<Way>>().difference(&left_out).copied().collect()
}

/// The ways of the program's own table.
fn ways_of_moves() -> BTreeSet<Way> {
    let mut ways = BTreeSet::new();
    for row in MOVES {
        let verb = row.verb.segment();
        let whos = row.who.iter().map(|hat| hat.as_str());
        for who in whos {
            if row.from.is_empty() {
                ways.extend(row.to.iter().map(|to| [verb, "–", to.as_str(), who]));
            } else if row.from == row.to {
                ways.extend(row.from.iter().map(|same| [verb, same.as_str(), same.as_str(), who]));
            } else {
                let pairs = row.from.iter().flat_map(|from| row.to.iter().map(move |to| (from, to)));
                ways.extend(pairs.map(|(from, to)| [verb, from.as_str(), to.as_str(), who]));
            }
        }
    }
    ways
}

#[test]
fn the_table_is_the_designs_but_for_the_named_deviations() {
    let (design, added, left_out) = (ways(DESIGN), ways(ADDED), ways(LEFT_OUT));
    assert!(added.is_disjoint(&design), "these are in the design: {:?}", added.intersection(&design));
    assert!(left_out.is_subset(&design), "not in the design: {:?}", left_out.difference(&design));
    let (agreed, own) = (agreed(), ways_of_moves());
    let missing: Vec<_> = agreed.difference(&own).collect();
    let extra: Vec<_> = own.difference(&agreed).collect();
    assert!(missing.is_empty() && extra.is_empty(), "missing: {missing:?}\nextra: {extra:?}");
}

#[test]
fn every_word_of_the_design_is_a_word_of_the_program() {
    let known = |word: &str| {
        Verb::ALL.iter().any(|verb| verb.segment() == word)
            || Status::ALL.iter().any(|status| status.as_str() == word)
            || Hat::ALL.iter().any(|hat| hat.as_str() == word)
    };
    for word in DESIGN.iter().flatten().flat_map(|cell| cell.split(' ')) {
        assert!(known(word) || ["–", "unchanged"].contains(&word), "{word}");
    }
    for verb in Verb::ALL {
        assert!(moves_of(verb).next().is_some(), "{verb:?} has no row");
        // 限期整改 is asked for of the order's notices, and this is their path.
        let segment = if verb == Verb::Correct { "correct" } else { verb.segment() };
        assert_eq!(serde_json::to_value(verb).unwrap(), segment);
    }
    for status in Status::ALL {
        assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
    }
    for hat in Hat::ALL {
        assert_eq!(serde_json::to_value(hat).unwrap(), hat.as_str());
    }
}

/// What stands above the line is written by hand; what stands below it is the table.
const GENERATED: &str = "<!-- Below this line: generated from crates/domain/src/order/moves.rs. -->\n\n";

#[test]
fn the_documentation_shows_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/lifecycle.md");
    let text = std::fs::read_to_string(path).expect("docs/lifecycle.md is part of the repository");
    let (by_hand, table) = text.split_once(GENERATED).expect("the line that parts prose and table is there");
    if std::env::var("XINGFUMA_RENEW").is_ok_and(|renew| renew == "1") {
        std::fs::write(path, format!("{by_hand}{GENERATED}{}", as_markdown())).unwrap();
        return;
    }
    assert!(
        table == as_markdown(),
        "docs/lifecycle.md is out of date; renew it: XINGFUMA_RENEW=1 cargo test -p xingfuma-domain the_documentation"
    );
}

// ---- Every (state, command, hat) ----

/// A team-mate promised, and handed it over to the worker of these stories.
fn handed_to_worker(story: Story) -> Story {
    let promised = story.offered().then_by(TEAMMATE, Hat::Offered, Command::Accept);
    promised.then_by(TEAMMATE, Hat::Worker, hand_over(to_named(WORKER)))
}

/// The promise was not kept in time, and the sweep has told so.
fn told_overdue(story: Story) -> Story {
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
fn lives(status: Status) -> Vec<Story> {
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
fn commands(verb: Verb) -> Vec<Command> {
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

// ---- Guards, one by one ----

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

// ---- Random lives ----

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

mod beside;
mod helping;
