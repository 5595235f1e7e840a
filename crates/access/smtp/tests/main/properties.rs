//! What holds for any input: a session ends without a panic, and what it says does not depend on
//! how the client's bytes are cut into packets.

use crate::world::{config, run};
use access_smtp::{Config, Role};
use proptest::prelude::*;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PIECES: &[&[u8]] = &[
    b"EHLO client.example\r\n",
    b"HELO c\r\n",
    b"MAIL FROM:<a@b.example>\r\n",
    b"MAIL FROM:<> SIZE=12 BODY=8BITMIME\r\n",
    b"RCPT TO:<alice@rialto.test>\r\n",
    b"RCPT TO:<bob@rialto.test>\r\n",
    b"RCPT TO:<nobody@rialto.test>\r\n",
    b"RCPT TO:<Postmaster>\r\n",
    b"DATA\r\n",
    b"Subject: x\r\n\r\n..body\r\n",
    b"\r\n.\r\n",
    b"\n.\n",
    b".\r\n",
    b"BDAT 5\r\nab\r\nc",
    b"BDAT 0 LAST\r\n",
    b"BDAT 3 LAST\r\nx\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"VRFY alice\r\n",
    b"AUTH PLAIN\r\n",
    b"\xff\xfe\0\r\n",
    b"QUIT\r\n",
];

/// A useful beginning in most cases, then anything.
fn input() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        20 => (0..PIECES.len()).prop_map(|n| PIECES[n].to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ];
    let pieces = proptest::collection::vec(piece, 0..30);
    (any::<bool>(), pieces).prop_map(|(starts_well, pieces)| {
        let start: &[&[u8]] = if starts_well { &[PIECES[0], PIECES[2], PIECES[4]] } else { &[] };
        [start.concat(), pieces.concat()].concat()
    })
}

/// What a session says to bytes that come in packets of these sizes, queue ids left out.
fn answer(bytes: &[u8], packets: &[usize]) -> String {
    let config = Config { protocol_errors_max: 20, ..config(Role::Server) };
    let result = Arc::new(Mutex::new(String::new()));
    run(config, async |world| {
        let (client, session) = world.connect();
        let (mut reader, mut writer) = tokio::io::split(client);
        let (mut rest, mut packets) = (bytes.to_vec(), packets.iter().cycle().copied());
        let writing = tokio::spawn({
            let sizes: Vec<usize> = packets.by_ref().take(rest.len() + 1).collect();
            async move {
                for size in sizes {
                    let packet: Vec<u8> = rest.drain(..size.min(rest.len())).collect();
                    if packet.is_empty() || writer.write_all(&packet).await.is_err() {
                        break;
                    }
                    // Lets the session see the packet by itself.
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
                writer.shutdown().await.ok();
            }
        });
        let mut said = String::new();
        reader.read_to_string(&mut said).await.unwrap();
        writing.abort();
        session.await.expect("no panic");
        let without_ids = |line: &str| match line.strip_prefix("250 2.6.0 q") {
            Some(_) => "250 2.6.0 queued\n".to_owned(),
            None => format!("{line}\n"),
        };
        *result.lock().unwrap() = said.lines().map(without_ids).collect();
    });
    let said = result.lock().unwrap();
    said.clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn replies_do_not_depend_on_how_the_bytes_are_cut(
        bytes in input(),
        packets in proptest::collection::vec(1usize..60, 1..6),
    ) {
        let whole = answer(&bytes, &[usize::MAX]);
        prop_assert!(whole.starts_with("220 "));
        let cut = answer(&bytes, &packets);
        prop_assert_eq!(whole, cut);
    }
}
