//! The queue alone: empty jobs a second, enqueued, handed out and acknowledged, beside others on the same Redis.
//!
//! BullMQ and arq are fetched by `xingfuma-bench --set-up-peers` into the target directory (npm and pip, as the machine
//! has them configured); without that the run says that they are missing, and how to get them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use uuid::Uuid;
use xingfuma_queue::{DispatchQueue, Hint, RedisQueue};

use crate::duel::median;
use crate::report::{Figure, Limit, Report};
use crate::stage::Stage;

/// What the issue asks for: so many times BullMQ's jobs a second.
const TIMES_BULLMQ: f64 = 5.0;
/// Hints in one push and one claim, as the worker and the placements' writer have them.
const BATCH: usize = 128;

/// One of the others.
struct Peer {
    name: &'static str,
    program: PathBuf,
    script: PathBuf,
    /// Fewer jobs for who needs longer, so that each runs for seconds.
    share: f64,
}

fn peers() -> [Peer; 2] {
    let (sources, installed) = (sources(), installed());
    [
        Peer { name: "BullMQ", program: "node".into(), script: installed.join("bullmq.mjs"), share: 1.0 },
        Peer {
            name: "arq",
            program: installed.join("venv/bin/python"),
            script: sources.join("arq_jobs.py"),
            share: 0.1,
        },
    ]
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

fn installed() -> PathBuf {
    let program = std::env::current_exe().expect("this program has a path");
    // target/release/xingfuma-bench
    program.ancestors().nth(2).expect("it lies in the target directory").join("peers")
}

/// Fetches the others.
///
/// # Errors
/// When npm or Python is missing, or one of them fails; in words.
pub(crate) fn set_up() -> Result<(), String> {
    let (sources, home) = (sources(), installed());
    std::fs::create_dir_all(&home).map_err(|error| error.to_string())?;
    for file in ["package.json", "bullmq.mjs"] {
        std::fs::copy(sources.join(file), home.join(file)).map_err(|error| error.to_string())?;
    }
    run(Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--no-package-lock"])
        .current_dir(&home))?;
    run(Command::new("python3").args(["-m", "venv", "venv"]).current_dir(&home))?;
    let requirements = sources.join("requirements.txt");
    run(Command::new(home.join("venv/bin/pip")).args(["install", "--quiet", "-r"]).arg(requirements))
}

fn run(command: &mut Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?}: {status}")),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}

/// Alternates ours with the others.
pub(crate) async fn measure(stage: &mut Stage, rounds: usize, jobs: usize, report: &mut Report) {
    stage.stop_worker();
    let peers = peers();
    let mut ours = Vec::new();
    let mut theirs: Vec<Vec<f64>> = peers.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        ours.push(our_jobs(stage, jobs).await);
        for (peer, found) in peers.iter().zip(&mut theirs) {
            match peer_jobs(stage, peer, (jobs as f64 * peer.share) as usize) {
                Ok(per_second) => found.push(per_second),
                Err(why) => println!("{}: not measured ({why}); --set-up-peers fetches it", peer.name),
            }
        }
    }
    stage.start_worker();
    let name = |of: &str| format!("empty jobs through Redis: {of}");
    report.add(Figure::new(&name("ours"), median(&ours), "/s", Limit::None));
    for (peer, found) in peers.iter().zip(&theirs).filter(|(_, found)| !found.is_empty()) {
        report.add(Figure::new(&name(peer.name), median(found), "/s", Limit::None));
        let limit = if peer.name == "BullMQ" { Limit::AtLeast(TIMES_BULLMQ) } else { Limit::None };
        let ratios: Vec<f64> = ours.iter().zip(found).map(|(ours, theirs)| ours / theirs).collect();
        report.add(Figure::new(&name(&format!("ours as {}'s", peer.name)), median(&ratios), "×", limit));
    }
}

/// Pushed, claimed and acknowledged side by side, as servers and a worker do it.
async fn our_jobs(stage: &Stage, jobs: usize) -> f64 {
    let queue = RedisQueue::new(&stage.fleet.redis.url(), "bench-jobs").expect("a queue");
    let hint = |n: usize| Hint { order_id: Uuid::from_u128(n as u128 + 1), epoch: 0 };
    let begun = Instant::now();
    let pushing = async {
        for first in (0..jobs).step_by(BATCH) {
            let hints: Vec<Hint> = (first..jobs.min(first + BATCH)).map(hint).collect();
            queue.push(&hints).await.expect("Redis is there");
        }
    };
    let working = async {
        let mut done = 0;
        while done < jobs {
            let claimed = queue.claim("bench", BATCH, Duration::from_secs(1)).await.expect("Redis is there");
            queue.ack(&claimed).await.expect("Redis is there");
            done += claimed.len();
        }
    };
    tokio::join!(pushing, working);
    jobs as f64 / begun.elapsed().as_secs_f64()
}

fn peer_jobs(stage: &Stage, peer: &Peer, jobs: usize) -> Result<f64, String> {
    if !peer.script.exists() || (peer.program.is_absolute() && !peer.program.exists()) {
        return Err("not installed".to_owned());
    }
    let url = stage.fleet.redis.url();
    let port = url.rsplit(':').next().unwrap_or_default();
    let done = Command::new(&peer.program)
        .arg(&peer.script)
        .args([port, &jobs.to_string()])
        .output()
        .map_err(|error| error.to_string())?;
    let printed = String::from_utf8_lossy(&done.stdout).trim().to_owned();
    match printed.parse::<f64>() {
        Ok(seconds) if done.status.success() => Ok(jobs as f64 / seconds),
        _ => Err(String::from_utf8_lossy(&done.stderr).chars().take(300).collect()),
    }
}
