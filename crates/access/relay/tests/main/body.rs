//! The message: DATA, BDAT, and what breaks in between.

use crate::envelope::hello;
use crate::world::{BYE, outgoing, run};
use base::{Error, Result};
use contract_blob::{BlobId, Segment};

const DATA: &str = "C: MAIL *\nS: 250 ok\nC: RCPT *\nS: 250 ok\nC: DATA\nS: 354 go\n";
const CHUNKED: &str = "C: MAIL *\nS: 250 ok\nC: RCPT *\nS: 250 ok\n";

/// The verdict for one recipient, and what the host took.
fn check(offer: &[&str], script: &str, text: &str, expected: &str) -> Vec<Vec<u8>> {
    let script = format!("{}{script}", hello(offer));
    let mut messages = Vec::new();
    run(async |world| {
        let verdicts = world.send(&script, &outgoing(text, 1)).await;
        assert!(verdicts[0].starts_with(expected), "{verdicts:?}");
        messages = std::mem::take(&mut *world.messages.lock());
    });
    messages
}

#[test]
fn dots_are_doubled_and_bare_line_ends_mended() {
    let script = format!("{DATA}! data\nS: 250 ok{BYE}");
    let relayed = "relayed 250 2.0.0 ok";
    assert_eq!(check(&[], &script, ".a\r\n.\r\n..b\r\n", relayed), [b".a\r\n.\r\n..b\r\n"]);
    assert_eq!(check(&[], &script, "", relayed), [b""]);
    assert_eq!(check(&[], &script, "no end", relayed), [b"no end\r\n"]);
    // Attack 2: never on the wire, whatever is stored.
    assert_eq!(check(&[], &script, "a\n.\nb\r.\rc", relayed), [b"a\r\n.\r\nb\r\n.\r\nc\r\n"]);
}

#[test]
fn one_chunk_for_a_small_message() {
    let script = format!("{CHUNKED}! bdat\nS: 250 2.6.0 took it{BYE}");
    let relayed = "relayed 250 2.6.0 took it";
    assert_eq!(check(&["CHUNKING"], &script, ".a\r\n.\r\n", relayed), [b".a\r\n.\r\n"]);
    assert_eq!(check(&["CHUNKING"], &script, "a\nb", relayed), [b"a\r\nb\r\n"]);
    assert_eq!(check(&["CHUNKING"], &script, "", relayed), [b""]);
}

#[test]
fn large_messages_in_chunks_each_with_its_answer() {
    let text = "0123456789abcde.\r\n".repeat(60_000);
    // In two pieces of half a megabyte: two chunks, and an empty last one.
    let one_by_one =
        format!("{CHUNKED}! bdat\n! quiet\nS: 250 ok\n! bdat\nS: 250 ok\n! bdat\nS: 250 end{BYE}");
    let taken = check(&["CHUNKING"], &one_by_one, &text, "relayed 250 2.0.0 end");
    assert!(taken == [text.as_bytes()]);
    let ahead = format!(
        "C: MAIL *\nC: RCPT *\nS: 250 ok\nS: 250 ok\n! bdat\n! bdat\n! bdat\nS: 250 ok\nS: 250 ok\n\
         S: 250 end{BYE}"
    );
    let taken = check(&["CHUNKING", "PIPELINING"], &ahead, &text, "relayed 250 2.0.0 end");
    assert!(taken == [text.as_bytes()]);
    let refused = format!("{CHUNKED}! bdat\nS: 552 5.3.4 too large{BYE}");
    check(&["CHUNKING"], &refused, &text, "failed 552 5.3.4 too large");
}

#[test]
fn an_early_no_ends_a_large_message() {
    let text = "0123456789abcdef\r\n".repeat(60_000);
    let script = format!("{DATA}! bytes 65536\nS: 552 5.3.4 enough\n! silence");
    check(&[], &script, &text, "failed 552 5.3.4 enough");
    let script = format!("{DATA}! bytes 65536\nS: 451 4.3.0 disk\n! close");
    check(&[], &script, &text, "later 451 4.3.0 disk");
    let script = format!("{DATA}! bytes 65536\n! close");
    check(&[], &script, &text, "later 0 4.4.2");
}

#[test]
fn only_an_answer_to_the_end_is_a_yes() {
    // The connection breaks behind the final dot: nobody knows, so it is for later.
    let taken = check(&[], &format!("{DATA}! data\n! close"), "a\r\n", "later 0 4.4.2");
    assert_eq!(taken, [b"a\r\n"]);
    check(&["CHUNKING"], &format!("{CHUNKED}! bdat\n! close"), "a\r\n", "later 0 4.4.2");
    check(&[], &format!("{DATA}! data\n! silence"), "a\r\n", "later 0 4.4.1");
    check(&[], &format!("{DATA}! data\n! wait 590\nS: 250 ok{BYE}"), "a\r\n", "relayed");
    check(&[], &format!("{DATA}! data\nS: 354 more\n! closed"), "a\r\n", "later 0 4.5.0");
    check(&[], &format!("{DATA}! data\nS: 421 4.3.2 bye\n! closed"), "a\r\n", "later 421 4.3.2");
    check(&[], &format!("{DATA}! data\nS: 554 5.7.1 spam{BYE}"), "a\r\n", "failed 554 5.7.1 spam");
}

#[test]
fn a_message_that_cannot_be_read_is_never_ended() {
    run(async |world| {
        let script = format!("{}{DATA}! silence", hello(&[]));
        world.host(crate::world::MX, &[&script]).await;
        let mut message = outgoing("Subject: a\r\n\r\n", 1);
        let missing = Segment::Blob { id: BlobId([7; 32]), offset: 0, size_bytes: 10 };
        message.content.segments.push(missing);
        let mut conversation = world.open("example.org").await.unwrap();
        let result: Result<_, Error> = conversation.transfer(&message).await;
        assert!(result.is_err());
        drop(conversation);
        assert!(world.messages.lock().is_empty());
    });
}
