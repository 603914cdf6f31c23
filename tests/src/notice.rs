//! A published list of a month long past, put into the database by hand: a real one takes a month.

/// The month of the list.
pub const MONTH: &str = "2025-11";

/// SQL that publishes it, with a notice that runs for ever.
#[must_use]
pub fn running() -> String {
    format!(
        "INSERT INTO score_period (county, month, status, claims_closed_at, working_days, published_at, notice_ends_at, \
         line_count, points) VALUES ('140724', '{MONTH}', 'notice', '2025-12-01T00:00:00+00:00', 5, \
         '2025-12-01T00:00:00+00:00', '2999-01-01T00:00:00+00:00', 100, 100)"
    )
}

/// SQL that writes a hundred lines of it, of people whom nobody knows. SQLite's ids are bytes.
#[must_use]
pub fn lines(grid: &str, is_postgres: bool) -> String {
    let lines = (1..=100).map(|number| {
        let id = format!("{number:032x}");
        let id = if is_postgres { format!("'{id}'") } else { format!("X'{id}'") };
        format!("('140724', '{MONTH}', {id}, {number}, '{grid}', 1, 1, 0, 0, 'standing')")
    });
    format!(
        "INSERT INTO score_period_line (county, month, person_id, number, area_code, points, entries, late, corrected, \
         status) VALUES {}",
        lines.collect::<Vec<_>>().join(", ")
    )
}
