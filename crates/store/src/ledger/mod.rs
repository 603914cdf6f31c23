//! The ledger: postings in, balances and passbooks out. What is posted is decided in `xingfuma_domain::scoring`.
//!
//! Nothing is posted twice: the cause is unique, and so is what a posting answers. Caps are taken
//! under the locks of their counts, so no race can overdraw them. Entries and transactions are appended; triggers refuse the rest,
//! and the chains of the accounts show what was done behind their back ([`mod@verify`]).

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::order::Completion;
use xingfuma_domain::scoring::{
    AccountKind, AccountRef, Award, Cause, Counter, Draft, HeldEnd, HoldReason, Leg, PostedTransaction,
    Posting, Purse, ScoringFault, SourceType, Used, held_end, hold, release, void,
};

use crate::sql::{self, Rows};
use crate::{StoreError, holds, unreadable};

mod passbook;
mod post;
mod reading;
pub mod replaying;
pub mod roots;
pub(crate) mod sealing;
pub mod verify;
pub(crate) mod within;

pub use passbook::{Balances, PassbookRow, balances, passbook};
pub use post::Booked;
use post::post;
pub use verify::{Fault, Verdict, verify};

/// Points to be moved, with the id that the (first) transaction gets.
#[derive(Clone, Debug)]
pub enum Booking {
    /// An award, after its caps.
    Award {
        /// The transaction's id.
        id: Uuid,
        /// The award.
        award: Box<Award>,
    },
    /// A posting that was decided already, such as a reversal.
    Posting {
        /// The transaction's id.
        id: Uuid,
        /// The posting.
        posting: Box<Posting>,
    },
    /// An order was reopened: what people earned by it goes on hold.
    HoldOrder {
        /// The first transaction's id; the others follow from it.
        id: Uuid,
        /// The order.
        order: Uuid,
        /// When.
        at: DateTime<Utc>,
    },
    /// A reopened order ended: what is on hold is released or lost.
    SettleOrder {
        /// The first transaction's id; the others follow from it.
        id: Uuid,
        /// The order.
        order: Uuid,
        /// When.
        at: DateTime<Utc>,
        /// The last completion; absent when the order was cancelled.
        completion: Option<Box<Completion>>,
        /// The codes of the rules by which the last round scores.
        earned: Vec<String>,
    },
}

impl Booking {
    /// The same, with an award put on hold for review.
    #[must_use]
    pub fn looked_at(&self, reason: Option<HoldReason>) -> Booking {
        match (self, reason) {
            (Booking::Award { id, award }, Some(reason)) => {
                Booking::Award { id: *id, award: Box::new((**award).clone().held_for(reason)) }
            }
            _ => self.clone(),
        }
    }
}

/// Books points; a cause that is booked already, and an answer to what was answered, is left alone and
/// [`Booked::Known`].
///
/// # Errors
/// [`StoreError::Overdrawn`] and [`StoreError::Overflow`]; when the database fails, or a posting is none. The
/// transaction must then be rolled back.
pub async fn book(conn: &impl ConnectionTrait, booking: &Booking) -> Result<Booked, StoreError> {
    match booking {
        Booking::Award { id, award } => book_award(conn, *id, award).await,
        Booking::Posting { id, posting } => post(conn, *id, posting).await,
        Booking::HoldOrder { id, order, at } => {
            hold_order(conn, *id, *order, *at).await?;
            Ok(Booked::New)
        }
        Booking::SettleOrder { id, order, at, completion, earned } => {
            settle_order(conn, *id, *order, *at, completion.as_deref(), earned).await?;
            Ok(Booked::New)
        }
    }
}

async fn book_award(conn: &impl ConnectionTrait, id: Uuid, award: &Award) -> Result<Booked, StoreError> {
    let Some(used) = take_from_caps(conn, award).await? else { return Ok(Booked::Known) };
    let posting = award.posting(used).map_err(fault)?;
    let booked = post(conn, id, &posting).await?;
    // What a cap has cut to nothing is not worth a look.
    if let (Booked::New, Some(reason), 1..) = (booked, award.review(), posting.points()) {
        holds::row(id, award, reason).insert(conn, holds::INTO, "").await?;
    }
    Ok(booked)
}

/// The columns of a count that caps look at. `month` is the window: a month, a day, or an order's id.
const INTO_CAP: &str = "score_cap (person_id, rule_code, month, county, points, granted)";

/// The rows of an award's counts, with what each holds then and what was granted last.
fn cap_rows(award: &Award, counters: Vec<Counter>, of: impl Fn(&Counter) -> (i64, i64)) -> Rows {
    let mut rows = Rows::new(6);
    for counter in counters {
        let (points, granted) = of(&counter);
        rows.push([
            award.person.into(),
            counter.code.into(),
            counter.window.into(),
            award.area.county().to_string().into(),
            points.into(),
            granted.into(),
        ]);
    }
    rows
}

/// Takes the award out of its caps and answers what was used before; `None` when its cause is booked already.
///
/// The rows of its counts are locked first, in the order of their keys, by an update that changes nothing; what is read
/// behind that lock, the cause included, stands until the transaction ends. So no race takes more than a cap has.
async fn take_from_caps(conn: &impl ConnectionTrait, award: &Award) -> Result<Option<Used>, StoreError> {
    #[derive(FromQueryResult)]
    struct Locked {
        rule_code: String,
        month: String,
        points: i64,
    }
    let (counters, mut used) = (award.counters(), Used::default());
    if counters.is_empty() {
        return Ok(Some(used));
    }
    let lock = "ON CONFLICT (person_id, rule_code, month) DO UPDATE SET points = score_cap.points \
                RETURNING rule_code, month, points";
    let rows = cap_rows(award, counters.clone(), |_| (0, 0));
    let locked: Vec<Locked> = rows.insert_returning(conn, INTO_CAP, lock).await?;
    let known =
        "SELECT 1 AS found FROM score_transaction WHERE source_id = $1 AND source_type = $2 AND cause = $3";
    let cause = vec![
        award.cause.source_id.into(),
        award.cause.source_type.as_str().into(),
        award.cause.kind.to_string().into(),
    ];
    if conn.query_one_raw(sql::statement(conn, known, cause)).await?.is_some() {
        return Ok(None);
    }
    for counter in &counters {
        let row = locked.iter().find(|row| row.rule_code == counter.code && row.month == counter.window);
        used.note(counter.span, row.map_or(0, |row| row.points));
    }
    let granted = award.granted(used);
    let take = "ON CONFLICT (person_id, rule_code, month) DO UPDATE SET points = excluded.points, \
                granted = excluded.granted";
    let rows = cap_rows(award, counters, |counter| (used.of(counter.span) + granted, granted));
    rows.insert(conn, INTO_CAP, take).await?;
    Ok(Some(used))
}

fn fault(fault: ScoringFault) -> StoreError {
    unreadable(format!("a posting that is none: {fault}"))
}

/// The id of the `n`th thing that follows from `first`: neighbours of one random number.
fn following(first: Uuid, n: u16) -> Uuid {
    Uuid::from_u128(first.as_u128().wrapping_add(u128::from(n) << 8))
}

#[derive(FromQueryResult)]
struct TransactionRow {
    id: Uuid,
    cause: String,
    source_type: String,
    source_id: Uuid,
    rule_code: String,
    rule_version: i32,
    inputs: String,
    area_code: String,
    decided_by: Option<Uuid>,
    reverses: Option<Uuid>,
    at: DateTime<Utc>,
}

const TRANSACTION: &str = "t.id, t.cause, t.source_type, t.source_id, t.rule_code, t.rule_version, t.inputs, \
                           t.area_code, t.decided_by, t.reverses, t.at";

async fn read_legs(conn: &impl ConnectionTrait, transaction: Uuid) -> Result<Vec<Leg>, StoreError> {
    #[derive(FromQueryResult)]
    struct EntryRow {
        kind: String,
        purse: String,
        owner_id: Option<Uuid>,
        points: i64,
    }
    let text = "SELECT kind, purse, owner_id, points FROM score_entry WHERE transaction_id = $1 ORDER BY id";
    let rows: Vec<EntryRow> = sql::all(conn, text, vec![transaction.into()]).await?;
    rows.into_iter()
        .map(|row| {
            let kind: AccountKind = row.kind.parse().map_err(unreadable)?;
            let purse: Purse = row.purse.parse().map_err(unreadable)?;
            Ok(Leg { account: AccountRef { kind, purse, owner: row.owner_id }, points: row.points })
        })
        .collect()
}

async fn posted(conn: &impl ConnectionTrait, row: TransactionRow) -> Result<PostedTransaction, StoreError> {
    let cause = Cause {
        kind: row.cause.parse().map_err(unreadable)?,
        source_type: row.source_type.parse::<SourceType>().map_err(unreadable)?,
        source_id: row.source_id,
    };
    let posting = Posting::new(Draft {
        cause,
        rule_code: row.rule_code,
        rule_version: row.rule_version,
        inputs: serde_json::from_str(&row.inputs).map_err(unreadable)?,
        area: row.area_code.parse().map_err(unreadable)?,
        decided_by: row.decided_by,
        at: row.at,
        legs: read_legs(conn, row.id).await?,
        reverses: row.reverses,
    })
    .map_err(fault)?;
    Ok(PostedTransaction { id: row.id, posting })
}

/// A transaction of the county by id.
///
/// # Errors
/// When the database fails or the row cannot be read.
pub async fn find(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    id: Uuid,
) -> Result<Option<PostedTransaction>, StoreError> {
    let text = format!("SELECT {TRANSACTION} FROM score_transaction t WHERE t.id = $1 AND t.county = $2");
    match sql::one(conn, &text, vec![id.into(), county.to_string().into()]).await? {
        Some(row) => posted(conn, row).await.map(Some),
        None => Ok(None),
    }
}

/// Transactions of an order that nothing answers yet: the ends of its chains.
async fn unanswered(conn: &impl ConnectionTrait, order: Uuid) -> Result<Vec<PostedTransaction>, StoreError> {
    // A chain is at most award → hold → release → hold …; its links name each other by `reverses`.
    let text = format!(
        "WITH RECURSIVE chain (id) AS (SELECT id FROM score_transaction WHERE source_id = $1 AND source_type = 'order' \
         UNION SELECT s.id FROM score_transaction s JOIN chain c ON s.reverses = c.id) \
         SELECT {TRANSACTION} FROM score_transaction t JOIN chain c ON c.id = t.id \
         WHERE NOT EXISTS (SELECT 1 FROM score_transaction later WHERE later.reverses = t.id) ORDER BY t.id"
    );
    let rows: Vec<TransactionRow> = sql::all(conn, &text, vec![order.into()]).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        found.push(posted(conn, row).await?);
    }
    Ok(found)
}

async fn hold_order(
    conn: &impl ConnectionTrait,
    first: Uuid,
    order: Uuid,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    for (n, of) in (0u16..).zip(unanswered(conn, order).await?) {
        match hold(&of, HoldReason::Reopened, at, None) {
            Ok(posting) => {
                post(conn, following(first, n), &posting).await?;
            }
            // A deduction, or an award that the cap cut to nothing: there is nothing to hold.
            Err(ScoringFault::NothingToMove) => {}
            Err(other) => return Err(fault(other)),
        }
    }
    Ok(())
}

async fn settle_order(
    conn: &impl ConnectionTrait,
    first: Uuid,
    order: Uuid,
    at: DateTime<Utc>,
    completion: Option<&Completion>,
    earned: &[String],
) -> Result<(), StoreError> {
    for (n, of) in (0u16..).zip(unanswered(conn, order).await?) {
        let held = |leg: &&Leg| leg.account.kind == AccountKind::Hold && leg.points > 0;
        let Some(person) = of.posting.legs.iter().find(held).and_then(|leg| leg.account.owner) else {
            continue;
        };
        let closed_by = completion.map(|done| done.engagement.volunteer);
        let posting = match held_end(&of.posting.rule_code, person, closed_by, earned) {
            // The order says that they were earned; whether it happened as it says is for a person to find out.
            HeldEnd::Release if of.posting.inputs.held.is_some_and(HoldReason::is_for_review) => continue,
            HeldEnd::Release => release(&of, "order_ended", at, None),
            HeldEnd::Void => void(&of, "not_earned_in_the_last_round", at, None),
        };
        post(conn, following(first, n), &posting.map_err(fault)?).await?;
    }
    Ok(())
}

/// Which rules an order has paid to whom in earlier rounds: each pays a person once per order.
///
/// # Errors
/// When the database fails.
pub async fn scored(conn: &impl ConnectionTrait, order: Uuid) -> Result<Vec<(String, Uuid)>, StoreError> {
    #[derive(FromQueryResult)]
    struct Scored {
        rule_code: String,
        owner_id: Uuid,
    }
    let text = "SELECT DISTINCT t.rule_code, e.owner_id FROM score_transaction t \
                JOIN score_entry e ON e.transaction_id = t.id \
                WHERE t.source_id = $1 AND t.source_type = 'order' AND e.owner_id IS NOT NULL";
    let rows: Vec<Scored> = sql::all(conn, text, vec![order.into()]).await?;
    Ok(rows.into_iter().map(|row| (row.rule_code, row.owner_id)).collect())
}

/// Whether something answers this transaction already.
///
/// # Errors
/// When the database fails.
pub async fn is_answered(conn: &impl ConnectionTrait, id: Uuid) -> Result<bool, StoreError> {
    any(conn, "SELECT 1 AS found FROM score_transaction WHERE reverses = $1", id).await
}

async fn any(conn: &impl ConnectionTrait, text: &str, id: Uuid) -> Result<bool, StoreError> {
    Ok(conn.query_one_raw(sql::statement(conn, text, vec![id.into()])).await?.is_some())
}
