//! Whatever the message: what the host has taken is what was to be sent.

use crate::envelope::hello;
use crate::world::{BYE, outgoing, run};
use bytes::Bytes;
use codec_mime::generate::{realistic_shape, to_vec};
use contract_blob::{Content, Segment};
use contract_transport::courier::Outgoing;
use proptest::prelude::*;

fn message(bytes: &[u8], cuts: &[prop::sample::Index]) -> Outgoing {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let mut begin = 0;
    let mut segments = Vec::new();
    for end in ends {
        segments.push(Segment::Inline(Bytes::copy_from_slice(&bytes[begin..end])));
        begin = end;
    }
    let mut message = outgoing("", 1);
    message.is_8bit = !bytes.is_ascii();
    message.size_bytes = bytes.len() as u64;
    message.content = Content { segments };
    message
}

/// What the host has, by DATA and by BDAT.
fn taken(message: &Outgoing) -> [Vec<u8>; 2] {
    let take = |offer: &[&str], middle: &str| {
        let script = format!("{}{middle}S: 250 ok{BYE}", hello(offer));
        let mut bytes = Vec::new();
        run(async |world| {
            assert_eq!(world.send(&script, message).await, ["relayed 250 2.0.0 ok"]);
            bytes = world.messages.lock().remove(0);
        });
        bytes
    };
    let by_data = "C: MAIL *\nC: RCPT *\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\n! data\n";
    // One chunk for each 256 KiB, and the last one.
    let size = message.content.segments.iter().map(Segment::size_bytes);
    let mut chunks = String::new();
    let mut waiting = 0;
    for size in size {
        waiting += size;
        if waiting >= 256 * 1024 {
            chunks += "! bdat\nS: 250 ok\n";
            waiting = 0;
        }
    }
    let by_chunks = format!("C: MAIL *\nC: RCPT *\nS* 2 250 ok\n{chunks}! bdat\n");
    [
        take(&["8BITMIME", "PIPELINING"], by_data),
        take(&["8BITMIME", "PIPELINING", "CHUNKING"], &by_chunks),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_generated_message_arrives_as_it_was(
        seed: u64,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
    ) {
        let bytes = to_vec(seed, realistic_shape(seed));
        prop_assume!(bytes.ends_with(b"\r\n"));
        for taken in taken(&message(&bytes, &cuts)) {
            prop_assert!(taken == bytes, "seed {}", seed);
        }
    }

    #[test]
    fn any_bytes_arrive_with_whole_line_ends(
        bytes in prop::collection::vec(
            prop_oneof![Just(b'.'), Just(b'\r'), Just(b'\n'), Just(b'a')], 0..60),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
    ) {
        // Each bare CR and LF became CRLF, and the last line is whole.
        let text = String::from_utf8(bytes).unwrap();
        let mut expected =
            text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n");
        if !expected.is_empty() && !expected.ends_with("\r\n") {
            expected += "\r\n";
        }
        for taken in taken(&message(text.as_bytes(), &cuts)) {
            prop_assert_eq!(String::from_utf8_lossy(&taken), expected.as_str());
        }
    }
}
