//! The few header fields a scan keeps, unfolded while they flow by, within budgets.

use std::ops::Range;

use bytes::Bytes;

use crate::header::append_neutral;
use crate::lexer::trimmed;
use crate::limits::Limits;

/// What an entry costs besides its octets: a flood of empty fields must meet the budget too.
const FIELD_COST: usize = 16;

/// Fields that ENVELOPE, BODYSTRUCTURE or threading need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Date,
    Subject,
    From,
    Sender,
    ReplyTo,
    To,
    Cc,
    Bcc,
    InReplyTo,
    MessageId,
    References,
    ThreadIndex,
    ContentType,
    ContentId,
    ContentDescription,
    ContentTransferEncoding,
    ContentMd5,
    ContentDisposition,
    ContentLanguage,
    ContentLocation,
}

const NAMES: [(&[u8], Name); 20] = [
    (b"date", Name::Date),
    (b"subject", Name::Subject),
    (b"from", Name::From),
    (b"sender", Name::Sender),
    (b"reply-to", Name::ReplyTo),
    (b"to", Name::To),
    (b"cc", Name::Cc),
    (b"bcc", Name::Bcc),
    (b"in-reply-to", Name::InReplyTo),
    (b"message-id", Name::MessageId),
    (b"references", Name::References),
    (b"thread-index", Name::ThreadIndex),
    (b"content-type", Name::ContentType),
    (b"content-id", Name::ContentId),
    (b"content-description", Name::ContentDescription),
    (b"content-transfer-encoding", Name::ContentTransferEncoding),
    (b"content-md5", Name::ContentMd5),
    (b"content-disposition", Name::ContentDisposition),
    (b"content-language", Name::ContentLanguage),
    (b"content-location", Name::ContentLocation),
];

impl Name {
    fn from_line(name: &[u8]) -> Option<Name> {
        let name = name.trim_ascii_end();
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, name)| *name)
    }

    /// Address fields may be repeated (broken, but common); of all others the first counts.
    fn is_list(self) -> bool {
        matches!(self, Name::From | Name::Sender | Name::ReplyTo | Name::To | Name::Cc | Name::Bcc)
    }

    fn is_content(self) -> bool {
        self as u8 >= Name::ContentType as u8
    }
}

/// What the scan has left for all headers together.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) kept_bytes: usize,
    pub(crate) addresses: usize,
    pub(crate) truncated: bool,
}

/// The kept fields of one header while it is read.
#[derive(Debug)]
pub(crate) struct Captured {
    /// Whether this is a message's header; else only Content-… fields matter.
    of_message: bool,
    text: Vec<u8>,
    fields: Vec<(Name, Range<usize>)>,
    seen: u32,
    /// Whether the last line began or continued the last of `fields`.
    open: bool,
    shared_bytes: usize,
    content_bytes: usize,
}

impl Captured {
    pub(crate) fn new(of_message: bool, header_bytes: usize) -> Self {
        Captured {
            of_message,
            text: Vec::new(),
            fields: Vec::new(),
            seen: 0,
            open: false,
            shared_bytes: header_bytes,
            content_bytes: 0,
        }
    }

    /// Takes one header line without its end.
    pub(crate) fn line(&mut self, line: &[u8], limits: &Limits, budget: &mut Budget) {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            if self.open {
                self.append(line, budget);
            }
            return;
        }
        self.open = false;
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return;
        };
        let Some(name) = Name::from_line(&line[..colon]) else {
            return;
        };
        let bit = 1 << name as u32;
        let repeated = self.seen & bit != 0 && !name.is_list();
        if repeated || !(self.of_message || name.is_content()) {
            return;
        }
        if name.is_content() {
            self.content_bytes = limits.content_field_bytes;
        } else if self.shared_bytes < FIELD_COST {
            budget.truncated = true;
            return;
        } else {
            self.shared_bytes -= FIELD_COST;
        }
        self.seen |= bit;
        self.open = true;
        self.fields.push((name, self.text.len()..self.text.len()));
        self.append(&line[colon + 1..], budget);
    }

    fn append(&mut self, line: &[u8], budget: &mut Budget) {
        let Some((name, range)) = self.fields.last_mut() else {
            return;
        };
        let own = if name.is_content() { &mut self.content_bytes } else { &mut self.shared_bytes };
        let allowed = line.len().min(*own).min(budget.kept_bytes);
        budget.truncated |= allowed < line.len();
        *own -= allowed;
        budget.kept_bytes -= allowed;
        append_neutral(&mut self.text, &line[..allowed]);
        range.end = self.text.len();
    }

    /// The fields in order, values trimmed, sharing one piece of memory.
    pub(crate) fn into_values(self) -> Vec<(Name, Bytes)> {
        let text = Bytes::from(self.text.into_boxed_slice());
        let value = |(name, range)| (name, trimmed(&text.slice(range)));
        self.fields.into_iter().map(value).collect()
    }
}
