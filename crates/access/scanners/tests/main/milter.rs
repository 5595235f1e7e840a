//! Milters.

use crate::world::{World, at, front, run};
use base::env::Stream;
use contract_transport::scanner::scanning::{Fate, Reply, Scanned, Scanners};
use contract_transport::scanner::{Language, OnFailure, Scanner};
use futures::FutureExt;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What a milter answers to a step; `c` where nothing is said. To `E` it says several things.
type Answers = BTreeMap<char, Vec<(char, Vec<u8>)>>;

/// A step, and what is said to it.
type Step<'s> = (char, &'s [(char, &'s [u8])]);

/// What it wants: version, actions, protocol.
const PLAIN: [u32; 3] = [6, 0, 0];

type Seen = Arc<Mutex<Vec<(char, String)>>>;

fn packet(command: char, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len() + 1).unwrap().to_be_bytes();
    [&length[..], &[command as u8], data].concat()
}

async fn receive(stream: &mut Box<dyn Stream>) -> Option<(char, Vec<u8>)> {
    let length = stream.read_u32().await.ok()?;
    let mut data = vec![0; length as usize];
    stream.read_exact(&mut data).await.ok()?;
    Some((char::from(data.remove(0)), data))
}

/// Which steps are not answered, by what was negotiated.
fn is_silent(command: char, wants: u32) -> bool {
    let flags = [('L', 0x80), ('C', 0x1000), ('H', 0x2000), ('M', 0x4000), ('R', 0x8000)];
    let flags = flags.into_iter().chain([('T', 0x1_0000), ('N', 0x4_0000), ('B', 0x8_0000)]);
    flags.into_iter().any(|(known, flag)| known == command && wants & flag != 0)
}

async fn serve(mut stream: Box<dyn Stream>, wants: [u32; 3], answers: Answers, seen: Seen) {
    while let Some((command, data)) = receive(&mut stream).await {
        let shown = match command {
            'O' => format!("{data:?}"),
            _ => String::from_utf8_lossy(&data).replace('\0', "|"),
        };
        seen.lock().push((command, shown));
        let said = match (command, answers.get(&command)) {
            ('O', None) => packet('O', &wants.map(u32::to_be_bytes).concat()),
            ('D' | 'Q', _) => continue,
            (_, Some(said)) => {
                said.iter().flat_map(|(command, data)| packet(*command, data)).collect()
            }
            (silent, None) if is_silent(silent, wants[2]) => continue,
            (_, None) => packet('c', b""),
        };
        if stream.write_all(&said).await.is_err() {
            return;
        }
    }
}

/// A milter that wants and says this.
async fn milter(world: &World, wants: [u32; 3], answers: &[Step<'_>]) -> (Scanner, Seen) {
    let seen: Seen = Arc::default();
    let one = |said: &[(char, &[u8])]| said.iter().map(|(c, data)| (*c, data.to_vec())).collect();
    let answers: Answers = answers.iter().map(|(step, said)| (*step, one(said))).collect();
    let kept = seen.clone();
    let script = move |stream| serve(stream, wants, answers.clone(), kept.clone()).boxed();
    let (address, _) = world.scanner(Box::new(script)).await;
    (at("m", Language::Milter, address), seen)
}

async fn scanned(world: &World, wants: [u32; 3], answers: &[Step<'_>]) -> (Scanned, String) {
    let (scanner, seen) = milter(world, wants, answers).await;
    world.configure(vec![scanner]);
    let scanned = world.scan().await;
    tokio::task::yield_now().await;
    let steps = seen.lock().iter().map(|(command, _)| *command).collect();
    (scanned, steps)
}

#[test]
fn it_is_told_everything_in_the_words_of_the_protocol() {
    run(async |world| {
        let (scanner, seen) = milter(&world, PLAIN, &[]).await;
        world.configure(vec![scanner]);
        let mut mail = world.mail("body\r\nmore\r\n");
        mail.header = "Subject:  two\r\n lines\r\nX:y\r\n\r\n".into();
        mail.facts.user = Some("alice@rialto.test".into());
        let queue = mail.facts.queue;
        let scanned = world.clients.scan(mail).await;
        assert_eq!(scanned.fate, Fate::Accepted);
        assert_eq!(front(&scanned), "X-Rialto-Scan: m; clean\r\n");
        tokio::task::yield_now().await;
        let seen = seen.lock();
        let seen: Vec<_> = seen.iter().skip(1).map(|(c, text)| format!("{c} {text}")).collect();
        assert_eq!(
            seen,
            [
                "D Cj|mail.rialto.test|{daemon_name}|rialto|{client_addr}|192.0.2.7|",
                "C [192.0.2.7]|4\u{fffd}@192.0.2.7|",
                "H client.example|",
                &format!(
                    "D Mi|{queue}|{{mail_addr}}|a@b.example|{{auth_type}}|PLAIN|{{auth_authen}}|\
                 alice@rialto.test|"
                ),
                "M <a@b.example>|",
                "D R{rcpt_addr}|x@rialto.test|",
                "R <x@rialto.test>|",
                "D R{rcpt_addr}|y@rialto.test|",
                "R <y@rialto.test>|",
                "T ",
                "L Subject| two\n lines|",
                "L X|y|",
                "N ",
                "B body\r\nmore\r\n",
                &format!("D Ei|{queue}|"),
                "E ",
                "Q ",
            ]
        );
    });
}

#[test]
fn it_sees_and_answers_what_it_wants_only() {
    run(async |world| {
        let check = async |flags: u32, expect: &str| {
            let (found, steps) = scanned(&world, [6, 0, flags], &[]).await;
            assert_eq!((found.fate, steps.as_str()), (Fate::Accepted, expect), "{flags:#x}");
        };
        check(0, "ODCHDMDRRDRRTLLNBDEQ".replace("DRRDRR", "DRDR").as_str()).await;
        check(0x7f | 0x200, "ODDDDDEQ").await;
        check(0x10, "ODCHDMDRDRTLLNDEQ").await;
        let silent = 0x80 | 0x1000 | 0x2000 | 0x4000 | 0x8000 | 0x1_0000 | 0x4_0000 | 0x8_0000;
        check(silent, "ODCHDMDRDRTLLNBDEQ").await;
    });
}

#[test]
fn verdicts_at_every_step_are_taken() {
    run(async |world| {
        let refused =
            |code, status, text: &str| Fate::Refused(Reply { code, status, text: text.to_owned() });
        for step in ['C', 'H', 'M', 'R', 'T', 'L', 'N', 'B', 'E'] {
            for (said, data, expect) in [
                ('r', &b""[..], refused(550, [5, 7, 1], "the message is refused")),
                ('t', b"", refused(451, [4, 7, 1], "try again later")),
                ('y', b"554 5.7.9 no %%s\0", refused(554, [5, 7, 9], "no %s")),
                ('d', b"", Fate::Discarded),
                ('a', b"", Fate::Accepted),
            ] {
                let (found, _) = scanned(&world, PLAIN, &[(step, &[(said, data)])]).await;
                assert_eq!(found.fate, expect, "{said} to {step}");
            }
        }
        let skipped = [('s', &b""[..])];
        let (found, steps) = scanned(&world, PLAIN, &[('B', &skipped)]).await;
        assert_eq!((found.fate, steps.ends_with("BDEQ")), (Fate::Accepted, true));
    });
}

#[test]
fn changes_of_the_header_and_quarantine_are_taken() {
    run(async |world| {
        let end: [(char, &[u8]); 6] = [
            ('h', b"X-Spam\0Yes\0"),
            ('p', b""),
            ('i', b"\0\0\0\x01DKIM-Signature\0v=1;\n\tb=x\0"),
            ('m', b"\0\0\0\x01Subject\0[SPAM] hi\0"),
            ('q', b"looks bad\0"),
            ('c', b""),
        ];
        let (found, _) = scanned(&world, [6, 0x31, 0], &[('E', &end)]).await;
        assert_eq!(found.fate, Fate::Accepted);
        let expect = "X-Rialto-Scan: m; junk; quarantine; looks bad\r\n\
             X-Rialto-Spam: junk (m: quarantine; looks bad)\r\n\
             DKIM-Signature: v=1;\r\n\tb=x\r\nX-Spam: Yes\r\n";
        assert_eq!(front(&found), expect);
        let header = &b"From: a@b.example\r\nSubject: [SPAM] hi\r\n\r\n"[..];
        assert_eq!(found.header.as_deref(), Some(header));
    });
}

#[test]
fn what_it_found_stays_where_it_removes_what_was_forged() {
    run(async |world| {
        let end: [(char, &[u8]); 3] = [
            ('m', b"\0\0\0\x01Authentication-Results\0\0"),
            ('i', b"\0\0\0\x01Authentication-Results\0mx; dkim=pass\0"),
            ('c', b""),
        ];
        let (scanner, _) = milter(&world, [6, 0x31, 0], &[('E', &end)]).await;
        world.configure(vec![scanner]);
        let mut mail = world.mail("body\r\n");
        mail.header = "From: a@b.example\r\nAuthentication-Results: mx; forged\r\n\r\n".into();
        let found = world.clients.scan(mail).await;
        let expect = "X-Rialto-Scan: m; clean\r\nAuthentication-Results: mx; dkim=pass\r\n";
        assert_eq!(front(&found), expect);
        assert_eq!(found.header.as_deref(), Some(&b"From: a@b.example\r\n\r\n"[..]));
    });
}

#[test]
fn one_recipient_that_it_would_not_take_is_noted() {
    run(async |world| {
        let (scanner, _) = milter(&world, PLAIN, &[('R', &[('r', b"")])]).await;
        world.configure(vec![scanner]);
        assert!(matches!(world.scan().await.fate, Fate::Refused(_)), "all of them");
        let seen: Seen = Arc::default();
        let script = move |mut stream: Box<dyn Stream>| {
            let seen = seen.clone();
            async move {
                let mut count = 0;
                while let Some((command, _)) = receive(&mut stream).await {
                    count += usize::from(command == 'R');
                    let said = match command {
                        'O' => packet('O', &PLAIN.map(u32::to_be_bytes).concat()),
                        'D' | 'Q' => continue,
                        'R' if count == 1 => packet('r', b""),
                        _ => packet('c', b""),
                    };
                    seen.lock().push((command, String::new()));
                    stream.write_all(&said).await.unwrap();
                }
            }
            .boxed()
        };
        let (address, _) = world.scanner(Box::new(script)).await;
        world.configure(vec![at("m", Language::Milter, address)]);
        let found = world.scan().await;
        let note = "X-Rialto-Scan: m; clean; it would not have taken x@rialto.test\r\n";
        assert_eq!((found.fate.clone(), front(&found).as_str()), (Fate::Accepted, note));
    });
}

#[test]
fn attack_milters_that_are_none_or_want_too_much_are_failures() {
    run(async |world| {
        let check = async |wants: [u32; 3], answers: &[Step<'_>], expect: &str| {
            let (scanner, _) = milter(&world, wants, answers).await;
            world.configure(vec![Scanner { on_failure: OnFailure::Accept, ..scanner }]);
            let found = front(&world.scan().await);
            assert!(found.contains("; failed; ") && found.contains(expect), "{expect}: {found}");
        };
        check([7, 0, 0], &[], "version 7").await;
        check([1, 0, 0], &[], "version 1").await;
        check([6, 0x02, 0], &[], "bodies, senders or recipients").await;
        check([6, 0, 0x800], &[], "was not offered").await;
        check(PLAIN, &[('O', &[('c', b"")])], "negotiates nothing").await;
        check(PLAIN, &[('M', &[('f', b"")])], "refuses to work").await;
        check(PLAIN, &[('L', &[('h', b"X\0y\0")])], "no answer here").await;
        check(PLAIN, &[('N', &[('s', b"")])], "skips what is no body").await;
        check(PLAIN, &[('E', &[('b', b"new body")])], "no answer here").await;
        check(PLAIN, &[('E', &[('y', b"250 fine\0")])], "no reply").await;
        let add: (char, &[u8]) = ('h', b"X-A\0b\0");
        check([6, 1, 0], &[('E', &[add; 201])], "more than 200 changes").await;
        check(PLAIN, &[('E', &[('h', &[b'x'; 200_000])])], "a packet of 200001 bytes").await;
    });
}
