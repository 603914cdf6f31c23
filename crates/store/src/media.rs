//! Photos: whose they are, what they were attached to, how they look, what was found in them.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::media::{CheckState, Purpose, Upload};
use xingfuma_domain::picture::{Look, NEAR};

use crate::StoreError;
use crate::sql::{self, Rows};

/// A photo as stored; its bytes are on the shelf, under its id.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct MediaRow {
    /// The id.
    pub id: Uuid,
    /// Who uploaded it.
    pub uploader_id: Uuid,
    /// The order it was attached to.
    pub order_id: Option<Uuid>,
    /// The post it was attached to.
    pub post_id: Option<Uuid>,
    /// The claim it was attached to.
    pub claim_id: Option<Uuid>,
    /// What it was attached with: `placed`, `completed`, `shown` or `claimed`.
    pub purpose: Option<String>,
    /// Pixels across.
    pub width: i64,
    /// Pixels down.
    pub height: i64,
    /// Size in bytes, unsealed.
    pub bytes: i64,
    /// How it looks.
    pub look: Option<i64>,
    /// What is known of its content, for photos of posts.
    pub check_state: Option<String>,
    /// When it was uploaded.
    pub created_at: DateTime<Utc>,
    /// When it was attached.
    pub attached_at: Option<DateTime<Utc>>,
}

impl MediaRow {
    /// What is known of its content.
    pub fn check(&self) -> Option<CheckState> {
        self.check_state.as_deref().map(CheckState::parse)
    }
}

const COLUMNS: &str = "m.id, m.uploader_id, m.order_id, m.post_id, m.claim_id, m.purpose, m.width, m.height, m.bytes, \
                       m.look, m.check_state, m.created_at, m.attached_at";
/// On the shelf, and not erased.
const THERE: &str = "m.stored_at IS NOT NULL AND m.erased_at IS NULL";

/// A photo that is on its way to the shelf.
#[derive(Clone, Debug)]
pub struct NewMedia {
    /// The id.
    pub id: Uuid,
    /// The county.
    pub county: AreaCode,
    /// Who uploads it.
    pub uploader: Uuid,
    /// Pixels across and down.
    pub size: (u32, u32),
    /// Size in bytes, unsealed.
    pub bytes: usize,
    /// How it looks; none where it shows nothing.
    pub look: Option<Look>,
    /// When.
    pub at: DateTime<Utc>,
}

/// Notes a photo before it goes to the shelf, so that none lies there that nobody knows of.
///
/// # Errors
/// When the database fails.
pub async fn insert(conn: &impl ConnectionTrait, new: &NewMedia) -> Result<(), StoreError> {
    let mut rows = Rows::new(8);
    rows.push([
        new.id.into(),
        new.county.to_string().into(),
        new.uploader.into(),
        i64::from(new.size.0).into(),
        i64::from(new.size.1).into(),
        i64::try_from(new.bytes).unwrap_or(i64::MAX).into(),
        new.look.map(|look| look.0.cast_signed()).into(),
        new.at.into(),
    ]);
    let into = "media (id, county, uploader_id, width, height, bytes, look, created_at)";
    rows.insert(conn, into, "").await.map(drop)
}

/// The photo is on the shelf.
///
/// # Errors
/// [`StoreError::Conflict`] when it was erased meanwhile.
pub async fn stored(conn: &impl ConnectionTrait, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
    let text = "UPDATE media SET stored_at = $2 WHERE id = $1 AND erased_at IS NULL";
    sql::change_one(conn, text, vec![id.into(), now.into()]).await
}

/// Those of these photos that a person uploaded.
///
/// # Errors
/// When the database fails.
pub async fn own(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    person: Uuid,
    ids: &[Uuid],
) -> Result<Vec<Upload>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut values: Vec<Value> = vec![county.to_string().into(), person.into()];
    values.extend(ids.iter().map(|id| Value::from(*id)));
    let list = sql::list(3, ids.len());
    let text = format!(
        "SELECT {COLUMNS} FROM media m WHERE m.county = $1 AND m.uploader_id = $2 AND m.id IN ({list}) AND {THERE}"
    );
    let rows: Vec<MediaRow> = sql::all(conn, &text, values).await?;
    let attached = |row: &MediaRow| row.order_id.is_some() || row.claim_id.is_some();
    Ok(rows.iter().map(|row| Upload { id: row.id, attached: attached(row) }).collect())
}

/// Photos that go with a change of an order, with a post about it, or with a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The photos; at least one, each once.
    pub ids: Vec<Uuid>,
    /// Who attaches his own.
    pub by: Uuid,
    /// With what.
    pub purpose: Purpose,
    /// The post, if it is one.
    pub post: Option<Uuid>,
    /// What is known of their content, for a post.
    pub check: Option<CheckState>,
    /// When.
    pub at: DateTime<Utc>,
}

/// Attaches photos to an order: all of them, or the transaction fails. Answers how they look, those that show something.
///
/// # Errors
/// [`StoreError::MediaTaken`] when one of them was attached, swept or erased meanwhile.
pub async fn attach(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    order: Uuid,
    attachment: &Attachment,
) -> Result<Vec<Look>, StoreError> {
    attach_to(conn, county, [Some(order), None], attachment).await
}

/// Attaches photos to a claim: all of them, or the transaction fails.
///
/// # Errors
/// [`StoreError::MediaTaken`] when one of them was attached, swept or erased meanwhile.
pub async fn attach_to_claim(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    claim: Uuid,
    attachment: &Attachment,
) -> Result<(), StoreError> {
    attach_to(conn, county, [None, Some(claim)], attachment).await.map(drop)
}

async fn attach_to(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    [order, claim]: [Option<Uuid>; 2],
    attachment: &Attachment,
) -> Result<Vec<Look>, StoreError> {
    let mut values: Vec<Value> = vec![
        order.into(),
        attachment.post.into(),
        attachment.purpose.as_str().into(),
        attachment.check.map(CheckState::as_str).into(),
        attachment.at.into(),
        attachment.by.into(),
        county.to_string().into(),
        claim.into(),
    ];
    let list = sql::list(values.len() + 1, attachment.ids.len());
    values.extend(attachment.ids.iter().map(|id| Value::from(*id)));
    let text = format!(
        "UPDATE media SET order_id = $1, post_id = $2, purpose = $3, check_state = $4, attached_at = $5, \
         claim_id = $8 WHERE uploader_id = $6 AND county = $7 AND order_id IS NULL AND claim_id IS NULL \
         AND stored_at IS NOT NULL AND erased_at IS NULL AND id IN ({list})"
    );
    if sql::run(conn, &text, values).await? != attachment.ids.len() as u64 {
        return Err(StoreError::MediaTaken);
    }
    file_looks(conn, county, &attachment.ids).await
}

/// Files how they look, so that the same photo is found again on another order; answers it.
async fn file_looks(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    ids: &[Uuid],
) -> Result<Vec<Look>, StoreError> {
    let looks = looks(conn, ids).await?;
    let mut rows = Rows::new(3);
    for (id, look) in &looks {
        for filed in look.filed() {
            rows.push([county.to_string().into(), filed.into(), (*id).into()]);
        }
    }
    rows.insert(conn, "media_look (county, filed, media_id)", "ON CONFLICT DO NOTHING").await?;
    Ok(looks.into_iter().map(|(_, look)| look).collect())
}

/// How photos look, of those that show something.
///
/// # Errors
/// When the database fails.
pub async fn looks(conn: &impl ConnectionTrait, ids: &[Uuid]) -> Result<Vec<(Uuid, Look)>, StoreError> {
    let values: Vec<Value> = ids.iter().map(|id| Value::from(*id)).collect();
    let text = format!("SELECT {COLUMNS} FROM media m WHERE m.id IN ({})", sql::list(1, ids.len()));
    let found: Vec<MediaRow> = sql::all(conn, &text, values).await?;
    Ok(found.iter().filter_map(|row| Some((row.id, Look(row.look?.cast_unsigned())))).collect())
}

/// A photo, with what opens it.
#[derive(Clone, Debug)]
pub struct WholeMedia {
    /// The photo.
    pub row: MediaRow,
    /// The uploader's wrapped data key.
    pub key: Vec<u8>,
}

/// A photo of the county that can be shown to somebody.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    id: Uuid,
) -> Result<Option<WholeMedia>, StoreError> {
    #[derive(FromQueryResult)]
    struct Key {
        data_key: Vec<u8>,
    }
    let text = format!(
        "SELECT {COLUMNS}, p.data_key FROM media m JOIN person p ON p.id = m.uploader_id AND p.data_key IS NOT NULL \
         WHERE m.id = $1 AND m.county = $2 AND {THERE}"
    );
    let statement = sql::statement(conn, &text, vec![id.into(), county.to_string().into()]);
    let Some(found) = conn.query_one_raw(statement).await? else { return Ok(None) };
    let row = MediaRow::from_query_result(&found, "")?;
    Ok(Some(WholeMedia { row, key: Key::from_query_result(&found, "")?.data_key }))
}

/// The photos of an order, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn of_order(conn: &impl ConnectionTrait, order: Uuid) -> Result<Vec<MediaRow>, StoreError> {
    let text = format!("SELECT {COLUMNS} FROM media m WHERE m.order_id = $1 AND {THERE} ORDER BY m.id");
    sql::all(conn, &text, vec![order.into()]).await
}

/// The photos of posts, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn of_posts(conn: &impl ConnectionTrait, posts: &[Uuid]) -> Result<Vec<MediaRow>, StoreError> {
    if posts.is_empty() {
        return Ok(Vec::new());
    }
    let values: Vec<Value> = posts.iter().map(|id| Value::from(*id)).collect();
    let list = sql::list(1, posts.len());
    let text = format!("SELECT {COLUMNS} FROM media m WHERE m.post_id IN ({list}) AND {THERE} ORDER BY m.id");
    sql::all(conn, &text, values).await
}

/// A photo on another order that looks the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookAlike {
    /// The other photo.
    pub media: Uuid,
    /// Its order.
    pub order: Uuid,
    /// Who uploaded it.
    pub uploader: Uuid,
    /// In how many of 64 bits the two differ.
    pub distance: u32,
}

/// Most look-alikes that are answered.
const LOOK_ALIKES_MOST: usize = 20;
/// Most candidates that are compared; a county would need many thousand photos of one wall to have more.
const CANDIDATES_MOST: u64 = 5_000;

/// Photos attached to other orders of the county that look the same as this one, nearest first, at most 20. None for a
/// photo that shows nothing. Attached photos only: what nobody used was not used again.
///
/// # Errors
/// When the database fails.
pub async fn look_alikes(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    order: Uuid,
    look: Look,
) -> Result<Vec<LookAlike>, StoreError> {
    let others = "m.order_id IS NOT NULL AND m.order_id <> $2";
    let found = near(conn, county, look, others, vec![order.into()]).await?;
    let alike = |(row, distance): (MediaRow, u32)| {
        Some(LookAlike { media: row.id, order: row.order_id?, uploader: row.uploader_id, distance })
    };
    let mut found: Vec<LookAlike> = found.into_iter().filter_map(alike).collect();
    found.sort_by_key(|alike| (alike.distance, alike.media));
    found.truncate(LOOK_ALIKES_MOST);
    Ok(found)
}

/// Photos of the county that are near a look and of which `which` holds, with their distance, in any order. `more` are the
/// values of `which`, from `$2` on.
pub(crate) async fn near(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    look: Look,
    which: &str,
    more: Vec<Value>,
) -> Result<Vec<(MediaRow, u32)>, StoreError> {
    let nearby = look.nearby();
    let mut values: Vec<Value> = vec![county.to_string().into()];
    values.extend(more);
    let list = sql::list(values.len() + 1, nearby.len());
    values.extend(nearby.into_iter().map(Value::from));
    let text = format!(
        "SELECT {COLUMNS} FROM media m WHERE {THERE} AND {which} AND m.id IN (SELECT l.media_id FROM media_look l \
         WHERE l.county = $1 AND l.filed IN ({list}) LIMIT {CANDIDATES_MOST})"
    );
    let rows: Vec<MediaRow> = sql::all(conn, &text, values).await?;
    let compared = |row: MediaRow| {
        let distance = Look(row.look?.cast_unsigned()).distance(look);
        (distance <= NEAR).then_some((row, distance))
    };
    Ok(rows.into_iter().filter_map(compared).collect())
}

/// Notes that WeChat was asked, under which number.
///
/// # Errors
/// When the database fails.
pub async fn check_asked(conn: &impl ConnectionTrait, id: Uuid, trace: &str) -> Result<(), StoreError> {
    let text =
        "UPDATE media SET check_state = 'asked', check_trace = $2 WHERE id = $1 AND check_state = 'wanted'";
    sql::run(conn, text, vec![id.into(), trace.into()]).await.map(drop)
}

/// A person has to look, because WeChat cannot.
///
/// # Errors
/// When the database fails.
pub async fn check_by_hand(conn: &impl ConnectionTrait, id: Uuid) -> Result<(), StoreError> {
    let text = "UPDATE media SET check_state = 'review' WHERE id = $1 AND check_state IN ('wanted', 'asked')";
    sql::run(conn, text, vec![id.into()]).await.map(drop)
}

/// Keeps what WeChat said under a number; the same answer again changes nothing.
///
/// # Errors
/// When the database fails.
pub async fn check_said(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    trace: &str,
    state: CheckState,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut rows = Rows::new(4);
    rows.push([trace.into(), county.to_string().into(), state.as_str().into(), at.into()]);
    let into = "media_check_result (trace_id, county, state, at)";
    rows.insert(conn, into, "ON CONFLICT DO NOTHING").await.map(drop)
}

/// Brings together the photo that was asked about under a number and what was said, if both are there. Whoever of the two
/// is later finds the other one; so it runs in a transaction of its own, after theirs.
///
/// # Errors
/// When the database fails.
pub async fn check_settled(conn: &impl ConnectionTrait, trace: &str) -> Result<bool, StoreError> {
    let text = "UPDATE media SET check_state = (SELECT r.state FROM media_check_result r WHERE r.trace_id = $1) \
                WHERE check_trace = $1 AND check_state = 'asked' \
                AND EXISTS (SELECT 1 FROM media_check_result r WHERE r.trace_id = $1)";
    Ok(sql::run(conn, text, vec![trace.into()]).await? > 0)
}

/// Photos attached before `wanted_before` about which WeChat was not asked, or before `asked_before` about which it has
/// not answered.
///
/// # Errors
/// When the database fails.
pub async fn unchecked(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    wanted_before: DateTime<Utc>,
    asked_before: DateTime<Utc>,
) -> Result<Vec<MediaRow>, StoreError> {
    let text = format!(
        "SELECT {COLUMNS} FROM media m WHERE m.county = $1 AND m.check_state IN ('wanted', 'asked') AND \
         ((m.check_state = 'wanted' AND m.attached_at <= $2) OR (m.check_state = 'asked' AND m.attached_at <= $3)) \
         ORDER BY m.attached_at LIMIT 100"
    );
    sql::all(conn, &text, vec![county.to_string().into(), wanted_before.into(), asked_before.into()]).await
}

/// Gives up uploads from before a moment that nobody attached; they cannot be attached from now on.
///
/// # Errors
/// When the database fails.
pub async fn give_up(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    before: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let text = "UPDATE media SET erased_at = $3 \
                WHERE county = $1 AND order_id IS NULL AND claim_id IS NULL AND created_at < $2 AND erased_at IS NULL";
    sql::run(conn, text, vec![county.to_string().into(), before.into(), now.into()]).await
}

/// Erases all photos of a person, those that he took and those that others took where he had ordered something: nobody can
/// be shown them from now on. The shelf is cleared afterwards.
///
/// # Errors
/// When the database fails.
pub async fn erase_of(
    conn: &impl ConnectionTrait,
    person: Uuid,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    const HIS: &str = "(uploader_id = $1 OR order_id IN (SELECT id FROM orders WHERE requester_id = $1))";
    let looks = format!("DELETE FROM media_look WHERE media_id IN (SELECT id FROM media WHERE {HIS})");
    sql::run(conn, &looks, vec![person.into()]).await?;
    let text = format!("UPDATE media SET erased_at = $2, look = NULL WHERE {HIS} AND erased_at IS NULL");
    sql::run(conn, &text, vec![person.into(), now.into()]).await.map(drop)
}

/// Photos that were erased and may still lie on the shelf.
///
/// # Errors
/// When the database fails.
pub async fn erased(conn: &impl ConnectionTrait, county: AreaCode) -> Result<Vec<Uuid>, StoreError> {
    let text = format!(
        "SELECT {COLUMNS} FROM media m WHERE m.county = $1 AND m.erased_at IS NOT NULL ORDER BY m.erased_at LIMIT 100"
    );
    let rows: Vec<MediaRow> = sql::all(conn, &text, vec![county.to_string().into()]).await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Forgets photos that are on no shelf any more.
///
/// # Errors
/// When the database fails.
pub async fn forget(conn: &impl ConnectionTrait, ids: &[Uuid]) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let values = || ids.iter().map(|id| Value::from(*id)).collect::<Vec<_>>();
    let list = sql::list(1, ids.len());
    sql::run(conn, &format!("DELETE FROM media_look WHERE media_id IN ({list})"), values()).await?;
    let text = format!("DELETE FROM media WHERE id IN ({list}) AND erased_at IS NOT NULL");
    sql::run(conn, &text, values()).await.map(drop)
}

/// The photos that a person uploaded and that are there, oldest first: for his own copy.
///
/// # Errors
/// When the database fails.
pub async fn of_person(conn: &impl ConnectionTrait, person: Uuid) -> Result<Vec<MediaRow>, StoreError> {
    let text = format!("SELECT {COLUMNS} FROM media m WHERE m.uploader_id = $1 AND {THERE} ORDER BY m.id");
    sql::all(conn, &text, vec![person.into()]).await
}
