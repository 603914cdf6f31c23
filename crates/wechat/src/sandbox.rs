//! A server that answers as WeChat does: for the demo and for tests.
//!
//! It runs as a task of the current tokio runtime, listens on an address of this machine, and keeps everything in
//! memory. It is faithful where it matters to a caller: what is used up, what expires, what is refused and with which
//! number. Time and chance are given to it, so the same start gives the same codes, tokens and openids.
//!
//! # What it models
//!
//! | thing | how |
//! | --- | --- |
//! | log-in codes | single use (40163), 5 minutes (40029), 100 log-ins a minute and user (45011) |
//! | phone codes | single use and 5 minutes (40029); a log-in code is no phone code |
//! | reusable codes | those of demo accounts: neither used up, nor old, nor counted |
//! | token | ≥ 512 characters; the same while valid; a new one in its last 5 minutes, while the old one still works; 40001 revoked, 40014 malformed, 42001 expired, 40164 address not allowed |
//! | messages | templates and their fields (40037, 47003), a ledger of consents (43101), one at a time to a user (43108) |
//! | checks | 61010 unless the user logged in within 2 h by the sandbox's clock; marked words decide the advice |
//! | picture check | the result is pushed to the configured address in safe mode, up to 3 times |
//! | mini-program code | a PNG of the wished width (which no telephone can read), or JSON with the refusal |
//!
//! # How it is steered
//!
//! By the methods of [`Sandbox`], or over HTTP:
//!
//! | call | body | answer |
//! | --- | --- | --- |
//! | `POST /sandbox/codes` | `{openid?, phone?}` | `{code, kind, openid?}`: with `phone` a phone code, else a log-in code |
//! | `POST /sandbox/consents` | `{openid, templateId, count?}` | `{left}`: `count` more (1 if not given); 0 takes all back |
//! | `POST /sandbox/high-risk` | `{openid, highRisk}` | `{}` |
//! | `POST /sandbox/marks` | `{word, suggest, label}` | `{}` |
//! | `POST /sandbox/tokens/revoke` | | `{}` |
//! | `POST /sandbox/addresses` | `{allowed}` | `{}`: whether tokens are given (40164) |
//! | `GET /sandbox/messages` | | `{items: [{openid, templateId, page, data, miniprogramState, sentAt, messageId}]}`, the last 10,000 |
//!
//! Nobody is asked who he is: let it listen on the loopback address only, and never beside the real thing.

mod chance;
mod checks;
mod codes;
mod config;
mod control;
mod desk;
mod messages;
mod people;
mod picture;
mod pusher;
mod refusal;
mod server;
mod tokens;
mod wechat;
mod world;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use codes::MintedCode;
pub use config::{PushTarget, ReusableCode, SandboxClock, SandboxConfig, Template};
pub use messages::SentMessage;

use crate::Suggest;
use crate::push::PushError;
use pusher::Pusher;
use world::World;

/// A running sandbox. It ends when it is dropped; [`Sandbox::shut_down`] also waits for the end.
pub struct Sandbox {
    world: Arc<World>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen: {0}")]
    Listen(#[from] io::Error),
    /// The push target is not usable.
    #[error("push target: {0}")]
    Push(#[from] PushError),
}

impl Sandbox {
    /// Listens on `listen` (port 0 takes a free one) and answers from now on. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// [`StartError`] when the address is taken, or the push target of `config` is not usable.
    pub async fn start(listen: SocketAddr, config: SandboxConfig) -> Result<Self, StartError> {
        let world = Arc::new(World::new(config)?);
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(server::serve(listener, world.clone(), stopped));
        Ok(Self { world, address, stop, server })
    }

    /// The base URL to give to [`crate::ClientConfig`], such as `http://127.0.0.1:34567`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops listening, ends all connections and pushes, and waits until that is done.
    pub async fn shut_down(self) {
        // An error means that the server has ended already.
        let _ = self.stop.send(true);
        let _ = self.server.await;
        self.world.end_pushes().await;
    }

    /// A new log-in code of the user `openid`, or of a new user.
    pub fn mint_code(&self, openid: Option<&str>) -> MintedCode {
        self.world.desk().mint_log_in_code(openid)
    }

    /// A new phone code that will answer `phone`.
    pub fn mint_phone_code(&self, phone: &str) -> String {
        self.world.desk().mint_phone_code(phone)
    }

    /// The user agrees to `count` more messages of this template. For a long-term template one consent is for ever.
    pub fn grant_consent(&self, openid: &str, template_id: &str, count: u32) {
        self.world.desk().grant_consent(openid, template_id, count);
    }

    /// The user takes all his consents to this template back.
    pub fn withdraw_consent(&self, openid: &str, template_id: &str) {
        self.world.desk().withdraw_consent(openid, template_id);
    }

    /// How many messages of this template the user would still take.
    pub fn consents_left(&self, openid: &str, template_id: &str) -> u32 {
        self.world.desk().consents_left(openid, template_id)
    }

    /// Marks the user as high-risk (40226 at log-in), or not.
    pub fn set_high_risk(&self, openid: &str, high_risk: bool) {
        self.world.desk().set_high_risk(openid, high_risk);
    }

    /// Texts and picture addresses that contain `word` get this advice from now on; the gravest counts.
    pub fn mark(&self, word: &str, suggest: Suggest, label: i64) {
        self.world.desk().mark(word, suggest, label);
    }

    /// Makes every token that was given invalid (40001).
    pub fn revoke_tokens(&self) {
        self.world.desk().revoke_tokens();
    }

    /// Whether the caller's address is on the list; if not, no token is given (40164).
    pub fn allow_address(&self, allowed: bool) {
        self.world.desk().allow_address(allowed);
    }

    /// How many times a token was asked for.
    pub fn token_requests(&self) -> u64 {
        self.world.desk().token_requests()
    }

    /// Where results of picture checks go from now on.
    ///
    /// # Errors
    /// [`PushError::BadKeys`] when the keys or the address are not usable.
    pub fn push_to(&self, target: &PushTarget) -> Result<(), PushError> {
        let pusher = Pusher::new(target, &self.world.config.appid)?;
        self.world.set_pusher(pusher);
        Ok(())
    }

    /// The messages that were sent, oldest first, the last 10,000.
    pub fn messages(&self) -> Vec<SentMessage> {
        self.world.desk().messages()
    }
}
