//! Real mail: 3,023 messages must parse, with sound ranges, and mostly as mail-parser sees them.

use std::path::PathBuf;

use codec_mime::{Address, ParsedMessage, Part, PartKind, encoded_word, fuzzing, parse};
use mail_parser::{MessageParser, MimeHeaders, PartType};

/// The directory of the corpus, where this machine has it.
fn directory() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/corpus");
    let root = std::env::var_os("RIALTO_CORPUS").map_or(beside, PathBuf::from);
    [root.join("eml"), root].into_iter().find(|path| path.is_dir())
}

fn with_crlf(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 40);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => {
                out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
                out.extend_from_slice(b"\r\n");
            }
            None => out.extend_from_slice(line),
        }
    }
    out
}

/// Media types of all parts in order, multiparts and embedded messages included.
fn ours(part: &Part, types: &mut Vec<String>) {
    types.push(part.content_type.media_type());
    match &part.kind {
        PartKind::Leaf => {}
        PartKind::Multipart(children) => children.iter().for_each(|child| ours(child, types)),
        PartKind::Message { part, .. } => ours(part, types),
    }
}

fn theirs(message: &mail_parser::Message<'_>, index: u32, types: &mut Vec<String>) {
    let part = &message.parts[index as usize];
    let kind = part.content_type().map_or_else(
        || "text/plain".to_owned(),
        |kind| format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or("")).to_lowercase(),
    );
    match &part.body {
        PartType::Multipart(children) => {
            types.push(kind);
            children.iter().for_each(|child| theirs(message, *child, types));
        }
        PartType::Message(embedded) => {
            types.push("message/rfc822".to_owned());
            theirs(embedded, 0, types);
        }
        _ => types.push(kind),
    }
}

/// Whether date, subject and author are what mail-parser says; prints what is not.
fn same_fields(message: &ParsedMessage, other: &mail_parser::Message<'_>) -> bool {
    let spaced = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let date = message.sent_at.map(|at| at.unix_seconds);
    let subject = message.envelope.subject.as_deref().map(encoded_word::decode);
    let author = message.envelope.from.first().and_then(Address::email);
    let ours = (date, subject.as_deref().map(spaced).unwrap_or_default(), author);
    let author = other.from().and_then(|from| from.first()).and_then(|from| from.address());
    let theirs = (
        other.date().map(|date| date.to_timestamp()),
        other.subject().map(spaced).unwrap_or_default(),
        author.map(str::to_owned),
    );
    if ours != theirs {
        println!("ours {ours:?}, mail-parser {theirs:?}");
    }
    ours == theirs
}

#[test]
fn corpus() {
    let Some(directory) = directory() else {
        println!("skipped: no corpus; set RIALTO_CORPUS to its directory");
        return;
    };
    let (mut messages, mut fields, mut differ) = (0, 0, Vec::new());
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        let data = with_crlf(&std::fs::read(&path).unwrap());
        let message = parse(&data);
        fuzzing::check(&message, &data);
        fuzzing::headers(&data);
        assert!(!message.truncated, "{path:?}");
        messages += 1;
        let mut seen = Vec::new();
        ours(&message.root, &mut seen);
        let mut oracle = Vec::new();
        match MessageParser::default().parse(&data) {
            Some(other) => {
                theirs(&other, 0, &mut oracle);
                fields += usize::from(!same_fields(&message, &other));
            }
            None => oracle.push("text/plain".to_owned()),
        }
        if seen != oracle {
            println!("{}: ours {seen:?}, mail-parser {oracle:?}", path.display());
            differ.push(path);
        }
    }
    println!("{messages} messages, {} seen differently by mail-parser", differ.len());
    println!("{fields} of them with another date, subject or author");
    assert!(messages > 0);
    // Spam with dates and addresses beyond any grammar, and raw 8-bit subjects.
    assert!(fields * 100 <= messages * 4);
    // The two disagree on purpose about broken messages only.
    assert!(differ.len() * 100 <= messages, "{differ:?}");
}

#[test]
fn corpus_in_chunks() {
    let Some(directory) = directory() else { return };
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths.iter().step_by(30) {
        let text = std::fs::read(path).unwrap();
        fuzzing::scanner(&with_crlf(&text));
        fuzzing::scanner(&text);
    }
}
