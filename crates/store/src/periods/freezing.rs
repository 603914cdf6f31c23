//! Making a list, a piece of people at a time.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::scoring::{PersonSum, Uncounted, YearMonth, month_of};

use crate::sql::{self, Rows};
use crate::{StoreError, unreadable};

/// Somebody whose entries are to be counted.
#[derive(Clone, Debug, FromQueryResult)]
pub struct ToCount {
    /// The person.
    pub owner_id: Uuid,
    /// His grid, where he is a volunteer.
    pub grid_code: Option<String>,
    /// His team.
    pub team_id: Option<Uuid>,
}

/// The next people behind the cursor, by id.
///
/// # Errors
/// When the database fails.
pub async fn people(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<ToCount>, StoreError> {
    let mut values: Vec<Value> = vec![county.to_string().into()];
    let mut behind = "";
    if let Some(after) = after {
        values.push(after.into());
        behind = "AND a.owner_id > $2";
    }
    let text = format!(
        "SELECT a.owner_id, v.grid_code, v.team_id FROM score_account a LEFT JOIN volunteer v ON v.person_id = a.owner_id \
         WHERE a.county = $1 AND a.kind = 'person' AND a.purse = 'assessment' {behind} ORDER BY a.owner_id LIMIT {limit}"
    );
    sql::all(conn, &text, values).await
}

/// How many people have an account: the whole of the progress.
///
/// # Errors
/// When the database fails.
pub async fn people_in_all(conn: &impl ConnectionTrait, county: AreaCode) -> Result<i64, StoreError> {
    #[derive(FromQueryResult)]
    struct Count {
        people: i64,
    }
    let text = "SELECT count(*) AS people FROM score_account \
                WHERE county = $1 AND kind = 'person' AND purse = 'assessment'";
    let found: Option<Count> = sql::one(conn, text, vec![county.to_string().into()]).await?;
    Ok(found.map_or(0, |count| count.people))
}

/// An entry that no period has counted.
#[derive(Clone, Debug)]
pub struct UncountedEntry {
    /// The entry.
    pub entry: Uuid,
    /// Its transaction.
    pub transaction: Uuid,
    /// Whose.
    pub person: Uuid,
    /// What the domain needs to know of it.
    pub facts: Uncounted,
}

/// Entries on these people's own assessment accounts that happened before `until` and that no period has counted.
///
/// # Errors
/// When the database fails or a row cannot be read.
pub async fn uncounted(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    people: &[Uuid],
    until: DateTime<Utc>,
) -> Result<Vec<UncountedEntry>, StoreError> {
    #[derive(FromQueryResult)]
    struct Row {
        id: Uuid,
        transaction_id: Uuid,
        owner_id: Uuid,
        points: i64,
        at: DateTime<Utc>,
        answers: Option<String>,
    }
    if people.is_empty() {
        return Ok(Vec::new());
    }
    let mut values: Vec<Value> = vec![county.to_string().into(), until.into()];
    values.extend(people.iter().map(|person| Value::from(*person)));
    let text = format!(
        "SELECT e.id, e.transaction_id, e.owner_id, e.points, t.at, (SELECT c.month FROM score_period_entry c \
         WHERE c.transaction_id = t.reverses AND c.person_id = e.owner_id) AS answers \
         FROM score_entry e JOIN score_transaction t ON t.id = e.transaction_id \
         WHERE e.owner_id IN ({}) AND e.kind = 'person' AND e.purse = 'assessment' AND e.county = $1 AND t.at < $2 \
         AND NOT EXISTS (SELECT 1 FROM score_period_entry c WHERE c.entry_id = e.id) ORDER BY e.owner_id, e.id",
        sql::list(3, people.len())
    );
    let rows: Vec<Row> = sql::all(conn, &text, values).await?;
    rows.into_iter()
        .map(|row| {
            let answers = row.answers.map(|month| month.parse().map_err(unreadable)).transpose()?;
            let facts = Uncounted { points: row.points, happened: month_of(row.at), answers };
            Ok(UncountedEntry { entry: row.id, transaction: row.transaction_id, person: row.owner_id, facts })
        })
        .collect()
}

/// A line to be written.
#[derive(Clone, Debug)]
pub struct NewLine {
    /// The person.
    pub person: Uuid,
    /// His area.
    pub area: String,
    /// His team.
    pub team: Option<Uuid>,
    /// What it says.
    pub sum: PersonSum,
}

/// Moves the cursor of a period whose list is being made. Guarded: whoever is behind touches nothing.
///
/// # Errors
/// [`StoreError::Conflict`] when somebody else has made this piece, or the list is finished.
pub async fn advance(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    month: YearMonth,
    from: Option<Uuid>,
    to: Uuid,
    lines: &[NewLine],
) -> Result<(), StoreError> {
    let points = lines.iter().fold(0_i64, |sum, line| sum.saturating_add(line.sum.points));
    let mut values: Vec<Value> = vec![
        county.to_string().into(),
        month.to_string().into(),
        to.into(),
        (lines.len() as i64).into(),
        points.into(),
    ];
    let at = match from {
        Some(from) => {
            values.push(from.into());
            "cursor_id = $6 AND status = 'freezing'"
        }
        None => "cursor_id IS NULL AND status IN ('review', 'freezing')",
    };
    let text = format!(
        "UPDATE score_period SET status = 'freezing', cursor_id = $3, line_count = line_count + $4, points = points + $5 \
         WHERE county = $1 AND month = $2 AND {at}"
    );
    sql::change_one(conn, &text, values).await
}

/// Writes lines, numbered from `first`.
///
/// # Errors
/// When the database fails.
pub async fn insert_lines(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    month: YearMonth,
    first: i64,
    lines: &[NewLine],
) -> Result<(), StoreError> {
    let mut rows = Rows::new(11);
    for (number, line) in (first..).zip(lines) {
        rows.push([
            county.to_string().into(),
            month.to_string().into(),
            line.person.into(),
            number.into(),
            line.area.clone().into(),
            line.team.into(),
            line.sum.points.into(),
            line.sum.entries.into(),
            line.sum.late.into(),
            0_i64.into(),
            "standing".into(),
        ]);
    }
    let into = "score_period_line (county, month, person_id, number, area_code, team_id, points, entries, late, \
                corrected, status)";
    rows.insert(conn, into, "").await?;
    Ok(())
}

/// Writes down which entries a period has counted.
///
/// # Errors
/// When the database fails; also when one of them was counted before.
pub async fn insert_counted(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    month: YearMonth,
    entries: &[UncountedEntry],
) -> Result<(), StoreError> {
    let mut rows = Rows::new(7);
    for entry in entries {
        rows.push([
            entry.entry.into(),
            county.to_string().into(),
            month.to_string().into(),
            entry.person.into(),
            entry.transaction.into(),
            entry.facts.points.into(),
            entry.facts.link(month).map(|link| link.to_string()).into(),
        ]);
    }
    let into = "score_period_entry (entry_id, county, month, person_id, transaction_id, points, links_to)";
    rows.insert(conn, into, "").await?;
    Ok(())
}

/// Publishes a list that is complete: nobody is behind the cursor any more.
///
/// # Errors
/// [`StoreError::Conflict`] when somebody else has published it, or it was begun anew meanwhile.
pub async fn publish(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    month: YearMonth,
    now: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    hash: &[u8],
) -> Result<(), StoreError> {
    let text = "UPDATE score_period SET status = 'notice', published_at = $3, notice_ends_at = $4, list_hash = $5 \
                WHERE county = $1 AND month = $2 AND status IN ('review', 'freezing')";
    let values: Vec<Value> = vec![
        county.to_string().into(),
        month.to_string().into(),
        now.into(),
        ends_at.into(),
        hash.to_vec().into(),
    ];
    sql::change_one(conn, text, values).await
}
