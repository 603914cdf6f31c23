//! Asking again: under a caller's key his request is carried out once, and gets the same answer every time.

use uuid::Uuid;
use xingfuma_store::StoreError;
use xingfuma_store::idempotency::{self, Answer};

use crate::{App, AppError};

/// A caller's key, hashed with who he is and what he asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyed {
    key: Vec<u8>,
    fingerprint: Vec<u8>,
}

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

    /// The answer of a write that others may have been quicker to make.
    pub(crate) async fn reply(
        &self,
        written: Result<(), StoreError>,
        keyed: &Keyed,
        status: u16,
        body: Vec<u8>,
        taken: &'static str,
    ) -> Result<Reply, AppError> {
        match written {
            Ok(()) => Ok(Reply { status, body, replayed: false }),
            Err(StoreError::Conflict | StoreError::Twin) => {
                self.replay(Some(keyed)).await?.ok_or(AppError::Conflict(taken))
            }
            Err(StoreError::Answered) => Err(AppError::Conflict("already_answered")),
            Err(taken @ StoreError::MediaTaken) => self.replay(Some(keyed)).await?.ok_or(taken.into()),
            Err(error) => Err(error.into()),
        }
    }
}
