//! The one table of legal moves (domain.md, "The lifecycle").

use serde::{Deserialize, Serialize};

use super::command::Context;
use super::feasible::feasible;
use super::state::{Order, Status};

/// A command's name: the word of the glossary, of the endpoint and of `allowedActions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// 点
    Place,
    /// 派
    Dispatch,
    /// 接
    Accept,
    /// 退单
    Decline,
    /// 转单
    HandOver,
    /// The volunteer is there.
    Arrive,
    /// Done.
    Complete,
    /// Ask the resident; clocks stand still.
    Wait,
    /// The resident's answer.
    Answer,
    /// 评
    Rate,
    /// 返工
    Reopen,
    /// Call off.
    Cancel,
    /// The end.
    Close,
    /// Up a level.
    Escalate,
    /// 催单
    Urge,
    /// 晒
    Show,
    /// It is the same as another order, and follows that one.
    Merge,
    /// Another order follows this one.
    Lead,
    /// The order that it followed was called off.
    Part,
    /// Another team helps, by an order of its own.
    Help,
    /// A helping order has come to its end.
    HelpEnded,
    /// The order that it helps was called off.
    Release,
    /// Handed on, because the volunteer who holds it leaves.
    Transfer,
    /// More time, once.
    Extend,
    /// 回访
    Revisit,
    /// 吹哨
    Whistle,
    /// 报到
    CheckIn,
    /// A department's result.
    Conclude,
    /// The rating of a department's result.
    RateWhistle,
    /// 限期整改
    Correct,
    /// 复查
    Inspect,
    /// Telling of a clock before, or at, its end.
    Warn,
}

impl Verb {
    /// Every command.
    pub const ALL: [Verb; 32] = [
        Verb::Place,
        Verb::Dispatch,
        Verb::Accept,
        Verb::Decline,
        Verb::HandOver,
        Verb::Arrive,
        Verb::Complete,
        Verb::Wait,
        Verb::Answer,
        Verb::Rate,
        Verb::Reopen,
        Verb::Cancel,
        Verb::Close,
        Verb::Escalate,
        Verb::Urge,
        Verb::Show,
        Verb::Merge,
        Verb::Lead,
        Verb::Part,
        Verb::Help,
        Verb::HelpEnded,
        Verb::Release,
        Verb::Transfer,
        Verb::Extend,
        Verb::Revisit,
        Verb::Whistle,
        Verb::CheckIn,
        Verb::Conclude,
        Verb::RateWhistle,
        Verb::Correct,
        Verb::Inspect,
        Verb::Warn,
    ];

    /// The path segment in the API.
    pub const fn segment(self) -> &'static str {
        match self {
            Verb::Place => "place",
            Verb::Dispatch => "dispatch",
            Verb::Accept => "accept",
            Verb::Decline => "decline",
            Verb::HandOver => "hand-over",
            Verb::Arrive => "arrive",
            Verb::Complete => "complete",
            Verb::Wait => "wait",
            Verb::Answer => "answer",
            Verb::Rate => "rate",
            Verb::Reopen => "reopen",
            Verb::Cancel => "cancel",
            Verb::Close => "close",
            Verb::Escalate => "escalate",
            Verb::Urge => "urge",
            Verb::Show => "show",
            Verb::Merge => "merge",
            Verb::Lead => "lead",
            Verb::Part => "part",
            Verb::Help => "help",
            Verb::HelpEnded => "help-ended",
            Verb::Release => "release",
            Verb::Transfer => "transfer",
            Verb::Extend => "extend",
            Verb::Revisit => "revisit",
            Verb::Whistle => "whistle",
            Verb::CheckIn => "check-in",
            Verb::Conclude => "conclude",
            Verb::RateWhistle => "rate-whistle",
            Verb::Correct => "corrections",
            Verb::Inspect => "inspect",
            Verb::Warn => "warn",
        }
    }
}

impl Verb {
    /// It is not asked for of the order itself but of a call or a notice, which says what may be done with it, or of the
    /// order that is to follow.
    pub const fn is_asked_elsewhere(self) -> bool {
        matches!(self, Verb::CheckIn | Verb::Conclude | Verb::RateWhistle | Verb::Inspect | Verb::Lead)
    }
}

/// What somebody is to one order: a role in relation to it, not a role in the county.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u16)]
pub enum Hat {
    /// The resident who ordered.
    Requester = 1,
    /// The operator who entered it for a caller.
    Operator = 2,
    /// A volunteer to whom it is or was offered.
    Offered = 4,
    /// The volunteer who promised to come.
    Worker = 8,
    /// The leader of the team that holds it.
    Leader = 16,
    /// A dispatcher whose area contains it.
    Dispatcher = 32,
    /// The dispatch queue's worker.
    Queue = 64,
    /// Time passing.
    Sweep = 128,
    /// A dispatcher of the township, or above, that contains it: what a village may not do about its own work.
    Township = 256,
    /// A member of a department that was whistled for it.
    Department = 512,
}

impl Hat {
    /// Every hat.
    pub const ALL: [Hat; 10] = [
        Hat::Requester,
        Hat::Operator,
        Hat::Offered,
        Hat::Worker,
        Hat::Leader,
        Hat::Dispatcher,
        Hat::Queue,
        Hat::Sweep,
        Hat::Township,
        Hat::Department,
    ];

    /// The name in JSON and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Hat::Requester => "requester",
            Hat::Operator => "operator",
            Hat::Offered => "offered",
            Hat::Worker => "worker",
            Hat::Leader => "leader",
            Hat::Dispatcher => "dispatcher",
            Hat::Queue => "queue",
            Hat::Sweep => "sweep",
            Hat::Township => "township",
            Hat::Department => "department",
        }
    }
}

/// A set of hats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hats(u16);

impl Hats {
    /// Nobody.
    pub const NONE: Hats = Hats(0);

    /// The set of these hats.
    pub fn of(hats: &[Hat]) -> Hats {
        hats.iter().copied().collect()
    }

    /// Adds one.
    pub fn insert(&mut self, hat: Hat) {
        self.0 |= hat as u16;
    }

    /// Whether it is worn.
    pub fn has(self, hat: Hat) -> bool {
        self.0 & hat as u16 != 0
    }

    /// Whether none is worn.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The first of `among` that is worn: the one in which a command is done.
    pub fn first_of(self, among: &[Hat]) -> Option<Hat> {
        among.iter().copied().find(|hat| self.has(*hat))
    }
}

impl FromIterator<Hat> for Hats {
    fn from_iter<I: IntoIterator<Item = Hat>>(hats: I) -> Hats {
        let mut set = Hats::NONE;
        hats.into_iter().for_each(|hat| set.insert(hat));
        set
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Move {
    /// The command.
    pub verb: Verb,
    /// The states it starts from; none for `place`.
    pub from: &'static [Status],
    /// The states it may lead to.
    pub to: &'static [Status],
    /// Who may do it.
    pub who: &'static [Hat],
    /// What else holds.
    pub note: &'static str,
}

use Hat as H;
use Status as S;

const OPEN: &[Status] = &[S::Placed, S::Dispatched, S::Accepted, S::InService, S::Waiting];
/// As long as something may come of it by itself.
const ALIVE: &[Status] =
    &[S::Placed, S::Dispatched, S::Accepted, S::InService, S::Waiting, S::Completed, S::Rated];

/// All legal moves. A (state, command) pair that has no row is forbidden.
pub const MOVES: &[Move] = &[
    Move {
        verb: Verb::Place,
        from: &[],
        to: &[S::Placed],
        who: &[H::Requester, H::Operator],
        note: "resident, operator, volunteer on patrol",
    },
    Move {
        verb: Verb::Dispatch,
        from: &[S::Placed, S::Dispatched],
        to: &[S::Dispatched, S::Placed],
        who: &[H::Queue, H::Sweep, H::Dispatcher],
        note: "epoch + 1; no team left: stays placed, a level up, on the board with the reason",
    },
    Move {
        verb: Verb::Dispatch,
        from: &[S::Accepted],
        to: &[S::Dispatched],
        who: &[H::Dispatcher],
        note: "overrules a promise; with a reason",
    },
    Move {
        verb: Verb::Accept,
        from: &[S::Dispatched],
        to: &[S::Accepted],
        who: &[H::Offered],
        note: "exactly one wins; never one's own order",
    },
    Move {
        verb: Verb::Decline,
        from: &[S::Dispatched],
        to: &[S::Dispatched, S::Placed],
        who: &[H::Leader, H::Offered],
        note: "free; placed again when nobody holds the offer any more",
    },
    Move {
        verb: Verb::Decline,
        from: &[S::Accepted],
        to: &[S::Placed],
        who: &[H::Worker],
        note: "gives a promise back; with a reason",
    },
    Move {
        verb: Verb::HandOver,
        from: &[S::Accepted, S::InService],
        to: &[S::Dispatched],
        who: &[H::Worker, H::Leader, H::Dispatcher],
        note: "to a named volunteer; epoch + 1; the completion clock runs on",
    },
    Move {
        verb: Verb::Arrive,
        from: &[S::Accepted],
        to: &[S::InService],
        who: &[H::Worker],
        note: "by sign, badge or word",
    },
    Move {
        verb: Verb::Complete,
        from: &[S::Accepted, S::InService],
        to: &[S::Completed],
        who: &[H::Worker],
        note: "after arriving where the category asks for it",
    },
    Move {
        verb: Verb::Wait,
        from: &[S::Accepted, S::InService],
        to: &[S::Waiting],
        who: &[H::Worker, H::Dispatcher],
        note: "clocks stand still for at most 7 days",
    },
    Move {
        verb: Verb::Answer,
        from: &[S::Waiting],
        to: &[S::Accepted, S::InService],
        who: &[H::Requester, H::Operator, H::Sweep],
        note: "back to the state before",
    },
    Move {
        verb: Verb::Rate,
        from: &[S::Completed],
        to: &[S::Rated],
        who: &[H::Requester, H::Operator],
        note: "once per completion",
    },
    Move {
        verb: Verb::Reopen,
        from: &[S::Completed, S::Rated, S::Closed],
        to: &[S::Placed],
        who: &[H::Requester, H::Operator, H::Dispatcher],
        note: "within 7 days of completion, at most twice",
    },
    Move {
        verb: Verb::Cancel,
        from: OPEN,
        to: &[S::Cancelled],
        who: &[H::Requester, H::Dispatcher],
        note: "a reason from a dispatcher, and from the resident once accepted",
    },
    Move {
        verb: Verb::Close,
        from: &[S::Completed, S::Rated],
        to: &[S::Closed],
        who: &[H::Sweep],
        note: "7 days after completion",
    },
    Move {
        verb: Verb::Escalate,
        from: OPEN,
        to: OPEN,
        who: &[H::Sweep, H::Leader, H::Dispatcher],
        note: "unchanged, a level up",
    },
    Move {
        verb: Verb::Urge,
        from: OPEN,
        to: OPEN,
        who: &[H::Requester, H::Operator],
        note: "unchanged; at most every 30 minutes",
    },
    Move {
        verb: Verb::Show,
        from: &[S::Completed, S::Rated, S::Closed],
        to: &[S::Completed, S::Rated, S::Closed],
        who: &[H::Requester, H::Worker],
        note: "unchanged; a post that waits for consents and a moderator",
    },
    Move {
        verb: Verb::Merge,
        from: &[S::Placed, S::Dispatched],
        to: &[S::Merged],
        who: &[H::Dispatcher],
        note: "follows another order that is open; never one that leads others",
    },
    Move {
        verb: Verb::Lead,
        from: OPEN,
        to: OPEN,
        who: &[H::Dispatcher],
        note: "unchanged; another order follows this one, in the same transaction as its merge",
    },
    Move {
        verb: Verb::Complete,
        from: &[S::Merged],
        to: &[S::Completed],
        who: &[H::Sweep],
        note: "with the order that it follows, in the same transaction",
    },
    Move {
        verb: Verb::Part,
        from: &[S::Merged],
        to: &[S::Placed],
        who: &[H::Sweep],
        note: "the order that it followed was called off: placed again, in the same transaction",
    },
    Move {
        verb: Verb::Help,
        from: OPEN,
        to: OPEN,
        who: &[H::Dispatcher],
        note: "unchanged; another team gets a helping order, which has to end before this one is completed",
    },
    Move {
        verb: Verb::HelpEnded,
        from: OPEN,
        to: OPEN,
        who: &[H::Sweep],
        note: "unchanged; a helping order was completed or called off, in the same transaction",
    },
    Move {
        verb: Verb::Release,
        from: OPEN,
        to: &[S::Cancelled],
        who: &[H::Sweep],
        note: "a helping order, with the order that it helps, in the same transaction",
    },
    Move {
        verb: Verb::Transfer,
        from: &[S::Dispatched, S::Accepted, S::InService, S::Waiting],
        to: &[S::Dispatched, S::Placed],
        who: &[H::Sweep],
        note: "its volunteer leaves: to a named one, else his team, else placed again; the completion clock runs on",
    },
    Move {
        verb: Verb::Extend,
        from: &[S::Accepted, S::InService],
        to: &[S::Accepted, S::InService],
        who: &[H::Leader, H::Dispatcher],
        note: "unchanged; once, before the time is over, where the limits have an extension; with a reason",
    },
    Move {
        verb: Verb::Revisit,
        from: &[S::Rated, S::Closed],
        to: &[S::Rated, S::Closed],
        who: &[H::Township],
        note: "unchanged; the outcome of a revisit that a poor rating has opened, once",
    },
    Move {
        verb: Verb::Whistle,
        from: OPEN,
        to: OPEN,
        who: &[H::Dispatcher],
        note: "unchanged; calls departments, each with its own clock",
    },
    Move {
        verb: Verb::CheckIn,
        from: ALIVE,
        to: ALIVE,
        who: &[H::Department],
        note: "unchanged; a department that was called",
    },
    Move {
        verb: Verb::Conclude,
        from: ALIVE,
        to: ALIVE,
        who: &[H::Department],
        note: "unchanged; after checking in",
    },
    Move {
        verb: Verb::RateWhistle,
        from: &[
            S::Placed,
            S::Dispatched,
            S::Accepted,
            S::InService,
            S::Waiting,
            S::Completed,
            S::Rated,
            S::Closed,
        ],
        to: &[
            S::Placed,
            S::Dispatched,
            S::Accepted,
            S::InService,
            S::Waiting,
            S::Completed,
            S::Rated,
            S::Closed,
        ],
        who: &[H::Dispatcher],
        note: "unchanged; whoever called, once, when there is a result",
    },
    Move {
        verb: Verb::Correct,
        from: OPEN,
        to: OPEN,
        who: &[H::Worker, H::Dispatcher, H::Department],
        note: "unchanged; a report's corrective notice with a term; it is not completed before the re-inspection",
    },
    Move {
        verb: Verb::Inspect,
        from: OPEN,
        to: OPEN,
        who: &[H::Worker, H::Dispatcher, H::Department],
        note: "unchanged; put right, or a new term",
    },
    Move {
        verb: Verb::Warn,
        from: ALIVE,
        to: ALIVE,
        who: &[H::Sweep],
        note: "unchanged; tells that three quarters of a clock's time are over, or all of it, once each",
    },
];

/// The rows of one command.
pub fn moves_of(verb: Verb) -> impl Iterator<Item = &'static Move> {
    MOVES.iter().filter(move |row| row.verb == verb)
}

/// The row of a command in a state, if it is legal there.
pub fn legal(verb: Verb, from: Status, hats: Hats) -> Option<(&'static Move, Hat)> {
    moves_of(verb)
        .filter(|row| row.from.contains(&from))
        .find_map(|row| hats.first_of(row.who).map(|hat| (row, hat)))
}

/// Whether somebody with these hats may ever do this to an order, whatever its state.
pub fn ever(verb: Verb, hats: Hats) -> bool {
    moves_of(verb).any(|row| hats.first_of(row.who).is_some())
}

/// What somebody with these hats may do to the order now: the API's `allowedActions`.
pub fn allowed_actions(order: &Order, hats: Hats, who: uuid::Uuid, context: &Context<'_>) -> Vec<Verb> {
    Verb::ALL
        .into_iter()
        .filter(|verb| *verb != Verb::Place && !verb.is_asked_elsewhere())
        .filter(|verb| {
            legal(*verb, order.status(), hats)
                .is_some_and(|(_, hat)| feasible(order, *verb, hat, Some(who), context).is_ok())
        })
        .collect()
}

/// The table as a Markdown table and a Mermaid diagram, for the documentation.
pub fn as_markdown() -> String {
    let names = |list: &[Status]| list.iter().map(|status| status.as_str()).collect::<Vec<_>>().join(", ");
    let mut text = String::from("| command | from | to | who | note |\n| --- | --- | --- | --- | --- |\n");
    for row in MOVES {
        let who = row.who.iter().map(|hat| hat.as_str()).collect::<Vec<_>>().join(", ");
        let from = if row.from.is_empty() { "–".to_owned() } else { names(row.from) };
        let to = if row.from == row.to { "unchanged".to_owned() } else { names(row.to) };
        text.push_str(&format!("| `{}` | {from} | {to} | {who} | {} |\n", row.verb.segment(), row.note));
    }
    text.push_str("\n```mermaid\nstateDiagram-v2\n    [*] --> placed: place\n");
    for row in MOVES.iter().filter(|row| row.from != row.to && !row.from.is_empty()) {
        for from in row.from {
            for to in row.to.iter().filter(|to| *to != from) {
                text.push_str(&format!(
                    "    {} --> {}: {}\n",
                    from.as_str(),
                    to.as_str(),
                    row.verb.segment()
                ));
            }
        }
    }
    text.push_str("    closed --> [*]\n    cancelled --> [*]\n```\n");
    text
}
