//! CAPABILITY (RFC 3501 §6.1.1): what works in the present state, and nothing else.

use crate::reply::{Answer, Reply, ReplyCode};
use crate::session::Session;
use crate::state::State;
use codec_imap::Capability;
use codec_imap::response::Response;
use contract_mailbox::Read;
use std::borrow::Cow;

/// Those of who has signed in that have no name of their own in the codec.
const NAMES: [&str; 2] = ["QUOTA", "QUOTA=RES-STORAGE"];

/// Those whose requests older nodes, which may own mailboxes, do not understand.
const NEWER: [&str; 7] = [
    "ACL",
    "RIGHTS=kxte",
    "LIST-MYRIGHTS",
    "SORT",
    "SORT=DISPLAY",
    "THREAD=ORDEREDSUBJECT",
    "THREAD=REFERENCES",
];

/// CAPABILITY.
pub(crate) fn run(session: &mut Session) -> Answer {
    let capabilities = of(session);
    session.wire.put(&Response::Capability(&capabilities));
    Ok(Reply::ok("Done"))
}

/// The capabilities as a response code, which saves the client a round trip.
pub(crate) fn code(session: &Session) -> ReplyCode {
    ReplyCode::Capability(of(session))
}

fn of(session: &Session) -> Vec<Capability> {
    let mut found = vec![
        Capability::Imap4Rev1,
        Capability::LiteralPlus,
        Capability::SaslIr,
        Capability::Id,
        Capability::Enable,
        // Others show it to strangers too, and clients choose by it before they sign in.
        Capability::Idle,
    ];
    if !matches!(session.state, State::NotAuthenticated(_)) {
        found.extend([
            Capability::Namespace,
            Capability::Children,
            Capability::ListExtended,
            Capability::SpecialUse,
            Capability::UidPlus,
            Capability::Move,
            Capability::Unselect,
        ]);
        let named = |name| Capability::Other(Cow::Borrowed(name));
        found.extend(NAMES.map(named));
        if session.shared.mailboxes.feature_level() >= Read::Rights.level() {
            found.extend(NEWER.map(named));
        }
        if !session.wire.connection.is_deflated() {
            found.push(named("COMPRESS=DEFLATE"));
        }
        return found;
    }
    if session.wire.connection.can_start_tls() {
        found.push(Capability::StartTls);
    }
    if may_sign_in(session) {
        let auth = |name| Capability::Auth(Cow::Borrowed(name));
        found.extend([auth("PLAIN"), auth("LOGIN")]);
    } else {
        found.push(Capability::LoginDisabled);
    }
    found
}

/// Whether passwords may be sent now.
pub(crate) fn may_sign_in(session: &Session) -> bool {
    session.wire.connection.is_tls() || session.shared.config.allow_clear_login
}
