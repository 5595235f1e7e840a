//! COMPRESS DEFLATE (RFC 4978), as a client sees it.

use crate::support::{World, run};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// A client's end under compression.
struct Deflated {
    stream: DuplexStream,
    compress: Compress,
    decompress: Decompress,
    text: Vec<u8>,
    received_bytes: usize,
}

impl Deflated {
    /// Sends commands, and waits until the answer has this text.
    async fn until(&mut self, commands: &str, expect: &str) -> String {
        let mut out = Vec::with_capacity(commands.len() + 64);
        self.compress.compress_vec(commands.as_bytes(), &mut out, FlushCompress::Sync).unwrap();
        self.stream.write_all(&out).await.unwrap();
        self.text.clear();
        loop {
            let text = String::from_utf8_lossy(&self.text).into_owned();
            if text.contains(expect) {
                return text;
            }
            let mut buffer = [0; 999];
            let count = self.stream.read(&mut buffer).await.unwrap();
            assert!(count > 0, "the end, after {text}");
            self.received_bytes += count;
            let mut input = &buffer[..count];
            while !input.is_empty() {
                let before = self.decompress.total_in();
                let mut room = Vec::with_capacity(64 * 1024);
                self.decompress.decompress_vec(input, &mut room, FlushDecompress::None).unwrap();
                input = &input[(self.decompress.total_in() - before) as usize..];
                self.text.extend_from_slice(&room);
            }
        }
    }
}

#[test]
fn a_session_goes_on_under_compression() {
    run(async |world: Arc<World>| {
        let body = "What news on the Rialto?\r\n".repeat(8_000);
        world.file("alice", format!("Subject: a\r\n\r\n{body}").as_bytes()).await;
        let mut stream = world.connect();
        stream.write_all(b"a LOGIN alice secret\r\nb COMPRESS DEFLATE\r\n").await.unwrap();
        let mut clear = Vec::new();
        while !String::from_utf8_lossy(&clear).contains("b OK") {
            assert!(stream.read_buf(&mut clear).await.unwrap() > 0);
        }
        assert!(clear.ends_with(b"b OK Compression begins\r\n"));
        let mut client = Deflated {
            stream,
            compress: Compress::new(Compression::default(), false),
            decompress: Decompress::new(false),
            text: Vec::new(),
            received_bytes: 0,
        };
        client.until("c SELECT INBOX\r\nd NOOP\r\n", "d OK").await;
        let again = client.until("e COMPRESS DEFLATE\r\n", "e NO").await;
        assert!(again.contains("[COMPRESSIONACTIVE]"), "{again}");
        let capabilities = client.until("f CAPABILITY\r\n", "f OK").await;
        assert!(!capabilities.contains("COMPRESS"), "{capabilities}");
        client.received_bytes = 0;
        let fetched = client.until("g FETCH 1 BODY[]\r\n", "g OK").await;
        assert!(fetched.contains(&body));
        assert!(client.received_bytes < body.len() / 20, "{}", client.received_bytes);
        // After a silence, in IDLE among it, both still understand one another.
        for round in 0..3 {
            world.env.clock.sleep(std::time::Duration::from_secs(10)).await;
            client.until(&format!("h{round} NOOP\r\n"), &format!("h{round} OK")).await;
        }
        client.until("i IDLE\r\n", "+ ").await;
        world.env.clock.sleep(std::time::Duration::from_secs(90)).await;
        world.file("alice", b"Subject: b\r\n\r\n").await;
        client.until("", "2 EXISTS").await;
        client.until("DONE\r\n", "i OK").await;
        client.until("j LOGOUT\r\n", "j OK").await;
    });
}
