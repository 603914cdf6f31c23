//! The daily root of the ledger: taken once a day, kept in the database, and written outside it, to a file that is only
//! ever appended to (or to the log, where no file is configured).
//!
//! A crash between the commit and the file leaves a root that is not in the file yet: whoever writes next writes it too.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use chrono::{DateTime, Utc};
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

impl App {
    /// Takes the ledger's root of this day, once.
    ///
    /// # Errors
    /// As [`take_root`].
    pub async fn take_daily_root(&self) -> Result<Option<Root>, AppError> {
        let file = self.settings.roots.as_deref();
        take_root(&self.store, self.settings.county, file, self.clock.now()).await
    }
}
