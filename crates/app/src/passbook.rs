//! The passbook (存折) of a volunteer, why an entry is what it is, and the reversal of one.

use uuid::Uuid;
use xingfuma_domain::access::{Action, allow};
use xingfuma_domain::scoring::{PostedTransaction, Rule, recompute, reversal};
use xingfuma_store::holds::{self, HoldRow};
use xingfuma_store::ledger::{self, Balances, Booked, Booking, PassbookRow};
use xingfuma_store::{StoreError, idempotency, stars, transact};

use crate::command::{Keyed, Reply};
use crate::dispatch::REASON_LONGEST;
use crate::text::Fields;
use crate::{App, AppError, Caller};

/// Balances and a page of lines.
#[derive(Clone, Debug)]
pub struct Passbook {
    /// The balances.
    pub balances: Balances,
    /// The stars that were conferred on him; 0 for none.
    pub stars: i32,
    /// The lines, newest first.
    pub lines: Vec<PassbookRow>,
}

/// An entry with what explains it.
#[derive(Clone, Debug)]
pub struct Why {
    /// The entry.
    pub posted: PostedTransaction,
    /// The rule in the version that made it; none where goods were paid for, whose price made it.
    pub rule: Option<Rule>,
    /// The number again, from the stored inputs and that version.
    pub recomputed: i64,
    /// Why it is, or was, on hold for review, and what became of that.
    pub hold: Option<HoldRow>,
}

impl App {
    /// The caller's own passbook.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn passbook(
        &self,
        caller: &Caller,
        before: Option<Uuid>,
        limit: u64,
    ) -> Result<Passbook, AppError> {
        let person = caller.actor.person;
        Ok(Passbook {
            balances: ledger::balances(self.store.pool(), self.settings.county, person).await?,
            stars: stars::of_person(self.store.pool(), person).await?.map_or(0, |award| award.stars),
            lines: ledger::passbook(self.store.pool(), person, before, limit).await?,
        })
    }

    /// Why an entry is what it is: for its owner, and for those who watch over the ledger.
    ///
    /// # Errors
    /// [`AppError::NotFound`] when it is not there for the caller.
    pub async fn why(&self, caller: &Caller, entry: Uuid) -> Result<Why, AppError> {
        let posted = ledger::find(self.store.pool(), self.settings.county, entry).await?;
        let posted = posted.ok_or(AppError::NotFound)?;
        let own = posted.posting.legs.iter().any(|leg| leg.account.owner == Some(caller.actor.person));
        if !own && !allow(&caller.actor, Action::ReadEntries, posted.posting.area) {
            return Err(AppError::NotFound);
        }
        let posting = &posted.posting;
        let rule = self.rules.version(&posting.rule_code, posting.rule_version).cloned();
        let recomputed = recompute(&posting.inputs, rule.as_ref());
        let recomputed =
            recomputed.ok_or_else(|| AppError::Internal(format!("rule {} is gone", posting.rule_code)))?;
        let hold = holds::find(self.store.pool(), self.settings.county, entry).await?;
        Ok(Why { recomputed, rule, posted, hold })
    }

    /// Reverses one entry exactly, with a reason; each entry once.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Forbidden`]; [`AppError::Conflict`] `already_answered` when it was reversed,
    /// or is on hold.
    pub async fn reverse(
        &self,
        caller: &Caller,
        entry: Uuid,
        reason: &str,
        keyed: &Keyed,
        render: impl Fn(&PostedTransaction) -> (u16, Vec<u8>) + Send,
    ) -> Result<Reply, AppError> {
        let of = ledger::find(self.store.pool(), self.settings.county, entry).await?;
        let watches = |of: &PostedTransaction| allow(&caller.actor, Action::ReadEntries, of.posting.area);
        let of = of.filter(watches).ok_or(AppError::NotFound)?;
        if !allow(&caller.actor, Action::ReverseEntry, of.posting.area) {
            return Err(AppError::Forbidden);
        }
        // Goods stand behind it: what was reserved is called off in the shop, where the goods go back as well.
        if of.posting.inputs.is_of_shop() {
            return Err(AppError::Conflict("not_reversible"));
        }
        let mut fields = Fields::default();
        let reason = caller.known_words()?.masked(&fields.text("reason", reason, REASON_LONGEST));
        fields.check()?;
        if ledger::is_answered(self.store.pool(), entry).await? {
            return self.replay(Some(keyed)).await?.ok_or(AppError::Conflict("already_answered"));
        }
        let (id, at) = (self.new_id(), self.clock.now());
        let posting = reversal(&of, &reason, at, Some(caller.actor.person))
            .map_err(|_| AppError::Conflict("not_reversible"))?;
        let (status, body) = render(&PostedTransaction { id, posting: posting.clone() });
        let answer = self.answer(Some(keyed), id, status, &body);
        let booking = Booking::Posting { id, posting: Box::new(posting) };
        let written: Result<bool, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                // A second reversal at the same moment is left out by its cause; its answer is not kept either.
                let ours = ledger::book(conn, &booking).await? == Booked::New;
                if ours {
                    idempotency::keep(conn, answer.as_ref()).await?;
                }
                Ok(ours)
            })
        })
        .await;
        match written {
            Ok(true) => Ok(Reply { status, body, replayed: false }),
            Ok(false) | Err(StoreError::Twin) => {
                self.replay(Some(keyed)).await?.ok_or(AppError::Conflict("already_answered"))
            }
            Err(error) => Err(error.into()),
        }
    }
}
