//! 公示 and 归档: a month is closed, shown, and sealed.
//!
//! [`close`] makes the list in pieces of [`PIECE`] people: each piece is a transaction that counts their entries, writes
//! their lines and moves the cursor. Killed, it is run again and goes on behind the last piece. Run twice at once, each
//! piece is made once. [`seal`] ends the notice; what is contested then waits by itself.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::deadline::Calendar;
use xingfuma_domain::scoring::{
    LineStatus, PeriodRefusal, PeriodStatus, YearMonth, add_up, check_close, check_seal, notice_ends_at,
};
use xingfuma_store::idempotency::{self, Answer};
use xingfuma_store::periods::check::{self, Which};
use xingfuma_store::periods::freezing::{self, NewLine, UncountedEntry};
use xingfuma_store::periods::{self, PeriodRow};
use xingfuma_store::{Store, StoreError, connection, transact};

use crate::AppError;
use crate::clock::Clock;

/// People of one piece.
pub const PIECE: u64 = 500;

/// What is told while a list is made: people done, of how many.
pub type Progress<'a> = &'a (dyn Fn(u64, u64) + Sync);

/// The moment by the clock that rules: the database's, where it has one. For the command line, which has no app.
///
/// # Errors
/// When the database does not answer.
pub async fn moment(store: &Store) -> Result<DateTime<Utc>, AppError> {
    Ok(connection::clock(store).await?.unwrap_or_else(|| Clock::system().now()))
}

fn refused(refusal: PeriodRefusal) -> AppError {
    AppError::Conflict(match refusal {
        PeriodRefusal::NotOver => "period_not_over",
        PeriodRefusal::AlreadyClosed => "period_closed",
        PeriodRefusal::NotTheNext(_) => "period_not_next",
        PeriodRefusal::NoticeRuns => "notice_runs",
        PeriodRefusal::NotFrozen => "period_not_frozen",
    })
}

async fn latest(store: &Store, county: AreaCode) -> Result<Option<(YearMonth, PeriodStatus)>, AppError> {
    let found = periods::list(store.pool(), county, 1).await?;
    Ok(found.first().map(|row| Ok::<_, StoreError>((row.month()?, row.status()?))).transpose()?)
}

/// Closes the claims about a month, unless they are closed already.
///
/// # Errors
/// [`AppError::Conflict`] `period_not_over`, `period_closed`, `period_not_next`.
pub async fn close_claims(
    store: &Store,
    county: AreaCode,
    month: YearMonth,
    working_days: u32,
    by: Option<Uuid>,
    now: DateTime<Utc>,
) -> Result<PeriodRow, AppError> {
    close_claims_and(store, county, month, working_days, by, now, |_| None).await
}

/// As [`close_claims`]; what `answer` makes of the period is kept in the same transaction, if the caller gave a key.
pub(crate) async fn close_claims_and(
    store: &Store,
    county: AreaCode,
    month: YearMonth,
    working_days: u32,
    by: Option<Uuid>,
    now: DateTime<Utc>,
    answer: impl FnOnce(&PeriodRow) -> Option<Answer> + Send + 'static,
) -> Result<PeriodRow, AppError> {
    check_close(month, now, latest(store, county).await?).map_err(refused)?;
    let days = i32::try_from(working_days).unwrap_or(i32::MAX);
    Ok(transact::<_, StoreError, _>(store, move |conn| {
        Box::pin(async move {
            // Closed already is as good.
            match periods::begin(conn, county, month, days, by, now).await {
                Ok(()) | Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
            let row = periods::find(conn, county, month).await?.ok_or(StoreError::Conflict)?;
            idempotency::keep(conn, answer(&row).as_ref()).await?;
            Ok(row)
        })
    })
    .await?)
}

/// Makes a month's list and publishes it.
///
/// # Errors
/// As [`close_claims`]; [`AppError::Conflict`] `claims_waiting` when claims about it wait for a decision, unless they
/// are left to the next period.
pub async fn close(
    store: &Store,
    county: AreaCode,
    month: YearMonth,
    working_days: u32,
    leave_waiting: bool,
    now: DateTime<Utc>,
    progress: Progress<'_>,
) -> Result<PeriodRow, AppError> {
    let period = close_claims(store, county, month, working_days, None, now).await?;
    let until = month.next().begins();
    if !leave_waiting && periods::claims_waiting(store.pool(), county, until).await? > 0 {
        return Err(AppError::Conflict("claims_waiting"));
    }
    let whole = freezing::people_in_all(store.pool(), county).await?;
    let whole = u64::try_from(whole).unwrap_or_default();
    let (mut cursor, mut done) = (period.cursor_id, 0);
    if cursor.is_some() {
        tracing::info!(%month, "goes on with a list that was begun");
    }
    loop {
        match make_piece(store, county, month, cursor, until).await {
            Ok(None) => break,
            Ok(Some((last, people))) => {
                cursor = Some(last);
                done += people;
                progress(done.min(whole), whole);
            }
            // Another process makes this list too, and was quicker: on behind its piece.
            Err(AppError::Store(StoreError::Conflict)) => {
                let row = periods::find(store.pool(), county, month).await?.ok_or(AppError::NotFound)?;
                if row.status()? >= PeriodStatus::Notice {
                    return Ok(row);
                }
                cursor = row.cursor_id;
            }
            Err(error) => return Err(error),
        }
    }
    publish(store, county, month, now).await
}

/// Counts the next people behind the cursor; answers the last of them and how many, or nothing when there are none.
async fn make_piece(
    store: &Store,
    county: AreaCode,
    month: YearMonth,
    cursor: Option<Uuid>,
    until: DateTime<Utc>,
) -> Result<Option<(Uuid, u64)>, AppError> {
    let made = transact::<_, StoreError, _>(store, move |conn| {
        Box::pin(async move {
            let people = freezing::people(conn, county, cursor, PIECE).await?;
            let Some(last) = people.last().map(|person| person.owner_id) else { return Ok(None) };
            let ids: Vec<Uuid> = people.iter().map(|person| person.owner_id).collect();
            let entries = freezing::uncounted(conn, county, &ids, until).await?;
            let lines: Vec<NewLine> = people
                .iter()
                .filter_map(|person| {
                    let of = |entry: &&UncountedEntry| entry.person == person.owner_id;
                    let facts: Vec<_> = entries.iter().filter(of).map(|entry| entry.facts).collect();
                    let sum = add_up(&facts, month)?;
                    let area = person.grid_code.clone().unwrap_or_else(|| county.to_string());
                    Some(NewLine { person: person.owner_id, area, team: person.team_id, sum })
                })
                .collect();
            // The guard first: whoever is behind somebody else writes nothing.
            freezing::advance(conn, county, month, cursor, last, &lines).await?;
            let row = periods::find(conn, county, month).await?.ok_or(StoreError::Conflict)?;
            let first = row.line_count - lines.len() as i64 + 1;
            freezing::insert_lines(conn, county, month, first, &lines).await?;
            freezing::insert_counted(conn, county, month, &entries).await?;
            Ok(Some((last, people.len() as u64)))
        })
    });
    Ok(made.await?)
}

async fn publish(
    store: &Store,
    county: AreaCode,
    month: YearMonth,
    now: DateTime<Utc>,
) -> Result<PeriodRow, AppError> {
    let row = periods::find(store.pool(), county, month).await?.ok_or(AppError::NotFound)?;
    let ends_at = notice_ends_at(now, u32::try_from(row.working_days).unwrap_or(0), Calendar::china());
    let published: Result<(), StoreError> = transact(store, move |conn| {
        Box::pin(async move {
            let hash = check::hash(conn, county, month, &[0; 32], Which::Published).await?;
            freezing::publish(conn, county, month, now, ends_at, &hash).await
        })
    })
    .await;
    match published {
        Ok(()) | Err(StoreError::Conflict) => {}
        Err(error) => return Err(error.into()),
    }
    periods::find(store.pool(), county, month).await?.ok_or(AppError::NotFound)
}

/// Seals a month whose notice is over: lines that are contested still are paused, all others are sealed with a hash
/// behind the seal of the month before.
///
/// # Errors
/// [`AppError::NotFound`]; [`AppError::Conflict`] `period_closed`, `notice_runs`, `period_not_frozen`,
/// `period_not_next` when one before it is not sealed.
pub async fn seal(
    store: &Store,
    county: AreaCode,
    month: YearMonth,
    now: DateTime<Utc>,
) -> Result<PeriodRow, AppError> {
    seal_and(store, county, month, now, |_| None).await
}

/// As [`seal`]; what `answer` makes of the period is kept in the same transaction, if the caller gave a key.
pub(crate) async fn seal_and(
    store: &Store,
    county: AreaCode,
    month: YearMonth,
    now: DateTime<Utc>,
    answer: impl FnOnce(&PeriodRow) -> Option<Answer> + Send + 'static,
) -> Result<PeriodRow, AppError> {
    let sealed: Result<Result<PeriodRow, PeriodRefusal>, StoreError> = transact(store, move |conn| {
        Box::pin(async move {
            let Some(row) = periods::lock(conn, county, month).await? else {
                return Err(StoreError::Conflict);
            };
            if let Err(refusal) = check_seal(row.status()?, row.notice_ends_at, now) {
                return Ok(Err(refusal));
            }
            for earlier in periods::list(conn, county, 1_000).await? {
                if earlier.month()? < month && earlier.status()? != PeriodStatus::Sealed {
                    return Ok(Err(PeriodRefusal::NotTheNext(earlier.month()?)));
                }
            }
            periods::pause_contested(conn, county, month).await?;
            let before = check::seal_before(conn, county, month).await?;
            let hash = check::hash(conn, county, month, &before, Which::Sealed).await?;
            periods::seal(conn, county, month, now, &hash).await?;
            let row = periods::find(conn, county, month).await?.ok_or(StoreError::Conflict)?;
            idempotency::keep(conn, answer(&row).as_ref()).await?;
            Ok(Ok(row))
        })
    })
    .await;
    match sealed {
        Ok(outcome) => outcome.map_err(refused),
        Err(StoreError::Conflict) => Err(AppError::NotFound),
        Err(error) => Err(error.into()),
    }
}

/// Where a line goes when its last objection is decided: back to standing, or, in a sealed period, into the next one.
pub(crate) fn after_decision(period: PeriodStatus) -> LineStatus {
    if period == PeriodStatus::Sealed { LineStatus::Carried } else { LineStatus::Standing }
}
