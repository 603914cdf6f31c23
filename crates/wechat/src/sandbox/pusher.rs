//! Pushing events to the configured address, in safe mode.

use std::time::Duration;

use reqwest::{StatusCode, Url};
use serde_json::{Map, Value, json};

use super::config::PushTarget;
use crate::http;
use crate::push::{PushError, PushGate};

/// WeChat waits so long for an answer, and tries so often in all.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const ATTEMPTS: u32 = 3;
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// The account's own name, to which users write.
const ACCOUNT: &str = "gh_97417a04a28d";

pub(super) struct Pusher {
    url: Url,
    gate: PushGate,
    http: reqwest::Client,
}

/// An event that is to be pushed. Its chance is drawn beforehand, so that a repetition is the same delivery.
pub(super) struct Push {
    pub(super) openid: String,
    pub(super) created_at: i64,
    pub(super) event: Map<String, Value>,
    pub(super) random: [u8; 16],
    pub(super) nonce: String,
}

impl Pusher {
    pub(super) fn new(target: &PushTarget, appid: &str) -> Result<Self, PushError> {
        let url = Url::parse(&target.url).map_err(|_| PushError::BadKeys)?;
        let gate = PushGate::new(&target.token, &target.encoding_aes_key, appid)?;
        let http = http::client_for(&url, CONNECT_WITHIN).map_err(|_| PushError::BadKeys)?;
        Ok(Self { url, gate, http })
    }

    /// Delivers, again if nobody answers.
    pub(super) async fn deliver(&self, push: &Push) {
        let (url, body) = self.sealed(push);
        for attempt in 1..=ATTEMPTS {
            if self.is_taken(&url, &body).await {
                return;
            }
            tracing::warn!(attempt, "sandbox: a push was not taken");
        }
    }

    async fn is_taken(&self, url: &Url, body: &Value) -> bool {
        let answer = self.http.post(url.clone()).json(body).timeout(ANSWER_WITHIN).send().await;
        answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
    }

    /// The signed address and the encrypted body.
    fn sealed(&self, push: &Push) -> (Url, Value) {
        let timestamp = push.created_at.to_string();
        let sealed =
            self.gate.seal(message(push).to_string().as_bytes(), push.random, &timestamp, &push.nonce);
        let mut url = self.url.clone();
        url.query_pairs_mut()
            .append_pair("signature", &self.gate.signature(&timestamp, &push.nonce))
            .append_pair("timestamp", &timestamp)
            .append_pair("nonce", &push.nonce)
            .append_pair("openid", &push.openid)
            .append_pair("encrypt_type", "aes")
            .append_pair("msg_signature", &sealed.msg_signature);
        (url, json!({"ToUserName": ACCOUNT, "Encrypt": sealed.encrypt}))
    }
}

/// The event with what every event has.
fn message(push: &Push) -> Value {
    let mut message = push.event.clone();
    message.insert("ToUserName".to_owned(), ACCOUNT.into());
    message.insert("FromUserName".to_owned(), push.openid.clone().into());
    message.insert("CreateTime".to_owned(), push.created_at.into());
    message.insert("MsgType".to_owned(), "event".into());
    Value::Object(message)
}
