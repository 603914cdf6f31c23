//! What stands beside the five steps: merging, extension, 回访, 吹哨报到, 限期整改. What each of them may do is decided in
//! the domain; here what was sent is checked, and orders that hang together are changed together.

use uuid::Uuid;
use xingfuma_domain::access;
use xingfuma_domain::order::{
    By, Command, Event, Hat, Hats, Order, Outcome, Refusal, Status, Verb, decide, ends_help,
};
use xingfuma_store::orders::{self, Change};
use xingfuma_store::scope::Scope;
use xingfuma_store::whistles;

use crate::command::{Ask, Reply, Request};
use crate::dispatch::REASON_LONGEST;
use crate::text::{Fields, KnownWords};
use crate::{App, AppError, Caller};

/// Longest demand, result, note or finding, in characters.
const WORDS_LONGEST: usize = 500;
/// Longest name of somebody who is to put something right, in characters.
const ADDRESSEE_LONGEST: usize = 60;

/// One text that must be there, masked.
fn words(known: &KnownWords, field: &'static str, text: &str, longest: usize) -> Result<String, AppError> {
    let mut fields = Fields::default();
    let text = known.masked(&fields.text(field, text, longest));
    fields.check()?;
    Ok(text)
}

fn optional_words(
    known: &KnownWords,
    field: &'static str,
    text: Option<&str>,
) -> Result<Option<String>, AppError> {
    let mut fields = Fields::default();
    let text = fields.optional(field, text, WORDS_LONGEST).map(|text| known.masked(&text));
    fields.check()?;
    Ok(text)
}

fn stars(stars: i64) -> Result<u8, AppError> {
    let good = u8::try_from(stars).ok().filter(|stars| (1..=5).contains(stars));
    good.ok_or_else(|| AppError::invalid("stars", "out_of_range"))
}

impl App {
    /// Turns what was sent into a command of this file; none where it is another one's.
    pub(crate) async fn prepare_beside(
        &self,
        caller: &Caller,
        order: &Order,
        request: &Request,
        known: &KnownWords,
    ) -> Result<Command, AppError> {
        match request {
            Request::Merge { into } => self.prepare_merge(caller, *into).await,
            Request::Help { team, task } => self.prepare_help(*team, task, known),
            Request::Extend { reason } => {
                Ok(Command::Extend { reason: words(known, "reason", reason, REASON_LONGEST)? })
            }
            Request::Revisit { outcome, note } => {
                let note = optional_words(known, "note", note.as_deref())?;
                if *outcome == Outcome::Unsolved && note.is_none() {
                    return Err(AppError::invalid("note", "required"));
                }
                Ok(Command::Revisit { outcome: *outcome, note })
            }
            Request::Whistle { departments, demand } => self.prepare_whistle(departments, demand, known),
            Request::CheckIn { whistle } => {
                called(caller, order, *whistle)?;
                Ok(Command::CheckIn { whistle: *whistle })
            }
            Request::Conclude { whistle, result } => {
                called(caller, order, *whistle)?;
                let result = words(known, "result", result, WORDS_LONGEST)?;
                Ok(Command::Conclude { whistle: *whistle, result })
            }
            Request::RateWhistle { whistle, stars: given, comment } => {
                let comment = optional_words(known, "comment", comment.as_deref())?;
                Ok(Command::RateWhistle { whistle: *whistle, stars: stars(*given)?, comment })
            }
            Request::Correct { addressee, demand, term_days } => Ok(Command::Correct {
                id: self.new_id(),
                addressee: words(known, "addressee", addressee, ADDRESSEE_LONGEST)?,
                demand: words(known, "demand", demand, WORDS_LONGEST)?,
                term_days: *term_days,
            }),
            Request::Inspect { correction, passed, findings, term_days } => {
                if !order.corrections.iter().any(|one| one.id == *correction) {
                    return Err(AppError::NotFound);
                }
                Ok(Command::Inspect {
                    id: *correction,
                    passed: *passed,
                    findings: words(known, "findings", findings, WORDS_LONGEST)?,
                    term_days: *term_days,
                })
            }
            _ => Err(AppError::Internal("another file's command".to_owned())),
        }
    }

    async fn prepare_merge(&self, caller: &Caller, into: Uuid) -> Result<Command, AppError> {
        let unknown = || AppError::invalid("into", "order_unknown");
        let found = orders::find(self.store.pool(), &Scope::of(&caller.actor), into).await?;
        let parent = found.ok_or_else(unknown)?.order;
        // He must be able to see to both; what is not his is not there.
        if !access::hats(&caller.actor, &parent).has(Hat::Dispatcher) {
            return Err(unknown());
        }
        Ok(Command::Merge { parent: Box::new(parent) })
    }

    fn prepare_whistle(
        &self,
        departments: &[Uuid],
        demand: &str,
        known: &KnownWords,
    ) -> Result<Command, AppError> {
        let directory = self.directory();
        let mut fields = Fields::default();
        if departments.iter().any(|department| directory.department(*department).is_none()) {
            fields.fault("departmentIds", "department_unknown");
        }
        let demand = known.masked(&fields.text("demand", demand, WORDS_LONGEST));
        fields.check()?;
        let calls = departments.iter().map(|department| (self.new_id(), *department)).collect();
        Ok(Command::Whistle { calls, demand })
    }

    /// Carries out what is asked of a call to a department: its order is found first.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for a call that is none, or whose order is not there for the caller; then as
    /// [`App::command`].
    pub async fn whistle_command(&self, mut ask: Ask, request: Request) -> Result<Reply, AppError> {
        let county = self.settings.county;
        let order = whistles::order_of(self.store.pool(), county, ask.order).await?;
        ask.order = order.ok_or(AppError::NotFound)?;
        self.command(ask, request).await
    }

    /// What a change does to other orders: whoever follows is done with it, or is on his own again; whoever leads knows who
    /// follows or helps. They are written in the same transaction.
    pub(crate) async fn companions(&self, change: &Change) -> Result<Vec<Change>, AppError> {
        let mut companions = Vec::new();
        let scope = Scope::County(self.settings.county);
        for record in &change.records {
            let order = &change.after.order;
            let others: Vec<(Uuid, Hat, Command)> = match &record.event {
                Event::Merged { into } => {
                    let lead = Command::Lead { order: order.id, requester: order.placed.requester };
                    vec![(*into, Hat::Dispatcher, lead)]
                }
                Event::Helped { order: helper, team, task } => {
                    let asked = (*helper, *team, task.as_str());
                    companions.push(self.helping_change(&change.after, asked, record.by).await?);
                    Vec::new()
                }
                event => hang_on(order, event),
            };
            let ids: Vec<Uuid> = others.iter().map(|(id, ..)| *id).collect();
            let found = orders::find_all(self.store.pool(), &scope, &ids).await?;
            for (id, hat, command) in others {
                let Some(other) = found.iter().find(|stored| stored.order.id == id) else { continue };
                if !concerns(&other.order, &command) {
                    // It was reopened, completed or called off by itself since.
                    continue;
                }
                let context = self.context_at(record.at);
                let cannot = |_| Refusal::CannotLead { status: other.order.status() };
                let person = record.by.person.filter(|_| hat == Hat::Dispatcher);
                let (_, events) =
                    decide(&other.order, command, person, Hats::of(&[hat]), &context).map_err(cannot)?;
                companions.push(self.change(other, By { person, hat }, events).await?);
            }
        }
        Ok(companions)
    }
}

/// What follows for other orders from what happened to this one: for those who follow it, for those who help it, and for
/// the one that it helps.
fn hang_on(order: &Order, event: &Event) -> Vec<(Uuid, Hat, Command)> {
    let mut others = Vec::new();
    if matches!(event, Event::Completed { .. } | Event::Cancelled { .. }) {
        others.extend(order.followers.iter().map(|follower| {
            (follower.order, Hat::Sweep, Command::Follow { event: Box::new(event.clone()) })
        }));
    }
    if let Event::Cancelled { reason } = event {
        let release = || Command::Release { reason: reason.clone() };
        others.extend(order.helpers.iter().map(|helper| (helper.order, Hat::Sweep, release())));
    }
    if let Some((lead, completed)) = ends_help(order, event) {
        others.push((lead, Hat::Sweep, Command::HelpEnded { order: order.id, completed }));
    }
    others
}

/// Whether a command that hangs on another order still means something to this one.
fn concerns(other: &Order, command: &Command) -> bool {
    match command {
        Command::Follow { .. } => other.status() == Status::Merged,
        Command::Release { .. } => other.status().is_open() && other.helps.is_some(),
        Command::HelpEnded { order, .. } => {
            other.status().is_open() && other.open_helpers().any(|helper| helper.order == *order)
        }
        _ => true,
    }
}

/// The call must be one to the caller's department: another one's, of an order that he sees, is not his to answer.
fn called(caller: &Caller, order: &Order, whistle: Uuid) -> Result<(), AppError> {
    let found = order.whistles.iter().find(|one| one.id == whistle).ok_or(AppError::NotFound)?;
    if caller.actor.departments().contains(&found.department) { Ok(()) } else { Err(AppError::Forbidden) }
}

/// What the caller may do now with each call and each corrective notice of an order.
pub fn actions_on_parts(caller: &access::Actor, order: &Order) -> Vec<(Uuid, Vec<Verb>)> {
    let hats = access::hats(caller, order);
    let status = order.status();
    let legal = |verb| xingfuma_domain::order::moves::legal(verb, status, hats).is_some();
    let departments = caller.departments();
    let whistles = order.whistles.iter().map(|whistle| {
        let theirs = departments.contains(&whistle.department);
        let open = whistle.concluded.is_none();
        let verb = match whistle.checked_in {
            None if theirs && open && legal(Verb::CheckIn) => Some(Verb::CheckIn),
            Some(_) if theirs && open && legal(Verb::Conclude) => Some(Verb::Conclude),
            _ => None,
        };
        let may_rate = !open && whistle.rating.is_none() && whistle.called_by == caller.person;
        let rate = (may_rate && legal(Verb::RateWhistle)).then_some(Verb::RateWhistle);
        (whistle.id, verb.into_iter().chain(rate).collect())
    });
    let corrections = order.corrections.iter().map(|correction| {
        let inspect = (!correction.is_settled() && legal(Verb::Inspect)).then_some(Verb::Inspect);
        (correction.id, inspect.into_iter().collect())
    });
    whistles.chain(corrections).collect()
}
