//! Accounts: where points lie, in which of the two purses, and whose they are.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::word::{UnknownWord, words};

/// What sort of account points lie on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    /// Where points come from; its balance is minus everything that is out. It has no owner.
    Issuance,
    /// A person's own points.
    Person,
    /// A team's points.
    Team,
    /// A person's points on hold. The owner is the person, so that the passbook shows what is his but not yet sure.
    Hold,
    /// Points spent in a shop. The owner is the shop.
    Shop,
    /// Points that were on hold and lost. It has no owner.
    Void,
}

words!(AccountKind {
    Issuance => "issuance",
    Person => "person",
    Team => "team",
    Hold => "hold",
    Shop => "shop",
    Void => "void",
});

impl AccountKind {
    /// True for the accounts of somebody; issuance and void belong to nobody.
    pub fn has_owner(self) -> bool {
        !matches!(self, Self::Issuance | Self::Void)
    }
}

/// The two purses. Every posting sums to zero in each, so points never pass from one purse to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purse {
    /// 赋分考核: what a person is assessed by. Never falls by spending; a deduction may take it below zero.
    Assessment,
    /// 存折: what can be spent in the shop.
    Spendable,
}

words!(Purse { Assessment => "assessment", Spendable => "spendable" });

impl Purse {
    /// Both purses.
    pub const ALL: [Self; 2] = [Self::Assessment, Self::Spendable];
}

/// One account: kind, purse and owner together are its identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccountRef {
    /// What sort of account.
    pub kind: AccountKind,
    /// Which purse.
    pub purse: Purse,
    /// Whose; none for issuance and void.
    pub owner: Option<Uuid>,
}

impl AccountRef {
    /// The account that points come from.
    pub fn issuance(purse: Purse) -> Self {
        Self { kind: AccountKind::Issuance, purse, owner: None }
    }

    /// The account of points that were on hold and lost.
    pub fn void(purse: Purse) -> Self {
        Self { kind: AccountKind::Void, purse, owner: None }
    }

    /// A person's own account.
    pub fn person(purse: Purse, person: Uuid) -> Self {
        Self { kind: AccountKind::Person, purse, owner: Some(person) }
    }

    /// The account of a person's points on hold.
    pub fn hold(purse: Purse, person: Uuid) -> Self {
        Self { kind: AccountKind::Hold, purse, owner: Some(person) }
    }

    /// A team's account.
    pub fn team(purse: Purse, team: Uuid) -> Self {
        Self { kind: AccountKind::Team, purse, owner: Some(team) }
    }

    /// A shop's account. Only spendable points are ever spent, so it has no choice of purse.
    pub fn shop(shop: Uuid) -> Self {
        Self { kind: AccountKind::Shop, purse: Purse::Spendable, owner: Some(shop) }
    }
}

impl fmt::Display for AccountRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.purse)?;
        self.owner.map_or(Ok(()), |owner| write!(f, "/{owner}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_prints_as_it_is_known() {
        let owner = Uuid::from_u128(7);
        let table = [
            (AccountRef::issuance(Purse::Assessment), "issuance/assessment".to_owned()),
            (AccountRef::void(Purse::Spendable), "void/spendable".to_owned()),
            (AccountRef::person(Purse::Assessment, owner), format!("person/assessment/{owner}")),
            (AccountRef::shop(owner), format!("shop/spendable/{owner}")),
        ];
        for (account, printed) in table {
            assert_eq!(account.to_string(), printed);
        }
    }
}
