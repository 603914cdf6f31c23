//! Whom each policy asks. All of them ask people who have the skill, in teams that cover the place and have it.

use chrono::{DateTime, Utc};
use std::collections::HashMap;
use uuid::Uuid;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::deadline::Urgency;
use xingfuma_domain::dispatch::roster::OPEN_ORDERS_AT_MOST;
use xingfuma_domain::dispatch::{
    AssignMode, Edition, History, MemberFacts, Question, TeamFacts, TeamKind, choose,
};
use xingfuma_domain::order::Kind;

use crate::chance::About;
use crate::model::{Demand, Model};

/// How many the comparison policies ask at once, and for how long, in seconds; for an urgent order.
const ASKED_AT_ONCE: usize = 5;
const PATIENCE: i64 = 1_800;
const URGENT_PATIENCE: i64 = 300;

/// A policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Anybody, by lot.
    Random,
    /// The nearest team first, by lot in it.
    NearestFirst,
    /// The fewest open orders first, by lot among equals.
    LeastOpen,
    /// Everybody at once.
    Broadcast,
    /// The server's own.
    Ours,
}

impl Policy {
    /// Every policy; ours comes last.
    pub const ALL: [Policy; 5] =
        [Policy::Random, Policy::NearestFirst, Policy::LeastOpen, Policy::Broadcast, Policy::Ours];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Policy::Random => "random",
            Policy::NearestFirst => "nearest-first",
            Policy::LeastOpen => "least-open",
            Policy::Broadcast => "broadcast",
            Policy::Ours => "ours",
        }
    }
}

/// What a policy decided: who is told, and for how long others are not.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The people who are told.
    pub people: Vec<usize>,
    /// Only they may accept; else whoever was told before may too.
    pub only_they: bool,
    /// The team that holds it, where one does.
    pub team: Option<usize>,
    /// Seconds until others are asked; none where nobody else is.
    pub patience: Option<i64>,
}

/// What the system knows about somebody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    /// Orders that he has promised and not completed.
    pub open_orders: i64,
    /// When he was last told of an order.
    pub offered_at: Option<DateTime<Utc>>,
    /// How his offers went.
    pub history: History,
}

/// What the system knows, and who can be asked where.
#[derive(Debug)]
pub struct Desk<'a> {
    model: &'a Model,
    /// What is known of each volunteer.
    pub people: Vec<Known>,
    /// How each team's offers went.
    pub teams: Vec<History>,
    covering: HashMap<AreaCode, Vec<usize>>,
    skilled: HashMap<(usize, &'a str), Vec<usize>>,
    sizes: Vec<i64>,
}

impl<'a> Desk<'a> {
    /// A desk that knows nothing yet.
    pub fn new(model: &'a Model) -> Desk<'a> {
        let county = &model.county;
        let mut covering: HashMap<AreaCode, Vec<usize>> = HashMap::new();
        for team in &county.teams {
            for area in &team.areas {
                covering.entry(*area).or_default().push(team.index);
            }
        }
        let mut skilled: HashMap<(usize, &str), Vec<usize>> = HashMap::new();
        let mut sizes = vec![0; county.teams.len()];
        for one in &county.volunteers {
            sizes[one.team] += 1;
            for skill in &one.skills {
                skilled.entry((one.team, skill)).or_default().push(one.index);
            }
        }
        let people = vec![Known::default(); county.volunteers.len()];
        let teams = vec![History::default(); county.teams.len()];
        Desk { model, people, teams, covering, skilled, sizes }
    }

    /// The teams that cover a place, nearest first, with the area by which they do.
    fn covering(&self, area: AreaCode) -> Vec<(usize, AreaCode)> {
        let of =
            |area: AreaCode| self.covering.get(&area).into_iter().flatten().map(move |team| (*team, area));
        area.ancestors().flat_map(of).collect()
    }

    /// Whom the policy asks next; `None` when nobody is left.
    pub fn ask(
        &self,
        policy: Policy,
        order: usize,
        demand: &Demand,
        told: &[usize],
        now: DateTime<Utc>,
    ) -> Option<Offer> {
        match policy {
            Policy::Ours => self.ask_ours(order, demand, told, now),
            _ => self.ask_simply(policy, order, demand, told),
        }
    }

    fn ask_ours(&self, order: usize, demand: &Demand, told: &[usize], now: DateTime<Utc>) -> Option<Offer> {
        let category = &self.model.county.categories[demand.category];
        let question = Question {
            area: demand.area,
            skill: category.skill.clone(),
            asked: Vec::new(),
            invited: told.iter().map(|person| id(*person)).collect(),
            kind: category.kind,
            urgency: category.urgency,
            mode: category.assign,
            edition: Edition::TODAY,
            order: Some(id(order)),
            requester: Uuid::max(),
            at: now,
            accept_within_seconds: self.model.limits(demand.category).accept,
        };
        let facts: Vec<TeamFacts> = self
            .covering(demand.area)
            .into_iter()
            .map(|(team, covers)| self.facts(team, covers, &category.skill, now))
            .collect();
        let decision = choose(&question, &facts);
        let team = decision.chosen.map(place)?;
        Some(Offer {
            people: decision.invited.iter().map(|person| place(*person)).collect(),
            only_they: decision.volunteer.is_some(),
            team: Some(team),
            patience: decision.patience_seconds,
        })
    }

    fn facts(&self, team: usize, covers: AreaCode, skill: &str, now: DateTime<Utc>) -> TeamFacts {
        let known = &self.model.county.teams[team];
        let able = self.skilled.get(&(team, skill)).map(Vec::as_slice).unwrap_or_default();
        let members = able.iter().map(|person| {
            let one = &self.people[*person];
            MemberFacts {
                person: id(*person),
                open_orders: one.open_orders,
                full: one.open_orders >= OPEN_ORDERS_AT_MOST,
                on_leave: self.model.has_entered_leave(*person, now),
                off_duty: false,
                quiet: false,
                offered_at: one.offered_at,
                history: one.history,
            }
        });
        TeamFacts {
            team: id(team),
            name: known.name.clone(),
            kind: known.kind,
            covers,
            skills: known.skills.clone(),
            open_orders: 0,
            volunteers: self.sizes[team],
            history: self.teams[team],
            members: members.collect(),
        }
    }

    fn ask_simply(&self, policy: Policy, order: usize, demand: &Demand, told: &[usize]) -> Option<Offer> {
        let category = &self.model.county.categories[demand.category];
        let lot = |person: usize| self.model.chance().bits(About::Shuffle, person, order);
        let mut candidates: Vec<(i64, u64, usize)> = Vec::new();
        for (distance, (team, _)) in (0..).zip(self.covering(demand.area)) {
            if self.model.county.teams[team].kind == TeamKind::Enforcement && category.kind != Kind::Report {
                continue;
            }
            let able = self.skilled.get(&(team, category.skill.as_str())).into_iter().flatten();
            candidates.extend(able.filter(|person| !told.contains(person)).map(|person| {
                let rank = match policy {
                    Policy::NearestFirst => distance,
                    Policy::LeastOpen => self.people[*person].open_orders,
                    _ => 0,
                };
                (rank, lot(*person), *person)
            }));
        }
        if candidates.is_empty() || (policy == Policy::Broadcast && !told.is_empty()) {
            return None;
        }
        candidates.sort_unstable();
        let named = category.assign != AssignMode::WholeTeam && policy != Policy::Broadcast;
        let most = match policy {
            Policy::Broadcast => candidates.len(),
            _ if named => 1,
            _ => ASKED_AT_ONCE,
        };
        let patience = if category.urgency == Urgency::Urgent { URGENT_PATIENCE } else { PATIENCE };
        Some(Offer {
            people: candidates.into_iter().take(most).map(|(_, _, person)| person).collect(),
            only_they: named,
            team: None,
            patience: (policy != Policy::Broadcast).then_some(patience),
        })
    }
}

fn id(place: usize) -> Uuid {
    Uuid::from_u128(place as u128)
}

fn place(id: Uuid) -> usize {
    id.as_u128() as usize
}
