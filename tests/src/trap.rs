//! A way to PostgreSQL or Redis with a trap in it: at a chosen word it does something, such as killing whoever spoke.
//!
//! A proxy on a loopback port that hands every byte on. What the program says is read message by message where that is
//! PostgreSQL's protocol (see [`crate::wire`]), so that a prepared statement is known by its text, and as it comes where it
//! is Redis's, whose commands stand in clear text. The trap springs once, when it is armed: before the word is handed on,
//! or when its answer comes back and before that is handed on. Its connection is then closed without a word.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// What the trap does.
type Spring = Box<dyn FnOnce() + Send>;

/// When it does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The word was said and never arrives.
    Before,
    /// The word was heard and answered, and the answer never arrives.
    After,
}

struct Armed {
    word: String,
    moment: Moment,
    spring: Spring,
}

#[derive(Default)]
struct State {
    armed: Mutex<Option<Armed>>,
    sprung: AtomicU64,
    /// Messages of the program that are counted down to the next reset; 0 for none.
    reset_in: AtomicU64,
    /// Messages of the program that asked for something, since the start.
    asked: AtomicU64,
}

/// Which protocol is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Postgres,
    Redis,
}

/// A way with a trap in it.
pub struct Trap {
    port: u16,
    state: Arc<State>,
}

impl std::fmt::Debug for Trap {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Trap").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Trap {
    /// On the way to the PostgreSQL whose address this is.
    ///
    /// # Panics
    /// When no loopback port is free.
    #[must_use]
    pub fn to_postgres(url: &str) -> Trap {
        Trap::to(url, Protocol::Postgres)
    }

    /// On the way to the Redis whose address this is.
    ///
    /// # Panics
    /// When no loopback port is free.
    #[must_use]
    pub fn to_redis(url: &str) -> Trap {
        Trap::to(url, Protocol::Redis)
    }

    fn to(url: &str, protocol: Protocol) -> Trap {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        let port = listener.local_addr().expect("its address").port();
        let (server, state) = (port_of(url), Arc::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A server that is down refuses; the program sees its connection end.
                if let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) {
                    lead(client, server, protocol, &shared);
                }
            }
        });
        Trap { port, state }
    }

    /// The address by this way. Unencrypted, so that it can be read along.
    #[must_use]
    pub fn url(&self, url: &str) -> String {
        let at = port_of(url).to_string();
        let (front, back) = url.rsplit_once(&at).expect("the port stands in it");
        let plain = if url.starts_with("postgres") { "?sslmode=disable" } else { "" };
        format!("{front}{}{back}{plain}", self.port)
    }

    /// Arms it: at the next word that contains `word`, `spring` is called.
    pub fn arm(&self, word: &str, moment: Moment, spring: impl FnOnce() + Send + 'static) {
        *lock(&self.state.armed) = Some(Armed { word: word.to_owned(), moment, spring: Box::new(spring) });
    }

    /// Waits until it has sprung so often since it was made.
    ///
    /// # Panics
    /// When it does not.
    pub fn wait_until_sprung(&self, times: u64, within: Duration) {
        let begun = Instant::now();
        while self.state.sprung.load(Ordering::Acquire) < times {
            assert!(begun.elapsed() < within, "nobody said the word within {within:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Resets the connection on which the program asks for the `nth` time from now on (1 is the next); 0 never.
    pub fn reset_at(&self, nth: u64) {
        self.state.reset_in.store(nth, Ordering::Release);
    }

    /// How often the program asked so far.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.state.asked.load(Ordering::Acquire)
    }
}

impl State {
    /// Takes the armed trap if this word is its, said or answered at this moment.
    fn take(&self, word: &str, moment: Moment) -> Option<Spring> {
        let mut armed = lock(&self.armed);
        if armed.as_ref().is_some_and(|armed| armed.moment == moment && word.contains(&armed.word)) {
            return armed.take().map(|armed| armed.spring);
        }
        None
    }

    fn spring(&self, spring: Spring) -> io::Error {
        spring();
        self.sprung.fetch_add(1, Ordering::AcqRel);
        io::ErrorKind::ConnectionReset.into()
    }

    /// Whether this is the question at which the connection is reset.
    fn is_reset_now(&self) -> bool {
        self.asked.fetch_add(1, Ordering::AcqRel);
        let counted =
            self.reset_in.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1));
        counted == Ok(1)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn port_of(url: &str) -> u16 {
    let after = url.rsplit_once(':').expect("an address with a port").1;
    after.split('/').next().and_then(|port| port.parse().ok()).expect("a port")
}

fn lead(client: TcpStream, server: TcpStream, protocol: Protocol, state: &Arc<State>) {
    let again = |stream: &TcpStream| stream.try_clone().expect("a stream again");
    for stream in [&client, &server] {
        stream.set_nodelay(true).expect("a loopback stream");
    }
    // What was said last on this connection and not answered yet.
    let said = Arc::new(Mutex::new(String::new()));
    let (asking, answering) = ((again(&client), again(&server)), (again(&server), again(&client)));
    let (asked, answered) = ((Arc::clone(state), Arc::clone(&said)), (Arc::clone(state), said));
    thread::spawn(move || {
        let (mut from, mut to) = asking;
        // Either way to end is the end of the connection.
        let _ = match protocol {
            Protocol::Postgres => hand_on_statements(&mut from, &mut to, &asked.0, &asked.1),
            Protocol::Redis => hand_on_commands(&mut from, &mut to, &asked.0, &asked.1),
        };
        close(&from, &to);
    });
    thread::spawn(move || {
        let (mut from, mut to) = answering;
        let _ = hand_on_answers(&mut from, &mut to, &answered.0, &answered.1);
        close(&from, &to);
    });
}

fn close(one: &TcpStream, other: &TcpStream) {
    for stream in [one, other] {
        // It may be closed already.
        let _ = stream.shutdown(Shutdown::Both);
    }
}

fn say(text: &str, state: &State, said: &Mutex<String>) -> io::Result<()> {
    text.clone_into(&mut lock(said));
    match state.take(text, Moment::Before) {
        Some(spring) => Err(state.spring(spring)),
        None => Ok(()),
    }
}

fn hand_on_commands(
    from: &mut TcpStream,
    to: &mut TcpStream,
    state: &State,
    said: &Mutex<String>,
) -> io::Result<()> {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let length = from.read(&mut bytes)?;
        if length == 0 {
            return Ok(());
        }
        say(&String::from_utf8_lossy(&bytes[..length]), state, said)?;
        to.write_all(&bytes[..length])?;
    }
}

/// A message of PostgreSQL's: its kind, if it has one, its length, its contents.
fn message(from: &mut TcpStream, has_kind: bool) -> io::Result<Vec<u8>> {
    let mut whole = vec![0; if has_kind { 5 } else { 4 }];
    from.read_exact(&mut whole)?;
    let (_, length) = whole.split_at(whole.len() - 4);
    let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
    let head = whole.len();
    whole.resize(head + length.saturating_sub(4), 0);
    from.read_exact(&mut whole[head..])?;
    Ok(whole)
}

fn hand_on_statements(
    from: &mut TcpStream,
    to: &mut TcpStream,
    state: &State,
    said: &Mutex<String>,
) -> io::Result<()> {
    let mut prepared: HashMap<Vec<u8>, String> = HashMap::new();
    // The first message is the only one without a kind.
    to.write_all(&message(from, false)?)?;
    loop {
        let whole = message(from, true)?;
        let mut texts = whole[5..].split(|byte| *byte == 0);
        let mut next = || texts.next().unwrap_or_default();
        let statement = match whole[0] {
            b'P' => {
                let name = next().to_vec();
                let _ = prepared.insert(name, String::from_utf8_lossy(next()).into_owned());
                None
            }
            b'B' => {
                let _portal = next();
                Some(prepared.get(next()).cloned().unwrap_or_default())
            }
            b'Q' => Some(String::from_utf8_lossy(next()).into_owned()),
            _ => None,
        };
        if let Some(statement) = statement {
            say(&statement, state, said)?;
            if state.is_reset_now() {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
        }
        to.write_all(&whole)?;
    }
}

fn hand_on_answers(
    from: &mut TcpStream,
    to: &mut TcpStream,
    state: &State,
    said: &Mutex<String>,
) -> io::Result<()> {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let length = from.read(&mut bytes)?;
        if length == 0 {
            return Ok(());
        }
        let word = lock(said).clone();
        if let Some(spring) = state.take(&word, Moment::After) {
            return Err(state.spring(spring));
        }
        to.write_all(&bytes[..length])?;
    }
}
