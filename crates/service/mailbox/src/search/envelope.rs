//! What the envelope of a message says, as text.

use super::plan::Field;
use super::text::fold_into;
use codec_mime::{Address, ParsedMessage, encoded_word};

/// The folded text of a field: a decoded subject, or addresses as `name <address>`, a comma
/// between them. `None` where the message has no such field, or an empty list.
pub(super) fn folded(parsed: &ParsedMessage, field: Field) -> Option<String> {
    let envelope = &parsed.envelope;
    let list = match field {
        Field::From => &envelope.from,
        Field::To => &envelope.to,
        Field::Cc => &envelope.cc,
        Field::Bcc => &envelope.bcc,
        Field::Subject => {
            let subject = envelope.subject.as_ref()?;
            let mut text = String::with_capacity(subject.len());
            fold_into(&encoded_word::decode(subject), &mut text);
            return Some(text);
        }
    };
    if list.is_empty() {
        return None;
    }
    let mut text = String::new();
    for address in list {
        push(address, &mut text);
    }
    Some(text)
}

/// Appends an address; a group as `name:` … `;`.
fn push(address: &Address, text: &mut String) {
    let begins = text.is_empty() || text.ends_with(": ");
    if !begins && !matches!(address, Address::GroupEnd) {
        text.push_str(", ");
    }
    if let Some(name) = address.display_name() {
        fold_into(&name, text);
    }
    match address {
        Address::Mailbox { name, mailbox, host, .. } => {
            text.push_str(if name.is_some() { " <" } else { "<" });
            fold_into(&String::from_utf8_lossy(mailbox), text);
            if !host.is_empty() {
                text.push('@');
                fold_into(&String::from_utf8_lossy(host), text);
            }
            text.push('>');
        }
        Address::GroupStart(_) => text.push_str(": "),
        Address::GroupEnd => text.push(';'),
    }
}
