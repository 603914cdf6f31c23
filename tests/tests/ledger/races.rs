//! Many at once on one entry and on one balance.

use std::sync::Arc;

use tokio::task::JoinSet;
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::scoring::{Award, Caps, PostedTransaction, reversal};
use xingfuma_store::StoreError;
use xingfuma_store::ledger::verify;
use xingfuma_store::ledger::{Booked, Booking, balances, find};

use crate::long;
use crate::world::{COUNTY, Chance, Database, completion, moment, redemption};

fn county() -> AreaCode {
    COUNTY.parse().expect("a county")
}

/// Requests that are under way at one moment.
const AT_ONCE: usize = 64;

async fn each_entry_is_reversed_once(database: Database, entries: usize) {
    let (database, mut chance) = (Arc::new(database), Chance::new(7));
    let mut originals: Vec<PostedTransaction> = Vec::with_capacity(entries);
    for n in 0..entries {
        // Each person once a month, so that no cap cuts the points.
        let (person, id) = (Uuid::from_u128(1 + n as u128 % 500), chance.id(n as u64));
        let booking = completion(1 + n as u128, person, (n as u64 % 1_000) * 35, false, 0, id);
        assert_eq!(database.book(booking).await.expect("booked"), Booked::New);
        originals.push(find(database.store.pool(), county(), id).await.expect("found").expect("there"));
    }
    // Ten times each, mixed, so that the ten meet.
    let (mut waiting, mut succeeded) = (JoinSet::new(), 0);
    for (n, original) in originals.iter().enumerate() {
        for copy in 0..10_u64 {
            let id = chance.id(1_000_000 + n as u64 * 10 + copy);
            let posting = reversal(original, "forged", moment(n as u64 % 1_000), None).expect("a reversal");
            let (database, booking) = (database.clone(), Booking::Posting { id, posting: Box::new(posting) });
            waiting.spawn(async move { database.book(booking).await });
            if waiting.len() >= AT_ONCE {
                succeeded += usize::from(
                    waiting.join_next().await.expect("one").expect("no panic").expect("booked")
                        == Booked::New,
                );
            }
        }
    }
    while let Some(done) = waiting.join_next().await {
        succeeded += usize::from(done.expect("no panic").expect("booked") == Booked::New);
    }
    assert_eq!(succeeded, entries);
    for person in 1..=500_u128.min(entries as u128) {
        let left =
            balances(database.store.pool(), county(), Uuid::from_u128(person)).await.expect("balances");
        assert_eq!((left.assessment, left.spendable), (0, 0), "person {person}");
    }
    assert_eq!(verify(database.store.pool()).await.expect("a verdict").faults, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reversal_sent_ten_times_at_once_succeeds_once() {
    let entries = if long() { 10_000 } else { 100 };
    each_entry_is_reversed_once(Database::sqlite().await, entries).await;
    each_entry_is_reversed_once(Database::postgres("ledger_reversals").await, entries).await;
    println!("{entries} reversals, each sent 10 times at once, on each database");
}

async fn nobody_spends_what_is_not_there(database: Database) {
    let (database, mut chance) = (Arc::new(database), Chance::new(11));
    let person = Uuid::from_u128(0xBEEF);
    for n in 0..7_u64 {
        let id = chance.id(n);
        database.book(completion(1 + u128::from(n), person, n, false, 0, id)).await.expect("booked");
    }
    let before = balances(database.store.pool(), county(), person).await.expect("balances").spendable;
    assert_eq!(before, 21);
    let mut clients = JoinSet::new();
    for client in 0..32_u64 {
        let (database, mut chance) = (database.clone(), chance.clone());
        clients.spawn(async move {
            let mut spent = 0;
            for attempt in 0..4_u64 {
                let number = 100 + client * 4 + attempt;
                let points = 1 + i64::try_from(number % 3).expect("points");
                let posting = Box::new(redemption(10_000 + u128::from(number), person, points, 1));
                match database.book(Booking::Posting { id: chance.id(number), posting }).await {
                    Ok(Booked::New) => spent += points,
                    Err(StoreError::Overdrawn) => {}
                    other => panic!("{other:?}"),
                }
                let left = balances(database.store.pool(), county(), person).await.expect("balances");
                assert!(left.spendable >= 0, "{left:?}");
            }
            spent
        });
    }
    let spent: i64 = clients.join_all().await.into_iter().sum();
    let left = balances(database.store.pool(), county(), person).await.expect("balances");
    assert_eq!((left.spendable, left.assessment), (before - spent, 21));
    // 32 clients wanted about 250 points: less than one purchase is left over.
    assert!((0..3).contains(&left.spendable), "{left:?}");
    assert_eq!(verify(database.store.pool()).await.expect("a verdict").faults, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_two_clients_of_one_balance_never_overdraw_it() {
    nobody_spends_what_is_not_there(Database::sqlite().await).await;
    nobody_spends_what_is_not_there(Database::postgres("ledger_spending").await).await;
}

/// What a person has, put aside included.
async fn had(database: &Database, person: Uuid) -> i64 {
    let left = balances(database.store.pool(), county(), person).await.expect("balances");
    left.assessment + left.held
}

/// An award of three points by these caps.
fn capped(order: u128, person: Uuid, number: u64, round: u32, caps: Caps, id: Uuid) -> Booking {
    match completion(order, person, number, false, round, id) {
        Booking::Award { id, award } => Booking::Award { id, award: Box::new(Award { caps, ..*award }) },
        other => other,
    }
}

async fn no_cap_is_overdrawn(database: Database) {
    const AT_ONCE: u64 = 32;
    let (database, mut chance) = (Arc::new(database), Chance::new(13));
    let cap = |month, day, order| Caps { month, day, order };
    // Of different orders on one day; on different days of one month; and all of one order, round after round.
    type Place = fn(u64) -> (u128, u64, u32);
    let cases: [(&str, Caps, i64, Place); 4] = [
        ("a month", cap(Some(20), None, None), 20, |n| (u128::from(n), n, 0)),
        ("a day", cap(Some(90), Some(7), None), 7, |n| (u128::from(n), 0, 0)),
        ("an order", cap(Some(90), None, Some(5)), 5, |n| (1, 0, u32::try_from(n).expect("a round"))),
        ("all of them", cap(Some(8), Some(50), Some(50)), 8, |n| (1, 0, u32::try_from(n).expect("a round"))),
    ];
    for (case, (what, caps, most, place)) in (1_u128..).zip(cases) {
        let person = Uuid::from_u128(0xCA00 + case);
        let mut waiting = JoinSet::new();
        for n in 0..AT_ONCE {
            let (order, number, round) = place(n);
            let id = chance.id(u64::try_from(case).expect("a case") * 1_000 + n);
            let booking = capped(case * 1_000 + order, person, number, round, caps, id);
            let database = database.clone();
            waiting.spawn(async move {
                let booked = database.book(booking).await.expect("booked");
                let so_far = had(&database, person).await;
                (booked, so_far)
            });
        }
        for (booked, so_far) in waiting.join_all().await {
            assert_eq!(booked, Booked::New, "{what}");
            assert!(so_far <= most, "{what}: {so_far}");
        }
        assert_eq!(had(&database, person).await, most, "{what}");
        // The same again under other ids: known, and nothing more is taken from any cap.
        for n in 0..AT_ONCE {
            let (order, number, round) = place(n);
            let id = chance.id(u64::try_from(case).expect("a case") * 1_000 + 500 + n);
            let again = capped(case * 1_000 + order, person, number, round, caps, id);
            assert_eq!(database.book(again).await.expect("booked"), Booked::Known, "{what}");
        }
        assert_eq!(had(&database, person).await, most, "{what}, again");
    }
    assert_eq!(verify(database.store.pool()).await.expect("a verdict").faults, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_two_awards_at_once_never_exceed_a_cap_of_month_day_or_order() {
    no_cap_is_overdrawn(Database::sqlite().await).await;
    no_cap_is_overdrawn(Database::postgres("ledger_caps").await).await;
}
