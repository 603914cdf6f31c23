//! Who writes next on SQLite, which has one writer.

use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;
use xingfuma_store::{Store, StoreError, in_background, transact};

use crate::small_county::{Database, SmallCounty};

/// Pieces of work that nobody waits for, at the same moment.
const BEHIND: usize = 4;

type Written = Arc<Mutex<Vec<&'static str>>>;

async fn write(store: Store, who: &'static str, written: Written) {
    let done: Result<(), StoreError> = transact(&store, move |_| {
        Box::pin(async move {
            written.lock().expect("nobody panics").push(who);
            Ok(())
        })
    })
    .await;
    done.expect("it is written");
}

// One thread, so that each task comes as far as its place in the queue before the next thing happens.
#[tokio::test]
async fn whoever_is_waited_for_has_one_piece_of_background_work_before_him_at_most() {
    let county = SmallCounty::open(Database::Sqlite).await;
    let (store, written) = (county.app.store.clone(), Written::default());
    let (begun, has_begun) = oneshot::channel();
    let (go_on, goes_on) = oneshot::channel::<()>();
    let holding = tokio::spawn({
        let store = store.clone();
        async move {
            let held: Result<(), StoreError> = transact(&store, move |_| {
                Box::pin(async move {
                    begun.send(()).expect("the test waits");
                    goes_on.await.expect("the test says so");
                    Ok(())
                })
            })
            .await;
            held.expect("it is committed");
        }
    });
    has_begun.await.expect("somebody writes");
    let mut waiting = vec![holding];
    for _ in 0..BEHIND {
        waiting.push(tokio::spawn(in_background(write(store.clone(), "behind", written.clone()))));
    }
    tokio::task::yield_now().await;
    waiting.push(tokio::spawn(write(store.clone(), "waited for", written.clone())));
    tokio::task::yield_now().await;
    go_on.send(()).expect("he still writes");
    for task in waiting {
        task.await.expect("it ends well");
    }
    let written = written.lock().expect("nobody panics");
    assert_eq!(written.len(), BEHIND + 1);
    let place = written.iter().position(|who| *who == "waited for").expect("he has written");
    assert!(place <= 1, "{written:?}");
}
