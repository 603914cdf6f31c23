//! WeChat looks at the photos of a post, where its author is known there.
//!
//! A photo waits (`wanted`) until WeChat was asked (`asked`), and until it says what it found (`passed`, `review`,
//! `risky`), which it does by calling us back, minutes later. Whatever goes wrong on the way ends with a person who looks:
//! the moderator, who does so anyway. What is risky cannot be published.

use uuid::Uuid;
use xingfuma_domain::media::{CHECK_TAKES, CheckState, LinkFor, PublishRefusal, may_publish};
use xingfuma_store::media::{self, MediaRow};
use xingfuma_store::posts::PostRow;
use xingfuma_store::{StoreError, people, transact};
use xingfuma_wechat::{CheckScene, Suggest};

use crate::{App, AppError};

/// A photo that nobody asked about for so long was forgotten by a process that died.
const ASKED_WITHIN: chrono::TimeDelta = chrono::TimeDelta::seconds(30);

impl App {
    /// Whether the photos of a post may be published now.
    pub(crate) async fn photos_allow(&self, post: &PostRow) -> Result<(), AppError> {
        if post.photos().is_empty() {
            return Ok(());
        }
        let rows = media::of_posts(self.store.pool(), &[post.id]).await?;
        let states: Vec<_> = rows
            .iter()
            .map(|row| (row.check().unwrap_or(CheckState::Review), row.attached_at.unwrap_or(row.created_at)))
            .collect();
        may_publish(&states, self.clock.now()).map_err(|refusal| match refusal {
            PublishRefusal::Risky => AppError::Conflict("photo_risky"),
            PublishRefusal::Unchecked => AppError::Conflict("photo_unchecked"),
        })
    }

    /// How a photo of a post begins: WeChat is asked about it, or a person looks.
    pub(crate) fn first_check(openid: Option<&str>) -> CheckState {
        if openid.is_some() { CheckState::Wanted } else { CheckState::Review }
    }

    /// Asks WeChat about the photos of a post that was just written. Nobody waits for it.
    pub(crate) fn start_checking(&self, post: Uuid) {
        let app = self.clone();
        self.runtime().spawn(async move {
            if let Err(error) = app.check_photos_of(post).await {
                tracing::warn!(%error, "photos of a post were not handed to WeChat; it is tried again");
            }
        });
    }

    async fn check_photos_of(&self, post: Uuid) -> Result<(), AppError> {
        for row in media::of_posts(self.store.pool(), &[post]).await? {
            if row.check() == Some(CheckState::Wanted) {
                self.check_photo(&row).await?;
            }
        }
        Ok(())
    }

    async fn check_photo(&self, row: &MediaRow) -> Result<(), AppError> {
        let (county, id) = (self.settings.county, row.id);
        let Some(openid) = people::openid_of(self.store.pool(), county, row.uploader_id).await? else {
            return self.leave_to_a_person(id).await;
        };
        let link = self.media_link(id, LinkFor::Check);
        let trace = match self.wechat.check_picture(&openid, CheckScene::Forum, &link).await {
            Ok(trace) => trace,
            Err(error) => {
                tracing::info!(%error, "WeChat did not take a photo to check; a person does");
                return self.leave_to_a_person(id).await;
            }
        };
        let asked = trace.clone();
        let noted: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move { media::check_asked(conn, id, &asked).await })
        })
        .await;
        noted?;
        // WeChat may have answered before we wrote down what we asked.
        self.settle_check(trace).await
    }

    async fn leave_to_a_person(&self, id: Uuid) -> Result<(), AppError> {
        let left: Result<(), StoreError> =
            transact(&self.store, move |conn| Box::pin(async move { media::check_by_hand(conn, id).await }))
                .await;
        Ok(left?)
    }

    async fn settle_check(&self, trace: String) -> Result<(), AppError> {
        let settled: Result<bool, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move { media::check_settled(conn, &trace).await })
        })
        .await;
        settled?;
        Ok(())
    }

    /// What WeChat found in a picture. It may be said several times.
    ///
    /// # Errors
    /// When the database fails; WeChat says it again.
    pub async fn picture_checked(&self, trace: String, suggest: Suggest) -> Result<(), AppError> {
        let state = match suggest {
            Suggest::Pass => CheckState::Passed,
            Suggest::Review => CheckState::Review,
            Suggest::Risky => CheckState::Risky,
        };
        let (county, now, said) = (self.settings.county, self.clock.now(), trace.clone());
        let noted: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move { media::check_said(conn, county, &said, state, now).await })
        })
        .await;
        noted?;
        self.settle_check(trace).await
    }

    /// Asks again about photos that nobody asked about, and leaves those to a person that WeChat is silent about.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn follow_checks(&self) -> Result<(), AppError> {
        let now = self.clock.now();
        let (county, pool) = (self.settings.county, self.store.pool());
        for row in media::unchecked(pool, county, now - ASKED_WITHIN, now - CHECK_TAKES).await? {
            let late = row.attached_at.is_some_and(|at| now - at >= CHECK_TAKES);
            if late {
                self.leave_to_a_person(row.id).await?;
            } else {
                self.check_photo(&row).await?;
            }
        }
        Ok(())
    }
}
