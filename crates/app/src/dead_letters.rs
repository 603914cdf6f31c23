//! Dead letters: orders that were set aside because handling them failed again and again.
//!
//! The mark in the table `due` is the truth; the board shows it, and neither sweep nor worker touches such an order until
//! somebody gives it back. The queue keeps a copy of the hint, which is given back with it, or forgotten once the mark is
//! gone. What is told here is told without reading the order: that it cannot be read may be what is wrong with it.
//!
//! Only a failure that lies in the order counts: when the database is away, full or busy, everything waits and nothing is
//! set aside.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use xingfuma_domain::access::Action;
use xingfuma_domain::area::AreaCode;
use xingfuma_queue::{DispatchQueue, Hint, QueueError};
use xingfuma_store::audit::{self, AuditEntry};
use xingfuma_store::due::{self, DeadRow};
use xingfuma_store::{Store, StoreError, idempotency, transact};

use crate::command::{Keyed, Reply};
use crate::{App, AppError, Caller};

/// Dead letters of the queue that are compared with the marks at once.
const COMPARED: usize = 100;

/// An order that was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// The order.
    pub order_id: Uuid,
    /// The epoch at which it waits.
    pub epoch: i64,
}

/// Turns a replay into an answer: status and body.
pub type RenderReplayed = std::sync::Arc<dyn Fn(&Replayed) -> (u16, Vec<u8>) + Send + Sync>;

/// Whether a failure counts against the order: tried again, it would fail again.
pub(crate) fn counts(error: &AppError) -> bool {
    match error {
        AppError::Store(error) => error.lies_in_the_data(),
        AppError::Unavailable(_) => false,
        _ => true,
    }
}

/// Takes the mark off an order of these areas and notes in the audit log who did so; none when it has none. The queue is
/// to be told afterwards ([`tell`]).
///
/// # Errors
/// When the database fails; [`StoreError::Twin`] when the key of `answer` is taken.
pub async fn unmark(
    store: &Store,
    areas: Vec<AreaCode>,
    order: Uuid,
    entry: AuditEntry,
    answer: impl FnOnce(&Replayed) -> Option<idempotency::Answer> + Send + 'static,
) -> Result<Option<Replayed>, StoreError> {
    transact(store, move |conn| {
        Box::pin(async move {
            let Some(epoch) = due::revive(conn, &areas, order).await? else { return Ok(None) };
            let replayed = Replayed { order_id: order, epoch };
            idempotency::keep(conn, answer(&replayed).as_ref()).await?;
            audit::append(conn, &[entry]).await?;
            Ok(Some(replayed))
        })
    })
    .await
}

/// Gives the queue the hint of an order that was given back: its dead letter, or a new one where it keeps none.
///
/// # Errors
/// When the queue is out of reach; the sweep finds the order then.
pub async fn tell(queue: &dyn DispatchQueue, replayed: Replayed) -> Result<(), QueueError> {
    if !queue.replay(replayed.order_id).await? {
        queue.push(&[Hint { order_id: replayed.order_id, epoch: replayed.epoch }]).await?;
    }
    Ok(())
}

/// The line of the audit log about a replay. Nobody's personal data is shown by it.
pub fn replay_entry(
    id: Uuid,
    county: AreaCode,
    at: DateTime<Utc>,
    person: Option<Uuid>,
    order: Uuid,
    subject: Option<Uuid>,
) -> AuditEntry {
    AuditEntry {
        id,
        county,
        at,
        person,
        action: "dead_letter_replayed",
        resource: order,
        subject,
        reason: None,
    }
}

impl App {
    /// Orders that were set aside, oldest first, in the areas of which the caller is an administrator or an auditor.
    ///
    /// # Errors
    /// [`AppError::Forbidden`] for everybody else.
    pub async fn dead_letters(
        &self,
        caller: &Caller,
        after: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<DeadRow>, AppError> {
        let areas = caller.areas_of_office(Action::ReadDeadLetters)?;
        Ok(due::dead(self.store.pool(), &areas, after, limit).await?)
    }

    /// Gives an order that was set aside back to the queue and the sweep.
    ///
    /// # Errors
    /// [`AppError::Forbidden`] for others than an administrator; [`AppError::NotFound`] when it is not among the dead
    /// letters of his areas.
    pub async fn replay_dead_letter(
        &self,
        caller: &Caller,
        order: Uuid,
        keyed: Option<Keyed>,
        render: RenderReplayed,
    ) -> Result<Reply, AppError> {
        let areas = caller.areas_of_office(Action::ReplayDeadLetter)?;
        let (now, county) = (self.clock.now(), self.settings.county);
        let requester = audit::requesters(self.store.pool(), county, &[order]).await?;
        let subject = requester.first().map(|(_, person)| *person);
        let entry = replay_entry(self.new_id(), county, now, Some(caller.actor.person), order, subject);
        let (app, kept, shown) = (self.clone(), keyed.clone(), render.clone());
        let answer = move |replayed: &Replayed| {
            let (status, body) = shown(replayed);
            app.answer(kept.as_ref(), order, status, &body)
        };
        let replayed = match unmark(&self.store, areas, order, entry, answer).await {
            Ok(Some(replayed)) => replayed,
            Ok(None) => return self.replay(keyed.as_ref()).await?.ok_or(AppError::NotFound),
            Err(StoreError::Twin) => {
                return self.replay(keyed.as_ref()).await?.ok_or(AppError::Unavailable("twin"));
            }
            Err(error) => return Err(error.into()),
        };
        if let Err(error) = tell(&*self.queue, replayed).await {
            tracing::info!(%order, %error, "a dead letter was not given to the queue; the sweep finds the order");
        }
        let (status, body) = render(&replayed);
        Ok(Reply { status, body, replayed: false })
    }

    /// Notes that handling an order failed for a reason of its own; at the `at_most`-th time it is set aside. Answers
    /// whether it is now.
    pub(crate) async fn set_aside(&self, order: Uuid, error: &AppError, at_most: i32) -> bool {
        let failed = due::fail(&self.store, order, &error.to_string(), at_most, self.clock.now()).await;
        match failed {
            Ok(dead) => {
                if dead {
                    tracing::error!(%order, %error, "an order was set aside as a dead letter");
                    self.metrics.count_set_aside();
                }
                dead
            }
            Err(error) => {
                tracing::warn!(%order, %error, "a failure could not be noted");
                false
            }
        }
    }

    /// Forgets dead letters of the queue whose orders are not set aside any more: they go back as hints, and are void.
    ///
    /// # Errors
    /// When the queue or the database is out of reach.
    pub async fn forget_mended_letters(&self) -> Result<usize, AppError> {
        let out_of_reach = |_: QueueError| AppError::Unavailable("queue");
        let letters = self.queue.dead_letters(COMPARED).await.map_err(out_of_reach)?;
        let orders: Vec<Uuid> = letters.iter().map(|letter| letter.hint.order_id).collect();
        let dead = due::dead_among(self.store.pool(), &orders).await?;
        let mended: Vec<Uuid> = orders.into_iter().filter(|order| !dead.contains(order)).collect();
        for order in &mended {
            self.queue.replay(*order).await.map_err(out_of_reach)?;
        }
        Ok(mended.len())
    }
}
