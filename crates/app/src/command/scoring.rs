//! What a change earns: the bookings that go with it, what guards note of it, and what was read along for both.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use xingfuma_domain::order::{Completion, Event, Order, Rating, Record};
use xingfuma_domain::scoring::{
    Award, CompletedFacts, RatedFacts, Stretch, china_date, on_completed, on_rated,
};
use xingfuma_store::ledger::{self, Booking};
use xingfuma_store::orders::{self, Change, Engaged, Known};
use xingfuma_store::served::{Rated, Service, Watched};

use crate::{App, AppError};

impl App {
    /// The bookings of points that go with the events of a change.
    pub(super) async fn bookings(
        &self,
        before: &Order,
        after: &Order,
        records: &[Record],
    ) -> Result<Vec<Booking>, AppError> {
        let mut bookings = Vec::new();
        for record in records {
            match &record.event {
                // The work was done, and scored, for the order that this one followed.
                Event::Completed { .. } | Event::Rated { .. } if after.merged_into.is_some() => {}
                Event::Completed { .. } | Event::Rated { .. } => {
                    bookings.extend(self.awards(after, record).await?)
                }
                Event::Reopened { .. } => {
                    bookings.push(Booking::HoldOrder { id: self.new_id(), order: after.id, at: record.at });
                }
                Event::Closed | Event::Cancelled { .. } if after.reopened > 0 => {
                    bookings.push(self.settlement(before, after, record));
                }
                _ => {}
            }
        }
        Ok(bookings)
    }

    fn settlement(&self, before: &Order, after: &Order, record: &Record) -> Booking {
        let completion = after.completion().cloned();
        // By which rules the last round scores, as if it were the first.
        let mut last = after.clone();
        last.reopened = 0;
        let awards = completion.as_ref().map(|done| self.completed_awards(&last, done, Vec::new()));
        let rating = before.rating().zip(completion.as_ref());
        let rated =
            rating.map(|(rating, done)| self.rated_awards(&last, done, rating, record.at, Vec::new()));
        let earned = awards.into_iter().chain(rated).flatten().map(|award| award.rule_code).collect();
        let completion = completion.map(Box::new);
        Booking::SettleOrder { id: self.new_id(), order: after.id, at: record.at, completion, earned }
    }

    fn completed_awards(
        &self,
        order: &Order,
        completion: &Completion,
        scored: Vec<(String, Uuid)>,
    ) -> Vec<Award> {
        let facts = CompletedFacts {
            order_id: order.id,
            volunteer: completion.engagement.volunteer,
            area: order.placed.area,
            at: completion.completed_at,
            complete_due: Some(completion.engagement.complete_by),
            minutes: completion.minutes,
            urgency: order.placed.urgency,
            reopened: order.reopened,
            scored,
        };
        on_completed(&self.rules, &facts)
    }

    fn rated_awards(
        &self,
        order: &Order,
        completion: &Completion,
        rating: &Rating,
        at: DateTime<Utc>,
        scored: Vec<(String, Uuid)>,
    ) -> Vec<Award> {
        let facts = RatedFacts {
            order_id: order.id,
            volunteer: completion.engagement.volunteer,
            area: order.placed.area,
            at,
            stars: rating.stars,
            solved: rating.solved,
            on_time: completion.on_time,
            minutes: completion.minutes,
            urgency: order.placed.urgency,
            reopened: order.reopened,
            scored,
        };
        on_rated(&self.rules, &facts)
    }

    async fn awards(&self, order: &Order, record: &Record) -> Result<Vec<Booking>, AppError> {
        let Some(completion) = order.completion() else { return Ok(Vec::new()) };
        let scored = match order.reopened {
            0 => Vec::new(),
            _ => ledger::scored(self.store.pool(), order.id).await?,
        };
        let awards = match &record.event {
            Event::Rated { rating, .. } => self.rated_awards(order, completion, rating, record.at, scored),
            _ => self.completed_awards(order, completion, scored),
        };
        Ok(awards
            .into_iter()
            .map(|award| Booking::Award { id: self.new_id(), award: Box::new(award) })
            .collect())
    }
}

/// What guards note of an event. The work of an order that followed another one was done, and noted, for that one.
pub(super) fn watched(order: &Order, record: &Record) -> Option<Watched> {
    let completion = order.completion().filter(|_| order.merged_into.is_none())?;
    let promise = &completion.engagement;
    match &record.event {
        Event::Completed { .. } => {
            let at = completion.completed_at;
            let begun = promise.arrived_at.unwrap_or(promise.accepted_at).max(at - orders::SERVICE_LONGEST);
            Some(Watched::Service(Service {
                order: order.id,
                round: order.reopened,
                county: order.county(),
                person: promise.volunteer,
                window: Stretch::between(begun, at),
                minutes: completion.minutes,
                own: promise.volunteer == order.placed.requester,
            }))
        }
        Event::Rated { .. } => Some(Watched::Rating(Rated {
            order: order.id,
            county: order.county(),
            volunteer: promise.volunteer,
            requester: order.placed.requester,
            at: record.at,
        })),
        _ => None,
    }
}

/// What was used up of the caps of a change's one award, and what guards go by, if both were read along with the order.
pub(super) fn known(change: &Change, engaged: Option<&Engaged>) -> Option<Known> {
    let person = match change.watched.as_ref()? {
        Watched::Service(service) => service.person,
        Watched::Rating(rated) => rated.volunteer,
    };
    // Without a day none of it was read.
    let read = engaged.filter(|engaged| engaged.person == person && engaged.day.is_some())?;
    let mut known = Known { so_far: read.so_far.clone(), ..Known::default() };
    if let [Booking::Award { award, .. }] = change.scoring.as_slice() {
        if award.person != person || read.day != Some(china_date(award.at)) {
            return None;
        }
        for counter in award.counters() {
            let of_it =
                |(key, _): &&((String, String), i64)| *key == (counter.code.clone(), counter.window.clone());
            if let Some((_, points)) = read.used.iter().find(of_it) {
                known.used.note(counter.span, *points);
                known.counted = true;
            }
        }
    }
    Some(known)
}
