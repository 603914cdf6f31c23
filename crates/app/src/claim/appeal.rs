//! 申诉: somebody from whom points were taken appeals, and a third person decides. An appeal that is upheld reverses its
//! deduction in the transaction that writes the decision.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use xingfuma_domain::access::{Action, allow};
use xingfuma_domain::scoring::{
    AppealRefusal, PostedTransaction, SourceType, check_appeal, may_decide, reversal,
};
use xingfuma_store::claims::{self, AppealRow};
use xingfuma_store::ledger::{self, Booked, Booking};
use xingfuma_store::{StoreError, idempotency, inbox, transact};

use super::{Part, person, station, tell};
use crate::command::{Keyed, Reply};
use crate::dispatch::REASON_LONGEST;
use crate::text::Fields;
use crate::{App, AppError, Caller};

/// Turns an appeal into an answer.
pub type RenderAppeal = Arc<dyn Fn(&AppealRow) -> (u16, Vec<u8>) + Send + Sync>;

impl App {
    /// Appeals of the caller, and those of his areas.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn appeals(&self, caller: &Caller, part: Part) -> Result<Vec<AppealRow>, AppError> {
        let areas = caller.areas(Action::ReadClaims);
        Ok(claims::appeals(self.store.pool(), &self.filter(caller, &areas, part)).await?)
    }

    /// Appeals against a deduction, within seven days.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for an entry that is not the caller's; [`AppError::Conflict`] `not_appealable`,
    /// `appeal_too_late`, `already_answered` when it was reversed, or `already_appealed`.
    pub async fn appeal(
        &self,
        caller: &Caller,
        entry: Uuid,
        reason: &str,
        keyed: &Keyed,
        render: RenderAppeal,
    ) -> Result<Reply, AppError> {
        let (county, now, me) = (self.settings.county, self.clock.now(), caller.actor.person);
        let of = ledger::find(self.store.pool(), county, entry).await?;
        let own = |of: &PostedTransaction| of.posting.legs.iter().any(|leg| leg.account.owner == Some(me));
        let of = of.filter(own).ok_or(AppError::NotFound)?;
        if let Some(reply) = self.replay(Some(keyed)).await? {
            return Ok(reply);
        }
        let mut fields = Fields::default();
        let reason = caller.known_words()?.masked(&fields.text("reason", reason, REASON_LONGEST));
        fields.check()?;
        check_appeal(&of, me, now).map_err(|refusal| match refusal {
            AppealRefusal::NotADeduction => AppError::Conflict("not_appealable"),
            AppealRefusal::TooLate => AppError::Conflict("appeal_too_late"),
        })?;
        if ledger::is_answered(self.store.pool(), entry).await? {
            return Err(AppError::Conflict("already_answered"));
        }
        let area = of.posting.area;
        let appeal = AppealRow {
            id: self.new_id(),
            county: county.to_string(),
            area_code: area.to_string(),
            transaction_id: entry,
            person_id: me,
            reason,
            made_at: now,
            status: "pending".to_owned(),
            decided_by: None,
            decided_at: None,
            decision: None,
        };
        let (status, body) = render(&appeal);
        let answer = self.answer(Some(keyed), appeal.id, status, &body);
        let data = serde_json::json!({ "rule": of.posting.rule_code, "entry": entry });
        let told = [tell(station(area), "appeal_made", data)];
        let written: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                if !claims::insert_appeal(conn, &appeal).await? {
                    return Err(StoreError::Conflict);
                }
                inbox::tell(conn, appeal.id, county, now, &told).await?;
                idempotency::keep(conn, answer.as_ref()).await
            })
        })
        .await;
        self.reply(written, keyed, status, body, "already_appealed").await
    }

    /// Decides an appeal; one that is upheld reverses its deduction at once.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::NotAllowed`] `own_decision` for whoever appeals, claimed the deduction or
    /// decided it; [`AppError::Forbidden`]; [`AppError::Conflict`] `appeal_not_pending` or `already_answered`.
    pub async fn decide_appeal(
        &self,
        caller: &Caller,
        id: Uuid,
        uphold: bool,
        reason: &str,
        keyed: &Keyed,
        render: RenderAppeal,
    ) -> Result<Reply, AppError> {
        let (county, now, me) = (self.settings.county, self.clock.now(), caller.actor.person);
        let appeal = claims::find_appeal(self.store.pool(), county, id).await?.ok_or(AppError::NotFound)?;
        let area = appeal.area()?;
        if appeal.person_id != me && !allow(&caller.actor, Action::ReadClaims, area) {
            return Err(AppError::NotFound);
        }
        let of = ledger::find(self.store.pool(), county, appeal.transaction_id).await?;
        let of = of.ok_or_else(|| AppError::Internal("an appeal against nothing".to_owned()))?;
        let mut parties = vec![Some(appeal.person_id), of.posting.decided_by];
        if of.posting.cause.source_type == SourceType::Claim {
            let claim = claims::find(self.store.pool(), county, of.posting.cause.source_id).await?;
            parties.extend(claim.map(|claim| Some(claim.claimed_by)));
        }
        if !may_decide(me, &parties) {
            return Err(AppError::NotAllowed("own_decision"));
        }
        if !allow(&caller.actor, Action::DecideClaim, area) {
            return Err(AppError::Forbidden);
        }
        if let Some(reply) = self.replay(Some(keyed)).await? {
            return Ok(reply);
        }
        let mut fields = Fields::default();
        let reason = caller.known_words()?.masked(&fields.text("reason", reason, REASON_LONGEST));
        fields.check()?;
        if appeal.status != "pending" {
            return Err(AppError::Conflict("appeal_not_pending"));
        }
        let booking = match uphold {
            true => Some(self.reversal_of(&of, &reason, now, me)?),
            false => None,
        };
        let after = AppealRow {
            status: if uphold { "upheld" } else { "dismissed" }.to_owned(),
            decided_by: Some(me),
            decided_at: Some(now),
            decision: Some(reason),
            ..appeal
        };
        let data = serde_json::json!({ "entry": of.id });
        let topic = if uphold { "appeal_upheld" } else { "appeal_dismissed" };
        let told = [tell(person(after.person_id), topic, data)];
        let (status, body) = render(&after);
        let answer = self.answer(Some(keyed), after.id, status, &body);
        let written: Result<bool, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                claims::decide_appeal(conn, &after).await?;
                if let Some(booking) = &booking
                    && ledger::book(conn, booking).await? == Booked::Known
                {
                    return Err(StoreError::Answered);
                }
                inbox::tell(conn, after.id, county, now, &told).await?;
                idempotency::keep(conn, answer.as_ref()).await?;
                Ok(true)
            })
        })
        .await;
        self.reply(written.map(|_| ()), keyed, status, body, "appeal_not_pending").await
    }

    fn reversal_of(
        &self,
        of: &PostedTransaction,
        reason: &str,
        at: DateTime<Utc>,
        by: Uuid,
    ) -> Result<Booking, AppError> {
        let posting = reversal(of, reason, at, Some(by)).map_err(|_| AppError::Conflict("not_reversible"))?;
        Ok(Booking::Posting { id: self.new_id(), posting: Box::new(posting) })
    }
}
