//! STARTTLS (RFC 3207): nothing that was said in clear outlives it.
//!
//! Commands that came in clear behind STARTTLS could have been put there by somebody between us
//! and the client, who would let them run under the client's name: such a session ends (attack 3).

use crate::session::{End, Outcome, Session};
use codec_smtp::Reply;

pub(crate) fn run(session: &mut Session) -> Outcome {
    if session.connection.is_tls() {
        return Ok(Reply::bad_sequence("TLS is active already"));
    }
    if !session.offers_tls() {
        return Ok(Reply::not_implemented());
    }
    if !session.connection.input().is_empty() {
        let refusal = Reply::pipelined_starttls(&session.config().host_name);
        return Err(End::Say(refusal));
    }
    session.tls_promised = true;
    Ok(Reply::ready_for_tls())
}

/// What follows the reply: the handshake, and a session that knows nothing (RFC 3207 §4.2).
pub(crate) async fn upgrade(session: &mut Session) -> Result<(), End> {
    if let Err(error) = session.connection.start_tls().await {
        session.noted("the TLS handshake failed", &error.to_string());
        return Err(error.into());
    }
    if let Some(tls) = session.connection.tls_info() {
        let cipher = format!("{} {}", tls.version, tls.cipher);
        session.noted("TLS", &cipher);
    }
    session.reset();
    session.client = None;
    session.login = None;
    session.framer.reset();
    metrics::counter!("rialto_smtp_starttls_total").increment(1);
    Ok(())
}
