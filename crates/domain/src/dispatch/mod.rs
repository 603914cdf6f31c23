//! Who gets an order, and why: the policy.
//!
//! Pure: from a question and facts to one choice with a reason for every candidate. The same input always gives the same
//! answer, so what is stored can be replayed. `docs/simulation.md` tells how it does against simpler policies.
//!
//! Two steps. First a **team**: it must cover the place and have the skill; enforcement teams are for reports only. The
//! nearest coverage comes first (the grid's own team, then those of village, township, county); among equals the one
//! that has answered soonest so far, then the one with the fewest open orders. When enough of a team were asked in vain
//! it stands behind the others, so that asking goes on outwards and comes back. Then **people** of it ([`people`]).
//!
//! How many are told at once follows from the mode: one where a person is named (指派) or people take turns (轮派), a few
//! where the whole team may take it (抢单). Few, because messages that come too often are not read any more. For the same
//! reason an order that many were told of in vain spares those who were told of another one lately: it waits until
//! somebody has rested, and when nobody has, a person looks at it. The numbers are in `rules`, by edition.

pub mod people;
pub mod roster;
mod rules;
mod written;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::area::{AreaCode, Level};
use crate::deadline::{Urgency, day::split_seconds};
use crate::order::Kind;

pub use people::{MemberFacts, PersonCandidate};
pub use roster::{Roster, Shift};
pub use rules::Edition;
use rules::{Asking, Rules};

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

/// How an order of a category is handed to a team.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssignMode {
    /// 抢单: everybody of the team may take it.
    #[default]
    WholeTeam,
    /// 指派: one person is named, and only he may take it.
    Named,
    /// 轮派: the members take turns; only the one whose turn it is may take it.
    Rotation,
}

impl AssignMode {
    /// The word for it in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WholeTeam => "whole_team",
            Self::Named => "named",
            Self::Rotation => "rotation",
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::WholeTeam => "抢单：全队可接",
            Self::Named => "指派：只派给一人",
            Self::Rotation => "轮派：轮到谁派给谁",
        }
    }
}

/// What somebody's or a team's offers came to so far: how often one was accepted, and how long they waited in all,
/// in seconds, accepted or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// Offers accepted.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub accepts: i64,
    /// Seconds for which offers waited for an answer.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub waited_seconds: i64,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl History {
    /// No history at all.
    pub fn is_empty(&self) -> bool {
        *self == History::default()
    }

    /// The expected time to an acceptance, in seconds: what was seen, drawn towards `prior` as if one more offer had been
    /// accepted after that long. Waiting in vain counts, so somebody who never answers looks slower each time.
    pub fn expected_seconds(&self, prior: i64) -> i64 {
        let (accepts, waited) = (self.accepts.max(0), self.waited_seconds.max(0));
        prior.saturating_add(waited) / accepts.saturating_add(1)
    }
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
    /// How its offers went so far.
    #[serde(skip_serializing_if = "History::is_empty", default)]
    pub history: History,
    /// Those of its volunteers who have the skill, for a team that can be asked.
    #[serde(skip_serializing_if = "Vec::is_empty", default, with = "written")]
    pub members: Vec<MemberFacts>,
}

/// What is asked of the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// The edition of the rules that answers it.
    #[serde(skip_serializing_if = "Edition::is_first", default)]
    pub edition: Edition,
    /// Where help is needed.
    pub area: AreaCode,
    /// The skill that is needed.
    pub skill: String,
    /// Teams that said no as a whole, or whose offer was overruled; they are not asked again.
    pub asked: Vec<Uuid>,
    /// People who were told already, or who declined.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub invited: Vec<Uuid>,
    /// Service or report.
    pub kind: Kind,
    /// How pressing it is.
    pub urgency: Urgency,
    /// How it is handed to a team.
    pub mode: AssignMode,
    /// The order: among people who are equal in everything else it decides who is told. Absent in questions that were
    /// stored before it did; they are answered as they were then.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub order: Option<Uuid>,
    /// Nobody serves his own order.
    pub requester: Uuid,
    /// The moment.
    pub at: DateTime<Utc>,
    /// How long it may wait to be accepted, in seconds.
    pub accept_within_seconds: i64,
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// The team that gets the offer; absent when none is left.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub chosen: Option<Uuid>,
    /// The one who is named, where only he may take it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub volunteer: Option<Uuid>,
    /// Who is told of it now, best first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub invited: Vec<Uuid>,
    /// After how many seconds without an answer others are asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub patience_seconds: Option<i64>,
    /// Every team that covers the place, best first.
    pub candidates: Vec<Candidate>,
    /// People of the chosen team: those who are told, and the next few after them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub people: Vec<PersonCandidate>,
    /// What is missing, in words.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub shortfalls: Vec<String>,
}

/// Asking goes on elsewhere after this many were told of an order in one team.
const TOLD_BEFORE_MOVING_ON: i64 = 18;
/// Fewer people than this who could be asked are few: they are asked in quicker turns, each for less long.
const SCARCE: usize = 40;
/// What a team is expected to take while nothing is known about it, in seconds.
const TEAM_PRIOR_SECONDS: i64 = 3_600;
/// Weight of a round of asking, of a step of distance, and the most that the expected time can weigh.
const ROUND_WEIGHT: i64 = 100_000_000_000;
const DISTANCE_WEIGHT: i64 = 1_000_000_000;
const EXPECTED_AT_MOST: i64 = 900_000;

/// In the evening people still read what they are told, from the first hour on and before the second, China time.
const EVENING: std::ops::Range<i64> = 19..21;

impl Question {
    fn rules(&self) -> &'static Rules {
        self.edition.rules()
    }

    fn asking(&self) -> &'static Asking {
        self.rules().asking(self.mode)
    }

    /// Whether only those who have rested are to be told once `told` people were.
    fn spares_after(&self, told: usize) -> bool {
        self.urgency != Urgency::Urgent && told >= self.asking().anybody
    }
}

/// Chooses a team, and the people of it who are told.
pub fn choose(question: &Question, teams: &[TeamFacts]) -> Decision {
    let mut weighed: Vec<(Candidate, &TeamFacts)> =
        teams.iter().map(|team| (weigh(question, team), team)).collect();
    weighed.sort_by_key(|(candidate, _)| (candidate.score.is_none(), candidate.score, candidate.team));
    let told_enough = question.invited.len() >= question.asking().at_most;
    let best =
        weighed.first().filter(|(best, _)| best.score.is_some() && !told_enough).map(|(_, team)| *team);
    let mut decision = Decision {
        chosen: best.map(|team| team.team),
        candidates: weighed.into_iter().map(|(candidate, _)| candidate).collect(),
        shortfalls: shortfalls(question, teams, best),
        ..Decision::default()
    };
    if let Some(team) = best {
        let named = question.mode != AssignMode::WholeTeam;
        decision.people = people::ranked(question, team);
        decision.invited = decision.people.iter().filter(|one| one.invited).map(|one| one.person).collect();
        decision.volunteer = decision.invited.first().copied().filter(|_| named);
        decision.patience_seconds = Some(patience_seconds(question, teams, &decision.invited));
    }
    decision
}

/// How long the people who were told have before others are: a part of the limit, so that there are several tries in it.
/// When the others have to rest first, it waits for the first who has; when nobody is left to be asked, those who were
/// told have all of it.
fn patience_seconds(question: &Question, teams: &[TeamFacts], told_now: &[Uuid]) -> i64 {
    let limit = question.accept_within_seconds;
    let told = question.invited.len() + told_now.len();
    let able = teams.iter().filter(|team| refusal(question, team).is_none());
    let members = able.flat_map(|team| &team.members);
    let left: Vec<&MemberFacts> =
        members.filter(|one| people::may_be_told(question, one) && !told_now.contains(&one.person)).collect();
    if left.is_empty() || told >= question.asking().at_most {
        return limit;
    }
    let patience = usual_patience(question, left.len() + told_now.len() < SCARCE);
    if !question.spares_after(told) {
        return patience;
    }
    let rested = left.iter().map(|one| people::rested_in(question, one)).min().unwrap_or_default();
    patience.max(rested.min(limit))
}

fn usual_patience(question: &Question, scarce: bool) -> i64 {
    let patience = match (question.mode, question.urgency) {
        (AssignMode::WholeTeam, Urgency::Urgent) => return 180,
        (_, Urgency::Urgent) => return 300,
        (AssignMode::WholeTeam, Urgency::Priority) => 600,
        (AssignMode::WholeTeam, _) if scarce => 1_200,
        (_, Urgency::Priority) => (question.accept_within_seconds / question.rules().tries).min(1_200),
        (_, _) => 1_800,
    };
    let (_, second_of_day) = split_seconds(question.at);
    if EVENING.contains(&(second_of_day / 3_600)) {
        patience * question.rules().evening_thirds / 3
    } else {
        patience
    }
}

fn weigh(question: &Question, team: &TeamFacts) -> Candidate {
    let steps = distance(question.area, team.covers);
    let mut reasons = vec![match steps {
        0 => "服务本网格".to_owned(),
        _ => format!("服务范围在{}一级", level_name(team.covers.level())),
    }];
    let refused = refusal(question, team);
    let free = people::free(question, team);
    if refused.is_none() {
        reasons.push(format!("具备技能“{}”", question.skill));
        reasons.push(question.mode.in_words().to_owned());
        reasons.extend(people::in_words(question, team));
    }
    let expected = team.history.expected_seconds(TEAM_PRIOR_SECONDS).min(EXPECTED_AT_MOST);
    reasons.push(format!("在办{}单", team.open_orders));
    reasons.push(if team.history.is_empty() {
        "尚无接单记录".to_owned()
    } else {
        format!("按以往记录，预计{}分钟有人接单", expected / 60)
    });
    let score = (refused.is_none() && free > 0).then(|| {
        let rounds = people::told_of(question, team) / TOLD_BEFORE_MOVING_ON;
        rounds * ROUND_WEIGHT + steps * DISTANCE_WEIGHT + expected * 1_000 + team.open_orders.clamp(0, 999)
    });
    reasons.extend(refused);
    Candidate { team: team.team, name: team.name.clone(), score, reasons }
}

/// Why a team cannot be asked at all, in words.
fn refusal(question: &Question, team: &TeamFacts) -> Option<String> {
    if !team.skills.contains(&question.skill) {
        return Some(format!("缺少技能“{}”", question.skill));
    }
    if team.kind == TeamKind::Enforcement && question.kind != Kind::Report {
        return Some("执法队只承接问题上报".to_owned());
    }
    if question.asked.contains(&team.team) {
        return Some("本轮已经问过".to_owned());
    }
    (team.volunteers == 0).then(|| "队里没有在册志愿者".to_owned())
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

/// What is missing, in words: near the place even when somebody farther away was found, everywhere when nobody was.
fn shortfalls(question: &Question, teams: &[TeamFacts], best: Option<&TeamFacts>) -> Vec<String> {
    let skill = &question.skill;
    let able = |team: &&TeamFacts| team.skills.contains(skill);
    let near = |team: &TeamFacts| team.covers.level() >= Level::Village;
    let mut missing = Vec::new();
    match teams.iter().filter(able).filter(|team| near(team)).collect::<Vec<_>>() {
        of_village if of_village.is_empty() => missing.push(format!("本村没有会“{skill}”的队伍")),
        of_village if of_village.iter().all(|team| team.members.is_empty()) => {
            missing.push(format!("本村队伍里没有会“{skill}”的志愿者"));
        }
        _ => {}
    }
    if best.is_some() {
        return missing;
    }
    let mut everywhere: Vec<&TeamFacts> = teams.iter().filter(able).collect();
    // The nearest first, and the same whatever the order of rows.
    everywhere.sort_by_key(|team| (std::cmp::Reverse(team.covers.level()), team.team));
    let asked = everywhere.iter().filter(|team| question.asked.contains(&team.team)).count();
    if everywhere.is_empty() {
        missing.push(format!("从网格到全县都没有具备技能“{skill}”的队伍"));
    } else if !question.invited.is_empty() || asked == everywhere.len() {
        missing.push(format!(
            "具备技能“{skill}”的{}支队伍已问过{asked}支，通知过{}人，无人接单",
            everywhere.len(),
            question.invited.len()
        ));
    } else {
        missing.push(format!("具备技能“{skill}”的队伍里现在没有可请的志愿者"));
        missing.extend(everywhere.iter().map(|team| {
            let why = refusal(question, team).into_iter().chain(people::in_words(question, team));
            format!("{}：{}", team.name, why.collect::<Vec<_>>().join("，"))
        }));
    }
    missing
}

#[cfg(test)]
mod tests;
