//! The use cases of 幸福+码, one file a step: [`place`], [`dispatch`], [`serve`] (accept to complete), [`rate`],
//! [`show`]; and time passing ([`sweep`]), the queue's worker ([`worker`]), telling people ([`notify`], and out of the house [`message`]).
//!
//! A request passes three rooms, one way: route → use case → (pure decision + store). [`command`] is the corridor that
//! every command to an existing order goes through; the clock and chance live in [`clock`] alone.

use std::sync::{Arc, RwLock};

use chrono::{DateTime, Utc};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use uuid::Uuid;
use xingfuma_domain::access::{Action, Actor, allow, areas_allowed};
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::deadline::{Calendar, QuietHours};
use xingfuma_domain::hazard::Threshold;
use xingfuma_domain::order::Context;
use xingfuma_domain::scoring::{Guards, RuleBook, StarBook};
use xingfuma_media::Shelf;
use xingfuma_queue::fanout::{Fanout, Teller};
use xingfuma_queue::limiter::Limiter;
use xingfuma_queue::{DispatchQueue, Hint, Pusher};
use xingfuma_store::Store;

pub mod activity;
pub mod audit;
pub mod beside;
pub mod board;
pub mod certificate;
pub mod claim;
pub mod clock;
pub mod command;
pub mod consents;
pub mod county;
pub mod dead_letters;
pub mod directory;
pub mod dispatch;
pub mod duty;
pub mod error;
pub mod filling;
pub mod hazard;
pub mod help;
pub mod holds;
pub mod keys;
mod known;
pub mod limits;
pub mod log_in;
pub mod media;
pub mod message;
pub mod metrics;
pub mod notice;
pub mod notify;
mod numbers;
pub mod offering;
pub mod once;
pub mod own_data;
pub mod passbook;
pub mod patrol;
pub mod period;
pub mod place;
pub mod plates;
pub mod privacy;
pub mod rate;
pub mod record;
pub mod reinstate;
pub mod rotation;
pub mod serve;
pub mod service;
mod session_reader;
pub mod shop;
pub mod show;
pub mod similar;
pub mod star;
pub mod stream;
pub mod sweep;
pub mod text;
pub mod totp;
pub mod training;
pub mod transfer;
pub mod view;
pub mod witness;
pub mod worker;

pub use error::{AppError, FieldFault};
pub use session_reader::OrderFound;

use clock::{Clock, Ids};
use directory::Directory;
use keys::{DataKey, Keys};
use limits::Limits;
use media::{MediaRoom, MediaSettings};
use message::Outside;
use metrics::Metrics;
use privacy::{PersonPrivate, Private};
use text::KnownWords;
use totp::SecondFactorRule;

/// What a program needs to be told about itself.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The county that it serves.
    pub county: AreaCode,
    /// Where people reach it; plates carry `{public_url}/q/{sign}`.
    pub public_url: String,
    /// The file that the ledger's daily roots are appended to; without it they stand in the log only.
    pub roots: Option<std::path::PathBuf>,
    /// How often somebody may do what.
    pub limits: Limits,
    /// The rules of scoring.
    pub rules: RuleBook,
    /// From which point on points are held for review.
    pub guards: Guards,
    /// What makes a hazard.
    pub hazards: Vec<Threshold>,
    /// How photos are taken in.
    pub media: MediaSettings,
    /// The scale of stars.
    pub stars: StarBook,
    /// Whether there is a board of persons: of those who agreed to be named.
    pub board_of_persons: bool,
    /// Of whom a second factor is insisted on.
    pub second_factor: SecondFactorRule,
}

/// Everything a use case works with. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts of an [`App`].
pub struct Parts {
    /// What the program was told about itself.
    pub settings: Settings,
    /// The database.
    pub store: Store,
    /// The queue.
    pub queue: Arc<dyn DispatchQueue>,
    /// Counts how often somebody did what.
    pub limiter: Limiter,
    /// Hands hints to the queue without waiting for it.
    pub pusher: Pusher,
    /// Words to all processes about orders that have changed.
    pub fanout: Arc<dyn Fanout>,
    /// Hands words to the fan-out without waiting for it.
    pub teller: Teller,
    /// Time.
    pub clock: Clock,
    /// Chance.
    pub ids: Ids,
    /// Keys.
    pub keys: Keys,
    /// WeChat.
    pub wechat: xingfuma_wechat::Client,
    /// How messages go out.
    pub outside: Outside,
    /// Where photos lie.
    pub shelf: Shelf,
    /// What bounds the work on photos.
    pub media: MediaRoom,
    /// The rules of scoring.
    pub rules: RuleBook,
    /// What is counted.
    pub metrics: Metrics,
    directory: RwLock<Arc<Directory>>,
    quiet: QuietHours,
    numbers: numbers::Numbers,
    lately: known::Lately,
    reached: worker::Reached,
    placements: mpsc::Sender<place::Placement>,
    sessions: mpsc::Sender<session_reader::Question>,
    seen: mpsc::Sender<witness::Seen>,
    hub: stream::Hub,
    runtime: Handle,
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("App").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What an [`App`] is put together from.
pub struct Foundation {
    /// What the program was told about itself.
    pub settings: Settings,
    /// The database, migrated and with the county filled in.
    pub store: Store,
    /// The queue.
    pub queue: Arc<dyn DispatchQueue>,
    /// Counts how often somebody did what.
    pub limiter: Limiter,
    /// Words to all processes about orders that have changed.
    pub fanout: Arc<dyn Fanout>,
    /// Time.
    pub clock: Clock,
    /// Chance.
    pub ids: Ids,
    /// Keys.
    pub keys: Keys,
    /// WeChat.
    pub wechat: xingfuma_wechat::Client,
    /// How messages go out.
    pub outside: Outside,
    /// Where photos lie.
    pub shelf: Shelf,
}

impl std::fmt::Debug for Foundation {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Foundation").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// An [`App`] that may be gone.
struct Weak(std::sync::Weak<Parts>);

impl Weak {
    fn upgrade(&self) -> Option<App> {
        self.0.upgrade().map(App)
    }
}

/// Hints that may wait to be pushed; beyond it the sweep finds them.
const HINTS_WAITING: usize = 100_000;
/// Words that may wait to be told to the streams; beyond it a screen is read again later.
const WORDS_WAITING: usize = 10_000;
/// Placements that may wait for the writer; beyond it requests wait.
const PLACEMENTS_WAITING: usize = 4_096;
/// Requests that may wait to know who asks; beyond it they wait to be taken in.
const SESSIONS_WAITING: usize = 4_096;

impl App {
    /// Puts an app together and starts its writer; must be called on the multi-thread runtime that is to own the pool.
    ///
    /// # Errors
    /// [`AppError::Unavailable`] when the county was never filled in; otherwise when the database fails.
    pub async fn start(foundation: Foundation) -> Result<App, AppError> {
        let Foundation { settings, store, queue, limiter, fanout, clock, ids, keys, wechat, outside, shelf } =
            foundation;
        let rows = xingfuma_store::directory::load(store.pool(), settings.county).await?;
        let directory = Directory::new(rows.ok_or(AppError::Unavailable("the county was not filled in"))?)?;
        let (placements, waiting) = mpsc::channel(PLACEMENTS_WAITING);
        let (sessions, asked) = mpsc::channel(SESSIONS_WAITING);
        let (seen, noted) = mpsc::channel(witness::WAITING);
        let app = App(Arc::new(Parts {
            pusher: Pusher::start(queue.clone(), HINTS_WAITING),
            teller: Teller::start(fanout.clone(), WORDS_WAITING),
            fanout,
            hub: stream::Hub::default(),
            directory: RwLock::new(Arc::new(directory)),
            quiet: QuietHours::default(),
            rules: settings.rules.clone(),
            media: MediaRoom::new(&settings.media),
            shelf,
            metrics: Metrics::default(),
            numbers: numbers::Numbers::default(),
            lately: known::Lately::default(),
            reached: worker::Reached::default(),
            runtime: Handle::current(),
            placements,
            sessions,
            seen,
            settings,
            store,
            queue,
            limiter,
            clock,
            ids,
            keys,
            wechat,
            outside,
        }));
        place::start_writer(&app, waiting);
        session_reader::start(&app, asked);
        witness::start(&app, noted);
        stream::start(&app);
        Ok(app)
    }

    /// Runs a use case in a task of its own on the runtime that owns the pool: a client that hangs up drops the
    /// handle, never the work.
    ///
    /// # Errors
    /// What the use case answers; [`AppError::Internal`] when it panicked.
    pub async fn run<T, F>(&self, work: F) -> Result<T, AppError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, AppError>> + Send + 'static,
    {
        self.runtime
            .spawn(work)
            .await
            .unwrap_or_else(|stopped| Err(AppError::Internal(format!("a use case stopped: {stopped}"))))
    }

    /// For tasks that must not keep it alive.
    fn downgrade(&self) -> Weak {
        Weak(Arc::downgrade(&self.0))
    }

    /// The runtime that owns the pool.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// The county as it is known now.
    pub fn directory(&self) -> Arc<Directory> {
        self.directory.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Reads the county again if its stamp has moved.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn refresh_directory(&self) -> Result<(), AppError> {
        let county = self.settings.county;
        let stamp = xingfuma_store::directory::stamp(self.store.pool(), county).await?;
        if stamp == self.directory().stamp {
            return Ok(());
        }
        if let Some(rows) = xingfuma_store::directory::load(self.store.pool(), county).await? {
            let fresh = Arc::new(Directory::new(rows)?);
            *self.directory.write().unwrap_or_else(std::sync::PoisonError::into_inner) = fresh;
            self.lately.forget();
        }
        Ok(())
    }

    /// How time runs at this moment.
    pub fn context(&self) -> Context<'_> {
        self.context_at(self.clock.now())
    }

    /// How time runs at a moment.
    pub fn context_at(&self, now: DateTime<Utc>) -> Context<'_> {
        Context { now, calendar: Calendar::china(), quiet: &self.quiet }
    }

    /// A fresh id of this moment.
    pub fn new_id(&self) -> Uuid {
        self.ids.id(self.clock.now())
    }

    /// Tells the queue that an order waits, if it does and a team can be sought.
    pub fn hint(&self, order: &xingfuma_domain::order::Order) {
        use xingfuma_domain::order::State;
        if matches!(order.state, State::Placed { stuck: None, .. }) {
            self.pusher.push(Hint { order_id: order.id, epoch: order.epoch });
        }
    }
}

/// Somebody who has logged in, with the key to his own data.
#[derive(Clone)]
pub struct Caller {
    /// Who, with the roles of this moment.
    pub actor: Actor,
    /// The session.
    pub session: Uuid,
    /// His surname, for those who may know it.
    pub surname: String,
    /// A second factor is insisted on, and none was shown in this session: he may set one up, and nothing else.
    pub unproved: bool,
    data_key: Arc<DataKey>,
    /// Name and phone, sealed under his key.
    private: Option<Arc<[u8]>>,
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Caller").field("person", &self.actor.person).finish_non_exhaustive()
    }
}

impl Caller {
    /// His own name and phone.
    ///
    /// # Errors
    /// [`AppError::Unsealable`] when they were sealed by another key.
    pub(crate) fn own(&self) -> Result<PersonPrivate, AppError> {
        let Some(sealed) = &self.private else { return Ok(PersonPrivate::default()) };
        PersonPrivate::open(&self.data_key, self.actor.person, sealed)
    }

    /// The areas in which he may do it: none for most of those who ask, whose own things are shown all the same.
    pub(crate) fn areas(&self, action: Action) -> Vec<AreaCode> {
        areas_allowed(&self.actor, action)
    }

    /// The areas in which he may do it, where nothing is shown to those who may nowhere.
    ///
    /// # Errors
    /// [`AppError::Forbidden`] when there is none.
    pub(crate) fn areas_of_office(&self, action: Action) -> Result<Vec<AreaCode>, AppError> {
        let areas = self.areas(action);
        if areas.is_empty() { Err(AppError::Forbidden) } else { Ok(areas) }
    }

    /// The area that he asks for, or all those in which he may do it.
    ///
    /// # Errors
    /// [`AppError::Forbidden`] when he may not do it there, or nowhere.
    pub(crate) fn areas_asked(
        &self,
        action: Action,
        area: Option<AreaCode>,
    ) -> Result<Vec<AreaCode>, AppError> {
        match area {
            Some(area) if allow(&self.actor, action, area) => Ok(vec![area]),
            Some(_) => Err(AppError::Forbidden),
            None => self.areas_of_office(action),
        }
    }

    /// The words by which his own texts may give him away.
    pub(crate) fn known_words(&self) -> Result<KnownWords, AppError> {
        Ok(KnownWords::default().and_person(&self.own()?))
    }
}
