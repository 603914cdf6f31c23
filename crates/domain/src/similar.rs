//! Suggestions of duplicates: how alike two orders are, from what is stored in clear. Nothing is dropped or merged by it:
//! a person decides.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::area::{AreaCode, Level};

/// What is compared.
#[derive(Clone, Debug)]
pub struct Likeness<'a> {
    /// Where help is needed.
    pub area: AreaCode,
    /// The category's code.
    pub category: &'a str,
    /// The resident for whom it is; known where a phone was found, or an order is compared.
    pub requester: Option<Uuid>,
    /// When it was, or is to be, placed.
    pub at: DateTime<Utc>,
    /// The description, masked.
    pub words: &'a str,
}

/// How alike two orders are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alike {
    /// 0 to 100.
    pub score: u32,
    /// Why, in words.
    pub reasons: Vec<String>,
}

/// From this score on it is worth a look.
pub const WORTH_A_LOOK: u32 = 50;
/// How far back duplicates are looked for, in seconds.
pub const LOOK_BACK_SECONDS: i64 = 14 * 24 * 3_600;

/// How alike they are. The same either way round.
pub fn alike(one: &Likeness<'_>, other: &Likeness<'_>) -> Alike {
    let mut found = Alike { score: 0, reasons: Vec::new() };
    let mut add = |points: u32, reason: String| {
        found.score += points;
        found.reasons.push(reason);
    };
    let same_at = |level| {
        let code = one.area.ancestor_at(level);
        code.is_some() && code == other.area.ancestor_at(level)
    };
    if one.area == other.area || same_at(Level::Grid) {
        add(25, "同一网格".to_owned());
    } else if same_at(Level::Village) {
        add(10, "同一村（社区）".to_owned());
    }
    if one.category == other.category {
        add(20, "同一类别".to_owned());
    }
    if one.requester.is_some() && one.requester == other.requester {
        add(20, "同一电话或同一居民".to_owned());
    }
    let apart = (one.at - other.at).abs();
    if apart <= TimeDelta::hours(24) {
        add(10, "相隔不到一天".to_owned());
    } else if apart <= TimeDelta::days(3) {
        add(5, "相隔不到三天".to_owned());
    }
    let percent = common_percent(one.words, other.words);
    if percent >= 20 {
        add(percent / 4, format!("文字相似度{percent}%"));
    }
    found
}

/// The share of pairs of letters that two texts have in common, in percent. Chinese has no spaces, so pairs of letters
/// stand for words; punctuation and spaces do not count.
pub(crate) fn common_percent(one: &str, other: &str) -> u32 {
    let (one, other) = (pairs(one), pairs(other));
    let common = one.intersection(&other).count();
    let all = one.len() + other.len() - common;
    (common * 100).checked_div(all).and_then(|percent| u32::try_from(percent).ok()).unwrap_or(0)
}

fn pairs(text: &str) -> BTreeSet<(char, char)> {
    let letters: Vec<char> =
        text.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    letters.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn order(area: &str, words: &'static str, hours: i64) -> Likeness<'static> {
        let at = DateTime::from_timestamp(1_772_413_200, 0).unwrap() + TimeDelta::hours(hours);
        Likeness { area: area.parse().unwrap(), category: "street_light", requester: None, at, words }
    }

    #[test]
    fn the_same_lamp_told_by_two_neighbours_is_worth_a_look() {
        let one = order("140724104003001", "村口的路灯坏了，晚上看不见路", 0);
        let other = order("140724104003001002", "村口路灯坏了好几天，看不见路。", 5);
        let found = alike(&one, &other);
        assert!(found.score >= WORTH_A_LOOK, "{found:?}");
        assert_eq!(found.reasons.len(), 4, "grid, category, time, words: {found:?}");
    }

    #[test]
    fn something_else_in_the_same_village_is_not() {
        let one = order("140724104003001", "村口的路灯坏了", 0);
        let other = Likeness { category: "errand", ..order("140724104003002", "帮忙代买一袋米", 5) };
        assert!(alike(&one, &other).score < WORTH_A_LOOK);
        let long_ago =
            Likeness { category: "errand", ..order("140724104003001", "帮忙代买一袋米", -200) };
        assert!(alike(&one, &long_ago).score < WORTH_A_LOOK);
    }

    #[test]
    fn the_same_resident_asking_again_is() {
        let me = Some(Uuid::from_u128(1));
        let one = Likeness { requester: me, ..order("140724104003001", "帮忙买药", 0) };
        let other = Likeness { requester: me, ..order("140724104003001", "药还没有买到", 20) };
        assert!(alike(&one, &other).score >= WORTH_A_LOOK);
        let unknown = Likeness { requester: None, ..one.clone() };
        assert!(alike(&unknown, &Likeness { requester: None, ..other }).score < alike(&one, &one).score);
    }

    proptest! {
        #[test]
        fn it_is_the_same_either_way_round_and_at_most_a_hundred(
            one in "[路灯坏了村口买药a-c，。 ]{0,20}", other in "[路灯坏了村口买药a-c，。 ]{0,20}", hours in -400i64..400
        ) {
            let first = Likeness { words: &one, ..order("140724104003001", "", 0) };
            let second = Likeness { words: &other, ..order("140724104003001001", "", hours) };
            let (there, back) = (alike(&first, &second), alike(&second, &first));
            prop_assert_eq!(&there, &back);
            prop_assert!(there.score <= 100 && alike(&first, &first).score >= there.score);
        }
    }
}
