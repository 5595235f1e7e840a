//! Time limits and what a session may waste: whatever a client does, a session ends.

use crate::world::{PASSWORD, World, config, run};
use access_smtp::{Config, Role};
use contract_directory::{AccountChange, Secret};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const TO_ALICE: &str = "C: MAIL FROM:<a@b.example>\nC: RCPT TO:<alice@rialto.test>\nS* 2 250 *\n";

/// Sends pieces with a pause behind each until the server closes; what it said, and after how
/// many seconds it closed.
async fn drip(
    world: &World,
    head: &str,
    pieces: impl Iterator<Item = Vec<u8>> + Send + 'static,
    pause: Duration,
) -> (String, u64) {
    let (mut client, session) = world.connect();
    let begun = world.env.clock.monotonic();
    client.write_all(head.as_bytes()).await.unwrap();
    let (mut reader, mut writer) = tokio::io::split(client);
    let dripping = tokio::spawn(async move {
        for piece in pieces {
            if writer.write_all(&piece).await.is_err() {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        // The server has the last word.
        std::future::pending::<()>().await;
        drop(writer);
    });
    let mut said = String::new();
    reader.read_to_string(&mut said).await.unwrap();
    session.await.unwrap();
    dripping.abort();
    (said, (world.env.clock.monotonic() - begun).as_secs())
}

#[test]
fn attack_16_time_limits_are_counted_from_the_beginning() {
    const HEAD: &str = "EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<bob@rialto.test>\r\n";
    let check = |head: &str, piece: &'static [u8], pause_s: u64, after_s: u64| {
        let head = head.to_owned();
        run(config(Role::Server), async move |world| {
            let pieces = std::iter::repeat(piece.to_vec());
            let pause = Duration::from_secs(pause_s);
            let (said, took) = drip(&world, &head, pieces, pause).await;
            assert!(said.ends_with("421 4.4.2 mail.rialto.test timeout\r\n"), "{said}");
            // The client has a moment to close.
            let took_on_time = (after_s..=after_s + 1).contains(&took);
            assert!(took_on_time, "{took} s: {head:?} {}", piece.escape_ascii());
        });
    };
    // A line: five minutes for all of it.
    check("", b"x", 1, 300);
    // Commands without end: ten minutes for a connection that moves no message.
    check("", b"NOOP\r\n", 7, 600);
    // A message: ten minutes, unless it keeps a pace; no byte buys five minutes more.
    check(&format!("{HEAD}DATA\r\n"), b"x", 10, 600);
    check(&format!("{HEAD}DATA\r\n"), b"x", 299, 600);
    check(&format!("{HEAD}BDAT 1000000 LAST\r\n"), b"x", 10, 600);
    check(&format!("{HEAD}BDAT 1000000\r\n"), b"x", 10, 600);
}

#[test]
fn attack_16_a_backlog_of_commands_does_not_outlast_the_connection() {
    // Each answer takes its time, and the next command is there already.
    let config = Config { tarpit_ms: 5_000, tarpit_total_ms: u64::MAX, ..config(Role::Server) };
    run(config, async |world| {
        let guesses = (0..400).map(|n| format!("RCPT TO:<user{n}@rialto.test>\r\n").into_bytes());
        let head = "EHLO c\r\nMAIL FROM:<a@b.example>\r\n";
        let (said, took) = drip(&world, head, guesses, Duration::ZERO).await;
        assert!(said.ends_with("421 4.4.2 mail.rialto.test timeout\r\n"), "{said}");
        assert_eq!((took / 10, said.matches("550 5.1.1").count()), (60, 120));
    });
}

#[test]
fn a_slow_message_that_keeps_its_pace_takes_as_long_as_it_takes() {
    for chunked in [false, true] {
        run(config(Role::Server), async move |world| {
            let line = [b"\r\n".to_vec(), b"x".repeat(998)].concat();
            let head = "EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<bob@rialto.test>\r\n";
            // 40 minutes at 2,500 bytes a second.
            let minute = line.repeat(150);
            let chunk = [b"BDAT 150000\r\n".to_vec(), minute.clone()].concat();
            let (head, piece, end) = match chunked {
                false => (format!("{head}DATA\r\nSubject: x\r\n"), minute, "\r\n.\r\n"),
                true => (head.to_owned(), chunk, "BDAT 0 LAST\r\n"),
            };
            let end = format!("{end}QUIT\r\n").into_bytes();
            let pieces = std::iter::repeat_n(piece, 40).chain([end]);
            let (said, took) = drip(&world, &head, pieces, Duration::from_secs(60)).await;
            assert!(said.contains("250 2.6.0"), "{chunked} after {took} s: {said}");
            assert_eq!(world.taken()[0].bytes.len() / 1_000_000, 6);
        });
    }
}

#[test]
fn attack_05_refused_chunks_are_looked_past_within_bounds() {
    let config = Config { message_bytes_max: 100_000, ..config(Role::Server) };
    for (envelope, ending) in [
        (TO_ALICE, "552 5.3.4 message size exceeds limit"),
        // Chunks that belong to nothing.
        ("", "421 4.7.0 mail.rialto.test too many errors"),
    ] {
        run(config.clone(), async move |world| {
            let chunk = format!("C: BDAT 90000\nC~ {}\n", "x".repeat(90_000));
            let refusal = if envelope.is_empty() { "503 *" } else { "552 *" };
            let first = if envelope.is_empty() { "" } else { "S: 250 *\n" };
            let rest = 2 - usize::from(!first.is_empty());
            let expect = format!("{first}{}", format!("S: {refusal}\n").repeat(rest));
            let text = format!("{envelope}{}{expect}S: {ending}\n! closed", chunk.repeat(3));
            world.talk(Role::Server, &text).await.unwrap();
        });
    }
}

#[test]
fn attack_06_refused_messages_are_looked_past_within_bounds() {
    let config = Config { message_bytes_max: 10_000, ..config(Role::Server) };
    run(config, async |world| {
        let large = format!("{TO_ALICE}C: DATA\nS: 354 *\nC: {}\n", "x".repeat(12_000));
        let end = "C: .\nS: 552 *\n";
        let text = format!(
            "{large}{end}{TO_ALICE}C: DATA\nS: 354 *\nC: {}\n{end}{TO_ALICE}C: DATA\n\
            S: 421 4.7.0 *\n! closed",
            "x".repeat(11_000)
        );
        world.talk(Role::Server, &text).await.unwrap();
        // A message that is taken makes good for it.
        let small = format!("{TO_ALICE}C: DATA\nS: 354 *\nC: x\nC: .\nS: 250 *\n");
        let again = format!("{large}{end}{small}").repeat(5);
        world.talk(Role::Server, &again).await.unwrap();
    });
}

#[test]
fn a_long_list_of_recipients_is_no_reason_to_end() {
    let config = Config { recipients_max: 300, ..config(Role::Server) };
    run(config, async |world| {
        let text = "C: MAIL FROM:<a@b.example>\nC* 600 RCPT TO:<bob+{}@rialto.test>\nS* 301 250 *\n\
            S* 300 452 4.5.3 too many recipients\nC: DATA\nS: 354 *\nC: x\nC: .\nS: 250 2.6.0 *";
        world.talk(Role::Server, text).await.unwrap();
    });
}

#[test]
fn attack_08_the_same_recipient_without_end() {
    let config = Config { recipients_max: 300, ..config(Role::Server) };
    run(config, async |world| {
        // As often as there may be recipients: a list that was made carelessly.
        let mail = "C: MAIL FROM:<a@b.example>\n";
        let careless = format!("{mail}C* 300 RCPT TO:<bob@rialto.test>\nS* 301 250 *\n");
        let taken = "C: DATA\nS: 354 *\nC: x\nC: .\nS: 250 2.6.0 *\n";
        world.talk(Role::Server, &format!("{careless}{taken}")).await.unwrap();
        assert_eq!(world.only().0.submission.envelope.recipients.len(), 1);
        // Then each leads nowhere, and in the end the session ends.
        let flood = format!(
            "{careless}C* 1000 RCPT TO:<bob@rialto.test>\nS* 105 250 *\nS: 421 4.7.0 *\n! closed"
        );
        world.talk(Role::Server, &flood).await.unwrap();
    });
}

#[test]
fn a_session_ends_when_its_account_changes() {
    let changes = [
        AccountChange { enabled: Some(false), ..AccountChange::default() },
        AccountChange { password: Some(Secret("another".into())), ..AccountChange::default() },
    ];
    for change in changes {
        run(config(Role::Submission), async move |world| {
            let text = "C: MAIL FROM:<alice@rialto.test>\nS: 250 *\nC: RSET\nS: 250 *\n! wait 10\n\
                C: MAIL FROM:<alice@rialto.test>\nS: 421 4.7.0 your account has changed*\n! closed";
            let changing = async {
                tokio::time::sleep(Duration::from_secs(5)).await;
                world.change("alice", change).await;
            };
            let (played, ()) = tokio::join!(world.talk(Role::Submission, text), changing);
            played.unwrap();
        });
    }
}

#[test]
fn an_authorisation_identity_is_ones_own_by_any_name() {
    run(config(Role::Submission), async |world| {
        let bob = |authzid: &str| {
            let response = format!("{authzid}\0bob@rialto.test\0{}", PASSWORD);
            codec_smtp::sasl::encode(response.as_bytes())
        };
        let check = async |authzid: &str, reply: &str| {
            let text = format!(
                "S: 220 *\nC: EHLO c\nS? 250 STARTTLS\nC: STARTTLS\nS: 220 *\n! tls\nC: EHLO c\n\
                 S? 250 AUTH *\nC: AUTH PLAIN {}\nS: {reply}",
                bob(authzid)
            );
            world.play(&text).await.unwrap();
        };
        for own in ["", "bob", "BOB@rialto.test", "Robert@Rialto.test", "robert"] {
            check(own, "235 *").await;
        }
        for other in ["alice", "alice@rialto.test", "bob@elsewhere.example", "nobody"] {
            check(other, "535 *").await;
        }
    });
}
