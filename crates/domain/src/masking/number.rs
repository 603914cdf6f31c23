//! Numbers in a text: telephone and identity numbers, and whatever is as long as one.
//!
//! Digits form *groups*; neighbouring groups that are joined by spaces, hyphens or dots are tried together.

use std::ops::Range;

use super::{FindingKind, Hit};
use crate::phone;

/// More digits than anything looked for has (an identity number's 18).
const MAX_JOINED: usize = 18;

/// So many characters may stand between two groups of one number, for example " - " or what follows a keycap emoji.
const MAX_GAP: usize = 3;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
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

pub(super) fn digit(character: char) -> Option<(Script, u8)> {
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

pub(super) fn find_numbers(characters: &[char]) -> Vec<Hit> {
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
