//! Rows that no request can make in a test: what took months, or what runs for ever.

use xingfuma_tests::notice;

/// The id of the grant that makes a resident a volunteer.
pub(crate) const NEW_GRANT: &str = "01900000-0000-7000-8000-000000000001";
/// The id of a hazard.
pub(crate) const HAZARD: &str = "01900000-0000-7000-8000-000000000002";
/// The month of the notice.
pub(crate) const NOTICE: &str = notice::MONTH;
/// The round of stars.
pub(crate) const ROUND: &str = "01900000-0000-7000-8000-000000000055";
/// An id that nothing has.
pub(crate) const NOTHING: &str = "01900000-0000-7000-8000-000000000000";

/// An id, as SQL of the database has it.
fn bytes(id: &str, is_postgres: bool) -> String {
    if is_postgres { format!("'{id}'") } else { format!("X'{}'", id.replace('-', "")) }
}

/// SQL that makes a person a volunteer of the team of another grid.
pub(crate) fn become_volunteer(person: &str, grid: &str, is_postgres: bool) -> String {
    let bytes = |id: &str| bytes(id, is_postgres);
    let (grant, person) = (bytes(NEW_GRANT), bytes(person));
    format!(
        "INSERT INTO role_grant (id, county, person_id, role, area_code, team_id, granted_at) \
         SELECT {grant}, t.county, {person}, 'volunteer', a.area_code, t.id, '2026-01-01 00:00:00+00:00' \
         FROM team t JOIN team_area a ON a.team_id = t.id \
         WHERE t.kind = 'grid' AND a.area_code <> '{grid}' ORDER BY a.area_code LIMIT 1"
    )
}

/// SQL that writes a hazard that its station has answered.
pub(crate) fn answered_hazard(grid: &str, is_postgres: bool) -> String {
    let bytes = |id: &str| bytes(id, is_postgres);
    let (id, nobody, at) = (bytes(HAZARD), bytes(NOTHING), "'2026-01-01T00:00:00+00:00'");
    format!(
        "INSERT INTO hazard (id, county, area_code, category, number, times, first_at, last_at, found_at, cause, \
         measure, answered_by, answered_at) VALUES ({id}, '140724', '{grid}', 'environment', 1, 4, {at}, {at}, {at}, \
         '清运太少', '每周三次', {nobody}, {at})"
    )
}

/// SQL that shows a round of stars with a hundred lines of people whom nobody knows, for ever.
pub(crate) fn round_of_stars(grid: &str, is_postgres: bool) -> [String; 2] {
    let bytes = |id: &str| bytes(id, is_postgres);
    let (round, nobody) = (bytes(ROUND), bytes(NOTHING));
    let hash = if is_postgres { "''::bytea" } else { "X''" };
    let lines = (1..=100).map(|number| {
        let person = bytes(&format!("00000000-0000-0000-0000-{number:012x}"));
        format!("({round}, {number}, '140724', {person}, '{grid}', 6000, 0, 0, 1, 'standing')")
    });
    [
        format!(
            "INSERT INTO star_round (id, county, area_code, as_of, rule_version, status, working_days, proposed_by, \
             published_at, notice_ends_at, line_count, list_hash) VALUES ({round}, '140724', '{}', '2025-11-30', 1, \
             'notice', 5, {nobody}, '2025-12-01T00:00:00+00:00', '2999-01-01T00:00:00+00:00', 100, {hash})",
            &grid[..9]
        ),
        format!(
            "INSERT INTO star_line (round_id, number, county, person_id, area_code, minutes, points, stars_before, \
             stars, status) VALUES {}",
            lines.collect::<Vec<_>>().join(", ")
        ),
    ]
}
