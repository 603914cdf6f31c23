//! Telling people: who is told of an event, and the notifier that puts it into their inboxes.
//!
//! One row per (event, audience) is written with the event. The notifier expands it to people later, once per person
//! whatever happens in between: a crash leaves rows that wait, or inbox rows that the next run leaves alone.

use std::time::Duration;

use uuid::Uuid;
use xingfuma_domain::area::{AreaCode, Level};
use xingfuma_domain::order::{Assignment, Clock, Event, Hat, Order, Record, Stage, State, Whistle};
use xingfuma_store::inbox::{self, NewMessage, Waiting};
use xingfuma_store::ledger::Booking;
use xingfuma_store::orders::Notification;
use xingfuma_store::whistles;

use crate::{App, AppError};

/// Somebody to be told.
enum Audience {
    Person(Uuid),
    /// Several, who are told the same at once.
    People(Vec<Uuid>),
    Team(Uuid),
    /// The dispatchers of exactly this area; the county's administrators.
    Station(AreaCode),
    /// The people of a department.
    Department(Uuid),
}

impl Audience {
    fn of(held: Assignment) -> Audience {
        held.volunteer.map_or(Audience::Team(held.team), Audience::Person)
    }

    /// Nobody is no audience.
    fn of_people(people: Vec<Uuid>) -> Option<Audience> {
        match people[..] {
            [] => None,
            [one] => Some(Audience::Person(one)),
            _ => Some(Audience::People(people)),
        }
    }

    fn as_text(&self) -> String {
        match self {
            Audience::Person(id) => format!("person:{id}"),
            Audience::People(ids) => {
                let ids: Vec<String> = ids.iter().map(Uuid::to_string).collect();
                format!("people:{}", ids.join(","))
            }
            Audience::Team(id) => format!("team:{id}"),
            Audience::Station(area) => format!("station:{area}"),
            Audience::Department(id) => format!("department:{id}"),
        }
    }

    fn parse(text: &str) -> Option<Audience> {
        let (kind, id) = text.split_once(':')?;
        match kind {
            "person" => id.parse().ok().map(Audience::Person),
            "people" => {
                let ids = id.split(',').map(|id| id.parse().ok());
                ids.collect::<Option<Vec<Uuid>>>().map(Audience::People)
            }
            "team" => id.parse().ok().map(Audience::Team),
            "station" => id.parse().ok().map(Audience::Station),
            "department" => id.parse().ok().map(Audience::Department),
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
    records.iter().flat_map(|record| of_record(order, record)).collect()
}

fn of_record(order: &Order, record: &Record) -> Vec<Notification> {
    let mut data = serde_json::json!({ "category": order.placed.category, "area": order.placed.area });
    if let Event::Warned { clock } | Event::Overdue { clock } = &record.event {
        data["stage"] = clock.stage.as_str().into();
        data["dueAt"] = clock.due.to_rfc3339().into();
    }
    let data = data.to_string();
    let told = |audience: Audience, topic, about| Notification {
        audience: audience.as_text(),
        topic,
        data: data.clone(),
        about,
    };
    let mut all: Vec<Notification> =
        audiences(order, record).into_iter().map(|(audience, topic)| told(audience, topic, None)).collect();
    // Whoever follows hears how the order that leads goes on, under the number of his own.
    if let Some(topic) = topic_for_followers(&record.event) {
        let followers = order.followers.iter();
        all.extend(followers.map(|one| told(Audience::Person(one.requester), topic, Some(one.order))));
    }
    all
}

/// What is not an event of their own orders as well.
fn topic_for_followers(event: &Event) -> Option<&'static str> {
    match event {
        Event::Dispatched { .. } => Some("followed_dispatched"),
        Event::Accepted { .. } => Some("followed_accepted"),
        Event::Arrived { .. } => Some("followed_arrived"),
        Event::NoTeamLeft { .. } => Some("followed_still_seeking"),
        _ => None,
    }
}

/// Those to whom a clock's warning, or its end, is told.
fn told_of_clock(order: &Order, clock: &Clock, over: bool) -> Vec<(Audience, &'static str)> {
    let topic = match (over, clock.stage) {
        (false, Stage::Accept) => "reminded",
        (false, _) => "warned",
        (true, _) => "overdue",
    };
    let holder = order.assignment().map(Audience::of);
    let caller = |whistle: &Whistle| Audience::Person(whistle.called_by);
    let department = |whistle: &Whistle| Audience::Department(whistle.department);
    let whistle = || order.whistles.iter().find(|whistle| Some(whistle.id) == clock.of);
    let audiences: Vec<Audience> = match clock.stage {
        Stage::Dispatch => vec![station(order, order.level)],
        Stage::Accept => match &order.state {
            State::Dispatched { offer } if !offer.invited.is_empty() => {
                Audience::of_people(offer.unanswered().collect()).into_iter().collect()
            }
            _ => holder.into_iter().collect(),
        },
        Stage::Arrive | Stage::Complete => {
            holder.into_iter().chain([station(order, Level::Village)]).collect()
        }
        Stage::Revisit => {
            let county = over.then(|| station(order, Level::County));
            std::iter::once(station(order, Level::Township)).chain(county).collect()
        }
        Stage::CheckIn | Stage::Conclude => {
            let above = over.then(|| station(order, Level::Township));
            let called = whistle();
            called
                .map(department)
                .into_iter()
                .chain(called.filter(|_| over).map(caller))
                .chain(above)
                .collect()
        }
        Stage::Correct => {
            let issued = order.corrections.iter().find(|one| Some(one.id) == clock.of);
            let issuer = issued.map(|one| Audience::Person(one.issued_by));
            issuer.into_iter().chain(over.then(|| station(order, Level::Village))).collect()
        }
    };
    audiences.into_iter().map(|audience| (audience, topic)).collect()
}

fn audiences(order: &Order, record: &Record) -> Vec<(Audience, &'static str)> {
    let requester = || Audience::Person(order.placed.requester);
    let holder = || order.assignment().map(Audience::of);
    let with_holder = |topic: &'static str| holder().map(|who| (who, topic));
    let village = || station(order, Level::Village);
    match &record.event {
        Event::Dispatched { to, invited, .. } => {
            let asked = Audience::of_people(invited.clone()).unwrap_or_else(|| Audience::of(*to));
            let mut told = vec![(asked, "offered")];
            // The resident hears that a team was found once, not each time that others are asked.
            if order.helps.is_none() && (invited.is_empty() || order.invited.len() <= invited.len()) {
                told.push((requester(), "dispatched"));
            }
            told
        }
        Event::NoTeamLeft { level, .. } => {
            let seeking = order.helps.is_none().then(|| (requester(), "still_seeking"));
            std::iter::once((station(order, *level), "stuck")).chain(seeking).collect()
        }
        // Whoever is helped hears of the one order that is his, and when somebody more is coming.
        Event::Completed { .. } if order.helps.is_some() => Vec::new(),
        Event::Helped { .. } => with_holder("helped").into_iter().chain([(requester(), "helped")]).collect(),
        Event::HelpEnded { .. } => {
            with_holder("help_ended").into_iter().chain([(village(), "help_ended")]).collect()
        }
        Event::Accepted { .. } => vec![(requester(), "accepted")],
        Event::Arrived { .. } => vec![(requester(), "arrived")],
        Event::Completed { .. } => vec![(requester(), "completed")],
        Event::WaitStarted { .. } => vec![(requester(), "question")],
        Event::Answered { .. } => with_holder("answered").into_iter().collect(),
        Event::Rated { rating, .. } => {
            let poor = rating.stars <= 2 || !rating.solved;
            let township = poor.then(|| (station(order, Level::Township), "poorly_rated"));
            // Whoever did it for the order that this one followed has no business with this one.
            let holder = with_holder("rated").filter(|_| order.merged_into.is_none());
            holder.into_iter().chain(township).collect()
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
        Event::Warned { clock } => told_of_clock(order, clock, false),
        Event::Overdue { clock } => told_of_clock(order, clock, true),
        Event::Extended { .. } => {
            with_holder("extended").into_iter().chain([(requester(), "extended")]).collect()
        }
        Event::Merged { .. } => with_holder("merged").into_iter().chain([(requester(), "merged")]).collect(),
        Event::Parted { .. } => vec![(requester(), "parted")],
        Event::Revisited { .. } => vec![(village(), "revisited")],
        Event::Placed(_)
        | Event::Declined { .. }
        | Event::Closed
        | Event::Unshown { .. }
        | Event::Followed { .. }
        | Event::Helps { .. } => Vec::new(),
        event => audiences_of_parts(order, event),
    }
}

/// Who is told of calls to departments and of corrective notices.
fn audiences_of_parts(order: &Order, event: &Event) -> Vec<(Audience, &'static str)> {
    let whistle = |id: &Uuid| order.whistles.iter().find(|whistle| whistle.id == *id);
    let caller = |id: &Uuid, topic| {
        whistle(id).map(|whistle| (Audience::Person(whistle.called_by), topic)).into_iter().collect()
    };
    let with_station = |topic: &'static str| {
        let holder = order.assignment().map(|held| (Audience::of(held), topic));
        holder.into_iter().chain([(station(order, Level::Village), topic)]).collect()
    };
    match event {
        Event::Whistled { whistles } => {
            whistles.iter().map(|whistle| (Audience::Department(whistle.department), "whistled")).collect()
        }
        Event::CheckedIn { whistle } => caller(whistle, "checked_in"),
        Event::Concluded { whistle, .. } => caller(whistle, "concluded"),
        Event::WhistleRated { whistle: id, .. } => {
            let rated =
                whistle(id).map(|whistle| (Audience::Department(whistle.department), "whistle_rated"));
            rated.into_iter().collect()
        }
        Event::CorrectionOrdered { .. } => with_station("correction_ordered"),
        Event::CorrectionInspected { .. } => with_station("correction_inspected"),
        _ => Vec::new(),
    }
}

/// The notice that a deduction owes to the person: it is told, and can be appealed.
pub fn of_deduction(booking: &Booking) -> Option<Notification> {
    let Booking::Award { award, id } = booking else { return None };
    award.notice.then(|| Notification {
        audience: Audience::Person(award.person).as_text(),
        topic: "deduction",
        data: serde_json::json!({ "rule": award.rule_code, "points": award.points, "entry": id }).to_string(),
        about: None,
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
                Audience::People(people) => people,
                Audience::Team(team) => {
                    members.iter().filter(|(of, _)| *of == team).map(|(_, person)| *person).collect()
                }
                Audience::Station(area) => inbox::station(self.store.pool(), area).await?,
                Audience::Department(id) => whistles::people_of(self.store.pool(), id).await?,
            };
            let now = self.clock.now();
            let outside = self.outside.tells(&told.topic);
            let message = |person| NewMessage { id: self.ids.id(now), person, outside };
            let to = people.into_iter().map(message).collect();
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

#[cfg(test)]
mod tests;
