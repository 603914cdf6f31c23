//! What is counted, for `/metrics`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::{Encoder, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

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
    /// Photos that are decoded at this moment.
    pub(crate) decoding: IntGauge,
    /// Commits of the placement writer.
    pub(crate) placement_batches: Arc<AtomicU64>,
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

    /// Counts a request.
    pub fn count_request(&self, method: &str, status: u16) {
        self.requests.with_label_values(&[method, &status.to_string()]).inc();
    }
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
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&self.metrics.registry.gather(), &mut text)
            .map_err(|error| AppError::Internal(error.to_string()))?;
        String::from_utf8(text).map_err(|error| AppError::Internal(error.to_string()))
    }
}
