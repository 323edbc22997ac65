//! A real node, and the real command line, in a home of their own: no fixed ports, no sleeping. Readiness is
//! the line the node prints; whatever was started ends when its handle is dropped.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::fmt::Debug;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long a node may take until it is ready, publishing its first zones included, on a busy machine.
pub const READY: Duration = Duration::from_mins(2);
/// How long a node may take to stop.
pub const STOP: Duration = Duration::from_secs(30);

/// A home for a node.
pub struct Home {
    dir: TempDir,
}

impl Home {
    /// An empty one.
    pub fn new() -> Home {
        Home { dir: tempfile::tempdir().expect("a temporary directory") }
    }

    /// Its path; a node's home is made there.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// A file beside the home, with this content.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(name);
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).expect("a directory for the file");
        }
        std::fs::write(&path, content).expect("the file is written");
        path
    }

    /// The program, ready to be given arguments: on this home, in a directory without zones, and untouched by
    /// the variables of whoever runs the tests.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lfdns"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LFDNS_") {
                command.env_remove(name);
            }
        }
        command.current_dir(self.dir.path()).arg("--home").arg(self.path());
        command
    }

    /// Runs the command line to its end.
    pub fn run<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        Run::of(&self.command().args(args).stdin(Stdio::null()).output().expect("the program runs"))
    }

    /// Runs the command line with `--json` and reads what it prints.
    pub fn json<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Value {
        let run = Run::of(
            &self.command().arg("--json").args(args).stdin(Stdio::null()).output().expect("the program runs"),
        );
        assert_eq!(run.code, 0, "{}", run.err);
        serde_json::from_str(&run.out).unwrap_or_else(|e| panic!("{e}: {}", run.out))
    }

    /// Starts a node on free ports of loopback and awaits its readiness.
    pub fn node(&self) -> Node {
        self.node_with(&[] as &[&str])
    }

    /// The same with further arguments.
    pub fn node_with<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Node {
        let mut command = self.command();
        command.arg("node").args(FREE_PORTS).args(args);
        Node::start(command, &self.path())
    }

    /// Runs a node that must not come up, and returns what it said.
    pub fn node_fails<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Run {
        let mut command = self.command();
        let child = command.arg("node").args(FREE_PORTS).args(args).stdin(Stdio::null());
        let child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs");
        let mut guard = Reaper(child);
        let status = guard.wait(READY).expect("a node that cannot start ends by itself");
        let (mut out, mut err) = (String::new(), String::new());
        guard.0.stdout.take().expect("piped").read_to_string(&mut out).expect("text");
        guard.0.stderr.take().expect("piped").read_to_string(&mut err).expect("text");
        Run { code: status.code().unwrap_or(-1), out, err }
    }
}

/// How often something awaited is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// Looks until it is as wanted; what was seen then.
#[track_caller]
pub fn until<T: Debug>(look: impl Fn() -> T, wanted: impl Fn(&T) -> bool) -> T {
    until_within(READY, look, wanted).0
}

/// The same, with a bound; also how long it took.
#[track_caller]
pub fn until_within<T: Debug>(
    within: Duration,
    look: impl Fn() -> T,
    wanted: impl Fn(&T) -> bool,
) -> (T, Duration) {
    let begun = Instant::now();
    loop {
        let seen = look();
        if wanted(&seen) {
            return (seen, begun.elapsed());
        }
        assert!(begun.elapsed() < within, "not within {within:?}: {seen:?}");
        thread::park_timeout(LOOK);
    }
}

/// Port 0 everywhere.
pub const FREE_PORTS: [&str; 6] = ["--dns", "127.0.0.1:0", "--http", "127.0.0.1:0", "--quic", "127.0.0.1:0"];

/// What a command that ended has said.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Run {
    fn of(output: &Output) -> Run {
        Run {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The same, which must have ended well.
    #[track_caller]
    pub fn well(self) -> Run {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self
    }

    /// The same, which must have ended with this code and these words on stderr.
    #[track_caller]
    pub fn fails(self, code: i32, words: &[&str]) -> Run {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        for word in words {
            assert!(self.err.contains(word), "'{word}' is missing in: {}", self.err);
        }
        self
    }
}

/// A running node.
pub struct Node {
    child: Reaper,
    pub home: PathBuf,
    /// Where it answers DNS, over UDP and TCP.
    pub dns: Vec<SocketAddr>,
    /// Its HTTP address.
    pub http: SocketAddr,
    /// Where peers would connect.
    pub quic: SocketAddr,
    /// Its process.
    pub pid: u32,
    /// The line by which it said that it is ready.
    pub ready: String,
    /// Several threads may look at a node.
    errors: parking_lot::Mutex<mpsc::Receiver<String>>,
}

impl Node {
    /// Starts `command`, a `lfdns node` on `home`, and awaits its readiness.
    pub fn start(mut command: Command, home: &Path) -> Node {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let mut child = Reaper(child);
        let lines = lines_of(child.0.stdout.take().expect("piped"));
        let errors = lines_of(child.0.stderr.take().expect("piped"));
        let Ok(ready) = lines.recv_timeout(READY) else {
            let said: Vec<String> = errors.try_iter().collect();
            panic!("the node did not become ready:\n{}", said.join("\n"));
        };
        let running = std::fs::read(home.join("node.json")).expect("a ready node has written node.json");
        let running: Value = serde_json::from_slice(&running).expect("node.json is JSON");
        let address = |value: &Value| value.as_str().expect("a string").parse().expect("an address");
        Node {
            home: home.to_owned(),
            dns: running["dns"].as_array().expect("a list").iter().map(address).collect(),
            http: address(&running["http"]),
            quic: address(&running["quic"]),
            pid: u32::try_from(running["pid"].as_u64().expect("a number")).expect("a process id"),
            ready,
            errors: parking_lot::Mutex::new(errors),
            child,
        }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// Lines it has written to stderr since the last call.
    pub fn said(&self) -> Vec<String> {
        self.errors.lock().try_iter().collect()
    }

    /// Awaits a line on stderr with these words.
    pub fn awaits(&self, words: &str) -> String {
        let (deadline, errors) = (Instant::now() + READY, self.errors.lock());
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = errors.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("the node never said '{words}'"));
            if line.contains(words) {
                return line;
            }
        }
    }

    /// Sends a signal: `TERM`, `HUP` …
    pub fn signal(&self, name: &str) {
        let signal = format!("SIG{name}").parse().expect("a signal's name");
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.0.id()).expect("a process id"));
        nix::sys::signal::kill::<nix::sys::signal::Signal>(pid, signal).expect("the node is alive");
    }

    /// Ends it as an operator does, and awaits its end.
    pub fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.child.wait(STOP).expect("a node stops when told to")
    }

    /// Ends it as a power cut does.
    pub fn kill(mut self) {
        self.child.0.kill().expect("the node is alive");
        self.child.0.wait().expect("it has ended");
    }
}

/// Ends its process when dropped.
struct Reaper(Child);

impl Reaper {
    /// Awaits the end. A process that has not ended by then is killed: its test has failed.
    fn wait(&mut self, within: Duration) -> Option<ExitStatus> {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).expect("a process id"));
        let (ended, end) = mpsc::channel();
        let child = &mut self.0;
        thread::scope(|scope| {
            scope.spawn(move || ended.send(child.wait().expect("a child of ours")));
            let status = end.recv_timeout(within).ok();
            if status.is_none() {
                let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            }
            status
        })
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn lines_of(stream: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}
