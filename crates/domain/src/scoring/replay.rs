//! A month replayed under other rules: what would have been given, before a change takes effect.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::caps::{Counter, Used, counters};
use super::cause::SourceType;
use super::conditions::applies;
use super::facts::{Facts, Inputs, earned};
use super::month::china_date;
use super::rules::{Rule, RuleBook};
use crate::area::AreaCode;

/// An award as it stands in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// Whose points.
    pub person: Uuid,
    /// The area as of the event.
    pub area: AreaCode,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// What sort of thing it came from.
    pub source_type: SourceType,
    /// Which one.
    pub source_id: Uuid,
    /// The rule that gave them.
    pub rule_code: String,
    /// What they were computed from.
    pub inputs: Inputs,
    /// How many they are.
    pub points: i64,
}

/// What became of the awards of one rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RuleChange {
    /// Awards that stand in the ledger.
    pub awards: i64,
    /// Points as they stand.
    pub before: i64,
    /// Points as they would be.
    pub after: i64,
}

/// A replay: awards in the order in which they were booked, because caps fill in that order.
///
/// What happened is known from the awards that it brought. So a new rule that scores by itself is tried on whatever
/// scored already; what no rule has scored on so far (a rating of three stars) is not in the ledger to be tried.
#[derive(Debug)]
pub struct Replay<'a> {
    book: &'a RuleBook,
    used: BTreeMap<(Uuid, String, String), i64>,
    /// By source, person and rule: one source scores a rule for a person once.
    scored: BTreeMap<(Uuid, Uuid, String), i64>,
    rules: BTreeMap<String, RuleChange>,
    people: BTreeMap<Uuid, i64>,
}

impl<'a> Replay<'a> {
    /// A replay under these rules, each in its newest version, whenever that begins: that is the one in question.
    pub fn new(book: &'a RuleBook) -> Replay<'a> {
        Replay {
            book,
            used: BTreeMap::new(),
            scored: BTreeMap::new(),
            rules: BTreeMap::new(),
            people: BTreeMap::new(),
        }
    }

    /// Adds an award of the month. Answers what it would be; nothing where there is no such rule any more.
    pub fn add(&mut self, award: &Replayed) -> i64 {
        let change = self.rules.entry(award.rule_code.clone()).or_default();
        change.awards += 1;
        change.before = change.before.saturating_add(award.points);
        let person = self.people.entry(award.person).or_default();
        *person = person.saturating_sub(award.points);
        let own = self.book.newest(&award.rule_code, award.area).filter(|rule| rule.trigger.is_none());
        let book = self.book;
        let others = book.newest_of_all(award.area).filter(|rule| rule.trigger.is_some());
        for rule in own.into_iter().chain(others) {
            let claimed = matches!(award.inputs.facts, Facts::Claimed { .. });
            if claimed == rule.trigger.is_none()
                && (claimed || applies(rule.trigger, &rule.conditions, &award.inputs.facts))
            {
                self.score(award, rule);
            }
        }
        let key = (award.source_id, award.person, award.rule_code.clone());
        self.scored.get(&key).copied().unwrap_or(0)
    }

    /// What a rule gives for what this award was given for, once.
    fn score(&mut self, award: &Replayed, rule: &Rule) {
        let key = (award.source_id, award.person, rule.code.clone());
        if self.scored.contains_key(&key) {
            return;
        }
        let caps = rule.caps();
        let order = (award.source_type == SourceType::Order).then_some(award.source_id);
        let counters = counters(&caps, &rule.code, award.inputs.month, china_date(award.at), order);
        let mut used = Used::default();
        let of = |counter: &Counter| (award.person, counter.code.clone(), counter.window.clone());
        for counter in &counters {
            used.note(counter.span, self.used.get(&of(counter)).copied().unwrap_or(0));
        }
        let after = caps.within(earned(&award.inputs.facts, rule), used);
        for counter in &counters {
            let sum = self.used.entry(of(counter)).or_default();
            *sum = sum.saturating_add(after.max(0));
        }
        self.scored.insert(key, after);
        let change = self.rules.entry(rule.code.clone()).or_default();
        change.after = change.after.saturating_add(after);
        let person = self.people.entry(award.person).or_default();
        *person = person.saturating_add(after);
    }

    /// The rules, by code.
    pub fn rules(&self) -> impl Iterator<Item = (&str, RuleChange)> {
        self.rules.iter().map(|(code, change)| (code.as_str(), *change))
    }

    /// How many people would have more, and how many less.
    pub fn people(&self) -> (usize, usize) {
        let count = |keep: fn(i64) -> bool| self.people.values().filter(|points| keep(**points)).count();
        (count(|points| points > 0), count(|points| points < 0))
    }
}

#[cfg(test)]
mod tests {
    use super::super::award::CompletedFacts;
    use super::super::award::on_completed;
    use super::super::award::tests::{completed, utc};
    use super::super::conditions::{Conditions, Trigger};
    use super::super::rules::{ON_TIME, Points};
    use super::*;
    use crate::deadline::Urgency;

    fn replayed(order: u128, person: u128, used: i64) -> Replayed {
        let facts = completed(order, person);
        let posting =
            on_completed(&RuleBook::sample(), &facts)[0].posting(Used::in_month(used)).expect("a posting");
        Replayed {
            person: facts.volunteer,
            area: facts.area,
            at: facts.at,
            source_type: SourceType::Order,
            source_id: facts.order_id,
            rule_code: posting.rule_code.clone(),
            inputs: posting.inputs.clone(),
            points: posting.points(),
        }
    }

    fn changed(change: impl Fn(&mut Rule)) -> RuleBook {
        let mut rules: Vec<Rule> = RuleBook::sample().iter().cloned().collect();
        let mut newer = rules.iter().find(|rule| rule.code == ON_TIME).expect("the rule").clone();
        newer.version = 2;
        newer.effective_from = Some("2999-01-01".parse().expect("a date"));
        change(&mut newer);
        rules.push(newer);
        RuleBook::new(rules).expect("a book")
    }

    #[test]
    fn the_same_rules_change_nothing() {
        let book = RuleBook::sample();
        let mut replay = Replay::new(&book);
        for (order, used) in [(1, 0), (2, 3), (3, 6)] {
            assert_eq!(replay.add(&replayed(order, 7, used)), 3);
        }
        assert_eq!(
            replay.rules().collect::<Vec<_>>(),
            [(ON_TIME, RuleChange { awards: 3, before: 9, after: 9 })]
        );
        assert_eq!(replay.people(), (0, 0));
    }

    #[test]
    fn a_change_that_begins_later_is_tried_now_with_its_own_cap() {
        let book = changed(|rule| {
            rule.points = Points::Fixed(5);
            rule.monthly_cap = Some(8);
        });
        let mut replay = Replay::new(&book);
        let points: Vec<i64> =
            [(1, 0), (2, 3), (3, 6)].map(|(order, used)| replay.add(&replayed(order, 7, used))).to_vec();
        assert_eq!(points, [5, 3, 0], "the cap fills in the order of booking");
        assert_eq!(replay.add(&replayed(9, 8, 0)), 5, "each person has a cap of his own");
        assert_eq!(replay.people(), (1, 1));
    }

    #[test]
    fn caps_of_a_day_and_of_an_order_are_tried_as_well() {
        let daily = changed(|rule| rule.daily_cap = Some(5));
        let mut replay = Replay::new(&daily);
        let points = [1, 2, 3].map(|order| replay.add(&replayed(order, 7, 0)));
        assert_eq!(points, [3, 2, 0], "all on one day");
        let of_order = changed(|rule| rule.order_cap = Some(3));
        let mut replay = Replay::new(&of_order);
        assert_eq!([1, 2, 3].map(|order| replay.add(&replayed(order, 7, 0))), [3, 3, 3]);
    }

    #[test]
    fn a_condition_and_a_new_rule_are_tried_on_what_scored_already() {
        let long = changed(|rule| rule.conditions.min_minutes = Some(41));
        assert_eq!(Replay::new(&long).add(&replayed(1, 7, 0)), 0, "forty minutes are too short");
        let mut rules: Vec<Rule> = RuleBook::sample().iter().cloned().collect();
        let on_time = rules.iter().find(|rule| rule.code == ON_TIME).expect("the rule").clone();
        let urgency = vec![Urgency::Normal];
        rules.push(Rule {
            code: "B11".into(),
            points: Points::Fixed(2),
            monthly_cap: Some(3),
            trigger: Some(Trigger::Completed),
            conditions: Conditions { urgency, ..Conditions::default() },
            ..on_time
        });
        let book = RuleBook::new(rules).expect("a book");
        let mut replay = Replay::new(&book);
        for order in [1, 2] {
            assert_eq!(replay.add(&replayed(order, 7, 0)), 3);
        }
        let change = |code: &str| replay.rules().find(|(of, _)| *of == code).expect("the rule").1;
        assert_eq!(change("B11"), RuleChange { awards: 0, before: 0, after: 3 });
        assert_eq!(change(ON_TIME), RuleChange { awards: 2, before: 6, after: 6 });
        assert_eq!(replay.people(), (1, 0));
    }

    #[test]
    fn a_rule_that_is_gone_gives_nothing() {
        let book = RuleBook::default();
        let mut replay = Replay::new(&book);
        let late = CompletedFacts { at: utc("2026-03-07T01:00:00Z"), ..completed(1, 7) };
        let posting =
            on_completed(&RuleBook::sample(), &late)[0].posting(Used::default()).expect("a posting");
        let award = Replayed {
            person: late.volunteer,
            area: late.area,
            at: late.at,
            source_type: SourceType::Order,
            source_id: late.order_id,
            rule_code: posting.rule_code.clone(),
            inputs: posting.inputs.clone(),
            points: posting.points(),
        };
        assert_eq!(replay.add(&award), 0);
        assert_eq!(replay.people(), (1, 0), "who is not fined any more has more");
    }
}
