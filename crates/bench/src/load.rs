//! The load generator. A *closed* loop keeps every connection busy and measures throughput; an *open* loop sends at a
//! fixed rate whatever the answers do, and measures each answer from the moment at which its request was due, so that
//! waiting for a slow server is not hidden (no coordinated omission).

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::{Mutex, mpsc};
use uuid::Uuid;

use crate::http::{Answer, Connection, Request};

/// Where the requests of a load come from.
pub(crate) trait Source {
    /// The next request; none ends the load.
    fn next(&mut self) -> Option<Request>;

    /// The status that every answer must have.
    fn expected(&self) -> u16;

    /// Whether the ids in the answers are wanted.
    fn keeps_ids(&self) -> bool {
        false
    }
}

/// What came of a load.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// From the first request to the last answer.
    pub(crate) took: Duration,
    /// One an answer.
    pub(crate) latencies: Vec<Duration>,
    /// The orders' ids in the answers, with the moment at which each was asked for.
    pub(crate) ids: Vec<(Uuid, Instant)>,
}

impl Outcome {
    /// Answers a second.
    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    /// The latency below which this share of the answers lies, in milliseconds.
    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        quantile(&self.latencies, share)
    }
}

/// The value below which this share lies, in milliseconds; 0 of nothing.
pub(crate) fn quantile(values: &[Duration], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let place = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(place.saturating_sub(1)).map_or(0.0, |latency| latency.as_secs_f64() * 1_000.0)
}

struct Shared<'s> {
    source: &'s mut dyn Source,
    outcome: Outcome,
}

impl Shared<'_> {
    fn note(&mut self, answer: &Answer<'_>, since: Instant) {
        let expected = self.source.expected();
        assert!(answer.status == expected, "{} instead of {expected}: {}", answer.status, answer.text());
        if self.source.keeps_ids() {
            let id = answer.id().unwrap_or_else(|| panic!("no id: {}", answer.text()));
            self.outcome.ids.push((id, since));
        }
        self.outcome.latencies.push(since.elapsed());
    }
}

/// Keeps so many connections busy until the source is dry or the time is over.
///
/// # Panics
/// When a connection breaks or an answer has another status than expected: a bench of failures measures nothing.
pub(crate) async fn closed(
    address: SocketAddr,
    connections: usize,
    at_most: Duration,
    source: &mut dyn Source,
) -> Outcome {
    closed_over(&[address], connections, at_most, source).await
}

/// As [`closed`], with the connections spread evenly over several servers.
///
/// # Panics
/// As [`closed`].
pub(crate) async fn closed_over(
    addresses: &[SocketAddr],
    connections: usize,
    at_most: Duration,
    source: &mut dyn Source,
) -> Outcome {
    let spread = addresses.iter().cycle().take(connections);
    let opened = join_all(spread.map(|address| Connection::open(*address))).await;
    let shared = RefCell::new(Shared { source, outcome: Outcome::default() });
    let begun = Instant::now();
    join_all(opened.into_iter().map(async |connection| {
        let mut connection = connection.expect("the server takes connections");
        while begun.elapsed() < at_most {
            let Some(request) = shared.borrow_mut().source.next() else { return };
            let since = Instant::now();
            let answer = connection.call(&request).await.expect("the server answers");
            shared.borrow_mut().note(&answer, since);
        }
    }))
    .await;
    let mut outcome = shared.into_inner().outcome;
    outcome.took = begun.elapsed();
    outcome
}

/// Sends at a fixed rate over so many connections; a request that finds none free waits, and its wait counts.
///
/// # Panics
/// As [`closed`].
pub(crate) async fn open(
    address: SocketAddr,
    connections: usize,
    per_second: u32,
    during: Duration,
    source: &mut dyn Source,
) -> Outcome {
    let opened = join_all((0..connections).map(|_| Connection::open(address))).await;
    let shared = RefCell::new(Shared { source, outcome: Outcome::default() });
    let (sender, due) = mpsc::unbounded_channel();
    let begun = Instant::now();
    let metronome = std::thread::spawn(move || beat(&sender, begun, per_second, during));
    let due = Rc::new(Mutex::new(due));
    join_all(opened.into_iter().map(async |connection| {
        let mut connection = connection.expect("the server takes connections");
        while let Some(since) = take(&due).await {
            let Some(request) = shared.borrow_mut().source.next() else { return };
            let answer = connection.call(&request).await.expect("the server answers");
            shared.borrow_mut().note(&answer, since);
        }
    }))
    .await;
    metronome.join().expect("the metronome ends");
    let mut outcome = shared.into_inner().outcome;
    outcome.took = begun.elapsed();
    outcome
}

async fn take(due: &Mutex<mpsc::UnboundedReceiver<Instant>>) -> Option<Instant> {
    due.lock().await.recv().await
}

/// Says when each request is due. A thread of its own: tokio's timer knows whole milliseconds only.
fn beat(sender: &mpsc::UnboundedSender<Instant>, begun: Instant, per_second: u32, during: Duration) {
    let mut number = 0_u32;
    loop {
        let due = begun + Duration::from_secs_f64(f64::from(number) / f64::from(per_second));
        if due - begun >= during {
            return;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if sender.send(due).is_err() {
            return;
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let values: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(
            [quantile(&values, 0.5), quantile(&values, 0.99), quantile(&values, 1.0)],
            [50.0, 99.0, 100.0]
        );
        assert_eq!(quantile(&values[..1], 0.99), 1.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }

    #[test]
    fn the_metronome_keeps_its_rate() {
        let (sender, mut due) = mpsc::unbounded_channel();
        let begun = Instant::now();
        beat(&sender, begun, 1_000, Duration::from_millis(50));
        drop(sender);
        let mut all = Vec::new();
        while let Ok(at) = due.try_recv() {
            all.push(at - begun);
        }
        assert_eq!(all.len(), 50);
        assert_eq!(all[49], Duration::from_millis(49));
    }
}
