//! What the program is told: `xingfuma.toml` if it is there, then the environment (`XINGFUMA_`, `__` between levels).

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use xingfuma_app::AppError;
use xingfuma_app::keys::{KeyTexts, WeakKey};
use xingfuma_app::limits::Limits;
use xingfuma_app::totp::SecondFactorRule;
use xingfuma_domain::area::AreaCode;
use xingfuma_store::StoreError;

/// Why the program does not start, or stops.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("configuration: {0}")]
    Configuration(Box<figment::Error>),
    #[error(transparent)]
    WeakKey(#[from] WeakKey),
    #[error("database: {0}")]
    Store(#[from] StoreError),
    #[error(transparent)]
    App(#[from] AppError),
    #[error("{0}")]
    Other(String),
}

impl StartError {
    pub(crate) fn file(path: &Path, error: &std::io::Error) -> StartError {
        StartError::Other(format!("{}: {error}", path.display()))
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Configuration {
    /// The address to listen on.
    pub(crate) listen: String,
    /// Where people reach it.
    pub(crate) public_url: String,
    /// Threads that answer requests.
    pub(crate) threads: usize,
    /// Log in against the built-in stand-in of WeChat, as the demo does. Not for production.
    pub(crate) sandbox: bool,
    pub(crate) database: DatabaseConfiguration,
    pub(crate) redis: RedisConfiguration,
    pub(crate) keys: KeyTexts,
    pub(crate) wechat: WeChatConfiguration,
    pub(crate) county: CountyConfiguration,
    pub(crate) audit: AuditConfiguration,
    pub(crate) score: ScoreConfiguration,
    /// How often somebody may do what.
    pub(crate) limits: Limits,
    /// Addresses or networks of proxies whose word on where a request comes from is taken.
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) cors: CorsConfiguration,
    pub(crate) staff: StaffConfiguration,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StaffConfiguration {
    /// `off`, or `staff`: whoever logs in with a password has to have a second factor.
    pub(crate) second_factor: SecondFactorRule,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CorsConfiguration {
    /// Origins whose pages may speak with the API, letter by letter; none by default.
    pub(crate) origins: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DatabaseConfiguration {
    /// `postgres://…` or `sqlite://FILE?mode=rwc`.
    pub(crate) url: String,
    /// Most connections of this process.
    pub(crate) connections: u32,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RedisConfiguration {
    /// `redis://…`; without it the queue lives in this process.
    pub(crate) url: Option<String>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WeChatConfiguration {
    pub(crate) appid: String,
    pub(crate) secret: String,
    /// Another address than WeChat's own.
    pub(crate) base_url: Option<String>,
}

impl std::fmt::Debug for WeChatConfiguration {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("WeChatConfiguration").field("appid", &self.appid).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CountyConfiguration {
    /// Six digits.
    pub(crate) code: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AuditConfiguration {
    /// The file, outside the database, that the ledger's daily roots are appended to.
    pub(crate) roots: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ScoreConfiguration {
    /// The directory of the county's own rules; without it the sample's hold.
    pub(crate) rules: Option<PathBuf>,
}

impl Default for Configuration {
    fn default() -> Configuration {
        Configuration {
            listen: "127.0.0.1:8080".to_owned(),
            public_url: "http://127.0.0.1:8080".to_owned(),
            threads: 2,
            sandbox: false,
            database: DatabaseConfiguration::default(),
            redis: RedisConfiguration::default(),
            keys: KeyTexts::default(),
            wechat: WeChatConfiguration::default(),
            county: CountyConfiguration::default(),
            audit: AuditConfiguration::default(),
            score: ScoreConfiguration::default(),
            limits: Limits::default(),
            trusted_proxies: Vec::new(),
            cors: CorsConfiguration::default(),
            staff: StaffConfiguration::default(),
        }
    }
}

impl Default for DatabaseConfiguration {
    fn default() -> DatabaseConfiguration {
        DatabaseConfiguration { url: String::new(), connections: 12 }
    }
}

impl Default for WeChatConfiguration {
    fn default() -> WeChatConfiguration {
        WeChatConfiguration { appid: "sandbox".to_owned(), secret: "sandbox".to_owned(), base_url: None }
    }
}

impl Default for CountyConfiguration {
    fn default() -> CountyConfiguration {
        CountyConfiguration { code: "140724".to_owned() }
    }
}

impl Configuration {
    /// Reads the file and the environment.
    pub(crate) fn load() -> Result<Configuration, StartError> {
        let configuration = Configuration::read()?;
        if configuration.database.url.is_empty() {
            return Err(StartError::Other(
                "XINGFUMA_DATABASE__URL is missing: postgres://… or sqlite://FILE?mode=rwc".to_owned(),
            ));
        }
        Ok(configuration)
    }

    /// As [`Configuration::load`], without asking for a database.
    pub(crate) fn read() -> Result<Configuration, StartError> {
        Figment::from(Serialized::defaults(Configuration::default()))
            .merge(Toml::file("xingfuma.toml"))
            .merge(Env::prefixed("XINGFUMA_").ignore(&["log", "renew", "tests_long"]).split("__"))
            .extract()
            .map_err(|error| StartError::Configuration(Box::new(error)))
    }

    /// The origins whose pages may speak with the API.
    pub(crate) fn origins(&self) -> Result<Vec<String>, StartError> {
        match self.cors.origins.iter().find(|origin| !xingfuma_api::is_origin(origin)) {
            Some(bad) => Err(StartError::Other(format!(
                "XINGFUMA_CORS__ORIGINS: {bad:?} is no origin; one looks like https://desk.example.gov.cn"
            ))),
            None => Ok(self.cors.origins.clone()),
        }
    }

    pub(crate) fn county(&self) -> Result<AreaCode, StartError> {
        self.county
            .code
            .parse()
            .map_err(|_| StartError::Other("XINGFUMA_COUNTY__CODE is no area code".to_owned()))
    }
}
