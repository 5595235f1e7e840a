//! RETR (RFC 1939 §5), and sending a message for TOP too.

use crate::maildrop::Message;
use crate::phrase::Phrase;
use crate::reply::{self, Answer, Ending, Reply, Said, Stop, failed};
use crate::session::Session;
use crate::state::User;
use base::Error;
use codec_pop3::{Stuffer, TopCut};
use contract_mailbox::{Content, SpecialUse};
use futures::StreamExt;

/// RETR. The message counts as read once it was sent.
pub(crate) async fn run(session: &mut Session, number: u32) -> Answer {
    let user = session.state.user()?;
    let message = user.message(number)?;
    let content = content(user, &message).await?;
    let reply = Reply::words(format!("{} octets", content.size_bytes()));
    send(session, &reply, &content, TopCut::new(u64::MAX)).await?;
    session.state.user()?.fetched(&message).await;
    Ok(Said::All)
}

/// Where the bytes of a message are.
pub(super) async fn content(user: &User, message: &Message) -> Result<Content, Stop> {
    let inbox = SpecialUse::Inbox.folder_id();
    let found = user.mailbox.meta(inbox, vec![message.uid]).await;
    let found = found.map_err(|error| failed("RETR", &error))?;
    match found.into_iter().find(|(uid, _)| *uid == message.uid) {
        Some((_, meta)) => Ok(meta.content.clone()),
        None => Err(Reply::err(Phrase::Gone).into()),
    }
}

/// Sends a message, or its beginning, as it comes from the store. Once the first line is on its way
/// nothing but the message can be said, so an error behind the first bytes ends the connection: no
/// client must take half a message for a whole one.
pub(super) async fn send(
    session: &mut Session,
    reply: &Reply,
    content: &Content,
    mut cut: TopCut,
) -> Result<(), Stop> {
    let Session { shared, wire, .. } = session;
    let (mut parts, mut left_bytes) = (content.read(&shared.blobs), content.size_bytes());
    let mut next = parts.next().await.transpose().map_err(|error| failed("RETR", &error))?;
    wire.say(reply);
    let (mut stuffer, mut out) = (Stuffer::new(), Vec::new());
    while let Some(part) = next {
        left_bytes = left_bytes.checked_sub(part.len() as u64).ok_or_else(short)?;
        stuffer.push(&cut.take(&part), &mut out);
        for piece in out.drain(..) {
            wire.payload(piece).await?;
        }
        if cut.is_done() {
            left_bytes = 0;
            break;
        }
        next = parts.next().await.transpose().map_err(|error| {
            reply::log("RETR", &error);
            Stop::End(Ending::Broken)
        })?;
    }
    if left_bytes > 0 {
        return Err(short());
    }
    stuffer.finish(&mut out);
    for piece in out.drain(..) {
        wire.payload(piece).await?;
    }
    Ok(())
}

/// The store has less or more of the message than the mailbox knows.
fn short() -> Stop {
    reply::log("RETR", &Error::corrupt("the length of a message"));
    Stop::End(Ending::Broken)
}
