//! The message that FETCH shows of an item that was authored as a tree: subject, people, dates and
//! plain text, from the tagged properties of MS-OXPROPS. The same properties always give the same
//! bytes, so that an edit of anything else leaves the UID alone. Attachments and formatted text
//! are not in it; whoever wants them reads the tree.

use super::content::Work;
use crate::unit::Unit;
use base::{Result, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use codec_mime::SentAt;
use codec_mime::build::{HeaderWriter, Mailbox, message_id};
use contract_blob::{Content, Place, Segment, Staged};
use contract_mailbox::{MessageMeta, Properties, PropertyName, PropertyValue};
use contract_store::BodyError;

const SUBJECT: u16 = 0x0037;
const SUBJECT_PREFIX: u16 = 0x003d;
const NORMALIZED_SUBJECT: u16 = 0x0e1d;
const BODY: u16 = 0x1000;
const CLIENT_SUBMIT_TIME: u16 = 0x0039;
const DELIVERY_TIME: u16 = 0x0e06;
const INTERNET_MESSAGE_ID: u16 = 0x1035;
const INTERNET_REFERENCES: u16 = 0x1039;
const IN_REPLY_TO: u16 = 0x1042;
/// Name, SMTP address, other address: the one represented, then the one who sends.
const AUTHORS: [(u16, u16, u16); 2] = [(0x0042, 0x5d02, 0x0065), (0x0c1a, 0x5d01, 0x0c1f)];
const RECIPIENT_TYPE: u16 = 0x0c15;
const DISPLAY_NAME: u16 = 0x3001;
const SMTP_ADDRESS: u16 = 0x39fe;
const EMAIL_ADDRESS: u16 = 0x3003;

/// The longest text that is shown, in bytes: what can still be read while it is only staged.
const TEXT_BYTES_MAX: u64 = contract_blob::INLINE_BYTES_MAX as u64;

/// Shown in place of a longer one.
const TOO_LONG: &str = "[The text of this item is too long to be shown here.]";

/// The longest line of a body that needs no encoding, in bytes (RFC 5322 §2.1.1).
const LINE_BYTES_MAX: usize = 998;

/// 57 bytes are one line of base64 (RFC 2045 §6.8).
const BASE64_LINE_BYTES: usize = 57;

/// Makes the message of an item. Its bytes are among the work's staged blobs.
pub(super) async fn render(unit: &Unit<'_>, work: &mut Work) -> Result<MessageMeta, BodyError> {
    let text = text(unit, work).await?;
    let bytes = message(unit, work, &text);
    let parsed = codec_mime::parse(&bytes);
    let mut upload = unit.blobs.upload();
    upload.write(bytes.into()).await?;
    let staged = upload.finish().await?;
    let content = Content::of(&staged);
    work.staged.push(staged);
    Ok(MessageMeta { parsed, content })
}

fn message(unit: &Unit<'_>, work: &Work, text: &str) -> Vec<u8> {
    let properties = &work.bag.properties;
    let mut header = HeaderWriter::new();
    let (name, email) = author(unit, properties);
    header.date("Date", date(properties, work.row.received));
    header.addresses("From", &[Mailbox { name: Some(&name), email: &email }]);
    for (field, kind) in [("To", 1), ("Cc", 2), ("Bcc", 3)] {
        let people: Vec<(String, String)> =
            work.bag.recipients.iter().filter_map(|bag| recipient(bag, kind)).collect();
        let people: Vec<Mailbox<'_>> =
            people.iter().map(|(name, email)| Mailbox { name: Some(name), email }).collect();
        header.addresses(field, &people);
    }
    header.text("Subject", &subject(properties));
    let own_id = || {
        let unique = format!("{:x}.{:x}", unit.owner.id.0, work.item.0);
        message_id(&unique, &unit.owner.address.domain)
    };
    header
        .structured("Message-ID", &string(properties, INTERNET_MESSAGE_ID).unwrap_or_else(own_id));
    for (field, tag) in [("In-Reply-To", IN_REPLY_TO), ("References", INTERNET_REFERENCES)] {
        if let Some(value) = string(properties, tag) {
            header.structured(field, &value);
        }
    }
    header.structured("MIME-Version", "1.0");
    header.structured("Content-Type", "text/plain; charset=utf-8");
    let text = with_line_ends(text);
    let plain = text.is_ascii()
        && !text.contains('\0')
        && text.split("\r\n").all(|line| line.len() <= LINE_BYTES_MAX);
    header.structured("Content-Transfer-Encoding", if plain { "7bit" } else { "base64" });
    let mut bytes = header.finish();
    if plain {
        bytes.extend_from_slice(text.as_bytes());
        return bytes;
    }
    for line in text.as_bytes().chunks(BASE64_LINE_BYTES) {
        bytes.extend_from_slice(STANDARD.encode(line).as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Every line ends in CR LF, the last one too.
fn with_line_ends(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 32 + 2);
    let unified = text.replace("\r\n", "\n").replace('\r', "\n");
    for line in unified.strip_suffix('\n').unwrap_or(&unified).split('\n') {
        out.push_str(line);
        out.push_str("\r\n");
    }
    out
}

/// Name and address of the author; the mailbox's owner where nothing else is known, because a
/// message must have one (RFC 5322 §3.6).
fn author(unit: &Unit<'_>, properties: &Properties) -> (String, String) {
    for (name, smtp, other) in AUTHORS {
        let email = string(properties, smtp).or_else(|| address(properties, other));
        if let Some(email) = email {
            return (string(properties, name).unwrap_or_default(), email);
        }
    }
    (unit.owner.display_name.clone(), unit.owner.address.to_string())
}

/// Name and address of a recipient of one kind (PidTagRecipientType, MS-OXOMSG 2.2.3.1).
fn recipient(bag: &Properties, wanted: i32) -> Option<(String, String)> {
    let kind = match bag.get(&PropertyName::Tag(RECIPIENT_TYPE)) {
        // Only the lowest bits say which kind it is.
        Some(PropertyValue::I32(kind)) => kind & 0xf,
        _ => 1,
    };
    let email = string(bag, SMTP_ADDRESS).or_else(|| address(bag, EMAIL_ADDRESS))?;
    (kind == wanted).then(|| (string(bag, DISPLAY_NAME).unwrap_or_default(), email))
}

/// An address property that is an SMTP address, not one of an X.500 directory.
fn address(properties: &Properties, tag: u16) -> Option<String> {
    string(properties, tag).filter(|address| address.contains('@'))
}

fn string(properties: &Properties, tag: u16) -> Option<String> {
    match properties.get(&PropertyName::Tag(tag)) {
        Some(PropertyValue::Text(text)) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}

fn subject(properties: &Properties) -> String {
    string(properties, SUBJECT).unwrap_or_else(|| {
        let prefix = string(properties, SUBJECT_PREFIX).unwrap_or_default();
        prefix + &string(properties, NORMALIZED_SUBJECT).unwrap_or_default()
    })
}

fn date(properties: &Properties, received: Timestamp) -> SentAt {
    let time = |tag| match properties.get(&PropertyName::Tag(tag)) {
        Some(PropertyValue::Time(time)) => Some(unix_seconds(*time)),
        _ => None,
    };
    let known = time(CLIENT_SUBMIT_TIME).or_else(|| time(DELIVERY_TIME));
    SentAt { unix_seconds: known.unwrap_or(received.unix_s()), offset_minutes: 0 }
}

/// From 100 ns since 1601 (MS-OXCDATA 2.11.1 PtypTime).
fn unix_seconds(time: u64) -> i64 {
    const FROM_1601_TO_1970_S: i64 = 11_644_473_600;
    (time / 10_000_000) as i64 - FROM_1601_TO_1970_S
}

/// The plain text of an item.
async fn text(unit: &Unit<'_>, work: &Work) -> Result<String, BodyError> {
    match work.bag.properties.get(&PropertyName::Tag(BODY)) {
        Some(PropertyValue::Text(text)) if text.len() as u64 <= TEXT_BYTES_MAX => Ok(text.clone()),
        Some(PropertyValue::Stream { text: true, content })
            if content.size_bytes() <= TEXT_BYTES_MAX =>
        {
            let mut bytes = Vec::new();
            for segment in &content.segments {
                match read_segment(unit, segment, &work.staged).await? {
                    Some(piece) => bytes.extend_from_slice(&piece),
                    None => return Ok(TOO_LONG.to_owned()),
                }
            }
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
        Some(PropertyValue::Text(_) | PropertyValue::Stream { text: true, .. }) => {
            Ok(TOO_LONG.to_owned())
        }
        _ => Ok(String::new()),
    }
}

/// The bytes of a segment; `None` where they are part of an upload that is too large to be at
/// hand before it is referred to.
async fn read_segment(
    unit: &Unit<'_>,
    segment: &Segment,
    staged: &[Staged],
) -> Result<Option<Bytes>> {
    let (id, offset, size) = match segment {
        Segment::Inline(bytes) => return Ok(Some(bytes.clone())),
        Segment::Blob { id, offset, size_bytes } => (*id, *offset, *size_bytes),
    };
    match staged.iter().find(|staged| staged.id == id).map(|staged| &staged.place) {
        Some(Place::Inline(bytes)) => {
            let (begin, end) = (offset as usize, offset.saturating_add(size) as usize);
            let outside = || base::Error::invalid("A stream reaches beyond its blob");
            let in_it = begin <= end && end <= bytes.len();
            in_it.then(|| Some(bytes.slice(begin..end))).ok_or_else(outside)
        }
        Some(Place::Uploaded { .. }) => Ok(None),
        Some(Place::Stored) | None => {
            use futures::TryStreamExt;
            let pieces: Vec<Bytes> =
                unit.blobs.read(id, offset..offset.saturating_add(size)).try_collect().await?;
            Ok(Some(pieces.concat().into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_cr_lf() {
        let check = |text: &str, expect: &str| assert_eq!(with_line_ends(text), expect);
        check("", "\r\n");
        check("a", "a\r\n");
        check("a\nb\n", "a\r\nb\r\n");
        check("a\r\nb\rc", "a\r\nb\r\nc\r\n");
    }

    #[test]
    fn times_count_from_1601() {
        assert_eq!(unix_seconds(116_444_736_000_000_000), 0);
        assert_eq!(unix_seconds(0), -11_644_473_600);
        assert_eq!(unix_seconds(133_170_048_000_000_000), 1_672_531_200);
    }
}
