//! What goes wrong on purpose goes wrong, and nothing else does.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::api::{Database, Paging};
use crate::names::all_pages;
use fdb_standin::server::{self, CommitFault, Faults, ServerHandle, ServerOptions, Stats, spawn};
use fdb_standin::wire::Control;
use std::net::TcpStream;
use std::time::Duration;

/// How long to wait for what must come, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn world() -> (ServerHandle, Database) {
    let server = spawn(ServerOptions::default()).unwrap();
    let database = Database::open(&server.cluster_text());
    (server, database)
}

fn get(database: &Database, key: &[u8]) -> Option<Vec<u8>> {
    database.begin().get(key, false).value().unwrap()
}

fn set(database: &Database, key: &[u8]) -> Result<(), i32> {
    let tx = database.begin();
    tx.set(key, b"1");
    tx.commit().wait()
}

/// Looks until it is so.
#[allow(clippy::disallowed_methods, reason = "a thread that waits for another one")]
fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..3_000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{what} never happened");
}

fn timeout_option(ms: i64) -> [u8; 8] {
    ms.to_le_bytes()
}

#[test]
fn scripted_commits_fail_as_told() {
    let (server, database) = world();
    for (fault, codes, made) in [
        (CommitFault::Conflict, [1020, 1020], false),
        (CommitFault::UnknownApplied, [1021, 1021], true),
        (CommitFault::UnknownNotApplied, [1021, 1021], false),
        (CommitFault::TooOld, [1007, 1007], false),
        (CommitFault::Busy, [1051, 1051], false),
        (CommitFault::Late, [1025, 1031], true),
        (CommitFault::Code { code: 1213, made: false }, [1213, 1213], false),
        (CommitFault::Code { code: 1039, made: true }, [1039, 1039], true),
    ] {
        server.clear();
        server.script(fault);
        let code = set(&database, b"k").unwrap_err();
        assert!(codes.contains(&code), "{fault:?}: {code}");
        server.settle();
        assert_eq!(get(&database, b"k").is_some(), made, "{fault:?}");
        assert_eq!(set(&database, b"k"), Ok(()), "only one is hit by {fault:?}");
    }
}

#[test]
fn reads_fail_and_watches_fire_as_told() {
    let (server, database) = world();
    set(&database, b"k").unwrap();
    for code in [1009, 1037, 1038, 1039, 1042, 1078, 1213] {
        server.script_read(code);
        assert_eq!(database.begin().read_version().number(), Err(code));
        let tx = database.begin();
        tx.read_version().number().unwrap();
        server.script_read(code);
        assert_eq!(tx.get(b"k", false).value(), Err(code));
        assert_eq!(tx.get(b"k", false).value(), Ok(Some(b"1".to_vec())), "only one is hit");
    }
    let tx = database.begin();
    let watch = tx.watch(b"k");
    tx.commit().wait().unwrap();
    until("the watch", || server.stats().watches == 1);
    assert!(!watch.is_ready());
    server.fire_watches();
    assert_eq!(watch.wait(), Ok(()));
    assert_eq!(server.stats().watches, 0);
}

#[test]
fn rates_hit_about_as_many_and_end() {
    let (server, database) = world();
    let count = |rates: Faults| {
        server.set_faults(rates);
        let codes: Vec<_> = (0..200).filter_map(|_| set(&database, b"k").err()).collect();
        server.set_faults(Faults::default());
        assert_eq!(set(&database, b"k"), Ok(()));
        codes
    };
    let conflicts = count(Faults { conflicts: 0.2, ..Faults::default() });
    assert!((10..90).contains(&conflicts.len()) && conflicts.iter().all(|c| *c == 1020));
    let unknown = count(Faults { unknown: 0.2, ..Faults::default() });
    assert!((10..90).contains(&unknown.len()) && unknown.iter().all(|c| *c == 1021));
    let old = count(Faults { too_old: 1.0, ..Faults::default() });
    assert_eq!(old, vec![1007; 200]);
    assert!(server.stats().faults >= 220);
}

#[test]
fn the_same_seed_makes_the_same_choices() {
    let outcomes = |seed| {
        let faults = Faults { conflicts: 0.2, unknown: 0.2, late: 0.1, ..Faults::default() };
        let server = spawn(ServerOptions { seed, faults, ..ServerOptions::default() }).unwrap();
        let database = Database::open(&server.cluster_text());
        (0..60).map(|_| set(&database, b"k")).collect::<Vec<_>>()
    };
    assert_eq!(outcomes(5), outcomes(5));
    assert_ne!(outcomes(5), outcomes(6));
}

#[test]
fn unknown_commits_have_both_outcomes() {
    let (server, database) = world();
    server.set_faults(Faults { unknown: 1.0, ..Faults::default() });
    for number in 0..40 {
        assert_eq!(set(&database, format!("k{number}").as_bytes()), Err(1021));
    }
    let made = (0..40).filter(|n| get(&database, format!("k{n}").as_bytes()).is_some()).count();
    assert!((1..40).contains(&made), "{made}");
}

#[test]
fn late_commits_land_later_or_find_a_conflict() {
    let (server, database) = world();
    server.set_faults(Faults { late_ms: 600_000, ..Faults::default() });
    server.script(CommitFault::Late);
    let code = set(&database, b"late").unwrap_err();
    assert!([1025, 1031].contains(&code), "{code}");
    assert_eq!(get(&database, b"late"), None, "it has not landed yet");
    // One whose read is changed before it lands never does.
    let tx = database.begin();
    tx.get(b"read", false).value().unwrap();
    tx.set(b"dropped", b"1");
    server.script(CommitFault::Late);
    assert!(tx.commit().wait().is_err());
    set(&database, b"read").unwrap();
    server.settle();
    assert!(get(&database, b"late").is_some());
    assert_eq!(get(&database, b"dropped"), None);
    let Stats { late_landed, late_dropped, .. } = server.stats();
    assert_eq!((late_landed, late_dropped), (1, 1));
    // Without settling they land by themselves.
    server.set_faults(Faults { late_ms: 1, ..Faults::default() });
    server.script(CommitFault::Late);
    assert!(set(&database, b"soon").is_err());
    until("landing", || get(&database, b"soon").is_some());
}

#[test]
fn a_commit_whose_future_is_dropped_may_land_later() {
    let (server, database) = world();
    set(&database, b"connected").unwrap();
    server.recover(Duration::from_millis(300));
    let tx = database.begin();
    tx.set(b"k", b"1");
    let commit = tx.commit();
    // When this has timed out on the same thread, the commit has been sent.
    let other = database.begin();
    other.set_option(500, &timeout_option(50)).unwrap();
    assert_eq!(other.get(b"k", false).wait(), Err(1031));
    assert!(!commit.is_ready());
    drop(commit);
    drop(tx);
    until("landing", || get(&database, b"k").is_some());
}

#[test]
fn a_recovery_stalls_all_and_makes_commits_in_flight_unknown() {
    let (server, database) = world();
    let begin = |number: u32| {
        let tx = database.begin();
        tx.get(b"read", false).value().unwrap();
        tx.set(format!("k{number}").as_bytes(), b"1");
        tx
    };
    let transactions: Vec<_> = (0..60).map(begin).collect();
    let before = database.begin().read_version().number().unwrap();
    server.recover(Duration::from_millis(200));
    let blind = database.begin();
    blind.set(b"blind", b"1");
    let commits: Vec<_> = transactions.iter().map(|tx| tx.commit()).collect();
    let read = database.begin().get(b"read", false);
    assert_eq!(blind.commit().wait(), Ok(()), "one that had asked for nothing goes through");
    assert_eq!(read.value(), Err(1025), "its transaction was destroyed");
    for commit in &commits {
        assert_eq!(commit.wait(), Err(1021));
    }
    let made = (0..60).filter(|n| get(&database, format!("k{n}").as_bytes()).is_some()).count();
    assert!((1..60).contains(&made), "{made}");
    let after = database.begin().read_version().number().unwrap();
    assert!(after - before >= 100_000_000, "{before} {after}");
    assert_eq!(server.stats().outages, 1);
}

#[test]
fn a_server_that_recovers_every_second_still_gets_work_done() {
    let (server, database) = world();
    let outage = Faults { recover_every_s: 1, ..Faults::default() };
    server.set_faults(outage);
    until("an outage", || server.stats().outages > 0);
    server.set_faults(Faults::default());
    // It lasts eight seconds; afterwards everything goes on.
    assert!(matches!(set(&database, b"k"), Ok(()) | Err(1021)));
    assert_eq!(set(&database, b"k"), Ok(()));
}

#[test]
fn slow_ranges_are_slow_and_whole() {
    let (server, database) = world();
    let tx = database.begin();
    (0..100_u8).for_each(|n| tx.set(&[b'k', n], &[0; 100]));
    tx.commit().wait().unwrap();
    server.set_faults(Faults { slow_ranges: 1.0, slow_ms: 50, ..Faults::default() });
    let paging = Paging {
        limit: 0,
        target_bytes: 1_000,
        mode: -2,
        iteration: 1,
        snapshot: false,
        reverse: true,
    };
    let ends = ((b"k".to_vec(), false, 1), (b"l".to_vec(), false, 1));
    let rows = all_pages(&database.begin(), ends.0, ends.1, paging).unwrap();
    assert_eq!(rows.len(), 100);
    assert!(server.stats().faults >= 10);
}

#[test]
fn a_dead_server_is_waited_for() {
    let (server, database) = world();
    set(&database, b"k").unwrap();
    let watching = database.begin();
    let watch = watching.watch(b"k");
    watching.commit().wait().unwrap();
    let timed = database.begin();
    timed.set_option(500, &timeout_option(100)).unwrap();
    let reader = database.begin();
    let version = reader.read_version().number().unwrap();
    server.die(Duration::from_millis(800));
    until("refusing", || TcpStream::connect(server.address()).is_err());
    assert_eq!(timed.get(b"k", false).wait(), Err(1031), "only a time-out ends the waiting");
    let read = reader.get(b"k", false);
    assert!(!read.is_ready());
    assert_eq!(read.value(), Ok(Some(b"1".to_vec())), "at a version from before");
    assert!(database.begin().read_version().number().unwrap() >= version);
    assert!(!watch.is_ready());
    let tx = database.begin();
    tx.set(b"k", b"2");
    tx.commit().wait().unwrap();
    assert_eq!(watch.wait_at_most(PATIENCE), Some(Ok(())));
}

#[test]
fn commits_in_flight_when_the_server_dies_are_unknown_and_not_torn() {
    let (server, database) = world();
    set(&database, b"connected").unwrap();
    let begin = |number: u32| {
        let tx = database.begin();
        tx.get(b"read", false).value().unwrap();
        tx.set(format!("a{number}").as_bytes(), b"1");
        tx.set(format!("b{number}").as_bytes(), b"1");
        tx
    };
    let transactions: Vec<_> = (0..50).map(begin).collect();
    server.recover(Duration::from_millis(400));
    let commits: Vec<_> = transactions.iter().map(|tx| tx.commit()).collect();
    // So that they have been sent.
    let other = database.begin();
    other.set_option(500, &timeout_option(50)).unwrap();
    assert_eq!(other.get(b"k", false).wait(), Err(1031));
    server.die(Duration::from_millis(100));
    for commit in &commits {
        assert_eq!(commit.wait(), Err(1021));
    }
    for number in 0..50 {
        let read = |name: &str| get(&database, format!("{name}{number}").as_bytes());
        assert_eq!(read("a"), read("b"), "{number}");
    }
}

#[test]
fn others_can_steer_a_server() {
    let (server, database) = world();
    let faults = Faults { conflicts: 1.0, ..Faults::default() };
    server::control(server.address(), Control::Faults(faults)).unwrap();
    assert_eq!(set(&database, b"k"), Err(1020));
    server::control(server.address(), Control::Settle).unwrap();
    assert_eq!(set(&database, b"k"), Ok(()));
    let stats = server::control(server.address(), Control::Stats).unwrap();
    assert_eq!((stats.commits, stats.applied), (2, 1));
    server::control(server.address(), Control::Clear).unwrap();
    assert_eq!(get(&database, b"k"), None);
}

#[test]
fn a_server_needs_nothing_of_its_callers_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let server = runtime.block_on(async {
        let server = spawn(ServerOptions::default()).unwrap();
        server.script(CommitFault::Conflict);
        server.settle();
        server
    });
    drop(runtime);
    assert_eq!(set(&Database::open(&server.cluster_text()), b"k"), Ok(()));
}

#[test]
fn the_library_lies_beside_the_tests() {
    let path = fdb_standin::library_path().expect("cargo builds it with the tests");
    assert!(path.ends_with("libfdb_standin.so"), "{path:?}");
}

#[test]
fn only_loopback_is_listened_on() {
    let listen = "0.0.0.0:0".parse().unwrap();
    assert!(spawn(ServerOptions { listen, ..ServerOptions::default() }).is_err());
}

#[test]
fn nonsense_on_the_connection_ends_it_and_nothing_else() {
    use std::io::{Read as _, Write as _};
    let (server, database) = world();
    for nonsense in [&[0xff_u8; 64][..], b"GET / HTTP/1.1\r\n\r\n", &[0; 64]] {
        let mut connection = TcpStream::connect(server.address()).unwrap();
        connection.write_all(nonsense).unwrap();
        let mut rest = Vec::new();
        // Closed or reset; both are an end.
        let _ = connection.read_to_end(&mut rest);
        assert_eq!(rest, b"");
    }
    assert_eq!(set(&database, b"k"), Ok(()));
}
