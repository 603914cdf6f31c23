//! Masking: hides phone numbers, identity numbers and house numbers in free Chinese text, and given names.
//!
//! Free text of an order is stored twice, masked in clear and whole encrypted; this makes the masked one, so it has to
//! hide what people really write: `１３８－１２３４ ５６７８`, `一三八幺二三四五六七八`, `12号楼3单元402`. It keeps what helps to
//! understand: the words around (`**号楼**单元**`), times, counts and the hotlines (110, 12345 …). In doubt it hides.
//!
//! What it does not see: names in the text but those that [`known`] is told of, numbers written in words other than
//! digits, and bare house numbers that could be dates (`5号` alone).
//!
//! Scanned by hand instead of by regular expressions: the rules need look-behind and the meaning of neighbours, which
//! the linear-time engines do not have, and this crate stays without heavy dependencies. Two scans over the characters:
//! 1. numbers: digits form *groups*, neighbouring groups that are joined by spaces, hyphens or dots are tried together;
//! 2. houses: a number and the words right before and after it.
//!
//! Masking is idempotent: labels and asterisks are no digits, and each rule looks at digits that the first run has left.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use self::house::find_houses;
use self::number::find_numbers;

mod house;
pub mod known;
mod name;
mod number;

pub use name::{mask_name, surname};

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

#[cfg(test)]
mod tests;
