//! The connection to the database is reset at the first statement of a request, then at the second, and so on until the
//! request gets through: for each of the five steps. Whoever asked hears of success or of a problem that is worth another
//! attempt, and attempts under one key have one effect.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use xingfuma_tests::{
    client::{Client, IDEMPOTENCY_KEY, fresh_key},
    program::{Fleet, Process},
    trap::Trap,
};

/// More statements than any request has, with what the server asks by itself meanwhile.
const STATEMENTS_AT_MOST: u64 = 60;
const DISPATCHED_WITHIN: Duration = Duration::from_secs(15);
const DONE_WITHIN: Duration = Duration::from_secs(30);

/// A server behind a trap, and one beside it by which things are prepared and looked at.
struct Stage {
    fleet: Fleet,
    trap: Trap,
    trapped: Process,
    resident: Client,
    volunteer: Client,
    village: Client,
    team: String,
}

impl Stage {
    fn set() -> Stage {
        let fleet = Fleet::start(1, 1);
        let database = fleet.setting("XINGFUMA_DATABASE__URL").to_owned();
        let trap = Trap::to_postgres(&database);
        let through = [("XINGFUMA_DATABASE__URL".to_owned(), trap.url(&database))];
        let trapped = fleet.start_server("trapped", &through);
        let base = fleet.bases().remove(0);
        let accounts = fleet.accounts();
        let resident = Client::log_in(&base, accounts.one("resident"));
        let volunteer = Client::log_in(&base, accounts.all("volunteer")[0]);
        let village = Client::log_in(&base, accounts.village_dispatcher());
        let me = volunteer.get("/me").expect(200);
        let team = me["roles"][0]["teamId"].as_str().expect("a team").to_owned();
        Stage { fleet, trap, trapped, resident, volunteer, village, team }
    }

    fn order(&self, text: &str) -> Value {
        json!({ "signCode": self.fleet.accounts().sign(), "categoryCode": "errand", "description": text })
    }

    /// An order that has come so far, by the server beside.
    fn at(&self, stage: &str) -> String {
        let placed = self.resident.post("/orders", &self.order("代买一袋米")).expect(201);
        let order = placed["id"].as_str().expect("an id").to_owned();
        let begun = Instant::now();
        while self.resident.get(&format!("/orders/{order}")).expect(200)["status"] != "dispatched" {
            assert!(begun.elapsed() < DISPATCHED_WITHIN, "not dispatched");
            sleep(Duration::from_millis(10));
        }
        let post = |who: &Client, verb: &str, body: Value| {
            who.post(&format!("/orders/{order}/{verb}"), &body).expect(200);
        };
        for step in ["accepted", "completed", "rated"].into_iter().take(match stage {
            "accepted" => 1,
            "completed" => 2,
            "rated" => 3,
            _ => 0,
        }) {
            match step {
                "accepted" => post(&self.volunteer, "accept", json!({})),
                "completed" => {
                    post(&self.volunteer, "complete", json!({ "summary": "已送到", "minutes": 20 }))
                }
                _ => post(&self.resident, "rate", json!({ "stars": 5, "solved": true })),
            }
        }
        order
    }

    /// Asks the trapped server, resetting its `nth` statement, and again under the same key until it is done. Answers
    /// whether the reset came before the end of the first attempt.
    fn ask(&self, who: &Client, path: &str, body: &Value, nth: u64) -> bool {
        let (client, key, body) = (who.at(self.trapped.base()), fresh_key(), body.to_string());
        let ask = || client.send("POST", path, &[(IDEMPOTENCY_KEY, &key)], body.as_bytes());
        let asked_before = self.trap.asked();
        self.trap.reset_at(nth);
        let begun = Instant::now();
        let mut first = true;
        let mut came = false;
        loop {
            let answer = ask().expect("the server itself is well and answers");
            if first {
                came = self.trap.asked() >= asked_before + nth;
                first = false;
            }
            if (200..300).contains(&answer.status) {
                self.trap.reset_at(0);
                return came;
            }
            let code = answer.problem(503);
            assert_eq!(code, "unavailable", "{path}, statement {nth}: {}", answer.text());
            assert!(begun.elapsed() < DONE_WITHIN, "{path}, statement {nth}: {}", answer.text());
            sleep(Duration::from_millis(50));
        }
    }

    /// Walks through the statements of a request. `prepare` makes what it is about, and `effects` counts what came of it:
    /// one, however often it was asked for.
    fn walk(
        &self,
        step: &str,
        prepare: impl Fn(u64) -> (Client, String, Value),
        effects: impl Fn(u64, &str) -> String,
    ) {
        for nth in 1..=STATEMENTS_AT_MOST {
            let (who, path, body) = prepare(nth);
            let came = self.ask(&who, &path, &body, nth);
            assert_eq!(effects(nth, &path), "1", "{step}, statement {nth}: one effect");
            if !came {
                println!("{step}: reset at each of its {} statements", nth - 1);
                assert!(nth > 1, "{step} asks the database for something");
                return;
            }
        }
        panic!("{step} has more than {STATEMENTS_AT_MOST} statements");
    }
}

fn id_in(path: &str) -> &str {
    path.split('/').nth(2).expect("an order")
}

#[test]
fn a_reset_at_any_statement_of_the_five_steps_does_no_harm() {
    let stage = Stage::set();
    stage.walk(
        "点",
        |nth| (stage.resident.clone(), "/orders".to_owned(), stage.order(&format!("断线演练 {nth}号"))),
        |nth, _| {
            stage.fleet.sql(&format!("SELECT count(*) FROM orders WHERE description LIKE '断线演练 {nth}号'"))
        },
    );
    let grew_to = |version: i64| {
        let fleet = &stage.fleet;
        move |_: u64, path: &str| {
            let order = id_in(path);
            fleet.sql(&format!(
                "SELECT count(*) FROM orders o WHERE id = '{order}' AND version = {version} \
                 AND {version} = (SELECT count(*) FROM order_event e WHERE e.order_id = o.id)"
            ))
        }
    };
    let verb = |stage_of: &'static str, verb: &'static str, who: &Client, body: Value| {
        let (who, stage) = (who.clone(), &stage);
        move |_: u64| (who.clone(), format!("/orders/{}/{verb}", stage.at(stage_of)), body.clone())
    };
    let by_hand = json!({ "teamId": stage.team, "reason": "就近" });
    stage.walk("派", verb("dispatched", "dispatch", &stage.village, by_hand), grew_to(3));
    let done = json!({ "summary": "已送到", "minutes": 20 });
    let accepted = grew_to(3);
    stage.walk("接", verb("dispatched", "accept", &stage.volunteer, json!({})), |nth, path| {
        let effects = accepted(nth, path);
        // Nobody holds more than so many orders at once.
        stage.volunteer.post(&format!("/orders/{}/complete", id_in(path)), &done).expect(200);
        effects
    });
    stage.walk("完成", verb("accepted", "complete", &stage.volunteer, done.clone()), grew_to(4));
    let stars = json!({ "stars": 5, "solved": true });
    stage.walk("评", verb("completed", "rate", &stage.resident, stars), grew_to(5));
    let shown = json!({ "text": "谢谢", "consent": true });
    stage.walk("晒", verb("rated", "show", &stage.resident, shown), |_, path| {
        stage.fleet.sql(&format!("SELECT count(*) FROM showcase_post WHERE order_id = '{}'", id_in(path)))
    });
    // Points were booked once for each completion, whatever was repeated.
    let audit = stage.fleet.run(&["audit", "verify"], &[]);
    assert!(audit.success, "{audit:?}");
}
