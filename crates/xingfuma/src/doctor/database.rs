//! What the database says: itself, its schema, its clock, and what waits in it.

use chrono::{DateTime, TimeDelta, Utc};
use xingfuma_app::clock::{Clock, OFFSET_AT_MOST_MILLIS};
use xingfuma_app::sweep::SWEEPING;
use xingfuma_domain::area::AreaCode;
use xingfuma_store::due::{self, Standing};
use xingfuma_store::grants::{self, Powers};
use xingfuma_store::{Store, connection, directory, heartbeat, migrations};

use super::{Finding, bad, in_words, since, warning, well};
use crate::configuration::Configuration;
use crate::running;

/// A sweep says every ten seconds that it lives.
const SILENT_AT_MOST: TimeDelta = TimeDelta::seconds(45);
/// What is due is done within a second or two; after this long something is wrong.
const OVERDUE_AT_MOST: TimeDelta = TimeDelta::seconds(30);
/// A clock that is off by more than this should be looked at; by [`OFFSET_AT_MOST_MILLIS`], a process goes unready.
const OFFSET_TO_LOOK_AT_MILLIS: i64 = 1_000;

/// All of it, as far as one check lets the next one be made.
pub(super) async fn examine(configuration: &Configuration, clock: &Clock) -> Vec<Finding> {
    let advice = "is it running, and does XINGFUMA_DATABASE__URL name it, with a user who may log in?";
    let store = match running::connect(&configuration.database.url, 2).await {
        Ok(store) => store,
        Err(error) => return vec![bad("database", error.to_string(), advice)],
    };
    let mut findings = Vec::new();
    match connection::version(&store).await {
        Ok(version) => findings.push(well("database", version)),
        Err(error) => return vec![bad("database", error.to_string(), advice)],
    }
    findings.push(clock_finding(&store, clock).await);
    let schema = schema(&store).await;
    let is_complete = schema.advice.is_none();
    findings.push(schema);
    let Ok(county) = configuration.county() else {
        let advice = "XINGFUMA_COUNTY__CODE is the county's six digits";
        findings.push(bad("county", "its code is no area code", advice));
        return findings;
    };
    if is_complete {
        let has_owner = configuration.database.owner_url().is_some();
        findings.extend(privileges(&store, has_owner).await);
        findings.extend(inside(&store, county, clock.now()).await);
    }
    store.close().await;
    findings
}

async fn clock_finding(store: &Store, clock: &Clock) -> Finding {
    let start = std::time::Instant::now();
    let there = match connection::clock(store).await {
        Ok(Some(there)) => there,
        Ok(None) => return well("clock", "the database has none of its own"),
        Err(error) => return bad("clock", error.to_string(), "the database does not answer"),
    };
    clock.follow(there, i64::try_from(start.elapsed().as_millis()).unwrap_or(i64::MAX));
    offset_finding(clock.offset_millis())
}

fn offset_finding(offset_millis: i64) -> Finding {
    let found = format!("the database's is {offset_millis} ms ahead of this machine's");
    let advice = "set both machines by the same time server (chrony); the database's clock rules, and a process whose \
                  own is off by more than 5 s takes no requests";
    match offset_millis.abs() {
        off if off > OFFSET_AT_MOST_MILLIS => bad("clock", found, advice),
        off if off > OFFSET_TO_LOOK_AT_MILLIS => warning("clock", found, advice),
        _ => well("clock", found),
    }
}

async fn schema(store: &Store) -> Finding {
    let advice = "take a backup, then run `xingfuma migrate`";
    let found = match migrations::compare(store).await {
        Ok(found) => found,
        Err(error) => return bad("schema", error.to_string(), advice),
    };
    if !found.foreign.is_empty() {
        let names = format!("steps of a newer program were done: {}", found.foreign.join(", "));
        return bad("schema", names, "deploy the program that did them");
    }
    match found.pending.as_slice() {
        [] => well("schema", format!("all {} steps are done", found.known)),
        pending => bad("schema", format!("still to be done: {}", pending.join(", ")), advice),
    }
}

/// Whether this process works as somebody who can change the past, and whether the triggers that refuse it are on.
/// `has_owner` says that it was given the owner's address too.
async fn privileges(store: &Store, has_owner: bool) -> Vec<Finding> {
    if !store.is_postgres() {
        return vec![well("privileges", "SQLite has none: whoever may write to its file may change it")];
    }
    let found = match grants::user(store.pool()).await {
        Ok(user) => grants::powers(store.pool(), &user).await.map(|powers| (user, powers)),
        Err(error) => Err(error),
    };
    match found {
        Ok((user, powers)) => vec![privileges_finding(&user, &powers, has_owner), triggers_finding(&powers)],
        Err(error) => vec![bad("privileges", error.to_string(), "the database does not answer")],
    }
}

fn privileges_finding(user: &str, powers: &Powers, has_owner: bool) -> Finding {
    if !powers.missing.is_empty() {
        let found = format!("\"{user}\" may not {}", some_of(&powers.missing));
        return bad(
            "privileges",
            found,
            "run `xingfuma migrate` with XINGFUMA_DATABASE__OWNER_URL: it grants them",
        );
    }
    if !powers.too_many.is_empty() {
        let found = format!("\"{user}\" may change what is append-only: {}", some_of(&powers.too_many));
        return warning(
            "privileges",
            found,
            "whoever has this password can rewrite the ledger: give the owner's address to `xingfuma migrate` alone \
             (XINGFUMA_DATABASE__OWNER_URL), and name a user of your choice in XINGFUMA_DATABASE__URL, which it makes",
        );
    }
    if has_owner {
        let found = format!("\"{user}\" may do no more than it has to, but the owner's address is here too");
        return warning("privileges", found, "give XINGFUMA_DATABASE__OWNER_URL to `xingfuma migrate` alone");
    }
    let tables = powers.append_only.len();
    well("privileges", format!("\"{user}\" owns nothing, and can only append to {tables} tables"))
}

fn triggers_finding(powers: &Powers) -> Finding {
    if powers.switched_off.is_empty() {
        return well("triggers", "all on");
    }
    bad(
        "triggers",
        format!("switched off: {}", some_of(&powers.switched_off)),
        "find out who did it and what was changed (`xingfuma audit verify`), then, as the owner of the tables: ALTER TABLE … \
         ENABLE TRIGGER …",
    )
}

/// The first of them, and how many more.
fn some_of(all: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = all.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ");
    match all.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

/// What is to be seen once the schema is there.
async fn inside(store: &Store, county: AreaCode, now: DateTime<Utc>) -> Vec<Finding> {
    let mut findings = vec![county_finding(store, county).await, writes(store, county, now).await];
    findings.push(sweep(store, county, now).await);
    match due::standing(store.pool(), county, now).await {
        Ok(standing) => findings.extend(standing_findings(&standing, now)),
        Err(error) => findings.push(bad("waiting orders", error.to_string(), "the database does not answer")),
    }
    findings
}

async fn county_finding(store: &Store, county: AreaCode) -> Finding {
    match directory::load(store.pool(), county).await {
        Ok(Some(_)) => well("county", county.to_string()),
        Ok(None) => bad(
            "county",
            format!("nothing of {county} is filled in"),
            "fill the county in, or set XINGFUMA_COUNTY__CODE to the one that is there",
        ),
        Err(error) => bad("county", error.to_string(), "the database does not answer"),
    }
}

async fn writes(store: &Store, county: AreaCode, now: DateTime<Utc>) -> Finding {
    match heartbeat::try_to_write(store, county, now).await {
        Ok(()) => well("writes", "the database takes them"),
        Err(error) => bad(
            "writes",
            error.to_string(),
            "is the database's disk full, or is this a read-only copy? Make room, or point XINGFUMA_DATABASE__URL at the \
             one that takes writes",
        ),
    }
}

async fn sweep(store: &Store, county: AreaCode, now: DateTime<Utc>) -> Finding {
    let advice =
        "start `xingfuma worker` (or `serve` without Redis); nothing that time should do is done until then";
    let beats = match heartbeat::of_role(store.pool(), county, SWEEPING).await {
        Ok(beats) => beats,
        Err(error) => return bad("sweep", error.to_string(), "the database does not answer"),
    };
    let Some(latest) = beats.first() else {
        return bad("sweep", "nobody has swept for an hour", advice);
    };
    let silent = since(latest.at, now);
    if silent > SILENT_AT_MOST {
        return bad("sweep", format!("the last sign of life is {} old", in_words(silent)), advice);
    }
    let alive = beats.iter().filter(|beat| since(beat.at, now) <= SILENT_AT_MOST).count();
    well("sweep", format!("{alive} alive, the last sign {} ago", in_words(silent)))
}

fn standing_findings(standing: &Standing, now: DateTime<Utc>) -> Vec<Finding> {
    let late = |at: Option<DateTime<Utc>>| at.map(|at| since(at, now)).filter(|span| *span > OVERDUE_AT_MOST);
    let waiting = match late(standing.oldest) {
        Some(span) => bad(
            "waiting orders",
            format!("{}; the oldest should have a team since {}", standing.waiting, in_words(span)),
            "is a worker running, and does it reach the database? Its log says why a dispatch failed",
        ),
        None => well("waiting orders", standing.waiting.to_string()),
    };
    let overdue = match late(standing.overdue_since) {
        Some(span) => bad(
            "overdue timers",
            format!("{}, the oldest by {}", standing.overdue, in_words(span)),
            "the sweep does not keep up or does not run: look at the worker's log, or start another worker",
        ),
        None => well("overdue timers", standing.overdue.to_string()),
    };
    let dead = match standing.dead {
        0 => well("dead letters", "none"),
        dead => bad(
            "dead letters",
            format!("{dead} orders are set aside"),
            "`xingfuma dead-letters list` says why; mend the cause, then `xingfuma dead-letters replay`",
        ),
    };
    vec![waiting, overdue, dead]
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    #[test]
    fn whoever_lacks_something_is_worse_off_than_whoever_may_too_much() {
        let of = |missing: &[&str], too_many: &[&str], has_owner| {
            let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
            let powers = Powers { missing: owned(missing), too_many: owned(too_many), ..Powers::default() };
            privileges_finding("desk", &powers, has_owner).health
        };
        assert_eq!(of(&[], &[], false), Health::Ok);
        assert_eq!(of(&[], &[], true), Health::Warning);
        assert_eq!(of(&[], &["it is a superuser"], false), Health::Warning);
        assert_eq!(of(&["INSERT orders"], &["it is a superuser"], true), Health::Bad);
        let many = ["a", "b", "c", "d", "e"].map(str::to_owned);
        assert_eq!(some_of(&many), "a; b; c; and 2 more");
    }

    #[test]
    fn a_clock_is_looked_at_before_it_stops_the_process() {
        let healths = [0, -1_500, 6_000].map(|millis| offset_finding(millis).health);
        assert_eq!(healths, [Health::Ok, Health::Warning, Health::Bad]);
    }
}
