//! `xingfuma score`: rules are checked and tried, a month is closed and sealed, the volunteer record is written.

use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use xingfuma_app::{AppError, period};
use xingfuma_domain::scoring::{NOTICE_WORKING_DAYS_MOST, YearMonth};
use xingfuma_store::periods::PeriodRow;

use crate::audit::Place;
use crate::configuration::StartError;
use crate::rules;

/// What is done to a month.
#[derive(clap::Subcommand)]
pub(crate) enum ScoreCommand {
    /// Close a month: no more claims about it, its list is made and shown. May be killed and run again; it goes on.
    Close {
        /// The month, such as 2026-10.
        month: YearMonth,
        /// Working days of the public notice.
        #[arg(long, default_value_t = xingfuma_domain::scoring::NOTICE_WORKING_DAYS)]
        working_days: u32,
        /// Leave claims that wait for a decision to the next period, instead of refusing.
        #[arg(long)]
        leave_waiting: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Check rule files; names file, line and field of everything that is wrong.
    Check {
        /// Sheets (CSV), or directories of them.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Replay a month under rules that are not in force yet: what would have been given.
    Preview {
        /// Sheets (CSV), or directories of them.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The month, such as 2026-10; without it the one before this.
        #[arg(long)]
        month: Option<YearMonth>,
        #[command(flatten)]
        place: Place,
    },
    /// Write the volunteer record: people, teams, projects, training, awards, hours, ratings; a file each.
    Record {
        #[command(flatten)]
        record: crate::record::RecordArguments,
        #[command(flatten)]
        place: Place,
    },
    /// Seal a month whose public notice is over.
    Seal {
        /// The month, such as 2026-10.
        month: YearMonth,
        #[command(flatten)]
        place: Place,
    },
}

/// Does it.
pub(crate) async fn run(command: ScoreCommand) -> Result<(), StartError> {
    match command {
        ScoreCommand::Close { month, working_days, leave_waiting, place } => {
            if !(1..=NOTICE_WORKING_DAYS_MOST).contains(&working_days) {
                let text = format!("a public notice runs for 1 to {NOTICE_WORKING_DAYS_MOST} working days");
                return Err(StartError::Other(text));
            }
            let (store, county) = place.open_store().await?;
            let now = period::moment(&store).await?;
            let bar = progress_bar();
            let progress = |done: u64, whole: u64| {
                bar.set_length(whole);
                bar.set_position(done);
            };
            let closed =
                period::close(&store, county, month, working_days, leave_waiting, now, &progress).await;
            bar.finish_and_clear();
            let row = closed.map_err(in_words)?;
            println!(
                "{month}: {} lines, {} points; public until {}; list {}",
                row.line_count,
                row.points,
                row.notice_ends_at.map(|at| at.to_rfc3339()).unwrap_or_default(),
                hex(row.list_hash.as_deref()),
            );
        }
        ScoreCommand::Record { record, place } => crate::record::run(&record, &place).await?,
        ScoreCommand::Check { files } => rules::check(&files)?,
        ScoreCommand::Preview { files, month, place } => {
            let (store, county) = place.open_store().await?;
            rules::preview(&store, county, &files, month).await?;
        }
        ScoreCommand::Seal { month, place } => {
            let (store, county) = place.open_store().await?;
            let row: PeriodRow =
                period::seal(&store, county, month, period::moment(&store).await?).await.map_err(in_words)?;
            println!("{month}: sealed {}", hex(row.seal.as_deref()));
        }
    }
    Ok(())
}

fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} {elapsed}") {
        bar.set_style(style);
    }
    bar
}

fn hex(hash: Option<&[u8]>) -> String {
    hash.unwrap_or_default().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a refusal means to somebody at a terminal.
fn in_words(error: AppError) -> StartError {
    let text = match &error {
        AppError::Conflict("period_not_over") => "the month is not over",
        AppError::Conflict("period_closed") => "the period is closed already",
        AppError::Conflict("period_not_next") => {
            "periods are closed and sealed one after the other; this one is not next"
        }
        AppError::Conflict("claims_waiting") => {
            "claims about this month wait for a decision; decide them, or leave them to the next period (--leave-waiting)"
        }
        AppError::Conflict("notice_runs") => "the public notice is not over",
        AppError::Conflict("period_not_frozen") => "there is no list yet: run `xingfuma score close`",
        AppError::NotFound => "there is no such period",
        _ => return error.into(),
    };
    StartError::Other(text.to_owned())
}
