//! Clients that take their time: heads and bodies that come a byte at a time, over raw sockets. Each is let go within a
//! bounded time, the program's memory does not grow with them, and others are answered as ever.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::json;
use xingfuma_tests::{client::Client, program::Demo};

/// Slow ones of each kind.
const SLOW: usize = 300;
/// Every slow one is let go within this time: heads have 5 seconds, bodies 15, and the machine may be busy.
const LET_GO_WITHIN: Duration = Duration::from_secs(40);
/// What others may wait for an answer meanwhile.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// What the program may grow by, in KiB: twice what it keeps for a connection, for 600 of them.
const GROWTH_AT_MOST: u64 = 96 * 1024;

#[test]
fn slow_clients_are_let_go_and_harm_nobody() {
    let demo = Demo::start();
    let address = demo.base().strip_prefix("http://").expect("an address").to_owned();
    let resident = Client::log_in(demo.base(), demo.accounts().one("resident"));
    for _ in 0..50 {
        resident.get("/me").expect(200);
    }
    let memory = memory(&demo);
    let begun = Instant::now();
    let head = b"GET /api/v1/me HTTP/1.1\r\nHost: a\r\nX-Long: ";
    let body = b"POST /api/v1/auth/wechat HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{\"code\": \"";
    let mut slow: Vec<Slow> = Vec::new();
    for _ in 0..SLOW {
        slow.push(Slow::begin(&address, "head", head));
        slow.push(Slow::begin(&address, "body", body));
    }
    let (mut asked, mut slowest, mut grown) = (0_u32, Duration::ZERO, 0);
    while slow.iter().any(|one| !one.gone) {
        let waiting = slow.iter().filter(|one| !one.gone).count();
        assert!(begun.elapsed() < LET_GO_WITHIN, "{waiting} slow clients were never let go");
        slow.iter_mut().for_each(Slow::drip);
        let sent = Instant::now();
        resident.get("/me").expect(200);
        let log_in =
            Client::anonymous(demo.base()).post("/auth/wechat", &json!({ "code": "demo-resident-2" }));
        log_in.expect(200);
        slowest = slowest.max(sent.elapsed());
        asked += 2;
        grown = grown.max(self::memory(&demo).saturating_sub(memory));
        sleep(Duration::from_millis(200));
    }
    println!(
        "{} slow clients gone after {:?}; {asked} others, the slowest pair {slowest:?}; grown by {grown} KiB",
        slow.len(),
        begun.elapsed()
    );
    assert!(slowest < ANSWER_WITHIN, "others waited for {slowest:?}");
    assert!(asked >= 20, "others were asked {asked} times");
    assert!(grown < GROWTH_AT_MOST, "the program grew by {grown} KiB");
    for kind in ["head", "body"] {
        let told: Vec<&Slow> = slow.iter().filter(|one| one.kind == kind).collect();
        let with_408 = told.iter().filter(|one| one.heard.starts_with(b"HTTP/1.1 408")).count();
        assert!(with_408 * 10 >= told.len() * 9, "{kind}: {with_408} of {} were told 408", told.len());
    }
    resident.get("/me").expect(200);
}

struct Slow {
    kind: &'static str,
    socket: TcpStream,
    heard: Vec<u8>,
    gone: bool,
}

impl Slow {
    fn begin(address: &str, kind: &'static str, first: &[u8]) -> Slow {
        let mut socket = TcpStream::connect(address).expect("a connection");
        socket.write_all(first).expect("the first bytes");
        socket.set_nonblocking(true).expect("a socket that does not wait");
        Slow { kind, socket, heard: Vec::new(), gone: false }
    }

    /// One byte more, and a look at what came back.
    fn drip(&mut self) {
        if self.gone {
            return;
        }
        let written = self.socket.write(b"a");
        let mut buffer = [0; 4096];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => self.gone = true,
                Ok(read) => {
                    self.heard.extend(&buffer[..read]);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.gone = true,
            }
            break;
        }
        self.gone |= written.is_err_and(|error| error.kind() != ErrorKind::WouldBlock);
    }
}

/// Resident memory of the program, in KiB.
fn memory(demo: &Demo) -> u64 {
    let status =
        fs::read_to_string(format!("/proc/{}/status", demo.process_id().expect("it runs"))).expect("facts");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("resident memory");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}
