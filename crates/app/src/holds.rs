//! Points on hold for review: somebody who has no part in it looks at what a guard found, and releases or voids them.

use std::sync::Arc;

use uuid::Uuid;
use xingfuma_domain::access::{Action, allow};
use xingfuma_domain::scoring::{PostedTransaction, SourceType, may_decide, release, void};
use xingfuma_store::holds::{self, HoldRow};
use xingfuma_store::ledger::{self, Booked, Booking};
use xingfuma_store::orders::{self, Notification};
use xingfuma_store::scope::Scope;
use xingfuma_store::{StoreError, claims, idempotency, inbox, served, transact};

use crate::claim::Part;
use crate::command::{Keyed, Reply};
use crate::dispatch::REASON_LONGEST;
use crate::text::Fields;
use crate::{App, AppError, Caller};

/// Turns a hold into an answer.
pub type RenderHold = Arc<dyn Fn(&HoldRow) -> (u16, Vec<u8>) + Send + Sync>;

impl App {
    /// Points on hold: the caller's own, and those of his areas where he watches over claims.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn holds(&self, caller: &Caller, part: Part) -> Result<Vec<HoldRow>, AppError> {
        let areas = caller.areas(Action::ReadClaims);
        let (county, person) = (self.settings.county, caller.actor.person);
        let rows =
            holds::list(self.store.pool(), county, person, &areas, part.pending, part.before, part.limit);
        Ok(rows.await?)
    }

    /// One hold: for the person whose points they are, and for those who watch over claims in its area.
    ///
    /// # Errors
    /// [`AppError::NotFound`] when it is not there for the caller.
    pub async fn hold(&self, caller: &Caller, entry: Uuid) -> Result<HoldRow, AppError> {
        let hold = holds::find(self.store.pool(), self.settings.county, entry).await?;
        let hold = hold.ok_or(AppError::NotFound)?;
        let own = hold.person_id == caller.actor.person;
        let seen = own || allow(&caller.actor, Action::ReadClaims, hold.area()?);
        if seen { Ok(hold) } else { Err(AppError::NotFound) }
    }

    /// Releases or voids points on hold, with a reason. Two persons: whoever has a part in it does not decide.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::NotAllowed`] `own_decision` for the person, for whoever ordered the service,
    /// and for whoever made or decided the claim; [`AppError::Forbidden`]; [`AppError::Conflict`] `hold_not_pending`, or
    /// `order_not_ended` while the order was reopened and runs again.
    pub async fn decide_hold(
        &self,
        caller: &Caller,
        entry: Uuid,
        let_go: bool,
        reason: &str,
        keyed: &Keyed,
        render: RenderHold,
    ) -> Result<Reply, AppError> {
        let (county, now, me) = (self.settings.county, self.clock.now(), caller.actor.person);
        let hold = self.hold(caller, entry).await?;
        let of = ledger::find(self.store.pool(), county, entry).await?.ok_or(AppError::NotFound)?;
        let (parties, runs) = self.parties(caller, &hold, &of).await?;
        if !may_decide(me, &parties) {
            return Err(AppError::NotAllowed("own_decision"));
        }
        if !allow(&caller.actor, Action::DecideClaim, hold.area()?) {
            return Err(AppError::Forbidden);
        }
        if let Some(reply) = self.replay(Some(keyed)).await? {
            return Ok(reply);
        }
        let mut fields = Fields::default();
        let reason = caller.known_words()?.masked(&fields.text("reason", reason, REASON_LONGEST));
        fields.check()?;
        if hold.status != "pending" {
            return Err(AppError::Conflict("hold_not_pending"));
        }
        if let_go && runs {
            return Err(AppError::Conflict("order_not_ended"));
        }
        let answer = if let_go { release } else { void };
        let posting =
            answer(&of, &reason, now, Some(me)).map_err(|_| AppError::Conflict("hold_not_pending"))?;
        let booking = Booking::Posting { id: self.new_id(), posting: Box::new(posting) };
        let after = HoldRow {
            status: if let_go { "released" } else { "voided" }.to_owned(),
            decided_by: Some(me),
            decided_at: Some(now),
            decision: Some(reason),
            ..hold
        };
        let topic = if let_go { "hold_released" } else { "hold_voided" };
        let data = serde_json::json!({ "rule": after.rule_code, "points": after.points, "entry": entry });
        let audience = format!("person:{}", after.person_id);
        let told = [Notification { audience, topic, data: data.to_string(), about: None }];
        let (status, body) = render(&after);
        let answer = self.answer(Some(keyed), entry, status, &body);
        let order = (of.posting.cause.source_type == SourceType::Order && let_go)
            .then_some(of.posting.cause.source_id);
        let event = self.new_id();
        let written: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                holds::decide(conn, &after).await?;
                if ledger::book(conn, &booking).await? == Booked::Known {
                    return Err(StoreError::Answered);
                }
                if let Some(order) = order {
                    served::clear(conn, order).await?;
                }
                inbox::tell(conn, event, county, now, &told).await?;
                idempotency::keep(conn, answer.as_ref()).await
            })
        })
        .await;
        self.reply(written, keyed, status, body, "hold_not_pending").await
    }

    /// Who has a part in points on hold; and whether their order was reopened and runs again, when its end is waited for.
    async fn parties(
        &self,
        caller: &Caller,
        hold: &HoldRow,
        of: &PostedTransaction,
    ) -> Result<(Vec<Option<Uuid>>, bool), AppError> {
        let (mut parties, mut runs) = (vec![Some(hold.person_id), of.posting.decided_by], false);
        match of.posting.cause.source_type {
            SourceType::Claim => {
                let claim = claims::find(self.store.pool(), self.settings.county, hold.source_id).await?;
                parties.extend(claim.map(|claim| Some(claim.claimed_by)));
            }
            SourceType::Order => {
                let found =
                    orders::find(self.store.pool(), &Scope::of(&caller.actor), hold.source_id).await?;
                let order = found.map(|stored| stored.order);
                parties.extend(order.as_ref().map(|order| Some(order.placed.requester)));
                runs = order.is_some_and(|order| order.reopened > 0 && order.status().is_open());
            }
            _ => {}
        }
        Ok((parties, runs))
    }
}
