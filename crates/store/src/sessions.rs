//! Sessions: one row per log-in. The row is read at each request, so that revoking or demoting counts at the next one.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use uuid::Uuid;
use xingfuma_domain::access::{Actor, Grant};
use xingfuma_domain::area::AreaCode;

use crate::people::parse_grants;
use crate::sql::{self, Rows};
use crate::{Store, StoreError, unreadable};

/// A session to be opened.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The id, `sid` in the access token.
    pub id: Uuid,
    /// The county.
    pub county: AreaCode,
    /// Whose.
    pub person: Uuid,
    /// When.
    pub created_at: DateTime<Utc>,
    /// When it ends however often it is refreshed.
    pub expires_at: DateTime<Utc>,
    /// Hash of the refresh token.
    pub refresh_hash: Vec<u8>,
    /// It was opened with a code of the second factor.
    pub proved: bool,
}

/// Opens a session.
///
/// # Errors
/// When the database fails.
pub async fn insert(conn: &impl ConnectionTrait, session: &NewSession) -> Result<(), StoreError> {
    let mut rows = Rows::new(7);
    rows.push([
        session.id.into(),
        session.county.to_string().into(),
        session.person.into(),
        session.created_at.into(),
        session.expires_at.into(),
        session.refresh_hash.clone().into(),
        session.proved.into(),
    ]);
    let into = "session (id, county, person_id, created_at, expires_at, refresh_hash, proved)";
    rows.insert(conn, into, "").await?;
    Ok(())
}

/// A live session with its person.
#[derive(Clone, Debug)]
pub struct LiveSession {
    /// Who, with the roles of this moment.
    pub actor: Actor,
    /// The surname.
    pub surname: String,
    /// The person's wrapped data key.
    pub data_key: Vec<u8>,
    /// Name and phone, sealed.
    pub private: Option<Vec<u8>>,
    /// Its person is staff and has shown no second factor in it.
    pub unproved: bool,
}

/// A live session as a statement answers it.
#[derive(FromQueryResult)]
pub(crate) struct LiveRow {
    id: Uuid,
    person_id: Uuid,
    county: String,
    surname: String,
    data_key: Option<Vec<u8>>,
    private: Option<Vec<u8>>,
    unproved: bool,
    grants: Option<String>,
}

/// A role's team as text, or nothing.
pub(crate) fn team_text(postgres: bool) -> &'static str {
    if postgres { "coalesce(g.team_id::text, '')" } else { "coalesce(lower(hex(g.team_id)), '')" }
}

/// The session, if it is neither revoked nor over, with its person's roles: one round trip.
///
/// # Errors
/// When the database fails or a role cannot be read.
pub async fn live(store: &Store, id: Uuid, now: DateTime<Utc>) -> Result<Option<LiveSession>, StoreError> {
    let text = format!("{} WHERE s.id = $1 AND {LIVE}", live_text(store));
    let row: Option<LiveRow> = sql::one(store.pool(), &text, vec![id.into(), now.into()]).await?;
    row.map(live_session).transpose().map(Option::flatten)
}

/// As [`live`] for sessions that were asked for together: one round trip for all of them on PostgreSQL.
///
/// # Errors
/// When the database fails or a role cannot be read.
pub async fn live_all(
    store: &Store,
    ids: &[Uuid],
    now: DateTime<Utc>,
) -> Result<HashMap<Uuid, LiveSession>, StoreError> {
    let mut found = HashMap::with_capacity(ids.len());
    let Some(lanes) = store.lanes() else {
        for id in ids {
            if let Some(session) = live(store, *id, now).await? {
                found.insert(*id, session);
            }
        }
        return Ok(found);
    };
    let text = format!("{} WHERE s.id = ANY ($1) AND {LIVE}", live_text(store));
    let ids = ids.to_vec();
    for row in lanes
        .run(move |connection| {
            let query = sqlx::query(sqlx::AssertSqlSafe(text)).bind(ids).bind(now);
            Box::pin(async move { query.fetch_all(connection).await })
        })
        .await?
    {
        let row = LiveRow::from_query_result(&row.into(), "")?;
        let id = row.id;
        if let Some(session) = live_session(row)? {
            found.insert(id, session);
        }
    }
    Ok(found)
}

/// Neither revoked nor over, of a person who is still there; `$2` is now.
pub(crate) const LIVE: &str = "s.revoked_at IS NULL AND s.expires_at > $2 AND p.erased_at IS NULL";

/// What a live session is read as, of `session s` and its `person p`; `team` writes a role's team as text.
pub(crate) fn live_columns(team: &str) -> String {
    format!(
        "s.id, s.person_id, s.county, p.surname, p.data_key, p.private, NOT s.proved AND EXISTS (SELECT 1 \
         FROM account c WHERE c.person_id = s.person_id) AS unproved, (SELECT string_agg(g.role || '|' || \
         g.area_code || '|' || {team}, ';') FROM role_grant g WHERE g.person_id = s.person_id \
         AND g.revoked_at IS NULL) AS grants"
    )
}

fn live_text(store: &Store) -> String {
    format!(
        "SELECT {} FROM session s JOIN person p ON p.id = s.person_id",
        live_columns(team_text(store.is_postgres()))
    )
}

pub(crate) fn live_session(row: LiveRow) -> Result<Option<LiveSession>, StoreError> {
    let Some(data_key) = row.data_key else { return Ok(None) };
    let county = row.county.parse().map_err(unreadable)?;
    let actor = Actor { person: row.person_id, county, grants: parse_grants(row.grants.as_deref())? };
    let LiveRow { surname, private, unproved, .. } = row;
    Ok(Some(LiveSession { actor, surname, data_key, private, unproved }))
}

/// The roles of a person at this moment.
///
/// # Errors
/// When the database fails or a role cannot be read.
pub async fn grants(store: &Store, person: Uuid) -> Result<Vec<Grant>, StoreError> {
    #[derive(FromQueryResult)]
    struct Gathered {
        grants: Option<String>,
    }
    let text = format!(
        "SELECT string_agg(g.role || '|' || g.area_code || '|' || {}, ';') AS grants \
         FROM role_grant g WHERE g.person_id = $1 AND g.revoked_at IS NULL",
        team_text(store.is_postgres())
    );
    let row: Option<Gathered> = sql::one(store.pool(), &text, vec![person.into()]).await?;
    parse_grants(row.and_then(|row| row.grants).as_deref())
}

/// What a refresh needs to know.
#[derive(Clone, Debug, FromQueryResult)]
pub struct RefreshRow {
    /// Whose.
    pub person_id: Uuid,
    /// When the session ends.
    pub expires_at: DateTime<Utc>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Hash of the refresh token in force.
    pub refresh_hash: Vec<u8>,
    /// Hash of the one before.
    pub previous_hash: Option<Vec<u8>>,
    /// When it was rotated.
    pub rotated_at: Option<DateTime<Utc>>,
}

/// The session's refresh state.
///
/// # Errors
/// When the database fails.
pub async fn refresh_state(conn: &impl ConnectionTrait, id: Uuid) -> Result<Option<RefreshRow>, StoreError> {
    let text = "SELECT person_id, expires_at, revoked_at, refresh_hash, previous_hash, rotated_at FROM session \
                WHERE id = $1";
    sql::one(conn, text, vec![id.into()]).await
}

/// Rotates the refresh token if `old` is still the one in force. Answers whether it was.
///
/// # Errors
/// When the database fails.
pub async fn rotate(
    conn: &impl ConnectionTrait,
    id: Uuid,
    old: &[u8],
    new: &[u8],
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let text = "UPDATE session SET previous_hash = refresh_hash, refresh_hash = $3, rotated_at = $4 \
                WHERE id = $1 AND refresh_hash = $2 AND revoked_at IS NULL";
    let values = vec![id.into(), old.to_vec().into(), new.to_vec().into(), now.into()];
    Ok(sql::run(conn, text, values).await? == 1)
}

/// A code of the second factor was shown in a session.
///
/// # Errors
/// When the database fails.
pub async fn prove(conn: &impl ConnectionTrait, id: Uuid) -> Result<(), StoreError> {
    sql::run(conn, "UPDATE session SET proved = TRUE WHERE id = $1", vec![id.into()]).await?;
    Ok(())
}

/// Ends a session.
///
/// # Errors
/// When the database fails.
pub async fn revoke(conn: &impl ConnectionTrait, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
    let text = "UPDATE session SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
    sql::run(conn, text, vec![id.into(), now.into()]).await?;
    Ok(())
}

/// Ends all sessions of a person; answers how many.
///
/// # Errors
/// When the database fails.
pub async fn revoke_all(
    conn: &impl ConnectionTrait,
    person: Uuid,
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let text = "UPDATE session SET revoked_at = $2 WHERE person_id = $1 AND revoked_at IS NULL";
    sql::run(conn, text, vec![person.into(), now.into()]).await
}
