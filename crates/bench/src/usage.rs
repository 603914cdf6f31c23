//! What a process has used, as the kernel counts it (`/proc`, Linux): processor time, most memory.

use std::fs;

/// The kernel's clock ticks a second in `/proc/PID/stat`; 100 on every Linux of the last decades.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor seconds of the three parties to a measurement.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub(crate) struct Seconds {
    /// The server that was asked.
    pub(crate) server: f64,
    /// PostgreSQL, all its processes.
    pub(crate) database: f64,
    /// The load generator.
    pub(crate) client: f64,
}

impl Seconds {
    /// So far.
    pub(crate) fn now(server: u32, database: u32) -> Seconds {
        Seconds {
            server: of_process(server),
            database: of_family(database),
            client: of_process(std::process::id()),
        }
    }

    /// What was used since `before`.
    pub(crate) fn since(self, before: Seconds) -> Seconds {
        Seconds {
            server: self.server - before.server,
            database: self.database - before.database,
            client: self.client - before.client,
        }
    }

    pub(crate) fn add(&mut self, more: Seconds) {
        self.server += more.server;
        self.database += more.database;
        self.client += more.client;
    }
}

/// The fields of `/proc/PID/stat` after the name; the first is the state.
fn stat(process: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    Some(text.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

fn ticks(fields: &[String], places: [usize; 2]) -> f64 {
    places.iter().filter_map(|place| fields.get(*place)?.parse::<f64>().ok()).sum()
}

/// Fields 14 and 15 of the manual's count: user and system time; 16 and 17: those of children that have ended.
const OWN: [usize; 2] = [11, 12];
const ENDED_CHILDREN: [usize; 2] = [13, 14];

fn of_process(process: u32) -> f64 {
    stat(process).map_or(0.0, |fields| ticks(&fields, OWN) / TICKS_PER_SECOND)
}

/// A process with its children, living and ended.
fn of_family(parent: u32) -> f64 {
    let ended = stat(parent).map_or(0.0, |fields| ticks(&fields, ENDED_CHILDREN) / TICKS_PER_SECOND);
    let children: f64 = children_of(parent).into_iter().map(of_process).sum();
    of_process(parent) + ended + children
}

fn children_of(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten();
    let numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers.filter(|process| stat(*process).is_some_and(|fields| fields[1] == parent.to_string())).collect()
}

/// The most memory that a process ever had resident, in MiB.
pub(crate) fn peak_mib(process: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: Option<f64> = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    kib.unwrap_or_default() / 1_024.0
}

/// The processor's name and how many of it there are.
pub(crate) fn machine() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("{cores} cores, {}", name.map_or("unknown processor", |(_, name)| name))
}

/// How many processes wanted a core in the last minute: above a few per cent before the bench starts, somebody else
/// is at work on the machine.
pub(crate) fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_memory_and_is_its_parents_child() {
        let me = std::process::id();
        assert!(peak_mib(me) > 1.0);
        let parent = stat(me).expect("this process")[1].parse().expect("a number");
        assert!(children_of(parent).contains(&me));
        assert!(of_family(parent) >= of_process(me));
    }
}
