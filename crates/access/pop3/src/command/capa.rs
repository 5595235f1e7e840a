//! CAPA (RFC 2449 §5): what works now, and nothing else.

use crate::phrase::Phrase;
use crate::reply::{Answer, Reply, Said};
use crate::session::Session;
use crate::state::State;
use codec_pop3::{Capability, Expire};

/// How one can sign in with AUTH.
pub(super) const MECHANISMS: [&str; 2] = ["PLAIN", "LOGIN"];

/// CAPA.
pub(crate) fn run(session: &mut Session) -> Answer {
    let mut found = vec![
        Capability::Top,
        Capability::Uidl,
        Capability::RespCodes,
        Capability::AuthRespCode,
        Capability::Pipelining,
        // What was fetched stays until the client removes it: Exchange's "leave on server" is the
        // client's choice alone.
        Capability::Expire(Expire::Never),
        Capability::Utf8User,
        Capability::Lang,
        Capability::Implementation("Rialto".into()),
    ];
    if may_sign_in(session) {
        found.push(Capability::User);
        found.push(Capability::Sasl(MECHANISMS.map(str::to_owned).to_vec()));
    }
    let is_stranger = matches!(session.state, State::Authorization(_));
    if is_stranger && session.wire.connection.can_start_tls() {
        found.push(Capability::Stls);
    }
    session.wire.say(&Reply::ok(Phrase::Capabilities));
    for capability in found {
        capability.encode(session.wire.out());
    }
    session.wire.put(".");
    Ok(Said::All)
}

/// Whether passwords may be sent now.
pub(super) fn may_sign_in(session: &Session) -> bool {
    session.wire.connection.is_tls() || session.shared.config.allow_clear_login
}
