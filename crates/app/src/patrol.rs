//! 走访巡查: a volunteer walks his grid, notes what he visited, and reports the hazards that he finds. A hazard becomes an
//! order of kind `report`, placed like any other.

use std::sync::Arc;

use uuid::Uuid;
use xingfuma_domain::access::{Action, allow};
use xingfuma_domain::order::{Channel, Kind};
use xingfuma_domain::scoring::{PatrolledFacts, Stretch, on_patrolled};
use xingfuma_store::ledger::{self, Booking};
use xingfuma_store::patrols::{self, NoteRow, PatrolRow};
use xingfuma_store::served::{self, Service};
use xingfuma_store::{StoreError, idempotency, people, transact};

use crate::command::{Keyed, Render, Reply};
use crate::limits::Address;
use crate::place::{ADDRESS_LONGEST, PlaceRequest};
use crate::text::Fields;
use crate::{App, AppError, Caller};

/// Longest note or summary, in characters.
const NOTE_LONGEST: usize = 500;
/// A patrol that was forgotten counts for so long at the most, in minutes.
const PATROL_LONGEST_MINUTES: i64 = 12 * 60;

/// A hazard that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hazard {
    /// The category's code; one of kind `report`.
    pub category: String,
    /// What it is.
    pub description: String,
    /// Where exactly.
    pub address: Option<String>,
}

/// Turns a patrol into an answer.
pub type RenderPatrol = Arc<dyn Fn(&PatrolRow) -> (u16, Vec<u8>) + Send + Sync>;
/// Turns a note into an answer.
pub type RenderNote = Arc<dyn Fn(&NoteRow) -> (u16, Vec<u8>) + Send + Sync>;

impl App {
    /// Begins a patrol of the caller's own grid.
    ///
    /// # Errors
    /// [`AppError::Forbidden`] for whoever is no volunteer; [`AppError::Conflict`] `on_patrol` when he walks one.
    pub async fn begin_patrol(
        &self,
        caller: &Caller,
        keyed: Option<&Keyed>,
        render: RenderPatrol,
    ) -> Result<Reply, AppError> {
        let (county, person) = (self.settings.county, caller.actor.person);
        let grid = people::grid_of(self.store.pool(), county, person).await?.ok_or(AppError::Forbidden)?;
        if let Some(reply) = self.replay(keyed).await? {
            return Ok(reply);
        }
        let patrol = PatrolRow {
            id: self.new_id(),
            area_code: grid.to_string(),
            person_id: person,
            began_at: self.clock.now(),
            ended_at: None,
            minutes: None,
            summary: None,
            visits: 0,
            hazards: 0,
        };
        let (status, body) = render(&patrol);
        let answer = self.answer(keyed, patrol.id, status, &body);
        let written: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                patrols::begin(conn, county, &patrol).await?;
                idempotency::keep(conn, answer.as_ref()).await
            })
        })
        .await;
        self.written(written, keyed, status, body, "on_patrol").await
    }

    /// A patrol that is the caller's, or that lies in an area that he watches over.
    ///
    /// # Errors
    /// [`AppError::NotFound`] when it is not there for him.
    pub async fn patrol(&self, caller: &Caller, id: Uuid) -> Result<PatrolRow, AppError> {
        let patrol = patrols::find(self.store.pool(), self.settings.county, id).await?;
        let patrol = patrol.ok_or(AppError::NotFound)?;
        let own = patrol.person_id == caller.actor.person;
        let seen = own || allow(&caller.actor, Action::ReadActivity, patrol.area()?);
        if seen { Ok(patrol) } else { Err(AppError::NotFound) }
    }

    /// A patrol with what was seen on it.
    ///
    /// # Errors
    /// [`AppError::NotFound`] when it is not there for the caller.
    pub async fn whole_patrol(
        &self,
        caller: &Caller,
        id: Uuid,
    ) -> Result<(PatrolRow, Vec<NoteRow>), AppError> {
        let patrol = self.patrol(caller, id).await?;
        let notes = patrols::notes(self.store.pool(), id).await?;
        Ok((patrol, notes))
    }

    /// The caller's patrols, and those of the areas that he watches over; newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn patrols(
        &self,
        caller: &Caller,
        before: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<PatrolRow>, AppError> {
        let areas = caller.areas(Action::ReadActivity);
        let (pool, county) = (self.store.pool(), self.settings.county);
        Ok(patrols::list(pool, county, caller.actor.person, &areas, before, limit).await?)
    }

    /// A patrol of the caller's own that runs.
    async fn own_patrol(&self, caller: &Caller, id: Uuid) -> Result<PatrolRow, AppError> {
        let patrol = self.patrol(caller, id).await?;
        if patrol.person_id == caller.actor.person { Ok(patrol) } else { Err(AppError::Forbidden) }
    }

    /// Notes a visit.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Forbidden`] for another one's patrol; [`AppError::Conflict`] `patrol_ended`;
    /// [`AppError::Invalid`].
    pub async fn visit_on_patrol(
        &self,
        caller: &Caller,
        id: Uuid,
        place: &str,
        note: Option<&str>,
        keyed: Option<&Keyed>,
        render: RenderNote,
    ) -> Result<Reply, AppError> {
        let patrol = self.own_patrol(caller, id).await?;
        if let Some(reply) = self.replay(keyed).await? {
            return Ok(reply);
        }
        let (mut fields, known) = (Fields::default(), caller.known_words()?);
        let place = known.masked(&fields.text("place", place, ADDRESS_LONGEST));
        let note = fields.optional("note", note, NOTE_LONGEST).map(|note| known.masked(&note));
        fields.check()?;
        if patrol.ended_at.is_some() {
            return Err(AppError::Conflict("patrol_ended"));
        }
        let row = NoteRow { id: self.new_id(), at: self.clock.now(), place, note, order_id: None };
        let (status, body) = render(&row);
        let answer = self.answer(keyed, row.id, status, &body);
        let county = self.settings.county;
        let written: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                patrols::note(conn, county, id, &row).await?;
                idempotency::keep(conn, answer.as_ref()).await
            })
        })
        .await;
        self.written(written, keyed, status, body, "patrol_ended").await
    }

    /// Reports a hazard: an order of kind `report`, placed like any other, and a note of the patrol that names it. The
    /// note comes after the order's own commit, under the order's id: whoever asks again after a crash gets both.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Forbidden`] for another one's patrol; [`AppError::Conflict`] `patrol_ended`;
    /// [`AppError::Invalid`], and whatever placing refuses.
    pub async fn hazard_on_patrol(
        &self,
        caller: &Caller,
        from: Option<Address>,
        id: Uuid,
        hazard: Hazard,
        keyed: Keyed,
        render: Render,
    ) -> Result<Reply, AppError> {
        let patrol = self.own_patrol(caller, id).await?;
        let kind = self.directory().category(&hazard.category).map(|category| category.kind);
        if kind.is_some_and(|kind| kind != Kind::Report) {
            return Err(AppError::invalid("categoryCode", "not_a_report"));
        }
        let kept = self.replay(Some(&keyed)).await?.is_some();
        if patrol.ended_at.is_some() && !kept {
            return Err(AppError::Conflict("patrol_ended"));
        }
        let known = caller.known_words()?;
        let place = hazard.address.as_deref().map(|place| known.masked(place)).unwrap_or_default();
        let request = PlaceRequest {
            area: Some(patrol.area_code.clone()),
            category: hazard.category,
            description: hazard.description,
            address: hazard.address,
            channel: Some(Channel::Patrol),
            ..PlaceRequest::default()
        };
        let reply = self.place(caller, from, request, keyed, render).await?;
        let placed: Option<Uuid> = serde_json::from_slice::<serde_json::Value>(&reply.body)
            .ok()
            .and_then(|body| body["id"].as_str()?.parse().ok());
        let order = placed.ok_or_else(|| AppError::Internal("an order without an id".to_owned()))?;
        let row = NoteRow { id: order, at: self.clock.now(), place, note: None, order_id: Some(order) };
        let county = self.settings.county;
        let noted: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move { patrols::note(conn, county, id, &row).await })
        })
        .await;
        match noted {
            // It was ended meanwhile; the order stands all the same.
            Ok(()) | Err(StoreError::Conflict) => Ok(reply),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends a patrol; its points come by the rules. Its time lies among the person's services.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Forbidden`] for another one's patrol; [`AppError::Conflict`] `patrol_ended`;
    /// [`AppError::Invalid`].
    pub async fn end_patrol(
        &self,
        caller: &Caller,
        id: Uuid,
        summary: &str,
        keyed: &Keyed,
        render: RenderPatrol,
    ) -> Result<Reply, AppError> {
        let patrol = self.own_patrol(caller, id).await?;
        if let Some(reply) = self.replay(Some(keyed)).await? {
            return Ok(reply);
        }
        let mut fields = Fields::default();
        let summary = caller.known_words()?.masked(&fields.text("summary", summary, NOTE_LONGEST));
        fields.check()?;
        if patrol.ended_at.is_some() {
            return Err(AppError::Conflict("patrol_ended"));
        }
        let (county, now, person) = (self.settings.county, self.clock.now(), caller.actor.person);
        let minutes = (now - patrol.began_at).num_minutes().clamp(0, PATROL_LONGEST_MINUTES);
        let facts = PatrolledFacts {
            patrol: id,
            person,
            area: patrol.area()?,
            at: now,
            minutes,
            visits: patrol.visits,
            hazards: patrol.hazards,
        };
        let service = Service {
            order: id,
            round: 0,
            county,
            person,
            window: Stretch::between(patrol.began_at, now),
            minutes,
            own: false,
        };
        let after =
            PatrolRow { ended_at: Some(now), minutes: Some(minutes), summary: Some(summary), ..patrol };
        let (status, body) = render(&after);
        let answer = self.answer(Some(keyed), id, status, &body);
        let bookings: Vec<Booking> = self.numbered(on_patrolled(&self.rules, &facts));
        let guards = self.settings.guards;
        let written: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                let ended = patrols::end(conn, county, &after).await?;
                if (ended.visits, ended.hazards) != (after.visits, after.hazards) {
                    // Something was noted meanwhile: what it scores is to be decided anew.
                    return Err(StoreError::Conflict);
                }
                let reason = served::place(conn, &service, &guards).await?;
                for booking in &bookings {
                    ledger::book(conn, &booking.looked_at(reason)).await?;
                }
                idempotency::keep(conn, answer.as_ref()).await
            })
        })
        .await;
        self.written(written, Some(keyed), status, body, "busy").await
    }
}
