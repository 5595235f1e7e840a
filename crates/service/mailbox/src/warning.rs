//! What an owner is told whose mailbox is full or nearly so: a message in the Inbox, once a day.
//!
//! It is written with the end of the day's housekeeping, in the same transaction as the mark that
//! housekeeping is done, so there is one at most in 24 hours, whatever is tried again.

use crate::message::{self, Arrival};
use crate::unit::Unit;
use base::Result;
use bytes::Bytes;
use codec_mime::SentAt;
use codec_mime::build::{HeaderWriter, Mailbox};
use contract_blob::{Content, Segment};
use contract_directory::Quota;
use contract_mailbox::{Flags, SpecialUse};
use contract_store::BodyError;

/// Warns the owner if the mailbox has grown to a level of its quota.
pub(crate) async fn run(unit: &mut Unit<'_>) -> Result<(), BodyError> {
    let used_bytes = unit.summary().size_bytes;
    let Some(words) = words(used_bytes, &unit.quota) else {
        return Ok(());
    };
    let bytes = render(unit, &words);
    let parsed = codec_mime::parse(&bytes);
    let arrival = Arrival {
        folder: SpecialUse::Inbox.folder_id(),
        content: Content { segments: vec![Segment::Inline(bytes)] },
        staged: &[],
        parsed,
        flags: Flags::default(),
        received: unit.now,
    };
    message::add(unit, arrival).await?;
    metrics::counter!("rialto_mailbox_quota_warnings_total").increment(1);
    Ok(())
}

/// What a warning says.
#[derive(PartialEq, Eq, Debug)]
struct Words {
    subject: &'static str,
    text: String,
}

/// What there is to say of so many bytes; nothing below the first level.
fn words(used_bytes: u64, quota: &Quota) -> Option<Words> {
    let reached = |level: Option<u64>| level.filter(|level| used_bytes >= *level);
    let used = size(used_bytes);
    let (subject, follows) = if reached(quota.no_receive_bytes).is_some() {
        ("Your mailbox is full", "You can neither send nor receive messages.".to_owned())
    } else if reached(quota.no_send_bytes).is_some() {
        let then = "You cannot send messages".to_owned();
        let end = quota.no_receive_bytes.map_or(String::new(), |level| {
            format!(", and from {} on you will not receive any, either", size(level))
        });
        ("Your mailbox is too full to send messages", format!("{then}{end}."))
    } else if reached(quota.warn_bytes).is_some() {
        let then = quota.no_send_bytes.or(quota.no_receive_bytes);
        let then = then.map_or(String::new(), |level| {
            format!("From {} on you will not be able to send messages.", size(level))
        });
        ("Your mailbox is almost full", then)
    } else {
        return None;
    };
    let text = format!(
        "Your mailbox holds {used}. {follows}\r\n\r\nTo make room, remove what you do not need any \
         more.\r\n"
    );
    Some(Words { subject, text })
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    const UNITS: [(u32, &str); 3] = [(30, "GB"), (20, "MB"), (10, "kB")];
    let fits = UNITS.into_iter().find(|(bits, _)| bytes >> bits >= 1);
    let Some((bits, unit)) = fits else { return format!("{bytes} bytes") };
    let tenths = (u128::from(bytes) * 10) >> bits;
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// The message.
fn render(unit: &Unit<'_>, words: &Words) -> Bytes {
    let owner = unit.owner.address.to_string();
    let domain = &unit.owner.address.domain;
    let sender = format!("postmaster@{domain}");
    let id = format!("<quota.{}.{}@{domain}>", unit.keys.0.0, unit.now.unix_ms);
    let mut header = HeaderWriter::new();
    let to = Mailbox { name: Some(&unit.owner.display_name), email: &owner };
    header
        .date("Date", SentAt { unix_seconds: unit.now.unix_s(), offset_minutes: 0 })
        .addresses("From", &[Mailbox { name: Some("Rialto"), email: &sender }])
        .addresses("To", &[to])
        .text("Subject", words.subject)
        .structured("Message-ID", &id)
        .structured("Importance", "high")
        // RFC 3834 §5: nobody's automatic reply is wanted.
        .structured("Auto-Submitted", "auto-generated")
        .structured("MIME-Version", "1.0")
        .structured("Content-Type", "text/plain; charset=utf-8");
    [header.finish(), words.text.clone().into_bytes()].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_their_words() {
        const MB: u64 = 1 << 20;
        let quota = Quota {
            warn_bytes: Some(80 * MB),
            no_send_bytes: Some(90 * MB),
            no_receive_bytes: Some(100 * MB),
        };
        let check = |used, expect: Option<(&str, &str)>| {
            let found = words(used, &quota);
            let found = found.as_ref().map(|words| (words.subject, words.text.as_str()));
            match (found, expect) {
                (None, None) => {}
                (Some((subject, text)), Some(expect)) => {
                    assert_eq!(subject, expect.0);
                    assert!(text.starts_with(expect.1), "{text}");
                }
                other => panic!("{used}: {other:?}"),
            }
        };
        check(80 * MB - 1, None);
        let warned = "Your mailbox holds 80.0 MB. From 90.0 MB on you will not be able to send";
        check(80 * MB, Some(("Your mailbox is almost full", warned)));
        let held = "Your mailbox holds 95.5 MB. You cannot send messages, and from 100.0 MB on you";
        check(95 * MB + MB / 2, Some(("Your mailbox is too full to send messages", held)));
        let full = "Your mailbox holds 100.0 MB. You can neither send nor receive messages.";
        check(100 * MB, Some(("Your mailbox is full", full)));
        let none = Quota { warn_bytes: None, no_send_bytes: None, no_receive_bytes: None };
        assert_eq!(words(u64::MAX, &none), None);
        assert_eq!(size(1023), "1023 bytes");
        assert_eq!(size(1 << 30), "1.0 GB");
    }
}
