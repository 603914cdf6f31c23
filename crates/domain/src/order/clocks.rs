//! The clocks that run for an order, and the one moment at which it wakes next.
//!
//! A clock is never stored: it follows from the state, so it stops, moves and starts afresh with it (a pause, a
//! hand-over, a merge, an extension, a reopening). What is stored is which of them have been *told of*: a warning when
//! three quarters of its time are over, and its end where no command follows from the end by itself. A clock whose end
//! moves is told of anew; one that is gone is forgotten.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::due::{Due, DueKind};
use super::promise::Offer;
use super::state::{Order, State};
use super::{AFTERCARE_SECONDS, HINT_GRACE_SECONDS};
use crate::area::Level;
use crate::deadline::{self, Calendar, Pace, QuietHours, Urgency};

/// What a clock measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Until a team has it, once the policy found none.
    Dispatch,
    /// Until somebody accepts this offer. Its warning is the reminder to those who were told.
    Accept,
    /// Until the volunteer is there.
    Arrive,
    /// Until it is done.
    Complete,
    /// Until the township has asked a dissatisfied resident.
    Revisit,
    /// Until a whistled department has checked in.
    CheckIn,
    /// Until a whistled department has a result.
    Conclude,
    /// Until what a corrective notice demands is put right.
    Correct,
}

impl Stage {
    /// The name in JSON and in the topics of notifications.
    pub const fn as_str(self) -> &'static str {
        match self {
            Stage::Dispatch => "dispatch",
            Stage::Accept => "accept",
            Stage::Arrive => "arrive",
            Stage::Complete => "complete",
            Stage::Revisit => "revisit",
            Stage::CheckIn => "check_in",
            Stage::Conclude => "conclude",
            Stage::Correct => "correct",
        }
    }
}

/// A clock that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Clock {
    /// What it measures.
    pub stage: Stage,
    /// Which whistle or corrective notice it belongs to; absent for the order's own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub of: Option<Uuid>,
    /// Since when it has been running towards this end.
    pub from: DateTime<Utc>,
    /// Its end.
    pub due: DateTime<Utc>,
}

/// That somebody was told of a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// What the clock measures.
    pub stage: Stage,
    /// Which whistle or corrective notice it belongs to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub of: Option<Uuid>,
    /// The end that was told of.
    pub due: DateTime<Utc>,
    /// That it is over, and not only that it soon will be.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub over: bool,
}

impl Told {
    fn is_of(&self, clock: &Clock) -> bool {
        (self.stage, self.of, self.due) == (clock.stage, clock.of, clock.due)
    }
}

impl Clock {
    fn of_order(stage: Stage, from: DateTime<Utc>, due: DateTime<Utc>) -> Clock {
        Clock { stage, of: None, from, due }
    }

    /// When three quarters of its time are over; none where that would not be before its end.
    fn warn_at(&self, urgency: Urgency) -> Option<DateTime<Utc>> {
        let at = match self.stage {
            // Patience runs on days off too; nobody is reminded in the quiet hours of what can wait.
            Stage::Accept => {
                let at = self.from + (self.due - self.from) / 4 * 3;
                if urgency == Urgency::Urgent { at } else { QuietHours::default().next_allowed(at) }
            }
            Stage::Revisit | Stage::Correct => {
                deadline::warn_at(self.from, self.due, Pace::Working, Calendar::china())
            }
            _ => deadline::warn_at(self.from, self.due, urgency.pace(), Calendar::china()),
        };
        (self.from < at && at < self.due).then_some(at)
    }
}

impl Order {
    /// The clocks that run now, the order's own first.
    pub fn clocks(&self) -> Vec<Clock> {
        let mut clocks = Vec::new();
        match &self.state {
            State::Placed { since, dispatch_by, stuck: Some(_), clock_from } => {
                clocks.push(Clock::of_order(Stage::Dispatch, clock_from.unwrap_or(*since), *dispatch_by));
            }
            State::Dispatched { offer } => {
                clocks.push(Clock::of_order(Stage::Accept, offer.at, offer.accept_by));
            }
            State::Accepted { engagement } | State::InService { engagement } => {
                let from = engagement.clock_from.unwrap_or(engagement.accepted_at);
                if let (Some(arrive_by), None) = (engagement.arrive_by, engagement.arrived_at) {
                    clocks.push(Clock::of_order(Stage::Arrive, from, arrive_by));
                }
                clocks.push(Clock::of_order(Stage::Complete, from, engagement.complete_by));
            }
            State::Rated { .. } => {
                let open = self.revisit.as_ref().filter(|revisit| revisit.outcome.is_none());
                clocks.extend(
                    open.map(|open| Clock::of_order(Stage::Revisit, open.opened_at, open.revisit_by)),
                );
            }
            _ => {}
        }
        if !self.status().has_ended() {
            clocks.extend(self.whistles.iter().filter_map(super::whistle::Whistle::clock));
            clocks.extend(self.corrections.iter().filter_map(super::correction::Correction::clock));
        }
        clocks
    }

    /// Whether the end of such a clock is told by itself; for the others a command follows from it.
    fn tells_end(&self, stage: Stage) -> bool {
        match stage {
            // Below the county it climbs instead.
            Stage::Dispatch => self.level == Level::County,
            Stage::Accept | Stage::Complete => false,
            Stage::Arrive | Stage::Revisit | Stage::CheckIn | Stage::Conclude | Stage::Correct => true,
        }
    }

    fn was_told(&self, clock: &Clock, over: bool) -> bool {
        self.told.iter().any(|told| told.is_of(clock) && (told.over || !over))
    }

    /// What is to be told of a clock next, and when.
    fn next_of(&self, clock: &Clock) -> Option<(DateTime<Utc>, bool)> {
        if clock.stage == Stage::Complete && self.engagement().is_some_and(|promise| promise.overdue_told) {
            return None;
        }
        let warning = clock.warn_at(self.urgency()).filter(|_| !self.was_told(clock, false));
        let end = Some(clock.due).filter(|_| self.tells_end(clock.stage) && !self.was_told(clock, true));
        warning.map(|at| (at, false)).or(end.map(|at| (at, true)))
    }

    /// What is to be told at `now`: of the clock that has waited longest. An end that has come makes its warning void.
    pub(super) fn to_tell(&self, now: DateTime<Utc>) -> Option<Told> {
        let waiting = self.clocks().into_iter().filter_map(|clock| {
            let (at, _) = self.next_of(&clock)?;
            let over = clock.due <= now;
            // The end of a promise and of an offer is a command's business; a warning after it helps nobody.
            let void = over && !self.tells_end(clock.stage);
            (at <= now && !void)
                .then_some((at, Told { stage: clock.stage, of: clock.of, due: clock.due, over }))
        });
        waiting.min_by_key(|(at, told)| (*at, told.stage, told.of)).map(|(_, told)| told)
    }

    fn next_telling(&self) -> Option<Due> {
        let next = self.clocks().iter().filter_map(|clock| self.next_of(clock)).min();
        next.map(|(at, over)| Due {
            kind: if over { DueKind::Overdue } else { DueKind::Warn },
            wake_at: Some(at),
        })
    }

    /// What is due next; `None` once the order has ended and nothing can come any more.
    pub fn next_due(&self) -> Option<Due> {
        let own = self.own_due()?;
        let telling = self.next_telling();
        let earlier = telling.filter(|told| own.wake_at.is_none_or(|at| told.wake_at < Some(at)));
        Some(earlier.unwrap_or(own))
    }

    /// What is to be done at `now`. After downtime several things may be due: what ends a clock comes before what would
    /// only have warned of it.
    pub fn due_at(&self, now: DateTime<Utc>) -> Option<DueKind> {
        let own = self.own_due()?;
        if own.wake_at.is_some_and(|at| at <= now) {
            return Some(own.kind);
        }
        self.to_tell(now).map(|told| if told.over { DueKind::Overdue } else { DueKind::Warn })
    }

    /// What follows by itself from the state alone.
    fn own_due(&self) -> Option<Due> {
        let due = |kind, wake_at| Some(Due { kind, wake_at: Some(wake_at) });
        match &self.state {
            State::Placed { since, stuck: None, .. } => {
                due(DueKind::Dispatch, *since + TimeDelta::seconds(HINT_GRACE_SECONDS))
            }
            State::Placed { dispatch_by, .. } if self.level > Level::County => {
                due(DueKind::DispatchOverdue, *dispatch_by)
            }
            State::Placed { .. } => Some(Due { kind: DueKind::DispatchOverdue, wake_at: None }),
            State::Dispatched { offer } => due(DueKind::AcceptOverdue, offer.accept_by),
            State::Accepted { engagement } | State::InService { engagement } => Some(Due {
                kind: DueKind::CompleteOverdue,
                wake_at: (!engagement.overdue_told).then_some(engagement.complete_by),
            }),
            State::Waiting { until, .. } => due(DueKind::AnswerOverdue, *until),
            State::Completed { completion } | State::Rated { completion, .. } => {
                due(DueKind::Close, completion.completed_at + TimeDelta::seconds(AFTERCARE_SECONDS))
            }
            State::Closed { .. } | State::Cancelled { .. } | State::Merged { .. } => None,
        }
    }

    /// Whether a clock that runs has passed its end.
    pub fn is_late(&self, now: DateTime<Utc>) -> bool {
        let waits_long = matches!(&self.state, State::Placed { dispatch_by, .. } if *dispatch_by <= now);
        waits_long || self.clocks().iter().any(|clock| clock.due <= now)
    }

    /// Forgets what was told of clocks that do not run any more or end at another moment.
    pub(super) fn forget_old_clocks(&mut self) {
        // While everybody waits for the resident no clock runs, and what was told of them is not to be told again.
        if !self.told.is_empty() && !matches!(self.state, State::Waiting { .. }) {
            let clocks = self.clocks();
            self.told.retain(|told| clocks.iter().any(|clock| told.is_of(clock)));
        }
    }
}

impl Offer {
    /// Those who were told of it and have not said no; none where the whole of `to` was told.
    pub fn unanswered(&self) -> impl Iterator<Item = Uuid> + '_ {
        self.invited.iter().copied().filter(|one| !self.declined.contains(one))
    }
}
