//! A month replayed under other rules: what would have been given, before a change takes effect.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::posting::{Inputs, earned, within_cap};
use super::rules::RuleBook;
use crate::area::AreaCode;

/// An award as it stands in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// Whose points.
    pub person: Uuid,
    /// The area as of the event.
    pub area: AreaCode,
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
    /// Awards.
    pub awards: i64,
    /// Points as they stand.
    pub before: i64,
    /// Points as they would be.
    pub after: i64,
}

/// A replay: awards in the order in which they were booked, because caps fill in that order.
#[derive(Debug)]
pub struct Replay<'a> {
    book: &'a RuleBook,
    used: BTreeMap<(Uuid, String), i64>,
    rules: BTreeMap<String, RuleChange>,
    people: BTreeMap<Uuid, i64>,
}

impl<'a> Replay<'a> {
    /// A replay under these rules, each in its newest version, whenever that begins: that is the one in question.
    pub fn new(book: &'a RuleBook) -> Replay<'a> {
        Replay { book, used: BTreeMap::new(), rules: BTreeMap::new(), people: BTreeMap::new() }
    }

    /// Adds an award of the month. Answers what it would be; nothing where there is no such rule any more.
    pub fn add(&mut self, award: &Replayed) -> i64 {
        let rule = self.book.newest(&award.rule_code, award.area);
        let used = self.used.entry((award.person, award.rule_code.clone())).or_default();
        let after =
            rule.map_or(0, |rule| within_cap(earned(&award.inputs.facts, rule), rule.monthly_cap, *used));
        *used = used.saturating_add(after.max(0));
        let change = self.rules.entry(award.rule_code.clone()).or_default();
        change.awards += 1;
        change.before = change.before.saturating_add(award.points);
        change.after = change.after.saturating_add(after);
        let person = self.people.entry(award.person).or_default();
        *person = person.saturating_add(after.saturating_sub(award.points));
        after
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
    use super::super::rules::{ON_TIME, Points, Rule};
    use super::*;

    fn replayed(order: u128, person: u128, used: i64) -> Replayed {
        let facts = completed(order, person);
        let posting = on_completed(&RuleBook::sample(), &facts)[0].posting(used).expect("a posting");
        Replayed {
            person: facts.volunteer,
            area: facts.area,
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
    fn a_rule_that_is_gone_gives_nothing() {
        let book = RuleBook::default();
        let mut replay = Replay::new(&book);
        let late = CompletedFacts { at: utc("2026-03-07T01:00:00Z"), ..completed(1, 7) };
        let posting = on_completed(&RuleBook::sample(), &late)[0].posting(0).expect("a posting");
        let award = Replayed {
            person: late.volunteer,
            area: late.area,
            rule_code: posting.rule_code.clone(),
            inputs: posting.inputs.clone(),
            points: posting.points(),
        };
        assert_eq!(replay.add(&award), 0);
        assert_eq!(replay.people(), (1, 0), "who is not fined any more has more");
    }
}
