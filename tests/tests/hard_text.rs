//! Hard Unicode and injection strings in every text field, on both databases: each is either stored and comes back letter
//! by letter, or refused with the field's own code; never a server's error, and nobody else notices.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use xingfuma_tests::{
    client::{Accounts, Answer, Client, IDEMPOTENCY_KEY, fresh_key},
    program::{Demo, Fleet},
};

const LIMITS: (&str, &str) = ("XINGFUMA_LIMITS__FACTOR", "100000");

/// What a person may type, or paste, and gets back as it was.
const WELCOME: [&str; 16] = [
    "𠮷野家旁边，找𪚥先生",
    "\u{30000}\u{2A6D6} 生僻字",
    "caf\u{e9} NFC",
    "cafe\u{301} NFD",
    "👨‍👩‍👧‍👦 一家人 🇨🇳",
    "零\u{200b}宽\u{200d}连\u{feff}字",
    "שלום مرحبا",
    "Z̸̡̢̛͇̝̗a̸l̵g̶o̷",
    "'; DROP TABLE orders; --",
    "\" OR 1=1 --",
    "%s%n%x {{7*7}} ${7*7} $(id) `id`",
    "<script>alert(1)</script>",
    "=HYPERLINK(\"http://evil.example\")",
    "../../etc/passwd\\..\\",
    "两行\r\n第二行\t制表",
    "\u{2028}\u{2029}\u{a0}行",
];

/// What nobody types.
const UNWELCOME: [&str; 7] =
    ["空\u{0}字", "\u{7}铃", "\u{1b}[31m", "\u{202e}反", "\u{2066}向", "非\u{ffff}字", "\u{85}行"];

#[test]
fn hard_text_alone() {
    let demo = Demo::start_with(&[LIMITS]);
    Town::log_in(demo.base(), demo.accounts()).story();
}

#[test]
fn hard_text_in_a_fleet() {
    let fleet = Fleet::start(1, 1);
    Town::log_in(&fleet.bases()[0], fleet.accounts()).story();
}

struct Town {
    anonymous: Client,
    resident: Client,
    volunteer: Client,
    village: Client,
    operator: Client,
    sign: String,
    team: String,
}

fn text(of: &Value, field: &str) -> String {
    of[field].as_str().unwrap_or_else(|| panic!("no {field}: {of}")).to_owned()
}

impl Town {
    fn log_in(base: &str, accounts: &Accounts) -> Self {
        let log_in = |account| Client::log_in(base, account);
        let volunteer = log_in(accounts.all("volunteer")[0]);
        let me = volunteer.get("/me").expect(200);
        Self {
            anonymous: Client::anonymous(base),
            resident: log_in(accounts.one("resident")),
            team: text(&me["roles"][0], "teamId"),
            volunteer,
            village: log_in(accounts.village_dispatcher()),
            operator: log_in(accounts.one("operator")),
            sign: accounts.sign().to_owned(),
        }
    }

    fn story(&self) {
        for hard in WELCOME {
            self.stored(hard);
        }
        for hard in WELCOME.iter().chain(&UNWELCOME) {
            self.refused_or_done(hard);
        }
        for hard in UNWELCOME {
            for field in ["description", "address"] {
                let mut body = self.order();
                body[field] = json!(hard);
                let answer = self.resident.post("/orders", &body);
                assert_eq!(answer.problem(422), "invalid_fields", "{hard:?}");
                let errors = answer.json()["errors"].clone();
                assert_eq!(errors, json!([{ "field": field, "code": "control_character" }]), "{hard:?}");
            }
        }
        self.resident.get("/me").expect(200);
        self.anonymous.get("/showcase").expect(200);
    }

    fn order(&self) -> Value {
        json!({ "signCode": self.sign, "categoryCode": "errand", "description": "代取快递" })
    }

    fn placed(&self, body: &Value) -> String {
        let order = text(&self.resident.post("/orders", body).expect(201), "id");
        let begun = Instant::now();
        while self.resident.get(&format!("/orders/{order}")).expect(200)["status"] != "dispatched" {
            assert!(begun.elapsed() < Duration::from_secs(20), "not dispatched");
            sleep(Duration::from_millis(10));
        }
        order
    }

    /// Through one whole life, in every text of it.
    fn stored(&self, hard: &str) {
        let mut body = self.order();
        body["description"] = json!(hard);
        body["address"] = json!(hard);
        body["contact"] = json!({ "name": hard.chars().take(40).collect::<String>() });
        let order = self.placed(&body);
        let seen = self.resident.get(&format!("/orders/{order}")).expect(200);
        assert_eq!(seen["description"], hard.trim(), "as it was written");
        assert_eq!(seen["address"], hard.trim(), "{seen}");
        let path = |verb: &str| format!("/orders/{order}/{verb}");
        let done = |who: &Client, verb: &str, body: Value| {
            let answer = who.post(&path(verb), &body);
            assert!((200..300).contains(&answer.status), "{hard:?} {verb}: {}", answer.text());
            answer.json()
        };
        done(&self.village, "contact", json!({ "reason": hard }));
        done(&self.village, "escalate", json!({ "reason": hard }));
        done(&self.village, "dispatch", json!({ "teamId": self.team, "reason": hard }));
        done(&self.volunteer, "accept", json!({}));
        done(&self.volunteer, "wait", json!({ "question": hard }));
        done(&self.resident, "answer", json!({ "answer": hard }));
        done(&self.volunteer, "complete", json!({ "summary": hard, "minutes": 20 }));
        let tag: String = hard.trim().chars().take(6).collect();
        done(&self.resident, "rate", json!({ "stars": 5, "solved": true, "comment": hard, "tags": [tag] }));
        let post = text(&done(&self.resident, "show", json!({ "text": hard, "consent": true })), "id");
        let reject = self.village.post(&format!("/showcase/{post}/reject"), &json!({ "reason": hard }));
        assert_eq!(reject.status, 200, "{}", reject.text());
        let report = json!({ "kind": "other", "note": hard });
        assert_eq!(self.anonymous.post(&format!("/signs/{}/report", self.sign), &report).status, 204);
    }

    /// Where no free text belongs: an answer of its own, and no 5xx.
    fn refused_or_done(&self, hard: &str) {
        let nobody: [(&str, Value); 9] = [
            ("/auth/wechat", json!({ "code": hard })),
            ("/auth/password", json!({ "username": hard, "password": hard, "totp": hard })),
            ("/auth/refresh", json!({ "refreshToken": hard })),
            ("/signs/00000000/report", json!({ "kind": hard })),
            ("/me/consents", json!({ "kind": hard, "version": 1 })),
            ("/me/wards", json!({ "code": hard })),
            ("/me/totp/confirm", json!({ "code": hard })),
            ("/auth/wechat/phone", json!({ "code": hard })),
            (
                "/score/claims",
                json!({ "ruleCode": hard, "happenedAt": "2026-01-01T00:00:00Z", "evidence": hard }),
            ),
        ];
        for (path, body) in &nobody {
            for who in [&self.anonymous, &self.resident] {
                is_refused(&who.post(path, body), path, hard);
            }
        }
        for field in ["signCode", "areaCode", "categoryCode", "urgency", "channel", "wishedFrom"] {
            let mut body = self.order();
            body[field] = json!(hard);
            is_refused(&self.resident.post("/orders", &body), field, hard);
        }
        let mut body = self.order();
        body["onBehalfOf"] = json!({ "name": hard, "phone": hard });
        is_refused(&self.operator.post("/orders", &body), "phone", hard);
        let percent: String = hard.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for path in
            ["/orders/", "/signs/", "/badges/", "/orders?cursor=", "/orders?status=", "/audit?personId="]
        {
            is_refused(&self.resident.get(&format!("{path}{percent}")), path, hard);
        }
        let key = [(IDEMPOTENCY_KEY, &*fresh_key()), ("x-request-id", "ok")];
        let bytes = body.to_string().replace("代取快递", "\\ud800");
        is_refused(&self.resident.post_bytes("/orders", &key, bytes.as_bytes()), "a lone surrogate", hard);
    }
}

fn is_refused(answer: &Answer, what: &str, hard: &str) {
    assert!((400..500).contains(&answer.status), "{what} {hard:?}: {} {}", answer.status, answer.text());
    answer.problem(answer.status);
    assert!(!answer.text().contains(hard), "{what} {hard:?} is repeated: {}", answer.text());
}
