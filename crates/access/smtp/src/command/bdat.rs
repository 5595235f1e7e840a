//! BDAT (RFC 3030): the message in counted chunks.
//!
//! The bytes of a chunk are on their way when the command is read, so they are taken whatever the
//! reply will be; a chunk larger than any message ends the session instead, and so does one too
//! much that is taken for nothing.

use crate::incoming::Incoming;
use crate::session::{End, Outcome, Pace, Session};
use base::Deadline;
use bytes::Bytes;
use codec_smtp::{BdatDecoder, BdatError, DataStatus, Reply};

/// A message of which some chunks have come.
pub(crate) struct Chunked {
    decoder: BdatDecoder,
    incoming: Incoming,
    pace: Pace,
}

impl Chunked {
    /// By when more of it must come.
    pub(crate) fn deadline(&self) -> Deadline {
        self.pace.deadline()
    }
}

pub(crate) async fn run(session: &mut Session, size_bytes: u64, last: bool) -> Outcome {
    let limit_bytes = session.config().message_bytes_max;
    let out_of_place = match &session.envelope {
        None => Some(Reply::bad_sequence("send MAIL and RCPT first")),
        Some(draft) if draft.recipients.is_empty() => Some(Reply::no_valid_recipients()),
        Some(_) => None,
    };
    if size_bytes > limit_bytes {
        return Err(End::Say(out_of_place.unwrap_or_else(Reply::message_too_large)));
    }
    if let Some(refusal) = out_of_place {
        drain(session, size_bytes).await?;
        session.nuisance.junk();
        return Ok(refusal);
    }
    if session.nuisance.would_waste_too_much(0, session.config()) {
        return Err(session.too_much());
    }
    let mut chunked = match (session.chunked.take(), &session.envelope) {
        (Some(chunked), _) => chunked,
        (None, Some(draft)) => Box::new(Chunked {
            decoder: BdatDecoder::new(limit_bytes),
            incoming: Incoming::begin(session, draft),
            pace: session.pace(),
        }),
        (None, None) => return Ok(Reply::bad_sequence("send MAIL and RCPT first")),
    };
    match chunked.decoder.begin(size_bytes, last) {
        Ok(()) => {}
        Err(BdatError::TooLarge) => chunked.incoming.refuse(Reply::message_too_large()),
        // After LAST the message is handed over, and chunks are read whole: neither can be.
        Err(error @ (BdatError::AfterLast | BdatError::Unfinished)) => {
            return Err(End::Say(Reply::bad_sequence(error.to_string())));
        }
    }
    if let Some(refusal) = chunked.incoming.refusal()
        && session
            .nuisance
            .would_waste_too_much(chunked.pace.bytes().saturating_add(size_bytes), session.config())
    {
        return Err(End::Say(refusal.clone()));
    }
    read_chunk(session, &mut chunked).await?;
    if !chunked.decoder.is_complete() {
        let reply = chunked.incoming.refusal().cloned();
        session.chunked = Some(chunked);
        if let Some(refusal) = reply {
            session.nuisance.junk();
            return Ok(refusal);
        }
        return Ok(Reply::chunk_ok(size_bytes));
    }
    complete(session, *chunked).await
}

async fn read_chunk(session: &mut Session, chunked: &mut Chunked) -> Result<(), End> {
    let mut pieces = Vec::new();
    loop {
        let status = chunked.decoder.decode(session.connection.input(), &mut pieces);
        chunked.incoming.take(&mut pieces).await;
        if status == DataStatus::End {
            return Ok(());
        }
        session.fill_message(&mut chunked.pace, chunked.incoming.refusal()).await?;
    }
}

async fn complete(session: &mut Session, chunked: Chunked) -> Outcome {
    let Chunked { decoder, mut incoming, pace } = chunked;
    let Some(draft) = session.envelope.take() else {
        return Ok(Reply::bad_sequence("send MAIL and RCPT first"));
    };
    if decoder.has_bare_line_end() && !draft.is_binary {
        incoming.refuse(Reply::bare_line_ends());
    }
    if !decoder.ends_line() && !draft.is_binary {
        // A stored message always ends its last line; DATA cannot send one that does not.
        incoming.take(&mut vec![Bytes::from_static(b"\r\n")]).await;
    }
    session.hand_over(draft, incoming, &pace).await
}

/// Reads past a chunk that belongs to nothing.
async fn drain(session: &mut Session, size_bytes: u64) -> Result<(), End> {
    if session.nuisance.would_waste_too_much(size_bytes, session.config()) {
        return Err(session.too_much());
    }
    session.nuisance.wasted(size_bytes);
    let (mut left, mut pace) = (size_bytes, session.pace());
    loop {
        let input = session.connection.input();
        let taken = input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        bytes::Buf::advance(input, taken);
        left -= taken as u64;
        if left == 0 {
            return Ok(());
        }
        session.fill_message(&mut pace, None).await?;
    }
}
