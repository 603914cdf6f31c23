//! Personal data in the clear: the only types that hold it, and how they are sealed to their rows.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Ids;
use crate::error::AppError;
use crate::keys::{DataKey, Keys};

/// What is sealed with a person.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonPrivate {
    /// The full name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// The phone, normalised.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub phone: Option<String>,
}

/// What is sealed with an order, under its requester's key.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPrivate {
    /// The description as it was written.
    pub description: String,
    /// Whom to ask for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// The phone, normalised.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub phone: Option<String>,
    /// Where exactly.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub address: Option<String>,
}

/// The names on a certificate, sealed under its person's key.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificatePrivate {
    /// The person.
    pub name: String,
    /// The handler.
    pub handler: String,
    /// Random bytes that bind both to the certificate without telling them.
    pub salt: Vec<u8>,
}

macro_rules! hidden_in_debug {
    ($($name:ident),+) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )+};
}
hidden_in_debug!(PersonPrivate, OrderPrivate, CertificatePrivate);

/// Something that is sealed to a row of its kind.
pub trait Private: Serialize + for<'de> Deserialize<'de> {
    /// The label under which it is sealed.
    const LABEL: &'static str;

    /// Seals it to a row.
    fn seal(&self, key: &DataKey, row: Uuid, ids: &Ids) -> Vec<u8> {
        let text = serde_json::to_vec(self).expect("texts and options become JSON");
        key.seal(Self::LABEL, row, &text, ids)
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`AppError::Unsealable`] when the key or the row is another one.
    fn open(key: &DataKey, row: Uuid, sealed: &[u8]) -> Result<Self, AppError> {
        let text = key.open(Self::LABEL, row, sealed)?;
        serde_json::from_slice(&text).map_err(|_| AppError::Internal("a sealed text is no JSON".to_owned()))
    }
}

impl Private for PersonPrivate {
    const LABEL: &'static str = "person";
}

impl Private for OrderPrivate {
    const LABEL: &'static str = "order";
}

impl Private for CertificatePrivate {
    const LABEL: &'static str = "certificate";
}

impl PersonPrivate {
    /// Opens what is sealed with a person; nothing once he is erased.
    ///
    /// # Errors
    /// [`AppError::Unsealable`] when it was sealed by another key.
    pub fn of(
        keys: &Keys,
        person: Uuid,
        data_key: Option<&[u8]>,
        private: Option<&[u8]>,
    ) -> Result<PersonPrivate, AppError> {
        let (Some(wrapped), Some(sealed)) = (data_key, private) else { return Ok(PersonPrivate::default()) };
        PersonPrivate::open(&keys.data_key(person, wrapped)?, person, sealed)
    }
}

impl crate::App {
    /// The whole name of a person; none once he is erased, or where he gave none.
    pub(crate) fn whole_name(
        &self,
        person: Uuid,
        data_key: Option<&[u8]>,
        private: Option<&[u8]>,
    ) -> Result<Option<String>, AppError> {
        Ok(PersonPrivate::of(&self.keys, person, data_key, private)?.name)
    }
}
