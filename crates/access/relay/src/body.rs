//! The message itself, streamed: behind DATA with dots doubled, or in chunks (BDAT).
//!
//! The host's answer to the end of the message is the only yes that counts. What it says before the
//! end was sent can be a no, never a yes: somebody who puts a `250` in front of the message would
//! otherwise make us forget it.

use crate::limits::{BLOCK_BYTES, BLOCK_TIME, CHUNK_BYTES, END_TIME, LAST_WORDS_TIME};
use crate::session::Session;
use crate::wire::{Trouble, Wire};
use base::Error;
use bytes::{Bytes, BytesMut};
use codec_smtp::{Command, CrlfNormaliser, DotStuffer, Reply};
use contract_blob::ByteStream;
use futures::StreamExt;

/// Chunks that are on their way without an answer, where the host allows it.
const CHUNKS_AHEAD_MAX: usize = 8;

/// The answer to a message.
pub(crate) struct Sent {
    pub(crate) reply: Reply,
    /// Whether the session can go on: both sides agree where the message ended.
    pub(crate) in_step: bool,
}

/// Why there is no answer.
pub(crate) enum Failure {
    /// The message cannot be read.
    Own(Error),
    Trouble(Trouble),
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

/// Sends a message behind the host's 354 (RFC 5321 §4.1.1.4).
pub(crate) async fn send_data(wire: &mut Wire, mut message: ByteStream) -> Result<Sent, Failure> {
    let mut stuffer = DotStuffer::new();
    let (mut out, mut waiting_bytes) = (Vec::new(), 0);
    while let Some(piece) = message.next().await {
        let piece = piece.map_err(Failure::Own)?;
        waiting_bytes += piece.len();
        stuffer.push(&piece, &mut out);
        if waiting_bytes >= BLOCK_BYTES {
            if let Err(trouble) = send_block(wire, std::mem::take(&mut out)).await {
                return last_words(wire, trouble).await;
            }
            waiting_bytes = 0;
        }
    }
    stuffer.finish(&mut out);
    if let Err(trouble) = send_block(wire, out).await {
        return last_words(wire, trouble).await;
    }
    Ok(Sent { reply: wire.reply(END_TIME).await?, in_step: true })
}

/// Sends part of a message during which the host has nothing to say.
async fn send_block(wire: &mut Wire, pieces: Vec<Bytes>) -> Result<(), Trouble> {
    wire.listen().await;
    if !wire.is_quiet() {
        return Err(Trouble::OutOfStep);
    }
    wire.send(pieces, BLOCK_TIME).await
}

/// A host that breaks off in the middle may have said why. Only a no counts.
async fn last_words(wire: &mut Wire, trouble: Trouble) -> Result<Sent, Failure> {
    if matches!(trouble, Trouble::Ended | Trouble::Broken(_) | Trouble::OutOfStep)
        && let Ok(reply) = wire.reply(LAST_WORDS_TIME).await
        && (reply.is_transient() || reply.is_permanent())
    {
        return Ok(Sent { reply, in_step: false });
    }
    Err(trouble.into())
}

/// Sends a message in chunks (RFC 3030 §2).
pub(crate) async fn send_chunks(
    session: &mut Session,
    mut message: ByteStream,
) -> Result<Sent, Failure> {
    let ahead_max = if session.offer.pipelining { CHUNKS_AHEAD_MAX } else { 1 };
    let mut chunks = Chunks { wire: &mut session.wire, unanswered: 0, refusal: None, answer: None };
    let mut normaliser = CrlfNormaliser::new();
    let (mut out, mut waiting_bytes) = (Vec::new(), 0);
    while let Some(piece) = message.next().await {
        let piece = piece.map_err(Failure::Own)?;
        waiting_bytes += piece.len();
        normaliser.push(&piece, &mut out);
        if waiting_bytes >= CHUNK_BYTES {
            if let Err(trouble) = chunks.send(std::mem::take(&mut out), false).await {
                return last_words(chunks.wire, trouble).await;
            }
            waiting_bytes = 0;
            while chunks.unanswered >= ahead_max {
                chunks.answer().await?;
            }
        }
        if chunks.refusal.is_some() {
            break;
        }
    }
    if chunks.refusal.is_none() {
        normaliser.finish(&mut out);
        if let Err(trouble) = chunks.send(out, true).await {
            return last_words(chunks.wire, trouble).await;
        }
    }
    while chunks.unanswered > 0 {
        chunks.answer().await?;
    }
    let reply = chunks.refusal.or(chunks.answer).ok_or(Trouble::OutOfStep)?;
    Ok(Sent { reply, in_step: true })
}

/// Chunks on their way, and their answers.
struct Chunks<'a> {
    wire: &'a mut Wire,
    unanswered: usize,
    /// The first answer that was no yes. The host drains what follows.
    refusal: Option<Reply>,
    /// The last one.
    answer: Option<Reply>,
}

impl Chunks<'_> {
    async fn send(&mut self, pieces: Vec<Bytes>, last: bool) -> Result<(), Trouble> {
        self.wire.listen().await;
        while self.unanswered > 0
            && let Some(reply) = self.wire.received_reply()?
        {
            self.take(reply)?;
        }
        if self.unanswered == 0 && !self.wire.is_quiet() {
            return Err(Trouble::OutOfStep);
        }
        let size_bytes = pieces.iter().map(|piece| piece.len() as u64).sum();
        let mut head = BytesMut::new();
        Command::Bdat { size_bytes, last }.encode(&mut head);
        let host = self.wire.host();
        tracing::debug!(target: "protocol", host, "> BDAT {size_bytes}{}", if last { " LAST" } else { "" });
        let mut all = Vec::with_capacity(pieces.len() + 1);
        all.push(head.freeze());
        all.extend(pieces);
        self.unanswered += 1;
        self.wire.send(all, BLOCK_TIME).await
    }

    async fn answer(&mut self) -> Result<(), Trouble> {
        let time = if self.unanswered == 1 { END_TIME } else { BLOCK_TIME };
        let reply = self.wire.reply(time).await?;
        self.take(reply)
    }

    fn take(&mut self, reply: Reply) -> Result<(), Trouble> {
        self.unanswered -= 1;
        match reply.code() {
            421 => return Err(Trouble::Closing(reply)),
            200..=299 => self.answer = Some(reply),
            400..=599 => self.refusal = self.refusal.take().or(Some(reply)),
            code => return Err(Trouble::Unexpected(code)),
        }
        Ok(())
    }
}
