use proptest::prelude::*;

use super::number::digit;
use super::*;
use crate::phone;

fn kinds(text: &str) -> Vec<FindingKind> {
    mask_text(text).found.into_iter().map(|finding| finding.kind).collect()
}

fn assert_masked(table: &[(&str, &str)]) {
    for (text, expected) in table {
        assert_eq!(mask_text(text).text, *expected, "{text}");
    }
}

#[test]
fn hides_phone_numbers() {
    assert_masked(&[
        ("电话13812345678。", "电话[电话]。"),
        ("请打138 1234 5678找我", "请打[电话]找我"),
        ("138-1234-5678", "[电话]"),
        ("138.1234.5678", "[电话]"),
        ("138 - 1234 - 5678", "[电话]"),
        ("１３８１２３４５６７８", "[电话]"),
        ("１３８－１２３４ ５６７８", "[电话]"),
        ("+86 13812345678", "[电话]"),
        ("＋８６１３８１２３４５６７８", "[电话]"),
        ("0086-138-1234-5678", "[电话]"),
        ("一三八一二三四五六七八", "[电话]"),
        ("幺三八 幺二三四 五六七〇", "[电话]"),
        ("我的号是一三八零零幺二三四五六谢谢", "我的号是[电话]谢谢"),
        ("13八1二34五678", "[电话]"),
        ("𝟏𝟑𝟖𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖", "[电话]"),
        ("1️⃣3️⃣8️⃣1️⃣2️⃣3️⃣4️⃣5️⃣6️⃣7️⃣8️⃣", "[电话]\u{fe0f}\u{20e3}"),
        ("座机0354-4123456", "座机[电话]"),
        ("(0354)4123456", "[电话]"),
        ("（010）8123 4567转2", "[电话]转2"),
        ("03544123456", "[电话]"),
        ("两个号：13812345678、13912345678", "两个号：[电话]、[电话]"),
        ("13812345678 13912345678", "[电话] [电话]"),
        ("微信v13812345678v", "微信v[电话]v"),
        ("组2 138 1234 5678 3人", "组2 [电话] 3人"),
    ]);
    assert_eq!(kinds("138 1234 5678，0354 4123456"), [FindingKind::Mobile, FindingKind::Landline]);
}

#[test]
fn hides_identity_and_long_numbers() {
    assert_masked(&[
        ("身份证140724195001011234", "身份证[证件号]"),
        ("身份证14072419500101123X,女", "身份证[证件号],女"),
        ("１４０７２４１９５００１０１１２３ｘ", "[证件号]"),
        ("140724 19500101 123X", "[证件号]"),
        ("140724199913011234", "[号码]"),
        ("4123456", "[号码]"),
        ("单号20261121000123", "单号[号码]"),
        ("138123456789", "[号码]"),
        ("一一三八一二三四五六七八", "[号码]"),
        ("412345", "412345"),
    ]);
}

#[test]
fn hides_house_numbers() {
    assert_masked(&[
        ("12号楼3单元402", "**号楼**单元**"),
        ("12号楼3单元402漏水", "**号楼**单元**漏水"),
        ("12 号楼 3 单元 402 室", "** 号楼 ** 单元 ** 室"),
        ("3号院", "**号院"),
        ("5单元201室", "**单元**室"),
        ("门牌12号", "门牌**号"),
        ("门牌号：12号", "门牌号：**号"),
        ("门牌12", "门牌**"),
        ("东大街12号", "东大街**号"),
        ("和平路12-3号", "和平路**号"),
        ("李家村12号院里", "李家村**号院里"),
        ("三组15号", "三组**号"),
        ("十二号楼三单元四〇二", "**号楼**单元**"),
        ("１２号楼", "**号楼"),
        ("12A号楼", "**号楼"),
        ("12B3单元", "**单元"),
        ("3-2-501停电", "**停电"),
        ("2栋1单元1102", "**栋**单元**"),
        ("二栋3层", "**栋**层"),
        ("3栋5层", "**栋**层"),
        ("人民路88号5号楼", "人民路**号**号楼"),
        ("12号楼5号", "**号楼**号"),
        ("12号楼 402", "**号楼 **"),
        ("1单元110室", "**单元**室"),
        ("12号住户", "**号住户"),
        ("2号楼东单元402", "**号楼东单元**"),
        ("西单元5楼", "西单元**楼"),
        ("A座1203", "A座**"),
        ("5单元201和202室", "**单元**和**室"),
    ]);
    assert_eq!(kinds("5单元201室"), [FindingKind::HouseNumber, FindingKind::HouseNumber]);
}

#[test]
fn keeps_what_helps_to_understand() {
    for text in [
        "",
        "24小时",
        "拨打120，110，119或12345",
        "热线12345 12345",
        "11月21日下午3点",
        "2026-11-21 15:30",
        "2026年11月21日",
        "2026.11.21",
        "等了3天",
        "第2次报修",
        "5号下午",
        "5号上午来，6号也行",
        "12号",
        "5号住院了",
        "县医院5号下午手术",
        "三室一厅",
        "3室2厅的房子",
        "3栋房子",
        "一栋旧楼",
        "5楼的灯坏了",
        "1月1日和12日",
        "一二三四五六七八九十",
        "一三五七九",
        "83岁老人，独居",
        "水费300.50元",
        "客服400-810-1234",
        "11-21下午",
        "11-21-2026",
    ] {
        assert_eq!(mask_text(text), Masked { text: text.to_owned(), found: vec![] });
    }
    assert_masked(&[
        ("12号楼3天没水", "**号楼3天没水"),
        ("5单元24小时没电", "**单元24小时没电"),
        ("3单元120已到", "**单元120已到"),
        ("12号楼300多人", "**号楼300多人"),
        ("5号楼2026年11月", "**号楼2026年11月"),
        ("3单元5户停水", "**单元5户停水"),
    ]);
}

#[test]
fn tells_where_in_the_original() {
    let text = "在12号楼，电话＋８６13812345678";
    let masked = mask_text(text);
    let parts: Vec<&str> = masked.found.iter().map(|finding| &text[finding.range.clone()]).collect();
    assert_eq!(parts, ["12", "＋８６13812345678"]);
    assert_eq!(
        serde_json::to_value(&masked.found[0]).unwrap(),
        serde_json::json!({"kind": "house_number", "range": {"start": 3, "end": 5}})
    );
}

#[test]
fn spans_are_places_of_the_masked_text() {
    let masked = mask_text("王姐 138-1234-5678，住12号楼402，座机0353-4123456");
    let spans = masked.spans();
    let characters: Vec<char> = masked.text.chars().collect();
    let shown: Vec<(FindingKind, String)> = spans
        .iter()
        .map(|span| (span.kind, characters[span.start..span.start + span.length].iter().collect()))
        .collect();
    let expected = [
        (FindingKind::Mobile, "[电话]".to_owned()),
        (FindingKind::HouseNumber, "**".to_owned()),
        (FindingKind::HouseNumber, "**".to_owned()),
        (FindingKind::Landline, "[电话]".to_owned()),
    ];
    assert_eq!(shown, expected, "{}", masked.text);
    assert!(mask_text("没有什么").spans().is_empty());
}

#[test]
fn hides_given_names() {
    let table = [
        ("王小明", "王**", "王"),
        ("王明", "王*", "王"),
        (" 王小明 ", "王**", "王"),
        ("欧阳小明", "欧阳**", "欧阳"),
        ("欧阳修", "欧阳*", "欧阳"),
        ("欧阳", "欧*", "欧"),
        ("王", "王*", "王"),
        ("王大爷家", "王**", "王"),
        ("买买提·阿不都拉", "买**", "买"),
        ("John Smith", "J**", "J"),
        ("𠮷田", "𠮷*", "𠮷"),
        ("", "", ""),
        ("\u{3000}", "", ""),
    ];
    for (name, masked, expected) in table {
        assert_eq!(mask_name(name), masked, "{name}");
        assert_eq!(surname(name), expected, "{name}");
    }
}

/// Texts out of the words that the rules look at, so that they meet in every order.
fn address_like() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "1",
        "12",
        "402",
        "0",
        "８",
        "一",
        "十二",
        "三八",
        "13812345678",
        "138",
        "1234",
        "5678",
        "0354",
        "4123456",
        "140724",
        "19500101",
        "123",
        "X",
        "号",
        "楼",
        "院",
        "单元",
        "室",
        "栋",
        "厅",
        "路",
        "街",
        "村",
        "组",
        "门牌",
        "医",
        "住",
        "层",
        "座",
        "房",
        "弄",
        "户",
        "天",
        "人",
        "月",
        "下午",
        "-",
        " ",
        "－",
        ".",
        "+",
        "86",
        "(",
        "）",
        "、",
        "A",
        "120",
        "12345",
        "[",
        "]",
        "*",
        "\u{fe0f}",
        "①",
        "第",
        "岁",
        ":",
        "\n",
    ]);
    prop::collection::vec(words, 0..24).prop_map(|words| words.concat())
}

fn longest_digit_run(text: &str) -> usize {
    let is_digit = |character: char| phone::ascii_digit(character).is_some();
    text.split(|character| !is_digit(character)).map(|run| run.chars().count()).max().unwrap_or(0)
}

fn check(text: &str) -> Result<(), TestCaseError> {
    let masked = mask_text(text);
    prop_assert!(longest_digit_run(&masked.text) < 7, "{:?}", masked.text);
    let again = mask_text(&masked.text);
    prop_assert_eq!(&again.text, &masked.text);
    prop_assert_eq!(again.found, vec![]);
    // The findings are in order, and the text outside them is untouched.
    let mut kept = String::new();
    let mut done = 0;
    for finding in &masked.found {
        prop_assert!(finding.range.start >= done && !finding.range.is_empty());
        kept.push_str(&text[done..finding.range.start]);
        kept.push_str(finding.kind.label());
        done = finding.range.end;
    }
    kept.push_str(&text[done..]);
    prop_assert_eq!(kept, masked.text);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn safe_for_any_text(text in any::<String>()) {
        check(&text)?;
    }

    #[test]
    fn safe_for_digits_and_separators(text in "[0-9０-９一三八〇Xx+( .-]{0,60}") {
        check(&text)?;
    }

    #[test]
    fn safe_for_addresses(text in address_like()) {
        check(&text)?;
    }

    #[test]
    fn no_mobile_survives(digits in "1[3-9][0-9]{9}", before in "\\PC{0,6}", after in "\\PC{0,6}", separator in prop::sample::select(vec!["", " ", "-", ".", "－", "\u{3000}"])) {
        // A digit next to it would make it another number.
        let without_digits = |text: &str| text.replace(|c| digit(c).is_some(), "字");
        let (before, after) = (without_digits(&before), without_digits(&after));
        let number = [&digits[..3], &digits[3..7], &digits[7..]].join(separator);
        let masked = mask_text(&format!("{before}{number}{after}"));
        prop_assert!(!masked.text.contains(&digits[3..7]) && !masked.text.contains(&digits[7..]));
        prop_assert!(masked.found.iter().any(|finding| finding.kind == FindingKind::Mobile));
    }

    #[test]
    fn names_stay_hidden(name in any::<String>()) {
        let masked = mask_name(&name);
        prop_assert_eq!(mask_name(&masked), masked.clone());
        prop_assert!(masked.chars().count() <= 4);
        prop_assert!(masked.is_empty() || masked.ends_with('*'));
    }
}
