//! The database: the truth of 幸福+码, on SQLite and on PostgreSQL.
//!
//! This crate alone names sea-orm. Every function takes what it runs on (`&impl ConnectionTrait`: the pool for reads,
//! the transaction for writes) and, where rows belong to somebody, a [`scope::Scope`]. Nothing here decides: a use
//! case hands over a finished [`orders::Change`], and this crate writes it in one transaction ([`transact`]).
//!
//! Statements are written out where round trips and columns count (see `docs/decisions.md`); both databases take the
//! same text, `$1` included.

pub mod activities;
pub mod asking;
pub mod audit;
pub mod badges;
pub mod certificates;
pub mod claims;
pub mod connection;
pub mod consents;
pub mod deliveries;
pub mod directory;
pub mod due;
pub mod duty;
pub mod grants;
pub mod hazards;
pub mod heartbeat;
pub mod holds;
pub mod idempotency;
pub mod inbox;
pub mod joining;
mod lanes;
pub mod ledger;
pub mod media;
pub mod migrations;
mod moving;
pub mod orders;
pub mod own_data;
pub mod own_records;
pub mod patrols;
pub mod people;
pub mod periods;
pub mod placing;
#[cfg(test)]
mod plans;
pub mod posts;
pub mod preferences;
pub mod proofs;
pub mod record;
pub mod scope;
pub mod seed;
pub mod served;
pub mod services;
pub mod sessions;
pub mod shop;
pub mod signs;
pub mod similar;
mod sql;
pub mod stars;
pub mod totp;
pub mod trainings;
pub mod transfers;
pub mod whistles;
pub mod writing;

pub use connection::{Pool, Store, StoreOptions, in_background, transact};
pub use sea_orm::{ConnectionTrait, DatabaseTransaction};

/// What can go wrong between us and the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else changed the row first: the guarded update touched nothing.
    #[error("the row was changed by somebody else")]
    Conflict,
    /// Somebody would hold more open orders than he may.
    #[error("as many open orders as one person may hold")]
    Full,
    /// The same idempotency key was stored by a twin.
    #[error("the same key was used at the same time")]
    Twin,
    /// What is to be answered was answered already, and what depends on it must not be written.
    #[error("it was answered already")]
    Answered,
    /// A photo was attached, swept or erased by somebody else meanwhile. The transaction is rolled back.
    #[error("a photo is not to be had any more")]
    MediaTaken,
    /// There is not that much in stock, or it is not offered so any more. The transaction is rolled back.
    #[error("the stock does not hold that much")]
    Stock,
    /// An account does not hold what is to be taken off it. The transaction is rolled back.
    #[error("the account does not hold that much")]
    Overdrawn,
    /// A balance would leave the range of `i64`. The transaction is rolled back.
    #[error("a balance is too large")]
    Overflow,
    /// A row says something that this program cannot read.
    #[error("unreadable row: {0}")]
    Unreadable(String),
    /// The database refused or is out of reach.
    #[error(transparent)]
    Database(#[from] sea_orm::DbErr),
}

impl StoreError {
    /// A unique index refused the row.
    pub fn is_unique_violation(&self) -> bool {
        matches!(self, StoreError::Database(error)
            if matches!(error.sql_err(), Some(sea_orm::SqlErr::UniqueConstraintViolation(_))))
    }

    /// The fault lies in what was to be written or read, not in the state of the database: tried again, it fails again.
    /// A lost connection, a lock, a full disk, a conflict with somebody else are none of it.
    pub fn lies_in_the_data(&self) -> bool {
        match self {
            StoreError::Database(error) => sql::is_refused_for_its_data(error),
            StoreError::Conflict
            | StoreError::Full
            | StoreError::Twin
            | StoreError::Answered
            | StoreError::MediaTaken => false,
            StoreError::Stock | StoreError::Overdrawn | StoreError::Overflow | StoreError::Unreadable(_) => {
                true
            }
        }
    }
}

pub(crate) fn unreadable(what: impl std::fmt::Display) -> StoreError {
    StoreError::Unreadable(what.to_string())
}
