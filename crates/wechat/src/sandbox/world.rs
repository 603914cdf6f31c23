//! What the connections of a sandbox share.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinSet;

use super::config::SandboxConfig;
use super::desk::Desk;
use super::pusher::{Push, Pusher};
use crate::push::PushError;

pub(super) struct World {
    pub(super) config: SandboxConfig,
    desk: Mutex<Desk>,
    pusher: Mutex<Option<Arc<Pusher>>>,
    pushes: Mutex<JoinSet<()>>,
}

/// The opened desk: whoever has it is alone with it.
pub(super) struct OpenDesk<'a>(MutexGuard<'a, Desk>);

impl Deref for OpenDesk<'_> {
    type Target = Desk;

    fn deref(&self) -> &Desk {
        &self.0
    }
}

impl DerefMut for OpenDesk<'_> {
    fn deref_mut(&mut self) -> &mut Desk {
        &mut self.0
    }
}

impl World {
    pub(super) fn new(config: SandboxConfig) -> Result<Self, PushError> {
        let pusher = config.push.as_ref().map(|target| Pusher::new(target, &config.appid)).transpose()?;
        let desk = Mutex::new(Desk::new(&config));
        Ok(Self { config, desk, pusher: Mutex::new(pusher.map(Arc::new)), pushes: Mutex::default() })
    }

    pub(super) fn desk(&self) -> OpenDesk<'_> {
        let now = (self.config.clock)();
        // A panic in a handler leaves nothing half done that would be worth refusing all later calls for.
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        desk.now = now;
        OpenDesk(desk)
    }

    pub(super) fn set_pusher(&self, pusher: Pusher) {
        *self.pusher.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(pusher));
    }

    /// Starts a push in the background, if there is an address for it.
    pub(super) fn push(&self, push: Push) {
        let pusher = self.pusher.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(pusher) = pusher {
            let mut pushes = self.pushes.lock().unwrap_or_else(PoisonError::into_inner);
            while pushes.try_join_next().is_some() {}
            pushes.spawn(async move { pusher.deliver(&push).await });
        }
    }

    pub(super) async fn end_pushes(&self) {
        let mut pushes = std::mem::take(&mut *self.pushes.lock().unwrap_or_else(PoisonError::into_inner));
        pushes.shutdown().await;
    }
}
