//! UNAUTHENTICATE (RFC 8437): back to where the connection was before anybody signed in, for another
//! to sign in. Nothing of the first user is left but TLS.

use crate::reply::{Answer, Reply};
use crate::session::Session;
use crate::state::{State, Stranger};
use base::Deadline;
use codec_imap::{Limits, Names};

/// UNAUTHENTICATE. What was marked for removal stays, as with UNSELECT.
pub(crate) fn run(session: &mut Session) -> Answer {
    session.state.user()?;
    let deadline = Deadline::after(session.shared.config.login_timeout());
    session.state = State::NotAuthenticated(Stranger { failures: 0, deadline });
    session.wire.framer.set_limits(Limits::PRE_AUTH);
    (session.wire.names, session.wire.uid_only) = (Names::Utf7, false);
    Ok(Reply::ok("You are a stranger again"))
}
