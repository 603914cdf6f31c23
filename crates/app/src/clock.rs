//! The one place where time and chance come from. Everywhere else they are arguments.
//!
//! With PostgreSQL the database's clock rules: the offset between it and this machine is measured at the start and
//! every few seconds, and added to every reading. A process whose own clock is off by more than
//! [`OFFSET_AT_MOST_MILLIS`] goes unready.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

/// A process whose clock is further from the database's than this is not ready.
pub const OFFSET_AT_MOST_MILLIS: i64 = 5_000;

/// Tells the time, in whole milliseconds: PostgreSQL keeps microseconds, and a finer reading would not survive it.
#[derive(Debug)]
pub struct Clock {
    manual: Option<AtomicI64>,
    offset_millis: AtomicI64,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Clock {
        Clock { manual: None, offset_millis: AtomicI64::new(0) }
    }

    /// A clock that stands still until it is moved, for tests.
    pub fn manual(at: DateTime<Utc>) -> Clock {
        Clock { manual: Some(AtomicI64::new(at.timestamp_millis())), offset_millis: AtomicI64::new(0) }
    }

    /// The moment.
    pub fn now(&self) -> DateTime<Utc> {
        let millis = match &self.manual {
            Some(manual) => manual.load(Ordering::Acquire),
            None => Clock::machine_millis() + self.offset_millis.load(Ordering::Acquire),
        };
        DateTime::from_timestamp_millis(millis).unwrap_or_default()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn machine_millis() -> i64 {
        Utc::now().timestamp_millis()
    }

    /// Moves a manual clock on; the machine's clock is left alone.
    pub fn advance(&self, by: TimeDelta) {
        if let Some(manual) = &self.manual {
            manual.fetch_add(by.num_milliseconds(), Ordering::AcqRel);
        }
    }

    /// Follows the database's clock, read as `database_now` between two readings of ours.
    pub fn follow(&self, database_now: DateTime<Utc>, took_millis: i64) {
        let here = Clock::machine_millis() - took_millis / 2;
        self.offset_millis.store(database_now.timestamp_millis() - here, Ordering::Release);
    }

    /// How far the database's clock is ahead of this machine's, in milliseconds.
    pub fn offset_millis(&self) -> i64 {
        self.offset_millis.load(Ordering::Acquire)
    }
}

/// Makes ids and keys. Seeded from the operating system, or from a number for what must come out the same each time.
#[derive(Debug)]
pub struct Ids {
    chance: Mutex<StdRng>,
}

impl Default for Ids {
    fn default() -> Ids {
        Ids::from_system()
    }
}

impl Ids {
    /// Chance from the operating system.
    #[expect(clippy::disallowed_methods, reason = "this is where chance comes from")]
    pub fn from_system() -> Ids {
        Ids { chance: Mutex::new(StdRng::from_rng(&mut rand::rng())) }
    }

    /// The same chance for the same number: sample data only.
    pub fn seeded(seed: u64) -> Ids {
        Ids { chance: Mutex::new(StdRng::seed_from_u64(seed)) }
    }

    /// Fills an array with random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        let mut chance = self.chance.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        chance.fill(&mut bytes[..]);
        bytes
    }

    /// A UUIDv7 for something made at `at`: ids sort by time, so that lists page by them.
    pub fn id(&self, at: DateTime<Utc>) -> Uuid {
        let millis = u64::try_from(at.timestamp_millis()).unwrap_or_default();
        uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes::<10>()).into_uuid()
    }
}

/// The smallest id of something made at `at`: ids begin with their moment.
pub(crate) fn first_id_at(at: DateTime<Utc>) -> Uuid {
    let millis = u64::try_from(at.timestamp_millis()).unwrap_or_default();
    Uuid::from_u128(u128::from(millis) << 80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_a_moment_lie_behind_its_first_one() {
        let at: DateTime<Utc> = "2026-03-09T01:00:00Z".parse().unwrap();
        let ids = Ids::seeded(7);
        for _ in 0..100 {
            assert!(ids.id(at) > first_id_at(at));
            assert!(ids.id(at - TimeDelta::milliseconds(1)) < first_id_at(at));
        }
    }
}
