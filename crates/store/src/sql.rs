//! The few words that every query here shares.

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement, Value};

use crate::StoreError;

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

pub(crate) fn statement(conn: &impl ConnectionTrait, text: &str, values: Vec<Value>) -> Statement {
    Statement::from_sql_and_values(conn.get_database_backend(), text, values)
}

/// Builds a multi-row `INSERT` with numbered placeholders.
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

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// `INSERT INTO {into} VALUES (…), (…) {tail}`, in pieces that both databases take.
    pub(crate) async fn insert(
        self,
        conn: &impl ConnectionTrait,
        into: &str,
        tail: &str,
    ) -> Result<u64, StoreError> {
        // PostgreSQL takes 65,535 parameters. SQLite takes 32,766, but looks a numbered one up by walking all that it
        // has seen so far: short statements cost it less than long ones.
        let parameters = match conn.get_database_backend() {
            DbBackend::Sqlite => 700,
            _ => 30_000,
        };
        let per_statement = (parameters / self.columns).max(1) * self.columns;
        let mut touched = 0;
        let mut values = self.values.into_iter().peekable();
        while values.peek().is_some() {
            let piece: Vec<Value> = values.by_ref().take(per_statement).collect();
            let text =
                format!("INSERT INTO {into} VALUES {} {tail}", placeholders(piece.len(), self.columns));
            touched += run(conn, &text, piece).await?;
        }
        Ok(touched)
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
        let text =
            format!("INSERT INTO {into} VALUES {} {tail}", placeholders(self.values.len(), self.columns));
        all(conn, &text, self.values).await
    }
}

fn placeholders(values: usize, columns: usize) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(values * 6);
    for n in 1..=values {
        let open = if n % columns == 1 || columns == 1 { if n == 1 { "(" } else { ", (" } } else { ", " };
        let close = if n % columns == 0 { ")" } else { "" };
        let _ = write!(text, "{open}${n}{close}");
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
        assert_eq!(placeholders(4, 2), "($1, $2), ($3, $4)");
        assert_eq!(placeholders(2, 1), "($1), ($2)");
        assert_eq!(list(3, 2), "$3, $4");
    }
}
