//! Reads rules from the sheets (CSV) in which a county keeps them, and names everything that is wrong in them.
//!
//! All faults are reported, not only the first: whoever mends a sheet mends it once.

use std::fmt;

use csv::{ReaderBuilder, StringRecord, Trim};

use self::fields::{Fields, Row};
use super::rules::{self, Rule, RuleConflict};

mod fault;
mod fields;

pub use fault::{Fault, RuleFault};

/// Which of the two sheets a fault is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sheet {
    /// 基础积分: `base_tasks.csv`.
    BaseTasks,
    /// 贡献加分 and 负面减分: `bonuses_and_deductions.csv`.
    BonusesAndDeductions,
}

impl Sheet {
    /// The sort of a sheet, by its heading: base tasks have categories.
    pub fn of(text: &str) -> Sheet {
        let heading = text.lines().find(|line| !line.starts_with('#') && !line.trim().is_empty());
        let categories =
            heading.is_some_and(|heading| heading.split(',').any(|column| column.trim() == "category"));
        if categories { Sheet::BaseTasks } else { Sheet::BonusesAndDeductions }
    }

    fn required(self) -> &'static [&'static str] {
        match self {
            Self::BaseTasks => &["code", "category", "category_name", "name", "points", "monthly_cap"],
            Self::BonusesAndDeductions => {
                &["code", "kind", "name", "points", "monthly_cap", "evidence_required"]
            }
        }
    }

    fn optional(self) -> &'static [&'static str] {
        match self {
            Self::BaseTasks => &[
                "evidence_required",
                "version",
                "effective_from",
                "area",
                "daily_cap",
                "order_cap",
                "trigger",
                "on_time",
                "min_stars",
                "min_minutes",
                "urgency",
            ],
            Self::BonusesAndDeductions => &[
                "version",
                "effective_from",
                "area",
                "daily_cap",
                "order_cap",
                "trigger",
                "on_time",
                "min_stars",
                "min_minutes",
                "urgency",
            ],
        }
    }
}

impl fmt::Display for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BaseTasks => "base_tasks",
            Self::BonusesAndDeductions => "bonuses_and_deductions",
        })
    }
}

/// Where a rule was read, for faults that show only when the rules stand side by side.
struct Place {
    sheet: Sheet,
    line: u64,
}

/// Reads all sheets and checks the rules against each other.
pub(super) fn read(sheets: &[(Sheet, &str)]) -> Result<Vec<Rule>, Vec<RuleFault>> {
    let mut reading = Reading::default();
    for (sheet, text) in sheets {
        reading.sheet(*sheet, text);
    }
    reading.finish()
}

#[derive(Default)]
struct Reading {
    rules: Vec<Rule>,
    places: Vec<Place>,
    faults: Vec<RuleFault>,
}

impl Reading {
    fn sheet(&mut self, sheet: Sheet, text: &str) {
        // Spreadsheet programs put a byte order mark in front.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .comment(Some(b'#'))
            .trim(Trim::All)
            .from_reader(text.as_bytes());
        let mut heading: Option<StringRecord> = None;
        let mut record = StringRecord::new();
        loop {
            match reader.read_record(&mut record) {
                Ok(false) => break,
                Ok(true) => {
                    let line = line_of(text, &record);
                    match &heading {
                        None if self.heading(sheet, line, &record) => heading = Some(record.clone()),
                        None => return,
                        Some(heading) => self.row(&Row { sheet, line, heading, record: &record }),
                    }
                }
                Err(error) => {
                    let line = error.position().map_or(0, csv::Position::line);
                    self.fault(sheet, line, "line", Fault::Unreadable(error.to_string()));
                    return;
                }
            }
        }
        if heading.is_none() {
            self.missing_columns(sheet, 1, &record);
        }
    }

    /// Checks the heading; true when the lines below it can be read.
    fn heading(&mut self, sheet: Sheet, line: u64, heading: &StringRecord) -> bool {
        for (at, column) in heading.iter().enumerate() {
            if !sheet.required().contains(&column) && !sheet.optional().contains(&column) {
                self.fault(sheet, line, column, Fault::UnknownColumn);
            } else if heading.iter().take(at).any(|earlier| earlier == column) {
                self.fault(sheet, line, column, Fault::RepeatedColumn);
            }
        }
        self.missing_columns(sheet, line, heading)
    }

    /// Reports the required columns that are not there; true when all are.
    fn missing_columns(&mut self, sheet: Sheet, line: u64, heading: &StringRecord) -> bool {
        let missing = sheet.required().iter().filter(|column| !heading.iter().any(|have| have == **column));
        let before = self.faults.len();
        for column in missing {
            self.fault(sheet, line, column, Fault::MissingColumn);
        }
        self.faults.len() == before
    }

    fn row(&mut self, row: &Row<'_>) {
        let (expected, found) = (row.heading.len(), row.record.len());
        if expected != found {
            return self.fault(row.sheet, row.line, "line", Fault::FieldCount { expected, found });
        }
        let mut fields = Fields { row, faults: Vec::new() };
        let rule = fields.rule();
        let faults = fields.faults;
        self.faults.extend(faults);
        if let Some(rule) = rule {
            self.rules.push(rule);
            self.places.push(Place { sheet: row.sheet, line: row.line });
        }
    }

    fn finish(mut self) -> Result<Vec<Rule>, Vec<RuleFault>> {
        for (at, conflict) in rules::conflicts(&self.rules) {
            let (field, fault) = match conflict {
                RuleConflict::Duplicate { .. } => ("code", Fault::DuplicateCode),
                RuleConflict::NotLater { .. } => ("effective_from", Fault::VersionNotLater),
            };
            self.fault(self.places[at].sheet, self.places[at].line, field, fault);
        }
        self.category_names();
        self.counties();
        if self.faults.is_empty() {
            return Ok(self.rules);
        }
        self.faults.sort_by_key(|fault| (fault.sheet, fault.line));
        Err(self.faults)
    }

    /// One category has one Chinese name: the one of its first line.
    fn category_names(&mut self) {
        let mut faults = Vec::new();
        for (at, rule) in self.rules.iter().enumerate() {
            let first = self.rules.iter().find(|first| first.category == rule.category);
            let expected = first.and_then(|first| first.category_name.clone());
            if let Some(expected) = expected.filter(|expected| Some(expected) != rule.category_name.as_ref())
            {
                faults.push((at, Fault::CategoryNameDiffers { expected }));
            }
        }
        for (at, fault) in faults {
            self.fault(self.places[at].sheet, self.places[at].line, "category_name", fault);
        }
    }

    /// Rules are one county's.
    fn counties(&mut self) {
        let first = self.rules.iter().find_map(|rule| rule.area).map(|area| area.county());
        let foreign = |rule: &Rule| rule.area.is_some_and(|area| Some(area.county()) != first);
        let places: Vec<usize> = (0..self.rules.len()).filter(|at| foreign(&self.rules[*at])).collect();
        for at in places {
            self.fault(self.places[at].sheet, self.places[at].line, "area", Fault::ForeignArea);
        }
    }

    fn fault(&mut self, sheet: Sheet, line: u64, field: &str, fault: Fault) {
        self.faults.push(RuleFault { sheet, line, field: field.to_owned(), fault });
    }
}

/// The line on which a record begins. The reader's own position is that of the end of the record before it, which is
/// too early where comments or blank lines stand between the two.
pub(super) fn line_of(text: &str, record: &StringRecord) -> u64 {
    let Some(position) = record.position() else { return 0 };
    let start = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let rest = text.get(start..).unwrap_or_default();
    let skipped =
        rest.split('\n').take_while(|line| line.starts_with('#') || line.trim_end_matches('\r').is_empty());
    position.line() + skipped.count() as u64
}

#[cfg(test)]
mod tests;
