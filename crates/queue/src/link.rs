//! Connections to one Redis that may be absent, hung, or back again.
//!
//! Two kinds, because a blocking read holds up everything else on its connection:
//!
//! - [`Link`] is one shared connection for commands that answer at once. It is made at the first use, dropped at the
//!   first sign that it is broken (an answer that does not come in time is one: behind a dead route nothing else ever
//!   says so), and made anew at the next use. Nobody waits longer than [`CONNECT_WITHIN`] plus [`ANSWER_WITHIN`], and
//!   those who asked while an attempt to connect was under way share its failure instead of queueing up for their own.
//! - [`Readers`] are connections lent to one blocking read each, whose answer is awaited as long as the read blocks.
//!   Only a connection that answered is lent again. An abandoned read closes its connection, and by that ends the
//!   read in Redis; otherwise Redis would go on to hand the next hint to nobody.

use std::{
    sync::{Mutex as StdMutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, Client, ErrorKind, RedisError, RedisResult, ServerErrorKind,
    aio::MultiplexedConnection,
};
use tokio::sync::Mutex;

/// Within this time a connection stands, or the attempt has failed.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// Within this time a command that does not block is answered, or it has failed.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// One shared connection for commands that answer at once.
pub(crate) struct Link {
    client: Client,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    /// Counts the connections, so that an error of an old one does not drop its successor.
    number: u64,
    /// When the last attempt to connect failed, and how.
    failure: Option<(Instant, RedisError)>,
}

impl Link {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, state: Mutex::default() }
    }

    /// Asks on the shared connection. When that turns out to have been closed (Redis was restarted since it was last
    /// used), asks once more on a new one, so `ask` must be harmless to do twice.
    pub(crate) async fn run<T, F, Answer>(&self, ask: F) -> RedisResult<T>
    where
        F: Fn(MultiplexedConnection) -> Answer,
        Answer: Future<Output = RedisResult<T>>,
    {
        match self.run_once(&ask).await {
            Err(error) if is_closed(&error) => self.run_once(&ask).await,
            answer => answer,
        }
    }

    async fn run_once<T, F, Answer>(&self, ask: &F) -> RedisResult<T>
    where
        F: Fn(MultiplexedConnection) -> Answer,
        Answer: Future<Output = RedisResult<T>>,
    {
        let (connection, number) = self.connection().await?;
        let answer = ask(connection).await;
        if answer.as_ref().is_err_and(is_broken) {
            self.drop_connection(number).await;
        }
        answer
    }

    async fn connection(&self) -> RedisResult<(MultiplexedConnection, u64)> {
        let asked_at = Instant::now();
        let mut state = self.state.lock().await;
        if let Some(connection) = &state.connection {
            return Ok((connection.clone(), state.number));
        }
        if let Some((failed_at, failure)) = &state.failure
            && *failed_at >= asked_at
        {
            return Err(failure.clone());
        }
        match connect(&self.client).await {
            Ok(connection) => {
                state.number += 1;
                state.failure = None;
                state.connection = Some(connection.clone());
                Ok((connection, state.number))
            }
            Err(failure) => {
                state.failure = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }

    async fn drop_connection(&self, number: u64) {
        let mut state = self.state.lock().await;
        if state.number == number {
            state.connection = None;
        }
    }
}

/// Connections for blocking reads, each lent to one read at a time.
pub(crate) struct Readers {
    client: Client,
    idle: StdMutex<Vec<MultiplexedConnection>>,
}

impl Readers {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, idle: StdMutex::default() }
    }

    /// Asks on a connection of its own, for an answer that may take `wait`.
    pub(crate) async fn run<T, F, Answer>(&self, wait: Duration, ask: F) -> RedisResult<T>
    where
        F: FnOnce(MultiplexedConnection) -> Answer,
        Answer: Future<Output = RedisResult<T>>,
    {
        let idle = self.idle().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => connect(&self.client).await?,
        };
        connection.set_response_timeout(wait + ANSWER_WITHIN);
        let answer = ask(connection.clone()).await;
        match &answer {
            // The others are as old: whoever comes next is better off with a new one.
            Err(error) if is_broken(error) => self.idle().clear(),
            _ => self.idle().push(connection),
        }
        answer
    }

    fn idle(&self) -> MutexGuard<'_, Vec<MultiplexedConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn connect(client: &Client) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_WITHIN))
        .set_response_timeout(Some(ANSWER_WITHIN));
    client.get_multiplexed_async_connection_with_config(&config).await
}

/// Whether the connection had been closed, so that asking again on a new one is worth while.
pub(crate) fn is_closed(error: &RedisError) -> bool {
    error.is_connection_dropped() && !error.is_connection_refusal()
}

/// Whether the connection should not be used again: it is closed or silent, or leads to a server that has stopped
/// being the one that takes writes.
fn is_broken(error: &RedisError) -> bool {
    let demoted = [ServerErrorKind::ReadOnly, ServerErrorKind::MasterDown].map(ErrorKind::Server);
    error.is_io_error() || error.is_unrecoverable_error() || demoted.contains(&error.kind())
}
