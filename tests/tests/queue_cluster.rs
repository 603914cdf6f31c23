//! A Redis Cluster of three nodes: the queue passes its checks there, finds its keys wherever they lie, and the whole program
//! runs on it.

use std::{
    collections::BTreeSet,
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::json;
use uuid::Uuid;
use xingfuma_queue::{
    DispatchQueue, Hint, RedisQueue, exercise,
    fanout::{Fanout, RedisFanout},
    limiter::{Counted, Limiter},
};
use xingfuma_tests::{client::Client, events::Events, program::Fleet, services::RedisCluster};

/// How long an order may wait for a team, and an event for its reader.
const WITHIN: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_exercise_on_three_nodes() {
    let cluster = RedisCluster::start();
    // From one address alone, whichever node keeps the keys: two of three have to say where.
    for (number, node) in cluster.nodes.iter().enumerate() {
        let queue = Arc::new(RedisQueue::new(&node.url(), &format!("xfm{number}")).expect("an address"));
        exercise::run(queue.clone()).await;
        let examined = queue.examine().await.expect("it answers");
        assert!(examined.is_cluster, "{examined:?}");
    }
    // All keys of a purpose lie on one node.
    for number in 0..3 {
        let place = cluster.place_of(&format!("{{xfm{number}:dispatch}}:stream"));
        for (other, node) in cluster.nodes.iter().enumerate() {
            let keys = format!("return #redis.call('KEYS', '{{xfm{number}:dispatch}}*')");
            let kept = node.command(&["EVAL", &keys, "0"]).expect("Redis answers");
            assert_eq!(kept != "0", other == place, "queue {number} on node {other}: {kept} keys");
        }
    }
}

/// The words and the limits find their node, too, each for itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_and_limits_find_their_node() {
    let cluster = RedisCluster::start();
    let mut places = BTreeSet::new();
    for county in ["140724", "140725", "140726", "140727", "140728", "140729"] {
        let (fanout, order) =
            (RedisFanout::new(&cluster.url(), county).expect("addresses"), Uuid::from_u128(1));
        fanout.tell(&[(order, 3)]).await.expect("told");
        let words = fanout.after(None, 10, Duration::from_secs(1)).await.expect("read");
        assert_eq!(words.iter().map(|word| (word.order_id, word.version)).collect::<Vec<_>>(), [(order, 3)]);
        let limiter = Limiter::in_redis(&cluster.url(), county).expect("addresses");
        let limit = xingfuma_domain::limit::Limit::per_minutes(1, 1);
        let counted = || vec![Counted { key: "one".to_owned(), limit }];
        assert!(limiter.admit(counted(), 1_000).await.is_ok(), "the first");
        assert!(limiter.admit(counted(), 1_001).await.is_err(), "the second");
        assert!(limiter.is_shared(), "it was Redis that counted");
        places.insert(cluster.place_of(&format!("{{{county}:events}}:stream")));
    }
    assert!(places.len() > 1, "several nodes were met");
}

/// A node that keeps nothing of ours goes away, the first that is asked: the others answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_address_is_asked_when_the_first_is_gone() {
    let mut cluster = RedisCluster::start();
    // Without its slots the cluster would refuse everything.
    for node in &cluster.nodes {
        node.command(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]).expect("Redis answers");
    }
    let of = |prefix: &String| cluster.place_of(&format!("{{{prefix}:dispatch}}:stream"));
    let mut prefixes = (0..100).map(|number| format!("p{number}"));
    let prefix = prefixes.find(|prefix| of(prefix) == 1).expect("one that lies on the second node");
    let queue = RedisQueue::new(&cluster.url(), &prefix).expect("addresses");
    cluster.nodes[0].kill();
    let hint = Hint { order_id: Uuid::from_u128(1), epoch: 1 };
    let begun = Instant::now();
    while queue.push(&[hint]).await.is_err() {
        assert!(begun.elapsed() < WITHIN, "nobody takes it");
    }
    let claimed = queue.claim("a", 1, Duration::from_secs(1)).await.expect("it answers");
    assert_eq!(claimed.iter().map(|delivery| delivery.hint).collect::<Vec<_>>(), [hint]);
}

/// Two servers and two workers on three nodes: orders are dispatched by hints and not by the sweep, streams are heard across
/// servers, limits are counted together.
#[test]
fn the_whole_program_runs_on_a_cluster() {
    let cluster = RedisCluster::start();
    let url = cluster.url();
    let fleet =
        Fleet::start_with(2, 2, &[("XINGFUMA_REDIS__URL", &url), ("XINGFUMA_LIMITS__FACTOR", "100000")]);
    let (one, other) = (&fleet.bases()[0], &fleet.bases()[1]);
    let resident = Client::log_in(one, fleet.accounts().one("resident"));
    let village = Client::log_in(other, fleet.accounts().village_dispatcher());
    let mut events = Events::listen(&village, None);
    let mut placed = Vec::new();
    for number in 0..20 {
        let order = json!({
            "signCode": fleet.accounts().sign(), "categoryCode": "errand", "description": format!("代买 {number}"),
        });
        placed.push(resident.post("/orders", &order).expect(201)["id"].as_str().expect("an id").to_owned());
    }
    let begun = Instant::now();
    while fleet.sql("SELECT count(*) FROM orders WHERE status = 'dispatched'") != "20" {
        assert!(begun.elapsed() < WITHIN, "not all have a team");
        sleep(Duration::from_millis(20));
    }
    let mut heard = BTreeSet::new();
    while placed.iter().any(|order| !heard.contains(order)) {
        let event = events.next_within(WITHIN).expect("an event");
        if let Some(order) = event.data["orderId"].as_str() {
            heard.insert(order.to_owned());
        }
    }
    let metrics = Client::anonymous(one).get_outside("/metrics").expect("an answer").text();
    for line in [
        "xingfuma_queue{state=\"out_of_reach\"} 0",
        "xingfuma_limits_shared 1",
        "xingfuma_queue{state=\"push_failed\"} 0",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    let place = cluster.place_of("{xfm-140724:dispatch}:stream");
    assert_ne!(place, 3);
    let waiting = cluster.nodes[place].command(&["XLEN", "{xfm-140724:dispatch}:stream"]);
    assert_eq!(waiting.as_deref(), Ok("0"), "hints were claimed and acknowledged there");
    let doctor = fleet.run(&["doctor"], &[]);
    assert!(doctor.printed.contains("a node of a cluster"), "{doctor:?}");
}
