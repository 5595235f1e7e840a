//! The server as a program of its own: shared by processes, killed, steered.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::api::{Database, shut_down};
use fdb_standin::wire::Control;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const PROGRAM: &str = env!("CARGO_BIN_EXE_fdb-standin");

/// Tells a child process of the tests what to do.
const CHILD: &str = "STANDIN_TEST_CHILD";

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(listen: &str, data: Option<&Path>, more: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(["--listen", listen]).args(more).stdout(Stdio::piped());
        if let Some(data) = data {
            command.arg("--data").arg(data);
        }
        let mut child = command.spawn().unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let address = address.trim().to_owned();
        assert!(!address.is_empty(), "the server did not start");
        Self { child, address }
    }

    fn database(&self) -> Database {
        Database::open(&format!("a:b@{}", self.address))
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn set(database: &Database, key: &str) -> Result<(), i32> {
    let tx = database.begin();
    tx.set(key.as_bytes(), b"1");
    tx.commit().wait()
}

fn has(database: &Database, key: &str) -> bool {
    database.begin().get(key.as_bytes(), false).value().unwrap().is_some()
}

/// A writer that goes on until told otherwise; gives what was acknowledged.
fn write(database: &Database, name: &str, stop: &AtomicBool) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let key = format!("{name}/{number}");
        match set(database, &key) {
            Ok(()) => acknowledged.push(key),
            Err(code) => assert_eq!(code, 1021, "the server was killed"),
        }
    }
    acknowledged
}

#[test]
fn killing_the_server_loses_nothing_that_was_acknowledged() {
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start("127.0.0.1:0", Some(data.path()), &[]);
    let database = Arc::new(server.database());
    let mut acknowledged = Vec::new();
    for round in 0..5 {
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let (database, stop) = (database.clone(), stop.clone());
                std::thread::spawn(move || write(&database, &format!("{round}/{writer}"), &stop))
            })
            .collect();
        // Until all have written something.
        while !(0..8).all(|writer| has(&database, &format!("{round}/{writer}/2"))) {}
        let address = server.address.clone();
        server.kill();
        stop.store(true, Ordering::Relaxed);
        server = Server::start(&address, Some(data.path()), &[]);
        for writer in writers {
            acknowledged.extend(writer.join().unwrap());
        }
        let lost: Vec<_> = acknowledged.iter().filter(|key| !has(&database, key)).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?}");
    }
    assert!(acknowledged.len() >= 5 * 8 * 2);
}

#[test]
fn versions_go_on_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start("127.0.0.1:0", Some(data.path()), &[]);
    let database = server.database();
    set(&database, "k").unwrap();
    let before = database.begin().read_version().number().unwrap();
    let old = database.begin();
    old.read_version().wait().unwrap();
    let address = server.address.clone();
    server.kill();
    let _server = Server::start(&address, Some(data.path()), &[]);
    let after = database.begin().read_version().number().unwrap();
    assert!(after >= before + 100_000_000, "{before} {after}");
    assert_eq!(old.get(b"k", false).value(), Err(1007), "versions of before are gone");
    assert!(has(&database, "k"));
}

#[test]
fn versions_without_commits_go_on_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start("127.0.0.1:0", Some(data.path()), &[]);
    let database = server.database();
    let address = server.address.parse().unwrap();
    let read_version = || database.begin().read_version().number().unwrap();
    let mut before = read_version();
    // Each makes versions jump further than a restart does by itself.
    for _ in 0..8 {
        fdb_standin::server::control(address, Control::Recover(1)).unwrap();
        fdb_standin::server::control(address, Control::Advance(200_000)).unwrap();
        before = before.max(read_version());
    }
    server.kill();
    let _server = Server::start(&address.to_string(), Some(data.path()), &[]);
    let after = read_version();
    assert!(after > before, "{before} {after}");
}

/// How often a callback was called after the network had ended.
static CALLED: AtomicUsize = AtomicUsize::new(0);

/// Stops the network with everything still under way.
fn stop_in_the_middle() {
    let database = Database::open("a:b@127.0.0.1:1");
    let tx = database.begin();
    let futures = [tx.get(b"k", false), tx.watch(b"k"), tx.versionstamp(), tx.commit()];
    futures.iter().for_each(|future| future.count_callback(&CALLED));
    shut_down();
    let after = database.begin();
    let late = after.get(b"k", false);
    late.cancel();
    drop((futures, late, after, tx, database));
    assert_eq!(CALLED.load(Ordering::SeqCst), 0, "nobody expects a callback any more");
}

/// Not a test of its own: what the other process does in the tests below.
#[test]
fn other_process() {
    let Ok(cluster) = std::env::var(CHILD) else { return };
    if cluster == "stop" {
        return stop_in_the_middle();
    }
    let database = Database::open(&cluster);
    assert!(has(&database, "from the parent"));
    set(&database, "from the child").unwrap();
}

fn run_child(what: &str) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let command = command.args(["--exact", "processes::other_process"]).env(CHILD, what);
    let child = command.output().unwrap();
    let words = [child.stdout, child.stderr].concat();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&words));
}

#[test]
fn the_network_can_be_stopped_in_the_middle() {
    run_child("stop");
}

#[test]
fn processes_see_each_others_commits() {
    let server = Server::start("127.0.0.1:0", None, &[]);
    let database = server.database();
    set(&database, "from the parent").unwrap();
    let watching = database.begin();
    let watch = watching.watch(b"from the child");
    watching.commit().wait().unwrap();
    run_child(&format!("a:b@{}", server.address));
    assert_eq!(watch.wait(), Ok(()));
    assert!(has(&database, "from the child"));
    assert!(has(&server.database(), "from the child"), "and so does another handle");
}

#[test]
fn a_program_can_be_steered_by_another() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fdb.cluster");
    let more = ["--cluster-file", file.to_str().unwrap(), "--conflicts", "1"];
    let server = Server::start("127.0.0.1:0", None, &more);
    let database = Database::open(&std::fs::read_to_string(&file).unwrap());
    assert_eq!(set(&database, "k"), Err(1020));
    let control = |arguments: &[&str]| {
        let mut command = Command::new(PROGRAM);
        let output =
            command.args(["control", "--address", &server.address]).args(arguments).output();
        let output = output.unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    assert!(control(&["faults"]).0);
    assert_eq!(set(&database, "k"), Ok(()));
    assert!(control(&["script", "unknown-applied"]).0);
    assert_eq!(set(&database, "k"), Err(1021));
    let (_, stats) = control(&["stats"]);
    assert!(stats.contains("commits: 3"), "{stats}");
    assert!(!control(&["script", "nonsense"]).0);
    assert!(control(&["die", "50"]).0);
    // It may have been on its way when the connection broke.
    assert!(matches!(set(&database, "after"), Ok(()) | Err(1021)));
    assert_eq!(set(&database, "after"), Ok(()));
}
