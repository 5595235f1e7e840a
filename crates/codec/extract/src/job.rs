//! One file being looked into: what was found, and how much may still be done.

use crate::kind::{Kind, kind};
use crate::{Extract, File, Limits, Outcome, archive, charset, html, office, pdf, program, rtf};

/// The longest value of a property, in bytes.
const PROPERTY_BYTES_MAX: usize = 4_000;

pub(crate) struct Job<'l> {
    limits: &'l Limits,
    /// How many bytes may still be unpacked.
    unpack_left: usize,
    /// How many files may still be looked into.
    files_left: usize,
    properties_left: usize,
    found: Extract,
}

impl<'l> Job<'l> {
    pub(crate) fn new(limits: &'l Limits, size_bytes: usize) -> Self {
        let by_size = size_bytes.saturating_mul(limits.unpacked_times);
        let unpack_left = by_size.saturating_add(limits.unpacked_bytes);
        Self {
            limits,
            unpack_left: unpack_left.min(limits.unpacked_bytes_max),
            files_left: limits.files_max,
            properties_left: limits.properties_bytes_max,
            found: Extract::default(),
        }
    }

    pub(crate) fn finish(self) -> Extract {
        self.found
    }

    /// Looks into a file that stands so deep in others.
    pub(crate) fn look(&mut self, file: &File<'_>, depth: usize) {
        if depth > self.limits.depth_max || self.files_left == 0 {
            return self.mark(Outcome::Exceeded);
        }
        self.files_left -= 1;
        if program::is_program_name(&file.name.to_lowercase()) || program::is_program(file.bytes) {
            self.found.is_program = true;
        }
        match kind(file) {
            Kind::Zip => office::zip(self, file, depth),
            Kind::Gzip => archive::gzip(self, file, depth),
            Kind::Tar => archive::tar(self, file, depth),
            Kind::Pdf => pdf::read(self, file.bytes, depth),
            Kind::Rtf => rtf::read(self, file.bytes),
            Kind::Html => {
                let decoded = charset::decode(file.bytes, file.charset);
                let mut text = String::new();
                html::append(&decoded, &mut text);
                self.say(&text);
            }
            Kind::Text => {
                let decoded = charset::decode(file.bytes, file.charset);
                self.say(&decoded);
            }
            Kind::Program | Kind::Media | Kind::Empty => {}
            Kind::Sealed => self.protect(),
            Kind::Unknown => self.mark(Outcome::Unsupported),
        }
        self.say("\n");
    }

    /// Adds text. White space counts as one blank: words stand on lines as it happens.
    pub(crate) fn say(&mut self, text: &str) {
        let out = &mut self.found.text;
        for piece in text.split_inclusive(char::is_whitespace) {
            let word = piece.trim_end();
            if out.len().saturating_add(word.len()) >= self.limits.text_bytes_max {
                let room = self.limits.text_bytes_max.saturating_sub(out.len());
                out.push_str(word.get(..word.floor_char_boundary(room)).unwrap_or_default());
                // What comes behind must not be put there because it happens to fit.
                out.push_str(&" ".repeat(self.limits.text_bytes_max.saturating_sub(out.len())));
                return self.mark(Outcome::Exceeded);
            }
            out.push_str(word);
            if word.len() < piece.len() && !out.ends_with(' ') {
                out.push(' ');
            }
        }
    }

    /// Whether more text would be left out.
    pub(crate) fn is_full(&self) -> bool {
        self.found.text.len() >= self.limits.text_bytes_max
    }

    /// Adds what a file says of itself.
    pub(crate) fn tell(&mut self, name: &str, value: &str) {
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        let value = value.get(..value.floor_char_boundary(PROPERTY_BYTES_MAX)).unwrap_or_default();
        let name: String = name.chars().take(80).collect::<String>().to_lowercase();
        if value.is_empty() || name.is_empty() {
            return;
        }
        let size = name.len().saturating_add(value.len());
        match self.properties_left.checked_sub(size) {
            Some(left) => {
                self.properties_left = left;
                self.found.properties.push((name, value.to_owned()));
            }
            None => self.mark(Outcome::Exceeded),
        }
    }

    pub(crate) fn mark(&mut self, outcome: Outcome) {
        self.found.outcome = self.found.outcome.max(outcome);
    }

    pub(crate) fn protect(&mut self) {
        self.found.is_protected = true;
    }

    pub(crate) fn has_program(&mut self) {
        self.found.is_program = true;
    }

    /// How many bytes may still be unpacked.
    pub(crate) fn unpack_left(&self) -> usize {
        self.unpack_left
    }

    /// So many bytes were unpacked, or looked at once more.
    pub(crate) fn unpacked(&mut self, size_bytes: usize) {
        self.unpack_left = self.unpack_left.saturating_sub(size_bytes);
    }
}
