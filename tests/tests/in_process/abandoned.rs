//! A future that begins a transaction is dropped at every point at which it can be. The connection that it used must not
//! keep the transaction: it would swallow what others write on it afterwards, after telling them that it is written.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, sleep};
use xingfuma_store::{ConnectionTrait, Store, StoreError, transact};

use crate::small_county::{Database, Fresh, number};

/// The pool: the fewer connections, the sooner a spoilt one is used again.
const CONNECTIONS: u32 = 2;
/// Rounds alone, and as many among others; in each, one transaction is dropped at each of these points.
const ROUNDS: usize = 15;
const POINTS: usize = 7;
/// Who work on the same pool meanwhile.
const WORKERS: i64 = 2;
/// Well before the database ends a session that idles in a transaction, which is after ten seconds.
const CLEAN_WITHIN: Duration = Duration::from_secs(5);

/// Drops what it runs after it has been found pending so many times.
struct DropAt<F> {
    future: Pin<Box<F>>,
    pending: usize,
}

impl<F: Future> Future for DropAt<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(done) = self.future.as_mut().poll(context) {
            return Poll::Ready(Some(done));
        }
        self.pending -= 1;
        if self.pending == 0 { Poll::Ready(None) } else { Poll::Pending }
    }
}

/// A transaction that writes a row and never comes to its end, dropped at its `point`th pause.
async fn abandon(store: &Store, point: usize) {
    let endless = transact(store, |conn| {
        Box::pin(async move {
            conn.execute_unprepared("INSERT INTO note VALUES ('abandoned', 0)").await?;
            loop {
                tokio::task::yield_now().await;
            }
        })
    });
    let done: Option<Result<(), StoreError>> = DropAt { future: Box::pin(endless), pending: point }.await;
    assert!(done.is_none(), "it did not come so far: {done:?}");
}

/// Writes a row in the right way.
async fn write(store: &Store, number: i64) -> Result<(), StoreError> {
    transact(store, move |conn| {
        Box::pin(async move {
            conn.execute_unprepared(&format!("INSERT INTO note VALUES ('transacted', {number})")).await?;
            Ok(())
        })
    })
    .await
}

/// Writes rows as fast as it can until told to stop; answers how many were acknowledged.
async fn work(store: Store, stop: Arc<AtomicBool>) -> i64 {
    let mut written = 0;
    while !stop.load(Ordering::Acquire) {
        write(&store, written).await.expect("a healthy pool");
        written += 1;
    }
    written
}

async fn count(store: &Store, what: &str) -> i64 {
    number(store, &format!("SELECT count(*) FROM note WHERE what = '{what}'")).await
}

/// Abandons transactions at each point, and after each writes outside a transaction on every connection: what the
/// program never does, because a spoilt connection acknowledges it and does not keep it. Answers how many such rows
/// there are after it, having seen all of them from outside.
async fn abandon_again_and_again(store: &Store, witness: &Store, mut outside: i64) -> i64 {
    for _ in 0..ROUNDS {
        for point in 1..=POINTS {
            abandon(store, point).await;
            for _ in 0..CONNECTIONS {
                let text = format!("INSERT INTO note VALUES ('outside', {outside})");
                store.pool().execute_unprepared(&text).await.expect("a healthy pool");
                outside += 1;
            }
            assert_eq!(
                count(witness, "outside").await,
                outside,
                "acknowledged and lost, after point {point}"
            );
        }
    }
    outside
}

async fn nothing_is_lost(database: Database) {
    let fresh = Fresh::new(database);
    let (store, witness) = (fresh.connect_as_owner(CONNECTIONS).await, fresh.connect_as_owner(1).await);
    let made = witness.pool().execute_unprepared("CREATE TABLE note (what text, number bigint)").await;
    made.expect("a fresh database");

    // Alone, so that a spoilt connection is found as it is; then with others who use it at once.
    let outside = abandon_again_and_again(&store, &witness, 0).await;
    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..WORKERS).map(|_| tokio::spawn(work(store.clone(), stop.clone()))).collect();
    let outside = abandon_again_and_again(&store, &witness, outside).await;
    stop.store(true, Ordering::Release);
    let mut transacted = 0;
    for worker in workers {
        transacted += worker.await.expect("no panic");
    }
    assert!(transacted > 0, "nobody worked meanwhile");

    assert_eq!(count(&witness, "outside").await, outside, "acknowledged and lost");
    assert_eq!(count(&witness, "transacted").await, transacted, "acknowledged and lost");
    assert_eq!(count(&witness, "abandoned").await, 0, "nobody ended that transaction");
    if database == Database::Postgres {
        nobody_idles_in_a_transaction(&store, &witness).await;
    }
}

/// A connection that nobody has taken since may be in a transaction still; taken, it is out of it.
async fn nobody_idles_in_a_transaction(store: &Store, witness: &Store) {
    let begun = Instant::now();
    let idle = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                AND state LIKE 'idle in transaction%'";
    loop {
        let use_all = (0..CONNECTIONS).map(|_| {
            let store = store.clone();
            tokio::spawn(async move { number(&store, "SELECT count(*) FROM pg_sleep(0.02)").await })
        });
        for used in use_all.collect::<Vec<_>>() {
            used.await.expect("a healthy pool");
        }
        if number(witness, idle).await == 0 {
            return;
        }
        assert!(begun.elapsed() < CLEAN_WITHIN, "a connection stays in a transaction");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_on_sqlite() {
    nothing_is_lost(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_on_postgres() {
    nothing_is_lost(Database::Postgres).await;
}
