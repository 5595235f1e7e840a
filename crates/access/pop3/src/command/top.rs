//! TOP (RFC 1939 §7): the header and some lines of the body. It does not count as reading.

use super::retr::{content, send};
use crate::phrase::Phrase;
use crate::reply::{Answer, Reply, Said};
use crate::session::Session;
use codec_pop3::TopCut;

/// TOP. No more is read of the message than is sent, but for the rest of a chunk.
pub(crate) async fn run(session: &mut Session, number: u32, lines: u64) -> Answer {
    let user = session.state.user()?;
    let message = user.message(number)?;
    let content = content(user, &message).await?;
    send(session, &Reply::ok(Phrase::Done), &content, TopCut::new(lines)).await?;
    Ok(Said::All)
}
