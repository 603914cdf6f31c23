//! Booking an award inside the one statement that writes the command which earns it (PostgreSQL).
//!
//! What an award comes to depends on what is left of its month's cap, and its links on all that the account did before.
//! The links the database computes itself. The cap was read with the order, and the statement insists that it still
//! stands there: when somebody else booked the same rule for the same person meanwhile, or the cause is booked already,
//! the whole statement fails and the award is booked step by step, as [`super::book`] does.

use uuid::Uuid;
use xingfuma_domain::scoring::{Award, Used};

use super::post::{
    INTO_ACCOUNT, INTO_ENTRY, INTO_TRANSACTION, LENGTHEN, Prepared, account_values, first_link,
};
use super::{INTO_CAP, cap_rows, fault};
use crate::sql::{Rows, Together};
use crate::{StoreError, holds};

/// Adds an award to a statement. Answers whether it could: not where the posting needs cover, which only the balance
/// under its lock can tell.
pub(crate) fn add(together: &mut Together, id: Uuid, award: &Award, used: Used) -> Result<bool, StoreError> {
    let posting = award.posting(used).map_err(fault)?;
    if posting.legs.iter().any(|leg| posting.needs_cover(leg)) {
        return Ok(false);
    }
    let prepared = Prepared::new(id, &posting)?;
    add_caps(together, award, used);
    if let (Some(reason), 1..) = (award.review(), posting.points()) {
        together.insert(holds::row(id, award, reason), holds::INTO, "");
    }
    let mut transaction = Rows::new(12);
    transaction.push(prepared.transaction_values(&posting));
    together.named("booked", transaction, INTO_TRANSACTION, "ON CONFLICT DO NOTHING RETURNING 1");
    together.insist("(SELECT count(*) FROM booked) = 1");
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
        "LEFT JOIN accounts a ON a.owner_id = given.owner_id AND a.kind = given.kind AND a.purse = given.purse",
    );
    Ok(true)
}

/// The caps as they will stand, if they stood as they were read.
fn add_caps(together: &mut Together, award: &Award, used: Used) {
    let counters = award.counters();
    if counters.is_empty() {
        return;
    }
    let granted = award.granted(used);
    let count = counters.len();
    let rows = cap_rows(award, counters, |counter| (used.of(counter.span) + granted, granted));
    together.named(
        "cap",
        rows,
        INTO_CAP,
        "ON CONFLICT (person_id, rule_code, month) DO UPDATE SET points = excluded.points, granted = excluded.granted \
         WHERE score_cap.points = excluded.points - excluded.granted RETURNING 1",
    );
    together.insist(format!("(SELECT count(*) FROM cap) = {count}"));
}
