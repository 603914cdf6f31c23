//! Writing what changes several orders at once: one follows another, or what leads is done or called off.
//!
//! All of them in one transaction, each guarded by its own version: when one of them has moved on, nothing is written. They
//! are written in the order of their ids, so that two such writers never wait for each other in a circle.

use crate::orders::Change;
use crate::{Store, StoreError, transact, writing};

/// Writes several changes, of several orders: all of them, or nothing.
///
/// # Errors
/// As [`writing::update`], for the first that cannot be written.
pub async fn write_all(store: &Store, mut changes: Vec<Change>) -> Result<(), StoreError> {
    changes.sort_by_key(|change| change.after.order.id);
    transact(store, move |conn| {
        Box::pin(async move {
            for change in &changes {
                writing::update(conn, change).await?;
            }
            Ok(())
        })
    })
    .await
}
