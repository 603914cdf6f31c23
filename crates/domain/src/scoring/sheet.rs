//! Reads rules from the sheets (CSV) in which a county keeps them, and names everything that is wrong in them.
//!
//! All faults are reported, not only the first: whoever mends a sheet mends it once.

use std::fmt;

use chrono::NaiveDate;
use csv::{ReaderBuilder, StringRecord, Trim};

use crate::area::AreaCode;
use crate::deadline::Urgency;

use super::conditions::{Conditions, Trigger};
use super::rules::{self, CATEGORIES, POINTS_LIMIT, Points, Rule, RuleConflict, RuleKind};

/// Codes are printed on paper and in the names of causes; longer ones are slips.
const CODE_LENGTH_LIMIT: usize = 16;

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

/// Something wrong in a sheet, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sheet}, line {line}, {field}: {fault}")]
pub struct RuleFault {
    /// The sheet.
    pub sheet: Sheet,
    /// The line as an editor counts it, from 1, comments included.
    pub line: u64,
    /// The column, or `line` where the line as a whole is at fault.
    pub field: String,
    /// What is wrong.
    pub fault: Fault,
}

/// What can be wrong in a sheet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The heading names a column that this sheet does not have.
    #[error("unknown column")]
    UnknownColumn,
    /// The heading lacks a column.
    #[error("missing column")]
    MissingColumn,
    /// The heading names a column twice.
    #[error("the column stands there twice")]
    RepeatedColumn,
    /// The line has more or fewer fields than the heading.
    #[error("{found} fields where the heading has {expected}")]
    FieldCount {
        /// Fields of the heading.
        expected: usize,
        /// Fields of the line.
        found: usize,
    },
    /// The line cannot be read as CSV.
    #[error("not readable: {0}")]
    Unreadable(String),
    /// A field that must be filled is empty.
    #[error("must not be empty")]
    Empty,
    /// A code is not made of upper-case ASCII letters and digits, or is longer than 16.
    #[error("a code is 1 to 16 upper-case letters and digits")]
    BadCode,
    /// The same code and version stand in an earlier line, of either sheet.
    #[error("this code and version stand there already")]
    DuplicateCode,
    /// A higher version does not begin later than the version below it.
    #[error("a higher version must begin later than the one before it")]
    VersionNotLater,
    /// The category is none of the seven.
    #[error("not one of the seven categories")]
    WrongCategory,
    /// The category had another Chinese name in an earlier line.
    #[error("the category is called {expected} in an earlier line")]
    CategoryNameDiffers {
        /// The name in the earlier line.
        expected: String,
    },
    /// The kind is neither `bonus` nor `deduction`.
    #[error("must be bonus or deduction")]
    UnknownKind,
    /// The number is not an integer.
    #[error("not an integer")]
    NotAnInteger,
    /// A range whose lower bound is above its upper bound.
    #[error("the range is reversed")]
    RangeReversed,
    /// A base task or a bonus that takes points.
    #[error("must not be negative")]
    NegativePoints,
    /// A deduction that gives points.
    #[error("a deduction must not be positive")]
    PositiveDeduction,
    /// A number beyond [`POINTS_LIMIT`].
    #[error("larger than any rule may be")]
    TooLarge,
    /// A cap of zero or below.
    #[error("a cap must be positive")]
    CapNotPositive,
    /// A deduction with a cap: what is deducted is decided case by case, never cut off.
    #[error("a deduction has no cap")]
    CapOnDeduction,
    /// A cap that not even one award fits in.
    #[error("the cap is smaller than one award")]
    CapBelowPoints,
    /// A cap for a day above the one for the month: one of the two is a slip.
    #[error("the cap is larger than the monthly cap")]
    CapAboveMonth,
    /// A cap per order on a rule that does not score on orders.
    #[error("only what scores on an order by itself has a cap per order")]
    CapWithoutOrder,
    /// A trigger that nothing scores on.
    #[error("must be completed, rated, featured, activity or patrol, or empty")]
    UnknownTrigger,
    /// A condition on a rule that is claimed: whoever decides the claim sees to it.
    #[error("only a rule that scores by itself has conditions")]
    ConditionWithoutTrigger,
    /// A condition on something that its trigger knows nothing of.
    #[error("{trigger} knows nothing of it")]
    ConditionUnknown {
        /// What the rule scores on.
        trigger: Trigger,
    },
    /// Points taken for something else than a completion: a low rating is heard, not fined.
    #[error("a deduction scores by itself on completed orders only")]
    DeductionTrigger,
    /// Stars that nobody can give.
    #[error("stars are 1 to 5")]
    BadStars,
    /// Minutes that no service has.
    #[error("minutes are 1 to 1440")]
    BadMinutes,
    /// An urgency that is none, or one that stands there twice.
    #[error("urgencies are urgent, priority, normal and complex, each once, with | between them")]
    BadUrgency,
    /// Neither `yes` nor `no`.
    #[error("must be yes or no")]
    NotYesOrNo,
    /// A version below 1.
    #[error("versions count from 1")]
    BadVersion,
    /// An area that is no area's code.
    #[error("not the code of an area")]
    BadArea,
    /// An area of another county than an earlier line's.
    #[error("an area of another county than in an earlier line")]
    ForeignArea,
    /// A date that is not of the form `YYYY-MM-DD`.
    #[error("not a date of the form YYYY-MM-DD")]
    BadDate,
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

struct Row<'a> {
    sheet: Sheet,
    line: u64,
    heading: &'a StringRecord,
    record: &'a StringRecord,
}

impl Row<'_> {
    /// The text of a field; empty where the sheet has no such column.
    fn text(&self, field: &str) -> &str {
        let column = self.heading.iter().position(|column| column == field);
        column.and_then(|column| self.record.get(column)).unwrap_or_default()
    }
}

/// Reads the fields of one line and collects their faults. Each reader gives `None` exactly when it noted a fault.
struct Fields<'a> {
    row: &'a Row<'a>,
    faults: Vec<RuleFault>,
}

impl Fields<'_> {
    fn rule(&mut self) -> Option<Rule> {
        // Every field is read before the first `?`, so that no fault hides another.
        let code = self.code();
        let kind = self.kind();
        let category = self.category();
        let category_name = self.category_name();
        let name = self.filled("name");
        let points = self.points();
        let cap = self.cap("monthly_cap");
        let daily_cap = self.cap("daily_cap");
        let order_cap = self.cap("order_cap");
        let scores = self.scores(&code);
        let evidence_required = self.yes("evidence_required");
        let version = self.version();
        let effective_from = self.effective_from();
        let area = self.area();
        let (kind, points, monthly_cap) = (kind?, points?, cap?);
        let (daily_cap, order_cap, (trigger, conditions)) = (daily_cap?, order_cap?, scores?);
        let fits = self.check_sign(kind, points)
            & self.check_cap(kind, points, "monthly_cap", monthly_cap)
            & self.check_cap(kind, points, "daily_cap", daily_cap)
            & self.check_cap(kind, points, "order_cap", order_cap)
            & self.check_caps(monthly_cap, daily_cap, order_cap, trigger)
            & self.check_conditions(kind, trigger, &conditions);
        let rule = Rule {
            code: code?,
            kind,
            category: category?,
            category_name: category_name?,
            name: name?,
            points,
            monthly_cap,
            daily_cap,
            order_cap,
            trigger,
            conditions,
            evidence_required: evidence_required?,
            version: version?,
            effective_from: effective_from?,
            area: area?,
        };
        fits.then_some(rule)
    }

    fn code(&mut self) -> Option<String> {
        let code = self.filled("code")?;
        let plain = code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if plain && code.len() <= CODE_LENGTH_LIMIT { Some(code) } else { self.fault("code", Fault::BadCode) }
    }

    fn kind(&mut self) -> Option<RuleKind> {
        if self.row.sheet == Sheet::BaseTasks {
            return Some(RuleKind::Base);
        }
        match self.row.text("kind") {
            "bonus" => Some(RuleKind::Bonus),
            "deduction" => Some(RuleKind::Deduction),
            _ => self.fault("kind", Fault::UnknownKind),
        }
    }

    fn category(&mut self) -> Option<Option<String>> {
        match (self.row.sheet, self.row.text("category")) {
            (Sheet::BonusesAndDeductions, _) => Some(None),
            (Sheet::BaseTasks, category) if CATEGORIES.contains(&category) => Some(Some(category.to_owned())),
            (Sheet::BaseTasks, _) => self.fault("category", Fault::WrongCategory),
        }
    }

    fn category_name(&mut self) -> Option<Option<String>> {
        match self.row.sheet {
            Sheet::BonusesAndDeductions => Some(None),
            Sheet::BaseTasks => self.filled("category_name").map(Some),
        }
    }

    fn points(&mut self) -> Option<Points> {
        let text = self.filled("points")?;
        let Some((min, max)) = text.split_once("..") else {
            return self.integer("points", &text).map(Points::Fixed);
        };
        let (min, max) = (self.integer("points", min), self.integer("points", max));
        match (min?, max?) {
            (min, max) if min > max => self.fault("points", Fault::RangeReversed),
            (min, max) => Some(Points::Range { min, max }),
        }
    }

    fn cap(&mut self, field: &str) -> Option<Option<i64>> {
        match self.row.text(field) {
            "" => Some(None),
            text => match self.integer(field, text)? {
                cap if cap <= 0 => self.fault(field, Fault::CapNotPositive),
                cap => Some(Some(cap)),
            },
        }
    }

    /// What it scores on by itself and under which conditions; where the sheet says nothing, what has always held for
    /// the rules that orders and posts score by.
    fn scores(&mut self, code: &Option<String>) -> Option<(Option<Trigger>, Conditions)> {
        let (built_in, usual) = code.as_deref().map(Rule::built_in).unwrap_or_default();
        let trigger = match self.row.text("trigger") {
            "" => Some(built_in),
            text => match text.parse() {
                Ok(trigger) => Some(Some(trigger)),
                Err(_) => self.fault("trigger", Fault::UnknownTrigger),
            },
        };
        let on_time = match self.row.text("on_time") {
            "" => Some(None),
            _ => self.yes("on_time").map(Some),
        };
        let min_stars = self.number("min_stars", 5, Fault::BadStars);
        let min_minutes = self.number("min_minutes", 24 * 60, Fault::BadMinutes);
        let urgency = self.urgency();
        let trigger = trigger?;
        // What a rule has always asked for holds as long as it scores on the same thing.
        let usual = if trigger == built_in { usual } else { Conditions::default() };
        let min_stars = min_stars?.and_then(|stars| u8::try_from(stars).ok());
        let conditions = Conditions {
            on_time: on_time?.or(usual.on_time),
            min_stars: min_stars.or(usual.min_stars),
            min_minutes: min_minutes?.or(usual.min_minutes),
            urgency: urgency?,
        };
        Some((trigger, conditions))
    }

    /// A number from 1 to `most`, where there is one.
    fn number(&mut self, field: &str, most: i64, fault: Fault) -> Option<Option<i64>> {
        match self.row.text(field) {
            "" => Some(None),
            text => match text.parse() {
                Ok(number) if (1..=most).contains(&number) => Some(Some(number)),
                Ok(_) => self.fault(field, fault),
                Err(_) => self.fault(field, Fault::NotAnInteger),
            },
        }
    }

    fn urgency(&mut self) -> Option<Vec<Urgency>> {
        let text = self.row.text("urgency");
        let mut found: Vec<Urgency> = Vec::new();
        for word in text.split('|').map(str::trim).filter(|_| !text.is_empty()) {
            match word.parse() {
                Ok(urgency) if !found.contains(&urgency) => found.push(urgency),
                _ => return self.fault("urgency", Fault::BadUrgency),
            }
        }
        Some(found)
    }

    fn yes(&mut self, field: &str) -> Option<bool> {
        match self.row.text(field) {
            "yes" => Some(true),
            "no" => Some(false),
            "" if !self.row.sheet.required().contains(&field) => Some(false),
            _ => self.fault(field, Fault::NotYesOrNo),
        }
    }

    fn version(&mut self) -> Option<i32> {
        match self.row.text("version") {
            "" => Some(1),
            text => match text.parse() {
                Ok(version) if version >= 1 => Some(version),
                Ok(_) => self.fault("version", Fault::BadVersion),
                Err(_) => self.fault("version", Fault::NotAnInteger),
            },
        }
    }

    fn effective_from(&mut self) -> Option<Option<NaiveDate>> {
        match self.row.text("effective_from") {
            "" => Some(None),
            text => match NaiveDate::parse_from_str(text, "%Y-%m-%d") {
                Ok(date) => Some(Some(date)),
                Err(_) => self.fault("effective_from", Fault::BadDate),
            },
        }
    }

    fn area(&mut self) -> Option<Option<AreaCode>> {
        match self.row.text("area") {
            "" => Some(None),
            text => match text.parse() {
                Ok(area) => Some(Some(area)),
                Err(_) => self.fault("area", Fault::BadArea),
            },
        }
    }

    fn check_sign(&mut self, kind: RuleKind, points: Points) -> bool {
        let fault = match kind {
            RuleKind::Base | RuleKind::Bonus if points.min() < 0 => Fault::NegativePoints,
            RuleKind::Deduction if points.max() > 0 => Fault::PositiveDeduction,
            _ => return true,
        };
        self.fault::<()>("points", fault).is_some()
    }

    fn check_cap(&mut self, kind: RuleKind, points: Points, field: &str, cap: Option<i64>) -> bool {
        let fault = match (kind, cap) {
            (RuleKind::Deduction, Some(_)) => Fault::CapOnDeduction,
            (RuleKind::Base | RuleKind::Bonus, Some(cap)) if cap < points.max() => Fault::CapBelowPoints,
            _ => return true,
        };
        self.fault::<()>(field, fault).is_some()
    }

    fn check_caps(
        &mut self,
        month: Option<i64>,
        day: Option<i64>,
        order: Option<i64>,
        trigger: Option<Trigger>,
    ) -> bool {
        let slip = month.zip(day).is_some_and(|(month, day)| day > month);
        let of_orders = matches!(trigger, Some(Trigger::Completed | Trigger::Rated));
        if slip {
            return self.fault::<()>("daily_cap", Fault::CapAboveMonth).is_some();
        }
        if order.is_some() && !of_orders {
            return self.fault::<()>("order_cap", Fault::CapWithoutOrder).is_some();
        }
        true
    }

    /// Every condition must be about something that the trigger knows.
    fn check_conditions(
        &mut self,
        kind: RuleKind,
        trigger: Option<Trigger>,
        conditions: &Conditions,
    ) -> bool {
        if kind == RuleKind::Deduction && trigger.is_some_and(|trigger| trigger != Trigger::Completed) {
            return self.fault::<()>("trigger", Fault::DeductionTrigger).is_some();
        }
        let of_orders = matches!(trigger, Some(Trigger::Completed | Trigger::Rated));
        let timed = of_orders || matches!(trigger, Some(Trigger::Activity | Trigger::Patrol));
        let table = [
            ("on_time", conditions.on_time.is_some(), of_orders),
            ("min_stars", conditions.min_stars.is_some(), trigger == Some(Trigger::Rated)),
            ("min_minutes", conditions.min_minutes.is_some(), timed),
            ("urgency", !conditions.urgency.is_empty(), of_orders),
        ];
        let mut fits = true;
        for (field, asked, known) in table {
            if asked && !known {
                let fault = match trigger {
                    None => Fault::ConditionWithoutTrigger,
                    Some(trigger) => Fault::ConditionUnknown { trigger },
                };
                self.fault::<()>(field, fault);
                fits = false;
            }
        }
        fits
    }

    fn filled(&mut self, field: &str) -> Option<String> {
        match self.row.text(field) {
            "" => self.fault(field, Fault::Empty),
            text => Some(text.to_owned()),
        }
    }

    fn integer(&mut self, field: &str, text: &str) -> Option<i64> {
        match text.trim().parse::<i64>() {
            Ok(number) if (-POINTS_LIMIT..=POINTS_LIMIT).contains(&number) => Some(number),
            Ok(_) => self.fault(field, Fault::TooLarge),
            Err(_) => self.fault(field, Fault::NotAnInteger),
        }
    }

    /// Notes a fault and gives the `None` of the reader that found it.
    fn fault<T>(&mut self, field: &str, fault: Fault) -> Option<T> {
        let (sheet, line) = (self.row.sheet, self.row.line);
        self.faults.push(RuleFault { sheet, line, field: field.to_owned(), fault });
        None
    }
}

#[cfg(test)]
mod tests;
