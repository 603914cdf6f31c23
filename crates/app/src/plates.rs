//! Signs and badges in use: what is reported about a sign, revoking and replacing it; issuing a badge, and revoking one
//! that was lost. Whoever scans it learns of it at once at this server, within a second at the others.

use uuid::Uuid;
use xingfuma_domain::access::{Action, allow};
use xingfuma_domain::area::{AreaCode, Level};
use xingfuma_domain::badge::BadgeNumber;
use xingfuma_domain::sign::SignCode;
use xingfuma_store::audit::{self, AuditEntry};
use xingfuma_store::idempotency::Answer;
use xingfuma_store::signs::{self, ReportRow};
use xingfuma_store::{StoreError, badges, directory, idempotency, people, transact};

use crate::command::Reply;
use crate::dispatch::REASON_LONGEST;
use crate::limits::Address;
use crate::once::Once;
use crate::text::{Fields, KnownWords};
use crate::{App, AppError, Caller};

/// Longest note about a sign, in characters.
const NOTE_LONGEST: usize = 300;
/// How often a number or a code is tried again that somebody else took at the same moment.
const TRIES: u32 = 8;

/// What may be wrong with a sign.
const REPORT_KINDS: [&str; 4] = ["wrong_place", "foreign_code", "damaged", "other"];
/// What a report comes to.
const OUTCOMES: [&str; 3] = ["in_order", "replaced", "revoked"];

/// Why a badge is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadgeEnd {
    /// 挂失: its bearer lost it; whoever shows it is not him.
    Lost,
    /// 作废: its bearer serves no more, or it was given out in error.
    Void,
}

impl BadgeEnd {
    /// The name in JSON and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            BadgeEnd::Lost => "lost",
            BadgeEnd::Void => "void",
        }
    }
}

/// A sign that was put in the place of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewSign {
    /// What is to be printed on the plate.
    pub code: SignCode,
    /// Where it hangs.
    pub area: AreaCode,
}

/// A sign that is taken out of force.
struct SignEnd {
    code: SignCode,
    area: AreaCode,
    /// Why, masked.
    reason: String,
    /// The action in the audit log.
    by: &'static str,
    /// What is put in its place.
    fresh: Option<SignCode>,
}

impl App {
    /// Somebody says that a sign looks wrong. He need not say who he is.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for a code that is none of the county's; [`AppError::Invalid`]; [`AppError::TooMany`].
    pub async fn report_sign(
        &self,
        from: Option<Address>,
        code: &str,
        kind: &str,
        note: Option<&str>,
        once: &Once<()>,
    ) -> Result<Reply, AppError> {
        let (code, area, _) = self.known_sign(code)?;
        if let Some(reply) = self.done_before(once).await? {
            return Ok(reply);
        }
        let mut fields = Fields::default();
        let note = fields.optional("note", note, NOTE_LONGEST);
        if !REPORT_KINDS.contains(&kind) {
            fields.fault("kind", "kind_unknown");
        }
        fields.check()?;
        self.count_sign_report(from, code.as_str()).await?;
        let now = self.clock.now();
        let report = ReportRow {
            id: self.ids.id(now),
            county: self.settings.county.to_string(),
            code: code.to_string(),
            area_code: area.to_string(),
            kind: kind.to_owned(),
            note: note.map(|note| KnownWords::default().masked(&note)),
            reported_at: now,
        };
        let (reply, answer) = self.answer_once(once, report.id, &());
        let kept: Result<Option<Reply>, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                signs::report(conn, &report).await?;
                idempotency::keep(conn, answer.as_ref()).await?;
                Ok(Some(reply))
            })
        })
        .await;
        self.done_once(once, kept, AppError::Conflict("busy")).await
    }

    /// The code, its area and whether it is in force, of a sign that the county has.
    fn known_sign(&self, code: &str) -> Result<(SignCode, AreaCode, bool), AppError> {
        let code: SignCode = code.parse().map_err(|_| AppError::NotFound)?;
        let directory = self.directory();
        let sign = directory.sign(&code).ok_or(AppError::NotFound)?;
        Ok((code, sign.area, sign.active))
    }

    /// Reports of the caller's areas that nobody has closed, newest first.
    ///
    /// # Errors
    /// [`AppError::Forbidden`] for somebody who watches over no area.
    pub async fn sign_reports(
        &self,
        caller: &Caller,
        before: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<ReportRow>, AppError> {
        let areas = caller.areas_of_office(Action::ReadSignReports)?;
        Ok(signs::open_reports(self.store.pool(), self.settings.county, &areas, before, limit).await?)
    }

    /// Closes a report.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for one of another area, or one that is closed; [`AppError::Forbidden`] for somebody who only
    /// reads; [`AppError::Invalid`] for an outcome that is none.
    pub async fn close_sign_report(
        &self,
        caller: &Caller,
        id: Uuid,
        outcome: &str,
        once: &Once<()>,
    ) -> Result<Reply, AppError> {
        let found = signs::find_report(self.store.pool(), self.settings.county, id).await?;
        let found = found.ok_or(AppError::NotFound)?;
        let area: AreaCode = found.area_code.parse().map_err(|_| AppError::NotFound)?;
        if !allow(&caller.actor, Action::ReadSignReports, area) {
            return Err(AppError::NotFound);
        }
        if !allow(&caller.actor, Action::ManageSigns, area) {
            return Err(AppError::Forbidden);
        }
        if let Some(reply) = self.done_before(once).await? {
            return Ok(reply);
        }
        if !OUTCOMES.contains(&outcome) {
            return Err(AppError::invalid("outcome", "outcome_unknown"));
        }
        let (by, now, outcome) = (caller.actor.person, self.clock.now(), outcome.to_owned());
        let (reply, answer) = self.answer_once(once, id, &());
        let closed: Result<Option<Reply>, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                if !signs::close_report(conn, id, by, &outcome, now).await? {
                    return Ok(None);
                }
                idempotency::keep(conn, answer.as_ref()).await?;
                Ok(Some(reply))
            })
        })
        .await;
        self.done_once(once, closed, AppError::NotFound).await
    }

    /// Takes a sign out of force.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Forbidden`]; [`AppError::Invalid`] without a reason; [`AppError::Gone`] when it is
    /// not in force any more.
    pub async fn revoke_sign(
        &self,
        caller: &Caller,
        code: &str,
        reason: &str,
        once: &Once<()>,
    ) -> Result<Reply, AppError> {
        let (code, area, active) = self.manageable_sign(caller, code)?;
        if let Some(reply) = self.done_before(once).await? {
            return Ok(reply);
        }
        let reason = self.reason_of(caller, reason)?;
        let (reply, answer) = self.answer_once(once, Uuid::nil(), &());
        let end = SignEnd { code, area, reason, by: "sign_revoked", fresh: None };
        let written = if active { self.end_sign(caller, end, answer).await } else { Ok(false) };
        self.done_once(once, written.map(|done| done.then_some(reply)), AppError::Gone("sign")).await
    }

    /// Takes a sign out of force and puts another one in its place.
    ///
    /// # Errors
    /// As [`App::revoke_sign`].
    pub async fn replace_sign(
        &self,
        caller: &Caller,
        code: &str,
        reason: &str,
        once: &Once<NewSign>,
    ) -> Result<Reply, AppError> {
        let (code, area, active) = self.manageable_sign(caller, code)?;
        if let Some(reply) = self.done_before(once).await? {
            return Ok(reply);
        }
        let reason = self.reason_of(caller, reason)?;
        for _ in 0..TRIES {
            let fresh = SignCode::from_random(u64::from_be_bytes(self.ids.bytes::<8>()));
            let (reply, answer) = self.answer_once(once, Uuid::nil(), &NewSign { code: fresh, area });
            let (by, reason) = ("sign_replaced", reason.clone());
            let end = SignEnd { code, area, reason, by, fresh: Some(fresh) };
            let written = if active { self.end_sign(caller, end, answer).await } else { Ok(false) };
            match written {
                // One in 2^35 codes is taken.
                Err(error) if error.is_unique_violation() => {}
                written => {
                    let written = written.map(|done| done.then_some(reply));
                    return self.done_once(once, written, AppError::Gone("sign")).await;
                }
            }
        }
        Err(AppError::Conflict("busy"))
    }

    /// As [`App::known_sign`], of an area whose signs the caller keeps.
    fn manageable_sign(&self, caller: &Caller, code: &str) -> Result<(SignCode, AreaCode, bool), AppError> {
        let found = self.known_sign(code)?;
        if allow(&caller.actor, Action::ManageSigns, found.1) { Ok(found) } else { Err(AppError::Forbidden) }
    }

    /// Answers whether it was in force until now.
    async fn end_sign(
        &self,
        caller: &Caller,
        end: SignEnd,
        answer: Option<Answer>,
    ) -> Result<bool, StoreError> {
        let SignEnd { code, area, reason, by, fresh } = end;
        let entry = self.about_thing(caller, by, None, format!("{code}: {reason}"));
        let (county, now, name) = (self.settings.county, self.clock.now(), code.to_string());
        let fresh = fresh.map(|fresh| fresh.to_string());
        let ended = transact::<_, StoreError, _>(&self.store, move |conn| {
            Box::pin(async move {
                if !directory::revoke_sign(conn, county, &name, now).await? {
                    return Ok(false);
                }
                if let Some(fresh) = &fresh {
                    signs::insert(conn, county, fresh, area, now).await?;
                }
                audit::append(conn, &[entry]).await?;
                idempotency::keep(conn, answer.as_ref()).await?;
                Ok(true)
            })
        })
        .await?;
        if ended && let Err(error) = self.refresh_directory().await {
            // It is done; this server learns of it within a second like the others.
            tracing::warn!(%error, "the directory was not read again");
        }
        Ok(ended)
    }

    /// Issues a badge to a volunteer, under the next number of his township.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for somebody who is no volunteer of the caller's areas; [`AppError::Conflict`] `badge_active`
    /// when he has one in force: it has to be revoked first.
    pub async fn issue_badge(
        &self,
        caller: &Caller,
        volunteer: Uuid,
        once: &Once<BadgeNumber>,
    ) -> Result<Reply, AppError> {
        let county = self.settings.county;
        let grid = people::grid_of(self.store.pool(), county, volunteer).await?;
        let grid = grid.filter(|grid| allow(&caller.actor, Action::ManageBadges, *grid));
        let township = grid.and_then(|grid| grid.ancestor_at(Level::Township)).ok_or(AppError::NotFound)?;
        if let Some(reply) = self.done_before(once).await? {
            return Ok(reply);
        }
        for _ in 0..TRIES {
            let now = self.clock.now();
            let entry = self.about_thing(caller, "badge_issued", Some(volunteer), String::new());
            // The number is known only inside, so the answer is written there.
            let (app, inside) = (self.clone(), once.clone());
            let written: Result<Option<Reply>, StoreError> = transact(&self.store, move |conn| {
                Box::pin(async move {
                    if people::badge_of(conn, volunteer).await?.is_some() {
                        return Ok(None);
                    }
                    let number = badges::next_number(conn, county, township.as_str()).await?;
                    badges::issue(conn, county, &number, volunteer, now).await?;
                    let entry = AuditEntry { reason: Some(number.to_string()), ..entry };
                    audit::append(conn, &[entry]).await?;
                    let (reply, answer) = app.answer_once(&inside, volunteer, &number);
                    idempotency::keep(conn, answer.as_ref()).await?;
                    Ok(Some(reply))
                })
            })
            .await;
            match written {
                // Somebody else got the number at this very moment.
                Err(error) if error.is_unique_violation() => {}
                written => return self.done_once(once, written, AppError::Conflict("badge_active")).await,
            }
        }
        Err(AppError::Conflict("busy"))
    }

    /// Takes a badge out of force. Its bearer may say himself that he lost it.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for a number that nobody of the caller's areas has; [`AppError::Forbidden`] for one's own as
    /// void; [`AppError::Gone`] when it is not in force any more; [`AppError::Invalid`] without a reason.
    pub async fn revoke_badge(
        &self,
        caller: &Caller,
        number: &str,
        end: BadgeEnd,
        reason: &str,
        once: &Once<()>,
    ) -> Result<Reply, AppError> {
        let county = self.settings.county;
        let number: BadgeNumber = number.parse().map_err(|_| AppError::NotFound)?;
        let bearer = badges::bearer(self.store.pool(), county, &number.to_string()).await?;
        let bearer = bearer.ok_or(AppError::NotFound)?;
        let grid: AreaCode = bearer.grid_code.parse().map_err(|_| AppError::NotFound)?;
        let own = bearer.person_id == caller.actor.person;
        if !allow(&caller.actor, Action::ManageBadges, grid) {
            match (own, end) {
                (true, BadgeEnd::Lost) => {}
                (true, BadgeEnd::Void) => return Err(AppError::Forbidden),
                (false, _) => return Err(AppError::NotFound),
            }
        }
        if let Some(reply) = self.done_before(once).await? {
            return Ok(reply);
        }
        let reason = self.reason_of(caller, reason)?;
        let action = match end {
            BadgeEnd::Lost => "badge_lost",
            BadgeEnd::Void => "badge_voided",
        };
        let entry = self.about_thing(caller, action, Some(bearer.person_id), format!("{number}: {reason}"));
        let number = number.to_string();
        let (reply, answer) = self.answer_once(once, bearer.person_id, &());
        let revoked: Result<Option<Reply>, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                if !badges::revoke(conn, county, &number, end.as_str()).await? {
                    return Ok(None);
                }
                audit::append(conn, &[entry]).await?;
                idempotency::keep(conn, answer.as_ref()).await?;
                Ok(Some(reply))
            })
        })
        .await;
        self.done_once(once, revoked, AppError::Gone("badge")).await
    }

    fn reason_of(&self, caller: &Caller, reason: &str) -> Result<String, AppError> {
        let mut fields = Fields::default();
        let reason = caller.known_words()?.masked(&fields.text("reason", reason, REASON_LONGEST));
        fields.check()?;
        Ok(reason)
    }

    /// A line of the audit log about a thing of the county, or about somebody's.
    fn about_thing(
        &self,
        caller: &Caller,
        action: &'static str,
        subject: Option<Uuid>,
        reason: String,
    ) -> AuditEntry {
        AuditEntry {
            id: self.new_id(),
            county: self.settings.county,
            at: self.clock.now(),
            person: Some(caller.actor.person),
            action,
            resource: subject.unwrap_or_else(Uuid::nil),
            subject,
            reason: Some(reason),
        }
    }
}
