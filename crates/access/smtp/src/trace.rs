//! The headers that we write: the Received field of this hop, and what a submitted message lacks.

use crate::session::{Draft, Login, Session};
use base::{Address, QueueId, Timestamp};
use bytes::Bytes;
use codec_mime::build::{self, HeaderWriter, Mailbox};
use codec_mime::{ParsedMessage, SentAt, date};
use contract_transport::Source;

/// Where a message comes from (RFC 3848 and RFC 6531 §3.7.3 for the protocol's name).
pub(crate) fn source(session: &Session, draft: &Draft) -> Source {
    let extended = session.client.as_ref().is_some_and(|client| client.extended);
    let name = match (draft.smtputf8, extended) {
        (true, _) => "UTF8SMTP",
        (false, true) => "ESMTP",
        (false, false) => "SMTP",
    };
    let mut protocol = name.to_owned();
    if session.connection.is_tls() {
        protocol.push('S');
    }
    if session.login.is_some() {
        protocol.push('A');
    }
    Source {
        ip: Some(session.connection.peer().ip()),
        helo: session.client.as_ref().map(|client| client.name.clone()).unwrap_or_default(),
        protocol,
    }
}

/// The Received field (RFC 5321 §4.4).
pub(crate) fn received(
    session: &Session,
    draft: &Draft,
    source: &Source,
    queue: QueueId,
    at: Timestamp,
) -> Bytes {
    let tls = session.connection.tls_info();
    let tls = tls.map(|tls| format!("{} {}", tls.version, tls.cipher));
    // A submitted message may have blind recipients; nobody else may learn of a single one either.
    let recipient = match &draft.recipients[..] {
        [only] if !session.may_relay() => Some(only.address.to_string()),
        _ => None,
    };
    let field = build::received(&build::Received {
        helo: &source.helo,
        client_name: None,
        client_ip: source.ip,
        by: &session.config().host_name,
        with: &source.protocol,
        tls: tls.as_deref(),
        id: &queue.to_string(),
        recipient: recipient.as_deref(),
        at: sent_at(at),
    });
    field.into()
}

/// Writes what RFC 5322 §3.6 asks for and a submitted message does not have (RFC 6409 §8): From,
/// Date, Message-ID. `from` is whom to name where there is no From field. `parsed` is told of them, but not of the bytes: that is for
/// [`ParsedMessage::shifted`].
pub(crate) fn complete(
    parsed: &mut ParsedMessage,
    login: &Login,
    from: Option<&Address>,
    (queue, at, host_name): (QueueId, Timestamp, &str),
) -> Bytes {
    let mut header = HeaderWriter::new();
    let envelope = &mut parsed.envelope;
    if let Some(from) = from {
        let name = login.account.display_name.as_str();
        let name = (!name.is_empty()).then_some(name);
        header.addresses("From", &[Mailbox { name, email: &from.to_string() }]);
        let author = codec_mime::Address::Mailbox {
            name: name.map(|name| codec_mime::encoded_word::encode(name).into()),
            route: None,
            mailbox: from.local.clone().into(),
            host: from.domain.clone().into(),
        };
        envelope.from.push(author.clone());
        for list in [&mut envelope.sender, &mut envelope.reply_to] {
            if list.is_empty() {
                list.push(author.clone());
            }
        }
    }
    if envelope.date.is_none() {
        let at = sent_at(at);
        header.date("Date", at);
        envelope.date = Some(date::print(at).into());
        parsed.sent_at = Some(at);
    }
    if envelope.message_id.is_none() {
        let id = build::message_id(&queue.to_string(), host_name);
        header.structured("Message-ID", &id);
        parsed.message_id = Some(id.trim_matches(['<', '>']).to_owned().into());
        envelope.message_id = Some(id.into());
    }
    header.fields().into()
}

fn sent_at(at: Timestamp) -> SentAt {
    SentAt { unix_seconds: at.unix_s(), offset_minutes: 0 }
}
