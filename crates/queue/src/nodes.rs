//! Where the keys of one hash tag lie: one Redis, or one node of a Redis Cluster.
//!
//! Everything that this crate keeps in Redis under one purpose shares a hash tag, so in a cluster all of it lies on one
//! node, and a client needs to know that one alone. A node that is not it says `MOVED` and names the right one; that is
//! followed. When the node is out of reach, the addresses that were configured are asked in turn: one of them knows where
//! the keys went, as after a failover. No map of slots is kept, and nothing is asked before it is needed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::{Client, ConnectionAddr, IntoConnectionInfo, RedisError};

use crate::QueueError;

/// The addresses, and which of them is asked now. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Nodes(Arc<Shared>);

struct Shared {
    /// As configured.
    seeds: Vec<Client>,
    current: Mutex<Current>,
}

struct Current {
    client: Client,
    /// The seed that is asked next when this one is out of reach.
    next_seed: usize,
    /// Counts the changes, so that the failure of an old node does not leave its successor.
    number: u64,
}

impl Nodes {
    /// From `redis://…`, or several of them with commas between.
    pub(crate) fn at(urls: &str) -> Result<Nodes, QueueError> {
        // The error's category alone: its detail may repeat the address and with that a password.
        let open = |url: &str| {
            Client::open(url)
                .map_err(|error| QueueError::Settings(format!("no Redis address ({})", error.category())))
        };
        let seeds = urls.split(',').map(|url| open(url.trim())).collect::<Result<Vec<Client>, _>>()?;
        let first = seeds.first().cloned().ok_or_else(|| QueueError::Settings("no address".to_owned()))?;
        let current = Mutex::new(Current { client: first, next_seed: 1, number: 0 });
        Ok(Nodes(Arc::new(Shared { seeds, current })))
    }

    /// The one to ask now, and its number.
    pub(crate) fn current(&self) -> (Client, u64) {
        let current = self.lock();
        (current.client.clone(), current.number)
    }

    /// Learns from an answer of the node with this number. Answers whether another is to be asked.
    pub(crate) fn learn(&self, error: &RedisError, number: u64) -> bool {
        let Some(client) = moved_to(error).and_then(|address| self.client_at(&address)) else { return false };
        let mut current = self.lock();
        if current.number == number {
            current.client = client;
            current.number += 1;
        }
        true
    }

    /// The node with this number is out of reach: the next of those that were configured is asked from now on.
    pub(crate) fn lost(&self, number: u64) {
        let mut current = self.lock();
        // One address alone is asked again as it is; its number stays, or every failure would make connections anew.
        if current.number != number || (self.0.seeds.len() == 1 && current.next_seed == 1 && number == 0) {
            return;
        }
        let seed = current.next_seed % self.0.seeds.len();
        current.client = self.0.seeds[seed].clone();
        current.next_seed = seed + 1;
        current.number += 1;
    }

    /// A client for another node, with the password and the rest as configured.
    fn client_at(&self, address: &str) -> Option<Client> {
        let (host, port) = address.rsplit_once(':')?;
        let port = port.parse().ok()?;
        let seed = self.0.seeds.first()?.get_connection_info();
        let known = match seed.addr() {
            ConnectionAddr::Tcp(host, _) => host.as_str(),
            _ => return None,
        };
        // An empty name means the host that was asked.
        let host = if host.is_empty() { known } else { host }.trim_matches(['[', ']']).to_owned();
        let info = seed.clone().set_addr(ConnectionAddr::Tcp(host, port)).into_connection_info().ok()?;
        Client::open(info).ok()
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `host:port` where a node says that the keys lie elsewhere, also when it says so to one command of a pipeline.
fn moved_to(error: &RedisError) -> Option<String> {
    let answers = error.clone().into_server_errors()?;
    let moved = answers.iter().map(|(_, answer)| answer).find(|answer| answer.code() == "MOVED")?;
    moved.details()?.split_ascii_whitespace().nth(1).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(nodes: &Nodes) -> String {
        nodes.current().0.get_connection_info().addr().to_string()
    }

    #[test]
    fn the_next_address_is_asked_when_one_is_lost_and_only_once_for_each_loss() {
        let nodes = Nodes::at("redis://one:1, redis://two:2").expect("two addresses");
        let (_, number) = nodes.current();
        assert_eq!(address(&nodes), "one:1");
        nodes.lost(number);
        nodes.lost(number);
        assert_eq!(address(&nodes), "two:2");
        nodes.lost(number + 1);
        assert_eq!(address(&nodes), "one:1", "then the first again");
    }

    #[test]
    fn a_single_address_is_asked_again() {
        let nodes = Nodes::at("redis://one:1").expect("an address");
        nodes.lost(0);
        assert_eq!((address(&nodes).as_str(), nodes.current().1), ("one:1", 0));
    }

    #[test]
    fn a_node_elsewhere_is_reached_with_the_same_password() {
        let nodes = Nodes::at("redis://:secret@one:1/").expect("an address");
        let client = nodes.client_at("two:7002").expect("an address");
        let info = client.get_connection_info();
        assert_eq!(
            (info.addr().to_string().as_str(), info.redis_settings().password()),
            ("two:7002", Some("secret"))
        );
        let same_host = nodes.client_at(":7003").expect("an address");
        assert_eq!(same_host.get_connection_info().addr().to_string(), "one:7003");
    }
}
