//! 志愿者培训: recorded by the station after it was held, for everybody who attended; taken back when it was a mistake.
//! A training gives no points and no hours of service: it stands in the volunteer record and nowhere else.

use std::collections::HashSet;

use chrono::NaiveDate;
use uuid::Uuid;
use xingfuma_domain::access::{Action, allow};
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::scoring::china_date;
use xingfuma_domain::training::{faults, is_held_for, people_fault, person_faults};
use xingfuma_store::audit::{self, AuditEntry};
use xingfuma_store::trainings::{self, TraineeRow, TrainingRow};
use xingfuma_store::{StoreError, idempotency, transact};

use crate::command::Reply;
use crate::dispatch::REASON_LONGEST;
use crate::once::Once;
use crate::text::Fields;
use crate::{App, AppError, Caller};

/// Longest title or organizer, in characters.
const TITLE_LONGEST: usize = 60;

/// A training as it is to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTraining {
    /// For which county, township or village it was held.
    pub area: String,
    /// What it is called.
    pub title: String,
    /// Who held it.
    pub organizer: String,
    /// The day in China.
    pub held_on: NaiveDate,
    /// How long it was.
    pub minutes: i64,
    /// Who attended.
    pub people: Vec<Uuid>,
}

impl App {
    /// Records a training with everybody who attended.
    ///
    /// # Errors
    /// [`AppError::Forbidden`] for whoever keeps none anywhere; [`AppError::Invalid`] names every field that is not as it
    /// should be, and everybody who is no volunteer of the training's area by his place in the list.
    pub async fn record_training(
        &self,
        caller: &Caller,
        new: &NewTraining,
        once: &Once<TrainingRow>,
    ) -> Result<Reply, AppError> {
        caller.areas_of_office(Action::KeepTrainings)?;
        if let Some(reply) = self.done_before(once).await? {
            return Ok(reply);
        }
        let (county, people) = (self.settings.county, new.people.clone());
        let row = self.checked_training(caller, new).await?;
        let line = self.training_line(caller, &row, "training_recorded", None);
        let (reply, answer) = self.answer_once(once, row.id, &row);
        let written: Result<Option<Reply>, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                trainings::insert(conn, county, &row, &people).await?;
                audit::append(conn, &[line]).await?;
                idempotency::keep(conn, answer.as_ref()).await?;
                Ok(Some(reply))
            })
        })
        .await;
        self.done_once(once, written, AppError::Conflict("busy")).await
    }

    /// The training as it is stored, or all that is wrong with it.
    async fn checked_training(&self, caller: &Caller, new: &NewTraining) -> Result<TrainingRow, AppError> {
        let now = self.clock.now();
        let (mut fields, known) = (Fields::default(), caller.known_words()?);
        let title = known.masked(&fields.text("title", &new.title, TITLE_LONGEST));
        let organizer = known.masked(&fields.text("organizer", &new.organizer, TITLE_LONGEST));
        let area = new.area.parse::<AreaCode>().ok();
        let area = area.filter(|area| is_held_for(*area) && self.directory().area(*area).is_some());
        let area = area.filter(|area| allow(&caller.actor, Action::KeepTrainings, *area));
        if area.is_none() {
            fields.fault("areaCode", "area_unknown");
        }
        for (field, code) in faults(new.held_on, new.minutes, china_date(now)) {
            fields.fault(field, code);
        }
        self.check_people(caller, area, &new.people, &mut fields).await?;
        fields.check()?;
        Ok(TrainingRow {
            id: self.new_id(),
            area_code: area.ok_or(AppError::NotFound)?.to_string(),
            title,
            organizer,
            held_on: new.held_on.to_string(),
            minutes: new.minutes,
            attended: new.people.len() as i64,
            recorded_by: caller.actor.person,
            recorded_at: now,
            voided_by: None,
            voided_at: None,
            void_reason: None,
        })
    }

    /// Somebody outside the caller's areas is nobody to him, whatever he is elsewhere; and outside the training's area he is
    /// nobody to those who will read of it.
    async fn check_people(
        &self,
        caller: &Caller,
        area: Option<AreaCode>,
        people: &[Uuid],
        fields: &mut Fields,
    ) -> Result<(), AppError> {
        // A list without end is refused before it is looked up.
        if let Some(code) = people_fault(people) {
            fields.fault("personIds", code);
            return Ok(());
        }
        let grids = trainings::grids_of(self.store.pool(), self.settings.county, people).await?;
        let within = |grid: &AreaCode| {
            allow(&caller.actor, Action::KeepTrainings, *grid) && area.is_none_or(|area| area.contains(grid))
        };
        let reached: HashSet<Uuid> =
            grids.into_iter().filter_map(|(person, grid)| within(&grid).then_some(person)).collect();
        for (place, code) in person_faults(people, |person| reached.contains(person)) {
            fields.fault(format!("personIds[{place}]"), code);
        }
        Ok(())
    }

    fn training_line(
        &self,
        caller: &Caller,
        row: &TrainingRow,
        action: &'static str,
        reason: Option<String>,
    ) -> AuditEntry {
        AuditEntry {
            id: self.new_id(),
            county: self.settings.county,
            at: self.clock.now(),
            person: Some(caller.actor.person),
            action,
            resource: row.id,
            subject: None,
            reason,
        }
    }

    /// Trainings of the caller's areas, those that were taken back among them; the last recorded first.
    ///
    /// # Errors
    /// [`AppError::Forbidden`] for whoever watches over none anywhere.
    pub async fn trainings(
        &self,
        caller: &Caller,
        before: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<TrainingRow>, AppError> {
        let areas = caller.areas_of_office(Action::ReadTrainings)?;
        Ok(trainings::list(self.store.pool(), self.settings.county, &areas, before, limit).await?)
    }

    /// A training of the caller's areas.
    async fn reached_training(&self, caller: &Caller, id: Uuid) -> Result<TrainingRow, AppError> {
        let row = trainings::find(self.store.pool(), self.settings.county, id).await?;
        let row = row.ok_or(AppError::NotFound)?;
        let seen = allow(&caller.actor, Action::ReadTrainings, row.area()?);
        if seen { Ok(row) } else { Err(AppError::NotFound) }
    }

    /// A training of the caller's areas, with everybody who attended.
    ///
    /// # Errors
    /// [`AppError::NotFound`].
    pub async fn whole_training(
        &self,
        caller: &Caller,
        id: Uuid,
    ) -> Result<(TrainingRow, Vec<TraineeRow>), AppError> {
        let row = self.reached_training(caller, id).await?;
        let people = trainings::people(self.store.pool(), row.id).await?;
        Ok((row, people))
    }

    /// Trainings that the caller attended, those that were taken back among them; the last recorded first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn own_trainings(
        &self,
        caller: &Caller,
        before: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<TrainingRow>, AppError> {
        let (pool, county) = (self.store.pool(), self.settings.county);
        Ok(trainings::of_person(pool, county, caller.actor.person, before, limit).await?)
    }

    /// Takes a training back that was recorded by mistake: it stays, and counts for nobody.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Forbidden`] for whoever only watches; [`AppError::Invalid`] without a reason;
    /// [`AppError::Conflict`] `training_voided`.
    pub async fn void_training(
        &self,
        caller: &Caller,
        id: Uuid,
        reason: &str,
        once: &Once<TrainingRow>,
    ) -> Result<Reply, AppError> {
        let row = self.reached_training(caller, id).await?;
        if !allow(&caller.actor, Action::KeepTrainings, row.area()?) {
            return Err(AppError::Forbidden);
        }
        if let Some(reply) = self.done_before(once).await? {
            return Ok(reply);
        }
        let mut fields = Fields::default();
        let reason = caller.known_words()?.masked(&fields.text("reason", reason, REASON_LONGEST));
        fields.check()?;
        let line = self.training_line(caller, &row, "training_voided", Some(reason.clone()));
        let row = TrainingRow {
            voided_by: Some(caller.actor.person),
            voided_at: Some(line.at),
            void_reason: Some(reason),
            ..row
        };
        let (reply, answer) = self.answer_once(once, row.id, &row);
        let written: Result<Option<Reply>, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                if !trainings::void(conn, &row).await? {
                    return Ok(None);
                }
                audit::append(conn, &[line]).await?;
                idempotency::keep(conn, answer.as_ref()).await?;
                Ok(Some(reply))
            })
        })
        .await;
        self.done_once(once, written, AppError::Conflict("training_voided")).await
    }
}
