//! Codes that the mini-program would have got: minted, redeemed once, forgotten when old.

use std::collections::BTreeMap;

use super::chance::Chance;
use super::config::ReusableCode;
use super::refusal::Refusal;

/// How long a code lives.
const CODE_LIFE_SECONDS: i64 = 300;

/// A fresh log-in code and whose it is.
#[derive(Clone, PartialEq, Eq)]
pub struct MintedCode {
    /// What the mini-program would get from `wx.login`.
    pub code: String,
    /// The user whom the log-in will answer.
    pub openid: String,
}

impl std::fmt::Debug for MintedCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MintedCode(***)")
    }
}

/// What a code is good for.
enum Good {
    ForLogIn { openid: String },
    ForPhone { phone: String },
}

struct Code {
    good: Good,
    minted_at: i64,
    used: bool,
}

/// A redeemed log-in.
pub(super) struct LoggedIn {
    pub(super) openid: String,
    /// Codes of demo accounts are not counted against the limit of log-ins.
    pub(super) counts: bool,
}

pub(super) struct Codes {
    reusable: BTreeMap<String, ReusableCode>,
    minted: BTreeMap<String, Code>,
}

impl Codes {
    pub(super) fn new(reusable: BTreeMap<String, ReusableCode>) -> Self {
        Self { reusable, minted: BTreeMap::new() }
    }

    pub(super) fn mint_for_log_in(&mut self, openid: String, now: i64, chance: &mut Chance) -> String {
        self.mint(Good::ForLogIn { openid }, format!("0{}", chance.word(31)), now)
    }

    pub(super) fn mint_for_phone(&mut self, phone: String, now: i64, chance: &mut Chance) -> String {
        self.mint(Good::ForPhone { phone }, chance.word(64), now)
    }

    fn mint(&mut self, good: Good, code: String, now: i64) -> String {
        self.minted.retain(|_, code| is_alive(code, now));
        self.minted.insert(code.clone(), Code { good, minted_at: now, used: false });
        code
    }

    /// The user of a log-in code, which is then used up.
    pub(super) fn log_in(&mut self, code: &str, now: i64) -> Result<LoggedIn, Refusal> {
        if let Some(reusable) = self.reusable.get(code) {
            return Ok(LoggedIn { openid: reusable.openid.clone(), counts: false });
        }
        let code = alive(&mut self.minted, code, now)?;
        let Good::ForLogIn { openid } = &code.good else { return Err(Refusal::bad_code()) };
        if std::mem::replace(&mut code.used, true) {
            return Err(Refusal::used_code());
        }
        Ok(LoggedIn { openid: openid.clone(), counts: true })
    }

    /// The number of a phone code, which is then used up. A used one is invalid like any other.
    pub(super) fn phone(&mut self, code: &str, now: i64) -> Result<String, Refusal> {
        if let Some(reusable) = self.reusable.get(code) {
            return reusable.phone.clone().ok_or_else(Refusal::bad_code);
        }
        let code = alive(&mut self.minted, code, now)?;
        let Good::ForPhone { phone } = &code.good else { return Err(Refusal::bad_code()) };
        if std::mem::replace(&mut code.used, true) {
            return Err(Refusal::bad_code());
        }
        Ok(phone.clone())
    }
}

fn is_alive(code: &Code, now: i64) -> bool {
    now < code.minted_at + CODE_LIFE_SECONDS
}

fn alive<'a>(minted: &'a mut BTreeMap<String, Code>, code: &str, now: i64) -> Result<&'a mut Code, Refusal> {
    minted.get_mut(code).filter(|code| is_alive(code, now)).ok_or_else(Refusal::bad_code)
}
