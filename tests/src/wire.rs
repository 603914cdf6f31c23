//! The wire between the program and PostgreSQL, tapped: how often it asked and waited, and what it asked.
//!
//! A proxy on a loopback port that hands every byte on and reads along, in PostgreSQL's protocol
//! (<https://www.postgresql.org/docs/current/protocol-message-formats.html>): a round trip ends with the server's
//! `ReadyForQuery`, a statement is named in `Bind` or written out in `Query`. Its threads end with their connections.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use crate::services::Postgres;

/// What went over the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// How often the program asked and waited for the answer.
    pub round_trips: u64,
    /// How many of them prepared a statement, which each connection does once.
    pub preparing: u64,
    /// The statements that it ran, in their order on each connection.
    pub statements: Vec<String>,
}

/// A tapped way to a PostgreSQL.
#[derive(Debug)]
pub struct Wire {
    port: u16,
    traffic: Arc<Mutex<Traffic>>,
}

impl Wire {
    /// Taps a way to this server, which must outlive it.
    ///
    /// # Panics
    /// When no loopback port is free.
    #[must_use]
    pub fn to(postgres: &Postgres) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        let port = listener.local_addr().expect("its address").port();
        let traffic = Arc::new(Mutex::new(Traffic::default()));
        let (server, tapped) = (port_of(&postgres.url()), Arc::clone(&traffic));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A server that is down refuses; the program sees its connection end.
                if let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) {
                    tap(client, server, &tapped);
                }
            }
        });
        Self { port, traffic }
    }

    /// This address of a database, by this way. Unencrypted, so that it can be read along.
    ///
    /// # Panics
    /// When there is no port in it.
    #[must_use]
    pub fn url(&self, url: &str) -> String {
        let (front, back) = url.rsplit_once(':').expect("an address with a port");
        let (_, database) = back.split_once('/').expect("an address with a database");
        format!("{front}:{}/{database}?sslmode=disable", self.port)
    }

    /// What went over it since the last time that this was asked.
    #[must_use]
    pub fn take(&self) -> Traffic {
        std::mem::take(&mut *lock(&self.traffic))
    }
}

fn lock(traffic: &Mutex<Traffic>) -> MutexGuard<'_, Traffic> {
    traffic.lock().unwrap_or_else(PoisonError::into_inner)
}

fn port_of(url: &str) -> u16 {
    let after = url.rsplit_once(':').expect("an address with a port").1;
    after.split('/').next().and_then(|port| port.parse().ok()).expect("a port")
}

fn tap(client: TcpStream, server: TcpStream, traffic: &Arc<Mutex<Traffic>>) {
    let again = |stream: &TcpStream| stream.try_clone().expect("a stream again");
    let (mut to_server, mut to_client) = (again(&server), again(&client));
    let (asked, answered) = (Arc::clone(traffic), Arc::clone(traffic));
    for stream in [&client, &server] {
        stream.set_nodelay(true).expect("a loopback stream");
    }
    thread::spawn(move || {
        // Either way to end is the end of the connection.
        let _ = hand_on_questions(client, &mut to_server, &asked);
        let _ = to_server.shutdown(Shutdown::Both);
    });
    thread::spawn(move || {
        let _ = hand_on_answers(server, &mut to_client, &answered);
        let _ = to_client.shutdown(Shutdown::Both);
    });
}

/// Reads a message: its kind, if it has one, its length, its contents.
fn message(from: &mut impl Read, has_kind: bool) -> io::Result<Vec<u8>> {
    let mut whole = vec![0; if has_kind { 5 } else { 4 }];
    from.read_exact(&mut whole)?;
    let (_, length) = whole.split_at(whole.len() - 4);
    let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
    let head = whole.len();
    whole.resize(head + length.saturating_sub(4), 0);
    from.read_exact(&mut whole[head..])?;
    Ok(whole)
}

fn hand_on_questions(
    mut client: TcpStream,
    server: &mut impl Write,
    traffic: &Mutex<Traffic>,
) -> io::Result<()> {
    let mut prepared: HashMap<Vec<u8>, String> = HashMap::new();
    // The first message is the only one without a kind.
    server.write_all(&message(&mut client, false)?)?;
    loop {
        let whole = message(&mut client, true)?;
        let mut texts = whole[5..].split(|byte| *byte == 0);
        let mut next = || texts.next().unwrap_or_default();
        match whole[0] {
            b'P' => {
                let name = next().to_vec();
                prepared.insert(name, text(next()));
                lock(traffic).preparing += 1;
            }
            b'B' => {
                let _portal = next();
                let statement = prepared.get(next()).cloned().unwrap_or_else(|| "(unknown)".to_owned());
                lock(traffic).statements.push(statement);
            }
            b'Q' => lock(traffic).statements.push(text(next())),
            _ => {}
        }
        server.write_all(&whole)?;
    }
}

fn hand_on_answers(
    mut server: TcpStream,
    client: &mut impl Write,
    traffic: &Mutex<Traffic>,
) -> io::Result<()> {
    loop {
        let whole = message(&mut server, true)?;
        if whole[0] == b'Z' {
            lock(traffic).round_trips += 1;
        }
        client.write_all(&whole)?;
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
