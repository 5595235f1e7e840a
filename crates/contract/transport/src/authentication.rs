//! Who a message that comes from another server is really from: checked while it comes in, written
//! down in its header, and acted upon.
//!
//! The checks run beside the arrival of the body, of which nothing is kept. They never fail: what
//! cannot be found out is a result as well, and nobody waits for it for longer than some seconds.

use async_trait::async_trait;
use base::Address;
use bytes::Bytes;
use contract_blob::{Content, Segment};
use std::net::IpAddr;

/// The field by which what writes the trace headers tells delivery that a message is suspicious.
/// Whatever comes in under this name from outside is removed ([`SenderCheck::header`]).
pub const SPAM_FIELD: &str = "X-Rialto-Spam";

/// The field's value for a message that belongs into Junk Email, up to its reason.
const JUNK: &str = "junk";

/// The field, whole, by which what writes the trace headers tells that a message without a sign-in
/// comes from whom the organisation trusts to write in its name: by a receive connector for its own
/// servers or devices. Counts at the very front only.
pub const INSIDE_FIELD: &str = "X-Rialto-Origin: inside\r\n";

/// The name of [`INSIDE_FIELD`].
pub const ORIGIN_FIELD: &str = "X-Rialto-Origin";

/// Whether [`INSIDE_FIELD`] says that a message is from inside. Looks at what we have put in front
/// only, never at what came from outside.
pub fn is_from_inside(content: &Content) -> bool {
    let Some(Segment::Inline(fields)) = content.segments.first() else { return false };
    fields.starts_with(INSIDE_FIELD.as_bytes())
}

/// What domains say of the hosts that send their mail.
#[async_trait]
pub trait SenderPolicies: Send + Sync + 'static {
    /// Whether a domain lets a host send mail in its name: the word of SPF's result (RFC 7208
    /// §2.6). What nobody answers within some seconds is `temperror`.
    async fn spf(&self, ip: IpAddr, helo: &str, domain: &str) -> &'static str;
}

/// Checks messages from other servers.
pub trait SenderAuthentication: Send + Sync + 'static {
    /// Begins with a message whose sender and client are known.
    fn begin(&self, client: Client) -> Box<dyn SenderCheck>;
}

/// Who sends a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Client {
    /// The client's address.
    pub ip: IpAddr,
    /// What it called itself.
    pub helo: String,
    /// MAIL FROM; `None` for `<>`.
    pub sender: Option<Address>,
    /// Whether it may write in anybody's name: then nothing is asked, but fields that only we may
    /// write are left out all the same.
    pub is_trusted: bool,
}

/// A message that is being checked: [`header`](Self::header) once, then [`body`](Self::body), then
/// [`finish`](Self::finish). One that is dropped is forgotten.
#[async_trait]
pub trait SenderCheck: Send {
    /// Takes the header as it came, with its blank line where it has one, and gives what of it may
    /// be stored: without fields that only we may write (RFC 8601 §5).
    fn header(&mut self, header: Bytes) -> Bytes;

    /// Takes the next bytes of the body.
    fn body(&mut self, piece: &[u8]);

    /// The message has come to its end. Waits for answers, but not for long.
    async fn finish(self: Box<Self>) -> Checked;
}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Checked {
    /// Whole fields to put in front of the message; may be empty.
    pub fields: Bytes,
    /// Why the message is refused, if it is: a line for the client.
    pub refusal: Option<String>,
}

/// The field that holds results (RFC 8601), with its colon.
const RESULTS: &[u8] = b"Authentication-Results:";

/// What was found when a message came: the field that says so, whole. Looks at what we have put in
/// front only, never at what came from outside.
pub fn results_field(content: &Content) -> Option<Bytes> {
    let Some(Segment::Inline(fields)) = content.segments.first() else { return None };
    let lines = fields.split_inclusive(|byte| *byte == b'\n');
    let mut at = 0;
    let mut begun = None;
    for line in lines {
        match begun {
            Some(from) if !line.starts_with(b" ") && !line.starts_with(b"\t") => {
                return Some(fields.slice(from..at));
            }
            None if line.starts_with(RESULTS) => begun = Some(at),
            Some(_) | None => {}
        }
        at += line.len();
    }
    begun.map(|from| fields.slice(from..at))
}

/// The value of [`results_field`]: what stands behind the colon.
pub fn results(content: &Content) -> Option<Bytes> {
    results_field(content).map(|field| field.slice(RESULTS.len()..))
}

/// The field that sends a message to Junk Email, with the reason: one line of ASCII.
pub fn junk_field(reason: &str) -> String {
    format!("{SPAM_FIELD}: {JUNK} ({reason})\r\n")
}

/// Whether a message was found to belong into Junk Email.
pub fn is_junk(content: &Content) -> bool {
    verdict(content).is_some()
}

/// The field that says so, whole, if there is one. Looks at what we have put in front only, never
/// at what came from outside.
pub fn verdict(content: &Content) -> Option<&[u8]> {
    let Some(Segment::Inline(fields)) = content.segments.first() else { return None };
    fields.split_inclusive(|byte| *byte == b'\n').find(|line| {
        let value = line.strip_prefix(SPAM_FIELD.as_bytes());
        value
            .and_then(|value| value.strip_prefix(b": "))
            .is_some_and(|value| value.starts_with(JUNK.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract_blob::BlobId;

    #[test]
    fn junk_is_what_our_own_fields_say() {
        let inline = |text: String| Segment::Inline(text.into());
        let blob = || Segment::Blob { id: BlobId([7; 32]), offset: 0, size_bytes: 9 };
        let check = |segments: Vec<Segment>, expected: bool| {
            assert_eq!(is_junk(&Content { segments: segments.clone() }), expected, "{segments:?}");
        };
        let results = || inline("Authentication-Results: mx; dmarc=fail\r\n".to_owned());
        check(vec![results(), blob()], false);
        let both = format!("Authentication-Results: mx\r\n{}", junk_field("dmarc=fail"));
        check(vec![inline(both), blob()], true);
        check(vec![results(), inline(junk_field("dmarc=fail")), blob()], false);
        check(vec![blob(), inline(junk_field("dmarc=fail"))], false);
        check(vec![inline(format!("Subject: {}", junk_field("no"))), blob()], false);
        check(vec![inline(format!("{SPAM_FIELD}: none\r\n")), blob()], false);
    }

    #[test]
    fn results_are_what_our_own_field_says() {
        let inline = |text: &str| Segment::Inline(Bytes::from(text.to_owned()));
        let check = |segments: &[&str], expected: Option<&str>| {
            let content = Content { segments: segments.iter().copied().map(inline).collect() };
            let found = results(&content);
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{segments:?}");
        };
        let field = "Authentication-Results: mx;\r\n\tspf=pass\r\n";
        let value = Some(" mx;\r\n\tspf=pass\r\n");
        check(&[field], value);
        check(&[&format!("{field}X-Rialto-Spam: none\r\n"), "Received: x\r\n"], value);
        check(&[&format!("X-Rialto-Spam: none\r\n{field}")], value);
        check(&["Received: x\r\n", field], None);
        check(&["X: y\r\n\tAuthentication-Results: mx; spf=pass\r\n"], None);
        check(&["Authentication-Results-X: mx\r\n"], None);
        check(&[], None);
    }

    #[test]
    fn inside_is_what_our_own_field_says() {
        let inline = |text: String| Segment::Inline(text.into());
        let check = |segments: Vec<Segment>, expected: bool| {
            let content = Content { segments };
            assert_eq!(is_from_inside(&content), expected, "{content:?}");
        };
        let received = || "Received: by mx\r\n".to_owned();
        assert_eq!(INSIDE_FIELD, format!("{ORIGIN_FIELD}: inside\r\n"));
        check(vec![inline(INSIDE_FIELD.to_owned()), inline(received())], true);
        check(vec![inline(INSIDE_FIELD.to_owned() + &received())], true);
        check(vec![inline(received()), inline(INSIDE_FIELD.to_owned())], false);
        check(vec![inline(received() + INSIDE_FIELD)], false);
        check(vec![inline(format!("{ORIGIN_FIELD}: outside\r\n"))], false);
        check(Vec::new(), false);
    }
}
