//! The session that the README tells a reader to copy, run as it is printed.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use xingfuma_tests::program::Demo;

/// Stands before and after a session.
const MARKER: &str = "<!-- curl-session -->";
/// Where the Chinese README sends its readers when it prints no session of its own.
const ENGLISH_SESSION: &str = "README.md#a-session-to-copy";

fn readme(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The shell text between the markers; `None` when there are none. One marker alone, or something else than one block
/// of shell between the two, is a mistake.
fn session(readme: &str) -> Option<&str> {
    let parts: Vec<&str> = readme.split(MARKER).collect();
    let between = match parts[..] {
        [_] => return None,
        [_, between, _] => between.trim(),
        _ => panic!("{} times {MARKER}", parts.len() - 1),
    };
    let shell = between.strip_prefix("```bash\n").and_then(|rest| rest.strip_suffix("\n```"));
    let shell = shell.unwrap_or_else(|| panic!("between the markers is no block of shell: {between}"));
    assert!(!shell.contains("```"), "more than one block between the markers: {between}");
    Some(shell)
}

/// Runs a session, stricter than a reader's shell, and returns what it printed.
fn run(demo: &Demo, session: &str) -> String {
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", session])
        .env("BASE", demo.base())
        .env("ACCOUNTS", demo.accounts_file())
        .stdin(Stdio::null())
        .output()
        .expect("bash runs");
    let (printed, complained) =
        (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{printed}\n{complained}\n{}", output.status, demo.last_lines());
    printed
}

/// The first line that begins so and has not been passed yet; what stands before it is passed.
fn pass<'a>(lines: &mut impl Iterator<Item = &'a str>, begins: &str, all: &str) -> &'a str {
    lines.find(|line| line.starts_with(begins)).unwrap_or_else(|| panic!("no further {begins:?} in:\n{all}"))
}

/// The five steps in their order, each with what it led to.
fn check(printed: &str) {
    let mut lines = printed.lines();
    let mut pass = |begins| pass(&mut lines, begins, printed);
    let placed: Vec<&str> = pass("点 ").split(' ').collect();
    let [_, number, status] = placed[..] else { panic!("{placed:?}") };
    assert!(number.len() >= 6 && number.bytes().all(|digit| digit.is_ascii_digit()), "{placed:?}");
    assert!(["placed", "dispatched"].contains(&status), "{placed:?}");
    pass("派 dispatched");
    let accepted = pass("接 accepted");
    assert!(accepted.contains("15400001234"), "the volunteer learns the phone: {accepted}");
    pass("接 in_service");
    pass("接 completed");
    pass("评 rated");
    let points = pass("");
    assert!(points.contains("'609'") && points.contains("'610'"), "completed and five stars: {points}");
    pass("晒 pending");
    pass("晒 published");
    pass("晒 志愿者很快就来了，谢谢！");
}

#[test]
fn the_session_of_the_readme_runs_as_printed() {
    let english = readme("README.md");
    let chinese = readme("README.zh-CN.md");
    let session_of_english = session(&english).expect("README.md has a session between its markers");
    let demo = Demo::start();
    check(&run(&demo, session_of_english));
    match session(&chinese) {
        Some(session) => check(&run(&demo, session)),
        None => {
            assert!(chinese.contains(ENGLISH_SESSION), "the Chinese README leads nowhere");
            assert!(english.contains("\n## A session to copy\n"), "{ENGLISH_SESSION} is nowhere");
            // "As often as you like", says the text above it.
            check(&run(&demo, session_of_english));
        }
    }
}
