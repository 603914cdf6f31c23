//! `xingfuma keys rotate`: everybody's data key under the key in force, with progress.

use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use xingfuma_app::clock::Ids;
use xingfuma_app::keys::Keys;
use xingfuma_app::rotation::rotate_data_keys;

use crate::configuration::{Configuration, StartError};
use crate::{demo, running};

/// Rotates in the configured database, or in that of a data directory.
pub(crate) async fn run(data_dir: Option<PathBuf>) -> Result<(), StartError> {
    let (url, configuration) = match &data_dir {
        Some(directory) => (demo::database_url(directory)?, Configuration::read()?),
        None => {
            let configuration = Configuration::load()?;
            (configuration.database.url.clone(), configuration)
        }
    };
    if configuration.keys.data_old.is_empty() {
        return Err(StartError::Other(
            "XINGFUMA_KEYS__DATA_OLD is missing: the key that XINGFUMA_KEYS__DATA takes the place of"
                .to_owned(),
        ));
    }
    let keys = Keys::load(&configuration.keys)?;
    let store = running::connect(&url, 2).await?;
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("data keys {wide_bar} {pos}/{len} {elapsed}") {
        bar.set_style(style);
    }
    let progress = |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let rotated = rotate_data_keys(&store, &keys, &Ids::from_system(), &progress).await?;
    bar.finish_and_clear();
    store.close().await;
    println!("{} rewrapped, {} were under the new key already", rotated.rewrapped, rotated.kept);
    if rotated.unreadable == 0 {
        println!("no data key is under the old key any more");
        return Ok(());
    }
    Err(StartError::Other(format!(
        "{} data keys are under neither key; keep the old key and look for the one before it",
        rotated.unreadable
    )))
}
