//! Two roles of PostgreSQL: the **owner** makes and changes the tables, the **runtime role** works on them.
//!
//! `xingfuma migrate` connects as the owner. Everything else (`serve`, `worker` and the commands of administrators) connects
//! as the runtime role, which owns nothing, can make, alter, empty and drop nothing, and has on each table what the
//! program does there: `USED` in `tables.rs` says so, a table a line. Append-only tables are not in that list. Which they are is
//! read from their triggers, and of those a role gets SELECT and INSERT, so that a new one cannot be forgotten.
//!
//! So two things stand between somebody with the servers' password and the past: he may not change it, and he may not take
//! away the triggers that refuse it to everybody else. Whoever is the owner still can; the chains find that.
//!
//! Grants are given anew, in one transaction, after each migration: whatever somebody gave besides is taken back, and no
//! other session sees a moment without. SQLite has no roles; nothing of this concerns it.

mod powers;
mod role;
mod tables;

use sea_orm::{ConnectionTrait, FromQueryResult};

pub use powers::{Powers, powers};
pub use role::RuntimeRole;

use crate::{Store, StoreError, sql, transact};

/// Why a role was not given what it needs.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// An address is none of PostgreSQL.
    #[error("no address of a PostgreSQL")]
    Address,
    /// Who should change the tables does not own them.
    #[error("\"{user}\" may not change the tables, which belong to \"{owner}\"")]
    NotTheOwner {
        /// Who tried.
        user: String,
        /// Whose the tables are, or the schema where there are none yet.
        owner: String,
    },
    /// Owner and runtime role are one.
    #[error("\"{0}\" is both the owner of the tables and who is to work on them")]
    OneRole(String),
    /// The role is not there, and the owner may not make it.
    #[error(
        "there is no role \"{role}\", and \"{owner}\" may make none: have an administrator say \
         CREATE ROLE \"{role}\" LOGIN PASSWORD '…', and migrate again"
    )]
    NoRole {
        /// Who is missing.
        role: String,
        /// Who cannot make it.
        owner: String,
    },
    /// A password that cannot be given to a new role here.
    #[error("the password of \"{0}\" has letters beyond ASCII: make the role by hand, and migrate again")]
    Password(String),
    /// The role may do, by what it is or belongs to, what no grant gave it.
    #[error("\"{role}\" has its grants, and may still do more: {}", .powers.join("; "))]
    TooMighty {
        /// Who.
        role: String,
        /// What, in words.
        powers: Vec<String>,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sea_orm::DbErr> for GrantError {
    fn from(error: sea_orm::DbErr) -> GrantError {
        GrantError::Store(error.into())
    }
}

/// Who a connection works as.
///
/// # Errors
/// When the database fails.
pub async fn user(conn: &impl ConnectionTrait) -> Result<String, StoreError> {
    #[derive(FromQueryResult)]
    struct User {
        name: String,
    }
    let user: Option<User> = sql::one(conn, "SELECT current_user::text AS name", Vec::new()).await?;
    user.map(|user| user.name).ok_or_else(|| crate::unreadable("nobody is connected"))
}

/// Whether this store's user may change the tables, or make them where there are none. Always so on SQLite.
///
/// # Errors
/// [`GrantError::NotTheOwner`]; [`GrantError::Store`] when the database fails.
pub async fn insist_on_owner(store: &Store) -> Result<(), GrantError> {
    #[derive(FromQueryResult)]
    struct Found {
        user: String,
        owner: String,
        may: bool,
    }
    if !store.is_postgres() {
        return Ok(());
    }
    // The list of migrations is the first table that there is; without it the schema has to take new ones.
    const TEXT: &str = "SELECT current_user::text AS user, \
         pg_get_userbyid(coalesce(c.relowner, d.datdba))::text AS owner, \
         CASE WHEN c.oid IS NULL THEN has_schema_privilege(n.oid, 'CREATE') \
         ELSE pg_has_role(c.relowner, 'USAGE') END AS may \
         FROM pg_database d CROSS JOIN pg_namespace n \
         LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'seaql_migrations' \
         WHERE d.datname = current_database() AND n.nspname = current_schema()";
    let found: Option<Found> = sql::one(store.pool(), TEXT, Vec::new()).await?;
    match found {
        Some(found) if found.may => Ok(()),
        Some(Found { user, owner, .. }) => Err(GrantError::NotTheOwner { user, owner }),
        None => {
            let (user, owner) = (user(store.pool()).await?, "nobody: there is no schema".to_owned());
            Err(GrantError::NotTheOwner { user, owner })
        }
    }
}

/// Gives the role what it works with and nothing else, and makes it where it is missing and `store`'s user may make roles.
/// Looks afterwards whether anything is left that it should not be able to do. `salt` is chance, for the password of a new
/// role. Answers whether the role was made.
///
/// # Errors
/// [`GrantError`] says why not; nothing was changed then, but for [`GrantError::TooMighty`].
pub async fn grant(store: &Store, role: &RuntimeRole, salt: [u8; 16]) -> Result<bool, GrantError> {
    let owner = user(store.pool()).await?;
    if owner == role.name() {
        return Err(GrantError::OneRole(owner));
    }
    let given = role.clone();
    let made = transact(store, move |conn| {
        Box::pin(async move {
            let made = role::make(conn, &given, salt).await?;
            conn.execute_unprepared(&statements(conn, given.name()).await?).await?;
            Ok::<bool, GrantError>(made)
        })
    })
    .await?;
    let powers = powers(store.pool(), role.name()).await?;
    if !powers.too_many.is_empty() {
        return Err(GrantError::TooMighty { role: role.name().to_owned(), powers: powers.too_many });
    }
    Ok(made)
}

/// Tables whose triggers refuse each UPDATE and each DELETE of a row, by name. A trigger that is switched off counts too.
///
/// # Errors
/// When the database fails.
pub async fn append_only(conn: &impl ConnectionTrait) -> Result<Vec<String>, StoreError> {
    #[derive(FromQueryResult)]
    struct Table {
        name: String,
    }
    // The bits of tgtype: 1 for each row, 2 before, 8 DELETE, 16 UPDATE. One that asks for columns or has a condition
    // refuses only some changes.
    const TEXT: &str = "SELECT c.relname::text AS name FROM pg_class c JOIN pg_trigger t ON t.tgrelid = c.oid \
         JOIN pg_proc f ON f.oid = t.tgfoid JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = current_schema() AND f.proname = 'append_only' AND NOT t.tgisinternal \
         AND t.tgtype & 3 = 3 AND t.tgqual IS NULL AND t.tgattr::text = '' GROUP BY c.relname \
         HAVING bool_or(t.tgtype & 8 = 8) AND bool_or(t.tgtype & 16 = 16) ORDER BY c.relname";
    let tables: Vec<Table> = sql::all(conn, TEXT, Vec::new()).await?;
    Ok(tables.into_iter().map(|table| table.name).collect())
}

/// All grants of a role, as statements.
async fn statements(conn: &impl ConnectionTrait, role: &str) -> Result<String, StoreError> {
    #[derive(FromQueryResult)]
    struct Place {
        schema: String,
        database: String,
    }
    let text = "SELECT quote_ident(current_schema()) AS schema, quote_ident(current_database()) AS database";
    let place: Option<Place> = sql::one(conn, text, Vec::new()).await?;
    let Place { schema, database } = place.ok_or_else(|| crate::unreadable("there is no schema"))?;
    let role = quoted(role);
    // What everybody may do by default: make tables in the schema (before PostgreSQL 15), and temporary ones. Where the owner
    // of the tables does not own schema and database, the server only warns, and `powers` says what is left.
    let mut all = vec![
        format!("REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC"),
        format!("REVOKE CREATE, TEMPORARY ON DATABASE {database} FROM PUBLIC"),
        format!("REVOKE ALL ON DATABASE {database} FROM {role}"),
        format!("REVOKE ALL ON SCHEMA {schema} FROM {role}"),
        format!("GRANT CONNECT ON DATABASE {database} TO {role}"),
        format!("GRANT USAGE ON SCHEMA {schema} TO {role}"),
    ];
    all.extend(
        tables::CALLED.iter().map(|call| format!("GRANT EXECUTE ON FUNCTION {schema}.{call} TO {role}")),
    );
    let appended = append_only(conn).await?;
    let appended = appended.iter().map(|name| (name.as_str(), "SELECT, INSERT".to_owned()));
    let used = tables::USED.iter().map(|table| (table.name(), table.privileges()));
    for (name, privileges) in appended.chain(used) {
        let table = format!("{schema}.{}", quoted(name));
        all.push(format!("REVOKE ALL ON TABLE {table} FROM {role}"));
        all.push(format!("GRANT {privileges} ON TABLE {table} TO {role}"));
    }
    Ok(all.join(";\n"))
}

/// A name as an identifier of SQL.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
