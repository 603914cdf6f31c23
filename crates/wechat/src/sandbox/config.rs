//! What a sandbox is started with.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The sandbox's notion of now, in seconds since 1970.
pub type SandboxClock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What a sandbox is started with.
#[derive(Clone)]
pub struct SandboxConfig {
    /// The only account it knows.
    pub appid: String,
    /// That account's secret.
    pub secret: String,
    /// Its notion of now.
    pub clock: SandboxClock,
    /// Where its chance starts: the same seed gives the same codes, tokens and openids in the same order.
    pub seed: u64,
    /// Codes of demo accounts, which work again and again, for the log-in and (with a phone) for the phone.
    pub reusable_codes: BTreeMap<String, ReusableCode>,
    /// The templates by id. With none configured any id is taken, and each consent is for one message.
    pub templates: BTreeMap<String, Template>,
    /// The published pages. With none configured any page is taken.
    pub pages: BTreeSet<String>,
    /// Where results of picture checks go.
    pub push: Option<PushTarget>,
    /// Whether a log-in also answers a `unionid`.
    pub with_unionid: bool,
    /// How long a token lives, at most 7200.
    pub token_life_seconds: i64,
    /// In this last part of a token's life a new one is given, and both work.
    pub token_overlap_seconds: i64,
    /// Log-ins with single-use codes of one user within a minute.
    pub log_ins_per_minute: usize,
    /// How long a message is on its way; a second one to the same user meanwhile is refused.
    pub send_takes: Duration,
}

/// Whom a reusable code stands for.
#[derive(Clone, PartialEq, Eq)]
pub struct ReusableCode {
    /// The user.
    pub openid: String,
    /// His phone number, if the code shall work for the phone too.
    pub phone: Option<String>,
}

/// A message template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The fields that each message must have, such as `thing1`.
    pub keys: Vec<String>,
    /// Whether one consent is for ever, as government accounts may have it.
    pub long_term: bool,
}

/// Where pushes go, with the keys that are entered in the console.
#[derive(Clone, PartialEq, Eq)]
pub struct PushTarget {
    /// The address that is called.
    pub url: String,
    /// The token that signs.
    pub token: String,
    /// The 43 characters of the key.
    pub encoding_aes_key: String,
}

impl SandboxConfig {
    /// A sandbox as the real thing is: tokens of 2 hours that overlap by 5 minutes, 100 log-ins a minute and user.
    pub fn new(appid: impl Into<String>, secret: impl Into<String>, clock: SandboxClock, seed: u64) -> Self {
        Self {
            appid: appid.into(),
            secret: secret.into(),
            clock,
            seed,
            reusable_codes: BTreeMap::new(),
            templates: BTreeMap::new(),
            pages: BTreeSet::new(),
            push: None,
            with_unionid: false,
            token_life_seconds: 7200,
            token_overlap_seconds: 300,
            log_ins_per_minute: 100,
            send_takes: Duration::from_millis(10),
        }
    }
}

impl fmt::Debug for SandboxConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxConfig")
            .field("appid", &self.appid)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ReusableCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReusableCode(***)")
    }
}

impl fmt::Debug for PushTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushTarget").field("url", &self.url).finish_non_exhaustive()
    }
}
