//! Changing the key that wraps everybody's data key.
//!
//! People's data is sealed under their own keys and is not touched: only these are wrapped anew. While it goes on the old
//! key is still read (`keys.data_old`), so servers go on; whoever is made meanwhile is under the new one. Each batch is a
//! transaction, and a person who is under the new key already is left alone: a run that was killed is simply started
//! again.

use uuid::Uuid;
use xingfuma_store::{Store, StoreError, people, transact};

use crate::AppError;
use crate::clock::Ids;
use crate::keys::Keys;

/// People in one transaction.
const BATCH: u64 = 500;

/// What a run has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotated {
    /// Now under the new key.
    pub rewrapped: u64,
    /// Were under it already.
    pub kept: u64,
    /// Under neither key: these cannot be opened by this configuration.
    pub unreadable: u64,
}

impl Rotated {
    fn done(self) -> u64 {
        self.rewrapped + self.kept + self.unreadable
    }
}

/// Wraps the data key of everybody under the key in force. Tells after each batch how many of how many are done.
///
/// # Errors
/// When the database fails; what was done stays done.
pub async fn rotate_data_keys(
    store: &Store,
    keys: &Keys,
    ids: &Ids,
    progress: &(dyn Fn(u64, u64) + Send + Sync),
) -> Result<Rotated, AppError> {
    let total = people::count_with_keys(store.pool()).await?;
    let mut rotated = Rotated::default();
    let mut after = Uuid::nil();
    loop {
        let batch = people::data_keys_after(store.pool(), after, BATCH).await?;
        let Some((last, _)) = batch.last() else { return Ok(rotated) };
        after = *last;
        let mut changes = Vec::with_capacity(batch.len());
        for (person, wrapped) in batch {
            match keys.rewrap(person, &wrapped, ids) {
                Ok(Some(fresh)) => changes.push((person, wrapped, fresh)),
                Ok(None) => rotated.kept += 1,
                Err(_) => rotated.unreadable += 1,
            }
        }
        let changed: Result<u64, StoreError> = transact(store, move |conn| {
            Box::pin(async move { people::replace_data_keys(conn, &changes).await })
        })
        .await;
        rotated.rewrapped += changed?;
        progress(rotated.done(), total);
    }
}
