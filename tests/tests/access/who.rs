//! Everybody who asks.

use std::collections::BTreeMap;

use serde_json::json;
use xingfuma_tests::client::{Accounts, Client};

/// Everybody who asks, and what he is to the order that he asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    /// Nobody has logged in.
    Anonymous,
    /// The resident who ordered, in a session that was ended.
    LoggedOut,
    /// The resident who ordered.
    Requester,
    /// Another resident.
    Resident,
    /// The volunteer who accepts, or the first of the team before somebody has.
    Worker,
    /// Another volunteer of the same team.
    Teammate,
    /// The leader of that team.
    Leader,
    /// A volunteer of a sibling grid's team.
    Sibling,
    /// The dispatcher of the village.
    Village,
    /// The dispatcher of the township.
    Township,
    /// A dispatcher of another township.
    Foreign,
    /// An operator who did not enter it.
    Operator,
    /// The county's administrator.
    Admin,
    /// The auditor.
    Auditor,
    /// Somebody of a department, which is called to orders only where that is what is tried.
    Department,
}

pub(crate) const EVERYBODY: [Who; 15] = [
    Who::Anonymous,
    Who::LoggedOut,
    Who::Requester,
    Who::Resident,
    Who::Worker,
    Who::Teammate,
    Who::Leader,
    Who::Sibling,
    Who::Village,
    Who::Township,
    Who::Foreign,
    Who::Operator,
    Who::Admin,
    Who::Auditor,
    Who::Department,
];

/// Everybody with a session of his own; one of them ended.
pub(crate) fn log_in_everybody(base: &str, accounts: &Accounts) -> BTreeMap<Who, Client> {
    let log_in = |account| Client::log_in(base, account);
    let (residents, volunteers) = (accounts.all("resident"), accounts.all("volunteer"));
    let logged_out = log_in(residents[0]);
    assert_eq!(logged_out.post("/auth/logout", &json!({})).status, 204);
    BTreeMap::from([
        (Who::Anonymous, Client::anonymous(base)),
        (Who::LoggedOut, logged_out),
        (Who::Requester, log_in(residents[0])),
        (Who::Resident, log_in(residents[1])),
        (Who::Worker, log_in(volunteers[0])),
        (Who::Teammate, log_in(volunteers[1])),
        (Who::Leader, log_in(accounts.one("grid_leader"))),
        (Who::Sibling, log_in(residents[2])),
        (Who::Village, log_in(accounts.village_dispatcher())),
        (Who::Township, log_in(accounts.township_dispatcher())),
        (Who::Foreign, log_in(accounts.foreign_dispatcher())),
        (Who::Operator, log_in(accounts.one("operator"))),
        (Who::Admin, log_in(accounts.one("county_admin"))),
        (Who::Auditor, log_in(accounts.one("auditor"))),
        (Who::Department, log_in(accounts.one("department"))),
    ])
}
