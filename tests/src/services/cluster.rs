//! A private Redis Cluster of three nodes.

use std::{thread::sleep, time::Instant};

use super::{LOOK_AGAIN, READY_WITHIN, redis::Redis};

/// The slots of a cluster.
const SLOTS: usize = 16_384;

/// Three nodes on free loopback ports, each with a third of the slots and none with a copy of another's; killed and removed
/// when dropped.
#[derive(Debug)]
pub struct RedisCluster {
    /// The nodes, in the order of their slots.
    pub nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts the nodes and makes them a cluster.
    ///
    /// # Panics
    /// When Redis is not installed, or they do not agree.
    #[must_use]
    pub fn start() -> Self {
        let cluster = Self { nodes: (0..3).map(|_| Redis::start_as_node()).collect() };
        for (number, node) in cluster.nodes.iter().enumerate() {
            let (first, after) = (number * SLOTS / 3, (number + 1) * SLOTS / 3);
            let slots = [first.to_string(), (after - 1).to_string()];
            node.command(&["CLUSTER", "ADDSLOTSRANGE", &slots[0], &slots[1]]).expect("they are free");
            if number > 0 {
                let (port, bus) =
                    (cluster.nodes[0].port().to_string(), cluster.nodes[0].bus_port().to_string());
                node.command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).expect("it is there");
            }
        }
        cluster.wait_until_it_agrees();
        cluster
    }

    fn wait_until_it_agrees(&self) {
        let begun = Instant::now();
        let is_well = |node: &Redis| {
            let info = node.command(&["CLUSTER", "INFO"]).unwrap_or_default();
            info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
        };
        while !self.nodes.iter().all(is_well) {
            assert!(
                begun.elapsed() < READY_WITHIN,
                "the nodes do not agree: {:?}",
                self.nodes[0].command(&["CLUSTER", "INFO"])
            );
            sleep(LOOK_AGAIN);
        }
    }

    /// The addresses of its nodes, as the program takes them.
    #[must_use]
    pub fn url(&self) -> String {
        self.nodes.iter().map(Redis::url).collect::<Vec<_>>().join(",")
    }

    /// The place of the node that keeps a key.
    ///
    /// # Panics
    /// When Redis does not answer.
    #[must_use]
    pub fn place_of(&self, key: &str) -> usize {
        let slot = self.nodes[0].command(&["CLUSTER", "KEYSLOT", key]).expect("Redis answers");
        let slot: usize = slot.parse().expect("a slot");
        (0..3).find(|number| slot < (number + 1) * SLOTS / 3).expect("a third")
    }
}
