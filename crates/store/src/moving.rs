//! Writing what was decided about several orders at once, on PostgreSQL: one statement, one commit, one round trip.
//!
//! Its text is the same for one order and for hundreds, an array a column, so that it is prepared once a connection. Each
//! order has its own guard, the version on which it was decided; what belongs to an order that has moved on meanwhile is
//! not written.

use std::collections::HashSet;

use sqlx::Row as _;
use uuid::Uuid;

use crate::StoreError;
use crate::due::Next;
use crate::duty::Answered;
use crate::lanes::{Bound, Lanes, with_room};
use crate::orders::{Change, StoredDecision};
use crate::placing::{bind_due, bind_events, bind_notices, texts};

/// Orders first, locked in the order of their ids (a join alone locks them in whatever order its plan finds them); then
/// what belongs to those that were found at their version. Each list of orders is named twice, as rows and by `ANY`: the
/// plan is made once, and where it was made while there were no orders yet it would else walk through all of them for
/// ever. Histories come last and sorted, one row a person. So two
/// writers never wait for each other in a circle.
const TOGETHER: &str = "WITH given AS (SELECT * FROM unnest($1::uuid[], $2::int8[], $3::text[], $4::int8[], $5::int8[], \
    $6::text[]) AS g (id, seen, status, version, epoch, snapshot)), \
    held AS MATERIALIZED (SELECT orders.id FROM orders JOIN given ON orders.id = given.id \
    AND orders.version = given.seen WHERE orders.id = ANY ($1) ORDER BY orders.id FOR NO KEY UPDATE OF orders), \
    moved AS (UPDATE orders SET status = given.status, version = given.version, epoch = given.epoch, \
    snapshot = given.snapshot FROM given JOIN held ON held.id = given.id WHERE orders.id = given.id \
    AND orders.id = ANY ($1) RETURNING orders.id), \
    events AS (INSERT INTO order_event (order_id, seq, county, at, record) SELECT e.* FROM unnest($7::uuid[], \
    $8::int8[], $9::text[], $10::timestamptz[], $11::text[]) AS e (order_id) \
    WHERE e.order_id IN (SELECT id FROM moved)), \
    next AS (INSERT INTO due (order_id, county, area_code, kind, wake_at, epoch, team_id, volunteer_id, failures) \
    SELECT d.*, 0 FROM unnest($12::uuid[], $13::text[], $14::text[], $15::text[], $16::timestamptz[], $17::int8[], \
    $18::uuid[], $19::uuid[]) AS d (order_id) WHERE d.order_id IN (SELECT id FROM moved) \
    ON CONFLICT (order_id) DO UPDATE SET kind = excluded.kind, wake_at = excluded.wake_at, epoch = excluded.epoch, \
    team_id = excluded.team_id, volunteer_id = excluded.volunteer_id, leased_until = NULL, failures = 0, dead = NULL), \
    notices AS (INSERT INTO notification (order_id, seq, audience, county, topic, data, created_at) SELECT n.* FROM \
    unnest($20::uuid[], $21::int8[], $22::text[], $23::text[], $24::text[], $25::text[], $26::timestamptz[]) \
    AS n (order_id) WHERE n.order_id IN (SELECT id FROM moved) ON CONFLICT DO NOTHING), \
    ended AS (DELETE FROM due WHERE order_id = ANY($27::uuid[]) AND order_id IN (SELECT id FROM moved)), \
    decided AS (INSERT INTO dispatch_decision (order_id, seq, county, epoch, team_id, volunteer_id, decided_by, \
    decided_at, question, answer) SELECT d.* FROM unnest($28::uuid[], $29::int8[], $30::text[], $31::int8[], \
    $32::uuid[], $33::uuid[], $34::uuid[], $35::timestamptz[], $36::text[], $37::text[]) AS d (order_id) \
    WHERE d.order_id IN (SELECT id FROM moved)), \
    answers AS (INSERT INTO answer_history (owner_id, county, accepts, waited_seconds, offered_at) \
    SELECT a.owner_id, a.county, sum(a.accepts)::int8, sum(a.waited_seconds)::int8, max(a.offered_at) \
    FROM unnest($38::uuid[], $39::uuid[], $40::text[], $41::int8[], $42::int8[], $43::timestamptz[]) \
    AS a (order_id, owner_id, county, accepts, waited_seconds, offered_at) \
    WHERE a.order_id IN (SELECT id FROM moved) GROUP BY a.owner_id, a.county ORDER BY a.owner_id \
    ON CONFLICT (owner_id) DO UPDATE SET accepts = answer_history.accepts + excluded.accepts, \
    waited_seconds = answer_history.waited_seconds + excluded.waited_seconds, \
    offered_at = coalesce(excluded.offered_at, answer_history.offered_at)) \
    SELECT id FROM moved";

/// Writes plain changes together and answers which were written.
pub(crate) async fn move_together(lanes: &Lanes, mut changes: Vec<Change>) -> Result<Vec<bool>, StoreError> {
    let asked: Vec<Uuid> = changes.iter().map(|change| change.after.order.id).collect();
    changes.sort_unstable_by_key(|change| change.after.order.id);
    let query = bind_all(&changes)?;
    // It is written out: a round's decisions need not be there twice while the database works.
    drop(changes);
    let moved: HashSet<Uuid> = lanes.fetch_all(query).await?.iter().map(|row| row.get(0)).collect();
    Ok(asked.iter().map(|order| moved.contains(order)).collect())
}

fn bind_all(changes: &[Change]) -> Result<Bound, StoreError> {
    let snapshots = texts(changes.iter().map(|change| &change.after.order))?;
    let records = texts(changes.iter().flat_map(|change| &change.records))?;
    let query = bind_guards(with_room(TOGETHER, 43, size(changes, &snapshots, &records)), changes, snapshots);
    let query = bind_events(query, changes, records);
    let query = bind_due(query, changes);
    let query = bind_notices(query, changes);
    let over = changes.iter().map(|change| &change.after.order).filter(|order| Next::of(order).is_none());
    let query = query.bind(over.map(|order| order.id).collect::<Vec<_>>());
    let query = bind_decisions(query, changes);
    Ok(bind_answers(query, changes))
}

/// About how many bytes the parameters take: the long texts, and what the rest of an order comes to.
fn size(changes: &[Change], snapshots: &[String], records: &[String]) -> usize {
    let decisions = changes.iter().filter_map(|change| change.decision.as_ref());
    let decided = decisions.map(|one| one.question.as_ref().map_or(0, String::len) + one.answer.len());
    let written = snapshots.iter().chain(records).map(String::len);
    decided.chain(written).sum::<usize>() + changes.len() * REST_OF_AN_ORDER + 4_096
}

/// Bytes of its ids, moments and messages.
const REST_OF_AN_ORDER: usize = 2_048;

fn bind_guards(query: Bound, changes: &[Change], snapshots: Vec<String>) -> Bound {
    let all = || changes.iter().map(|change| &change.after.order);
    query
        .bind(all().map(|order| order.id).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.before_version).collect::<Vec<_>>())
        .bind(all().map(|order| order.status().as_str()).collect::<Vec<_>>())
        .bind(all().map(|order| order.version).collect::<Vec<_>>())
        .bind(all().map(|order| order.epoch).collect::<Vec<_>>())
        .bind(snapshots)
}

fn bind_decisions(query: Bound, changes: &[Change]) -> Bound {
    let all: Vec<(&Change, &StoredDecision)> =
        changes.iter().filter_map(|change| Some((change, change.decision.as_ref()?))).collect();
    let orders = || all.iter().map(|(change, _)| &change.after.order);
    let decisions = || all.iter().map(|(_, decision)| *decision);
    query
        .bind(orders().map(|order| order.id).collect::<Vec<_>>())
        .bind(orders().map(|order| order.version).collect::<Vec<_>>())
        .bind(orders().map(|order| order.county().to_string()).collect::<Vec<_>>())
        .bind(decisions().map(|decision| decision.epoch).collect::<Vec<_>>())
        .bind(decisions().map(|decision| decision.team).collect::<Vec<_>>())
        .bind(decisions().map(|decision| decision.volunteer).collect::<Vec<_>>())
        .bind(decisions().map(|decision| decision.decided_by).collect::<Vec<_>>())
        .bind(decisions().map(|decision| decision.decided_at).collect::<Vec<_>>())
        .bind(decisions().map(|decision| decision.question.as_deref()).collect::<Vec<_>>())
        .bind(decisions().map(|decision| decision.answer.as_str()).collect::<Vec<_>>())
}

fn bind_answers(query: Bound, changes: &[Change]) -> Bound {
    let all: Vec<(&Change, &Answered)> =
        changes.iter().flat_map(|change| change.answered.iter().map(move |one| (change, one))).collect();
    let answers = || all.iter().map(|(_, one)| *one);
    query
        .bind(all.iter().map(|(change, _)| change.after.order.id).collect::<Vec<_>>())
        .bind(answers().map(|one| one.owner).collect::<Vec<_>>())
        .bind(all.iter().map(|(change, _)| change.after.order.county().to_string()).collect::<Vec<_>>())
        .bind(answers().map(|one| one.accepts).collect::<Vec<_>>())
        .bind(answers().map(|one| one.waited_seconds).collect::<Vec<_>>())
        .bind(answers().map(|one| one.offered_at).collect::<Vec<_>>())
}
