//! The ledger on real databases: against its model, under races, and against somebody who writes to it behind its back.
//!
//! `XINGFUMA_TESTS_LONG=1` makes all of it as large as the issue asks; `XINGFUMA_TESTS_SEED` repeats a failed run.

mod chains;
mod model;
mod periods;
mod races;
mod shop;
mod size;
mod smuggled;
mod tampering;
mod world;

/// Whether the long forms were asked for.
fn long() -> bool {
    std::env::var_os("XINGFUMA_TESTS_LONG").is_some_and(|long| long == "1")
}
