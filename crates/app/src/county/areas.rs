//! The tree of areas, to the exact figures.

use xingfuma_domain::area::AreaCode;

use super::Area;
use super::chance::{Chance, share_out};
use super::names::{self, Places};
use super::tables::{self, Figures, Township};

/// Statistics-bureau codes count communities from 001 and villages from 200.
const FIRST_COMMUNITY: usize = 1;
const FIRST_VILLAGE: usize = 200;

/// A grid has about ten families in each of this many micro-grids: more in town than in the hills.
const MICRO_GRIDS_IN_TOWN: (usize, usize) = (18, 26);
const MICRO_GRIDS_IN_VILLAGE: (usize, usize) = (7, 14);

/// A grid, with what its team and its volunteers need to know.
pub(super) struct Grid {
    pub(super) code: AreaCode,
    /// Without the mark of a sample.
    pub(super) name: String,
    /// Its township's place in [`Plan::townships`].
    pub(super) township: usize,
    pub(super) micro_grids: usize,
}

/// A village or a community.
pub(super) struct Village {
    pub(super) code: AreaCode,
    /// Without the mark of a sample.
    name: String,
    township: usize,
    community: bool,
    grids: usize,
}

/// The county on paper.
pub(super) struct Plan {
    pub(super) county: AreaCode,
    pub(super) townships: Vec<Township>,
    pub(super) villages: Vec<Village>,
    pub(super) grids: Vec<Grid>,
    pub(super) areas: Vec<Area>,
}

/// Lays out the county: which areas there are and how they are called.
pub(super) fn plan(figures: &Figures, chance: &mut Chance) -> Plan {
    let townships = tables::townships();
    let villages = villages(&townships, chance);
    let grids = grids(&villages, figures.micro_grids, chance);
    let areas = areas(figures, &townships, &villages, &grids);
    Plan { county: figures.code, townships, villages, grids, areas }
}

/// How many volunteers each grid has: by its micro-grids, and by how willing its people are.
pub(super) fn volunteers_of_grids(plan: &Plan, volunteers: usize, chance: &mut Chance) -> Vec<usize> {
    let weights: Vec<usize> =
        plan.grids.iter().map(|grid| grid.micro_grids * chance.between(8, 12)).collect();
    share_out(volunteers, &weights)
}

fn villages(townships: &[Township], chance: &mut Chance) -> Vec<Village> {
    let mut places = Places::default();
    let mut villages = Vec::new();
    for (at, township) in townships.iter().enumerate() {
        let count = township.communities + township.villages;
        for place in 0..count {
            let community = place < township.communities;
            let (name, number) = if community {
                (places.community(chance), FIRST_COMMUNITY + place)
            } else {
                (places.village(chance), FIRST_VILLAGE + place - township.communities)
            };
            // The grids beyond one for each go round, communities first, so that towns have more of them.
            let more = township.more_grids / count + usize::from(place < township.more_grids % count);
            let code = below(township.code, number);
            villages.push(Village { code, name, township: at, community, grids: 1 + more });
        }
    }
    villages
}

fn grids(villages: &[Village], micro_grids: usize, chance: &mut Chance) -> Vec<Grid> {
    let mut grids = Vec::new();
    let mut weights = Vec::new();
    for village in villages {
        let (low, high) = if village.community { MICRO_GRIDS_IN_TOWN } else { MICRO_GRIDS_IN_VILLAGE };
        for number in 1..=village.grids {
            let ordinal = if village.grids > 1 { names::ordinal(number) } else { String::new() };
            let name = format!("{}{ordinal}网格", village.name);
            grids.push(Grid {
                code: below(village.code, number),
                name,
                township: village.township,
                micro_grids: 0,
            });
            weights.push(chance.between(low, high));
        }
    }
    for (grid, count) in grids.iter_mut().zip(share_out(micro_grids, &weights)) {
        grid.micro_grids = count;
    }
    grids
}

/// All levels, one after the other, so that each area stands after its parent.
fn areas(figures: &Figures, townships: &[Township], villages: &[Village], grids: &[Grid]) -> Vec<Area> {
    let area = |code: AreaCode, name: String, sample| Area { code, parent: code.parent(), name, sample };
    let mut areas = vec![area(figures.code, figures.name.clone(), false)];
    areas.extend(townships.iter().map(|township| area(township.code, township.name.clone(), false)));
    areas.extend(villages.iter().map(|village| area(village.code, names::sample(&village.name), true)));
    areas.extend(grids.iter().map(|grid| area(grid.code, names::sample(&grid.name), true)));
    for grid in grids {
        let micro_grid =
            |number| area(below(grid.code, number), names::sample(&format!("第{number}微网格")), true);
        areas.extend((1..=grid.micro_grids).map(micro_grid));
    }
    areas
}

/// The area with this number below another.
fn below(parent: AreaCode, number: usize) -> AreaCode {
    format!("{parent}{number:03}").parse().expect("a number of three digits below a valid code")
}
