//! Where pictures are kept: bytes under an id.
//!
//! The database says what is there; the shelf only keeps it. So an id that the shelf does not find is never "there is no
//! such picture" but a shelf that lost it or cannot be reached, and every call ends within a bounded time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt as _};

use crate::S3Configuration;
use crate::s3;

/// The longest that anything takes; a folder on a network's drive may never answer.
const WITHIN: Duration = Duration::from_secs(20);

/// Why the shelf did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// It is not set up as it should be.
    #[error("media: {0}")]
    Configuration(String),
    /// There is none: the configuration names neither a folder nor a store.
    #[error("no folder and no store for media is configured")]
    None,
    /// The folder is gone, or is no folder.
    #[error("the folder of media is gone")]
    Gone,
    /// It took too long.
    #[error("the shelf of media does not answer")]
    Slow,
    /// The store refused, or is out of reach.
    #[error("the shelf of media: {0}")]
    Store(#[from] object_store::Error),
}

/// Keeps pictures. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Shelf(Option<Place>);

#[derive(Clone, Debug)]
struct Place {
    store: Arc<dyn ObjectStore>,
    /// The folder, where it is one.
    folder: Option<PathBuf>,
}

impl Shelf {
    /// A shelf in a folder of this machine, which is made if it is missing.
    ///
    /// # Errors
    /// [`ShelfError::Configuration`] when it cannot be made.
    pub fn folder(folder: &Path) -> Result<Shelf, ShelfError> {
        let bad = |error: &dyn std::fmt::Display| {
            ShelfError::Configuration(format!("{}: {error}", folder.display()))
        };
        std::fs::create_dir_all(folder).map_err(|error| bad(&error))?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(|error| bad(&error))?;
        Ok(Shelf(Some(Place { store: Arc::new(store), folder: Some(folder.to_owned()) })))
    }

    /// A shelf in a store that speaks S3.
    ///
    /// # Errors
    /// [`ShelfError::Configuration`] names what is missing.
    pub fn s3(configuration: &S3Configuration) -> Result<Shelf, ShelfError> {
        let store = s3::connect(configuration)?;
        Ok(Shelf(Some(Place { store: Arc::new(store), folder: None })))
    }

    /// A shelf that forgets everything with its process: for tests.
    pub fn in_memory() -> Shelf {
        Shelf(Some(Place { store: Arc::new(InMemory::new()), folder: None }))
    }

    /// Whether there is a place at all.
    pub fn exists(&self) -> bool {
        self.0.is_some()
    }

    /// Keeps bytes under a name of letters, digits and dashes.
    ///
    /// # Errors
    /// [`ShelfError`].
    pub async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), ShelfError> {
        let place = self.place().await?;
        in_time(place.store.put(&key(name), bytes.into())).await.map(drop)
    }

    /// The bytes under a name.
    ///
    /// # Errors
    /// [`ShelfError`], also when there are none.
    pub async fn get(&self, name: &str) -> Result<Vec<u8>, ShelfError> {
        let place = self.place().await?;
        let read = async { place.store.get(&key(name)).await?.bytes().await };
        in_time(read).await.map(|bytes| bytes.to_vec())
    }

    /// Forgets what is under a name; that nothing is there is as good.
    ///
    /// # Errors
    /// [`ShelfError`].
    pub async fn delete(&self, name: &str) -> Result<(), ShelfError> {
        let place = self.place().await?;
        match in_time(place.store.delete(&key(name))).await {
            Err(ShelfError::Store(object_store::Error::NotFound { .. })) => Ok(()),
            done => done,
        }
    }

    /// The place, if it is there. The store would make a folder that is gone anew, and hide that all pictures went with
    /// it.
    async fn place(&self) -> Result<&Place, ShelfError> {
        let place = self.0.as_ref().ok_or(ShelfError::None)?;
        if let Some(folder) = &place.folder {
            let there = tokio::time::timeout(WITHIN, tokio::fs::metadata(folder)).await;
            let there = there.map_err(|_| ShelfError::Slow)?;
            if !there.is_ok_and(|there| there.is_dir()) {
                return Err(ShelfError::Gone);
            }
        }
        Ok(place)
    }
}

/// Two levels, so that no folder grows without end.
fn key(name: &str) -> Key {
    // Ids begin with the time; their last characters are random.
    let shelf = name.get(name.len().saturating_sub(2)..).unwrap_or("xx");
    Key::from(format!("{shelf}/{name}"))
}

async fn in_time<T>(work: impl Future<Output = object_store::Result<T>>) -> Result<T, ShelfError> {
    let done = tokio::time::timeout(WITHIN, work).await.map_err(|_| ShelfError::Slow)?;
    Ok(done?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "0193a1b2-0000-7000-8000-123456789012";

    async fn keeps(shelf: &Shelf) {
        assert!(shelf.get(NAME).await.is_err());
        shelf.put(NAME, b"one".to_vec()).await.unwrap();
        shelf.put(NAME, b"two".to_vec()).await.unwrap();
        assert_eq!(shelf.get(NAME).await.unwrap(), b"two");
        shelf.delete(NAME).await.unwrap();
        shelf.delete(NAME).await.unwrap();
        assert!(shelf.get(NAME).await.is_err());
    }

    #[tokio::test]
    async fn a_folder_and_a_memory_keep_and_forget() {
        let home = tempfile::tempdir().unwrap();
        keeps(&Shelf::folder(&home.path().join("deep/media")).unwrap()).await;
        keeps(&Shelf::in_memory()).await;
    }

    #[tokio::test]
    async fn a_folder_that_is_gone_is_not_made_anew() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("media");
        let shelf = Shelf::folder(&folder).unwrap();
        shelf.put(NAME, b"one".to_vec()).await.unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(matches!(shelf.get(NAME).await, Err(ShelfError::Gone)));
        assert!(matches!(shelf.put(NAME, b"two".to_vec()).await, Err(ShelfError::Gone)));
        assert!(!folder.exists());
        assert!(matches!(Shelf::default().get(NAME).await, Err(ShelfError::None)));
    }
}
