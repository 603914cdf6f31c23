//! The queue of a county that runs in one process: nothing to install, nothing kept.
//!
//! Waiting hints are a double-ended queue, pending ones a map by entry number (so that the oldest is reclaimed
//! first), dead letters a list. One mutex guards all three and is never held across an await; a [`Notify`] wakes the
//! consumers that wait. Idle time is measured by tokio's clock, so a test may move it.
//!
//! A crash leaves nothing of it, and nothing is missing: the sweep finds every open order in the database.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};
use uuid::Uuid;

use crate::{DeadLetter, Delivery, Depth, DispatchQueue, Hint, LONGEST_WAIT, QueueError, shortened};

/// The dispatch queue inside one process. See the module's documentation for what it keeps (nothing).
#[derive(Debug, Default)]
pub struct MemoryQueue {
    state: Mutex<State>,
    pushed: Notify,
}

#[derive(Debug, Default)]
struct State {
    last_entry: u64,
    waiting: VecDeque<(u64, Hint)>,
    pending: BTreeMap<u64, Held>,
    /// The latest last.
    dead: Vec<DeadLetter>,
}

#[derive(Debug)]
struct Held {
    hint: Hint,
    since: Instant,
    attempt: u32,
}

impl MemoryQueue {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The state stays whole even if a holder of the lock panicked: no method leaves it half changed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, hint: Hint) {
        self.last_entry += 1;
        self.waiting.push_back((self.last_entry, hint));
    }

    fn deliver(&mut self, max: usize) -> Vec<Delivery> {
        let count = max.min(self.waiting.len());
        let mut deliveries = Vec::with_capacity(count);
        for (entry, hint) in self.waiting.drain(..count) {
            self.pending.insert(entry, Held { hint, since: Instant::now(), attempt: 1 });
            deliveries.push(delivery(entry, hint, 1));
        }
        deliveries
    }

    fn take_over(&mut self, idle: Duration, max: usize) -> Vec<Delivery> {
        let overdue = self.pending.iter_mut().filter(|(_, held)| held.since.elapsed() >= idle).take(max);
        overdue
            .map(|(&entry, held)| {
                held.since = Instant::now();
                held.attempt += 1;
                delivery(entry, held.hint, held.attempt)
            })
            .collect()
    }

    fn end(&mut self, receipt: &str) -> Option<Held> {
        self.pending.remove(&receipt.parse().ok()?)
    }

    fn bury(&mut self, letter: DeadLetter) {
        if let Some(known) = self.dead_position(letter.hint.order_id) {
            if self.dead[known].hint.epoch > letter.hint.epoch {
                return;
            }
            self.dead.remove(known);
        }
        self.dead.push(letter);
    }

    fn dead_position(&self, order_id: Uuid) -> Option<usize> {
        self.dead.iter().position(|letter| letter.hint.order_id == order_id)
    }
}

fn delivery(entry: u64, hint: Hint, attempt: u32) -> Delivery {
    Delivery { hint, receipt: entry.to_string(), attempt }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[async_trait]
impl DispatchQueue for MemoryQueue {
    async fn push(&self, hints: &[Hint]) -> Result<(), QueueError> {
        {
            let mut state = self.state();
            hints.iter().for_each(|&hint| state.add(hint));
        }
        self.pushed.notify_waiters();
        Ok(())
    }

    async fn claim(&self, _consumer: &str, max: usize, wait: Duration) -> Result<Vec<Delivery>, QueueError> {
        if max == 0 {
            return Ok(Vec::new());
        }
        let deadline = Instant::now() + wait.min(LONGEST_WAIT);
        loop {
            // Made before the look at the state, so that a push between the look and the wait is not missed.
            let pushed = self.pushed.notified();
            let deliveries = self.state().deliver(max);
            if !deliveries.is_empty() || timeout_at(deadline, pushed).await.is_err() {
                return Ok(deliveries);
            }
        }
    }

    async fn ack(&self, deliveries: &[Delivery]) -> Result<(), QueueError> {
        let mut state = self.state();
        for delivery in deliveries {
            state.end(&delivery.receipt);
        }
        Ok(())
    }

    async fn reclaim(
        &self,
        _consumer: &str,
        idle: Duration,
        max: usize,
    ) -> Result<Vec<Delivery>, QueueError> {
        Ok(self.state().take_over(idle, max))
    }

    async fn bury(&self, delivery: &Delivery, reason: &str) -> Result<(), QueueError> {
        let mut state = self.state();
        if let Some(held) = state.end(&delivery.receipt) {
            let reason = shortened(reason).to_owned();
            state.bury(DeadLetter { hint: held.hint, attempt: delivery.attempt, reason });
        }
        Ok(())
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        Ok(self.state().dead.iter().rev().take(limit).cloned().collect())
    }

    async fn replay(&self, order_id: Uuid) -> Result<bool, QueueError> {
        {
            let mut state = self.state();
            let Some(position) = state.dead_position(order_id) else { return Ok(false) };
            let letter = state.dead.remove(position);
            state.add(letter.hint);
        }
        self.pushed.notify_waiters();
        Ok(true)
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        let state = self.state();
        Ok(Depth {
            waiting: count(state.waiting.len()),
            pending: count(state.pending.len()),
            dead: count(state.dead.len()),
        })
    }

    async fn ping(&self) -> Result<(), QueueError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn passes_the_exercise() {
        crate::exercise::run(Arc::new(MemoryQueue::new())).await;
    }

    #[tokio::test(start_paused = true)]
    async fn reclaims_after_exactly_the_idle_time() {
        let queue = MemoryQueue::new();
        let hint = Hint { order_id: Uuid::from_u128(1), epoch: 1 };
        queue.push(&[hint]).await.unwrap();
        queue.claim("a", 1, Duration::ZERO).await.unwrap();
        let idle = Duration::from_secs(3);

        tokio::time::advance(idle - Duration::from_millis(1)).await;
        assert_eq!(queue.reclaim("b", idle, 10).await.unwrap(), []);
        tokio::time::advance(Duration::from_millis(1)).await;
        let reclaimed = queue.reclaim("b", idle, 10).await.unwrap();
        assert_eq!(reclaimed.iter().map(|d| (d.hint, d.attempt)).collect::<Vec<_>>(), [(hint, 2)]);
        // Taking it over starts its idle time anew.
        assert_eq!(queue.reclaim("a", idle, 10).await.unwrap(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn waits_no_longer_than_the_longest_wait() {
        let begun = Instant::now();
        assert_eq!(MemoryQueue::new().claim("a", 1, Duration::MAX).await.unwrap(), []);
        assert_eq!(begun.elapsed().as_secs(), LONGEST_WAIT.as_secs());
    }
}
