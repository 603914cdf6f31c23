//! The schema, one step after another. Both databases get the same tables; what differs is named in `dialect`.

use sea_orm::{ConnectionTrait, DatabaseBackend};
use sea_orm_migration::prelude::*;

use crate::{Store, StoreError};

/// Brings the schema up to date.
///
/// # Errors
/// When the database refuses a step; the step is rolled back as a whole.
pub async fn migrate(store: &Store) -> Result<(), StoreError> {
    Ok(Migrator::up(store.beginning(), None).await?)
}

/// How many steps are still to be done. Nothing is written, so whoever may make no tables can ask.
///
/// # Errors
/// When the database cannot be asked.
pub async fn pending(store: &Store) -> Result<usize, StoreError> {
    Ok(Migrator::get_pending_migrations_read_only(store.beginning()).await?.len())
}

/// How a schema compares with what this program knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Steps that this program knows.
    pub known: usize,
    /// Steps that are still to be done.
    pub pending: Vec<String>,
    /// Steps that were done and that this program does not know: a newer one did them.
    pub foreign: Vec<String>,
}

/// Compares step by step.
///
/// # Errors
/// When the database cannot be asked, or has no schema at all.
pub async fn compare(store: &Store) -> Result<Comparison, StoreError> {
    #[derive(sea_orm::FromQueryResult)]
    struct Done {
        version: String,
    }
    let text = "SELECT version FROM seaql_migrations ORDER BY version";
    let done: Vec<Done> = crate::sql::all(store.pool(), text, Vec::new()).await?;
    let done: Vec<String> = done.into_iter().map(|row| row.version).collect();
    let known: Vec<String> = Migrator::migrations().iter().map(|step| step.name().to_owned()).collect();
    Ok(Comparison {
        known: known.len(),
        foreign: done.iter().filter(|name| !known.contains(name)).cloned().collect(),
        pending: known.into_iter().filter(|name| !done.contains(name)).collect(),
    })
}

/// The list of steps.
#[derive(Debug)]
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(Step { name: "m0001_foundation", text: include_str!("../schema/0001_foundation.sql") }),
            Box::new(Step { name: "m0003_duty", text: include_str!("../schema/0003_duty.sql") }),
            Box::new(Chain),
            Box::new(Step { name: "m0005_claims", text: include_str!("../schema/0005_claims.sql") }),
            Box::new(Step { name: "m0006_lists", text: include_str!("../schema/0006_lists.sql") }),
            Box::new(Step {
                name: "m0007_one_statement",
                text: include_str!("../schema/0007_one_statement.sql"),
            }),
            Box::new(Step { name: "m0010_consent", text: include_str!("../schema/0010_consent.sql") }),
            Box::new(Step { name: "m0011_audit_seal", text: include_str!("../schema/0011_audit_seal.sql") }),
            Box::new(Step { name: "m0012_totp", text: include_str!("../schema/0012_totp.sql") }),
            Box::new(Step {
                name: "m0013_sign_report",
                text: include_str!("../schema/0013_sign_report.sql"),
            }),
            Box::new(Step {
                name: "m0014_post_checks",
                text: include_str!("../schema/0014_post_checks.sql"),
            }),
            Box::new(Step {
                name: "m0020_departments",
                text: include_str!("../schema/0020_departments.sql"),
            }),
            Box::new(Step { name: "m0030_shop", text: include_str!("../schema/0030_shop.sql") }),
            Box::new(Step { name: "m0031_periods", text: include_str!("../schema/0031_periods.sql") }),
            Box::new(Step { name: "m0040_media", text: include_str!("../schema/0040_media.sql") }),
            Box::new(Step { name: "m0041_proofs", text: include_str!("../schema/0041_proofs.sql") }),
            Box::new(Step { name: "m0042_donor", text: include_str!("../schema/0042_donor.sql") }),
            Box::new(Step { name: "m0043_messages", text: include_str!("../schema/0043_messages.sql") }),
            Box::new(Step { name: "m0044_transfers", text: include_str!("../schema/0044_transfers.sql") }),
            Box::new(Step { name: "m0045_hazards", text: include_str!("../schema/0045_hazards.sql") }),
            Box::new(Step {
                name: "m0047_dead_letters",
                text: include_str!("../schema/0047_dead_letters.sql"),
            }),
            Box::new(Step { name: "m0050_guards", text: include_str!("../schema/0050_guards.sql") }),
            Box::new(Step { name: "m0051_activities", text: include_str!("../schema/0051_activities.sql") }),
            Box::new(Step { name: "m0055_stars", text: include_str!("../schema/0055_stars.sql") }),
            Box::new(Step {
                name: "m0056_certificates",
                text: include_str!("../schema/0056_certificates.sql"),
            }),
            Box::new(Step {
                name: "m0061_claim_photos",
                text: include_str!("../schema/0061_claim_photos.sql"),
            }),
            Box::new(Step {
                name: "m0062_members_by_team",
                text: include_str!("../schema/0062_members_by_team.sql"),
            }),
            Box::new(Step { name: "m0063_trainings", text: include_str!("../schema/0063_trainings.sql") }),
            Box::new(Step { name: "m0064_room", text: include_str!("../schema/0064_room.sql") }),
            Box::new(Step {
                name: "m0065_other_timers",
                text: include_str!("../schema/0065_other_timers.sql"),
            }),
            Box::new(Step {
                name: "m0066_telling_column_first",
                text: include_str!("../schema/0066_telling_column_first.sql"),
            }),
        ]
    }
}

/// A step that is a schema file.
struct Step {
    name: &'static str,
    text: &'static str,
}

impl MigrationName for Step {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Step {
    /// SQLite migrates without a transaction unless asked.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        apply(manager, self.text).await
    }

    async fn down(&self, _: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration("a database is not taken back; restore a backup instead".to_owned()))
    }
}

/// The chains of the ledger: what was booked before is sealed between two schema files.
struct Chain;

impl MigrationName for Chain {
    fn name(&self) -> &str {
        "m0004_chain"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Chain {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        apply(manager, include_str!("../schema/0004_chain.sql")).await?;
        let sealed = crate::ledger::sealing::seal_existing(manager.get_connection()).await;
        sealed.map_err(|error| DbErr::Migration(error.to_string()))?;
        apply(manager, include_str!("../schema/0004_chain_sealed.sql")).await
    }

    async fn down(&self, _: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration("a database is not taken back; restore a backup instead".to_owned()))
    }
}

/// Runs a schema file statement by statement. Statements end with a line `--;`, so that triggers may hold semicolons;
/// `--postgres` and `--sqlite` on a statement's first line keep it to one database.
async fn apply(manager: &SchemaManager<'_>, text: &str) -> Result<(), DbErr> {
    let conn = manager.get_connection();
    let backend = conn.get_database_backend();
    for statement in text.split("--;\n").map(str::trim).filter(|statement| !statement.is_empty()) {
        let foreign = match backend {
            DatabaseBackend::Postgres => "--sqlite",
            _ => "--postgres",
        };
        if !statement.starts_with(foreign) {
            conn.execute_unprepared(&dialect(backend, statement)).await?;
        }
    }
    Ok(())
}

fn dialect(backend: DatabaseBackend, statement: &str) -> String {
    let words: &[(&str, &str)] = match backend {
        DatabaseBackend::Postgres => &[
            ("{uuid}", "uuid"),
            ("{time}", "timestamptz"),
            ("{bytes}", "bytea"),
            ("{code}", "varchar(18) COLLATE \"C\""),
            ("{fill}", "WITH (fillfactor = 70)"),
        ],
        _ => {
            &[("{uuid}", "blob"), ("{time}", "text"), ("{bytes}", "blob"), ("{code}", "text"), ("{fill}", "")]
        }
    };
    words.iter().fold(statement.to_owned(), |text, (word, name)| text.replace(word, name))
}
