//! PDF (ISO 32000): the text of pages, forms and notes, what the document says of itself, and the
//! files in it.
//!
//! Objects are found by walking through the file, not by its table of contents: so one that is
//! damaged, or lies, is read as well. Each object is parsed once and refers to others by number; no
//! reference is followed deeper than [`DEPTH_MAX`], so a circle is a short way.

mod cmap;
mod content;
mod document;
mod filter;
mod font;
mod glyphs;
mod object;

use crate::job::Job;
use crate::{File, Outcome, charset};
use document::Document;
use object::{Dict, Object};

/// How deep arrays and dictionaries stand in one another, and how far references are followed.
const DEPTH_MAX: usize = 32;

/// How many objects a document may have.
const OBJECTS_MAX: usize = 200_000;

pub(crate) fn read(job: &mut Job<'_>, bytes: &[u8], depth: usize) {
    let document = Document::parse(job, bytes);
    if document.is_encrypted {
        return job.protect();
    }
    for (name, value) in document.information() {
        let name = match name {
            b"Author" => "author".into(),
            b"CreationDate" | b"ModDate" | b"Trapped" => continue,
            name => String::from_utf8_lossy(name),
        };
        if let Some(text) = value.string() {
            job.tell(&name, &text_string(text));
        }
    }
    let mut fonts = font::Fonts::default();
    let numbers: Vec<u32> = document.numbers().collect();
    for number in &numbers {
        let Some(dict) = document.dict(*number) else { continue };
        match dict.name(b"Type") {
            Some(b"Page") => page(job, &document, dict, &mut fonts),
            Some(b"EmbeddedFile") => {
                let unpacked = document.stream(job, *number);
                job.look(&File { bytes: &unpacked, ..File::default() }, depth + 1);
            }
            _ => {}
        }
        if dict.name(b"Subtype") == Some(b"Form") {
            let resources = dict.get(b"Resources");
            let bytes = document.stream(job, *number);
            content::read(job, &document, &bytes, resources, &mut fonts);
        }
        // What somebody has put into a field, or noted.
        for key in [&b"V"[..], b"Contents"] {
            if let Some(text) = dict.get(key).and_then(Object::string)
                && dict.name(b"Type") != Some(b"Page")
                && dict.name(b"Type") != Some(b"Sig")
            {
                job.say(&text_string(text));
                job.say("\n");
            }
        }
    }
    if numbers.is_empty() {
        job.mark(Outcome::Damaged);
    }
}

/// The pieces of a page are one text: a word may begin in one and end in the next.
fn page(job: &mut Job<'_>, document: &Document<'_>, page: &Dict, fonts: &mut font::Fonts) {
    let resources = document.inherited(page, b"Resources");
    let mut numbers = Vec::new();
    let contents = page.get(b"Contents");
    match contents.map(|contents| document.resolve(contents)) {
        Some(Object::Array(list)) => numbers.extend(list.iter().filter_map(Object::reference)),
        _ => numbers.extend(contents.and_then(Object::reference)),
    }
    let mut bytes = Vec::new();
    for number in numbers {
        if job.is_full() || job.unpack_left() == 0 {
            break;
        }
        bytes.extend(document.stream(job, number));
        bytes.push(b'\n');
    }
    content::read(job, document, &bytes, resources, fonts);
    job.say("\n");
}

/// A string of text outside of pages: UTF-16 with its mark, else near to Latin.
fn text_string(bytes: &[u8]) -> String {
    charset::decode(bytes, "").into_owned()
}
