//! Photos become part of an order, of a post about it, or of a claim: own ones, each once, all of them or none.

use uuid::Uuid;
use xingfuma_domain::media::{Purpose, may_attach};
use xingfuma_domain::order::Order;
use xingfuma_store::media::{self, Attachment};

use crate::command::Request;
use crate::{App, AppError, Caller};

impl App {
    /// The attachment of these photos, if there are any. Whether they can still be had is asked again by the statement
    /// that attaches them.
    ///
    /// # Errors
    /// [`AppError::Invalid`] `mediaIds` with the reason.
    pub(crate) async fn attachment(
        &self,
        caller: &Caller,
        ids: &[Uuid],
        purpose: Purpose,
    ) -> Result<Option<Attachment>, AppError> {
        if ids.is_empty() {
            return Ok(None);
        }
        let by = caller.actor.person;
        // A list without end is refused before it is looked up.
        let looked_up = &ids[..ids.len().min(xingfuma_domain::media::ATTACHED_MOST)];
        let own = media::own(self.store.pool(), self.settings.county, by, looked_up).await?;
        may_attach(ids, &own).map_err(|refusal| AppError::invalid("mediaIds", refusal.code()))?;
        let at = self.clock.now();
        Ok(Some(Attachment { ids: ids.to_vec(), by, purpose, post: None, check: None, at }))
    }

    /// The photos that come with a command to an order.
    ///
    /// # Errors
    /// [`AppError::Conflict`] `photo_required` where the category is completed with photos and none come.
    pub(crate) async fn attachment_of(
        &self,
        caller: &Caller,
        order: &Order,
        request: &Request,
    ) -> Result<Option<Attachment>, AppError> {
        let Request::Complete { media, .. } = request else { return Ok(None) };
        let directory = self.directory();
        let asks = directory.category(&order.placed.category).is_some_and(|category| category.needs_photo);
        if asks && media.is_empty() {
            return Err(AppError::Conflict("photo_required"));
        }
        self.attachment(caller, media, Purpose::Completed).await
    }
}
