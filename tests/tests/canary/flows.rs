//! Every flow, with canaries wherever a client can put a word.

use std::{
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use xingfuma_tests::client::{Account, Accounts, Answer, Client, IDEMPOTENCY_KEY, fresh_key};

use super::{
    beside::{Listener, Shop},
    birds::Bird,
    search::Place,
};

const DISPATCHED_WITHIN: Duration = Duration::from_secs(30);

/// What was said to people who may not see personal data, and in errors.
#[derive(Default)]
pub(crate) struct Heard(Vec<Place>);

impl Heard {
    pub(crate) fn note(&mut self, by: &str, answer: &Answer) {
        let mut bytes = format!("{} {:?}\n", answer.status, answer.headers).into_bytes();
        bytes.extend(&answer.bytes);
        self.0.push(Place { name: format!("answer to {by}"), bytes });
    }

    pub(crate) fn add(&mut self, place: Place) {
        self.0.push(place);
    }

    pub(crate) fn places(self) -> Vec<Place> {
        self.0
    }
}

pub(crate) struct People {
    pub(crate) anonymous: Client,
    pub(crate) resident: Client,
    pub(crate) first: Client,
    pub(crate) second: Client,
    pub(crate) second_id: String,
    pub(crate) village: Client,
    pub(crate) township: Client,
    pub(crate) operator: Client,
    pub(crate) admin: Client,
    pub(crate) auditor: Client,
    pub(crate) department: Client,
    pub(crate) department_id: String,
    pub(crate) sign: String,
    village_code: String,
    team: String,
}

impl People {
    fn log_in(bases: &[String], accounts: &Accounts) -> Self {
        let at = |number: usize, account: &Account| {
            Client::log_in(&bases[0], account).at(&bases[number % bases.len()])
        };
        let volunteers = accounts.all("volunteer");
        let second = at(0, volunteers[1]);
        let me = second.get("/me").expect(200);
        let department = at(0, accounts.one("department"));
        let of_department = department.get("/me").expect(200);
        Self {
            anonymous: Client::anonymous(&bases[0]),
            resident: at(0, accounts.one("resident")),
            first: at(1, volunteers[0]),
            second,
            second_id: text(&me, "id"),
            team: text(&me["roles"][0], "teamId"),
            village: at(1, accounts.village_dispatcher()),
            township: at(0, accounts.township_dispatcher()),
            operator: at(1, accounts.one("operator")),
            admin: at(0, accounts.one("county_admin")),
            auditor: at(1, accounts.one("auditor")),
            department,
            department_id: text(&of_department["roles"][0], "teamId"),
            sign: accounts.sign().to_owned(),
            village_code: accounts.grid()[..12].to_owned(),
        }
    }

    /// By the server's clock: tests have none.
    pub(crate) fn an_hour_ago(&self) -> String {
        let answer = self.first.get("/me");
        let date = answer.header("date").expect("every answer has a date");
        let now = chrono::DateTime::parse_from_rfc2822(date).expect("a date");
        (now - chrono::TimeDelta::hours(1)).to_rfc3339()
    }
}

pub(crate) fn text(of: &Value, field: &str) -> String {
    of[field].as_str().unwrap_or_else(|| panic!("no {field}: {of}")).to_owned()
}

/// Sends every canary through one of the flows.
pub(crate) fn fly(bases: &[String], accounts: &Accounts, birds: &[Arc<Bird>]) -> Heard {
    let people = People::log_in(bases, accounts);
    let mut heard = Heard::default();
    let shop = Shop::open(&people, &accounts.grid()[..9]);
    let listener = Listener::begin(&people);
    for bird in birds {
        let mut flight = Flight { people: &people, bird, heard: &mut heard, turn: 0 };
        match bird.number % 8 {
            0 => flight.whole_way(),
            1 => flight.by_phone(),
            2 => flight.called_off(),
            3 => flight.claimed(),
            4 => flight.report(),
            5 => flight.unsatisfied(),
            6 => flight.gives(&shop),
            _ => flight.refused(),
        }
    }
    heard.add(listener.heard());
    let copy = people.resident.post("/me/export", &json!({})).expect(200).to_string();
    assert!(
        copy.contains(&birds[0].phone) && copy.contains(&birds[0].name),
        "one's own copy is whole: {copy}"
    );
    let mut last = Flight { people: &people, bird: &birds[0], heard: &mut heard, turn: 0 };
    for path in ["/showcase", "/showcase/pending", "/dispatch/board", "/me/inbox", "/orders", "/score/claims"]
    {
        last.outsiders(path);
    }
    heard
}

pub(crate) struct Flight<'a> {
    pub(crate) people: &'a People,
    pub(crate) bird: &'a Bird,
    pub(crate) heard: &'a mut Heard,
    turn: usize,
}

impl Flight<'_> {
    /// The next text with canaries in it.
    pub(crate) fn words(&mut self) -> String {
        self.turn += 1;
        self.bird.words(self.turn)
    }

    #[track_caller]
    pub(crate) fn post(&self, who: &Client, path: &str, body: &Value) -> Value {
        let answer = who.post(path, body);
        assert!((200..300).contains(&answer.status), "{path}: {} {}", answer.status, answer.text());
        answer.json()
    }

    /// What those see of it who may see neither contact nor a whole text.
    pub(crate) fn outsiders(&mut self, path: &str) {
        let people = self.people;
        let all: [(&str, &Client); 6] = [
            ("nobody", &people.anonymous),
            ("village", &people.village),
            ("township", &people.township),
            ("admin", &people.admin),
            ("auditor", &people.auditor),
            ("first volunteer", &people.first),
        ];
        for (who, client) in all {
            self.heard.note(&format!("{who}: {path}"), &client.get(path));
        }
    }

    pub(crate) fn look_around(&mut self, order: &str) {
        for path in ["", "/events", "/decision"] {
            self.outsiders(&format!("/orders/{order}{path}"));
        }
        self.outsiders("/orders?limit=5");
        self.outsiders("/dispatch/board");
    }

    pub(crate) fn order(&mut self) -> Value {
        json!({
            "signCode": self.people.sign,
            "categoryCode": "errand",
            "description": self.words(),
            "contact": { "name": self.bird.name, "phone": self.bird.phone },
            "address": self.bird.address,
        })
    }

    pub(crate) fn wait_until_dispatched(&self, who: &Client, order: &str) {
        let begun = Instant::now();
        while who.get(&format!("/orders/{order}")).expect(200)["status"] != "dispatched" {
            assert!(begun.elapsed() < DISPATCHED_WITHIN, "not dispatched");
            sleep(Duration::from_millis(10));
        }
    }

    /// 点派接评晒 with a declined offer, a question and a hand-over between.
    fn whole_way(&mut self) {
        let people = self.people;
        let body = self.order();
        let placed = self.post(&people.resident, "/orders", &body);
        assert_eq!(placed["contact"]["phone"], self.bird.phone.as_str(), "{placed}");
        assert_eq!(placed["description"], body["description"], "one's own words are whole");
        let order = text(&placed, "id");
        self.wait_until_dispatched(&people.resident, &order);
        let path = |verb: &str| format!("/orders/{order}/{verb}");
        let words = self.words();
        self.post(&people.second, &path("decline"), &json!({ "reason": words }));
        self.look_around(&order);
        let accepted = self.post(&people.first, &path("accept"), &json!({}));
        assert_eq!(accepted["contact"]["phone"], self.bird.phone.as_str(), "{accepted}");
        let words = self.words();
        self.post(&people.first, &path("wait"), &json!({ "question": words }));
        let words = self.words();
        self.post(&people.resident, &path("answer"), &json!({ "answer": words }));
        let handed = json!({ "volunteerId": people.second_id, "reason": self.words() });
        self.post(&people.first, &path("hand-over"), &handed);
        self.post(&people.second, &path("accept"), &json!({}));
        self.post(&people.second, &path("arrive"), &json!({ "signCode": people.sign }));
        let done = json!({ "summary": self.words(), "minutes": 20 });
        self.post(&people.second, &path("complete"), &done);
        let tags = [self.bird.phone.clone(), self.bird.name.clone()];
        let rated = json!({ "stars": 5, "solved": true, "tags": tags, "comment": self.words() });
        self.post(&people.resident, &path("rate"), &rated);
        self.look_around(&order);
        self.show(&order);
    }

    fn show(&mut self, order: &str) {
        let people = self.people;
        let shown = json!({ "text": self.words(), "consent": true });
        let post = text(&self.post(&people.resident, &format!("/orders/{order}/show"), &shown), "id");
        self.outsiders("/showcase/pending");
        self.post(&people.second, &format!("/showcase/{post}/consent"), &json!({}));
        if (self.bird.number / 8).is_multiple_of(2) {
            self.post(&people.village, &format!("/showcase/{post}/approve"), &json!({}));
            self.post(&people.village, &format!("/showcase/{post}/feature"), &json!({}));
            self.outsiders("/showcase");
            if (self.bird.number / 8).is_multiple_of(4) {
                self.post(&people.resident, &format!("/showcase/{post}/withdraw"), &json!({}));
            }
        } else {
            let words = self.words();
            self.post(&people.village, &format!("/showcase/{post}/reject"), &json!({ "reason": words }));
        }
    }

    /// 代点: an operator enters it for a caller; the station looks at the contact and dispatches by hand.
    fn by_phone(&mut self) {
        let people = self.people;
        let mut body = self.order();
        let contact = body.as_object_mut().and_then(|body| body.remove("contact")).expect("a contact");
        body["onBehalfOf"] = contact;
        let order = text(&self.post(&people.operator, "/orders", &body), "id");
        self.wait_until_dispatched(&people.operator, &order);
        let path = |verb: &str| format!("/orders/{order}/{verb}");
        let words = self.words();
        let contact = self.post(&people.village, &path("contact"), &json!({ "reason": words }));
        assert_eq!(contact["phone"], self.bird.phone.as_str(), "{contact}");
        let words = self.words();
        self.post(&people.village, &path("escalate"), &json!({ "reason": words }));
        let named = json!({ "teamId": people.team, "reason": self.words() });
        self.post(&people.village, &path("dispatch"), &named);
        self.post(&people.second, &path("accept"), &json!({}));
        let words = self.words();
        self.post(&people.second, &path("decline"), &json!({ "reason": words }));
        self.wait_until_dispatched(&people.operator, &order);
        self.post(&people.second, &path("accept"), &json!({}));
        let done = json!({ "summary": self.words(), "minutes": 20 });
        self.post(&people.second, &path("complete"), &done);
        let rated = json!({ "stars": 1, "solved": false, "comment": self.words() });
        self.post(&people.operator, &path("rate"), &rated);
        let words = self.words();
        self.post(&people.operator, &path("reopen"), &json!({ "reason": words }));
        self.look_around(&order);
        self.heard.note("operator's list", &people.operator.get("/orders?limit=5"));
    }

    fn called_off(&mut self) {
        let people = self.people;
        let body = self.order();
        let key = self.bird.phone.clone();
        let placed = people.resident.post_with("/orders", &[(IDEMPOTENCY_KEY, &key)], &body).expect(201);
        people.resident.post_with("/orders", &[(IDEMPOTENCY_KEY, &key)], &body).expect(201);
        let order = text(&placed, "id");
        self.wait_until_dispatched(&people.resident, &order);
        let words = self.words();
        self.post(&people.village, &format!("/orders/{order}/escalate"), &json!({ "reason": words }));
        let words = self.words();
        self.post(&people.resident, &format!("/orders/{order}/cancel"), &json!({ "reason": words }));
        self.look_around(&order);
    }

    /// Claims and appeals: here nothing knows names, but numbers are recognised.
    fn claimed(&mut self) {
        let people = self.people;
        let phones = self.bird.typed_phones();
        let date = people.first.get("/me").header("date").map(chrono::DateTime::parse_from_rfc2822);
        let now = date.expect("every answer has a date").expect("a date");
        let claim = json!({
            "ruleCode": "701",
            "happenedAt": (now - chrono::TimeDelta::hours(1)).to_rfc3339(),
            "evidence": format!("走访{}", phones[0]),
        });
        let claim = text(&self.post(&people.second, "/score/claims", &claim), "id");
        self.outsiders(&format!("/score/claims/{claim}"));
        let decided = json!({ "grant": true, "reason": format!("已核{}", phones[1]) });
        let granted = self.post(&people.village, &format!("/score/claims/{claim}/decide"), &decided);
        let entry = text(&granted, "entryId");
        let reversed = json!({ "reason": format!("有误{}", phones[4]) });
        self.post(&people.admin, &format!("/score/entries/{entry}/reverse"), &reversed);
        self.outsiders(&format!("/score/entries/{entry}/why"));
        self.outsiders("/score/claims");
        self.trained();
        self.called_off();
    }

    /// A training that the second volunteer attended, taken back again: nothing knows names here either.
    fn trained(&mut self) {
        let people = self.people;
        let phones = self.bird.typed_phones();
        let training = json!({
            "areaCode": people.village_code, "title": format!("急救培训{}", phones[2]),
            "organizer": format!("请问{}", phones[5]), "heldOn": &people.an_hour_ago()[..10], "minutes": 60,
            "personIds": [people.second_id],
        });
        let training = text(&self.post(&people.village, "/trainings", &training), "id");
        self.outsiders(&format!("/trainings/{training}"));
        let voided = json!({ "reason": format!("记错了，打{}", phones[3]) });
        self.post(&people.village, &format!("/trainings/{training}/void"), &voided);
        self.outsiders("/trainings");
        self.heard.note("who attended", &people.second.get("/me/trainings"));
    }

    /// Nothing of what is refused is repeated, nor kept, nor logged.
    fn refused(&mut self) {
        let people = self.people;
        let bird = self.bird;
        let (phone, name, address) = (bird.phone.as_str(), bird.name.as_str(), bird.address.as_str());
        let percent: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let mut bodies: Vec<(&str, String)> = vec![
            ("/auth/wechat", json!({ "code": phone }).to_string()),
            ("/auth/wechat", json!({ "coode": name }).to_string()),
            ("/auth/wechat/phone", json!({ "code": phone }).to_string()),
            ("/auth/password", json!({ "username": phone, "password": name }).to_string()),
            ("/auth/password", json!({ "username": name, "password": phone }).to_string()),
            ("/auth/refresh", json!({ "refreshToken": phone }).to_string()),
            ("/orders", format!("{{\"description\": \"{address}{phone}")),
            ("/orders", format!("[\"{phone}\"]")),
            ("/orders", phone.to_owned()),
            ("/score/claims", json!({ "ruleCode": phone, "evidence": name }).to_string()),
            ("/me/wards", json!({ "code": phone }).to_string()),
            ("/me/consents", json!({ "kind": name, "version": 1 }).to_string()),
            ("/me/totp/confirm", json!({ "code": phone }).to_string()),
            ("/shop/redemptions/hand-over", json!({ "code": phone }).to_string()),
        ];
        for (field, value) in [
            ("categoryCode", json!(phone)),
            ("signCode", json!(phone)),
            ("areaCode", json!(phone)),
            ("urgency", json!(name)),
            ("channel", json!(phone)),
            ("wishedFrom", json!(phone)),
            ("mediaIds", json!([phone])),
            ("description", json!(address.repeat(80))),
            ("description", json!({ phone: name })),
            ("address", json!(format!("{address}\u{0}"))),
            ("contact", json!({ "name": name, "phone": address })),
            ("contact", json!({ "name": name.repeat(20), "phone": phone })),
            ("onBehalfOf", json!({ "name": name, "phone": phone })),
            (phone, json!(name)),
        ] {
            let mut body = self.order();
            body[field] = value;
            bodies.push(("/orders", body.to_string()));
        }
        for (path, body) in bodies {
            let key = fresh_key();
            let headers = [(IDEMPOTENCY_KEY, key.as_str()), ("x-request-id", phone), ("user-agent", phone)];
            let answer = people.resident.post_bytes(path, &headers, body.as_bytes());
            assert!((400..500).contains(&answer.status), "{path} {body}: {}", answer.status);
            self.heard.note(&format!("bad {path}"), &answer);
        }
        for path in [
            format!("/orders?limit={phone}"),
            format!("/orders?cursor={percent}"),
            format!("/orders?status={phone}"),
            format!("/orders?{phone}={percent}"),
            format!("/orders/{phone}"),
            format!("/signs/{phone}"),
            format!("/badges/{percent}"),
            format!("/{phone}/{percent}"),
        ] {
            self.heard.note(&path.replace(phone, "…").replace(&percent, "…"), &people.resident.get(&path));
        }
        for path in [format!("/q/{phone}"), format!("/b/{percent}"), format!("/{percent}?{phone}")] {
            let answer = people.anonymous.get_outside(&path).expect("an answer");
            self.heard.note("a page", &answer);
        }
        let forged = people.resident.with_token(phone).get("/me");
        self.heard.note("a forged token", &forged);
        let stale = [("if-match", phone), ("x-request-id", phone), ("accept-language", phone)];
        let nothing = "/orders/01900000-0000-7000-8000-000000000000/accept";
        self.heard.note("a bad version", &people.resident.post_with(nothing, &stale, &json!({})));
    }
}
