//! `xingfuma demo`: the default county from one process, with nothing installed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use xingfuma_app::clock::{Clock, Ids};
use xingfuma_app::county::County;
use xingfuma_app::filling::{DemoAccount, DemoLogIn, demo_accounts, fill_in};
use xingfuma_app::keys::{KeyTexts, Keys};
use xingfuma_app::limits::Limits;
use xingfuma_wechat::sandbox::{ReusableCode, Sandbox, SandboxConfig};

use crate::configuration::{Configuration, StartError};
use crate::{messages, owner, rules, running};

/// Everybody who tries the demo shares its few accounts, and what tries it may be a script.
const DEMO_LIMITS_FACTOR: u32 = 100;

/// The default county comes out the same each time.
const SEED: u64 = 140_724;

/// The SQLite database of a data directory.
pub(crate) fn database_url(directory: &Path) -> Result<String, StartError> {
    let path = directory.join("xingfuma.db");
    let text =
        path.to_str().ok_or_else(|| StartError::Other("the data directory's name is no text".to_owned()))?;
    Ok(format!("sqlite://{text}?mode=rwc"))
}

/// The file of the ledger's daily roots in a data directory.
pub(crate) fn roots(directory: &Path) -> PathBuf {
    directory.join("score-roots.jsonl")
}

/// The configuration of a demo that was filled in, for the commands that look at it from outside.
pub(crate) fn configuration_of(directory: &Path) -> Result<Configuration, StartError> {
    let mut configuration = Configuration::read()?;
    configuration.sandbox = true;
    configuration.database.url = database_url(directory)?.replace("mode=rwc", "mode=rw");
    configuration.audit.roots.get_or_insert_with(|| roots(directory));
    if configuration.keys.data.is_empty() {
        configuration.keys = read_keys(directory).unwrap_or_default();
    }
    Ok(configuration)
}

/// Fills in what is missing, writes `demo-accounts.json`, and serves.
pub(crate) async fn run(directory: &Path, listen: &str, seed_only: bool) -> Result<(), StartError> {
    fs::create_dir_all(directory).map_err(|error| StartError::file(directory, &error))?;
    let mut configuration = Configuration::read()?;
    configuration.sandbox = true;
    if configuration.limits == Limits::default() {
        configuration.limits.factor = DEMO_LIMITS_FACTOR;
    }
    listen.clone_into(&mut configuration.listen);
    configuration.public_url = format!("http://{listen}");
    if configuration.database.url.is_empty() {
        configuration.database.url = database_url(directory)?;
    }
    configuration.audit.roots.get_or_insert_with(|| roots(directory));
    if configuration.wechat.templates.is_empty() {
        configuration.wechat.templates = messages::demo_templates();
    }
    if configuration.sms.folder.is_none() && configuration.sms.url.is_none() {
        configuration.sms.folder = Some(directory.join("sms"));
    }
    // Rules that are none are told before a county is filled in for them.
    rules::configured(&configuration)?;
    configuration.keys = keys(directory, configuration.keys)?;
    let county = County::default_county(SEED);
    fill(&configuration, &county).await?;
    let accounts = demo_accounts(&county);
    write_accounts(directory, &configuration.public_url, &county, &accounts)?;
    if seed_only {
        return Ok(());
    }
    let mut running = running::start(&configuration).await?;
    running.keep_house();
    running.work();
    greet(directory, &configuration.public_url, &county, &accounts)?;
    let served = running.serve(&configuration).await;
    running.end().await;
    served
}

/// The keys of the demo: made once, kept beside its database, readable by nobody else.
pub(crate) fn keys(directory: &Path, configured: KeyTexts) -> Result<KeyTexts, StartError> {
    if !configured.data.is_empty() {
        return Ok(configured);
    }
    if let Some(kept) = read_keys(directory) {
        return Ok(kept);
    }
    let path = keys_file(directory);
    let keys = KeyTexts::generate(&Ids::from_system());
    let text = format!(
        "XINGFUMA_KEYS__DATA={}\nXINGFUMA_KEYS__TOKEN={}\nXINGFUMA_KEYS__INDEX={}\n",
        keys.data, keys.token, keys.index
    );
    write_secret(&path, &text)?;
    Ok(keys)
}

fn keys_file(directory: &Path) -> PathBuf {
    directory.join("env")
}

/// The keys that are kept there.
fn read_keys(directory: &Path) -> Option<KeyTexts> {
    let text = fs::read_to_string(keys_file(directory)).ok()?;
    let lines: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let of = |name: &str| lines.get(name).copied().unwrap_or_default().to_owned();
    Some(KeyTexts {
        data: of("XINGFUMA_KEYS__DATA"),
        token: of("XINGFUMA_KEYS__TOKEN"),
        index: of("XINGFUMA_KEYS__INDEX"),
        data_old: of("XINGFUMA_KEYS__DATA_OLD"),
    })
}

fn write_secret(path: &PathBuf, text: &str) -> Result<(), StartError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| StartError::file(path, &error))
}

async fn fill(configuration: &Configuration, county: &County) -> Result<(), StartError> {
    // A county is filled in by the owner, like its tables: nobody else adds areas, teams and categories.
    let store = owner::open(configuration, 4).await?.store;
    let keys = Keys::load(&configuration.keys)?;
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {elapsed}") {
        bar.set_style(style);
    }
    let progress = |what: &'static str, done: u64, total: u64| {
        bar.set_message(what);
        bar.set_length(total);
        bar.set_position(done);
    };
    let filled = fill_in(&store, &keys, county, &progress).await?;
    bar.finish_and_clear();
    println!(
        "{}",
        if filled {
            "默认县已建好 · the default county is filled in"
        } else {
            "默认县已存在 · the county is there"
        }
    );
    store.close().await;
    Ok(())
}

/// The stand-in of WeChat, in which the codes of demo accounts may be used again.
pub(crate) async fn sandbox() -> Result<Sandbox, StartError> {
    let clock = Clock::system();
    let seed = u64::from_be_bytes(Ids::from_system().bytes());
    let mut config =
        SandboxConfig::new("sandbox", "sandbox", Arc::new(move || clock.now().timestamp()), seed);
    config.templates = messages::sandbox_templates();
    for account in demo_accounts(&County::default_county(SEED)) {
        if let DemoLogIn::WeChat { code, openid, phone } = account.log_in {
            config.reusable_codes.insert(code, ReusableCode { openid, phone: Some(phone) });
        }
    }
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    Sandbox::start(address, config).await.map_err(|error| StartError::Other(format!("sandbox: {error}")))
}

fn write_accounts(
    directory: &Path,
    base_url: &str,
    county: &County,
    accounts: &[DemoAccount],
) -> Result<(), StartError> {
    let accounts: Vec<_> = accounts
        .iter()
        .map(|account| {
            let login = match &account.log_in {
                DemoLogIn::WeChat { code, .. } => json!({ "wechatCode": code }),
                DemoLogIn::Password { username, password } => {
                    json!({ "username": username, "password": password })
                }
            };
            json!({ "role": account.role, "areaCode": account.area, "name": account.name, "login": login })
        })
        .collect();
    // The demo team's grid first.
    let first = county.teams[0].areas[0];
    let mut signs: Vec<_> = county.signs.iter().collect();
    signs.sort_by_key(|sign| (sign.area != first, sign.area));
    let signs: Vec<_> =
        signs.iter().map(|sign| json!({ "code": sign.code, "areaCode": sign.area })).collect();
    let text = json!({ "baseUrl": base_url, "accounts": accounts, "signs": signs });
    let path = directory.join("demo-accounts.json");
    let written = serde_json::to_string_pretty(&text).unwrap_or_default();
    fs::write(&path, written).map_err(|error| StartError::file(&path, &error))
}

fn greet(
    directory: &Path,
    base_url: &str,
    county: &County,
    accounts: &[DemoAccount],
) -> Result<(), StartError> {
    println!("\n幸福+码 · {base_url}");
    println!("  接口文档 API         {base_url}/docs/");
    println!("  演示账号 accounts    {}", directory.join("demo-accounts.json").display());
    for account in accounts.iter().take(12) {
        match &account.log_in {
            DemoLogIn::WeChat { code, .. } => {
                println!("    {:<12} {:<19} 微信码 {code}", account.role.as_str(), account.area.as_str());
            }
            DemoLogIn::Password { username, password } => {
                println!(
                    "    {:<12} {:<19} {username} / {password}",
                    account.role.as_str(),
                    account.area.as_str()
                );
            }
        }
    }
    let first = county.teams[0].areas[0];
    let Some(sign) = county.signs.iter().find(|sign| sign.area == first) else { return Ok(()) };
    let url = format!("{base_url}/q/{}", sign.code);
    println!("  标识牌 a sign        {}  {url}", sign.code);
    let code = xingfuma_sheets::qr::terminal(&url).map_err(|error| StartError::Other(error.to_string()))?;
    println!("{code}");
    println!("停止 stop: Ctrl-C");
    Ok(())
}
