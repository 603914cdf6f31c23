//! The few words that every query here shares.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, FromQueryResult, RuntimeErr, Statement, Value};
use sqlx::error::DatabaseError;
use uuid::Uuid;

use crate::{Store, StoreError};

pub(crate) async fn all<T: FromQueryResult>(
    conn: &impl ConnectionTrait,
    text: &str,
    values: Vec<Value>,
) -> Result<Vec<T>, StoreError> {
    let rows = conn.query_all_raw(statement(conn, text, values)).await?;
    rows.iter().map(|row| T::from_query_result(row, "").map_err(StoreError::from)).collect()
}

pub(crate) async fn one<T: FromQueryResult>(
    conn: &impl ConnectionTrait,
    text: &str,
    values: Vec<Value>,
) -> Result<Option<T>, StoreError> {
    let row = conn.query_one_raw(statement(conn, text, values)).await?;
    row.map(|row| T::from_query_result(&row, "").map_err(StoreError::from)).transpose()
}

/// Runs a statement and answers how many rows it touched.
pub(crate) async fn run(
    conn: &impl ConnectionTrait,
    text: &str,
    values: Vec<Value>,
) -> Result<u64, StoreError> {
    Ok(conn.execute_raw(statement(conn, text, values)).await?.rows_affected())
}

/// Changes the one row that still stands as its writer saw it.
///
/// # Errors
/// [`StoreError::Conflict`] when somebody else was faster, and it touched nothing.
pub(crate) async fn change_one(
    conn: &impl ConnectionTrait,
    text: &str,
    values: Vec<Value>,
) -> Result<(), StoreError> {
    if run(conn, text, values).await? == 1 { Ok(()) } else { Err(StoreError::Conflict) }
}

/// What was decided about something that waited for it, and by whom.
pub(crate) struct Decided<'a> {
    pub(crate) id: Uuid,
    pub(crate) status: &'a str,
    pub(crate) by: Option<Uuid>,
    pub(crate) at: Option<DateTime<Utc>>,
    pub(crate) why: Option<&'a str>,
}

/// Writes a decision into `table`, about a row that is pending.
///
/// # Errors
/// [`StoreError::Conflict`] when it is decided already.
pub(crate) async fn decide_pending(
    conn: &impl ConnectionTrait,
    table: &str,
    decided: Decided<'_>,
) -> Result<(), StoreError> {
    let text = format!(
        "UPDATE {table} SET status = $2, decided_by = $3, decided_at = $4, decision = $5 \
         WHERE id = $1 AND status = 'pending'"
    );
    let Decided { id, status, by, at, why } = decided;
    let values = vec![id.into(), status.into(), by.into(), at.into(), why.map(str::to_owned).into()];
    change_one(conn, &text, values).await
}

/// Ends a list that is read from its newest row on: a page of at most `limit` rows behind `before`.
pub(crate) fn newest_first(text: &mut String, values: &mut Vec<Value>, before: Option<Uuid>, limit: u64) {
    if let Some(before) = before {
        values.push(before.into());
        text.push_str(&format!(" AND id < ${}", values.len()));
    }
    text.push_str(&format!(" ORDER BY id DESC LIMIT {limit}"));
}

/// The rows that a worker takes next, chosen by `choice`, as `next` in front of the statement that takes them: several
/// workers never choose the same. `of` is the table whose rows are held; SQLite has one writer at a time and knows no
/// SKIP LOCKED. The choice is a step of its own: as part of the condition PostgreSQL may make it anew for every row that
/// it looks at, and each time it is another one that is free.
pub(crate) fn next_free(store: &Store, choice: &str, of: &str) -> String {
    let hold = if store.is_postgres() { format!(" FOR UPDATE OF {of} SKIP LOCKED") } else { String::new() };
    format!("WITH next AS MATERIALIZED ({choice}{hold})")
}

pub(crate) fn statement(conn: &impl ConnectionTrait, text: &str, values: Vec<Value>) -> Statement {
    Statement::from_sql_and_values(conn.get_database_backend(), text, values)
}

/// Rows of values for a multi-row statement.
pub(crate) struct Rows {
    columns: usize,
    values: Vec<Value>,
}

impl Rows {
    pub(crate) fn new(columns: usize) -> Rows {
        Rows { columns, values: Vec::new() }
    }

    pub(crate) fn push<const N: usize>(&mut self, row: [Value; N]) {
        assert_eq!(N, self.columns, "a row has as many values as columns");
        self.values.extend(row);
    }

    /// Adds the rows of another, which are as long.
    pub(crate) fn append(&mut self, other: Rows) {
        assert_eq!(other.columns, self.columns, "rows of the same length");
        self.values.extend(other.values);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len() / self.columns
    }

    /// `INSERT INTO {into} VALUES (…), (…) {tail}`, in pieces that both databases take.
    pub(crate) async fn insert(
        self,
        conn: &impl ConnectionTrait,
        into: &str,
        tail: &str,
    ) -> Result<u64, StoreError> {
        let mut touched = 0;
        for (given, piece) in self.pieces(conn.get_database_backend()) {
            touched += run(conn, &format!("INSERT INTO {into} VALUES {given} {tail}"), piece).await?;
        }
        Ok(touched)
    }

    /// `WITH given ({names}) AS (VALUES …) {text}`, in pieces; answers what all of them return. For SQLite: PostgreSQL would
    /// take places without a type for text.
    pub(crate) async fn given_to<T: FromQueryResult>(
        self,
        conn: &impl ConnectionTrait,
        names: &str,
        text: &str,
    ) -> Result<Vec<T>, StoreError> {
        let mut returned = Vec::new();
        for (given, piece) in self.pieces(conn.get_database_backend()) {
            let text = format!("WITH given ({names}) AS (VALUES {given}) {text}");
            returned.extend(all::<T>(conn, &text, piece).await?);
        }
        Ok(returned)
    }

    /// The rows in pieces that the database takes, each with its placeholders.
    fn pieces(self, backend: DbBackend) -> impl Iterator<Item = (String, Vec<Value>)> {
        let (columns, sqlite) = (self.columns, backend == DbBackend::Sqlite);
        let mut values = self.values.into_iter();
        std::iter::from_fn(move || {
            let left = values.len() / columns;
            if left == 0 {
                return None;
            }
            let rows = rows_at_once(left, columns, sqlite);
            let piece: Vec<Value> = values.by_ref().take(rows * columns).collect();
            Some((placeholders(rows, columns, !sqlite), piece))
        })
    }
}

/// The rows of an `INSERT` that fits into one statement, for those who need what it returns.
impl Rows {
    pub(crate) async fn insert_returning<T: FromQueryResult>(
        self,
        conn: &impl ConnectionTrait,
        into: &str,
        tail: &str,
    ) -> Result<Vec<T>, StoreError> {
        let given = placeholders(self.len(), self.columns, true);
        let text = format!("INSERT INTO {into} VALUES {given} {tail}");
        all(conn, &text, self.values).await
    }
}

/// Several writes in one statement, for PostgreSQL: one round trip, and a transaction by itself. A guard goes first, which
/// touches one row or none; what follows happens only if it touched its row.
pub(crate) struct Together {
    text: String,
    values: Vec<Value>,
    parts: usize,
    insists: Vec<String>,
}

impl Together {
    /// Begins with an update of one row or none.
    pub(crate) fn guarded_by(update: &str, values: Vec<Value>) -> Together {
        Together {
            text: format!("WITH guard AS ({update} RETURNING 1)"),
            values,
            parts: 0,
            insists: Vec::new(),
        }
    }

    /// Begins with a row, which is written unless its key is taken.
    pub(crate) fn guarded_by_row(row: Rows, into: &str) -> Together {
        let given = placeholders(row.len(), row.columns, true);
        Together::guarded_by(&format!("INSERT INTO {into} VALUES {given} ON CONFLICT DO NOTHING"), row.values)
    }

    /// As [`Together::insert`], under a name by which what the tail returns can be asked for.
    pub(crate) fn named(&mut self, name: &str, rows: Rows, into: &str, tail: &str) {
        let given = self.given(rows);
        let _ = write!(
            self.text,
            ", {name} AS (INSERT INTO {into} SELECT given.* FROM (VALUES {given}) AS given, guard {tail})"
        );
    }

    /// As [`Together::insert`], of `selected` columns of the rows, which are called by `names`, joined with another part.
    pub(crate) fn joined(&mut self, rows: Rows, into: &str, names: &str, selected: &str, join: &str) {
        let given = self.given(rows);
        self.part(&format!(
            "INSERT INTO {into} SELECT {selected} FROM (VALUES {given}) AS given {names} CROSS JOIN guard {join}"
        ));
    }

    /// As [`Together::named`], and fails the statement as a whole ([`was_not_so`]) if the guard finds its row and one of these
    /// is not written. Such rows are written before all others, in the order in which they are given here.
    pub(crate) fn insisted(&mut self, name: &str, rows: Rows, into: &str, tail: &str) {
        self.insists.push(format!("(SELECT count(*) FROM {name}) = {}", rows.len()));
        self.named(name, rows, into, &format!("{tail} RETURNING 1"));
    }

    fn given(&mut self, rows: Rows) -> String {
        let given = typed_placeholders(&rows.values, rows.columns, self.values.len());
        self.values.extend(rows.values);
        given
    }

    /// `INSERT INTO {into}` these rows `{tail}`.
    pub(crate) fn insert(&mut self, rows: Rows, into: &str, tail: &str) {
        if rows.is_empty() {
            return;
        }
        let given = self.given(rows);
        self.part(&format!("INSERT INTO {into} SELECT given.* FROM (VALUES {given}) AS given, guard {tail}"));
    }

    /// `DELETE FROM {table}` the row whose `{column}` is this.
    pub(crate) fn delete(&mut self, table: &str, column: &str, value: Value) {
        self.values.push(value);
        let place = self.values.len();
        self.part(&format!("DELETE FROM {table} USING guard WHERE {column} = ${place}"));
    }

    fn part(&mut self, text: &str) {
        self.parts += 1;
        let _ = write!(self.text, ", part_{} AS ({text})", self.parts);
    }

    /// Does it all, if the guard finds its row; answers whether it did.
    pub(crate) async fn run(self, conn: &impl ConnectionTrait) -> Result<bool, StoreError> {
        #[derive(FromQueryResult)]
        struct Guard {
            touched: i64,
        }
        let mut text = format!("{} SELECT touched", self.text);
        if !self.insists.is_empty() {
            let _ = write!(text, ", insist(touched = 0 OR ({}))", self.insists.join(" AND "));
        }
        text.push_str(" FROM (SELECT count(*) AS touched FROM guard) AS guarded");
        let guard: Option<Guard> = one(conn, &text, self.values).await?;
        Ok(guard.is_some_and(|guard| guard.touched == 1))
    }
}

fn of_sqlx(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}

/// What the database said against a statement, if that is why it failed.
pub(crate) fn refusal(error: &StoreError) -> Option<&dyn DatabaseError> {
    let StoreError::Database(error) = error else { return None };
    of_sqlx(error)?.as_database_error()
}

/// Whether a statement failed because something that it took for granted does not hold: it insisted on it, or it wrote a row
/// that is there already.
pub(crate) fn was_not_so(error: &StoreError) -> bool {
    refusal(error)
        .is_some_and(|refused| refused.is_unique_violation() || refused.code().as_deref() == Some("XF001"))
}

/// Whether a statement was refused for what it says: bad data, a broken rule, a trigger's veto.
pub(crate) fn is_refused_for_its_data(error: &DbErr) -> bool {
    let Some(error) = of_sqlx(error) else { return matches!(error, DbErr::Type(_) | DbErr::Json(_)) };
    let Some(code) = error.as_database_error().and_then(DatabaseError::code) else {
        return matches!(error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_));
    };
    // SQLite says numbers, whose lowest byte is the kind: too big, constraint, mismatch.
    // PostgreSQL says five letters, of which two are the kind: data exception, integrity, raised by a function or ours.
    match code.parse::<u32>() {
        Ok(number) if code.len() != 5 => matches!(number & 0xff, 18..=20),
        _ => ["22", "23", "P0", "XF"].iter().any(|kind| code.starts_with(kind)),
    }
}

/// As [`placeholders`], counting on from `first` and with a type at each: rows of a `SELECT` have none of their own.
fn typed_placeholders(values: &[Value], columns: usize, first: usize) -> String {
    in_rows(values.len(), columns, |text, n| write!(text, "${}{}", first + n + 1, type_of(&values[n])))
}

/// PostgreSQL's name of a value's type, as a cast. What is not listed is not written by this crate.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "::bool",
        Value::Int(_) => "::int4",
        Value::BigInt(_) => "::int8",
        Value::Bytes(_) => "::bytea",
        Value::Uuid(_) => "::uuid",
        Value::ChronoDateTimeUtc(_) => "::timestamptz",
        _ => "::text",
    }
}

/// How many of the rows that are left go into the next statement.
///
/// PostgreSQL takes 65,535 parameters. SQLite takes 32,766, but rows in statements of 256 cost it more than twice as much as
/// in statements of 32. And with a power of two there are few different texts, all of which it keeps ready.
fn rows_at_once(left: usize, columns: usize, sqlite: bool) -> usize {
    let most = left.min((30_000 / columns).max(1));
    if sqlite { 1 << most.min(32).ilog2() } else { most }
}

/// `($1, $2), ($3, $4)`, or `(?, ?), (?, ?)`: SQLite looks a numbered one up by walking all that it has seen so far.
fn placeholders(rows: usize, columns: usize, numbered: bool) -> String {
    let place =
        |text: &mut String, n| if numbered { write!(text, "${}", n + 1) } else { text.write_char('?') };
    in_rows(rows * columns, columns, place)
}

/// So many places, each as `place` writes it, in rows of so many columns: one text, as all that is written goes this way.
fn in_rows(places: usize, columns: usize, place: impl Fn(&mut String, usize) -> std::fmt::Result) -> String {
    let mut text = String::with_capacity(places * 12);
    for n in 0..places {
        text.push_str(if n == 0 { "" } else { ", " });
        text.push_str(if n.is_multiple_of(columns) { "(" } else { "" });
        // A text takes whatever is written to it.
        let _ = place(&mut text, n);
        text.push_str(if (n + 1).is_multiple_of(columns) { ")" } else { "" });
    }
    text
}

/// `$from, $from+1, …` for an `IN` list.
pub(crate) fn list(from: usize, count: usize) -> String {
    (from..from + count).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_grouped_by_row() {
        assert_eq!(placeholders(2, 2, true), "($1, $2), ($3, $4)");
        assert_eq!(placeholders(2, 1, true), "($1), ($2)");
        assert_eq!(placeholders(2, 2, false), "(?, ?), (?, ?)");
        assert_eq!(list(3, 2), "$3, $4");
    }

    #[test]
    fn rows_go_in_few_different_numbers_on_sqlite() {
        let pieces = |rows: usize, columns: usize, sqlite: bool| {
            let mut left = rows;
            std::iter::from_fn(move || {
                let next = (left > 0).then(|| rows_at_once(left, columns, sqlite));
                left -= next.unwrap_or(0);
                next
            })
            .collect::<Vec<_>>()
        };
        assert_eq!(pieces(75, 16, true), [32, 32, 8, 2, 1]);
        assert_eq!(pieces(40, 1_000, true), [16, 16, 8]);
        assert_eq!(pieces(2, 40_000, true), [1, 1]);
        assert_eq!(pieces(75, 16, false), [75]);
        assert_eq!(pieces(4_000, 16, false), [1_875, 1_875, 250]);
    }

    #[test]
    fn writes_together_follow_their_guard_and_count_on() {
        let mut together = Together::guarded_by("UPDATE a SET b = $1 WHERE c = $2", vec![1.into(), 2.into()]);
        let mut rows = Rows::new(2);
        rows.push([uuid::Uuid::nil().into(), "x".into()]);
        rows.push([uuid::Uuid::nil().into(), "y".into()]);
        together.insert(rows, "d (e, f)", "ON CONFLICT DO NOTHING");
        together.insert(Rows::new(3), "nothing (g, h, i)", "");
        together.delete("j", "k", 7_i64.into());
        assert_eq!(
            together.text,
            "WITH guard AS (UPDATE a SET b = $1 WHERE c = $2 RETURNING 1), part_1 AS (INSERT INTO d (e, f) SELECT \
             given.* FROM (VALUES ($3::uuid, $4::text), ($5::uuid, $6::text)) AS given, guard ON CONFLICT DO \
             NOTHING), part_2 AS (DELETE FROM j USING guard WHERE k = $7)"
        );
        assert_eq!(together.values.len(), 7);

        let mut key = Rows::new(2);
        key.push([uuid::Uuid::nil().into(), "z".into()]);
        let guarded = Together::guarded_by_row(key, "l (m, n)");
        let text = "WITH guard AS (INSERT INTO l (m, n) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING 1)";
        assert_eq!(guarded.text, text);
    }
}
