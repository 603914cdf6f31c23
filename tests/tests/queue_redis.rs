//! The queue in Redis: the checks that every queue passes, then its faults. In each fault the client is the one that
//! was there before; none is ever made anew.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{task::JoinHandle, time::sleep};
use uuid::Uuid;
use xingfuma_domain::limit::Limit;
use xingfuma_queue::limiter::{Counted, Limiter};
use xingfuma_queue::{Delivery, Depth, DispatchQueue, Hint, Pusher, QueueError, RedisQueue, exercise};
use xingfuma_tests::services::Redis;

const NOW: Duration = Duration::ZERO;
const A_MOMENT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(20);
/// Surely over long before [`LONG`].
const SOON: Duration = Duration::from_secs(8);
/// What a command may take when Redis hangs: a second, and what a busy machine adds.
const GIVEN_UP_WITHIN: Duration = Duration::from_millis(2_500);

const PREFIX: &str = "xfm";
const STREAM: &str = "{xfm:dispatch}:stream";

fn queue_at(redis: &Redis) -> Arc<RedisQueue> {
    Arc::new(RedisQueue::new(&redis.url(), PREFIX).unwrap())
}

fn hint(number: u128) -> Hint {
    Hint { order_id: Uuid::from_u128(number), epoch: 1 }
}

fn hints(deliveries: &[Delivery]) -> BTreeSet<Hint> {
    deliveries.iter().map(|delivery| delivery.hint).collect()
}

fn set(numbers: impl IntoIterator<Item = u128>) -> BTreeSet<Hint> {
    numbers.into_iter().map(hint).collect()
}

async fn push(queue: &RedisQueue, numbers: impl IntoIterator<Item = u128>) {
    queue.push(&numbers.into_iter().map(hint).collect::<Vec<_>>()).await.unwrap();
}

async fn claim(queue: &RedisQueue, max: usize, wait: Duration) -> Vec<Delivery> {
    queue.claim("b", max, wait).await.unwrap()
}

/// A claim of one hint in a task of its own that waits for long; it blocks in Redis when this returns.
async fn blocked_claim(
    redis: &Redis,
    queue: &Arc<RedisQueue>,
) -> JoinHandle<Result<Vec<Delivery>, QueueError>> {
    let queue = Arc::clone(queue);
    let task = tokio::spawn(async move { queue.claim("a", 1, LONG).await });
    let begun = Instant::now();
    while !redis.command(&["INFO", "clients"]).unwrap().contains("blocked_clients:1\r\n") {
        assert!(begun.elapsed() < SOON, "the claim does not block");
        sleep(Duration::from_millis(10)).await;
    }
    task
}

/// Takes over and acknowledges all that is pending, then claims and acknowledges all that waits.
async fn drain(queue: &RedisQueue) -> BTreeSet<Hint> {
    let mut all = queue.reclaim("b", NOW, 1_000).await.unwrap();
    all.extend(claim(queue, 1_000, NOW).await);
    queue.ack(&all).await.unwrap();
    assert_eq!(queue.depth().await.unwrap(), Depth::default());
    hints(&all)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_exercise() {
    let redis = Redis::start();
    exercise::run(queue_at(&redis)).await;
    assert_eq!(redis.command(&["XLEN", STREAM]).unwrap(), "0", "the acknowledged is deleted");
    let keys = "return #redis.call('KEYS', '*')";
    let tagged = "return #redis.call('KEYS', '{xfm:dispatch}:*')";
    assert_eq!(
        redis.command(&["EVAL", keys, "0"]),
        redis.command(&["EVAL", tagged, "0"]),
        "every key has the tag"
    );
}

#[tokio::test]
async fn queues_with_different_prefixes_share_a_redis() {
    let redis = Redis::start();
    let one = RedisQueue::new(&redis.url(), "140724").unwrap();
    let other = RedisQueue::new(&redis.url(), "140725").unwrap();
    push(&one, [1]).await;
    assert_eq!(claim(&other, 1, NOW).await, []);
    assert_eq!(hints(&claim(&one, 1, NOW).await), set([1]));
}

#[tokio::test]
async fn flushall_under_a_blocked_claim_is_survived() {
    let redis = Redis::start();
    let queue = queue_at(&redis);
    push(&queue, [1, 2]).await;
    claim(&queue, 1, NOW).await;
    queue.ack(&claim(&queue, 1, NOW).await).await.unwrap();
    let blocked = blocked_claim(&redis, &queue).await;

    redis.command(&["FLUSHALL"]).unwrap();
    sleep(A_MOMENT).await;
    let pushed_at = Instant::now();
    push(&queue, [3]).await;
    let deliveries = blocked.await.unwrap().unwrap();
    assert_eq!(hints(&deliveries), set([3]));
    assert!(pushed_at.elapsed() < SOON, "the claim slept on for {:?}", pushed_at.elapsed());
    queue.ack(&deliveries).await.unwrap();
    assert_eq!(queue.depth().await.unwrap(), Depth::default());
}

#[tokio::test]
async fn every_method_survives_flushall() {
    let redis = Redis::start();
    let queue = queue_at(&redis);
    push(&queue, [1]).await;
    let held = claim(&queue, 1, NOW).await;
    let flush = || redis.command(&["FLUSHALL"]).unwrap();

    flush();
    assert_eq!(queue.depth().await.unwrap(), Depth::default());
    flush();
    assert_eq!(queue.reclaim("b", NOW, 10).await.unwrap(), []);
    flush();
    queue.ack(&held).await.unwrap();
    queue.bury(&held[0], "lost meanwhile").await.unwrap();
    assert_eq!(queue.dead_letters(10).await.unwrap(), []);
    assert!(!queue.replay(hint(1).order_id).await.unwrap());
    flush();
    push(&queue, [2]).await;
    assert_eq!(queue.depth().await.unwrap(), Depth { waiting: 1, pending: 0, dead: 0 });
    assert_eq!(hints(&claim(&queue, 10, NOW).await), set([2]));
}

#[tokio::test]
async fn a_redis_that_comes_back_empty_is_used_at_once() {
    let mut redis = Redis::start();
    let queue = queue_at(&redis);
    push(&queue, [1, 2]).await;
    claim(&queue, 1, NOW).await;

    redis.kill();
    let begun = Instant::now();
    assert!(matches!(queue.push(&[hint(3)]).await, Err(QueueError::Unreachable(_))));
    assert!(matches!(queue.claim("a", 1, LONG).await, Err(QueueError::Unreachable(_))));
    assert!(matches!(queue.depth().await, Err(QueueError::Unreachable(_))));
    assert!(matches!(queue.ping().await, Err(QueueError::Unreachable(_))));
    assert!(begun.elapsed() < GIVEN_UP_WITHIN, "errors took {:?}", begun.elapsed());

    redis.restart();
    push(&queue, [4]).await;
    assert_eq!(drain(&queue).await, set([4]));
}

#[tokio::test]
async fn a_restart_that_nobody_noticed_costs_no_error() {
    let mut redis = Redis::start();
    let queue = queue_at(&redis);
    push(&queue, [1]).await;
    queue.ack(&claim(&queue, 1, NOW).await).await.unwrap();
    redis.restart();
    push(&queue, [2]).await;
    assert_eq!(hints(&claim(&queue, 1, NOW).await), set([2]));
}

#[tokio::test]
async fn a_claim_that_blocks_hears_of_the_death_of_redis() {
    let mut redis = Redis::start();
    let queue = queue_at(&redis);
    let blocked = blocked_claim(&redis, &queue).await;
    let killed_at = Instant::now();
    redis.kill();
    assert!(matches!(blocked.await.unwrap(), Err(QueueError::Unreachable(_))));
    assert!(killed_at.elapsed() < SOON);
}

#[tokio::test]
async fn with_an_append_only_file_nothing_pushed_is_lost() {
    let mut redis = Redis::start_with_aof();
    let queue = queue_at(&redis);
    push(&queue, 1..=100).await;
    let held = claim(&queue, 40, NOW).await;
    queue.ack(&held[..10]).await.unwrap();
    queue.bury(&held[10], "failed five times").await.unwrap();
    redis.restart();

    assert_eq!(queue.depth().await.unwrap(), Depth { waiting: 60, pending: 29, dead: 1 });
    let taken = queue.reclaim("b", NOW, 100).await.unwrap();
    assert!(taken.iter().all(|delivery| delivery.attempt == 2));
    assert_eq!(hints(&taken), set(12..=40));
    assert!(queue.replay(hint(11).order_id).await.unwrap());
    assert_eq!(drain(&queue).await, set(11..=100));
}

#[tokio::test]
async fn a_hung_redis_is_an_error_soon_and_loses_nothing() {
    let mut redis = Redis::start();
    let queue = queue_at(&redis);
    push(&queue, 1..=10).await;
    assert_eq!(hints(&claim(&queue, 10, NOW).await), set(1..=10));
    let blocked = blocked_claim(&redis, &queue).await;

    redis.stop();
    for _ in 0..2 {
        // First on the connection that stands, then on one that has to be made.
        let begun = Instant::now();
        let pushes = (11..=20).map(|number| {
            let queue = Arc::clone(&queue);
            tokio::spawn(async move { queue.push(&[hint(number)]).await })
        });
        for push in pushes.collect::<Vec<_>>() {
            assert!(matches!(push.await.unwrap(), Err(QueueError::Unreachable(_))));
        }
        assert!(begun.elapsed() < GIVEN_UP_WITHIN, "errors took {:?}", begun.elapsed());
    }
    let begun = Instant::now();
    assert!(matches!(queue.claim("c", 1, A_MOMENT).await, Err(QueueError::Unreachable(_))));
    assert!(begun.elapsed() < GIVEN_UP_WITHIN, "the error took {:?}", begun.elapsed());

    redis.cont();
    push(&queue, 21..=30).await;
    // Redis reads what it was sent while it hung, so the blocked claim may have one of those hints.
    let by_the_blocked = blocked.await.unwrap().unwrap();
    queue.ack(&by_the_blocked).await.unwrap();
    let mut found = drain(&queue).await;
    found.extend(hints(&by_the_blocked));
    let kept = set((1..=10).chain(21..=30));
    assert!(found.is_superset(&kept), "lost: {:?}", kept.difference(&found));
}

#[tokio::test]
async fn a_destroyed_group_delivers_everything_again() {
    let redis = Redis::start();
    let queue = queue_at(&redis);
    push(&queue, 1..=5).await;
    let held = claim(&queue, 3, NOW).await;
    queue.ack(&held[..1]).await.unwrap();
    assert_eq!(redis.command(&["XGROUP", "DESTROY", STREAM, "workers"]).unwrap(), "1");

    assert_eq!(hints(&claim(&queue, 10, NOW).await), set(2..=5));
    queue.ack(&held).await.unwrap();
    assert_eq!(drain(&queue).await, set(4..=5));

    let blocked = blocked_claim(&redis, &queue).await;
    redis.command(&["XGROUP", "DESTROY", STREAM, "workers"]).unwrap();
    push(&queue, [6]).await;
    assert_eq!(hints(&blocked.await.unwrap().unwrap()), set([6]));
}

#[tokio::test]
async fn what_is_no_hint_is_deleted_and_holds_nobody_up() {
    let redis = Redis::start();
    let queue = queue_at(&redis);
    redis.command(&["XADD", STREAM, "*", "order", "no id", "epoch", "1"]).unwrap();
    push(&queue, [1]).await;
    redis.command(&["XADD", STREAM, "*", "something", "else"]).unwrap();
    assert_eq!(hints(&claim(&queue, 10, NOW).await), set([1]));
    assert_eq!(queue.depth().await.unwrap(), Depth { waiting: 0, pending: 1, dead: 0 });
}

#[tokio::test]
async fn a_key_of_another_type_is_refused() {
    let redis = Redis::start();
    redis.command(&["SET", STREAM, "not a stream"]).unwrap();
    let queue = queue_at(&redis);
    assert!(matches!(queue.push(&[hint(1)]).await, Err(QueueError::Refused(_))));
    assert!(matches!(queue.claim("a", 1, LONG).await, Err(QueueError::Refused(_))));
    assert!(matches!(queue.depth().await, Err(QueueError::Refused(_))));
    queue.ping().await.unwrap();
}

#[tokio::test]
async fn a_full_redis_refuses_and_keeps_what_it_has() {
    let redis = Redis::start();
    let queue = queue_at(&redis);
    push(&queue, [1]).await;
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    assert!(matches!(queue.push(&[hint(2)]).await, Err(QueueError::Refused(_))));
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    assert_eq!(drain(&queue).await, set([1]));
}

#[tokio::test]
async fn silent_consumers_without_work_are_forgotten() {
    let redis = Redis::start();
    let queue = RedisQueue::new(&redis.url(), PREFIX).unwrap().with_forget_after(A_MOMENT);
    push(&queue, [1, 2]).await;
    queue.ack(&queue.claim("idle", 1, NOW).await.unwrap()).await.unwrap();
    let held = queue.claim("busy", 1, NOW).await.unwrap();
    sleep(A_MOMENT * 2).await;
    assert_eq!(queue.reclaim("sweeper", LONG, 10).await.unwrap(), []);

    let names = "local names = {} for _, facts in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], 'workers')) do \
                 names[#names + 1] = facts[2] end return table.concat(names, ' ')";
    assert_eq!(redis.command(&["EVAL", names, "1", STREAM]).unwrap(), "busy");
    assert_eq!(queue.reclaim("sweeper", NOW, 10).await.unwrap()[0].receipt, held[0].receipt);
}

#[test]
fn a_runtime_that_ends_takes_no_queue_with_it() {
    let redis = Redis::start();
    let queue = queue_at(&redis);
    for number in 1..=3 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            push(&queue, [number]).await;
            let deliveries = claim(&queue, 1, NOW).await;
            assert_eq!(hints(&deliveries), set([number]));
            queue.ack(&deliveries).await.unwrap();
        });
    }
}

#[tokio::test]
async fn a_pusher_outlasts_the_absence_of_redis() {
    let mut redis = Redis::start();
    let queue = queue_at(&redis);
    let pusher = Pusher::start(queue.clone(), 100);
    redis.kill();
    (1..=10).for_each(|number| pusher.push(hint(number)));
    until(|| pusher.failed() == 10).await;
    redis.restart();
    pusher.push(hint(11));
    until(|| pusher.pushed() == 1).await;
    assert_eq!((pusher.pushed(), pusher.dropped(), pusher.failed()), (1, 0, 10));
    assert_eq!(drain(&queue).await, set([11]));
}

/// Requests that come together are counted in few calls, and each of them by itself: one that is refused counts nowhere,
/// and fails nobody who came with it.
#[tokio::test]
async fn admissions_ride_together_and_are_counted_one_by_one() {
    let redis = Redis::start();
    let limiter = Arc::new(Limiter::in_redis(&redis.url(), "test").expect("an address"));
    // Connecting, and Redis learning the script, take longer than a question may.
    let first = Counted { key: "first".to_owned(), limit: Limit::per_minutes(1, 1) };
    let begun = Instant::now();
    while limiter.admit(vec![first.clone()], 0).await.is_ok() || !limiter.is_shared() {
        assert!(begun.elapsed() < SOON, "Redis does not count");
        sleep(Duration::from_millis(10)).await;
    }
    redis.command(&["FLUSHDB"]).expect("Redis answers");
    let shared_by_all = || Counted { key: "all".to_owned(), limit: Limit::per_minutes(50, 1) };
    let asking: Vec<_> = (0..200)
        .map(|number| {
            let limiter = Arc::clone(&limiter);
            let own = Counted { key: format!("own-{number}"), limit: Limit::per_minutes(1, 1) };
            tokio::spawn(async move { limiter.admit(vec![own, shared_by_all()], 1_000).await.is_ok() })
        })
        .collect();
    let mut admitted = 0;
    for one in asking {
        admitted += usize::from(one.await.expect("it ends"));
    }
    assert!(limiter.is_shared(), "it was Redis that counted");
    // On a busy machine somebody may have waited too long, and have been admitted by the process alone.
    assert!((50..200).contains(&admitted), "{admitted} were admitted");
    let counted = redis.command(&["LLEN", "{test:limit}:all"]).expect("Redis answers");
    assert_eq!(counted, "50", "the limit of all");
    let lists = redis.command(&["DBSIZE"]).expect("Redis answers");
    assert_eq!(lists, "51", "who is refused counts nowhere: one list for all, one for each who was admitted");
    let calls = redis.command(&["INFO", "commandstats"]).expect("Redis answers");
    let calls = calls.split_once("cmdstat_evalsha:calls=").expect("it was called").1;
    let calls: usize = calls.split_once(',').expect("a number").0.parse().expect("a number");
    assert!(calls <= 16, "{calls} calls for 200 questions");
}

async fn until(holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LONG, "it never came true");
        sleep(Duration::from_millis(10)).await;
    }
}
