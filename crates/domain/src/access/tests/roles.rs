//! What each role may do in its areas, whatever the order.

use super::*;

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
                assert_eq!(allow(&somebody, action, area(inside)), allowed, "{role:?} {action:?} {inside}");
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
        somebody.has(Role::Dispatcher, area(MICRO_GRID)) && !somebody.has(Role::Dispatcher, area(TOWNSHIP))
    );
    for role in Role::ALL {
        assert_eq!(Role::parse(role.as_str()), Some(role));
        assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
    }
    assert_eq!(Role::parse("root"), None);
}
