//! Starting and stopping: the parts put together, the tasks of each role, a graceful end.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use xingfuma_api::{State, Tokens};
use xingfuma_app::clock::{Clock, Ids};
use xingfuma_app::keys::Keys;
use xingfuma_app::{App, Foundation, Settings};
use xingfuma_domain::area::AreaCode;
use xingfuma_queue::fanout::{Fanout, MemoryFanout, RedisFanout};
use xingfuma_queue::limiter::Limiter;
use xingfuma_queue::{DispatchQueue, MemoryQueue, QueueError, RedisQueue};
use xingfuma_store::{Store, StoreOptions, in_background, migrations};
use xingfuma_wechat::push::{PushError, PushGate};
use xingfuma_wechat::sandbox::{PushTarget, Sandbox};
use xingfuma_wechat::{Client, ClientConfig};

use crate::configuration::{Configuration, StartError};
use crate::{demo, owner};

/// How long tasks may take to finish what is in hand.
const GRACE: Duration = Duration::from_secs(10);

/// Runs on the one multi-thread runtime that owns the pool, the writer and the commands.
pub(crate) fn on_runtime(work: impl Future<Output = Result<(), StartError>>) -> Result<(), StartError> {
    start_logs();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| StartError::Other(error.to_string()))?;
    runtime.block_on(work)
}

fn start_logs() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("XINGFUMA_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,xingfuma=info"));
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
}

/// Connects to a database.
pub(crate) async fn connect(url: &str, connections: u32) -> Result<Store, StartError> {
    let options = StoreOptions { max_connections: connections, ..StoreOptions::new(url) };
    Ok(Store::connect(&options).await?)
}

/// An app with what must live as long as it does.
pub(crate) struct Running {
    pub(crate) app: App,
    sandbox: Option<Sandbox>,
    push_gate: Option<Arc<PushGate>>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// Puts an app together from its configuration.
pub(crate) async fn start(configuration: &Configuration) -> Result<Running, StartError> {
    let keys = Keys::load(&configuration.keys)?;
    let store = connect(&configuration.database.url, configuration.database.connections).await?;
    if migrations::pending(&store).await? > 0 {
        return Err(StartError::Other("the schema is behind the program: run `xingfuma migrate`".to_owned()));
    }
    let county = configuration.county()?;
    let (clock, ids) = (Clock::system(), Ids::from_system());
    let life = clock.now().timestamp_millis().unsigned_abs();
    let (queue, limiter, fanout) = queue(configuration.redis.url.as_deref(), &prefix(county), life)
        .map_err(|error| StartError::Other(error.to_string()))?;
    let sandbox = if configuration.sandbox { Some(demo::sandbox().await?) } else { None };
    let wechat = wechat(configuration, sandbox.as_ref())?;
    let (public_url, limits) = (configuration.public_url.clone(), configuration.limits.clone());
    let roots = configuration.audit.roots.clone();
    let rules = crate::rules::configured(configuration)?;
    let second_factor = configuration.staff.second_factor;
    let guards = configuration.score.guards;
    let stars = crate::rules::configured_stars(configuration)?;
    let board_of_persons = configuration.score.board_of_persons;
    let outside = crate::messages::outside(configuration)?;
    let hazards = crate::messages::hazards(configuration)?;
    let media = configuration.media.settings();
    let shelf = configuration.media.shelf(&configuration.database.url)?;
    let push_gate = push_gate(configuration, sandbox.as_ref(), &ids)?;
    let settings = Settings {
        county,
        public_url,
        roots,
        limits,
        rules,
        guards,
        stars,
        board_of_persons,
        hazards,
        media,
        second_factor,
    };
    let foundation =
        Foundation { settings, store, queue, limiter, fanout, clock, ids, keys, wechat, outside, shelf };
    let app = App::start(foundation).await?;
    app.follow_database_clock().await;
    let (stop, _) = watch::channel(false);
    Ok(Running { app, sandbox, push_gate, stop, tasks: Vec::new() })
}

/// Under what a county's keys lie in Redis.
pub(crate) fn prefix(county: AreaCode) -> String {
    format!("xfm-{county}")
}

/// The queue, the limits and the words of all processes together, or of this one alone.
type Shared = (Arc<dyn DispatchQueue>, Limiter, Arc<dyn Fanout>);

fn queue(redis: Option<&str>, prefix: &str, life: u64) -> Result<Shared, QueueError> {
    Ok(match redis {
        Some(url) => (
            Arc::new(RedisQueue::new(url, prefix)?),
            Limiter::in_redis(url, prefix)?,
            Arc::new(RedisFanout::new(url, prefix)?),
        ),
        None => (Arc::new(MemoryQueue::new()), Limiter::in_memory(), Arc::new(MemoryFanout::new(life))),
    })
}

fn wechat(configuration: &Configuration, sandbox: Option<&Sandbox>) -> Result<Client, StartError> {
    let (appid, secret) = match sandbox {
        Some(_) => ("sandbox", "sandbox"),
        None => (configuration.wechat.appid.as_str(), configuration.wechat.secret.as_str()),
    };
    let mut client = ClientConfig::new(appid, secret);
    if let Some(sandbox) = sandbox {
        client.base_url = sandbox.base_url().to_string();
    } else if let Some(base_url) = &configuration.wechat.base_url {
        client.base_url.clone_from(base_url);
    }
    Client::in_memory(client).map_err(|error| StartError::Other(format!("WeChat client: {error}")))
}

/// The gate for what WeChat pushes. The sandbox gets keys of its own, and pushes to this very process.
fn push_gate(
    configuration: &Configuration,
    sandbox: Option<&Sandbox>,
    ids: &Ids,
) -> Result<Option<Arc<PushGate>>, StartError> {
    let bad =
        |error: PushError| StartError::Other(format!("wechat.push_token, wechat.encoding_aes_key: {error}"));
    if let Some(sandbox) = sandbox {
        let target = PushTarget {
            url: format!("http://{}/api/v1/wechat/push", configuration.listen),
            token: hex(&ids.bytes::<16>()),
            // 43 characters of base64 are 32 bytes and a few bits that must be zero.
            encoding_aes_key: STANDARD_NO_PAD.encode(ids.bytes::<32>()),
        };
        let gate = PushGate::new(&target.token, &target.encoding_aes_key, "sandbox").map_err(bad)?;
        sandbox.push_to(&target).map_err(bad)?;
        return Ok(Some(Arc::new(gate)));
    }
    let wechat = &configuration.wechat;
    if wechat.push_token.is_empty() && wechat.encoding_aes_key.is_empty() {
        return Ok(None);
    }
    let gate = PushGate::new(&wechat.push_token, &wechat.encoding_aes_key, &wechat.appid).map_err(bad)?;
    Ok(Some(Arc::new(gate)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Running {
    /// Follows the database's clock and the directory: every process does.
    pub(crate) fn keep_house(&mut self) {
        let (app, stop) = (self.app.clone(), self.stop.subscribe());
        self.tasks.push(tokio::spawn(async move { app.run_housekeeping(stop).await }));
    }

    /// Works on the queue, sweeps, tells people, in the house and outside.
    pub(crate) fn work(&mut self) {
        let consumer = format!("{}-{}", std::process::id(), self.app.new_id().simple());
        self.spawn_in_background(|app, stop| async move { app.run_worker(consumer, stop).await });
        self.spawn_in_background(|app, stop| async move { app.run_sweep(stop).await });
        self.spawn_in_background(|app, stop| async move { app.run_notifier(stop).await });
        self.spawn_in_background(|app, stop| async move { app.run_senders(stop).await });
    }

    fn spawn_in_background<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        work: impl FnOnce(App, watch::Receiver<bool>) -> F,
    ) {
        let work = work(self.app.clone(), self.stop.subscribe());
        self.tasks.push(tokio::spawn(in_background(work)));
    }

    /// Serves until SIGTERM or SIGINT; requests under way are answered.
    pub(crate) async fn serve(&self, configuration: &Configuration) -> Result<(), StartError> {
        let listen = configuration.listen.as_str();
        let pages = xingfuma_web::pages(self.app.clone(), xingfuma_api::address);
        let state = self.state(configuration)?;
        let server = xingfuma_api::serve(state, listen, configuration.threads, pages)
            .map_err(|error| StartError::Other(format!("{listen}: {error}")))?;
        tracing::info!(listen, "serving");
        server.await.map_err(|error| StartError::Other(error.to_string()))
    }

    fn state(&self, configuration: &Configuration) -> Result<State, StartError> {
        Ok(State {
            tokens: Tokens::new(self.app.keys.token()),
            app: self.app.clone(),
            trusted_proxies: configuration.trusted_proxies.clone().into(),
            origins: configuration.origins()?.into(),
            push_gate: self.push_gate.clone(),
        })
    }

    /// Tells metrics where a worker is to, besides its work.
    fn tell_metrics(&mut self, configuration: &Configuration) -> Result<(), StartError> {
        let Some(listen) = configuration.metrics.listen.as_deref() else { return Ok(()) };
        let server = xingfuma_api::serve_machine_room(self.state(configuration)?, listen)
            .map_err(|error| StartError::Other(format!("XINGFUMA_METRICS__LISTEN {listen}: {error}")))?;
        let (handle, mut stop) = (server.handle(), self.stop.subscribe());
        self.tasks.push(tokio::spawn(async move {
            if let Err(error) = server.await {
                tracing::warn!(%error, "metrics are not told any more");
            }
        }));
        self.tasks.push(tokio::spawn(async move {
            // An error is the end of everything, and means the same.
            let _ = stop.changed().await;
            handle.stop(true).await;
        }));
        Ok(())
    }

    /// Lets tasks finish what is in hand, then closes.
    pub(crate) async fn end(self) {
        let _ = self.stop.send(true);
        for task in self.tasks {
            if tokio::time::timeout(GRACE, task).await.is_err() {
                tracing::warn!("a task did not end in time");
            }
        }
        // Who looked at what in the last moments.
        if tokio::time::timeout(GRACE, self.app.flush_witness()).await.is_err() {
            tracing::warn!("lines of the audit log were not written in time");
        }
        if let Some(sandbox) = self.sandbox {
            sandbox.shut_down().await;
        }
        self.app.store.clone().close().await;
    }
}

/// The role `serve`.
pub(crate) async fn serve(configuration: Configuration) -> Result<(), StartError> {
    owner::warn_of_owner(&configuration);
    let mut running = start(&configuration).await?;
    running.keep_house();
    if configuration.redis.url.is_none() {
        running.work();
    }
    let served = running.serve(&configuration).await;
    running.end().await;
    served
}

/// The role `worker`.
pub(crate) async fn work(configuration: Configuration) -> Result<(), StartError> {
    owner::warn_of_owner(&configuration);
    let mut running = start(&configuration).await?;
    running.keep_house();
    running.work();
    running.tell_metrics(&configuration)?;
    tracing::info!("working");
    stopped().await?;
    running.end().await;
    Ok(())
}

async fn stopped() -> Result<(), StartError> {
    use tokio::signal::unix::{SignalKind, signal};
    let bad = |error: std::io::Error| StartError::Other(error.to_string());
    let mut terminate = signal(SignalKind::terminate()).map_err(bad)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(bad)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
