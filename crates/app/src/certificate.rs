//! 志愿服务记录证明: asked for by the person or by his station, signed by a second one, checked by anybody who holds its
//! number.
//!
//! Who holds the number sees the name masked: it is printed on the certificate, where it can be compared. Who also has
//! the holder's code, which only the holder is told, sees it whole. The code follows from the certificate's id under a
//! key of the program and is stored nowhere.

use std::sync::Arc;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use uuid::Uuid;
use xingfuma_domain::access::{Action, allow};
use xingfuma_domain::area::{AreaCode, Level};
use xingfuma_domain::certificate::{
    self, CertificateNumber, CertificateStatus, CertifiedService, Content, Standing, YEARS_MOST, name_seal,
};
use xingfuma_domain::scoring::{china_date, china_day_begins, may_decide};
use xingfuma_domain::service::{Service, minutes_of};
use xingfuma_store::audit::{self, AuditEntry};
use xingfuma_store::certificates::{self, CertificateRow};
use xingfuma_store::orders::Notification;
use xingfuma_store::{StoreError, idempotency, inbox, people, services, transact};

use crate::command::{Keyed, Reply};
use crate::dispatch::REASON_LONGEST;
use crate::privacy::{CertificatePrivate, PersonPrivate, Private};
use crate::service::services_of;
use crate::text::{Fields, masked};
use crate::{App, AppError, Caller};

mod check;

pub use check::{CertificateChecked, Printed};

/// Turns a certificate into an answer; told what it is worth.
pub type RenderCertificate = Arc<dyn Fn(&CertificateSeen) -> (u16, Vec<u8>) + Send + Sync>;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificateRequest {
    /// Whose services; the caller's own where nobody is named.
    pub person: Option<Uuid>,
    /// The first day.
    pub from: NaiveDate,
    /// The last day.
    pub to: NaiveDate,
    /// The certificate that it is to stand in for.
    pub replaces: Option<Uuid>,
}

/// A certificate as its person and his station see it.
#[derive(Clone, Debug)]
pub struct CertificateSeen {
    /// The row.
    pub row: CertificateRow,
    /// What it says; absent until it is signed.
    pub content: Option<Content>,
    /// What it is worth; absent until it is signed.
    pub standing: Option<Standing>,
    /// The holder's code; for the holder alone.
    pub holder_code: Option<String>,
}

/// The name of the one who issues it, by the level of the station.
fn station(level: Level) -> &'static str {
    match level {
        Level::County => "新时代文明实践中心",
        Level::Township => "新时代文明实践所",
        _ => "新时代文明实践站",
    }
}

impl App {
    /// Asks for a certificate.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for a person who is nobody to the caller; [`AppError::Invalid`]; [`AppError::Conflict`]
    /// `nothing_served`.
    pub async fn request_certificate(
        &self,
        caller: &Caller,
        request: CertificateRequest,
        keyed: &Keyed,
        render: RenderCertificate,
    ) -> Result<Reply, AppError> {
        let (pool, county, now) = (self.store.pool(), self.settings.county, self.clock.now());
        let whose = request.person.unwrap_or(caller.actor.person);
        let volunteer = services::volunteer(pool, county, whose).await?.ok_or(AppError::NotFound)?;
        let area: AreaCode = volunteer.grid_code.parse().map_err(|_| AppError::NotFound)?;
        if whose != caller.actor.person && !allow(&caller.actor, Action::IssueCertificate, area) {
            return Err(AppError::NotFound);
        }
        if let Some(reply) = self.replay(Some(keyed)).await? {
            return Ok(reply);
        }
        let mut fields = Fields::default();
        if request.from > request.to || request.to.year() - request.from.year() > YEARS_MOST {
            fields.fault("from", "out_of_range");
        }
        if request.to > china_date(now) {
            fields.fault("to", "in_the_future");
        }
        if let Some(before) = request.replaces {
            let found = certificates::find(pool, county, before).await?;
            if !found.is_some_and(|row| row.person_id == whose && row.status == "issued") {
                fields.fault("replaces", "unknown");
            }
        }
        fields.check()?;
        if self.certifiable(whose, request.from, request.to).await?.is_empty() {
            return Err(AppError::Conflict("nothing_served"));
        }
        let row = CertificateRow {
            id: self.new_id(),
            county: county.to_string(),
            area_code: area.to_string(),
            person_id: whose,
            from_day: request.from.to_string(),
            to_day: request.to.to_string(),
            replaces: request.replaces,
            requested_by: caller.actor.person,
            requested_at: now,
            status: CertificateStatus::Requested.as_str().to_owned(),
            number: None,
            content: None,
            seal: None,
            private: None,
            signed_by: None,
            signed_at: None,
            ended_by: None,
            ended_at: None,
            reason: None,
        };
        let (status, body) = render(&seen_of(row.clone()));
        let answer = self.answer(Some(keyed), row.id, status, &body);
        let audience = format!("station:{}", area.ancestor_at(Level::Village).unwrap_or(area));
        let words =
            [Notification { audience, topic: "certificate_requested", data: "{}".to_owned(), about: None }];
        let written: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                certificates::insert(conn, &row).await?;
                inbox::tell(conn, row.id, county, now, &words).await?;
                idempotency::keep(conn, answer.as_ref()).await
            })
        })
        .await;
        self.reply(written, keyed, status, body, "busy").await
    }

    async fn certifiable(
        &self,
        person: Uuid,
        from: NaiveDate,
        to: NaiveDate,
    ) -> Result<Vec<Service>, AppError> {
        let until = china_day_begins(to.succ_opt().unwrap_or(NaiveDate::MAX));
        let (pool, county) = (self.store.pool(), self.settings.county);
        let found = services_of(pool, county, &[person], china_day_begins(from), until).await?;
        Ok(found.into_iter().map(|(service, _)| service).collect())
    }

    /// A certificate of the caller, or of his areas.
    async fn reached_certificate(&self, caller: &Caller, id: Uuid) -> Result<CertificateRow, AppError> {
        let row = certificates::find(self.store.pool(), self.settings.county, id).await?;
        let row = row.ok_or(AppError::NotFound)?;
        let seen = row.person_id == caller.actor.person
            || allow(&caller.actor, Action::ReadCertificates, row.area()?);
        if seen { Ok(row) } else { Err(AppError::NotFound) }
    }

    /// As [`App::reached_certificate`], for one who may decide about it.
    async fn certificate_to_decide(&self, caller: &Caller, id: Uuid) -> Result<CertificateRow, AppError> {
        let row = self.reached_certificate(caller, id).await?;
        if !may_decide(caller.actor.person, &[Some(row.person_id), Some(row.requested_by)]) {
            return Err(AppError::NotAllowed("own_decision"));
        }
        if !allow(&caller.actor, Action::IssueCertificate, row.area()?) {
            return Err(AppError::Forbidden);
        }
        Ok(row)
    }

    /// Signs a request: freezes what it says, gives it a number.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::NotAllowed`] `own_decision` for the person and for who asked;
    /// [`AppError::Forbidden`]; [`AppError::Conflict`] `certificate_not_requested`, `nothing_served`, `badge_missing`,
    /// `name_missing`.
    pub async fn sign_certificate(
        &self,
        caller: &Caller,
        id: Uuid,
        keyed: &Keyed,
        render: RenderCertificate,
    ) -> Result<Reply, AppError> {
        let (county, now) = (self.settings.county, self.clock.now());
        let row = self.certificate_to_decide(caller, id).await?;
        if let Some(reply) = self.replay(Some(keyed)).await? {
            return Ok(reply);
        }
        if row.status()? != CertificateStatus::Requested {
            return Err(AppError::Conflict("certificate_not_requested"));
        }
        let (row, content) = self.signed(caller, row, now).await?;
        let seen = CertificateSeen {
            row: row.clone(),
            content: Some(content),
            standing: Some(Standing::Valid),
            holder_code: None,
        };
        let (status, body) = render(&seen);
        let answer = self.answer(Some(keyed), id, status, &body);
        let line = self.certificate_line(caller, &row, "certificate_signed", None);
        let words = [told_person(row.person_id, "certificate_issued")];
        let written: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                certificates::sign(conn, &row).await?;
                audit::append(conn, &[line]).await?;
                inbox::tell(conn, row.id, county, now, &words).await?;
                idempotency::keep(conn, answer.as_ref()).await
            })
        })
        .await;
        self.reply(written, keyed, status, body, "certificate_not_requested").await
    }

    /// What is written when it is signed.
    async fn signed(
        &self,
        caller: &Caller,
        row: CertificateRow,
        now: DateTime<Utc>,
    ) -> Result<(CertificateRow, Content), AppError> {
        let (pool, county) = (self.store.pool(), self.settings.county);
        let day = |text: &str| text.parse::<NaiveDate>().map_err(|_| AppError::Internal("a day".to_owned()));
        let (from, to) = (day(&row.from_day)?, day(&row.to_day)?);
        let served = self.certifiable(row.person_id, from, to).await?;
        if served.is_empty() {
            return Err(AppError::Conflict("nothing_served"));
        }
        let badge = people::badge_of(pool, row.person_id).await?;
        let badge = badge.ok_or(AppError::Conflict("badge_missing"))?;
        let person = people::find(pool, county, row.person_id).await?.ok_or(AppError::NotFound)?;
        let wrapped = person.data_key.as_deref().ok_or(AppError::Conflict("name_missing"))?;
        let key = self.keys.data_key(row.person_id, wrapped)?;
        let name =
            PersonPrivate::of(&self.keys, row.person_id, Some(wrapped), person.private.as_deref())?.name;
        let name = name.ok_or(AppError::Conflict("name_missing"))?;
        let handler = caller.own()?.name.unwrap_or_else(|| caller.surname.clone());
        let salt = self.ids.bytes::<16>();
        let random = u64::from_be_bytes(self.ids.bytes::<8>());
        let content = Content {
            number: CertificateNumber::from_random(random).to_string(),
            badge,
            from,
            to,
            minutes: minutes_of(&served),
            services: served.iter().map(|service| self.certified(service)).collect(),
            issuer: self.issuer(caller, row.area()?),
            issued_at: now,
            name_seal: name_seal(&salt, &name, &handler),
        };
        let text = serde_json::to_string(&content).map_err(|error| AppError::Internal(error.to_string()))?;
        let private = CertificatePrivate { name, handler, salt: salt.to_vec() };
        let row = CertificateRow {
            status: CertificateStatus::Issued.as_str().to_owned(),
            number: Some(content.number.clone()),
            seal: Some(certificate::seal(&text).to_vec()),
            content: Some(text),
            private: Some(private.seal(&key, row.id, &self.ids)),
            signed_by: Some(caller.actor.person),
            signed_at: Some(now),
            ..row
        };
        Ok((row, content))
    }

    fn certified(&self, service: &Service) -> CertifiedService {
        let directory = self.directory();
        let name = directory.category(&service.category).map(|category| category.name.clone());
        CertifiedService {
            source: service.source,
            id: service.id,
            at: service.at,
            minutes: service.minutes,
            name: name.unwrap_or_else(|| service.category.clone()),
        }
    }

    /// The station of the widest area over which the signer may sign.
    fn issuer(&self, caller: &Caller, grid: AreaCode) -> String {
        let areas = caller.areas(Action::IssueCertificate).into_iter().filter(|area| area.contains(&grid));
        let area = areas.min_by_key(|area| area.level()).unwrap_or(grid);
        format!("{}{}", self.directory().path(area).concat(), station(area.level()))
    }

    fn certificate_line(
        &self,
        caller: &Caller,
        row: &CertificateRow,
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
            subject: Some(row.person_id),
            reason,
        }
    }

    /// Refuses a request, or takes back what was issued.
    ///
    /// # Errors
    /// As [`App::sign_certificate`]; [`AppError::Conflict`] `certificate_not_requested`, `certificate_not_issued`.
    pub async fn end_certificate(
        &self,
        caller: &Caller,
        id: Uuid,
        revoke: bool,
        reason: &str,
        keyed: &Keyed,
        render: RenderCertificate,
    ) -> Result<Reply, AppError> {
        let (county, now) = (self.settings.county, self.clock.now());
        let row = self.certificate_to_decide(caller, id).await?;
        if let Some(reply) = self.replay(Some(keyed)).await? {
            return Ok(reply);
        }
        let mut fields = Fields::default();
        let reason = masked(&fields.text("reason", reason, REASON_LONGEST));
        fields.check()?;
        let (to, action, topic, taken) = match revoke {
            true => ("revoked", "certificate_revoked", "certificate_revoked", "certificate_not_issued"),
            false => ("refused", "certificate_refused", "certificate_refused", "certificate_not_requested"),
        };
        let row = CertificateRow {
            status: to.to_owned(),
            ended_by: Some(caller.actor.person),
            ended_at: Some(now),
            reason: Some(reason.clone()),
            ..row
        };
        let mut seen = seen_of(row.clone());
        seen.content = row.content()?.map(|(content, _)| content);
        seen.standing = seen.content.as_ref().map(|_| Standing::Revoked);
        let (status, body) = render(&seen);
        let answer = self.answer(Some(keyed), id, status, &body);
        let line = self.certificate_line(caller, &row, action, Some(reason));
        let words = [told_person(row.person_id, topic)];
        let written: Result<(), StoreError> = transact(&self.store, move |conn| {
            Box::pin(async move {
                certificates::end(conn, &row).await?;
                audit::append(conn, &[line]).await?;
                inbox::tell(conn, row.id, county, now, &words).await?;
                idempotency::keep(conn, answer.as_ref()).await
            })
        })
        .await;
        self.reply(written, keyed, status, body, taken).await
    }

    /// Certificates of the caller, and of his areas; newest first. What they are worth is told one by one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn certificates(
        &self,
        caller: &Caller,
        before: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<CertificateSeen>, AppError> {
        let areas = caller.areas(Action::ReadCertificates);
        let (pool, county, me) = (self.store.pool(), self.settings.county, caller.actor.person);
        let rows = certificates::list(pool, county, me, &areas, before, limit).await?;
        Ok(rows.into_iter().map(seen_of).collect())
    }

    /// One certificate, with what it is worth; the holder learns his code.
    ///
    /// # Errors
    /// [`AppError::NotFound`].
    pub async fn certificate(&self, caller: &Caller, id: Uuid) -> Result<CertificateSeen, AppError> {
        let row = self.reached_certificate(caller, id).await?;
        let worth = self.worth(&row).await?;
        let own = row.person_id == caller.actor.person && worth.is_some();
        let holder_code = own.then(|| self.holder_code(row.id));
        let (content, standing) = worth.unzip();
        Ok(CertificateSeen { row, content, standing, holder_code })
    }
}

fn told_person(person: Uuid, topic: &'static str) -> Notification {
    Notification { audience: format!("person:{person}"), topic, data: "{}".to_owned(), about: None }
}

fn seen_of(row: CertificateRow) -> CertificateSeen {
    CertificateSeen { row, content: None, standing: None, holder_code: None }
}
