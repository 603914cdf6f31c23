//! Who is away, who is on duty, how much one may hold; and what the policy learns from how offers went.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use xingfuma_domain::access::{self, Role};
use xingfuma_domain::dispatch::{Roster, roster::OPEN_ORDERS_AT_MOST};
use xingfuma_domain::order::{Context, Event, Offer, Order, Record, State};
use xingfuma_store::duty::{self, Answered, LeaveRow};
use xingfuma_store::{StoreError, idempotency, people, transact};

use crate::command::Reply;
use crate::once::Once;
use crate::text::Fields;
use crate::{App, AppError, Caller};

/// The longest leave.
const LEAVE_LONGEST: TimeDelta = TimeDelta::days(366);
/// The most leaves that somebody may have ahead of him.
const LEAVES_AT_MOST: usize = 20;

/// What an event adds to the histories: an offer that ends adds its wait to those who were told and to their team, an
/// acceptance counts for whoever made it, a new offer is remembered for those who are told now.
pub(crate) fn answered(before: &Order, records: &[Record], context: &Context<'_>) -> Vec<Answered> {
    let mut found: BTreeMap<Uuid, Answered> = BTreeMap::new();
    for record in records {
        if let (State::Dispatched { offer }, true) = (&before.state, ends_offer(&record.event)) {
            let waited_seconds = context.waited_seconds(before.urgency(), offer.at);
            for owner in told_of(offer).chain([offer.to.team]) {
                entry(&mut found, owner).waited_seconds += waited_seconds;
            }
        }
        match &record.event {
            Event::Accepted { engagement } => {
                entry(&mut found, engagement.team).accepts += 1;
                entry(&mut found, engagement.volunteer).accepts += 1;
            }
            Event::Dispatched { to, invited, .. } => {
                for owner in invited.iter().copied().chain(to.volunteer) {
                    entry(&mut found, owner).offered_at = Some(record.at);
                }
            }
            _ => {}
        }
    }
    found.into_values().collect()
}

fn entry(found: &mut BTreeMap<Uuid, Answered>, owner: Uuid) -> &mut Answered {
    found.entry(owner).or_insert(Answered { owner, accepts: 0, waited_seconds: 0, offered_at: None })
}

fn told_of(offer: &Offer) -> impl Iterator<Item = Uuid> + '_ {
    let named = offer.to.volunteer.filter(|named| !offer.invited.contains(named));
    offer.invited.iter().copied().chain(named)
}

fn ends_offer(event: &Event) -> bool {
    match event {
        Event::Accepted { .. } | Event::Dispatched { .. } | Event::NoTeamLeft { .. } => true,
        Event::Declined { returned_by, .. } => returned_by.is_some(),
        _ => false,
    }
}

impl App {
    /// Who takes an order on by these events, and how many he may hold with it. An offer that names him is not counted
    /// against him: the policy names nobody who is full, and a dispatcher may overrule.
    pub(crate) fn at_most(&self, before: &Order, records: &[Record]) -> Option<(Uuid, i64)> {
        let State::Dispatched { offer } = &before.state else { return None };
        let accepted = |record: &Record| match &record.event {
            Event::Accepted { engagement } => Some((engagement.volunteer, engagement.team)),
            _ => None,
        };
        let (volunteer, team) = records.iter().find_map(accepted).filter(|_| offer.to.volunteer.is_none())?;
        Some((volunteer, self.team_open_orders_at_most(team)))
    }

    fn team_open_orders_at_most(&self, team: Uuid) -> i64 {
        self.directory().team(team).map_or(OPEN_ORDERS_AT_MOST, |team| team.roster.open_orders_at_most)
    }

    pub(crate) fn open_orders_at_most(&self, caller: &Caller) -> i64 {
        let limits = caller.actor.teams().into_iter().map(|team| self.team_open_orders_at_most(team));
        limits.min().unwrap_or(OPEN_ORDERS_AT_MOST)
    }

    /// Enters the caller's own leave: nobody asks him while it lasts.
    ///
    /// # Errors
    /// [`AppError::Forbidden`] for somebody who is no volunteer, [`AppError::Invalid`] for a time that is none or over,
    /// [`AppError::Conflict`] when he has too many leaves ahead of him.
    pub async fn enter_leave(
        &self,
        caller: &Caller,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        once: &Once<LeaveRow>,
    ) -> Result<Reply, AppError> {
        if !(caller.actor.is(Role::Volunteer) || caller.actor.is(Role::GridLeader)) {
            return Err(AppError::Forbidden);
        }
        if let Some(reply) = self.done_before(once).await? {
            return Ok(reply);
        }
        let now = self.clock.now();
        let mut fields = Fields::default();
        if to <= from || to <= now {
            fields.fault("to", "not_after_from");
        } else if to - from > LEAVE_LONGEST || from - now > LEAVE_LONGEST {
            fields.fault("to", "too_long");
        }
        fields.check()?;
        let (county, person) = (caller.actor.county, caller.actor.person);
        if duty::leaves(self.store.pool(), person, now).await?.len() >= LEAVES_AT_MOST {
            return Err(AppError::Conflict("too_many_leaves"));
        }
        let leave = LeaveRow { id: self.new_id(), from_at: from, to_at: to };
        let (reply, answer) = self.answer_once(once, leave.id, &leave);
        let entered: Result<Option<Reply>, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                duty::enter_leave(conn, county, person, &leave, now).await?;
                idempotency::keep(conn, answer.as_ref()).await?;
                Ok(Some(reply))
            })
        })
        .await;
        self.done_once(once, entered, AppError::Conflict("busy")).await
    }

    /// The caller's own leaves that are not over.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn leaves(&self, caller: &Caller) -> Result<Vec<LeaveRow>, AppError> {
        Ok(duty::leaves(self.store.pool(), caller.actor.person, self.clock.now()).await?)
    }

    /// Ends one of the caller's own leaves now.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for one that is not his, or over.
    pub async fn end_leave(&self, caller: &Caller, leave: Uuid) -> Result<(), AppError> {
        let (person, now) = (caller.actor.person, self.clock.now());
        let ended: Result<bool, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move { duty::end_leave(conn, person, leave, now).await })
        })
        .await;
        if ended? { Ok(()) } else { Err(AppError::NotFound) }
    }

    /// A team's roster, for those who serve in it and those who keep it.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for everybody else.
    pub fn roster(&self, caller: &Caller, team: Uuid) -> Result<Roster, AppError> {
        let directory = self.directory();
        let known = directory.team(team).ok_or(AppError::NotFound)?;
        if !access::reads_roster(&caller.actor, team, &known.areas) {
            return Err(AppError::NotFound);
        }
        Ok(known.roster.clone())
    }

    /// Keeps a team's roster; it is in force in this process at once and in all others within seconds.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for those who may not read it, [`AppError::Forbidden`] for those who may only read it,
    /// [`AppError::Invalid`] for a roster that cannot be kept or names somebody who is not of the team.
    pub async fn keep_roster(&self, caller: &Caller, team: Uuid, roster: Roster) -> Result<Roster, AppError> {
        self.roster(caller, team)?;
        let areas = self.directory().team(team).map(|team| team.areas.clone()).unwrap_or_default();
        if !access::keeps_roster(&caller.actor, team, &areas) {
            return Err(AppError::Forbidden);
        }
        if let Some((field, code)) = roster.fault() {
            return Err(AppError::invalid(field, code));
        }
        let members = people::members_of(self.store.pool(), team).await?;
        if roster.shifts.iter().flat_map(|shift| &shift.people).any(|one| !members.contains(one)) {
            return Err(AppError::invalid("shifts", "not_in_team"));
        }
        let text = serde_json::to_string(&roster).map_err(|error| AppError::Internal(error.to_string()))?;
        let (county, by, now) = (caller.actor.county, caller.actor.person, self.clock.now());
        let kept: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move { duty::keep_roster(conn, county, team, &text, by, now).await })
        })
        .await;
        kept?;
        self.refresh_directory().await?;
        Ok(roster)
    }
}
