//! The model: who orders what and when, and how people answer. **Frozen**: it was written down before the policy was
//! tuned, and where the policy does badly the policy changes. `docs/simulation.md` says the same in words.

use chrono::{DateTime, TimeDelta, Utc};
use xingfuma_app::county::County;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::deadline::{TimeLimits, Urgency};

use crate::chance::{About, Chance};

const HOUR: f64 = 3_600.0;
const DAY: i64 = 86_400;

/// Orders of an ordinary day.
const ORDERS_A_DAY: f64 = 300.0;
/// A Saturday or Sunday brings this part of them.
const WEEKEND: f64 = 0.8;
/// How the day's orders lie: weight of each hour, China time.
const HOURS: [f64; 24] = [
    0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 1.0, 1.0, 3.0, 3.0, 3.0, 3.0, 1.5, 1.5, 2.5, 2.5, 2.5, 2.5, 1.5, 1.5, 1.5,
    0.5, 0.5, 0.5,
];
/// How often each category is asked for; one that is not named here has a weight of 2.
const CATEGORIES: [(&str, f64); 9] = [
    ("errand", 30.0),
    ("care_visit", 16.0),
    ("medical_escort", 6.0),
    ("minor_repair", 8.0),
    ("meal_delivery", 8.0),
    ("hazard", 8.0),
    ("dispute", 6.0),
    ("environment", 6.0),
    ("emergency_help", 1.0),
];
/// How unlike the grids are: deviation of the logarithm of their demand a volunteer.
const BUSYNESS: f64 = 1.0;

/// Mean time between two looks at the phone while awake: its middle over people, in seconds, and how unlike they are.
const GLANCE: f64 = 0.5 * HOUR;
const GLANCE_SPREAD: f64 = 1.0;
/// An urgent message rings: it is seen this many times as fast by day. It also rings at night, at the speed of others.
const URGENT_FASTER: f64 = 4.0;
/// A day is awake from about 6:30 to about 21:30, an hour earlier or later.
const WAKES: f64 = 6.5 * HOUR;
const AWAKE: f64 = 15.0 * HOUR;
/// Part of the days on which somebody is away and does not look; part of those that he has entered as leave.
const AWAY: f64 = 0.05;
const ENTERED: f64 = 0.7;
/// Each message that somebody gets tires him by 1; half of it is forgotten in so many seconds.
const FORGOTTEN_IN: f64 = 48.0 * HOUR;
/// What one unit of tiredness does to the willingness, as an exponent.
const TIRED: f64 = 0.25;
/// What each open order does to the willingness.
const BUSY: f64 = 0.5;
/// Willingness towards a place in one's own grid, township, and elsewhere in the county.
const NEAR: [f64; 3] = [1.0, 0.8, 0.6];
/// Willingness to do what one has not learned.
const UNSKILLED: f64 = 0.3;
/// Part of those who see it and do not accept that says so.
const SAYS_NO: f64 = 0.3;
/// How long a service takes from accepting to completing: middle and spread, in seconds.
const SERVICE: f64 = 5.0 * HOUR;
const SERVICE_SPREAD: f64 = 0.8;

/// An order of the simulation.
#[derive(Clone, Debug)]
pub struct Demand {
    /// When it is placed.
    pub at: DateTime<Utc>,
    /// From where.
    pub area: AreaCode,
    /// The category's place in [`County::categories`].
    pub category: usize,
}

/// A volunteer with the traits that no policy sees.
#[derive(Clone, Debug)]
pub struct Person {
    /// His grid.
    pub grid: AreaCode,
    /// How likely he is to accept what he sees when nothing speaks against it.
    pub willingness: f64,
    /// Mean seconds between two looks at the phone.
    pub glance: f64,
    /// Second of the day at which he wakes, China time.
    pub wakes: f64,
}

/// How somebody takes an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// He accepts, if it still stands.
    Accepts,
    /// He says no.
    Declines,
    /// He says nothing.
    Ignores,
}

/// What somebody feels when he sees an invitation.
#[derive(Clone, Copy, Debug)]
pub struct Mood {
    /// Messages before this one, each halved every two days.
    pub tiredness: f64,
    /// Orders that he has promised and not completed.
    pub open_orders: i64,
    /// He has the skill.
    pub skilled: bool,
}

/// The county with its people and their days.
#[derive(Debug)]
pub struct Model {
    /// The default county.
    pub county: County,
    /// Its volunteers, by their place in [`County::volunteers`].
    pub people: Vec<Person>,
    /// The first moment.
    pub start: DateTime<Utc>,
    chance: Chance,
}

impl Model {
    /// The county of a seed; its first day is Monday, 1 June 2026.
    pub fn new(seed: u64) -> Model {
        let county = County::default_county(seed);
        let chance = Chance::new(seed);
        let person = |(at, grid): (usize, AreaCode)| {
            let even = chance.even(About::Willingness, at, 0);
            Person {
                grid,
                // Most are lukewarm, few are eager: 0.05 to 0.85, 0.32 on average.
                willingness: 0.05 + 0.8 * even * even,
                glance: GLANCE * chance.spread(GLANCE_SPREAD, About::Glance, at, 0),
                wakes: WAKES + HOUR * (2.0 * chance.even(About::Waking, at, 0) - 1.0),
            }
        };
        let people = county.volunteers.iter().map(|one| one.grid).enumerate().map(person).collect();
        let start = DateTime::from_timestamp(1_780_243_200, 0).unwrap_or_default();
        Model { county, people, start, chance }
    }

    /// The draws of this model's seed.
    pub fn chance(&self) -> Chance {
        self.chance
    }

    /// The orders of so many days, oldest first.
    pub fn demand(&self, days: usize) -> Vec<Demand> {
        let places = Weighted::new(self.county.signs.iter().enumerate().map(|(at, sign)| {
            let people = self.people.iter().filter(|one| one.grid == sign.area).count() as f64;
            people * self.chance.spread(BUSYNESS, About::Busyness, at, 0)
        }));
        let categories = Weighted::new(self.county.categories.iter().map(|category| {
            CATEGORIES.iter().find(|(code, _)| *code == category.code).map_or(2.0, |(_, weight)| *weight)
        }));
        let hours = Weighted::new(HOURS.into_iter());
        let mut orders = Vec::new();
        for day in 0..days {
            // The first day is a Monday.
            let rest = if day % 7 >= 5 { WEEKEND } else { 1.0 };
            // ± a tenth from day to day.
            let count = ORDERS_A_DAY * rest * (0.9 + 0.2 * self.chance.even(About::Orders, day, 0));
            for number in 0..count as usize {
                let hour = hours.pick(self.chance.even(About::Moment, day, 2 * number)) as f64;
                let within = self.chance.even(About::Moment, day, 2 * number + 1);
                let second = day as i64 * DAY + ((hour + within) * HOUR) as i64;
                orders.push(Demand {
                    at: self.start + TimeDelta::seconds(second),
                    area: self.county.signs[places.pick(self.chance.even(About::Place, day, number))].area,
                    category: categories.pick(self.chance.even(About::Category, day, number)),
                });
            }
        }
        orders.sort_by_key(|order| order.at);
        orders
    }

    /// The time limits of a category.
    pub fn limits(&self, category: usize) -> TimeLimits {
        let category = &self.county.categories[category];
        category.limits.unwrap_or_else(|| TimeLimits::default_for(category.urgency))
    }

    /// Whether somebody is away on the day of this moment.
    pub fn is_away(&self, person: usize, at: DateTime<Utc>) -> bool {
        self.chance.even(About::Leave, person, self.day(at)) < AWAY
    }

    /// Whether he is away and has entered it.
    pub fn has_entered_leave(&self, person: usize, at: DateTime<Utc>) -> bool {
        self.is_away(person, at) && self.chance.even(About::LeaveEntered, person, self.day(at)) < ENTERED
    }

    fn day(&self, at: DateTime<Utc>) -> usize {
        usize::try_from((at - self.start).num_days()).unwrap_or_default()
    }

    /// When somebody sees what he is told at a moment; never on a day on which he is away.
    pub fn sees(&self, person: usize, order: usize, urgency: Urgency, told: DateTime<Utc>) -> DateTime<Utc> {
        let one = &self.people[person];
        let begin = self.wakes_from(person, told);
        let urgent = urgency == Urgency::Urgent;
        let glance = match (urgent, begin == told) {
            (true, true) => one.glance / URGENT_FASTER,
            _ => one.glance,
        };
        let mut left = self.chance.waiting(glance, About::Seen, person, order);
        let rings_at_night = urgent && !self.is_away(person, told);
        if rings_at_night {
            return told + TimeDelta::seconds(left as i64);
        }
        let mut at = begin;
        loop {
            let awake = one.wakes + AWAKE - self.second_of_day(at);
            if left <= awake {
                return at + TimeDelta::seconds(left as i64);
            }
            left -= awake;
            at = self.wakes_from(person, at + TimeDelta::seconds(awake as i64 + 1));
        }
    }

    fn second_of_day(&self, at: DateTime<Utc>) -> f64 {
        ((at - self.start).num_seconds().rem_euclid(DAY)) as f64
    }

    /// This moment if he is awake and not away, else the next morning on which he is.
    fn wakes_from(&self, person: usize, at: DateTime<Utc>) -> DateTime<Utc> {
        let wakes = self.people[person].wakes;
        let second = self.second_of_day(at);
        if !self.is_away(person, at) {
            if (wakes..wakes + AWAKE).contains(&second) {
                return at;
            }
            if second < wakes {
                return at + TimeDelta::seconds((wakes - second) as i64 + 1);
            }
        }
        let mut midnight = at + TimeDelta::seconds(DAY - second as i64);
        while self.is_away(person, midnight) {
            midnight += TimeDelta::seconds(DAY);
        }
        midnight + TimeDelta::seconds(wakes as i64 + 1)
    }

    /// What somebody does when he sees an invitation.
    pub fn answers(&self, person: usize, order: usize, area: AreaCode, mood: Mood) -> Answer {
        let one = &self.people[person];
        let near = NEAR[steps_apart(one.grid, area)];
        let skill = if mood.skilled { 1.0 } else { UNSKILLED };
        let tired = (-TIRED * mood.tiredness).exp();
        let busy = BUSY.powi(i32::try_from(mood.open_orders).unwrap_or(i32::MAX));
        if self.chance.even(About::Accepts, person, order) < one.willingness * near * skill * tired * busy {
            Answer::Accepts
        } else if self.chance.even(About::Declines, person, order) < SAYS_NO {
            Answer::Declines
        } else {
            Answer::Ignores
        }
    }

    /// How long a service takes, from accepting to completing.
    pub fn service(&self, order: usize) -> TimeDelta {
        TimeDelta::seconds((SERVICE * self.chance.spread(SERVICE_SPREAD, About::Service, order, 0)) as i64)
    }
}

/// What is left of a tiredness after so many seconds.
pub fn rested(tiredness: f64, seconds: i64) -> f64 {
    tiredness * 0.5_f64.powf(seconds as f64 / FORGOTTEN_IN)
}

/// 0 in the same grid, 1 in the same township, 2 elsewhere.
fn steps_apart(one: AreaCode, other: AreaCode) -> usize {
    use xingfuma_domain::area::Level;
    let same = |level: Level| one.ancestor_at(level) == other.ancestor_at(level);
    if same(Level::Grid) { 0 } else { 1 + usize::from(!same(Level::Township)) }
}

/// Places drawn by weight.
struct Weighted(Vec<f64>);

impl Weighted {
    fn new(weights: impl Iterator<Item = f64>) -> Weighted {
        let mut sum = 0.0;
        Weighted(
            weights
                .map(|weight| {
                    sum += weight;
                    sum
                })
                .collect(),
        )
    }

    fn pick(&self, even: f64) -> usize {
        let at = even * self.0.last().copied().unwrap_or_default();
        self.0.partition_point(|sum| *sum <= at).min(self.0.len().saturating_sub(1))
    }
}
