//! What a role may do, by whatever way: its grants, what it owns, and every role that it could become.

use sea_orm::{ConnectionTrait, FromQueryResult};

use super::{append_only, tables};
use crate::{StoreError, sql};

/// How what a role may do compares with what it should.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Powers {
    /// Tables that it may only read and append to.
    pub append_only: Vec<String>,
    /// What it may do and should not, in words.
    pub too_many: Vec<String>,
    /// What it may not do and has to, in words.
    pub missing: Vec<String>,
    /// Triggers that guard a table and are switched off, whoever did it.
    pub switched_off: Vec<String>,
}

#[derive(FromQueryResult)]
struct Word {
    word: String,
}

/// Examines a role of PostgreSQL in this database, with every role that it belongs to: it could become each of them.
///
/// # Errors
/// When the database fails, or there is no such role.
pub async fn powers(conn: &impl ConnectionTrait, role: &str) -> Result<Powers, StoreError> {
    let append_only = append_only(conn).await?;
    Ok(Powers {
        too_many: too_many(conn, role, &append_only).await?,
        missing: missing(conn, role, &append_only).await?,
        switched_off: words(conn, SWITCHED_OFF, Vec::new()).await?,
        append_only,
    })
}

async fn words(
    conn: &impl ConnectionTrait,
    text: &str,
    values: Vec<sea_orm::Value>,
) -> Result<Vec<String>, StoreError> {
    let rows: Vec<Word> = sql::all(conn, text, values).await?;
    Ok(rows.into_iter().map(|row| row.word).collect())
}

const SWITCHED_OFF: &str = "SELECT format('%s of %s', t.tgname, c.relname) AS word FROM pg_trigger t \
     JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = current_schema() AND NOT t.tgisinternal AND t.tgenabled NOT IN ('O', 'A') ORDER BY 1";

/// A superuser may do everything and belongs to everybody, so nothing else is said of him. The two roles that are named
/// write files as the server does, and so are superusers by another way.
const MIGHTY: &str = "WITH reach AS (SELECT r.* FROM pg_roles r WHERE pg_has_role($1, r.oid, 'MEMBER')), \
     here AS (SELECT n.oid, n.nspname FROM pg_namespace n WHERE n.nspname = current_schema()) \
     SELECT 'it is a superuser' AS word FROM pg_roles WHERE rolname = $1 AND rolsuper UNION ALL \
     SELECT found.word FROM pg_roles me, LATERAL ( \
       SELECT format('it may become the superuser \"%s\"', rolname) AS word FROM reach WHERE rolsuper \
       UNION ALL SELECT format('\"%s\" may make roles and give them to itself', rolname) FROM reach \
         WHERE rolcreaterole AND NOT rolsuper \
       UNION ALL SELECT format('it belongs to %s', rolname) FROM reach \
         WHERE rolname IN ('pg_execute_server_program', 'pg_write_server_files') \
       UNION ALL SELECT format('\"%s\" owns the database', rolname) FROM reach JOIN pg_database d ON d.datdba = reach.oid \
         WHERE d.datname = current_database() \
       UNION ALL SELECT format('\"%s\" owns %s tables%s', rolname, count(*), \
         CASE WHEN bool_or(c.relname = ANY (string_to_array($2, ','))) THEN ', append-only ones among them' ELSE '' END) FROM reach JOIN pg_class c ON c.relowner = reach.oid \
         JOIN here ON here.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') GROUP BY rolname \
       UNION ALL SELECT format('\"%s\" owns the function %s', rolname, p.proname) FROM reach \
         JOIN pg_proc p ON p.proowner = reach.oid JOIN here ON here.oid = p.pronamespace WHERE p.proname = 'append_only' \
       UNION ALL SELECT format('\"%s\" may make tables in the schema %s', rolname, nspname) FROM reach, here \
         WHERE has_schema_privilege(reach.oid, here.oid, 'CREATE') \
       UNION ALL SELECT format('\"%s\" may %s %s', rolname, privilege, c.relname) FROM reach \
         CROSS JOIN pg_class c JOIN here ON here.oid = c.relnamespace \
         CROSS JOIN (VALUES ('TRUNCATE'), ('TRIGGER'), ('DELETE'), ('UPDATE')) AS p (privilege) \
         WHERE c.relkind IN ('r', 'p') AND (privilege IN ('TRUNCATE', 'TRIGGER') \
           OR c.relname = ANY (string_to_array($2, ','))) AND NOT pg_has_role(reach.oid, c.relowner, 'MEMBER') \
         AND (has_table_privilege(reach.oid, c.oid, privilege) \
           OR privilege = 'UPDATE' AND has_any_column_privilege(reach.oid, c.oid, 'UPDATE')) \
     ) AS found WHERE me.rolname = $1 AND NOT me.rolsuper";

async fn too_many(
    conn: &impl ConnectionTrait,
    role: &str,
    append_only: &[String],
) -> Result<Vec<String>, StoreError> {
    words(conn, MIGHTY, vec![role.into(), append_only.join(",").into()]).await
}

/// One privilege a line: table, privilege, column or nothing.
async fn missing(
    conn: &impl ConnectionTrait,
    role: &str,
    append_only: &[String],
) -> Result<Vec<String>, StoreError> {
    let appended =
        append_only.iter().flat_map(|table| [(table.as_str(), "SELECT", None), (table, "INSERT", None)]);
    let used = tables::USED
        .iter()
        .flat_map(|table| table.each().map(|(privilege, column)| (table.name(), privilege, column)));
    // Constants and names from the catalogue: what is compared, not what is run.
    let rows = appended.chain(used).map(|(table, privilege, column)| {
        let quote = |text: &str| format!("'{}'", text.replace('\'', "''"));
        format!("({}, {}, {})", quote(table), quote(privilege), column.map_or("NULL".to_owned(), quote))
    });
    let text = format!(
        "SELECT concat_ws(' ', w.privilege, w.tab, w.col) AS word FROM \
         (VALUES {}) AS w (tab, privilege, col), \
         LATERAL (SELECT to_regclass(quote_ident(current_schema()) || '.' || quote_ident(w.tab)) AS oid) AS t \
         WHERE NOT coalesce(CASE WHEN w.col IS NULL THEN has_table_privilege($1, t.oid, w.privilege) \
         ELSE has_column_privilege($1, t.oid, w.col, w.privilege) END, false) ORDER BY 1",
        rows.collect::<Vec<_>>().join(", ")
    );
    words(conn, &text, vec![role.into()]).await
}
