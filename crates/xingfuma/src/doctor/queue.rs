//! What Redis says.

use chrono::TimeDelta;
use xingfuma_queue::RedisQueue;
use xingfuma_queue::examine::Examination;

use super::{Finding, bad, in_words, warning, well};
use crate::configuration::Configuration;
use crate::running;

/// A hint that a worker has held for longer than this was not given back by anybody.
const HELD_AT_MOST: TimeDelta = TimeDelta::seconds(30);
/// More of its memory in use than this, in percent, is much.
const MUCH_MEMORY: u64 = 80;

/// All of it; nothing where the queue lives in the one process.
pub(super) async fn examine(configuration: &Configuration) -> Vec<Finding> {
    let Some(url) = configuration.redis.url.as_deref() else { return vec![without(configuration)] };
    let Ok(county) = configuration.county() else { return Vec::new() };
    let advice = "is it running, and does XINGFUMA_REDIS__URL name it? Until then orders are found by the sweep, in 2 to 3 s";
    let queue = match RedisQueue::new(url, &running::prefix(county)) {
        Ok(queue) => queue,
        Err(error) => {
            return vec![bad("redis", error.to_string(), "XINGFUMA_REDIS__URL is redis://HOST:6379/0")];
        }
    };
    match queue.examine().await {
        Ok(found) => findings(&found),
        Err(error) => vec![bad("redis", error.to_string(), advice)],
    }
}

fn without(configuration: &Configuration) -> Finding {
    if configuration.database.url.starts_with("sqlite") {
        return well("redis", "not used: the queue lives in the one process");
    }
    warning(
        "redis",
        "not used: the queue lives in each process",
        "set XINGFUMA_REDIS__URL where several processes run",
    )
}

fn findings(found: &Examination) -> Vec<Finding> {
    let kind = if found.is_cluster { ", a node of a cluster" } else { "" };
    let mut findings = vec![well("redis", format!("Redis {}{kind}", found.version))];
    findings.push(match &found.refuses_writes {
        None => well("redis writes", "it takes them"),
        Some(why) => bad(
            "redis writes",
            why.clone(),
            "give it more memory (maxmemory), or point XINGFUMA_REDIS__URL at the one that takes writes",
        ),
    });
    findings.push(eviction(found));
    findings.push(memory(found));
    findings.push(persistence(found));
    findings.push(group(found));
    findings
}

fn eviction(found: &Examination) -> Finding {
    match found.when_full.as_deref() {
        Some("noeviction") => well("redis eviction", "noeviction"),
        Some(policy) => bad(
            "redis eviction",
            format!("maxmemory-policy is {policy}: when its memory is full it throws hints away silently"),
            "set maxmemory-policy noeviction",
        ),
        None => warning(
            "redis eviction",
            "it does not say what it does when full",
            "set maxmemory-policy noeviction",
        ),
    }
}

fn memory(found: &Examination) -> Finding {
    let used = format!("{} MiB in use", found.used_bytes >> 20);
    if found.most_bytes == 0 {
        return well("redis memory", format!("{used}, no limit"));
    }
    let percent = found.used_bytes.saturating_mul(100) / found.most_bytes;
    let found = format!("{used}, {percent} % of its limit");
    if percent > MUCH_MEMORY {
        return warning("redis memory", found, "give it more (maxmemory); when it is full hints are refused");
    }
    well("redis memory", found)
}

fn persistence(found: &Examination) -> Finding {
    if found.append_only {
        return well("redis on disk", "append-only file");
    }
    warning(
        "redis on disk",
        "it keeps nothing on disk: after a restart limits begin anew and streams are read again",
        "set appendonly yes; no order is lost without it",
    )
}

fn group(found: &Examination) -> Finding {
    let Some(depth) = found.depth else {
        let found =
            "the consumer group is not there: no worker has read from this Redis since it was emptied";
        return warning("queue", found, "start a worker, which makes it");
    };
    let text = format!("{} waiting, {} in hand, {} dead letters", depth.waiting, depth.pending, depth.dead);
    let held = found.oldest_pending_ms.and_then(|ms| i64::try_from(ms).ok()).map(TimeDelta::milliseconds);
    match held.filter(|held| *held > HELD_AT_MOST) {
        Some(held) => bad(
            "queue",
            format!("{text}; the oldest in hand since {}", in_words(held)),
            "hints of a dead worker are taken over after 3 s: is any worker running?",
        ),
        None => well("queue", text),
    }
}
