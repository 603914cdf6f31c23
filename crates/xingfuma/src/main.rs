//! 幸福+码, the program: one binary in all its roles.

mod audit;
mod configuration;
mod dead_letters;
mod demo;
mod doctor;
mod messages;
mod owner;
mod record;
mod rotate;
mod rules;
mod running;
mod score;
mod simulate;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xingfuma_app::clock::Ids;
use xingfuma_app::keys::KeyTexts;

use configuration::{Configuration, StartError};

/// A placement makes and drops some hundred small things, and glibc's allocator was a quarter of what it cost the server.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What a command ends with that only the owner of the tables may run: `EX_NOPERM` of sysexits.h.
const NEEDS_THE_OWNER: u8 = 77;

#[derive(Parser)]
#[command(name = "xingfuma", version, about = "幸福+码: 点派接评晒, the volunteer services of a county")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fill in the default county and serve it from this one process, with nothing installed.
    Demo {
        /// Where the database, the keys and demo-accounts.json are kept.
        #[arg(long, default_value = "demo-data")]
        data_dir: PathBuf,
        /// The address to listen on.
        #[arg(long, default_value = "127.0.0.1:8080")]
        listen: String,
        /// Fill in and write demo-accounts.json, then end.
        #[arg(long)]
        seed_only: bool,
    },
    /// Serve the API. Without Redis this process also works and sweeps.
    Serve,
    /// Dispatch what the queue brings, do what is due, tell people.
    Worker,
    /// Bring the database's schema up to date, as the owner of its tables (XINGFUMA_DATABASE__OWNER_URL), and give the user of
    /// XINGFUMA_DATABASE__URL what it works with. Ends with 77 when the tables belong to somebody else.
    Migrate,
    /// Print fresh keys as environment variables; or rotate.
    Keys {
        #[command(subcommand)]
        command: Option<KeysCommand>,
    },
    /// Write the specification, or compare it with a file.
    Openapi {
        /// Compare with this file instead of printing.
        #[arg(long)]
        check: Option<PathBuf>,
    },
    /// Ask a running server whether it is ready; for health checks.
    Healthcheck {
        /// The address to ask.
        #[arg(long, default_value = "http://127.0.0.1:8080/readyz")]
        url: String,
    },
    /// Run the default county in memory: our policy of dispatching against simpler ones; prints a table (Markdown).
    Simulate {
        /// Days of demand: 1 for a day, 30 for a month.
        #[arg(long, default_value_t = 30)]
        days: usize,
        /// How many seeds, from 1 on; the same seeds give the same figures.
        #[arg(long, default_value_t = 20)]
        seeds: u64,
        /// Threads; the figures do not depend on it.
        #[arg(long, default_value_t = 2)]
        threads: usize,
        /// Write the picture (SVG) here too.
        #[arg(long)]
        svg: Option<PathBuf>,
    },
    /// Check and try the rules of scoring; close and seal its months; write the volunteer record.
    Score {
        #[command(subcommand)]
        command: score::ScoreCommand,
    },
    /// Say what is wrong with the machines, and what to do about it; ends with 1 when something is.
    Doctor {
        #[command(flatten)]
        patient: doctor::Patient,
    },
    /// Orders that were set aside because handling them failed again and again: look at them, give them back.
    DeadLetters {
        #[command(subcommand)]
        command: dead_letters::DeadLettersCommand,
    },
    /// Check the books.
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
}

#[derive(Subcommand)]
enum KeysCommand {
    /// Wrap the data key of everybody under XINGFUMA_KEYS__DATA; XINGFUMA_KEYS__DATA_OLD is the key before it. May be killed
    /// and started again.
    Rotate {
        /// The data directory of a demo; without it the configured database.
        #[arg(long)]
        data_dir: Option<PathBuf>,
    },
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Check chains, sums, balances and daily roots of the ledger; ends with 1 and names the first bad row of each
    /// account when something is wrong.
    Verify {
        #[command(flatten)]
        place: audit::Place,
    },
    /// Take the ledger's root of this day, if nobody has, and append what is missing to the file of roots.
    Root {
        #[command(flatten)]
        place: audit::Place,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::Keys { command: None } => {
            print_keys();
            Ok(())
        }
        Command::Openapi { check } => openapi(check),
        Command::Simulate { days, seeds, threads, svg } => {
            simulate::run(days, seeds, threads, svg.as_deref())
        }
        command => running::on_runtime(run(command)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xingfuma: {error}");
            match error {
                StartError::NeedsTheOwner(_) => ExitCode::from(NEEDS_THE_OWNER),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

async fn run(command: Command) -> Result<(), StartError> {
    match command {
        Command::Demo { data_dir, listen, seed_only } => demo::run(&data_dir, &listen, seed_only).await,
        Command::Serve => running::serve(Configuration::load()?).await,
        Command::Worker => running::work(Configuration::load()?).await,
        Command::Migrate => owner::migrate(&Configuration::load()?).await,
        Command::Healthcheck { url } => healthcheck(&url).await,
        Command::Audit { command: AuditCommand::Verify { place } } => audit::verify(&place).await,
        Command::Audit { command: AuditCommand::Root { place } } => audit::root(&place).await,
        Command::Score { command } => score::run(command).await,
        Command::Doctor { patient } => doctor::run(&patient).await,
        Command::DeadLetters { command } => dead_letters::run(command).await,
        Command::Keys { command: Some(KeysCommand::Rotate { data_dir }) } => rotate::run(data_dir).await,
        Command::Keys { command: None } | Command::Openapi { .. } | Command::Simulate { .. } => Ok(()),
    }
}

fn print_keys() {
    let keys = KeyTexts::generate(&Ids::from_system());
    println!("XINGFUMA_KEYS__DATA={}", keys.data);
    println!("XINGFUMA_KEYS__TOKEN={}", keys.token);
    println!("XINGFUMA_KEYS__INDEX={}", keys.index);
}

fn openapi(check: Option<PathBuf>) -> Result<(), StartError> {
    let document = xingfuma_api::document().map_err(|error| StartError::Other(error.to_string()))?;
    let Some(path) = check else {
        print!("{document}");
        return Ok(());
    };
    let committed = std::fs::read_to_string(&path).map_err(|error| StartError::file(&path, &error))?;
    if committed == document {
        println!("{} is up to date", path.display());
        return Ok(());
    }
    Err(StartError::Other(format!(
        "{0} has drifted from the program; renew it: xingfuma openapi > {0}",
        path.display()
    )))
}

async fn healthcheck(url: &str) -> Result<(), StartError> {
    // Plain http to this machine: no TLS is needed, but the client wants to know its provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let bad = |error: reqwest::Error| StartError::Other(error.without_url().to_string());
    let client =
        reqwest::Client::builder().timeout(std::time::Duration::from_secs(3)).build().map_err(bad)?;
    let answer = client.get(url).send().await.map_err(bad)?;
    answer.error_for_status().map_err(bad)?;
    Ok(())
}
