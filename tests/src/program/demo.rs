//! One process: `xingfuma demo`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{
    MEDIA, NO_GUARDS, Process, Told, accounts_file, address, owned, read_accounts, read_keys, run,
    start_listening,
};
use crate::client::Accounts;
use crate::services::home::Home;

/// `xingfuma demo`: everything in one process, on SQLite and a queue in memory.
#[derive(Debug)]
pub struct Demo {
    // Dropped in this order: first the process, then its directory.
    process: Process,
    accounts: Accounts,
    accounts_file: PathBuf,
    home: Home,
}

impl Demo {
    /// Starts one with a county of its own.
    ///
    /// # Panics
    /// When the program is not built, or does not get ready.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&NO_GUARDS)
    }

    /// As [`Demo::start`], with settings of its own (`XINGFUMA_…`) and none but those.
    ///
    /// # Panics
    /// When the program is not built, or does not get ready.
    #[must_use]
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        let settings: Vec<_> = settings.iter().map(owned).collect();
        let home = Home::new("demo");
        let data = home.path().join("data");
        let process = start_listening(|port| {
            let words = ["demo", "--data-dir", &data.display().to_string(), "--listen", &address(port)];
            let base = Some(format!("http://{}", address(port)));
            Process::start(words.map(str::to_owned).to_vec(), settings.clone(), home.path().join("log"), base)
        });
        let (accounts, accounts_file) = (read_accounts(&data), accounts_file(&data));
        Self { process, accounts, accounts_file, home }
    }

    /// Where it keeps its database and its keys.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// Its process number.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.process.process_id()
    }

    /// Where it answers.
    #[must_use]
    pub fn base(&self) -> &str {
        self.process.base()
    }

    /// Who can log in.
    #[must_use]
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// The file that says so.
    #[must_use]
    pub fn accounts_file(&self) -> &Path {
        &self.accounts_file
    }

    /// The end of its log.
    #[must_use]
    pub fn last_lines(&self) -> String {
        self.process.last_lines()
    }

    /// The folder of its photos.
    #[must_use]
    pub fn media(&self) -> PathBuf {
        self.data().join(MEDIA)
    }

    /// Runs one statement in its database, or several in one transaction with `;` at the ends of lines between them, by a
    /// process of its own and returns what it answers: a row a line, `|` between columns. Python brings SQLite with it, so
    /// that nothing more has to be installed.
    ///
    /// # Panics
    /// When the database refuses.
    #[must_use]
    pub fn sql(&self, statement: &str) -> String {
        const RUN: &str = "import sqlite3, sys\n\
            with sqlite3.connect(sys.argv[1], timeout=30) as database:\n \
            for statement in sys.argv[2].split(';\\n'):\n  \
            for row in database.execute(statement): print('|'.join(map(str, row)))";
        let database = self.data().join("xingfuma.db");
        let output = Command::new("python3")
            .args(["-c", RUN])
            .arg(database)
            .arg(statement)
            .output()
            .expect("python3 runs");
        assert!(output.status.success(), "{statement}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Runs `xingfuma score …` on its ledger, while it goes on.
    #[must_use]
    pub fn score(&self, words: &[&str]) -> Told {
        let data = self.home.path().join("data").display().to_string();
        run(&[&["score"], words, &["--data-dir", &data]].concat(), &[])
    }

    /// Runs `xingfuma audit …` on its ledger, while it goes on.
    #[must_use]
    pub fn audit(&self, words: &[&str]) -> Told {
        self.run(&[&["audit"], words].concat(), &[])
    }

    /// Runs a command of the program on its data directory, while it goes on.
    #[must_use]
    pub fn run(&self, words: &[&str], settings: &[(String, String)]) -> Told {
        let data = self.data().display().to_string();
        run(&[words, &["--data-dir", &data]].concat(), settings)
    }

    /// One of its keys: `DATA`, `TOKEN` or `INDEX`.
    ///
    /// # Panics
    /// When it has no such key.
    #[must_use]
    pub fn key(&self, name: &str) -> String {
        let wanted = format!("XINGFUMA_KEYS__{name}");
        let found = read_keys(&self.data()).into_iter().find(|(key, _)| *key == wanted);
        found.unwrap_or_else(|| panic!("no {wanted}")).1
    }
}
