//! Private PostgreSQL and Redis servers for tests, started, broken and removed by the test that owns them.
//!
//! # What it is
//!
//! [`Postgres`] and [`Redis`] are children of the test process, on free loopback ports, each with a home of its own: a
//! temporary directory for data, socket and log. `start()` gives one that the test may break; `shared()` gives the one
//! of this test process, which nobody can break, since breaking takes `&mut`. A program that is not installed is a
//! panic that names the package: no test is ever skipped because of what a machine lacks.
//!
//! # What a crash leaves
//!
//! Nothing, however the test ends:
//!
//! - A value that is dropped kills its server, waits for its end, and removes its home.
//! - Of a test process that is killed, or ends without dropping its statics, the kernel kills the servers: each asks
//!   for the signal `KILL` at its parent's death. The kernel means the *thread* that started it, and a test's thread
//!   ends with the test, so one thread that lives as long as the process starts them all.
//! - A small shell process waits at the end of a pipe for the test process to end, and removes the home then.

pub(crate) mod child;
mod cluster;
pub(crate) mod home;
mod postgres;
mod redis;

use std::{
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};

pub use self::{cluster::RedisCluster, postgres::Postgres, redis::Redis};

/// How long a server may take to start or to recover, on a machine that is busy compiling.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How often a start is tried: another process may take the port between its choice and its use.
pub(crate) const STARTS: u32 = 5;
/// How long to wait before looking again.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A port that nobody listened at a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
    listener.local_addr().expect("its address").port()
}

/// Finds a program in the search path, then in `elsewhere`; panics with what to do when it is missing.
fn program(name: &str, elsewhere: &[PathBuf], package: &str) -> PathBuf {
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&search_path).chain(elsewhere.iter().cloned());
    directories.map(|directory| directory.join(name)).find(|program| program.is_file()).unwrap_or_else(|| {
        panic!(
            "the tests need `{name}`, which is not installed: install the Debian package `{package}` \
             (apt-get install {package}), or run `tests/run`, which installs what the tests need"
        )
    })
}

/// The end of a log, for the message of a panic.
pub(crate) fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_else(|error| format!("(no log: {error})"));
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
