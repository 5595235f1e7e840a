//! CAPABILITY (RFC 3501 §6.1.1): what works in the present state, and nothing else.

use crate::reply::{Answer, Reply, ReplyCode};
use crate::session::Session;
use crate::state::State;
use codec_imap::Capability;
use codec_imap::response::Response;
use contract_mailbox::Read;
use std::borrow::Cow;

/// What works once somebody has signed in, need not be enabled, and has no name of its own in the
/// codec: RFC 4731, RFC 5182, RFC 5032, RFC 9394, RFC 5819, RFC 8438, RFC 8437, RFC 3502, RFC 3516
/// and RFC 9208.
const SIGNED_IN: [&str; 11] = [
    "ESEARCH",
    "SEARCHRES",
    "WITHIN",
    "PARTIAL",
    "LIST-STATUS",
    "STATUS=SIZE",
    "UNAUTHENTICATE",
    "MULTIAPPEND",
    "BINARY",
    "QUOTA",
    "QUOTA=RES-STORAGE",
];

/// Those whose requests older nodes, which may own mailboxes, do not understand: RFC 4314, RFC 8440,
/// RFC 5256 and RFC 5957.
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
        Capability::Imap4Rev2,
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
            Capability::CondStore,
            Capability::QResync,
            Capability::Utf8Accept,
            Capability::UidOnly,
        ]);
        let named = |name| Capability::Other(Cow::Borrowed(name));
        found.extend(SIGNED_IN.map(named));
        if session.shared.mailboxes.feature_level() >= Read::Rights.level() {
            found.extend(NEWER.map(named));
        }
        let limit = session.shared.config.message_bytes_max;
        found.push(Capability::Other(Cow::Owned(format!("APPENDLIMIT={limit}"))));
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
