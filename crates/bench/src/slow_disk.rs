//! A disk whose every sync takes a millisecond longer: a small library, preloaded, around `fsync` and `fdatasync`.
//!
//! The bench compiles it with the machine's C compiler and runs itself again with it; PostgreSQL, which the second
//! run starts, inherits it. The measurement is the first one's.

use std::path::Path;
use std::process::Command;

const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

static void wait_a_millisecond(void) {
    struct timespec pause = {0, 1000000};
    nanosleep(&pause, 0);
}
int fsync(int file) {
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    wait_a_millisecond();
    return real(file);
}
int fdatasync(int file) {
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    wait_a_millisecond();
    return real(file);
}
"#;

/// Runs this program again with these arguments on the slow disk.
///
/// # Errors
/// When there is no C compiler, or the run fails; in words.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let home = tempfile::tempdir().map_err(|error| error.to_string())?;
    let library = compile(home.path())?;
    // PostgreSQL runs as another user, who must be able to read it.
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let done = Command::new(program).args(arguments).env("LD_PRELOAD", &library).status();
    match done {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the run on the slow disk: {status}")),
        Err(error) => Err(error.to_string()),
    }
}

fn compile(home: &Path) -> Result<std::path::PathBuf, String> {
    use std::os::unix::fs::PermissionsExt as _;
    let (source, library) = (home.join("slow.c"), home.join("slow.so"));
    let readable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(home, readable).map_err(|error| error.to_string())?;
    std::fs::write(&source, SOURCE).map_err(|error| error.to_string())?;
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(&source)
        .arg("-ldl")
        .status();
    match compiled {
        Ok(status) if status.success() => Ok(library),
        Ok(status) => Err(format!("cc: {status}")),
        Err(error) => Err(format!("cc is needed to build the slow disk: {error}")),
    }
}
