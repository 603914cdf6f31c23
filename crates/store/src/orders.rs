//! Orders: their rows, their events, and the one way in which both change.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::area::{AreaCode, Level};
use xingfuma_domain::order::{Event, Order, Record, Status};
use xingfuma_domain::scoring::YearMonth;

use crate::audit::AuditEntry;
use crate::scope::{Scope, area_condition};
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
    /// `person:ID`, `team:ID`, or `station:AREA` (the dispatchers of that area).
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
    /// Points of the one award's rule that its month had used up when the order was read, if that is known.
    pub used_in_month: Option<i64>,
    /// The answer to keep under the caller's key.
    pub answer: Option<idempotency::Answer>,
    /// Personal data that the command opens to somebody.
    pub disclosure: Option<AuditEntry>,
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
                    | Event::Completed { .. }
                    | Event::Cancelled { .. }
            )
        };
        self.at_most.is_none()
            && self.scoring.is_empty()
            && self.answer.is_none()
            && self.disclosure.is_none()
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
    /// The month that was asked for.
    pub month: Option<YearMonth>,
    /// Points of rules with a cap that were used up in it, by the rule's code.
    pub used: Vec<(String, i64)>,
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
}

impl WholeRow {
    /// The order; `month` is the one whose used caps were asked for.
    pub(crate) fn whole(self, month: Option<YearMonth>) -> Result<WholeOrder, StoreError> {
        let records = serde_json::from_str(self.records.as_deref().unwrap_or("[]")).map_err(unreadable)?;
        let engaged = self.engaged.zip(self.engaged_surname).map(|(person, surname)| Engaged {
            person,
            surname,
            month,
            used: self.used.as_deref().map(pairs).unwrap_or_default(),
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

/// What a whole order is read as, each column's name begun with `prefix`; `month` is a placeholder.
pub(crate) fn whole_columns(prefix: &str, month: &str) -> String {
    let of_order = ["number", "snapshot", "description", "private", "wished_from", "wished_to"];
    let of_order = of_order.map(|name| format!("o.{name} AS {prefix}{name}")).join(", ");
    format!(
        "{of_order}, r.data_key AS {prefix}requester_key, r.private AS {prefix}requester_private, \
         (SELECT '[' || string_agg(e.record, ',' ORDER BY e.seq) || ']' FROM order_event e \
         WHERE e.order_id = o.id) AS {prefix}records, v.id AS {prefix}engaged, v.surname AS {prefix}engaged_surname, \
         (SELECT string_agg(c.rule_code || '=' || c.points, ';') FROM score_cap c \
         WHERE c.person_id = v.id AND c.month = {month}) AS {prefix}used"
    )
}

/// One order with its events, if the scope reaches it; with `month`, also what the volunteer has used of his caps in it.
///
/// # Errors
/// When the database fails or the row cannot be read.
pub async fn find_whole(
    conn: &impl ConnectionTrait,
    scope: &Scope,
    id: Uuid,
    month: Option<YearMonth>,
) -> Result<Option<WholeOrder>, StoreError> {
    let mut values = vec![id.into(), month.map(|month| month.to_string()).into()];
    let condition = scope.condition(&mut values);
    let columns = whole_columns("", "$2");
    let text = format!("SELECT {columns} FROM {WHOLE} WHERE o.id = $1 AND {condition}");
    sql::one::<WholeRow>(conn, &text, values).await?.map(|row| row.whole(month)).transpose()
}

/// `609=3;610=5`, as the statement puts it together.
fn pairs(text: &str) -> Vec<(String, i64)> {
    let pair =
        |text: &str| text.rsplit_once('=').and_then(|(code, n)| Some((code.to_owned(), n.parse().ok()?)));
    text.split(';').filter_map(pair).collect()
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

/// A page of orders, newest first: at most `limit` with an id below `before`.
///
/// # Errors
/// When the database fails or a row cannot be read.
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
    sql::all::<Row>(conn, &text, values).await?.into_iter().map(StoredOrder::try_from).collect()
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
