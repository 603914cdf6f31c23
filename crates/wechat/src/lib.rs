//! All that this house knows of WeChat: what it calls there, what it is called with, and a stand-in for it.
//!
//! # What is here
//!
//! | part | what it does |
//! | --- | --- |
//! | [`Client`] | the six calls: log in, phone, mini-program code, message, text check, picture check |
//! | [`TokenStore`] | where the access token waits between calls; [`MemoryTokens`] for one process |
//! | [`Fields`] | what a message may say: the limits of its fields, kept before anything is sent |
//! | [`push`] | what WeChat sends to us: signatures, decryption, events |
//! | [`sandbox`] | a server that answers as WeChat does, for the demo and for tests |
//!
//! # The access token
//!
//! All calls but the log-in carry one token, which lives for two hours and is the same for every process of this
//! account. It is fetched when somebody needs it and none is cached; whoever needs it meanwhile waits for that one
//! fetch. WeChat may declare it dead at any time (40001, 40014, 42001): then it is dropped, fetched once, and the
//! call repeated once. The refused call did nothing, so repeating it sends nothing twice.
//!
//! # Time
//!
//! A call has one limit for all it does (token, waiting for its turn, answer), 5 s unless configured. An
//! [`Error::Transport`] says that no answer came, *not* that nothing happened: a message may have been delivered.
//! Messages are therefore sent at most once, and the caller does not repeat them.
//!
//! # What never leaves
//!
//! The session key that a log-in answers is dropped in the function that receives it. Secrets, tokens, openids and
//! phone numbers are in no error, no log line and no `Debug` text of this crate; what WeChat says in `errmsg` is
//! passed on only after everything that looks like one has been taken out.
//!
//! # What a crash leaves
//!
//! Nothing: there is no state but the token, and that is fetched again.

mod check;
mod client;
mod code_image;
mod error;
mod http;
mod log_in;
mod message;
pub mod push;
pub mod sandbox;
mod send_message;
mod token;

pub use check::{CHECKED_TEXT_CHARS, CheckScene, Suggest, Verdict};
pub use client::{BuildError, Client, ClientConfig, Edition, OFFICIAL_BASE_URL};
pub use code_image::{BadScene, CODE_WIDTH_PX, Scene};
pub use error::{Error, TransportFault};
pub use log_in::Identity;
pub use message::{DATE_FORMAT, FieldFault, FieldFaultKind, FieldKind, Fields};
pub use token::{AccessToken, MemoryTokens, TokenStore};
