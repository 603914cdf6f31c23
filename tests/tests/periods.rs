//! 申报截止、审议、公示、归档 over HTTP and by the command line, on both sizes: a month is closed once, shown without names,
//! objected to line by line, and sealed.

use serde_json::{Value, json};
use xingfuma_tests::{
    client::{Accounts, Client},
    program::{Demo, Fleet, Told},
};

struct People {
    anonymous: Client,
    first: Client,
    second: Client,
    third: Client,
    village: Client,
    township: Client,
    foreign: Client,
    admin: Client,
    auditor: Client,
}

impl People {
    fn log_in(bases: &[String], accounts: &Accounts) -> People {
        let at = |account, number: usize| Client::log_in(&bases[0], account).at(&bases[number % bases.len()]);
        let volunteers = accounts.all("volunteer");
        People {
            anonymous: Client::anonymous(&bases[0]),
            first: at(volunteers[0], 0),
            second: at(volunteers[1], 1),
            third: at(volunteers[2], 1),
            village: at(accounts.village_dispatcher(), 1),
            township: at(accounts.township_dispatcher(), 0),
            foreign: at(accounts.foreign_dispatcher(), 1),
            admin: at(accounts.one("county_admin"), 0),
            auditor: at(accounts.one("auditor"), 1),
        }
    }
}

/// The month before this one in China, by the server's clock, and its last second.
struct LastMonth {
    name: String,
    end: String,
}

fn last_month(people: &People) -> LastMonth {
    let probe = people.first.get("/me");
    let now = chrono::DateTime::parse_from_rfc2822(probe.header("date").expect("a date")).expect("a date");
    let here = now.with_timezone(&chrono::FixedOffset::east_opt(8 * 3600).expect("China"));
    let first = chrono::Datelike::with_day(&here.date_naive(), 1).expect("the first");
    let end = first.and_hms_opt(0, 0, 0).expect("midnight") - chrono::TimeDelta::seconds(1);
    LastMonth {
        name: end.format("%Y-%m").to_string(),
        end: end.format("%Y-%m-%dT%H:%M:%S+08:00").to_string(),
    }
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_else(|| panic!("no {member}: {value}")).to_owned()
}

fn items(value: &Value) -> &[Value] {
    value["items"].as_array().unwrap_or_else(|| panic!("no items: {value}"))
}

/// Claims points that the decider chooses, for what happened at that moment.
fn claim(person: &Client, at: &str) -> String {
    let claim = json!({ "ruleCode": "B06", "happenedAt": at, "evidence": "救起落水儿童" });
    text(&person.post("/score/claims", &claim).expect(201), "id")
}

fn grant(by: &Client, claim: &str, points: i64) -> String {
    let grant = json!({ "grant": true, "points": points, "reason": "属实" });
    text(&by.post(&format!("/score/claims/{claim}/decide"), &grant).expect(200), "entryId")
}

fn assessment(person: &Client) -> i64 {
    person.get("/me/passbook").expect(200)["assessment"].as_i64().expect("points")
}

#[test]
fn a_month_alone() {
    let demo = Demo::start();
    let people = People::log_in(&[demo.base().to_owned()], demo.accounts());
    story(&people, false, |words| demo.score(words), |sql| demo.sql(sql));
    let told = demo.audit(&["root"]);
    assert!(told.success, "{told:?}");
    let told = demo.audit(&["verify"]);
    assert!(told.success && told.printed.contains("the ledger is in order"), "{told:?}");
    // A line that is changed behind the program's back is found, with its period.
    let _ = demo.sql("UPDATE score_period_line SET points = points + 1 WHERE status = 'standing'");
    let told = demo.audit(&["verify"]);
    assert!(!told.success, "{told:?}");
    for word in ["what was published", "what was sealed", "is not the sum of its entries"] {
        assert!(told.printed.contains(word), "{word}: {told:?}");
    }
}

#[test]
fn a_month_in_a_fleet() {
    let fleet = Fleet::start(2, 1);
    let people = People::log_in(&fleet.bases(), fleet.accounts());
    story(&people, true, |words| fleet.score(words), |sql| fleet.sql(sql));
    let told = fleet.audit(&["root"]);
    assert!(told.success, "{told:?}");
    let told = fleet.audit(&["verify"]);
    assert!(told.success && told.printed.contains("the ledger is in order"), "{told:?}");
}

/// The month is sealed by the command line, or over HTTP.
fn story(
    people: &People,
    sealed_over_http: bool,
    score: impl Fn(&[&str]) -> Told,
    sql: impl Fn(&str) -> String,
) {
    let month = last_month(people);
    let entries = earned_and_closed(people, &month, &score);
    let lines = shown(people, &month);
    boards(people, &month, 96, 3);
    contested(people, &month, &lines, &entries);
    boards(people, &month, 65, 3);
    sealed(people, sealed_over_http, &month, &lines, &score, &sql);
}

/// Somebody's line: its number and its points.
type Line = (i64, i64);

fn earned_and_closed(people: &People, month: &LastMonth, score: &impl Fn(&[&str]) -> Told) -> [String; 3] {
    let entries = [(&people.first, 31), (&people.second, 32), (&people.third, 33)]
        .map(|(person, points)| grant(&people.township, &claim(person, &month.end), points));
    let body = json!({ "month": month.name });
    for stranger in [&people.first, &people.village, &people.auditor] {
        assert_eq!(stranger.post("/score/periods", &body).problem(403), "forbidden");
    }
    preview(month, score);
    let this_month = json!({ "month": next(&month.name) });
    assert_eq!(people.admin.post("/score/periods", &this_month).problem(409), "period_not_over");
    for days in [0, 61] {
        let bad = json!({ "month": month.name, "workingDays": days });
        assert_eq!(people.admin.post("/score/periods", &bad).problem(422), "invalid_fields");
    }
    assert_eq!(
        people.admin.post("/score/periods", &json!({ "month": "2026-13" })).problem(400),
        "malformed_json"
    );
    // A claim that waits keeps the list from being made; a new one is too late.
    let waiting = claim(&people.first, &month.end);
    let begun = people.admin.post_twice("/score/periods", &body).expect(200);
    assert_eq!((&begun["status"], &begun["lines"]), (&json!("review"), &json!(0)));
    let late = json!({ "ruleCode": "B06", "happenedAt": month.end, "evidence": "迟报" });
    let late = people.first.post("/score/claims", &late);
    assert_eq!(late.problem(422), "invalid_fields");
    assert_eq!(late.json()["errors"], json!([{ "field": "happenedAt", "code": "claims_closed" }]));
    let told = score(&["close", &month.name]);
    assert!(!told.success && told.complained.contains("wait for a decision"), "{told:?}");
    assert_eq!(
        people.anonymous.get(&format!("/score/notices/{}/lines", month.name)).problem(404),
        "not_found"
    );
    let refused = json!({ "grant": false, "reason": "没有证据" });
    people.township.post(&format!("/score/claims/{waiting}/decide"), &refused).expect(200);
    let told = score(&["seal", &month.name]);
    assert!(!told.success && told.complained.contains("no list"), "{told:?}");
    let told = score(&["close", &month.name, "--working-days", "3"]);
    assert!(told.success && told.printed.contains("lines"), "{told:?}");
    // Closing twice is refused, whoever asks.
    let told = score(&["close", &month.name]);
    assert!(!told.success && told.complained.contains("closed already"), "{told:?}");
    assert_eq!(people.admin.post("/score/periods", &body).problem(409), "period_closed");
    let earlier = json!({ "month": "2025-01" });
    assert_eq!(people.admin.post("/score/periods", &earlier).problem(409), "period_closed");
    entries
}

/// The month under rules that begin in the future: what would have been given.
fn preview(month: &LastMonth, score: &impl Fn(&[&str]) -> Told) {
    let directory = tempfile::tempdir().expect("a directory");
    let sheet = directory.path().join("bonuses.csv");
    let text = "code,kind,name,points,monthly_cap,evidence_required,version,effective_from\n\
                B06,bonus,见义勇为,20..50,,yes,1,\nB06,bonus,见义勇为,40,80,yes,2,2999-01-01\n";
    std::fs::write(&sheet, text).expect("written");
    let told = score(&["preview", &sheet.display().to_string(), "--month", &month.name]);
    assert!(told.success, "{told:?}");
    for line in ["B06: 3 awards, 96 points, then 120 (+24)", "3 people would have more, 0 less"] {
        assert!(told.printed.contains(line), "{line}: {told:?}");
    }
}

fn next(month: &str) -> String {
    let (year, number) = month.split_once('-').expect("a month");
    let (year, number): (i32, u32) = (year.parse().expect("a year"), number.parse().expect("a month"));
    if number == 12 { format!("{}-01", year + 1) } else { format!("{year}-{:02}", number + 1) }
}

/// The list, read by somebody who has not logged in, a line a page; and nothing in it says who anybody is.
fn shown(people: &People, month: &LastMonth) -> [Line; 3] {
    let notices = people.anonymous.get("/score/notices").expect(200);
    let notice = &items(&notices)[0];
    assert_eq!(
        (&notice["month"], &notice["status"], &notice["lines"]),
        (&json!(month.name), &json!("notice"), &json!(3))
    );
    assert_eq!(notice["points"], 96);
    assert_eq!(text(notice, "listHash").len(), 64);
    let (mut lines, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/score/notices/{}/lines?limit=1{cursor}", month.name);
        let page = people.anonymous.get(&path).expect(200);
        for line in items(&page) {
            let members: Vec<&String> = line.as_object().expect("a line").keys().collect();
            assert_eq!(members, ["areaCode", "corrected", "entries", "late", "number", "points", "status"]);
            assert_eq!(text(line, "areaCode").len(), 12, "a village, no house");
            lines
                .push((line["number"].as_i64().expect("a number"), line["points"].as_i64().expect("points")));
        }
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(lines.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2, 3]);
    let of = |points: i64| *lines.iter().find(|(_, found)| *found == points).expect("the line");
    let elsewhere = format!("/score/notices/{}/lines?areaCode=140724200", month.name);
    assert_eq!(items(&people.anonymous.get(&elsewhere).expect(200)).len(), 0);
    assert_eq!(people.anonymous.get("/score/notices/2020-01/lines").problem(404), "not_found");
    [of(31), of(32), of(33)]
}

/// Teams and areas, never persons; corrected lines count as corrected, paused ones not at all.
fn boards(people: &People, month: &LastMonth, points: i64, counted: i64) {
    let board =
        |by: &str| people.first.get(&format!("/leaderboards?by={by}&month={}", month.name)).expect(200);
    for by in ["team", "grid", "village", "township"] {
        let found = board(by);
        let [line] = items(&found) else { panic!("one team, one grid: {found}") };
        assert_eq!(
            (&line["rank"], &line["points"], &line["people"]),
            (&json!(1), &json!(points), &json!(counted)),
            "{by}: {found}"
        );
        assert!(line["name"].is_string() && line["teamId"].is_string() == (by == "team"), "{found}");
    }
    let digits = |by: &str| text(&items(&board(by))[0], "areaCode").len();
    assert_eq!(["grid", "village", "township"].map(digits), [15, 12, 9]);
    let last = people.first.get("/leaderboards?by=team").expect(200);
    assert_eq!(last["month"], month.name.as_str());
    assert_eq!(people.first.get("/leaderboards?by=persons").problem(400), "malformed_request");
    // Off unless the county wants it.
    assert_eq!(people.first.get("/leaderboards?by=person").problem(404), "not_found");
    assert_eq!(people.first.get("/leaderboards?by=team&month=2020-01").problem(404), "not_found");
    assert_eq!(people.anonymous.get("/leaderboards?by=team").problem(401), "unauthenticated");
}

fn status_of(people: &People, month: &LastMonth, line: Line) -> (String, i64) {
    let all = people.anonymous.get(&format!("/score/notices/{}/lines", month.name)).expect(200);
    let found = items(&all).iter().find(|found| found["number"] == line.0).expect("the line").clone();
    (text(&found, "status"), found["corrected"].as_i64().expect("points"))
}

fn contested(people: &People, month: &LastMonth, lines: &[Line; 3], entries: &[String; 3]) {
    let path = format!("/score/notices/{}/objections", month.name);
    let object =
        |by: &Client, line: i64| by.post(&path, &json!({ "line": line, "reason": "当天他不在村里" }));
    assert_eq!(object(&people.anonymous, lines[0].0).problem(401), "unauthenticated");
    for line in [0, 4, -1, i64::MAX, i64::MIN] {
        assert_eq!(object(&people.second, line).problem(422), "invalid_fields");
    }
    let made = object(&people.second, lines[0].0).expect(201);
    assert_eq!(object(&people.second, lines[0].0).problem(409), "already_objected");
    assert_eq!(status_of(people, month, lines[0]).0, "contested");
    for other in &lines[1..] {
        assert_eq!(status_of(people, month, *other).0, "standing", "the others do not wait");
    }
    let id = text(&made, "id");
    let read = format!("/score/objections/{id}");
    for stranger in [&people.second, &people.first, &people.foreign] {
        assert_eq!(stranger.get(&read).problem(404), "not_found");
    }
    let seen = people.village.get(&read).expect(200);
    assert_eq!(seen["entries"], json!([{ "entryId": entries[0], "points": 31 }]));
    assert_eq!(items(&people.first.get(&path).expect(200)).len(), 1, "against one's own line");
    assert_eq!(items(&people.third.get(&path).expect(200)).len(), 0);
    let decide = format!("{read}/decide");
    let uphold = |entry: &str| json!({ "uphold": true, "entryIds": [entry], "reason": "核实：不在现场" });
    assert_eq!(people.auditor.post(&decide, &uphold(&entries[0])).problem(403), "forbidden");
    // Who granted the points does not decide whether he was right.
    assert_eq!(people.township.post(&decide, &uphold(&entries[0])).problem(403), "own_decision");
    assert_eq!(people.village.post(&decide, &uphold(&entries[1])).problem(422), "invalid_fields");
    let before = assessment(&people.first);
    assert_eq!(people.village.post(&decide, &uphold(&entries[0])).expect(200)["status"], "upheld");
    assert_eq!(people.village.post(&decide, &uphold(&entries[0])).problem(409), "objection_not_pending");
    assert_eq!(assessment(&people.first), before - 31);
    assert_eq!(status_of(people, month, lines[0]), ("standing".to_owned(), -31));
}

fn sealed(
    people: &People,
    over_http: bool,
    month: &LastMonth,
    lines: &[Line; 3],
    score: &impl Fn(&[&str]) -> Told,
    sql: &impl Fn(&str) -> String,
) {
    let path = format!("/score/notices/{}/objections", month.name);
    let objection = json!({ "line": lines[1].0, "reason": "重复计算" });
    let id = text(&people.first.post(&path, &objection).expect(201), "id");
    let seal = format!("/score/periods/{}/seal", month.name);
    assert_eq!(people.village.post(&seal, &json!({})).problem(403), "forbidden");
    assert_eq!(people.admin.post(&seal, &json!({})).problem(409), "notice_runs");
    let _ = sql(&format!(
        "UPDATE score_period SET notice_ends_at = '2026-01-01T00:00:00+00:00' WHERE month = '{}'",
        month.name
    ));
    assert_eq!(people.third.post(&path, &objection).problem(409), "notice_over");
    if over_http {
        assert_eq!(people.admin.post_keyed_only(&seal).expect(200)["status"], "sealed");
    } else {
        let told = score(&["seal", &month.name]);
        assert!(told.success && told.printed.contains("sealed"), "{told:?}");
    }
    let told = score(&["seal", &month.name]);
    assert!(!told.success && told.complained.contains("closed already"), "{told:?}");
    assert_eq!(people.admin.post(&seal, &json!({})).problem(409), "period_closed");
    assert_eq!(people.admin.post("/score/periods/2020-01/seal", &json!({})).problem(404), "not_found");
    let periods = people.first.get("/score/periods").expect(200);
    assert_eq!(text(&items(&periods)[0], "status"), "sealed");
    assert_eq!(text(&items(&periods)[0], "seal").len(), 64);
    // What was contested waits alone; decided, it is let go into the next period.
    assert_eq!(status_of(people, month, lines[1]).0, "paused");
    assert_eq!(status_of(people, month, lines[2]).0, "standing");
    boards(people, month, 33, 2);
    let counted = || sql(&format!("SELECT count(*) FROM score_period_entry WHERE month = '{}'", month.name));
    // Three awards and the reversal.
    assert_eq!(counted().trim(), "4");
    let dismiss = json!({ "uphold": false, "reason": "没有重复" });
    people.village.post(&format!("/score/objections/{id}/decide"), &dismiss).expect(200);
    assert_eq!(status_of(people, month, lines[1]).0, "carried");
    assert_eq!(counted().trim(), "3");
}
