//! 星级: one to five stars by hours of service and assessment points, as of a date.
//!
//! The scale is a sheet (CSV) of the columns `stars`, `hours`, `points`, `version`, `effective_from`: five lines a
//! version, one a star. A changed scale is a new version that begins later, so that an old date is judged by the scale
//! of its time. All faults of a sheet are told at once, with line and field.
//!
//! Nobody is lowered by a round: [`rise`] proposes whoever stands below what he has reached, and nobody else.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use chrono::NaiveDate;
use csv::{ReaderBuilder, StringRecord, Trim};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::chain::Hash;
use super::rules::POINTS_LIMIT;
use super::sheet::line_of;
use super::word::{UnknownWord, words};

/// The most stars.
pub const STARS_MOST: u8 = 5;
/// Hours beyond which a threshold is a slip: nobody serves a hundred years.
const HOURS_LIMIT: i64 = 1_000_000;
const COLUMNS: [&str; 5] = ["stars", "hours", "points", "version", "effective_from"];

/// What one star asks for: at least these minutes and these points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StarStep {
    /// 1 to 5.
    pub stars: u8,
    /// Minutes of service, without travel.
    pub minutes: i64,
    /// Assessment points.
    pub points: i64,
}

/// One version of the scale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StarScale {
    /// 1 for the first version, higher for later ones.
    pub version: i32,
    /// The first day (China time) on which it holds; none for always.
    pub effective_from: Option<NaiveDate>,
    /// One a star, from the first on; none asks for less than the one before it.
    pub steps: Vec<StarStep>,
}

impl StarScale {
    /// The stars that somebody with so many minutes and points has reached; 0 for none.
    pub fn stars(&self, minutes: i64, points: i64) -> u8 {
        let reached = |step: &&StarStep| minutes >= step.minutes && points >= step.points;
        self.steps.iter().filter(reached).map(|step| step.stars).max().unwrap_or(0)
    }

    /// What the star after these asks for; none after the last.
    pub fn after(&self, stars: u8) -> Option<&StarStep> {
        self.steps.iter().find(|step| step.stars == stars + 1)
    }
}

/// All versions of the scale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StarBook {
    /// In ascending order, of number and of date.
    scales: Vec<StarScale>,
}

/// Something wrong in a scale's sheet, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, {field}: {fault}")]
pub struct StarFault {
    /// The line as an editor counts it, from 1.
    pub line: u64,
    /// The column, or `line`.
    pub field: &'static str,
    /// What is wrong.
    pub fault: StarProblem,
}

/// What can be wrong in a scale's sheet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StarProblem {
    /// The line is not one of the sheet's columns.
    #[error("not a line of {columns} columns", columns = COLUMNS.len())]
    NotALine,
    /// The heading names other columns.
    #[error("the columns are {columns}", columns = COLUMNS.join(", "))]
    Heading,
    /// Not a number within its bounds.
    #[error("{0:?} is not a number that can stand here")]
    NotANumber(String),
    /// Not a date.
    #[error("{0:?} is no date (YYYY-MM-DD)")]
    NotADate(String),
    /// This star stands in this version twice.
    #[error("this star stands there twice")]
    Twice,
    /// A version without one of its five stars.
    #[error("version {version} has no line for star {stars}")]
    Missing {
        /// The version.
        version: i32,
        /// The star that is not there.
        stars: u8,
    },
    /// A star asks for less than the one before it.
    #[error("this star asks for less than the one before it")]
    Falls,
    /// Lines of one version begin on different days, or a higher version does not begin later.
    #[error("version {0} does not begin on one day, after the version before it")]
    NotLater(i32),
}

/// A line that was read.
struct Row {
    line: u64,
    version: i32,
    from: Option<NaiveDate>,
    step: StarStep,
}

impl StarBook {
    /// The sample scale that the program comes with (`data/rules/stars.csv`).
    pub fn sample() -> StarBook {
        Self::read(include_str!("../../data/rules/stars.csv")).expect("the sheet in the program is tested")
    }

    /// Whether a sheet is a scale, by its heading.
    pub fn is_scale(text: &str) -> bool {
        let heading = text.lines().find(|line| !line.starts_with('#') && !line.trim().is_empty());
        heading.is_some_and(|heading| heading.trim_start_matches('\u{feff}').starts_with("stars,"))
    }

    /// Reads a sheet.
    ///
    /// # Errors
    /// Every fault, with line and field.
    pub fn read(text: &str) -> Result<StarBook, Vec<StarFault>> {
        let (rows, mut faults) = rows(text);
        let mut versions: BTreeMap<i32, Vec<Row>> = BTreeMap::new();
        for row in rows {
            let of = versions.entry(row.version).or_default();
            if of.iter().any(|other| other.step.stars == row.step.stars) {
                faults.push(StarFault { line: row.line, field: "stars", fault: StarProblem::Twice });
            } else {
                of.push(row);
            }
        }
        let mut scales: Vec<StarScale> = Vec::with_capacity(versions.len());
        for (version, rows) in versions {
            match scale(version, rows, scales.last()) {
                Ok(scale) => scales.push(scale),
                Err(found) => faults.extend(found),
            }
        }
        if scales.is_empty() && faults.is_empty() {
            let missing = StarProblem::Missing { version: 1, stars: 1 };
            faults.push(StarFault { line: 1, field: "line", fault: missing });
        }
        faults.sort_by_key(|fault| fault.line);
        if faults.is_empty() { Ok(StarBook { scales }) } else { Err(faults) }
    }

    /// The scale in force on a day (China time): the last that has begun.
    pub fn in_force(&self, on: NaiveDate) -> Option<&StarScale> {
        self.scales.iter().rfind(|scale| scale.effective_from.is_none_or(|from| from <= on))
    }

    /// One version.
    pub fn version(&self, version: i32) -> Option<&StarScale> {
        self.scales.iter().find(|scale| scale.version == version)
    }

    /// How many versions there are.
    pub fn versions(&self) -> usize {
        self.scales.len()
    }
}

fn rows(text: &str) -> (Vec<Row>, Vec<StarFault>) {
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    let text = text.trim_start_matches('\u{feff}');
    let mut reader =
        ReaderBuilder::new().comment(Some(b'#')).trim(Trim::All).flexible(true).from_reader(text.as_bytes());
    let heading = reader.headers().cloned().unwrap_or_default();
    if heading.iter().ne(COLUMNS) {
        faults.push(StarFault { line: line_of(text, &heading), field: "line", fault: StarProblem::Heading });
        return (rows, faults);
    }
    for record in reader.records() {
        match record {
            Ok(record) if record.len() == COLUMNS.len() => match row(text, &record) {
                Ok(row) => rows.push(row),
                Err(found) => faults.extend(found),
            },
            Ok(record) => {
                faults.push(StarFault {
                    line: line_of(text, &record),
                    field: "line",
                    fault: StarProblem::NotALine,
                });
            }
            Err(error) => {
                let line = error.position().map_or(1, csv::Position::line);
                faults.push(StarFault { line, field: "line", fault: StarProblem::NotALine });
            }
        }
    }
    (rows, faults)
}

fn row(text: &str, record: &StringRecord) -> Result<Row, Vec<StarFault>> {
    let line = line_of(text, record);
    let mut faults = Vec::new();
    let mut number = |at: usize, least: i64, most: i64| {
        let text = record.get(at).unwrap_or_default();
        let read = text.parse::<i64>().ok().filter(|number| (least..=most).contains(number));
        if read.is_none() {
            let fault = StarProblem::NotANumber(text.to_owned());
            faults.push(StarFault { line, field: COLUMNS[at], fault });
        }
        read.unwrap_or(least)
    };
    let stars = number(0, 1, i64::from(STARS_MOST));
    let hours = number(1, 1, HOURS_LIMIT);
    let points = number(2, 0, POINTS_LIMIT);
    let version = number(3, 1, i64::from(i32::MAX));
    let text = record.get(4).unwrap_or_default();
    let from = (!text.is_empty()).then(|| text.parse::<NaiveDate>());
    if let Some(Err(_)) = from {
        faults.push(StarFault { line, field: COLUMNS[4], fault: StarProblem::NotADate(text.to_owned()) });
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(Row {
        line,
        version: i32::try_from(version).unwrap_or(i32::MAX),
        from: from.and_then(Result::ok),
        step: StarStep { stars: u8::try_from(stars).unwrap_or(STARS_MOST), minutes: hours * 60, points },
    })
}

/// One version from its lines, none of which stands there twice.
fn scale(version: i32, mut rows: Vec<Row>, before: Option<&StarScale>) -> Result<StarScale, Vec<StarFault>> {
    rows.sort_by_key(|row| row.step.stars);
    let first = rows.iter().map(|row| row.line).min().unwrap_or(1);
    let mut faults = Vec::new();
    for stars in 1..=STARS_MOST {
        if !rows.iter().any(|row| row.step.stars == stars) {
            let fault = StarProblem::Missing { version, stars };
            faults.push(StarFault { line: first, field: "stars", fault });
        }
    }
    for pair in rows.windows(2) {
        let (lower, higher) = (&pair[0].step, &pair[1].step);
        if higher.minutes < lower.minutes || higher.points < lower.points {
            let field = if higher.minutes < lower.minutes { "hours" } else { "points" };
            faults.push(StarFault { line: pair[1].line, field, fault: StarProblem::Falls });
        }
    }
    let from = rows.first().and_then(|row| row.from);
    // `None` (always) sorts before every date, so it is right for a first version only.
    let later = before.is_none_or(|before| before.effective_from < from);
    if !later || rows.iter().any(|row| row.from != from) {
        faults.push(StarFault {
            line: first,
            field: "effective_from",
            fault: StarProblem::NotLater(version),
        });
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(StarScale { version, effective_from: from, steps: rows.into_iter().map(|row| row.step).collect() })
}

/// Where a line of a round stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StarLineStatus {
    /// It is conferred when the notice is over.
    Standing,
    /// An objection waits for its decision; the line alone waits with it.
    Contested,
    /// An objection was upheld: nothing is conferred.
    Struck,
    /// It was contested when the round was conferred. Whoever is right after all is proposed by the next round.
    Paused,
    /// Conferred.
    Conferred,
}

words!(StarLineStatus {
    Standing => "standing",
    Contested => "contested",
    Struck => "struck",
    Paused => "paused",
    Conferred => "conferred",
});

/// Where a line stands after an objection to it was decided and no other waits; nothing changes in a round that is
/// conferred already but that what was paused is struck if the objection was right.
pub fn after_star_decision(conferred: bool, upheld: bool) -> StarLineStatus {
    match (conferred, upheld) {
        (_, true) => StarLineStatus::Struck,
        (false, false) => StarLineStatus::Standing,
        (true, false) => StarLineStatus::Paused,
    }
}

/// The stars that a round proposes for somebody: those that he has reached, if they are more than he has.
pub fn rise(scale: &StarScale, minutes: i64, points: i64, has: u8) -> Option<u8> {
    Some(scale.stars(minutes, points)).filter(|reached| *reached > has)
}

/// A line of a round as it is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StarLine {
    /// Its number in the list, from 1.
    pub number: i64,
    /// The person.
    pub person: Uuid,
    /// Minutes of service.
    pub minutes: i64,
    /// Points.
    pub points: i64,
    /// Stars before.
    pub before: u8,
    /// Stars that are proposed.
    pub stars: u8,
}

/// SHA-256 of a round's list as it was published.
pub fn star_list_hash(county: &str, round: Uuid, as_of: NaiveDate, version: i32, lines: &[StarLine]) -> Hash {
    let mut sha = Sha256::new();
    sha.update(b"xingfuma star round 1\0");
    sha.update((county.len() as u64).to_be_bytes());
    sha.update(county.as_bytes());
    sha.update(round.as_bytes());
    sha.update(as_of.to_string().as_bytes());
    sha.update(version.to_be_bytes());
    for line in lines {
        sha.update(line.number.to_be_bytes());
        sha.update(line.person.as_bytes());
        sha.update(line.minutes.to_be_bytes());
        sha.update(line.points.to_be_bytes());
        sha.update([line.before, line.stars]);
    }
    sha.finalize().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADING: &str = "stars,hours,points,version,effective_from\n";

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a date")
    }

    fn faults(lines: &str) -> Vec<(u64, &'static str, StarProblem)> {
        let found = StarBook::read(&format!("{HEADING}{lines}")).expect_err("a bad sheet");
        found.into_iter().map(|fault| (fault.line, fault.field, fault.fault)).collect()
    }

    #[test]
    fn the_sample_is_the_usual_scale() {
        let book = StarBook::sample();
        let scale = book.in_force(day("2026-01-01")).expect("always");
        let hours: Vec<i64> = scale.steps.iter().map(|step| step.minutes / 60).collect();
        assert_eq!((hours, book.versions()), (vec![100, 300, 600, 1000, 1500], 1));
        let table = [(0, 0), (5_999, 0), (6_000, 1), (17_999, 1), (18_000, 2), (36_000, 3), (60_000, 4)];
        for (minutes, stars) in table {
            assert_eq!(scale.stars(minutes, 0), stars, "{minutes}");
        }
        assert_eq!(scale.stars(90_000, 0), 5);
        assert_eq!(scale.stars(i64::MAX, i64::MAX), 5);
        assert_eq!(scale.stars(i64::MIN, i64::MIN), 0);
        assert_eq!(scale.after(0).map(|step| step.stars), Some(1));
        assert_eq!(scale.after(4).map(|step| step.minutes), Some(90_000));
        assert_eq!(scale.after(5), None);
    }

    #[test]
    fn a_day_is_judged_by_the_scale_of_its_time() {
        let lines = "1,1,0,1,\n2,2,0,1,\n3,3,0,1,\n4,4,0,1,\n5,5,0,1,\n\
                     1,10,5,2,2026-07-01\n2,20,5,2,2026-07-01\n3,30,5,2,2026-07-01\n4,40,5,2,2026-07-01\n5,50,5,2,2026-07-01\n";
        let book = StarBook::read(&format!("\u{feff}{HEADING}{lines}")).expect("a scale");
        let stars = |on: &str, points| book.in_force(day(on)).expect("begun").stars(600, points);
        assert_eq!(stars("2026-06-30", 0), 5);
        assert_eq!([stars("2026-07-01", 4), stars("2026-07-01", 5)], [0, 1]);
        assert_eq!(book.version(2).map(|scale| scale.steps[0].points), Some(5));
        assert_eq!(book.version(3), None);
        let late = StarBook::read(&format!("{HEADING}{}", lines.replace(",1,\n", ",1,2026-01-01\n")));
        assert_eq!(late.expect("a scale").in_force(day("2025-12-31")), None);
    }

    #[test]
    fn every_fault_is_told_with_its_line() {
        use StarProblem::{Falls, Missing, NotADate, NotALine, NotANumber, NotLater, Twice};
        let good = "1,1,0,1,\n2,2,0,1,\n3,3,0,1,\n4,4,0,1,\n5,5,0,1,\n";
        assert_eq!(
            faults("0,x,-1,0,soon\n"),
            [
                (2, "stars", NotANumber("0".into())),
                (2, "hours", NotANumber("x".into())),
                (2, "points", NotANumber("-1".into())),
                (2, "version", NotANumber("0".into())),
                (2, "effective_from", NotADate("soon".into())),
            ]
        );
        assert_eq!(faults("6,1,0,1,\n")[0].2, NotANumber("6".into()));
        assert_eq!(faults(&format!("{good}1,0,0,1,\n"))[0], (7, "hours", NotANumber("0".into())));
        assert_eq!(faults(&format!("{good}5,9,0,1,\n")), [(7, "stars", Twice)]);
        assert_eq!(faults(&good.replace("3,3,0,1,\n", "")), [(2, "stars", Missing { version: 1, stars: 3 })]);
        assert_eq!(faults(&good.replace("4,4,0", "4,2,0")), [(5, "hours", Falls)]);
        assert_eq!(faults(&good.replace("3,3,0", "3,3,7")), [(5, "points", Falls)]);
        assert_eq!(
            faults(&good.replace("2,2,0,1,", "2,2,0,1,2026-01-01")),
            [(2, "effective_from", NotLater(1))]
        );
        let second = good.replace(",1,\n", ",2,\n");
        assert_eq!(faults(&format!("{good}{second}")), [(7, "effective_from", NotLater(2))]);
        assert_eq!(faults(&format!("{good}1,2\n")), [(7, "line", NotALine)]);
        assert_eq!(faults("")[0].2, Missing { version: 1, stars: 1 });
        let heading = StarBook::read("stars,hours\n1,1\n").expect_err("columns");
        assert_eq!(heading[0].fault, StarProblem::Heading);
        assert!(StarBook::is_scale("# 星级\n\nstars,hours\n") && !StarBook::is_scale("code,stars,\n"));
    }

    #[test]
    fn a_line_after_its_objections() {
        assert_eq!(after_star_decision(false, true), StarLineStatus::Struck);
        assert_eq!(after_star_decision(false, false), StarLineStatus::Standing);
        assert_eq!(after_star_decision(true, true), StarLineStatus::Struck);
        assert_eq!(after_star_decision(true, false), StarLineStatus::Paused);
    }

    #[test]
    fn every_part_of_a_round_is_in_its_hash() {
        let line =
            StarLine { number: 1, person: Uuid::from_u128(7), minutes: 60, points: 3, before: 0, stars: 1 };
        let hash = |county: &str, round, day: &str, version, lines: &[StarLine]| {
            star_list_hash(county, Uuid::from_u128(round), day.parse().expect("a day"), version, lines)
        };
        let good = hash("140724", 1, "2026-03-01", 1, &[line]);
        assert_eq!(good, hash("140724", 1, "2026-03-01", 1, &[line]));
        for other in [
            hash("140725", 1, "2026-03-01", 1, &[line]),
            hash("140724", 2, "2026-03-01", 1, &[line]),
            hash("140724", 1, "2026-03-02", 1, &[line]),
            hash("140724", 1, "2026-03-01", 2, &[line]),
            hash("140724", 1, "2026-03-01", 1, &[]),
            hash("140724", 1, "2026-03-01", 1, &[StarLine { number: 2, ..line }]),
            hash("140724", 1, "2026-03-01", 1, &[StarLine { person: Uuid::nil(), ..line }]),
            hash("140724", 1, "2026-03-01", 1, &[StarLine { minutes: 61, ..line }]),
            hash("140724", 1, "2026-03-01", 1, &[StarLine { points: 4, ..line }]),
            hash("140724", 1, "2026-03-01", 1, &[StarLine { before: 1, ..line }]),
            hash("140724", 1, "2026-03-01", 1, &[StarLine { stars: 2, ..line }]),
        ] {
            assert_ne!(good, other);
        }
    }

    proptest! {
        #[test]
        fn more_service_never_means_fewer_stars(
            minutes in 0_i64..200_000, points in 0_i64..5_000, more in 0_i64..100_000, has in 0_u8..6,
        ) {
            let book = StarBook::sample();
            let scale = book.in_force(day("2026-01-01")).expect("always");
            prop_assert!(scale.stars(minutes + more, points) >= scale.stars(minutes, points));
            match rise(scale, minutes, points, has) {
                Some(stars) => prop_assert!(stars > has && stars == scale.stars(minutes, points)),
                None => prop_assert!(scale.stars(minutes, points) <= has),
            }
        }
    }
}
