//! Somebody at a desk who listens to the live stream, in a thread of his own: when he is told of each order's dispatch.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::Deserialize;
use uuid::Uuid;

use crate::people::Person;

/// How long he waits for the stream to begin.
const BEGINS_WITHIN: Duration = Duration::from_secs(10);

/// A connection to `GET /stream`.
pub(crate) struct Listener {
    connection: TcpStream,
    thread: JoinHandle<HashMap<Uuid, Instant>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Changed {
    order_id: Uuid,
    status: String,
}

impl Listener {
    /// Listens as this person; answers when the stream has begun.
    ///
    /// # Panics
    /// When the server does not let him listen: nothing would be measured.
    pub(crate) fn listen(server: SocketAddr, person: &Person) -> Listener {
        let mut connection = TcpStream::connect(server).expect("the server takes connections");
        connection.set_read_timeout(Some(BEGINS_WITHIN)).expect("a time-out");
        let request = format!(
            "GET /api/v1/stream HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {}\r\n\r\n",
            person.token
        );
        connection.write_all(request.as_bytes()).expect("the server reads");
        let mut lines = BufReader::new(connection.try_clone().expect("a second handle"));
        let mut line = String::new();
        while line.trim_end() != "event: begins" {
            line.clear();
            let read = lines.read_line(&mut line).expect("the stream begins");
            assert!(read > 0, "the stream ended before it began");
        }
        connection.set_read_timeout(None).expect("no time-out");
        Listener { connection, thread: std::thread::spawn(move || told(lines)) }
    }

    /// Hangs up; answers when each order was first said to be dispatched.
    pub(crate) fn hang_up(self) -> HashMap<Uuid, Instant> {
        // The server may have been quicker; then the thread has ended already.
        let _ = self.connection.shutdown(Shutdown::Both);
        self.thread.join().expect("the listener ends")
    }
}

/// Reads until the connection ends. Each event is a chunk of its own, so no `data:` line is cut by the length of one.
fn told(lines: impl BufRead) -> HashMap<Uuid, Instant> {
    let mut told = HashMap::new();
    for line in lines.lines() {
        let Ok(line) = line else { break };
        let Some(data) = line.strip_prefix("data: ") else { continue };
        let Ok(changed) = serde_json::from_str::<Changed>(data) else { continue };
        if changed.status == "dispatched" {
            told.entry(changed.order_id).or_insert_with(Instant::now);
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_of_a_dispatch_counts() {
        const ONE: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
        const OTHER: &str = "01890a5d-ac96-774b-bcce-b302099a8058";
        let event = |order: &str, status: &str| {
            let event = format!(
                "id: 1\nevent: changed\ndata: {{\"orderId\":\"{order}\",\"status\":\"{status}\"}}\n\n"
            );
            format!("{:x}\r\n{event}\r\n", event.len())
        };
        let stream = [
            "a\r\n: alive\n\n\r\n".to_owned(),
            event(ONE, "placed"),
            event(OTHER, "dispatched"),
            event(ONE, "dispatched"),
            event(OTHER, "dispatched"),
        ];
        let begun = Instant::now();
        let told = told(BufReader::new(stream.concat().as_bytes()));
        let at = |order: &str| told[&order.parse::<Uuid>().expect("an id")];
        assert_eq!(told.len(), 2);
        assert!(begun <= at(OTHER) && at(OTHER) <= at(ONE));
    }
}
