//! Area codes: the five levels of one tree, 县 → 乡镇 → 村(社区) → 网格 → 微网格.
//!
//! A code is its own path: each level appends three digits to its parent's code, so "is it below?" is "does it start
//! with?", and a subtree is one range of an index. The first 12 digits are the code of the statistics bureau (6 county,
//! 3 township, 3 village); the 3 for the grid and the 3 for the micro-grid are the county's own.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// Digits of the longest code, a micro-grid's.
const MAX_DIGITS: usize = 18;

/// The level of an area. Ordered from the top down: `County` is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// 县, 6 digits.
    County,
    /// 乡镇、城区, 9 digits.
    Township,
    /// 村(社区), 12 digits.
    Village,
    /// 网格, 15 digits.
    Grid,
    /// 微网格, 18 digits.
    MicroGrid,
}

impl Level {
    /// All levels from the top down.
    pub const ALL: [Level; 5] =
        [Level::County, Level::Township, Level::Village, Level::Grid, Level::MicroGrid];

    /// The next level towards the county; `None` at the county itself.
    pub fn up(self) -> Option<Level> {
        match self {
            Level::County => None,
            Level::Township => Some(Level::County),
            Level::Village => Some(Level::Township),
            Level::Grid => Some(Level::Village),
            Level::MicroGrid => Some(Level::Grid),
        }
    }

    /// How many digits a code of this level has.
    pub fn digits(self) -> usize {
        match self {
            Level::County => 6,
            Level::Township => 9,
            Level::Village => 12,
            Level::Grid => 15,
            Level::MicroGrid => 18,
        }
    }

    /// The name in JSON and in the database, for example `micro_grid`.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::County => "county",
            Level::Township => "township",
            Level::Village => "village",
            Level::Grid => "grid",
            Level::MicroGrid => "micro_grid",
        }
    }

    fn of_digits(digits: usize) -> Option<Level> {
        Level::ALL.into_iter().find(|level| level.digits() == digits)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Level, UnknownLevel> {
        Level::ALL.into_iter().find(|level| level.as_str() == text).ok_or(UnknownLevel)
    }
}

/// A text is not the name of a [`Level`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a level: expected county, township, village, grid or micro_grid")]
pub struct UnknownLevel;

/// Why a text is not an [`AreaCode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AreaCodeError {
    /// The length belongs to no level.
    #[error("an area code has 6, 9, 12, 15 or 18 digits, not {0}")]
    Length(usize),
    /// Something else than the digits 0 to 9 is in it.
    #[error("an area code has only the digits 0 to 9")]
    NotADigit,
}

/// The code of an area: 6, 9, 12, 15 or 18 digits, kept inline so that millions can be copied about without a heap.
///
/// Ordered as bytes, so that an area comes right before everything in it, just as in an index of the database that
/// compares bytes (`COLLATE "C"` in PostgreSQL).
// The unused tail of `digits` is always zero: then the derived order and hash are those of the text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AreaCode {
    digits: [u8; MAX_DIGITS],
    level: Level,
}

impl AreaCode {
    /// The code as text. It is also the prefix of every code in the subtree.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.bytes()).unwrap_or_default() // only ASCII digits ever get in
    }

    /// The level, told by the length.
    pub fn level(&self) -> Level {
        self.level
    }

    /// The area one level up; `None` for a county.
    pub fn parent(&self) -> Option<AreaCode> {
        self.level.up().map(|level| self.cut_to(level))
    }

    /// The area itself, then its parents up to the county.
    pub fn ancestors(&self) -> impl Iterator<Item = AreaCode> + use<> {
        std::iter::successors(Some(*self), AreaCode::parent)
    }

    /// Whether `other` is this area or lies in it.
    pub fn contains(&self, other: &AreaCode) -> bool {
        other.bytes().starts_with(self.bytes())
    }

    /// This area or the one above it that has `level`; `None` if this area itself is above `level`.
    pub fn ancestor_at(&self, level: Level) -> Option<AreaCode> {
        (level <= self.level).then(|| self.cut_to(level))
    }

    /// The county that this area is in.
    pub fn county(&self) -> AreaCode {
        self.cut_to(Level::County)
    }

    /// The exclusive upper bound of the subtree: in byte order, exactly the codes of this area and of those in it satisfy
    /// `self.as_str() <= code && code < bound`.
    pub fn subtree_bound(&self) -> String {
        format!("{self}:") // ':' is the byte after '9'
    }

    fn bytes(&self) -> &[u8] {
        &self.digits[..self.level.digits()]
    }

    /// `level` must not be below this area's own.
    fn cut_to(&self, level: Level) -> AreaCode {
        let mut digits = [0; MAX_DIGITS];
        digits[..level.digits()].copy_from_slice(&self.digits[..level.digits()]);
        AreaCode { digits, level }
    }
}

impl FromStr for AreaCode {
    type Err = AreaCodeError;

    /// Strict: codes come from files and links, not from people's fingers.
    fn from_str(text: &str) -> Result<AreaCode, AreaCodeError> {
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(AreaCodeError::NotADigit);
        }
        let level = Level::of_digits(text.len()).ok_or(AreaCodeError::Length(text.len()))?;
        let mut digits = [0; MAX_DIGITS];
        digits[..text.len()].copy_from_slice(text.as_bytes());
        Ok(AreaCode { digits, level })
    }
}

impl fmt::Display for AreaCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for AreaCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AreaCode({self})")
    }
}

impl Serialize for AreaCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

// By hand, because `try_from = "String"` would allocate for every code read.
impl<'de> Deserialize<'de> for AreaCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<AreaCode, D::Error> {
        struct CodeVisitor;
        impl Visitor<'_> for CodeVisitor {
            type Value = AreaCode;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an area code of 6, 9, 12, 15 or 18 digits")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<AreaCode, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(CodeVisitor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn code(text: &str) -> AreaCode {
        text.parse().unwrap()
    }

    fn any_code() -> impl Strategy<Value = AreaCode> {
        // Few different digits, so that relations between two codes happen often.
        (0usize..5, "[0129]{18}").prop_map(|(level, digits)| code(&digits[..Level::ALL[level].digits()]))
    }

    #[test]
    fn length_tells_the_level() {
        let table = [
            ("140724", Level::County),
            ("140724100", Level::Township),
            ("140724100001", Level::Village),
            ("140724100001002", Level::Grid),
            ("140724100001002003", Level::MicroGrid),
        ];
        for (text, level) in table {
            assert_eq!(code(text).level(), level);
            assert_eq!(code(text).to_string(), text);
        }
    }

    #[test]
    fn refuses_what_is_no_code() {
        for length in (0..=24).filter(|length| ![6, 9, 12, 15, 18].contains(length)) {
            assert_eq!("1".repeat(length).parse::<AreaCode>(), Err(AreaCodeError::Length(length)));
        }
        for text in ["14072x", " 140724", "140724 ", "１４０７２４", "14072-", "-14072", "+14072"] {
            assert_eq!(text.parse::<AreaCode>(), Err(AreaCodeError::NotADigit), "{text}");
        }
    }

    #[test]
    fn ancestors_start_with_itself_and_end_with_the_county() {
        let names: Vec<String> =
            code("140724100001002").ancestors().map(|ancestor| ancestor.to_string()).collect();
        assert_eq!(names, ["140724100001002", "140724100001", "140724100", "140724"]);
        assert_eq!(code("140724").parent(), None);
    }

    #[test]
    fn levels_go_up_to_the_county() {
        assert!(Level::County < Level::Township && Level::Grid < Level::MicroGrid);
        for pair in Level::ALL.windows(2) {
            assert_eq!(pair[1].up(), Some(pair[0]));
        }
        assert_eq!(Level::County.up(), None);
        for level in Level::ALL {
            assert_eq!(level.as_str().parse(), Ok(level));
            assert_eq!(serde_json::to_string(&level).unwrap(), format!("\"{level}\""));
        }
        assert_eq!("microgrid".parse::<Level>(), Err(UnknownLevel));
    }

    #[test]
    fn is_a_string_in_json_and_a_key() {
        let json = serde_json::to_string(&code("140724100")).unwrap();
        assert_eq!(json, "\"140724100\"");
        assert_eq!(serde_json::from_str::<AreaCode>(&json).unwrap(), code("140724100"));
        assert_eq!(serde_json::from_value::<AreaCode>(serde_json::json!("140724")).unwrap(), code("140724"));
        assert!(serde_json::from_str::<AreaCode>("\"1407\"").is_err());
        assert!(serde_json::from_str::<AreaCode>("140724").is_err());
    }

    #[test]
    fn fits_in_nineteen_bytes() {
        assert_eq!(size_of::<AreaCode>(), 19);
    }

    proptest! {
        #[test]
        fn order_is_that_of_the_text(a in any_code(), b in any_code()) {
            prop_assert_eq!(a.cmp(&b), a.as_str().cmp(b.as_str()));
            prop_assert_eq!(a == b, a.as_str() == b.as_str());
        }

        #[test]
        fn contains_is_the_range_of_the_index(a in any_code(), b in any_code()) {
            let in_range = a.as_str() <= b.as_str() && b.as_str() < a.subtree_bound().as_str();
            prop_assert_eq!(a.contains(&b), in_range);
            prop_assert_eq!(a.contains(&b), b.ancestors().any(|ancestor| ancestor == a));
        }

        #[test]
        fn every_ancestor_contains_it(a in any_code()) {
            let ancestors: BTreeSet<AreaCode> = a.ancestors().collect();
            prop_assert!(ancestors.iter().all(|ancestor| ancestor.contains(&a)));
            prop_assert_eq!(ancestors.len(), Level::ALL.iter().filter(|level| **level <= a.level()).count());
            prop_assert_eq!(ancestors.first(), Some(&a.county()));
            for level in Level::ALL {
                let expected = ancestors.iter().copied().find(|ancestor| ancestor.level() == level);
                prop_assert_eq!(a.ancestor_at(level), expected);
            }
        }

        #[test]
        fn never_panics(text in ".{0,24}") {
            if let Ok(area) = text.parse::<AreaCode>() {
                prop_assert_eq!(area.as_str(), text);
            }
        }
    }
}
