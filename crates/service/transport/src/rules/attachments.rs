//! Attachments: their names and sizes, and what is inside, where a rule asks for it.

use super::compile::RuleSet;
use super::evaluate::Needed;
use super::facts::{Facts, Message, leaves};
use super::patterns::{Hits, Place};
use super::text;
use crate::context::Context;
use base::{Deadline, Result};
use codec_mime::{Part, PartKind};
use contract_blob::Content;
use contract_transport::inspection::{self, Extract, Outcome};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// How many messages have their attachments looked into at once on a node: those that wait for it
/// are to leave room for mail that needs none of it.
const MESSAGES_AT_ONCE: usize = 32;

/// How long looking into all attachments of a message may take.
const MESSAGE_TIME: Duration = Duration::from_secs(60);

/// How many files of a message are looked into.
const FILES_MAX: usize = 100;

/// An attachment.
pub(super) struct Attachment {
    /// In lower case.
    pub(super) name: String,
    /// Decoded, about.
    pub(super) size_bytes: u64,
    /// By its name or its first bytes, or once it is looked into, by those of what is packed in it.
    pub(super) is_executable: bool,
    /// Whether other files are packed in it.
    is_archive: bool,
    /// Whether what is in it cannot be told, or not all of it.
    pub(super) is_unreadable: bool,
    /// Whether looking into it was given up.
    pub(super) is_cut_off: bool,
    pub(super) is_protected: bool,
}

/// Who may have attachments looked into now.
pub(super) struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MESSAGES_AT_ONCE)))
    }
}

/// The name of a part's file, where it has one.
fn file_name(part: &Part) -> Option<String> {
    let of = |params: &[codec_mime::Param], name| codec_mime::params::decoded(params, name);
    let disposition = part.disposition.as_ref();
    let named = disposition.and_then(|disposition| of(&disposition.params, "filename"));
    named.or_else(|| of(&part.content_type.params, "name"))
}

/// Whether a part is an attachment: it says so, has a file's name, or is no text.
pub(super) fn is_attachment(part: &Part) -> bool {
    let is_text = part.content_type.is_main("text");
    part.disposition.as_ref().is_some_and(codec_mime::Disposition::is_attachment)
        || file_name(part).is_some()
        || (!is_text && matches!(part.kind, PartKind::Leaf | PartKind::Message { .. }))
}

/// The attachments among some parts, from outside.
///
/// # Errors
/// The blob store's.
pub(super) async fn list(
    context: &Context,
    rules: &RuleSet,
    content: &Content,
    parts: &[&Part],
) -> Result<Vec<Attachment>> {
    let mut found = Vec::new();
    for part in parts.iter().filter(|part| is_attachment(part)) {
        let encoded = part.body.end.saturating_sub(part.body.start);
        let encoding = part.encoding.as_deref().unwrap_or_default();
        let is_base64 = encoding.eq_ignore_ascii_case(b"base64");
        let name = file_name(part).unwrap_or_default().to_lowercase();
        let head = match rules.asks_for_programs {
            true => text::head(context, content, part).await?,
            false => Vec::new(),
        };
        found.push(Attachment {
            is_executable: codec_extract::is_program_name(&name)
                || codec_extract::is_program(&head),
            name,
            // 76 characters and a line end carry 57 octets.
            size_bytes: if is_base64 { encoded / 78 * 57 + encoded % 78 * 3 / 4 } else { encoded },
            is_archive: codec_extract::is_archive(&head)
                || matches!(part.kind, PartKind::Message { .. }),
            is_unreadable: false,
            is_cut_off: false,
            is_protected: false,
        });
    }
    Ok(found)
}

/// Looks into attachments as far as the rules need it, once for all of them. `false` where so many
/// messages wait for that, that this one is to come again.
///
/// # Errors
/// The blob store's.
pub(super) async fn inspect(
    context: &Context,
    rules: &RuleSet,
    message: Message<'_>,
    facts: &mut Facts,
    (needed, patience): (Needed, Patience),
) -> Result<bool> {
    let deadline = Deadline::after(MESSAGE_TIME);
    let turns = &context.rules.turns.0;
    let turn = match patience {
        Patience::ComesAgain => turns.try_acquire().ok(),
        Patience::Waits | Patience::Over => {
            let turn = tokio::time::timeout_at(deadline.instant(), turns.acquire()).await;
            turn.ok().and_then(std::result::Result::ok)
        }
    };
    if turn.is_none() && patience == Patience::ComesAgain {
        return Ok(false);
    }
    let mut left = FILES_MAX;
    let mut hits: Vec<(&Place, Hits)> = Vec::new();
    let mut parts = Vec::new();
    leaves(&message.parsed.root, &mut parts);
    let parts = parts.into_iter().filter(|part| is_attachment(part));
    for (attachment, part) in facts.attachments.iter_mut().zip(parts) {
        let is_asked = needed == Needed::All || attachment.is_archive;
        if !is_asked {
            continue;
        }
        let mut files = Vec::new();
        all_leaves(part, &mut files);
        for part in files {
            let found = match (left.checked_sub(1), &turn) {
                (Some(less), Some(_)) => {
                    left = less;
                    look(context, message.content, part, deadline).await?
                }
                (None, _) => Extract::failed(Outcome::Exceeded),
                (_, None) => Extract::failed(Outcome::Failed),
            };
            attachment.is_executable |= found.is_program;
            attachment.is_unreadable |= found.is_unreadable();
            attachment.is_cut_off |= found.is_cut_off();
            attachment.is_protected |= found.is_protected;
            find(rules, &found, &mut hits);
        }
    }
    for (place, found) in hits {
        let known = facts.hits.entry(place.clone()).or_default();
        *known = std::mem::take(known).join(&found);
    }
    Ok(true)
}

/// Whether a message that finds no room is to come again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Patience {
    /// Soon.
    ComesAgain,
    /// It has, for long enough; what cannot be looked into now cannot be told.
    Over,
    /// It has nowhere to go: somebody tries what the rules would do.
    Waits,
}

/// What the rules look for and was found.
fn find<'r>(rules: &'r RuleSet, found: &Extract, hits: &mut Vec<(&'r Place, Hits)>) {
    for place in rules.patterns.places() {
        match place {
            Place::Attachment => hits.push((place, rules.patterns.hits(place, &found.text))),
            Place::Property(wanted) => {
                let values = found.properties.iter().filter(|(name, _)| name == wanted);
                hits.extend(values.map(|(_, value)| (place, rules.patterns.hits(place, value))));
            }
            _ => {}
        }
    }
}

/// The files of an attachment: itself, or if it is a message, all that is in that.
fn all_leaves<'a>(part: &'a Part, into: &mut Vec<&'a Part>) {
    let mut found = Vec::new();
    leaves(part, &mut found);
    for part in found {
        match &part.kind {
            PartKind::Message { part, .. } => all_leaves(part, into),
            PartKind::Leaf | PartKind::Multipart(_) => into.push(part),
        }
    }
}

async fn look(
    context: &Context,
    content: &Content,
    part: &Part,
    deadline: Deadline,
) -> Result<Extract> {
    let Some(inspector) = &context.config.inspector else {
        return Ok(Extract::failed(Outcome::Failed));
    };
    let charset = part.content_type.param("charset").map_or(&b""[..], |charset| charset);
    let attachment = inspection::Attachment {
        name: file_name(part).unwrap_or_default(),
        media_type: part.content_type.media_type().to_string(),
        charset: String::from_utf8_lossy(charset).into_owned(),
        bytes: text::bytes(context, content, part),
    };
    inspector.inspect(attachment, deadline).await
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_attached_message_is_all_that_is_in_it() {
        let message = "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nbody\r\n\
             --a\r\nContent-Type: message/rfc822\r\n\r\n\
             Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ninner\r\n\
             --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ninnermost\r\n\
             --b\r\nContent-Type: application/pdf; name=a.pdf\r\n\r\n%PDF\r\n--b--\r\n--a--\r\n";
        let parsed = codec_mime::parse(message.as_bytes());
        let mut outer = Vec::new();
        leaves(&parsed.root, &mut outer);
        let attached: Vec<_> = outer.into_iter().filter(|part| is_attachment(part)).collect();
        assert_eq!(attached.len(), 1);
        let mut files = Vec::new();
        all_leaves(attached[0], &mut files);
        let text = |part: &&Part| {
            let (start, end) = (part.body.start as usize, part.body.end as usize);
            message[start..end].trim().to_owned()
        };
        let texts: Vec<_> = files.iter().map(text).collect();
        assert_eq!(texts, ["inner", "innermost", "%PDF"]);
    }
}
