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
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::Script;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};
use xingfuma_domain::limit::{Admissions, Limit};

use crate::QueueError;
use crate::link::Link;
use crate::nodes::Nodes;

/// Longer than this no request waits for Redis to count.
pub const ANSWER_WITHIN: Duration = Duration::from_millis(100);
/// How long to wait before asking a Redis that was out of reach again.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// After so many admissions what is over is forgotten.
const TIDY_EVERY: u64 = 4_096;

/// Looks at every list first and counts only when all of them admit: a refused attempt costs nothing anywhere.
const ADMIT: &str = r"
local now, wait = tonumber(ARGV[1]), 0
for i, key in ipairs(KEYS) do
  local most, window = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local left = 0
  if most == 0 then
    left = window
  else
    local nth_last = redis.call('LINDEX', key, -most)
    if nth_last then left = math.min(tonumber(nth_last) + window - now, window) end
  end
  if left > wait then wait = left end
end
if wait > 0 then return wait end
for i, key in ipairs(KEYS) do
  local most, window = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  if redis.call('RPUSH', key, ARGV[1]) > most then redis.call('LTRIM', key, -most, -1) end
  redis.call('PEXPIRE', key, window)
end
return 0
";

/// Takes the latest admission of a moment out of each list.
const GIVE_BACK: &str = r"
for _, key in ipairs(KEYS) do redis.call('LREM', key, -1, ARGV[1]) end
return 0
";

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
    shared: Option<Arc<Shared>>,
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

struct Shared {
    link: Link,
    prefix: String,
    admit: Script,
    give_back: Script,
    reachable: AtomicBool,
}

impl Limiter {
    /// Counts in memory, for one process.
    #[must_use]
    pub fn in_memory() -> Limiter {
        Limiter { local: Mutex::default(), shared: None }
    }

    /// Counts in Redis, for all processes that use the same prefix.
    ///
    /// # Errors
    /// [`QueueError::Settings`] when the address cannot be used.
    pub fn in_redis(url: &str, prefix: &str) -> Result<Limiter, QueueError> {
        let shared = Shared {
            link: Link::new(Nodes::at(url)?),
            prefix: format!("{{{prefix}:limit}}"),
            admit: Script::new(ADMIT),
            give_back: Script::new(GIVE_BACK),
            reachable: AtomicBool::new(true),
        };
        Ok(Limiter { local: Mutex::default(), shared: Some(Arc::new(shared)) })
    }

    /// Whether all processes count together; with one process there is nothing to share.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.shared.as_ref().is_none_or(|shared| shared.reachable.load(Ordering::Relaxed))
    }

    /// Admits what all limits admit, at a moment in milliseconds since 1970. When one of them refuses, none counts.
    ///
    /// # Errors
    /// [`Wait`] with the longest of the waits.
    pub async fn admit(&self, counted: Vec<Counted>, now_ms: i64) -> Result<Admission, Wait> {
        let shared = self.shared.as_ref().filter(|shared| shared.reachable.load(Ordering::Relaxed));
        let answer = match shared {
            Some(shared) => shared.admit(&counted, now_ms).await,
            None => None,
        };
        let ms = answer.unwrap_or_else(|| self.local().admit(&counted, now_ms));
        if ms == 0 { Ok(Admission { counted, at_ms: now_ms }) } else { Err(Wait { ms }) }
    }

    /// Takes an admission back: what it was for turned out not to count, such as the same request sent again.
    pub async fn give_back(&self, admission: Admission) {
        if let Some(shared) = self.shared.as_ref().filter(|shared| shared.reachable.load(Ordering::Relaxed)) {
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

impl Shared {
    /// The longest wait in milliseconds, 0 when all are admitted; `None` when Redis did not say.
    async fn admit(self: &Arc<Self>, counted: &[Counted], now_ms: i64) -> Option<i64> {
        let asked = self.link.run(|mut connection| {
            let mut call = self.admit.prepare_invoke();
            call.arg(now_ms);
            for one in counted {
                call.key(self.key(one)).arg(one.limit.most).arg(one.limit.window_ms);
            }
            async move { call.invoke_async::<i64>(&mut connection).await }
        });
        match timeout(ANSWER_WITHIN, asked).await {
            Ok(Ok(wait)) => Some(wait),
            Ok(Err(error)) => self.lost(&error.to_string()),
            Err(_) => self.lost("no answer in time"),
        }
    }

    async fn give_back(self: &Arc<Self>, admission: &Admission) {
        let asked = self.link.run(|mut connection| {
            let mut call = self.give_back.prepare_invoke();
            call.arg(admission.at_ms);
            for one in &admission.counted {
                call.key(self.key(one));
            }
            async move { call.invoke_async::<i64>(&mut connection).await }
        });
        if !matches!(timeout(ANSWER_WITHIN, asked).await, Ok(Ok(_))) {
            self.lost("an admission was not given back");
        }
    }

    fn key(&self, one: &Counted) -> String {
        format!("{}:{}", self.prefix, one.key)
    }

    /// From now on each process counts on its own, until Redis answers again.
    fn lost(self: &Arc<Self>, why: &str) -> Option<i64> {
        if self.reachable.swap(false, Ordering::Relaxed) {
            warn!(why, "limits are counted by this process alone");
            tokio::spawn(self.clone().wait_for_redis());
        }
        None
    }

    async fn wait_for_redis(self: Arc<Self>) {
        loop {
            sleep(ASK_AGAIN_AFTER).await;
            let asked = self.link.run(|mut connection| async move {
                redis::cmd("PING").query_async::<String>(&mut connection).await
            });
            if asked.await.is_ok() {
                self.reachable.store(true, Ordering::Relaxed);
                info!("limits are counted together again");
                return;
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
