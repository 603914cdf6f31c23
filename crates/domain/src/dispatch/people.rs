//! The people of a team: who can be told of an order, and in which order.
//!
//! Never told: who is on leave, who holds as many open orders as he may, who was told of this order before or declined
//! it, and whoever ordered it. Where the team keeps a roster, those on duty come before the others; in the night an
//! urgent order comes last to those who want quiet.
//!
//! The score of the others is the time to an acceptance that their own history promises, in seconds, made longer by each
//! open order, by a message of the last two days (rest), and by what they have taken on already (fairness): the one who
//! says yes soonest would else be asked until he stops reading. For turns (轮派) only the time since the last offer
//! counts.
//!
//! Equal scores are frequent: rest counts in steps of three minutes, and of a new team nothing is known. Among equals the
//! one who was told longest ago is told first, whoever was never told before all others, and then a lot decides that is
//! drawn from the order and the person: the same for the same order, and another for each order.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{AssignMode, History, Question, TeamFacts, is_zero};
use crate::deadline::Urgency;

/// What the policy knows about one member who has the skill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberFacts {
    /// The volunteer.
    pub person: Uuid,
    /// Orders that he has promised and not completed, or that are offered to him alone.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub open_orders: i64,
    /// He may hold no more orders.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub full: bool,
    /// He is on leave at this moment.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub on_leave: bool,
    /// His team keeps a roster, and he is not on it at this moment.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub off_duty: bool,
    /// These are his team's quiet hours.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub quiet: bool,
    /// When he was last told of any order.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub offered_at: Option<DateTime<Utc>>,
    /// How his offers went so far.
    #[serde(skip_serializing_if = "History::is_empty", default)]
    pub history: History,
}

impl MemberFacts {
    /// A member of whom there is nothing to say.
    pub fn of(person: Uuid) -> MemberFacts {
        MemberFacts {
            person,
            open_orders: 0,
            full: false,
            on_leave: false,
            off_duty: false,
            quiet: false,
            offered_at: None,
            history: History::default(),
        }
    }
}

/// Why a member stands where he stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PersonCandidate {
    /// The volunteer.
    pub person: Uuid,
    /// He is told now.
    pub invited: bool,
    /// Seconds; lower is better.
    pub score: i64,
    /// The reasons, in words.
    pub reasons: Vec<String>,
}

/// The next few after those who are told are kept in the decision, so that one sees who was close.
const RUNNERS_UP: usize = 6;
/// What a member is expected to take while nothing is known about him, in seconds.
const PRIOR_SECONDS: i64 = 10 * 3_600;
/// A message is rested from after this long, in seconds.
const REST_SECONDS: i64 = 48 * 3_600;
/// How much longer a message of this very moment makes the expected time, in per mille; it falls to nothing with rest.
const REST_WEIGHT: i64 = 4_000;
/// How much longer each open order makes it, in per mille.
const OPEN_WEIGHT: i64 = 1_000;
/// How much longer each order that he has taken on so far makes it, in per mille.
const FAIRNESS_WEIGHT: i64 = 1_000;
/// A second choice stands behind every first choice.
const SECOND_CHOICE: i64 = 1_000_000_000_000;

/// How many of a team could be told.
pub(super) fn free(question: &Question, team: &TeamFacts) -> usize {
    team.members.iter().filter(|one| is_free(question, one)).count()
}

/// How many of a team were told already.
pub(super) fn told_of(question: &Question, team: &TeamFacts) -> i64 {
    if question.invited.is_empty() {
        return 0;
    }
    team.members.iter().filter(|one| question.invited.contains(&one.person)).count() as i64
}

pub(super) fn may_be_told(question: &Question, one: &MemberFacts) -> bool {
    !one.on_leave && !one.full && one.person != question.requester && !question.invited.contains(&one.person)
}

fn is_free(question: &Question, one: &MemberFacts) -> bool {
    may_be_told(question, one) && !is_spared(question, one)
}

fn is_spared(question: &Question, one: &MemberFacts) -> bool {
    question.spares_after(question.invited.len()) && rested_in(question, one) > 0
}

/// In how many seconds he will have rested from the last order that he was told of; 0 when he has.
pub(super) fn rested_in(question: &Question, one: &MemberFacts) -> i64 {
    let since = |at: DateTime<Utc>| (question.at - at).num_seconds();
    one.offered_at.map_or(0, |at| (question.asking().rest_seconds - since(at)).max(0))
}

/// The state of a team's people in words.
pub(super) fn in_words(question: &Question, team: &TeamFacts) -> Vec<String> {
    let count = |of: &dyn Fn(&MemberFacts) -> bool| team.members.iter().filter(|one| of(one)).count();
    let mut words = vec![format!(
        "在册{}人，会“{}”的{}人，现在可请{}人",
        team.volunteers,
        question.skill,
        team.members.len(),
        free(question, team)
    )];
    let several = [
        (count(&|one| one.on_leave), "人请假"),
        (count(&|one| one.full), "人手上已满"),
        (count(&|one| one.off_duty), "人不当班"),
        (count(&|one| question.invited.contains(&one.person)), "人本轮已通知"),
        (
            count(&|one| may_be_told(question, one) && is_spared(question, one)),
            "人刚接到过别的通知，先不打扰",
        ),
    ];
    words.extend(
        several.iter().filter(|(people, _)| *people > 0).map(|(people, what)| format!("{people}{what}")),
    );
    words
}

/// At most so many of a team are told at once.
fn wave(question: &Question, team: &TeamFacts) -> usize {
    let rules = question.rules();
    let most = if question.invited.is_empty() { rules.first_wave } else { rules.wave };
    match (question.mode, question.urgency) {
        (AssignMode::Named | AssignMode::Rotation, _) => 1,
        (AssignMode::WholeTeam, Urgency::Urgent) => rules.urgent_wave,
        (AssignMode::WholeTeam, _) => (team.members.len() / rules.members_per_told).clamp(1, most),
    }
}

/// Those who are told, then the next few after them.
pub(super) fn ranked(question: &Question, team: &TeamFacts) -> Vec<PersonCandidate> {
    let wave = wave(question, team);
    let mut free: Vec<(i64, &MemberFacts)> = team
        .members
        .iter()
        .filter(|one| is_free(question, one))
        .map(|one| (score(question, one), one))
        .collect();
    free.sort_unstable_by_key(|(score, one)| (*score, among_equals(question, one), one.person));
    let explained = |(place, (score, one)): (usize, (i64, &MemberFacts))| PersonCandidate {
        person: one.person,
        invited: place < wave,
        score,
        reasons: reasons(question, one),
    };
    free.into_iter().take(wave + RUNNERS_UP).enumerate().map(explained).collect()
}

fn second_choice(question: &Question, one: &MemberFacts) -> bool {
    one.off_duty || (one.quiet && question.urgency == Urgency::Urgent)
}

fn score(question: &Question, one: &MemberFacts) -> i64 {
    let tier = if second_choice(question, one) { SECOND_CHOICE } else { 0 };
    if question.mode == AssignMode::Rotation {
        // The longest time ago first; whoever was never told comes before all others.
        let since = one.offered_at.map_or(0, |at| at.timestamp().max(0));
        return tier + since;
    }
    let thousand = 1_000
        + REST_WEIGHT * unrested(question, one) / 1_000
        + OPEN_WEIGHT * one.open_orders.clamp(0, 1_000)
        + FAIRNESS_WEIGHT * one.history.accepts.clamp(0, 1_000);
    let expected = one.history.expected_seconds(PRIOR_SECONDS).min(30 * 86_400);
    tier + expected * thousand / 1_000
}

/// Who comes first of those with the same score: since when nobody has told him of anything, then his lot.
fn among_equals(question: &Question, one: &MemberFacts) -> (Option<DateTime<Utc>>, u64) {
    // Questions from before lots were drawn are answered as they were then: by id alone.
    question.order.map_or((None, 0), |order| (one.offered_at, lot(order, one.person)))
}

/// A number that looks drawn by chance and is the same each time for the same order and person: both ids, stirred by the
/// finisher of SplitMix64.
fn lot(order: Uuid, person: Uuid) -> u64 {
    let halves = [order.as_u64_pair(), person.as_u64_pair()];
    halves.into_iter().flat_map(|(high, low)| [high, low]).fold(0, |state, half| {
        let mut mixed = (state ^ half).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

/// 1,000 right after a message, 0 after [`REST_SECONDS`].
fn unrested(question: &Question, one: &MemberFacts) -> i64 {
    one.offered_at.map_or(0, |at| {
        let since = (question.at - at).num_seconds().clamp(0, REST_SECONDS);
        (REST_SECONDS - since) * 1_000 / REST_SECONDS
    })
}

fn reasons(question: &Question, one: &MemberFacts) -> Vec<String> {
    let expected = one.history.expected_seconds(PRIOR_SECONDS) / 60;
    let mut reasons = vec![match one.history.accepts {
        0 if one.history.is_empty() => "尚无接单记录".to_owned(),
        accepts => format!("接过{accepts}单，预计{expected}分钟接单"),
    }];
    reasons.push(format!("在办{}单", one.open_orders));
    reasons.push(match one.offered_at {
        None => "近期没有通知过".to_owned(),
        Some(at) => format!("上次通知在{}小时前", (question.at - at).num_hours().max(0)),
    });
    if one.off_duty {
        reasons.push("不当班，排在当班的人后面".to_owned());
    }
    if one.quiet && question.urgency == Urgency::Urgent {
        reasons.push("免打扰时段，排在最后".to_owned());
    }
    reasons
}
