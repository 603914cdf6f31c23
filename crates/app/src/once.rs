//! What is done once: under a caller's key the answer is kept in the transaction of the effect, and is given again byte
//! for byte to whoever asks again.
//!
//! A use case looks for the kept answer when it knows that the caller may ask (`App::done_before`), then renders its
//! answer (`App::answer_once`) and writes it with the effect. When a twin was faster, the effect is taken back as a
//! whole and the twin's answer is given (`App::done_once`).

use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;
use xingfuma_store::StoreError;
use xingfuma_store::idempotency::Answer;

use crate::command::{Keyed, Reply};
use crate::{App, AppError};

/// Turns what was done into status and body.
type Answering<T> = Arc<dyn Fn(&T) -> (u16, Vec<u8>) + Send + Sync>;

/// How an effect is answered, and under which key its answer is kept.
pub struct Once<T> {
    keyed: Option<Keyed>,
    render: Answering<T>,
}

impl<T> Clone for Once<T> {
    fn clone(&self) -> Once<T> {
        Once { keyed: self.keyed.clone(), render: self.render.clone() }
    }
}

impl<T> std::fmt::Debug for Once<T> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Once").field("keyed", &self.keyed.is_some()).finish_non_exhaustive()
    }
}

impl<T> Once<T> {
    /// Answered with this status and the JSON that `shape` makes of what was done.
    pub fn json<J: Serialize>(
        keyed: Option<Keyed>,
        status: u16,
        shape: impl Fn(&T) -> J + Send + Sync + 'static,
    ) -> Once<T> {
        let render = move |done: &T| (status, serde_json::to_vec(&shape(done)).unwrap_or_default());
        Once { keyed, render: Arc::new(render) }
    }
}

impl Once<()> {
    /// Answered with 204 and nothing else.
    pub fn silently(keyed: Option<Keyed>) -> Once<()> {
        Once { keyed, render: Arc::new(|()| (204, Vec::new())) }
    }
}

impl App {
    /// The answer that was given before under the caller's key.
    ///
    /// # Errors
    /// [`AppError::KeyReused`] when it was given to another body.
    pub(crate) async fn done_before<T>(&self, once: &Once<T>) -> Result<Option<Reply>, AppError> {
        self.replay(once.keyed.as_ref()).await
    }

    /// The answer, and how it is kept in the transaction of the effect.
    pub(crate) fn answer_once<T>(&self, once: &Once<T>, about: Uuid, done: &T) -> (Reply, Option<Answer>) {
        let (status, body) = (once.render)(done);
        let kept = self.answer(once.keyed.as_ref(), about, status, &body);
        (Reply { status, body, replayed: false }, kept)
    }

    /// What came of it: the answer, or `refused` where there was nothing to do any more, unless a twin has done it.
    ///
    /// # Errors
    /// `refused`; [`AppError::KeyReused`]; when the database fails.
    pub(crate) async fn done_once<T>(
        &self,
        once: &Once<T>,
        written: Result<Option<Reply>, StoreError>,
        refused: AppError,
    ) -> Result<Reply, AppError> {
        match written {
            Ok(Some(reply)) => Ok(reply),
            Ok(None) | Err(StoreError::Twin) => self.done_before(once).await?.ok_or(refused),
            Err(error) => Err(error.into()),
        }
    }
}
