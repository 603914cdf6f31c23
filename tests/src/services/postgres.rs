//! A private PostgreSQL.

use std::{
    fs::{File, read_to_string},
    net::Ipv4Addr,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    thread::sleep,
    time::Instant,
};

use nix::{
    sys::signal::Signal,
    unistd::{User, geteuid},
};

use super::child::{Server, dying_with_its_parent, send};
use super::{LOOK_AGAIN, READY_WITHIN, STARTS, free_port, home::Home, last_lines, program};

/// The superuser of the private cluster, whoever runs it.
const SUPERUSER: &str = "postgres";
/// The Debian package with the server, and the directories where it puts the programs that are not in the search path.
const PACKAGE: &str = "postgresql";
const VERSIONS: &str = "/usr/lib/postgresql";

/// A private PostgreSQL on a free loopback port, killed and removed when dropped. Commits are synced to disk, as in
/// production.
#[derive(Debug)]
pub struct Postgres {
    // Dropped in this order: first the server, then its directory.
    server: Option<Server>,
    port: u16,
    owner: Option<User>,
    /// Of its environment.
    settings: Vec<(String, String)>,
    home: Home,
}

impl Postgres {
    /// Makes an empty cluster and starts it.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// As [`Postgres::start`], with these settings in its environment.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start.
    #[must_use]
    pub fn start_with(settings: &[(String, String)]) -> Self {
        let (owner, settings, home) = (owner(), settings.to_vec(), Home::new("postgres"));
        let mut postgres = Self { server: None, port: 0, owner, settings, home };
        postgres.make_cluster();
        for _ in 0..STARTS {
            postgres.port = free_port();
            if postgres.try_to_run() {
                return postgres;
            }
        }
        postgres.give_up()
    }

    /// The one PostgreSQL of this test process, started at the first call. Each test takes a database of its own in it.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// The address of the database that every cluster has, `postgres`.
    #[must_use]
    pub fn url(&self) -> String {
        self.database_url("postgres")
    }

    /// Makes an empty database and returns its address.
    ///
    /// # Panics
    /// When the name is not made of `a-z`, `0-9` and `_`, when it exists already, or when the server does not answer.
    pub fn create_database(&self, name: &str) -> String {
        let is_plain = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'_';
        assert!(name.bytes().all(is_plain), "not a plain name: {name:?}");
        self.sql("postgres", &format!("CREATE DATABASE \"{name}\""));
        self.database_url(name)
    }

    /// The address of a database for a role, which need not be there: whoever connects is trusted.
    #[must_use]
    pub fn url_as(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@{}:{}/{database}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// Runs SQL in a database by a process of its own and returns what it prints: a row a line, `|` between columns.
    ///
    /// # Panics
    /// When the server does not answer or refuses.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        let output = Command::new(postgres_program("psql"))
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"])
            .args(["--dbname", &self.database_url(database), "--command", statements])
            .output()
            .expect("psql runs");
        assert!(output.status.success(), "{statements}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Its temporary directory, with its log, its socket and its data.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The process number of its postmaster while it runs.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.server.as_ref().map(Server::process_id)
    }

    /// Kills it as a power cut would: the postmaster and all its children at one moment (`SIGKILL`), so that none
    /// finishes what it was doing. Waits for the postmaster's end.
    pub fn kill(&mut self) {
        let Some(server) = self.server.take() else { return };
        // A stopped postmaster neither starts a child nor notices the death of one.
        server.signal(Signal::SIGSTOP);
        server.children().into_iter().for_each(|child| send(child, Signal::SIGKILL));
        drop(server);
    }

    /// Starts it again on the same port with the same data, which it recovers first; kills it before if it runs.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        self.kill();
        let begun = Instant::now();
        // It refuses to start until the last process of the one before has let go of the shared memory.
        while begun.elapsed() < READY_WITHIN {
            if self.try_to_run() {
                return;
            }
            sleep(LOOK_AGAIN);
        }
        self.give_up()
    }

    /// Makes it hang (`SIGSTOP`, the postmaster and all its children): it takes connections and bytes, and answers
    /// nothing.
    pub fn stop(&mut self) {
        let server = self.server();
        server.signal(Signal::SIGSTOP);
        server.children().into_iter().for_each(|child| send(child, Signal::SIGSTOP));
    }

    /// Ends the hanging (`SIGCONT`).
    pub fn cont(&mut self) {
        let server = self.server();
        server.children().into_iter().for_each(|child| send(child, Signal::SIGCONT));
        server.signal(Signal::SIGCONT);
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("PostgreSQL was killed and not started again")
    }

    fn database_url(&self, database: &str) -> String {
        self.url_as(SUPERUSER, database)
    }

    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.home.path().join("log")
    }

    fn make_cluster(&self) {
        if let Some(owner) = &self.owner {
            chown(self.home.path(), Some(owner.uid.as_raw()), Some(owner.gid.as_raw()))
                .expect("to give it away");
        }
        let output = self
            .command(&postgres_program("initdb"))
            // Its syncing is for a cluster that matters; those of the commits later on stay.
            .args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username", SUPERUSER])
            .arg("--pgdata")
            .arg(self.data())
            .output()
            .expect("initdb runs");
        assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn try_to_run(&mut self) -> bool {
        self.server = Some(Server::start(self.start_command()));
        let begun = Instant::now();
        while begun.elapsed() < READY_WITHIN && self.server.as_mut().is_some_and(Server::is_running) {
            if self.is_ready() {
                return true;
            }
            sleep(LOOK_AGAIN);
        }
        self.server = None;
        false
    }

    fn start_command(&self) -> Command {
        let log = File::options().create(true).append(true).open(self.log()).expect("a log");
        let mut command = self.command(&postgres_program("postgres"));
        command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]);
        let sockets = format!("unix_socket_directories={}", self.home.path().display());
        for setting in ["listen_addresses=127.0.0.1", &sockets, "max_connections=200", "fsync=on"] {
            command.args(["-c", setting]);
        }
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("the log again")).stderr(log);
        command
    }

    /// A command that runs as the owner of the data and dies with the test process. The signal at its parent's death is
    /// asked for last, because a change of user takes it back.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        if let Some(owner) = &self.owner {
            let user = [format!("--reuid={}", owner.uid), format!("--regid={}", owner.gid)];
            command.args(user).args(["--clear-groups", "setpriv"]);
        }
        dying_with_its_parent(&mut command).arg(program).current_dir(self.home.path());
        command
    }

    /// Whether this very server takes connections, by the file in which a postmaster says so: its process number on
    /// the first line, its state on the eighth.
    fn is_ready(&self) -> bool {
        let said = read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let lines: Vec<&str> = said.lines().map(str::trim).collect();
        let process_id = self.server().process_id().to_string();
        lines.first() == Some(&process_id.as_str()) && lines.get(7) == Some(&"ready")
    }

    fn give_up(&self) -> ! {
        panic!("PostgreSQL did not start; its log ends with:\n{}", last_lines(&self.log()))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // With the children, or they would still write while the directory is being removed.
        self.kill();
    }
}

/// The user that the server runs as: PostgreSQL refuses to run as root.
fn owner() -> Option<User> {
    if !geteuid().is_root() {
        return None;
    }
    let known = ["postgres", "nobody"].into_iter().find_map(|name| User::from_name(name).ok().flatten());
    Some(known.expect("a user postgres or nobody, as whom root can run PostgreSQL"))
}

/// A program of PostgreSQL: from the search path, or else of the newest version that Debian installed.
fn postgres_program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir(VERSIONS).into_iter().flatten();
    let mut versions: Vec<u32> =
        versions.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    versions.sort_unstable_by(|one, other| other.cmp(one));
    let directories: Vec<PathBuf> =
        versions.iter().map(|version| Path::new(VERSIONS).join(version.to_string()).join("bin")).collect();
    program(name, &directories, PACKAGE)
}
