//! How somebody wants to be told, and which of WeChat's templates he has agreed to.

use chrono::{DateTime, NaiveTime, Timelike, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::deadline::QuietHours;
use xingfuma_domain::message::Preferences;

use crate::sql::{self, Rows};
use crate::{StoreError, unreadable};

/// How somebody wants to be told; the usual way where he said nothing.
///
/// # Errors
/// When the database fails or the row cannot be read.
pub async fn of(conn: &impl ConnectionTrait, person: Uuid) -> Result<Preferences, StoreError> {
    #[derive(FromQueryResult)]
    struct Kept {
        wechat: bool,
        sms: bool,
        quiet_from: Option<i32>,
        quiet_to: Option<i32>,
    }
    let text = "SELECT wechat, sms, quiet_from, quiet_to FROM preference WHERE person_id = $1";
    let Some(kept) = sql::one::<Kept>(conn, text, vec![person.into()]).await? else {
        return Ok(Preferences::default());
    };
    let quiet = match (kept.quiet_from, kept.quiet_to) {
        (Some(from), Some(to)) => Some(QuietHours { from: time(from)?, to: time(to)? }),
        _ => None,
    };
    Ok(Preferences { wechat: kept.wechat, sms: kept.sms, quiet })
}

fn time(seconds: i32) -> Result<NaiveTime, StoreError> {
    let time =
        u32::try_from(seconds).ok().and_then(|at| NaiveTime::from_num_seconds_from_midnight_opt(at, 0));
    time.ok_or_else(|| unreadable("a time of day"))
}

/// Keeps how somebody wants to be told.
///
/// # Errors
/// When the database fails.
pub async fn keep(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    person: Uuid,
    preferences: &Preferences,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let seconds = |time: NaiveTime| i32::try_from(time.num_seconds_from_midnight()).unwrap_or_default();
    let mut rows = Rows::new(7);
    rows.push([
        person.into(),
        county.to_string().into(),
        preferences.wechat.into(),
        preferences.sms.into(),
        preferences.quiet.map(|quiet| seconds(quiet.from)).into(),
        preferences.quiet.map(|quiet| seconds(quiet.to)).into(),
        now.into(),
    ]);
    let tail = "ON CONFLICT (person_id) DO UPDATE SET wechat = excluded.wechat, sms = excluded.sms, \
                quiet_from = excluded.quiet_from, quiet_to = excluded.quiet_to, updated_at = excluded.updated_at";
    rows.insert(conn, "preference (person_id, county, wechat, sms, quiet_from, quiet_to, updated_at)", tail)
        .await?;
    Ok(())
}

/// What is known of somebody's consent to a template.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Subscription {
    /// The template.
    pub template: String,
    /// Messages that he would still take; of a long-term template anything above 0 is for ever.
    pub remaining: i32,
}

/// What is known of somebody's consents.
///
/// # Errors
/// When the database fails.
pub async fn subscriptions(
    conn: &impl ConnectionTrait,
    person: Uuid,
) -> Result<Vec<Subscription>, StoreError> {
    let text = "SELECT template, remaining FROM subscription WHERE person_id = $1 ORDER BY template";
    sql::all(conn, text, vec![person.into()]).await
}

/// Somebody agreed to one more message of each of these templates.
///
/// # Errors
/// When the database fails.
pub async fn subscribe(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    person: Uuid,
    templates: &[String],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut rows = Rows::new(5);
    for template in templates {
        rows.push([
            person.into(),
            template.as_str().into(),
            county.to_string().into(),
            1_i32.into(),
            now.into(),
        ]);
    }
    let tail = "ON CONFLICT (person_id, template) DO UPDATE SET remaining = subscription.remaining + 1, \
                updated_at = excluded.updated_at";
    rows.insert(conn, "subscription (person_id, template, county, remaining, updated_at)", tail).await?;
    Ok(())
}

/// A consent was used up by a message.
pub(crate) async fn use_up(
    conn: &impl ConnectionTrait,
    person: Uuid,
    template: &str,
) -> Result<(), StoreError> {
    let text = "UPDATE subscription SET remaining = remaining - 1 \
                WHERE person_id = $1 AND template = $2 AND remaining > 0";
    sql::run(conn, text, vec![person.into(), template.into()]).await?;
    Ok(())
}

/// WeChat says that there is no consent left, whatever was thought here.
pub(crate) async fn none_left(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    person: Uuid,
    template: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut rows = Rows::new(5);
    rows.push([person.into(), template.into(), county.to_string().into(), 0_i32.into(), now.into()]);
    let tail =
        "ON CONFLICT (person_id, template) DO UPDATE SET remaining = 0, updated_at = excluded.updated_at";
    rows.insert(conn, "subscription (person_id, template, county, remaining, updated_at)", tail).await?;
    Ok(())
}
