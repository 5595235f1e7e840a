//! The incremental parser: octets flow by, the structure of the message remains.
//!
//! Lines are found as they pass. Of a header line up to one header budget is held until it ends; of
//! a body line only as much as may be a boundary, and only if it begins with `-`. The open parts
//! form a stack; a delimiter line closes all above the multipart it belongs to, innermost first.
//! The result does not depend on how the octets are cut into chunks.

mod lines;

use std::io::BufRead;

use bytes::Bytes;

use crate::captured::{Budget, Captured};
use crate::decode::TransferEncoding;
use crate::describe::{self, Content, Threading};
use crate::header::is_blank;
use crate::limits::{BOUNDARY_BYTES, Limits};
use crate::message::{ContentType, Envelope, ParsedMessage, Part, PartKind};
use crate::params;
use lines::Lines;

/// `--`, a boundary, `--`, CR LF.
const DELIMITER_BYTES: usize = BOUNDARY_BYTES + 6;

/// Parses one message as its octets arrive.
pub struct Scanner {
    limits: Limits,
    budget: Budget,
    lines: Lines,
    stack: Vec<Open>,
    /// Parts described so far, the root and embedded roots among them.
    parts: usize,
    /// Raw octets of the message's own header, up to the limit.
    header: Vec<u8>,
    received_fields: usize,
    threading: Threading,
    /// The root, once it is closed.
    done: Option<(Part, Envelope)>,
}

/// A part whose end was not yet seen.
struct Open {
    part: Part,
    /// The header being read; `None` within the body.
    header: Option<Captured>,
    /// For the root of a message.
    envelope: Option<Envelope>,
    /// For a multipart whose closing delimiter was not yet seen.
    boundary: Option<Bytes>,
    /// Whether this multipart had parts beyond the limit.
    overfull: bool,
    /// Line feeds before the body.
    lines_before: u64,
}

impl Scanner {
    /// A parser at the start of a message.
    pub fn new(limits: Limits) -> Self {
        let budget =
            Budget { kept_bytes: limits.kept_bytes, addresses: limits.addresses, truncated: false };
        let root = Open::new(0, true, limits.root_header_bytes, ContentType::text_plain());
        Scanner {
            limits,
            budget,
            lines: Lines::default(),
            stack: vec![root],
            parts: 1,
            header: Vec::new(),
            received_fields: 0,
            threading: Threading::default(),
            done: None,
        }
    }

    /// Takes the next octets.
    pub fn push(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while !rest.is_empty() {
            let mut tail = rest;
            let length = tail.skip_until(b'\n').unwrap_or(rest.len());
            let (piece, tail) = rest.split_at(length);
            self.piece(piece);
            rest = tail;
        }
    }

    /// Raw octets of the message's own header so far, at most
    /// [`Limits::root_header_bytes`]; complete once [`Scanner::header_complete`].
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// Whether the blank line after the message's own header was seen.
    pub fn header_complete(&self) -> bool {
        self.stack.first().is_none_or(|root| root.header.is_none())
    }

    /// Received fields in the message's own header so far: the hops it made (RFC 5321 §6.3).
    pub fn received_fields(&self) -> usize {
        self.received_fields
    }

    /// Octets held in memory at the moment, an upper bound for tests and metrics.
    pub fn held_bytes(&self) -> usize {
        let kept = self.limits.kept_bytes - self.budget.kept_bytes;
        kept + self.header.len() + self.lines.held.len()
    }

    /// Ends the message.
    pub fn finish(mut self) -> ParsedMessage {
        if self.lines.offset > self.lines.start && self.lines.wanted {
            self.line();
        }
        let end = self.lines.offset;
        // A message that ends in a header may have opened an embedded one at its very end.
        while self.stack.last().is_some_and(|open| open.header.is_some()) {
            self.end_header(end, end, self.lines.count);
        }
        while !self.stack.is_empty() {
            self.close(end, self.lines.count);
        }
        let (root, envelope) = self.done.unwrap_or_else(|| {
            (Open::new(0, true, 0, ContentType::text_plain()).part, Envelope::default())
        });
        ParsedMessage {
            size_bytes: end,
            root,
            envelope,
            message_id: self.threading.message_id,
            in_reply_to: self.threading.in_reply_to,
            references: self.threading.references,
            thread_index: self.threading.thread_index,
            sent_at: self.threading.sent_at,
            truncated: self.budget.truncated,
        }
    }

    /// Takes octets that lie in one line; its line feed, if any, is the last of them.
    fn piece(&mut self, piece: &[u8]) {
        let in_header = self.stack.last().is_some_and(|open| open.header.is_some());
        if self.lines.offset == self.lines.start {
            let in_multipart = || self.stack.iter().any(|open| open.boundary.is_some());
            self.lines.wanted = in_header || piece[0] == b'-' && in_multipart();
            self.lines.held.clear();
            self.lines.cut = false;
        }
        if self.lines.wanted {
            let most = if in_header { self.limits.root_header_bytes } else { 0 };
            let most = most.max(DELIMITER_BYTES);
            self.lines.hold(piece, most);
        }
        if self.stack.len() == 1 && in_header {
            let room = self.limits.root_header_bytes - self.header.len();
            self.header.extend_from_slice(&piece[..piece.len().min(room)]);
        }
        let end = self.lines.advance(piece);
        if end > 0 {
            if self.lines.wanted {
                self.line();
            }
            self.lines.next(end);
        }
    }

    /// Looks at the whole line that is held.
    fn line(&mut self) {
        let held = std::mem::take(&mut self.lines.held);
        let in_header = self.stack.last().is_some_and(|open| open.header.is_some());
        if let Some((index, closes)) = self.delimiter(&held) {
            self.delimited(index, closes);
        } else if in_header && is_blank(&held) {
            self.end_header(self.lines.offset, self.lines.offset, self.lines.count + 1);
        } else if in_header {
            self.header_line(&held);
        }
        self.lines.held = held;
    }

    fn header_line(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if self.stack.len() == 1 && line.get(..9).is_some_and(is_received) {
            self.received_fields += 1;
        }
        if let Some(header) = self.stack.last_mut().and_then(|open| open.header.as_mut()) {
            header.line(line, &self.limits, &mut self.budget);
        }
    }

    /// Which open multipart the line is a delimiter of, and whether it is the closing one
    /// (RFC 2046 §5.1.1). The whole line must match, so that a boundary that begins like another
    /// is not taken for it.
    fn delimiter(&self, line: &[u8]) -> Option<(usize, bool)> {
        let rest = line.strip_prefix(b"--")?.trim_ascii_end();
        if self.lines.cut || rest.len() > BOUNDARY_BYTES + 2 {
            return None;
        }
        self.stack.iter().enumerate().rev().find_map(|(index, open)| {
            match rest.strip_prefix(&open.boundary.as_ref()?[..])? {
                b"" => Some((index, false)),
                b"--" => Some((index, true)),
                _ => None,
            }
        })
    }

    /// The current line is a delimiter of the multipart at `index` of the stack.
    fn delimited(&mut self, index: usize, closes: bool) {
        // The line end before a delimiter belongs to it.
        let end = self.lines.start - self.lines.last_end;
        while self.stack.last().is_some_and(|open| open.header.is_some()) {
            self.end_header(end, end, self.lines.count);
        }
        while self.stack.len() > index + 1 {
            self.close(end, self.lines.count);
        }
        if closes {
            self.stack[index].boundary = None;
        } else if self.parts >= self.limits.parts {
            self.stack[index].overfull = true;
            self.budget.truncated = true;
        } else {
            self.parts += 1;
            let parent = &self.stack[index].part.content_type;
            let default = if parent.is("multipart", "digest") {
                ContentType::message_rfc822()
            } else {
                ContentType::text_plain()
            };
            let open = Open::new(self.lines.offset, false, self.limits.part_header_bytes, default);
            self.stack.push(open);
        }
    }

    /// The header of the innermost part ends at `end`, its body starts at `body`.
    fn end_header(&mut self, end: u64, body: u64, lines_before: u64) {
        let deep = self.stack.len() >= self.limits.depth;
        let is_root = self.stack.len() == 1;
        let Some(open) = self.stack.last_mut() else {
            return;
        };
        let Some(header) = open.header.take() else {
            return;
        };
        let values = header.into_values();
        open.part.header.end = end.max(open.part.header.start);
        let body = body.max(open.part.header.end);
        open.part.body = body..body;
        open.lines_before = lines_before;
        if open.envelope.is_some() {
            open.envelope = Some(describe::envelope(&values, &mut self.budget));
        }
        if is_root {
            self.threading = describe::threading(&values);
        }
        let content = describe::content(&values, &self.limits, &mut self.budget.truncated);
        let embeds = open.describe(content);
        let multipart = open.part.content_type.is_main("multipart");
        let full = embeds && self.parts >= self.limits.parts;
        if (multipart || embeds) && deep || full {
            open.boundary = None;
            open.part.content_type = ContentType::octet_stream();
            open.part.kind = PartKind::Leaf;
            self.budget.truncated = true;
        } else if embeds {
            self.parts += 1;
            let limit = self.limits.part_header_bytes;
            self.stack.push(Open::new(body, true, limit, ContentType::text_plain()));
        }
    }

    /// The innermost part ends at `end`; `lines` line feeds were seen before the current line.
    fn close(&mut self, end: u64, lines: u64) {
        let Some(mut open) = self.stack.pop() else {
            return;
        };
        let end = end.max(open.part.body.end);
        // The line feed before a delimiter is counted in `lines` but not part of the body.
        let trimmed = u64::from(end < self.lines.start);
        open.part.body.end = end;
        open.part.lines = (lines - trimmed).saturating_sub(open.lines_before);
        open.settle();
        let Some(parent) = self.stack.last_mut() else {
            self.done = Some((open.part, open.envelope.unwrap_or_default()));
            return;
        };
        // An empty part right after another delimiter ends where the parent's trimmed end is past.
        parent.part.body.end = parent.part.body.end.max(end);
        match (&mut parent.part.kind, open.envelope) {
            (PartKind::Multipart(children), _) => children.push(open.part),
            (kind, Some(envelope)) => {
                *kind =
                    PartKind::Message { envelope: Box::new(envelope), part: Box::new(open.part) };
            }
            (_, None) => {}
        }
    }
}

impl Open {
    fn new(start: u64, of_message: bool, header_bytes: usize, default: ContentType) -> Self {
        Open {
            part: Part {
                header: start..start,
                body: start..start,
                lines: 0,
                content_type: default,
                id: None,
                description: None,
                encoding: None,
                md5: None,
                disposition: None,
                language: Vec::new(),
                location: None,
                kind: PartKind::Leaf,
            },
            header: Some(Captured::new(of_message, header_bytes)),
            envelope: of_message.then(Envelope::default),
            boundary: None,
            overfull: false,
            lines_before: 0,
        }
    }

    /// Takes over what the header says. Tells whether the body is an embedded message.
    fn describe(&mut self, content: Content) -> bool {
        let part = &mut self.part;
        match content.content_type {
            Some(kind) => part.content_type = kind,
            None if content.has_type => part.content_type = ContentType::text_plain(),
            None => {}
        }
        part.id = content.id;
        part.description = content.description;
        part.encoding = content.encoding;
        part.md5 = content.md5;
        part.disposition = content.disposition;
        part.language = content.language;
        part.location = content.location;
        if part.content_type.is_main("multipart") {
            self.boundary = boundary(&part.content_type);
            if self.boundary.is_some() {
                part.kind = PartKind::Multipart(Vec::new());
            } else {
                part.content_type = ContentType::text_plain();
            }
            return false;
        }
        let kind = &part.content_type;
        let embeds = kind.is("message", "rfc822") || kind.is("message", "global");
        if embeds && part.transfer_encoding() != TransferEncoding::Identity {
            // RFC 2046 §5.2.1 forbids this: the structure is hidden below the encoding.
            let params = std::mem::take(&mut part.content_type.params);
            part.content_type = ContentType { params, ..ContentType::octet_stream() };
            return false;
        }
        embeds
    }

    /// A multipart without parts cannot be shown as one (RFC 9051 §9, body-type-mpart): its text
    /// is what there is.
    fn settle(&mut self) {
        if matches!(&self.part.kind, PartKind::Multipart(children) if children.is_empty()) {
            self.part.kind = PartKind::Leaf;
            self.part.content_type =
                if self.overfull { ContentType::octet_stream() } else { ContentType::text_plain() };
        }
    }
}

/// The boundary a multipart declares: not empty, not longer than a delimiter line may be.
fn boundary(kind: &ContentType) -> Option<Bytes> {
    let boundary = match kind.param("boundary") {
        Some(boundary) => boundary.slice_ref(boundary.trim_ascii_end()),
        None => Bytes::from(params::decoded(&kind.params, "boundary")?),
    };
    (!boundary.is_empty() && boundary.len() <= BOUNDARY_BYTES).then_some(boundary)
}

fn is_received(start: &[u8]) -> bool {
    start.eq_ignore_ascii_case(b"received:")
}
