//! EHLO and HELO (RFC 5321 §4.1.1.1): who the client says it is, and what we offer.

use crate::session::{Client, Outcome, Session};
use codec_smtp::{EhloResponse, Reply};

pub(crate) fn extended(session: &mut Session, name: String) -> Outcome {
    introduce(session, Client { name, extended: true });
    let config = session.config();
    let mut offer = EhloResponse::new(&config.host_name);
    offer.greeting = format!("{} Hello [{}]", config.host_name, session.connection.peer().ip());
    let mut offer = offer
        .with_size(config.message_bytes_max)
        .with("PIPELINING")
        .with("8BITMIME")
        .with("CHUNKING")
        .with("BINARYMIME")
        .with("ENHANCEDSTATUSCODES")
        .with("DSN")
        .with("SMTPUTF8");
    if session.offers_tls() {
        offer = offer.with("STARTTLS");
    }
    if session.offers_require_tls() {
        offer = offer.with("REQUIRETLS");
    }
    let mechanisms = &session.terms.connector.auth;
    if !mechanisms.is_empty() && session.connection.is_tls() {
        offer = offer.with_params("AUTH", mechanisms.iter().map(|mechanism| mechanism.name()));
    }
    Ok(offer.reply())
}

pub(crate) fn plain(session: &mut Session, name: String) -> Outcome {
    introduce(session, Client { name, extended: false });
    Ok(Reply::hello(&session.config().host_name))
}

/// A new introduction ends what was begun (RFC 5321 §4.1.4).
fn introduce(session: &mut Session, client: Client) {
    session.reset();
    session.client = Some(client);
}
