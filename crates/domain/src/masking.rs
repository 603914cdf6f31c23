//! Masking: hides phone numbers, identity numbers and house numbers in free Chinese text, and given names.
//!
//! Free text of an order is stored twice, masked in clear and whole encrypted; this makes the masked one, so it has to
//! hide what people really write: `１３８－１２３４ ５６７８`, `一三八幺二三四五六七八`, `12号楼3单元402`. It keeps what helps to
//! understand: the words around (`**号楼**单元**`), times, counts and the hotlines (110, 12345 …). In doubt it hides.
//!
//! What it does not see: names in the text but those that [`known`] is told of, numbers written in words other than digits, and bare house numbers that could
//! be dates (`5号` alone).
//!
//! Scanned by hand instead of by regular expressions: the rules need look-behind and the meaning of neighbours, which
//! the linear-time engines do not have, and this crate stays without heavy dependencies. Two scans over the characters:
//! 1. numbers: digits form *groups*, neighbouring groups that are joined by spaces, hyphens or dots are tried together;
//! 2. houses: a number and the words right before and after it.
//!
//! Masking is idempotent: labels and asterisks are no digits, and each rule looks at digits that the first run has left.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::phone;

pub mod known;

/// What was found in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// A mobile number.
    Mobile,
    /// A landline number with its area code.
    Landline,
    /// An 18-digit identity number with a plausible date of birth.
    IdNumber,
    /// A building, unit, room or house number.
    HouseNumber,
    /// Seven or more digits in a row that are none of these: hidden all the same.
    LongNumber,
    /// A name that somebody gave as his own.
    Name,
    /// A part of an address that somebody gave as his own.
    Address,
}

impl FindingKind {
    /// What stands in the masked text instead.
    fn label(self) -> &'static str {
        match self {
            FindingKind::Mobile | FindingKind::Landline => "[电话]",
            FindingKind::IdNumber => "[证件号]",
            FindingKind::HouseNumber => "**",
            FindingKind::LongNumber => "[号码]",
            FindingKind::Name => "[姓名]",
            FindingKind::Address => "[地址]",
        }
    }
}

/// Something hidden by [`mask_text`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// Where it was in the original text, in bytes.
    pub range: Range<usize>,
}

/// A text with its personal numbers hidden.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Masked {
    /// The masked text.
    pub text: String,
    /// What was hidden, in the order of the text, without overlaps.
    pub found: Vec<Finding>,
}

/// A place in a masked text where something was hidden: what a moderator sees of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// What it was.
    pub kind: FindingKind,
    /// Where what stands for it begins, in characters of the masked text.
    pub start: usize,
    /// How long that is, in characters.
    pub length: usize,
}

impl Masked {
    /// What was hidden, by its place in the masked text. Nothing in it tells what it was.
    pub fn spans(&self) -> Vec<Span> {
        let (mut masked, mut original) = (0, 0);
        let mut characters = 0;
        let mut spans = Vec::with_capacity(self.found.len());
        for finding in &self.found {
            let kept = finding.range.start - original;
            characters += self.text[masked..masked + kept].chars().count();
            let label = finding.kind.label();
            let length = label.chars().count();
            spans.push(Span { kind: finding.kind, start: characters, length });
            characters += length;
            masked += kept + label.len();
            original = finding.range.end;
        }
        spans
    }
}

/// Hides phone, identity and house numbers. See the module for what counts as one.
pub fn mask_text(text: &str) -> Masked {
    let mut characters: Vec<char> = text.chars().collect();
    let mut hits = find_numbers(&characters);
    for hit in &hits {
        characters[hit.range.clone()].fill(HIDDEN); // what the second scan sees in place of a label
    }
    hits.extend(find_houses(&characters));
    hits.sort_by_key(|hit| hit.range.start);
    replace(text, &hits)
}

/// No digit, no word and no separator, like the brackets of a label.
const HIDDEN: char = ']';

/// A finding in characters instead of bytes.
struct Hit {
    kind: FindingKind,
    range: Range<usize>,
}

fn replace(text: &str, hits: &[Hit]) -> Masked {
    let mut offsets: Vec<usize> = text.char_indices().map(|(offset, _)| offset).collect();
    offsets.push(text.len());
    let mut masked =
        Masked { text: String::with_capacity(text.len()), found: Vec::with_capacity(hits.len()) };
    let mut done = 0;
    for hit in hits {
        let range = offsets[hit.range.start]..offsets[hit.range.end];
        masked.text.push_str(&text[done..range.start]);
        masked.text.push_str(hit.kind.label());
        done = range.end;
        masked.found.push(Finding { kind: hit.kind, range });
    }
    masked.text.push_str(&text[done..]);
    masked
}

// --- numbers ---

/// More digits than anything looked for has (an identity number's 18).
const MAX_JOINED: usize = 18;

/// So many characters may stand between two groups of one number, for example " - " or what follows a keycap emoji.
const MAX_GAP: usize = 3;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Arabic,
    Chinese,
}

impl Script {
    /// From so many digits in a row on, a number is hidden whatever it is. Chinese ones are also counted aloud:
    /// 一二三四五六七八九.
    fn long_number(self) -> usize {
        match self {
            Script::Arabic => 7,
            Script::Chinese => 10,
        }
    }
}

/// Digits of one script in a row.
struct Group {
    script: Script,
    start: usize,
    /// As ASCII digits.
    digits: Vec<u8>,
}

impl Group {
    fn end(&self) -> usize {
        self.start + self.digits.len()
    }
}

fn digit(character: char) -> Option<(Script, u8)> {
    if let Some(digit) = phone::ascii_digit(character) {
        return Some((Script::Arabic, digit));
    }
    // Mathematical digits (bold, double-struck …) and circled ones: copied from decorated texts.
    let value = match character {
        '\u{1d7ce}'..='\u{1d7ff}' => (character as u32 - 0x1d7ce) % 10,
        '①'..='⑨' => character as u32 - '①' as u32 + 1,
        '⓪' => 0,
        _ => return chinese_digit(character).map(|digit| (Script::Chinese, digit)),
    };
    Some((Script::Arabic, b'0' + value as u8))
}

fn chinese_digit(character: char) -> Option<u8> {
    let value = match character {
        '〇' | '零' | '○' => b'0',
        '一' | '幺' | '壹' => b'1',
        '二' | '贰' => b'2',
        '三' | '叁' => b'3',
        '四' | '肆' => b'4',
        '五' | '伍' => b'5',
        '六' | '陆' => b'6',
        '七' | '柒' => b'7',
        '八' | '捌' => b'8',
        '九' | '玖' => b'9',
        _ => return None,
    };
    Some(value)
}

fn is_separator(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\u{a0}' | '\u{3000}' | '_' | ')' | '）')
        || matches!(character, '.' | '．' | '·' | '•' | '。' | '-' | '－' | '‐' | '‑' | '–' | '—' | '~')
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{feff}' | '\u{fe0f}' | '\u{20e3}')
}

fn find_numbers(characters: &[char]) -> Vec<Hit> {
    let groups = digit_groups(characters);
    let mut hits = Vec::new();
    let mut first = 0;
    while let Some(group) = groups.get(first) {
        if let Some((count, hit)) = longest_number(characters, &groups[first..]) {
            hits.push(hit);
            first += count;
            continue;
        }
        if group.digits.len() >= group.script.long_number() {
            hits.push(Hit { kind: FindingKind::LongNumber, range: group.start..group.end() });
        }
        first += 1;
    }
    hits
}

fn digit_groups(characters: &[char]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (place, character) in characters.iter().enumerate() {
        let Some((script, digit)) = digit(*character) else { continue };
        match groups.last_mut() {
            Some(last) if last.end() == place && last.script == script => last.digits.push(digit),
            _ => groups.push(Group { script, start: place, digits: vec![digit] }),
        }
    }
    groups
}

/// The longest number that begins with the first group, and how many groups it takes.
fn longest_number(characters: &[char], groups: &[Group]) -> Option<(usize, Hit)> {
    let start = groups.first()?.start;
    let mut digits = Vec::with_capacity(MAX_JOINED);
    let mut longest = None;
    for (index, group) in groups.iter().enumerate() {
        let joined = index == 0 || is_gap(&characters[groups[index - 1].end()..group.start]);
        if !joined || digits.len() + group.digits.len() > MAX_JOINED {
            break;
        }
        digits.extend_from_slice(&group.digits);
        let followed_by_x = matches!(characters.get(group.end()), Some('X' | 'x' | 'Ｘ' | 'ｘ'));
        let number = classify(&digits, groups[0].digits.len(), followed_by_x);
        if let Some((kind, takes_x)) = number {
            let range = with_opening(characters, start)..group.end() + usize::from(takes_x);
            longest = Some((index + 1, Hit { kind, range }));
        }
    }
    longest
}

fn is_gap(between: &[char]) -> bool {
    between.len() <= MAX_GAP && between.iter().all(|character| is_separator(*character))
}

/// A plus or an opening parenthesis before the number belongs to it.
fn with_opening(characters: &[char], start: usize) -> usize {
    let before = start.checked_sub(1).map(|place| characters[place]);
    start - usize::from(matches!(before, Some('+' | '＋' | '(' | '（')))
}

/// The kind of a whole number, and whether an X right behind belongs to it.
fn classify(digits: &[u8], first_group: usize, followed_by_x: bool) -> Option<(FindingKind, bool)> {
    if digits.len() == 17 && followed_by_x && has_birthday(digits) {
        return Some((FindingKind::IdNumber, true));
    }
    if digits.len() == 18 && has_birthday(digits) {
        return Some((FindingKind::IdNumber, false));
    }
    let national = phone::without_country_prefix(digits);
    if phone::is_mobile(national.unwrap_or(digits)) {
        return Some((FindingKind::Mobile, false));
    }
    // A landline's first group has the whole area code; otherwise "0.3 541.23456" would be one.
    let is_landline = match national {
        Some(rest) => phone::is_international(rest),
        None => phone::landline_area_length(digits).is_some_and(|area| first_group >= area),
    };
    is_landline.then_some((FindingKind::Landline, false))
}

/// Loosely: the digits 7 to 14 of an identity number are a date since 1900.
fn has_birthday(digits: &[u8]) -> bool {
    let number =
        |range: Range<usize>| digits[range].iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    (1900..2100).contains(&number(6..10))
        && (1..=12).contains(&number(10..12))
        && (1..=31).contains(&number(12..14))
}

// --- houses ---

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

fn find_houses(characters: &[char]) -> Vec<Hit> {
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

// --- names ---

/// Surnames of two characters that are in use today.
const COMPOUND_SURNAMES: [&str; 32] = [
    "欧阳", "上官", "司马", "司徒", "诸葛", "夏侯", "皇甫", "尉迟", "公孙", "慕容", "令狐", "长孙", "宇文",
    "东方", "南宫", "西门", "端木", "独孤", "轩辕", "澹台", "公冶", "宗政", "濮阳", "淳于", "单于", "太史",
    "申屠", "闻人", "赫连", "呼延", "钟离", "百里",
];

/// A given name never shows more than so many asterisks: its length tells little and its bearer much.
const MAX_NAME_STARS: usize = 2;

/// The surname of a Chinese name: two characters for a compound surname if a given name follows, else the first one.
/// Empty for an empty name.
pub fn surname(name: &str) -> &str {
    let name = name.trim();
    let end_of = |count: usize| name.char_indices().nth(count).map_or(name.len(), |(offset, _)| offset);
    let is_compound =
        COMPOUND_SURNAMES.iter().any(|compound| name.len() > compound.len() && name.starts_with(compound));
    &name[..end_of(if is_compound { 2 } else { 1 })]
}

/// The name with all but the surname hidden: 王小明 → 王**, 王明 → 王*, 欧阳小明 → 欧阳**. Empty for an empty name.
pub fn mask_name(name: &str) -> String {
    let name = name.trim();
    let surname = surname(name);
    if surname.is_empty() {
        return String::new();
    }
    let given = name[surname.len()..].chars().count();
    format!("{surname}{}", "*".repeat(given.clamp(1, MAX_NAME_STARS)))
}

#[cfg(test)]
mod tests;
