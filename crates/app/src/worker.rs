//! The queue's worker: claims hints, dispatches, acknowledges after the commit.
//!
//! A hint is only a hint: what it says is checked against the order, and an older epoch is void. A worker that dies
//! leaves pending hints, which another takes over after [`RECLAIM_AFTER`]. A hint whose handling fails is left pending
//! and so comes again; after [`ATTEMPTS`] deliveries that failed for a reason of the order's own it becomes a dead letter
//! and the order is marked on the board ([`crate::dead_letters`]).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{Mutex as Turn, MutexGuard, watch};
use tokio::time::timeout;
use xingfuma_queue::{Delivery, Hint, QueueError};
use xingfuma_store::in_background;

use crate::{App, AppError, dead_letters};

/// Hints taken in one read, and offered in one commit.
const BATCH: usize = 128;
/// As [`BATCH`] on SQLite, which has one writer: a long round would keep everybody who places waiting.
const BATCH_OF_ONE_WRITER: usize = 16;
/// Rounds side by side, where many hints wait: while one is with the database, the policy thinks about the next.
const SIDE_BY_SIDE: usize = 2;
/// So many hints in one read show that more of them wait. While fewer come, the next round waits for the one before it and
/// takes all that came meanwhile: two small rounds cost the database nearly twice as much as one.
const CROWDED: usize = 48;
/// A round that takes longer than this is held up, and does not hold up the next.
const HELD_UP: Duration = Duration::from_millis(50);
/// The longest wait for a hint.
const WAIT: Duration = Duration::from_secs(2);
/// Hints of a worker that was silent this long are taken over.
pub const RECLAIM_AFTER: Duration = Duration::from_secs(3);
/// Deliveries before a hint is given up.
pub const ATTEMPTS: u32 = 5;
/// The pause after an error of the queue: they can come at once.
const AFTER_ERROR: Duration = Duration::from_millis(200);

/// Whose turn it is to take hints.
type Turns = Arc<Turn<()>>;

/// How long it is believed that the queue is long.
const LONG_FOR: TimeDelta = TimeDelta::seconds(1);

/// How far rounds of a long queue have come. A queue is read in the order in which hints came, so the hints of orders that
/// wait since a later moment are still in it: for the sweep to look after them, as it does for orders whose hints were
/// lost, would be the same work twice, at the worst of times.
#[derive(Debug, Default)]
pub(crate) struct Reached(Mutex<Option<(DateTime<Utc>, DateTime<Utc>)>>);

impl Reached {
    /// A full round has come to orders that wait since then, the oldest of them.
    pub(crate) fn note(&self, since: Option<DateTime<Utc>>, now: DateTime<Utc>) {
        if let Some(since) = since {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((since, now));
        }
    }

    /// The moment since which the oldest wait whose hints are still in the queue; none while it is short.
    pub(crate) fn since(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let (since, noted) = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        // A clock that was set back does not make a queue long.
        ((now - noted).abs() < LONG_FOR).then_some(since)
    }
}

impl App {
    /// Works for ever, until told to stop; what is in hand is finished.
    pub async fn run_worker(&self, consumer: String, stop: watch::Receiver<bool>) {
        let turns = Turns::default();
        let rounds = (0..SIDE_BY_SIDE).map(|_| self.claim_for_ever(&consumer, &turns, stop.clone()));
        tokio::join!(futures_util::future::join_all(rounds), self.reclaim_on(&consumer, stop.clone()));
    }

    /// Hints taken in one read at most.
    pub(crate) fn round(&self) -> usize {
        if self.store.is_postgres() { BATCH } else { BATCH_OF_ONE_WRITER }
    }

    /// One round by hand: takes what the queue has, waiting at most `wait` for the first hint, and handles it. Answers
    /// how many hints that were.
    ///
    /// # Errors
    /// When the queue gives none because it is out of reach. A hint that fails by itself stays pending.
    pub async fn work_once(&self, consumer: &str, wait: Duration) -> Result<usize, QueueError> {
        let deliveries = self.queue.claim(consumer, self.round(), wait).await?;
        let hints = deliveries.len();
        self.handle_all(deliveries).await;
        Ok(hints)
    }

    /// On a task of its own, so that rounds think side by side, and a fault of ours in one ends that round alone: its
    /// hints are pending, and come again.
    async fn claim_for_ever(&self, consumer: &str, turns: &Turns, stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let (app, consumer, turns, stop) =
                (self.clone(), consumer.to_owned(), turns.clone(), stop.clone());
            let round =
                tokio::spawn(in_background(async move { app.claim_on(&consumer, &turns, stop).await }));
            if let Err(error) = round.await {
                tracing::error!(%error, "a round of the worker broke off");
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
    }

    async fn claim_on(&self, consumer: &str, turns: &Turns, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let turn = turns.lock().await;
            // Dropping a claim is safe: what it had is pending, and is reclaimed.
            let claimed = tokio::select! {
                claimed = self.queue.claim(consumer, self.round(), WAIT) => claimed,
                _ = stop.changed() => return,
            };
            match claimed {
                Ok(deliveries) => in_turn(deliveries.len(), self.handle_all(deliveries), turn).await,
                Err(error) => {
                    tracing::debug!(%error, "no hints from the queue");
                    tokio::time::sleep(AFTER_ERROR).await;
                }
            }
        }
    }

    async fn reclaim_on(&self, consumer: &str, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(500)) => {}
                _ = stop.changed() => return,
            }
            match self.queue.reclaim(consumer, RECLAIM_AFTER, self.round()).await {
                Ok(deliveries) => {
                    self.metrics.count_reclaimed(deliveries.len());
                    self.handle_all(deliveries).await;
                }
                Err(error) => tracing::debug!(%error, "nothing reclaimed"),
            }
        }
    }

    /// One round: all in one commit, or, when that fails for a reason of one of them, one by one, so that none holds up its
    /// neighbours.
    async fn handle_all(&self, deliveries: Vec<Delivery>) {
        if deliveries.is_empty() {
            return;
        }
        let hints: Vec<Hint> = deliveries.iter().map(|delivery| delivery.hint).collect();
        let done = match self.dispatch_all(&hints).await {
            Ok(_) => deliveries,
            // Each by itself would wait for the database as this round did. They are pending, and come again.
            Err(error) if !dead_letters::counts(&error) => {
                tracing::warn!(%error, "a round waits for the database");
                return;
            }
            Err(error) => {
                tracing::debug!(%error, "a round failed, and is done one by one");
                self.handle_one_by_one(deliveries).await
            }
        };
        if !done.is_empty()
            && let Err(error) = self.queue.ack(&done).await
        {
            // They come again, and are void then: their epoch has passed.
            tracing::debug!(%error, "hints were not acknowledged");
        }
    }

    /// Those that may be acknowledged.
    async fn handle_one_by_one(&self, deliveries: Vec<Delivery>) -> Vec<Delivery> {
        let mut done = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            if self.handle(&delivery).await {
                done.push(delivery);
            }
        }
        done
    }

    /// Dispatches one hint; answers whether it may be acknowledged.
    async fn handle(&self, delivery: &Delivery) -> bool {
        let hint = delivery.hint;
        match self.dispatch_all(&[hint]).await {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(order = %hint.order_id, attempt = delivery.attempt, %error, "a dispatch failed");
                if delivery.attempt >= ATTEMPTS {
                    self.give_up(delivery, &error).await;
                }
                false
            }
        }
    }

    async fn give_up(&self, delivery: &Delivery, error: &AppError) {
        let order = delivery.hint.order_id;
        if !dead_letters::counts(error) || !self.set_aside(order, error, 1).await {
            return;
        }
        if let Err(error) = self.queue.bury(delivery, &error.to_string()).await {
            tracing::warn!(%order, %error, "a dead letter could not be put aside in the queue");
        }
    }
}

/// Does a round of so many hints. The next one may begin when it has ended, or at once where many wait.
async fn in_turn(hints: usize, round: impl Future<Output = ()>, turn: MutexGuard<'_, ()>) {
    let mut round = std::pin::pin!(round);
    if hints < CROWDED && timeout(HELD_UP, &mut round).await.is_ok() {
        return;
    }
    drop(turn);
    round.await;
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    /// Whether the next round could begin after so many milliseconds of one that is under way, and after its end.
    async fn next_begins(hints: usize, after_ms: u64) -> [bool; 2] {
        let turns = Turns::default();
        let turn = turns.lock().await;
        let (end, ended) = oneshot::channel::<()>();
        let round = async move { ended.await.expect("it is told to end") };
        let mut in_turn = std::pin::pin!(in_turn(hints, round, turn));
        assert!(timeout(Duration::from_millis(after_ms), &mut in_turn).await.is_err(), "it is under way");
        let meanwhile = turns.try_lock().is_ok();
        end.send(()).expect("it waits");
        in_turn.await;
        [meanwhile, turns.try_lock().is_ok()]
    }

    #[tokio::test(start_paused = true)]
    async fn small_rounds_take_turns_and_none_is_held_up_by_another() {
        assert_eq!(next_begins(CROWDED - 1, 49).await, [false, true]);
        assert_eq!(next_begins(CROWDED, 0).await, [true, true]);
        assert_eq!(next_begins(1, 51).await, [true, true], "it is held up");
    }

    #[test]
    fn a_queue_is_long_for_a_second_after_a_full_round() {
        let (reached, now) = (Reached::default(), DateTime::UNIX_EPOCH);
        assert_eq!(reached.since(now), None);
        let [first, then] = [1, 2].map(|seconds| DateTime::from_timestamp(seconds, 0));
        reached.note(first, now);
        assert_eq!(reached.since(now + LONG_FOR / 2), first);
        reached.note(then, now + LONG_FOR / 2);
        reached.note(None, now + LONG_FOR / 2);
        assert_eq!(reached.since(now + LONG_FOR), then, "hints that are all void say nothing");
        assert_eq!(reached.since(now + LONG_FOR * 2), None);
        assert_eq!(reached.since(now - LONG_FOR), None);
    }
}
