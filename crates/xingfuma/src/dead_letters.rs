//! `xingfuma dead-letters`: orders that were set aside, and giving them back.

use std::path::PathBuf;

use uuid::Uuid;
use xingfuma_app::clock::{Clock, Ids};
use xingfuma_app::dead_letters::{replay_entry, tell, unmark};
use xingfuma_domain::area::AreaCode;
use xingfuma_queue::RedisQueue;
use xingfuma_store::due::{self, DeadRow};
use xingfuma_store::{Store, audit};

use crate::configuration::{Configuration, StartError};
use crate::{demo, running};

/// Rows read at once.
const PAGE: u64 = 500;

/// Which county.
#[derive(clap::Args)]
pub(crate) struct Place {
    /// The data directory of a demo; without it the configured database.
    #[arg(long)]
    data_dir: Option<PathBuf>,
}

#[derive(clap::Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// Print the orders that were set aside, oldest first: id, number, place, what was due, since when, why.
    List {
        #[command(flatten)]
        place: Place,
        /// Print a JSON document a line.
        #[arg(long)]
        json: bool,
    },
    /// Give orders back to queue and sweep, once the cause is mended. The audit log notes it.
    Replay {
        #[command(flatten)]
        place: Place,
        /// The orders.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        orders: Vec<Uuid>,
        /// All of them.
        #[arg(long)]
        all: bool,
    },
}

/// What the command works on.
struct Desk {
    store: Store,
    county: AreaCode,
    redis: Option<String>,
}

impl Place {
    async fn open(&self) -> Result<Desk, StartError> {
        let configuration = match &self.data_dir {
            Some(directory) => demo::configuration_of(directory)?,
            None => Configuration::load()?,
        };
        let (county, redis) = (configuration.county()?, configuration.redis.url.clone());
        let store = running::connect(&configuration.database.url, 2).await?;
        Ok(Desk { store, county, redis })
    }
}

impl Desk {
    async fn all(&self) -> Result<Vec<DeadRow>, StartError> {
        let mut all: Vec<DeadRow> = Vec::new();
        loop {
            let after = all.last().map(|row| row.order_id);
            let page = due::dead(self.store.pool(), &[self.county], after, PAGE).await?;
            let is_last = (page.len() as u64) < PAGE;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }
}

/// Carries the command out.
pub(crate) async fn run(command: DeadLettersCommand) -> Result<(), StartError> {
    match command {
        DeadLettersCommand::List { place, json } => list(&place, json).await,
        DeadLettersCommand::Replay { place, orders, all } => replay(&place, orders, all).await,
    }
}

async fn list(place: &Place, json: bool) -> Result<(), StartError> {
    let desk = place.open().await?;
    let rows = desk.all().await?;
    for row in &rows {
        let at = row.dead_at.map(|at| at.to_rfc3339()).unwrap_or_default();
        if json {
            let line = serde_json::json!({
                "orderId": row.order_id, "number": row.number.to_string(), "areaCode": row.area_code,
                "kind": row.kind, "epoch": row.epoch, "failures": row.failures, "reason": row.reason, "deadAt": at,
            });
            println!("{line}");
        } else {
            println!(
                "{}  {}  {}  {}  {at}  {}",
                row.order_id, row.number, row.area_code, row.kind, row.reason
            );
        }
    }
    if !json {
        println!("{} dead letters", rows.len());
    }
    desk.store.close().await;
    Ok(())
}

async fn replay(place: &Place, orders: Vec<Uuid>, all: bool) -> Result<(), StartError> {
    let desk = place.open().await?;
    let orders = if all { desk.all().await?.into_iter().map(|row| row.order_id).collect() } else { orders };
    let mut unknown = Vec::new();
    for order in orders {
        if replay_one(&desk, order).await? {
            println!("{order} was given back");
        } else {
            unknown.push(order);
        }
    }
    desk.store.close().await;
    match unknown.as_slice() {
        [] => Ok(()),
        [order, ..] => {
            Err(StartError::Other(format!("{} are no dead letters, {order} among them", unknown.len())))
        }
    }
}

async fn replay_one(desk: &Desk, order: Uuid) -> Result<bool, StartError> {
    let clock = Clock::system();
    if let Some(there) = xingfuma_store::connection::clock(&desk.store).await? {
        clock.follow(there, 0);
    }
    let requester = audit::requesters(desk.store.pool(), desk.county, &[order]).await?;
    let subject = requester.first().map(|(_, person)| *person);
    let id = Ids::from_system().id(clock.now());
    let entry = replay_entry(id, desk.county, clock.now(), None, order, subject);
    let Some(replayed) = unmark(&desk.store, vec![desk.county], order, entry, |_| None).await? else {
        return Ok(false);
    };
    if let Some(url) = &desk.redis {
        let queue = RedisQueue::new(url, &running::prefix(desk.county));
        let told = match queue {
            Ok(queue) => tell(&queue, replayed).await,
            Err(error) => Err(error),
        };
        if let Err(error) = told {
            eprintln!("the queue was not told ({error}); the sweep finds the order");
        }
    }
    Ok(true)
}
