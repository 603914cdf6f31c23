//! Who is asking: the look-ups of sessions, gathered; and of the orders that their requests name.
//!
//! Every request with a token reads its session's row. One task does it for all of them: the first goes at once, those
//! that arrive meanwhile ride together with the next, as placements do. There is no timer and nothing is kept: each
//! answer is read from the database after its request came in, so a demotion counts at the next request.
//!
//! A command to an order, and the look at one, need that order as well: it comes with the session, in the same round trip.

use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;
use xingfuma_store::StoreError;
use xingfuma_store::asking::{self, Asking, Found};
use xingfuma_store::orders::{Earning, WholeOrder};
use xingfuma_store::sessions::{self, LiveSession};

use crate::{App, AppError, Caller};

/// Most sessions in one read.
const BATCH: usize = 128;

type Answer<T> = oneshot::Sender<Result<T, AppError>>;

/// A question on its way to the task.
pub(crate) enum Question {
    /// Whose session is it?
    Session(Uuid, Answer<Option<LiveSession>>),
    /// The same, and the order as it is there for him.
    WithOrder(Asking, Answer<Found>),
}

/// What a request's order was when its session was read: not there for the caller, or as it stood.
#[derive(Clone, Debug)]
pub struct OrderFound(pub(crate) Option<Box<WholeOrder>>);

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
    let (mut alone, mut with_orders) = (Vec::new(), Vec::new());
    for question in batch {
        match question {
            Question::Session(session, answer) => alone.push((session, answer)),
            Question::WithOrder(asking, answer) => with_orders.push((asking, answer)),
        }
    }
    tokio::join!(answer_sessions(app, alone), answer_with_orders(app, with_orders));
}

async fn answer_sessions(app: &App, questions: Vec<(Uuid, Answer<Option<LiveSession>>)>) {
    if questions.is_empty() {
        return;
    }
    let mut ids: Vec<Uuid> = questions.iter().map(|(session, _)| *session).collect();
    ids.sort_unstable();
    ids.dedup();
    let found = sessions::live_all(&app.store, &ids, app.clock.now()).await;
    match found {
        Ok(found) => {
            for (session, answer) in questions {
                // Whoever has hung up does not want to know.
                let _ = answer.send(Ok(found.get(&session).cloned()));
            }
        }
        Err(error) => refuse_all(&error, questions.into_iter().map(|(_, answer)| answer)),
    }
}

async fn answer_with_orders(app: &App, questions: Vec<(Asking, Answer<Found>)>) {
    if questions.is_empty() {
        return;
    }
    let (asked, answers): (Vec<Asking>, Vec<Answer<Found>>) = questions.into_iter().unzip();
    match asking::live_with_orders(&app.store, &asked, app.clock.now()).await {
        Ok(found) => {
            for (found, answer) in found.into_iter().zip(answers) {
                let _ = answer.send(Ok(found));
            }
        }
        Err(error) => refuse_all(&error, answers.into_iter()),
    }
}

fn refuse_all<T>(error: &StoreError, answers: impl ExactSizeIterator<Item = Answer<T>>) {
    tracing::warn!(%error, sessions = answers.len(), "sessions were not read");
    for answer in answers {
        let _ = answer.send(Err(AppError::Unavailable("database")));
    }
}

impl App {
    /// The session's row as it is now, if it is alive.
    pub(crate) async fn live_session(&self, session: Uuid) -> Result<Option<LiveSession>, AppError> {
        self.ask(|answer| Question::Session(session, answer)).await
    }

    /// Who a session is, with the order that his request names; `earns` where points may come of the request.
    ///
    /// # Errors
    /// As [`App::caller`].
    pub async fn caller_with_order(
        &self,
        session: Uuid,
        order: Uuid,
        earns: bool,
    ) -> Result<(Caller, OrderFound), AppError> {
        let earning = earns.then(|| Earning::at(self.clock.now()));
        let asking = Asking { session, order, earning };
        let found = self.ask(|answer| Question::WithOrder(asking, answer)).await?;
        let (live, order) = found.ok_or(AppError::Unauthenticated)?;
        Ok((self.caller_of(session, live)?, OrderFound(order.map(Box::new))))
    }

    async fn ask<T>(&self, question: impl FnOnce(Answer<T>) -> Question) -> Result<T, AppError> {
        let (answer, answered) = oneshot::channel();
        self.sessions.send(question(answer)).await.map_err(|_| AppError::Unavailable("stopping"))?;
        answered.await.map_err(|_| AppError::Unavailable("stopping"))?
    }
}
