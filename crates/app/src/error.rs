//! What a use case answers when it does not do what was asked. The API maps each to one problem.

use std::borrow::Cow;

use xingfuma_domain::multipart::MultipartFault;
use xingfuma_domain::order::Refusal;
use xingfuma_store::StoreError;

use crate::keys::Unsealable;

/// A field of a request that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldFault {
    /// The field's name in JSON; of an item of a list with its place, `personIds[3]`.
    pub field: Cow<'static, str>,
    /// A stable code.
    pub code: &'static str,
}

/// Why a use case stopped.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Nobody is logged in, or not any more.
    #[error("not logged in")]
    Unauthenticated,
    /// The log-in itself failed: wrong code or password.
    #[error("log-in refused: {0}")]
    LogInRefused(&'static str),
    /// Not there, or not there for the caller.
    #[error("not found")]
    NotFound,
    /// It was there once, and is not in force any more.
    #[error("gone: {0}")]
    Gone(&'static str),
    /// The caller may see it but not do this.
    #[error("not allowed")]
    Forbidden,
    /// The caller may see it but not do this, for a reason of its own; with a stable code.
    #[error("not allowed: {0}")]
    NotAllowed(&'static str),
    /// Fields that are not as they should be.
    #[error("invalid fields")]
    Invalid(Vec<FieldFault>),
    /// A body that is not the one file that is expected.
    #[error("malformed multipart: {0}")]
    Malformed(MultipartFault),
    /// A file that is none of the kinds that are taken.
    #[error("not a picture")]
    UnsupportedMedia,
    /// More bytes than are taken.
    #[error("too large")]
    TooLarge,
    /// What was sent is of the right shape and good for nothing; with a stable code.
    #[error("unusable: {0}")]
    Unusable(&'static str),
    /// The domain refuses.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Not in this state; with a stable code.
    #[error("conflict: {0}")]
    Conflict(&'static str),
    /// The caller's `If-Match` is behind.
    #[error("stale version")]
    Stale,
    /// The same key with another body.
    #[error("idempotency key reused")]
    KeyReused,
    /// Too often; possible again after so many seconds.
    #[error("too many requests")]
    TooMany {
        /// Seconds.
        retry_after: u64,
    },
    /// Something that we need is out of reach; try again.
    #[error("unavailable: {0}")]
    Unavailable(&'static str),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A sealed text that no key opens.
    #[error(transparent)]
    Unsealable(#[from] Unsealable),
    /// A bug.
    #[error("internal: {0}")]
    Internal(String),
}

impl AppError {
    /// One field that is not as it should be.
    pub fn invalid(field: &'static str, code: &'static str) -> AppError {
        AppError::Invalid(vec![FieldFault { field: field.into(), code }])
    }
}
