//! Photos: taken in, attached, shown.
//!
//! A file comes in whole and bounded ([`reception`]), is sniffed, decoded (at most two at once in a process) and encoded
//! anew from its pixels alone, sealed under its uploader's key, and put on the shelf. It is his until he attaches it to an
//! order of his ([`attaching`]); then whoever may see the order's photos sees it. What nobody attaches within a day is
//! swept. Photos of a post are looked at by WeChat where its author is known there ([`checking`]), and are public by
//! signed links ([`links`]) while the post is.
//!
//! What a crash leaves: a row without bytes, or bytes whose row says that they are not there yet. Both are swept as what
//! nobody attached. The row goes first, so nothing lies on the shelf that no row knows of.

pub mod attaching;
pub mod checking;
pub mod links;
pub mod reception;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use uuid::Uuid;
use xingfuma_domain::access::{self, View};
use xingfuma_domain::media::UNATTACHED_KEPT;
use xingfuma_domain::multipart;
use xingfuma_domain::picture::{Look, PictureKind};
use xingfuma_media::{Bounds, PictureFault, Renewed, ShelfError, renewed};
use xingfuma_store::media::{self, MediaRow, NewMedia, WholeMedia};
use xingfuma_store::orders;
use xingfuma_store::scope::Scope;
use xingfuma_store::{StoreError, transact};

use crate::{App, AppError, Caller};

/// The label under which a photo is sealed.
const LABEL: &str = "media";
/// How long an upload waits to be decoded.
const DECODED_WITHIN: Duration = Duration::from_secs(15);
/// Where photos are served, below the public address.
pub const PATH: &str = "/api/v1/media";

/// How photos are taken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MediaSettings {
    /// Largest file, in bytes.
    pub bytes_most: usize,
    /// Most pixels of a file.
    pub pixels_most: u64,
    /// Longest side of what is kept, in pixels.
    pub side_longest: u32,
    /// Files that one process decodes at once.
    pub decodes_at_once: usize,
    /// Files above 64 KiB that one process holds at once; times `bytes_most` that is the memory they take.
    pub large_at_once: usize,
}

impl Default for MediaSettings {
    fn default() -> MediaSettings {
        MediaSettings {
            bytes_most: 8 * 1024 * 1024,
            pixels_most: 24_000_000,
            side_longest: 1_920,
            decodes_at_once: 2,
            large_at_once: 12,
        }
    }
}

/// What bounds the work on photos in this process.
#[derive(Debug)]
pub struct MediaRoom {
    decodes: Arc<Semaphore>,
    /// Files on their way in.
    pub(crate) reception: reception::Reception,
}

impl MediaRoom {
    pub(crate) fn new(settings: &MediaSettings) -> MediaRoom {
        MediaRoom {
            decodes: Arc::new(Semaphore::new(settings.decodes_at_once.max(1))),
            reception: reception::Reception::new(settings.large_at_once.max(1)),
        }
    }
}

/// A photo of an order, as one caller may see it.
#[derive(Clone, Debug)]
pub struct PhotoSeen {
    /// The photo.
    pub row: MediaRow,
    /// Photos on other orders that look the same, for those who watch over the order; with the order where they may see
    /// that one too.
    pub look_alikes: Option<Vec<AlikeSeen>>,
}

/// A photo on another order that looks the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlikeSeen {
    /// That order, if the caller may see it.
    pub order: Option<Uuid>,
    /// In how many of 64 bits the two differ.
    pub distance: u32,
}

impl App {
    /// Takes a photo in, out of a multipart body. It was admitted before (`App::admit_upload`).
    ///
    /// # Errors
    /// [`AppError::Malformed`] for a body that is not one file; [`AppError::UnsupportedMedia`] for a file that is no
    /// picture; [`AppError::Invalid`] `picture_broken`, `picture_too_large`; [`AppError::Unavailable`] when too many are
    /// decoded at once, or the shelf is out of reach.
    pub async fn upload(&self, caller: &Caller, boundary: &str, body: Vec<u8>) -> Result<MediaRow, AppError> {
        let file = multipart::one_file(boundary, &body).map_err(AppError::Malformed)?;
        if file.len() > self.settings.media.bytes_most {
            return Err(AppError::TooLarge);
        }
        PictureKind::of(file).ok_or(AppError::UnsupportedMedia)?;
        let file = file.to_vec();
        drop(body);
        let picture = self.renew(file).await?;
        self.keep(caller, picture).await
    }

    /// Decodes and encodes anew, on a thread of its own, when it is this file's turn.
    async fn renew(&self, file: Vec<u8>) -> Result<Renewed, AppError> {
        let turn = tokio::time::timeout(DECODED_WITHIN, self.media.decodes.clone().acquire_owned()).await;
        let turn = turn.map_err(|_| AppError::Unavailable("decoding"))?;
        let turn = turn.map_err(|_| AppError::Unavailable("stopping"))?;
        let settings = &self.settings.media;
        let bounds = Bounds { pixels_most: settings.pixels_most, side_longest: settings.side_longest };
        self.metrics.decoding.inc();
        // This runs in a task of its own (`App::run`): who hangs up does not end the turn before the work.
        let made = self.runtime().spawn_blocking(move || renewed(&file, bounds)).await;
        self.metrics.decoding.dec();
        drop(turn);
        let made = made.unwrap_or_else(|stopped| {
            tracing::error!(%stopped, "a decoder gave up on a file");
            Err(PictureFault::Broken)
        });
        match made {
            Ok(picture) => Ok(picture),
            Err(PictureFault::UnknownKind) => Err(AppError::UnsupportedMedia),
            Err(PictureFault::TooLarge) => Err(AppError::invalid("file", "picture_too_large")),
            Err(PictureFault::Broken) => Err(AppError::invalid("file", "picture_broken")),
        }
    }

    async fn keep(&self, caller: &Caller, picture: Renewed) -> Result<MediaRow, AppError> {
        let at = self.clock.now();
        let id = self.ids.id(at);
        let (person, county) = (caller.actor.person, self.settings.county);
        let new = NewMedia {
            id,
            county,
            uploader: person,
            size: (picture.width, picture.height),
            bytes: picture.jpeg.len(),
            look: picture.look,
            at,
        };
        let noted: Result<(), StoreError> =
            transact(&self.store, move |conn| Box::pin(async move { media::insert(conn, &new).await })).await;
        noted?;
        let sealed = caller.data_key.seal(LABEL, id, &picture.jpeg, &self.ids);
        self.shelf.put(&id.to_string(), sealed).await.map_err(|error| shelf_fault(&error))?;
        let stored: Result<(), StoreError> =
            transact(&self.store, move |conn| Box::pin(async move { media::stored(conn, id, at).await }))
                .await;
        stored?;
        let row = media::find(self.store.pool(), county, id).await?;
        Ok(row.ok_or(AppError::NotFound)?.row)
    }

    /// A photo, as the caller may see it: his own, or one of an order whose photos, or of a claim that he may see.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Unavailable`] when the shelf is out of reach.
    pub async fn picture(&self, caller: &Caller, id: Uuid) -> Result<Vec<u8>, AppError> {
        let found = media::find(self.store.pool(), self.settings.county, id).await?;
        let found = found.ok_or(AppError::NotFound)?;
        if found.row.uploader_id != caller.actor.person {
            self.see_foreign(caller, &found.row).await?;
        }
        self.opened(&found).await
    }

    /// Refuses a photo that is not the caller's to see, and notes one that he sees.
    async fn see_foreign(&self, caller: &Caller, photo: &MediaRow) -> Result<(), AppError> {
        if let Some(claim) = photo.claim_id {
            let claim = self.visible_claim(caller, claim).await?;
            if claim.person_id != caller.actor.person {
                self.note_read(caller, "photo_shown", claim.id, claim.person_id).await;
            }
            return Ok(());
        }
        let order = photo.order_id.ok_or(AppError::NotFound)?;
        let requester = self.sees_photos(caller, order).await?.0;
        if requester != caller.actor.person {
            self.note_read(caller, "photo_shown", order, requester).await;
        }
        Ok(())
    }

    /// Whose order it is, and what the caller sees of it, if he sees its photos.
    async fn sees_photos(&self, caller: &Caller, order: Uuid) -> Result<(Uuid, View), AppError> {
        let stored = orders::find(self.store.pool(), &Scope::of(&caller.actor), order).await?;
        let order = stored.ok_or(AppError::NotFound)?.order;
        let view = access::view(&caller.actor, &order).filter(|view| view.photos());
        Ok((order.placed.requester, view.ok_or(AppError::NotFound)?))
    }

    /// The bytes of a photo that somebody may see.
    async fn opened(&self, found: &WholeMedia) -> Result<Vec<u8>, AppError> {
        let (id, uploader) = (found.row.id, found.row.uploader_id);
        let sealed = self.shelf.get(&id.to_string()).await.map_err(|error| shelf_fault(&error))?;
        let key = self.keys.data_key(uploader, &found.key)?;
        Ok(key.open(LABEL, id, &sealed)?)
    }

    /// The photos of an order; for those who watch over it with what was used elsewhere before.
    ///
    /// # Errors
    /// [`AppError::NotFound`] where the order, or its photos, are not the caller's to see.
    pub async fn photos_of_order(&self, caller: &Caller, order: Uuid) -> Result<Vec<PhotoSeen>, AppError> {
        let (_, view) = self.sees_photos(caller, order).await?;
        let mut seen = Vec::new();
        for row in media::of_order(self.store.pool(), order).await? {
            let look_alikes = match view.decision {
                true => Some(self.look_alikes(caller, order, &row).await?),
                false => None,
            };
            seen.push(PhotoSeen { row, look_alikes });
        }
        Ok(seen)
    }

    async fn look_alikes(
        &self,
        caller: &Caller,
        order: Uuid,
        row: &MediaRow,
    ) -> Result<Vec<AlikeSeen>, AppError> {
        let Some(look) = row.look.map(|look| Look(look.cast_unsigned())) else { return Ok(Vec::new()) };
        let found = media::look_alikes(self.store.pool(), self.settings.county, order, look).await?;
        let orders: Vec<Uuid> = found.iter().map(|alike| alike.order).collect();
        let scope = Scope::of(&caller.actor);
        let reached = orders::find_all(self.store.pool(), &scope, &orders).await?;
        let sees = |order: Uuid| {
            let stored = reached.iter().find(|stored| stored.order.id == order);
            stored.is_some_and(|stored| access::view(&caller.actor, &stored.order).is_some())
        };
        let seen = |alike: &media::LookAlike| AlikeSeen {
            order: Some(alike.order).filter(|order| sees(*order)),
            distance: alike.distance,
        };
        Ok(found.iter().map(seen).collect())
    }

    /// Sweeps what nobody attached within a day, and clears the shelf of what was erased. Answers how many are gone.
    ///
    /// # Errors
    /// When the database or the shelf fails; what was not done comes again.
    pub async fn sweep_media(&self) -> Result<usize, AppError> {
        if !self.shelf.exists() {
            return Ok(0);
        }
        let (county, now) = (self.settings.county, self.clock.now());
        let given_up: Result<u64, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move { media::give_up(conn, county, now - UNATTACHED_KEPT, now).await })
        })
        .await;
        given_up?;
        let erased = media::erased(self.store.pool(), county).await?;
        for id in &erased {
            self.shelf.delete(&id.to_string()).await.map_err(|error| shelf_fault(&error))?;
        }
        let count = erased.len();
        let forgotten: Result<(), StoreError> =
            transact(&self.store, move |conn| Box::pin(async move { media::forget(conn, &erased).await }))
                .await;
        forgotten?;
        Ok(count)
    }
}

/// A shelf that fails is out of reach, whatever the reason: the database says what is there.
fn shelf_fault(error: &ShelfError) -> AppError {
    tracing::warn!(%error, "the shelf of media did not do what was asked");
    AppError::Unavailable("media")
}
