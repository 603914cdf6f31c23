//! A suspended volunteer comes back: the opposite of the suspension that goes with handing on somebody's work.

use uuid::Uuid;
use xingfuma_domain::access::{Grant, Role};
use xingfuma_store::audit::{self, AuditEntry};
use xingfuma_store::people::{self, NewGrant};
use xingfuma_store::{StoreError, idempotency, transact, transfers};

use crate::command::Reply;
use crate::dispatch::REASON_LONGEST;
use crate::once::Once;
use crate::text::Fields;
use crate::{App, AppError, Caller};

impl App {
    /// Makes a suspended volunteer one in good standing again, in the team and the grid that he had: he is offered orders
    /// from now on, and holds the role of a volunteer at his next request. What was handed on stays with the others; what
    /// he still holds stays his. Whoever led a team does not lead it again by this: it may have another leader.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for a volunteer of whom the caller knows nothing, [`AppError::Forbidden`] for one whom he
    /// could not have suspended, [`AppError::Invalid`] without a reason, [`AppError::Conflict`] `not_suspended`.
    pub async fn reinstate_volunteer(
        &self,
        caller: &Caller,
        volunteer: Uuid,
        reason: &str,
        once: &Once<()>,
    ) -> Result<Reply, AppError> {
        let county = self.settings.county;
        let found = self.volunteer_in_charge_of(caller, volunteer).await?;
        if let Some(reply) = self.done_before(once).await? {
            return Ok(reply);
        }
        let mut fields = Fields::default();
        let reason = caller.known_words()?.masked(&fields.text("reason", reason, REASON_LONGEST));
        fields.check()?;
        let now = self.clock.now();
        let grant = Grant { role: Role::Volunteer, area: found.grid, team: Some(found.team) };
        let given = NewGrant { id: self.new_id(), person: volunteer, grant };
        let entry = AuditEntry {
            id: self.new_id(),
            county,
            at: now,
            person: Some(caller.actor.person),
            action: "volunteer_reinstated",
            resource: volunteer,
            subject: Some(volunteer),
            reason: Some(reason),
        };
        let (reply, answer) = self.answer_once(once, volunteer, &());
        let written: Result<Option<Reply>, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                if !transfers::reinstate(conn, county, volunteer, now).await? {
                    return Ok(None);
                }
                people::insert_grants(conn, &[given], now).await?;
                audit::append(conn, &[entry]).await?;
                idempotency::keep(conn, answer.as_ref()).await?;
                Ok(Some(reply))
            })
        })
        .await;
        let reply = self.done_once(once, written, AppError::Conflict("not_suspended")).await?;
        self.refresh_directory().await?;
        Ok(reply)
    }
}
