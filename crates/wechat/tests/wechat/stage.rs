//! A sandbox with a clock that the test turns, a client of it, and a way to call it by hand.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::{Value, json};
use xingfuma_wechat::sandbox::{ReusableCode, Sandbox, SandboxConfig, Template};
use xingfuma_wechat::{Client, ClientConfig, Fields};

pub(crate) const APPID: &str = "wxba5fad812f8e6fb9";
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const START: i64 = 1_780_000_000;

/// Once per consent, with one field; for ever, with any fields.
pub(crate) const ONCE: &str = "template-once";
pub(crate) const LONG_TERM: &str = "template-long-term";

pub(crate) struct Stage {
    pub(crate) sandbox: Sandbox,
    pub(crate) client: Client,
    pub(crate) clock: Arc<AtomicI64>,
    http: reqwest::Client,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    pub(crate) async fn with(adjust: impl FnOnce(&mut SandboxConfig)) -> Self {
        let clock = Arc::new(AtomicI64::new(START));
        let hand = clock.clone();
        let mut config = SandboxConfig::new(APPID, SECRET, Arc::new(move || hand.load(Ordering::SeqCst)), 7);
        config.pages = ["pages/scan/index", "pages/order/index"].map(str::to_owned).into();
        config.templates.insert(ONCE.into(), Template { keys: vec!["thing1".into()], long_term: false });
        config.templates.insert(LONG_TERM.into(), Template { keys: Vec::new(), long_term: true });
        let resident = ReusableCode { openid: "o-demo-resident".into(), phone: Some("13800138000".into()) };
        config.reusable_codes.insert("demo-resident".into(), resident);
        let leader = ReusableCode { openid: "o-demo-leader".into(), phone: None };
        config.reusable_codes.insert("demo-leader".into(), leader);
        adjust(&mut config);
        let sandbox = Sandbox::start(any_port(), config).await.unwrap();
        let client = Client::in_memory(client_config(&sandbox.base_url())).unwrap();
        Self { sandbox, client, clock, http: http() }
    }

    pub(crate) fn wait(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    /// A new user who has just logged in.
    pub(crate) async fn somebody(&self) -> String {
        let minted = self.sandbox.mint_code(None);
        self.client.log_in(&minted.code).await.unwrap().openid
    }

    /// Asks by hand, as no client of ours would.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.sandbox.base_url());
        serde_json::from_slice(&self.http.get(url).send().await.unwrap().bytes().await.unwrap()).unwrap()
    }

    /// Posts by hand, as no client of ours would.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.sandbox.base_url());
        let answer = self.http.post(url).json(body).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    /// The number that posting `body` with a good token is refused with; 0 when it is not.
    pub(crate) async fn errcode(&self, path: &str, body: &Value) -> i64 {
        let token = self.token().await;
        let answer = self.post(&format!("{path}?access_token={token}"), body).await;
        answer["errcode"].as_i64().unwrap_or(0)
    }

    pub(crate) async fn token(&self) -> String {
        let body = json!({"grant_type": "client_credential", "appid": APPID, "secret": SECRET});
        self.post("/cgi-bin/stable_token", &body).await["access_token"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

pub(crate) fn client_config(base_url: &str) -> ClientConfig {
    ClientConfig { base_url: base_url.to_owned(), ..ClientConfig::new(APPID, SECRET) }
}

pub(crate) fn fields(pairs: &[(&str, &str)]) -> Fields {
    let mut fields = Fields::new();
    for (key, value) in pairs {
        fields.put(key, value).unwrap();
    }
    fields
}

/// An HTTP client for plain addresses only.
fn http() -> reqwest::Client {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap()
}
