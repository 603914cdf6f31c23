//! A thousand people and the last ten pieces; one balance and many desks, on real databases.

use std::sync::Arc;

use tokio::task::JoinSet;
use uuid::Uuid;
use xingfuma_app::shop::redemption::{Reserving, write_reservation};
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::scoring::{Reservation, reserve};
use xingfuma_domain::shop::FETCH_WITHIN;
use xingfuma_store::ledger::verify;
use xingfuma_store::ledger::{Booked, Booking, balances};
use xingfuma_store::shop::redemptions::RedemptionRow;
use xingfuma_store::shop::{self, GoodsRow, Movement, MovementKind, books};
use xingfuma_store::{StoreError, transact};

use crate::world::{COUNTY, Chance, Database, SHOP, completion, moment};

const AREA: &str = "140724104003";
const GOODS: Uuid = Uuid::from_u128(0x600D);

fn county() -> AreaCode {
    COUNTY.parse().expect("a county")
}

fn movement(chance: &mut Chance, number: u64, kind: MovementKind, quantity: i64, source: Uuid) -> Movement {
    Movement {
        id: chance.id(number),
        shop: SHOP,
        goods: GOODS,
        kind,
        quantity,
        source,
        at: moment(1),
        by: None,
        reason: None,
    }
}

/// Goods of which there are so many, for so many points.
async fn stocked(database: &Database, chance: &mut Chance, stock: i64, price: i64) {
    let goods = GoodsRow {
        id: GOODS,
        county: COUNTY.to_owned(),
        shop_id: SHOP,
        area_code: AREA.to_owned(),
        name: "大米".to_owned(),
        price,
        stock: 0,
        active: true,
        created_at: moment(0),
    };
    let given = movement(chance, 1, MovementKind::Donation, stock, Uuid::from_u128(1));
    transact::<(), StoreError, _>(&database.store, move |conn| {
        Box::pin(async move {
            shop::insert_goods(conn, &goods).await?;
            shop::move_stock(conn, county(), &given, None).await
        })
    })
    .await
    .expect("goods in stock");
}

async fn want(
    database: Arc<Database>,
    mut chance: Chance,
    person: Uuid,
    number: u64,
    price: i64,
) -> Result<(), StoreError> {
    let (id, transaction) = (chance.id(number), chance.id(number + 1_000_000));
    let wanted = Reservation {
        redemption: id,
        person,
        area: AREA.parse().expect("a village"),
        price,
        quantity: 1,
        at: moment(2),
    };
    let booking =
        Booking::Posting { id: transaction, posting: Box::new(reserve(&wanted).expect("a posting")) };
    let row = RedemptionRow {
        id,
        county: COUNTY.to_owned(),
        shop_id: SHOP,
        area_code: AREA.to_owned(),
        goods_id: GOODS,
        goods_name: "大米".to_owned(),
        person_id: person,
        quantity: 1,
        price,
        status: "reserved".to_owned(),
        code_hash: id.as_bytes().to_vec(),
        transaction_id: transaction,
        made_at: moment(2),
        expires_at: moment(2) + FETCH_WITHIN,
        ended_at: None,
        ended_by: None,
        reason: None,
    };
    let movement = movement(&mut chance, number + 2_000_000, MovementKind::Reservation, -1, id);
    let reserving = Reserving { row, booking, movement };
    transact(&database.store, move |conn| {
        Box::pin(async move { write_reservation(conn, county(), &reserving).await })
    })
    .await
}

async fn goods_book(database: &Database) -> books::GoodsBook {
    let (from, to) = (moment(0), moment(40_000));
    let mut found = books::goods(database.store.pool(), SHOP, from, to).await.expect("the books");
    found.pop().expect("the goods")
}

async fn a_thousand_want_the_last_ten(database: Database) {
    let (database, mut chance) = (Arc::new(database), Chance::new(31));
    stocked(&database, &mut chance, 10, 3).await;
    for n in 0..1_000_u64 {
        let person = Uuid::from_u128(u128::from(n) + 1);
        let booking = completion(u128::from(n) + 1, person, n, false, 0, chance.id(10 + n));
        assert_eq!(database.book(booking).await.expect("booked"), Booked::New);
    }
    let mut wanting = JoinSet::new();
    for n in 0..1_000_u64 {
        let chance = chance.clone();
        let person = Uuid::from_u128(u128::from(n) + 1);
        wanting.spawn(want(database.clone(), chance, person, 10_000 + n, 3));
    }
    let mut succeeded = 0;
    for outcome in wanting.join_all().await {
        match outcome {
            Ok(()) => succeeded += 1,
            Err(StoreError::Stock) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(succeeded, 10);
    let book = goods_book(&database).await;
    assert_eq!((book.stock, book.stock_by_movements, book.donated, book.reserved), (0, 0, 10, 10));
    let mut reserved = 0;
    for n in 0..1_000_u128 {
        let held = balances(database.store.pool(), county(), Uuid::from_u128(n + 1)).await.expect("balances");
        assert!([(3, 0), (0, 3)].contains(&(held.spendable, held.reserved)), "{held:?}");
        assert_eq!(held.assessment, 3);
        reserved += held.reserved;
    }
    assert_eq!(reserved, 30, "who got nothing lost nothing");
    assert_eq!(verify(database.store.pool()).await.expect("a verdict").faults, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_people_redeem_the_last_ten_pieces() {
    a_thousand_want_the_last_ten(Database::sqlite().await).await;
    a_thousand_want_the_last_ten(Database::postgres("shop_last_ten").await).await;
}

async fn one_balance(database: Database) {
    let (database, mut chance) = (Arc::new(database), Chance::new(32));
    stocked(&database, &mut chance, 1_000, 2).await;
    let person = Uuid::from_u128(0xBEEF);
    for n in 0..7_u64 {
        let booking = completion(1 + u128::from(n), person, n, false, 0, chance.id(10 + n));
        database.book(booking).await.expect("booked");
    }
    let mut clients = JoinSet::new();
    for n in 0..32_u64 {
        clients.spawn(want(database.clone(), chance.clone(), person, 10_000 + n, 2));
    }
    let mut succeeded = 0;
    for outcome in clients.join_all().await {
        match outcome {
            Ok(()) => succeeded += 1,
            Err(StoreError::Overdrawn) => {}
            Err(other) => panic!("{other}"),
        }
    }
    // 21 points: ten pieces for 2, and one point left.
    assert_eq!(succeeded, 10);
    let left = balances(database.store.pool(), county(), person).await.expect("balances");
    assert_eq!((left.spendable, left.reserved, left.assessment), (1, 20, 21));
    let book = goods_book(&database).await;
    assert_eq!((book.stock, book.stock_by_movements), (990, 990), "refused wishes took no goods");
    assert_eq!(verify(database.store.pool()).await.expect("a verdict").faults, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_two_desks_spend_one_balance() {
    one_balance(Database::sqlite().await).await;
    one_balance(Database::postgres("shop_one_balance").await).await;
}
