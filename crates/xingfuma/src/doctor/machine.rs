//! What can be said without asking anybody: keys, WeChat, the calendar, files, the disk.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Datelike, Days, Utc};
use xingfuma_app::keys::Keys;
use xingfuma_domain::deadline::Calendar;
use xingfuma_domain::scoring::china_date;

use super::{Finding, bad, warning, well};
use crate::configuration::Configuration;
use crate::rules;

/// How far ahead the working calendar is looked at; deadlines reach no farther than that.
const DAYS_AHEAD: u64 = 120;
/// A year that begins within so many days has to be known.
const DAYS_NEEDED: u64 = 30;
/// Less free space than this is little, and than that too little.
const LITTLE_SPACE: u64 = 2 << 30;
const TOO_LITTLE_SPACE: u64 = 256 << 20;

/// All of it.
pub(super) fn examine(configuration: &Configuration, now: DateTime<Utc>) -> Vec<Finding> {
    let mut findings = vec![
        keys(configuration),
        wechat(configuration),
        public_url(configuration),
        calendar(Calendar::china(), now),
        scoring_rules(configuration),
        roots(configuration),
    ];
    findings.extend(places(configuration).iter().map(|place| disk(place)));
    findings
}

fn keys(configuration: &Configuration) -> Finding {
    match Keys::load(&configuration.keys) {
        Err(error) => bad("keys", error.to_string(), "never make up a key: `xingfuma keys` prints good ones"),
        Ok(_) if !configuration.keys.data_old.is_empty() => warning(
            "keys",
            "good; XINGFUMA_KEYS__DATA_OLD is still set",
            "finish `xingfuma keys rotate`, and take the old key away two days later",
        ),
        Ok(_) => well("keys", "three, random and different"),
    }
}

fn wechat(configuration: &Configuration) -> Finding {
    if configuration.sandbox {
        let found = "people log in against the built-in stand-in";
        return warning("wechat", found, "for a demo only: take XINGFUMA_SANDBOX away in a real county");
    }
    let (appid, secret) = (&configuration.wechat.appid, &configuration.wechat.secret);
    let is_hex = |text: &str| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let advice = "set XINGFUMA_WECHAT__APPID and __SECRET to those of the mini-program (mp.weixin.qq.com)";
    if !appid.starts_with("wx") || appid.len() != 18 {
        return bad("wechat", "the appid is none of a mini-program (wx and 16 letters)", advice);
    }
    if !is_hex(secret) {
        return bad("wechat", "the secret is not 32 hexadecimal digits", advice);
    }
    well("wechat", format!("appid {appid}, with a secret"))
}

fn public_url(configuration: &Configuration) -> Finding {
    let url = configuration.public_url.as_str();
    let is_local =
        ["http://127.0.0.1", "http://localhost", "http://[::1]"].iter().any(|at| url.starts_with(at));
    if url.ends_with('/') {
        return bad(
            "public address",
            url,
            "XINGFUMA_PUBLIC_URL has no slash at its end: plates carry it for years",
        );
    }
    if url.starts_with("https://") {
        return well("public address", url);
    }
    let found = if is_local { format!("{url}, which only this machine reaches") } else { url.to_owned() };
    warning("public address", found, "set XINGFUMA_PUBLIC_URL to the https address that phones reach")
}

fn calendar(calendar: &Calendar, now: DateTime<Utc>) -> Finding {
    let today = china_date(now);
    let unknown = |days: u64| {
        let last = today.checked_add_days(Days::new(days)).unwrap_or(today);
        (today.year()..=last.year()).find(|year| !calendar.knows(*year))
    };
    let advice = "add the year's file to crates/domain/data/calendar when the State Council has announced it (each \
                  November), and deploy; until then only weekends are off";
    if let Some(year) = unknown(DAYS_NEEDED) {
        return bad("calendar", format!("holidays of {year} are not known"), advice);
    }
    match unknown(DAYS_AHEAD) {
        Some(year) => warning("calendar", format!("holidays of {year} are not known yet"), advice),
        None => well("calendar", format!("known for the next {DAYS_AHEAD} days")),
    }
}

fn scoring_rules(configuration: &Configuration) -> Finding {
    match rules::configured(configuration) {
        Err(error) => bad("scoring rules", error.to_string(), "`xingfuma score check DIR` names every fault"),
        Ok(_) => match &configuration.score.rules {
            Some(directory) => well("scoring rules", directory.display().to_string()),
            None => well("scoring rules", "the sample's"),
        },
    }
}

/// The file of the daily roots can be written to: it is tried, without writing anything.
fn roots(configuration: &Configuration) -> Finding {
    let Some(file) = &configuration.audit.roots else {
        let advice = "set XINGFUMA_AUDIT__ROOTS to a file out of reach of whoever writes to the database";
        return warning("audit roots", "no file: the ledger's daily roots stand in the log only", advice);
    };
    let there = file.exists();
    match OpenOptions::new().append(true).create(!there).open(file) {
        Ok(_) => {
            if !there {
                // Made by the trial alone. When it cannot be removed it is empty, which is no fault.
                let _ = fs::remove_file(file);
            }
            well("audit roots", file.display().to_string())
        }
        Err(error) => bad(
            "audit roots",
            format!("{}: {error}", file.display()),
            "let the program's user append to this file, or name another one; roots that are missing are added then",
        ),
    }
}

/// Directories on whose disks we write.
fn places(configuration: &Configuration) -> Vec<PathBuf> {
    let mut places = Vec::new();
    if let Some(file) = configuration.database.url.strip_prefix("sqlite://") {
        let file = Path::new(file.split('?').next().unwrap_or(file));
        places.extend(directory_of(file));
    }
    if let Some(roots) = &configuration.audit.roots {
        places.extend(directory_of(roots));
    }
    if places.is_empty() {
        places.push(std::env::temp_dir());
    }
    places.sort();
    places.dedup();
    places
}

fn directory_of(file: &Path) -> Option<PathBuf> {
    let parent = file.parent()?;
    Some(if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() })
}

fn disk(place: &Path) -> Finding {
    match rustix::fs::statvfs(place) {
        Ok(facts) => space(place, facts.f_bavail.saturating_mul(facts.f_frsize)),
        Err(error) => {
            bad("disk", format!("{}: {error}", place.display()), "make the directory, or name another")
        }
    }
}

fn space(place: &Path, free: u64) -> Finding {
    let found = format!("{} MiB free in {}", free >> 20, place.display());
    match free {
        ..TOO_LITTLE_SPACE => bad("disk", found, "make room at once: without it nothing is written any more"),
        TOO_LITTLE_SPACE..LITTLE_SPACE => warning("disk", found, "make room soon"),
        _ => well("disk", found),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    fn moment(text: &str) -> DateTime<Utc> {
        text.parse().expect("a moment")
    }

    #[test]
    fn a_calendar_that_ends_is_told_in_time() {
        let mut known = Calendar::weekends_only();
        known.learn(2026, "date,kind,name\n").expect("a file without days");
        for (at, health) in [
            ("2026-06-01T00:00:00Z", Health::Ok),
            ("2026-11-21T00:00:00Z", Health::Warning),
            ("2026-12-20T00:00:00Z", Health::Bad),
            ("2027-01-01T00:00:00Z", Health::Bad),
        ] {
            assert_eq!(calendar(&known, moment(at)).health, health, "{at}");
        }
    }

    #[test]
    fn little_space_is_told_before_there_is_none() {
        let healths = [4 << 30, 1 << 30, 1 << 20].map(|free| space(Path::new("/"), free).health);
        assert_eq!(healths, [Health::Ok, Health::Warning, Health::Bad]);
    }
}
