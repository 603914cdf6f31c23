//! An order with its events and all that its next decision rests on, in one round trip.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use uuid::Uuid;
use xingfuma_domain::order::Record;
use xingfuma_domain::scoring::{Stretch, YearMonth, china_date};

use super::{Row, StoredOrder};
use crate::scope::Scope;
use crate::served::{SoFar, as_reason};
use crate::{StoreError, sql, unreadable};

/// An order with its events and its requester's wrapped data key: one round trip.
#[derive(Clone, Debug)]
pub struct WholeOrder {
    /// The order.
    pub stored: StoredOrder,
    /// Its events, oldest first.
    pub records: Vec<Record>,
    /// Opens `private`; absent once the requester was erased.
    pub requester_key: Option<Vec<u8>>,
    /// The requester's name and phone, sealed under that key.
    pub requester_private: Option<Vec<u8>>,
    /// Whoever accepted it last.
    pub engaged: Option<Engaged>,
}

/// Whoever accepted an order last.
#[derive(Clone, Debug)]
pub struct Engaged {
    /// The volunteer.
    pub person: Uuid,
    /// The name by which the others know him.
    pub surname: String,
    /// The day that was asked for.
    pub day: Option<NaiveDate>,
    /// Points that were used up of caps in that month, on that day and of this order, by code and window.
    pub used: Vec<((String, String), i64)>,
    /// What guards go by.
    pub so_far: SoFar,
}

/// Longer ago nobody looks for the beginning of a service, nor for another one that it might overlap.
pub const SERVICE_LONGEST: TimeDelta = TimeDelta::days(62);

/// What is read along with an order that may be completed or rated: what points that come of it rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Earning {
    /// The day (China time) on which points come of it.
    pub day: NaiveDate,
    /// Services that ended before this are of no interest: milliseconds since 1970.
    pub since_ms: i64,
}

impl Earning {
    /// What points rest on that come of something at this moment.
    pub fn at(now: DateTime<Utc>) -> Earning {
        Earning { day: china_date(now), since_ms: (now - SERVICE_LONGEST).timestamp_millis() }
    }

    /// Its month, as caps name it.
    pub(crate) fn month(self) -> String {
        YearMonth::of(self.day).to_string()
    }
}

/// A whole order as a statement answers it.
#[derive(FromQueryResult)]
pub(crate) struct WholeRow {
    number: i64,
    snapshot: String,
    description: String,
    private: Vec<u8>,
    wished_from: Option<DateTime<Utc>>,
    wished_to: Option<DateTime<Utc>>,
    requester_key: Option<Vec<u8>>,
    requester_private: Option<Vec<u8>>,
    records: Option<String>,
    engaged: Option<Uuid>,
    engaged_surname: Option<String>,
    used: Option<String>,
    services: Option<i64>,
    taken: Option<String>,
    reason: Option<String>,
    rated_back_ms: Option<i64>,
}

impl WholeRow {
    /// The order; `earning` is what was asked for along with it.
    pub(crate) fn whole(self, earning: Option<Earning>) -> Result<WholeOrder, StoreError> {
        let records = serde_json::from_str(self.records.as_deref().unwrap_or("[]")).map_err(unreadable)?;
        let so_far = SoFar {
            services: self.services.unwrap_or(0),
            taken: pairs(self.taken.as_deref(), |text| text.parse().ok())
                .into_iter()
                .map(|(from, to)| Stretch { from, to })
                .collect(),
            rated_back_ms: self.rated_back_ms,
            reason: as_reason(self.reason.as_deref())?,
        };
        let used = pairs(self.used.as_deref(), as_counter);
        let engaged = self.engaged.zip(self.engaged_surname).map(|(person, surname)| Engaged {
            person,
            surname,
            day: earning.map(|earning| earning.day),
            used,
            so_far,
        });
        let row = Row {
            number: self.number,
            snapshot: self.snapshot,
            description: self.description,
            private: self.private,
            wished_from: self.wished_from,
            wished_to: self.wished_to,
        };
        let (requester_key, requester_private) = (self.requester_key, self.requester_private);
        Ok(WholeOrder { stored: row.try_into()?, records, requester_key, requester_private, engaged })
    }
}

/// What a whole order is joined from: its requester `r`, and whoever accepted it last, `v`.
pub(crate) const WHOLE: &str = "orders o LEFT JOIN person r ON r.id = o.requester_id LEFT JOIN person v ON v.id = \
    (SELECT g.person_id FROM engagement g WHERE g.order_id = o.id ORDER BY g.epoch DESC LIMIT 1)";

/// Where a statement has what an [`Earning`] asks for, and the order's id as text.
pub(crate) struct Places {
    pub(crate) month: &'static str,
    pub(crate) day: &'static str,
    pub(crate) order: &'static str,
    pub(crate) since_ms: &'static str,
}

/// What a whole order is read as, each column's name begun with `prefix`.
pub(crate) fn whole_columns(prefix: &str, places: &Places) -> String {
    let of_order = ["number", "snapshot", "description", "private", "wished_from", "wished_to"];
    let of_order = of_order.map(|name| format!("o.{name} AS {prefix}{name}")).join(", ");
    let Places { month, day, order, since_ms } = places;
    // One text for all who ask; the database looks only where points may come of it.
    let earning = |look: &str| format!("CASE WHEN {since_ms} IS NOT NULL THEN ({look}) END");
    format!(
        "{of_order}, r.data_key AS {prefix}requester_key, r.private AS {prefix}requester_private, \
         (SELECT '[' || string_agg(e.record, ',' ORDER BY e.seq) || ']' FROM order_event e \
         WHERE e.order_id = o.id) AS {prefix}records, v.id AS {prefix}engaged, v.surname AS {prefix}engaged_surname, \
         {} AS {prefix}used, {} AS {prefix}services, {} AS {prefix}taken, {} AS {prefix}reason, \
         {} AS {prefix}rated_back_ms",
        earning(&format!(
            "SELECT string_agg(c.rule_code || '/' || c.month || '=' || c.points, ';') FROM score_cap c \
             WHERE c.person_id = v.id AND c.month IN ({month}, {day}, {order})"
        )),
        earning("SELECT n.services FROM served_count n WHERE n.person_id = v.id"),
        earning(&format!(
            "SELECT string_agg(s.from_ms || '=' || s.to_ms, ';') FROM served s \
             WHERE s.person_id = v.id AND s.to_ms > {since_ms}"
        )),
        earning("SELECT s.reason FROM served s WHERE s.order_id = o.id ORDER BY s.round DESC LIMIT 1"),
        earning(
            "SELECT CASE WHEN b.low_id = v.id THEN b.low_ms ELSE b.high_ms END FROM rated_pair b \
             WHERE b.low_id = CASE WHEN v.id < o.requester_id THEN v.id ELSE o.requester_id END \
             AND b.high_id = CASE WHEN v.id < o.requester_id THEN o.requester_id ELSE v.id END"
        ),
    )
}

/// One order with its events, if the scope reaches it; with `earning`, also what points that come of it rest on.
///
/// # Errors
/// When the database fails or the row cannot be read.
pub async fn find_whole(
    conn: &impl ConnectionTrait,
    scope: &Scope,
    id: Uuid,
    earning: Option<Earning>,
) -> Result<Option<WholeOrder>, StoreError> {
    let mut values = vec![
        id.into(),
        earning.map(Earning::month).into(),
        earning.map(|earning| earning.day.to_string()).into(),
        id.to_string().into(),
        earning.map(|earning| earning.since_ms).into(),
    ];
    let condition = scope.condition(&mut values);
    let columns = whole_columns("", &Places { month: "$2", day: "$3", order: "$4", since_ms: "$5" });
    let text = format!("SELECT {columns} FROM {WHOLE} WHERE o.id = $1 AND {condition}");
    sql::one::<WholeRow>(conn, &text, values).await?.map(|row| row.whole(earning)).transpose()
}

/// `609/2026-03=3;610/2026-03=5`, as the statement puts it together.
fn pairs<T>(text: Option<&str>, read: impl Fn(&str) -> Option<T>) -> Vec<(T, i64)> {
    let pair = |text: &str| text.rsplit_once('=').and_then(|(key, n)| Some((read(key)?, n.parse().ok()?)));
    text.unwrap_or_default().split(';').filter_map(pair).collect()
}

fn as_counter(text: &str) -> Option<(String, String)> {
    text.split_once('/').map(|(code, window)| (code.to_owned(), window.to_owned()))
}
