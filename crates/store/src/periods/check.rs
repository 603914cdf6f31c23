//! Whether periods are what they were sealed as, and what the ledger says.

use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::scoring::chain::Hash;
use xingfuma_domain::scoring::{LineStatus, ListHasher, ListedLine, PeriodStatus, YearMonth};

use super::{LineRow, PeriodRow};
use crate::sql;
use crate::{StoreError, unreadable};

/// Lines read at once.
const PIECE: u64 = 5_000;

/// Which list is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// As it was published: all lines, with the points that were published.
    Published,
    /// As it is sealed: without the lines that are paused, with what was corrected.
    Sealed,
}

/// The hash of a list as it stands, behind the seal of the period before it.
///
/// # Errors
/// When the database fails or a row cannot be read.
pub async fn hash(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    month: YearMonth,
    before: &Hash,
    which: Which,
) -> Result<Hash, StoreError> {
    let mut hasher = ListHasher::new(&county.to_string(), month, before);
    let mut after = 0;
    loop {
        let lines = super::lines(conn, county, month, None, after, PIECE).await?;
        for line in &lines {
            after = line.number;
            if let Some(line) = listed(line, which)? {
                hasher.line(&line);
            }
        }
        if (lines.len() as u64) < PIECE {
            return Ok(hasher.finish());
        }
    }
}

fn listed(line: &LineRow, which: Which) -> Result<Option<ListedLine>, StoreError> {
    let status: LineStatus = line.status.parse().map_err(unreadable)?;
    let (counts, corrected) = match which {
        Which::Published => (true, 0),
        Which::Sealed => (!matches!(status, LineStatus::Paused | LineStatus::Carried), line.corrected),
    };
    Ok(counts.then_some(ListedLine {
        number: line.number,
        person: line.person_id,
        points: line.points.saturating_add(corrected),
        entries: line.entries,
    }))
}

/// The seal of the period before a month; zeros where there is none.
///
/// # Errors
/// When the database fails or a row cannot be read.
pub async fn seal_before(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    month: YearMonth,
) -> Result<Hash, StoreError> {
    #[derive(FromQueryResult)]
    struct Seal {
        seal: Option<Vec<u8>>,
    }
    let text = "SELECT seal FROM score_period WHERE county = $1 AND month < $2 AND seal IS NOT NULL \
                ORDER BY month DESC LIMIT 1";
    let found: Option<Seal> =
        sql::one(conn, text, vec![county.to_string().into(), month.to_string().into()]).await?;
    match found.and_then(|found| found.seal) {
        Some(seal) => seal.as_slice().try_into().map_err(|_| unreadable("a seal that is not 32 bytes long")),
        None => Ok([0; 32]),
    }
}

/// Everything that is wrong with the periods of a county, in words; empty is good.
///
/// # Errors
/// When the database fails or a row cannot be read.
pub async fn faults(conn: &impl ConnectionTrait, county: AreaCode) -> Result<Vec<String>, StoreError> {
    let mut faults = Vec::new();
    let mut periods = super::list(conn, county, 10_000).await?;
    periods.reverse();
    for period in &periods {
        check(conn, county, period, &mut faults).await?;
    }
    Ok(faults)
}

async fn check(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    period: &PeriodRow,
    faults: &mut Vec<String>,
) -> Result<(), StoreError> {
    let (month, status) = (period.month()?, period.status()?);
    let before = seal_before(conn, county, month).await?;
    if status == PeriodStatus::Sealed {
        let now = hash(conn, county, month, &before, Which::Sealed).await?;
        if period.seal.as_deref() != Some(now.as_slice()) {
            faults.push(format!("period {month}: the list is not what was sealed"));
        }
    }
    if status >= PeriodStatus::Notice {
        // The list was published behind the seal of that day, which a period sealed later does not change.
        let now = hash(conn, county, month, &[0; 32], Which::Published).await?;
        if period.list_hash.as_deref() != Some(now.as_slice()) {
            faults.push(format!("period {month}: the list is not what was published"));
        }
    }
    for (number, person) in disagreeing(conn, county, month).await? {
        faults.push(format!("period {month}: line {number} ({person}) is not the sum of its entries"));
    }
    Ok(())
}

/// Lines that are not the sum of the ledger's entries that they were added up from.
async fn disagreeing(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    month: YearMonth,
) -> Result<Vec<(i64, Uuid)>, StoreError> {
    #[derive(FromQueryResult)]
    struct Found {
        number: i64,
        person_id: Uuid,
    }
    let text = "SELECT l.number, l.person_id FROM score_period_line l WHERE l.county = $1 AND l.month = $2 \
                AND l.status <> 'carried' AND l.points + l.corrected <> (SELECT CAST(coalesce(sum(e.points), 0) AS bigint) \
                FROM score_period_entry c JOIN score_entry e ON e.id = c.entry_id \
                WHERE c.person_id = l.person_id AND c.month = l.month AND c.county = l.county) ORDER BY l.number LIMIT 1000";
    let values: Vec<Value> = vec![county.to_string().into(), month.to_string().into()];
    let found: Vec<Found> = sql::all(conn, text, values).await?;
    Ok(found.into_iter().map(|found| (found.number, found.person_id)).collect())
}
