//! A private Redis.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    process::{Command, Stdio},
    sync::OnceLock,
    thread::sleep,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;

use super::{LOOK_AGAIN, READY_WITHIN, STARTS, child::Server, child::dying_with_its_parent, free_port};
use super::{home::Home, last_lines, program};

/// How long a test waits for an answer of a Redis that it has not stopped.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A private Redis on a free loopback port, killed and removed when dropped.
#[derive(Debug)]
pub struct Redis {
    // Dropped in this order: first the server, then its directory.
    server: Option<Server>,
    port: u16,
    append_only: bool,
    /// Where it speaks with its like, if it is a node of a cluster.
    bus_port: Option<u16>,
    home: Home,
}

impl Redis {
    /// Starts one that keeps nothing on disk: after [`Redis::kill`] and [`Redis::restart`] it is empty.
    ///
    /// # Panics
    /// When Redis is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_anywhere(false, false)
    }

    /// Starts one as in production: with an append-only file, and refusing writes rather than forgetting keys when its
    /// memory is full.
    ///
    /// # Panics
    /// When Redis is not installed or does not start.
    #[must_use]
    pub fn start_with_aof() -> Self {
        Self::start_anywhere(true, false)
    }

    /// The one Redis of this test process, started at the first call; keeps nothing on disk.
    ///
    /// # Panics
    /// When Redis is not installed or does not start.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Redis> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Starts one that is to become a node of a cluster.
    pub(super) fn start_as_node() -> Self {
        Self::start_anywhere(false, true)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn bus_port(&self) -> u16 {
        self.bus_port.expect("a node of a cluster")
    }

    fn start_anywhere(append_only: bool, is_node: bool) -> Self {
        let home = Home::new("redis");
        let mut redis = Self { server: None, port: 0, append_only, bus_port: None, home };
        for _ in 0..STARTS {
            redis.port = free_port();
            redis.bus_port = is_node.then(free_port);
            if redis.try_to_run() {
                return redis;
            }
        }
        redis.give_up()
    }

    /// Its address: `redis://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// Its temporary directory, with its log and its data.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Its process number while it runs.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.server.as_ref().map(Server::process_id)
    }

    /// Kills it as a power cut would (`SIGKILL`) and waits for its end.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Starts it again on the same port with what the disk has; kills it before if it runs.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        self.kill();
        for _ in 0..STARTS {
            if self.try_to_run() {
                return;
            }
        }
        self.give_up()
    }

    /// Makes it hang (`SIGSTOP`): it takes connections and bytes, and answers nothing.
    pub fn stop(&mut self) {
        self.server().signal(Signal::SIGSTOP);
    }

    /// Ends the hanging (`SIGCONT`): it answers all that it was sent.
    pub fn cont(&mut self) {
        self.server().signal(Signal::SIGCONT);
    }

    /// Sends one command and returns its answer: a status, a number or a string as text, or an error's text.
    ///
    /// # Errors
    /// The text of the error with which Redis answered.
    ///
    /// # Panics
    /// When Redis cannot be reached, does not answer, or answers with a list.
    pub fn command(&self, words: &[&str]) -> Result<String, String> {
        self.try_command(words).unwrap_or_else(|error| panic!("Redis does not answer {words:?}: {error}"))
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("Redis was killed and not started again")
    }

    fn try_to_run(&mut self) -> bool {
        self.server = Some(Server::start(self.start_command()));
        let begun = Instant::now();
        while begun.elapsed() < READY_WITHIN && self.server.as_mut().is_some_and(Server::is_running) {
            if self.is_ready() {
                return true;
            }
            sleep(LOOK_AGAIN);
        }
        self.server = None;
        false
    }

    fn start_command(&self) -> Command {
        let log =
            File::options().create(true).append(true).open(self.home.path().join("log")).expect("a log");
        let mut command = Command::new("setpriv");
        dying_with_its_parent(&mut command)
            .arg(program("redis-server", &[], "redis-server"))
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", if self.append_only { "yes" } else { "no" }])
            .args(["--maxmemory-policy", "noeviction"])
            .args(self.bus_port.iter().flat_map(|port| {
                ["--cluster-enabled", "yes", "--cluster-port"]
                    .map(str::to_owned)
                    .into_iter()
                    .chain([port.to_string()])
            }))
            .arg("--dir")
            .arg(self.home.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log again"))
            .stderr(log);
        command
    }

    /// Whether it answers, and it is ours: another may have been quicker to take the port.
    fn is_ready(&self) -> bool {
        let answer = self.try_command(&["INFO", "server"]).ok().and_then(Result::ok);
        let ours = format!("process_id:{}", self.server().process_id());
        let is_ours = answer.is_some_and(|facts| facts.lines().any(|line| line == ours));
        // INFO is answered while the data is still being loaded; PING is not.
        is_ours && self.try_command(&["PING"]).is_ok_and(|answer| answer.is_ok())
    }

    fn try_command(&self, words: &[&str]) -> io::Result<Result<String, String>> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        stream.write_all(request.as_bytes())?;
        read_answer(BufReader::new(stream))
    }

    fn give_up(&self) -> ! {
        panic!("Redis did not start; its log ends with:\n{}", last_lines(&self.home.path().join("log")))
    }
}

/// Reads one answer in Redis's protocol (<https://redis.io/docs/latest/develop/reference/protocol-spec/>), lists
/// excepted.
fn read_answer(mut stream: impl BufRead) -> io::Result<Result<String, String>> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let line = line.trim_end();
    let Some(kind) = line.chars().next() else { return Err(io::ErrorKind::UnexpectedEof.into()) };
    let rest = &line[kind.len_utf8()..];
    match kind {
        '+' | ':' => Ok(Ok(rest.to_owned())),
        '-' => Ok(Err(rest.to_owned())),
        '$' => {
            let mut text = String::new();
            let length = rest.parse().map_err(io::Error::other)?;
            stream.take(length).read_to_string(&mut text)?;
            Ok(Ok(text))
        }
        _ => Err(io::Error::other(format!("an answer of a kind that is not read here: {line}"))),
    }
}
