//! The second factor of staff, from the enrolment to the reset, over HTTP on both sizes.

use serde_json::{Value, json};
use xingfuma_app::totp::{code, step_of};
use xingfuma_tests::{
    client::{Account, Accounts, Answer, Client, LogIn},
    program::{Demo, Fleet},
};

#[test]
fn second_factor_alone() {
    let demo = Demo::start();
    let stored = || demo.sql("SELECT lower(hex(secret)) FROM totp");
    story(&[demo.base().to_owned()], demo.accounts(), &stored);
}

#[test]
fn second_factor_in_a_fleet() {
    let fleet = Fleet::start(2, 1);
    let stored = || fleet.sql("SELECT encode(secret, 'hex') FROM totp");
    story(&fleet.bases(), fleet.accounts(), &stored);
}

/// `XINGFUMA_STAFF__SECOND_FACTOR=staff`: whoever has a password has to have a second factor.
const COMPULSORY: (&str, &str) = ("XINGFUMA_STAFF__SECOND_FACTOR", "staff");

#[test]
fn compulsory_alone() {
    let demo = Demo::start_with(&[COMPULSORY]);
    compulsory(&[demo.base().to_owned()], demo.accounts());
}

#[test]
fn compulsory_in_a_fleet() {
    let fleet = Fleet::start_with(2, 1, &[COMPULSORY, ("XINGFUMA_LIMITS__FACTOR", "100000")]);
    compulsory(&fleet.bases(), fleet.accounts());
}

/// A session without a second factor sets one up, and can do nothing else; residents and volunteers are asked for none.
fn compulsory(bases: &[String], accounts: &Accounts) {
    let (here, there) = (&bases[0], &bases[bases.len() - 1]);
    for account in [accounts.one("resident"), accounts.one("volunteer"), accounts.one("grid_leader")] {
        Client::log_in(here, account).get("/me").expect(200);
    }
    let staff = Desk { base: here.clone(), account: accounts.village_dispatcher().clone() };
    let opened = staff.log_in(None).expect(200);
    assert_eq!(opened["secondFactorRequired"], true, "{opened}");
    let refreshed = json!({ "refreshToken": opened["refreshToken"] });
    let refreshed = Client::anonymous(there).post("/auth/refresh", &refreshed).expect(200);
    assert_eq!(refreshed["secondFactorRequired"], true, "a fresh token is no proof: {refreshed}");
    let client = staff.client().at(there);
    can_do_nothing(&client);

    let secret = enrol(&client, &|| "sealed".to_owned());
    can_do_nothing(&client);
    let now = step_of(seconds(&Client::log_in(here, accounts.one("resident"))));
    assert_eq!(confirm(&client, &code(&secret, now)).status, 204);
    client.get("/dispatch/board").expect(200);
    client.at(here).get("/me").expect(200);
    assert_eq!(staff.log_in(None).problem(401), "totp_required");
    let opened = staff.log_in(Some(&code(&secret, now + 1))).expect(200);
    assert_eq!(opened.get("secondFactorRequired"), None, "{opened}");
    let proved = client.with_token(opened["accessToken"].as_str().expect("a token"));
    proved.get("/dispatch/board").expect(200);
    let other = Desk { base: there.clone(), account: accounts.one("auditor").clone() };
    can_do_nothing(&other.client());

    helped(&staff, &client, accounts);
    let unproved = staff.client();
    assert_eq!(unproved.post("/auth/logout", &json!({})).status, 204, "one may always leave");
    assert_eq!(unproved.get("/me").problem(401), "unauthenticated");
}

/// Every operation of the specification that asks who one is refuses with its own code, but for those that set up a
/// second factor and the log-out.
fn can_do_nothing(client: &Client) {
    const OPEN: [&str; 3] = ["/api/v1/me/totp", "/api/v1/me/totp/confirm", "/api/v1/auth/logout"];
    let document = client.get("/openapi.json").expect(200);
    let mut refused = 0;
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            if operation["security"].is_array() && !OPEN.contains(&path.as_str()) {
                let filled: String =
                    path.split('/')
                        .map(|part| {
                            if part.starts_with('{') { "01900000-0000-7000-8000-000000000000" } else { part }
                        })
                        .collect::<Vec<_>>()
                        .join("/");
                let short = filled.strip_prefix("/api/v1").expect("a path of the contract");
                let answer = match method.as_str() {
                    "get" => client.get(short),
                    method => client.send(&method.to_uppercase(), short, &[], b"{}").expect("an answer"),
                };
                assert_eq!(answer.problem(403), "second_factor_required", "{method} {path}");
                refused += 1;
            }
        }
    }
    assert!(refused > 90, "{refused} operations were tried");
}

/// The administrator, who has a second factor himself, takes a lost one away: then there is none again.
fn helped(staff: &Desk, client: &Client, accounts: &Accounts) {
    let id = client.get("/me").expect(200)["id"].as_str().expect("an id").to_owned();
    let admin = Desk { base: staff.base.clone(), account: accounts.one("county_admin").clone() }.client();
    let path = format!("/staff/{id}/totp/reset");
    let reason = json!({ "reason": "手机丢失" });
    assert_eq!(admin.post(&path, &reason).problem(403), "second_factor_required");
    let secret = enrol(&admin, &|| "sealed".to_owned());
    let resident = Client::log_in(&staff.base, accounts.one("resident"));
    assert_eq!(confirm(&admin, &code(&secret, step_of(seconds(&resident)))).status, 204);
    assert_eq!(admin.post(&path, &reason).status, 204);
    assert_eq!(client.get("/me").problem(401), "unauthenticated", "sessions end with it");
    can_do_nothing(&staff.client());
    let log = admin.get(&format!("/audit?personId={id}")).expect(200);
    let actions: Vec<&Value> =
        log["items"].as_array().expect("items").iter().map(|item| &item["action"]).collect();
    assert!(actions.iter().any(|action| **action == "totp_reset"), "{log}");
}

fn story(bases: &[String], accounts: &Accounts, stored: &dyn Fn() -> String) {
    let here = &bases[0];
    let resident = Client::log_in(here, accounts.one("resident"));
    assert_eq!(resident.post("/me/totp", &json!({})).problem(403), "forbidden");

    let staff = Desk { base: here.clone(), account: accounts.village_dispatcher().clone() };
    let client = staff.client();
    assert_eq!(confirm(&client, "000000").problem(404), "not_found");
    let secret = enrol(&client, stored);
    staff.log_in(None).expect(200);
    assert_eq!(confirm(&client, "12345").problem(422), "invalid_fields");
    let now = step_of(seconds(&client));
    let right = json!({ "code": code(&secret, now) });
    assert_eq!(client.post_twice("/me/totp/confirm", &right).status, 204);
    assert_eq!(confirm(&client, &code(&secret, now)).problem(409), "totp_active");
    assert_eq!(client.post("/me/totp", &json!({})).problem(409), "totp_active");

    assert_eq!(staff.log_in(None).problem(401), "totp_required");
    assert_eq!(staff.log_in(Some(&code(&secret, now))).problem(401), "totp_wrong", "it was used");
    assert_eq!(staff.log_in(Some("12345x")).problem(401), "totp_wrong");
    let next = code(&secret, now + 1);
    assert_eq!(staff.log_in_with("wrong", Some(&next)).problem(401), "bad_credentials");
    let there = Desk { base: bases[bases.len() - 1].clone(), ..staff.clone() };
    there.log_in(Some(&next)).expect(200);
    assert_eq!(staff.log_in(Some(&next)).problem(401), "totp_wrong", "good once, at whatever server");

    reset(&staff, &client, accounts);
    locked_out(&Desk { base: here.clone(), account: accounts.one("auditor").clone() }, stored);
}

#[derive(Clone)]
struct Desk {
    base: String,
    account: Account,
}

impl Desk {
    fn client(&self) -> Client {
        Client::log_in(&self.base, &self.account)
    }

    fn log_in(&self, totp: Option<&str>) -> Answer {
        let LogIn::Password { password, .. } = &self.account.log_in else { panic!("staff has a password") };
        self.log_in_with(password, totp)
    }

    fn log_in_with(&self, password: &str, totp: Option<&str>) -> Answer {
        let LogIn::Password { username, .. } = &self.account.log_in else { panic!("staff has a password") };
        let mut body = json!({ "username": username, "password": password });
        if let Some(totp) = totp {
            body["totp"] = json!(totp);
        }
        Client::anonymous(&self.base).post_with("/auth/password", &[], &body)
    }
}

fn confirm(client: &Client, code: &str) -> Answer {
    client.post("/me/totp/confirm", &json!({ "code": code }))
}

/// The server's clock.
fn seconds(client: &Client) -> i64 {
    let answer = client.get("/me");
    let date = answer.header("date").expect("every answer has a date");
    chrono::DateTime::parse_from_rfc2822(date).expect("a date").timestamp()
}

fn enrol(client: &Client, stored: &dyn Fn() -> String) -> Vec<u8> {
    let made: Value = client.post("/me/totp", &json!({})).expect(200);
    let text = made["secret"].as_str().expect("a secret");
    assert!(made["uri"].as_str().is_some_and(|uri| uri.starts_with("otpauth://totp/") && uri.contains(text)));
    let secret = from_base32(text);
    assert_eq!(secret.len(), 20);
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let stored = stored();
    assert!(!stored.is_empty() && !stored.contains(&hex), "the secret is sealed");
    secret
}

fn from_base32(text: &str) -> Vec<u8> {
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => letter - b'A',
        _ => letter - b'2' + 26,
    };
    let bits: Vec<u8> =
        text.bytes().flat_map(|letter| (0..5).rev().map(move |bit| value(letter) >> bit & 1)).collect();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | bit)).collect()
}

/// The county's administrator helps somebody who lost his phone, and nobody else does.
fn reset(staff: &Desk, client: &Client, accounts: &Accounts) {
    let admin = Client::log_in(&staff.base, accounts.one("county_admin"));
    let id = |client: &Client| client.get("/me").expect(200)["id"].as_str().expect("an id").to_owned();
    let path = format!("/staff/{}/totp/reset", id(client));
    let reason = json!({ "reason": "手机丢失" });
    assert_eq!(client.post(&path, &reason).problem(403), "forbidden");
    assert_eq!(admin.post(&path, &json!({ "reason": " " })).problem(422), "invalid_fields");
    assert_eq!(
        admin.post(&format!("/staff/{}/totp/reset", id(&admin)), &reason).problem(403),
        "own_decision"
    );
    let resident = Client::log_in(&staff.base, accounts.one("resident"));
    assert_eq!(
        admin.post(&format!("/staff/{}/totp/reset", id(&resident)), &reason).problem(404),
        "not_found"
    );
    assert_eq!(admin.post_twice(&path, &reason).status, 204);
    assert_eq!(client.get("/me").problem(401), "unauthenticated", "sessions end with it");
    staff.log_in(None).expect(200);
    let again = staff.client();
    assert_eq!(admin.post(&path, &reason).problem(404), "not_found");
    again.get("/me").expect(200);
    let log = admin.get(&format!("/audit?personId={}", id(&staff.client()))).expect(200);
    assert!(
        log["items"].as_array().expect("items").iter().any(|item| item["action"] == "totp_reset"),
        "{log}"
    );
}

/// Wrong codes lock the account as wrong passwords do, and asking without a code does not forgive them.
fn locked_out(staff: &Desk, stored: &dyn Fn() -> String) {
    let client = staff.client();
    let secret = enrol(&client, stored);
    let now = step_of(seconds(&client));
    assert_eq!(confirm(&client, &code(&secret, now)).status, 204);
    for _ in 0..5 {
        assert_eq!(staff.log_in(None).problem(401), "totp_required");
        assert_eq!(staff.log_in(Some("000000")).problem(401), "totp_wrong");
    }
    let right = code(&secret, step_of(seconds(&client)) + 1);
    assert_eq!(staff.log_in(Some(&right)).problem(401), "bad_credentials", "locked");
    assert_eq!(staff.log_in(None).problem(401), "bad_credentials", "and it tells nothing of the password");
}
