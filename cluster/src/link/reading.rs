//! Frames from a stream, held to a length and a time.

use super::error::violation;
use super::frame::{FRAME_BYTES_MAX, Frame, PREFIX_BYTES};
use base::{Deadline, Error, Kind, Result};
use bytes::BytesMut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The memory for what has not arrived yet grows by at most this: a length is only a claim.
const STEP_BYTES: usize = 64 << 10;

/// Reads frames.
pub(super) struct FrameReader<R> {
    stream: R,
    buffer: BytesMut,
    /// Whether a part of a frame has come, for who judges by pings.
    pub(super) in_frame: Arc<AtomicBool>,
    frame_time: Duration,
    silence_max: Duration,
    bytes_max: usize,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// A reader for somebody who has yet to say hello.
    pub(super) fn new(stream: R, frame_time: Duration, silence_max: Duration) -> Self {
        let (in_frame, buffer) = (Arc::default(), BytesMut::new());
        let bytes_max = super::frame::HELLO_BYTES_MAX;
        Self { stream, buffer, in_frame, frame_time, silence_max, bytes_max }
    }

    /// From now on frames may have so many bytes.
    pub(super) fn allow(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max.min(FRAME_BYTES_MAX);
    }

    /// The next frame; `None` when the other end has closed between two frames.
    ///
    /// Dropping the future loses nothing: what has come stays in the buffer.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for what is no frame or too long; [`Kind::Unavailable`] when the stream
    /// breaks, is silent for too long, or stalls within a frame.
    pub(super) async fn next(&mut self) -> Result<Option<Frame>> {
        let mut frame_deadline = None;
        loop {
            if let Some(rest) = self.take_frame()? {
                self.in_frame.store(false, Ordering::Relaxed);
                return Frame::decode(rest.freeze()).map(Some);
            }
            let begun = !self.buffer.is_empty();
            self.in_frame.store(begun, Ordering::Relaxed);
            let deadline = if begun {
                *frame_deadline.get_or_insert_with(|| Deadline::after(self.frame_time))
            } else {
                Deadline::after(self.silence_max)
            };
            self.buffer.reserve(self.missing_bytes().clamp(1 << 10, STEP_BYTES));
            let read = self.stream.read_buf(&mut self.buffer);
            match tokio::time::timeout_at(deadline.instant(), read).await {
                Ok(Ok(0)) if begun => return Err(broken("it ended within a frame")),
                Ok(Ok(0)) => return Ok(None),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(broken(error)),
                Err(_) if begun => return Err(broken("it stalls within a frame")),
                Err(_) => return Err(broken("it is silent")),
            }
        }
    }

    /// As far as it is known how much of the current frame is missing.
    fn missing_bytes(&self) -> usize {
        let length = self.buffer.first_chunk().map_or(PREFIX_BYTES, |length| {
            4 + usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX - 4)
        });
        length.saturating_sub(self.buffer.len())
    }

    /// What follows the length of a frame, if all of it has come.
    fn take_frame(&mut self) -> Result<Option<BytesMut>> {
        let Some(length) = self.buffer.first_chunk().map(|length| u32::from_be_bytes(*length))
        else {
            return Ok(None);
        };
        let length = usize::try_from(length).map_err(violation)?;
        if length.saturating_add(4) > self.bytes_max {
            let limit = self.bytes_max;
            return Err(violation(format!("a frame of {length} bytes where {limit} are allowed")));
        }
        if self.buffer.len() < 4 + length {
            return Ok(None);
        }
        let mut frame = self.buffer.split_to(4 + length);
        Ok(Some(frame.split_off(4)))
    }
}

/// The link does not work any more.
pub(super) fn broken(why: impl std::fmt::Display) -> Error {
    Error::new(Kind::Unavailable, "The connection to another node is broken").detail(why)
}
