//! Who asks, and the order that he asks about: one look at the database for both, and for all who ask at the same time.
//!
//! The scope is the one of [`crate::scope`], written out over the session's own rows instead of over an actor who is not
//! known yet; a test holds the two against each other.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use sea_orm::{FromQueryResult, QueryResult};
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};
use uuid::Uuid;

use crate::lanes::Lanes;
use crate::orders::{self, Earning, Places, WHOLE, WholeOrder, WholeRow, whole_columns};
use crate::scope::Scope;
use crate::sessions::{self, LIVE, LiveRow, LiveSession, live_columns, live_session, team_text};
use crate::{Store, StoreError, unreadable};

/// A session, and the order that its request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asking {
    /// The session.
    pub session: Uuid,
    /// The order.
    pub order: Uuid,
    /// What is read along of whoever accepted it, where points may come of the request.
    pub earning: Option<Earning>,
}

/// What was found: nobody without a live session; no order where it is not there for him.
pub type Found = Option<(LiveSession, Option<WholeOrder>)>;

/// Reads sessions with their orders, in the order of the questions: one round trip for all of them on PostgreSQL.
///
/// # Errors
/// When the database fails or a row cannot be read.
pub async fn live_with_orders(
    store: &Store,
    questions: &[Asking],
    now: DateTime<Utc>,
) -> Result<Vec<Found>, StoreError> {
    if let Some(lanes) = store.lanes() {
        return together(lanes, questions, now).await;
    }
    let mut found = Vec::with_capacity(questions.len());
    for asking in questions {
        found.push(match sessions::live(store, asking.session, now).await? {
            Some(session) => {
                let scope = Scope::of(&session.actor);
                let order = orders::find_whole(store.pool(), &scope, asking.order, asking.earning).await?;
                Some((session, order))
            }
            None => None,
        });
    }
    Ok(found)
}

async fn together(lanes: &Lanes, questions: &[Asking], now: DateTime<Utc>) -> Result<Vec<Found>, StoreError> {
    let sessions: Vec<Uuid> = questions.iter().map(|asking| asking.session).collect();
    let ids: Vec<Uuid> = questions.iter().map(|asking| asking.order).collect();
    let earning: Vec<Option<Earning>> = questions.iter().map(|asking| asking.earning).collect();
    let months: Vec<Option<String>> = earning.iter().map(|one| one.map(Earning::month)).collect();
    let days: Vec<Option<String>> = earning.iter().map(|one| one.map(|one| one.day.to_string())).collect();
    let since: Vec<Option<i64>> = earning.iter().map(|one| one.map(|one| one.since_ms)).collect();
    let rows = lanes
        .run(move |connection| {
            let query = sqlx::query(TEXT.clone()).bind(sessions).bind(now).bind(ids);
            let query = query.bind(months).bind(days).bind(since);
            Box::pin(async move { query.fetch_all(connection).await })
        })
        .await?;
    let mut found: Vec<Found> = questions.iter().map(|_| None).collect();
    for row in rows {
        let row: QueryResult = row.into();
        let nth: i64 = row.try_get("", "nth")?;
        let nth = usize::try_from(nth - 1).map_err(unreadable)?;
        let Some(session) = live_session(LiveRow::from_query_result(&row, "")?)? else { continue };
        let there: Option<i64> = row.try_get("", "order_number")?;
        let order = match there {
            Some(_) => Some(WholeRow::from_query_result(&row, "order_")?.whole(earning[nth])?),
            None => None,
        };
        found[nth] = Some((session, order));
    }
    Ok(found)
}

/// Where a question has what is read along with its order.
const PLACES: Places =
    Places { month: "q.month", day: "q.day", order: "q.order_id::text", since_ms: "q.since_ms" };

/// Each question with its session, and the order if it is within the scope of that session's person.
static TEXT: LazyLock<SqlStr> = LazyLock::new(|| {
    let (live, order) = (live_columns(team_text(true)), whole_columns("order_", &PLACES));
    AssertSqlSafe(format!(
        "SELECT q.nth, {live}, {order} FROM unnest($1::uuid[], $3::uuid[], $4::text[], $5::text[], $6::int8[]) \
         WITH ORDINALITY AS q (session_id, order_id, month, day, since_ms, nth) JOIN session s ON s.id = q.session_id \
         JOIN person p ON p.id = s.person_id LEFT JOIN ({WHOLE}) ON o.id = q.order_id AND o.county = s.county \
         AND {WITHIN} WHERE {LIVE}"
    ))
    .into_sql_str()
});

/// `orders o` is within the scope of `session s`, as [`Scope::of`] has it for the session's actor.
const WITHIN: &str = "(o.requester_id = s.person_id OR o.placed_by = s.person_id \
    OR EXISTS (SELECT 1 FROM engagement g WHERE g.person_id = s.person_id AND g.order_id = o.id) \
    OR EXISTS (SELECT 1 FROM role_grant g WHERE g.person_id = s.person_id AND g.revoked_at IS NULL AND ( \
    (g.role IN ('dispatcher', 'county_admin', 'auditor') AND starts_with(o.area_code, g.area_code)) \
    OR (g.role <> 'department' AND EXISTS (SELECT 1 FROM dispatch_decision d WHERE d.order_id = o.id \
    AND d.team_id = g.team_id)) \
    OR (g.role = 'department' AND EXISTS (SELECT 1 FROM whistle w WHERE w.order_id = o.id \
    AND w.department_id = g.team_id)))))";
