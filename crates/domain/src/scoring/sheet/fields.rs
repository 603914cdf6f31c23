//! Reads one line of a sheet, field by field, into a rule.

use chrono::NaiveDate;
use csv::StringRecord;

use super::super::conditions::{Conditions, Trigger};
use super::super::rules::{CATEGORIES, POINTS_LIMIT, Points, Rule, RuleKind};
use super::Sheet;
use super::fault::{Fault, RuleFault};
use crate::area::AreaCode;
use crate::deadline::Urgency;

/// Codes are printed on paper and in the names of causes; longer ones are slips.
const CODE_LENGTH_LIMIT: usize = 16;

pub(super) struct Row<'a> {
    pub(super) sheet: Sheet,
    pub(super) line: u64,
    pub(super) heading: &'a StringRecord,
    pub(super) record: &'a StringRecord,
}

impl Row<'_> {
    /// The text of a field; empty where the sheet has no such column.
    fn text(&self, field: &str) -> &str {
        let column = self.heading.iter().position(|column| column == field);
        column.and_then(|column| self.record.get(column)).unwrap_or_default()
    }
}

/// Reads the fields of one line and collects their faults. Each reader gives `None` exactly when it noted a fault.
pub(super) struct Fields<'a> {
    pub(super) row: &'a Row<'a>,
    pub(super) faults: Vec<RuleFault>,
}

impl Fields<'_> {
    pub(super) fn rule(&mut self) -> Option<Rule> {
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
