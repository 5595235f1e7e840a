//! What becomes of a message: bytes, trace headers, what is added, what goes wrong on the way.

use crate::doubles::Fault;
use crate::world::{World, address, config, run};
use access_smtp::{Config, Role};
use base::{Error, Kind};
use codec_mime::Address;
use contract_directory::AccountChange;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const TO_ALICE: &str = "C: MAIL FROM:<a@b.example>\nC: RCPT TO:<alice@rialto.test>\nS* 2 250 *\n";
const FROM_ALICE: &str =
    "C: MAIL FROM:<alice@rialto.test>\nC: RCPT TO:<bob@rialto.test>\nS* 2 250 *\n";

fn data(envelope: &str, message: &str, reply: &str) -> String {
    let lines: String = message.lines().map(|line| format!("C: {line}\n")).collect();
    format!("{envelope}C: DATA\nS: 354 *\n{lines}C: .\nS: {reply}")
}

async fn deliver(world: &World, message: &str) {
    world.talk(Role::Server, &data(TO_ALICE, message, "250 2.6.0 *")).await.unwrap();
}

async fn submit(world: &World, message: &str) {
    world.talk(Role::Submission, &data(FROM_ALICE, message, "250 2.6.0 *")).await.unwrap();
}

#[test]
fn a_message_keeps_every_byte_behind_one_trace_field() {
    run(config(Role::Server), async |world| {
        deliver(&world, "Subject: hi\nX-8bit: caf\u{e9}\n\n..\n..two\nend").await;
        let (taken, text) = world.only();
        let submission = taken.submission;
        let expect = "Subject: hi\r\nX-8bit: caf\u{e9}\r\n\r\n.\r\n.two\r\nend\r\n";
        let (trace, message) = text.split_at(text.len() - expect.len());
        assert_eq!(message, expect);
        let unfolded = trace.replace("\r\n ", " ");
        let expect = format!(
            "Received: from client.example ([192.0.2.7]) by mail.rialto.test with ESMTP \
             id {} for <alice@rialto.test>; Sun, 17 Mar 2030 17:46:40 +0000\r\n",
            submission.queue
        );
        assert_eq!(unfolded, expect);
        assert_eq!(*submission.parsed, codec_mime::parse(&taken.bytes));
        let envelope = submission.envelope;
        assert_eq!(envelope.sender, Some(base::Address::new("a", "b.example")));
        assert_eq!(envelope.recipients[0].address, address("alice"));
        assert_eq!(envelope.authenticated, None);
        assert_eq!(envelope.source.ip, Some(world.peer.ip()));
        assert_eq!(
            (&*envelope.source.helo, &*envelope.source.protocol),
            ("client.example", "ESMTP")
        );
        assert_eq!(taken.mailbox, None);
    });
}

#[test]
fn a_binary_message_is_stored_as_lines() {
    run(config(Role::Server), async |world| {
        let dialogue = "C: MAIL FROM:<a@b.example> BODY=BINARYMIME\nC: RCPT TO:<alice@rialto.test>\n\
             C: BDAT 69\nC~ Subject: hi\\r\\nContent-Type: a/b\\r\\n\
             Content-Transfer-Encoding: binary\\r\\n\\r\\n\n\
             C: BDAT 6 LAST\nC~ \\x00\\r\\r\\n\\xFF\\n\nS* 3 250 *\nS: 250 2.6.0 *";
        world.talk(Role::Server, dialogue).await.unwrap();
        let (taken, text) = world.only();
        let expect = "Subject: hi\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\
                      MIME-Version: 1.0\r\n\r\nAA0NCv8K\r\n";
        assert!(text.ends_with(expect), "{text}");
        assert_eq!(*taken.submission.parsed, codec_mime::parse(&taken.bytes));
        let whole = taken.submission.content.size_bytes();
        assert_eq!(whole, taken.bytes.len() as u64);
    });
}

#[test]
fn odd_messages_are_parsed_as_they_are_stored() {
    for message in [
        "",
        "no header at all",
        " begins with a blank\nSubject: x\n\nbody",
        "\tb\n",
        "\n",
        "\n\nbody",
        "Subject: only a header",
        "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n--b--\nend",
    ] {
        for role in [Role::Server, Role::Submission] {
            run(config(role), async |world| {
                let envelope = if role == Role::Server { TO_ALICE } else { FROM_ALICE };
                let text = data(envelope, message, "250 2.6.0 *");
                world.talk(role, &text).await.unwrap();
                let (taken, text) = world.only();
                let mut bytes = message.replace('\n', "\r\n");
                if !message.is_empty() && !message.ends_with('\n') {
                    bytes.push_str("\r\n");
                }
                assert!(text.ends_with(&bytes), "{text}");
                let parsed = codec_mime::parse(&taken.bytes);
                let kept = &*taken.submission.parsed;
                assert_eq!(kept.root, parsed.root, "{text}");
                assert_eq!(kept.envelope, parsed.envelope, "{text}");
                assert_eq!(*kept, parsed, "{text}");
            });
        }
    }
}

#[test]
fn chunks_of_every_size_make_the_same_message() {
    run(config(Role::Server), async |world| {
        let chunks = "C: BDAT 14\nC~ Subject: hi\\r\\n\nC: BDAT 3\nC~ \\r\\na\nC: BDAT 4 LAST\n\
            C~ \\r\\nb.\nS* 2 250 2.0.0 *\nS: 250 2.6.0 *";
        // 14 bytes are "Subject: hi" with its line end and one byte more.
        let chunks = chunks.replace("BDAT 14", "BDAT 13");
        world.talk(Role::Server, &format!("{TO_ALICE}{chunks}")).await.unwrap();
        let (_, text) = world.only();
        assert!(text.ends_with("+0000\r\nSubject: hi\r\n\r\na\r\nb.\r\n"), "{text}");
    });
}

#[test]
fn a_submission_gets_what_it_lacks_and_goes_through_its_mailbox() {
    run(config(Role::Submission), async |world| {
        submit(&world, "Subject: bare\n\ntext").await;
        let (taken, text) = world.only();
        let (mailbox, sent_copy) = taken.mailbox.unwrap();
        assert_eq!(taken.submission.envelope.authenticated, Some(mailbox));
        assert!(!sent_copy);
        let text = text.replace("\r\n ", " ");
        let trace = "Received: from client.example ([192.0.2.7]) by mail.rialto.test with ESMTPSA \
            (TLSv1.3 TLS_AES_256_GCM_SHA384) id ";
        assert!(text.starts_with(trace), "{text}");
        assert!(!text.contains("for <bob"), "blind recipients stay so: {text}");
        assert!(text.contains("\r\nFrom: Alice <alice@rialto.test>\r\nDate: Sun, 17 Mar 2030 "));
        let id = format!("<{}@mail.rialto.test>", taken.submission.queue);
        assert!(text.contains(&format!("\r\nMessage-ID: {id}\r\nSubject: bare\r\n\r\ntext\r\n")));
        let parsed = &taken.submission.parsed;
        assert_eq!(parsed.envelope.message_id.as_deref(), Some(id.as_bytes()));
        assert_eq!(parsed.sent_at.unwrap().unix_seconds, 1_900_000_000);
        assert!(matches!(&parsed.envelope.from[..], [Address::Mailbox { .. }]));
        assert_eq!(**parsed, codec_mime::parse(&taken.bytes));
    });
}

#[test]
fn a_complete_submission_is_left_alone_and_copied_to_sent_items_if_wanted() {
    run(config(Role::Submission), async |world| {
        let copied = AccountChange { smtp_sent_copy: Some(true), ..AccountChange::default() };
        world.change("alice", copied).await;
        let message = "From: alice@rialto.test\nDate: Tue, 1 Jan 2030 00:00:00 +0000\n\
            Message-ID: <own@client.example>\n\ntext";
        submit(&world, message).await;
        let (taken, text) = world.only();
        assert_eq!(taken.mailbox.map(|(_, copy)| copy), Some(true));
        assert_eq!(text.matches("Message-ID:").count(), 1);
        assert!(text.ends_with(&(message.replace('\n', "\r\n") + "\r\n")), "{text}");
    });
}

#[test]
fn send_as_opens_another_address() {
    run(config(Role::Submission), async |world| {
        let accounts =
            contract_directory::DirectoryAdmin::list_accounts(&*world.directory, None, 9);
        let accounts = accounts.await.unwrap();
        let alice = accounts.iter().find(|a| a.address.local == "alice").unwrap().id;
        let granted = AccountChange { send_as: Some(vec![alice]), ..AccountChange::default() };
        world.change("bob", granted).await;
        let text = data(
            "C: MAIL FROM:<robert@rialto.test>\nC: RCPT TO:<alice@rialto.test>\nS* 2 250 *\n",
            "From: Bob <bob@rialto.test>\n\nfor bob",
            "250 2.6.0 *",
        );
        world.talk(Role::Submission, &text).await.unwrap();
        assert_eq!(world.taken().len(), 1);
    });
}

#[test]
fn failures_of_the_commit_are_told_and_nothing_is_kept() {
    for (kind, reply) in [
        (Kind::OutOfSpace, "452 4.3.1 *"),
        (Kind::Overloaded, "451 4.3.0 *"),
        (Kind::Internal, "451 4.3.0 *"),
        (Kind::NotFound, "451 4.3.0 *"),
        (Kind::OverQuota, "552 5.2.2 *"),
    ] {
        for role in [Role::Server, Role::Submission] {
            run(config(role), async |world| {
                world.fail(Fault::Error(Error::new(kind, "as told")));
                let envelope = if role == Role::Server { TO_ALICE } else { FROM_ALICE };
                let twice = data(envelope, "Subject: x", reply) + "\n";
                let twice = twice + &data(envelope, "Subject: x", "250 2.6.0 *");
                world.talk(role, &twice).await.unwrap();
                assert_eq!(world.taken().len(), 1, "{kind:?}");
                assert_eq!(*world.backend.attempts.lock(), 2, "{kind:?} is not tried again");
            });
        }
    }
}

#[test]
fn an_unknown_outcome_is_asked_for_again_and_accepted_once() {
    for kind in [Kind::Unavailable, Kind::Timeout, Kind::Fenced] {
        run(config(Role::Server), async |world| {
            world.fail(Fault::After(Error::new(kind, "who knows")));
            deliver(&world, "Subject: once").await;
            assert_eq!(world.taken().len(), 1);
            assert_eq!(*world.backend.attempts.lock(), 2);
            // Not for ever: the second failure is told.
            world.fail(Fault::Error(Error::new(kind, "no")));
            world.fail(Fault::Error(Error::new(kind, "no")));
            let text = data(TO_ALICE, "Subject: twice", "451 4.3.0 *");
            world.talk(Role::Server, &text).await.unwrap();
            assert_eq!(world.taken().len(), 1);
        });
    }
}

#[test]
fn a_commit_that_takes_too_long_is_told_and_never_lands() {
    for role in [Role::Server, Role::Submission] {
        run(config(role), async |world| {
            world.fail(Fault::Slow(Duration::from_secs(60)));
            let begun = world.env.clock.monotonic();
            let envelope = if role == Role::Server { TO_ALICE } else { FROM_ALICE };
            let text = data(envelope, "Subject: slow", "451 4.3.0 *");
            world.talk(role, &text).await.unwrap();
            assert!(world.env.clock.monotonic() - begun < Duration::from_secs(15));
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert_eq!(world.taken().len(), 0, "who is told to try again does so");
        });
    }
}

#[test]
fn a_submission_that_nobody_could_withdraw_in_time_does_not_land_either() {
    // It comes before the withdrawal that goes on, or behind it.
    for lands_after in [12, 60] {
        run(config(Role::Submission), async |world| {
            world.fail(Fault::Slow(Duration::from_secs(lands_after)));
            *world.backend.withdrawal_takes.lock() = Duration::from_secs(20);
            let begun = world.env.clock.monotonic();
            let text = data(FROM_ALICE, "Subject: slow", "451 4.3.0 *");
            world.talk(Role::Submission, &text).await.unwrap();
            assert!(world.env.clock.monotonic() - begun < Duration::from_secs(15));
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert_eq!(world.taken().len(), 0, "the client sends it again");
        });
    }
}

#[test]
fn a_submission_whose_task_broke_down_is_settled_too() {
    run(config(Role::Submission), async |world| {
        world.fail(Fault::After(Error::internal("who knows")));
        let text = data(FROM_ALICE, "Subject: once", "250 2.6.0 *");
        world.talk(Role::Submission, &text).await.unwrap();
        assert_eq!(world.taken().len(), 1);
    });
}

#[test]
fn two_hundred_and_fifty_comes_after_the_commit() {
    run(config(Role::Server), async |world| {
        world.fail(Fault::Slow(Duration::from_secs(5)));
        let (mut client, session) = world.connect();
        let lines = "EHLO c.example\r\nMAIL FROM:<>\r\nRCPT TO:<bob@rialto.test>\r\nDATA\r\n";
        client.write_all(format!("{lines}Subject: x\r\n.\r\n").as_bytes()).await.unwrap();
        let mut seen = String::new();
        while !seen.contains("2.6.0") {
            assert_eq!(world.taken().len(), 0, "nothing is promised before: {seen}");
            let mut room = [0; 512];
            let read = client.read(&mut room).await.unwrap();
            seen.push_str(&String::from_utf8_lossy(&room[..read]));
        }
        assert_eq!(world.taken().len(), 1);
        drop(client);
        session.await.unwrap();
    });
}

#[test]
fn the_submission_rate_is_limited_for_each_account() {
    let config = Config { submissions_per_minute: Some(2), ..config(Role::Submission) };
    run(config, async |world| {
        let one = data(FROM_ALICE, "Subject: x", "250 2.6.0 *") + "\n";
        let text = format!(
            "{one}{one}C: MAIL FROM:<alice@rialto.test>\nS: 451 4.7.0 submission rate exceeded*\n\
             ! wait 31\n{one}"
        );
        world.talk(Role::Submission, &text).await.unwrap();
        assert_eq!(world.taken().len(), 3);
    });
}

#[test]
fn when_the_buffers_are_full_a_message_is_put_off() {
    let config = Config { message_buffers_bytes: 4096, ..config(Role::Server) };
    run(config, async |world| {
        let big = "x".repeat(70) + "\n";
        let text = data(TO_ALICE, &big.repeat(200), "452 4.3.1 *") + "\n";
        let text = text + &data(TO_ALICE, "Subject: small", "250 2.6.0 *");
        world.talk(Role::Server, &text).await.unwrap();
        assert_eq!(world.taken().len(), 1, "what was taken is given back");
    });
}
