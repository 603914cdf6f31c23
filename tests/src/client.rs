//! A blocking HTTP client that takes every answer as it comes, and the people of the demo who use it.

use std::{
    process,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde::Deserialize;
use serde_json::{Value, json};
use ureq::{
    Agent,
    http::{self, HeaderMap, Request},
};

/// Where the contract lives.
pub const API: &str = "/api/v1";
/// The header of a key under which an answer is kept.
pub const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// How long an answer may take, on a machine that is busy compiling.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes.
const ANSWER_LONGEST: u64 = 16 * 1024 * 1024;

/// A key that no other call of this test process has.
#[must_use]
pub fn fresh_key() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("test-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, byte for byte.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// A header's text, when it is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// Checks the status and returns the body as JSON.
    ///
    /// # Panics
    /// When the status is another.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }

    /// Checks that this is a problem as the contract describes one, with this status, and returns its `code`.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        let kind = self.header("content-type").unwrap_or("(none)");
        assert!(kind.starts_with("application/problem+json"), "{kind}: {}", self.text());
        let problem = self.json();
        assert_eq!(problem["status"], status, "{problem}");
        for member in ["type", "title", "requestId"] {
            assert!(problem[member].is_string(), "no {member}: {problem}");
        }
        let code = problem["code"].as_str().unwrap_or_else(|| panic!("no code: {problem}"));
        assert!(!code.is_empty(), "{problem}");
        code.to_owned()
    }
}

/// What a call could not do: nobody answered. Whether the server carried it out is then unknown.
pub type Unanswered = ureq::Error;

/// Somebody who calls: nobody in particular, or a person who has logged in.
#[derive(Clone, Debug)]
pub struct Client {
    agent: Agent,
    base: String,
    token: Option<String>,
}

impl Client {
    /// Nobody in particular, at `base`, such as `http://127.0.0.1:8080`.
    #[must_use]
    pub fn anonymous(base: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(ANSWER_WITHIN))
            .proxy(None)
            .max_redirects(0)
            .build();
        Self { agent: config.into(), base: base.to_owned(), token: None }
    }

    /// Where it speaks to.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The token that it shows.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Somebody of the demo, logged in.
    ///
    /// # Panics
    /// When the log-in is refused.
    #[must_use]
    #[track_caller]
    pub fn log_in(base: &str, account: &Account) -> Self {
        Self::try_log_in(base, account).unwrap_or_else(|error| panic!("{}: {error}", account.name))
    }

    /// As [`Client::log_in`].
    ///
    /// # Errors
    /// When nobody answers, or the answer is no log-in; then with the answer's text.
    pub fn try_log_in(base: &str, account: &Account) -> Result<Self, String> {
        let anonymous = Self::anonymous(base);
        let (path, body) = match &account.log_in {
            LogIn::WeChat { code } => ("/auth/wechat", json!({ "code": code })),
            LogIn::Password { username, password } => {
                ("/auth/password", json!({ "username": username, "password": password }))
            }
        };
        let answer =
            anonymous.send("POST", path, &[], &as_bytes(&body)).map_err(|error| error.to_string())?;
        let token = if answer.status == 200 {
            answer.json()["accessToken"].as_str().map(str::to_owned)
        } else {
            None
        };
        let token = token.ok_or_else(|| format!("{path}: {} {}", answer.status, answer.text()))?;
        Ok(Self { token: Some(token), ..anonymous })
    }

    /// The same person at another server.
    #[must_use]
    pub fn at(&self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self.clone() }
    }

    /// Somebody who shows this token instead.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// Reads; `path` begins after `/api/v1`.
    ///
    /// # Panics
    /// When nobody answers.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.try_get(path).unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// As [`Client::get`].
    ///
    /// # Errors
    /// When nobody answers.
    pub fn try_get(&self, path: &str) -> Result<Answer, Unanswered> {
        self.get_outside(&format!("{API}{path}"))
    }

    /// Reads what does not belong to the API, such as `/readyz`.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn get_outside(&self, path: &str) -> Result<Answer, Unanswered> {
        let request = self.request("GET", path).body(()).map_err(Unanswered::from)?;
        answer(self.agent.run(request)?)
    }

    /// Posts JSON under a key of its own.
    ///
    /// # Panics
    /// When nobody answers.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_with(path, &[(IDEMPOTENCY_KEY, &fresh_key())], body)
    }

    /// Posts JSON under one key, twice: the second answer is the first, byte for byte, and says that it is; another body
    /// under that key is refused. Returns the first answer.
    ///
    /// # Panics
    /// When nobody answers, when the first answer is no success, or when the second is another.
    #[track_caller]
    pub fn post_twice(&self, path: &str, body: &Value) -> Answer {
        let (key, bytes) = (fresh_key(), as_bytes(body));
        let first = self.post_bytes(path, &[(IDEMPOTENCY_KEY, &key)], &bytes);
        assert!((200..300).contains(&first.status), "{path}: {} {}", first.status, first.text());
        self.is_kept(path, &key, &bytes, true, &first);
        first
    }

    /// As [`Client::post_twice`], where no body is read.
    ///
    /// # Panics
    /// As [`Client::post_twice`].
    #[track_caller]
    pub fn post_keyed_only(&self, path: &str) -> Answer {
        let key = fresh_key();
        let first = self.post_bytes(path, &[(IDEMPOTENCY_KEY, &key)], b"");
        assert!((200..300).contains(&first.status), "{path}: {} {}", first.status, first.text());
        self.is_kept(path, &key, b"", false, &first);
        first
    }

    /// Checks that a successful answer is kept under its key.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn is_kept(&self, path: &str, key: &str, body: &[u8], reads_body: bool, first: &Answer) {
        let again = self.post_bytes(path, &[(IDEMPOTENCY_KEY, key)], body);
        assert_eq!(
            (again.status, again.text()),
            (first.status, first.text()),
            "{path}: another answer under the same key"
        );
        assert_eq!(first.header("idempotent-replayed"), None, "{path}");
        assert_eq!(again.header("idempotent-replayed"), Some("true"), "{path}: it does not say so");
        if reads_body {
            let other = [body, b" "].concat();
            let refused = self.post_bytes(path, &[(IDEMPOTENCY_KEY, key)], &other);
            assert_eq!(refused.status, 422, "{path}: another body under the same key: {}", refused.text());
            assert_eq!(refused.problem(422), "idempotency_key_reused", "{path}");
        }
    }

    /// Posts JSON with these headers besides the usual ones.
    ///
    /// # Panics
    /// When nobody answers.
    #[track_caller]
    pub fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        self.post_bytes(path, headers, &as_bytes(body))
    }

    /// Posts what need not be JSON, and says that it is.
    ///
    /// # Panics
    /// When nobody answers.
    #[track_caller]
    pub fn post_bytes(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.send("POST", path, headers, body).unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    /// Sends a body by any method.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, Unanswered> {
        let mut request =
            self.request(method, &format!("{API}{path}")).header("Content-Type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.to_vec()).map_err(Unanswered::from)?;
        answer(self.agent.run(request)?)
    }

    /// Uploads one file, as a phone does.
    ///
    /// # Panics
    /// When nobody answers.
    #[track_caller]
    pub fn upload(&self, file: &[u8]) -> Answer {
        const HEAD: &str = "--a-boundary\r\nContent-Disposition: form-data; name=\"file\"; filename=\"photo.jpg\"\r\n\
                            Content-Type: image/jpeg\r\n\r\n";
        let body = [HEAD.as_bytes(), file, b"\r\n--a-boundary--\r\n"].concat();
        self.post_as("/media", "multipart/form-data; boundary=a-boundary", &body)
    }

    /// Posts what is not JSON, and says what it is.
    ///
    /// # Panics
    /// When nobody answers.
    #[track_caller]
    pub fn post_as(&self, path: &str, content_type: &str, body: &[u8]) -> Answer {
        let request = self.request("POST", &format!("{API}{path}")).header("Content-Type", content_type);
        let request = request.body(body.to_vec()).expect("a good request");
        let answered = self.agent.run(request).and_then(answer);
        answered.unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    fn request(&self, method: &str, path: &str) -> http::request::Builder {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.header("Authorization", format!("Bearer {token}")),
            None => request,
        }
    }
}

fn as_bytes(body: &Value) -> Vec<u8> {
    body.to_string().into_bytes()
}

fn answer(mut response: http::Response<ureq::Body>) -> Result<Answer, Unanswered> {
    let bytes = response.body_mut().with_config().limit(ANSWER_LONGEST).read_to_vec()?;
    Ok(Answer { status: response.status().as_u16(), headers: response.headers().clone(), bytes })
}

/// What `demo-accounts.json` says: who can log in, and which signs hang where.
#[derive(Clone, Debug, Deserialize)]
pub struct Accounts {
    accounts: Vec<Account>,
    signs: Vec<Sign>,
}

/// Somebody of the demo.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The role, as the glossary spells it.
    pub role: String,
    /// The area of the role.
    pub area_code: String,
    /// The name.
    pub name: String,
    /// How to log in.
    #[serde(rename = "login")]
    pub log_in: LogIn,
}

/// How somebody logs in.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum LogIn {
    /// With a WeChat code of the sandbox, as often as one likes.
    WeChat {
        /// The code.
        #[serde(rename = "wechatCode")]
        code: String,
    },
    /// With a password.
    Password {
        /// The user name.
        username: String,
        /// The password.
        password: String,
    },
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sign {
    code: String,
    area_code: String,
}

/// Digits of a village's code, and of a township's.
const VILLAGE: usize = 12;
const TOWNSHIP: usize = 9;

impl Accounts {
    /// Reads the text of the file.
    ///
    /// # Panics
    /// When it is not as the contract says.
    #[must_use]
    pub fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("demo-accounts.json: {error}: {text}"))
    }

    /// Everybody with a role.
    #[must_use]
    pub fn all(&self, role: &str) -> Vec<&Account> {
        self.accounts.iter().filter(|account| account.role == role).collect()
    }

    /// The first with a role.
    ///
    /// # Panics
    /// When there is nobody.
    #[must_use]
    #[track_caller]
    pub fn one(&self, role: &str) -> &Account {
        self.all(role).first().unwrap_or_else(|| panic!("nobody is {role}"))
    }

    /// The code of the grid whose team has accounts.
    #[must_use]
    pub fn grid(&self) -> &str {
        &self.one("grid_leader").area_code
    }

    /// The code of that grid's sign.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn sign(&self) -> &str {
        let sign = self.signs.iter().find(|sign| sign.area_code == self.grid());
        &sign.expect("the grid of the accounts has a sign").code
    }

    /// Everybody of that grid's team: the volunteers, then their leader.
    #[must_use]
    pub fn team(&self) -> Vec<&Account> {
        let mut team = self.all("volunteer");
        team.extend(self.all("grid_leader"));
        team
    }

    /// The dispatcher of that grid's village.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn village_dispatcher(&self) -> &Account {
        let village = &self.grid()[..VILLAGE];
        self.dispatcher(|area| area == village)
    }

    /// The dispatcher of that grid's township.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn township_dispatcher(&self) -> &Account {
        let township = &self.grid()[..TOWNSHIP];
        self.dispatcher(|area| area == township)
    }

    /// The dispatcher of another township.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn foreign_dispatcher(&self) -> &Account {
        let township = &self.grid()[..TOWNSHIP];
        self.dispatcher(|area| area.len() == TOWNSHIP && area != township)
    }

    fn dispatcher(&self, is_there: impl Fn(&str) -> bool) -> &Account {
        let found = self.all("dispatcher").into_iter().find(|account| is_there(&account.area_code));
        found.unwrap_or_else(|| panic!("no such dispatcher among {:?}", self.all("dispatcher")))
    }
}
