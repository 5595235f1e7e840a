//! Office Open XML: texts, tables and presentations.

use super::{document, embedded, properties};
use crate::archive::Entry;
use crate::job::Job;
use crate::xml::{Event, Reader, decoded};

/// What there is in a document, by its name.
enum Part {
    /// Text in elements of their own.
    Text,
    /// A sheet of a table, whose cells may be numbers of texts elsewhere.
    Sheet,
    /// The names of the sheets.
    Workbook,
    Properties,
    /// A whole file.
    Embedded,
    /// Nothing that people read: styles, themes, pictures.
    Other,
}

fn part(name: &str) -> Part {
    let name = name.trim_start_matches('/');
    let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
    let begins = |starts: &[&str]| starts.iter().any(|start| file.starts_with(start));
    match folder {
        "docProps" => Part::Properties,
        "word"
            if begins(&["document", "header", "footer", "footnotes", "endnotes", "comments"]) =>
        {
            Part::Text
        }
        "word/glossary" if begins(&["document"]) => Part::Text,
        "xl" if begins(&["sharedStrings", "comments"]) => Part::Text,
        "xl" if file == "workbook.xml" => Part::Workbook,
        "xl/worksheets" => Part::Sheet,
        "ppt/slides"
        | "ppt/notesSlides"
        | "ppt/comments"
        | "ppt/diagrams"
        | "xl/drawings"
        | "xl/threadedComments"
        | "xl/charts"
        | "word/charts"
        | "ppt/charts" => Part::Text,
        _ if folder.ends_with("embeddings") => Part::Embedded,
        _ => Part::Other,
    }
}

pub(super) fn read(job: &mut Job<'_>, bytes: &[u8], entries: &[Entry], depth: usize) {
    for entry in entries {
        if entry.is_encrypted {
            job.protect();
            continue;
        }
        match part(&entry.name) {
            // Text over text: it is known already that not all of it is looked at.
            Part::Text | Part::Sheet if job.is_full() => job.say("."),
            Part::Text => {
                let document = document(job, bytes, entry);
                text(job, &document);
                job.say("\n");
            }
            Part::Sheet => {
                let document = document(job, bytes, entry);
                sheet(job, &document);
                job.say("\n");
            }
            Part::Workbook => {
                let document = document(job, bytes, entry);
                names(job, &document);
            }
            Part::Properties => {
                let document = document(job, bytes, entry);
                properties(job, &document);
            }
            Part::Embedded => embedded(job, bytes, entry, depth),
            Part::Other => {}
        }
    }
}

/// Text stands in elements `t`; others end a word or a line.
fn text(job: &mut Job<'_>, document: &str) {
    let mut is_text = false;
    for event in Reader::new(document) {
        match event {
            Event::Open(tag) => match tag.name {
                "t" | "delText" => is_text = !tag.is_empty,
                "text" => is_text = !tag.is_empty,
                "tab" | "br" | "cr" => job.say(" "),
                "noBreakHyphen" => job.say("-"),
                _ => {}
            },
            Event::Close("t" | "delText" | "text") => is_text = false,
            Event::Close("p" | "si" | "tr" | "tc" | "comment") => job.say("\n"),
            Event::Text(text) if is_text => job.say(&decoded(text)),
            Event::Raw(text) if is_text => job.say(text),
            _ => {}
        }
    }
}

/// Cells: a value, unless it is the number of a text that stands elsewhere, or a text of its own.
fn sheet(job: &mut Job<'_>, document: &str) {
    let (mut is_elsewhere, mut is_value) = (false, false);
    for event in Reader::new(document) {
        match event {
            Event::Open(tag) => match tag.name {
                "c" => is_elsewhere = tag.attribute("t") == Some("s"),
                "v" => is_value = !tag.is_empty && !is_elsewhere,
                "t" | "oddHeader" | "oddFooter" => is_value = !tag.is_empty,
                _ => {}
            },
            Event::Close("v" | "t" | "oddHeader" | "oddFooter") => {
                is_value = false;
                job.say(" ");
            }
            Event::Close("row") => job.say("\n"),
            Event::Text(text) if is_value => job.say(&decoded(text)),
            Event::Raw(text) if is_value => job.say(text),
            _ => {}
        }
    }
}

fn names(job: &mut Job<'_>, document: &str) {
    for event in Reader::new(document) {
        if let Event::Open(tag) = event
            && tag.name == "sheet"
            && let Some(name) = tag.attribute("name")
        {
            job.say(&decoded(name));
            job.say("\n");
        }
    }
}
