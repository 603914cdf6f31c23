//! The volunteer record as files: people, teams, projects, training, awards, hours, ratings.
//!
//! Everything is read in pieces of a few hundred people and handed on at once, so that a county of any size takes the
//! same memory; whoever reads slowly makes the next piece wait. Names and phones are opened only where they are asked
//! for with a reason, and only in the part that has columns for them. Each export leaves a line in the audit log before
//! its first row.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use futures_util::Stream;
use tokio::sync::mpsc;
use uuid::Uuid;
use xingfuma_domain::access::{Action, allow};
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::dispatch::TeamKind;
use xingfuma_domain::record::{Cell, Format, Part};
use xingfuma_domain::scoring::{RuleBook, SourceType, china_date, china_day_begins};
use xingfuma_domain::service::Service;
use xingfuma_store::audit::{self, AuditEntry};
use xingfuma_store::services::{self, VolunteerRow};
use xingfuma_store::{Store, StoreError, people, record, trainings, transact};

use crate::directory::Directory;
use crate::dispatch::REASON_LONGEST;
use crate::keys::Keys;
use crate::privacy::PersonPrivate;
use crate::service::{PIECE, services_of};
use crate::text::{Fields, masked};
use crate::{App, AppError, Caller};

/// Pieces that may wait for a slow reader.
const PIECES_WAITING: usize = 4;
/// The longest span of one export, in days.
const DAYS_MOST: i64 = 366 * 5;

/// What is to be taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordRequest {
    /// Which part.
    pub part: Part,
    /// How it is written.
    pub format: Format,
    /// The area.
    pub area: AreaCode,
    /// The first day.
    pub from: NaiveDate,
    /// The last day.
    pub to: NaiveDate,
    /// Whether names and phones are opened; then with a reason.
    pub with_names: bool,
    /// Why.
    pub reason: String,
}

impl RecordRequest {
    /// Checks span and reason; answers the reason as it may be stored.
    ///
    /// # Errors
    /// [`AppError::Invalid`].
    pub fn check(&self) -> Result<Option<String>, AppError> {
        let mut fields = Fields::default();
        if self.from > self.to || (self.to - self.from).num_days() > DAYS_MOST {
            fields.fault("from", "out_of_range");
        }
        let reason = fields.optional("reason", Some(&self.reason), REASON_LONGEST);
        if self.with_names && reason.is_none() {
            fields.fault("reason", "required");
        }
        fields.check()?;
        Ok(reason.map(|reason| masked(&reason)))
    }

    /// What the audit log calls it.
    pub fn action(&self) -> &'static str {
        if self.with_names { "record_exported_with_names" } else { "record_exported" }
    }

    /// What the audit log says of it: part, area, span, and why.
    pub fn noted(&self, reason: Option<&str>) -> String {
        let what = format!("{} {} {} {}", self.part.as_str(), self.area, self.from, self.to);
        reason.map_or(what.clone(), |reason| format!("{what}: {reason}"))
    }
}

/// Where the record is read from.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The database.
    pub store: &'a Store,
    /// The county.
    pub county: AreaCode,
    /// Names of areas, teams and categories.
    pub directory: &'a Directory,
    /// The rules, for the names of bonuses.
    pub rules: &'a RuleBook,
    /// Opens names, where they are asked for.
    pub keys: &'a Keys,
}

impl std::fmt::Debug for Source<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Source").field("county", &self.county).finish_non_exhaustive()
    }
}

/// Hands on texts, counting rows.
struct Writer<'a> {
    request: &'a RecordRequest,
    out: &'a mpsc::Sender<Result<String, AppError>>,
    rows: u64,
}

impl Writer<'_> {
    async fn send(&self, text: String) -> Result<(), AppError> {
        let gone = |_| AppError::Unavailable("nobody reads any more");
        if text.is_empty() { Ok(()) } else { self.out.send(Ok(text)).await.map_err(gone) }
    }

    async fn rows(&mut self, rows: impl IntoIterator<Item = Vec<Cell>>) -> Result<(), AppError> {
        let mut text = String::new();
        for cells in rows {
            text.push_str(&self.request.format.row(self.request.part, &cells, self.rows == 0));
            self.rows += 1;
        }
        self.send(text).await
    }
}

/// Writes one part of the record, piece by piece; answers how many rows.
///
/// # Errors
/// When the database fails, or nobody takes the pieces any more.
pub async fn write(
    source: &Source<'_>,
    request: &RecordRequest,
    out: &mpsc::Sender<Result<String, AppError>>,
) -> Result<u64, AppError> {
    let mut writer = Writer { request, out, rows: 0 };
    writer.send(request.format.head(request.part)).await?;
    match request.part {
        Part::Teams => writer.rows(teams(source, request).await?).await?,
        Part::Projects => writer.rows(projects(source, request).await?).await?,
        Part::People | Part::Training | Part::Awards | Part::Hours | Part::Ratings => {
            let mut after = None;
            loop {
                let people = piece(source, request, after).await?;
                after = people.last().map(|row| row.person_id);
                let rows = match request.part {
                    Part::People => of_people(source, request, &people).await?,
                    Part::Training => of_trainings(source, request, &people).await?,
                    Part::Awards => of_awards(source, request, &people).await?,
                    part => of_services(source, request, part, &people).await?,
                };
                writer.rows(rows).await?;
                if (people.len() as u64) < PIECE {
                    break;
                }
            }
        }
    }
    writer.send(request.format.foot().to_owned()).await?;
    Ok(writer.rows)
}

async fn piece(
    source: &Source<'_>,
    request: &RecordRequest,
    after: Option<Uuid>,
) -> Result<Vec<VolunteerRow>, AppError> {
    let (pool, county) = (source.store.pool(), source.county);
    Ok(services::volunteers(pool, county, request.area, true, after, PIECE).await?)
}

fn span(request: &RecordRequest) -> (DateTime<Utc>, DateTime<Utc>) {
    let after = request.to.succ_opt().unwrap_or(NaiveDate::MAX);
    (china_day_begins(request.from), china_day_begins(after))
}

fn on(at: DateTime<Utc>) -> Cell {
    china_date(at).to_string().into()
}

fn team_name(directory: &Directory, team: Uuid) -> Cell {
    directory.team(team).map(|team| team.name.clone()).into()
}

async fn of_people(
    source: &Source<'_>,
    request: &RecordRequest,
    people: &[VolunteerRow],
) -> Result<Vec<Vec<Cell>>, AppError> {
    let ids: Vec<Uuid> = people.iter().map(|row| row.person_id).collect();
    let known = people::find_all(source.store.pool(), source.county, &ids).await?;
    let known: BTreeMap<Uuid, people::PersonRow> = known.into_iter().map(|row| (row.id, row)).collect();
    let mut rows = Vec::with_capacity(people.len());
    for row in people {
        let person = known.get(&row.person_id);
        let (name, phone) = match person {
            Some(person) if request.with_names => {
                let (key, sealed) = (person.data_key.as_deref(), person.private.as_deref());
                let private = PersonPrivate::of(source.keys, person.id, key, sealed)?;
                (private.name, private.phone)
            }
            Some(person) if !person.surname.is_empty() => (Some(format!("{}**", person.surname)), None),
            _ => (None, None),
        };
        rows.push(vec![
            row.badge.clone().into(),
            name.into(),
            phone.into(),
            row.grid_code.clone().into(),
            team_name(source.directory, row.team_id),
            row.status.clone().into(),
            on(row.registered_at),
            i64::from(row.stars.unwrap_or(0)).into(),
        ]);
    }
    Ok(rows)
}

async fn of_trainings(
    source: &Source<'_>,
    request: &RecordRequest,
    people: &[VolunteerRow],
) -> Result<Vec<Vec<Cell>>, AppError> {
    let (Some(first), Some(last)) = (people.first(), people.last()) else { return Ok(Vec::new()) };
    let (pool, range) = (source.store.pool(), (first.person_id, last.person_id));
    let (from, to) = (request.from.to_string(), request.to.to_string());
    let found = trainings::attended(pool, source.county, request.area, range, from, to).await?;
    let rows = found.into_iter().map(|row| {
        vec![
            row.badge.into(),
            row.title.into(),
            row.held_on.into(),
            row.minutes.into(),
            row.organizer.into(),
            row.area_code.into(),
        ]
    });
    Ok(rows.collect())
}

async fn of_awards(
    source: &Source<'_>,
    request: &RecordRequest,
    people: &[VolunteerRow],
) -> Result<Vec<Vec<Cell>>, AppError> {
    let (Some(first), Some(last)) = (people.first(), people.last()) else { return Ok(Vec::new()) };
    let (from, to) = span(request);
    let range = (first.person_id, last.person_id);
    let found = record::awarded(source.store.pool(), source.county, request.area, range, from, to).await?;
    let rows = found.into_iter().map(|row| {
        let rule = row.rule_code.as_deref().map(|code| {
            let rule = source.rules.version(code, row.rule_version.unwrap_or(1));
            rule.map_or_else(|| code.to_owned(), |rule| rule.name.clone())
        });
        let hand_made = row.source_type.as_deref() == Some(SourceType::Claim.as_str());
        vec![
            row.badge.into(),
            if row.stars.is_some() { "stars" } else { "bonus" }.into(),
            rule.unwrap_or_else(|| format!("{}星", row.stars.unwrap_or(0))).into(),
            on(row.at),
            row.points.into(),
            hand_made.into(),
        ]
    });
    Ok(rows.collect())
}

async fn of_services(
    source: &Source<'_>,
    request: &RecordRequest,
    part: Part,
    people: &[VolunteerRow],
) -> Result<Vec<Vec<Cell>>, AppError> {
    let badges: BTreeMap<Uuid, Option<String>> =
        people.iter().map(|row| (row.person_id, row.badge.clone())).collect();
    let row = |(service, number): &(Service, i64)| {
        let badge: Cell = badges.get(&service.person).cloned().flatten().into();
        if part == Part::Ratings {
            let (stars, solved) = service.rating?;
            return Some(vec![
                badge,
                (*number).into(),
                on(service.at),
                i64::from(stars).into(),
                solved.into(),
            ]);
        }
        Some(vec![
            badge,
            (*number).into(),
            service.category.clone().into(),
            service.area.to_string().into(),
            team_name(source.directory, service.team),
            on(service.at),
            service.minutes.into(),
        ])
    };
    Ok(served(source, request, people).await?.iter().filter_map(row).collect())
}

async fn served(
    source: &Source<'_>,
    request: &RecordRequest,
    people: &[VolunteerRow],
) -> Result<Vec<(Service, i64)>, AppError> {
    let ids: Vec<Uuid> = people.iter().map(|row| row.person_id).collect();
    let (from, to) = span(request);
    Ok(services_of(source.store.pool(), source.county, &ids, from, to).await?)
}

async fn teams(source: &Source<'_>, request: &RecordRequest) -> Result<Vec<Vec<Cell>>, AppError> {
    let sizes = record::team_sizes(source.store.pool(), source.county, request.area).await?;
    let rows = sizes.into_iter().map(|size| {
        let team = source.directory.team(size.team_id);
        let areas = team.map(|team| team.areas.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
        vec![
            size.team_id.to_string().into(),
            team.map(|team| team.name.clone()).into(),
            team.map(|team| kind(team.kind)).into(),
            areas.into(),
            size.people.into(),
        ]
    });
    Ok(rows.collect())
}

/// What sort of team it is, as the record names it.
fn kind(of: TeamKind) -> &'static str {
    match of {
        TeamKind::Grid => "网格志愿服务队",
        TeamKind::Special => "专业志愿服务队",
        TeamKind::Enforcement => "执法队",
    }
}

/// The categories, with what volunteers of the area did in each: one sum a category is all that is kept.
async fn projects(source: &Source<'_>, request: &RecordRequest) -> Result<Vec<Vec<Cell>>, AppError> {
    let mut sums: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    let mut after = None;
    loop {
        let people = piece(source, request, after).await?;
        after = people.last().map(|row| row.person_id);
        for (service, _) in served(source, request, &people).await? {
            let sum = sums.entry(service.category).or_default();
            *sum = (sum.0 + 1, sum.1.saturating_add(service.minutes));
        }
        if (people.len() as u64) < PIECE {
            break;
        }
    }
    let rows = source.directory.categories().iter().map(|category| {
        let (times, minutes) = sums.get(&category.code).copied().unwrap_or_default();
        vec![category.code.clone().into(), category.name.clone().into(), times.into(), minutes.into()]
    });
    Ok(rows.collect())
}

/// Notes an export in the audit log.
///
/// # Errors
/// When the database fails: then nothing is taken out.
pub async fn note(store: &Store, line: AuditEntry) -> Result<(), AppError> {
    let noted: Result<(), StoreError> =
        transact(store, move |conn| Box::pin(async move { audit::append(conn, &[line]).await })).await;
    Ok(noted?)
}

impl App {
    /// One part of the record, for a county's administrator: noted in the audit log, then handed on piece by piece.
    ///
    /// # Errors
    /// [`AppError::Forbidden`]; [`AppError::Invalid`]; [`AppError::TooMany`].
    pub async fn export_record(
        &self,
        caller: &Caller,
        request: RecordRequest,
    ) -> Result<impl Stream<Item = Result<String, AppError>> + use<>, AppError> {
        if !allow(&caller.actor, Action::ExportRecord, request.area) {
            return Err(AppError::Forbidden);
        }
        let reason = request.check()?;
        self.count_record_export(caller).await?;
        let line = AuditEntry {
            id: self.new_id(),
            county: self.settings.county,
            at: self.clock.now(),
            person: Some(caller.actor.person),
            action: request.action(),
            resource: self.new_id(),
            subject: None,
            reason: Some(request.noted(reason.as_deref())),
        };
        note(&self.store, line).await?;
        let (out, pieces) = mpsc::channel(PIECES_WAITING);
        let app = self.clone();
        self.runtime().spawn(async move {
            let directory = app.directory();
            let source = Source {
                store: &app.store,
                county: app.settings.county,
                directory: &directory,
                rules: &app.rules,
                keys: &app.keys,
            };
            if let Err(error) = write(&source, &request, &out).await {
                tracing::warn!(%error, "an export ended early");
                // The answer is cut off, so that nobody takes a part for the whole.
                let _ = out.send(Err(error)).await;
            }
        });
        Ok(futures_util::stream::unfold(pieces, |mut pieces| async move {
            pieces.recv().await.map(|piece| (piece, pieces))
        }))
    }
}
