//! STLS (RFC 2595 §4).

use crate::phrase::{Language, Phrase};
use crate::reply::{Answer, Ending, Reply, Said};
use crate::session::Session;
use crate::state::State;
use base::Deadline;

/// STLS. Nothing of before survives: a client that sent more in clear behind the command is cut
/// off, as that is how commands are injected into the encrypted part (attack 3).
pub(crate) async fn run(session: &mut Session) -> Answer {
    session.state.stranger()?;
    if !session.wire.connection.can_start_tls() {
        return Err(Reply::err(Phrase::NoTls).into());
    }
    if !session.wire.connection.input().is_empty() {
        return Err(Ending::Words(Reply::err(Phrase::NothingAfterStls)).into());
    }
    session.wire.say(&Reply::ok(Phrase::BeginTls));
    session.wire.flush().await?;
    session.wire.connection.start_tls().await.map_err(|_| Ending::Broken)?;
    session.wire.reset();
    session.wire.language = Language::default();
    session.state = State::begin(Deadline::after(session.shared.config.login_timeout()));
    Ok(Said::All)
}
