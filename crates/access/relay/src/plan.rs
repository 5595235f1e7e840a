//! What is to be said for one message, as the host's offer allows.
//!
//! What a message needs and a host does not offer is settled here, before anything is said: a
//! host would have to refuse it, or worse, would damage it. Its octets are made fit before
//! ([`crate::fit`]).

use crate::answer::judged;
use crate::fit::Form;
use crate::offer::Offer;
use crate::verdicts::Verdicts;
use base::Address;
use codec_smtp::{
    AddressError, BodyType, Command, ForwardPath, MailParams, Notify, OriginalRecipient,
    RcptParams, ReturnContent, ReversePath,
};
use contract_transport::Recipient;
use contract_transport::courier::{Answer, Outgoing, Verdict};

/// Longest ENVID and ORCPT address that may be passed on (RFC 3461 §4.2, §4.4).
const ENVID_BYTES_MAX: usize = 100;
const ORCPT_BYTES_MAX: usize = 500;

/// The envelope as commands.
pub(crate) struct Plan {
    pub(crate) mail: Command,
    /// With the recipient's place in the message's list.
    pub(crate) recipients: Vec<(usize, Command)>,
}

/// Makes the plan; `None` if nothing is left to be done. Recipients that cannot be named are
/// settled.
pub(crate) fn plan(
    outgoing: &Outgoing,
    form: &Form,
    offer: &Offer,
    verdicts: &mut Verdicts,
) -> Option<Plan> {
    if let Some(answer) = too_large(form, offer) {
        verdicts.settle_rest(&Verdict::Failed(answer));
        return None;
    }
    let utf8 = form.smtputf8;
    let from = match outgoing.sender.as_ref().map(|sender| address(sender, utf8)) {
        None => ReversePath::Null,
        Some(Ok(sender)) => ReversePath::Address(sender),
        Some(Err(error)) => {
            let status = if error == AddressError::NeedsSmtpUtf8 { "5.6.7" } else { "5.1.7" };
            let answer = judged(553, status, format!("the sender cannot be named: {error}"));
            verdicts.settle_rest(&Verdict::Failed(answer));
            return None;
        }
    };
    let mut recipients = Vec::with_capacity(outgoing.recipients.len());
    for (index, recipient) in outgoing.recipients.iter().enumerate() {
        match address(&recipient.address, utf8) {
            Ok(to) => {
                let params = if offer.dsn { rcpt_params(recipient) } else { RcptParams::default() };
                recipients.push((index, Command::Rcpt { to: ForwardPath::Address(to), params }));
            }
            Err(error) => {
                let status = if error == AddressError::NeedsSmtpUtf8 { "5.6.7" } else { "5.1.3" };
                let text = format!("the recipient cannot be named: {error}");
                verdicts.settle(index, Verdict::Failed(judged(553, status, text)));
            }
        }
    }
    let mail = Command::Mail { from, params: mail_params(outgoing, form, offer) };
    (!recipients.is_empty()).then_some(Plan { mail, recipients })
}

/// Why the host cannot take the message at all.
fn too_large(form: &Form, offer: &Offer) -> Option<Answer> {
    let limit = offer.size_bytes_max.filter(|limit| form.size_bytes > *limit)?;
    let bytes = form.size_bytes;
    let text = format!("the message has {bytes} bytes, the host takes at most {limit}");
    Some(judged(552, "5.3.4", text))
}

/// The address as the protocol writes it. Parsed again, so whatever a row may hold, only an address
/// gets into a command (attack 11).
fn address(address: &Address, utf8: bool) -> Result<codec_smtp::Address, AddressError> {
    codec_smtp::Address::parse(&address.to_string(), utf8)
}

fn mail_params(outgoing: &Outgoing, form: &Form, offer: &Offer) -> MailParams {
    let envid = outgoing.envelope_id.clone().filter(|id| is_text(id, ENVID_BYTES_MAX));
    MailParams {
        size_bytes: offer.size.then_some(form.size_bytes),
        body: form.is_8bit.then_some(BodyType::EightBitMime),
        ret: (offer.dsn && outgoing.return_headers_only).then_some(ReturnContent::Headers),
        envid: envid.filter(|_| offer.dsn),
        auth: None,
        smtputf8: form.smtputf8,
        require_tls: outgoing.require_tls && offer.require_tls,
    }
}

fn rcpt_params(recipient: &Recipient) -> RcptParams {
    let contract_transport::Notify { success, failure, delay } = recipient.notify;
    let notify = match recipient.notify {
        asked if asked == contract_transport::Notify::default() => None,
        _ if success || failure || delay => Some(Notify::On { success, failure, delay }),
        _ => Some(Notify::Never),
    };
    let original = recipient.original.as_deref().and_then(|original| {
        let (address_type, address) = original.split_once(';')?;
        let is_type = (1..=32).contains(&address_type.len())
            && address_type.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let is_utf8 = address_type.eq_ignore_ascii_case("utf-8") && is_utf8_text(address);
        (is_type && (is_utf8 || is_text(address, ORCPT_BYTES_MAX))).then(|| OriginalRecipient {
            address_type: address_type.to_ascii_lowercase(),
            address: address.to_owned(),
        })
    });
    RcptParams { notify, orcpt: original }
}

/// Whether it can be passed on as an internationalised address (RFC 6533 §3).
fn is_utf8_text(text: &str) -> bool {
    (1..=ORCPT_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Whether xtext can carry it.
fn is_text(text: &str, bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&text.len()) && text.bytes().all(|b| matches!(b, b' '..=b'~'))
}
