//! Two layers keep the past from being changed on PostgreSQL: who works on the database may not, and triggers refuse it to
//! who may. And how a role comes to what it may: `xingfuma migrate`, run again, run by the wrong one, with a role that is
//! missing or too mighty.

use std::fs;

use sea_orm::{ConnectionTrait, DatabaseConnection, FromQueryResult, Statement};
use xingfuma_store::grants::{GrantError, RuntimeRole, append_only, grant, powers};
use xingfuma_store::{Store, StoreOptions, migrations};
use xingfuma_tests::{
    program::{self, Told},
    services::Postgres,
};

/// A database with its schema, as its owner and as whoever works on it.
struct Sides {
    owner: Store,
    by_owner: DatabaseConnection,
    by_runtime: DatabaseConnection,
    role: RuntimeRole,
}

impl Sides {
    async fn of(name: &str) -> Sides {
        let owner_url = Postgres::shared().create_database(name);
        let url = Postgres::shared().url_as(&format!("{name}_runtime"), name);
        let owner = Store::connect(&StoreOptions::new(&owner_url)).await.expect("a database");
        migrations::migrate(&owner).await.expect("the schema");
        let role = RuntimeRole::of_address(&url).expect("an address");
        assert!(grant(&owner, &role, [1; 16]).await.expect("the grants"), "the role was made");
        let by_owner = sea_orm::Database::connect(&owner_url).await.expect("a database");
        let by_runtime = sea_orm::Database::connect(&url).await.expect("a database");
        Sides { owner, by_owner, by_runtime, role }
    }
}

async fn texts(conn: &impl ConnectionTrait, sql: &str) -> Vec<String> {
    #[derive(FromQueryResult)]
    struct Text {
        text: String,
    }
    let statement = Statement::from_string(conn.get_database_backend(), sql);
    let rows = conn.query_all_raw(statement).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows.iter().map(|row| Text::from_query_result(row, "").expect("a text").text).collect()
}

async fn run(conn: &impl ConnectionTrait, sql: &str) {
    conn.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// What the database says against a statement.
async fn refusal(conn: &impl ConnectionTrait, sql: &str) -> String {
    match conn.execute_unprepared(sql).await {
        Ok(_) => panic!("it was done: {sql}"),
        Err(error) => error.to_string(),
    }
}

/// An `INSERT` of one row into any table: something of its type for each column that wants something.
async fn a_row_for(conn: &impl ConnectionTrait, table: &str) -> String {
    let columns = format!(
        "SELECT quote_ident(column_name) || ' ' || data_type AS text FROM information_schema.columns \
         WHERE table_schema = 'public' AND table_name = '{table}' AND is_nullable = 'NO' ORDER BY ordinal_position"
    );
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for column in texts(conn, &columns).await {
        let (name, kind) = column.split_once(' ').expect("a name and a type");
        names.push(name.to_owned());
        values.push(match kind {
            "uuid" => "gen_random_uuid()",
            "bigint" | "integer" => "(random() * 1000000)::int",
            "boolean" => "true",
            "bytea" => "'\\x00'::bytea",
            "timestamp with time zone" => "now()",
            "text" | "character varying" => "'140724'",
            other => panic!("{table}.{name} is a {other}"),
        });
    }
    format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", "))
}

/// What somebody with the servers' password could try against a table's past.
const AGAINST_A_TABLE: [&str; 14] = [
    "UPDATE {table} SET {column} = {column}",
    "DELETE FROM {table}",
    "TRUNCATE {table}",
    "ALTER TABLE {table} DISABLE TRIGGER ALL",
    "ALTER TABLE {table} DISABLE TRIGGER USER",
    "ALTER TABLE {table} ADD COLUMN more text",
    "ALTER TABLE {table} OWNER TO CURRENT_USER",
    "ALTER TABLE {table} RENAME TO other",
    "DROP TABLE {table}",
    "CREATE TRIGGER mine BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION append_only()",
    "CREATE RULE mine AS ON INSERT TO {table} DO INSTEAD NOTHING",
    "CREATE INDEX mine ON {table} ({column})",
    "SELECT 1 FROM {table} FOR UPDATE",
    "MERGE INTO {table} USING (SELECT 1) AS one ON true WHEN MATCHED THEN DELETE",
];

/// The same against all of them at once, or against who one is.
const AGAINST_ALL: [&str; 16] = [
    "SET session_replication_role = replica",
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION postgres",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "GRANT postgres TO CURRENT_USER",
    "CREATE ROLE mine SUPERUSER",
    "CREATE TABLE mine (n int)",
    "CREATE TEMPORARY TABLE score_entry (n int)",
    "CREATE TABLE mine AS SELECT 1",
    "CREATE SCHEMA mine",
    "CREATE OR REPLACE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "DROP FUNCTION append_only() CASCADE",
    "ALTER FUNCTION append_only() OWNER TO CURRENT_USER",
    "DROP SCHEMA public CASCADE",
    "COPY score_entry FROM PROGRAM 'true'",
    "ALTER SYSTEM SET session_replication_role = replica",
];

#[tokio::test(flavor = "multi_thread")]
async fn whoever_works_on_the_database_cannot_change_the_past() {
    let sides = Sides::of("grants_past").await;
    let tables = append_only(&sides.by_owner).await.expect("the catalogue");
    for known in
        ["audit", "consent", "order_event", "score_entry", "score_root", "score_transaction", "trainee"]
    {
        assert!(tables.iter().any(|table| table == known), "{known} is append-only: {tables:?}");
    }
    for table in &tables {
        // Whoever serves appends, and reads.
        run(&sides.by_runtime, &a_row_for(&sides.by_owner, table).await).await;
        let count = format!("SELECT count(*)::text AS text FROM {table}");
        assert_eq!(texts(&sides.by_runtime, &count).await, ["1"], "{table}");
        let first = format!(
            "SELECT quote_ident(attname) AS text FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum = 1"
        );
        let column = texts(&sides.by_owner, &first).await.remove(0);
        // Giving oneself what one may not give is no error for the server, which warns and gives nothing.
        run(&sides.by_runtime, &format!("GRANT UPDATE, DELETE ON {table} TO CURRENT_USER")).await;
        for statement in AGAINST_A_TABLE {
            let statement = statement.replace("{table}", table).replace("{column}", &column);
            assert_denied(&refusal(&sides.by_runtime, &statement).await, &statement);
        }
        // The other layer: who may, is stopped by the trigger.
        for statement in [format!("UPDATE {table} SET {column} = {column}"), format!("DELETE FROM {table}")] {
            let refused = refusal(&sides.by_owner, &statement).await;
            assert!(refused.contains("appended, never changed"), "{statement}: {refused}");
        }
        assert_eq!(texts(&sides.by_owner, &count).await, ["1"], "{table} is as it was");
    }
    for statement in AGAINST_ALL {
        // A temporary table would stand before the real one for its own session only; even that is refused.
        assert_denied(&refusal(&sides.by_runtime, statement).await, statement);
    }
    let found = powers(&sides.by_owner, sides.role.name()).await.expect("the catalogue");
    assert_eq!((found.too_many, found.missing, found.switched_off), (vec![], vec![], vec![]));
    assert_eq!(found.append_only, tables);
}

fn assert_denied(refused: &str, statement: &str) {
    let signs = ["permission denied", "must be owner", "must be superuser", "must have admin option"];
    assert!(signs.iter().any(|sign| refused.contains(sign)), "{statement}: {refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_is_granted_and_no_grant_is_against_a_trigger() {
    let sides = Sides::of("grants_tables").await;
    let name = sides.role.name();
    let unlisted = format!(
        "SELECT relname::text AS text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') \
         AND NOT has_table_privilege('{name}', oid, 'SELECT')"
    );
    assert_eq!(
        texts(&sides.by_owner, &unlisted).await,
        Vec::<String>::new(),
        "tables without a line in the list"
    );
    let refused_anyway = format!(
        "SELECT format('DELETE of %s', c.relname) AS text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid \
         JOIN pg_proc f ON f.oid = t.tgfoid WHERE f.proname = 'append_only' AND t.tgqual IS NULL AND t.tgtype & 9 = 9 \
         AND has_table_privilege('{name}', c.oid, 'DELETE') \
         UNION ALL SELECT format('UPDATE of %s.%s', c.relname, a.attname) FROM pg_trigger t \
         JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc f ON f.oid = t.tgfoid \
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (t.tgattr) \
         WHERE f.proname = 'append_only' AND t.tgqual IS NULL AND t.tgtype & 17 = 17 \
         AND has_column_privilege('{name}', c.oid, a.attnum, 'UPDATE')"
    );
    assert_eq!(texts(&sides.by_owner, &refused_anyway).await, Vec::<String>::new());
    // What a trigger freezes by columns is looked at at all.
    let frozen = "SELECT DISTINCT c.relname::text AS text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid \
                  JOIN pg_proc f ON f.oid = t.tgfoid WHERE f.proname = 'append_only' AND t.tgattr::text <> '' ORDER BY 1";
    assert_eq!(texts(&sides.by_owner, frozen).await, ["certificate", "training"]);

    // What somebody gave besides is seen, and taken back.
    for more in ["DELETE ON audit", "TRUNCATE ON orders", "TRIGGER ON due", "UPDATE (points) ON score_entry"]
    {
        run(&sides.by_owner, &format!("GRANT {more} TO {name}")).await;
    }
    run(&sides.by_owner, &format!("REVOKE INSERT ON orders FROM {name}")).await;
    let found = powers(&sides.by_owner, name).await.expect("the catalogue");
    assert_eq!(found.too_many.len(), 4, "{:?}", found.too_many);
    assert_eq!(found.missing, ["INSERT orders"]);
    assert!(!grant(&sides.owner, &sides.role, [1; 16]).await.expect("the grants"), "it was there");
    let found = powers(&sides.by_owner, name).await.expect("the catalogue");
    assert_eq!((found.too_many, found.missing), (vec![], vec![]));

    // What no grant gave cannot be taken back by one.
    run(&sides.by_owner, &format!("CREATE ROLE grants_keeper; GRANT grants_keeper TO {name}")).await;
    run(&sides.by_owner, "ALTER TABLE score_entry OWNER TO grants_keeper").await;
    let refused = grant(&sides.owner, &sides.role, [1; 16]).await.expect_err("it is too mighty");
    let GrantError::TooMighty { powers, .. } = &refused else { panic!("{refused}") };
    assert!(powers.iter().any(|power| power.contains("\"grants_keeper\" owns 1 tables")), "{powers:?}");
}

/// A PostgreSQL in which only its superuser is trusted, and everybody else shows a password.
fn strict() -> Postgres {
    let postgres = Postgres::start();
    let rules = "local all all trust\nhost all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
    fs::write(postgres.home().join("data/pg_hba.conf"), rules).expect("the rules of who may log in");
    for statement in ["ALTER SYSTEM SET log_statement = 'all'", "SELECT pg_reload_conf()"] {
        let _ = postgres.sql("postgres", statement);
    }
    postgres
}

fn migrate(url: &str, owner: &str) -> Told {
    let own = |name: &str, value: &str| (format!("XINGFUMA_DATABASE__{name}"), value.to_owned());
    program::run(&["migrate"], &[own("URL", url), own("OWNER_URL", owner)])
}

/// With a password between the user and the host.
fn with_password(url: &str, password: &str) -> String {
    let (front, back) = url.split_once('@').expect("a user");
    format!("{front}:{password}@{back}")
}

#[test]
fn migrate_makes_the_role_once_and_grants_each_time() {
    let postgres = strict();
    let owner = postgres.create_database("county");
    let role = postgres.url_as("desk", "county");
    let url = with_password(&role, "pass%20word%2F1");
    let first = migrate(&url, &owner);
    assert!(first.success && first.printed.contains("the role \"desk\" was made"), "{first:?}");
    let log = fs::read_to_string(postgres.home().join("log")).expect("the server's log");
    assert!(log.contains("CREATE ROLE \"desk\"") && !log.contains("pass word/1"), "no password in the log");
    let again = migrate(&url, &owner);
    assert!(
        again.success && again.printed.starts_with("0 migrations done\nthe role \"desk\" has its grants"),
        "{again:?}"
    );

    // A step that brings tables: they are granted with it.
    let _ = postgres.sql(
        "county",
        "DROP TABLE trainee, training; DELETE FROM seaql_migrations WHERE version = 'm0063_trainings'",
    );
    let third = migrate(&url, &owner);
    assert!(third.success && third.printed.starts_with("1 migrations done"), "{third:?}");
    let may = |privilege: &str, table: &str| {
        postgres.sql("county", &format!("SELECT has_table_privilege('desk', '{table}', '{privilege}')"))
    };
    assert_eq!(
        ["INSERT", "UPDATE", "DELETE"].map(|privilege| may(privilege, "trainee")),
        ["t", "f", "f"].map(str::to_owned)
    );
    assert_eq!(may("INSERT", "training"), "t");

    // A password that is not the role's is found at once, and the role keeps its own.
    let wrong = migrate(&with_password(&role, "other"), &owner);
    assert!(!wrong.success && wrong.complained.contains("does not lead there"), "{wrong:?}");
    assert!(!wrong.complained.contains("other"), "no password in a message: {wrong:?}");
    assert!(migrate(&url, &owner).success);
    // Another database is not the one that was brought up to date.
    let _ = postgres.create_database("another");
    let elsewhere = migrate(&with_password(&postgres.url_as("desk", "another"), "pass%20word%2F1"), &owner);
    assert!(!elsewhere.success && elsewhere.complained.contains("another database"), "{elsewhere:?}");
}

#[test]
fn migrate_says_who_has_to_do_what_it_cannot() {
    let postgres = Postgres::start();
    let _ = postgres.sql("postgres", "CREATE ROLE keeper LOGIN");
    let _ = postgres.sql("postgres", "CREATE DATABASE plain OWNER keeper");
    let (keeper, desk) = (postgres.url_as("keeper", "plain"), postgres.url_as("desk", "plain"));

    // An owner that may make no roles.
    let refused = migrate(&desk, &keeper);
    assert!(!refused.success && refused.complained.contains("CREATE ROLE \"desk\" LOGIN"), "{refused:?}");
    let _ = postgres.sql("postgres", "CREATE ROLE desk LOGIN");
    let done = migrate(&desk, &keeper);
    assert!(done.success && done.printed.contains("the role \"desk\" has its grants"), "{done:?}");

    // Whoever works on the database migrates nothing, and it has an exit code of its own.
    let own = |url: &str| [("XINGFUMA_DATABASE__URL".to_owned(), url.to_owned())];
    let output = program::command(&["migrate"], &own(&desk)).output().expect("the program runs");
    let complained = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(77), "{complained}");
    for word in ["\"desk\" may not change the tables", "belong to \"keeper\"", "XINGFUMA_DATABASE__OWNER_URL"]
    {
        assert!(complained.contains(word), "{word}: {complained}");
    }
    // One role for everything goes on as ever.
    let alone = program::run(&["migrate"], &own(&keeper));
    assert!(alone.success && alone.printed.trim() == "0 migrations done", "{alone:?}");
    let nothing = program::command(&["migrate"], &own(&postgres.url_as("desk", "postgres"))).output();
    assert_eq!(
        nothing.expect("the program runs").status.code(),
        Some(77),
        "no tables yet, and none may be made"
    );

    // Two addresses of one user, of two kinds of databases, and of somebody who is above grants.
    let one = migrate(&keeper, &keeper);
    assert!(!one.success && one.complained.contains("both the owner"), "{one:?}");
    let mixed = migrate("sqlite://nowhere.db?mode=rwc", &keeper);
    assert!(!mixed.success && mixed.complained.contains("one PostgreSQL"), "{mixed:?}");
    let mighty = migrate(&postgres.url_as("postgres", "plain"), &keeper);
    assert!(!mighty.success && mighty.complained.contains("it is a superuser"), "{mighty:?}");
}
