//! Many processes: servers and workers on a PostgreSQL and a Redis of their own.

use std::path::{Path, PathBuf};

use super::{
    DATABASE, MEDIA, NO_GUARDS, Process, RUNTIME_ROLE, Told, address, fill_in, owned, read_accounts,
    read_keys, run, start_listening,
};
use crate::client::Accounts;
use crate::services::home::Home;
use crate::services::{Postgres, Redis, free_port};

/// Servers and workers on a PostgreSQL and a Redis of their own, with the demo's county. They work as [`RUNTIME_ROLE`], which
/// owns nothing there; [`Fleet::sql`] is the owner's.
#[derive(Debug)]
pub struct Fleet {
    // Dropped in this order: first the processes, then what they use.
    /// The processes of `xingfuma serve`.
    pub servers: Vec<Process>,
    /// The processes of `xingfuma worker`.
    pub workers: Vec<Process>,
    /// The queue, which forgets everything when it is killed.
    pub redis: Redis,
    /// The database, which syncs every commit.
    pub postgres: Postgres,
    accounts: Accounts,
    settings: Vec<(String, String)>,
    owner: [(String, String); 1],
    home: Home,
}

impl Fleet {
    /// Starts so many servers and workers.
    ///
    /// # Panics
    /// When the program is not built, the county cannot be filled in, or one of them does not get ready.
    #[must_use]
    pub fn start(servers: usize, workers: usize) -> Self {
        // One account of a test does what a hundred residents do in an hour.
        let limits = [("XINGFUMA_LIMITS__FACTOR", "100000")];
        Self::start_with(servers, workers, &[&limits[..], &NO_GUARDS].concat())
    }

    /// As [`Fleet::start`], with settings of its own (`XINGFUMA_…`), limits among them.
    ///
    /// # Panics
    /// When the program is not built, the county cannot be filled in, or one of them does not get ready.
    #[must_use]
    pub fn start_with(servers: usize, workers: usize, more: &[(&str, &str)]) -> Self {
        Self::start_on(Postgres::start(), servers, workers, more)
    }

    /// As [`Fleet::start_with`], on this PostgreSQL.
    ///
    /// # Panics
    /// When the program is not built, the county cannot be filled in, or one of them does not get ready.
    #[must_use]
    pub fn start_on(postgres: Postgres, servers: usize, workers: usize, more: &[(&str, &str)]) -> Self {
        let (redis, home) = (Redis::start(), Home::new("fleet"));
        let owner = ("XINGFUMA_DATABASE__OWNER_URL".to_owned(), postgres.create_database(DATABASE));
        let mut settings = vec![
            ("XINGFUMA_DATABASE__URL".to_owned(), postgres.url_as(RUNTIME_ROLE, DATABASE)),
            ("XINGFUMA_REDIS__URL".to_owned(), redis.url()),
        ];
        let data = home.path().join("data");
        fill_in(&data, &[&settings[..], std::slice::from_ref(&owner)].concat());
        settings.push(("XINGFUMA_SANDBOX".to_owned(), "true".to_owned()));
        settings.push(("XINGFUMA_MEDIA__FOLDER".to_owned(), home.path().join(MEDIA).display().to_string()));
        settings.extend(read_keys(&data));
        settings.extend(more.iter().map(owned));
        let accounts = read_accounts(&data);
        let owner = [owner];
        let mut fleet = Self {
            servers: Vec::new(),
            workers: Vec::new(),
            redis,
            postgres,
            accounts,
            settings,
            owner,
            home,
        };
        fleet.servers = (1..=servers).map(|number| fleet.start_server(&number.to_string(), &[])).collect();
        fleet.workers = (1..=workers).map(|number| fleet.start_worker(&number.to_string(), &[])).collect();
        fleet
    }

    /// What its processes are told about themselves.
    #[must_use]
    pub fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    /// What `xingfuma migrate` is told besides, and its processes are not: the address of the owner of the tables.
    #[must_use]
    pub fn owner(&self) -> &[(String, String)] {
        &self.owner
    }

    /// Starts one more `xingfuma serve`, with these settings besides the fleet's or in their place; an empty one is as
    /// good as none. Its log is called after `name`.
    ///
    /// # Panics
    /// When it does not get ready.
    #[must_use]
    pub fn start_server(&self, name: &str, besides: &[(String, String)]) -> Process {
        start_listening(|port| {
            let base = Some(format!("http://{}", address(port)));
            self.start_process("serve", name, besides, port, base)
        })
    }

    /// As [`Fleet::start_server`], for `xingfuma worker`.
    #[must_use]
    pub fn start_worker(&self, name: &str, besides: &[(String, String)]) -> Process {
        self.start_process("worker", name, besides, free_port(), None)
    }

    fn start_process(
        &self,
        word: &str,
        name: &str,
        besides: &[(String, String)],
        port: u16,
        base: Option<String>,
    ) -> Process {
        let mut settings = vec![("XINGFUMA_LISTEN".to_owned(), address(port))];
        settings.extend(self.settings_besides(besides));
        let log = self.home.path().join(format!("{word}-{name}.log"));
        Process::start(vec![word.to_owned()], settings, log, base)
    }

    /// As [`Fleet::start_server`], without waiting until it is ready: for one that is not to become so.
    #[must_use]
    pub fn start_server_unready(&self, name: &str, besides: &[(String, String)]) -> Process {
        let port = free_port();
        self.start_process("serve", name, besides, port, Some(format!("http://{}", address(port))))
    }

    /// Where each server answers.
    #[must_use]
    pub fn bases(&self) -> Vec<String> {
        self.servers.iter().map(|server| server.base().to_owned()).collect()
    }

    /// Who can log in.
    #[must_use]
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Runs `xingfuma audit …` on its ledger, with a file of daily roots in its home, while it goes on.
    #[must_use]
    pub fn audit(&self, words: &[&str]) -> Told {
        let mut settings = self.settings.clone();
        let roots = self.home.path().join("roots.jsonl").display().to_string();
        settings.push(("XINGFUMA_AUDIT__ROOTS".to_owned(), roots));
        run(&[&["audit"], words].concat(), &settings)
    }

    /// What its processes are told under this name.
    ///
    /// # Panics
    /// When they are told nothing of it.
    #[must_use]
    pub fn setting(&self, name: &str) -> &str {
        let found = self.settings.iter().find(|(setting, _)| setting == name);
        &found.unwrap_or_else(|| panic!("{name} is not set")).1
    }

    fn settings_besides(&self, besides: &[(String, String)]) -> Vec<(String, String)> {
        let mut settings = self.settings.clone();
        settings.retain(|(setting, _)| besides.iter().all(|(other, _)| other != setting));
        settings.extend(besides.iter().filter(|(_, value)| !value.is_empty()).cloned());
        settings
    }

    /// Runs a command of the program to its end, with these settings besides the fleet's or in their place.
    #[must_use]
    pub fn run(&self, words: &[&str], besides: &[(String, String)]) -> Told {
        run(words, &self.settings_besides(besides))
    }

    /// Starts a command of the program, which can be killed.
    #[must_use]
    pub fn start_command(&self, words: &[&str], besides: &[(String, String)]) -> Process {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let log = self.home.path().join(format!("{}.log", words.join("-")));
        Process::start(words, self.settings_besides(besides), log, None)
    }

    /// The folder of its photos, which all its processes share.
    #[must_use]
    pub fn media(&self) -> PathBuf {
        self.home.path().join(MEDIA)
    }

    /// The directory with the logs of its processes and its data directory.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Runs `xingfuma score …` on its ledger, while it goes on.
    #[must_use]
    pub fn score(&self, words: &[&str]) -> Told {
        run(&[&["score"], words].concat(), &self.settings)
    }

    /// Runs SQL in the fleet's database (see [`Postgres::sql`]).
    ///
    /// # Panics
    /// When the database refuses.
    #[must_use]
    pub fn sql(&self, statement: &str) -> String {
        self.postgres.sql(DATABASE, statement)
    }
}
