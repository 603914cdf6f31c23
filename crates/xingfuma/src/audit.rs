//! `xingfuma audit`: is the ledger what it was?

use std::path::PathBuf;

use xingfuma_app::audit::{read_roots, take_root};
use xingfuma_app::clock::Clock;
use xingfuma_domain::area::AreaCode;
use xingfuma_store::Store;
use xingfuma_store::ledger::{self, roots};
use xingfuma_store::periods;

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
    let periods = periods::check::faults(&snapshot, books.county).await?;
    for fault in &periods {
        println!("{fault}");
    }
    let faults = (verdict.faults.len() + periods.len()) as u64 + verdict.more;
    if faults == 0 {
        println!("the ledger is in order");
        return Ok(());
    }
    Err(StartError::Other(format!("{faults} faults in the ledger")))
}

/// Takes the root of the day.
pub(crate) async fn root(place: &Place) -> Result<(), StartError> {
    let books = place.open().await?;
    let taken = take_root(&books.store, books.county, books.roots.as_deref(), Clock::system().now()).await?;
    match taken {
        Some(root) => {
            println!("root {} of {}: {} ({} accounts)", root.number, root.day, root.hash, root.accounts)
        }
        None => println!("this day has its root"),
    }
    Ok(())
}
