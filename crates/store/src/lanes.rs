//! PostgreSQL for reads and for statements that are transactions by themselves: so many connections, each in the hands
//! of one task that never lets go of it.
//!
//! sqlx's own pool asks a connection for a sign of life each time that it comes back, a round trip a statement. A lane
//! asks only after a pause. And a caller who hangs up drops an answer here, never a query: the lane finishes it, so no
//! connection is ever left in the middle of something. Nobody begins a transaction on a lane.
//!
//! A connection that failed is given up, and the lane's next job opens a new one. The job that met the failure is
//! answered with it: whether a write was done is not known then, and only its caller can find out.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement, Values};
use sea_query_sqlx::SqlxValues;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgRow};
use sqlx::{Arguments as _, Connection, Executor, Postgres};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// How long a job may wait for a lane, and a lane for a new connection.
const PATIENCE: Duration = Duration::from_secs(8);
/// A connection that was idle for so long shows that it lives before it is trusted with a job.
const TRUSTED: Duration = Duration::from_millis(1_000);

/// What runs on a connection.
pub(crate) type Run<'c, T> = Pin<Box<dyn Future<Output = T> + Send + 'c>>;
/// Work for a lane, which answers whether the connection is fit for more.
type Job = Box<dyn for<'c> FnOnce(Result<&'c mut PgConnection, sqlx::Error>) -> Run<'c, bool> + Send>;

/// The lanes. Cheap to clone; they end when the last clone is gone.
#[derive(Clone, Debug)]
pub(crate) struct Lanes(Arc<Shared>);

/// Who is free. The lane that was used last is used next, so that few connections do most of the work and stay warm.
#[derive(Debug)]
struct Shared {
    idle: Mutex<Vec<Lane>>,
    /// A permit an idle lane.
    free: Semaphore,
}

/// The way to a lane.
type Lane = mpsc::Sender<Order>;

/// A job, with the way to the lane itself: it says that it is free by giving that back.
struct Order {
    job: Job,
    lane: Lane,
}

impl Shared {
    fn give_back(&self, lane: Lane) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(lane);
        self.free.add_permits(1);
    }

    fn take(&self) -> Option<Lane> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

impl Lanes {
    /// Opens so many, on the current tokio runtime; the first connection is made at once, to see that one can be.
    pub(crate) async fn open(options: PgConnectOptions, lanes: u32) -> Result<Lanes, DbErr> {
        let first = (connect(&options).await.map_err(failed)?, Instant::now());
        Ok(Lanes::with(Some(first), &options, lanes))
    }

    /// As [`Lanes::open`]; each connection is made when its first job comes.
    pub(crate) fn later(options: PgConnectOptions, lanes: u32) -> Lanes {
        Lanes::with(None, &options, lanes)
    }

    fn with(mut first: Option<(PgConnection, Instant)>, options: &PgConnectOptions, lanes: u32) -> Lanes {
        let shared = Arc::new(Shared { idle: Mutex::default(), free: Semaphore::new(0) });
        for _ in 0..lanes.max(1) {
            let (lane, orders) = mpsc::channel(1);
            tokio::spawn(run_lane(Arc::downgrade(&shared), orders, options.clone(), first.take()));
            shared.give_back(lane);
        }
        Lanes(shared)
    }

    /// Runs a piece of work on a connection of its own for that time.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, DbErr>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut PgConnection) -> Run<'c, Result<T, sqlx::Error>> + Send + 'static,
    {
        let (done, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            Box::pin(async move {
                let outcome = match connection {
                    Ok(connection) => work(connection).await,
                    Err(error) => Err(error),
                };
                let fit = outcome.as_ref().err().is_none_or(leaves_it_fit);
                // Whoever has hung up does not want to know.
                let _ = done.send(outcome);
                fit
            })
        });
        let closed = || failed(sqlx::Error::PoolClosed);
        let permit = tokio::time::timeout(PATIENCE, self.0.free.acquire()).await;
        permit.map_err(|_| failed(sqlx::Error::PoolTimedOut))?.map_err(|_| closed())?.forget();
        let lane = self.0.take().ok_or_else(closed)?;
        // Room for one, and nobody else has the way to this lane: it is taken at once.
        lane.clone().try_send(Order { job, lane }).map_err(|_| closed())?;
        answer.await.map_err(|_| failed(sqlx::Error::WorkerCrashed))?.map_err(failed)
    }

    /// All rows that a query answers.
    pub(crate) async fn fetch_all(&self, query: Bound) -> Result<Vec<PgRow>, DbErr> {
        self.run(move |connection| Box::pin(async move { query.fetch_all(connection).await })).await
    }
}

async fn run_lane(
    shared: Weak<Shared>,
    mut orders: mpsc::Receiver<Order>,
    options: PgConnectOptions,
    mut held: Option<(PgConnection, Instant)>,
) {
    while let Some(Order { job, lane }) = orders.recv().await {
        match trusted(held.take(), &options).await {
            Ok(mut connection) => {
                if job(Ok(&mut connection)).await {
                    // A long round's statement of some megabytes would stay in its buffers for ever.
                    connection.shrink_buffers();
                    held = Some((connection, Instant::now()));
                }
            }
            Err(error) => {
                job(Err(error)).await;
            }
        }
        match shared.upgrade() {
            Some(shared) => shared.give_back(lane),
            None => break,
        }
    }
    if let Some((connection, _)) = held
        && let Err(error) = connection.close().await
    {
        tracing::debug!(%error, "a connection did not close cleanly");
    }
}

/// The connection at hand if it can be trusted, else a new one.
async fn trusted(
    held: Option<(PgConnection, Instant)>,
    options: &PgConnectOptions,
) -> Result<PgConnection, sqlx::Error> {
    if let Some((mut connection, used)) = held
        && (used.elapsed() < TRUSTED || connection.ping().await.is_ok())
    {
        return Ok(connection);
    }
    connect(options).await
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    // Nothing is lost with a connection that nobody has used yet.
    let connected = tokio::time::timeout(PATIENCE, PgConnection::connect_with(options)).await;
    connected.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// Whether a connection can go on after this: the server refused a statement, and does not end the session over it.
fn leaves_it_fit(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(refused) => refused.code().is_none_or(|code| !code.starts_with("57P")),
        sqlx::Error::RowNotFound | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => true,
        _ => false,
    }
}

fn failed(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))
}

fn query(statement: Statement) -> sqlx::query::Query<'static, Postgres, SqlxValues> {
    let values = statement.values.unwrap_or_else(|| Values(Vec::new()));
    sqlx::query_with(sqlx::AssertSqlSafe(statement.sql), SqlxValues(values))
}

/// A query whose parameters are bound one by one. What was bound is written out, and may be let go.
pub(crate) type Bound = sqlx::query::Query<'static, Postgres, PgArguments>;

/// A query with room for so many parameters and bytes of theirs: room that grows as it fills would be twice as large, and be
/// copied again and again, for the decisions of a long round.
pub(crate) fn with_room(text: &'static str, parameters: usize, bytes: usize) -> Bound {
    let mut room = PgArguments::default();
    room.reserve(parameters, bytes);
    sqlx::query_with(text, room)
}

#[async_trait::async_trait]
impl ConnectionTrait for Lanes {
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::Postgres
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.run(move |connection| Box::pin(async move { connection.execute(query(statement)).await }))
            .await
            .map(ExecResult::from)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let sql = sql.to_owned();
        self.run(move |connection| {
            Box::pin(async move { connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await })
        })
        .await
        .map(ExecResult::from)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        Ok(self
            .run(move |connection| Box::pin(async move { connection.fetch_optional(query(statement)).await }))
            .await?
            .map(QueryResult::from))
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        Ok(self
            .run(move |connection| Box::pin(async move { connection.fetch_all(query(statement)).await }))
            .await?
            .into_iter()
            .map(QueryResult::from)
            .collect())
    }
}
