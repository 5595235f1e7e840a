//! What messages are compared by.

use codec_mime::casemap::casemap;
use codec_mime::{Address, encoded_word, subject};
use contract_mailbox::order::{Order, OrderKey};
use contract_mailbox::{IndexEntry, MessageMeta};
use std::cmp::Ordering;

/// How much of a text decides: what is equal so far counts as equal.
const TEXT_BYTES_MAX: usize = 500;

/// One key of a message.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Value {
    Number(i64),
    Text(Box<str>),
}

/// Whether the index does not know it.
pub(super) fn needs_meta(key: OrderKey) -> bool {
    !matches!(key, OrderKey::Received | OrderKey::Size)
}

/// A message's keys, in the order of the criteria.
pub(super) fn of(order: &[Order], entry: &IndexEntry, meta: Option<&MessageMeta>) -> Box<[Value]> {
    order.iter().map(|order| value(order.key, entry, meta)).collect()
}

/// Which of two messages comes first.
pub(super) fn compare(order: &[Order], a: &[Value], b: &[Value]) -> Ordering {
    let pairs = order.iter().zip(a.iter().zip(b));
    let each = pairs.map(|(order, (a, b))| match order.descending {
        true => b.cmp(a),
        false => a.cmp(b),
    });
    each.fold(Ordering::Equal, Ordering::then)
}

/// When a message was sent, in seconds since 1970; when it arrived where that is not known
/// (RFC 5256 §2.2).
pub(super) fn sent_s(entry: &IndexEntry, meta: Option<&MessageMeta>) -> i64 {
    let sent = meta.and_then(|meta| meta.parsed.sent_at);
    sent.map_or(entry.received.unix_s(), |sent| sent.unix_seconds)
}

fn value(key: OrderKey, entry: &IndexEntry, meta: Option<&MessageMeta>) -> Value {
    let envelope = meta.map(|meta| &meta.parsed.envelope);
    let first = |list: Option<&Vec<Address>>, shown: fn(&Address) -> String| {
        text(&list.and_then(|list| list.first()).map(shown).unwrap_or_default())
    };
    match key {
        OrderKey::Received => Value::Number(entry.received.unix_s()),
        OrderKey::Size => Value::Number(i64::try_from(entry.size_bytes).unwrap_or(i64::MAX)),
        OrderKey::Sent => Value::Number(sent_s(entry, meta)),
        OrderKey::Subject => {
            let subject = envelope.and_then(|envelope| envelope.subject.as_ref());
            text(&subject.map(|subject| subject::base(subject).text).unwrap_or_default())
        }
        OrderKey::Cc => first(envelope.map(|envelope| &envelope.cc), local_part),
        OrderKey::From => first(envelope.map(|envelope| &envelope.from), local_part),
        OrderKey::To => first(envelope.map(|envelope| &envelope.to), local_part),
        OrderKey::ShownFrom => first(envelope.map(|envelope| &envelope.from), shown),
        OrderKey::ShownTo => first(envelope.map(|envelope| &envelope.to), shown),
    }
}

fn text(text: &str) -> Value {
    let mut text = casemap(text);
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    Value::Text(text.into_boxed_str())
}

/// The mailbox as ENVELOPE shows it: of a group its name.
fn local_part(address: &Address) -> String {
    let [_, _, mailbox, _] = address.imap_fields();
    mailbox.map(|mailbox| String::from_utf8_lossy(mailbox).into_owned()).unwrap_or_default()
}

/// The name, else the address.
fn shown(address: &Address) -> String {
    let name = address.display_name().filter(|name| !name.trim().is_empty());
    name.or_else(|| address.email()).unwrap_or_else(|| match address.imap_fields()[2] {
        Some(mailbox) => encoded_word::decode(mailbox),
        None => String::new(),
    })
}
