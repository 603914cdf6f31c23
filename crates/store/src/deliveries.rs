//! The outbox: messages that go out of the house, one row a message and channel.
//!
//! A row is claimed in a transaction of its own, which marks it `sending` *before* anything is sent. A unique index lets
//! one row of a person be `sending` at a time, whichever process sends: WeChat refuses two at once (43108). The result is
//! noted afterwards. A sender that dies in between leaves a row whose lease ends; nobody knows whether the message went
//! out, so it becomes `unknown` and is never sent again. At most once, then, and the inbox has it in any case.
//!
//! | status | meaning |
//! | --- | --- |
//! | `waiting` | goes at `send_at` |
//! | `sending` | somebody has it until `leased_until` |
//! | `sent` | it was taken |
//! | `fallen` | not by this channel; the next one has a row, if there is a next one |
//! | `dropped` | need not go any more |
//! | `failed` | refused for good; `outcome` says why |
//! | `unknown` | it may have arrived |

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::message::Channel;

use crate::sql::{self, Rows};
use crate::{Store, StoreError, preferences, transact, unreadable};

/// A message whose turn it is, ours until its lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The message of the inbox.
    pub message: Uuid,
    /// By which channel.
    pub channel: Channel,
    /// To whom.
    pub person: Uuid,
    /// The how-manieth try this is.
    pub attempts: u32,
}

/// What a claim comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// One is ours.
    One(Claimed),
    /// Somebody else was faster with another message to the same person.
    Taken,
    /// None is due.
    Nothing,
}

#[derive(FromQueryResult)]
struct Row {
    message_id: Uuid,
    channel: String,
    person_id: Uuid,
    attempts: i32,
}

/// Takes the message that is due longest, of somebody to whom nobody is sending.
///
/// # Errors
/// When the database fails.
pub async fn claim(store: &Store, now: DateTime<Utc>, until: DateTime<Utc>) -> Result<Claim, StoreError> {
    #[derive(FromQueryResult)]
    struct Due {
        due: i64,
    }
    // A look first: whoever waits for work does not stand in the writers' way.
    let text = "SELECT count(*) AS due FROM (SELECT 1 FROM delivery WHERE status = 'waiting' AND send_at <= $1 LIMIT 1) d";
    let due: Option<Due> = sql::one(store.pool(), text, vec![now.into()]).await?;
    if due.is_none_or(|found| found.due == 0) {
        return Ok(Claim::Nothing);
    }
    let choice = "SELECT d.message_id, d.channel FROM delivery d WHERE d.status = 'waiting' AND d.send_at <= $1 \
                  AND NOT EXISTS (SELECT 1 FROM delivery other WHERE other.person_id = d.person_id \
                  AND other.status = 'sending') ORDER BY d.send_at, d.message_id LIMIT 1";
    let next = sql::next_free(store, choice, "d");
    let text = format!(
        "{next} UPDATE delivery SET status = 'sending', leased_until = $2, attempts = attempts + 1 \
         WHERE (message_id, channel) IN (SELECT message_id, channel FROM next) AND status = 'waiting' \
         RETURNING message_id, channel, person_id, attempts"
    );
    let claimed: Result<Option<Row>, StoreError> = transact(store, move |conn| {
        Box::pin(async move { sql::one(conn, &text, vec![now.into(), until.into()]).await })
    })
    .await;
    match claimed {
        Ok(None) => Ok(Claim::Nothing),
        Ok(Some(row)) => Ok(Claim::One(Claimed {
            message: row.message_id,
            channel: Channel::parse(&row.channel).ok_or_else(|| unreadable("a channel"))?,
            person: row.person_id,
            attempts: row.attempts.unsigned_abs(),
        })),
        Err(error) if error.is_unique_violation() => Ok(Claim::Taken),
        Err(error) => Err(error),
    }
}

/// Ends those whose sender did not live to note what became of them: they may have arrived. Answers how many.
///
/// # Errors
/// When the database fails.
pub async fn give_up_lost(store: &Store, now: DateTime<Utc>) -> Result<u64, StoreError> {
    transact(store, move |conn| {
        Box::pin(async move {
            let text = "UPDATE delivery SET status = 'unknown', outcome = 'sender_lost', leased_until = NULL, \
                        send_at = NULL, ended_at = $1 WHERE status = 'sending' AND leased_until <= $1";
            sql::run(conn, text, vec![now.into()]).await
        })
    })
    .await
}

/// What a message says, and whether it was read.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Content {
    /// What it is about: an order, or another thing that its topic names.
    pub order_id: Uuid,
    /// The topic.
    pub topic: String,
    /// Facts, as JSON.
    pub data: String,
    /// When it happened.
    pub created_at: DateTime<Utc>,
    /// When its receiver read it.
    pub read_at: Option<DateTime<Utc>>,
}

/// A message of an inbox; none where it was erased.
///
/// # Errors
/// When the database fails.
pub async fn content(conn: &impl ConnectionTrait, message: Uuid) -> Result<Option<Content>, StoreError> {
    let text = "SELECT order_id, topic, data, created_at, read_at FROM inbox WHERE id = $1";
    sql::one(conn, text, vec![message.into()]).await
}

/// What became of a message that was claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// It was taken; by WeChat with a consent to this template, where that is for one message.
    Sent {
        /// The template whose consent is used up.
        used_up: Option<String>,
    },
    /// It waits, and this was no try.
    WaitUntil(DateTime<Utc>),
    /// It is tried again then.
    Again(DateTime<Utc>, String),
    /// Not by this channel.
    Fallen {
        /// Why.
        why: &'static str,
        /// By this one instead.
        next: Option<Channel>,
        /// The template to which WeChat says there is no consent left.
        no_consent: Option<String>,
    },
    /// It need not go any more.
    Dropped(&'static str),
    /// It was refused for good.
    Failed(String),
    /// It may have arrived.
    Unknown(String),
}

impl Note {
    fn status(&self) -> &'static str {
        match self {
            Note::Sent { .. } => "sent",
            Note::WaitUntil(_) | Note::Again(..) => "waiting",
            Note::Fallen { .. } => "fallen",
            Note::Dropped(_) => "dropped",
            Note::Failed(_) => "failed",
            Note::Unknown(_) => "unknown",
        }
    }

    fn outcome(&self) -> Option<String> {
        match self {
            Note::Sent { .. } | Note::WaitUntil(_) => None,
            Note::Fallen { why, .. } | Note::Dropped(why) => Some((*why).to_owned()),
            Note::Again(_, why) | Note::Failed(why) | Note::Unknown(why) => Some(why.clone()),
        }
    }

    fn send_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Note::WaitUntil(at) | Note::Again(at, _) => Some(*at),
            _ => None,
        }
    }
}

/// Notes what became of a message that was claimed, in one transaction with its row of the next channel. Answers whether
/// it counted: a sender whose lease has ended meanwhile may still say that a message is out, and nothing else.
///
/// # Errors
/// When the database fails.
pub async fn note(
    store: &Store,
    county: AreaCode,
    claimed: &Claimed,
    note: Note,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let claimed = claimed.clone();
    transact(store, move |conn| {
        Box::pin(async move {
            let ended = note.send_at().is_none();
            let among = match note {
                Note::Sent { .. } => "status IN ('sending', 'unknown')",
                _ => "status = 'sending'",
            };
            let text = format!(
                "UPDATE delivery SET status = $3, outcome = $4, send_at = $5, ended_at = $6, leased_until = NULL, \
                 attempts = attempts - $7 WHERE message_id = $1 AND channel = $2 AND attempts = $8 AND {among}"
            );
            let untried = i32::from(matches!(note, Note::WaitUntil(_)));
            let attempts = i32::try_from(claimed.attempts).unwrap_or(i32::MAX);
            let values: Vec<Value> = vec![
                claimed.message.into(),
                claimed.channel.as_str().into(),
                note.status().into(),
                note.outcome().into(),
                note.send_at().into(),
                ended.then_some(now).into(),
                untried.into(),
                attempts.into(),
            ];
            if sql::run(conn, &text, values).await? == 0 {
                return Ok(false);
            }
            match note {
                Note::Sent { used_up: Some(template) } => {
                    preferences::use_up(conn, claimed.person, &template).await?;
                }
                Note::Fallen { next, no_consent, .. } => {
                    if let Some(template) = no_consent {
                        preferences::none_left(conn, county, claimed.person, &template, now).await?;
                    }
                    if let Some(next) = next {
                        fall(conn, county, &claimed, next, now).await?;
                    }
                }
                _ => {}
            }
            Ok(true)
        })
    })
    .await
}

async fn fall(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    claimed: &Claimed,
    to: Channel,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut rows = Rows::new(7);
    rows.push([
        claimed.message.into(),
        to.as_str().into(),
        county.to_string().into(),
        claimed.person.into(),
        "waiting".into(),
        now.into(),
        0_i32.into(),
    ]);
    let into = "delivery (message_id, channel, county, person_id, status, send_at, attempts)";
    rows.insert(conn, into, "ON CONFLICT DO NOTHING").await?;
    Ok(())
}

/// Puts these messages of inboxes into the outbox; one that was not written, because its event had been told before, is
/// left out.
pub(crate) async fn open(
    conn: &impl ConnectionTrait,
    messages: &[Uuid],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    for piece in messages.chunks(500) {
        let mut values: Vec<Value> = vec![Channel::Wechat.as_str().into(), now.into()];
        values.extend(piece.iter().map(|id| Value::from(*id)));
        let text = format!(
            "INSERT INTO delivery (message_id, channel, county, person_id, status, send_at, attempts) \
             SELECT id, $1, county, person_id, 'waiting', $2, 0 FROM inbox WHERE id IN ({}) ON CONFLICT DO NOTHING",
            sql::list(3, piece.len())
        );
        sql::run(conn, &text, values).await?;
    }
    Ok(())
}
