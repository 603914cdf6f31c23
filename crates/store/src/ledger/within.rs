//! Booking an award inside the one statement that writes the command which earns it (PostgreSQL).
//!
//! What an award comes to depends on what is left of its month's cap, and its links on all that the account did before.
//! The links the database computes itself. The cap was read with the order, and the statement insists that it still
//! stands there: when somebody else booked the same rule for the same person meanwhile, or the cause is booked already,
//! the whole statement fails and the award is booked step by step, as [`super::book`] does.

use uuid::Uuid;
use xingfuma_domain::scoring::Award;

use super::post::{
    INTO_ACCOUNT, INTO_ENTRY, INTO_TRANSACTION, LENGTHEN, Prepared, account_values, first_link,
};
use super::{INTO_CAP, cap_rows, fault};
use crate::orders::Known;
use crate::sql::{Rows, Together};
use crate::{StoreError, holds};

/// Adds an award to a statement. Answers whether it could: not where the posting needs cover, which only the balance
/// under its lock can tell.
pub(crate) fn add(
    together: &mut Together,
    id: Uuid,
    award: &Award,
    known: &Known,
) -> Result<bool, StoreError> {
    let posting = award.posting(known.used).map_err(fault)?;
    if posting.legs.iter().any(|leg| posting.needs_cover(leg)) {
        return Ok(false);
    }
    let prepared = Prepared::new(id, &posting)?;
    add_caps(together, award, known);
    if let (Some(reason), 1..) = (award.review(), posting.points()) {
        together.insert(holds::row(id, award, reason), holds::INTO, "");
    }
    let mut transaction = Rows::new(12);
    transaction.push(prepared.transaction_values(&posting));
    together.insert(transaction, INTO_TRANSACTION, "");
    let mut accounts = Rows::new(7);
    for owned in prepared.owned(&posting) {
        accounts.push(account_values(&prepared.county, &owned, owned.leg.points, &first_link(&owned)));
    }
    together.named(
        "accounts",
        accounts,
        INTO_ACCOUNT,
        &format!("{LENGTHEN} RETURNING owner_id, kind, purse, seq, head"),
    );
    let mut entries = Rows::new(7);
    for entry in prepared.entries(&posting) {
        entries.push([
            entry.id.into(),
            id.into(),
            entry.county.into(),
            entry.kind.into(),
            entry.purse.into(),
            entry.owner.into(),
            entry.points.into(),
        ]);
    }
    together.joined(
        entries,
        INTO_ENTRY,
        "(id, transaction_id, county, kind, purse, owner_id, points)",
        "given.*, a.seq, a.head",
        // By `=` PostgreSQL would build a hash table, for four rows and two.
        "LEFT JOIN accounts a ON a.owner_id IS NOT DISTINCT FROM given.owner_id \
         AND a.kind IS NOT DISTINCT FROM given.kind AND a.purse IS NOT DISTINCT FROM given.purse",
    );
    Ok(true)
}

/// The caps as they will stand, if they stood as they were read.
fn add_caps(together: &mut Together, award: &Award, known: &Known) {
    let counters = award.counters();
    if counters.is_empty() {
        return;
    }
    let granted = award.granted(known.used);
    let rows = cap_rows(award, counters, |counter| (known.used.of(counter.span) + granted, granted));
    together.insisted("cap", rows, INTO_CAP, if known.counted { TAKE_MORE } else { "" });
}

/// For counts of which some stand already. Where none does, rows are written as they are: `ON CONFLICT` would look for them
/// first. One that is there by now fails the statement.
const TAKE_MORE: &str = "ON CONFLICT (person_id, rule_code, month) DO UPDATE SET points = excluded.points, \
    granted = excluded.granted WHERE score_cap.points = excluded.points - excluded.granted";
