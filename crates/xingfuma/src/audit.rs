//! `xingfuma audit`: is the ledger what it was?

use std::path::PathBuf;

use xingfuma_app::audit::{read_heads, read_roots, take_root, write_head};
use xingfuma_app::clock::Clock;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::scoring::chain::Hash;
use xingfuma_store::Store;
use xingfuma_store::ledger::{self, roots};
use xingfuma_store::{certificates, periods, stars};

use crate::configuration::{Configuration, StartError};
use crate::{demo, running};

/// Which ledger.
#[derive(clap::Args)]
pub(crate) struct Place {
    /// The data directory of a demo; without it the configured database.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// The file of the daily roots; without it the data directory's, or the configured one.
    #[arg(long)]
    roots: Option<PathBuf>,
}

/// A ledger with what stands outside its database.
struct Books {
    store: Store,
    county: AreaCode,
    roots: Option<PathBuf>,
}

impl Place {
    /// The database and the county.
    pub(crate) async fn open_store(&self) -> Result<(Store, AreaCode), StartError> {
        let books = self.open().await?;
        Ok((books.store, books.county))
    }

    /// The configuration, with the keys of a demo where it is one.
    pub(crate) fn configuration(&self) -> Result<Configuration, StartError> {
        let Some(directory) = &self.data_dir else { return Configuration::load() };
        let mut configuration = Configuration::read()?;
        configuration.keys = demo::keys(directory, configuration.keys)?;
        Ok(configuration)
    }

    async fn open(&self) -> Result<Books, StartError> {
        let (url, configuration, configured) = match &self.data_dir {
            Some(directory) => {
                let configuration = Configuration::read()?;
                (demo::database_url(directory)?, configuration, Some(demo::roots(directory)))
            }
            None => {
                let configuration = Configuration::load()?;
                (configuration.database.url.clone(), configuration.clone(), configuration.audit.roots)
            }
        };
        let county = configuration.county()?;
        let store = running::connect(&url, 2).await?;
        Ok(Books { store, county, roots: self.roots.clone().or(configured) })
    }
}

/// Checks everything, in one snapshot: nobody who books meanwhile waits, and nothing of it is missed or half seen.
pub(crate) async fn verify(place: &Place) -> Result<(), StartError> {
    let books = place.open().await?;
    let outside = match &books.roots {
        Some(file) => Some(read_roots(file).map_err(|error| StartError::file(file, &error))?),
        None => None,
    };
    let of_county = outside.map(|mut roots| {
        roots.retain(|root| root.county == books.county);
        roots
    });
    let snapshot = books.store.snapshot().await?;
    let mut verdict = ledger::verify(&snapshot).await?;
    roots::verify(&snapshot, books.county, of_county.as_deref(), &mut verdict).await?;
    let log = xingfuma_store::audit::verify(&snapshot, books.county, &kept_heads(&books)?).await?;
    println!(
        "{} transactions, {} entries, {} accounts, {} daily roots outside the database",
        verdict.transactions,
        verdict.entries,
        verdict.accounts,
        of_county.map_or_else(|| "no file of".to_owned(), |roots| roots.len().to_string())
    );
    for fault in &verdict.faults {
        println!("{fault}");
    }
    println!("{} sealed rows of the audit log, {} wait for their seal", log.sealed, log.waiting);
    let mut lists = periods::check::faults(&snapshot, books.county).await?;
    lists.extend(stars::faults(&snapshot, books.county).await?);
    lists.extend(certificates::faults(&snapshot, books.county).await?);
    for fault in &lists {
        println!("{fault}");
    }
    let faults = (verdict.faults.len() + lists.len()) as u64 + verdict.more;
    if faults == 0 {
        println!("the ledger is in order");
    }
    match &log.fault {
        Some(fault) => println!("{fault}"),
        None => println!("the audit log is in order"),
    }
    match (faults, log.fault) {
        (0, None) => Ok(()),
        (0, Some(_)) => Err(StartError::Other("a fault in the audit log".to_owned())),
        (faults, None) => Err(StartError::Other(format!("{faults} faults in the ledger"))),
        (faults, Some(_)) => {
            Err(StartError::Other(format!("{faults} faults in the ledger, and one in the audit log")))
        }
    }
}

/// What was written down of the audit log outside the database.
fn kept_heads(books: &Books) -> Result<Vec<(i64, Hash)>, StartError> {
    let heads = match &books.roots {
        Some(file) => read_heads(file).map_err(|error| StartError::file(file, &error))?,
        None => Vec::new(),
    };
    let mut kept = Vec::with_capacity(heads.len());
    for head in heads.into_iter().filter(|head| head.county == books.county && head.seq > 0) {
        let bad = || StartError::Other(format!("the head of audit row {} is no hash", head.seq));
        let bytes: Option<Vec<u8>> = (0..head.hash.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(head.hash.get(at..at + 2)?, 16).ok())
            .collect();
        let hash = bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(bad)?;
        kept.push((head.seq, hash));
    }
    Ok(kept)
}

/// Takes the root of the day.
pub(crate) async fn root(place: &Place) -> Result<(), StartError> {
    let books = place.open().await?;
    let (roots, now) = (books.roots.as_deref(), Clock::system().now());
    let taken = take_root(&books.store, books.county, roots, now).await?;
    write_head(&books.store, books.county, roots, now).await?;
    match taken {
        Some(root) => {
            println!("root {} of {}: {} ({} accounts)", root.number, root.day, root.hash, root.accounts)
        }
        None => println!("this day has its root"),
    }
    Ok(())
}
