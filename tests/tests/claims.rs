//! 申报 and 申诉 over HTTP, on both sizes: points that somebody claims and another person decides; points taken, an
//! appeal, a third person's decision; why an entry is what it is; and the check of the ledger behind it all.

use std::{
    thread::{scope, sleep},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use xingfuma_tests::{
    client::{Accounts, Client, IDEMPOTENCY_KEY, fresh_key},
    program::{Demo, Fleet},
};

/// Seconds of a day.
const DAY: i64 = 86_400;
/// A number of a range that was never given to a carrier.
const PHONE: &str = "15419999876";
/// How long the notifier may take.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

struct People {
    first: Client,
    second: Client,
    leader: Client,
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
            first: at(volunteers[0], 0),
            second: at(volunteers[1], 1),
            leader: at(accounts.one("grid_leader"), 0),
            village: at(accounts.village_dispatcher(), 1),
            township: at(accounts.township_dispatcher(), 0),
            foreign: at(accounts.foreign_dispatcher(), 1),
            admin: at(accounts.one("county_admin"), 0),
            auditor: at(accounts.one("auditor"), 1),
        }
    }
}

/// So many seconds ago, as JSON writes it. The server's own answer tells the time: tests have no clock of their own.
fn ago(people: &People, seconds: i64) -> String {
    let probe = people.first.get("/me/passbook");
    let date = probe.header("date").expect("every answer has a date");
    let now = chrono::DateTime::parse_from_rfc2822(date).expect("a date");
    (now - chrono::TimeDelta::seconds(seconds)).to_rfc3339()
}

fn id_of(person: &Client) -> String {
    person.get("/me").expect(200)["id"].as_str().expect("an id").to_owned()
}

fn claim(people: &People, rule: &str) -> Value {
    json!({ "ruleCode": rule, "happenedAt": ago(people, DAY), "evidence": format!("独居老人走访，电话{PHONE}") })
}

fn with(mut body: Value, member: &str, value: Value) -> Value {
    body[member] = value;
    body
}

fn made(by: &Client, body: &Value) -> String {
    by.post("/score/claims", body).expect(201)["id"].as_str().expect("an id").to_owned()
}

fn grant() -> Value {
    json!({ "grant": true, "reason": "属实" })
}

fn balances(person: &Client) -> (i64, i64) {
    let book = person.get("/me/passbook").expect(200);
    (book["assessment"].as_i64().expect("points"), book["spendable"].as_i64().expect("points"))
}

#[test]
fn claims_and_appeals_alone() {
    let demo = Demo::start();
    let people = People::log_in(&[demo.base().to_owned()], demo.accounts());
    story(&people);
    let told = demo.audit(&["root"]);
    assert!(told.success, "{told:?}");
    // The server may have taken the day's root already, over an empty ledger: its line is in the file either way.
    let roots = std::fs::read_to_string(demo.data().join("score-roots.jsonl")).expect("the file of roots");
    assert_eq!(roots.lines().count(), 1, "{roots}");
    let told = demo.audit(&["verify"]);
    assert!(told.success && told.printed.contains("the ledger is in order"), "{told:?}");
    // Whoever changes the line outside is found as well.
    let forged = roots.replace("\"number\":1", "\"number\":2");
    std::fs::write(demo.data().join("score-roots.jsonl"), forged).expect("written");
    let told = demo.audit(&["verify"]);
    assert!(!told.success && told.printed.contains("root 2"), "{told:?}");
}

#[test]
fn claims_and_appeals_in_a_fleet() {
    let fleet = Fleet::start(2, 1);
    let people = People::log_in(&fleet.bases(), fleet.accounts());
    story(&people);
    let told = fleet.audit(&["root"]);
    assert!(told.success, "{told:?}");
    let told = fleet.audit(&["verify"]);
    assert!(told.success && told.printed.contains("the ledger is in order"), "{told:?}");
    an_old_deduction(&fleet, &people);
}

fn story(people: &People) {
    bad_input(people);
    two_persons(people);
    caps_and_choices(people);
    one_decision(people);
    deduction_and_appeal(people);
}

fn bad_input(people: &People) {
    let first = &people.first;
    let faults = |body: &Value| -> Vec<(String, String)> {
        let answer = first.post("/score/claims", body);
        assert_eq!(answer.problem(422), "invalid_fields", "{body}");
        let problem = answer.json();
        let text = |fault: &Value, member: &str| fault[member].as_str().expect("text").to_owned();
        let errors = problem["errors"].as_array().expect("errors");
        errors.iter().map(|fault| (text(fault, "field"), text(fault, "code"))).collect()
    };
    let one = |field: &str, code: &str| vec![(field.to_owned(), code.to_owned())];
    let good = claim(people, "701");
    for (body, field, code) in [
        (claim(people, "999"), "ruleCode", "rule_unknown"),
        (claim(people, "609"), "ruleCode", "rule_automatic"),
        (with(good.clone(), "happenedAt", json!(ago(people, -DAY))), "happenedAt", "in_the_future"),
        (with(good.clone(), "happenedAt", json!(ago(people, 32 * DAY))), "happenedAt", "too_long_ago"),
        (with(good.clone(), "points", json!(i64::MAX)), "points", "out_of_range"),
        (with(good.clone(), "points", json!(i64::MIN)), "points", "out_of_range"),
        (with(good.clone(), "points", json!(-2)), "points", "out_of_range"),
        (with(good.clone(), "evidence", json!("  ")), "evidence", "required"),
        (with(good.clone(), "evidence", json!("长".repeat(1_001))), "evidence", "too_long"),
        (with(good.clone(), "personId", json!(uuid::Uuid::nil())), "personId", "not_a_volunteer"),
        // A team-mate's points are not his to claim, and who is a volunteer is not his to learn.
        (with(good.clone(), "personId", json!(id_of(&people.second))), "personId", "not_a_volunteer"),
    ] {
        assert_eq!(faults(&body), one(field, code), "{body}");
    }
    assert_eq!(first.post_with("/score/claims", &[], &good).problem(400), "idempotency_key_required");
    let huge = good.to_string().replace("\"evidence\"", "\"points\":9223372036854775808,\"evidence\"");
    let answer = first.post_bytes("/score/claims", &[(IDEMPOTENCY_KEY, &fresh_key())], huge.as_bytes());
    assert_eq!(answer.problem(400), "malformed_json");
    // Points are not taken from oneself, nor by a volunteer from anybody.
    assert_eq!(first.post("/score/claims", &claim(people, "D01")).problem(403), "forbidden");
}

fn two_persons(people: &People) {
    let (first, before) = (&people.first, balances(&people.first));
    let claimed = first.post("/score/claims", &claim(people, "701")).expect(201);
    assert_eq!((&claimed["status"], &claimed["handMade"]), (&json!("pending"), &json!(true)), "{claimed}");
    assert!(!claimed.to_string().contains(PHONE), "a phone in the evidence: {claimed}");
    let id = claimed["id"].as_str().expect("an id");
    let (path, decide) = (format!("/score/claims/{id}"), format!("/score/claims/{id}/decide"));

    for stranger in [&people.second, &people.foreign, &people.leader] {
        assert_eq!(stranger.get(&path).problem(404), "not_found");
        assert_eq!(stranger.post(&decide, &grant()).problem(404), "not_found");
    }
    people.auditor.get(&path).expect(200);
    assert_eq!(people.auditor.post(&decide, &grant()).problem(403), "forbidden");
    assert_eq!(first.post(&decide, &grant()).problem(403), "own_decision");
    let waits = people.village.get("/score/claims?pending=true").expect(200);
    assert!(waits["items"].as_array().expect("items").iter().any(|item| item["id"] == id), "{waits}");
    assert_eq!(people.foreign.get("/score/claims").expect(200)["items"], json!([]));
    assert_eq!(
        people.village.post(&decide, &json!({ "grant": true, "reason": " " })).problem(422),
        "invalid_fields"
    );
    assert_eq!(balances(first), before, "nothing is booked before the decision");

    let key = fresh_key();
    let granted = people.village.post_with(&decide, &[(IDEMPOTENCY_KEY, &key)], &grant());
    assert_eq!(granted.expect(200)["status"], "granted");
    let again = people.village.post_with(&decide, &[(IDEMPOTENCY_KEY, &key)], &grant());
    assert_eq!((again.text(), again.header("idempotent-replayed")), (granted.text(), Some("true")));
    let other = people.village.post_with(
        &decide,
        &[(IDEMPOTENCY_KEY, &key)],
        &json!({ "grant": false, "reason": "否" }),
    );
    assert_eq!(other.problem(422), "idempotency_key_reused");
    assert_eq!(people.township.post(&decide, &grant()).problem(409), "claim_not_pending");
    assert_eq!(balances(first), (before.0 + 2, before.1 + 2));
    why(people, granted.json()["entryId"].as_str().expect("an entry"), id);
}

/// The entry carries 手工录入 and its explanation, and its number comes out again.
fn why(people: &People, entry: &str, claim: &str) {
    let book = people.first.get("/me/passbook").expect(200);
    let line = book["entries"].as_array().expect("entries").iter().find(|line| line["id"] == entry);
    let line = line.expect("the entry");
    assert_eq!(
        (&line["handMade"], &line["claimId"], &line["points"]),
        (&json!(true), &json!(claim), &json!(2))
    );
    let path = format!("/score/entries/{entry}/why");
    let why = people.first.get(&path).expect(200);
    assert_eq!((&why["rule"]["code"], &why["rule"]["version"]), (&json!("701"), &json!(1)), "{why}");
    assert_eq!((&why["recomputed"], &why["agrees"]), (&json!(2), &json!(true)), "{why}");
    assert_eq!(why["decidedBy"], json!(id_of(&people.village)), "{why}");
    assert_eq!(
        (&why["entry"]["handMade"], &why["inputs"]["facts"]["kind"]),
        (&json!(true), &json!("claimed"))
    );
    people.auditor.get(&path).expect(200);
    assert_eq!(people.second.get(&path).problem(404), "not_found");
}

fn caps_and_choices(people: &People) {
    let (second, before) = (&people.second, balances(&people.second));
    // 月度信息核对完成: 5 points, 5 a month. The claims are of one day, so of one month.
    let body = claim(people, "109");
    for points in [5, 0] {
        let id = made(second, &body);
        let granted = people.township.post(&format!("/score/claims/{id}/decide"), &grant()).expect(200);
        let entry = granted["entryId"].as_str().expect("an entry");
        let why = second.get(&format!("/score/entries/{entry}/why")).expect(200);
        assert_eq!((&why["entry"]["points"], &why["agrees"]), (&json!(points), &json!(true)), "{why}");
    }
    assert_eq!(balances(second).0, before.0 + 5);
    // 见义勇为: 20 to 50 points, as the second person decides.
    let decide = format!("/score/claims/{}/decide", made(second, &claim(people, "B06")));
    assert_eq!(people.village.post(&decide, &grant()).problem(422), "invalid_fields");
    for points in [19, 51, -20, i64::MAX] {
        let refused = people.village.post(&decide, &with(grant(), "points", json!(points)));
        assert_eq!(refused.problem(422), "invalid_fields", "{points}");
    }
    let granted = people.village.post(&decide, &with(grant(), "points", json!(30))).expect(200);
    assert_eq!(granted["points"], 30);
    assert_eq!(balances(second), (before.0 + 35, before.1 + 35));
    // The leader claims for a member of his team, and the member is as little a second person as he is.
    let body = with(claim(people, "702"), "personId", json!(id_of(second)));
    let decide = format!("/score/claims/{}/decide", made(&people.leader, &body));
    for party in [second, &people.leader] {
        assert_eq!(party.post(&decide, &grant()).problem(403), "own_decision");
    }
    let refused = people.village.post(&decide, &json!({ "grant": false, "reason": "没有去过" })).expect(200);
    assert_eq!(refused["status"], "refused");
    assert!(refused.get("entryId").is_none(), "{refused}");
    assert_eq!(balances(second), (before.0 + 35, before.1 + 35));
}

/// Two stations decide at one moment: one decision stands, and the points are given once.
fn one_decision(people: &People) {
    let before = balances(&people.first);
    for _ in 0..5 {
        let decide = format!("/score/claims/{}/decide", made(&people.first, &claim(people, "502")));
        let mut statuses: Vec<u16> = scope(|threads| {
            let deciders = [&people.village, &people.township, &people.admin];
            let all: Vec<_> = deciders
                .into_iter()
                .map(|decider| {
                    let decide = &decide;
                    threads.spawn(move || decider.post(decide, &grant()).status)
                })
                .collect();
            all.into_iter().map(|one| one.join().expect("no panic")).collect()
        });
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409, 409]);
    }
    assert_eq!(balances(&people.first).0, before.0 + 5);
}

fn deduction_and_appeal(people: &People) {
    let (first, before) = (&people.first, balances(&people.first));
    let body = with(claim(people, "D01"), "personId", json!(id_of(first)));
    let id = made(&people.village, &body);
    let decide = format!("/score/claims/{id}/decide");
    assert_eq!(people.village.post(&decide, &grant()).problem(403), "own_decision");
    assert_eq!(first.post(&decide, &grant()).problem(403), "own_decision");
    let granted = people.township.post(&decide, &grant()).expect(200);
    let entry = granted["entryId"].as_str().expect("an entry");
    // Assessment only: what was earned and can be spent is not taken away for a later fault.
    assert_eq!(balances(first), (before.0 - 2, before.1));
    told(first, "claim_deducted", "claimId", &id);

    let appeal = json!({ "entryId": entry, "reason": "当天已联系居民改期" });
    assert_eq!(people.second.post("/score/appeals", &appeal).problem(404), "not_found");
    let book = first.get("/me/passbook").expect(200);
    let award = book["entries"].as_array().expect("entries").iter().find(|line| line["points"] == 2);
    let award = &award.expect("an award")["id"];
    let against_award = with(appeal.clone(), "entryId", award.clone());
    assert_eq!(first.post("/score/appeals", &against_award).problem(409), "not_appealable");
    let made = first.post("/score/appeals", &appeal).expect(201);
    assert_eq!(first.post("/score/appeals", &appeal).problem(409), "already_appealed");
    let id = made["id"].as_str().expect("an id").to_owned();
    let decide = format!("/score/appeals/{id}/decide");
    let uphold = json!({ "uphold": true, "reason": "居民确认已改期" });
    for party in [first, &people.village, &people.township] {
        assert_eq!(party.post(&decide, &uphold).problem(403), "own_decision");
    }
    for stranger in [&people.second, &people.foreign] {
        assert_eq!(stranger.post(&decide, &uphold).problem(404), "not_found");
    }
    assert_eq!(people.auditor.post(&decide, &uphold).problem(403), "forbidden");
    let listed = people.admin.get("/score/appeals?pending=true").expect(200);
    assert!(
        listed["items"].as_array().expect("items").iter().any(|item| item["id"] == id.as_str()),
        "{listed}"
    );
    assert_eq!(people.admin.post(&decide, &uphold).expect(200)["status"], "upheld");
    assert_eq!(balances(first), before, "the deduction is reversed");
    assert_eq!(people.admin.post(&decide, &uphold).problem(409), "appeal_not_pending");
    told(first, "appeal_upheld", "appealId", &id);
    assert_eq!(
        people
            .admin
            .post(&format!("/score/entries/{entry}/reverse"), &json!({ "reason": "再冲" }))
            .problem(409),
        "already_answered"
    );
}

/// The notifier tells a person of something, by its id.
fn told(person: &Client, topic: &str, member: &str, id: &str) {
    let begun = Instant::now();
    loop {
        let inbox = person.get("/me/inbox").expect(200);
        let messages = inbox["items"].as_array().expect("items");
        if let Some(message) = messages.iter().find(|message| message["topic"] == topic) {
            assert_eq!(message[member], id, "{message}");
            assert!(message.get("orderId").is_none(), "{message}");
            return;
        }
        assert!(begun.elapsed() < TOLD_WITHIN, "no {topic}: {inbox}");
        sleep(Duration::from_millis(50));
    }
}

/// A deduction that was booked eight days ago cannot be appealed against any more. Nobody waits for that: the row is
/// written behind the program's back, and so the check of the ledger finds it.
fn an_old_deduction(fleet: &Fleet, people: &People) {
    let now = chrono::DateTime::parse_from_rfc3339(&ago(people, 8 * DAY)).expect("a time");
    let entry =
        uuid::Uuid::from_u128(u128::try_from(now.timestamp_millis()).expect("after 1970") << 80 | 0x7 << 76);
    let person = id_of(&people.first);
    let _ = fleet.sql(&format!(
        "INSERT INTO score_transaction (id, county, cause, source_type, source_id, rule_code, rule_version, inputs, \
         area_code, at) SELECT '{entry}', county, cause, source_type, gen_random_uuid(), rule_code, rule_version, \
         inputs, area_code, at FROM score_transaction WHERE rule_code = 'D01' AND reverses IS NULL"
    ));
    let _ = fleet.sql(&format!(
        "INSERT INTO score_entry (id, transaction_id, county, kind, purse, owner_id, points) VALUES \
         (gen_random_uuid(), '{entry}', '140724', 'person', 'assessment', '{person}', -2), \
         (gen_random_uuid(), '{entry}', '140724', 'issuance', 'assessment', NULL, 2)"
    ));
    let appeal = json!({ "entryId": entry, "reason": "太晚了" });
    assert_eq!(people.first.post("/score/appeals", &appeal).problem(409), "appeal_too_late");
    let told = fleet.audit(&["verify"]);
    assert!(!told.success, "{told:?}");
    let line = told.printed.lines().find(|line| line.contains(&person)).unwrap_or_else(|| panic!("{told:?}"));
    assert!(line.contains(&entry.to_string()) && line.contains("never sealed"), "{line}");
}
