use super::super::conditions::{Conditions, Trigger};
use super::super::rules::{Points, RuleBook};
use super::*;

const BASE: &str = "code,category,category_name,name,points,monthly_cap\n";
const BONUS: &str = "code,kind,name,points,monthly_cap,evidence_required\n";

fn faults(base: &str, bonus: &str) -> Vec<(u64, String, Fault)> {
    match RuleBook::from_sheets(base, bonus) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.into_iter().map(|fault| (fault.line, fault.field, fault.fault)).collect(),
    }
}

/// The faults of one line of base tasks below the heading.
fn base_faults(line: &str) -> Vec<(String, Fault)> {
    faults(&format!("{BASE}{line}\n"), BONUS).into_iter().map(|(_, field, fault)| (field, fault)).collect()
}

/// The faults of one line of bonuses and deductions below the heading.
fn bonus_faults(line: &str) -> Vec<(String, Fault)> {
    faults(BASE, &format!("{BONUS}{line}\n")).into_iter().map(|(_, field, fault)| (field, fault)).collect()
}

fn one(field: &str, fault: Fault) -> Vec<(String, Fault)> {
    vec![(field.to_owned(), fault)]
}

#[test]
fn each_fault_of_a_base_task_is_named() {
    assert_eq!(base_faults("101,care,走访,登记,1,20"), vec![]);
    assert_eq!(base_faults("101,care,走访,登记,0,"), vec![], "zero switches a task off, no cap is no limit");
    assert_eq!(base_faults(",care,走访,登记,1,20"), one("code", Fault::Empty));
    assert_eq!(base_faults("a-1,care,走访,登记,1,20"), one("code", Fault::BadCode));
    assert_eq!(base_faults("101,cares,走访,登记,1,20"), one("category", Fault::WrongCategory));
    assert_eq!(base_faults("101,care,,登记,1,20"), one("category_name", Fault::Empty));
    assert_eq!(base_faults("101,care,走访,,1,20"), one("name", Fault::Empty));
    assert_eq!(base_faults("101,care,走访,登记,,20"), one("points", Fault::Empty));
    assert_eq!(base_faults("101,care,走访,登记,-1,20"), one("points", Fault::NegativePoints));
    assert_eq!(base_faults("101,care,走访,登记,1.5,20"), one("points", Fault::NotAnInteger));
    assert_eq!(base_faults("101,care,走访,登记,３,20"), one("points", Fault::NotAnInteger));
    assert_eq!(base_faults("101,care,走访,登记,5..3,20"), one("points", Fault::RangeReversed));
    assert_eq!(base_faults("101,care,走访,登记,-1..3,20"), one("points", Fault::NegativePoints));
    assert_eq!(base_faults("101,care,走访,登记,1000001,"), one("points", Fault::TooLarge));
    assert_eq!(base_faults("101,care,走访,登记,99999999999999999999,"), one("points", Fault::NotAnInteger));
    assert_eq!(base_faults("101,care,走访,登记,1,x"), one("monthly_cap", Fault::NotAnInteger));
    assert_eq!(base_faults("101,care,走访,登记,1,0"), one("monthly_cap", Fault::CapNotPositive));
    assert_eq!(base_faults("101,care,走访,登记,5,4"), one("monthly_cap", Fault::CapBelowPoints));
    assert_eq!(base_faults("101,care,走访,登记,1"), one("line", Fault::FieldCount { expected: 6, found: 5 }));
}

#[test]
fn each_fault_of_a_bonus_or_deduction_is_named() {
    assert_eq!(bonus_faults("B06,bonus,见义勇为,20..50,,yes"), vec![]);
    assert_eq!(bonus_faults("B06,gift,见义勇为,20,,yes"), one("kind", Fault::UnknownKind));
    assert_eq!(bonus_faults("B06,bonus,见义勇为,-2,,yes"), one("points", Fault::NegativePoints));
    assert_eq!(bonus_faults("D01,deduction,未履约,2,,yes"), one("points", Fault::PositiveDeduction));
    assert_eq!(bonus_faults("D01,deduction,未履约,-2..1,,yes"), one("points", Fault::PositiveDeduction));
    assert_eq!(bonus_faults("D01,deduction,未履约,-2,10,yes"), one("monthly_cap", Fault::CapOnDeduction));
    assert_eq!(bonus_faults("D01,deduction,未履约,-2,,maybe"), one("evidence_required", Fault::NotYesOrNo));
    assert_eq!(bonus_faults("D01,deduction,未履约,-2,,"), one("evidence_required", Fault::NotYesOrNo));
}

#[test]
fn all_faults_are_reported_with_the_line_an_editor_shows() {
    let base = "# a comment\n\ncode,category,category_name,name,points,monthly_cap\n# another\n\n\
                101,cares,走访,,x,0\n102,care,走访,登记,1,20\n\n# a third\r\n102,care,探访,登记,1,20\r\n";
    let bonus = "code,kind,name,points,monthly_cap,evidence_required\n102,bonus,献血,10,10,yes\n";
    let expected = vec![
        (6, "category".to_owned(), Fault::WrongCategory),
        (6, "name".to_owned(), Fault::Empty),
        (6, "points".to_owned(), Fault::NotAnInteger),
        (6, "monthly_cap".to_owned(), Fault::CapNotPositive),
        (10, "code".to_owned(), Fault::DuplicateCode),
        (10, "category_name".to_owned(), Fault::CategoryNameDiffers { expected: "走访".into() }),
        (2, "code".to_owned(), Fault::DuplicateCode),
    ];
    assert_eq!(faults(base, bonus), expected);
}

#[test]
fn a_heading_is_checked_for_unknown_missing_and_repeated_columns() {
    let base = "code,category,category_name,name,points,cap,name\n";
    let expected = vec![
        (1, "cap".to_owned(), Fault::UnknownColumn),
        (1, "name".to_owned(), Fault::RepeatedColumn),
        (1, "monthly_cap".to_owned(), Fault::MissingColumn),
    ];
    assert_eq!(faults(base, BONUS), expected);
    assert_eq!(
        faults("", BONUS).len(),
        Sheet::BaseTasks.required().len(),
        "an empty sheet lacks every column"
    );
}

#[test]
fn versions_and_dates_are_read_and_checked() {
    let heading = "code,category,category_name,name,points,monthly_cap,version,effective_from\n";
    let sheet = |lines: &str| format!("{heading}{lines}");
    let good = sheet("609,errand,便民,完成,3,30,,\n609,errand,便民,完成,4,30,2,2026-07-01\n");
    let book = RuleBook::from_sheets(&good, BONUS).expect("two versions of one rule");
    assert_eq!(book.iter().map(|rule| rule.version).collect::<Vec<_>>(), [1, 2]);
    let bad = sheet(
        "609,errand,便民,完成,3,30,1,2026-07-01\n609,errand,便民,完成,4,30,2,2026-07-01\n\
         610,errand,便民,好评,1,20,0,\n611,errand,便民,好评,1,20,x,2026-02-30\n",
    );
    let expected = vec![
        (3, "effective_from".to_owned(), Fault::VersionNotLater),
        (4, "version".to_owned(), Fault::BadVersion),
        (5, "version".to_owned(), Fault::NotAnInteger),
        (5, "effective_from".to_owned(), Fault::BadDate),
    ];
    assert_eq!(faults(&bad, BONUS), expected);
}

#[test]
fn areas_are_read_and_checked() {
    let heading = "code,category,category_name,name,points,monthly_cap,version,area\n";
    let good = format!("{heading}701,care,走访,独居探访,2,24,1,\n701,care,走访,独居探访,3,30,2,140724104\n");
    let book = RuleBook::from_sheets(&good, BONUS).expect("a township of its own");
    let at = |code: &str| {
        let day = "2026-03-05".parse().expect("a date");
        book.in_force("701", day, code.parse().expect("an area")).expect("a rule").points
    };
    assert_eq!((at("140724104003001"), at("140724105001001")), (Points::Fixed(3), Points::Fixed(2)));
    let bad = format!(
        "{heading}701,care,走访,独居探访,2,24,1,乐平\n702,care,走访,探访,2,24,1,140724104\n\
         703,care,走访,探访,2,24,1,140725100\n"
    );
    let expected = vec![(2, "area".to_owned(), Fault::BadArea), (4, "area".to_owned(), Fault::ForeignArea)];
    assert_eq!(faults(&bad, BONUS), expected);
    assert_eq!((Sheet::of(&good), Sheet::of(BONUS)), (Sheet::BaseTasks, Sheet::BonusesAndDeductions));
    assert_eq!(Sheet::of("# category\n\ncode,kind,name\n"), Sheet::BonusesAndDeductions);
}

/// The faults of one bonus with these columns behind the usual ones.
fn extra_faults(columns: &str, values: &str) -> Vec<(String, Fault)> {
    extra_faults_of("B11,bonus,紧急服务,2,20,no", columns, values)
}

fn extra_faults_of(line: &str, columns: &str, values: &str) -> Vec<(String, Fault)> {
    let heading = BONUS.trim_end();
    faults(BASE, &format!("{heading},{columns}\n{line},{values}\n"))
        .into_iter()
        .map(|(_, field, fault)| (field, fault))
        .collect()
}

#[test]
fn each_fault_of_a_cap_a_trigger_and_a_condition_is_named() {
    use Fault::{
        BadMinutes, BadStars, BadUrgency, CapAboveMonth, CapBelowPoints, CapNotPositive, CapOnDeduction,
        CapWithoutOrder, ConditionUnknown, ConditionWithoutTrigger, DeductionTrigger, NotAnInteger,
        NotYesOrNo, TooLarge, UnknownTrigger,
    };
    let unknown = |trigger| ConditionUnknown { trigger };
    type Found = Vec<(String, Fault)>;
    let table: Vec<(&str, &str, Found)> = vec![
        ("daily_cap", "4", vec![]),
        ("daily_cap", "", vec![]),
        ("daily_cap", "0", one("daily_cap", CapNotPositive)),
        ("daily_cap", "1", one("daily_cap", CapBelowPoints)),
        ("daily_cap", "21", one("daily_cap", CapAboveMonth)),
        ("daily_cap", "x", one("daily_cap", NotAnInteger)),
        ("daily_cap", "1000001", one("daily_cap", TooLarge)),
        ("order_cap", "4", one("order_cap", CapWithoutOrder)),
        ("order_cap,trigger", "4,activity", one("order_cap", CapWithoutOrder)),
        ("order_cap,trigger", "4,completed", vec![]),
        ("order_cap,trigger", "1,completed", one("order_cap", CapBelowPoints)),
        ("order_cap,trigger", "-4,rated", one("order_cap", CapNotPositive)),
        ("trigger", "completed", vec![]),
        ("trigger", "rated", vec![]),
        ("trigger", "featured", vec![]),
        ("trigger", "activity", vec![]),
        ("trigger", "patrol", vec![]),
        ("trigger", "always", one("trigger", UnknownTrigger)),
        ("on_time", "yes", one("on_time", ConditionWithoutTrigger)),
        ("trigger,on_time", "completed,no", vec![]),
        ("trigger,on_time", "rated,yes", vec![]),
        ("trigger,on_time", "completed,late", one("on_time", NotYesOrNo)),
        ("trigger,on_time", "activity,yes", one("on_time", unknown(Trigger::Activity))),
        ("trigger,min_stars", "rated,1", vec![]),
        ("trigger,min_stars", "rated,5", vec![]),
        ("trigger,min_stars", "rated,0", one("min_stars", BadStars)),
        ("trigger,min_stars", "rated,6", one("min_stars", BadStars)),
        ("trigger,min_stars", "rated,five", one("min_stars", NotAnInteger)),
        ("trigger,min_stars", "completed,4", one("min_stars", unknown(Trigger::Completed))),
        ("trigger,min_minutes", "completed,1440", vec![]),
        ("trigger,min_minutes", "patrol,1", vec![]),
        ("trigger,min_minutes", "completed,0", one("min_minutes", BadMinutes)),
        ("trigger,min_minutes", "completed,1441", one("min_minutes", BadMinutes)),
        ("trigger,min_minutes", "featured,30", one("min_minutes", unknown(Trigger::Featured))),
        ("trigger,urgency", "completed,urgent|priority", vec![]),
        ("trigger,urgency", "completed,urgent|urgent", one("urgency", BadUrgency)),
        ("trigger,urgency", "completed,soon", one("urgency", BadUrgency)),
        ("trigger,urgency", "completed,urgent|", one("urgency", BadUrgency)),
        ("trigger,urgency", "patrol,urgent", one("urgency", unknown(Trigger::Patrol))),
    ];
    for (columns, values, expected) in table {
        assert_eq!(extra_faults(columns, values), expected, "{columns} {values}");
    }
    let deduction = |columns, values| extra_faults_of("D09,deduction,迟到,-2,,no", columns, values);
    assert_eq!(deduction("trigger,on_time", "completed,no"), vec![]);
    assert_eq!(deduction("trigger,min_stars", "rated,1"), one("trigger", DeductionTrigger));
    assert_eq!(deduction("daily_cap", "5"), one("daily_cap", CapOnDeduction));
}

#[test]
fn the_rules_that_always_scored_by_themselves_need_no_columns_and_take_more_conditions() {
    let heading = "code,category,category_name,name,points,monthly_cap,version,effective_from,min_minutes";
    let sheet = format!(
        "{heading}\n609,errand,便民,完成,3,30,1,,\n609,errand,便民,完成,3,30,2,2026-07-01,30\n\
         610,errand,便民,好评,1,20,1,,\n701,care,走访,探访,2,24,1,,\n"
    );
    let book = RuleBook::from_sheets(&sheet, BONUS).expect("a book");
    let rule = |code, version| book.version(code, version).expect("the rule");
    let on_time = Conditions { on_time: Some(true), ..Conditions::default() };
    assert_eq!((rule("609", 1).trigger, &rule("609", 1).conditions), (Some(Trigger::Completed), &on_time));
    let longer = Conditions { min_minutes: Some(30), ..on_time };
    assert_eq!(rule("609", 2).conditions, longer);
    assert_eq!(
        (rule("610", 1).trigger, rule("610", 1).conditions.min_stars),
        (Some(Trigger::Rated), Some(5))
    );
    assert_eq!((rule("701", 1).trigger, rule("701", 1).conditions.is_empty()), (None, true));
}

#[test]
fn a_byte_order_mark_blanks_and_quotes_do_not_matter() {
    let base = "\u{feff}code, category,category_name,name,points,monthly_cap\r\n\
                101 ,care,走访,\"独居、空巢, 高龄\",2,24\r\n";
    let book = RuleBook::from_sheets(base, BONUS).expect("a sheet from a spreadsheet program");
    assert_eq!(book.version("101", 1).expect("the rule").name, "独居、空巢, 高龄");
}

#[test]
fn a_quote_that_never_closes_is_a_fault_of_its_line() {
    let base = format!("{BASE}101,care,走访,登记,1,20\n102,care,走访,\"登记,1,20\n103,care,走访,登记,1,20\n");
    assert_eq!(
        faults(&base, BONUS),
        vec![(3, "line".to_owned(), Fault::FieldCount { expected: 6, found: 4 })]
    );
}

#[test]
fn a_fault_prints_where_and_what() {
    let error =
        RuleBook::from_sheets(&format!("{BASE}101,care,走访,登记,-1,20\n"), BONUS).expect_err("a fault");
    assert_eq!(error[0].to_string(), "base_tasks, line 2, points: must not be negative");
}
