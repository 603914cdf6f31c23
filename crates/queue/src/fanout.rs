//! Telling every process that an order has changed, so that streams of events reach whoever listens wherever he is
//! connected.
//!
//! A [`Word`] says which order stands at which version now; what it says of the order is read from the database, in the
//! reader's scope. Words are hints like those of the dispatch queue: one that is lost is a screen that is read again later,
//! never a wrong screen. The latest [`KEPT`] words are kept, so that somebody whose connection broke can go on after the
//! last word that he has seen; whoever was away for longer is told to read everything again.
//!
//! In memory for one process ([`MemoryFanout`]); a Redis Stream for several ([`RedisFanout`]), cut at [`KEPT`] entries:
//! nobody has work pending in it, so cutting destroys nothing. A crash, or Redis wiped, leaves ids that nobody knows any
//! more, and that is what a reader is told.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use redis::streams::{StreamId, StreamRangeReply, StreamReadReply};
use redis::{cmd, pipe};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::QueueError;
use crate::link::{Link, Readers};
use crate::nodes::Nodes;

/// How many words are kept for those whose connection broke.
pub const KEPT: usize = 10_000;
/// The most words in one round trip.
const LARGEST_BATCH: usize = 500;
/// The longest that one [`Fanout::after`] waits.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// That an order has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Its name in the fan-out: two numbers and a dash, greater than those before it.
    pub id: String,
    /// The order.
    pub order_id: Uuid,
    /// Its version at that moment.
    pub version: i64,
}

/// Words to all processes.
#[async_trait]
pub trait Fanout: Send + Sync + 'static {
    /// Says that these orders stand at these versions now.
    ///
    /// # Errors
    /// When it is out of reach; the words are lost then.
    async fn tell(&self, words: &[(Uuid, i64)]) -> Result<(), QueueError>;

    /// The id of the latest word, none where none is kept.
    ///
    /// # Errors
    /// When it is out of reach.
    async fn latest(&self) -> Result<Option<String>, QueueError>;

    /// Words after this id (all that are kept, without one), the oldest first; waits at most `wait` for the first.
    ///
    /// # Errors
    /// When it is out of reach.
    async fn after(&self, id: Option<&str>, max: usize, wait: Duration) -> Result<Vec<Word>, QueueError>;

    /// Whether this word is still kept, so that everything after it is, too.
    ///
    /// # Errors
    /// When it is out of reach.
    async fn keeps(&self, id: &str) -> Result<bool, QueueError>;
}

/// The fan-out inside one process.
#[derive(Debug)]
pub struct MemoryFanout {
    /// Tells the ids of one life of the process from those of another.
    life: u64,
    state: Mutex<State>,
    told: Notify,
}

/// What was told, each with its number, the latest last.
#[derive(Debug, Default)]
struct State {
    last: u64,
    words: VecDeque<(u64, Uuid, i64)>,
}

impl MemoryFanout {
    /// An empty one. `life` is greater than that of any before it, for example the milliseconds of the moment.
    #[must_use]
    pub fn new(life: u64) -> Self {
        Self { life, state: Mutex::default(), told: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn number(&self, id: &str) -> Option<u64> {
        let (life, number) = id.split_once('-')?;
        (life.parse() == Ok(self.life)).then(|| number.parse().ok()).flatten()
    }

    fn kept_after(&self, number: u64, max: usize) -> Vec<Word> {
        let state = self.state();
        let later = state.words.iter().skip_while(|(one, ..)| *one <= number).take(max);
        later
            .map(|(one, order_id, version)| Word {
                id: format!("{}-{one}", self.life),
                order_id: *order_id,
                version: *version,
            })
            .collect()
    }
}

#[async_trait]
impl Fanout for MemoryFanout {
    async fn tell(&self, words: &[(Uuid, i64)]) -> Result<(), QueueError> {
        let mut state = self.state();
        for (order_id, version) in words {
            state.last += 1;
            let number = state.last;
            state.words.push_back((number, *order_id, *version));
            if state.words.len() > KEPT {
                state.words.pop_front();
            }
        }
        drop(state);
        self.told.notify_waiters();
        Ok(())
    }

    async fn latest(&self) -> Result<Option<String>, QueueError> {
        Ok(self.state().words.back().map(|(number, ..)| format!("{}-{number}", self.life)))
    }

    async fn after(&self, id: Option<&str>, max: usize, wait: Duration) -> Result<Vec<Word>, QueueError> {
        let number = id.and_then(|id| self.number(id)).unwrap_or(0);
        let deadline = Instant::now() + wait.min(LONGEST_WAIT);
        loop {
            let told = self.told.notified();
            tokio::pin!(told);
            // Registered before looking, so that no word falls in between.
            told.as_mut().enable();
            let words = self.kept_after(number, max);
            if !words.is_empty() || timeout_at(deadline, told).await.is_err() {
                return Ok(words);
            }
        }
    }

    async fn keeps(&self, id: &str) -> Result<bool, QueueError> {
        let Some(number) = self.number(id) else { return Ok(false) };
        Ok(self.state().words.iter().any(|(one, ..)| *one == number))
    }
}

/// The fan-out among several processes, in Redis.
pub struct RedisFanout {
    link: Link,
    readers: Readers,
    key: String,
}

impl std::fmt::Debug for RedisFanout {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("RedisFanout").field("key", &self.key).finish_non_exhaustive()
    }
}

impl RedisFanout {
    /// A fan-out at `url` under `prefix`, with the hash tag of the dispatch queue. Does not connect.
    ///
    /// # Errors
    /// [`QueueError::Settings`] when the address is none, or the prefix is empty or has a brace in it.
    pub fn new(url: &str, prefix: &str) -> Result<Self, QueueError> {
        if prefix.is_empty() || prefix.contains(['{', '}']) {
            return Err(QueueError::Settings("a prefix is one letter or more, without braces".to_owned()));
        }
        let nodes = Nodes::at(url)?;
        let key = format!("{{{prefix}:events}}:stream");
        Ok(Self { link: Link::new(nodes.clone()), readers: Readers::new(nodes), key })
    }

    async fn range(&self, command: &redis::Cmd) -> Result<Vec<Word>, QueueError> {
        let ask = |mut connection| async move { command.query_async(&mut connection).await };
        let reply: StreamRangeReply = self.link.run(ask).await?;
        Ok(reply.ids.iter().filter_map(word).collect())
    }
}

fn word(entry: &StreamId) -> Option<Word> {
    let order_id = entry.get::<String>("order")?.parse().ok()?;
    let version = entry.get::<String>("version")?.parse().ok()?;
    Some(Word { id: entry.id.clone(), order_id, version })
}

/// Redis refuses what is no id; a reader may send anything.
fn is_id(id: &str) -> bool {
    let part = |text: &str| !text.is_empty() && text.len() <= 20 && text.parse::<u64>().is_ok();
    id.split_once('-').is_some_and(|(one, other)| part(one) && part(other))
}

#[async_trait]
impl Fanout for RedisFanout {
    async fn tell(&self, words: &[(Uuid, i64)]) -> Result<(), QueueError> {
        for words in words.chunks(LARGEST_BATCH) {
            let mut pipeline = pipe();
            for (order, version) in words {
                let entry = [("order", order.to_string()), ("version", version.to_string())];
                let add = pipeline.cmd("XADD").arg(&self.key).arg("MAXLEN").arg("~").arg(KEPT);
                add.arg("*").arg(&entry).ignore();
            }
            let pipeline = &pipeline;
            let ask = |mut connection| async move { pipeline.query_async::<()>(&mut connection).await };
            self.link.run(ask).await?;
        }
        Ok(())
    }

    async fn latest(&self) -> Result<Option<String>, QueueError> {
        let mut command = cmd("XREVRANGE");
        command.arg(&self.key).arg("+").arg("-").arg("COUNT").arg(1);
        Ok(self.range(&command).await?.into_iter().next().map(|word| word.id))
    }

    async fn after(&self, id: Option<&str>, max: usize, wait: Duration) -> Result<Vec<Word>, QueueError> {
        let wait = wait.min(LONGEST_WAIT);
        let mut command = cmd("XREAD");
        command.arg("COUNT").arg(max);
        if !wait.is_zero() {
            command.arg("BLOCK").arg(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1));
        }
        command.arg("STREAMS").arg(&self.key).arg(id.filter(|id| is_id(id)).unwrap_or("0-0"));
        let command = &command;
        let ask = |mut connection| async move { command.query_async(&mut connection).await };
        let reply: Option<StreamReadReply> = self.readers.run(wait, ask).await?;
        let entries = reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids);
        Ok(entries.filter_map(|entry| word(&entry)).collect())
    }

    async fn keeps(&self, id: &str) -> Result<bool, QueueError> {
        if !is_id(id) {
            return Ok(false);
        }
        let mut command = cmd("XRANGE");
        command.arg(&self.key).arg(id).arg(id);
        Ok(!self.range(&command).await?.is_empty())
    }
}

/// Stands between a commit and the fan-out: telling never waits. What finds it full, or the fan-out out of reach, is lost
/// and counted.
#[derive(Debug)]
pub struct Teller {
    sender: mpsc::Sender<(Uuid, i64)>,
    lost: Arc<AtomicU64>,
}

impl Teller {
    /// Starts its task on the current tokio runtime; `capacity` is how many words may wait.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn start(fanout: Arc<dyn Fanout>, capacity: usize) -> Self {
        let (sender, mut words) = mpsc::channel(capacity.max(1));
        let lost = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&lost);
        tokio::spawn(async move {
            let mut batch = Vec::new();
            while words.recv_many(&mut batch, LARGEST_BATCH).await > 0 {
                if let Err(error) = fanout.tell(&batch).await {
                    tracing::debug!(%error, "words to the streams were lost");
                    count.fetch_add(u64::try_from(batch.len()).unwrap_or(u64::MAX), Relaxed);
                }
                batch.clear();
            }
        });
        Self { sender, lost }
    }

    /// Says that an order stands at this version now. Never waits.
    pub fn tell(&self, order: Uuid, version: i64) {
        if self.sender.try_send((order, version)).is_err() {
            self.lost.fetch_add(1, Relaxed);
        }
    }

    /// Words that were lost, since the start.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    #[tokio::test]
    async fn words_come_in_their_order_after_any_that_is_kept() {
        let fanout = MemoryFanout::new(7);
        assert_eq!(fanout.latest().await, Ok(None));
        fanout.tell(&[(order(1), 1), (order(2), 4)]).await.unwrap();
        let words = fanout.after(None, 10, Duration::ZERO).await.unwrap();
        assert_eq!(words.iter().map(|word| word.version).collect::<Vec<_>>(), [1, 4]);
        let rest = fanout.after(Some(&words[0].id), 10, Duration::ZERO).await.unwrap();
        assert_eq!(rest, words[1..]);
        assert_eq!(fanout.latest().await, Ok(Some(words[1].id.clone())));
        assert_eq!(fanout.keeps(&words[0].id).await, Ok(true));
        for unknown in ["6-1", "7-9", "", "-", "no", "7-"] {
            assert_eq!(fanout.keeps(unknown).await, Ok(false), "{unknown}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_word_wakes_those_who_wait_and_nobody_waits_for_ever() {
        let fanout = Arc::new(MemoryFanout::new(1));
        let waiting = tokio::spawn({
            let fanout = Arc::clone(&fanout);
            async move { fanout.after(None, 10, Duration::from_secs(5)).await }
        });
        tokio::task::yield_now().await;
        fanout.tell(&[(order(1), 1)]).await.unwrap();
        assert_eq!(waiting.await.unwrap().unwrap().len(), 1);
        let none = fanout.after(Some("1-1"), 10, Duration::from_secs(5)).await.unwrap();
        assert_eq!(none, []);
    }

    #[tokio::test]
    async fn no_more_than_so_many_are_kept() {
        let fanout = MemoryFanout::new(1);
        let words: Vec<(Uuid, i64)> = (0..=KEPT as u128).map(|number| (order(number), 1)).collect();
        fanout.tell(&words).await.unwrap();
        assert_eq!((fanout.keeps("1-1").await, fanout.keeps("1-2").await), (Ok(false), Ok(true)));
        assert_eq!(fanout.after(None, KEPT * 2, Duration::ZERO).await.unwrap().len(), KEPT);
    }

    #[test]
    fn what_is_no_id_is_not_asked_for() {
        for good in ["0-0", "1700000000000-3", "18446744073709551615-0"] {
            assert!(is_id(good), "{good}");
        }
        for bad in ["", "-", "1", "1-", "-1", "a-1", "1-1-1", "99999999999999999999-0", "+", "1 -0"] {
            assert!(!is_id(bad), "{bad}");
        }
    }
}
