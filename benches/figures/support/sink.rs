//! Another server, which takes whatever it is given and keeps nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Where it listens, for every contender alike.
pub const SINK: u16 = 12_026;

/// What ends a message.
const END: &[u8] = b"\r\n.\r\n";

/// A running sink; ends when it is dropped.
pub struct Sink {
    taken: Arc<AtomicU64>,
    listening: JoinHandle<()>,
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Sink {
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", SINK)).await.unwrap();
        let taken = Arc::new(AtomicU64::new(0));
        let counted = taken.clone();
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let counted = counted.clone();
                tokio::spawn(async move {
                    let mut session = Session { stream, taken: counted, input: Vec::new() };
                    let _gone = session.serve().await;
                });
            }
        });
        Self { taken, listening }
    }

    /// Messages so far.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

/// One connection.
struct Session {
    stream: TcpStream,
    taken: Arc<AtomicU64>,
    /// What was read and not yet used.
    input: Vec<u8>,
}

impl Session {
    async fn serve(&mut self) -> std::io::Result<()> {
        self.stream.set_nodelay(true)?;
        self.stream.write_all(b"220 sink.test ESMTP\r\n").await?;
        let mut answers = Vec::new();
        loop {
            // What came together is answered together.
            while let Some(line) = self.line() {
                let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
                match &verb[..] {
                    b"EHLO" => answers.extend_from_slice(b"250-sink.test\r\n250 PIPELINING\r\n"),
                    b"DATA" => {
                        answers.extend_from_slice(b"354 go on\r\n");
                        self.stream.write_all(&answers).await?;
                        answers.clear();
                        self.message().await?;
                        self.taken.fetch_add(1, Ordering::Relaxed);
                        answers.extend_from_slice(b"250 2.0.0 taken\r\n");
                    }
                    b"QUIT" => {
                        answers.extend_from_slice(b"221 bye\r\n");
                        return self.stream.write_all(&answers).await;
                    }
                    _ => answers.extend_from_slice(b"250 2.0.0 ok\r\n"),
                }
            }
            self.stream.write_all(&answers).await?;
            answers.clear();
            self.read().await?;
        }
    }

    fn line(&mut self) -> Option<Vec<u8>> {
        let end = self.input.iter().position(|byte| *byte == b'\n')?;
        Some(self.input.drain(..=end).collect())
    }

    async fn read(&mut self) -> std::io::Result<()> {
        match self.stream.read_buf(&mut self.input).await? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Reads until the end of a message and drops it.
    async fn message(&mut self) -> std::io::Result<()> {
        loop {
            if let Some(at) = self.input.windows(END.len()).position(|window| window == END) {
                self.input.drain(..at + END.len());
                return Ok(());
            }
            // The end may have begun.
            let keep = self.input.len().saturating_sub(END.len() - 1);
            self.input.drain(..keep);
            self.read().await?;
        }
    }
}
