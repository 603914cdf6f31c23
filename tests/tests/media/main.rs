//! Photos over HTTP, on both sizes: what comes in, what goes out, who sees it, and what hostile files and senders do.

mod files;
mod hostile;
mod senders;
mod stories;
mod work;

use std::path::PathBuf;

use xingfuma_tests::{
    client::Accounts,
    program::{Demo, Fleet},
};

/// A county to upload to.
pub(crate) struct Place<'a> {
    pub(crate) base: String,
    pub(crate) accounts: &'a Accounts,
    /// Where its photos lie.
    pub(crate) shelf: PathBuf,
    /// Its process.
    pub(crate) process: u32,
}

impl Place<'_> {
    pub(crate) fn of(demo: &Demo) -> Place<'_> {
        Place {
            base: demo.base().to_owned(),
            accounts: demo.accounts(),
            shelf: demo.media(),
            process: demo.process_id().expect("it runs"),
        }
    }

    pub(crate) fn first_of(fleet: &Fleet) -> Place<'_> {
        Place {
            base: fleet.bases()[0].clone(),
            accounts: fleet.accounts(),
            shelf: fleet.media(),
            process: fleet.servers[0].process_id().expect("it runs"),
        }
    }

    /// The memory that the process holds, in MiB.
    pub(crate) fn resident_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process)).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a resident set");
        let kib: u64 = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number");
        kib / 1024
    }
}

#[test]
fn photos_alone() {
    let demo = Demo::start();
    stories::all(&Place::of(&demo));
    hostile::all(&Place::of(&demo));
    senders::all(&Place::of(&demo));
    work::all(&Place::of(&demo));
    work::the_folder_is_gone(&Place::of(&demo));
}

#[test]
fn photos_in_a_fleet() {
    let fleet = Fleet::start(2, 1);
    stories::all(&Place::first_of(&fleet));
    stories::at_another_server(&Place::first_of(&fleet), &fleet.bases()[1]);
    hostile::all(&Place::first_of(&fleet));
    senders::all(&Place::first_of(&fleet));
    work::all(&Place::first_of(&fleet));
    work::the_folder_is_gone(&Place::first_of(&fleet));
}
