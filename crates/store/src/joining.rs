//! Writing what changes several orders at once: one follows another or helps it, or what leads is done or
//! called off.
//!
//! All of them in one transaction, each guarded by its own version: when one of them has moved on, nothing is written. They
//! are written in the order of their ids, so that two such writers never wait for each other in a circle.

use crate::orders::Change;
use crate::{Store, StoreError, placing, transact, writing};

/// Writes several changes, of several orders, new ones among them: all of them, or nothing.
///
/// # Errors
/// As [`writing::update`], for the first that cannot be written.
pub async fn write_all(store: &Store, mut changes: Vec<Change>) -> Result<(), StoreError> {
    changes.sort_by_key(|change| change.after.order.id);
    transact(store, move |conn| {
        Box::pin(async move {
            writing::queue_up_for_photos(conn, &changes).await?;
            for change in &changes {
                match change.before_version {
                    0 => placing::place(conn, change).await?,
                    _ => writing::update(conn, change).await?,
                }
            }
            Ok(())
        })
    })
    .await
}
