//! Connections: buffers, batches, slow clients.

use access_listener::{Connection, READ_BYTES};
use base::env::Stream;
use bytes::Bytes;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};

const SECOND: Duration = Duration::from_secs(1);

fn pair(pipe_bytes: usize) -> (DuplexStream, Connection) {
    let (client, server) = tokio::io::duplex(pipe_bytes);
    (client, over(Box::new(server)))
}

fn over(stream: Box<dyn Stream>) -> Connection {
    Connection::from_stream(stream, "192.0.2.1:1".parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn input_is_bounded_kept_and_released() {
    let (mut client, mut connection) = pair(1 << 20);
    client.write_all(&vec![b'x'; 40_000]).await.unwrap();
    assert_eq!(connection.fill(SECOND).await.unwrap(), READ_BYTES);
    assert_eq!(connection.fill(SECOND).await.unwrap(), READ_BYTES);
    assert_eq!(connection.input().len(), 2 * READ_BYTES);
    connection.input().clear();
    assert_eq!(connection.fill(SECOND).await.unwrap(), 40_000 - 2 * READ_BYTES);
    connection.input().clear();
    let late = connection.fill(SECOND).await.unwrap_err();
    assert_eq!(late.kind(), io::ErrorKind::TimedOut);
    assert_eq!(connection.input().capacity(), 0, "an idle connection holds no buffer");
    drop(client);
    assert_eq!(connection.fill(SECOND).await.unwrap(), 0);
}

/// Counts writes.
struct Counting(DuplexStream, Arc<AtomicUsize>);

impl AsyncRead for Counting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Counting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_replies_is_one_write_in_order() {
    let (mut client, server) = tokio::io::duplex(1 << 20);
    let writes = Arc::new(AtomicUsize::new(0));
    let mut connection = over(Box::new(Counting(server, writes.clone())));
    connection.flush().await.unwrap();
    assert_eq!(writes.load(Ordering::SeqCst), 0, "nothing to say, nothing written");
    for n in 0..100 {
        connection.queue(format!("250 {n}\r\n").into());
    }
    connection.flush().await.unwrap();
    assert_eq!(writes.load(Ordering::SeqCst), 1);
    connection.queue(Bytes::from_static(b"* 1 FETCH {9000}\r\n"));
    connection.queue(vec![b'x'; 9000].into());
    connection.queue(Bytes::from_static(b")\r\n"));
    assert_eq!(connection.queued_bytes(), 18 + 9000 + 3);
    connection.flush().await.unwrap();
    assert_eq!(writes.load(Ordering::SeqCst), 4);
    assert_eq!(connection.queued_bytes(), 0);
    connection.close().await;
    let mut all = String::new();
    client.read_to_string(&mut all).await.unwrap();
    assert!(all.starts_with("250 0\r\n250 1\r\n") && all.ends_with("xx)\r\n"), "{all}");
}

#[tokio::test(start_paused = true)]
async fn attack_16_a_client_that_does_not_read_is_given_up() {
    let (mut client, mut connection) = pair(1000);
    connection.queue(vec![b'x'; 1 << 20].into());
    // One byte in ten seconds is not enough to hold a session for days.
    let reading = async {
        loop {
            tokio::time::sleep(10 * SECOND).await;
            if client.read_u8().await.is_err() {
                return;
            }
        }
    };
    let flushed = tokio::select! {
        result = connection.flush() => result,
        () = reading => panic!("the client ended first"),
    };
    assert_eq!(flushed.unwrap_err().kind(), io::ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_flush_that_is_dropped_goes_on_where_it_stopped() {
    let (mut client, mut connection) = pair(100);
    let text: Vec<u8> = (0..10_000).map(|n| b'a' + (n % 26) as u8).collect();
    connection.queue(text.clone().into());
    let mut got = Vec::new();
    while connection.queued_bytes() > 0 {
        let dropped = tokio::time::timeout(Duration::from_millis(1), connection.flush()).await;
        drop(dropped);
        let mut room = [0; 77];
        let read = client.read(&mut room).await.unwrap();
        got.extend_from_slice(&room[..read]);
    }
    drop(connection);
    client.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, text);
}
