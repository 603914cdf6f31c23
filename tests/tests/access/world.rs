//! A county in which everybody is logged in, and an operation tried as each of them.

mod made;
pub(crate) mod rows;

use std::{
    cell::{Cell, OnceCell},
    collections::{BTreeMap, BTreeSet},
};

use serde_json::{Value, json};
use xingfuma_tests::{
    client::{Accounts, Answer, Client, IDEMPOTENCY_KEY, fresh_key},
    events::Events,
    notice,
};

use crate::DONE_ANEW;
use crate::trials::{Stage, Target, Trial, trial};
use crate::who::{EVERYBODY, Who, log_in_everybody};
use made::{Made, MadeShop};
use rows::{HAZARD, NOTHING, NOTICE, ROUND, answered_hazard, become_volunteer, round_of_stars};

/// A county in which everybody is logged in.
pub(crate) struct World {
    pub(crate) people: BTreeMap<Who, Client>,
    sign: String,
    badge: String,
    pub(crate) team: String,
    pub(crate) department: String,
    pub(crate) teammate: String,
    operator: String,
    /// What was made and not used up, by stage.
    ready: BTreeMap<Stage, Made>,
    /// The village's shop, once somebody asked for it.
    shop: OnceCell<MadeShop>,
    /// A photo, once somebody asked for it.
    photo: OnceCell<String>,
    /// Lines of the notice that were objected to.
    objected: Cell<i64>,
    /// The served specification.
    document: Value,
    /// Operations whose answers were given again under their keys.
    pub(crate) kept: BTreeSet<String>,
}

impl World {
    /// Logs everybody in. The third resident is made a volunteer of a sibling grid by `sql`, which speaks the
    /// database's dialect: SQLite's ids are bytes.
    pub(crate) fn new(
        base: &str,
        accounts: &Accounts,
        sql: impl Fn(&str) -> String,
        is_postgres: bool,
    ) -> World {
        let people = log_in_everybody(base, accounts);
        let _ = sql(&become_volunteer(&id_of(&people[&Who::Sibling]), accounts.grid(), is_postgres));
        let roles = people[&Who::Sibling].get("/me").expect(200);
        assert_eq!(roles["roles"][0]["role"], "volunteer", "counts at the next request: {roles}");
        let me = people[&Who::Worker].get("/me").expect(200);
        let _ = sql(&notice::running());
        let _ = sql(&notice::lines(accounts.grid(), is_postgres));
        let _ = sql(&answered_hazard(accounts.grid(), is_postgres));
        for statement in round_of_stars(accounts.grid(), is_postgres) {
            let _ = sql(&statement);
        }
        let mut world = World {
            sign: accounts.sign().to_owned(),
            badge: text(&me, "badge"),
            team: text(&me["roles"][0], "teamId"),
            department: text(&people[&Who::Department].get("/me").expect(200)["roles"][0], "teamId"),
            teammate: id_of(&people[&Who::Teammate]),
            operator: id_of(&people[&Who::Operator]),
            document: people[&Who::Anonymous].get("/openapi.json").expect(200),
            people,
            kept: BTreeSet::new(),
            ready: BTreeMap::new(),
            shop: OnceCell::new(),
            photo: OnceCell::new(),
            objected: Cell::new(1),
        };
        // The worker has served today: that can be certified.
        let made = world.at(Stage::Completed);
        world.ready.insert(Stage::Completed, made);
        world
    }

    /// Tries an operation as everybody; answers the statuses in the order of [`EVERYBODY`].
    pub(crate) fn try_all(&mut self, operation: &str) -> Vec<u16> {
        let trial = trial(operation).unwrap_or_else(|| {
            panic!("{operation} is served, and nobody says here who may do it: add it to `trial` and to the table")
        });
        if operation == "GET /api/v1/stream" {
            // Its answer never ends.
            return self.try_stream();
        }
        EVERYBODY.into_iter().map(|who| self.try_one(operation, &trial, who)).collect()
    }

    fn try_stream(&self) -> Vec<u16> {
        EVERYBODY.into_iter().map(|who| Events::listen(&self.people[&who], None).status).collect()
    }

    fn try_one(&mut self, operation: &str, trial: &Trial, who: Who) -> u16 {
        let mut body = (trial.body)(self);
        let (stage, id) = match trial.target {
            Target::None => (None, String::new()),
            Target::Claim => (None, self.made_claim()),
            Target::Deduction => (None, self.deduction()),
            Target::Appeal => (None, self.appeal()),
            Target::Leave => (None, text(&self.post(Who::Worker, "/me/leave", &self.leave()), "id")),
            Target::Team => (None, self.team.clone()),
            Target::Staff => (None, self.operator.clone()),
            Target::SignReport => (None, self.sign_report()),
            Target::Volunteer => (None, id_of(&self.people[&Who::Worker])),
            Target::Ward => (None, self.ward()),
            Target::Whistle(answered) => (None, self.whistle(answered)),
            Target::Objection => (None, self.objection()),
            Target::Hazard => (None, HAZARD.to_owned()),
            Target::Shop => (None, self.shop().shop.clone()),
            Target::Goods => (None, self.shop().goods.clone()),
            Target::Redemption => (None, text(&self.redeemed(), "id")),
            Target::Hold => (None, self.held()),
            Target::Activity => (None, self.activity()),
            Target::Patrol => (None, self.patrol()),
            Target::Photo => (None, self.photo()),
            Target::Round => (None, ROUND.to_owned()),
            Target::StarObjection => (None, self.star_objection()),
            Target::Certificate => (None, self.certificate()),
            Target::Signed => (None, self.signed()),
            Target::Training => (None, self.training()),
            Target::Order(stage) => (Some(stage), String::new()),
            Target::Post(stage) => (Some(stage), String::new()),
            Target::Entry => (Some(Stage::Completed), String::new()),
        };
        let made = stage.map(|stage| self.at(stage));
        let id = match (&trial.target, &made) {
            (Target::Order(_), Some(made)) => made.order.clone(),
            (Target::Post(_), Some(made)) => made.post.clone().expect("a post"),
            (Target::Entry, Some(made)) => self.entry(&made.order),
            _ => id,
        };
        if matches!(trial.target, Target::Deduction) {
            body["entryId"] = json!(id);
        }
        let key = fresh_key();
        let answer = self.ask(operation, who, &id, &body, &key);
        if operation.starts_with("POST ")
            && answer.status < 300
            && !DONE_ANEW.iter().any(|(one, _)| *one == operation)
        {
            self.is_kept(operation, who, &id, &body, &key, &answer);
        }
        if let (Some(stage), Some(made)) = (stage, made) {
            if answer.status >= 300 || operation.starts_with("GET ") || operation.ends_with("/contact") {
                self.ready.insert(stage, made);
            } else {
                // A volunteer holds only so many orders at once.
                self.people[&Who::Township]
                    .post(&format!("/orders/{}/cancel", made.order), &json!({ "reason": "试完" }));
            }
        }
        if !id.is_empty() && (answer.status == 404 || answer.status == 401) {
            self.looks_like_nothing(operation, who, &id, &body, &answer);
        }
        answer.status
    }

    /// Asked again under its key, the answer is the same.
    fn is_kept(&mut self, operation: &str, who: Who, id: &str, body: &Value, key: &str, answer: &Answer) {
        let path = self.path(operation, id);
        let path = path.strip_prefix("/api/v1").expect("a path of the contract");
        let reads_body = self.specification(operation)["requestBody"].is_object();
        self.people[&who].is_kept(path, key, body.to_string().as_bytes(), reads_body, answer);
        self.kept.insert(operation.to_owned());
    }

    /// What the served specification says of an operation.
    pub(crate) fn specification(&self, operation: &str) -> &Value {
        let (method, path) = operation.split_once(' ').expect("a method and a path");
        &self.document["paths"][path][method.to_lowercase()]
    }

    fn path(&self, operation: &str, id: &str) -> String {
        let (_, path) = operation.split_once(' ').expect("a method and a path");
        let path =
            if path == "/api/v1/audit" { format!("{path}?personId={NOTHING}") } else { path.to_owned() };
        // A question that can be answered.
        let path = match operation {
            "GET /api/v1/orders/similar" => format!("{path}?categoryCode=errand&signCode={}", self.sign),
            _ => path.replace("{correction}", NOTHING),
        };
        path.replace("{id}", id)
            .replace("{code}", &self.sign)
            .replace("{number}", &self.badge)
            .replace("{month}", NOTICE)
            .replace("/reconciliation", "/reconciliation?month=2026-10")
            .replace("/leaderboards", "/leaderboards?by=township")
    }

    fn ask(&self, operation: &str, who: Who, id: &str, body: &Value, key: &str) -> Answer {
        let method = operation.split(' ').next().expect("a method");
        let path = self.path(operation, id);
        let client = &self.people[&who];
        match path.strip_prefix("/api/v1") {
            Some(path) if method == "GET" => client.get(path),
            Some(path) => {
                let bytes = body.to_string().into_bytes();
                client.send(method, path, &[(IDEMPOTENCY_KEY, key)], &bytes).expect("an answer")
            }
            None => client.get_outside(&path).expect("an answer"),
        }
    }

    /// "Not yours" and "not there" are the same answer but for the request's id.
    fn looks_like_nothing(&self, operation: &str, who: Who, id: &str, body: &Value, answer: &Answer) {
        let nothing = self.ask(operation, who, NOTHING, body, &fresh_key());
        let bare = |answer: &Answer| {
            let mut problem = answer.json();
            problem["requestId"] = Value::Null;
            (answer.status, problem)
        };
        assert_eq!(bare(answer), bare(&nothing), "{operation} as {who:?}, {id}");
    }
}

pub(crate) fn id_of(client: &Client) -> String {
    text(&client.get("/me").expect(200), "id")
}

pub(crate) fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_else(|| panic!("no {member}: {value}")).to_owned()
}
