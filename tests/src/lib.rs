//! The harness of the tests that run the real thing: the real program, real databases, real queues, and their faults.
//!
//! [`services`] starts a private PostgreSQL and a private Redis for a test process, and breaks them on demand;
//! [`program`] starts the program on them, or alone; [`client`] speaks with it as a phone or a desk does; [`wire`] listens
//! in between the program and its database, and [`trap`] breaks what is between them; [`shim`] gives a program a wrong clock
//! or a full disk; [`residents`] place orders meanwhile.

pub mod client;
pub mod events;
pub mod notice;
pub mod program;
pub mod residents;
pub mod services;
pub mod shim;
pub mod trap;
pub mod wire;
