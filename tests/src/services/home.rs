//! The temporary directory of a server, which is gone after the test however the test ends.

use std::{
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

/// Waits for the other end of its input to close, gives the servers a moment to die, and removes the directory.
const SWEEP: &str = r#"read -r _; for pause in 1 2 4; do sleep $pause; rm -rf -- "$0" && exit; done"#;

/// A temporary directory, removed when it is dropped or when the test process ends.
#[derive(Debug)]
pub(crate) struct Home {
    directory: TempDir,
    sweeper: Child,
}

impl Home {
    pub(crate) fn new(name: &str) -> Self {
        let prefix = format!("xingfuma-{name}-");
        let directory = tempfile::Builder::new().prefix(&prefix).tempdir().expect("a temporary directory");
        let sweeper = Command::new("sh")
            .args(["-c", SWEEP])
            .arg(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Not in the terminal's group: a Ctrl-C is for the test, and the sweeper comes after it.
            .process_group(0)
            .spawn()
            .expect("a shell");
        Self { directory, sweeper }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // The directory removes itself after this, so nothing is left for the sweeper to do.
        let _ = self.sweeper.kill();
        let _ = self.sweeper.wait();
    }
}
