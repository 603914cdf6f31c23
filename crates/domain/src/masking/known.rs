//! Words that are recognisable because somebody gave them in a field of their own: his name, his address. What a text
//! repeats of them is hidden like a number.
//!
//! Compared are letters and digits only, full-width ones as their plain twins, so `槐 树 巷` is found as `槐树巷`. Of a name the
//! whole is hidden, and a given name of two characters or more unless it only says who somebody is (大娘). Of an address every
//! run of `RUN` letters or more is hidden: people repeat the part of it that finds them, seldom all of it.

use std::ops::Range;

use super::house::find_houses;
use super::name::surname;
use super::number::find_numbers;
use super::{Finding, FindingKind, HIDDEN, Hit, Masked, replace};

/// So many letters of an address in a row are a part of it that leads there.
const RUN: usize = 5;
/// A shorter name or address could be any word.
const SHORTEST: usize = 2;
/// So many other characters may stand between two letters of one word.
const MAX_GAP: usize = 3;

/// What follows a surname without being a name.
const HONORIFICS: [&str; 34] = [
    "大娘",
    "大爷",
    "大妈",
    "大叔",
    "大伯",
    "大婶",
    "大姐",
    "大哥",
    "大嫂",
    "奶奶",
    "爷爷",
    "姥姥",
    "姥爷",
    "阿姨",
    "叔叔",
    "婆婆",
    "婶婶",
    "师傅",
    "先生",
    "女士",
    "小姐",
    "老师",
    "同志",
    "医生",
    "主任",
    "书记",
    "老人",
    "家属",
    "本人",
    "居民",
    "队长",
    "网格长",
    "志愿者",
    "老太太",
];

/// Names and addresses that a text may repeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known<'a> {
    /// Whole names.
    pub names: &'a [String],
    /// Addresses as they were typed.
    pub addresses: &'a [String],
}

/// As [`super::mask_text`], and hides these words too.
pub fn mask_knowing(text: &str, known: Known<'_>) -> Masked {
    let mut characters: Vec<char> = text.chars().collect();
    let letters = letters(&characters);
    let mut hits = Vec::new();
    for address in known.addresses {
        hits.extend(repeated_runs(&letters, &folded(address)).map(|range| hit(FindingKind::Address, range)));
    }
    for name in known.names {
        for word in name_words(name) {
            hits.extend(occurrences(&letters, &word).map(|range| hit(FindingKind::Name, range)));
        }
    }
    // The rules for numbers look at their neighbours, so they see the text as it was written.
    let numbers = find_numbers(&characters);
    for number in &numbers {
        characters[number.range.clone()].fill(HIDDEN);
    }
    hits.extend(numbers);
    hits.extend(find_houses(&characters));
    replace(text, &united(hits))
}

fn hit(kind: FindingKind, range: Range<usize>) -> Hit {
    Hit { kind, range }
}

/// A letter or digit as it is compared, with its place in the text.
struct Letter {
    place: usize,
    folded: char,
}

fn letters(characters: &[char]) -> Vec<Letter> {
    let found = characters.iter().enumerate().filter(|(_, character)| character.is_alphanumeric());
    found.map(|(place, character)| Letter { place, folded: fold(*character) }).collect()
}

fn folded(word: &str) -> Vec<char> {
    word.chars().filter(|character| character.is_alphanumeric()).map(fold).collect()
}

fn fold(character: char) -> char {
    let plain = match character {
        '！'..='～' => char::from_u32(character as u32 - 0xFEE0).unwrap_or(character),
        other => other,
    };
    plain.to_ascii_lowercase()
}

fn name_words(name: &str) -> Vec<Vec<char>> {
    let whole = folded(name);
    if whole.len() < SHORTEST {
        return Vec::new();
    }
    let given = name.trim().strip_prefix(surname(name)).unwrap_or_default().trim();
    let tells_a_name = !HONORIFICS.contains(&given) && folded(given).len() >= SHORTEST;
    let mut words = vec![whole];
    if tells_a_name {
        words.push(folded(given));
    }
    words
}

/// Whether the letter after this one is near enough to belong to the same word.
fn is_joined(letters: &[Letter], index: usize) -> bool {
    letters.get(index + 1).is_some_and(|next| next.place - letters[index].place <= MAX_GAP + 1)
}

fn occurrences<'a>(letters: &'a [Letter], word: &'a [char]) -> impl Iterator<Item = Range<usize>> + 'a {
    let starts = 0..(letters.len() + 1).saturating_sub(word.len());
    starts.filter_map(move |start| {
        let end = start + word.len() - 1;
        let same = letters[start..=end].iter().zip(word).all(|(letter, wanted)| letter.folded == *wanted);
        let whole = (start..end).all(|index| is_joined(letters, index));
        (same && whole).then(|| letters[start].place..letters[end].place + 1)
    })
}

/// The runs of the text that the address has too: each as long as it gets. Linear in the product of both lengths, which
/// the fields bound.
fn repeated_runs(letters: &[Letter], address: &[char]) -> impl Iterator<Item = Range<usize>> {
    let shortest = if address.len() < SHORTEST { usize::MAX } else { RUN.min(address.len()) };
    // For each letter, how many before it and itself end a run of the address that ends at each of its places.
    let mut before = vec![0_usize; address.len() + 1];
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (index, letter) in letters.iter().enumerate() {
        let joined = index > 0 && is_joined(letters, index - 1);
        let mut ending = vec![0_usize; address.len() + 1];
        for (place, wanted) in address.iter().enumerate() {
            if letter.folded == *wanted {
                ending[place + 1] = 1 + if joined { before[place] } else { 0 };
            }
        }
        let longest = ending.iter().copied().max().unwrap_or(0);
        if longest >= shortest {
            runs.push(letters[index + 1 - longest].place..letter.place + 1);
        }
        before = ending;
    }
    runs.into_iter()
}

/// The hits in the order of the text, what overlaps as one: it is called what comes first in [`FindingKind`]'s words.
fn united(mut hits: Vec<Hit>) -> Vec<Hit> {
    hits.sort_by_key(|hit| (hit.range.start, std::cmp::Reverse(hit.range.end)));
    let mut united: Vec<Hit> = Vec::with_capacity(hits.len());
    for hit in hits {
        match united.last_mut() {
            Some(last) if hit.range.start < last.range.end => {
                last.range.end = last.range.end.max(hit.range.end);
                last.kind = wider(last.kind, hit.kind);
            }
            _ => united.push(hit),
        }
    }
    united
}

/// An address swallows the house number in it; a name or a number inside a run stays what it is.
fn wider(one: FindingKind, other: FindingKind) -> FindingKind {
    if one == FindingKind::Address || other == FindingKind::Address {
        FindingKind::Address
    } else {
        one.min(other)
    }
}

/// What was hidden, without the words themselves: their kinds, in the order of the text.
pub fn kinds(found: &[Finding]) -> Vec<FindingKind> {
    found.iter().map(|finding| finding.kind).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::masking::mask_text;

    fn masked(text: &str, names: &[&str], addresses: &[&str]) -> String {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let (names, addresses) = (owned(names), owned(addresses));
        mask_knowing(text, Known { names: &names, addresses: &addresses }).text
    }

    #[test]
    fn hides_the_names_that_it_knows() {
        for (text, name, expected) in [
            ("我叫王小明，请来", "王小明", "我叫[姓名]，请来"),
            ("王 小 明 在家", "王小明", "[姓名] 在家"),
            ("小明在家", "王小明", "[姓名]在家"),
            ("找欧阳小明", "欧阳小明", "找[姓名]"),
            ("王大娘腿脚不便，大娘一个人", "王大娘", "[姓名]腿脚不便，大娘一个人"),
            ("ＺＨＡＮＧ san", "Zhang San", "[姓名]"),
            ("王先生", "王", "王先生"),
            ("明天", "王明", "明天"),
            ("电话13812345678王小明", "王小明", "电话[电话][姓名]"),
        ] {
            assert_eq!(masked(text, &[name], &[]), expected, "{text}");
        }
    }

    #[test]
    fn hides_the_part_of_an_address_that_leads_there() {
        let address = "乐平镇幸福里小区槐树院12号楼3单元";
        for (text, expected) in [
            ("我在乐平镇幸福里小区槐树院12号楼3单元", "我在[地址]"),
            ("我在幸福里小区槐树院，快来", "我在[地址]，快来"),
            ("幸福里-小区 槐树院", "[地址]"),
            ("乐平镇的路灯坏了", "乐平镇的路灯坏了"),
            ("槐树院12号楼3单元402", "[地址]**"),
        ] {
            assert_eq!(masked(text, &[], &[address]), expected, "{text}");
        }
        assert_eq!(masked("来巷口", &[], &["巷口"]), "来[地址]");
        assert_eq!(masked("来巷口", &[], &["巷", ""]), "来巷口");
    }

    fn word() -> impl Strategy<Value = String> {
        prop::collection::vec(
            prop::sample::select("王小明幸福里槐树院12号楼a ".chars().collect::<Vec<_>>()),
            0..14,
        )
        .prop_map(String::from_iter)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn no_known_word_survives(name in "[王李张][\u{4e00}-\u{4fff}]{2}", address in "[\u{5000}-\u{5fff}]{5,12}", before in "\\PC{0,6}", after in "\\PC{0,6}") {
            let text = format!("{before}{name}{after}{address}{before}");
            let told = masked(&text, &[&name], &[&address]);
            prop_assert!(!told.contains(&name), "{}", told);
            prop_assert!(!told.contains(&address), "{}", told);
        }

        #[test]
        fn ranges_are_of_the_text_and_do_not_overlap(text in word(), name in word(), address in word()) {
            let (names, addresses) = ([name], [address]);
            let told = mask_knowing(&text, Known { names: &names, addresses: &addresses });
            let mut end = 0;
            for finding in &told.found {
                prop_assert!(finding.range.start >= end && text.get(finding.range.clone()).is_some());
                end = finding.range.end;
            }
            prop_assert!(end <= text.len());
        }

        #[test]
        fn without_known_words_it_is_the_plain_masking(text in any::<String>()) {
            prop_assert_eq!(mask_knowing(&text, Known::default()), mask_text(&text));
        }
    }
}
