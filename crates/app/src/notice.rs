//! The public notice (公示): its lines, without names; objections (异议), which pause their own line and no other, and
//! their decision by somebody who has no part in it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use xingfuma_domain::access::{Action, allow};
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::scoring::{LineStatus, PeriodStatus, YearMonth, may_decide, reversal};
use xingfuma_store::ledger::{self, Booked, Booking};
use xingfuma_store::orders::Notification;
use xingfuma_store::periods::boards::{self, BoardRow, By, OwnRank};
use xingfuma_store::periods::objections::{self, ObjectionRow};
use xingfuma_store::periods::{self, CountedRow, LineRow, PeriodRow};
use xingfuma_store::{DatabaseTransaction, StoreError, idempotency, inbox, transact};

use crate::command::{Keyed, Reply};
use crate::dispatch::REASON_LONGEST;
use crate::once::Once;
use crate::period::{self, after_decision};
use crate::text::{Fields, masked};
use crate::{App, AppError, Caller};

/// Turns an objection into an answer.
pub type RenderObjection = Arc<dyn Fn(&ObjectionRow) -> (u16, Vec<u8>) + Send + Sync>;

/// The most entries that one objection reverses.
const ENTRIES_AT_MOST: usize = 50;
/// Periods in a list.
const PERIODS_AT_MOST: u64 = 100;

/// An objection with the line that it is against, for those who decide.
#[derive(Clone, Debug)]
pub struct ObjectionSeen {
    /// The objection.
    pub row: ObjectionRow,
    /// The line.
    pub line: LineRow,
    /// What the line was added up from.
    pub entries: Vec<CountedRow>,
}

/// A board of a published month.
#[derive(Clone, Debug)]
pub struct Board {
    /// The month.
    pub month: YearMonth,
    /// Whether it is sealed.
    pub sealed: bool,
    /// Its lines with the names of their teams or areas, most points first.
    pub lines: Vec<(BoardRow, Option<String>)>,
}

/// A person on a board, who agreed to be named.
#[derive(Clone, Debug)]
pub struct Ranked {
    /// One more than there are people with more points.
    pub rank: i64,
    /// His name.
    pub name: String,
    /// The name of his team.
    pub team: Option<String>,
    /// Points.
    pub points: i64,
    /// Of these, points that were typed in by hand (手工录入).
    pub hand_made: i64,
}

/// A decision about an objection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectionDecision {
    /// Upheld or dismissed.
    pub uphold: bool,
    /// The entries of the line that are reversed; none where the line stands as it is.
    pub entries: Vec<Uuid>,
    /// Why.
    pub reason: String,
}

/// What a decision writes.
struct Deciding {
    county: AreaCode,
    month: YearMonth,
    row: ObjectionRow,
    bookings: Vec<(Uuid, Booking)>,
    told: Vec<Notification>,
    at: DateTime<Utc>,
}

async fn write_decision(conn: &DatabaseTransaction, deciding: &Deciding) -> Result<(), StoreError> {
    let Deciding { county, month, row, bookings, told, at } = deciding;
    let period = periods::lock(conn, *county, *month).await?.ok_or(StoreError::Conflict)?.status()?;
    objections::decide(conn, row).await?;
    for (_, booking) in bookings {
        if ledger::book(conn, booking).await? == Booked::Known {
            return Err(StoreError::Answered);
        }
    }
    if period == PeriodStatus::Notice {
        let reversals: Vec<Uuid> = bookings.iter().map(|(id, _)| *id).collect();
        objections::count_correction(conn, row, &reversals).await?;
    }
    if !objections::others_wait(conn, row).await? {
        let status = after_decision(period);
        periods::mark_line(conn, *county, *month, row.person_id, status).await?;
        if status == LineStatus::Carried {
            objections::let_go(conn, row).await?;
        }
    }
    inbox::tell(conn, row.id, *county, *at, told).await
}

impl App {
    /// Closes the claims about a month.
    ///
    /// # Errors
    /// [`AppError::Forbidden`]; [`AppError::Conflict`] as [`period::close_claims`].
    pub async fn close_period_claims(
        &self,
        caller: &Caller,
        month: YearMonth,
        working_days: u32,
        once: &Once<PeriodRow>,
    ) -> Result<Reply, AppError> {
        if !allow(&caller.actor, Action::ClosePeriod, self.settings.county) {
            return Err(AppError::Forbidden);
        }
        if let Some(reply) = self.done_before(once).await? {
            return Ok(reply);
        }
        let (county, now) = (self.settings.county, self.clock.now());
        let by = Some(caller.actor.person);
        let (app, inside) = (self.clone(), once.clone());
        let answer = move |row: &PeriodRow| app.answer_once(&inside, Uuid::nil(), row).1;
        let closed =
            period::close_claims_and(&self.store, county, month, working_days, by, now, answer).await;
        self.period_once(once, closed).await
    }

    /// The answer about a period, or that of a twin which was faster.
    async fn period_once(
        &self,
        once: &Once<PeriodRow>,
        done: Result<PeriodRow, AppError>,
    ) -> Result<Reply, AppError> {
        match done {
            Ok(row) => Ok(self.answer_once(once, Uuid::nil(), &row).0),
            Err(error @ (AppError::Conflict(_) | AppError::Store(StoreError::Twin))) => {
                self.done_before(once).await?.ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Seals a month whose notice is over.
    ///
    /// # Errors
    /// [`AppError::Forbidden`]; as [`period::seal`].
    pub async fn seal_period(
        &self,
        caller: &Caller,
        month: YearMonth,
        once: &Once<PeriodRow>,
    ) -> Result<Reply, AppError> {
        if !allow(&caller.actor, Action::ClosePeriod, self.settings.county) {
            return Err(AppError::Forbidden);
        }
        if let Some(reply) = self.done_before(once).await? {
            return Ok(reply);
        }
        let (app, inside) = (self.clone(), once.clone());
        let answer = move |row: &PeriodRow| app.answer_once(&inside, Uuid::nil(), row).1;
        let county = self.settings.county;
        let sealed = period::seal_and(&self.store, county, month, self.clock.now(), answer).await;
        self.period_once(once, sealed).await
    }

    /// Periods, the latest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn periods(&self) -> Result<Vec<PeriodRow>, AppError> {
        Ok(periods::list(self.store.pool(), self.settings.county, PERIODS_AT_MOST).await?)
    }

    /// A period whose list is published.
    async fn published(&self, month: YearMonth) -> Result<PeriodRow, AppError> {
        let row = periods::find(self.store.pool(), self.settings.county, month).await?;
        let row = row.ok_or(AppError::NotFound)?;
        if row.status()? >= PeriodStatus::Notice { Ok(row) } else { Err(AppError::NotFound) }
    }

    /// Lines of a public notice, by number.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for a month whose list is not published.
    pub async fn notice_lines(
        &self,
        month: YearMonth,
        area: Option<AreaCode>,
        after: i64,
        limit: u64,
    ) -> Result<Vec<LineRow>, AppError> {
        self.published(month).await?;
        Ok(periods::lines(self.store.pool(), self.settings.county, month, area, after, limit).await?)
    }

    /// The period of this month if its list is published; the last such where none is named.
    async fn published_or_last(&self, month: Option<YearMonth>) -> Result<PeriodRow, AppError> {
        if let Some(month) = month {
            return self.published(month).await;
        }
        let all = periods::list(self.store.pool(), self.settings.county, PERIODS_AT_MOST).await?;
        all.into_iter().find(|row| row.published_at.is_some()).ok_or(AppError::NotFound)
    }

    /// The board of persons, where the county has one: those who agree at this moment that their names stand there.
    /// Whoever is left out keeps his rank.
    ///
    /// # Errors
    /// [`AppError::NotFound`] when there is no such list, or no board of persons.
    pub async fn board_of_persons(
        &self,
        month: Option<YearMonth>,
        limit: u64,
    ) -> Result<(PeriodRow, Vec<Ranked>), AppError> {
        if !self.settings.board_of_persons {
            return Err(AppError::NotFound);
        }
        let period = self.published_or_last(month).await?;
        let rows = boards::persons(self.store.pool(), self.settings.county, period.month()?, limit).await?;
        let directory = self.directory();
        let mut ranked = Vec::with_capacity(rows.len());
        for row in rows {
            let name = self.whole_name(row.person_id, row.data_key.as_deref(), row.private.as_deref())?;
            let team = row.team_id.and_then(|team| directory.team(team)).map(|team| team.name.clone());
            // Without a name there is nothing that he agreed to show.
            let (rank, points, hand_made) = (row.rank, row.points, row.hand_made);
            ranked.extend(name.map(|name| Ranked { rank, name, team, points, hand_made }));
        }
        Ok((period, ranked))
    }

    /// Where the caller himself stands, whoever else may see it; nothing where he has no line that counts.
    ///
    /// # Errors
    /// [`AppError::NotFound`] when there is no such list.
    pub async fn own_rank(
        &self,
        caller: &Caller,
        month: Option<YearMonth>,
    ) -> Result<(PeriodRow, Option<OwnRank>), AppError> {
        let period = self.published_or_last(month).await?;
        let (pool, county, me) = (self.store.pool(), self.settings.county, caller.actor.person);
        let rank = boards::own_rank(pool, county, period.month()?, me).await?;
        Ok((period, rank))
    }

    /// The board of a month whose list is published; of the last such month where none is named.
    ///
    /// # Errors
    /// [`AppError::NotFound`] when there is no such list.
    pub async fn board_of(&self, month: Option<YearMonth>, by: By, limit: u64) -> Result<Board, AppError> {
        let (pool, county) = (self.store.pool(), self.settings.county);
        let period = self.published_or_last(month).await?;
        let month = period.month()?;
        let directory = self.directory();
        let name = |row: &BoardRow| match (row.team_id, &row.area_code) {
            (Some(team), _) => directory.team(team).map(|team| team.name.clone()),
            (None, Some(code)) => directory.area(code.parse().ok()?).map(|area| area.name.clone()),
            (None, None) => None,
        };
        let rows = boards::board(pool, county, month, by, limit).await?;
        let lines = rows.into_iter().map(|row| (row.clone(), name(&row))).collect();
        Ok(Board { month, sealed: period.status()? == PeriodStatus::Sealed, lines })
    }

    /// Objects to a line of a running notice.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for a notice or a line that is not there; [`AppError::Conflict`] `notice_over`,
    /// `already_objected`; [`AppError::Invalid`].
    pub async fn object(
        &self,
        caller: &Caller,
        month: YearMonth,
        number: i64,
        reason: &str,
        keyed: &Keyed,
        render: RenderObjection,
    ) -> Result<Reply, AppError> {
        let (county, now) = (self.settings.county, self.clock.now());
        let period = self.published(month).await?;
        if let Some(reply) = self.replay(Some(keyed)).await? {
            return Ok(reply);
        }
        let mut fields = Fields::default();
        let reason = masked(&fields.text("reason", reason, REASON_LONGEST));
        let line = periods::line(self.store.pool(), county, month, number).await?;
        if line.is_none() {
            fields.fault("line", "unknown");
        }
        fields.check()?;
        let line = line.ok_or(AppError::NotFound)?;
        let runs =
            period.status()? == PeriodStatus::Notice && period.notice_ends_at.is_some_and(|end| now < end);
        if !runs {
            return Err(AppError::Conflict("notice_over"));
        }
        let objection = ObjectionRow {
            id: self.new_id(),
            county: county.to_string(),
            area_code: line.area_code,
            month: month.to_string(),
            person_id: line.person_id,
            number,
            objector_id: caller.actor.person,
            reason,
            made_at: now,
            status: "pending".to_owned(),
            decided_by: None,
            decided_at: None,
            decision: None,
        };
        let (status, body) = render(&objection);
        let answer = self.answer(Some(keyed), objection.id, status, &body);
        let written: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                let period = periods::lock(conn, county, month).await?;
                let runs = period.map(|row| row.status()).transpose()? == Some(PeriodStatus::Notice);
                if !runs {
                    return Err(StoreError::Answered);
                }
                objections::insert(conn, &objection).await?;
                periods::mark_line(conn, county, month, objection.person_id, LineStatus::Contested).await?;
                idempotency::keep(conn, answer.as_ref()).await
            })
        })
        .await;
        match written {
            Err(StoreError::Answered) => Err(AppError::Conflict("notice_over")),
            written => self.reply(written, keyed, status, body, "already_objected").await,
        }
    }

    /// Objections of a notice: the caller's own, those against his line, and those of his areas.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn objections(
        &self,
        caller: &Caller,
        month: YearMonth,
        before: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<ObjectionRow>, AppError> {
        let areas = caller.areas(Action::ReadClaims);
        let (pool, county, me) = (self.store.pool(), self.settings.county, caller.actor.person);
        Ok(objections::list(pool, county, month, me, &areas, before, limit).await?)
    }

    /// An objection with its line and what that was added up from: for those who watch over its area.
    ///
    /// # Errors
    /// [`AppError::NotFound`] when it is not there for the caller.
    pub async fn objection(&self, caller: &Caller, id: Uuid) -> Result<ObjectionSeen, AppError> {
        let (pool, county) = (self.store.pool(), self.settings.county);
        let row = objections::find(pool, county, id).await?.ok_or(AppError::NotFound)?;
        if !allow(&caller.actor, Action::ReadClaims, row.area()?) {
            return Err(AppError::NotFound);
        }
        let month = row.month()?;
        let line = periods::line(pool, county, month, row.number).await?;
        let line = line.ok_or_else(|| AppError::Internal("an objection against nothing".to_owned()))?;
        let entries = periods::counted(pool, county, month, row.person_id).await?;
        Ok(ObjectionSeen { row, line, entries })
    }

    /// Decides an objection. Upheld, it reverses the entries that are named, at once; in a running notice the line is
    /// corrected by them, later they count in the next period.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::NotAllowed`] `own_decision` for the objector, for the line's person, and for
    /// whoever decided an entry that is named; [`AppError::Forbidden`]; [`AppError::Invalid`]; [`AppError::Conflict`]
    /// `objection_not_pending`, `already_answered`.
    pub async fn decide_objection(
        &self,
        caller: &Caller,
        id: Uuid,
        decision: &ObjectionDecision,
        keyed: &Keyed,
        render: RenderObjection,
    ) -> Result<Reply, AppError> {
        let (county, now, me) = (self.settings.county, self.clock.now(), caller.actor.person);
        let seen = self.objection(caller, id).await?;
        if !may_decide(me, &[Some(seen.row.objector_id), Some(seen.row.person_id)]) {
            return Err(AppError::NotAllowed("own_decision"));
        }
        if !allow(&caller.actor, Action::DecideClaim, seen.row.area()?) {
            return Err(AppError::Forbidden);
        }
        if let Some(reply) = self.replay(Some(keyed)).await? {
            return Ok(reply);
        }
        let mut fields = Fields::default();
        let reason = masked(&fields.text("reason", &decision.reason, REASON_LONGEST));
        let known = |entry: &Uuid| seen.entries.iter().any(|counted| counted.transaction_id == *entry);
        if !decision.entries.iter().all(known) {
            fields.fault("entryIds", "unknown");
        }
        if decision.entries.len() > ENTRIES_AT_MOST || (!decision.uphold && !decision.entries.is_empty()) {
            fields.fault("entryIds", "out_of_range");
        }
        fields.check()?;
        if seen.row.status != "pending" {
            return Err(AppError::Conflict("objection_not_pending"));
        }
        let bookings = self.objected(&decision.entries, &reason, now, me).await?;
        let row = ObjectionRow {
            status: if decision.uphold { "upheld" } else { "dismissed" }.to_owned(),
            decided_by: Some(me),
            decided_at: Some(now),
            decision: Some(reason),
            ..seen.row
        };
        let topic = if decision.uphold { "objection_upheld" } else { "objection_dismissed" };
        let data = serde_json::json!({ "month": row.month, "line": row.number }).to_string();
        let told = Notification { audience: format!("person:{}", row.objector_id), topic, data, about: None };
        let (status, body) = render(&row);
        let answer = self.answer(Some(keyed), row.id, status, &body);
        let deciding = Deciding { county, month: row.month()?, row, bookings, told: vec![told], at: now };
        let written: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                write_decision(conn, &deciding).await?;
                idempotency::keep(conn, answer.as_ref()).await
            })
        })
        .await;
        self.reply(written, keyed, status, body, "objection_not_pending").await
    }

    async fn objected(
        &self,
        entries: &[Uuid],
        reason: &str,
        at: DateTime<Utc>,
        by: Uuid,
    ) -> Result<Vec<(Uuid, Booking)>, AppError> {
        let mut wanted = entries.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let mut bookings = Vec::with_capacity(wanted.len());
        for entry in wanted {
            let of = ledger::find(self.store.pool(), self.settings.county, entry).await?;
            let of = of.ok_or(AppError::NotFound)?;
            if of.posting.decided_by == Some(by) {
                return Err(AppError::NotAllowed("own_decision"));
            }
            if ledger::is_answered(self.store.pool(), entry).await? {
                return Err(AppError::Conflict("already_answered"));
            }
            let posting =
                reversal(&of, reason, at, Some(by)).map_err(|_| AppError::Conflict("not_reversible"))?;
            let id = self.new_id();
            bookings.push((id, Booking::Posting { id, posting: Box::new(posting) }));
        }
        Ok(bookings)
    }
}
