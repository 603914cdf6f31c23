//! Facts into awards: what an order, a rating, a featured post or a decided claim scores.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::account::{AccountRef, Purse};
use super::caps::{Caps, Counter, Used, counters};
use super::cause::{Cause, CauseKind, SourceType};
use super::conditions::{Trigger, applies};
use super::facts::{Facts, Inputs, earned};
use super::month::{china_date, month_of};
use super::posting::{Draft, Posting, ScoringFault, movement};
use super::rules::{Rule, RuleBook, RuleKind};
use super::word::{UnknownWord, words};
use crate::area::AreaCode;
use crate::deadline::Urgency;

/// Why an award is on hold. It is shown to the person, and to whoever reviews it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// The order was reopened: its points wait until it ends.
    Reopened,
    /// Orderer and volunteer are one person.
    SelfOrder,
    /// The same few people rate each other.
    RatingRing,
    /// Completed sooner than anybody could have served.
    TooQuick,
    /// Two services of one person at one time.
    Overlap,
    /// A photo that was used before.
    PhotoReused,
    /// One deed claimed in several pieces.
    ClaimSplit,
    /// Many claims at once about days that are long past.
    BackDated,
}

words!(HoldReason {
    Reopened => "reopened",
    SelfOrder => "self_order",
    RatingRing => "rating_ring",
    TooQuick => "too_quick",
    Overlap => "overlap",
    PhotoReused => "photo_reused",
    ClaimSplit => "claim_split",
    BackDated => "back_dated",
});

impl HoldReason {
    /// Whether a person has to look at it. Points of a reopened order need nobody: they wait for its end.
    pub fn is_for_review(self) -> bool {
        self != Self::Reopened
    }
}

/// What the completion of an order scores by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletedFacts {
    /// The order.
    pub order_id: Uuid,
    /// Who completed it.
    pub volunteer: Uuid,
    /// The order's area.
    pub area: AreaCode,
    /// When it was completed.
    pub at: DateTime<Utc>,
    /// Until when it was to be completed; none where its urgency sets no such limit, and then it is never late.
    pub complete_due: Option<DateTime<Utc>>,
    /// Minutes of service, as reported.
    pub minutes: i64,
    /// How pressing it was.
    pub urgency: Urgency,
    /// How often the order had been reopened before.
    pub reopened: u32,
    /// Rule and person of this order's awards that stand or are on hold; empty in the first round.
    pub scored: Vec<(String, Uuid)>,
}

/// What the rating of an order scores by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RatedFacts {
    /// The order.
    pub order_id: Uuid,
    /// Who completed it.
    pub volunteer: Uuid,
    /// The order's area.
    pub area: AreaCode,
    /// When it was rated.
    pub at: DateTime<Utc>,
    /// 1 to 5.
    pub stars: u8,
    /// The resident said that the matter is solved.
    pub solved: bool,
    /// It was completed in time.
    pub on_time: bool,
    /// Minutes of service, as reported.
    pub minutes: i64,
    /// How pressing it was.
    pub urgency: Urgency,
    /// How often the order had been reopened before.
    pub reopened: u32,
    /// Rule and person of this order's awards that stand or are on hold; empty in the first round.
    pub scored: Vec<(String, Uuid)>,
}

/// What a featured post scores by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeaturedFacts {
    /// The post.
    pub post_id: Uuid,
    /// The volunteer whose service it shows.
    pub volunteer: Uuid,
    /// The area of its order.
    pub area: AreaCode,
    /// When it was featured.
    pub at: DateTime<Utc>,
    /// Who featured it.
    pub decided_by: Uuid,
}

/// A claim (申报) that was decided in favour: a base task, a bonus or a deduction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimFacts {
    /// The claim.
    pub claim_id: Uuid,
    /// The rule it claims.
    pub rule_code: String,
    /// Whose points.
    pub person: Uuid,
    /// The area as of the event.
    pub area: AreaCode,
    /// When what is claimed took place: it decides the version of the rule and the month of the cap.
    pub at: DateTime<Utc>,
    /// The choice of the decider where the rule is a range.
    pub points: Option<i64>,
    /// Who made the claim.
    pub claimed_by: Uuid,
    /// Who decided it: neither the claimant nor the person.
    pub decided_by: Uuid,
}

/// Points that a rule gives or takes, before the monthly cap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Award {
    /// The rule.
    pub rule_code: String,
    /// Its version in force when it happened.
    pub rule_version: i32,
    /// Whose points.
    pub person: Uuid,
    /// The area as of the event.
    pub area: AreaCode,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// Points before the cap; negative for a deduction.
    pub points: i64,
    /// What of this rule its person may have.
    pub caps: Caps,
    /// Why; unique for ever.
    pub cause: Cause,
    /// What the points were computed from.
    pub inputs: Inputs,
    /// Who decided; none where the rule alone did.
    pub decided_by: Option<Uuid>,
    /// The person must be told, because he may appeal within seven days: true for every deduction.
    pub notice: bool,
}

impl Award {
    /// The points that the caps leave, when so much was given to this person before. A deduction has no cap.
    pub fn granted(&self, used: Used) -> i64 {
        self.caps.within(self.points, used)
    }

    /// The counts that its caps look at: none for a deduction, and none where there is no cap.
    pub fn counters(&self) -> Vec<Counter> {
        if self.points <= 0 {
            return Vec::new();
        }
        let order = (self.cause.source_type == SourceType::Order).then_some(self.cause.source_id);
        counters(&self.caps, &self.rule_code, self.inputs.month, china_date(self.at), order)
    }

    /// Whether the points go on hold until a person has looked at them, and why.
    pub fn review(&self) -> Option<HoldReason> {
        self.inputs.held.filter(|reason| reason.is_for_review())
    }

    /// The same award, put on hold for review; what waits for a person waits even where an order's end would have
    /// released it. A deduction is not put on hold: the person appeals against it.
    #[must_use]
    pub fn held_for(mut self, reason: HoldReason) -> Self {
        if self.points > 0 {
            self.inputs.held = Some(reason);
        }
        self
    }

    /// The posting of this award.
    ///
    /// An award moves both purses: what a person earns counts in the assessment and can be spent. A deduction takes
    /// assessment points only: spendable points may be gone already, must not fall below zero, and what somebody
    /// earned and saved is not taken from him for a later fault. An award on hold goes to the hold account.
    ///
    /// `used` is what the store counted, inside the transaction, of this rule and person; it is kept in the inputs. An
    /// award whose cap is used up is posted with zero points, so that the passbook shows it.
    ///
    /// # Errors
    /// [`ScoringFault::Overflow`], for points at the edge of `i64`.
    pub fn posting(&self, used: Used) -> Result<Posting, ScoringFault> {
        let granted = self.granted(used);
        let mut legs = Vec::with_capacity(4);
        for purse in Purse::ALL {
            if granted < 0 && purse == Purse::Spendable {
                continue;
            }
            let to = match self.inputs.held {
                Some(_) => AccountRef::hold(purse, self.person),
                None => AccountRef::person(purse, self.person),
            };
            legs.extend(movement(AccountRef::issuance(purse), to, granted)?);
        }
        Posting::new(Draft {
            cause: self.cause.clone(),
            rule_code: self.rule_code.clone(),
            rule_version: self.rule_version,
            inputs: self.inputs.after(used, &self.caps),
            area: self.area,
            decided_by: self.decided_by,
            at: self.at,
            legs,
            reverses: None,
        })
    }
}

/// What happened to whom, before a rule is looked up.
#[derive(Clone)]
struct Event {
    source_type: SourceType,
    source_id: Uuid,
    round: u32,
    person: Uuid,
    area: AreaCode,
    at: DateTime<Utc>,
    facts: Facts,
    decided_by: Option<Uuid>,
}

impl Event {
    fn award(self, rule: &Rule) -> Award {
        let held = (self.round > 0 && rule.kind != RuleKind::Deduction).then_some(HoldReason::Reopened);
        let inputs = Inputs {
            month: month_of(self.at),
            used_in_month: 0,
            used_in_day: None,
            used_of_order: None,
            held,
            facts: self.facts,
        };
        Award {
            rule_code: rule.code.clone(),
            rule_version: rule.version,
            person: self.person,
            area: self.area,
            at: self.at,
            points: earned(&inputs.facts, rule),
            caps: rule.caps(),
            cause: Cause {
                kind: CauseKind::Rule { code: rule.code.clone(), round: self.round },
                source_type: self.source_type,
                source_id: self.source_id,
            },
            inputs,
            decided_by: self.decided_by,
            notice: rule.kind == RuleKind::Deduction,
        }
    }
}

/// The awards of the rules that score on this by themselves and whose conditions hold. None where this person has a
/// rule's award from this order already: one order scores a rule for a person once, however often it is reopened.
fn automatic(rulebook: &RuleBook, by: Trigger, scored: &[(String, Uuid)], event: &Event) -> Vec<Award> {
    let known =
        |rule: &Rule| scored.iter().any(|(code, person)| *code == rule.code && *person == event.person);
    rulebook
        .triggered(by, china_date(event.at), event.area)
        .filter(|rule| applies(rule.trigger, &rule.conditions, &event.facts) && !known(rule))
        .map(|rule| event.clone().award(rule))
        .collect()
}

/// A completed order scores what the rules say on it: on time (at the latest at `complete_due`)
/// [`ON_TIME`](super::ON_TIME), else [`LATE`](super::LATE), and whatever else a county has put in its sheets.
///
/// In a reopened order the award goes on hold until the order ends (see [`super::held_end`]). A broken promise (D01)
/// never scores by itself; it is a claim that two persons decide.
pub fn on_completed(rulebook: &RuleBook, facts: &CompletedFacts) -> Vec<Award> {
    let event = Event {
        source_type: SourceType::Order,
        source_id: facts.order_id,
        round: facts.reopened,
        person: facts.volunteer,
        area: facts.area,
        at: facts.at,
        facts: Facts::Completed {
            at: facts.at,
            due: facts.complete_due,
            minutes: Some(facts.minutes),
            urgency: Some(facts.urgency),
        },
        decided_by: None,
    };
    automatic(rulebook, Trigger::Completed, &facts.scored, &event)
}

/// A rated order: five stars and solved score [`FIVE_STARS`](super::FIVE_STARS); what is not solved scores nothing.
pub fn on_rated(rulebook: &RuleBook, facts: &RatedFacts) -> Vec<Award> {
    let event = Event {
        source_type: SourceType::Order,
        source_id: facts.order_id,
        round: facts.reopened,
        person: facts.volunteer,
        area: facts.area,
        at: facts.at,
        facts: Facts::Rated {
            stars: facts.stars,
            solved: facts.solved,
            on_time: Some(facts.on_time),
            minutes: Some(facts.minutes),
            urgency: Some(facts.urgency),
        },
        decided_by: None,
    };
    automatic(rulebook, Trigger::Rated, &facts.scored, &event)
}

/// A post chosen for the featured ones scores [`FEATURED_POST`](super::FEATURED_POST) once, however often it is chosen.
pub fn on_featured(rulebook: &RuleBook, facts: &FeaturedFacts) -> Vec<Award> {
    let event = Event {
        source_type: SourceType::Showcase,
        source_id: facts.post_id,
        round: 0,
        person: facts.volunteer,
        area: facts.area,
        at: facts.at,
        facts: Facts::Featured,
        decided_by: Some(facts.decided_by),
    };
    automatic(rulebook, Trigger::Featured, &[], &event)
}

/// Somebody took part in an activity to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttendedFacts {
    /// His part in it: what scores once for ever.
    pub attendance: Uuid,
    /// Who.
    pub person: Uuid,
    /// Where it took place.
    pub area: AreaCode,
    /// When he had given his feedback.
    pub at: DateTime<Utc>,
    /// Minutes of service, without travel.
    pub minutes: i64,
    /// Minutes on the way.
    pub travel_minutes: i64,
}

/// What taking part in an activity scores.
pub fn on_attended(rulebook: &RuleBook, facts: &AttendedFacts) -> Vec<Award> {
    let event = Event {
        source_type: SourceType::Activity,
        source_id: facts.attendance,
        round: 0,
        person: facts.person,
        area: facts.area,
        at: facts.at,
        facts: Facts::Attended { minutes: facts.minutes, travel_minutes: facts.travel_minutes },
        decided_by: None,
    };
    automatic(rulebook, Trigger::Activity, &[], &event)
}

/// A patrol was ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatrolledFacts {
    /// The patrol.
    pub patrol: Uuid,
    /// Who walked it.
    pub person: Uuid,
    /// Where.
    pub area: AreaCode,
    /// When it was ended.
    pub at: DateTime<Utc>,
    /// Minutes from its beginning to its end.
    pub minutes: i64,
    /// Places that were visited.
    pub visits: i64,
    /// Hazards that were found and reported.
    pub hazards: i64,
}

/// What a patrol scores; one that visited nothing scores nothing.
pub fn on_patrolled(rulebook: &RuleBook, facts: &PatrolledFacts) -> Vec<Award> {
    if facts.visits == 0 {
        return Vec::new();
    }
    let event = Event {
        source_type: SourceType::Patrol,
        source_id: facts.patrol,
        round: 0,
        person: facts.person,
        area: facts.area,
        at: facts.at,
        facts: Facts::Patrolled { minutes: facts.minutes, visits: facts.visits, hazards: facts.hazards },
        decided_by: None,
    };
    automatic(rulebook, Trigger::Patrol, &[], &event)
}

/// The award of a claim that was decided in favour.
///
/// # Errors
/// [`ScoringFault::OwnDecision`] when the decider is the claimant or the person, [`ScoringFault::UnknownRule`] when
/// the rule was not in force, [`ScoringFault::PointsNotAllowed`] when the choice is outside the rule or is missing
/// for a range.
pub fn on_claim_decided(rulebook: &RuleBook, facts: &ClaimFacts) -> Result<Award, ScoringFault> {
    if facts.decided_by == facts.claimed_by || facts.decided_by == facts.person {
        return Err(ScoringFault::OwnDecision);
    }
    let rule = rulebook
        .in_force(&facts.rule_code, china_date(facts.at), facts.area)
        .ok_or_else(|| ScoringFault::UnknownRule(facts.rule_code.clone()))?;
    // A rule without a range needs no choice; a range without a choice is an undecided claim.
    let choice = facts.points.unwrap_or(rule.points.max());
    let undecided = facts.points.is_none() && rule.points.min() != rule.points.max();
    if undecided || !rule.points.allows(choice) {
        return Err(ScoringFault::PointsNotAllowed {
            code: rule.code.clone(),
            points: facts.points.unwrap_or(0),
        });
    }
    let event = Event {
        source_type: SourceType::Claim,
        source_id: facts.claim_id,
        round: 0,
        person: facts.person,
        area: facts.area,
        at: facts.at,
        facts: Facts::Claimed { points: facts.points },
        decided_by: Some(facts.decided_by),
    };
    Ok(event.award(rule))
}

#[cfg(test)]
pub(super) mod tests;
