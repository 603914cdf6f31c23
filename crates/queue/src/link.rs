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

use crate::nodes::Nodes;

/// Within this time a connection stands, or the attempt has failed.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// Within this time a command that does not block is answered, or it has failed.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// How often one command is asked again because the connection was closed, or the keys lie on another node.
const ASKED_AGAIN: u32 = 2;

/// One shared connection for commands that answer at once.
pub(crate) struct Link {
    nodes: Nodes,
    state: Mutex<State>,
}

/// A connection that is in use.
#[derive(Clone)]
struct Open {
    connection: MultiplexedConnection,
    /// Which of the link's connections this is: an error of an old one must not drop its successor.
    number: u64,
    /// The number of the node that it leads to.
    node: u64,
}

#[derive(Default)]
struct State {
    open: Option<Open>,
    /// Counts the connections.
    number: u64,
    /// When the last attempt to connect failed, and how.
    failure: Option<(Instant, RedisError)>,
}

impl Link {
    pub(crate) fn new(nodes: Nodes) -> Self {
        Self { nodes, state: Mutex::default() }
    }

    /// Asks on the shared connection. When that turns out to have been closed (Redis was restarted since it was last
    /// used), or to lead to a node that does not keep the keys, asks again on a new one, so `ask` must be harmless to do
    /// twice.
    pub(crate) async fn run<T, F, Answer>(&self, ask: F) -> RedisResult<T>
    where
        F: Fn(MultiplexedConnection) -> Answer,
        Answer: Future<Output = RedisResult<T>>,
    {
        let mut again = 0;
        loop {
            let open = self.connection().await?;
            let answer = ask(open.connection).await;
            let Err(error) = &answer else { return answer };
            let moved = self.nodes.learn(error, open.node);
            if moved || is_broken(error) {
                self.drop_connection(open.number).await;
            }
            if !moved && is_broken(error) {
                self.nodes.lost(open.node);
            }
            again += 1;
            if again > ASKED_AGAIN || !(moved || is_closed(error)) {
                return answer;
            }
        }
    }

    async fn connection(&self) -> RedisResult<Open> {
        let asked_at = Instant::now();
        let mut state = self.state.lock().await;
        let (client, node) = self.nodes.current();
        // Whoever else uses these nodes may have learned that the keys lie elsewhere.
        if let Some(open) = state.open.as_ref().filter(|open| open.node == node) {
            return Ok(open.clone());
        }
        if let Some((failed_at, failure)) = &state.failure
            && *failed_at >= asked_at
        {
            return Err(failure.clone());
        }
        match connect(&client).await {
            Ok(connection) => {
                state.number += 1;
                state.failure = None;
                let open = Open { connection, number: state.number, node };
                state.open = Some(open.clone());
                Ok(open)
            }
            Err(failure) => {
                self.nodes.lost(node);
                state.failure = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }

    async fn drop_connection(&self, number: u64) {
        let mut state = self.state.lock().await;
        if state.open.as_ref().is_some_and(|open| open.number == number) {
            state.open = None;
        }
    }
}

/// Connections for blocking reads, each lent to one read at a time.
pub(crate) struct Readers {
    nodes: Nodes,
    /// Each with the number of its node.
    idle: StdMutex<Vec<(MultiplexedConnection, u64)>>,
}

impl Readers {
    pub(crate) fn new(nodes: Nodes) -> Self {
        Self { nodes, idle: StdMutex::default() }
    }

    /// Asks on a connection of its own, for an answer that may take `wait`. Where the keys lie on another node, that one is
    /// asked.
    pub(crate) async fn run<T, F, Answer>(&self, wait: Duration, ask: F) -> RedisResult<T>
    where
        F: Fn(MultiplexedConnection) -> Answer,
        Answer: Future<Output = RedisResult<T>>,
    {
        let mut again = 0;
        loop {
            let (mut connection, node) = self.connection().await?;
            connection.set_response_timeout(wait + ANSWER_WITHIN);
            let answer = ask(connection.clone()).await;
            let moved = answer.as_ref().is_err_and(|error| self.nodes.learn(error, node));
            match &answer {
                Err(error) if !moved && is_broken(error) => {
                    // The others are as old: whoever comes next is better off with a new one.
                    self.idle().clear();
                    self.nodes.lost(node);
                }
                _ if moved => self.idle().clear(),
                _ => self.idle().push((connection, node)),
            }
            again += 1;
            if !moved || again > ASKED_AGAIN {
                return answer;
            }
        }
    }

    async fn connection(&self) -> RedisResult<(MultiplexedConnection, u64)> {
        let (client, node) = self.nodes.current();
        let idle = {
            let mut idle = self.idle();
            idle.retain(|(_, of)| *of == node);
            idle.pop()
        };
        if let Some(idle) = idle {
            return Ok(idle);
        }
        let connected = connect(&client).await;
        connected.map(|connection| (connection, node)).inspect_err(|_| self.nodes.lost(node))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(MultiplexedConnection, u64)>> {
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
