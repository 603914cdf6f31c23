//! Signs and badges in use: what is reported about a sign, revoking and replacing it; issuing a badge, and revoking one
//! that was lost. Whoever scans it learns of it at once at this server, within a second at the others.

use uuid::Uuid;
use xingfuma_domain::access::{Action, Role, allow};
use xingfuma_domain::area::{AreaCode, Level};
use xingfuma_domain::badge::BadgeNumber;
use xingfuma_domain::sign::SignCode;
use xingfuma_store::audit::{self, AuditEntry};
use xingfuma_store::signs::{self, ReportRow};
use xingfuma_store::{StoreError, badges, directory, people, transact};

use crate::dispatch::REASON_LONGEST;
use crate::limits::Address;
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
    ) -> Result<(), AppError> {
        let (code, area, _) = self.known_sign(code)?;
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
        let kept: Result<(), StoreError> =
            transact(&self.store, move |conn| Box::pin(async move { signs::report(conn, &report).await }))
                .await;
        Ok(kept?)
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
        let areas: Vec<AreaCode> = [Role::Dispatcher, Role::CountyAdmin, Role::Auditor]
            .into_iter()
            .flat_map(|role| caller.actor.areas(role))
            .filter(|area| allow(&caller.actor, Action::ReadSignReports, *area))
            .collect();
        if areas.is_empty() {
            return Err(AppError::Forbidden);
        }
        Ok(signs::open_reports(self.store.pool(), self.settings.county, &areas, before, limit).await?)
    }

    /// Closes a report.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for one of another area, or one that is closed; [`AppError::Forbidden`] for somebody who only
    /// reads; [`AppError::Invalid`] for an outcome that is none.
    pub async fn close_sign_report(&self, caller: &Caller, id: Uuid, outcome: &str) -> Result<(), AppError> {
        let found = signs::open_report(self.store.pool(), self.settings.county, id).await?;
        let found = found.ok_or(AppError::NotFound)?;
        let area: AreaCode = found.area_code.parse().map_err(|_| AppError::NotFound)?;
        if !allow(&caller.actor, Action::ReadSignReports, area) {
            return Err(AppError::NotFound);
        }
        if !allow(&caller.actor, Action::ManageSigns, area) {
            return Err(AppError::Forbidden);
        }
        if !OUTCOMES.contains(&outcome) {
            return Err(AppError::invalid("outcome", "outcome_unknown"));
        }
        let (by, now, outcome) = (caller.actor.person, self.clock.now(), outcome.to_owned());
        let closed: Result<bool, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move { signs::close_report(conn, id, by, &outcome, now).await })
        })
        .await;
        if closed? { Ok(()) } else { Err(AppError::NotFound) }
    }

    /// Takes a sign out of force, and puts another one in its place if `replace`. Answers the new code.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Forbidden`]; [`AppError::Invalid`] without a reason; [`AppError::Gone`] when it is
    /// not in force any more.
    pub async fn revoke_sign(
        &self,
        caller: &Caller,
        code: &str,
        reason: &str,
        replace: bool,
    ) -> Result<Option<(SignCode, AreaCode)>, AppError> {
        let (code, area, active) = self.known_sign(code)?;
        if !allow(&caller.actor, Action::ManageSigns, area) {
            return Err(AppError::Forbidden);
        }
        let reason = self.reason_of(caller, reason)?;
        if !active {
            return Err(AppError::Gone("sign"));
        }
        let action = if replace { "sign_replaced" } else { "sign_revoked" };
        for _ in 0..TRIES {
            let fresh = replace.then(|| SignCode::from_random(u64::from_be_bytes(self.ids.bytes::<8>())));
            let entry = self.about_thing(caller, action, None, format!("{code}: {reason}"));
            let (county, now, name) = (self.settings.county, self.clock.now(), code.to_string());
            let new = fresh.as_ref().map(ToString::to_string);
            let written: Result<bool, StoreError> = transact(&self.store, move |conn| {
                Box::pin(async move {
                    let revoked = directory::revoke_sign(conn, county, &name, now).await?;
                    if revoked {
                        if let Some(new) = &new {
                            signs::insert(conn, county, new, area, now).await?;
                        }
                        audit::append(conn, &[entry]).await?;
                    }
                    Ok(revoked)
                })
            })
            .await;
            match written {
                Ok(true) => {
                    self.refresh_directory().await?;
                    return Ok(fresh.map(|fresh| (fresh, area)));
                }
                Ok(false) => return Err(AppError::Gone("sign")),
                // One in 2^35 codes is taken.
                Err(error) if error.is_unique_violation() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppError::Conflict("busy"))
    }

    /// Issues a badge to a volunteer, under the next number of his township.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for somebody who is no volunteer of the caller's areas; [`AppError::Conflict`] `badge_active`
    /// when he has one in force: it has to be revoked first.
    pub async fn issue_badge(&self, caller: &Caller, volunteer: Uuid) -> Result<BadgeNumber, AppError> {
        let county = self.settings.county;
        let grid = people::grid_of(self.store.pool(), county, volunteer).await?;
        let grid = grid.filter(|grid| allow(&caller.actor, Action::ManageBadges, *grid));
        let township = grid.and_then(|grid| grid.ancestor_at(Level::Township)).ok_or(AppError::NotFound)?;
        for _ in 0..TRIES {
            let now = self.clock.now();
            let entry = self.about_thing(caller, "badge_issued", Some(volunteer), String::new());
            let written: Result<Option<BadgeNumber>, StoreError> = transact(&self.store, move |conn| {
                Box::pin(async move {
                    if people::badge_of(conn, volunteer).await?.is_some() {
                        return Ok(None);
                    }
                    let number = badges::next_number(conn, county, township.as_str()).await?;
                    badges::issue(conn, county, &number, volunteer, now).await?;
                    let entry = AuditEntry { reason: Some(number.to_string()), ..entry };
                    audit::append(conn, &[entry]).await?;
                    Ok(Some(number))
                })
            })
            .await;
            match written {
                Ok(Some(number)) => return Ok(number),
                Ok(None) => return Err(AppError::Conflict("badge_active")),
                // Somebody else got the number at this very moment.
                Err(error) if error.is_unique_violation() => {}
                Err(error) => return Err(error.into()),
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
    ) -> Result<(), AppError> {
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
        let reason = self.reason_of(caller, reason)?;
        let action = match end {
            BadgeEnd::Lost => "badge_lost",
            BadgeEnd::Void => "badge_voided",
        };
        let entry = self.about_thing(caller, action, Some(bearer.person_id), format!("{number}: {reason}"));
        let number = number.to_string();
        let revoked: Result<bool, StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                let revoked = badges::revoke(conn, county, &number, end.as_str()).await?;
                if revoked {
                    audit::append(conn, &[entry]).await?;
                }
                Ok(revoked)
            })
        })
        .await;
        if revoked? { Ok(()) } else { Err(AppError::Gone("badge")) }
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
