//! Who may do and see what: roles × areas × relation (domain.md, "Who sees what of an order").
//!
//! [`hats`] says what a person is to one order; [`view`] says which fields that opens. [`allow`] decides on everything
//! that is not an order. Not to be seen and not to be there are the same answer to the caller.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::area::{AreaCode, Level};
use crate::order::{Channel, Hat, Hats, Order, State};

/// The roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// 居民: everybody who has logged in.
    Resident,
    /// 志愿者, of one team.
    Volunteer,
    /// 网格长, who leads his grid's team.
    GridLeader,
    /// 派单员 of a village station or a township.
    Dispatcher,
    /// 热线坐席
    Operator,
    /// 部门
    Department,
    /// 超市管理员, who keeps the shop (爱心超市) of an area.
    Shopkeeper,
    /// 县管理员
    CountyAdmin,
    /// 审计员
    Auditor,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 9] = [
        Role::Resident,
        Role::Volunteer,
        Role::GridLeader,
        Role::Dispatcher,
        Role::Operator,
        Role::Department,
        Role::Shopkeeper,
        Role::CountyAdmin,
        Role::Auditor,
    ];

    /// The name in JSON and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Resident => "resident",
            Role::Volunteer => "volunteer",
            Role::GridLeader => "grid_leader",
            Role::Dispatcher => "dispatcher",
            Role::Operator => "operator",
            Role::Department => "department",
            Role::Shopkeeper => "shopkeeper",
            Role::CountyAdmin => "county_admin",
            Role::Auditor => "auditor",
        }
    }

    /// The role of this name.
    pub fn parse(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

/// A role in an area, and in a team where the role has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// The area whose subtree it covers.
    pub area: AreaCode,
    /// The team, for volunteers and grid leaders; for a department's people the department.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub team: Option<Uuid>,
}

/// Somebody who has logged in. Loaded with his session row at each request, so a demotion counts at the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The person.
    pub person: Uuid,
    /// The county.
    pub county: AreaCode,
    /// His roles beside resident.
    pub grants: Vec<Grant>,
}

impl Actor {
    /// Whether he holds a role over this area.
    pub fn has(&self, role: Role, area: AreaCode) -> bool {
        self.grants.iter().any(|grant| grant.role == role && grant.area.contains(&area))
    }

    /// Whether he holds a role anywhere.
    pub fn is(&self, role: Role) -> bool {
        role == Role::Resident || self.grants.iter().any(|grant| grant.role == role)
    }

    /// The areas over which he holds a role.
    pub fn areas(&self, role: Role) -> impl Iterator<Item = AreaCode> + '_ {
        self.grants.iter().filter(move |grant| grant.role == role).map(|grant| grant.area)
    }

    /// The teams he belongs to or leads.
    pub fn teams(&self) -> Vec<Uuid> {
        let served = self.grants.iter().filter(|grant| grant.role != Role::Department);
        let mut teams: Vec<Uuid> = served.filter_map(|grant| grant.team).collect();
        teams.sort_unstable();
        teams.dedup();
        teams
    }

    /// The departments he belongs to.
    pub fn departments(&self) -> Vec<Uuid> {
        let belongs = self.grants.iter().filter(|grant| grant.role == Role::Department);
        belongs.filter_map(|grant| grant.team).collect()
    }

    /// Whether he dispatches for this area from a township or above.
    fn dispatches_above_village(&self, area: AreaCode) -> bool {
        self.areas(Role::Dispatcher).any(|of| of.level() <= Level::Township && of.contains(&area))
    }

    fn leads(&self, team: Uuid) -> bool {
        self.grants.iter().any(|grant| grant.role == Role::GridLeader && grant.team == Some(team))
    }

    fn serves_in(&self, team: Uuid) -> bool {
        let serving = [Role::Volunteer, Role::GridLeader];
        self.grants.iter().any(|grant| serving.contains(&grant.role) && grant.team == Some(team))
    }
}

/// What the actor is to this order.
pub fn hats(actor: &Actor, order: &Order) -> Hats {
    let mut hats = Hats::NONE;
    if order.county() != actor.county {
        return hats;
    }
    if order.placed.requester == actor.person {
        hats.insert(Hat::Requester);
    }
    let entered = order.placed.placed_by == actor.person && order.placed.channel == Channel::Hotline;
    if entered && actor.has(Role::Operator, order.placed.area) {
        hats.insert(Hat::Operator);
    }
    if is_offered(actor, order) {
        hats.insert(Hat::Offered);
    }
    if order.engagement().is_some_and(|promise| promise.volunteer == actor.person) {
        hats.insert(Hat::Worker);
    }
    if order.assignment().is_some_and(|held| actor.leads(held.team)) {
        hats.insert(Hat::Leader);
    }
    if actor.has(Role::Dispatcher, order.placed.area) {
        hats.insert(Hat::Dispatcher);
    }
    if actor.dispatches_above_village(order.placed.area) {
        hats.insert(Hat::Township);
    }
    if actor.departments().iter().any(|of| order.whistles.iter().any(|one| one.department == *of)) {
        hats.insert(Hat::Department);
    }
    hats
}

/// While an offer is open, those who hold it: nobody else may take or refuse it. Later, every volunteer of a team that
/// was asked, so that the loser of a race learns why he lost.
fn is_offered(actor: &Actor, order: &Order) -> bool {
    let State::Dispatched { offer } = &order.state else { return was_asked(actor, order) };
    let team = offer.to.team;
    let named = offer.to.volunteer.is_none_or(|named| named == actor.person);
    actor.leads(team) || (named && actor.serves_in(team))
}

/// Volunteers of every team that was asked keep a masked view, also while another team or member holds the offer:
/// without it, somebody who hands over to a team-mate would not find the order that he has just handed over.
fn was_asked(actor: &Actor, order: &Order) -> bool {
    order.asked.iter().chain(&order.asked_before).any(|team| actor.serves_in(*team))
}

/// How much of the description is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Words {
    /// Phones, ID numbers and house numbers are hidden.
    Masked,
    /// As it was written.
    Whole,
}

/// The fields that an order opens to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The description.
    pub description: Words,
    /// Contact and address.
    pub contact: bool,
    /// Name and phone with their middles hidden, where the contact is not open: enough to know whom one speaks with.
    pub contact_masked: bool,
    /// Showing the contact is a disclosure that must be logged.
    pub log_contact: bool,
    /// Why this team.
    pub decision: bool,
    /// Contact may be revealed on a reason that is logged.
    pub reveal: bool,
    /// Calls to departments and corrective notices.
    pub coordination: bool,
}

impl View {
    /// Photos that were attached to the order. They cannot be masked, so whoever sees the description masked sees them
    /// only where he works on the order or watches over it: not the volunteers to whom it was merely offered.
    pub fn photos(self) -> bool {
        self.description == Words::Whole || self.coordination
    }
}

/// Which fields of the order the actor may see; `None`: it is not there for him.
pub fn view(actor: &Actor, order: &Order) -> Option<View> {
    if order.county() != actor.county {
        return None;
    }
    let hats = hats(actor, order);
    let area = order.placed.area;
    let admin = actor.has(Role::CountyAdmin, area);
    let auditor = actor.has(Role::Auditor, area);
    if hats.is_empty() && !admin && !auditor && !was_asked(actor, order) {
        return None;
    }
    let own = hats.has(Hat::Requester);
    let at_work = hats.has(Hat::Worker) && order.status().is_open();
    let department = hats.has(Hat::Department);
    let watches = hats.has(Hat::Leader) || hats.has(Hat::Dispatcher) || admin || auditor;
    let whole = own || hats.has(Hat::Worker) || hats.has(Hat::Operator);
    Some(View {
        description: if whole { Words::Whole } else { Words::Masked },
        contact: own || at_work,
        contact_masked: hats.has(Hat::Operator) && !own && !at_work,
        log_contact: at_work && !own,
        decision: watches,
        reveal: hats.has(Hat::Dispatcher) || department || admin,
        coordination: watches || department || hats.has(Hat::Worker),
    })
}

/// Something done to a thing that is not an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Approve, reject or feature a post.
    ModeratePost,
    /// See posts that are not published.
    ReadPendingPost,
    /// Place an order for somebody else.
    PlaceForCaller,
    /// See the board of an area.
    ReadBoard,
    /// Reverse a score entry.
    ReverseEntry,
    /// See score entries of others.
    ReadEntries,
    /// Keep the roster of a team that serves the area; its leader may too, see [`keeps_roster`].
    KeepRoster,
    /// Claim points for somebody else.
    ClaimForOther,
    /// Claim that points be taken from somebody.
    ClaimDeduction,
    /// See claims, appeals and objections of others, and points on hold.
    ReadClaims,
    /// Decide claims and appeals in which one has no part.
    DecideClaim,
    /// See who read whose data.
    ReadAudit,
    /// Reset somebody's second factor.
    ManageStaff,
    /// See what was reported about signs.
    ReadSignReports,
    /// Revoke and replace signs, close reports about them.
    ManageSigns,
    /// Issue and revoke badges.
    ManageBadges,
    /// Close the claims about a month, and seal it.
    ClosePeriod,
    /// Open a shop, and say who keeps it.
    OpenShop,
    /// Price goods, take in donations, count, hand over.
    KeepShop,
    /// See a shop's books.
    ReadShopBooks,
    /// See orders that were set aside because handling them failed.
    ReadDeadLetters,
    /// Give such an order back to the queue.
    ReplayDeadLetter,
    /// Announce activities, tell those who joined, show the code for checking in.
    HoldActivity,
    /// See activities with those who take part, and patrols of others.
    ReadActivity,
    /// Say where a hazard comes from and what is done about it.
    AnswerHazard,
    /// Hand on all open work of a volunteer who leaves, suspend him, and take the suspension back; his team's leader may
    /// too, see [`transfers_work`].
    TransferWork,
    /// Propose who is to get stars.
    ProposeStars,
    /// Confer stars that somebody else proposed.
    ConferStars,
    /// Ask for a certificate on somebody's behalf; sign, refuse and revoke one that somebody else asked for.
    IssueCertificate,
    /// See certificates of others.
    ReadCertificates,
    /// Record trainings, and take back what was recorded by mistake.
    KeepTrainings,
    /// See trainings with those who attended.
    ReadTrainings,
    /// Take the volunteer record out as files.
    ExportRecord,
    /// See the whole names of those who gave something to a shop.
    ReadDonors,
}

/// The areas in which somebody may do it, of those for which he holds a role; what lies in them counts as they do.
pub fn areas_allowed(actor: &Actor, action: Action) -> Vec<AreaCode> {
    let mut held: Vec<AreaCode> = actor.grants.iter().map(|grant| grant.area).collect();
    held.sort_unstable();
    held.dedup();
    held.retain(|area| allow(actor, action, *area));
    held
}

/// Whether somebody may do it in this area. The one place where roles are compared with actions.
pub fn allow(actor: &Actor, action: Action, area: AreaCode) -> bool {
    let roles: &[Role] = match action {
        Action::ModeratePost => &[Role::Dispatcher],
        Action::ReadPendingPost => &[Role::Dispatcher, Role::CountyAdmin, Role::Auditor],
        Action::PlaceForCaller => &[Role::Operator],
        Action::ReadBoard => &[Role::Dispatcher, Role::CountyAdmin, Role::Auditor],
        Action::ReverseEntry | Action::ClosePeriod | Action::ManageStaff | Action::ReplayDeadLetter => {
            &[Role::CountyAdmin]
        }
        Action::ReadEntries | Action::ReadAudit | Action::ReadDeadLetters => {
            &[Role::CountyAdmin, Role::Auditor]
        }
        Action::KeepRoster | Action::AnswerHazard => &[Role::Dispatcher],
        Action::TransferWork => &[Role::Dispatcher, Role::CountyAdmin],
        Action::ClaimForOther => &[Role::GridLeader, Role::Dispatcher, Role::CountyAdmin],
        Action::ClaimDeduction | Action::DecideClaim => &[Role::Dispatcher, Role::CountyAdmin],
        Action::ReadClaims | Action::ReadSignReports => &[Role::Dispatcher, Role::CountyAdmin, Role::Auditor],
        Action::OpenShop | Action::ManageSigns | Action::ManageBadges => {
            &[Role::Dispatcher, Role::CountyAdmin]
        }
        Action::KeepShop => &[Role::Shopkeeper],
        Action::HoldActivity => &[Role::GridLeader, Role::Dispatcher, Role::CountyAdmin],
        Action::ReadActivity => &[Role::GridLeader, Role::Dispatcher, Role::CountyAdmin, Role::Auditor],
        Action::ReadShopBooks => &[Role::Shopkeeper, Role::Dispatcher, Role::CountyAdmin, Role::Auditor],
        Action::ProposeStars | Action::IssueCertificate | Action::KeepTrainings => {
            &[Role::Dispatcher, Role::CountyAdmin]
        }
        Action::ConferStars | Action::ExportRecord => &[Role::CountyAdmin],
        Action::ReadCertificates | Action::ReadTrainings => {
            &[Role::Dispatcher, Role::CountyAdmin, Role::Auditor]
        }
        Action::ReadDonors => &[Role::Shopkeeper, Role::Dispatcher],
    };
    roles.iter().any(|role| actor.has(*role, area))
}

/// Whether somebody is a volunteer of an area: he serves somewhere inside it.
pub fn takes_part(actor: &Actor, area: AreaCode) -> bool {
    let serving = [Role::Volunteer, Role::GridLeader];
    serving.into_iter().flat_map(|role| actor.areas(role)).any(|of| area.contains(&of))
}

/// Whether somebody may keep a team's roster: its leader, or a dispatcher over everything that the team serves.
pub fn keeps_roster(actor: &Actor, team: Uuid, serves: &[AreaCode]) -> bool {
    let over_all = !serves.is_empty() && serves.iter().all(|area| allow(actor, Action::KeepRoster, *area));
    actor.leads(team) || over_all
}

/// Whether somebody may hand on the work of a volunteer of this team and grid, suspend him, and take the suspension back:
/// the team's leader, who does not do it for himself, a dispatcher over the grid, an administrator of the county.
pub fn transfers_work(actor: &Actor, volunteer: Uuid, team: Uuid, grid: AreaCode) -> bool {
    (actor.leads(team) && actor.person != volunteer) || allow(actor, Action::TransferWork, grid)
}

/// Whether somebody can know of a volunteer of this team and grid at all: whoever may hand on his work, an auditor, and
/// whoever serves beside him.
pub fn knows_volunteer(actor: &Actor, team: Uuid, grid: AreaCode) -> bool {
    actor.serves_in(team) || allow(actor, Action::ReadBoard, grid)
}

/// Whether somebody may read a team's roster: who keeps it, and who serves in the team.
pub fn reads_roster(actor: &Actor, team: Uuid, serves: &[AreaCode]) -> bool {
    actor.serves_in(team) || keeps_roster(actor, team, serves)
}

#[cfg(test)]
mod tests;
