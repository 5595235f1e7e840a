//! What a signature is over, and with what it is checked.

use super::tags;
use super::{Canonical, DkimResult, KeyError, PublicKey, Signature};
use crate::header::{Field, Header};
use base::env::{Dns, DnsError};
use std::collections::HashMap;

/// The bytes that a signature in `own` signs: the fields it names, each time the lowest that is
/// left, and itself without `b=` (RFC 6376 §3.7, §5.4.2).
pub fn header_input(header: &Header, signature: &Signature, own: Field<'_>) -> Vec<u8> {
    let names = signature.fields.iter().map(String::as_str);
    let mut input = fields_input(header, names, signature.header_canonical);
    own_input(signature.header_canonical, own, &mut input);
    input
}

/// The fields of these names, each time the lowest that is left; nothing where none is.
pub(super) fn fields_input<'a>(
    header: &Header,
    names: impl Iterator<Item = &'a str>,
    canonical: Canonical,
) -> Vec<u8> {
    let mut input = Vec::with_capacity(2048);
    let mut left: HashMap<&str, Box<dyn Iterator<Item = Field<'_>> + '_>> = HashMap::new();
    for name in names {
        let fields = left.entry(name).or_insert_with(|| Box::new(header.named(name).rev()));
        if let Some(field) = fields.next() {
            canonical.field(field, &mut input);
        }
    }
    input
}

/// Writes a signature's own field: without what `b=` says, and without a line end.
pub(crate) fn own_input(canonical: Canonical, own: Field<'_>, input: &mut Vec<u8>) {
    let value_at = own.whole.len() - own.value.len();
    let mut whole = own.whole.to_vec();
    if let Some(range) = tags::signature_range(own.value) {
        // A fold behind the signature belongs to it, not to the line end of the field.
        let range = value_at + range.start..value_at + range.end;
        let end = if whole[range.clone()].ends_with(b"\r\n") { range.end - 2 } else { range.end };
        whole.drain(range.start..end);
    }
    let own = Field { whole: &whole, name: &whole[..own.name.len()], value: &whole[value_at..] };
    canonical.field(own, input);
    if input.ends_with(b"\r\n") {
        input.truncate(input.len() - 2);
    }
}

/// The key that a signature names.
///
/// # Errors
/// The result of the signature, and why.
pub async fn fetch_key(
    dns: &dyn Dns,
    signature: &Signature,
) -> Result<PublicKey, (DkimResult, &'static str)> {
    let name = format!("{}._domainkey.{}", signature.selector, signature.domain);
    let records = match dns.texts(&name).await {
        Ok(found) => found.records,
        Err(DnsError::NoDomain | DnsError::NoRecords) => {
            return Err((DkimResult::PermError, "the domain publishes no such key"));
        }
        Err(DnsError::NoAnswer(_)) => {
            return Err((DkimResult::TempError, "the key could not be looked up"));
        }
    };
    // There should be one record; where other texts stand beside it, the first key counts.
    let mut error = KeyError::Malformed;
    for record in records {
        match PublicKey::parse(&record) {
            Ok(key) if !key.fits(signature) => {
                return Err((DkimResult::PermError, "the key is of another kind"));
            }
            Ok(key) if key.exact_identity && !is_exact(signature) => {
                return Err((DkimResult::PermError, "the key is for the domain itself only"));
            }
            Ok(key) => return Ok(key),
            Err(KeyError::Revoked) => error = KeyError::Revoked,
            Err(KeyError::Malformed) => {}
        }
    }
    Err(match error {
        KeyError::Revoked => (DkimResult::PermError, "the key is revoked"),
        KeyError::Malformed => (DkimResult::PermError, "the key cannot be read"),
    })
}

fn is_exact(signature: &Signature) -> bool {
    signature.identity.as_ref().is_none_or(|identity| *identity == signature.domain)
}
