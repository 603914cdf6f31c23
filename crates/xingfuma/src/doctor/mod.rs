//! `xingfuma doctor`: what is wrong with a county's machines, and what to do about it.
//!
//! Each check says what it found, whether that is well, and if not what to do. A check that cannot be made because another
//! one failed (no database, no schema) is left out rather than failed again. Nothing is changed: the one row that is
//! written to see whether the database takes writes is taken back, and a key in Redis lives for a second.

mod database;
mod machine;
mod queue;

use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use xingfuma_app::clock::Clock;

use crate::configuration::{Configuration, StartError};
use crate::demo;

/// How things stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Health {
    /// Nothing to do.
    Ok,
    /// It goes on, but somebody should look.
    Warning,
    /// Something is wrong.
    Bad,
}

/// What a check found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    /// The check.
    check: &'static str,
    health: Health,
    /// What there is.
    found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'static str>,
}

/// It is well.
fn well(check: &'static str, found: impl Into<String>) -> Finding {
    Finding { check, health: Health::Ok, found: found.into(), advice: None }
}

/// Somebody should look.
fn warning(check: &'static str, found: impl Into<String>, advice: &'static str) -> Finding {
    Finding { check, health: Health::Warning, found: found.into(), advice: Some(advice) }
}

/// It is wrong.
fn bad(check: &'static str, found: impl Into<String>, advice: &'static str) -> Finding {
    Finding { check, health: Health::Bad, found: found.into(), advice: Some(advice) }
}

/// A length of time as people say it.
fn in_words(span: TimeDelta) -> String {
    match span.num_seconds() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

/// How long ago a moment was, never negative.
fn since(at: DateTime<Utc>, now: DateTime<Utc>) -> TimeDelta {
    (now - at).max(TimeDelta::zero())
}

/// What is examined, with the arguments of the command.
#[derive(clap::Args)]
pub(crate) struct Patient {
    /// The data directory of a demo; without it the configured database.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Print one JSON document instead of a table.
    #[arg(long)]
    json: bool,
}

impl Patient {
    fn configuration(&self) -> Result<Configuration, StartError> {
        match &self.data_dir {
            Some(directory) => demo::configuration_of(directory),
            None => Configuration::load(),
        }
    }
}

/// Examines everything, prints it, and fails when something is wrong.
pub(crate) async fn run(patient: &Patient) -> Result<(), StartError> {
    let findings = examine(patient).await;
    let count = |health| findings.iter().filter(|finding| finding.health == health).count();
    let (ok, warnings, bad) = (count(Health::Ok), count(Health::Warning), count(Health::Bad));
    if patient.json {
        let document = serde_json::json!({ "ok": bad == 0, "findings": findings });
        println!("{}", serde_json::to_string_pretty(&document).unwrap_or_default());
    } else {
        findings.iter().for_each(print);
        println!("\n{ok} well, {warnings} to be looked at, {bad} wrong");
    }
    if bad == 0 { Ok(()) } else { Err(StartError::Other(format!("{bad} checks found something wrong"))) }
}

async fn examine(patient: &Patient) -> Vec<Finding> {
    let configuration = match patient.configuration() {
        Ok(configuration) => configuration,
        Err(error) => {
            let advice = "mend the environment or xingfuma.toml; docs/operation.md names every setting";
            return vec![bad("configuration", error.to_string(), advice)];
        }
    };
    let clock = Clock::system();
    let mut findings = vec![well("configuration", "read")];
    findings.extend(machine::examine(&configuration, clock.now()));
    findings.extend(database::examine(&configuration, &clock).await);
    findings.extend(queue::examine(&configuration).await);
    findings
}

fn print(finding: &Finding) {
    let sign = match finding.health {
        Health::Ok => "ok     ",
        Health::Warning => "look at",
        Health::Bad => "WRONG  ",
    };
    println!("{sign}  {:<16} {}", finding.check, finding.found);
    if let Some(advice) = finding.advice {
        println!("                          → {advice}");
    }
}
