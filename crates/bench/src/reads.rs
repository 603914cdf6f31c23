//! Reading: one order against the floor; lists, board and scan at a modest rate, with as many orders as were filled in.

use std::time::Duration;

use tokio_postgres::Row;
use uuid::Uuid;

use crate::duel::Duel;
use crate::http::Request;
use crate::load::{closed, open};
use crate::place::{Pace, placements, target, used};
use crate::report::{Figure, Limit, Report};
use crate::requests::{InTurn, Side};
use crate::stage::Stage;

/// Orders that are read in turn.
const READ: i64 = 2_000;
/// Requests a second of each list, over so many connections.
const RATE: u32 = 200;
const CONNECTIONS: usize = 8;

/// What was placed and not filled in.
const PLACED: &str = "placed_at > now() - interval '1 day' AND requester_id IN \
    (SELECT person_id FROM volunteer WHERE status = 'active')";

/// One order, by the resident who placed it.
pub(crate) async fn measure_one(stage: &mut Stage, pace: Pace, report: &mut Report) {
    for side in [Side::Product, Side::Floor] {
        let mut source = placements(stage, side, 0, READ as usize);
        closed(target(stage, side), 32, Duration::from_secs(600), &mut source).await;
    }
    stage.wait_until_dispatched(Duration::from_secs(600)).await;
    let mut duel = Duel::new("read one order", 32, 0.5);
    for round in 0..=pace.rounds {
        stage.people.renew();
        for side in [Side::Product, Side::Floor] {
            let mut source = InTurn::new(of_placed_orders(stage, side).await);
            let before = used(stage, side);
            let outcome = closed(target(stage, side), 32, pace.round, &mut source).await;
            let seconds = used(stage, side).since(before);
            match side {
                _ if round == 0 => {}
                Side::Product => duel.product.note(&outcome, seconds),
                Side::Floor => duel.floor.note(&outcome, seconds),
            }
        }
    }
    println!("{}", crate::report::line(&duel));
    report.duels.push(duel);
}

/// The newest orders that were really placed, each read by whoever placed it. What was filled in is sealed for the order
/// that it was copied from, and nobody can open it.
pub(crate) async fn of_placed_orders(stage: &Stage, side: Side) -> Vec<Request> {
    let (database, placed) = match side {
        Side::Product => (&stage.county, PLACED),
        Side::Floor => (&stage.floor_database, "TRUE"),
    };
    let text = format!("SELECT id, requester_id FROM orders WHERE {placed} ORDER BY id DESC LIMIT $1");
    let rows = database.query(&text, &[&READ]).await.expect("orders");
    rows.iter().map(|row| of_order(stage, side, row)).collect()
}

fn of_order(stage: &Stage, side: Side, row: &Row) -> Request {
    let (order, requester): (Uuid, Uuid) = (row.get(0), row.get(1));
    Request::get(&format!("/api/v1/orders/{order}"), &side.shown(stage.people.find(requester)))
}

/// The lists that people open, 20 at a time, and the scan call.
pub(crate) fn lists(stage: &Stage) -> [(&'static str, Vec<Request>); 6] {
    let everybody = |path: &str| -> Vec<Request> {
        (0..1_000).map(|n| Request::get(path, &stage.people.nth(n).token)).collect()
    };
    let (dispatcher, township) = &stage.people.dispatcher;
    let board = format!("/api/v1/dispatch/board?limit=20&areaCode={township}");
    [
        ("own orders", everybody("/api/v1/orders?scope=own&limit=20")),
        ("team's orders", everybody("/api/v1/orders?scope=team&limit=20")),
        ("all one may see", everybody("/api/v1/orders?limit=20")),
        ("a township's orders", vec![Request::get("/api/v1/orders?scope=area&limit=20", &dispatcher.token)]),
        ("the board", vec![Request::get(&board, &dispatcher.token)]),
        ("the scan call", scans(stage)),
    ]
}

/// The lists at a modest rate.
pub(crate) async fn measure_lists(stage: &mut Stage, during: Duration, report: &mut Report) {
    let orders: i64 =
        stage.county.query_one("SELECT count(*) FROM orders", &[]).await.expect("a count").get(0);
    stage.people.renew();
    for (name, requests) in lists(stage) {
        let mut source = InTurn::new(requests);
        open(stage.product(), CONNECTIONS, RATE, Duration::from_millis(500), &mut source).await;
        let outcome = open(stage.product(), CONNECTIONS, RATE, during, &mut source).await;
        let name = |share: &str| format!("{name}, {orders} orders stored, {share}");
        report.add(Figure::new(&name("p50"), outcome.quantile_ms(0.5), "ms", Limit::None));
        report.add(Figure::new(&name("p99"), outcome.quantile_ms(0.99), "ms", Limit::AtMost(2.0)));
    }
}

fn scans(stage: &Stage) -> Vec<Request> {
    stage.signs.iter().map(|sign| Request::get(&format!("/api/v1/signs/{sign}"), "")).collect()
}

/// An id that sorts by time as the product's do, in the past: a moment per order, the rest from its number.
const FILL: &str = "
CREATE TEMP TABLE life AS SELECT o.*, (SELECT array_agg(e.record ORDER BY e.seq) FROM order_event e
    WHERE e.order_id = o.id) AS records, d.answer, d.question FROM orders o
    JOIN dispatch_decision d ON d.order_id = o.id WHERE o.status = 'rated' LIMIT 1;
CREATE TEMP TABLE who AS SELECT row_number() OVER (ORDER BY person_id) - 1 AS n, person_id, team_id, grid_code
    FROM volunteer WHERE status = 'active';
CREATE TEMP TABLE many AS SELECT i, (lpad(to_hex(1600000000000 + i * 1000), 12, '0') || '7' ||
    substr(md5(i::text), 1, 3) || '8' || substr(md5(i::text), 4, 15))::uuid AS id, w.*
    FROM generate_series(:from::bigint, :to) AS i JOIN who w ON w.n = i * 7919 % (SELECT count(*) FROM who);
INSERT INTO orders (id, county, number, requester_id, placed_by, area_code, category, placed_at, status, version,
    epoch, snapshot, description, private) SELECT m.id, l.county, 100000000000 + m.i, m.person_id, m.person_id,
    m.grid_code, l.category, to_timestamp(1600000000 + m.i), l.status, l.version, l.epoch,
    replace(replace(l.snapshot, l.id::text, m.id::text), l.requester_id::text, m.person_id::text), l.description,
    l.private FROM many m, life l ORDER BY m.i;
INSERT INTO order_event (order_id, seq, county, at, record) SELECT m.id, e.seq, l.county, to_timestamp(1600000000
    + m.i), e.record FROM many m, life l, unnest(l.records) WITH ORDINALITY AS e (record, seq) ORDER BY m.i;
INSERT INTO dispatch_decision (order_id, seq, county, epoch, team_id, decided_at, question, answer)
    SELECT m.id, 2, l.county, 1, m.team_id, to_timestamp(1600000000 + m.i), l.question, l.answer FROM many m, life l
    ORDER BY m.i;
INSERT INTO engagement (person_id, order_id, epoch, county, team_id, accepted_at) SELECT m.person_id, m.id, 1,
    l.county, m.team_id, to_timestamp(1600000000 + m.i) FROM many m, life l ORDER BY m.i;
DROP TABLE many, who, life;
";

/// Fills ended orders in, all of one real life: rows as wide, spread over everybody. Those with numbers up to `there` are
/// there already.
pub(crate) async fn fill(stage: &Stage, there: u64, orders: u64) {
    let begun = std::time::Instant::now();
    let text = FILL.replace(":from", &(there + 1).to_string()).replace(":to", &orders.to_string());
    stage.county.batch_execute(&text).await.expect("orders are filled in");
    stage.county.batch_execute("VACUUM ANALYZE").await.expect("a vacuum");
    println!("filled {} orders in, {:.0} s", orders - there, begun.elapsed().as_secs_f64());
}
