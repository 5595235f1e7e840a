//! RCPT (RFC 5321 §4.1.1.3): one more recipient, if it is somebody here, or the client may send to
//! other servers and there is a way.

use super::address;
use crate::reply;
use crate::session::{Outcome, Session};
use base::{Address, Result};
use codec_smtp::{ForwardPath, RcptParams, Reply};
use contract_directory::{DomainKind, Resolved};
use contract_transport::{Notify, Recipient};

pub(crate) async fn run(session: &mut Session, to: ForwardPath, params: RcptParams) -> Outcome {
    let Some(draft) = &mut session.envelope else {
        return Ok(Reply::bad_sequence("send MAIL first"));
    };
    if session.chunked.is_some() {
        return Ok(Reply::bad_sequence("the message has begun"));
    }
    let recipients_max = session.terms.config.recipients_max;
    if draft.recipients.len() >= recipients_max {
        // A client with a long list in one piece meets this once for each; it shall come again
        // with the rest, not be thrown out (RFC 5321 §4.5.3.1.10).
        draft.excess += 1;
        if draft.excess <= recipients_max {
            session.nuisance.excuse();
        }
        return Ok(Reply::too_many_recipients());
    }
    let to = match to.address() {
        Some(wire) => address(wire),
        None => match postmaster(session).await {
            Ok(Some(postmaster)) => postmaster,
            Ok(None) => return Ok(Reply::no_such_user()),
            Err(error) => return Ok(reply::of(&error, "rcpt")),
        },
    };
    let refusal = match refusal(session, &to).await {
        Ok(refusal) => refusal,
        Err(error) => return Ok(reply::of(&error, "rcpt")),
    };
    if let Some(refusal) = refusal {
        metrics::counter!("rialto_smtp_recipients_refused_total").increment(1);
        session.tarpit().await;
        return Ok(refusal);
    }
    if let Some(draft) = &mut session.envelope {
        if draft.recipients.iter().all(|known| known.address != to) {
            draft.recipients.push(recipient(to, params));
        } else {
            // A careless list names somebody twice, and must get 250: put off, the client would
            // send the message again, to somebody who has it. A flood does nothing else.
            draft.repeated += 1;
            if draft.repeated > recipients_max {
                session.nuisance.junk();
            }
        }
    }
    Ok(Reply::recipient_ok())
}

/// The recipient with what its sender wants to hear of it (RFC 3461 §4.1, §4.2).
fn recipient(address: Address, params: RcptParams) -> Recipient {
    let plain = Recipient::plain(address);
    let notify = match params.notify {
        None => plain.notify,
        Some(codec_smtp::Notify::Never) => Notify { success: false, failure: false, delay: false },
        Some(codec_smtp::Notify::On { success, failure, delay }) => {
            Notify { success, failure, delay }
        }
    };
    let original = params.orcpt.map(|orcpt| format!("{};{}", orcpt.address_type, orcpt.address));
    Recipient { notify, original, ..plain }
}

/// Why a recipient is not taken.
async fn refusal(session: &Session, to: &Address) -> Result<Option<Reply>> {
    Ok(match session.shared.directory.resolve(to).await? {
        // Whether a mailbox is switched off is nobody's business outside.
        Resolved::Account(account) if !account.enabled => Some(Reply::no_such_user()),
        Resolved::Account(entry) | Resolved::Contact(entry)
            if entry.flow.authenticated_only && !session.is_of_us() =>
        {
            Some(reply::needs_authenticated_sender())
        }
        Resolved::Account(_) => None,
        Resolved::Group(group) if group.authenticated_only && !session.is_of_us() => {
            Some(reply::needs_authenticated_sender())
        }
        Resolved::Group(_) => None,
        Resolved::Contact(contact) => match &contact.flow.external {
            // Known by an address elsewhere: that is no reason to relay for anybody.
            Some(external) if external.folded() == to.folded() => {
                refusal_elsewhere(session, to).await?
            }
            _ => None,
        },
        Resolved::Unknown => Some(Reply::no_such_user()),
        Resolved::Elsewhere => refusal_elsewhere(session, to).await?,
    })
}

/// Why a recipient that is not here is not taken. What has no way out now waits for one only if
/// its sender may relay: strangers could fill the queues with it.
async fn refusal_elsewhere(session: &Session, to: &Address) -> Result<Option<Reply>> {
    let transport = &session.shared.transport;
    let may_relay = session.may_relay();
    if !may_relay && !is_relayed(session, to).await? {
        return Ok(Some(reply::unable_to_relay()));
    }
    if !transport.can_relay(to).await? {
        return Ok(Some(reply::no_route()));
    }
    let takes = may_relay || transport.has_route(to).await?;
    Ok((!takes).then(reply::no_route_now))
}

/// Whether the domain is one of ours whose recipients are, at least in part, elsewhere: then
/// everybody may write to it.
async fn is_relayed(session: &Session, to: &Address) -> Result<bool> {
    let domains = session.shared.directory.domains().await?;
    let of_domain = domains.iter().find(|domain| domain.name == to.domain);
    Ok(of_domain.is_some_and(|domain| domain.kind != DomainKind::Authoritative))
}

/// `<postmaster>` without a domain is that of the default domain.
async fn postmaster(session: &Session) -> Result<Option<Address>> {
    let domains = session.shared.directory.domains().await?;
    let default = domains.iter().find(|domain| domain.default).or(domains.first());
    Ok(default.map(|domain| Address::new("postmaster", &domain.name)))
}
