//! The life of an order: 点 place → 派 dispatch → 接 accept → 评 rate → 晒 show.
//!
//! Three rooms, in the order in which data flows:
//! * [`moves`]: the one table of legal moves. The API's `allowedActions`, the documentation's diagram and the
//!   tests are generated from it. Its words are in `verb`, `hat` and `status`.
//! * [`decide`]: `decide(order, command, by, context)` answers with events or a [`Refusal`]; it changes nothing. The words
//!   that it is asked in are in `command`, its guards in `feasible`, why it says no in `refusal`.
//! * `state`: what an order is; [`Order::apply`] folds events into it. `fold(events)` is always the row. From the offer to
//!   the rating its facts are in `promise`.
//!
//! Beside them: `clocks`, the time that runs and who is told of it; `due`, when an order wakes next; `following`,
//! merging, extension and revisit; `helping`, several teams at one order; `whistle` and `correction`, what departments
//! and the enforcement owe.
//!
//! Free text in commands is masked before it comes here (`xingfuma_domain::masking`), so events hold none of it whole.

mod apply;
mod clocks;
mod command;
mod correction;
mod decide;
mod due;
mod event;
mod feasible;
mod following;
mod hat;
mod helping;
pub mod moves;
mod promise;
mod refusal;
mod state;
mod status;
mod verb;
mod whistle;

pub use clocks::{Clock, Stage, Told};
pub use command::{By, Command, Context, MINUTES_AT_MOST};
pub use correction::{Correction, Inspection, TERM_DAYS_AT_MOST};
pub use decide::decide;
pub use due::{Due, DueKind};
pub use event::{Event, Placed, Record};
pub use feasible::{feasible, may_take};
pub use following::{FOLLOWERS_AT_MOST, Follower, Outcome, REVISIT_WITHIN_SECONDS, Revisit, follow};
pub use hat::{Hat, Hats};
pub use helping::{HELPERS_AT_MOST, Helper, ends_help, helping};
pub use moves::{MOVES, Move, allowed_actions};
pub use promise::{Assignment, Completion, Engagement, Offer, Rating};
pub use refusal::Refusal;
pub use state::{Channel, Kind, Order, State};
pub use status::{Status, Step};
pub use verb::Verb;
pub use whistle::{Conclusion, WHISTLES_AT_MOST, Whistle, WhistleRating, check_in_seconds};

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
