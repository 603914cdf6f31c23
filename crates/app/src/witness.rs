//! The witness: writes down what was read and what was refused, and seals the audit log.
//!
//! What a command discloses is logged in its own transaction. Two things have none: a read that shows personal data
//! again, and an attempt that was refused. They go through a channel to one task that writes them together, a fraction of
//! a second later, so that a reader waits for no commit. When more comes than can be written, a refused attempt is dropped
//! and counted (`xingfuma_audit_lost_total`), and a read waits. A crash loses what was not written yet: at most what came
//! in during one commit.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;
use xingfuma_domain::access::{Action, allow};
use xingfuma_domain::area::AreaCode;
use xingfuma_store::audit::{self, AuditEntry, AuditRow};
use xingfuma_store::{StoreError, transact};

use crate::{App, AppError, Caller};

/// What may wait to be written.
pub(crate) const WAITING: usize = 4_096;
/// Most lines in one commit.
const BATCH: usize = 256;
/// How often a batch is tried.
const TRIES: u32 = 5;

/// Something for the witness.
pub(crate) enum Seen {
    /// A line, whose subject is looked up where it is not known.
    Line(AuditEntry),
    /// Everything before this is written when it is answered.
    Flush(oneshot::Sender<()>),
}

/// Starts the task that writes.
pub(crate) fn start(app: &App, mut seen: mpsc::Receiver<Seen>) {
    // It holds the app weakly: when the last user lets go, the channel closes and the task ends.
    let weak = app.downgrade();
    app.runtime().spawn(async move {
        let mut batch = Vec::with_capacity(BATCH);
        while seen.recv_many(&mut batch, BATCH).await > 0 {
            let Some(app) = weak.upgrade() else { return };
            app.write_seen(std::mem::take(&mut batch)).await;
        }
    });
}

/// A page of what was done with somebody's data.
#[derive(Clone, Debug)]
pub struct Accesses {
    /// Whose data it was.
    pub subject: Uuid,
    /// Newest first.
    pub rows: Vec<AuditRow>,
}

/// Whose accesses are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessedBy {
    /// Those to the data of this person.
    Person(Uuid),
    /// Those to the data of whoever ordered this.
    Order(Uuid),
}

impl App {
    async fn write_seen(&self, batch: Vec<Seen>) {
        let (mut lines, mut waiting) = (Vec::new(), Vec::new());
        for seen in batch {
            match seen {
                Seen::Line(entry) => lines.push(entry),
                Seen::Flush(done) => waiting.push(done),
            }
        }
        for attempt in 1..=TRIES {
            match self.write_lines(&mut lines).await {
                Ok(()) => break,
                Err(error) if attempt == TRIES => {
                    tracing::error!(%error, lines = lines.len(), "lines of the audit log were not written");
                    self.metrics.count_lost(lines.len());
                }
                Err(error) => {
                    tracing::warn!(%error, "the audit log waits for the database");
                    tokio::time::sleep(Duration::from_millis(200) * attempt).await;
                }
            }
        }
        for done in waiting {
            // Nobody waits any more.
            let _ = done.send(());
        }
    }

    async fn write_lines(&self, lines: &mut [AuditEntry]) -> Result<(), StoreError> {
        if lines.is_empty() {
            return Ok(());
        }
        let county = self.settings.county;
        let unknown: Vec<Uuid> =
            lines.iter().filter(|line| line.subject.is_none()).map(|line| line.resource).collect();
        let known = audit::requesters(self.store.pool(), county, &unknown).await?;
        for line in lines.iter_mut().filter(|line| line.subject.is_none()) {
            line.subject = known.iter().find(|(order, _)| *order == line.resource).map(|(_, person)| *person);
        }
        let entries = lines.to_vec();
        transact(&self.store, move |conn| Box::pin(async move { audit::append(conn, &entries).await })).await
    }

    fn line(&self, person: Uuid, action: &'static str, resource: Uuid) -> AuditEntry {
        let at = self.clock.now();
        let county = self.settings.county;
        let (person, id) = (Some(person), self.ids.id(at));
        AuditEntry { id, county, at, person, action, resource, subject: None, reason: None }
    }

    /// Notes an attempt that was refused: somebody asked for what is not his (403) or not there for him (404).
    /// `resource` is what he named, and need not exist.
    pub fn note_refusal(&self, person: Uuid, resource: Option<Uuid>, what: String) {
        let line = AuditEntry {
            reason: Some(what),
            ..self.line(person, "refused", resource.unwrap_or_else(Uuid::nil))
        };
        if self.seen.try_send(Seen::Line(line)).is_err() {
            self.metrics.count_lost(1);
        }
    }

    /// Notes that personal data of `subject` was shown.
    pub(crate) async fn note_read(
        &self,
        caller: &Caller,
        action: &'static str,
        resource: Uuid,
        subject: Uuid,
    ) {
        let line = AuditEntry { subject: Some(subject), ..self.line(caller.actor.person, action, resource) };
        if self.seen.send(Seen::Line(line)).await.is_err() {
            self.metrics.count_lost(1);
        }
    }

    /// Waits until everything that was noted is written.
    pub async fn flush_witness(&self) {
        let (done, written) = oneshot::channel();
        if self.seen.send(Seen::Flush(done)).await.is_ok() {
            // An error is the task's end, and then there is nothing to wait for.
            let _ = written.await;
        }
    }

    /// Who did what with a person's data, newest first; asking is logged too.
    ///
    /// # Errors
    /// [`AppError::Forbidden`] for others than the county's administrators and auditors; [`AppError::NotFound`] for an
    /// order that the county does not have.
    pub async fn accesses(
        &self,
        caller: &Caller,
        of: AccessedBy,
        before: Option<Uuid>,
        limit: u64,
    ) -> Result<Accesses, AppError> {
        let county = self.settings.county;
        if !allow(&caller.actor, Action::ReadAudit, county) {
            return Err(AppError::Forbidden);
        }
        let subject = match of {
            AccessedBy::Person(person) => person,
            AccessedBy::Order(order) => self.requester_of(county, order).await?,
        };
        let rows = audit::about(self.store.pool(), county, subject, before, limit).await?;
        let entry =
            AuditEntry { subject: Some(subject), ..self.line(caller.actor.person, "audit_read", subject) };
        let noted: Result<(), StoreError> =
            transact(&self.store, move |conn| Box::pin(async move { audit::append(conn, &[entry]).await }))
                .await;
        noted?;
        Ok(Accesses { subject, rows })
    }

    async fn requester_of(&self, county: AreaCode, order: Uuid) -> Result<Uuid, AppError> {
        let found = audit::requesters(self.store.pool(), county, &[order]).await?;
        found.first().map(|(_, person)| *person).ok_or(AppError::NotFound)
    }

    /// Seals what was appended to the audit log.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn seal_audit(&self) -> Result<(), AppError> {
        while audit::seal(&self.store, self.settings.county).await? == audit::SEALED_AT_ONCE {}
        Ok(())
    }
}
