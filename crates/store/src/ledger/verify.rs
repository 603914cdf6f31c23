//! Checks the whole ledger, and names the first bad row of each account.
//!
//! Two passes. The first walks through all transactions with their entries in the order of ids, a piece at a time, and
//! keeps one number, one hash and one sum for each account: memory grows with accounts, never with entries. Ids sort by
//! time, so that nearly every entry arrives as the next of its account. An account of which an entry does not, or whose
//! hash, head or balance is another, is looked at in the second pass: alone, by its numbers, until the first row that
//! is not what it should be. An account whose entries only arrived out of turn passes there.
//!
//! It reads one snapshot of the database (see [`crate::Store::snapshot`]) and stops nobody from booking.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use sea_orm::{ConnectionTrait, DatabaseBackend, FromQueryResult};
use uuid::Uuid;
use xingfuma_domain::scoring::chain::{self, Chain, Hash};

use super::reading::{self, BATCH, EntryRow, Line, Orphan, Piece, Whole};
use crate::StoreError;
use crate::sql;

/// Faults that are told one by one; further ones are counted.
pub const FAULTS_TOLD: usize = 1_000;

/// What a check of the ledger found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Transactions read.
    pub transactions: u64,
    /// Entries read.
    pub entries: u64,
    /// Accounts with a chain.
    pub accounts: u64,
    /// What is wrong, at most [`FAULTS_TOLD`]; empty is good.
    pub faults: Vec<Fault>,
    /// Faults beyond those.
    pub more: u64,
}

impl Verdict {
    pub(super) fn add(&mut self, fault: Fault) {
        if self.faults.len() < FAULTS_TOLD { self.faults.push(fault) } else { self.more += 1 }
    }
}

/// An account of somebody, by the words of its row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountName {
    /// The county.
    pub county: String,
    /// The owner.
    pub owner: Uuid,
    /// The kind.
    pub kind: String,
    /// The purse.
    pub purse: String,
}

impl AccountName {
    fn parts(&self) -> (&str, Uuid, &str, &str) {
        (&self.county, self.owner, &self.kind, &self.purse)
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}/{} {}", self.county, self.kind, self.purse, self.owner)
    }
}

/// Something that is not as it should be, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// The account in whose chain it is.
    pub account: Option<AccountName>,
    /// The number in that chain from which on it does not hold.
    pub seq: Option<i64>,
    /// The entry.
    pub entry: Option<Uuid>,
    /// The transaction.
    pub transaction: Option<Uuid>,
    /// The daily root.
    pub root: Option<i64>,
    /// What is wrong.
    pub what: What,
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum What {
    /// A row, or a transaction with its entries, is not what was sealed.
    #[default]
    Altered,
    /// A number of the chain is missing.
    Missing,
    /// The entries end before the head of the chain: its tail was cut.
    TailCut,
    /// There are entries behind the head of the chain, or entries that have no number.
    NotSealed,
    /// The head of the chain is not the hash of the last entry.
    HeadAltered,
    /// The balance is not the sum of the entries.
    Balance,
    /// The entries of a transaction do not sum to zero in each purse.
    Unbalanced,
    /// The transaction has no entries, or none of somebody.
    NoEntries,
    /// The entry has no transaction.
    NoTransaction,
    /// Rows that cannot be read.
    Unreadable,
    /// A daily root is not the sum of its heads, or not linked to the one before it.
    RootAltered,
    /// The ledger does not hold what a daily root says that it held.
    RootBroken,
    /// A daily root that was written outside the database is not in it, or another.
    RootForeign,
    /// A daily root of the database was never written outside, or is not there any more.
    RootNotOutside,
}

impl fmt::Display for What {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            What::Altered => "not what was sealed",
            What::Missing => "missing",
            What::TailCut => "the chain ends before its head: its tail was cut",
            What::NotSealed => "an entry that was never sealed",
            What::HeadAltered => "the head of the chain is not its last entry's",
            What::Balance => "the balance is not the sum of the entries",
            What::Unbalanced => "the entries do not sum to zero in each purse",
            What::NoEntries => "the transaction has no entries of somebody",
            What::NoTransaction => "the entry has no transaction",
            What::Unreadable => "rows that cannot be read",
            What::RootAltered => "the daily root is not the sum of its heads",
            What::RootBroken => "the ledger does not hold what the daily root says",
            What::RootForeign => "the daily root outside the database is another",
            What::RootNotOutside => "the daily root was not written outside the database",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(root) = self.root {
            write!(out, "root {root}: ")?;
        }
        if let Some(account) = &self.account {
            write!(out, "{account}: ")?;
        }
        if let Some(seq) = self.seq {
            write!(out, "number {seq}: ")?;
        }
        for (word, id) in [("entry", self.entry), ("transaction", self.transaction)] {
            if let Some(id) = id {
                write!(out, "{word} {id}: ")?;
            }
        }
        write!(out, "{}", self.what)
    }
}

/// How far an account has been walked through.
#[derive(Clone, Copy, Debug, Default)]
struct Walked {
    chain: Chain,
    entries: i64,
    sum: i128,
    suspect: bool,
}

/// Checks chains, sums and balances. Faults of one account are told once, with its first bad row.
///
/// # Errors
/// When the database fails.
pub async fn verify(conn: &impl ConnectionTrait) -> Result<Verdict, StoreError> {
    if conn.get_database_backend() == DatabaseBackend::Sqlite {
        // 64 MB for this connection: each page of the walk is then read once.
        conn.execute_unprepared("PRAGMA cache_size = -65536").await?;
    }
    let mut walk = Walk::default().through_transactions(conn).await?;
    let suspects = walk.compare_heads(conn).await?;
    let mut verdict = walk.verdict;
    for (n, (name, suspect)) in suspects.into_iter().enumerate() {
        if n >= FAULTS_TOLD {
            verdict.more += 1;
            continue;
        }
        if let Some(fault) = first_bad(conn, &name, &suspect).await? {
            verdict.add(fault);
        }
    }
    Ok(verdict)
}

/// What the first pass knows of an account that is to be looked at.
struct Suspect {
    head: Option<HeadRow>,
    entries: i64,
}

/// The first pass. Words are kept once, so that an account's key is small.
#[derive(Default)]
struct Walk {
    verdict: Verdict,
    words: Vec<String>,
    accounts: HashMap<(Uuid, [u16; 3]), Walked>,
}

impl Walk {
    /// While one piece is checked, the database reads the next.
    async fn through_transactions(mut self, conn: &impl ConnectionTrait) -> Result<Walk, StoreError> {
        let mut piece = reading::after(conn, None).await?;
        loop {
            // A piece of which nothing can be read has no last row to go on from.
            let last = piece.last.filter(|_| piece.is_full());
            let checked = tokio::task::spawn_blocking(move || {
                self.piece(&piece);
                self
            });
            let next = match last {
                Some(_) => Some(reading::after(conn, last).await?),
                None => None,
            };
            self = checked.await.map_err(crate::unreadable)?;
            match next {
                Some(next) => piece = next,
                None => break,
            }
        }
        // Every entry that was not met belongs to a transaction that is not there, or that cannot be read.
        let entries = reading::count(conn).await?.unsigned_abs();
        if entries != self.verdict.entries {
            self.orphans(reading::orphans(conn).await?);
            self.verdict.entries = entries;
        }
        Ok(self)
    }

    fn piece(&mut self, piece: &Piece) {
        self.verdict.transactions += piece.rows;
        if piece.each(|whole| self.transaction(whole)) > 0 {
            self.verdict.add(Fault { what: What::Unreadable, ..Fault::default() });
        }
    }

    fn orphans(&mut self, orphans: Vec<Orphan>) {
        for orphan in orphans {
            match orphan.owner_id {
                // Its account is looked at, and told with the entry's number.
                Some(owner) => {
                    self.account(owner, &orphan.county, &orphan.kind, &orphan.purse).suspect = true;
                }
                None => self.verdict.add(Fault {
                    entry: Some(orphan.id),
                    transaction: Some(orphan.transaction_id),
                    what: What::NoTransaction,
                    ..Fault::default()
                }),
            }
        }
    }

    fn transaction(&mut self, whole: &Whole<'_>) {
        let fault = |what| Fault { transaction: Some(whole.id), what, ..Fault::default() };
        // An account whose entry cannot be read falls behind its head, and is looked at for that.
        let Some(lines) = whole.entries() else { return self.verdict.add(fault(What::Unreadable)) };
        self.verdict.entries += lines.len() as u64;
        if !lines.iter().any(|line| line.content.owner.is_some()) {
            self.verdict.add(fault(What::NoEntries));
        }
        if !is_balanced(lines) {
            self.verdict.add(fault(What::Unbalanced));
        }
        let digest = whole.digest();
        for line in lines {
            let Some(owner) = line.content.owner else { continue };
            let walked = self.account(owner, line.content.county, line.content.kind, line.content.purse);
            walked.entries += 1;
            walked.sum += points(line);
            let next = digest.map(|digest| walked.chain.next(&chain::leaf(&digest, line.content.id)));
            match next {
                Some(next) if line.seq == Some(next.seq) && line.hash == Some(next.head) => {
                    walked.chain = next;
                }
                _ => walked.suspect = true,
            }
        }
    }

    fn account(&mut self, owner: Uuid, county: &str, kind: &str, purse: &str) -> &mut Walked {
        let words = [county, kind, purse].map(|word| self.word(word));
        self.accounts.entry((owner, words)).or_default()
    }

    fn word(&mut self, word: &str) -> u16 {
        let at = self.words.iter().position(|known| known == word).unwrap_or_else(|| {
            self.words.push(word.to_owned());
            self.words.len() - 1
        });
        u16::try_from(at).unwrap_or(u16::MAX)
    }

    /// Compares what was walked through with heads and balances; gives the accounts that are to be looked at.
    async fn compare_heads(
        &mut self,
        conn: &impl ConnectionTrait,
    ) -> Result<BTreeMap<AccountName, Suspect>, StoreError> {
        let mut suspects = BTreeMap::new();
        let mut after = None;
        loop {
            let heads = heads(conn, after.as_ref()).await?;
            let Some(last) = heads.last() else { break };
            after = Some(last.name());
            for head in heads {
                self.verdict.accounts += 1;
                let words = [&head.county, &head.kind, &head.purse].map(|word| self.word(word));
                let walked = self.accounts.remove(&(head.owner_id, words)).unwrap_or_default();
                let agrees = walked.chain.seq == head.seq
                    && head.is(&walked.chain.head)
                    && walked.sum == i128::from(head.balance);
                if walked.suspect || !agrees {
                    suspects.insert(head.name(), Suspect { head: Some(head), entries: walked.entries });
                }
            }
        }
        // What is left has entries and no head.
        for ((owner, words), walked) in std::mem::take(&mut self.accounts) {
            let [county, kind, purse] = words.map(|word| self.words[usize::from(word)].clone());
            let name = AccountName { county, owner, kind, purse };
            suspects.insert(name, Suspect { head: None, entries: walked.entries });
        }
        Ok(suspects)
    }
}

fn is_balanced(lines: &[Line<'_>]) -> bool {
    let same_purse = |one: &Line<'_>, other: &Line<'_>| one.content.purse == other.content.purse;
    lines.iter().enumerate().all(|(n, one)| {
        // A purse is summed up once, at its first line.
        lines[..n].iter().any(|before| same_purse(one, before))
            || lines[n..].iter().filter(|other| same_purse(one, other)).map(points).sum::<i128>() == 0
    })
}

fn points(line: &Line<'_>) -> i128 {
    i128::from(line.content.points)
}

/// The head of a chain, with its balance.
#[derive(Clone, Debug, FromQueryResult)]
struct HeadRow {
    county: String,
    owner_id: Uuid,
    kind: String,
    purse: String,
    balance: i64,
    seq: i64,
    head: Option<Vec<u8>>,
}

impl HeadRow {
    fn name(&self) -> AccountName {
        AccountName {
            county: self.county.clone(),
            owner: self.owner_id,
            kind: self.kind.clone(),
            purse: self.purse.clone(),
        }
    }

    fn is(&self, head: &Hash) -> bool {
        self.head.as_deref() == Some(&head[..])
    }
}

async fn heads(conn: &impl ConnectionTrait, after: Option<&AccountName>) -> Result<Vec<HeadRow>, StoreError> {
    let (condition, values) = match after {
        Some(name) => (
            "WHERE (county, owner_id, kind, purse) > ($1, $2, $3, $4)",
            vec![
                name.county.clone().into(),
                name.owner.into(),
                name.kind.clone().into(),
                name.purse.clone().into(),
            ],
        ),
        None => ("", Vec::new()),
    };
    let text = format!(
        "SELECT county, owner_id, kind, purse, balance, seq, head FROM score_account {condition} \
         ORDER BY county, owner_id, kind, purse LIMIT {BATCH}"
    );
    sql::all(conn, &text, values).await
}

/// The second pass: one account by its numbers, until the first row that is not what it should be.
async fn first_bad(
    conn: &impl ConnectionTrait,
    name: &AccountName,
    suspect: &Suspect,
) -> Result<Option<Fault>, StoreError> {
    let fault = |seq, entry: Option<&EntryRow>, what| Fault {
        account: Some(name.clone()),
        seq,
        entry: entry.map(|entry| entry.id),
        transaction: entry.map(|entry| entry.transaction_id),
        root: None,
        what,
    };
    let (mut chain, mut sum) = (Chain::default(), 0_i128);
    loop {
        let (rows, unreadable) = reading::of_account(conn, name.parts(), chain.seq).await?;
        let ids: Vec<Uuid> = rows.iter().map(|entry| entry.transaction_id).collect();
        let digests = reading::digests(conn, &ids).await?;
        for entry in &rows {
            let (expected, found) = (chain.seq + 1, entry.seq.unwrap_or_default());
            if found > expected {
                return Ok(Some(fault(Some(expected), None, What::Missing)));
            }
            let Some(digest) = digests.get(&entry.transaction_id) else {
                return Ok(Some(fault(Some(expected), Some(entry), What::NoTransaction)));
            };
            let next = chain.next(&chain::leaf(digest, entry.id));
            if found < expected || entry.hash.as_deref() != Some(&next.head[..]) {
                return Ok(Some(fault(Some(expected), Some(entry), What::Altered)));
            }
            (chain, sum) = (next, sum + i128::from(entry.points));
        }
        if unreadable > 0 {
            return Ok(Some(fault(Some(chain.seq + 1), None, What::Unreadable)));
        }
        if rows.is_empty() {
            break;
        }
    }
    if let Some(entry) = reading::unnumbered(conn, name.parts()).await? {
        return Ok(Some(fault(entry.seq, Some(&entry), What::NotSealed)));
    }
    let Some(head) = &suspect.head else {
        return Ok((chain.seq > 0).then(|| fault(Some(1), None, What::NotSealed)));
    };
    let end = Some(chain.seq + 1);
    Ok(if head.seq > chain.seq {
        Some(fault(end, None, What::TailCut))
    } else if head.seq < chain.seq || suspect.entries > chain.seq {
        Some(fault(Some(head.seq.saturating_add(1)), None, What::NotSealed))
    } else if !head.is(&chain.head) && chain.seq > 0 {
        Some(fault(Some(chain.seq), None, What::HeadAltered))
    } else if sum != i128::from(head.balance) {
        Some(fault(None, None, What::Balance))
    } else {
        None
    })
}
