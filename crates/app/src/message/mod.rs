//! Messages out of the house: what is configured, how somebody wants to be told, and who never reads. What they say is in
//! [`texts`], how they go out in [`sending`].

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use xingfuma_domain::access::Action;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::message::Preferences;
use xingfuma_sms::SmsSender;
use xingfuma_store::inbox::{self, Unread};
use xingfuma_store::{ConnectionTrait, StoreError, idempotency, preferences, transact};

use crate::command::Reply;
use crate::once::Once;
use crate::text::Fields;
use crate::{App, AppError, Caller};

pub mod sending;
pub mod texts;

use texts::Texts;

/// A template of WeChat, as the county got it in WeChat's console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Its id.
    pub id: String,
    /// One consent is for ever (长期订阅), as government accounts may have it; otherwise for one message (一次性订阅).
    #[serde(default)]
    pub long_term: bool,
}

/// How messages go out. With neither templates nor SMS people are told in their inbox only.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// What messages say.
    pub texts: Texts,
    /// WeChat's templates, by the names that the texts give them.
    pub templates: BTreeMap<String, Template>,
    /// Who sends text messages.
    pub sms: Option<Arc<dyn SmsSender>>,
}

impl Outside {
    /// Whether there is any way out of the house.
    pub fn is_configured(&self) -> bool {
        !self.templates.is_empty() || self.sms.is_some()
    }

    /// Whether a topic can go out at all.
    pub fn tells(&self, topic: &str) -> bool {
        self.template(topic).is_some() || (self.sms.is_some() && self.texts.has_sms(topic))
    }

    /// The template of a topic, with its name.
    pub fn template(&self, topic: &str) -> Option<(&str, &Template)> {
        let name = self.texts.template_of(topic)?;
        self.templates.get_key_value(name).map(|(name, template)| (name.as_str(), template))
    }
}

/// A template to which somebody can agree, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// Our name for it.
    pub name: String,
    /// WeChat's.
    pub template: Template,
    /// Messages that he would still take; absent where nobody told us.
    pub remaining: Option<i32>,
}

/// Messages that came longer ago than this and were not read count as unread.
const UNREAD_AFTER: TimeDelta = TimeDelta::hours(24);
/// So many of them make somebody who never reads.
const UNREAD_AT_LEAST: i64 = 3;

impl App {
    /// How the caller wants to be told, and the templates to which he can agree.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn preferences(&self, caller: &Caller) -> Result<(Preferences, Vec<Offered>), AppError> {
        Ok(self.preferences_in(self.store.pool(), caller.actor.person).await?)
    }

    async fn preferences_in(
        &self,
        conn: &impl ConnectionTrait,
        person: Uuid,
    ) -> Result<(Preferences, Vec<Offered>), StoreError> {
        let kept = preferences::of(conn, person).await?;
        let known = preferences::subscriptions(conn, person).await?;
        let remaining = |name: &str| known.iter().find(|one| one.template == name).map(|one| one.remaining);
        let templates = self.outside.templates.iter().map(|(name, template)| Offered {
            name: name.clone(),
            template: template.clone(),
            remaining: remaining(name),
        });
        Ok((kept, templates.collect()))
    }

    /// Keeps how the caller wants to be told; it holds for messages that wait, too.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_preferences(&self, caller: &Caller, wanted: Preferences) -> Result<(), AppError> {
        let (county, person, now) = (caller.actor.county, caller.actor.person, self.clock.now());
        let kept: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move { preferences::keep(conn, county, person, &wanted, now).await })
        })
        .await;
        Ok(kept?)
    }

    /// Notes that the caller agreed in WeChat to one more message of each of these templates; answers as
    /// [`App::preferences`].
    ///
    /// # Errors
    /// [`AppError::Invalid`] for a template that is none.
    pub async fn subscribe(
        &self,
        caller: &Caller,
        templates: Vec<String>,
        once: &Once<(Preferences, Vec<Offered>)>,
    ) -> Result<Reply, AppError> {
        if let Some(reply) = self.done_before(once).await? {
            return Ok(reply);
        }
        let mut fields = Fields::default();
        if templates.is_empty() || templates.len() > self.outside.templates.len().max(1) {
            fields.fault("templates", "out_of_range");
        } else if templates.iter().any(|name| !self.outside.templates.contains_key(name)) {
            fields.fault("templates", "template_unknown");
        }
        fields.check()?;
        let mut templates = templates;
        templates.sort_unstable();
        templates.dedup();
        let (county, person, now) = (caller.actor.county, caller.actor.person, self.clock.now());
        let (app, kept_once) = (self.clone(), once.clone());
        let noted: Result<Option<Reply>, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                preferences::subscribe(conn, county, person, &templates, now).await?;
                let (reply, answer) =
                    app.answer_once(&kept_once, person, &app.preferences_in(conn, person).await?);
                idempotency::keep(conn, answer.as_ref()).await?;
                Ok(Some(reply))
            })
        })
        .await;
        self.done_once(once, noted, AppError::Conflict("busy")).await
    }

    /// Volunteers of the caller's areas whose messages stay unread for a day: somebody to phone, and nothing else follows
    /// from it.
    ///
    /// # Errors
    /// [`AppError::Forbidden`] for somebody who watches over no area, or not over this one.
    pub async fn never_read(
        &self,
        caller: &Caller,
        area: Option<AreaCode>,
        after: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<Unread>, AppError> {
        let areas = caller.areas_asked(Action::ReadBoard, area)?;
        let before = self.clock.now() - UNREAD_AFTER;
        let found =
            inbox::never_read(self.store.pool(), &areas, before, UNREAD_AT_LEAST, after, limit).await?;
        Ok(found)
    }
}
