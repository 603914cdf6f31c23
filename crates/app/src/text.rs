//! Texts as they come from outside: checked for length and characters that no person types, trimmed, and masked
//! before they are stored in clear.

use std::borrow::Cow;

use xingfuma_domain::masking::Masked;
use xingfuma_domain::masking::known::{Known, mask_knowing};
use xingfuma_domain::phone::Phone;

use crate::error::{AppError, FieldFault};
use crate::privacy::{OrderPrivate, PersonPrivate};

/// Gathers what is wrong with the fields of one request, so that the caller learns all of it at once.
#[derive(Debug, Default)]
pub struct Fields(Vec<FieldFault>);

impl Fields {
    /// Notes a fault.
    pub fn fault(&mut self, field: impl Into<Cow<'static, str>>, code: &'static str) {
        self.0.push(FieldFault { field: field.into(), code });
    }

    /// A text that must be there.
    pub fn text(&mut self, field: &'static str, text: &str, longest: usize) -> String {
        let kept = self.optional(field, Some(text), longest).unwrap_or_default();
        if kept.is_empty() && !self.0.iter().any(|fault| fault.field == field) {
            self.fault(field, "required");
        }
        kept
    }

    /// A text that may be missing; blank counts as missing.
    pub fn optional(&mut self, field: &'static str, text: Option<&str>, longest: usize) -> Option<String> {
        let text = text?;
        // Before trimming: some of them count as blanks.
        if text.chars().any(is_unwelcome) {
            self.fault(field, "control_character");
        }
        let text = text.trim();
        if text.chars().count() > longest {
            self.fault(field, "too_long");
        }
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// A phone that may be missing.
    pub fn phone(&mut self, field: &'static str, text: Option<&str>) -> Option<Phone> {
        let text = self.optional(field, text, 32)?;
        if text.chars().any(|letter| ('０'..='９').contains(&letter) || letter == '＋') {
            self.fault(field, "phone_fullwidth");
            return None;
        }
        let phone = text.parse().ok();
        if phone.is_none() {
            self.fault(field, "phone_invalid");
        }
        phone
    }

    /// The end: nothing, or all faults.
    ///
    /// # Errors
    /// [`AppError::Invalid`] with what was noted.
    pub fn check(self) -> Result<(), AppError> {
        if self.0.is_empty() { Ok(()) } else { Err(AppError::Invalid(self.0)) }
    }
}

/// Control characters other than line ends and tabs; marks that turn the direction of writing; what Unicode calls no
/// character.
pub(crate) fn is_unwelcome(letter: char) -> bool {
    let direction = matches!(letter, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let none = matches!(u32::from(letter) & 0xFFFF, 0xFFFE | 0xFFFF);
    (letter.is_control() && !matches!(letter, '\n' | '\r' | '\t')) || direction || none
}

/// Names and addresses that are recognisable in a text, because somebody gave them in fields of their own.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KnownWords {
    names: Vec<String>,
    addresses: Vec<String>,
}

impl std::fmt::Debug for KnownWords {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("KnownWords(…)")
    }
}

impl KnownWords {
    /// Those of a person.
    pub fn and_person(mut self, person: &PersonPrivate) -> KnownWords {
        self.names.extend(person.name.clone());
        self
    }

    /// Those of an order.
    pub fn and_order(mut self, order: &OrderPrivate) -> KnownWords {
        self.names.extend(order.name.clone());
        self.addresses.extend(order.address.clone());
        self
    }

    /// A free text as it may be stored in clear, with what was hidden in it.
    pub fn mask(&self, text: &str) -> Masked {
        mask_knowing(text, Known { names: &self.names, addresses: &self.addresses })
    }

    /// A free text as it may be stored in clear.
    pub fn masked(&self, text: &str) -> String {
        self.mask(text).text
    }
}

/// A free text as it may be stored in clear, where no names or addresses are known that it could repeat.
pub fn masked(text: &str) -> String {
    KnownWords::default().masked(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(of: impl FnOnce(&mut Fields)) -> Vec<(Cow<'static, str>, &'static str)> {
        let mut fields = Fields::default();
        of(&mut fields);
        fields.0.into_iter().map(|fault| (fault.field, fault.code)).collect()
    }

    #[test]
    fn each_bad_text_has_its_own_code() {
        assert_eq!(faults(|f| drop(f.text("a", "  ", 9))), [("a".into(), "required")]);
        assert_eq!(faults(|f| drop(f.text("a", "x\0y", 9))), [("a".into(), "control_character")]);
        assert_eq!(faults(|f| drop(f.text("a", "abc\u{202E}", 9))), [("a".into(), "control_character")]);
        assert_eq!(faults(|f| drop(f.text("a", "一二三四", 3))), [("a".into(), "too_long")]);
        let phone = |text| faults(|f| _ = f.phone("a", Some(text)));
        assert_eq!(phone("１３８１２３４５６７８"), [("a".into(), "phone_fullwidth")]);
        assert_eq!(phone("12"), [("a".into(), "phone_invalid")]);
        assert_eq!(phone("138 1234 5678"), []);
        assert_eq!(faults(|f| drop(f.text("a", "两行\n字", 9))), []);
    }
}
