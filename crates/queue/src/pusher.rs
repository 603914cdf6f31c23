//! What stands between a request and the queue: giving a hint never waits.
//!
//! A bounded channel and one task. The task pushes what it finds: the first hint goes at once and alone, those that
//! came meanwhile ride together with the next push. There is no timer. A hint that finds the channel full is dropped
//! and counted, a batch that the queue does not take is dropped and counted, and the sweep finds their orders.
//!
//! A crash loses what lies in the channel, which the sweep finds just so.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use tokio::{sync::mpsc, task::JoinHandle};
use tracing::{info, warn};

use crate::{DispatchQueue, Hint};

/// The most hints that ride in one push.
const LARGEST_BATCH: usize = 1_000;

/// Gives hints to a [`DispatchQueue`] without ever making the giver wait. Share it in an [`Arc`].
#[derive(Debug)]
pub struct Pusher {
    sender: mpsc::Sender<Hint>,
    tally: Arc<Tally>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Tally {
    pushed: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

impl Pusher {
    /// Starts the task that pushes, on the current tokio runtime: it must be the one that outlives the requests.
    /// `capacity` is how many hints may lie waiting for a slow queue, at least 1.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn start(queue: Arc<dyn DispatchQueue>, capacity: usize) -> Self {
        let (sender, receiver) = mpsc::channel(capacity.max(1));
        let tally = Arc::new(Tally::default());
        let task = tokio::spawn(push_all(queue, receiver, Arc::clone(&tally)));
        Self { sender, tally, task }
    }

    /// Gives a hint. Never waits; when the channel is full the hint is dropped and counted.
    pub fn push(&self, hint: Hint) {
        if self.sender.try_send(hint).is_err() {
            self.tally.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Ends the task after it has pushed what lies in the channel, for an orderly end of the process.
    pub async fn close(self) {
        drop(self.sender);
        if self.task.await.is_err() {
            warn!("the task that pushes hints ended badly; the sweep finds the orders");
        }
    }

    /// Hints that the queue took, since the start.
    #[must_use]
    pub fn pushed(&self) -> u64 {
        self.tally.pushed.load(Relaxed)
    }

    /// Hints that found the channel full, since the start.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.tally.dropped.load(Relaxed)
    }

    /// Hints that the queue did not take, since the start.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.tally.failed.load(Relaxed)
    }
}

async fn push_all(queue: Arc<dyn DispatchQueue>, mut receiver: mpsc::Receiver<Hint>, tally: Arc<Tally>) {
    let mut batch = Vec::new();
    let mut failing = false;
    while receiver.recv_many(&mut batch, LARGEST_BATCH).await > 0 {
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        match queue.push(&batch).await {
            Ok(()) => {
                tally.pushed.fetch_add(count, Relaxed);
                if failing {
                    info!("the queue takes hints again");
                }
                failing = false;
            }
            Err(error) => {
                tally.failed.fetch_add(count, Relaxed);
                // Once a failure, not once a batch: a queue that is down would fill the log.
                if !failing {
                    warn!(%error, "the queue takes no hints; the sweep finds the orders until it does");
                }
                failing = true;
            }
        }
        batch.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, time::Duration};

    use async_trait::async_trait;
    use tokio::sync::Semaphore;
    use uuid::Uuid;

    use super::*;
    use crate::{DeadLetter, Delivery, Depth, MemoryQueue, QueueError};

    /// A queue whose every push waits for a permit and fails when told so.
    struct GatedQueue {
        gate: Semaphore,
        begun: Semaphore,
        fails: Mutex<bool>,
        batches: Mutex<Vec<Vec<Hint>>>,
    }

    impl GatedQueue {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                gate: Semaphore::new(0),
                begun: Semaphore::new(0),
                fails: Mutex::new(false),
                batches: Mutex::default(),
            })
        }

        fn sizes(&self) -> Vec<usize> {
            self.batches.lock().unwrap().iter().map(Vec::len).collect()
        }
    }

    #[async_trait]
    impl DispatchQueue for GatedQueue {
        async fn push(&self, hints: &[Hint]) -> Result<(), QueueError> {
            self.begun.add_permits(1);
            self.gate.acquire().await.unwrap().forget();
            if *self.fails.lock().unwrap() {
                return Err(QueueError::Unreachable("told to fail".to_owned()));
            }
            self.batches.lock().unwrap().push(hints.to_vec());
            Ok(())
        }
        async fn claim(&self, _: &str, _: usize, _: Duration) -> Result<Vec<Delivery>, QueueError> {
            unreachable!("a pusher only pushes")
        }
        async fn ack(&self, _: &[Delivery]) -> Result<(), QueueError> {
            unreachable!("a pusher only pushes")
        }
        async fn reclaim(&self, _: &str, _: Duration, _: usize) -> Result<Vec<Delivery>, QueueError> {
            unreachable!("a pusher only pushes")
        }
        async fn bury(&self, _: &Delivery, _: &str) -> Result<(), QueueError> {
            unreachable!("a pusher only pushes")
        }
        async fn dead_letters(&self, _: usize) -> Result<Vec<DeadLetter>, QueueError> {
            unreachable!("a pusher only pushes")
        }
        async fn replay(&self, _: Uuid) -> Result<bool, QueueError> {
            unreachable!("a pusher only pushes")
        }
        async fn depth(&self) -> Result<Depth, QueueError> {
            unreachable!("a pusher only pushes")
        }
        async fn ping(&self) -> Result<(), QueueError> {
            unreachable!("a pusher only pushes")
        }
    }

    fn hint(number: u128) -> Hint {
        Hint { order_id: Uuid::from_u128(number), epoch: 1 }
    }

    #[tokio::test]
    async fn the_first_goes_at_once_and_the_rest_ride_with_the_next() {
        let queue = GatedQueue::new();
        let pusher = Pusher::start(queue.clone(), 100);
        pusher.push(hint(0));
        queue.begun.acquire().await.unwrap().forget();
        (1..=7).for_each(|number| pusher.push(hint(number)));
        queue.gate.add_permits(2);
        pusher.close().await;
        assert_eq!(queue.sizes(), [1, 7]);
        assert_eq!(queue.batches.lock().unwrap()[1], (1..=7).map(hint).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_full_channel_drops_and_counts() {
        let queue = GatedQueue::new();
        let pusher = Pusher::start(queue.clone(), 3);
        pusher.push(hint(0));
        queue.begun.acquire().await.unwrap().forget();
        (1..=10).for_each(|number| pusher.push(hint(number)));
        assert_eq!((pusher.pushed(), pusher.dropped(), pusher.failed()), (0, 7, 0));
        queue.gate.add_permits(2);
        pusher.close().await;
        assert_eq!(queue.sizes(), [1, 3]);
    }

    #[tokio::test]
    async fn a_failed_batch_is_dropped_and_the_next_one_goes_on() {
        let queue = GatedQueue::new();
        let pusher = Pusher::start(queue.clone(), 100);
        *queue.fails.lock().unwrap() = true;
        pusher.push(hint(0));
        queue.begun.acquire().await.unwrap().forget();
        pusher.push(hint(1));
        pusher.push(hint(2));
        queue.gate.add_permits(1);
        // The second push has begun, so the first one has failed and been counted.
        queue.begun.acquire().await.unwrap().forget();
        assert_eq!((pusher.pushed(), pusher.failed()), (0, 1));

        *queue.fails.lock().unwrap() = false;
        pusher.push(hint(3));
        queue.gate.add_permits(1);
        queue.begun.acquire().await.unwrap().forget();
        assert_eq!((pusher.pushed(), pusher.dropped(), pusher.failed()), (2, 0, 1));
        queue.gate.add_permits(1);
        pusher.close().await;
        assert_eq!(queue.sizes(), [2, 1]);
    }

    #[tokio::test]
    async fn close_pushes_what_was_given() {
        let queue = Arc::new(MemoryQueue::new());
        let pusher = Pusher::start(queue.clone(), 5_000);
        (0..2_500).for_each(|number| pusher.push(hint(number)));
        pusher.close().await;
        assert_eq!(queue.depth().await.unwrap(), Depth { waiting: 2_500, pending: 0, dead: 0 });
    }
}
