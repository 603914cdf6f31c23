//! The program itself, as a child of the test process: alone as a demo, or as a fleet of servers and workers.
//!
//! The binary is the one that was built next to the test program. Like the services, every process of it is killed when
//! its value is dropped or the test process ends (see [`crate::services`]); what it wrote to its log is in the panic's
//! message when it does not start.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::client::{Accounts, Client};
use crate::services::child::{Server, dying_with_its_parent};
use crate::services::{LOOK_AGAIN, STARTS, free_port, last_lines};

mod demo;
mod fleet;

pub use demo::Demo;
pub use fleet::Fleet;

/// The folder of photos, beside the database or in a fleet's home.
const MEDIA: &str = "media";
/// The database of a fleet.
const DATABASE: &str = "county";
/// Who a fleet's servers and workers are in its PostgreSQL, which makes him when the county is filled in.
pub const RUNTIME_ROLE: &str = "county_runtime";
/// How long a program may take to be ready. A demo first fills in its county, which takes the unoptimised build most of
/// a minute, and longer on a machine that does something else besides.
const PROGRAM_READY_WITHIN: Duration = Duration::from_secs(240);
/// How long a program may take to finish what is in hand when it is asked to end.
const ENDS_WITHIN: Duration = Duration::from_secs(40);
/// How long to wait before looking at a program again: its answer costs more than a service's.
const LOOK_AT_PROGRAM_AGAIN: Duration = Duration::from_millis(50);

/// The binary that was built with this test.
fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("the test has a path");
    let beside = test.ancestors().skip(1).map(|directory| directory.join("xingfuma"));
    beside.into_iter().find(|binary| binary.is_file()).unwrap_or_else(|| {
        panic!(
            "the program `xingfuma` is not next to {}: run `tests/run`, which builds it before the tests \
             (or `cargo build -p xingfuma`)",
            test.display()
        )
    })
}

/// The program with its arguments and nothing of the tester's own configuration.
#[must_use]
pub fn command(arguments: &[&str], settings: &[(String, String)]) -> Command {
    let mut command = Command::new("setpriv");
    dying_with_its_parent(&mut command).arg(binary()).args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("XINGFUMA_") {
            command.env_remove(name);
        }
    }
    command.envs(settings.iter().map(|(name, value)| (name, value)));
    command
}

/// One process of the program, which can be killed and started again as it was.
#[derive(Debug)]
pub struct Process {
    arguments: Vec<String>,
    settings: Vec<(String, String)>,
    log: PathBuf,
    /// How long its log was when it was started last.
    log_before: u64,
    /// Where it answers; none for a worker.
    base: Option<String>,
    server: Option<Server>,
}

impl Process {
    fn start(
        arguments: Vec<String>,
        settings: Vec<(String, String)>,
        log: PathBuf,
        base: Option<String>,
    ) -> Self {
        let mut process = Self { arguments, settings, log, log_before: 0, base, server: None };
        process.run();
        process
    }

    /// Kills it as a power cut would (`SIGKILL`) and waits for its end.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Makes it stand still (`SIGSTOP`): its connections stay open, and it does nothing.
    ///
    /// # Panics
    /// When it does not run.
    pub fn stop(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Ends the standing still (`SIGCONT`).
    ///
    /// # Panics
    /// When it does not run.
    pub fn cont(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Waits until a worker that was started says that it works. One that meets a database that is away while it starts
    /// ends, and is started again, as whoever keeps it running would.
    ///
    /// # Panics
    /// When it does not come to that.
    pub fn wait_until_working(&mut self) {
        let begun = Instant::now();
        while !self.says("\"message\":\"working\"") {
            if !self.is_running() {
                self.start_again();
            }
            assert!(begun.elapsed() < PROGRAM_READY_WITHIN, "it does not work:\n{}", self.last_lines());
            sleep(LOOK_AT_PROGRAM_AGAIN);
        }
    }

    /// Whether its log says so since it was started last.
    fn says(&self, word: &str) -> bool {
        let log = fs::read(&self.log).unwrap_or_default();
        let since = usize::try_from(self.log_before).unwrap_or(usize::MAX).min(log.len());
        String::from_utf8_lossy(&log[since..]).contains(word)
    }

    /// Asks it to end (`SIGTERM`), and waits until it has.
    ///
    /// # Panics
    /// When it does not end.
    pub fn terminate(&mut self) {
        self.signal(Signal::SIGTERM);
        let begun = Instant::now();
        while self.is_running() {
            assert!(
                begun.elapsed() < ENDS_WITHIN,
                "it does not end; its log ends with:\n{}",
                self.last_lines()
            );
            sleep(LOOK_AGAIN);
        }
        self.server = None;
    }

    fn signal(&self, signal: Signal) {
        self.server.as_ref().expect("it runs").signal(signal);
    }

    /// Starts it again as it was, and waits until it is ready; kills it before if it runs.
    ///
    /// # Panics
    /// When it does not get ready.
    pub fn restart(&mut self) {
        self.kill();
        self.run();
        self.wait_until_ready();
    }

    /// Starts it again as it was, at once and without waiting; kills it before if it runs.
    pub fn start_again(&mut self) {
        self.kill();
        self.run();
    }

    /// Where it answers, such as `http://127.0.0.1:8080`.
    ///
    /// # Panics
    /// When it is a worker.
    #[must_use]
    pub fn base(&self) -> &str {
        self.base.as_deref().expect("a worker answers nobody")
    }

    /// Its process number while it runs.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.server.as_ref().map(Server::process_id)
    }

    /// Whether it has neither been killed nor ended by itself.
    pub fn is_running(&mut self) -> bool {
        self.server.as_mut().is_some_and(Server::is_running)
    }

    /// The end of its log.
    #[must_use]
    pub fn last_lines(&self) -> String {
        last_lines(&self.log)
    }

    fn run(&mut self) {
        let log = File::options().create(true).append(true).open(&self.log).expect("a log");
        self.log_before = log.metadata().expect("its length").len();
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let mut command = command(&arguments, &self.settings);
        command.stdout(log.try_clone().expect("the log again")).stderr(log);
        self.server = Some(Server::start(command));
    }

    fn wait_until_ready(&mut self) {
        assert!(
            self.gets_ready(),
            "{:?} did not get ready; its log ends with:\n{}",
            self.arguments,
            self.last_lines()
        );
    }

    /// Waits; answers `false` when it ended instead, or took too long.
    fn gets_ready(&mut self) -> bool {
        let Some(base) = self.base.clone() else { return self.is_running() };
        let anonymous = Client::anonymous(&base);
        let begun = Instant::now();
        while begun.elapsed() < PROGRAM_READY_WITHIN && self.is_running() {
            // Another process may have been quicker to take the port: what answers there is ours only if ours says so.
            let answers = anonymous.get_outside("/readyz").is_ok_and(|answer| answer.status == 200);
            if answers && self.says("\"message\":\"serving\"") {
                return true;
            }
            sleep(LOOK_AT_PROGRAM_AGAIN);
        }
        false
    }
}

/// Starts a process that listens, on a free port.
fn start_listening(mut start: impl FnMut(u16) -> Process) -> Process {
    for _ in 1..STARTS {
        let mut process = start(free_port());
        // Only one that ended by itself can have found its port taken.
        if process.gets_ready() || process.is_running() {
            process.wait_until_ready();
            return process;
        }
    }
    let mut process = start(free_port());
    process.wait_until_ready();
    process
}

fn owned((name, value): &(&str, &str)) -> (String, String) {
    ((*name).to_owned(), (*value).to_owned())
}

fn address(port: u16) -> String {
    format!("{}:{port}", Ipv4Addr::LOCALHOST)
}

fn accounts_file(data: &Path) -> PathBuf {
    data.join("demo-accounts.json")
}

fn read_accounts(data: &Path) -> Accounts {
    let path = accounts_file(data);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Accounts::read(&text)
}

/// Settings under which points are never held for review. A test's day passes in seconds, so that nearly all of its
/// services would look too good to be true; `tests/tests/guards.rs` runs with the guards as they are.
pub const NO_GUARDS: [(&str, &str); 6] = [
    ("XINGFUMA_SCORE__GUARDS__QUICK_SECONDS", "0"),
    ("XINGFUMA_SCORE__GUARDS__MINUTES_TOLERANCE", "0"),
    ("XINGFUMA_SCORE__GUARDS__RING_DAYS", "0"),
    ("XINGFUMA_SCORE__GUARDS__PHOTO_DAYS", "0"),
    ("XINGFUMA_SCORE__GUARDS__SPLIT_PERCENT", "0"),
    ("XINGFUMA_SCORE__GUARDS__BACK_DATED_CLAIMS", "0"),
];

/// What a command of the program said, and whether it ended well.
#[derive(Clone, Debug)]
pub struct Told {
    /// It ended with 0.
    pub success: bool,
    /// What it printed.
    pub printed: String,
    /// What it complained about.
    pub complained: String,
}

/// Runs a command of the program to its end.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn run(words: &[&str], settings: &[(String, String)]) -> Told {
    let output = command(words, settings).output().expect("the program runs");
    Told {
        success: output.status.success(),
        printed: String::from_utf8_lossy(&output.stdout).into_owned(),
        complained: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Fills the demo's county into the database; writes the accounts and the keys into `data`.
fn fill_in(data: &Path, settings: &[(String, String)]) {
    let told = run(&["demo", "--seed-only", "--data-dir", &data.display().to_string()], settings);
    assert!(told.success, "demo --seed-only: {told:?}");
}

/// The keys under which the county was sealed, a `NAME=value` a line.
fn read_keys(data: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(data.join("env")).expect("the demo wrote its keys");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys: Vec<(String, String)> = lines
        .map(|line| line.split_once('=').expect("a name and a value"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    assert!(keys.iter().any(|(name, _)| name.starts_with("XINGFUMA_KEYS__")), "no keys in {text:?}");
    keys
}
