//! Messages by HTTP.
//!
//! `POST {url}` with `{"id", "phone", "text"}`, the secret as `Authorization: Bearer`, the id also as `Idempotency-Key`.
//! 2xx: taken. 429 and 503: not taken, later. Any other status from 400 to 499: refused for good. Everything else, and
//! no answer: unknown.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{StatusCode, Url, redirect};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use serde_json::json;

use crate::{Sms, SmsError, SmsSender};

/// Limit for a whole call.
const CALL_WITHIN: Duration = Duration::from_secs(5);
/// Limit for making a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// What has to be known of a gateway. Its `Debug` text hides the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct GatewayConfig {
    /// Where to post; `http` is for this machine only.
    pub url: String,
    /// The secret by which the gateway knows the caller.
    pub secret: String,
}

impl std::fmt::Debug for GatewayConfig {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("GatewayConfig").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Why a sender could not be made. Found at the start of the program, not at the first message.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The address is not one.
    #[error("the gateway must be an http or https address")]
    Address,
    /// TLS could not be set up; most often the machine has no root certificates.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The HTTP client could not be made.
    #[error("the HTTP client could not be made")]
    Http,
}

/// Posts each message to a gateway.
pub struct HttpSms {
    http: reqwest::Client,
    url: Url,
    secret: String,
}

impl std::fmt::Debug for HttpSms {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("HttpSms").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

impl HttpSms {
    /// A sender to this gateway.
    ///
    /// # Errors
    /// [`BuildError`] when the address is none, or TLS cannot be set up for an `https` address.
    pub fn new(config: &GatewayConfig) -> Result<HttpSms, BuildError> {
        let url = Url::parse(&config.url).map_err(|_| BuildError::Address)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(BuildError::Address);
        }
        Ok(HttpSms { http: client(url.scheme() == "https")?, url, secret: config.secret.clone() })
    }
}

/// The TLS configuration is handed over whole, with its cryptography, so that nothing depends on a process-wide default.
fn client(encrypted: bool) -> Result<reqwest::Client, BuildError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let tls = match encrypted {
        true => tls.with_platform_verifier()?,
        false => tls.with_root_certificates(RootCertStore::empty()),
    };
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls.with_no_client_auth())
        .https_only(encrypted)
        // A redirect would carry the phone to where nobody meant it to go.
        .redirect(redirect::Policy::none())
        .timeout(CALL_WITHIN)
        .connect_timeout(CONNECT_WITHIN);
    let builder = if encrypted { builder } else { builder.no_proxy() };
    builder.build().map_err(|_| BuildError::Http)
}

#[async_trait::async_trait]
impl SmsSender for HttpSms {
    async fn send(&self, sms: &Sms) -> Result<(), SmsError> {
        let request = self
            .http
            .post(self.url.clone())
            .bearer_auth(&self.secret)
            .header("Idempotency-Key", sms.id.to_string())
            .json(&json!({ "id": sms.id, "phone": sms.phone, "text": sms.text }));
        match request.send().await {
            Ok(answer) => of_status(answer.status()),
            // The error's own text names the address; its kind is enough.
            Err(error) if error.is_connect() => Err(SmsError::NotSent("no connection")),
            Err(_) => Err(SmsError::Unknown),
        }
    }
}

fn of_status(status: StatusCode) -> Result<(), SmsError> {
    match status.as_u16() {
        200..=299 => Ok(()),
        429 | 503 => Err(SmsError::NotSent("the gateway is busy")),
        400..=499 => Err(SmsError::Refused(format!("status {}", status.as_u16()))),
        _ => Err(SmsError::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use uuid::Uuid;

    use super::*;

    fn sms() -> Sms {
        Sms { id: Uuid::from_u128(7), phone: "15400001234".to_owned(), text: "已接单".to_owned() }
    }

    fn sender(url: String) -> HttpSms {
        HttpSms::new(&GatewayConfig { url, secret: "precious".to_owned() }).unwrap()
    }

    /// A gateway that answers one call in these words, and hands back what it was asked; none hangs up.
    async fn asked(answer: Option<&'static str>) -> (Result<(), SmsError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/sms", listener.local_addr().unwrap());
        let gateway = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut heard = Vec::new();
            while !String::from_utf8_lossy(&heard).ends_with('}') {
                let mut piece = [0; 4096];
                let read = stream.read(&mut piece).await.unwrap();
                heard.extend_from_slice(&piece[..read]);
            }
            if let Some(answer) = answer {
                let answer = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            String::from_utf8(heard).unwrap()
        });
        let sent = sender(url).send(&sms()).await;
        (sent, gateway.await.unwrap())
    }

    #[tokio::test]
    async fn a_message_goes_with_its_id_and_the_secret() {
        let (sent, heard) = asked(Some("202 Accepted")).await;
        assert_eq!(sent, Ok(()));
        let heard = heard.to_lowercase();
        assert!(heard.starts_with("post /sms "), "{heard}");
        assert!(heard.contains("authorization: bearer precious"), "{heard}");
        assert!(heard.contains(&format!("idempotency-key: {}", sms().id)), "{heard}");
        let body = heard.split("\r\n\r\n").nth(1).unwrap();
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body, json!({ "id": sms().id, "phone": "15400001234", "text": "已接单" }));
    }

    #[tokio::test]
    async fn answers_mean_what_the_introduction_says() {
        let cases = [
            ("429 Too Many Requests", SmsError::NotSent("the gateway is busy")),
            ("503 Service Unavailable", SmsError::NotSent("the gateway is busy")),
            ("422 Unprocessable Content", SmsError::Refused("status 422".to_owned())),
            ("302 Found", SmsError::Unknown),
            ("500 Internal Server Error", SmsError::Unknown),
        ];
        for (answer, error) in cases {
            assert_eq!(asked(Some(answer)).await.0, Err(error), "{answer}");
        }
        assert_eq!(asked(None).await.0, Err(SmsError::Unknown));
    }

    #[tokio::test]
    async fn a_gateway_that_is_not_there_has_sent_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/sms", listener.local_addr().unwrap());
        drop(listener);
        assert_eq!(sender(url).send(&sms()).await, Err(SmsError::NotSent("no connection")));
    }

    #[test]
    fn addresses_are_checked_and_the_secret_does_not_show_itself() {
        for url in ["", "gateway", "ftp://gateway"] {
            let config = GatewayConfig { url: url.to_owned(), secret: "precious".to_owned() };
            assert!(matches!(HttpSms::new(&config), Err(BuildError::Address)), "{url}");
            assert!(!format!("{config:?}").contains("precious"));
        }
        assert!(!format!("{:?}", sender("http://127.0.0.1:1/x".to_owned())).contains("precious"));
    }
}
