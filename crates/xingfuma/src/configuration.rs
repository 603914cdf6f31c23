//! What the program is told: `xingfuma.toml` if it is there, then the environment (`XINGFUMA_`, `__` between levels).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize};
use xingfuma_app::AppError;
use xingfuma_app::keys::{KeyTexts, WeakKey};
use xingfuma_app::limits::Limits;
use xingfuma_app::media::MediaSettings;
use xingfuma_app::message::Template;
use xingfuma_app::totp::SecondFactorRule;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::scoring::Guards;
use xingfuma_media::{S3Configuration, Shelf};
use xingfuma_store::StoreError;
use xingfuma_store::grants::GrantError;

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
    /// What was to be done is the owner's alone.
    #[error("{0}: set XINGFUMA_DATABASE__OWNER_URL to the address of the owner (docs/operation.md)")]
    NeedsTheOwner(GrantError),
    #[error("database: {0}")]
    Grants(#[from] GrantError),
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
    pub(crate) sms: SmsConfiguration,
    /// A file of what messages say; without it the sample's words hold.
    pub(crate) messages: Option<PathBuf>,
    /// A file of what makes a hazard; without it the sample's thresholds hold.
    pub(crate) hazards: Option<PathBuf>,
    pub(crate) audit: AuditConfiguration,
    pub(crate) score: ScoreConfiguration,
    pub(crate) metrics: MetricsConfiguration,
    /// How often somebody may do what.
    pub(crate) limits: Limits,
    pub(crate) media: MediaConfiguration,
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

/// Where photos are kept, and how they are taken in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MediaConfiguration {
    /// A folder that all processes share; beside the file of an SQLite database by default.
    pub(crate) folder: Option<PathBuf>,
    /// A store that speaks S3, in place of a folder.
    pub(crate) s3: S3Configuration,
    /// Largest file, in bytes.
    pub(crate) bytes_most: usize,
    /// Most pixels of a file.
    pub(crate) pixels_most: u64,
    /// Longest side of what is kept, in pixels.
    pub(crate) side_longest: u32,
    /// Files that one process decodes at once.
    pub(crate) decodes_at_once: usize,
    /// Files above 64 KiB that one process holds at once.
    pub(crate) large_at_once: usize,
}

impl Default for MediaConfiguration {
    fn default() -> MediaConfiguration {
        let settings = MediaSettings::default();
        MediaConfiguration {
            folder: None,
            s3: S3Configuration::default(),
            bytes_most: settings.bytes_most,
            pixels_most: settings.pixels_most,
            side_longest: settings.side_longest,
            decodes_at_once: settings.decodes_at_once,
            large_at_once: settings.large_at_once,
        }
    }
}

impl MediaConfiguration {
    pub(crate) fn settings(&self) -> MediaSettings {
        MediaSettings {
            bytes_most: self.bytes_most,
            pixels_most: self.pixels_most,
            side_longest: self.side_longest,
            decodes_at_once: self.decodes_at_once,
            large_at_once: self.large_at_once,
        }
    }

    /// The shelf: a store where one is named, else a folder, else the folder beside the SQLite file at `database`, else
    /// none, and uploads are refused.
    pub(crate) fn shelf(&self, database: &str) -> Result<Shelf, StartError> {
        let bad = |error: xingfuma_media::ShelfError| StartError::Other(error.to_string());
        if !self.s3.bucket.is_empty() || !self.s3.endpoint.is_empty() {
            return Shelf::s3(&self.s3).map_err(bad);
        }
        match self.folder.clone().or_else(|| beside(database)) {
            Some(folder) => Shelf::folder(&folder).map_err(bad),
            None => {
                tracing::warn!(
                    "XINGFUMA_MEDIA__FOLDER is not set, nor XINGFUMA_MEDIA__S3__…: photos are refused"
                );
                Ok(Shelf::default())
            }
        }
    }
}

/// The folder `media` beside the file of an SQLite database.
fn beside(database: &str) -> Option<PathBuf> {
    let file = database.strip_prefix("sqlite:")?.trim_start_matches("//").split('?').next()?;
    (!file.is_empty() && !file.contains(":memory:")).then(|| Path::new(file).with_file_name("media"))
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
    /// The same database as its owner, who alone may change tables: for `migrate`. Without it `url` is the owner's.
    pub(crate) owner_url: Option<String>,
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
    #[serde(deserialize_with = "text")]
    pub(crate) appid: String,
    #[serde(deserialize_with = "text")]
    pub(crate) secret: String,
    /// Another address than WeChat's own.
    pub(crate) base_url: Option<String>,
    /// Templates of messages, by the names that the texts give them; without any nobody is told by WeChat.
    pub(crate) templates: BTreeMap<String, Template>,
    /// The token of the message push, as it is entered in WeChat's console; without it none is taken.
    pub(crate) push_token: String,
    /// The EncodingAESKey of the message push.
    pub(crate) encoding_aes_key: String,
}

/// How text messages are sent; without either they are not.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SmsConfiguration {
    /// A folder into which they are written, for trying out.
    pub(crate) folder: Option<PathBuf>,
    /// A gateway to which they are posted.
    pub(crate) url: Option<String>,
    /// The secret by which the gateway knows us.
    pub(crate) secret: String,
}

impl std::fmt::Debug for SmsConfiguration {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("SmsConfiguration").field("url", &self.url).finish_non_exhaustive()
    }
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
    #[serde(deserialize_with = "text")]
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
pub(crate) struct MetricsConfiguration {
    /// The address on which a worker tells its metrics; none by default. `serve` tells its own where it serves.
    pub(crate) listen: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ScoreConfiguration {
    /// The directory of the county's own rules; without it the sample's hold.
    pub(crate) rules: Option<PathBuf>,
    /// From which point on points are held for review; zero switches a guard off.
    pub(crate) guards: Guards,
    /// Whether there is a board of persons: of those who agreed to be named, and of nobody else.
    pub(crate) board_of_persons: bool,
}

/// A text, also where it looks like a number: a value in the environment has no quotes.
fn text<'de, D: Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum TextOrNumber {
        Text(String),
        Number(u64),
    }
    Ok(match TextOrNumber::deserialize(value)? {
        TextOrNumber::Text(text) => text,
        TextOrNumber::Number(number) => number.to_string(),
    })
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
            sms: SmsConfiguration::default(),
            messages: None,
            hazards: None,
            audit: AuditConfiguration::default(),
            score: ScoreConfiguration::default(),
            metrics: MetricsConfiguration::default(),
            limits: Limits::default(),
            media: MediaConfiguration::default(),
            trusted_proxies: Vec::new(),
            cors: CorsConfiguration::default(),
            staff: StaffConfiguration::default(),
        }
    }
}

impl Default for DatabaseConfiguration {
    fn default() -> DatabaseConfiguration {
        DatabaseConfiguration { url: String::new(), owner_url: None, connections: 12 }
    }
}

impl DatabaseConfiguration {
    /// The owner's address, where it is not the one that everybody works with.
    pub(crate) fn owner_url(&self) -> Option<&str> {
        self.owner_url.as_deref().filter(|url| !url.is_empty())
    }
}

impl Default for WeChatConfiguration {
    fn default() -> WeChatConfiguration {
        WeChatConfiguration {
            appid: "sandbox".to_owned(),
            secret: "sandbox".to_owned(),
            base_url: None,
            templates: BTreeMap::new(),
            push_token: String::new(),
            encoding_aes_key: String::new(),
        }
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
