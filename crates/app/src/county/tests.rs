//! The figures of the default county, and that everything in it fits together.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use xingfuma_domain::area::Level;

use super::*;

fn county() -> County {
    County::default_county(1)
}

fn at_level(county: &County, level: Level) -> Vec<&Area> {
    county.areas.iter().filter(|area| area.code.level() == level).collect()
}

#[test]
fn it_has_exactly_the_published_figures() {
    let county = county();
    let counts = Level::ALL.map(|level| at_level(&county, level).len());
    assert_eq!(counts, [1, 11, 250, 288, 3_447]);
    assert_eq!(county.teams.len(), 335);
    assert_eq!(county.volunteers.len(), 30_000);
    assert_eq!(county.signs.len(), 288);
    assert_eq!(county.residents.len(), 20);
    let kinds = [TeamKind::Grid, TeamKind::Special, TeamKind::Enforcement];
    let counts = kinds.map(|kind| county.teams.iter().filter(|team| team.kind == kind).count());
    assert_eq!(counts, [288, 46, 1]);
}

#[test]
fn every_seed_has_the_same_figures_and_other_people() {
    let (one, two) = (county(), County::default_county(u64::MAX));
    for level in Level::ALL {
        assert_eq!(at_level(&one, level).len(), at_level(&two, level).len());
    }
    assert_eq!(one.volunteers.len(), two.volunteers.len());
    assert_ne!(one.volunteers[0].name, two.volunteers[0].name);
    assert_ne!(one.signs[0].code, two.signs[0].code);
}

#[test]
fn the_same_seed_gives_the_same_county() {
    assert!(county() == county());
}

#[test]
fn it_is_made_in_less_than_a_second() {
    // The best of three: other programs of the machine may take the processor away from one.
    let made_in = |_| {
        let start = Instant::now();
        assert_eq!(county().volunteers.len(), 30_000);
        start.elapsed()
    };
    let best = (0..3).map(made_in).min().expect("three times");
    assert!(best < Duration::from_secs(1), "{best:?}");
}

#[test]
fn areas_form_one_tree_with_each_after_its_parent() {
    let county = county();
    let mut seen = BTreeSet::new();
    for area in &county.areas {
        assert_eq!(area.parent, area.code.parent());
        match area.parent {
            Some(parent) => assert!(seen.contains(&parent), "{} before its parent", area.code),
            None => assert_eq!(area.code, county.code),
        }
        assert!(seen.insert(area.code), "{} twice", area.code);
    }
}

#[test]
fn invented_areas_are_marked_and_real_ones_are_not() {
    let county = county();
    for area in &county.areas {
        let invented = area.code.level() > Level::Township;
        assert_eq!((area.sample, area.name.contains("（示例）")), (invented, invented), "{}", area.name);
    }
}

#[test]
fn no_two_villages_and_no_two_grids_share_a_name() {
    let county = county();
    for level in [Level::Village, Level::Grid] {
        let areas = at_level(&county, level);
        let names: BTreeSet<&str> = areas.iter().map(|area| area.name.as_str()).collect();
        assert_eq!(names.len(), areas.len());
    }
}

#[test]
fn the_grids_of_a_village_are_numbered_where_there_are_several() {
    let county = county();
    let mut of_villages: BTreeMap<AreaCode, Vec<&Area>> = BTreeMap::new();
    for grid in at_level(&county, Level::Grid) {
        of_villages.entry(grid.parent.expect("a village")).or_default().push(grid);
    }
    assert!(of_villages.values().any(|grids| grids.len() == 3));
    for grids in of_villages.values() {
        let numbered = grids.iter().filter(|grid| grid.name.contains("第")).count();
        assert_eq!(numbered, if grids.len() > 1 { grids.len() } else { 0 });
        assert_eq!(grids[0].name.contains("第一网格"), grids.len() > 1);
    }
}

#[test]
fn towns_have_communities_and_more_people_in_a_grid() {
    let county = county();
    let town = county.areas.iter().find(|area| area.name == "城区").expect("the county town").code;
    let inside = |code: AreaCode| town.contains(&code);
    let villages = at_level(&county, Level::Village);
    assert!(villages.iter().filter(|area| inside(area.code)).all(|area| area.name.contains("社区")));
    let mean = |in_town: bool| {
        let grids =
            at_level(&county, Level::Grid).into_iter().filter(|area| inside(area.code) == in_town).count();
        county.volunteers.iter().filter(|volunteer| inside(volunteer.grid) == in_town).count() / grids
    };
    assert!(mean(true) > mean(false), "{} in town, {} outside", mean(true), mean(false));
}

#[test]
fn phones_badges_and_sign_codes_are_unique() {
    let county = county();
    let people = county.volunteers.iter().map(|volunteer| volunteer.phone);
    let phones: Vec<Phone> = people.chain(county.residents.iter().map(|person| person.phone)).collect();
    assert!(phones.iter().all(|phone| phone.is_mobile() && phone.as_str().starts_with("154")));
    assert_eq!(phones.iter().collect::<BTreeSet<_>>().len(), phones.len());
    let badges: BTreeSet<BadgeNumber> = county.volunteers.iter().map(|volunteer| volunteer.badge).collect();
    assert_eq!(badges.len(), county.volunteers.len());
    let signs: BTreeSet<SignCode> = county.signs.iter().map(|sign| sign.code).collect();
    assert_eq!(signs.len(), county.signs.len());
}

#[test]
fn badges_count_without_gaps_in_each_township() {
    let county = county();
    let mut sequences: BTreeMap<AreaCode, Vec<(u8, u32)>> = BTreeMap::new();
    for volunteer in &county.volunteers {
        let township = volunteer.grid.ancestor_at(Level::Township).expect("a township");
        sequences.entry(township).or_default().push((volunteer.badge.plate(), volunteer.badge.sequence()));
    }
    let plates: BTreeSet<u8> = sequences.values().map(|badges| badges[0].0).collect();
    assert_eq!(plates, (1..=11).collect());
    for badges in sequences.values() {
        let expected: Vec<(u8, u32)> =
            (1..=badges.len() as u32).map(|sequence| (badges[0].0, sequence)).collect();
        assert_eq!(*badges, expected);
    }
}

#[test]
fn every_grid_has_a_team_a_sign_a_leader_and_volunteers() {
    let county = county();
    let grids: Vec<AreaCode> = at_level(&county, Level::Grid).iter().map(|area| area.code).collect();
    assert_eq!(county.signs.iter().map(|sign| sign.area).collect::<Vec<_>>(), grids);
    let teams = county.teams.iter().filter(|team| team.kind == TeamKind::Grid);
    assert_eq!(
        teams.map(|team| team.areas.clone()).collect::<Vec<_>>(),
        grids.iter().map(|grid| vec![*grid]).collect::<Vec<_>>()
    );
    for team in county.teams.iter().filter(|team| team.kind == TeamKind::Grid) {
        assert_eq!(county.volunteers[team.leader].grid, team.areas[0], "a grid leader lives in his grid");
        let members = county.volunteers.iter().filter(|volunteer| volunteer.team == team.index);
        assert!(members.count() >= 10, "{} is too small to serve", team.name);
    }
}

#[test]
fn every_team_is_led_by_one_of_its_own() {
    let county = county();
    for (at, team) in county.teams.iter().enumerate() {
        assert_eq!(team.index, at);
        let leader = &county.volunteers[team.leader];
        assert_eq!((leader.index, leader.team), (team.leader, at), "{}", team.name);
        assert_eq!(leader.skills.iter().collect::<BTreeSet<_>>(), team.skills.iter().collect());
    }
    let leaders: BTreeSet<usize> = county.teams.iter().map(|team| team.leader).collect();
    assert_eq!(leaders.len(), county.teams.len());
}

#[test]
fn special_teams_have_their_members_and_serve_their_township_or_the_county() {
    let county = county();
    let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
    for volunteer in &county.volunteers {
        *sizes.entry(volunteer.team).or_default() += 1;
    }
    let mut levels = BTreeMap::new();
    for team in county.teams.iter().filter(|team| team.kind != TeamKind::Grid) {
        let level = team.areas[0].level();
        assert_eq!(sizes[&team.index], if level == Level::County { 30 } else { 20 }, "{}", team.name);
        let members = county.volunteers.iter().filter(|volunteer| volunteer.team == team.index);
        assert!(members.into_iter().all(|member| team.areas[0].contains(&member.grid)));
        *levels.entry(level).or_insert(0) += 1;
    }
    assert_eq!(levels, BTreeMap::from([(Level::County, 3), (Level::Township, 44)]));
}

#[test]
fn volunteers_have_skills_of_their_team() {
    let county = county();
    for (at, volunteer) in county.volunteers.iter().enumerate() {
        assert_eq!(volunteer.index, at);
        let skills: BTreeSet<&String> = volunteer.skills.iter().collect();
        let of_team: BTreeSet<&String> = county.teams[volunteer.team].skills.iter().collect();
        assert!(!skills.is_empty() && skills.is_subset(&of_team) && skills.len() == volunteer.skills.len());
    }
}

#[test]
fn the_first_category_is_the_plain_case_and_codes_are_unique() {
    let categories = county().categories;
    let first = &categories[0];
    assert_eq!(
        (first.kind, first.urgency, first.assign),
        (Kind::Service, Urgency::Normal, AssignMode::WholeTeam)
    );
    assert_eq!((first.needs_arrival, first.needs_photo, first.limits), (false, false, None));
    let codes: BTreeSet<&str> = categories.iter().map(|category| category.code.as_str()).collect();
    assert_eq!((codes.len(), categories.len()), (14, 14));
    let snake = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    assert!(codes.iter().all(|code| code.bytes().all(snake)));
}

#[test]
fn some_team_can_do_every_category_in_every_grid() {
    let county = county();
    for category in &county.categories {
        for sign in &county.signs {
            let can =
                |team: &Team| team.skills.contains(&category.skill) && team.areas[0].contains(&sign.area);
            assert!(county.teams.iter().any(can), "{} in {}", category.name, sign.area);
        }
    }
    let plain = &county.categories[0].skill;
    let grid_teams = county.teams.iter().filter(|team| team.kind == TeamKind::Grid);
    assert!(
        grid_teams.into_iter().all(|team| team.skills.contains(plain)),
        "the grid's own team does the plain case"
    );
}

#[test]
fn every_desk_is_staffed() {
    let county = county();
    let count = |role| county.staff.iter().filter(|staff| staff.role == role).count();
    let roles = [Role::CountyAdmin, Role::Auditor, Role::Operator, Role::Department, Role::Dispatcher];
    assert_eq!(roles.map(count), [1, 1, 1, 2, 261]);
    assert_eq!(county.staff.len(), 266);
    let stations: BTreeSet<AreaCode> =
        county.staff.iter().filter(|staff| staff.role == Role::Dispatcher).map(|staff| staff.area).collect();
    let wanted = at_level(&county, Level::Township).into_iter().chain(at_level(&county, Level::Village));
    assert_eq!(stations, wanted.map(|area| area.code).collect());
    for staff in &county.staff {
        assert_eq!(staff.department.is_some(), staff.role == Role::Department);
    }
}

#[test]
fn names_of_people_have_two_or_three_characters() {
    let county = county();
    let people = county.volunteers.iter().map(|volunteer| &volunteer.name);
    let names: Vec<&String> = people.chain(county.staff.iter().map(|staff| &staff.name)).collect();
    assert!(names.iter().all(|name| (2..=3).contains(&name.chars().count())));
    assert!(names.iter().collect::<BTreeSet<_>>().len() > 20_000, "names are spread");
}
