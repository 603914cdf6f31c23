//! Connections, their hooks, and the one commit point.
//!
//! A future that awaits `begin()` can be dropped between the database's answer and sqlx's note of it; the connection
//! then goes back to the pool inside an open transaction. Three things keep that from losing anything: commands run in
//! tasks that nobody drops; nothing is written outside an explicit transaction; and an abandoned `begin` is noticed
//! here, after which every acquire rolls back first until the server's own idle-in-transaction limit has passed. On
//! the healthy path that check costs a comparison and no round trip.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sea_orm::{
    AccessMode, ConnectOptions, ConnectionTrait, Database, DatabaseBackend, DatabaseConnection,
    DatabaseTransaction, DbErr, ExecResult, IsolationLevel, QueryResult, RuntimeErr, SqliteTransactionMode,
    Statement, TransactionOptions, TransactionTrait,
};
use sqlx::postgres::PgConnectOptions;
use tokio::sync::{Mutex, MutexGuard};

use crate::StoreError;
use crate::lanes::Lanes;

/// The server ends a session that idles in a transaction after this long.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(10);
/// A statement may run this long.
const STATEMENT: Duration = Duration::from_secs(10);
/// A statement may wait this long for a lock.
const LOCK: Duration = Duration::from_secs(3);
/// How often `begin` is tried again when pooled connections turn out to be dead.
const BEGIN_TRIES: u32 = 24;

/// How to reach the database.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// `sqlite://FILE?mode=rwc` or `postgres://…`.
    pub url: String,
    /// Most connections; 8 to 16 are best on two cores, 64 lose up to half. On PostgreSQL a third of them is for
    /// transactions of several statements, a third for reads, and a third for the few statements that carry the most.
    pub max_connections: u32,
    /// Shown by PostgreSQL in its list of sessions.
    pub application_name: String,
}

impl StoreOptions {
    /// Options with 12 connections.
    pub fn new(url: impl Into<String>) -> StoreOptions {
        StoreOptions { url: url.into(), max_connections: 12, application_name: "xingfuma".to_owned() }
    }
}

/// The pool, and what a transaction needs to know. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: Pool,
    /// The one on which transactions begin. SQLite's has a single connection: its pages stay in memory as long as nobody
    /// else writes, while a connection that sees another's commit reads all of them anew.
    beginning: DatabaseConnection,
    /// SQLite has one writer; waiting here is fair and does not spin.
    writer: Arc<Mutex<()>>,
    /// Where those wait for their turn to wait there who do what nobody waits for.
    behind: Arc<Mutex<()>>,
    abandoned: Arc<Abandoned>,
}

/// What everybody reads from: PostgreSQL's lanes, or SQLite's pool.
#[derive(Clone, Debug)]
pub struct Pool(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Sqlite(DatabaseConnection),
    Postgres { reading: Lanes, planned: Lanes },
}

#[async_trait::async_trait]
impl ConnectionTrait for Pool {
    fn get_database_backend(&self) -> DatabaseBackend {
        match &self.0 {
            Kind::Sqlite(pool) => pool.get_database_backend(),
            Kind::Postgres { reading, .. } => reading.get_database_backend(),
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        match &self.0 {
            Kind::Sqlite(pool) => pool.execute_raw(statement).await,
            Kind::Postgres { reading, .. } => reading.execute_raw(statement).await,
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match &self.0 {
            Kind::Sqlite(pool) => pool.execute_unprepared(sql).await,
            Kind::Postgres { reading, .. } => reading.execute_unprepared(sql).await,
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match &self.0 {
            Kind::Sqlite(pool) => pool.query_one_raw(statement).await,
            Kind::Postgres { reading, .. } => reading.query_one_raw(statement).await,
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match &self.0 {
            Kind::Sqlite(pool) => pool.query_all_raw(statement).await,
            Kind::Postgres { reading, .. } => reading.query_all_raw(statement).await,
        }
    }
}

/// Remembers when a `begin` was last abandoned.
#[derive(Debug)]
struct Abandoned {
    start: Instant,
    /// Milliseconds since `start`, plus one; 0 for never.
    last: AtomicU64,
}

impl Abandoned {
    fn note(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.last.store(now + 1, Ordering::Release);
    }

    fn recently(&self) -> bool {
        match self.last.load(Ordering::Acquire) {
            0 => false,
            last => self.start.elapsed() < Duration::from_millis(last) + IDLE_IN_TRANSACTION + STATEMENT,
        }
    }
}

/// Notes an abandoned `begin` unless it was defused.
struct BeginGuard<'a>(Option<&'a Abandoned>);

impl Drop for BeginGuard<'_> {
    fn drop(&mut self) {
        if let Some(abandoned) = self.0 {
            abandoned.note();
        }
    }
}

impl Store {
    /// Connects, with the time-outs set on the database's side.
    ///
    /// # Errors
    /// When the database is out of reach or the URL is none.
    pub async fn connect(options: &StoreOptions) -> Result<Store, StoreError> {
        let abandoned = Arc::new(Abandoned { start: Instant::now(), last: AtomicU64::new(0) });
        let (pool, beginning) = if options.url.starts_with("sqlite") {
            let mut writing = connect_options(options, 1);
            tune_sqlite(&mut writing, WRITERS_PAGES);
            // It comes first, because it makes the file.
            let writing = Database::connect(writing).await?;
            let mut reading = connect_options(options, options.max_connections);
            tune_sqlite(&mut reading, READERS_PAGES);
            (Pool(Kind::Sqlite(Database::connect(reading).await?)), writing)
        } else {
            let beginning = (options.max_connections / 3).max(1);
            let reading = Lanes::open(postgres_options(options)?, beginning).await?;
            let rest = options.max_connections.saturating_sub(2 * beginning);
            let planned = Lanes::later(postgres_options(options)?.options(PLAN_ONCE), rest);
            let mut connect = connect_options(options, beginning);
            tune_postgres(&mut connect, options, &abandoned);
            (Pool(Kind::Postgres { reading, planned }), Database::connect(connect).await?)
        };
        Ok(Store { pool, beginning, writer: Arc::default(), behind: Arc::default(), abandoned })
    }

    /// PostgreSQL's lanes for statements that take an array a column; none on SQLite. They are planned once a
    /// connection, whatever comes in: with a plan for each length of the arrays the database plans longer than it writes.
    /// So nothing belongs here whose best plan depends on its parameters, no list for example.
    pub(crate) fn lanes(&self) -> Option<&Lanes> {
        match &self.pool.0 {
            Kind::Postgres { planned, .. } => Some(planned),
            Kind::Sqlite(_) => None,
        }
    }

    /// Where transactions begin: [`transact`], and the migrations.
    pub(crate) fn beginning(&self) -> &DatabaseConnection {
        &self.beginning
    }

    /// The pool, for reads. Nobody begins a transaction on it.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Whether this is PostgreSQL.
    pub fn is_postgres(&self) -> bool {
        matches!(self.pool.0, Kind::Postgres { .. })
    }

    /// Closes all connections.
    pub async fn close(self) {
        // The lanes end by themselves when nobody can give them a job any more.
        let reading = match self.pool.0 {
            Kind::Sqlite(reading) => reading.close().await,
            Kind::Postgres { .. } => Ok(()),
        };
        if let Err(error) = reading.and(self.beginning.close().await) {
            tracing::warn!(%error, "the database did not close cleanly");
        }
    }

    /// A transaction that reads one state of the database, however long it reads, and keeps no writer waiting. Drop it,
    /// or roll it back.
    ///
    /// # Errors
    /// When the database refuses to begin.
    pub async fn snapshot(&self) -> Result<DatabaseTransaction, StoreError> {
        let postgres = self.is_postgres();
        let options = TransactionOptions {
            isolation_level: postgres.then_some(IsolationLevel::RepeatableRead),
            access_mode: postgres.then_some(AccessMode::ReadOnly),
            sqlite_transaction_mode: (!postgres).then_some(SqliteTransactionMode::Deferred),
        };
        let on = match &self.pool.0 {
            Kind::Sqlite(reading) => reading,
            Kind::Postgres { .. } => &self.beginning,
        };
        Ok(on.begin_with_options(options).await?)
    }

    /// SQLite's writer, as long as it is held; nothing on PostgreSQL.
    async fn turn(&self) -> Option<(Option<MutexGuard<'_, ()>>, MutexGuard<'_, ()>)> {
        if self.is_postgres() {
            return None;
        }
        let is_behind = BEHIND.try_with(|()| ()).is_ok();
        let behind = if is_behind { Some(self.behind.lock().await) } else { None };
        Some((behind, self.writer.lock().await))
    }

    async fn begin(&self) -> Result<DatabaseTransaction, StoreError> {
        let mut tries = 0;
        loop {
            let options = TransactionOptions {
                sqlite_transaction_mode: (!self.is_postgres()).then_some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            };
            let begin = std::pin::pin!(self.beginning.begin_with_options(options));
            // Made after the future, so that it is dropped before it: by the time that the connection is back in the
            // pool, it is known that one may be in a transaction.
            let mut guard = BeginGuard(Some(&self.abandoned));
            let begun = begin.await;
            guard.0 = None;
            match begun {
                Ok(transaction) => return Ok(transaction),
                // Nothing was sent yet that could be done twice: a dead connection is dropped and the next one tried.
                Err(error) if tries < BEGIN_TRIES && is_dead_connection(&error) => tries += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn is_dead_connection(error: &sea_orm::DbErr) -> bool {
    let text = error.to_string();
    ["closed", "reset", "Broken pipe", "terminating connection", "unexpected end", "EOF", "begin"]
        .iter()
        .any(|sign| text.contains(sign))
}

/// What SQLite keeps in memory for the connection that writes, in its own notation: 32 MiB.
const WRITERS_PAGES: &str = "-32768";
/// The same for each that reads, 8 MiB: a team's members and their histories are then read from memory.
const READERS_PAGES: &str = "-8192";
/// Statements kept ready on a connection of SQLite: all that are sent often, rows by powers of two included.
const READY: usize = 400;
/// Pages of its log after which SQLite copies them into the file, 16 MiB: hot pages are copied once, not again and again.
const LOG_PAGES: &str = "4000";

fn tune_sqlite(connect: &mut ConnectOptions, pages: &'static str) {
    connect.map_sqlx_sqlite_opts(move |options| {
        options
            .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
            .synchronous(sqlx::sqlite::SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5))
            .foreign_keys(true)
            .statement_cache_capacity(READY)
            .pragma("wal_autocheckpoint", LOG_PAGES)
            .pragma("cache_size", pages)
    });
    // A commit that fails, on a full disk for example, ends the transaction in SQLite, and sqlx goes on counting it: what
    // comes next would be written inside one that nobody commits, and be answered as done. Such a connection is given up.
    connect.map_sqlx_sqlite_pool_opts(|pool| {
        pool.before_acquire(|connection, _| {
            let sound = !sqlx::Connection::is_in_transaction(connection);
            Box::pin(async move { Ok(sound) })
        })
    });
}

fn connect_options(options: &StoreOptions, connections: u32) -> ConnectOptions {
    let mut connect = ConnectOptions::new(&options.url);
    connect
        .max_connections(connections)
        .min_connections(1)
        .connect_timeout(Duration::from_secs(5))
        .acquire_timeout(Duration::from_secs(8))
        .sqlx_logging(false)
        .test_before_acquire(false);
    connect
}

/// A statement keeps its first plan until the statistics of its tables change. That plan may be made while a table is
/// empty, and then reading all of it looks cheapest, row for row of another table: an index is to be taken wherever there
/// is one.
/// A round's arrays of texts are some megabytes; with the usual memory they would go through a file.
const PLAN_ONCE: [(&str, &str); 3] =
    [("plan_cache_mode", "force_generic_plan"), ("enable_seqscan", "off"), ("work_mem", "16MB")];

/// Time-outs on the database's side, the time zone, and how indexes are walked. The next so many rows of a queue are
/// taken from its index's beginning; while the statistics still say that the queue is empty, a bitmap of all its rows
/// looks as cheap, and is made and sorted each time anew: the work grows with the square of what waits. So what two
/// indexes serve is named by a union of both. And nothing is compiled: what looks dear enough for that is a piece of a long
/// walk, and compiling it costs a quarter of a second each time, ten times the piece.
fn session_settings() -> [(&'static str, String); 6] {
    [
        ("enable_bitmapscan", "off".to_owned()),
        ("jit", "off".to_owned()),
        ("statement_timeout", format!("{}", STATEMENT.as_millis())),
        ("lock_timeout", format!("{}", LOCK.as_millis())),
        ("idle_in_transaction_session_timeout", format!("{}", IDLE_IN_TRANSACTION.as_millis())),
        ("timezone", "UTC".to_owned()),
    ]
}

fn postgres_options(options: &StoreOptions) -> Result<PgConnectOptions, StoreError> {
    let parsed: Result<PgConnectOptions, sqlx::Error> = options.url.parse();
    // What is wrong with an address is told without the address: a password may stand in it.
    let parsed =
        parsed.map_err(|_| DbErr::Conn(RuntimeErr::Internal("no address of a database".to_owned())))?;
    Ok(parsed.application_name(&options.application_name).options(session_settings()))
}

fn tune_postgres(connect: &mut ConnectOptions, options: &StoreOptions, abandoned: &Arc<Abandoned>) {
    connect.set_application_name(options.application_name.clone());
    connect.map_sqlx_postgres_opts(|options| options.options(session_settings()));
    let abandoned = abandoned.clone();
    connect.map_sqlx_postgres_pool_opts(move |pool| {
        let abandoned = abandoned.clone();
        pool.before_acquire(move |connection, _| {
            let heal = abandoned.recently();
            Box::pin(async move {
                if heal {
                    sqlx::Executor::execute(&mut *connection, "ROLLBACK").await?;
                }
                Ok(true)
            })
        })
    });
}

tokio::task_local! {
    /// Set for what nobody waits for.
    static BEHIND: ();
}

/// Does what nobody waits for: the queue's rounds, timers, messages. Of all such work one piece at a time queues up for
/// SQLite's one writer, so that whoever places an order has at most one of them before him, and not four. PostgreSQL lets
/// them write side by side. A task that is spawned inside is not meant by it.
pub async fn in_background<F: Future>(work: F) -> F::Output {
    BEHIND.scope((), work).await
}

/// A command's work inside its transaction.
pub type Work<'c, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>>;

/// The one commit point: begins (`BEGIN IMMEDIATE` on SQLite), runs the work, commits; rolls back when it fails.
///
/// # Errors
/// What the work answers, or the database's refusal to begin or to commit. After a failed commit the outcome is not
/// known; callers that promise exactly-once repeat with the same idempotency key.
pub async fn transact<T, E, F>(store: &Store, work: F) -> Result<T, E>
where
    F: for<'c> FnOnce(&'c DatabaseTransaction) -> Work<'c, T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    let _turn = store.turn().await;
    let transaction = store.begin().await.map_err(E::from)?;
    match work(&transaction).await {
        Ok(done) => {
            transaction.commit().await.map_err(|error| E::from(error.into()))?;
            Ok(done)
        }
        Err(error) => {
            if let Err(rollback) = transaction.rollback().await {
                tracing::warn!(error = %rollback, "the roll-back failed; the database will do it");
            }
            Err(error)
        }
    }
}

/// Which database it is, in its own words.
///
/// # Errors
/// When the database is out of reach.
pub async fn version(store: &Store) -> Result<String, StoreError> {
    #[derive(sea_orm::FromQueryResult)]
    struct Version {
        version: String,
    }
    let text = match store.is_postgres() {
        true => "SELECT 'PostgreSQL ' || current_setting('server_version') AS version",
        false => "SELECT 'SQLite ' || sqlite_version() AS version",
    };
    let version: Option<Version> = crate::sql::one(store.pool(), text, Vec::new()).await?;
    Ok(version.map(|row| row.version).unwrap_or_default())
}

/// The database's clock; `None` on SQLite, which has none of its own. Fails when the database does not answer.
///
/// # Errors
/// When the database is out of reach.
pub async fn clock(store: &Store) -> Result<Option<chrono::DateTime<chrono::Utc>>, StoreError> {
    #[derive(sea_orm::FromQueryResult)]
    struct Now {
        now: chrono::DateTime<chrono::Utc>,
    }
    if !store.is_postgres() {
        crate::sql::run(store.pool(), "SELECT 1", Vec::new()).await?;
        return Ok(None);
    }
    let now: Option<Now> =
        crate::sql::one(store.pool(), "SELECT clock_timestamp() AS now", Vec::new()).await?;
    Ok(now.map(|row| row.now))
}
