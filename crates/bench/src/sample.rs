//! One real life of an order, as the product wrote it: the floor writes rows of exactly these columns and sizes.

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_postgres::{Client, Row};
use uuid::Uuid;
use xingfuma_tests::client::Client as Caller;
use xingfuma_tests::program::Fleet;

/// What one step wrote and answered.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Step {
    /// The order's row after it.
    pub(crate) status: String,
    pub(crate) version: i64,
    pub(crate) epoch: i64,
    pub(crate) snapshot: String,
    /// The event.
    pub(crate) record: String,
    /// What is due next.
    pub(crate) due_kind: String,
    pub(crate) due_after_seconds: f64,
    /// `topic`, `data` and whether it went to the team.
    pub(crate) notifications: Vec<(String, String, bool)>,
    /// The kept answer, sealed; empty for the queue's step.
    pub(crate) kept: Vec<u8>,
    /// What was answered.
    pub(crate) answer: String,
    /// Question and answer of the policy.
    pub(crate) decision: Option<(String, String)>,
    /// Points that moved.
    pub(crate) postings: Vec<Posting>,
}

/// A transaction of the ledger with its entries.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Posting {
    pub(crate) cause: String,
    pub(crate) rule_code: String,
    pub(crate) rule_version: i32,
    pub(crate) inputs: String,
    pub(crate) month: String,
    /// `kind`, `purse`, whether it is a person's, points.
    pub(crate) entries: Vec<(String, String, bool, i64)>,
}

/// A whole life: place, dispatch, accept, complete, rate.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Life {
    pub(crate) county: String,
    pub(crate) area: String,
    pub(crate) category: String,
    pub(crate) description: String,
    pub(crate) private: Vec<u8>,
    pub(crate) steps: Vec<Step>,
}

/// The body of every placement of the bench.
pub(crate) fn place_body(sign: &str) -> String {
    json!({
        "signCode": sign,
        "categoryCode": "errand",
        "description": "家里没有米了，麻烦帮忙买一袋，另外取一个快递。",
        "contact": { "name": "王大娘", "phone": "15400001234" },
        "address": "村委会对面第二家",
    })
    .to_string()
}

/// The body of every completion.
pub(crate) const COMPLETE_BODY: &str = r#"{"summary":"米买好了，快递也送到家了。","minutes":40}"#;
/// The body of every rating.
pub(crate) const RATE_BODY: &str = r#"{"stars":5,"solved":true,"comment":"来得很快，谢谢！"}"#;

impl Life {
    /// Lives one on the product and reads back what it wrote after each step.
    pub(crate) async fn live(fleet: &Fleet, county: &Client) -> Life {
        let base = fleet.servers[0].base();
        let accounts = fleet.accounts();
        let resident = Caller::log_in(base, accounts.one("resident"));
        let volunteer = Caller::log_in(base, accounts.all("volunteer")[0]);
        let body = |text: &str| serde_json::from_str(text).expect("JSON");
        let placed = resident.post("/orders", &body(&place_body(accounts.sign())));
        let order: Uuid = placed.expect(201)["id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
        let mut life = Life::begin(county, order).await;
        life.read(county, order, placed.text()).await;
        wait_until_dispatched(county, order).await;
        life.read(county, order, String::new()).await;
        for (caller, verb, text) in [
            (&volunteer, "accept", "{}"),
            (&volunteer, "complete", COMPLETE_BODY),
            (&resident, "rate", RATE_BODY),
        ] {
            let answer = caller.post(&format!("/orders/{order}/{verb}"), &body(text));
            answer.expect(200);
            life.read(county, order, answer.text()).await;
        }
        life
    }

    async fn begin(county: &Client, order: Uuid) -> Life {
        let text = "SELECT county, area_code, category, description, private FROM orders WHERE id = $1";
        let row = county.query_one(text, &[&order]).await.expect("the order's row");
        Life {
            county: row.get(0),
            area: row.get(1),
            category: row.get(2),
            description: row.get(3),
            private: row.get(4),
            steps: Vec::new(),
        }
    }

    async fn read(&mut self, county: &Client, order: Uuid, answer: String) {
        let mut step = read_order(county, order).await;
        step.answer = answer;
        step.notifications = read_notifications(county, order, step.version).await;
        let known: usize = self.steps.iter().map(|step| step.postings.len()).sum();
        step.postings = read_postings(county, order).await.split_off(known);
        if !step.answer.is_empty() {
            let text = "SELECT body FROM idempotency WHERE resource_id = $1 ORDER BY created_at DESC LIMIT 1";
            step.kept = county.query_one(text, &[&order]).await.expect("the kept answer").get(0);
        }
        let text = "SELECT question, answer FROM dispatch_decision WHERE order_id = $1 AND seq = $2";
        let decision = county.query_opt(text, &[&order, &step.version]).await.expect("the decision");
        step.decision = decision.map(|row| (row.get(0), row.get(1)));
        self.steps.push(step);
    }
}

async fn read_order(county: &Client, order: Uuid) -> Step {
    let text = "SELECT o.status, o.version, o.epoch, o.snapshot, e.record, d.kind, \
        coalesce(extract(epoch FROM d.wake_at - now())::float8, 0) FROM orders o \
        JOIN order_event e ON e.order_id = o.id AND e.seq = o.version JOIN due d ON d.order_id = o.id WHERE o.id = $1";
    let row = county.query_one(text, &[&order]).await.expect("order, event and what is due");
    Step {
        status: row.get(0),
        version: row.get(1),
        epoch: row.get(2),
        snapshot: row.get(3),
        record: row.get(4),
        due_kind: row.get(5),
        due_after_seconds: row.get(6),
        ..Step::default()
    }
}

async fn read_notifications(county: &Client, order: Uuid, seq: i64) -> Vec<(String, String, bool)> {
    let text =
        "SELECT topic, data, audience LIKE 'team:%' FROM notification WHERE order_id = $1 AND seq = $2";
    let rows = county.query(text, &[&order, &seq]).await.expect("notifications");
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

async fn read_postings(county: &Client, order: Uuid) -> Vec<Posting> {
    let text = "SELECT t.id, t.cause, t.rule_code, t.rule_version, t.inputs, to_char(t.at, 'YYYY-MM') \
        FROM score_transaction t WHERE t.source_id = $1 ORDER BY t.id";
    let mut postings = Vec::new();
    for row in county.query(text, &[&order]).await.expect("postings") {
        let entries =
            "SELECT kind, purse, owner_id IS NOT NULL, points FROM score_entry WHERE transaction_id = $1";
        let entries = county.query(entries, &[&row.get::<_, Uuid>(0)]).await.expect("entries");
        let entry = |row: &Row| (row.get(0), row.get(1), row.get(2), row.get(3));
        postings.push(Posting {
            cause: row.get(1),
            rule_code: row.get(2),
            rule_version: row.get(3),
            inputs: row.get(4),
            month: row.get(5),
            entries: entries.iter().map(entry).collect(),
        });
    }
    postings
}

async fn wait_until_dispatched(county: &Client, order: Uuid) {
    let begun = std::time::Instant::now();
    loop {
        let row = county.query_one("SELECT status FROM orders WHERE id = $1", &[&order]).await;
        if row.expect("the order's row").get::<_, String>(0) == "dispatched" {
            return;
        }
        assert!(begun.elapsed().as_secs() < 30, "the sample order was not dispatched");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
