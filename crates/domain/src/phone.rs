//! Phone numbers of mainland China: mobiles, and landlines because elderly residents call from home.
//!
//! A number is stored in one form only (national, digits without spaces), so that "the orders of this caller" is an exact
//! match. It is personal data: `Debug` does not show it, there is no `Display`, and it is not serialised by accident
//! (no `Serialize`: whoever needs the digits says [`Phone::as_str`], whoever shows it says [`Phone::masked`]).

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// Digits of the longest number: a four-digit area code and eight local digits.
const MAX_DIGITS: usize = 12;

/// More digits than any number with its country prefix can have (0086 and 12): reading stops there.
const MAX_TYPED: usize = 20;

/// Why a text is not a [`Phone`]. Never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    /// There is nothing but spaces.
    #[error("the phone number is empty")]
    Empty,
    /// Something else than digits, spaces, hyphens and a leading plus.
    #[error("a phone number has only digits, spaces and hyphens")]
    Character,
    /// A number of another country.
    #[error("only phone numbers of mainland China can be called from here")]
    Foreign,
    /// Neither a mobile (11 digits from 13 to 19) nor a landline with its area code.
    #[error("neither a mobile number nor a landline number with its area code")]
    Unknown,
}

/// A mobile or landline number of mainland China in national form: `13812341234`, `03544123123`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Phone {
    digits: [u8; MAX_DIGITS], // the unused tail is zero
    length: u8,
}

impl Phone {
    /// The whole number, digits only. Personal data: not for logs.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.bytes()).unwrap_or_default() // only ASCII digits ever get in
    }

    /// Whether a text message can reach it.
    pub fn is_mobile(&self) -> bool {
        is_mobile(self.bytes())
    }

    /// The number with its middle hidden: `138****1234`; of a landline the area code and the last three digits stay,
    /// `0354****123`.
    pub fn masked(&self) -> String {
        let (head, tail) = match landline_area_length(self.bytes()) {
            Some(area) => (area, 3),
            None => (3, 4),
        };
        let text = self.as_str();
        let hidden = "*".repeat(text.len() - head - tail);
        format!("{}{hidden}{}", &text[..head], &text[text.len() - tail..])
    }

    fn bytes(&self) -> &[u8] {
        &self.digits[..usize::from(self.length)]
    }

    fn from_national(national: &[u8]) -> Option<Phone> {
        if !is_mobile(national) && landline_area_length(national).is_none() {
            return None;
        }
        let mut digits = [0; MAX_DIGITS];
        digits.get_mut(..national.len())?.copy_from_slice(national);
        Some(Phone { digits, length: national.len() as u8 })
    }
}

impl FromStr for Phone {
    type Err = PhoneError;

    /// Takes full-width digits, spaces and hyphens anywhere, and the prefixes `+86`, `0086` and `86`.
    fn from_str(text: &str) -> Result<Phone, PhoneError> {
        let mut typed = Vec::with_capacity(MAX_TYPED);
        let mut has_plus = false;
        for character in text.chars().filter(|character| !is_ignored(*character)) {
            match character {
                '+' | '＋' if typed.is_empty() && !has_plus => has_plus = true,
                _ => typed.push(ascii_digit(character).ok_or(PhoneError::Character)?),
            }
            if typed.len() > MAX_TYPED {
                return Err(PhoneError::Unknown);
            }
        }
        match (has_plus, without_country_prefix(&typed)) {
            (false, None) if typed.is_empty() => Err(PhoneError::Empty),
            (false, None) => Phone::from_national(&typed).ok_or(PhoneError::Unknown),
            (true, None) => Err(PhoneError::Foreign),
            (true, Some(_)) if !typed.starts_with(b"86") => Err(PhoneError::Foreign),
            (_, Some(rest)) => from_international(rest).ok_or(PhoneError::Unknown),
        }
    }
}

/// What follows `0086` or `86`. No national number begins so: they begin with 1, or with 0 and then no second 0.
pub(crate) fn without_country_prefix(digits: &[u8]) -> Option<&[u8]> {
    digits.strip_prefix(b"0086").or_else(|| digits.strip_prefix(b"86"))
}

/// After the country prefix a landline is written with or without the 0 of its area code.
fn from_international(rest: &[u8]) -> Option<Phone> {
    Phone::from_national(rest).or_else(|| Phone::from_national(&[b"0", rest].concat()))
}

/// Whether ASCII `digits` are an international number without its prefix, see [`without_country_prefix`].
pub(crate) fn is_international(rest: &[u8]) -> bool {
    from_international(rest).is_some()
}

/// Whether ASCII `digits` are a mobile number in national form.
pub(crate) fn is_mobile(digits: &[u8]) -> bool {
    digits.len() == 11 && matches!(digits, [b'1', b'3'..=b'9', ..])
}

/// The length of the area code, its 0 included, if ASCII `digits` are a landline number in national form.
///
/// Three digits for Beijing (010) and the 02x cities, whose local numbers have eight; four elsewhere, with seven or eight.
/// Local numbers begin with 2 to 9.
pub(crate) fn landline_area_length(digits: &[u8]) -> Option<usize> {
    let (area, local_lengths) = match digits {
        [b'0', b'1', b'0', ..] | [b'0', b'2', ..] => (3, 8..=8),
        [b'0', b'3'..=b'9', ..] => (4, 7..=8),
        _ => return None,
    };
    let local = digits.get(area..)?;
    (local_lengths.contains(&local.len()) && matches!(local[0], b'2'..=b'9')).then_some(area)
}

/// The ASCII digit of a digit of ordinary or full width.
pub(crate) fn ascii_digit(character: char) -> Option<u8> {
    match character {
        '0'..='9' => Some(character as u8),
        '０'..='９' => Some(b'0' + (character as u32 - '０' as u32) as u8),
        _ => None,
    }
}

/// Spaces, hyphens, and the invisible marks that come along when a number is copied from a contact card.
fn is_ignored(character: char) -> bool {
    character.is_whitespace()
        || matches!(character, '-' | '‐' | '‑' | '–' | '—' | '－')
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{feff}')
}

impl TryFrom<String> for Phone {
    type Error = PhoneError;

    fn try_from(text: String) -> Result<Phone, PhoneError> {
        text.parse()
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phone(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_form_for_every_way_of_writing() {
        let table = [
            ("13812341234", "13812341234"),
            (" 138 1234 1234 ", "13812341234"),
            ("138-1234-1234", "13812341234"),
            ("１３８１２３４１２３４", "13812341234"),
            ("+86 138-1234-1234", "13812341234"),
            ("＋８６１３８１２３４１２３４", "13812341234"),
            ("008613812341234", "13812341234"),
            ("8613812341234", "13812341234"),
            ("\u{202d}138\u{3000}1234—1234\u{202c}", "13812341234"),
            ("19912341234", "19912341234"),
            ("0354-4123123", "03544123123"),
            ("03544123123", "03544123123"),
            ("0354 4123 1234", "035441231234"),
            ("+86 354 4123123", "03544123123"),
            ("0086-0354-4123123", "03544123123"),
            ("86-10-8123-4567", "01081234567"),
            ("010-81234567", "01081234567"),
            ("021 6123 4567", "02161234567"),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse::<Phone>().unwrap().as_str(), expected, "{text}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        let table = [
            ("", PhoneError::Empty),
            (" \u{3000}- ", PhoneError::Empty),
            ("+", PhoneError::Foreign),
            ("+1 202 555 0100", PhoneError::Foreign),
            ("+0086 13812341234", PhoneError::Foreign),
            ("138a1234123", PhoneError::Character),
            ("138+12341234", PhoneError::Character),
            ("++8613812341234", PhoneError::Character),
            ("0354.4123123", PhoneError::Character),
            ("一三八一二三四一二三四", PhoneError::Character),
            ("12812341234", PhoneError::Unknown),
            ("1381234123", PhoneError::Unknown),
            ("138123412345", PhoneError::Unknown),
            ("4123123", PhoneError::Unknown),
            ("110", PhoneError::Unknown),
            ("12345", PhoneError::Unknown),
            ("010-8123456", PhoneError::Unknown),
            ("0354-412312", PhoneError::Unknown),
            ("0354-412312345", PhoneError::Unknown),
            ("0354-1123123", PhoneError::Unknown),
            ("0111-4123123", PhoneError::Unknown),
            ("00000000000", PhoneError::Unknown),
            ("86", PhoneError::Unknown),
        ];
        for (text, error) in table {
            assert_eq!(text.parse::<Phone>(), Err(error), "{text}");
        }
        assert_eq!("1".repeat(1000).parse::<Phone>(), Err(PhoneError::Unknown));
    }

    #[test]
    fn masks_the_middle() {
        let masked = |text: &str| text.parse::<Phone>().unwrap().masked();
        assert_eq!(masked("13812341234"), "138****1234");
        assert_eq!(masked("0354-4567123"), "0354****123");
        assert_eq!(masked("0354-45678123"), "0354*****123");
        assert_eq!(masked("010-45678123"), "010*****123");
    }

    #[test]
    fn debug_and_errors_keep_silent() {
        let phone: Phone = "13812341234".parse().unwrap();
        assert_eq!(format!("{phone:?}"), "Phone(hidden)");
        let error = serde_json::from_str::<Phone>("\"1381234123\"").unwrap_err().to_string();
        assert!(!error.contains("138"), "{error}");
        assert_eq!(serde_json::from_str::<Phone>("\"138 1234 1234\"").unwrap(), phone);
    }

    proptest! {
        #[test]
        fn every_mobile_is_taken_however_grouped(digits in "1[3-9][0-9]{9}", cuts in prop::collection::vec(0usize..12, 0..4), prefix in 0usize..4) {
            let mut text = digits.clone();
            for cut in cuts {
                text.insert(cut.min(text.len()), if cut % 2 == 0 { ' ' } else { '-' });
            }
            let text = format!("{}{text}", ["", "+86", "0086", "86"][prefix]);
            let phone: Phone = text.parse().unwrap();
            prop_assert_eq!(phone.as_str(), &digits);
            prop_assert!(phone.is_mobile());
        }

        #[test]
        fn every_landline_is_taken(digits in "(010[2-9][0-9]{7}|02[0-9][2-9][0-9]{7}|0[3-9][0-9]{2}[2-9][0-9]{6,7})") {
            let phone: Phone = digits.parse().unwrap();
            prop_assert_eq!(phone.as_str(), &digits);
            prop_assert!(!phone.is_mobile());
            prop_assert_eq!(format!("+86{}", &digits[1..]).parse(), Ok(phone));
        }

        #[test]
        fn never_panics_and_reads_its_own_form(text in "[+＋0-9０-９ -]{0,24}|.{0,24}") {
            if let Ok(phone) = text.parse::<Phone>() {
                prop_assert_eq!(phone.as_str().parse(), Ok(phone));
                prop_assert_eq!(phone.masked().len(), phone.as_str().len());
                prop_assert!(phone.masked().contains("****"));
            }
        }
    }
}
