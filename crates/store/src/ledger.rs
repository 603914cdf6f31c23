//! The ledger: postings in, balances and passbooks out. What is posted is decided in `xingfuma_domain::scoring`.
//!
//! Nothing is posted twice: the cause is unique, and so is what a posting answers. A monthly cap is taken in one
//! conditional statement that no race can overdraw. Entries and transactions are appended; triggers refuse the rest.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::order::Completion;
use xingfuma_domain::scoring::{
    AccountKind, AccountRef, Award, Cause, Draft, HeldEnd, HoldReason, Leg, PostedTransaction, Posting,
    Purse, ScoringFault, SourceType, held_end, hold, release, void,
};

use crate::sql::{self, Rows};
use crate::{StoreError, unreadable};

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

/// Books points; a cause that is booked already is left alone.
///
/// # Errors
/// When the database fails, or a posting is none.
pub async fn book(conn: &impl ConnectionTrait, booking: &Booking) -> Result<(), StoreError> {
    match booking {
        Booking::Award { id, award } => book_award(conn, *id, award).await,
        Booking::Posting { id, posting } => post(conn, *id, posting).await,
        Booking::HoldOrder { id, order, at } => hold_order(conn, *id, *order, *at).await,
        Booking::SettleOrder { id, order, at, completion, five_stars } => {
            settle_order(conn, *id, *order, *at, completion.as_deref(), *five_stars).await
        }
    }
}

async fn book_award(conn: &impl ConnectionTrait, id: Uuid, award: &Award) -> Result<(), StoreError> {
    let used = match award.monthly_cap {
        Some(cap) if award.points > 0 => match take_from_cap(conn, award, cap).await? {
            Some(used) => used,
            None => return Ok(()),
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

/// Appends a posting. One whose cause is booked already, or which answers what was answered already, is left alone.
async fn post(conn: &impl ConnectionTrait, id: Uuid, posting: &Posting) -> Result<(), StoreError> {
    let county = posting.area.county().to_string();
    let mut rows = Rows::new(12);
    rows.push([
        id.into(),
        county.clone().into(),
        posting.cause.kind.to_string().into(),
        posting.cause.source_type.as_str().into(),
        posting.cause.source_id.into(),
        posting.rule_code.clone().into(),
        posting.rule_version.into(),
        serde_json::to_string(&posting.inputs).map_err(unreadable)?.into(),
        posting.area.to_string().into(),
        posting.decided_by.into(),
        posting.reverses.into(),
        posting.at.into(),
    ]);
    let into = "score_transaction (id, county, cause, source_type, source_id, rule_code, rule_version, inputs, \
                area_code, decided_by, reverses, at)";
    if rows.insert(conn, into, "ON CONFLICT DO NOTHING").await? == 0 {
        return Ok(());
    }
    let (mut entries, mut balances) = (Rows::new(7), Rows::new(5));
    for (n, leg) in (1u16..).zip(&posting.legs) {
        entries.push([
            Uuid::from_u128(id.as_u128() ^ u128::from(n)).into(),
            id.into(),
            county.clone().into(),
            leg.account.kind.as_str().into(),
            leg.account.purse.as_str().into(),
            leg.account.owner.into(),
            leg.points.into(),
        ]);
    }
    // Balances in one order, so that two postings never wait for each other in a circle.
    let mut owned: Vec<&Leg> = posting.legs.iter().filter(|leg| leg.account.owner.is_some()).collect();
    owned.sort_by_key(|leg| (leg.account.owner, leg.account.kind, leg.account.purse));
    for leg in owned {
        balances.push([
            county.clone().into(),
            leg.account.owner.into(),
            leg.account.kind.as_str().into(),
            leg.account.purse.as_str().into(),
            leg.points.into(),
        ]);
    }
    entries
        .insert(conn, "score_entry (id, transaction_id, county, kind, purse, owner_id, points)", "")
        .await?;
    let tail = "ON CONFLICT (county, owner_id, kind, purse) DO UPDATE \
                SET balance = score_account.balance + excluded.balance";
    balances.insert(conn, "score_account (county, owner_id, kind, purse, balance)", tail).await?;
    Ok(())
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
            Ok(posting) => post(conn, following(first, n), &posting).await?,
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

/// Whether a transaction is there.
///
/// # Errors
/// When the database fails.
pub async fn exists(conn: &impl ConnectionTrait, id: Uuid) -> Result<bool, StoreError> {
    any(conn, "SELECT 1 AS found FROM score_transaction WHERE id = $1", id).await
}

async fn any(conn: &impl ConnectionTrait, text: &str, id: Uuid) -> Result<bool, StoreError> {
    Ok(conn.query_one_raw(sql::statement(conn, text, vec![id.into()])).await?.is_some())
}

/// Balances of a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balances {
    /// Assessment points; spending does not touch them.
    pub assessment: i64,
    /// Points that can be spent.
    pub spendable: i64,
    /// Assessment points on hold.
    pub held: i64,
}

/// The balances of a person.
///
/// # Errors
/// When the database fails.
pub async fn balances(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    person: Uuid,
) -> Result<Balances, StoreError> {
    #[derive(FromQueryResult)]
    struct Balance {
        kind: String,
        purse: String,
        balance: i64,
    }
    let text = "SELECT kind, purse, balance FROM score_account WHERE county = $1 AND owner_id = $2";
    let rows: Vec<Balance> = sql::all(conn, text, vec![county.to_string().into(), person.into()]).await?;
    let of = |kind: &str, purse: &str| {
        rows.iter().find(|row| row.kind == kind && row.purse == purse).map_or(0, |row| row.balance)
    };
    Ok(Balances {
        assessment: of("person", "assessment"),
        spendable: of("person", "spendable"),
        held: of("hold", "assessment"),
    })
}

/// A line of a passbook.
#[derive(Clone, Debug, FromQueryResult)]
pub struct PassbookRow {
    /// The transaction.
    pub id: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// Its cause.
    pub cause: String,
    /// What it came from.
    pub source_type: String,
    /// Which of them.
    pub source_id: Uuid,
    /// The rule.
    pub rule_code: String,
    /// The rule's version.
    pub rule_version: i32,
    /// Assessment points.
    pub points: i64,
    /// Points that are on hold at this moment.
    pub held: bool,
}

/// A person's lines, newest first. Movements between his account and his hold are not lines of their own; they show
/// as `held`.
///
/// # Errors
/// When the database fails.
pub async fn passbook(
    conn: &impl ConnectionTrait,
    person: Uuid,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<PassbookRow>, StoreError> {
    let mut values: Vec<sea_orm::Value> = vec![person.into()];
    let page = match before {
        Some(before) => {
            values.push(before.into());
            "AND e.transaction_id < $2"
        }
        None => "",
    };
    // On hold: put there by the line itself, or by a later answer; and not yet released or lost.
    let text = format!(
        "SELECT t.id, t.at, t.cause, t.source_type, t.source_id, t.rule_code, t.rule_version, l.points, \
         (EXISTS (SELECT 1 FROM score_transaction h WHERE h.reverses = t.id AND h.cause = 'hold' \
         AND NOT EXISTS (SELECT 1 FROM score_transaction r WHERE r.reverses = h.id)) \
         OR (l.on_hold > 0 AND NOT EXISTS (SELECT 1 FROM score_transaction a WHERE a.reverses = t.id))) AS held \
         FROM (SELECT e.transaction_id, CAST(sum(e.points) AS bigint) AS points, \
         CAST(sum(CASE WHEN e.kind = 'hold' THEN e.points ELSE 0 END) AS bigint) AS on_hold \
         FROM score_entry e WHERE e.owner_id = $1 AND e.purse = 'assessment' {page} \
         GROUP BY e.transaction_id) l JOIN score_transaction t ON t.id = l.transaction_id \
         WHERE t.cause NOT IN ('hold', 'release') ORDER BY t.id DESC LIMIT {limit}"
    );
    sql::all(conn, &text, values).await
}

/// What a check of the ledger found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Transactions read.
    pub transactions: i64,
    /// Entries read.
    pub entries: i64,
    /// What is wrong, in words; empty is good.
    pub faults: Vec<String>,
}

/// Checks that every transaction sums to zero in each purse, that no entry is without its transaction, and that the
/// cached balances are the sums of their entries.
///
/// # Errors
/// When the database fails.
pub async fn verify(conn: &impl ConnectionTrait) -> Result<Verdict, StoreError> {
    #[derive(FromQueryResult)]
    struct Count {
        rows: i64,
    }
    #[derive(FromQueryResult)]
    struct Fault {
        id: Uuid,
        what: String,
    }
    let count = async |text: &str| -> Result<i64, StoreError> {
        Ok(sql::one::<Count>(conn, text, Vec::new()).await?.map_or(0, |count| count.rows))
    };
    let mut verdict = Verdict {
        transactions: count("SELECT count(*) AS rows FROM score_transaction").await?,
        entries: count("SELECT count(*) AS rows FROM score_entry").await?,
        faults: Vec::new(),
    };
    let checks = [
        "SELECT transaction_id AS id, 'the entries do not sum to zero in ' || purse AS what FROM score_entry \
         GROUP BY transaction_id, purse HAVING sum(points) <> 0 ORDER BY transaction_id LIMIT 20",
        "SELECT e.id, 'the entry has no transaction' AS what FROM score_entry e LEFT JOIN score_transaction t \
         ON t.id = e.transaction_id WHERE t.id IS NULL ORDER BY e.id LIMIT 20",
        "SELECT t.id, 'the transaction has no entries' AS what FROM score_transaction t WHERE NOT EXISTS \
         (SELECT 1 FROM score_entry e WHERE e.transaction_id = t.id) ORDER BY t.id LIMIT 20",
        "SELECT a.owner_id AS id, 'the balance of ' || a.kind || ' ' || a.purse || ' is not the sum of its entries' \
         AS what FROM score_account a LEFT JOIN (SELECT county, owner_id, kind, purse, sum(points) AS points \
         FROM score_entry WHERE owner_id IS NOT NULL GROUP BY county, owner_id, kind, purse) e \
         ON e.county = a.county AND e.owner_id = a.owner_id AND e.kind = a.kind AND e.purse = a.purse \
         WHERE a.balance <> coalesce(e.points, 0) ORDER BY a.owner_id LIMIT 20",
        "SELECT e.owner_id AS id, 'entries without a balance in ' || e.kind || ' ' || e.purse AS what \
         FROM score_entry e WHERE e.owner_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM score_account a \
         WHERE a.county = e.county AND a.owner_id = e.owner_id AND a.kind = e.kind AND a.purse = e.purse) LIMIT 20",
    ];
    for check in checks {
        let faults: Vec<Fault> = sql::all(conn, check, Vec::new()).await?;
        verdict.faults.extend(faults.into_iter().map(|fault| format!("{}: {}", fault.id, fault.what)));
    }
    Ok(verdict)
}
