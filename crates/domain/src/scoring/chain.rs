//! The chains that make the ledger tamper-evident: what is hashed, in which order (`docs/scoring.md`).
//!
//! Every entry of an account that belongs to somebody is a link of that account's chain:
//!
//! - [`digest`]: SHA-256 of a whole transaction, every column of it and of all its entries;
//! - [`leaf`]: SHA-256 of that digest and the entry's id, so that one transaction has a leaf per entry;
//! - [`Chain::next`]: the first link is its leaf; link `n` is SHA-256 of link `n - 1`, `n` and its leaf.
//!
//! Accounts of nobody (issuance, void) have no chain, because every award in the county would wait for it. Their
//! entries are inside the digests of their transactions, and each transaction has an entry of somebody.
//!
//! A [`RootHasher`] sums up the heads of all chains; what it answers is kept outside the database.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A SHA-256.
pub type Hash = [u8; 32];

/// What a transaction says, column by column, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionContent<'a> {
    /// The id.
    pub id: Uuid,
    /// The county.
    pub county: &'a str,
    /// Its cause.
    pub cause: &'a str,
    /// What sort of thing it came from.
    pub source_type: &'a str,
    /// Which one.
    pub source_id: Uuid,
    /// The rule.
    pub rule_code: &'a str,
    /// The rule's version.
    pub rule_version: i32,
    /// The inputs, as the JSON text that is stored.
    pub inputs: &'a str,
    /// The area as of the event.
    pub area: &'a str,
    /// Who decided.
    pub decided_by: Option<Uuid>,
    /// The transaction that this one answers.
    pub reverses: Option<Uuid>,
    /// When it happened.
    pub at: DateTime<Utc>,
}

/// What an entry says, column by column, but for its place in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryContent<'a> {
    /// The id.
    pub id: Uuid,
    /// The county.
    pub county: &'a str,
    /// The account's kind.
    pub kind: &'a str,
    /// The account's purse.
    pub purse: &'a str,
    /// The account's owner.
    pub owner: Option<Uuid>,
    /// The points.
    pub points: i64,
}

/// Room for a transaction with four entries, as it is hashed.
const USUAL_LENGTH: usize = 1_024;

/// The digest of a transaction with its entries, which stand in the order of their ids.
///
/// Texts and optional ids carry their length, so that nothing can be moved from one column into the next. The columns are
/// put together first: SHA-256 takes one long piece in less time than sixty short ones.
pub fn digest<'a>(
    transaction: &TransactionContent<'_>,
    entries: impl IntoIterator<Item = EntryContent<'a>>,
) -> Hash {
    let mut columns = Vec::with_capacity(USUAL_LENGTH);
    columns.put(b"xingfuma score transaction 1\0");
    columns.put(transaction.id.as_bytes());
    text(&mut columns, transaction.county);
    text(&mut columns, transaction.cause);
    text(&mut columns, transaction.source_type);
    columns.put(transaction.source_id.as_bytes());
    text(&mut columns, transaction.rule_code);
    columns.put(&transaction.rule_version.to_be_bytes());
    text(&mut columns, transaction.inputs);
    text(&mut columns, transaction.area);
    id(&mut columns, transaction.decided_by);
    id(&mut columns, transaction.reverses);
    time(&mut columns, transaction.at);
    for entry in entries {
        columns.put(entry.id.as_bytes());
        text(&mut columns, entry.county);
        text(&mut columns, entry.kind);
        text(&mut columns, entry.purse);
        id(&mut columns, entry.owner);
        columns.put(&entry.points.to_be_bytes());
    }
    Sha256::digest(&columns).into()
}

/// Where the columns of a seal go: into a hash, or into what will be hashed.
pub(crate) trait Columns {
    /// Adds bytes as they are.
    fn put(&mut self, bytes: &[u8]);
}

impl Columns for Sha256 {
    fn put(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }
}

impl Columns for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// A text with its length before it. This and the two below are how every seal of the program writes a column.
pub(crate) fn text(columns: &mut impl Columns, text: &str) {
    columns.put(&(text.len() as u64).to_be_bytes());
    columns.put(text.as_bytes());
}

pub(crate) fn id(columns: &mut impl Columns, id: Option<Uuid>) {
    match id {
        Some(id) => {
            columns.put(&[1]);
            columns.put(id.as_bytes());
        }
        None => columns.put(&[0]),
    }
}

/// Seconds and nanoseconds: finer than either database keeps, so that no change of a time is too small to be seen.
pub(crate) fn time(columns: &mut impl Columns, at: DateTime<Utc>) {
    columns.put(&at.timestamp().to_be_bytes());
    columns.put(&at.timestamp_subsec_nanos().to_be_bytes());
}

/// What an entry adds to its account's chain, from the digest of its transaction and its id.
pub fn leaf(digest: &Hash, entry: Uuid) -> Hash {
    let mut sha = Sha256::new();
    sha.update(digest);
    sha.update(entry.as_bytes());
    sha.finalize().into()
}

/// How far an account's chain goes: the number of its last link, and that link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chain {
    /// How many links it has.
    pub seq: i64,
    /// The last link; zeros where there is none.
    pub head: Hash,
}

impl Chain {
    /// The chain with one more link. PostgreSQL computes the same inside the statement that moves the balance.
    #[must_use]
    pub fn next(&self, leaf: &Hash) -> Chain {
        let seq = self.seq.saturating_add(1);
        if self.seq == 0 {
            return Chain { seq, head: *leaf };
        }
        let mut sha = Sha256::new();
        sha.update(self.head);
        sha.update(seq.to_be_bytes());
        sha.update(leaf);
        Chain { seq, head: sha.finalize().into() }
    }
}

/// Sums up chains that have grown since the root before, one after another, in the order of owner, kind and purse.
#[derive(Debug, Clone)]
pub struct RootHasher(Sha256);

impl RootHasher {
    /// Begins root `number` (from 1) of a county, taken at a moment, after the root before it (zeros for the first).
    pub fn new(county: &str, number: i64, at: DateTime<Utc>, previous: &Hash) -> Self {
        let mut sha = Sha256::new();
        sha.update(b"xingfuma score root 1\0");
        text(&mut sha, county);
        sha.update(number.to_be_bytes());
        time(&mut sha, at);
        sha.update(previous);
        Self(sha)
    }

    /// Adds the head of one account's chain.
    pub fn add(&mut self, owner: Uuid, kind: &str, purse: &str, chain: &Chain) {
        self.0.update(owner.as_bytes());
        text(&mut self.0, kind);
        text(&mut self.0, purse);
        self.0.update(chain.seq.to_be_bytes());
        self.0.update(chain.head);
    }

    /// The root.
    pub fn finish(self) -> Hash {
        self.0.finalize().into()
    }
}

/// A hash in lower-case hexadecimal digits.
pub fn hex(hash: &[u8]) -> String {
    use std::fmt::Write as _;
    hash.iter().fold(String::with_capacity(hash.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transaction() -> TransactionContent<'static> {
        TransactionContent {
            id: Uuid::from_u128(1),
            county: "140724",
            cause: "609",
            source_type: "order",
            source_id: Uuid::from_u128(2),
            rule_code: "609",
            rule_version: 1,
            inputs: "{}",
            area: "140724104",
            decided_by: None,
            reverses: None,
            at: "2026-03-05T01:00:00Z".parse().expect("an instant"),
        }
    }

    fn entries() -> [EntryContent<'static>; 2] {
        let entry = |id: u128, kind, owner, points| EntryContent {
            id: Uuid::from_u128(id),
            county: "140724",
            kind,
            purse: "assessment",
            owner,
            points,
        };
        [entry(10, "issuance", None, -3), entry(11, "person", Some(Uuid::from_u128(7)), 3)]
    }

    /// The digest that the documentation's recipe gives, so that no change of the code changes it unseen.
    #[test]
    fn the_digest_is_the_one_that_was_written_down() {
        let digest = digest(&transaction(), entries());
        let leaf = leaf(&digest, Uuid::from_u128(11));
        let second = Chain::default().next(&leaf).next(&leaf);
        assert_eq!(hex(&digest), DIGEST);
        assert_eq!(hex(&leaf), LEAF);
        assert_eq!((second.seq, hex(&second.head).as_str()), (2, SECOND));
    }

    const DIGEST: &str = "c13f3c6c209824692a82049621903099411178140559cd2539a51a618f54d68d";
    const LEAF: &str = "ad01c3545ccab4123cb298b58bfd17eb632051dbb1fd6c8fc17ac70c4071a019";
    const SECOND: &str = "d91a108383c3d1fbac303572317cbaf73973d829e8fcd225ba46c5ac488f1a3c";

    #[test]
    fn every_column_changes_the_digest() {
        let plain = transaction();
        let other = Uuid::from_u128(99);
        let changed = [
            TransactionContent { id: other, ..plain },
            TransactionContent { county: "140725", ..plain },
            TransactionContent { cause: "610", ..plain },
            TransactionContent { source_type: "claim", ..plain },
            TransactionContent { source_id: other, ..plain },
            TransactionContent { rule_code: "610", ..plain },
            TransactionContent { rule_version: 2, ..plain },
            TransactionContent { inputs: "{ }", ..plain },
            TransactionContent { area: "140724105", ..plain },
            TransactionContent { decided_by: Some(other), ..plain },
            TransactionContent { reverses: Some(other), ..plain },
            TransactionContent { at: plain.at + chrono::TimeDelta::nanoseconds(1), ..plain },
            // One letter moved from one column into the next.
            TransactionContent { rule_code: "6", cause: "60960", ..plain },
        ];
        let [first, second] = entries();
        let changed_entries = [
            vec![first],
            vec![second, first],
            vec![first, second, second],
            vec![first, EntryContent { id: other, ..second }],
            vec![first, EntryContent { county: "140725", ..second }],
            vec![first, EntryContent { kind: "hold", ..second }],
            vec![first, EntryContent { purse: "spendable", ..second }],
            vec![first, EntryContent { owner: Some(other), ..second }],
            vec![first, EntryContent { points: 4, ..second }],
        ];
        let mut seen = std::collections::BTreeSet::from([digest(&plain, entries())]);
        for transaction in &changed {
            assert!(seen.insert(digest(transaction, entries())), "{transaction:?}");
        }
        for entries in changed_entries {
            assert!(seen.insert(digest(&plain, entries.clone())), "{entries:?}");
        }
    }

    #[test]
    fn a_link_depends_on_all_before_it_and_on_its_number() {
        let leaf = |n: u8| [n; 32];
        let chain = |leaves: &[u8]| leaves.iter().fold(Chain::default(), |chain, n| chain.next(&leaf(*n)));
        assert_eq!(chain(&[1]), Chain { seq: 1, head: leaf(1) });
        assert_ne!(chain(&[1, 2]).head, chain(&[2, 1]).head);
        assert_ne!(chain(&[1, 2, 3]).head, chain(&[1, 9, 3]).head);
        let moved = Chain { seq: 5, ..chain(&[1]) };
        assert_ne!(moved.next(&leaf(2)).head, chain(&[1, 2]).head);
    }

    #[test]
    fn a_root_depends_on_its_place_and_on_every_head() {
        let at = transaction().at;
        let chain = Chain { seq: 3, head: [4; 32] };
        let root = |county, number, at, previous: u8, heads: &[(u128, &str, &str, Chain)]| {
            let mut root = RootHasher::new(county, number, at, &[previous; 32]);
            for (owner, kind, purse, chain) in heads {
                root.add(Uuid::from_u128(*owner), kind, purse, chain);
            }
            root.finish()
        };
        let head = (7, "person", "spendable", chain);
        let later = at + chrono::TimeDelta::milliseconds(1);
        let roots = [
            root("140724", 1, at, 0, &[head]),
            root("140725", 1, at, 0, &[head]),
            root("140724", 2, at, 0, &[head]),
            root("140724", 1, later, 0, &[head]),
            root("140724", 1, at, 1, &[head]),
            root("140724", 1, at, 0, &[]),
            root("140724", 1, at, 0, &[(8, "person", "spendable", chain)]),
            root("140724", 1, at, 0, &[(7, "hold", "spendable", chain)]),
            root("140724", 1, at, 0, &[(7, "person", "assessment", chain)]),
            root("140724", 1, at, 0, &[(7, "person", "spendable", Chain { seq: 4, ..chain })]),
            root("140724", 1, at, 0, &[(7, "person", "spendable", Chain { head: [5; 32], ..chain })]),
        ];
        assert_eq!(roots.iter().collect::<std::collections::BTreeSet<_>>().len(), roots.len());
    }
}
