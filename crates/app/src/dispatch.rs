//! 派 by a dispatcher's hand, and what stands behind every dispatch: a stored decision. The queue's own dispatch is in
//! [`crate::offering`].

use chrono::{DateTime, Utc};
use uuid::Uuid;
use xingfuma_domain::access;
use xingfuma_domain::dispatch::{Candidate, Decision, Question, TeamFacts, choose};
use xingfuma_domain::order::{Assignment, Command};
use xingfuma_store::orders::{self, StoredDecision};
use xingfuma_store::people;
use xingfuma_store::scope::Scope;

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
    /// [`AppError::NotFound`] when the order is not there for the caller; [`AppError::Forbidden`] when he may see it but not
    /// its decision; [`AppError::Conflict`] `not_decided` while there is none.
    pub async fn decision(&self, caller: &Caller, order: Uuid) -> Result<DecisionSeen, AppError> {
        let scope = Scope::of(&caller.actor);
        let stored = orders::find(self.store.pool(), &scope, order).await?.ok_or(AppError::NotFound)?;
        let view = access::view(&caller.actor, &stored.order).ok_or(AppError::NotFound)?;
        if !view.decision {
            return Err(AppError::Forbidden);
        }
        let row = orders::latest_decision(self.store.pool(), order).await?;
        let row = row.ok_or(AppError::Conflict("not_decided"))?;
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

fn replays(question: &str, stored: &Decision) -> Option<bool> {
    let (question, facts): (Question, Vec<TeamFacts>) = serde_json::from_str(question).ok()?;
    Some(choose(&question, &facts) == *stored)
}
