//! Who is asking: the look-ups of sessions, gathered.
//!
//! Every request with a token reads its session's row. One task does it for all of them: the first goes at once, those
//! that arrive meanwhile ride together with the next, as placements do. There is no timer and nothing is kept: each
//! answer is read from the database after its request came in, so a demotion counts at the next request.

use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;
use xingfuma_store::sessions::{self, LiveSession};

use crate::{App, AppError};

/// Most sessions in one read.
const BATCH: usize = 128;

/// A question on its way to the task.
pub(crate) struct Question {
    session: Uuid,
    answer: oneshot::Sender<Result<Option<LiveSession>, AppError>>,
}

/// Starts the one task that reads sessions.
pub(crate) fn start(app: &App, mut waiting: mpsc::Receiver<Question>) {
    // It holds the app weakly: when the last user lets go, the channel closes and the task ends.
    let weak = app.downgrade();
    app.runtime().spawn(async move {
        let mut batch = Vec::with_capacity(BATCH);
        while waiting.recv_many(&mut batch, BATCH).await > 0 {
            let Some(app) = weak.upgrade() else { return };
            answer_all(&app, std::mem::take(&mut batch)).await;
        }
    });
}

async fn answer_all(app: &App, batch: Vec<Question>) {
    let mut ids: Vec<Uuid> = batch.iter().map(|question| question.session).collect();
    ids.sort_unstable();
    ids.dedup();
    match sessions::live_all(&app.store, &ids, app.clock.now(), app.asks()).await {
        Ok(found) => {
            for question in batch {
                // Whoever has hung up does not want to know.
                let _ = question.answer.send(Ok(found.get(&question.session).cloned()));
            }
        }
        Err(error) => {
            tracing::warn!(%error, sessions = ids.len(), "sessions were not read");
            for question in batch {
                let _ = question.answer.send(Err(AppError::Unavailable("database")));
            }
        }
    }
}

impl App {
    /// The session's row as it is now, if it is alive.
    pub(crate) async fn live_session(&self, session: Uuid) -> Result<Option<LiveSession>, AppError> {
        let (answer, answered) = oneshot::channel();
        let question = Question { session, answer };
        self.sessions.send(question).await.map_err(|_| AppError::Unavailable("stopping"))?;
        answered.await.map_err(|_| AppError::Unavailable("stopping"))?
    }
}
