//! Badge numbers: 号牌, one for every volunteer (一乡一编码、一人一号牌).
//!
//! `05-00127-3`: the township's two-digit plate number, the sequence within that township, a check character. The check
//! is ISO 7064 MOD 11-2, the one of the Chinese identity card: it finds every wrong digit and every exchange of two
//! neighbours, and needs no keys beyond those of the phone's identity card keyboard (digits and X).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

/// Digits before the check character: 2 of the plate, 5 of the sequence.
const DIGITS: usize = 7;

/// The check characters by their value.
const CHECKS: &[u8; 11] = b"0123456789X";

/// Why something is not a [`BadgeNumber`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadgeError {
    /// The township's plate number is not 1 to 99.
    #[error("a township's plate number is 1 to 99")]
    Plate,
    /// The sequence is not 1 to 99999.
    #[error("a badge's sequence is 1 to 99999")]
    Sequence,
    /// Too short or too long, not counting hyphens and surrounding spaces.
    #[error("a badge number has 7 digits and a check character")]
    Length,
    /// Something else than digits, or than a digit or X as the check character.
    #[error("a badge number has only digits, and X only at its end")]
    Character,
    /// The check character does not fit: something was mistyped.
    #[error("the check character of the badge number does not fit")]
    Check,
}

/// A badge number, always valid; prints as `05-00127-3`. Ordered by township, then sequence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct BadgeNumber {
    plate: u8,
    sequence: u32,
}

impl BadgeNumber {
    /// The greatest sequence of a township.
    pub const MAX_SEQUENCE: u32 = 99_999;

    /// The number for a township's plate number (1 to 99) and a sequence in it (1 to 99999).
    pub fn new(plate: u8, sequence: u32) -> Result<BadgeNumber, BadgeError> {
        if !(1..=99).contains(&plate) {
            return Err(BadgeError::Plate);
        }
        if !(1..=Self::MAX_SEQUENCE).contains(&sequence) {
            return Err(BadgeError::Sequence);
        }
        Ok(BadgeNumber { plate, sequence })
    }

    /// The plate number of the township that issued it.
    pub fn plate(&self) -> u8 {
        self.plate
    }

    /// The sequence in that township, without gaps from 1.
    pub fn sequence(&self) -> u32 {
        self.sequence
    }

    /// The check character: a digit or `X`.
    pub fn check(&self) -> char {
        // ISO 7064 MOD 11-2: the weighted sum of all digits, the check included, is 1 modulo 11.
        let sum = self.digits().into_iter().fold(0, |sum, digit| (sum + digit) * 2 % 11);
        char::from(CHECKS[((12 - sum) % 11) as usize])
    }

    fn digits(&self) -> [u32; DIGITS] {
        let number = u32::from(self.plate) * 100_000 + self.sequence;
        std::array::from_fn(|place| number / 10_u32.pow((DIGITS - 1 - place) as u32) % 10)
    }
}

impl FromStr for BadgeNumber {
    type Err = BadgeError;

    /// Takes hyphens anywhere or nowhere, spaces around, a small x, I and L for 1, O for 0.
    fn from_str(text: &str) -> Result<BadgeNumber, BadgeError> {
        let characters: Vec<char> =
            text.trim().chars().filter(|character| *character != '-').take(DIGITS + 2).map(tidy).collect();
        let [digits @ .., check] = characters.as_slice() else { return Err(BadgeError::Length) };
        if digits.len() != DIGITS {
            return Err(BadgeError::Length);
        }
        if !check.is_ascii_digit() && *check != 'X' {
            return Err(BadgeError::Character);
        }
        let number = digits.iter().try_fold(0, |number, digit| Some(number * 10 + digit.to_digit(10)?));
        let number = number.ok_or(BadgeError::Character)?;
        let badge = BadgeNumber::new((number / 100_000) as u8, number % 100_000)?; // 7 digits: the plate is at most 99
        if badge.check() == *check { Ok(badge) } else { Err(BadgeError::Check) }
    }
}

fn tidy(character: char) -> char {
    match character.to_ascii_uppercase() {
        'I' | 'L' => '1',
        'O' => '0',
        other => other,
    }
}

impl TryFrom<String> for BadgeNumber {
    type Error = BadgeError;

    fn try_from(text: String) -> Result<BadgeNumber, BadgeError> {
        text.parse()
    }
}

impl Serialize for BadgeNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for BadgeNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}-{:05}-{}", self.plate, self.sequence, self.check())
    }
}

impl fmt::Debug for BadgeNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BadgeNumber({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn badge(plate: u8, sequence: u32) -> BadgeNumber {
        BadgeNumber::new(plate, sequence).unwrap()
    }

    fn any_badge() -> impl Strategy<Value = BadgeNumber> {
        (1u8..=99, 1..=BadgeNumber::MAX_SEQUENCE).prop_map(|(plate, sequence)| badge(plate, sequence))
    }

    #[test]
    fn prints_plate_sequence_check() {
        // Checks worked out by hand: Σ digit·2^place ≡ 1 (mod 11), the check's place being 0.
        assert_eq!(badge(5, 127).to_string(), "05-00127-3");
        assert_eq!(badge(1, 1).to_string(), "01-00001-1");
        assert_eq!(badge(1, 2).to_string(), "01-00002-X");
        assert_eq!((badge(5, 127).plate(), badge(5, 127).sequence()), (5, 127));
    }

    #[test]
    fn reads_what_people_type() {
        for text in ["05-00127-3", "05001273", " O5-OOl27-3 ", "0-5-0-0-i-2-7-3", "\u{3000}05-00127-3\n"] {
            assert_eq!(text.parse(), Ok(badge(5, 127)), "{text}");
        }
        assert_eq!("01-00002-x".parse(), Ok(badge(1, 2)));
        let table = [
            ("", BadgeError::Length),
            ("0500127", BadgeError::Length),
            ("050012733", BadgeError::Length),
            ("05-00127-33333333333333", BadgeError::Length),
            ("05-0012X-3", BadgeError::Character),
            ("05-00127-A", BadgeError::Character),
            ("05 00127 3", BadgeError::Length),
            ("0５001273", BadgeError::Character),
            ("00-00127-3", BadgeError::Plate),
            ("05-00000-3", BadgeError::Sequence),
            ("05-00127-X", BadgeError::Check),
        ];
        for (text, error) in table {
            assert_eq!(text.parse::<BadgeNumber>(), Err(error), "{text}");
        }
    }

    #[test]
    fn stays_in_its_bounds() {
        assert_eq!(BadgeNumber::new(0, 1), Err(BadgeError::Plate));
        assert_eq!(BadgeNumber::new(100, 1), Err(BadgeError::Plate));
        assert_eq!(BadgeNumber::new(1, 0), Err(BadgeError::Sequence));
        assert_eq!(BadgeNumber::new(1, 100_000), Err(BadgeError::Sequence));
        assert!(BadgeNumber::new(99, 99_999).is_ok());
    }

    #[test]
    fn exactly_one_check_character_fits() {
        for (plate, sequence) in (1..=99).flat_map(|plate| (1..=99_999).step_by(499).map(move |s| (plate, s)))
        {
            let fitting = (b'0'..=b'9')
                .chain(*b"X")
                .filter(|check| {
                    format!("{plate:02}{sequence:05}{}", char::from(*check)).parse::<BadgeNumber>().is_ok()
                })
                .count();
            assert_eq!(fitting, 1);
        }
    }

    proptest! {
        #[test]
        fn prints_and_reads_back(badge in any_badge()) {
            prop_assert_eq!(badge.to_string().parse(), Ok(badge));
            let json = serde_json::to_string(&badge).unwrap();
            prop_assert_eq!(serde_json::from_str::<BadgeNumber>(&json).unwrap(), badge);
        }

        // All places × all characters for each badge drawn.
        #[test]
        fn every_wrong_character_and_every_exchange_of_neighbours_is_refused(badge in any_badge()) {
            let text: Vec<u8> = badge.to_string().bytes().filter(|byte| *byte != b'-').collect();
            for place in 0..text.len() {
                for symbol in b"0123456789X".iter().filter(|symbol| **symbol != text[place]) {
                    let mut wrong = text.clone();
                    wrong[place] = *symbol;
                    prop_assert!(String::from_utf8(wrong).unwrap().parse::<BadgeNumber>().is_err());
                }
            }
            for place in (1..text.len()).filter(|place| text[*place] != text[*place - 1]) {
                let mut wrong = text.clone();
                wrong.swap(place - 1, place);
                prop_assert!(String::from_utf8(wrong).unwrap().parse::<BadgeNumber>().is_err());
            }
        }

        #[test]
        fn never_panics(text in ".{0,16}") {
            if let Ok(badge) = text.parse::<BadgeNumber>() {
                prop_assert_eq!(badge.to_string().parse(), Ok(badge));
            }
        }
    }
}
