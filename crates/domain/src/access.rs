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
    /// See claims and appeals of others.
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
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::*;
    use crate::deadline::{Calendar, QuietHours, TimeLimits, Urgency};
    use crate::order::{Assignment, By, Command, Context, Event, Kind, Placed, Record, Status, decide};

    const COUNTY: &str = "140724";
    const TOWNSHIP: &str = "140724104";
    const SIBLING_TOWNSHIP: &str = "140724105";
    const VILLAGE: &str = "140724104003";
    const GRID: &str = "140724104003001";
    const SIBLING_GRID: &str = "140724104003002";
    const MICRO_GRID: &str = "140724104003001001";
    const OTHER_COUNTY: &str = "140725";

    const TEAM: Uuid = Uuid::from_u128(10);
    const NEXT_TEAM: Uuid = Uuid::from_u128(11);
    const RESIDENT: Uuid = Uuid::from_u128(20);
    const OPERATOR: Uuid = Uuid::from_u128(21);
    const WORKER: Uuid = Uuid::from_u128(22);
    const TEAMMATE: Uuid = Uuid::from_u128(23);
    const SOMEBODY: Uuid = Uuid::from_u128(24);

    const MASKED: View = View {
        description: Words::Masked,
        contact: false,
        contact_masked: false,
        log_contact: false,
        decision: false,
        reveal: false,
        coordination: false,
    };
    const OWN: View = View { description: Words::Whole, contact: true, ..MASKED };
    const AT_WORK: View =
        View { description: Words::Whole, contact: true, log_contact: true, coordination: true, ..MASKED };
    const AFTER_WORK: View = View { description: Words::Whole, coordination: true, ..MASKED };
    const ENTERED: View = View { description: Words::Whole, contact_masked: true, ..MASKED };
    const OF_LEADER: View = View { decision: true, coordination: true, ..MASKED };
    const OF_DISPATCHER: View = View { decision: true, reveal: true, coordination: true, ..MASKED };
    const OF_DEPARTMENT: View = View { reveal: true, coordination: true, ..MASKED };

    fn area(code: &str) -> AreaCode {
        code.parse().unwrap()
    }

    fn actor(person: Uuid, grants: &[Grant]) -> Actor {
        Actor { person, county: area(COUNTY), grants: grants.to_vec() }
    }

    fn resident(person: Uuid) -> Actor {
        actor(person, &[])
    }

    fn with_role(role: Role, code: &str) -> Actor {
        actor(SOMEBODY, &[Grant { role, area: area(code), team: None }])
    }

    fn of_team(person: Uuid, role: Role, team: Uuid) -> Actor {
        actor(person, &[Grant { role, area: area(GRID), team: Some(team) }])
    }

    fn volunteer(person: Uuid) -> Actor {
        of_team(person, Role::Volunteer, TEAM)
    }

    fn start() -> DateTime<Utc> {
        DateTime::parse_from_rfc3339("2026-03-04T10:00:00+08:00").unwrap().to_utc()
    }

    fn placed(channel: Channel, placed_by: Uuid) -> Order {
        let placed = Placed {
            kind: Kind::Service,
            category: "errand".to_owned(),
            skill: "便民".to_owned(),
            needs_arrival: false,
            area: area(GRID),
            urgency: Urgency::Normal,
            channel,
            requester: RESIDENT,
            placed_by,
            limits: TimeLimits::default_for(Urgency::Normal),
            dispatch_by: start(),
        };
        let by = By { person: Some(placed_by), hat: Hat::Requester };
        Order::from_first(Uuid::from_u128(1), &Record { at: start(), by, event: Event::Placed(placed) })
            .unwrap()
    }

    fn then(mut order: Order, person: Option<Uuid>, hat: Hat, command: Command) -> Order {
        let now = start() + TimeDelta::minutes(order.version);
        let now = if hat == Hat::Sweep { now + TimeDelta::days(7) } else { now };
        let context = Context { now, calendar: Calendar::china(), quiet: &QuietHours::NONE };
        let (by, events) = decide(&order, command, person, Hats::of(&[hat]), &context).unwrap();
        for event in events {
            order.apply(&Record { at: now, by, event });
        }
        order
    }

    fn offer(team: Uuid, volunteer: Option<Uuid>) -> Command {
        Command::Dispatch { to: Assignment { team, volunteer }, reason: Some("最近".to_owned()) }
    }

    fn offered() -> Order {
        then(placed(Channel::Scan, RESIDENT), None, Hat::Queue, offer(TEAM, None))
    }

    fn accepted() -> Order {
        then(offered(), Some(WORKER), Hat::Offered, Command::Accept)
    }

    fn completed(order: Order) -> Order {
        let done = Command::Complete { summary: "已办好".to_owned(), minutes: 30 };
        then(order, Some(WORKER), Hat::Worker, done)
    }

    fn cancelled(order: Order) -> Order {
        let reason = Some("不用了".to_owned());
        then(order, Some(RESIDENT), Hat::Requester, Command::Cancel { reason })
    }

    fn reopened(order: Order) -> Order {
        then(order, Some(RESIDENT), Hat::Requester, Command::Reopen { reason: "又坏了".to_owned() })
    }

    fn handed_to(volunteer: Uuid) -> Order {
        let to = Assignment { team: TEAM, volunteer: Some(volunteer) };
        let reason = "临时有事".to_owned();
        then(accepted(), Some(WORKER), Hat::Worker, Command::HandOver { to, reason })
    }

    /// One order in every state that people meet, from its beginning to its ends.
    fn a_life() -> Vec<Order> {
        let asked = Command::Wait { question: "几点方便？".to_owned() };
        let rate = Command::Rate { stars: 5, solved: true, tags: vec![], comment: None };
        let life = vec![
            placed(Channel::Scan, RESIDENT),
            offered(),
            accepted(),
            then(accepted(), Some(WORKER), Hat::Worker, Command::Arrive { proof: None }),
            then(accepted(), Some(WORKER), Hat::Worker, asked),
            completed(accepted()),
            then(completed(accepted()), Some(RESIDENT), Hat::Requester, rate),
            then(completed(accepted()), None, Hat::Sweep, Command::Close),
            cancelled(accepted()),
        ];
        let states: Vec<Status> = life.iter().map(Order::status).collect();
        assert_eq!(
            states,
            Status::ALL.into_iter().filter(|status| *status != Status::Merged).collect::<Vec<_>>()
        );
        life
    }

    #[test]
    fn the_resident_who_ordered_sees_all_of_his_own_but_the_decision() {
        for order in a_life() {
            assert_eq!(view(&resident(RESIDENT), &order), Some(OWN), "{:?}", order.status());
        }
        assert_eq!(
            view(&resident(RESIDENT), &placed(Channel::Hotline, OPERATOR)),
            Some(OWN),
            "as a caller too"
        );
    }

    #[test]
    fn volunteers_who_were_offered_it_see_it_masked() {
        assert_eq!(view(&volunteer(TEAMMATE), &placed(Channel::Scan, RESIDENT)), None, "not yet");
        for order in a_life().into_iter().skip(1) {
            assert_eq!(view(&volunteer(TEAMMATE), &order), Some(MASKED), "{:?}", order.status());
        }
        let of_next = of_team(TEAMMATE, Role::Volunteer, NEXT_TEAM);
        assert_eq!(view(&of_next, &offered()), None);
        assert_eq!(view(&volunteer(TEAMMATE), &reopened(completed(accepted()))), Some(MASKED));
    }

    /// A team that was asked before sees who was faster, but cannot take what is offered to the next one.
    #[test]
    fn an_offer_that_went_on_is_seen_but_worn_no_more() {
        let order = then(offered(), None, Hat::Sweep, offer(NEXT_TEAM, None));
        for former in [volunteer(WORKER), of_team(WORKER, Role::GridLeader, TEAM)] {
            assert_eq!(hats(&former, &order), Hats::NONE);
            assert_eq!(view(&former, &order), Some(MASKED));
        }
        let next = of_team(TEAMMATE, Role::Volunteer, NEXT_TEAM);
        assert_eq!(hats(&next, &order), Hats::of(&[Hat::Offered]));
        let taken = then(order, Some(TEAMMATE), Hat::Offered, Command::Accept);
        assert_eq!(
            hats(&volunteer(WORKER), &taken),
            Hats::of(&[Hat::Offered]),
            "to be told that it is taken"
        );
    }

    #[test]
    fn a_named_offer_is_worn_by_the_named_and_the_leader() {
        let order = handed_to(TEAMMATE);
        assert_eq!(hats(&volunteer(TEAMMATE), &order), Hats::of(&[Hat::Offered]));
        let leader = of_team(SOMEBODY, Role::GridLeader, TEAM);
        assert_eq!(hats(&leader, &order), Hats::of(&[Hat::Offered, Hat::Leader]));
        assert_eq!(hats(&volunteer(WORKER), &order), Hats::NONE);
        assert_eq!(view(&volunteer(WORKER), &order), Some(MASKED), "he finds what he has handed over");
    }

    #[test]
    fn the_volunteer_who_accepted_sees_the_contact_until_the_order_ends() {
        let worker = volunteer(WORKER);
        for order in a_life() {
            let expected = match order.status() {
                Status::Placed => None,
                Status::Dispatched => Some(MASKED),
                Status::Accepted | Status::InService | Status::Waiting => Some(AT_WORK),
                Status::Completed | Status::Rated | Status::Closed => Some(AFTER_WORK),
                Status::Cancelled | Status::Merged => Some(MASKED),
            };
            assert_eq!(view(&worker, &order), expected, "{:?}", order.status());
        }
        assert_eq!(view(&worker, &reopened(completed(accepted()))), Some(MASKED));
        let overruled = then(accepted(), Some(SOMEBODY), Hat::Dispatcher, offer(NEXT_TEAM, None));
        assert_eq!(view(&worker, &overruled), Some(MASKED));
    }

    #[test]
    fn the_leader_of_the_team_sees_the_decision_and_no_contact() {
        let leader = of_team(SOMEBODY, Role::GridLeader, TEAM);
        for order in a_life().into_iter().skip(1) {
            assert_eq!(view(&leader, &order), Some(OF_LEADER), "{:?}", order.status());
        }
        assert_eq!(view(&of_team(SOMEBODY, Role::GridLeader, NEXT_TEAM), &accepted()), None);
        let at_work = of_team(WORKER, Role::GridLeader, TEAM);
        assert_eq!(view(&at_work, &accepted()), Some(View { decision: true, ..AT_WORK }), "he went himself");
    }

    #[test]
    fn a_dispatcher_sees_his_subtree_and_nothing_beside_it() {
        for order in a_life() {
            for above in [COUNTY, TOWNSHIP, VILLAGE, GRID] {
                assert_eq!(view(&with_role(Role::Dispatcher, above), &order), Some(OF_DISPATCHER), "{above}");
            }
            for beside in [SIBLING_TOWNSHIP, SIBLING_GRID, MICRO_GRID, OTHER_COUNTY] {
                assert_eq!(view(&with_role(Role::Dispatcher, beside), &order), None, "{beside}");
            }
        }
    }

    #[test]
    fn an_operator_sees_what_he_entered_and_the_contact_masked() {
        let entered = placed(Channel::Hotline, OPERATOR);
        let grant = |code| Grant { role: Role::Operator, area: area(code), team: None };
        assert_eq!(view(&actor(OPERATOR, &[grant(COUNTY)]), &entered), Some(ENTERED));
        assert_eq!(hats(&actor(OPERATOR, &[grant(COUNTY)]), &entered), Hats::of(&[Hat::Operator]));
        assert_eq!(view(&with_role(Role::Operator, COUNTY), &entered), None, "another operator's");
        assert_eq!(view(&resident(OPERATOR), &entered), None, "he is no operator any more");
        assert_eq!(view(&actor(OPERATOR, &[grant(SIBLING_TOWNSHIP)]), &entered), None);
        let patrol = placed(Channel::Patrol, OPERATOR);
        assert_eq!(view(&actor(OPERATOR, &[grant(COUNTY)]), &patrol), None, "not entered for a caller");
    }

    #[test]
    fn a_department_sees_what_it_was_whistled_for() {
        const DEPARTMENT: Uuid = Uuid::from_u128(40);
        let grant = |id| Grant { role: Role::Department, area: area(COUNTY), team: Some(id) };
        let (called, other) =
            (actor(SOMEBODY, &[grant(DEPARTMENT)]), actor(SOMEBODY, &[grant(Uuid::from_u128(41))]));
        let whistle = || Command::Whistle {
            calls: vec![(Uuid::from_u128(50), DEPARTMENT)],
            demand: "请到场".to_owned(),
        };
        for order in a_life() {
            assert_eq!(view(&called, &order), None, "not called yet");
            if !order.status().is_open() {
                continue;
            }
            let order = then(order, Some(SOMEBODY), Hat::Dispatcher, whistle());
            assert_eq!(hats(&called, &order), Hats::of(&[Hat::Department]));
            assert_eq!(view(&called, &order), Some(OF_DEPARTMENT), "{:?}", order.status());
            assert_eq!(view(&other, &order), None, "{:?}", order.status());
        }
        assert_eq!((called.departments(), called.teams()), (vec![DEPARTMENT], vec![]));
    }

    #[test]
    fn photos_are_for_those_who_read_it_whole_work_on_it_or_watch_over_it() {
        for (view, photos) in [
            (MASKED, false),
            (OWN, true),
            (ENTERED, true),
            (AT_WORK, true),
            (AFTER_WORK, true),
            (OF_LEADER, true),
            (OF_DISPATCHER, true),
            (OF_DEPARTMENT, true),
        ] {
            assert_eq!(view.photos(), photos, "{view:?}");
        }
    }

    #[test]
    fn a_township_wears_a_hat_that_its_villages_do_not() {
        for (code, township) in [(COUNTY, true), (TOWNSHIP, true), (VILLAGE, false), (GRID, false)] {
            let worn = hats(&with_role(Role::Dispatcher, code), &accepted());
            assert_eq!((worn.has(Hat::Dispatcher), worn.has(Hat::Township)), (true, township), "{code}");
        }
        assert!(!hats(&with_role(Role::Dispatcher, SIBLING_TOWNSHIP), &accepted()).has(Hat::Township));
    }

    #[test]
    fn the_county_sees_all_of_it_masked() {
        for order in a_life() {
            assert_eq!(view(&with_role(Role::CountyAdmin, COUNTY), &order), Some(OF_DISPATCHER));
            assert_eq!(
                view(&with_role(Role::Auditor, COUNTY), &order),
                Some(OF_LEADER),
                "no reveal for auditors"
            );
            assert_eq!(
                hats(&with_role(Role::CountyAdmin, COUNTY), &order),
                Hats::NONE,
                "to see is not to do"
            );
            assert_eq!(hats(&with_role(Role::Auditor, COUNTY), &order), Hats::NONE);
        }
    }

    #[test]
    fn for_everybody_else_it_is_not_there() {
        let strangers = [
            resident(SOMEBODY),
            with_role(Role::Department, COUNTY), // until it is whistled for
            with_role(Role::Operator, COUNTY),
            with_role(Role::Volunteer, GRID),
            with_role(Role::GridLeader, GRID),
            of_team(SOMEBODY, Role::Volunteer, NEXT_TEAM),
        ];
        for order in a_life() {
            for stranger in &strangers {
                assert_eq!(view(stranger, &order), None, "{stranger:?}");
                assert_eq!(hats(stranger, &order), Hats::NONE);
            }
        }
    }

    /// Even grants that point into this county open nothing to somebody of another.
    #[test]
    fn for_another_county_it_is_not_there() {
        let people = Role::ALL.into_iter().flat_map(|role| {
            [RESIDENT, WORKER, OPERATOR].map(|person| {
                let here = Grant { role, area: area(COUNTY), team: Some(TEAM) };
                Actor { county: area(OTHER_COUNTY), ..actor(person, &[here]) }
            })
        });
        for somebody in people {
            for order in a_life() {
                assert_eq!(view(&somebody, &order), None, "{somebody:?}");
                assert_eq!(hats(&somebody, &order), Hats::NONE);
            }
        }
    }

    #[test]
    fn roles_of_one_person_add_up() {
        let dispatcher = Grant { role: Role::Dispatcher, area: area(TOWNSHIP), team: None };
        let member = Grant { role: Role::Volunteer, area: area(GRID), team: Some(TEAM) };
        let own = actor(RESIDENT, &[dispatcher]);
        assert_eq!(
            view(&own, &accepted()),
            Some(View { decision: true, reveal: true, coordination: true, ..OWN })
        );
        assert_eq!(hats(&own, &accepted()), Hats::of(&[Hat::Requester, Hat::Dispatcher, Hat::Township]));
        let at_work = actor(WORKER, &[member, dispatcher]);
        assert_eq!(view(&at_work, &accepted()), Some(View { decision: true, reveal: true, ..AT_WORK }));
        assert_eq!(
            view(&at_work, &completed(accepted())),
            Some(View { description: Words::Whole, ..OF_DISPATCHER })
        );
    }

    /// What each role may do, and nothing else of [`ACTIONS`].
    const MATRIX: [(Role, &[Action]); 9] = [
        (Role::Resident, &[]),
        (Role::Volunteer, &[]),
        (Role::GridLeader, &[Action::ClaimForOther, Action::HoldActivity, Action::ReadActivity]),
        (
            Role::Dispatcher,
            &[
                Action::ModeratePost,
                Action::ReadPendingPost,
                Action::ReadBoard,
                Action::ClaimForOther,
                Action::ClaimDeduction,
                Action::ReadClaims,
                Action::DecideClaim,
                Action::KeepRoster,
                Action::OpenShop,
                Action::ReadShopBooks,
                Action::HoldActivity,
                Action::ReadActivity,
                Action::ReadDonors,
                Action::ReadSignReports,
                Action::ManageSigns,
                Action::ManageBadges,
                Action::AnswerHazard,
                Action::TransferWork,
                Action::ProposeStars,
                Action::IssueCertificate,
                Action::ReadCertificates,
                Action::KeepTrainings,
                Action::ReadTrainings,
            ],
        ),
        (Role::Operator, &[Action::PlaceForCaller]),
        (Role::Department, &[]),
        (Role::Shopkeeper, &[Action::KeepShop, Action::ReadShopBooks, Action::ReadDonors]),
        (
            Role::CountyAdmin,
            &[
                Action::ReadPendingPost,
                Action::ReadBoard,
                Action::ReverseEntry,
                Action::ReadEntries,
                Action::ClaimForOther,
                Action::ClaimDeduction,
                Action::ReadClaims,
                Action::DecideClaim,
                Action::ClosePeriod,
                Action::OpenShop,
                Action::ReadShopBooks,
                Action::HoldActivity,
                Action::ReadActivity,
                Action::ReadAudit,
                Action::ManageStaff,
                Action::ReadSignReports,
                Action::ManageSigns,
                Action::ManageBadges,
                Action::TransferWork,
                Action::ProposeStars,
                Action::ConferStars,
                Action::IssueCertificate,
                Action::ReadCertificates,
                Action::KeepTrainings,
                Action::ReadTrainings,
                Action::ExportRecord,
            ],
        ),
        (
            Role::Auditor,
            &[
                Action::ReadPendingPost,
                Action::ReadBoard,
                Action::ReadEntries,
                Action::ReadClaims,
                Action::ReadShopBooks,
                Action::ReadActivity,
                Action::ReadAudit,
                Action::ReadSignReports,
                Action::ReadCertificates,
                Action::ReadTrainings,
            ],
        ),
    ];

    const ACTIONS: [Action; 32] = [
        Action::ModeratePost,
        Action::ReadPendingPost,
        Action::PlaceForCaller,
        Action::ReadBoard,
        Action::ReverseEntry,
        Action::ReadEntries,
        Action::ClaimForOther,
        Action::ClaimDeduction,
        Action::ReadClaims,
        Action::DecideClaim,
        Action::KeepRoster,
        Action::ReadAudit,
        Action::ManageStaff,
        Action::ReadSignReports,
        Action::ManageSigns,
        Action::ManageBadges,
        Action::ClosePeriod,
        Action::OpenShop,
        Action::KeepShop,
        Action::ReadShopBooks,
        Action::HoldActivity,
        Action::ReadActivity,
        Action::AnswerHazard,
        Action::TransferWork,
        Action::ProposeStars,
        Action::ConferStars,
        Action::IssueCertificate,
        Action::ReadCertificates,
        Action::KeepTrainings,
        Action::ReadTrainings,
        Action::ExportRecord,
        Action::ReadDonors,
    ];

    #[test]
    fn whoever_serves_inside_an_area_takes_part_in_its_activities() {
        let serves = volunteer(WORKER);
        for (of, part) in [
            (COUNTY, true),
            (TOWNSHIP, true),
            (VILLAGE, true),
            (GRID, true),
            (MICRO_GRID, false),
            (SIBLING_GRID, false),
            (SIBLING_TOWNSHIP, false),
            (OTHER_COUNTY, false),
        ] {
            assert_eq!(takes_part(&serves, area(of)), part, "{of}");
            assert!(!takes_part(&with_role(Role::Dispatcher, TOWNSHIP), area(of)), "{of}");
        }
    }

    #[test]
    fn every_role_and_action() {
        assert_eq!(MATRIX.map(|(role, _)| role), Role::ALL);
        for (role, allowed) in MATRIX {
            let somebody = with_role(role, TOWNSHIP);
            for action in ACTIONS {
                let allowed = allowed.contains(&action);
                for inside in [TOWNSHIP, VILLAGE, GRID, MICRO_GRID] {
                    assert_eq!(
                        allow(&somebody, action, area(inside)),
                        allowed,
                        "{role:?} {action:?} {inside}"
                    );
                }
                for outside in [COUNTY, SIBLING_TOWNSHIP, OTHER_COUNTY] {
                    assert!(!allow(&somebody, action, area(outside)), "{role:?} {action:?} {outside}");
                }
                assert!(!allow(&resident(SOMEBODY), action, area(TOWNSHIP)));
            }
        }
    }

    #[test]
    fn a_roster_is_kept_by_the_leader_and_by_a_dispatcher_over_all_that_the_team_serves() {
        let serves = [area(GRID), area(SIBLING_GRID)];
        let keeps = |actor: &Actor| keeps_roster(actor, TEAM, &serves);
        assert!(keeps(&of_team(SOMEBODY, Role::GridLeader, TEAM)));
        assert!(keeps(&with_role(Role::Dispatcher, VILLAGE)));
        assert!(!keeps(&with_role(Role::Dispatcher, GRID)), "not over all of it");
        assert!(!keeps(&with_role(Role::CountyAdmin, COUNTY)));
        assert!(!keeps_roster(&with_role(Role::Dispatcher, COUNTY), TEAM, &[]), "a team that serves nothing");
        assert!(!keeps(&volunteer(SOMEBODY)) && reads_roster(&volunteer(SOMEBODY), TEAM, &serves));
        assert!(!reads_roster(&of_team(SOMEBODY, Role::Volunteer, NEXT_TEAM), TEAM, &serves));
    }

    #[test]
    fn work_is_handed_on_by_the_leader_the_station_and_the_county() {
        let transfers = |actor: &Actor| transfers_work(actor, WORKER, TEAM, area(GRID));
        assert!(transfers(&of_team(SOMEBODY, Role::GridLeader, TEAM)));
        assert!(!transfers(&of_team(WORKER, Role::GridLeader, TEAM)), "not his own");
        assert!(!transfers(&of_team(SOMEBODY, Role::GridLeader, NEXT_TEAM)));
        assert!(transfers(&with_role(Role::Dispatcher, VILLAGE)));
        assert!(transfers(&with_role(Role::CountyAdmin, COUNTY)));
        assert!(!transfers(&with_role(Role::Dispatcher, SIBLING_TOWNSHIP)));
        assert!(!transfers(&with_role(Role::Auditor, COUNTY)) && !transfers(&volunteer(SOMEBODY)));
        assert!(knows_volunteer(&volunteer(SOMEBODY), TEAM, area(GRID)));
        assert!(knows_volunteer(&with_role(Role::Auditor, COUNTY), TEAM, area(GRID)));
        assert!(!knows_volunteer(&resident(SOMEBODY), TEAM, area(GRID)));
        assert!(!knows_volunteer(&with_role(Role::Dispatcher, SIBLING_TOWNSHIP), TEAM, area(GRID)));
    }

    #[test]
    fn an_actor_knows_his_roles_teams_and_areas() {
        let grant = |role, code, team| Grant { role, area: area(code), team };
        let somebody = actor(
            SOMEBODY,
            &[
                grant(Role::GridLeader, GRID, Some(TEAM)),
                grant(Role::Volunteer, GRID, Some(TEAM)),
                grant(Role::Volunteer, SIBLING_GRID, Some(NEXT_TEAM)),
                grant(Role::Dispatcher, VILLAGE, None),
            ],
        );
        assert_eq!(somebody.teams(), [TEAM, NEXT_TEAM]);
        assert_eq!(somebody.areas(Role::Volunteer).collect::<Vec<_>>(), [area(GRID), area(SIBLING_GRID)]);
        assert!(somebody.is(Role::Resident) && somebody.is(Role::Dispatcher) && !somebody.is(Role::Auditor));
        assert!(
            somebody.has(Role::Dispatcher, area(MICRO_GRID))
                && !somebody.has(Role::Dispatcher, area(TOWNSHIP))
        );
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        assert_eq!(Role::parse("root"), None);
    }
}
