//! What guards go by: where the minutes of completed services lie, and who rated whom.
//!
//! Two services of one person may be completed at the same moment, by two requests that know nothing of each other. So a
//! service is placed under a lock of its person: on PostgreSQL the one statement that writes the completion insists that
//! no other service came in between since the order was read; where one did, and on SQLite always, the lock is taken
//! first and the others are read behind it. Ratings have a lock of their pair in the same way. A crash leaves nothing:
//! all of it is part of the command's transaction.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::scoring::{Guards, HoldReason, Mark, Stretch, after_rating, judge_service};

use crate::sql::{self, Rows, Together};
use crate::{StoreError, unreadable};

/// A completed service, to be placed among the others of its person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The order.
    pub order: Uuid,
    /// How often it had been reopened.
    pub round: u32,
    /// The county.
    pub county: AreaCode,
    /// Who served.
    pub person: Uuid,
    /// From when it was accepted (or arrived at) to its completion.
    pub window: Stretch,
    /// Minutes of service, as reported.
    pub minutes: i64,
    /// It was ordered by the person who served.
    pub own: bool,
}

/// A rating of somebody's service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rated {
    /// The order.
    pub order: Uuid,
    /// The county.
    pub county: AreaCode,
    /// Who served.
    pub volunteer: Uuid,
    /// Who rated.
    pub requester: Uuid,
    /// When.
    pub at: DateTime<Utc>,
}

/// What a command does that guards look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watched {
    /// A service is completed.
    Service(Service),
    /// A service is rated.
    Rating(Rated),
}

/// What was there before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SoFar {
    /// How many services the person has completed.
    pub services: i64,
    /// Where those of them lie that may touch this one.
    pub taken: Vec<Stretch>,
    /// When the volunteer last rated a service of whoever rates him now: milliseconds since 1970.
    pub rated_back_ms: Option<i64>,
    /// What the service that is rated is looked at for.
    pub reason: Option<HoldReason>,
}

const INTO_SERVED: &str = "served (order_id, round, county, person_id, from_ms, to_ms, minutes, reason)";
const INTO_COUNT: &str = "served_count (person_id, county, services)";
/// What somebody served stands where it was read.
const ONE_MORE: &str = "ON CONFLICT (person_id) DO UPDATE SET services = excluded.services \
    WHERE served_count.services = excluded.services - 1";
const INTO_PAIR: &str = "rated_pair (low_id, high_id, county, low_ms, high_ms)";

impl Service {
    fn mark(&self, guards: &Guards, taken: &[Stretch], photo_reused: bool) -> Mark {
        judge_service(guards, self.window, self.minutes, taken, self.own, photo_reused)
    }

    fn row(&self, mark: &Mark) -> Rows {
        let mut rows = Rows::new(8);
        rows.push([
            self.order.into(),
            i32::try_from(self.round).unwrap_or(i32::MAX).into(),
            self.county.to_string().into(),
            self.person.into(),
            mark.stretch.from.into(),
            mark.stretch.to.into(),
            self.minutes.into(),
            mark.reason.map(HoldReason::as_str).into(),
        ]);
        rows
    }

    fn count(&self, services: i64) -> Rows {
        let mut rows = Rows::new(3);
        rows.push([self.person.into(), self.county.to_string().into(), services.into()]);
        rows
    }

    async fn record(
        &self,
        conn: &impl ConnectionTrait,
        guards: &Guards,
        photo_reused: bool,
    ) -> Result<Mark, StoreError> {
        #[derive(FromQueryResult)]
        struct Taken {
            from_ms: i64,
            to_ms: i64,
        }
        let tail = "ON CONFLICT (person_id) DO UPDATE SET services = served_count.services + 1";
        self.count(1).insert(conn, INTO_COUNT, tail).await?;
        let text = "SELECT from_ms, to_ms FROM served WHERE person_id = $1 AND to_ms > $2";
        let rows: Vec<Taken> =
            sql::all(conn, text, vec![self.person.into(), self.window.from.into()]).await?;
        let taken: Vec<Stretch> =
            rows.into_iter().map(|row| Stretch { from: row.from_ms, to: row.to_ms }).collect();
        let mark = self.mark(guards, &taken, photo_reused);
        self.row(&mark).insert(conn, INTO_SERVED, "").await?;
        Ok(mark)
    }
}

impl Rated {
    /// Whether the one who rates is the low one of the pair.
    fn by_low(&self) -> bool {
        self.requester < self.volunteer
    }

    fn row(&self, rated_back_ms: Option<i64>) -> Rows {
        let now = Some(self.at.timestamp_millis());
        let (low, high) = if self.by_low() { (now, rated_back_ms) } else { (rated_back_ms, now) };
        let mut rows = Rows::new(5);
        rows.push([
            self.requester.min(self.volunteer).into(),
            self.requester.max(self.volunteer).into(),
            self.county.to_string().into(),
            low.into(),
            high.into(),
        ]);
        rows
    }

    /// The columns of who rates now, and of whom he rates.
    fn columns(&self) -> (&'static str, &'static str) {
        if self.by_low() { ("low_ms", "high_ms") } else { ("high_ms", "low_ms") }
    }

    fn reason(&self, guards: &Guards, so_far: &SoFar) -> Option<HoldReason> {
        let back = so_far.rated_back_ms.and_then(DateTime::from_timestamp_millis);
        after_rating(guards, self.at, back, so_far.reason)
    }

    async fn record(
        &self,
        conn: &impl ConnectionTrait,
        guards: &Guards,
    ) -> Result<Option<HoldReason>, StoreError> {
        #[derive(FromQueryResult)]
        struct Back {
            back: Option<i64>,
        }
        #[derive(FromQueryResult)]
        struct Reason {
            reason: Option<String>,
        }
        let (mine, theirs) = self.columns();
        let tail = format!(
            "ON CONFLICT (low_id, high_id) DO UPDATE SET {mine} = excluded.{mine} RETURNING {theirs} AS back"
        );
        let back: Vec<Back> = self.row(None).insert_returning(conn, INTO_PAIR, &tail).await?;
        let text = "SELECT reason FROM served WHERE order_id = $1 ORDER BY round DESC LIMIT 1";
        let served: Option<Reason> = sql::one(conn, text, vec![self.order.into()]).await?;
        let so_far = SoFar {
            rated_back_ms: back.first().and_then(|row| row.back),
            reason: as_reason(served.and_then(|row| row.reason).as_deref())?,
            ..SoFar::default()
        };
        Ok(self.reason(guards, &so_far))
    }
}

/// A column as a reason.
pub(crate) fn as_reason(word: Option<&str>) -> Result<Option<HoldReason>, StoreError> {
    word.map(|word| word.parse().map_err(unreadable)).transpose()
}

/// Notes hours that come of no order, such as those of an activity, under their own id; answers why they are looked at.
///
/// # Errors
/// When the database fails.
pub async fn place(
    conn: &impl ConnectionTrait,
    service: &Service,
    guards: &Guards,
) -> Result<Option<HoldReason>, StoreError> {
    Ok(service.record(conn, guards, false).await?.reason)
}

/// Notes it in the transaction of the command, under the lock of its person or pair; answers why it is looked at.
/// `photo_reused` says that one of a service's photos proved another one before.
pub(crate) async fn record(
    conn: &impl ConnectionTrait,
    watched: &Watched,
    guards: &Guards,
    photo_reused: bool,
) -> Result<Option<HoldReason>, StoreError> {
    match watched {
        Watched::Service(service) => Ok(service.record(conn, guards, photo_reused).await?.reason),
        Watched::Rating(rated) => rated.record(conn, guards).await,
    }
}

/// Adds it, a service without photos, to the one statement of the command, which insists that nothing came in between since
/// the order was read.
pub(crate) fn add(
    together: &mut Together,
    watched: &Watched,
    so_far: &SoFar,
    guards: &Guards,
) -> Option<HoldReason> {
    match watched {
        Watched::Service(service) => {
            let mark = service.mark(guards, &so_far.taken, false);
            // Of somebody who served before there is a row.
            let tail = if so_far.services == 0 { "" } else { ONE_MORE };
            together.insisted("services", service.count(so_far.services + 1), INTO_COUNT, tail);
            together.insert(service.row(&mark), INTO_SERVED, "");
            mark.reason
        }
        Watched::Rating(rated) => {
            let (mine, theirs) = rated.columns();
            let tail = format!(
                "ON CONFLICT (low_id, high_id) DO UPDATE SET {mine} = excluded.{mine} \
                 WHERE rated_pair.{theirs} IS NOT DISTINCT FROM excluded.{theirs}"
            );
            together.insisted("pair", rated.row(so_far.rated_back_ms), INTO_PAIR, &tail);
            rated.reason(guards, so_far)
        }
    }
}

/// A service was looked at and is in order: what is rated of it later is not held for it again.
///
/// # Errors
/// When the database fails.
pub async fn clear(conn: &impl ConnectionTrait, order: Uuid) -> Result<(), StoreError> {
    sql::run(conn, "UPDATE served SET reason = NULL WHERE order_id = $1", vec![order.into()]).await?;
    Ok(())
}
