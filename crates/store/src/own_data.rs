//! What belongs to one person: all of it for his own copy, and its erasure.
//!
//! Erasing destroys the person's data key, so that whatever was sealed under it stays closed for ever, in backups too.
//! Rows that count for others stay, without him: orders and their events (their texts were masked when they were
//! stored, and are emptied as well), the ledger, the audit log.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;

use crate::posts::{self, PostRow};
use crate::{StoreError, sql};

/// A line of the audit log about somebody's data.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Disclosure {
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub person_id: Option<Uuid>,
    /// What was done.
    pub action: String,
    /// To what.
    pub resource_id: Uuid,
    /// Why, masked.
    pub reason: Option<String>,
}

/// Who was shown what of a person, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn disclosures(conn: &impl ConnectionTrait, person: Uuid) -> Result<Vec<Disclosure>, StoreError> {
    let text =
        "SELECT at, person_id, action, resource_id, reason FROM audit WHERE subject_id = $1 ORDER BY id";
    sql::all(conn, text, vec![person.into()]).await
}

/// The posts that a person wrote or that show his service, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn posts_of(conn: &impl ConnectionTrait, person: Uuid) -> Result<Vec<PostRow>, StoreError> {
    posts::of_person(conn, person).await
}

/// Whether something is under way with the person: an order of his that is not done, or one that he was named for or
/// promised to come to.
///
/// # Errors
/// When the database fails.
pub async fn has_open_orders(conn: &impl ConnectionTrait, person: Uuid) -> Result<bool, StoreError> {
    #[derive(FromQueryResult)]
    struct Count {
        open: i64,
    }
    const OPEN: &str = "('placed', 'dispatched', 'accepted', 'in_service', 'waiting')";
    let text = format!(
        "SELECT (SELECT count(*) FROM orders WHERE requester_id = $1 AND status IN {OPEN}) + \
         (SELECT count(*) FROM due d JOIN orders o ON o.id = d.order_id WHERE d.volunteer_id = $1 AND o.status IN {OPEN}) \
         AS open"
    );
    let count: Option<Count> = sql::one(conn, &text, vec![person.into()]).await?;
    Ok(count.is_some_and(|count| count.open > 0))
}

/// Erases a person. What stays tells nothing of him. Published posts have to be withdrawn before.
///
/// # Errors
/// When the database fails.
pub async fn erase(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    person: Uuid,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let at = "UPDATE person SET surname = '', data_key = NULL, private = NULL, phone_index = NULL, erased_at = $2 \
              WHERE id = $1 AND erased_at IS NULL";
    sql::run(conn, at, vec![person.into(), now.into()]).await?;
    for text in [
        "UPDATE session SET revoked_at = $2 WHERE person_id = $1 AND revoked_at IS NULL",
        "UPDATE role_grant SET revoked_at = $2 WHERE person_id = $1 AND revoked_at IS NULL",
    ] {
        sql::run(conn, text, vec![person.into(), now.into()]).await?;
    }
    for text in [
        "DELETE FROM wechat_identity WHERE person_id = $1",
        "DELETE FROM account WHERE person_id = $1",
        "DELETE FROM consent_standing WHERE person_id = $1",
        "DELETE FROM totp WHERE person_id = $1",
        "DELETE FROM inbox WHERE person_id = $1",
        "DELETE FROM delivery WHERE person_id = $1",
        "DELETE FROM preference WHERE person_id = $1",
        "DELETE FROM subscription WHERE person_id = $1",
        "UPDATE badge SET status = 'void' WHERE person_id = $1",
        "UPDATE volunteer SET status = 'left' WHERE person_id = $1",
        "UPDATE team SET leader_id = NULL WHERE leader_id = $1",
        // Kept answers to him hold what he had sent; they are sealed, but not under his key.
        "DELETE FROM idempotency WHERE resource_id IN (SELECT id FROM orders WHERE requester_id = $1)",
        "DELETE FROM idempotency WHERE resource_id IN (SELECT id FROM showcase_post WHERE author_id = $1)",
        "UPDATE orders SET description = '' WHERE requester_id = $1",
        "UPDATE showcase_post SET text = '' WHERE author_id = $1",
    ] {
        sql::run(conn, text, vec![person.into()]).await?;
    }
    end_parts(conn, person, now).await?;
    empty_words(conn, person).await?;
    crate::media::erase_of(conn, person, now).await?;
    crate::directory::touch(conn, county).await
}

/// Ends what runs with him: a patrol that nobody walks any more, places in activities that have not begun.
async fn end_parts(conn: &impl ConnectionTrait, person: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
    let patrol = "UPDATE patrol SET ended_at = $2, minutes = 0 WHERE person_id = $1 AND ended_at IS NULL";
    sql::run(conn, patrol, vec![person.into(), now.into()]).await?;
    // The place first: it is counted by those who have one.
    const AHEAD: &str = "SELECT id FROM activity WHERE starts_at > $2";
    let places = format!(
        "UPDATE activity SET joined = joined - 1 WHERE id IN ({AHEAD}) \
         AND id IN (SELECT activity_id FROM attendance WHERE person_id = $1)"
    );
    let parts = format!("DELETE FROM attendance WHERE person_id = $1 AND activity_id IN ({AHEAD})");
    for text in [places, parts] {
        sql::run(conn, &text, vec![person.into(), now.into()]).await?;
    }
    Ok(())
}

/// Empties what was said by him and about him in the newer books: minutes, points, moments and decisions stay, because
/// totals and the ledger rest on them.
async fn empty_words(conn: &impl ConnectionTrait, person: Uuid) -> Result<(), StoreError> {
    for text in [
        // Kept answers first: they are found by the rows that they are about.
        "DELETE FROM idempotency WHERE resource_id IN (SELECT id FROM certificate WHERE person_id = $1)",
        "DELETE FROM idempotency WHERE resource_id IN (SELECT id FROM patrol WHERE person_id = $1)",
        "DELETE FROM idempotency WHERE resource_id IN (SELECT id FROM score_claim WHERE person_id = $1)",
        "DELETE FROM idempotency WHERE resource_id IN (SELECT id FROM score_appeal WHERE person_id = $1)",
        "DELETE FROM idempotency WHERE resource_id IN \
         (SELECT id FROM score_objection WHERE person_id = $1 OR objector_id = $1)",
        "DELETE FROM idempotency WHERE resource_id IN \
         (SELECT id FROM star_objection WHERE person_id = $1 OR objector_id = $1)",
        "UPDATE attendance SET feedback = '' WHERE person_id = $1 AND feedback IS NOT NULL",
        "UPDATE patrol SET summary = '' WHERE person_id = $1 AND summary IS NOT NULL",
        "UPDATE patrol_note SET place = '', note = NULL \
         WHERE patrol_id IN (SELECT id FROM patrol WHERE person_id = $1)",
        // What he claimed for others is about them, and shows why they have their points.
        "UPDATE score_claim SET evidence = '' WHERE person_id = $1",
        "UPDATE score_claim SET decision = '' WHERE person_id = $1 AND decision IS NOT NULL",
        "UPDATE score_appeal SET reason = '' WHERE person_id = $1",
        "UPDATE score_appeal SET decision = '' WHERE person_id = $1 AND decision IS NOT NULL",
        "UPDATE score_hold SET decision = '' WHERE person_id = $1 AND decision IS NOT NULL",
        "UPDATE score_objection SET reason = '' WHERE person_id = $1 OR objector_id = $1",
        "UPDATE score_objection SET decision = '' \
         WHERE (person_id = $1 OR objector_id = $1) AND decision IS NOT NULL",
        "UPDATE star_objection SET reason = '' WHERE person_id = $1 OR objector_id = $1",
        "UPDATE star_objection SET decision = '' \
         WHERE (person_id = $1 OR objector_id = $1) AND decision IS NOT NULL",
        "UPDATE shop_redemption SET reason = '' WHERE person_id = $1 AND reason IS NOT NULL",
        "UPDATE transfer SET reason = '' WHERE volunteer_id = $1",
        // What a certificate says is frozen, and names nobody: the names are sealed under the key that is no more.
        "UPDATE certificate SET reason = '' WHERE person_id = $1 AND reason IS NOT NULL",
        "UPDATE certificate SET private = NULL WHERE person_id = $1",
    ] {
        sql::run(conn, text, vec![person.into()]).await?;
    }
    Ok(())
}
