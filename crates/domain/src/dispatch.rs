//! Who gets an order, and why: the first policy.
//!
//! Pure: from what is known about the teams to one choice with a reason for every candidate. The same input always
//! gives the same answer, so a stored input can be replayed.
//!
//! The rule: a team must cover the place and have the category's skill, and must not have been asked already. The
//! nearest coverage wins (the grid's own team before those of village, township, county); among equals the one with
//! the fewest open orders; among those the lowest id, so that the choice never depends on the order of rows.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::area::{AreaCode, Level};

/// The kinds of teams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TeamKind {
    /// A grid's own team, led by its grid leader.
    Grid,
    /// A team for a special matter (调解, 医疗, 法律, 宣讲 …).
    Special,
    /// An enforcement team (执法队).
    Enforcement,
}

/// What the policy knows about one team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TeamFacts {
    /// The team.
    pub team: Uuid,
    /// Its name, for the reasons.
    pub name: String,
    /// Its kind.
    pub kind: TeamKind,
    /// The nearest area by which it covers the place.
    pub covers: AreaCode,
    /// Its skills.
    pub skills: Vec<String>,
    /// Orders it holds that are neither completed nor ended.
    pub open_orders: i64,
    /// Volunteers of it in good standing.
    pub volunteers: i64,
}

/// What is asked of the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// Where help is needed.
    pub area: AreaCode,
    /// The skill that is needed.
    pub skill: String,
    /// Teams that were asked already.
    pub asked: Vec<Uuid>,
}

/// Why a candidate stands where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// The team.
    pub team: Uuid,
    /// Its name at that moment.
    pub name: String,
    /// Lower is better; absent for a team that cannot be asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub score: Option<i64>,
    /// The reasons, in words.
    pub reasons: Vec<String>,
}

/// The answer, which is stored and shown by `GET /orders/{id}/decision`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// The team that gets the offer; absent when none is left.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub chosen: Option<Uuid>,
    /// Every team that covers the place, best first.
    pub candidates: Vec<Candidate>,
    /// What is missing, in words.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub shortfalls: Vec<String>,
}

/// A step of distance outweighs any load that a team can have.
const DISTANCE_WEIGHT: i64 = 1_000_000;

/// Chooses a team.
pub fn choose(question: &Question, teams: &[TeamFacts]) -> Decision {
    let mut candidates: Vec<Candidate> = teams.iter().map(|team| weigh(question, team)).collect();
    candidates.sort_by_key(|candidate| (candidate.score.is_none(), candidate.score, candidate.team));
    let chosen = candidates.first().filter(|best| best.score.is_some()).map(|best| best.team);
    let shortfalls = if chosen.is_some() { Vec::new() } else { shortfalls(question, teams) };
    Decision { chosen, candidates, shortfalls }
}

fn weigh(question: &Question, team: &TeamFacts) -> Candidate {
    let steps = distance(question.area, team.covers);
    let mut reasons = vec![match steps {
        0 => "服务本网格".to_owned(),
        _ => format!("服务范围在{}一级", level_name(team.covers.level())),
    }];
    let mut eligible = true;
    if team.skills.contains(&question.skill) {
        reasons.push(format!("具备技能“{}”", question.skill));
    } else {
        eligible = false;
        reasons.push(format!("缺少技能“{}”", question.skill));
    }
    if question.asked.contains(&team.team) {
        eligible = false;
        reasons.push("本轮已经问过".to_owned());
    }
    if team.volunteers == 0 {
        eligible = false;
        reasons.push("队里没有在册志愿者".to_owned());
    }
    reasons.push(format!("在办{}单", team.open_orders));
    let score = eligible.then_some(steps * DISTANCE_WEIGHT + team.open_orders.clamp(0, DISTANCE_WEIGHT - 1));
    Candidate { team: team.team, name: team.name.clone(), score, reasons }
}

/// Levels between the place and the covering area.
fn distance(place: AreaCode, covers: AreaCode) -> i64 {
    // A micro-grid belongs to its grid's team as the grid itself does.
    let base = place.ancestor_at(Level::Grid).unwrap_or(place);
    base.ancestors()
        .into_iter()
        .position(|area| area == covers)
        .map_or(i64::from(u8::MAX), |steps| steps as i64)
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::County => "县",
        Level::Township => "乡镇",
        Level::Village => "村",
        Level::Grid => "网格",
        Level::MicroGrid => "微网格",
    }
}

fn shortfalls(question: &Question, teams: &[TeamFacts]) -> Vec<String> {
    let skilled: Vec<&TeamFacts> =
        teams.iter().filter(|team| team.skills.contains(&question.skill)).collect();
    if skilled.is_empty() {
        return vec![format!("从网格到全县都没有具备技能“{}”的队伍", question.skill)];
    }
    if skilled.iter().all(|team| question.asked.contains(&team.team)) {
        return vec![format!("具备技能“{}”的{}支队伍都已问过，无人接单", question.skill, skilled.len())];
    }
    vec![format!("具备技能“{}”的队伍里没有在册志愿者", question.skill)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GRID: &str = "140724104003001";

    fn area(code: &str) -> AreaCode {
        code.parse().expect("a valid area code")
    }

    fn team(id: u128, covers: &str, skills: &[&str], open_orders: i64) -> TeamFacts {
        TeamFacts {
            team: Uuid::from_u128(id),
            name: format!("队{id}"),
            kind: TeamKind::Special,
            covers: area(covers),
            skills: skills.iter().map(|skill| (*skill).to_owned()).collect(),
            open_orders,
            volunteers: 3,
        }
    }

    fn question(asked: &[u128]) -> Question {
        let asked = asked.iter().copied().map(Uuid::from_u128).collect();
        Question { area: area(GRID), skill: "便民".to_owned(), asked }
    }

    #[test]
    fn the_grids_own_team_comes_before_a_freer_one_above() {
        let teams = [team(1, "140724104", &["便民"], 0), team(2, GRID, &["便民"], 40)];
        assert_eq!(choose(&question(&[]), &teams).chosen, Some(Uuid::from_u128(2)));
    }

    #[test]
    fn among_equals_the_fewest_open_orders_then_the_lowest_id() {
        let teams = [team(3, GRID, &["便民"], 2), team(2, GRID, &["便民"], 1), team(1, GRID, &["便民"], 1)];
        assert_eq!(choose(&question(&[]), &teams).chosen, Some(Uuid::from_u128(1)));
    }

    #[test]
    fn a_micro_grid_is_served_by_its_grids_team() {
        let mut asked = question(&[]);
        asked.area = area("140724104003001002");
        let teams = [team(1, GRID, &["便民"], 9), team(2, "140724104003", &["便民"], 0)];
        let decision = choose(&asked, &teams);
        assert_eq!(decision.chosen, Some(Uuid::from_u128(1)));
        assert!(decision.candidates[0].reasons.contains(&"服务本网格".to_owned()));
    }

    #[test]
    fn without_the_skill_nobody_is_chosen_and_the_answer_says_so() {
        let decision = choose(&question(&[]), &[team(1, GRID, &["医疗"], 0)]);
        assert_eq!(decision.chosen, None);
        assert!(decision.shortfalls[0].contains("便民"), "{:?}", decision.shortfalls);
        assert!(decision.candidates[0].reasons.iter().any(|reason| reason.contains("缺少技能")));
    }

    #[test]
    fn when_all_were_asked_the_answer_says_so() {
        let decision = choose(&question(&[1]), &[team(1, GRID, &["便民"], 0)]);
        assert_eq!(decision.chosen, None);
        assert!(decision.shortfalls[0].contains("已问过"), "{:?}", decision.shortfalls);
    }

    #[test]
    fn a_team_without_volunteers_is_not_asked() {
        let mut empty = team(1, GRID, &["便民"], 0);
        empty.volunteers = 0;
        let decision = choose(&question(&[]), &[empty, team(2, "140724104", &["便民"], 5)]);
        assert_eq!(decision.chosen, Some(Uuid::from_u128(2)));
    }

    proptest! {
        /// Asking on always ends, never asks a team twice, and does not depend on the order of rows.
        #[test]
        fn asking_on_ends_and_never_repeats(loads in prop::collection::vec(0i64..50, 1..12), turn in 0usize..12) {
            let places = [GRID, "140724104003", "140724104", "140724"];
            let mut teams: Vec<TeamFacts> = loads
                .iter()
                .enumerate()
                .map(|(n, load)| team(n as u128 + 1, places[n % 4], &["便民"], *load))
                .collect();
            let mut asked = Vec::new();
            while let Some(next) = choose(&Question { asked: asked.clone(), ..question(&[]) }, &teams).chosen {
                let length = teams.len();
                teams.rotate_left(turn % length);
                let again = choose(&Question { asked: asked.clone(), ..question(&[]) }, &teams).chosen;
                prop_assert_eq!(again, Some(next));
                prop_assert!(!asked.contains(&next));
                asked.push(next);
            }
            prop_assert_eq!(asked.len(), teams.len());
        }
    }
}
