//! Signs that look wrong, are revoked and replaced; badges that are lost and issued anew; over HTTP on both sizes.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use xingfuma_tests::{
    client::{Accounts, Answer, Client},
    program::{Demo, Fleet},
};

/// Every server knows of a change to the directory within this time.
const KNOWN_WITHIN: Duration = Duration::from_secs(10);
/// Reports from one address in an hour, as this demo is told. It has other limits than the usual ones, so none is
/// widened.
const REPORTS: usize = 3;

#[test]
fn plates_alone() {
    let demo = Demo::start_with(&[("XINGFUMA_LIMITS__SIGN_REPORTS_PER_ADDRESS", "{most=3, minutes=60}")]);
    let reported = story(&[demo.base().to_owned()], demo.accounts());
    let anonymous = Client::anonymous(demo.base());
    for number in reported..REPORTS {
        assert_eq!(report(&anonymous, demo.accounts(), "other").status, 204, "{number}");
    }
    let refused = report(&anonymous, demo.accounts(), "other");
    assert_eq!(refused.problem(429), "too_many_requests");
    assert!(refused.header("retry-after").is_some());
}

#[test]
fn plates_in_a_fleet() {
    let fleet = Fleet::start(2, 1);
    story(&fleet.bases(), fleet.accounts());
}

/// A sign of another grid than the one that is replaced.
fn report(who: &Client, accounts: &Accounts, kind: &str) -> Answer {
    who.post(&format!("/signs/{}/report", accounts.sign()), &json!({ "kind": kind }))
}

/// Answers how many reports it made.
fn story(bases: &[String], accounts: &Accounts) -> usize {
    let (here, there) = (&bases[0], &bases[bases.len() - 1]);
    let made = reports(here, accounts);
    badges(here, there, accounts);
    signs(here, there, accounts);
    made
}

fn text(of: &Value, field: &str) -> String {
    of[field].as_str().unwrap_or_else(|| panic!("no {field}: {of}")).to_owned()
}

fn reports(here: &str, accounts: &Accounts) -> usize {
    let anonymous = Client::anonymous(here);
    let sign = accounts.sign();
    let path = format!("/signs/{}/report", sign.to_lowercase());
    let body = json!({ "kind": "foreign_code", "note": "上面贴了别的码，联系15419999876" });
    assert_eq!(anonymous.post_twice(&path, &body).status, 204, "a report that is sent again counts once");
    assert_eq!(report(&anonymous, accounts, "nonsense").problem(422), "invalid_fields");
    assert_eq!(anonymous.post("/signs/00000000/report", &body).problem(404), "not_found");

    let village = Client::log_in(here, accounts.village_dispatcher());
    let foreign = Client::log_in(here, accounts.foreign_dispatcher());
    let auditor = Client::log_in(here, accounts.one("auditor"));
    let open = village.get("/sign-reports").expect(200);
    let first = &open["items"][0];
    assert_eq!((text(first, "code"), text(first, "kind")), (sign.to_owned(), "foreign_code".to_owned()));
    assert_eq!(first["note"], "上面贴了别的码，联系[电话]");
    assert_eq!(foreign.get("/sign-reports").expect(200)["items"], json!([]));
    Client::log_in(here, accounts.one("resident")).get("/sign-reports").problem(403);

    let close = format!("/sign-reports/{}/close", text(first, "id"));
    let fine = json!({ "outcome": "in_order" });
    assert_eq!(foreign.post(&close, &fine).problem(404), "not_found");
    assert_eq!(auditor.post(&close, &fine).problem(403), "forbidden");
    assert_eq!(village.post(&close, &json!({ "outcome": "perhaps" })).problem(422), "invalid_fields");
    assert_eq!(village.post_twice(&close, &fine).status, 204);
    assert_eq!(village.post(&close, &fine).problem(404), "not_found");
    assert_eq!(village.get("/sign-reports").expect(200)["items"], json!([]));
    1
}

fn badges(here: &str, there: &str, accounts: &Accounts) {
    let volunteer = Client::log_in(here, accounts.all("volunteer")[0]);
    let (village, foreign) = (
        Client::log_in(here, accounts.village_dispatcher()),
        Client::log_in(here, accounts.foreign_dispatcher()),
    );
    let me = volunteer.get("/me").expect(200);
    let (id, old) = (text(&me, "id"), text(&me, "badge"));
    let revoke = |who: &Client, status: &str| {
        who.post(&format!("/badges/{old}/revoke"), &json!({ "status": status, "reason": "挂失" }))
    };
    let issue = |who: &Client| who.post(&format!("/volunteers/{id}/badge"), &json!({}));
    assert_eq!(foreign.get("/badges/nonsense").problem(404), "not_found");
    assert_eq!(revoke(&foreign, "lost").problem(404), "not_found");
    assert_eq!(revoke(&volunteer, "void").problem(403), "forbidden");
    assert_eq!(issue(&village).problem(409), "badge_active");
    let lost = json!({ "status": "lost", "reason": "挂失" });
    let revoked = volunteer.post_twice(&format!("/badges/{old}/revoke"), &lost);
    assert_eq!(revoked.status, 204, "he lost it himself");
    assert_eq!(revoke(&village, "lost").problem(410), "gone");

    for base in [here, there] {
        let seen = Client::anonymous(base).get(&format!("/badges/{old}")).expect(200);
        assert_eq!((&seen["valid"], &seen["status"]), (&json!(false), &json!("lost")), "{seen}");
        let page = Client::anonymous(base).get_outside(&format!("/b/{old}")).expect("a page").text();
        assert!(page.contains("此证已挂失"), "{page}");
    }
    assert_eq!(issue(&foreign).problem(404), "not_found");
    assert_eq!(issue(&volunteer).problem(404), "not_found");
    let new = village.post_keyed_only(&format!("/volunteers/{id}/badge"));
    let new = text(&new.expect(201), "number");
    assert_eq!((&new[..3], new.len()), (&old[..3], old.len()), "the plate of the township");
    assert!(new[3..8] > old[3..8], "{new} after {old}");
    assert_eq!(volunteer.get("/me").expect(200)["badge"], new.as_str());
    let seen = Client::anonymous(there).get(&format!("/badges/{new}")).expect(200);
    assert_eq!(seen["valid"], true, "{seen}");
    assert_eq!(issue(&village).problem(409), "badge_active");
}

fn signs(here: &str, there: &str, accounts: &Accounts) {
    let old = accounts.sign();
    let reason = json!({ "reason": "被人贴了别的码" });
    let (village, foreign, resident) = (
        Client::log_in(here, accounts.village_dispatcher()),
        Client::log_in(here, accounts.foreign_dispatcher()),
        Client::log_in(here, accounts.one("resident")),
    );
    for verb in ["revoke", "replace"] {
        let path = format!("/signs/{old}/{verb}");
        assert_eq!(foreign.post(&path, &reason).problem(403), "forbidden");
        assert_eq!(resident.post(&path, &reason).problem(403), "forbidden");
        assert_eq!(village.post(&path, &json!({ "reason": "" })).problem(422), "invalid_fields");
    }
    let new = village.post_twice(&format!("/signs/{old}/replace"), &reason).expect(201);
    assert_eq!(text(&new, "areaCode"), accounts.grid());
    let new = text(&new, "code");
    for base in [here, there] {
        let anonymous = Client::anonymous(base);
        let begun = Instant::now();
        while anonymous.get(&format!("/signs/{old}")).status != 410 {
            assert!(begun.elapsed() < KNOWN_WITHIN, "{base} does not know of it");
            sleep(Duration::from_millis(20));
        }
        assert_eq!(anonymous.get(&format!("/signs/{new}")).expect(200)["grid"]["code"], accounts.grid());
        let page = anonymous.get_outside(&format!("/q/{old}")).expect("a page");
        assert!(page.status == 410 && page.text().contains("已停用"), "{}", page.text());
    }
    let order = |sign: &str| json!({ "signCode": sign, "categoryCode": "errand", "description": "代取快递" });
    let refused = resident.post("/orders", &order(old));
    assert_eq!(refused.problem(422), "invalid_fields");
    assert_eq!(refused.json()["errors"][0]["code"], "sign_revoked");
    resident.post("/orders", &order(&new)).expect(201);
    assert_eq!(village.post(&format!("/signs/{old}/revoke"), &reason).problem(410), "sign_revoked");
    assert_eq!(village.post_twice(&format!("/signs/{new}/revoke"), &reason).status, 204);
    assert_eq!(Client::anonymous(here).get(&format!("/signs/{new}")).problem(410), "sign_revoked");
}
