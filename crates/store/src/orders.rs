//! Orders: their rows, their events, and the one way in which both change.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::{AreaCode, Level};
use xingfuma_domain::order::{Event, Order, Record, Status};
use xingfuma_domain::scoring::{Guards, Stretch, Used, YearMonth, china_date};

use crate::audit::AuditEntry;
use crate::media::Attachment;
use crate::scope::{Scope, area_condition};
use crate::served::{SoFar, Watched, as_reason};
use crate::sql;
use crate::{StoreError, duty, idempotency, ledger, unreadable};

/// An order with what is stored beside its decisions.
#[derive(Clone, Debug)]
pub struct StoredOrder {
    /// What decisions rest on.
    pub order: Order,
    /// The number that is read over the phone.
    pub number: i64,
    /// The description, masked.
    pub description: String,
    /// Description, contact and address, sealed under the requester's data key.
    pub private: Vec<u8>,
    /// When the resident would like it.
    pub wished_from: Option<DateTime<Utc>>,
    /// Until when.
    pub wished_to: Option<DateTime<Utc>>,
}

/// The policy's question and answer, or a hand's reason; kept for ever.
#[derive(Clone, Debug)]
pub struct StoredDecision {
    /// The epoch that it led to, or the one it left alone.
    pub epoch: i64,
    /// The team chosen.
    pub team: Option<Uuid>,
    /// The volunteer named.
    pub volunteer: Option<Uuid>,
    /// Who overruled; absent for the policy.
    pub decided_by: Option<Uuid>,
    /// When.
    pub decided_at: DateTime<Utc>,
    /// The policy's question, as JSON.
    pub question: Option<String>,
    /// The policy's answer, as JSON.
    pub answer: String,
}

/// Somebody to be told; expanded to people by the notifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// `person:ID`, `people:ID,ID`, `team:ID`, `station:AREA` (the dispatchers of that area) or `department:ID`.
    pub audience: String,
    /// What it is about, e.g. `dispatched`.
    pub topic: &'static str,
    /// Facts for the text, as JSON without personal data.
    pub data: String,
    /// The order that it is about for them, where that is another one: theirs follows the one that changed.
    pub about: Option<Uuid>,
}

/// All that one command changes, written in one transaction ([`crate::writing`], [`crate::placing`]).
#[derive(Clone, Debug)]
pub struct Change {
    /// The order after it.
    pub after: StoredOrder,
    /// The version before; 0 for a new order.
    pub before_version: i64,
    /// The events, in order; their sequence numbers are `before_version + 1 …`.
    pub records: Vec<Record>,
    /// Why this team.
    pub decision: Option<StoredDecision>,
    /// Who is to be told.
    pub notifications: Vec<Notification>,
    /// What it adds to the histories of teams and people.
    pub answered: Vec<duty::Answered>,
    /// Somebody who takes the order on, and how many he may hold with it.
    pub at_most: Option<(Uuid, i64)>,
    /// Points.
    pub scoring: Vec<ledger::Booking>,
    /// What guards note of it.
    pub watched: Option<Watched>,
    /// From which point on guards look at something.
    pub guards: Guards,
    /// What was used up of the one award's caps, and what guards go by, when the order was read, if that is known.
    pub known: Option<Known>,
    /// The answer to keep under the caller's key.
    pub answer: Option<idempotency::Answer>,
    /// Personal data that the command opens to somebody.
    pub disclosure: Option<AuditEntry>,
    /// Photos that go with it.
    pub media: Option<Attachment>,
}

/// What was read with an order for a command that scores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// What was used up of the award's caps.
    pub used: Used,
    /// What guards go by.
    pub so_far: SoFar,
}

impl Change {
    /// Nothing hangs on it but the order's own rows, its decision, its messages and the histories: it can be written
    /// together with others ([`crate::writing::write_all`]).
    pub fn is_plain(&self) -> bool {
        // A promise and a call have rows of their own; the others may change orders that follow or lead.
        let more = |record: &Record| {
            matches!(
                record.event,
                Event::Accepted { .. }
                    | Event::Whistled { .. }
                    | Event::Merged { .. }
                    | Event::Helped { .. }
                    | Event::Completed { .. }
                    | Event::Cancelled { .. }
            )
        };
        self.at_most.is_none()
            && self.scoring.is_empty()
            && self.watched.is_none()
            && self.answer.is_none()
            && self.disclosure.is_none()
            && self.media.is_none()
            && !self.records.iter().any(more)
    }
}

#[derive(FromQueryResult)]
pub(crate) struct Row {
    number: i64,
    snapshot: String,
    description: String,
    private: Vec<u8>,
    wished_from: Option<DateTime<Utc>>,
    wished_to: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for StoredOrder {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<StoredOrder, StoreError> {
        Ok(StoredOrder {
            order: serde_json::from_str(&row.snapshot).map_err(unreadable)?,
            number: row.number,
            description: row.description,
            private: row.private,
            wished_from: row.wished_from,
            wished_to: row.wished_to,
        })
    }
}

pub(crate) const COLUMNS: &str = "o.number, o.snapshot, o.description, o.private, o.wished_from, o.wished_to";

/// One order, if the scope reaches it.
///
/// # Errors
/// When the database fails or the row cannot be read.
pub async fn find(
    conn: &impl ConnectionTrait,
    scope: &Scope,
    id: Uuid,
) -> Result<Option<StoredOrder>, StoreError> {
    let mut values = vec![id.into()];
    let condition = scope.condition(&mut values);
    let text = format!("SELECT {COLUMNS} FROM orders o WHERE o.id = $1 AND {condition}");
    sql::one::<Row>(conn, &text, values).await?.map(StoredOrder::try_from).transpose()
}

/// Those of these orders that the scope reaches, in no order.
///
/// # Errors
/// When the database fails or a row cannot be read.
pub async fn find_all(
    conn: &impl ConnectionTrait,
    scope: &Scope,
    ids: &[Uuid],
) -> Result<Vec<StoredOrder>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut values: Vec<Value> = ids.iter().map(|id| Value::from(*id)).collect();
    let list = sql::list(1, ids.len());
    let condition = scope.condition(&mut values);
    let text = format!("SELECT {COLUMNS} FROM orders o WHERE o.id IN ({list}) AND {condition}");
    sql::all::<Row>(conn, &text, values).await?.into_iter().map(StoredOrder::try_from).collect()
}

/// As [`find_all`], without those that cannot be read: for lists, in which one bad row must not hide the others. What is
/// left out is logged, and ends as a dead letter when something is due of it.
///
/// # Errors
/// When the database fails.
pub async fn find_readable(
    conn: &impl ConnectionTrait,
    scope: &Scope,
    ids: &[Uuid],
) -> Result<Vec<StoredOrder>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut values: Vec<Value> = ids.iter().map(|id| Value::from(*id)).collect();
    let list = sql::list(1, ids.len());
    let condition = scope.condition(&mut values);
    let text = format!("SELECT {COLUMNS} FROM orders o WHERE o.id IN ({list}) AND {condition}");
    Ok(readable(sql::all(conn, &text, values).await?))
}

fn readable(rows: Vec<Row>) -> Vec<StoredOrder> {
    let read = |row: Row| {
        let number = row.number;
        let stored = StoredOrder::try_from(row);
        stored.inspect_err(|error| tracing::error!(number, %error, "an order cannot be read")).ok()
    };
    rows.into_iter().filter_map(read).collect()
}

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

/// The events of an order, oldest first.
///
/// # Errors
/// When the database fails or a row cannot be read.
pub async fn records(conn: &impl ConnectionTrait, id: Uuid) -> Result<Vec<Record>, StoreError> {
    #[derive(FromQueryResult)]
    struct EventRow {
        record: String,
    }
    let text = "SELECT record FROM order_event WHERE order_id = $1 ORDER BY seq";
    let rows: Vec<EventRow> = sql::all(conn, text, vec![id.into()]).await?;
    rows.iter().map(|row| serde_json::from_str(&row.record).map_err(unreadable)).collect()
}

/// Which of a caller's orders a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Everything he may see.
    All,
    /// What he ordered or entered himself.
    Own,
    /// What his teams were asked, and what he promised.
    Team,
    /// What lies in his areas.
    Area,
}

/// Narrows a list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this status.
    pub status: Option<Status>,
    /// Only this category.
    pub category: Option<String>,
    /// Only this subtree.
    pub area: Option<AreaCode>,
}

/// A page of orders, newest first: at most `limit` with an id below `before`. An order that cannot be read is left out.
///
/// # Errors
/// When the database fails.
pub async fn list(
    conn: &impl ConnectionTrait,
    scope: &Scope,
    part: Part,
    filter: &Filter,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<StoredOrder>, StoreError> {
    let mut values = Vec::new();
    let narrow = narrow(filter, before, &mut values);
    let branches = branches(scope, part, &mut values);
    if branches.is_empty() {
        return Ok(Vec::new());
    }
    // Each branch reads one index from its newest end and stops at the limit; the union is then at most a few pages.
    let union = branches
        .iter()
        .enumerate()
        .map(|(n, from)| {
            format!("SELECT id FROM (SELECT DISTINCT o.id FROM {from} {narrow} ORDER BY o.id DESC LIMIT {limit}) b{n}")
        })
        .collect::<Vec<_>>()
        .join(" UNION ");
    let text =
        format!("SELECT {COLUMNS} FROM orders o WHERE o.id IN ({union}) ORDER BY o.id DESC LIMIT {limit}");
    Ok(readable(sql::all(conn, &text, values).await?))
}

fn narrow(filter: &Filter, before: Option<Uuid>, values: &mut Vec<Value>) -> String {
    let mut all = String::new();
    if let Some(before) = before {
        values.push(before.into());
        all.push_str(&format!(" AND o.id < ${}", values.len()));
    }
    if let Some(status) = filter.status {
        values.push(status.as_str().into());
        all.push_str(&format!(" AND o.status = ${}", values.len()));
    }
    if let Some(category) = &filter.category {
        values.push(category.as_str().into());
        all.push_str(&format!(" AND o.category = ${}", values.len()));
    }
    if let Some(area) = filter.area {
        all.push_str(&format!(" AND {}", area_condition("o.area_code", area, values)));
    }
    all
}

fn branches(scope: &Scope, part: Part, values: &mut Vec<Value>) -> Vec<String> {
    let (person, teams, areas) = match scope {
        Scope::County(county) => {
            return vec![format!("orders o WHERE {}", subtree_condition(*county, values))];
        }
        Scope::Actor { person, teams, areas, .. } => (*person, teams, areas),
    };
    let mut branches = Vec::new();
    values.push(person.into());
    let me = values.len();
    if matches!(part, Part::All | Part::Own) {
        branches.push(format!("orders o WHERE o.requester_id = ${me}"));
        branches.push(format!("orders o WHERE o.placed_by = ${me} AND o.placed_by <> o.requester_id"));
    }
    if matches!(part, Part::All | Part::Team) {
        branches.push(format!("engagement g JOIN orders o ON o.id = g.order_id WHERE g.person_id = ${me}"));
        for team in teams {
            values.push((*team).into());
            branches.push(format!(
                "dispatch_decision d JOIN orders o ON o.id = d.order_id WHERE d.team_id = ${}",
                values.len()
            ));
        }
    }
    if matches!(part, Part::All | Part::Area) {
        for area in areas {
            branches.push(format!("orders o WHERE {}", subtree_condition(*area, values)));
        }
    }
    if let (Scope::Actor { departments, .. }, Part::All | Part::Team) = (scope, part) {
        for department in departments {
            values.push((*department).into());
            branches.push(format!(
                "whistle w JOIN orders o ON o.id = w.order_id WHERE w.department_id = ${}",
                values.len()
            ));
        }
    }
    branches
}

/// Orders of a subtree, in the words of the indexes that have them in the order of their ids. A county is the whole.
fn subtree_condition(area: AreaCode, values: &mut Vec<Value>) -> String {
    let digits = match area.level() {
        Level::County => {
            values.push(area.to_string().into());
            return format!("o.county = ${}", values.len());
        }
        Level::Township => 9,
        Level::Village | Level::Grid | Level::MicroGrid => 12,
    };
    values.push(area.as_str()[..digits].into());
    let prefix = format!("substr(o.area_code, 1, {digits}) = ${}", values.len());
    if area.as_str().len() == digits {
        return prefix;
    }
    format!("{prefix} AND {}", area_condition("o.area_code", area, values))
}

/// A decision as it was stored.
#[derive(Clone, Debug, FromQueryResult)]
pub struct DecisionRow {
    /// The epoch that it led to.
    pub epoch: i64,
    /// The team chosen.
    pub team_id: Option<Uuid>,
    /// The volunteer named.
    pub volunteer_id: Option<Uuid>,
    /// Who overruled.
    pub decided_by: Option<Uuid>,
    /// When.
    pub decided_at: DateTime<Utc>,
    /// The policy's question, as JSON.
    pub question: Option<String>,
    /// The policy's answer, as JSON.
    pub answer: String,
}

/// The latest decision about an order.
///
/// # Errors
/// When the database fails.
pub async fn latest_decision(
    conn: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<DecisionRow>, StoreError> {
    let text = "SELECT epoch, team_id, volunteer_id, decided_by, decided_at, question, answer \
                FROM dispatch_decision WHERE order_id = $1 ORDER BY seq DESC LIMIT 1";
    sql::one(conn, text, vec![id.into()]).await
}

/// Reserves `size` order numbers and answers the first. Numbers of a block that is not used up are lost, never reused.
///
/// # Errors
/// When the database fails.
pub async fn reserve_numbers(
    conn: &impl ConnectionTrait,
    county: AreaCode,
    size: i64,
) -> Result<i64, StoreError> {
    #[derive(FromQueryResult)]
    struct Counter {
        value: i64,
    }
    let text = "INSERT INTO counter (county, name, value) VALUES ($1, 'order_number', $2) \
                ON CONFLICT (county, name) DO UPDATE SET value = counter.value + $2 RETURNING value";
    let counter: Option<Counter> = sql::one(conn, text, vec![county.to_string().into(), size.into()]).await?;
    counter.map(|counter| counter.value - size).ok_or_else(|| unreadable("no counter"))
}

/// How many orders stand in each status, for the metrics.
///
/// # Errors
/// When the database fails.
pub async fn open_by_kind(conn: &impl ConnectionTrait) -> Result<HashMap<String, i64>, StoreError> {
    #[derive(FromQueryResult)]
    struct Count {
        kind: String,
        orders: i64,
    }
    let text = "SELECT kind, count(*) AS orders FROM due GROUP BY kind";
    let rows: Vec<Count> = sql::all(conn, text, Vec::new()).await?;
    Ok(rows.into_iter().map(|row| (row.kind, row.orders)).collect())
}
