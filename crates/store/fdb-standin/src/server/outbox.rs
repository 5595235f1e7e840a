//! What waits to be written to one connection.

use crate::codes;
use crate::wire::{self, Response};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Notify;

/// A connection that leaves more than this unread is dropped, in bytes: far above what hundreds of
/// transactions have in flight.
const BACKLOG_BYTES_MAX: usize = 1 << 30;

/// Frames on their way out, of a server to its client or the other way round.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    buffer: Mutex<Vec<u8>>,
    wake: Notify,
}

impl Outbox {
    /// Adds a frame. An answer that is too long for one fails its request.
    pub(crate) fn put(&self, number: u64, body: &impl Serialize) {
        let mut buffer = self.buffer.lock();
        if !wire::put(&mut buffer, number, body) {
            let failed = Response::Failed(codes::TRANSACTION_TOO_LARGE);
            // A few bytes always fit.
            let _ = wire::put(&mut buffer, number, &failed);
        }
        drop(buffer);
        self.wake.notify_one();
    }

    /// Adds frames that are encoded already.
    pub(crate) fn put_encoded(&self, frame: &[u8]) {
        self.buffer.lock().extend_from_slice(frame);
        self.wake.notify_one();
    }

    /// Forgets what has not been written.
    pub(crate) fn clear(&self) {
        self.buffer.lock().clear();
    }

    /// Writes all that comes, many frames at once; ends when the connection breaks.
    pub(crate) async fn drain(&self, mut to: impl AsyncWrite + Unpin) -> std::io::Result<()> {
        loop {
            let bytes = std::mem::take(&mut *self.buffer.lock());
            if bytes.is_empty() {
                self.wake.notified().await;
            } else if bytes.len() > BACKLOG_BYTES_MAX {
                return Err(std::io::Error::other("the other end does not read"));
            } else {
                to.write_all(&bytes).await?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn an_answer_that_is_too_long_fails_its_request() {
        let outbox = Outbox::default();
        outbox.put(7, &Response::Value(Some(Bytes::from(vec![0; 65 << 20]))));
        let buffer = outbox.buffer.lock();
        let answer: Option<(u64, Response)> = wire::take(&mut &buffer[..]).expect("a frame");
        assert!(matches!(answer, Some((7, Response::Failed(2101)))), "{answer:?}");
    }
}
