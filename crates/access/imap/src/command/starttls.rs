//! STARTTLS (RFC 3501 §6.2.1).

use crate::reply::{Answer, Ending, Reply, Stop};
use crate::session::Session;
use crate::state::{State, Stranger};
use base::Deadline;
use codec_imap::{Code, Tag};

/// STARTTLS. Nothing of before survives: a client that sent more in clear behind the command is
/// cut off, as that is how commands are injected into the encrypted part (attack 3).
pub(crate) async fn run(session: &mut Session, tag: &Tag) -> Answer {
    if !matches!(session.state, State::NotAuthenticated(_)) {
        return Err(Reply::bad("Too late for STARTTLS").into());
    }
    if !session.wire.connection.can_start_tls() {
        return Err(Reply::bad("STARTTLS is not available").into());
    }
    if !session.wire.connection.input().is_empty() {
        return Err(Ending::bye(Some(Code::ClientBug), "Nothing may follow STARTTLS").into());
    }
    session.wire.condition(Some(tag), &Reply::ok("Begin TLS now"));
    session.wire.flush().await?;
    session.wire.connection.start_tls().await.map_err(|_| Ending::Broken)?;
    session.wire.framer.reset();
    let deadline = Deadline::after(session.shared.config.login_timeout());
    session.state = State::NotAuthenticated(Stranger { failures: 0, deadline });
    Err(Stop::Answered)
}
