//! The harness of the tests that run the real thing: real databases, real queues, and their faults.
//!
//! [`services`] starts a private PostgreSQL and a private Redis for a test process, and breaks them on demand.

pub mod services;
