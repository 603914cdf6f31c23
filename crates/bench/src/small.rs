//! What runs once: memory, start-up, SQLite.

use std::time::{Duration, Instant};

use xingfuma_tests::client::{Client, LogIn};
use xingfuma_tests::program::Demo;

use crate::duel::median;
use crate::http::Request;
use crate::load::{Source, closed};
use crate::report::{Figure, Limit, Report};
use crate::requests::fresh_key;
use crate::sample::place_body;
use crate::stage::{Stage, address};
use crate::usage::peak_mib;

/// Most memory of server and worker, after everything that they were put through.
pub(crate) fn note_memory(stage: &Stage, report: &mut Report) {
    report.add(Figure::new(
        "peak memory of serve",
        peak_mib(stage.server_process()),
        "MiB",
        Limit::AtMost(64.0),
    ));
    let worker = stage.workers_peak_mib();
    report.add(Figure::new("peak memory of worker", worker, "MiB", Limit::AtMost(48.0)));
    report.add(Figure::new(
        "peak memory of the floor",
        peak_mib(stage.floor.process_id()),
        "MiB",
        Limit::None,
    ));
}

/// From nothing to ready, on the database as it is now.
pub(crate) fn measure_start(stage: &mut Stage, rounds: usize, report: &mut Report) {
    let mut took = Vec::new();
    for _ in 0..rounds {
        stage.fleet.servers[0].kill();
        let begun = Instant::now();
        stage.fleet.servers[0].restart();
        took.push(begun.elapsed().as_secs_f64());
    }
    report.add(Figure::new("start of serve on a filled database", median(&took), "s", Limit::AtMost(1.0)));
}

/// Placements by the few people who can log in to the demo.
struct DemoPlacements {
    tokens: Vec<String>,
    sign: String,
    next: usize,
}

impl Source for DemoPlacements {
    fn next(&mut self) -> Option<Request> {
        self.next += 1;
        let token = &self.tokens[self.next % self.tokens.len()];
        Some(Request::post("/api/v1/orders", token, &fresh_key(), &place_body(&self.sign)))
    }

    fn expected(&self) -> u16 {
        201
    }
}

/// Placing on SQLite with `synchronous=FULL`, everything in one process, its queue and its worker included.
pub(crate) async fn measure_sqlite(rounds: usize, round: Duration, report: &mut Report) {
    let demo = Demo::start_with(&[("XINGFUMA_LIMITS__FACTOR", "100000")]);
    let accounts = demo.accounts();
    let people = accounts.all("resident").into_iter().chain(accounts.team());
    let tokens: Vec<String> = people.map(|account| token(demo.base(), &account.log_in)).collect();
    let mut source = DemoPlacements { tokens, sign: accounts.sign().to_owned(), next: 0 };
    closed(address(demo.base()), 32, round / 2, &mut source).await;
    let mut per_second = Vec::new();
    for _ in 0..rounds {
        per_second.push(closed(address(demo.base()), 32, round, &mut source).await.per_second());
    }
    let name = "placing on SQLite, synchronous=FULL, 32 connections";
    report.add(Figure::new(name, median(&per_second), "/s", Limit::AtLeast(6_000.0)));
    let memory = peak_mib(demo.process_id().expect("the demo runs"));
    report.add(Figure::new("peak memory of demo", memory, "MiB", Limit::AtMost(256.0)));
}

fn token(base: &str, log_in: &LogIn) -> String {
    let LogIn::WeChat { code } = log_in else { panic!("residents and volunteers log in with WeChat") };
    let answer =
        Client::anonymous(base).post("/auth/wechat", &serde_json::json!({ "code": code })).expect(200);
    answer["accessToken"].as_str().expect("an access token").to_owned()
}
