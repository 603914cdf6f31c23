//! A server process that ends with the test process.

use std::{
    io,
    process::{Child, Command},
    sync::{LazyLock, Mutex, PoisonError, mpsc},
    thread,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// A command, and where to send the child it became.
type Birth = (Command, mpsc::Sender<io::Result<Child>>);

/// The thread that starts every server, because a server dies with the thread that started it (see the module above).
static NURSERY: LazyLock<Mutex<mpsc::Sender<Birth>>> = LazyLock::new(|| {
    let (sender, births) = mpsc::channel::<Birth>();
    let deliver_all = move || {
        for (mut command, receiver) in births {
            // The receiver waits, so it is there.
            let _ = receiver.send(command.spawn());
        }
    };
    thread::Builder::new().name("nursery".to_owned()).spawn(deliver_all).expect("a thread");
    Mutex::new(sender)
});

/// A running server. Dropping it kills it and waits for its end.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
}

impl Server {
    /// Starts `command`, which should be made by [`dying_with_its_parent`].
    pub(crate) fn start(command: Command) -> Self {
        let (sender, receiver) = mpsc::channel();
        let name = format!("{command:?}");
        NURSERY
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .send((command, sender))
            .expect("the nursery lives");
        let born = receiver.recv().expect("the nursery answers");
        Self { child: born.unwrap_or_else(|error| panic!("cannot start {name}: {error}")) }
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended by itself.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child of ours").is_none()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        send(self.process_id(), signal);
    }

    /// The processes that the server started and that are its children still.
    pub(super) fn children(&self) -> Vec<u32> {
        let processes = std::fs::read_dir("/proc").expect("/proc");
        let numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        numbers.filter(|&process| parent(process) == Some(self.process_id())).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error here says that it has ended and been waited for already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process, which may have ended meanwhile.
pub(super) fn send(process: u32, signal: Signal) {
    let process = Pid::from_raw(i32::try_from(process).expect("a process number"));
    let _ = kill(process, signal);
}

/// The parent of a process: the second field after the name, which stands in parentheses and may contain anything.
fn parent(process: u32) -> Option<u32> {
    let facts = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    facts.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Makes `command`, which begins with `setpriv`, one whose process the kernel kills when its parent dies. What follows
/// is the program and its arguments.
pub(crate) fn dying_with_its_parent(command: &mut Command) -> &mut Command {
    command.args(["--pdeathsig", "KILL"])
}
