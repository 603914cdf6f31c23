//! What can be said about a Redis that the queue lives in, without changing anything in it: for whoever asks what is wrong.

use redis::{Value, cmd};

use crate::streams::{GROUP, has_code, is_group_lost};
use crate::{Depth, QueueError, RedisQueue};

/// How long the trial key lives, in milliseconds.
const TRIAL_LIVES_MS: u64 = 1_000;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examination {
    /// The version of Redis.
    pub version: String,
    /// It is a node of a cluster.
    pub is_cluster: bool,
    /// What it does when its memory is full (`maxmemory-policy`), if it says so.
    pub when_full: Option<String>,
    /// It writes down what it holds as it goes (`appendonly`).
    pub append_only: bool,
    /// Bytes in use.
    pub used_bytes: u64,
    /// The most bytes that it may use; 0 when nothing limits it.
    pub most_bytes: u64,
    /// Why it refuses to be written to; none when it takes writes.
    pub refuses_writes: Option<String>,
    /// How much lies in the queue; none when its consumer group is not there.
    pub depth: Option<Depth>,
    /// For how long the oldest pending hint has been in the hands of a worker, in milliseconds.
    pub oldest_pending_ms: Option<u64>,
}

impl RedisQueue {
    /// Looks at the Redis that this queue lives in. A key that lives for a second is all that is written.
    ///
    /// # Errors
    /// When it is out of reach.
    pub async fn examine(&self) -> Result<Examination, QueueError> {
        let info: String = self.command(&cmd("INFO")).await?;
        let number = |name: &str| fact(&info, name).and_then(|text| text.parse().ok()).unwrap_or(0);
        let (depth, oldest_pending_ms) = self.examine_group().await?;
        Ok(Examination {
            version: fact(&info, "redis_version").unwrap_or_default(),
            is_cluster: number("cluster_enabled") == 1,
            when_full: fact(&info, "maxmemory_policy"),
            append_only: number("aof_enabled") == 1,
            used_bytes: number("used_memory"),
            most_bytes: number("maxmemory"),
            refuses_writes: self.try_to_write().await?,
            depth,
            oldest_pending_ms,
        })
    }

    /// Why it refuses to be written to.
    async fn try_to_write(&self) -> Result<Option<String>, QueueError> {
        let mut command = cmd("SET");
        command.arg(format!("{}:trial", self.keys.stream)).arg("1").arg("PX").arg(TRIAL_LIVES_MS);
        match self.command::<()>(&command).await {
            Ok(()) => Ok(None),
            Err(error) => match QueueError::from(error) {
                QueueError::Refused(why) => Ok(Some(why)),
                error => Err(error),
            },
        }
    }

    /// The queue's depth and the age of its oldest pending hint; the group is not made when it is not there.
    async fn examine_group(&self) -> Result<(Option<Depth>, Option<u64>), QueueError> {
        let mut oldest = cmd("XPENDING");
        oldest.arg(&self.keys.stream).arg(GROUP).arg("-").arg("+").arg(1);
        let held: Vec<(String, String, u64, u64)> = match self.command(&oldest).await {
            Ok(held) => held,
            Err(error) if is_group_lost(&error) || has_code(&error, &["ERR"]) => return Ok((None, None)),
            Err(error) => return Err(error.into()),
        };
        let mut summary = cmd("XPENDING");
        summary.arg(&self.keys.stream).arg(GROUP);
        let (pending, _, _, _): (u64, Value, Value, Value) = self.command(&summary).await?;
        let length: u64 = self.command(cmd("XLEN").arg(&self.keys.stream)).await?;
        let dead: u64 = self.command(cmd("XLEN").arg(&self.keys.dead)).await?;
        let depth = Depth { waiting: length.saturating_sub(pending), pending, dead };
        Ok((Some(depth), held.first().map(|(_, _, idle, _)| *idle)))
    }
}

/// A line `name:value` of what Redis tells about itself.
fn fact(info: &str, name: &str) -> Option<String> {
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.map(|value| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::fact;

    #[test]
    fn facts_are_read_by_their_whole_name() {
        let info = "# Memory\r\nmaxmemory_human:0B\r\nmaxmemory:12\r\nmaxmemory_policy:noeviction\r\n";
        assert_eq!(fact(info, "maxmemory").as_deref(), Some("12"));
        assert_eq!(fact(info, "maxmemory_policy").as_deref(), Some("noeviction"));
        assert_eq!(fact(info, "memory"), None);
    }
}
