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
    crate::media::erase_of(conn, person, now).await?;
    crate::directory::touch(conn, county).await
}
