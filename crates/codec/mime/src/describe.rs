//! From the kept fields of a header to an envelope and the description of a part.

use bytes::Bytes;

use crate::address::{self, Address};
use crate::captured::{Budget, Name};
use crate::limits::{AUTHORS, LANGUAGES, Limits, REFERENCES};
use crate::message::{ContentType, Disposition, Envelope, SentAt};
use crate::{date, message_id, params};

/// The Content-… fields of one header.
#[derive(Debug, Default)]
pub(crate) struct Content {
    /// Whether there was a Content-Type field, usable or not.
    pub(crate) has_type: bool,
    pub(crate) content_type: Option<ContentType>,
    pub(crate) id: Option<Bytes>,
    pub(crate) description: Option<Bytes>,
    pub(crate) encoding: Option<Bytes>,
    pub(crate) md5: Option<Bytes>,
    pub(crate) disposition: Option<Disposition>,
    pub(crate) language: Vec<Bytes>,
    pub(crate) location: Option<Bytes>,
}

/// The fields of a message header besides the envelope.
#[derive(Debug, Default)]
pub(crate) struct Threading {
    pub(crate) message_id: Option<Bytes>,
    pub(crate) in_reply_to: Vec<Bytes>,
    pub(crate) references: Vec<Bytes>,
    pub(crate) thread_index: Option<Bytes>,
    pub(crate) sent_at: Option<SentAt>,
}

pub(crate) fn content(values: &[(Name, Bytes)], limits: &Limits, truncated: &mut bool) -> Content {
    let mut content = Content::default();
    for (name, value) in values {
        match name {
            Name::ContentType => {
                let (kind, more) = params::content_type(value, limits.parameters);
                content.has_type = true;
                content.content_type = kind;
                *truncated |= more;
            }
            Name::ContentDisposition => {
                let (disposition, more) = params::disposition(value, limits.parameters);
                content.disposition = disposition;
                *truncated |= more;
            }
            Name::ContentId => content.id = some(value),
            Name::ContentDescription => content.description = some(value),
            Name::ContentTransferEncoding => content.encoding = some(value),
            Name::ContentMd5 => content.md5 = some(value),
            Name::ContentLocation => content.location = some(value),
            Name::ContentLanguage => content.language = languages(value),
            _ => {}
        }
    }
    content
}

pub(crate) fn envelope(values: &[(Name, Bytes)], budget: &mut Budget) -> Envelope {
    let mut envelope = Envelope::default();
    for (name, value) in values {
        match name {
            Name::Date => envelope.date = some(value),
            Name::Subject => envelope.subject = some(value),
            Name::InReplyTo => envelope.in_reply_to = some(value),
            Name::MessageId => envelope.message_id = some(value),
            Name::From => addresses(&mut envelope.from, value, AUTHORS, budget),
            Name::Sender => addresses(&mut envelope.sender, value, AUTHORS, budget),
            Name::ReplyTo => addresses(&mut envelope.reply_to, value, AUTHORS, budget),
            Name::To => addresses(&mut envelope.to, value, usize::MAX, budget),
            Name::Cc => addresses(&mut envelope.cc, value, usize::MAX, budget),
            Name::Bcc => addresses(&mut envelope.bcc, value, usize::MAX, budget),
            _ => {}
        }
    }
    // RFC 9051 §7.5.2: the server fills these in, clients do not.
    if envelope.sender.is_empty() {
        envelope.sender.clone_from(&envelope.from);
    }
    if envelope.reply_to.is_empty() {
        envelope.reply_to.clone_from(&envelope.from);
    }
    envelope
}

pub(crate) fn threading(values: &[(Name, Bytes)]) -> Threading {
    let mut threading = Threading::default();
    for (name, value) in values {
        match name {
            Name::Date => threading.sent_at = date::parse(value),
            Name::MessageId => {
                threading.message_id = message_id::parse_list(value, 1).into_iter().next();
            }
            Name::InReplyTo => threading.in_reply_to = message_id::parse_list(value, REFERENCES),
            Name::References => threading.references = message_id::parse_list(value, REFERENCES),
            Name::ThreadIndex => threading.thread_index = some(value),
            _ => {}
        }
    }
    threading
}

/// Adds the addresses of one field to `list`, which may hold `most`.
fn addresses(list: &mut Vec<Address>, value: &Bytes, most: usize, budget: &mut Budget) {
    let max = budget.addresses.min(most.saturating_sub(list.len()));
    let (found, more) = address::parse_list(value, max);
    budget.addresses = budget.addresses.saturating_sub(found.len());
    budget.truncated |= more;
    list.extend(found);
}

fn languages(value: &Bytes) -> Vec<Bytes> {
    let tag = |byte: &u8| !(byte.is_ascii_alphanumeric() || *byte == b'-');
    let tags = value.split(tag).filter(|tag| !tag.is_empty());
    tags.take(LANGUAGES).map(|tag| value.slice_ref(tag)).collect()
}

fn some(value: &Bytes) -> Option<Bytes> {
    (!value.is_empty()).then(|| value.clone())
}
