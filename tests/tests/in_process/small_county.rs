//! A county of two teams, filled in by the program's own code, with an app on it that only the test drives.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{QueryResult, Statement};
use tempfile::TempDir;
use uuid::Uuid;
use xingfuma_app::{
    App, AppError, Caller, Foundation, Settings,
    clock::{Clock, Ids},
    command::{Ask, Render, Reply, Request},
    county::County,
    filling::{DemoLogIn, demo_accounts, fill_in},
    hazard::sample_thresholds,
    keys::{KeyTexts, Keys},
    limits::Limits,
    media::MediaSettings,
    message::{Outside, texts::Texts},
    place::PlaceRequest,
    totp::SecondFactorRule,
    view::OrderSeen,
};
use xingfuma_domain::{
    access::Role,
    area::Level,
    order::{Order, Record},
    scoring::{Guards, RuleBook, StarBook},
};
use xingfuma_media::Shelf;
use xingfuma_queue::{MemoryQueue, fanout::MemoryFanout, limiter::Limiter};
use xingfuma_store::grants::{RuntimeRole, grant};
use xingfuma_store::{
    ConnectionTrait, Store, StoreError, StoreOptions, migrations,
    orders::{self, StoredOrder},
    people,
    scope::Scope,
    transact,
};
use xingfuma_tests::services::Postgres;
use xingfuma_wechat::{
    Client, ClientConfig,
    sandbox::{ReusableCode, Sandbox, SandboxConfig, Template},
};

/// A Monday, 09:00 in China, without a holiday in the two weeks after it.
pub(crate) const MONDAY: &str = "2026-03-09T01:00:00Z";
/// The default county's own seed.
const SEED: u64 = 140_724;
/// How many volunteers the grid's team has, its leader included, and the township's.
const OF_GRID: usize = 6;
const OF_TOWNSHIP: usize = 3;
/// The code by which the first volunteer of the township's team logs in.
const TOWNSHIP_VOLUNTEER: &str = "township-volunteer";
/// How long WeChat's stand-in has a message on its way: long enough for another one to come in between.
const SEND_TAKES: Duration = Duration::from_millis(15);
/// The skill of the plain category, which both teams have.
const SKILL: &str = "便民";

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Database {
    Sqlite,
    Postgres,
}

/// A fresh, empty database.
pub(crate) struct Fresh {
    /// Whoever works there.
    pub(crate) url: String,
    /// The owner of the tables; the same on SQLite.
    owner_url: String,
    /// SQLite's file lies in it.
    _directory: Option<TempDir>,
}

impl Fresh {
    pub(crate) fn new(database: Database) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        match database {
            Database::Sqlite => {
                let directory = tempfile::tempdir().expect("a temporary directory");
                let file = directory.path().join("county.db");
                let url = format!("sqlite://{}?mode=rwc", file.display());
                Self { owner_url: url.clone(), url, _directory: Some(directory) }
            }
            Database::Postgres => {
                let name = format!("county_{}", NEXT.fetch_add(1, Ordering::Relaxed));
                let owner_url = Postgres::shared().create_database(&name);
                let url = Postgres::shared().url_as(&format!("{name}_runtime"), &name);
                Self { url, owner_url, _directory: None }
            }
        }
    }

    pub(crate) async fn connect(&self, connections: u32) -> Store {
        connect(&self.url, connections).await
    }

    /// As whoever may make tables.
    pub(crate) async fn connect_as_owner(&self, connections: u32) -> Store {
        connect(&self.owner_url, connections).await
    }
}

async fn connect(url: &str, connections: u32) -> Store {
    let options = StoreOptions { max_connections: connections, ..StoreOptions::new(url) };
    Store::connect(&options).await.expect("the database is there")
}

/// What `xingfuma migrate` does: the schema, and the grants of whoever works at `url`.
async fn migrate(owner: &Store, url: &str) {
    migrations::migrate(owner).await.expect("a fresh database takes the schema");
    if owner.is_postgres() {
        let role = RuntimeRole::of_address(url).expect("an address");
        grant(owner, &role, [7; 16]).await.expect("the grants");
    }
}

/// Everybody who does something in these tests.
pub(crate) struct People {
    pub(crate) resident: Caller,
    pub(crate) stranger: Caller,
    pub(crate) leader: Caller,
    pub(crate) volunteers: Vec<Caller>,
    pub(crate) of_township: Caller,
    pub(crate) village: Caller,
    pub(crate) township: Caller,
    pub(crate) foreign: Caller,
    pub(crate) operator: Caller,
    pub(crate) department: Caller,
}

/// The county: a grid with a team, a township with a team, and whoever can log in to the demo.
pub(crate) struct SmallCounty {
    pub(crate) app: App,
    /// The same database as the owner of its tables.
    pub(crate) owner: Store,
    pub(crate) county: County,
    pub(crate) people: People,
    keys: KeyTexts,
    sandbox: Sandbox,
    // Dropped last: the app has its file open.
    fresh: Fresh,
}

impl SmallCounty {
    pub(crate) async fn open(database: Database) -> Self {
        let fresh = Fresh::new(database);
        let (county, keys) = (two_teams(), KeyTexts::generate(&Ids::seeded(SEED)));
        let owner = fresh.connect_as_owner(12).await;
        migrate(&owner, &fresh.url).await;
        let store = match database {
            Database::Sqlite => owner.clone(),
            Database::Postgres => fresh.connect(12).await,
        };
        let filled = fill_in(&owner, &load(&keys), &county, &|_, _, _| {}).await;
        assert!(filled.expect("it is filled in"), "a fresh database is empty");
        give_a_code_to_the_township(&store, &load(&keys), &county).await;
        let sandbox = sandbox(&county).await;
        let clock = Clock::manual(MONDAY.parse().expect("a moment"));
        let app = start(store, &county, &keys, &sandbox, clock, 1, Outside::default()).await;
        let people = log_in_all(&app, &county).await;
        Self { app, owner, county, people, keys, sandbox, fresh }
    }

    /// Another process on the same database, whose clock shows the same.
    pub(crate) async fn another_app(&self) -> App {
        self.app_with(Clock::manual(self.app.clock.now())).await
    }

    /// Another process on the same database, with a clock of its own.
    pub(crate) async fn app_with(&self, clock: Clock) -> App {
        let store = self.fresh.connect(8).await;
        start(store, &self.county, &self.keys, &self.sandbox, clock, 2, Outside::default()).await
    }

    /// Another process on the same database that also tells people outside the house.
    pub(crate) async fn telling_app(&self, seed: u64, outside: Outside) -> App {
        let store = self.fresh.connect(4).await;
        let clock = Clock::manual(self.app.clock.now());
        start(store, &self.county, &self.keys, &self.sandbox, clock, seed, outside).await
    }

    /// The stand-in of WeChat.
    pub(crate) fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// The first grid's sign, in one that serves the plain category.
    pub(crate) fn sign(&self) -> String {
        let grid = self.county.teams[0].areas[0];
        let sign = self.county.signs.iter().find(|sign| sign.area == grid);
        sign.expect("every grid has a sign").code.to_string()
    }

    /// The resident orders the plain service. Nobody is told but the queue.
    pub(crate) async fn place(&self, key: &str) -> Uuid {
        let request = PlaceRequest {
            sign: Some(self.sign()),
            category: "errand".to_owned(),
            description: format!("代买一袋米 {key}"),
            ..PlaceRequest::default()
        };
        self.place_as(&self.people.resident, request, key).await.expect("a good order")
    }

    pub(crate) async fn place_as(
        &self,
        caller: &Caller,
        request: PlaceRequest,
        key: &str,
    ) -> Result<Uuid, AppError> {
        let keyed = self.app.keyed(caller.actor.person, "/orders", key, key.as_bytes());
        let id: Render = Arc::new(|seen: &OrderSeen| (201, seen.order.id.as_bytes().to_vec()));
        let reply = self.app.place(caller, None, request, keyed, id).await?;
        Ok(Uuid::from_slice(&reply.body).expect("an id"))
    }

    /// A command without a key.
    pub(crate) async fn command(
        &self,
        caller: &Caller,
        order: Uuid,
        request: Request,
    ) -> Result<Reply, AppError> {
        let ask = Ask {
            caller: caller.clone(),
            order,
            found: None,
            keyed: None,
            if_match: None,
            render: version(),
        };
        self.app.command(ask, request).await
    }

    /// The worker's rounds, until this order has been dispatched by one.
    pub(crate) async fn work_until_dispatched(&self, order: Uuid) {
        // The hint is on its way to the queue by a task of its own; a claim waits for it.
        let hints = self.app.work_once("by hand", Duration::from_secs(10)).await.expect("a queue in memory");
        assert!(hints > 0, "no hint came");
        assert_eq!(self.order(order).await.epoch, 1, "the hint was this order's");
    }

    pub(crate) async fn stored(&self, order: Uuid) -> StoredOrder {
        let scope = Scope::County(self.county.code);
        let found = orders::find(self.app.store.pool(), &scope, order).await;
        found.expect("a readable row").expect("the order is there")
    }

    pub(crate) async fn order(&self, order: Uuid) -> Order {
        self.stored(order).await.order
    }

    pub(crate) async fn records(&self, order: Uuid) -> Vec<Record> {
        orders::records(self.app.store.pool(), order).await.expect("readable events")
    }

    /// Sweeps through what is due and returns how many rows were looked at.
    pub(crate) async fn sweep(&self) -> usize {
        self.app.sweep_through().await.expect("the database is there")
    }

    pub(crate) fn advance_to(&self, at: DateTime<Utc>) {
        let by = at - self.app.clock.now();
        assert!(by >= TimeDelta::zero(), "time does not go back");
        self.app.clock.advance(by);
    }

    pub(crate) async fn rows(&self, sql: &str) -> Vec<QueryResult> {
        rows(&self.app.store, sql).await
    }

    /// The one number that a question has for an answer.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        number(&self.app.store, sql).await
    }
}

/// An order of the resident that the first volunteer has completed.
pub(crate) async fn serve_one(county: &SmallCounty) -> Uuid {
    let volunteer = &county.people.volunteers[0];
    let order = county.place(&county.app.new_id().to_string()).await;
    county.work_until_dispatched(order).await;
    county.command(volunteer, order, Request::Accept).await.expect("it is offered to him");
    let done = Request::Complete { summary: "已送到".to_owned(), minutes: 20, media: Vec::new() };
    county.command(volunteer, order, done).await.expect("he has accepted it");
    order
}

pub(crate) async fn rows(store: &Store, sql: &str) -> Vec<QueryResult> {
    let pool = store.pool();
    let statement = Statement::from_string(pool.get_database_backend(), sql);
    pool.query_all_raw(statement).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

pub(crate) async fn number(store: &Store, sql: &str) -> i64 {
    let rows = rows(store, sql).await;
    assert_eq!(rows.len(), 1, "{sql}");
    rows[0].try_get_by_index(0).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// An answer that says which version the order has now.
pub(crate) fn version() -> Render {
    Arc::new(|seen: &OrderSeen| (200, seen.order.version.to_string().into_bytes()))
}

fn load(keys: &KeyTexts) -> Keys {
    Keys::load(keys).expect("good keys")
}

/// The default county without most of its people: of the first grid's team and of its township's team for the plain
/// category there are a few, and there are no other teams.
fn two_teams() -> County {
    let mut county = County::default_county(SEED);
    let township = county.teams[0].areas[0].ancestor_at(Level::Township).expect("a grid is in a township");
    let of_township = county
        .teams
        .iter()
        .find(|team| team.areas == [township] && team.skills.iter().any(|skill| skill == SKILL));
    let of_township = of_township.expect("the township has a team for the plain category").index;
    let members = |team: usize, count: usize| {
        county.volunteers.iter().filter(move |one| one.team == team).take(count).cloned().collect::<Vec<_>>()
    };
    let mut volunteers = members(0, OF_GRID);
    volunteers.extend(members(of_township, OF_TOWNSHIP));
    for (index, volunteer) in volunteers.iter_mut().enumerate() {
        volunteer.index = index;
        volunteer.team = usize::from(index >= OF_GRID);
    }
    let mut teams = vec![county.teams[0].clone(), county.teams[of_township].clone()];
    for (index, team) in teams.iter_mut().enumerate() {
        team.index = index;
        team.leader = index * OF_GRID;
    }
    (county.volunteers, county.teams) = (volunteers, teams);
    county
}

async fn give_a_code_to_the_township(store: &Store, keys: &Keys, county: &County) {
    let phone = keys.phone_index(county.volunteers[OF_GRID].phone.as_str());
    let person = people::find_by_phone(store.pool(), county.code, &phone).await.expect("a readable row");
    let (code, person) = (county.code, person.expect("the volunteer is there").id);
    let now = MONDAY.parse().expect("a moment");
    let inserted: Result<u64, StoreError> = transact(store, move |conn| {
        let identity = (TOWNSHIP_VOLUNTEER.to_owned(), person);
        Box::pin(async move { people::insert_openid(conn, code, &[identity], now).await })
    })
    .await;
    assert_eq!(inserted.expect("the database is there"), 1);
}

async fn sandbox(county: &County) -> Sandbox {
    let mut config = SandboxConfig::new("sandbox", "sandbox", Arc::new(|| 1_772_413_200), SEED);
    for account in demo_accounts(county) {
        if let DemoLogIn::WeChat { code, openid, .. } = account.log_in {
            config.reusable_codes.insert(code, ReusableCode { openid, phone: None });
        }
    }
    config.send_takes = SEND_TAKES;
    let texts = Texts::default();
    for name in texts.templates() {
        let template = Template { keys: texts.field_names(name), long_term: name == "duty" };
        config.templates.insert(format!("{name}-id"), template);
    }
    // As if somebody had taken another template in the console than the one that the texts were written for.
    let keys = texts.field_names("offer").into_iter().chain(["thing9".to_owned()]).collect();
    config.templates.insert("another-id".to_owned(), Template { keys, long_term: false });
    let township = ReusableCode { openid: TOWNSHIP_VOLUNTEER.to_owned(), phone: None };
    config.reusable_codes.insert(TOWNSHIP_VOLUNTEER.to_owned(), township);
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    Sandbox::start(address, config).await.expect("a free port")
}

async fn start(
    store: Store,
    county: &County,
    keys: &KeyTexts,
    sandbox: &Sandbox,
    clock: Clock,
    seed: u64,
    outside: Outside,
) -> App {
    let wechat = ClientConfig { base_url: sandbox.base_url(), ..ClientConfig::new("sandbox", "sandbox") };
    // The few people of these tests place as many orders as hundreds would.
    let limits = Limits { factor: 100_000, ..Limits::default() };
    let foundation = Foundation {
        settings: Settings {
            rules: RuleBook::sample(),
            // Days pass at once here; what guards look at has tests of its own.
            guards: Guards {
                quick_seconds: 0,
                minutes_tolerance: 0,
                ring_days: 0,
                photo_days: 0,
                ..Guards::default()
            },
            hazards: sample_thresholds(),
            stars: StarBook::sample(),
            board_of_persons: false,
            county: county.code,
            public_url: "http://127.0.0.1".to_owned(),
            roots: None,
            limits,
            media: MediaSettings::default(),
            second_factor: SecondFactorRule::Off,
        },
        store,
        queue: Arc::new(MemoryQueue::new()),
        limiter: Limiter::in_memory(),
        fanout: Arc::new(MemoryFanout::new(1)),
        clock,
        ids: Ids::seeded(seed),
        keys: load(keys),
        wechat: Client::in_memory(wechat).expect("a good address"),
        outside,
        shelf: Shelf::in_memory(),
    };
    App::start(foundation).await.expect("the county is filled in")
}

async fn log_in_all(app: &App, county: &County) -> People {
    let accounts = demo_accounts(county);
    let grid = county.teams[0].areas[0];
    let of = |role: Role| accounts.iter().filter(move |account| account.role == role);
    let dispatcher = |level: Level, own: bool| {
        let mut all = of(Role::Dispatcher);
        let found = all.find(|one| one.area.level() == level && one.area.contains(&grid) == own);
        &found.expect("a dispatcher").log_in
    };
    let residents: Vec<_> = of(Role::Resident).collect();
    let mut volunteers = Vec::new();
    for account in of(Role::Volunteer) {
        volunteers.push(log_in(app, &account.log_in).await);
    }
    let township_code = DemoLogIn::WeChat {
        code: TOWNSHIP_VOLUNTEER.to_owned(),
        openid: TOWNSHIP_VOLUNTEER.to_owned(),
        phone: "15410000000".to_owned(),
    };
    let one = |role: Role| &of(role).next().expect("somebody has this role").log_in;
    People {
        resident: log_in(app, &residents[0].log_in).await,
        stranger: log_in(app, &residents[1].log_in).await,
        leader: log_in(app, one(Role::GridLeader)).await,
        volunteers,
        of_township: log_in(app, &township_code).await,
        village: log_in(app, dispatcher(Level::Village, true)).await,
        township: log_in(app, dispatcher(Level::Township, true)).await,
        foreign: log_in(app, dispatcher(Level::Township, false)).await,
        operator: log_in(app, one(Role::Operator)).await,
        department: log_in(app, one(Role::Department)).await,
    }
}

async fn log_in(app: &App, how: &DemoLogIn) -> Caller {
    let logged_in = match how {
        DemoLogIn::WeChat { code, .. } => app.log_in_wechat(code).await,
        DemoLogIn::Password { username, password } => app.log_in_password(username, password, None).await,
    };
    let logged_in = logged_in.unwrap_or_else(|error| panic!("{how:?}: {error}"));
    app.caller(logged_in.session).await.expect("a fresh session")
}
