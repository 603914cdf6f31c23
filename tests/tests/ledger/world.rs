//! A database of a test's own, chance that can be repeated, and the operations of a made-up history.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Statement, Value};
use tempfile::TempDir;
use uuid::Uuid;
use xingfuma_domain::deadline::Urgency;
use xingfuma_domain::scoring::{
    AccountRef, CompletedFacts, CorrectionKind, Draft, HoldReason, Ledger, Leg, Posting, Purse, RatedFacts,
    Reservation, RuleBook, ScoringFault, Used, hold, on_completed, on_rated, release, reserve, reversal,
    spend, void,
};
use xingfuma_store::grants::{RuntimeRole, grant};
use xingfuma_store::ledger::{Booked, Booking, book};
use xingfuma_store::{Store, StoreError, StoreOptions, migrations, transact};
use xingfuma_tests::services::Postgres;

/// The county of these tests.
pub(crate) const COUNTY: &str = "140724";
/// Its shop.
pub(crate) const SHOP: Uuid = Uuid::from_u128(0x5409);

/// SplitMix64: chance that comes out the same for the same seed.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// Chance from the environment's seed, or from this one; printed, so that a failure can be repeated.
    pub(crate) fn new(seed: u64) -> Chance {
        let given = std::env::var("XINGFUMA_TESTS_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or(seed);
        println!("XINGFUMA_TESTS_SEED={seed}");
        Chance(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("a usize")
    }

    /// A number below `bound`.
    pub(crate) fn points(&mut self, bound: i64) -> i64 {
        i64::try_from(self.next() % u64::try_from(bound).expect("a bound")).expect("an i64")
    }

    /// An id that sorts by the number, as ids sort by time.
    pub(crate) fn id(&mut self, number: u64) -> Uuid {
        Uuid::from_u128((u128::from(number) << 80) | (7 << 76) | (u128::from(self.next()) << 10))
    }
}

/// A database of a test's own.
pub(crate) struct Database {
    pub(crate) store: Store,
    /// The same database as the owner of its tables; on SQLite everybody is.
    pub(crate) owner: Store,
    /// What somebody connects to the database with who does not ask the program.
    pub(crate) behind: sea_orm::DatabaseConnection,
    url: String,
    _directory: Option<TempDir>,
}

impl Database {
    pub(crate) async fn sqlite() -> Database {
        Database::sqlite_with_url().await.0
    }

    pub(crate) async fn postgres(name: &str) -> Database {
        Database::postgres_with_url(name).await.0
    }

    /// With its address, for another process.
    pub(crate) async fn sqlite_with_url() -> (Database, String) {
        let directory = tempfile::Builder::new().prefix("xingfuma-ledger-").tempdir().expect("a directory");
        let url = format!("sqlite://{}?mode=rwc", directory.path().join("ledger.db").display());
        (Database::connect(&url, &url, Some(directory)).await, url)
    }

    /// With its address, for another process.
    pub(crate) async fn postgres_with_url(name: &str) -> (Database, String) {
        let owner = Postgres::shared().create_database(name);
        let url = Postgres::shared().url_as(&format!("{name}_runtime"), name);
        (Database::connect(&owner, &url, None).await, url)
    }

    async fn connect(owner_url: &str, url: &str, directory: Option<TempDir>) -> Database {
        let owner = Store::connect(&StoreOptions::new(owner_url)).await.expect("a database");
        bring_up_to_date(&owner, url).await;
        let store = match owner.is_postgres() {
            true => Store::connect(&StoreOptions::new(url)).await.expect("a database"),
            false => owner.clone(),
        };
        let behind = sea_orm::Database::connect(owner_url).await.expect("a database");
        Database { store, owner, behind, url: url.to_owned(), _directory: directory }
    }

    /// What `xingfuma migrate` does.
    pub(crate) async fn bring_up_to_date(&self) {
        bring_up_to_date(&self.owner, &self.url).await;
    }

    /// Books in a transaction of its own, as a use case does.
    pub(crate) async fn book(&self, booking: Booking) -> Result<Booked, StoreError> {
        transact(&self.store, move |conn| Box::pin(async move { book(conn, &booking).await })).await
    }
}

/// All steps, and the grants of whoever works at `url`.
async fn bring_up_to_date(owner: &Store, url: &str) {
    migrations::migrate(owner).await.expect("the schema");
    if owner.is_postgres() {
        let role = RuntimeRole::of_address(url).expect("an address");
        grant(owner, &role, [7; 16]).await.expect("the grants");
    }
}

/// A transaction of the ledger, as it stands in the database.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub(crate) struct Transaction {
    pub(crate) id: Uuid,
    pub(crate) county: String,
    pub(crate) cause: String,
    pub(crate) source_type: String,
    pub(crate) source_id: Uuid,
    pub(crate) rule_code: String,
    pub(crate) rule_version: i32,
    pub(crate) inputs: String,
    pub(crate) area_code: String,
    pub(crate) decided_by: Option<Uuid>,
    pub(crate) reverses: Option<Uuid>,
    pub(crate) at: DateTime<Utc>,
}

/// All of them, in an order that both databases have.
pub(crate) const TRANSACTIONS: &str = "SELECT id, county, cause, source_type, source_id, rule_code, rule_version, \
     inputs, area_code, decided_by, reverses, at FROM score_transaction ORDER BY id";

/// Runs a statement.
pub(crate) async fn run(conn: &impl ConnectionTrait, text: &str, values: Vec<Value>) -> u64 {
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), text, values);
    conn.execute_raw(statement).await.unwrap_or_else(|error| panic!("{text}: {error}")).rows_affected()
}

/// Reads rows.
pub(crate) async fn all<T: FromQueryResult>(
    conn: &impl ConnectionTrait,
    text: &str,
    values: Vec<Value>,
) -> Vec<T> {
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), text, values);
    let rows = conn.query_all_raw(statement).await.unwrap_or_else(|error| panic!("{text}: {error}"));
    rows.iter().map(|row| T::from_query_result(row, "").expect("the row")).collect()
}

/// The moment of operation `number`: half an hour after the one before it.
pub(crate) fn moment(number: u64) -> DateTime<Utc> {
    let begin: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().expect("an instant");
    begin + TimeDelta::minutes(30) * i32::try_from(number).expect("a number of operations")
}

fn completed(order: u128, volunteer: Uuid, at: DateTime<Utc>, late: bool, reopened: u32) -> CompletedFacts {
    let due = if late { at - TimeDelta::hours(1) } else { at + TimeDelta::hours(1) };
    CompletedFacts {
        order_id: Uuid::from_u128(order),
        volunteer,
        area: "140724104".parse().expect("a township"),
        at,
        complete_due: Some(due),
        minutes: 20,
        urgency: Urgency::Normal,
        reopened,
        scored: Vec::new(),
    }
}

/// The award of a completed order.
pub(crate) fn completion(
    order: u128,
    volunteer: Uuid,
    number: u64,
    late: bool,
    reopened: u32,
    id: Uuid,
) -> Booking {
    let facts = completed(order, volunteer, moment(number), late, reopened);
    let award = on_completed(&RuleBook::sample(), &facts).pop().expect("an award");
    Booking::Award { id, award: Box::new(award) }
}

/// Points spent in the shop, for a reason of its own.
pub(crate) fn redemption(source: u128, person: Uuid, points: i64, number: u64) -> Posting {
    let facts = completed(source, person, moment(number), false, 0);
    let award = on_completed(&RuleBook::sample(), &facts).pop().expect("an award");
    let plain = award.posting(Used::default()).expect("a posting");
    let own = AccountRef::person(Purse::Spendable, person);
    let legs = vec![Leg { account: own, points: -points }, Leg { account: AccountRef::shop(SHOP), points }];
    Posting::new(Draft { legs, ..(*plain).clone() }).expect("a posting")
}

/// A made-up history: the model of the ledger, and what the next operation may be.
pub(crate) struct World {
    pub(crate) chance: Chance,
    pub(crate) model: Ledger,
    people: Vec<Uuid>,
    /// What caps have given: points by person, rule and month.
    caps: BTreeMap<(Uuid, String, String), i64>,
    ids: u64,
    number: u64,
}

/// What the model says to a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Booked(Booked),
    Overdrawn,
}

impl World {
    pub(crate) fn new(seed: u64, people: u128) -> World {
        let people = (1..=people).map(|n| Uuid::from_u128(n << 64 | 0xA)).collect();
        let model = Ledger::default();
        World { chance: Chance::new(seed), model, people, caps: BTreeMap::new(), ids: 0, number: 0 }
    }

    /// The next id.
    pub(crate) fn id(&mut self) -> Uuid {
        self.ids += 1;
        self.chance.id(self.ids)
    }

    /// A random operation.
    pub(crate) fn operation(&mut self) -> Booking {
        self.number += 1;
        let number = self.number % 40_000;
        let person = self.people[self.chance.below(self.people.len())];
        // Few orders, so that causes meet again.
        let order = 1 + self.chance.below(40 + usize::try_from(self.number / 3).expect("a number")) as u128;
        match self.chance.below(10) {
            0..=3 => {
                let (late, reopened) = (self.chance.below(5) == 0, self.chance.below(6) / 5);
                let reopened = u32::try_from(reopened).expect("a count");
                let id = self.id();
                completion(order, person, number, late, reopened, id)
            }
            4 => {
                let facts = RatedFacts {
                    order_id: Uuid::from_u128(order),
                    volunteer: person,
                    area: "140724104".parse().expect("a township"),
                    at: moment(number),
                    stars: 5,
                    solved: true,
                    on_time: true,
                    minutes: 20,
                    urgency: Urgency::Normal,
                    reopened: 0,
                    scored: Vec::new(),
                };
                let award = on_rated(&RuleBook::sample(), &facts).pop().expect("an award");
                Booking::Award { id: self.id(), award: Box::new(award) }
            }
            5 => {
                let source = 1_000_000 + u128::from(self.number);
                // Spent at once, as the books once were, or reserved first.
                let posting = if self.chance.below(2) == 0 {
                    redemption(source, person, 1 + self.chance.points(6), number)
                } else {
                    let wanted = Reservation {
                        redemption: Uuid::from_u128(2_000_000 + u128::from(self.number) / 2),
                        person,
                        area: "140724104".parse().expect("a township"),
                        price: 1 + self.chance.points(3),
                        quantity: 1 + self.chance.points(2),
                        at: moment(number),
                    };
                    reserve(&wanted).expect("a posting")
                };
                Booking::Posting { id: self.id(), posting: Box::new(posting) }
            }
            _ => self.correction().unwrap_or_else(|| {
                let id = self.id();
                completion(order, person, number, false, 0, id)
            }),
        }
    }

    /// A hold, release, void or reversal of something that was posted, whatever became of it since.
    fn correction(&mut self) -> Option<Booking> {
        let posted = self.model.posted();
        if posted.is_empty() {
            return None;
        }
        let of = posted[self.chance.below(posted.len())].clone();
        let at = moment(self.number % 40_000);
        let kinds = [
            CorrectionKind::Hold,
            CorrectionKind::Release,
            CorrectionKind::Void,
            CorrectionKind::Reversal,
            CorrectionKind::Spend,
        ];
        let posting = match kinds[self.chance.below(5)] {
            CorrectionKind::Hold => hold(&of, HoldReason::Reopened, at, None),
            CorrectionKind::Release => release(&of, "closed", at, None),
            CorrectionKind::Void => void(&of, "cancelled", at, None),
            CorrectionKind::Reversal => reversal(&of, "wrong", at, None),
            CorrectionKind::Spend => spend(&of, SHOP, at, Uuid::from_u128(0xD0)),
        };
        Some(Booking::Posting { id: self.id(), posting: Box::new(posting.ok()?) })
    }

    /// Lets the model do it, and says what a database must answer.
    pub(crate) fn expect(&mut self, booking: &Booking) -> Expected {
        let (id, posting, cap) = match booking {
            Booking::Award { id, award } => {
                let key = (award.person, award.rule_code.clone(), award.inputs.month.to_string());
                let used = if award.caps.month.is_some() && award.points > 0 {
                    self.caps.get(&key).copied().unwrap_or(0)
                } else {
                    0
                };
                let capped =
                    award.caps.month.is_some().then(|| (key, used + award.granted(Used::in_month(used))));
                (*id, award.posting(Used::in_month(used)).expect("a posting"), capped)
            }
            Booking::Posting { id, posting } => (*id, (**posting).clone(), None),
            other => panic!("no operation of these tests: {other:?}"),
        };
        match self.model.post(id, posting) {
            Ok(_) => {
                self.caps.extend(cap);
                Expected::Booked(Booked::New)
            }
            Err(ScoringFault::DuplicateCause | ScoringFault::AlreadyAnswered(_)) => {
                Expected::Booked(Booked::Known)
            }
            Err(ScoringFault::Overdrawn(_)) => Expected::Overdrawn,
            Err(other) => panic!("the model refuses what nobody does: {other}"),
        }
    }

    /// The same operation under a new id: what a client does that never got its answer.
    pub(crate) fn again(&mut self, booking: &Booking) -> Booking {
        let id = self.id();
        match booking.clone() {
            Booking::Award { award, .. } => Booking::Award { id, award },
            Booking::Posting { posting, .. } => Booking::Posting { id, posting },
            other => other,
        }
    }
}

/// The answer of a database, in the model's words.
pub(crate) fn answer(result: Result<Booked, StoreError>) -> Expected {
    match result {
        Ok(booked) => Expected::Booked(booked),
        Err(StoreError::Overdrawn) => Expected::Overdrawn,
        Err(other) => panic!("{other}"),
    }
}
