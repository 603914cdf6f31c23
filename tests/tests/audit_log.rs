//! The audit log: who read somebody's data and who tried to; sealed so that a changed row is named; told over HTTP and by
//! the program's own check, on both sizes.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use xingfuma_tests::{
    client::{Accounts, Client},
    program::{Demo, Fleet, Told},
};

const PHONE: &str = "15419999876";
const SOON: Duration = Duration::from_secs(60);
/// Lines that the log has when it is asked about one person.
const MANY: usize = 20_000;

#[test]
fn the_log_alone() {
    let demo = Demo::start();
    let county = County {
        base: demo.base().to_owned(),
        accounts: demo.accounts(),
        sql: &|statement| demo.sql(statement),
        verify: &|| demo.audit(&["verify"]),
        is_postgres: false,
    };
    county.story();
}

#[test]
fn the_log_in_a_fleet() {
    let fleet = Fleet::start(2, 1);
    let county = County {
        base: fleet.bases()[1].clone(),
        accounts: fleet.accounts(),
        sql: &|statement| fleet.sql(statement),
        verify: &|| fleet.run(&["audit", "verify"], &[]),
        is_postgres: true,
    };
    county.story();
}

struct County<'a> {
    base: String,
    accounts: &'a Accounts,
    sql: &'a dyn Fn(&str) -> String,
    verify: &'a dyn Fn() -> Told,
    is_postgres: bool,
}

fn id(of: &Value) -> String {
    of["id"].as_str().unwrap_or_else(|| panic!("no id: {of}")).to_owned()
}

impl County<'_> {
    fn log_in(&self, role: &str) -> Client {
        Client::log_in(&self.base, self.accounts.one(role))
    }

    fn story(&self) {
        let order = self.accessed();
        self.sealed();
        self.asked_in_time(&order);
        self.append_only();
        self.tampered();
    }

    /// Everything that was done with the contact of one order is in the log, refused attempts too.
    fn accessed(&self) -> String {
        let (resident, admin) = (self.log_in("resident"), self.log_in("county_admin"));
        let volunteer = Client::log_in(&self.base, self.accounts.all("volunteer")[0]);
        let stranger = Client::log_in(&self.base, self.accounts.all("resident")[1]);
        let body = json!({
            "signCode": self.accounts.sign(), "categoryCode": "errand", "description": "代取快递",
            "contact": { "name": "王秀英", "phone": PHONE },
        });
        let order = id(&resident.post("/orders", &body).expect(201));
        let path = format!("/orders/{order}");
        self.until("it is dispatched", || resident.get(&path).expect(200)["status"] == "dispatched");
        stranger.get(&path).problem(404);
        stranger.post(&format!("{path}/contact"), &json!({ "reason": "好奇" })).problem(404);
        volunteer.post(&format!("{path}/contact"), &json!({ "reason": "好奇" })).problem(403);
        volunteer.post(&format!("{path}/accept"), &json!({})).expect(200);
        assert_eq!(volunteer.get(&path).expect(200)["contact"]["phone"], PHONE);
        let reason = json!({ "reason": "电话打不通，核对" });
        admin.post(&format!("{path}/contact"), &reason).expect(200);

        let of_order = format!("/audit?orderId={order}");
        let expected = ["contact_opened", "contact_read", "contact_revealed"];
        self.until("reads and refusals are written", || {
            let items = admin.get(&of_order).expect(200)["items"].clone();
            let count = |action: &str| {
                items.as_array().expect("items").iter().filter(|item| item["action"] == action).count()
            };
            count("refused") == 3 && expected.iter().all(|action| count(action) >= 1)
        });
        let log = admin.get(&of_order).expect(200)["items"].clone();
        assert!(!log.to_string().contains(PHONE) && !log.to_string().contains("王秀英"), "{log}");
        let of = |action: &str| {
            let found = log.as_array().expect("items").iter().find(|item| item["action"] == action);
            found.unwrap_or_else(|| panic!("no {action}: {log}")).clone()
        };
        let who = |client: &Client| client.get("/me").expect(200)["id"].clone();
        assert_eq!(of("contact_read")["personId"], who(&volunteer));
        assert_eq!(of("contact_revealed")["personId"], who(&admin));
        assert_eq!(of("contact_revealed")["reason"], "电话打不通，核对");
        let refused: Vec<&Value> =
            log.as_array().expect("items").iter().filter(|item| item["action"] == "refused").collect();
        assert!(refused.iter().any(|item| item["personId"] == who(&stranger)), "{log}");
        assert!(refused.iter().all(|item| item["resourceId"] == order.as_str()), "{log}");
        let reasons: Vec<&str> = refused.iter().filter_map(|item| item["reason"].as_str()).collect();
        assert!(reasons.contains(&"404 GET /api/v1/orders/{id}"), "{reasons:?}");
        assert!(reasons.contains(&"403 POST /api/v1/orders/{id}/contact"), "{reasons:?}");

        assert_eq!(of("audit_read")["personId"], who(&admin), "asking is logged too");
        volunteer.get(&of_order).problem(403);
        resident.get(&of_order).problem(403);
        admin.get("/audit").problem(400);
        admin.get("/audit?orderId=01900000-0000-7000-8000-000000000000").problem(404);
        order
    }

    fn until(&self, what: &str, done: impl Fn() -> bool) {
        let begun = Instant::now();
        while !done() {
            assert!(begun.elapsed() < SOON, "{what}: not within {SOON:?}");
            sleep(Duration::from_millis(20));
        }
    }

    fn sealed(&self) {
        self.until("rows are sealed", || (self.sql)("SELECT count(*) FROM audit_unsealed") == "0");
        let told = (self.verify)();
        assert!(told.success && told.printed.contains("the audit log is in order"), "{told:?}");
        assert!(told.printed.contains("sealed rows of the audit log, 0 wait"), "{told:?}");
    }

    /// A hundred thousand lines of others do not make it slow.
    fn asked_in_time(&self, order: &str) {
        let many = if self.is_postgres {
            format!(
                "INSERT INTO audit (id, county, at, person_id, action, resource_id, subject_id) \
                 SELECT gen_random_uuid(), '140724', now(), gen_random_uuid(), 'contact_read', gen_random_uuid(), \
                 gen_random_uuid() FROM generate_series(1, {MANY})"
            )
        } else {
            format!(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY}) \
                 INSERT INTO audit (id, county, at, person_id, action, resource_id, subject_id) \
                 SELECT randomblob(16), '140724', '2026-01-01 00:00:00+00:00', randomblob(16), 'contact_read', \
                 randomblob(16), randomblob(16) FROM n"
            )
        };
        let _ = (self.sql)(&many);
        let auditor = self.log_in("auditor");
        let path = format!("/audit?orderId={order}&limit=5");
        let fastest = (0..5).map(|_| {
            let begun = Instant::now();
            assert_eq!(auditor.get(&path).expect(200)["items"].as_array().map(Vec::len), Some(5));
            begun.elapsed()
        });
        let fastest = fastest.min().expect("five of them");
        println!("asked among {MANY} lines: {fastest:?}");
        assert!(fastest < Duration::from_millis(500), "{fastest:?}");
        let page = auditor.get(&path).expect(200);
        let next = page["nextCursor"].as_str().expect("there are more");
        let more = auditor.get(&format!("{path}&cursor={next}")).expect(200);
        assert_ne!(page["items"][0]["id"], more["items"][0]["id"]);
    }

    fn append_only(&self) {
        for change in ["UPDATE audit SET reason = ''", "DELETE FROM audit", "DELETE FROM audit_seal"] {
            let changed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (self.sql)(change)));
            assert!(changed.is_err(), "{change} was let through");
        }
    }

    /// A row that is taken out within the second before its seal, from both tables, leaves a gap in its slot's numbers.
    fn taken_out_unsealed(&self) {
        let id = "01900000-0000-7000-8000-0000000000aa";
        let (bytes, now) = if self.is_postgres {
            (format!("'{id}'"), "now()")
        } else {
            (format!("X'{}'", id.replace('-', "")), "'2026-01-01 00:00:00+00:00'")
        };
        let insert = format!(
            "INSERT INTO audit (id, county, at, person_id, action, resource_id) \
             VALUES ({bytes}, '140724', {now}, {bytes}, 'contact_revealed', {bytes})"
        );
        let gone = [
            insert.clone(),
            format!("DELETE FROM audit_unsealed WHERE audit_id = {bytes}"),
            format!("DELETE FROM audit WHERE id = {bytes}"),
        ];
        self.at_once(&gone);
        let told = (self.verify)();
        assert!(!told.success && told.printed.contains("was taken out before it was sealed"), "{told:?}");
        // Whoever sets the counter back, too, has to know of it; then the last of a slot can go. See docs/privacy.md.
        let _ = (self.sql)(
            "UPDATE audit_slot SET n = n - 1 WHERE slot IN (SELECT s.slot FROM audit_slot s WHERE s.n > \
             (SELECT count(*) FROM audit_seal x WHERE x.slot = s.slot) + \
             (SELECT count(*) FROM audit_unsealed u WHERE u.slot = s.slot))",
        );
        assert!((self.verify)().success);
        let _ = (self.sql)("UPDATE audit_slot SET n = n - 1");
        let told = (self.verify)();
        assert!(!told.success && told.printed.contains("its counter was set back"), "{told:?}");
        let _ = (self.sql)("UPDATE audit_slot SET n = n + 1");
        self.only_the_row(&insert, &bytes);
    }

    /// The same, but its note among those that wait is left there.
    fn only_the_row(&self, insert: &str, bytes: &str) {
        self.at_once(&[insert.to_owned(), format!("DELETE FROM audit WHERE id = {bytes}")]);
        let told = (self.verify)();
        assert!(!told.success && told.printed.contains("taken out before it was sealed"), "{told:?}");
        self.at_once(&[
            format!("DELETE FROM audit_unsealed WHERE audit_id = {bytes}"),
            "UPDATE audit_slot SET n = n - 1 WHERE slot IN (SELECT s.slot FROM audit_slot s WHERE s.n > \
             (SELECT count(*) FROM audit_seal x WHERE x.slot = s.slot) + \
             (SELECT count(*) FROM audit_unsealed u WHERE u.slot = s.slot))"
                .to_owned(),
        ]);
        assert!((self.verify)().success);
    }

    /// Several statements in one transaction, so that no seal comes between.
    fn at_once(&self, statements: &[String]) {
        let _ = (self.sql)(&statements.join(";\n"));
    }

    /// Whoever takes the triggers away first is found: the first bad row is named.
    fn tampered(&self) {
        let drop: &[&str] = if self.is_postgres {
            &[
                "ALTER TABLE audit DISABLE TRIGGER audit_append_only",
                "ALTER TABLE audit_seal DISABLE TRIGGER audit_seal_append_only",
            ]
        } else {
            &[
                "DROP TRIGGER audit_no_update",
                "DROP TRIGGER audit_no_delete",
                "DROP TRIGGER audit_seal_no_delete",
            ]
        };
        for statement in drop {
            let _ = (self.sql)(statement);
        }
        self.until("the many are sealed", || (self.sql)("SELECT count(*) FROM audit_unsealed") == "0");
        let begun = Instant::now();
        assert!((self.verify)().success);
        println!("checked in {:?}", begun.elapsed());
        self.taken_out_unsealed();
        let row_of = |seq: u32| format!("(SELECT audit_id FROM audit_seal WHERE seq = {seq})");
        let keep =
            format!("CREATE TABLE kept AS SELECT * FROM audit WHERE id IN ({}, {})", row_of(3), row_of(5));
        let _ = (self.sql)(&keep);
        for (change, back, complaint) in [
            (
                format!("UPDATE audit SET reason = 'x' WHERE id = {}", row_of(3)),
                format!(
                    "UPDATE audit SET reason = (SELECT reason FROM kept WHERE id = {0}) WHERE id = {0}",
                    row_of(3)
                ),
                "(number 3): not what was sealed",
            ),
            (
                format!("DELETE FROM audit WHERE id = {}", row_of(5)),
                format!("INSERT INTO audit SELECT * FROM kept WHERE id = {}", row_of(5)),
                "(number 5): the row is gone",
            ),
        ] {
            let _ = (self.sql)(&change);
            let told = (self.verify)();
            assert!(!told.success && told.printed.contains(complaint), "{change}: {told:?}");
            let _ = (self.sql)(&back);
        }
        // The row is back, and its trigger has put it among those that wait: it is not sealed a second time.
        self.until("nothing waits", || (self.sql)("SELECT count(*) FROM audit_unsealed") == "0");
        let told = (self.verify)();
        assert!(told.success, "as it was: {told:?}");
        let _ = (self.sql)("DELETE FROM audit_seal WHERE seq = (SELECT max(seq) FROM audit_seal)");
        let told = (self.verify)();
        assert!(!told.success && told.printed.contains("its tail was cut"), "{told:?}");
    }
}
