//! A wrong clock and a full disk for one process, without being root: a small library, preloaded, around the calls by which
//! a program asks for the time and writes into files.
//!
//! It is compiled by the machine's C compiler when it is first needed. `FAULT_CLOCK_SECONDS` is added to the wall clock,
//! never to the monotonic one. While the file that `FAULT_DISK_FULL` names is there, writing into files and making them
//! longer ends with `ENOSPC`; logs, which are only appended to, and sockets are left alone.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use tempfile::TempDir;

const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static long off_by(void) {
    const char *text = getenv("FAULT_CLOCK_SECONDS");
    return text ? atol(text) : 0;
}
static int is_full(void) {
    const char *flag = getenv("FAULT_DISK_FULL");
    int before = errno;
    int full = flag && access(flag, F_OK) == 0;
    errno = before;
    return full;
}
#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
int clock_gettime(clockid_t clock, struct timespec *at) {
    REAL(clock_gettime);
    int done = real(clock, at);
    if (done == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) at->tv_sec += off_by();
    return done;
}
int gettimeofday(struct timeval *at, void *zone) {
    REAL(gettimeofday);
    int done = real(at, zone);
    if (done == 0) at->tv_sec += off_by();
    return done;
}
time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
static int is_data(int file) {
    struct stat facts;
    int before = errno;
    int data = fstat(file, &facts) == 0 && S_ISREG(facts.st_mode) && !(fcntl(file, F_GETFL) & O_APPEND);
    errno = before;
    return data;
}
ssize_t write(int file, const void *bytes, size_t length) {
    REAL(write);
    if (is_full() && is_data(file)) {
        errno = ENOSPC;
        return -1;
    }
    return real(file, bytes, length);
}
#define FULL do { if (is_full()) { errno = ENOSPC; return -1; } } while (0)
ssize_t pwrite(int file, const void *bytes, size_t length, off_t at) {
    REAL(pwrite);
    FULL;
    return real(file, bytes, length, at);
}
ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t at) {
    REAL(pwrite64);
    FULL;
    return real(file, bytes, length, at);
}
ssize_t pwritev(int file, const struct iovec *parts, int count, off_t at) {
    REAL(pwritev);
    FULL;
    return real(file, parts, count, at);
}
ssize_t pwritev64(int file, const struct iovec *parts, int count, off64_t at) {
    REAL(pwritev64);
    FULL;
    return real(file, parts, count, at);
}
int posix_fallocate(int file, off_t at, off_t length) {
    REAL(posix_fallocate);
    if (is_full()) return ENOSPC;
    return real(file, at, length);
}
int posix_fallocate64(int file, off64_t at, off64_t length) {
    REAL(posix_fallocate64);
    if (is_full()) return ENOSPC;
    return real(file, at, length);
}
"#;

/// The library, in a directory that is gone with the test process.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    &LIBRARY.get_or_init(compile).1
}

fn compile() -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().expect("a temporary directory");
    // A database may run as another user, who must be able to read it.
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).expect("ours");
    let (source, library) = (home.path().join("fault.c"), home.path().join("fault.so"));
    std::fs::write(&source, SOURCE).expect("ours");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(&source)
        .arg("-ldl")
        .output()
        .expect("the tests need a C compiler: install the Debian package `build-essential`");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    (home, library)
}

fn own(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Settings under which a process's wall clock is off by so many seconds.
#[must_use]
pub fn clock_off_by(seconds: i64) -> Vec<(String, String)> {
    let library = library().display().to_string();
    vec![own("LD_PRELOAD", &library), own("FAULT_CLOCK_SECONDS", &seconds.to_string())]
}

/// A disk that is full whenever somebody says so.
#[derive(Debug)]
pub struct Disk {
    home: TempDir,
}

impl Default for Disk {
    fn default() -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        // The flag is looked for by whoever runs the database.
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).expect("ours");
        Self { home }
    }
}

impl Disk {
    /// Settings under which a process writes to it.
    #[must_use]
    pub fn settings(&self) -> Vec<(String, String)> {
        let (library, flag) = (library().display().to_string(), self.flag().display().to_string());
        vec![own("LD_PRELOAD", &library), own("FAULT_DISK_FULL", &flag)]
    }

    fn flag(&self) -> PathBuf {
        self.home.path().join("full")
    }

    /// From now on nothing more can be written.
    ///
    /// # Panics
    /// When the real disk is full.
    pub fn fill(&self) {
        std::fs::write(self.flag(), "").expect("ours");
    }

    /// There is room again.
    pub fn make_room(&self) {
        // It may have had room all the time.
        let _ = std::fs::remove_file(self.flag());
    }
}
