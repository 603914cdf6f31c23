//! Appending one posting: transaction, balances with the heads of their chains, entries. Three statements.
//!
//! The row of an account in `score_account` is the lock of its chain: whoever moves its balance learns, in the same
//! statement, which number and which hash his entry gets. Postings to one account thus queue up behind each other, as
//! they did for the balance alone; postings to different accounts never meet, because issuance and void have no row.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DatabaseBackend, FromQueryResult, Value};
use uuid::Uuid;
use xingfuma_domain::scoring::chain::{self, Chain, EntryContent, Hash, TransactionContent};
use xingfuma_domain::scoring::{Leg, Posting, ScoringFault};

use super::fault;
use crate::sql::{self, Rows};
use crate::{StoreError, unreadable};

/// What became of a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Booked {
    /// It stands in the ledger now.
    New,
    /// Its cause stood there already, or what it answers was answered already. Nothing was written.
    Known,
}

/// An account after a posting: what it holds, and its chain.
#[derive(Clone, Debug, FromQueryResult)]
struct AccountRow {
    owner_id: Uuid,
    kind: String,
    purse: String,
    balance: i64,
    seq: i64,
    head: Vec<u8>,
}

/// One leg that belongs to somebody, with what it adds to its chain.
pub(super) struct Owned<'a> {
    pub(super) leg: &'a Leg,
    owner: Uuid,
    leaf: Hash,
}

/// The id of a posting's `n`th entry (from 1): it sorts behind its transaction's and before the next one's.
pub(crate) fn entry_id(transaction: Uuid, n: u16) -> Uuid {
    Uuid::from_u128(transaction.as_u128() ^ u128::from(n))
}

/// What a posting is made into before it is written: its texts, and the digest that its links rest on.
pub(super) struct Prepared {
    id: Uuid,
    /// The county's code.
    pub(super) county: String,
    inputs: String,
    digest: Hash,
}

impl Prepared {
    pub(super) fn new(id: Uuid, posting: &Posting) -> Result<Prepared, StoreError> {
        if posting.legs.iter().all(|leg| leg.account.owner.is_none()) {
            // No chain would cover it.
            return Err(unreadable("a posting that moves nobody's points"));
        }
        let county = posting.area.county().to_string();
        let inputs = serde_json::to_string(&posting.inputs).map_err(unreadable)?;
        let mut prepared = Prepared { id, county, inputs, digest: Hash::default() };
        prepared.digest = digest(id, posting, &prepared.county, &prepared.inputs, &prepared.entries(posting));
        Ok(prepared)
    }

    /// The entries, in the order of their ids.
    pub(super) fn entries(&self, posting: &Posting) -> Vec<EntryContent<'_>> {
        entries(self.id, posting, &self.county)
    }

    /// The legs that belong to somebody. Accounts come in one order, so that two postings never wait for each other in a
    /// circle.
    pub(super) fn owned<'p>(&self, posting: &'p Posting) -> Vec<Owned<'p>> {
        let leaf = |n: u16| chain::leaf(&self.digest, entry_id(self.id, n));
        let owned = |(n, leg): (u16, &'p Leg)| Some(Owned { leg, owner: leg.account.owner?, leaf: leaf(n) });
        let mut all: Vec<Owned<'p>> = (1u16..).zip(&posting.legs).filter_map(owned).collect();
        all.sort_by_key(|owned| (owned.owner, owned.leg.account.kind, owned.leg.account.purse));
        all
    }

    /// The transaction's row.
    pub(super) fn transaction_values(&self, posting: &Posting) -> [Value; 12] {
        [
            self.id.into(),
            self.county.as_str().into(),
            posting.cause.kind.to_string().into(),
            posting.cause.source_type.as_str().into(),
            posting.cause.source_id.into(),
            posting.rule_code.clone().into(),
            posting.rule_version.into(),
            self.inputs.as_str().into(),
            posting.area.to_string().into(),
            posting.decided_by.into(),
            posting.reverses.into(),
            posting.at.into(),
        ]
    }
}

/// Appends a posting, unless its cause is booked already or what it answers was answered already.
pub(super) async fn post(
    conn: &impl ConnectionTrait,
    id: Uuid,
    posting: &Posting,
) -> Result<Booked, StoreError> {
    let prepared = Prepared::new(id, posting)?;
    let mut transaction = Rows::new(12);
    transaction.push(prepared.transaction_values(posting));
    if transaction.insert(conn, INTO_TRANSACTION, "ON CONFLICT DO NOTHING").await? != 1 {
        return Ok(Booked::Known);
    }
    let moved = move_accounts(conn, &prepared.county, &prepared.owned(posting)).await?;
    check_cover(posting, &moved)?;
    insert_entries(conn, id, &prepared.entries(posting), &moved).await?;
    Ok(Booked::New)
}

/// A transaction's columns, as [`Prepared::transaction_values`] fills them.
pub(super) const INTO_TRANSACTION: &str = "score_transaction (id, county, cause, source_type, source_id, rule_code, \
    rule_version, inputs, area_code, decided_by, reverses, at)";
/// An entry's columns.
pub(super) const INTO_ENTRY: &str =
    "score_entry (id, transaction_id, county, kind, purse, owner_id, points, seq, hash)";
/// How an account's row moves on, its chain included.
pub(super) const LENGTHEN: &str = "ON CONFLICT (county, owner_id, kind, purse) DO UPDATE SET \
    balance = score_account.balance + excluded.balance, seq = score_account.seq + 1, \
    head = sha256(score_account.head || int8send(score_account.seq + 1) || excluded.head)";

/// The link that a leg is where its account's chain begins with it.
pub(super) fn first_link(owned: &Owned<'_>) -> Chain {
    Chain::default().next(&owned.leaf)
}

/// The entries of a posting, in the order of their ids.
fn entries<'a>(id: Uuid, posting: &Posting, county: &'a str) -> Vec<EntryContent<'a>> {
    let entry = |(n, leg): (u16, &Leg)| EntryContent {
        id: entry_id(id, n),
        county,
        kind: leg.account.kind.as_str(),
        purse: leg.account.purse.as_str(),
        owner: leg.account.owner,
        points: leg.points,
    };
    (1u16..).zip(&posting.legs).map(entry).collect()
}

fn digest(id: Uuid, posting: &Posting, county: &str, inputs: &str, entries: &[EntryContent<'_>]) -> Hash {
    let content = TransactionContent {
        id,
        county,
        cause: &posting.cause.kind.to_string(),
        source_type: posting.cause.source_type.as_str(),
        source_id: posting.cause.source_id,
        rule_code: &posting.rule_code,
        rule_version: posting.rule_version,
        inputs,
        area: &posting.area.to_string(),
        decided_by: posting.decided_by,
        reverses: posting.reverses,
        at: posting.at,
    };
    let mut sorted = entries.to_vec();
    sorted.sort_by_key(|entry| entry.id);
    chain::digest(&content, sorted)
}

/// Moves the balances and lengthens the chains; answers the accounts as they are then.
async fn move_accounts(
    conn: &impl ConnectionTrait,
    county: &str,
    owned: &[Owned<'_>],
) -> Result<Vec<AccountRow>, StoreError> {
    if conn.get_database_backend() == DatabaseBackend::Postgres {
        move_in_one_statement(conn, county, owned).await
    } else {
        read_then_move(conn, county, owned).await
    }
}

/// PostgreSQL computes the link itself, under the lock of the row that it updates: no round trip more than the balance
/// alone would take.
async fn move_in_one_statement(
    conn: &impl ConnectionTrait,
    county: &str,
    owned: &[Owned<'_>],
) -> Result<Vec<AccountRow>, StoreError> {
    let mut rows = Rows::new(7);
    for owned in owned {
        rows.push(account_values(county, owned, owned.leg.points, &first_link(owned)));
    }
    let tail = format!("{LENGTHEN} RETURNING owner_id, kind, purse, balance, seq, head");
    let moved = rows.insert_returning(conn, INTO_ACCOUNT, &tail).await;
    moved.map_err(|error| match &error {
        StoreError::Database(cause) if cause.to_string().contains("out of range") => StoreError::Overflow,
        _ => error,
    })
}

/// SQLite has no SHA-256. It has one writer at a time, and no way to it that would be saved: it reads first.
async fn read_then_move(
    conn: &impl ConnectionTrait,
    county: &str,
    owned: &[Owned<'_>],
) -> Result<Vec<AccountRow>, StoreError> {
    let mut owners: Vec<Uuid> = owned.iter().map(|owned| owned.owner).collect();
    owners.dedup();
    let mut values: Vec<Value> = vec![county.into()];
    values.extend(owners.iter().map(|owner| Value::from(*owner)));
    let text = format!(
        "SELECT owner_id, kind, purse, balance, seq, head FROM score_account \
         WHERE county = $1 AND owner_id IN ({})",
        sql::list(2, owners.len())
    );
    let before: Vec<AccountRow> = sql::all(conn, &text, values).await?;
    let (mut rows, mut after) = (Rows::new(7), Vec::with_capacity(owned.len()));
    for owned in owned {
        let account = owned.leg.account;
        let row = before.iter().find(|row| {
            row.owner_id == owned.owner
                && row.kind == account.kind.as_str()
                && row.purse == account.purse.as_str()
        });
        let (balance, chain) = match row {
            Some(row) => (row.balance, Chain { seq: row.seq, head: as_hash(&row.head)? }),
            None => (0, Chain::default()),
        };
        let balance = balance.checked_add(owned.leg.points).ok_or(StoreError::Overflow)?;
        let chain = chain.next(&owned.leaf);
        rows.push(account_values(county, owned, balance, &chain));
        after.push(AccountRow {
            owner_id: owned.owner,
            kind: account.kind.as_str().to_owned(),
            purse: account.purse.as_str().to_owned(),
            balance,
            seq: chain.seq,
            head: chain.head.to_vec(),
        });
    }
    let tail = "ON CONFLICT (county, owner_id, kind, purse) DO UPDATE SET balance = excluded.balance, \
                seq = excluded.seq, head = excluded.head";
    rows.insert(conn, INTO_ACCOUNT, tail).await?;
    Ok(after)
}

pub(super) const INTO_ACCOUNT: &str = "score_account (county, owner_id, kind, purse, balance, seq, head)";

pub(super) fn account_values(county: &str, owned: &Owned<'_>, balance: i64, chain: &Chain) -> [Value; 7] {
    [
        county.into(),
        owned.owner.into(),
        owned.leg.account.kind.as_str().into(),
        owned.leg.account.purse.as_str().into(),
        balance.into(),
        chain.seq.into(),
        chain.head.to_vec().into(),
    ]
}

/// Bytes of a column as a hash.
pub(super) fn as_hash(bytes: &[u8]) -> Result<Hash, StoreError> {
    bytes.try_into().map_err(|_| unreadable("a hash that is not 32 bytes long"))
}

/// Nothing is spent that is not there: the balances are those under the lock, so no race can pass here.
fn check_cover(posting: &Posting, moved: &[AccountRow]) -> Result<(), StoreError> {
    for leg in posting.legs.iter().filter(|leg| posting.needs_cover(leg)) {
        let account = leg.account;
        let after = moved.iter().find(|row| {
            Some(row.owner_id) == account.owner
                && row.kind == account.kind.as_str()
                && row.purse == account.purse.as_str()
        });
        if after.ok_or_else(|| fault(ScoringFault::WrongOwner(account)))?.balance < 0 {
            return Err(StoreError::Overdrawn);
        }
    }
    Ok(())
}

async fn insert_entries(
    conn: &impl ConnectionTrait,
    id: Uuid,
    entries: &[EntryContent<'_>],
    moved: &[AccountRow],
) -> Result<(), StoreError> {
    let places: HashMap<(Uuid, &str, &str), &AccountRow> =
        moved.iter().map(|row| ((row.owner_id, row.kind.as_str(), row.purse.as_str()), row)).collect();
    let mut rows = Rows::new(9);
    for entry in entries {
        let place = entry.owner.and_then(|owner| places.get(&(owner, entry.kind, entry.purse)));
        rows.push([
            entry.id.into(),
            id.into(),
            entry.county.into(),
            entry.kind.into(),
            entry.purse.into(),
            entry.owner.into(),
            entry.points.into(),
            place.map(|row| row.seq).into(),
            place.map(|row| row.head.clone()).into(),
        ]);
    }
    rows.insert(conn, INTO_ENTRY, "").await?;
    Ok(())
}
