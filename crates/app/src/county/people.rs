//! Teams and their volunteers, residents, staff.

use xingfuma_domain::access::Role;
use xingfuma_domain::area::{AreaCode, Level};
use xingfuma_domain::badge::BadgeNumber;
use xingfuma_domain::dispatch::TeamKind;
use xingfuma_domain::phone::Phone;

use super::areas::Plan;
use super::chance::Chance;
use super::names::{self, People};
use super::tables::{self, TeamPattern};
use super::{Person, Staff, Team, Volunteer};

/// What every grid team can do.
const GRID_SKILLS: [&str; 4] = ["便民", "探访", "巡查", "调解"];

/// The first digits of invented phones. 154 has the form of a mobile number but was never given to a carrier.
const VOLUNTEER_PHONES: &str = "1540";
const RESIDENT_PHONES: &str = "1541";

/// Who is in which team: teams, and each volunteer's grid and team.
pub(super) struct Roster {
    pub(super) teams: Vec<Team>,
    /// Of each volunteer: grid, then team, by their places.
    places: Vec<(usize, usize)>,
    /// The first volunteer of each grid, and one past the last of all.
    starts: Vec<usize>,
}

/// Places every volunteer in a grid and a team. The first of a grid leads its team; a special team takes its members
/// evenly from the grids of its township, never a grid leader.
pub(super) fn roster(plan: &Plan, volunteers_of_grids: &[usize]) -> Roster {
    let mut roster = Roster { teams: Vec::new(), places: Vec::new(), starts: vec![0] };
    for (at, (grid, volunteers)) in plan.grids.iter().zip(volunteers_of_grids).enumerate() {
        let leader = roster.places.len();
        let team = Team {
            index: at,
            name: names::sample(&format!("{}志愿服务队", grid.name)),
            kind: TeamKind::Grid,
            areas: vec![grid.code],
            skills: GRID_SKILLS.map(str::to_owned).to_vec(),
            leader,
        };
        roster.teams.push(team);
        roster.places.extend(std::iter::repeat_n((at, at), *volunteers));
        roster.starts.push(roster.places.len());
    }
    special_teams(plan, &mut roster);
    roster
}

/// The teams of the townships, then those of the county, whose members live in the county town.
fn special_teams(plan: &Plan, roster: &mut Roster) {
    let (of_townships, of_county): (Vec<TeamPattern>, Vec<TeamPattern>) =
        tables::team_patterns().into_iter().partition(|pattern| pattern.level == Level::Township);
    // How many seats of each township are taken already.
    let mut taken = vec![0; plan.townships.len()];
    for (at, township) in plan.townships.iter().enumerate() {
        for pattern in &of_townships {
            let name = format!("{}{}", township.name, pattern.name);
            taken[at] = special_team(plan, roster, pattern, name, township.code, (at, taken[at]));
        }
    }
    let town = plan.townships.iter().position(|township| township.urban).unwrap_or(0);
    for pattern in &of_county {
        let name = format!("{}{}", plan.areas[0].name, pattern.name);
        taken[town] = special_team(plan, roster, pattern, name, plan.county, (town, taken[town]));
    }
}

/// Adds a team whose members come from a township, from the seat `taken` on; gives the next free seat.
fn special_team(
    plan: &Plan,
    roster: &mut Roster,
    pattern: &TeamPattern,
    name: String,
    area: AreaCode,
    (township, taken): (usize, usize),
) -> usize {
    let grids: Vec<usize> =
        (0..plan.grids.len()).filter(|&grid| plan.grids[grid].township == township).collect();
    let index = roster.teams.len();
    let free = taken + pattern.volunteers;
    // Seats go round the grids; seat 0 of each grid is its leader's, so the first round takes the one after him.
    let seats = (taken..free).map(|seat| (grids[seat % grids.len()], 1 + seat / grids.len()));
    let members: Vec<usize> = seats.map(|(grid, seat)| roster.starts[grid] + seat).collect();
    for &member in &members {
        roster.places[member].1 = index;
    }
    roster.teams.push(Team {
        index,
        name,
        kind: pattern.kind,
        areas: vec![area],
        skills: pattern.skills.clone(),
        leader: members[0],
    });
    free
}

/// Gives everybody of the roster a name, a phone, a badge and skills.
pub(super) fn volunteers(plan: &Plan, roster: &mut Roster, chance: &mut Chance) -> Vec<Volunteer> {
    let people = People::new();
    let mut last_sequences = vec![0_u32; plan.townships.len()];
    let mut volunteers = Vec::with_capacity(roster.places.len());
    for (index, &(grid, team)) in roster.places.iter().enumerate() {
        let grid = &plan.grids[grid];
        last_sequences[grid.township] += 1;
        let badge = BadgeNumber::new(plan.townships[grid.township].plate, last_sequences[grid.township]);
        volunteers.push(Volunteer {
            index,
            name: people.name(chance),
            phone: phone(VOLUNTEER_PHONES, index),
            grid: grid.code,
            team,
            badge: badge.expect("a township has fewer volunteers than a badge has numbers"),
            skills: skills(&roster.teams[team], index, chance),
        });
    }
    volunteers
}

/// All skills of the team for its leader, one to all of them for anybody else.
fn skills(team: &Team, volunteer: usize, chance: &mut Chance) -> Vec<String> {
    let count =
        if volunteer == team.leader { team.skills.len() } else { chance.between(1, team.skills.len()) };
    let first = chance.below(team.skills.len());
    (0..count).map(|step| team.skills[(first + step) % team.skills.len()].clone()).collect()
}

/// Residents who can log in to the demo.
pub(super) fn residents(count: usize, chance: &mut Chance) -> Vec<Person> {
    let people = People::new();
    let resident = |at| Person { name: people.name(chance), phone: phone(RESIDENT_PHONES, at) };
    (0..count).map(resident).collect()
}

/// The desks of the county, then a dispatcher for each township and each village.
pub(super) fn staff(plan: &Plan, chance: &mut Chance) -> Vec<Staff> {
    let people = People::new();
    let mut staff = Vec::new();
    let mut hire =
        |role, area, department| staff.push(Staff { name: people.name(chance), role, area, department });
    for desk in tables::desks() {
        hire(desk.role, plan.county, desk.department);
    }
    for township in &plan.townships {
        hire(Role::Dispatcher, township.code, None);
    }
    for village in &plan.villages {
        hire(Role::Dispatcher, village.code, None);
    }
    staff
}

fn phone(first_digits: &str, number: usize) -> Phone {
    format!("{first_digits}{number:07}").parse().expect("eleven digits that begin with 154")
}
