//! 晒: a post about an order that was done. It is published when the resident consents, the volunteer consents and a
//! moderator of the area agrees; anyone of the three can take it back at any time, with effect at once.
//!
//! The text is masked before anybody else sees it; the whole text is sealed under its author's key. Publishing and
//! taking back are events of the order too, so that its step is 晒 exactly while a post of it is published.

use uuid::Uuid;
use xingfuma_domain::access::{Action, allow};
use xingfuma_domain::media::Purpose;
use xingfuma_domain::order::{Command, Hat, Hats, Order, Refusal, Verb, decide, moves};
use xingfuma_domain::scoring::{FeaturedFacts, on_featured};
use xingfuma_store::ledger::{self, Booking};
use xingfuma_store::media;
use xingfuma_store::orders::{self, Change};
use xingfuma_store::posts::{self, PostRow};
use xingfuma_store::scope::Scope;
use xingfuma_store::{StoreError, consents, idempotency, people, transact, writing};
use xingfuma_wechat::{CheckScene, Suggest};

use self::post::{Part, decide_post};
use crate::command::{Keyed, Reply};
use crate::text::{Fields, KnownWords};
use crate::view::wears;
use crate::{App, AppError, Caller};

mod post;
mod showcase;

pub use post::PostCommand;
pub use showcase::{PhotoLink, PostSeen};

/// Longest text, in characters.
const TEXT_LONGEST: usize = 1_000;
/// The label under which a post's whole text is sealed.
const LABEL: &str = "showcase post";

/// How a post is turned into an answer.
pub type RenderPost = std::sync::Arc<dyn Fn(&PostRow) -> (u16, Vec<u8>) + Send + Sync>;

/// What somebody shows.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ShowRequest {
    /// The text.
    pub text: String,
    /// Photos that were uploaded before.
    pub media: Vec<Uuid>,
    /// He agrees to publication.
    pub consent: bool,
}

impl std::fmt::Debug for ShowRequest {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("ShowRequest").field("media", &self.media).finish_non_exhaustive()
    }
}

impl App {
    /// Writes a post about an order, with its author's consent.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Forbidden`] for somebody who is neither the resident nor the volunteer;
    /// [`AppError::Invalid`], also without consent; [`AppError::Refused`] before completion; [`AppError::Conflict`]
    /// `post_exists` while another post of the order waits or is published.
    pub async fn show(
        &self,
        caller: &Caller,
        order: Uuid,
        request: &ShowRequest,
        keyed: Option<&Keyed>,
        render: RenderPost,
    ) -> Result<Reply, AppError> {
        let scope = Scope::of(&caller.actor);
        let whole =
            orders::find_whole(self.store.pool(), &scope, order, None).await?.ok_or(AppError::NotFound)?;
        let order = &whole.stored.order;
        let (resident, volunteer) =
            (wears(&caller.actor, order, Hat::Requester), wears(&caller.actor, order, Hat::Worker));
        if xingfuma_domain::access::view(&caller.actor, order).is_none() {
            return Err(AppError::NotFound);
        }
        if !(resident || volunteer) {
            return Err(AppError::Forbidden);
        }
        let agreed = self.consent_to_post(caller).await?;
        if let Some(reply) = self.replay(keyed).await? {
            return Ok(reply);
        }
        let mut fields = Fields::default();
        let text = fields.text("text", &request.text, TEXT_LONGEST);
        if !request.consent {
            fields.fault("consent", "consent_required");
        }
        fields.check()?;
        let known = self.known_words(caller, &whole)?;
        let mut post = self.new_post(caller, order, &text, &known, (resident, volunteer))?;
        let county = self.settings.county;
        let openid = people::openid_of(self.store.pool(), county, caller.actor.person).await?;
        post.checked = Some(self.checked_by_wechat(openid.as_deref(), &post.text).await?.to_owned());
        let mut photos = self.attachment(caller, &request.media, Purpose::Shown).await?;
        if let Some(photos) = &mut photos {
            photos.post = Some(post.id);
            photos.check = Some(App::first_check(openid.as_deref()));
            post.media = serde_json::to_string(&photos.ids).ok();
        }
        let (id, has_photos) = (post.id, photos.is_some());
        let (status, body) = render(&post);
        let answer = self.answer(keyed, post.id, status, &body);
        let written: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                idempotency::keep(conn, answer.as_ref()).await?;
                if let Some(agreed) = &agreed {
                    consents::append(conn, agreed).await?;
                }
                posts::insert(conn, &post).await?;
                match &photos {
                    Some(photos) => media::attach(conn, county, post.order_id, photos).await.map(drop),
                    None => Ok(()),
                }
            })
        })
        .await;
        match written {
            Ok(()) => {
                if has_photos {
                    self.start_checking(id);
                }
                Ok(Reply { status, body, replayed: false })
            }
            Err(StoreError::Twin) => self.replay(keyed).await?.ok_or(AppError::Unavailable("twin")),
            Err(error) if error.is_unique_violation() => Err(AppError::Conflict("post_exists")),
            Err(error) => Err(error.into()),
        }
    }

    fn new_post(
        &self,
        caller: &Caller,
        order: &Order,
        text: &str,
        known: &KnownWords,
        (resident, volunteer): (bool, bool),
    ) -> Result<PostRow, AppError> {
        let status = order.status();
        let legal = moves::moves_of(Verb::Show).any(|row| row.from.contains(&status));
        let done =
            order.completion().filter(|_| legal).ok_or(Refusal::Illegal { verb: Verb::Show, status })?;
        let now = self.clock.now();
        let id = self.ids.id(now);
        let masked = known.mask(text);
        let spans = masked.spans();
        Ok(PostRow {
            id,
            county: order.county().to_string(),
            order_id: order.id,
            area_code: order.placed.area.to_string(),
            category: order.placed.category.clone(),
            author_id: caller.actor.person,
            resident_id: order.placed.requester,
            volunteer_id: done.engagement.volunteer,
            team_id: done.engagement.team,
            text: masked.text,
            private: caller.data_key.seal(LABEL, id, text.as_bytes(), &self.ids),
            status: "pending".to_owned(),
            version: 1,
            resident_consent_at: resident.then_some(now),
            volunteer_consent_at: volunteer.then_some(now),
            moderated_by: None,
            published_at: None,
            withdrawn_by: None,
            featured_at: None,
            reason: None,
            created_at: now,
            hidden: (!spans.is_empty()).then(|| serde_json::to_string(&spans).unwrap_or_default()),
            checked: None,
            media: None,
        })
    }

    /// What WeChat says of a text before anybody else sees it, where its author is known there: `passed`, or `review`. The
    /// moderator looks at it either way; when WeChat cannot say anything, he is told that he is the only one who does.
    ///
    /// # Errors
    /// [`AppError::Invalid`] `text_risky` when it must not be shown.
    async fn checked_by_wechat(&self, openid: Option<&str>, text: &str) -> Result<&'static str, AppError> {
        let Some(openid) = openid else { return Ok("review") };
        match self.wechat.check_text(openid, CheckScene::Forum, text).await.map(|verdict| verdict.suggest) {
            Ok(Suggest::Pass) => Ok("passed"),
            Ok(Suggest::Review) => Ok("review"),
            Ok(Suggest::Risky) => Err(AppError::invalid("text", "text_risky")),
            Err(error) => {
                tracing::info!(%error, "WeChat did not check a text; a person does");
                Ok("review")
            }
        }
    }

    /// Carries out a command to a post.
    ///
    /// # Errors
    /// [`AppError::NotFound`] when it is not there for the caller; [`AppError::Forbidden`]; [`AppError::Conflict`]
    /// `consent_missing` when it is approved before both consents, `post_not_pending`, `post_not_published`,
    /// `already_featured` otherwise.
    pub async fn post_command(
        &self,
        caller: &Caller,
        id: Uuid,
        command: PostCommand,
        keyed: Option<&Keyed>,
        render: RenderPost,
    ) -> Result<Reply, AppError> {
        for _ in 0..4 {
            let post = self.post_of(caller, id).await?;
            let now = self.clock.now();
            let known = match &command {
                PostCommand::Reject { .. } => self.known_words_of_post(caller, &post).await?,
                _ => KnownWords::default(),
            };
            let after = match decide_post(caller, &post, &command, &known, now) {
                Ok(after) => after,
                Err(AppError::Forbidden) => return Err(AppError::Forbidden),
                Err(refused) => return self.replay(keyed).await?.ok_or(refused),
            };
            if command == PostCommand::Approve
                && let Err(refused) = self.photos_allow(&post).await
            {
                return self.replay(keyed).await?.ok_or(refused);
            }
            let agreed = match &command {
                PostCommand::Consent => self.consent_to_post(caller).await?,
                _ => None,
            };
            let mut shown = after.clone();
            shown.version += 1;
            let (status, body) = render(&shown);
            let answer = self.answer(keyed, id, status, &body);
            let order_change = self.follow_in_order(caller, &post, &after).await?;
            let order_after = order_change.as_ref().map(|change| change.after.order.clone());
            let bookings = self.featured_bookings(caller, &post, &after)?;
            let written: Result<(), StoreError> = transact(&self.store, move |conn| {
                Box::pin(async move {
                    idempotency::keep(conn, answer.as_ref()).await?;
                    posts::update(conn, &after).await?;
                    if let Some(agreed) = &agreed {
                        consents::append(conn, agreed).await?;
                    }
                    if let Some(change) = &order_change {
                        writing::update(conn, change).await?;
                    }
                    for booking in &bookings {
                        ledger::book(conn, booking).await?;
                    }
                    Ok(())
                })
            })
            .await;
            match written {
                Ok(()) => {
                    // As after every other commit: it is counted, and who watches the order is told.
                    if let Some(order) = &order_after {
                        self.committed(order);
                    }
                    return Ok(Reply { status, body, replayed: false });
                }
                Err(StoreError::Conflict) => {}
                Err(StoreError::Twin) => {
                    return self.replay(keyed).await?.ok_or(AppError::Unavailable("twin"));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppError::Conflict("busy"))
    }

    async fn known_words_of_post(&self, caller: &Caller, post: &PostRow) -> Result<KnownWords, AppError> {
        let scope = Scope::County(self.settings.county);
        let whole = orders::find_whole(self.store.pool(), &scope, post.order_id, None).await?;
        self.known_words(caller, &whole.ok_or(AppError::NotFound)?)
    }

    async fn post_of(&self, caller: &Caller, id: Uuid) -> Result<PostRow, AppError> {
        let post =
            posts::find(self.store.pool(), self.settings.county, id).await?.ok_or(AppError::NotFound)?;
        let reads = allow(&caller.actor, Action::ReadPendingPost, post.area()?);
        if Part::of(caller, &post)?.any() || reads || post.status == "published" {
            Ok(post)
        } else {
            Err(AppError::NotFound)
        }
    }

    /// What publishing or taking back means for the order.
    async fn follow_in_order(
        &self,
        caller: &Caller,
        before: &PostRow,
        after: &PostRow,
    ) -> Result<Option<Change>, AppError> {
        let command = match (before.status.as_str(), after.status.as_str()) {
            ("published", "published") => return Ok(None),
            (_, "published") => Command::Show { post: after.id },
            ("published", _) => Command::Unshow { post: after.id },
            _ => return Ok(None),
        };
        let scope = Scope::County(self.settings.county);
        let stored =
            orders::find(self.store.pool(), &scope, after.order_id).await?.ok_or(AppError::NotFound)?;
        // The order decides in the hat that the caller wears on the post.
        let part = Part::of(caller, before)?;
        let hats: Hats = [
            (part.resident, Hat::Requester),
            (part.volunteer, Hat::Worker),
            (part.moderator, Hat::Dispatcher),
        ]
        .into_iter()
        .filter_map(|(worn, hat)| worn.then_some(hat))
        .collect();
        let (by, events) = decide(&stored.order, command, Some(caller.actor.person), hats, &self.context())?;
        Ok(Some(self.change(&stored, by, events).await?))
    }

    fn featured_bookings(
        &self,
        caller: &Caller,
        before: &PostRow,
        after: &PostRow,
    ) -> Result<Vec<Booking>, AppError> {
        let (None, Some(at)) = (before.featured_at, after.featured_at) else { return Ok(Vec::new()) };
        let facts = FeaturedFacts {
            post_id: after.id,
            volunteer: after.volunteer_id,
            area: after.area()?,
            at,
            decided_by: caller.actor.person,
        };
        let booking = |award| Booking::Award { id: self.new_id(), award: Box::new(award) };
        Ok(on_featured(&self.rules, &facts).into_iter().map(booking).collect())
    }
}
