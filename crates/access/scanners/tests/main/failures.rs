//! Scanners that hang, refuse, talk nonsense: what becomes of the mail, and how long it waits.

use crate::world::{World, at, front, read_until, run, say};
use base::env::Stream;
use contract_transport::authentication::SPAM_FIELD;
use contract_transport::scanner::scanning::{Fate, Reply, Scanners};
use contract_transport::scanner::{Language, OnFailure, Scanner, ScannerPlace};
use futures::FutureExt;
use std::net::SocketAddr;
use std::time::Duration;

/// A scanner that reads so much, says this, and then hangs or closes.
async fn odd(world: &World, reads: usize, says: &'static [u8], hangs: bool) -> SocketAddr {
    let script = move |mut stream: Box<dyn Stream>| {
        async move {
            let _all = read_until(&mut stream, |got| got.len() >= reads).await;
            if hangs {
                let _gone = tokio::io::AsyncWriteExt::write_all(&mut stream, says).await;
                std::future::pending::<()>().await;
            }
            say(&mut stream, says).await;
        }
        .boxed()
    };
    world.scanner(Box::new(script)).await.0
}

fn later() -> Fate {
    Fate::Refused(Reply::later("the message could not be checked, try again later"))
}

#[test]
fn attack_a_scanner_that_hangs_anywhere_costs_its_deadline_and_no_more() {
    run(async |world| {
        for language in [Language::Clamd, Language::Rspamd, Language::Milter] {
            for (reads, says) in
                [(0, &b""[..]), (5, b""), (17, b"HT"), (40, b"HTTP/1.1 200 OK\r\n")]
            {
                let address = odd(&world, reads, says, true).await;
                world.configure(vec![at(&format!("s{reads}{}", says.len()), language, address)]);
                let large = vec![b'x'; 600_000];
                let (scanned, took_ms) = world.timed(world.clients.scan(world.mail(large))).await;
                assert_eq!(scanned.fate, later(), "{language:?} {reads} {says:?}");
                assert_eq!(took_ms, 30_000, "{language:?} {reads} {says:?}");
            }
        }
    });
}

#[test]
fn attack_nonsense_and_early_ends_are_failures() {
    run(async |world| {
        let endless = &[b'x'; 60_000];
        for language in [Language::Clamd, Language::Rspamd] {
            for says in
                [&b""[..], b"250 OK\r\n", b"\0\0\0\0", b"HTTP/1.1 200 OK\r\n\r\n{}", endless]
            {
                let address = odd(&world, 60, says, false).await;
                world.configure(vec![at("s", language, address)]);
                let (scanned, took_ms) = world.timed(world.scan()).await;
                assert_eq!(scanned.fate, later(), "{language:?} {says:?}");
                assert!(took_ms < 100, "{language:?} {says:?}: {took_ms} ms");
                assert_eq!(world.clients.standing("s").failures, 1, "{language:?} {says:?}");
            }
        }
    });
}

#[test]
fn what_cannot_be_reached_goes_by_the_choice_for_failures() {
    run(async |world| {
        let nobody = at("s", Language::Clamd, "127.0.0.1:9".parse().unwrap());
        let by = |on_failure| Scanner { on_failure, ..nobody.clone() };
        world.configure(vec![by(OnFailure::Accept)]);
        let scanned = world.scan().await;
        let why =
            "X-Rialto-Scan: s; failed; not scanned: it cannot be reached: connection refused\r\n";
        assert_eq!((scanned.fate.clone(), front(&scanned).as_str()), (Fate::Accepted, why));
        world.configure(vec![by(OnFailure::Junk)]);
        let scanned = world.scan().await;
        assert!(front(&scanned).starts_with(why) && front(&scanned).contains(SPAM_FIELD));
        world.configure(vec![by(OnFailure::Defer)]);
        assert_eq!(world.scan().await.fate, later());
        let place = ScannerPlace::Unix("/run/nobody".into());
        world.configure(vec![Scanner { place, ..by(OnFailure::Accept) }]);
        assert!(front(&world.scan().await).contains("it cannot be reached"));
    });
}

#[test]
fn a_scanner_that_fails_again_and_again_holds_nobody_up() {
    run(async |world| {
        let address = odd(&world, 0, b"", true).await;
        let quick = Scanner { deadline_ms: 1_000, ..at("s", Language::Clamd, address) };
        world.configure(vec![quick]);
        for number in 1..=5 {
            assert_eq!(world.timed(world.scan()).await, (world.refused("s"), 1_000), "{number}");
        }
        let standing = world.clients.standing("s");
        assert_eq!((standing.failures, standing.rests_ms), (5, Some(5_000)));
        for _ in 0..20 {
            let (scanned, took_ms) = world.timed(world.scan()).await;
            assert_eq!((scanned.fate, took_ms), (later(), 0));
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        // One message finds out, and the others do not wait for it.
        let all = (0..10).map(|_| world.timed(world.scan()));
        let mut waits: Vec<_> =
            futures::future::join_all(all).await.into_iter().map(|(_, took_ms)| took_ms).collect();
        waits.sort_unstable();
        assert_eq!((waits[8], waits[9]), (0, 1_000));
        assert_eq!(world.clients.standing("s").rests_ms, Some(10_000));
    });
}

#[test]
fn a_scanner_that_is_back_is_asked_again() {
    run(async |world| {
        let nobody: SocketAddr = "127.0.0.1:777".parse().unwrap();
        world.configure(vec![at("s", Language::Clamd, nobody)]);
        for _ in 0..5 {
            assert_eq!(world.scan().await.fate, later());
        }
        let listener = world.env.network.listen(nobody).await.unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                read_until(&mut stream, |got| got.ends_with(&[0; 4])).await;
                say(&mut stream, b"stream: OK\0").await;
            }
        });
        assert_eq!(world.scan().await.fate, later(), "it rests");
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(world.scan().await.fate, Fate::Accepted);
        let standing = world.clients.standing("s");
        assert_eq!((standing.failures, standing.rests_ms, standing.answered), (0, None, 1));
        assert_eq!(standing.trouble, "");
    });
}

#[test]
fn no_more_connections_than_it_may_have() {
    run(async |world| {
        let script = |mut stream: Box<dyn Stream>| {
            async move {
                read_until(&mut stream, |got| got.ends_with(&[0; 4])).await;
                tokio::time::sleep(Duration::from_secs(1)).await;
                say(&mut stream, b"stream: OK\0").await;
            }
            .boxed()
        };
        let (address, count) = world.scanner(Box::new(script)).await;
        let one = Scanner { connections_max: 2, ..at("s", Language::Clamd, address) };
        world.configure(vec![Scanner { deadline_ms: 2_500, ..one }]);
        let all = futures::future::join_all((0..6).map(|_| world.scan())).await;
        let accepted = all.iter().filter(|scanned| scanned.fate == Fate::Accepted).count();
        // Two at a time, a second each: the last two would be done after three seconds.
        assert_eq!((accepted, *count.lock()), (4, 6));
        let standing = world.clients.standing("s");
        assert_eq!(standing.rests_ms, None, "that it is busy is no failure of it");
    });
}

impl World {
    /// What comes of a message whose scanner has not answered in time.
    fn refused(&self, name: &str) -> contract_transport::scanner::scanning::Scanned {
        contract_transport::scanner::scanning::Scanned {
            fate: later(),
            reason: format!("{name}: not scanned: it did not answer in time"),
            ..Default::default()
        }
    }
}
