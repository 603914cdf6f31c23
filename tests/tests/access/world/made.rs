//! What operations are tried on, made over the API.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::rows::{NOTICE, ROUND};
use super::{World, id_of, text};
use crate::trials::{Answered, Stage};
use crate::who::Who;

const DISPATCHED_WITHIN: Duration = Duration::from_secs(15);

#[derive(Clone, Debug)]
pub(crate) struct MadeShop {
    pub(crate) shop: String,
    pub(crate) goods: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) order: String,
    pub(crate) post: Option<String>,
}

impl World {
    /// An objection to a line that nobody has objected to.
    pub(crate) fn objection(&self) -> String {
        self.objected.set(self.objected.get() + 1);
        let objection = json!({ "line": self.objected.get(), "reason": "与事实不符" });
        let path = format!("/score/notices/{NOTICE}/objections");
        text(&self.post(Who::Requester, &path, &objection), "id")
    }

    /// The village's shop, kept by the teammate, with goods for a point; the worker has points to spend.
    pub(crate) fn shop(&self) -> &MadeShop {
        self.shop.get_or_init(|| {
            let village = &self.area()[..12];
            let shop =
                self.post(Who::Village, "/shop/shops", &json!({ "areaCode": village, "name": "爱心超市" }));
            let shop = text(&shop, "id");
            let keepers = json!({ "personIds": [self.teammate] }).to_string().into_bytes();
            let path = format!("/shop/shops/{shop}/keepers");
            let appointed = self.people[&Who::Village].send("PUT", &path, &[], &keepers).expect("an answer");
            assert_eq!(appointed.status, 200, "{}", appointed.text());
            let goods = json!({ "shopId": shop, "name": "毛巾", "price": 1 });
            let goods = text(&self.post(Who::Teammate, "/shop/goods", &goods), "id");
            let given =
                json!({ "goodsId": goods, "quantity": 500, "donor": "村委会", "donorIsPerson": false });
            self.post(Who::Teammate, "/shop/donations", &given);
            let claim = text(&self.post(Who::Worker, "/score/claims", &self.claim("B06", None)), "id");
            let granted = json!({ "grant": true, "points": 50, "reason": "属实" });
            self.post(Who::Township, &format!("/score/claims/{claim}/decide"), &granted);
            MadeShop { shop, goods }
        })
    }

    /// A photo of an order that the worker has accepted: one for all who ask.
    pub(crate) fn photo(&self) -> String {
        self.photo
            .get_or_init(|| {
                let picture = image::RgbImage::from_fn(90, 80, |x, y| image::Rgb([x as u8, y as u8, 0]));
                let mut file = std::io::Cursor::new(Vec::new());
                picture.write_to(&mut file, image::ImageFormat::Png).expect("it is encoded");
                let photo = text(&self.people[&Who::Requester].upload(&file.into_inner()).expect(201), "id");
                let mut order = self.order();
                order["mediaIds"] = json!([photo]);
                let order = text(&self.post(Who::Requester, "/orders", &order), "id");
                self.wait_until_dispatched(&order);
                self.post(Who::Worker, &format!("/orders/{order}/accept"), &json!({}));
                photo
            })
            .clone()
    }

    /// What the worker has just reserved.
    pub(crate) fn redeemed(&self) -> Value {
        let wanted = json!({ "goodsId": self.shop().goods, "quantity": 1 });
        self.post(Who::Worker, "/shop/redemptions", &wanted)
    }

    /// The area of the worker's role: his grid.
    pub(crate) fn area(&self) -> String {
        text(&self.people[&Who::Worker].get("/me").expect(200)["roles"][0], "areaCode")
    }

    /// The worker's grid, which has no shop until the first who may opens it.
    pub(crate) fn free_area(&self) -> String {
        self.shop();
        self.area()
    }

    pub(crate) fn order(&self) -> Value {
        json!({ "signCode": self.sign, "categoryCode": "errand", "description": "代取快递" })
    }

    pub(crate) fn post(&self, who: Who, path: &str, body: &Value) -> Value {
        let answer = self.people[&who].post(path, body);
        assert!((200..300).contains(&answer.status), "{who:?} {path}: {}", answer.text());
        answer.json()
    }

    /// An order at a stage: one that a refused operation left as it was, or a new one.
    pub(crate) fn at(&mut self, stage: Stage) -> Made {
        match self.ready.remove(&stage) {
            Some(made) => made,
            None => self.make(stage),
        }
    }

    pub(crate) fn make(&self, stage: Stage) -> Made {
        let placed = self.post(Who::Requester, "/orders", &self.order());
        let order = text(&placed, "id");
        self.wait_until_dispatched(&order);
        let mut made = Made { order, post: None };
        for step in [
            Stage::Accepted,
            Stage::Waiting,
            Stage::Completed,
            Stage::Rated,
            Stage::Shown,
            Stage::Agreed,
            Stage::Published,
        ] {
            if step <= stage && !(step == Stage::Waiting && stage != Stage::Waiting) {
                self.advance(&mut made, step);
            }
        }
        made
    }

    /// A call of the village's to the department.
    pub(crate) fn whistle(&self, answered: Answered) -> String {
        let order = self.make(Stage::Dispatched).order;
        let call = json!({ "departmentIds": [self.department], "demand": "请到场" });
        let called = self.post(Who::Village, &format!("/orders/{order}/whistle"), &call);
        let whistle = text(&called["whistles"][0], "id");
        if answered >= Answered::CheckedIn {
            self.post(Who::Department, &format!("/whistles/{whistle}/check-in"), &json!({}));
        }
        if answered >= Answered::Concluded {
            let result = json!({ "result": "已处理" });
            self.post(Who::Department, &format!("/whistles/{whistle}/conclude"), &result);
        }
        whistle
    }

    pub(crate) fn advance(&self, made: &mut Made, to: Stage) {
        let path = |verb: &str| format!("/orders/{}/{verb}", made.order);
        let of_post = |verb: &str| format!("/showcase/{}/{verb}", made.post.as_deref().unwrap_or_default());
        match to {
            Stage::Dispatched => {}
            Stage::Accepted => _ = self.post(Who::Worker, &path("accept"), &json!({})),
            Stage::Waiting => _ = self.post(Who::Worker, &path("wait"), &json!({ "question": "在家吗？" })),
            Stage::Completed => {
                let done = json!({ "summary": "已送到", "minutes": 20 });
                self.post(Who::Worker, &path("complete"), &done);
            }
            Stage::Rated => {
                _ = self.post(Who::Requester, &path("rate"), &json!({ "stars": 5, "solved": true }))
            }
            Stage::Shown => {
                let shown = json!({ "text": "谢谢", "consent": true });
                made.post = Some(text(&self.post(Who::Requester, &path("show"), &shown), "id"));
            }
            Stage::Agreed => _ = self.post(Who::Worker, &of_post("consent"), &json!({})),
            Stage::Published => _ = self.post(Who::Village, &of_post("approve"), &json!({})),
        }
    }

    pub(crate) fn wait_until_dispatched(&self, order: &str) {
        let begun = Instant::now();
        let path = format!("/orders/{order}");
        while self.people[&Who::Requester].get(&path).expect(200)["status"] != "dispatched" {
            assert!(begun.elapsed() < DISPATCHED_WITHIN, "not dispatched");
            sleep(Duration::from_millis(5));
        }
    }

    /// The worker's points for a completed order.
    pub(crate) fn entry(&self, order: &str) -> String {
        let passbook = self.people[&Who::Worker].get("/me/passbook?limit=100").expect(200);
        let entries = passbook["items"].as_array().or(passbook["entries"].as_array()).expect("entries");
        let entry = entries.iter().find(|entry| entry["orderId"] == order);
        text(entry.unwrap_or_else(|| panic!("nothing for {order}: {passbook}")), "id")
    }

    pub(crate) fn sign_report(&self) -> String {
        let report = format!("/signs/{}/report", self.sign);
        let reported = self.people[&Who::Anonymous].post(&report, &json!({ "kind": "damaged" }));
        assert_eq!(reported.status, 204, "{}", reported.text());
        let open = self.people[&Who::Admin].get("/sign-reports").expect(200);
        text(&open["items"][0], "id")
    }

    pub(crate) fn ward(&self) -> String {
        let code = self.post(Who::Requester, "/me/guardian-code", &json!({}));
        text(&self.post(Who::Worker, "/me/wards", &json!({ "code": code["code"] })), "id")
    }

    /// A claim about what happened an hour ago, by the server's clock: tests have none.
    /// A leave in a hundred days, which keeps nobody from serving now.
    pub(crate) fn leave(&self) -> Value {
        let from = self.now() + chrono::TimeDelta::days(100);
        json!({ "from": from.to_rfc3339(), "to": (from + chrono::TimeDelta::days(1)).to_rfc3339() })
    }

    /// The server's own word on the time: tests have no clock of their own.
    pub(crate) fn now(&self) -> chrono::DateTime<chrono::FixedOffset> {
        let probe = self.people[&Who::Worker].get("/me");
        let date = probe.header("date").expect("every answer has a date");
        chrono::DateTime::parse_from_rfc2822(date).expect("a date")
    }

    pub(crate) fn claim(&self, rule: &str, person: Option<String>) -> Value {
        let happened_at = (self.now() - chrono::TimeDelta::hours(1)).to_rfc3339();
        let mut claim = json!({ "ruleCode": rule, "happenedAt": happened_at, "evidence": "走访记录" });
        if let Some(person) = person {
            claim["personId"] = json!(person);
        }
        claim
    }

    pub(crate) fn made_claim(&self) -> String {
        text(&self.post(Who::Worker, "/score/claims", &self.claim("701", None)), "id")
    }

    pub(crate) fn held(&self) -> String {
        let mut claim = self.claim("B08", None);
        claim["happenedAt"] = json!((self.now() - chrono::TimeDelta::days(10)).to_rfc3339());
        let claim = text(&self.post(Who::Worker, "/score/claims", &claim), "id");
        let granted = json!({ "grant": true, "reason": "属实" });
        // Whoever has decided the claim does not decide the hold: the county does it.
        text(&self.post(Who::Admin, &format!("/score/claims/{claim}/decide"), &granted), "entryId")
    }

    pub(crate) fn activity(&self) -> String {
        let ahead = |hours| (self.now() + chrono::TimeDelta::hours(hours)).to_rfc3339();
        let activity = json!({ "areaCode": self.area(), "title": "河道清理", "content": "清理垃圾", "place": "村口",
            "startsAt": ahead(24), "endsAt": ahead(26), "capacity": 9 });
        text(&self.post(Who::Village, "/activities", &activity), "id")
    }

    /// The worker's patrol that runs, begun where he walks none.
    pub(crate) fn patrol(&self) -> String {
        let begun = self.people[&Who::Worker].post("/patrols", &json!({}));
        if begun.status == 201 {
            return text(&begun.json(), "id");
        }
        let walked = self.people[&Who::Worker].get("/patrols").expect(200);
        text(&walked["items"][0], "id")
    }

    pub(crate) fn deduction(&self) -> String {
        let worker = id_of(&self.people[&Who::Worker]);
        let claim = text(&self.post(Who::Village, "/score/claims", &self.claim("D01", Some(worker))), "id");
        let granted = json!({ "grant": true, "reason": "属实" });
        text(&self.post(Who::Township, &format!("/score/claims/{claim}/decide"), &granted), "entryId")
    }

    pub(crate) fn appeal(&self) -> String {
        let appeal = json!({ "entryId": self.deduction(), "reason": "已改期" });
        text(&self.post(Who::Worker, "/score/appeals", &appeal), "id")
    }

    /// A span in which the worker has served.
    pub(crate) fn certificate_body(&self) -> Value {
        let today = (self.now() + chrono::TimeDelta::hours(8)).format("%Y-%m-%d").to_string();
        json!({ "personId": id_of(&self.people[&Who::Worker]), "from": today, "to": today })
    }

    pub(crate) fn certificate(&self) -> String {
        text(&self.post(Who::Worker, "/certificates", &self.certificate_body()), "id")
    }

    pub(crate) fn signed(&self) -> String {
        let id = self.certificate();
        self.post(Who::Village, &format!("/certificates/{id}/sign"), &json!({}));
        id
    }

    /// Today's training for the worker's village.
    pub(crate) fn training_body(&self) -> Value {
        let today = (self.now() + chrono::TimeDelta::hours(8)).format("%Y-%m-%d").to_string();
        json!({ "areaCode": self.area()[..12], "title": "急救知识培训", "organizer": "县红十字会", "heldOn": today,
            "minutes": 90, "personIds": [id_of(&self.people[&Who::Worker])] })
    }

    pub(crate) fn training(&self) -> String {
        text(&self.post(Who::Village, "/trainings", &self.training_body()), "id")
    }

    /// An objection to a line of the round that nobody has objected to.
    pub(crate) fn star_objection(&self) -> String {
        self.objected.set(self.objected.get() + 1);
        let objection = json!({ "line": self.objected.get(), "reason": "与事实不符" });
        let path = format!("/stars/rounds/{ROUND}/objections");
        text(&self.post(Who::Requester, &path, &objection), "id")
    }
}
