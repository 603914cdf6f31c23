//! The lifecycle: the stories that its tests tell. The tests themselves are in the files beside: the table against the
//! design, every (state, command, hat), every guard, random lives, and what stands beside the five steps.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::*;
use crate::area::Level;
use crate::deadline::{Calendar, QuietHours, TimeLimits, Urgency};

mod beside;
mod guards;
mod helping;
mod random;
mod table;
mod triples;

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
