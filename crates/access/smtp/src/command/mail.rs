//! MAIL (RFC 5321 §4.1.1.2): begins an envelope.

use super::address;
use crate::places::{is_spared, source_of};
use crate::pressure;
use crate::reply;
use crate::session::{Draft, End, Outcome, Session};
use access_listener::account::is_still_signed_in;
use codec_smtp::{BodyType, MailParams, Reply, ReturnContent, ReversePath};

pub(crate) async fn run(session: &mut Session, from: ReversePath, params: MailParams) -> Outcome {
    if session.client.is_none() {
        return Ok(Reply::bad_sequence("send EHLO first"));
    }
    if session.envelope.is_some() {
        return Ok(Reply::bad_sequence("nested MAIL command"));
    }
    if let Some(refusal) = session.refuses_mail() {
        return Ok(refusal);
    }
    if let Some(refusal) = refused_parameter(session, &params) {
        return Ok(refusal);
    }
    if params.size_bytes.is_some_and(|size| size > session.config().message_bytes_max) {
        return Ok(Reply::message_too_large());
    }
    if let Some(refusal) = pressure::meet(session).await? {
        return Ok(refusal);
    }
    let sender = from.address().map(address);
    if let Some(login) = &session.login {
        match is_still_signed_in(&*session.shared.directory, &login.account).await {
            Ok(true) => {}
            Ok(false) => return Err(End::Say(reply::signed_out())),
            Err(error) => return Ok(reply::of(&error, "mail")),
        }
        // The null sender is for receipts that mail programs write; From is checked all the same.
        if let Some(sender) = &sender {
            match session.shared.directory.may_send_as(&login.account, sender).await {
                Ok(true) => {}
                Ok(false) => return Ok(reply::cannot_send_as()),
                Err(error) => return Ok(reply::of(&error, "mail")),
            }
        }
        let (now, rate) = (session.clock().monotonic(), session.config().submissions_per_minute);
        if !session.shared.account_rates.take(login.account.id, rate, now) {
            return Ok(reply::submission_rate());
        }
    }
    if is_too_often(session) {
        return Ok(reply::source_rate());
    }
    session.envelope = Some(Draft {
        sender,
        recipients: Vec::new(),
        envelope_id: params.envid,
        return_headers_only: params.ret == Some(ReturnContent::Headers),
        smtputf8: params.smtputf8,
        is_binary: params.body == Some(BodyType::BinaryMime),
        require_tls: params.require_tls,
        excess: 0,
        repeated: 0,
    });
    Ok(Reply::sender_ok())
}

/// Whether the client's address has sent as much as it may.
fn is_too_often(session: &Session) -> bool {
    let (config, client) = (session.config(), session.connection.peer().ip());
    let (rate, now) = (config.source_messages_per_minute, session.clock().monotonic());
    let rates = &session.shared.source_rates;
    !is_spared(config, client) && !rates.take(source_of(client), rate, now)
}

/// Parameters of extensions that were not offered (RFC 5321 §4.1.1.11).
fn refused_parameter(session: &Session, params: &MailParams) -> Option<Reply> {
    let keyword = match params {
        MailParams { require_tls: true, .. } if !session.offers_require_tls() => "REQUIRETLS",
        // Whom a client vouches for is noted by nobody; RFC 4954 §5 wants it accepted.
        MailParams { auth: Some(_), .. } if session.terms.connector.auth.is_empty() => "AUTH",
        _ => return None,
    };
    Some(Reply::unknown_parameter(keyword))
}
