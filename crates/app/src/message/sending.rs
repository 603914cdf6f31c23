//! Sending what waits in the outbox: one message after the other, one at a time to one person, by however many senders in
//! however many processes.
//!
//! What a crash leaves: a message that somebody had in hand. It is `sending` from before the call to after its note, so
//! nobody can tell whether it went out, and it is never sent again ([`xingfuma_store::deliveries`]). That is what "at most
//! once" costs: a process that is killed in these milliseconds may lose one message outside the inbox. "At least once"
//! would cost a second message to somebody who has read the first, and WeChat counts each against his consent.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::watch;
use xingfuma_domain::deadline::Urgency;
use xingfuma_domain::message::{Channel, Preferences, Situation, Step, Then, Went, Why, is_moot, step, then};
use xingfuma_sms::{Sms, SmsError};
use xingfuma_store::deliveries::{self, Claim, Claimed, Content, Note};
use xingfuma_store::orders::{self, StoredOrder};
use xingfuma_store::scope::Scope;
use xingfuma_store::{people, preferences};
use xingfuma_wechat::{Error, TransportFault};

use super::texts::Facts;
use crate::privacy::{PersonPrivate, Private};
use crate::{App, AppError};

/// A sender has a message for at most so long: several times what a call may take.
pub const LEASE: TimeDelta = TimeDelta::seconds(30);
/// Senders of one process.
const SIDE_BY_SIDE: usize = 4;
/// The pause when nothing is due.
const IDLE: Duration = Duration::from_millis(300);
/// The pause when somebody else is sending to the same person.
const TAKEN: Duration = Duration::from_millis(15);
/// How often it is looked for messages whose sender is gone.
const LOOK_FOR_LOST_EVERY: Duration = Duration::from_secs(5);

/// What a sender did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It had a message in hand.
    Had,
    /// Somebody else was faster with another message to the same person.
    Taken,
    /// Nothing is due.
    Nothing,
}

/// What is known of a message whose turn it is.
struct Known {
    content: Content,
    stored: StoredOrder,
    private: PersonPrivate,
    openid: Option<String>,
    wanted: Preferences,
    consented: bool,
}

impl App {
    /// Takes one message that is due and sends it, or decides that it does not go.
    ///
    /// # Errors
    /// When the database fails. A message that was in hand then ends as `unknown` when its lease does.
    pub async fn send_next(&self) -> Result<Turn, AppError> {
        let now = self.clock.now();
        let claimed = match deliveries::claim(&self.store, now, now + LEASE).await? {
            Claim::One(claimed) => claimed,
            Claim::Taken => return Ok(Turn::Taken),
            Claim::Nothing => return Ok(Turn::Nothing),
        };
        let note = match self.handle_message(&claimed).await {
            Ok(note) => note,
            // Nothing was sent: everything that can fail like this comes before the call.
            Err(error) => {
                tracing::warn!(message = %claimed.message, %error, "a message could not be prepared");
                self.note_of(&claimed, Went::NotNow, "not_prepared", None)
            }
        };
        if let Note::Failed(why) | Note::Unknown(why) = &note {
            tracing::warn!(message = %claimed.message, channel = claimed.channel.as_str(), why, "a message ended");
        }
        deliveries::note(&self.store, self.settings.county, &claimed, note, self.clock.now()).await?;
        Ok(Turn::Had)
    }

    /// Ends messages whose sender did not live to say what became of them; answers how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn give_up_lost_messages(&self) -> Result<u64, AppError> {
        let lost = deliveries::give_up_lost(&self.store, self.clock.now()).await?;
        if lost > 0 {
            tracing::warn!(lost, "messages whose sender is gone are not sent again");
        }
        Ok(lost)
    }

    async fn handle_message(&self, claimed: &Claimed) -> Result<Note, AppError> {
        let Some(known) = self.known_of(claimed).await? else {
            return Ok(Note::Dropped(Why::Erased.as_str()));
        };
        let situation = Situation {
            now: self.clock.now(),
            urgent: known.stored.order.urgency() == Urgency::Urgent,
            quiet: self.quiet,
            preferences: known.wanted,
            reachable: self.reaches(claimed.channel, &known),
            consented: known.consented,
            read: known.content.read_at.is_some(),
            moot: is_moot(&known.content.topic, &known.stored.order, claimed.person),
        };
        Ok(match step(claimed.channel, &situation) {
            Step::Send => self.send_message(claimed, &known).await,
            Step::WaitUntil(at) => Note::WaitUntil(at),
            Step::Fall(why) => fallen(claimed, why, None),
            Step::Drop(why) => Note::Dropped(why.as_str()),
        })
    }

    /// None where the message or its receiver was erased, or the order is none.
    async fn known_of(&self, claimed: &Claimed) -> Result<Option<Known>, AppError> {
        let (pool, county) = (self.store.pool(), self.settings.county);
        let Some(content) = deliveries::content(pool, claimed.message).await? else { return Ok(None) };
        let Some(person) = people::find(pool, county, claimed.person).await? else { return Ok(None) };
        let Some(wrapped) = &person.data_key else { return Ok(None) };
        let found = orders::find(pool, &Scope::County(county), content.order_id).await?;
        let Some(stored) = found else { return Ok(None) };
        let private = match &person.private {
            Some(sealed) => {
                PersonPrivate::open(&self.keys.data_key(claimed.person, wrapped)?, claimed.person, sealed)?
            }
            None => PersonPrivate::default(),
        };
        let openid = people::openid_of(pool, county, claimed.person).await?;
        let wanted = preferences::of(pool, claimed.person).await?;
        let consented = match (claimed.channel, self.outside.template(&content.topic)) {
            (Channel::Wechat, Some((name, _))) => {
                let told = preferences::subscriptions(pool, claimed.person).await?;
                // Where nobody told us, WeChat is asked.
                told.iter().find(|one| one.template == name).is_none_or(|one| one.remaining > 0)
            }
            _ => true,
        };
        Ok(Some(Known { content, stored, private, openid, wanted, consented }))
    }

    fn reaches(&self, channel: Channel, known: &Known) -> bool {
        let topic = &known.content.topic;
        match channel {
            Channel::Wechat => known.openid.is_some() && self.outside.template(topic).is_some(),
            Channel::Sms => {
                known.private.phone.is_some()
                    && self.outside.sms.is_some()
                    && self.outside.texts.has_sms(topic)
            }
        }
    }

    fn facts(&self, content: &Content, stored: &StoredOrder) -> Facts {
        let directory = self.directory();
        let placed = &stored.order.placed;
        let category = directory.category(&placed.category).map(|category| category.name.clone());
        Facts {
            order: stored.order.id,
            number: stored.number,
            category: category.unwrap_or_else(|| placed.category.clone()),
            area: directory.area(placed.area).map(|area| area.name.clone()).unwrap_or_default(),
            at: content.created_at,
        }
    }

    async fn send_message(&self, claimed: &Claimed, known: &Known) -> Note {
        match claimed.channel {
            Channel::Wechat => self.send_by_wechat(claimed, known).await,
            Channel::Sms => self.send_by_sms(claimed, known).await,
        }
    }

    async fn send_by_wechat(&self, claimed: &Claimed, known: &Known) -> Note {
        let (topic, facts) = (&known.content.topic, self.facts(&known.content, &known.stored));
        let (Some((name, template)), Some(openid)) = (self.outside.template(topic), &known.openid) else {
            return fallen(claimed, Why::NotReachable, None);
        };
        let fields = match self.outside.texts.fields(topic, &facts) {
            Some(Ok(fields)) => fields,
            // As WeChat would say it (47003), without asking.
            Some(Err(fault)) => return Note::Failed(format!("47003 {fault}")),
            None => return fallen(claimed, Why::NotReachable, None),
        };
        let page = self.outside.texts.page(topic, &facts);
        let sent = self.wechat.send_message(openid, &template.id, page.as_deref(), &fields).await;
        match sent {
            Ok(_) => Note::Sent { used_up: (!template.long_term).then(|| name.to_owned()) },
            Err(Error::NoConsent) => fallen(claimed, Why::NoConsent, Some(name.to_owned())),
            Err(error) => {
                let (went, why) = of_wechat(&error);
                self.note_of(claimed, went, &why, Some(name))
            }
        }
    }

    async fn send_by_sms(&self, claimed: &Claimed, known: &Known) -> Note {
        let facts = self.facts(&known.content, &known.stored);
        let text = self.outside.texts.sms(&known.content.topic, &facts);
        let (Some(sender), Some(phone), Some(text)) = (&self.outside.sms, &known.private.phone, text) else {
            return fallen(claimed, Why::NotReachable, None);
        };
        match sender.send(&Sms { id: claimed.message, phone: phone.clone(), text }).await {
            Ok(()) => Note::Sent { used_up: None },
            Err(error) => {
                let went = match error {
                    SmsError::NotSent(_) => Went::NotNow,
                    SmsError::Refused(_) => Went::Refused,
                    SmsError::Unknown => Went::Unknown,
                };
                self.note_of(claimed, went, &error.to_string(), None)
            }
        }
    }

    fn note_of(&self, claimed: &Claimed, went: Went, why: &str, template: Option<&str>) -> Note {
        match then(went, claimed.attempts) {
            Then::Sent => Note::Sent { used_up: None },
            Then::Again(pause) => Note::Again(self.clock.now() + pause, why.to_owned()),
            Then::Fall(reason) => {
                let no_consent = template.filter(|_| reason == Why::NoConsent);
                fallen(claimed, reason, no_consent.map(str::to_owned))
            }
            Then::Failed => Note::Failed(why.to_owned()),
            Then::Unknown => Note::Unknown(why.to_owned()),
        }
    }

    /// Sends for ever, until told to stop; what is in hand is finished. Returns at once where there is no way out.
    pub async fn run_senders(&self, stop: watch::Receiver<bool>) {
        if !self.outside.is_configured() {
            return;
        }
        let senders = (0..SIDE_BY_SIDE).map(|_| self.send_for_ever(stop.clone()));
        tokio::join!(futures_util::future::join_all(senders), self.look_for_lost(stop.clone()));
    }

    async fn send_for_ever(&self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let pause = match self.send_next().await {
                Ok(Turn::Had) => continue,
                Ok(Turn::Taken) => TAKEN,
                Ok(Turn::Nothing) => IDLE,
                Err(error) => {
                    tracing::warn!(%error, "messages wait for the database");
                    Duration::from_secs(1)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stop.changed() => {}
            }
        }
    }

    async fn look_for_lost(&self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            if let Err(error) = self.give_up_lost_messages().await {
                tracing::debug!(%error, "lost messages were not looked for");
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_FOR_LOST_EVERY) => {}
                _ = stop.changed() => {}
            }
        }
    }
}

fn fallen(claimed: &Claimed, why: Why, no_consent: Option<String>) -> Note {
    Note::Fallen { why: why.as_str(), next: claimed.channel.next(), no_consent }
}

/// What an error of WeChat means for a message, and its words. They hold neither openid nor token (`xingfuma-wechat`).
fn of_wechat(error: &Error) -> (Went, String) {
    let went = match error {
        Error::NoConsent => Went::NoConsent,
        Error::Concurrent => Went::Busy,
        Error::TooOften
        | Error::AddressNotAllowed
        | Error::Transport(TransportFault::Connect)
        // WeChat's own "busy, try again later".
        | Error::Api { errcode: -1, .. } => Went::NotNow,
        Error::Transport(_) => Went::Unknown,
        _ => Went::Refused,
    };
    let number = match error {
        Error::BadField { .. } => "47003 ",
        Error::BadTemplate => "40037 ",
        _ => "",
    };
    (went, format!("{number}{error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_of_wechat_means_something() {
        let table = [
            (Error::NoConsent, Went::NoConsent),
            (Error::Concurrent, Went::Busy),
            (Error::TooOften, Went::NotNow),
            (Error::AddressNotAllowed, Went::NotNow),
            (Error::Transport(TransportFault::Connect), Went::NotNow),
            (Error::Api { errcode: -1, errmsg: String::new() }, Went::NotNow),
            (Error::Api { errcode: 40003, errmsg: String::new() }, Went::Refused),
            (Error::BadField { detail: "thing1".to_owned() }, Went::Refused),
            (Error::BadTemplate, Went::Refused),
            (Error::BadPage, Went::Refused),
            (Error::Transport(TransportFault::Timeout), Went::Unknown),
            (Error::Transport(TransportFault::Interrupted), Went::Unknown),
            (Error::Transport(TransportFault::Status(502)), Went::Unknown),
            (Error::Transport(TransportFault::NotUnderstood), Went::Unknown),
        ];
        for (error, went) in table {
            assert_eq!(of_wechat(&error).0, went, "{error:?}");
        }
        assert!(of_wechat(&Error::BadField { detail: "thing1".to_owned() }).1.contains("47003"));
        assert!(of_wechat(&Error::BadTemplate).1.contains("40037"));
    }
}
