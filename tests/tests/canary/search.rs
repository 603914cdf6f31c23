//! Many needles in much hay: one pass over the bytes, whatever the number of needles.

use std::{collections::HashMap, sync::Arc};

use super::birds::Bird;

/// Bytes that every needle has at least; by these it is found.
const SHORTEST: usize = 6;

/// Bytes that may hold something, and where they are from.
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// What must not be found.
pub(crate) struct Needles {
    needles: Vec<(String, Vec<u8>)>,
    by_beginning: HashMap<[u8; SHORTEST], Vec<usize>>,
    /// Whether any needle begins with these two bytes: rules out nearly everything at once.
    first_two: Vec<bool>,
}

impl Needles {
    /// Every phone as it can be typed, every given name, every lane, in every encoding in which they may be kept.
    pub(crate) fn of(birds: &[Arc<Bird>]) -> Self {
        let mut needles = Vec::new();
        for bird in birds {
            let mut secrets = bird.typed_phones();
            secrets.extend([bird.given_name.clone(), bird.lane.clone()]);
            for secret in secrets {
                for (encoding, bytes) in encodings(&secret) {
                    needles.push((format!("{secret} ({encoding}) of {}", bird.number), bytes));
                }
            }
        }
        let mut by_beginning: HashMap<_, Vec<usize>> = HashMap::new();
        let mut first_two = vec![false; 1 << 16];
        for (index, (_, bytes)) in needles.iter().enumerate() {
            let beginning = bytes[..SHORTEST].try_into().expect("as many bytes");
            by_beginning.entry(beginning).or_default().push(index);
            first_two[usize::from(u16::from_be_bytes([bytes[0], bytes[1]]))] = true;
        }
        Self { needles, by_beginning, first_two }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.needles.len()
    }

    /// Each needle that is in this place, once, with what stands around it.
    pub(crate) fn find(&self, place: &Place) -> Vec<String> {
        let bytes = &place.bytes;
        let mut found = HashMap::new();
        for start in 0..bytes.len().saturating_sub(SHORTEST - 1) {
            if !self.first_two[usize::from(u16::from_be_bytes([bytes[start], bytes[start + 1]]))] {
                continue;
            }
            let beginning: &[u8; SHORTEST] =
                bytes[start..start + SHORTEST].try_into().expect("as many bytes");
            for index in self.by_beginning.get(beginning).into_iter().flatten() {
                if bytes[start..].starts_with(&self.needles[*index].1) {
                    found.entry(*index).or_insert(start);
                }
            }
        }
        found.into_iter().map(|(index, start)| self.tell(place, index, start)).collect()
    }

    fn tell(&self, place: &Place, index: usize, start: usize) -> String {
        let around = &place.bytes[start.saturating_sub(90)..place.bytes.len().min(start + 90)];
        let around = String::from_utf8_lossy(around).replace(char::is_control, " ");
        format!("{}: {}\n    …{around}…", place.name, self.needles[index].0)
    }
}

/// Whether `needle` stands in `hay`.
pub(crate) fn contains(hay: &[u8], needle: &[u8]) -> bool {
    hay.windows(needle.len()).any(|window| window == needle)
}

fn encodings(secret: &str) -> Vec<(&'static str, Vec<u8>)> {
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut all = vec![("plain", secret.as_bytes().to_vec()), ("hexadecimal", hex.into_bytes())];
    if !secret.is_ascii() {
        let escaped: String = secret.chars().map(|letter| format!("\\u{:04x}", u32::from(letter))).collect();
        let percent: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
        all.push(("escaped, capital", escaped.to_uppercase().replace("\\U", "\\u").into_bytes()));
        all.push(("escaped", escaped.into_bytes()));
        all.push(("percent", percent.into_bytes()));
    }
    all.extend((0..3).map(|shift| ("base64", base64_at(secret.as_bytes(), shift))));
    all.retain(|(_, bytes)| bytes.len() >= SHORTEST);
    all
}

/// The characters of base64 that stand for these bytes alone, when so many bytes stand before them.
fn base64_at(bytes: &[u8], shift: usize) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let skipped = (6 - shift * 8 % 6) % 6;
    let groups = bits[skipped..].chunks_exact(6);
    groups.map(|group| LETTERS[group.iter().fold(0, |sum, bit| sum * 2 + usize::from(*bit))]).collect()
}

#[test]
fn finds_what_is_there() {
    let birds = super::birds::flock();
    let needles = Needles::of(&birds);
    let find = |bytes: &[u8]| needles.find(&Place { name: "here".to_owned(), bytes: bytes.to_vec() });
    assert!(find(b"").is_empty() && find("什么都没有 13812345678".as_bytes()).is_empty());
    assert_eq!(find(birds[3].phone.as_bytes()).len(), 1);
    assert_eq!(find(format!("x{}y", birds[66].name).as_bytes()).len(), 1);
    assert_eq!(find(birds[5].words(0).as_bytes()).len(), 3);
    assert_eq!(base64_at(b"foobar", 0), b"Zm9vYmFy");
    // "xfoobar" is eGZvb2Jhcg==, "xyfoobar" is eHlmb29iYXI=.
    assert!(contains(b"eGZvb2Jhcg==", &base64_at(b"foobar", 1)));
    assert!(contains(b"eHlmb29iYXI=", &base64_at(b"foobar", 2)));
}
