//! A message's header, as it came, with an index over its fields.

use bytes::Bytes;
use codec_mime::header;
use std::collections::HashMap;
use std::ops::Range;

/// A header and where its fields are; lines that are no fields are left out.
#[derive(Debug)]
pub struct Header {
    raw: Bytes,
    places: Vec<Place>,
    by_name: HashMap<Vec<u8>, Vec<usize>>,
}

#[derive(Debug)]
struct Place {
    whole: Range<usize>,
    /// Behind the start of `whole`.
    name_bytes: usize,
}

/// One field.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// As it stands in the header, with its last line end.
    pub whole: &'a [u8],
    /// Its name, as written.
    pub name: &'a [u8],
    /// What stands behind the colon, with its last line end.
    pub value: &'a [u8],
}

impl<'a> Field<'a> {
    /// A field of our own writing.
    pub(crate) fn of(whole: &'a [u8]) -> Self {
        let colon = whole.iter().position(|byte| *byte == b':').unwrap_or(whole.len());
        let value = whole.get(colon + 1..).unwrap_or_default();
        Self { whole, name: &whole[..colon], value }
    }
}

impl Header {
    /// Reads a header; what stands behind its blank line, and that line, does not count.
    pub fn new(raw: Bytes) -> Self {
        let mut places = Vec::new();
        let mut by_name: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
        for field in header::fields(&raw) {
            if !field.name.is_empty() {
                by_name.entry(field.name.to_ascii_lowercase()).or_default().push(places.len());
                places.push(Place { whole: field.range, name_bytes: field.name.len() });
            }
        }
        Self { raw, places, by_name }
    }

    /// The fields of a name, in lower case, from the first to the last.
    pub fn named(&self, name: &str) -> impl DoubleEndedIterator<Item = Field<'_>> {
        let found = self.by_name.get(name.as_bytes()).map(Vec::as_slice).unwrap_or_default();
        found.iter().map(|place| self.field(*place))
    }

    /// How many fields of a name there are, in lower case.
    pub fn count(&self, name: &str) -> usize {
        self.by_name.get(name.as_bytes()).map_or(0, Vec::len)
    }

    fn field(&self, number: usize) -> Field<'_> {
        let Place { whole, name_bytes } = &self.places[number];
        let whole = &self.raw[whole.clone()];
        let (name, rest) = whole.split_at(*name_bytes);
        // Blanks may stand before the colon (RFC 5322 §4.5).
        let colon = rest.iter().position(|byte| *byte == b':').map_or(rest.len(), |at| at + 1);
        Field { whole, name, value: &rest[colon..] }
    }
}
