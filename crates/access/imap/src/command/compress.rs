//! COMPRESS DEFLATE (RFC 4978). Offered to who has signed in, so STARTTLS always comes before it.

use crate::reply::{Answer, Ending, Reply, Stop};
use crate::session::Session;
use codec_imap::command::Compress;
use codec_imap::{Code, Tag};

/// COMPRESS. Everything behind its OK is compressed, in both directions; a client that sent more
/// before it saw that cannot be understood.
pub(crate) async fn run(session: &mut Session, tag: &Tag, command: &Compress) -> Answer {
    session.state.user()?;
    if command.mechanism != "DEFLATE" {
        return Err(Reply::no(Code::Cannot, "DEFLATE is the only mechanism").into());
    }
    if session.wire.connection.is_deflated() {
        let text = "The connection is compressed already";
        return Err(Reply::no(Code::CompressionActive, text).into());
    }
    if !session.wire.connection.input().is_empty() {
        return Err(Ending::bye(Some(Code::ClientBug), "Nothing may follow COMPRESS").into());
    }
    session.wire.condition(Some(tag), &Reply::ok("Compression begins"));
    session.wire.flush().await?;
    session.wire.connection.start_deflate().map_err(|_| Ending::Broken)?;
    Err(Stop::Answered)
}
