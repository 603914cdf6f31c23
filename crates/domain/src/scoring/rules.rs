//! The rules that score, as data with versions.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::caps::Caps;
use super::conditions::{Conditions, Trigger};
use super::sheet::{self, RuleFault, Sheet};
use crate::area::AreaCode;

/// 点单服务按时完成: the base task of an order completed on time.
pub const ON_TIME: &str = "609";
/// 点单五星好评: the base task of an order rated with five stars and solved.
pub const FIVE_STARS: &str = "610";
/// 晒单被评为精选: the bonus of a featured post.
pub const FEATURED_POST: &str = "B10";
/// 已接服务单超时办结: the deduction of an order completed late.
pub const LATE: &str = "D02";

/// The seven categories of base tasks: 基础信息采集, 社情民意收集, 安全隐患排查, 矛盾纠纷化解, 政策宣传, 便民服务代办,
/// 特殊人群走访.
pub const CATEGORIES: [&str; 7] =
    ["information", "opinion", "hazard", "dispute", "publicity", "errand", "care"];

/// No rule gives, takes or caps more points than this. It catches slips of the pen, and it keeps every sum of
/// postings far away from the edge of `i64`.
pub const POINTS_LIMIT: i64 = 1_000_000;

/// What sort of points a rule moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// 基础积分: one of the base tasks.
    Base,
    /// 贡献加分: a contribution beyond the base tasks.
    Bonus,
    /// 负面减分: points taken.
    Deduction,
}

impl RuleKind {
    /// The word for it in data files and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Bonus => "bonus",
            Self::Deduction => "deduction",
        }
    }
}

/// How many points one award of a rule moves; negative for deductions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Points {
    /// Always this many.
    Fixed(i64),
    /// Whoever decides the claim chooses, within these bounds.
    Range {
        /// The smallest choice.
        min: i64,
        /// The largest choice.
        max: i64,
    },
}

impl Points {
    /// The smallest number of points that the rule allows.
    pub fn min(self) -> i64 {
        match self {
            Self::Fixed(points) => points,
            Self::Range { min, .. } => min,
        }
    }

    /// The largest number of points that the rule allows.
    pub fn max(self) -> i64 {
        match self {
            Self::Fixed(points) => points,
            Self::Range { max, .. } => max,
        }
    }

    /// True when the rule allows exactly this many points.
    pub fn allows(self, points: i64) -> bool {
        (self.min()..=self.max()).contains(&points)
    }

    /// The points of one award. Without a choice, or with one outside the bounds, the nearest bound holds; an award
    /// that no human decides has no choice and so gets the smallest.
    pub fn decided(self, choice: Option<i64>) -> i64 {
        choice.unwrap_or(self.min()).max(self.min()).min(self.max())
    }
}

/// One version of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// The code on paper, for example `609` or `D02`: upper-case ASCII letters and digits.
    pub code: String,
    /// Base task, bonus or deduction.
    pub kind: RuleKind,
    /// One of [`CATEGORIES`]; base tasks only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The category in Chinese; base tasks only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category_name: Option<String>,
    /// What it is for, in Chinese.
    pub name: String,
    /// Points of one award.
    pub points: Points,
    /// At most this many points of this rule for one person in one month (China time); none for no cap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly_cap: Option<i64>,
    /// At most this many points of this rule for one person on one day (China time); none for no cap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_cap: Option<i64>,
    /// One order brings one person at most this many points, those of this rule being the last; none for no cap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_cap: Option<i64>,
    /// What it scores on by itself; none where it is claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Trigger>,
    /// What must hold beside the trigger.
    #[serde(default, skip_serializing_if = "Conditions::is_empty")]
    pub conditions: Conditions,
    /// A claim needs a photo or a document.
    pub evidence_required: bool,
    /// 1 for the first version, higher for later ones.
    pub version: i32,
    /// The first day (China time) on which this version holds; none for always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_from: Option<NaiveDate>,
    /// It holds here only, and overrules what holds around it; none for the whole county.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub area: Option<AreaCode>,
}

impl Rule {
    /// Its caps.
    pub fn caps(&self) -> Caps {
        Caps { month: self.monthly_cap, day: self.daily_cap, order: self.order_cap }
    }

    /// What the four rules that orders and posts have always scored by say where their sheet says nothing.
    pub(super) fn built_in(code: &str) -> (Option<Trigger>, Conditions) {
        let on_time = |on_time| Conditions { on_time: Some(on_time), ..Conditions::default() };
        match code {
            ON_TIME => (Some(Trigger::Completed), on_time(true)),
            LATE => (Some(Trigger::Completed), on_time(false)),
            FIVE_STARS => (Some(Trigger::Rated), Conditions { min_stars: Some(5), ..Conditions::default() }),
            FEATURED_POST => (Some(Trigger::Featured), Conditions::default()),
            _ => (None, Conditions::default()),
        }
    }

    /// Whether it holds at a place.
    fn holds_at(&self, place: AreaCode) -> bool {
        self.area.is_none_or(|area| area.contains(&place))
    }

    /// How near it is to the place that it holds at: the more digits, the nearer.
    fn nearness(&self) -> usize {
        self.area.map_or(0, |area| area.as_str().len())
    }
}

/// Two versions of one rule contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleConflict {
    /// The same code and version stand there twice.
    #[error("rule {code} has version {version} twice")]
    Duplicate {
        /// The rule.
        code: String,
        /// The version that stands there twice.
        version: i32,
    },
    /// A higher version must begin later than the version below it.
    #[error("version {version} of rule {code} does not begin after the version before it")]
    NotLater {
        /// The rule.
        code: String,
        /// The higher version.
        version: i32,
    },
}

/// All versions of all rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuleBook {
    /// By code; the versions of one code in ascending order, of number and of date.
    rules: BTreeMap<String, Vec<Rule>>,
}

impl RuleBook {
    /// A book of rules that were checked one by one before, such as the rows of the store.
    ///
    /// # Errors
    /// Every pair of versions that contradict each other.
    pub fn new(rules: Vec<Rule>) -> Result<Self, Vec<RuleConflict>> {
        let conflicts: Vec<RuleConflict> =
            conflicts(&rules).into_iter().map(|(_, conflict)| conflict).collect();
        if conflicts.is_empty() { Ok(Self::unchecked(rules)) } else { Err(conflicts) }
    }

    /// Reads a county's two sheets: base tasks, and bonuses with deductions.
    ///
    /// # Errors
    /// Every fault of both sheets, with sheet, line and field, in the order of the sheets.
    pub fn from_sheets(base_tasks: &str, bonuses_and_deductions: &str) -> Result<Self, Vec<RuleFault>> {
        let sheets = [(Sheet::BaseTasks, base_tasks), (Sheet::BonusesAndDeductions, bonuses_and_deductions)];
        Self::read(&sheets)
    }

    /// The sample rules that the program comes with (`data/rules/*.csv`), with which the demo runs.
    pub fn sample() -> Self {
        let base_tasks = include_str!("../../data/rules/base_tasks.csv");
        let bonuses_and_deductions = include_str!("../../data/rules/bonuses_and_deductions.csv");
        Self::from_sheets(base_tasks, bonuses_and_deductions).expect("the sheets in the program are tested")
    }

    /// Reads sheets of either sort, as many as there are.
    ///
    /// # Errors
    /// Every fault of all sheets, with sheet, line and field, in the order of the sorts.
    pub fn read(sheets: &[(Sheet, &str)]) -> Result<Self, Vec<RuleFault>> {
        sheet::read(sheets).map(Self::unchecked)
    }

    /// The version of a rule that is in force on a day (China time) at a place, if there is one: of those made for the
    /// smallest area that holds it, the last that has begun.
    pub fn in_force(&self, code: &str, on: NaiveDate, place: AreaCode) -> Option<&Rule> {
        let started = |rule: &&Rule| rule.effective_from.is_none_or(|from| from <= on);
        let here = self.rules.get(code)?.iter().filter(|rule| rule.holds_at(place)).filter(started);
        here.max_by_key(|rule| (rule.nearness(), rule.version))
    }

    /// The rules in force on a day at a place that score on this by themselves, by code.
    pub fn triggered(
        &self,
        by: Trigger,
        on: NaiveDate,
        place: AreaCode,
    ) -> impl Iterator<Item = &Rule> + use<'_> {
        let in_force = move |code: &String| self.in_force(code, on, place);
        self.rules.keys().filter_map(in_force).filter(move |rule| rule.trigger == Some(by))
    }

    /// The newest version of a rule at a place, whether it has begun or not.
    pub fn newest(&self, code: &str, place: AreaCode) -> Option<&Rule> {
        let here = self.rules.get(code)?.iter().filter(|rule| rule.holds_at(place));
        here.max_by_key(|rule| (rule.nearness(), rule.version))
    }

    /// The newest version of every rule that there is at a place, by code.
    pub(super) fn newest_of_all(&self, place: AreaCode) -> impl Iterator<Item = &Rule> + use<'_> {
        self.rules.keys().filter_map(move |code| self.newest(code, place))
    }

    /// One version of a rule, whenever it was in force: the one that an entry names.
    pub fn version(&self, code: &str, version: i32) -> Option<&Rule> {
        self.rules.get(code)?.iter().find(|rule| rule.version == version)
    }

    /// All versions of all rules, by code and version.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values().flatten()
    }

    fn unchecked(rules: Vec<Rule>) -> Self {
        let mut by_code: BTreeMap<String, Vec<Rule>> = BTreeMap::new();
        for rule in rules {
            by_code.entry(rule.code.clone()).or_default().push(rule);
        }
        for versions in by_code.values_mut() {
            versions.sort_by_key(|rule| rule.version);
        }
        Self { rules: by_code }
    }
}

/// Every contradiction between versions, with the index of the later offender.
pub(super) fn conflicts(rules: &[Rule]) -> Vec<(usize, RuleConflict)> {
    let neighbours = |order: Vec<usize>, conflict: fn(&Rule, &Rule) -> Option<RuleConflict>| {
        let pairs: Vec<(usize, usize)> = order.windows(2).map(|pair| (pair[0], pair[1])).collect();
        pairs
            .into_iter()
            .filter_map(move |(one, other)| conflict(&rules[one], &rules[other]).map(|found| (other, found)))
    };
    // A version is one for all areas, because entries name it; but areas follow their own dates.
    let mut by_version: Vec<usize> = (0..rules.len()).collect();
    by_version.sort_by_key(|&at| (&rules[at].code, rules[at].version));
    let mut by_area: Vec<usize> = (0..rules.len()).collect();
    by_area.sort_by_key(|&at| (&rules[at].code, rules[at].area, rules[at].version));
    let mut found: Vec<(usize, RuleConflict)> =
        neighbours(by_version, duplicate).chain(neighbours(by_area, not_later)).collect();
    found.sort_by_key(|(at, _)| *at);
    found
}

fn duplicate(lower: &Rule, higher: &Rule) -> Option<RuleConflict> {
    let same = lower.code == higher.code && lower.version == higher.version;
    same.then(|| RuleConflict::Duplicate { code: higher.code.clone(), version: higher.version })
}

fn not_later(lower: &Rule, higher: &Rule) -> Option<RuleConflict> {
    let follows = lower.code == higher.code && lower.area == higher.area && lower.version < higher.version;
    // `None` (always) sorts before every date, so it is right for a first version only.
    (follows && higher.effective_from <= lower.effective_from)
        .then(|| RuleConflict::NotLater { code: higher.code.clone(), version: higher.version })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a date")
    }

    fn rule(version: i32, points: i64, from: Option<&str>) -> Rule {
        Rule {
            code: "609".into(),
            kind: RuleKind::Base,
            category: Some("errand".into()),
            category_name: Some("便民服务代办".into()),
            name: "点单服务按时完成".into(),
            points: Points::Fixed(points),
            monthly_cap: Some(30),
            daily_cap: None,
            order_cap: None,
            trigger: Rule::built_in(ON_TIME).0,
            conditions: Rule::built_in(ON_TIME).1,
            evidence_required: false,
            version,
            effective_from: from.map(day),
            area: None,
        }
    }

    fn place(code: &str) -> AreaCode {
        code.parse().expect("an area")
    }

    const GRID: &str = "140724104003001";

    #[test]
    fn the_sample_has_65_base_tasks_in_7_categories_10_bonuses_and_8_deductions() {
        let book = RuleBook::sample();
        let count = |kind| book.iter().filter(|rule| rule.kind == kind).count();
        assert_eq!((count(RuleKind::Base), count(RuleKind::Bonus), count(RuleKind::Deduction)), (65, 10, 8));
        let categories: std::collections::BTreeSet<&str> =
            book.iter().filter_map(|rule| rule.category.as_deref()).collect();
        assert_eq!(categories, CATEGORIES.into_iter().collect());
    }

    #[test]
    fn the_rules_that_orders_score_by_are_in_the_sample_with_their_figures() {
        let book = RuleBook::sample();
        let figures = |code: &str| {
            let rule = book.version(code, 1).expect(code);
            (rule.kind, rule.points, rule.monthly_cap)
        };
        assert_eq!(figures(ON_TIME), (RuleKind::Base, Points::Fixed(3), Some(30)));
        assert_eq!(figures(FIVE_STARS), (RuleKind::Base, Points::Fixed(1), Some(20)));
        assert_eq!(figures(FEATURED_POST), (RuleKind::Bonus, Points::Fixed(2), Some(10)));
        assert_eq!(figures(LATE), (RuleKind::Deduction, Points::Fixed(-2), None));
        assert_eq!(figures("B06"), (RuleKind::Bonus, Points::Range { min: 20, max: 50 }, None));
    }

    #[test]
    fn the_version_in_force_is_the_last_one_that_has_begun() {
        let book = RuleBook::new(vec![
            rule(3, 5, Some("2027-01-01")),
            rule(1, 3, None),
            rule(2, 4, Some("2026-07-01")),
        ])
        .expect("a book");
        let version = |on: &str| book.in_force(ON_TIME, day(on), place(GRID)).map(|rule| rule.version);
        assert_eq!(version("2020-01-01"), Some(1));
        assert_eq!(version("2026-06-30"), Some(1));
        assert_eq!(version("2026-07-01"), Some(2));
        assert_eq!(version("2030-01-01"), Some(3));
        assert_eq!(book.version(ON_TIME, 1).map(|rule| rule.points), Some(Points::Fixed(3)));
        assert_eq!(book.in_force("999", day("2026-07-01"), place(GRID)), None);
    }

    #[test]
    fn a_rule_that_begins_later_is_not_in_force_before() {
        let book = RuleBook::new(vec![rule(1, 3, Some("2026-07-01"))]).expect("a book");
        assert_eq!(book.in_force(ON_TIME, day("2026-06-30"), place(GRID)), None);
    }

    #[test]
    fn the_rule_of_the_smallest_area_overrules() {
        let at = |version, from, area: &str| Rule { area: Some(place(area)), ..rule(version, 9, from) };
        let book = RuleBook::new(vec![
            rule(1, 3, None),
            rule(4, 5, Some("2026-07-01")),
            at(2, Some("2026-03-01"), "140724104"),
            at(3, None, "140724104003"),
        ])
        .expect("areas follow their own dates");
        let version =
            |on: &str, code: &str| book.in_force(ON_TIME, day(on), place(code)).map(|rule| rule.version);
        assert_eq!(version("2026-02-28", "140724104001001"), Some(1), "the township's has not begun");
        assert_eq!(version("2026-03-01", "140724104001001"), Some(2));
        assert_eq!(
            version("2026-08-01", "140724104001001"),
            Some(2),
            "the county's later one does not reach it"
        );
        assert_eq!(version("2026-02-28", GRID), Some(3), "the village's overrules both");
        assert_eq!(version("2026-08-01", "140724105001001"), Some(4));
        assert_eq!(version("2026-06-30", "140724105001001"), Some(1));
        let newest = |code: &str| book.newest(ON_TIME, place(code)).map(|rule| rule.version);
        assert_eq!(
            [newest(GRID), newest("140724104001"), newest("140724105001")],
            [Some(3), Some(2), Some(4)]
        );
        assert_eq!(book.newest("999", place(GRID)), None);
        let twice = RuleBook::new(vec![rule(1, 3, None), at(1, None, "140724104")]);
        assert_eq!(twice, Err(vec![RuleConflict::Duplicate { code: ON_TIME.into(), version: 1 }]));
    }

    #[test]
    fn each_kind_has_its_word() {
        let kinds = [RuleKind::Base, RuleKind::Bonus, RuleKind::Deduction];
        assert_eq!(kinds.map(RuleKind::as_str), ["base", "bonus", "deduction"]);
        for kind in kinds {
            assert_eq!(serde_json::to_value(kind).expect("json"), kind.as_str());
        }
    }

    #[test]
    fn the_newest_of_all_are_those_of_the_place() {
        let other = Rule { code: "610".into(), ..rule(7, 1, None) };
        let there = Rule { area: Some(place("140724104")), ..rule(2, 9, None) };
        let book = RuleBook::new(vec![rule(1, 3, None), there, other]).expect("a book");
        let newest = |code: &str| -> Vec<(String, i32)> {
            book.newest_of_all(place(code)).map(|rule| (rule.code.clone(), rule.version)).collect()
        };
        assert_eq!(newest(GRID), [("609".into(), 2), ("610".into(), 7)]);
        assert_eq!(newest("140724105001"), [("609".into(), 1), ("610".into(), 7)]);
    }

    #[test]
    fn a_rule_scores_on_its_own_trigger_where_and_when_it_is_in_force() {
        let book = RuleBook::sample();
        let codes = |by| -> Vec<String> {
            let rules = book.triggered(by, day("2026-03-05"), place(GRID));
            rules.map(|rule| rule.code.clone()).collect()
        };
        assert_eq!(codes(Trigger::Completed), ["609", "D02"]);
        assert_eq!(codes(Trigger::Rated), ["610"]);
        assert_eq!(codes(Trigger::Featured), ["B10"]);
        assert_eq!(codes(Trigger::Activity), ["B01"]);
        assert_eq!(codes(Trigger::Patrol), ["301"]);
        let later = RuleBook::new(vec![rule(1, 3, Some("2026-03-06"))]).expect("a book");
        assert_eq!(later.triggered(Trigger::Completed, day("2026-03-05"), place(GRID)).count(), 0);
    }

    #[test]
    fn versions_that_contradict_each_other_are_all_named() {
        let twice = RuleBook::new(vec![rule(1, 3, None), rule(1, 4, None), rule(2, 5, None)]);
        let code = || ON_TIME.to_owned();
        assert_eq!(
            twice,
            Err(vec![
                RuleConflict::Duplicate { code: code(), version: 1 },
                RuleConflict::NotLater { code: code(), version: 2 },
            ])
        );
    }

    #[test]
    fn a_choice_stays_within_the_bounds_of_its_rule() {
        let range = Points::Range { min: 20, max: 50 };
        assert_eq!([None, Some(1), Some(30), Some(99)].map(|choice| range.decided(choice)), [20, 20, 30, 50]);
        assert_eq!(Points::Fixed(3).decided(Some(7)), 3);
        assert!(range.allows(50) && !range.allows(51) && !range.allows(19));
    }

    #[test]
    fn points_read_as_a_number_or_as_bounds() {
        assert_eq!(serde_json::to_string(&Points::Fixed(-2)).expect("json"), "-2");
        let range = Points::Range { min: 3, max: 10 };
        assert_eq!(serde_json::to_string(&range).expect("json"), r#"{"min":3,"max":10}"#);
        assert_eq!(serde_json::from_str::<Points>(r#"{"min":3,"max":10}"#).expect("points"), range);
    }
}
