//! The queue of a county that runs in several processes: Redis Streams with one consumer group.
//!
//! # Its data
//!
//! Three keys, with the hash tag `{<prefix>:dispatch}` in each, so that a Redis Cluster keeps them on one node:
//!
//! | key | type | holds |
//! | --- | --- | --- |
//! | `{<prefix>:dispatch}:stream` | stream | an entry a hint, fields `order` and `epoch`; group `workers` has delivered some |
//! | `{<prefix>:dispatch}:dead` | stream | an entry a dead letter, fields `order`, `epoch`, `attempt`, `reason` in this order |
//! | `{<prefix>:dispatch}:dead_of` | hash | order → its entry in the stream of dead letters |
//!
//! An acknowledged entry is deleted in the same transaction, so the stream holds nothing but what waits and what is
//! pending, and its length is their sum. It is never trimmed by length: that would destroy pending work.
//!
//! # What a crash leaves
//!
//! Of a process: its pending entries, which others reclaim, and its name among the group's consumers, which is
//! forgotten after an hour without a sign of life. Of Redis without persistence: nothing, not even the group.
//! `NOGROUP` is what Redis answers then, and whoever meets it makes the group anew from the beginning of the stream,
//! so that whatever was pushed before is delivered. Of Redis with an append-only file: what was synced.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use redis::{
    Cmd, Pipeline, RedisError, Script, Value, cmd, pipe,
    streams::{StreamId, StreamRangeReply, StreamReadReply},
};
use tracing::{info, warn};
use uuid::Uuid;

use crate::{
    DeadLetter, Delivery, Depth, DispatchQueue, Hint, LONGEST_WAIT, QueueError,
    link::{Link, Readers, is_closed},
    nodes::Nodes,
    shortened,
};

pub(crate) const GROUP: &str = "workers";
/// Consumers that hold nothing and have not asked for this long are forgotten: each restart brings new names.
const FORGET_AFTER: Duration = Duration::from_secs(3_600);
/// The most entries in one round trip, so that each is answered well within the time an answer may take.
const LARGEST_BATCH: usize = 1_000;
/// How often one claim begins anew after losing its group or its connection, before it gives up.
const FRESH_STARTS: u32 = 5;

/// Takes over overdue entries, says how often each was delivered, and forgets consumers that are long gone.
///
/// `XAUTOCLAIM` alone does not tell the deliveries, and asking for them afterwards would let another consumer in.
const RECLAIM: &str = r"
local stream, group, consumer, idle, max, forget = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local entries, attempts = {}, {}
for _, held in ipairs(redis.call('XPENDING', stream, group, 'IDLE', idle, '-', '+', max)) do
  local taken = redis.call('XCLAIM', stream, group, consumer, idle, held[1])
  if taken[1] then
    entries[#entries + 1] = taken[1]
    attempts[#attempts + 1] = held[4] + 1
  end
end
for _, facts in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
  local known = {}
  for i = 1, #facts, 2 do known[facts[i]] = facts[i + 1] end
  if known.pending == 0 and known.idle > forget then
    redis.call('XGROUP', 'DELCONSUMER', stream, group, known.name)
  end
end
return {entries, attempts}
";

/// Makes a pending entry a dead letter, unless its order has one of a higher epoch.
const BURY: &str = r"
local stream, dead, dead_of = KEYS[1], KEYS[2], KEYS[3]
local group, entry, order, epoch, attempt, reason = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
if redis.call('XACK', stream, group, entry) == 0 then return 0 end
redis.call('XDEL', stream, entry)
local known = redis.call('HGET', dead_of, order)
if known then
  local letter = redis.call('XRANGE', dead, known, known)[1]
  if letter and tonumber(letter[2][4]) > tonumber(epoch) then return 0 end
  redis.call('XDEL', dead, known)
end
local id = redis.call('XADD', dead, '*', 'order', order, 'epoch', epoch, 'attempt', attempt, 'reason', reason)
redis.call('HSET', dead_of, order, id)
return 1
";

/// Makes an order's dead letter a waiting entry again.
const REPLAY: &str = r"
local stream, dead, dead_of, order = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
local known = redis.call('HGET', dead_of, order)
if not known then return 0 end
local letter = redis.call('XRANGE', dead, known, known)[1]
redis.call('HDEL', dead_of, order)
redis.call('XDEL', dead, known)
if not letter then return 0 end
redis.call('XADD', stream, '*', 'order', order, 'epoch', letter[2][4])
return 1
";

/// The dispatch queue in Redis (7 or later). It connects when it is first used and again whenever it has to.
///
/// Its connections live on the tokio runtime of whoever asked first; when that runtime ends, the next one who asks
/// connects anew. No command is waited for longer than about two seconds, a claim for that much longer than its wait.
pub struct RedisQueue {
    link: Link,
    readers: Readers,
    pub(crate) keys: Keys,
    scripts: Scripts,
    forget_after: Duration,
}

pub(crate) struct Keys {
    pub(crate) stream: String,
    pub(crate) dead: String,
    dead_of: String,
}

struct Scripts {
    reclaim: Script,
    bury: Script,
    replay: Script,
}

impl RedisQueue {
    /// A queue at `url` (`redis://[user:password@]host[:port][/database]`) under `prefix`; in a Redis Cluster, several of
    /// its nodes with commas between. Queues with different prefixes know nothing of each other. Does not connect.
    ///
    /// # Errors
    /// [`QueueError::Settings`] when the address is none, or the prefix is empty or has a brace in it.
    pub fn new(url: &str, prefix: &str) -> Result<Self, QueueError> {
        if prefix.is_empty() || prefix.contains(['{', '}']) {
            return Err(QueueError::Settings("a prefix is one letter or more, without braces".to_owned()));
        }
        let nodes = Nodes::at(url)?;
        Ok(Self {
            link: Link::new(nodes.clone()),
            readers: Readers::new(nodes),
            keys: Keys::under(prefix),
            scripts: Scripts::load(),
            forget_after: FORGET_AFTER,
        })
    }

    /// Changes how long a consumer that holds nothing may stay silent before its name is forgotten (an hour). Must be
    /// longer than any claim waits.
    #[must_use]
    pub fn with_forget_after(mut self, forget_after: Duration) -> Self {
        self.forget_after = forget_after;
        self
    }

    pub(crate) async fn command<T: redis::FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        self.link.run(|mut connection| async move { command.query_async(&mut connection).await }).await
    }

    async fn pipeline<T: redis::FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, RedisError> {
        self.link.run(|mut connection| async move { pipeline.query_async(&mut connection).await }).await
    }

    async fn script<T: redis::FromRedisValue>(
        &self,
        script: &Script,
        arguments: &[String],
    ) -> Result<T, RedisError> {
        let mut call = script.prepare_invoke();
        call.key(&self.keys.stream).key(&self.keys.dead).key(&self.keys.dead_of);
        for argument in arguments {
            call.arg(argument);
        }
        let call = &call;
        self.link.run(|mut connection| async move { call.invoke_async(&mut connection).await }).await
    }

    /// One blocking read; `wait` is zero for a read that does not block.
    async fn read(&self, consumer: &str, max: usize, wait: Duration) -> Result<Vec<StreamId>, RedisError> {
        let mut command = cmd("XREADGROUP");
        command.arg("GROUP").arg(GROUP).arg(consumer).arg("COUNT").arg(max);
        if !wait.is_zero() {
            // Less than a millisecond must not become 0, which means for ever.
            command.arg("BLOCK").arg(milliseconds(wait).max(1));
        }
        command.arg("STREAMS").arg(&self.keys.stream).arg(">");
        let command = &command;
        let ask = |mut connection| async move { command.query_async(&mut connection).await };
        let reply: Option<StreamReadReply> = self.readers.run(wait, ask).await?;
        Ok(reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids).collect())
    }

    /// Makes the group, from the beginning of the stream so that nothing which lies there is passed over.
    async fn make_group(&self) -> Result<(), RedisError> {
        let mut command = cmd("XGROUP");
        command.arg("CREATE").arg(&self.keys.stream).arg(GROUP).arg("0").arg("MKSTREAM");
        match self.command::<()>(&command).await {
            Ok(()) => {
                info!(stream = self.keys.stream, "made the consumer group");
                Ok(())
            }
            Err(error) if has_code(&error, &["BUSYGROUP"]) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Turns entries into deliveries. An entry that is no hint was written by somebody else: it is deleted, or it
    /// would come back for ever.
    async fn deliveries(&self, entries: Vec<(StreamId, u32)>) -> Result<Vec<Delivery>, QueueError> {
        let mut deliveries = Vec::with_capacity(entries.len());
        let mut foreign = Vec::new();
        for (entry, attempt) in entries {
            match hint(&entry) {
                Some(hint) => deliveries.push(Delivery { hint, receipt: entry.id, attempt }),
                None => foreign.push(entry.id),
            }
        }
        if !foreign.is_empty() {
            warn!(stream = self.keys.stream, entries = ?foreign, "deleting entries that are no hints");
            self.end(&foreign).await?;
        }
        Ok(deliveries)
    }

    /// Acknowledges and deletes, both or neither.
    async fn end<Id: AsRef<str>>(&self, receipts: &[Id]) -> Result<(), QueueError> {
        let known: Vec<&str> = receipts.iter().map(AsRef::as_ref).filter(|id| is_entry(id)).collect();
        for receipts in known.chunks(LARGEST_BATCH) {
            let mut pipeline = pipe();
            pipeline.atomic();
            pipeline.cmd("XACK").arg(&self.keys.stream).arg(GROUP).arg(receipts).ignore();
            pipeline.cmd("XDEL").arg(&self.keys.stream).arg(receipts).ignore();
            self.pipeline::<()>(&pipeline).await?;
        }
        Ok(())
    }

    async fn read_depth(&self) -> Result<Depth, RedisError> {
        let mut pipeline = pipe();
        pipeline.atomic();
        pipeline.cmd("XLEN").arg(&self.keys.stream);
        pipeline.cmd("XPENDING").arg(&self.keys.stream).arg(GROUP);
        pipeline.cmd("XLEN").arg(&self.keys.dead);
        let (length, (pending, _, _, _), dead): (u64, (u64, Value, Value, Value), u64) =
            self.pipeline(&pipeline).await?;
        Ok(Depth { waiting: length.saturating_sub(pending), pending, dead })
    }
}

impl Keys {
    fn under(prefix: &str) -> Self {
        let key = |name| format!("{{{prefix}:dispatch}}:{name}");
        Self { stream: key("stream"), dead: key("dead"), dead_of: key("dead_of") }
    }
}

impl Scripts {
    fn load() -> Self {
        Self { reclaim: Script::new(RECLAIM), bury: Script::new(BURY), replay: Script::new(REPLAY) }
    }
}

#[async_trait]
impl DispatchQueue for RedisQueue {
    async fn push(&self, hints: &[Hint]) -> Result<(), QueueError> {
        for hints in hints.chunks(LARGEST_BATCH) {
            let mut pipeline = pipe();
            for hint in hints {
                let entry = [("order", hint.order_id.to_string()), ("epoch", hint.epoch.to_string())];
                pipeline.cmd("XADD").arg(&self.keys.stream).arg("*").arg(&entry).ignore();
            }
            self.pipeline::<()>(&pipeline).await?;
        }
        Ok(())
    }

    async fn claim(&self, consumer: &str, max: usize, wait: Duration) -> Result<Vec<Delivery>, QueueError> {
        if max == 0 {
            return Ok(Vec::new());
        }
        let deadline = Instant::now() + wait.min(LONGEST_WAIT);
        let mut fresh_starts = 0;
        loop {
            let rest = deadline.saturating_duration_since(Instant::now());
            let error = match self.read(consumer, max, rest).await {
                Ok(entries) => {
                    return self.deliveries(entries.into_iter().map(|entry| (entry, 1)).collect()).await;
                }
                Err(error) => error,
            };
            fresh_starts += 1;
            if fresh_starts > FRESH_STARTS {
                return Err(error.into());
            } else if is_group_lost(&error) {
                self.make_group().await?;
            } else if !is_closed(&error) {
                return Err(error.into());
            }
        }
    }

    async fn ack(&self, deliveries: &[Delivery]) -> Result<(), QueueError> {
        let receipts: Vec<&str> = deliveries.iter().map(|delivery| delivery.receipt.as_str()).collect();
        self.end(&receipts).await
    }

    async fn reclaim(&self, consumer: &str, idle: Duration, max: usize) -> Result<Vec<Delivery>, QueueError> {
        if max == 0 {
            return Ok(Vec::new());
        }
        let arguments = [
            GROUP.to_owned(),
            consumer.to_owned(),
            milliseconds(idle).to_string(),
            max.min(LARGEST_BATCH).to_string(),
            milliseconds(self.forget_after).to_string(),
        ];
        let (entries, attempts): (StreamRangeReply, Vec<u32>) =
            match self.script(&self.scripts.reclaim, &arguments).await {
                // Without a group nothing is pending.
                Err(error) if is_group_lost(&error) => {
                    self.make_group().await?;
                    return Ok(Vec::new());
                }
                reply => reply?,
            };
        self.deliveries(entries.ids.into_iter().zip(attempts).collect()).await
    }

    async fn bury(&self, delivery: &Delivery, reason: &str) -> Result<(), QueueError> {
        if !is_entry(&delivery.receipt) {
            return Ok(());
        }
        let arguments = [
            GROUP.to_owned(),
            delivery.receipt.clone(),
            delivery.hint.order_id.to_string(),
            delivery.hint.epoch.to_string(),
            delivery.attempt.to_string(),
            shortened(reason).to_owned(),
        ];
        Ok(self.script(&self.scripts.bury, &arguments).await?)
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut command = cmd("XREVRANGE");
        command.arg(&self.keys.dead).arg("+").arg("-").arg("COUNT").arg(limit);
        let reply: StreamRangeReply = self.command(&command).await?;
        Ok(reply.ids.iter().filter_map(dead_letter).collect())
    }

    async fn replay(&self, order_id: Uuid) -> Result<bool, QueueError> {
        Ok(self.script(&self.scripts.replay, &[order_id.to_string()]).await?)
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        match self.read_depth().await {
            Err(error) if is_group_lost(&error) => {
                self.make_group().await?;
                Ok(self.read_depth().await?)
            }
            depth => Ok(depth?),
        }
    }

    async fn ping(&self) -> Result<(), QueueError> {
        Ok(self.command(&cmd("PING")).await?)
    }
}

impl From<RedisError> for QueueError {
    fn from(error: RedisError) -> Self {
        if error.is_io_error() {
            Self::Unreachable(error.to_string())
        } else {
            Self::Refused(error.to_string())
        }
    }
}

fn hint(entry: &StreamId) -> Option<Hint> {
    let order_id: String = entry.get("order")?;
    Some(Hint { order_id: order_id.parse().ok()?, epoch: entry.get("epoch")? })
}

fn dead_letter(entry: &StreamId) -> Option<DeadLetter> {
    Some(DeadLetter { hint: hint(entry)?, attempt: entry.get("attempt")?, reason: entry.get("reason")? })
}

/// Whether this can be the name of an entry. Redis refuses a whole command for one that cannot.
fn is_entry(receipt: &str) -> bool {
    receipt.split_once('-').is_some_and(|(milliseconds, number)| {
        milliseconds.parse::<u64>().is_ok() && number.parse::<u64>().is_ok()
    })
}

fn milliseconds(duration: Duration) -> u64 {
    // As far as Redis can count; it adds its own clock to what it is given.
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(u64::MAX >> 20)
}

/// Whether the stream or its group is gone: Redis was emptied, or somebody deleted the key or the group. `UNBLOCKED` is
/// what a blocked read hears at that moment from Redis 7.0, and `NOGROUP` from later ones.
pub(crate) fn is_group_lost(error: &RedisError) -> bool {
    has_code(error, &["NOGROUP", "UNBLOCKED"])
}

/// Whether Redis answered with one of these codes, to the command or to one within a pipeline.
pub(crate) fn has_code(error: &RedisError, codes: &[&str]) -> bool {
    let answers = error.clone().into_server_errors();
    answers.is_some_and(|answers| answers.iter().any(|(_, answer)| codes.contains(&answer.code())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bad_settings_fail_construction() {
        // Nothing listens there; port 1 is reserved.
        assert!(RedisQueue::new("redis://127.0.0.1:1", "xfm").is_ok());
        for (url, prefix) in [
            ("http://:secret@host", "xfm"),
            ("redis://:secret@host:port", "xfm"),
            ("redis://host", ""),
            ("redis://host", "{x}"),
        ] {
            let error = RedisQueue::new(url, prefix).err().expect("refused");
            assert!(matches!(error, QueueError::Settings(_)), "{url} {prefix}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[tokio::test]
    async fn an_absent_redis_is_an_error_and_soon() {
        let queue = RedisQueue::new("redis://127.0.0.1:1", "xfm").unwrap();
        let begun = Instant::now();
        let hint = Hint { order_id: Uuid::from_u128(1), epoch: 1 };
        assert!(matches!(queue.push(&[hint]).await, Err(QueueError::Unreachable(_))));
        assert!(matches!(
            queue.claim("a", 1, Duration::from_secs(20)).await,
            Err(QueueError::Unreachable(_))
        ));
        assert!(begun.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn keys_of_one_queue_share_a_hash_tag() {
        let keys = Keys::under("140724");
        for key in [&keys.stream, &keys.dead, &keys.dead_of] {
            assert!(key.starts_with("{140724:dispatch}:"), "{key}");
        }
    }

    #[test]
    fn a_receipt_is_an_entry_or_nothing() {
        assert!(is_entry("1700000000000-0"));
        for receipt in ["", "17", "-", "a-b", "1-", "-1", "*", ">"] {
            assert!(!is_entry(receipt), "{receipt}");
        }
    }
}
