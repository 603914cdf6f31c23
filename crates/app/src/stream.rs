//! The live stream of events: whoever may see an order is told when it has changed, wherever he is connected.
//!
//! One task a process (the hub) reads the fan-out, loads each order that was told of once, and hands it to the listeners.
//! Each listener has a task and a bounded channel of his own: the order goes through `access::view` as everywhere, so he
//! hears of what he may see and of nothing else; a channel that is full ends his stream, and so does the end of his session.
//! Nobody who reads slowly holds anybody up, or memory.
//!
//! What is told is only that the order has changed and where it stands; the rest he reads as always.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, mpsc};
use uuid::Uuid;
use xingfuma_domain::access;
use xingfuma_domain::order::Order;
use xingfuma_queue::fanout::Word;
use xingfuma_store::orders;
use xingfuma_store::scope::Scope;

use crate::{App, AppError, Caller, Weak};

/// Changes that may lie between the hub and a listener's task; whoever is farther behind is let go.
const BEHIND_AT_MOST: usize = 1_024;
/// Events that may wait for one listener's connection; beyond it he is let go, and comes back with his last id.
const UNREAD_AT_MOST: usize = 64;
/// A sign of life is sent after so long without an event, and the session is looked at again.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Listeners of one process at most.
const LISTENERS_AT_MOST: usize = 10_000;
/// Words read at once, and for how long the hub waits for them.
const BATCH: usize = 200;
const WAIT: Duration = Duration::from_secs(5);
/// The pause after the fan-out was out of reach.
const AFTER_ERROR: Duration = Duration::from_millis(300);

/// A change that was told of.
#[derive(Clone, Debug)]
pub struct Told {
    /// The word.
    pub word: Word,
    /// The order as it stands now, and its spoken number.
    pub order: Arc<Order>,
    /// The number that is read over the phone.
    pub number: i64,
}

/// What a listener receives.
#[derive(Clone, Debug)]
pub enum Heard {
    /// It begins here: the id to come back with while nothing else was heard.
    Begins(Option<String>),
    /// An order that he may see has changed.
    Changed(Told),
    /// What he has missed is not kept any more: he should read his lists again.
    Reset,
    /// Nothing happened; the connection lives.
    Alive,
}

/// What the listeners of a process share.
#[derive(Debug)]
pub(crate) struct Hub {
    changes: broadcast::Sender<Told>,
    listeners: AtomicUsize,
    /// Where the hub begins to read when somebody listens again: the latest word when he came. Inside, none where none was
    /// kept.
    from: Mutex<Option<Option<String>>>,
}

impl Default for Hub {
    fn default() -> Hub {
        Hub {
            changes: broadcast::channel(BEHIND_AT_MOST).0,
            listeners: AtomicUsize::new(0),
            from: Mutex::default(),
        }
    }
}

impl Hub {
    fn from(&self) -> MutexGuard<'_, Option<Option<String>>> {
        self.from.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a listener for as long as it lives.
struct Counted(App);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.hub.listeners.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Starts the hub's task; it ends with the app.
pub(crate) fn start(app: &App) {
    let weak = app.downgrade();
    app.runtime().spawn(async move { read_on(weak).await });
}

async fn read_on(app: Weak) {
    let mut last: Option<String> = None;
    let mut reads = false;
    loop {
        let Some(app) = app.upgrade() else { return };
        if app.hub.changes.receiver_count() == 0 {
            // Nobody listens: nothing is read.
            reads = false;
            drop(app);
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        }
        if !reads {
            last = app.hub.from().take().flatten();
            reads = true;
        }
        if let Err(error) = app.read_words(&mut last).await {
            tracing::debug!(%error, "the streams wait");
            tokio::time::sleep(AFTER_ERROR).await;
        }
    }
}

impl App {
    async fn read_words(&self, last: &mut Option<String>) -> Result<(), AppError> {
        let out_of_reach = |_| AppError::Unavailable("events");
        let words = self.fanout.after(last.as_deref(), BATCH, WAIT).await.map_err(out_of_reach)?;
        if let Some(word) = words.last() {
            *last = Some(word.id.clone());
        }
        for told in self.changes_of(words).await? {
            // Without listeners there is nobody to tell, which is no fault.
            let _ = self.hub.changes.send(told);
        }
        Ok(())
    }

    /// The orders that were told of, each read once.
    async fn changes_of(&self, words: Vec<Word>) -> Result<Vec<Told>, AppError> {
        let mut ids: Vec<Uuid> = words.iter().map(|word| word.order_id).collect();
        ids.sort_unstable();
        ids.dedup();
        let scope = Scope::County(self.settings.county);
        let found = orders::find_readable(self.store.pool(), &scope, &ids).await?;
        let found: Vec<(Arc<Order>, i64)> =
            found.into_iter().map(|stored| (Arc::new(stored.order), stored.number)).collect();
        let told = words.into_iter().filter_map(|word| {
            let (order, number) = found.iter().find(|(order, _)| order.id == word.order_id)?;
            Some(Told { word, order: order.clone(), number: *number })
        });
        Ok(told.collect())
    }

    /// Says that an order has changed, to all processes; without waiting.
    pub(crate) fn announce(&self, order: &Order) {
        self.teller.tell(order.id, order.version);
    }

    /// How many listen here now.
    pub fn listeners(&self) -> usize {
        self.hub.listeners.load(Ordering::Relaxed)
    }

    /// Listens, from now on or after the last word that the caller has heard.
    ///
    /// # Errors
    /// [`AppError::Unavailable`] when as many listen here as may.
    pub async fn listen(
        &self,
        caller: Caller,
        last_heard: Option<String>,
    ) -> Result<mpsc::Receiver<Heard>, AppError> {
        if self.hub.listeners.fetch_add(1, Ordering::Relaxed) >= LISTENERS_AT_MOST {
            self.hub.listeners.fetch_sub(1, Ordering::Relaxed);
            return Err(AppError::Unavailable("streams"));
        }
        let counted = Counted(self.clone());
        let latest = self.fanout.latest().await.ok().flatten();
        // What he hears begins after this word; the hub begins no later, if it rests now.
        self.hub.from().get_or_insert_with(|| latest.clone());
        let changes = self.hub.changes.subscribe();
        let (sender, receiver) = mpsc::channel(UNREAD_AT_MOST);
        let last = latest.as_deref().and_then(position);
        let listener = Listener { app: counted, caller, sender, last };
        self.runtime().spawn(async move { listener.run(changes, last_heard, latest).await });
        Ok(receiver)
    }
}

struct Listener {
    app: Counted,
    caller: Caller,
    sender: mpsc::Sender<Heard>,
    /// The last word that was told here.
    last: Option<(u64, u64)>,
}

impl Listener {
    async fn run(
        mut self,
        mut changes: broadcast::Receiver<Told>,
        last_heard: Option<String>,
        latest: Option<String>,
    ) {
        if self.begin(last_heard, latest).await.is_none() {
            return;
        }
        let mut heartbeat = tokio::time::interval_at(tokio::time::Instant::now() + HEARTBEAT, HEARTBEAT);
        loop {
            let went_on = tokio::select! {
                change = changes.recv() => match change {
                    Ok(told) => self.pass_on(told),
                    // Too far behind: he comes back with his last id.
                    Err(_) => None,
                },
                _ = heartbeat.tick() => self.still_there().await,
                () = self.sender.closed() => None,
            };
            if went_on.is_none() {
                return;
            }
        }
    }

    /// What was missed, or that it begins here. None where the stream has to end.
    async fn begin(&mut self, last_heard: Option<String>, latest: Option<String>) -> Option<()> {
        let app = self.app.0.clone();
        let Some(mut after) = last_heard else {
            return self.send(Heard::Begins(latest));
        };
        if !app.fanout.keeps(&after).await.unwrap_or(false) {
            return self.send(Heard::Reset);
        }
        self.last = position(&after);
        loop {
            let words = app.fanout.after(Some(&after), BATCH, Duration::ZERO).await.ok()?;
            let Some(last) = words.last() else { return Some(()) };
            after.clone_from(&last.id);
            for told in app.changes_of(words).await.ok()? {
                let heard = self.heard(told);
                // He has just come: he is given the time to read what he has missed.
                if let Some(heard) = heard {
                    let sent = tokio::time::timeout(HEARTBEAT, self.sender.send(heard)).await;
                    sent.ok()?.ok()?;
                }
            }
        }
    }

    /// The change, if it is new and his to see.
    fn heard(&mut self, told: Told) -> Option<Heard> {
        let at = position(&told.word.id);
        if at <= self.last {
            return None;
        }
        self.last = at;
        access::view(&self.caller.actor, &told.order)?;
        Some(Heard::Changed(told))
    }

    fn pass_on(&mut self, told: Told) -> Option<()> {
        match self.heard(told) {
            Some(heard) => self.send(heard),
            None => Some(()),
        }
    }

    /// Whoever does not read in time is let go.
    fn send(&self, heard: Heard) -> Option<()> {
        self.sender.try_send(heard).ok()
    }

    /// The roles of this moment, if the session still stands.
    async fn still_there(&mut self) -> Option<()> {
        let now = self.app.0.caller(self.caller.session).await.ok();
        self.caller = now.filter(|caller| !caller.unproved)?;
        self.send(Heard::Alive)
    }
}

/// An id as two numbers, which compare as the ids do.
fn position(id: &str) -> Option<(u64, u64)> {
    let (one, other) = id.split_once('-')?;
    Some((one.parse().ok()?, other.parse().ok()?))
}
