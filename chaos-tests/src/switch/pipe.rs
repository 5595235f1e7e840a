//! One direction of a connection through the switch: bytes in their order, each under the rule that
//! holds when it is let through. What has been read and may not pass yet is held, a little of it;
//! behind it the sender's own buffers fill, as with a network that loses everything.

use super::rules::{Party, Rules};
use crate::random::Random;
use bytes::{Bytes, BytesMut};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

/// How much is read at once, in bytes.
const PIECE_BYTES: usize = 32 << 10;

/// How many pieces are under way at most: what a delayed direction can hold.
const PIECES_MAX: usize = 64;

pub(super) struct Direction {
    rules: Rules,
    from: Party,
    to: Party,
    random: Random,
}

impl Direction {
    pub(super) fn new(rules: &Rules, from: Party, to: Party, seed: u64) -> Direction {
        Direction { rules: rules.clone(), from, to, random: Random::new(seed, 0) }
    }

    /// How long a piece that is read now is under way.
    fn delay(&mut self) -> Duration {
        let delay = self.rules.get(self.from, self.to).delay;
        let jitter_us = self.random.range(0..delay.as_micros() as u64 / 10 + 1);
        delay + Duration::from_micros(jitter_us)
    }
}

/// Carries bytes until the sender ends; an error breaks the whole connection.
pub(super) async fn run(
    mut direction: Direction,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
) -> io::Result<()> {
    let (pieces, mut under_way) = mpsc::channel::<(Instant, Bytes)>(PIECES_MAX);
    let (rules, ends) = (direction.rules.clone(), (direction.from, direction.to));
    let read = async move {
        let mut due = Instant::now();
        loop {
            let mut piece = BytesMut::with_capacity(PIECE_BYTES);
            // A reset is an end, too, and as hidden by a cut as any other.
            let read = from.read_buf(&mut piece).await;
            let ended = !matches!(read, Ok(count) if count > 0);
            // Never before the piece in front of it.
            due = due.max(Instant::now() + direction.delay());
            if pieces.send((due, piece.freeze())).await.is_err() || ended {
                // Told to the other direction only when the end itself has come through.
                return Ok(read.map(drop));
            }
        }
    };
    let write = async move {
        while let Some((due, piece)) = under_way.recv().await {
            // A timer that is due already would still round up to its next tick.
            if due > Instant::now() {
                sleep_until(due).await;
            }
            rules.open(ends.0, ends.1).await;
            if piece.is_empty() {
                break;
            }
            if let Some(rate) = rules.get(ends.0, ends.1).bytes_per_second {
                sleep(Duration::from_secs_f64(piece.len() as f64 / rate.max(1) as f64)).await;
            }
            to.write_all(&piece).await?;
        }
        to.shutdown().await
    };
    let (read, ()) = tokio::try_join!(read, write)?;
    read
}
