//! The client: its configuration, and how any call is made. The calls themselves have a file each.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::token::{FreshToken, Tokens};
use crate::{AccessToken, Error, MemoryTokens, TokenStore, TransportFault, http};

/// Where WeChat's server interface is.
pub const OFFICIAL_BASE_URL: &str = "https://api.weixin.qq.com";

/// Largest answer that is read: a mini-program code of 1280 pixels is well below it.
const LARGEST_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Which edition of the mini-program messages and codes lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Edition {
    /// The published one.
    #[default]
    Release,
    /// The one given to testers.
    Trial,
    /// The one on a developer's desk.
    Develop,
}

/// What a client has to know. Its `Debug` text hides the secret.
#[derive(Clone)]
pub struct ClientConfig {
    /// Where to call: [`OFFICIAL_BASE_URL`], or the sandbox. `http` or `https`.
    pub base_url: String,
    /// The mini-program's id.
    pub appid: String,
    /// The mini-program's secret.
    pub secret: String,
    /// Which edition messages and codes lead to.
    pub edition: Edition,
    /// Limit for making a connection.
    pub connect_timeout: Duration,
    /// Limit for a whole call, the token and a repetition included.
    pub timeout: Duration,
}

impl ClientConfig {
    /// The official address, the published edition, 2 s to connect, 5 s for the whole.
    pub fn new(appid: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            base_url: OFFICIAL_BASE_URL.to_owned(),
            appid: appid.into(),
            secret: secret.into(),
            edition: Edition::Release,
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(5),
        }
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("base_url", &self.base_url)
            .field("appid", &self.appid)
            .field("edition", &self.edition)
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Why a client could not be made. Found at the start of the program, not at the first call.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The address is not one.
    #[error("the base URL must be an http or https address")]
    BaseUrl,
    /// TLS could not be set up; most often the machine has no root certificates.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The HTTP client could not be made.
    #[error("the HTTP client could not be made")]
    Http,
}

/// A call that carries the access token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    /// What logs call it.
    pub(crate) name: &'static str,
    /// Its path below the base URL.
    pub(crate) path: &'static str,
}

const TOKEN: Call = Call { name: "token", path: "cgi-bin/stable_token" };

/// Speaks to WeChat. Cheap to share behind an `Arc`; all calls may run at once.
pub struct Client {
    http: reqwest::Client,
    base_url: Url,
    pub(crate) config: ClientConfig,
    tokens: Tokens,
    pub(crate) send_turns: crate::send_message::SendTurns,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.config).finish()
    }
}

impl Client {
    /// A client that keeps its token in `store`.
    ///
    /// # Errors
    /// [`BuildError`] when the address is none, or TLS cannot be set up for an `https` address.
    pub fn new(config: ClientConfig, store: Arc<dyn TokenStore>) -> Result<Self, BuildError> {
        let base_url = base_url(&config.base_url)?;
        let http = http::client_for(&base_url, config.connect_timeout)?;
        Ok(Self { http, base_url, config, tokens: Tokens::new(store), send_turns: Default::default() })
    }

    /// A client that keeps its token to itself: right for one process.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn in_memory(config: ClientConfig) -> Result<Self, BuildError> {
        Self::new(config, Arc::new(MemoryTokens::default()))
    }

    /// Asks for `path` without a token.
    pub(crate) async fn get(&self, call: Call, query: &[(&str, &str)]) -> Result<Vec<u8>, Error> {
        self.in_time(self.answer_to(call, self.http.get(self.url(call)).query(query))).await
    }

    /// Sends `body` with the token; a dead token is replaced and the call repeated, once.
    pub(crate) async fn post(&self, call: Call, body: &impl Serialize) -> Result<Vec<u8>, Error> {
        self.in_time(self.post_with_fresh_token(call, body)).await
    }

    pub(crate) async fn post_with_fresh_token(
        &self,
        call: Call,
        body: &impl Serialize,
    ) -> Result<Vec<u8>, Error> {
        let token = self.token().await?;
        match self.post_once(call, &token, body).await {
            Err(error) if error.is_stale_token() => {
                self.tokens.forget(&token).await;
                let token = self.token().await?;
                self.post_once(call, &token, body).await
            }
            answered => answered,
        }
    }

    /// `call`, given up when the configured time is over.
    pub(crate) async fn in_time<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::time::timeout(self.config.timeout, call).await.unwrap_or(Err(TransportFault::Timeout.into()))
    }

    async fn post_once(
        &self,
        call: Call,
        token: &AccessToken,
        body: &impl Serialize,
    ) -> Result<Vec<u8>, Error> {
        let request = self.http.post(self.url(call)).query(&[("access_token", token.expose())]).json(body);
        self.answer_to(call, request).await
    }

    async fn token(&self) -> Result<AccessToken, Error> {
        self.tokens.current(|| self.fetch_token()).await
    }

    async fn fetch_token(&self) -> Result<FreshToken, Error> {
        #[derive(Serialize)]
        struct Body<'a> {
            grant_type: &'static str,
            appid: &'a str,
            secret: &'a str,
        }
        #[derive(Deserialize)]
        struct Answer {
            access_token: String,
            expires_in: u64,
        }
        let body =
            Body { grant_type: "client_credential", appid: &self.config.appid, secret: &self.config.secret };
        let answer: Answer =
            understood(&self.answer_to(TOKEN, self.http.post(self.url(TOKEN)).json(&body)).await?)?;
        let expires_in = Duration::from_secs(answer.expires_in);
        Ok(FreshToken { token: AccessToken::new(answer.access_token), expires_in })
    }

    /// The body of the answer, unless it is a refusal. WeChat refuses with HTTP status 200, so the body decides.
    async fn answer_to(&self, call: Call, request: RequestBuilder) -> Result<Vec<u8>, Error> {
        let answer = async {
            let body = read(request.send().await.map_err(TransportFault::from)?).await?;
            refusal_in(call, &body).map_or(Ok(body), Err)
        };
        answer.await.inspect_err(|error| match error {
            // Configuration or WeChat itself is broken: somebody should look. The rest is everyday life.
            Error::Api { .. } | Error::AddressNotAllowed | Error::BadTemplate | Error::Transport(_) => {
                tracing::warn!(call = call.name, %error, "WeChat call failed");
            }
            _ => tracing::debug!(call = call.name, %error, "WeChat call refused"),
        })
    }

    fn url(&self, call: Call) -> Url {
        let mut url = self.base_url.clone();
        let path = format!("{}/{}", url.path().trim_end_matches('/'), call.path);
        url.set_path(&path);
        url
    }
}

fn base_url(text: &str) -> Result<Url, BuildError> {
    let url = Url::parse(text).map_err(|_| BuildError::BaseUrl)?;
    let usable = matches!(url.scheme(), "http" | "https") && url.has_host();
    if usable { Ok(url) } else { Err(BuildError::BaseUrl) }
}

async fn read(mut response: Response) -> Result<Vec<u8>, TransportFault> {
    if response.status() != StatusCode::OK {
        return Err(TransportFault::Status(response.status().as_u16()));
    }
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await? {
        if body.len() + piece.len() > LARGEST_ANSWER_BYTES {
            return Err(TransportFault::NotUnderstood);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

fn refusal_in(call: Call, body: &[u8]) -> Option<Error> {
    #[derive(Deserialize)]
    struct Refusal {
        #[serde(default)]
        errcode: i64,
        #[serde(default)]
        errmsg: String,
    }
    let refusal: Refusal = serde_json::from_slice(body).ok()?;
    if refusal.errcode == 0 {
        return None;
    }
    let error = Error::from_refusal(refusal.errcode, &refusal.errmsg);
    if error == Error::AddressNotAllowed {
        // The message names the address that has to be added.
        let errmsg = crate::error::without_identifiers(&refusal.errmsg);
        tracing::warn!(call = call.name, errmsg, "this server's address is not on the account's list");
    }
    Some(error)
}

/// `body` as what was agreed.
pub(crate) fn understood<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    // The text of a parse error can quote the body, so only its kind goes on.
    serde_json::from_slice(body).map_err(|_| TransportFault::NotUnderstood.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_addresses_are_taken() {
        for bad in ["", "api.weixin.qq.com", "ftp://api.weixin.qq.com", "unix:/socket"] {
            let config = ClientConfig { base_url: bad.to_owned(), ..ClientConfig::new("wx1", "s") };
            assert!(matches!(Client::in_memory(config), Err(BuildError::BaseUrl)), "{bad}");
        }
    }

    #[test]
    fn a_path_in_the_base_url_is_kept() {
        let config = ClientConfig {
            base_url: "http://localhost:1/wechat/".to_owned(),
            ..ClientConfig::new("wx1", "s")
        };
        let client = Client::in_memory(config).unwrap();
        assert_eq!(client.url(TOKEN).as_str(), "http://localhost:1/wechat/cgi-bin/stable_token");
    }

    #[test]
    fn no_process_wide_default_is_needed_or_made() {
        let config =
            ClientConfig { base_url: "http://localhost:1".to_owned(), ..ClientConfig::new("wx1", "s") };
        Client::in_memory(config).unwrap();
        // With TLS; a machine without root certificates gets an error, never a panic.
        let official = Client::in_memory(ClientConfig::new("wx1", "s"));
        assert!(matches!(official, Ok(_) | Err(BuildError::Tls(_))));
        assert!(rustls::crypto::CryptoProvider::get_default().is_none());
    }

    #[test]
    fn the_secret_does_not_show_itself() {
        let config = ClientConfig {
            base_url: "http://localhost:1".to_owned(),
            ..ClientConfig::new("wx1", "precious")
        };
        let shown = format!("{config:?} {:?}", Client::in_memory(config.clone()).unwrap());
        assert!(shown.contains("wx1") && !shown.contains("precious"), "{shown}");
    }

    #[test]
    fn the_body_tells_a_refusal_from_an_answer() {
        assert_eq!(refusal_in(TOKEN, br#"{"errcode":0,"errmsg":"ok"}"#), None);
        assert_eq!(refusal_in(TOKEN, br#"{"openid":"o1"}"#), None);
        assert_eq!(refusal_in(TOKEN, b"\x89PNG\r\n"), None);
        assert_eq!(refusal_in(TOKEN, br#"{"errcode":40029,"errmsg":"x"}"#), Some(Error::BadCode));
        assert_eq!(refusal_in(TOKEN, br#"{"errcode":45011}"#), Some(Error::TooOften));
    }
}
