//! Other ways to score, as data: parts with items, caps, and levels by thresholds.
//!
//! What other counties do with points (classes of party members, stars of village secretaries, ten-star households, an
//! account of volunteer hours) differs in what is counted and in what the sum is called, not in how it is counted. A
//! scheme is one sheet (CSV) of rows of three sorts, in any order:
//!
//! | `row` | `code` | `part` | `points` | `cap` | `veto` |
//! | --- | --- | --- | --- | --- | --- |
//! | `part` | its own | – | – | most points of the part | – |
//! | `item` | its own | its part | for each time (or hour); `min..max` where somebody decides | most points of the item | `yes`: whoever has it gets the lowest level, whatever his sum |
//! | `level` | its own | – | the least sum for it | – | – |
//!
//! All faults of a sheet are told at once, with line and field.

use std::collections::{BTreeMap, BTreeSet};

use csv::{ReaderBuilder, StringRecord, Trim};

use super::rules::{POINTS_LIMIT, Points};
use super::sheet::line_of;

const COLUMNS: [&str; 7] = ["row", "code", "name", "part", "points", "cap", "veto"];

/// A part of a scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemePart {
    /// Its code.
    pub code: String,
    /// Its name.
    pub name: String,
    /// Most points of it; none for no cap.
    pub cap: Option<i64>,
}

/// Something that is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemeItem {
    /// Its code.
    pub code: String,
    /// Its name.
    pub name: String,
    /// The part it counts in.
    pub part: String,
    /// Points for each time.
    pub points: Points,
    /// Most points of it; none for no cap.
    pub cap: Option<i64>,
    /// Whoever has it gets the lowest level.
    pub veto: bool,
}

/// What a sum is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemeLevel {
    /// Its code.
    pub code: String,
    /// Its name.
    pub name: String,
    /// The least sum for it.
    pub from: i64,
}

/// A scheme that was checked: its items name parts that it has, and every sum has a level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheme {
    parts: Vec<SchemePart>,
    items: BTreeMap<String, SchemeItem>,
    /// The highest first.
    levels: Vec<SchemeLevel>,
}

/// Something wrong in a scheme's sheet, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, {field}: {fault}")]
pub struct SchemeFault {
    /// The line as an editor counts it, from 1.
    pub line: u64,
    /// The column, or `line`.
    pub field: &'static str,
    /// What is wrong.
    pub fault: SchemeProblem,
}

/// What can be wrong in a scheme's sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SchemeProblem {
    /// The heading is not the seven columns.
    #[error("the heading must be row,code,name,part,points,cap,veto")]
    Heading,
    /// The line cannot be read, or has more or fewer fields than the heading.
    #[error("not readable as seven fields")]
    Unreadable,
    /// The sort of row is none.
    #[error("must be part, item or level")]
    UnknownRow,
    /// A field that must be filled is empty.
    #[error("must not be empty")]
    Empty,
    /// A field that this sort of row does not have is filled.
    #[error("must be empty here")]
    NotHere,
    /// The code stands there already.
    #[error("this code stands there already")]
    Duplicate,
    /// The item counts in a part that the sheet does not have.
    #[error("there is no such part")]
    NoSuchPart,
    /// Not an integer, or a range of two, within what any rule may give.
    #[error("not an integer, or min..max")]
    NotPoints,
    /// A cap that is not above zero.
    #[error("a cap must be an integer above zero")]
    NotACap,
    /// Neither `yes` nor empty.
    #[error("must be yes, or empty")]
    NotYes,
    /// Two levels begin at the same sum.
    #[error("another level begins there")]
    SameLevel,
    /// No level at all.
    #[error("there is no level")]
    NoLevel,
}

/// Something done, or found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// The item.
    pub item: String,
    /// How often, or for how many hours.
    pub times: i64,
    /// The choice of whoever decided, where the item leaves one.
    pub points: Option<i64>,
}

/// Why deeds cannot be scored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeedFault {
    /// The scheme has no such item.
    #[error("there is no item {0}")]
    UnknownItem(String),
    /// Less than once.
    #[error("item {0} was not done at all")]
    NotDone(String),
    /// The choice is outside the item's range, or is missing.
    #[error("item {0} does not allow these points")]
    PointsNotAllowed(String),
}

/// What deeds come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemeScore {
    /// The points of each part, in the order of the sheet, after caps.
    pub parts: Vec<(String, i64)>,
    /// Their sum.
    pub total: i64,
    /// The level's code.
    pub level: String,
    /// The item that forced the lowest level.
    pub vetoed_by: Option<String>,
}

impl Scheme {
    /// Reads a scheme.
    ///
    /// # Errors
    /// Every fault, in the order of lines.
    pub fn read(text: &str) -> Result<Scheme, Vec<SchemeFault>> {
        let mut reading = Reading::default();
        reading.sheet(text.strip_prefix('\u{feff}').unwrap_or(text));
        reading.finish()
    }

    /// Its parts, in the order of the sheet.
    pub fn parts(&self) -> &[SchemePart] {
        &self.parts
    }

    /// Its items, by code.
    pub fn items(&self) -> impl Iterator<Item = &SchemeItem> {
        self.items.values()
    }

    /// Its levels, the highest first.
    pub fn levels(&self) -> &[SchemeLevel] {
        &self.levels
    }

    /// Scores deeds. Caps cut what is above zero; what takes points is never cut.
    ///
    /// # Errors
    /// [`DeedFault`] for the first deed that the scheme does not allow.
    pub fn score(&self, deeds: &[Deed]) -> Result<SchemeScore, DeedFault> {
        let mut of_items: BTreeMap<&str, i64> = BTreeMap::new();
        let mut vetoed_by = None;
        for deed in deeds {
            let item = self.items.get(&deed.item).ok_or_else(|| DeedFault::UnknownItem(deed.item.clone()))?;
            if deed.times < 1 {
                return Err(DeedFault::NotDone(item.code.clone()));
            }
            let points = choice(item, deed.points)?;
            let sum = of_items.entry(item.code.as_str()).or_default();
            *sum = sum.saturating_add(points.saturating_mul(deed.times));
            if item.veto {
                vetoed_by.get_or_insert_with(|| item.code.clone());
            }
        }
        let parts: Vec<(String, i64)> =
            self.parts.iter().map(|part| (part.code.clone(), self.part(part, &of_items))).collect();
        let total = parts.iter().fold(0_i64, |sum, (_, points)| sum.saturating_add(*points));
        let lowest = &self.levels[self.levels.len() - 1];
        let reached = self.levels.iter().find(|level| level.from <= total).unwrap_or(lowest);
        let level = if vetoed_by.is_some() { lowest } else { reached };
        Ok(SchemeScore { parts, total, level: level.code.clone(), vetoed_by })
    }

    fn part(&self, part: &SchemePart, of_items: &BTreeMap<&str, i64>) -> i64 {
        let sum = of_items.iter().fold(0_i64, |sum, (code, points)| {
            let item = &self.items[*code];
            if item.part == part.code { sum.saturating_add(capped(*points, item.cap)) } else { sum }
        });
        capped(sum, part.cap)
    }
}

fn capped(points: i64, cap: Option<i64>) -> i64 {
    cap.map_or(points, |cap| points.min(cap))
}

fn choice(item: &SchemeItem, points: Option<i64>) -> Result<i64, DeedFault> {
    let not_allowed = || DeedFault::PointsNotAllowed(item.code.clone());
    match (item.points, points) {
        (Points::Fixed(points), None) => Ok(points),
        (Points::Range { .. }, None) => Err(not_allowed()),
        (allowed, Some(points)) => {
            if allowed.allows(points) {
                Ok(points)
            } else {
                Err(not_allowed())
            }
        }
    }
}

#[derive(Default)]
struct Reading {
    parts: Vec<SchemePart>,
    items: Vec<(u64, SchemeItem)>,
    levels: Vec<(u64, SchemeLevel)>,
    codes: BTreeSet<String>,
    faults: Vec<SchemeFault>,
}

impl Reading {
    fn sheet(&mut self, text: &str) {
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .comment(Some(b'#'))
            .trim(Trim::All)
            .from_reader(text.as_bytes());
        let (mut record, mut heading) = (StringRecord::new(), false);
        while reader.read_record(&mut record).unwrap_or(false) {
            let line = line_of(text, &record);
            if !heading {
                heading = true;
                if record.iter().ne(COLUMNS) {
                    return self.fault(line, "line", SchemeProblem::Heading);
                }
            } else if record.len() == COLUMNS.len() {
                self.row(line, &record);
            } else {
                self.fault(line, "line", SchemeProblem::Unreadable);
            }
        }
        if !heading {
            self.fault(1, "line", SchemeProblem::Heading);
        }
    }

    fn row(&mut self, line: u64, record: &StringRecord) {
        let field = |at: usize| record.get(at).unwrap_or_default();
        let (code, name) = (field(1).to_owned(), field(2).to_owned());
        for (filled, column) in [(&code, "code"), (&name, "name")] {
            if filled.is_empty() {
                self.fault(line, column, SchemeProblem::Empty);
            }
        }
        if !code.is_empty() && !self.codes.insert(code.clone()) {
            self.fault(line, "code", SchemeProblem::Duplicate);
        }
        let (part, points, cap, veto) = (field(3), field(4), field(5), field(6));
        match field(0) {
            "part" => {
                self.empty(line, &[("part", part), ("points", points), ("veto", veto)]);
                let cap = self.cap(line, cap);
                self.parts.push(SchemePart { code, name, cap });
            }
            "item" => {
                let points = self.points(line, points);
                let (cap, veto) = (self.cap(line, cap), self.yes(line, veto));
                let Some(points) = points else { return };
                self.items.push((line, SchemeItem { code, name, part: part.to_owned(), points, cap, veto }));
            }
            "level" => {
                self.empty(line, &[("part", part), ("cap", cap), ("veto", veto)]);
                let Some(from) = self.points(line, points) else { return };
                if from.min() != from.max() {
                    return self.fault(line, "points", SchemeProblem::NotPoints);
                }
                self.levels.push((line, SchemeLevel { code, name, from: from.min() }));
            }
            _ => self.fault(line, "row", SchemeProblem::UnknownRow),
        }
    }

    fn empty(&mut self, line: u64, fields: &[(&'static str, &str)]) {
        for (column, text) in fields {
            if !text.is_empty() {
                self.fault(line, column, SchemeProblem::NotHere);
            }
        }
    }

    fn points(&mut self, line: u64, text: &str) -> Option<Points> {
        let within = |number: &str| {
            number.trim().parse::<i64>().ok().filter(|points| (-POINTS_LIMIT..=POINTS_LIMIT).contains(points))
        };
        let read = match text.split_once("..") {
            Some((min, max)) => within(min)
                .zip(within(max))
                .filter(|(min, max)| min <= max)
                .map(|(min, max)| Points::Range { min, max }),
            None => within(text).map(Points::Fixed),
        };
        if read.is_none() {
            self.fault(line, "points", SchemeProblem::NotPoints);
        }
        read
    }

    fn cap(&mut self, line: u64, text: &str) -> Option<i64> {
        if text.is_empty() {
            return None;
        }
        let cap = text.parse().ok().filter(|cap| (1..=POINTS_LIMIT).contains(cap));
        if cap.is_none() {
            self.fault(line, "cap", SchemeProblem::NotACap);
        }
        cap
    }

    fn yes(&mut self, line: u64, text: &str) -> bool {
        if !["", "yes"].contains(&text) {
            self.fault(line, "veto", SchemeProblem::NotYes);
        }
        text == "yes"
    }

    fn finish(mut self) -> Result<Scheme, Vec<SchemeFault>> {
        let nowhere: Vec<u64> = self
            .items
            .iter()
            .filter(|(_, item)| !self.parts.iter().any(|part| part.code == item.part))
            .map(|(line, _)| *line)
            .collect();
        for line in nowhere {
            self.fault(line, "part", SchemeProblem::NoSuchPart);
        }
        self.levels.sort_by_key(|(line, level)| (std::cmp::Reverse(level.from), *line));
        let same: Vec<u64> = self
            .levels
            .windows(2)
            .filter(|pair| pair[0].1.from == pair[1].1.from)
            .map(|pair| pair[1].0)
            .collect();
        for line in same {
            self.fault(line, "points", SchemeProblem::SameLevel);
        }
        if self.levels.is_empty() && self.faults.is_empty() {
            self.fault(1, "line", SchemeProblem::NoLevel);
        }
        if !self.faults.is_empty() {
            self.faults.sort_by_key(|fault| fault.line);
            return Err(self.faults);
        }
        Ok(Scheme {
            parts: self.parts,
            items: self.items.into_iter().map(|(_, item)| (item.code.clone(), item)).collect(),
            levels: self.levels.into_iter().map(|(_, level)| level).collect(),
        })
    }

    fn fault(&mut self, line: u64, field: &'static str, fault: SchemeProblem) {
        self.faults.push(SchemeFault { line, field, fault });
    }
}

#[cfg(test)]
mod tests;
