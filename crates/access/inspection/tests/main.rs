//! Workers as they are: processes. This program is its own worker, so it has no test harness.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use access_inspection::{Config, Workers, work};
use base::{Deadline, Error};
use bytes::Bytes;
use contract_transport::inspection::{Attachment, Extract, Inspector, Outcome};
use futures::StreamExt;
use std::process::ExitCode;
use std::time::Duration;

fn attachment(pieces: Vec<Result<Bytes, Error>>) -> Attachment {
    Attachment {
        name: "a.txt".into(),
        media_type: "text/plain".into(),
        charset: "iso-8859-1".into(),
        bytes: futures::stream::iter(pieces).boxed(),
    }
}

fn text(text: &'static str) -> Attachment {
    attachment(vec![Ok(text.into())])
}

fn far() -> Deadline {
    Deadline::after(Duration::from_secs(120))
}

/// This program as the worker.
fn own() -> Workers {
    Workers::new(Config { time: Duration::from_secs(60), ..Config::own_program("work") })
}

/// Another program, which is none.
fn other(script: &str, time_ms: u64) -> Workers {
    Workers::new(Config {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into()],
        at_once: 1,
        time: Duration::from_millis(time_ms),
    })
}

async fn files_are_looked_into() {
    let pieces = vec![Ok("se".into()), Ok("cret ".into()), Ok(Bytes::from_static(b"pl\xe4n"))];
    let found = own().inspect(attachment(pieces), far()).await.unwrap();
    assert_eq!((found.text.trim(), found.outcome), ("secret pl\u{e4}n", Outcome::Whole));
}

async fn many_at_once_wait_for_each_other() {
    let workers = own();
    let all = (0..20).map(|_| workers.inspect(text("here"), far()));
    for found in futures::future::join_all(all).await {
        assert_eq!(found.unwrap().text.trim(), "here");
    }
}

async fn attack_38_what_is_too_large_is_not_held() {
    let piece = Bytes::from(vec![b'x'; 1 << 20]);
    let pieces = (0..80).map(|_| Ok(piece.clone())).collect();
    let found = own().inspect(attachment(pieces), far()).await.unwrap();
    assert_eq!(found.outcome, Outcome::Exceeded);
}

async fn attack_38_one_that_wants_too_much_memory_dies() {
    // Numbers take some forty times as much room as in their file.
    let head = Bytes::from_static(b"%PDF-1.4\n1 0 obj\n");
    let list = Bytes::from([b"[".to_vec(), b"1 ".repeat(99_999), b"]".to_vec()].concat());
    let mut pieces = vec![Ok(head), Ok("[".into())];
    pieces.extend((0..300).map(|_| Ok(list.clone())));
    let found = own().inspect(attachment(pieces), far()).await.unwrap();
    assert_eq!(found, Extract::failed(Outcome::Failed));
}

async fn one_that_fails_is_told() {
    let failed = Extract::failed(Outcome::Failed);
    for script in [
        "exec sleep 600",
        "cat > /dev/null; exec sleep 600",
        "exit 1",
        "kill -SEGV $$",
        "echo this is no answer",
        "yes",
        "printf 'RX1\\n\\377\\377\\377'",
    ] {
        let found = other(script, 1_000).inspect(text("here"), far()).await.unwrap();
        assert_eq!(found, failed, "{script}");
    }
    let none =
        Workers::new(Config { program: "/nowhere/at/all".into(), ..Config::own_program("") });
    assert_eq!(none.inspect(text("here"), far()).await.unwrap(), failed);
}

async fn nobody_waits_longer_than_they_want() {
    let workers = other("exec sleep 600", 600_000);
    let soon = Deadline::after(Duration::from_millis(300));
    // The second one does not even begin.
    let both = futures::future::join(
        workers.inspect(text("one"), soon),
        workers.inspect(text("two"), soon),
    );
    let (one, two) = tokio::time::timeout(Duration::from_secs(30), both).await.unwrap();
    assert_eq!((one.unwrap().outcome, two.unwrap().outcome), (Outcome::Failed, Outcome::Failed));
}

async fn what_cannot_be_read_is_an_error() {
    let pieces = vec![Ok("be".into()), Err(Error::unavailable("the store"))];
    let error = own().inspect(attachment(pieces), far()).await.unwrap_err();
    assert!(error.is_temporary());
}

async fn no_worker_is_left_behind() {
    let workers = other("exec sleep 600", 600_000);
    let soon = Deadline::after(Duration::from_millis(100));
    workers.inspect(text("here"), soon).await.unwrap();
    let id = std::process::id();
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
    assert_eq!(children.unwrap().trim(), "", "children");
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("work") {
        return work();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    macro_rules! run {
        ($($case:ident)*) => {$(
            println!("{}", stringify!($case));
            runtime.block_on($case());
        )*};
    }
    run! {
        files_are_looked_into
        many_at_once_wait_for_each_other
        attack_38_what_is_too_large_is_not_held
        attack_38_one_that_wants_too_much_memory_dies
        one_that_fails_is_told
        nobody_waits_longer_than_they_want
        what_cannot_be_read_is_an_error
        no_worker_is_left_behind
    }
    ExitCode::SUCCESS
}
