//! 星级: a station proposes who has reached more stars than he has, the list is shown, objected to line by line, and
//! conferred by a second person. Nobody is ever lowered by it.

use std::sync::Arc;

use chrono::NaiveDate;
use uuid::Uuid;
use xingfuma_domain::access::{Action, allow};
use xingfuma_domain::area::{AreaCode, Level};
use xingfuma_domain::deadline::Calendar;
use xingfuma_domain::scoring::{
    StarLineStatus, StarScale, after_star_decision, china_date, china_day_begins, may_decide, notice_ends_at,
    rise,
};
use xingfuma_store::orders::Notification;
use xingfuma_store::services::{self, VolunteerRow};
use xingfuma_store::stars::{self, AwardRow, RoundRow, StarLineRow, StarObjectionRow};
use xingfuma_store::{StoreError, idempotency, inbox, transact};

use crate::command::{Keyed, Reply};
use crate::dispatch::REASON_LONGEST;
use crate::service::{PIECE, reached_before};
use crate::text::{Fields, masked};
use crate::{App, AppError, Caller};

/// Turns a round into an answer.
pub type RenderRound = Arc<dyn Fn(&RoundRow) -> (u16, Vec<u8>) + Send + Sync>;
/// Turns an objection into an answer.
pub type RenderStarObjection = Arc<dyn Fn(&StarObjectionRow) -> (u16, Vec<u8>) + Send + Sync>;

/// Where somebody stands on the scale.
#[derive(Clone, Debug)]
pub struct OwnStars {
    /// What was conferred on him.
    pub award: Option<AwardRow>,
    /// Minutes of service until now.
    pub minutes: i64,
    /// Points until now.
    pub points: i64,
}

/// What is to be proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundRequest {
    /// The township or the county.
    pub area: AreaCode,
    /// By the end of which day hours and points are counted.
    pub as_of: NaiveDate,
    /// Working days of the notice.
    pub working_days: u32,
}

fn told(person: Uuid, topic: &'static str, data: &serde_json::Value) -> Notification {
    Notification { audience: format!("person:{person}"), topic, data: data.to_string(), about: None }
}

/// The line of a volunteer who has reached more than he has; its number is given later.
fn proposed(row: &VolunteerRow, scale: &StarScale, (minutes, points): (i64, i64)) -> Option<StarLineRow> {
    let has = u8::try_from(row.stars.unwrap_or(0)).unwrap_or(u8::MAX);
    let stars = rise(scale, minutes, points, has)?;
    Some(StarLineRow {
        number: 0,
        person_id: row.person_id,
        area_code: row.grid_code.clone(),
        minutes,
        points,
        stars_before: i32::from(has),
        stars: i32::from(stars),
        status: StarLineStatus::Standing.as_str().to_owned(),
    })
}

impl App {
    /// The scale in force today.
    ///
    /// # Errors
    /// [`AppError::NotFound`] when none has begun.
    pub fn star_scale(&self) -> Result<&StarScale, AppError> {
        self.settings.stars.in_force(china_date(self.clock.now())).ok_or(AppError::NotFound)
    }

    /// Where the caller stands.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn own_stars(&self, caller: &Caller) -> Result<OwnStars, AppError> {
        let (pool, me) = (self.store.pool(), caller.actor.person);
        let award = stars::of_person(pool, me).await?;
        let reached = reached_before(pool, self.settings.county, &[me], self.clock.now()).await?;
        let (minutes, points) = reached.get(&me).copied().unwrap_or_default();
        Ok(OwnStars { award, minutes, points })
    }

    /// Rounds, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn star_rounds(&self, before: Option<Uuid>, limit: u64) -> Result<Vec<RoundRow>, AppError> {
        Ok(stars::list(self.store.pool(), self.settings.county, before, limit).await?)
    }

    /// Lines of a round, by number.
    ///
    /// # Errors
    /// [`AppError::NotFound`].
    pub async fn star_lines(
        &self,
        round: Uuid,
        after: i64,
        limit: u64,
    ) -> Result<Vec<StarLineRow>, AppError> {
        let found = stars::find(self.store.pool(), self.settings.county, round).await?;
        found.ok_or(AppError::NotFound)?;
        Ok(stars::lines(self.store.pool(), round, after, limit).await?)
    }

    /// Goes through the volunteers of an area and publishes who has reached more stars than he has.
    ///
    /// # Errors
    /// [`AppError::Forbidden`]; [`AppError::Invalid`]; [`AppError::Conflict`] `round_runs` while one of this area, or one
    /// around or inside it, is shown; `nobody_rises`.
    pub async fn propose_stars(
        &self,
        caller: &Caller,
        request: RoundRequest,
        keyed: &Keyed,
        render: RenderRound,
    ) -> Result<Reply, AppError> {
        let (county, now) = (self.settings.county, self.clock.now());
        if !allow(&caller.actor, Action::ProposeStars, request.area) {
            return Err(AppError::Forbidden);
        }
        if let Some(reply) = self.replay(Some(keyed)).await? {
            return Ok(reply);
        }
        let mut fields = Fields::default();
        if request.area.level() > Level::Township {
            fields.fault("areaCode", "level");
        }
        if request.as_of >= china_date(now) {
            fields.fault("asOf", "in_the_future");
        }
        let scale = self.settings.stars.in_force(request.as_of);
        if scale.is_none() {
            fields.fault("asOf", "no_scale");
        }
        fields.check()?;
        let scale = scale.ok_or(AppError::NotFound)?;
        let lines = self.rising(&request, scale).await?;
        if lines.is_empty() {
            return Err(AppError::Conflict("nobody_rises"));
        }
        let mut round = RoundRow {
            id: self.new_id(),
            county: county.to_string(),
            area_code: request.area.to_string(),
            as_of: request.as_of.to_string(),
            rule_version: scale.version,
            status: "notice".to_owned(),
            working_days: i32::try_from(request.working_days).unwrap_or(i32::MAX),
            proposed_by: caller.actor.person,
            published_at: now,
            notice_ends_at: notice_ends_at(now, request.working_days, Calendar::china()),
            line_count: i64::try_from(lines.len()).unwrap_or(i64::MAX),
            list_hash: Vec::new(),
            conferred_by: None,
            conferred_at: None,
        };
        round.list_hash = stars::hash(&round, &lines)?;
        let (status, body) = render(&round);
        let answer = self.answer(Some(keyed), round.id, status, &body);
        let written: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                stars::publish(conn, &round, &lines).await?;
                idempotency::keep(conn, answer.as_ref()).await
            })
        })
        .await;
        self.reply(written, keyed, status, body, "round_runs").await
    }

    async fn rising(&self, request: &RoundRequest, scale: &StarScale) -> Result<Vec<StarLineRow>, AppError> {
        let (pool, county) = (self.store.pool(), self.settings.county);
        let before = china_day_begins(request.as_of.succ_opt().unwrap_or(NaiveDate::MAX));
        let (mut lines, mut after) = (Vec::new(), None);
        loop {
            let people = services::volunteers(pool, county, request.area, false, after, PIECE).await?;
            let ids: Vec<Uuid> = people.iter().map(|row| row.person_id).collect();
            let reached = reached_before(pool, county, &ids, before).await?;
            let of = |row: &VolunteerRow| reached.get(&row.person_id).copied().unwrap_or_default();
            lines.extend(people.iter().filter_map(|row| proposed(row, scale, of(row))));
            after = ids.last().copied();
            if (people.len() as u64) < PIECE {
                break;
            }
        }
        for (number, line) in (1..).zip(&mut lines) {
            line.number = number;
        }
        Ok(lines)
    }

    /// Confers what stands, when the notice is over; what is contested is paused.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Forbidden`]; [`AppError::NotAllowed`] `own_decision` for who proposed it or
    /// stands in it; [`AppError::Conflict`] `notice_runs`, `round_conferred`.
    pub async fn confer_stars(
        &self,
        caller: &Caller,
        id: Uuid,
        keyed: &Keyed,
        render: RenderRound,
    ) -> Result<Reply, AppError> {
        let (pool, county, now, me) =
            (self.store.pool(), self.settings.county, self.clock.now(), caller.actor.person);
        let round = stars::find(pool, county, id).await?.ok_or(AppError::NotFound)?;
        if !allow(&caller.actor, Action::ConferStars, round.area()?) {
            return Err(AppError::Forbidden);
        }
        if let Some(reply) = self.replay(Some(keyed)).await? {
            return Ok(reply);
        }
        let in_it = stars::line_of(pool, id, me).await?.is_some();
        if in_it || !may_decide(me, &[Some(round.proposed_by)]) {
            return Err(AppError::NotAllowed("own_decision"));
        }
        if round.is_conferred() {
            return Err(AppError::Conflict("round_conferred"));
        }
        if now < round.notice_ends_at {
            return Err(AppError::Conflict("notice_runs"));
        }
        let after = RoundRow {
            status: "conferred".to_owned(),
            conferred_by: Some(me),
            conferred_at: Some(now),
            ..round
        };
        let (status, body) = render(&after);
        let answer = self.answer(Some(keyed), id, status, &body);
        let written: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                stars::lock(conn, county, id).await?;
                let given = stars::confer(conn, id, me, now).await?;
                let words: Vec<Notification> = given
                    .iter()
                    .map(|(person, stars)| {
                        told(*person, "stars_conferred", &serde_json::json!({ "stars": stars }))
                    })
                    .collect();
                inbox::tell(conn, id, county, now, &words).await?;
                idempotency::keep(conn, answer.as_ref()).await
            })
        })
        .await;
        self.reply(written, keyed, status, body, "round_conferred").await
    }

    /// Objects to a line of a round that is shown.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Invalid`]; [`AppError::Conflict`] `notice_over`, `already_objected`.
    pub async fn object_to_stars(
        &self,
        caller: &Caller,
        id: Uuid,
        number: i64,
        reason: &str,
        keyed: &Keyed,
        render: RenderStarObjection,
    ) -> Result<Reply, AppError> {
        let (pool, county, now) = (self.store.pool(), self.settings.county, self.clock.now());
        let round = stars::find(pool, county, id).await?.ok_or(AppError::NotFound)?;
        if let Some(reply) = self.replay(Some(keyed)).await? {
            return Ok(reply);
        }
        let mut fields = Fields::default();
        let reason = masked(&fields.text("reason", reason, REASON_LONGEST));
        let line = match number {
            1.. => stars::lines(pool, id, number - 1, 1).await?.pop().filter(|line| line.number == number),
            _ => None,
        };
        if line.is_none() {
            fields.fault("line", "unknown");
        }
        fields.check()?;
        let line = line.ok_or(AppError::NotFound)?;
        if round.is_conferred() || now >= round.notice_ends_at {
            return Err(AppError::Conflict("notice_over"));
        }
        let made = StarObjectionRow {
            id: self.new_id(),
            county: county.to_string(),
            round_id: id,
            number,
            area_code: line.area_code,
            person_id: line.person_id,
            objector_id: caller.actor.person,
            reason,
            made_at: now,
            status: "pending".to_owned(),
            decided_by: None,
            decided_at: None,
            decision: None,
        };
        let (status, body) = render(&made);
        let answer = self.answer(Some(keyed), made.id, status, &body);
        let written: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                let round = stars::lock(conn, county, id).await?.ok_or(StoreError::Conflict)?;
                if round.is_conferred() {
                    return Err(StoreError::Answered);
                }
                stars::insert_objection(conn, &made).await?;
                stars::mark_line(conn, id, number, StarLineStatus::Contested).await?;
                idempotency::keep(conn, answer.as_ref()).await
            })
        })
        .await;
        match written {
            Err(StoreError::Answered) => Err(AppError::Conflict("notice_over")),
            written => self.reply(written, keyed, status, body, "already_objected").await,
        }
    }

    /// Objections that the caller made, those against his own lines, and those of his areas.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn star_objections(
        &self,
        caller: &Caller,
        before: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<StarObjectionRow>, AppError> {
        let areas = caller.areas(Action::ReadClaims);
        let (pool, county, me) = (self.store.pool(), self.settings.county, caller.actor.person);
        Ok(stars::objections(pool, county, me, &areas, before, limit).await?)
    }

    /// Decides an objection: upheld, the line is struck; dismissed, it stands again unless another one waits.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::NotAllowed`] `own_decision` for the objector, the line's person and who
    /// proposed it; [`AppError::Forbidden`]; [`AppError::Invalid`]; [`AppError::Conflict`] `objection_not_pending`.
    pub async fn decide_star_objection(
        &self,
        caller: &Caller,
        id: Uuid,
        uphold: bool,
        reason: &str,
        keyed: &Keyed,
        render: RenderStarObjection,
    ) -> Result<Reply, AppError> {
        let (pool, county, now, me) =
            (self.store.pool(), self.settings.county, self.clock.now(), caller.actor.person);
        let found = stars::find_objection(pool, county, id).await?.ok_or(AppError::NotFound)?;
        let part = [Some(found.objector_id), Some(found.person_id)];
        if !part.contains(&Some(me)) && !allow(&caller.actor, Action::ReadClaims, found.area()?) {
            return Err(AppError::NotFound);
        }
        let round = stars::find(pool, county, found.round_id).await?.ok_or(AppError::NotFound)?;
        if !may_decide(me, &[part[0], part[1], Some(round.proposed_by)]) {
            return Err(AppError::NotAllowed("own_decision"));
        }
        if !allow(&caller.actor, Action::DecideClaim, found.area()?) {
            return Err(AppError::Forbidden);
        }
        if let Some(reply) = self.replay(Some(keyed)).await? {
            return Ok(reply);
        }
        let mut fields = Fields::default();
        let reason = masked(&fields.text("reason", reason, REASON_LONGEST));
        fields.check()?;
        let after = StarObjectionRow {
            status: if uphold { "upheld" } else { "dismissed" }.to_owned(),
            decided_by: Some(me),
            decided_at: Some(now),
            decision: Some(reason),
            ..found
        };
        let topic = if uphold { "stars_objection_upheld" } else { "stars_objection_dismissed" };
        let words = [told(after.objector_id, topic, &serde_json::json!({ "line": after.number }))];
        let (status, body) = render(&after);
        let answer = self.answer(Some(keyed), id, status, &body);
        let written: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                let round = stars::lock(conn, county, after.round_id).await?.ok_or(StoreError::Conflict)?;
                stars::decide_objection(conn, &after).await?;
                let (waits, upheld) = stars::other_objections(conn, &after).await?;
                if !waits {
                    let stands = after_star_decision(round.is_conferred(), uphold || upheld);
                    stars::mark_line(conn, after.round_id, after.number, stands).await?;
                }
                inbox::tell(conn, after.round_id, county, now, &words).await?;
                idempotency::keep(conn, answer.as_ref()).await
            })
        })
        .await;
        self.reply(written, keyed, status, body, "objection_not_pending").await
    }
}
