//! Questions about a parsed message: where is section n.m, what can be shown, what is attached.

use std::ops::Range;

use crate::message::{ParsedMessage, Part, PartKind, SectionKind};
use crate::{filename, params};

impl ParsedMessage {
    /// Octets of the section `path` + `kind` (RFC 9051 §6.4.5.1), or `None` where the message has
    /// no such section. The empty path is the whole message.
    pub fn section(&self, path: &[u32], kind: SectionKind) -> Option<Range<u64>> {
        if path.is_empty() {
            return match kind {
                SectionKind::Whole => Some(0..self.size_bytes),
                SectionKind::Header => Some(self.root.header.clone()),
                SectionKind::Text => Some(self.root.body.clone()),
                SectionKind::Mime => None,
            };
        }
        let part = self.part(path)?;
        match (kind, &part.kind) {
            (SectionKind::Whole, _) => Some(part.body.clone()),
            (SectionKind::Mime, _) => Some(part.header.clone()),
            (SectionKind::Header, PartKind::Message { part, .. }) => Some(part.header.clone()),
            (SectionKind::Text, PartKind::Message { part, .. }) => Some(part.body.clone()),
            (SectionKind::Header | SectionKind::Text, _) => None,
        }
    }

    /// The part numbered `path` as IMAP counts: from 1, an embedded message's parts below its own
    /// number, and part 1 of a message without multipart is its body. The empty path is the root.
    pub fn part(&self, path: &[u32]) -> Option<&Part> {
        let Some((first, rest)) = path.split_first() else {
            return Some(&self.root);
        };
        let mut part = numbered(&self.root, *first)?;
        for number in rest {
            part = match &part.kind {
                PartKind::Leaf => None,
                PartKind::Multipart(children) => child(children, *number),
                PartKind::Message { part, .. } => numbered(part, *number),
            }?;
        }
        Some(part)
    }

    /// Offset of the first octet after the message's header (and its blank line).
    pub fn header_end(&self) -> u64 {
        self.root.header.end
    }

    /// The same message with `by` octets of trace header put in front of it. Nothing else changes:
    /// the stored bytes stay where they are and only offsets move.
    #[must_use]
    pub fn shifted(mut self, by: u64) -> Self {
        self.size_bytes += by;
        shift(&mut self.root, by);
        self.root.header.start = 0;
        self
    }

    /// Every part that has an IMAP number, with it, in the order of the bytes (a multipart before
    /// its children). A multipart that is a message's root has no number and is left out.
    pub fn parts(&self) -> Vec<(Vec<u32>, &Part)> {
        let mut found = Vec::new();
        collect_message(&self.root, &[], &mut found);
        found
    }

    /// Whether a person would say that something is attached: a leaf or message that is marked so
    /// or named, other than signatures and the pictures an HTML text shows itself.
    pub fn has_attachments(&self) -> bool {
        let mut parts = vec![(&self.root, false)];
        while let Some((part, related)) = parts.pop() {
            match &part.kind {
                PartKind::Multipart(children) => {
                    let related = part.content_type.is("multipart", "related");
                    parts.extend(children.iter().map(|child| (child, related)));
                }
                PartKind::Leaf | PartKind::Message { .. } => {
                    if part.is_attachment() && !(related && part.id.is_some()) {
                        return true;
                    }
                }
            }
        }
        false
    }

    /// The leaf whose text makes the best preview: the first text/plain that is not an attachment,
    /// else the first text/html, else any other text. Embedded messages are not looked into.
    pub fn preview_part(&self) -> Option<&Part> {
        let mut best: Option<(u8, &Part)> = None;
        let mut parts = vec![&self.root];
        while let Some(part) = parts.pop() {
            if let PartKind::Multipart(children) = &part.kind {
                parts.extend(children.iter().rev());
            } else if let Some(rank) = preview_rank(part)
                && best.is_none_or(|(least, _)| rank < least)
            {
                best = Some((rank, part));
            }
        }
        best.map(|(_, part)| part)
    }
}

impl Part {
    /// Whether this part alone counts as an attachment (see [`ParsedMessage::has_attachments`]).
    pub fn is_attachment(&self) -> bool {
        let kind = &self.content_type;
        let signature = kind.is("application", "pgp-signature")
            || kind.is("application", "pkcs7-signature")
            || kind.is("application", "x-pkcs7-signature");
        if signature || kind.is_main("multipart") {
            return false;
        }
        match &self.disposition {
            Some(disposition) if disposition.is_attachment() => true,
            _ => !kind.is_main("text") || self.raw_name().is_some(),
        }
    }

    /// The name the sender gave this part, decoded (RFC 2231, or RFC 2047 as many senders do) but
    /// not made safe; see [`Part::safe_filename`].
    pub fn filename(&self) -> Option<String> {
        let disposition = self.disposition.as_ref();
        disposition
            .and_then(|disposition| params::decoded(&disposition.params, "filename"))
            .or_else(|| params::decoded(&self.content_type.params, "name"))
    }

    /// A name that is safe to offer for a download, whatever the sender wrote (attack 46).
    pub fn safe_filename(&self) -> String {
        filename::safe(self.filename().as_deref().unwrap_or_default())
    }

    fn raw_name(&self) -> Option<()> {
        let named = |param: &crate::Param, wanted: &[u8]| {
            let base = param.name.split(|byte| *byte == b'*').next();
            base.is_some_and(|base| base.eq_ignore_ascii_case(wanted))
        };
        let disposition = self.disposition.as_ref();
        let in_disposition =
            disposition.is_some_and(|held| held.params.iter().any(|p| named(p, b"filename")));
        let in_type = || self.content_type.params.iter().any(|p| named(p, b"name"));
        (in_disposition || in_type()).then_some(())
    }
}

fn preview_rank(part: &Part) -> Option<u8> {
    let kind = &part.content_type;
    let attached = part.disposition.as_ref().is_some_and(|held| held.is_attachment());
    match part.kind {
        PartKind::Leaf if attached || !kind.is_main("text") => None,
        PartKind::Leaf if kind.is("text", "plain") => Some(0),
        PartKind::Leaf if kind.is("text", "html") => Some(1),
        PartKind::Leaf => Some(2),
        PartKind::Multipart(_) | PartKind::Message { .. } => None,
    }
}

/// Part `number` of a message whose root part is `root`.
fn numbered(root: &Part, number: u32) -> Option<&Part> {
    match &root.kind {
        PartKind::Multipart(children) => child(children, number),
        PartKind::Leaf | PartKind::Message { .. } => (number == 1).then_some(root),
    }
}

fn child(children: &[Part], number: u32) -> Option<&Part> {
    children.get(usize::try_from(number).ok()?.checked_sub(1)?)
}

fn shift(part: &mut Part, by: u64) {
    for range in [&mut part.header, &mut part.body] {
        range.start += by;
        range.end += by;
    }
    match &mut part.kind {
        PartKind::Leaf => {}
        PartKind::Multipart(children) => children.iter_mut().for_each(|child| shift(child, by)),
        PartKind::Message { part, .. } => shift(part, by),
    }
}

/// The numbered parts of the message whose root is `root` and whose own number is `path`; a
/// multipart there has no number of its own. Recursion is bounded by [`crate::Limits::depth`].
fn collect_message<'a>(root: &'a Part, path: &[u32], found: &mut Vec<(Vec<u32>, &'a Part)>) {
    match &root.kind {
        PartKind::Multipart(children) => {
            for (child, number) in children.iter().zip(1..) {
                collect(child, below(path, number), found);
            }
        }
        PartKind::Leaf | PartKind::Message { .. } => collect(root, below(path, 1), found),
    }
}

fn collect<'a>(part: &'a Part, path: Vec<u32>, found: &mut Vec<(Vec<u32>, &'a Part)>) {
    found.push((path.clone(), part));
    match &part.kind {
        PartKind::Leaf => {}
        PartKind::Multipart(_) => collect_message(part, &path, found),
        PartKind::Message { part, .. } => collect_message(part, &path, found),
    }
}

fn below(path: &[u32], number: u32) -> Vec<u32> {
    let mut path = path.to_vec();
    path.push(number);
    path
}
