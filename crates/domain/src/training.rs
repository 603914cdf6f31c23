//! 志愿者培训: what somebody learned together with others. It gives no points and no hours of service.

use std::collections::HashSet;

use chrono::NaiveDate;
use uuid::Uuid;

use crate::area::{AreaCode, Level};

/// The longest training, in minutes: it belongs to one day.
pub const MINUTES_LONGEST: i64 = 24 * 60;
/// A training is recorded at most so many days after it was held.
pub const RECORDED_WITHIN_DAYS: i64 = 366;
/// Most people of one training.
pub const PEOPLE_MOST: usize = 500;

/// Whether trainings are held for such an area: a county, a township or a village, and nothing smaller.
pub fn is_held_for(area: AreaCode) -> bool {
    area.level() <= Level::Village
}

/// What is wrong with the day (in China) and the minutes of a training, by field.
pub fn faults(held_on: NaiveDate, minutes: i64, today: NaiveDate) -> Vec<(&'static str, &'static str)> {
    let mut faults = Vec::new();
    if held_on > today {
        faults.push(("heldOn", "in_the_future"));
    } else if (today - held_on).num_days() > RECORDED_WITHIN_DAYS {
        faults.push(("heldOn", "too_long_ago"));
    }
    if !(1..=MINUTES_LONGEST).contains(&minutes) {
        faults.push(("minutes", "out_of_range"));
    }
    faults
}

/// What is wrong with the list of those who attended, as such: nobody, or too many.
pub fn people_fault(people: &[Uuid]) -> Option<&'static str> {
    match people.len() {
        0 => Some("required"),
        1..=PEOPLE_MOST => None,
        _ => Some("too_many"),
    }
}

/// What is wrong with each of those who attended, by his place in the list: he stands there before, or he is no
/// volunteer whom the caller can `reach`.
pub fn person_faults(people: &[Uuid], reach: impl Fn(&Uuid) -> bool) -> Vec<(usize, &'static str)> {
    let mut seen = HashSet::with_capacity(people.len());
    let fault = |(place, person): (usize, &Uuid)| match (seen.insert(*person), reach(person)) {
        (false, _) => Some((place, "given_twice")),
        (true, false) => Some((place, "not_a_volunteer")),
        (true, true) => None,
    };
    people.iter().enumerate().filter_map(fault).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a day")
    }

    #[test]
    fn a_training_was_held_within_a_year_and_ends_on_its_day() {
        let today = day("2026-11-21");
        let of = |held_on: &str, minutes| faults(day(held_on), minutes, today);
        assert_eq!(of("2026-11-21", 1), []);
        assert_eq!(of("2026-11-22", 90), [("heldOn", "in_the_future")]);
        // 366 days before, and the day before that.
        assert_eq!(of("2025-11-20", 1_440), []);
        assert_eq!(of("2025-11-19", 1_440), [("heldOn", "too_long_ago")]);
        for minutes in [0, -1, 1_441, i64::MIN, i64::MAX] {
            assert_eq!(of("2026-11-20", minutes), [("minutes", "out_of_range")], "{minutes}");
        }
        let both = faults(NaiveDate::MAX, 0, today);
        assert_eq!(both, [("heldOn", "in_the_future"), ("minutes", "out_of_range")]);
        assert_eq!(faults(NaiveDate::MIN, 1, today), [("heldOn", "too_long_ago")]);
    }

    #[test]
    fn it_is_held_for_a_village_or_above() {
        for (code, held) in [
            ("140724", true),
            ("140724100", true),
            ("140724100001", true),
            ("140724100001001", false),
            ("140724100001001001", false),
        ] {
            assert_eq!(is_held_for(code.parse().expect("an area")), held, "{code}");
        }
    }

    #[test]
    fn somebody_attends_and_not_a_crowd() {
        let people: Vec<Uuid> = (0..501).map(Uuid::from_u128).collect();
        assert_eq!(people_fault(&[]), Some("required"));
        assert_eq!([people_fault(&people[..1]), people_fault(&people[..500])], [None, None]);
        assert_eq!(people_fault(&people), Some("too_many"));
    }

    #[test]
    fn each_bad_one_is_named_by_his_place() {
        let [first, second, unknown] = [1, 2, 3].map(Uuid::from_u128);
        let reached = |person: &Uuid| *person != unknown;
        assert_eq!(person_faults(&[first, second], reached), []);
        let list = [unknown, first, second, first, unknown];
        let expected = [(0, "not_a_volunteer"), (3, "given_twice"), (4, "given_twice")];
        assert_eq!(person_faults(&list, reached), expected);
    }

    proptest! {
        #[test]
        fn nothing_is_wrong_exactly_when_everybody_is_reached_and_stands_there_once(
            list in prop::collection::vec(0_u128..12, 0..12), reached in prop::collection::hash_set(0_u128..12, 0..12)
        ) {
            let people: Vec<Uuid> = list.iter().copied().map(Uuid::from_u128).collect();
            let found = person_faults(&people, |person| reached.contains(&person.as_u128()));
            let distinct: HashSet<&u128> = list.iter().collect();
            let good = distinct.len() == list.len() && list.iter().all(|one| reached.contains(one));
            prop_assert_eq!(found.is_empty(), good);
            // Without those who are named, the list is as it should be.
            let named: HashSet<usize> = found.iter().map(|(place, _)| *place).collect();
            let rest: Vec<Uuid> = people
                .iter()
                .enumerate()
                .filter_map(|(place, person)| (!named.contains(&place)).then_some(*person))
                .collect();
            prop_assert_eq!(person_faults(&rest, |person| reached.contains(&person.as_u128())), []);
        }
    }
}
