//! What the number of a posting was computed from, and the number again.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::award::HoldReason;
use super::caps::{Caps, Used};
use super::cause::CorrectionKind;
use super::conditions::applies;
use super::month::YearMonth;
use super::rules::Rule;
use crate::deadline::Urgency;

/// What happened, as far as points depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Facts {
    /// An order was completed.
    Completed {
        /// When.
        at: DateTime<Utc>,
        /// Until when it was to be; none where the order had no limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due: Option<DateTime<Utc>>,
        /// Minutes of service, as they were reported; not known of entries from before they were kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        minutes: Option<i64>,
        /// How pressing it was; not known of older entries.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        urgency: Option<Urgency>,
    },
    /// An order was rated.
    Rated {
        /// 1 to 5.
        stars: u8,
        /// The resident said so.
        solved: bool,
        /// Whether it was completed in time; not known of older entries.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        on_time: Option<bool>,
        /// Minutes of service, as they were reported; not known of older entries.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        minutes: Option<i64>,
        /// How pressing it was; not known of older entries.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        urgency: Option<Urgency>,
    },
    /// A post was featured.
    Featured,
    /// A claim was decided in favour.
    Claimed {
        /// The choice of the decider where the rule is a range.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        points: Option<i64>,
    },
    /// Somebody took part in an activity.
    Attended {
        /// Minutes of service, without travel.
        minutes: i64,
        /// Minutes on the way, which count for nothing.
        travel_minutes: i64,
    },
    /// A patrol was ended.
    Patrolled {
        /// Minutes from its beginning to its end.
        minutes: i64,
        /// Places that were visited.
        visits: i64,
        /// Hazards that were found and reported.
        hazards: i64,
    },
    /// Goods were reserved in a shop.
    Reserved {
        /// Points for one piece, as of the reservation.
        price: i64,
        /// Pieces.
        quantity: i64,
    },
    /// An earlier posting was answered.
    Corrected {
        /// How.
        correction: CorrectionKind,
        /// Why, in words.
        reason: String,
        /// The inputs of the posting that was answered.
        original: Box<Inputs>,
    },
}

/// Everything that the number of a posting was computed from, kept with it for [`recompute`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inputs {
    /// The month that the cap is counted in. A correction keeps the month of the award it corrects.
    pub month: YearMonth,
    /// Points of this rule that the person had been given in that month before, by which the cap was applied.
    pub used_in_month: i64,
    /// The same for the day, where the rule has a cap for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_in_day: Option<i64>,
    /// What the order had brought the person before, where the rule has a cap for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_of_order: Option<i64>,
    /// Set when the award went on hold at once, with the reason that is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<HoldReason>,
    /// What happened.
    pub facts: Facts,
}

impl Inputs {
    /// What its caps had used up.
    pub fn used(&self) -> Used {
        Used {
            month: self.used_in_month,
            day: self.used_in_day.unwrap_or(0),
            order: self.used_of_order.unwrap_or(0),
        }
    }

    /// The same inputs after this much was used up, as far as these caps count it.
    pub(super) fn after(&self, used: Used, caps: &Caps) -> Self {
        Self {
            used_in_month: used.month,
            used_in_day: caps.day.map(|_| used.day),
            used_of_order: caps.order.map(|_| used.order),
            ..self.clone()
        }
    }

    /// 手工录入: somebody typed it in, and a second person decided.
    pub fn is_hand_made(&self) -> bool {
        matches!(self.origin(), Facts::Claimed { .. })
    }

    /// What happened first, before anything answered it.
    pub fn origin(&self) -> &Facts {
        match &self.facts {
            Facts::Corrected { original, .. } => original.origin(),
            facts => facts,
        }
    }

    /// Goods were reserved, or what became of that: no rule gave the number.
    pub fn is_of_shop(&self) -> bool {
        matches!(self.origin(), Facts::Reserved { .. })
    }
}

/// The number again: the points that a posting with these inputs moves under `rule`, as
/// [`Posting::points`](crate::scoring::Posting::points) counts them. `rule` is the version that the posting names; what is
/// [of a shop](Inputs::is_of_shop) needs none. Nothing where a rule is needed and not given.
pub fn recompute(inputs: &Inputs, rule: Option<&Rule>) -> Option<i64> {
    match &inputs.facts {
        Facts::Corrected { correction, original, .. } => {
            let original = recompute(original, rule)?;
            Some(match correction {
                CorrectionKind::Release => original.saturating_abs(),
                CorrectionKind::Hold | CorrectionKind::Void | CorrectionKind::Spend => {
                    original.saturating_abs().saturating_neg()
                }
                CorrectionKind::Reversal => original.saturating_neg(),
            })
        }
        Facts::Reserved { price, quantity } => Some(price.saturating_mul(*quantity).saturating_neg()),
        facts => {
            let rule = rule?;
            Some(rule.caps().within(earned(facts, rule), inputs.used()))
        }
    }
}

/// The points that a rule gives for what happened, before any cap.
pub(super) fn earned(facts: &Facts, rule: &Rule) -> i64 {
    match facts {
        Facts::Claimed { points } => rule.points.decided(*points),
        facts if applies(rule.trigger, &rule.conditions, facts) => rule.points.decided(None),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::{FIVE_STARS, RuleBook};
    use super::*;

    #[test]
    fn only_five_stars_for_what_is_solved_earn_something() {
        let book = RuleBook::sample();
        let rule = book.version(FIVE_STARS, 1).expect("in the sample");
        for stars in 0..=5 {
            for solved in [false, true] {
                let points = if stars == 5 && solved { 1 } else { 0 };
                let (on_time, minutes, urgency) = (None, None, None);
                let rated = Facts::Rated { stars, solved, on_time, minutes, urgency };
                assert_eq!(earned(&rated, rule), points, "{stars} {solved}");
            }
        }
    }

    fn inputs(facts: Facts) -> Inputs {
        let month = "2026-03".parse().expect("a month");
        Inputs { month, used_in_month: 0, used_in_day: None, used_of_order: None, held: None, facts }
    }

    fn answered(original: Inputs) -> Inputs {
        let (correction, reason) = (CorrectionKind::Void, "重复".to_owned());
        inputs(Facts::Corrected { correction, reason, original: Box::new(original) })
    }

    #[test]
    fn what_was_used_is_kept_of_the_month_and_of_caps_that_count_day_or_order() {
        let before = inputs(Facts::Claimed { points: Some(2) });
        let used = Used { month: 3, day: 2, order: 1 };
        for (day, order) in [(None, None), (Some(9), None), (None, Some(9)), (Some(9), Some(9))] {
            let after = before.after(used, &Caps { month: None, day, order });
            let wanted = Inputs {
                used_in_month: 3,
                used_in_day: day.map(|_| 2),
                used_of_order: order.map(|_| 1),
                ..before.clone()
            };
            assert_eq!(after, wanted);
            let counted = Used { month: 3, day: day.map_or(0, |_| 2), order: order.map_or(0, |_| 1) };
            assert_eq!(after.used(), counted);
        }
    }

    #[test]
    fn hand_made_and_of_a_shop_is_what_began_so_however_often_it_was_answered() {
        let rows = [
            (Facts::Claimed { points: None }, (true, false)),
            (Facts::Reserved { price: 5, quantity: 2 }, (false, true)),
            (Facts::Patrolled { minutes: 60, visits: 3, hazards: 0 }, (false, false)),
        ];
        for (facts, wanted) in rows {
            let first = inputs(facts);
            let twice = answered(answered(first.clone()));
            for inputs in [first, twice] {
                assert_eq!((inputs.is_hand_made(), inputs.is_of_shop()), wanted, "{inputs:?}");
            }
        }
    }

    #[test]
    fn inputs_keep_their_form_in_json() {
        let text = r#"{"month":"2026-03","usedInMonth":27,"held":"reopened","facts":{"kind":"completed","at":"2026-03-05T01:00:00Z","due":"2026-03-06T01:00:00Z"}}"#;
        let inputs: Inputs = serde_json::from_str(text).expect("inputs");
        assert_eq!(serde_json::to_string(&inputs).expect("json"), text);
    }
}
