//! The default county: a whole county made up from its published figures, the same for the same seed.
//!
//! `xingfuma demo` and the tests run on it. What is public is real (the county, its townships, how many of each
//! there are); everything else is invented and says so: villages, grids and micro-grids are marked as samples, people
//! do not exist, and phone numbers come from a range that no carrier has.
//!
//! No name, code or figure of the county stands in the code: they are read from `crates/app/data/*.csv`.

mod areas;
mod chance;
mod names;
mod people;
mod tables;

use std::collections::BTreeSet;

use xingfuma_domain::access::Role;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::badge::BadgeNumber;
use xingfuma_domain::deadline::{TimeLimits, Urgency};
pub use xingfuma_domain::dispatch::AssignMode;
use xingfuma_domain::dispatch::TeamKind;
use xingfuma_domain::order::Kind;
use xingfuma_domain::phone::Phone;
use xingfuma_domain::sign::SignCode;

use chance::Chance;

/// One node of the tree of areas, of any of its five levels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Area {
    /// Its code; the level follows from it.
    pub code: AreaCode,
    /// The area above; none for the county.
    pub parent: Option<AreaCode>,
    /// Its name in Chinese.
    pub name: String,
    /// The name is invented.
    pub sample: bool,
}

/// A volunteer service team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    /// Its place in [`County::teams`].
    pub index: usize,
    /// Its name in Chinese.
    pub name: String,
    /// Grid team, special team or enforcement team.
    pub kind: TeamKind,
    /// The areas that it serves.
    pub areas: Vec<AreaCode>,
    /// What it can do; a category asks for one of these.
    pub skills: Vec<String>,
    /// Its leader's place in [`County::volunteers`]; of a grid team the grid leader (网格长).
    pub leader: usize,
}

/// A registered volunteer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volunteer {
    /// The place in [`County::volunteers`].
    pub index: usize,
    /// An invented name.
    pub name: String,
    /// An invented mobile number.
    pub phone: Phone,
    /// The grid that the volunteer is assigned to.
    pub grid: AreaCode,
    /// The team's place in [`County::teams`].
    pub team: usize,
    /// The number plate: the township's number and the sequence in it.
    pub badge: BadgeNumber,
    /// Some of the team's skills; all of them for its leader.
    pub skills: Vec<String>,
}

/// The sign of a grid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    /// The code on it.
    pub code: SignCode,
    /// The grid it stands in.
    pub area: AreaCode,
}

/// A category of orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Category {
    /// Its code, in English snake case.
    pub code: String,
    /// Its name in Chinese.
    pub name: String,
    /// Service or report.
    pub kind: Kind,
    /// The urgency of its orders where nobody chooses another.
    pub urgency: Urgency,
    /// The skill that a team needs for it.
    pub skill: String,
    /// How it is handed to a team.
    pub assign: AssignMode,
    /// The volunteer must arrive before he can complete it.
    pub needs_arrival: bool,
    /// It is completed with photos.
    pub needs_photo: bool,
    /// Its own time limits, in seconds; none for those of its urgency.
    pub limits: Option<TimeLimits>,
}

/// A resident who can log in to the demo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// An invented name.
    pub name: String,
    /// An invented mobile number.
    pub phone: Phone,
}

/// Somebody who works at a desk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staff {
    /// An invented name.
    pub name: String,
    /// County admin, auditor, operator, dispatcher or department.
    pub role: Role,
    /// The area of the role: the county, a township or a village.
    pub area: AreaCode,
    /// The department's name, for that role only.
    pub department: Option<String>,
}

/// A whole county. Everything refers to areas by code and to teams and volunteers by place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct County {
    /// The county's own code.
    pub code: AreaCode,
    /// All areas; each stands after its parent.
    pub areas: Vec<Area>,
    /// All teams: the grid teams in the order of the grids, then those of townships, then those of the county.
    pub teams: Vec<Team>,
    /// All volunteers, in the order of the grids; the first of a grid is its leader.
    pub volunteers: Vec<Volunteer>,
    /// One sign for each grid, in the order of the grids.
    pub signs: Vec<Sign>,
    /// All categories; the first is the plain case.
    pub categories: Vec<Category>,
    /// Residents for the demo.
    pub residents: Vec<Person>,
    /// Everybody who works at a desk.
    pub staff: Vec<Staff>,
}

impl County {
    /// The default county. Only names, codes of signs and the spread over grids depend on `seed`; the figures, the
    /// codes of areas and the teams do not. Nothing of it is secret: whoever knows the seed knows every sign.
    pub fn default_county(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let figures = tables::county();
        let plan = areas::plan(&figures, &mut chance);
        let volunteers_of_grids = areas::volunteers_of_grids(&plan, figures.volunteers, &mut chance);
        let mut roster = people::roster(&plan, &volunteers_of_grids);
        let volunteers = people::volunteers(&plan, &mut roster, &mut chance);
        let signs = signs(&plan, &mut chance);
        let residents = people::residents(figures.residents, &mut chance);
        let staff = people::staff(&plan, &mut chance);
        Self {
            code: figures.code,
            teams: roster.teams,
            volunteers,
            signs,
            categories: tables::categories(),
            residents,
            staff,
            areas: plan.areas,
        }
    }
}

/// A sign for each grid, no two with the same code.
fn signs(plan: &areas::Plan, chance: &mut Chance) -> Vec<Sign> {
    let mut used = BTreeSet::new();
    let mut fresh = || loop {
        let code = SignCode::from_random(chance.next());
        if used.insert(code) {
            return code;
        }
    };
    plan.grids.iter().map(|grid| Sign { code: fresh(), area: grid.code }).collect()
}

#[cfg(test)]
mod tests;
