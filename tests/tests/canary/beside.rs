//! What stands beside the five steps: calls to departments, notices, duplicates, extensions and revisits, the shop,
//! objections and appeals, reports about signs, a guardian's word, the stream.

use std::time::Duration;

use serde_json::{Value, json};
use xingfuma_tests::{client::Client, events::Events, notice};

use super::flows::{Flight, People, text};
use super::search::Place;

/// Goods whose donors are birds.
pub(crate) struct Shop {
    goods: String,
}

impl Shop {
    /// The township's, kept by the first volunteer; the second has points to spend.
    pub(crate) fn open(people: &People, township: &str) -> Shop {
        let post = |who: &Client, path: &str, body: Value| -> Value {
            let answer = who.post(path, &body);
            assert!((200..300).contains(&answer.status), "{path}: {}", answer.text());
            answer.json()
        };
        let shop = post(&people.township, "/shop/shops", json!({ "areaCode": township, "name": "爱心超市" }));
        let keeper = text(&people.first.get("/me").expect(200), "id");
        let keepers = json!({ "personIds": [keeper] }).to_string().into_bytes();
        let path = format!("/shop/shops/{}/keepers", text(&shop, "id"));
        assert_eq!(people.township.send("PUT", &path, &[], &keepers).expect("an answer").status, 200);
        let goods = json!({ "shopId": shop["id"], "name": "毛巾", "price": 1 });
        let goods = text(&post(&people.first, "/shop/goods", goods), "id");
        let claim = json!({
            "ruleCode": "B06", "happenedAt": people.an_hour_ago(), "evidence": "救起落水儿童",
        });
        let claim = text(&post(&people.second, "/score/claims", claim), "id");
        let granted = json!({ "grant": true, "points": 50, "reason": "属实" });
        post(&people.township, &format!("/score/claims/{claim}/decide"), granted);
        Shop { goods }
    }
}

/// The village hears of every order while the birds fly; what it hears is looked through afterwards.
pub(crate) struct Listener(Events);

impl Listener {
    pub(crate) fn begin(people: &People) -> Listener {
        let events = Events::listen(&people.village, None);
        assert_eq!(events.status, 200);
        Listener(events)
    }

    pub(crate) fn heard(mut self) -> Place {
        let mut told = String::new();
        while let Some(event) = self.0.next_within(Duration::from_secs(3)) {
            told.push_str(&format!("{event:?}\n"));
        }
        assert!(told.contains("orderId"), "the stream told nothing: {told}");
        Place { name: "the village's stream".to_owned(), bytes: told.into_bytes() }
    }
}

impl Flight<'_> {
    /// 吹哨报到, 限期整改 with a re-inspection, and a second order that follows the first.
    pub(crate) fn report(&mut self) {
        let people = self.people;
        let mut body = self.order();
        body["categoryCode"] = json!("violation");
        let order = text(&self.post(&people.resident, "/orders", &body), "id");
        let path = |verb: &str| format!("/orders/{order}/{verb}");
        let call = json!({ "departmentIds": [people.department_id], "demand": self.words() });
        let called = self.post(&people.village, &path("whistle"), &call);
        let whistle = text(&called["whistles"][0], "id");
        self.post(&people.department, &format!("/whistles/{whistle}/check-in"), &json!({}));
        let result = json!({ "result": self.words() });
        self.post(&people.department, &format!("/whistles/{whistle}/conclude"), &result);
        let rating = json!({ "stars": 2, "comment": self.words() });
        self.post(&people.village, &format!("/whistles/{whistle}/rate"), &rating);
        let notice = json!({ "addressee": self.bird.name, "demand": self.words(), "termDays": 7 });
        let given = self.post(&people.village, &path("corrections"), &notice);
        let inspect = path(&format!("corrections/{}/inspect", text(&given["corrections"][0], "id")));
        let again = json!({ "passed": false, "findings": self.words(), "termDays": 3 });
        self.post(&people.village, &inspect, &again);
        let passed = json!({ "passed": true, "findings": self.words() });
        self.post(&people.township, &inspect, &passed);
        self.look_around(&order);
        self.outsiders(&path("corrections"));
        self.heard.note("the department", &people.department.get(&format!("/orders/{order}")));
        self.followed(&order);
    }

    fn followed(&mut self, leading: &str) {
        let people = self.people;
        let mut body = self.order();
        body["categoryCode"] = json!("violation");
        let order = text(&self.post(&people.resident, "/orders", &body), "id");
        self.outsiders(&format!("/orders/similar?orderId={order}"));
        self.post(&people.village, &format!("/orders/{order}/merge"), &json!({ "into": leading }));
        self.look_around(&order);
        let words = self.words();
        self.post(&people.village, &format!("/orders/{leading}/cancel"), &json!({ "reason": words }));
        self.look_around(&order);
        let words = self.words();
        self.post(&people.resident, &format!("/orders/{order}/cancel"), &json!({ "reason": words }));
    }

    /// One extension, and a revisit by the township.
    pub(crate) fn unsatisfied(&mut self) {
        let people = self.people;
        let mut body = self.order();
        body["urgency"] = json!("complex");
        let order = text(&self.post(&people.resident, "/orders", &body), "id");
        self.wait_until_dispatched(&people.resident, &order);
        let path = |verb: &str| format!("/orders/{order}/{verb}");
        self.post(&people.second, &path("accept"), &json!({}));
        let words = self.words();
        self.post(&people.village, &path("extend"), &json!({ "reason": words }));
        let done = json!({ "summary": self.words(), "minutes": 30 });
        self.post(&people.second, &path("complete"), &done);
        let rated = json!({ "stars": 1, "solved": false, "comment": self.words() });
        self.post(&people.resident, &path("rate"), &rated);
        let revisited = json!({ "outcome": "unsolved", "note": self.words() });
        self.post(&people.township, &path("revisit"), &revisited);
        self.look_around(&order);
    }

    /// The bird gives something to the shop. Whoever keeps it reads the name, and nobody else. Nothing knows names in the
    /// reasons that are given here, but numbers are recognised.
    pub(crate) fn gives(&mut self, shop: &Shop) {
        let (people, bird) = (self.people, self.bird);
        let goods = &shop.goods;
        let given = json!({
            "goodsId": goods, "quantity": 2, "donor": bird.name, "donorIsPerson": (bird.number / 8).is_multiple_of(2),
        });
        self.post(&people.first, "/shop/donations", &given);
        let book = people.first.get("/shop/donations?limit=1").expect(200);
        assert_eq!(book["items"][0]["donor"], bird.name.as_str(), "who keeps the shop reads it: {book}");
        let phones = bird.typed_phones();
        let counted = json!({ "change": 1, "reason": format!("盘点，问{}", phones[2]) });
        self.post(&people.first, &format!("/shop/goods/{goods}/count"), &counted);
        let wanted = json!({ "goodsId": goods, "quantity": 1 });
        let redemption = text(&self.post(&people.second, "/shop/redemptions", &wanted), "id");
        let path = format!("/shop/redemptions/{redemption}");
        let voided = json!({ "reason": format!("不要了，打{}", phones[1]) });
        self.post(&people.second, &format!("{path}/void"), &voided);
        for reader in [&people.anonymous, &people.second, &people.resident, &people.admin, &people.auditor] {
            for path in ["/shop/donations", "/shop/redemptions", "/shop/goods", &path] {
                self.heard.note(&format!("a reader of {path}"), &reader.get(path));
            }
        }
        self.contests();
    }

    /// An objection, an appeal, a report about a sign.
    fn contests(&mut self) {
        let (people, bird) = (self.people, self.bird);
        let phones = bird.typed_phones();
        let said = |turn: usize| format!("请打{}核对", phones[turn % phones.len()]);
        let objection = json!({ "line": i64::from(bird.number) + 1, "reason": said(0) });
        let path = format!("/score/notices/{}/objections", notice::MONTH);
        let objection = text(&self.post(&people.resident, &path, &objection), "id");
        let decided = json!({ "uphold": false, "reason": said(3) });
        self.post(&people.township, &format!("/score/objections/{objection}/decide"), &decided);
        self.outsiders(&format!("/score/objections/{objection}"));
        self.outsiders(&path);

        let claim = json!({
            "ruleCode": "D01", "personId": people.second_id, "happenedAt": people.an_hour_ago(), "evidence": said(1),
        });
        let claim = text(&self.post(&people.village, "/score/claims", &claim), "id");
        let granted = json!({ "grant": true, "reason": said(4) });
        let granted = self.post(&people.township, &format!("/score/claims/{claim}/decide"), &granted);
        let appeal = json!({ "entryId": granted["entryId"], "reason": said(2) });
        let appeal = text(&self.post(&people.second, "/score/appeals", &appeal), "id");
        let decided = json!({ "uphold": false, "reason": said(5) });
        self.post(&people.admin, &format!("/score/appeals/{appeal}/decide"), &decided);
        self.outsiders("/score/appeals");

        let report = json!({ "kind": "foreign_code", "note": said(3) });
        let reported = people.anonymous.post(&format!("/signs/{}/report", people.sign), &report);
        assert_eq!(reported.status, 204, "{}", reported.text());
        self.outsiders("/sign-reports");
        self.guarded();
    }

    /// A guardian's word: what names the child is an id, and the code that is shown tells nothing of anybody.
    fn guarded(&mut self) {
        let people = self.people;
        let code = self.post(&people.resident, "/me/guardian-code", &json!({}));
        let ward = text(&self.post(&people.second, "/me/wards", &json!({ "code": code["code"] })), "id");
        self.heard.note("the guardian", &people.second.get("/me/consents"));
        let ended = people.second.send("DELETE", &format!("/me/wards/{ward}"), &[], b"").expect("an answer");
        assert_eq!(ended.status, 204, "{}", ended.text());
    }
}
