//! Writing what a command changes: on PostgreSQL one statement, on SQLite one transaction of several.
//!
//! The parts are the same on both: the guarded update of the order, then rows that belong to it. PostgreSQL gets them
//! as one data-modifying `WITH`, which is a transaction by itself and costs one round trip; SQLite has no such
//! statement and no round trips, and gets them one after another. A crash leaves all of it or nothing.
//!
//! Points are different: what they come to can depend on what is booked meanwhile. An award whose cap was read with the
//! order goes along in the one statement, which insists that the cap still stands there; when it does not, and for all
//! other points, the ledger's statements follow in the same transaction. So they do where photos prove a service: whether
//! they were used before is looked up behind them.

use std::collections::HashSet;

use sea_orm::{ConnectionTrait, DatabaseBackend, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::media::Purpose;
use xingfuma_domain::order::{Event, State};
use xingfuma_domain::picture::Look;

use crate::ledger::{Booking, within};
use crate::media::Attachment;
use crate::orders::Change;
use crate::proofs::Proof;
use crate::served::Watched;
use crate::sql::{self, Rows, Together};
use crate::{
    Store, StoreError, audit, due, duty, idempotency, ledger, media, moving, proofs, served, transact,
    unreadable, whistles,
};

/// Writes a command's change in a transaction of its own: all of it, or nothing.
///
/// # Errors
/// [`StoreError::Conflict`] when the version has moved on, [`StoreError::Twin`] when the key is taken,
/// [`StoreError::Full`] when somebody would hold more than he may.
pub async fn write(store: &Store, change: Change) -> Result<(), StoreError> {
    // One statement is a transaction; a lane is never inside another one.
    if let Some(lanes) = store.lanes()
        && change.media.is_none()
        && let Some(together) = all_in_one(&change)?
    {
        match run_together(lanes, &change, together).await {
            Err(error) if sql::was_not_so(&error) => {}
            done => return done,
        }
    }
    transact(store, move |conn| {
        Box::pin(async move {
            queue_up_for_photos(conn, [&change]).await?;
            update(conn, &change).await
        })
    })
    .await
}

/// The photos that prove a service, if its guard looks at them.
fn proof(change: &Change) -> Option<&Attachment> {
    let watched = matches!(change.watched, Some(Watched::Service(_))) && change.guards.photo_days > 0;
    change.media.as_ref().filter(|attachment| watched && attachment.purpose == Purpose::Completed)
}

/// Lets services with photos come one after the other, before anything else of theirs is locked: of two that are completed
/// at one moment with one photo, the second must find the first.
pub(crate) async fn queue_up_for_photos<'a>(
    conn: &impl ConnectionTrait,
    changes: impl IntoIterator<Item = &'a Change>,
) -> Result<(), StoreError> {
    let proving = changes.into_iter().find(|change| proof(change).is_some());
    match proving.map(|change| change.after.order.county()) {
        Some(county) => proofs::queue_up(conn, county).await,
        None => Ok(()),
    }
}

/// Writes changes of different orders in one transaction, each under its own guard, and answers which were written: an
/// order that has moved on is left out, so that it never fails its neighbours. For commands of the queue and of time;
/// nothing else of a person's command may hang on it: no points, no answer under a key, no place that could be full.
///
/// # Errors
/// When the database fails; then nothing is written.
pub async fn write_all(store: &Store, changes: Vec<Change>) -> Result<Vec<bool>, StoreError> {
    if changes.iter().any(|change| !change.is_plain()) {
        return Err(unreadable("a change that is not to be written with others"));
    }
    if let Some(lanes) = store.lanes() {
        return moving::move_together(lanes, changes).await;
    }
    transact(store, move |conn| {
        Box::pin(async move {
            let found = guard_all(conn, &changes).await?;
            let is_moved = |change: &&Change| found.contains(&change.after.order.id);
            write_parts_together(conn, &changes.iter().filter(is_moved).collect::<Vec<_>>()).await?;
            Ok(changes.iter().map(|change| is_moved(&change)).collect())
        })
    })
    .await
}

/// What belongs to plain changes whose guards have found their orders, a statement a table: for SQLite, where a statement
/// costs more than a row.
async fn write_parts_together(conn: &impl ConnectionTrait, moved: &[&Change]) -> Result<(), StoreError> {
    let (mut follow, mut answers) = (Rows::new(9), Rows::new(5));
    for change in moved {
        if let Some(row) = due::row(&change.after.order) {
            follow.push(row);
        }
        // Somebody may come twice: one row after the other adds to his history.
        answers.append(duty::answers(change.after.order.county(), &change.answered));
    }
    let parts = [
        events(moved.iter().copied())?,
        Part { rows: follow, into: due::INTO, tail: due::FOLLOW },
        decisions(moved.iter().copied()),
        notifications(moved.iter().copied()),
        Part { rows: answers, into: duty::ANSWERS, tail: duty::ADD_ANSWERS },
    ];
    for part in parts {
        part.rows.insert(conn, part.into, part.tail).await?;
    }
    for over in moved.iter().filter(|change| due::Next::of(&change.after.order).is_none()) {
        sql::run(conn, due::END, vec![over.after.order.id.into()]).await?;
    }
    Ok(())
}

/// Writes a command's change inside a transaction: the answer under its key, the guarded update, events, timer,
/// decision, notifications, points. Nothing is written when somebody else was faster.
///
/// # Errors
/// [`StoreError::Conflict`] when the version has moved on, [`StoreError::Twin`] when the key is taken,
/// [`StoreError::Full`] when somebody would hold more than he may.
pub async fn update(conn: &impl ConnectionTrait, change: &Change) -> Result<(), StoreError> {
    match conn.get_database_backend() {
        DatabaseBackend::Postgres => run_together(conn, change, together(change)?).await?,
        _ => update_one_by_one(conn, change).await?,
    }
    let order = &change.after.order;
    let looks = match &change.media {
        Some(attachment) => media::attach(conn, order.county(), order.id, attachment).await?,
        None => Vec::new(),
    };
    let reason = match &change.watched {
        Some(watched) => {
            let reused = is_used_again(conn, change, &looks).await?;
            served::record(conn, watched, &change.guards, reused).await?
        }
        None => None,
    };
    for booking in &change.scoring {
        ledger::book(conn, &booking.looked_at(reason)).await?;
    }
    Ok(())
}

/// Whether photos that prove a service look like those that proved something else.
async fn is_used_again(
    conn: &impl ConnectionTrait,
    change: &Change,
    looks: &[Look],
) -> Result<bool, StoreError> {
    let Some(photos) = proof(change) else { return Ok(false) };
    let Some(since) = change.guards.photos_since(photos.at) else { return Ok(false) };
    let order = &change.after.order;
    let proof = Proof { county: order.county(), of: order.id, looks, since, at: photos.at };
    proofs::proved_before(conn, proof).await
}

/// The change as one statement, with its points and what guards note, if they can go along: what they rest on was read
/// with the order, and the statement insists that it still stands there.
fn all_in_one(change: &Change) -> Result<Option<Together>, StoreError> {
    let award = match change.scoring.as_slice() {
        [] => None,
        [Booking::Award { id, award }] => Some((*id, award)),
        _ => return Ok(None),
    };
    let mut together = together(change)?;
    if award.is_none() && change.watched.is_none() {
        return Ok(Some(together));
    }
    let Some(known) = &change.known else { return Ok(None) };
    let watched = change.watched.as_ref();
    let reason =
        watched.and_then(|watched| served::add(&mut together, watched, &known.so_far, &change.guards));
    let goes_along = match award {
        Some((id, award)) => {
            let award = match reason {
                Some(reason) => (**award).clone().held_for(reason),
                None => (**award).clone(),
            };
            within::add(&mut together, id, &award, known)?
        }
        None => true,
    };
    Ok(goes_along.then_some(together))
}

fn together(change: &Change) -> Result<Together, StoreError> {
    let (mut text, mut values) = guard(change)?;
    if let Some((taker, at_most)) = change.at_most {
        text.push_str(" AND NOT would_hold_too_many($7, $5, $8)");
        values.extend([taker.into(), at_most.into()]);
    }
    let mut together = Together::guarded_by(&text, values);
    // Without `ON CONFLICT`: a key that is taken fails the statement as a whole.
    together.insert(idempotency::rows(change.answer.as_ref()), idempotency::INTO, "");
    for part in parts(change)? {
        together.insert(part.rows, part.into, part.tail);
    }
    if due::Next::of(&change.after.order).is_none() {
        together.delete("due", "order_id", change.after.order.id.into());
    }
    Ok(together)
}

async fn run_together(
    conn: &impl ConnectionTrait,
    change: &Change,
    together: Together,
) -> Result<(), StoreError> {
    match together.run(conn).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(why_not(conn, change).await?),
        Err(error) if idempotency::is_taken(&error) => Err(StoreError::Twin),
        Err(error) => Err(error),
    }
}

/// Why the guard found nothing: the order has moved on, or its taker holds as many as he may.
async fn why_not(conn: &impl ConnectionTrait, change: &Change) -> Result<StoreError, StoreError> {
    #[derive(FromQueryResult)]
    struct Stands {
        version: i64,
    }
    if change.at_most.is_none() {
        return Ok(StoreError::Conflict);
    }
    let text = "SELECT version FROM orders WHERE id = $1";
    let stands: Option<Stands> = sql::one(conn, text, vec![change.after.order.id.into()]).await?;
    let unmoved = stands.is_some_and(|stands| stands.version == change.before_version);
    Ok(if unmoved { StoreError::Full } else { StoreError::Conflict })
}

async fn update_one_by_one(conn: &impl ConnectionTrait, change: &Change) -> Result<(), StoreError> {
    if !idempotency::insert_all(conn, [change.answer.as_ref()]).await?.is_empty() {
        return Err(StoreError::Twin);
    }
    if let Some((taker, at_most)) = change.at_most
        && duty::would_hold_too_many(conn, taker, change.after.order.id, at_most).await?
    {
        return Err(StoreError::Full);
    }
    let (text, values) = guard(change)?;
    sql::change_one(conn, &text, values).await?;
    for part in parts(change)? {
        part.rows.insert(conn, part.into, part.tail).await?;
    }
    if due::Next::of(&change.after.order).is_none() {
        sql::run(conn, due::END, vec![change.after.order.id.into()]).await?;
    }
    Ok(())
}

/// The update that finds the order at the version on which the command was decided, or nothing.
fn guard(change: &Change) -> Result<(String, Vec<Value>), StoreError> {
    let text = "UPDATE orders SET status = $1, version = $2, epoch = $3, snapshot = $4 WHERE id = $5 AND version = $6";
    Ok((text.to_owned(), guarded(change)?.into()))
}

/// What the guard writes, and where it must find it: status, version, epoch, snapshot; id, and the version before.
fn guarded(change: &Change) -> Result<[Value; 6], StoreError> {
    let order = &change.after.order;
    Ok([
        order.status().as_str().into(),
        order.version.into(),
        order.epoch.into(),
        serde_json::to_string(order).map_err(unreadable)?.into(),
        order.id.into(),
        change.before_version.into(),
    ])
}

/// The guards of changes of different orders, for SQLite; answers which orders they found.
async fn guard_all(conn: &impl ConnectionTrait, changes: &[Change]) -> Result<HashSet<Uuid>, StoreError> {
    #[derive(FromQueryResult)]
    struct Found {
        id: Uuid,
    }
    let mut rows = Rows::new(6);
    for change in changes {
        rows.push(guarded(change)?);
    }
    let found: Vec<Found> = rows.given_to(conn, GUARDED, GUARDS).await?;
    Ok(found.into_iter().map(|order| order.id).collect())
}

/// What [`guarded`] gives, by name, and what is done with it.
pub(crate) const GUARDED: &str = "status, version, epoch, snapshot, id, known";
pub(crate) const GUARDS: &str = "UPDATE orders SET status = given.status, version = given.version, epoch = given.epoch, \
    snapshot = given.snapshot FROM given WHERE orders.id = given.id AND orders.version = given.known \
    RETURNING orders.id AS id";

/// Rows for one table.
pub(crate) struct Part {
    pub(crate) rows: Rows,
    pub(crate) into: &'static str,
    pub(crate) tail: &'static str,
}

fn parts(change: &Change) -> Result<Vec<Part>, StoreError> {
    let mut follow = Rows::new(9);
    if let Some(row) = due::row(&change.after.order) {
        follow.push(row);
    }
    let mut parts = vec![
        events([change])?,
        Part { rows: follow, into: due::INTO, tail: due::FOLLOW },
        decisions([change]),
        engagement(change),
        notifications([change]),
        whistles::rows(change),
        Part {
            rows: duty::answers(change.after.order.county(), &change.answered),
            into: duty::ANSWERS,
            tail: duty::ADD_ANSWERS,
        },
    ];
    if let Some(entry) = &change.disclosure {
        parts.push(Part { rows: audit::rows(std::slice::from_ref(entry)), into: audit::INTO, tail: "" });
    }
    parts.retain(|part| !part.rows.is_empty());
    Ok(parts)
}

/// The events of changes, numbered on from the version before each.
pub(crate) fn events<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Result<Part, StoreError> {
    let mut rows = Rows::new(5);
    for change in changes {
        for (seq, record) in (change.before_version + 1..).zip(&change.records) {
            rows.push([
                change.after.order.id.into(),
                seq.into(),
                change.after.order.county().to_string().into(),
                record.at.into(),
                serde_json::to_string(record).map_err(unreadable)?.into(),
            ]);
        }
    }
    Ok(Part { rows, into: "order_event (order_id, seq, county, at, record)", tail: "" })
}

pub(crate) fn decisions<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Part {
    let mut rows = Rows::new(10);
    for change in changes {
        let (order, Some(decision)) = (&change.after.order, &change.decision) else { continue };
        rows.push([
            order.id.into(),
            order.version.into(),
            order.county().to_string().into(),
            decision.epoch.into(),
            decision.team.into(),
            decision.volunteer.into(),
            decision.decided_by.into(),
            decision.decided_at.into(),
            decision.question.clone().into(),
            decision.answer.clone().into(),
        ]);
    }
    let into = "dispatch_decision (order_id, seq, county, epoch, team_id, volunteer_id, decided_by, decided_at, \
                question, answer)";
    Part { rows, into, tail: "" }
}

fn engagement(change: &Change) -> Part {
    let order = &change.after.order;
    let accepted = change.records.iter().any(|record| matches!(record.event, Event::Accepted { .. }));
    let mut rows = Rows::new(6);
    if let (true, State::Accepted { engagement }) = (accepted, &order.state) {
        rows.push([
            engagement.volunteer.into(),
            order.id.into(),
            order.epoch.into(),
            order.county().to_string().into(),
            engagement.team.into(),
            engagement.accepted_at.into(),
        ]);
    }
    let into = "engagement (person_id, order_id, epoch, county, team_id, accepted_at)";
    Part { rows, into, tail: "ON CONFLICT DO NOTHING" }
}

/// Who is to be told.
pub(crate) fn notifications<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Part {
    let mut rows = Rows::new(7);
    for change in changes {
        let Some(at) = change.records.last().map(|record| record.at) else { continue };
        let order = &change.after.order;
        for told in &change.notifications {
            rows.push([
                told.about.unwrap_or(order.id).into(),
                order.version.into(),
                told.audience.clone().into(),
                order.county().to_string().into(),
                told.topic.into(),
                told.data.clone().into(),
                at.into(),
            ]);
        }
    }
    let into = "notification (order_id, seq, audience, county, topic, data, created_at)";
    Part { rows, into, tail: "ON CONFLICT DO NOTHING" }
}
