//! Telling people: notifications as they were written, and the inboxes that they are expanded to.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;

use crate::lanes::Bound;
use crate::orders::Notification;
use crate::scope::area_condition;
use crate::sql::{self, Rows};
use crate::{Store, StoreError, deliveries};

/// A notification that waits to be expanded.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Waiting {
    /// The order.
    pub order_id: Uuid,
    /// The order's version at that event.
    pub seq: i64,
    /// To whom.
    pub audience: String,
    /// The county.
    pub county: String,
    /// What about.
    pub topic: String,
    /// Facts, as JSON.
    pub data: String,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// Writes down that people are to be told of something that is no order: its id stands in the place of the order's, and
/// the topic says what it is.
///
/// # Errors
/// When the database fails.
pub async fn tell(
    conn: &impl ConnectionTrait,
    about: Uuid,
    county: AreaCode,
    at: DateTime<Utc>,
    notifications: &[Notification],
) -> Result<(), StoreError> {
    let mut rows = Rows::new(7);
    for told in notifications {
        rows.push([
            told.about.unwrap_or(about).into(),
            0_i64.into(),
            told.audience.clone().into(),
            county.to_string().into(),
            told.topic.into(),
            told.data.clone().into(),
            at.into(),
        ]);
    }
    let into = "notification (order_id, seq, audience, county, topic, data, created_at)";
    rows.insert(conn, into, "ON CONFLICT DO NOTHING").await?;
    Ok(())
}

/// Notifications that wait, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn waiting(conn: &impl ConnectionTrait, limit: u64) -> Result<Vec<Waiting>, StoreError> {
    let text = format!(
        "SELECT order_id, seq, audience, county, topic, data, created_at FROM notification \
         WHERE expanded_at IS NULL ORDER BY created_at LIMIT {limit}"
    );
    sql::all(conn, &text, Vec::new()).await
}

/// Active volunteers of these teams, as (team, person).
///
/// # Errors
/// When the database fails.
pub async fn members(conn: &impl ConnectionTrait, teams: &[Uuid]) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
    #[derive(FromQueryResult)]
    struct Member {
        team_id: Uuid,
        person_id: Uuid,
    }
    if teams.is_empty() {
        return Ok(Vec::new());
    }
    let text = format!(
        "SELECT team_id, person_id FROM volunteer WHERE team_id IN ({}) AND status = 'active'",
        sql::list(1, teams.len())
    );
    let found: Vec<Member> =
        sql::all(conn, &text, teams.iter().map(|team| Value::from(*team)).collect()).await?;
    Ok(found.into_iter().map(|member| (member.team_id, member.person_id)).collect())
}

/// Dispatchers of exactly this area; for the county, where nobody dispatches, its administrators.
///
/// # Errors
/// When the database fails.
pub async fn station(conn: &impl ConnectionTrait, area: AreaCode) -> Result<Vec<Uuid>, StoreError> {
    let text = "SELECT person_id FROM role_grant WHERE role IN ('dispatcher', 'county_admin') AND area_code = $1 \
                AND team_id IS NULL AND revoked_at IS NULL";
    people(conn, text, vec![area.to_string().into()]).await
}

async fn people(
    conn: &impl ConnectionTrait,
    text: &str,
    values: Vec<Value>,
) -> Result<Vec<Uuid>, StoreError> {
    #[derive(FromQueryResult)]
    struct Found {
        person_id: Uuid,
    }
    Ok(sql::all::<Found>(conn, text, values).await?.into_iter().map(|found| found.person_id).collect())
}

/// An inbox row to be written.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// The id.
    pub id: Uuid,
    /// To whom.
    pub person: Uuid,
    /// It goes out of the house too.
    pub outside: bool,
}

/// Expands notifications to people, once per person, and marks them done: one transaction, whatever their number. A
/// second run changes nothing.
///
/// # Errors
/// When the database fails; then none is expanded.
pub async fn expand_all(
    store: &Store,
    told: Vec<(Waiting, Vec<NewMessage>)>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    if let Some(lanes) = store.lanes() {
        return Ok(lanes
            .run(move |connection| {
                Box::pin(async move { expand_together(&told, now).execute(connection).await })
            })
            .await
            .map(drop)?);
    }
    crate::transact(store, move |conn| {
        Box::pin(async move {
            let mut rows = Rows::new(8);
            for (told, message) in messages(&told) {
                rows.push([
                    message.id.into(),
                    told.county.clone().into(),
                    message.person.into(),
                    told.order_id.into(),
                    told.seq.into(),
                    told.topic.clone().into(),
                    told.data.clone().into(),
                    told.created_at.into(),
                ]);
            }
            let into = "inbox (id, county, person_id, order_id, seq, topic, data, created_at)";
            rows.insert(conn, into, "ON CONFLICT DO NOTHING").await?;
            let outside = messages(&told).filter(|(_, message)| message.outside);
            let outside: Vec<Uuid> = outside.map(|(_, message)| message.id).collect();
            deliveries::open(conn, &outside, now).await?;
            for (told, _) in told {
                let text = "UPDATE notification SET expanded_at = $5 \
                            WHERE order_id = $1 AND seq = $2 AND audience = $3 AND topic = $4";
                let key = vec![
                    told.order_id.into(),
                    told.seq.into(),
                    told.audience.into(),
                    told.topic.into(),
                    now.into(),
                ];
                sql::run(conn, text, key).await?;
            }
            Ok(())
        })
    })
    .await
}

fn messages(told: &[(Waiting, Vec<NewMessage>)]) -> impl Iterator<Item = (&Waiting, &NewMessage)> {
    told.iter().flat_map(|(told, to)| to.iter().map(move |message| (told, message)))
}

/// As [`expand_all`], in one statement whose text is the same for any number of rows: PostgreSQL prepares it once. The orders
/// are named by `ANY` too: a plan that was made while there was nothing to tell would else walk through everything told.
fn expand_together(told: &[(Waiting, Vec<NewMessage>)], now: DateTime<Utc>) -> Bound {
    const TEXT: &str = "WITH written AS (INSERT INTO inbox (id, person_id, order_id, seq, county, topic, data, \
        created_at) SELECT m.id, m.person_id, n.order_id, n.seq, n.county, n.topic, n.data, n.created_at \
        FROM unnest($1::uuid[], $2::uuid[], $3::int8[]) AS m (id, person_id, told) JOIN unnest($4::uuid[], $5::int8[], \
        $6::text[], $7::text[], $8::text[], $9::timestamptz[]) WITH ORDINALITY AS n (order_id, seq, county, topic, data, \
        created_at, place) ON n.place = m.told ON CONFLICT DO NOTHING RETURNING id, county, person_id), \
        outbox AS (INSERT INTO delivery (message_id, channel, county, person_id, status, send_at, attempts) SELECT w.id, \
        'wechat', w.county, w.person_id, 'waiting', $11, 0 FROM written w WHERE w.id = ANY ($12::uuid[])) \
        UPDATE notification SET expanded_at = $11 FROM unnest($4::uuid[], $5::int8[], $10::text[], $7::text[]) \
        AS done (order_id, seq, audience, topic) WHERE notification.order_id = ANY ($4) \
        AND notification.order_id = done.order_id \
        AND notification.seq = done.seq AND notification.audience = done.audience AND notification.topic = done.topic";
    let places = (1_i64..).zip(told).flat_map(|(place, (_, to))| to.iter().map(move |_| place));
    let of = |text: fn(&Waiting) -> &str| told.iter().map(|(told, _)| text(told)).collect::<Vec<&str>>();
    sqlx::query(TEXT)
        .bind(messages(told).map(|(_, message)| message.id).collect::<Vec<_>>())
        .bind(messages(told).map(|(_, message)| message.person).collect::<Vec<_>>())
        .bind(places.collect::<Vec<_>>())
        .bind(told.iter().map(|(told, _)| told.order_id).collect::<Vec<_>>())
        .bind(told.iter().map(|(told, _)| told.seq).collect::<Vec<_>>())
        .bind(of(|told| &told.county))
        .bind(of(|told| &told.topic))
        .bind(of(|told| &told.data))
        .bind(told.iter().map(|(told, _)| told.created_at).collect::<Vec<_>>())
        .bind(of(|told| &told.audience))
        .bind(now)
        .bind(messages(told).filter(|(_, one)| one.outside).map(|(_, one)| one.id).collect::<Vec<_>>())
}

/// A message in somebody's inbox.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Message {
    /// The id.
    pub id: Uuid,
    /// The order it is about.
    pub order_id: Uuid,
    /// What about.
    pub topic: String,
    /// Facts, as JSON.
    pub data: String,
    /// When.
    pub created_at: DateTime<Utc>,
    /// When it was read.
    pub read_at: Option<DateTime<Utc>>,
}

/// Somebody's messages, newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(
    conn: &impl ConnectionTrait,
    person: Uuid,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<Message>, StoreError> {
    let mut values: Vec<Value> = vec![person.into()];
    let mut text =
        "SELECT id, order_id, topic, data, created_at, read_at FROM inbox WHERE person_id = $1".to_owned();
    sql::newest_first(&mut text, &mut values, before, limit);
    sql::all(conn, &text, values).await
}

/// Marks somebody's messages up to this one as read; answers how many were new.
///
/// # Errors
/// When the database fails.
pub async fn mark_read(
    conn: &impl ConnectionTrait,
    person: Uuid,
    up_to: Uuid,
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let text = "UPDATE inbox SET read_at = $3 WHERE person_id = $1 AND id <= $2 AND read_at IS NULL";
    sql::run(conn, text, vec![person.into(), up_to.into(), now.into()]).await
}

/// A volunteer whose messages stay unread.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Unread {
    /// The volunteer.
    pub person_id: Uuid,
    /// His surname.
    pub surname: String,
    /// His team.
    pub team_id: Uuid,
    /// Messages that he has not read.
    pub messages: i64,
    /// How many of them are offers of an order.
    pub offers: i64,
    /// When the oldest of them came.
    pub since: DateTime<Utc>,
}

/// Active volunteers of these areas with at least `at_least` messages that came before `before` and stay unread, by id.
///
/// # Errors
/// When the database fails.
pub async fn never_read(
    conn: &impl ConnectionTrait,
    areas: &[AreaCode],
    before: DateTime<Utc>,
    at_least: i64,
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<Unread>, StoreError> {
    let mut values: Vec<Value> = vec![before.into(), at_least.into()];
    let any: Vec<String> =
        areas.iter().map(|area| area_condition("v.grid_code", *area, &mut values)).collect();
    if any.is_empty() {
        return Ok(Vec::new());
    }
    let mut text = format!(
        "SELECT v.person_id, p.surname, v.team_id, count(*) AS messages, \
         sum(CASE WHEN i.topic IN ('offered', 'reminded') THEN 1 ELSE 0 END) AS offers, min(i.created_at) AS since \
         FROM volunteer v JOIN person p ON p.id = v.person_id JOIN inbox i ON i.person_id = v.person_id \
         WHERE i.read_at IS NULL AND i.created_at < $1 AND v.status = 'active' AND ({})",
        any.join(" OR ")
    );
    if let Some(after) = after {
        values.push(after.into());
        text.push_str(&format!(" AND v.person_id > ${}", values.len()));
    }
    text.push_str(&format!(
        " GROUP BY v.person_id, p.surname, v.team_id HAVING count(*) >= $2 ORDER BY v.person_id LIMIT {limit}"
    ));
    sql::all(conn, &text, values).await
}
