//! 晒: posts about orders, with both consents and the moderator's word.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;

use crate::scope::own_or_in;
use crate::sql::{self, Rows};
use crate::{StoreError, unreadable};

/// A post as stored.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct PostRow {
    /// The id.
    pub id: Uuid,
    /// The county's code.
    pub county: String,
    /// The order it shows.
    pub order_id: Uuid,
    /// Where.
    pub area_code: String,
    /// The order's category.
    pub category: String,
    /// Who wrote it.
    pub author_id: Uuid,
    /// The resident, whose consent it needs.
    pub resident_id: Uuid,
    /// The volunteer, whose consent it needs.
    pub volunteer_id: Uuid,
    /// The volunteer's team.
    pub team_id: Uuid,
    /// The text, masked.
    pub text: String,
    /// The text as written, sealed under the author's key.
    pub private: Vec<u8>,
    /// `pending`, `published`, `rejected` or `withdrawn`.
    pub status: String,
    /// Guards changes.
    pub version: i64,
    /// When the resident consented.
    pub resident_consent_at: Option<DateTime<Utc>>,
    /// When the volunteer consented.
    pub volunteer_consent_at: Option<DateTime<Utc>>,
    /// Who moderated.
    pub moderated_by: Option<Uuid>,
    /// When it was published.
    pub published_at: Option<DateTime<Utc>>,
    /// Who withdrew it.
    pub withdrawn_by: Option<Uuid>,
    /// When it was featured (精选).
    pub featured_at: Option<DateTime<Utc>>,
    /// Why it was rejected.
    pub reason: Option<String>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// What was hidden in the text, as JSON: kinds and places.
    pub hidden: Option<String>,
    /// What WeChat said of the text: `passed`, or `review`.
    pub checked: Option<String>,
    /// Its photos, as a JSON list of ids.
    pub media: Option<String>,
}

impl PostRow {
    /// Its photos.
    pub fn photos(&self) -> Vec<Uuid> {
        self.media.as_deref().and_then(|ids| serde_json::from_str(ids).ok()).unwrap_or_default()
    }

    /// Where, as a code.
    ///
    /// # Errors
    /// When the row holds none.
    pub fn area(&self) -> Result<AreaCode, StoreError> {
        self.area_code.parse().map_err(unreadable)
    }
}

const COLUMNS: &str = "id, county, order_id, area_code, category, author_id, resident_id, volunteer_id, team_id, text, \
                       private, status, version, resident_consent_at, volunteer_consent_at, moderated_by, published_at, \
                       withdrawn_by, featured_at, reason, created_at, hidden, checked, media";

/// Stores a new post.
///
/// # Errors
/// A unique violation when the order has a pending or published one; otherwise when the database fails.
pub async fn insert(conn: &impl ConnectionTrait, post: &PostRow) -> Result<(), StoreError> {
    let mut rows = Rows::new(24);
    rows.push([
        post.id.into(),
        post.county.clone().into(),
        post.order_id.into(),
        post.area_code.clone().into(),
        post.category.clone().into(),
        post.author_id.into(),
        post.resident_id.into(),
        post.volunteer_id.into(),
        post.team_id.into(),
        post.text.clone().into(),
        post.private.clone().into(),
        post.status.clone().into(),
        post.version.into(),
        post.resident_consent_at.into(),
        post.volunteer_consent_at.into(),
        post.moderated_by.into(),
        post.published_at.into(),
        post.withdrawn_by.into(),
        post.featured_at.into(),
        post.reason.clone().into(),
        post.created_at.into(),
        post.hidden.clone().into(),
        post.checked.clone().into(),
        post.media.clone().into(),
    ]);
    rows.insert(conn, &format!("showcase_post ({COLUMNS})"), "").await?;
    Ok(())
}

/// Changes a post whose version is still the one before.
///
/// # Errors
/// [`StoreError::Conflict`] when it has moved on.
pub async fn update(conn: &impl ConnectionTrait, post: &PostRow) -> Result<(), StoreError> {
    let text = "UPDATE showcase_post SET status = $3, version = $2 + 1, resident_consent_at = $4, \
                volunteer_consent_at = $5, moderated_by = $6, published_at = $7, withdrawn_by = $8, featured_at = $9, \
                reason = $10 WHERE id = $1 AND version = $2";
    let values = vec![
        post.id.into(),
        post.version.into(),
        post.status.clone().into(),
        post.resident_consent_at.into(),
        post.volunteer_consent_at.into(),
        post.moderated_by.into(),
        post.published_at.into(),
        post.withdrawn_by.into(),
        post.featured_at.into(),
        post.reason.clone().into(),
    ];
    sql::change_one(conn, text, values).await
}

/// A post of the county.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    id: Uuid,
) -> Result<Option<PostRow>, StoreError> {
    let text = format!("SELECT {COLUMNS} FROM showcase_post WHERE id = $1 AND county = $2");
    sql::one(conn, &text, vec![id.into(), county.to_string().into()]).await
}

/// Neither the resident nor the volunteer has taken his consent to publishing back, nor is one of them a child whose
/// guardian does not agree (any more).
const CONSENTED: &str = "NOT EXISTS (SELECT 1 FROM consent_standing c WHERE c.person_id IN (resident_id, volunteer_id) \
     AND ((c.kind = 'publishing' AND NOT c.given) OR (c.kind = 'under_14' AND c.given AND NOT EXISTS \
     (SELECT 1 FROM consent_standing g WHERE g.person_id = c.person_id AND g.kind = 'guardian' AND g.given))))";

/// Published posts, newest first: what everybody may see. Consent is asked for each time, so that taking it back counts
/// at once, whatever became of the post's own status.
///
/// # Errors
/// When the database fails.
pub async fn published(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<PostRow>, StoreError> {
    let mut values: Vec<Value> = vec![county.to_string().into()];
    let mut text = format!(
        "SELECT {COLUMNS} FROM showcase_post WHERE county = $1 AND status = 'published' AND {CONSENTED}"
    );
    sql::newest_first(&mut text, &mut values, before, limit);
    sql::all(conn, &text, values).await
}

/// A post that everybody may see at this moment.
///
/// # Errors
/// When the database fails.
pub async fn is_public(conn: &impl ConnectionTrait, county: AreaCode, id: Uuid) -> Result<bool, StoreError> {
    let text = format!(
        "SELECT {COLUMNS} FROM showcase_post WHERE id = $1 AND county = $2 AND status = 'published' AND {CONSENTED}"
    );
    let found: Option<PostRow> = sql::one(conn, &text, vec![id.into(), county.to_string().into()]).await?;
    Ok(found.is_some())
}

/// Posts that wait for a moderator of these areas or for this person's consent, newest first.
///
/// # Errors
/// When the database fails.
pub async fn pending(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    person: Uuid,
    areas: &[AreaCode],
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<PostRow>, StoreError> {
    let mut values: Vec<Value> = vec![county.to_string().into(), person.into()];
    let reached = own_or_in("resident_id = $2 OR volunteer_id = $2", areas, &mut values);
    let mut text =
        format!("SELECT {COLUMNS} FROM showcase_post WHERE county = $1 AND status = 'pending' AND {reached}");
    sql::newest_first(&mut text, &mut values, before, limit);
    sql::all(conn, &text, values).await
}

/// The posts that a person wrote, or that show an order of his or his service, oldest first.
///
/// # Errors
/// When the database fails.
pub(crate) async fn of_person(conn: &impl ConnectionTrait, person: Uuid) -> Result<Vec<PostRow>, StoreError> {
    let text = format!(
        "SELECT {COLUMNS} FROM showcase_post WHERE author_id = $1 OR resident_id = $1 OR volunteer_id = $1 ORDER BY id"
    );
    sql::all(conn, &text, vec![person.into()]).await
}
