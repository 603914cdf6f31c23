//! The corridor of every command to an order that exists: load in the caller's scope, decide, write in one
//! transaction, tell the queue. The steps themselves are in [`crate::dispatch`], [`crate::serve`], [`crate::rate`]; what
//! may be asked is in `request`, what earns points in `scoring`, and what makes asking again harmless in `keyed`.
//!
//! Refusals come in one order: not there (404), not yours (403), a replay or a key used for something else (422), not
//! in this state (409), not at this version (412). A key is looked up only when something stands in the way: on the
//! healthy path its row is written by the transaction itself, and a twin that was faster makes it fail as a whole.

use std::sync::Arc;

use uuid::Uuid;
use xingfuma_domain::access::{self, Actor};
use xingfuma_domain::order::{By, Command, Event, Hat, Hats, Order, Record, Refusal, decide, moves};
use xingfuma_store::audit::AuditEntry;
use xingfuma_store::media::Attachment;
use xingfuma_store::orders::{self, Change, Earning, Engaged, StoredDecision, StoredOrder, WholeOrder};
use xingfuma_store::scope::Scope;
use xingfuma_store::{StoreError, joining, people, writing};

use self::scoring::{known, watched};
use crate::privacy::{OrderPrivate, PersonPrivate, Private};
use crate::session_reader::OrderFound;
use crate::text::KnownWords;
use crate::view::OrderSeen;
use crate::{App, AppError, Caller, duty, notify};

mod keyed;
mod request;
mod scoring;

pub use keyed::{Keyed, Reply};
pub use request::{Request, earns};

/// How often a command is decided again because somebody else changed the order meanwhile.
const TRIES: u32 = 8;

/// Turns an order into an answer: status and body.
pub type Render = Arc<dyn Fn(&OrderSeen) -> (u16, Vec<u8>) + Send + Sync>;

/// A command to an order, as it comes from a person.
#[derive(Clone)]
pub struct Ask {
    /// Who.
    pub caller: Caller,
    /// Which order.
    pub order: Uuid,
    /// That order, if it was read with the caller's session.
    pub found: Option<OrderFound>,
    /// His key, if he gave one.
    pub keyed: Option<Keyed>,
    /// The version he has seen, if he insists on it.
    pub if_match: Option<i64>,
    /// How the answer is written.
    pub render: Render,
}

impl std::fmt::Debug for Ask {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Ask").field("order", &self.order).finish_non_exhaustive()
    }
}

impl App {
    /// Carries out a person's command.
    ///
    /// # Errors
    /// In the order of the module's introduction.
    pub async fn command(&self, mut ask: Ask, request: Request) -> Result<Reply, AppError> {
        let mut found = ask.found.take();
        for _ in 0..TRIES {
            let whole = self.load_whole(&ask.caller.actor, ask.order, request.earns(), found.take()).await?;
            let hats = access::hats(&ask.caller.actor, &whole.stored.order);
            if !moves::ever(request.verb(), hats) {
                return self.given_up_before(&ask, &request).await?.ok_or(AppError::Forbidden);
            }
            let outcome = self.decide_for(&ask, &whole, hats, &request).await;
            let (command, by, events) = match outcome {
                Ok(decided) => decided,
                Err(AppError::Refused(Refusal::NotYours)) => {
                    return self.given_up_before(&ask, &request).await?.ok_or(AppError::Forbidden);
                }
                Err(refused) => return self.replay(ask.keyed.as_ref()).await?.ok_or(refused),
            };
            if ask.if_match.is_some_and(|seen| seen != whole.stored.order.version) {
                return self.replay(ask.keyed.as_ref()).await?.ok_or(AppError::Stale);
            }
            let media = match self.attachment_of(&ask.caller, &whole.stored.order, &request).await {
                Ok(media) => media,
                Err(refused) => return self.replay(ask.keyed.as_ref()).await?.ok_or(refused),
            };
            match self.carry_out(&ask, whole, &command, (by, events), media).await {
                Err(AppError::Store(StoreError::Conflict)) => {}
                Err(AppError::Store(StoreError::Full)) => {
                    let full = Refusal::Full { at_most: self.open_orders_at_most(&ask.caller) };
                    return self.replay(ask.keyed.as_ref()).await?.ok_or(full.into());
                }
                Err(AppError::Store(StoreError::Twin)) => {
                    return self.replay(ask.keyed.as_ref()).await?.ok_or(AppError::Unavailable("twin"));
                }
                done => return done,
            }
        }
        Err(AppError::Conflict("busy"))
    }

    /// The kept answer of whoever gave his work away by this very command: he is at work no more, and the answer shows no
    /// more than he sees now.
    async fn given_up_before(&self, ask: &Ask, request: &Request) -> Result<Option<Reply>, AppError> {
        match request {
            Request::HandOver { .. } | Request::Decline { .. } => self.replay(ask.keyed.as_ref()).await,
            _ => Ok(None),
        }
    }

    /// The order as it was found with the session, or as it is now; with what points rest on where it `earns` some.
    pub(crate) async fn load_whole(
        &self,
        actor: &Actor,
        order: Uuid,
        earns: bool,
        found: Option<OrderFound>,
    ) -> Result<WholeOrder, AppError> {
        let found = match found {
            Some(OrderFound(found)) => found.map(|whole| *whole),
            None => {
                let earning = earns.then(|| Earning::at(self.clock.now()));
                orders::find_whole(self.store.pool(), &Scope::of(actor), order, earning).await?
            }
        };
        found.filter(|whole| access::view(actor, &whole.stored.order).is_some()).ok_or(AppError::NotFound)
    }

    /// The words by which a text about this order may give its people away: the caller's, the contact's, the
    /// requester's. Of somebody who was erased nothing is known any more.
    pub(crate) fn known_words(&self, caller: &Caller, whole: &WholeOrder) -> Result<KnownWords, AppError> {
        let known = caller.known_words()?;
        let Some(wrapped) = &whole.requester_key else { return Ok(known) };
        let (order, requester) = (&whole.stored.order, whole.stored.order.placed.requester);
        let key = self.keys.data_key(requester, wrapped)?;
        let known = known.and_order(&OrderPrivate::open(&key, order.id, &whole.stored.private)?);
        match &whole.requester_private {
            Some(sealed) => Ok(known.and_person(&PersonPrivate::open(&key, requester, sealed)?)),
            None => Ok(known),
        }
    }

    async fn decide_for(
        &self,
        ask: &Ask,
        whole: &WholeOrder,
        hats: Hats,
        request: &Request,
    ) -> Result<(Command, By, Vec<Event>), AppError> {
        let order = &whole.stored.order;
        let known =
            if request.has_words() { self.known_words(&ask.caller, whole)? } else { KnownWords::default() };
        let command = self.prepare(&ask.caller, order, hats, request, &known).await?;
        let (by, events) =
            decide(order, command.clone(), Some(ask.caller.actor.person), hats, &self.context())?;
        Ok((command, by, events))
    }

    async fn prepare(
        &self,
        caller: &Caller,
        order: &Order,
        hats: Hats,
        request: &Request,
        known: &KnownWords,
    ) -> Result<Command, AppError> {
        match request {
            Request::Dispatch { team, volunteer, reason } => {
                self.prepare_dispatch(*team, *volunteer, reason.as_deref(), known).await
            }
            Request::Accept => Ok(Command::Accept),
            Request::Decline { reason, whole_team } => {
                let leads = whole_team.unwrap_or(hats.has(Hat::Leader));
                self.prepare_decline(caller.actor.person, order, reason.as_deref(), leads, known).await
            }
            Request::HandOver { volunteer, reason } => {
                self.prepare_hand_over(*volunteer, reason, known).await
            }
            Request::Arrive { sign, badge } => {
                self.prepare_arrive(caller, order, sign.as_deref(), badge.as_deref()).await
            }
            Request::Complete { summary, minutes, .. } => {
                crate::serve::prepare_complete(summary, *minutes, known)
            }
            Request::Wait { question } => crate::serve::prepare_wait(question, known),
            Request::Answer { answer } => crate::serve::prepare_answer(answer, known),
            Request::Rate { stars, solved, tags, comment } => {
                crate::rate::prepare_rate(*stars, *solved, tags, comment.as_deref(), known)
            }
            Request::Reopen { reason } => crate::rate::prepare_reopen(reason, known),
            Request::Cancel { reason } => crate::serve::prepare_cancel(reason.as_deref(), known),
            Request::Escalate { reason } => crate::serve::prepare_escalate(reason, known),
            Request::Urge => Ok(Command::Urge),
            beside => self.prepare_beside(caller, order, beside, known).await,
        }
    }

    async fn carry_out(
        &self,
        ask: &Ask,
        mut whole: WholeOrder,
        command: &Command,
        (by, events): (By, Vec<Event>),
        media: Option<Attachment>,
    ) -> Result<Reply, AppError> {
        let mut change = self.change(&whole.stored, by, events).await?;
        change.media = media;
        change.decision = self.decision_by_hand(&change, by, command);
        change.known = known(&change, whole.engaged.as_ref());
        let surname = self.surname_of(&ask.caller, &change.after.order, whole.engaged.as_ref()).await?;
        let mut records = std::mem::take(&mut whole.records);
        records.extend(change.records.iter().cloned());
        let after = WholeOrder { stored: change.after.clone(), records, ..whole };
        let (seen, view) = self.seen_whole(&ask.caller.actor, after, surname)?.ok_or(AppError::NotFound)?;
        if matches!(command, Command::Accept) && view.log_contact {
            change.disclosure =
                Some(self.disclosure(&ask.caller, &change.after.order, "contact_opened", None));
        }
        let (status, body) = (ask.render)(&seen);
        change.answer = self.answer(ask.keyed.as_ref(), ask.order, status, &body);
        self.commit(change).await?;
        Ok(Reply { status, body, replayed: false })
    }

    /// A line of the audit log for personal data that is shown.
    pub(crate) fn disclosure(
        &self,
        caller: &Caller,
        order: &Order,
        action: &'static str,
        reason: Option<String>,
    ) -> AuditEntry {
        AuditEntry {
            id: self.new_id(),
            county: order.county(),
            at: self.clock.now(),
            person: Some(caller.actor.person),
            action,
            resource: order.id,
            subject: Some(order.placed.requester),
            reason,
        }
    }

    /// The surname of the volunteer who has the order, for those who see it: it was read along if he accepted it, and is
    /// looked up if he is only named.
    pub(crate) async fn surname_of(
        &self,
        caller: &Caller,
        order: &Order,
        engaged: Option<&Engaged>,
    ) -> Result<Option<String>, AppError> {
        let Some(volunteer) = order.assignment().and_then(|held| held.volunteer) else { return Ok(None) };
        if volunteer == caller.actor.person {
            return Ok(Some(caller.surname.clone()));
        }
        if let Some(engaged) = engaged.filter(|engaged| engaged.person == volunteer) {
            return Ok(Some(engaged.surname.clone()));
        }
        let person = people::find(self.store.pool(), self.settings.county, volunteer).await?;
        Ok(person.map(|person| person.surname))
    }

    /// Everything that follows from events: the order after them, who is told, which points move.
    pub(crate) async fn change(
        &self,
        before: &StoredOrder,
        by: By,
        events: Vec<Event>,
    ) -> Result<Change, AppError> {
        let at = self.clock.now();
        let records: Vec<Record> = events.into_iter().map(|event| Record { at, by, event }).collect();
        let mut after = before.clone();
        for record in &records {
            after.order.apply(record);
        }
        let scoring = self.bookings(&before.order, &after.order, &records).await?;
        let watched = records.iter().find_map(|record| watched(&after.order, record));
        let answered = duty::answered(&before.order, &records, &self.context_at(at));
        let at_most = self.at_most(&before.order, &records);
        let mut notifications = notify::of(&after.order, &records);
        notifications.extend(scoring.iter().filter_map(notify::of_deduction));
        Ok(Change {
            before_version: before.order.version,
            after,
            records,
            decision: None,
            notifications,
            answered,
            at_most,
            scoring,
            watched,
            guards: self.settings.guards,
            known: None,
            answer: None,
            disclosure: None,
            media: None,
        })
    }

    fn decision_by_hand(&self, change: &Change, by: By, command: &Command) -> Option<StoredDecision> {
        let (to, reason) = match command {
            Command::Dispatch { to, reason } => (to, reason.clone().unwrap_or_default()),
            Command::HandOver { to, reason } => (to, reason.clone()),
            _ => return None,
        };
        Some(self.decided_by_hand(*to, &reason, by.person, change.after.order.epoch))
    }

    /// Writes a change, and tells the queue if the order waits now.
    pub(crate) async fn commit(&self, change: Change) -> Result<(), AppError> {
        let mut changes = self.companions(&change).await?;
        let afters: Vec<Order> =
            std::iter::once(&change).chain(&changes).map(|change| change.after.order.clone()).collect();
        if changes.is_empty() {
            writing::write(&self.store, change).await?;
        } else {
            changes.push(change);
            joining::write_all(&self.store, changes).await?;
        }
        for after in &afters {
            self.committed(after);
        }
        Ok(())
    }

    /// What follows a commit: it is counted, and the queue gets a hint if the order waits now.
    pub(crate) fn committed(&self, after: &Order) {
        self.metrics.count_event(after.status().as_str());
        self.hint(after);
        self.announce(after);
    }

    /// Writes plain changes of different orders in one commit, and the others each by itself. Answers which were written:
    /// an order that somebody else changed meanwhile is left alone.
    pub(crate) async fn commit_all(&self, changes: Vec<Change>) -> Result<Vec<bool>, AppError> {
        let orders: Vec<(bool, Order)> =
            changes.iter().map(|change| (change.is_plain(), change.after.order.clone())).collect();
        let (plain, others): (Vec<Change>, Vec<Change>) = changes.into_iter().partition(Change::is_plain);
        let mut together = match plain.is_empty() {
            true => Vec::new(),
            false => writing::write_all(&self.store, plain).await?,
        }
        .into_iter();
        let mut others = others.into_iter();
        let mut written = Vec::with_capacity(orders.len());
        for (plain, after) in orders {
            if plain {
                let done = together.next().unwrap_or(false);
                if done {
                    self.committed(&after);
                }
                written.push(done);
            } else if let Some(change) = others.next() {
                written.push(match self.commit(change).await {
                    Ok(()) => true,
                    Err(AppError::Store(StoreError::Conflict)) => false,
                    Err(error) => return Err(error),
                });
            }
        }
        Ok(written)
    }

    /// Decides a command of the queue or of time; `None` for an order that no longer allows it.
    pub(crate) async fn decide_by_system(
        &self,
        before: &StoredOrder,
        hat: Hat,
        command: Command,
        decision: Option<StoredDecision>,
    ) -> Result<Option<Change>, AppError> {
        let decided = decide(&before.order, command, None, Hats::of(&[hat]), &self.context());
        let (by, events) = match decided {
            Ok(decided) => decided,
            Err(refusal) => {
                tracing::debug!(order = %before.order.id, %refusal, "nothing to do by now");
                return Ok(None);
            }
        };
        let mut change = self.change(before, by, events).await?;
        change.decision = decision;
        Ok(Some(change))
    }
}
