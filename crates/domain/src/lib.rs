//! The pure decisions of 幸福+码: no clock, no randomness, no input or output.
//!
//! Where to look first:
//! * [`order`]: the life of an order (点派接评晒), its one table of moves, `decide` and `apply`.
//! * [`dispatch`]: which team is offered an order, and why.
//! * [`scoring`]: rules into ledger postings; [`shop`]: what points buy.
//! * [`service`]: what counts as somebody's hours; [`certificate`]: what is certified of them; [`training`]: what they
//!   learned; [`record`]: the volunteer record as files.
//! * [`deadline`]: time limits in the Chinese working calendar.
//! * [`access`]: who may do and see what; [`limit`]: how often.
//! * [`message`]: how somebody is told; [`hazard`]: what comes back again and again.

pub mod access;
pub mod activity;
pub mod area;
pub mod audit;
pub mod badge;
pub mod certificate;
pub mod consent;
pub mod deadline;
pub mod dispatch;
pub mod hazard;
pub mod limit;
pub mod masking;
pub mod media;
pub mod message;
pub mod multipart;
pub mod order;
pub mod phone;
pub mod picture;
pub mod record;
pub mod scoring;
pub mod service;
pub mod shop;
pub mod sign;
pub mod similar;
pub mod training;
