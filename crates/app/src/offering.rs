//! 派 by the queue: orders that wait are offered to teams, as many at once as there are.
//!
//! One round: the orders, what the policy is to know about their teams (one statement each, whatever their number), the
//! policy's choice for one order after the other, and one commit. A choice counts for the orders behind it in the same
//! round: whoever was just told of one has rested least for the next.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use xingfuma_domain::dispatch::{Decision, Edition, Question, TeamFacts, choose};
use xingfuma_domain::order::{Assignment, Command, Hat, Order, State};
use xingfuma_queue::Hint;
use xingfuma_store::orders::{self, Change, StoredDecision, StoredOrder};
use xingfuma_store::scope::Scope;

use crate::metrics::{waited_seconds, waiting_since};
use crate::{App, AppError};

impl App {
    /// Offers the orders of these hints that still wait at their epoch. Answers how many offers, or places on the board,
    /// came of it.
    ///
    /// # Errors
    /// When the database fails, or one of the orders cannot be read; then none was offered, and the hints are to be
    /// given again, one by one.
    pub async fn dispatch_all(&self, hints: &[Hint]) -> Result<usize, AppError> {
        let scope = Scope::County(self.settings.county);
        let ids: Vec<Uuid> = hints.iter().map(|hint| hint.order_id).collect();
        let waits = |stored: &StoredOrder| {
            matches!(stored.order.state, State::Placed { stuck: None, .. })
                && hints
                    .iter()
                    .any(|hint| hint.order_id == stored.order.id && hint.epoch == stored.order.epoch)
        };
        let mut stored = orders::find_all(self.store.pool(), &scope, &ids).await?;
        // First come, first offered: ids go up with time.
        stored.sort_unstable_by_key(|stored| stored.order.id);
        let waiting: Vec<_> = stored.into_iter().filter(waits).map(|stored| (stored, Hat::Queue)).collect();
        let since = waiting_since(&waiting);
        if hints.len() == self.round() {
            self.reached.note(since.values().min().copied(), self.clock.now());
        }
        let changes = self.offers(waiting).await?;
        let written = self.commit_offers(&since, changes).await?;
        Ok(written.into_iter().filter(|done| *done).count())
    }

    /// Writes changes as [`App::commit_all`] does, and notes how long those who got an offer had waited for it.
    pub(crate) async fn commit_offers(
        &self,
        since: &HashMap<Uuid, DateTime<Utc>>,
        changes: Vec<Change>,
    ) -> Result<Vec<bool>, AppError> {
        let waited: Vec<Option<f64>> = changes.iter().map(|change| waited_seconds(since, change)).collect();
        let written = self.commit_all(changes).await?;
        for waited in waited.into_iter().zip(&written).filter_map(|(waited, done)| waited.filter(|_| *done)) {
            self.metrics.observe_dispatch(waited);
        }
        Ok(written)
    }

    /// Asks the policy about these orders: an offer each, or a place on the board with the reason. Those that no longer
    /// allow either are left out.
    pub(crate) async fn offers(&self, orders: Vec<(StoredOrder, Hat)>) -> Result<Vec<Change>, AppError> {
        let directory = self.directory();
        let questions: Vec<Question> =
            orders.iter().map(|(stored, _)| self.question(&stored.order)).collect();
        let mut known = self.known(&directory, &questions).await?;
        let mut changes = Vec::with_capacity(orders.len());
        for ((stored, hat), question) in orders.iter().zip(&questions) {
            let mut facts = known.facts(&directory, question);
            let mut decision = choose(question, &facts);
            if decision.chosen.is_none() && self.know_anew(&mut known, &directory, question).await? {
                facts = known.facts(&directory, question);
                decision = choose(question, &facts);
            }
            self.learn(&mut known, question, &decision);
            let kept = kept(&stored.order, question, &facts, &decision)?;
            let command = command(question, decision);
            changes.extend(self.decide_by_system(stored, *hat, command, Some(kept)).await?);
        }
        Ok(changes)
    }

    fn question(&self, order: &Order) -> Question {
        let mode = self.directory().category(&order.placed.category).map(|category| category.assign);
        Question {
            area: order.placed.area,
            skill: order.placed.skill.clone(),
            asked: order.refused.clone(),
            invited: order.invited.clone(),
            kind: order.placed.kind,
            urgency: order.urgency(),
            mode: mode.unwrap_or_default(),
            edition: Edition::TODAY,
            order: Some(order.id),
            requester: order.placed.requester,
            at: self.clock.now(),
            accept_within_seconds: order.limits().accept,
        }
    }
}

/// The decision as it is kept for ever, with the question and the facts that it rests on.
fn kept(
    order: &Order,
    question: &Question,
    facts: &[TeamFacts],
    decision: &Decision,
) -> Result<StoredDecision, AppError> {
    Ok(StoredDecision {
        epoch: order.epoch + i64::from(decision.chosen.is_some()),
        team: decision.chosen,
        volunteer: decision.volunteer,
        decided_by: None,
        decided_at: question.at,
        question: Some(as_json(&(question, facts))?),
        answer: as_json(decision)?,
    })
}

fn command(question: &Question, decision: Decision) -> Command {
    match decision.chosen {
        Some(team) => Command::Invite {
            to: Assignment { team, volunteer: decision.volunteer },
            invited: decision.invited,
            patience_seconds: decision.patience_seconds.unwrap_or(question.accept_within_seconds),
        },
        None => Command::DispatchFailed { reason: decision.shortfalls.join("；") },
    }
}

/// Without the room that it grew into: a round holds a hundred of these.
fn as_json(value: &impl serde::Serialize) -> Result<String, AppError> {
    let mut text = serde_json::to_string(value).map_err(|error| AppError::Internal(error.to_string()))?;
    text.shrink_to_fit();
    Ok(text)
}
