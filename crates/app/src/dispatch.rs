//! 派: the queue's dispatch, the dispatcher's hand, and what stands behind both: a stored decision.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use xingfuma_domain::access;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::dispatch::{Candidate, Decision, History, MemberFacts, Question, TeamFacts, choose};
use xingfuma_domain::order::{Assignment, Command, Hat, Order, State};
use xingfuma_store::duty::{self, KnownRow};
use xingfuma_store::orders::{self, StoredDecision, StoredOrder};
use xingfuma_store::people;
use xingfuma_store::scope::Scope;

use crate::directory::Team;
use crate::text::{Fields, KnownWords};
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
    /// The policy, asked again with the stored question and facts, gives the stored answer; absent for a hand's word and
    /// for a question of an older policy.
    pub replays: Option<bool>,
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
        let question = self.question(order);
        let facts = self.team_facts(&question).await?;
        let decision = choose(&question, &facts);
        let command = match decision.chosen {
            Some(team) => Command::Invite {
                to: Assignment { team, volunteer: decision.volunteer },
                invited: decision.invited.clone(),
                patience_seconds: decision.patience_seconds.unwrap_or(question.accept_within_seconds),
            },
            None => Command::DispatchFailed { reason: decision.shortfalls.join("；") },
        };
        let stored_decision = StoredDecision {
            epoch: order.epoch + i64::from(decision.chosen.is_some()),
            team: decision.chosen,
            volunteer: decision.volunteer,
            decided_by: None,
            decided_at: question.at,
            question: Some(as_json(&(&question, &facts))?),
            answer: as_json(&decision)?,
        };
        self.command_by_system(stored, hat, command, Some(stored_decision)).await
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
            requester: order.placed.requester,
            at: self.clock.now(),
            accept_within_seconds: order.limits().accept,
        }
    }

    /// What the policy is to know, in one round trip: teams and rosters are in memory already.
    async fn team_facts(&self, question: &Question) -> Result<Vec<TeamFacts>, AppError> {
        let directory = self.directory();
        let covering = directory.teams_covering(question.area);
        let able = covering.iter().filter(|(team, _)| team.skills.contains(&question.skill));
        let able: Vec<Uuid> = able.map(|(team, _)| team.id).collect();
        let ids: Vec<Uuid> = covering.iter().map(|(team, _)| team.id).collect();
        let known = duty::known(self.store.pool(), &ids, &able, &question.skill, question.at).await?;
        Ok(covering.into_iter().map(|(team, covers)| facts(team, covers, &known, question.at)).collect())
    }

    pub(crate) async fn prepare_dispatch(
        &self,
        team: Uuid,
        volunteer: Option<Uuid>,
        reason: Option<&str>,
        known: &KnownWords,
    ) -> Result<Command, AppError> {
        let mut fields = Fields::default();
        let reason = fields.optional("reason", reason, REASON_LONGEST).map(|reason| known.masked(&reason));
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
        let decision = Decision {
            chosen: Some(to.team),
            volunteer: to.volunteer,
            candidates: vec![candidate],
            ..Decision::default()
        };
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
        let decision: Decision = serde_json::from_str(&row.answer)
            .map_err(|_| AppError::Internal("a stored decision cannot be read".to_owned()))?;
        Ok(DecisionSeen {
            epoch: row.epoch,
            decided_at: row.decided_at,
            by_hand: row.decided_by.is_some(),
            replays: row.question.as_deref().and_then(|question| replays(question, &decision)),
            decision,
        })
    }
}

fn facts(team: &Team, covers: AreaCode, known: &[KnownRow], at: DateTime<Utc>) -> TeamFacts {
    let history = |row: &KnownRow| History { accepts: row.accepts, waited_seconds: row.waited_seconds };
    let mut of_team = known.iter().filter(|row| row.team_id == team.id);
    let own = of_team.clone().find(|row| row.person_id.is_none());
    let quiet = team.roster.is_quiet(at);
    let mut members: Vec<MemberFacts> = of_team
        .by_ref()
        .filter_map(|row| {
            let person = row.person_id?;
            Some(MemberFacts {
                person,
                open_orders: row.open_orders,
                full: row.open_orders >= team.roster.open_orders_at_most,
                on_leave: row.on_leave != 0,
                off_duty: !team.roster.is_on_duty(person, at),
                quiet,
                offered_at: row.offered_at,
                history: history(row),
            })
        })
        .collect();
    members.sort_unstable_by_key(|one| one.person);
    TeamFacts {
        team: team.id,
        name: team.name.clone(),
        kind: team.kind,
        covers,
        skills: team.skills.clone(),
        open_orders: own.map_or(0, |row| row.open_orders),
        volunteers: team.volunteers,
        history: own.map(history).unwrap_or_default(),
        members,
    }
}

fn replays(question: &str, stored: &Decision) -> Option<bool> {
    let (question, facts): (Question, Vec<TeamFacts>) = serde_json::from_str(question).ok()?;
    Some(choose(&question, &facts) == *stored)
}

fn as_json(value: &impl serde::Serialize) -> Result<String, AppError> {
    serde_json::to_string(value).map_err(|error| AppError::Internal(error.to_string()))
}
