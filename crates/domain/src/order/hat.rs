//! Hats: what somebody is to one order.

use serde::{Deserialize, Serialize};

/// What somebody is to one order: a role in relation to it, not a role in the county.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u16)]
pub enum Hat {
    /// The resident who ordered.
    Requester = 1,
    /// The operator who entered it for a caller.
    Operator = 2,
    /// A volunteer to whom it is or was offered.
    Offered = 4,
    /// The volunteer who promised to come.
    Worker = 8,
    /// The leader of the team that holds it.
    Leader = 16,
    /// A dispatcher whose area contains it.
    Dispatcher = 32,
    /// The dispatch queue's worker.
    Queue = 64,
    /// Time passing.
    Sweep = 128,
    /// A dispatcher of the township, or above, that contains it: what a village may not do about its own work.
    Township = 256,
    /// A member of a department that was whistled for it.
    Department = 512,
}

impl Hat {
    /// Every hat.
    pub const ALL: [Hat; 10] = [
        Hat::Requester,
        Hat::Operator,
        Hat::Offered,
        Hat::Worker,
        Hat::Leader,
        Hat::Dispatcher,
        Hat::Queue,
        Hat::Sweep,
        Hat::Township,
        Hat::Department,
    ];

    /// The name in JSON and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Hat::Requester => "requester",
            Hat::Operator => "operator",
            Hat::Offered => "offered",
            Hat::Worker => "worker",
            Hat::Leader => "leader",
            Hat::Dispatcher => "dispatcher",
            Hat::Queue => "queue",
            Hat::Sweep => "sweep",
            Hat::Township => "township",
            Hat::Department => "department",
        }
    }
}

/// A set of hats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hats(u16);

impl Hats {
    /// Nobody.
    pub const NONE: Hats = Hats(0);

    /// The set of these hats.
    pub fn of(hats: &[Hat]) -> Hats {
        hats.iter().copied().collect()
    }

    /// Adds one.
    pub fn insert(&mut self, hat: Hat) {
        self.0 |= hat as u16;
    }

    /// Whether it is worn.
    pub fn has(self, hat: Hat) -> bool {
        self.0 & hat as u16 != 0
    }

    /// Whether none is worn.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The first of `among` that is worn: the one in which a command is done.
    pub fn first_of(self, among: &[Hat]) -> Option<Hat> {
        among.iter().copied().find(|hat| self.has(*hat))
    }
}

impl FromIterator<Hat> for Hats {
    fn from_iter<I: IntoIterator<Item = Hat>>(hats: I) -> Hats {
        let mut set = Hats::NONE;
        hats.into_iter().for_each(|hat| set.insert(hat));
        set
    }
}
