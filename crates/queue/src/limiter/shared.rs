//! Counting in Redis, together with all processes that use the same prefix.
//!
//! One task asks for everybody: the first question goes at once, those that come meanwhile ride together in the next call.
//! There is no timer. Redis answers each of them by itself, in the order in which they came, as if it had been asked one by
//! one; what is saved is a call's overhead.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::Script;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use super::{Admission, Counted};
use crate::QueueError;
use crate::link::Link;
use crate::nodes::Nodes;

/// Longer than this no request waits for Redis to count.
pub const ANSWER_WITHIN: Duration = Duration::from_millis(100);
/// How long to wait before asking a Redis that was out of reach again.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// Most questions in one call: Redis does nothing else meanwhile, for well under a millisecond.
const BATCH: usize = 32;
/// Questions that may wait for the task; whoever finds no room waits for one.
const WAITING: usize = 1_024;

/// For each question its moment, how many lists it has, and their limits. Looks at every list of a question first and
/// counts only when all of them admit: a refused attempt costs nothing anywhere. What Redis is handed are the words that
/// came, because it prints a number of Lua's as a fraction of seventeen digits first.
const ADMIT: &str = r"
local waits, key, arg = {}, 1, 1
while arg <= #ARGV do
  local at, lists, wait = ARGV[arg], tonumber(ARGV[arg + 1]), 0
  local now = tonumber(at)
  for i = 0, lists - 1 do
    local most, window = ARGV[arg + 2 * i + 2], tonumber(ARGV[arg + 2 * i + 3])
    local left = 0
    if most == '0' then
      left = window
    else
      local nth_last = redis.call('LINDEX', KEYS[key + i], '-' .. most)
      if nth_last then left = math.min(tonumber(nth_last) + window - now, window) end
    end
    if left > wait then wait = left end
  end
  if wait <= 0 then
    for i = 0, lists - 1 do
      local name, most = KEYS[key + i], ARGV[arg + 2 * i + 2]
      if redis.call('RPUSH', name, at) > tonumber(most) then redis.call('LTRIM', name, '-' .. most, '-1') end
      redis.call('PEXPIRE', name, ARGV[arg + 2 * i + 3])
    end
  end
  waits[#waits + 1] = wait
  key, arg = key + lists, arg + 2 * lists + 2
end
return waits
";

/// Takes the latest admission of a moment out of each list.
const GIVE_BACK: &str = r"
for _, key in ipairs(KEYS) do redis.call('LREM', key, -1, ARGV[1]) end
return 0
";

/// The way to the task, and what both it and the callers know.
pub(super) struct Shared {
    questions: mpsc::Sender<Question>,
    redis: Arc<Counters>,
}

/// May all of this be admitted?
struct Question {
    keys: Vec<String>,
    /// The moment, how many keys, and the limit of each: as the script wants them.
    arguments: Vec<i64>,
    /// The longest wait in milliseconds, 0 when all are admitted.
    answer: oneshot::Sender<i64>,
}

impl Shared {
    /// Starts its task on the current tokio runtime; it ends with this.
    ///
    /// # Errors
    /// [`QueueError::Settings`] when the address cannot be used.
    pub(super) fn start(url: &str, prefix: &str) -> Result<Shared, QueueError> {
        let redis = Arc::new(Counters {
            link: Link::new(Nodes::at(url)?),
            prefix: format!("{{{prefix}:limit}}"),
            admit: Script::new(ADMIT),
            give_back: Script::new(GIVE_BACK),
            reachable: AtomicBool::new(true),
        });
        let (questions, waiting) = mpsc::channel(WAITING);
        tokio::spawn(answer_all(redis.clone(), waiting));
        Ok(Shared { questions, redis })
    }

    /// Whether Redis answered when it was asked last.
    pub(super) fn is_reachable(&self) -> bool {
        self.redis.reachable.load(Ordering::Relaxed)
    }

    /// The longest wait in milliseconds, 0 when all are admitted; `None` when Redis did not say.
    pub(super) async fn admit(&self, counted: &[Counted], now_ms: i64) -> Option<i64> {
        let lists = i64::try_from(counted.len()).unwrap_or(i64::MAX);
        let mut arguments = vec![now_ms, lists];
        for one in counted {
            arguments.extend([i64::from(one.limit.most), one.limit.window_ms]);
        }
        let keys = counted.iter().map(|one| self.redis.key(one)).collect();
        let (answer, answered) = oneshot::channel();
        let asked = async {
            if self.questions.send(Question { keys, arguments, answer }).await.is_err() {
                self.redis.is_asked_no_more();
            }
            answered.await.ok()
        };
        // Whether Redis is lost is for the task to say: the time here has the wait for one's turn in it.
        timeout(ANSWER_WITHIN, asked).await.ok().flatten()
    }

    pub(super) async fn give_back(&self, admission: &Admission) {
        self.redis.take_back(admission).await;
    }
}

async fn answer_all(redis: Arc<Counters>, mut waiting: mpsc::Receiver<Question>) {
    let mut batch = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut batch, BATCH).await > 0 {
        // Whoever has waited too long counts by himself by now.
        batch.retain(|question| !question.answer.is_closed());
        if batch.is_empty() {
            continue;
        }
        // When Redis does not say, the answers are dropped, and whoever asked counts by himself.
        let waits = redis.waits(&batch).await.unwrap_or_default();
        for (question, wait) in batch.drain(..).zip(waits) {
            // The answer may have come a moment too late.
            let _ = question.answer.send(wait);
        }
    }
}

/// The lists in Redis.
struct Counters {
    link: Link,
    prefix: String,
    admit: Script,
    give_back: Script,
    reachable: AtomicBool,
}

impl Counters {
    /// The longest wait of each question; `None` when Redis did not say.
    async fn waits(self: &Arc<Self>, questions: &[Question]) -> Option<Vec<i64>> {
        let asked = self.link.run(|mut connection| {
            let mut call = self.admit.prepare_invoke();
            for question in questions {
                for key in &question.keys {
                    call.key(key);
                }
                for argument in &question.arguments {
                    call.arg(*argument);
                }
            }
            async move { call.invoke_async::<Vec<i64>>(&mut connection).await }
        });
        match timeout(ANSWER_WITHIN, asked).await {
            Ok(Ok(waits)) => return Some(waits),
            Ok(Err(error)) => self.lost(&error.to_string()),
            Err(_) => self.lost("no answer in time"),
        }
        None
    }

    async fn take_back(self: &Arc<Self>, admission: &Admission) {
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
    fn lost(self: &Arc<Self>, why: &str) {
        if self.reachable.swap(false, Ordering::Relaxed) {
            warn!(why, "limits are counted by this process alone");
            tokio::spawn(self.clone().wait_for_redis());
        }
    }

    /// The task has ended, which only a fault of ours can do to it: nothing brings it back.
    fn is_asked_no_more(&self) {
        if self.reachable.swap(false, Ordering::Relaxed) {
            error!("limits are counted by this process alone until it is started again");
        }
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
