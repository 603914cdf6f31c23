//! The dispatch queue: hints that wake a worker when an order waits to be dispatched (派).
//!
//! # What it is
//!
//! The database is the truth, the queue is a hint. After a commit that leaves an order waiting, the process that
//! committed pushes a [`Hint`], and a worker that blocks in [`DispatchQueue::claim`] has it within milliseconds.
//! Nothing depends on its arriving: the sweep reads the table of what is due and finds whatever the queue lost.
//! Nothing depends on its arriving only once either: a worker that claims a hint looks at the order, and the order's
//! epoch tells a hint that was overtaken from one that still holds.
//!
//! So every method may fail, and a caller that meets an error goes on without the queue. It waits a moment before it
//! asks again, because an error (a refused connection) may come at once.
//!
//! # Its data
//!
//! A hint is *waiting* until a consumer claims it, then *pending* until that consumer acknowledges it, which deletes
//! it. What has been pending for too long is reclaimed by any consumer, and each delivery is counted. What failed too
//! often is buried by the worker: it becomes a *dead letter* with a reason, until somebody replays it.
//! A [`Delivery`] carries a receipt, the name of that entry in the queue; acknowledging by receipt is allowed to
//! whoever ever held it, since an acknowledgement says "the database has it" and that is true whoever says so.
//!
//! # What a crash leaves
//!
//! - A worker that dies leaves its deliveries pending; another one reclaims them, with `attempt` one higher.
//! - A process that dies between commit and push leaves no hint; the sweep finds the order.
//! - [`MemoryQueue`] dies with its process, and so do its dead letters; the mark on the order is in the database.
//! - [`RedisQueue`] survives what Redis survives. A Redis that comes back empty is a queue that comes back empty.
//!
//! [`Pusher`] stands between a request and the queue so that no request ever waits for Redis.
//! [`fanout`] tells every process that an order has changed.
//! [`limiter`] counts how often something was done, in the same Redis or in memory.
//! The module `exercise` (feature `exercise`) holds the checks that both implementations pass.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

pub mod examine;
#[cfg(any(test, feature = "exercise"))]
pub mod exercise;
pub mod fanout;
pub mod limiter;
mod link;
mod memory;
mod nodes;
mod pusher;
mod streams;

pub use memory::MemoryQueue;
pub use pusher::Pusher;
pub use streams::RedisQueue;

/// The longest that one [`DispatchQueue::claim`] waits, whatever it was asked for: a connection that died unseen is
/// found out after this time.
pub const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The longest reason that is kept with a dead letter, in characters; the rest is cut off.
pub const LONGEST_REASON: usize = 500;

/// A hint that an order waits to be dispatched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hint {
    /// The order.
    pub order_id: Uuid,
    /// The order's epoch when the hint was given: it goes up with each dispatch, so an older hint is void.
    pub epoch: i64,
}

/// A hint in the hands of one consumer, until it is acknowledged, buried, or reclaimed by another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// What was pushed.
    pub hint: Hint,
    /// The entry's name in the queue; means nothing outside the queue that gave it.
    pub receipt: String,
    /// How often this entry has been delivered, this time included: 1 is the first delivery.
    pub attempt: u32,
}

/// A hint that was put aside because handling it failed again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// What was pushed.
    pub hint: Hint,
    /// The attempt after which it was given up.
    pub attempt: u32,
    /// Why, in the worker's words; at most [`LONGEST_REASON`] characters.
    pub reason: String,
}

/// How much lies in the queue, in hints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Pushed and claimed by nobody yet.
    pub waiting: u64,
    /// Claimed and not yet acknowledged.
    pub pending: u64,
    /// Dead letters.
    pub dead: u64,
}

/// Why the queue did not do what it was asked. A caller goes on without it: the sweep finds what was not pushed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// The address or the prefix cannot be used; only construction answers so. Never holds the address itself,
    /// which may contain a password.
    #[error("the queue cannot be set up: {0}")]
    Settings(String),
    /// Nothing answers at the address, or not in time. What was asked may have been done all the same.
    #[error("the queue is out of reach: {0}")]
    Unreachable(String),
    /// Redis answered with an error, such as being out of memory, loading, or a key of another type.
    #[error("the queue refused: {0}")]
    Refused(String),
}

/// A queue of hints with several producers and several consumers, each hint for one consumer at a time.
///
/// All methods may be called from many tasks at once. Dropping the future of any of them is safe; a hint that was
/// just being claimed then stays pending and is reclaimed.
#[async_trait]
pub trait DispatchQueue: Send + Sync + 'static {
    /// Adds hints, in this order. The same hint pushed twice is delivered twice.
    ///
    /// # Errors
    /// When the queue is out of reach or refuses; some of the hints may have been added then.
    async fn push(&self, hints: &[Hint]) -> Result<(), QueueError>;

    /// Takes up to `max` waiting hints for `consumer`, the oldest first. When none waits, waits at most `wait`
    /// (and [`LONGEST_WAIT`]) for the first, and answers with an empty list when none came.
    ///
    /// # Errors
    /// When the queue is out of reach or refuses. What it had handed over by then is pending and will be reclaimed.
    async fn claim(&self, consumer: &str, max: usize, wait: Duration) -> Result<Vec<Delivery>, QueueError>;

    /// Acknowledges and deletes what was handled, after the commit. Unknown receipts are passed over.
    ///
    /// # Errors
    /// When the queue is out of reach or refuses; the deliveries come back by reclaim then, and are void by epoch.
    async fn ack(&self, deliveries: &[Delivery]) -> Result<(), QueueError>;

    /// Takes over, for `consumer`, up to `max` deliveries that have been pending for longer than `idle` whoever holds
    /// them (itself included: it may have died and come back, or dropped a claim), and counts one delivery more.
    ///
    /// # Errors
    /// When the queue is out of reach or refuses.
    async fn reclaim(&self, consumer: &str, idle: Duration, max: usize) -> Result<Vec<Delivery>, QueueError>;

    /// Puts a pending delivery aside as a dead letter. There is one dead letter an order, that of its highest epoch.
    /// A delivery that is no longer pending (acknowledged by another, lost with Redis) is not buried.
    ///
    /// # Errors
    /// When the queue is out of reach or refuses.
    async fn bury(&self, delivery: &Delivery, reason: &str) -> Result<(), QueueError>;

    /// Up to `limit` dead letters, the latest first.
    ///
    /// # Errors
    /// When the queue is out of reach or refuses.
    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, QueueError>;

    /// Pushes an order's dead letter again, as a new entry whose first delivery is attempt 1. False when the order has
    /// no dead letter.
    ///
    /// # Errors
    /// When the queue is out of reach or refuses.
    async fn replay(&self, order_id: Uuid) -> Result<bool, QueueError>;

    /// How much lies in the queue.
    ///
    /// # Errors
    /// When the queue is out of reach or refuses.
    async fn depth(&self) -> Result<Depth, QueueError>;

    /// Whether the queue answers.
    ///
    /// # Errors
    /// When it does not.
    async fn ping(&self) -> Result<(), QueueError>;
}

/// Cuts a reason to [`LONGEST_REASON`] characters, so that no error text fills the queue's memory.
fn shortened(reason: &str) -> &str {
    reason.char_indices().nth(LONGEST_REASON).map_or(reason, |(end, _)| &reason[..end])
}
