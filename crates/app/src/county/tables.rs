//! Reads the tables of `crates/app/data`. They are part of the program, so a fault in them is a fault of the program:
//! reading panics, and the tests of this module read every table.

use std::str::FromStr;

use xingfuma_domain::access::Role;
use xingfuma_domain::area::{AreaCode, Level};
use xingfuma_domain::deadline::{TimeLimits, Urgency};
use xingfuma_domain::dispatch::TeamKind;
use xingfuma_domain::order::Kind;

use super::{AssignMode, Category};

/// The county and its figures.
pub(super) struct Figures {
    pub(super) code: AreaCode,
    pub(super) name: String,
    pub(super) micro_grids: usize,
    pub(super) volunteers: usize,
    pub(super) residents: usize,
}

/// A township and how much there is in it.
pub(super) struct Township {
    pub(super) code: AreaCode,
    pub(super) name: String,
    /// The number on its number plates.
    pub(super) plate: u8,
    /// A part of the county town: more people in a grid.
    pub(super) urban: bool,
    pub(super) communities: usize,
    pub(super) villages: usize,
    /// Grids beyond one for each village or community.
    pub(super) more_grids: usize,
}

/// A team that every township or the county has.
pub(super) struct TeamPattern {
    pub(super) level: Level,
    pub(super) name: String,
    pub(super) kind: TeamKind,
    pub(super) volunteers: usize,
    pub(super) skills: Vec<String>,
}

/// A desk of the county.
pub(super) struct Desk {
    pub(super) role: Role,
    pub(super) department: Option<String>,
}

pub(super) fn county() -> Figures {
    let rows = rows(include_str!("../../data/county.csv"));
    let [code, name, micro_grids, volunteers, residents] = rows[0];
    Figures {
        code: value(code),
        name: name.to_owned(),
        micro_grids: value(micro_grids),
        volunteers: value(volunteers),
        residents: value(residents),
    }
}

pub(super) fn townships() -> Vec<Township> {
    let sizes = rows::<4>(include_str!("../../data/township_sizes.csv"));
    let township = |[code, name, kind, plate]: [&str; 4]| {
        let size = sizes.iter().find(|size| size[0] == code);
        let [_, communities, villages, more_grids] = *size.expect("township_sizes.csv has every township");
        Township {
            code: value(code),
            name: name.to_owned(),
            plate: value(plate),
            urban: kind == "urban",
            communities: value(communities),
            villages: value(villages),
            more_grids: value(more_grids),
        }
    };
    rows(include_str!("../../data/townships.csv")).into_iter().map(township).collect()
}

pub(super) fn team_patterns() -> Vec<TeamPattern> {
    let pattern = |[level, name, kind, volunteers, skills]: [&str; 5]| TeamPattern {
        level: if level == "county" { Level::County } else { Level::Township },
        name: name.to_owned(),
        kind: if kind == "enforcement" { TeamKind::Enforcement } else { TeamKind::Special },
        volunteers: value(volunteers),
        skills: skills.split(' ').map(str::to_owned).collect(),
    };
    rows(include_str!("../../data/teams.csv")).into_iter().map(pattern).collect()
}

pub(super) fn desks() -> Vec<Desk> {
    let desk = |[role, department]: [&str; 2]| Desk {
        role: Role::parse(role).expect("staff.csv names roles"),
        department: Some(department.to_owned()).filter(|department| !department.is_empty()),
    };
    rows(include_str!("../../data/staff.csv")).into_iter().map(desk).collect()
}

pub(super) fn categories() -> Vec<Category> {
    rows(include_str!("../../data/categories.csv")).into_iter().map(category).collect()
}

fn category([code, name, kind, urgency, skill, assign, arrival, photo, limits]: [&str; 9]) -> Category {
    Category {
        code: code.to_owned(),
        name: name.to_owned(),
        kind: if kind == "report" { Kind::Report } else { Kind::Service },
        urgency: value::<Urgency>(urgency),
        skill: skill.to_owned(),
        assign: match assign {
            "named" => AssignMode::Named,
            "rotation" => AssignMode::Rotation,
            _ => AssignMode::WholeTeam,
        },
        needs_arrival: arrival == "yes",
        needs_photo: photo == "yes",
        limits: (!limits.is_empty()).then(|| time_limits(limits)),
    }
}

fn time_limits(text: &str) -> TimeLimits {
    let [dispatch, accept, arrive, complete, extension] = fields(text, '/');
    let optional = |seconds: &str| (!seconds.is_empty()).then(|| value(seconds));
    TimeLimits {
        dispatch: value(dispatch),
        accept: value(accept),
        arrive: optional(arrive),
        complete: value(complete),
        extension: optional(extension),
    }
}

/// The lines of a table below its heading. No field of these tables has a comma or a quote in it.
fn rows<const COLUMNS: usize>(table: &str) -> Vec<[&str; COLUMNS]> {
    let lines = table.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.skip(1).map(|line| fields(line, ',')).collect()
}

fn fields<const COLUMNS: usize>(line: &str, separator: char) -> [&str; COLUMNS] {
    let fields: Vec<&str> = line.split(separator).collect();
    match fields.try_into() {
        Ok(fields) => fields,
        Err(_) => panic!("not {COLUMNS} fields: {line}"),
    }
}

fn value<T: FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("not a {}: {text}", std::any::type_name::<T>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the readers above take any other word for the common case, the words themselves are checked here.
    #[test]
    fn every_word_of_the_tables_is_known() {
        for [_, _, kind, _] in rows(include_str!("../../data/townships.csv")) {
            assert!(["town", "township", "urban"].contains(&kind), "{kind}");
        }
        for [level, _, kind, _, _] in rows(include_str!("../../data/teams.csv")) {
            assert!(["township", "county"].contains(&level), "{level}");
            assert!(["special", "enforcement"].contains(&kind), "{kind}");
        }
        for [code, _, kind, _, _, assign, arrival, photo, _] in
            rows(include_str!("../../data/categories.csv"))
        {
            assert!(["service", "report"].contains(&kind), "{code}");
            assert!(["whole_team", "named", "rotation"].contains(&assign), "{code}");
            assert!(["yes", "no"].contains(&arrival) && ["yes", "no"].contains(&photo), "{code}");
        }
    }

    #[test]
    fn time_limits_of_a_category_can_be_kept() {
        let own: Vec<TimeLimits> = categories().into_iter().filter_map(|category| category.limits).collect();
        assert!(!own.is_empty());
        for limits in own {
            assert_eq!(limits.check(), Ok(()));
        }
    }
}
