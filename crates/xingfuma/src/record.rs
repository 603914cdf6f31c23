//! `xingfuma score record`: the volunteer record as files, written piece by piece.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use tokio::sync::mpsc;
use xingfuma_app::clock::Ids;
use xingfuma_app::directory::Directory;
use xingfuma_app::keys::Keys;
use xingfuma_app::record::{self, RecordRequest, Source};
use xingfuma_app::{AppError, period};
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::record::{Format, Part};
use xingfuma_store::audit::AuditEntry;

use crate::audit::Place;
use crate::configuration::StartError;
use crate::rules;

/// What is written.
#[derive(clap::Args)]
pub(crate) struct RecordArguments {
    /// The first day, such as 2026-01-01.
    #[arg(long)]
    from: NaiveDate,
    /// The last day.
    #[arg(long)]
    to: NaiveDate,
    /// The directory that gets the files; it is made.
    #[arg(long)]
    out: PathBuf,
    /// Only this area; the county where none is named.
    #[arg(long)]
    area: Option<AreaCode>,
    /// JSON instead of CSV.
    #[arg(long)]
    json: bool,
    /// Open names and phones; asks for a reason.
    #[arg(long)]
    with_names: bool,
    /// Why; kept in the audit log.
    #[arg(long, default_value = "")]
    reason: String,
}

/// Writes every part.
pub(crate) async fn run(arguments: &RecordArguments, place: &Place) -> Result<(), StartError> {
    let configuration = place.configuration()?;
    let keys = Keys::load(&configuration.keys)?;
    let book = rules::configured(&configuration)?;
    let (store, county) = place.open_store().await?;
    let rows = xingfuma_store::directory::load(store.pool(), county).await?;
    let rows = rows.ok_or_else(|| StartError::Other("the county was not filled in".to_owned()))?;
    let directory = Directory::new(rows)?;
    let source = Source { store: &store, county, directory: &directory, rules: &book, keys: &keys };
    fs::create_dir_all(&arguments.out).map_err(|error| StartError::file(&arguments.out, &error))?;
    let (ids, now) = (Ids::from_system(), period::moment(&store).await?);
    for part in Part::ALL {
        let request = RecordRequest {
            part,
            format: if arguments.json { Format::Json } else { Format::Csv },
            area: arguments.area.unwrap_or(county),
            from: arguments.from,
            to: arguments.to,
            with_names: arguments.with_names,
            reason: arguments.reason.clone(),
        };
        let reason = request.check().map_err(|_| {
            StartError::Other(
                "the span is not as it should be, or names are opened without a reason".to_owned(),
            )
        })?;
        let line = AuditEntry {
            id: ids.id(now),
            county,
            at: now,
            person: None,
            action: request.action(),
            resource: ids.id(now),
            subject: None,
            reason: Some(request.noted(reason.as_deref())),
        };
        record::note(&store, line).await?;
        let file = arguments.out.join(format!("{}.{}", part.as_str(), request.format.as_str()));
        let written = to_file(&source, &request, &file).await?;
        println!("{}: {written} rows", file.display());
    }
    store.close().await;
    Ok(())
}

async fn to_file(source: &Source<'_>, request: &RecordRequest, path: &Path) -> Result<u64, StartError> {
    let bad = |error: std::io::Error| StartError::file(path, &error);
    let mut file = File::create(path).map_err(bad)?;
    let (out, mut pieces) = mpsc::channel::<Result<String, AppError>>(2);
    let writing = async {
        let rows = record::write(source, request, &out).await;
        drop(out);
        rows
    };
    let taking = async {
        while let Some(piece) = pieces.recv().await {
            file.write_all(piece?.as_bytes()).map_err(bad)?;
        }
        file.sync_all().map_err(bad)
    };
    let (rows, taken) = tokio::join!(writing, taking);
    taken?;
    Ok(rows?)
}
