//! Text messages (短信): what is needed of whoever sends them, and two who do.
//!
//! | sender | what it does |
//! | --- | --- |
//! | [`FolderSms`] | writes each message into a folder: for the demo and for tests |
//! | [`HttpSms`] | posts each message to a gateway |
//!
//! Providers have interfaces, signatures and registered templates of their own; the gateway is the county's small
//! adapter to one of them, or a provider that takes such a call as it is. Phone numbers are in no error, no log line and
//! no `Debug` text of this crate.
//!
//! # What a crash leaves
//!
//! A message that may have been handed over. Each carries its id, by which a folder takes it once and a gateway can; but
//! who calls this crate sends it at most once and does not rely on that.

mod folder;
mod gateway;

pub use folder::FolderSms;
pub use gateway::{BuildError, GatewayConfig, HttpSms};

use uuid::Uuid;

/// A text message.
#[derive(Clone, PartialEq, Eq)]
pub struct Sms {
    /// Names it: the same message has the same one.
    pub id: Uuid,
    /// To which number.
    pub phone: String,
    /// The words.
    pub text: String,
}

impl std::fmt::Debug for Sms {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Sms").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why a message was not sent, by what the caller has to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SmsError {
    /// It was certainly not sent, and may be tried later.
    #[error("not sent: {0}")]
    NotSent(&'static str),
    /// It was refused for good.
    #[error("refused: {0}")]
    Refused(String),
    /// Nobody knows whether it was sent.
    #[error("no usable answer: it may have been sent")]
    Unknown,
}

/// Somebody who sends text messages.
#[async_trait::async_trait]
pub trait SmsSender: Send + Sync + std::fmt::Debug {
    /// Sends one.
    ///
    /// # Errors
    /// [`SmsError`] says whether it may be tried again.
    async fn send(&self, sms: &Sms) -> Result<(), SmsError>;
}
