//! The checks that every implementation of [`DispatchQueue`] is held to: one suite, so that a county in one process
//! and a county in many meet the same queue.
//!
//! Each check begins and ends with an empty queue. Times are one-sided (never "within 10 ms"), so a slow machine makes
//! a check slow and not wrong.

use std::{
    collections::BTreeSet,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::sleep;
use uuid::Uuid;

use crate::{DeadLetter, Delivery, Depth, DispatchQueue, Hint, LONGEST_REASON};

type Queue = Arc<dyn DispatchQueue>;
type Check = fn(Queue) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// Does not wait.
const NOW: Duration = Duration::ZERO;
/// Far longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);
/// What is surely over long before [`LONG`], even on a slow machine.
const SOON: Duration = Duration::from_secs(8);
const A_MOMENT: Duration = Duration::from_millis(200);
/// Longer than any client waits for a command that does not block.
const A_WHILE: Duration = Duration::from_millis(1_500);

/// Runs every check, one after the other, against an empty queue that nobody else uses.
///
/// # Panics
/// When the queue fails a check; the output names it.
pub async fn run(queue: Arc<dyn DispatchQueue>) {
    for (name, check) in CHECKS {
        println!("exercise: {name}");
        check(Arc::clone(&queue)).await;
        assert_depth(&queue, 0, 0, 0).await;
    }
}

const CHECKS: &[(&str, Check)] = &[
    ("what is pushed is claimed in order and acknowledged away", |q| Box::pin(push_claim_ack(q))),
    ("two consumers never get the same delivery", |q| Box::pin(two_consumers(q))),
    ("the unacknowledged is reclaimed only after the idle time, and counted", |q| Box::pin(reclaim(q))),
    ("reclaim takes no more than asked, the oldest first", |q| Box::pin(reclaim_some(q))),
    ("the new holder acknowledges, and the old one may too", |q| Box::pin(ack_after_reclaim(q))),
    ("the buried is listed, and replayed as new", |q| Box::pin(bury_and_replay(q))),
    ("an order has one dead letter, of its highest epoch", |q| Box::pin(one_dead_letter_an_order(q))),
    ("what is no longer pending is not buried", |q| Box::pin(bury_what_is_gone(q))),
    ("a long reason is cut", |q| Box::pin(long_reason(q))),
    ("a thousand at once", |q| Box::pin(thousand(q))),
    ("a waiting claim returns as soon as something is pushed", |q| Box::pin(early_return(q))),
    ("claims wait side by side", |q| Box::pin(side_by_side(q))),
    ("a claim for which nothing came is empty", |q| Box::pin(empty_claim(q))),
    ("an abandoned claim loses nothing", |q| Box::pin(abandoned_claim(q))),
    ("an unknown receipt is harmless", |q| Box::pin(unknown_receipt(q))),
    ("the same hint twice is delivered twice", |q| Box::pin(same_hint_twice(q))),
    ("nothing asked, nothing done", |q| Box::pin(nothing(q))),
    ("the queue answers", |q| Box::pin(async move { q.ping().await.expect("ping") })),
];

fn hint(number: u128) -> Hint {
    Hint { order_id: Uuid::from_u128(number), epoch: 1 }
}

fn hints(deliveries: &[Delivery]) -> Vec<Hint> {
    deliveries.iter().map(|delivery| delivery.hint).collect()
}

async fn push(queue: &Queue, hints: &[Hint]) {
    queue.push(hints).await.expect("push");
}

async fn claim(queue: &Queue, consumer: &str, max: usize, wait: Duration) -> Vec<Delivery> {
    queue.claim(consumer, max, wait).await.expect("claim")
}

async fn reclaim_now(queue: &Queue, consumer: &str, idle: Duration) -> Vec<Delivery> {
    queue.reclaim(consumer, idle, 100).await.expect("reclaim")
}

async fn ack(queue: &Queue, deliveries: &[Delivery]) {
    queue.ack(deliveries).await.expect("ack");
}

async fn bury(queue: &Queue, delivery: &Delivery, reason: &str) {
    queue.bury(delivery, reason).await.expect("bury");
}

async fn dead_letters(queue: &Queue) -> Vec<DeadLetter> {
    queue.dead_letters(100).await.expect("dead letters")
}

async fn replay(queue: &Queue, order_id: Uuid) -> bool {
    queue.replay(order_id).await.expect("replay")
}

async fn assert_depth(queue: &Queue, waiting: u64, pending: u64, dead: u64) {
    assert_eq!(queue.depth().await.expect("depth"), Depth { waiting, pending, dead });
}

async fn push_claim_ack(queue: Queue) {
    let given: Vec<Hint> = (1..=3).map(hint).collect();
    push(&queue, &given).await;
    assert_depth(&queue, 3, 0, 0).await;

    let first = claim(&queue, "a", 2, NOW).await;
    assert_eq!(hints(&first), given[..2]);
    assert!(first.iter().all(|delivery| delivery.attempt == 1));
    assert_depth(&queue, 1, 2, 0).await;

    ack(&queue, &first[..1]).await;
    assert_depth(&queue, 1, 1, 0).await;
    let rest = claim(&queue, "a", 10, NOW).await;
    assert_eq!(hints(&rest), given[2..]);
    ack(&queue, &first[1..]).await;
    ack(&queue, &rest).await;
    assert_eq!(claim(&queue, "a", 10, NOW).await, []);
}

async fn two_consumers(queue: Queue) {
    let given: BTreeSet<Hint> = (1..=200).map(hint).collect();
    push(&queue, &given.iter().copied().collect::<Vec<_>>()).await;
    let (left, right) = tokio::join!(claim_all(&queue, "a"), claim_all(&queue, "b"));

    let all = [left, right].concat();
    assert_eq!(all.len(), 200);
    assert_eq!(hints(&all).into_iter().collect::<BTreeSet<_>>(), given);
    let receipts: BTreeSet<&str> = all.iter().map(|delivery| delivery.receipt.as_str()).collect();
    assert_eq!(receipts.len(), 200);
    ack(&queue, &all).await;
}

async fn claim_all(queue: &Queue, consumer: &str) -> Vec<Delivery> {
    let mut all = Vec::new();
    loop {
        let some = claim(queue, consumer, 7, NOW).await;
        if some.is_empty() {
            return all;
        }
        all.extend(some);
        // Gives the other consumer its turn, also where nothing here ever waits.
        tokio::task::yield_now().await;
    }
}

async fn reclaim(queue: Queue) {
    push(&queue, &[hint(1)]).await;
    let first = claim(&queue, "a", 1, NOW).await;
    assert_eq!(reclaim_now(&queue, "b", LONG).await, []);
    sleep(A_MOMENT).await;

    let second = reclaim_now(&queue, "b", A_MOMENT).await;
    assert_eq!((second[0].hint, second[0].attempt), (hint(1), 2));
    assert_eq!(second[0].receipt, first[0].receipt);
    assert_eq!(reclaim_now(&queue, "a", LONG).await, [], "taken over, so its idle time has begun anew");
    sleep(A_MOMENT).await;

    // A consumer that died and came back under its name gets its own back.
    let third = reclaim_now(&queue, "b", A_MOMENT).await;
    assert_eq!((third.len(), third[0].attempt), (1, 3));
    assert_depth(&queue, 0, 1, 0).await;
    assert_eq!(claim(&queue, "c", 1, NOW).await, [], "what is pending does not wait");
    ack(&queue, &third).await;
    assert_eq!(reclaim_now(&queue, "b", NOW).await, []);
}

async fn reclaim_some(queue: Queue) {
    let given: Vec<Hint> = (1..=5).map(hint).collect();
    push(&queue, &given).await;
    let held = claim(&queue, "a", 5, NOW).await;
    ack(&queue, &held[..1]).await;
    let some = queue.reclaim("b", NOW, 2).await.expect("reclaim");
    assert_eq!(hints(&some), given[1..3]);
    ack(&queue, &held).await;
}

async fn ack_after_reclaim(queue: Queue) {
    push(&queue, &[hint(1), hint(2)]).await;
    let old = claim(&queue, "a", 2, NOW).await;
    let new = reclaim_now(&queue, "b", NOW).await;
    assert_eq!(hints(&new), hints(&old));
    ack(&queue, &new[..1]).await;
    assert_depth(&queue, 0, 1, 0).await;
    // The old holder says that the database has both: one is gone already, one goes now.
    ack(&queue, &old).await;
    assert_depth(&queue, 0, 0, 0).await;
    ack(&queue, &new).await;
}

async fn bury_and_replay(queue: Queue) {
    push(&queue, &[hint(1), hint(2), hint(3)]).await;
    claim(&queue, "a", 3, NOW).await;
    let again = reclaim_now(&queue, "a", NOW).await;
    bury(&queue, &again[0], "没有队伍").await;
    bury(&queue, &again[1], "rule broken").await;
    assert_depth(&queue, 0, 1, 2).await;

    let first = DeadLetter { hint: hint(1), attempt: 2, reason: "没有队伍".to_owned() };
    let second = DeadLetter { hint: hint(2), attempt: 2, reason: "rule broken".to_owned() };
    assert_eq!(dead_letters(&queue).await, [second.clone(), first]);
    assert_eq!(queue.dead_letters(1).await.expect("dead letters"), [second]);
    assert_eq!(reclaim_now(&queue, "b", NOW).await.len(), 1, "the buried is not pending");

    assert!(!replay(&queue, hint(3).order_id).await, "not a dead letter");
    assert!(replay(&queue, hint(1).order_id).await);
    assert!(!replay(&queue, hint(1).order_id).await, "replayed already");
    assert!(replay(&queue, hint(2).order_id).await);
    assert_depth(&queue, 2, 1, 0).await;
    let replayed = claim(&queue, "a", 10, NOW).await;
    assert_eq!(hints(&replayed), [hint(1), hint(2)]);
    assert!(replayed.iter().all(|delivery| delivery.attempt == 1));
    ack(&queue, &replayed).await;
    ack(&queue, &again).await;
}

async fn one_dead_letter_an_order(queue: Queue) {
    let order_id = hint(1).order_id;
    let of_epoch = |epoch| Hint { order_id, epoch };
    push(&queue, &[of_epoch(5), of_epoch(9), of_epoch(7)]).await;
    for delivery in claim(&queue, "a", 3, NOW).await {
        bury(&queue, &delivery, &format!("failed in epoch {}", delivery.hint.epoch)).await;
    }
    assert_depth(&queue, 0, 0, 1).await;
    let letter = DeadLetter { hint: of_epoch(9), attempt: 1, reason: "failed in epoch 9".to_owned() };
    assert_eq!(dead_letters(&queue).await, [letter]);

    assert!(replay(&queue, order_id).await);
    let replayed = claim(&queue, "a", 3, NOW).await;
    assert_eq!(hints(&replayed), [of_epoch(9)]);
    ack(&queue, &replayed).await;
}

async fn bury_what_is_gone(queue: Queue) {
    push(&queue, &[hint(1)]).await;
    let delivery = claim(&queue, "a", 1, NOW).await.remove(0);
    ack(&queue, std::slice::from_ref(&delivery)).await;
    bury(&queue, &delivery, "too late").await;
    bury(&queue, &Delivery { receipt: "no receipt".to_owned(), ..delivery }, "never was").await;
    assert_eq!(dead_letters(&queue).await, []);
}

async fn long_reason(queue: Queue) {
    push(&queue, &[hint(1)]).await;
    let delivery = claim(&queue, "a", 1, NOW).await.remove(0);
    bury(&queue, &delivery, &"长".repeat(LONGEST_REASON + 1)).await;
    assert_eq!(dead_letters(&queue).await[0].reason, "长".repeat(LONGEST_REASON));
    assert!(replay(&queue, hint(1).order_id).await);
    ack(&queue, &claim(&queue, "a", 1, NOW).await).await;
}

async fn thousand(queue: Queue) {
    let given: Vec<Hint> = (1..=1_000).map(hint).collect();
    push(&queue, &given).await;
    assert_depth(&queue, 1_000, 0, 0).await;
    let first = claim(&queue, "a", 300, NOW).await;
    assert_eq!(hints(&first), given[..300]);
    let rest = claim(&queue, "b", 1_000, NOW).await;
    assert_eq!(hints(&rest), given[300..]);
    assert_depth(&queue, 0, 1_000, 0).await;
    ack(&queue, &[rest, first].concat()).await;
}

async fn early_return(queue: Queue) {
    let waiting = spawn_claim(&queue, "a");
    sleep(A_WHILE).await;
    let pushed_at = Instant::now();
    push(&queue, &[hint(1)]).await;
    let deliveries = waiting.await.expect("the claim ends well");
    assert!(pushed_at.elapsed() < SOON, "the claim slept on for {:?}", pushed_at.elapsed());
    assert_eq!(hints(&deliveries), [hint(1)]);
    ack(&queue, &deliveries).await;
}

async fn side_by_side(queue: Queue) {
    let waiting = ["a", "b", "c"].map(|consumer| spawn_claim(&queue, consumer));
    sleep(A_MOMENT).await;
    let begun = Instant::now();
    assert_eq!(claim(&queue, "d", 1, A_MOMENT).await, []);
    assert!(begun.elapsed() < SOON, "a short claim waited for a long one");

    let pushed_at = Instant::now();
    for number in 1..=3 {
        push(&queue, &[hint(number)]).await;
    }
    let mut all = Vec::new();
    for claim in waiting {
        all.extend(claim.await.expect("the claim ends well"));
    }
    assert!(pushed_at.elapsed() < SOON, "a claim slept on for {:?}", pushed_at.elapsed());
    assert_eq!(hints(&all).into_iter().collect::<BTreeSet<_>>(), (1..=3).map(hint).collect());
    ack(&queue, &all).await;
}

/// A claim of one hint that waits for long, in a task of its own.
fn spawn_claim(queue: &Queue, consumer: &'static str) -> tokio::task::JoinHandle<Vec<Delivery>> {
    let queue = Arc::clone(queue);
    tokio::spawn(async move { claim(&queue, consumer, 1, LONG).await })
}

async fn empty_claim(queue: Queue) {
    let begun = Instant::now();
    assert_eq!(claim(&queue, "a", 1, A_MOMENT).await, []);
    // A millisecond is lost to rounding.
    assert!(begun.elapsed() >= A_MOMENT - Duration::from_millis(5), "waited only {:?}", begun.elapsed());
}

async fn abandoned_claim(queue: Queue) {
    let abandoned = spawn_claim(&queue, "a");
    sleep(A_MOMENT).await;
    abandoned.abort();
    assert!(abandoned.await.is_err_and(|error| error.is_cancelled()));

    push(&queue, &[hint(1)]).await;
    // It waits still, or was handed to the claim that is no more and is pending; it is not lost.
    let mut found = claim(&queue, "b", 1, A_MOMENT).await;
    found.extend(reclaim_now(&queue, "b", A_MOMENT).await);
    assert_eq!(hints(&found), [hint(1)]);
    ack(&queue, &found).await;
}

async fn unknown_receipt(queue: Queue) {
    push(&queue, &[hint(1), hint(2)]).await;
    let held = claim(&queue, "a", 1, NOW).await;
    for receipt in ["", "no receipt", "1-1", "184467440737095516160"] {
        let unknown = Delivery { receipt: receipt.to_owned(), ..held[0].clone() };
        ack(&queue, &[unknown]).await;
        assert_depth(&queue, 1, 1, 0).await;
    }
    ack(&queue, &held).await;
    ack(&queue, &held).await;
    assert_depth(&queue, 1, 0, 0).await;
    ack(&queue, &claim(&queue, "a", 1, NOW).await).await;
}

async fn same_hint_twice(queue: Queue) {
    push(&queue, &[hint(1), hint(1)]).await;
    push(&queue, &[hint(1)]).await;
    let all = claim(&queue, "a", 10, NOW).await;
    assert_eq!(hints(&all), [hint(1); 3]);
    ack(&queue, &all[..1]).await;
    assert_depth(&queue, 0, 2, 0).await;
    ack(&queue, &all).await;
}

async fn nothing(queue: Queue) {
    push(&queue, &[]).await;
    ack(&queue, &[]).await;
    push(&queue, &[hint(1)]).await;
    assert_eq!(claim(&queue, "a", 0, LONG).await, []);
    assert_eq!(queue.reclaim("a", NOW, 0).await.expect("reclaim"), []);
    assert_eq!(queue.dead_letters(0).await.expect("dead letters"), []);
    ack(&queue, &claim(&queue, "a", 1, NOW).await).await;
}
