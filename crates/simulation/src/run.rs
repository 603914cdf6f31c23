//! The virtual clock: a heap of events, each of which may bring others. Nothing waits for anything real.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use chrono::{DateTime, Utc};
use xingfuma_domain::deadline::{Calendar, QuietHours, Urgency, add};
use xingfuma_domain::order::Context;

use crate::model::{Answer, Demand, Model, Mood, rested};
use crate::policy::{Desk, Offer, Policy};

/// What came of one order.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Seconds from placing to accepting; none when nobody ever did.
    pub accepted_after: Option<i64>,
    /// It was accepted within its limit.
    pub on_time: bool,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Each order's outcome, in the order of placing.
    pub outcomes: Vec<Outcome>,
    /// Accepted orders of each volunteer.
    pub shares: Vec<i64>,
    /// Messages sent.
    pub offers: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Placed,
    Seen { person: usize, tiredness_bits: u64 },
    AskOthers { round: u32 },
    Completed { person: usize },
}

/// When, in which order it was foreseen, to which order it happens, and what.
type Foreseen = (DateTime<Utc>, u64, usize, Event);

#[derive(Clone, Debug, Default)]
struct Live {
    told: Vec<usize>,
    offer: Option<Offer>,
    offered_at: DateTime<Utc>,
    said_no: usize,
    round: u32,
    accepted_at: Option<DateTime<Utc>>,
}

struct County<'a> {
    model: &'a Model,
    demand: &'a [Demand],
    policy: Policy,
    desk: Desk<'a>,
    /// How tired each was at his last message, and when that was.
    tiredness: Vec<(f64, DateTime<Utc>)>,
    live: Vec<Live>,
    heap: BinaryHeap<Reverse<Foreseen>>,
    events: u64,
    shares: Vec<i64>,
    offers: u64,
}

/// Runs one policy over the demand, until nothing can happen any more.
pub fn run(model: &Model, demand: &[Demand], policy: Policy) -> Run {
    let people = model.people.len();
    let mut county = County {
        model,
        demand,
        policy,
        desk: Desk::new(model),
        tiredness: vec![(0.0, model.start); people],
        live: vec![Live::default(); demand.len()],
        heap: BinaryHeap::new(),
        events: 0,
        shares: vec![0; people],
        offers: 0,
    };
    for (order, one) in demand.iter().enumerate() {
        county.later(one.at, order, Event::Placed);
    }
    while let Some(Reverse((now, _, order, event))) = county.heap.pop() {
        county.happens(now, order, event);
    }
    let outcomes = (0..demand.len()).map(|order| county.outcome(order)).collect();
    Run { outcomes, shares: county.shares, offers: county.offers }
}

impl County<'_> {
    /// Events of one moment happen in the order in which they were foreseen.
    fn later(&mut self, at: DateTime<Utc>, order: usize, event: Event) {
        self.events += 1;
        self.heap.push(Reverse((at, self.events, order, event)));
    }

    fn happens(&mut self, now: DateTime<Utc>, order: usize, event: Event) {
        match event {
            Event::Placed => self.ask(now, order),
            Event::AskOthers { round } => {
                if self.live[order].accepted_at.is_none() && self.live[order].round == round {
                    self.ask(now, order);
                }
            }
            Event::Seen { person, tiredness_bits } => {
                self.seen(now, order, person, f64::from_bits(tiredness_bits))
            }
            Event::Completed { person } => self.desk.people[person].open_orders -= 1,
        }
    }

    fn urgency(&self, order: usize) -> Urgency {
        self.model.county.categories[self.demand[order].category].urgency
    }

    fn ask(&mut self, now: DateTime<Utc>, order: usize) {
        self.note_waiting(now, order, None);
        let told = &self.live[order].told;
        let offer = self.desk.ask(self.policy, order, &self.demand[order], told, now);
        let live = &mut self.live[order];
        live.round += 1;
        live.said_no = 0;
        live.offered_at = now;
        let round = live.round;
        let Some(offer) = offer else {
            // With a comparison policy the offer goes on standing; ours puts the order on the station's board.
            if self.policy == Policy::Ours {
                live.offer = None;
            }
            return;
        };
        live.told.extend(&offer.people);
        let (people, patience) = (offer.people.clone(), offer.patience);
        live.offer = Some(offer);
        for person in people {
            self.tell(now, order, person);
        }
        if let Some(patience) = patience {
            let quiet = QuietHours::default();
            let context = Context { now, calendar: Calendar::china(), quiet: &quiet };
            let at = context.ask_others_at(self.urgency(order), patience);
            self.later(at, order, Event::AskOthers { round });
        }
    }

    fn tell(&mut self, now: DateTime<Utc>, order: usize, person: usize) {
        self.offers += 1;
        self.desk.people[person].offered_at = Some(now);
        let (before, at) = self.tiredness[person];
        let before = rested(before, (now - at).num_seconds());
        self.tiredness[person] = (before + 1.0, now);
        let seen = self.model.sees(person, order, self.urgency(order), now);
        self.later(seen, order, Event::Seen { person, tiredness_bits: before.to_bits() });
    }

    fn seen(&mut self, now: DateTime<Utc>, order: usize, person: usize, tiredness: f64) {
        if !self.may_accept(order, person) {
            return;
        }
        let demand = &self.demand[order];
        let skill = &self.model.county.categories[demand.category].skill;
        let mood = Mood {
            tiredness,
            open_orders: self.desk.people[person].open_orders,
            skilled: self.model.county.volunteers[person].skills.contains(skill),
        };
        match self.model.answers(person, order, demand.area, mood) {
            Answer::Accepts => self.accepted(now, order, person),
            Answer::Declines => {
                let live = &mut self.live[order];
                let of_this_round = live.offer.as_ref().filter(|offer| offer.people.contains(&person));
                let asked = of_this_round.map(|offer| offer.people.len());
                live.said_no += usize::from(asked.is_some());
                if asked == Some(live.said_no) && self.policy != Policy::Broadcast {
                    self.ask(now, order);
                }
            }
            Answer::Ignores => {}
        }
    }

    fn may_accept(&self, order: usize, person: usize) -> bool {
        let live = &self.live[order];
        let Some(offer) = live.offer.as_ref().filter(|_| live.accepted_at.is_none()) else { return false };
        let of_team = offer.team.is_none_or(|team| self.model.county.volunteers[person].team == team);
        if offer.only_they { offer.people.contains(&person) } else { of_team }
    }

    fn accepted(&mut self, now: DateTime<Utc>, order: usize, person: usize) {
        self.note_waiting(now, order, Some(person));
        self.live[order].accepted_at = Some(now);
        self.shares[person] += 1;
        self.desk.people[person].open_orders += 1;
        self.later(now + self.model.service(order), order, Event::Completed { person });
    }

    /// Keeps the histories as the server does when an offer ends.
    fn note_waiting(&mut self, now: DateTime<Utc>, order: usize, accepted_by: Option<usize>) {
        let Some(offer) = &self.live[order].offer else { return };
        let quiet = QuietHours::default();
        let context = Context { now, calendar: Calendar::china(), quiet: &quiet };
        let waited = context.waited_seconds(self.urgency(order), self.live[order].offered_at);
        for person in &offer.people {
            self.desk.people[*person].history.waited_seconds += waited;
        }
        if let Some(team) = offer.team {
            self.desk.teams[team].waited_seconds += waited;
            self.desk.teams[team].accepts += i64::from(accepted_by.is_some());
        }
        if let Some(person) = accepted_by {
            self.desk.people[person].history.accepts += 1;
        }
    }

    fn outcome(&self, order: usize) -> Outcome {
        let demand = &self.demand[order];
        let accepted_at = self.live[order].accepted_at;
        let limit = self.urgency(order).limit(self.model.limits(demand.category).accept);
        let accept_by = add(demand.at, limit, Calendar::china(), &QuietHours::default());
        Outcome {
            accepted_after: accepted_at.map(|at| (at - demand.at).num_seconds()),
            on_time: accepted_at.is_some_and(|at| at <= accept_by),
        }
    }
}
