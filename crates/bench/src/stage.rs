//! Everything that a measurement needs, running: PostgreSQL, Redis, the product, and the floor beside it with a
//! database of its own in the same PostgreSQL.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};
use xingfuma_tests::program::Fleet;

use crate::people::People;
use crate::sample::Life;
use crate::usage;

/// The databases: the product's is called so by the harness.
const PRODUCT: &str = "county";
const FLOOR: &str = "floor";
/// Commit timestamps say when a dispatch was there for everybody, to the microsecond. Both sides pay for them.
const SETTINGS: &[&str] = &["track_commit_timestamp = on", "max_wal_size = '4GB'"];

/// How many times as long as a count took the next one waits: a table that grows and shrinks fast is full of dead rows, and
/// a look at it as dear as what is measured.
const ASKING: u32 = 30;

/// What is running.
pub(crate) struct Stage {
    // Dropped in this order: what uses something goes before it.
    pub(crate) floor: Floor,
    pub(crate) county: Client,
    pub(crate) floor_database: Client,
    pub(crate) people: People,
    pub(crate) signs: Vec<String>,
    pub(crate) fleet: Fleet,
    /// The most memory that a worker had before it was ended, in MiB; none before one was.
    workers_peak: Option<f64>,
}

impl Stage {
    /// Starts it all: one server and one worker.
    pub(crate) async fn set() -> Stage {
        let mut fleet = Fleet::start(1, 1);
        for setting in SETTINGS {
            fleet.postgres.sql("postgres", &format!("ALTER SYSTEM SET {setting}"));
        }
        stop(&mut fleet);
        fleet.postgres.restart();
        start(&mut fleet);
        let county = connect(&database(&fleet, PRODUCT)).await;
        let life = Life::live(&fleet, &county).await;
        let people = People::log_in(&county, fleet.settings()).await;
        let rows = county.query("SELECT code FROM sign WHERE status = 'active' ORDER BY code", &[]).await;
        let signs = rows.expect("signs").iter().map(|row| row.get(0)).collect();
        // A database is copied only when nobody uses it.
        drop(county);
        stop(&mut fleet);
        copy_database(&fleet).await;
        start(&mut fleet);
        let (county, floor_database) =
            (connect(&database(&fleet, PRODUCT)).await, connect(&database(&fleet, FLOOR)).await);
        let floor = Floor::start(&database(&fleet, FLOOR), &life).await;
        Stage { floor, county, floor_database, people, signs, fleet, workers_peak: None }
    }

    /// Where the product answers.
    pub(crate) fn product(&self) -> SocketAddr {
        address(self.fleet.servers[0].base())
    }

    /// The product's process.
    pub(crate) fn server_process(&self) -> u32 {
        self.fleet.servers[0].process_id().expect("the server runs")
    }

    /// PostgreSQL's first process.
    pub(crate) fn database_process(&self) -> u32 {
        self.fleet.postgres.process_id().expect("PostgreSQL runs")
    }

    /// Ends the worker, so that nothing but the server is at work.
    pub(crate) fn stop_worker(&mut self) {
        if let Some(worker) = self.fleet.workers[0].process_id() {
            self.workers_peak = Some(self.workers_peak.unwrap_or_default().max(usage::peak_mib(worker)));
        }
        self.fleet.workers[0].kill();
    }

    /// The most memory that a worker had which has worked and was ended, in MiB.
    ///
    /// # Panics
    /// When none was: what a worker has that was only just started says nothing.
    pub(crate) fn workers_peak_mib(&self) -> f64 {
        self.workers_peak.expect("a worker has worked")
    }

    /// Starts the worker again.
    pub(crate) fn start_worker(&mut self) {
        self.fleet.workers[0].restart();
    }

    /// Waits until a query in the product's database answers 0.
    ///
    /// # Panics
    /// When it takes longer than `at_most`.
    pub(crate) async fn wait_until_none(&self, what: &str, query: &str, at_most: Duration) -> Duration {
        let begun = Instant::now();
        loop {
            let asked = Instant::now();
            let left: i64 = self.county.query_one(query, &[]).await.expect("a count").get(0);
            if left == 0 {
                return begun.elapsed();
            }
            assert!(begun.elapsed() < at_most, "{left} {what} after {at_most:?}");
            tokio::time::sleep((asked.elapsed() * ASKING).max(Duration::from_millis(20))).await;
        }
    }

    /// Waits until every order is dispatched.
    pub(crate) async fn wait_until_dispatched(&self, at_most: Duration) -> Duration {
        let query = "SELECT count(*) FROM due WHERE kind = 'dispatch'";
        self.wait_until_none("orders wait", query, at_most).await
    }

    /// Writes the dirty pages out, so that no round pays for another one's.
    pub(crate) async fn settle(&self) {
        self.county.batch_execute("CHECKPOINT").await.expect("a checkpoint");
    }
}

/// An address such as `http://127.0.0.1:8080` as a socket's.
pub(crate) fn address(base: &str) -> SocketAddr {
    base.trim_start_matches("http://").parse().expect("a loopback address")
}

fn database(fleet: &Fleet, name: &str) -> String {
    let url = fleet.postgres.url();
    format!("{}/{name}", url.rsplit_once('/').expect("an address with a database").0)
}

/// A connection that lives as long as its client.
pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("PostgreSQL answers");
    tokio::spawn(connection);
    client
}

fn stop(fleet: &mut Fleet) {
    fleet.servers.iter_mut().chain(&mut fleet.workers).for_each(|process| process.kill());
}

fn start(fleet: &mut Fleet) {
    fleet.servers.iter_mut().chain(&mut fleet.workers).for_each(|process| process.restart());
}

async fn copy_database(fleet: &Fleet) {
    let administrator = connect(&fleet.postgres.url()).await;
    // Connections of killed processes end a moment later.
    let others = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{PRODUCT}'");
    let begun = Instant::now();
    while administrator.query_one(&others, &[]).await.expect("a count").get::<_, i64>(0) > 0 {
        assert!(begun.elapsed() < Duration::from_secs(10), "the database is in use");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let copy = format!("CREATE DATABASE {FLOOR} TEMPLATE {PRODUCT}");
    administrator.batch_execute(&copy).await.expect("a copy of the database");
}

/// The floor's process.
pub(crate) struct Floor {
    child: Child,
    pub(crate) address: SocketAddr,
    _home: TempDir,
}

impl Floor {
    async fn start(database: &str, life: &Life) -> Floor {
        let home = tempfile::tempdir().expect("a temporary directory");
        let sample = home.path().join("life.json");
        std::fs::write(&sample, serde_json::to_vec(life).expect("JSON")).expect("the sample is written");
        let address = free_address();
        let child = spawn(&address, database, &sample, &home.path().join("log"));
        let mut floor = Floor { child, address, _home: home };
        floor.wait_until_ready().await;
        floor
    }

    async fn wait_until_ready(&mut self) {
        let begun = Instant::now();
        while tokio::net::TcpStream::connect(self.address).await.is_err() {
            let ended = self.child.try_wait().expect("a child of ours");
            assert!(ended.is_none() && begun.elapsed().as_secs() < 20, "the floor did not start: {ended:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        // An error says that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// This very program in its other role, killed by the kernel when this one dies.
fn spawn(address: &SocketAddr, database: &str, sample: &Path, log: &Path) -> Child {
    let log = File::create(log).expect("a log");
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL"])
        .arg(std::env::current_exe().expect("this program"))
        .args(["floor", "--listen", &address.to_string(), "--database", database, "--life"])
        .arg(sample)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("the log again"))
        .stderr(log)
        .spawn()
        .expect("this program starts again")
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free loopback port")
}
