//! The access token: where it waits, and how only one caller at a time fetches it.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::Error;

/// A token is held for dead this long before WeChat says so, so that no call starts with a dying one.
const EARLY: Duration = Duration::from_secs(60);

/// The access token of the account. Its `Debug` text does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken(String);

impl AccessToken {
    /// Wraps what WeChat answered, or what a shared store kept.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    /// The token itself: for the call and for a shared store, never for a log.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(***)")
    }
}

/// Where the access token waits between calls.
///
/// All processes of one account have the same token, so a store may be shared by them. A store that cannot be
/// reached answers `None` and forgets what it is given: the token is then fetched more often, and nothing breaks.
#[async_trait]
pub trait TokenStore: Send + Sync {
    /// The token, if there is one that has not outlived its time.
    async fn get(&self) -> Option<AccessToken>;

    /// Keeps `token` for `valid_for`, instead of the one before. A time of zero keeps nothing.
    async fn put(&self, token: &AccessToken, valid_for: Duration);

    /// Drops `token` if it is still the one that is kept; a newer one stays.
    async fn forget(&self, token: &AccessToken);
}

/// The token of one process.
#[derive(Debug, Default)]
pub struct MemoryTokens {
    kept: Mutex<Option<(AccessToken, Instant)>>,
}

impl MemoryTokens {
    fn kept(&self) -> std::sync::MutexGuard<'_, Option<(AccessToken, Instant)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TokenStore for MemoryTokens {
    async fn get(&self) -> Option<AccessToken> {
        self.kept().as_ref().filter(|(_, until)| Instant::now() < *until).map(|(token, _)| token.clone())
    }

    async fn put(&self, token: &AccessToken, valid_for: Duration) {
        *self.kept() = Some((token.clone(), Instant::now() + valid_for));
    }

    async fn forget(&self, token: &AccessToken) {
        self.kept().take_if(|(kept, _)| kept == token);
    }
}

/// A token as WeChat answers it.
pub(crate) struct FreshToken {
    pub(crate) token: AccessToken,
    pub(crate) expires_in: Duration,
}

/// The store, and the turn that a fetch takes.
pub(crate) struct Tokens {
    store: Arc<dyn TokenStore>,
    turn: tokio::sync::Mutex<()>,
}

impl Tokens {
    pub(crate) fn new(store: Arc<dyn TokenStore>) -> Self {
        Self { store, turn: tokio::sync::Mutex::new(()) }
    }

    /// The kept token, or a fetched one. Callers that come during a fetch wait for it and take its token.
    pub(crate) async fn current<F>(&self, fetch: impl FnOnce() -> F) -> Result<AccessToken, Error>
    where
        F: Future<Output = Result<FreshToken, Error>>,
    {
        if let Some(token) = self.store.get().await {
            return Ok(token);
        }
        let _turn = self.turn.lock().await;
        if let Some(token) = self.store.get().await {
            return Ok(token);
        }
        let fresh = fetch().await?;
        self.store.put(&fresh.token, fresh.expires_in.saturating_sub(EARLY)).await;
        Ok(fresh.token)
    }

    pub(crate) async fn forget(&self, token: &AccessToken) {
        self.store.forget(token).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_is_kept_for_its_time_and_no_longer() {
        let store = MemoryTokens::default();
        let token = AccessToken::new("one");
        assert_eq!(store.get().await, None);
        store.put(&token, Duration::from_secs(3600)).await;
        assert_eq!(store.get().await, Some(token.clone()));
        store.put(&token, Duration::ZERO).await;
        assert_eq!(store.get().await, None);
    }

    #[tokio::test]
    async fn forgetting_an_old_token_leaves_the_new_one() {
        let store = MemoryTokens::default();
        let (old, new) = (AccessToken::new("old"), AccessToken::new("new"));
        store.put(&new, Duration::from_secs(3600)).await;
        store.forget(&old).await;
        assert_eq!(store.get().await, Some(new.clone()));
        store.forget(&new).await;
        assert_eq!(store.get().await, None);
    }

    #[tokio::test]
    async fn a_failed_fetch_keeps_nothing() {
        let tokens = Tokens::new(Arc::new(MemoryTokens::default()));
        let failed = tokens.current(|| async { Err(Error::AddressNotAllowed) }).await;
        assert_eq!(failed, Err(Error::AddressNotAllowed));
        let fresh = || async {
            Ok(FreshToken { token: AccessToken::new("t"), expires_in: Duration::from_secs(7200) })
        };
        assert_eq!(tokens.current(fresh).await, Ok(AccessToken::new("t")));
    }

    #[test]
    fn the_token_does_not_show_itself() {
        assert_eq!(format!("{:?}", AccessToken::new("precious")), "AccessToken(***)");
    }
}
