//! Telling people: who is told of an event, and the notifier that puts it into their inboxes.
//!
//! One row per (event, audience) is written with the event. The notifier expands it to people later, once per person
//! whatever happens in between: a crash leaves rows that wait, or inbox rows that the next run leaves alone.

use std::time::Duration;

use uuid::Uuid;
use xingfuma_domain::area::{AreaCode, Level};
use xingfuma_domain::order::{Assignment, Event, Hat, Order, Record};
use xingfuma_store::inbox::{self, NewMessage, Waiting};
use xingfuma_store::ledger::Booking;
use xingfuma_store::orders::Notification;

use crate::{App, AppError};

/// Somebody to be told.
enum Audience {
    Person(Uuid),
    Team(Uuid),
    /// The dispatchers of exactly this area.
    Station(AreaCode),
}

impl Audience {
    fn of(held: Assignment) -> Audience {
        held.volunteer.map_or(Audience::Team(held.team), Audience::Person)
    }

    fn as_text(&self) -> String {
        match self {
            Audience::Person(id) => format!("person:{id}"),
            Audience::Team(id) => format!("team:{id}"),
            Audience::Station(area) => format!("station:{area}"),
        }
    }

    fn parse(text: &str) -> Option<Audience> {
        let (kind, id) = text.split_once(':')?;
        match kind {
            "person" => id.parse().ok().map(Audience::Person),
            "team" => id.parse().ok().map(Audience::Team),
            "station" => id.parse().ok().map(Audience::Station),
            _ => None,
        }
    }
}

/// The station that has an order at a level; a grid has none of its own.
fn station(order: &Order, level: Level) -> Audience {
    let level = level.min(Level::Village);
    let area = order.placed.area;
    Audience::Station(area.ancestor_at(level).unwrap_or(area))
}

/// Who is told of what has just happened to the order.
pub fn of(order: &Order, records: &[Record]) -> Vec<Notification> {
    let data =
        serde_json::json!({ "category": order.placed.category, "area": order.placed.area }).to_string();
    records
        .iter()
        .flat_map(|record| audiences(order, record))
        .map(|(audience, topic)| Notification { audience: audience.as_text(), topic, data: data.clone() })
        .collect()
}

fn audiences(order: &Order, record: &Record) -> Vec<(Audience, &'static str)> {
    let requester = || Audience::Person(order.placed.requester);
    let holder = || order.assignment().map(Audience::of);
    let with_holder = |topic: &'static str| holder().map(|who| (who, topic));
    let village = || station(order, Level::Village);
    match &record.event {
        Event::Dispatched { to, invited, .. } => {
            let mut told: Vec<_> = invited.iter().map(|one| (Audience::Person(*one), "offered")).collect();
            if told.is_empty() {
                told.push((Audience::of(*to), "offered"));
            }
            // The resident hears that a team was found once, not each time that others are asked.
            if invited.is_empty() || order.invited.len() <= invited.len() {
                told.push((requester(), "dispatched"));
            }
            told
        }
        Event::NoTeamLeft { level, .. } => {
            vec![(station(order, *level), "stuck"), (requester(), "still_seeking")]
        }
        Event::Accepted { .. } => vec![(requester(), "accepted")],
        Event::Arrived { .. } => vec![(requester(), "arrived")],
        Event::Completed { .. } => vec![(requester(), "completed")],
        Event::WaitStarted { .. } => vec![(requester(), "question")],
        Event::Answered { .. } => with_holder("answered").into_iter().collect(),
        Event::Rated { rating } => {
            let poor = rating.stars <= 2 || !rating.solved;
            let township = poor.then(|| (station(order, Level::Township), "poorly_rated"));
            with_holder("rated").into_iter().chain(township).collect()
        }
        Event::Reopened { .. } => vec![(village(), "reopened")],
        Event::Cancelled { .. } => {
            let by_other = (record.by.hat != Hat::Requester).then(|| (requester(), "cancelled"));
            with_holder("cancelled").into_iter().chain(by_other).collect()
        }
        Event::Escalated { level, .. } => {
            with_holder("escalated").into_iter().chain([(station(order, *level), "escalated")]).collect()
        }
        Event::Urged => with_holder("urged").into_iter().chain([(village(), "urged")]).collect(),
        Event::Shown { .. } => with_holder("shown").into_iter().chain([(requester(), "shown")]).collect(),
        Event::Placed(_) | Event::Declined { .. } | Event::Closed | Event::Unshown { .. } => Vec::new(),
    }
}

/// The notice that a deduction owes to the person: it is told, and can be appealed.
pub fn of_deduction(booking: &Booking) -> Option<Notification> {
    let Booking::Award { award, id } = booking else { return None };
    award.notice.then(|| Notification {
        audience: Audience::Person(award.person).as_text(),
        topic: "deduction",
        data: serde_json::json!({ "rule": award.rule_code, "points": award.points, "entry": id }).to_string(),
    })
}

/// Notifications expanded in one go.
const BATCH: u64 = 200;

impl App {
    /// Expands what waits; answers how many notifications that were.
    ///
    /// # Errors
    /// When the database fails; what was not expanded waits on.
    pub async fn notify_waiting(&self) -> Result<usize, AppError> {
        let waiting = inbox::waiting(self.store.pool(), BATCH).await?;
        let count = waiting.len();
        if count > 0 {
            let told = self.people_of(waiting).await?;
            inbox::expand_all(&self.store, told, self.clock.now()).await?;
        }
        Ok(count)
    }

    /// The people behind each notification. Teams are asked for once, however often they are told of something.
    async fn people_of(&self, waiting: Vec<Waiting>) -> Result<Vec<(Waiting, Vec<NewMessage>)>, AppError> {
        let audience = |told: &Waiting| {
            let bad = || AppError::Internal(format!("an audience that is none: {}", told.audience));
            Audience::parse(&told.audience).ok_or_else(bad)
        };
        let mut teams = Vec::new();
        for told in &waiting {
            if let Audience::Team(team) = audience(told)? {
                teams.push(team);
            }
        }
        teams.sort_unstable();
        teams.dedup();
        let members = inbox::members(self.store.pool(), &teams).await?;
        let mut expanded = Vec::with_capacity(waiting.len());
        for told in waiting {
            let people = match audience(&told)? {
                Audience::Person(person) => vec![person],
                Audience::Team(team) => {
                    members.iter().filter(|(of, _)| *of == team).map(|(_, person)| *person).collect()
                }
                Audience::Station(area) => inbox::station(self.store.pool(), area).await?,
            };
            let now = self.clock.now();
            let to = people.into_iter().map(|person| NewMessage { id: self.ids.id(now), person }).collect();
            expanded.push((told, to));
        }
        Ok(expanded)
    }

    /// Expands for ever, until told to stop.
    pub async fn run_notifier(&self, mut stop: tokio::sync::watch::Receiver<bool>) {
        while !*stop.borrow() {
            let pause = match self.notify_waiting().await {
                Ok(0) => Duration::from_millis(300),
                Ok(_) => Duration::ZERO,
                Err(error) => {
                    tracing::warn!(%error, "notifications wait");
                    Duration::from_secs(1)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stop.changed() => {}
            }
        }
    }
}
