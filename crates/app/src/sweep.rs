//! Time passing: what is due is done once, after any downtime, and what the queue lost is found.
//!
//! The table `due` has one row per order that can still change. The sweep sleeps to the next row's moment, at most
//! `PAUSE_AT_MOST`, leases what is due and does it. A sweep that dies leaves leases that end by themselves. Doing
//! something twice changes nothing: every command is guarded by the order's version and decided on its state anew.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use tokio::sync::watch;
use uuid::Uuid;
use xingfuma_domain::order::{Command, DueKind, HINT_GRACE_SECONDS, Hat, State};
use xingfuma_store::due::{self, Leased};
use xingfuma_store::orders::{self, StoredOrder};
use xingfuma_store::scope::Scope;
use xingfuma_store::{connection, heartbeat, idempotency, in_background};

use crate::clock::OFFSET_AT_MOST_MILLIS;
use crate::metrics::waiting_since;
use crate::{App, AppError, dead_letters};

/// The longest sleep between two looks.
const PAUSE_AT_MOST: Duration = Duration::from_millis(500);
/// A lease ends by itself after this long.
const LEASE: TimeDelta = TimeDelta::seconds(10);
/// After it an order that waits is due: its hint may have been lost.
const HINT_GRACE: TimeDelta = TimeDelta::seconds(HINT_GRACE_SECONDS);
/// Rows leased at once: what a round costs beside its rows is shared by so many.
const BATCH: u64 = 500;
/// Most offers in one commit. Each carries its decision, of some kilobytes, which are in memory several times over while they
/// are written: 500 of them took thirty megabytes.
const OFFERS: usize = 128;
/// Rounds side by side on PostgreSQL, when much is due: while one is with the database, the policy thinks about the next.
const SIDE_BY_SIDE: usize = 3;
/// Failures before an order is marked dead.
const FAILURES_AT_MOST: i32 = 5;
/// Kept answers are forgotten after this long.
const ANSWERS_KEPT: TimeDelta = TimeDelta::hours(48);
/// How often the sweep gives a sign of life.
const BEAT_EVERY: Duration = Duration::from_secs(10);
/// The role under which it does.
pub const SWEEPING: &str = "sweep";
/// How often the slow housekeeping is done.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(10);

/// What time does to an order.
enum Fire {
    /// Ask the policy again, as this hat.
    Offer(Hat),
    /// Carry out a command.
    Command(Command),
}

fn fire(kind: DueKind) -> Fire {
    let escalate = |reason: &str| Fire::Command(Command::Escalate { reason: reason.to_owned() });
    match kind {
        DueKind::Dispatch => Fire::Offer(Hat::Queue),
        // Nobody accepted in time: the next team, then the station.
        DueKind::AcceptOverdue => Fire::Offer(Hat::Sweep),
        DueKind::DispatchOverdue => escalate("规定时间内没有派出"),
        DueKind::CompleteOverdue => escalate("超过办结时限"),
        DueKind::AnswerOverdue => Fire::Command(Command::Answer { answer: None }),
        DueKind::Close => Fire::Command(Command::Close),
        DueKind::Warn | DueKind::Overdue => Fire::Command(Command::Warn),
    }
}

impl App {
    /// Does what is due now; answers how many rows were looked at.
    ///
    /// # Errors
    /// When rows cannot be leased. A row that fails by itself is noted and comes again when its lease ends.
    pub async fn sweep_once(&self) -> Result<usize, AppError> {
        let now = self.clock.now();
        let hinted = self.reached.since(now).map(|since| since + HINT_GRACE);
        let leased = due::lease(&self.store, now, now + LEASE, hinted, BATCH).await?;
        self.fire_or_split(&leased).await;
        Ok(leased.len())
    }

    /// Does what is due until nothing is, in rounds side by side; answers how many rows were looked at.
    ///
    /// # Errors
    /// When rows cannot be leased.
    pub async fn sweep_through(&self) -> Result<usize, AppError> {
        let (_for_ever, stop) = watch::channel(false);
        self.sweep_until(&stop).await
    }

    /// As [`App::sweep_through`], until told to stop; rounds that are under way are finished.
    async fn sweep_until(&self, stop: &watch::Receiver<bool>) -> Result<usize, AppError> {
        let first = self.sweep_once().await?;
        if (first as u64) < BATCH {
            return Ok(first);
        }
        let lanes = if self.store.is_postgres() { SIDE_BY_SIDE } else { 1 };
        let swept: Vec<_> = (0..lanes)
            .map(|_| {
                let (app, stop) = (self.clone(), stop.clone());
                // On tasks of their own: reading orders and thinking about them takes more than one core.
                tokio::spawn(in_background(async move { app.sweep_on(&stop).await }))
            })
            .collect();
        let mut looked = first;
        for lane in swept {
            looked += lane.await.map_err(|error| AppError::Internal(error.to_string()))??;
        }
        Ok(looked)
    }

    async fn sweep_on(&self, stop: &watch::Receiver<bool>) -> Result<usize, AppError> {
        let mut looked = 0;
        while !*stop.borrow() {
            let now = self.sweep_once().await?;
            looked += now;
            if (now as u64) < BATCH {
                break;
            }
        }
        Ok(looked)
    }

    /// All together; where one of them fails for a reason of its own, in halves, so that it is found and holds nobody up.
    /// When it is the database that fails, they are given back.
    async fn fire_or_split(&self, rows: &[Leased]) {
        let mut pieces = vec![rows];
        while let Some(rows) = pieces.pop() {
            let Err(error) = self.fire_all(rows).await else { continue };
            if !dead_letters::counts(&error) {
                tracing::warn!(rows = rows.len(), %error, "what was due waits for the database");
                let orders: Vec<Uuid> = rows.iter().map(|row| row.order_id).collect();
                if let Err(error) = due::give_back(&self.store, &orders).await {
                    tracing::debug!(%error, "leases end by themselves");
                }
            } else if let [row] = rows {
                tracing::warn!(order = %row.order_id, kind = row.kind, %error, "what was due failed");
                self.note_failure(row, &error).await;
            } else {
                let (one, other) = rows.split_at(rows.len() / 2);
                pieces.extend([other, one]);
            }
        }
    }

    async fn note_failure(&self, row: &Leased, error: &AppError) {
        if dead_letters::counts(error) {
            self.set_aside(row.order_id, error, FAILURES_AT_MOST).await;
        }
    }

    /// What is due of these rows, each by its order's own word: one read, and one commit but for long rounds of offers.
    async fn fire_all(&self, rows: &[Leased]) -> Result<(), AppError> {
        let scope = Scope::County(self.settings.county);
        let ids: Vec<Uuid> = rows.iter().map(|row| row.order_id).collect();
        let now = self.clock.now();
        let (mut to_offer, mut changes) = (Vec::new(), Vec::new());
        for stored in orders::find_all(self.store.pool(), &scope, &ids).await? {
            let Some(kind) = stored.order.due_at(now) else { continue };
            match fire(kind) {
                Fire::Offer(hat) => to_offer.push((stored, hat)),
                Fire::Command(command) => {
                    changes.extend(self.decide_by_system(&stored, Hat::Sweep, command, None).await?);
                }
            }
        }
        self.commit_all(changes).await?;
        while !to_offer.is_empty() {
            let rest = to_offer.split_off(to_offer.len().min(OFFERS));
            let since = waiting_since(&to_offer);
            let offers = self.offers(to_offer).await?;
            self.commit_offers(&since, offers).await?;
            to_offer = rest;
        }
        Ok(())
    }

    /// Sweeps for ever, until told to stop.
    pub async fn run_sweep(&self, mut stop: watch::Receiver<bool>) {
        let process = self.new_id().simple().to_string();
        let mut beaten: Option<Instant> = None;
        while !*stop.borrow() {
            let swept = self.sweep_until(&stop).await;
            if swept.is_ok() && beaten.is_none_or(|at| at.elapsed() >= BEAT_EVERY) {
                self.beat(&process).await;
                beaten = Some(Instant::now());
            }
            let pause = match swept {
                Ok(_) => self.until_next().await,
                Err(error) => {
                    tracing::warn!(%error, "the sweep waits for the database");
                    PAUSE_AT_MOST
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stop.changed() => {}
            }
        }
    }

    /// A sign of life of this sweep, for those who look whether anybody does.
    async fn beat(&self, process: &str) {
        let (county, now) = (self.settings.county, self.clock.now());
        if let Err(error) = heartbeat::beat(&self.store, county, process, SWEEPING, now).await {
            tracing::warn!(%error, "the sweep gave no sign of life");
        }
    }

    async fn until_next(&self) -> Duration {
        // Orders that are left to the queue are due, and would be found again and again.
        let is_long = self.reached.since(self.clock.now()).is_some();
        let next = due::next_wake(self.store.pool(), is_long).await.ok().flatten();
        let left = next.map(|at| (at - self.clock.now()).to_std().unwrap_or(Duration::from_millis(50)));
        left.map_or(PAUSE_AT_MOST, |left| left.clamp(Duration::from_millis(5), PAUSE_AT_MOST))
    }

    /// Follows the database's clock and the directory's stamp, and forgets old answers, until told to stop.
    pub async fn run_housekeeping(&self, mut stop: watch::Receiver<bool>) {
        let mut rounds = 0_u32;
        while !*stop.borrow() {
            if let Err(error) = self.refresh_directory().await {
                tracing::warn!(%error, "the directory was not read again");
            }
            if rounds.is_multiple_of(10) {
                self.follow_database_clock().await;
            }
            if rounds % 600 == 1 {
                let before = self.clock.now() - ANSWERS_KEPT;
                if let Err(error) = idempotency::forget(&self.store, before).await {
                    tracing::warn!(%error, "old answers were not forgotten");
                }
            }
            if let Err(error) = self.seal_audit().await {
                tracing::warn!(%error, "the audit log was not sealed");
            }
            if rounds % 10 == 6
                && let Err(error) = self.resume_transfers().await
            {
                tracing::warn!(%error, "work of somebody who leaves was not handed on");
            }
            if rounds % 60 == 8
                && let Err(error) = self.look_for_hazards().await
            {
                tracing::warn!(%error, "hazards were not looked for");
            }
            if rounds % 60 == 5
                && let Err(error) = self.sweep_media().await
            {
                tracing::warn!(%error, "photos that nobody attached were not swept");
            }
            if rounds % 10 == 7
                && let Err(error) = self.follow_checks().await
            {
                tracing::warn!(%error, "checks of photos were not followed up");
            }
            if rounds % 10 == 3
                && let Err(error) = self.expire_redemptions().await
            {
                tracing::warn!(%error, "what nobody fetched in time was not given back");
            }
            if rounds % 60 == 5
                && let Err(error) = self.forget_mended_letters().await
            {
                tracing::debug!(%error, "the queue's dead letters were not looked at");
            }
            // A day begins at 16:00 UTC; the first round after it takes the root, and the others find it taken.
            if rounds % 300 == 2
                && let Err(error) = self.take_daily_root().await
            {
                tracing::warn!(%error, "the ledger's daily root was not taken");
            }
            rounds = rounds.wrapping_add(1);
            tokio::select! {
                () = tokio::time::sleep(HOUSEKEEPING_EVERY / 10) => {}
                _ = stop.changed() => {}
            }
        }
    }

    /// Reads the database's clock and sets ours by it.
    pub async fn follow_database_clock(&self) {
        match self.database_clock().await {
            Ok(Some((there, took))) => self.clock.follow(there, took),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "the database's clock cannot be read"),
        }
    }

    /// The database's clock and how many milliseconds the question took; `None` on SQLite, whose clock is ours.
    pub(crate) async fn database_clock(
        &self,
    ) -> Result<Option<(chrono::DateTime<chrono::Utc>, i64)>, AppError> {
        let start = std::time::Instant::now();
        let there = connection::clock(&self.store).await?;
        let took = i64::try_from(start.elapsed().as_millis()).unwrap_or(i64::MAX);
        Ok(there.map(|there| (there, took)))
    }

    /// Whether this process can do its work: the database answers, and the clocks agree.
    ///
    /// # Errors
    /// [`AppError::Unavailable`] says what is missing.
    pub async fn ready(&self) -> Result<(), AppError> {
        self.database_clock().await.map_err(|_| AppError::Unavailable("database"))?;
        if self.clock.offset_millis().abs() > OFFSET_AT_MOST_MILLIS {
            return Err(AppError::Unavailable("clock"));
        }
        Ok(())
    }

    /// Whether an order is on the board with a reason.
    pub fn stuck_reason(stored: &StoredOrder) -> Option<&str> {
        match &stored.order.state {
            State::Placed { stuck, .. } => stuck.as_deref(),
            _ => None,
        }
    }
}
