use super::super::account::AccountKind;
use super::super::facts::recompute;
use super::super::posting::Leg;
use super::super::rules::{FEATURED_POST, FIVE_STARS, LATE, ON_TIME, Points};
use super::*;

pub(crate) fn utc(text: &str) -> DateTime<Utc> {
    text.parse().expect("an instant")
}

pub(crate) fn completed(order: u128, volunteer: u128) -> CompletedFacts {
    CompletedFacts {
        order_id: Uuid::from_u128(order),
        volunteer: Uuid::from_u128(volunteer),
        area: "140724104".parse().expect("a township"),
        at: utc("2026-03-05T01:00:00Z"),
        complete_due: Some(utc("2026-03-05T01:00:00Z")),
        minutes: 40,
        urgency: Urgency::Normal,
        reopened: 0,
        scored: vec![],
    }
}

pub(crate) fn rated(order: u128, volunteer: u128) -> RatedFacts {
    RatedFacts {
        order_id: Uuid::from_u128(order),
        volunteer: Uuid::from_u128(volunteer),
        area: "140724104".parse().expect("a township"),
        at: utc("2026-03-06T01:00:00Z"),
        stars: 5,
        solved: true,
        on_time: true,
        minutes: 40,
        urgency: Urgency::Normal,
        reopened: 0,
        scored: vec![],
    }
}

fn claim(rule_code: &str, points: Option<i64>) -> ClaimFacts {
    ClaimFacts {
        claim_id: Uuid::from_u128(50),
        rule_code: rule_code.into(),
        person: Uuid::from_u128(7),
        area: "140724104".parse().expect("a township"),
        at: utc("2026-03-05T01:00:00Z"),
        points,
        claimed_by: Uuid::from_u128(8),
        decided_by: Uuid::from_u128(9),
    }
}

fn only(awards: Vec<Award>) -> Award {
    assert_eq!(awards.len(), 1, "one award");
    awards.into_iter().next().expect("one award")
}

#[test]
fn on_time_means_at_the_due_instant_at_the_latest() {
    let book = RuleBook::sample();
    let award = only(on_completed(&book, &completed(1, 7)));
    assert_eq!((award.rule_code.as_str(), award.points, award.caps.month), (ON_TIME, 3, Some(30)));
    assert_eq!((award.notice, award.inputs.held), (false, None));
    assert_eq!(award.cause.kind.to_string(), "609");
    let late = CompletedFacts { at: utc("2026-03-05T01:00:00.001Z"), ..completed(1, 7) };
    let deduction = only(on_completed(&book, &late));
    assert_eq!((deduction.rule_code.as_str(), deduction.points), (LATE, -2));
    assert!(deduction.notice, "a deduction is always told");
    let unlimited = CompletedFacts { complete_due: None, ..late };
    assert_eq!(only(on_completed(&book, &unlimited)).rule_code, ON_TIME);
}

#[test]
fn only_five_stars_and_solved_score_a_rating() {
    let book = RuleBook::sample();
    let award = only(on_rated(&book, &rated(1, 7)));
    assert_eq!((award.rule_code.as_str(), award.points, award.caps.month), (FIVE_STARS, 1, Some(20)));
    assert_eq!(on_rated(&book, &RatedFacts { stars: 4, ..rated(1, 7) }), vec![]);
    assert_eq!(on_rated(&book, &RatedFacts { solved: false, ..rated(1, 7) }), vec![]);
}

#[test]
fn a_featured_post_scores_its_volunteer() {
    let facts = FeaturedFacts {
        post_id: Uuid::from_u128(3),
        volunteer: Uuid::from_u128(7),
        area: "140724104".parse().expect("a township"),
        at: utc("2026-03-05T01:00:00Z"),
        decided_by: Uuid::from_u128(9),
    };
    let award = only(on_featured(&RuleBook::sample(), &facts));
    assert_eq!((award.rule_code.as_str(), award.points, award.caps.month), (FEATURED_POST, 2, Some(10)));
    assert_eq!((award.cause.source_type, award.decided_by), (SourceType::Showcase, Some(facts.decided_by)));
}

#[test]
fn an_award_moves_both_purses_and_a_deduction_the_assessment_alone() {
    let book = RuleBook::sample();
    let person = Uuid::from_u128(7);
    let leg = |account, points| Leg { account, points };
    let award = only(on_completed(&book, &completed(1, 7))).posting(Used::default()).expect("a posting");
    let (a, s) = (Purse::Assessment, Purse::Spendable);
    let expected = [
        leg(AccountRef::issuance(a), -3),
        leg(AccountRef::person(a, person), 3),
        leg(AccountRef::issuance(s), -3),
        leg(AccountRef::person(s, person), 3),
    ];
    assert_eq!(award.legs, expected);
    let late = CompletedFacts { at: utc("2026-03-07T01:00:00Z"), ..completed(1, 7) };
    let deduction = only(on_completed(&book, &late)).posting(Used::default()).expect("a posting");
    assert_eq!(deduction.legs, [leg(AccountRef::issuance(a), 2), leg(AccountRef::person(a, person), -2)]);
    assert_eq!(deduction.points(), -2);
}

#[test]
fn the_cap_leaves_all_a_part_or_nothing_and_never_touches_a_deduction() {
    let award = only(on_completed(&RuleBook::sample(), &completed(1, 7)));
    let granted = [0, 27, 28, 29, 30, 31, i64::MIN, i64::MAX].map(|used| award.granted(Used::in_month(used)));
    assert_eq!(granted, [3, 3, 2, 1, 0, 0, 3, 0]);
    let nothing = award.posting(Used::in_month(30)).expect("a posting of nothing");
    assert_eq!((nothing.points(), nothing.legs.len(), nothing.inputs.used_in_month), (0, 4, 30));
    let late = CompletedFacts { at: utc("2026-03-07T01:00:00Z"), ..completed(1, 7) };
    assert_eq!(only(on_completed(&RuleBook::sample(), &late)).granted(Used::in_month(i64::MAX)), -2);
}

#[test]
fn a_retried_completion_has_the_same_cause_and_a_later_round_another() {
    let book = RuleBook::sample();
    let first = only(on_completed(&book, &completed(1, 7)));
    assert_eq!(only(on_completed(&book, &completed(1, 7))).cause, first.cause);
    let again =
        CompletedFacts { reopened: 1, scored: vec![(ON_TIME.into(), Uuid::from_u128(7))], ..completed(1, 8) };
    let second = only(on_completed(&book, &again));
    assert_eq!(second.cause.kind.to_string(), "609.1");
    assert_eq!(second.inputs.held, Some(HoldReason::Reopened));
    let held = second.posting(Used::default()).expect("a posting");
    assert!(
        held.legs.iter().all(|leg| leg.account.kind != AccountKind::Person),
        "it waits until the order ends"
    );
    assert_eq!(held.points(), 3);
}

#[test]
fn one_order_scores_a_rule_for_a_person_once() {
    let book = RuleBook::sample();
    let person = Uuid::from_u128(7);
    let again = CompletedFacts { reopened: 1, scored: vec![(ON_TIME.into(), person)], ..completed(1, 7) };
    assert_eq!(on_completed(&book, &again), vec![]);
    let late = CompletedFacts { at: utc("2026-03-07T01:00:00Z"), ..again };
    assert_eq!(only(on_completed(&book, &late)).rule_code, LATE, "another rule is another matter");
    let rated_again = RatedFacts { reopened: 1, scored: vec![(FIVE_STARS.into(), person)], ..rated(1, 7) };
    assert_eq!(on_rated(&book, &rated_again), vec![]);
}

#[test]
fn a_county_without_the_rule_scores_nothing() {
    assert_eq!(on_completed(&RuleBook::default(), &completed(1, 7)), vec![]);
}

#[test]
fn an_event_scores_by_the_version_of_its_day_in_china() {
    let mut rules: Vec<Rule> = RuleBook::sample().iter().cloned().collect();
    let first = rules.iter().find(|rule| rule.code == ON_TIME).expect("the rule").clone();
    let effective_from = Some("2026-03-06".parse().expect("a date"));
    rules.push(Rule { version: 2, points: Points::Fixed(4), effective_from, ..first });
    let book = RuleBook::new(rules).expect("a book");
    let version = |at: &str| {
        let award =
            only(on_completed(&book, &CompletedFacts { at: utc(at), complete_due: None, ..completed(1, 7) }));
        (award.rule_version, award.points)
    };
    assert_eq!(version("2026-03-05T15:59:59Z"), (1, 3));
    assert_eq!(version("2026-03-05T16:00:00Z"), (2, 4));
}

#[test]
fn a_claim_is_decided_by_somebody_else_within_the_rule() {
    let book = RuleBook::sample();
    let award = on_claim_decided(&book, &claim("B06", Some(35))).expect("an award");
    assert_eq!((award.points, award.decided_by), (35, Some(Uuid::from_u128(9))));
    assert_eq!(award.cause.source_type, SourceType::Claim);
    let deduction = on_claim_decided(&book, &claim("D01", None)).expect("an award");
    assert_eq!((deduction.points, deduction.notice), (-2, true));
    let refused = |points| on_claim_decided(&book, &claim("B06", points)).expect_err("outside the range");
    assert_eq!(refused(Some(51)), ScoringFault::PointsNotAllowed { code: "B06".into(), points: 51 });
    assert_eq!(refused(None), ScoringFault::PointsNotAllowed { code: "B06".into(), points: 0 });
    let unknown = on_claim_decided(&book, &claim("B99", None));
    assert_eq!(unknown, Err(ScoringFault::UnknownRule("B99".into())));
    let own = ClaimFacts { decided_by: Uuid::from_u128(7), ..claim("B06", Some(35)) };
    assert_eq!(on_claim_decided(&book, &own), Err(ScoringFault::OwnDecision));
    let alone = ClaimFacts { decided_by: Uuid::from_u128(8), ..claim("B06", Some(35)) };
    assert_eq!(on_claim_decided(&book, &alone), Err(ScoringFault::OwnDecision));
}

#[test]
fn every_reason_but_a_reopened_order_waits_for_a_person() {
    use HoldReason::{
        BackDated, ClaimSplit, Overlap, PhotoReused, RatingRing, Reopened, SelfOrder, TooQuick,
    };
    let plain = only(on_completed(&RuleBook::sample(), &completed(1, 7)));
    assert_eq!(plain.review(), None);
    for (reason, waits) in [
        (Reopened, false),
        (SelfOrder, true),
        (RatingRing, true),
        (TooQuick, true),
        (Overlap, true),
        (PhotoReused, true),
        (ClaimSplit, true),
        (BackDated, true),
    ] {
        assert_eq!(reason.is_for_review(), waits, "{reason}");
        assert_eq!(plain.clone().held_for(reason).review(), waits.then_some(reason), "{reason}");
        assert_eq!(reason.as_str().parse(), Ok(reason));
    }
    let nothing = Award { points: 0, ..plain };
    assert_eq!(nothing.held_for(TooQuick).inputs.held, None, "nothing waits for nobody");
}

#[test]
fn only_what_gives_points_counts_against_caps_and_only_an_order_against_its_own() {
    let caps = Caps { month: Some(30), day: Some(9), order: Some(5) };
    let of_order = Award { caps, ..only(on_completed(&RuleBook::sample(), &completed(1, 7))) };
    let spans = |award: &Award| award.counters().len();
    assert_eq!(spans(&of_order), 3);
    let keys: Vec<_> = of_order.counters().into_iter().map(|one| (one.code, one.window)).collect();
    let id = Uuid::from_u128(1).to_string();
    assert!(keys.iter().any(|(code, window)| format!("{code} {window}").contains(&id)), "{keys:?}");
    for points in [0, -2] {
        assert_eq!(spans(&Award { points, ..of_order.clone() }), 0, "{points}");
    }
    let claimed = on_claim_decided(&RuleBook::sample(), &claim("701", None)).expect("an award");
    assert_eq!(spans(&Award { caps, ..claimed }), 2, "a claim is of no order");
}

fn patrolled(visits: i64) -> PatrolledFacts {
    PatrolledFacts {
        patrol: Uuid::from_u128(60),
        person: Uuid::from_u128(7),
        area: "140724104003001".parse().expect("a grid"),
        at: utc("2026-03-05T01:00:00Z"),
        minutes: 45,
        visits,
        hazards: 2,
    }
}

#[test]
fn a_patrol_with_visits_scores_by_the_sample_and_one_without_does_not() {
    let book = RuleBook::sample();
    for visits in [1, 2, 30] {
        let award = only(on_patrolled(&book, &patrolled(visits)));
        assert_eq!((award.rule_code.as_str(), award.points, award.caps.month), ("301", 1, Some(30)));
        assert_eq!((award.person, award.decided_by), (Uuid::from_u128(7), None));
        assert_eq!(
            (award.cause.source_type, award.cause.source_id),
            (SourceType::Patrol, Uuid::from_u128(60))
        );
        let facts = Facts::Patrolled { minutes: 45, visits, hazards: 2 };
        assert_eq!(award.inputs.facts, facts);
        let posting = award.posting(Used::default()).expect("a posting");
        let rule = book.version("301", 1).expect("the rule");
        assert_eq!(recompute(&posting.inputs, Some(rule)), Some(1));
    }
    assert_eq!(on_patrolled(&book, &patrolled(0)), vec![]);
    assert_eq!(on_patrolled(&RuleBook::default(), &patrolled(1)), vec![]);
}

#[test]
fn an_activity_scores_who_was_there() {
    let facts = AttendedFacts {
        attendance: Uuid::from_u128(61),
        person: Uuid::from_u128(7),
        area: "140724104003001".parse().expect("a grid"),
        at: utc("2026-03-05T01:00:00Z"),
        minutes: 90,
        travel_minutes: 15,
    };
    let award = only(on_attended(&RuleBook::sample(), &facts));
    assert_eq!((award.rule_code.as_str(), award.points, award.caps.month), ("B01", 2, Some(20)));
    assert_eq!((award.cause.source_type, award.cause.source_id), (SourceType::Activity, facts.attendance));
    assert_eq!(award.inputs.facts, Facts::Attended { minutes: 90, travel_minutes: 15 });
}

#[test]
fn a_guard_puts_an_award_on_hold_but_not_a_deduction() {
    let book = RuleBook::sample();
    let held = only(on_completed(&book, &completed(1, 7))).held_for(HoldReason::TooQuick);
    assert_eq!(held.inputs.held, Some(HoldReason::TooQuick));
    let late = CompletedFacts { at: utc("2026-03-07T01:00:00Z"), ..completed(1, 7) };
    assert_eq!(only(on_completed(&book, &late)).held_for(HoldReason::TooQuick).inputs.held, None);
}

#[test]
fn why_recomputes_the_number_that_was_posted() {
    let book = RuleBook::sample();
    let late = CompletedFacts { at: utc("2026-03-07T01:00:00Z"), ..completed(2, 7) };
    let mut awards = on_completed(&book, &completed(1, 7));
    awards.extend(on_completed(&book, &late));
    awards.extend(on_rated(&book, &rated(1, 7)));
    awards.push(on_claim_decided(&book, &claim("B06", Some(35))).expect("an award"));
    for award in awards {
        let rule = book.version(&award.rule_code, award.rule_version).expect("the version it names");
        for used in [0, 18, 19, 20, 28, 29, 30] {
            let posting = award.posting(Used::in_month(used)).expect("a posting");
            assert_eq!(
                recompute(&posting.inputs, Some(rule)),
                Some(posting.points()),
                "{} after {used}",
                award.rule_code
            );
        }
    }
}
