//! Prints the structure of a message: its parts with their places, types and sizes.
//!
//! The message streams through the parser in pieces; nothing but the structure is kept.
//!
//! ```text
//! cargo run --example parse_message -- message.eml
//! cargo run --example parse_message < message.eml
//! ```
#![allow(clippy::print_stdout, reason = "an example speaks on the terminal")]

use codec_mime::{Limits, ParsedMessage, Part, PartKind, Scanner, encoded_word};
use std::io::Read;

fn main() -> std::io::Result<()> {
    let mut input: Box<dyn Read> = match std::env::args().nth(1) {
        Some(path) => Box::new(std::fs::File::open(path)?),
        None => Box::new(std::io::stdin()),
    };
    let mut scanner = Scanner::new(Limits::default());
    let mut piece = vec![0; 16 * 1024];
    loop {
        match input.read(&mut piece)? {
            0 => break,
            len => scanner.push(&piece[..len]),
        }
    }
    show(&scanner.finish());
    Ok(())
}

fn show(message: &ParsedMessage) {
    let envelope = &message.envelope;
    let subject = envelope.subject.as_deref().map(encoded_word::decode);
    println!("Subject  {}", subject.as_deref().unwrap_or("(none)"));
    for (name, addresses) in [("From", &envelope.from), ("To", &envelope.to)] {
        for address in addresses {
            let email = address.email().unwrap_or_default();
            let person = address.display_name().unwrap_or_default();
            println!("{name:8} {email} {person}");
        }
    }
    println!("Size     {} bytes, header {}", message.size_bytes, message.header_end());
    if message.truncated {
        println!("         (over a limit: some of it is not described)");
    }
    println!();
    tree(&message.root, 0);
}

fn tree(part: &Part, depth: usize) {
    let kind = &part.content_type;
    let (main, sub) = (kind.main.escape_ascii(), kind.sub.escape_ascii());
    let name = part.filename().map(|name| format!("  \"{name}\"")).unwrap_or_default();
    let indent = "  ".repeat(depth);
    println!("{indent}{main}/{sub}  bytes {}..{}{name}", part.body.start, part.body.end);
    match &part.kind {
        PartKind::Leaf => {}
        PartKind::Multipart(parts) => parts.iter().for_each(|part| tree(part, depth + 1)),
        PartKind::Message { part, .. } => tree(part, depth + 1),
    }
}
