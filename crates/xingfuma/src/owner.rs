//! What only the owner of the tables may do: bringing the schema up to date, and giving the runtime role what it works with.

use xingfuma_app::clock::Ids;
use xingfuma_store::grants::{self, GrantError, RuntimeRole};
use xingfuma_store::{Store, migrations};

use crate::configuration::{Configuration, StartError};
use crate::running::connect;

/// A database whose schema is up to date, opened as the owner of its tables.
pub(crate) struct Opened {
    pub(crate) store: Store,
    /// How many migrations were done.
    done: usize,
    /// Who works on it, and whether he was made just now; none where one role does everything.
    runtime: Option<(String, bool)>,
}

/// Brings the schema up to date.
pub(crate) async fn migrate(configuration: &Configuration) -> Result<(), StartError> {
    let opened = open(configuration, 2).await?;
    println!("{} migrations done", opened.done);
    match &opened.runtime {
        Some((role, true)) => println!("the role \"{role}\" was made, and has its grants"),
        Some((role, false)) => println!("the role \"{role}\" has its grants"),
        None => {}
    }
    opened.store.close().await;
    Ok(())
}

/// Brings the schema up to date, and where an owner is named gives whoever works on it his grants.
pub(crate) async fn open(configuration: &Configuration, connections: u32) -> Result<Opened, StartError> {
    let url = configuration.database.url.as_str();
    let Some(owner) = configuration.database.owner_url() else {
        let (store, done) = bring_up_to_date(url, connections).await?;
        return Ok(Opened { store, done, runtime: None });
    };
    let role = [url, owner].map(RuntimeRole::of_address);
    let [Ok(role), Ok(_)] = role else {
        return Err(StartError::Other(
            "XINGFUMA_DATABASE__OWNER_URL and XINGFUMA_DATABASE__URL have to be addresses of one PostgreSQL, of two users"
                .to_owned(),
        ));
    };
    let (store, done) = bring_up_to_date(owner, connections).await?;
    let made = grants::grant(&store, &role, Ids::from_system().bytes()).await?;
    prove(url, &role).await?;
    Ok(Opened { store, done, runtime: Some((role.name().to_owned(), made)) })
}

async fn bring_up_to_date(url: &str, connections: u32) -> Result<(Store, usize), StartError> {
    let store = connect(url, connections).await?;
    match grants::insist_on_owner(&store).await {
        Err(refusal @ GrantError::NotTheOwner { .. }) => return Err(StartError::NeedsTheOwner(refusal)),
        other => other?,
    }
    let done = migrations::pending(&store).await?;
    migrations::migrate(&store).await?;
    Ok((store, done))
}

/// Logs in as whoever is to work, and sees the schema that was brought up to date: the same database, and the right password.
async fn prove(url: &str, role: &RuntimeRole) -> Result<(), StartError> {
    let bad = |why: String| {
        StartError::Other(format!(
            "\"{}\" has its grants, but XINGFUMA_DATABASE__URL does not lead there: {why}",
            role.name()
        ))
    };
    let store = connect(url, 1).await.map_err(|error| bad(error.to_string()))?;
    let pending = migrations::pending(&store).await.map_err(|error| bad(error.to_string()))?;
    store.close().await;
    if pending == 0 { Ok(()) } else { Err(bad("that is another database".to_owned())) }
}

/// A server that has the owner's address is as mighty as the owner.
pub(crate) fn warn_of_owner(configuration: &Configuration) {
    if configuration.database.owner_url().is_some() {
        tracing::warn!(
            "XINGFUMA_DATABASE__OWNER_URL is set for this process: give it to `xingfuma migrate` alone"
        );
    }
}
