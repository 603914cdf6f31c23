//! The corridor of every command to an order that exists: load in the caller's scope, decide, write in one
//! transaction, tell the queue. The steps themselves are in [`crate::dispatch`], [`crate::serve`], [`crate::rate`].
//!
//! Refusals come in one order: not there (404), not yours (403), a replay or a key used for something else (422), not
//! in this state (409), not at this version (412). A key is looked up only when something stands in the way: on the
//! healthy path its row is written by the transaction itself, and a twin that was faster makes it fail as a whole.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use xingfuma_domain::access::{self, Actor};
use xingfuma_domain::order::{
    By, Command, Completion, Event, Hat, Hats, Order, Outcome, Rating, Record, Refusal, decide, moves,
};
use xingfuma_domain::scoring::{
    Award, CompletedFacts, RatedFacts, Stretch, china_date, on_completed, on_rated,
};
use xingfuma_store::audit::AuditEntry;
use xingfuma_store::idempotency::{self, Answer};
use xingfuma_store::ledger::{self, Booking};
use xingfuma_store::media::Attachment;
use xingfuma_store::orders::{
    self, Change, Earning, Engaged, Known, StoredDecision, StoredOrder, WholeOrder,
};
use xingfuma_store::scope::Scope;
use xingfuma_store::served::{Rated, Service, Watched};
use xingfuma_store::{StoreError, joining, people, writing};

use crate::privacy::{OrderPrivate, PersonPrivate, Private};
use crate::session_reader::OrderFound;
use crate::text::KnownWords;
use crate::view::OrderSeen;
use crate::{App, AppError, Caller, duty, notify};

/// How often a command is decided again because somebody else changed the order meanwhile.
const TRIES: u32 = 8;
/// The steps of which points may come; what they rest on is read along with the order.
const EARNING: [moves::Verb; 2] = [moves::Verb::Complete, moves::Verb::Rate];

/// Whether points may come of the step that an address ends with.
pub fn earns(path: &str) -> bool {
    path.rsplit_once('/').is_some_and(|(_, step)| EARNING.iter().any(|verb| verb.segment() == step))
}

/// A caller's key, hashed with who he is and what he asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyed {
    key: Vec<u8>,
    fingerprint: Vec<u8>,
}

/// Turns an order into an answer: status and body.
pub type Render = Arc<dyn Fn(&OrderSeen) -> (u16, Vec<u8>) + Send + Sync>;

/// An answer, fresh or kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// It was given before, byte for byte.
    pub replayed: bool,
}

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

/// What is asked for, as it was sent: each step's file turns its own into a [`Command`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// 派, by hand.
    Dispatch {
        /// The team.
        team: Uuid,
        /// The volunteer of it, if one is named.
        volunteer: Option<Uuid>,
        /// Why.
        reason: Option<String>,
    },
    /// 接
    Accept,
    /// 退单
    Decline {
        /// Why.
        reason: Option<String>,
        /// For the whole team; a leader's default.
        whole_team: Option<bool>,
    },
    /// 转单
    HandOver {
        /// To whom.
        volunteer: Uuid,
        /// Why.
        reason: String,
    },
    /// The volunteer is there.
    Arrive {
        /// Shown by the sign of the place.
        sign: Option<String>,
        /// Shown by his badge.
        badge: Option<String>,
    },
    /// Done.
    Complete {
        /// What was done.
        summary: String,
        /// Minutes of service.
        minutes: i64,
        /// Photos that were uploaded before.
        media: Vec<Uuid>,
    },
    /// Ask the resident.
    Wait {
        /// What.
        question: String,
    },
    /// The resident's answer.
    Answer {
        /// What he says.
        answer: String,
    },
    /// 评
    Rate {
        /// 1 to 5.
        stars: i64,
        /// Whether it is solved.
        solved: bool,
        /// Chosen words.
        tags: Vec<String>,
        /// Free words.
        comment: Option<String>,
    },
    /// 返工
    Reopen {
        /// Why.
        reason: String,
    },
    /// Call off.
    Cancel {
        /// Why.
        reason: Option<String>,
    },
    /// Up a level.
    Escalate {
        /// Why.
        reason: String,
    },
    /// 催单
    Urge,
    /// It is the same as another order, and follows that one.
    Merge {
        /// The order that leads.
        into: Uuid,
    },
    /// Another team is to help.
    Help {
        /// The team.
        team: Uuid,
        /// What it is to do.
        task: String,
    },
    /// More time, once.
    Extend {
        /// Why.
        reason: String,
    },
    /// 回访
    Revisit {
        /// What it came to.
        outcome: Outcome,
        /// In words; required where it is not solved.
        note: Option<String>,
    },
    /// 吹哨
    Whistle {
        /// The departments.
        departments: Vec<Uuid>,
        /// What is needed of them.
        demand: String,
    },
    /// 报到
    CheckIn {
        /// The call.
        whistle: Uuid,
    },
    /// A department's result.
    Conclude {
        /// The call.
        whistle: Uuid,
        /// What was done.
        result: String,
    },
    /// The rating of a department's result.
    RateWhistle {
        /// The call.
        whistle: Uuid,
        /// 1 to 5.
        stars: i64,
        /// Free words.
        comment: Option<String>,
    },
    /// 限期整改
    Correct {
        /// Who is to put it right.
        addressee: String,
        /// What is to be put right.
        demand: String,
        /// Within how many working days.
        term_days: i64,
    },
    /// 复查
    Inspect {
        /// The notice.
        correction: Uuid,
        /// It is put right.
        passed: bool,
        /// What was found.
        findings: String,
        /// A new term in working days, where it is not.
        term_days: Option<i64>,
    },
}

impl Request {
    fn verb(&self) -> moves::Verb {
        use moves::Verb;
        match self {
            Request::Dispatch { .. } => Verb::Dispatch,
            Request::Accept => Verb::Accept,
            Request::Decline { .. } => Verb::Decline,
            Request::HandOver { .. } => Verb::HandOver,
            Request::Arrive { .. } => Verb::Arrive,
            Request::Complete { .. } => Verb::Complete,
            Request::Wait { .. } => Verb::Wait,
            Request::Answer { .. } => Verb::Answer,
            Request::Rate { .. } => Verb::Rate,
            Request::Reopen { .. } => Verb::Reopen,
            Request::Cancel { .. } => Verb::Cancel,
            Request::Escalate { .. } => Verb::Escalate,
            Request::Urge => Verb::Urge,
            Request::Merge { .. } => Verb::Merge,
            Request::Help { .. } => Verb::Help,
            Request::Extend { .. } => Verb::Extend,
            Request::Revisit { .. } => Verb::Revisit,
            Request::Whistle { .. } => Verb::Whistle,
            Request::CheckIn { .. } => Verb::CheckIn,
            Request::Conclude { .. } => Verb::Conclude,
            Request::RateWhistle { .. } => Verb::RateWhistle,
            Request::Correct { .. } => Verb::Correct,
            Request::Inspect { .. } => Verb::Inspect,
        }
    }

    /// Whether points may come of it.
    fn earns(&self) -> bool {
        EARNING.contains(&self.verb())
    }

    /// Whether it brings free text.
    fn has_words(&self) -> bool {
        !matches!(self, Request::Accept | Request::Arrive { .. } | Request::Urge)
    }
}

impl App {
    /// Hashes a caller's key with who he is, the route (with its path parameters) and the body.
    pub fn keyed(&self, person: Uuid, route: &str, key: &str, body: &[u8]) -> Keyed {
        Keyed {
            key: self.keys.request_hash(&[person.as_bytes(), route.as_bytes(), key.as_bytes()]),
            fingerprint: self.keys.request_hash(&[route.as_bytes(), body]),
        }
    }

    /// The answer kept under a key, if there is one.
    ///
    /// # Errors
    /// [`AppError::KeyReused`] when it was kept for another body.
    pub async fn replay(&self, keyed: Option<&Keyed>) -> Result<Option<Reply>, AppError> {
        let Some(keyed) = keyed else { return Ok(None) };
        let Some(kept) = idempotency::find(self.store.pool(), &keyed.key).await? else { return Ok(None) };
        if kept.fingerprint != keyed.fingerprint {
            return Err(AppError::KeyReused);
        }
        let body = self.keys.open_answer(&kept.body)?;
        let status = u16::try_from(kept.status).unwrap_or(200);
        Ok(Some(Reply { status, body, replayed: true }))
    }

    /// An answer to be kept in the transaction that earns it.
    pub(crate) fn answer(
        &self,
        keyed: Option<&Keyed>,
        resource: Uuid,
        status: u16,
        body: &[u8],
    ) -> Option<Answer> {
        keyed.map(|keyed| Answer {
            key: keyed.key.clone(),
            county: self.settings.county,
            fingerprint: keyed.fingerprint.clone(),
            status,
            body: self.keys.seal_answer(body, &self.ids),
            resource: Some(resource),
            created_at: self.clock.now(),
        })
    }

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

    async fn bookings(
        &self,
        before: &Order,
        after: &Order,
        records: &[Record],
    ) -> Result<Vec<Booking>, AppError> {
        let mut bookings = Vec::new();
        for record in records {
            match &record.event {
                // The work was done, and scored, for the order that this one followed.
                Event::Completed { .. } | Event::Rated { .. } if after.merged_into.is_some() => {}
                Event::Completed { .. } | Event::Rated { .. } => {
                    bookings.extend(self.awards(after, record).await?)
                }
                Event::Reopened { .. } => {
                    bookings.push(Booking::HoldOrder { id: self.new_id(), order: after.id, at: record.at });
                }
                Event::Closed | Event::Cancelled { .. } if after.reopened > 0 => {
                    bookings.push(self.settlement(before, after, record));
                }
                _ => {}
            }
        }
        Ok(bookings)
    }

    fn settlement(&self, before: &Order, after: &Order, record: &Record) -> Booking {
        let completion = after.completion().cloned();
        // By which rules the last round scores, as if it were the first.
        let mut last = after.clone();
        last.reopened = 0;
        let awards = completion.as_ref().map(|done| self.completed_awards(&last, done, Vec::new()));
        let rating = before.rating().zip(completion.as_ref());
        let rated =
            rating.map(|(rating, done)| self.rated_awards(&last, done, rating, record.at, Vec::new()));
        let earned = awards.into_iter().chain(rated).flatten().map(|award| award.rule_code).collect();
        let completion = completion.map(Box::new);
        Booking::SettleOrder { id: self.new_id(), order: after.id, at: record.at, completion, earned }
    }

    fn completed_awards(
        &self,
        order: &Order,
        completion: &Completion,
        scored: Vec<(String, Uuid)>,
    ) -> Vec<Award> {
        let facts = CompletedFacts {
            order_id: order.id,
            volunteer: completion.engagement.volunteer,
            area: order.placed.area,
            at: completion.completed_at,
            complete_due: Some(completion.engagement.complete_by),
            minutes: completion.minutes,
            urgency: order.placed.urgency,
            reopened: order.reopened,
            scored,
        };
        on_completed(&self.rules, &facts)
    }

    fn rated_awards(
        &self,
        order: &Order,
        completion: &Completion,
        rating: &Rating,
        at: DateTime<Utc>,
        scored: Vec<(String, Uuid)>,
    ) -> Vec<Award> {
        let facts = RatedFacts {
            order_id: order.id,
            volunteer: completion.engagement.volunteer,
            area: order.placed.area,
            at,
            stars: rating.stars,
            solved: rating.solved,
            on_time: completion.on_time,
            minutes: completion.minutes,
            urgency: order.placed.urgency,
            reopened: order.reopened,
            scored,
        };
        on_rated(&self.rules, &facts)
    }

    async fn awards(&self, order: &Order, record: &Record) -> Result<Vec<Booking>, AppError> {
        let Some(completion) = order.completion() else { return Ok(Vec::new()) };
        let scored = match order.reopened {
            0 => Vec::new(),
            _ => ledger::scored(self.store.pool(), order.id).await?,
        };
        let awards = match &record.event {
            Event::Rated { rating, .. } => self.rated_awards(order, completion, rating, record.at, scored),
            _ => self.completed_awards(order, completion, scored),
        };
        Ok(awards
            .into_iter()
            .map(|award| Booking::Award { id: self.new_id(), award: Box::new(award) })
            .collect())
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

/// What guards note of an event. The work of an order that followed another one was done, and noted, for that one.
fn watched(order: &Order, record: &Record) -> Option<Watched> {
    let completion = order.completion().filter(|_| order.merged_into.is_none())?;
    let promise = &completion.engagement;
    match &record.event {
        Event::Completed { .. } => {
            let at = completion.completed_at;
            let begun = promise.arrived_at.unwrap_or(promise.accepted_at).max(at - orders::SERVICE_LONGEST);
            Some(Watched::Service(Service {
                order: order.id,
                round: order.reopened,
                county: order.county(),
                person: promise.volunteer,
                window: Stretch::between(begun, at),
                minutes: completion.minutes,
                own: promise.volunteer == order.placed.requester,
            }))
        }
        Event::Rated { .. } => Some(Watched::Rating(Rated {
            order: order.id,
            county: order.county(),
            volunteer: promise.volunteer,
            requester: order.placed.requester,
            at: record.at,
        })),
        _ => None,
    }
}

/// What was used up of the caps of a change's one award, and what guards go by, if both were read along with the order.
fn known(change: &Change, engaged: Option<&Engaged>) -> Option<Known> {
    let person = match change.watched.as_ref()? {
        Watched::Service(service) => service.person,
        Watched::Rating(rated) => rated.volunteer,
    };
    // Without a day none of it was read.
    let read = engaged.filter(|engaged| engaged.person == person && engaged.day.is_some())?;
    let mut known = Known { so_far: read.so_far.clone(), ..Known::default() };
    if let [Booking::Award { award, .. }] = change.scoring.as_slice() {
        if award.person != person || read.day != Some(china_date(award.at)) {
            return None;
        }
        for counter in award.counters() {
            let of_it =
                |(key, _): &&((String, String), i64)| *key == (counter.code.clone(), counter.window.clone());
            known.used.note(counter.span, read.used.iter().find(of_it).map_or(0, |(_, points)| *points));
        }
    }
    Some(known)
}
