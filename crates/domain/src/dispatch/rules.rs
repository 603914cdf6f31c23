//! The policy's numbers, by edition.
//!
//! A decision is stored with its question, and the question says by which edition it was answered. So an edition is never
//! changed: what is to be different becomes the next one, and what an earlier one decided is asked again by that one.

use serde::{Deserialize, Serialize};

use super::AssignMode;

/// An edition of the policy's rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edition {
    /// The first; questions that were stored before editions had names say none, and mean it.
    #[default]
    First,
    /// Asks longer, and spares those who were told of another order lately.
    Sparing,
}

impl Edition {
    /// The one that decides today.
    pub const TODAY: Edition = Edition::Sparing;

    pub(super) fn is_first(&self) -> bool {
        *self == Edition::First
    }

    pub(super) fn rules(self) -> &'static Rules {
        match self {
            Edition::First => &FIRST,
            Edition::Sparing => &SPARING,
        }
    }
}

/// What differs between editions.
pub(super) struct Rules {
    /// One in so many of those who have the skill is told at once, where the whole team may take it: a small team tires
    /// sooner. At least one, and at most the wave.
    pub(super) members_per_told: usize,
    /// At most so many are told at once, the first time that anybody is told of the order.
    pub(super) first_wave: usize,
    /// The same for each time after it.
    pub(super) wave: usize,
    /// The same for an urgent order, every time and whatever the size of the team.
    pub(super) urgent_wave: usize,
    /// How long asking goes on where the whole team may take it.
    pub(super) whole_team: Asking,
    /// How long it goes on where one is asked at a time.
    pub(super) one_by_one: Asking,
    /// One after the other, a priority order asks so many within its limit, or more.
    pub(super) tries: i64,
    /// How many thirds of the patience there are in the evening: what is not accepted before people sleep waits until
    /// the morning.
    pub(super) evening_thirds: i64,
}

/// How long asking goes on for one order, in people.
pub(super) struct Asking {
    /// At most so many are told; then a person has to look at it.
    pub(super) at_most: usize,
    /// After so many only those are told who have rested. Never so for an urgent order.
    pub(super) anybody: usize,
    /// Who was told of an order has rested after this long, in seconds.
    pub(super) rest_seconds: i64,
}

impl Rules {
    pub(super) fn asking(&self, mode: AssignMode) -> &Asking {
        match mode {
            AssignMode::WholeTeam => &self.whole_team,
            AssignMode::Named | AssignMode::Rotation => &self.one_by_one,
        }
    }
}

const FIRST: Rules = Rules {
    members_per_told: 12,
    first_wave: 3,
    wave: 3,
    urgent_wave: 12,
    whole_team: Asking { at_most: 14, anybody: usize::MAX, rest_seconds: 0 },
    one_by_one: Asking { at_most: 8, anybody: usize::MAX, rest_seconds: 0 },
    tries: 3,
    evening_thirds: 3,
};

const SPARING: Rules = Rules {
    members_per_told: 8,
    first_wave: 4,
    wave: 2,
    urgent_wave: 12,
    whole_team: Asking { at_most: 30, anybody: 14, rest_seconds: 24 * 3_600 },
    one_by_one: Asking { at_most: 20, anybody: 6, rest_seconds: 24 * 3_600 },
    tries: 4,
    evening_thirds: 2,
};
