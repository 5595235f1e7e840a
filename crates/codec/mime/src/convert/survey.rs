//! Looks at the octets of each part and settles what becomes of it.

use bytes::Bytes;

use super::plan::{Action, Area, AreaKind, Edit, Encoding, Plan, Stretch, areas};
use super::{HEADER_BYTES_MAX, Impossible, LINE_BYTES_MAX, Target, header};
use crate::decode::TransferEncoding;
use crate::header::{find, unfold};
use crate::limits::PARAMETERS;
use crate::message::{ContentType, ParsedMessage, Part};
use crate::params;

/// The second reading of a message, before it is converted.
pub struct Survey<'a> {
    target: Target,
    areas: Vec<Area<'a>>,
    found: Vec<Found>,
    /// Octets so far.
    offset: u64,
    /// What the current area has shown, while it goes on.
    marks: Marks,
    /// The current header.
    held: Vec<u8>,
    is_too_long: bool,
}

/// What an area has shown.
#[derive(Clone, Debug)]
struct Found {
    marks: Marks,
    header: Option<Result<Declared, Impossible>>,
}

/// What of an area does not fit everywhere.
#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    eight_bit: bool,
    nul: bool,
    bare: bool,
    long: bool,
    /// Octets of the line so far.
    column: usize,
    after_cr: bool,
}

impl Marks {
    fn see(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if std::mem::replace(&mut self.after_cr, *byte == b'\r') {
                self.bare |= *byte != b'\n';
                self.column = if *byte == b'\n' { 0 } else { self.column + 1 };
            } else {
                self.bare |= *byte == b'\n';
                self.column += 1;
            }
            self.eight_bit |= !byte.is_ascii();
            self.nul |= *byte == 0;
            // A CR that may end the line is counted.
            self.long |= self.column > LINE_BYTES_MAX + 1;
        }
    }

    fn end(&mut self) {
        self.bare |= self.after_cr;
        self.long |= self.column > LINE_BYTES_MAX;
    }

    /// Whether the octets are no lines.
    fn is_binary(self) -> bool {
        self.nul || self.bare
    }

    fn fits(self, target: Target) -> bool {
        let lines = !self.is_binary() && !self.long;
        match target {
            Target::SevenBit => lines && !self.eight_bit,
            Target::Lines => lines,
            Target::AsciiHeader => true,
        }
    }

    /// Whether it may stay as it is where it must: a long line alone harms nobody.
    fn can_stay(self, target: Target) -> bool {
        Marks { long: false, ..self }.fits(target)
    }
}

/// What a header says of its part.
#[derive(Clone, Debug)]
struct Declared {
    encoding: Word,
    kind: ContentType,
    has_charset: bool,
    has_version: bool,
}

/// A Content-Transfer-Encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Absent,
    SevenBit,
    EightBit,
    Binary,
    Encoded(TransferEncoding),
    Unknown,
}

impl Declared {
    fn read(raw: &[u8], part: &Part) -> Self {
        let kind = find(raw, b"content-type").and_then(|field| {
            let value = Bytes::copy_from_slice(&unfold(field.value));
            params::content_type(&value, PARAMETERS).0
        });
        let encoding = find(raw, b"content-transfer-encoding");
        let encoding = encoding.map_or(Word::Absent, |field| Word::read(&field.text()));
        Self {
            encoding,
            has_charset: kind.as_ref().is_some_and(|kind| kind.param("charset").is_some()),
            kind: kind.unwrap_or_else(|| part.content_type.clone()),
            has_version: find(raw, b"mime-version").is_some(),
        }
    }
}

impl Word {
    fn read(value: &[u8]) -> Self {
        match TransferEncoding::from_header(Some(value)) {
            TransferEncoding::Identity => {}
            encoding => return Word::Encoded(encoding),
        }
        let end = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b';' | b'(');
        let word = value.trim_ascii().split(end).next().unwrap_or_default();
        match word.to_ascii_lowercase().as_slice() {
            b"7bit" => Word::SevenBit,
            b"8bit" => Word::EightBit,
            b"binary" => Word::Binary,
            b"" => Word::Absent,
            _ => Word::Unknown,
        }
    }
}

impl<'a> Survey<'a> {
    /// For a message that the scanner has read whole.
    pub fn new(message: &'a ParsedMessage, target: Target) -> Self {
        Survey {
            target,
            areas: areas(&message.root, message.size_bytes),
            found: Vec::new(),
            offset: 0,
            marks: Marks::default(),
            held: Vec::new(),
            is_too_long: false,
        }
    }

    /// Takes the next octets of the message.
    pub fn push(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while !rest.is_empty() {
            let Some(area) = self.areas.get(self.found.len()) else { return };
            let left = usize::try_from(area.range.end - self.offset).unwrap_or(usize::MAX);
            let (now, later) = rest.split_at(rest.len().min(left));
            self.marks.see(now);
            if matches!(area.kind, AreaKind::Header { .. }) {
                self.is_too_long |= self.held.len() + now.len() > HEADER_BYTES_MAX;
                if !self.is_too_long {
                    self.held.extend_from_slice(now);
                }
            }
            self.offset += now.len() as u64;
            rest = later;
            self.end_areas();
        }
    }

    /// Ends the areas that end here.
    fn end_areas(&mut self) {
        while let Some(area) = self.areas.get(self.found.len())
            && area.range.end <= self.offset
        {
            let mut marks = std::mem::take(&mut self.marks);
            marks.end();
            let raw = std::mem::take(&mut self.held);
            let is_too_long = std::mem::take(&mut self.is_too_long);
            let declared = match area.kind {
                AreaKind::Header { .. } if is_too_long => Some(Err(Impossible::Header)),
                AreaKind::Header { part, .. } => {
                    let wanted = !area.is_signed && self.wants_ascii(area, marks);
                    let checked = if wanted { header::check(&raw) } else { Ok(()) };
                    Some(checked.map(|()| Declared::read(&raw, part)))
                }
                AreaKind::Body | AreaKind::Between => None,
            };
            self.found.push(Found { marks, header: declared });
        }
    }

    /// Whether a header has to become ASCII.
    fn wants_ascii(&self, area: &Area<'_>, marks: Marks) -> bool {
        let is_own = area.range.start == 0;
        let wants = match self.target {
            Target::SevenBit => true,
            Target::AsciiHeader => is_own,
            Target::Lines => false,
        };
        wants && (marks.eight_bit || marks.nul)
    }

    /// What is to be done.
    ///
    /// # Errors
    /// [`Impossible`].
    pub fn finish(mut self) -> Result<Plan, Impossible> {
        self.end_areas();
        let mut stretches = Vec::with_capacity(self.areas.len());
        // The header whose body comes next, and where it is in the plan.
        let mut before: Option<(usize, &Declared)> = None;
        for (area, found) in self.areas.iter().zip(&self.found) {
            let declared = match &found.header {
                Some(Err(error)) => return Err(*error),
                Some(Ok(declared)) => Some(declared),
                None => None,
            };
            let action = match (area.kind, declared) {
                _ if area.is_signed && found.marks.can_stay(self.target) => Action::Keep,
                _ if area.is_signed => return Err(Impossible::Signed),
                (AreaKind::Header { .. }, Some(declared)) => {
                    before = Some((stretches.len(), declared));
                    self.header(area, found.marks, declared)
                }
                (AreaKind::Body, _) => match before.take() {
                    Some((place, declared)) => {
                        let (action, edit) = self.body(found.marks, declared)?;
                        merge(&mut stretches, place, edit);
                        action
                    }
                    None => Action::Keep,
                },
                _ if found.marks.fits(self.target) => Action::Keep,
                _ => Action::Tidy,
            };
            stretches.push(Stretch { range: area.range.clone(), action });
        }
        Ok(Plan { target: self.target, stretches: self.versioned(stretches) })
    }

    /// What a header is to become, whatever its body shows.
    fn header(&self, area: &Area<'_>, marks: Marks, declared: &Declared) -> Action {
        let encoding = match (self.target, declared.encoding) {
            (Target::SevenBit, Word::EightBit | Word::Binary) => Some(Encoding::SevenBit),
            (Target::Lines, Word::Binary) => Some(Encoding::EightBit),
            _ => None,
        };
        let edit = Edit { encoding, ascii: self.wants_ascii(area, marks), ..Edit::default() };
        if edit == Edit::default() {
            let breaks = match self.target {
                Target::SevenBit => marks.bare,
                Target::AsciiHeader => false,
                Target::Lines => !marks.fits(Target::Lines),
            };
            return if breaks { Action::Tidy } else { Action::Keep };
        }
        Action::Header(edit)
    }

    /// What a leaf's body becomes, and what its header has to say of that.
    fn body(&self, marks: Marks, declared: &Declared) -> Result<(Action, Edit), Impossible> {
        if marks.fits(self.target) {
            return Ok((Action::Keep, Edit::default()));
        }
        let kind = &declared.kind;
        let is_global =
            kind.is_main("message") && kind.sub.to_ascii_lowercase().starts_with(b"global");
        let is_composite = kind.is_main("multipart") || kind.is_main("message");
        if is_composite && !is_global || declared.encoding == Word::Unknown {
            return Err(Impossible::Opaque);
        }
        let (from, encoding) = match declared.encoding {
            Word::Encoded(TransferEncoding::Base64) => (TransferEncoding::Base64, Encoding::Base64),
            Word::Encoded(from) => (from, Encoding::Quoted),
            _ if (kind.is_main("text") || is_global) && !marks.is_binary() => {
                (TransferEncoding::Identity, Encoding::Quoted)
            }
            _ => (TransferEncoding::Identity, Encoding::Base64),
        };
        let is_new = from == TransferEncoding::Identity;
        let unnamed = kind.is_main("text") && !declared.has_charset;
        let edit = Edit {
            encoding: is_new.then_some(encoding),
            charset: is_new && unnamed && marks.eight_bit,
            ..Edit::default()
        };
        Ok((Action::Encode(from, encoding), edit))
    }

    /// Puts MIME-Version into the headers of messages that need it and lack it.
    fn versioned(&self, mut stretches: Vec<Stretch>) -> Vec<Stretch> {
        for ((area, found), stretch) in self.areas.iter().zip(&self.found).zip(&mut stretches) {
            if let (
                AreaKind::Header { is_message: true, .. },
                Some(Ok(Declared { has_version: false, .. })),
                Action::Header(edit),
            ) = (area.kind, &found.header, &mut stretch.action)
            {
                edit.version = edit.encoding.is_some();
            }
        }
        stretches
    }
}

/// Adds to what becomes of a header.
fn merge(stretches: &mut [Stretch], place: usize, more: Edit) {
    let Some(stretch) = stretches.get_mut(place).filter(|_| more != Edit::default()) else {
        return;
    };
    let before = match stretch.action {
        Action::Header(edit) => edit,
        _ => Edit::default(),
    };
    stretch.action = Action::Header(Edit {
        encoding: more.encoding.or(before.encoding),
        charset: more.charset,
        ..before
    });
}
