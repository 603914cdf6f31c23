//! Sending a subscribed message.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::client::{Call, understood};
use crate::{Client, Edition, Error, Fields};

const SEND: Call = Call { name: "send_message", path: "cgi-bin/message/subscribe/send" };

/// Turns for sending, one for each remainder of the openid's hash: two messages to one user never run at once here,
/// two users rarely wait for each other, and nothing grows with the number of users.
pub(crate) struct SendTurns(Vec<tokio::sync::Mutex<()>>);

const TURNS: usize = 512;

impl Default for SendTurns {
    fn default() -> Self {
        Self((0..TURNS).map(|_| tokio::sync::Mutex::new(())).collect())
    }
}

impl SendTurns {
    async fn take(&self, openid: &str) -> tokio::sync::MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        openid.hash(&mut hasher);
        let index = hasher.finish() % TURNS as u64;
        self.0[index as usize].lock().await
    }
}

impl Edition {
    fn as_miniprogram_state(self) -> &'static str {
        match self {
            Self::Release => "formal",
            Self::Trial => "trial",
            Self::Develop => "developer",
        }
    }
}

impl Client {
    /// Sends one message of a template the user agreed to; one agreement is one message, unless the template is a
    /// long-term one. Answers WeChat's number of the message, by which its delivery is reported later.
    ///
    /// `page` is where a tap leads, with its query. Messages of this client to one user go one after the other.
    ///
    /// # Errors
    /// [`Error::NoConsent`], [`Error::Concurrent`] (another process was sending), [`Error::BadField`],
    /// [`Error::BadTemplate`], [`Error::BadPage`], and the general ones. After [`Error::Transport`] the message may
    /// have been delivered: do not send it again.
    pub async fn send_message(
        &self,
        openid: &str,
        template_id: &str,
        page: Option<&str>,
        fields: &Fields,
    ) -> Result<Option<u64>, Error> {
        #[derive(Serialize)]
        struct Body<'a> {
            touser: &'a str,
            template_id: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            page: Option<&'a str>,
            data: &'a Fields,
            miniprogram_state: &'static str,
            lang: &'static str,
        }
        #[derive(Deserialize)]
        struct Answer {
            msgid: Option<u64>,
        }
        let miniprogram_state = self.config.edition.as_miniprogram_state();
        let body = Body { touser: openid, template_id, page, data: fields, miniprogram_state, lang: "zh_CN" };
        let sent = async {
            let _turn = self.send_turns.take(openid).await;
            self.post_with_fresh_token(SEND, &body).await
        };
        let answer: Answer = understood(&self.in_time(sent).await?)?;
        Ok(answer.msgid)
    }
}
