//! Counting against limits: in Redis for a county of several processes, in memory otherwise.
//!
//! # Its data
//!
//! A list of moments for each key (see [`xingfuma_domain::limit`]): in memory a map, in Redis the keys
//! `{<prefix>:limit}:<key>`, which expire with their window. What a key names (a phone, an account) is hashed by the
//! caller beforehand, so that no personal data lies here.
//!
//! # When Redis is out of reach
//!
//! Each process then counts on its own, in memory: limits are laxer for a while, and nobody waits or is turned away for
//! it. The first to notice waits at most [`ANSWER_WITHIN`]; from then on a task of its own asks Redis until it
//! answers. [`Limiter::is_shared`] says how things stand.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use xingfuma_domain::limit::{Admissions, Limit};

use crate::QueueError;

mod shared;

pub use shared::ANSWER_WITHIN;
use shared::Shared;

/// After so many admissions what is over is forgotten.
const TIDY_EVERY: u64 = 4_096;

/// What is counted: a key, and the limit that it stands under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Names who or what does how much of what; holds no personal data.
    pub key: String,
    /// The limit.
    pub limit: Limit,
}

/// An admission, which can be taken back.
#[derive(Debug)]
#[must_use]
pub struct Admission {
    counted: Vec<Counted>,
    at_ms: i64,
}

/// Refused: to be asked again after a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Milliseconds until the next admission.
    pub ms: i64,
}

/// Counts admissions against limits.
pub struct Limiter {
    local: Mutex<Local>,
    shared: Option<Shared>,
}

impl std::fmt::Debug for Limiter {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Limiter").field("shared", &self.is_shared()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Local {
    admissions: HashMap<String, (Limit, Admissions)>,
    admitted: u64,
}

impl Limiter {
    /// Counts in memory, for one process.
    #[must_use]
    pub fn in_memory() -> Limiter {
        Limiter { local: Mutex::default(), shared: None }
    }

    /// Counts in Redis, for all processes that use the same prefix. Starts a task on the current tokio runtime: it must be
    /// the one that outlives the requests.
    ///
    /// # Errors
    /// [`QueueError::Settings`] when the address cannot be used.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn in_redis(url: &str, prefix: &str) -> Result<Limiter, QueueError> {
        Ok(Limiter { local: Mutex::default(), shared: Some(Shared::start(url, prefix)?) })
    }

    /// Whether all processes count together; with one process there is nothing to share.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.shared.as_ref().is_none_or(Shared::is_reachable)
    }

    /// Admits what all limits admit, at a moment in milliseconds since 1970. When one of them refuses, none counts.
    ///
    /// # Errors
    /// [`Wait`] with the longest of the waits.
    pub async fn admit(&self, counted: Vec<Counted>, now_ms: i64) -> Result<Admission, Wait> {
        let shared = self.shared.as_ref().filter(|shared| shared.is_reachable());
        let answer = match shared {
            Some(shared) => shared.admit(&counted, now_ms).await,
            None => None,
        };
        let ms = answer.unwrap_or_else(|| self.local().admit(&counted, now_ms));
        if ms == 0 { Ok(Admission { counted, at_ms: now_ms }) } else { Err(Wait { ms }) }
    }

    /// Takes an admission back: what it was for turned out not to count, such as the same request sent again.
    pub async fn give_back(&self, admission: Admission) {
        if let Some(shared) = self.shared.as_ref().filter(|shared| shared.is_reachable()) {
            shared.give_back(&admission).await;
        }
        self.local().give_back(&admission);
    }

    fn local(&self) -> std::sync::MutexGuard<'_, Local> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Local {
    /// The longest wait in milliseconds; 0 when all are admitted.
    fn admit(&mut self, counted: &[Counted], now_ms: i64) -> i64 {
        let nothing_yet = Admissions::default();
        let wait = |one: &Counted| {
            let known = self.admissions.get(&one.key).map_or(&nothing_yet, |(_, admissions)| admissions);
            known.wait(one.limit, now_ms).unwrap_or(0)
        };
        let longest = counted.iter().map(wait).max().unwrap_or(0);
        if longest > 0 {
            return longest;
        }
        for one in counted {
            let (limit, admissions) =
                self.admissions.entry(one.key.clone()).or_insert_with(|| (one.limit, Admissions::default()));
            *limit = one.limit;
            admissions.admit(one.limit, now_ms);
        }
        self.admitted += 1;
        if self.admitted.is_multiple_of(TIDY_EVERY) {
            self.admissions.retain(|_, (limit, admissions)| !admissions.is_over(*limit, now_ms));
        }
        0
    }

    fn give_back(&mut self, admission: &Admission) {
        for one in &admission.counted {
            if let Some((_, admissions)) = self.admissions.get_mut(&one.key) {
                admissions.give_back(admission.at_ms);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(key: &str, most: u32) -> Counted {
        Counted { key: key.to_owned(), limit: Limit { most, window_ms: 1_000 } }
    }

    #[tokio::test]
    async fn a_refusal_by_one_limit_counts_in_none() {
        let limiter = Limiter::in_memory();
        let both = || vec![counted("a", 3), counted("b", 1)];
        let _first = limiter.admit(both(), 0).await.unwrap();
        assert_eq!(limiter.admit(both(), 10).await.unwrap_err(), Wait { ms: 990 });
        let _second = limiter.admit(vec![counted("a", 3)], 10).await.unwrap();
        let _third = limiter.admit(vec![counted("a", 3)], 10).await.unwrap();
        assert_eq!(limiter.admit(vec![counted("a", 3)], 10).await.unwrap_err(), Wait { ms: 990 });
    }

    #[tokio::test]
    async fn what_is_over_is_forgotten() {
        let limiter = Limiter::in_memory();
        for number in 0..TIDY_EVERY {
            let at = i64::try_from(number).unwrap() * 10;
            let _ = limiter.admit(vec![counted(&format!("key-{number}"), 1)], at).await.unwrap();
        }
        assert!(limiter.local().admissions.len() <= 101, "only the last second is kept");
    }

    #[tokio::test]
    async fn an_absent_redis_leaves_each_process_its_own_count() {
        let limiter = Limiter::in_redis("redis://127.0.0.1:1", "test").unwrap();
        let _first = limiter.admit(vec![counted("a", 1)], 0).await.unwrap();
        assert!(!limiter.is_shared());
        assert_eq!(limiter.admit(vec![counted("a", 1)], 1).await.unwrap_err(), Wait { ms: 999 });
    }
}
