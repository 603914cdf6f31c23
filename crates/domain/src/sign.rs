//! Sign codes: what a 标识牌 (the plate in a grid) carries in its QR code and prints below it.
//!
//! Eight characters of Crockford's base32 (no I, L, O, U): seven random ones and a check character. A resident may type
//! the code from a weathered plate or say it over the phone, so reading is forgiving and the check is strict.
//!
//! The check: each character is an element of the field GF(32), and a code `c0 … c7` is right when
//! `c0·α⁷ + c1·α⁶ + … + c6·α + c7 = 0`, where α generates the field. One wrong character changes the sum by a non-zero
//! multiple of a power of α, and two exchanged ones by `(a + b)(αⁱ + αʲ)`, which is zero only if the two are equal. So
//! every single error, every exchange of any two characters and every adjacent pair mistaken for another (`AA` for `BB`)
//! is found; of entirely random codes one in 32 passes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

/// Crockford's base32 alphabet; a character's place in it is its value.
pub(crate) const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Characters of a code, the check character included.
const LENGTH: usize = 8;

/// Why a text is not a [`SignCode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignCodeError {
    /// Too short or too long, not counting hyphens and surrounding spaces.
    #[error("a sign code has {LENGTH} characters")]
    Length,
    /// A character is not in the alphabet.
    #[error("a sign code has only digits and letters without U")]
    Character,
    /// The check character does not fit: something was mistyped.
    #[error("the check character of the sign code does not fit")]
    Check,
}

/// The code of a sign, always valid. Prints as eight upper-case characters without hyphens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct SignCode {
    text: [u8; LENGTH],
}

impl SignCode {
    /// How many random bits a code carries.
    pub const RANDOM_BITS: u32 = 35;

    /// The code for the lowest 35 bits of `random`; the bits above are ignored.
    pub fn from_random(random: u64) -> SignCode {
        let mut values = [0; LENGTH];
        for (place, value) in values[..LENGTH - 1].iter_mut().enumerate() {
            *value = ((random >> (5 * (LENGTH - 2 - place))) & 31) as u8;
        }
        values[LENGTH - 1] = weighted_sum(&values); // the check character has weight 1 and is 0 so far
        SignCode { text: values.map(|value| ALPHABET[usize::from(value)]) }
    }

    /// The eight characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text).unwrap_or_default() // only characters of the alphabet ever get in
    }
}

impl FromStr for SignCode {
    type Err = SignCodeError;

    /// Takes either case, I and L for 1, O for 0, hyphens anywhere and spaces around.
    fn from_str(text: &str) -> Result<SignCode, SignCodeError> {
        let mut values = [0; LENGTH];
        let mut count = 0;
        for character in text.trim().chars().filter(|character| *character != '-') {
            let value = value_of(character).ok_or(SignCodeError::Character)?;
            *values.get_mut(count).ok_or(SignCodeError::Length)? = value;
            count += 1;
        }
        if count < LENGTH {
            return Err(SignCodeError::Length);
        }
        if weighted_sum(&values) != 0 {
            return Err(SignCodeError::Check);
        }
        Ok(SignCode { text: values.map(|value| ALPHABET[usize::from(value)]) })
    }
}

pub(crate) fn value_of(character: char) -> Option<u8> {
    let upper = match character.to_ascii_uppercase() {
        'I' | 'L' => '1',
        'O' => '0',
        other => other,
    };
    ALPHABET.iter().position(|symbol| char::from(*symbol) == upper).map(|value| value as u8)
}

/// The sum over GF(32) by Horner's rule.
pub(crate) fn weighted_sum(values: &[u8]) -> u8 {
    values.iter().fold(0, |sum, value| times_alpha(sum) ^ value)
}

/// Multiplies by α in GF(32) = GF(2)[α] / (α⁵ + α² + 1); that polynomial is primitive.
fn times_alpha(value: u8) -> u8 {
    let doubled = value << 1;
    if doubled & 0b10_0000 == 0 { doubled } else { doubled ^ 0b10_0101 }
}

impl TryFrom<String> for SignCode {
    type Error = SignCodeError;

    fn try_from(text: String) -> Result<SignCode, SignCodeError> {
        text.parse()
    }
}

impl Serialize for SignCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for SignCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for SignCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignCode({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Some codes to damage. The check is linear, so one would do; several guard against a mistake in that thought.
    fn samples() -> Vec<SignCode> {
        [0, 1, 0x7_FFFF_FFFF, 0x2_5A5A_5A5A, 0x5_1234_5678, 31 << 30].map(SignCode::from_random).to_vec()
    }

    fn parse_bytes(text: [u8; LENGTH]) -> Result<SignCode, SignCodeError> {
        std::str::from_utf8(&text).unwrap().parse()
    }

    #[test]
    fn every_wrong_character_is_found() {
        let mut tried = 0;
        for sample in samples() {
            for place in 0..LENGTH {
                for symbol in ALPHABET.iter().filter(|symbol| **symbol != sample.text[place]) {
                    let mut text = sample.text;
                    text[place] = *symbol;
                    assert_eq!(parse_bytes(text), Err(SignCodeError::Check));
                    tried += 1;
                }
            }
        }
        assert_eq!(tried, 6 * 8 * 31);
    }

    #[test]
    fn every_exchange_and_every_twin_is_found() {
        let mut exchanged = 0;
        for sample in samples() {
            for (i, j) in (0..LENGTH).flat_map(|i| (i + 1..LENGTH).map(move |j| (i, j))) {
                for (a, b) in (0..32).flat_map(|a| (0..32).map(move |b| (a, b))).filter(|(a, b)| a != b) {
                    // Any code with a at i and b at j: a third place is set so that the check fits.
                    let third = (0..LENGTH).find(|place| *place != i && *place != j).unwrap();
                    let code = with_values(sample, &[(i, a), (j, b)], third);
                    assert!(parse_bytes(code).is_ok());
                    let mut swapped = code;
                    swapped.swap(i, j);
                    assert_eq!(parse_bytes(swapped), Err(SignCodeError::Check));
                    let twin = with_values(sample, &[(i, a), (j, a)], third);
                    let mut other_twin = twin;
                    other_twin[i] = ALPHABET[b];
                    other_twin[j] = ALPHABET[b];
                    assert_eq!(parse_bytes(other_twin), Err(SignCodeError::Check));
                    exchanged += 1;
                }
            }
        }
        assert_eq!(exchanged, 6 * 28 * 32 * 31);
    }

    fn with_values(sample: SignCode, set: &[(usize, usize)], free: usize) -> [u8; LENGTH] {
        let mut text = sample.text;
        for (place, value) in set {
            text[*place] = ALPHABET[*value];
        }
        let fitting = ALPHABET.iter().find(|symbol| {
            text[free] = **symbol;
            parse_bytes(text).is_ok()
        });
        text[free] = *fitting.unwrap();
        text
    }

    #[test]
    fn reads_what_people_type() {
        // 35 random bits 0 and the value 1 in the last of the seven: check character α, value 2.
        assert_eq!(SignCode::from_random(0).to_string(), "00000000");
        assert_eq!(SignCode::from_random(1).to_string(), "00000012");
        for text in ["00000012", " oOoOoOi2 ", "0000-00l2", "\u{3000}-0-0-0-0-0-0-L-2-\n", "OOOO-OOI2"] {
            assert_eq!(text.parse(), Ok(SignCode::from_random(1)), "{text}");
        }
        let table = [
            ("", SignCodeError::Length),
            ("0000001", SignCodeError::Length),
            ("000000120", SignCodeError::Length),
            ("0000001U", SignCodeError::Character),
            ("0000 0012", SignCodeError::Character),
            ("０0000012", SignCodeError::Character),
            ("00000013", SignCodeError::Check),
        ];
        for (text, error) in table {
            assert_eq!(text.parse::<SignCode>(), Err(error), "{text}");
        }
    }

    #[test]
    fn is_a_checked_string_in_json() {
        let code = SignCode::from_random(0x5_1234_5678);
        let json = serde_json::to_string(&code).unwrap();
        assert_eq!(json, format!("\"{code}\""));
        assert_eq!(serde_json::from_str::<SignCode>(&json).unwrap(), code);
        assert!(serde_json::from_str::<SignCode>("\"00000013\"").is_err());
    }

    proptest! {
        #[test]
        fn prints_and_reads_back(random in any::<u64>(), hyphen in 0usize..=8) {
            let code = SignCode::from_random(random);
            let mut text = code.to_string().to_lowercase();
            text.insert(hyphen, '-');
            prop_assert_eq!(text.parse::<SignCode>(), Ok(code));
            prop_assert_eq!(code, SignCode::from_random(random & ((1 << SignCode::RANDOM_BITS) - 1)));
        }

        #[test]
        fn different_bits_give_different_codes(a in any::<u64>(), b in any::<u64>()) {
            let mask = (1 << SignCode::RANDOM_BITS) - 1;
            prop_assert_eq!(a & mask == b & mask, SignCode::from_random(a) == SignCode::from_random(b));
        }

        #[test]
        fn never_panics(text in ".{0,16}") {
            if let Ok(code) = text.parse::<SignCode>() {
                prop_assert_eq!(code.as_str().parse(), Ok(code));
            }
        }
    }
}
