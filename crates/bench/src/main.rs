//! The bench of 幸福+码: one command that starts everything, measures, and prints a table.
//!
//! ```text
//! cargo run --release -p xingfuma-bench                    # everything, about half an hour on two cores
//! cargo run --release -p xingfuma-bench -- --short         # a look whether it runs; its figures mean nothing
//! cargo run --release -p xingfuma-bench -- --only place    # one part: place, steps, booking, lives, read, lists, dispatch, …
//! ```
//!
//! It starts its own PostgreSQL and Redis (the harness of the tests), the real `xingfuma serve` and `worker`, and the
//! [`floor`]. Sides alternate in adjacent rounds ([`duel`]); the load generator ([`load`]) runs in this process, in one
//! thread. What is wanted of each figure stands in the code beside it and comes from the project's issue on speed.

mod booking;
mod dispatch;
mod duel;
mod floor;
mod growth;
mod http;
mod listener;
mod lives;
mod load;
mod months;
mod peers;
mod people;
mod picture;
mod place;
mod reads;
mod report;
mod requests;
mod sample;
mod slow_disk;
mod small;
mod stage;
mod usage;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use place::Pace;
use report::Report;
use stage::Stage;

#[derive(Parser)]
#[command(
    name = "xingfuma-bench",
    about = "Measures 幸福+码 against a floor on its own PostgreSQL and Redis"
)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    /// See whether it runs, in less than a minute: one short round each, few orders. The figures mean nothing.
    #[arg(long)]
    short: bool,
    /// Measure these parts only.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Rounds a comparison; the verdict is the median of their ratios.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Milliseconds a round.
    #[arg(long, default_value_t = 1_500)]
    round_millis: u64,
    /// Orders filled in before lists and growth are measured.
    #[arg(long, default_value_t = 1_000_000)]
    orders: u64,
    /// As `--orders 10000000`: some 100 GB of disk, and hours.
    #[arg(long)]
    large: bool,
    /// Orders of the backlog.
    #[arg(long, default_value_t = 100_000)]
    backlog: usize,
    /// Add a millisecond to every sync of the disk; measures placing only.
    #[arg(long)]
    slow_disk: bool,
    /// Fetch the queues that ours is compared with, and do nothing else.
    #[arg(long)]
    set_up_peers: bool,
    /// Write bench.md, bench.json and bench.svg into this directory.
    #[arg(long)]
    write_docs: Option<Option<PathBuf>>,
}

#[derive(Subcommand)]
enum Role {
    /// The floor server, which the bench starts itself.
    #[command(hide = true)]
    Floor {
        #[arg(long)]
        listen: String,
        #[arg(long)]
        database: String,
        /// What it writes, as the bench has read it from the product.
        #[arg(long)]
        life: PathBuf,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// 点 against the floor at 1, 32 and 128 connections.
    Place,
    /// Accept, complete, rate against the floor.
    Steps,
    /// What booking points adds to completing.
    Booking,
    /// Whole lives against the floor.
    Lives,
    /// Reading one order against the floor.
    Read,
    /// From the scan to the dispatch.
    Dispatch,
    /// A backlog for one worker.
    Backlog,
    /// Placing with two server processes against one.
    Servers,
    /// Lists, board and scan with many orders stored; start-up after it.
    Lists,
    /// Steps and reads with 10,000 orders stored and with many.
    Growth,
    /// A year of events in one table, and in a partition a month.
    Months,
    /// The queue alone, beside other queues on the same Redis.
    Queue,
    /// SQLite.
    Sqlite,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Role::Floor { listen, database, life }) = arguments.role {
        return ending(run_floor(&listen, database, &life));
    }
    if arguments.set_up_peers {
        return ending(peers::set_up());
    }
    if let Err(error) = build_product() {
        return ending(Err(error));
    }
    if arguments.slow_disk && std::env::var_os("LD_PRELOAD").is_none() {
        let words: Vec<String> = std::env::args().skip(1).collect();
        return ending(slow_disk::run(&words));
    }
    // One thread: the load generator should take as little of the machine as it can.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => ending(runtime.block_on(measure(&arguments))),
        Err(error) => ending(Err(error.to_string())),
    }
}

fn ending(done: Result<(), String>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xingfuma-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_floor(listen: &str, database: String, life: &PathBuf) -> Result<(), String> {
    let text = std::fs::read(life).map_err(|error| error.to_string())?;
    let life = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    actix_web::rt::System::new()
        .block_on(floor::serve(listen, database, life))
        .map_err(|error| error.to_string())
}

/// `cargo run -p xingfuma-bench` builds the bench alone; what it measures must be as fresh.
fn build_product() -> Result<(), String> {
    let Some(cargo) = std::env::var_os("CARGO") else { return Ok(()) };
    let profile: &[&str] = if cfg!(debug_assertions) { &[] } else { &["--release"] };
    let built = std::process::Command::new(cargo)
        .args(["build", "--quiet", "--package", "xingfuma"])
        .args(profile)
        .status()
        .map_err(|error| error.to_string())?;
    if built.success() { Ok(()) } else { Err("the product does not build".to_owned()) }
}

impl Arguments {
    fn wants(&self, part: Part) -> bool {
        if self.slow_disk {
            return part == Part::Place;
        }
        self.only.is_empty() || self.only.contains(&part)
    }

    fn pace(&self) -> Pace {
        if self.short {
            return Pace { rounds: 1, round: Duration::from_millis(200) };
        }
        Pace { rounds: self.rounds, round: Duration::from_millis(self.round_millis) }
    }

    fn orders(&self) -> u64 {
        match (self.short, self.large) {
            (true, _) => 2_000,
            (false, true) => 10_000_000,
            (false, false) => self.orders,
        }
    }

    fn backlog(&self) -> usize {
        if self.short { 300 } else { self.backlog }
    }

    /// Orders a round of commands; whole lives are fewer because everybody has to be told of them.
    fn a_round(&self, lives: bool) -> usize {
        match (self.short, lives) {
            (true, _) => 30,
            (false, true) => 400,
            (false, false) => 2_500,
        }
    }

    /// Where the documentation is, if it is to be written.
    fn documents(&self) -> Option<PathBuf> {
        let directory = self.write_docs.as_ref()?.clone();
        Some(directory.unwrap_or_else(|| PathBuf::from("docs/bench")))
    }
}

async fn measure(arguments: &Arguments) -> Result<(), String> {
    let mut report = Report {
        machine: usage::machine(),
        load_before: usage::load_average(),
        arguments: std::env::args().skip(1).collect::<Vec<_>>().join(" "),
        ..Report::default()
    };
    // All but SQLite need the two services.
    if Part::value_variants().iter().any(|part| *part != Part::Sqlite && arguments.wants(*part)) {
        let mut stage = Stage::set().await;
        report.services = services(&stage);
        measure_on(&mut stage, arguments, &mut report).await;
    }
    if arguments.wants(Part::Sqlite) {
        let pace = arguments.pace();
        small::measure_sqlite(pace.rounds.min(5), pace.round, &mut report).await;
    }
    println!("\n{}", report.table());
    match arguments.documents() {
        Some(directory) => report.write(&directory).map_err(|error| error.to_string()),
        None => Ok(()),
    }
}

async fn measure_on(stage: &mut Stage, arguments: &Arguments, report: &mut Report) {
    let pace = arguments.pace();
    if arguments.wants(Part::Place) {
        // With a slow disk the issue wants less.
        place::measure(stage, pace, if arguments.slow_disk { 1.3 } else { 1.5 }, report).await;
    }
    if arguments.wants(Part::Steps) {
        lives::measure_steps(stage, pace.rounds, arguments.a_round(false), report).await;
    }
    if arguments.wants(Part::Booking) {
        booking::measure(stage, pace.rounds, arguments.short, report).await;
    }
    if arguments.wants(Part::Lives) {
        lives::measure_whole(stage, pace.rounds, arguments.a_round(true), report).await;
    }
    if arguments.wants(Part::Read) {
        reads::measure_one(stage, pace, report).await;
    }
    if arguments.wants(Part::Dispatch) {
        let during = if arguments.short { Duration::from_millis(300) } else { Duration::from_secs(10) };
        dispatch::measure_latency(stage, during, report).await;
    }
    if arguments.wants(Part::Backlog) {
        dispatch::measure_backlog(stage, arguments.backlog(), report).await;
    }
    // Memory means something after a load, and before the worker is started anew.
    let loads = [Part::Place, Part::Steps, Part::Lives, Part::Dispatch];
    if !arguments.slow_disk && loads.into_iter().all(|part| arguments.wants(part)) {
        small::note_memory(stage, report);
    }
    if arguments.wants(Part::Queue) {
        let (rounds, jobs) = if arguments.short { (1, 2_000) } else { (5, 50_000) };
        peers::measure(stage, rounds, jobs, report).await;
    }
    if arguments.wants(Part::Servers) {
        place::measure_two_servers(stage, pace, report).await;
    }
    stored(stage, arguments, report).await;
}

/// What is asked of a database with many orders.
async fn stored(stage: &mut Stage, arguments: &Arguments, report: &mut Report) {
    let pace = arguments.pace();
    let during = if arguments.short { Duration::from_millis(300) } else { Duration::from_secs(10) };
    if arguments.wants(Part::Months) {
        months::measure(stage, arguments.orders(), report).await;
    }
    if arguments.wants(Part::Growth) {
        growth::measure(stage, (pace.rounds.min(5), during / 2), arguments.orders(), report).await;
    }
    if arguments.wants(Part::Lists) {
        if !arguments.wants(Part::Growth) {
            reads::fill(stage, 0, arguments.orders()).await;
        }
        reads::measure_lists(stage, during, report).await;
        small::measure_start(stage, pace.rounds.min(5), report);
    }
}

fn services(stage: &Stage) -> Vec<String> {
    let postgres = stage.fleet.sql("SHOW server_version");
    let redis = stage.fleet.redis.command(&["INFO", "server"]).unwrap_or_default();
    let redis = redis.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or("?").to_owned();
    vec![format!("PostgreSQL {postgres}, fsync on"), format!("Redis {redis}")]
}
