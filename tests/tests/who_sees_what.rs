//! domain.md's "Who sees what of an order", field by field, over HTTP on both sizes: the timeline, the description, contact
//! and address, the decision, and whether the contact is revealed for a reason, at every stage at which it changes.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use xingfuma_tests::{
    client::{Accounts, Client},
    program::{Demo, Fleet},
};

const PHONE: &str = "15419999876";
const NAME: &str = "欧阳秀英";
const ADDRESS: &str = "东大街槐树巷12号院3单元402室";
const DESCRIPTION: &str = "请到8号楼，打15419999876";
const MASKED: &str = "请到**号楼，打[电话]";
const DISPATCHED_WITHIN: Duration = Duration::from_secs(20);

/// A line of the table: who, and in the order of its columns the description, the contact, the decision, and what asking
/// for the contact with a reason comes to. Nothing is 404 everywhere.
struct Sight {
    who: &'static str,
    description: &'static str,
    contact: Contact,
    decision: u16,
    reveal: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contact {
    Whole,
    Masked,
    No,
}

const fn sees(
    who: &'static str,
    description: &'static str,
    contact: Contact,
    decision: u16,
    reveal: u16,
) -> Sight {
    Sight { who, description, contact, decision, reveal }
}

/// While it is offered.
const OFFERED: [Sight; 7] = [
    sees("requester", DESCRIPTION, Contact::Whole, 403, 403),
    sees("offered", MASKED, Contact::No, 403, 403),
    sees("leader", MASKED, Contact::No, 200, 403),
    sees("village", MASKED, Contact::No, 200, 200),
    sees("township", MASKED, Contact::No, 200, 200),
    sees("admin", MASKED, Contact::No, 200, 200),
    sees("auditor", MASKED, Contact::No, 200, 403),
];
/// While somebody is at work: the others of the team keep their masked view.
const ACCEPTED: [Sight; 9] = [
    sees("requester", DESCRIPTION, Contact::Whole, 403, 403),
    sees("worker", DESCRIPTION, Contact::Whole, 403, 403),
    sees("offered", MASKED, Contact::No, 403, 403),
    sees("leader", MASKED, Contact::No, 200, 403),
    sees("village", MASKED, Contact::No, 200, 200),
    sees("township", MASKED, Contact::No, 200, 200),
    sees("department", MASKED, Contact::No, 403, 200),
    sees("admin", MASKED, Contact::No, 200, 200),
    sees("auditor", MASKED, Contact::No, 200, 403),
];
/// After it was called off: whoever was at work is released, and keeps the view of those who were asked.
const ENDED: [Sight; 4] = [
    sees("requester", DESCRIPTION, Contact::Whole, 403, 403),
    sees("worker", MASKED, Contact::No, 403, 403),
    sees("village", MASKED, Contact::No, 200, 200),
    sees("auditor", MASKED, Contact::No, 200, 403),
];
/// What an operator entered for a caller.
const ENTERED: [Sight; 2] = [
    sees("operator", DESCRIPTION, Contact::Masked, 403, 403),
    sees("village", MASKED, Contact::No, 200, 200),
];
/// For everybody else it is not there.
const NOTHING: [&str; 4] = ["nobody", "resident", "foreign", "stranger"];

#[test]
fn who_sees_what_alone() {
    let demo = Demo::start();
    People::log_in(&[demo.base().to_owned()], demo.accounts()).story();
}

#[test]
fn who_sees_what_in_a_fleet() {
    let fleet = Fleet::start(2, 1);
    People::log_in(&fleet.bases(), fleet.accounts()).story();
}

struct People {
    all: Vec<(&'static str, Client)>,
    sign: String,
}

fn text(of: &Value, field: &str) -> String {
    of[field].as_str().unwrap_or_else(|| panic!("no {field}: {of}")).to_owned()
}

impl People {
    fn log_in(bases: &[String], accounts: &Accounts) -> People {
        let there = &bases[bases.len() - 1];
        let at = |account| Client::log_in(&bases[0], account).at(there);
        let (residents, volunteers) = (accounts.all("resident"), accounts.all("volunteer"));
        let all = vec![
            ("nobody", Client::anonymous(there)),
            ("requester", at(residents[0])),
            ("resident", at(residents[1])),
            ("worker", at(volunteers[0])),
            ("offered", at(volunteers[1])),
            ("leader", at(accounts.one("grid_leader"))),
            ("village", at(accounts.village_dispatcher())),
            ("township", at(accounts.township_dispatcher())),
            ("foreign", at(accounts.foreign_dispatcher())),
            ("stranger", at(accounts.one("operator"))),
            ("operator", at(accounts.one("operator"))),
            ("department", at(accounts.one("department"))),
            ("admin", at(accounts.one("county_admin"))),
            ("auditor", at(accounts.one("auditor"))),
        ];
        People { all, sign: accounts.sign().to_owned() }
    }

    fn one(&self, who: &str) -> &Client {
        &self.all.iter().find(|(name, _)| *name == who).unwrap_or_else(|| panic!("nobody is {who}")).1
    }

    #[track_caller]
    fn post(&self, who: &str, path: &str, body: &Value) -> Value {
        let answer = self.one(who).post(path, body);
        assert!((200..300).contains(&answer.status), "{who} {path}: {}", answer.text());
        answer.json()
    }

    fn place(&self, who: &str, contact: &str) -> String {
        let order = json!({
            "signCode": self.sign, "categoryCode": "errand", "description": DESCRIPTION,
            contact: { "name": NAME, "phone": PHONE }, "address": ADDRESS,
        });
        let order = text(&self.post(who, "/orders", &order), "id");
        let begun = Instant::now();
        while self.one("village").get(&format!("/orders/{order}")).expect(200)["status"] != "dispatched" {
            assert!(begun.elapsed() < DISPATCHED_WITHIN, "not dispatched");
            sleep(Duration::from_millis(10));
        }
        order
    }

    fn story(&self) {
        let order = self.place("requester", "contact");
        self.meets(&order, "offered", &OFFERED);
        self.is_not_there(&order);
        self.post("worker", &format!("/orders/{order}/accept"), &json!({}));
        let department = text(&self.one("department").get("/me").expect(200)["roles"][0], "teamId");
        let call = json!({ "departmentIds": [department], "demand": "请到场" });
        assert_eq!(
            self.one("department").get(&format!("/orders/{order}")).status,
            404,
            "it was not called yet"
        );
        self.post("village", &format!("/orders/{order}/whistle"), &call);
        self.meets(&order, "accepted", &ACCEPTED);
        let cancelled = json!({ "reason": "不需要了" });
        self.post("requester", &format!("/orders/{order}/cancel"), &cancelled);
        self.meets(&order, "ended", &ENDED);
        self.is_not_there(&order);

        let entered = self.place("operator", "onBehalfOf");
        self.meets(&entered, "entered for a caller", &ENTERED);
    }

    fn meets(&self, order: &str, stage: &str, table: &[Sight]) {
        for sight in table {
            let (client, place) = (self.one(sight.who), format!("{}, {stage}", sight.who));
            let seen = client.get(&format!("/orders/{order}")).expect(200);
            assert!(!seen["timeline"].as_array().expect("a timeline").is_empty(), "{place}: {seen}");
            assert_eq!(client.get(&format!("/orders/{order}/events")).status, 200, "{place}");
            assert_eq!(seen["description"], sight.description, "{place}");
            assert_eq!(contact_of(&seen), sight.contact, "{place}: {seen}");
            let decision = client.get(&format!("/orders/{order}/decision")).status;
            assert_eq!(decision, sight.decision, "{place}: the decision");
            let revealed =
                client.post(&format!("/orders/{order}/contact"), &json!({ "reason": "核对联系方式" }));
            assert_eq!(
                revealed.status,
                sight.reveal,
                "{place}: the contact for a reason: {}",
                revealed.text()
            );
            if revealed.status == 200 {
                assert_eq!(revealed.json()["phone"], PHONE, "{place}");
            }
            list_shows_no_more(client, order, &place);
        }
    }

    fn is_not_there(&self, order: &str) {
        for who in NOTHING {
            let expected = if who == "nobody" { 401 } else { 404 };
            for path in ["", "/events", "/decision"] {
                let answer = self.one(who).get(&format!("/orders/{order}{path}"));
                assert_eq!(answer.status, expected, "{who} {path}: {}", answer.text());
            }
            let asked = self.one(who).post(&format!("/orders/{order}/contact"), &json!({ "reason": "好奇" }));
            assert_eq!(asked.status, expected, "{who}: {}", asked.text());
        }
    }
}

fn contact_of(seen: &Value) -> Contact {
    let told = seen.to_string();
    match seen.get("contact") {
        None => {
            assert!(
                seen.get("address").is_none() && !told.contains(NAME) && !told.contains("槐树巷"),
                "{told}"
            );
            Contact::No
        }
        Some(contact) if contact["phone"] == PHONE => {
            assert_eq!((&contact["name"], &seen["address"]), (&json!(NAME), &json!(ADDRESS)));
            Contact::Whole
        }
        Some(contact) => {
            assert_eq!(contact["phone"], "154****9876", "{told}");
            assert!(seen.get("address").is_none() && !told.contains(NAME), "{told}");
            Contact::Masked
        }
    }
}

/// In lists everything is masked, whoever reads.
fn list_shows_no_more(client: &Client, order: &str, place: &str) {
    let listed = client.get("/orders?limit=100").expect(200);
    let items = listed["items"].as_array().expect("items");
    if let Some(item) = items.iter().find(|item| item["id"] == order) {
        let told = item.to_string();
        assert!(!told.contains(PHONE) && !told.contains(NAME) && !told.contains("槐树巷"), "{place}: {told}");
    }
}
