//! A `rialto serve` of its own, on ports of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take on a slow and busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The first port; each node takes ten.
static PORTS: AtomicU16 = AtomicU16::new(31_000);

/// Runs `rialto` to its end.
pub(crate) fn rialto(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rialto")).args(arguments).output().unwrap()
}

/// What it said, on both channels.
pub(crate) fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

/// A node with a data directory, a certificate and a configuration; killed when dropped.
pub(crate) struct Node {
    pub(crate) dir: TempDir,
    pub(crate) smtp: u16,
    pub(crate) imap: u16,
    health: u16,
    child: Option<Child>,
}

impl Node {
    /// Everything but the process.
    pub(crate) fn prepared() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let first = PORTS.fetch_add(10, Ordering::Relaxed) + (std::process::id() % 100) as u16 * 10;
        let node = Self { dir, smtp: first, imap: first + 1, health: first + 2, child: None };
        node.write_certificate("one.example");
        std::fs::write(node.config(), node.text()).unwrap();
        node
    }

    /// A node that is ready.
    pub(crate) fn started() -> Self {
        let mut node = Self::prepared();
        node.start();
        node
    }

    fn text(&self) -> String {
        let at = |name: &str| self.dir.path().join(name).display().to_string();
        let listener = |name: &str, port: u16, protocol: &str, tls: &str| {
            format!(
                "[[listener]]\nname = \"{name}\"\naddress = \"127.0.0.1:{port}\"\n\
                 protocol = \"{protocol}\"\ntls = \"{tls}\"\n"
            )
        };
        format!(
            "[node]\nname = \"test\"\nhost_name = \"mail.example\"\ndata = \"{}\"\n\
             [tls]\ncertificate = \"{}\"\nkey = \"{}\"\n\
             [health]\naddress = \"127.0.0.1:{}\"\n[limits]\nloopback_exempt = true\n{}{}",
            self.data().display(),
            at("cert.pem"),
            at("cert.key"),
            self.health,
            listener("smtp", self.smtp, "smtp", "starttls"),
            listener("imaps", self.imap, "imap", "implicit"),
        )
    }

    pub(crate) fn write_certificate(&self, name: &str) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        for (file, text) in [("cert.pem", certificate.pem()), ("cert.key", key.serialize_pem())] {
            std::fs::write(self.dir.path().join("new"), text).unwrap();
            std::fs::rename(self.dir.path().join("new"), self.dir.path().join(file)).unwrap();
        }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.dir.path().join("rialto.toml")
    }

    /// Starts the process and waits until it is ready.
    pub(crate) fn start(&mut self) {
        let log = std::fs::File::create(self.dir.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_rialto"));
        command.args(["serve", "--config"]).arg(self.config());
        self.child = Some(command.stderr(log).stdout(Stdio::null()).spawn().unwrap());
        let began = Instant::now();
        while self.ready() != Some(200) {
            let gone = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(gone.is_none(), "it has ended:\n{}", self.log());
            assert!(began.elapsed() < PATIENCE, "it does not get ready:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// The status of /readyz, if it answers.
    pub(crate) fn ready(&self) -> Option<u16> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.health)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.split(' ').nth(1)?.parse().ok()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// Asks it to stop; gives its exit code and how long it took.
    pub(crate) fn stop(&mut self) -> (Option<i32>, Duration) {
        self.signal("-TERM");
        let began = Instant::now();
        let status = self.child.take().unwrap().wait().unwrap();
        (status.code(), began.elapsed())
    }

    /// Runs a verb against it.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Output {
        let data = self.data().display().to_string();
        rialto(&[arguments, &["--data", &data]].concat())
    }

    /// Runs a verb against it that must be done.
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let output = self.ask(arguments);
        assert!(output.status.success(), "{arguments:?}: {}\n{}", said(&output), self.log());
        said(&output)
    }

    /// A domain and a mailbox `alice` in it.
    pub(crate) fn populate(&self) {
        self.done(&["domain", "new", "one.example", "--default"]);
        self.done(&["mailbox", "new", "alice@one.example", "--password", "correct horse"]);
    }

    /// Sends a message; gives the reply to its end, or to the recipient that was refused.
    pub(crate) fn send(&self, to: &str) -> String {
        self.send_text(to, "body")
    }

    /// The same with a text of the caller's.
    pub(crate) fn send_text(&self, to: &str, text: &str) -> String {
        let mut talk = Talk::new(TcpStream::connect(("127.0.0.1", self.smtp)).unwrap());
        talk.line();
        talk.command("EHLO test.example");
        talk.command("MAIL FROM:<bob@two.example>");
        let accepted = talk.command(&format!("RCPT TO:<{to}>"));
        if !accepted.starts_with('2') {
            return accepted;
        }
        talk.command("DATA");
        talk.command(&format!("Subject: hello\r\n\r\n{text}\r\n."))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Lines over a stream.
pub(crate) struct Talk<S: Read + Write>(BufReader<S>);

impl<S: Read + Write> Talk<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self(BufReader::new(stream))
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    pub(crate) fn say(&mut self, line: &str) {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
        self.0.get_mut().flush().unwrap();
    }

    /// Sends a command of SMTP; gives the last line of the reply.
    pub(crate) fn command(&mut self, line: &str) -> String {
        self.say(line);
        loop {
            let line = self.line();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }

    /// Sends a command of IMAP; gives everything up to its tagged line.
    pub(crate) fn tagged(&mut self, tag: &str, line: &str) -> String {
        self.say(&format!("{tag} {line}"));
        let mut all = String::new();
        loop {
            let line = self.line();
            all.push_str(&line);
            if line.starts_with(tag) || line.is_empty() {
                return all;
            }
        }
    }
}

/// Waits for something.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what} does not happen");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Whether a directory has no entries, or is not there.
pub(crate) fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none())
}
