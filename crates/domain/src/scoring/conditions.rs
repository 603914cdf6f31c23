//! When a rule scores by itself, and under which conditions: part of the rule, so part of the data.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::facts::Facts;
use super::word::{UnknownWord, words};
use crate::deadline::Urgency;

/// What a rule scores on by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// An order was completed.
    Completed,
    /// An order was rated, and the resident says that the matter is solved.
    Rated,
    /// A post about an order was featured.
    Featured,
    /// Somebody took part in an activity, from check-in to feedback.
    Activity,
    /// A patrol was ended.
    Patrol,
}

words!(Trigger {
    Completed => "completed",
    Rated => "rated",
    Featured => "featured",
    Activity => "activity",
    Patrol => "patrol",
});

/// What must hold beside the trigger. An empty one asks for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conditions {
    /// The order was completed in time, or (`false`) too late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_time: Option<bool>,
    /// At least so many stars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_stars: Option<u8>,
    /// At least so many minutes of service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_minutes: Option<i64>,
    /// One of these urgencies; any where none is listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urgency: Vec<Urgency>,
}

impl Conditions {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether they hold. What is not known of something (entries from before a fact was kept) does not hold.
    fn hold(&self, known: &Known) -> bool {
        self.on_time.is_none_or(|wanted| known.on_time == Some(wanted))
            && self.min_stars.is_none_or(|least| known.stars.is_some_and(|stars| stars >= least))
            && self.min_minutes.is_none_or(|least| known.minutes.is_some_and(|minutes| minutes >= least))
            && (self.urgency.is_empty()
                || known.urgency.is_some_and(|urgency| self.urgency.contains(&urgency)))
    }
}

/// What is known of something that happened.
#[derive(Debug, Default)]
struct Known {
    on_time: Option<bool>,
    stars: Option<u8>,
    minutes: Option<i64>,
    urgency: Option<Urgency>,
}

/// Whether a rule with this trigger and these conditions scores for what happened.
pub(super) fn applies(trigger: Option<Trigger>, conditions: &Conditions, facts: &Facts) -> bool {
    let known = match (trigger, facts) {
        (Some(Trigger::Completed), Facts::Completed { at, due, minutes, urgency }) => Known {
            on_time: Some(due.is_none_or(|due| *at <= due)),
            minutes: *minutes,
            urgency: *urgency,
            ..Known::default()
        },
        (Some(Trigger::Rated), Facts::Rated { solved: true, stars, on_time, minutes, urgency }) => {
            Known { on_time: *on_time, stars: Some(*stars), minutes: *minutes, urgency: *urgency }
        }
        (Some(Trigger::Activity), Facts::Attended { minutes, .. })
        | (Some(Trigger::Patrol), Facts::Patrolled { minutes, .. }) => {
            Known { minutes: Some(*minutes), ..Known::default() }
        }
        (Some(Trigger::Featured), Facts::Featured) => Known::default(),
        _ => return false,
    };
    conditions.hold(&known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(late: bool, minutes: Option<i64>, urgency: Option<Urgency>) -> Facts {
        let at = "2026-03-05T01:00:00Z".parse().expect("an instant");
        let due = if late { at - chrono::TimeDelta::seconds(1) } else { at };
        Facts::Completed { at, due: Some(due), minutes, urgency }
    }

    fn rated(stars: u8, solved: bool) -> Facts {
        Facts::Rated { stars, solved, on_time: Some(true), minutes: Some(30), urgency: Some(Urgency::Normal) }
    }

    #[test]
    fn a_trigger_fits_its_own_facts_alone() {
        let triggers =
            [Trigger::Completed, Trigger::Rated, Trigger::Featured, Trigger::Activity, Trigger::Patrol];
        let facts = [
            completed(false, None, None),
            rated(1, true),
            Facts::Featured,
            Facts::Attended { minutes: 60, travel_minutes: 0 },
            Facts::Patrolled { minutes: 60, visits: 1, hazards: 0 },
        ];
        for (row, trigger) in triggers.into_iter().enumerate() {
            for (column, facts) in facts.iter().enumerate() {
                let fits = applies(Some(trigger), &Conditions::default(), facts);
                assert_eq!(fits, row == column, "{trigger} on {facts:?}");
                assert!(!applies(None, &Conditions::default(), facts), "without a trigger nothing scores");
            }
            assert_eq!(trigger.as_str().parse(), Ok(trigger));
        }
        assert!(!applies(Some(Trigger::Rated), &Conditions::default(), &rated(5, false)), "not solved");
    }

    #[test]
    fn every_condition_has_its_edge_and_the_unknown_does_not_hold() {
        let with = |change: fn(&mut Conditions)| {
            let mut conditions = Conditions::default();
            change(&mut conditions);
            assert!(!conditions.is_empty());
            conditions
        };
        let on =
            |conditions: &Conditions, facts: &Facts| applies(Some(Trigger::Completed), conditions, facts);
        let in_time = with(|it| it.on_time = Some(true));
        let late = with(|it| it.on_time = Some(false));
        assert!(on(&in_time, &completed(false, None, None)) && !on(&in_time, &completed(true, None, None)));
        assert!(!on(&late, &completed(false, None, None)) && on(&late, &completed(true, None, None)));
        let hour = with(|it| it.min_minutes = Some(60));
        for (minutes, holds) in [(None, false), (Some(0), false), (Some(59), false), (Some(60), true)] {
            assert_eq!(on(&hour, &completed(false, minutes, None)), holds, "{minutes:?}");
        }
        let pressing = with(|it| it.urgency = vec![Urgency::Urgent, Urgency::Priority]);
        assert!(!on(&pressing, &completed(false, None, None)));
        for urgency in Urgency::ALL {
            let wanted = matches!(urgency, Urgency::Urgent | Urgency::Priority);
            assert_eq!(on(&pressing, &completed(false, None, Some(urgency))), wanted, "{urgency}");
        }
        let four = with(|it| it.min_stars = Some(4));
        for stars in 1..=5 {
            assert_eq!(applies(Some(Trigger::Rated), &four, &rated(stars, true)), stars >= 4, "{stars}");
        }
        assert!(!on(&four, &completed(false, None, None)), "a completion has no stars");
    }
}
