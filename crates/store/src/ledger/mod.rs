//! The ledger: postings in, balances and passbooks out. What is posted is decided in `xingfuma_domain::scoring`.
//!
//! Nothing is posted twice: the cause is unique, and so is what a posting answers. A monthly cap is taken in one
//! conditional statement that no race can overdraw. Entries and transactions are appended; triggers refuse the rest,
//! and the chains of the accounts show what was done behind their back ([`mod@verify`]).

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::order::Completion;
use xingfuma_domain::scoring::{
    AccountKind, AccountRef, Award, Cause, Draft, HeldEnd, HoldReason, Leg, PostedTransaction, Posting,
    Purse, ScoringFault, SourceType, held_end, hold, release, void,
};

use crate::sql;
use crate::{StoreError, unreadable};

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
    /// An award, after its monthly cap.
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
        /// The last round was rated with five stars and solved.
        five_stars: bool,
    },
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
        Booking::SettleOrder { id, order, at, completion, five_stars } => {
            settle_order(conn, *id, *order, *at, completion.as_deref(), *five_stars).await?;
            Ok(Booked::New)
        }
    }
}

async fn book_award(conn: &impl ConnectionTrait, id: Uuid, award: &Award) -> Result<Booked, StoreError> {
    let used = match award.monthly_cap {
        Some(cap) if award.points > 0 => match take_from_cap(conn, award, cap).await? {
            Some(used) => used,
            None => return Ok(Booked::Known),
        },
        _ => 0,
    };
    let posting = award.posting(used).map_err(fault)?;
    post(conn, id, &posting).await
}

/// Takes the award out of its month's cap and answers what was used before; `None` when its cause is booked already.
async fn take_from_cap(
    conn: &impl ConnectionTrait,
    award: &Award,
    cap: i64,
) -> Result<Option<i64>, StoreError> {
    #[derive(FromQueryResult)]
    struct Taken {
        points: i64,
        granted: i64,
    }
    let text = "INSERT INTO score_cap (person_id, rule_code, month, county, points, granted) \
                SELECT $1, $2, $3, $4, CASE WHEN $5 < $6 THEN $5 ELSE $6 END, CASE WHEN $5 < $6 THEN $5 ELSE $6 END \
                WHERE NOT EXISTS (SELECT 1 FROM score_transaction \
                WHERE source_id = $7 AND source_type = $8 AND cause = $9) \
                ON CONFLICT (person_id, rule_code, month) DO UPDATE SET \
                granted = CASE WHEN $5 < $6 - score_cap.points THEN $5 ELSE $6 - score_cap.points END, \
                points = score_cap.points + CASE WHEN $5 < $6 - score_cap.points THEN $5 \
                ELSE $6 - score_cap.points END RETURNING points, granted";
    let text = if conn.get_database_backend() == sea_orm::DatabaseBackend::Postgres {
        // Parameters of a SELECT list have no type of their own.
        text.replace("SELECT $1, $2, $3, $4,", "SELECT $1::uuid, $2::text, $3::text, $4::text,")
            .replace("$5", "$5::bigint")
            .replace("$6", "$6::bigint")
    } else {
        text.to_owned()
    };
    let values = vec![
        award.person.into(),
        award.rule_code.clone().into(),
        award.inputs.month.to_string().into(),
        award.area.county().to_string().into(),
        award.points.into(),
        cap.into(),
        award.cause.source_id.into(),
        award.cause.source_type.as_str().into(),
        award.cause.kind.to_string().into(),
    ];
    let taken: Option<Taken> = sql::one(conn, &text, values).await?;
    Ok(taken.map(|taken| taken.points - taken.granted))
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
    five_stars: bool,
) -> Result<(), StoreError> {
    for (n, of) in (0u16..).zip(unanswered(conn, order).await?) {
        let held = |leg: &&Leg| leg.account.kind == AccountKind::Hold && leg.points > 0;
        let Some(person) = of.posting.legs.iter().find(held).and_then(|leg| leg.account.owner) else {
            continue;
        };
        let closed_by = completion.map(|done| done.engagement.volunteer);
        let on_time = completion.is_some_and(|done| done.on_time);
        let posting = match held_end(&of.posting.rule_code, person, closed_by, on_time, five_stars) {
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
