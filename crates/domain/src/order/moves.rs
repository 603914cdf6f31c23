//! The one table of legal moves (domain.md, "The lifecycle").

use super::command::Context;
use super::feasible::feasible;
use super::state::Order;
use super::status::Status;

pub use super::hat::{Hat, Hats};
pub use super::verb::Verb;

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
