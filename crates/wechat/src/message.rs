//! What a subscribed message may say.
//!
//! A template names its fields by kind and number (`thing1`, `date3`), and WeChat refuses the whole message when one
//! value breaks the rule of its kind. The rules are kept here, before anything is sent: [`Fields::put`] refuses,
//! [`Fields::put_fitted`] shortens what may be shortened. Nothing here does any IO.
//!
//! | kind | rule | shortened |
//! | --- | --- | --- |
//! | `thing` | ≤ 20 characters | yes, with `…` |
//! | `name` | ≤ 10 characters | yes, with `…` |
//! | `phrase` | ≤ 5 Chinese characters | yes, cut: `…` is not a Chinese character |
//! | `character_string` | ≤ 32 characters, no Chinese | no: half a number misleads |
//! | `number` | ≤ 32 digits | no |
//! | `date`, `time` | `2026年11月21日 15:01` ([`DATE_FORMAT`]); a date without clock; a time without date | no |
//! | `phone_number` | ≤ 17 digits, `+` and `-` | no |
//!
//! No value is empty or has a line break.

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeMap, Serializer};

/// How a date and time is written in a message, as a format of chrono.
pub const DATE_FORMAT: &str = "%Y年%m月%d日 %H:%M";

/// The kinds of fields, which are the names of the fields without their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// `thing`: words, at most 20 characters.
    Thing,
    /// `character_string`: digits, letters and symbols, at most 32.
    CharacterString,
    /// `phrase`: at most 5 Chinese characters.
    Phrase,
    /// `name`: at most 10 characters.
    Name,
    /// `number`: at most 32 digits.
    Number,
    /// `date`: a day, with or without the time of day.
    Date,
    /// `time`: a time of day, with or without the day.
    Time,
    /// `phone_number`: at most 17 digits and signs.
    PhoneNumber,
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {fault}")]
pub struct FieldFault {
    /// The field, as the template names it.
    pub key: String,
    /// What is wrong. The value itself is not repeated, for it may be personal.
    pub fault: FieldFaultKind,
}

/// Which rule a value breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FieldFaultKind {
    /// The name of the field is not a kind and a number.
    #[error("no such kind of field")]
    UnknownKind,
    /// Nothing, or nothing but blanks.
    #[error("is empty")]
    Empty,
    /// A line break or another control character.
    #[error("has a line break")]
    LineBreak,
    /// More characters than the kind takes.
    #[error("is longer than {0} characters")]
    TooLong(usize),
    /// A character, or an order of them, that the kind does not take.
    #[error("is not written as its kind demands")]
    NotOfItsKind,
}

impl FieldKind {
    const ALL: [(&'static str, Self); 8] = [
        ("thing", Self::Thing),
        ("character_string", Self::CharacterString),
        ("phrase", Self::Phrase),
        ("name", Self::Name),
        ("number", Self::Number),
        ("date", Self::Date),
        ("time", Self::Time),
        ("phone_number", Self::PhoneNumber),
    ];

    /// The kind of the field called `key`, such as `thing1`.
    pub fn of(key: &str) -> Option<Self> {
        let kind = key.trim_end_matches(|c: char| c.is_ascii_digit());
        let numbered = kind.len() < key.len();
        Self::ALL.iter().find(|(name, _)| numbered && *name == kind).map(|(_, kind)| *kind)
    }

    /// Most characters that a value of this kind has.
    pub fn longest(self) -> usize {
        match self {
            Self::Thing => 20,
            Self::CharacterString | Self::Number => 32,
            Self::Phrase => 5,
            Self::Name => 10,
            Self::Date | Self::Time => "2026年11月21日 15:01".chars().count(),
            Self::PhoneNumber => 17,
        }
    }

    /// Checks `value` by the rules of this kind.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(self, value: &str) -> Result<(), FieldFaultKind> {
        if value.trim().is_empty() {
            Err(FieldFaultKind::Empty)
        } else if value.chars().any(breaks_line) {
            Err(FieldFaultKind::LineBreak)
        } else if value.chars().count() > self.longest() {
            Err(FieldFaultKind::TooLong(self.longest()))
        } else if !self.is_written_well(value) {
            Err(FieldFaultKind::NotOfItsKind)
        } else {
            Ok(())
        }
    }

    /// `value` made to fit: line breaks and runs of blanks become one blank, and what is too long is cut where the
    /// kind allows it.
    ///
    /// # Errors
    /// The rule that it breaks even so.
    pub fn fit(self, value: &str) -> Result<String, FieldFaultKind> {
        let words: Vec<&str> = value.split(|c: char| c.is_whitespace() || breaks_line(c)).collect();
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let value = self.cut(words.join(" "));
        self.check(&value).map(|()| value)
    }

    fn cut(self, value: String) -> String {
        let longest = self.longest();
        if value.chars().count() <= longest {
            return value;
        }
        match self {
            Self::Thing | Self::Name => {
                let start: String = value.chars().take(longest - 1).collect();
                format!("{}…", start.trim_end())
            }
            Self::Phrase => value.chars().take(longest).collect(),
            _ => value,
        }
    }

    fn is_written_well(self, value: &str) -> bool {
        match self {
            Self::Thing | Self::Name => true,
            Self::CharacterString => value.chars().all(|c| c.is_ascii_graphic() || c == ' '),
            Self::Phrase => value.chars().all(is_chinese),
            Self::Number => value.chars().all(|c| c.is_ascii_digit()),
            Self::PhoneNumber => value.chars().all(|c| c.is_ascii_digit() || c == '-' || c == '+'),
            Self::Date => is_date(value) || is_date_and_clock(value),
            Self::Time => is_clock(value) || is_date_and_clock(value),
        }
    }
}

/// Line breaks of Unicode are no control characters, but WeChat draws them as breaks.
fn breaks_line(character: char) -> bool {
    character.is_control() || character == '\u{2028}' || character == '\u{2029}'
}

/// The blocks of Chinese characters in everyday use, with their first extension and the compatibility block.
fn is_chinese(character: char) -> bool {
    matches!(character, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}')
}

fn is_date_and_clock(value: &str) -> bool {
    value.split_once(' ').is_some_and(|(date, clock)| is_date(date) && is_clock(clock))
}

/// `2026年11月21日`.
fn is_date(value: &str) -> bool {
    let parts = || {
        let (year, rest) = value.split_once('年')?;
        let (month, rest) = rest.split_once('月')?;
        let day = rest.strip_suffix('日')?;
        Some(
            year.len() == 4
                && is_between(year, 0, 9999)
                && is_between(month, 1, 12)
                && is_between(day, 1, 31),
        )
    };
    parts().unwrap_or(false)
}

/// `15:01`.
fn is_clock(value: &str) -> bool {
    value.split_once(':').is_some_and(|(hour, minute)| {
        is_between(hour, 0, 23) && minute.len() == 2 && is_between(minute, 0, 59)
    })
}

fn is_between(digits: &str, least: u16, most: u16) -> bool {
    digits.chars().all(|c| c.is_ascii_digit())
        && digits.parse().is_ok_and(|n: u16| (least..=most).contains(&n))
}

/// The fields of one message; every one of them keeps its rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(BTreeMap<String, String>);

impl Fields {
    /// No fields yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the field `key` to `value` as it is.
    ///
    /// # Errors
    /// [`FieldFault`] when it breaks a rule; the fields are then unchanged.
    pub fn put(&mut self, key: &str, value: &str) -> Result<(), FieldFault> {
        let kept = kind_of(key).and_then(|kind| kind.check(value)).map(|()| value.to_owned());
        self.keep(key, kept)
    }

    /// Sets the field `key` to `value` made to fit, as [`FieldKind::fit`] does.
    ///
    /// # Errors
    /// [`FieldFault`] when it breaks a rule even so; the fields are then unchanged.
    pub fn put_fitted(&mut self, key: &str, value: &str) -> Result<(), FieldFault> {
        let kept = kind_of(key).and_then(|kind| kind.fit(value));
        self.keep(key, kept)
    }

    /// The fields, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    fn keep(&mut self, key: &str, value: Result<String, FieldFaultKind>) -> Result<(), FieldFault> {
        let value = value.map_err(|fault| FieldFault { key: key.to_owned(), fault })?;
        self.0.insert(key.to_owned(), value);
        Ok(())
    }
}

fn kind_of(key: &str) -> Result<FieldKind, FieldFaultKind> {
    FieldKind::of(key).ok_or(FieldFaultKind::UnknownKind)
}

impl Serialize for Fields {
    /// As WeChat wants it: `{"thing1": {"value": "…"}}`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, &BTreeMap::from([("value", value)]))?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEYS: [&str; 8] =
        ["thing1", "character_string2", "phrase3", "name4", "number5", "date6", "time7", "phone_number8"];

    #[test]
    fn kinds_are_named_by_their_fields() {
        for (key, (_, kind)) in KEYS.iter().zip(FieldKind::ALL) {
            assert_eq!(FieldKind::of(key), Some(kind), "{key}");
        }
        for unknown in ["", "thing", "1", "thing_1", "amount1", "things1", "Thing1", "thing1.value"] {
            assert_eq!(FieldKind::of(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn good_values_pass() {
        let long_thing = "字".repeat(20);
        let good = [
            ("thing1", long_thing.as_str()),
            ("thing1", "水管漏水, 3 号楼!"),
            ("character_string2", "XY-20261121-0007 A"),
            ("phrase3", "已派单"),
            ("phrase3", "等待您评价"),
            ("name4", "欧阳某"),
            ("number5", "00012"),
            ("date6", "2026年11月21日 15:01"),
            ("date6", "2026年1月2日"),
            ("time7", "15:01"),
            ("time7", "2026年01月02日 09:05"),
            ("phone_number8", "+86-0354-4120000"),
        ];
        for (key, value) in good {
            assert_eq!(Fields::new().put(key, value), Ok(()), "{key} {value}");
        }
    }

    #[test]
    fn bad_values_are_refused_by_the_rule_they_break() {
        use FieldFaultKind::{Empty, LineBreak, NotOfItsKind, TooLong, UnknownKind};
        let (long_thing, long_string) = ("字".repeat(21), "a".repeat(33));
        let bad = [
            ("thing1", "", Empty),
            ("thing1", " \u{3000}", Empty),
            ("thing1", "一\n二", LineBreak),
            ("thing1", "一\u{2028}二", LineBreak),
            ("thing1", long_thing.as_str(), TooLong(20)),
            ("character_string2", long_string.as_str(), TooLong(32)),
            ("character_string2", "单号7", NotOfItsKind),
            ("phrase3", "已经派单了吗", TooLong(5)),
            ("phrase3", "派单A", NotOfItsKind),
            ("name4", "一二三四五六七八九十一", TooLong(10)),
            ("number5", "1.5", NotOfItsKind),
            ("number5", "-1", NotOfItsKind),
            ("date6", "2026-11-21", NotOfItsKind),
            ("date6", "2026年13月1日", NotOfItsKind),
            ("date6", "15:01", NotOfItsKind),
            ("date6", "2026年11月21日  15:01", TooLong(17)),
            ("time7", "24:00", NotOfItsKind),
            ("time7", "9:5", NotOfItsKind),
            ("time7", "2026年11月21日", NotOfItsKind),
            ("phone_number8", "0354 4120000", NotOfItsKind),
            ("phone_number8", "+86-0354-412000012", TooLong(17)),
            ("letter9", "A", UnknownKind),
        ];
        for (key, value, fault) in bad {
            let refused = Fields::new().put(key, value);
            assert_eq!(refused, Err(FieldFault { key: key.to_owned(), fault }), "{key} {value}");
        }
    }

    #[test]
    fn a_refused_value_changes_nothing_and_is_not_repeated() {
        let mut fields = Fields::new();
        fields.put("thing1", "好").unwrap();
        let before = fields.clone();
        let fault = fields.put("phone_number8", "13800138000/secret").unwrap_err();
        assert_eq!(fields, before);
        assert!(!fault.to_string().contains("138"), "{fault}");
    }

    #[test]
    fn what_may_be_cut_is_cut() {
        let fit = |kind: FieldKind, value| kind.fit(value);
        let cut = fit(FieldKind::Thing, "三号楼二单元水管漏水，楼道积水，老人出行困难").unwrap();
        assert_eq!(cut, "三号楼二单元水管漏水，楼道积水，老人出…");
        assert_eq!(fit(FieldKind::Thing, " 一\r\n\r\n二\t三 ").unwrap(), "一 二 三");
        assert_eq!(fit(FieldKind::Name, "一二三四五六七八九十一").unwrap(), "一二三四五六七八九…");
        assert_eq!(fit(FieldKind::Phrase, "已经派单了吗").unwrap(), "已经派单了");
        let number = "1".repeat(33);
        assert_eq!(fit(FieldKind::Number, &number), Err(FieldFaultKind::TooLong(32)));
        assert_eq!(fit(FieldKind::CharacterString, &number), Err(FieldFaultKind::TooLong(32)));
        assert_eq!(fit(FieldKind::Thing, "\n"), Err(FieldFaultKind::Empty));
    }

    #[test]
    fn fields_are_written_as_wechat_wants_them() {
        let mut fields = Fields::new();
        fields.put("thing1", "修水管").unwrap();
        fields.put_fitted("phrase3", "已派单").unwrap();
        let written = serde_json::to_string(&fields).unwrap();
        assert_eq!(written, r#"{"phrase3":{"value":"已派单"},"thing1":{"value":"修水管"}}"#);
    }

    proptest! {
        #[test]
        fn whatever_fits_keeps_the_rules(index in 0..KEYS.len(), value in any::<String>()) {
            let kind = FieldKind::of(KEYS[index]).unwrap();
            if let Ok(fitted) = kind.fit(&value) {
                prop_assert_eq!(kind.check(&fitted), Ok(()));
                prop_assert_eq!(kind.fit(&fitted), Ok(fitted));
            }
        }

        #[test]
        fn any_words_fit_a_thing(value in "\\PC{0,60}") {
            let fitted = FieldKind::Thing.fit(&value);
            let plain = value.split_whitespace().collect::<Vec<_>>().join(" ");
            match fitted {
                Ok(fitted) if plain.chars().count() <= 20 => prop_assert_eq!(fitted, plain),
                Ok(fitted) => {
                    let kept = fitted.strip_suffix('…').unwrap();
                    prop_assert!(plain.starts_with(kept));
                    prop_assert!(kept.chars().count() >= 18);
                }
                Err(fault) => {
                    prop_assert_eq!(fault, FieldFaultKind::Empty);
                    prop_assert!(plain.is_empty());
                }
            }
        }

        #[test]
        fn what_passes_unchanged_is_left_unchanged(value in "[一-龥a-z]{1,20}") {
            prop_assert_eq!(FieldKind::Thing.check(&value), Ok(()));
            prop_assert_eq!(FieldKind::Thing.fit(&value), Ok(value));
        }
    }
}
