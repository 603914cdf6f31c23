//! The seal of the audit log: what is hashed of a row, in which order, so that no row of it can be changed, taken out or
//! put in between without its chain showing it.
//!
//! A row's [`digest`] is a leaf of one [`Chain`](crate::scoring::chain::Chain) a county, as an account's entries are in
//! the ledger. Numbers are big-endian, a text is its length and its bytes, an optional value is a byte 0, or a byte 1 and
//! the value, a time is its seconds and nanoseconds.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::scoring::chain::{Hash, id, text, time};

/// A row of the audit log, as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowContent<'a> {
    /// The id.
    pub id: Uuid,
    /// The county.
    pub county: &'a str,
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub person: Option<Uuid>,
    /// What he did.
    pub action: &'a str,
    /// To what.
    pub resource: Uuid,
    /// Whose data it was.
    pub subject: Option<Uuid>,
    /// Why, masked.
    pub reason: Option<&'a str>,
}

/// The digest of a row: every column of it.
pub fn digest(row: &RowContent<'_>) -> Hash {
    let mut sha = Sha256::new();
    sha.update(b"xingfuma audit row 1\0");
    sha.update(row.id.as_bytes());
    text(&mut sha, row.county);
    time(&mut sha, row.at);
    id(&mut sha, row.person);
    text(&mut sha, row.action);
    sha.update(row.resource.as_bytes());
    id(&mut sha, row.subject);
    match row.reason {
        Some(reason) => {
            sha.update([1]);
            text(&mut sha, reason);
        }
        None => sha.update([0]),
    }
    sha.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> RowContent<'static> {
        RowContent {
            id: Uuid::from_u128(1),
            county: "140724",
            at: DateTime::from_timestamp(1_800_000_000, 1_000_000).expect("a moment"),
            person: Some(Uuid::from_u128(2)),
            action: "contact_revealed",
            resource: Uuid::from_u128(3),
            subject: Some(Uuid::from_u128(4)),
            reason: Some("核对情况"),
        }
    }

    #[test]
    fn every_column_is_in_the_digest() {
        let later = row().at + chrono::TimeDelta::nanoseconds(1);
        let rows = [
            row(),
            RowContent { id: Uuid::from_u128(9), ..row() },
            RowContent { county: "140725", ..row() },
            RowContent { at: later, ..row() },
            RowContent { person: None, ..row() },
            RowContent { person: Some(Uuid::from_u128(9)), ..row() },
            RowContent { action: "contact_opened", ..row() },
            RowContent { resource: Uuid::from_u128(9), ..row() },
            RowContent { subject: None, ..row() },
            RowContent { subject: row().person, person: row().subject, ..row() },
            RowContent { reason: None, ..row() },
            RowContent { reason: Some(""), ..row() },
        ];
        let digests: std::collections::HashSet<Hash> = rows.iter().map(digest).collect();
        assert_eq!(digests.len(), rows.len());
        assert_eq!(digest(&row()), digest(&row()));
    }

    #[test]
    fn nothing_can_be_moved_from_one_text_into_the_next() {
        let one = RowContent { county: "14072", action: "4x", ..row() };
        let other = RowContent { county: "140724", action: "x", ..row() };
        assert_ne!(digest(&one), digest(&other));
    }
}
