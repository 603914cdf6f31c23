//! 志愿服务活动: announced by those who look after an area, joined by its volunteers, with the four steps 报到, 预告,
//! 签到 and 反馈. Hours count from check-in to the end, without travel; points come with the feedback, by the rules.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use xingfuma_domain::access::{Action, Role, allow, takes_part};
use xingfuma_domain::activity::{
    CAPACITY_LARGEST, Part, StepRefusal, Times, check_feedback, check_in, check_join, check_notice, minutes,
    time_faults,
};
use xingfuma_domain::area::{AreaCode, Level};
use xingfuma_domain::scoring::{AttendedFacts, Award, Stretch, on_attended};
use xingfuma_domain::shop::RedemptionCode;
use xingfuma_store::activities::{self, ActivityRow, AttendanceRow};
use xingfuma_store::ledger::{self, Booking};
use xingfuma_store::orders::Notification;
use xingfuma_store::served::{self, Service};
use xingfuma_store::{StoreError, idempotency, inbox, transact};

use crate::command::{Keyed, Reply};
use crate::text::Fields;
use crate::{App, AppError, Caller};

/// Longest title or place, in characters.
const TITLE_LONGEST: usize = 60;
/// Longest content, notice or feedback, in characters.
const CONTENT_LONGEST: usize = 1_000;
/// People who are told at once; the rest of a large activity with the next piece.
const TOLD_AT_ONCE: u64 = 500;

/// What is announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewActivity {
    /// Where: volunteers of this area may join.
    pub area: String,
    /// What it is called.
    pub title: String,
    /// What is done.
    pub content: String,
    /// Where one meets.
    pub place: String,
    /// Its beginning.
    pub starts_at: DateTime<Utc>,
    /// Its end.
    pub ends_at: DateTime<Utc>,
    /// Minutes of it that are spent on the way.
    pub travel_minutes: i64,
    /// Room for so many.
    pub capacity: i64,
}

/// Turns an activity into an answer.
pub type RenderActivity = Arc<dyn Fn(&ActivityRow) -> (u16, Vec<u8>) + Send + Sync>;

fn times(row: &ActivityRow) -> Times {
    Times { starts_at: row.starts_at, ends_at: row.ends_at, travel_minutes: row.travel_minutes }
}

fn part(row: &ActivityRow) -> Option<Part> {
    row.attendance_id.map(|_| Part { checked_in_at: row.checked_in_at, feedback_at: row.feedback_at })
}

fn refused(refusal: StepRefusal) -> AppError {
    AppError::Conflict(match refusal {
        StepRefusal::Begun => "activity_begun",
        StepRefusal::NotBegun => "activity_not_begun",
        StepRefusal::Over => "activity_over",
        StepRefusal::NotOver => "activity_not_over",
        StepRefusal::NotJoined => "not_joined",
        StepRefusal::Joined => "already_joined",
        StepRefusal::NotThere => "was_not_there",
        StepRefusal::CheckedIn => "already_checked_in",
        StepRefusal::FedBack => "already_fed_back",
    })
}

impl App {
    /// Announces an activity.
    ///
    /// # Errors
    /// [`AppError::Forbidden`] for whoever looks after no area; [`AppError::Invalid`] names every field that is not as
    /// it should be, an area that is not his among them.
    pub async fn announce_activity(
        &self,
        caller: &Caller,
        new: &NewActivity,
        keyed: Option<&Keyed>,
        render: RenderActivity,
    ) -> Result<Reply, AppError> {
        caller.areas_of_office(Action::HoldActivity)?;
        if let Some(reply) = self.replay(keyed).await? {
            return Ok(reply);
        }
        let now = self.clock.now();
        let (mut fields, known) = (Fields::default(), caller.known_words()?);
        let title = known.masked(&fields.text("title", &new.title, TITLE_LONGEST));
        let content = known.masked(&fields.text("content", &new.content, CONTENT_LONGEST));
        let place = known.masked(&fields.text("place", &new.place, TITLE_LONGEST));
        let area = new.area.parse::<AreaCode>().ok();
        let area = area.filter(|area| allow(&caller.actor, Action::HoldActivity, *area));
        let area = area.filter(|area| self.directory().area(*area).is_some());
        if area.is_none() {
            fields.fault("areaCode", "area_unknown");
        }
        if !(1..=CAPACITY_LARGEST).contains(&new.capacity) {
            fields.fault("capacity", "out_of_range");
        }
        let when =
            Times { starts_at: new.starts_at, ends_at: new.ends_at, travel_minutes: new.travel_minutes };
        for (field, code) in time_faults(&when, now) {
            fields.fault(field, code);
        }
        fields.check()?;
        let area = area.ok_or(AppError::NotFound)?;
        let row = ActivityRow {
            id: self.new_id(),
            area_code: area.to_string(),
            title,
            content,
            place,
            starts_at: new.starts_at,
            ends_at: new.ends_at,
            travel_minutes: new.travel_minutes,
            capacity: new.capacity,
            joined: 0,
            made_by: caller.actor.person,
            made_at: now,
            noticed_at: None,
            attendance_id: None,
            checked_in_at: None,
            feedback_at: None,
            minutes: None,
        };
        let county = self.settings.county;
        let (status, body) = render(&row);
        let answer = self.answer(keyed, row.id, status, &body);
        let written: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                activities::insert(conn, county, &row).await?;
                idempotency::keep(conn, answer.as_ref()).await
            })
        })
        .await;
        self.written(written, keyed, status, body, "busy").await
    }

    /// The code that is shown at the place: the same at every process.
    fn activity_code(&self, activity: Uuid) -> RedemptionCode {
        let hash = self.keys.request_hash(&[b"activity code", activity.as_bytes()]);
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hash[..8]);
        RedemptionCode::from_random(u64::from_be_bytes(bytes))
    }

    /// An activity that the caller may join, has joined, or watches over.
    ///
    /// # Errors
    /// [`AppError::NotFound`] when it is not there for him.
    pub async fn activity(&self, caller: &Caller, id: Uuid) -> Result<ActivityRow, AppError> {
        let person = caller.actor.person;
        let row = activities::find(self.store.pool(), self.settings.county, person, id).await?;
        let row = row.ok_or(AppError::NotFound)?;
        let area = row.area()?;
        let seen = row.attendance_id.is_some()
            || takes_part(&caller.actor, area)
            || allow(&caller.actor, Action::ReadActivity, area);
        if seen { Ok(row) } else { Err(AppError::NotFound) }
    }

    /// The activities that are there for the caller, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn activities(
        &self,
        caller: &Caller,
        before: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<ActivityRow>, AppError> {
        let actor = &caller.actor;
        let within = caller.areas(Action::ReadActivity);
        let serving = [Role::Volunteer, Role::GridLeader];
        let levels = [Level::County, Level::Township, Level::Village, Level::Grid, Level::MicroGrid];
        let mut around: Vec<AreaCode> = serving
            .into_iter()
            .flat_map(|role| actor.areas(role))
            .flat_map(|area| {
                levels.into_iter().filter_map(move |level| area.ancestor_at(level)).chain([area])
            })
            .collect();
        around.sort();
        around.dedup();
        let (pool, county) = (self.store.pool(), self.settings.county);
        Ok(activities::list(pool, county, actor.person, &within, &around, before, limit).await?)
    }

    /// An activity that the caller looks after.
    async fn own_activity(&self, caller: &Caller, id: Uuid, action: Action) -> Result<ActivityRow, AppError> {
        let row = self.activity(caller, id).await?;
        if allow(&caller.actor, action, row.area()?) { Ok(row) } else { Err(AppError::Forbidden) }
    }

    /// The code for checking in, for those who look after the area: they show it at the place.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Forbidden`].
    pub async fn activity_check_in_code(&self, caller: &Caller, id: Uuid) -> Result<String, AppError> {
        let row = self.own_activity(caller, id, Action::HoldActivity).await?;
        Ok(self.activity_code(row.id).as_str().to_owned())
    }

    /// Who takes part, for those who watch over the area.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Forbidden`].
    pub async fn activity_people(
        &self,
        caller: &Caller,
        id: Uuid,
        after: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<AttendanceRow>, AppError> {
        let row = self.own_activity(caller, id, Action::ReadActivity).await?;
        Ok(activities::people(self.store.pool(), row.id, after, limit).await?)
    }

    /// 报到: a volunteer of the area takes a place.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Forbidden`] for whoever is no volunteer there; [`AppError::Conflict`]
    /// `activity_begun`, `already_joined`, `activity_full`.
    pub async fn join_activity(
        &self,
        caller: &Caller,
        id: Uuid,
        keyed: Option<&Keyed>,
        render: RenderActivity,
    ) -> Result<Reply, AppError> {
        let row = self.activity(caller, id).await?;
        if !takes_part(&caller.actor, row.area()?) {
            return Err(AppError::Forbidden);
        }
        if let Some(reply) = self.replay(keyed).await? {
            return Ok(reply);
        }
        let (county, person, now) = (self.settings.county, caller.actor.person, self.clock.now());
        check_join(&times(&row), part(&row), now).map_err(refused)?;
        let attendance = self.new_id();
        let after = ActivityRow { attendance_id: Some(attendance), joined: row.joined + 1, ..row };
        let (status, body) = render(&after);
        let answer = self.answer(keyed, attendance, status, &body);
        let written: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                activities::join(conn, county, id, attendance, person, now).await?;
                idempotency::keep(conn, answer.as_ref()).await
            })
        })
        .await;
        match written {
            Err(StoreError::Full) => Err(AppError::Conflict("activity_full")),
            written => self.written(written, keyed, status, body, "already_joined").await,
        }
    }

    /// 预告: those who have joined are told, as often as there is something to tell before it begins.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Forbidden`]; [`AppError::Conflict`] `activity_begun`; [`AppError::Invalid`].
    pub async fn notice_activity(
        &self,
        caller: &Caller,
        id: Uuid,
        words: &str,
        keyed: Option<&Keyed>,
        render: RenderActivity,
    ) -> Result<Reply, AppError> {
        let row = self.own_activity(caller, id, Action::HoldActivity).await?;
        if let Some(reply) = self.replay(keyed).await? {
            return Ok(reply);
        }
        let mut fields = Fields::default();
        let words = caller.known_words()?.masked(&fields.text("text", words, CONTENT_LONGEST));
        fields.check()?;
        let (county, now) = (self.settings.county, self.clock.now());
        check_notice(&times(&row), now).map_err(refused)?;
        let after = ActivityRow { noticed_at: Some(now), ..row };
        let data = serde_json::json!({
            "activity": id, "title": after.title, "place": after.place, "startsAt": after.starts_at, "text": words,
        });
        let data = data.to_string();
        let (status, body) = render(&after);
        let event = self.new_id();
        let answer = self.answer(keyed, event, status, &body);
        let written: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                activities::notice(conn, id, now).await?;
                let mut after = None;
                loop {
                    let people = activities::people(conn, id, after, TOLD_AT_ONCE).await?;
                    let told: Vec<Notification> = people
                        .iter()
                        .map(|one| Notification {
                            audience: format!("person:{}", one.person_id),
                            topic: "activity_notice",
                            data: data.clone(),
                            about: None,
                        })
                        .collect();
                    inbox::tell(conn, event, county, now, &told).await?;
                    after = people.last().map(|one| one.id);
                    if (people.len() as u64) < TOLD_AT_ONCE {
                        break;
                    }
                }
                idempotency::keep(conn, answer.as_ref()).await
            })
        })
        .await;
        self.written(written, keyed, status, body, "busy").await
    }

    /// 签到: by the code that is shown at the place, between beginning and end.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Conflict`] `not_joined`, `activity_not_begun`, `activity_over`,
    /// `already_checked_in`; [`AppError::Invalid`] `code_invalid` for a text that is no code, `code_unknown` for one
    /// that is not this activity's.
    pub async fn check_in_to_activity(
        &self,
        caller: &Caller,
        id: Uuid,
        code: &str,
        keyed: Option<&Keyed>,
        render: RenderActivity,
    ) -> Result<Reply, AppError> {
        let row = self.activity(caller, id).await?;
        if let Some(reply) = self.replay(keyed).await? {
            return Ok(reply);
        }
        let code: RedemptionCode = code.parse().map_err(|_| AppError::invalid("code", "code_invalid"))?;
        let now = self.clock.now();
        check_in(&times(&row), part(&row), now).map_err(refused)?;
        if code.as_str() != self.activity_code(id).as_str() {
            return Err(AppError::invalid("code", "code_unknown"));
        }
        let attendance = row.attendance_id.ok_or(AppError::Conflict("not_joined"))?;
        let after = ActivityRow { checked_in_at: Some(now), ..row };
        let (status, body) = render(&after);
        let answer = self.answer(keyed, attendance, status, &body);
        let written: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                activities::check_in(conn, attendance, now).await?;
                idempotency::keep(conn, answer.as_ref()).await
            })
        })
        .await;
        self.written(written, keyed, status, body, "already_checked_in").await
    }

    /// 反馈: who was there says how it was; his hours count, and points come of them by the rules. The hours lie among
    /// his services: whoever was at two places at one time has his points held.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Conflict`] `not_joined`, `was_not_there`, `activity_not_over`,
    /// `activity_over` after seven days, `already_fed_back`; [`AppError::Invalid`].
    pub async fn feed_back_on_activity(
        &self,
        caller: &Caller,
        id: Uuid,
        words: &str,
        keyed: &Keyed,
        render: RenderActivity,
    ) -> Result<Reply, AppError> {
        let row = self.activity(caller, id).await?;
        if let Some(reply) = self.replay(Some(keyed)).await? {
            return Ok(reply);
        }
        let mut fields = Fields::default();
        let words = caller.known_words()?.masked(&fields.text("text", words, CONTENT_LONGEST));
        fields.check()?;
        let (county, now, when) = (self.settings.county, self.clock.now(), times(&row));
        let there = check_feedback(&when, part(&row), now).map_err(refused)?;
        let attendance = row.attendance_id.ok_or(AppError::Conflict("not_joined"))?;
        let served_minutes = minutes(&when, there);
        let facts = AttendedFacts {
            attendance,
            person: caller.actor.person,
            area: row.area()?,
            at: now,
            minutes: served_minutes,
            travel_minutes: when.travel_minutes,
        };
        let service = Service {
            order: attendance,
            round: 0,
            county,
            person: caller.actor.person,
            window: Stretch::between(there, when.ends_at),
            minutes: served_minutes,
            own: false,
        };
        let awards = on_attended(&self.rules, &facts);
        let after = ActivityRow { feedback_at: Some(now), minutes: Some(served_minutes), ..row };
        let (status, body) = render(&after);
        let answer = self.answer(Some(keyed), attendance, status, &body);
        let bookings = self.numbered(awards);
        let guards = self.settings.guards;
        let written: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                activities::feed_back(conn, attendance, &words, served_minutes, now).await?;
                let reason = served::place(conn, &service, &guards).await?;
                for booking in &bookings {
                    ledger::book(conn, &booking.looked_at(reason)).await?;
                }
                idempotency::keep(conn, answer.as_ref()).await
            })
        })
        .await;
        self.written(written, Some(keyed), status, body, "already_fed_back").await
    }

    /// Awards with the ids of their transactions.
    pub(crate) fn numbered(&self, awards: Vec<Award>) -> Vec<Booking> {
        let booking = |award| Booking::Award { id: self.new_id(), award: Box::new(award) };
        awards.into_iter().map(booking).collect()
    }

    /// The answer of a write that others may have been quicker to make, with a key or without.
    pub(crate) async fn written(
        &self,
        written: Result<(), StoreError>,
        keyed: Option<&Keyed>,
        status: u16,
        body: Vec<u8>,
        taken: &'static str,
    ) -> Result<Reply, AppError> {
        match written {
            Ok(()) => Ok(Reply { status, body, replayed: false }),
            Err(StoreError::Conflict | StoreError::Twin) => {
                self.replay(keyed).await?.ok_or(AppError::Conflict(taken))
            }
            Err(error) => Err(error.into()),
        }
    }
}
