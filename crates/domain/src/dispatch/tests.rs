use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;

const GRID: &str = "140724104003001";
const VILLAGE: &str = "140724104003";
const TOWNSHIP: &str = "140724104";
const COUNTY: &str = "140724";

fn area(code: &str) -> AreaCode {
    code.parse().expect("a valid area code")
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_780_300_000, 0).expect("a moment")
}

fn person(id: u128) -> Uuid {
    Uuid::from_u128(id)
}

fn member(id: u128) -> MemberFacts {
    MemberFacts::of(person(id))
}

/// A team with three members, 100 × its id and the two after.
fn team(id: u128, covers: &str, open_orders: i64) -> TeamFacts {
    TeamFacts {
        team: Uuid::from_u128(id),
        name: format!("队{id}"),
        kind: TeamKind::Special,
        covers: area(covers),
        skills: vec!["便民".to_owned()],
        open_orders,
        volunteers: 3,
        history: History::default(),
        members: (0..3).map(|n| member(id * 100 + n)).collect(),
    }
}

fn question() -> Question {
    Question {
        edition: Edition::TODAY,
        area: area(GRID),
        skill: "便民".to_owned(),
        asked: Vec::new(),
        invited: Vec::new(),
        kind: Kind::Service,
        urgency: Urgency::Normal,
        mode: AssignMode::WholeTeam,
        order: Some(Uuid::from_u128(7)),
        requester: person(1),
        at: now(),
        accept_within_seconds: 86_400,
    }
}

fn in_mode(mode: AssignMode) -> Question {
    Question { mode, ..question() }
}

#[test]
fn the_grids_own_team_comes_before_a_freer_and_quicker_one_above() {
    let mut quick = team(1, TOWNSHIP, 0);
    quick.history = History { accepts: 50, waited_seconds: 60 };
    let decision = choose(&question(), &[quick, team(2, GRID, 40)]);
    assert_eq!(decision.chosen, Some(Uuid::from_u128(2)));
    assert!(decision.shortfalls.is_empty(), "{:?}", decision.shortfalls);
}

#[test]
fn among_equally_near_teams_the_quicker_comes_first_then_the_freer() {
    let mut slow = team(1, TOWNSHIP, 0);
    slow.history = History { accepts: 1, waited_seconds: 90_000 };
    assert_eq!(choose(&question(), &[slow, team(2, TOWNSHIP, 9)]).chosen, Some(Uuid::from_u128(2)));
    let equals = [team(1, TOWNSHIP, 5), team(2, TOWNSHIP, 4)];
    assert_eq!(choose(&question(), &equals).chosen, Some(Uuid::from_u128(2)));
}

#[test]
fn enforcement_teams_are_for_reports_only() {
    let mut enforcing = team(1, COUNTY, 0);
    enforcing.kind = TeamKind::Enforcement;
    let teams = [enforcing];
    let refused = choose(&question(), &teams);
    assert_eq!(refused.chosen, None);
    assert!(refused.candidates[0].reasons.iter().any(|why| why.contains("执法队")), "{refused:?}");
    let report = Question { kind: Kind::Report, ..question() };
    assert_eq!(choose(&report, &teams).chosen, Some(Uuid::from_u128(1)));
}

#[test]
fn what_is_missing_near_the_place_is_told_even_when_somebody_farther_was_found() {
    let mut unable = team(1, GRID, 0);
    unable.skills = vec!["医疗".to_owned()];
    unable.members.clear();
    let decision = choose(&question(), &[unable, team(2, TOWNSHIP, 0)]);
    assert_eq!(decision.chosen, Some(Uuid::from_u128(2)));
    assert_eq!(decision.shortfalls, ["本村没有会“便民”的队伍"]);
    let mut untrained = team(1, VILLAGE, 0);
    untrained.members.clear();
    let decision = choose(&question(), &[untrained]);
    assert_eq!(decision.chosen, None);
    assert_eq!(decision.shortfalls[0], "本村队伍里没有会“便民”的志愿者");
}

#[test]
fn nobody_is_told_who_is_away_full_told_before_or_the_requester() {
    let mut facts = team(1, GRID, 0);
    facts.members[0].on_leave = true;
    facts.members[1].full = true;
    let told = Question { invited: vec![person(102)], ..question() };
    let decision = choose(&told, std::slice::from_ref(&facts));
    assert_eq!(decision.chosen, None);
    let words = decision.candidates[0].reasons.join("，");
    for word in ["1人请假", "1人手上已满", "1人本轮已通知", "现在可请0人"] {
        assert!(words.contains(word), "{words}");
    }
    let own = Question { requester: person(102), ..question() };
    assert_eq!(choose(&own, std::slice::from_ref(&facts)).chosen, None);
    assert_eq!(choose(&question(), &[facts]).invited, [person(102)]);
}

#[test]
fn who_is_on_duty_comes_first_and_the_others_when_he_has_been_asked() {
    let mut facts = team(1, GRID, 0);
    facts.members[0].off_duty = true;
    facts.members[1].off_duty = true;
    facts.members[1].offered_at = Some(now() - TimeDelta::days(3));
    let teams = [facts];
    let first = choose(&in_mode(AssignMode::Named), &teams);
    assert_eq!(first.volunteer, Some(person(102)));
    let then = Question { invited: first.invited, ..in_mode(AssignMode::Named) };
    assert_eq!(choose(&then, &teams).volunteer, Some(person(100)));
}

#[test]
fn an_urgent_order_wakes_last_who_wants_quiet() {
    let mut facts = team(1, GRID, 0);
    facts.members[0].quiet = true;
    facts.members[1].offered_at = Some(now() - TimeDelta::days(9));
    facts.members[2].offered_at = Some(now() - TimeDelta::days(3));
    let teams = [facts];
    assert_eq!(choose(&in_mode(AssignMode::Named), &teams).volunteer, Some(person(100)));
    let urgent = Question { urgency: Urgency::Urgent, ..in_mode(AssignMode::Named) };
    assert_eq!(choose(&urgent, &teams).volunteer, Some(person(101)));
}

/// A team of so many, of whom the first `lately` were told of another order two hours ago.
fn large_team(members: u128, lately: usize) -> TeamFacts {
    let mut members: Vec<MemberFacts> = (0..members).map(|n| member(1_000 + n)).collect();
    for one in members.iter_mut().take(lately) {
        one.offered_at = Some(now() - TimeDelta::hours(2));
    }
    TeamFacts { members, ..team(1, GRID, 0) }
}

/// The question after so many others were told of the order, who are of no team here.
fn after(told: usize, question: Question) -> Question {
    Question { invited: (0..told).map(|n| person(900_000 + n as u128)).collect(), ..question }
}

#[test]
fn more_are_told_in_a_large_team_at_first_and_at_once_of_an_urgent_order() {
    let of = |edition, told, urgency| {
        [3, 24, 90].map(|members| {
            let question = after(told, Question { edition, urgency, ..question() });
            choose(&question, &[large_team(members, 0)]).invited.len()
        })
    };
    assert_eq!(of(Edition::Sparing, 0, Urgency::Normal), [1, 3, 4]);
    assert_eq!(of(Edition::Sparing, 4, Urgency::Normal), [1, 2, 2]);
    assert_eq!(of(Edition::First, 0, Urgency::Normal), [1, 2, 3]);
    assert_eq!(of(Edition::Sparing, 0, Urgency::Urgent)[2], 12);
}

#[test]
fn asking_goes_on_until_so_many_were_told() {
    let last = |edition, mode| {
        let goes_on = |told| {
            let question = after(told, Question { edition, ..in_mode(mode) });
            choose(&question, &[large_team(90, 0)]).chosen.is_some()
        };
        (0..90).find(|told| !goes_on(*told))
    };
    for (edition, of_the_team, one_by_one) in [(Edition::First, 14, 8), (Edition::Sparing, 30, 20)] {
        assert_eq!(last(edition, AssignMode::WholeTeam), Some(of_the_team), "{edition:?}");
        assert_eq!(last(edition, AssignMode::Named), Some(one_by_one), "{edition:?}");
        assert_eq!(last(edition, AssignMode::Rotation), Some(one_by_one), "{edition:?}");
    }
}

#[test]
fn an_order_of_which_many_were_told_spares_those_who_were_told_of_another_lately() {
    let teams = [large_team(50, 48)];
    let rested = [person(1_048), person(1_049)];
    // Few were told: the best are, rested or not.
    assert_eq!(choose(&after(13, question()), &teams).invited.len(), 2);
    let decision = choose(&after(14, question()), &teams);
    let mut told = decision.invited.clone();
    told.sort_unstable();
    assert_eq!(told, rested);
    let words = decision.candidates[0].reasons.join("，");
    assert!(words.contains("48人刚接到过别的通知，先不打扰"), "{words}");
    // The next who has rested has in 22 hours.
    assert_eq!(decision.patience_seconds, Some(22 * 3_600));
    // They said no at once: a person looks at it.
    let none = choose(&after(14, question()), &[large_team(48, 48)]);
    assert_eq!(none.chosen, None);
    assert!(none.shortfalls.iter().any(|missing| missing.contains("无人接单")), "{none:?}");
    // Whoever has rested farther out comes before the tired nearby.
    let nearby = TeamFacts { covers: area(GRID), ..large_team(48, 48) };
    let farther = TeamFacts { members: vec![member(7_000)], ..team(2, TOWNSHIP, 0) };
    let decision = choose(&after(14, question()), &[nearby, farther]);
    assert_eq!(decision.invited, [person(7_000)]);
}

#[test]
fn an_urgent_order_and_the_first_edition_spare_nobody() {
    let teams = [large_team(50, 48)];
    let urgent = Question { urgency: Urgency::Urgent, ..question() };
    let decision = choose(&after(14, urgent), &teams);
    assert_eq!((decision.invited.len(), decision.patience_seconds), (12, Some(180)));
    let first = Question { edition: Edition::First, ..question() };
    let decision = choose(&after(13, first), &teams);
    assert_eq!((decision.invited.len(), decision.patience_seconds), (3, Some(86_400)));
}

#[test]
fn the_wait_for_somebody_rested_ends_with_the_limit() {
    let short = Question { accept_within_seconds: 3_600, urgency: Urgency::Priority, ..question() };
    let decision = choose(&after(14, short), &[large_team(50, 48)]);
    assert_eq!((decision.invited.len(), decision.patience_seconds), (2, Some(3_600)));
}

#[test]
fn the_last_who_can_be_asked_have_the_whole_limit() {
    let of = |members| choose(&question(), &[large_team(members, 0)]).patience_seconds;
    assert_eq!([of(1), of(20), of(90)], [Some(86_400), Some(1_200), Some(1_800)]);
}

#[test]
fn patience_is_short_before_people_sleep_and_where_many_tries_have_to_fit_into_the_limit() {
    let of = |edition, hour: i64, urgency, mode| {
        // Midnight in China, then so many hours.
        let at = DateTime::from_timestamp(1_780_243_200 + hour * 3_600, 0).expect("a moment");
        let question = Question { edition, at, urgency, accept_within_seconds: 3_600, ..in_mode(mode) };
        choose(&question, &[large_team(90, 0)]).patience_seconds.expect("a patience")
    };
    let (normal, grab) = (Urgency::Normal, AssignMode::WholeTeam);
    let by_hour = |edition| [18, 19, 20, 21].map(|hour| of(edition, hour, normal, grab));
    assert_eq!(by_hour(Edition::Sparing), [1_800, 1_200, 1_200, 1_800]);
    assert_eq!(by_hour(Edition::First), [1_800; 4]);
    assert_eq!(of(Edition::Sparing, 20, Urgency::Urgent, grab), 180);
    let in_turns = |edition| of(edition, 10, Urgency::Priority, AssignMode::Rotation);
    assert_eq!([Edition::First, Edition::Sparing].map(in_turns), [1_200, 900]);
}

#[test]
fn the_three_modes_name_nobody_the_best_and_the_next_in_turn() {
    let mut facts = team(1, GRID, 0);
    facts.members[0].history = History { accepts: 0, waited_seconds: 90_000 };
    facts.members[1].history = History { accepts: 9, waited_seconds: 900 };
    facts.members[1].offered_at = Some(now() - TimeDelta::days(3));
    facts.members[0].offered_at = Some(now() - TimeDelta::days(9));
    facts.members[2].offered_at = Some(now() - TimeDelta::hours(1));
    let teams = [facts];
    let grab = choose(&question(), &teams);
    assert_eq!((grab.volunteer, grab.invited.len()), (None, 1));
    assert_eq!(choose(&in_mode(AssignMode::Named), &teams).volunteer, Some(person(101)));
    assert_eq!(choose(&in_mode(AssignMode::Rotation), &teams).volunteer, Some(person(100)));
}

#[test]
fn rest_load_and_share_make_way_for_others() {
    let last = |change: &dyn Fn(&mut MemberFacts)| {
        let mut facts = team(1, GRID, 0);
        change(&mut facts.members[0]);
        choose(&question(), &[facts]).people.last().map(|one| one.person)
    };
    assert_eq!(last(&|one| one.offered_at = Some(now() - TimeDelta::hours(2))), Some(person(100)));
    assert_eq!(last(&|one| one.open_orders = 1), Some(person(100)));
    assert_eq!(last(&|one| one.history.waited_seconds = 9_000), Some(person(100)));
    let (fresh, taken) = (member(1), History { accepts: 1, waited_seconds: 11_000 });
    assert!(taken.expected_seconds(10_800) > fresh.history.expected_seconds(10_800));
}

/// Told one after the other within the three minutes in which rest does not count: each once before anybody twice.
#[test]
fn equals_who_were_told_just_now_take_turns() {
    let mut facts = team(1, GRID, 0);
    facts.members = (0..6).map(|n| member(100 + n)).collect();
    let mut told = Vec::new();
    for second in 0..12 {
        let at = now() + TimeDelta::seconds(second);
        let order = Some(Uuid::from_u128(u128::try_from(second).expect("small")));
        let first = choose(&Question { at, order, ..question() }, std::slice::from_ref(&facts)).invited[0];
        let one = facts.members.iter_mut().find(|one| one.person == first).expect("of the team");
        one.offered_at = Some(at);
        told.push(first);
    }
    let mut each = told[..6].to_vec();
    each.sort_unstable();
    each.dedup();
    assert_eq!(each.len(), 6, "everybody once: {told:?}");
    assert_eq!(told[..6], told[6..], "then in the same turn");
}

/// Where nothing tells people apart, chance is fair: of many orders each gets about his share.
#[test]
fn lots_are_drawn_evenly() {
    let mut facts = team(1, GRID, 0);
    facts.members = (0..10).map(|n| member(100 + n)).collect();
    let mut first = std::collections::BTreeMap::new();
    for number in 0..2_000 {
        let order = Some(Uuid::from_u128(number));
        let decision = choose(&Question { order, ..question() }, std::slice::from_ref(&facts));
        *first.entry(decision.invited[0]).or_insert(0) += 1;
    }
    // 200 each; 6 deviations of 13.4.
    assert!(first.len() == 10 && first.values().all(|times| (120..=280).contains(times)), "{first:?}");
}

/// What was stored before lots were drawn replays as it was decided: by id.
#[test]
fn a_question_without_an_order_is_answered_as_before() {
    let mut facts = team(1, GRID, 0);
    facts.members[0].offered_at = Some(now() - TimeDelta::seconds(20));
    facts.members[1].offered_at = Some(now() - TimeDelta::seconds(100));
    facts.members.truncate(2);
    let without = Question { edition: Edition::First, order: None, ..question() };
    let old = choose(&without, std::slice::from_ref(&facts));
    assert_eq!(old.people.iter().map(|one| one.person).collect::<Vec<_>>(), [person(100), person(101)]);
    let new = choose(&question(), std::slice::from_ref(&facts));
    assert_eq!(new.invited[0], person(101), "he has rested longer");
}

/// A question as it was stored before editions had names: nobody is spared, and what is in it is answered as it was.
#[test]
fn a_question_without_an_edition_is_of_the_first() {
    let stored = r#"{"area":"140724104003001","skill":"便民","asked":[],"kind":"service","urgency":"normal",
        "mode":"rotation","requester":"00000000-0000-0000-0000-000000000001","at":"2026-06-01T11:00:00Z",
        "acceptWithinSeconds":86400}"#;
    let question: Question = serde_json::from_str(stored).expect("a question");
    assert_eq!((question.edition, question.order), (Edition::First, None));
    let decision = choose(&question, &[large_team(90, 0)]);
    assert_eq!((decision.volunteer, decision.patience_seconds), (Some(person(1_000)), Some(1_800)));
    let whole_team = Question { mode: AssignMode::WholeTeam, ..question };
    let decision = choose(&whole_team, &[large_team(90, 0)]);
    assert_eq!(decision.invited, [1_000, 1_001, 1_002].map(person));
}

#[test]
fn the_expected_time_moves_from_the_prior_to_what_was_seen() {
    let seen = |accepts, waited_seconds| History { accepts, waited_seconds }.expected_seconds(1_000);
    assert_eq!(seen(0, 0), 1_000);
    assert_eq!(seen(1, 100), 550);
    assert_eq!(seen(99, 9_900), 109);
    assert_eq!(seen(0, 5_000), 6_000, "waiting in vain counts");
    assert_eq!(seen(-1, -5), 1_000, "nonsense does no harm");
}

#[test]
fn an_answer_survives_the_database_and_an_old_one_is_still_read() {
    let decision = choose(&question(), &[team(1, GRID, 0)]);
    let text = serde_json::to_string(&decision).expect("JSON");
    assert_eq!(serde_json::from_str::<Decision>(&text).expect("a decision"), decision);
    let old = r#"{"chosen":"00000000-0000-0000-0000-000000000001","candidates":[]}"#;
    assert_eq!(serde_json::from_str::<Decision>(old).expect("an old decision").invited, Vec::<Uuid>::new());
}

fn any_member() -> impl Strategy<Value = MemberFacts> {
    let (flag, hours) = (any::<bool>(), prop::option::of(0_i64..100));
    (0_i64..6, flag, flag, flag, flag, hours, 0_i64..30, 0_i64..1_000_000).prop_map(
        |(open_orders, full, on_leave, off_duty, quiet, hours, accepts, waited_seconds)| MemberFacts {
            open_orders,
            full: full && open_orders > 2,
            on_leave: on_leave && off_duty,
            off_duty,
            quiet,
            offered_at: hours.map(|hours| now() - TimeDelta::hours(hours)),
            history: History { accepts, waited_seconds },
            ..member(0)
        },
    )
}

fn any_team() -> impl Strategy<Value = TeamFacts> {
    let place = prop::sample::select(vec![GRID, VILLAGE, TOWNSHIP, COUNTY]);
    (place, prop::collection::vec(any_member(), 0..25), 0_i64..50).prop_map(
        |(covers, members, open_orders)| TeamFacts {
            volunteers: members.len() as i64,
            members,
            ..team(1, covers, open_orders)
        },
    )
}

fn any_county() -> impl Strategy<Value = Vec<TeamFacts>> {
    prop::collection::vec(any_team(), 1..6).prop_map(|mut teams| {
        for (n, team) in teams.iter_mut().enumerate() {
            team.team = Uuid::from_u128(n as u128 + 1);
            for (m, one) in team.members.iter_mut().enumerate() {
                one.person = person(1_000 * (n as u128 + 1) + m as u128);
            }
        }
        teams
    })
}

fn any_edition() -> impl Strategy<Value = Edition> {
    prop::sample::select(vec![Edition::First, Edition::Sparing])
}

fn any_mode() -> impl Strategy<Value = AssignMode> {
    prop::sample::select(vec![AssignMode::WholeTeam, AssignMode::Named, AssignMode::Rotation])
}

proptest! {
    /// Asking on always ends, tells nobody twice, nobody who must not be told, one at a time where one is named, and
    /// does not depend on the order of rows.
    #[test]
    fn asking_on_ends_and_never_repeats(
        teams in any_county(), mode in any_mode(), edition in any_edition(), turn in 0usize..25,
    ) {
        let mut question = Question { edition, ..in_mode(mode) };
        loop {
            let decision = choose(&question, &teams);
            let mut turned = teams.clone();
            let length = turned.len();
            turned.rotate_left(turn % length);
            for team in &mut turned {
                let members = team.members.len().max(1);
                team.members.rotate_left(turn % members);
            }
            prop_assert_eq!(&choose(&question, &turned), &decision);
            let Some(chosen) = decision.chosen else { break };
            let team = teams.iter().find(|team| team.team == chosen).expect("a team of the facts");
            prop_assert!(!decision.invited.is_empty());
            prop_assert_eq!(decision.volunteer.is_some(), mode != AssignMode::WholeTeam);
            prop_assert!(mode == AssignMode::WholeTeam || decision.invited.len() == 1);
            for told in &decision.invited {
                let facts = team.members.iter().find(|one| one.person == *told).expect("one of the team");
                prop_assert!(!facts.on_leave && !facts.full && !question.invited.contains(told));
            }
            question.invited.extend(decision.invited);
        }
        let most = question.asking().at_most + question.rules().first_wave;
        prop_assert!(question.invited.len() < most);
    }

    #[test]
    fn among_equals_the_longest_not_told_comes_first_whatever_the_order_of_rows(
        teams in any_county(), order in any::<u128>(), turn in 0usize..25,
    ) {
        let asked = Question { order: Some(Uuid::from_u128(order)), ..question() };
        let decision = choose(&asked, &teams);
        let mut turned = teams.clone();
        for team in &mut turned {
            let by = turn % team.members.len().max(1);
            team.members.rotate_left(by);
        }
        prop_assert_eq!(&decision, &choose(&asked, &turned));
        let chosen = teams.iter().find(|team| Some(team.team) == decision.chosen);
        let told_at = |one: &PersonCandidate| {
            chosen.and_then(|team| team.members.iter().find(|member| member.person == one.person))
                .and_then(|member| member.offered_at)
        };
        for pair in decision.people.windows(2) {
            prop_assert!(pair[0].score <= pair[1].score);
            if pair[0].score == pair[1].score {
                prop_assert!(told_at(&pair[0]) <= told_at(&pair[1]), "{pair:?}");
            }
        }
    }

    /// What is stored is the question and the facts: read back, they give the same answer.
    #[test]
    fn a_stored_question_gives_the_same_answer(
        teams in any_county(), mode in any_mode(), edition in any_edition(), told in 0usize..20,
    ) {
        let asked = after(told, Question { edition, ..in_mode(mode) });
        let stored = serde_json::to_string(&(&asked, &teams)).expect("JSON");
        let (question, facts): (Question, Vec<TeamFacts>) = serde_json::from_str(&stored).expect("as it was");
        prop_assert_eq!(question.edition, edition);
        prop_assert_eq!(choose(&question, &facts), choose(&asked, &teams));
        prop_assert_eq!(stored.contains("edition"), edition != Edition::First);
    }
}
