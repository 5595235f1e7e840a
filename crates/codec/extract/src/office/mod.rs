//! Documents that are zip files: Office Open XML (ECMA-376) and OpenDocument (ISO 26300); and zip
//! files that are nothing else.

mod opendocument;
mod openxml;

use crate::job::Job;
use crate::{File, Outcome, archive, charset, xml};
use archive::Entry;

pub(crate) fn zip(job: &mut Job<'_>, file: &File<'_>, depth: usize) {
    let bytes = file.bytes;
    let Some(entries) = archive::entries(job, bytes) else {
        return job.mark(Outcome::Damaged);
    };
    let has = |name: &str| entries.iter().any(|entry| entry.name == name);
    if has("[Content_Types].xml") {
        openxml::read(job, bytes, &entries, depth);
    } else if has("mimetype") && has("content.xml") {
        opendocument::read(job, bytes, &entries, depth);
    } else {
        archive::zip(job, bytes, &entries, depth);
    }
}

/// A document of XML inside a zip file.
fn document(job: &mut Job<'_>, bytes: &[u8], entry: &Entry) -> String {
    let unpacked = archive::unpack(job, bytes, entry);
    charset::decode(&unpacked, "").into_owned()
}

/// A file inside a document, such as a table inside a text.
fn embedded(job: &mut Job<'_>, bytes: &[u8], entry: &Entry, depth: usize) {
    let unpacked = archive::unpack(job, bytes, entry);
    job.look(&File { name: &entry.name, bytes: &unpacked, ..File::default() }, depth + 1);
}

/// What a document says of itself: elements with nothing but text in them.
fn properties(job: &mut Job<'_>, document: &str) {
    let (mut name, mut value) = (String::new(), String::new());
    for event in xml::Reader::new(document) {
        match event {
            xml::Event::Open(tag) => {
                // Properties of its own stand under the name that an attribute gives.
                let own = matches!(tag.name, "property" | "user-defined");
                match (own, tag.attribute("name")) {
                    (true, Some(given)) => name = xml::decoded(given),
                    _ if !is_value(tag.name) => name = known_name(tag.name).to_owned(),
                    _ => {}
                }
                value.clear();
            }
            xml::Event::Text(text) => value.push_str(&xml::decoded(text)),
            xml::Event::Raw(text) => value.push_str(text),
            xml::Event::Close(_) => {
                job.tell(&name, &value);
                value.clear();
            }
        }
    }
}

/// Whether an element stands around the value of a property that is named already (`vt:lpwstr`).
fn is_value(name: &str) -> bool {
    const VALUES: [&str; 8] = ["lpwstr", "lpstr", "bstr", "i4", "r8", "bool", "filetime", "date"];
    VALUES.contains(&name)
}

/// The names that people know, for those of the formats.
fn known_name(name: &str) -> &str {
    match name {
        "creator" | "initial-creator" => "author",
        "keyword" => "keywords",
        "description" => "comments",
        "lastModifiedBy" => "last author",
        other => other,
    }
}
