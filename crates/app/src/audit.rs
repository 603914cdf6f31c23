//! The daily root of the ledger: taken once a day, kept in the database, and written outside it, to a file that is only
//! ever appended to (or to the log, where no file is configured).
//!
//! A crash between the commit and the file leaves a root that is not in the file yet: whoever writes next writes it too.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::scoring::china_date;
use xingfuma_store::Store;
use xingfuma_store::ledger::roots::{self, Root};

use crate::{App, AppError};

/// The lines of a file of roots, in their order; none where there is no file yet.
///
/// # Errors
/// When the file cannot be read, or a line of it is no root.
pub fn read_roots(file: &Path) -> io::Result<Vec<Root>> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let bad = |(line, error): (usize, serde_json::Error)| {
        io::Error::new(io::ErrorKind::InvalidData, format!("line {}: {error}", line + 1))
    };
    text.lines()
        .enumerate()
        .map(|(line, text)| serde_json::from_str(text).map_err(|error| bad((line, error))))
        .collect()
}

fn append(file: &Path, county: AreaCode, roots: &[Root]) -> io::Result<()> {
    let last = read_roots(file)?.iter().filter(|root| root.county == county).map(|root| root.number).max();
    let mut lines = String::new();
    for root in roots.iter().filter(|root| last.is_none_or(|last| root.number > last)) {
        lines.push_str(&serde_json::to_string(root)?);
        lines.push('\n');
    }
    if lines.is_empty() {
        return Ok(());
    }
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    file.write_all(lines.as_bytes())?;
    file.sync_all()
}

/// Takes the root of the day, if there is none yet, and writes to the file what is not in it. Answers the root if it
/// was taken now.
///
/// # Errors
/// When the database fails, or the file cannot be written.
pub async fn take_root(
    store: &Store,
    county: AreaCode,
    file: Option<&Path>,
    now: DateTime<Utc>,
) -> Result<Option<Root>, AppError> {
    let taken = roots::take(store, county, china_date(now), now).await?;
    if let Some(root) = &taken {
        tracing::info!(
            county = %root.county, number = root.number, day = %root.day, accounts = root.accounts,
            hash = root.hash, "the ledger's daily root"
        );
    }
    if let Some(file) = file {
        let all = roots::after(store.pool(), county, 0).await?;
        append(file, county, &all)
            .map_err(|error| AppError::Internal(format!("{}: {error}", file.display())))?;
    }
    Ok(taken)
}

/// How far the audit log went at a moment, as it is written down outside the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// The county.
    pub county: AreaCode,
    /// The number of the last sealed row.
    pub seq: i64,
    /// When it was written down.
    pub at: DateTime<Utc>,
    /// The hash of that row's link, in hexadecimal.
    pub hash: String,
}

/// The file of the audit log's heads: beside that of the ledger's roots.
fn heads_file(roots: &Path) -> PathBuf {
    roots.with_file_name("audit-heads.jsonl")
}

/// The heads of the audit log that were written down beside this file of roots; none where there is no file yet.
///
/// # Errors
/// When the file cannot be read, or a line of it is no head.
pub fn read_heads(roots: &Path) -> io::Result<Vec<AuditHead>> {
    let text = match fs::read_to_string(heads_file(roots)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    text.lines().map(|line| serde_json::from_str(line).map_err(io::Error::from)).collect()
}

/// Writes down how far the audit log goes: to the log, and to a file beside that of the roots.
///
/// # Errors
/// When the database fails, or the file cannot be written.
pub async fn write_head(
    store: &Store,
    county: AreaCode,
    roots: Option<&Path>,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let chain = xingfuma_store::audit::head(store.pool(), county).await?;
    let hash = chain.head.iter().map(|byte| format!("{byte:02x}")).collect();
    let head = AuditHead { county, seq: chain.seq, at, hash };
    tracing::info!(%county, seq = head.seq, hash = head.hash, "the audit log's daily head");
    let Some(roots) = roots else { return Ok(()) };
    let file = heads_file(roots);
    let written = || -> io::Result<()> {
        let mut line = serde_json::to_string(&head)?;
        line.push('\n');
        let mut file = OpenOptions::new().create(true).append(true).open(&file)?;
        file.write_all(line.as_bytes())?;
        file.sync_all()
    };
    written().map_err(|error| AppError::Internal(format!("{}: {error}", file.display())))
}

impl App {
    /// Takes the ledger's root of this day, once.
    ///
    /// # Errors
    /// As [`take_root`].
    pub async fn take_daily_root(&self) -> Result<Option<Root>, AppError> {
        let file = self.settings.roots.as_deref();
        let taken = take_root(&self.store, self.settings.county, file, self.clock.now()).await?;
        if taken.is_some() {
            write_head(&self.store, self.settings.county, file, self.clock.now()).await?;
        }
        Ok(taken)
    }
}
