//! Posts as they are read: the showcase for everybody, and what waits for the caller.

use uuid::Uuid;
use xingfuma_domain::access::Action;
use xingfuma_domain::media::LinkFor;
use xingfuma_store::media::{self, MediaRow};
use xingfuma_store::posts::{self, PostRow};

use crate::media::links::is_showable;
use crate::{App, AppError, Caller};

/// A post with the names that may be shown with it.
#[derive(Clone, Debug)]
pub struct PostSeen {
    /// The post.
    pub post: PostRow,
    /// The category's name.
    pub category: String,
    /// The names from the county down to the area.
    pub path: Vec<String>,
    /// The team's name.
    pub team: String,
    /// Its photos, where it is shown to everybody.
    pub photos: Vec<PhotoLink>,
}

/// A photo of a published post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhotoLink {
    /// Where it can be fetched, for minutes.
    pub url: String,
    /// Pixels across.
    pub width: i64,
    /// Pixels down.
    pub height: i64,
}

impl App {
    /// Published posts, newest first: for everybody.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn showcase(&self, before: Option<Uuid>, limit: u64) -> Result<Vec<PostSeen>, AppError> {
        let rows = posts::published(self.store.pool(), self.settings.county, before, limit).await?;
        let ids: Vec<Uuid> = rows.iter().filter(|post| post.media.is_some()).map(|post| post.id).collect();
        let photos = media::of_posts(self.store.pool(), &ids).await?;
        let of = |post: Uuid| photos.iter().filter(move |row| row.post_id == Some(post) && is_showable(row));
        let linked = |row: &MediaRow| PhotoLink {
            url: self.media_link(row.id, LinkFor::Showcase),
            width: row.width,
            height: row.height,
        };
        let seen = |post: PostRow| {
            let photos = of(post.id).map(linked).collect();
            Ok(PostSeen { photos, ..self.post_seen(post)? })
        };
        rows.into_iter().map(seen).collect()
    }

    /// Posts that wait for the caller: for his consent, or for his word as a moderator.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pending_posts(
        &self,
        caller: &Caller,
        before: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<PostSeen>, AppError> {
        let areas = caller.areas(Action::ReadPendingPost);
        let (county, person) = (self.settings.county, caller.actor.person);
        let rows = posts::pending(self.store.pool(), county, person, &areas, before, limit).await?;
        rows.into_iter().map(|post| self.post_seen(post)).collect()
    }

    fn post_seen(&self, post: PostRow) -> Result<PostSeen, AppError> {
        let directory = self.directory();
        let named = |category: &str| directory.category(category).map(|category| category.name.clone());
        Ok(PostSeen {
            category: named(&post.category).unwrap_or_default(),
            path: directory.path(post.area()?),
            team: directory.team(post.team_id).map(|team| team.name.clone()).unwrap_or_default(),
            photos: Vec::new(),
            post,
        })
    }
}
