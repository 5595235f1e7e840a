//! A `rialto dev --nodes N` of its own, on ports of its own.

use crate::certificates::imap_at;
use crate::node::{PATIENCE, Talk, rialto, said};
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a whole cluster may take to start or to stop on a slow and busy machine.
const CLUSTER_PATIENCE: Duration = Duration::from_secs(400);

/// Every port of a node, and that of the stand-in.
const PORTS: [u16; 10] = [25, 587, 465, 143, 993, 110, 995, 9090, 7400, 4500];

/// The supervisor, its nodes and the stand-in; all are gone when it is dropped.
pub(crate) struct Dev {
    pub(crate) dir: TempDir,
    base: u16,
    nodes: u16,
    child: Option<Child>,
    said: Arc<Mutex<Vec<String>>>,
    by_hand: Vec<Child>,
}

impl Dev {
    /// A cluster that is ready.
    pub(crate) fn started(nodes: u16) -> Self {
        build_standin();
        let dir = tempfile::tempdir().unwrap();
        let base = free_base(nodes);
        let (said, by_hand) = (Arc::default(), Vec::new());
        let mut dev = Self { dir, base, nodes, child: None, said, by_hand };
        dev.start();
        dev
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("d")
    }

    pub(crate) fn node_dir(&self, number: u16) -> PathBuf {
        self.data().join(format!("node-{number}"))
    }

    pub(crate) fn config(&self, number: u16) -> String {
        self.node_dir(number).join("rialto.toml").display().to_string()
    }

    /// Starts the supervisor and waits until it says that all is ready.
    pub(crate) fn start(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rialto"));
        command.arg("dev").arg("--data").arg(self.data());
        command.args(["--nodes", &self.nodes.to_string(), "--ports", &self.base.to_string()]);
        // Whatever cluster there is on this machine is not ours.
        command.env("FDB_CLUSTER_FILE", self.dir.path().join("none"));
        let errors = std::fs::File::create(self.dir.path().join("errors")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        self.child = Some(child);
        let heard = self.said.clone();
        heard.lock().unwrap().clear();
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| heard.lock().unwrap().push(line));
        });
        let began = Instant::now();
        while !self.says("rialto: ready") {
            let gone = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(gone.is_none(), "it has ended:\n{}", self.everything());
            assert!(began.elapsed() < CLUSTER_PATIENCE, "not ready:\n{}", self.everything());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Whether it has said a line with this in it.
    pub(crate) fn says(&self, part: &str) -> bool {
        self.said.lock().unwrap().iter().any(|line| line.contains(part))
    }

    /// What it has said, and the ends of the nodes' logs.
    pub(crate) fn everything(&self) -> String {
        let mut text = self.said.lock().unwrap().join("\n");
        let read = |path: &Path| std::fs::read(path).unwrap_or_default();
        text.push_str(&String::from_utf8_lossy(&read(&self.dir.path().join("errors"))));
        for number in 0..self.nodes {
            let log = read(&self.node_dir(number).join("log"));
            let end = &log[log.len().saturating_sub(4_000)..];
            text.push_str(&format!("\n--- node-{number}\n{}", String::from_utf8_lossy(end)));
        }
        text
    }

    /// The process of a node, as its file tells.
    pub(crate) fn pid(&self, number: u16) -> String {
        std::fs::read_to_string(self.node_dir(number).join("pid")).unwrap().trim().to_owned()
    }

    pub(crate) fn kill(&self, number: u16) {
        assert!(Command::new("kill").args(["-9", &self.pid(number)]).status().unwrap().success());
    }

    /// Starts a node by hand, as the supervisor says it.
    pub(crate) fn start_by_hand(&mut self, number: u16) {
        let log = std::fs::OpenOptions::new().append(true).open(self.node_dir(number).join("log"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_rialto"));
        command.args(["serve", "--config", &self.config(number)]).stdin(Stdio::null());
        self.by_hand.push(command.stdout(Stdio::null()).stderr(log.unwrap()).spawn().unwrap());
    }

    /// Asks the supervisor to stop; gives its exit code. What was started by hand ends, too.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        let mut child = self.child.take().unwrap();
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let began = Instant::now();
        let code = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status.code();
            }
            if began.elapsed() >= CLUSTER_PATIENCE {
                let _ = child.kill();
                panic!("it does not stop:\n{}", self.everything());
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        for mut child in self.by_hand.drain(..) {
            assert!(child.wait().unwrap().code().is_none_or(|code| code == 0));
        }
        code
    }

    /// Runs a verb against whichever node answers.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Output {
        let data = self.data().display().to_string();
        rialto(&[arguments, &["--data", &data]].concat())
    }

    /// Runs a verb that must be done.
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let output = self.ask(arguments);
        let said = said(&output);
        assert!(output.status.success(), "{arguments:?}: {said}\n{}", self.everything());
        said
    }

    pub(crate) fn port(&self, number: u16, well_known: u16) -> u16 {
        self.base + 1_000 * number + well_known
    }

    /// Sends alice a message from outside through a node; whether it was accepted.
    pub(crate) fn send(&self, number: u16) -> bool {
        let Ok(stream) = TcpStream::connect(("127.0.0.1", self.port(number, 25))) else {
            return false;
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut talk = Talk::new(stream);
        talk.line();
        talk.command("EHLO test.example");
        talk.command("MAIL FROM:<bob@two.example>");
        talk.command("RCPT TO:<alice@rialto.test>");
        talk.command("DATA");
        talk.command("Subject: hello\r\n\r\nbody\r\n.").starts_with("250")
    }

    /// How many messages alice has, as a node tells; `None` if it does not tell now.
    pub(crate) fn messages(&self, number: u16) -> Option<usize> {
        let mut talk = imap_at(self.port(number, 993)).ok()?;
        talk.tagged("a", "LOGIN alice@rialto.test rialto-dev");
        let status = talk.tagged("b", "STATUS INBOX (MESSAGES)");
        status.split("MESSAGES ").nth(1)?.split(')').next()?.parse().ok()
    }

    /// Waits for something about the whole cluster.
    pub(crate) fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let began = Instant::now();
        while !holds() {
            let late = began.elapsed() >= PATIENCE;
            assert!(!late, "{what} does not happen:\n{}", self.everything());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// How many nodes stand so.
    pub(crate) fn standing(&self, standing: &str) -> usize {
        let nodes = self.ask(&["node", "list", "--output", "csv"]);
        let text = said(&nodes);
        text.lines().filter(|line| line.split(',').nth(2) == Some(standing)).count()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // Its nodes and the stand-in end with their standard input.
        for child in self.child.iter_mut().chain(&mut self.by_hand) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// `rialto dev` looks for the stand-in beside itself; cargo puts it there.
fn build_standin() {
    let program = Path::new(env!("CARGO_BIN_EXE_rialto"));
    let dir = program.parent().unwrap();
    if dir.join("fdb-standin").is_file() {
        return;
    }
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--quiet", "-p", "fdb-standin"]);
    if dir.ends_with("release") {
        command.arg("--release");
    }
    assert!(command.status().unwrap().success(), "the stand-in cannot be built");
}

/// A base such that all ports are free.
fn free_base(nodes: u16) -> u16 {
    let is_free = |base: u16| {
        let mut ports = (0..nodes).flat_map(|node| PORTS.map(|port| base + 1_000 * node + port));
        ports.all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
    };
    let start = 17_000 + (std::process::id() % 100) as u16 * 7;
    let mut bases = (0..200).map(|step| start + step * 7);
    bases.find(|base| is_free(*base)).expect("no free ports")
}
