//! Handing on all open work of somebody who leaves.
//!
//! The wish is a row, written with the suspension if there is one; then each order is handed on in a transaction of its
//! own, with its event and its notices. Whoever dies in between leaves a row that is not ended, and the housekeeping of any
//! process goes on with it: an order that was handed on is not his any more, so nothing is done twice.

use chrono::TimeDelta;
use uuid::Uuid;
use xingfuma_domain::access::{self, Action};
use xingfuma_domain::order::{Assignment, Command, Event, Hat, Hats, decide};
use xingfuma_store::audit::{self, AuditEntry};
use xingfuma_store::orders::{self, Change, Notification, StoredOrder};
use xingfuma_store::scope::Scope;
use xingfuma_store::transfers::{self, TransferRow, Volunteer};
use xingfuma_store::{StoreError, people, transact};

use crate::dispatch::REASON_LONGEST;
use crate::text::Fields;
use crate::{App, AppError, Caller};

/// A wish older than this is nobody's any more and is gone on with.
const ABANDONED_AFTER: TimeDelta = TimeDelta::seconds(10);
/// Rounds over what he still holds; a round in which nothing moves is the last.
const ROUNDS_AT_MOST: usize = 50;

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferRequest {
    /// Who leaves.
    pub volunteer: Uuid,
    /// Who takes over; else his team.
    pub to: Option<Uuid>,
    /// Why.
    pub reason: String,
    /// He is suspended with it.
    pub suspend: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transferred {
    /// Names the wish.
    pub id: Uuid,
    /// Orders handed on.
    pub handed_on: i32,
    /// Orders that he still holds, because they could not be handed on now; they are tried again.
    pub left: usize,
}

impl App {
    /// Hands on everything open that a volunteer holds, and suspends him if that is asked for.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for a volunteer of whom the caller knows nothing, [`AppError::Forbidden`] for one whose work is
    /// not his to hand on, [`AppError::Invalid`] without a reason or for a successor who is none,
    /// [`AppError::Conflict`] `transfer_open` while another one is under way.
    pub async fn transfer_work(
        &self,
        caller: &Caller,
        request: TransferRequest,
    ) -> Result<Transferred, AppError> {
        let wish = self.begin_transfer(caller, request).await?;
        self.go_on_with_transfer(&wish).await
    }

    /// A volunteer whose work is the caller's to hand on, in whatever standing.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for one of whom he knows nothing, [`AppError::Forbidden`] for another whom he may only see.
    pub(crate) async fn volunteer_in_charge_of(
        &self,
        caller: &Caller,
        person: Uuid,
    ) -> Result<Volunteer, AppError> {
        let found = transfers::volunteer(self.store.pool(), self.settings.county, person).await?;
        let found = found.ok_or(AppError::NotFound)?;
        if access::transfers_work(&caller.actor, person, found.team, found.grid) {
            return Ok(found);
        }
        let known = access::knows_volunteer(&caller.actor, found.team, found.grid);
        Err(if known { AppError::Forbidden } else { AppError::NotFound })
    }

    /// Checks and writes the wish down; what follows can be done by anybody.
    ///
    /// # Errors
    /// As [`App::transfer_work`].
    pub async fn begin_transfer(
        &self,
        caller: &Caller,
        request: TransferRequest,
    ) -> Result<TransferRow, AppError> {
        let county = self.settings.county;
        let leaves = self.volunteer_in_charge_of(caller, request.volunteer).await?;
        let actor = &caller.actor;
        let mut fields = Fields::default();
        let reason = caller.known_words()?.masked(&fields.text("reason", &request.reason, REASON_LONGEST));
        if let Some(to) = request.to {
            let takes = transfers::volunteer(self.store.pool(), county, to).await?;
            let good = takes.is_some_and(|takes| {
                let reaches =
                    takes.team == leaves.team || access::allow(actor, Action::TransferWork, takes.grid);
                takes.active && reaches && to != request.volunteer
            });
            if !good {
                fields.fault("toVolunteerId", "not_a_volunteer");
            }
        }
        fields.check()?;
        let now = self.clock.now();
        let wish = TransferRow {
            id: self.ids.id(now),
            volunteer_id: request.volunteer,
            to_id: request.to,
            reason,
            suspended: request.suspend,
            asked_by: actor.person,
            asked_at: now,
            handed_on: 0,
            ended_at: None,
        };
        let entry = AuditEntry {
            id: self.ids.id(now),
            county,
            at: now,
            person: Some(actor.person),
            action: if wish.suspended { "volunteer_suspended" } else { "work_transferred" },
            resource: wish.id,
            subject: Some(wish.volunteer_id),
            reason: Some(wish.reason.clone()),
        };
        let row = wish.clone();
        let begun: Result<bool, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                if !transfers::begin(conn, county, &row).await? {
                    return Ok(false);
                }
                if row.suspended {
                    transfers::suspend(conn, county, row.volunteer_id, now).await?;
                }
                audit::append(conn, &[entry]).await?;
                Ok(true)
            })
        })
        .await;
        if !begun? {
            return Err(AppError::Conflict("transfer_open"));
        }
        if wish.suspended {
            self.refresh_directory().await?;
        }
        Ok(wish)
    }

    /// Goes on with wishes that somebody began and did not end; answers how many orders were handed on.
    ///
    /// # Errors
    /// When the database fails; the rest waits on.
    pub async fn resume_transfers(&self) -> Result<i32, AppError> {
        let before = self.clock.now() - ABANDONED_AFTER;
        let mut handed_on = 0;
        for wish in transfers::unfinished(self.store.pool(), self.settings.county, before).await? {
            handed_on += self.go_on_with_transfer(&wish).await?.handed_on - wish.handed_on;
        }
        Ok(handed_on)
    }

    async fn go_on_with_transfer(&self, wish: &TransferRow) -> Result<Transferred, AppError> {
        let mut handed_on = wish.handed_on;
        for _ in 0..ROUNDS_AT_MOST {
            let held = transfers::held_by(self.store.pool(), wish.volunteer_id).await?;
            if held.is_empty() {
                handed_on = self.note_transfer(wish.id, 0, true).await?;
                return Ok(Transferred { id: wish.id, handed_on, left: 0 });
            }
            let moved = self.hand_on_all(wish, &held).await?;
            handed_on = self.note_transfer(wish.id, moved, false).await?;
            if moved == 0 {
                tracing::warn!(transfer = %wish.id, left = held.len(), "orders could not be handed on");
                return Ok(Transferred { id: wish.id, handed_on, left: held.len() });
            }
        }
        let left = transfers::held_by(self.store.pool(), wish.volunteer_id).await?.len();
        Ok(Transferred { id: wish.id, handed_on, left })
    }

    async fn note_transfer(&self, transfer: Uuid, more: i32, ended: bool) -> Result<i32, AppError> {
        let ended = ended.then(|| self.clock.now());
        let noted: Result<i32, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move { transfers::note(conn, transfer, more, ended).await })
        })
        .await;
        Ok(noted?)
    }

    /// Hands on these orders, one by one; one that somebody else changes meanwhile is looked at again in the next round.
    async fn hand_on_all(&self, wish: &TransferRow, held: &[Uuid]) -> Result<i32, AppError> {
        let scope = Scope::County(self.settings.county);
        let mut moved = 0;
        for stored in orders::find_all(self.store.pool(), &scope, held).await? {
            let Some(change) = self.hand_on(wish, &stored).await? else { continue };
            match self.commit(change).await {
                Ok(()) => moved += 1,
                Err(AppError::Store(StoreError::Conflict)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(moved)
    }

    async fn hand_on(&self, wish: &TransferRow, stored: &StoredOrder) -> Result<Option<Change>, AppError> {
        let order = &stored.order;
        let Some(held) = order.assignment() else { return Ok(None) };
        let to = match wish.to_id {
            Some(to) => people::team_of(self.store.pool(), to).await?.map(|team| (team, to)),
            None => None,
        };
        let without = [wish.volunteer_id, order.placed.requester];
        let others = people::volunteers_besides(self.store.pool(), held.team, &without).await?;
        let command = Command::Transfer {
            from: wish.volunteer_id,
            to: to.map(|(team, to)| Assignment { team, volunteer: Some(to) }),
            others_left: others > 0,
            reason: wish.reason.clone(),
        };
        let hats = Hats::of(&[Hat::Sweep]);
        let decided = decide(order, command, Some(wish.asked_by), hats, &self.context());
        let (by, events) = match decided {
            Ok(decided) => decided,
            Err(refusal) => {
                tracing::debug!(order = %order.id, %refusal, "nothing to hand on by now");
                return Ok(None);
            }
        };
        let mut change = self.change(stored, by, events).await?;
        let handed = change.records.iter().find_map(|record| match &record.event {
            Event::Dispatched { to, .. } => Some(*to),
            _ => None,
        });
        change.decision = handed
            .map(|to| self.decided_by_hand(to, &wish.reason, Some(wish.asked_by), change.after.order.epoch));
        change.notifications.push(Notification {
            audience: format!("person:{}", wish.volunteer_id),
            topic: "transferred",
            data: serde_json::json!({ "category": order.placed.category, "area": order.placed.area })
                .to_string(),
            about: None,
        });
        Ok(Some(change))
    }
}
