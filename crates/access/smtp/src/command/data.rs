//! DATA (RFC 5321 §4.1.1.4): the message, up to CRLF `.` CRLF and nothing else.
//!
//! A message that is refused on its way is read to its end all the same, so that the next command
//! is found where it is; of refused ones only twice the largest message is read, and the session ends.

use crate::incoming::Incoming;
use crate::session::{Outcome, Session};
use codec_smtp::{DataDecoder, DataStatus, Reply};

pub(crate) async fn run(session: &mut Session) -> Outcome {
    if session.chunked.is_some() {
        return Ok(Reply::bad_sequence("the message has begun with BDAT"));
    }
    if session.envelope.as_ref().is_some_and(|draft| draft.is_binary) {
        // RFC 3030 §3: the envelope stays, BDAT may follow.
        return Ok(Reply::bad_sequence("BODY=BINARYMIME requires BDAT"));
    }
    let Some(draft) = session.envelope.take_if(|draft| !draft.recipients.is_empty()) else {
        return Ok(match session.envelope {
            Some(_) => Reply::no_valid_recipients(),
            None => Reply::bad_sequence("send MAIL and RCPT first"),
        });
    };
    if session.nuisance.would_waste_too_much(0, session.config()) {
        return Err(session.too_much());
    }
    session.say(&Reply::start_data());
    session.connection.flush().await?;
    let limit_bytes = session.config().message_bytes_max;
    let mut incoming = Incoming::begin(session, &draft);
    let mut decoder = DataDecoder::new(limit_bytes);
    let (mut pieces, mut pace) = (Vec::new(), session.pace());
    while decoder.decode(session.connection.input(), &mut pieces) == DataStatus::More {
        if decoder.too_large() {
            incoming.refuse(Reply::message_too_large());
        }
        incoming.take(&mut pieces).await;
        session.fill_message(&mut pace, incoming.refusal()).await?;
    }
    if decoder.too_large() {
        incoming.refuse(Reply::message_too_large());
    } else if decoder.has_bare_line_end() {
        incoming.refuse(Reply::bare_line_ends());
    }
    incoming.take(&mut pieces).await;
    session.hand_over(draft, incoming, &pace).await
}
