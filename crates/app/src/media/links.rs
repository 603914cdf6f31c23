//! Signed links: a photo for somebody who has not logged in, for minutes.
//!
//! The signature says that we made the link, for what, and until when. Whether the photo may still be seen is asked each
//! time besides: a post that is withdrawn takes its photos with it at once, whatever links are about.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::DateTime;
use uuid::Uuid;
use xingfuma_domain::media::{CheckState, LINK_LIFE, LinkFor};
use xingfuma_store::media::{self, MediaRow};
use xingfuma_store::posts;

use super::PATH;
use crate::{App, AppError};

/// A link as it was called.
#[derive(Clone, Debug)]
pub struct Link {
    /// What it is for, by name.
    pub what: String,
    /// Good until then, in seconds since 1970.
    pub until: i64,
    /// The signature.
    pub signature: String,
}

impl App {
    /// A link that is good for [`LINK_LIFE`].
    pub fn media_link(&self, id: Uuid, what: LinkFor) -> String {
        let until = (self.clock.now() + LINK_LIFE).timestamp();
        let signature = self.keys.link_signature(&parts(id, what, until));
        let signature = URL_SAFE_NO_PAD.encode(signature);
        let base = self.settings.public_url.trim_end_matches('/');
        format!("{base}{PATH}/{id}?for={}&until={until}&signature={signature}", what.as_str())
    }

    /// The photo behind a link.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for a link that we did not make, and for a photo that is not to be seen (any more);
    /// [`AppError::Gone`] for a link of ours that has run out.
    pub async fn linked_picture(&self, id: Uuid, link: &Link) -> Result<Vec<u8>, AppError> {
        let known = [LinkFor::Showcase, LinkFor::Check].into_iter().find(|what| what.as_str() == link.what);
        let what = known.ok_or(AppError::NotFound)?;
        let signature = URL_SAFE_NO_PAD.decode(&link.signature).map_err(|_| AppError::NotFound)?;
        if !self.keys.signed_link(&parts(id, what, link.until), &signature) {
            return Err(AppError::NotFound);
        }
        let until = DateTime::from_timestamp(link.until, 0).ok_or(AppError::NotFound)?;
        if self.clock.now() > until {
            return Err(AppError::Gone("link"));
        }
        let found = media::find(self.store.pool(), self.settings.county, id).await?;
        let found = found.ok_or(AppError::NotFound)?;
        if !self.is_open(&found.row, what).await? {
            return Err(AppError::NotFound);
        }
        self.opened(&found).await
    }

    async fn is_open(&self, row: &MediaRow, what: LinkFor) -> Result<bool, AppError> {
        match what {
            LinkFor::Check => Ok(matches!(row.check(), Some(CheckState::Wanted | CheckState::Asked))),
            LinkFor::Showcase => {
                let Some(post) = row.post_id.filter(|_| is_showable(row)) else { return Ok(false) };
                Ok(posts::is_public(self.store.pool(), self.settings.county, post).await?)
            }
        }
    }
}

/// What WeChat calls risky is not shown, also when it says so after the post was published.
pub(crate) fn is_showable(row: &MediaRow) -> bool {
    row.check() != Some(CheckState::Risky)
}

fn parts(id: Uuid, what: LinkFor, until: i64) -> [Vec<u8>; 3] {
    [id.as_bytes().to_vec(), what.as_str().as_bytes().to_vec(), until.to_be_bytes().to_vec()]
}
