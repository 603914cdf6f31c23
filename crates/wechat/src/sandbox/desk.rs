//! All that changes in a sandbox, behind one lock. Nothing here waits for anything.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::chance::Chance;
use super::checks::{Advice, Checks};
use super::codes::{Codes, MintedCode};
use super::config::SandboxConfig;
use super::messages::{Messages, SentMessage};
use super::people::People;
use super::refusal::Refusal;
use super::tokens::Tokens;
use crate::Suggest;

pub(super) struct Desk {
    /// The time of the visit: set by the world whenever it opens the desk.
    pub(super) now: i64,
    chance: Chance,
    tokens: Tokens,
    token_requests: u64,
    address_allowed: bool,
    codes: Codes,
    people: People,
    messages: Messages,
    checks: Checks,
}

/// What a log-in answers.
pub(super) struct Session {
    pub(super) openid: String,
    pub(super) session_key: String,
}

impl Desk {
    pub(super) fn new(config: &SandboxConfig) -> Self {
        Self {
            now: 0,
            chance: Chance::new(config.seed),
            tokens: Tokens::new(config.token_life_seconds, config.token_overlap_seconds),
            token_requests: 0,
            address_allowed: true,
            codes: Codes::new(config.reusable_codes.clone()),
            people: People::new(config.log_ins_per_minute),
            messages: Messages::new(config.templates.clone()),
            checks: Checks::default(),
        }
    }

    pub(super) fn mint_log_in_code(&mut self, openid: Option<&str>) -> MintedCode {
        let openid = openid.map_or_else(|| format!("o{}", self.chance.word(27)), str::to_owned);
        let code = self.codes.mint_for_log_in(openid.clone(), self.now, &mut self.chance);
        MintedCode { code, openid }
    }

    pub(super) fn mint_phone_code(&mut self, phone: &str) -> String {
        self.codes.mint_for_phone(phone.to_owned(), self.now, &mut self.chance)
    }

    pub(super) fn log_in(&mut self, code: &str) -> Result<Session, Refusal> {
        let logged_in = self.codes.log_in(code, self.now)?;
        self.people.log_in(&logged_in.openid, logged_in.counts, self.now)?;
        // 24 characters that end in `==`, as 16 bytes in base64 do.
        let session_key = format!("{}==", self.chance.word(22));
        Ok(Session { openid: logged_in.openid, session_key })
    }

    pub(super) fn phone(&mut self, code: &str) -> Result<String, Refusal> {
        self.codes.phone(code, self.now)
    }

    pub(super) fn give_token(&mut self, force: bool) -> Result<(String, i64), Refusal> {
        self.token_requests += 1;
        if !self.address_allowed {
            return Err(Refusal::address_not_allowed());
        }
        Ok(self.tokens.current(self.now, force, &mut self.chance))
    }

    pub(super) fn check_token(&self, token: Option<&str>) -> Result<(), Refusal> {
        self.tokens.check(token, self.now)
    }

    pub(super) fn revoke_tokens(&mut self) {
        self.tokens.revoke();
    }

    pub(super) fn token_requests(&self) -> u64 {
        self.token_requests
    }

    pub(super) fn allow_address(&mut self, allowed: bool) {
        self.address_allowed = allowed;
    }

    pub(super) fn set_high_risk(&mut self, openid: &str, high_risk: bool) {
        self.people.set_high_risk(openid, high_risk);
    }

    pub(super) fn grant_consent(&mut self, openid: &str, template_id: &str, count: u32) {
        self.messages.grant(openid, template_id, count);
    }

    pub(super) fn withdraw_consent(&mut self, openid: &str, template_id: &str) {
        self.messages.withdraw(openid, template_id);
    }

    pub(super) fn consents_left(&self, openid: &str, template_id: &str) -> u32 {
        self.messages.left(openid, template_id)
    }

    /// Checks a message and takes the user's turn; [`Desk::end_message`] must follow.
    pub(super) fn begin_message(
        &mut self,
        openid: &str,
        template_id: &str,
        data: &Map<String, Value>,
    ) -> Result<BTreeMap<String, String>, Refusal> {
        let fields = self.messages.checked_fields(template_id, data)?;
        self.messages.begin(openid, template_id)?;
        Ok(fields)
    }

    pub(super) fn end_message(&mut self, openid: &str) {
        self.messages.end(openid);
    }

    pub(super) fn deliver(&mut self, message: SentMessage) -> Result<u64, Refusal> {
        self.messages.deliver(SentMessage { sent_at: self.now, ..message })
    }

    pub(super) fn messages(&self) -> Vec<SentMessage> {
        self.messages.sent()
    }

    pub(super) fn mark(&mut self, word: &str, suggest: Suggest, label: i64) {
        self.checks.mark(word, suggest, label);
    }

    /// The advice on a text or a picture's address, and the number of this check.
    pub(super) fn check(&mut self, openid: &str, text: &str) -> Result<(Advice, String), Refusal> {
        self.people.check_recently_here(openid, self.now)?;
        Ok((self.checks.advice_on(text), self.request_number()))
    }

    /// Three groups of eight hexadecimal digits, as WeChat numbers its requests.
    pub(super) fn request_number(&mut self) -> String {
        let (first, second, third) = (self.chance.number(), self.chance.number(), self.chance.number());
        format!("{first:08x}-{second:08x}-{third:08x}")
    }

    pub(super) fn random_bytes(&mut self) -> [u8; 16] {
        self.chance.bytes()
    }

    pub(super) fn nonce(&mut self) -> String {
        self.chance.number().to_string()
    }
}
