//! What is counted, for `/metrics`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use uuid::Uuid;
use xingfuma_domain::order::{Event, HINT_GRACE_SECONDS, Hat, Order, State};
use xingfuma_store::due;
use xingfuma_store::orders::{Change, StoredOrder};

use crate::{App, AppError};

/// Counters of this process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    orders: IntCounterVec,
    requests: IntCounterVec,
    queue: IntGaugeVec,
    due: IntGaugeVec,
    limits_shared: IntGauge,
    audit_lost: IntCounter,
    waits: WaitMetrics,
    /// Photos that are decoded at this moment.
    pub(crate) decoding: IntGauge,
    /// Commits of the placement writer.
    pub(crate) placement_batches: Arc<AtomicU64>,
}

/// How long orders wait for a team, and what goes wrong on the way.
#[derive(Debug)]
struct WaitMetrics {
    to_dispatch: Histogram,
    reclaimed: IntCounter,
    set_aside: IntCounter,
    dead: IntGauge,
    waiting: IntGauge,
    oldest: IntGauge,
    overdue: IntGauge,
}

/// From a hint that is there at once to an order that waited for the morning, in seconds.
const TO_DISPATCH: [f64; 14] =
    [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0];

impl WaitMetrics {
    fn registered(registry: &Registry) -> WaitMetrics {
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help).expect("a good metric");
            registry.register(Box::new(gauge.clone())).expect("registered once");
            gauge
        };
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help).expect("a good metric");
            registry.register(Box::new(counter.clone())).expect("registered once");
            counter
        };
        let options = HistogramOpts::new(
            "xingfuma_dispatch_seconds",
            "From the moment an order waits for a team to the commit of its offer, by this process.",
        );
        let to_dispatch = Histogram::with_opts(options.buckets(TO_DISPATCH.to_vec())).expect("a good metric");
        registry.register(Box::new(to_dispatch.clone())).expect("registered once");
        WaitMetrics {
            to_dispatch,
            reclaimed: counter("xingfuma_reclaims_total", "Hints taken over from a worker that was silent."),
            set_aside: counter(
                "xingfuma_dead_letters_total",
                "Orders set aside as dead letters by this process.",
            ),
            dead: gauge("xingfuma_dead_letters", "Orders that are set aside now."),
            waiting: gauge("xingfuma_waiting_orders", "Orders that wait for a team to be sought."),
            oldest: gauge("xingfuma_oldest_waiting_seconds", "How long the oldest of them has waited."),
            overdue: gauge(
                "xingfuma_sweep_lag_seconds",
                "For how long what is due has been overdue, whatever it is; 0 when nothing is.",
            ),
        }
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels).expect("a good metric");
            registry.register(Box::new(counter.clone())).expect("registered once");
            counter
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            let gauge = IntGaugeVec::new(Opts::new(name, help), labels).expect("a good metric");
            registry.register(Box::new(gauge.clone())).expect("registered once");
            gauge
        };
        let limits_shared = IntGauge::new(
            "xingfuma_limits_shared",
            "1 while limits are counted by all processes together, 0 while this one counts alone.",
        )
        .expect("a good metric");
        registry.register(Box::new(limits_shared.clone())).expect("registered once");
        let audit_lost = IntCounter::new(
            "xingfuma_audit_lost_total",
            "Lines of the audit log that could not be written; anything but 0 is to be looked at.",
        )
        .expect("a good metric");
        registry.register(Box::new(audit_lost.clone())).expect("registered once");
        let decoding = IntGauge::new("xingfuma_media_decoding", "Photos that are decoded at this moment.")
            .expect("a good metric");
        registry.register(Box::new(decoding.clone())).expect("registered once");
        Metrics {
            decoding,
            limits_shared,
            audit_lost,
            orders: counter(
                "xingfuma_order_commands_total",
                "Commands done, by the status they led to.",
                &["status"],
            ),
            requests: counter("xingfuma_requests_total", "Requests answered.", &["method", "status"]),
            queue: gauge("xingfuma_queue", "Hints in the dispatch queue and their fate.", &["state"]),
            due: gauge("xingfuma_due", "Orders by what is due next.", &["kind"]),
            placement_batches: Arc::default(),
            waits: WaitMetrics::registered(&registry),
            registry,
        }
    }
}

impl Metrics {
    /// Counts a command.
    pub fn count_event(&self, status: &str) {
        self.orders.with_label_values(&[status]).inc();
    }

    /// Counts lines of the audit log that were lost.
    pub(crate) fn count_lost(&self, lines: usize) {
        self.audit_lost.inc_by(lines as u64);
    }

    /// Counts hints that were taken over from a silent worker.
    pub(crate) fn count_reclaimed(&self, hints: usize) {
        self.waits.reclaimed.inc_by(hints as u64);
    }

    /// Counts an order that was set aside.
    pub(crate) fn count_set_aside(&self) {
        self.waits.set_aside.inc();
    }

    /// Notes how long an order waited for the offer that was just written.
    pub(crate) fn observe_dispatch(&self, waited_seconds: f64) {
        self.waits.to_dispatch.observe(waited_seconds);
    }

    /// Counts a request.
    pub fn count_request(&self, method: &str, status: u16) {
        self.requests.with_label_values(&[method, &status.to_string()]).inc();
    }
}

/// Since when each of these orders waits for us to find a team. One that is stuck waits for people.
pub(crate) fn waiting_since(orders: &[(StoredOrder, Hat)]) -> HashMap<Uuid, DateTime<Utc>> {
    let since = |order: &Order| match &order.state {
        State::Placed { since, stuck: None, .. } => Some((order.id, *since)),
        _ => None,
    };
    orders.iter().filter_map(|(stored, _)| since(&stored.order)).collect()
}

/// How long an order waited for the offer that this change makes, in seconds; none where it makes none to one that waited.
pub(crate) fn waited_seconds(since: &HashMap<Uuid, DateTime<Utc>>, change: &Change) -> Option<f64> {
    let offered = change.records.iter().find(|record| matches!(record.event, Event::Dispatched { .. }))?;
    let since = since.get(&change.after.order.id)?;
    Some((offered.at - *since).num_milliseconds().max(0) as f64 / 1_000.0)
}

impl App {
    /// All metrics, in the text format of Prometheus. What the queue or the database cannot tell now is left as it was.
    ///
    /// # Errors
    /// When the text cannot be written.
    pub async fn metrics_text(&self) -> Result<String, AppError> {
        let set = |state: &str, value: u64| {
            self.metrics.queue.with_label_values(&[state]).set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        match self.queue.depth().await {
            Ok(depth) => {
                set("waiting", depth.waiting);
                set("pending", depth.pending);
                set("dead", depth.dead);
                set("out_of_reach", 0);
            }
            Err(_) => set("out_of_reach", 1),
        }
        self.metrics.limits_shared.set(i64::from(self.limiter.is_shared()));
        set("pushed", self.pusher.pushed());
        set("dropped", self.pusher.dropped());
        set("push_failed", self.pusher.failed());
        set("words_lost", self.teller.lost());
        set("listeners", self.listeners() as u64);
        set("placement_commits", self.metrics.placement_batches.load(Ordering::Relaxed));
        if let Ok(counts) = xingfuma_store::orders::open_by_kind(self.store.pool()).await {
            self.metrics.due.reset();
            for (kind, orders) in counts {
                self.metrics.due.with_label_values(&[&kind]).set(orders);
            }
        }
        let now = self.clock.now();
        if let Ok(standing) = due::standing(self.store.pool(), self.settings.county, now).await {
            let waits = &self.metrics.waits;
            let since = |at: Option<DateTime<Utc>>, grace: i64| {
                at.map_or(0, |at| ((now - at).num_seconds() + grace).max(0))
            };
            waits.waiting.set(standing.waiting);
            waits.oldest.set(since(standing.oldest, HINT_GRACE_SECONDS));
            waits.overdue.set(since(standing.overdue_since, 0));
            waits.dead.set(standing.dead);
        }
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&self.metrics.registry.gather(), &mut text)
            .map_err(|error| AppError::Internal(error.to_string()))?;
        String::from_utf8(text).map_err(|error| AppError::Internal(error.to_string()))
    }
}
