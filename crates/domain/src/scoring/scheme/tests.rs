use proptest::prelude::*;

use super::*;

const PARTY: &str = include_str!("../../../../../docs/schemes/party_members.csv");
const SECRETARIES: &str = include_str!("../../../../../docs/schemes/village_secretaries.csv");
const HOUSEHOLDS: &str = include_str!("../../../../../docs/schemes/ten_star_households.csv");
const RED_ACCOUNT: &str = include_str!("../../../../../docs/schemes/red_account.csv");
const HEADING: &str = "row,code,name,part,points,cap,veto\n";

fn scheme(text: &str) -> Scheme {
    Scheme::read(text).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn deed(item: &str, times: i64) -> Deed {
    Deed { item: item.to_owned(), times, points: None }
}

fn chosen(item: &str, points: i64) -> Deed {
    Deed { item: item.to_owned(), times: 1, points: Some(points) }
}

fn score(scheme: &Scheme, deeds: &[Deed]) -> (Vec<i64>, i64, String) {
    let score = scheme.score(deeds).expect("deeds of the scheme");
    (score.parts.into_iter().map(|(_, points)| points).collect(), score.total, score.level)
}

#[test]
fn party_members_are_classed_by_base_appraisal_contribution_and_violation() {
    let scheme = scheme(PARTY);
    let codes: Vec<&str> = scheme.parts().iter().map(|part| part.code.as_str()).collect();
    assert_eq!(codes, ["base", "appraisal", "contribution", "violation"]);
    let levels: Vec<&str> = scheme.levels().iter().map(|level| level.code.as_str()).collect();
    assert_eq!(levels, ["A", "B", "C", "D"]);
    // Twelve meetings (5 each, at most 40), dues and study, an appraisal of 27, four volunteer days.
    let good = [deed("B1", 12), deed("B2", 1), deed("B3", 2), chosen("M1", 27), deed("G1", 4)];
    assert_eq!(score(&scheme, &good), (vec![60, 27, 8, 0], 95, "A".into()));
    // The same with two absences without leave and one reprimand.
    let with = |more: &[Deed]| [&good[..], more].concat();
    assert_eq!(
        score(&scheme, &with(&[deed("V1", 2), deed("V2", 1)])),
        (vec![60, 27, 8, -20], 75, "B".into())
    );
    assert_eq!(score(&scheme, &[deed("B1", 4), chosen("M1", 12)]).2, "D");
    // What is unforgivable is not made up for.
    let vetoed = scheme.score(&with(&[deed("V3", 1)])).expect("deeds");
    assert_eq!((vetoed.level.as_str(), vetoed.vetoed_by.as_deref()), ("D", Some("V3")));
    assert_eq!(scheme.score(&[chosen("M1", 31)]), Err(DeedFault::PointsNotAllowed("M1".into())));
}

#[test]
fn village_secretaries_get_one_to_five_stars() {
    let scheme = scheme(SECRETARIES);
    let stars: Vec<i64> = scheme.levels().iter().map(|level| level.from).collect();
    assert_eq!((scheme.levels().len(), stars), (5, vec![90, 80, 70, 60, 0]));
    let year = [chosen("S1", 28), chosen("S2", 24), chosen("S3", 18), chosen("S4", 17), deed("S5", 3)];
    assert_eq!(score(&scheme, &year), (vec![28, 24, 18, 17, 5], 92, "5".into()));
    let petition = [&year[..], &[deed("S6", 1)]].concat();
    assert_eq!(score(&scheme, &petition).2, "4");
}

#[test]
fn a_household_has_as_many_stars_as_it_earned() {
    let scheme = scheme(HOUSEHOLDS);
    assert_eq!((scheme.items().count(), scheme.levels().len()), (10, 11));
    let stars: Vec<String> = scheme.items().map(|item| item.code.clone()).collect();
    for earned in 0..=10 {
        let deeds: Vec<Deed> = stars[..earned].iter().map(|star| deed(star, 1)).collect();
        let found = scheme.score(&deeds).expect("stars");
        assert_eq!((found.total, found.level), (earned as i64, earned.to_string()));
    }
    assert_eq!(scheme.score(&[deed(&stars[0], 5)]).expect("a star").total, 1, "a star shines once");
}

#[test]
fn the_red_account_counts_hours_and_what_they_bought_is_no_deed() {
    let scheme = scheme(RED_ACCOUNT);
    let hours = [deed("H1", 18), deed("H2", 3), deed("H3", 4)];
    assert_eq!(score(&scheme, &hours), (vec![18 + 9 + 8], 35, "L2".into()));
    assert_eq!(score(&scheme, &[]).2, "L0");
    assert_eq!(scheme.score(&[deed("H9", 1)]), Err(DeedFault::UnknownItem("H9".into())));
    assert_eq!(scheme.score(&[deed("H1", 0)]), Err(DeedFault::NotDone("H1".into())));
}

#[test]
fn every_fault_is_named_with_its_line() {
    use SchemeProblem::*;
    let bad = format!(
        "# a scheme\n{HEADING}part,P,基础,,,0,\n# in between\nitem,1,到会,Q,x,,\nitem,1,到会,P,5..3,,no\n\
         level,A,,,90,,\nlevel,B,合格,,90,5,\nstar,C,一星,,1,,\nitem,2,学习,P,1,\n"
    );
    let found: Vec<(u64, &str, SchemeProblem)> = Scheme::read(&bad)
        .expect_err("faults")
        .into_iter()
        .map(|fault| (fault.line, fault.field, fault.fault))
        .collect();
    assert_eq!(
        found,
        [
            (3, "cap", NotACap),
            (5, "points", NotPoints),
            (6, "code", Duplicate),
            (6, "points", NotPoints),
            (6, "veto", NotYes),
            (7, "name", Empty),
            (8, "cap", NotHere),
            (8, "points", SameLevel),
            (9, "row", UnknownRow),
            (10, "line", Unreadable),
        ]
    );
    let one = |text: &str| Scheme::read(text).expect_err("a fault")[0].clone();
    let nothing = one(&format!("{HEADING}part,P,基础,,,,\nitem,1,到会,Q,5,,\nlevel,A,优,,0,,\n"));
    assert_eq!((nothing.line, nothing.field, nothing.fault), (3, "part", NoSuchPart));
    assert_eq!(one(HEADING).fault, NoLevel);
    assert_eq!(one("code,name\n").fault, Heading);
    assert_eq!(one("").to_string(), "line 1, line: the heading must be row,code,name,part,points,cap,veto");
    let level = one(&format!("{HEADING}level,A,优,,1..2,,\n"));
    assert_eq!((level.line, level.fault), (2, NotPoints));
}

proptest! {
    #[test]
    fn caps_hold_and_more_good_deeds_never_lower_a_level(meetings in 1_i64..40, days in 1_i64..40) {
        let scheme = scheme(PARTY);
        let fewer = scheme.score(&[deed("B1", meetings), deed("G1", days)]).expect("deeds");
        let more = scheme.score(&[deed("B1", meetings + 1), deed("G1", days + 1)]).expect("deeds");
        prop_assert!(more.total >= fewer.total && more.level <= fewer.level);
        for (part, (_, points)) in scheme.parts().iter().zip(&more.parts) {
            prop_assert!(part.cap.is_none_or(|cap| *points <= cap));
        }
    }
}
