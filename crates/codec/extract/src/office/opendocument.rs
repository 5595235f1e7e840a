//! OpenDocument: texts, tables, presentations.

use super::{document, embedded, properties};
use crate::archive::Entry;
use crate::job::Job;
use crate::xml::{Event, Reader, decoded};

pub(super) fn read(job: &mut Job<'_>, bytes: &[u8], entries: &[Entry], depth: usize) {
    let manifest = entries.iter().find(|entry| entry.name == "META-INF/manifest.xml");
    if let Some(manifest) = manifest {
        let document = document(job, bytes, manifest);
        let mut events = Reader::new(&document);
        let is_sealed = |event| matches!(event, Event::Open(tag) if tag.name == "encryption-data");
        if events.any(is_sealed) {
            return job.protect();
        }
    }
    for entry in entries {
        let file = entry.name.rsplit('/').next().unwrap_or_default();
        match file {
            "content.xml" | "styles.xml" => {
                let document = document(job, bytes, entry);
                text(job, &document);
            }
            "meta.xml" => {
                let document = document(job, bytes, entry);
                properties(job, &document);
            }
            _ if entry.name.starts_with("Object ") && !entry.name.contains('/') => {
                embedded(job, bytes, entry, depth);
            }
            _ => {}
        }
    }
}

/// Text stands in paragraphs and headings.
fn text(job: &mut Job<'_>, document: &str) {
    let mut paragraphs = 0_usize;
    for event in Reader::new(document) {
        match event {
            Event::Open(tag) => match tag.name {
                "p" | "h" if !tag.is_empty => paragraphs += 1,
                "s" | "tab" | "line-break" => job.say(" "),
                _ => {}
            },
            Event::Close("p" | "h") => {
                paragraphs = paragraphs.saturating_sub(1);
                job.say("\n");
            }
            Event::Text(text) if paragraphs > 0 => job.say(&decoded(text)),
            Event::Raw(text) if paragraphs > 0 => job.say(text),
            _ => {}
        }
    }
}
