//! Messages: who agreed to what, what is on its way, what was sent.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::Serialize;
use serde_json::{Map, Value};

use super::config::Template;
use super::refusal::Refusal;
use crate::{FieldFaultKind, FieldKind};

/// How many sent messages are kept to look at.
const KEPT: usize = 10_000;

/// A message that was sent.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SentMessage {
    /// To whom.
    pub openid: String,
    /// By which template.
    pub template_id: String,
    /// Where a tap leads.
    pub page: Option<String>,
    /// The fields by name, without the `value` around each.
    pub data: BTreeMap<String, String>,
    /// Which edition it leads to.
    pub miniprogram_state: String,
    /// When, in seconds since 1970 by the sandbox's clock.
    pub sent_at: i64,
    /// Its number.
    pub message_id: u64,
}

impl std::fmt::Debug for SentMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SentMessage").field("message_id", &self.message_id).finish_non_exhaustive()
    }
}

pub(super) struct Messages {
    templates: BTreeMap<String, Template>,
    consents: BTreeMap<(String, String), u32>,
    on_their_way: BTreeSet<String>,
    sent: VecDeque<SentMessage>,
    last_id: u64,
}

impl Messages {
    pub(super) fn new(templates: BTreeMap<String, Template>) -> Self {
        let (consents, on_their_way) = (BTreeMap::new(), BTreeSet::new());
        Self { templates, consents, on_their_way, sent: VecDeque::new(), last_id: 0 }
    }

    pub(super) fn grant(&mut self, openid: &str, template_id: &str, count: u32) {
        let left = self.consents.entry(ledger_key(openid, template_id)).or_default();
        *left = left.saturating_add(count);
    }

    pub(super) fn withdraw(&mut self, openid: &str, template_id: &str) {
        self.consents.remove(&ledger_key(openid, template_id));
    }

    pub(super) fn left(&self, openid: &str, template_id: &str) -> u32 {
        self.consents.get(&ledger_key(openid, template_id)).copied().unwrap_or_default()
    }

    /// The fields of a message, checked against the template and the rules of each kind.
    pub(super) fn checked_fields(
        &self,
        template_id: &str,
        data: &Map<String, Value>,
    ) -> Result<BTreeMap<String, String>, Refusal> {
        for key in self.template_keys(template_id)? {
            if !data.contains_key(key) {
                return Err(Refusal::bad_field(key, "is empty"));
            }
        }
        data.iter().map(|(key, value)| checked_field(key, value).map(|value| (key.clone(), value))).collect()
    }

    fn template_keys(&self, template_id: &str) -> Result<&[String], Refusal> {
        match self.templates.get(template_id) {
            Some(template) => Ok(&template.keys),
            None if self.templates.is_empty() && !template_id.is_empty() => Ok(&[]),
            None => Err(Refusal::bad_template()),
        }
    }

    /// Takes the turn of this user, if he agreed and nobody else is sending to him.
    pub(super) fn begin(&mut self, openid: &str, template_id: &str) -> Result<(), Refusal> {
        if self.left(openid, template_id) == 0 {
            return Err(Refusal::no_consent());
        }
        if self.on_their_way.insert(openid.to_owned()) { Ok(()) } else { Err(Refusal::concurrent()) }
    }

    /// Gives the turn back, sent or not.
    pub(super) fn end(&mut self, openid: &str) {
        self.on_their_way.remove(openid);
    }

    /// Delivers a message whose turn it is, and answers its number. The consent may have been taken back meanwhile.
    pub(super) fn deliver(&mut self, mut message: SentMessage) -> Result<u64, Refusal> {
        let long_term = self.templates.get(&message.template_id).is_some_and(|template| template.long_term);
        let left = self.consents.get_mut(&ledger_key(&message.openid, &message.template_id));
        let left = left.filter(|left| **left > 0).ok_or_else(Refusal::no_consent)?;
        if !long_term {
            *left -= 1;
        }
        self.last_id += 1;
        message.message_id = self.last_id;
        self.sent.push_back(message);
        if self.sent.len() > KEPT {
            self.sent.pop_front();
        }
        Ok(self.last_id)
    }

    pub(super) fn sent(&self) -> Vec<SentMessage> {
        self.sent.iter().cloned().collect()
    }
}

fn ledger_key(openid: &str, template_id: &str) -> (String, String) {
    (openid.to_owned(), template_id.to_owned())
}

fn checked_field(key: &str, value: &Value) -> Result<String, Refusal> {
    let kind = FieldKind::of(key).ok_or_else(|| Refusal::bad_field(key, "is not of a known kind"))?;
    let value = value["value"].as_str().ok_or_else(|| Refusal::bad_field(key, "is empty"))?;
    kind.check(value).map_err(|fault| Refusal::bad_field(key, wording(fault)))?;
    Ok(value.to_owned())
}

fn wording(fault: FieldFaultKind) -> &'static str {
    match fault {
        FieldFaultKind::Empty => "is empty",
        FieldFaultKind::TooLong(_) => "is too long",
        _ => "is invalid",
    }
}
