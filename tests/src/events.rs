//! Somebody who listens to the stream of events, on a connection of his own.

use std::{
    io::{BufRead, BufReader, ErrorKind, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::client::{API, Client};

/// An event as it came.
#[derive(Clone, Debug, Default)]
pub struct Event {
    /// Its id, to come back with.
    pub id: Option<String>,
    /// What it is.
    pub name: String,
    /// What it says.
    pub data: Value,
}

/// A stream that is being read.
#[derive(Debug)]
pub struct Events {
    /// The HTTP status.
    pub status: u16,
    reader: BufReader<TcpStream>,
}

impl Events {
    /// Begins to listen, after `last_heard` if that is given.
    ///
    /// # Panics
    /// When nobody answers.
    #[must_use]
    pub fn listen(client: &Client, last_heard: Option<&str>) -> Self {
        let address = client.base().strip_prefix("http://").expect("a plain address");
        let mut stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a time above zero");
        let token =
            client.token().map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let last = last_heard.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let request = format!("GET {API}/stream HTTP/1.1\r\nHost: {address}\r\n{token}{last}\r\n");
        stream.write_all(request.as_bytes()).expect("the server reads");
        let mut events = Self { status: 0, reader: BufReader::new(stream) };
        let until = Instant::now() + Duration::from_secs(30);
        let head = events.line(until).expect("an answer");
        events.status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        while events.line(until).is_some_and(|line| !line.is_empty()) {}
        events
    }

    /// The next event within this time; none when none came, or the stream has ended.
    pub fn next_within(&mut self, wait: Duration) -> Option<Event> {
        let until = Instant::now() + wait;
        let mut event = Event::default();
        loop {
            // What is neither a field nor the end of an event is the length of a chunk, or a sign of life.
            let line = self.line(until)?;
            if let Some(id) = line.strip_prefix("id: ") {
                event.id = Some(id.to_owned());
            } else if let Some(name) = line.strip_prefix("event: ") {
                event.name = name.to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                event.data = serde_json::from_str(data).expect("data are JSON");
            } else if line.is_empty() && !event.name.is_empty() {
                return Some(event);
            }
        }
    }

    /// Whether the server ends the stream within this time.
    pub fn ends_within(&mut self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        while Instant::now() < until {
            let mut line = String::new();
            match self.reader.read_line(&mut line) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return true,
            }
        }
        false
    }

    fn line(&mut self, until: Instant) -> Option<String> {
        let mut line = Vec::new();
        while Instant::now() < until {
            match self.reader.read_until(b'\n', &mut line) {
                Ok(0) => return None,
                Ok(_) if line.ends_with(b"\n") => {
                    return Some(String::from_utf8_lossy(&line).trim_end().to_owned());
                }
                Ok(_) => {}
                // What was read until then is kept in `line`.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return None,
            }
        }
        None
    }
}
