//! The life of an order: 点 place → 派 dispatch → 接 accept → 评 rate → 晒 show.
//!
//! Three rooms, in the order in which data flows:
//! * [`moves`]: the one table of legal moves. The API's `allowedActions`, the documentation's diagram and the
//!   tests are generated from it.
//! * [`decide`]: `decide(order, command, by, context)` answers with events or a [`Refusal`]; it changes nothing.
//! * `state`: what an order is; [`Order::apply`] folds events into it. `fold(events)` is always the row.
//!
//! Free text in commands is masked before it comes here (`xingfuma_domain::masking`), so events hold none of it whole.

mod decide;
mod event;
pub mod moves;
mod state;

pub use decide::{By, Command, Context, MINUTES_AT_MOST, Refusal, decide, feasible, may_take};
pub use event::{Event, Placed, Record};
pub use moves::{Hat, Hats, MOVES, Move, Verb, allowed_actions};
pub use state::{
    Assignment, Channel, Completion, Due, DueKind, Engagement, Kind, Offer, Order, Rating, State, Status,
    Step,
};

/// Reopening and rating are open this long after completion (domain.md, "The lifecycle"), in seconds.
pub const AFTERCARE_SECONDS: i64 = 7 * 24 * 3600;
/// A question to the resident stands this long before the order goes back to work, in seconds.
pub const WAITING_SECONDS: i64 = 7 * 24 * 3600;
/// How often one order may be reopened.
pub const REOPENINGS_AT_MOST: u32 = 2;
/// Two urges of one order lie at least this far apart, in seconds.
pub const URGE_EVERY_SECONDS: i64 = 30 * 60;
/// How long a placed order may wait for its hint before the sweep looks at it, in seconds.
pub const HINT_GRACE_SECONDS: i64 = 2;

#[cfg(test)]
mod tests;
