//! Numbers of houses in a text: a number, and the words right before and after it that make it one.

use super::number::{Script, digit};
use super::{FindingKind, Hit};

/// A number in an address: `12`, `十二`, `3-2`, `12A`.
struct HouseNumber {
    start: usize,
    end: usize,
    /// Digits of each part, parts being what a hyphen or a letter separates.
    parts: Vec<usize>,
    /// Written with 一二三 or 十百.
    is_chinese: bool,
}

/// What may follow `号` in an address. `住` but not `住院`: "5号住院了" is a date.
const AFTER_HAO: [&str; 10] = ["楼", "院", "单元", "房", "室", "门", "附", "住", "宅", "户"];

/// What an address has right before the number of a house.
const BEFORE_HAO: [&str; 13] =
    ["路", "街", "巷", "村", "院", "组", "弄", "胡同", "大道", "号楼", "单元", "门牌", "门牌号"];

/// 院 at the end of these is an institution: "县医院5号下午" is a date.
const BEFORE_INSTITUTION: [char; 12] =
    ['医', '法', '学', '剧', '影', '戏', '察', '究', '老', '利', '务', '书'];

/// After these a number behind a house is a count, a time or a price: "3单元120人", "12号楼300块".
const MEASURES: [char; 36] = [
    '天', '日', '月', '年', '小', '时', '分', '秒', '点', '个', '人', '名', '位', '次', '元', '块', '斤',
    '公', '米', '吨', '度', '条', '只', '件', '份', '张', '辆', '平', '多', '余', '岁', '周', '来', '左',
    '%', '％',
];

/// Numbers that help to be seen, even behind a house.
const HOTLINES: [&str; 5] = ["110", "119", "120", "122", "12345"];

pub(super) fn find_houses(characters: &[char]) -> Vec<Hit> {
    let mut hits = Vec::new();
    let mut place = 0;
    // Where a number would directly follow a house that has been found.
    let mut chained_at = None;
    while place < characters.len() {
        let Some(number) = house_number(characters, place) else {
            place += 1;
            continue;
        };
        place = number.end;
        let chained = chained_at == Some(number.start) || is_after_unit(&characters[..number.start]);
        if let Some(end) = house_end(characters, &number, chained) {
            hits.push(Hit { kind: FindingKind::HouseNumber, range: number.start..number.end });
            place = end;
            chained_at = Some(end + joint_length(&characters[end..]));
        }
    }
    hits
}

/// Right behind a unit without a number of its own: `东单元402`, `A座1203`.
fn is_after_unit(before: &[char]) -> bool {
    let is_lettered_block = matches!(before, [.., letter, '座'] if letter.is_ascii_alphabetic());
    is_lettered_block || ["单元", "号楼"].iter().any(|unit| ends_with(before, unit))
}

/// Up to two spaces, hyphens or slashes between the parts of an address.
fn joint_length(rest: &[char]) -> usize {
    let is_joint =
        |character: &&char| matches!(character, ' ' | '\u{3000}' | '-' | '－' | '–' | '—' | '/' | '／');
    rest.iter().take(2).take_while(is_joint).count()
}

fn is_house_digit(character: char) -> bool {
    digit(character).is_some() || matches!(character, '十' | '百' | '拾' | '佰')
}

/// The number that begins at `start`, all its parts and one letter at the end included.
fn house_number(characters: &[char], start: usize) -> Option<HouseNumber> {
    let run =
        |from: usize| characters[from..].iter().take_while(|character| is_house_digit(**character)).count();
    let mut parts = vec![run(start)];
    if parts[0] == 0 {
        return None;
    }
    let mut end = start + parts[0];
    let is_hyphen = |c: &char| matches!(c, '-' | '－' | '–' | '—' | '#') || c.is_ascii_alphabetic();
    while characters.get(end).is_some_and(is_hyphen) {
        let digits = run(end + 1);
        if digits == 0 {
            break;
        }
        parts.push(digits);
        end += 1 + digits;
    }
    let is_chinese = characters[start..end].iter().any(|c| is_house_digit(*c) && !is_arabic(*c));
    if characters.get(end).is_some_and(char::is_ascii_alphabetic)
        && !characters.get(end + 1).is_some_and(char::is_ascii_alphanumeric)
    {
        end += 1;
    }
    Some(HouseNumber { start, end, parts, is_chinese })
}

fn is_arabic(character: char) -> bool {
    digit(character).is_some_and(|(script, _)| script == Script::Arabic)
}

/// If `number` is one of a house: the end of the word that makes it one (of the number itself if none follows).
fn house_end(characters: &[char], number: &HouseNumber, chained: bool) -> Option<usize> {
    let space = usize::from(matches!(characters.get(number.end), Some(' ' | '\u{3000}')));
    let word = number.end + space;
    let rest = &characters[word..];
    if let Some(after) = strip(rest, "号") {
        return house_after_hao(characters, number, after, chained).map(|length| word + 1 + length);
    }
    if follows_unit(rest, number, chained) {
        let unit =
            UNITS.iter().find(|unit| strip(rest, unit).is_some()).map_or(0, |unit| unit.chars().count());
        return Some(word + unit);
    }
    let is_bare = is_dashed_room(characters, number)
        || ends_with(&characters[..number.start], "门牌")
        || ends_with(&characters[..number.start], "门牌号")
        || (chained && is_chained_room(characters, number));
    is_bare.then_some(number.end)
}

/// `N号…`: how long the word after `号` is that belongs to the address, if it is one.
fn house_after_hao(
    characters: &[char],
    number: &HouseNumber,
    after: &[char],
    chained: bool,
) -> Option<usize> {
    let word = AFTER_HAO.iter().find(|word| strip(after, word).is_some());
    if let Some(word) = word.filter(|_| strip(after, "住院").is_none()) {
        return Some(word.chars().count());
    }
    (chained || is_after_street(&characters[..number.start])).then_some(0)
}

fn is_after_street(before: &[char]) -> bool {
    let before = match before {
        [head @ .., ':' | '：' | ' '] => head,
        all => all,
    };
    let is_institution = matches!(before, [.., kind, '院'] if BEFORE_INSTITUTION.contains(kind));
    !is_institution && BEFORE_HAO.iter().any(|word| ends_with(before, word))
}

/// Words that make a house of the number before them; the longer of two goes first.
const UNITS: [&str; 10] = ["单元", "栋楼", "幢楼", "栋", "幢", "室", "弄", "层", "楼", "房"];

/// `N单元`, `N栋`, `N室` …, each where it is not a count of something.
fn follows_unit(rest: &[char], number: &HouseNumber, chained: bool) -> bool {
    let digits: usize = number.parts.iter().sum();
    let starts_number = |rest: &[char]| rest.first().is_some_and(|character| is_house_digit(*character));
    if strip(rest, "单元").is_some() {
        return true;
    }
    if let Some(after) = strip(rest, "栋").or_else(|| strip(rest, "幢")) {
        // "3栋房子", "一栋旧楼" are counts.
        let counts = matches!(
            after.first(),
            Some('楼' | '房' | '别' | '大' | '老' | '旧' | '平' | '新' | '小' | '危')
        );
        return chained || starts_number(after) || (!number.is_chinese && !counts);
    }
    if let Some(after) = strip(rest, "室") {
        // "3室2厅" describes a flat; "一室" is none of a house unless more tells so.
        let flat =
            after.iter().position(|c| !is_house_digit(*c)).is_some_and(|end| end > 0 && after[end] == '厅');
        return !flat && (chained || digits >= 2);
    }
    if let Some(after) = strip(rest, "弄") {
        return !number.is_chinese && starts_number(after);
    }
    // "3楼" alone is a floor and helps to understand; behind a house it is part of the address.
    chained && ["层", "楼", "房"].iter().any(|word| strip(rest, word).is_some())
}

/// `3-2-501`: building, unit, room.
fn is_dashed_room(characters: &[char], number: &HouseNumber) -> bool {
    let [building, unit, room] = number.parts[..] else { return false };
    let text = &characters[number.start..number.end];
    let last = &text[text.len() - room.min(text.len())..];
    let is_date = room == 4 && (strip(last, "19").is_some() || strip(last, "20").is_some());
    let has_letter = text.iter().any(char::is_ascii_alphabetic);
    building <= 3 && unit <= 2 && (3..=4).contains(&room) && !is_date && !has_letter
}

/// `402` behind `3单元`: three digits or more that are not counted, timed or dialled.
fn is_chained_room(characters: &[char], number: &HouseNumber) -> bool {
    let text: String = characters[number.start..number.end].iter().collect();
    let next = characters[number.end..].iter().find(|character| !character.is_whitespace());
    number.parts.last().is_some_and(|digits| *digits >= 3)
        && !HOTLINES.contains(&text.as_str())
        && !next.is_some_and(|character| MEASURES.contains(character))
}

fn strip<'a>(characters: &'a [char], word: &str) -> Option<&'a [char]> {
    let mut rest = characters;
    for character in word.chars() {
        rest = rest.strip_prefix(&[character])?;
    }
    Some(rest)
}

fn ends_with(characters: &[char], word: &str) -> bool {
    let mut rest = characters;
    word.chars().rev().all(|character| match rest.strip_suffix(&[character]) {
        Some(shorter) => {
            rest = shorter;
            true
        }
        None => false,
    })
}
