//! 派: the queue's dispatch, the dispatcher's hand, and what stands behind both: a stored decision.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use xingfuma_domain::access;
use xingfuma_domain::dispatch::{Candidate, Decision, Question, TeamFacts, choose};
use xingfuma_domain::order::{Assignment, Command, Hat, Order, State};
use xingfuma_store::orders::{self, StoredDecision, StoredOrder};
use xingfuma_store::scope::Scope;
use xingfuma_store::{due, people};

use crate::text::{Fields, masked};
use crate::{App, AppError, Caller};

/// Longest reason, in characters.
pub(crate) const REASON_LONGEST: usize = 200;

/// A decision as it is shown.
#[derive(Clone, Debug)]
pub struct DecisionSeen {
    /// The epoch that it led to.
    pub epoch: i64,
    /// When.
    pub decided_at: DateTime<Utc>,
    /// By hand.
    pub by_hand: bool,
    /// The policy's answer, or the hand's.
    pub decision: Decision,
}

impl App {
    /// Dispatches an order that waits, if it still waits at this epoch. Answers whether something was done.
    ///
    /// # Errors
    /// When the database fails; the hint is then given again.
    pub async fn dispatch_waiting(&self, order: Uuid, epoch: i64) -> Result<bool, AppError> {
        let scope = Scope::County(self.settings.county);
        let Some(stored) = orders::find(self.store.pool(), &scope, order).await? else { return Ok(false) };
        let waits = matches!(stored.order.state, State::Placed { stuck: None, .. });
        if !waits || stored.order.epoch != epoch {
            return Ok(false);
        }
        self.dispatch_now(&stored, Hat::Queue).await
    }

    /// Asks the policy and carries out its answer: an offer, or a place on the board with the reason.
    pub(crate) async fn dispatch_now(&self, stored: &StoredOrder, hat: Hat) -> Result<bool, AppError> {
        let order = &stored.order;
        let question = question(order);
        let facts = self.team_facts(order).await?;
        let decision = choose(&question, &facts);
        let command = match decision.chosen {
            Some(team) => Command::Dispatch { to: Assignment { team, volunteer: None }, reason: None },
            None => Command::DispatchFailed { reason: decision.shortfalls.join("；") },
        };
        let stored_decision = StoredDecision {
            epoch: order.epoch + i64::from(decision.chosen.is_some()),
            team: decision.chosen,
            volunteer: None,
            decided_by: None,
            decided_at: self.clock.now(),
            question: Some(as_json(&(&question, &facts))?),
            answer: as_json(&decision)?,
        };
        self.command_by_system(stored, hat, command, Some(stored_decision)).await
    }

    async fn team_facts(&self, order: &Order) -> Result<Vec<TeamFacts>, AppError> {
        let directory = self.directory();
        let covering = directory.teams_covering(order.placed.area);
        let ids: Vec<Uuid> = covering.iter().map(|(team, _)| team.id).collect();
        let loads = due::open_orders_by_team(self.store.pool(), &ids).await?;
        let load = |id| loads.iter().find(|(team, _)| *team == id).map_or(0, |(_, open)| *open);
        Ok(covering
            .into_iter()
            .map(|(team, covers)| TeamFacts {
                team: team.id,
                name: team.name.clone(),
                kind: team.kind,
                covers,
                skills: team.skills.clone(),
                open_orders: load(team.id),
                volunteers: team.volunteers,
            })
            .collect())
    }

    pub(crate) async fn prepare_dispatch(
        &self,
        team: Uuid,
        volunteer: Option<Uuid>,
        reason: Option<&str>,
    ) -> Result<Command, AppError> {
        let mut fields = Fields::default();
        let reason = fields.optional("reason", reason, REASON_LONGEST).map(|reason| masked(&reason));
        if self.directory().team(team).is_none() {
            fields.fault("teamId", "team_unknown");
        }
        if let Some(volunteer) = volunteer
            && people::team_of(self.store.pool(), volunteer).await? != Some(team)
        {
            fields.fault("volunteerId", "not_in_team");
        }
        fields.check()?;
        Ok(Command::Dispatch { to: Assignment { team, volunteer }, reason })
    }

    pub(crate) fn decided_by_hand(
        &self,
        to: Assignment,
        reason: &str,
        decided_by: Option<Uuid>,
        epoch: i64,
    ) -> StoredDecision {
        let name = self.directory().team(to.team).map(|team| team.name.clone()).unwrap_or_default();
        let candidate =
            Candidate { team: to.team, name, score: None, reasons: vec![format!("人工指定：{reason}")] };
        let decision =
            Decision { chosen: Some(to.team), candidates: vec![candidate], shortfalls: Vec::new() };
        StoredDecision {
            epoch,
            team: Some(to.team),
            volunteer: to.volunteer,
            decided_by,
            decided_at: self.clock.now(),
            question: None,
            answer: serde_json::to_string(&decision).unwrap_or_default(),
        }
    }

    /// Why this team: for the leader, the dispatcher and those who watch over them.
    ///
    /// # Errors
    /// [`AppError::NotFound`] when the order, or a decision about it, is not there for the caller;
    /// [`AppError::Forbidden`] when he may see the order but not its decision.
    pub async fn decision(&self, caller: &Caller, order: Uuid) -> Result<DecisionSeen, AppError> {
        let scope = Scope::of(&caller.actor);
        let stored = orders::find(self.store.pool(), &scope, order).await?.ok_or(AppError::NotFound)?;
        let view = access::view(&caller.actor, &stored.order).ok_or(AppError::NotFound)?;
        if !view.decision {
            return Err(AppError::Forbidden);
        }
        let row = orders::latest_decision(self.store.pool(), order).await?.ok_or(AppError::NotFound)?;
        let decision = serde_json::from_str(&row.answer)
            .map_err(|_| AppError::Internal("a stored decision cannot be read".to_owned()))?;
        Ok(DecisionSeen {
            epoch: row.epoch,
            decided_at: row.decided_at,
            by_hand: row.decided_by.is_some(),
            decision,
        })
    }
}

fn question(order: &Order) -> Question {
    Question { area: order.placed.area, skill: order.placed.skill.clone(), asked: order.asked.clone() }
}

fn as_json(value: &impl serde::Serialize) -> Result<String, AppError> {
    serde_json::to_string(value).map_err(|error| AppError::Internal(error.to_string()))
}
